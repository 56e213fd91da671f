"""Order of payers, fixed benefits, withdrawal, recoupment, prescriptions, payment and booking."""

from __future__ import annotations

import pytest

from medledger.core.hashing import ZERO_ADDRESS, keccak256
from medledger.core.states import Status

EXPLANATION = keccak256(b"explanation of benefit")
PAYMENT = keccak256(b"bank reference")
OTHER_PAYMENT = PAYMENT[:10] + bytes(22)
REASON = 12
FAR_FUTURE = 4_102_444_800


def decision(amount, payment=PAYMENT):
    return (amount, REASON, EXPLANATION, payment)


@pytest.fixture
def settle(claims):
    return lambda number, payer, amount, payment=PAYMENT: claims.settle(
        number, decision(amount, payment), sender=payer
    )


@pytest.fixture
def deny(claims):
    return lambda number, payer: claims.deny(number, REASON, EXPLANATION, sender=payer)


@pytest.fixture
def withdraw(claims, ids):
    def act(number, payer, sender=None, signature=b"", deadline=FAR_FUTURE):
        return claims.withdraw(
            number, ids[payer], REASON, deadline, signature, sender=sender or payer
        )

    return act


@pytest.fixture
def waive(claims, ids):
    def act(number, payer, sender=None, signature=b"", deadline=FAR_FUTURE):
        return claims.waive(number, ids[payer], deadline, signature, sender=sender or payer)

    return act


@pytest.fixture
def claim_of(claims, ids):
    return lambda number, payer: claims.claimOf(number, ids[payer])


@pytest.fixture
def reverse(invoices, issue_bills, hospital, bill_segment):
    """Reverses a bill by a red letter issued for it."""

    def act(number):
        red_letter = issue_bills(1, claimable=0).number()
        segment = bill_segment.id
        invoices.reverse(segment, number, segment, red_letter, 1, sender=hospital)
        return red_letter

    return act


# I3: order of payers


def test_settle__the_earlier_payer_undecided__is_refused(
    claims, ids, open_bill, payer, other_payer, lock, settle, refused
):
    number = open_bill()
    lock(number, other_payer, 2_000, after=payer)

    with refused(claims.PayerUndecided, number=number, payer=ids[payer]):
        settle(number, other_payer, 2_000)
    lock(number, payer, 1_000)
    with refused(claims.PayerUndecided, number=number, payer=ids[payer]):
        settle(number, other_payer, 2_000)


@pytest.mark.parametrize("decide", ["settled", "denied", "waived", "waived by patient"])
def test_settle__the_earlier_payer_decided_or_waived__is_accepted(
    claims, open_bill, payer, other_payer, lock, settle, deny, waive, sign_waiver, stranger, decide
):
    number = open_bill()
    lock(number, other_payer, 2_000, after=payer)
    if decide in ("settled", "denied"):
        lock(number, payer, 1_000)
    {
        "settled": lambda: settle(number, payer, 1_000),
        "denied": lambda: deny(number, payer),
        "waived": lambda: waive(number, payer),
        "waived by patient": lambda: waive(number, payer, stranger, sign_waiver(number, payer)),
    }[decide]()

    settle(number, other_payer, 2_000)

    assert claims.usageOf(number) == (0, 3_000 if decide == "settled" else 2_000)


def test_settle__the_earlier_payer_withdrew_or_its_lock_expired__is_refused(
    claims, ids, open_bills, payer, other_payer, lock, settle, withdraw, chain, refused, lock_period
):
    withdrawn, expired = open_bills(2)
    lock(withdrawn, payer, 1_000)
    withdraw(withdrawn, payer)
    lock(expired, payer, 1_000)
    chain.mine(timestamp=chain.pending_timestamp + lock_period + 1)

    for number in (withdrawn, expired):
        lock(number, other_payer, 2_000, after=payer)
        with refused(claims.PayerUndecided, number=number, payer=ids[payer]):
            settle(number, other_payer, 2_000)


