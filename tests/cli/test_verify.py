"""`verify`: what holds, what does not and at which step, with and without a manifest."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.cli.running import SHOWN, Town, run

from medledger.cli.verify import PASSED, STEPS
from medledger.errors import EvidenceError

Change = Callable[[dict[str, Any]], None]


@pytest.fixture
def evidence(town: Town, tmp_path: Path) -> Path:
    out = tmp_path / "bill.json"
    assert run("evidence", town.bill(), "--only", SHOWN, "--out", out).code == 0
    return out


def altered(evidence: Path, change: Change) -> Path:
    found = json.loads(evidence.read_text())
    change(found)
    out = evidence.with_name("altered.json")
    out.write_text(json.dumps(found))
    return out


def test_verify__with_the_manifest__names_each_step_and_the_issuer(
    town: Town, evidence: Path
) -> None:
    ran = run("verify", evidence)

    assert ran.code == 0
    assert [line.split()[1] for line in ran.out.splitlines() if " ok " in line] == list(STEPS)
    assert "Holds. Issued by institution 2 (County Hospital), name hash 0x" in ran.out


def test_verify__with_the_manifest__is_pinned(town: Town, evidence: Path) -> None:
    found = run("verify", evidence, "--json").json

    assert (found["verified"], found["failed"]) == (1, 0)
    assert found["files"][0]["pinned"] is True
    assert found["files"][0]["passed"] == list(STEPS)
    assert found["files"][0]["institution"] == 2


def test_verify__from_another_folder__holds_and_says_that_it_is_not_pinned(
    town: Town, evidence: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(evidence.parent)

    told, found = run("verify", evidence.name), run("verify", evidence.name, "--json").json

    assert told.code == 0
    assert "NOT PINNED: the ledger's address was taken from the file itself" in told.out
    assert "institution 2 (County Hospital), name hash 0x" in told.out
    assert found["files"][0]["pinned"] is False
    assert found["files"][0]["name"] == "County Hospital"
    assert found["files"][0]["name_hash"].startswith("0x")


def test_verify__deployment_named_from_another_folder__is_pinned(
    town: Town, evidence: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(evidence.parent)

    ran = run("verify", evidence, "--deployment", town.manifest, "--json")

    assert ran.json["files"][0]["pinned"] is True


def test_verify__deployment_that_is_not_there__does_not_fall_back(
    town: Town, evidence: Path
) -> None:
    ran = run("verify", evidence, "--deployment", "none.json", "--json")

    assert ran.code == 7
    assert ran.error["code"] == "ManifestMissing"


def forge_amount(found: dict[str, Any]) -> None:
    found["fields"]["TotalAmount"]["value"] += 1


def forge_header(found: dict[str, Any]) -> None:
    found["header"]["claimable"] += 1


def forge_number(found: dict[str, Any]) -> None:
    found["number"] = "46060126-0000009999"


def forge_path(found: dict[str, Any]) -> None:
    found["path"] = [*found["path"], 64 * "0"]


def forge_batch(found: dict[str, Any]) -> None:
    found["head"]["segment"] += 1


def forge_chain(found: dict[str, Any]) -> None:
    found["anchor"]["chainId"] = 1


def garble(found: dict[str, Any]) -> None:
    del found["anchor"]


@pytest.mark.parametrize(
    ("change", "step"),
    [
        (garble, "format"),
        (forge_path, "format"),
        (forge_amount, "fields"),
        (forge_header, "header"),
        (forge_number, "path"),
        (forge_batch, "anchor"),
        (forge_chain, "anchor"),
    ],
)
@pytest.mark.parametrize("pinned", [True, False])
def test_verify__forged_evidence__fails_at_the_step_that_finds_it(
    town: Town,
    evidence: Path,
    monkeypatch: pytest.MonkeyPatch,
    change: Change,
    step: str,
    pinned: bool,
) -> None:
    forged = altered(evidence, change)
    if not pinned:
        monkeypatch.chdir(evidence.parent)

    told, found = run("verify", forged), run("verify", forged, "--json")

    assert (told.code, found.code) == (5, 5)
    assert f"FAILED  {step}: " in told.out
    assert told.err.startswith(f"medledger: {forged} does not hold: {step}: ")
    assert told.err.count("\n") == 1
    assert found.json["files"][0]["failed_step"] == step
    assert found.json["files"][0]["passed"] == list(STEPS[: STEPS.index(step)])
    assert found.error["step"] == step


def test_verify__ledger_that_is_none_of_ours__fails_at_its_anchor(
    town: Town, evidence: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forge_ledger(found: dict[str, Any]) -> None:
        found["anchor"]["ledger"] = "0x" + 40 * "1"

    forged = altered(evidence, forge_ledger)
    monkeypatch.chdir(evidence.parent)

    ran = run("verify", forged)

    assert ran.code == 5
    assert f"0x{40 * '1'}, which it names, is not our Invoices contract" in ran.err


def test_verify__one_of_two_files_forged__judges_both(town: Town, evidence: Path) -> None:
    forged = altered(evidence, forge_amount)

    told, found = run("verify", forged, evidence), run("verify", forged, evidence, "--json").json

    assert told.code == 5
    assert told.out.endswith("1 of 2 files hold\n")
    assert [file["ok"] for file in found["files"]] == [False, True]


def test_verify__before_it_was_issued__does_not_hold(town: Town, evidence: Path) -> None:
    ran = run("verify", evidence, "--at", "2020-01-01")

    assert ran.code == 5
    assert "FAILED  status: it was issued at " in ran.out


def test_steps__of_the_command__are_those_of_the_evidence_errors() -> None:
    assert set(STEPS) == set(PASSED)
    assert {kind.step for kind in EvidenceError.__subclasses__()} == set(STEPS)


def test_verify__file_that_is_missing__is_a_wrong_command_line(town: Town) -> None:
    ran = run("verify", "none.json")

    assert ran.code == 2
    assert ran.err == (
        "medledger: invalid value for 'FILES...': File 'none.json' does not exist; "
        "see medledger verify --help\n"
    )


def test_verify__copy_in_a_folder_of_its_own__needs_nothing_but_a_node(
    town: Town, evidence: Path, tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    shutil.copy(evidence, elsewhere)
    monkeypatch.chdir(elsewhere)
    monkeypatch.delenv("MEDLEDGER_RPC")

    ran = run("verify", "bill.json", "--rpc", town.chain.url)

    assert ran.code == 0
    assert [path.name for path in elsewhere.iterdir()] == ["bill.json"]
