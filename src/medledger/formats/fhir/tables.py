"""What bills and prescriptions look up: people, institutions, visits, coverage, explanations.

Each table is read when it is first needed and holds the few values that documents use. A
resource that another one needs and that is not here is told apart: was it refused or left out
(`Unfit`), or does the folder have no such file at all (`InputError`)?
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import TypeVar

from medledger.core.documents import Party, mask_identity
from medledger.errors import InputError
from medledger.formats.faults import Unfit
from medledger.formats.fhir.bulk import BulkReader, Found
from medledger.formats.fhir.explanations import Explanation, read_explanation
from medledger.formats.fhir.resources import (
    Coverage,
    Encounter,
    ExplanationOfBenefit,
    Identifier,
    Organization,
    Patient,
    Practitioner,
    Reference,
    ResourceT,
    preferred_name,
)
from medledger.formats.fhir.values import moment, target

_PERSON = 1

PatientKeyOf = Callable[[str], str]
"""From a patient's id to their extended public key, or to an address."""

ValueT = TypeVar("ValueT")


@dataclass(frozen=True, slots=True)
class Organisation:
    """A hospital, insurer or other institution. `kind` is its FHIR type: `prov`, `ins`, ..."""

    id: str
    name: str
    kind: str

    def party(self) -> Party:
        """The institution as documents name it."""
        return Party(self.id, self.name)


@dataclass(frozen=True, slots=True)
class Person:
    """A patient as a bill may show them: the identity number is masked."""

    id: str
    party: Party
    gender: str
    record_number: str


@dataclass(frozen=True, slots=True)
class Visit:
    """An encounter. `patient`, `hospital` and `practitioners` are ids; `end` is None for an
    outpatient, whose bill shows the first day alone."""

    id: str
    patient: str | None
    inpatient: bool
    medical_type: str
    department: str
    start: date | None
    end: date | None
    hospital: str | None
    practitioners: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """A coverage. `public`: a public fund pays, at the counter."""

    patient: str
    type: str
    public: bool


class Tables:
    """The look-up tables of one folder."""

    def __init__(self, reader: BulkReader) -> None:
        self._reader = reader

    @cached_property
    def organisations(self) -> Mapping[str, Organisation]:
        """By id."""
        return self._table(Organization, _organisation, lambda row: row.id)

    @cached_property
    def explanations(self) -> Mapping[str, Explanation]:
        """By the id of their claim. A second one of a claim is refused: adding the two up
        could pay twice."""
        return self._table(
            ExplanationOfBenefit,
            read_explanation,
            lambda row: row.claim,
            unique="ExplanationOfBenefit.claim.reference",
        )

    @cached_property
    def practitioners(self) -> Mapping[str, Party]:
        """By id."""
        found = self._table(Practitioner, _practitioner, lambda row: row[0])
        return {key: party for key, (_, party) in found.items()}

    @cached_property
    def _people(self) -> Mapping[str, Person]:
        return self._table(Patient, _person, lambda row: row.id)

    @cached_property
    def _visits(self) -> Mapping[str, Visit]:
        return self._table(Encounter, _visit, lambda row: row.id)

    @cached_property
    def _plans(self) -> Mapping[str, Plan]:
        found = self._table(Coverage, _plan, lambda row: row[0])
        return {key: plan for key, (_, plan) in found.items()}

    def person(self, reference: Reference, path: str) -> Person:
        """The patient that `reference`, at `path`, names; raises `Unfit` or `InputError`."""
        key = target(reference, "Patient", path)
        return self._find(self._people, "Patient", key, f"{path}.reference")

    def organisation(self, reference: Reference, path: str) -> Organisation:
        """The institution that `reference` names; raises `Unfit` or `InputError`."""
        key = target(reference, "Organization", path)
        return self.organisation_of(key, f"{path}.reference")

    def organisation_of(self, key: str, path: str) -> Organisation:
        """The institution of this id, which stands at `path`; raises `Unfit` or `InputError`."""
        return self._find(self.organisations, "Organization", key, path)

    def visit(self, reference: Reference, path: str, patient: str) -> Visit:
        """The encounter, of this patient, that `reference` names; raises `Unfit` or
        `InputError`."""
        key = target(reference, "Encounter", path)
        visit = self._find(self._visits, "Encounter", key, f"{path}.reference")
        if visit.patient not in (None, patient):
            raise Unfit(f"{path}.reference", "names an Encounter of another patient")
        return visit

    def plan(self, reference: Reference, path: str, patient: str) -> Plan | None:
        """The coverage, of this patient, that `reference` names; None where the folder has no
        coverages at all. Raises `Unfit`."""
        if not self._reader.has("Coverage"):
            return None
        key = target(reference, "Coverage", path)
        plan = self._find(self._plans, "Coverage", key, f"{path}.reference")
        if plan.patient != patient:
            raise Unfit(f"{path}.reference", "names a Coverage of another patient")
        return plan

    def _table(
        self,
        model: type[ResourceT],
        convert: Callable[[Found[ResourceT]], ValueT],
        key_of: Callable[[ValueT], str],
        unique: str = "",
    ) -> dict[str, ValueT]:
        rows: dict[str, ValueT] = {}
        for found in self._reader.resources(model):
            try:
                row = convert(found)
                key = key_of(row)
                if unique and key in rows:
                    raise Unfit(unique, "has occurred before")
            except Unfit as fault:
                self._reader.refuse(found.place, fault)
            else:
                rows[key] = row
        return rows

    def _find(self, table: Mapping[str, ValueT], resource_type: str, key: str, path: str) -> ValueT:
        row = table.get(key)
        if row is None:
            self._reader.require(resource_type, needed_by=path)
            raise Unfit(path, f"names no {resource_type} taken from this folder")
        return row