def test_settle__the_earlier_payer_came_back_after_a_waiver__is_refused(
    claims, ids, open_bill, payer, other_payer, lock, settle, waive, refused
):
    number = open_bill()
    waive(number, payer)
    lock(number, payer, 1_000)
    lock(number, other_payer, 2_000, after=payer)

    with refused(claims.PayerUndecided, number=number, payer=ids[payer]):
        settle(number, other_payer, 2_000)


def test_waive__by_the_patient__uses_the_signature_up(
    claims, ids, open_bill, payer, waive, sign_waiver, stranger, emits, refused, claim_of
):
    number = open_bill()

    receipt = waive(number, payer, stranger, sign_waiver(number, payer))

    emits(receipt, claims.PayerWaived(number=number, payer=ids[payer], sequence=1, by=stranger))
    claim = claim_of(number, payer)
    assert (claim.payer, claim.status, claim.sequence) == (ids[payer], Status.WAIVED, 1)
    with refused(claims.ClaimForbids, number=number, payer=ids[payer], status=Status.WAIVED):
        waive(number, payer, stranger, sign_waiver(number, payer))


def test_waive__while_locked_or_decided__is_refused(
    claims, ids, open_bill, payer, lock, waive, deny, claim_of, refused
):
    number = open_bill()
    lock(number, payer, 1_000)
    until = claim_of(number, payer).until

    with refused(claims.ClaimIsLocked, number=number, payer=ids[payer], until=until):
        waive(number, payer)
    deny(number, payer)
    with refused(claims.ClaimForbids, number=number, payer=ids[payer], status=Status.DENIED):
        waive(number, payer)


def test_waive__another_payer_or_a_forged_signature__is_refused(
    claims,
    ids,
    invoices,
    open_bill,
    issue_bills,
    patient,
    stranger_patient,
    payer,
    other_payer,
    waive,
    sign_waiver,
    stranger,
    refused,
    chain,
):
    number, not_opened = open_bill(), issue_bills(1).number()
    forged = sign_waiver(number, payer, key=stranger_patient)
    past = chain.pending_timestamp - 10

    with refused(claims.NotThePayer, number=number, institution=ids[other_payer]):
        waive(number, payer, other_payer)
    address = patient.address("Invoice", number)
    with refused(claims.AuthorisationInvalid, number=number, patient=address):
        waive(number, payer, stranger, forged)
    with refused(claims.AuthorisationExpired, number=number, deadline=past):
        waive(number, payer, stranger, sign_waiver(number, payer, 0, past), past)
    with refused(claims.InvoiceNotOpened, number=not_opened):
        waive(not_opened, payer, stranger, sign_waiver(not_opened, payer))


# I4: fixed benefits


def test_lock_and_settle__fixed_benefit__takes_nothing_of_the_remainder(
    claims, open_bill, payer, other_payer, lock, settle, claim_of
):
    number = open_bill(claimable=10_000)
    lock(number, other_payer, 10_000)

    receipt = lock(number, payer, 90_000, fixed=True)

    assert receipt.events[0].terms[3] is True
    assert claim_of(number, payer).fixedBenefit
    assert claims.usageOf(number) == (10_000, 0)
    settle(number, payer, 90_000)
    settle(number, other_payer, 10_000)
    assert claims.usageOf(number) == (0, 10_000)


def test_lock__fixed_benefit_first__leaves_all_to_the_others(
    claims, open_bill, payer, other_payer, lock, settle, refused
):
    number = open_bill(claimable=10_000)
    lock(number, payer, 90_000, fixed=True)
    settle(number, payer, 80_000)

    with refused(claims.OverRemainder, number=number, amount=10_001, remainder=10_000):
        lock(number, other_payer, 10_001)
    lock(number, other_payer, 10_000)
    assert claims.usageOf(number) == (10_000, 0)


