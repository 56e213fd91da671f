"""What a payer does with bills. Amounts are in minor units (fen, cents), as on the ledger."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from medledger.cli.command import Command
from medledger.cli.options import (
    ADDRESS,
    AMOUNT_MINOR,
    IN_FILE,
    INSTITUTION,
    acting,
    number_argument,
    reason_option,
    storing,
)
from medledger.cli.output import Output, act_output, time_text
from medledger.cli.session import Session, read_authorisation, read_evidence, read_file
from medledger.core.numbers import DocumentNumber

if TYPE_CHECKING:
    from medledger.chain.sender import Receipt
    from medledger.core.claims import Decision
    from medledger.roles import Payer


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
    until it is settled, denied or withdrawn, or the lock period is over.
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


def _decision(command: Callable[..., Any]) -> Callable[..., Any]:
    """What every settlement says."""
    for option in reversed(
        [
            click.option(
                "--amount-minor",
                type=AMOUNT_MINOR,
                required=True,
                help="What is reimbursed, in the currency's minor unit (fen, cents).",
            ),
            reason_option("The decision"),
            explanation_option,
            click.option(
                "--payment",
                metavar="TEXT",
                help="Reference of a payment off chain; its keccak-256 goes on chain.",
            ),
        ]
    ):
        command = option(command)
    return command


explanation_option = click.option(
    "--explanation",
    type=IN_FILE,
    required=True,
    metavar="FILE",
    help="What explains it; the keccak-256 of the file's bytes goes on chain.",
)
payment_option = click.option(
    "--payment",
    metavar="TEXT",
    required=True,
    help="Reference of the payment; its keccak-256 goes on chain.",
)


@click.command(
    "settle",
    cls=Command,
    examples=[
        "medledger settle 46060126-0000000017 --amount-minor 2500 --explanation benefit.pdf "
        "--payment 20260105-7731 --key payer.key"
    ],
)
@number_argument
@_decision
@acting
def settle(
    session: Session,
    number: DocumentNumber,
    amount_minor: int,
    reason: int,
    explanation: Path,
    payment: str | None,
) -> Output:
    """Reimburse up to what is locked; the rest becomes free.

    Where the patient signed a payee, the settlement token pays it from the payer's deposit.
    """
    decision = _decided(amount_minor, reason, explanation, payment)
    payer = session.payer()
    receipt = payer.settle(number, decision)
    return _settled(number, payer.institution, decision, receipt)


@click.command(
    "lock-and-settle",
    cls=Command,
    examples=[
        "medledger lock-and-settle bill.json --authorisation claim.json --amount-minor 2500 "
        "--explanation benefit.pdf --payment 20260105-7731 --key payer.key"
    ],
)
@click.argument("evidence", type=IN_FILE)
@click.option(
    "--authorisation",
    type=IN_FILE,
    required=True,
    metavar="FILE",
    help="The patient's, from medledger authorise claim.",
)
@_decision
@acting
def lock_and_settle(
    session: Session,
    evidence: Path,
    authorisation: Path,
    amount_minor: int,
    reason: int,
    explanation: Path,
    payment: str | None,
) -> Output:
    """Lock and reimburse in one transaction.

    EVIDENCE is the bill's evidence file; - reads standard input.
    """
    shown, signed = read_evidence(evidence), read_authorisation(authorisation)
    decision = _decided(amount_minor, reason, explanation, payment)
    payer = session.payer()
    receipt = payer.lock_and_settle(shown, signed, decision)
    return _settled(shown.number, payer.institution, decision, receipt)


def _decided(amount: int, reason: int, explanation: Path, payment: str | None) -> Decision:
    from medledger.core.claims import Decision
    from medledger.core.hashing import keccak256

    reference = bytes(32) if payment is None else keccak256(payment.encode())
    return Decision(amount, reason, keccak256(read_file(explanation)), reference)


def _settled(number: int, payer: int, decision: Decision, receipt: Receipt) -> Output:
    return act_output(
        number,
        f"{decision.amount} reimbursed by payer {payer} (minor units)",
        receipt,
        payer=payer,
        amount_minor=decision.amount,
        reason=decision.reason,
        explanation=decision.explanation,
        payment=decision.payment,
    )


@click.command(
    "deny",
    cls=Command,
    examples=[
        "medledger deny 46060126-0000000017 --reason 3 --explanation denial.pdf --key payer.key"
    ],
)
@number_argument
@reason_option("The decision")
@explanation_option
@acting
def deny(session: Session, number: DocumentNumber, reason: int, explanation: Path) -> Output:
    """Refuse to reimburse.

    What was locked can be claimed again.
    """
    from medledger.core.hashing import keccak256

    digest = keccak256(read_file(explanation))
    payer = session.payer()
    receipt = payer.deny(number, reason=reason, explanation=digest)
    return _act(number, payer, f"denied by payer {payer.institution}", receipt, reason=reason)


@click.command(
    "withdraw-claim",
    cls=Command,
    examples=["medledger withdraw-claim 46060126-0000000017 --reason 3 --key payer.key"],
)
@number_argument
@reason_option("Why it is given up")
@acting
def withdraw_claim(session: Session, number: DocumentNumber, reason: int) -> Output:
    """Give up a lock before a decision.

    What was locked can be claimed again.
    """
    payer = session.payer()
    receipt = payer.withdraw(number, reason=reason)
    text = f"no longer locked by payer {payer.institution}"
    return _act(number, payer, text, receipt, reason=reason)


@click.command(
    "waive", cls=Command, examples=["medledger waive 46060126-0000000017 --key payer.key"]
)
@number_argument
@acting
def waive(session: Session, number: DocumentNumber) -> Output:
    """Let payers that come later settle without this one's decision."""
    payer = session.payer()
    receipt = payer.waive(number)
    return _act(number, payer, f"payer {payer.institution} is not waited for", receipt)


