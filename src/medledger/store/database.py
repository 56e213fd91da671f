"""The database of a store: opened, brought up to date, and every failure by name.

    database = Database("sqlite:///hospital.db")
    with database.writing() as connection: ...       # one durable transaction

Writers take turns from their first statement on (SQLite: `BEGIN IMMEDIATE`; PostgreSQL: row locks
of the caller's), and a commit returns when the disk has it.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import (
    ARRAY,
    URL,
    Column,
    ColumnElement,
    Connection,
    Engine,
    MetaData,
    Table,
    Text,
    any_,
    create_engine,
    event,
    func,
    inspect,
    literal,
    make_url,
    select,
    table,
    text,
)
from sqlalchemy import column as sql_column
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError

from medledger.errors import StoreError
from medledger.store.schema import REVISION, metadata

Item = TypeVar("Item")

LOCK_SECONDS = 10
"""How long a writer waits for another."""

# Larger pages waste less of the disk (4 KB would hold one bill), and touch fewer of them.
_PAGE_BYTES = 16 * 1024
_CACHE_BYTES = 32 * 1024 * 1024
# Pages of the log before they go to the file: 32 MB.
_CHECKPOINT_PAGES = 2_000

# Any number will do; nothing else in the database should take it.
_MIGRATION_LOCK = 0x6D65646C


@dataclass(frozen=True, slots=True)
class Schema:
    """The tables that a database must have, and the folder of the migrations that make them."""

    metadata: MetaData
    revision: str
    migrations: Path


STORE = Schema(metadata, REVISION, Path(__file__).parent / "migrations")


class Database:
    """A database by URL: `sqlite:///hospital.db`, or `postgresql://user@host/name`.

    Raises `StoreError` where it cannot be opened, or is not of this version.
    """

    def __init__(self, url: str, schema: Schema = STORE) -> None:
        self._schema = schema
        self._engine = _engine(url)
        self._writer = self._engine.execution_options(begin=("BEGIN IMMEDIATE", "FULL"))
        self._noter = self._engine.execution_options(begin=("BEGIN IMMEDIATE", "NORMAL"))
        try:
            if self.is_sqlite:
                self._open_sqlite()
            else:
                event.listen(self._engine, "connect", _durable_postgresql)
                self._bring_up_to_date()
        except DBAPIError as error:
            problem = f"cannot be opened: {_first_line(error)}"
            raise StoreError(store=self.name, problem=problem) from error
        except OSError as error:
            problem = f"cannot be made: {error.strerror}"
            raise StoreError(store=self.name, problem=problem) from error

    @property
    def name(self) -> str:
        """The address without a password."""
        return self._engine.url.render_as_string(hide_password=True)

    @property
    def is_sqlite(self) -> bool:
        return self._engine.dialect.name == "sqlite"

    def close(self) -> None:
        self._engine.dispose()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection to read from. Raises `StoreError`."""
        with self._named_errors(), self._engine.connect() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A connection whose changes are durable on leaving, or undone on any error.

        Raises `StoreError`. Where the database was lost during the commit itself, only a look can
        tell which of the two it was.
        """
        with self._named_errors(), self._writer.begin() as connection:
            yield connection

    @contextmanager
    def noting(self) -> Iterator[Connection]:
        """As `writing`, for what a chain can tell again: it does not wait for the disk.

        What is noted may be gone after a power cut, with all that was noted after it; what was
        written is not. A stop of the program alone loses nothing.
        """
        with self._named_errors(), self._noter.begin() as connection:
            if not self.is_sqlite:
                connection.exec_driver_sql("SET LOCAL synchronous_commit = off")
            yield connection

    def upsert(self, into: Table) -> sqlite.Insert | postgresql.Insert:
        """An INSERT that may end in ON CONFLICT, in the database's dialect."""
        return sqlite.insert(into) if self.is_sqlite else postgresql.insert(into)

    def among(self, column: Column[str], values: Iterable[str]) -> ColumnElement[bool]:
        """Whether a column has one of the values; as one parameter, however many these are."""
        if self.is_sqlite:
            given = func.json_each(json.dumps(list(values))).table_valued("value")
            return column.in_(select(given.c.value))
        return column == any_(literal(list(values), ARRAY(Text)))

    @contextmanager
    def _named_errors(self) -> Iterator[None]:
        try:
            yield
        except SQLAlchemyError as error:
            problem = f"cannot be used: {_first_line(error)}"
            raise StoreError(store=self.name, problem=problem) from error

    def _open_sqlite(self) -> None:
        event.listen(self._engine, "connect", _durable_sqlite)
        event.listen(self._engine, "begin", _begin_sqlite)
        file = self._engine.url.database
        if not file or file == ":memory:" or file.startswith("file:"):
            self._bring_up_to_date()
            return
        with _alone_in(Path(file).absolute().parent):
            _make_private(file)
            self._bring_up_to_date()

    def _bring_up_to_date(self) -> None:
        with self._engine.connect() as connection:
            if _revision(connection) == self._schema.revision:
                return
        with self._writer.begin() as connection:
            if not self.is_sqlite:
                connection.execute(text(f"SELECT pg_advisory_xact_lock({_MIGRATION_LOCK})"))
            # Again, since another program may have done it before the lock was ours.
            if (found := _revision(connection)) != self._schema.revision:
                self._migrate(connection, found)

    def _migrate(self, connection: Connection, found: str | None) -> None:
        # Alembic is imported only where there is something to do.
        from medledger.store import migrations

        schema = self._schema
        if found is not None and found not in migrations.revisions(schema.migrations):
            known = f"this version of medledger knows {schema.revision} at most"
            problem = f"has schema {found}, and {known}"
            raise StoreError(store=self.name, problem=f"{problem}: update medledger")
        if found is None and set(schema.metadata.tables) & set(
            inspect(connection).get_table_names()
        ):
            problem = "has the tables of an older medledger, or of another program"
            advice = "name a new store, and finish this one with the version that made it"
            raise StoreError(store=self.name, problem=f"{problem}: {advice}")
        migrations.upgrade(connection, schema.migrations)


