"""The local chain: free gas for everybody, and nothing left running."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from tests.chain.nodes import Relay

from medledger.chain import local
from medledger.chain.contract import Call
from medledger.chain.keys import address_of
from medledger.chain.local import LocalChain, find_anvil, free_port
from medledger.chain.rpc import Rpc
from medledger.chain.sender import Sender
from medledger.core.hashing import keccak256
from medledger.errors import PortUnusable, RpcUnavailable, ToolMissing

KEY = keccak256(b"a key without money")


@pytest.mark.anvil
def test_local_chain__in_a_with_block__runs_and_then_is_gone() -> None:
    with LocalChain(chain_id=4711) as chain:
        rpc = Rpc(chain.url)
        assert rpc.chain_id() == 4711
        assert Sender(rpc, KEY).send(Call(address_of(KEY), b"", "nothing")).block == 1

    assert chain.process.poll() is not None
    with pytest.raises(RpcUnavailable):
        rpc.chain_id()
    chain.stop()


@pytest.mark.anvil
def test_local_chain__with_an_interval__blocks_come_by_themselves() -> None:
    with LocalChain(block_seconds=0.1) as chain:
        sender = Sender(Rpc(chain.url), KEY)

        receipts = list(sender.send_many([Call(address_of(KEY), b"", "nothing")] * 5))

    assert [receipt.block > 0 for receipt in receipts] == [True] * 5


@pytest.mark.anvil
def test_local_chain__with_a_state_file__goes_on_after_a_restart(tmp_path: Path) -> None:
    state = tmp_path / "state.json"
    with LocalChain(state_file=state) as chain:
        Sender(Rpc(chain.url), KEY).send(Call(address_of(KEY), b"", "nothing"))
        genesis = Rpc(chain.url).genesis_hash()

    with LocalChain(state_file=state) as chain:
        rpc = Rpc(chain.url)

        assert rpc.genesis_hash() == genesis
        assert rpc.block_number() == 1
        assert int(rpc.request("eth_getTransactionCount", address_of(KEY), "latest"), 16) == 1


@pytest.mark.anvil
def test_local_chain__an_option_that_anvil_lacks__unavailable_with_anvils_words() -> None:
    with pytest.raises(RpcUnavailable, match="Anvil ended with 2") as error:
        LocalChain(options=("--no-such-option",))

    assert "\n" not in str(error.value)


def test_local_chain__a_port_that_another_node_has__is_not_taken_for_its_own(
    anvil: LocalChain,
) -> None:
    port = int(anvil.url.rsplit(":", 1)[1])

    with pytest.raises(PortUnusable, match=f"port {port} is in use"):
        LocalChain(port=port, chain_id=4711)


@pytest.mark.anvil
def test_local_chain__a_port_that_something_else_has__port_unusable() -> None:
    with Relay() as relay:
        relay.before = lambda calls: 404

        with pytest.raises(PortUnusable, match="is in use") as error:
            LocalChain(port=int(relay.url.rsplit(":", 1)[1]))

    assert "\n" not in str(error.value)


def test_find_anvil__beside_this_python__is_that_one() -> None:
    assert Path(find_anvil()).is_relative_to(sys.prefix)


def test_find_anvil__not_installed__tool_missing_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(ToolMissing, match="anvil") as error:
        find_anvil()

    assert "make setup" in error.value.hint


def test_find_anvil__on_the_path_only__is_found(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "anvil"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))

    assert find_anvil() == str(program)


def test_free_port__asked_twice__can_be_bound() -> None:
    assert 1024 <= free_port() <= 65535
    assert local.free_port() != 0
