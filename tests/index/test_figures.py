"""Figures that are counted right."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.index.chronicle import Chronicle, operator, terms
from tests.index.reading import lives
from tests.roles.world import World

from medledger.index import EventIndex, sync
from medledger.index.figures import DAY, HOUR, LIMITS, by_payer, figures, periods, statuses

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


def test_limits__of_durations__ascend() -> None:
    assert [limit for _, limit in LIMITS] == sorted(limit for _, limit in LIMITS)
