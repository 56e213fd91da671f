"""What an auditor asks an index: each answer a fold over its events.

Amounts are in minor units, times in Unix seconds. Segments are counted by each ledger on its own,
so a segment is named with its contract.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from medledger.chain import abi
from medledger.core.kinds import KINDS
from medledger.core.states import Kind
from medledger.index.book import EventIndex, Found, Refused
from medledger.index.decoding import KEYED

LIFE_OF: dict[str, tuple[str, ...]] = {kind: (entry.ledger,) for kind, entry in KINDS.items()}
LIFE_OF["Invoice"] += ("Claims", "Escrow", "Payments")
"""Kind of document to the contracts whose events make its life."""

_ENDS = {
    "ClaimDenied": "denied",
    "ClaimWithdrawn": "withdrawn",
    "PayerWaived": "waived",
    "ClaimBooked": "booked",
    "BookingRevoked": "settled",
    "ClaimArchived": "archived",
}
"""Event to the status that it gives a claim, where its amount does not tell more."""
CLAIM_STATUSES = (
    "locked",
    "expired",
    "withdrawn",
    "denied",
    "waived",
    "settled",
    "booked",
    "archived",
)
REIMBURSING = ("ClaimSettled", "ClaimLockedAndSettled")
DECIDING = (*REIMBURSING, "ClaimDenied", "ClaimWithdrawn", "PayerWaived")
"""After these a lock is none any more."""

LEASE_EVENTS = (
    "PrescriptionAccepted",
    "PrescriptionDispensed",
    "DispensingWithdrawn",
    "PrescriptionHandedOver",
    "ParcelTakenOver",
    "DeliveryFailed",
    "ParcelTakenBack",
    "PrescriptionDelivered",
    "PrescriptionReturned",
    "PrescriptionCancelled",
)
"""What begins a lease, moves its end or its courier, or ends it."""


@dataclass(frozen=True, slots=True)
class Batch:
    """One issue of consecutive numbers."""

    contract: str
    first: int
    count: int
    segment: int
    institution: int
    root: bytes
    time: int
    transaction: bytes


@dataclass(frozen=True, slots=True)
class Segment:
    """Numbers that an institution was allotted, and how far it is.

    `gaps` are the first and last of numbers that are never issued.
    """

    contract: str
    segment: int
    institution: int
    first: int
    last: int
    issued: int = 0
    gaps: tuple[tuple[int, int], ...] = ()
    is_withdrawn: bool = False

    @property
    def left(self) -> int:
        return 0 if self.is_withdrawn else self.last - self.first + 1 - self.issued

    @property
    def is_exhausted(self) -> bool:
        return self.left == 0


@dataclass(frozen=True, slots=True)
class Claim:
    """Where a payer stands with a bill; `status` is one of `CLAIM_STATUSES`.

    `amount_minor` is locked, or reimbursed and not repaid: where it is settled, booked or archived.
    """

    number: int
    payer: int
    status: str
    amount_minor: int
    until: int
    time: int


@dataclass(frozen=True, slots=True)
class Lease:
    """A prescription that nobody has moved for longer than its lease.

    `courier` has the parcel, or 0; `time` is that of the last step.
    """

    number: int
    pharmacy: int
    courier: int
    lease_until: int
    time: int


@dataclass(frozen=True, slots=True)
class Privileged:
    """An act that changes who may do what. `institution` is the key's, None for an unknown key."""

    time: int
    contract: str
    act: str
    by: str
    institution: int | None
    said: dict[str, Any]
    transaction: bytes


@dataclass(slots=True)
class InstitutionRecord:
    """What an institution is and has done; `acts` by the names of events that name it."""

    institution: int
    kinds: int = 0
    valid_until: int = 0
    is_suspended: bool = False
    operators: dict[str, bool] = field(default_factory=dict)
    """Address to whether it may still act."""
    acts: dict[str, int] = field(default_factory=dict)
    last_act: int = 0


def batches(
    index: EventIndex, *, institution: int | None = None, since: int | None = None
) -> Iterator[Batch]:
    """All batches, oldest first."""
    for event in index.events(names=["BatchIssued"], institution=institution, since=since):
        said = event.arguments
        yield Batch(
            event.contract,
            said["first"],
            said["count"],
            said["segment"],
            said["institution"],
            said["root"],
            event.time,
            event.transaction,
        )


def segments(index: EventIndex, *, institution: int | None = None) -> list[Segment]:
    """All segments, with what was issued of them and left out."""
    found: dict[tuple[str, int], Segment] = {}
    reached: dict[tuple[str, int], int] = {}
    for event in index.events(names=["SegmentAllotted", "BatchIssued", "SegmentWithdrawn"]):
        said = event.arguments
        key = (event.contract, said["segment"])
        if event.name == "SegmentAllotted":
            holder, first, last = said["institution"], said["first"], said["last"]
            found[key] = Segment(event.contract, said["segment"], holder, first, last)
            reached[key] = first
            continue
        held, first = found[key], said["first"]
        if event.name == "SegmentWithdrawn":
            gaps = (*held.gaps, (first, said["last"]))
            found[key] = replace(held, gaps=gaps, is_withdrawn=True)
            continue
        gaps = held.gaps if first == reached[key] else (*held.gaps, (reached[key], first - 1))
        found[key] = replace(held, issued=held.issued + said["count"], gaps=gaps)
        reached[key] = first + said["count"]
    return [one for one in found.values() if institution in (None, one.institution)]


