"""The documents that are sealed: fiscal medical e-bills, prescriptions, licences and records.

A document knows its sealed fields, named as in the national data specification, and the
typed header that a contract can read. It does not know its number until it is issued.

>>> bill.business_key, bill.claimable_minor
('visit-1', 2500)
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import ClassVar, Protocol

from medledger.core.canonical import Json
from medledger.core.hashing import (
    InvoiceHeader,
    InvoiceTerms,
    LicenceTerms,
    PrescriptionTerms,
    RecordTerms,
    Terms,
)
from medledger.core.kinds import DAY, KINDS, line_bits, second_of, unix_seconds
from medledger.core.money import currency_numeric
from medledger.core.numbers import DocumentKind, DocumentNumber, split_number
from medledger.errors import InvalidDocument

MAX_PRESCRIPTION_LINES = 5
"""Article 6 of the Chinese prescription regulation: at most five drugs on one prescription."""

MAX_QUANTITY = 2**16 - 1
MAX_INTERVAL_DAYS = (2**32 - 1) // DAY

Fields = dict[str, Json]


class Document(Protocol):
    """What sealing and issuing need to know of a document."""

    @property
    def kind(self) -> DocumentKind:
        """One of `core.kinds.KINDS`."""

    @property
    def business_key(self) -> str:
        """The issuer's own number of it; unique for each issuer, so that none is issued twice."""

    @property
    def patient_key(self) -> str:
        """The patient's extended public key (BIP-32), or an address."""

    def fields(self) -> Fields:
        """The sealed fields that do not depend on the number, each name once."""

    def terms(self) -> Terms:
        """What the contract may read, beside number, patient and body."""


def numbered_fields(kind: DocumentKind, number: DocumentNumber, check_code: str) -> Fields:
    """The sealed fields that depend on the number."""
    return KINDS[kind].numbered(number, check_code)


@dataclass(frozen=True, slots=True)
class Party:
    """An institution or person named on a document. `type` is 1 for a person, 2 for a unit."""

    code: str
    name: str
    type: int = 2

    def json(self) -> Fields:
        return {"code": self.code, "name": self.name, "type": self.type}


@dataclass(frozen=True, slots=True)
class InvoiceLine:
    """One charge. `quantity` is text because drugs are billed in fractions of a pack."""

    code: str
    name: str
    amount_minor: int
    unit: str = ""
    quantity: str = "1"
    std: str = ""
    remark: str = ""

    def json(self) -> Fields:
        line: Fields = {
            "code": self.code,
            "name": self.name,
            "amount": self.amount_minor,
            "quantity": self.quantity,
        }
        # One by one: a loop over their names takes twice as long, and bills have many lines.
        if self.unit:
            line["unit"] = self.unit
        if self.std:
            line["std"] = self.std
        if self.remark:
            line["remark"] = self.remark
        return line