def patient_key(patient_key_of: PatientKeyOf, person: Person, path: str) -> str:
    """The key of a patient; raises `Unfit` where the caller has none to give."""
    try:
        return patient_key_of(person.id)
    except InputError as error:
        # Its message is left out: it may show what it was given.
        raise Unfit(path, f"has no patient key ({error.name})") from None


def _organisation(found: Found[Organization]) -> Organisation:
    organization = found.resource
    kinds = [code for concept in organization.type for code in concept.codes()]
    return Organisation(organization.id, organization.name, next(iter(kinds), ""))


def _person(found: Found[Patient]) -> Person:
    patient = found.resource
    name = preferred_name(patient.name)
    if not name:
        raise Unfit("Patient.name", "is missing")
    record_number = _identifier(patient.identifier, "MR")
    identity = _identifier(patient.identifier, "SS") or record_number
    party = Party(mask_identity(identity), name, _PERSON)
    return Person(patient.id, party, patient.gender or "", record_number)


def _identifier(identifiers: list[Identifier], code: str) -> str:
    """The first identifier of a type of HL7 table 0203; empty where there is none."""
    for identifier in identifiers:
        if identifier.value and identifier.type is not None and code in identifier.type.codes():
            return identifier.value
    return ""


def _practitioner(found: Found[Practitioner]) -> tuple[str, Party]:
    practitioner = found.resource
    name = preferred_name(practitioner.name)
    if not name:
        raise Unfit("Practitioner.name", "is missing")
    registered = [identifier.value for identifier in practitioner.identifier if identifier.value]
    return practitioner.id, Party(next(iter(registered), practitioner.id), name, _PERSON)


def _visit(found: Found[Encounter]) -> Visit:
    encounter = found.resource
    code = encounter.class_.code
    if code is None:
        raise Unfit("Encounter.class.code", "is missing")
    inpatient = code == "IMP"
    start = end = None
    if encounter.period is not None:
        start = _day(encounter.period.start, "Encounter.period.start")
    if encounter.period is not None and inpatient:
        end = _day(encounter.period.end, "Encounter.period.end")
        if start is not None and end is not None and end < start:
            raise Unfit("Encounter.period.end", "is before the start")
    individuals = [participant.individual for participant in encounter.participant]
    return Visit(
        id=encounter.id,
        patient=_optional_target(encounter.subject, "Patient", "Encounter.subject"),
        inpatient=inpatient,
        medical_type=sys.intern(encounter.class_.display or code),
        department=sys.intern(next((concept.label() for concept in encounter.type), "")),
        start=start,
        end=end,
        hospital=_optional_target(
            encounter.serviceProvider, "Organization", "Encounter.serviceProvider"
        ),
        practitioners=tuple(filter(None, map(practitioner_id, individuals))),
    )


def practitioner_id(reference: Reference | None) -> str | None:
    """The id of a practitioner; None for a reference to anyone else, such as a relative."""
    text = "" if reference is None else reference.reference or ""
    for prefix in ("urn:uuid:", "Practitioner/"):
        if text.startswith(prefix):
            return sys.intern(text.removeprefix(prefix))
    return None


def _plan(found: Found[Coverage]) -> tuple[str, Plan]:
    coverage = found.resource
    codes = [] if coverage.type is None else coverage.type.codes()
    patient = target(coverage.beneficiary, "Patient", "Coverage.beneficiary")
    return coverage.id, Plan(patient, next(iter(codes), ""), "PUBLICPOL" in codes)


def _optional_target(reference: Reference | None, resource_type: str, path: str) -> str | None:
    return None if reference is None else target(reference, resource_type, path)


def _day(text: str | None, path: str) -> date | None:
    return None if text is None else moment(text, path).date()
