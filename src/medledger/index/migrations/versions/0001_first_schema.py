"""Progress, blocks and events."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "index_0001"
down_revision = None

_KEYS = ("number", "other_number", "institution", "other_institution", "segment")


def upgrade() -> None:
    op.create_table(
        "progress",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("deployment", sa.LargeBinary, nullable=False),
        sa.Column("next_block", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "blocks",
        sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("hash", sa.LargeBinary, nullable=False),
        sa.Column("parent", sa.LargeBinary, nullable=False),
        sa.Column("time", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "events",
        sa.Column("block", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("log_index", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("transaction", sa.LargeBinary, nullable=False),
        sa.Column("contract", sa.String(40), nullable=False),
        sa.Column("name", sa.String(60), nullable=False),
        *(sa.Column(key, sa.BigInteger) for key in _KEYS),
        sa.Column("topics", sa.SmallInteger, nullable=False),
        sa.Column("words", sa.LargeBinary, nullable=False),
    )
    for key in _KEYS:
        is_there = sa.text(f"{key} IS NOT NULL")
        op.create_index(
            f"events_{key}", "events", [key], sqlite_where=is_there, postgresql_where=is_there
        )
    op.create_index("events_name", "events", ["name", "block"])
