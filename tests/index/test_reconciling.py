"""A hospital's statement of a day against the chain: what agrees, what is proven, what differs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from tests.roles.world import DAY, World, bill

from medledger.core.statement import StatementRow
from medledger.index import EventIndex, sync
from medledger.index.reconciling import Reconciliation, reconcile

Rows = list[StatementRow]


class Story:
    """A day with two batches: five bills of one, of which one is reversed in whole, one in part."""

    def __init__(self, world: World, index: EventIndex) -> None:
        self.world, self.index = world, index
        self.start = world.now()
        hospital = world.hospital
        issued = list(hospital.issue_many([bill(f"visit-{n}") for n in range(5)], batch=5))
        self.numbers = [receipt.number for receipt in issued]
        hospital.reverse(self.numbers[0], None, 1)
        hospital.reverse_part(self.numbers[1], 700, 1, business_key="refund")
        sync(index, [world.rpc])
        self.end = world.now() + 1
        self.rows = list(hospital.statement(self.start, self.end))

    def compare(self, rows: Rows, **changes: int) -> Reconciliation:
        given = {"institution": self.world.ids["hospital"], "start": self.start, "end": self.end}
        return reconcile(self.index, rows, **{**given, **changes})


@pytest.fixture
def story(world: World, file_index: EventIndex) -> Story:
    return Story(world, file_index)


def told(found: Reconciliation) -> list[tuple[str, int, int | None]]:
    return [(one.kind, one.number, one.last) for one in found.differences]


def test_reconcile__the_hospitals_own_statement__agrees_and_is_proven(story: Story) -> None:
    found = story.compare(story.rows)

    assert found.differences == []
    assert (found.file.bills, found.file.red_letters) == (5, 2)
    assert (found.chain_bills, found.chain_red_letters) == (5, 2)
    assert (found.proven_batches, found.batches, found.proven) == (3, 3, 7)
    assert found.chain_claimable_minor == found.file.claimable_minor == 5 * 2500
    assert found.file.total_minor == 5 * 12600
    assert found.file.reversed_minor == 12600 + 700
    assert found.opened >= 1


def test_reconcile__rows_without_headers__compare_and_prove_nothing(story: Story) -> None:
    found = story.compare([replace(row, header=None) for row in story.rows])

    assert found.differences == []
    assert (found.proven, found.chain_claimable_minor) == (0, 0)


def _header(row: StatementRow, **changes: Any) -> StatementRow:
    assert row.header is not None
    return replace(row, header=replace(row.header, **changes))


def _with(rows: Rows, at: int, **changes: Any) -> Rows:
    return [replace(row, **changes) if n == at else row for n, row in enumerate(rows)]


CHANGES: dict[str, tuple[Callable[[Rows], Rows], list[tuple[str, int, int | None]]]] = {
    # Places are of the rows: five bills, then the two red letters.
    "two left out": (lambda rows: [*rows[:2], *rows[4:]], [("missing_in_file", 2, 3)]),
    "all left out": (
        lambda rows: [],
        [("missing_in_file", 0, 4), ("missing_in_file", 5, 5), ("missing_in_file", 6, 6)],
    ),
    "one twice": (lambda rows: [*rows, rows[0]], [("twice_in_file", 0, None)]),
    "one too many": (
        lambda rows: [*rows, replace(rows[0], number=rows[0].number + 900)],
        [("missing_on_chain", 900, None)],
    ),
    "another claimable amount in a header": (
        lambda rows: [
            _header(replace(rows[2], claimable_minor=1), claimable=1) if n == 2 else row
            for n, row in enumerate(rows)
        ],
        [("root_differs", 0, 4)],
    ),
    "another amount of an opened bill": (
        lambda rows: _with(rows, 1, claimable_minor=1, header=None),
        [("amount_differs", 1, None)],
    ),
    "another amount of a partial red letter": (
        lambda rows: _with(rows, 6, claimable_minor=1, header=None),
        [("amount_differs", 6, None)],
    ),
    "a red letter as a bill": (
        lambda rows: _with(rows, 5, original=None),
        [("reversal_missing_in_file", 5, None)],
    ),
    "a bill as a red letter": (
        lambda rows: _with(rows, 3, original=rows[2].number),
        [("reversal_missing_on_chain", 3, None)],
    ),
    "another original": (
        lambda rows: _with(rows, 5, original=rows[2].number),
        [("reversal_differs", 5, None)],
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_reconcile__a_statement_that_differs__says_where(change: str, story: Story) -> None:
    make, expected = CHANGES[change]

    found = story.compare(make(story.rows))

    first = story.numbers[0]
    assert told(found) == [
        (kind, first + at, None if last is None else first + last) for kind, at, last in expected
    ]


def test_reconcile__another_day_or_another_hospital__is_told_of_each_row(story: Story) -> None:
    yesterday = story.compare(story.rows, start=story.start - DAY, end=story.start)
    other = story.compare(story.rows, institution=story.world.ids["other_hospital"])

    assert {kind for kind, _, _ in told(yesterday)} == {"other_day"}
    assert {kind for kind, _, _ in told(other)} == {"missing_on_chain"}
    assert (len(yesterday.differences), len(other.differences)) == (7, 7)
    assert yesterday.differences[0].chain.startswith("issued at 2")


def test_statement__outside_the_day__has_no_row(story: Story) -> None:
    assert list(story.world.hospital.statement(story.end, story.end + DAY)) == []
