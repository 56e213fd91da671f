"""The tables of the store, as SQLAlchemy knows them.

`migrations/` makes them; a test compares both on SQLite and on PostgreSQL. A change here needs a
new migration, and `REVISION` names the last one.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
    text,
)

REVISION = "0004"
"""What the database of this version says in `alembic_version`."""

metadata = MetaData()

# SQLite counts up by itself in a column of this very type only.
_Id = BigInteger().with_variant(Integer, "sqlite")

# Literal text: SQLite takes a partial index only where the query repeats its condition.
UNFINISHED = text("stage IN ('signed', 'mined')")
FINAL = text("stage = 'final'")
UNISSUED = text("issued_at IS NULL")

signers = Table(
    "signers",
    metadata,
    Column("address", String(42), primary_key=True),
    Column("next_nonce", BigInteger, nullable=False),
)

transactions = Table(
    "transactions",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("signer", String(42), nullable=False),
    Column("nonce", BigInteger, nullable=False),
    Column("name", Text, nullable=False),
    Column("to", String(42), nullable=False),
    Column("data", LargeBinary, nullable=False),
    Column("value", Text, nullable=False),  # in wei, which may exceed 64 bits
    Column("gas", BigInteger, nullable=False),
    Column("stage", String(10), nullable=False),
    Column("mined_hash", LargeBinary),
    Column("block", BigInteger),
    Column("block_hash", LargeBinary),
    Column("problem", Text, nullable=False),
    Column("revert_data", LargeBinary, nullable=False),
    UniqueConstraint("signer", "nonce", name="transactions_nonce"),
    Index(
        "transactions_unfinished",
        "signer",
        "nonce",
        sqlite_where=UNFINISHED,
        postgresql_where=UNFINISHED,
    ),
    Index("transactions_final", "block", sqlite_where=FINAL, postgresql_where=FINAL),
)

attempts = Table(
    "attempts",
    metadata,
    Column("transaction_id", _Id, ForeignKey("transactions.id"), primary_key=True),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("hash", LargeBinary, nullable=False),
    Column("raw", LargeBinary, nullable=False),
    Column("nonce", BigInteger, nullable=False),
    Column("max_fee", Text, nullable=False),
    Column("tip", Text),
    Column("is_cancellation", Boolean, nullable=False),
)

segments = Table(
    "segments",
    metadata,
    Column("ledger", String(42), primary_key=True),
    Column("segment", BigInteger, primary_key=True, autoincrement=False),
    Column("institution", BigInteger, nullable=False),
    Column("first", BigInteger, nullable=False),
    Column("last", BigInteger, nullable=False),
    Column("next", BigInteger, nullable=False),
    Column("endorsed", Boolean, nullable=False, server_default=false()),
    Column("withdrawn", Boolean, nullable=False, server_default=false()),
)

batches = Table(
    "batches",
    metadata,
    Column("ledger", String(42), primary_key=True),
    Column("first", BigInteger, primary_key=True, autoincrement=False),
    Column("count", Integer, nullable=False),
    Column("segment", BigInteger, nullable=False),
    Column("root", LargeBinary, nullable=False),
    Column("transaction_id", _Id, ForeignKey("transactions.id"), nullable=False),
    # These three are null until the transaction is final.
    Column("transaction", LargeBinary),
    Column("issued_at", BigInteger),
    Column("block", BigInteger),
    # Last, since SQLite reads a row from its beginning.
    Column("leaves", LargeBinary, nullable=False),
    Column("nodes", LargeBinary, nullable=False),
    UniqueConstraint("transaction_id", name="batches_transaction"),
    Index("batches_unissued", "transaction_id", sqlite_where=UNISSUED, postgresql_where=UNISSUED),
)

documents = Table(
    "documents",
    metadata,
    Column("ledger", String(42), primary_key=True),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("first", BigInteger, nullable=False),
    Column("business_key", Text, nullable=False),
    Column("patient_key", Text, nullable=False),
    Column("header", LargeBinary, nullable=False),
    Column("fields", LargeBinary, nullable=False),
    Column("secret", LargeBinary, nullable=False),
    UniqueConstraint("ledger", "business_key", name="documents_business_key"),
)

outbox = Table(
    "outbox",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("ledger", String(42), nullable=False),
    Column("kind", Text, nullable=False),
    Column("business_key", Text, nullable=False),
    Column("draft", LargeBinary),
    Column("reason", Text, nullable=False),
    Column("problem", Text, nullable=False),
    Column("since", BigInteger, nullable=False),
    UniqueConstraint("ledger", "business_key", name="outbox_business_key"),
)

reads = Table(
    "reads",
    metadata,
    Column("ledger", String(42), primary_key=True),
    Column("day", BigInteger, primary_key=True, autoincrement=False),
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    Column("number", BigInteger, nullable=False),
    Column("entry", LargeBinary, nullable=False),
    Column("salt", LargeBinary, nullable=False),
    Column("leaf", LargeBinary, nullable=False),
    Column("kind", String(20), nullable=False, server_default="Record"),
    Index("reads_number", "ledger", "number"),
)

read_days = Table(
    "read_days",
    metadata,
    Column("ledger", String(42), primary_key=True),
    Column("day", BigInteger, primary_key=True, autoincrement=False),
    Column("count", BigInteger, nullable=False),
    Column("root", LargeBinary, nullable=False),
)
