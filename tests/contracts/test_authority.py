"""Attacks acted out: stolen, stale and forged signatures of patients, and races."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from medledger.core.hashing import ClaimAuthorisation
from medledger.core.states import State

CURVE_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
MAGIC = bytes.fromhex("1626ba7e")


def high_s_twin(signature):
    """The other signature (r, n - s, v') by the same key over the same digest."""
    r, s, v = signature[:32], int.from_bytes(signature[32:64], "big"), signature[64]
    return r + (CURVE_ORDER - s).to_bytes(32, "big") + bytes([27 + 28 - v])


# The patient's signature on a claim


@pytest.fixture
def lock_with(claims, far_future):
    """A payer locks 1,000 with whatever signature it has."""

    def act(number, payer, signature, amount=1_000, deadline=far_future):
        return claims.lock(number, amount, deadline, signature, sender=payer)

    return act


@pytest.fixture
def not_authorised(invoices, claims, refused):
    """Asserts that a signature is refused for this bill, and that nothing gets locked."""

    def assert_refused(number, act):
        patient, before = invoices.invoiceOf(number).patient, claims.usageOf(number)
        with refused(claims.AuthorisationInvalid, number=number, patient=patient):
            act()
        assert claims.usageOf(number) == before

    return assert_refused


def test_lock__replayed_after_release__is_refused(
    claims, open_bill, payer, authorise_claim, lock_with, not_authorised
):
    number = open_bill()
    signature = authorise_claim(number, payer, 1_000)
    lock_with(number, payer, signature)
    claims.release(number, 1, sender=payer)

    not_authorised(number, lambda: lock_with(number, payer, signature))


def test_lock__replayed_after_expiry__is_refused(
    claims, ids, open_bill, payer, authorise_claim, lock_with, refused, invoices, chain
):
    number = open_bill()
    signature = authorise_claim(number, payer, 1_000)
    lock_with(number, payer, signature)
    chain.pending_timestamp = claims.claimOf(number, ids[payer]).until + 1

    with refused(
        claims.AuthorisationInvalid, number=number, patient=invoices.invoiceOf(number).patient
    ):
        lock_with(number, payer, signature)
    assert claims.usageOf(number) == (0, 0)


def test_lock__second_signature_of_the_same_sequence__is_refused_once_one_is_used(
    claims, open_bill, payer, authorise_claim, lock_with, not_authorised
):
    number = open_bill()
    small = authorise_claim(number, payer, 1_000)
    large = authorise_claim(number, payer, 5_000)
    lock_with(number, payer, small)
    claims.release(number, 1, sender=payer)

    not_authorised(number, lambda: lock_with(number, payer, large, amount=5_000))


def test_lock__signed_for_another_payer__is_refused(
    open_bill, payer, other_payer, authorise_claim, lock_with, not_authorised
):
    number = open_bill()
    signature = authorise_claim(number, payer, 1_000)

    not_authorised(number, lambda: lock_with(number, other_payer, signature))


@pytest.mark.parametrize("amount", [999, 1_001, 1, 10_000])
def test_lock__signed_for_another_amount__is_refused(
    open_bill, payer, authorise_claim, lock_with, not_authorised, amount
):
    number = open_bill()
    signature = authorise_claim(number, payer, 1_000)

    not_authorised(number, lambda: lock_with(number, payer, signature, amount=amount))


def test_lock__signed_for_another_bill_of_the_patient__is_refused(
    open_bills, payer, authorise_claim, lock_with, not_authorised
):
    number, another = open_bills(2)
    signature = authorise_claim(another, payer, 1_000)

    not_authorised(number, lambda: lock_with(number, payer, signature))


def test_lock__signed_for_another_bill_of_the_same_address__is_refused(
    open_bills, patient, payer, ids, claims, chain, far_future, lock_with, not_authorised
):
    # An issuer that reuses an address for two bills still cannot move a signature between them.
    probe = 7
    number, another = open_bills(2, holder=patient.address("Invoice", probe))
    message = ClaimAuthorisation(another, ids[payer], 1_000, 0, far_future)
    signature = _sign_as(patient, message, probe, chain.chain_id, claims.address)

    not_authorised(number, lambda: lock_with(number, payer, signature))
    lock_with(another, payer, signature)
    assert claims.usageOf(another) == (1_000, 0)


def _sign_as(patient, message, number, chain_id, contract):
    """A signature over `message` by the one-time key of another document's number."""
    numbered = SimpleNamespace(number=number, struct_hash=message.struct_hash)
    return patient.sign(numbered, "Invoice", chain_id, contract)


def test_lock__signed_for_another_deadline__is_refused(
    open_bill, payer, authorise_claim, lock_with, not_authorised, far_future
):
    number = open_bill()
    signature = authorise_claim(number, payer, 1_000)

    not_authorised(number, lambda: lock_with(number, payer, signature, deadline=far_future + 1))


def test_lock__signed_for_a_later_sequence__is_refused(
    open_bill, payer, authorise_claim, lock_with, not_authorised
):
    number = open_bill()
    signature = authorise_claim(number, payer, 1_000, sequence=1)

    not_authorised(number, lambda: lock_with(number, payer, signature))


def test_lock__signed_for_another_contract__is_refused(
    open_bill, payer, invoices, authorise_claim, lock_with, not_authorised
):
    number = open_bill()
    signature = authorise_claim(number, payer, 1_000, contract=invoices.address)

    not_authorised(number, lambda: lock_with(number, payer, signature))


def test_lock__signed_for_an_earlier_deployment__is_refused(
    invoices,
    institutions,
    ids,
    deploy_invoices_and_claims,
    supervisor,
    hospital,
    issue_bills,
    payer,
    stranger,
    authorise_claim,
    far_future,
    refused,
    bill_segment,
):
    # The same bill issued on a second ledger: a signature for the first opens nothing there.
    batch = issue_bills(1)
    second, second_claims = deploy_invoices_and_claims(institutions, 100, supervisor)
    serial = batch.number() - bill_segment.number(0)
    second.allot(ids[hospital], bill_segment.code, serial, serial, False, sender=supervisor)
    receipt = second.issue(1, batch.number(), 1, batch.tree.root, sender=hospital)
    head = (batch.number(), 1, 1, receipt.timestamp)
    second.open(batch.headers[0].as_abi(), head, [], sender=stranger)
    signature = authorise_claim(batch.number(), payer, 1_000)

    with refused(
        second_claims.AuthorisationInvalid,
        number=batch.number(),
        patient=batch.headers[0].patient,
    ):
        second_claims.lock(batch.number(), 1_000, far_future, signature, sender=payer)


def test_lock__signed_for_another_chain__is_refused(
    open_bill, payer, chain, authorise_claim, lock_with, not_authorised
):
    number = open_bill()
    signature = authorise_claim(number, payer, 1_000, chain_id=chain.chain_id + 1)

    not_authorised(number, lambda: lock_with(number, payer, signature))


def test_lock__signed_by_another_patient__is_refused(
    open_bill, payer, stranger_patient, authorise_claim, lock_with, not_authorised
):
    number = open_bill()
    signature = authorise_claim(number, payer, 1_000, key=stranger_patient)

    not_authorised(number, lambda: lock_with(number, payer, signature))


def test_lock__high_s_twin_of_a_valid_signature__is_refused(
    claims, open_bill, payer, authorise_claim, lock_with, not_authorised
):
    number = open_bill()
    signature = authorise_claim(number, payer, 1_000)
    twin = high_s_twin(signature)
    assert int.from_bytes(twin[32:64], "big") > CURVE_ORDER // 2

    not_authorised(number, lambda: lock_with(number, payer, twin))
    lock_with(number, payer, signature)
    assert claims.usageOf(number) == (1_000, 0)


def test_lock__damaged_signature__is_refused(
    open_bill, payer, authorise_claim, lock_with, not_authorised
):
    number = open_bill()
    good = authorise_claim(number, payer, 1_000)
    flipped = bytes([good[0] ^ 1]) + good[1:]
    other_v = good[:64] + bytes([27 + 28 - good[64]])
    # EIP-2098's short form was once accepted by the checker, and gave each signature a twin.
    short = good[:32] + bytes([good[32] | (good[64] - 27) << 7]) + good[33:64]

    for damaged in (b"", bytes(65), good[:64], good + b"\0", flipped, other_v, short):
        not_authorised(number, lambda damaged=damaged: lock_with(number, payer, damaged))


# Contract wallets


@pytest.fixture
def signed_by_wallet(claims, ids, chain, patient, payer, far_future):
    """The owner's signature; the owner of every wallet here is the patient's key of number 7."""

    def sign(number):
        message = ClaimAuthorisation(number, ids[payer], 1_000, 0, far_future)
        return _sign_as(patient, message, 7, chain.chain_id, claims.address)

    return sign


def test_lock__patient_is_a_contract_wallet__its_answer_counts(
    claims,
    compiled,
    open_bill,
    patient,
    payer,
    stranger,
    signed_by_wallet,
    lock_with,
    not_authorised,
):
    wallet = compiled["Wallet"].deploy(patient.address("Invoice", 7), sender=stranger)
    number = open_bill(holder=wallet.address)
    signature = signed_by_wallet(number)

    not_authorised(number, lambda: lock_with(number, payer, signature, amount=1_001))
    lock_with(number, payer, signature)

    assert claims.usageOf(number) == (1_000, 0)


def test_lock__replayed_signature_of_a_contract_wallet__is_refused(
    claims,
    compiled,
    open_bill,
    patient,
    payer,
    stranger,
    signed_by_wallet,
    lock_with,
    not_authorised,
):
    wallet = compiled["Wallet"].deploy(patient.address("Invoice", 7), sender=stranger)
    number = open_bill(holder=wallet.address)
    lock_with(number, payer, signed_by_wallet(number))
    claims.release(number, 1, sender=payer)

    not_authorised(number, lambda: lock_with(number, payer, signed_by_wallet(number)))


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        MAGIC,
        bytes(32),
        b"\xff" * 32,
        bytes(28) + MAGIC,
        MAGIC + bytes(27) + b"\x01",
        (1).to_bytes(32, "big"),
        MAGIC + bytes(27),
    ],
    ids=["nothing", "four bytes", "zero", "ones", "right-aligned", "not padded", "true", "short"],
)
def test_lock__wallet_that_answers_anything_but_the_magic_value__is_refused(
    compiled, open_bill, payer, stranger, signed_by_wallet, lock_with, not_authorised, answer
):
    wallet = compiled["LyingWallet"].deploy(answer, sender=stranger)
    number = open_bill(holder=wallet.address)

    not_authorised(number, lambda: lock_with(number, payer, signed_by_wallet(number)))


