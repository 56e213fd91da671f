"""Rules over an index: what is allowed by the contracts, and yet a person should look at.

Each rule is one function from an index and a time to findings; `RULES` lists them.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from statistics import median
from typing import Any

from medledger.chain import abi
from medledger.core.claims import ClaimTerms
from medledger.core.numbers import format_number
from medledger.index.book import EventIndex, Found, Refused
from medledger.index.questions import (
    DECIDING,
    LEASE_EVENTS,
    REIMBURSING,
    ends_lease,
    reimbursed,
    segments,
)

HOUR, DAY = 3600, 24 * 3600
EXPIRED_LOCKS = 2
"""Locks of one bill by one payer that ended by themselves, from which they are reported."""
KNOWN_ACTS, KNOWN_DAYS = 20, 5
"""Acts and days from which an operator has habits."""
VOLUME_FACTOR, LEAST_VOLUME = 5, 50
"""A day is unusual with so many times the acts of the middle day, and at least so many."""
NEAR_SUSPENSION = DAY
KEY_AGE = 365 * DAY
REFUSED_IN_A_DAY = 3
"""Refused attempts of one key in a day, from which they are graver than a mistake."""
COMMITMENTS = ("paperHash", "explanation")
"""Arguments that commit to something of one document only: a salted hash never comes twice."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to look at. `severity` is high, medium or low; `evidence` are the events, or the
    transactions that were refused."""

    rule: str
    severity: str
    what: str
    evidence: tuple[Found | Refused, ...] = ()

    @property
    def time(self) -> int:
        """When the last event of the evidence happened, Unix seconds."""
        return max((event.time for event in self.evidence), default=0)


Rule = Callable[[EventIndex, int], Iterator[Finding]]


def check(index: EventIndex, *, since: int = 0) -> list[Finding]:
    """What all rules find whose last event is not before `since`, as of the last block read."""
    at = index.last_time()
    return [found for rule in RULES for found in rule(index, at) if found.time >= since]


def broken(mismatches: Iterable[str]) -> list[Finding]:
    """What a rebuild found (`Auditor.rebuild`): invariants that do not hold, storage that says
    otherwise than the events. Never to be explained, so they are told whatever the time."""
    return [Finding("invariant_broken", "high", problem) for problem in mismatches]


def reversed_after_reimbursed(index: EventIndex, _: int) -> Iterator[Finding]:
    """A hospital took back, in whole or in part, what payers had paid for and not got back.

    A part that was taken back is due from payers only where they paid more than it left, and
    nothing of it from a fixed benefit, which is no part of the bill.
    """
    paid: dict[int, list[Found]] = defaultdict(list)
    shares: dict[int, Counter[int]] = defaultdict(Counter)
    fixed: set[tuple[int, int]] = set()
    reversing = ["InvoiceReversed", "InvoicePartlyReversed"]
    for event in index.events(names=["ClaimLocked", *REIMBURSING, "ClaimRepaid", *reversing]):
        said = event.arguments
        number = said["number"]
        if event.name in reversing:
            held = shares[number].items()
            if event.name == "InvoiceReversed":
                due, act = sum(share for _, share in held), "reversed"
            else:
                parts = sum(share for payer, share in held if (number, payer) not in fixed)
                due, act = max(0, parts - said["left"]), "reversed in part"
            if due:
                what = f"bill {format_number(number)} was {act} after payers paid {due} too much"
                yield Finding("reversed_after_reimbursed", "high", what, (*paid[number], event))
            continue
        payer = said["payer"]
        if (terms := _terms_of(event)) is not None:
            (fixed.add if terms.fixed_benefit else fixed.discard)((number, payer))
        if event.name in REIMBURSING:
            paid[number].append(event)
            shares[number][payer] += reimbursed(event)
        elif event.name == "ClaimRepaid":
            shares[number][payer] -= said["amount"]


def endorsements_missing(index: EventIndex, _: int) -> Iterator[Finding]:
    """A batch of an endorsed segment that no supervisor signed: the contracts forbid it."""
    demanding: set[tuple[str, int]] = set()
    endorsed: set[tuple[str, int]] = set()
    issued: dict[tuple[str, int], Found] = {}
    for event in index.events(names=["SegmentAllotted", "BatchIssued", "BatchEndorsed"]):
        said = event.arguments
        segment = (event.contract, said["segment"])
        if event.name == "SegmentAllotted":
            if said["endorsed"]:
                demanding.add(segment)
        elif event.name == "BatchEndorsed":
            endorsed.add((event.contract, said["first"]))
        elif segment in demanding:
            issued[event.contract, said["first"]] = event
    for (contract, first), event in issued.items():
        if (contract, first) in endorsed:
            continue
        what = f"the batch from {format_number(first)} of {contract} was not endorsed"
        yield Finding("endorsements_missing", "high", what, (event,))


def same_commitment_twice(index: EventIndex, _: int) -> Iterator[Finding]:
    """One explanation of benefit, or one paper copy, stands for two documents."""
    seen: dict[tuple[str, bytes], Found] = {}
    committing = {e.name for e in abi.events().values() if abi.members(e.name, COMMITMENTS)}
    for event in index.events(names=committing):
        for name, path in abi.members(event.name, COMMITMENTS):
            commitment: Any = tuple(event.arguments.values())
            for at in path:
                commitment = commitment[at]
            if not any(commitment):
                continue
            before = seen.setdefault((name, commitment), event)
            numbers = [e.arguments["number"] for e in (before, event)]
            if numbers[0] != numbers[1]:
                word = "paper copy" if name == "paperHash" else name
                shown = " and ".join(map(format_number, numbers))
                what = f"the bills {shown} have the same {word}"
                yield Finding("same_commitment_twice", "medium", what, (before, event))


def refused_attempts(index: EventIndex, _: int) -> Iterator[Finding]:
    """A key sent what the contracts refused: medledger asks first, and does not send such."""
    of = {
        event.arguments["operator"]: event.arguments["institution"]
        for event in index.events(names=["OperatorAdded"])
    }
    days: dict[tuple[str, int], list[Refused]] = defaultdict(list)
    for attempt in index.refused():
        days[attempt.sender, attempt.time // DAY].append(attempt)
    for (sender, _day), attempts in days.items():
        who = f"institution {of[sender]}" if sender in of else "a stranger"
        tried = ", ".join(sorted({f"{a.contract}.{a.function or '?'}" for a in attempts}))
        what = f"{sender} of {who} was refused {len(attempts)} times in a day: {tried}"
        severity = "medium" if len(attempts) >= REFUSED_IN_A_DAY else "low"
        yield Finding("refused_attempts", severity, what, tuple(attempts))


def locks_expire(index: EventIndex, at: int) -> Iterator[Finding]:
    """A payer locks a bill again and again, and never decides."""
    opened: dict[tuple[int, int], Found] = {}
    expired: dict[tuple[int, int], list[Found]] = defaultdict(list)
    for event in index.events(names=["ClaimLocked", *DECIDING]):
        key = (event.arguments["number"], event.arguments["payer"])
        before = opened.pop(key, None)
        if before is not None and before.arguments["until"] < event.time:
            expired[key].append(before)
        if event.name == "ClaimLocked":
            opened[key] = event
    for key, event in opened.items():
        if event.arguments["until"] < at:
            expired[key].append(event)
    for (number, payer), locks in expired.items():
        if len(locks) >= EXPIRED_LOCKS:
            what = f"payer {payer} let {len(locks)} locks of bill {format_number(number)} expire"
            yield Finding("locks_expire", "medium", what, tuple(locks))


def unusual_hours(index: EventIndex, _: int) -> Iterator[Finding]:
    """An operator acted at an hour of the day (UTC) at which it acted on no other day."""
    for operator, acts in _by_operator(index).items():
        days: dict[int, set[int]] = defaultdict(set)
        for act in acts:
            days[act.time % DAY // HOUR].add(act.time // DAY)
        if len(acts) < KNOWN_ACTS or len({act.time // DAY for act in acts}) < KNOWN_DAYS:
            continue
        rare = [act for act in acts if len(days[act.time % DAY // HOUR]) == 1]
        if rare and len(rare) * 10 <= len(acts):
            what = f"operator {operator} acted {len(rare)} times at an hour at which it never does"
            yield Finding("unusual_hours", "low", what, tuple(rare))


def unusual_volume(index: EventIndex, _: int) -> Iterator[Finding]:
    """An operator acted far more often on one day than on its middle day."""
    for operator, acts in _by_operator(index).items():
        days = Counter(act.time // DAY for act in acts)
        usual = median(days.values())
        for day, count in days.items():
            if count >= LEAST_VOLUME and count > VOLUME_FACTOR * usual:
                what = f"operator {operator} acted {count} times in a day; {usual:g} is usual"
                own = [act for act in acts if act.time // DAY == day]
                yield Finding("unusual_volume", "medium", what, (own[0], own[-1]))


def leases_taken_over(index: EventIndex, _: int) -> Iterator[Finding]:
    """A pharmacy let its lease end, and another one took the prescription."""
    held: dict[int, Found] = {}
    parcels: dict[int, Found] = {}
    for event in index.events(names=LEASE_EVENTS):
        number = event.arguments["number"]
        if event.name == "PrescriptionDispensed":
            parcels[number] = event
        elif event.name in ("PrescriptionDelivered", "DispensingWithdrawn"):
            parcels.pop(number, None)
        if ends_lease(event):
            held.pop(number, None)
        if event.name != "PrescriptionAccepted":
            continue
        before, parcel = held.get(number), parcels.pop(number, None)
        held[number] = event
        if before is None or before.arguments["pharmacy"] == event.arguments["pharmacy"]:
            continue
        first, second = before.arguments["pharmacy"], event.arguments["pharmacy"]
        what = (
            f"pharmacy {second} took prescription {format_number(number)} over from {first}, "
            "whose lease had ended"
        )
        if parcel is None:
            yield Finding("leases_taken_over", "low", what, (before, event))
        else:
            what += " with a parcel that the patient never confirmed"
            yield Finding("leases_taken_over", "medium", what, (before, parcel, event))


def same_root_twice(index: EventIndex, _: int) -> Iterator[Finding]:
    """The same documents were issued under two ranges of numbers."""
    seen: dict[bytes, Found] = {}
    for event in index.events(names=["BatchIssued"]):
        before = seen.setdefault(event.arguments["root"], event)
        if before is not event:
            numbers = [format_number(e.arguments["first"]) for e in (before, event)]
            what = f"the batches from {numbers[0]} and {numbers[1]} have the same root"
            yield Finding("same_root_twice", "high", what, (before, event))


def segments_with_gaps(index: EventIndex, _: int) -> Iterator[Finding]:
    """Numbers were left out, which the contracts forbid: code or node is not what it should be."""
    for segment in segments(index):
        for first, last in segment.gaps:
            what = (
                f"segment {segment.segment} of {segment.contract} lacks {format_number(first)} "
                f"to {format_number(last)}"
            )
            after = index.events(names=["BatchIssued"], number=last + 1)
            yield Finding("segments_with_gaps", "high", what, tuple(after))


def acting_near_suspension(index: EventIndex, _: int) -> Iterator[Finding]:
    """An institution acted within a day before it was suspended."""
    acts: dict[int, list[Found]] = defaultdict(list)
    of: dict[str, int] = {}
    for event in index.events():
        said = event.arguments
        if event.name == "OperatorAdded":
            of[said["operator"]] = said["institution"]
        if event.name == "InstitutionSuspended":
            institution = said["institution"]
            near = [act for act in acts[institution] if act.time >= event.time - NEAR_SUSPENSION]
            if near:
                acted = f"institution {institution} acted {len(near)} times"
                what = f"{acted} in the day before its suspension"
                yield Finding("acting_near_suspension", "medium", what, (*near, event))
        elif (actor := of.get(said.get("by", ""))) is not None:
            kept = acts[actor]
            kept.append(event)
            # Older acts are near nothing any more.
            while kept[0].time < event.time - NEAR_SUSPENSION:
                kept.pop(0)


def keys_rotated_late(index: EventIndex, at: int) -> Iterator[Finding]:
    """A key has been in use for longer than a year."""
    added: dict[str, Found] = {}
    for event in index.events(names=["OperatorAdded", "OperatorRemoved"]):
        operator = event.arguments["operator"]
        if event.name == "OperatorAdded":
            added[operator] = event
        else:
            added.pop(operator, None)
    for operator, event in added.items():
        if event.time + KEY_AGE < at:
            days = (at - event.time) // DAY
            institution = event.arguments["institution"]
            what = f"key {operator} of institution {institution} is {days} days old"
            yield Finding("keys_rotated_late", "medium", what, (event,))


RULES: tuple[Rule, ...] = (
    reversed_after_reimbursed,
    same_root_twice,
    segments_with_gaps,
    endorsements_missing,
    same_commitment_twice,
    locks_expire,
    unusual_volume,
    acting_near_suspension,
    keys_rotated_late,
    refused_attempts,
    unusual_hours,
    leases_taken_over,
)
"""From the gravest on."""


def _terms_of(event: Found) -> ClaimTerms | None:
    """What a patient signed for, where the event tells."""
    if event.name == "ClaimLocked":
        return ClaimTerms(*event.arguments["terms"])
    if event.name == "ClaimLockedAndSettled":
        return ClaimTerms(*event.arguments["settlement"][0])
    return None


def _by_operator(index: EventIndex) -> dict[str, list[Found]]:
    """Every operator's acts, oldest first."""
    found: dict[str, list[Found]] = defaultdict(list)
    for event in index.events():
        if "by" in event.arguments:
            found[event.arguments["by"]].append(event)
    return found