def claims(
    index: EventIndex, *, at: int, payer: int | None = None, status: str | None = None
) -> list[Claim]:
    """Where each payer stands with each bill that it ever acted on, at a time."""
    found: dict[tuple[int, int], Claim] = {}
    names = ["ClaimLocked", *REIMBURSING, "ClaimRepaid", *_ENDS]
    for event in index.events(names=names, institution=payer):
        said = event.arguments
        key = (said["number"], said["payer"])
        match event.name:
            case "ClaimLocked":
                found[key] = Claim(*key, "locked", said["terms"][0], said["until"], event.time)
            case "ClaimSettled" | "ClaimLockedAndSettled":
                found[key] = Claim(*key, "settled", reimbursed(event), 0, event.time)
            case "ClaimRepaid":
                left = found[key].amount_minor - said["amount"]
                found[key] = replace(found[key], amount_minor=left, time=event.time)
            case name:
                kept = found[key].amount_minor if name in _BOOKING else 0
                found[key] = Claim(*key, _ENDS[name], kept, 0, event.time)
    standing = [
        replace(claim, status="expired") if claim.status == "locked" and claim.until < at else claim
        for claim in found.values()
    ]
    return [claim for claim in standing if status in (None, claim.status)]


def reimbursed(event: Found) -> int:
    """What a payer decided to pay, minor units, of an event of `REIMBURSING`."""
    said = event.arguments
    decision = said["decision"] if event.name == "ClaimSettled" else said["settlement"][1]
    return int(decision[0])


def overdue(index: EventIndex, *, at: int) -> list[Lease]:
    """Prescriptions that a pharmacy or its courier has, without a step before the lease ended."""
    held: dict[int, Lease] = {}
    for event in index.events(names=LEASE_EVENTS):
        said = event.arguments
        number = said["number"]
        before = held.pop(number, None)
        pharmacy = said.get("pharmacy", before.pharmacy if before else 0)
        if not pharmacy or ends_lease(event):
            continue
        if event.name == "ParcelTakenOver":
            courier, until = said["receiver"], before.lease_until if before else 0
        else:
            handed_over = event.name == "PrescriptionHandedOver"
            courier, until = said["courier"] if handed_over else 0, said["leaseUntil"]
        held[number] = Lease(number, pharmacy, courier, until, event.time)
    return [lease for lease in held.values() if lease.lease_until < at]


def ends_lease(event: Found) -> bool:
    """Whether after this event no pharmacy has the prescription."""
    if event.name == "PrescriptionDelivered":
        return bool(event.arguments["complete"])
    return event.name in ("PrescriptionReturned", "PrescriptionCancelled")


def institution_record(index: EventIndex, institution: int) -> InstitutionRecord:
    """What the events say of an institution."""
    record = InstitutionRecord(institution)
    for event in index.events(institution=institution):
        record.acts[event.name] = record.acts.get(event.name, 0) + 1
        record.last_act = event.time
        _apply(record, event.name, event.arguments)
    return record


def privileged(index: EventIndex, *, since: int = 0) -> Iterator[Privileged]:
    """What supervisors did, and every change of institutions and their keys, oldest first."""
    of = {
        event.arguments["operator"]: event.arguments["institution"]
        for event in index.events(names=["OperatorAdded"])
    }
    supervisors = {
        event.arguments["institution"]
        for event in index.events(names=["InstitutionAccredited"])
        if event.arguments["kinds"] & Kind.SUPERVISOR
    }
    for event in index.events(names=_without_document(), since=since):
        said = event.arguments
        by = said.get("by", said.get("account", ""))
        institution = of.get(by)
        if event.contract == "Institutions" or institution in supervisors:
            yield Privileged(
                event.time, event.contract, event.name, by, institution, said, event.transaction
            )


def authority_events() -> list[str]:
    """The names of events that make the state of institutions and ledgers as such: accreditations,
    keys, pauses and policies. Told by the contracts' ABI."""
    keys = {name for names in KEYED.values() for name in names}
    of_institutions = {
        entry["name"] for entry in abi.artifact("Institutions")["abi"] if entry["type"] == "event"
    }
    return [
        event.name
        for event in abi.events().values()
        if event.name in of_institutions or not keys & {name for name, _, _ in event.arguments}
    ]


def _without_document() -> list[str]:
    """The names of events that somebody made and that are of no document and no batch."""
    return [
        event.name
        for event in abi.events().values()
        if {"by", "account"} & (names := {name for name, _, _ in event.arguments})
        and "number" not in names
        and event.name != "BatchIssued"
    ]


def life(index: EventIndex, number: int, kind: str) -> list[Found]:
    """The whole life of a document, oldest first: its batch and every event since."""
    return index.life(number, LIFE_OF[kind])


def refused_attempts(index: EventIndex, number: int, kind: str) -> list[Refused]:
    """What was tried with a document and refused by a contract of its life, oldest first."""
    among = LIFE_OF[kind]
    return [one for one in index.refused() if one.contract in among and number in one.numbers]


_BOOKING = ("ClaimBooked", "BookingRevoked", "ClaimArchived")


def _apply(record: InstitutionRecord, name: str, said: dict[str, Any]) -> None:
    match name:
        case "InstitutionAccredited":
            record.kinds, record.valid_until = said["kinds"], said["validUntil"]
        case "InstitutionRenewed":
            record.valid_until = said["validUntil"]
        case "InstitutionSuspended" | "InstitutionReinstated":
            record.is_suspended = name == "InstitutionSuspended"
        case "OperatorAdded" | "OperatorRemoved":
            record.operators[said["operator"]] = name == "OperatorAdded"
        case _:
            pass