def test_lock__signed_as_fixed_benefit_but_claimed_as_none__is_refused(
    claims, open_bill, payer, patient, authorise_claim, proof_of, refused
):
    number = open_bill()
    terms, signature = authorise_claim(number, payer, 1_000)
    lied = (*terms[:3], True, terms[4])

    address = patient.address("Invoice", number)
    with refused(claims.AuthorisationInvalid, number=number, patient=address):
        claims.lock(*proof_of(number), lied, signature, sender=payer)


def test_lock__fixed_benefit_after_a_denied_claim__is_no_part_of_the_usage(
    claims, open_bill, payer, other_payer, lock, deny
):
    number = open_bill(claimable=10_000)
    lock(number, payer, 1_000)
    lock(number, other_payer, 1_000)
    deny(number, other_payer)

    lock(number, other_payer, 50_000, sequence=1, fixed=True)

    assert claims.usageOf(number) == (1_000, 0)


# I6: withdrawal


def test_withdraw__by_the_payer__frees_the_lock(
    claims, ids, open_bill, payer, lock, withdraw, emits, claim_of
):
    number = open_bill()
    lock(number, payer, 4_000)

    receipt = withdraw(number, payer)

    emits(
        receipt,
        claims.ClaimWithdrawn(number=number, payer=ids[payer], reason=REASON, sequence=1, by=payer),
    )
    assert (claim_of(number, payer).amount, claim_of(number, payer).status) == (0, Status.WITHDRAWN)
    assert claims.usageOf(number) == (0, 0)
    lock(number, payer, 1_000, sequence=1)


def test_withdraw__by_the_patient__frees_the_lock_and_uses_the_signature_up(
    claims, patient, open_bill, payer, stranger, lock, withdraw, sign_withdrawal, claim_of, refused
):
    number = open_bill()
    lock(number, payer, 4_000)
    signature = sign_withdrawal(number, payer, REASON)

    withdraw(number, payer, stranger, signature)

    assert claim_of(number, payer).sequence == 2
    lock(number, payer, 1_000, sequence=2)
    address = patient.address("Invoice", number)
    with refused(claims.AuthorisationInvalid, number=number, patient=address):
        withdraw(number, payer, stranger, signature)


def test_withdraw__after_the_decision_or_without_a_lock__is_refused(
    claims, ids, open_bills, payer, other_payer, lock, settle, deny, withdraw, refused
):
    settled, denied = open_bills(2)
    lock(settled, payer, 4_000)
    settle(settled, payer, 3_000)
    lock(denied, payer, 4_000)
    deny(denied, payer)

    with refused(claims.ClaimIsSettled, number=settled, payer=ids[payer], amount=3_000):
        withdraw(settled, payer)
    with refused(claims.ClaimNotLocked, number=denied, payer=ids[payer]):
        withdraw(denied, payer)
    with refused(claims.ClaimNotLocked, number=denied, payer=ids[other_payer]):
        withdraw(denied, other_payer)


def test_withdraw__by_another_payer__is_refused(
    claims, ids, open_bill, payer, other_payer, lock, withdraw, refused
):
    number = open_bill()
    lock(number, payer, 4_000)

    with refused(claims.NotThePayer, number=number, institution=ids[other_payer]):
        withdraw(number, payer, other_payer)


# I5, I6: recoupment


def test_recoup__part_of_a_reimbursement__is_due_and_repaid(
    claims, ids, open_bill, payer, other_payer, lock, settle, emits, refused, claim_of
):
    number = open_bill(claimable=10_000)
    lock(number, payer, 6_000)
    settle(number, payer, 6_000)

    receipt = claims.recoup(number, 2_000, REASON, EXPLANATION, sender=payer)

    emits(
        receipt,
        claims.ClaimRecouped(
            number=number,
            payer=ids[payer],
            amount=2_000,
            reason=REASON,
            explanation=EXPLANATION,
            by=payer,
        ),
    )
    assert claims.recoupDueOf(number, ids[payer]) == claims.recoupedOf(number, ids[payer]) == 2_000
    assert claims.usageOf(number) == (0, 6_000)
    with refused(claims.OverReimbursed, number=number, amount=4_001, reimbursed=4_000):
        claims.recoup(number, 4_001, REASON, EXPLANATION, sender=payer)
    with refused(claims.OverRecoupDue, number=number, amount=2_001, due=2_000):
        claims.repay(number, 2_001, PAYMENT, sender=payer)
    receipt = claims.repay(number, 1_500, PAYMENT, sender=payer)
    emits(
        receipt,
        claims.ClaimRepaid(
            number=number, payer=ids[payer], amount=1_500, payment=PAYMENT, by=payer
        ),
    )
    assert claims.recoupDueOf(number, ids[payer]) == 500
    assert claims.usageOf(number) == (0, 4_500)
    assert claim_of(number, payer).amount == 4_500
    lock(number, other_payer, 5_500)


