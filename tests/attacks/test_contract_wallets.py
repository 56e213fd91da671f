"""A contract in the patient's place that answers anything, nothing, or not at all.

The answer: a contract stands for a patient only by ERC-1271, and only its exact value, alone in one
word, is a yes. A contract that has no such function, reverts, or answers something like it, is a
no. Its signatures are used up by the sequence like all others.

Without it, any contract with a fallback function that returns something true would agree to every
claim. The first test shows that an honest wallet's yes does count.
"""

from __future__ import annotations

import pytest
from tests.attacks.forging import sign_as

from medledger.core.hashing import ClaimAuthorisation, keccak256

MAGIC = bytes.fromhex("1626ba7e")
EXPLANATION = keccak256(b"explanation of benefit")


@pytest.fixture
def signed_by_wallet(claims, ids, chain, patient, payer, far_future):
    """The owner's signature; the owner of every wallet here is the patient's key of number 7."""

    def sign(number):
        message = ClaimAuthorisation(number, ids[payer], 1_000, 0, far_future)
        return sign_as(patient, message, 7, chain.chain_id, claims.address)

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
