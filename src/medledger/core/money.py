"""Money as whole minor units, never as floats.

>>> minor_units(Decimal("37.5"), "CNY")
3750
>>> major_units(3750, "CNY")
'37.50'
"""

from __future__ import annotations

from decimal import Decimal
from typing import NewType

from iso4217 import Currency

from medledger.errors import NegativeAmount, NotDecimal, UnknownCurrency

AmountMinor = NewType("AmountMinor", int)
"""An amount in the currency's minor unit (fen, cents), 0 to 2**53 - 1."""

MAX_AMOUNT_MINOR = 2**53 - 1
MAX_DIGITS = 16


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
        raise NotDecimal(value=_shown(value))
    if isinstance(value, int):
        if value > MAX_AMOUNT_MINOR:
            raise NotDecimal(value=_shown(value))
        value = Decimal(value) if value >= 0 else Decimal(-1)
    # Digit by digit: Decimal's arithmetic would round, and scaling 1e999999 takes minutes.
    sign, digits, power = value.as_tuple()
    if not isinstance(power, int) or value.adjusted() + exponent > MAX_DIGITS:
        raise NotDecimal(value=_shown(value))
    if sign and any(digits):
        raise NegativeAmount(value=_shown(value))
    places = power + exponent
    if places < 0:
        if any(digits[places:]):
            raise NotDecimal(value=_shown(value))
        digits, places = digits[:places], 0
    amount = int("".join(map(str, digits)) or "0") * 10 ** (places if any(digits) else 0)
    if amount > MAX_AMOUNT_MINOR:
        raise NotDecimal(value=_shown(value))
    return AmountMinor(amount)


def major_units(amount_minor: int, currency: str) -> str:
    """The amount as people read it, with the currency's decimals and without its name."""
    exponent = currency_of(currency).exponent or 0
    return f"{Decimal(amount_minor).scaleb(-exponent):.{exponent}f}"


def _shown(value: object) -> str:
    # Converting an integer of thousands of digits to text is itself refused by Python.
    if isinstance(value, int) and abs(value) >= 10**4000:
        return "an integer of more than 4,000 digits"
    return str(value)[:40]
