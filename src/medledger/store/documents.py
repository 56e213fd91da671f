"""Issued documents and their batches, in SQLAlchemy; SQLite by default.

A batch is stored together with its documents and its signed transaction, in one database
transaction, before it is sent. Whatever stops the program after that, the hash is known, and the
same bytes can be sent again.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Engine,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    create_engine,
    event,
    insert,
    select,
    update,
)
from sqlalchemy.exc import (
    ArgumentError,
    DBAPIError,
    IntegrityError,
    NoSuchModuleError,
    SQLAlchemyError,
)

from medledger.core.canonical import canonical
from medledger.core.hashing import Header, InvoiceHeader, PrescriptionHeader, TreeHead
from medledger.core.sealing import Sealed
from medledger.errors import DuplicateBusinessKey, NotFound, StoreError

_metadata = MetaData()

_batches = Table(
    "batches",
    _metadata,
    Column("ledger", String(42), primary_key=True),
    Column("first", BigInteger, primary_key=True, autoincrement=False),
    Column("count", Integer, nullable=False),
    Column("segment", Integer, nullable=False),
    Column("root", LargeBinary(32), nullable=False),
    Column("transaction", LargeBinary(32), nullable=False),
    Column("raw", LargeBinary, nullable=False),
    Column("issued_at", BigInteger),  # null until the batch is on chain
    Column("block", BigInteger),
)

_documents = Table(
    "documents",
    _metadata,
    Column("ledger", String(42), primary_key=True),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("first", BigInteger, nullable=False),
    Column("business_key", String(200), nullable=False),
    Column("leaf", LargeBinary(32), nullable=False),
    Column("header", LargeBinary, nullable=False),
    Column("fields", LargeBinary, nullable=False),
    Column("secret", LargeBinary(32), nullable=False),
    Index("documents_business_key", "ledger", "business_key", unique=True),
    Index("documents_batch", "ledger", "first", "number"),
)


@dataclass(frozen=True, slots=True)
class BatchRow:
    """A batch as stored. `issued_at` (Unix seconds) and `block` are None until it is on chain."""

    ledger: str
    first: int
    count: int
    segment: int
    root: bytes
    transaction: bytes
    raw: bytes
    issued_at: int | None
    block: int | None

    def head(self) -> TreeHead:
        """The tree head; only of a batch that is on chain."""
        if self.issued_at is None:
            raise ValueError("the batch is not on chain")
        return TreeHead(self.first, self.count, self.segment, self.issued_at)


@dataclass(frozen=True, slots=True)
class DocumentRow:
    """A document as stored."""

    sealed: Sealed
    business_key: str
    first: int


class DocumentStore:
    """The documents of one hospital. `url` is SQLAlchemy's (`sqlite:///hospital.db`).

    It holds patients' data and the secrets that open every seal: protect it as such.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        try:
            self._engine: Engine = create_engine(url, hide_parameters=True)
            if self._engine.dialect.name == "sqlite":
                _make_private(self._engine.url.database)
                event.listen(self._engine, "connect", _durable)
            _metadata.create_all(self._engine)
        except (ArgumentError, NoSuchModuleError, ImportError) as error:
            shown = re.sub("://.*@", "://***@", url)
            raise StoreError(store=shown, problem="is not a database address") from error
        except DBAPIError as error:
            raise StoreError(store=self.name, problem=f"cannot be opened: {error.orig}") from error
        except OSError as error:
            problem = f"cannot be made: {error.strerror}"
            raise StoreError(store=self.name, problem=problem) from error

    @property
    def name(self) -> str:
        """The address without a password."""
        return self._engine.url.render_as_string(hide_password=True)

    def close(self) -> None:
        self._engine.dispose()

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        with self._named_errors(), self._engine.connect() as connection:
            yield connection

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        with self._named_errors(), self._engine.begin() as connection:
            yield connection

    @contextmanager
    def _named_errors(self) -> Iterator[None]:
        try:
            yield
        except IntegrityError:
            raise
        except SQLAlchemyError as error:
            reason = str(getattr(error, "orig", "") or type(error).__name__).splitlines()[0]
            raise StoreError(store=self.name, problem=f"cannot be used: {reason}") from error

    def numbers_of(self, ledger: str, business_keys: Iterable[str]) -> dict[str, int]:
        """Business key to number, of those that are stored."""
        keys = list(business_keys)
        found: dict[str, int] = {}
        with self._reading() as connection:
            for start in range(0, len(keys), 500):
                rows = connection.execute(
                    select(_documents.c.business_key, _documents.c.number).where(
                        _documents.c.ledger == ledger,
                        _documents.c.business_key.in_(keys[start : start + 500]),
                    )
                )
                found.update({row.business_key: row.number for row in rows})
        return found

    def add_batch(self, batch: BatchRow, documents: Sequence[DocumentRow]) -> None:
        """Stores a batch and its documents in one transaction; raises `DuplicateBusinessKey`."""
        rows = [
            {
                "ledger": batch.ledger,
                "number": row.sealed.header.number,
                "first": batch.first,
                "business_key": row.business_key,
                "leaf": row.sealed.leaf,
                "header": _header_bytes(row.sealed.header),
                "fields": canonical(row.sealed.fields),
                "secret": row.sealed.secret,
            }
            for row in documents
        ]
        try:
            with self._writing() as connection:
                connection.execute(insert(_batches), [_columns(batch)])
                connection.execute(insert(_documents), rows)
        except IntegrityError as error:
            known = self.numbers_of(batch.ledger, [row.business_key for row in documents])
            for key, number in known.items():
                raise DuplicateBusinessKey(key=key, number=number) from error
            problem = "holds other documents under these numbers: does another program use it?"
            raise StoreError(store=self.name, problem=problem) from error

    def mark_issued(self, ledger: str, first: int, issued_at: int, block: int) -> None:
        """Records that the chain has the batch."""
        with self._writing() as connection:
            connection.execute(
                update(_batches)
                .where(_batches.c.ledger == ledger, _batches.c.first == first)
                .values(issued_at=issued_at, block=block)
            )

    def remove_batch(self, ledger: str, first: int) -> list[str]:
        """Forgets a batch that can never be on chain; returns the business keys that it held."""
        with self._writing() as connection:
            keys = list(
                connection.scalars(
                    select(_documents.c.business_key)
                    .where(_documents.c.ledger == ledger, _documents.c.first == first)
                    .order_by(_documents.c.number)
                )
            )
            for table in (_documents, _batches):
                connection.execute(
                    table.delete().where(table.c.ledger == ledger, table.c.first == first)
                )
        return keys

    def unconfirmed(self, ledger: str) -> list[BatchRow]:
        """Batches that were stored and may have been sent, oldest first."""
        with self._reading() as connection:
            rows = connection.execute(
                select(_batches)
                .where(_batches.c.ledger == ledger, _batches.c.issued_at.is_(None))
                .order_by(_batches.c.first)
            )
            return [_batch(row) for row in rows]

    def batch_of(self, ledger: str, number: int) -> BatchRow:
        """The batch that has a number; raises `NotFound`."""
        with self._reading() as connection:
            row = connection.execute(
                select(_batches)
                .join(
                    _documents,
                    (_documents.c.ledger == _batches.c.ledger)
                    & (_documents.c.first == _batches.c.first),
                )
                .where(_documents.c.ledger == ledger, _documents.c.number == number)
            ).one_or_none()
        if row is None:
            raise NotFound(what=f"number {number}", where=f"the store {self.name}")
        return _batch(row)

    def document(self, ledger: str, number: int) -> DocumentRow:
        """A stored document; raises `NotFound`."""
        with self._reading() as connection:
            row = connection.execute(
                select(_documents).where(
                    _documents.c.ledger == ledger, _documents.c.number == number
                )
            ).one_or_none()
        if row is None:
            raise NotFound(what=f"number {number}", where=f"the store {self.name}")
        header = _header(json.loads(row.header))
        sealed = Sealed(header, json.loads(row.fields), bytes(row.secret))
        return DocumentRow(sealed, row.business_key, row.first)

    def leaves(self, ledger: str, first: int) -> list[bytes]:
        """The leaf hashes of a batch in order of number."""
        with self._reading() as connection:
            rows = connection.execute(
                select(_documents.c.leaf)
                .where(_documents.c.ledger == ledger, _documents.c.first == first)
                .order_by(_documents.c.number)
            )
            return [bytes(row.leaf) for row in rows]

    def numbers(self, ledger: str) -> list[int]:
        """All stored numbers of one ledger, ascending."""
        with self._reading() as connection:
            return list(
                connection.scalars(
                    select(_documents.c.number)
                    .where(_documents.c.ledger == ledger)
                    .order_by(_documents.c.number)
                )
            )


