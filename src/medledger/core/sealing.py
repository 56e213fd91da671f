"""Sealing: from a document to the one hash that is its leaf.

Each field is hashed with a salt of its own; the body is the hash of the flat list of these
digests with the list of their names, so that one name has one place. Salts derive one-way from
one secret per document: showing one field's salt says nothing of the others, and destroying the
secret and salts leaves a commitment that says nothing.

    salt   = keccak256(secret || "salt:" || name)
    digest = keccak256(0x03 || salt || canonical([name, value]))
    body   = keccak256(0x04 || keccak256(canonical(names)) || digests in order of name)
"""

from __future__ import annotations

import base64
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from medledger.core.canonical import Json, canonical
from medledger.core.documents import Document, Fields
from medledger.core.hashing import Header, keccak256, leaf_hash
from medledger.core.numbers import DocumentNumber
from medledger.errors import BodyMismatch, InvalidDocument, UnknownField

FIELD_PREFIX = b"\x03"
BODY_PREFIX = b"\x04"
SECRET_BYTES = 32


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
        names = sorted(self.fields)
        chosen = set(names if only is None else only)
        if unknown := chosen.difference(names):
            raise UnknownField(field=min(unknown), known=", ".join(names))
        return Disclosure(
            names=tuple(names),
            digests=tuple(
                field_digest(salt_of(self.secret, name), name, self.fields[name]) for name in names
            ),
            opened={
                name: OpenedField(salt_of(self.secret, name), self.fields[name])
                for name in names
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
        for name, field in self.opened.items():
            if name not in self.names:
                raise BodyMismatch(field=name, problem="is not among the sealed names")
            if field_digest(field.salt, name, field.value) != self.digests[self.names.index(name)]:
                raise BodyMismatch(field=name, problem="is not the value that was sealed")
        # Uncached: these names are a stranger's, and may be long.
        names_hash = keccak256(canonical(self.names))
        if keccak256(BODY_PREFIX + names_hash + b"".join(self.digests)) != body:
            raise BodyMismatch(field="body", problem="is not the hash of these digests")


def seal(document: Document, number: DocumentNumber, secret: bytes) -> Sealed:
    """The sealed form of a document under a number.

    `secret` is 32 random bytes, used for this document only. Raises `UnsealableValue`,
    `NotNormalForm`, `InvalidDocument`, `UnknownCurrency` or `BadPatientKey`.
    """
    if len(secret) != SECRET_BYTES:
        raise InvalidDocument(field="secret", problem=f"has {len(secret)} bytes, not 32")
    fields = document.fields(number, check_code(secret))
    names = sorted(fields)
    digests = [field_digest(salt_of(secret, name), name, fields[name]) for name in names]
    return Sealed(document.header(number, body_hash(names, digests)), fields, secret)


def salt_of(secret: bytes, name: str) -> bytes:
    """The salt of one field: 32 bytes."""
    return keccak256(secret + b"salt:" + name.encode())


def field_digest(salt: bytes, name: str, value: Json) -> bytes:
    """The salted digest of one field: 32 bytes."""
    return keccak256(FIELD_PREFIX + salt + canonical([name, value]))


def body_hash(names: Sequence[str], digests: Iterable[bytes]) -> bytes:
    """What a header commits to: 32 bytes."""
    return keccak256(BODY_PREFIX + _names_hash(tuple(names)) + b"".join(digests))


@lru_cache(maxsize=4096)
def _names_hash(names: tuple[str, ...]) -> bytes:
    # Documents of one form share their names: cached, since it costs as much as three fields.
    return keccak256(canonical(names))


def check_code(secret: bytes) -> str:
    """The six characters (A to Z, 2 to 7) that a person types to look a bill up."""
    return base64.b32encode(keccak256(secret + b"check code"))[:6].decode()
