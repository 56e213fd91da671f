"""A signature used again, or for something that was not signed; a proof used on another ledger.

What a patient signs is seen by everybody once it is used. Who keeps it tries it again after a
denial, an expiry, a return or a lease, for another payer, amount, bill, deadline or sequence, at
another contract, an earlier deployment or another chain.

The answer: EIP-712. The message names all of it, and a sequence that each use takes; the domain
names the contract and the chain. Proofs are checked against the ledger's own storage, and each kind
of document has its type hash.

Without it one signature would lock the bill as often, wherever and for whomever its holder likes:
the first test shows it of a contract that has only number and amount signed.
"""

from __future__ import annotations

import pytest
from eth_abi import encode
from eth_account import Account
from tests.attacks.forging import high_s_twin, leaf_of, sign_as

from medledger.core.hashing import (
    ZERO_ADDRESS,
    ClaimAuthorisation,
    PrescriptionTerms,
    keccak256,
)
from medledger.core.states import State

EXPLANATION = keccak256(b"explanation of benefit")


# Without the rule


def test_lock__naive_contract_with_number_and_amount_signed__takes_it_anywhere_and_again(
    compiled, payer, other_payer, stranger
):
    key = Account.from_key(keccak256(b"a patient's key"))
    digest = keccak256(encode(["uint64", "uint64"], [7, 1_000]))
    signature = key.unsafe_sign_hash(digest).signature
    one, other = (compiled["NaiveClaims"].deploy(sender=stranger) for _ in range(2))

    for contract, sender in ((one, payer), (one, payer), (one, other_payer), (other, payer)):
        contract.lock(7, 1_000, key.address, signature, sender=sender)

    assert (one.lockedOf(7), other.lockedOf(7)) == (3_000, 1_000)


# Claims


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
    signature = sign_as(patient, message, probe, chain.chain_id, claims.address)

    not_authorised(number, lambda: lock_with(number, payer, signature))
    lock_with(another, payer, signature)
    assert claims.usageOf(another) == (1_000, 0)


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


# Prescriptions


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


# Proofs


def test_open__a_prescription_issued_among_bills__is_no_bill(
    invoices, issue_bills, patient, stranger, refused, far_future
):
    def leaves(headers):
        (header,) = headers
        terms = PrescriptionTerms(1, far_future, 0, 0, (1,), 0, 0, 0, on_hold=False)
        return [leaf_of(terms.header(header.number, header.patient, header.body))]

    batch = issue_bills(1, leaves=leaves)

    with refused(invoices.ProofInvalid, number=batch.number()):
        invoices.open(*batch.proof(), sender=stranger)


def test_open__bill_of_another_ledger__is_refused(
    invoices, issue_bills, deploy_claims, prescriptions, institutions, supervisor, stranger, refused
):
    batch = issue_bills(2)
    other_ledger, _, _ = deploy_claims(institutions, prescriptions, 100, supervisor)

    with refused(other_ledger.ProofInvalid, number=batch.number()):
        other_ledger.open(*batch.proof(), sender=stranger)
