"""Document numbers: bill code and bill number in one integer."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medledger.core.numbers import document_number, format_number, parse_number, split_number
from medledger.errors import BadNumber

codes = st.integers(min_value=1, max_value=10**8 - 1)
serials = st.integers(min_value=0, max_value=10**10 - 1)


@given(codes, serials)
def test_document_number__any_code_and_serial__splits_into_them_again(
    code: int, serial: int
) -> None:
    number = document_number(code, serial)

    assert split_number(number) == (code, serial)
    assert number < 10**18 < 2**63


@given(codes, serials)
def test_format_number__any_number__parses_back_with_and_without_its_dash(
    code: int, serial: int
) -> None:
    number = document_number(code, serial)

    text = format_number(number)

    assert len(text) == 19
    assert parse_number(text) == number
    assert parse_number(text.replace("-", "")) == number


@given(st.tuples(codes, serials), st.tuples(codes, serials))
def test_document_number__two_pairs__same_order_as_their_numbers(
    first: tuple[int, int], second: tuple[int, int]
) -> None:
    assert (document_number(*first) < document_number(*second)) == (first < second)


def test_format_number__leading_zeros__are_printed() -> None:
    assert format_number(document_number(1, 2)) == "00000001-0000000002"


@pytest.mark.parametrize("text", [" 46060126-0000000017", "46060126-0000000017\n"])
def test_parse_number__spaces_around_it__bad_number(text: str) -> None:
    with pytest.raises(BadNumber):
        parse_number(text)


@pytest.mark.parametrize(
    ("code", "serial"),
    [(0, 1), (-1, 1), (10**8, 1), (1, -1), (1, 10**10)],
)
def test_document_number__outside_its_digits__bad_number(code: int, serial: int) -> None:
    with pytest.raises(BadNumber) as caught:
        document_number(code, serial)

    assert caught.value.text == f"{code}-{serial}"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "46060126",
        "46060126-17",
        "4606012-60000000017",
        "46060126--0000000017",
        "46060126 0000000017",
        "46060126–0000000017",
        "4606012a-0000000017",
        "-4606012-0000000017",
        "+6060126-0000000017",
        "４６０６０１２６-００００００００１７",
        "٤٦٠٦٠١٢٦-٠٠٠٠٠٠٠٠١٧",
        "46060126-00000000170",
        "046060126-0000000017",
        "46060126-0000000017\n46060126-0000000018",
        "9" * 1000,
    ],
)
def test_parse_number__not_8_and_10_digits__bad_number(text: str) -> None:
    with pytest.raises(BadNumber) as caught:
        parse_number(text)

    assert caught.value.text == text[:40]


def test_parse_number__bill_code_zero__bad_number() -> None:
    with pytest.raises(BadNumber) as caught:
        parse_number("00000000-0000000017")

    assert caught.value.text == "0-17"
