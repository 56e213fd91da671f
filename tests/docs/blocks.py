"""The fenced blocks of a Markdown file, with the section and the mark that each stands under.

A mark is an HTML comment in the line above the fence:

    <!-- run: with a chain -->     run it, and a local chain beside it
    <!-- run: FILE -->             save it as FILE, which a later block runs
    <!-- run: make -->             a make target; its recipe is what is run
    <!-- output -->                what the blocks before it print
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]

_FENCE = re.compile(
    r"^(?:<!-- (?P<mark>[^\n]*) -->\n)?```(?P<language>\w*)\n(?P<text>.*?)^```$", re.M | re.S
)
_HEADING = re.compile(r"^#{1,6} (.*)$", re.M)


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block. `line` counts from 1; `mark` is empty without one."""

    section: str
    mark: str
    language: str
    text: str
    line: int


def blocks(path: Path) -> list[Block]:
    """All fenced blocks of a file, in order."""
    return list(_blocks(path.read_text("utf-8")))


def _blocks(text: str) -> Iterator[Block]:
    fences = list(_FENCE.finditer(text))
    # A `#` within a block is a comment, not a heading.
    headings = [
        found
        for found in _HEADING.finditer(text)
        if not any(fence.start() < found.start() < fence.end() for fence in fences)
    ]
    for fence in fences:
        before = [heading[1] for heading in headings if heading.start() < fence.start()]
        yield Block(
            before[-1] if before else "",
            fence["mark"] or "",
            fence["language"],
            fence["text"],
            text.count("\n", 0, fence.start()) + 1,
        )
