"""The JSON of requests and answers.

Requests mirror the dataclasses of `core.documents`, field by field, in camel case; a test compares
them. Nothing is converted on the way: whole numbers are JSON integers, money is in minor units,
times are ISO 8601 text, document numbers are text (they do not fit a JSON number).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from datetime import date, datetime
from enum import IntEnum
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    WithJsonSchema,
)
from pydantic.alias_generators import to_camel

from medledger.chain.sender import Receipt
from medledger.core.documents import Invoice, InvoiceLine, Party, Prescription, PrescriptionLine
from medledger.core.numbers import format_number, parse_number
from medledger.core.states import Hold, Standing, State
from medledger.roles import IssueReceipt, Step

MAX_LINES = 1000


def _text_only(value: object) -> object:
    if not isinstance(value, str):
        raise ValueError("expected ISO 8601 text")
    return value


Day = Annotated[date, Field(strict=False), BeforeValidator(_text_only)]
Moment = Annotated[datetime, Field(strict=False), BeforeValidator(_text_only)]
BusinessKey = Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f]{1,200}$")]
Minor = Annotated[int, Field(ge=0, lt=2**53, description="In the currency's minor unit.")]
Number = Annotated[str, Field(examples=["46060126-0000000017"])]
UnixSeconds = Annotated[int, Field(ge=0, lt=2**40, description="Unix seconds.")]


class _Request(BaseModel):
    model_config = ConfigDict(
        alias_generator=to_camel, validate_by_name=False, extra="forbid", strict=True
    )


class PartyBody(_Request):
    code: str
    name: str
    type: Literal[1, 2] = 2


class InvoiceLineBody(_Request):
    code: str
    name: str
    amount_minor: Minor
    unit: str = ""
    quantity: str = "1"
    std: str = ""
    remark: str = ""


class InvoiceBody(_Request):
    """A bill before it has a number."""

    business_key: BusinessKey
    patient_key: str
    issued_at: Moment
    invoicing_party: PartyBody
    payer_party: PartyBody
    currency: str
    total_minor: Minor
    own_pay_minor: Minor
    lines: Annotated[list[InvoiceLineBody], Field(max_length=MAX_LINES)]
    fund_pay_minor: Minor = 0
    other_pay_minor: Minor = 0
    account_pay_minor: Minor = 0
    name: str = "医疗门诊收费票据"
    area_code: str = ""
    medical_type: str = ""
    medical_date: Day | None = None
    gender: str = ""
    patient_number: str = ""
    insurance_type: str = ""
    insurance_id: str = ""
    department_name: str = ""
    hospitalization_number: str = ""
    in_hospital_date: Day | None = None
    out_hospital_date: Day | None = None
    pay_mode: str = ""
    remark: str = ""
    on_hold: bool = False
    related_invoice: Number | None = None

    def document(self) -> Invoice:
        """The bill; raises `InvalidDocument` or `BadNumber`."""
        related = self.related_invoice
        return Invoice(
            **dict(self)
            | {
                "invoicing_party": Party(**dict(self.invoicing_party)),
                "payer_party": Party(**dict(self.payer_party)),
                "lines": tuple(InvoiceLine(**dict(line)) for line in self.lines),
                "related_invoice": None if related is None else parse_number(related),
            }
        )


class PrescriptionLineBody(_Request):
    code: str
    name: str
    quantity: int
    unit: str
    instruction: str = ""


class PrescriptionBody(_Request):
    """A prescription before it has a number."""

    business_key: BusinessKey
    patient_key: str
    authored_at: Moment
    valid_until: UnixSeconds
    prescriber: PartyBody
    patient: PartyBody
    lines: Annotated[list[PrescriptionLineBody], Field(max_length=MAX_LINES)]
    encounter: str = ""
    reason: str = ""
    on_hold: bool = False

    def document(self) -> Prescription:
        """The prescription; raises `InvalidDocument`."""
        return Prescription(
            **dict(self)
            | {
                "prescriber": Party(**dict(self.prescriber)),
                "patient": Party(**dict(self.patient)),
                "lines": tuple(PrescriptionLine(**dict(line)) for line in self.lines),
            }
        )


ReasonCode = Annotated[int, Field(ge=0, lt=2**16, description="A reason code.")]


class ReversalBody(_Request):
    """Why a bill is reversed, and by which issued red-letter bill: without one, it is made."""

    reason: ReasonCode
    red_letter: Number | None = None


class CancellationBody(_Request):
    """Why a prescription is cancelled."""

    reason: ReasonCode


def _solidity_name(value: IntEnum) -> str:
    """`Standing.RED_LETTER` as the contracts have it: `RedLetter`."""
    return value.name.title().replace("_", "")


def _names_of(kind: type[IntEnum]) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "enum": [_solidity_name(value) for value in kind]})


_by_name = PlainSerializer(_solidity_name, return_type=str)
StandingName = Annotated[Standing, _by_name, _names_of(Standing)]
HoldName = Annotated[Hold, _by_name, _names_of(Hold)]
StateName = Annotated[State, _by_name, _names_of(State)]


class _Answer(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, validate_by_name=True)


class ReceiptBody(_Answer):
    """A document that is on chain."""

    number: Number
    business_key: str
    issued_at: UnixSeconds
    segment: int
    batch_first: Number
    batch_count: int
    transaction: str

    @classmethod
    def of(cls, receipt: IssueReceipt) -> ReceiptBody:
        return cls(
            number=format_number(receipt.number),
            business_key=receipt.business_key,
            issued_at=receipt.head.issued_at,
            segment=receipt.head.segment,
            batch_first=format_number(receipt.head.first),
            batch_count=receipt.head.count,
            transaction="0x" + receipt.transaction.hex(),
        )


class ActBody(_Answer):
    """An act that is on chain."""

    number: Number
    transaction: str
    block: int

    @classmethod
    def of(cls, number: int, receipt: Receipt) -> ActBody:
        return cls(
            number=format_number(number),
            transaction="0x" + receipt.hash.hex(),
            block=receipt.block,
        )


class InvoiceStateBody(_Answer):
    """What the chain says of a bill, as of one block.

    A bill's header is on chain from its first use on. Before that it is not opened, and what only
    its evidence tells is null.
    """

    number: Number
    block: int
    opened: bool
    standing: StandingName
    reversed_by: Number | None
    hold: HoldName
    born_on_hold: bool | None
    currency: Annotated[int | None, Field(description="ISO 4217, numeric.")]
    claimable: Minor | None
    locked: Minor
    reimbursed: Minor
    remainder: Minor | None


class PrescriptionStateBody(_Answer):
    """What the chain says of a prescription, as of one block. See `InvoiceStateBody`."""

    number: Number
    block: int
    opened: bool
    state: StateName
    hold: HoldName
    valid_until: UnixSeconds | None
    remaining: Annotated[
        Sequence[int] | None, Field(description="Owing, by line, always five places.")
    ]
    pharmacy: Annotated[int | None, Field(description="Institution id.")]
    courier: Annotated[int | None, Field(description="Institution id.")]
    lease_until: UnixSeconds | None


class StepBody(_Answer):
    """One event in a document's life."""

    name: str
    time: UnixSeconds
    block: int
    transaction: str
    details: dict[str, Any]

    @classmethod
    def of(cls, step: Step) -> StepBody:
        return cls(
            name=step.name,
            time=step.time,
            block=step.block,
            transaction="0x" + step.transaction.hex(),
            details={
                to_camel(field.name): _plain(field.name, getattr(step.event, field.name))
                for field in fields(step.event)
            },
        )


class VerificationBody(_Answer):
    """Evidence that holds, and the steps that it passed."""

    valid: Literal[True] = True
    kind: Literal["Invoice", "Prescription"]
    number: Number
    issued_at: UnixSeconds
    steps: Sequence[str]


class HealthBody(_Answer):
    status: Literal["ok"] = "ok"


def _plain(name: str, value: Any) -> Any:
    if name in ("number", "first", "red_letter"):
        return format_number(value)
    return "0x" + value.hex() if isinstance(value, bytes) else value
