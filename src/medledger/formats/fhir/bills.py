"""Claim and ExplanationOfBenefit to bills.

One Claim is one Invoice, because both are what a hospital asks for one visit.

- business key: `Claim/<id>`, the hospital system's own and unique number.
- lines: the items, with their net amounts; the total is the claim's. A claim whose items do not
  add up to its total is refused: one of the two would be wrong on the bill.
- only an active claim of use `claim` is a bill: drafts, cancelled ones and estimates are refused.
- one bill is for one visit: the claim's items name one Encounter, of the claim's patient. Class
  IMP makes an inpatient bill with the days of the stay; `departmentName` stands on inpatient
  bills alone, as in the national specification.
- identity number: the patient's social security number (SS), else medical record number (MR),
  masked; `patientNumber` is the medical record number.

Who pays, and when:

- The coverage is the claim's focal insurance, else its first.
- Coverage of type PUBLICPOL: a public fund pays its share at the counter, so the benefit of the
  explanation is the bill's `fundPayAmount` and only the rest is the patient's.
- Any other coverage, or none: the patient pays the whole bill at issue, and a benefit above 0 is
  the insurer's, to be claimed and settled later (`BillRecord.benefit`).
- Where the folder has no Coverage file, nobody is known to be publicly insured.
- `medicalInsuranceType` stands on the bill only where the claim names an insurer: Synthea writes
  an uninsured patient as the payor of a public coverage.
- An explanation must be of the same patient, insurer, currency and amount as the claim. One that
  is not is refused, and the bill goes on without it, as self-paid. One whose claim became no
  bill is refused when all claims are read.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from medledger.core.documents import Invoice, InvoiceLine
from medledger.formats.faults import Unfit
from medledger.formats.fhir.bulk import BulkReader
from medledger.formats.fhir.explanations import Explanation
from medledger.formats.fhir.resources import Claim, ClaimItem
from medledger.formats.fhir.tables import (
    Organisation,
    PatientKeyOf,
    Person,
    Plan,
    Tables,
    Visit,
    patient_key,
)
from medledger.formats.fhir.values import amount_minor, measure, moment

OUTPATIENT_NAME = "医疗门诊收费票据"
INPATIENT_NAME = "医疗住院收费票据"


@dataclass(frozen=True, slots=True)
class Benefit:
    """What an insurer owes on a bill that the patient has paid. `explanation_hash` is keccak-256
    of the line of the ExplanationOfBenefit, without the line's end."""

    payer: Organisation
    amount_minor: int
    explanation_id: str
    explanation_hash: bytes


@dataclass(frozen=True, slots=True)
class BillRecord:
    """A bill with what issuing and claiming need to know beside it."""

    invoice: Invoice
    hospital: Organisation
    insurer: Organisation | None
    benefit: Benefit | None
    inpatient: bool


