"""The list of commands, and the group that imports each only when it runs.

`medledger --help` reads this table alone: nothing that talks to a chain or a database is imported
for it, so that help and shell completion answer at once. A test compares the table's sentences with
the commands' own.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any

import click

from medledger import __version__
from medledger.cli.command import Family
from medledger.cli.failures import asks_for_json, exit_code_of

SECTIONS: dict[str, dict[str, tuple[str, str]]] = {
    "Chain and keys": {
        "chain": ("chain", "Start a local chain and run it until Ctrl-C."),
        "key": ("keys", "Make and read operator keys."),
        "deploy": ("chain", "Deploy the contracts and write their manifest."),
    },
    "Supervisor": {
        "accredit": ("institutions", "Accredit an institution with its first operator."),
        "renew": ("institutions", "Move the end of an accreditation."),
        "operator": ("institutions", "Add and remove the keys that act for an institution."),
        "suspend": ("institutions", "Stop an institution; what it issued stays valid."),
        "reinstate": ("institutions", "End a suspension."),
        "allot": ("institutions", "Allot a segment of document numbers to a hospital."),
        "withdraw": ("institutions", "Withdraw what is left of a segment, for good."),
        "endorse": ("institutions", "Sign the batch that a hospital asks to issue."),
        "pause": ("institutions", "Stop issuing and first use in one ledger."),
        "unpause": ("institutions", "End a pause."),
        "policy": ("policies", "Set and show the rules for prescriptions of a drug class."),
    },
    "Hospital": {
        "issue": ("issuing", "Issue bills of a FHIR bulk folder or an NDJSON stream, in batches."),
        "prescribe": (
            "issuing",
            "Issue prescriptions of a FHIR bulk folder or an NDJSON stream, in batches.",
        ),
        "outbox": ("outbox", "See and settle what was set aside or is on its way."),
        "statement": (
            "statement",
            "Write the statement of a day: what this hospital issued on it.",
        ),
        "evidence": ("documents", "Write the evidence of an issued document."),
        "hold": ("documents", "Forbid the use of a document."),
        "release": ("documents", "Allow the use of a document that is on hold."),
        "reverse": ("documents", "Reverse a bill, or part of it, by a red-letter bill."),
        "paper": ("documents", "Exchange a bill for paper, and end the exchange."),
        "confirm-payment": (
            "claims",
            "Confirm, as the hospital of the bill, that a payer's payment has arrived.",
        ),
        "payment": ("payments", "Say where patients pay, and what they paid off chain."),
        "cancel": ("documents", "Cancel a prescription that no pharmacy has."),
        "request-cancel": ("documents", "Ask the pharmacy that has a prescription to return it."),
        "prescription": (
            "prescriptions",
            "Give prescriptions to pharmacies, and log who reads them.",
        ),
        "record": ("records", "Issue and amend records, and log who reads them."),
    },
    "Authority": {
        "licence": ("licences", "Issue, renew, suspend and revoke licences; compare them."),
    },
    "Patient": {
        "patient": ("patients", "Make and read the patient's own keys."),
        "authorise": ("patients", "Sign the patient's authorisation for one act."),
    },
    "Pharmacy and courier": {
        "accept": ("prescriptions", "Accept a prescription, exclusively, for the lease period."),
        "review": ("prescriptions", "Record a pharmacist's review, by an act of its own."),
        "return": ("prescriptions", "Give an accepted prescription back to the pool."),
        "dispense": ("prescriptions", "Dispense quantities of an accepted prescription."),
        "withdraw-dispensing": (
            "prescriptions",
            "Take back what was dispensed and is still here.",
        ),
        "hand-over": ("prescriptions", "Hand what was dispensed to a courier."),
        "take-back": (
            "prescriptions",
            "Take a parcel back from a courier that is suspended or silent.",
        ),
        "offer": ("prescriptions", "Offer a parcel to another courier."),
        "take-over": ("prescriptions", "Take a parcel that another courier offers."),
        "deliver": ("prescriptions", "Record the delivery that the patient confirmed."),
        "fail": ("prescriptions", "Give a parcel that could not be delivered back."),
    },
    "Payer": {
        "lock": ("claims", "Lock the authorised amount of a bill."),
        "settle": ("claims", "Reimburse up to what is locked; the rest becomes free."),
        "lock-and-settle": ("claims", "Lock and reimburse in one transaction."),
        "deny": ("claims", "Refuse to reimburse."),
        "withdraw-claim": ("claims", "Give up a lock before a decision."),
        "waive": ("claims", "Let payers that come later settle without this one's decision."),
        "recoup": ("claims", "Demand part of a reimbursement back."),
        "repay": (
            "claims",
            "Record money that came back: demanded by recoup, or due by a reversal.",
        ),
        "book": ("claims", "Book a reimbursed claim."),
        "revoke-booking": ("claims", "Revoke a booking that is not archived."),
        "archive": ("claims", "Archive a booked claim: its booking is final."),
        "deposit": ("claims", "Deposit settlement tokens, from which settlements are paid."),
        "withdraw-deposit": ("claims", "Take settlement tokens out of the deposit."),
    },
    "Anybody": {
        "pay": ("payments", "Pay what a patient bears of a bill, in the settlement token."),
        "relay": ("claims", "Send a patient's withdrawal, waiver or confirmation of a payment."),
        "verify": ("verify", "Verify evidence files against the chain."),
        "status": ("audit", "Show what the ledger holds of a document now."),
        "trace": ("audit", "Show everything that happened to a document, oldest first."),
        "segments": (
            "institutions",
            "Show all segments of numbers: what is issued, left, used up, and never issued.",
        ),
        "audit": ("audit", "Audit a deployment from the chain alone."),
    },
    "Try, measure, serve": {
        "demo": ("demo", "Run the whole story on a folder of bulk FHIR."),
        "serve": ("serve", "Serve the gateway for hospital systems, patients and verifiers."),
        "bench": ("bench", "Measure issuing, verifying and auditing on this machine."),
    },
}
"""Section of the help to command name to (module in this package, what the command does)."""

COMMANDS = {name: entry for section in SECTIONS.values() for name, entry in section.items()}


class Program(Family):
    """All commands, each imported when it runs."""

    def main(  # type: ignore[override]
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        **settings: Any,
    ) -> None:
        """Runs one command and ends the process with its exit code."""
        arguments = list(sys.argv[1:] if args is None else args)

        def act() -> object:
            return super(Program, self).main(
                arguments,
                prog_name or "medledger",
                complete_var,
                **settings | {"standalone_mode": False},
            )

        sys.exit(exit_code_of(act, as_json=asks_for_json(arguments)))

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 (click's signature)
        return list(COMMANDS)

    def get_command(
        self,
        ctx: click.Context,  # noqa: ARG002
        cmd_name: str,
    ) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = import_module(f"medledger.cli.{COMMANDS[cmd_name][0]}")
        return next(
            found
            for found in vars(module).values()
            if isinstance(found, click.Command) and found.name == cmd_name
        )

    def format_commands(
        self,
        ctx: click.Context,  # noqa: ARG002
        formatter: click.HelpFormatter,
    ) -> None:
        width = max(map(len, COMMANDS))
        for section, commands in SECTIONS.items():
            with formatter.section(section):
                rows = [(name.ljust(width), sentence) for name, (_, sentence) in commands.items()]
                formatter.write_dl(rows)

    def shell_complete(
        self, ctx: click.Context, incomplete: str
    ) -> list[click.shell_completion.CompletionItem]:
        # click's own would import every command for its sentence.
        names = [
            click.shell_completion.CompletionItem(name, help=sentence)
            for name, (_, sentence) in COMMANDS.items()
            if name.startswith(incomplete)
        ]
        return names + click.Command.shell_complete(self, ctx, incomplete)


@click.group(
    cls=Program,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, message="medledger %(version)s", help="Show the version.")
def main() -> None:
    """Medical bills, prescriptions and reimbursement on an EVM ledger.

    Every command takes --json, which makes standard output exactly one JSON object, and explains
    itself with --help. To see it all at work: medledger demo --data examples/synthea
    """
