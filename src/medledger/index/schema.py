"""The tables of the index. `migrations/` makes them; a test compares both.

`name` is empty for an event that this version does not know: it is kept whole, and a later version
names it.
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    text,
)

from medledger.store.database import Schema

REVISION = "index_0002"
"""Another form than the store's, so that neither is ever taken for the other."""

metadata = MetaData()

progress = Table(
    "progress",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("deployment", LargeBinary, nullable=False),
    Column("next_block", BigInteger, nullable=False),
)

blocks = Table(
    "blocks",
    metadata,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("hash", LargeBinary, nullable=False),
    Column("parent", LargeBinary, nullable=False),
    Column("time", BigInteger, nullable=False),
)

events = Table(
    "events",
    metadata,
    Column("block", BigInteger, primary_key=True, autoincrement=False),
    Column("log_index", Integer, primary_key=True, autoincrement=False),
    Column("transaction", LargeBinary, nullable=False),
    Column("contract", String(40), nullable=False),
    Column("name", String(60), nullable=False),
    Column("number", BigInteger),
    Column("other_number", BigInteger),
    Column("institution", BigInteger),
    Column("other_institution", BigInteger),
    Column("segment", BigInteger),
    Column("topics", SmallInteger, nullable=False),
    Column("words", LargeBinary, nullable=False),  # all topics, then the data
)

KEYS = ("number", "other_number", "institution", "other_institution", "segment")
for key in KEYS:
    Index(
        f"events_{key}",
        events.c[key],
        sqlite_where=text(f"{key} IS NOT NULL"),
        postgresql_where=text(f"{key} IS NOT NULL"),
    )
Index("events_name", events.c.name, events.c.block)
Index(
    "events_without_number",
    events.c.block,
    sqlite_where=text("number IS NULL"),
    postgresql_where=text("number IS NULL"),
)

refused = Table(
    "refused",
    metadata,
    Column("block", BigInteger, primary_key=True, autoincrement=False),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("transaction", LargeBinary, nullable=False),
    Column("contract", String(40), nullable=False),
    Column("sender", String(42), nullable=False),
    Column("call", LargeBinary, nullable=False),
)

INDEX = Schema(metadata, REVISION, Path(__file__).parent / "migrations")
