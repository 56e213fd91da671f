"""What pharmacies and couriers do with prescriptions, and who may read them."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from medledger.cli.command import Command, Family
from medledger.cli.options import (
    IN_FILE,
    INSTITUTION,
    OUT_FILE,
    acting,
    number_argument,
    reason_option,
    storing,
)
from medledger.cli.output import Output, act_output, write_private
from medledger.cli.reads import read_output, reader_options, reads_command
from medledger.cli.session import Session, read_authorisation, read_evidence
from medledger.core.numbers import DocumentNumber

F = TypeVar("F", bound=Callable[..., Any])

kept_option = click.option(
    "--kept",
    type=OUT_FILE,
    required=True,
    metavar="FILE",
    help="Where to keep what the hashes on chain commit to.",
)


def acceptance_option(*, required: bool) -> Callable[[F], F]:
    """`--authorisation`: what lets a pharmacy accept a prescription."""
    return click.option(
        "--authorisation",
        type=IN_FILE,
        required=required,
        metavar="FILE",
        help="The patient's, from medledger authorise acceptance.",
    )


@click.group("prescription", cls=Family)
def prescription() -> None:
    """Give prescriptions to pharmacies, and log who reads them."""


@prescription.command(
    "read",
    cls=Command,
    examples=[
        "medledger prescription read 46080126-0000000003 --institution 4 --reader P1 "
        "--purpose treat --authorisation acceptance.json --out prescription.json "
        "--key hospital.key"
    ],
)
@number_argument
@reader_options
@acceptance_option(required=False)
@storing
def read(
    session: Session,
    number: DocumentNumber,
    authorisation: Path | None,
    out: Path | None,
    **reader: Any,
) -> Output:
    """Give a prescription to a reader, by the patient's authorisation, and log it first.

    A pharmacy needs the one that it accepts with, which does not use it up. Writes the evidence,
    with all fields opened.
    """
    signed = None if authorisation is None else read_authorisation(authorisation)
    hospital = session.hospital()
    try:
        found = hospital.read_prescription(number, authorisation=signed, **reader)
    finally:
        hospital.close()
    return read_output(found, out, **reader)


prescription.add_command(reads_command("Prescription", "46080126-0000000003"))


@click.command(
    "accept",
    cls=Command,
    examples=[
        "medledger accept prescription.json --authorisation acceptance.json --key pharmacy.key"
    ],
)
@click.argument("evidence", type=IN_FILE)
@acceptance_option(required=True)
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
    "review",
    cls=Command,
    examples=[
        "medledger review 46080126-0000000003 --finding 'no objection' --kept review.json "
        "--key pharmacist.key"
    ],
)
@number_argument
@click.option("--finding", required=True, help="What the pharmacist found; only its hash is sent.")
@kept_option
@acting
def review(session: Session, number: DocumentNumber, finding: str, kept: Path) -> Output:
    """Record a pharmacist's review, by an act of its own.

    A policy may ask for it by another operator than the one who dispenses.
    """
    from medledger.core.dispensing import review_hash

    secret = secrets.token_bytes(32)
    write_private(kept, json.dumps({"secret": "0x" + secret.hex(), "review": finding}) + "\n")
    receipt = session.pharmacy().review(number, review_hash(finding, secret))
    return act_output(number, "reviewed", receipt, kept=kept)


@click.command(
    "dispense",
    cls=Command,
    examples=[
        "medledger dispense 46080126-0000000003 --quantity 10 --item 1 B2026 H20013001 "
        "--finding 'no objection' --kept dispensed.json --key pharmacy.key",
        "medledger dispense 46080126-0000000004 --quantity 0 --quantity 5 --item 2 B77 H20013002 "
        "--substituted 2 --courier 4 --kept dispensed.json --key pharmacy.key",
    ],
)
@number_argument
@click.option(
    "--quantity",
    "quantities",
    type=click.IntRange(0, 2**16 - 1),
    multiple=True,
    required=True,
    help="Whole dispensing units of line 1; give it again for line 2, and so on.",
)
@click.option(
    "--item",
    "items",
    type=(click.IntRange(1, 5), str, str),
    multiple=True,
    required=True,
    metavar="LINE LOT APPROVAL",
    help="Lot and approval number of a line; only a hash of all is sent.",
)
@click.option(
    "--substituted",
    type=click.IntRange(1, 5),
    multiple=True,
    help="A line that is an equivalent drug.",
)
@click.option("--finding", default="", help="The pharmacist's; without, it was reviewed before.")
@click.option("--courier", type=INSTITUTION, help="Hand it over too, in the same transaction.")
@kept_option
@acting
def dispense(
    session: Session,
    number: DocumentNumber,
    quantities: tuple[int, ...],
    items: tuple[tuple[int, str, str], ...],
    substituted: tuple[int, ...],
    finding: str,
    courier: int | None,
    kept: Path,
) -> Output:
    """Dispense quantities of an accepted prescription.

    What is left of a line stays owing.
    """
    from medledger.core.dispensing import DispensedItem, Dispensing, DispensingRecord

    record = DispensingRecord(
        secrets.token_bytes(32), tuple(DispensedItem(*item) for item in items), finding
    )
    # Kept before it is sent: without the secret, the hashes on chain would prove nothing.
    write_private(kept, record.to_json())
    dispensing = Dispensing(quantities, record.items_hash, record.review_hash, substituted)
    receipt = session.pharmacy().dispense(number, dispensing, courier=courier)
    lines = ", ".join(f"{quantity} of line {at}" for at, quantity in enumerate(quantities, 1))
    return act_output(
        number,
        f"dispensed {lines}",
        receipt,
        quantities=quantities,
        substituted=substituted,
        courier=courier,
        kept=kept,
    )


@click.command(
    "withdraw-dispensing",
    cls=Command,
    examples=["medledger withdraw-dispensing 46080126-0000000003 --reason 1 --key pharmacy.key"],
)
@number_argument
@reason_option("Why it is withdrawn")
@acting
def withdraw_dispensing(session: Session, number: DocumentNumber, reason: int) -> Output:
    """Take back what was dispensed and is still here.

    All that was dispensed since the last delivery, within the minutes of the policy.
    """
    receipt = session.pharmacy().withdraw_dispensing(number, reason=reason)
    return act_output(number, "withdrawn", receipt, reason=reason)


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
    "take-back",
    cls=Command,
    examples=["medledger take-back 46080126-0000000003 --key pharmacy.key"],
)
@number_argument
@acting
def take_back(session: Session, number: DocumentNumber) -> Output:
    """Take a parcel back from a courier that is suspended or silent."""
    return act_output(number, "back at the pharmacy", session.pharmacy().take_back(number))


@click.command(
    "offer",
    cls=Command,
    examples=["medledger offer 46080126-0000000003 --courier 5 --key courier.key"],
)
@number_argument
@click.option("--courier", type=INSTITUTION, required=True, help="Institution that may take it.")
@acting
def offer(session: Session, number: DocumentNumber, courier: int) -> Output:
    """Offer a parcel to another courier."""
    receipt = session.courier().offer(number, courier)
    return act_output(number, f"offered to courier {courier}", receipt, courier=courier)


@click.command(
    "take-over",
    cls=Command,
    examples=["medledger take-over 46080126-0000000003 --key courier.key"],
)
@number_argument
@acting
def take_over(session: Session, number: DocumentNumber) -> Output:
    """Take a parcel that another courier offers."""
    courier = session.courier()
    receipt = courier.take_over(number)
    who = courier.institution
    return act_output(number, f"taken over by courier {who}", receipt, courier=who)


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
