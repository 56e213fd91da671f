"""Sealing: from a document to the one hash that is its leaf.

Each field is hashed with a salt of its own; the body is the hash of the flat list of these
digests with the list of their names, so that one name has one place. Salts derive one-way from
one secret per document: showing one field's salt says nothing of the others, and destroying the
secret and salts leaves a commitment that says nothing.

    salts  = SHAKE256(secret || "salts", 32 bytes for each field in order of name)
    digest = keccak256(0x03 || salt || canonical([name, value]))
    body   = keccak256(0x04 || keccak256(canonical(names)) || digests in order of name)

A document becomes a `Draft` first: checked and encoded, all but its number. Drafts of thousands
of documents can then be sealed elsewhere (`core.batch`).
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import orjson
from sha3 import keccak_256

from medledger.core.canonical import PAIR_END, Json, canonical, canonical_pairs
from medledger.core.documents import Document, Fields, numbered_fields
from medledger.core.hashing import Header, Terms, checksum_address, keccak256, leaf_hash
from medledger.core.numbers import DocumentKind, DocumentNumber
from medledger.core.patient_keys import one_time_address_bytes, require_patient_key
from medledger.errors import BodyMismatch, InvalidDocument, UnknownField

FIELD_PREFIX = b"\x03"
BODY_PREFIX = b"\x04"
SECRET_BYTES = 32


class Draft(NamedTuple):
    """A document that is checked and encoded, all but what depends on its number."""

    business_key: str
    patient_key: str
    terms: Terms
    names: tuple[str, ...]
    pairs: bytes
    """A line with the canonical bytes of `[name, value]` for each name, in order."""

    @property
    def kind(self) -> DocumentKind:
        """The document's."""
        return self.terms.kind


class SealedDraft(NamedTuple):
    """What a number and a secret make of a draft: `patient` is 20 bytes, the others are 32."""

    patient: bytes
    body: bytes
    leaf: bytes


@dataclass(frozen=True, slots=True)
class Sealed:
    """A numbered, sealed document. `secret` is 32 bytes; keep it as you keep the document."""

    header: Header
    fields: Fields
    secret: bytes

    @property
    def leaf(self) -> bytes:
        """The tree leaf: 32 bytes."""
        return leaf_hash(self.header.struct_hash())

    def disclose(self, only: Collection[str] | None = None) -> Disclosure:
        """The sealed list with the chosen fields opened, or all of them.

        Raises `UnknownField` where the document has no such field.
        """
        names, pairs = canonical_pairs(self.fields)
        chosen = set(names if only is None else only)
        if unknown := chosen.difference(names):
            raise UnknownField(field=min(unknown), known=", ".join(names))
        salts = salts_of(self.secret, len(names))
        return Disclosure(
            names=names,
            digests=tuple(_digests(salts, pairs.split(PAIR_END))),
            opened={
                name: OpenedField(salt, self.fields[name])
                for name, salt in zip(names, salts, strict=True)
                if name in chosen
            },
        )


@dataclass(frozen=True, slots=True)
class OpenedField:
    """One field's value with the 32-byte salt that opens its digest."""

    salt: bytes
    value: Json


@dataclass(frozen=True, slots=True)
class Disclosure:
    """All names and digests of a sealed document, and the fields that are opened."""

    names: tuple[str, ...]
    digests: tuple[bytes, ...]
    opened: Mapping[str, OpenedField]

    def verify(self, body: bytes) -> None:
        """Raises `BodyMismatch`, naming the field, unless all this is what `body` commits to."""
        if len(self.names) != len(self.digests) or list(self.names) != sorted(set(self.names)):
            raise BodyMismatch(field="names", problem="is not one sorted name for each digest")
        sealed = dict(zip(self.names, self.digests, strict=True))
        for name, field in self.opened.items():
            if name not in sealed:
                raise BodyMismatch(field=name, problem="is not among the sealed names")
            if field_digest(field.salt, name, field.value) != sealed[name]:
                raise BodyMismatch(field=name, problem="is not the value that was sealed")
        # Uncached: these names are a stranger's, and may be long.
        names_hash = keccak256(canonical(self.names))
        if keccak256(BODY_PREFIX + names_hash + b"".join(self.digests)) != body:
            raise BodyMismatch(field="body", problem="is not the hash of these digests")


def draft_of(document: Document) -> Draft:
    """The draft of a document, after which sealing cannot fail.

    Raises `UnsealableValue`, `NotNormalForm`, `InvalidDocument`, `UnknownCurrency` or
    `BadPatientKey`.
    """
    terms = document.terms()
    require_patient_key(document.patient_key)
    names, pairs = canonical_pairs(document.fields())
    return Draft(document.business_key, document.patient_key, terms, names, pairs)


