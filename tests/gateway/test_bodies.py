"""The documentation shows what the gateway takes."""

from __future__ import annotations

import re
from pathlib import Path

from medledger.core.canonical import parse_strict
from medledger.core.documents import Invoice
from medledger.formats.json import document_of


def test_body__of_the_documentation__is_a_bill() -> None:
    text = (Path(__file__).parents[2] / "docs" / "gateway.md").read_text("utf-8")
    example = re.findall(r"```json\n(.*?)```", text, re.DOTALL)[0]

    bill = document_of(parse_strict(example), "Invoice")

    assert isinstance(bill, Invoice)
    assert bill.claimable_minor == 2500