@dataclass(frozen=True, slots=True)
class Invoice:
    """A fiscal medical e-bill before it has a number. Amounts are in minor units.

    `patient_key` is the patient's extended public key (BIP-32), from which a one-time
    address is derived at issue, or that address itself (0x and 40 hex digits).

    Raises `InvalidDocument` where the amounts do not add up: total = fund + other +
    account + own, and total = the sum of the lines.
    """

    business_key: str
    patient_key: str
    issued_at: datetime
    invoicing_party: Party
    payer_party: Party
    currency: str
    total_minor: int
    own_pay_minor: int
    lines: tuple[InvoiceLine, ...]
    fund_pay_minor: int = 0
    other_pay_minor: int = 0
    account_pay_minor: int = 0
    name: str = "医疗门诊收费票据"
    area_code: str = ""
    medical_type: str = ""
    medical_date: date | None = None
    gender: str = ""
    patient_number: str = ""
    insurance_type: str = ""
    insurance_id: str = ""
    department_name: str = ""
    hospitalization_number: str = ""
    in_hospital_date: date | None = None
    out_hospital_date: date | None = None
    pay_mode: str = ""
    remark: str = ""
    on_hold: bool = False
    """Born held: it may not be used before the hospital releases it (an unpaid stay)."""
    related_invoice: DocumentNumber | None = None
    """On a red-letter bill: the number of the bill that it reverses."""
    prescription: DocumentNumber | None = None
    """The issued prescription that the bill charges for."""
    prescribed_minor: int = 0
    """The claimable part that pays for it, claimable only once it is handed over."""

    kind: ClassVar[DocumentKind] = "Invoice"

    def __post_init__(self) -> None:
        _require(bool(self.business_key), "BizCode", "is empty")
        _require(len(self.lines) > 0, "Item", "has no line")
        parts = (self.fund_pay_minor, self.other_pay_minor, self.account_pay_minor)
        line_amounts = [line.amount_minor for line in self.lines]
        amounts = [self.total_minor, self.own_pay_minor, *parts, *line_amounts]
        _require(all(0 <= amount < 2**53 for amount in amounts), "TotalAmount", "is out of range")
        _require(
            self.total_minor == self.own_pay_minor + sum(parts),
            "TotalAmount",
            "is not fundPayAmount + otherPayAmount + accountPayAmount + ownPayAmount",
        )
        _require(
            self.total_minor == sum(line_amounts),
            "TotalAmount",
            "is not the sum of the lines",
        )
        _require(
            (self.prescription is None) == (self.prescribed_minor == 0),
            "prescribedAmount",
            "needs hiRxno, and hiRxno needs it",
        )
        _require(
            0 <= self.prescribed_minor <= self.claimable_minor,
            "prescribedAmount",
            "is not within ownPayAmount, or on a red-letter bill",
        )

    @property
    def claimable_minor(self) -> int:
        """The patient-borne part, which complementary payers may reimburse; 0 on a red letter."""
        return 0 if self.related_invoice is not None else self.own_pay_minor

    def fields(self) -> Fields:
        fields: Fields = {
            "EInvoiceName": self.name,
            "TotalAmount": self.total_minor,
            "IssueDate": _day(self.issued_at),
            "IssueTime": self.issued_at.isoformat()[11:19],
            "InvoicingParty": self.invoicing_party.json(),
            "PayerParty": self.payer_party.json(),
            "BizCode": self.business_key,
            "CurrencyType": self.currency,
            "fundPayAmount": self.fund_pay_minor,
            "otherPayAmount": self.other_pay_minor,
            "accountPayAmount": self.account_pay_minor,
            "ownPayAmount": self.own_pay_minor,
            "Item": [line.json() for line in self.lines],
        }
        optional: Fields = {
            "SupervisorAreaCode": self.area_code,
            "PayMode": self.pay_mode,
            "Remark": self.remark,
            "gender": self.gender,
            "medicalType": self.medical_type,
            "patientNumber": self.patient_number,
            "medicalDate": _day(self.medical_date),
            "medicalInsuranceType": self.insurance_type,
            "medicalInsuranceID": self.insurance_id,
            "departmentName": self.department_name,
            "hospitalizationNumber": self.hospitalization_number,
            "inHospitalDate": _day(self.in_hospital_date),
            "outHospitalDate": _day(self.out_hospital_date),
        }
        fields.update({key: value for key, value in optional.items() if value})
        if self.related_invoice is not None:
            related_code, related_serial = split_number(self.related_invoice)
            fields["relatedInvoiceCode"] = f"{related_code:08d}"
            fields["relatedInvoiceNumber"] = f"{related_serial:010d}"
        if self.prescription is not None:
            fields["hiRxno"] = f"{self.prescription:018d}"
            fields["prescribedAmount"] = self.prescribed_minor
        return fields

    def terms(self) -> InvoiceTerms:
        return InvoiceTerms(
            self.claimable_minor,
            currency_numeric(self.currency),
            self.on_hold,
            self.prescription or 0,
            self.prescribed_minor,
        )


@dataclass(frozen=True, slots=True)
class RedLetter:
    """A red-letter bill made from the issued bill that it reverses.

    It repeats the original's sealed fields under a number, check code and date of its own, names
    the original, and has nothing to claim. The patient's address is the original's: the reversal
    links the two on chain in any case.
    """

    original: InvoiceHeader
    original_fields: Fields
    issued_at: datetime

    kind: ClassVar[DocumentKind] = "Invoice"

    @property
    def business_key(self) -> str:
        return f"{self.original_fields['BizCode']}/red-letter"

    @property
    def patient_key(self) -> str:
        return self.original.patient

    def fields(self) -> Fields:
        original_code, original_serial = split_number(self.original.number)
        numbered = numbered_fields(self.kind, DocumentNumber(self.original.number), "")
        repeated = {
            name: value for name, value in self.original_fields.items() if name not in numbered
        }
        return repeated | {
            "IssueDate": _day(self.issued_at),
            "IssueTime": self.issued_at.isoformat()[11:19],
            "BizCode": self.business_key,
            "relatedInvoiceCode": f"{original_code:08d}",
            "relatedInvoiceNumber": f"{original_serial:010d}",
        }

    def terms(self) -> InvoiceTerms:
        return InvoiceTerms(0, self.original.currency, on_hold=False)


