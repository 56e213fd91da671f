"""Locking and settling in one transaction: alone, and many with one shared proof."""

from __future__ import annotations

import pytest

from medledger.core.hashing import ZERO_ADDRESS, keccak256
from medledger.core.states import Status

EXPLANATION = keccak256(b"explanation of benefit")
PAYMENT = keccak256(b"bank reference")
REASON = 12
GAS_ALONE, GAS_EACH = 120_000, 45_000


def decision(amount, payment=PAYMENT):
    return (amount, REASON, EXPLANATION, payment)


@pytest.fixture
def many(claims, authorise_claim):
    """The arguments of `lockAndSettleMany` for these places of a batch."""

    def arguments(batch, indexes, payer, amount, **terms):
        signed = [authorise_claim(batch.number(index), payer, amount, **terms) for index in indexes]
        settlements = [(each, decision(amount)) for each, _ in signed]
        return [*batch.shared_proof(indexes), settlements, [each for _, each in signed]]

    return arguments


def test_lock_and_settle__alone_from_a_batch_of_1000__costs_what_is_promised(
    claims, issue_bills, payer, authorise_claim
):
    batch = issue_bills(1_000)
    terms, signature = authorise_claim(batch.number(500), payer, 2_500)
    assert len(batch.proof(500)[2]) == 10

    receipt = claims.lockAndSettle(
        *batch.proof(500), (terms, decision(2_500)), signature, sender=payer
    )

    assert receipt.gas_used <= GAS_ALONE


def test_lock_and_settle_many__a_hundred_neighbours__costs_what_is_promised_each(
    claims, issue_bills, payer, many
):
    batch = issue_bills(1_000)

    receipt = claims.lockAndSettleMany(*many(batch, range(300, 400), payer, 2_500), sender=payer)

    assert receipt.gas_used / 100 <= GAS_EACH


def test_lock_and_settle__bill_that_nobody_used__has_one_event_and_no_lock(
    claims, ids, issue_bills, payer, authorise_claim, emits, logged, far_future
):
    batch = issue_bills(5)
    terms, signature = authorise_claim(batch.number(3), payer, 2_500)

    receipt = claims.lockAndSettle(
        *batch.proof(3), (terms, decision(2_000)), signature, sender=payer
    )

    emits(
        receipt,
        logged(
            claims,
            "ClaimLockedAndSettled",
            number=batch.number(3),
            payer=ids[payer],
            claimable=10_000,
            sequence=0,
            settlement=[
                (2_500, far_future, 0, False, ZERO_ADDRESS),
                (2_000, REASON, EXPLANATION, PAYMENT),
            ],
            by=payer,
        ),
    )
    claim = (ids[payer], 2_000, receipt.timestamp, 1, Status.SETTLED, False, False, PAYMENT[:11])
    assert claims.claimOf(batch.number(3), ids[payer]) == claim
    assert claims.usageOf(batch.number(3)) == (0, 2_000)


def test_lock_and_settle__beside_the_claims_of_others__counts_with_them(
    claims, issue_bills, payers, lock, authorise_claim, refused
):
    batch = issue_bills(1, claimable=10_000)
    number = batch.number()
    lock(number, payers[0], 1_000)
    lock(number, payers[1], 2_000)

    def at_once(payer, amount, **terms):
        terms, signature = authorise_claim(number, payer, amount, **terms)
        settlement = (terms, decision(amount))
        return claims.lockAndSettle(*batch.proof(), settlement, signature, sender=payer)

    with refused(claims.OverRemainder, number=number, amount=7_001, remainder=7_000):
        at_once(payers[2], 7_001)
    at_once(payers[2], 6_000)
    assert claims.usageOf(number) == (3_000, 6_000)
    claims.deny(number, REASON, EXPLANATION, sender=payers[1])
    at_once(payers[1], 3_000, sequence=1)
    assert claims.usageOf(number) == (1_000, 9_000)


def test_lock_and_settle__replayed__is_refused(
    claims, ids, issue_bills, payer, authorise_claim, refused
):
    batch = issue_bills(1)
    terms, signature = authorise_claim(batch.number(), payer, 100)
    call = (*batch.proof(), (terms, decision(100)), signature)
    claims.lockAndSettle(*call, sender=payer)

    with refused(claims.ClaimIsSettled, number=batch.number(), payer=ids[payer], amount=100):
        claims.lockAndSettle(*call, sender=payer)


def test_lock_and_settle_many__some_of_a_batch__settles_all(claims, ids, issue_bills, payer, many):
    batch = issue_bills(21)
    indexes = [0, 3, 4, 11, 20]

    receipt = claims.lockAndSettleMany(*many(batch, indexes, payer, 2_500), sender=payer)

    numbers = [batch.number(index) for index in indexes]
    assert [event.number for event in receipt.events] == numbers
    assert claims.usagesOf(numbers) == ([0] * 5, [2_500] * 5)


