"""The auditor's questions and checks on the command line."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.chain.nodes import pass_time
from tests.cli.running import Town, run

from medledger.chain.rpc import Rpc


@pytest.fixture
def index(town: Town, tmp_path: Path) -> str:
    """The address of an index of the town's chain."""
    url = f"sqlite:///{tmp_path / 'index.db'}"
    sync(url)
    return url


def sync(index: str) -> None:
    assert run("audit", "sync", "--index", index, "--json").code == 0


def test_audit_state__a_locked_bill__then_and_before(
    town: Town, index: str, tmp_path: Path
) -> None:
    number = town.bill()
    evidence = town.evidence(number, tmp_path)
    signed = town.claim(number, "payer", 500, tmp_path)
    # Not in the second in which it was issued.
    pass_time(Rpc(town.chain.url), 2)
    assert town.act("payer", "lock", evidence, "--authorisation", signed).code == 0
    sync(index)
    steps = run("trace", number, "--index", index, "--json").json["steps"]
    locked = steps[-1]["time"]

    people = run("audit", "state", number, "--index", index)
    now = run("audit", "state", number, "--index", index, "--json").json
    before = run("audit", "state", number, "--at", locked - 1, "--index", index, "--json").json

    assert (now["locked_minor"], before["locked_minor"]) == (500, 0)
    assert now["held"]["claims"][0]["status"] == "locked"
    assert "claims" not in before["held"]
    assert "locked (minor units)      500" in people.out
    early = run("audit", "state", number, "--at", "2020-01-01", "--index", index)
    assert (early.code, "is not in the chain by then" in early.err) == (7, True)
    late = run("audit", "state", number, "--at", "2200-01-01T08:00:00+08:00", "--index", index)
    assert (late.code, "before 2200-01-01T00:00:00Z" in late.err) == (7, True)


def test_audit_proof__of_a_bill__is_verified_without_a_node(
    town: Town, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    number, file = town.bill(), tmp_path / "proof.json"
    made = run("audit", "proof", number, "--out", file, "--json").json
    verify = ("audit", "verify-proof", file, "--deployment", town.manifest)
    monkeypatch.setenv("MEDLEDGER_RPC", "http://127.0.0.1:1")

    people = run(*verify, "--block-hash", made["block_hash"])
    machines = run(*verify, "--block-hash", made["block_hash"], "--json").json
    wrong = run(*verify, "--block-hash", "0x" + 64 * "1", "--json")

    assert f"{number} (invoice): holds in block {made['block']}" in people.out
    heads = [one for one in machines["values"] if one["variable"].startswith("headHashOf")]
    assert (heads[0]["contract"], len(heads[0]["value"])) == ("Invoices", 66)
    assert (wrong.code, wrong.error["code"]) == (8, "ProofMismatch")
    assert run(*verify, "--block-hash", "0x12").code == 2
    file.write_text("{}")
    assert run(*verify, "--block-hash", made["block_hash"]).code == 3


def test_audit_contracts__of_the_town__are_as_they_should_be_with_every_privileged_act(
    town: Town, index: str
) -> None:
    people = run("audit", "contracts", "--index", index)
    machines = run("audit", "contracts", "--index", index, "--json").json

    assert (people.code, people.out.count("as it should be")) == (0, len(machines["contracts"]))
    assert "supervisor 1" in people.out
    supervisor = run("key", "address", town.key("supervisor")).out.strip()
    assert machines["supervisors"] == [{"institution": 1, "suspended": False, "keys": [supervisor]}]
    acts = [act["act"] for act in machines["acts"]]
    assert acts.count("InstitutionAccredited") == 7
    assert acts.count("SegmentAllotted") >= 2
    assert "BatchIssued" not in acts
    assert machines["mismatches"] == []


def test_audit_contracts__a_manifest_that_is_not_the_deployments__ends_with_8(
    town: Town, index: str, tmp_path: Path
) -> None:
    changed = tmp_path / "changed.json"
    manifest = json.loads(town.manifest.read_text())
    changed.write_text(json.dumps(manifest | {"leasePeriod": 7}))

    ran = run("audit", "contracts", "--index", index, "--deployment", changed, "--json")

    assert (ran.code, ran.error["code"]) == (8, "AuditMismatch")
    assert "not the manifest's 7" in ran.json["mismatches"][0]


@pytest.mark.parametrize("verb", ["check", "contracts", "batches"])
def test_audit__an_index_into_which_nothing_was_read__says_so(
    verb: str, town: Town, tmp_path: Path
) -> None:
    ran = run("audit", verb, "--index", f"sqlite:///{tmp_path / 'empty.db'}", "--json")

    assert (ran.code, ran.error["code"]) == (7, "IndexEmpty")


@pytest.mark.parametrize("name", ["day.csv", "day.ndjson"])
def test_audit_reconcile__the_hospitals_statement__agrees_until_a_row_is_changed(
    name: str, town: Town, index: str, tmp_path: Path
) -> None:
    batch = run("audit", "batches", "--index", index, "--json").json["batches"][0]
    day = f"{datetime.fromtimestamp(batch['time'], UTC):%Y-%m-%d}"
    file, of_day = tmp_path / name, ("--day", day, "--zone", "+00:00")
    hospital = ("--institution", town.institutions["hospital"], "--index", index)

    made = run("statement", *of_day, "--out", file, "--json").json
    same = run("audit", "reconcile", file, *of_day, *hospital)
    file.write_text(file.read_text().replace("46060126-0000000001", "46060126-0000000999", 1))
    people, machines = (
        run("audit", "reconcile", file, *of_day, *hospital, *flag) for flag in ([], ["--json"])
    )

    assert (made["bills"] >= 10, same.code, same.err) == (True, 0, "")
    assert "batches proven by their roots" in same.out
    assert (people.code, machines.code, machines.error["code"]) == (8, 8, "StatementMismatch")
    kinds = {(one["kind"], one["number"]) for one in machines.json["differences"]}
    assert ("missing_in_file", "46060126-0000000001") in kinds
    assert ("missing_on_chain", "46060126-0000000999") in kinds
    assert "missing_on_chain" in people.out


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("--day", "27.11.2026"), 2, "expected a day as 2026-11-27"),
        (("--day", "2026-11-27", "--zone", "Mars"), 2, "expected +08:00"),
        (("--day", "2200-01-01"), 7, "the index ends at"),
    ],
)
def test_audit_reconcile__wrong_arguments__say_what_is_expected(
    arguments: tuple[str, ...], code: int, said: str, index: str, tmp_path: Path
) -> None:
    file = tmp_path / "day.csv"
    file.write_text("number,totalMinor,claimable\n")

    ran = run("audit", "reconcile", file, *arguments, "--institution", 2, "--index", index)

    assert (ran.code, said in ran.err) == (code, True), ran.err
