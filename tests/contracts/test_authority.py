"""Attacks acted out: stolen, stale and forged authority of patients and of institutions."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from hexbytes import HexBytes

from medledger.core.hashing import ZERO_ADDRESS, ClaimAuthorisation, keccak256
from medledger.core.states import Kind, State

CURVE_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
MAGIC = bytes.fromhex("1626ba7e")
ROOT = keccak256(b"a root")
EXPLANATION = keccak256(b"explanation of benefit")
DECISION = (1_000, 1, EXPLANATION, ROOT)


def high_s_twin(signature):
    """The other signature (r, n - s, v') by the same key over the same digest."""
    r, s, v = signature[:32], int.from_bytes(signature[32:64], "big"), signature[64]
    return r + (CURVE_ORDER - s).to_bytes(32, "big") + bytes([27 + 28 - v])


# The patient's signature on a claim


@pytest.fixture(scope="module")
def sign_claim(authorise_claim):
    """The patient's signature alone."""
    return lambda *arguments, **terms: authorise_claim(*arguments, **terms)[1]


@pytest.fixture
def lock_with(claims, far_future, proof_of):
    """A payer locks 1,000 with whatever signature it has."""

    def act(number, payer, signature, amount=1_000, deadline=far_future):
        terms = (amount, deadline, 0, False, ZERO_ADDRESS)
        return claims.lock(*proof_of(number), terms, signature, sender=payer)

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


def test_lock__replayed_after_denial__is_refused(
    claims, open_bill, payer, sign_claim, lock_with, not_authorised
):
    number = open_bill()
    signature = sign_claim(number, payer, 1_000)
    lock_with(number, payer, signature)
    claims.deny(number, 1, EXPLANATION, sender=payer)

    not_authorised(number, lambda: lock_with(number, payer, signature))


def test_lock__replayed_after_expiry__is_refused(
    claims, ids, open_bill, payer, sign_claim, lock_with, refused, invoices, chain
):
    number = open_bill()
    signature = sign_claim(number, payer, 1_000)
    lock_with(number, payer, signature)
    chain.pending_timestamp = claims.claimOf(number, ids[payer]).until + 1

    with refused(
        claims.AuthorisationInvalid, number=number, patient=invoices.invoiceOf(number).patient
    ):
        lock_with(number, payer, signature)
    assert claims.usageOf(number) == (0, 0)


def test_lock__second_signature_of_the_same_sequence__is_refused_once_one_is_used(
    claims, open_bill, payer, sign_claim, lock_with, not_authorised
):
    number = open_bill()
    small = sign_claim(number, payer, 1_000)
    large = sign_claim(number, payer, 5_000)
    lock_with(number, payer, small)
    claims.deny(number, 1, EXPLANATION, sender=payer)

    not_authorised(number, lambda: lock_with(number, payer, large, amount=5_000))


def test_lock__signed_for_another_payer__is_refused(
    open_bill, payer, other_payer, sign_claim, lock_with, not_authorised
):
    number = open_bill()
    signature = sign_claim(number, payer, 1_000)

    not_authorised(number, lambda: lock_with(number, other_payer, signature))


@pytest.mark.parametrize("amount", [999, 1_001, 1, 10_000])
def test_lock__signed_for_another_amount__is_refused(
    open_bill, payer, sign_claim, lock_with, not_authorised, amount
):
    number = open_bill()
    signature = sign_claim(number, payer, 1_000)

    not_authorised(number, lambda: lock_with(number, payer, signature, amount=amount))


def test_lock__signed_for_another_bill_of_the_patient__is_refused(
    open_bills, payer, sign_claim, lock_with, not_authorised
):
    number, another = open_bills(2)
    signature = sign_claim(another, payer, 1_000)

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
    open_bill, payer, sign_claim, lock_with, not_authorised, far_future
):
    number = open_bill()
    signature = sign_claim(number, payer, 1_000)

    not_authorised(number, lambda: lock_with(number, payer, signature, deadline=far_future + 1))


def test_lock__signed_for_a_later_sequence__is_refused(
    open_bill, payer, sign_claim, lock_with, not_authorised
):
    number = open_bill()
    signature = sign_claim(number, payer, 1_000, sequence=1)

    not_authorised(number, lambda: lock_with(number, payer, signature))


