"""The tables of the issuing pipeline."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

# Repeated here, not imported: a migration stays what it was.
_Id = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    _journal()
    _records()
    _outbox()


def _journal() -> None:
    op.create_table(
        "signers",
        sa.Column("address", sa.String(42), primary_key=True),
        sa.Column("next_nonce", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "transactions",
        sa.Column("id", _Id, primary_key=True),
        sa.Column("signer", sa.String(42), nullable=False),
        sa.Column("nonce", sa.BigInteger, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("to", sa.String(42), nullable=False),
        sa.Column("data", sa.LargeBinary, nullable=False),
        sa.Column("value", sa.Text, nullable=False),
        sa.Column("gas", sa.BigInteger, nullable=False),
        sa.Column("stage", sa.String(10), nullable=False),
        sa.Column("mined_hash", sa.LargeBinary),
        sa.Column("block", sa.BigInteger),
        sa.Column("block_hash", sa.LargeBinary),
        sa.Column("problem", sa.Text, nullable=False),
        sa.Column("revert_data", sa.LargeBinary, nullable=False),
        sa.UniqueConstraint("signer", "nonce", name="transactions_nonce"),
    )
    _partial_index("transactions_unfinished", "signer, nonce", "stage IN ('signed', 'mined')")
    _partial_index("transactions_final", "block", "stage = 'final'")
    op.create_table(
        "attempts",
        sa.Column("transaction_id", _Id, sa.ForeignKey("transactions.id"), primary_key=True),
        sa.Column("position", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("hash", sa.LargeBinary, nullable=False),
        sa.Column("raw", sa.LargeBinary, nullable=False),
        sa.Column("nonce", sa.BigInteger, nullable=False),
        sa.Column("max_fee", sa.Text, nullable=False),
        sa.Column("tip", sa.Text),
        sa.Column("is_cancellation", sa.Boolean, nullable=False),
    )


def _records() -> None:
    op.create_table(
        "segments",
        sa.Column("ledger", sa.String(42), primary_key=True),
        sa.Column("segment", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("institution", sa.BigInteger, nullable=False),
        sa.Column("first", sa.BigInteger, nullable=False),
        sa.Column("last", sa.BigInteger, nullable=False),
        sa.Column("next", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "batches",
        sa.Column("ledger", sa.String(42), primary_key=True),
        sa.Column("first", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("count", sa.Integer, nullable=False),
        sa.Column("segment", sa.BigInteger, nullable=False),
        sa.Column("root", sa.LargeBinary, nullable=False),
        sa.Column("transaction_id", _Id, sa.ForeignKey("transactions.id"), nullable=False),
        sa.Column("transaction", sa.LargeBinary),
        sa.Column("issued_at", sa.BigInteger),
        sa.Column("block", sa.BigInteger),
        sa.Column("leaves", sa.LargeBinary, nullable=False),
        sa.Column("nodes", sa.LargeBinary, nullable=False),
        sa.UniqueConstraint("transaction_id", name="batches_transaction"),
    )
    op.create_table(
        "documents",
        sa.Column("ledger", sa.String(42), primary_key=True),
        sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("first", sa.BigInteger, nullable=False),
        sa.Column("business_key", sa.Text, nullable=False),
        sa.Column("patient_key", sa.Text, nullable=False),
        sa.Column("header", sa.LargeBinary, nullable=False),
        sa.Column("fields", sa.LargeBinary, nullable=False),
        sa.Column("secret", sa.LargeBinary, nullable=False),
        sa.UniqueConstraint("ledger", "business_key", name="documents_business_key"),
    )
    _partial_index("batches_unissued", "transaction_id", "issued_at IS NULL")


def _outbox() -> None:
    op.create_table(
        "outbox",
        sa.Column("id", _Id, primary_key=True),
        sa.Column("ledger", sa.String(42), nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("business_key", sa.Text, nullable=False),
        sa.Column("draft", sa.LargeBinary),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("problem", sa.Text, nullable=False),
        sa.Column("since", sa.BigInteger, nullable=False),
        sa.UniqueConstraint("ledger", "business_key", name="outbox_business_key"),
    )


def _partial_index(name: str, columns: str, condition: str) -> None:
    where = sa.text(condition)
    op.create_index(
        name,
        name.partition("_")[0],
        columns.split(", "),
        sqlite_where=where,
        postgresql_where=where,
    )
