"""The edges of time: the last second of a lock, a lease, a deadline or a validity, and the next.

A validator chooses the second of its block, within limits, and an attacker the block. At an edge
both parties might have a right, or neither.

The answer: every period includes its last second, everywhere, so that at each second exactly one
side has the right: the payer may settle while, and only while, nobody else may lock.

Without it, a rule that ends a lock at its last second for others, and after it for its payer, would
reimburse an amount twice in a block of that second. The first test mines that block in both orders.
"""

from __future__ import annotations

import pytest

from medledger.core.hashing import keccak256
from medledger.core.states import State, Status

# Both sides in one block


@pytest.mark.parametrize("late", [False, True], ids=["last second", "a second later"])
@pytest.mark.parametrize("settled_first", [True, False], ids=["settled first", "locked first"])
def test_settle_and_lock__in_one_block_at_the_edge_of_a_lock__exactly_one_has_the_right(
    claims,
    open_bill,
    payer,
    other_payer,
    lock,
    settle,
    sign_claim,
    lock_with,
    until_of,
    in_one_block,
    late,
    settled_first,
):
    number = open_bill(claimable=1_000)
    lock(number, payer, 1_000)
    signature = sign_claim(number, other_payer, 1_000)

    def settle_it(**fees):
        return settle(number, payer, 1_000, **fees)

    def lock_it(**fees):
        return lock_with(number, other_payer, signature, **fees)

    statuses = in_one_block(
        *((settle_it, lock_it) if settled_first else (lock_it, settle_it)),
        timestamp=until_of(number, payer) + late,
    )

    settled, locked = statuses if settled_first else reversed(statuses)
    assert (settled, locked) == ((0, 1) if late else (1, 0))
    assert claims.usageOf(number) == ((1_000, 0) if late else (0, 1_000))


@pytest.mark.parametrize("late", [False, True], ids=["last second", "a second later"])
@pytest.mark.parametrize("dispensed_first", [True, False], ids=["dispensed first", "taken first"])
def test_dispense_and_accept__in_one_block_at_the_edge_of_a_lease__exactly_one_has_the_right(
    prescriptions,
    ids,
    proofs,
    issue_prescription,
    pharmacy,
    other_pharmacy,
    accept,
    authorise_accept,
    record,
    far_future,
    in_one_block,
    late,
    dispensed_first,
):
    number = issue_prescription()
    accept(number, pharmacy)
    code = authorise_accept(number, other_pharmacy, 1)
    commitments = (keccak256(b"items"), keccak256(b"review"))

    def dispense(**fees):
        return prescriptions.dispense(number, [24], 0, *commitments, sender=pharmacy, **fees)

    def take_over(**fees):
        proof = proofs[number]
        return prescriptions.accept(*proof, far_future, code, sender=other_pharmacy, **fees)

    statuses = in_one_block(
        *((dispense, take_over) if dispensed_first else (take_over, dispense)),
        timestamp=record(number).leaseUntil + late,
    )

    dispensed, taken = statuses if dispensed_first else reversed(statuses)
    assert (dispensed, taken) == ((0, 1) if late else (1, 0))
    assert record(number).pharmacy == ids[other_pharmacy if late else pharmacy]


# Locks


def test_lock__last_second_of_ones_own_lock__is_refused_and_the_next_accepted(
    claims, open_bill, payer, lock, until_of, refused, ids, chain, lock_period
):
    number = open_bill()
    lock(number, payer, 4_000)
    until = until_of(number, payer)

    chain.pending_timestamp = until
    with refused(claims.ClaimIsLocked, number=number, payer=ids[payer], until=until):
        lock(number, payer, 1_000, sequence=1)
    chain.pending_timestamp = until + 1
    receipt = lock(number, payer, 1_000, sequence=1)

    assert receipt.events[0].sequence == 1
    claim = claims.claimOf(number, ids[payer])
    assert (claim.amount, claim.sequence, claim.status) == (1_000, 2, Status.LOCKED)
    assert claim.until == until + 1 + lock_period
    assert claims.usageOf(number) == (1_000, 0)


def test_lock__others_lock_expired__frees_the_amount_by_itself(
    claims, open_bill, payer, other_payer, lock, until_of, refused, chain, ids
):
    number = open_bill(claimable=10_000)
    lock(number, payer, 10_000)
    until = until_of(number, payer)

    chain.pending_timestamp = until
    with refused(claims.OverRemainder, number=number, amount=10_000, remainder=0):
        lock(number, other_payer, 10_000)
    assert claims.usageOf(number) == (10_000, 0)
    chain.mine(timestamp=until + 1)
    assert claims.usageOf(number) == (0, 0)
    lock(number, other_payer, 10_000)

    assert claims.usageOf(number) == (10_000, 0)
    # The record says Locked still, as its warning tells.
    assert claims.claimOf(number, ids[payer]).status == Status.LOCKED