def test_recoup__missing_values_or_nothing_reimbursed__is_refused(
    claims, ids, open_bill, payer, other_payer, lock, settle, refused
):
    number = open_bill()
    lock(number, payer, 6_000)
    with refused(claims.ClaimForbids, number=number, payer=ids[payer], status=Status.LOCKED):
        claims.recoup(number, 1, REASON, EXPLANATION, sender=payer)
    settle(number, payer, 6_000)

    with refused(claims.AmountZero, number=number):
        claims.recoup(number, 0, REASON, EXPLANATION, sender=payer)
    with refused(claims.ExplanationMissing, number=number):
        claims.recoup(number, 1, REASON, bytes(32), sender=payer)
    with refused(claims.OverRecoupDue, number=number, amount=1, due=0):
        claims.repay(number, 1, PAYMENT, sender=payer)
    claims.recoup(number, 5, REASON, EXPLANATION, sender=payer)
    with refused(claims.AmountZero, number=number):
        claims.repay(number, 0, PAYMENT, sender=payer)
    with refused(claims.PaymentMissing, number=number):
        claims.repay(number, 1, bytes(32), sender=payer)
    with refused(claims.ClaimForbids, number=number, payer=ids[other_payer], status=Status.NONE):
        claims.repay(number, 1, PAYMENT, sender=other_payer)


def test_recoup_due__bill_reversed__is_all_that_was_reimbursed(
    claims, ids, open_bill, payer, other_payer, payers, lock, settle, reverse
):
    number = open_bill(claimable=10_000)
    for account, amount, fixed in ((payer, 6_000, False), (other_payer, 3_000, False)):
        lock(number, account, amount, fixed=fixed)
        settle(number, account, amount)
    lock(number, payers[2], 70_000, fixed=True)
    settle(number, payers[2], 70_000)
    dues = lambda: [claims.recoupDueOf(number, ids[each]) for each in payers[:3]]  # noqa: E731
    assert dues() == [0, 0, 0]

    reverse(number)

    assert dues() == [6_000, 3_000, 70_000]
    claims.recoup(number, 1_000, REASON, EXPLANATION, sender=payer)
    assert dues() == [6_000, 3_000, 70_000]
    claims.repay(number, 6_000, PAYMENT, sender=payer)
    claims.repay(number, 1_000, PAYMENT, sender=other_payer)
    assert dues() == [0, 2_000, 70_000]
    assert claims.usageOf(number) == (0, 2_000)


# I8: prescriptions


@pytest.fixture
def deliver_all(issue_prescription, pharmacy, accept, dispense, deliver):
    """A prescription of 24 units, and a function that brings all of it to the patient."""
    number = issue_prescription(quantities=(24,))

    def act():
        accept(number, pharmacy)
        dispense(number, 24)
        deliver(number)

    return number, act


def test_lock__part_that_pays_for_a_prescription__waits_until_it_is_handed_over(
    claims, issue_bills, payer, other_payer, lock, settle, deliver_all, refused
):
    prescription, hand_over = deliver_all
    batch = issue_bills(1, claimable=10_000, prescription=prescription, prescribed=3_000)
    number = batch.number()

    with refused(claims.PrescriptionNotHandedOver, number=number, prescription=prescription):
        lock(number, payer, 7_001)
    lock(number, payer, 5_000)
    settle(number, payer, 5_000)
    with refused(claims.PrescriptionNotHandedOver, number=number, prescription=prescription):
        lock(number, other_payer, 2_001)
    hand_over()
    lock(number, other_payer, 5_000)
    assert claims.usageOf(number) == (5_000, 5_000)