class BillReader:
    """The bills of one folder, one at a time; what is no bill is refused."""

    def __init__(self, reader: BulkReader, tables: Tables, patient_key_of: PatientKeyOf) -> None:
        self._reader = reader
        self._tables = tables
        self._patient_key_of = patient_key_of

    def __iter__(self) -> Iterator[BillRecord]:
        billed: set[str] = set()
        for found in self._reader.resources(Claim):
            try:
                record = self._bill(found.resource)
            except Unfit as fault:
                self._reader.refuse(found.place, fault)
                continue
            billed.add(found.resource.id)
            yield record
        if self._reader.has("Claim"):
            self._refuse_unbilled(billed)

    def _bill(self, claim: Claim) -> BillRecord:
        person = self._tables.person(claim.patient, "Claim.patient")
        hospital = self._tables.organisation(claim.provider, "Claim.provider")
        insurer = None
        if claim.insurer is not None:
            insurer = self._tables.organisation(claim.insurer, "Claim.insurer")
        visit = self._visit(claim, person)
        plan = self._plan(claim, person)
        lines = tuple(_line(item, index, claim) for index, item in enumerate(claim.item))
        total_minor = amount_minor(claim.total, "Claim.total")
        if total_minor != sum(line.amount_minor for line in lines):
            raise Unfit("Claim.total.value", "is not the sum of the items' net amounts")
        issued_at = moment(claim.created, "Claim.created")
        key = patient_key(self._patient_key_of, person, "Claim.patient")
        # Last: from here on the claim is a bill, whatever its explanation says.
        benefit = self._benefit(claim, person, insurer, total_minor)
        public = plan is not None and plan.public
        fund_minor = benefit.amount_minor if public and benefit is not None else 0
        invoice = Invoice(
            business_key=f"Claim/{claim.id}",
            patient_key=key,
            issued_at=issued_at,
            invoicing_party=hospital.party(),
            payer_party=person.party,
            currency=claim.total.currency,
            total_minor=total_minor,
            own_pay_minor=total_minor - fund_minor,
            lines=lines,
            fund_pay_minor=fund_minor,
            name=INPATIENT_NAME if visit.inpatient else OUTPATIENT_NAME,
            medical_type=visit.medical_type,
            medical_date=visit.start,
            gender=person.gender,
            patient_number=person.record_number,
            insurance_type="" if insurer is None or plan is None else plan.type,
            department_name=visit.department if visit.inpatient else "",
            hospitalization_number=visit.id if visit.inpatient else "",
            in_hospital_date=visit.start if visit.inpatient else None,
            out_hospital_date=visit.end if visit.inpatient else None,
        )
        return BillRecord(invoice, hospital, insurer, None if public else benefit, visit.inpatient)

    def _visit(self, claim: Claim, person: Person) -> Visit:
        places = [
            (reference, f"Claim.item[{at}].encounter[{position}]")
            for at, item in enumerate(claim.item)
            for position, reference in enumerate(item.encounter)
        ]
        if not places:
            raise Unfit("Claim.item[0].encounter", "is missing")
        visits = [self._tables.visit(*place, patient=person.id) for place in places]
        for visit, (_, path) in zip(visits, places, strict=True):
            if visit.id != visits[0].id:
                raise Unfit(f"{path}.reference", "names a second Encounter; a bill is for one")
        return visits[0]

    def _plan(self, claim: Claim, person: Person) -> Plan | None:
        if not claim.insurance:
            return None
        focal = [at for at, insurance in enumerate(claim.insurance) if insurance.focal]
        at = next(iter(focal), 0)
        path = f"Claim.insurance[{at}].coverage"
        return self._tables.plan(claim.insurance[at].coverage, path, person.id)

    def _benefit(
        self, claim: Claim, person: Person, insurer: Organisation | None, total_minor: int
    ) -> Benefit | None:
        """What an insurer pays of the claim; None where that is nothing, or not known well."""
        explanation = self._tables.explanations.get(claim.id)
        if explanation is None:
            return None
        try:
            _require_fit(explanation, claim, person, insurer, total_minor)
            if explanation.benefit_minor == 0:
                return None
            path = "ExplanationOfBenefit.insurer.reference"
            payer = self._tables.organisation_of(explanation.insurer, path)
        except Unfit as fault:
            self._reader.refuse(explanation.place, fault)
            return None
        return Benefit(payer, explanation.benefit_minor, explanation.id, explanation.hash)

    def _refuse_unbilled(self, billed: set[str]) -> None:
        fault = Unfit("ExplanationOfBenefit.claim.reference", "names no Claim that became a bill")
        for explanation in self._tables.explanations.values():
            if explanation.claim not in billed:
                self._reader.refuse(explanation.place, fault)


def _line(item: ClaimItem, at: int, claim: Claim) -> InvoiceLine:
    path = f"Claim.item[{at}]"
    service = item.productOrService
    if not service.label():
        raise Unfit(f"{path}.productOrService", "has neither code nor text")
    if item.net.currency != claim.total.currency:
        raise Unfit(f"{path}.net.currency", "is not the currency of the total")
    quantity, unit = Decimal(1), ""
    if item.quantity is not None:
        quantity = measure(item.quantity.value, f"{path}.quantity.value")
        unit = item.quantity.unit or item.quantity.code or ""
    return InvoiceLine(
        code=next(iter(service.codes()), ""),
        name=service.label(),
        amount_minor=amount_minor(item.net, f"{path}.net"),
        unit=unit,
        quantity=f"{quantity.normalize():f}",
    )


def _require_fit(
    explanation: Explanation,
    claim: Claim,
    person: Person,
    insurer: Organisation | None,
    total_minor: int,
) -> None:
    root = "ExplanationOfBenefit"
    if explanation.patient != person.id:
        raise Unfit(f"{root}.patient.reference", "names another patient than the claim")
    if insurer is not None and explanation.insurer != insurer.id:
        raise Unfit(f"{root}.insurer.reference", "names another insurer than the claim")
    if explanation.currency != claim.total.currency:
        raise Unfit(f"{explanation.submitted_path}.currency", "is not the claim's currency")
    if explanation.submitted_minor != total_minor:
        raise Unfit(f"{explanation.submitted_path}.value", "is not the claim's total")
