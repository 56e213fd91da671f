"""`record`: consultations and treatments, who may read them, and who did."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from medledger.cli.command import Command, Family
from medledger.cli.issuing import issue_stream, stream_options
from medledger.cli.options import (
    IN_FILE,
    INSTITUTION,
    OUT_FILE,
    acting,
    number_argument,
    storing,
)
from medledger.cli.output import Output, Table, act_output, file_output, time_text
from medledger.cli.session import Session, read_authorisation, read_file
from medledger.core.numbers import DocumentNumber, format_number
from medledger.core.states import Purpose
from medledger.errors import InvalidDocument, NotFound

if TYPE_CHECKING:
    from medledger.roles import Hospital

PURPOSES = [purpose.name.lower() for purpose in Purpose]


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
@click.option("--institution", type=INSTITUTION, required=True, help="Whose reader it is.")
@click.option("--reader", required=True, help="Who reads: a code of that institution's.")
@click.option(
    "--purpose",
    type=click.Choice(PURPOSES),
    required=True,
    help="What for (HL7 PurposeOfUse). Only etreat reads without a grant, and is marked.",
)
@click.option(
    "--out", type=OUT_FILE, metavar="FILE", help="Write to a private file, not to standard output."
)
@storing
def read(
    session: Session,
    number: DocumentNumber,
    institution: int,
    reader: str,
    purpose: str,
    out: Path | None,
) -> Output:
    """Give a record to a reader, by the patient's grant, and log it first.

    Writes its evidence, with all fields opened.
    """
    hospital = session.hospital()
    try:
        found = hospital.read(number, institution, reader, Purpose[purpose.upper()])
    finally:
        hospital.close()
    shown = format_number(number)
    return file_output(
        found.to_json(),
        out,
        f"{shown}: read by {reader} of institution {institution}, in {out}",
        number=shown,
        institution=institution,
        purpose=purpose,
    )


@record.command(
    "reads",
    cls=Command,
    examples=[
        "medledger record reads 21020126-0000000009 --key hospital.key",
        "medledger record reads 21020126-0000000009 --prove 1 --out read.json --key hospital.key",
    ],
)
@number_argument
@click.option(
    "--prove",
    type=click.IntRange(min=1),
    metavar="N",
    help="Write the proof of the N-th read of this list.",
)
@click.option("--out", type=OUT_FILE, metavar="FILE", help="With --prove: write to a private file.")
@storing
def reads(session: Session, number: DocumentNumber, prove: int | None, out: Path | None) -> Output:
    """List who read a record, from the hospital's log, or prove one of them."""
    hospital = session.hospital()
    try:
        return _list(hospital, number) if prove is None else _prove(hospital, number, prove, out)
    finally:
        hospital.close()


@record.command("anchor", cls=Command, examples=["medledger record anchor --key hospital.key"])
@storing
def anchor(session: Session) -> Output:
    """Anchor on chain what was read up to today; do this once a day.

    A read after it counts to tomorrow.
    """
    hospital = session.hospital()
    try:
        days = hospital.anchor_reads()
    finally:
        hospital.close()
    data = {
        "days": [{"day": one.day, "count": one.count, "root": one.root} for one in days],
    }
    lines = [f"{_day(one.day)}: {one.count} reads anchored" for one in days]
    return Output(data, lines or ["Nothing new was read."])


def _list(hospital: Hospital, number: DocumentNumber) -> Output:
    from medledger.core.reads import read_of_bytes

    rows = hospital.reads_of(number)
    entries = [read_of_bytes(row.entry) for row in rows]
    data = {
        "number": format_number(number),
        "reads": [
            entry.json() | {"day": row.day} for entry, row in zip(entries, rows, strict=True)
        ],
    }
    table = [
        (
            time_text(entry.at),
            str(entry.institution),
            entry.reader,
            entry.purpose.name.lower() + (" (broke the glass)" if entry.broke_glass else ""),
            _day(row.day),
        )
        for entry, row in zip(entries, rows, strict=True)
    ]
    title = f"{data['number']} (record): {len(rows)} reads"
    heads = ("time", "institution", "reader", "purpose", "counted to")
    return Output(data, [title, Table(heads, table)] if table else [title])


def _prove(hospital: Hospital, number: DocumentNumber, prove: int, out: Path | None) -> Output:
    rows = hospital.reads_of(number)
    if prove > len(rows):
        raise NotFound(what=f"read {prove}", where=f"the {len(rows)} reads of this record")
    proof = hospital.prove_read(rows[prove - 1])
    sentence = f"{format_number(number)}: proof of read {prove} in {out}"
    return file_output(proof.to_json(), out, sentence, day=proof.day, count=proof.count)


def _day(day: int) -> str:
    return time_text(day * 24 * 3600)[:10]