def _make_private(database: str | None) -> None:
    """A new SQLite file is its owner's alone; SQLite gives its side files the same rights."""
    if database and database != ":memory:" and not database.startswith("file:"):
        with suppress(FileExistsError):
            os.close(os.open(database, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))


def _durable(connection: Any, _record: object) -> None:
    """WAL lets readers go on while a batch is written; FULL survives a power cut (SQLite)."""
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute("PRAGMA busy_timeout=10000")
    cursor.close()


def _columns(batch: BatchRow) -> dict[str, Any]:
    return {column.name: getattr(batch, column.name) for column in _batches.columns}


def _batch(row: Any) -> BatchRow:
    # By mapping: a row is a tuple, and `row.count` would be the tuple's method.
    return BatchRow(**{column.name: row._mapping[column.name] for column in _batches.columns})


def _header_bytes(header: Header) -> bytes:
    kind, values = header.kind, header.as_abi()
    plain = [value.hex() if isinstance(value, bytes) else value for value in values]
    return json.dumps([kind, *plain]).encode()


def _header(values: list[Any]) -> Header:
    kind, *plain = values
    body = bytes.fromhex(plain.pop())
    if kind == "Invoice":
        number, patient, claimable, currency, on_hold = plain
        return InvoiceHeader(number, patient, claimable, currency, on_hold, body)
    number, patient, valid_until, quantities, on_hold = plain
    return PrescriptionHeader(number, patient, valid_until, tuple(quantities), on_hold, body)
