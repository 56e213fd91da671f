"""That the proofs and the mutants speak of the contracts as they are."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from proofs.mutate import path_of

ROOT = Path(__file__).parents[1]
PROOFS = ROOT / "proofs"

ABSTRACT = {"ClaimBook", "DocumentLedger", "PatientActs", "SignedActs"}


@pytest.fixture(scope="module")
def mutants():
    return tomllib.loads((PROOFS / "mutants.toml").read_text("utf-8"))["mutant"]


@pytest.fixture(scope="module")
def properties():
    """`Contract.check_...` of every property."""
    return {
        f"{path.stem}.{name}"
        for path in PROOFS.glob("*.sol")
        for name in re.findall(r"function (check_\w+)", path.read_text("utf-8"))
    }


def test_fixture__contracts_that_it_deploys__are_all_that_ship():
    fixture = (PROOFS / "Fixture.sol").read_text("utf-8")
    artifacts = (ROOT / "src" / "medledger" / "chain" / "artifacts").glob("*.json")

    assert set(re.findall(r'_deploy\("(\w+)"', fixture)) == {path.stem for path in artifacts}


def test_mutants__each_line__stands_once_in_its_contract(mutants):
    for mutant in mutants:
        source = (ROOT / "contracts" / mutant["file"]).read_text("utf-8")
        assert source.count(mutant["old"]) == 1, mutant["rule"]


def test_mutants__tests_that_they_name__exist(mutants):
    named = {name for mutant in mutants for name in mutant["tests"]}

    assert {name for name in named if not (ROOT / path_of(name)).is_file()} == set()


def test_mutants__what_they_deploy__is_a_contract(mutants):
    for mutant in mutants:
        names = mutant.get("deployed", [Path(mutant["file"]).stem] if "property" in mutant else [])
        for name in [*names, *mutant.get("model", [])]:
            assert (ROOT / "contracts" / f"{name}.sol").is_file(), mutant["rule"]


def test_mutants__that_the_model_finds__are_ten_at_least_over_all_contracts(mutants):
    found = [mutant for mutant in mutants if "model" in mutant]
    ships = (
        {path.stem for path in (ROOT / "contracts").glob("*.sol")} - ABSTRACT - {"SettlementToken"}
    )

    assert len(found) >= 10
    assert {name for mutant in found for name in mutant["model"]} == ships


def test_properties__every_one__is_refuted_by_a_mutant(mutants, properties):
    assert {mutant["property"] for mutant in mutants if "property" in mutant} == properties


def test_proofs_page__table_of_rules__is_that_of_the_mutants(mutants):
    page = (ROOT / "docs" / "proofs.md").read_text("utf-8")
    rows = []
    for mutant in mutants:
        tests = ", ".join(f"`{name}`" for name in mutant["tests"])
        tests += ", the model" if "model" in mutant else ""
        refuted = f"`{mutant['property']}`" if "property" in mutant else ""
        rows.append(f"| {mutant['rule']} | {tests} | {refuted} |")

    assert "\n".join(rows) in page
