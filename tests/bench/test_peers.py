"""The comparison with peers, as far as it goes without their packages."""

from __future__ import annotations

import json
from pathlib import Path

import click
import pytest
from benchmarks.peers.bills import bill_lines
from benchmarks.peers.openattestation import measure_openattestation
from benchmarks.peers.packages import FOLDER
from benchmarks.peers.report import Pair, Row, rows, table

from medledger.bench.bills import bills, make_pool
from medledger.core.canonical import canonical, parse_strict


def test_bill_lines__of_some_bills__are_the_benchmark_s_bills() -> None:
    lines = [line.decode() for line in bill_lines(3)]

    for line, bill in zip(lines, bills(make_pool(), 3), strict=True):
        fields = json.loads(line)
        assert fields["BizCode"] == bill.business_key
        assert fields["TotalAmount"] == bill.total_minor
        assert fields["PayerParty"]["name"] == bill.payer_party.name
        assert len(fields["Item"]) == 12
        assert canonical(parse_strict(line)).decode() == line


def test_bill_lines__twice__are_the_same() -> None:
    assert list(bill_lines(5)) == list(bill_lines(5))


def test_rows__of_rates__have_medians_and_ours_by_theirs() -> None:
    pair = Pair("seal", "peer", "theirs", "ours")

    found = rows({"theirs": [500.0, 90.0, 600.0], "ours": [6_000.0, 5_000.0, 10.0]}, [pair])

    assert found == [Row("seal", "peer", 500.0, 5_000.0, 10.0)]


def test_rows__of_gas__have_theirs_by_ours() -> None:
    pair = Pair("gas", "peer", "theirs", "ours", is_gas=True)

    found = rows({"theirs": [145_000.0], "ours": [72.5]}, [pair])

    assert found == [Row("gas", "peer", 145_000.0, 72.5, 2_000.0)]


def test_table__of_rows__has_texts_left_and_numbers_right() -> None:
    found = [Row("seal", "a peer", 628.4, 7_000.0, 11.14), Row("gas a bill", "b", 9.0, 1.0, 9.0)]

    lines = table(found).splitlines()

    assert lines == [
        "Measure     Peer    Theirs   Ours  Ratio",
        "seal        a peer     628  7,000   11.1",
        "gas a bill  b            9      1    9.0",
    ]


def test_measure_openattestation__with_no_bills_there__says_that_it_failed(tmp_path: Path) -> None:
    with pytest.raises(click.ClickException, match="ended with 1"):
        measure_openattestation(tmp_path / "missing.ndjson", batch=10, processes=2)


def test_package_lock__as_committed__names_contents_and_no_host() -> None:
    packages = json.loads((FOLDER / "package-lock.json").read_text())["packages"]
    installed = {
        name: package for name, package in packages.items() if name.startswith("node_modules/")
    }

    linked = {name for name, package in installed.items() if package.get("link")}

    assert linked == {"node_modules/hardhat"}
    assert all("integrity" in installed[name] for name in installed.keys() - linked)
    assert not any("resolved" in installed[name] for name in installed.keys() - linked)
