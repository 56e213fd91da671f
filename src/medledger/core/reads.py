"""What others read of records and prescriptions: a hospital's log, and proofs of its entries.

Each entry is salted and hashed; the entries of a day are the leaves of a tree as a batch's, whose
root the hospital anchors on chain. So the log can only grow, and a reader can show that a read was
logged, or a patient ask that it was, without showing the others.

    leaf = keccak256(0x00 || keccak256(0x05 || salt || canonical(entry)))
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from medledger.core.canonical import Json, canonical, parse_strict
from medledger.core.hashing import keccak256, leaf_hash
from medledger.core.kinds import Hex32, Truth, WireModel, uint
from medledger.core.numbers import format_number, parse_number
from medledger.core.states import Purpose
from medledger.core.tree import root_of_path
from medledger.errors import InputError, MalformedEvidence

READ_PREFIX = b"\x05"
FORMAT: Literal["medledger-read-1"] = "medledger-read-1"
DAY = 24 * 3600

ReadKind = Literal["Record", "Prescription"]
"""The kinds of documents whose reads are logged."""


@dataclass(frozen=True, slots=True)
class Read:
    """One read. `institution` and `reader` are who read, `at` is in Unix seconds.

    `broke_glass`: in an emergency, without the patient's leave. `says_kind` is False of an entry
    that was logged before entries said it: it is a record's, and hashed as it was logged.
    """

    kind: ReadKind
    number: int
    institution: int
    reader: str
    purpose: Purpose
    at: int
    broke_glass: bool = False
    says_kind: bool = True

    def json(self) -> dict[str, Json]:
        kind: dict[str, Json] = {"kind": self.kind} if self.says_kind else {}
        return kind | {
            "number": format_number(self.number),
            "institution": self.institution,
            "reader": self.reader,
            "purpose": self.purpose.name,
            "at": self.at,
            "brokeGlass": self.broke_glass,
        }

    def leaf(self, salt: bytes) -> bytes:
        """The tree leaf: 32 bytes. `salt` is 32 random bytes, of this entry alone."""
        return leaf_hash(keccak256(READ_PREFIX + salt + canonical(self.json())))


@dataclass(frozen=True, slots=True)
class ReadProof:
    """Shows that one read is among the `count` that `hospital` anchored of `day`.

    `day` counts from 1 January 1970, UTC; `hospital` is the institution that keeps the log.
    """

    entry: Read
    salt: bytes
    hospital: int
    day: int
    index: int
    count: int
    path: tuple[bytes, ...]

    def root(self) -> bytes:
        """The root that the chain must hold; raises `PathMismatch`."""
        return root_of_path(self.entry.leaf(self.salt), self.index, self.count, self.path)

    def to_json(self) -> str:
        """The file's text; `from_json` reads it back."""
        wire = {
            "format": FORMAT,
            "entry": self.entry.json(),
            "salt": "0x" + self.salt.hex(),
            "hospital": self.hospital,
            "day": self.day,
            "index": self.index,
            "count": self.count,
            "path": ["0x" + node.hex() for node in self.path],
        }
        return json.dumps(wire, ensure_ascii=False, indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes) -> ReadProof:
        """The proof of a file's text; raises `MalformedEvidence` naming the field."""
        try:
            wire = _Wire.model_validate(parse_strict(text))
            entry = read_of(wire.entry)
        except InputError as error:
            raise MalformedEvidence(problem=str(error)) from error
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, first["loc"]))
            raise MalformedEvidence(problem=f"{place}: {first['msg']}") from error
        path = tuple([bytes.fromhex(node[2:]) for node in wire.path])
        salt = bytes.fromhex(wire.salt[2:])
        return cls(entry, salt, wire.hospital, wire.day, wire.index, wire.count, path)


class WireRead(WireModel):
    """A read as it is kept and shown."""

    kind: ReadKind = "Record"
    number: str
    institution: Annotated[int, uint(32)]
    reader: str
    purpose: Literal["TREAT", "HPAYMT", "HRESCH", "ETREAT"]
    at: Annotated[int, uint(40)]
    broke_glass: Truth


class _Wire(WireModel):
    format: Literal["medledger-read-1"]
    entry: WireRead
    salt: Hex32
    hospital: Annotated[int, uint(32)]
    day: Annotated[int, uint(32)]
    index: Annotated[int, uint(40)]
    count: Annotated[int, uint(40)]
    path: Annotated[list[Hex32], Field(max_length=64)]


def read_of(wire: WireRead) -> Read:
    """The read of its wire form; raises `BadNumber`."""
    return Read(
        wire.kind,
        parse_number(wire.number),
        wire.institution,
        wire.reader,
        Purpose[wire.purpose],
        wire.at,
        wire.broke_glass,
        says_kind="kind" in wire.model_fields_set,
    )


def read_of_bytes(kept: bytes) -> Read:
    """The read whose canonical JSON is kept."""
    return read_of(WireRead.model_validate_json(kept))
