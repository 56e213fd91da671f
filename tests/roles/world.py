"""A deployment with its people, and the documents that they handle.

`Deployment` is made once for a node; a `World` is one test's view of it, with fresh role objects
(a role counts its own nonces, so none outlives a test).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from functools import cached_property
from pathlib import Path
from secrets import token_bytes
from typing import Any

from tests.chain.nodes import now, pass_time

from medledger.chain.deployment import Ledgers, connect, deploy
from medledger.chain.keys import address_of
from medledger.chain.rpc import Rpc
from medledger.chain.sender import Receipt
from medledger.core.acts import Act
from medledger.core.authorisation import Signed
from medledger.core.dispensing import DispensedItem, Dispensing, DispensingRecord
from medledger.core.documents import (
    Invoice,
    InvoiceLine,
    Licence,
    Party,
    Prescription,
    PrescriptionLine,
    Record,
)
from medledger.core.evidence import Evidence
from medledger.core.hashing import keccak256
from medledger.core.patient_keys import PatientKey
from medledger.core.states import Kind, Purpose, RecordType
from medledger.roles import (
    Auditor,
    Authority,
    Courier,
    Hospital,
    Issuer,
    IssueReceipt,
    Patient,
    Payer,
    Pharmacy,
    Supervisor,
)
from medledger.roles.issuer import Endorser

DAY = 24 * 3600
FAR_FUTURE = 2**40
"""A deadline that no test reaches."""
LOCK_PERIOD, LEASE_PERIOD = 30 * DAY, 1 * DAY
BILL_CODE, ORDER_CODE, OTHER_BILL_CODE = 46060126, 46990126, 46060226
LICENCE_CODE, RECORD_CODE = 33080126, 21020126
SERIALS = 100_000
CHINA = timezone(timedelta(hours=8))

HOSPITAL_NAME = "澄迈县人民医院"
PATIENT_NAME, PATIENT_ID = "测试患者", "46902319800101123X"
PRESCRIBER_NAME, PRESCRIBER_CODE = "测试医师", "D460000001"
DRUGS = (("XA01", "阿莫西林胶囊", 24, "粒"), ("XA02", "布洛芬缓释胶囊", 10, "粒"))

KINDS = {
    "hospital": Kind.HOSPITAL,
    "other_hospital": Kind.HOSPITAL,
    "pharmacy": Kind.PHARMACY,
    "other_pharmacy": Kind.PHARMACY,
    "courier": Kind.COURIER,
    "other_courier": Kind.COURIER,
    "payer": Kind.PAYER,
    "other_payer": Kind.PAYER,
    "authority": Kind.AUTHORITY,
}
AUTHORITY_NAME = "衢州市卫生健康委员会"
NAMES = {"hospital": HOSPITAL_NAME, "authority": AUTHORITY_NAME}
"""An institution without an entry is called as its role."""

PATIENT = PatientKey.from_seed(keccak256(b"the patient's phone"))
OTHER_PATIENT = PatientKey.from_seed(keccak256(b"another patient's phone"))


def key_of(role: str) -> bytes:
    """The private key of a role; the same in every run."""
    return keccak256(f"key of {role}".encode())


@dataclass(frozen=True)
class Deployment:
    """The contracts on a node, with every role of `KINDS` accredited; `ids` by role."""

    ledgers: Ledgers
    ids: Mapping[str, int]
    bills: int
    orders: int
    other_bills: int
    licences: int
    records: int
    """Segments: of the hospital, for each kind, of the other hospital, and of the authority."""


def deployment_on(rpc: Rpc) -> Deployment:
    """Deploys and accredits; every key must be able to pay for its gas."""
    manifest, _ = deploy(
        rpc,
        key_of("supervisor"),
        supervisor_name="财政局",
        region=460000,
        lock_period=LOCK_PERIOD,
        lease_period=LEASE_PERIOD,
    )
    ledgers = connect(rpc, manifest)
    supervisor = Supervisor(ledgers, key_of("supervisor"))
    ids = {
        role: supervisor.accredit(
            NAMES.get(role, role), kind, address_of(key_of(role)), region=469023
        )
        for role, kind in KINDS.items()
    }
    return Deployment(
        ledgers,
        ids,
        bills=supervisor.allot(ids["hospital"], BILL_CODE, 1, SERIALS),
        orders=supervisor.allot(ids["hospital"], ORDER_CODE, 1, SERIALS, "Prescription"),
        other_bills=supervisor.allot(ids["other_hospital"], OTHER_BILL_CODE, 1, SERIALS),
        licences=supervisor.allot(ids["authority"], LICENCE_CODE, 1, SERIALS, "Licence"),
        records=supervisor.allot(ids["hospital"], RECORD_CODE, 1, SERIALS, "Record"),
    )


class World:
    """One test's people. `folder` holds the hospitals' stores."""

    def __init__(self, deployment: Deployment, folder: Path) -> None:
        self.deployment = deployment
        self.ledgers = deployment.ledgers
        self.rpc = deployment.ledgers.rpc
        self.ids = deployment.ids
        self.folder = folder
        self._hospitals: list[Issuer] = []

    # People

    @cached_property
    def supervisor(self) -> Supervisor:
        return Supervisor(self.ledgers, key_of("supervisor"))

    @cached_property
    def hospital(self) -> Hospital:
        return self.hospital_again()

    @cached_property
    def other_hospital(self) -> Hospital:
        return self.hospital_again("other_hospital")

    def hospital_again(
        self,
        role: str = "hospital",
        *,
        key: bytes | None = None,
        rpc: Rpc | None = None,
        store: str | None = None,
        endorse: Endorser | None = None,
        **policy: Any,
    ) -> Hospital:
        """A hospital as after a restart: the same store, nothing in memory.

        `store` is a name in the world's folder, or an address; `policy` changes the sender's.
        """
        ledgers = connect(rpc, self.ledgers.manifest) if rpc else self.ledgers
        url = store if store and "://" in store else f"sqlite:///{self.folder / (store or role)}.db"
        hospital = Hospital(ledgers, key or key_of(role), url, endorse)
        hospital.sender.policy = replace(hospital.sender.policy, **policy)
        self._hospitals.append(hospital)
        return hospital

    def second_key(self) -> bytes:
        """A key that is the hospital's second operator from now on."""
        key = key_of("second key")
        self.supervisor.add_operator(self.consent(key))
        return key

    def consent(self, key: bytes, role: str = "hospital") -> Act:
        """A new key's consent to act for the institution of a role."""
        return Supervisor(self.ledgers, key).consent(self.ids[role], deadline=FAR_FUTURE)

    @cached_property
    def authority(self) -> Authority:
        store = f"sqlite:///{self.folder / 'authority'}.db"
        authority = Authority(self.ledgers, key_of("authority"), store)
        self._hospitals.append(authority)
        return authority

    @cached_property
    def pharmacy(self) -> Pharmacy:
        return Pharmacy(self.ledgers, key_of("pharmacy"))

    @cached_property
    def other_pharmacy(self) -> Pharmacy:
        return Pharmacy(self.ledgers, key_of("other_pharmacy"))

    @cached_property
    def courier(self) -> Courier:
        return Courier(self.ledgers, key_of("courier"))

    @cached_property
    def other_courier(self) -> Courier:
        return Courier(self.ledgers, key_of("other_courier"))

    @cached_property
    def payer(self) -> Payer:
        return Payer(self.ledgers, key_of("payer"))

    @cached_property
    def other_payer(self) -> Payer:
        return Payer(self.ledgers, key_of("other_payer"))

    @cached_property
    def auditor(self) -> Auditor:
        return Auditor(self.ledgers)

    @cached_property
    def patient(self) -> Patient:
        return Patient(self.ledgers, PATIENT)

    @cached_property
    def other_patient(self) -> Patient:
        return Patient(self.ledgers, OTHER_PATIENT)

    def close(self) -> None:
        for hospital in self._hospitals:
            hospital.close()

    # Time

    def now(self) -> int:
        return now(self.rpc)

    def pass_time(self, seconds: int) -> None:
        pass_time(self.rpc, seconds)

    @property
    def deadline(self) -> int:
        """A deadline that only a test which moves the time reaches."""
        return self.now() + 365 * DAY

    # What people do before the step that a test is about

    def issued(self, key: str = "visit-1", **changes: Any) -> IssueReceipt:
        return self.hospital.issue(bill(key, **changes))

    def prescribed(self, key: str = "order-1", **changes: Any) -> IssueReceipt:
        return self.hospital.prescribe(self.order(key, **changes))

    def order(self, key: str = "order-1", **changes: Any) -> Prescription:
        """A prescription that is valid for three days from now."""
        return order(key, **{"valid_until": self.now() + 3 * DAY, **changes})

    def licensed(self, key: str = "licence-1", **changes: Any) -> IssueReceipt:
        """A licence that is opened."""
        receipt = self.authority.issue(licence(key, **changes))
        self.authority.open(receipt.evidence())
        return receipt

    def recorded(self, key: str = "consultation-1", **changes: Any) -> IssueReceipt:
        """A record that is opened."""
        receipt = self.hospital.record(record(key, **changes))
        self.hospital.open_record(receipt.number)
        return receipt

    def admit_reader(
        self, number: int, reader: str = "other_hospital", purpose: Purpose = Purpose.TREAT
    ) -> None:
        """The patient lets an institution read a record."""
        until = self.deadline
        self.hospital.grant(self.patient.grant(number, self.ids[reader], purpose, until=until))

    def allow(self, number: int, amount: int, payer: str = "payer", **changes: Any) -> Signed:
        """The patient lets a payer lock an amount."""
        given = {"deadline": self.deadline, **changes}
        return self.patient.authorise_claim(number, self.ids[payer], amount, **given)

    def admit(self, number: int, pharmacy: str = "pharmacy", **changes: Any) -> Signed:
        """The patient lets a pharmacy accept a prescription."""
        given = {"deadline": self.deadline, **changes}
        return self.patient.authorise_acceptance(number, self.ids[pharmacy], **given)

    def confirm(self, number: int, **changes: Any) -> Signed:
        """The patient says that the parcel has come."""
        return self.patient.confirm_delivery(number, **{"deadline": self.deadline, **changes})

    def locked(self, amount: int = 1000, **changes: Any) -> IssueReceipt:
        """A bill that the payer has locked."""
        receipt = self.issued(**changes)
        self.payer.lock(receipt.evidence(), self.allow(receipt.number, amount))
        return receipt

    def accepted(self, **changes: Any) -> IssueReceipt:
        """A prescription that the pharmacy has accepted."""
        receipt = self.prescribed(**changes)
        self.pharmacy.accept(receipt.evidence(), self.admit(receipt.number))
        return receipt

    def dispense(self, number: int, quantities: Sequence[int], **changes: Any) -> Receipt:
        """The pharmacy reviews and dispenses."""
        return self.pharmacy.dispense(number, dispensing(*quantities), **changes)

    def in_transit(self, *quantities: int, **changes: Any) -> IssueReceipt:
        """A prescription that the courier carries."""
        receipt = self.accepted(**changes)
        self.dispense(receipt.number, quantities or [24, 10])
        self.pharmacy.hand_over(receipt.number, self.ids["courier"])
        return receipt


