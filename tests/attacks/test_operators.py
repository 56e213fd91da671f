"""A key that is removed, or an institution suspended, around the time of its last act.

Who holds a stolen key hurries: it acts in the block in which it is removed. And an institution that
is suspended might want what it did before to be undone, or its victims fear so.

The answer: every act asks at its own time who sent it, and nothing looks at it again: within one
block the order decides, and what was done before stays, and can be seen to have been done by a key
that was good then.

Without the check at the time of the act, a removal would bind from the next block only: a rule
that looks at the block before would let the act after the removal pass, as the two orders show.
That every write function of every contract asks is acted out by the table of
`contracts/test_acts.py`.
"""

from __future__ import annotations

import pytest

from medledger.core.hashing import ZERO_ADDRESS, keccak256
from medledger.core.states import State, Status

ROOT = keccak256(b"a root")


def test_suspend__what_was_done_before__stays(
    institutions,
    invoices,
    claims,
    ids,
    issue_bills,
    hospital,
    payer,
    stranger,
    supervisor,
    authorise_claim,
    far_future,
):
    batch = issue_bills(2)
    institutions.suspend(ids[hospital], 1, sender=supervisor)

    invoices.open(*batch.proof(), sender=stranger)
    signature = authorise_claim(batch.number(), payer, 1_000)[1]
    terms = (1_000, far_future, 0, False, ZERO_ADDRESS)
    claims.lock(*batch.proof(), terms, signature, sender=payer)

    assert claims.usageOf(batch.number()) == (1_000, 0)


def test_remove_operator__what_the_key_did_before__stays(
    institutions, invoices, hospital, supervisor, stranger, issue_bills
):
    batch = issue_bills(2)
    institutions.removeOperator(hospital, sender=supervisor)

    invoices.open(*batch.proof(1), sender=stranger)

    assert invoices.invoiceOf(batch.number(1)).claimable == 10_000


@pytest.mark.parametrize("removed_first", [True, False], ids=["removed first", "issued first"])
def test_remove_operator__in_the_block_of_its_last_act__order_decides(
    institutions,
    invoices,
    hospital_second_key,
    supervisor,
    chain,
    bill_segment,
    in_one_block,
    removed_first,
):
    first = invoices.segmentOf(bill_segment.id).next

    def issue(**fees):
        batch = (bill_segment.id, first, 1, ROOT)
        return invoices.issue(*batch, sender=hospital_second_key, **fees)

    def remove(**fees):
        return institutions.removeOperator(hospital_second_key, sender=supervisor, **fees)

    before = chain.blocks.head.timestamp
    statuses = in_one_block(*((remove, issue) if removed_first else (issue, remove)))

    assert institutions.wasOperatorAt(hospital_second_key, before), "good in the block before"
    assert statuses == ([1, 0] if removed_first else [1, 1])
    assert invoices.isIssued(bill_segment.id, first) == (not removed_first)


@pytest.mark.parametrize("removed_first", [True, False], ids=["suspended first", "locked first"])
def test_suspend__in_the_block_of_a_payers_lock__order_decides(
    institutions,
    claims,
    ids,
    open_bill,
    payer,
    supervisor,
    sign_claim,
    lock_with,
    in_one_block,
    removed_first,
):
    number = open_bill()
    signature = sign_claim(number, payer, 1_000)

    def lock(**fees):
        return lock_with(number, payer, signature, **fees)

    def suspend(**fees):
        return institutions.suspend(ids[payer], 1, sender=supervisor, **fees)

    statuses = in_one_block(*((suspend, lock) if removed_first else (lock, suspend)))

    assert statuses == ([1, 0] if removed_first else [1, 1])
    expected = Status.NONE if removed_first else Status.LOCKED
    assert claims.claimOf(number, ids[payer]).status == expected


@pytest.mark.parametrize("removed_first", [True, False], ids=["removed first", "accepted first"])
def test_remove_operator__in_the_block_of_an_acceptance__order_decides(
    institutions,
    prescriptions,
    proofs,
    issue_prescription,
    pharmacy,
    supervisor,
    authorise_accept,
    far_future,
    in_one_block,
    removed_first,
):
    number = issue_prescription()
    code = authorise_accept(number, pharmacy)

    def accept(**fees):
        return prescriptions.accept(*proofs[number], far_future, code, sender=pharmacy, **fees)

    def remove(**fees):
        return institutions.removeOperator(pharmacy, sender=supervisor, **fees)

    statuses = in_one_block(*((remove, accept) if removed_first else (accept, remove)))

    assert statuses == ([1, 0] if removed_first else [1, 1])
    expected = State.NOT_OPENED if removed_first else State.ACCEPTED
    assert prescriptions.prescriptionOf(number).state == expected


def test_suspend__a_bill_issued_before__is_proven_and_the_history_says_that_it_was_active(
    institutions, invoices, ids, issue_bills, hospital, supervisor, stranger, chain
):
    batch = issue_bills(1)
    issued = batch.receipt.timestamp
    chain.pending_timestamp = issued + 1
    suspended = institutions.suspend(ids[hospital], 1, sender=supervisor).timestamp

    invoices.open(*batch.proof(), sender=stranger)

    assert invoices.invoiceOf(batch.number()).claimable == 10_000
    assert institutions.wasActiveAt(ids[hospital], issued)
    assert institutions.wasOperatorAt(hospital, issued)
    assert not institutions.wasActiveAt(ids[hospital], suspended)
