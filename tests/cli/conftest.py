"""One chain and one town for all tests of one file of the command line.

No test may undo what another one needs: each takes its own bill (`town.bill()`), and puts back what
it suspends. A file has its town alone, because audits count what the whole town did, and which
files run before in the same process is chance.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cli.running import Town, build, inside

from medledger.chain.local import LocalChain


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if (
            "node" in getattr(item, "fixturenames", ())
            and Path(__file__).parent in item.path.parents
        ):
            item.add_marker("anvil")


@pytest.fixture(scope="module")
def node() -> Iterator[LocalChain]:
    """A chain of their own, which nobody takes back to an earlier block."""
    with LocalChain() as chain:
        yield chain


@pytest.fixture(scope="module")
def built(node: LocalChain, tmp_path_factory: pytest.TempPathFactory) -> Town:
    folder = tmp_path_factory.mktemp("town")
    with pytest.MonkeyPatch.context() as settings, inside(folder):
        settings.setenv("MEDLEDGER_RPC", node.url)
        return build(folder, node)


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of a person who runs the tests counts."""
    for name in [name for name in os.environ if "MEDLEDGER" in name]:
        monkeypatch.delenv(name)


@pytest.fixture
def town(built: Town, no_settings: None, monkeypatch: pytest.MonkeyPatch) -> Town:
    """The town, with its folder as the current one and its chain as the default."""
    monkeypatch.chdir(built.folder)
    monkeypatch.setenv("MEDLEDGER_RPC", built.chain.url)
    return built
