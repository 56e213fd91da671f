"""Batches, documents and signatures for tests of the store, without any meaning."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from typing import Any

from sqlalchemy import Engine, create_engine, event, text

from medledger.core.transactions import Attempt, Intent
from medledger.store import BatchRow, DocumentStore, NewBatch, NewDocument, SegmentRow

LEDGER, OTHER_LEDGER = "0x" + 40 * "a", "0x" + 40 * "b"
SIGNER, OTHER_SIGNER = "0x" + 40 * "c", "0x" + 40 * "d"
FIRST = 460601260000000001
LAST = FIRST + 9_999
INTENT = Intent(to=LEDGER, data=b"\x01\x02", name="Invoices.issue", gas=100_000)


def digest(*parts: object) -> bytes:
    return hashlib.sha256(repr(parts).encode()).digest()


def attempt(nonce: int, mark: object = "", **changes: Any) -> Attempt:
    """A form with a nonce; another `mark`, another hash."""
    given = {"max_fee": 7, "tip": 1} | changes
    raw = b"raw" + digest(nonce, mark)
    return Attempt(hash=digest("hash", nonce, mark), raw=raw, nonce=nonce, **given)


def signing(mark: object = "") -> Callable[[int], Attempt]:
    return lambda nonce: attempt(nonce, mark)


def segment(
    ledger: str = LEDGER, id_: int = 1, next_: int = FIRST, institution: int = 7
) -> SegmentRow:
    return SegmentRow(ledger, id_, institution, FIRST, LAST, next_)


def document(number: int, key: str) -> NewDocument:
    return NewDocument(
        number=number,
        business_key=key,
        patient_key=f"xpub-{key}",
        header=b"\x00header\xff" + key.encode(),
        fields=f'{{"key":"{key}"}}'.encode(),
        secret=digest("secret", number),
    )


def documents(first: int, *keys: str) -> list[NewDocument]:
    return [document(first + index, key) for index, key in enumerate(keys)]


def leaves(first: int, count: int) -> bytes:
    return b"".join(digest("leaf", first + index) for index in range(count))


def batch(first: int = FIRST, count: int = 1, ledger: str = LEDGER, id_: int = 1) -> NewBatch:
    root, nodes = digest("root", first), digest("node", first)
    return NewBatch(ledger, first, count, id_, root, leaves(first, count), nodes)


def add(
    store: DocumentStore, first: int, *keys: str, ledger: str = LEDGER, signer: str = SIGNER
) -> BatchRow:
    """Stores a batch of these keys in segment 1, which is made where it is missing."""
    if store.segment(ledger, 1) is None:
        store.save_segment(segment(ledger))
    rows = documents(first, *keys)
    new = batch(first, len(rows), ledger)
    return store.add_batch(new, rows, signer, INTENT, signing((signer, first)))


def content(url: str) -> dict[str, list[Any]]:
    """All rows of all tables, as another program reads them."""
    with other_program(url) as engine, engine.connect() as connection:
        return {
            table: sorted(map(tuple, connection.execute(text(f"SELECT * FROM {table}"))), key=repr)
            for table in TABLES
        }


TABLES = (
    "signers",
    "transactions",
    "attempts",
    "segments",
    "batches",
    "documents",
    "outbox",
    "reads",
    "read_days",
)


@contextmanager
def explained(url: str, table: str) -> Iterator[list[str]]:
    """How the database would do each SELECT from a table that this program runs meanwhile."""
    plans: list[str] = []

    def explain(connection: Any, cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if statement.startswith("SELECT") and f"FROM {table}" in statement:
            how = "EXPLAIN QUERY PLAN " if url.startswith("sqlite") else "EXPLAIN "
            with closing(connection.connection.cursor()) as another:
                another.execute(how + statement, parameters)
                plans.append("\n".join(str(row[-1]) for row in another.fetchall()))

    event.listen(Engine, "before_cursor_execute", explain)
    try:
        yield plans
    finally:
        event.remove(Engine, "before_cursor_execute", explain)


@contextmanager
def other_program(url: str) -> Iterator[Engine]:
    """A plain engine on the same database."""
    engine = create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    yield engine
    engine.dispose()


@contextmanager
def at_each(name: str, run: Callable[..., Any]) -> Iterator[None]:
    """Runs something at an event of every engine: "checkout", "commit"."""
    event.listen(Engine, name, run)
    try:
        yield
    finally:
        event.remove(Engine, name, run)


def on_checkout(*statements: str) -> Any:
    """Runs statements on each connection before its use."""

    def run(connection: Any, *_: object) -> None:
        for statement in statements:
            connection.execute(statement)
        connection.commit()

    return at_each("checkout", run)


def ending_early(
    rows: Iterable[NewDocument], after: int, act: Callable[[], Any]
) -> Iterator[NewDocument]:
    """The rows, with an act between two of them."""
    for index, row in enumerate(rows):
        if index == after:
            act()
        yield row
