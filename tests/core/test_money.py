"""Money in whole minor units."""

from __future__ import annotations

import time
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medledger.core.money import (
    MAX_AMOUNT_MINOR,
    currency_numeric,
    currency_of,
    major_units,
    minor_units,
)
from medledger.errors import MedledgerError, NegativeAmount, NotDecimal, UnknownCurrency

DECIMALS = {"JPY": 0, "CNY": 2, "EUR": 2, "KWD": 3, "CLF": 4}


@pytest.mark.parametrize(
    ("value", "currency", "expected"),
    [
        (Decimal("37.5"), "CNY", 3750),
        (Decimal("37.50"), "CNY", 3750),
        (Decimal("37.5000"), "CNY", 3750),
        (37, "CNY", 3700),
        (0, "CNY", 0),
        (Decimal("-0"), "CNY", 0),
        (Decimal("1e2"), "CNY", 10000),
        (Decimal("0.01"), "CNY", 1),
        (Decimal("90071992547409.91"), "CNY", MAX_AMOUNT_MINOR),
        (125, "JPY", 125),
        (Decimal("1.250"), "KWD", 1250),
        (Decimal("1.2345"), "CLF", 12345),
    ],
)
def test_minor_units__an_exact_amount__is_in_minor_units(
    value: int | Decimal, currency: str, expected: int
) -> None:
    found = minor_units(value, currency)

    assert found == expected
    assert type(found) is int


@given(st.integers(0, MAX_AMOUNT_MINOR), st.sampled_from(list(DECIMALS)))
def test_major_units__any_amount__minor_units_reads_it_back(amount: int, currency: str) -> None:
    text = major_units(amount, currency)

    assert minor_units(Decimal(text), currency) == amount
    assert len(text.partition(".")[2]) == DECIMALS[currency]


@pytest.mark.parametrize(
    ("amount", "currency", "expected"),
    [(3750, "CNY", "37.50"), (5, "CNY", "0.05"), (5, "JPY", "5"), (5, "KWD", "0.005")],
)
def test_major_units__an_amount__has_the_currencys_decimals(
    amount: int, currency: str, expected: str
) -> None:
    assert major_units(amount, currency) == expected


@pytest.mark.parametrize(
    ("value", "currency"),
    [
        (Decimal("0.001"), "CNY"),
        (Decimal("12.345"), "EUR"),
        (Decimal("0.5"), "JPY"),
        (Decimal("1e-999999"), "CNY"),
        (Decimal("NaN"), "CNY"),
        (Decimal("sNaN"), "CNY"),
        (Decimal("Infinity"), "CNY"),
        (Decimal("-Infinity"), "CNY"),
        (MAX_AMOUNT_MINOR + 1, "JPY"),
        (Decimal("90071992547409.92"), "CNY"),
        (10**400, "CNY"),
        (12.5, "CNY"),
        (float("nan"), "CNY"),
        ("12.50", "CNY"),
        (True, "CNY"),
        (None, "CNY"),
        ([1], "CNY"),
        (b"1", "CNY"),
    ],
)
def test_minor_units__not_an_exact_decimal_amount__not_decimal(value: Any, currency: str) -> None:
    with pytest.raises(NotDecimal) as caught:
        minor_units(value, currency)

    assert caught.value.value == str(value)[:40]


@pytest.mark.parametrize(
    "text",
    [
        "0.1000000000000000000000000000001",
        "1.0000000000000000000000000000000000000001",
        "12.50000000000000000000000000000000001",
        "0.00999999999999999999999999999999999",
    ],
)
def test_minor_units__a_fraction_beyond_28_digits__not_decimal(text: str) -> None:
    with pytest.raises(NotDecimal):
        minor_units(Decimal(text), "CNY")


@pytest.mark.parametrize("text", ["1e-9999999", "1e-99999999999", "-1e-9999999"])
def test_minor_units__a_fraction_that_underflows__refused(text: str) -> None:
    with pytest.raises((NotDecimal, NegativeAmount)):
        minor_units(Decimal(text), "CNY")


@pytest.mark.parametrize("text", ["1e999999", "1e99999999999"])
def test_minor_units__an_amount_that_overflows__not_decimal(text: str) -> None:
    with pytest.raises(NotDecimal):
        minor_units(Decimal(text), "CNY")


def test_minor_units__an_exponent_that_would_cost_seconds__not_decimal_at_once() -> None:
    started = time.process_time()

    with pytest.raises(NotDecimal):
        minor_units(Decimal("1e200000"), "CNY")

    assert time.process_time() - started < 0.5


def test_minor_units__an_integer_too_long_to_print__not_decimal() -> None:
    with pytest.raises(NotDecimal):
        minor_units(10**5000, "CNY")


@pytest.mark.parametrize("value", [-1, Decimal("-0.01"), Decimal("-12.50"), Decimal("-0.001")])
def test_minor_units__less_than_nothing__negative_amount(value: int | Decimal) -> None:
    with pytest.raises(NegativeAmount) as caught:
        minor_units(value, "CNY")

    assert caught.value.value == str(value)


@given(st.integers() | st.decimals(), st.sampled_from(list(DECIMALS)))
def test_minor_units__any_number__exact_or_a_named_error(
    value: int | Decimal, currency: str
) -> None:
    try:
        found = minor_units(value, currency)
    except MedledgerError:
        return

    assert Decimal(found) / 10 ** DECIMALS[currency] == value


@pytest.mark.parametrize("code", ["cny", "CN", "", "156", "RMB", "人民币", None, 156, [], {}, True])
def test_currency_of__not_an_alphabetic_code__unknown_currency(code: Any) -> None:
    with pytest.raises(UnknownCurrency) as caught:
        currency_of(code)

    assert caught.value.currency == str(code)


@pytest.mark.parametrize("code", ["XAU", "XXX", "XTS"])
def test_minor_units__a_currency_without_a_minor_unit__unknown_currency(code: str) -> None:
    with pytest.raises(UnknownCurrency) as caught:
        minor_units(1, code)

    assert caught.value.currency == code


def test_minor_units__an_unknown_currency__unknown_currency() -> None:
    with pytest.raises(UnknownCurrency) as caught:
        minor_units(1, "RMB")

    assert caught.value.currency == "RMB"


@pytest.mark.parametrize(
    ("code", "number"), [("CNY", 156), ("EUR", 978), ("JPY", 392), ("ALL", 8), ("USD", 840)]
)
def test_currency_numeric__a_code__is_its_iso_4217_number(code: str, number: int) -> None:
    assert currency_numeric(code) == number


def test_currency_numeric__an_unknown_code__unknown_currency() -> None:
    with pytest.raises(UnknownCurrency) as caught:
        currency_numeric("RMB")

    assert caught.value.currency == "RMB"
