"""The past, replayed: what the contracts held at a time, by the events of an index until then.

    held = document_at(index, ledgers, number, "Invoice", at)
    held.entries["invoices"], held.claims

There is one `Replay`. For one document only the events that can touch it are applied: its own, and
those that name no document, such as accreditations, segments and pauses.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from heapq import merge
from typing import Any

from medledger.chain import bindings as on_chain
from medledger.chain.bindings import LedgerEvent
from medledger.chain.deployment import Deployed, Ledgers
from medledger.chain.events import Logged
from medledger.chain.replay import LedgerState, Replay
from medledger.core.hashing import TreeHead
from medledger.core.kinds import KINDS
from medledger.core.numbers import DocumentKind, format_number
from medledger.core.states import Hold, Status
from medledger.errors import IndexBehind, NotFound
from medledger.index.book import EventIndex, Found
from medledger.index.questions import LIFE_OF

SEGMENT_EVENTS = ("SegmentAllotted", "SegmentWithdrawn")
"""Events that name the first number of a segment, and are of no document."""


@dataclass(frozen=True, slots=True)
class Part:
    """What is held under a document's number and more keys; `over` are its times that are past."""

    keys: tuple[int, ...]
    value: Any
    over: tuple[str, ...]

    @property
    def is_expired(self) -> bool:
        """Whether it is a lock whose time is over: storage still says locked."""
        return bool(self.over) and getattr(self.value, "status", None) == Status.LOCKED

    def is_live(self, name: str) -> bool:
        """Whether a time in it still bounds something: the `until` of a decided claim does not."""
        return name != "until" or getattr(self.value, "status", None) in (None, Status.LOCKED)


@dataclass(frozen=True, slots=True)
class Held:
    """What the contracts held of a document at a time.

    `parts` by the name that the rebuilt state gives them: an invoice's own entry, its claims by
    payer, a record's grants by institution and purpose, and so on. `usage` is (locked, reimbursed)
    of a bill, minor units; `unknown` counts the events that this version cannot apply.
    """

    number: int
    kind: DocumentKind
    at: int
    batch: TreeHead
    institution: int
    is_suspended: bool
    endorsed_by: int | None
    hold: Hold
    is_paused: bool
    parts: Mapping[str, tuple[Part, ...]]
    usage: tuple[int, int] | None
    is_valid: bool | None
    unknown: int


def replay(ledgers: Ledgers, events: Iterable[Found]) -> tuple[Replay, int, list[str]]:
    """The state that these events make, how many they are, and those that could not be applied."""
    state = Replay(ledgers)
    count = 0
    problems = []
    for found in events:
        place = f"log {found.log_index} of block {found.block}"
        try:
            if apply(state, found, ledgers.manifest.contracts) is not None:
                count += 1
                continue
            problems.append(f"{place} is an event that this version does not know")
        except KeyError as error:
            problems.append(f"{place} is {found.name} of what no event made: {error}")
    return state, count, problems


def apply(state: Replay, found: Found, contracts: Mapping[str, Deployed]) -> LedgerEvent | None:
    """Applies an event of an index to a state; None for one that this version does not know."""
    if not found.name:
        return None
    event = on_chain.EVENTS[found.name](found.arguments)
    address = contracts[found.contract].address
    logged = Logged(event, address, found.block, found.transaction, found.log_index)
    state.apply(logged, found.time)
    return event


def document_at(
    index: EventIndex, ledgers: Ledgers, number: int, kind: DocumentKind, at: int
) -> Held:
    """What the contracts held of a document at a time, Unix seconds.

    Raises `IndexBehind` where the index ends before that time, `NotFound` where the document was
    not issued by then.
    """
    if at > index.last_time():
        raise IndexBehind(until=index.last_time(), at=at)
    state, _, problems = replay(ledgers, _events_of(index, number, kind, at))
    ledger = state.ledgers[ledgers.document_ledger(KINDS[kind].ledger).address.lower()]
    batch = next((b for b in ledger.batches.values() if _is_in(number, b)), None)
    if batch is None:
        raise NotFound(what=f"{kind.lower()} {format_number(number)}", where="the chain by then")
    institution = ledger.segments[batch.segment].institution
    return Held(
        number,
        kind,
        at,
        batch,
        institution,
        state.institutions[institution].suspended,
        ledger.endorsements.get(batch.first),
        _hold(ledger, state, number),
        ledger.paused,
        _parts(state, number, at),
        state.usage(number, at) if kind == "Invoice" else None,
        _validity(state, number, at) if kind == "Licence" else None,
        len(problems),
    )


def _events_of(index: EventIndex, number: int, kind: DocumentKind, at: int) -> Iterator[Found]:
    """The events that can touch a document, until a time, in chain order."""
    own = [event for event in index.life(number, LIFE_OF[kind]) if event.time <= at]
    around = index.events(until=at, names_number=False)
    segments = index.events(until=at, names=SEGMENT_EVENTS)
    return merge(own, around, segments, key=lambda event: (event.block, event.log_index))


def _is_in(number: int, batch: TreeHead) -> bool:
    return batch.first <= number < batch.first + batch.count


def _hold(ledger: LedgerState, state: Replay, number: int) -> Hold:
    """Held or released, also by the opened header; as issued where nobody has opened it."""
    said = ledger.holds.get(number, Hold.AS_ISSUED)
    if said != Hold.AS_ISSUED:
        return said
    for held in vars(state).values():
        entry = held.get(number) if isinstance(held, dict) else None
        born_on_hold = getattr(entry, "born_on_hold", None)
        if born_on_hold is not None and int(getattr(entry, "patient", "0x0"), 16):
            return Hold.HELD if born_on_hold else Hold.RELEASED
    return said


def _parts(state: Replay, number: int, at: int) -> dict[str, tuple[Part, ...]]:
    """All that the rebuilt state holds under a number, whatever the version's contracts are."""
    found = {}
    for name, held in vars(state).items():
        if not isinstance(held, dict):
            continue
        parts = [
            Part(key[1:] if isinstance(key, tuple) else (), value, _over(value, at))
            for key, value in held.items()
            if number in (key, key[0] if isinstance(key, tuple) else None)
        ]
        if parts:
            found[name] = tuple(parts)
    return found


def _over(value: object, at: int) -> tuple[str, ...]:
    """The names of the times in an entry, `until` and the like, that are past."""
    if not hasattr(value, "__dataclass_fields__"):
        return ()
    named = [item.name for item in fields(value) if item.name.endswith("until")]  # type: ignore[arg-type]
    return tuple(name for name in named if 0 < getattr(value, name) < at)


def _validity(state: Replay, number: int, at: int) -> bool | None:
    """Whether a licence was valid at the time; None where nobody had opened it."""
    entry = state.licences.get(number)
    if entry is None or not entry.valid_until:
        return None
    within = entry.valid_from <= at <= entry.valid_until
    broken = any(gap.since <= at <= gap.until for gap in state.interruptions.get(number, []))
    return within and not broken and not entry.suspended_from and not entry.revoked_from