def test_lock__wallet_that_reverts__is_refused(
    compiled, open_bill, payer, stranger, signed_by_wallet, lock_with, not_authorised
):
    wallet = compiled["RevertingWallet"].deploy(sender=stranger)
    number = open_bill(holder=wallet.address)

    not_authorised(number, lambda: lock_with(number, payer, signed_by_wallet(number)))


def test_lock__contract_without_signatures_as_patient__is_refused(
    open_bill, institutions, payer, signed_by_wallet, lock_with, not_authorised
):
    number = open_bill(holder=institutions.address)

    not_authorised(number, lambda: lock_with(number, payer, signed_by_wallet(number)))


# The patient's signature on a prescription


def test_accept__signed_for_something_else__is_refused(
    prescriptions,
    proofs,
    patient,
    issue_prescription,
    pharmacy,
    other_pharmacy,
    stranger_patient,
    claims,
    chain,
    authorise_accept,
    confirm_delivery,
    refused,
    far_future,
):
    number, another = issue_prescription(), issue_prescription()
    good = authorise_accept(number, pharmacy)
    wrong = {
        "another pharmacy": authorise_accept(number, other_pharmacy),
        "another prescription": authorise_accept(another, pharmacy),
        "a later sequence": authorise_accept(number, pharmacy, sequence=1),
        "another deadline": authorise_accept(number, pharmacy, deadline=far_future + 1),
        "another contract": authorise_accept(number, pharmacy, contract=claims.address),
        "another chain": authorise_accept(number, pharmacy, chain_id=chain.chain_id + 1),
        "another patient": authorise_accept(number, pharmacy, key=stranger_patient),
        "a delivery": confirm_delivery(number, sequence=0),
        "its high-s twin": high_s_twin(good),
    }
    before = prescriptions.prescriptionOf(number)
    holder = patient.address("Prescription", number)

    for signature in wrong.values():
        with refused(prescriptions.AuthorisationInvalid, number=number, patient=holder):
            prescriptions.accept(*proofs[number], far_future, signature, sender=pharmacy)
    assert prescriptions.prescriptionOf(number) == before
    prescriptions.accept(*proofs[number], far_future, good, sender=pharmacy)
    assert prescriptions.prescriptionOf(number).state == State.ACCEPTED


