"""The kinds of document, each registered once.

A kind is a header and its terms in `core.hashing`, a document in `core.documents`, a contract that
is a DocumentLedger, and one entry in `KINDS`, by its `DocumentKind`. Sealing, evidence, wallets,
stores and roles go by the entry.

>>> KINDS["Prescription"].ledger
'Prescriptions'
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from pydantic.alias_generators import to_camel

from medledger.core.canonical import Json
from medledger.core.hashing import (
    Header,
    InvoiceHeader,
    InvoiceTerms,
    LicenceHeader,
    LicenceTerms,
    PrescriptionHeader,
    PrescriptionTerms,
    RecordHeader,
    RecordTerms,
    Terms,
    checksum_address,
)
from medledger.core.money import currency_numeric
from medledger.core.numbers import DocumentKind, DocumentNumber, format_number, split_number
from medledger.errors import HeaderMismatch, MalformedEvidence

DAY = 24 * 3600
TIME = re.compile(
    r"\d{4}-\d\d-\d\dT([01]\d|2[0-3])(:[0-5]\d){2}(\.\d{1,6})?"
    r"(Z|[+-]([01]\d|2[0-3]):[0-5]\d)?",
    re.ASCII,
)


class WireModel(BaseModel):
    """A part of an evidence file."""

    # Inputs stay out of pydantic's messages: they are patient data and salts.
    model_config = ConfigDict(
        extra="forbid",
        alias_generator=to_camel,
        hide_input_in_errors=True,
    )


@dataclass(frozen=True, slots=True)
class KindEntry:
    """What is particular to a kind.

    `ledger` is its contract, `branch` the first step of one-time keys (BIP-32), `wire` the header
    in an evidence file. `numbered` gives the sealed fields that depend on number and check code.
    `expected` gives the sealed fields that repeat the header, each with its value, or None where
    it has been compared; it raises `HeaderMismatch`. `issuer` is the field that names the issuer.
    """

    ledger: str
    branch: int
    terms: Callable[..., Terms]
    header: Callable[..., Header]
    wire: type[WireModel]
    numbered: Callable[[DocumentNumber, str], dict[str, Json]]
    expected: Callable[[Any, Sequence[str], Mapping[str, Any]], dict[str, Any]]
    issuer: str = ""


def kept_terms(terms: Terms) -> list[object]:
    """Terms as plain values that `terms_of_kept` reads back."""
    return [terms.kind, *terms]


def terms_of_kept(kept: Sequence[Any]) -> Terms:
    """The terms of what `kept_terms` gave, after JSON."""
    kind, *said = kept
    return KINDS[kind].terms(*[tuple(one) if isinstance(one, list) else one for one in said])


def unix_seconds(moment: datetime) -> int:
    """A moment in whole Unix seconds; 0 before 1970, which a header cannot say.

    Without an offset it is UTC's, on whatever machine.
    """
    return max(0, int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()))


def second_of(text: Any) -> int | None:
    """The Unix seconds of a time as a document writes it; None for any other text or value.

    Of all the forms of ISO 8601 one alone counts, so that every verifier reads the same.
    """
    if type(text) is not str or not TIME.fullmatch(text):
        return None
    try:
        return unix_seconds(datetime.fromisoformat(text))
    except (ValueError, OverflowError):
        return None


def line_bits(lines: Sequence[bool]) -> int:
    """Bit i for line i, counted from 0, as contracts mark lines."""
    return sum(1 << line for line, marked in enumerate(lines) if marked)


def hexadecimal(length: int) -> Any:
    """The one spelling of bytes: `bytes.fromhex` alone would take spaces and capitals."""
    return StringConstraints(pattern=f"^0x[0-9a-f]{{{2 * length}}}$", strict=True)


def uint(bits: int) -> Any:
    """A whole number as a contract holds it."""
    return Field(ge=0, lt=2**bits, strict=True)


Hex32 = Annotated[str, hexadecimal(32)]
Hex20 = Annotated[str, hexadecimal(20)]
Truth = Annotated[bool, Field(strict=True)]
NumberText = Annotated[str, StringConstraints(pattern="^(0|[1-9][0-9]{0,19})$", strict=True)]
"""A document's number as text, for it need not fit a JSON number; 0 for none."""
HASH_BYTES = 32


