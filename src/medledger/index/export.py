"""An index written to files that analysts read: Parquet or CSV, the tables of `tables.py`.

    export(index, ledgers, Path("2026-11"), "parquet")

Rows are written as CSV, a part of each table at a time; for Parquet, DuckDB turns every full part
into a file of row groups. So memory is flat, and CSV needs no package. All is made in a folder
beside the target, which gets its name in the last step: a killed export leaves nothing under it.
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import IO, Any, Literal

from medledger import __version__
from medledger.chain.deployment import Ledgers
from medledger.errors import OutputInUse, SetupError, StoreError
from medledger.index.book import EventIndex, Place
from medledger.index.tables import TABLES, Row, TableForm, Type, rows

Format = Literal["parquet", "csv"]

SUMMARY = "export.json"
FORM = "medledger-export-1"
"""Changes when a column changes its meaning or goes."""
PART = 1_000_000
"""Rows in one file."""
ROW_GROUP = 65_536
MEMORY = "256MB"
"""What DuckDB may use to turn one part into Parquet."""
STEP = 1_000
LARGEST = 2**63 - 1

_DUCKDB_TYPES = {
    Type.INTEGER: "BIGINT",
    Type.TEXT: "VARCHAR",
    Type.TIME: "TIMESTAMPTZ",
    Type.TRUTH: "BOOLEAN",
}

Convert = Callable[[TableForm, Path, Path], None]


@dataclass(frozen=True, slots=True)
class Exported:
    """What an export holds: its last block, and the number of rows by table."""

    folder: Path
    block: int
    rows: dict[str, int]


def export(
    index: EventIndex,
    ledgers: Ledgers,
    folder: Path,
    format: Format,  # noqa: A002 (what a caller would call it)
    *,
    advance: Callable[[int], None] = lambda _: None,
) -> Exported:
    """Writes all tables as of the last block read into a new folder, or an empty one.

    Raises `OutputInUse` for any other folder, `SetupError` where Parquet's package is missing, and
    `StoreError` where the index was rolled back meanwhile; the folder is then not there.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise OutputInUse(path=folder)
    convert = _parquet() if format == "parquet" else None
    place = index.place()
    past = index.as_of(place.next_block - 1)
    witness = past.last_event()
    with _becoming(folder) as made:
        tables = {table.name: _Table(table, made, convert) for table in TABLES}
        with _closing(tables):
            for count, (name, row) in enumerate(rows(past, ledgers), 1):
                tables[name].add(row)
                if count % STEP == 0:
                    advance(STEP)
        if past.last_event() != witness:
            raise StoreError(
                store=index.name, problem="went back while it was exported; export it again"
            )
        _write_summary(made, format, ledgers, place, past.last_time(), tables)
    counts = {name: table.rows for name, table in tables.items()}
    return Exported(folder, place.next_block - 1, counts)


@dataclass(slots=True)
class _Table:
    """A table that is being written, part by part; it has one part at least."""

    form: TableForm
    folder: Path
    convert: Convert | None
    rows: int = 0
    files: list[dict[str, Any]] = field(default_factory=list)
    _open: IO[str] | None = None
    _in_part: int = 0
    _write: Callable[[list[object]], object] = field(default=lambda _: None)

    def add(self, row: Row) -> None:
        if self._open is None:
            self._begin()
        self._write([_CELLS[c.type](v) for c, v in zip(self.form.columns, row, strict=True)])
        self.rows += 1
        self._in_part += 1
        if self._in_part == PART:
            self._end()

    def finish(self) -> None:
        if self._open is None and not self.files:
            self._begin()
        if self._open is not None:
            self._end()

    def abandon(self) -> None:
        if self._open is not None:
            self._open.close()

    def _begin(self) -> None:
        path = self._path(".csv")
        path.parent.mkdir(exist_ok=True)
        self._open = path.open("w", encoding="utf-8", newline="")
        self._in_part = 0
        self._write = csv.writer(self._open, lineterminator="\n").writerow
        self._write([column.name for column in self.form.columns])

    def _end(self) -> None:
        assert self._open is not None
        self._open.close()
        self._open = None
        path = self._path(".csv")
        if self.convert is not None:
            target = self._path(".parquet")
            self.convert(self.form, path, target)
            path.unlink()
            path = target
        digest, size = _settled(path)
        name = str(path.relative_to(self.folder))
        self.files.append({"name": name, "rows": self._in_part, "bytes": size, "sha256": digest})

    def _path(self, suffix: str) -> Path:
        return self.folder / self.form.name / f"part-{len(self.files):05d}{suffix}"