def bill(key: str = "visit-1", **changes: Any) -> Invoice:
    """A bill of 126.00, of which the patient bore 25.00."""
    return replace(
        Invoice(
            business_key=key,
            patient_key=PATIENT.public,
            issued_at=datetime(2026, 1, 5, 9, 30, tzinfo=CHINA),
            invoicing_party=Party("12469023", HOSPITAL_NAME),
            payer_party=Party(PATIENT_ID, PATIENT_NAME, type=1),
            currency="CNY",
            total_minor=12600,
            own_pay_minor=2500,
            fund_pay_minor=10100,
            lines=(InvoiceLine("0101", "西药费", 9600), InvoiceLine("0105", "化验费", 3000)),
        ),
        **changes,
    )


def red_letter(original: int, key: str = "reversal-1", **changes: Any) -> Invoice:
    """The bill that reverses another."""
    return bill(key, related_invoice=original, **changes)


def order(key: str, valid_until: int, **changes: Any) -> Prescription:
    """A prescription of two drugs."""
    return replace(
        Prescription(
            business_key=key,
            patient_key=PATIENT.public,
            authored_at=datetime(2026, 1, 5, 9, 30, tzinfo=CHINA),
            valid_until=valid_until,
            prescriber=Party(PRESCRIBER_CODE, PRESCRIBER_NAME, type=1),
            patient=Party(PATIENT_ID, PATIENT_NAME, type=1),
            lines=tuple(PrescriptionLine(*drug) for drug in DRUGS),
        ),
        **changes,
    )