def test_accept__replayed_after_return__is_refused(
    prescriptions, proofs, issue_prescription, pharmacy, authorise_accept, refused, far_future
):
    number = issue_prescription()
    signature = authorise_accept(number, pharmacy)
    prescriptions.accept(*proofs[number], far_future, signature, sender=pharmacy)
    prescriptions.returnToPool(number, 1, sender=pharmacy)
    patient = prescriptions.prescriptionOf(number).patient

    with refused(prescriptions.AuthorisationInvalid, number=number, patient=patient):
        prescriptions.accept(*proofs[number], far_future, signature, sender=pharmacy)


def test_accept__replayed_after_the_lease__is_refused(
    prescriptions,
    proofs,
    issue_prescription,
    pharmacy,
    authorise_accept,
    refused,
    far_future,
    chain,
):
    number = issue_prescription()
    signature = authorise_accept(number, pharmacy)
    prescriptions.accept(*proofs[number], far_future, signature, sender=pharmacy)
    found = prescriptions.prescriptionOf(number)
    chain.pending_timestamp = found.leaseUntil + 1

    with refused(prescriptions.AuthorisationInvalid, number=number, patient=found.patient):
        prescriptions.accept(*proofs[number], far_future, signature, sender=pharmacy)


def test_accept__code_for_two_pharmacies__serves_the_first_only(
    prescriptions,
    proofs,
    issue_prescription,
    pharmacy,
    other_pharmacy,
    authorise_accept,
    refused,
    far_future,
):
    number = issue_prescription()
    first = authorise_accept(number, pharmacy)
    second = authorise_accept(number, other_pharmacy)
    prescriptions.accept(*proofs[number], far_future, first, sender=pharmacy)
    prescriptions.returnToPool(number, 1, sender=pharmacy)
    patient = prescriptions.prescriptionOf(number).patient

    with refused(prescriptions.AuthorisationInvalid, number=number, patient=patient):
        prescriptions.accept(*proofs[number], far_future, second, sender=other_pharmacy)