# I9: payments off chain


def test_confirm_payment__by_the_patient_or_the_hospital__is_confirmed_once(
    claims, ids, open_bills, payer, hospital, stranger, lock, settle, sign_confirmation, emits,
    claim_of, bill_segment, refused,
):  # fmt: skip
    numbers = open_bills(2)
    for number in numbers:
        lock(number, payer, 1_000)
        settle(number, payer, 1_000)
    first, second = numbers
    signature = sign_confirmation(first, payer, PAYMENT)

    receipt = claims.confirmPayment(
        first, ids[payer], PAYMENT, 0, FAR_FUTURE, signature, sender=stranger
    )
    claims.confirmPayment(second, ids[payer], PAYMENT, bill_segment.id, 0, b"", sender=hospital)

    emits(
        receipt,
        claims.PaymentConfirmed(number=first, payer=ids[payer], payment=PAYMENT, by=stranger),
    )
    assert claim_of(first, payer).isPaid
    assert claim_of(second, payer).isPaid
    with refused(claims.PaymentIsConfirmed, number=first, payer=ids[payer]):
        claims.confirmPayment(first, ids[payer], PAYMENT, 0, FAR_FUTURE, signature, sender=stranger)


def test_confirm_payment__of_another_payment_or_by_somebody_else__is_refused(
    claims, ids, open_bill, patient, payer, other_hospital, stranger, lock, settle,
    sign_confirmation, bill_segment, other_bill_segment, hospital, refused,
):  # fmt: skip
    number = open_bill()
    lock(number, payer, 1_000)
    with refused(claims.ClaimForbids, number=number, payer=ids[payer], status=Status.LOCKED):
        claims.confirmPayment(number, ids[payer], PAYMENT, 0, 0, b"", sender=hospital)
    settle(number, payer, 1_000)

    with refused(claims.PaymentDiffers, number=number, payer=ids[payer], payment=OTHER_PAYMENT):
        claims.confirmPayment(
            number, ids[payer], OTHER_PAYMENT, bill_segment.id, 0, b"", sender=hospital
        )
    for segment in (bill_segment, other_bill_segment):
        with refused(claims.NotTheIssuer, number=number, institution=ids[other_hospital]):
            claims.confirmPayment(
                number, ids[payer], PAYMENT, segment.id, 0, b"", sender=other_hospital
            )
    signature = sign_confirmation(number, payer, OTHER_PAYMENT)
    address = patient.address("Invoice", number)
    with refused(claims.AuthorisationInvalid, number=number, patient=address):
        claims.confirmPayment(
            number, ids[payer], PAYMENT, 0, FAR_FUTURE, signature, sender=stranger
        )


# I10: booking


def test_book__then_revoke_book_and_archive__is_final(
    claims, ids, open_bill, payer, lock, settle, emits, claim_of, refused
):
    number = open_bill()
    lock(number, payer, 1_000)
    with refused(claims.ClaimForbids, number=number, payer=ids[payer], status=Status.LOCKED):
        claims.book(number, sender=payer)
    settle(number, payer, 1_000)
    key = {"number": number, "payer": ids[payer], "by": payer}

    emits(claims.book(number, sender=payer), claims.ClaimBooked(**key))
    with refused(claims.ClaimForbids, number=number, payer=ids[payer], status=Status.BOOKED):
        claims.book(number, sender=payer)
    emits(
        claims.revokeBooking(number, REASON, sender=payer),
        claims.BookingRevoked(**key, reason=REASON),
    )
    with refused(claims.ClaimForbids, number=number, payer=ids[payer], status=Status.SETTLED):
        claims.archive(number, sender=payer)
    claims.book(number, sender=payer)
    emits(claims.archive(number, sender=payer), claims.ClaimArchived(**key))

    assert (claim_of(number, payer).amount, claim_of(number, payer).status) == (
        1_000,
        Status.ARCHIVED,
    )
    assert claims.usageOf(number) == (0, 1_000)
    with refused(claims.ClaimForbids, number=number, payer=ids[payer], status=Status.ARCHIVED):
        claims.revokeBooking(number, REASON, sender=payer)
    with refused(claims.ClaimIsSettled, number=number, payer=ids[payer], amount=1_000):
        settle(number, payer, 1)