def dispensing(*quantities: int, **changes: Any) -> Dispensing:
    """Quantities by line, with a review of their own."""
    kept = DispensingRecord(token_bytes(32), (DispensedItem(1, "B2026", "H20013"),), "no objection")
    return replace(Dispensing(quantities, kept.items_hash, kept.review_hash), **changes)


def licence(key: str = "licence-1", **changes: Any) -> Licence:
    """A practitioner's licence, valid for long."""
    return replace(
        Licence(
            business_key=key,
            holder_key=PATIENT.public,
            issued_at=datetime(2026, 1, 5, 9, 30, tzinfo=CHINA),
            name="医师执业证书",
            licence_type=7,
            code=PRESCRIBER_CODE,
            valid_from=1,
            valid_until=2**40 - 1,
            issuing_authority=Party("11330800", AUTHORITY_NAME),
            holder=Party(PATIENT_ID, PRESCRIBER_NAME, type=1),
            scope="内科专业",
        ),
        **changes,
    )


def record(key: str = "consultation-1", **changes: Any) -> Record:
    """A consultation."""
    return replace(
        Record(
            business_key=key,
            patient_key=PATIENT.public,
            authored_at=datetime(2026, 1, 5, 9, 30, tzinfo=CHINA),
            record_type=RecordType.CONSULTATION,
            hospital=Party("12469023", HOSPITAL_NAME),
            practitioner=Party(PRESCRIBER_CODE, PRESCRIBER_NAME, type=1),
            patient=Party(PATIENT_ID, PATIENT_NAME, type=1),
            complaint="咳嗽三天",
            diagnoses=("J06.9",),
        ),
        **changes,
    )


def bad_bill(key: str = "visit-bad") -> Invoice:
    """A bill that no header can hold: its patient key is none."""
    return bill(key, patient_key="not a key")


def evidence_with(evidence: Evidence, **changes: Any) -> Evidence:
    """The evidence with parts replaced, as a forger would."""
    return replace(evidence, **changes)
