"""What goes wrong is one line or one object, with the exit code of its family."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import pytest
from tests.cli.running import PROGRAM, Town, clean_environment, run, run_program, spawn

from medledger.chain.local import LocalChain, free_port
from medledger.cli.failures import asks_for_json, error_object, exit_code_of, people_message
from medledger.core.states import State
from medledger.errors import (
    AuthorisationExpired,
    CodeInvalid,
    KindMissing,
    NumberSkipped,
    OverPrescribed,
    StateForbids,
    StatusMismatch,
)
from medledger.roles import Auditor

NUMBER = "46060126-0000000001"


def test_rpc__that_is_down__says_so_and_what_to_do(town: Town) -> None:
    url = f"http://127.0.0.1:{free_port()}"

    told, found = run("status", NUMBER, "--rpc", url), run("audit", "--rpc", url, "--json")

    assert (told.code, found.code) == (6, 6)
    assert told.out == ""
    assert told.err == (
        f"medledger: no answer from {url}: nothing listens there; "
        "check the address, or start a local chain: medledger chain\n"
    )
    assert found.err == ""
    assert found.error == {
        "code": "RpcUnavailable",
        "message": f"no answer from {url}: nothing listens there",
        "hint": "check the address, or start a local chain: medledger chain",
        "url": url,
        "problem": "nothing listens there",
    }


def test_rpc__that_is_no_address__is_one_line(town: Town) -> None:
    ran = run("status", NUMBER, "--rpc", "localhost")

    assert ran.code == 6
    assert ran.err.startswith("medledger: no answer from localhost: not an HTTP address; ")


def test_chain__of_another_id__has_no_manifest_here(town: Town) -> None:
    with LocalChain(chain_id=9) as other:
        ran = run("status", NUMBER, "--rpc", other.url)
        named = run("status", NUMBER, "--rpc", other.url, "--deployment", town.manifest)

    assert ran.code == 7
    assert ran.err == (
        "medledger: no deployment manifest at deployments/9.json; "
        "deploy first (medledger deploy), or name one with --deployment\n"
    )
    assert named.code == 6
    assert named.err == (
        f"medledger: expected chain 31337, but {other.url} is chain 9; "
        "name the deployment of this chain with --deployment\n"
    )


def test_chain__that_was_reset__is_told_from_the_one_before(town: Town) -> None:
    with LocalChain() as fresh:
        ran = run("status", NUMBER, "--rpc", fresh.url, "--json")

    assert ran.code == 6
    assert ran.error["code"] in ("WrongChain", "ContractMissing")


def test_contracts__that_are_not_there__are_named(town: Town, tmp_path: Path) -> None:
    manifest = json.loads(town.manifest.read_text())
    manifest["contracts"]["Invoices"]["address"] = "0x" + 40 * "2"
    path = tmp_path / "manifest.json"
    path.write_text(json.dumps(manifest))

    ran = run("status", NUMBER, "--deployment", path)

    assert ran.code == 6
    assert ran.err == (
        f"medledger: no Invoices contract at 0x{40 * '2'} on {town.chain.url}; "
        "deploy first: medledger deploy\n"
    )


def test_manifest__that_is_none__is_named(town: Town, tmp_path: Path) -> None:
    path = tmp_path / "manifest.json"
    path.write_text("{")

    ran = run("audit", "--deployment", path)

    assert ran.code == 7
    assert ran.err == f"medledger: the deployment manifest {path} is not readable JSON\n"


def test_address__with_a_password__is_shown_without(town: Town) -> None:
    url = f"http://auditor:hunter2@127.0.0.1:{free_port()}"

    told, found = run("audit", "--rpc", url), run("audit", "--rpc", url, "--json")
    store = run("evidence", NUMBER, "--store", "nosuch://hospital:hunter2@db/bills")

    assert (told.code, found.code, store.code) == (6, 6, 7)
    assert "hunter2" not in told.err + found.out + store.err
    assert "no answer from http://127.0.0.1:" in told.err


def test_control_characters__of_a_strangers_file__do_not_reach_the_terminal(
    town: Town, tmp_path: Path
) -> None:
    path = tmp_path / "bill.json"
    assert run("evidence", town.bill(), "--only", "TotalAmount", "--out", path).code == 0
    evidence = json.loads(path.read_text())
    evidence["fields"]["\x1b[2J"] = evidence["fields"].pop("TotalAmount")
    path.write_text(json.dumps(evidence))

    ran = run("verify", path)

    assert ran.code == 5
    assert "\x1b" not in ran.out + ran.err


def test_store__that_is_none__is_named(town: Town) -> None:
    ran = run("evidence", NUMBER, "--store", "hospital.db", "--json")

    assert ran.code == 7
    assert ran.error["code"] == "StoreError"


def test_number__that_is_none__is_input_that_cannot_be_taken(town: Town) -> None:
    ran = run("status", "460")

    assert ran.code == 3
    assert ran.err == (
        "medledger: '460' is not a document number; expected 8 digits, a dash, 10 digits\n"
    )


def test_number__without_dash__is_the_same(town: Town) -> None:
    assert run("status", NUMBER.replace("-", ""), "--json").json["number"] == NUMBER


def test_file__that_may_not_be_written__is_named(town: Town, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    ran = run("evidence", town.bill(), "--out", tmp_path / "file" / "bill.json")

    assert ran.code == 7
    assert ran.err.startswith(f"medledger: {tmp_path}/file")
    assert ran.err.count("\n") == 1


@pytest.mark.parametrize("flag", [(), ("--json",)])
def test_audit__that_finds_a_mismatch__shows_the_result_and_exits_with_8(
    town: Town, monkeypatch: pytest.MonkeyPatch, flag: tuple[str, ...]
) -> None:
    found = [f"bill {at}: events say 1, storage holds 2" for at in range(21)]
    whole = Auditor.audit
    monkeypatch.setattr(
        Auditor, "audit", lambda self, *, until: replace(whole(self, until=until), mismatches=found)
    )

    ran = run("audit", *flag)

    assert ran.code == 8
    if flag:
        assert ran.json["mismatches"] == found
        assert ran.error["code"] == "AuditMismatch"
    else:
        assert ran.out.endswith(f"{found[19]}\n... and 1 more; --json lists all\n")
        assert ran.err == (
            f"medledger: 21 of the records disagree with the chain; the first: {found[0]}\n"
        )


# Wrong command lines


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["isue"], "there is no command 'isue' (did you mean issue?); see medledger --help"),
        (["settle"], "missing argument 'NUMBER'; see medledger settle --help"),
        (
            ["settle", NUMBER],
            "missing option '--amount-minor'; see medledger settle --help",
        ),
        (
            ["settle", NUMBER, "--amount-minor", "12.50"],
            "invalid value for '--amount-minor': '12.50' is not a valid integer range; "
            "see medledger settle --help",
        ),
        (["key", "nwe"], "there is no command 'nwe' (did you mean new?); see medledger key --help"),
        (
            ["audit", "--untl", "3"],
            "there is no option --untl (did you mean --until?); see medledger audit rebuild --help",
        ),
        (
            ["renew", "2", "--valid-until", "soon"],
            "invalid value for '--valid-until': expected 2026-12-31, 2026-12-31T08:00:00Z or Unix "
            "seconds; see medledger renew --help",
        ),
        (
            ["operator", "remove", "0x12"],
            "invalid value for 'ADDRESS': expected an address, 0x and 40 hexadecimal digits; "
            "see medledger operator remove --help",
        ),
        (
            ["operator", "remove", "0x4B20993Bc481177ec7E8f571ceCaE8A9e22C02dB"],
            "invalid value for 'ADDRESS': the address has a wrong checksum; copy it again; "
            "see medledger operator remove --help",
        ),
    ],
)
def test_command_line__that_is_wrong__says_what_and_where_help_is(
    arguments: list[str], message: str
) -> None:
    told, found = run(*arguments), run(*arguments, "--json")

    assert (told.code, found.code) == (2, 2)
    assert (told.out, told.err) == ("", f"medledger: {message}\n")
    assert found.error["code"] == "UsageError"


def test_asks_for_json__after_a_double_dash__is_an_argument() -> None:
    assert asks_for_json(["verify", "x", "--json"])
    assert not asks_for_json(["verify", "--", "--json"])


# The unexpected


def broken() -> None:
    raise ZeroDivisionError("with a name in its message")


def test_unexpected_error__for_people__names_its_type_alone(
    capsys: pytest.CaptureFixture[str],
) -> None:
    code = exit_code_of(broken, as_json=False)

    assert code == 1
    assert capsys.readouterr() == (
        "",
        "medledger: unexpected ZeroDivisionError; set MEDLEDGER_DEBUG=1 to see where it comes "
        "from\n",
    )


def test_unexpected_error__with_debug__shows_where(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEDLEDGER_DEBUG", "1")

    code = exit_code_of(broken, as_json=True)

    out, err = capsys.readouterr()
    assert code == 1
    assert json.loads(out)["error"]["code"] == "ZeroDivisionError"
    assert err.startswith("Traceback (most recent call last):\n")


def test_known_error__without_debug__has_no_traceback(town: Town) -> None:
    assert "Traceback" not in run("status", "460").err


@pytest.mark.parametrize("flag", [(), ("--json",)])
def test_interrupt__while_a_node_is_silent__exits_with_130(
    tmp_path: Path, flag: tuple[str, ...]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with spawn("audit", "--rpc", url, *flag, cwd=tmp_path) as process:
            connection, _ = silent.accept()
            time.sleep(0.1)
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=30)
        connection.close()

    assert process.returncode == 130
    assert err.strip() == ""
    assert (json.loads(out)["error"]["code"] if flag else out) == ("Interrupted" if flag else "")


def test_closed_pipe__while_writing__is_quiet(town: Town) -> None:
    command = f"{PROGRAM} trace {NUMBER} --rpc {town.chain.url} | true; exit ${{PIPESTATUS[0]}}"

    ran = subprocess.run(
        ["bash", "-c", command], capture_output=True, text=True, env=clean_environment()
    )

    assert ran.stderr == ""
    assert ran.returncode in (0, 1)


def test_program__without_arguments__shows_help_and_exits_with_0() -> None:
    ran, family = run_program(), run("key")

    assert (ran.code, family.code) == (0, 0)
    assert ran.out.startswith("Usage: medledger [OPTIONS] COMMAND")
    assert family.out.startswith("Usage: medledger key [OPTIONS] COMMAND")


# Words


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (
            NumberSkipped(number=460601260000000009, next=460601260000000007),
            "number 46060126-0000000009 would leave a gap; the next number is 46060126-0000000007",
        ),
        (
            AuthorisationExpired(number=460601260000000009, deadline=1_700_000_000),
            "the patient's authorisation for 46060126-0000000009 ended at 2023-11-14T22:13:20Z",
        ),
        (
            OverPrescribed(number=460601260000000009, line=0, quantity=3, remaining=2),
            "3 is more than the 2 left of line 1 of 46060126-0000000009",
        ),
        (
            KindMissing(institution=3, kind=1),
            "institution 3 is not accredited for this kind of act (bit 1: hospital)",
        ),
        (
            StateForbids(number=460801260000000009, state=State.IN_TRANSIT),
            "prescription 46080126-0000000009 is in transit, which forbids this",
        ),
        (
            StatusMismatch(problem="it was reversed by 460601260000000009\nand more"),
            "it was reversed by 46060126-0000000009 and more",
        ),
    ],
)
def test_message__for_people__has_numbers_times_and_states_in_words(
    error: Exception, message: str
) -> None:
    assert people_message(error) == message


def test_error_object__for_machines__has_numbers_as_text_and_times_in_seconds() -> None:
    expired = AuthorisationExpired(number=460601260000000009, deadline=1_700_000_000)

    found = error_object(expired)["error"]

    assert found["number"] == "46060126-0000000009"
    assert found["deadline"] == 1_700_000_000


def test_error_object__error_with_a_value_called_code__keeps_its_own_name() -> None:
    assert error_object(CodeInvalid(code=5))["error"]["code"] == "CodeInvalid"
