"""The bodies say what the documents say, no less and no more."""

from __future__ import annotations

import re
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from pydantic.alias_generators import to_camel

from medledger.core.canonical import parse_strict
from medledger.core.documents import Invoice, InvoiceLine, Party, Prescription, PrescriptionLine
from medledger.gateway.bodies import (
    InvoiceBody,
    InvoiceLineBody,
    PartyBody,
    PrescriptionBody,
    PrescriptionLineBody,
)


@pytest.mark.parametrize(
    ("body", "document"),
    [
        (PartyBody, Party),
        (InvoiceLineBody, InvoiceLine),
        (InvoiceBody, Invoice),
        (PrescriptionLineBody, PrescriptionLine),
        (PrescriptionBody, Prescription),
    ],
)
def test_body__compared_with_its_document__has_the_same_fields_and_defaults(
    body: type[BaseModel], document: Any
) -> None:
    expected = {field.name: field.default for field in fields(document)}

    found = {
        name: MISSING if field.is_required() else field.default
        for name, field in body.model_fields.items()
    }

    assert found == expected
    assert [field.alias for field in body.model_fields.values()] == [to_camel(n) for n in expected]


def test_body__of_the_documentation__is_a_bill() -> None:
    text = (Path(__file__).parents[2] / "docs" / "gateway.md").read_text("utf-8")
    example = re.findall(r"```json\n(.*?)```", text, re.DOTALL)[0]

    bill = InvoiceBody.model_validate(parse_strict(example)).document()

    assert bill.claimable_minor == 2500
