"""Bills and prescriptions one after the other, each with all that happened to it.

    for bill in bills(index, ledgers):
        print(bill.number, bill.standing, bill.reimbursed_minor, bill.claims)

They come in order of their numbers, so that memory stays flat over any number of them. States are
those of `Replay`, which is applied to the events of one document at a time; only documents that an
event names are told. Amounts are in minor units, times in Unix seconds, None for what never was.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from medledger.chain import bindings as on_chain
from medledger.chain.bindings import InvoiceEntry, LedgerEvent, PrescriptionEntry
from medledger.chain.deployment import Ledgers
from medledger.chain.replay import LedgerState, Replay
from medledger.core.numbers import DocumentKind
from medledger.core.states import Hold, Standing, State, Status
from medledger.index.book import EventIndex, Found
from medledger.index.history import apply
from medledger.index.questions import LIFE_OF

EXPIRED = "expired"
"""What a lock is called whose time is over; the contracts go on saying `LOCKED`."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Origin:
    """The batch that a document was issued in."""

    first: int
    segment: int
    institution: int
    time: int


@dataclass(frozen=True, slots=True)
class ClaimLife:
    """Where a payer stands with a bill. `status` is a name of `Status`, or `EXPIRED`."""

    payer: int
    status: str
    locked_minor: int
    reimbursed_minor: int
    locked_until: int | None
    locked_at: int | None
    settled_at: int | None
    since: int
    """When it came to be as it is."""
    is_fixed_benefit: bool
    """Whether it counts against nobody's share of the bill."""
    is_paid: bool
    recoup_due_minor: int
    """What the payer wants back and has not got."""
    reason: int | None
    """The code that the act gave which made it so."""


@dataclass(frozen=True, slots=True)
class BillLife:
    """A bill that somebody has used. What only an opened bill tells is None before."""

    number: int
    origin: Origin | None
    standing: Standing
    is_on_hold: bool | None
    opened_at: int | None
    currency: int | None
    claimable_minor: int | None
    partly_reversed_minor: int
    locked_minor: int
    reimbursed_minor: int
    reversed_at: int | None
    reversed_by: int | None
    original: int | None
    claims: tuple[ClaimLife, ...]
    events: int
    last_event_at: int


@dataclass(frozen=True, slots=True)
class PrescriptionLife:
    """A prescription that somebody has used; `reached` says when it first came to each state."""

    number: int
    origin: Origin | None
    is_on_hold: bool | None
    entry: PrescriptionEntry | None
    """What the ledger holds; None before it is opened."""
    opened: on_chain.PrescriptionOpened | None
    reached: Mapping[State, int]
    acceptances: int
    events: int
    last_event_at: int


def bills(index: EventIndex, ledgers: Ledgers) -> Iterator[BillLife]:
    """Every bill that an event names, in order of numbers."""
    at = index.last_time()
    for number, origin, told in _documents(index, "Invoice"):
        yield _bill(number, origin, told, ledgers, at)


def prescriptions(index: EventIndex, ledgers: Ledgers) -> Iterator[PrescriptionLife]:
    """Every prescription that an event names, in order of numbers."""
    policies = common_state(index, ledgers).policies
    for number, origin, told in _documents(index, "Prescription"):
        state = _empty(ledgers)
        state.policies = policies
        yield _prescription(number, origin, told, ledgers, state)


def common_state(index: EventIndex, ledgers: Ledgers) -> Replay:
    """The state of what is no document's: institutions, their keys, policies."""
    of_documents = {name for names in LIFE_OF.values() for name in names}
    others = [name for name in ledgers.manifest.contracts if name not in of_documents]
    state = Replay(ledgers)
    for found in index.events(contracts=others):
        apply(state, found, ledgers.manifest.contracts)
    return state


@dataclass(slots=True)
class _Watched(Generic[T]):
    """When something first came to each of its states, and when and how it came to the last."""

    first: dict[T, int] = field(default_factory=dict)
    last: T | None = None
    since: int = 0
    by: LedgerEvent | None = None

    def see(self, state: T, found: Found, event: LedgerEvent | None) -> None:
        if state != self.last:
            self.first.setdefault(state, found.time)
            self.last, self.since, self.by = state, found.time, event


def _empty(ledgers: Ledgers) -> Replay:
    state = Replay(ledgers)
    # A payer's deposit is no document's: what a bill is paid from is not in the bill's life.
    state.deposits = defaultdict(int)
    return state


