"""What an index says in a few numbers: the base of the summary and of the report.

    found = figures(index, ledgers)
    print(found.issued["Invoices"], found.took.median)

One walk over the batches, the bills and the prescriptions, in flat memory. States are those of the
export, times are Unix seconds, amounts minor units; amounts of two currencies are never added.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta

from medledger.chain.deployment import Ledgers
from medledger.core.kinds import KINDS
from medledger.core.states import State, Status
from medledger.index.book import EventIndex
from medledger.index.lives import bills, common_state, prescriptions
from medledger.index.questions import batches
from medledger.index.tables import currency_text

HOUR, DAY = 3600, 24 * 3600
LIMITS = (
    ("under a minute", 60),
    ("under an hour", HOUR),
    ("under a day", DAY),
    ("under 3 days", 3 * DAY),
    ("under 7 days", 7 * DAY),
    ("under 12 days", 12 * DAY),
    ("under 30 days", 30 * DAY),
    ("under 90 days", 90 * DAY),
)
LONGEST = "90 days or more"
EXACT = 1_000
"""Durations are counted with three digits at least: flat memory, a tenth of a percent off."""

FUNNEL = (
    ("accepted", State.ACCEPTED),
    ("dispensed", State.DISPENSED),
    ("with a courier", State.IN_TRANSIT),
    ("delivered", State.DELIVERED),
    ("cancelled", State.CANCELLED),
)
"""What prescriptions have come to, beside `issued`."""

WORDS = {
    "Invoices": "bills",
    "Prescriptions": "prescriptions",
    "Licences": "licences",
    "Records": "records",
}
"""What a ledger's documents are called."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Of what chain and contracts, and as of which block."""

    chain_id: int
    genesis_hash: str
    contracts: Mapping[str, str]
    first_block: int
    last_block: int
    last_block_hash: bytes | None
    last_block_at: int
    """0 before the first block."""


@dataclass(slots=True)
class ClaimSum:
    """A payer's claims in one status and currency, which is empty where no event says it."""

    payer: int
    status: str
    currency: str
    claims: int = 0
    locked_minor: int = 0
    reimbursed_minor: int = 0


@dataclass(slots=True)
class Durations:
    """How long things took: counts by `LIMITS`, and the middle; None where nothing was counted."""

    count: int = 0
    by_limit: dict[str, int] = field(
        default_factory=lambda: {**dict.fromkeys((label for label, _ in LIMITS), 0), LONGEST: 0}
    )
    median: int | None = None
    nine_of_ten: int | None = None


@dataclass(slots=True)
class Figures:
    """All of it. `issued` and `days` count documents by ledger; days are counted from 1970."""

    identity: Identity
    events: int
    batches: int = 0
    institutions: int = 0
    issued: dict[str, int] = field(default_factory=dict)
    days: dict[int, dict[str, int]] = field(default_factory=dict)
    used_bills: int = 0
    standings: dict[str, int] = field(default_factory=dict)
    claims: list[ClaimSum] = field(default_factory=list)
    took: Durations = field(default_factory=Durations)
    """From a bill's issue to each reimbursement of it."""
    prescriptions: dict[str, int] = field(default_factory=dict)
    """How many came to `issued`, and to each state of `FUNNEL`."""


def figures(index: EventIndex, ledgers: Ledgers) -> Figures:
    """The figures of an index as of its last block."""
    place = index.place()
    past = index.as_of(place.next_block - 1)
    manifest = ledgers.manifest
    identity = Identity(
        manifest.chain_id,
        manifest.genesis_hash,
        {name: contract.address for name, contract in manifest.contracts.items()},
        manifest.block,
        place.next_block - 1,
        place.last_hash,
        past.last_time(),
    )
    found = Figures(identity, past.count())
    found.institutions = len(common_state(past, ledgers).institutions)
    _count_batches(found, past)
    _count_bills(found, past, ledgers)
    _count_prescriptions(found, past, ledgers)
    return found


