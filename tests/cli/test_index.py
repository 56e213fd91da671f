"""The auditor's index on the command line: synced, asked, and checked."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.cli.running import Town, run

from medledger.cli.analysis import sparkline


@pytest.fixture
def index(town: Town, tmp_path: Path) -> str:
    """The address of an index of the town's chain."""
    url = f"sqlite:///{tmp_path / 'index.db'}"
    assert run("audit", "sync", "--index", url, "--json").json["new_events"] > 0
    return url


def test_audit_sync__again__has_nothing_new(index: str) -> None:
    again = run("audit", "sync", "--index", index, "--json").json

    assert (again["new_events"], again["rolled_back"]) == (0, 0)
    assert again["events"] > 0


def test_audit_sync__two_nodes__are_both_asked(town: Town, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'two.db'}"

    told = run("audit", "sync", "--index", url, "--rpc", f"{town.chain.url},{town.chain.url}")

    assert (told.code, told.err) == (0, "")
    assert "up to block" in told.out


def test_audit_sync__no_node__is_the_familys_exit_code(town: Town, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'no.db'}"

    assert run("audit", "sync", "--index", url, "--rpc", "http://127.0.0.1:1").code == 6


@pytest.mark.parametrize("verb", ["batches", "segments", "claims", "overdue"])
def test_audit__each_list__for_people_and_machines(verb: str, index: str) -> None:
    people, machines = (run("audit", verb, "--index", index, *flag) for flag in ([], ["--json"]))

    assert (people.code, machines.code) == (0, 0)
    assert len(machines.json[verb]) == people.out.count("\n") - 1


def test_audit_batches__since_the_future__are_none(index: str) -> None:
    assert run("audit", "batches", "--index", index, "--since", "2200-01-01", "--json").json == {
        "batches": []
    }


def test_audit_institution__a_hospital__says_what_it_is(town: Town, index: str) -> None:
    id_ = town.institutions["hospital"]

    told = run("audit", "institution", id_, "--index", index)
    found = run("audit", "institution", id_, "--index", index, "--json").json

    assert "hospital" in told.out
    assert found["acts"]["InstitutionAccredited"] == 1
    assert run("audit", "institution", 999, "--index", index).code == 7


def test_audit_export__for_people_and_machines__makes_a_new_folder(
    town: Town, index: str, tmp_path: Path
) -> None:
    out = tmp_path / "out"

    people = run("audit", "export", out, "--index", index)
    machines = run("audit", "export", f"{out}-csv", "--format", "csv", "--index", index, "--json")

    assert (people.code, machines.code) == (0, 0)
    assert machines.json["rows"]["batches"] == len(
        run("audit", "batches", "--index", index, "--json").json["batches"]
    )
    assert people.out.count("\n") == 2 + len(machines.json["rows"])
    assert (out / "export.json").exists()
    assert list((out / "claims").glob("*.parquet"))


def test_audit_summary__for_people_and_machines__agrees_with_the_lists(
    town: Town, index: str
) -> None:
    people = run("audit", "summary", "--index", index)
    found = run("audit", "summary", "--index", index, "--json").json

    batches = run("audit", "batches", "--index", index, "--json").json["batches"]
    claims = run("audit", "claims", "--index", index, "--json").json["claims"]
    assert sum(found["issued"].values()) == sum(batch["count"] for batch in batches)
    assert sum(one["claims"] for one in found["claims"]) == len(claims)
    assert found["identity"]["chain_id"] == 31337
    assert "from bill to reimbursement" in people.out or not found["took"]["count"]
    assert "█" in people.out


def test_audit_report__to_a_file__is_a_page_of_this_chain(
    town: Town, index: str, tmp_path: Path
) -> None:
    out = tmp_path / "new" / "report.html"

    people = run("audit", "report", out, "--index", index)
    machines = run("audit", "report", out, "--findings", 0, "--index", index, "--json")

    assert (people.code, machines.code) == (0, 0)
    assert machines.json["file"] == str(out)
    assert f"block {machines.json['block']}" in out.read_text("utf-8")


@pytest.mark.parametrize(
    ("values", "encoding", "line"),
    [
        ([0, 1, 4, 8], "utf-8", " ▁▄█"),
        ([5], "utf-8", "█"),
        ([0, 0], "utf-8", "  "),
        ([], "utf-8", ""),
        ([0, 1, 8], "ascii", " .@"),
    ],
)
def test_sparkline__of_values__is_as_high_as_they_are(
    values: list[int], encoding: str, line: str
) -> None:
    assert sparkline(values, encoding) == line


def test_audit_export__a_folder_in_use__is_refused_and_kept(index: str, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine", "utf-8")

    ran = run("audit", "export", tmp_path, "--index", index, "--json")

    assert (ran.code, ran.error["code"]) == (3, "OutputInUse")
    assert (tmp_path / "mine").read_text("utf-8") == "mine"


def test_trace__with_an_index__is_what_the_node_says(town: Town, index: str) -> None:
    first = run("audit", "batches", "--index", index, "--json").json["batches"][0]["first"]
    kind = ("--kind", "invoice")

    by_index = run("trace", first, *kind, "--index", index, "--json")

    assert by_index.json == run("trace", first, *kind, "--json").json | {"refused": []}


def test_audit_check__since_the_future__finds_nothing_and_ends_with_0(index: str) -> None:
    ran = run("audit", "check", "--index", index, "--since", "2200-01-01")

    assert (ran.code, ran.out) == (0, "nothing found\n")


def test_audit_check__a_hospital_acted_before_its_suspension__ends_with_8(
    town: Town, index: str
) -> None:
    hospital = town.institutions["hospital"]
    assert town.act("supervisor", "suspend", hospital, "--reason", 1).code == 0
    assert town.act("supervisor", "reinstate", hospital).code == 0
    run("audit", "sync", "--index", index)

    people, machines = (run("audit", "check", "--index", index, *flag) for flag in ([], ["--json"]))

    assert (people.code, machines.code) == (8, 8)
    assert machines.error["code"] == "IrregularityFound"
    found = [item for item in machines.json["findings"] if item["rule"] == "acting_near_suspension"]
    assert found[0]["evidence"][-1]["event"] == "InstitutionSuspended"
    assert "acting_near_suspension" in people.out
