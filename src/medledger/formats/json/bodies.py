"""What the JSON of a document may hold.

The models mirror the dataclasses of `core.documents`, field by field, in camel case; a test
compares them. Nothing is converted on the way: whole numbers are JSON integers, money is in minor
units, times are ISO 8601 text, document numbers are text (they do not fit a JSON number).
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

from medledger.core.numbers import parse_number

MAX_LINES = 1000


def _text_only(value: object) -> object:
    if not isinstance(value, str):
        raise PydanticCustomError("iso_text", "expected ISO 8601 text")
    return value


Day = Annotated[date, Field(strict=False), BeforeValidator(_text_only)]
Moment = Annotated[datetime, Field(strict=False), BeforeValidator(_text_only)]
BusinessKey = Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f]*$", min_length=1, max_length=200)]
Minor = Annotated[int, Field(ge=0, lt=2**53, description="In the currency's minor unit.")]
Number = Annotated[str, Field(examples=["46060126-0000000017"]), AfterValidator(parse_number)]
"""Raises `BadNumber`."""
UnixSeconds = Annotated[int, Field(ge=0, lt=2**40, description="Unix seconds.")]
# Not strict: JSON has lists, and documents have tuples.
Some = Field(strict=False, max_length=MAX_LINES)


class StrictBody(BaseModel):
    """JSON in which an unknown member or a value of another type is refused."""

    model_config = ConfigDict(
        alias_generator=to_camel, validate_by_name=False, extra="forbid", strict=True
    )


class PartyBody(StrictBody):
    code: str
    name: str
    type: Literal[1, 2] = 2


class InvoiceLineBody(StrictBody):
    code: str
    name: str
    amount_minor: Minor
    unit: str = ""
    quantity: str = "1"
    std: str = ""
    remark: str = ""


class InvoiceBody(StrictBody):
    """A bill before it has a number."""

    business_key: BusinessKey
    patient_key: str
    issued_at: Moment
    invoicing_party: PartyBody
    payer_party: PartyBody
    currency: str
    total_minor: Minor
    own_pay_minor: Minor
    lines: Annotated[tuple[InvoiceLineBody, ...], Some]
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


class PrescriptionLineBody(StrictBody):
    code: str
    name: str
    quantity: int
    unit: str
    instruction: str = ""
    substitutable: bool = False


class PrescriptionBody(StrictBody):
    """A prescription before it has a number."""

    business_key: BusinessKey
    patient_key: str
    authored_at: Moment
    valid_until: UnixSeconds
    prescriber: PartyBody
    patient: PartyBody
    lines: Annotated[tuple[PrescriptionLineBody, ...], Some]
    encounter: str = ""
    reason: str = ""
    on_hold: bool = False
    licence: Number | None = None
    drug_class: int = 0
    repeats: int = 0
    interval_days: int = 0


class LicenceBody(StrictBody):
    """A licence before it has a number."""

    business_key: BusinessKey
    holder_key: str
    issued_at: Moment
    name: str
    licence_type: Annotated[int, Field(ge=0, lt=2**16)]
    code: str
    valid_from: UnixSeconds
    valid_until: UnixSeconds
    issuing_authority: PartyBody
    holder: PartyBody
    scope: str = ""
    place: str = ""
    remark: str = ""


class RecordBody(StrictBody):
    """A consultation or treatment before it has a number."""

    business_key: BusinessKey
    patient_key: str
    authored_at: Moment
    record_type: Annotated[int, Field(gt=0, lt=2**8)]
    hospital: PartyBody
    practitioner: PartyBody
    patient: PartyBody
    encounter: str = ""
    department: str = ""
    complaint: str = ""
    findings: str = ""
    diagnoses: Annotated[tuple[str, ...], Some] = ()
    treatment: str = ""
    advice: str = ""
    remark: str = ""
    amends: Number | None = None
