"""Document numbers: bill code and bill number, as one integer.

A fiscal e-bill is identified by a bill code of 8 digits (region, class, kind, year: two
digits each) and a bill number of 10 digits, unique together in the country. Contracts,
Python and files hold them as one 18-digit integer; people see them with a dash.

>>> number = document_number(46060126, 17)
>>> number, format_number(number)
(460601260000000017, '46060126-0000000017')
"""

from __future__ import annotations

import re
from typing import Literal, NewType

from medledger.errors import BadNumber

DocumentNumber = NewType("DocumentNumber", int)
"""bill code * 10**10 + bill number; fits uint64."""

DocumentKind = Literal["Invoice", "Prescription", "Licence", "Record"]
"""What a number is of; `core.kinds` says the rest of each."""

BILL_NUMBER_SPAN = 10**10
MAX_BILL_CODE = 10**8 - 1


def document_number(bill_code: int, bill_number: int) -> DocumentNumber:
    """The combined number; raises `BadNumber` outside 8 and 10 digits."""
    if not 0 < bill_code <= MAX_BILL_CODE or not 0 <= bill_number < BILL_NUMBER_SPAN:
        raise BadNumber(text=f"{bill_code}-{bill_number}")
    return DocumentNumber(bill_code * BILL_NUMBER_SPAN + bill_number)


def split_number(number: int) -> tuple[int, int]:
    """(bill code, bill number)."""
    return divmod(number, BILL_NUMBER_SPAN)


def format_number(number: int) -> str:
    """The number as printed on a bill: `46060126-0000000017`."""
    code, serial = split_number(number)
    return f"{code:08d}-{serial:010d}"


def parse_number(text: str) -> DocumentNumber:
    """The number of `46060126-0000000017` or of 18 digits; raises `BadNumber`."""
    match = re.fullmatch("([0-9]{8})-?([0-9]{10})", text)
    if match is None:
        raise BadNumber(text=text[:40])
    return document_number(int(match[1]), int(match[2]))
