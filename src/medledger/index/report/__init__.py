"""The report: what an index says, as one HTML file that a person reads, prints and keeps.

    html = render(figures(index, ledgers), check(index))

It has no script and loads nothing. The same index makes the same bytes: the only times are the
chain's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

from jinja2 import Environment, PackageLoader, StrictUndefined

from medledger import __version__
from medledger.core.kinds import KINDS
from medledger.core.money import major_units
from medledger.errors import UnknownCurrency
from medledger.index.figures import (
    WORDS,
    Durations,
    Figures,
    by_payer,
    day_text,
    duration_text,
    periods,
    statuses,
)
from medledger.index.findings import Finding
from medledger.index.report.charts import Chart, Rows, bars, columns

MOST_COLUMNS = 40
"""Periods that fit beside each other, and on a page as a table."""
MOST_PAYERS = 12
OTHERS = "others"
EVIDENCE = 5
"""Events that are shown of one finding."""


@dataclass(frozen=True, slots=True)
class Section:
    """A chart and the table of the same numbers."""

    title: str
    words: str
    chart: Chart | None
    head: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Group:
    """The findings of one rule: how many, and those that are shown."""

    rule: str
    severity: str
    count: int
    shown: Sequence[Finding]


def render(found: Figures, findings: Sequence[Finding], *, most_findings: int = 50) -> str:
    """The HTML; of each rule the latest `most_findings` are told, the others counted."""
    environment = Environment(
        loader=PackageLoader("medledger.index", "report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"count": _count, "time": time_text, "hexadecimal": _hexadecimal}
    sections = [_issuing(found), _claims(found), _durations(found.took), _funnel(found)]
    return environment.get_template("report.html").render(
        found=found,
        totals=_totals(found),
        sections=sections,
        amounts=_amounts(found),
        groups=_groups(findings, most_findings),
        findings=len(findings),
        evidence=EVIDENCE,
        version=__version__,
    )


def _totals(found: Figures) -> dict[str, int]:
    issued = {f"{WORDS[ledger]} issued": count for ledger, count in found.issued.items()}
    return {
        "events": found.events,
        "institutions": found.institutions,
        "batches": found.batches,
        **issued,
        "bills used": found.used_bills,
        "claims": sum(one.claims for one in found.claims),
    }


def _issuing(found: Figures) -> Section:
    length, parts = periods(found.days, MOST_COLUMNS)
    ledgers = [entry.ledger for entry in KINDS.values() if found.issued[entry.ledger]]
    names = [WORDS[ledger] for ledger in ledgers]
    rows = [
        (day_text(day), {WORDS[ledger]: n for ledger, n in counts.items()}) for day, counts in parts
    ]
    per = {1: "day", 7: "week", 30: "30 days", 365: "365 days"}.get(length, f"{length} days")
    words = "Documents by the time of the block that their batch is in"
    words += ", in UTC days." if length == 1 else f", in periods of {length} UTC days."
    return Section(
        f"Issuing per {per}",
        words,
        columns(rows, names) if rows else None,
        ("from", *names) if length > 1 else ("day", *names),
        _table(rows, names),
    )


def _claims(found: Figures) -> Section:
    payers = by_payer(found.claims)
    names = statuses(found.claims)
    rows = [(f"payer {payer}", counts) for payer, counts in payers.items()]
    if len(rows) > MOST_PAYERS:
        others = sum((Counter(counts) for _, counts in rows[MOST_PAYERS:]), Counter[str]())
        rows = [*rows[:MOST_PAYERS], (f"{len(rows) - MOST_PAYERS} {OTHERS}", dict(others))]
    return Section(
        "Claims by payer and state",
        "Where each payer stands with each bill that it ever acted on.",
        bars(rows, names) if rows else None,
        ("payer", *names),
        _table(rows, names),
    )


def _durations(took: Durations) -> Section:
    rows = [(label, {"claims": count}) for label, count in took.by_limit.items()]
    words = "From the block that a bill was issued in to the one in which a payer reimbursed it."
    if took.median is not None and took.nine_of_ten is not None:
        words += f" Half of them took {duration_text(took.median)} at most, nine of ten"
        words += f" {duration_text(took.nine_of_ten)} at most."
    return Section(
        "Time from bill to reimbursement",
        words,
        bars(rows, ["claims"]) if took.count else None,
        ("time", "claims"),
        _table(rows, ["claims"]) if took.count else (),
    )


def _funnel(found: Figures) -> Section:
    rows = [(label, {"prescriptions": count}) for label, count in found.prescriptions.items()]
    issued = found.prescriptions["issued"]
    return Section(
        "What became of prescriptions",
        "How many ever came to each state. A courier is not needed for a delivery.",
        bars(rows, ["prescriptions"]) if issued else None,
        ("state", "prescriptions", "of those issued"),
        [
            (label, _count(count), f"{count / issued:.1%}")
            for label, count in found.prescriptions.items()
        ]
        if issued
        else (),
    )


def _amounts(found: Figures) -> list[tuple[str, ...]]:
    return [
        (
            str(one.payer),
            one.status,
            one.currency or "unknown",
            _count(one.claims),
            money_text(one.locked_minor, one.currency),
            money_text(one.reimbursed_minor, one.currency),
        )
        for one in found.claims
    ]


def _groups(findings: Sequence[Finding], most: int) -> list[Group]:
    """By rule, in the order in which rules are checked: from the gravest on."""
    by_rule: dict[str, list[Finding]] = {}
    for one in findings:
        by_rule.setdefault(one.rule, []).append(one)
    return [
        Group(
            rule,
            own[0].severity,
            len(own),
            sorted(own, key=lambda one: -one.time)[:most],
        )
        for rule, own in by_rule.items()
    ]


def _table(rows: Rows, series: Sequence[str]) -> list[tuple[str, ...]]:
    return [(label, *(_count(counts.get(name, 0)) for name in series)) for label, counts in rows]


def money_text(amount_minor: int, currency: str) -> str:
    """An amount with its decimals; in minor units where the currency is unknown."""
    try:
        return f"{Decimal(major_units(amount_minor, currency)):,}"
    except UnknownCurrency:
        return f"{amount_minor:,} minor units"


def time_text(seconds: int) -> str:
    """A time in UTC."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S} UTC"


def _count(number: int) -> str:
    return f"{number:,}"


def _hexadecimal(value: bytes) -> str:
    return "0x" + value.hex()
