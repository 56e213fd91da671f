"""What a supervisor does: accredit, suspend, allot numbers, pause."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from medledger.cli.command import Command, Family
from medledger.cli.options import (
    ADDRESS,
    BILL_CODE,
    INSTITUTION,
    REGION,
    SERIAL,
    TIME,
    acting,
    kind_option,
    reason_option,
)
from medledger.cli.output import Output, receipt_output, time_text
from medledger.cli.session import Session
from medledger.core.numbers import document_number, format_number
from medledger.core.states import Kind

if TYPE_CHECKING:
    from medledger.core.numbers import DocumentKind

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
    "add",
    cls=Command,
    examples=[
        "medledger operator add 0x4B20993Bc481177ec7E8f571ceCaE8A9e22C02db "
        "--institution 2 --key hospital.key"
    ],
)
@click.argument("address", type=ADDRESS)
@click.option(
    "--institution", type=INSTITUTION, required=True, help="For whom the new key will act."
)
@acting
def add(session: Session, address: str, institution: int) -> Output:
    """Let the key of ADDRESS act for an institution.

    A supervisor or an operator of that institution may do so. A key acts for one institution, once.
    """
    receipt = session.supervisor().add_operator(institution, address)
    return receipt_output(
        f"{address} acts for institution {institution}",
        receipt,
        operator=address,
        institution=institution,
    )


@operator.command(
    "remove",
    cls=Command,
    examples=[
        "medledger operator remove 0x4B20993Bc481177ec7E8f571ceCaE8A9e22C02db --key hospital.key"
    ],
)
@click.argument("address", type=ADDRESS)
@acting
def remove(session: Session, address: str) -> Output:
    """End the key of ADDRESS; what it did stays valid."""
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
@acting
def allot(
    session: Session, institution: int, code: int, first: int, last: int, kind: DocumentKind
) -> Output:
    """Allot a segment of document numbers to a hospital.

    Serials of one code are allotted upwards: FIRST must be above every serial allotted before.
    """
    segment = session.supervisor().allot(institution, code, first, last, kind)
    low, high = (format_number(document_number(code, serial)) for serial in (first, last))
    return Output(
        {
            "segment": segment,
            "institution": institution,
            "kind": kind,
            "first": low,
            "last": high,
        },
        [f"segment {segment}, {low} to {high}, is institution {institution}'s"],
    )


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
