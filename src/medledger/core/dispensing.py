"""What a pharmacy commits to when it dispenses: lots, approval numbers, and its review.

Only two hashes go on chain. They are made as a document's body is, so that one line can be shown
later without the others.

>>> record = DispensingRecord(secret=bytes(32), items=(DispensedItem(1, "L1", "H20013"),))
>>> len(record.items_hash), record.review_hash == NO_REVIEW
(32, True)
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from medledger.core.documents import Fields
from medledger.core.hashing import keccak256
from medledger.core.sealing import body_hash, field_digest, salts_of
from medledger.errors import InvalidDocument

FORMAT = "medledger-dispensing-1"
NO_REVIEW = bytes(32)
"""In the place of a review's hash where the review was an act of its own."""


@dataclass(frozen=True, slots=True)
class DispensedItem:
    """What was taken from the shelf for a line, counted from 1. `code` names an equivalent drug."""

    line: int
    lot: str
    approval_number: str
    code: str = ""

    def json(self) -> Fields:
        found: Fields = {"lot": self.lot, "approvalNumber": self.approval_number}
        return found | ({"code": self.code} if self.code else {})


@dataclass(frozen=True, slots=True)
class DispensingRecord:
    """What the pharmacy keeps of a dispensing. `secret` is 32 random bytes, for this one only.

    Raises `InvalidDocument` where no item is named, or a line twice.
    """

    secret: bytes
    items: tuple[DispensedItem, ...]
    review: str = ""
    """The pharmacist's finding; empty where the review was an act of its own."""

    def __post_init__(self) -> None:
        lines = [item.line for item in self.items]
        if not lines or len(set(lines)) != len(lines):
            raise InvalidDocument(field="items", problem="has no line, or one twice")

    @property
    def items_hash(self) -> bytes:
        """The commitment to lots and approval numbers: 32 bytes."""
        return _commitment({str(i.line): i.json() for i in self.items}, self.secret + b"items")

    @property
    def review_hash(self) -> bytes:
        """The commitment to the review, `NO_REVIEW` without one: 32 bytes."""
        return review_hash(self.review, self.secret) if self.review else NO_REVIEW

    def to_json(self) -> str:
        """The file that the pharmacy keeps; it opens both commitments."""
        kept = {
            "format": FORMAT,
            "secret": "0x" + self.secret.hex(),
            "items": [{"line": item.line, **item.json()} for item in self.items],
            "review": self.review,
        }
        return json.dumps(kept, ensure_ascii=False, indent=2) + "\n"


@dataclass(frozen=True, slots=True)
class Dispensing:
    """What a pharmacy dispenses, as the contract takes it: whole units of lines 1, 2, ...

    `substituted` names the lines, counted from 1, that are an equivalent drug.
    """

    quantities: Sequence[int]
    items_hash: bytes
    review_hash: bytes = NO_REVIEW
    substituted: Sequence[int] = ()

    @property
    def substituted_bits(self) -> int:
        """Bit i for line i, counted from 0."""
        return sum(1 << (line - 1) for line in set(self.substituted))


def review_hash(review: str, secret: bytes) -> bytes:
    """The commitment to a pharmacist's review: 32 bytes."""
    return _commitment({"review": review}, secret + b"review")


def _commitment(fields: Fields, secret: bytes) -> bytes:
    names = sorted(fields)
    salted = zip(salts_of(keccak256(secret), len(names)), names, strict=True)
    return body_hash(names, [field_digest(salt, name, fields[name]) for salt, name in salted])
