"""A hospital's statement of a day against the chain: the total check and the write-off check.

    found = reconcile(index, rows, institution=2, start=start, end=end)
    found.differences

The chain knows every number of the day and when it was issued, which bills were reversed by which
red letters, and the claimable amount of a bill that somebody has opened. Of the others it has the
batch's root: where the rows of a batch have their headers, they must lead to it, and then every
number and every claimable amount of the batch is proven. Totals of bills are the hospital's word.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from medledger.chain import abi
from medledger.core.kinds import KINDS
from medledger.core.numbers import format_number
from medledger.core.statement import StatementRow, Totals
from medledger.core.tree import Tree
from medledger.index.book import EventIndex, Found
from medledger.index.questions import Batch, batches

LEDGER = KINDS["Invoice"].ledger
WHOLE, PART = "InvoiceReversed", "InvoicePartlyReversed"


@dataclass(frozen=True, slots=True)
class Difference:
    """What file and chain say otherwise of a number, or of all numbers up to `last`."""

    kind: str
    number: int
    file: str
    chain: str
    last: int | None = None


@dataclass(slots=True)
class Reconciliation:
    """What the file has, what the chain has of the same day, and how they differ.

    `proven` counts the bills and red letters whose batch's root the rows lead to, `opened` the
    bills whose claimable amount an event shows. `chain_claimable_minor` is of what is proven.
    """

    file: Totals = field(default_factory=Totals)
    chain_bills: int = 0
    chain_red_letters: int = 0
    chain_claimable_minor: int = 0
    batches: int = 0
    proven_batches: int = 0
    proven: int = 0
    opened: int = 0
    differences: list[Difference] = field(default_factory=list)


def reconcile(
    index: EventIndex, rows: Iterable[StatementRow], *, institution: int, start: int, end: int
) -> Reconciliation:
    """Compares an institution's rows with what it issued from `start` until before `end`.

    Times are Unix seconds of blocks. A row of another day is a difference of its own.
    """
    all_batches = sorted(
        (one for one in batches(index, institution=institution) if one.contract == LEDGER),
        key=lambda one: one.first,
    )
    today = [one for one in all_batches if start <= one.time < end]
    found = Reconciliation(batches=len(today))
    held = _by_number(found, rows)
    for row in held.values():
        found.file.add(row)
    found.differences += _elsewhere(held, all_batches, start, end)
    for batch in today:
        _compare_batch(found, batch, held)
    reversals = _reversals(index, start)
    found.differences += _compare_amounts(found, index, held, start)
    found.differences += _compare_reversals(held, reversals)
    red = [number for number in reversals if _batch_of(today, number) is not None]
    found.chain_bills = sum(batch.count for batch in today) - len(red)
    found.chain_red_letters = len(red)
    return found


def _by_number(found: Reconciliation, rows: Iterable[StatementRow]) -> dict[int, StatementRow]:
    held: dict[int, StatementRow] = {}
    for row in rows:
        if row.number in held:
            found.differences.append(
                Difference("twice_in_file", row.number, "twice", "once at most")
            )
        held[row.number] = row
    return held


def _elsewhere(
    held: dict[int, StatementRow], all_batches: Sequence[Batch], start: int, end: int
) -> Iterator[Difference]:
    """Rows that the chain does not have, or has of another day."""
    for number in held:
        batch = _batch_of(all_batches, number)
        if batch is None:
            yield Difference("missing_on_chain", number, "issued", "not issued")
        elif not start <= batch.time < end:
            yield Difference("other_day", number, "of this day", f"issued at {_utc(batch.time)}")


def _compare_batch(found: Reconciliation, batch: Batch, held: dict[int, StatementRow]) -> None:
    numbers = range(batch.first, batch.first + batch.count)
    found.differences += [
        Difference("missing_in_file", first, "not there", "issued", last)
        for first, last in _gaps(numbers, held)
    ]
    leaves = [held[n].leaf for n in numbers if n in held]
    whole = [leaf for leaf in leaves if leaf is not None]
    if len(whole) < batch.count:
        return
    root = Tree(whole).root
    if root != batch.root:
        file, chain = f"root 0x{root.hex()}", f"root 0x{batch.root.hex()}"
        last = numbers[-1]
        found.differences.append(Difference("root_differs", batch.first, file, chain, last))
        return
    found.proven_batches += 1
    found.proven += batch.count
    bills = [held[n] for n in numbers if held[n].original is None]
    found.chain_claimable_minor += sum(row.claimable_minor for row in bills)


def _gaps(numbers: range, held: dict[int, StatementRow]) -> Iterator[tuple[int, int]]:
    """First and last of each run of numbers that the file does not have."""
    first = None
    for number in numbers:
        if number in held:
            if first is not None:
                yield first, number - 1
            first = None
        elif first is None:
            first = number
    if first is not None:
        yield first, numbers[-1]


def _compare_amounts(
    found: Reconciliation, index: EventIndex, held: dict[int, StatementRow], start: int
) -> Iterator[Difference]:
    """Claimable amounts that the chain shows: of bills that somebody opened."""
    telling = [
        event.name
        for event in abi.events().values()
        if {"number", "claimable"} <= {name for name, _, _ in event.arguments}
    ]
    for event in index.events(names=telling, since=start):
        row = held.get(event.arguments["number"])
        if row is None or event.contract != LEDGER:
            continue
        found.opened += 1
        if row.claimable_minor != (claimable := event.arguments["claimable"]):
            yield _amounts(row.number, row.claimable_minor, claimable)


def _reversals(index: EventIndex, start: int) -> dict[int, Found]:
    """Red letter to the event in which it reversed a bill, since a time."""
    events = index.events(names=[WHOLE, PART], since=start)
    return {event.arguments["redLetter"]: event for event in events}


def _compare_reversals(
    held: dict[int, StatementRow], reversals: dict[int, Found]
) -> Iterator[Difference]:
    for number, row in held.items():
        event = reversals.get(number)
        if row.original is None:
            if event is not None:
                chain = f"reverses {format_number(event.arguments['number'])}"
                yield Difference("reversal_missing_in_file", number, "a bill", chain)
        elif event is None:
            file = f"reverses {format_number(row.original)}"
            yield Difference("reversal_missing_on_chain", number, file, "reverses nothing")
        elif event.arguments["number"] != row.original:
            chain = f"reverses {format_number(event.arguments['number'])}"
            yield Difference(
                "reversal_differs", number, f"reverses {format_number(row.original)}", chain
            )
        elif event.name == PART and event.arguments["amount"] != row.claimable_minor:
            yield _amounts(number, row.claimable_minor, event.arguments["amount"])


def _amounts(number: int, file: int, chain: int) -> Difference:
    return Difference("amount_differs", number, f"claimable {file}", f"claimable {chain}")


def _batch_of(among: Sequence[Batch], number: int) -> Batch | None:
    """The batch of a number, among such in order of number."""
    at = bisect_right(among, number, key=lambda one: one.first)
    if at and number < among[at - 1].first + among[at - 1].count:
        return among[at - 1]
    return None


def _utc(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%SZ}"