def _count_batches(found: Figures, index: EventIndex) -> None:
    found.issued = {entry.ledger: 0 for entry in KINDS.values()}
    days: dict[int, Counter[str]] = defaultdict(Counter)
    for batch in batches(index):
        found.batches += 1
        found.issued[batch.contract] += batch.count
        days[batch.time // DAY][batch.contract] += batch.count
    found.days = {day: dict(days[day]) for day in sorted(days)}


def _count_bills(found: Figures, index: EventIndex, ledgers: Ledgers) -> None:
    standings: Counter[str] = Counter()
    sums: dict[tuple[int, str, str], ClaimSum] = {}
    took: Counter[int] = Counter()
    for bill in bills(index, ledgers):
        found.used_bills += 1
        standings[str(bill.standing)] += 1
        currency = "" if bill.currency is None else currency_text(bill.currency)
        for claim in bill.claims:
            key = (claim.payer, claim.status, currency)
            total = sums.setdefault(key, ClaimSum(*key))
            total.claims += 1
            total.locked_minor += claim.locked_minor
            total.reimbursed_minor += claim.reimbursed_minor
            if claim.settled_at is not None and bill.origin is not None:
                took[_rounded(claim.settled_at - bill.origin.time)] += 1
    found.standings = dict(sorted(standings.items()))
    found.claims = [sums[key] for key in sorted(sums)]
    found.took = _durations(took)


def _count_prescriptions(found: Figures, index: EventIndex, ledgers: Ledgers) -> None:
    reached: Counter[State] = Counter()
    for order in prescriptions(index, ledgers):
        reached.update(order.reached.keys())
    found.prescriptions = {"issued": found.issued["Prescriptions"]}
    found.prescriptions |= {label: reached[state] for label, state in FUNNEL}


def by_payer(claims: list[ClaimSum]) -> dict[int, dict[str, int]]:
    """Payer to status to number of claims, over all currencies; the most claims first."""
    found: dict[int, Counter[str]] = defaultdict(Counter)
    for one in claims:
        found[one.payer][one.status] += one.claims
    ordered = sorted(found, key=lambda payer: (-found[payer].total(), payer))
    return {payer: dict(found[payer]) for payer in ordered}


def statuses(claims: list[ClaimSum]) -> list[str]:
    """The statuses that occur, in the order of the contracts' own; expired locks follow locks."""
    order = [str(status) for status in Status]
    order.insert(order.index(str(Status.LOCKED)) + 1, "expired")
    return [name for name in order if any(one.status == name for one in claims)]


def periods(
    days: Mapping[int, Mapping[str, int]], most: int
) -> tuple[int, list[tuple[int, dict[str, int]]]]:
    """Days to a period, and (first day, documents by ledger) of each period from the first to the
    last, empty ones too: days, weeks, months of 30 days or years, so that there are at most `most`.
    """
    if not days:
        return 1, []
    first, last = min(days), max(days)
    length = next((n for n in (1, 7, 30, 365) if (last - first) // n < most), 3650)
    sums: list[Counter[str]] = [Counter() for _ in range((last - first) // length + 1)]
    for day, counts in days.items():
        sums[(day - first) // length].update(counts)
    return length, [(first + length * at, dict(one)) for at, one in enumerate(sums)]


def day_text(day: int) -> str:
    """A day, counted from 1970, as ISO 8601 has it."""
    return (date(1970, 1, 1) + timedelta(days=day)).isoformat()


def duration_text(seconds: int) -> str:
    """A duration in the unit that fits it."""
    for unit, name in ((DAY, "days"), (HOUR, "hours"), (60, "minutes")):
        if seconds >= 2 * unit:
            return f"{seconds / unit:.1f} {name}"
    return f"{seconds} seconds"


def _durations(counts: Counter[int]) -> Durations:
    found = Durations(count=counts.total())
    for seconds, count in counts.items():
        label = next((label for label, limit in LIMITS if seconds < limit), LONGEST)
        found.by_limit[label] += count
    if counts:
        found.median, found.nine_of_ten = (_quantile(counts, share) for share in (0.5, 0.9))
    return found


def _quantile(counts: Counter[int], share: float) -> int:
    """The least value that at least this share of all is not above."""
    left = share * counts.total()
    for seconds in sorted(counts):
        left -= counts[seconds]
        if left <= 0:
            return seconds
    return max(counts)


def _rounded(seconds: int) -> int:
    """A duration to three digits at least."""
    step = 1
    while seconds // step >= EXACT * 10:
        step *= 10
    return seconds // step * step
