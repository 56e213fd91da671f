"""`demo`: the whole story on real FHIR data, on a chain of its own or on a given one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from medledger.cli.command import Command
from medledger.cli.failures import people_message
from medledger.cli.options import IN_FOLDER, key_option
from medledger.cli.output import Meter, Output, Table
from medledger.cli.session import Session
from medledger.errors import AuditMismatch, FraudWentThrough, MedledgerError

if TYPE_CHECKING:
    from medledger.demo import DemoResult


@click.command(
    "demo",
    cls=Command,
    examples=[
        "medledger demo --data examples/synthea",
        "medledger demo --data examples/synthea --rpc http://127.0.0.1:8545 --json",
    ],
)
@click.option(
    "--data",
    type=IN_FOLDER,
    metavar="DIR",
    required=True,
    help="Folder of bulk FHIR NDJSON: Claim, MedicationRequest and what they refer to.",
)
@click.option(
    "--rpc",
    metavar="URL",
    help="Run on this chain; without it on a local one that ends with the demo.",
)
@key_option
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    default="demo-output",
    show_default=True,
    help="Where stores, evidence files and the manifest go; cleared by the next run.",
)
def demo(data: Path, rpc: str | None, key: Path | None, out: Path) -> Output:
    """Run the whole story on a folder of bulk FHIR.

    Issues every bill, prescribes every active order, dispenses and delivers, locks and settles
    claims with two payers in order, reverses some bills, tries eight frauds, compares a licence,
    amends, grants and reads a record, and audits the result from the chain alone. Exit code 0 means
    that nothing disagrees and every fraud was refused.
    --key pays for gas where it is not free and the node has no account of its own.
    """
    from medledger.demo import run_demo

    funder = None if key is None else Session(rpc or "", key=key).operator()
    with Steps() as steps:
        result = run_demo(data, out=out, rpc_url=rpc, funder=funder, progress=steps.show)
    for resource in result.rejected:
        click.echo(f"refused {resource}", err=True)
    return Output(_data(result), _text(result, rpc), _failure(result))


class Steps:
    """One progress meter after the other."""

    def __init__(self) -> None:
        self._meter: Meter | None = None
        self._done = 0

    def show(self, step: str, done: int, total: int) -> None:
        if self._meter is None or self._meter.label != step:
            self._end()
            self._meter = Meter(step, total or None)
            self._meter.__enter__()
        self._meter.advance(done - self._done)
        self._done = done

    def __enter__(self) -> Steps:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def _end(self) -> None:
        if self._meter is not None:
            self._meter.__exit__(None, None, None)
        self._meter, self._done = None, 0


def _data(result: DemoResult) -> dict[str, object]:
    return {
        "bills": result.bills,
        "prescriptions": result.prescriptions,
        "claims": result.claims,
        "paid": result.paid,
        "dispensed": result.dispensed,
        "delivered": result.delivered,
        "reversed": result.reversed,
        "partly_reversed": result.partly_reversed,
        "exchanged_for_paper": result.exchanged,
        "licences": result.licences,
        "amended": result.amended,
        "reads": result.reads,
        "frauds_refused": result.frauds_refused,
        "mismatches": len(result.mismatches),
        "rejected": len(result.rejected),
        "gas": result.gas,
        "seconds": result.seconds,
    }


def _text(result: DemoResult, rpc: str | None) -> list[str | Table]:
    done = [
        ("bills issued", f"{result.bills:,}", f"{result.gas_per_bill:.1f} gas a bill"),
        ("prescriptions issued", f"{result.prescriptions:,}", ""),
        ("dispensed", f"{result.dispensed:,}", _gas(result, "Prescriptions.dispense")),
        ("delivered", f"{result.delivered:,}", _gas(result, "Prescriptions.deliver")),
        ("claims settled", f"{result.claims:,}", f"{result.gas_per_claim:,.0f} gas a claim"),
        ("paid in tokens", f"{result.paid:,}", ""),
        ("bills reversed", f"{result.reversed:,}", _gas(result, "Invoices.reverse")),
        (
            "reversed in part",
            f"{result.partly_reversed:,}",
            _gas(result, "Invoices.reversePart"),
        ),
        ("batches endorsed", f"{result.partly_reversed:,}", _gas(result, "Invoices.issueEndorsed")),
        ("exchanged for paper", f"{result.exchanged:,}", _gas(result, "Invoices.exchangeForPaper")),
        ("licences compared", f"{result.licences:,}", _gas(result, "Licences.open")),
        ("records amended", f"{result.amended:,}", _gas(result, "Records.open")),
        ("reads anchored", f"{result.reads:,}", _gas(result, "Records.anchorReads")),
        ("resources refused", f"{len(result.rejected):,}", ""),
    ]
    frauds = [
        (
            fraud.name.replace("_", " "),
            people_message(fraud.refusal) if fraud.refusal else "WENT THROUGH",
        )
        for fraud in result.frauds
    ]
    lines: list[str | Table] = [
        Table(("done", "count", "cost (median)"), done),
        "",
        Table(("fraud", "the contract's answer"), frauds),
        "",
        f"The auditor rebuilt everything from {result.events:,} events, and compared it with "
        f"storage and with what the roles hold: {len(result.mismatches)} mismatches.",
        *result.mismatches[:20],
        f"{result.seconds:.0f} s. Evidence files: {result.evidence_files[0].parent}",
    ]
    if rpc is not None:
        file = result.evidence_files[0]
        lines.append(f"Try: medledger verify {file} --rpc {rpc} --deployment {result.deployment}")
    return lines


def _gas(result: DemoResult, operation: str) -> str:
    return f"{result.gas[operation]:,} gas" if operation in result.gas else ""


def _failure(result: DemoResult) -> MedledgerError | None:
    if result.ok:
        return None
    if result.mismatches:
        return AuditMismatch(count=len(result.mismatches), first=result.mismatches[0])
    through = [fraud.name for fraud in result.frauds if fraud.refusal is None]
    return FraudWentThrough(frauds=", ".join(through))
