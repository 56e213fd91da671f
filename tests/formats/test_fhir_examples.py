"""Real exports: the shipped sample in exact values, and the whole data set where it is."""

from __future__ import annotations

import doctest
import gzip
import json
import os
from collections import Counter
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from tests.formats.samples import ROOT, VALID_UNTIL, bills, key_of, prescriptions

import medledger.formats.fhir
from medledger.core.documents import Invoice, InvoiceLine, Party, Prescription, PrescriptionLine
from medledger.core.hashing import keccak256
from medledger.formats.fhir import (
    Benefit,
    BillRecord,
    BulkFolder,
    Organisation,
    PrescriptionRecord,
)

CAPE_COD = Organisation("ee1191f1-d634-4370-9f0b-b8a688fd8e29", "CAPE COD HOSPITAL INC", "prov")
NANTUCKET = Organisation(
    "c6f0d5f9-9938-4d0f-94a8-187f30639613", "NANTUCKET COTTAGE HOSPITAL", "prov"
)
ENLOE = Organisation("e4678491-c4b0-4342-a551-943fcef4c97e", "ENLOE MEDICAL CENTER", "prov")
CHARLES_RIVER = Organisation(
    "41a6f355-01f2-4380-a949-12d2cebc7fad", "CHARLES RIVER COMMUNITY HEALTH, INC", "prov"
)
COMMUNITY = Organisation(
    "630f1466-9d60-4aa7-901d-69493bb04b50", "COMMUNITY INTERNIST ASSOCIATES PC", "prov"
)
ANTHEM = Organisation("63ddde7f-5b7e-48f7-8dae-c447e22acb8a", "Anthem", "ins")
AETNA = Organisation("f683d4de-b985-4b40-a40f-f9af5c347255", "Aetna", "ins")
MEDICARE = Organisation("c6cbc1c3-1191-4a04-8d14-9cef7d8768f7", "Medicare", "ins")


def bill(folder: BulkFolder, claim: str) -> BillRecord:
    key = f"Claim/{claim}"
    return next(record for record in folder.bills(key_of) if record.invoice.business_key == key)


def prescription(folder: BulkFolder, request: str) -> PrescriptionRecord:
    key = f"MedicationRequest/{request}"
    return next(
        record
        for record in folder.prescriptions(key_of, valid_until=VALID_UNTIL)
        if record.prescription.business_key == key
    )


def line_of(path: Path, number: int) -> bytes:
    with gzip.open(path) as file:
        return list(file)[number - 1].rstrip(b"\n")


def counts(folder: BulkFolder) -> Counter[str]:
    found: Counter[str] = Counter()
    for record in bills(folder):
        found["bills"] += 1
        found["benefit"] += record.benefit is not None
        found["public"] += record.invoice.insurance_type == "PUBLICPOL"
        found["fund pays"] += record.invoice.fund_pay_minor > 0
        found["inpatient"] += record.inpatient
        found["uninsured"] += record.insurer is None
    for rx in prescriptions(folder):
        found["prescriptions"] += 1
        found["computed"] += rx.prescription.lines[0].unit == "unit"
    found["inactive"] = folder.inactive_requests
    found["rejected"] = len(folder.rejected)
    return found


def test_bills__a_privately_insured_emergency__is_self_paid_with_a_benefit(sample: Path) -> None:
    line = line_of(sample / "ExplanationOfBenefit.ndjson.gz", 584)

    record = bill(BulkFolder(sample), "00c900ed-779a-4e84-baee-3d0069a221fd")

    assert record == BillRecord(
        invoice=Invoice(
            business_key="Claim/00c900ed-779a-4e84-baee-3d0069a221fd",
            patient_key="key of 50d42fb6-9df0-4781-9687-575ea5a31c3f",
            issued_at=datetime(1974, 10, 7, 10, 26, 47, 652340, UTC),
            invoicing_party=Party(CAPE_COD.id, "CAPE COD HOSPITAL INC", 2),
            payer_party=Party("999******32", "Javier Greenholt", 1),
            currency="USD",
            total_minor=12_500,
            own_pay_minor=12_500,
            lines=(InvoiceLine("50849002", "Emergency room admission (procedure)", 12_500),),
            name="医疗门诊收费票据",
            medical_type="emergency",
            medical_date=date(1974, 10, 7),
            gender="male",
            patient_number="6992442",
            insurance_type="HIP",
        ),
        hospital=CAPE_COD,
        insurer=ANTHEM,
        benefit=Benefit(ANTHEM, 10_000, "9b7131f3-067f-43c2-b7f3-803d117b7ed7", keccak256(line)),
        inpatient=False,
    )


def test_bills__a_privately_insured_stay__is_an_inpatient_bill(sample: Path) -> None:
    line = line_of(sample / "ExplanationOfBenefit.ndjson.gz", 599)

    record = bill(BulkFolder(sample), "1b534475-4980-4c39-88cd-0289a845f513")

    transfer = "Patient transfer to intensive care unit (procedure)"
    assert record == BillRecord(
        invoice=Invoice(
            business_key="Claim/1b534475-4980-4c39-88cd-0289a845f513",
            patient_key="key of 50d42fb6-9df0-4781-9687-575ea5a31c3f",
            issued_at=datetime(2018, 11, 18, 18, 26, 5, 970908, UTC),
            invoicing_party=Party(NANTUCKET.id, "NANTUCKET COTTAGE HOSPITAL", 2),
            payer_party=Party("999******32", "Javier Greenholt", 1),
            currency="USD",
            total_minor=12_500,
            own_pay_minor=12_500,
            lines=(InvoiceLine("397821002", transfer, 12_500),),
            name="医疗住院收费票据",
            medical_type="inpatient encounter",
            medical_date=date(2018, 11, 18),
            gender="male",
            patient_number="6992442",
            insurance_type="HIP",
            department_name=transfer,
            hospitalization_number="46ef5d0f-0ea2-45e3-ad4e-eb81fefe14b7",
            in_hospital_date=date(2018, 11, 18),
            out_hospital_date=date(2018, 11, 19),
        ),
        hospital=NANTUCKET,
        insurer=AETNA,
        benefit=Benefit(AETNA, 7_500, "9fd3acab-1991-4e49-8ffd-73cffa55b711", keccak256(line)),
        inpatient=True,
    )


