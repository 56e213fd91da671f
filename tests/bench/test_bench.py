"""The benchmarks at small counts: every figure is there, and is one."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner, Result

from medledger.bench.bills import bills, make_pool
from medledger.cli.bench import bench
from medledger.core.documents import Invoice


def run(*arguments: str) -> Result:
    result = CliRunner().invoke(bench, arguments)
    assert result.exit_code == 0, result.output
    return result


@pytest.mark.anvil
def test_bench_issue__a_few_bills__prints_its_figures() -> None:
    found = json.loads(run("issue", "--count", "250", "--batch-size", "100", "--json").stdout)

    assert set(found) == {
        "bills",
        "seconds",
        "bills_per_second",
        "seal_per_second",
        "peak_rss_mb",
        "gas_per_bill",
        "batches",
        "store",
    }
    assert found["bills_per_second"] > 0
    assert found["seal_per_second"] > 0
    assert found["peak_rss_mb"] > 10
    assert 500 < found["gas_per_bill"] < 2_000
    assert (found["bills"], found["batches"], found["store"]) == (250, 3, "sqlite")


@pytest.mark.anvil
def test_bench_issue__several_counts__one_run_each() -> None:
    arguments = ("issue", "--count", "20", "--count", "40", "--batch-size", "10", "--workers", "1")

    found = json.loads(run(*arguments, "--json").stdout)

    assert [(one["bills"], one["batches"]) for one in found["runs"]] == [(20, 2), (40, 4)]
    assert all(one["seconds"] > 0 for one in found["runs"])


@pytest.mark.anvil
def test_bench_gas__once__stays_within_what_contracts_may_cost() -> None:
    found = json.loads(run("gas", "--json").stdout)

    assert set(found) == {
        "issue_one",
        "issue_1000_per_bill",
        "lock_and_settle",
        "lock_and_settle_100_each",
        "prescription_life",
        "prescription_steps",
    }
    assert 21_000 < found["issue_one"] < 80_000
    assert 21 < found["issue_1000_per_bill"] < 90
    assert 42_000 < found["lock_and_settle"] < 120_000
    assert 21_000 < found["lock_and_settle_100_each"] < 45_000
    assert 84_000 < found["prescription_life"] < 200_000


def test_bench_verify__a_few_files__prints_its_figures() -> None:
    found = json.loads(run("verify", "--count", "20", "--json").stdout)

    assert set(found) == {"verify_per_second", "verify_json_per_second"}
    assert min(found.values()) > 0


def test_bench_verify__for_people__prints_a_table() -> None:
    assert "Evidence verified a second" in run("verify", "--count", "5").stdout


@pytest.mark.parametrize("arguments", [["--help"], ["issue", "--help"], ["gas", "--help"]])
def test_bench_help__of_each_command__is_there(arguments: list[str]) -> None:
    assert "Measure" in run(*arguments).stdout or "medledger bench" in run(*arguments).stdout


def test_bills__of_a_pool__are_realistic_and_alike_for_one_seed() -> None:
    pool = make_pool(seed=3, size=20)

    stream = list(bills(pool, 50))

    assert pool == make_pool(seed=3, size=20)
    assert len({bill.business_key for bill in stream}) == 50
    assert all(isinstance(bill, Invoice) and len(bill.lines) == 12 for bill in stream)
    assert len({bill.patient_key for bill in stream}) == 20
    assert all(bill.own_pay_minor > 0 for bill in stream)
