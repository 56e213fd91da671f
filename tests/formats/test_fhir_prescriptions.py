"""MedicationRequest to prescriptions: who, what, how much, and every refusal with its place."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from tests.formats.samples import (
    ABSENT,
    ENCOUNTER,
    PATIENT,
    PRACTITIONER,
    REQUEST,
    VALID_UNTIL,
    Resource,
    changed,
    coded,
    export,
    prescriptions,
    told,
    write,
)

from medledger.core.documents import Party, Prescription, PrescriptionLine
from medledger.errors import BadPatientKey, InvalidDocument
from medledger.formats.fhir import BulkFolder, Organisation, PrescriptionRecord

COUNTY = Organisation("h1", "County Hospital", "prov")
ROSSI = Party("9999764875", "Priya Rossi", 1)
NO_TIME = "is not a dateTime with a day, and a zone where it has a time"
NO_LINK = "is neither urn:uuid:<id> nor"
UNITS = "is not 's', 'min', 'h', 'd', 'wk', 'mo' or 'a'"


def read(path: Path, *instead: Resource) -> tuple[list[PrescriptionRecord], list[str]]:
    """(prescriptions, refusals) of the small export with other resources in it."""
    folder = BulkFolder(write(path, export(*instead)))
    return prescriptions(folder), told(folder.rejected)


def line_of(path: Path, changes: dict[str, Any]) -> PrescriptionLine:
    records, refused = read(path, changed(REQUEST, changes))
    assert refused == []
    return records[0].prescription.lines[0]


# Who and what


def test_prescriptions__an_active_order__is_one_prescription_with_one_line(
    tmp_path: Path,
) -> None:
    records, refused = read(tmp_path)

    assert records == [
        PrescriptionRecord(
            prescription=Prescription(
                business_key="MedicationRequest/m1",
                patient_key="key of p1",
                authored_at=datetime(2024, 2, 29, 0, 45, tzinfo=timezone(timedelta(hours=8))),
                valid_until=VALID_UNTIL,
                prescriber=ROSSI,
                patient=Party("999******90", "Ana María Limón", 1),
                lines=(
                    PrescriptionLine(
                        code="308192",
                        name="Amoxicillin 500 MG Oral Tablet",
                        quantity=60,
                        unit="unit",
                        instruction="2 each time, 3 times every day; Complete the course",
                    ),
                ),
                encounter="e1",
                reason="Sinusitis",
            ),
            hospital=COUNTY,
        )
    ]
    assert refused == []


@pytest.mark.parametrize(
    "changes",
    [
        {"status": "stopped"},
        {"status": "completed"},
        {"status": "entered-in-error"},
        {"intent": "plan"},
        {"intent": "original-order"},
    ],
)
def test_prescriptions__a_request_that_is_no_active_order__is_counted_not_refused(
    tmp_path: Path, changes: dict[str, Any]
) -> None:
    folder = BulkFolder(write(tmp_path, export(changed(REQUEST, changes))))

    assert prescriptions(folder) == []
    assert folder.rejected == []
    assert folder.inactive_requests == 1


def test_prescriptions__a_second_pass__counts_the_inactive_ones_anew(tmp_path: Path) -> None:
    folder = BulkFolder(write(tmp_path, export(changed(REQUEST, {"status": "stopped"}))))

    prescriptions(folder)
    prescriptions(folder)

    assert folder.inactive_requests == 1


@pytest.mark.parametrize(
    ("changes", "prescriber"),
    [
        ({"requester": {"reference": "Practitioner/d2"}}, Party("d2", "Jane Miller", 1)),
        ({"requester": {"reference": "urn:uuid:d2"}}, Party("d2", "Jane Miller", 1)),
        ({"requester": {"reference": "Practitioner/d9"}}, ROSSI),
        ({"requester": {"reference": "Patient/p1"}}, ROSSI),
        ({"requester": {"display": "Jane Miller"}}, ROSSI),
    ],
)
def test_prescriptions__a_requester_of_the_folder__is_the_prescriber(
    tmp_path: Path, changes: dict[str, Any], prescriber: Party
) -> None:
    second = changed(
        PRACTITIONER,
        {"id": "d2", "identifier": ABSENT, "name[0].family": "Miller", "name[0].given[0]": "Jane"},
    )

    records, _ = read(tmp_path, second, changed(REQUEST, changes))

    assert records[0].prescription.prescriber == prescriber


@pytest.mark.parametrize(
    "participants",
    [
        [],
        [{}],
        [{"individual": {"reference": "RelatedPerson/r1"}}],
        [{"individual": {"reference": "Practitioner/d9"}}],
    ],
)
def test_prescriptions__no_practitioner_known__is_prescribed_by_the_hospital(
    tmp_path: Path, participants: list[Resource]
) -> None:
    records, refused = read(tmp_path, changed(ENCOUNTER, {"participant": participants}))

    assert records[0].prescription.prescriber == Party("h1", "County Hospital", 2)
    assert refused == []


def test_prescriptions__the_first_known_participant__is_the_prescriber(tmp_path: Path) -> None:
    participants = [
        {"individual": {"reference": reference}}
        for reference in ("RelatedPerson/r1", "Practitioner/d9", "urn:uuid:d1")
    ]

    records, _ = read(tmp_path, changed(ENCOUNTER, {"participant": participants}))

    assert records[0].prescription.prescriber == ROSSI


def test_prescriptions__no_practitioner_file__is_prescribed_by_the_hospital(
    tmp_path: Path,
) -> None:
    write(tmp_path, export())
    (tmp_path / "Practitioner.ndjson").unlink()

    records = prescriptions(BulkFolder(tmp_path))

    assert records[0].prescription.prescriber == COUNTY.party()


def test_prescriptions__a_practitioner_without_name__is_refused_and_the_rest_goes_on(
    tmp_path: Path,
) -> None:
    records, refused = read(tmp_path, changed(PRACTITIONER, {"name": []}))

    assert records[0].prescription.prescriber == COUNTY.party()
    assert refused == ["Practitioner.ndjson:1: Practitioner.name: is missing"]


# How much


@pytest.mark.parametrize(
    ("changes", "quantity", "unit"),
    [
        # What the prescriber asked for comes first.
        ({"dispenseRequest": {"quantity": {"value": 21, "unit": "tablet"}}}, 21, "tablet"),
        ({"dispenseRequest": {"quantity": {"value": 21.0, "code": "{tbl}"}}}, 21, "{tbl}"),
        ({"dispenseRequest": {"quantity": {"value": 21}}}, 21, "unit"),
        ({"dispenseRequest.quantity": {"value": 21}}, 21, "unit"),
        ({"dispenseRequest.quantity": {"value": 2.5}}, 60, "unit"),
        # Dose, rhythm and duration.
        ({"dispenseRequest.expectedSupplyDuration.code": "wk"}, 420, "unit"),
        ({"dispenseRequest.expectedSupplyDuration": {"value": 1, "code": "mo"}}, 180, "unit"),
        ({"dispenseRequest.expectedSupplyDuration": {"value": 36, "code": "h"}}, 9, "unit"),
        ({"dispenseRequest.expectedSupplyDuration": {"value": 0.5, "code": "a"}}, 1095, "unit"),
        ({"dosageInstruction[0].timing.repeat.periodUnit": "wk"}, 9, "unit"),
        ({"dosageInstruction[0].timing.repeat.period": 0.5}, 120, "unit"),
        ({"dosageInstruction[0].timing.repeat.period": 7}, 9, "unit"),
        (
            {
                "dosageInstruction[0].timing.repeat.period": 6,
                "dosageInstruction[0].timing.repeat.periodUnit": "h",
            },
            240,
            "unit",
        ),
        ({"dosageInstruction[0].doseAndRate[0].doseQuantity.value": 0.01}, 1, "unit"),
        (
            {"dosageInstruction[0].doseAndRate[0].doseQuantity": {"value": 2.5, "unit": "mL"}},
            75,
            "mL",
        ),
        # Nothing says how much.
        ({"dispenseRequest": ABSENT}, 1, "package"),
        ({"dispenseRequest": {}}, 1, "package"),
        ({"dosageInstruction": []}, 1, "package"),
        ({"dosageInstruction[0].asNeededBoolean": True}, 1, "package"),
        ({"dosageInstruction[0].asNeededCodeableConcept": coded("pain")}, 1, "package"),
        ({"dosageInstruction[0].timing": ABSENT}, 1, "package"),
        ({"dosageInstruction[0].timing": {}}, 1, "package"),
        ({"dosageInstruction[0].timing.repeat.frequency": ABSENT}, 1, "package"),
        ({"dosageInstruction[0].timing.repeat.period": ABSENT}, 1, "package"),
        ({"dosageInstruction[0].timing.repeat.periodUnit": ABSENT}, 1, "package"),
        ({"dosageInstruction[0].doseAndRate": []}, 1, "package"),
        ({"dosageInstruction[0].doseAndRate[0].doseQuantity": ABSENT}, 1, "package"),
        ({"dosageInstruction": REQUEST["dosageInstruction"] * 2}, 1, "package"),
        # The bound of a line.
        ({"dispenseRequest": {"quantity": {"value": 2**16 - 1}}}, 2**16 - 1, "unit"),
    ],
)
def test_prescriptions__a_way_of_saying_how_much__gives_the_quantity(
    tmp_path: Path, changes: dict[str, Any], quantity: int, unit: str
) -> None:
    line = line_of(tmp_path, changes)

    assert (line.quantity, line.unit) == (quantity, unit)


@pytest.mark.parametrize(
    ("dosages", "instruction"),
    [
        ([], ""),
        ([{}], ""),
        ([{"asNeededBoolean": True}], "as needed"),
        ([{"text": "one at night", "asNeededBoolean": True}], "one at night"),
        ([{"text": "one at night", "patientInstruction": "with food"}], "one at night; with food"),
        ([{"text": "one"}, {"text": "then two"}], "one / then two"),
        (
            [{"timing": {"repeat": {"frequency": 1, "period": 1.0, "periodUnit": "d"}}}],
            "once every day",
        ),
        (
            [{"timing": {"repeat": {"frequency": 2, "period": 3, "periodUnit": "wk"}}}],
            "2 times every 3 weeks",
        ),
        (
            [{"doseAndRate": [{"doseQuantity": {"value": 2.50, "unit": "mL"}}]}],
            "2.5 mL each time",
        ),
        (
            [{"additionalInstruction": [coded("1", "with water"), {"text": "sit up"}]}],
            "with water; sit up",
        ),
    ],
)
def test_prescriptions__a_dosage__is_told_in_words(
    tmp_path: Path, dosages: list[Resource], instruction: str
) -> None:
    line = line_of(tmp_path, {"dosageInstruction": dosages})

    assert line.instruction == instruction


# Refusals

DURATION = "dispenseRequest.expectedSupplyDuration"
REPEAT = "dosageInstruction[0].timing.repeat"


@pytest.mark.parametrize(
    ("field", "value", "problem"),
    [
        ("status", "current", None),
        ("intent", 1, None),
        ("doNotPerform", True, "asks not to give the drug"),
        ("modifierExtension", [{}], "may not be ignored, and is not understood"),
        ("medicationCodeableConcept", ABSENT, "is missing"),
        ("medicationCodeableConcept.coding", [], "has no code"),
        ("subject", ABSENT, "is missing"),
        ("subject.reference", "Patient/p9", "names no Patient taken from this folder"),
        ("subject.reference", "Group/p1", f"{NO_LINK} Patient/<id>"),
        ("encounter", ABSENT, "is missing"),
        ("encounter.reference", "Encounter/e9", "names no Encounter taken from this folder"),
        ("authoredOn", ABSENT, "is missing"),
        ("authoredOn", "2024", NO_TIME),
        ("dispenseRequest.quantity", {}, None),
        (f"{DURATION}.code", ABSENT, "is missing"),
        (f"{DURATION}.code", "days", UNITS),
        (f"{DURATION}.value", 0, "is out of range"),
        (f"{DURATION}.value", -10, "is out of range"),
        (f"{DURATION}.value", "10", "is not a number"),
        (f"{DURATION}.value", 100_000_000, "gives more than 65535 units"),
        (f"{REPEAT}.frequency", 0, "is not above 0"),
        (f"{REPEAT}.frequency", 10**9, "is out of range"),
        (f"{REPEAT}.frequency", 1.5, "is not a whole number"),
        (f"{REPEAT}.frequency", True, "is not a whole number"),
        (f"{REPEAT}.period", 0, "is out of range"),
        (f"{REPEAT}.period", True, "is not a number"),
        (f"{REPEAT}.periodUnit", "day", UNITS),
        ("dosageInstruction[0].doseAndRate[0].doseQuantity.value", -2, "is out of range"),
        ("dosageInstruction[0].modifierExtension", [{}], None),
        ("reasonCode", "flu", "is not a list"),
    ],
)
def test_prescriptions__a_request_with_a_fault__is_refused_with_file_line_and_field(
    tmp_path: Path, field: str, value: Any, problem: str | None
) -> None:
    write(tmp_path, export())
    requests = [
        changed(REQUEST, {"id": "m0"}),
        changed(REQUEST, {field: value}),
        changed(REQUEST, {"id": "m2"}),
    ]
    lines = "".join(json.dumps(request) + "\n" for request in requests)
    (tmp_path / "MedicationRequest.ndjson").write_text(lines)
    folder = BulkFolder(tmp_path)

    records = prescriptions(folder)

    keys = [record.prescription.business_key for record in records]
    assert keys == ["MedicationRequest/m0", "MedicationRequest/m2"]
    assert len(folder.rejected) == 1
    refused = folder.rejected[0].values
    assert refused["file"] == "MedicationRequest.ndjson"
    assert refused["line"] == 2
    if problem is not None:
        assert (refused["field"], refused["problem"]) == (f"MedicationRequest.{field}", problem)
    else:
        assert str(refused["field"]).startswith(f"MedicationRequest.{field}")


@pytest.mark.parametrize(
    ("changes", "field", "problem"),
    [
        (
            {"dispenseRequest": {"quantity": {"value": 2.5}}},
            "dispenseRequest.quantity.value",
            "is not whole, and the dosage gives no quantity",
        ),
        (
            {"dispenseRequest": {"quantity": {"value": 2**16}}},
            "dispenseRequest.quantity.value",
            "gives more than 65535 units",
        ),
        (
            {"dispenseRequest": {"quantity": {"value": 0}}},
            "dispenseRequest.quantity.value",
            "is out of range",
        ),
        (
            {"dispenseRequest": {"quantity": {"value": "21"}}},
            "dispenseRequest.quantity.value",
            "is not a number",
        ),
    ],
)
def test_prescriptions__a_quantity_that_cannot_be_dispensed__is_refused(
    tmp_path: Path, changes: dict[str, Any], field: str, problem: str
) -> None:
    records, refused = read(tmp_path, changed(REQUEST, changes))

    assert records == []
    assert refused == [f"MedicationRequest.ndjson:1: MedicationRequest.{field}: {problem}"]


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"serviceProvider": ABSENT}, "names an Encounter without serviceProvider"),
        (
            {"serviceProvider.reference": "Organization/h9"},
            "names no Organization taken from this folder",
        ),
        ({"subject.reference": "Patient/p2"}, "names an Encounter of another patient"),
    ],
)
def test_prescriptions__an_encounter_that_does_not_fit__refuses_the_request(
    tmp_path: Path, changes: dict[str, Any], problem: str
) -> None:
    stranger = changed(PATIENT, {"id": "p2"})

    records, refused = read(tmp_path, stranger, changed(ENCOUNTER, changes))

    assert records == []
    assert refused == [
        f"MedicationRequest.ndjson:1: MedicationRequest.encounter.reference: {problem}"
    ]


def test_prescriptions__a_patient_without_key__is_refused(tmp_path: Path) -> None:
    folder = BulkFolder(write(tmp_path, export()))

    def no_key(patient: str) -> str:
        raise BadPatientKey(problem=f"of {patient} is lost")

    records = list(folder.prescriptions(no_key, valid_until=VALID_UNTIL))

    assert records == []
    assert told(folder.rejected) == [
        "MedicationRequest.ndjson:1: MedicationRequest.subject: has no patient key (BadPatientKey)"
    ]


def test_prescriptions__a_validity_that_no_contract_takes__is_the_caller_s_error(
    tmp_path: Path,
) -> None:
    folder = BulkFolder(write(tmp_path, export()))

    with pytest.raises(InvalidDocument):
        list(folder.prescriptions(str, valid_until=0))


# Repeats and substitution


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, (0, 0, False)),
        ({"dispenseRequest.numberOfRepeatsAllowed": 3}, (3, 0, False)),
        ({"dispenseRequest.dispenseInterval": {"value": 4, "code": "wk"}}, (0, 28, False)),
        ({"dispenseRequest.dispenseInterval": {"value": 25, "code": "h"}}, (0, 2, False)),
        ({"substitution": {"allowedBoolean": True}}, (0, 0, True)),
    ],
    ids=str,
)
def test_prescriptions__repeats_and_substitution__are_what_was_asked(
    tmp_path: Path, changes: dict[str, Any], expected: tuple[int, int, bool]
) -> None:
    records, refused = read(tmp_path, changed(REQUEST, changes))

    assert refused == []
    order = records[0].prescription
    assert (order.repeats, order.interval_days, order.lines[0].substitutable) == expected


def test_prescriptions__an_interval_beyond_the_header__is_refused(tmp_path: Path) -> None:
    beyond = {"dispenseRequest.dispenseInterval": {"value": 137, "code": "a"}}

    records, refused = read(tmp_path, changed(REQUEST, beyond))

    assert records == []
    assert len(refused) == 1
    assert "is more than 49710 days" in refused[0]
