"""Evidence: one JSON file that proves a document against the chain, with no server of ours.

It holds the opened fields with their salts, all names and digests, the header, the inclusion
path, the tree head, and the anchor (chain id, ledger, transaction). `verify_offline` checks all
that needs no chain and returns the hash that the ledger must hold for the batch's first number.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, ValidationError
from pydantic.alias_generators import to_camel

from medledger.core.canonical import parse_strict
from medledger.core.hashing import (
    Header,
    InvoiceHeader,
    PrescriptionHeader,
    TreeHead,
    checksum_address,
    leaf_hash,
)
from medledger.core.money import currency_numeric
from medledger.core.numbers import format_number, parse_number
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
    def kind(self) -> str:
        """`Invoice` or `Prescription`."""
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
            _compare_header(self.header, self.fields)
        except InputError as error:
            raise MalformedEvidence(problem=str(error)) from error
        index = self.number - self.head.first
        if not 0 <= index < self.head.count:
            raise PathMismatch(problem=f"number {self.number} is not in the batch")
        leaf = leaf_hash(self.header.struct_hash())
        return self.head.hash(root_of_path(leaf, index, self.head.count, self.path))

    def to_json(self) -> str:
        """The evidence file's text; `from_json` reads it back."""
        header = self.header
        wire = _Wire(
            format=FORMAT,
            kind="Invoice" if isinstance(header, InvoiceHeader) else "Prescription",
            number=format_number(header.number),
            header=(
                _WireInvoiceHeader(
                    patient=address_bytes_of(header.patient),
                    claimable=header.claimable,
                    currency=header.currency,
                    on_hold=header.on_hold,
                    body=header.body,
                )
                if isinstance(header, InvoiceHeader)
                else _WirePrescriptionHeader(
                    patient=address_bytes_of(header.patient),
                    valid_until=header.valid_until,
                    quantities=list(header.quantities),
                    on_hold=header.on_hold,
                    body=header.body,
                )
            ),
            names=list(self.disclosure.names),
            digests=list(self.disclosure.digests),
            fields={
                name: _WireField(salt=field.salt, value=field.value)
                for name, field in self.disclosure.opened.items()
            },
            head=_WireHead(
                first=format_number(self.head.first),
                count=self.head.count,
                segment=self.head.segment,
                issued_at=self.head.issued_at,
            ),
            path=list(self.path),
            anchor=_WireAnchor(
                chain_id=self.anchor.chain_id,
                ledger=address_bytes_of(self.anchor.ledger),
                transaction=self.anchor.transaction,
            ),
        )
        return json.dumps(wire.model_dump(by_alias=True), ensure_ascii=False, indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes) -> Evidence:
        """The evidence of a file's text; raises `MalformedEvidence` naming the field."""
        try:
            wire = _Wire.model_validate(parse_strict(text))
            number = parse_number(wire.number)
            first = parse_number(wire.head.first)
        except InputError as error:
            raise MalformedEvidence(problem=str(error)) from error
        except ValidationError as error:
            first_error = error.errors()[0]
            where = ".".join(str(part) for part in first_error["loc"])
            raise MalformedEvidence(problem=f"{where}: {first_error['msg']}") from error
        return cls(
            header=_header(wire, number),
            disclosure=Disclosure(
                names=tuple(wire.names),
                digests=tuple(wire.digests),
                opened={
                    name: OpenedField(field.salt, field.value)
                    for name, field in wire.fields.items()
                },
            ),
            head=TreeHead(first, wire.head.count, wire.head.segment, wire.head.issued_at),
            path=tuple(wire.path),
            anchor=Anchor(
                wire.anchor.chain_id, checksum_address(wire.anchor.ledger), wire.anchor.transaction
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


def address_bytes_of(address: str) -> bytes:
    return bytes.fromhex(address[2:])


def _compare_header(header: Header, fields: Mapping[str, Any]) -> None:
    """A header whose values are not the document's own would let a contract act on false ones."""
    code, serial = format_number(header.number).split("-")
    if isinstance(header, InvoiceHeader):
        expected = {
            "EInvoiceCode": code,
            "EInvoiceNumber": serial,
            "ownPayAmount": header.claimable,
        }
        if "CurrencyType" in fields and currency_numeric(fields["CurrencyType"]) != header.currency:
            raise HeaderMismatch(field="CurrencyType")
        if "relatedInvoiceNumber" in fields:
            expected["ownPayAmount"] = fields.get("ownPayAmount")
            if header.claimable != 0:
                raise HeaderMismatch(field="relatedInvoiceNumber")
    else:
        expected = {"hiRxno": code + serial, "valiEndTime": header.valid_until}
        if "rxDetail" in fields:
            lines = fields["rxDetail"]
            if not isinstance(lines, list) or not all(isinstance(line, dict) for line in lines):
                raise HeaderMismatch(field="rxDetail")
            if tuple(line.get("quantity") for line in lines) != header.quantities:
                raise HeaderMismatch(field="rxDetail")
    for name, value in expected.items():
        if name in fields and fields[name] != value:
            raise HeaderMismatch(field=name)


def _bytes_from_hex(value: object) -> object:
    if not isinstance(value, str) or not value.startswith("0x"):
        raise ValueError("expected 0x and hexadecimal digits")
    return bytes.fromhex(value[2:])


_Hex = Annotated[
    bytes,
    BeforeValidator(lambda v: v if isinstance(v, bytes) else _bytes_from_hex(v)),
    PlainSerializer(lambda v: "0x" + v.hex()),
]
_Hex32 = Annotated[_Hex, Field(min_length=32, max_length=32)]
_Hex20 = Annotated[_Hex, Field(min_length=20, max_length=20)]


def _uint(bits: int) -> Any:
    return Field(ge=0, lt=2**bits, strict=True)


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", alias_generator=to_camel, populate_by_name=True)


class _WireInvoiceHeader(_Model):
    patient: _Hex20
    claimable: Annotated[int, _uint(64)]
    currency: Annotated[int, _uint(16)]
    on_hold: Annotated[bool, Field(strict=True)]
    body: _Hex32


class _WirePrescriptionHeader(_Model):
    patient: _Hex20
    valid_until: Annotated[int, _uint(40)]
    quantities: Annotated[list[Annotated[int, _uint(24)]], Field(min_length=1, max_length=5)]
    on_hold: Annotated[bool, Field(strict=True)]
    body: _Hex32


class _WireField(_Model):
    salt: _Hex32
    value: Any


class _WireHead(_Model):
    first: str
    count: Annotated[int, _uint(32)]
    segment: Annotated[int, _uint(32)]
    issued_at: Annotated[int, _uint(64)]


class _WireAnchor(_Model):
    chain_id: Annotated[int, _uint(64)]
    ledger: _Hex20
    transaction: _Hex32


class _Wire(_Model):
    format: Literal["medledger-evidence-1"]
    kind: Literal["Invoice", "Prescription"]
    number: str
    header: _WireInvoiceHeader | _WirePrescriptionHeader
    names: Annotated[list[str], Field(max_length=256)]
    digests: Annotated[list[_Hex32], Field(max_length=256)]
    fields: dict[str, _WireField]
    head: _WireHead
    path: Annotated[list[_Hex32], Field(max_length=32)]
    anchor: _WireAnchor


def _header(wire: _Wire, number: int) -> Header:
    header = wire.header
    if wire.kind == "Invoice" and isinstance(header, _WireInvoiceHeader):
        return InvoiceHeader(
            number=number,
            patient=checksum_address(header.patient),
            claimable=header.claimable,
            currency=header.currency,
            on_hold=header.on_hold,
            body=header.body,
        )
    if wire.kind == "Prescription" and isinstance(header, _WirePrescriptionHeader):
        return PrescriptionHeader(
            number=number,
            patient=checksum_address(header.patient),
            valid_until=header.valid_until,
            quantities=tuple(header.quantities),
            on_hold=header.on_hold,
            body=header.body,
        )
    raise MalformedEvidence(problem=f"header: is not that of kind {wire.kind}")
