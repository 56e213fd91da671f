"""Statement files: CSV, or JSON lines, of a day's bills. `core.statement` says what a row is.

CSV has the columns in its first line, in any order. A line that begins with `{` makes the file one
of JSON lines.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TextIO

from medledger.core.canonical import parse_strict
from medledger.core.statement import COLUMNS, TEXT_COLUMNS, StatementRow
from medledger.errors import BadResource, InputError, InvalidDocument

_WORDS = {"true": True, "false": False}


def write_statement(rows: Iterable[StatementRow], stream: TextIO, *, as_csv: bool) -> None:
    """Writes rows as they come."""
    if not as_csv:
        for row in rows:
            stream.write(json.dumps(row.json()) + "\n")
        return
    table = csv.DictWriter(stream, COLUMNS, restval="", lineterminator="\n")
    table.writeheader()
    for row in rows:
        table.writerow({name: _cell(value) for name, value in row.json().items()})


def read_statement(text: bytes, name: str) -> Iterator[StatementRow]:
    """The rows of a file, which errors call `name`; raises `BadResource` naming line and column."""
    try:
        decoded = text.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadResource(file=name, line=1, field="file", problem="is not UTF-8") from error
    lines = _json_lines if decoded.lstrip().startswith("{") else _csv_lines
    for line, said in lines(decoded, name):
        try:
            yield StatementRow.from_json(said)
        except InvalidDocument as error:
            values = error.values
            raise BadResource(
                file=name, line=line, field=values["field"], problem=values["problem"]
            ) from error


def _json_lines(text: str, name: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    for line, row in enumerate(text.splitlines(), 1):
        if not row.strip():
            continue
        try:
            said = parse_strict(row)
        except InputError as error:
            raise BadResource(file=name, line=line, field="line", problem=str(error)) from error
        if not isinstance(said, dict):
            raise BadResource(file=name, line=line, field="line", problem="is no JSON object")
        yield line, said


def _csv_lines(text: str, name: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    table = csv.reader(io.StringIO(text), strict=True)
    columns = next(table, [])
    if "number" not in columns:
        problem = f"has no column number; they are {', '.join(COLUMNS)}"
        raise BadResource(file=name, line=1, field="header", problem=problem)
    try:
        for row in table:
            if not row:
                continue
            if len(row) != len(columns):
                problem = f"has {len(row)} cells, not {len(columns)}"
                raise BadResource(file=name, line=table.line_num, field="line", problem=problem)
            pairs = zip(columns, row, strict=True)
            yield table.line_num, {column: _value(column, cell) for column, cell in pairs if cell}
    except csv.Error as error:
        raise BadResource(
            file=name, line=table.line_num, field="line", problem=str(error)
        ) from error


def _value(column: str, cell: str) -> Any:
    """What a cell says: numbers of documents stay text, as in JSON."""
    if column not in TEXT_COLUMNS and cell.isascii() and cell.isdigit():
        return int(cell)
    return _WORDS.get(cell, cell)


def _cell(value: Any) -> Any:
    return str(value).lower() if isinstance(value, bool) else value
