"""The audit benchmark at a small count: the whole chain is rebuilt, and every figure is there."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from medledger.cli.bench import bench


@pytest.mark.anvil
def test_bench_audit__a_few_documents__rebuilds_all_of_them() -> None:
    counts = ["--bills", "30", "--claims", "4", "--prescriptions", "3"]

    result = CliRunner().invoke(bench, ["audit", *counts, "--json"])

    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert (found["bills"], found["claims"], found["prescriptions"]) == (30, 4, 3)
    # Opened, locked and settled; opened, accepted and dispensed.
    assert found["events"] > 3 * 4 + 3 * 3
    assert (found["mismatches"], found["seconds"] > found["sync_seconds"] > 0) == (0, True)
    assert found["peak_rss_mb"] > 10


def test_bench_audit__more_claims_than_bills__is_wrong_usage() -> None:
    result = CliRunner().invoke(bench, ["audit", "--bills", "1", "--claims", "2"])

    assert (result.exit_code, "fewer bills than claims" in result.output) == (2, True)
