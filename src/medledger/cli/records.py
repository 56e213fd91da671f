"""`record`: consultations and treatments, who may read them, and who did."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from medledger.cli.command import Command, Family
from medledger.cli.issuing import issue_stream, stream_options
from medledger.cli.options import IN_FILE, acting, number_argument, storing
from medledger.cli.output import Output, act_output
from medledger.cli.reads import day_text, read_output, reader_options, reads_command
from medledger.cli.session import Session, read_authorisation, read_file
from medledger.core.numbers import DocumentNumber, format_number
from medledger.errors import InvalidDocument


@click.group("record", cls=Family)
def record() -> None:
    """Issue and amend records, and log who reads them."""


@record.command(
    "issue", cls=Command, examples=["medledger record issue records.ndjson --key hospital.key"]
)
@click.argument("source", type=IN_FILE)
@stream_options
@storing
def issue(session: Session, source: Path, endorse: str | None, **order: Any) -> Output:
    """Issue records of an NDJSON stream, in batches.

    SOURCE is a file with one record a line, gzip or not, or - for standard input. Each is issued
    once: run it again at any time.
    """
    return issue_stream(session.hospital(endorse), source, "Record", **order)


@record.command(
    "open",
    cls=Command,
    examples=["medledger record open 21020126-0000000009 --key hospital.key"],
)
@number_argument
@storing
def open_(session: Session, number: DocumentNumber) -> Output:
    """Open a record, so that its patient can grant access to it."""
    hospital = session.hospital()
    try:
        receipt = hospital.open_record(number)
    finally:
        hospital.close()
    return act_output(number, "opened", receipt)


@record.command(
    "amend", cls=Command, examples=["medledger record amend amended.json --key hospital.key"]
)
@click.argument("file", type=IN_FILE)
@storing
def amend(session: Session, file: Path) -> Output:
    """Issue a record that takes the place of an earlier one, and open both.

    FILE has one record whose amends is the number of the newest version, or is - for standard
    input. Run it again at any time: it is issued once.
    """
    from medledger.core.canonical import parse_strict
    from medledger.core.documents import Record
    from medledger.formats.json import document_of

    document = document_of(parse_strict(read_file(file)), "Record")
    if not isinstance(document, Record) or document.amends is None:
        raise InvalidDocument(field="amends", problem="names no record")
    hospital = session.hospital()
    try:
        receipt = hospital.amend(document)
    finally:
        hospital.close()
    number, amended = format_number(receipt.number), format_number(document.amends)
    data = {"number": number, "amends": amended, "issued_now": receipt.is_new}
    return Output(data, [f"{number}: takes the place of {amended}"])


@record.command(
    "grant",
    cls=Command,
    examples=["medledger record grant access.json --key hospital.key"],
)
@click.argument("file", type=IN_FILE)
@acting
def grant(session: Session, file: Path) -> Output:
    """Relay a patient's grant: medledger authorise access made FILE."""
    signed = read_authorisation(file)
    receipt = session.hospital().grant(signed)
    return act_output(signed.message.number, "access is granted", receipt)


@record.command(
    "revoke",
    cls=Command,
    examples=["medledger record revoke revocation.json --key hospital.key"],
)
@click.argument("file", type=IN_FILE)
@acting
def revoke(session: Session, file: Path) -> Output:
    """Relay a patient's revocation: medledger authorise revocation made FILE."""
    signed = read_authorisation(file)
    receipt = session.hospital().revoke_grant(signed)
    return act_output(signed.message.number, "access is revoked", receipt)


@record.command(
    "read",
    cls=Command,
    examples=[
        "medledger record read 21020126-0000000009 --institution 4 --reader D1 --purpose treat "
        "--out record.json --key hospital.key"
    ],
)
@number_argument
@reader_options
@storing
def read(session: Session, number: DocumentNumber, out: Path | None, **reader: Any) -> Output:
    """Give a record to a reader, by the patient's grant, and log it first.

    Writes its evidence, with all fields opened.
    """
    hospital = session.hospital()
    try:
        found = hospital.read(number, **reader)
    finally:
        hospital.close()
    return read_output(found, out, **reader)


record.add_command(reads_command("Record", "21020126-0000000009"))


@record.command("anchor", cls=Command, examples=["medledger record anchor --key hospital.key"])
@storing
def anchor(session: Session) -> Output:
    """Anchor on chain what was read up to today; do this once a day.

    Reads of records and of prescriptions are in one log. A read after this counts to tomorrow.
    """
    hospital = session.hospital()
    try:
        days = hospital.anchor_reads()
    finally:
        hospital.close()
    data = {
        "days": [{"day": one.day, "count": one.count, "root": one.root} for one in days],
    }
    lines = [f"{day_text(one.day)}: {one.count} reads anchored" for one in days]
    return Output(data, lines or ["Nothing new was read."])
