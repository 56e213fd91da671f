"""The tables of an export: their columns, what these mean, and the rows that an index gives.

    for name, row in rows(index, ledgers): ...

docs/export.md lists what stands here; a test compares both. Nothing here knows a file format. Rows
come a family of tables after the other, each sorted by its first columns, in flat memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

import orjson
from iso4217 import Currency

from medledger.chain.deployment import Ledgers
from medledger.core.kinds import KINDS
from medledger.core.numbers import format_number
from medledger.core.states import Kind, State
from medledger.index.book import EventIndex, Found
from medledger.index.lives import BillLife, Origin, bills, common_state, prescriptions
from medledger.index.questions import segments

END_OF_TIME = 253_402_300_799
"""The last second of the year 9999: a later one means that there is no end."""
_MOST_EXACT = 2**53 - 1
_CURRENCIES = {currency.number: currency.code for currency in Currency}


class Type(Enum):
    """What a column holds."""

    INTEGER = "whole number, 64 bits"
    TEXT = "text"
    TIME = "time, UTC"
    TRUTH = "true or false"


@dataclass(frozen=True, slots=True)
class Column:
    """One column; with `is_optional` its cells may be empty."""

    name: str
    type: Type
    meaning: str
    is_optional: bool = False


@dataclass(frozen=True, slots=True)
class TableForm:
    """One table: a row is what `row` says, and rows are sorted by the columns in `order`."""

    name: str
    row: str
    order: tuple[str, ...]
    columns: tuple[Column, ...]


def _integer(name: str, meaning: str, *, optional: bool = False) -> tuple[Column, ...]:
    return (Column(name, Type.INTEGER, meaning, optional),)


def _text(name: str, meaning: str, *, optional: bool = False) -> tuple[Column, ...]:
    return (Column(name, Type.TEXT, meaning, optional),)


def _time(name: str, meaning: str, *, optional: bool = True) -> tuple[Column, ...]:
    return (Column(f"{name}_at", Type.TIME, meaning, optional),)


def _truth(name: str, meaning: str, *, optional: bool = False) -> tuple[Column, ...]:
    return (Column(name, Type.TRUTH, meaning, optional),)


def _number(name: str, meaning: str, *, optional: bool = False) -> tuple[Column, ...]:
    printed = Column(f"{name}_printed", Type.TEXT, "The same as on paper.", optional)
    return (Column(name, Type.INTEGER, meaning, optional), printed)


_ORIGIN = (
    *_integer("institution", "Who issued it.", optional=True),
    *_integer("segment", "Segment of the ledger that its number is of.", optional=True),
    *_integer("batch_first", "First number of its batch.", optional=True),
    *_time("issued", "When its batch was issued."),
)
_LAST = (
    *_integer("events", "How many events name it."),
    *_time("last_event", "When the last of them happened.", optional=False),
)

BATCHES = TableForm(
    "batches",
    "One issue of consecutive numbers. The sum of `count` is how many documents were issued.",
    ("ledger", "first"),
    (
        *_text("ledger", "Contract that issued it: `Invoices`, `Prescriptions`, ..."),
        *_number("first", "Its first number."),
        *_number("last", "Its last number."),
        *_integer("count", "How many documents."),
        *_integer("segment", "Segment that the numbers are of, by its ledger."),
        *_integer("institution", "Who issued it."),
        *_integer("endorsed_by", "Supervisor that signed for it.", optional=True),
        *_text("root", "Root of its tree, 0x and 64 hexadecimal digits."),
        *_text("by", "Address of the operator that sent it."),
        *_integer("block", "Number of its block."),
        *_text("transaction", "Hash of its transaction."),
        *_time("issued", "Time of its block.", optional=False),
    ),
)
INVOICES = TableForm(
    "invoices",
    "A bill that an event names: opened, claimed, held, reversed, exchanged for paper. Of any "
    "other bill the chain knows its batch only.",
    ("number",),
    (
        *_number("number", "Bill code and bill number."),
        *_ORIGIN,
        *_text("standing", "`regular`, `reversed`, `red letter`, `partly reversed`, `on paper`."),
        *_truth("is_on_hold", "Whether it must not be used; empty if unopened.", optional=True),
        *_time("opened", "When somebody first showed its header."),
        *_text("currency", "ISO 4217 letters, or digits; empty if never opened.", optional=True),
        *_integer("claimable_minor", "What was claimable, by its header or a lock.", optional=True),
        *_integer("partly_reversed_minor", "What partial red letters took of that."),
        *_integer("locked_minor", "What payers have locked now; fixed benefits do not count."),
        *_integer("reimbursed_minor", "What payers have reimbursed, without fixed benefits."),
        *_integer("payers", "How many payers ever acted on it."),
        *_time("reversed", "When it was reversed in whole."),
        *_number("reversed_by", "The red letter that did so.", optional=True),
        *_number("original", "Of a red letter: the bill that it reverses.", optional=True),
        *_LAST,
    ),
)
CLAIMS = TableForm(
    "claims",
    "Where a payer stands with a bill that it ever acted on.",
    ("number", "payer"),
    (
        *_number("number", "The bill."),
        *_integer("payer", "The payer."),
        *_text("status", "As `medledger status` says it, and `expired` for a lock that is over."),
        *_integer("locked_minor", "What it has locked now."),
        *_integer("reimbursed_minor", "What it has reimbursed, less what was repaid."),
        *_integer("recoup_due_minor", "What it wants back of that and has not got."),
        *_truth("is_fixed_benefit", "Whether it pays without using up the bill."),
        *_truth("is_paid", "Whether the payment is on chain or confirmed."),
        *_text("currency", "Of the bill; empty if that was never opened.", optional=True),
        *_integer("institution", "Who issued the bill.", optional=True),
        *_time("issued", "When the bill was issued."),
        *_time("locked", "When it first locked the bill; empty if it settled at once."),
        *_time("locked_until", "When its lock ends or ended."),
        *_time("settled", "When it reimbursed."),
        *_integer("seconds_to_settle", "From the bill's issue to reimbursement.", optional=True),
        *_time("since", "When it came to be as it is.", optional=False),
        *_integer("reason", "Code that the payer gave then.", optional=True),
    ),
)
PRESCRIPTIONS = TableForm(
    "prescriptions",
    "A prescription that an event names. Times are those of the first time.",
    ("number",),
    (
        *_number("number", "Its number."),
        *_ORIGIN,
        *_text("state", "`not opened`, `accepted`, `dispensed`, `in transit`, `delivered`, ..."),
        *_truth("is_on_hold", "Whether it must not be used; empty if unopened.", optional=True),
        *_time("authored", "When it was signed."),
        *_time("valid_until", "Until when it may be accepted."),
        *_integer("lines", "How many drugs.", optional=True),
        *_integer("lines_open", "Of how many of them something is owing.", optional=True),
        *_integer("pharmacy", "Who has it, or had it last.", optional=True),
        *_integer("courier", "Who carries it.", optional=True),
        *_time("lease_until", "Until when the pharmacy may keep it."),
        *_integer("acceptances", "How often a pharmacy took it."),
        *_time("accepted", "When a pharmacy took it."),
        *_time("dispensed", "When something of it was dispensed."),
        *_time("handed_over", "When a courier got it."),
        *_time("delivered", "When all of it was delivered."),
        *_time("cancelled", "When it was cancelled."),
        *_LAST,
    ),
)
SEGMENTS = TableForm(
    "segments",
    "Numbers that an institution was allotted in a ledger.",
    ("ledger", "segment"),
    (
        *_text("ledger", "Contract that counts them."),
        *_integer("segment", "Its id in this ledger."),
        *_integer("institution", "Whose they are."),
        *_number("first", "The first number."),
        *_number("last", "The last number."),
        *_integer("issued", "How many are issued."),
        *_integer("left", "How many can still be issued."),
        *_integer("gaps", "How many ranges of numbers were left out or withdrawn."),
        *_truth("is_withdrawn", "Whether the rest was withdrawn."),
        *_truth("is_endorsed", "Whether a supervisor must sign for each batch."),
        *_time("allotted", "When it was allotted.", optional=False),
    ),
)
INSTITUTIONS = TableForm(
    "institutions",
    "Whoever was accredited.",
    ("institution",),
    (
        *_integer("institution", "Its id."),
        *_text("kinds", "What it may act as: `hospital + pharmacy`."),
        *_integer("region", "Area code of six digits; 0 is nationwide."),
        *_text("name_hash", "Hash of its name, which is not on chain."),
        *_truth("is_suspended", "Whether it is suspended."),
        *_integer("keys", "How many keys act for it now."),
        *_time("accredited", "When it was accredited."),
        *_time("valid_from", "When its accreditation begins; empty for always."),
        *_time("valid_until", "When its accreditation ends; empty for never."),
    ),
)
OPERATORS = TableForm(
    "operators",
    "A key that acts or acted for an institution.",
    ("institution", "operator"),
    (
        *_integer("institution", "Whose key it is."),
        *_text("operator", "Its address; `by` in events and batches."),
        *_time("added", "From when it may act.", optional=False),
        *_time("removed", "From when it may not."),
    ),
)
EVENTS = TableForm(
    "events",
    "An event of any contract: everything that happened, in chain order.",
    ("block", "log_index"),
    (
        *_integer("block", "Number of its block."),
        *_integer("log_index", "Its place in the block."),
        *_time("happened", "Time of its block.", optional=False),
        *_text("transaction", "Hash of its transaction."),
        *_text("contract", "Name of the contract."),
        *_text("event", "Its name; empty for one that the version does not know.", optional=True),
        *_number("number", "Document that it names, or first of a range.", optional=True),
        *_number("other_number", "Second document that it names.", optional=True),
        *_integer("institution", "Institution, payer, pharmacy or courier.", optional=True),
        *_integer("other_institution", "The second of them.", optional=True),
        *_integer("segment", "Segment that it names.", optional=True),
        *_text("arguments", "All arguments, one JSON object by their Solidity names."),
    ),
)

TABLES = (
    BATCHES,
    SEGMENTS,
    INSTITUTIONS,
    OPERATORS,
    INVOICES,
    CLAIMS,
    PRESCRIPTIONS,
    EVENTS,
)
"""All tables, in the order in which they are written."""

Row = tuple[Any, ...]
"""Values in the order of a table's columns; times in Unix seconds."""


