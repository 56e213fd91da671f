"""One Anvil for the whole run, with the contracts and accredited roles on it.

Each test that takes `world` begins at the same block: the chain goes back after it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.roles.world import Deployment, World, deployment_on

from medledger.chain.local import LocalChain
from medledger.chain.rpc import Rpc


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "anvil" in getattr(item, "fixturenames", ()):
            item.add_marker("anvil")


@pytest.fixture(scope="session")
def anvil() -> Iterator[LocalChain]:
    """A node without fees. Tests put its state back: see `world` and `rpc`."""
    with LocalChain() as node:
        yield node


@pytest.fixture(scope="session")
def deployment(anvil: LocalChain) -> Deployment:
    return deployment_on(Rpc(anvil.url))


@pytest.fixture
def rpc(anvil: LocalChain, deployment: Deployment) -> Iterator[Rpc]:
    """Requests to the node, which goes back to where it was."""
    rpc = Rpc(anvil.url)
    snapshot = rpc.request("evm_snapshot")
    yield rpc
    # The pool is no part of a snapshot.
    rpc.request("anvil_dropAllTransactions")
    assert rpc.request("evm_revert", snapshot)


@pytest.fixture
def world(rpc: Rpc, deployment: Deployment, tmp_path: Path) -> Iterator[World]:
    """The people of the deployment, each without a past."""
    world = World(deployment, tmp_path)
    yield world
    world.close()
