"""A node whose blocks come when told, and a scene on each database."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest
from tests.faults.walk import Walk
from tests.roles.world import Deployment, deployment_on
from tests.store.postgres import fresh_database, postgres

from medledger.chain.local import LocalChain
from medledger.chain.rpc import Rpc
from medledger.store import DocumentStore

pytest.register_assert_rewrite("tests.faults.scene")

from tests.faults.scene import Scene, postgres_scene  # noqa: E402 (its asserts tell values now)


@pytest.fixture(scope="session")
def anvil() -> Iterator[LocalChain]:
    """A node of its own: it mines by hand once the contracts are there."""
    with LocalChain() as node:
        yield node


@pytest.fixture(scope="session")
def deployment(anvil: LocalChain) -> Deployment:
    rpc = Rpc(anvil.url)
    made = deployment_on(rpc)
    rpc.request("evm_setAutomine", False)
    return made


@pytest.fixture
def on_sqlite(deployment: Deployment, tmp_path: Path) -> Scene:
    empty, file = tmp_path / "empty.db", tmp_path / "hospital.db"
    DocumentStore(f"sqlite:///{empty}").close()

    def fresh() -> str:
        for old in tmp_path.glob("hospital.db*"):
            old.unlink()
        shutil.copy(empty, file)
        return f"sqlite:///{file}"

    return Scene(deployment, "sqlite", fresh)


@pytest.fixture
def on_postgresql(deployment: Deployment) -> Iterator[Scene]:
    with postgres() as server:
        yield postgres_scene(deployment, fresh_database(server))


@pytest.fixture
def walk(request: pytest.FixtureRequest) -> Walk:
    return Walk(request.node.nodeid)


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], str]]:
    """Addresses of databases in which there is nothing yet."""
    if request.param == "sqlite":
        files = count()
        yield lambda: f"sqlite:///{tmp_path}/{next(files)}.db"
    else:
        with postgres() as server:
            yield lambda: fresh_database(server)


@pytest.fixture(params=["sqlite", "postgresql"])
def scene(request: pytest.FixtureRequest) -> Scene:
    found: Scene = request.getfixturevalue(f"on_{request.param}")
    return found