def seal_draft(draft: Draft, number: DocumentNumber, secret: bytes) -> SealedDraft:
    """A draft under its number. `secret` is 32 random bytes, used for this document only."""
    names, pairs = _numbered(draft, number, check_code(secret))
    digests = _digests(salts_of(secret, len(pairs)), pairs)
    body = body_hash(names, digests)
    patient = one_time_address_bytes(draft.patient_key, draft.terms.kind, number)
    leaf = leaf_hash(draft.terms.struct_hash(number, patient, body))
    return SealedDraft(patient, body, leaf)


def seal(document: Document, number: DocumentNumber, secret: bytes) -> Sealed:
    """The sealed form of a document under a number.

    `secret` is 32 random bytes, used for this document only. Raises as `draft_of`.
    """
    if len(secret) != SECRET_BYTES:
        raise InvalidDocument(field="secret", problem=f"has {len(secret)} bytes, not 32")
    draft = draft_of(document)
    found = seal_draft(draft, number, secret)
    header = draft.terms.header(number, checksum_address(found.patient), found.body)
    return opened(header, draft.pairs, secret)


def opened(header: Header, pairs: bytes, secret: bytes) -> Sealed:
    """The sealed form of a draft's pairs under the header that was made of them."""
    number = DocumentNumber(header.number)
    fields = fields_of(pairs) | numbered_fields(header.kind, number, check_code(secret))
    return Sealed(header, fields, secret)


def fields_of(pairs: bytes) -> Fields:
    """The fields of canonical pairs."""
    return dict(orjson.loads(b"[" + pairs.replace(PAIR_END, b",") + b"]"))


def salts_of(secret: bytes, count: int) -> list[bytes]:
    """The salts of a document's fields, in order of name: 32 bytes each.

    An output of SHAKE256 says nothing of the secret, nor of its other parts.
    """
    stream = hashlib.shake_256(secret + b"salts").digest(32 * count)
    return [stream[place : place + 32] for place in range(0, 32 * count, 32)]


def field_digest(salt: bytes, name: str, value: Json) -> bytes:
    """The salted digest of one field: 32 bytes."""
    return keccak256(FIELD_PREFIX + salt + canonical([name, value]))


def body_hash(names: Sequence[str], digests: Iterable[bytes]) -> bytes:
    """What a header commits to: 32 bytes."""
    return keccak256(BODY_PREFIX + _names_hash(tuple(names)) + b"".join(digests))


def check_code(secret: bytes) -> str:
    """The six characters (A to Z, 2 to 7) that a person types to look a bill up.

    The base-32 text (RFC 4648) of the first 30 bits of keccak256(secret || "check code").
    """
    bits = int.from_bytes(keccak256(secret + b"check code")[:4], "big") >> 2
    return "".join([_BASE32[bits >> shift & 31] for shift in (25, 20, 15, 10, 5, 0)])


_BASE32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"


def _digests(salts: Sequence[bytes], pairs: Sequence[bytes]) -> list[bytes]:
    # In place, without `keccak256`: this is a quarter of all that sealing does.
    return [
        keccak_256(FIELD_PREFIX + salt + pair).digest()
        for salt, pair in zip(salts, pairs, strict=True)
    ]


def _numbered(
    draft: Draft, number: DocumentNumber, code: str
) -> tuple[tuple[str, ...], list[bytes]]:
    """All names and pairs of a draft under a number."""
    numbered = numbered_fields(draft.terms.kind, number, code)
    names, places = _layout(draft.names, tuple(numbered))
    pairs = draft.pairs.split(PAIR_END)
    # The numbered values are plain ASCII: their JSON is canonical.
    for place, name in places:
        pairs.insert(place, orjson.dumps([name, numbered[name]]))
    return names, pairs


@lru_cache(maxsize=4096)
def _layout(
    names: tuple[str, ...], numbered: tuple[str, ...]
) -> tuple[tuple[str, ...], tuple[tuple[int, str], ...]]:
    """All names in order, and at which place each numbered one is inserted, in that order."""
    found = list(names)
    places = []
    for name in sorted(numbered):
        place = bisect_left(found, name)
        found.insert(place, name)
        places.append((place, name))
    return tuple(found), tuple(places)


@lru_cache(maxsize=4096)
def _names_hash(names: tuple[str, ...]) -> bytes:
    # Documents of one form share their names: cached, since it costs as much as three fields.
    return keccak256(canonical(names))