def test_lock__signed_for_another_contract__is_refused(
    open_bill, payer, invoices, sign_claim, lock_with, not_authorised
):
    number = open_bill()
    signature = sign_claim(number, payer, 1_000, contract=invoices.address)

    not_authorised(number, lambda: lock_with(number, payer, signature))


def test_lock__signed_for_an_earlier_deployment__is_refused(
    invoices,
    institutions,
    ids,
    deploy_claims,
    prescriptions,
    supervisor,
    hospital,
    issue_bills,
    payer,
    stranger,
    sign_claim,
    far_future,
    refused,
    bill_segment,
):
    # The same bill issued on a second ledger: a signature for the first opens nothing there.
    batch = issue_bills(1)
    second, _, second_claims = deploy_claims(institutions, prescriptions, 100, supervisor)
    serial = batch.number() - bill_segment.number(0)
    second.allot(ids[hospital], bill_segment.code, serial, serial, False, sender=supervisor)
    receipt = second.issue(1, batch.number(), 1, batch.tree.root, sender=hospital)
    head = (batch.number(), 1, 1, receipt.timestamp)
    header = batch.headers[0].as_abi()
    terms = (1_000, far_future, 0, False, ZERO_ADDRESS)
    signature = sign_claim(batch.number(), payer, 1_000)

    with refused(
        second_claims.AuthorisationInvalid,
        number=batch.number(),
        patient=batch.headers[0].patient,
    ):
        second_claims.lock(header, head, [], terms, signature, sender=payer)


def test_lock__signed_for_another_chain__is_refused(
    open_bill, payer, chain, sign_claim, lock_with, not_authorised
):
    number = open_bill()
    signature = sign_claim(number, payer, 1_000, chain_id=chain.chain_id + 1)

    not_authorised(number, lambda: lock_with(number, payer, signature))


def test_lock__signed_by_another_patient__is_refused(
    open_bill, payer, stranger_patient, sign_claim, lock_with, not_authorised
):
    number = open_bill()
    signature = sign_claim(number, payer, 1_000, key=stranger_patient)

    not_authorised(number, lambda: lock_with(number, payer, signature))


def test_lock__high_s_twin_of_a_valid_signature__is_refused(
    claims, open_bill, payer, sign_claim, lock_with, not_authorised
):
    number = open_bill()
    signature = sign_claim(number, payer, 1_000)
    twin = high_s_twin(signature)
    assert int.from_bytes(twin[32:64], "big") > CURVE_ORDER // 2

    not_authorised(number, lambda: lock_with(number, payer, twin))
    lock_with(number, payer, signature)
    assert claims.usageOf(number) == (1_000, 0)


def test_lock__damaged_signature__is_refused(
    open_bill, payer, sign_claim, lock_with, not_authorised
):
    number = open_bill()
    good = sign_claim(number, payer, 1_000)
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
    claims.deny(number, 1, EXPLANATION, sender=payer)

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
    with refused(claims.InvoiceIsReversed, number=reversed_, redLetter=other_red_letter):
        lock(reversed_, payer, 1_000)

    assert claims.usageOf(locked) == (1_000, 0)
    assert claims.usageOf(reversed_) == (0, 0)


# Operators and institutions


