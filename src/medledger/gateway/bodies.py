"""The JSON of requests about documents, and of answers.

Nothing is converted on the way: whole numbers are JSON integers, money is in minor units, document
numbers are text (they do not fit a JSON number).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from enum import IntEnum
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, WithJsonSchema
from pydantic.alias_generators import to_camel

from medledger.chain.sender import Receipt
from medledger.core.numbers import DocumentKind, format_number
from medledger.core.states import Hold, Standing, State
from medledger.formats.json import Minor, StrictBody, UnixSeconds
from medledger.roles import IssueReceipt, Step

Number = Annotated[str, Field(examples=["46060126-0000000017"])]
ReasonCode = Annotated[int, Field(ge=0, lt=2**16, description="A reason code.")]


class ReversalBody(StrictBody):
    """Why a bill is reversed, and by which issued red-letter bill: without one, it is made."""

    reason: ReasonCode
    red_letter: Number | None = None


class CancellationBody(StrictBody):
    """Why a prescription is cancelled, or should be."""

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
    remaining: Annotated[
        Sequence[int] | None, Field(description="Owing, by line, always five places.")
    ]
    parcel: Annotated[
        Sequence[int] | None, Field(description="Dispensed and not delivered, by line.")
    ]
    repeats_left: Annotated[int | None, Field(description="Fills allowed after this one.")]
    pharmacy: Annotated[int | None, Field(description="Institution id.")]
    courier: Annotated[int | None, Field(description="Institution id.")]
    lease_until: UnixSeconds | None
    delivered_at: UnixSeconds | None
    cancel_requested: bool


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
    kind: DocumentKind
    number: Number
    issued_at: UnixSeconds
    steps: Sequence[str]


class HealthBody(_Answer):
    status: Literal["ok"] = "ok"


def _plain(name: str, value: Any) -> Any:
    if name in ("number", "first", "red_letter"):
        return format_number(value)
    return "0x" + value.hex() if isinstance(value, bytes) else value