def rows(index: EventIndex, ledgers: Ledgers) -> Iterator[tuple[str, Row]]:
    """All rows of all tables: the name of the table, and the row."""
    for family in _FAMILIES:
        yield from family(index, ledgers)


def _batches(index: EventIndex, _: Ledgers) -> Iterator[tuple[str, Row]]:
    for entry in sorted(KINDS.values(), key=lambda kind: kind.ledger):
        for number, group in index.by_number([entry.ledger]):
            endorsed = [e.arguments["supervisor"] for e in group if e.name == "BatchEndorsed"]
            for found in group:
                if found.name == "BatchIssued":
                    yield BATCHES.name, _batch(number, found, endorsed[0] if endorsed else None)


def _batch(first: int, found: Found, endorsed_by: int | None) -> Row:
    said = found.arguments
    return (
        found.contract,
        *_with_print(first),
        *_with_print(first + said["count"] - 1),
        said["count"],
        said["segment"],
        said["institution"],
        endorsed_by,
        _hex(said["root"]),
        said["by"],
        found.block,
        _hex(found.transaction),
        found.time,
    )


def _segments(index: EventIndex, _: Ledgers) -> Iterator[tuple[str, Row]]:
    allotted = {
        (found.contract, found.arguments["segment"]): found
        for found in index.events(names=["SegmentAllotted"])
    }
    for one in sorted(segments(index), key=lambda item: (item.contract, item.segment)):
        found = allotted[one.contract, one.segment]
        yield (
            SEGMENTS.name,
            (
                one.contract,
                one.segment,
                one.institution,
                *_with_print(one.first),
                *_with_print(one.last),
                one.issued,
                one.left,
                len(one.gaps),
                one.is_withdrawn,
                found.arguments["endorsed"],
                found.time,
            ),
        )