@pytest.fixture(scope="module")
def world(
    invoices,
    claims,
    escrow,
    token,
    prescriptions,
    ids,
    issue_bills,
    issue_prescriptions,
    issue_red_letters,
    issue_prescription,
    lock,
    accept,
    dispense,
    proofs,
    institutions,
    sign_claim,
    authorise_accept,
    endorsement,
    supervisor,
    hospital,
    pharmacy,
    courier,
    leaving_courier,
    payer,
    stranger,
    bill_segment,
    prescription_segment,
    far_future,
):
    """A bill or prescription for each act, in the state in which the act is allowed."""
    bills = issue_bills(16)
    for index in (0, 1, 7):
        invoices.open(*bills.proof(index), sender=stranger)
    red_letters = issue_red_letters(bills.number(7), 1_000)
    paper = issue_bills(2)
    invoices.hold(bill_segment.id, bills.number(4), sender=hospital)
    invoices.exchangeForPaper(bill_segment.id, paper.number(1), ROOT, sender=hospital)
    lock(bills.number(1), payer, 1_000)
    for index in (9, 10, 11):
        lock(bills.number(index), payer, 1_000)
        claims.settle(bills.number(index), DECISION, sender=payer)
    claims.book(bills.number(10), sender=payer)
    claims.recoup(bills.number(11), 500, 1, EXPLANATION, sender=payer)
    token.mint(payer, 100, sender=supervisor)
    token.approve(escrow, 100, sender=payer)
    escrow.deposit(50, sender=payer)
    terms = (1_000, far_future, 0, False, ZERO_ADDRESS)
    at_once = [
        (bills.proof(index), (terms, DECISION), sign_claim(bills.number(index), payer, 1_000))
        for index in (2, 12)
    ]
    to_accept, to_return, to_hand_over, in_transit = (issue_prescription() for _ in range(4))
    to_withdraw, to_take_over, to_take_back = (issue_prescription() for _ in range(3))
    parcels = (to_hand_over, in_transit, to_withdraw, to_take_over, to_take_back)
    for number in (to_return, *parcels):
        accept(number, pharmacy)
    for number in parcels:
        dispense(number, 1)
    for number in (in_transit, to_take_over):
        prescriptions.handOver(number, ids[courier], sender=pharmacy)
    prescriptions.handOver(to_take_back, ids[leaving_courier], sender=pharmacy)
    institutions.suspend(ids[leaving_courier], 1, sender=supervisor)
    prescriptions.offer(to_take_over, ids[courier], sender=courier)
    unopened = issue_prescriptions(3)
    prescriptions.hold(prescription_segment.id, unopened.number(2), sender=hospital)
    next_bill = paper.number() + 2
    batch = (bill_segment.id, next_bill, 1, ROOT, far_future)
    return SimpleNamespace(
        bills=bills,
        paper=paper,
        red_letters=red_letters,
        to_endorse=(*batch, supervisor, endorsement(invoices, supervisor, *batch)),
        unopened=unopened,
        to_accept=to_accept,
        to_return=to_return,
        to_hand_over=to_hand_over,
        in_transit=in_transit,
        to_withdraw=to_withdraw,
        to_take_over=to_take_over,
        to_take_back=to_take_back,
        next_bill=next_bill,
        next_prescription=unopened.number() + 3,
        to_lock=(*bills.proof(0), terms, sign_claim(bills.number(0), payer, 1_000)),
        at_once=(*at_once[0][0], *at_once[0][1:]),
        many_at_once=(
            [at_once[1][0][0]],
            *at_once[1][0][1:],
            [at_once[1][1]],
            [at_once[1][2]],
        ),
        code=(*proofs[to_accept], far_future, authorise_accept(to_accept, pharmacy)),
        bill_segment=bill_segment.id,
        prescription_segment=prescription_segment.id,
    )


