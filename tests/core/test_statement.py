"""Rows of a statement, and the seconds of a day."""

from __future__ import annotations

from datetime import date, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from tests.core.samples import invoice

from medledger.core.numbers import DocumentNumber
from medledger.core.sealing import seal
from medledger.core.statement import StatementRow, day_range, statement_row
from medledger.errors import InvalidDocument

MIDNIGHT = 1795737600
"""2026-11-27 in UTC."""
HOUR = 3600
NUMBER = DocumentNumber(46060126_0000000017)


def row() -> StatementRow:
    sealed = seal(invoice(), NUMBER, bytes(32))
    return statement_row(sealed.header, sealed.fields)


def test_statement_row__of_a_sealed_bill__has_its_leaf_and_nothing_of_the_patient() -> None:
    sealed = seal(invoice(), NUMBER, bytes(32))

    made = row()

    assert made.leaf == sealed.leaf
    assert (made.number, made.original) == (NUMBER, None)
    assert set(made.json()) == {
        *("number", "totalMinor", "claimable"),
        *("patient", "currency", "onHold", "prescription", "prescribed", "body"),
    }


def test_from_json__what_json_gave__is_the_row() -> None:
    assert StatementRow.from_json(row().json()) == row()
    short = StatementRow(NUMBER, 5, 3, NUMBER + 1)
    assert StatementRow.from_json(short.json()) == short
    assert short.leaf is None


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"number": 17}, "number"),
        ({"number": "17"}, "number"),
        ({"original": "x"}, "original"),
        ({"totalMinor": -1}, "totalMinor"),
        ({"totalMinor": 1.5}, "totalMinor"),
        ({"totalMinor": True}, "totalMinor"),
        ({"claimable": 2**53}, "claimable"),
        ({"body": None}, "body"),
        ({"body": "0x12"}, "body"),
        ({"onHold": 1}, "onHold"),
        ({"name": "Ann"}, "name"),
    ],
)
def test_from_json__a_column_that_is_wrong__named(changes: dict[str, Any], field: str) -> None:
    said = {**row().json(), **changes}

    with pytest.raises(InvalidDocument) as error:
        StatementRow.from_json(said)

    assert error.value.values["field"] == field


@pytest.mark.parametrize("hours", [8, 0, -5])
def test_day_range__of_an_offset__is_from_midnight_to_midnight_there(hours: int) -> None:
    start = MIDNIGHT - hours * HOUR

    found = day_range(date(2026, 11, 27), timezone(timedelta(hours=hours)))

    assert found == (start, start + 24 * HOUR)


@pytest.mark.parametrize(("day", "hours"), [(date(2026, 3, 29), 23), (date(2026, 10, 25), 25)])
def test_day_range__of_a_day_on_which_clocks_change__has_its_hours(day: date, hours: int) -> None:
    start, end = day_range(day, ZoneInfo("Europe/Berlin"))

    assert end - start == hours * HOUR