@dataclass(frozen=True, slots=True)
class PartialRedLetter:
    """A red-letter bill that takes back part of what a patient bore, `amount_minor`.

    `business_key` is the hospital's own number of the refund; `lines` tell what it is for. Raises
    `InvalidDocument` for an amount that is not within the original's. Its header says the amount,
    which the contract compares, and is born on hold, so that it is never of use as a bill.
    """

    business_key: str
    original: InvoiceHeader
    original_fields: Fields
    issued_at: datetime
    amount_minor: int
    lines: tuple[InvoiceLine, ...] = ()

    kind: ClassVar[DocumentKind] = "Invoice"

    def __post_init__(self) -> None:
        _require(bool(self.business_key), "BizCode", "is empty")
        most = self.original.claimable
        _require(0 < self.amount_minor <= most, "ownPayAmount", f"is not from 1 to {most}")
        total = sum(line.amount_minor for line in self.lines)
        _require(not self.lines or total == self.amount_minor, "Item", "adds up to another amount")

    @property
    def patient_key(self) -> str:
        return self.original.patient

    def fields(self) -> Fields:
        whole = RedLetter(self.original, self.original_fields, self.issued_at).fields()
        return whole | {
            "BizCode": self.business_key,
            "TotalAmount": self.amount_minor,
            "fundPayAmount": 0,
            "otherPayAmount": 0,
            "accountPayAmount": 0,
            "ownPayAmount": self.amount_minor,
            "Item": [line.json() for line in self.lines],
        }

    def terms(self) -> InvoiceTerms:
        return InvoiceTerms(self.amount_minor, self.original.currency, on_hold=True)


@dataclass(frozen=True, slots=True)
class PrescriptionLine:
    """One drug. `quantity` counts whole dispensing units (tablets, packs), 1 to 65,535."""

    code: str
    name: str
    quantity: int
    unit: str
    instruction: str = ""
    substitutable: bool = False
    """An equivalent drug may be dispensed in its place."""

    def json(self) -> Fields:
        line: Fields = {"code": self.code, "name": self.name, "quantity": self.quantity}
        line["unit"] = self.unit
        if self.instruction:
            line["instruction"] = self.instruction
        if self.substitutable:
            line["substitutable"] = True
        return line


