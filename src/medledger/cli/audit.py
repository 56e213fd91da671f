"""`status`, `trace` and `audit`: what the chain alone says. No key and no store is needed."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

import click

from medledger.cli.command import Command
from medledger.cli.options import number_argument, number_kind_option, reading
from medledger.cli.output import Meter, Output, Table, as_plain, pairs, time_text
from medledger.cli.session import Session
from medledger.core.numbers import BILL_NUMBER_SPAN, DocumentNumber, format_number
from medledger.core.states import Hold, Standing, Status
from medledger.errors import AuditMismatch, NotFound

if TYPE_CHECKING:
    from medledger.chain.bindings import SegmentEntry
    from medledger.roles import Auditor, Step
    from medledger.roles.ledger_of import DocumentKind

SHOWN_MISMATCHES = 20
ZERO_ADDRESS = "0x" + 40 * "0"
_NUMBERS = {"number", "first", "last", "red_letter"}
_TIMES = {"until", "valid_until", "valid_from", "lease_until"}


@click.command("trace", cls=Command, examples=["medledger trace 46060126-0000000017"])
@number_argument
@number_kind_option
@reading
def trace(session: Session, number: DocumentNumber, kind: DocumentKind) -> Output:
    """Show everything that happened to a document, oldest first."""
    steps = session.auditor().trace(number, kind)
    if not steps:
        raise _not_issued(number, kind)
    rows = [
        (time_text(step.time), step.name, _details(step), f"0x{step.transaction.hex()}")
        for step in steps
    ]
    data = {
        "number": format_number(number),
        "kind": kind,
        "steps": [
            {
                "time": step.time,
                "block": step.block,
                "transaction": step.transaction,
                "event": step.name,
                **_values(step),
            }
            for step in steps
        ],
    }
    title = f"{format_number(number)} ({kind.lower()})"
    return Output(data, [title, Table(("time", "event", "details", "transaction"), rows)])


@click.command("status", cls=Command, examples=["medledger status 46060126-0000000017"])
@number_argument
@number_kind_option
@reading
def status(session: Session, number: DocumentNumber, kind: DocumentKind) -> Output:
    """Show what the ledger holds of a document now.

    The amounts, lines and patient of a document are on chain only once somebody has opened it, by
    locking or accepting it.
    """
    auditor = session.auditor()
    from medledger.roles.ledger_of import ledger_of

    ledger = ledger_of(auditor.ledgers, kind)
    ids = range(1, ledger.segment_count() + 1)
    from medledger.chain.bindings import SegmentEntry

    entries = [
        SegmentEntry.from_abi(values)
        for values in ledger.read_many("segmentOf", [[id_] for id_ in ids])
    ]
    segment = next(
        (id_ for id_, entry in zip(ids, entries, strict=True) if _issued(entry, number)), None
    )
    if segment is None:
        raise _not_issued(number, kind)
    data: dict[str, Any] = {
        "number": format_number(number),
        "kind": kind,
        "segment": segment,
        "institution": entries[segment - 1].institution,
    }
    if kind == "Prescription":
        data |= _prescription(auditor, number)
    else:
        data |= _invoice(auditor, number)
    hold = ledger.hold_of(number)
    data["hold"] = hold
    if data.get("opened") and hold == Hold.AS_ISSUED:
        data["hold"] = Hold.HELD if data["born_on_hold"] else Hold.RELEASED
    return Output(data, _status_lines(data))


@click.command(
    "audit", cls=Command, examples=["medledger audit", "medledger audit --until 1200 --json"]
)
@click.option(
    "--until",
    type=click.IntRange(min=0),
    metavar="BLOCK",
    help="Last block to rebuild from; by default the latest.",
)
@reading
def audit(session: Session, until: int | None) -> Output:
    """Rebuild the whole state from the chain and compare.

    Every event is replayed, the rules are checked, and the result is compared with what the
    contracts hold. Exits with 8 if anything disagrees.
    """
    auditor = session.auditor()
    with Meter("rebuild and compare", counts=False):
        result = auditor.audit(until=until)
    state, mismatches = result.state, result.mismatches
    data = {
        "block": result.block,
        "time": result.time,
        "events": result.events,
        "bills": state.bills.issued,
        "prescriptions": state.orders.issued,
        "claims": len(state.claims),
        "reversed": len(state.reversed_by),
        "institutions": len(state.institutions),
        "counts": dict(sorted(state.counts.items())),
        "mismatches": mismatches,
    }
    text = [
        f"Rebuilt from {result.events} events up to block {result.block}, {time_text(result.time)}",
        *pairs(
            {
                "institutions": data["institutions"],
                "bills issued": data["bills"],
                "bills reversed": data["reversed"],
                "claims": data["claims"],
                "prescriptions issued": data["prescriptions"],
                "mismatches": len(mismatches),
            }
        ),
        *mismatches[:SHOWN_MISMATCHES],
    ]
    if len(mismatches) > SHOWN_MISMATCHES:
        text.append(f"... and {len(mismatches) - SHOWN_MISMATCHES} more; --json lists all")
    failure = None
    if mismatches:
        failure = AuditMismatch(count=len(mismatches), first=mismatches[0])
    return Output(data, text, failure)


def _not_issued(number: int, kind: str) -> NotFound:
    other = "invoice" if kind == "Prescription" else "prescription"
    return NotFound(
        what=f"{kind.lower()} {format_number(number)}",
        where=f"the ledger (for the {other} of that number: --kind {other})",
    )


def _issued(entry: SegmentEntry, number: int) -> bool:
    return entry.first <= number < entry.next


def _invoice(auditor: Auditor, number: int) -> dict[str, Any]:
    ledgers = auditor.ledgers
    entry = ledgers.invoices.invoice_of(number)
    opened = entry.patient != ZERO_ADDRESS
    data: dict[str, Any] = {"opened": opened, "standing": entry.standing}
    if entry.standing == Standing.REVERSED:
        data["reversed_by"] = format_number(ledgers.invoices.reversed_by(number))
    if opened:
        data |= {
            "patient": entry.patient,
            "born_on_hold": entry.born_on_hold,
            "currency": entry.currency,
            "claimable_minor": entry.claimable,
        }
    # A bill is claimed without being opened.
    locked, reimbursed = ledgers.claims.usage_of(number)
    data |= {"locked_minor": locked, "reimbursed_minor": reimbursed}
    data["claims"] = _claims(auditor, number)
    return data


def _claims(auditor: Auditor, number: int) -> list[dict[str, Any]]:
    """Where each payer that ever locked the bill stands with it now."""
    from medledger.chain.bindings import ClaimLocked, ClaimLockedAndSettled, PayerWaived

    steps = auditor.trace(number)
    first_acts = (ClaimLocked, ClaimLockedAndSettled, PayerWaived)
    payers = sorted({step.event.payer for step in steps if isinstance(step.event, first_acts)})
    entries = auditor.ledgers.claims.claims_of([number] * len(payers), payers) if payers else []
    now = auditor.now()
    return [
        {
            "payer": payer,
            # The ledger's own status of a lock stays when its time is over.
            "status": "expired"
            if entry.status == Status.LOCKED and entry.until < now
            else entry.status,
            "amount_minor": entry.amount,
            "until": entry.until if entry.status == Status.LOCKED else None,
        }
        for payer, entry in zip(payers, entries, strict=True)
    ]


def _prescription(auditor: Auditor, number: int) -> dict[str, Any]:
    from medledger.chain.bindings import PrescriptionOpened

    entry = auditor.ledgers.prescriptions.prescription_of(number)
    data: dict[str, Any] = {"opened": entry.patient != ZERO_ADDRESS, "state": entry.state}
    if data["opened"]:
        events = (step.event for step in auditor.trace(number, "Prescription"))
        opened = (event for event in events if isinstance(event, PrescriptionOpened))
        data |= {
            "patient": entry.patient,
            "born_on_hold": any(event.born_on_hold for event in opened),
            "valid_until": entry.valid_until,
            "remaining": list(entry.remaining),
            "pharmacy": entry.pharmacy or None,
            "courier": entry.courier or None,
            "lease_until": entry.lease_until or None,
        }
    return data


def _status_lines(data: dict[str, Any]) -> list[str | Table]:
    rows: dict[str, object] = {}
    for key, value in data.items():
        if key in ("number", "kind", "claims") or value is None:
            continue
        label = key.replace("_minor", " (minor units)").replace("_", " ")
        rows[label] = _shown(key, value)
    lines: list[str | Table] = [f"{data['number']} ({data['kind'].lower()})", *pairs(rows)]
    if data.get("claims"):
        claims = [
            (
                str(claim["payer"]),
                as_plain(claim["status"]),
                str(claim["amount_minor"]),
                "" if claim["until"] is None else time_text(claim["until"]),
            )
            for claim in data["claims"]
        ]
        lines.append(Table(("payer", "claim", "amount (minor units)", "until"), claims))
    return lines


def _values(step: Step) -> dict[str, Any]:
    """What the event says, as machines read it."""
    found = {item.name: getattr(step.event, item.name) for item in fields(step.event)}
    return {key: format_number(v) if _is_number(key, v) else v for key, v in found.items()}


def _details(step: Step) -> str:
    """What the event says, as people read it; the document's own number is known."""
    shown = []
    for key, value in _values(step).items():
        if key in ("number", "by", "root", "patient", "explanation"):
            continue
        if key in _TIMES and not value:
            continue
        shown.append(f"{key.replace('_', ' ')} {_shown(key, value)}")
    return ", ".join(shown)


def _shown(key: str, value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if key in _TIMES and isinstance(value, int):
        return time_text(value)
    if key == "remaining" and isinstance(value, list):
        lines = [f"{left} of line {at}" for at, left in enumerate(value, 1) if left]
        return ", ".join(lines) or "nothing"
    if isinstance(value, list | tuple):
        return " + ".join(map(str, value))
    return str(as_plain(value)).replace("_", " ")


def _is_number(key: str, value: object) -> bool:
    return key in _NUMBERS and isinstance(value, int) and value > BILL_NUMBER_SPAN