@contextmanager
def driver_errors(connection: Connection) -> Iterator[None]:
    """Gives errors of a driver that was called directly the form that SQLAlchemy's have."""
    dialect = connection.dialect
    base = dialect.loaded_dbapi.Error
    try:
        yield
    except base as error:
        raise DBAPIError.instance(
            None, None, error, base, hide_parameters=True, dialect=dialect
        ) from error


def chunks(items: Iterable[Item], size: int = 500) -> Iterator[list[Item]]:
    """Lists of at most `size`."""
    chunk: list[Item] = []
    for item in items:
        chunk.append(item)
        if len(chunk) == size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _engine(url: str) -> Engine:
    try:
        address = make_url(url)
        if address.drivername == "postgresql":
            address = address.set(drivername="postgresql+psycopg")
        return _engine_of(address)
    except (ArgumentError, NoSuchModuleError, ValueError) as error:
        problem = "is not a database address"
        expected = "expected sqlite:///FILE or postgresql://USER@HOST/NAME"
        raise StoreError(store=_shown(url), problem=f"{problem}: {expected}") from error
    except ImportError as error:
        problem = "needs a driver that is not installed: pip install 'medledger[postgresql]'"
        raise StoreError(store=_shown(url), problem=problem) from error


def _engine_of(address: URL) -> Engine:
    if address.drivername in ("sqlite", "sqlite+pysqlite"):
        return create_engine(address, hide_parameters=True)
    if address.drivername == "postgresql+psycopg":
        # A look at each connection before its use costs 0.1 ms, and outlives a server's restart.
        return create_engine(
            address, hide_parameters=True, pool_pre_ping=True, isolation_level="READ COMMITTED"
        )
    raise ArgumentError("neither SQLite nor PostgreSQL by psycopg 3")


def _shown(url: str) -> str:
    return re.sub("://.*@", "://***@", url)


def _first_line(error: SQLAlchemyError) -> str:
    """What the database said, without what it said it about."""
    return str(getattr(error, "orig", "") or type(error).__name__).splitlines()[0]


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.scalar(
        select(sql_column("version_num")).select_from(table("alembic_version"))
    )
    return found


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Nobody else opens a store in this folder meanwhile.

    SQLite does not wait its turn where two turn a new file to WAL: one of them would fail.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _make_private(file: str) -> None:
    """A new SQLite file is its owner's alone; SQLite gives its side files the same rights."""
    with suppress(FileExistsError):
        os.close(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))


def _durable_sqlite(connection: Any, _record: object) -> None:
    """WAL lets readers go on while a batch is written."""
    # The driver's own transactions begin too late, so they are switched off.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout={LOCK_SECONDS * 1000}")
    cursor.execute(f"PRAGMA page_size={_PAGE_BYTES}")
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute(f"PRAGMA cache_size={-_CACHE_BYTES // 1024}")
    cursor.execute(f"PRAGMA wal_autocheckpoint={_CHECKPOINT_PAGES}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    begin, synchronous = connection.get_execution_options().get("begin", ("BEGIN", None))
    if synchronous is not None:
        connection.exec_driver_sql(f"PRAGMA synchronous={synchronous}")
    connection.exec_driver_sql(begin)


def _durable_postgresql(connection: Any, _record: object) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET synchronous_commit = on")
        cursor.execute(f"SET lock_timeout = '{LOCK_SECONDS}s'")
    connection.commit()
