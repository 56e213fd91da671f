"""What commands give back, and how it is shown: lines and tables, or one JSON object.

Standard output has the result and nothing else. Progress and complaints go to standard error, and
a progress bar only where that is a terminal.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import click

from medledger.core.numbers import format_number
from medledger.errors import MedledgerError

if TYPE_CHECKING:
    from medledger.chain.sender import Receipt

WIDE = 1000
"""Columns of a table that is not shown on a terminal: no cell is folded there."""


class Verbatim(str):
    """A line that is written as it is: it is the content of a file."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table for people."""

    columns: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Output:
    """A command's result: `data` for machines, `text` for people.

    With a `failure` the result is shown all the same, and then the failure, whose exit code counts;
    `complaint` says it to people in other words than the error's own.
    """

    data: Mapping[str, Any]
    text: Sequence[str | Table]
    failure: MedledgerError | None = None
    complaint: str = ""


def show(text: Iterable[str | Table]) -> None:
    """Writes lines and tables to standard output."""
    for part in text:
        if isinstance(part, Table):
            _show_table(part)
        else:
            click.echo(part if isinstance(part, Verbatim) else printable(part))


def printable(text: str) -> str:
    """Text without control characters: documents and evidence of strangers could steer a
    terminal with them."""
    return re.sub(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", "\ufffd", text)


def json_line(data: Mapping[str, Any]) -> str:
    """One JSON object on one line, in ASCII so that no terminal's encoding can break it."""
    return json.dumps({key: as_plain(value) for key, value in data.items()})


def as_plain(value: object) -> Any:
    """A value as JSON has it: bytes as 0x..., states by name, paths and the like as text."""
    if isinstance(value, bytes):
        return "0x" + value.hex()
    if isinstance(value, Enum):
        return value.name.lower()
    if isinstance(value, Mapping):
        return {str(key): as_plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [as_plain(item) for item in value]
    if value is None or isinstance(value, str | int | float):
        return value
    return str(value)


def pairs(rows: Mapping[str, object]) -> list[str]:
    """Lines of labels and values, aligned."""
    width = max(map(len, rows), default=0)
    return [f"{label.ljust(width)}  {value}".rstrip() for label, value in rows.items()]


def receipt_output(sentence: str, receipt: Receipt, **data: Any) -> Output:
    """The result of an act on chain: what was done, and in which transaction."""
    return Output(
        data | {"transaction": receipt.hash, "block": receipt.block, "gas": receipt.gas_used},
        [
            sentence,
            f"transaction 0x{receipt.hash.hex()}, block {receipt.block}, gas {receipt.gas_used}",
        ],
    )


def act_output(number: int, sentence: str, receipt: Receipt, **data: Any) -> Output:
    """The result of an act on one document."""
    shown = format_number(number)
    return receipt_output(f"{shown}: {sentence}", receipt, number=shown, **data)


def file_output(content: str, out: Path | None, sentence: str, **data: Any) -> Output:
    """The result of a command that makes a JSON file: the file's own text, or, with `out`, that
    file, a sentence about it and data."""
    if out is None:
        # Either way standard output is one JSON object, the file's.
        return Output(json.loads(content), [Verbatim(content.rstrip("\n"))])
    write_private(out, content)
    return Output(data | {"file": out}, [sentence])


def time_text(seconds: int) -> str:
    """A time as people read it: UTC, ISO 8601; `always` where it is beyond the calendar."""
    try:
        return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%SZ}"
    except (ValueError, OverflowError, OSError):
        return "always"


@dataclass(slots=True)
class Meter:
    """Counts long work on standard error: a bar on a terminal, nothing elsewhere. With `counts`
    off only the time runs.

    with Meter("issue bills") as meter:
        for bill in bills:
            meter.advance()
    """

    label: str
    total: int | None = None
    counts: bool = True
    _bar: Any = field(default=None, init=False)
    _task: Any = field(default=None, init=False)

    def advance(self, count: int = 1) -> None:
        """Counts."""
        if self._bar is not None:
            self._bar.advance(self._task, count)

    def say(self, line: str) -> None:
        """Writes a line to standard error, above the bar."""
        if self._bar is None:
            click.echo(printable(line), err=True)
        else:
            self._bar.console.print(printable(line), markup=False, highlight=False, soft_wrap=True)

    def __enter__(self) -> Self:
        if sys.stderr.isatty():
            from rich import progress
            from rich.console import Console

            done = [progress.BarColumn(), progress.TextColumn("{task.completed:.0f}")]
            self._bar = progress.Progress(
                progress.SpinnerColumn(),
                progress.TextColumn("{task.description}"),
                *(done if self.counts else []),
                progress.TimeElapsedColumn(),
                console=Console(stderr=True),
                transient=True,
            )
            self._bar.start()
            self._task = self._bar.add_task(self.label, total=self.total)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()


def write_private(path: Path, text: str, *, replace: bool = True) -> None:
    """Writes a file that only its owner may read; with `replace` off, raises `FileExistsError`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | (os.O_TRUNC if replace else os.O_EXCL)
    with os.fdopen(os.open(path, flags, 0o600), "w", encoding="utf-8") as file:
        file.write(text)


def _show_table(table: Table) -> None:
    from rich.console import Console
    from rich.table import Table as RichTable
    from rich.text import Text

    console = Console(width=None if sys.stdout.isatty() else WIDE, highlight=False)
    shown = RichTable(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_edge=False)
    for column in table.columns:
        shown.add_column(column, overflow="fold")
    for row in table.rows:
        shown.add_row(*(Text(printable(cell)) for cell in row))
    with console.capture() as captured:
        console.print(shown)
    for line in captured.get().splitlines():
        click.echo(line.rstrip())
