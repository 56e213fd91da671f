"""Proofs: what was issued opens at its own number, and nothing else opens at all."""

from __future__ import annotations

from dataclasses import replace

import pytest
from ape.utils import ZERO_ADDRESS

from medledger.core.hashing import PrescriptionTerms, keccak256, leaf_hash, node_hash
from medledger.core.states import State
from medledger.core.tree import Tree

SOME_HASH = keccak256(b"some hash")


def leaf_of(header):
    return leaf_hash(header.struct_hash())


@pytest.fixture
def not_open(invoices):
    """Asserts that nothing is stored of these numbers."""

    def assert_not_open(*numbers):
        for record in invoices.invoicesOf(list(numbers)):
            assert record == (ZERO_ADDRESS, 0, 0, False, 0)

    return assert_not_open


# What holds


@pytest.mark.parametrize("count", [1, 2, 3, 5, 8, 9])
def test_verify_inclusion__every_leaf_of_a_batch__passes(invoices, issue_bills, count):
    batch = issue_bills(count)

    for index, header in enumerate(batch.headers):
        invoices.verifyInclusion(
            leaf_of(header), header.number, batch.head.as_abi(), batch.paths[index]
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
    assert claims.remainderOf(number) == 2_500
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


# Forged headers


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


# Inner nodes


def test_verify_inclusion__inner_node_as_leaf__is_refused(invoices, issue_bills, stranger, refused):
    batch = issue_bills(8)
    inner = node_hash(batch.tree.leaf(2), batch.tree.leaf(3))
    shorter = batch.paths[2][1:]
    assert node_hash(node_hash(shorter[0], inner), shorter[1]) == batch.tree.root, (
        "the shorter path does lead to the root"
    )

    for index in (1, 2, 3):
        with refused(invoices.PathLengthWrong, index=index, count=8, length=2):
            invoices.verifyInclusion.transact(
                inner, batch.number(index), batch.head.as_abi(), shorter, sender=stranger
            )


def test_verify_inclusion__inner_node_as_leaf_of_a_smaller_tree__is_refused(
    invoices, issue_bills, stranger, refused
):
    # In a tree of half the size the shorter path has the right length: the tree head stops it.
    batch = issue_bills(8)
    inner = node_hash(batch.tree.leaf(2), batch.tree.leaf(3))
    smaller = replace(batch.head, count=4)

    with refused(invoices.ProofInvalid, number=batch.number(1)):
        invoices.verifyInclusion.transact(
            inner, batch.number(1), smaller.as_abi(), batch.paths[2][1:], sender=stranger
        )


def test_verify_inclusion__inner_node_where_paths_are_short__is_refused(
    invoices, issue_bills, stranger, refused
):
    # The last of five leaves has a path of one node, as long as that of the inner node over the
    # first four: position decides which side the sibling is on.
    batch = issue_bills(5)
    inner = Tree([batch.tree.leaf(index) for index in range(4)]).root
    assert node_hash(inner, batch.tree.leaf(4)) == batch.tree.root

    with refused(invoices.ProofInvalid, number=batch.number(4)):
        invoices.verifyInclusion.transact(
            inner, batch.number(4), batch.head.as_abi(), [batch.tree.leaf(4)], sender=stranger
        )
    with refused(invoices.PathLengthWrong, index=0, count=5, length=1):
        invoices.verifyInclusion.transact(
            inner, batch.number(0), batch.head.as_abi(), [batch.tree.leaf(4)], sender=stranger
        )


def test_open__bills_hidden_below_a_batch_of_one__are_refused(
    invoices, issue_bills, stranger, refused, not_open
):
    # An issuer that takes one number and hides two bills of that number below the one leaf.
    def leaves(headers):
        twin = replace(headers[0], claimable=20_000)
        return [node_hash(leaf_of(headers[0]), leaf_of(twin))]

    batch = issue_bills(1, leaves=leaves)
    header = batch.headers[0]
    twin = replace(header, claimable=20_000)

    for shown, sibling in ((header, twin), (twin, header)):
        with refused(invoices.PathLengthWrong, index=0, count=1, length=1):
            invoices.open(shown.as_abi(), batch.head.as_abi(), [leaf_of(sibling)], sender=stranger)
    not_open(header.number)


def test_open__bills_hidden_below_the_leaves_of_a_batch__are_refused(
    invoices, issue_bills, stranger, refused
):
    def leaves(headers):
        return [
            node_hash(leaf_of(header), leaf_of(replace(header, claimable=20_000)))
            for header in headers
        ]

    batch = issue_bills(2, leaves=leaves)
    header = batch.headers[0]
    hidden = leaf_of(replace(header, claimable=20_000))

    with refused(invoices.PathLengthWrong, index=0, count=2, length=2):
        invoices.open(
            header.as_abi(), batch.head.as_abi(), [hidden, batch.tree.leaf(1)], sender=stranger
        )
    with refused(invoices.ProofInvalid, number=header.number):
        invoices.open(header.as_abi(), batch.head.as_abi(), batch.paths[0], sender=stranger)


# Paths of the wrong length


@pytest.mark.parametrize(("index", "right_length"), [(0, 3), (3, 3), (4, 1)])
def test_open__truncated_or_extended_path__is_refused(
    invoices, issue_bills, stranger, refused, not_open, index, right_length
):
    batch = issue_bills(5)
    header, head, path = batch.proof(index)
    assert len(path) == right_length

    for wrong in ([], path[:-1], path[1:], [*path, SOME_HASH], [SOME_HASH, *path]):
        with refused(invoices.PathLengthWrong, index=index, count=5, length=len(wrong)):
            invoices.open(header, head, wrong, sender=stranger)
    not_open(header[0])


def test_open__path_for_a_batch_of_one__is_refused(invoices, issue_bills, stranger, refused):
    batch = issue_bills(1)
    header, head, _ = batch.proof()

    for path in ([SOME_HASH], [batch.tree.root], [bytes(32)] * 3):
        with refused(invoices.PathLengthWrong, index=0, count=1, length=len(path)):
            invoices.open(header, head, path, sender=stranger)


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


def test_open__bill_of_another_ledger__is_refused(
    invoices, issue_bills, deploy_invoices_and_claims, institutions, supervisor, stranger, refused
):
    batch = issue_bills(2)
    other_ledger, _ = deploy_invoices_and_claims(institutions, 100, supervisor)

    with refused(other_ledger.ProofInvalid, number=batch.number()):
        other_ledger.open(*batch.proof(), sender=stranger)