ACTS = {
    "hospital issues bills": (
        "hospital",
        lambda c, w: c.invoices.issue(w.bill_segment, w.next_bill, 1, ROOT, sender=c.by),
    ),
    "hospital issues endorsed bills": (
        "hospital",
        lambda c, w: c.invoices.issueEndorsed(*w.to_endorse, sender=c.by),
    ),
    "hospital holds a bill": (
        "hospital",
        lambda c, w: c.invoices.hold(w.bill_segment, w.bills.number(3), sender=c.by),
    ),
    "hospital releases a bill": (
        "hospital",
        lambda c, w: c.invoices.release(w.bill_segment, w.bills.number(4), sender=c.by),
    ),
    "hospital reverses a bill": (
        "hospital",
        lambda c, w: c.invoices.reverse(
            w.bill_segment, w.bills.number(5), w.bill_segment, w.bills.number(6), 1, sender=c.by
        ),
    ),
    "hospital reverses part of a bill": (
        "hospital",
        lambda c, w: c.invoices.reversePart(
            w.bill_segment,
            w.bills.number(7),
            w.bill_segment,
            *w.red_letters.proof(),
            1,
            sender=c.by,
        ),
    ),
    "hospital exchanges a bill for paper": (
        "hospital",
        lambda c, w: c.invoices.exchangeForPaper(
            w.bill_segment, w.paper.number(0), ROOT, sender=c.by
        ),
    ),
    "hospital voids a paper bill": (
        "hospital",
        lambda c, w: c.invoices.voidPaper(w.bill_segment, w.paper.number(1), sender=c.by),
    ),
    "hospital issues prescriptions": (
        "hospital",
        lambda c, w: c.prescriptions.issue(
            w.prescription_segment, w.next_prescription, 1, ROOT, sender=c.by
        ),
    ),
    "hospital holds a prescription": (
        "hospital",
        lambda c, w: c.prescriptions.hold(
            w.prescription_segment, w.unopened.number(1), sender=c.by
        ),
    ),
    "hospital releases a prescription": (
        "hospital",
        lambda c, w: c.prescriptions.release(
            w.prescription_segment, w.unopened.number(2), sender=c.by
        ),
    ),
    "hospital cancels a prescription": (
        "hospital",
        lambda c, w: c.prescriptions.cancel(
            w.prescription_segment, w.unopened.number(1), 1, sender=c.by
        ),
    ),
    "pharmacy accepts": (
        "pharmacy",
        lambda c, w: c.prescriptions.accept(*w.code, sender=c.by),
    ),
    "hospital asks to cancel a prescription": (
        "hospital",
        lambda c, w: c.prescriptions.requestCancel(
            w.prescription_segment, w.to_return, 1, sender=c.by
        ),
    ),
    "pharmacy reviews": (
        "pharmacy",
        lambda c, w: c.prescriptions.review(w.to_return, ROOT, sender=c.by),
    ),
    "pharmacy withdraws": (
        "pharmacy",
        lambda c, w: c.prescriptions.withdraw(w.to_withdraw, 1, sender=c.by),
    ),
    "pharmacy takes back": (
        "pharmacy",
        lambda c, w: c.prescriptions.takeBack(w.to_take_back, sender=c.by),
    ),
    "courier offers": (
        "courier",
        lambda c, w: c.prescriptions.offer(w.in_transit, c.ids[c.roles.courier], sender=c.by),
    ),
    "courier takes over": (
        "courier",
        lambda c, w: c.prescriptions.takeOver(w.to_take_over, sender=c.by),
    ),
    "supervisor sets a policy": (
        "other_supervisor",
        lambda c, w: c.policies.setPolicy(1, 1, 1, 1, 1, True, True, True, sender=c.by),
    ),
    "pharmacy returns": (
        "pharmacy",
        lambda c, w: c.prescriptions.returnToPool(w.to_return, 1, sender=c.by),
    ),
    "pharmacy dispenses": (
        "pharmacy",
        lambda c, w: c.prescriptions.dispense(w.to_return, [1], 0, ROOT, ROOT, sender=c.by),
    ),
    "pharmacy hands over": (
        "pharmacy",
        lambda c, w: c.prescriptions.handOver(w.to_hand_over, c.ids[c.roles.courier], sender=c.by),
    ),
    "courier reports a failure": (
        "courier",
        lambda c, w: c.prescriptions.failDelivery(w.in_transit, 1, sender=c.by),
    ),
    "payer locks": ("payer", lambda c, w: c.claims.lock(*w.to_lock, sender=c.by)),
    "payer locks and settles": (
        "payer",
        lambda c, w: c.claims.lockAndSettle(*w.at_once, sender=c.by),
    ),
    "payer locks and settles many": (
        "payer",
        lambda c, w: c.claims.lockAndSettleMany(*w.many_at_once, sender=c.by),
    ),
    "payer settles": (
        "payer",
        lambda c, w: c.claims.settle(w.bills.number(1), DECISION, sender=c.by),
    ),
    "payer denies": (
        "payer",
        lambda c, w: c.claims.deny(w.bills.number(1), 1, EXPLANATION, sender=c.by),
    ),
    "payer withdraws": (
        "payer",
        lambda c, w: c.claims.withdraw(
            w.bills.number(1), c.ids[c.roles.payers[0]], 1, 0, b"", sender=c.by
        ),
    ),
    "payer waives": (
        "payer",
        lambda c, w: c.claims.waive(
            w.bills.number(8), c.ids[c.roles.payers[0]], 0, b"", sender=c.by
        ),
    ),
    "hospital confirms a payment": (
        "hospital",
        lambda c, w: c.claims.confirmPayment(
            w.bills.number(9), c.ids[c.roles.payers[0]], ROOT, w.bill_segment, 0, b"", sender=c.by
        ),
    ),
    "payer recoups": (
        "payer",
        lambda c, w: c.claims.recoup(w.bills.number(9), 1, 1, EXPLANATION, sender=c.by),
    ),
    "payer is repaid": (
        "payer",
        lambda c, w: c.claims.repay(w.bills.number(11), 1, ROOT, sender=c.by),
    ),
    "payer books": ("payer", lambda c, w: c.claims.book(w.bills.number(9), sender=c.by)),
    "payer revokes a booking": (
        "payer",
        lambda c, w: c.claims.revokeBooking(w.bills.number(10), 1, sender=c.by),
    ),
    "payer archives": ("payer", lambda c, w: c.claims.archive(w.bills.number(10), sender=c.by)),
    "payer deposits": ("payer", lambda c, w: c.escrow.deposit(50, sender=c.by)),
    "payer withdraws a deposit": (
        "payer",
        lambda c, w: c.escrow.withdraw(50, c.by, sender=c.by),
    ),
    "supervisor accredits": (
        "other_supervisor",
        lambda c, w: c.institutions.accredit(1, 0, ROOT, 1, c.end, "0x" + "77" * 20, sender=c.by),
    ),
    "supervisor renews": (
        "other_supervisor",
        lambda c, w: c.institutions.renew(c.ids[c.roles.hospital], c.end, sender=c.by),
    ),
    "supervisor suspends": (
        "other_supervisor",
        lambda c, w: c.institutions.suspend(c.ids[c.roles.hospital], 1, sender=c.by),
    ),
    "supervisor reinstates": (
        "other_supervisor",
        lambda c, w: c.institutions.reinstate(c.suspended, sender=c.by),
    ),
    "supervisor allots bills": (
        "other_supervisor",
        lambda c, w: c.invoices.allot(c.ids[c.roles.hospital], 1, 1, 9, False, sender=c.by),
    ),
    "supervisor allots prescriptions": (
        "other_supervisor",
        lambda c, w: c.prescriptions.allot(c.ids[c.roles.hospital], 1, 1, 9, False, sender=c.by),
    ),
    "supervisor withdraws numbers of bills": (
        "other_supervisor",
        lambda c, w: c.invoices.withdraw(w.bill_segment, 1, sender=c.by),
    ),
    "supervisor withdraws numbers of prescriptions": (
        "other_supervisor",
        lambda c, w: c.prescriptions.withdraw(w.prescription_segment, 1, sender=c.by),
    ),
    "supervisor pauses bills": (
        "other_supervisor",
        lambda c, w: c.invoices.pause(sender=c.by),
    ),
    "supervisor pauses prescriptions": (
        "other_supervisor",
        lambda c, w: c.prescriptions.pause(sender=c.by),
    ),
    "supervisor ends a pause": (
        "other_supervisor",
        lambda c, w: c.paused.unpause(sender=c.by),
    ),
}
"""Every write function that an institution's key may call: who calls it, and how."""