@dataclass(frozen=True, slots=True)
class Prescription:
    """A prescription before it has a number. `valid_until` is in Unix seconds.

    Raises `InvalidDocument` for no line or more than five, or a quantity or a limit out of range.
    """

    business_key: str
    patient_key: str
    authored_at: datetime
    valid_until: int
    prescriber: Party
    patient: Party
    lines: tuple[PrescriptionLine, ...]
    encounter: str = ""
    reason: str = ""
    on_hold: bool = False
    licence: DocumentNumber | None = None
    """Number of the prescriber's licence."""
    drug_class: int = 0
    """Row of the supervisor's policy table; 0 for drugs without limits of their own."""
    repeats: int = 0
    """Fills allowed after the first (maxReptCnt)."""
    interval_days: int = 0
    """Least days from the delivery of a fill to the acceptance of the next (minInrvDays)."""

    kind: ClassVar[DocumentKind] = "Prescription"

    def __post_init__(self) -> None:
        _require(bool(self.business_key), "hiRxno", "is empty")
        count = len(self.lines)
        _require(0 < count <= MAX_PRESCRIPTION_LINES, "rxDetail", f"has {count} lines, not 1 to 5")
        _require(
            all(0 < line.quantity <= MAX_QUANTITY for line in self.lines),
            "rxDetail",
            "has a quantity out of range",
        )
        is_readable = second_of(self.authored_at.isoformat()) is not None
        _require(is_readable, "authoredOn", "has an offset of seconds")
        authored_at = unix_seconds(self.authored_at)
        _require(authored_at <= self.valid_until < 2**40, "valiEndTime", "is out of range")
        _require(0 <= self.drug_class < 2**16, "drugClass", "is out of range")
        _require(0 <= self.repeats < 2**8, "maxReptCnt", "is out of range")
        _require(0 <= self.interval_days <= MAX_INTERVAL_DAYS, "minInrvDays", "is out of range")

    def fields(self) -> Fields:
        validity = self.valid_until - unix_seconds(self.authored_at)
        fields: Fields = {
            "authoredOn": self.authored_at.isoformat(),
            "valiDays": -(-validity // DAY),
            "valiEndTime": self.valid_until,
            "reptFlag": int(self.repeats > 0),
            "maxReptCnt": self.repeats,
            "minInrvDays": self.interval_days,
            "licence": str(self.licence or 0),
            "drugClass": self.drug_class,
            "prescriber": self.prescriber.json(),
            "patient": self.patient.json(),
            "businessKey": self.business_key,
            "rxDetail": [line.json() for line in self.lines],
        }
        if self.encounter:
            fields["encounter"] = self.encounter
        if self.reason:
            fields["reason"] = self.reason
        return fields

    def terms(self) -> PrescriptionTerms:
        return PrescriptionTerms(
            authored_at=unix_seconds(self.authored_at),
            valid_until=self.valid_until,
            licence=self.licence or 0,
            drug_class=self.drug_class,
            quantities=tuple(line.quantity for line in self.lines),
            substitutable=line_bits([line.substitutable for line in self.lines]),
            repeats=self.repeats,
            interval=self.interval_days * DAY,
            on_hold=self.on_hold,
        )


@dataclass(frozen=True, slots=True)
class Licence:
    """A licence of a practitioner or institution before it has a number. Times are Unix seconds.

    `holder_key` is the holder's extended public key (BIP-32), or an address; `licence_type` a code
    of the authority's own table, 0 to 65535.

    Raises `InvalidDocument` for a validity that ends before it begins, or a type out of range.
    """

    business_key: str
    holder_key: str
    issued_at: datetime
    name: str
    licence_type: int
    code: str
    valid_from: int
    valid_until: int
    issuing_authority: Party
    holder: Party
    scope: str = ""
    place: str = ""
    remark: str = ""

    kind: ClassVar[DocumentKind] = "Licence"

    def __post_init__(self) -> None:
        _require(bool(self.business_key), "businessKey", "is empty")
        _require(0 <= self.licence_type < 2**16, "licenceType", "is out of range")
        _require(
            0 <= self.valid_from <= self.valid_until < 2**40 and self.valid_until > 0,
            "validUntil",
            "is before validFrom, or out of range",
        )

    @property
    def patient_key(self) -> str:
        """The holder's: what a patient's key is to other documents."""
        return self.holder_key

    def fields(self) -> Fields:
        # The holder's parts one by one, so that each can be shown and compared by itself.
        fields: Fields = {
            "licenceName": self.name,
            "licenceType": self.licence_type,
            "licenceCode": self.code,
            "validFrom": self.valid_from,
            "validUntil": self.valid_until,
            "issuedOn": self.issued_at.isoformat(),
            "issuingAuthority": self.issuing_authority.json(),
            "holderName": self.holder.name,
            "holderCode": self.holder.code,
            "holderType": self.holder.type,
            "businessKey": self.business_key,
        }
        optional: Fields = {"scope": self.scope, "place": self.place, "remark": self.remark}
        fields.update({key: value for key, value in optional.items() if value})
        return fields

    def terms(self) -> LicenceTerms:
        return LicenceTerms(self.licence_type, self.valid_from, self.valid_until)


@dataclass(frozen=True, slots=True)
class Record:
    """A consultation or treatment before it has a number.

    `record_type` is a code, 1 to 255: those of `RecordType`, or the hospital's own. `amends` is the
    number of the record that it takes the place of: the newest version of one of the same hospital.

    Raises `InvalidDocument` for a type out of range.
    """

    business_key: str
    patient_key: str
    authored_at: datetime
    record_type: int
    hospital: Party
    practitioner: Party
    patient: Party
    encounter: str = ""
    department: str = ""
    complaint: str = ""
    findings: str = ""
    diagnoses: tuple[str, ...] = ()
    treatment: str = ""
    advice: str = ""
    remark: str = ""
    amends: DocumentNumber | None = None

    kind: ClassVar[DocumentKind] = "Record"

    def __post_init__(self) -> None:
        _require(bool(self.business_key), "businessKey", "is empty")
        _require(0 < self.record_type < 2**8, "recordType", "is out of range")

    def fields(self) -> Fields:
        fields: Fields = {
            "authoredOn": self.authored_at.isoformat(),
            "recordType": int(self.record_type),
            "hospital": self.hospital.json(),
            "practitioner": self.practitioner.json(),
            "patient": self.patient.json(),
            "businessKey": self.business_key,
        }
        optional: Fields = {
            "encounter": self.encounter,
            "departmentName": self.department,
            "complaint": self.complaint,
            "findings": self.findings,
            "diagnoses": list(self.diagnoses),
            "treatment": self.treatment,
            "advice": self.advice,
            "remark": self.remark,
        }
        fields.update({key: value for key, value in optional.items() if value})
        if self.amends is not None:
            fields["amends"] = f"{self.amends:018d}"
        return fields

    def terms(self) -> RecordTerms:
        return RecordTerms(self.amends or 0, int(self.record_type))


SomeDocument = Invoice | Prescription | Licence | Record
"""What arrives from outside; a `RedLetter` is made here."""


def mask_identity(text: str) -> str:
    """An identity number as a bill may show it: the first three and last two characters.

    >>> mask_identity("46902319800101123X")
    '469*************3X'
    """
    if len(text) <= 5:
        return "*" * len(text)
    return text[:3] + "*" * (len(text) - 5) + text[-2:]


def _day(value: date | None) -> str:
    # Not by strftime, which takes ten times as long: bills have many dates.
    return "" if value is None else value.isoformat()[:10].replace("-", "")


def _require(condition: bool, field: str, problem: str) -> None:
    if not condition:
        raise InvalidDocument(field=field, problem=problem)
