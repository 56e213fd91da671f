"""A small FHIR export to bend: one patient, one visit, one claim, one explanation, one order."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

from medledger.errors import BadResource
from medledger.formats.fhir import BillRecord, BulkFolder, PrescriptionRecord

ROOT = Path(__file__).parents[2]
VALID_UNTIL = 1_800_000_000
ABSENT = object()
"""As a new value: the element goes."""

Resource = dict[str, Any]


def coded(code: str, display: str | None = None) -> Resource:
    coding = {"code": code} if display is None else {"code": code, "display": display}
    return {"coding": [coding]}


def usd(value: Any) -> Resource:
    return {"value": value, "currency": "USD"}


PATIENT: Resource = {
    "resourceType": "Patient",
    "id": "p1",
    "identifier": [
        {"type": coded("MR"), "value": "8216130"},
        {"type": coded("SS"), "value": "999-93-7390"},
    ],
    "name": [
        {"use": "maiden", "family": "Moro", "given": ["Ana"]},
        {"use": "official", "family": "Limón", "given": ["Ana", "María"], "prefix": ["Ms."]},
    ],
    "gender": "female",
}
HOSPITAL: Resource = {
    "resourceType": "Organization",
    "id": "h1",
    "name": "County Hospital",
    "type": [coded("prov")],
}
INSURER: Resource = {
    "resourceType": "Organization",
    "id": "i1",
    "name": "Mutual",
    "type": [coded("ins")],
}
PRACTITIONER: Resource = {
    "resourceType": "Practitioner",
    "id": "d1",
    "identifier": [{"value": "9999764875"}],
    "name": [{"use": "official", "family": "Rossi", "given": ["Priya"], "prefix": ["Dr."]}],
}
COVERAGE: Resource = {
    "resourceType": "Coverage",
    "id": "v1",
    "status": "active",
    "type": coded("HIP"),
    "beneficiary": {"reference": "Patient/p1"},
}
ENCOUNTER: Resource = {
    "resourceType": "Encounter",
    "id": "e1",
    "status": "finished",
    "class": {"code": "AMB", "display": "ambulatory"},
    "type": [coded("185345009", "Encounter for symptom")],
    "subject": {"reference": "urn:uuid:p1"},
    "period": {"start": "2024-02-28T23:30:00+08:00", "end": "2024-02-29T01:00:00+08:00"},
    "serviceProvider": {"reference": "Organization/h1"},
    "participant": [{"individual": {"reference": "Practitioner/d1"}}],
}
CLAIM: Resource = {
    "resourceType": "Claim",
    "id": "c1",
    "status": "active",
    "use": "claim",
    "patient": {"reference": "urn:uuid:p1"},
    "created": "2024-02-29T01:02:03.5+08:00",
    "insurer": {"reference": "Organization/i1"},
    "provider": {"reference": "urn:uuid:h1"},
    "insurance": [{"focal": True, "coverage": {"reference": "Coverage/v1"}}],
    "item": [
        {
            "productOrService": coded("185345009", "Encounter for symptom"),
            "net": usd(80),
            "encounter": [{"reference": "Encounter/e1"}],
        },
        {
            "productOrService": coded("104326007", "Blood count"),
            "quantity": {"value": 2.50, "unit": "vial"},
            "net": usd(45.5),
        },
    ],
    "total": usd(125.5),
}
EXPLANATION: Resource = {
    "resourceType": "ExplanationOfBenefit",
    "id": "x1",
    "status": "active",
    "use": "claim",
    "outcome": "complete",
    "patient": {"reference": "Patient/p1"},
    "insurer": {"reference": "Organization/i1"},
    "claim": {"reference": "Claim/c1"},
    "item": [
        {
            "adjudication": [
                {"category": coded("submitted"), "amount": usd(80)},
                {"category": coded("benefit"), "amount": usd(64.25)},
            ]
        },
        {
            "adjudication": [
                {"category": coded("submitted"), "amount": usd(45.5)},
                {"category": coded("benefit"), "amount": usd(36)},
                {"category": coded("eligpercent"), "value": 80},
            ]
        },
    ],
    "total": [{"category": coded("submitted"), "amount": usd(125.5)}],
}
REQUEST: Resource = {
    "resourceType": "MedicationRequest",
    "id": "m1",
    "status": "active",
    "intent": "order",
    "medicationCodeableConcept": coded("308192", "Amoxicillin 500 MG Oral Tablet"),
    "subject": {"reference": "Patient/p1"},
    "encounter": {"reference": "Encounter/e1"},
    "authoredOn": "2024-02-29T00:45:00+08:00",
    "reasonCode": [{"text": "Sinusitis"}],
    "dosageInstruction": [
        {
            "timing": {"repeat": {"frequency": 3, "period": 1, "periodUnit": "d"}},
            "doseAndRate": [{"doseQuantity": {"value": 2}}],
            "additionalInstruction": [coded("418577003", "Complete the course")],
        }
    ],
    "dispenseRequest": {"expectedSupplyDuration": {"value": 10, "code": "d"}},
}
EXPORT = (
    PATIENT,
    HOSPITAL,
    INSURER,
    PRACTITIONER,
    COVERAGE,
    ENCOUNTER,
    CLAIM,
    EXPLANATION,
    REQUEST,
)


def changed(resource: Resource, changes: Mapping[str, Any]) -> Resource:
    """A copy with other values at these paths, such as `item[0].net.value`; `ABSENT` takes an
    element away."""
    copy = deepcopy(resource)
    for path, value in changes.items():
        place: Any = copy
        *steps, last = (int(step) if step.isdigit() else step for step in re.findall(r"\w+", path))
        for step in steps:
            place = place[step]
        if value is ABSENT:
            del place[last]
        else:
            place[last] = value
    return copy


def export(*instead: Resource) -> list[Resource]:
    """The small export, with these resources in the place of those of the same type and id."""
    keys = {(resource["resourceType"], resource.get("id")) for resource in instead}
    kept = [one for one in EXPORT if (one["resourceType"], one["id"]) not in keys]
    return [*kept, *instead]


def write(path: Path, resources: Iterable[Resource]) -> Path:
    """The folder with one plain file for each type."""
    path.mkdir(exist_ok=True)
    lines: dict[str, list[str]] = {}
    for resource in resources:
        line = json.dumps(resource, ensure_ascii=False)
        lines.setdefault(resource["resourceType"], []).append(line + "\n")
    for kind, texts in lines.items():
        (path / f"{kind}.ndjson").write_text("".join(texts), encoding="utf-8")
    return path


def key_of(patient: str) -> str:
    return f"key of {patient}"


def bills(folder: BulkFolder) -> list[BillRecord]:
    return list(folder.bills(key_of))


def prescriptions(folder: BulkFolder) -> list[PrescriptionRecord]:
    return list(folder.prescriptions(key_of, valid_until=VALID_UNTIL))


def told(errors: Iterable[BadResource]) -> list[str]:
    return [str(error) for error in errors]