@click.command(
    "recoup",
    cls=Command,
    examples=[
        "medledger recoup 46060126-0000000017 --amount-minor 500 --explanation letter.pdf "
        "--key payer.key"
    ],
)
@number_argument
@click.option("--amount-minor", type=AMOUNT_MINOR, required=True, help="How much, in minor units.")
@reason_option("Why it is demanded")
@explanation_option
@acting
def recoup(
    session: Session, number: DocumentNumber, amount_minor: int, reason: int, explanation: Path
) -> Output:
    """Demand part of a reimbursement back.

    It counts as reimbursed until medledger repay records that it came back.
    """
    from medledger.core.hashing import keccak256

    digest = keccak256(read_file(explanation))
    payer = session.payer()
    receipt = payer.recoup(number, amount_minor, reason=reason, explanation=digest)
    return _due(number, payer, receipt, amount_minor=amount_minor, reason=reason)


@click.command(
    "repay",
    cls=Command,
    examples=[
        "medledger repay 46060126-0000000017 --amount-minor 500 --payment 20260109-11 "
        "--key payer.key"
    ],
)
@number_argument
@click.option("--amount-minor", type=AMOUNT_MINOR, required=True, help="How much, in minor units.")
@payment_option
@acting
def repay(session: Session, number: DocumentNumber, amount_minor: int, payment: str) -> Output:
    """Record money that came back: demanded by recoup, or due by a reversal."""
    from medledger.core.hashing import keccak256

    payer = session.payer()
    receipt = payer.repay(number, amount_minor, keccak256(payment.encode()))
    return _due(number, payer, receipt, amount_minor=amount_minor)


def _due(number: int, payer: Payer, receipt: Receipt, **data: Any) -> Output:
    due = payer.recoup_due(number)
    text = f"{due} due back to payer {payer.institution} (minor units)"
    return _act(number, payer, text, receipt, due_minor=due, **data)


@click.command("book", cls=Command, examples=["medledger book 46060126-0000000017 --key payer.key"])
@number_argument
@acting
def book(session: Session, number: DocumentNumber) -> Output:
    """Book a reimbursed claim."""
    payer = session.payer()
    return _act(number, payer, f"booked by payer {payer.institution}", payer.book(number))


