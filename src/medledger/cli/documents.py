"""What a hospital does with what it issued: evidence, holds, reversal, cancellation."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import TYPE_CHECKING

import click

from medledger.cli.command import Command, Family
from medledger.cli.options import (
    AMOUNT_MINOR,
    IN_FILE,
    NUMBER,
    OUT_FILE,
    acting,
    number_argument,
    number_kind_option,
    reading_store,
    reason_option,
    storing,
)
from medledger.cli.output import Output, act_output, file_output
from medledger.cli.session import Session, read_file
from medledger.core.numbers import DocumentNumber, format_number

if TYPE_CHECKING:
    from medledger.core.numbers import DocumentKind


@click.command(
    "evidence",
    cls=Command,
    examples=[
        "medledger evidence 46060126-0000000017 --out bill.json",
        "medledger evidence 46060126-0000000017 --only TotalAmount,ownPayAmount,InvoicingParty",
    ],
)
@number_argument
@number_kind_option
@click.option(
    "--only",
    metavar="A,B",
    help="Open these fields only; all others stay sealed. By default all are opened.",
)
@click.option(
    "--out", type=OUT_FILE, metavar="FILE", help="Write to a private file, not to standard output."
)
@reading_store
def evidence(
    session: Session,
    number: DocumentNumber,
    kind: DocumentKind,
    only: str | None,
    out: Path | None,
) -> Output:
    """Write the evidence of an issued document.

    Evidence is one JSON object that proves the document to anybody with a node, without the
    hospital. It shows the patient's data in the opened fields.
    """
    names = None if only is None else [name.strip() for name in only.split(",") if name.strip()]
    if names == []:
        raise click.BadParameter("names no field", click.get_current_context(), param_hint="--only")
    hospital = session.archive()
    try:
        found = hospital.evidence(number, kind, names)
    finally:
        hospital.close()
    opened = sorted(found.fields)
    return file_output(
        found.to_json(),
        out,
        f"{format_number(number)}: evidence in {out}, "
        + (f"all {len(opened)} fields opened" if only is None else f"opened: {', '.join(opened)}"),
        number=format_number(number),
        kind=kind,
        opened=opened,
    )


@click.command(
    "hold", cls=Command, examples=["medledger hold 46060126-0000000017 --key hospital.key"]
)
@number_argument
@number_kind_option
@acting
def hold(session: Session, number: DocumentNumber, kind: DocumentKind) -> Output:
    """Forbid the use of a document.

    It stays issued, and its issuer may release it.
    """
    receipt = session.hospital().hold(number, kind)
    return act_output(number, "on hold", receipt, kind=kind)


@click.command(
    "release", cls=Command, examples=["medledger release 46060126-0000000017 --key hospital.key"]
)
@number_argument
@number_kind_option
@storing
def release(session: Session, number: DocumentNumber, kind: DocumentKind) -> Output:
    """Allow the use of a document that is on hold.

    One that was born on hold is opened first, from the store.
    """
    hospital = session.hospital()
    try:
        receipt = hospital.release(number, kind)
    finally:
        hospital.close()
    return act_output(number, "released", receipt, kind=kind)


@click.command(
    "reverse",
    cls=Command,
    examples=[
        "medledger reverse 46060126-0000000017 --reason 1 --key hospital.key",
        "medledger reverse 46060126-0000000017 --amount-minor 1500 --refund refund-17 --reason 1 "
        "--key hospital.key",
    ],
)
@number_argument
@click.option(
    "--red-letter",
    type=NUMBER,
    metavar="NUMBER",
    help="The issued bill that stands against it; without it one is issued from the store.",
)
@click.option(
    "--amount-minor",
    type=AMOUNT_MINOR,
    help="Take back only so much of what the patient bore, in minor units; needs --refund.",
)
@click.option(
    "--refund",
    metavar="KEY",
    help="The hospital's own number of a partial refund; given again, it takes back nothing more.",
)
@reason_option("Why it is reversed", required=True)
@storing
def reverse(
    session: Session,
    number: DocumentNumber,
    red_letter: DocumentNumber | None,
    amount_minor: int | None,
    refund: str | None,
    reason: int,
) -> Output:
    """Reverse a bill, or part of it, by a red-letter bill.

    Nothing is deleted: the bill stays, marked as reversed, and can never be claimed again; of one
    that is reversed in part, what is left. Not while a payer has it locked.
    """
    if (amount_minor is None) != (refund is None) or (refund is not None and red_letter):
        problem = "a partial reversal takes --amount-minor and --refund, and no --red-letter"
        raise click.UsageError(problem, click.get_current_context())
    hospital = session.hospital()
    try:
        if amount_minor is not None and refund is not None:
            receipt = hospital.reverse_part(number, amount_minor, reason, business_key=refund)
            left = hospital.ledgers.invoices.claimable_of(number)
            return act_output(
                number,
                f"{amount_minor} reversed, {left} can be claimed (minor units)",
                receipt,
                amount_minor=amount_minor,
                left_minor=left,
                reason=reason,
            )
        receipt = hospital.reverse(number, red_letter, reason)
        shown = format_number(hospital.ledgers.invoices.reversed_by(number))
    finally:
        hospital.close()
    return act_output(number, f"reversed by {shown}", receipt, red_letter=shown, reason=reason)


@click.command(
    "cancel",
    cls=Command,
    examples=["medledger cancel 46080126-0000000003 --reason 2 --key hospital.key"],
)
@number_argument
@reason_option("Why it is cancelled", required=True)
@acting
def cancel(session: Session, number: DocumentNumber, reason: int) -> Output:
    """Cancel a prescription that no pharmacy has.

    Of one that is delivered, the repeats are cancelled.
    """
    receipt = session.hospital().cancel(number, reason)
    return act_output(number, "cancelled", receipt, reason=reason)


@click.group("paper", cls=Family)
def paper() -> None:
    """Exchange a bill for paper, and end the exchange."""


@paper.command(
    "exchange",
    cls=Command,
    examples=["medledger paper exchange 46060126-0000000017 copy.pdf --key hospital.key"],
)
@number_argument
@click.argument("copy", type=IN_FILE)
@acting
def exchange(session: Session, number: DocumentNumber, copy: Path) -> Output:
    """Hand a bill out on paper: it has no use on the ledger until the paper is void.

    COPY is the file that was printed. The chain gets a commitment to it; the salt that this prints
    opens it, so keep that with the copy.
    """
    from medledger.core.hashing import keccak256

    salt = secrets.token_bytes(32)
    paper_hash = keccak256(salt + read_file(copy))
    receipt = session.hospital().exchange_for_paper(number, paper_hash)
    return act_output(
        number,
        f"on paper; salt 0x{salt.hex()}, paper hash 0x{paper_hash.hex()}",
        receipt,
        salt=salt,
        paper_hash=paper_hash,
    )


@paper.command(
    "void",
    cls=Command,
    examples=["medledger paper void 46060126-0000000017 --key hospital.key"],
)
@number_argument
@acting
def void(session: Session, number: DocumentNumber) -> Output:
    """End the exchange, once the paper copy is back."""
    receipt = session.hospital().void_paper(number)
    return act_output(number, "not on paper any more", receipt)


@click.command(
    "request-cancel",
    cls=Command,
    examples=["medledger request-cancel 46080126-0000000003 --reason 2 --key hospital.key"],
)
@number_argument
@reason_option("Why it is to be cancelled", required=True)
@acting
def request_cancel(session: Session, number: DocumentNumber, reason: int) -> Output:
    """Ask the pharmacy that has a prescription to return it.

    Its return cancels it; if it goes on dispensing, that refuses the request.
    """
    receipt = session.hospital().request_cancel(number, reason)
    return act_output(number, "asked to be cancelled", receipt, reason=reason)
