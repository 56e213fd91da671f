"""The statement of a day: what a hospital says that it issued, to be compared with the chain.

Each row is a bill or a red letter: number, total, what the patient bore, and the original of a red
letter. With the rest of its header the row has the bill's leaf, so that a whole batch of rows can
be held against the batch's root, and with it every claimable amount.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Any

from pydantic import ValidationError
from pydantic.alias_generators import to_camel

from medledger.core.hashing import InvoiceHeader, leaf_hash
from medledger.core.kinds import KINDS, header_fields, header_of_fields
from medledger.core.money import MAX_AMOUNT_MINOR
from medledger.core.numbers import format_number, parse_number
from medledger.errors import BadNumber, InvalidDocument

OWN_COLUMNS = ("number", "totalMinor", "original", "claimable")
HEADER_COLUMNS = tuple(
    name for field in KINDS["Invoice"].wire.model_fields if (name := to_camel(field)) != "claimable"
)
COLUMNS = (*OWN_COLUMNS, *HEADER_COLUMNS)
"""As in the file. Those of the header are named as in evidence, and may be left out together."""
TEXT_COLUMNS = {
    *("number", "original"),
    *(to_camel(n) for n, f in KINDS["Invoice"].wire.model_fields.items() if f.annotation is str),
}
"""Those that are text though they may be all digits: numbers of documents."""


@dataclass(frozen=True, slots=True)
class StatementRow:
    """A bill, or a red letter where it has an `original`. Amounts are in minor units."""

    number: int
    total_minor: int
    claimable_minor: int
    original: int | None = None
    header: InvoiceHeader | None = None

    @property
    def leaf(self) -> bytes | None:
        """The bill's leaf in its batch; None without the header."""
        return None if self.header is None else leaf_hash(self.header.struct_hash())

    def json(self) -> dict[str, Any]:
        """The row by its columns; what is not there is left out."""
        found: dict[str, Any] = {
            "number": format_number(self.number),
            "totalMinor": self.total_minor,
            "claimable": self.claimable_minor,
        }
        if self.original is not None:
            found["original"] = format_number(self.original)
        return found if self.header is None else found | header_fields(self.header)

    @classmethod
    def from_json(cls, said: Mapping[str, Any]) -> StatementRow:
        """The row of its columns; raises `InvalidDocument` naming the column."""
        for name in said:
            if name not in COLUMNS:
                problem = f"is no column; they are {', '.join(COLUMNS)}"
                raise InvalidDocument(field=name, problem=problem)
        number = _number(said, "number")
        claimable = _amount(said, "claimable")
        return cls(
            number,
            _amount(said, "totalMinor"),
            claimable,
            _number(said, "original") if said.get("original") is not None else None,
            _header(said, number, claimable),
        )


@dataclass(slots=True)
class Totals:
    """Sums of rows. Bills and red letters are counted apart; amounts are in minor units."""

    bills: int = 0
    total_minor: int = 0
    claimable_minor: int = 0
    red_letters: int = 0
    reversed_minor: int = 0

    def add(self, row: StatementRow) -> None:
        """Counts a row."""
        if row.original is None:
            self.bills += 1
            self.total_minor += row.total_minor
            self.claimable_minor += row.claimable_minor
        else:
            self.red_letters += 1
            self.reversed_minor += row.total_minor


def statement_row(header: InvoiceHeader, fields: Mapping[str, Any]) -> StatementRow:
    """The row of a bill, by its header and its sealed fields."""
    code, serial = fields.get("relatedInvoiceCode"), fields.get("relatedInvoiceNumber")
    original = parse_number(f"{code}{serial}") if serial is not None else None
    return StatementRow(
        header.number, int(fields["TotalAmount"]), header.claimable, original, header
    )


def day_range(day: date, zone: tzinfo) -> tuple[int, int]:
    """The first second of a day in a zone, and of the next, Unix seconds."""
    start = datetime(day.year, day.month, day.day, tzinfo=zone)
    # The next midnight by the calendar: a day of summer time has 23 or 25 hours.
    next_day = day + timedelta(days=1)
    end = datetime(next_day.year, next_day.month, next_day.day, tzinfo=zone)
    return int(start.astimezone(UTC).timestamp()), int(end.astimezone(UTC).timestamp())


def _header(said: Mapping[str, Any], number: int, claimable: int) -> InvoiceHeader | None:
    given = {name: said[name] for name in HEADER_COLUMNS if said.get(name) is not None}
    if not given:
        return None
    try:
        header = header_of_fields("Invoice", number, given | {"claimable": claimable})
    except ValidationError as error:
        first = error.errors()[0]
        raise InvalidDocument(field=str(first["loc"][0]), problem=first["msg"]) from error
    assert isinstance(header, InvoiceHeader)
    return header


def _number(said: Mapping[str, Any], name: str) -> int:
    value = said.get(name)
    if not isinstance(value, str):
        raise InvalidDocument(field=name, problem="is no document number")
    try:
        return parse_number(value)
    except BadNumber as error:
        raise InvalidDocument(field=name, problem="is no document number") from error


def _amount(said: Mapping[str, Any], name: str) -> int:
    value = said.get(name)
    if type(value) is not int or not 0 <= value <= MAX_AMOUNT_MINOR:
        raise InvalidDocument(field=name, problem="is no amount in minor units")
    return value
