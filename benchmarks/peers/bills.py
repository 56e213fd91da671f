"""The bills that every peer gets: the fields that `medledger bench issue` seals, as JSON lines."""

from __future__ import annotations

from collections.abc import Iterator

from medledger.bench.bills import bills, make_pool
from medledger.bench.stage import BILL_CODE
from medledger.core.canonical import canonical
from medledger.core.numbers import document_number
from medledger.core.sealing import SECRET_BYTES, seal


def bill_lines(count: int) -> Iterator[bytes]:
    """Canonical JSON of the first `count` bills, numbers and check codes in their fields."""
    for serial, bill in enumerate(bills(make_pool(), count), 1):
        sealed = seal(bill, document_number(BILL_CODE, serial), bytes(SECRET_BYTES))
        yield canonical(sealed.fields)
