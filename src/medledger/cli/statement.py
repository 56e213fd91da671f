"""`statement` and `audit reconcile`: what a hospital says it issued on a day, and the chain."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import asdict
from datetime import date, timedelta, timezone, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import click

from medledger.cli.command import Command
from medledger.cli.options import (
    IN_FILE,
    INSTITUTION,
    OUT_FILE,
    index_option,
    reading,
    reading_store,
)
from medledger.cli.output import Output, Table, pairs, time_text
from medledger.cli.session import Session, read_file
from medledger.core.numbers import format_number
from medledger.errors import IndexBehind, StatementMismatch

if TYPE_CHECKING:
    from medledger.core.statement import StatementRow, Totals
    from medledger.index.reconciling import Difference, Reconciliation

CHINA = "+08:00"
SHOWN_DIFFERENCES = 20


class DayType(click.ParamType):
    """A calendar day."""

    name = "day"

    def convert(
        self, value: str | date, param: click.Parameter | None, ctx: click.Context | None
    ) -> date:
        try:
            return value if isinstance(value, date) else date.fromisoformat(value)
        except ValueError:
            self.fail("expected a day as 2026-11-27", param, ctx)


class ZoneType(click.ParamType):
    """A time zone: an offset, or a name that this machine knows."""

    name = "zone"

    def convert(
        self, value: str | tzinfo, param: click.Parameter | None, ctx: click.Context | None
    ) -> tzinfo:
        if isinstance(value, tzinfo):
            return value
        if offset := re.fullmatch(r"([+-])([01]\d):([0-5]\d)", value):
            sign = -1 if offset[1] == "-" else 1
            return timezone(sign * timedelta(hours=int(offset[2]), minutes=int(offset[3])))
        try:
            return ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            self.fail("expected +08:00, or a name such as Asia/Shanghai", param, ctx)


day_option = click.option("--day", type=DayType(), required=True, help="Day of issue, 2026-11-27.")
zone_option = click.option(
    "--zone",
    type=ZoneType(),
    default=CHINA,
    show_default=True,
    help="Time zone of the day, an offset or a name.",
)


@click.command(
    "statement",
    cls=Command,
    examples=[
        "medledger statement --day 2026-11-27 --out day.csv",
        "medledger statement --day 2026-11-27 --zone Europe/Berlin --out day.ndjson",
    ],
)
@day_option
@zone_option
@click.option(
    "--out",
    type=OUT_FILE,
    required=True,
    help="File to write: CSV where it ends in .csv, else JSON lines.",
)
@reading_store
def statement(session: Session, day: date, zone: tzinfo, out: Path) -> Output:
    """Write the statement of a day: what this hospital issued on it.

    A row for each bill and red letter: number, amounts, the original of a red letter, and the
    header as it was sealed; nothing of the patient. An auditor compares it with the chain:
    medledger audit reconcile.
    """
    from medledger.core.statement import Totals, day_range
    from medledger.formats.statement import write_statement

    totals = Totals()
    hospital = session.archive()
    try:
        waiting = len(hospital.store.unissued(hospital.ledgers.invoices.address))
        rows = _counted(hospital.statement(*day_range(day, zone)), totals)
        with out.open("w", encoding="utf-8", newline="") as file:
            write_statement(rows, file, as_csv=out.suffix.lower() == ".csv")
    finally:
        hospital.close()
    rows_of = {_label(name): value for name, value in asdict(totals).items()}
    text = [f"{day}: {totals.bills + totals.red_letters} rows in {out}", *pairs(rows_of)]
    if waiting:
        text.append(f"{waiting} batches are not final yet, and not in it")
    data = {"day": str(day), "file": out, **asdict(totals), "waiting_batches": waiting}
    return Output(data, text)


@click.command(
    "reconcile",
    cls=Command,
    examples=[
        "medledger audit reconcile day.csv --day 2026-11-27 --institution 2",
        "medledger audit reconcile day.ndjson --day 2026-11-27 --institution 2 --zone +01:00",
    ],
)
@click.argument("file", type=IN_FILE)
@day_option
@zone_option
@click.option("--institution", type=INSTITUTION, required=True, help="Hospital whose file it is.")
@index_option
@reading
def reconcile(
    session: Session, file: Path, day: date, zone: tzinfo, institution: int, index: str
) -> Output:
    """Compare a hospital's statement of a day with the chain.

    Numbers and reversals are compared of all bills. Claimable amounts are compared of those that
    somebody opened, and proven for every batch whose rows have their headers, by its root. Exits
    with 8 if anything differs.
    """
    from medledger.core.statement import day_range
    from medledger.formats.statement import read_statement
    from medledger.index.reconciling import reconcile as compare

    start, end = day_range(day, zone)
    rows = read_statement(read_file(file), str(file))
    with session.index(session.auditor(), index) as opened:
        if (until := opened.last_time()) < start:
            raise IndexBehind(until=until, at=start)
        found = compare(opened, rows, institution=institution, start=start, end=end)
    failure = None
    if found.differences:
        first = _sentence(found.differences[0])
        failure = StatementMismatch(count=len(found.differences), day=str(day), first=first)
    data = {"day": str(day), "institution": institution, "until": min(until, end - 1)}
    return Output(data | _data(found), _lines(found, day, institution, until, end), failure)


def _counted(rows: Iterator[StatementRow], totals: Totals) -> Iterator[StatementRow]:
    """The rows, counted as they pass."""
    for row in rows:
        totals.add(row)
        yield row


def _label(name: str) -> str:
    return name.replace("_minor", " (minor units)").replace("_", " ")


def _data(found: Reconciliation) -> dict[str, Any]:
    return asdict(found) | {
        "differences": [
            {
                "kind": one.kind,
                "number": format_number(one.number),
                **({} if one.last is None else {"last": format_number(one.last)}),
                "file": one.file,
                "chain": one.chain,
            }
            for one in found.differences
        ],
    }


def _lines(
    found: Reconciliation, day: date, institution: int, until: int, end: int
) -> list[str | Table]:
    file = found.file
    rows = [
        ("bills", str(file.bills), str(found.chain_bills)),
        ("red letters", str(file.red_letters), str(found.chain_red_letters)),
        ("total (minor units)", str(file.total_minor), "not on chain"),
        ("reversed (minor units)", str(file.reversed_minor), "not on chain"),
        (
            "claimable (minor units)",
            str(file.claimable_minor),
            f"{found.chain_claimable_minor} proven",
        ),
    ]
    shown: list[str | Table] = [
        f"{day}, institution {institution}",
        Table(("", "file", "chain"), rows),
        f"{found.proven_batches} of {found.batches} batches proven by their roots: "
        f"{found.proven} bills; {found.opened} opened bills compared",
    ]
    if until < end - 1:
        shown.append(f"the index ends within the day, at {time_text(until)}")
    if found.differences:
        listed = [
            (one.kind, _numbers(one), one.file, one.chain)
            for one in found.differences[:SHOWN_DIFFERENCES]
        ]
        shown.append(Table(("difference", "number", "file", "chain"), listed))
        if len(found.differences) > len(listed):
            shown.append(f"... and {len(found.differences) - len(listed)} more; --json lists all")
    return shown


def _sentence(one: Difference) -> str:
    return f"{_numbers(one)}: {one.kind.replace('_', ' ')}"


def _numbers(one: Difference) -> str:
    first = format_number(one.number)
    return first if one.last in (None, one.number) else f"{first} to {format_number(one.last)}"
