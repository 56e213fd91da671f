"""A header, a path or a tree head forged, borrowed or moved; two bills under one number.

The answer: the ledger stores one hash for each batch, over its first number, its count, its
segment, its second and its root. The number of a document gives its position, the position the
side of each sibling. A header is proven whole, so that no field of it can be changed.

Without it, a payer would raise a bill's amount, a neighbour's proof would pass for one's own, and
an issuer would have two bills under one number: with pairs that are sorted, as in many libraries,
both would open (`sorted_root`).
"""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.attacks.forging import leaf_of, naive_root, sorted_root

from medledger.core.hashing import keccak256
from medledger.core.states import State

SOME_HASH = keccak256(b"some hash")


# Headers


@pytest.mark.parametrize(
    "change",
    [
        {"claimable": 10_001},
        {"patient": "0x" + "11" * 20},
        {"currency": 840},
        {"on_hold": True},
        {"body": SOME_HASH},
    ],
    ids=lambda change: next(iter(change)),
)
def test_open__forged_field__is_refused(invoices, issue_bills, stranger, refused, not_open, change):
    batch = issue_bills(5)
    forged = replace(batch.headers[2], **change)

    with refused(invoices.ProofInvalid, number=forged.number):
        invoices.open(forged.as_abi(), batch.head.as_abi(), batch.paths[2], sender=stranger)
    not_open(forged.number)


@pytest.mark.parametrize(
    "change",
    [
        {"quantities": (24, 11)},
        {"quantities": (10, 24)},
        {"quantities": (24,)},
        {"quantities": (24, 10, 1)},
        {"authored_at": 1},
        {"valid_until": 2**40 - 1},
        {"licence": 1},
        {"drug_class": 1},
        {"substitutable": 1},
        {"repeats": 1},
        {"interval": 1},
        {"on_hold": True},
        {"patient": "0x" + "11" * 20},
        {"body": SOME_HASH},
    ],
    ids=str,
)
def test_accept__forged_prescription_field__is_refused(
    prescriptions, issue_prescriptions, pharmacy, authorise_accept, refused, far_future, change
):
    batch = issue_prescriptions(3)
    forged = replace(batch.headers[1], **change)

    proof = (forged.as_abi(), batch.head.as_abi(), batch.paths[1])
    code = authorise_accept(forged.number, pharmacy)

    with refused(prescriptions.ProofInvalid, number=forged.number):
        prescriptions.accept(*proof, far_future, code, sender=pharmacy)
    assert prescriptions.prescriptionOf(forged.number).state == State.NOT_OPENED


def test_open__bill_that_was_never_issued__is_refused(
    invoices, issue_bills, stranger, refused, not_open
):
    batch = issue_bills(2)
    forged = replace(batch.headers[0], number=batch.number(1), claimable=999_999)

    with refused(invoices.ProofInvalid, number=forged.number):
        invoices.open(forged.as_abi(), batch.head.as_abi(), batch.paths[1], sender=stranger)
    not_open(forged.number)


# One number means one leaf


def test_open__neighbours_path__is_refused(invoices, issue_bills, stranger, refused, not_open):
    batch = issue_bills(8)
    header, head, _ = batch.proof(2)

    for neighbour in (1, 3, 6):
        with refused(invoices.ProofInvalid, number=batch.number(2)):
            invoices.open(header, head, batch.paths[neighbour], sender=stranger)
    not_open(batch.number(1), batch.number(2), batch.number(3))


def test_open__neighbours_header_under_this_number__is_refused(
    invoices, issue_bills, stranger, refused
):
    batch = issue_bills(4)
    assert naive_root(batch.tree.leaf(1), 1, batch.paths[1]) == batch.tree.root, "a true path"
    renumbered = replace(batch.headers[1], number=batch.number(2))

    with refused(invoices.ProofInvalid, number=batch.number(2)):
        invoices.open(renumbered.as_abi(), batch.head.as_abi(), batch.paths[1], sender=stranger)