# Bills


class _WireInvoiceHeader(WireModel):
    patient: Hex20
    claimable: Annotated[int, uint(64)]
    currency: Annotated[int, uint(16)]
    on_hold: Truth
    prescription: NumberText
    prescribed: Annotated[int, uint(64)]
    body: Hex32


def _invoice_numbered(number: DocumentNumber, check_code: str) -> dict[str, Json]:
    code, serial = split_number(number)
    return {
        "EInvoiceCode": f"{code:08d}",
        "EInvoiceNumber": f"{serial:010d}",
        "RandomNumber": check_code,
    }


def _invoice_expected(
    header: InvoiceHeader, names: Sequence[str], fields: Mapping[str, Any]
) -> dict[str, Any]:
    code, serial = format_number(header.number).split("-")
    expected: dict[str, Any] = {
        "EInvoiceCode": code,
        "EInvoiceNumber": serial,
        "CurrencyType": None,
    }
    if "CurrencyType" in fields and currency_numeric(fields["CurrencyType"]) != header.currency:
        raise HeaderMismatch(field="CurrencyType")
    is_red_letter = "relatedInvoiceNumber" in names
    linked = (header.prescription, header.prescribed) != (0, 0)
    if is_red_letter and (linked or (header.claimable != 0 and not header.on_hold)):
        # A partial red letter says what it takes back, and is of no use by itself.
        raise HeaderMismatch(field="relatedInvoiceNumber")
    if linked:
        expected["hiRxno"] = f"{header.prescription:018d}"
        expected["prescribedAmount"] = header.prescribed
    elif "hiRxno" in names or "prescribedAmount" in names:
        raise HeaderMismatch(field="hiRxno")
    if is_red_letter and header.claimable == 0:
        return expected
    return expected | {"ownPayAmount": header.claimable}


# Prescriptions


class _WirePrescriptionHeader(WireModel):
    patient: Hex20
    authored_at: Annotated[int, uint(40)]
    valid_until: Annotated[int, uint(40)]
    licence: NumberText
    drug_class: Annotated[int, uint(16)]
    quantities: Annotated[list[Annotated[int, uint(16)]], Field(min_length=1, max_length=5)]
    substitutable: Annotated[int, uint(8)]
    repeats: Annotated[int, uint(8)]
    interval: Annotated[int, uint(32)]
    on_hold: Truth
    body: Hex32


def _prescription_numbered(number: DocumentNumber, check_code: str) -> dict[str, Json]:
    return {"hiRxno": f"{number:018d}", "rxTraceCode": check_code}


def _prescription_expected(
    header: PrescriptionHeader, names: Sequence[str], fields: Mapping[str, Any]
) -> dict[str, Any]:
    if "authoredOn" in fields and second_of(fields["authoredOn"]) != header.authored_at:
        raise HeaderMismatch(field="authoredOn")
    if "minInrvDays" not in names or (
        "minInrvDays" in fields and not _is_days(fields["minInrvDays"], header.interval)
    ):
        raise HeaderMismatch(field="minInrvDays")
    lines = (list(header.quantities), header.substitutable)
    if "rxDetail" in fields and _lines(fields["rxDetail"]) != lines:
        raise HeaderMismatch(field="rxDetail")
    return {
        "hiRxno": f"{header.number:018d}",
        "authoredOn": None,
        "valiEndTime": header.valid_until,
        "licence": str(header.licence),
        "drugClass": header.drug_class,
        "maxReptCnt": header.repeats,
        "rxDetail": None,
    }


def _lines(lines: Any) -> tuple[list[Any], int]:
    """Quantities and substitutable lines; no quantity where they are not lines of whole numbers."""
    if not isinstance(lines, list) or not all(isinstance(line, dict) for line in lines):
        return [], 0
    found = [line.get("quantity") for line in lines]
    marks = [line.get("substitutable", False) for line in lines]
    if not all(type(quantity) is int for quantity in found) or not {*map(type, marks)} <= {bool}:
        return [], 0
    return found, line_bits(marks)


def _is_days(days: Any, seconds: int) -> bool:
    return type(days) is int and days * DAY == seconds


# Licences