def test_deliver__signed_for_something_else__is_refused(
    prescriptions,
    issue_prescription,
    pharmacy,
    stranger,
    stranger_patient,
    claims,
    chain,
    accept,
    dispense,
    authorise_accept,
    confirm_delivery,
    refused,
    far_future,
):
    number, another = issue_prescription(), issue_prescription()
    accept(number, pharmacy)
    dispense(number, 24, 9)
    dispense(number, 0, 1)
    good = confirm_delivery(number, sequence=3)
    wrong = {
        "another prescription": confirm_delivery(another, 3, quantities=(24, 10, 0, 0, 0)),
        "what was dispensed before": confirm_delivery(number, 2, quantities=(24, 9, 0, 0, 0)),
        "less than the parcel": confirm_delivery(number, 3, quantities=(24, 9, 0, 0, 0)),
        "more than the parcel": confirm_delivery(number, 3, quantities=(24, 11, 0, 0, 0)),
        "an earlier sequence": confirm_delivery(number, 2),
        "a later sequence": confirm_delivery(number, 4),
        "another deadline": confirm_delivery(number, 3, deadline=far_future + 1),
        "another contract": confirm_delivery(number, 3, contract=claims.address),
        "another chain": confirm_delivery(number, 3, chain_id=chain.chain_id + 1),
        "another patient": confirm_delivery(number, 3, key=stranger_patient),
        "an acceptance": authorise_accept(number, pharmacy, sequence=3),
        "its high-s twin": high_s_twin(good),
        "nothing": b"",
    }
    before = prescriptions.prescriptionOf(number)

    for confirmation in wrong.values():
        with refused(prescriptions.AuthorisationInvalid, number=number, patient=before.patient):
            prescriptions.deliver(number, far_future, confirmation, sender=stranger)
    assert prescriptions.prescriptionOf(number) == before
    prescriptions.deliver(number, far_future, good, sender=stranger)
    assert prescriptions.prescriptionOf(number).state == State.DELIVERED


def test_deliver__confirmation_of_an_earlier_parcel__is_refused(
    prescriptions,
    issue_prescription,
    pharmacy,
    stranger,
    accept,
    dispense,
    confirm_delivery,
    refused,
    far_future,
):
    number = issue_prescription()
    accept(number, pharmacy)
    dispense(number, 4)
    confirmation = confirm_delivery(number)
    prescriptions.deliver(number, far_future, confirmation, sender=stranger)
    dispense(number, 20, 10)
    patient = prescriptions.prescriptionOf(number).patient

    with refused(prescriptions.AuthorisationInvalid, number=number, patient=patient):
        prescriptions.deliver(number, far_future, confirmation, sender=stranger)


# Racing


def test_open__front_run_by_a_stranger__does_not_stop_the_payer(
    invoices, claims, issue_bills, payer, stranger, authorise_claim, far_future
):
    batch = issue_bills(2)
    signature = authorise_claim(batch.number(), payer, 1_000)
    invoices.open(*batch.proof(), sender=stranger)

    claims.openAndLock(*batch.proof(), 1_000, far_future, signature, sender=payer)

    assert claims.usageOf(batch.number()) == (1_000, 0)


def test_lock__seen_and_copied_by_another_payer__serves_the_one_it_names(
    claims, ids, open_bill, payer, other_payer, authorise_claim, lock_with, not_authorised
):
    number = open_bill()
    signature = authorise_claim(number, payer, 1_000)

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
