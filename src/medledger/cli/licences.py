"""`licence`: what an authority does with licences, and what anybody asks of one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from medledger.cli.command import Command, Family
from medledger.cli.issuing import issue_stream, stream_options
from medledger.cli.options import (
    IN_FILE,
    TIME,
    acting,
    number_argument,
    reading,
    reason_option,
    storing,
)
from medledger.cli.output import Output, Table, act_output, pairs, time_text
from medledger.cli.session import Session, read_evidence
from medledger.core.numbers import DocumentNumber, format_number


@click.group("licence", cls=Family)
def licence() -> None:
    """Issue, renew, suspend and revoke licences; compare them."""


@licence.command(
    "issue",
    cls=Command,
    examples=[
        "medledger licence issue licences.ndjson --key authority.key --store sqlite:///authority.db"
    ],
)
@click.argument("source", type=IN_FILE)
@stream_options
@storing
def issue(session: Session, source: Path, endorse: str | None, **order: Any) -> Output:
    """Issue licences of an NDJSON stream, in batches.

    SOURCE is a file with one licence a line, gzip or not, or - for standard input. Each is issued
    once: run it again at any time.
    """
    return issue_stream(session.authority(endorse), source, "Licence", **order)


@licence.command(
    "open", cls=Command, examples=["medledger licence open licence.json --key authority.key"]
)
@click.argument("file", type=IN_FILE)
@acting
def open_(session: Session, file: Path) -> Output:
    """Open a licence, so that contracts can ask whether it is valid.

    FILE is its evidence, or - for standard input. Anybody may open one.
    """
    evidence = read_evidence(file)
    receipt = session.authority().open(evidence)
    return act_output(evidence.number, "opened", receipt)


@licence.command(
    "renew",
    cls=Command,
    examples=["medledger licence renew 33080126-0000000003 --until 2030-01-01 --key authority.key"],
)
@number_argument
@click.option(
    "--until", type=TIME, required=True, help="New last second, ISO 8601 or Unix seconds."
)
@reason_option("Why")
@acting
def renew(session: Session, number: DocumentNumber, until: int, reason: int) -> Output:
    """Move the end of an opened licence.

    The time between its old end and a late renewal stays not valid.
    """
    receipt = session.authority().renew(number, until, reason=reason)
    said = f"valid until {time_text(until)}"
    return act_output(number, said, receipt, valid_until=until, reason=reason)


@licence.command(
    "suspend",
    cls=Command,
    examples=["medledger licence suspend 33080126-0000000003 --reason 3 --key authority.key"],
)
@number_argument
@reason_option("Why", required=True)
@acting
def suspend(session: Session, number: DocumentNumber, reason: int) -> Output:
    """Suspend a licence from now on."""
    receipt = session.authority().suspend(number, reason=reason)
    return act_output(number, "suspended", receipt, reason=reason)


@licence.command(
    "lift",
    cls=Command,
    examples=["medledger licence lift 33080126-0000000003 --key authority.key"],
)
@number_argument
@reason_option("Why")
@acting
def lift(session: Session, number: DocumentNumber, reason: int) -> Output:
    """Lift a suspension: the licence is valid again from now on."""
    receipt = session.authority().lift(number, reason=reason)
    return act_output(number, "no longer suspended", receipt, reason=reason)


@licence.command(
    "revoke",
    cls=Command,
    examples=["medledger licence revoke 33080126-0000000003 --reason 9 --key authority.key"],
)
@number_argument
@reason_option("Why", required=True)
@acting
def revoke(session: Session, number: DocumentNumber, reason: int) -> Output:
    """Revoke a licence from now on, for good."""
    receipt = session.authority().revoke(number, reason=reason)
    return act_output(number, "revoked", receipt, reason=reason)


@licence.command(
    "match",
    cls=Command,
    examples=['medledger licence match licence.json --field holderName --value "Zhang San"'],
)
@click.argument("file", type=IN_FILE)
@click.option("--field", required=True, help="Name of the field, opened in the evidence.")
@click.option("--value", required=True, help="What is presented: text, or JSON with --json-value.")
@click.option("--json-value", is_flag=True, help="The value is JSON: a number, a list, an object.")
@reading
def match(session: Session, file: Path, field: str, value: str, json_value: bool) -> Output:
    """Compare what somebody presents with the licence on chain.

    FILE is evidence of the holder's, with that field opened. Nothing gets on chain; the node that
    is asked sees the field. Says also whether the licence is valid now, where it has been opened.
    """
    from medledger.core.canonical import parse_strict

    evidence = read_evidence(file)
    auditor = session.auditor()
    matches = auditor.matches(evidence, field, parse_strict(value) if json_value else value)
    valid = auditor.is_valid_at(evidence.number)
    data = {
        "number": format_number(evidence.number),
        "field": field,
        "matches": matches,
        "valid_now": valid,
    }
    said = "is" if matches else "is NOT"
    return Output(
        data,
        [
            f"{data['number']}: {field} {said} what is presented",
            *pairs({"valid now": "yes" if valid else "no"}),
        ],
    )


@licence.command(
    "show",
    cls=Command,
    examples=["medledger licence show 33080126-0000000003 --at 2026-01-05T09:30:00Z"],
)
@number_argument
@click.option(
    "--at", type=TIME, help="Valid when? ISO 8601 or Unix seconds; by default the latest block's."
)
@reading
def show(session: Session, number: DocumentNumber, at: int | None) -> Output:
    """Show an opened licence: its validity, at a time or now, and its interruptions."""
    auditor = session.auditor()
    licences = auditor.ledgers.licences
    time = auditor.now() if at is None else at
    entry = licences.licence_of(number)
    kept = licences.interruptions_of(number)
    valid = licences.is_valid_at(number, time)
    data = {
        "number": format_number(number),
        "at": time,
        "valid": valid,
        "opened": entry.valid_until != 0,
        "licence_type": entry.licence_type,
        "valid_from": entry.valid_from,
        "valid_until": entry.valid_until,
        "suspended_from": entry.suspended_from or None,
        "revoked_from": entry.revoked_from or None,
        "interruptions": [{"since": one.since, "until": one.until} for one in kept],
    }
    rows: dict[str, object] = {"valid": "yes" if valid else "no", "at": time_text(time)}
    if data["opened"]:
        rows |= {
            "type": entry.licence_type,
            "from": time_text(entry.valid_from),
            "until": time_text(entry.valid_until),
        }
    if entry.suspended_from:
        rows["suspended from"] = time_text(entry.suspended_from)
    if entry.revoked_from:
        rows["revoked from"] = time_text(entry.revoked_from)
    lines: list[str | Table] = [f"{data['number']} (licence)", *pairs(rows)]
    if kept:
        gaps = [(time_text(one.since), time_text(one.until)) for one in kept]
        lines.append(Table(("not valid from", "until"), gaps))
    return Output(data, lines)