# I9: payment in the settlement token


@pytest.mark.parametrize("amount", [1, 3_000])
def test_settle__with_a_payee__pays_in_the_same_transaction(
    claims,
    ids,
    token,
    escrow,
    open_bill,
    payer,
    stranger,
    lock,
    settle,
    deposit,
    claim_of,
    refused,
    amount,
):
    number = open_bill()
    deposit(payer, 5_000)
    lock(number, payer, 4_000, payee=stranger)

    receipt = settle(number, payer, amount, bytes(32))

    names = [event.event_name for event in receipt.events]
    assert names == ["ClaimSettled", "ClaimPaid", "Transfer"]
    assert receipt.events[1] == escrow.ClaimPaid(
        number=number, payer=ids[payer], payee=stranger, amount=amount
    )
    assert token.balanceOf(stranger) == amount
    assert escrow.depositOf(ids[payer]) == token.balanceOf(escrow) == 5_000 - amount
    assert claim_of(number, payer).isPaid
    with refused(claims.ClaimIsSettled, number=number, payer=ids[payer], amount=amount):
        settle(number, payer, 1_000, bytes(32))
    assert token.balanceOf(stranger) == amount


def test_lock__payee_for_a_bill_in_another_currency__is_refused(
    claims, issue_bills, payer, stranger, lock, refused
):
    number = issue_bills(1, currency=840).number()

    with refused(claims.CurrencyNotPaid, number=number, currency=840):
        lock(number, payer, 1_000, payee=stranger)


def test_deposit_and_withdraw__own_tokens__come_back(
    escrow, ids, token, payer, other_payer, deposit, refused
):
    deposited = deposit(payer, 1_000)
    assert deposited.events[0] == escrow.Deposited(payer=ids[payer], amount=1_000, by=payer)

    with refused(escrow.DepositTooSmall, payer=ids[other_payer], amount=1, deposit=0):
        escrow.withdraw(1, other_payer, sender=other_payer)
    withdrawn = escrow.withdraw(400, payer, sender=payer)

    assert withdrawn.events[0] == escrow.DepositWithdrawn(
        payer=ids[payer], to=payer, amount=400, by=payer
    )
    assert (escrow.depositOf(ids[payer]), token.balanceOf(payer)) == (600, 400)


def test_settle__without_settlement_token_in_the_deployment__no_payee_is_taken(
    institutions, prescriptions, supervisor, deploy_claims, ids, hospital, payer, patient, stranger,
    issue_bills, bill_segment, authorise_claim, refused,
):  # fmt: skip
    batch = issue_bills(1)
    ledger, escrow, claims = deploy_claims(institutions, prescriptions, 100, supervisor)
    serial = batch.number() - bill_segment.number(0)
    ledger.allot(ids[hospital], bill_segment.code, serial, serial, False, sender=supervisor)
    issued = ledger.issue(1, batch.number(), 1, batch.tree.root, sender=hospital)
    head = (batch.number(), 1, 1, issued.timestamp)
    header = batch.headers[0].as_abi()
    signed = authorise_claim(batch.number(), payer, 1_000, payee=stranger, contract=claims.address)

    assert escrow is None
    assert claims.escrow() == ZERO_ADDRESS
    with refused(claims.CurrencyNotPaid, number=batch.number(), currency=156):
        claims.lock(header, head, [], *signed, sender=payer)
