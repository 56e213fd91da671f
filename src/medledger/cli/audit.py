"""`status`, `trace` and `audit`: what the chain alone says. No key and no store is needed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import click

from medledger.cli import analysis
from medledger.cli.audit_contracts import contracts
from medledger.cli.audit_proof import proof, verify_proof
from medledger.cli.audit_state import state
from medledger.cli.command import HELP_NAMES, Command, DefaultFamily
from medledger.cli.options import (
    INSTITUTION,
    index_option,
    number_argument,
    number_kind_option,
    reading,
    since_option,
)
from medledger.cli.output import Meter, Output, Table, as_plain, pairs, time_text
from medledger.cli.reads import purpose_text, told_reads
from medledger.cli.session import Session
from medledger.cli.statement import reconcile
from medledger.core.numbers import BILL_NUMBER_SPAN, DocumentNumber, format_number
from medledger.core.states import Hold, Kind, Standing, Status
from medledger.errors import AuditMismatch, IrregularityFound, NotFound

if TYPE_CHECKING:
    from medledger.chain.bindings import SegmentEntry
    from medledger.core.numbers import DocumentKind
    from medledger.core.reads import Read
    from medledger.index import Refused
    from medledger.roles import Auditor, Step

SHOWN_MISMATCHES = 20
LATEST = 2**64
"""After every block."""
ZERO_ADDRESS = "0x" + 40 * "0"
_NUMBERS = {"number", "first", "last", "red_letter", "amends", "amendment", "original"}
_TIMES = {
    "until",
    "valid_until",
    "valid_from",
    "lease_until",
    "suspended_from",
    "revoked_from",
}


@click.command(
    "trace",
    cls=Command,
    examples=[
        "medledger trace 46060126-0000000017",
        "medledger trace 46080126-0000000003 --kind prescription --index sqlite:///index.db "
        "--store sqlite:///hospital.db",
    ],
)
@number_argument
@number_kind_option
@click.option(
    "--index",
    metavar="URL",
    help="Ask the auditor's index, and the node nothing: also for what was tried and refused.",
)
@click.option("--store", metavar="URL", help="Also show who read it, by the hospital's log there.")
@reading
def trace(
    session: Session,
    number: DocumentNumber,
    kind: DocumentKind,
    index: str | None,
    store: str | None,
) -> Output:
    """Show everything that happened to a document, oldest first.

    With an index and its hospital's store: who read it, what was done, and what was refused.
    """
    auditor = session.auditor()
    attempts: list[Refused] | None = None
    if index is None:
        steps = auditor.trace(number, kind)
    else:
        with session.index(auditor, index) as opened:
            steps = auditor.trace(number, kind, index=opened)
            attempts = auditor.refused_attempts(opened, number, kind)
    if not steps:
        raise _not_issued(number, kind)
    reads = None if store is None else _reads(session, store, number, kind)
    data: dict[str, Any] = {
        "number": format_number(number),
        "kind": kind,
        "steps": [_step_data(step) for step in steps],
    }
    # Left out where nobody was asked: an empty list would say that there was none.
    if attempts is not None:
        data["refused"] = [_attempt_data(one) for one in attempts]
    if reads is not None:
        data["reads"] = [said for _, said in reads]
    rows = _happened(steps, attempts or (), [entry for entry, _ in reads or ()])
    title = f"{data['number']} ({kind.lower()})"
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
    from medledger.roles.segments import fetch_all_segments

    ledger = ledger_of(auditor.ledgers, kind)
    entries = fetch_all_segments(auditor.ledgers, kind)
    segment = next((id_ for id_, entry in entries.items() if _issued(entry, number)), None)
    if segment is None:
        raise _not_issued(number, kind)
    data: dict[str, Any] = {
        "number": format_number(number),
        "kind": kind,
        "segment": segment,
        "institution": entries[segment].institution,
    }
    data |= _STATE_OF[kind](auditor, number)
    hold = ledger.hold_of(number)
    data["hold"] = hold
    if "born_on_hold" in data and hold == Hold.AS_ISSUED:
        data["hold"] = Hold.HELD if data["born_on_hold"] else Hold.RELEASED
    return Output(data, _status_lines(data))


@click.group(
    "audit",
    cls=DefaultFamily,
    default="rebuild",
    context_settings=HELP_NAMES,
    no_args_is_help=False,
)
def audit() -> None:
    """Audit a deployment from the chain alone.

    Without a command: rebuild. The others ask an index, a database of all events that sync makes
    and brings up to date.
    """


audit.add_command(state)
audit.add_command(proof)
audit.add_command(verify_proof)
audit.add_command(contracts)
audit.add_command(reconcile)


@audit.command(
    "rebuild",
    cls=Command,
    examples=["medledger audit rebuild", "medledger audit rebuild --until 1200 --json"],
)
@click.option(
    "--until",
    type=click.IntRange(min=0),
    metavar="BLOCK",
    help="Last block to rebuild from; by default the latest.",
)
@reading
def rebuild(session: Session, until: int | None) -> Output:
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
        "partly_reversed": len(state.reversed_parts),
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


@audit.command(
    "sync",
    cls=Command,
    examples=[
        "medledger audit sync --index sqlite:///index.db",
        "medledger audit sync --rpc http://one:8545,http://two:8545 --confirmations 12",
    ],
)
@index_option
@click.option(
    "--confirmations",
    type=click.IntRange(min=1),
    metavar="BLOCKS",
    help="Read blocks this deep only, their own counted; by default as the manifest says.",
)
@reading
def sync(session: Session, index: str, confirmations: int | None) -> Output:
    """Read all events into an index, from where it is.

    It can be stopped anywhere. What the chain took back is read again. With several nodes in --rpc
    each range is asked of all of them, and must be the same.
    """
    auditor = session.auditor()
    with session.new_index(auditor, index) as opened:
        with Meter("events") as meter:
            done = auditor.sync(opened, confirmations=confirmations, advance=meter.advance)
        total = opened.count()
    data = {
        "block": done.block,
        "new_events": done.events,
        "events": total,
        "rolled_back": done.rolled_back,
    }
    rows = {
        "up to block": done.block,
        "new events": done.events,
        "events": total,
        "blocks read again": done.rolled_back,
    }
    return Output(data, pairs(rows))


@audit.command("batches", cls=Command, examples=["medledger audit batches --institution 2"])
@click.option("--institution", type=INSTITUTION, help="Of this institution only.")
@since_option
@index_option
@reading
def batches(session: Session, institution: int | None, since: int | None, index: str) -> Output:
    """List the batches that were issued."""
    from medledger.index import questions

    with session.index(session.auditor(), index) as opened:
        found = list(questions.batches(opened, institution=institution, since=since))
    rows = [
        (
            time_text(batch.time),
            batch.contract,
            format_number(batch.first),
            str(batch.count),
            str(batch.institution),
            f"0x{batch.transaction.hex()}",
        )
        for batch in found
    ]
    columns = ("time", "ledger", "first", "count", "institution", "transaction")
    return _listed("batches", found, Table(columns, rows))


@audit.command("segments", cls=Command, examples=["medledger audit segments --json"])
@click.option("--institution", type=INSTITUTION, help="Of this institution only.")
@index_option
@reading
def segments(session: Session, institution: int | None, index: str) -> Output:
    """List the number segments: what is issued, what is left, and gaps."""
    from medledger.index import questions

    with session.index(session.auditor(), index) as opened:
        found = questions.segments(opened, institution=institution)
    rows = [
        (
            one.contract,
            str(one.segment),
            str(one.institution),
            f"{format_number(one.first)} to {format_number(one.last)}",
            f"{one.issued:,}",
            f"{one.left:,}",
            str(len(one.gaps)),
        )
        for one in found
    ]
    columns = ("ledger", "segment", "institution", "numbers", "issued", "left", "gaps")
    return _listed("segments", found, Table(columns, rows))


@audit.command("institution", cls=Command, examples=["medledger audit institution 2"])
@click.argument("institution", type=INSTITUTION)
@index_option
@reading
def institution(session: Session, institution: int, index: str) -> Output:
    """Show what an institution is, its keys, and how often it acted."""
    from medledger.index import questions

    with session.index(session.auditor(), index) as opened:
        found = questions.institution_record(opened, institution)
    if not found.acts:
        raise NotFound(what=f"institution {institution}", where=f"the index {index}")
    rows: dict[str, object] = {
        "kinds": " + ".join(kind.name.lower() for kind in Kind if kind & found.kinds and kind.name),
        "valid until": time_text(found.valid_until),
        "suspended": "yes" if found.is_suspended else "no",
        "last act": time_text(found.last_act),
    }
    rows |= {f"key {key}": "may act" if may else "removed" for key, may in found.operators.items()}
    rows |= {name: f"{count:,}" for name, count in sorted(found.acts.items())}
    return Output(asdict(found), [f"institution {institution}", *pairs(rows)])


@audit.command(
    "claims", cls=Command, examples=["medledger audit claims --payer 21 --status expired"]
)
@click.option("--payer", type=INSTITUTION, help="Of this payer only.")
@click.option(
    "--status",
    type=click.Choice(
        [
            "locked",
            "expired",
            "withdrawn",
            "denied",
            "waived",
            "settled",
            "booked",
            "archived",
        ]
    ),
    help="In this status only.",
)
@index_option
@reading
def claims(session: Session, payer: int | None, status: str | None, index: str) -> Output:
    """List where payers stand with the bills that they acted on."""
    from medledger.index import questions

    with session.index(session.auditor(), index) as opened:
        found = questions.claims(opened, at=opened.last_time(), payer=payer, status=status)
    rows = [
        (
            format_number(one.number),
            str(one.payer),
            one.status,
            str(one.amount_minor),
            time_text(one.time),
        )
        for one in found
    ]
    columns = ("bill", "payer", "status", "amount (minor units)", "since")
    return _listed("claims", found, Table(columns, rows))


@audit.command("overdue", cls=Command, examples=["medledger audit overdue"])
@index_option
@reading
def overdue(session: Session, index: str) -> Output:
    """List prescriptions that a pharmacy or its courier has kept beyond the lease."""
    from medledger.index import questions

    with session.index(session.auditor(), index) as opened:
        found = questions.overdue(opened, at=opened.last_time())
    rows = [
        (
            format_number(one.number),
            str(one.pharmacy),
            str(one.courier or ""),
            time_text(one.lease_until),
        )
        for one in found
    ]
    columns = ("prescription", "pharmacy", "courier", "lease ended")
    return _listed("overdue", found, Table(columns, rows))


@audit.command("check", cls=Command, examples=["medledger audit check --since 2026-11-01 --json"])
@since_option
@click.option(
    "--storage/--no-storage",
    "compares",
    default=True,
    show_default=True,
    help="Compare what the contracts hold at the last block read, too.",
)
@index_option
@reading
def check(session: Session, since: int | None, compares: bool, index: str) -> Output:
    """Look for what no contract may hold, and for what a person should look at.

    The state is rebuilt from the events, its invariants are checked, and storage is compared with
    it; then each rule looks for its own. Exits with 8 if anything is found, so that a scheduler can
    tell.
    """
    from medledger.index import findings

    auditor = session.auditor()
    with session.index(auditor, index) as opened:
        rebuilt = auditor.rebuild(opened, compares=compares)
        found = findings.broken(rebuilt.mismatches)
        found += findings.check(opened, since=since or 0)
    data = {
        "findings": [
            {
                "rule": one.rule,
                "severity": one.severity,
                "what": one.what,
                "time": one.time,
                "evidence": [
                    {"event": e.name, "block": e.block, "transaction": e.transaction}
                    for e in one.evidence
                ],
            }
            for one in found
        ]
    }
    rows = [
        (one.severity, one.rule, time_text(one.time) if one.evidence else "", one.what)
        for one in found
    ]
    failure = IrregularityFound(count=len(found), first=found[0].what) if found else None
    shown: list[str | Table] = [Table(("severity", "rule", "last event", "what"), rows)]
    return Output(data, shown if found else ["nothing found"], failure)


for _command in (analysis.export, analysis.summary, analysis.report):
    audit.add_command(_command)


def _listed(name: str, found: Sequence[Any], table: Table) -> Output:
    """A list of records: numbers as printed on documents, the rest as it is."""
    data = {
        name: [
            {key: format_number(v) if _is_number(key, v) else v for key, v in asdict(one).items()}
            for one in found
        ]
    }
    return Output(data, [table])


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
    if entry.standing == Standing.RED_LETTER:
        data["original"] = format_number(ledgers.invoices.original_of(number))
    if opened:
        data |= {
            "patient": entry.patient,
            "born_on_hold": entry.born_on_hold,
            "currency": entry.currency,
            "claimable_minor": ledgers.invoices.claimable_of(number),
            "issued_claimable_minor": entry.claimable,
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
    entry = auditor.ledgers.prescriptions.prescription_of(number)
    data: dict[str, Any] = {"opened": entry.patient != ZERO_ADDRESS, "state": entry.state}
    if data["opened"]:
        data |= {
            "patient": entry.patient,
            "born_on_hold": entry.born_on_hold,
            "remaining": list(entry.remaining[: entry.lines]),
            "parcel": list(entry.parcel[: entry.lines]),
            "repeats_left": entry.repeats_left,
            "pharmacy": entry.pharmacy or None,
            "courier": entry.courier or None,
            "lease_until": entry.lease_until or None,
            "delivered_at": entry.delivered_at or None,
            "cancel_requested": entry.cancel_requested,
        }
    return data


def _licence(auditor: Auditor, number: int) -> dict[str, Any]:
    entry = auditor.ledgers.licences.licence_of(number)
    data: dict[str, Any] = {"opened": entry.valid_until != 0}
    if data["opened"]:
        data |= {
            "valid": auditor.is_valid_at(number),
            "licence_type": entry.licence_type,
            "valid_from": entry.valid_from,
            "valid_until": entry.valid_until,
        }
    return data | {
        "suspended_from": entry.suspended_from or None,
        "revoked_from": entry.revoked_from or None,
    }


def _record(auditor: Auditor, number: int) -> dict[str, Any]:
    records = auditor.ledgers.records
    entry = records.record_of(number)
    data: dict[str, Any] = {"opened": entry.patient != ZERO_ADDRESS}
    if data["opened"]:
        latest = records.latest_of(number)
        data |= {
            "patient": entry.patient,
            "record_type": entry.record_type,
            "amended_by": None if latest == number else format_number(latest),
        }
    return data


_STATE_OF = {
    "Invoice": _invoice,
    "Prescription": _prescription,
    "Licence": _licence,
    "Record": _record,
}


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


def _reads(
    session: Session, store: str, number: DocumentNumber, kind: DocumentKind
) -> list[tuple[Read, dict[str, Any]]]:
    hospital = replace(session, store=store).archive()
    try:
        return told_reads(hospital.reads_of(number, kind))
    finally:
        hospital.close()


def _happened(
    steps: Sequence[Step], attempts: Sequence[Refused], reads: Sequence[Read]
) -> list[tuple[str, ...]]:
    """The rows of all that happened to a document, oldest first."""
    found = [
        (step.time, step.block, step.name, _details(step), f"0x{step.transaction.hex()}")
        for step in steps
    ]
    found += [
        (one.time, one.block, one.name, f"by {one.sender}", f"0x{one.transaction.hex()}")
        for one in attempts
    ]
    # A read has the time of the latest block then: what is in that block came before.
    found += [(one.at, LATEST, "read", _reader(one), "") for one in reads]
    found.sort(key=lambda row: row[:2])
    return [(time_text(time), *row) for time, _, *row in found]


def _reader(entry: Read) -> str:
    return f"institution {entry.institution}, {entry.reader}, {purpose_text(entry)}"


def _step_data(step: Step) -> dict[str, Any]:
    return {
        "time": step.time,
        "block": step.block,
        "transaction": step.transaction,
        "event": step.name,
        **_values(step),
    }


def _attempt_data(one: Refused) -> dict[str, Any]:
    return {
        "time": one.time,
        "block": one.block,
        "transaction": one.transaction,
        "contract": one.contract,
        "function": one.function,
        "by": one.sender,
    }


def _values(step: Step) -> dict[str, Any]:
    """What the event says, as machines read it."""
    found = asdict(step.event)
    return {key: format_number(v) if _is_number(key, v) else v for key, v in found.items()}


def _details(step: Step) -> str:
    """What the event says, as people read it; the document's own number is known."""
    return ", ".join(_told(_values(step)))


def _told(values: Mapping[str, Any], of: str = "") -> Iterator[str]:
    """Each value with its name; of a struct, which is called `of`, those that say something."""
    for key, value in values.items():
        if key in ("number", "by", "root", "patient", "explanation", "payment"):
            continue
        if isinstance(value, dict):
            yield from _told(value, f"{key} ")
        elif value not in (0, ZERO_ADDRESS) or not (of or key in _TIMES):
            yield f"{of}{key.replace('_', ' ')} {_shown(key, value)}"


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