def test_open__second_header_of_the_same_number_in_a_batch__is_refused(
    invoices, issue_bills, stranger, refused
):
    # An issuer that puts two amounts for one number into its tree, at two positions.
    def leaves(headers):
        return [leaf_of(headers[0]), leaf_of(replace(headers[0], claimable=20_000))]

    batch = issue_bills(2, leaves=leaves)
    twin = replace(batch.headers[0], claimable=20_000)
    honest, other = leaf_of(batch.headers[0]), leaf_of(twin)
    assert sorted_root(honest, [other]) == sorted_root(other, [honest]), (
        "both pass without position"
    )

    for path in batch.paths:
        with refused(invoices.ProofInvalid, number=twin.number):
            invoices.open(twin.as_abi(), batch.head.as_abi(), path, sender=stranger)
    invoices.open(*batch.proof(0), sender=stranger)
    assert invoices.invoiceOf(twin.number).claimable == 10_000


def test_open__number_outside_the_batch__is_refused(invoices, issue_bills, stranger, refused):
    issue_bills(2)
    batch = issue_bills(3)
    first = batch.number()

    for outside in (first - 1, first + 3, 0, 2**64 - 1):
        header = replace(batch.headers[0], number=outside)
        with refused(invoices.NumberOutsideBatch, number=outside, first=first, count=3):
            invoices.open(header.as_abi(), batch.head.as_abi(), batch.paths[0], sender=stranger)


def test_open__siblings_in_another_order__is_refused(invoices, issue_bills, stranger, refused):
    batch = issue_bills(8)
    header, head, path = batch.proof(5)

    with refused(invoices.ProofInvalid, number=batch.number(5)):
        invoices.open(header, head, [path[1], path[0], path[2]], sender=stranger)


# Tree heads


@pytest.mark.parametrize(
    "change",
    [{"count": 4}, {"segment": 2}, {"issued_at": 1}, {"count": 2**32 - 1}],
    ids=str,
)
def test_open__forged_tree_head__is_refused(invoices, issue_bills, stranger, refused, change):
    batch = issue_bills(3)
    head = replace(batch.head, **change)
    path = batch.paths[2] + [SOME_HASH] * (31 if head.count > 4 else 1 if head.count == 4 else 0)

    with refused(invoices.ProofInvalid, number=batch.number(2)):
        invoices.open(batch.headers[2].as_abi(), head.as_abi(), path, sender=stranger)


def test_open__head_and_path_of_another_batch__is_refused(invoices, issue_bills, stranger, refused):
    one, other = issue_bills(3), issue_bills(3)
    assert naive_root(other.tree.leaf(1), 1, other.paths[1]) == other.tree.root, "a true path"

    with refused(
        invoices.NumberOutsideBatch, number=one.number(1), first=other.head.first, count=3
    ):
        invoices.open(one.headers[1].as_abi(), other.head.as_abi(), other.paths[1], sender=stranger)


def test_open__other_batchs_head_moved_to_this_number__is_refused(
    invoices, issue_bills, stranger, refused
):
    one, other = issue_bills(3), issue_bills(3)
    moved = replace(other.head, first=one.head.first)
    forged = replace(other.headers[1], number=one.number(1))

    with refused(invoices.ProofInvalid, number=one.number(1)):
        invoices.open(forged.as_abi(), moved.as_abi(), other.paths[1], sender=stranger)


def test_open__head_that_begins_within_a_batch__is_refused(
    invoices, issue_bills, stranger, refused
):
    batch = issue_bills(4)
    inner = replace(batch.head, first=batch.number(2), count=2)

    with refused(invoices.ProofInvalid, number=batch.number(2)):
        invoices.open(
            batch.headers[2].as_abi(), inner.as_abi(), [batch.tree.leaf(3)], sender=stranger
        )


def test_open__numbers_not_yet_issued__is_refused(invoices, issue_bills, stranger, refused):
    batch = issue_bills(1)
    later = replace(batch.head, first=batch.number() + 1)
    header = replace(batch.headers[0], number=batch.number() + 1)

    with refused(invoices.ProofInvalid, number=header.number):
        invoices.open(header.as_abi(), later.as_abi(), [], sender=stranger)


def test_open__head_of_no_documents__is_refused(invoices, issue_bills, stranger, refused):
    batch = issue_bills(1)
    empty = replace(batch.head, count=0)

    with refused(invoices.NumberOutsideBatch, number=batch.number(), first=batch.number(), count=0):
        invoices.open(batch.headers[0].as_abi(), empty.as_abi(), [], sender=stranger)
