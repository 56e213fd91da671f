"""What pharmacies and couriers do with prescriptions."""

from __future__ import annotations

from pathlib import Path

import click

from medledger.cli.command import Command
from medledger.cli.options import IN_FILE, INSTITUTION, acting, number_argument, reason_option
from medledger.cli.output import Output, act_output
from medledger.cli.session import Session, read_authorisation, read_evidence
from medledger.core.numbers import DocumentNumber


@click.command(
    "accept",
    cls=Command,
    examples=[
        "medledger accept prescription.json --authorisation acceptance.json --key pharmacy.key"
    ],
)
@click.argument("evidence", type=IN_FILE)
@click.option(
    "--authorisation",
    type=IN_FILE,
    required=True,
    metavar="FILE",
    help="The patient's, from medledger authorise acceptance.",
)
@acting
def accept(session: Session, evidence: Path, authorisation: Path) -> Output:
    """Accept a prescription, exclusively, for the lease period.

    EVIDENCE is its evidence file; - reads standard input.
    """
    shown, signed = read_evidence(evidence), read_authorisation(authorisation)
    pharmacy = session.pharmacy()
    receipt = pharmacy.accept(shown, signed)
    who = pharmacy.institution
    return act_output(shown.number, f"accepted by pharmacy {who}", receipt, pharmacy=who)


@click.command(
    "return", cls=Command, examples=["medledger return 46080126-0000000003 --key pharmacy.key"]
)
@number_argument
@reason_option("Why it goes back")
@acting
def return_(session: Session, number: DocumentNumber, reason: int) -> Output:
    """Give an accepted prescription back to the pool.

    Another pharmacy may accept what is still owing, with a new authorisation.
    """
    receipt = session.pharmacy().return_to_pool(number, reason=reason)
    return act_output(number, "returned to the pool", receipt, reason=reason)


@click.command(
    "dispense",
    cls=Command,
    examples=[
        "medledger dispense 46080126-0000000003 --quantity 10 --key pharmacy.key",
        "medledger dispense 46080126-0000000004 --quantity 0 --quantity 5 --key pharmacy.key",
    ],
)
@number_argument
@click.option(
    "--quantity",
    "quantities",
    type=click.IntRange(0, 2**24 - 1),
    multiple=True,
    required=True,
    help="Whole dispensing units of line 1; give it again for line 2, and so on.",
)
@acting
def dispense(session: Session, number: DocumentNumber, quantities: tuple[int, ...]) -> Output:
    """Dispense quantities of an accepted prescription.

    What is left of a line stays owing.
    """
    receipt = session.pharmacy().dispense(number, quantities)
    lines = ", ".join(f"{quantity} of line {at}" for at, quantity in enumerate(quantities, 1))
    return act_output(number, f"dispensed {lines}", receipt, quantities=quantities)


@click.command(
    "hand-over",
    cls=Command,
    examples=["medledger hand-over 46080126-0000000003 --courier 4 --key pharmacy.key"],
)
@number_argument
@click.option("--courier", type=INSTITUTION, required=True, help="Institution that carries it.")
@acting
def hand_over(session: Session, number: DocumentNumber, courier: int) -> Output:
    """Hand what was dispensed to a courier."""
    receipt = session.pharmacy().hand_over(number, courier)
    return act_output(number, f"handed over to courier {courier}", receipt, courier=courier)


@click.command(
    "deliver",
    cls=Command,
    examples=["medledger deliver --confirmation confirmation.json --key courier.key"],
)
@click.option(
    "--confirmation",
    type=IN_FILE,
    required=True,
    metavar="FILE",
    help="The patient's, from medledger authorise delivery.",
)
@acting
def deliver(session: Session, confirmation: Path) -> Output:
    """Record the delivery that the patient confirmed.

    The courier does so, or the pharmacy where the patient came to its counter.
    """
    signed = read_authorisation(confirmation)
    receipt = session.courier().deliver(signed)
    return act_output(signed.message.number, "delivered", receipt)


@click.command(
    "fail",
    cls=Command,
    examples=["medledger fail 46080126-0000000003 --reason 2 --key courier.key"],
)
@number_argument
@reason_option("Why it failed")
@acting
def fail(session: Session, number: DocumentNumber, reason: int) -> Output:
    """Give a parcel that could not be delivered back.

    Its pharmacy has it again.
    """
    receipt = session.courier().fail_delivery(number, reason=reason)
    return act_output(number, "not delivered, back at the pharmacy", receipt, reason=reason)
