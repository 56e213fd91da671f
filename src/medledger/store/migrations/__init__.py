"""The steps from one schema to the next, run by alembic when a store is opened.

To change the schema: change `schema.py`, add the next file in `versions/`, raise `REVISION`.
Importing this takes a quarter of a second, so it is done only where there is something to do.
"""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

HERE = Path(__file__).parent


def revisions(folder: Path = HERE) -> list[str]:
    """All that this version knows, the newest first."""
    return [script.revision for script in ScriptDirectory(str(folder)).walk_revisions()]


def upgrade(connection: Connection, folder: Path = HERE) -> None:
    """Brings the database to the newest revision, within the connection's transaction."""
    config = Config(attributes={"connection": connection})
    # ConfigParser would take a % for the beginning of a name.
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    command.upgrade(config, "head")
