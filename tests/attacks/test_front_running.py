"""An act seen before it is mined, and copied or overtaken by who pays more.

The answer: a signature names who may use it, so that a copy is worth nothing to anybody else;
opening a bill gives no right to who opens it; and of two acts that contend for the same, whoever
is first has it, and the other is refused whole.

Without it, whoever watches the pool would take the patient's lock with the patient's signature: the
first test shows it of a contract that has no payer signed. The blocks here have the attacker first.
"""

from __future__ import annotations

import pytest
from eth_abi import encode
from eth_account import Account

from medledger.core.hashing import ZERO_ADDRESS, keccak256
from medledger.core.states import Status

# In one block


def test_lock__naive_contract_without_payer__serves_who_overtakes(
    compiled, payer, other_payer, stranger, in_one_block
):
    key = Account.from_key(keccak256(b"a patient's key"))
    digest = keccak256(encode(["uint64", "uint64"], [7, 1_000]))
    seen = (7, 1_000, key.address, key.unsafe_sign_hash(digest).signature)
    naive = compiled["NaiveClaims"].deploy(sender=stranger)

    in_one_block(
        lambda **fees: naive.lock(*seen, sender=other_payer, **fees),
        lambda **fees: naive.lock(*seen, sender=payer, **fees),
    )

    assert naive.payerOf(7) == other_payer


def test_lock__overtaken_by_a_copy_in_the_same_block__serves_the_payer_it_names(
    claims, ids, open_bill, payer, other_payer, sign_claim, lock_with, in_one_block
):
    number = open_bill()
    seen = sign_claim(number, payer, 1_000)

    statuses = in_one_block(
        lambda **fees: lock_with(number, other_payer, seen, **fees),
        lambda **fees: lock_with(number, payer, seen, **fees),
    )

    assert statuses == [0, 1]
    assert claims.claimOf(number, ids[payer]).amount == 1_000
    assert claims.claimOf(number, ids[other_payer]).status == Status.NONE


@pytest.mark.parametrize("lock_first", [True, False], ids=["locked first", "reversed first"])
def test_lock_and_reverse__in_the_same_block__the_first_wins(
    invoices,
    claims,
    open_bills,
    payer,
    hospital,
    sign_claim,
    lock_with,
    bill_segment,
    in_one_block,
    lock_first,
):
    number, red_letter = open_bills(2)
    signature, segment = sign_claim(number, payer, 1_000), bill_segment.id

    def lock(**fees):
        return lock_with(number, payer, signature, **fees)

    def reverse(**fees):
        return invoices.reverse(segment, number, segment, red_letter, 1, sender=hospital, **fees)

    statuses = in_one_block(*((lock, reverse) if lock_first else (reverse, lock)))

    assert statuses == [1, 0]
    assert claims.usageOf(number) == (1_000 if lock_first else 0, 0)
    assert invoices.isReversed(number) != lock_first


@pytest.mark.parametrize("order", [(0, 1), (1, 0)], ids=["one first", "other first"])
def test_lock__two_payers_for_the_last_of_a_bill_in_the_same_block__the_first_gets_it(
    claims, ids, open_bill, payers, sign_claim, lock_with, in_one_block, order
):
    number = open_bill(claimable=10_000)
    first, second = (payers[place] for place in order)
    signed = {payer: sign_claim(number, payer, 6_000) for payer in (first, second)}

    statuses = in_one_block(
        *(
            lambda payer=payer, **fees: lock_with(number, payer, signed[payer], 6_000, **fees)
            for payer in (first, second)
        )
    )

    assert statuses == [1, 0]
    assert claims.usageOf(number) == (6_000, 0)
    assert claims.claimOf(number, ids[second]).sequence == 0, "its signature is good still"


# One after another


def test_open__front_run_by_a_stranger__does_not_stop_the_payer(
    invoices, claims, issue_bills, payer, stranger, sign_claim, far_future
):
    batch = issue_bills(2)
    signature = sign_claim(batch.number(), payer, 1_000)
    invoices.open(*batch.proof(), sender=stranger)

    terms = (1_000, far_future, 0, False, ZERO_ADDRESS)
    claims.lock(*batch.proof(), terms, signature, sender=payer)

    assert claims.usageOf(batch.number()) == (1_000, 0)


def test_lock__seen_and_copied_by_another_payer__serves_the_one_it_names(
    claims, ids, open_bill, payer, other_payer, sign_claim, lock_with, not_authorised
):
    number = open_bill()
    signature = sign_claim(number, payer, 1_000)

    not_authorised(number, lambda: lock_with(number, other_payer, signature))
    lock_with(number, payer, signature)

    assert claims.claimOf(number, ids[payer]).amount == 1_000


@pytest.mark.parametrize("order", [(0, 1), (1, 0)], ids=["one first", "other first"])
def test_lock__two_payers_for_the_last_of_a_bill__the_first_gets_it(
    claims, ids, open_bill, payers, lock, refused, order
):
    number = open_bill(claimable=10_000)
    first, second = (payers[place] for place in order)

    lock(number, first, 6_000)

    with refused(claims.OverRemainder, number=number, amount=6_000, remainder=4_000):
        lock(number, second, 6_000)
    assert claims.claimOf(number, ids[second]).sequence == 0
    assert claims.usageOf(number) == (6_000, 0)


@pytest.mark.parametrize("order", [(0, 1), (1, 0)], ids=["one first", "other first"])
def test_accept__two_pharmacies_with_a_code_each__the_first_gets_it(
    prescriptions, ids, issue_prescription, pharmacy, other_pharmacy, accept, refused, order
):
    number = issue_prescription()
    pharmacies = (pharmacy, other_pharmacy)
    first, second = (pharmacies[place] for place in order)

    accept(number, first)

    found = prescriptions.prescriptionOf(number)
    with refused(
        prescriptions.PrescriptionIsTaken,
        number=number,
        pharmacy=ids[first],
        leaseUntil=found.leaseUntil,
    ):
        accept(number, second)
    assert prescriptions.prescriptionOf(number) == found


def test_lock_and_reverse__in_either_order__the_first_wins(
    invoices, claims, open_bills, payer, hospital, lock, refused, bill_segment
):
    locked, reversed_, red_letter, other_red_letter = open_bills(4)
    segment = bill_segment.id

    lock(locked, payer, 1_000)
    with refused(invoices.InvoiceInUse, number=locked, locked=1_000, reimbursed=0):
        invoices.reverse(segment, locked, segment, red_letter, 1, sender=hospital)
    invoices.reverse(segment, reversed_, segment, other_red_letter, 1, sender=hospital)
    with refused(invoices.InvoiceIsReversed, number=reversed_, redLetter=other_red_letter):
        lock(reversed_, payer, 1_000)

    assert claims.usageOf(locked) == (1_000, 0)
    assert claims.usageOf(reversed_) == (0, 0)