def test_bills__a_visit_under_medicare__is_paid_by_the_fund_at_the_counter(sample: Path) -> None:
    record = bill(BulkFolder(sample), "03f4651a-ce06-4545-9f8c-15a573d73615")

    assert record.hospital == ENLOE
    assert record.insurer == MEDICARE
    assert record.benefit is None
    assert record.invoice.insurance_type == "PUBLICPOL"
    assert record.invoice.fund_pay_minor + record.invoice.own_pay_minor == 12_500
    assert record.invoice.fund_pay_minor == 10_000


def test_bills__an_uninsured_visit__is_self_paid_and_names_no_insurer(sample: Path) -> None:
    record = bill(BulkFolder(sample), "0081dd2a-e3a5-4d30-b469-f17d10014279")

    assert record.hospital == COMMUNITY
    assert record.insurer is None
    assert record.benefit is None
    assert record.invoice.insurance_type == ""
    assert record.invoice.own_pay_minor == 12_500


def test_prescriptions__a_weekly_dose_for_a_month__is_computed(sample: Path) -> None:
    record = prescription(BulkFolder(sample), "007b67fc-4263-4716-badf-fc90cffb089e")

    assert record == PrescriptionRecord(
        prescription=Prescription(
            business_key="MedicationRequest/007b67fc-4263-4716-badf-fc90cffb089e",
            patient_key="key of 6a0c9014-b262-42d5-9762-c00a2041c240",
            authored_at=datetime(2016, 1, 3, 22, 38, 11, 350179, UTC),
            valid_until=VALID_UNTIL,
            prescriber=Party("9999764875", "Priya Rossi", 1),
            patient=Party("999******53", "Luke Bernier", 1),
            lines=(
                PrescriptionLine(
                    code="204844",
                    name="azithromycin 600 MG Oral Tablet",
                    # 2 a week for 30 days: 60 / 7, rounded up.
                    quantity=9,
                    unit="unit",
                    instruction="2 each time, once every week",
                ),
            ),
            encounter="a1db5469-1768-42f9-af59-59d55b9cf306",
            repeats=12,
        ),
        hospital=CHARLES_RIVER,
    )


@pytest.mark.parametrize(
    ("request_id", "line"),
    [
        (
            "cdc8f01b-cb76-4cbc-84a6-b1314ae64e95",
            PrescriptionLine(
                "245134",
                "72 HR Fentanyl 0.025 MG/HR Transdermal System",
                4,
                "unit",
                "1 each time, once every 3 days; Every seventy two hours (qualifier value)",
            ),
        ),
        (
            "3aefbb91-62a5-41f8-a35b-07b14ded501a",
            PrescriptionLine(
                "245314",
                "albuterol 5 MG/ML Inhalation Solution",
                1,
                "package",
                "1 each time, once every day, as needed",
            ),
        ),
        (
            "0127080e-3bfc-4090-b3af-797423336dc1",
            PrescriptionLine("199889", "topiramate 100 MG Oral Tablet", 1, "package"),
        ),
    ],
)
def test_prescriptions__orders_of_the_sample__have_these_lines(
    sample: Path, request_id: str, line: PrescriptionLine
) -> None:
    record = prescription(BulkFolder(sample), request_id)

    assert record.prescription.lines == (line,)


def test_folder__the_sample__is_taken_whole(sample: Path) -> None:
    assert counts(BulkFolder(sample)) == {
        "bills": 945,
        "benefit": 419,
        "public": 255,
        "fund pays": 57,
        "inpatient": 24,
        "uninsured": 228,
        "prescriptions": 186,
        "computed": 54,
        "inactive": 192,
        "rejected": 0,
    }


def test_sample__its_files__are_small_and_refer_to_nothing_outside(sample: Path) -> None:
    files = list(sample.iterdir())
    texts = {path.name: gzip.decompress(path.read_bytes()).decode() for path in files}
    ids = {json.loads(line)["id"] for text in texts.values() for line in text.splitlines()}
    read = ("patient", "subject", "provider", "insurer", "serviceProvider", "individual")

    assert sum(path.stat().st_size for path in files) < 400_000
    for text in texts.values():
        for line in text.splitlines():
            resource = json.loads(line)
            named = [resource[element]["reference"] for element in read if element in resource]
            assert all(reference.removeprefix("urn:uuid:") in ids for reference in named)


def test_folder__the_whole_data_set__is_taken_whole() -> None:
    path = Path(os.environ.get("MEDLEDGER_FHIR_DATA", ROOT.parent / "shared" / "data" / "synthea"))
    if not path.is_dir():
        pytest.skip("no full data set; name its folder in MEDLEDGER_FHIR_DATA")

    found = counts(BulkFolder(path))

    assert found == {
        "bills": 13_104,
        "benefit": 6_548,
        "public": 5_320,
        "fund pays": 682,
        "inpatient": 246,
        "uninsured": 904,
        "prescriptions": 1_596,
        "computed": 120,
        "inactive": 2_112,
        "rejected": 0,
    }


def test_package__its_docstring__runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)

    result = doctest.testmod(medledger.formats.fhir)

    assert result.attempted > 0
    assert result.failed == 0
