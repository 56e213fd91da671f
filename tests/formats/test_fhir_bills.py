"""Claim and ExplanationOfBenefit to bills: the mapping, and every refusal with its place."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from tests.formats.samples import (
    ABSENT,
    CLAIM,
    COVERAGE,
    ENCOUNTER,
    EXPLANATION,
    INSURER,
    PATIENT,
    Resource,
    bills,
    changed,
    coded,
    export,
    key_of,
    told,
    usd,
    write,
)

from medledger.core.documents import Invoice, InvoiceLine, Party
from medledger.core.hashing import keccak256
from medledger.errors import BadPatientKey
from medledger.formats.fhir import Benefit, BillRecord, BulkFolder, Organisation

COUNTY = Organisation("h1", "County Hospital", "prov")
MUTUAL = Organisation("i1", "Mutual", "ins")
CHINA = timezone(timedelta(hours=8))

INVOICE = Invoice(
    business_key="Claim/c1",
    patient_key="key of p1",
    issued_at=datetime(2024, 2, 29, 1, 2, 3, 500_000, CHINA),
    invoicing_party=Party("h1", "County Hospital", 2),
    payer_party=Party("999******90", "Ana María Limón", 1),
    currency="USD",
    total_minor=12_550,
    own_pay_minor=12_550,
    lines=(
        InvoiceLine("185345009", "Encounter for symptom", 8_000),
        InvoiceLine("104326007", "Blood count", 4_550, "vial", "2.5"),
    ),
    name="医疗门诊收费票据",
    medical_type="ambulatory",
    medical_date=date(2024, 2, 28),
    gender="female",
    patient_number="8216130",
    insurance_type="HIP",
)

NO_LINK = "is neither urn:uuid:<id> nor"
NO_TIME = "is not a dateTime with a day, and a zone where it has a time"
NO_AMOUNT = "is not a number with at most the currency's decimals"
NOT_IGNORED = "may not be ignored, and is not understood"
MIXED = "is not the currency of the other amounts"
NO_ORGANISATION = "names no Organization taken from this folder"
NO_PATIENT = "names no Patient taken from this folder"
NO_COVERAGE = "names no Coverage taken from this folder"
NO_ENCOUNTER = "names no Encounter taken from this folder"
NO_SUM = "is not the sum of what was adjudicated as submitted"
NOT_TOTAL = "is not the claim's total"

BENEFIT_OF_ONE = {"category": coded("benefit"), "amount": usd(1)}
SUBMITTED_IN_ALL = {"category": coded("submitted"), "amount": usd(125.5)}

PUBLIC = changed(COVERAGE, {"type": coded("PUBLICPOL")})
INPATIENT = changed(ENCOUNTER, {"class": {"code": "IMP", "display": "inpatient encounter"}})


def read(path: Path, *instead: Resource) -> tuple[list[BillRecord], list[str]]:
    """(bills, refusals) of the small export with other resources in it."""
    folder = BulkFolder(write(path, export(*instead)))
    return bills(folder), told(folder.rejected)


# Who pays


def test_bills__a_private_coverage__is_self_paid_with_the_benefit_to_claim(
    tmp_path: Path,
) -> None:
    line = json.dumps(EXPLANATION, ensure_ascii=False).encode()

    records, refused = read(tmp_path)

    assert records == [
        BillRecord(
            invoice=INVOICE,
            hospital=COUNTY,
            insurer=MUTUAL,
            benefit=Benefit(MUTUAL, 10_025, "x1", keccak256(line)),
            inpatient=False,
        )
    ]
    assert refused == []


def test_bills__a_public_coverage__has_the_benefit_paid_by_the_fund(tmp_path: Path) -> None:
    records, refused = read(tmp_path, PUBLIC)

    assert records[0].invoice.fund_pay_minor == 10_025
    assert records[0].invoice.own_pay_minor == 2_525
    assert records[0].invoice.total_minor == 12_550
    assert records[0].invoice.insurance_type == "PUBLICPOL"
    assert records[0].benefit is None
    assert records[0].insurer == MUTUAL
    assert refused == []


def test_bills__a_public_coverage_that_pays_nothing__is_paid_by_the_patient(
    tmp_path: Path,
) -> None:
    nothing = changed(
        EXPLANATION,
        {"item[0].adjudication[1].amount": usd(0.0), "item[1].adjudication[1].amount": usd(0)},
    )

    records, refused = read(tmp_path, PUBLIC, nothing)

    assert records[0].invoice.own_pay_minor == 12_550
    assert records[0].benefit is None
    assert refused == []


def test_bills__no_insurer_named__has_neither_insurer_nor_insurance_type(tmp_path: Path) -> None:
    uninsured = changed(CLAIM, {"insurer": ABSENT})
    by_the_patient = changed(
        EXPLANATION,
        {
            "insurer.reference": "urn:uuid:p1",
            "item[0].adjudication[1].amount": usd(0),
            "item[1].adjudication[1].amount": usd(0),
        },
    )

    records, refused = read(tmp_path, PUBLIC, uninsured, by_the_patient)

    assert records[0].insurer is None
    assert records[0].benefit is None
    assert records[0].invoice.insurance_type == ""
    assert records[0].invoice.own_pay_minor == 12_550
    assert refused == []


def test_bills__several_insurances__the_focal_one_decides(tmp_path: Path) -> None:
    second = changed(PUBLIC, {"id": "v2"})
    insurance = [
        {"focal": False, "coverage": {"reference": "Coverage/v1"}},
        {"focal": True, "coverage": {"reference": "Coverage/v2"}},
    ]

    records, _ = read(tmp_path, second, changed(CLAIM, {"insurance": insurance}))

    assert records[0].invoice.fund_pay_minor == 10_025


def test_bills__no_insurance__is_self_paid(tmp_path: Path) -> None:
    records, _ = read(tmp_path, PUBLIC, changed(CLAIM, {"insurance": ABSENT}))

    assert records[0].invoice.fund_pay_minor == 0
    assert records[0].benefit is not None


def test_bills__no_coverage_file__is_self_paid(tmp_path: Path) -> None:
    folder = write(tmp_path, export(PUBLIC))
    (folder / "Coverage.ndjson").unlink()

    records = bills(BulkFolder(folder))

    assert records[0].invoice.fund_pay_minor == 0
    assert records[0].invoice.insurance_type == ""
    assert records[0].benefit is not None


def test_bills__no_explanation_file__has_no_benefit(tmp_path: Path) -> None:
    folder = BulkFolder(write(tmp_path, export()))
    (tmp_path / "ExplanationOfBenefit.ndjson").unlink()

    records = bills(BulkFolder(tmp_path))

    assert records[0].invoice == INVOICE
    assert records[0].benefit is None
    assert folder.rejected == []


@pytest.mark.parametrize(
    ("changes", "benefit"),
    [
        ({"total": ABSENT}, 10_025),
        ({"outcome": "partial"}, 10_025),
        ({"item": [], "adjudication": [{"category": coded("benefit"), "amount": usd(7)}]}, 700),
        ({"addItem": [{"adjudication": [BENEFIT_OF_ONE]}]}, 10_125),
        ({"item": [], "total": [BENEFIT_OF_ONE, SUBMITTED_IN_ALL]}, 100),
    ],
)
def test_bills__a_benefit_stated_in_other_places__is_found(
    tmp_path: Path, changes: dict[str, Any], benefit: int
) -> None:
    records, refused = read(tmp_path, changed(EXPLANATION, changes))

    assert refused == []
    assert records[0].benefit is not None
    assert records[0].benefit.amount_minor == benefit


# The visit and the patient


def test_bills__an_inpatient_encounter__is_an_inpatient_bill_with_the_stay(
    tmp_path: Path,
) -> None:
    records, _ = read(tmp_path, INPATIENT)

    invoice = records[0].invoice
    assert records[0].inpatient
    assert invoice.name == "医疗住院收费票据"
    assert invoice.hospitalization_number == "e1"
    assert invoice.in_hospital_date == date(2024, 2, 28)
    assert invoice.out_hospital_date == date(2024, 2, 29)
    assert invoice.department_name == "Encounter for symptom"
    assert invoice.medical_type == "inpatient encounter"


def test_bills__a_stay_that_goes_on__has_no_last_day(tmp_path: Path) -> None:
    records, _ = read(tmp_path, changed(INPATIENT, {"period.end": ABSENT}))

    assert records[0].invoice.in_hospital_date == date(2024, 2, 28)
    assert records[0].invoice.out_hospital_date is None


def test_bills__an_outpatient_encounter_that_ends_before_it_starts__shows_the_first_day(
    tmp_path: Path,
) -> None:
    odd = changed(ENCOUNTER, {"period.end": "2024-02-01"})

    records, refused = read(tmp_path, odd)

    assert records[0].invoice.medical_date == date(2024, 2, 28)
    assert refused == []


def test_bills__an_encounter_with_class_code_alone__has_the_code_as_type(tmp_path: Path) -> None:
    plain = changed(ENCOUNTER, {"class": {"code": "EMER"}, "period": ABSENT})

    records, _ = read(tmp_path, changed(plain, {"type": ABSENT, "subject": ABSENT}))

    assert records[0].invoice.medical_type == "EMER"
    assert records[0].invoice.medical_date is None


def test_bills__a_day_without_time__is_issued_at_its_start_in_utc(tmp_path: Path) -> None:
    records, _ = read(tmp_path, changed(CLAIM, {"created": "2024-02-29"}))

    assert records[0].invoice.issued_at == datetime(2024, 2, 29, tzinfo=UTC)
    assert records[0].invoice.issued_at.tzinfo is UTC


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"identifier[1]": ABSENT}, "821**30"),
        ({"identifier": ABSENT}, ""),
        ({"identifier[1].value": "12345"}, "*****"),
    ],
)
def test_bills__a_patient_without_social_security_number__is_named_by_what_there_is(
    tmp_path: Path, change: dict[str, Any], code: str
) -> None:
    records, _ = read(tmp_path, changed(PATIENT, change))

    assert records[0].invoice.payer_party == Party(code, "Ana María Limón", 1)


@pytest.mark.parametrize(
    ("names", "name"),
    [
        ([{"text": "王小明"}], "王小明"),
        ([{"family": "Rossi"}, {"family": "Verdi"}], "Rossi"),
        ([{"use": "official"}, {"given": ["Ana"]}], "Ana"),
    ],
)
def test_bills__a_name_written_otherwise__is_the_payer_s(
    tmp_path: Path, names: list[Resource], name: str
) -> None:
    records, _ = read(tmp_path, changed(PATIENT, {"name": names}))

    assert records[0].invoice.payer_party.name == name


@pytest.mark.parametrize(
    ("concept", "code", "name"),
    [
        ({"text": "Dressing"}, "", "Dressing"),
        ({"coding": [{"code": "7"}]}, "7", "7"),
        ({"coding": [{"code": "7"}], "text": "Dressing"}, "7", "Dressing"),
        ({"coding": [{"code": "7", "display": "One"}, {"code": "8"}]}, "7", "One"),
    ],
)
def test_bills__a_charge_coded_otherwise__has_the_code_and_words_there_are(
    tmp_path: Path, concept: Resource, code: str, name: str
) -> None:
    records, _ = read(tmp_path, changed(CLAIM, {"item[1].productOrService": concept}))

    assert (records[0].invoice.lines[1].code, records[0].invoice.lines[1].name) == (code, name)


def test_bills__a_currency_without_decimals__has_whole_minor_units(tmp_path: Path) -> None:
    yen = {"value": 125, "currency": "JPY"}
    claim = changed(CLAIM, {"item[1]": ABSENT, "item[0].net": yen, "total": yen})

    records, refused = read(tmp_path, claim)

    assert records[0].invoice.total_minor == 125
    assert records[0].benefit is None
    assert refused == [
        "ExplanationOfBenefit.ndjson:1: ExplanationOfBenefit.total[0].amount.currency:"
        " is not the claim's currency"
    ]


# Refusals of a claim


@pytest.mark.parametrize(
    ("field", "value", "problem"),
    [
        ("resourceType", "Invoice", "is not Claim"),
        ("id", ABSENT, "is missing"),
        ("id", "a b", "is not an id"),
        ("id", 7, "is not text"),
        ("implicitRules", "urn:rules", NOT_IGNORED),
        ("modifierExtension", [{}], NOT_IGNORED),
        ("item[0].modifierExtension", [{}], NOT_IGNORED),
        ("status", "cancelled", "is not 'active'"),
        ("status", ABSENT, "is missing"),
        ("use", "predetermination", "is not 'claim'"),
        ("patient", ABSENT, "is missing"),
        ("patient", "p1", "is not an object"),
        ("patient.reference", ABSENT, "is missing"),
        ("patient.reference", "", "is empty"),
        ("patient.reference", "Group/p1", f"{NO_LINK} Patient/<id>"),
        ("patient.reference", "Patient/p9", NO_PATIENT),
        ("created", ABSENT, "is missing"),
        ("created", "2024-02", NO_TIME),
        ("created", "2024-02-29T01:02:03", NO_TIME),
        ("created", "20240229T010203Z", NO_TIME),
        ("created", "2023-02-29", "is not in the calendar"),
        ("provider", ABSENT, "is missing"),
        ("provider.reference", "urn:uuid:h9", NO_ORGANISATION),
        ("provider.reference", "Practitioner/d1", f"{NO_LINK} Organization/<id>"),
        ("insurer.reference", "urn:uuid:h9", NO_ORGANISATION),
        ("insurer.reference", ABSENT, "is missing"),
        ("insurance", {}, "is not a list"),
        ("insurance[0].focal", "yes", "is neither true nor false"),
        ("insurance[0].coverage.reference", "Coverage/v9", NO_COVERAGE),
        ("item", ABSENT, "is missing"),
        ("item", [], "is empty"),
        ("item[1].productOrService", {}, "has neither code nor text"),
        ("item[1].net", ABSENT, "is missing"),
        ("item[1].net.value", ABSENT, "is missing"),
        ("item[1].net.value", -45.5, "is negative"),
        ("item[1].net.value", "45.5", NO_AMOUNT),
        ("item[1].net.value", None, NO_AMOUNT),
        ("item[1].net.value", True, NO_AMOUNT),
        ("item[1].net.value", 45.501, NO_AMOUNT),
        ("item[1].net.value", 10**40, NO_AMOUNT),
        ("item[1].net.value", 1e300, "has more digits than any amount"),
        ("item[1].net.currency", "EUR", "is not the currency of the total"),
        ("item[1].net.currency", ABSENT, "is missing"),
        ("item[1].quantity.value", 0, "is out of range"),
        ("item[1].quantity.value", -1, "is out of range"),
        ("item[1].quantity.value", 10**30, "is out of range"),
        ("item[1].quantity.value", 1e-300, "is out of range"),
        ("item[1].quantity.value", "2", "is not a number"),
        ("item[0].encounter", ABSENT, "is missing"),
        ("item[0].encounter[0].reference", "Encounter/e9", NO_ENCOUNTER),
        ("total", ABSENT, "is missing"),
        ("total.value", 125.51, "is not the sum of the items' net amounts"),
        ("total.value", -125.5, "is negative"),
        ("total.value", "125.5", NO_AMOUNT),
    ],
)
def test_bills__a_claim_with_a_fault__is_refused_with_file_line_and_field(
    tmp_path: Path, field: str, value: Any, problem: str
) -> None:
    good = changed(CLAIM, {"id": "c0"})
    folder = write(tmp_path, export())
    lines = [good, changed(CLAIM, {field: value}), changed(CLAIM, {"id": "c2"})]
    (folder / "Claim.ndjson").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (folder / "ExplanationOfBenefit.ndjson").unlink()
    opened = BulkFolder(folder)

    records = bills(opened)

    assert [record.invoice.business_key for record in records] == ["Claim/c0", "Claim/c2"]
    assert [error.values for error in opened.rejected] == [
        {"file": "Claim.ndjson", "line": 2, "field": f"Claim.{field}", "problem": problem}
    ]


@pytest.mark.parametrize("currency", ["XXX", "usd", "840", "Limón"])
def test_bills__an_unknown_currency__is_refused_without_repeating_it(
    tmp_path: Path, currency: str
) -> None:
    claim = changed(
        CLAIM,
        {
            "item[0].net.currency": currency,
            "item[1].net.currency": currency,
            "total.currency": currency,
        },
    )

    _, refused = read(tmp_path, claim)

    assert refused[0] == "Claim.ndjson:1: Claim.item[0].net.currency: is not an ISO 4217 currency"


@pytest.mark.parametrize(
    ("number", "problem"),
    [
        ("1E999999", "has more digits than any amount"),
        ("1.00000000000000000000000000000001", "has more digits than any amount"),
        ("90071992547409.93", NO_AMOUNT),
    ],
)
def test_bills__an_amount_beyond_all_bounds__is_refused(
    tmp_path: Path, number: str, problem: str
) -> None:
    folder = write(tmp_path, export())
    line = json.dumps(CLAIM).replace("45.5", number)
    (folder / "Claim.ndjson").write_text(line)
    opened = BulkFolder(folder)

    assert bills(opened) == []
    assert told(opened.rejected)[0] == f"Claim.ndjson:1: Claim.item[1].net.value: {problem}"


def test_bills__items_of_two_encounters__are_refused(tmp_path: Path) -> None:
    other = changed(ENCOUNTER, {"id": "e2"})
    both = changed(CLAIM, {"item[1].encounter": [{"reference": "Encounter/e2"}]})

    records, refused = read(tmp_path, other, both)

    assert records == []
    assert refused[0] == (
        "Claim.ndjson:1: Claim.item[1].encounter[0].reference:"
        " names a second Encounter; a bill is for one"
    )


def test_bills__an_encounter_or_coverage_of_another_patient__is_refused(tmp_path: Path) -> None:
    stranger = changed(PATIENT, {"id": "p2"})
    visit = changed(ENCOUNTER, {"subject.reference": "Patient/p2"})
    coverage = changed(COVERAGE, {"beneficiary.reference": "Patient/p2"})

    _, visit_refused = read(tmp_path / "visit", stranger, visit)
    _, coverage_refused = read(tmp_path / "coverage", stranger, coverage)

    assert visit_refused[0] == (
        "Claim.ndjson:1: Claim.item[0].encounter[0].reference:"
        " names an Encounter of another patient"
    )
    assert coverage_refused[0] == (
        "Claim.ndjson:1: Claim.insurance[0].coverage.reference: names a Coverage of another patient"
    )


@pytest.mark.parametrize(
    ("resource", "field", "value", "problem"),
    [
        (PATIENT, "name", ABSENT, "is missing"),
        (PATIENT, "name[0].given", "Ana", "is not a list"),
        (PATIENT, "gender", "f", "is not 'male', 'female', 'other' or 'unknown'"),
        (ENCOUNTER, "class", ABSENT, "is missing"),
        (ENCOUNTER, "class.code", ABSENT, "is missing"),
        (ENCOUNTER, "subject.reference", "Group/p1", f"{NO_LINK} Patient/<id>"),
        (ENCOUNTER, "period.start", "2024", NO_TIME),
        (INPATIENT, "period.end", "2024-02-01", "is before the start"),
        (COVERAGE, "status", "entered-in-error", "is not 'active', 'cancelled' or 'draft'"),
        (COVERAGE, "beneficiary", ABSENT, "is missing"),
        (INSURER, "name", "", "is empty"),
    ],
)
def test_bills__a_fault_in_what_a_claim_refers_to__refuses_both_and_names_each(
    tmp_path: Path, resource: Resource, field: str, value: Any, problem: str
) -> None:
    kind = resource["resourceType"]

    records, refused = read(tmp_path, changed(resource, {field: value}))

    line = 2 if kind == "Organization" else 1
    assert records == []
    assert refused[0] == f"{kind}.ndjson:{line}: {kind}.{field}: {problem}"
    assert refused[1].startswith("Claim.ndjson:1: Claim.")
    assert refused[1].endswith(f"names no {kind} taken from this folder")
    assert refused[2] == (
        "ExplanationOfBenefit.ndjson:1: ExplanationOfBenefit.claim.reference:"
        " names no Claim that became a bill"
    )
    assert len(refused) == 3


# Refusals of an explanation

OTHER_INSURER = changed(INSURER, {"id": "i2"})


@pytest.mark.parametrize(
    ("field", "value", "problem"),
    [
        ("status", "entered-in-error", "is not 'active'"),
        ("use", "preauthorization", "is not 'claim'"),
        ("outcome", "queued", "is not 'complete' or 'partial'"),
        ("claim", ABSENT, "is missing"),
        ("claim.reference", "Claim/c9", "names no Claim that became a bill"),
        ("claim.reference", "Invoice/c1", f"{NO_LINK} Claim/<id>"),
        ("patient.reference", "Patient/p9", "names another patient than the claim"),
        ("insurer", ABSENT, "is missing"),
        ("insurer.reference", "Organization/i2", "names another insurer than the claim"),
        ("item", {}, "is not a list"),
        ("item[1].adjudication[1].amount", ABSENT, "is missing"),
        ("item[1].adjudication[1].amount.value", -1, "is negative"),
        ("item[1].adjudication[1].amount.value", "36", NO_AMOUNT),
        ("item[1].adjudication[1].amount.currency", "EUR", MIXED),
        ("total[0].amount", ABSENT, "is missing"),
        ("total[0].amount.value", 125.49, NO_SUM),
    ],
)
def test_bills__an_explanation_with_a_fault__is_refused_and_the_bill_goes_on(
    tmp_path: Path, field: str, value: Any, problem: str
) -> None:
    explanation = changed(EXPLANATION, {field: value})

    records, refused = read(tmp_path, OTHER_INSURER, explanation)

    assert [record.invoice for record in records] == [INVOICE]
    assert records[0].benefit is None
    assert refused == [f"ExplanationOfBenefit.ndjson:1: ExplanationOfBenefit.{field}: {problem}"]


@pytest.mark.parametrize(
    ("changes", "field", "problem"),
    [
        ({"total": [], "item": []}, "total", "has no submitted amount"),
        (
            {"total[0].amount.value": 80, "item[1]": ABSENT},
            "total[0].amount.value",
            NOT_TOTAL,
        ),
        (
            {"total": [], "item[1]": ABSENT},
            "item[0].adjudication[0].amount.value",
            NOT_TOTAL,
        ),
        (
            {"total[0].amount.currency": "EUR"},
            "item[0].adjudication[0].amount.currency",
            MIXED,
        ),
        (
            {"item[1].adjudication[1].amount.value": 61.26},
            "item[0].adjudication[1].amount.value",
            "is a benefit above the submitted amount",
        ),
        (
            {"total": [BENEFIT_OF_ONE, SUBMITTED_IN_ALL]},
            "total[0].amount.value",
            "is not the sum of what was adjudicated as benefit",
        ),
        (
            {"item[0].adjudication[1].amount.currency": "EUR", "item[1].adjudication[1]": ABSENT},
            "item[0].adjudication[1].amount.currency",
            "is not that of the submitted amount",
        ),
    ],
)
def test_bills__an_explanation_that_contradicts_itself__is_refused_and_the_bill_goes_on(
    tmp_path: Path, changes: dict[str, Any], field: str, problem: str
) -> None:
    records, refused = read(tmp_path, changed(EXPLANATION, changes))

    assert [record.invoice for record in records] == [INVOICE]
    assert records[0].benefit is None
    assert refused == [f"ExplanationOfBenefit.ndjson:1: ExplanationOfBenefit.{field}: {problem}"]


def test_bills__a_refused_explanation_of_a_public_coverage__is_paid_by_the_patient(
    tmp_path: Path,
) -> None:
    records, refused = read(tmp_path, PUBLIC, changed(EXPLANATION, {"total[0].amount.value": 1}))

    assert records[0].invoice.fund_pay_minor == 0
    assert records[0].invoice.own_pay_minor == 12_550
    assert len(refused) == 1


def test_bills__a_benefit_of_an_insurer_that_is_not_in_the_folder__is_refused(
    tmp_path: Path,
) -> None:
    uninsured = changed(CLAIM, {"insurer": ABSENT})
    unknown = changed(EXPLANATION, {"insurer.reference": "urn:uuid:p1"})

    records, refused = read(tmp_path, uninsured, unknown)

    assert records[0].benefit is None
    assert refused == [
        "ExplanationOfBenefit.ndjson:1: ExplanationOfBenefit.insurer.reference:"
        " names no Organization taken from this folder"
    ]


def test_bills__a_second_explanation_of_a_claim__is_refused(tmp_path: Path) -> None:
    records, refused = read(tmp_path, changed(EXPLANATION, {"id": "x2"}))

    assert records[0].benefit is not None
    assert records[0].benefit.explanation_id == "x1"
    assert refused == [
        "ExplanationOfBenefit.ndjson:2: ExplanationOfBenefit.claim.reference: has occurred before"
    ]


# The patient's key


def test_bills__a_patient_without_key__is_refused_without_the_reason_s_words(
    tmp_path: Path,
) -> None:
    folder = BulkFolder(write(tmp_path, export()))

    def no_key(patient: str) -> str:
        raise BadPatientKey(problem=f"of {patient} is lost")

    records = list(folder.bills(no_key))

    assert records == []
    assert told(folder.rejected)[0] == (
        "Claim.ndjson:1: Claim.patient: has no patient key (BadPatientKey)"
    )


def test_bills__a_key_function_that_breaks__is_not_hidden(tmp_path: Path) -> None:
    folder = BulkFolder(write(tmp_path, export()))

    with pytest.raises(ZeroDivisionError):
        list(folder.bills(lambda patient: str(1 // 0)))


def test_bills__a_second_pass__gives_the_same_bills_and_refuses_nothing_twice(
    tmp_path: Path,
) -> None:
    heard: list[str] = []
    spoilt = changed(CLAIM, {"id": "c2", "total.value": 1})
    folder = BulkFolder(
        write(tmp_path, export(spoilt)), on_reject=lambda error: heard.append(str(error))
    )

    first, second = bills(folder), bills(folder)

    assert first == second
    assert len(first) == 1
    assert heard == told(folder.rejected)
    assert heard == ["Claim.ndjson:2: Claim.total.value: is not the sum of the items' net amounts"]


def test_bills__any_refusal__repeats_no_value_of_the_patient(tmp_path: Path) -> None:
    secret = "Ana María Limón 999-93-7390"
    faults: dict[str, Any] = {
        "patient.reference": secret,
        "created": secret,
        "status": secret,
        "id": secret,
        "total.value": secret,
        "total.currency": secret,
        "item[0].net.value": secret,
        "item[1].quantity.value": secret,
        "provider.reference": f"urn:uuid:{secret}",
        "item[0].encounter[0]": secret,
    }
    claims = [
        changed(CLAIM, {"id": f"c{number}"} | {path: value})
        for number, (path, value) in enumerate(faults.items(), 2)
    ]

    _, refused = read(tmp_path, *claims)

    assert len(refused) == len(faults)
    assert not any(word in text for text in refused for word in secret.split())


def test_bills__the_example_s_key_function__gets_each_patient_s_id(sample: Path) -> None:
    record = next(BulkFolder(sample).bills(key_of))

    assert record.invoice.patient_key == "key of 4d0a8c5e-ac4b-4daa-9a31-f2f47b1f69b5"
