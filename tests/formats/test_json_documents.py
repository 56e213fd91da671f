"""Documents from JSON and back: the same rules as the dataclasses, and nothing lost."""

from __future__ import annotations

import pickle
from dataclasses import MISSING, fields
from typing import Any

import pytest
from hypothesis import given
from pydantic import BaseModel, ValidationError
from pydantic.alias_generators import to_camel
from tests.formats.json_samples import BILL, ORDER, bills, orders

from medledger.core.canonical import parse_strict
from medledger.core.documents import (
    Invoice,
    InvoiceLine,
    Licence,
    Party,
    Prescription,
    PrescriptionLine,
    Record,
)
from medledger.errors import BadNumber, InvalidDocument, NotNormalForm
from medledger.formats.json import document_of, to_line
from medledger.formats.json.bodies import (
    InvoiceBody,
    InvoiceLineBody,
    LicenceBody,
    PartyBody,
    PrescriptionBody,
    PrescriptionLineBody,
    RecordBody,
)


def bill_of(**changes: Any) -> Invoice:
    found = document_of(BILL | changes, "Invoice")
    assert isinstance(found, Invoice)
    return found


@pytest.mark.parametrize(
    ("body", "document"),
    [
        (PartyBody, Party),
        (InvoiceLineBody, InvoiceLine),
        (InvoiceBody, Invoice),
        (PrescriptionLineBody, PrescriptionLine),
        (PrescriptionBody, Prescription),
        (LicenceBody, Licence),
        (RecordBody, Record),
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


@given(bills())
def test_document_of__a_bill_written_as_a_line__is_the_bill_again(bill: Invoice) -> None:
    line = to_line(bill)

    assert document_of(parse_strict(line), "Invoice") == bill
    assert "\n" not in line


@given(orders())
def test_document_of__a_prescription_written_as_a_line__is_the_prescription_again(
    order: Prescription,
) -> None:
    assert document_of(parse_strict(to_line(order)), "Prescription") == order


def test_document_of__a_prescription__has_all_its_values() -> None:
    order = document_of(ORDER, "Prescription")

    assert isinstance(order, Prescription)
    assert order.lines == (PrescriptionLine("XA01", "阿莫西林胶囊", 24, "粒"),)
    assert order.patient == Party("469*************3X", "测试患者", 1)
    assert order.authored_at.isoformat() == "2026-01-05T09:30:00+08:00"


def test_document_of__a_bill__goes_to_another_process_and_back() -> None:
    bill = bill_of()

    assert pickle.loads(pickle.dumps(bill)) == bill


@pytest.mark.parametrize(
    ("changes", "field", "problem"),
    [
        ({"totalMinor": 126.0}, "totalMinor", "is not a whole number"),
        ({"totalMinor": "12600"}, "totalMinor", "is not a whole number"),
        ({"totalMinor": True}, "totalMinor", "is not a whole number"),
        ({"totalMinor": -1}, "totalMinor", "is out of range"),
        ({"totalMinor": 2**53}, "totalMinor", "is out of range"),
        ({"total_minor": 1}, "total_minor", "is not known"),
        ({"businessKey": ""}, "businessKey", "is empty"),
        ({"businessKey": "a" * 201}, "businessKey", "is too long"),
        ({"businessKey": "a\n"}, "businessKey", "is not an id"),
        ({"businessKey": 7}, "businessKey", "is not text"),
        ({"issuedAt": 1767576600}, "issuedAt", "is not ISO 8601 text"),
        ({"issuedAt": "today"}, "issuedAt", "is not an ISO 8601 time"),
        ({"medicalDate": "05.01.2026"}, "medicalDate", "is not an ISO 8601 day"),
        ({"onHold": "false"}, "onHold", "is neither true nor false"),
        ({"lines": {}}, "lines", "is not a list"),
        ({"lines": [BILL["lines"][0]] * 1001}, "lines", "has too many entries"),
        ({"lines": [{"code": "1", "name": "x"}]}, "lines[0].amountMinor", "is missing"),
        ({"lines": ["x"]}, "lines[0]", "is not an object"),
        ({"payerParty": None}, "payerParty", "is not an object"),
        ({"payerParty": {"code": "1", "name": "x", "type": 3}}, "payerParty.type", "is not 1 or 2"),
        ({"lines": []}, "Item", "has no line"),
    ],
)
def test_document_of__a_field_that_is_wrong__is_named(
    changes: dict[str, Any], field: str, problem: str
) -> None:
    with pytest.raises(InvalidDocument) as raised:
        bill_of(**changes)

    assert (raised.value.field, raised.value.problem) == (field, problem)


@pytest.mark.parametrize("value", [None, 1, "x", [], [BILL]])
def test_document_of__no_object__says_so(value: object) -> None:
    with pytest.raises(InvalidDocument, match="the document's body is not an object"):
        document_of(value, "Invoice")


def test_document_of__a_related_invoice_that_is_no_number__is_refused() -> None:
    with pytest.raises(BadNumber):
        bill_of(relatedInvoice="17")


@pytest.mark.parametrize("name", ["totalMinor", "currency", "lines", "onHold", "medicalDate"])
@pytest.mark.parametrize("value", [None, 1, 1.0, True, "1", "2026-01-05", [], {}, [1], b"x"])
def test_document_of__any_type_in_a_field__is_taken_only_where_the_model_takes_it(
    name: str, value: object
) -> None:
    def is_taken() -> bool:
        try:
            bill_of(**{name: value})
        except InvalidDocument as error:
            # Amounts that do not add up are no matter of types.
            return error.field in ("TotalAmount", "Item")
        return True

    def model_takes() -> bool:
        try:
            InvoiceBody.model_validate(BILL | {name: value})
        except ValidationError:
            return False
        return True

    assert is_taken() == model_takes()


def test_to_line__text_that_is_not_in_normal_form__is_refused() -> None:
    with pytest.raises(NotNormalForm):
        to_line(bill_of(remark="cafe\u0301"))


def test_to_line__what_is_as_by_default__is_left_out() -> None:
    line = parse_strict(to_line(bill_of()))

    assert line == BILL
