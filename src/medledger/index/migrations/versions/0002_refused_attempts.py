"""Refused attempts, and events without a number found at once.

An index that is there is emptied and read again from its first event: what was refused before is
not known otherwise.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "index_0002"
down_revision = "index_0001"


def upgrade() -> None:
    op.create_table(
        "refused",
        sa.Column("block", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("position", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("transaction", sa.LargeBinary, nullable=False),
        sa.Column("contract", sa.String(40), nullable=False),
        sa.Column("sender", sa.String(42), nullable=False),
        sa.Column("call", sa.LargeBinary, nullable=False),
    )
    is_none = sa.text("number IS NULL")
    op.create_index(
        "events_without_number",
        "events",
        ["block"],
        sqlite_where=is_none,
        postgresql_where=is_none,
    )
    op.execute(
        "UPDATE progress SET next_block = COALESCE((SELECT MIN(block) FROM events), next_block)"
    )
    op.execute("DELETE FROM events")
    op.execute("DELETE FROM blocks")
