"""Which segments need endorsements, and which were withdrawn."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    for name in ("endorsed", "withdrawn"):
        op.add_column(
            "segments", sa.Column(name, sa.Boolean, nullable=False, server_default=sa.false())
        )