@click.command(
    "revoke-booking",
    cls=Command,
    examples=["medledger revoke-booking 46060126-0000000017 --key payer.key"],
)
@number_argument
@reason_option("Why it is revoked")
@acting
def revoke_booking(session: Session, number: DocumentNumber, reason: int) -> Output:
    """Revoke a booking that is not archived."""
    payer = session.payer()
    receipt = payer.revoke_booking(number, reason=reason)
    text = f"no longer booked by payer {payer.institution}"
    return _act(number, payer, text, receipt, reason=reason)


@click.command(
    "archive", cls=Command, examples=["medledger archive 46060126-0000000017 --key payer.key"]
)
@number_argument
@acting
def archive(session: Session, number: DocumentNumber) -> Output:
    """Archive a booked claim: its booking is final."""
    payer = session.payer()
    return _act(number, payer, f"archived by payer {payer.institution}", payer.archive(number))


@click.command(
    "deposit", cls=Command, examples=["medledger deposit --amount-minor 100000 --key payer.key"]
)
@click.option("--amount-minor", type=AMOUNT_MINOR, required=True, help="How much, in minor units.")
@acting
def deposit(session: Session, amount_minor: int) -> Output:
    """Deposit settlement tokens, from which settlements are paid."""
    payer = session.payer()
    receipt = payer.deposit(amount_minor)
    return _deposited(payer, receipt, f"{amount_minor} deposited (minor units)")


@click.command(
    "withdraw-deposit",
    cls=Command,
    examples=["medledger withdraw-deposit --amount-minor 5000 --to 0x... --key payer.key"],
)
@click.option("--amount-minor", type=AMOUNT_MINOR, required=True, help="How much, in minor units.")
@click.option("--to", type=ADDRESS, required=True, help="Address that receives the tokens.")
@acting
def withdraw_deposit(session: Session, amount_minor: int, to: str) -> Output:
    """Take settlement tokens out of the deposit."""
    payer = session.payer()
    receipt = payer.withdraw_deposit(amount_minor, to)
    return _deposited(payer, receipt, f"{amount_minor} withdrawn to {to} (minor units)")


def _deposited(payer: Payer, receipt: Receipt, text: str) -> Output:
    held = payer.ledgers.escrow.deposit_of(payer.institution)
    data = {
        "payer": payer.institution,
        "deposit_minor": held,
        "transaction": receipt.hash,
        "gas": receipt.gas_used,
    }
    return Output(data, [text, f"deposit of payer {payer.institution}: {held} (minor units)"])


@click.command(
    "confirm-payment",
    cls=Command,
    examples=[
        "medledger confirm-payment 46060126-0000000017 --payer 5 --payment 20260105-7731 "
        "--key hospital.key"
    ],
)
@number_argument
@click.option("--payer", type=INSTITUTION, required=True, help="Institution that paid.")
@payment_option
@storing
def confirm_payment(session: Session, number: DocumentNumber, payer: int, payment: str) -> Output:
    """Confirm, as the hospital of the bill, that a payer's payment has arrived."""
    from medledger.core.hashing import keccak256

    receipt = session.hospital().confirm_payment(number, payer, keccak256(payment.encode()))
    return act_output(number, f"payment of payer {payer} confirmed", receipt, payer=payer)


@click.command(
    "relay",
    cls=Command,
    examples=["medledger relay withdrawal.json --evidence bill.json --key anybody.key"],
)
@click.argument("authorisation", type=IN_FILE)
@click.option(
    "--evidence",
    type=IN_FILE,
    metavar="FILE",
    help="The bill's; needed where nobody has opened the bill yet.",
)
@acting
def relay(session: Session, authorisation: Path, evidence: Path | None) -> Output:
    """Send a patient's withdrawal, waiver or confirmation of a payment.

    Any key may send it: the patient's signature counts.
    """
    from medledger.roles.role import Role

    signed = read_authorisation(authorisation)
    shown = None if evidence is None else read_evidence(evidence)
    role = Role(session.ledgers(), session.operator())
    receipt = role.relay(signed, shown)
    kind = type(signed.message).__name__
    return act_output(signed.message.number, f"{kind} relayed", receipt, type=kind)


def _act(number: int, payer: Payer, text: str, receipt: Receipt, **data: Any) -> Output:
    return act_output(number, text, receipt, payer=payer.institution, **data)