def _documents(
    index: EventIndex, kind: DocumentKind
) -> Iterator[tuple[int, Origin | None, list[Found]]]:
    """Number, batch and own events of each document that an event names."""
    origin, end = None, 0
    for number, group in index.by_number(LIFE_OF[kind]):
        own = []
        for found in group:
            if "first" not in found.arguments:
                own.append(found)
            elif found.name == "BatchIssued":
                said = found.arguments
                end = number + said["count"]
                origin = Origin(number, said["segment"], said["institution"], found.time)
        if own:
            yield number, origin if number < end else None, own


def _bill(
    number: int, origin: Origin | None, told: list[Found], ledgers: Ledgers, at: int
) -> BillLife:
    state = _empty(ledgers)
    standings = _Watched[Standing]()
    payers: dict[int, _Watched[Status]] = defaultdict(_Watched)
    opened_at = None
    for found in told:
        event = apply(state, found, ledgers.manifest.contracts)
        if isinstance(event, on_chain.InvoiceOpened):
            opened_at = found.time
        if number in state.invoices:
            standings.see(state.invoices[number].standing, found, event)
        for (bill, payer), claim in state.claims.items():
            if bill == number:
                payers[payer].see(claim.status, found, event)
    # A bill may be reversed that nobody has opened: its entry says the standing alone.
    opened = None if opened_at is None else state.invoices[number]
    locked, reimbursed = state.usage(number, at)
    return BillLife(
        number,
        origin,
        standings.last or Standing.REGULAR,
        _is_on_hold(state.bills, number, opened),
        opened_at,
        None if opened is None else opened.currency,
        state.claimable.get(number) if opened is None else opened.claimable,
        state.reversed_parts.get(number, 0),
        locked,
        reimbursed,
        standings.first.get(Standing.REVERSED),
        state.reversed_by.get(number),
        state.original_of.get(number),
        tuple(_claim(state, number, payer, payers[payer], at) for payer in sorted(payers)),
        len(told),
        told[-1].time,
    )


def _claim(state: Replay, number: int, payer: int, watched: _Watched[Status], at: int) -> ClaimLife:
    entry = state.claims[number, payer]
    is_locked = entry.status == Status.LOCKED
    is_over = is_locked and entry.until < at
    settled_at = watched.first.get(Status.SETTLED)
    return ClaimLife(
        payer,
        EXPIRED if is_over else str(entry.status),
        entry.amount if is_locked and not is_over else 0,
        entry.amount if settled_at is not None and not is_locked else 0,
        entry.until if is_locked else None,
        watched.first.get(Status.LOCKED),
        settled_at,
        entry.until if is_over else watched.since,
        entry.fixed_benefit,
        entry.is_paid,
        state.recouped.get((number, payer), 0),
        _reason(watched.by),
    )


def _reason(event: LedgerEvent | None) -> int | None:
    match event:
        case on_chain.ClaimSettled(decision=decision):
            return decision.reason
        case on_chain.ClaimLockedAndSettled(settlement=settlement):
            return settlement.decision.reason
        case _:
            return getattr(event, "reason", None)


def _prescription(
    number: int, origin: Origin | None, told: list[Found], ledgers: Ledgers, state: Replay
) -> PrescriptionLife:
    states = _Watched[State]()
    acceptances = 0
    for found in told:
        event = apply(state, found, ledgers.manifest.contracts)
        acceptances += isinstance(event, on_chain.PrescriptionAccepted)
        if number in state.prescriptions:
            states.see(state.prescriptions[number].state, found, event)
    entry = state.prescriptions.get(number)
    return PrescriptionLife(
        number,
        origin,
        _is_on_hold(state.orders, number, entry if number in state.opened else None),
        entry,
        state.opened.get(number),
        states.first,
        acceptances,
        len(told),
        told[-1].time,
    )


def _is_on_hold(
    ledger: LedgerState, number: int, opened: InvoiceEntry | PrescriptionEntry | None
) -> bool | None:
    """None where only its header, which nobody has opened, would tell."""
    hold = ledger.holds.get(number, Hold.AS_ISSUED)
    if hold != Hold.AS_ISSUED:
        return hold == Hold.HELD
    return None if opened is None else opened.born_on_hold