KIND_OF = {
    "hospital": Kind.HOSPITAL,
    "pharmacy": Kind.PHARMACY,
    "courier": Kind.COURIER,
    "payer": Kind.PAYER,
    "other_supervisor": Kind.SUPERVISOR,
}


@pytest.fixture
def attempt(
    invoices,
    claims,
    escrow,
    prescriptions,
    policies,
    institutions,
    ids,
    roles,
    payer,
    courier,
    far_future,
    world,
    supervisor,
    other_courier,
):
    """Carries out one of `ACTS` by its own role or by another account."""

    def act(name, by=None):
        role, call = ACTS[name]
        context = SimpleNamespace(
            invoices=invoices,
            claims=claims,
            escrow=escrow,
            prescriptions=prescriptions,
            policies=policies,
            institutions=institutions,
            ids=ids,
            roles=roles,
            by=by or account_of(role),
            end=far_future,
            suspended=ids[other_courier],
            paused=invoices,
        )
        return call(context, world)

    def account_of(role):
        return payer if role == "payer" else getattr(roles, role)

    def prepare(name):
        if name == "supervisor reinstates":
            institutions.suspend(ids[other_courier], 1, sender=supervisor)
        if name == "supervisor ends a pause":
            invoices.pause(sender=supervisor)
        return account_of(ACTS[name][0])

    return SimpleNamespace(act=act, prepare=prepare)