def test_lock__deadline_is_this_second__is_accepted(claims, open_bill, payer, lock, chain):
    number = open_bill()
    now = chain.pending_timestamp + 100

    chain.pending_timestamp = now
    lock(number, payer, 1_000, deadline=now)

    assert claims.usageOf(number) == (1_000, 0)


def test_lock__deadline_was_a_second_ago__is_refused(
    claims, open_bill, payer, lock, refused, chain
):
    number = open_bill()
    now = chain.pending_timestamp + 100
    chain.pending_timestamp = now

    with refused(claims.AuthorisationExpired, number=number, deadline=now - 1):
        lock(number, payer, 1_000, deadline=now - 1)
    assert claims.usageOf(number) == (0, 0)


def test_settle__last_second_of_the_lock__is_accepted(
    claims, open_bill, payer, lock, settle, until_of, chain
):
    number = open_bill()
    lock(number, payer, 4_000)

    chain.pending_timestamp = until_of(number, payer)
    settle(number, payer, 4_000)

    assert claims.usageOf(number) == (0, 4_000)


def test_settle__a_second_after_the_lock__is_refused(
    claims, ids, open_bill, payer, lock, settle, until_of, chain, refused
):
    number = open_bill()
    lock(number, payer, 4_000)
    chain.pending_timestamp = until_of(number, payer) + 1

    with refused(claims.ClaimNotLocked, number=number, payer=ids[payer]):
        settle(number, payer, 4_000)
    assert claims.usageOf(number) == (0, 0)


# Prescriptions


def test_accept__last_second_of_anothers_lease__is_refused_and_the_next_takes_over(
    prescriptions,
    ids,
    issue_prescription,
    pharmacy,
    other_pharmacy,
    accept,
    dispense,
    give_back,
    record,
    refused,
    chain,
    lease_period,
):
    number = issue_prescription()
    accept(number, pharmacy)
    lease_until = record(number).leaseUntil

    chain.pending_timestamp = lease_until
    with refused(
        prescriptions.PrescriptionIsTaken,
        number=number,
        pharmacy=ids[pharmacy],
        leaseUntil=lease_until,
    ):
        accept(number, other_pharmacy, sequence=1)
    chain.pending_timestamp = lease_until + 1
    accept(number, other_pharmacy, sequence=1)

    taken = record(number)
    assert (taken.pharmacy, taken.sequence, taken.state) == (
        ids[other_pharmacy],
        2,
        State.ACCEPTED,
    )
    assert taken.leaseUntil == lease_until + 1 + lease_period
    for late in (lambda: dispense(number, 24), lambda: give_back(number)):
        with refused(prescriptions.NotThePharmacy, number=number, pharmacy=ids[other_pharmacy]):
            late()
    dispense(number, 24, 10, by=other_pharmacy)
    assert not record(number).unconfirmed


def test_accept__last_second_of_validity__is_accepted(
    issue_prescription, pharmacy, accept, record, chain
):
    end = chain.pending_timestamp + 1_000
    number = issue_prescription(valid_until=end)

    chain.pending_timestamp = end
    accept(number, pharmacy)

    assert record(number).state == State.ACCEPTED


def test_accept__a_second_after_validity__is_refused(
    prescriptions, issue_prescription, pharmacy, accept, record, refused, chain
):
    end = chain.pending_timestamp + 1_000
    number = issue_prescription(valid_until=end)
    chain.pending_timestamp = end + 1

    with refused(prescriptions.PrescriptionIsExpired, number=number, validUntil=end):
        accept(number, pharmacy)
    assert record(number).state == State.NOT_OPENED


def test_accept__deadline_is_this_second__is_accepted(
    issue_prescription, pharmacy, accept, record, chain
):
    number = issue_prescription()
    now = chain.pending_timestamp + 100

    chain.pending_timestamp = now
    accept(number, pharmacy, deadline=now)

    assert record(number).state == State.ACCEPTED


def test_accept__deadline_was_a_second_ago__is_refused(
    prescriptions, issue_prescription, pharmacy, accept, refused, chain
):
    number = issue_prescription()
    now = chain.pending_timestamp + 100
    chain.pending_timestamp = now

    with refused(prescriptions.AuthorisationExpired, number=number, deadline=now - 1):
        accept(number, pharmacy, deadline=now - 1)