def _institutions(index: EventIndex, ledgers: Ledgers) -> Iterator[tuple[str, Row]]:
    state = common_state(index, ledgers)
    accredited = {
        found.arguments["institution"]: found.time
        for found in index.events(names=["InstitutionAccredited"])
    }
    for id_, entry in sorted(state.institutions.items()):
        yield (
            INSTITUTIONS.name,
            (
                id_,
                kinds_text(entry.kinds),
                entry.region,
                _hex(entry.name_hash),
                entry.suspended,
                entry.operators,
                accredited[id_],
                entry.valid_from or None,
                _time_or_none(entry.valid_until),
            ),
        )
    keys = sorted((entry.institution, address) for address, entry in state.operators.items())
    for institution, address in keys:
        key = state.operators[address]
        yield OPERATORS.name, (institution, address, key.since, key.until or None)


def _bills(index: EventIndex, ledgers: Ledgers) -> Iterator[tuple[str, Row]]:
    for bill in bills(index, ledgers):
        currency = None if bill.currency is None else currency_text(bill.currency)
        yield INVOICES.name, _invoice(bill, currency)
        issued_at = bill.origin and bill.origin.time
        for claim in bill.claims:
            settled_at = claim.settled_at
            took = settled_at - issued_at if settled_at and issued_at else None
            yield (
                CLAIMS.name,
                (
                    *_with_print(bill.number),
                    claim.payer,
                    claim.status,
                    claim.locked_minor,
                    claim.reimbursed_minor,
                    claim.recoup_due_minor,
                    claim.is_fixed_benefit,
                    claim.is_paid,
                    currency,
                    bill.origin and bill.origin.institution,
                    issued_at,
                    claim.locked_at,
                    _time_or_none(claim.locked_until),
                    settled_at,
                    took,
                    claim.since,
                    claim.reason,
                ),
            )


