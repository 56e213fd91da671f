"""What supervisors set for prescriptions of a drug class."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import click

from medledger.cli.command import Command, Family
from medledger.cli.options import acting, reading
from medledger.cli.output import Output, pairs, receipt_output
from medledger.cli.session import Session

DAY = 24 * 3600
DRUG_CLASS = click.IntRange(0, 2**16 - 1)
drug_class_argument = click.argument("drug_class", metavar="CLASS", type=DRUG_CLASS)


@click.group("policy", cls=Family)
def policy() -> None:
    """Set and show the rules for prescriptions of a drug class."""


@policy.command(
    "set",
    cls=Command,
    examples=[
        "medledger policy set 1 --days 3 --repeats 0 --quantity 30 --no-courier --second-approver "
        "--licence --withdraw-minutes 60 --key supervisor.key"
    ],
)
@drug_class_argument
@click.option(
    "--days", type=click.IntRange(1, 49_710), required=True, help="Longest validity from signing."
)
@click.option(
    "--repeats", type=click.IntRange(0, 255), default=0, help="Most fills after the first."
)
@click.option(
    "--quantity",
    type=click.IntRange(1, 2**16 - 1),
    default=2**16 - 1,
    help="Most dispensing units of a line.",
)
@click.option(
    "--withdraw-minutes",
    type=click.IntRange(0, 2**16 - 1),
    default=1440,
    help="How long a dispensing may be withdrawn.",
)
@click.option("--no-courier", is_flag=True, help="No courier may carry it.")
@click.option("--second-approver", is_flag=True, help="Another operator must have reviewed it.")
@click.option("--licence", is_flag=True, help="The prescriber's licence is looked up.")
@acting
def set_(
    session: Session,
    drug_class: int,
    days: int,
    repeats: int,
    quantity: int,
    withdraw_minutes: int,
    no_courier: bool,
    second_approver: bool,
    licence: bool,
) -> Output:
    """Set the rules of a drug class, for acceptances from now on."""
    from medledger.chain.bindings import PolicyEntry

    rules = PolicyEntry(
        days * DAY, repeats, quantity, withdraw_minutes, not no_courier, second_approver, licence
    )
    receipt = session.supervisor().set_policy(drug_class, rules)
    return receipt_output(
        f"drug class {drug_class} has a new policy", receipt, drug_class=drug_class, **asdict(rules)
    )


@policy.command("show", cls=Command, examples=["medledger policy show 1"])
@drug_class_argument
@reading
def show(session: Session, drug_class: int) -> Output:
    """Show the rules of a drug class; all zero where there are none."""
    rules = asdict(session.auditor().ledgers.policies.policy_of(drug_class))
    data: dict[str, Any] = {"drug_class": drug_class, **rules}
    return Output(data, pairs({key.replace("_", " "): value for key, value in data.items()}))
