"""Bills and prescriptions before they are sealed."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.core.samples import (
    DAY_AFTER,
    INVOICE_NUMBER,
    PATIENT,
    invoice,
    invoices,
    numbers,
    prescription,
    red_letter,
    reversal,
    sealed_invoice,
)

from medledger.core.documents import (
    MAX_PRESCRIPTION_LINES,
    MAX_QUANTITY,
    Invoice,
    InvoiceLine,
    Party,
    PrescriptionLine,
    mask_identity,
    numbered_fields,
)
from medledger.core.hashing import InvoiceTerms, PrescriptionTerms
from medledger.core.kinds import second_of, unix_seconds
from medledger.errors import InvalidDocument, UnknownCurrency

LINE = PrescriptionLine("XA01", "阿莫西林胶囊", 24, "粒")


def refusal(make: Any, **changes: Any) -> tuple[object, object]:
    """Field and problem of the `InvalidDocument` that these changes lead to."""
    with pytest.raises(InvalidDocument) as caught:
        make(**changes)
    return caught.value.field, caught.value.problem


# Invoices


@pytest.mark.parametrize(
    "part", ["own_pay_minor", "fund_pay_minor", "other_pay_minor", "account_pay_minor"]
)
@pytest.mark.parametrize("step", [-1, 1])
def test_invoice__a_part_one_fen_off__invalid_document(part: str, step: int) -> None:
    amount = getattr(invoice(), part) + step

    found = refusal(invoice, **{part: amount})

    assert found == (
        "TotalAmount",
        "is not fundPayAmount + otherPayAmount + accountPayAmount + ownPayAmount",
    )


@pytest.mark.parametrize("step", [-1, 1])
def test_invoice__lines_one_fen_off__invalid_document(step: int) -> None:
    lines = (InvoiceLine("0101", "西药费", 9600), InvoiceLine("0105", "化验费", 3000 + step))

    found = refusal(invoice, lines=lines)

    assert found == ("TotalAmount", "is not the sum of the lines")


def test_invoice__a_wrong_total__invalid_document() -> None:
    field, _ = refusal(invoice, total_minor=12601)

    assert field == "TotalAmount"


@pytest.mark.parametrize(
    "changes",
    [
        {"own_pay_minor": -1, "fund_pay_minor": 10601},
        {"own_pay_minor": 12601, "fund_pay_minor": -2001},
        {"other_pay_minor": -500, "account_pay_minor": 2500},
        {"lines": (InvoiceLine("1", "a", 12601), InvoiceLine("2", "b", -1))},
        {
            "total_minor": 2**53,
            "own_pay_minor": 2**53 - 10100,
            "lines": (InvoiceLine("1", "a", 2**53),),
        },
    ],
)
def test_invoice__an_amount_negative_or_beyond_2_to_the_53__invalid_document(
    changes: dict[str, Any],
) -> None:
    assert refusal(invoice, **changes) == ("TotalAmount", "is out of range")


def test_invoice__the_greatest_total__is_taken() -> None:
    total = 2**53 - 1

    bill = invoice(
        total_minor=total,
        own_pay_minor=total - 10100,
        lines=(InvoiceLine("1", "a", total),),
    )

    assert bill.claimable_minor == total - 10100


def test_invoice__nothing_to_pay__is_taken() -> None:
    bill = invoice(
        total_minor=0,
        own_pay_minor=0,
        fund_pay_minor=0,
        other_pay_minor=0,
        account_pay_minor=0,
        lines=(InvoiceLine("1", "a", 0),),
    )

    assert bill.claimable_minor == 0


def test_invoice__no_business_key__invalid_document() -> None:
    assert refusal(invoice, business_key="") == ("BizCode", "is empty")


def test_invoice__no_line__invalid_document() -> None:
    assert refusal(invoice, lines=()) == ("Item", "has no line")


def test_invoice__changed_after_it_was_made__refused() -> None:
    bill = invoice()

    with pytest.raises(FrozenInstanceError):
        bill.own_pay_minor = 0  # type: ignore[misc]


@given(invoices())
def test_claimable_minor__any_bill__is_the_own_part_or_nothing_on_a_red_letter(
    bill: Invoice,
) -> None:
    expected = bill.own_pay_minor if bill.related_invoice is None else 0

    assert bill.claimable_minor == expected
    assert bill.terms().claimable == expected


def test_terms__a_bill__are_what_the_contract_reads() -> None:
    found = invoice().terms()

    assert found == InvoiceTerms(claimable=2500, currency=156, on_hold=False)


def test_terms__a_held_bill__are_on_hold_and_its_fields_are_the_same() -> None:
    held, free = invoice(on_hold=True), invoice()

    assert held.terms().on_hold is True
    assert free.terms().on_hold is False
    assert held.fields() == free.fields()


def test_terms__a_red_letter_bill__claimable_is_0() -> None:
    bill = red_letter()

    assert bill.own_pay_minor == 2500
    assert bill.claimable_minor == 0
    assert bill.terms().claimable == 0


def test_fields__a_red_letter_bill__names_the_original() -> None:
    fields = red_letter().fields()

    assert fields["relatedInvoiceCode"] == "46060126"
    assert fields["relatedInvoiceNumber"] == "0000000017"
    assert fields["ownPayAmount"] == 2500


def test_fields__an_ordinary_bill__names_no_original() -> None:
    fields = invoice().fields()

    assert not {"relatedInvoiceCode", "relatedInvoiceNumber"} & set(fields)


@given(numbers)
def test_numbered_fields__any_bill__code_and_number_are_printed_with_their_zeros(
    number: int,
) -> None:
    fields = numbered_fields("Invoice", number, "AAAAAA")

    code, serial = fields["EInvoiceCode"], fields["EInvoiceNumber"]
    assert (len(str(code)), len(str(serial))) == (8, 10)
    assert int(f"{code}{serial}") == number
    assert fields["RandomNumber"] == "AAAAAA"
    assert len(fields) == 3


def test_fields__optional_values_left_out__have_no_field() -> None:
    bill = invoice(area_code="", gender="", medical_type="", medical_date=None, remark="")

    assert sorted(bill.fields()) == [
        "BizCode",
        "CurrencyType",
        "EInvoiceName",
        "InvoicingParty",
        "IssueDate",
        "IssueTime",
        "Item",
        "PayerParty",
        "TotalAmount",
        "accountPayAmount",
        "fundPayAmount",
        "otherPayAmount",
        "ownPayAmount",
    ]


def test_fields__every_optional_value__has_its_name_of_the_specification() -> None:
    bill = invoice(
        pay_mode="01",
        patient_number="P1",
        insurance_type="城镇职工",
        insurance_id="M1",
        department_name="内科",
        hospitalization_number="Z1",
        in_hospital_date=date(2026, 1, 1),
        out_hospital_date=date(2026, 1, 5),
    )

    fields = bill.fields()

    expected = {
        "SupervisorAreaCode": "469023",
        "PayMode": "01",
        "Remark": "复诊 café",
        "gender": "女",
        "medicalType": "门诊",
        "patientNumber": "P1",
        "medicalDate": "20260105",
        "medicalInsuranceType": "城镇职工",
        "medicalInsuranceID": "M1",
        "departmentName": "内科",
        "hospitalizationNumber": "Z1",
        "inHospitalDate": "20260101",
        "outHospitalDate": "20260105",
        "IssueDate": "20260105",
        "IssueTime": "09:30:00",
    }
    assert {name: fields[name] for name in expected} == expected


def test_fields__a_line_with_every_value__has_them_all() -> None:
    line = InvoiceLine("1", "a", 12600, unit="盒", quantity="0.5", std="10mg", remark="r")

    fields = invoice(lines=(line,)).fields()

    assert fields["Item"] == [
        {
            "code": "1",
            "name": "a",
            "amount": 12600,
            "quantity": "0.5",
            "unit": "盒",
            "std": "10mg",
            "remark": "r",
        }
    ]


def test_terms__an_unknown_currency__unknown_currency() -> None:
    with pytest.raises(UnknownCurrency) as caught:
        invoice(currency="RMB").terms()

    assert caught.value.currency == "RMB"


# Red letters made from the bill that they reverse


def test_red_letter__of_an_issued_bill__repeats_it_and_names_it() -> None:
    original = sealed_invoice()

    fields = reversal(original).fields()

    own = {
        "BizCode": "visit-2026-000017/red-letter",
        "IssueDate": "20260106",
        "IssueTime": "10:00:00",
        "relatedInvoiceCode": "46060126",
        "relatedInvoiceNumber": "0000000017",
    }
    numbered = numbered_fields("Invoice", INVOICE_NUMBER, "")
    repeated = {name: original.fields[name] for name in original.fields if name not in numbered}
    assert fields == repeated | own


@given(invoices())
def test_red_letter__of_any_issued_bill__has_nothing_to_claim_and_its_patient(
    bill: Invoice,
) -> None:
    original = sealed_invoice(on_hold=bill.on_hold, currency=bill.currency)

    found = reversal(original)

    assert found.terms() == InvoiceTerms(0, original.header.terms.currency, on_hold=False)
    assert found.patient_key == PATIENT.address("Invoice", INVOICE_NUMBER)
    assert found.business_key == "visit-2026-000017/red-letter"
    assert found.issued_at == DAY_AFTER


# Prescriptions


@pytest.mark.parametrize("count", range(1, MAX_PRESCRIPTION_LINES + 1))
def test_prescription__one_to_five_lines__are_taken(count: int) -> None:
    found = prescription(lines=(LINE,) * count)

    assert found.terms().quantities == (24,) * count
    assert len(found.fields()["rxDetail"]) == count  # type: ignore[arg-type]


@pytest.mark.parametrize("count", [0, 6, 100])
def test_prescription__no_line_or_more_than_five__invalid_document(count: int) -> None:
    found = refusal(prescription, lines=(LINE,) * count)

    assert found == ("rxDetail", f"has {count} lines, not 1 to 5")


@pytest.mark.parametrize("quantity", [-1, 0, MAX_QUANTITY + 1])
@pytest.mark.parametrize("place", [0, 1])
def test_prescription__a_quantity_out_of_range__invalid_document(quantity: int, place: int) -> None:
    lines = [LINE, LINE]
    lines[place] = PrescriptionLine("XA01", "阿莫西林胶囊", quantity, "粒")

    assert refusal(prescription, lines=tuple(lines)) == ("rxDetail", "has a quantity out of range")


@pytest.mark.parametrize("quantity", [1, MAX_QUANTITY])
def test_prescription__the_extreme_quantities__are_taken(quantity: int) -> None:
    line = PrescriptionLine("XA01", "阿莫西林胶囊", quantity, "粒")

    terms = prescription(lines=(line,)).terms()

    assert terms.quantities == (quantity,)
    assert len(terms.struct_hash(1, bytes(20), bytes(32))) == 32


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"drug_class": -1}, "drugClass"),
        ({"drug_class": 2**16}, "drugClass"),
        ({"repeats": 256}, "maxReptCnt"),
        ({"interval_days": -1}, "minInrvDays"),
        ({"interval_days": 49711}, "minInrvDays"),
    ],
)
def test_prescription__a_limit_out_of_range__invalid_document(
    change: dict[str, Any], field: str
) -> None:
    assert refusal(prescription, **change) == (field, "is out of range")


def test_terms__a_time_before_1970__is_the_first_second() -> None:
    old = prescription(authored_at=datetime(1969, 12, 31, tzinfo=UTC))

    assert old.terms().authored_at == 0


def test_terms__a_time_without_offset__is_utc() -> None:
    naive = prescription(authored_at=datetime(2026, 1, 5, 1, 30))  # noqa: DTZ001

    assert naive.terms().authored_at == 1767576600


@pytest.mark.parametrize("valid_until", [-1, 0, 1767576599, 2**40])
def test_prescription__an_end_out_of_range__invalid_document(valid_until: int) -> None:
    found = refusal(prescription, valid_until=valid_until)

    assert found == ("valiEndTime", "is out of range")


def test_prescription__an_offset_of_seconds__invalid_document() -> None:
    # As of Shanghai before 1901: no verifier would read it.
    local = timezone(timedelta(hours=8, minutes=5, seconds=43))

    found = refusal(prescription, authored_at=datetime(1900, 1, 1, tzinfo=local))

    assert found == ("authoredOn", "has an offset of seconds")


@given(
    st.datetimes(timezones=st.integers(-1439, 1439).map(lambda m: timezone(timedelta(minutes=m))))
)
def test_second_of__a_time_as_a_document_writes_it__is_its_second(moment: datetime) -> None:
    assert second_of(moment.isoformat()) == unix_seconds(moment)


def test_prescription__no_business_key__invalid_document() -> None:
    assert refusal(prescription, business_key="") == ("hiRxno", "is empty")


@pytest.mark.parametrize("on_hold", [True, False])
def test_terms__a_prescription__are_what_the_contract_reads(on_hold: bool) -> None:
    found = prescription(on_hold=on_hold).terms()

    assert found == PrescriptionTerms(
        authored_at=1767576600,
        valid_until=1767835800,
        licence=330801260000000003,
        drug_class=2,
        quantities=(24, 10, 6),
        substitutable=0b010,
        repeats=2,
        interval=30 * 24 * 3600,
        on_hold=on_hold,
    )


def test_fields__a_prescription_without_optional_values__has_no_field_for_them() -> None:
    fields = prescription(encounter="", reason="").fields()

    assert sorted(fields) == [
        "authoredOn",
        "businessKey",
        "drugClass",
        "licence",
        "maxReptCnt",
        "minInrvDays",
        "patient",
        "prescriber",
        "reptFlag",
        "rxDetail",
        "valiDays",
        "valiEndTime",
    ]


def test_numbered_fields__a_prescription_of_a_short_number__hi_rxno_has_18_digits() -> None:
    fields = numbered_fields("Prescription", 10**10 + 7, "AAAAAA")

    assert fields == {"hiRxno": "000000010000000007", "rxTraceCode": "AAAAAA"}


# Both


@pytest.mark.parametrize(
    ("make", "kind"),
    [(invoice, "Invoice"), (red_letter, "Invoice"), (prescription, "Prescription")],
)
def test_kind__each_document__is_its_terms_kind(make: Any, kind: str) -> None:
    document = make()

    assert document.kind == document.terms().kind == kind


@given(invoices())
def test_fields__any_bill__has_none_that_depends_on_the_number(bill: Invoice) -> None:
    assert not set(numbered_fields("Invoice", INVOICE_NUMBER, "AAAAAA")) & set(bill.fields())


def test_party__as_json__is_a_unit_by_default() -> None:
    assert Party("1", "a").json() == {"code": "1", "name": "a", "type": 2}


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("46902319800101123X", "469*************3X"),
        ("", ""),
        ("1", "*"),
        ("12345", "*****"),
        ("1234567", "123**67"),
        ("护照号码E12345678", "护照号********78"),
    ],
)
def test_mask_identity__a_number__shows_three_and_two_characters(text: str, masked: str) -> None:
    assert mask_identity(text) == masked


def test_mask_identity__a_line_break_inside__is_masked_too() -> None:
    assert mask_identity("469\n023") == "469**23"