@pytest.mark.parametrize("name", ACTS)
def test_act__active_institution__is_accepted(attempt, name):
    attempt.prepare(name)

    receipt = attempt.act(name)

    assert not receipt.failed
    assert len(receipt.events) >= 1


@pytest.mark.parametrize("name", ACTS)
def test_act__suspended_institution__is_refused(
    institutions, ids, supervisor, attempt, refused, name
):
    account = attempt.prepare(name)
    institutions.suspend(ids[account], 1, sender=supervisor)

    with refused(institutions.InstitutionIsSuspended, institution=ids[account]):
        attempt.act(name)


@pytest.mark.parametrize("name", ACTS)
def test_act__removed_operator__is_refused(institutions, supervisor, attempt, refused, name):
    account = attempt.prepare(name)
    institutions.removeOperator(account, sender=supervisor)

    with refused(institutions.NotAnOperator, account=account):
        attempt.act(name)


@pytest.mark.parametrize("name", ACTS)
def test_act__institution_of_another_kind__is_refused(
    institutions, ids, courier, hospital, attempt, refused, name
):
    attempt.prepare(name)
    role = ACTS[name][0]
    intruder = hospital if role == "courier" else courier

    with refused(institutions.KindMissing, institution=ids[intruder], kind=KIND_OF[role]):
        attempt.act(name, by=intruder)


@pytest.mark.parametrize(
    "name",
    ["hospital issues bills", "pharmacy accepts", "courier reports a failure", "payer settles"],
)
def test_act__a_second_after_the_accreditation__is_refused(
    institutions, ids, supervisor, chain, attempt, refused, name
):
    account = attempt.prepare(name)
    end = chain.pending_timestamp + 100
    institutions.renew(ids[account], end, sender=supervisor)
    chain.pending_timestamp = end + 1

    with refused(
        institutions.OutsideAccreditation, institution=ids[account], validFrom=1, validUntil=end
    ):
        attempt.act(name)


def test_acts__every_write_function_of_an_institution__is_in_the_table(
    institutions, invoices, claims, policies, prescriptions, escrow
):
    # Functions that anyone may call: the proof, or the patient's signature, is the authority, or
    # that of each act in it; `pay` is for Claims. The keys of an institution have their rules in
    # test_institutions.py.
    anyone = {"open", "deliver", "multicall", "addOperator", "removeOperator", "pay"}
    written = {
        method.name
        for contract in (institutions, invoices, claims, policies, prescriptions, escrow)
        for method in contract.contract_type.mutable_methods
    }
    source = "".join(str(call.__code__.co_names) for _, call in ACTS.values())

    assert {name for name in written - anyone if f"'{name}'" not in source} == set()


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
    sign_claim,
    far_future,
):
    batch = issue_bills(2)
    institutions.suspend(ids[hospital], 1, sender=supervisor)

    invoices.open(*batch.proof(), sender=stranger)
    signature = sign_claim(batch.number(), payer, 1_000)
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
    institutions, invoices, hospital_second_key, supervisor, chain, bill_segment, removed_first
):
    provider = chain.provider
    first = invoices.segmentOf(bill_segment.id).next
    provider.auto_mine = False
    try:
        fees = (10**9, 2 * 10**9) if removed_first else (2 * 10**9, 10**9)
        issued = invoices.issue(
            bill_segment.id,
            first,
            1,
            ROOT,
            sender=hospital_second_key,
            gas=500_000,
            max_priority_fee=fees[0],
            max_fee=fees[0] + 10**9,
        )
        removed = institutions.removeOperator(
            hospital_second_key,
            sender=supervisor,
            gas=500_000,
            max_priority_fee=fees[1],
            max_fee=fees[1] + 10**9,
        )
        chain.mine()
    finally:
        provider.auto_mine = True

    receipts = [
        provider.web3.eth.get_transaction_receipt(HexBytes(sent.txn_hash))
        for sent in (issued, removed)
    ]
    assert receipts[0].blockNumber == receipts[1].blockNumber
    assert (receipts[0].transactionIndex > receipts[1].transactionIndex) == removed_first
    assert [receipt.status for receipt in receipts] == [0 if removed_first else 1, 1]
    assert invoices.isIssued(bill_segment.id, first) == (not removed_first)
