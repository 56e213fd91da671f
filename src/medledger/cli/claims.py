"""What a payer does with bills. Amounts are in minor units (fen, cents), as on the ledger."""

from __future__ import annotations

from pathlib import Path

import click

from medledger.cli.command import Command
from medledger.cli.options import (
    AMOUNT_MINOR,
    IN_FILE,
    acting,
    number_argument,
    reason_option,
)
from medledger.cli.output import Output, act_output, time_text
from medledger.cli.session import Session, read_authorisation, read_evidence, read_file
from medledger.core.numbers import DocumentNumber


@click.command(
    "lock",
    cls=Command,
    examples=["medledger lock bill.json --authorisation claim.json --key payer.key"],
)
@click.argument("evidence", type=IN_FILE)
@click.option(
    "--authorisation",
    type=IN_FILE,
    required=True,
    metavar="FILE",
    help="The patient's, from medledger authorise claim.",
)
@acting
def lock(session: Session, evidence: Path, authorisation: Path) -> Output:
    """Lock the authorised amount of a bill.

    EVIDENCE is the bill's evidence file; - reads standard input. Nobody else can claim that part
    until it is settled or released, or the lock period is over.
    """
    shown, signed = read_evidence(evidence), read_authorisation(authorisation)
    payer = session.payer()
    receipt = payer.lock(shown, signed)
    claim = payer.ledgers.claims.claim_of(shown.number, payer.institution)
    return act_output(
        shown.number,
        f"{claim.amount} locked by payer {payer.institution} until {time_text(claim.until)} "
        "(minor units)",
        receipt,
        payer=payer.institution,
        amount_minor=claim.amount,
        until=claim.until,
    )


@click.command(
    "settle",
    cls=Command,
    examples=["medledger settle 46060126-0000000017 --amount-minor 2500 --key payer.key"],
)
@number_argument
@click.option(
    "--amount-minor",
    type=AMOUNT_MINOR,
    required=True,
    help="What is reimbursed, in the currency's minor unit (fen, cents).",
)
@reason_option("The decision")
@click.option(
    "--explanation",
    type=IN_FILE,
    metavar="FILE",
    help="Explanation of benefit; the keccak-256 of the file's bytes goes on chain.",
)
@acting
def settle(
    session: Session,
    number: DocumentNumber,
    amount_minor: int,
    reason: int,
    explanation: Path | None,
) -> Output:
    """Reimburse up to what is locked; the rest becomes free."""
    content = None if explanation is None else read_file(explanation)
    payer = session.payer()
    from medledger.core.hashing import keccak256

    digest = bytes(32) if content is None else keccak256(content)
    receipt = payer.settle(number, amount_minor, reason=reason, explanation=digest)
    return act_output(
        number,
        f"{amount_minor} reimbursed by payer {payer.institution} (minor units)",
        receipt,
        payer=payer.institution,
        amount_minor=amount_minor,
        reason=reason,
        explanation=digest,
    )


@click.command(
    "release-claim",
    cls=Command,
    examples=["medledger release-claim 46060126-0000000017 --reason 3 --key payer.key"],
)
@number_argument
@reason_option("Why it is given up")
@acting
def release_claim(session: Session, number: DocumentNumber, reason: int) -> Output:
    """Give up a lock.

    What was locked can be claimed again.
    """
    payer = session.payer()
    receipt = payer.release(number, reason=reason)
    return act_output(
        number,
        f"no longer locked by payer {payer.institution}",
        receipt,
        payer=payer.institution,
        reason=reason,
    )
