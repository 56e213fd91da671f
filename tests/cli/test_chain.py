"""`chain` and `deploy`: a node that ends cleanly, and a manifest that is not overwritten."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
from pathlib import Path

import pytest
from tests.cli.running import Town, run, run_program, spawn

from medledger.chain.abi import CONTRACTS
from medledger.chain.local import free_port
from medledger.chain.rpc import Rpc
from medledger.errors import RpcUnavailable


def first_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()


def end(process: subprocess.Popen[str], number: signal.Signals) -> tuple[int, str]:
    process.send_signal(number)
    _, err = process.communicate(timeout=30)
    return process.returncode, err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_chain__until_it_is_told_to_end__serves_and_leaves_nothing_behind(
    number: signal.Signals,
) -> None:
    with spawn("chain", "--port", "0", "--json") as process:
        started = json.loads(first_line(process))
        chain_id = Rpc(started["rpc"]).chain_id()
        ended = end(process, number)

    assert started["chain_id"] == chain_id == 31337
    assert ended == (0, "")
    with pytest.raises(RpcUnavailable):
        Rpc(started["rpc"]).chain_id()


def test_chain__for_people__says_where_it_runs_and_what_others_need() -> None:
    port = free_port()

    with spawn("chain", "--port", port) as process:
        lines = [first_line(process), first_line(process)]
        end(process, signal.SIGTERM)

    url = f"http://127.0.0.1:{port}"
    assert lines == [
        f"Chain 31337 runs at {url} (end it with Ctrl-C)\n",
        f"Others need: export MEDLEDGER_RPC={url}\n",
    ]


def test_chain__with_a_state_file__is_the_same_chain_the_next_time(tmp_path: Path) -> None:
    state, key = tmp_path / "deep" / "chain.json", tmp_path / "supervisor.key"
    run("key", "new", key)

    def once(*command: object) -> str:
        with spawn("chain", "--port", "0", "--state", state, "--json") as process:
            url = json.loads(first_line(process))["rpc"]
            ran = run_program(*command, "--rpc", url, cwd=tmp_path)
            end(process, signal.SIGTERM)
        return ran.out + ran.err

    once("deploy", "--key", key)
    audited = once("audit", "--json")

    assert json.loads(audited)["institutions"] == 1


@pytest.mark.parametrize("flag", [(), ("--json",)])
def test_chain__port_in_use__is_one_clear_line(flag: tuple[str, ...]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ran = run_program("chain", "--port", port, *flag)

    message, hint = f"port {port} is in use", "name another with --port"
    assert ran.code == 6
    if flag:
        assert ran.error["message"] == message
        assert ran.err == ""
    else:
        assert ran.err == f"medledger: {message}; {hint}\n"


def test_chain__anvil_that_dies__ends_with_one_line() -> None:
    with spawn("chain", "--port", "0", "--json") as process:
        json.loads(first_line(process))
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        subprocess.run(["kill", "-9", *children], check=True)
        rest, err = process.communicate(timeout=30)

    assert process.returncode == 6
    assert rest == ""
    assert "Anvil ended by itself with -9" in err
    assert err.count("\n") == 1


def test_chain__without_anvil__says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.prefix", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    handlers = {number: signal.getsignal(number) for number in signal.valid_signals()}

    try:
        ran = run("chain", "--port", "0")
    finally:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, handlers[number])

    assert ran.code == 6
    assert ran.err == (
        "medledger: anvil is not installed; run make setup, or name a running chain with --rpc\n"
    )


def test_deploy__new_chain__writes_the_manifest_and_names_the_contracts(town: Town) -> None:
    found = town.ran["deploy"].json

    assert found["manifest"] == "deployments/31337.json"
    # Without a token there is nothing to hold in escrow.
    assert set(found["contracts"]) == set(CONTRACTS) - {"Escrow"}
    assert found["chain_id"] == 31337
    assert found["supervisor"] == 1
    assert json.loads(town.manifest.read_text())["genesisHash"] == found["genesis_hash"]


def test_deploy__where_the_contracts_are_alive__asks_first(town: Town) -> None:
    before = town.manifest.read_text()

    ran = town.act("supervisor", "deploy")

    assert ran.code == 7
    assert ran.err == (
        "medledger: deployments/31337.json names contracts that are alive on this chain; "
        "use them, or deploy others with --again\n"
    )
    assert town.manifest.read_text() == before


def test_deploy__again__keeps_the_older_manifest_beside(town: Town, tmp_path: Path) -> None:
    run("key", "new", tmp_path / "new.key")
    deploy = ("deploy", "--key", tmp_path / "new.key", "--out", tmp_path / "deployments")
    first = run(*deploy, "--lock-period", 60, "--lease-period", 60)

    ran = run(*deploy, "--again")

    assert (first.code, ran.code) == (0, 0)
    kept = sorted(path.name for path in (tmp_path / "deployments").iterdir())
    assert len(kept) == 2
    assert kept[1] == "31337.json"
    assert ran.out.startswith("Deployed on chain 31337\n")


def test_deploy__without_a_key__says_how_to_make_one(town: Town) -> None:
    ran = run("deploy")

    assert ran.code == 7
    assert ran.err == (
        "medledger: no key was given for this act; "
        "make one with medledger key new FILE, then name it with --key FILE\n"
    )
