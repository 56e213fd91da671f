"""One chain and one gateway for the whole folder; a test that stops something has its own."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from tests.gateway.scene import Scene, serving, set_scene

from medledger.chain.local import LocalChain


@pytest.fixture(scope="session")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with LocalChain() as chain:
        yield set_scene(chain, tmp_path_factory.mktemp("gateway"))


@pytest.fixture(scope="session")
def client(scene: Scene) -> Iterator[httpx.Client]:
    with serving(scene.settings()) as found:
        yield found


@pytest.fixture
def stranger(client: httpx.Client) -> Iterator[httpx.Client]:
    """Somebody without the token."""
    with httpx.Client(base_url=client.base_url, timeout=60) as found:
        yield found
