"""A hospital's database, once as a file and once on a server."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.store.postgres import fresh_database, postgres


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of a new, empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'hospital.db'}"
    with postgres() as url:
        return fresh_database(url)
