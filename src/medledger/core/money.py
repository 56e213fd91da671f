"""Money as whole minor units, never as floats.

>>> minor_units(Decimal("37.5"), "CNY")
3750
>>> major_units(3750, "CNY")
'37.50'
"""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import NewType

from iso4217 import Currency

from medledger.errors import NegativeAmount, NotDecimal, UnknownCurrency

AmountMinor = NewType("AmountMinor", int)
"""An amount in the currency's minor unit (fen, cents), 0 to 2**53 - 1."""

MAX_AMOUNT_MINOR = 2**53 - 1


def currency_of(code: str) -> Currency:
    """The ISO 4217 currency of an alphabetic code; raises `UnknownCurrency`."""
    try:
        return Currency(code)
    except ValueError as error:
        raise UnknownCurrency(currency=str(code)) from error


def currency_numeric(code: str) -> int:
    """The ISO 4217 numeric code (CNY is 156), as contracts hold it; raises `UnknownCurrency`."""
    number = currency_of(code).number
    if number is None:
        raise UnknownCurrency(currency=code)
    return int(number)


def minor_units(value: object, currency: str) -> AmountMinor:
    """The amount in minor units of a JSON number already parsed to `int` or `Decimal`.

    Raises `NotDecimal` for anything else, or for more decimals than the currency has,
    `NegativeAmount`, `UnknownCurrency`.
    """
    exponent = currency_of(currency).exponent
    if exponent is None:
        raise UnknownCurrency(currency=currency)
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise NotDecimal(value=str(value)[:40])
    try:
        scaled = Decimal(value).scaleb(exponent)
        whole = int(scaled)
    except (InvalidOperation, OverflowError, ValueError) as error:
        raise NotDecimal(value=str(value)[:40]) from error
    if scaled < 0:
        raise NegativeAmount(value=str(value)[:40])
    if scaled != whole or whole > MAX_AMOUNT_MINOR:
        raise NotDecimal(value=str(value)[:40])
    return AmountMinor(whole)


def major_units(amount_minor: int, currency: str) -> str:
    """The amount as people read it, with the currency's decimals and without its name."""
    exponent = currency_of(currency).exponent or 0
    return f"{Decimal(amount_minor).scaleb(-exponent):.{exponent}f}"
