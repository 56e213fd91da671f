"""Locking and settling in one transaction: alone, and many with one shared proof."""

from __future__ import annotations

import pytest

from medledger.core.hashing import keccak256
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

    print("ALONE", receipt.gas_used)
    assert receipt.gas_used <= GAS_ALONE


@pytest.mark.parametrize("indexes", [range(300, 400), range(0, 1000, 10)])
def test_lock_and_settle_many__a_hundred__costs_what_is_promised_each(
    claims, issue_bills, payer, many, indexes
):
    batch = issue_bills(1_000)

    receipt = claims.lockAndSettleMany(*many(batch, indexes, payer, 2_500), sender=payer)

    print("EACH", receipt.gas_used / 100)
    assert receipt.gas_used / 100 <= GAS_EACH
