"""Evidence: one JSON file that proves a document against the chain, with no server of ours.

It holds the opened fields with their salts, all names and digests, the header, the inclusion
path, the tree head, and the anchor (chain id, ledger, transaction). `verify_offline` checks all
that needs no chain and returns the hash that the ledger must hold for the batch's first number.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from medledger.core.canonical import parse_strict
from medledger.core.hashing import Header, TreeHead, checksum_address, leaf_hash
from medledger.core.kinds import (
    KINDS,
    Hex20,
    Hex32,
    WireModel,
    header_fields,
    header_of_fields,
    uint,
)
from medledger.core.numbers import DocumentKind, format_number, parse_number
from medledger.core.sealing import Disclosure, OpenedField, Sealed
from medledger.core.tree import root_of_path
from medledger.errors import HeaderMismatch, InputError, MalformedEvidence, PathMismatch

FORMAT: Literal["medledger-evidence-1"] = "medledger-evidence-1"


@dataclass(frozen=True, slots=True)
class Anchor:
    """Where the batch was issued. `transaction` is its hash, 32 bytes."""

    chain_id: int
    ledger: str
    transaction: bytes


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything that shows one document, or chosen fields of it, to somebody else."""

    header: Header
    disclosure: Disclosure
    head: TreeHead
    path: tuple[bytes, ...]
    anchor: Anchor

    @property
    def kind(self) -> DocumentKind:
        """The document's."""
        return self.header.kind

    @property
    def number(self) -> int:
        return self.header.number

    @property
    def fields(self) -> dict[str, Any]:
        """The opened fields' values by name."""
        return {name: field.value for name, field in self.disclosure.opened.items()}

    def verify_offline(self) -> bytes:
        """The head hash that the ledger must hold for `head.first`: 32 bytes.

        Raises `MalformedEvidence`, `BodyMismatch`, `HeaderMismatch` or `PathMismatch`, each
        naming what differs.
        """
        try:
            self.disclosure.verify(self.header.body)
            _compare_header(self.header, self.disclosure.names, self.fields)
        except InputError as error:
            raise MalformedEvidence(problem=str(error)) from error
        index = self.number - self.head.first
        if not 0 <= index < self.head.count:
            raise PathMismatch(problem=f"number {self.number} is not in the batch")
        leaf = leaf_hash(self.header.struct_hash())
        return self.head.hash(root_of_path(leaf, index, self.head.count, self.path))

    def to_json(self) -> str:
        """The evidence file's text; `from_json` reads it back."""
        head, anchor = self.head, self.anchor
        wire = {
            "format": FORMAT,
            "kind": self.kind,
            "number": format_number(self.number),
            "header": header_fields(self.header),
            "names": list(self.disclosure.names),
            "digests": [_hex(digest) for digest in self.disclosure.digests],
            "fields": {
                name: {"salt": _hex(field.salt), "value": field.value}
                for name, field in self.disclosure.opened.items()
            },
            "head": {
                "first": format_number(head.first),
                "count": head.count,
                "segment": head.segment,
                "issuedAt": head.issued_at,
            },
            "path": [_hex(node) for node in self.path],
            "anchor": {
                "chainId": anchor.chain_id,
                "ledger": anchor.ledger.lower(),
                "transaction": _hex(anchor.transaction),
            },
        }
        return json.dumps(wire, ensure_ascii=False, indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes) -> Evidence:
        """The evidence of a file's text; raises `MalformedEvidence` naming the field."""
        try:
            wire = _Wire.model_validate(parse_strict(text))
            number = parse_number(wire.number)
            first = parse_number(wire.head.first)
            header = header_of_fields(wire.kind, number, wire.header)
        except InputError as error:
            raise MalformedEvidence(problem=str(error)) from error
        except ValidationError as error:
            raise MalformedEvidence(problem=_problem(error)) from error
        return cls(
            header=header,
            disclosure=Disclosure(
                names=tuple(wire.names),
                digests=_all_raw(wire.digests),
                opened={
                    name: OpenedField(_raw(field.salt), field.value)
                    for name, field in wire.fields.items()
                },
            ),
            head=TreeHead(first, wire.head.count, wire.head.segment, wire.head.issued_at),
            path=_all_raw(wire.path),
            anchor=Anchor(
                wire.anchor.chain_id,
                checksum_address(_raw(wire.anchor.ledger)),
                _raw(wire.anchor.transaction),
            ),
        )


def evidence_of(
    sealed: Sealed,
    head: TreeHead,
    path: tuple[bytes, ...],
    anchor: Anchor,
    only: list[str] | None = None,
) -> Evidence:
    """Evidence of a sealed document, opening the chosen fields, or all."""
    return Evidence(sealed.header, sealed.disclose(only), head, path, anchor)


def _compare_header(header: Header, names: Sequence[str], fields: Mapping[str, Any]) -> None:
    """A header whose values are not the document's own would let a contract act on false ones."""
    for name, value in KINDS[header.kind].expected(header, names, fields).items():
        # Whoever never sealed a field could not be held to it.
        if name not in names:
            raise HeaderMismatch(field=name)
        # A type is compared too: in Python, true equals 1.
        if (
            value is not None
            and name in fields
            and (type(fields[name]), fields[name]) != (type(value), value)
        ):
            raise HeaderMismatch(field=name)


class _WireField(WireModel):
    salt: Hex32
    value: Any


class _WireHead(WireModel):
    first: str
    count: Annotated[int, uint(32)]
    segment: Annotated[int, uint(32)]
    issued_at: Annotated[int, uint(64)]


class _WireAnchor(WireModel):
    chain_id: Annotated[int, uint(64)]
    ledger: Hex20
    transaction: Hex32


class _Wire(WireModel):
    format: Literal["medledger-evidence-1"]
    kind: DocumentKind
    number: str
    header: dict[str, Any]
    names: Annotated[list[str], Field(max_length=256)]
    digests: Annotated[list[Hex32], Field(max_length=256)]
    fields: dict[str, _WireField]
    head: _WireHead
    path: Annotated[list[Hex32], Field(max_length=32)]
    anchor: _WireAnchor


def _raw(value: str) -> bytes:
    return bytes.fromhex(value[2:])


def _all_raw(values: Sequence[str]) -> tuple[bytes, ...]:
    return tuple([bytes.fromhex(value[2:]) for value in values])


def _problem(error: ValidationError) -> str:
    first = error.errors()[0]
    place = ["header"] if error.title.endswith("Header") else []
    return f"{'.'.join([*place, *map(str, first['loc'])])}: {first['msg']}"


def _hex(value: bytes) -> str:
    return "0x" + value.hex()