class _WireLicenceHeader(WireModel):
    holder: Hex20
    licence_type: Annotated[int, uint(16)]
    valid_from: Annotated[int, uint(40)]
    valid_until: Annotated[int, uint(40)]
    body: Hex32


def _licence_numbered(number: DocumentNumber, check_code: str) -> dict[str, Json]:
    return {"licenceNumber": f"{number:018d}", "checkCode": check_code}


def _licence_expected(
    header: LicenceHeader,
    names: Sequence[str],  # noqa: ARG001 (of the kind's form)
    fields: Mapping[str, Any],  # noqa: ARG001
) -> dict[str, Any]:
    return {
        "licenceNumber": f"{header.number:018d}",
        "licenceType": header.licence_type,
        "validFrom": header.valid_from,
        "validUntil": header.valid_until,
    }


# Records


class _WireRecordHeader(WireModel):
    patient: Hex20
    amends: Annotated[int, uint(64)]
    record_type: Annotated[int, uint(8)]
    body: Hex32


def _record_numbered(number: DocumentNumber, check_code: str) -> dict[str, Json]:
    return {"recordNumber": f"{number:018d}", "checkCode": check_code}


def _record_expected(
    header: RecordHeader,
    names: Sequence[str],
    fields: Mapping[str, Any],  # noqa: ARG001 (of the kind's form)
) -> dict[str, Any]:
    expected = {"recordNumber": f"{header.number:018d}", "recordType": header.record_type}
    if header.amends:
        return expected | {"amends": f"{header.amends:018d}"}
    if "amends" in names:
        raise HeaderMismatch(field="amends")
    return expected


KINDS: Mapping[DocumentKind, KindEntry] = {
    "Invoice": KindEntry(
        ledger="Invoices",
        branch=0,
        terms=InvoiceTerms,
        header=InvoiceHeader,
        wire=_WireInvoiceHeader,
        numbered=_invoice_numbered,
        expected=_invoice_expected,
        issuer="InvoicingParty",
    ),
    "Prescription": KindEntry(
        ledger="Prescriptions",
        branch=1,
        terms=PrescriptionTerms,
        header=PrescriptionHeader,
        wire=_WirePrescriptionHeader,
        numbered=_prescription_numbered,
        expected=_prescription_expected,
    ),
    "Licence": KindEntry(
        ledger="Licences",
        branch=2,
        terms=LicenceTerms,
        header=LicenceHeader,
        wire=_WireLicenceHeader,
        numbered=_licence_numbered,
        expected=_licence_expected,
        issuer="issuingAuthority",
    ),
    "Record": KindEntry(
        ledger="Records",
        branch=3,
        terms=RecordTerms,
        header=RecordHeader,
        wire=_WireRecordHeader,
        numbered=_record_numbered,
        expected=_record_expected,
        issuer="hospital",
    ),
}
"""Every kind, in the order in which lists show them."""


def header_fields(header: Header) -> dict[str, Any]:
    """A header as in files, by its names there; the number stands beside it."""
    found: dict[str, Any] = {}
    for name, entry in KINDS[header.kind].wire.model_fields.items():
        value = getattr(header, name)
        if isinstance(value, str):
            value = value.lower()
        elif isinstance(value, bytes):
            value = "0x" + value.hex()
        elif entry.annotation is str:
            # A number beyond what JSON's readers keep whole.
            value = str(value)
        found[to_camel(name)] = value
    return found


def header_of_fields(kind: DocumentKind, number: int, said: Mapping[str, Any]) -> Header:
    """The header of what `header_fields` gave; raises pydantic's `ValidationError`."""
    entry = KINDS[kind]
    values = {name: _plain(value) for name, value in entry.wire.model_validate(said)}
    return entry.header(number=number, **values)


def _plain(value: Any) -> Any:
    """A header's value: an address in EIP-55 form, a hash as bytes, a list as a tuple."""
    if isinstance(value, str):
        if not value.startswith("0x"):
            return _whole(value)
        raw = bytes.fromhex(value[2:])
        return raw if len(raw) == HASH_BYTES else checksum_address(raw)
    return tuple(value) if isinstance(value, list) else value


def _whole(text: str) -> int:
    number = int(text)
    if number >= 2**64:
        raise MalformedEvidence(problem=f"header: {text} is not below 2^64")
    return number
