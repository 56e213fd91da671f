"""`audit export`, `audit summary` and `audit report`: an index as files, figures and a page."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from medledger.cli.command import Command
from medledger.cli.options import OUT_FILE, index_option, reading
from medledger.cli.output import Meter, Output, Table, pairs, time_text, write_private
from medledger.cli.session import Session

if TYPE_CHECKING:
    from medledger.index.export import Format
    from medledger.index.figures import Figures

MOST_COLUMNS = 40
"""Columns of a sparkline."""
LEVELS = "▁▂▃▄▅▆▇█"
PLAIN_LEVELS = ".:-=+*#@"
"""For a terminal whose encoding lacks the others."""


@click.command(
    "export",
    cls=Command,
    examples=[
        "medledger audit export 2026-11 --index sqlite:///index.db",
        "medledger audit export 2026-11-csv --format csv",
    ],
)
@click.argument("folder", metavar="DIR", type=click.Path(file_okay=False, path_type=Path))
@click.option(
    "--format",
    "format_",
    type=click.Choice(["parquet", "csv"]),
    default="parquet",
    show_default=True,
    help="Form of the files; parquet needs medledger[export].",
)
@index_option
@reading
def export(session: Session, folder: Path, format_: Format, index: str) -> Output:
    """Write the index as tables for analysts.

    DIR must be new, or empty. It is there once all is in it. What the tables hold stands in
    docs/export.md.
    """
    auditor = session.auditor()
    with session.index(auditor, index) as opened, Meter("rows") as meter:
        done = auditor.export(opened, folder, format_, advance=meter.advance)
    data = {"folder": done.folder, "format": format_, "block": done.block, "rows": done.rows}
    rows = [(name, f"{count:,}") for name, count in done.rows.items()]
    return Output(
        data, [f"{done.folder}: as of block {done.block}", Table(("table", "rows"), rows)]
    )


@click.command(
    "summary",
    cls=Command,
    examples=["medledger audit summary", "medledger audit summary --index sqlite:///i.db --json"],
)
@index_option
@reading
def summary(session: Session, index: str) -> Output:
    """Show what an index says, in a few numbers.

    What was issued over time, where claims and prescriptions stand, and how long reimbursement
    took. Amounts are in minor units, by currency.
    """
    auditor = session.auditor()
    with session.index(auditor, index) as opened, Meter("count", counts=False):
        found = auditor.figures(opened)
    return Output(_figures_data(found), _figures_lines(found))


@click.command(
    "report",
    cls=Command,
    examples=[
        "medledger audit report report.html",
        "medledger audit report all.html --findings 9999",
    ],
)
@click.argument("out", metavar="OUT.html", type=OUT_FILE)
@click.option(
    "--findings",
    type=click.IntRange(min=0),
    default=50,
    show_default=True,
    metavar="COUNT",
    help="How many findings of each rule to tell; the others are counted.",
)
@index_option
@reading
def report(session: Session, out: Path, findings: int, index: str) -> Output:
    """Write what an index says as one HTML file to read and to print.

    It has charts, tables and findings, needs no script and loads nothing. The same index makes the
    same file.
    """
    auditor = session.auditor()
    with session.index(auditor, index) as opened, Meter("report", counts=False):
        text = auditor.report(opened, most_findings=findings)
        block = opened.place().next_block - 1
    write_private(out, text)
    return Output({"file": out, "block": block}, [f"{out}: as of block {block}"])


def _figures_data(found: Figures) -> dict[str, Any]:
    from medledger.index.figures import day_text

    data = asdict(found)
    data["days"] = {day_text(day): counts for day, counts in found.days.items()}
    return data


def _figures_lines(found: Figures) -> list[str | Table]:
    from medledger.index.figures import duration_text

    identity = found.identity
    lines: list[str | Table] = [
        f"chain {identity.chain_id}, blocks {identity.first_block} to {identity.last_block}, "
        f"{time_text(identity.last_block_at)}",
        *pairs(
            {
                "events": f"{found.events:,}",
                "institutions": f"{found.institutions:,}",
                "batches": f"{found.batches:,}",
                "bills used": f"{found.used_bills:,}",
            }
        ),
        "",
        _issuing_table(found),
    ]
    if found.claims:
        rows = [
            (
                str(one.payer),
                one.status,
                f"{one.claims:,}",
                f"{one.locked_minor:,}",
                f"{one.reimbursed_minor:,}",
                one.currency,
            )
            for one in found.claims
        ]
        columns = ("payer", "state", "claims", "locked (minor)", "reimbursed (minor)", "currency")
        lines += ["", Table(columns, rows)]
    if found.took.median is not None and found.took.nine_of_ten is not None:
        spread = sparkline(list(found.took.by_limit.values()))
        lines += [
            "",
            f"from bill to reimbursement  {spread}  half within "
            f"{duration_text(found.took.median)}, nine of ten within "
            f"{duration_text(found.took.nine_of_ten)}",
        ]
    steps = [(label, f"{count:,}") for label, count in found.prescriptions.items()]
    return [*lines, "", Table(("prescriptions", "count"), steps)]


def _issuing_table(found: Figures) -> Table:
    from medledger.index.figures import WORDS, day_text, periods

    length, parts = periods(found.days, MOST_COLUMNS)
    since = f"a column is {length} days from {day_text(parts[0][0])}" if parts else "over time"
    rows = [
        (WORDS[ledger], f"{count:,}", sparkline([counts.get(ledger, 0) for _, counts in parts]))
        for ledger, count in found.issued.items()
    ]
    return Table(("issued", "count", since.replace("is 1 days", "is a day")), rows)


def sparkline(values: Sequence[int], encoding: str | None = None) -> str:
    """One character for each value, as high as it is; a space for nothing."""
    levels = LEVELS
    try:
        LEVELS.encode(encoding or sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        levels = PLAIN_LEVELS
    top = max(values, default=0)
    return "".join(levels[-(-value * len(levels) // top) - 1] if value else " " for value in values)
