"""An inner node of a batch passed off as a document, or documents hidden below one.

A tree of hashes can be read at several depths. Who shows the hash of an inner node with a shorter
path, or an issuer who puts a node where a leaf belongs and shows what is below it with a longer
path, has two readings of one root.

The answer: leaves and nodes are hashed with different prefixes, so that no document hashes to a
node; and the tree head, which is stored, says how many leaves there are, so that the position
alone says how long the path is.

Without it, one issued number would stand for as many bills as the issuer cared to hide. Each test
first shows that the forged path does lead to the root (`naive_root`).
"""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.attacks.forging import leaf_of, naive_root

from medledger.core.hashing import keccak256, leaf_hash, node_hash
from medledger.core.tree import Tree

SOME_HASH = keccak256(b"some hash")


def test_hashes__a_document_that_spells_two_leaves__is_not_their_node(harness):
    # Without prefixes, 64 bytes that somebody seals as a document are also an inner node.
    left, right = keccak256(b"one"), keccak256(b"other")
    document = left + right
    assert keccak256(document) == keccak256(left + right), "one hash without prefixes"

    node = node_hash(left, right)
    assert harness.node(left, right) == node
    assert harness.leaf(keccak256(document)) == leaf_hash(keccak256(document))
    assert node not in (keccak256(document), harness.leaf(keccak256(document)))


def test_verify_inclusion__inner_node_as_leaf__is_refused(invoices, issue_bills, stranger, refused):
    batch = issue_bills(8)
    inner = node_hash(batch.tree.leaf(2), batch.tree.leaf(3))
    shorter = batch.paths[2][1:]
    assert naive_root(inner, 1, shorter) == batch.tree.root, "the shorter path leads to the root"

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
    assert naive_root(leaf_of(header), 0, [leaf_of(twin)]) == batch.tree.root
    assert naive_root(leaf_of(twin), 1, [leaf_of(header)]) == batch.tree.root

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
    assert naive_root(leaf_of(header), 0, [hidden, batch.tree.leaf(1)]) == batch.tree.root

    with refused(invoices.PathLengthWrong, index=0, count=2, length=2):
        invoices.open(
            header.as_abi(), batch.head.as_abi(), [hidden, batch.tree.leaf(1)], sender=stranger
        )
    with refused(invoices.ProofInvalid, number=header.number):
        invoices.open(header.as_abi(), batch.head.as_abi(), batch.paths[0], sender=stranger)


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
