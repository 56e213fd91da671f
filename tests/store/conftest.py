"""A store on each database: a new file, and a new database of a running server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.store.postgres import fresh_database, postgres

from medledger.store import DocumentStore


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'hospital.db'}"


@pytest.fixture
def new_postgres_url() -> Iterator[str]:
    with postgres() as url:
        yield fresh_database(url)


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest) -> str:
    fixture = {"sqlite": "sqlite_url", "postgresql": "new_postgres_url"}[request.param]
    address: str = request.getfixturevalue(fixture)
    return address


@pytest.fixture
def store(url: str) -> Iterator[DocumentStore]:
    store = DocumentStore(url)
    yield store
    store.close()
