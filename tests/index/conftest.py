"""An index, once in a file and once on a server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.roles.world import World
from tests.store.postgres import fresh_database, postgres

from medledger.index import EventIndex


@pytest.fixture(params=["sqlite", "postgresql"])
def index_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of a new, empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'index.db'}"
    with postgres() as url:
        return fresh_database(url)


@pytest.fixture
def index(index_url: str, world: World) -> Iterator[EventIndex]:
    opened = EventIndex(index_url, world.ledgers.manifest)
    yield opened
    opened.close()


@pytest.fixture
def file_index(tmp_path: Path, world: World) -> Iterator[EventIndex]:
    """An index in a file, where the database makes no difference."""
    opened = EventIndex(f"sqlite:///{tmp_path / 'file-index.db'}", world.ledgers.manifest)
    yield opened
    opened.close()
