"""Figures that are counted right, and the page that shows them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.index.chronicle import Chronicle, operator, terms
from tests.index.reading import lives
from tests.roles.world import World

from medledger.index import EventIndex, sync
from medledger.index.export import export
from medledger.index.figures import DAY, HOUR, LIMITS, by_payer, figures, periods, statuses
from medledger.index.findings import Finding, check
from medledger.index.report import money_text, render
from medledger.index.report.charts import WIDTH, bars, columns

FIRST = 46060126_0000000001
ORDER = 46990126_0000000001
MORNING = 20_000 * DAY
HOSPITAL, PAYER, OTHER_PAYER, PHARMACY, COURIER = 2, 3, 4, 5, 6


@pytest.fixture
def chronicle(tmp_path: Path) -> Iterator[Chronicle]:
    """Two days of issuing, four claims, and a prescription that was delivered."""
    told = Chronicle(f"sqlite:///{tmp_path / 'index.db'}")
    of_bills, of_orders = {"contract": "Invoices"}, {"contract": "Prescriptions"}
    told.tell("SegmentAllotted", at=MORNING, first=FIRST, last=FIRST + 99, **of_bills)
    told.tell("SegmentAllotted", at=MORNING, first=ORDER, last=ORDER + 99, **of_orders)
    batch = {"institution": HOSPITAL, "by": operator(1)}
    told.tell("BatchIssued", at=MORNING, first=FIRST, count=10, **batch, **of_bills)
    told.tell("BatchIssued", at=MORNING, first=ORDER, count=3, **batch, **of_orders)
    for bill, payer in ((0, PAYER), (1, PAYER), (2, OTHER_PAYER), (3, PAYER)):
        number, until = FIRST + bill, MORNING + 5 * DAY
        told.tell("InvoiceOpened", at=MORNING, number=number, claimable=2500, currency=156)
        told.tell(
            "ClaimLocked", at=MORNING, number=number, payer=payer, terms=terms(2000), until=until
        )
    settled = {"decision": (1500, 1, bytes(32), bytes(32))}
    told.tell("ClaimSettled", at=MORNING + 30, number=FIRST, payer=PAYER, **settled)
    told.tell("ClaimSettled", at=MORNING + 2 * HOUR, number=FIRST + 1, payer=PAYER, **settled)
    told.tell("ClaimSettled", at=MORNING + 4 * DAY, number=FIRST + 2, payer=OTHER_PAYER, **settled)
    told.tell("PolicySet", at=MORNING)
    held = {"number": ORDER, "by": operator(2)}
    told.tell("PrescriptionOpened", at=MORNING, number=ORDER, quantities=[4])
    told.tell("PrescriptionAccepted", at=MORNING, pharmacy=PHARMACY, **held)
    told.tell("PrescriptionDispensed", at=MORNING, pharmacy=PHARMACY, quantities=[4], **held)
    told.tell("PrescriptionHandedOver", at=MORNING, pharmacy=PHARMACY, courier=COURIER, **held)
    told.tell("PrescriptionDelivered", at=MORNING, courier=COURIER, complete=True, **held)
    later = MORNING + 6 * DAY
    told.tell("BatchIssued", at=later, first=FIRST + 10, count=7, **batch, **of_bills)
    yield told
    told.index.close()


def text_of(html: str) -> str:
    """What a reader sees."""
    found: list[str] = []

    class Reader(HTMLParser):
        def handle_data(self, data: str) -> None:
            found.append(data)

    Reader().feed(html.partition("</style>")[2])
    return " ".join(" ".join(found).split())


def page(chronicle: Chronicle, findings: list[Finding] | None = None, most: int = 50) -> str:
    found = figures(chronicle.index, chronicle.ledgers)
    own = check(chronicle.index) if findings is None else findings
    return render(found, own, most_findings=most)


def test_figures__of_a_history__are_counted_right(chronicle: Chronicle) -> None:
    found = figures(chronicle.index, chronicle.ledgers)

    assert found.issued == {"Invoices": 17, "Prescriptions": 3, "Licences": 0, "Records": 0}
    assert found.days == {
        20_000: {"Invoices": 10, "Prescriptions": 3},
        20_006: {"Invoices": 7},
    }
    assert [(c.payer, c.status, c.claims, c.reimbursed_minor) for c in found.claims] == [
        (PAYER, "expired", 1, 0),
        (PAYER, "settled", 2, 3000),
        (OTHER_PAYER, "settled", 1, 1500),
    ]
    assert {c.currency for c in found.claims} == {"CNY"}
    assert by_payer(found.claims) == {
        PAYER: {"expired": 1, "settled": 2},
        OTHER_PAYER: {"settled": 1},
    }
    assert statuses(found.claims) == ["expired", "settled"]
    assert (found.took.count, found.took.median, found.took.nine_of_ten) == (3, 2 * HOUR, 4 * DAY)
    assert {label for label, count in found.took.by_limit.items() if count} == {
        "under a minute",
        "under a day",
        "under 7 days",
    }
    assert found.prescriptions == {
        "issued": 3,
        "accepted": 1,
        "dispensed": 1,
        "with a courier": 1,
        "delivered": 1,
        "cancelled": 0,
    }
    assert (found.events, found.batches, found.used_bills) == (chronicle.index.count(), 3, 4)


def test_figures__of_a_chain__agree_with_what_an_audit_rebuilds(
    file_index: EventIndex, world: World
) -> None:
    lives(world)
    sync(file_index, [world.rpc])

    found = world.auditor.figures(file_index)
    state = world.auditor.rebuild(file_index).state

    assert found.issued["Invoices"] == state.bills.issued
    assert found.institutions == len(state.institutions)
    assert found.events == sum(state.counts.values())
    usages = state.usages(file_index.last_time()).values()
    assert sum(c.reimbursed_minor for c in found.claims) == sum(paid for _, paid in usages) == 500
    assert found.prescriptions["with a courier"] == len(state.prescriptions) == 1
    assert "with a courier" in text_of(world.auditor.report(file_index))


@given(
    st.dictionaries(st.integers(0, 9_999), st.integers(1, 99), max_size=30),
    st.integers(1, 60),
)
def test_periods__of_any_days__keep_the_sum_and_their_number(
    days: dict[int, int], most: int
) -> None:
    length, parts = periods({day: {"Invoices": count} for day, count in days.items()}, most)

    assert sum(counts.get("Invoices", 0) for _, counts in parts) == sum(days.values())
    assert len(parts) <= most or length == 3650
    assert [day for day, _ in parts] == sorted(day for day, _ in parts)
    assert all(after[0] - before[0] == length for before, after in pairwise(parts))


@given(st.lists(st.tuples(st.text(max_size=5), st.integers(0, 10**9)), max_size=40))
def test_charts__of_any_counts__stay_within_their_picture(rows: list[tuple[str, int]]) -> None:
    for chart in (
        form([(n, {"a": c, "b": 1}) for n, c in rows], ["a", "b"]) for form in (bars, columns)
    ):
        for mark in chart.marks:
            assert 0 <= mark.x <= mark.x + mark.width <= WIDTH + 1e-6
            assert -1e-6 <= mark.y <= mark.y + mark.height <= chart.height + 1e-6


def test_report__of_a_history__says_chain_totals_and_figures(chronicle: Chronicle) -> None:
    html = page(chronicle)
    shown = text_of(html)

    manifest = chronicle.ledgers.manifest
    for said in (manifest.genesis_hash, *(one.address for one in manifest.contracts.values())):
        assert said in shown
    last_hash = chronicle.index.place().last_hash
    assert last_hash is not None
    assert f"0x{last_hash.hex()}" in shown
    assert "17 bills issued" in shown
    assert "2024-10-04" in shown
    assert "payer 3" in shown
    assert "Half of them took 2.0 hours at most, nine of ten 4.0 days at most." in shown
    assert f"{PAYER} settled CNY 2 0.00 30.00" in shown
    assert "accepted 1 33.3%" in shown


@pytest.mark.parametrize(
    ("amount", "currency", "text"),
    [
        (123456, "CNY", "1,234.56"),
        (1234, "JPY", "1,234"),
        (1234, "", "1,234 minor units"),
        (1234, "007", "1,234 minor units"),
    ],
)
def test_money__of_a_currency__has_its_decimals(amount: int, currency: str, text: str) -> None:
    assert money_text(amount, currency) == text


def test_report__any__needs_no_script_and_no_other_file(chronicle: Chronicle) -> None:
    html = page(chronicle)

    assert html.startswith('<!DOCTYPE html>\n<html lang="en">')
    assert not re.search(r"<script|https?:|src=|href=|@import|url\(|javascript", html)
    drawings = re.findall(r"<svg.*?</svg>", html, re.S)
    assert len(drawings) == 4
    for drawing in drawings:
        svg = ElementTree.fromstring(drawing)
        labels = svg.attrib["aria-labelledby"].split()
        assert {child.attrib.get("id") for child in svg} >= set(labels)
    assert html.count("<caption>") == html.count("<table>")


def test_report__again__has_the_same_bytes(chronicle: Chronicle) -> None:
    assert page(chronicle) == page(chronicle)


def test_report__of_an_empty_index__says_so(tmp_path: Path) -> None:
    empty = Chronicle(f"sqlite:///{tmp_path / 'empty.db'}")

    shown = text_of(page(empty))

    assert "The index is empty" in shown
    assert shown.count("None so far.") == 4
    assert "Nothing was found." in shown
    done = export(empty.index, empty.ledgers, tmp_path / "out", "parquet")
    assert set(done.rows.values()) == {0}


def test_report__thousands_of_findings__tells_the_latest_and_counts_all(
    chronicle: Chronicle,
) -> None:
    events = tuple(chronicle.index.events())
    findings = [
        Finding("locks_expire", "medium", f"finding <b>{n}</b>", events[: n % 8 + 1])
        for n in range(3000)
    ]
    latest = replace(findings[0], what="the latest one", evidence=events[-1:])

    html = page(chronicle, [*findings, latest], most=20)
    shown = text_of(html)

    assert html.count("finding &lt;b&gt;") == 19
    assert "<b>1" not in html.partition("Findings")[2]
    assert "the latest one" in shown
    assert "The latest 20 of 3,001" in shown
    assert "and 3 earlier" in shown
    assert f"0x{events[-1].transaction.hex()}" in shown


def test_limits__of_durations__ascend() -> None:
    assert [limit for _, limit in LIMITS] == sorted(limit for _, limit in LIMITS)
