"""FHIR values as Python values: references, times, amounts, measures.

Each takes the FHIRPath of what it reads and raises `Unfit` with it. The problem names the shape
of the fault and never the value, which may be a person's.
"""

from __future__ import annotations

import re
import sys
from datetime import UTC, datetime
from decimal import Decimal

from medledger.core.money import minor_units
from medledger.errors import NegativeAmount, NotDecimal, UnknownCurrency
from medledger.formats.faults import Unfit
from medledger.formats.fhir.resources import Money, Reference

# Of FHIR's dateTime those with a day, https://hl7.org/fhir/R4/datatypes.html#dateTime
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d(T\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d))?", flags=re.ASCII)


def target(reference: Reference, resource_type: str, path: str) -> str:
    """The id that `urn:uuid:<id>` or `<resource_type>/<id>` refers to.

    It is interned: thousands of rows refer to one patient or hospital.
    """
    text = reference.reference
    if text is None:
        raise Unfit(f"{path}.reference", "is missing")
    if text.startswith("urn:uuid:"):
        return sys.intern(text[len("urn:uuid:") :])
    kind, _, found = text.partition("/")
    if kind != resource_type or not found:
        raise Unfit(f"{path}.reference", f"is neither urn:uuid:<id> nor {resource_type}/<id>")
    return sys.intern(found)


def moment(text: str, path: str) -> datetime:
    """The time of a dateTime, in the zone it is written in; a day alone is its start in UTC.

    Years and months alone, which FHIR allows, are refused: a bill has an issue day.
    """
    if not _MOMENT.fullmatch(text):
        raise Unfit(path, "is not a dateTime with a day, and a zone where it has a time")
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise Unfit(path, "is not in the calendar") from None
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


def amount_minor(money: Money, path: str) -> int:
    """The amount in the currency's minor unit."""
    value = money.value
    if isinstance(value, Decimal) and not _is_short(value):
        # `minor_units` works with 28 digits: it would round what is longer.
        raise Unfit(f"{path}.value", "has more digits than any amount")
    try:
        return minor_units(value, money.currency)
    except UnknownCurrency:
        raise Unfit(f"{path}.currency", "is not an ISO 4217 currency") from None
    except NegativeAmount:
        raise Unfit(f"{path}.value", "is negative") from None
    except NotDecimal:
        raise Unfit(
            f"{path}.value", "is not a number with at most the currency's decimals"
        ) from None


def measure(value: object, path: str) -> Decimal:
    """A number above 0, of at most 20 digits."""
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise Unfit(path, "is not a number")
    if isinstance(value, int) and value.bit_length() > 64:
        raise Unfit(path, "is out of range")
    number = Decimal(value)
    if number <= 0 or not _is_short(number):
        raise Unfit(path, "is out of range")
    return number


def _is_short(value: Decimal) -> bool:
    _, digits, exponent = value.as_tuple()
    return len(digits) <= 20 and isinstance(exponent, int) and -20 <= exponent <= 20
