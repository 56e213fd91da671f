"""Of which kind of document each read is: until now, all were of records."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    # The entries themselves stay as they are: their leaves are hashed from these bytes.
    op.add_column(
        "reads", sa.Column("kind", sa.String(20), nullable=False, server_default="Record")
    )
