"""What patients pay of their bills. Amounts are in minor units (fen, cents), as on the ledger."""

from __future__ import annotations

from pathlib import Path

import click

from medledger.cli.command import Command, Family
from medledger.cli.options import (
    ADDRESS,
    AMOUNT_MINOR,
    IN_FILE,
    acting,
    number_argument,
    storing,
)
from medledger.cli.output import Output, act_output
from medledger.cli.session import Session, read_evidence
from medledger.core.numbers import DocumentNumber


@click.group("payment", cls=Family)
def payment() -> None:
    """Say where patients pay, and what they paid off chain."""


@payment.command(
    "account", cls=Command, examples=["medledger payment account 0x... --key hospital.key"]
)
@click.argument("account", type=ADDRESS)
@storing
def account_(session: Session, account: str) -> Output:
    """Say where this hospital is paid in the settlement token.

    At the address of 40 zeros it takes no tokens.
    """
    hospital = session.hospital()
    receipt = hospital.set_account(account)
    data = {
        "institution": hospital.institution,
        "account": account,
        "transaction": receipt.hash,
        "gas": receipt.gas_used,
    }
    return Output(data, [f"institution {hospital.institution} is paid at {account}"])


@payment.command(
    "state",
    cls=Command,
    examples=[
        "medledger payment state 46060126-0000000017 --amount-minor 2500 --payment 20260105-7731 "
        "--key hospital.key"
    ],
)
@number_argument
@click.option("--amount-minor", type=AMOUNT_MINOR, required=True, help="How much, in minor units.")
@click.option("--payment", metavar="TEXT", required=True, help="Reference of the payment.")
@storing
def state(session: Session, number: DocumentNumber, amount_minor: int, payment: str) -> Output:
    """State that a patient paid a bill off chain.

    The bill is paid once the patient confirms it: medledger authorise bill-payment. Only the hash
    of the reference gets on chain.
    """
    from medledger.core.hashing import keccak256

    receipt = session.hospital().state_payment(number, amount_minor, keccak256(payment.encode()))
    text = f"{amount_minor} stated as paid (minor units)"
    return act_output(number, text, receipt, amount_minor=amount_minor)


@payment.command(
    "withdraw",
    cls=Command,
    examples=["medledger payment withdraw 46060126-0000000017 --key hospital.key"],
)
@number_argument
@storing
def withdraw(session: Session, number: DocumentNumber) -> Output:
    """Take back what was stated and is not confirmed."""
    receipt = session.hospital().withdraw_statement(number)
    return act_output(number, "statement withdrawn", receipt)


@click.command(
    "pay",
    cls=Command,
    examples=["medledger pay bill.json --payee 0x... --key wallet.key"],
)
@click.argument("evidence", type=IN_FILE)
@click.option(
    "--payee",
    type=ADDRESS,
    help="Where the hospital is paid, as the payer knows it; else what the chain says.",
)
@acting
def pay(session: Session, evidence: Path, payee: str | None) -> Output:
    """Pay what a patient bears of a bill, in the settlement token.

    EVIDENCE is the bill's evidence file; - reads standard input. Anybody may pay, and a bill on
    hold too. Who pays several bills from one account links them for everybody.
    """
    from medledger.roles.role import Role

    shown = read_evidence(evidence)
    role = Role(session.ledgers(), session.operator())
    receipt = role.pay_bill(shown, payee)
    paid = role.ledgers.payments.payment_of(shown.number)
    return act_output(
        shown.number,
        f"{paid.amount} paid to {paid.payee} (minor units)",
        receipt,
        amount_minor=paid.amount,
        payee=paid.payee,
    )
