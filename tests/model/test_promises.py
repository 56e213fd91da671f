"""That the promises are seen to be broken where the contracts should log it."""

from __future__ import annotations

import pytest
from tests.model.promises import Promises

from medledger.chain.bindings import (
    AccessGranted,
    BatchIssued,
    BillPaid,
    ClaimLocked,
    ClaimPaid,
    Deposited,
    PaymentStated,
    PrescriptionAccepted,
    PrescriptionDispensed,
    PrescriptionOpened,
    StatementConfirmed,
)
from medledger.chain.events import Logged
from medledger.core.claims import ClaimTerms

BY = PATIENT = "0x" + 40 * "1"
HASH = bytes(32)
TERMS = ClaimTerms(60, 10**9, 0, False, "0x" + 40 * "0")
PAID, STATED = BillPaid(7, 1, PATIENT, 60, BY), PaymentStated(7, 60, HASH, BY)
CONFIRMED = StatementConfirmed(7, BY)
OPENED = PrescriptionOpened(7, PATIENT, 0, 10**9, 0, 0, (5, 2), 0, 0, 0, False)


def accepted(pharmacy, sequence, lease_until):
    return PrescriptionAccepted(7, pharmacy, sequence, lease_until, BY)


def dispensed(*quantities):
    return PrescriptionDispensed(7, 1, 2, quantities, 0, HASH, HASH, 2_000, BY)


def broken(*events):
    """What is broken after these events, of which the first is at second 1,000."""
    promises = Promises()
    logged = [Logged(event, "0x1", place, HASH, 0) for place, event in enumerate(events)]
    promises.apply(logged, {place: 1_000 + place for place in range(len(events))})
    return promises.broken


@pytest.mark.parametrize(
    ("events", "words"),
    [
        ([BatchIssued(1, 1, 3, 5, HASH, BY), BatchIssued(5, 2, 4, 1, HASH, BY)], "issued twice"),
        ([OPENED, accepted(1, 1, 1_002), accepted(2, 2, 3_000)], "while another pharmacy"),
        ([OPENED, accepted(1, 1, 2_000), dispensed(5, 1), dispensed(0, 2)], "than prescribed"),
        (
            [ClaimLocked(7, payer, 100, 2_000, 0, TERMS, BY) for payer in (1, 2)],
            "payers hold 120 of 7, above 100",
        ),
        ([Deposited(1, 50, BY), ClaimPaid(7, 1, PATIENT, 51)], "more than it deposited"),
        (
            [Deposited(1, 50, BY), *[ClaimPaid(7, 1, PATIENT, 1)] * 2],
            "paid 7 twice",
        ),
        ([PAID, PAID], "BillPaid of 7, which is paid"),
        ([STATED, CONFIRMED, CONFIRMED], "StatementConfirmed of 7, which is paid"),
        ([STATED, PAID], "against a statement"),
        ([CONFIRMED], "where nothing is stated"),
        ([AccessGranted(7, 3, 1, 0, 2_000, BY)] * 2, "counted twice"),
    ],
)
def test_promises__broken_by_an_event__are_named(events, words):
    assert words in " ".join(broken(*events))
    assert broken(*events[:-1]) == []


def test_promises__lock_that_has_expired__is_no_part_of_the_cap():
    locks = [ClaimLocked(7, payer, 100, 1_000, 0, TERMS, BY) for payer in (1, 2)]

    assert broken(*locks) == []