def _invoice(bill: BillLife, currency: str | None) -> Row:
    return (
        *_with_print(bill.number),
        *_origin(bill.origin),
        str(bill.standing),
        bill.is_on_hold,
        bill.opened_at,
        currency,
        bill.claimable_minor,
        bill.partly_reversed_minor,
        bill.locked_minor,
        bill.reimbursed_minor,
        len(bill.claims),
        bill.reversed_at,
        *_with_print(bill.reversed_by),
        *_with_print(bill.original),
        bill.events,
        bill.last_event_at,
    )


def _prescriptions(index: EventIndex, ledgers: Ledgers) -> Iterator[tuple[str, Row]]:
    for order in prescriptions(index, ledgers):
        entry, opened = order.entry, order.opened
        yield (
            PRESCRIPTIONS.name,
            (
                *_with_print(order.number),
                *_origin(order.origin),
                str(State.NOT_OPENED if entry is None else entry.state),
                order.is_on_hold,
                None if opened is None else _time_or_none(opened.authored_at),
                None if opened is None else _time_or_none(opened.valid_until),
                None if opened is None else len(opened.quantities),
                None if opened is None or entry is None else sum(map(bool, entry.remaining)),
                None if entry is None else entry.pharmacy or None,
                None if entry is None else entry.courier or None,
                None if entry is None else _time_or_none(entry.lease_until),
                order.acceptances,
                order.reached.get(State.ACCEPTED),
                order.reached.get(State.DISPENSED),
                order.reached.get(State.IN_TRANSIT),
                order.reached.get(State.DELIVERED),
                order.reached.get(State.CANCELLED),
                order.events,
                order.last_event_at,
            ),
        )


def _events(index: EventIndex, _: Ledgers) -> Iterator[tuple[str, Row]]:
    for found in index.events():
        number, other_number, *others = found.keys
        yield (
            EVENTS.name,
            (
                found.block,
                found.log_index,
                found.time,
                _hex(found.transaction),
                found.contract,
                found.name or None,
                *_with_print(number),
                *_with_print(other_number),
                *others,
                arguments_text(found.arguments),
            ),
        )


_FAMILIES: tuple[Callable[[EventIndex, Ledgers], Iterator[tuple[str, Row]]], ...] = (
    _batches,
    _segments,
    _institutions,
    _bills,
    _prescriptions,
    _events,
)


def kinds_text(kinds: int) -> str:
    """What an institution may act as: `hospital + pharmacy`."""
    return " + ".join(kind.name.lower() for kind in Kind if kind & kinds and kind.name)


def currency_text(numeric: int) -> str:
    """The letters of an ISO 4217 number; its three digits where it is nobody's."""
    return _CURRENCIES.get(numeric, f"{numeric:03d}")


def arguments_text(arguments: Mapping[str, Any]) -> str:
    """The arguments of an event as one JSON object; bytes as 0x..."""
    return orjson.dumps({key: _as_json(value) for key, value in arguments.items()}).decode()


def _as_json(value: Any) -> Any:
    if isinstance(value, bytes):
        return _hex(value)
    if isinstance(value, list | tuple):
        return [_as_json(item) for item in value]
    # Numbers that no reader of JSON gets wrong; greater ones are text.
    if isinstance(value, int) and abs(value) > _MOST_EXACT:
        return str(value)
    return value


def _origin(origin: Origin | None) -> tuple[int | None, ...]:
    if origin is None:
        return (None,) * 4
    return origin.institution, origin.segment, origin.first, origin.time


def _with_print(number: int | None) -> tuple[int | None, str | None]:
    return (None, None) if number is None else (number, format_number(number))


def _time_or_none(seconds: int | None) -> int | None:
    return seconds if seconds and seconds <= END_OF_TIME else None


def _hex(value: bytes) -> str:
    return "0x" + value.hex()
