"""A batch: what it keeps is enough for every path, and reads back as it was."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.core.samples import (
    DOCUMENTS,
    INVOICE_NUMBER,
    SECRET,
    hashes,
    invoice,
    invoices,
    leaves_of,
    numbers,
    prescription,
    prescriptions,
    secrets,
)

from medledger.core.batch import (
    BLOCK,
    BLOCK_LEVEL,
    block_range,
    draft_from_bytes,
    draft_of_kept,
    draft_to_bytes,
    header_bytes,
    header_of,
    path_of,
    seal_batch,
    sealed_of,
)
from medledger.core.hashing import InvoiceTerms, PrescriptionTerms, address_bytes
from medledger.core.numbers import DocumentNumber
from medledger.core.sealing import draft_of, seal
from medledger.core.tree import Tree, verify_inclusion
from medledger.errors import InvalidDocument

WHOLE = [1, 2, 3, 255, 256, 257, 258, 511, 512, 513, 514, 767, 769, 1000]
"""Sizes of which every index is tried."""
SAMPLED = [4097, 65535, 65536, 65537, 100_000]


def path_kept(tree: Tree, leaves: bytes, nodes: bytes, index: int) -> tuple[bytes, ...]:
    """The path from what a batch keeps: one block of leaves and the nodes."""
    start, end = block_range(index, len(tree))
    return path_of(index, len(tree), leaves[32 * start : 32 * end], nodes)


def kept(tree: Tree) -> tuple[bytes, bytes]:
    """(leaves, nodes) of a tree, as a batch keeps them."""
    return b"".join(tree.level(0)), b"".join(tree.level(BLOCK_LEVEL))


# Paths


@pytest.mark.parametrize("count", WHOLE)
def test_path_of__every_index_around_the_edges__is_the_trees(count: int) -> None:
    tree = Tree(leaves_of(count))
    leaves, nodes = kept(tree)

    for index in range(count):
        assert path_kept(tree, leaves, nodes, index) == tree.path(index)


@pytest.mark.parametrize("count", SAMPLED)
def test_path_of__some_indices_of_a_large_batch__are_the_trees(count: int) -> None:
    tree = Tree(leaves_of(count))
    leaves, nodes = kept(tree)
    edges = {0, 1, BLOCK - 1, BLOCK, BLOCK + 1, count - BLOCK, count - 2, count - 1}
    last = (count - 1) // BLOCK * BLOCK
    some = {*Random(count).sample(range(count), 300), last - 1, last}

    for index in edges | some:
        path = path_kept(tree, leaves, nodes, index)
        assert path == tree.path(index)
        verify_inclusion(tree.leaf(index), index, count, path, tree.root)


@given(st.lists(hashes, min_size=1, max_size=40), st.integers(1, 40), st.data())
def test_path_of__any_leaves_and_index__is_the_trees(
    some: list[bytes], times: int, data: st.DataObject
) -> None:
    tree = Tree(some * times)
    leaves, nodes = kept(tree)
    index = data.draw(st.integers(0, len(tree) - 1))

    path = path_kept(tree, leaves, nodes, index)

    assert path == tree.path(index)
    verify_inclusion(tree.leaf(index), index, len(tree), path, tree.root)


@pytest.mark.parametrize("count", [1, 2, 255, 256, 257, 512, 513, 1000])
def test_level__the_nodes_of_a_block_each__are_the_roots_of_its_leaves(count: int) -> None:
    leaves = leaves_of(count)

    nodes = Tree(leaves).level(BLOCK_LEVEL)

    blocks = [leaves[start : start + BLOCK] for start in range(0, count, BLOCK)]
    assert nodes == [Tree(block).root for block in blocks]
    assert Tree(nodes).root == Tree(leaves).root


def test_level__above_the_root__is_the_root() -> None:
    tree = Tree(leaves_of(3))

    assert tree.level(0) == leaves_of(3)
    assert tree.level(2) == tree.level(3) == tree.level(64) == [tree.root]


@given(st.integers(1, 10**6), st.data())
def test_block_range__any_index__is_its_block_within_the_batch(
    count: int, data: st.DataObject
) -> None:
    index = data.draw(st.integers(0, count - 1))

    start, end = block_range(index, count)

    assert start % BLOCK == 0
    assert start <= index < end <= count
    assert end - start == BLOCK or end == count


@pytest.mark.parametrize("count", [1, 255, 257, 300])
def test_path_of__an_index_beyond_the_batch__index_error(count: int) -> None:
    tree = Tree(leaves_of(count))
    leaves, nodes = kept(tree)

    with pytest.raises(IndexError):
        path_kept(tree, leaves, nodes, count)


# Sealing


def drafts_of(count: int) -> list[Any]:
    return [draft_of(invoice(business_key=f"visit-{place}")) for place in range(count)]


@pytest.mark.parametrize("count", [1, 2, 257])
def test_seal_batch__consecutive_numbers__each_is_what_seal_makes(count: int) -> None:
    drafts = drafts_of(count)
    secret_of = [bytes([place % 256, place // 256]) * 16 for place in range(count)]

    batch = seal_batch(drafts, INVOICE_NUMBER, b"".join(secret_of))
    rows = list(batch.kept(drafts))

    expected = [
        seal(
            invoice(business_key=f"visit-{place}"),
            DocumentNumber(INVOICE_NUMBER + place),
            secret_of[place],
        )
        for place in range(count)
    ]
    tree = Tree([sealed.leaf for sealed in expected])
    assert [sealed_of(INVOICE_NUMBER + at, row) for at, row in enumerate(rows)] == expected
    assert [row.secret for row in rows] == secret_of
    assert batch.root == tree.root
    assert (batch.leaves, batch.nodes) == kept(tree)


@pytest.mark.parametrize("size", [0, 31, 63, 65, 96])
def test_seal_batch__secrets_too_few_or_too_many__invalid_document(size: int) -> None:
    with pytest.raises(InvalidDocument) as caught:
        seal_batch(drafts_of(2), INVOICE_NUMBER, bytes(size))

    assert caught.value.field == "secret"
    assert caught.value.problem == f"has {size} bytes, not 32 for each document"


def test_seal_batch__nothing__value_error() -> None:
    with pytest.raises(ValueError, match="a batch has at least one document"):
        seal_batch([], INVOICE_NUMBER, b"")


# As kept


terms = st.one_of(
    st.builds(InvoiceTerms, st.integers(0, 2**53 - 1), st.integers(0, 999), st.booleans()),
    st.builds(
        PrescriptionTerms,
        st.integers(0, 2**40 - 1),
        st.integers(1, 2**40 - 1),
        st.integers(0, 10**18 - 1),
        st.integers(0, 2**16 - 1),
        st.lists(st.integers(1, 2**16 - 1), min_size=1, max_size=5).map(tuple),
        st.integers(0, 31),
        st.integers(0, 2**8 - 1),
        st.integers(0, 2**32 - 1),
        st.booleans(),
    ),
)
patients = st.binary(min_size=20, max_size=20)


@given(terms, patients, hashes, numbers)
def test_header_of__what_header_bytes_keeps__is_the_header(
    said: InvoiceTerms | PrescriptionTerms, patient: bytes, body: bytes, number: int
) -> None:
    found = header_of(number, header_bytes(patient, body, said))

    assert found == said.header(number, found.patient, body)
    assert found.terms == said
    assert address_bytes(found.patient) == patient
    assert found.struct_hash() == said.struct_hash(number, patient, body)


@given(invoices() | prescriptions(), numbers, secrets)
def test_sealed_of__a_row_of_any_document__is_the_sealed_document(
    document: Any, number: int, secret: bytes
) -> None:
    draft = draft_of(document)
    (row,) = seal_batch([draft], number, secret).kept([draft])

    found = sealed_of(number, row)

    assert found == seal(document, number, secret)
    assert draft_of_kept(document.business_key, document.patient_key, row) == draft
    found.disclose().verify(found.header.body)


@given(invoices() | prescriptions())
def test_draft_from_bytes__any_draft_as_kept__is_the_draft(document: Any) -> None:
    draft = draft_of(document)

    found = draft_from_bytes(draft_to_bytes(draft))

    assert found == draft
    assert type(found) is type(draft)
    assert type(found.names) is tuple


@pytest.mark.parametrize("number", list(DOCUMENTS))
def test_draft_from_bytes__a_draft_as_kept__seals_to_the_same(number: int) -> None:
    draft = draft_of(DOCUMENTS[number])

    found = draft_from_bytes(draft_to_bytes(draft))

    assert seal_batch([found], number, SECRET) == seal_batch([draft], number, SECRET)


@pytest.mark.parametrize("text", ["\n\u0301", '"\\', "\x00\x1f\x7f\u2028", "\U0001f600", "医"])
@pytest.mark.parametrize("make", [invoice, prescription])
def test_draft_from_bytes__a_draft_with_unusual_text__is_the_draft(make: Any, text: str) -> None:
    draft = draft_of(make(business_key=text))

    assert draft_from_bytes(draft_to_bytes(draft)) == draft