@contextmanager
def _closing(tables: dict[str, _Table]) -> Iterator[None]:
    try:
        yield
        for table in tables.values():
            table.finish()
    finally:
        for table in tables.values():
            table.abandon()


@contextmanager
def _becoming(folder: Path) -> Iterator[Path]:
    """A new folder that gets this name once all is in it and on the disk; else it goes."""
    parent = folder.absolute().parent
    parent.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=".partial", dir=parent))
    try:
        yield made
        for place in (*(path for path in made.iterdir() if path.is_dir()), made):
            _sync(place)
        made.chmod(0o755)
        made.rename(folder)
        _sync(parent)
    except BaseException:
        shutil.rmtree(made, ignore_errors=True)
        raise


def _write_summary(
    made: Path,
    format: Format,  # noqa: A002
    ledgers: Ledgers,
    place: Place,
    time: int,
    tables: dict[str, _Table],
) -> None:
    manifest = ledgers.manifest
    text = {
        "format": FORM,
        "files": format,
        "medledger": __version__,
        "chain_id": manifest.chain_id,
        "genesis_hash": manifest.genesis_hash,
        "contracts": {name: one.address for name, one in manifest.contracts.items()},
        "first_block": manifest.block,
        "last_block": place.next_block - 1,
        "last_block_hash": None if place.last_hash is None else "0x" + place.last_hash.hex(),
        "last_block_at": _time(time) or None,
        "tables": {
            name: {"rows": table.rows, "files": table.files} for name, table in tables.items()
        },
    }
    path = made / SUMMARY
    path.write_text(json.dumps(text, indent=2) + "\n", "utf-8")
    _sync(path)


def _parquet() -> Convert:
    """Turns a part in CSV into one in Parquet; raises `SetupError`."""
    try:
        import duckdb
    except ModuleNotFoundError as error:
        problem = "Parquet needs DuckDB; install it: pip install 'medledger[export]'"
        raise SetupError(problem=problem) from error
    settings = {
        "memory_limit": MEMORY,
        # More would each hold row groups of their own, and are no quicker here.
        "threads": "1",
        # Nothing is ever fetched: all that is used comes with the package.
        "autoinstall_known_extensions": "false",
    }

    def convert(form: TableForm, source: Path, target: Path) -> None:
        columns = {column.name: _DUCKDB_TYPES[column.type] for column in form.columns}
        with duckdb.connect(config={**settings, "temp_directory": str(source.parent)}) as made:
            made.execute("SET enable_progress_bar = false")
            part = made.read_csv(
                str(source), header=True, columns=columns, auto_detect=False, escapechar='"'
            )
            part.write_parquet(str(target), compression="zstd", row_group_size=ROW_GROUP)

    return convert


def _settled(path: Path) -> tuple[str, int]:
    """SHA-256 and size of a file that is on the disk from now on."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        os.fsync(file.fileno())
        return digest, file.tell()


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@lru_cache(maxsize=4096)
def _time(seconds: int | None) -> str:
    if not seconds:
        return ""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%SZ}"


def _integer(value: int | None) -> int | str:
    # Whoever seals a document may write any 64 bits into it.
    return "" if value is None or value > LARGEST else value


_CELLS: dict[Type, Callable[[Any], object]] = {
    Type.INTEGER: _integer,
    Type.TEXT: lambda value: value,
    Type.TIME: _time,
    Type.TRUTH: lambda value: "" if value is None else str(value).lower(),
}
