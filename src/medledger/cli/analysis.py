"""`audit export`, `audit summary` and `audit report`: an index as files, figures and a page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from medledger.cli.command import Command
from medledger.cli.options import index_option, reading
from medledger.cli.output import Meter, Output, Table
from medledger.cli.session import Session

if TYPE_CHECKING:
    from medledger.index.export import Format


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
