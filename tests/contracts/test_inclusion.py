"""Proofs: what was issued opens at its own number. That nothing else does: tests/attacks."""

from __future__ import annotations

import pytest
from ape.utils import ZERO_ADDRESS

from medledger.core.hashing import leaf_hash


@pytest.mark.parametrize("count", [1, 2, 3, 5, 8, 9])
def test_verify_inclusion__every_leaf_of_a_batch__passes(invoices, issue_bills, count):
    batch = issue_bills(count)

    for index, header in enumerate(batch.headers):
        invoices.verifyInclusion(
            leaf_hash(header.struct_hash()), header.number, batch.head.as_abi(), batch.paths[index]
        )


def test_verify_inclusion__while_paused__still_answers(invoices, issue_bills, supervisor):
    batch = issue_bills(2)
    invoices.pause(sender=supervisor)

    invoices.verifyInclusion(
        batch.tree.leaf(1), batch.number(1), batch.head.as_abi(), batch.paths[1]
    )


def test_open__bill_with_its_proof__stores_what_claims_need(
    invoices, claims, issue_bills, patient, stranger, emits, not_open
):
    batch = issue_bills(5, claimable=2_500, on_hold=True)
    number = batch.number(3)
    holder = patient.address("Invoice", number)

    receipt = invoices.open(*batch.proof(3), sender=stranger)

    emits(
        receipt,
        invoices.InvoiceOpened(
            number=number, patient=holder, claimable=2_500, currency=156, bornOnHold=True
        ),
    )
    assert invoices.invoiceOf(number) == (holder, 2_500, 156, True, 0)
    assert invoices.invoicesOf([number, batch.number(0)])[0] == invoices.invoiceOf(number)
    assert invoices.reversedBy(number) == 0
    assert not invoices.isReversed(number)
    assert invoices.claimableOf(number) == 2_500
    assert claims.usageOf(number) == (0, 0)
    not_open(batch.number(2), batch.number(4))


def test_open__batch_of_one__needs_an_empty_path(invoices, issue_bills, stranger):
    batch = issue_bills(1)
    assert batch.paths[0] == []

    invoices.open(*batch.proof(), sender=stranger)

    assert invoices.invoiceOf(batch.number()).claimable == 10_000


def test_open__twice__proves_again_and_changes_nothing(
    invoices, issue_bills, stranger, payer, emits, refused
):
    batch = issue_bills(3)
    invoices.open(*batch.proof(1), sender=stranger)
    before = invoices.invoiceOf(batch.number(1))

    receipt = invoices.open(*batch.proof(1), sender=payer)

    emits(receipt)
    assert invoices.invoiceOf(batch.number(1)) == before
    header, head, path = batch.proof(1)
    with refused(invoices.ProofInvalid, number=batch.number(1)):
        invoices.open(header, head, list(reversed(path)), sender=payer)


def test_open__while_paused__is_refused(invoices, issue_bills, supervisor, stranger, refused):
    batch = issue_bills(1)
    invoices.pause(sender=supervisor)

    with refused(invoices.EnforcedPause):
        invoices.open(*batch.proof(), sender=stranger)


def test_open__header_without_patient__is_refused(
    invoices, issue_bills, stranger, refused, not_open
):
    batch = issue_bills(1, holder=ZERO_ADDRESS)

    with refused(invoices.PatientMissing, number=batch.number()):
        invoices.open(*batch.proof(), sender=stranger)
    not_open(batch.number())