def test_lock_and_settle_many__with_payees__marks_all_before_the_first_token_moves(
    claims, ids, issue_bills, payer, many, token, escrow, supervisor, stranger
):
    batch = issue_bills(3)
    token.mint(payer, 300, sender=supervisor)
    token.approve(escrow, 300, sender=payer)
    escrow.deposit(300, sender=payer)

    receipt = claims.lockAndSettleMany(
        *many(batch, [0, 1, 2], payer, 100, payee=stranger), sender=payer
    )

    names = [event.event_name for event in receipt.events]
    assert names == ["ClaimLockedAndSettled"] * 3 + ["ClaimPaid", "Transfer"] * 3
    assert (token.balanceOf(stranger), escrow.depositOf(ids[payer])) == (300, 0)


def test_lock_and_settle_many__one_bad_claim__reverts_all_and_is_named(
    claims, invoices, ids, issue_bills, patient, payer, other_payer, many, hospital,
    bill_segment, refused,
):  # fmt: skip
    batch = issue_bills(8)
    numbers = [batch.number(index) for index in range(8)]

    def attempt(error, change=lambda arguments: None, **values):
        arguments = many(batch, range(1, 6), payer, 2_500)
        change(arguments)
        with refused(error, **values):
            claims.lockAndSettleMany(*arguments, sender=payer)

    def forge(arguments):
        arguments[0][2] = (*arguments[0][2][:2], 99_999, *arguments[0][2][3:])

    def swap(arguments):
        arguments[0][1], arguments[0][2] = arguments[0][2], arguments[0][1]

    def repeat(arguments):
        arguments[0][2] = arguments[0][1]

    def add_hash(arguments):
        arguments[2].append(bytes(32))

    def drop_hash(arguments):
        arguments[2].pop()

    def other_signature(arguments):
        arguments[4][3] = arguments[4][2]

    attempt(invoices.ProofInvalid, forge, number=numbers[1])
    attempt(invoices.IndexOutOfOrder, swap, index=2, count=8)
    attempt(invoices.IndexOutOfOrder, repeat, index=2, count=8)
    attempt(invoices.SharedPathLengthWrong, add_hash, leaves=5, count=8, length=3)
    attempt(invoices.SharedPathLengthWrong, drop_hash, leaves=5, count=8, length=1)
    address = patient.address("Invoice", numbers[4])
    attempt(claims.AuthorisationInvalid, other_signature, number=numbers[4], patient=address)
    invoices.hold(bill_segment.id, numbers[3], sender=hospital)
    attempt(invoices.DocumentIsHeld, number=numbers[3])
    invoices.release(bill_segment.id, numbers[3], sender=hospital)
    invoices.reverse(bill_segment.id, numbers[5], bill_segment.id, numbers[7], 1, sender=hospital)
    attempt(invoices.InvoiceIsReversed, number=numbers[5], redLetter=numbers[7])
    assert claims.usagesOf(numbers) == ([0] * 8, [0] * 8)


def test_lock_and_settle_many__none_too_many_or_unequal__is_refused(
    claims, issue_bills, payer, many, refused
):
    batch = issue_bills(3)
    headers, head, path, settlements, signatures = many(batch, [0, 1, 2], payer, 100)

    for counts in ((0, 0, 0), (3, 2, 3), (3, 3, 2), (201, 201, 201)):
        parts = [(part * 67)[:count] for part, count in zip(
            (headers, settlements, signatures), counts, strict=True
        )]  # fmt: skip
        expected = dict(zip(("headers", "settlements", "signatures"), counts, strict=True))
        with refused(claims.ClaimCountInvalid, **expected):
            claims.lockAndSettleMany(parts[0], head, path, *parts[1:], sender=payer)


def test_lock_and_settle_many__bill_on_paper_or_reversed_in_part__counts_for_what_is_left(
    claims, invoices, issue_bills, issue_red_letters, payer, many, hospital, stranger, bill_segment,
    refused,
):  # fmt: skip
    batch = issue_bills(3, claimable=10_000)
    numbers, segment = [batch.number(index) for index in range(3)], bill_segment.id
    invoices.open(*batch.proof(1), sender=stranger)
    letter = issue_red_letters(numbers[1], 4_000).proof()
    invoices.reversePart(segment, numbers[1], segment, *letter, 1, sender=hospital)
    invoices.exchangeForPaper(segment, numbers[2], PAYMENT, sender=hospital)

    with refused(claims.OverRemainder, number=numbers[1], amount=6_001, remainder=6_000):
        claims.lockAndSettleMany(*many(batch, [0, 1], payer, 6_001), sender=payer)
    with refused(invoices.InvoiceOnPaper, number=numbers[2]):
        claims.lockAndSettleMany(*many(batch, [0, 1, 2], payer, 6_000), sender=payer)
    invoices.voidPaper(segment, numbers[2], sender=hospital)
    claims.lockAndSettleMany(*many(batch, [0, 1, 2], payer, 6_000), sender=payer)
    assert claims.usagesOf(numbers) == ([0] * 3, [6_000] * 3)


def test_lock_and_settle_many__number_before_the_batch__is_refused(
    claims, invoices, issue_bills, payer, many, refused
):
    first, second = issue_bills(2), issue_bills(2)
    arguments = many(second, [0, 1], payer, 100)
    arguments[0][0] = first.headers[1].as_abi()

    with refused(invoices.IndexOutOfOrder, index=2**256 - 1, count=2):
        claims.lockAndSettleMany(*arguments, sender=payer)
