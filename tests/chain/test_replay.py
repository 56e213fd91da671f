"""The state from events alone, where events say what no contract would let happen."""

from __future__ import annotations

import pytest
from tests.roles.world import Deployment

from medledger.chain import bindings as on_chain
from medledger.chain.events import Logged
from medledger.chain.replay import Replay
from medledger.core.states import Standing, State

PATIENT, BY = "0x" + 40 * "1", "0x" + 40 * "2"


@pytest.fixture
def replay(deployment: Deployment) -> Replay:
    return Replay(deployment.ledgers)


@pytest.fixture
def apply(replay: Replay, deployment: Deployment):
    """Applies an event at a time, as if its contract had logged it."""

    def at(time: int, event: on_chain.LedgerEvent, ledger: str = "invoices") -> None:
        address = getattr(deployment.ledgers, ledger).address
        replay.apply(Logged(event, address, time, bytes(32), 0), time)

    return at


def locked(payer: int, amount: int, until: int = 100, number: int = 7) -> on_chain.ClaimLocked:
    return on_chain.ClaimLocked(number, payer, amount, until, 0, BY)


def test_breaches__payers_hold_more_than_claimable__names_the_bill(replay, apply) -> None:
    apply(1, on_chain.InvoiceOpened(7, PATIENT, 1000, 156, False))
    apply(2, locked(1, 600), "claims")
    apply(3, locked(2, 600), "claims")

    (breach,) = replay.breaches(4)

    assert breach == "bill 7: locked 1200 + reimbursed 0 > claimable 1000"


def test_breaches__settled_and_locked_together__are_added(replay, apply) -> None:
    apply(1, on_chain.InvoiceOpened(7, PATIENT, 1000, 156, False))
    apply(2, locked(1, 600), "claims")
    apply(3, on_chain.ClaimSettled(7, 1, 600, 0, bytes(32), BY), "claims")
    apply(4, locked(2, 401), "claims")

    assert replay.usage(7, 5) == (401, 600)
    assert len(replay.breaches(5)) == 1


def test_breaches__a_lock_that_has_ended__counts_no_more(replay, apply) -> None:
    apply(1, on_chain.InvoiceOpened(7, PATIENT, 1000, 156, False))
    apply(2, locked(1, 600, until=50), "claims")
    apply(3, locked(2, 600), "claims")

    assert [len(replay.breaches(time)) for time in (50, 51)] == [1, 0]
    assert replay.usage(7, 51) == (600, 0)


def test_usage__released__is_none(replay, apply) -> None:
    apply(1, on_chain.InvoiceOpened(7, PATIENT, 1000, 156, False))
    apply(2, locked(1, 600), "claims")
    apply(3, on_chain.ClaimReleased(7, 1, 0, BY), "claims")

    assert replay.usage(7, 4) == (0, 0)
    assert replay.breaches(4) == []


def test_apply__a_reversal_before_the_bills_are_opened__is_kept_when_they_are(
    replay, apply
) -> None:
    apply(1, on_chain.InvoiceReversed(7, 8, 0, 0, BY))
    apply(2, on_chain.InvoiceOpened(7, PATIENT, 1000, 156, False))

    assert replay.invoices[7].standing == Standing.REVERSED
    assert replay.invoices[8].standing == Standing.RED_LETTER
    assert replay.reversed_by == {7: 8}


def test_apply__a_cancellation_before_any_acceptance__is_kept(replay, apply) -> None:
    apply(1, on_chain.PrescriptionCancelled(7, 0, 1, BY), "prescriptions")

    assert replay.prescriptions[7].state == State.CANCELLED


def test_apply__the_next_fill__begins_with_what_was_prescribed(replay, apply) -> None:
    header = (PATIENT, 1, 99, 0, 0, [3, 4], 0b10, 2, 0, False)
    apply(0, on_chain.PolicySet(0, 9, 9, 9, 60, True, False, False, BY), "policies")
    apply(1, on_chain.PrescriptionOpened(7, *header), "prescriptions")
    apply(1, on_chain.PrescriptionAccepted(7, 5, 1, 50, BY), "prescriptions")
    given = on_chain.PrescriptionDispensed(7, 5, 2, [3, 4], 0, b"", b"", 51, BY)
    apply(2, given, "prescriptions")
    apply(3, on_chain.PrescriptionDelivered(7, 0, 3, True, 0, BY), "prescriptions")

    delivered = replay.prescriptions[7]
    apply(4, on_chain.PrescriptionAccepted(7, 6, 4, 60, BY), "prescriptions")

    entry = replay.prescriptions[7]
    assert (delivered.state, delivered.delivered_at) == (State.DELIVERED, 3)
    assert (entry.remaining, entry.repeats_left, entry.pharmacy) == ((3, 4, 0, 0, 0), 1, 6)
    assert (entry.state, entry.delivered_at, entry.withdraw_minutes) == (State.ACCEPTED, 0, 60)


def test_apply__each_event_of_the_abi__is_known(replay) -> None:
    for name in on_chain.EVENTS:
        assert callable(getattr(replay, f"_{name}"))


def test_counts__of_events__by_name(replay, apply) -> None:
    apply(1, on_chain.InvoiceOpened(7, PATIENT, 1000, 156, False))
    apply(2, on_chain.InvoiceOpened(8, PATIENT, 1000, 156, False))

    assert replay.counts == {"InvoiceOpened": 2}
