"""What a supervisor does: accredit, suspend, allot numbers and withdraw them, endorse, pause."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from medledger.cli.command import Command, Family
from medledger.cli.options import (
    ADDRESS,
    BILL_CODE,
    IN_FILE,
    INSTITUTION,
    OUT_FILE,
    REGION,
    SEGMENT,
    SERIAL,
    TIME,
    acting,
    kind_option,
    reading,
    reason_option,
)
from medledger.cli.output import Output, Table, file_output, receipt_output, time_text
from medledger.cli.session import Session, deadline_after, read_act
from medledger.core.numbers import document_number, format_number
from medledger.core.states import Kind

if TYPE_CHECKING:
    from medledger.chain.bindings import SegmentEntry
    from medledger.core.numbers import DocumentKind

HOUR = 3600
KINDS = [kind.name.lower() for kind in Kind if kind.name]

institution_argument = click.argument("institution", type=INSTITUTION)


@click.command(
    "accredit",
    cls=Command,
    examples=[
        'medledger accredit --kind hospital --name "County Hospital" '
        "--operator 0x4B20993Bc481177ec7E8f571ceCaE8A9e22C02db --key supervisor.key",
    ],
)
@click.option(
    "--kind",
    "kinds",
    type=click.Choice(KINDS),
    multiple=True,
    required=True,
    help="What it may act as; give it again for several.",
)
@click.option(
    "--name",
    required=True,
    help="Its name exactly as on its documents; only the hash goes on chain.",
)
@click.option(
    "--operator",
    type=ADDRESS,
    required=True,
    help="Address of its first key (medledger key address FILE).",
)
@click.option(
    "--region",
    type=REGION,
    default=0,
    show_default=True,
    help="Area code of six digits; 0 is nationwide.",
)
@click.option(
    "--valid-until",
    type=TIME,
    help="End of the accreditation, ISO 8601 or Unix seconds; without it there is none.",
)
@acting
def accredit(
    session: Session,
    kinds: tuple[str, ...],
    name: str,
    operator: str,
    region: int,
    valid_until: int | None,
) -> Output:
    """Accredit an institution with its first operator.

    Prints its id, by which everything else knows it.
    """
    supervisor = session.supervisor()
    from medledger.core.hashing import name_hash
    from medledger.roles.supervisor import FOREVER

    kind = Kind(sum({Kind[name.upper()] for name in kinds}))
    until = FOREVER if valid_until is None else valid_until
    institution = supervisor.accredit(name, kind, operator, region=region, valid_until=until)
    return Output(
        {
            "institution": institution,
            "kinds": sorted(set(kinds)),
            "name_hash": name_hash(name),
            "operator": operator,
            "region": region,
            "valid_until": valid_until,
        },
        [
            f"institution {institution} is accredited as {', '.join(sorted(set(kinds)))}",
            f"operator {operator}",
        ],
    )


@click.command(
    "renew",
    cls=Command,
    examples=["medledger renew 2 --valid-until 2027-12-31 --key supervisor.key"],
)
@institution_argument
@click.option(
    "--valid-until", type=TIME, required=True, help="The new end, ISO 8601 or Unix seconds."
)
@acting
def renew(session: Session, institution: int, valid_until: int) -> Output:
    """Move the end of an accreditation."""
    receipt = session.supervisor().renew(institution, valid_until)
    return receipt_output(
        f"institution {institution} is accredited until {time_text(valid_until)}",
        receipt,
        institution=institution,
        valid_until=valid_until,
    )


@click.group("operator", cls=Family)
def operator() -> None:
    """Add and remove the keys that act for an institution."""


@operator.command(
    "consent",
    cls=Command,
    examples=["medledger operator consent --institution 2 --key second.key --out consent.json"],
)
@click.option(
    "--institution", type=INSTITUTION, required=True, help="For whom the new key will act."
)
@click.option(
    "--hours",
    type=click.IntRange(1, 24 * 366),
    default=24,
    show_default=True,
    help="For how long the institution may use it.",
)
@click.option(
    "--out", type=OUT_FILE, metavar="FILE", help="Write to a private file, not to standard output."
)
@acting
def consent(session: Session, institution: int, hours: int, out: Path | None) -> Output:
    """Sign with the new key itself that it will act for an institution.

    Who adds the key needs this: nobody can take a key that is another's.
    """
    role = session.supervisor()
    deadline = deadline_after(role.ledgers, hours * HOUR)
    signed = role.consent(institution, deadline=deadline)
    return file_output(
        signed.to_json(),
        out,
        f"{signed.signer} consents to act for institution {institution} until "
        f"{time_text(deadline)}, says {out}",
        operator=signed.signer,
        institution=institution,
        deadline=deadline,
    )


@operator.command(
    "add",
    cls=Command,
    examples=["medledger operator add consent.json --key hospital.key"],
)
@click.argument("file", type=IN_FILE)
@acting
def add(session: Session, file: Path) -> Output:
    """Let the key that signed the consent in FILE act for its institution.

    A supervisor or an operator of that institution may do so. A key acts for one institution, once.
    """
    given = read_act(file)
    receipt = session.supervisor().add_operator(given)
    from medledger.core.hashing import OperatorConsent

    institution = given.message_as(OperatorConsent).institution
    return receipt_output(
        f"{given.signer} acts for institution {institution}",
        receipt,
        operator=given.signer,
        institution=institution,
    )


@operator.command(
    "remove",
    cls=Command,
    examples=[
        "medledger operator remove 0x4B20993Bc481177ec7E8f571ceCaE8A9e22C02db --key supervisor.key"
    ],
)
@click.argument("address", type=ADDRESS)
@acting
def remove(session: Session, address: str) -> Output:
    """End the key of ADDRESS; what it did stays valid.

    A supervisor ends any key but its own last one; any other key ends itself only.
    """
    receipt = session.supervisor().remove_operator(address)
    return receipt_output(f"{address} acts for nobody any more", receipt, operator=address)


@click.command(
    "suspend", cls=Command, examples=["medledger suspend 2 --reason 7 --key supervisor.key"]
)
@institution_argument
@reason_option("Why", required=True)
@acting
def suspend(session: Session, institution: int, reason: int) -> Output:
    """Stop an institution; what it issued stays valid."""
    receipt = session.supervisor().suspend(institution, reason)
    return receipt_output(
        f"institution {institution} is suspended",
        receipt,
        institution=institution,
        reason=reason,
    )


@click.command("reinstate", cls=Command, examples=["medledger reinstate 2 --key supervisor.key"])
@institution_argument
@acting
def reinstate(session: Session, institution: int) -> Output:
    """End a suspension."""
    receipt = session.supervisor().reinstate(institution)
    return receipt_output(
        f"institution {institution} is not suspended any more", receipt, institution=institution
    )


@click.command(
    "allot",
    cls=Command,
    examples=[
        "medledger allot --institution 2 --code 46060126 --first 1 --last 1000000 "
        "--key supervisor.key",
        "medledger allot --kind prescription --institution 2 --code 46080126 --first 1 "
        "--last 1000000 --key supervisor.key",
        "medledger allot --institution 2 --code 46060226 --first 1 --last 1000000 --endorsed "
        "--key supervisor.key",
    ],
)
@click.option(
    "--institution", type=INSTITUTION, required=True, help="The hospital that may use the numbers."
)
@click.option(
    "--code",
    type=BILL_CODE,
    required=True,
    help="Bill code of 8 digits: region, class, kind and year, two each.",
)
@click.option("--first", type=SERIAL, required=True, help="First bill number.")
@click.option("--last", type=SERIAL, required=True, help="Last bill number.")
@kind_option("What the numbers are for.")
@click.option(
    "--endorsed", is_flag=True, help="Each batch needs a supervisor's signature: medledger endorse."
)
@acting
def allot(
    session: Session,
    institution: int,
    code: int,
    first: int,
    last: int,
    kind: DocumentKind,
    *,
    endorsed: bool,
) -> Output:
    """Allot a segment of document numbers to a hospital.

    Serials of one code are allotted upwards: FIRST must be above every serial allotted before.
    """
    segment = session.supervisor().allot(institution, code, first, last, kind, endorsed=endorsed)
    low, high = (format_number(document_number(code, serial)) for serial in (first, last))
    return Output(
        {
            "segment": segment,
            "institution": institution,
            "kind": kind,
            "first": low,
            "last": high,
            "endorsed": endorsed,
        },
        [
            f"segment {segment}, {low} to {high}, is institution {institution}'s"
            + (", each batch to be endorsed" if endorsed else "")
        ],
    )


@click.command(
    "withdraw",
    cls=Command,
    examples=["medledger withdraw 3 --reason 1 --key supervisor.key"],
)
@click.argument("segment", type=SEGMENT)
@kind_option("Which ledger the segment is of.")
@reason_option("Why it is withdrawn", required=True)
@acting
def withdraw(session: Session, segment: int, kind: DocumentKind, reason: int) -> Output:
    """Withdraw what is left of a segment, for good.

    What was issued stays. The other numbers are never issued, by nobody.
    """
    supervisor = session.supervisor()
    receipt = supervisor.withdraw(segment, reason, kind)
    from medledger.roles.segments import fetch_all_segments

    row = segment_row(segment, fetch_all_segments(supervisor.ledgers, kind)[segment])
    return receipt_output(
        f"segment {segment}: {row['never_issued'][0]} to {row['never_issued'][1]} are never issued",
        receipt,
        **row,
        kind=kind,
        reason=reason,
    )


@click.command(
    "endorse",
    cls=Command,
    examples=[
        "medledger endorse request.json --key supervisor.key",
        "medledger endorse - --key supervisor.key < request.json",
    ],
)
@click.argument("file", type=IN_FILE)
@click.option(
    "--out", type=OUT_FILE, metavar="FILE", help="Write to a private file, not to standard output."
)
@acting
def endorse(session: Session, file: Path, out: Path | None) -> Output:
    """Sign the batch that a hospital asks to issue.

    FILE is the hospital's request, or - for standard input: its command `issue` or `prescribe` runs
    this one with --endorse. The supervisor sees numbers and a root, and no document.
    """
    request = read_act(file)
    signed = session.supervisor().endorse(request)
    from medledger.core.hashing import BatchEndorsement

    batch = signed.message_as(BatchEndorsement)
    first, last = (format_number(n) for n in (batch.first, batch.first + batch.count - 1))
    return file_output(
        signed.to_json(),
        out,
        f"{first} to {last}: endorsed until {time_text(batch.deadline)}, says {out}",
        first=first,
        last=last,
        deadline=batch.deadline,
    )


@click.command(
    "segments",
    cls=Command,
    examples=["medledger segments", "medledger segments --kind prescription --json"],
)
@kind_option("Which ledger.")
@reading
def segments(session: Session, kind: DocumentKind) -> Output:
    """Show all segments of numbers: what is issued, left, used up, and never issued."""
    auditor = session.auditor()
    from medledger.roles.segments import fetch_all_segments

    rows = [segment_row(id_, one) for id_, one in fetch_all_segments(auditor.ledgers, kind).items()]
    table = Table(
        ("segment", "institution", "first", "last", "issued", "left", "endorsed", "never issued"),
        [
            (
                str(row["segment"]),
                str(row["institution"]),
                row["first"],
                row["last"],
                str(row["issued"]),
                "used up" if row["used_up"] else str(row["left"]),
                "yes" if row["endorsed"] else "no",
                " to ".join(row["never_issued"] or ()),
            )
            for row in rows
        ],
    )
    return Output({"kind": kind, "segments": rows}, [table])


def segment_row(id_: int, entry: SegmentEntry) -> dict[str, Any]:
    """What `segments` says of one segment; `never_issued` is the gap that a withdrawal left."""
    left = entry.last + 1 - entry.next
    gap = (format_number(entry.next), format_number(entry.last)) if entry.withdrawn else None
    return {
        "segment": id_,
        "institution": entry.institution,
        "first": format_number(entry.first),
        "last": format_number(entry.last),
        "issued": entry.next - entry.first,
        "left": 0 if entry.withdrawn else left,
        "used_up": left == 0,
        "endorsed": entry.endorsed,
        "never_issued": gap,
    }


@click.command(
    "pause", cls=Command, examples=["medledger pause --kind invoice --key supervisor.key"]
)
@kind_option("Which ledger.")
@acting
def pause(session: Session, kind: DocumentKind) -> Output:
    """Stop issuing and first use in one ledger.

    What has begun can be finished.
    """
    receipt = session.supervisor().pause(kind)
    return receipt_output(f"the ledger of {kind.lower()}s is paused", receipt, kind=kind)


@click.command(
    "unpause", cls=Command, examples=["medledger unpause --kind invoice --key supervisor.key"]
)
@kind_option("Which ledger.")
@acting
def unpause(session: Session, kind: DocumentKind) -> Output:
    """End a pause."""
    receipt = session.supervisor().unpause(kind)
    return receipt_output(
        f"the ledger of {kind.lower()}s is not paused any more", receipt, kind=kind
    )
