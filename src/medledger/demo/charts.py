"""The part of the story that no bill tells: a licence that is compared, and a record that is
amended, granted, read, and anchored with its day."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from medledger.core.documents import Licence, Party, Record
from medledger.core.numbers import DocumentNumber
from medledger.core.patient_keys import PatientKey
from medledger.core.states import Purpose, RecordType
from medledger.demo.cast import AUTHORITY, Cast, HospitalDesk
from medledger.errors import AccessNotGranted, StatusMismatch
from medledger.roles import Auditor, Patient

DAY = 24 * 3600
LICENCE_CODE, RECORD_CODE = 460901, 460902
PRACTITIONER = Party("D460000001", "Demo practitioner", type=1)


@dataclass(slots=True)
class Charts:
    """What was done; `wrong` is what went otherwise than it must, as sentences."""

    licences: int
    amended: int
    reads: int
    wrong: list[str]


def tell_charts(cast: Cast, auditor: Auditor) -> Charts:
    """Licenses a practitioner, and keeps a consultation of the first hospital's first patient."""
    desk = next(desk for desk in cast.hospitals.values() if desk.bills)
    year = datetime.fromtimestamp(cast.supervisor.now(), UTC).year % 100
    authority = cast.authority.institution
    cast.supervisor.allot(authority, LICENCE_CODE * 100 + year, 1, 99, "Licence")
    cast.supervisor.allot(desk.institution, RECORD_CODE * 100 + year, 1, 99, "Record")
    wrong = [*_licence(cast, auditor)]
    reads, found = _record(cast, auditor, desk)
    return Charts(1, 1, reads, wrong + found)


def _licence(cast: Cast, auditor: Auditor) -> Iterator[str]:
    now = cast.supervisor.now()
    holder = PatientKey.from_seed(secrets.token_bytes(32))
    receipt = cast.authority.issue(
        Licence(
            business_key="demo-licence",
            holder_key=holder.public,
            issued_at=datetime.fromtimestamp(now, UTC),
            name="Practitioner's licence",
            licence_type=1,
            code=PRACTITIONER.code,
            valid_from=now - 365 * DAY,
            valid_until=now + 365 * DAY,
            issuing_authority=Party("A460000", AUTHORITY),
            holder=PRACTITIONER,
        )
    )
    cast.authority.open(receipt.evidence())
    shown = receipt.evidence(["holderName"])
    auditor.verify(shown)
    if not auditor.matches(shown, "holderName", PRACTITIONER.name):
        yield "the licence does not match its holder's name"
    if auditor.matches(shown, "holderName", "Somebody else"):
        yield "the licence matches somebody else's name"
    if not auditor.is_valid_at(receipt.number):
        yield "the licence is not valid"


def _record(cast: Cast, auditor: Auditor, desk: HospitalDesk) -> tuple[int, list[str]]:
    patient_key = desk.bills[0].invoice.patient_key
    hospital, patient = desk.role, cast.patient(patient_key)
    reader = cast.pharmacies[0].institution
    now = datetime.fromtimestamp(cast.supervisor.now(), UTC)
    consultation = Record(
        business_key="demo-consultation",
        patient_key=patient_key,
        authored_at=now,
        record_type=RecordType.CONSULTATION,
        hospital=desk.bills[0].invoice.invoicing_party,
        practitioner=PRACTITIONER,
        patient=desk.bills[0].invoice.payer_party,
        complaint="cough for three days",
    )
    first = hospital.record(consultation)
    amendment = _amended(consultation, first.number)
    latest = hospital.amend(amendment)
    wrong = []
    try:
        auditor.verify(first.evidence())
        wrong.append("the amended record verifies as if it were the newest")
    except StatusMismatch:
        auditor.verify(latest.evidence())
    reads, refused = _reads(patient, desk, latest.number, reader)
    if not refused:
        wrong.append("a record was read without a grant")
    for row in hospital.reads_of(latest.number):
        auditor.verify_read(hospital.prove_read(row))
    return reads, wrong


def _amended(consultation: Record, number: DocumentNumber) -> Record:
    return replace(
        consultation,
        business_key=f"{consultation.business_key}/2",
        diagnoses=("J06.9",),
        amends=number,
    )


def _reads(patient: Patient, desk: HospitalDesk, number: int, reader: int) -> tuple[int, bool]:
    """(reads that were anchored, whether one without a grant was refused)."""
    hospital = desk.role
    refused = False
    try:
        hospital.read(number, reader, "R1", Purpose.TREAT)
    except AccessNotGranted:
        refused = True
    until = hospital.now() + 30 * DAY
    hospital.grant(patient.grant(number, reader, Purpose.TREAT, until=until))
    hospital.read(number, reader, "R1", Purpose.TREAT)
    hospital.revoke_grant(patient.revoke(number, reader, Purpose.TREAT))
    hospital.read(number, reader, "R2", Purpose.ETREAT)
    return sum(day.count for day in hospital.anchor_reads()), refused
