"""`bench`: what this machine can do, and what acts cost in gas."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import click

from medledger.cli.command import Command, Family
from medledger.cli.output import Meter, Output, Table, pairs

COUNT = click.IntRange(min=1)


@click.group("bench", cls=Family)
def bench() -> None:
    """Measure issuing, verifying and auditing on this machine.

    Every measurement starts an Anvil of its own and leaves nothing behind. Figures of a machine
    that does other things too vary: compare medians, and ratios of runs side by side.
    """


@bench.command(
    "issue",
    cls=Command,
    examples=[
        "medledger bench issue --count 10000",
        "medledger bench issue --count 100000 --batch-size 5000 --json",
    ],
)
@click.option(
    "--count",
    "counts",
    type=COUNT,
    multiple=True,
    default=(10_000,),
    show_default=True,
    help="Bills to issue; given more than once, one run after the other.",
)
@click.option(
    "--batch-size", type=COUNT, default=1_000, show_default=True, help="Bills in one transaction."
)
@click.option(
    "--workers",
    type=click.IntRange(0, 256),
    help="Processes that seal; by default one for each core but one, 0 for none.",
)
@click.option(
    "--store",
    metavar="URL",
    help="SQLAlchemy address of a database; rows stay there. By default a SQLite file for the run.",
)
def issue(
    counts: tuple[int, ...], batch_size: int, workers: int | None, store: str | None
) -> Output:
    """Issue bills end to end, and say how many a second.

    The clock runs from the first bill until the last batch is confirmed and the evidence of some
    bills, read back from the store, has been verified.
    """
    from medledger.bench import measure_issue

    found: list[dict[str, Any]] = []
    for count in counts:
        with Meter("issue bills", count) as meter:
            figures = measure_issue(
                count,
                batch_size=batch_size,
                workers=workers,
                store=store,
                advance=meter.advance,
            )
        found.append({"bills": count, **asdict(figures)})
    return Output(found[0] if len(found) == 1 else {"runs": found}, _issue_lines(found))


def _issue_lines(found: list[dict[str, Any]]) -> list[str | Table]:
    if len(found) == 1:
        (one,) = found
        return [
            *pairs(
                {
                    "Bills issued a second": f"{one['bills_per_second']:,.0f}",
                    "Bills sealed a second": f"{one['seal_per_second']:,.0f} in one process",
                    "Peak memory": f"{one['peak_rss_mb']:,.0f} MB",
                    "Gas a bill": f"{one['gas_per_bill']:,.1f}",
                    "Batches": f"{one['batches']:,}",
                    "Store": one["store"],
                }
            )
        ]
    rows = [
        (
            f"{one['bills']:,}",
            f"{one['seconds']:,.1f}",
            f"{one['bills_per_second']:,.0f}",
            f"{one['peak_rss_mb']:,.0f}",
        )
        for one in found
    ]
    return [Table(("bills", "seconds", "a second", "peak MB"), rows)]


@bench.command(
    "verify",
    cls=Command,
    examples=["medledger bench verify --count 5000", "medledger bench verify --json"],
)
@click.option("--count", type=COUNT, default=5_000, show_default=True, help="Files to verify.")
def verify(count: int) -> Output:
    """Verify evidence offline, and say how much a second.

    All fields are opened, from batches of 1,000 bills: fields, header and path are verified.
    """
    from medledger.bench import measure_verify

    figures = measure_verify(count)
    return Output(
        asdict(figures),
        pairs(
            {
                "Evidence verified a second": f"{figures.verify_per_second:,.0f}",
                "The same, from JSON text": f"{figures.verify_json_per_second:,.0f}",
            }
        ),
    )


@bench.command(
    "audit",
    cls=Command,
    examples=["medledger bench audit --bills 10000 --claims 5000 --prescriptions 2500 --json"],
)
@click.option("--bills", type=COUNT, default=10_000, show_default=True, help="Bills issued.")
@click.option("--claims", type=COUNT, default=5_000, show_default=True, help="Claims settled.")
@click.option(
    "--prescriptions", type=COUNT, default=2_500, show_default=True, help="Prescriptions dispensed."
)
def audit(bills: int, claims: int, prescriptions: int) -> Output:
    """Rebuild the state from a chain, and say how long it takes.

    The chain is made before the clock starts, which takes longer. Then all events are read into a
    new index, and the state is rebuilt from it.
    """
    if claims > bills:
        raise click.UsageError("there are fewer bills than claims")
    from medledger.bench import measure_audit

    with Meter("make the chain, then rebuild", counts=False):
        figures = measure_audit(bills, claims, prescriptions)
    return Output(
        asdict(figures),
        pairs(
            {
                "Seconds": f"{figures.seconds:,.1f}",
                "Events": f"{figures.events:,}",
                "Peak memory": f"{figures.peak_rss_mb:,.0f} MB",
            }
        ),
    )


@bench.command("gas", cls=Command, examples=["medledger bench gas", "medledger bench gas --json"])
def gas() -> Output:
    """Measure the gas of the main acts, from receipts.

    Documents that are used come from batches of 1,000; medians of five.
    """
    from medledger.bench import measure_gas

    figures = measure_gas()
    return Output(
        asdict(figures),
        pairs(
            {
                "Issue one bill": f"{figures.issue_one:,}",
                "Issue 1,000 bills, each": f"{figures.issue_1000_per_bill:,.1f}",
                "Lock and settle a claim": f"{figures.lock_and_settle:,}",
                "The same, 100 at once, each": f"{figures.lock_and_settle_100_each:,.1f}",
                "A prescription's life": f"{figures.prescription_life:,}",
            }
        ),
    )
