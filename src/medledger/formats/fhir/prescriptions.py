"""MedicationRequest to prescriptions.

One active order is one Prescription with one line, as FHIR asks for each drug by itself.

- business key: `MedicationRequest/<id>`.
- only status `active` and intent `order`: what was stopped, completed or only planned is no
  longer, or not yet, to be dispensed. The others are counted, not refused. A request *not* to
  give a drug (`doNotPerform`) is refused.
- quantity and instruction: see `dosage`.
- hospital: the service provider of the request's Encounter, which must be the patient's.
- prescriber: the requester if it is a Practitioner of this folder, else the first practitioner
  who took part in the encounter, else the hospital.
- repeats: `dispenseRequest.numberOfRepeatsAllowed`, and `dispenseInterval` in whole days, a part of
  one counted as one.
- substitution: where `substitution.allowedBoolean` is true.
- `authoredOn` stays on the document; how long it is valid is the caller's to say, because FHIR's
  `validityPeriod` is of the past for whoever prescribes from an export.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from medledger.core.documents import Party, Prescription, PrescriptionLine
from medledger.formats.faults import Unfit
from medledger.formats.fhir.bulk import BulkReader
from medledger.formats.fhir.dosage import instruction_of, interval_days, quantity_of
from medledger.formats.fhir.resources import MedicationRequest
from medledger.formats.fhir.tables import (
    Organisation,
    PatientKeyOf,
    Tables,
    Visit,
    patient_key,
    practitioner_id,
)
from medledger.formats.fhir.values import moment


@dataclass(frozen=True, slots=True)
class PrescriptionRecord:
    """A prescription with the hospital that prescribes it."""

    prescription: Prescription
    hospital: Organisation


class PrescriptionReader:
    """The prescriptions of one folder, one at a time; what cannot be taken is refused."""

    def __init__(
        self,
        reader: BulkReader,
        tables: Tables,
        patient_key_of: PatientKeyOf,
        valid_until: int,
    ) -> None:
        self._reader = reader
        self._tables = tables
        self._patient_key_of = patient_key_of
        self._valid_until = valid_until

    def __iter__(self) -> Iterator[PrescriptionRecord | None]:
        """None for each request that is no active order."""
        for found in self._reader.resources(MedicationRequest):
            request = found.resource
            if request.status != "active" or request.intent != "order":
                yield None
                continue
            try:
                record = self._prescription(request)
            except Unfit as fault:
                self._reader.refuse(found.place, fault)
                continue
            yield record

    def _prescription(self, request: MedicationRequest) -> PrescriptionRecord:
        if request.doNotPerform:
            raise Unfit("MedicationRequest.doNotPerform", "asks not to give the drug")
        person = self._tables.person(request.subject, "MedicationRequest.subject")
        path = "MedicationRequest.encounter"
        visit = self._tables.visit(request.encounter, path, person.id)
        if visit.hospital is None:
            raise Unfit(f"{path}.reference", "names an Encounter without serviceProvider")
        hospital = self._tables.organisation_of(visit.hospital, f"{path}.reference")
        authored_at = moment(request.authoredOn, "MedicationRequest.authoredOn")
        asked = request.dispenseRequest
        prescription = Prescription(
            business_key=f"MedicationRequest/{request.id}",
            patient_key=patient_key(self._patient_key_of, person, "MedicationRequest.subject"),
            authored_at=authored_at,
            valid_until=self._valid_until,
            prescriber=self._prescriber(request, visit) or hospital.party(),
            patient=person.party,
            lines=(_line(request),),
            encounter=visit.id,
            reason="; ".join(filter(None, (reason.label() for reason in request.reasonCode))),
            repeats=0 if asked is None else asked.numberOfRepeatsAllowed,
            interval_days=interval_days(request),
        )
        return PrescriptionRecord(prescription, hospital)

    def _prescriber(self, request: MedicationRequest, visit: Visit) -> Party | None:
        for key in (practitioner_id(request.requester), *visit.practitioners):
            party = self._tables.practitioners.get(key or "")
            if party is not None:
                return party
        return None


def _line(request: MedicationRequest) -> PrescriptionLine:
    drug = request.medicationCodeableConcept
    if not drug.codes():
        raise Unfit("MedicationRequest.medicationCodeableConcept.coding", "has no code")
    quantity, unit = quantity_of(request)
    return PrescriptionLine(
        code=drug.codes()[0],
        name=drug.label(),
        quantity=quantity,
        unit=unit,
        instruction=instruction_of(request),
        substitutable=request.substitution is not None and request.substitution.allowedBoolean,
    )
