"""From samples to ratios: medians, the table for people and the object for programs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

Samples = Mapping[str, Sequence[float]]
"""What each run measured, by name. Those that begin with `ours_` are medledger's."""

COLUMNS = ("Measure", "Peer", "Theirs", "Ours", "Ratio")


@dataclass(frozen=True, slots=True)
class Pair:
    """Two samples that are compared. Gas is better low, every rate is better high.

    `issue` is all of ours, from a bill in memory to evidence that verifies, against one step of
    theirs.
    """

    measure: str
    peer: str
    theirs: str
    ours: str
    is_gas: bool = False


_OA = "OpenAttestation"
PAIRS = (
    Pair("seal only, 1 process", f"{_OA} wrapDocuments", "oa_wrap", "ours_seal"),
    Pair("issue, their sealing", f"{_OA} wrapDocuments", "oa_wrap", "ours_issue"),
    Pair("issue, their sealing", f"{_OA}, all cores", "oa_wrap_all", "ours_issue"),
    Pair("issue, their sending", "EAS multiAttest", "eas_attest", "ours_issue"),
    Pair("issue, their sending", "EAS multiTimestamp", "eas_timestamp", "ours_issue"),
    Pair("verify, objects", f"{_OA} verifySignature", "oa_verify", "ours_verify"),
    Pair("verify, JSON text", f"{_OA} verifySignature", "oa_verify_json", "ours_verify_json"),
    Pair("gas a bill", "EAS multiAttest", "eas_attest_gas", "ours_gas", is_gas=True),
    Pair("gas a bill", "EAS multiTimestamp", "eas_timestamp_gas", "ours_gas", is_gas=True),
)


@dataclass(frozen=True, slots=True)
class Row:
    """Medians, bills a second or gas a bill. `ratio` is above 1 where ours is the better one."""

    measure: str
    peer: str
    theirs: float
    ours: float
    ratio: float


def rows(samples: Samples, pairs: Iterable[Pair] = PAIRS) -> list[Row]:
    """One row for each pair."""
    return [_row(pair, median(samples[pair.theirs]), median(samples[pair.ours])) for pair in pairs]


def table(found: Iterable[Row]) -> str:
    """The rows for people, numbers to the right."""
    cells = [COLUMNS, *map(_cells, found)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join(_line(line, widths) for line in cells)


def _row(pair: Pair, theirs: float, ours: float) -> Row:
    ratio = theirs / ours if pair.is_gas else ours / theirs
    return Row(pair.measure, pair.peer, round(theirs, 1), round(ours, 1), round(ratio, 2))


def _cells(row: Row) -> tuple[str, ...]:
    return row.measure, row.peer, f"{row.theirs:,.0f}", f"{row.ours:,.0f}", f"{row.ratio:,.1f}"


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    texts = [cell.ljust(width) for cell, width in zip(cells[:2], widths[:2], strict=True)]
    numbers = [cell.rjust(width) for cell, width in zip(cells[2:], widths[2:], strict=True)]
    return "  ".join(texts + numbers)
