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

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError
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
            "header": _header_json(self.header),
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
            header = _header(wire, number)
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
    code, serial = format_number(header.number).split("-")
    expected: dict[str, Any]
    if isinstance(header, InvoiceHeader):
        expected = {"EInvoiceCode": code, "EInvoiceNumber": serial, "CurrencyType": None}
        if "CurrencyType" in fields and currency_numeric(fields["CurrencyType"]) != header.currency:
            raise HeaderMismatch(field="CurrencyType")
        linked = (header.prescription, header.prescribed) != (0, 0)
        if "relatedInvoiceNumber" in names:
            if header.claimable != 0 or linked:
                raise HeaderMismatch(field="relatedInvoiceNumber")
        else:
            expected["ownPayAmount"] = header.claimable
            if linked:
                expected["hiRxno"] = f"{header.prescription:018d}"
                expected["prescribedAmount"] = header.prescribed
            elif "hiRxno" in names or "prescribedAmount" in names:
                raise HeaderMismatch(field="hiRxno")
    else:
        expected = {"hiRxno": code + serial, "valiEndTime": header.valid_until, "rxDetail": None}
        if "rxDetail" in fields and _quantities(fields["rxDetail"]) != list(header.quantities):
            raise HeaderMismatch(field="rxDetail")
    for name, value in expected.items():
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


def _quantities(lines: Any) -> list[Any]:
    """The quantities of prescription lines; none where they are not lines with whole numbers."""
    if not isinstance(lines, list) or not all(isinstance(line, dict) for line in lines):
        return []
    found = [line.get("quantity") for line in lines]
    return found if all(type(quantity) is int for quantity in found) else []


def _hexadecimal(length: int) -> Any:
    # One value, one spelling: `bytes.fromhex` alone would take spaces and capitals.
    return StringConstraints(pattern=f"^0x[0-9a-f]{{{2 * length}}}$", strict=True)


_Hex32 = Annotated[str, _hexadecimal(32)]
_Hex20 = Annotated[str, _hexadecimal(20)]


def _uint(bits: int) -> Any:
    return Field(ge=0, lt=2**bits, strict=True)


class _Model(BaseModel):
    # Inputs stay out of pydantic's messages: they are patient data and salts.
    model_config = ConfigDict(
        extra="forbid",
        alias_generator=to_camel,
        hide_input_in_errors=True,
    )


class _WireInvoiceHeader(_Model):
    patient: _Hex20
    claimable: Annotated[int, _uint(64)]
    currency: Annotated[int, _uint(16)]
    on_hold: Annotated[bool, Field(strict=True)]
    prescription: str | None
    prescribed: Annotated[int, _uint(64)]
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
    header: dict[str, Any]
    names: Annotated[list[str], Field(max_length=256)]
    digests: Annotated[list[_Hex32], Field(max_length=256)]
    fields: dict[str, _WireField]
    head: _WireHead
    path: Annotated[list[_Hex32], Field(max_length=32)]
    anchor: _WireAnchor


def _raw(value: str) -> bytes:
    return bytes.fromhex(value[2:])


def _all_raw(values: Sequence[str]) -> tuple[bytes, ...]:
    return tuple([bytes.fromhex(value[2:]) for value in values])


def _problem(error: ValidationError) -> str:
    first = error.errors()[0]
    place = ["header"] if error.title.endswith("Header") else []
    return f"{'.'.join([*place, *map(str, first['loc'])])}: {first['msg']}"


def _header(wire: _Wire, number: int) -> Header:
    if wire.kind == "Invoice":
        bill = _WireInvoiceHeader.model_validate(wire.header)
        return InvoiceHeader(
            number=number,
            patient=checksum_address(_raw(bill.patient)),
            claimable=bill.claimable,
            currency=bill.currency,
            on_hold=bill.on_hold,
            prescription=0 if bill.prescription is None else parse_number(bill.prescription),
            prescribed=bill.prescribed,
            body=_raw(bill.body),
        )
    order = _WirePrescriptionHeader.model_validate(wire.header)
    return PrescriptionHeader(
        number=number,
        patient=checksum_address(_raw(order.patient)),
        valid_until=order.valid_until,
        quantities=tuple(order.quantities),
        on_hold=order.on_hold,
        body=_raw(order.body),
    )


def _header_json(header: Header) -> dict[str, Any]:
    """The header as in the file; its number stands beside it."""
    if isinstance(header, InvoiceHeader):
        # A number has up to 20 digits: as text, every JSON reader takes it exactly.
        linked = format_number(header.prescription) if header.prescription else None
        special: dict[str, Any] = {
            "claimable": header.claimable,
            "currency": header.currency,
            "onHold": header.on_hold,
            "prescription": linked,
            "prescribed": header.prescribed,
        }
    else:
        special = {
            "validUntil": header.valid_until,
            "quantities": list(header.quantities),
            "onHold": header.on_hold,
        }
    return {"patient": header.patient.lower(), **special, "body": _hex(header.body)}


def _hex(value: bytes) -> str:
    return "0x" + value.hex()
