"""The geometry of the report's charts: bars as rectangles, for the template to draw as SVG.

    chart = columns([("1 Nov", {"bills": 40}), ("2 Nov", {"bills": 12})], ["bills"])

Two forms serve all: columns along time or size, and lying bars for names. Both stack series.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

WIDTH = 680
COLUMN_HEIGHT = 150
BAR_HEIGHT, BAR_GAP = 20, 8
LABEL_WIDTH, VALUE_WIDTH = 130, 80
TOP, BOTTOM, LEFT = 16, 30, 56
WIDEST = 60
MOST_LABELS, HALF_LABEL = 8, 36
"""Labels below columns; of more, every second, third, ... is written."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A rectangle; `series` counts from 0 and decides its colour."""

    x: float
    y: float
    width: float
    height: float
    series: int


@dataclass(frozen=True, slots=True)
class Label:
    """A text at a place."""

    x: float
    y: float
    text: str


@dataclass(frozen=True, slots=True)
class Chart:
    """A picture of `width` by `height`; `series` names the colours, `lines` are gridlines' y."""

    width: int
    height: int
    series: tuple[str, ...]
    marks: tuple[Mark, ...]
    names: tuple[Label, ...]
    values: tuple[Label, ...]
    lines: tuple[float, ...] = ()


Rows = Sequence[tuple[str, Mapping[str, int]]]
"""Label to counts by series, in the order in which they are drawn."""


def columns(rows: Rows, series: Sequence[str]) -> Chart:
    """Standing bars over labels, with a scale on the left."""
    top = _round_up(max((sum(counts.values()) for _, counts in rows), default=0))
    slot = (WIDTH - LEFT) / max(len(rows), 1)
    every = -(-len(rows) // MOST_LABELS) or 1
    marks: list[Mark] = []
    names: list[Label] = []
    for at, (label, counts) in enumerate(rows):
        x = LEFT + slot * at
        level = 0.0
        for position, name in enumerate(series):
            height = COLUMN_HEIGHT * counts.get(name, 0) / top
            if height:
                y = TOP + COLUMN_HEIGHT - level - height
                width = min(slot * 0.8, WIDEST)
                marks.append(Mark(x + (slot - width) / 2, y, width, height, position))
            level += height
        if at % every == 0:
            middle = min(x + slot / 2, WIDTH - HALF_LABEL)
            names.append(Label(middle, TOP + COLUMN_HEIGHT + 18, label))
    steps = (0, top // 2, top) if top > 1 else (0, top)
    lines = [TOP + COLUMN_HEIGHT * (1 - step / top) for step in steps]
    values = [Label(LEFT - 8, y + 4, f"{n:,}") for y, n in zip(lines, steps, strict=True)]
    height = TOP + COLUMN_HEIGHT + BOTTOM
    return _chart(height, series, marks, names, values, lines)


def bars(rows: Rows, series: Sequence[str]) -> Chart:
    """Lying bars behind labels, each with its sum."""
    longest = max((sum(counts.values()) for _, counts in rows), default=0) or 1
    room = WIDTH - LABEL_WIDTH - VALUE_WIDTH
    marks: list[Mark] = []
    names: list[Label] = []
    values: list[Label] = []
    for at, (label, counts) in enumerate(rows):
        y, x = at * (BAR_HEIGHT + BAR_GAP) + BAR_GAP, float(LABEL_WIDTH)
        for position, name in enumerate(series):
            width = room * counts.get(name, 0) / longest
            if width:
                marks.append(Mark(x, y, width, BAR_HEIGHT, position))
            x += width
        names.append(Label(LABEL_WIDTH - 8, y + BAR_HEIGHT - 6, label))
        values.append(Label(x + 6, y + BAR_HEIGHT - 6, f"{sum(counts.values()):,}"))
    height = len(rows) * (BAR_HEIGHT + BAR_GAP) + BAR_GAP
    return _chart(height, series, marks, names, values)


def _chart(
    height: int,
    series: Sequence[str],
    marks: Sequence[Mark],
    names: Sequence[Label],
    values: Sequence[Label],
    lines: Sequence[float] = (),
) -> Chart:
    return Chart(
        WIDTH, height, tuple(series), tuple(marks), tuple(names), tuple(values), tuple(lines)
    )


def _round_up(count: int) -> int:
    """The next number that reads well at the end of a scale, 1 at least."""
    size = 1
    while size * 10 < count:
        size *= 10
    return next(size * n for n in (1, 2, 4, 6, 8, 10) if size * n >= count)
