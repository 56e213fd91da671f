"""A batch: drafts under consecutive numbers, sealed, in one tree.

A batch keeps its leaves, and the tree's nodes of one level above them. From these, a path needs
one block of leaves and the few nodes above, whatever the batch's size.

    sealed = seal_batch(drafts, first, secrets)
    path = path_of(index, count, leaves_of_its_block, sealed.nodes)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import orjson

from medledger.core.hashing import Header, InvoiceTerms, PrescriptionTerms, Terms, checksum_address
from medledger.core.numbers import DocumentNumber
from medledger.core.sealing import SECRET_BYTES, Draft, Sealed, fields_of, opened, seal_draft
from medledger.core.tree import Tree
from medledger.errors import InvalidDocument

BLOCK_LEVEL = 8
BLOCK = 1 << BLOCK_LEVEL
"""Leaves under one node of `SealedBatch.nodes`: few enough to read and hash in a millisecond."""

_HASH = 32
_ADDRESS = 20


class KeptDocument(NamedTuple):
    """One sealed document as it is kept: `header` as `header_bytes` gives it, `pairs` a draft's."""

    header: bytes
    pairs: bytes
    secret: bytes


@dataclass(frozen=True, slots=True)
class SealedBatch:
    """What sealing adds to drafts. Joined in order of number: `patients` are 20 bytes each,
    `bodies`, `secrets`, `leaves` and `nodes` are 32."""

    root: bytes
    patients: bytes
    bodies: bytes
    secrets: bytes
    leaves: bytes
    nodes: bytes

    def kept(self, drafts: Sequence[Draft]) -> Iterator[KeptDocument]:
        """The documents of these drafts, in order of number."""
        places = zip(
            drafts,
            _split(self.patients, _ADDRESS),
            _split(self.bodies),
            _split(self.secrets),
            strict=True,
        )
        for draft, patient, body, secret in places:
            yield KeptDocument(header_bytes(patient, body, draft.terms), draft.pairs, secret)


def seal_batch(drafts: Sequence[Draft], first: int, secrets: bytes) -> SealedBatch:
    """Seals drafts under numbers from `first` on; `secrets` are 32 random bytes for each.

    Raises `InvalidDocument` where these are too few or too many.
    """
    if len(secrets) != SECRET_BYTES * len(drafts):
        problem = f"has {len(secrets)} bytes, not {SECRET_BYTES} for each document"
        raise InvalidDocument(field="secret", problem=problem)
    sealed = [
        seal_draft(draft, DocumentNumber(number), secret)
        for number, (draft, secret) in enumerate(zip(drafts, _split(secrets), strict=True), first)
    ]
    tree = Tree([one.leaf for one in sealed])
    return SealedBatch(
        tree.root,
        b"".join([one.patient for one in sealed]),
        b"".join([one.body for one in sealed]),
        secrets,
        b"".join([one.leaf for one in sealed]),
        b"".join(tree.level(BLOCK_LEVEL)),
    )


def path_of(index: int, count: int, block: bytes, nodes: bytes) -> tuple[bytes, ...]:
    """The inclusion path of a leaf, lowest sibling first.

    `block` are the leaves of its block (`block_range`), `nodes` those of the batch.
    """
    below = Tree(_split(block)).path(index % BLOCK)
    return below if count <= BLOCK else below + Tree(_split(nodes)).path(index // BLOCK)


def block_range(index: int, count: int) -> tuple[int, int]:
    """(start, end) of the leaves that `path_of` needs."""
    start = index - index % BLOCK
    return start, min(start + BLOCK, count)


def header_bytes(patient: bytes, body: bytes, terms: Terms) -> bytes:
    """A header without its number, as it is kept: address, body, and the terms as JSON."""
    if isinstance(terms, InvoiceTerms):
        said: list[object] = ["Invoice", *terms]
    else:
        said = ["Prescription", *terms]
    return patient + body + orjson.dumps(said)


def header_of(number: int, kept: bytes) -> Header:
    """The header that `header_bytes` keeps."""
    patient, body = kept[:_ADDRESS], kept[_ADDRESS : _ADDRESS + _HASH]
    return _terms(kept[_ADDRESS + _HASH :]).header(number, checksum_address(patient), body)


def sealed_of(number: int, kept: KeptDocument) -> Sealed:
    """A kept document as evidence is made of it."""
    return opened(header_of(number, kept.header), kept.pairs, kept.secret)


def draft_of_kept(business_key: str, patient_key: str, kept: KeptDocument) -> Draft:
    """The draft that a kept document was made of, to compare it, or to seal it once more."""
    names = tuple(fields_of(kept.pairs))
    terms = _terms(kept.header[_ADDRESS + _HASH :])
    return Draft(business_key, patient_key, terms, names, kept.pairs)


def draft_to_bytes(draft: Draft) -> bytes:
    """A draft as it is kept; `draft_from_bytes` reads it back."""
    terms = header_bytes(b"", b"", draft.terms).decode()
    return orjson.dumps(
        [draft.business_key, draft.patient_key, terms, draft.names, draft.pairs.decode()]
    )


def draft_from_bytes(kept: bytes) -> Draft:
    business_key, patient_key, terms, names, pairs = orjson.loads(kept)
    return Draft(business_key, patient_key, _terms(terms.encode()), tuple(names), pairs.encode())


def _terms(kept: bytes) -> Terms:
    kind, *said = orjson.loads(kept)
    if kind == "Invoice":
        return InvoiceTerms(*said)
    valid_until, quantities, on_hold = said
    return PrescriptionTerms(valid_until, tuple(quantities), on_hold)


def _split(joined: bytes, size: int = _HASH) -> list[bytes]:
    return [joined[place : place + size] for place in range(0, len(joined), size)]
