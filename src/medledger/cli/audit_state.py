"""`audit state`: what the contracts held of a document at a time."""

from __future__ import annotations

import re
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any

import click

from medledger.cli.command import Command
from medledger.cli.options import TIME, index_option, number_argument, number_kind_option, reading
from medledger.cli.output import Output, Table, as_plain, pairs, time_text
from medledger.cli.session import Session
from medledger.core.numbers import BILL_NUMBER_SPAN, DocumentNumber, format_number

if TYPE_CHECKING:
    from medledger.core.numbers import DocumentKind
    from medledger.index.history import Held, Part

BEYOND_NUMBERS, BEYOND_INTEGERS = 10**18, 2**64
_TIMES = ("until", "from", "since", "at")


@click.command(
    "state",
    cls=Command,
    examples=[
        "medledger audit state 46060126-0000000017 --at 2026-11-01T08:00:00Z",
        "medledger audit state 46080126-0000000003 --kind prescription --at 1793520000 --json",
    ],
)
@number_argument
@number_kind_option
@click.option("--at", type=TIME, help="As of this time; by default of the last block read.")
@index_option
@reading
def state(
    session: Session, number: DocumentNumber, kind: DocumentKind, at: int | None, index: str
) -> Output:
    """Show what the contracts held of a document at a time.

    The events until then are replayed. A lock, lease or licence whose time was over then is shown
    as over. Amounts and terms are there once somebody has opened the document.
    """
    auditor = session.auditor()
    with session.index(auditor, index) as opened:
        held = auditor.document_at(opened, number, kind, at)
    return Output(_data(held), _lines(held))


def _data(held: Held) -> dict[str, Any]:
    data: dict[str, Any] = {
        "number": format_number(held.number),
        "kind": held.kind,
        "at": held.at,
        "batch": {
            "first": format_number(held.batch.first),
            "count": held.batch.count,
            "segment": held.batch.segment,
            "issued_at": held.batch.issued_at,
            "endorsed_by": held.endorsed_by,
        },
        "institution": held.institution,
        "institution_is_suspended": held.is_suspended,
        "ledger_is_paused": held.is_paused,
        "hold": held.hold,
        "held": {name: [_part(part) for part in parts] for name, parts in held.parts.items()},
        "unknown_events": held.unknown,
    }
    if held.usage is not None:
        data["locked_minor"], data["reimbursed_minor"] = held.usage
    if held.is_valid is not None:
        data["valid"] = held.is_valid
    return data


def _part(part: Part) -> dict[str, Any]:
    found: dict[str, Any] = {"keys": list(part.keys)} if part.keys else {}
    found |= {name: plain(value, name) for name, value in _values(part.value).items()}
    if part.over:
        found["over"] = list(part.over)
    if part.is_expired:
        found["status"] = "expired"
    return found


def _lines(held: Held) -> list[str | Table]:
    batch = held.batch
    title = f"{format_number(held.number)} ({held.kind.lower()}) at {time_text(held.at)}"
    rows: dict[str, object] = {
        "issued": f"{time_text(batch.issued_at)} by institution {held.institution}",
        "batch": f"{batch.count} from {format_number(batch.first)}, segment {batch.segment}",
    }
    if held.endorsed_by is not None:
        rows["endorsed by"] = f"supervisor {held.endorsed_by}"
    if held.is_suspended:
        rows["institution"] = "suspended"
    if held.is_paused:
        rows["ledger"] = "paused"
    rows["hold"] = str(held.hold)
    if held.usage is not None:
        rows["locked (minor units)"], rows["reimbursed (minor units)"] = held.usage
    if held.is_valid is not None:
        rows["valid"] = "yes" if held.is_valid else "no"
    if held.unknown:
        rows["unknown events"] = f"{held.unknown}: this version cannot tell all"
    table = [
        (name.replace("_", " "), ", ".join(map(str, part.keys)), key.replace("_", " "), value)
        for name, parts in held.parts.items()
        for part in parts
        for key, value in _shown(part).items()
    ]
    shown: list[str | Table] = [title, *pairs(rows)]
    return [*shown, Table(("held", "of", "what", "value"), table)] if table else shown


def _shown(part: Part) -> dict[str, str]:
    """An entry as people read it; what is zero or empty is left out."""
    found = {}
    for name, value in _values(part.value).items():
        if not value or value == "0x" + 40 * "0":
            continue
        text = shown_value(name, value)
        found[name] = f"{text} (over)" if name in part.over and part.is_live(name) else text
    if part.is_expired:
        found["status"] = "expired"
    return found


def shown_value(name: str, value: Any) -> str:
    """A value as people read it, by its name: what ends in `until` and the like is a time."""
    if isinstance(value, int) and _is_time(name):
        return time_text(value)
    return str(as_plain(plain(value, name))).replace("_", " ")


def _values(value: Any) -> dict[str, Any]:
    """The fields of an entry; a bare value under the name `value`."""
    if is_dataclass(value):
        return {item.name: getattr(value, item.name) for item in fields(value)}
    return {"value": value}


def plain(value: Any, name: str = "") -> Any:
    """A value for machines: numbers of documents as printed on them, words that hold several values
    packed in hexadecimal, entries within entries by their fields."""
    if type(value) is int and value > BILL_NUMBER_SPAN and not _is_time(name):
        if value < BEYOND_NUMBERS:
            return format_number(value)
        return hex(value) if value >= BEYOND_INTEGERS else value
    if isinstance(value, list | tuple):
        return [plain(item, name) for item in value]
    if is_dataclass(value):
        return {key: plain(item, key) for key, item in _values(value).items()}
    return value


def _is_time(name: str) -> bool:
    """Whether a value of this name is a time: `until`, `lease_until`, `validUntil`."""
    return re.sub("([A-Z])", r"_\1", name).lower().rpartition("_")[2] in _TIMES
