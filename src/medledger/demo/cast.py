"""Who takes part in the demo: their keys, institutions and number segments."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from medledger.chain.deployment import Ledgers, Manifest, connect, deploy
from medledger.chain.funding import fund
from medledger.chain.keys import address_of
from medledger.chain.rpc import Rpc
from medledger.chain.sender import IN_FLIGHT, Receipt, Sender
from medledger.core.dispensing import DispensedItem, Dispensing, DispensingRecord
from medledger.core.numbers import DocumentKind
from medledger.core.patient_keys import PatientKey
from medledger.core.states import Kind
from medledger.formats.fhir import BillRecord, Organisation, PrescriptionRecord
from medledger.roles import Authority, Courier, Hospital, Patient, Payer, Pharmacy, Supervisor
from medledger.roles.role import Role
from medledger.roles.supervisor import Accreditation

REGION = 460000
SUPERVISOR = "Provincial finance bureau"
PHARMACIES = ("First pharmacy", "Second pharmacy")
COURIER = "Courier"
COMPLEMENTARY = "Mutual aid fund"
AUTHORITY = "Licensing authority"

# Bill codes: region 46, class 06 (medical) or 08, kind 01 outpatient or 02 inpatient, year.
OUTPATIENT, INPATIENT, PRESCRIPTION = 460601, 460602, 460801
REFUNDS = 460603
"""Partial red letters: each batch is endorsed by the supervisor."""

GAS_OF = {"hospital": 400_000, "bill": 3_000, "claim": 300_000, "prescription": 400_000}
"""What a key may spend where gas is not free: generous, and the rest stays its own."""


Shares = dict[str, tuple[Organisation, list[BillRecord], list[PrescriptionRecord]]]
"""Hospital id to the hospital, its bills and its prescriptions."""


@dataclass(slots=True)
class HospitalDesk:
    """A hospital with its segments and its share of the data."""

    role: Hospital
    institution: int
    bills: list[BillRecord] = field(default_factory=list)
    prescriptions: list[PrescriptionRecord] = field(default_factory=list)
    segments: dict[int, int] = field(default_factory=dict)
    """Bill code without year to segment."""


@dataclass(slots=True)
class Cast:
    """Everybody, connected to one deployment."""

    ledgers: Ledgers
    supervisor: Supervisor
    hospitals: dict[str, HospitalDesk]
    pharmacies: list[Pharmacy]
    courier: Courier
    payers: dict[str, Payer]
    """By FHIR organisation id; the complementary payer under `COMPLEMENTARY`."""
    authority: Authority
    wallets: dict[str, PatientKey]
    """By FHIR patient id, and by extended public key."""

    def patient(self, patient_key: str) -> Patient:
        """The patient who gave a hospital this extended public key."""
        return Patient(self.ledgers, self.wallets[patient_key])

    def close(self) -> None:
        for desk in self.hospitals.values():
            desk.role.close()
        self.authority.close()


class Wallets(dict[str, PatientKey]):
    """A new key for each patient of the data, found again by its extended public key."""

    def public_key_of(self, patient: str) -> str:
        if patient not in self:
            key = PatientKey.from_seed(secrets.token_bytes(32))
            self[patient] = self[key.public] = key
        return self[patient].public


def gather(
    rpc: Rpc,
    bills: Iterable[BillRecord],
    prescriptions: Iterable[PrescriptionRecord],
    wallets: Wallets,
    *,
    folder: Path,
    funder: bytes | None,
    observer: Callable[[Receipt], None],
    in_flight: int,
) -> tuple[Cast, Manifest]:
    """Deploys, accredits everybody that the data names, and allots numbers for all documents."""
    shares: Shares = {}
    insurers: dict[str, Organisation] = {}
    for bill in bills:
        shares.setdefault(bill.hospital.id, (bill.hospital, [], []))[1].append(bill)
        if bill.benefit is not None:
            insurers[bill.benefit.payer.id] = bill.benefit.payer
    for order in prescriptions:
        shares.setdefault(order.hospital.id, (order.hospital, [], []))[2].append(order)

    keys = _keys([*shares, *insurers, COMPLEMENTARY, *PHARMACIES, COURIER, AUTHORITY, SUPERVISOR])
    _fund(rpc, keys, shares, insurers, funder)
    manifest, receipts = deploy(rpc, keys[SUPERVISOR], supervisor_name=SUPERVISOR, region=REGION)
    for receipt in receipts:
        observer(receipt)
    ledgers = connect(rpc, manifest)
    supervisor = Supervisor(ledgers, keys[SUPERVISOR])
    supervisor.sender.observer = observer

    batched = in_flight > IN_FLIGHT
    supervisor.sender.in_flight, supervisor.sender.batched = in_flight, batched
    institutions = _accredit(supervisor, keys, shares, insurers)
    desks: dict[str, HospitalDesk] = {}
    for position, (id_, (_, own_bills, own_orders)) in enumerate(shares.items(), 1):
        store = f"sqlite:///{folder / 'stores' / f'hospital-{position}.db'}"
        role = Hospital(ledgers, keys[id_], store, supervisor.endorse)
        desks[id_] = HospitalDesk(role, institutions[id_], own_bills, own_orders)

    cast = Cast(
        ledgers,
        supervisor,
        desks,
        [Pharmacy(ledgers, keys[name]) for name in PHARMACIES],
        Courier(ledgers, keys[COURIER]),
        {id_: Payer(ledgers, keys[id_]) for id_ in [*insurers, COMPLEMENTARY]},
        Authority(ledgers, keys[AUTHORITY], f"sqlite:///{folder / 'stores' / 'authority.db'}"),
        wallets,
    )
    roles: list[Role] = [desk.role for desk in desks.values()]
    roles += [*cast.pharmacies, cast.courier, *cast.payers.values(), cast.authority]
    for acting in roles:
        acting.sender.observer = observer
        acting.sender.in_flight, acting.sender.batched = in_flight, batched
    _allot(cast)
    return cast, manifest


def _accredit(
    supervisor: Supervisor,
    keys: dict[str, bytes],
    shares: Shares,
    insurers: dict[str, Organisation],
) -> dict[str, int]:
    """Everybody's institution, by the names of `keys`."""
    hospitals = {id_: share[0].name for id_, share in shares.items()}
    payers = {id_: insurer.name for id_, insurer in insurers.items()}
    wanted = [(id_, name, Kind.HOSPITAL) for id_, name in hospitals.items()]
    wanted += [(id_, name, Kind.PAYER) for id_, name in payers.items()]
    wanted.append((COMPLEMENTARY, COMPLEMENTARY, Kind.PAYER))
    wanted += [(name, name, Kind.PHARMACY) for name in PHARMACIES]
    wanted.append((COURIER, COURIER, Kind.COURIER))
    wanted.append((AUTHORITY, AUTHORITY, Kind.AUTHORITY))
    ids = supervisor.accredit_many(
        [Accreditation(name, kind, address_of(keys[id_]), REGION) for id_, name, kind in wanted]
    )
    return {id_: institution for (id_, _, _), institution in zip(wanted, ids, strict=True)}


def _allot(cast: Cast) -> None:
    """Twice as many numbers as documents, so that red-letter bills have theirs; for each
    hospital also a segment whose batches are endorsed."""
    year = datetime.fromtimestamp(cast.supervisor.now(), UTC).year % 100
    next_serial = {OUTPATIENT: 1, INPATIENT: 1, PRESCRIPTION: 1}
    places: list[tuple[HospitalDesk, int]] = []
    rows: list[tuple[int, int, int, int, DocumentKind]] = []
    for desk in cast.hospitals.values():
        inpatient = sum(bill.inpatient for bill in desk.bills)
        for code, count in (
            (OUTPATIENT, len(desk.bills) - inpatient),
            (INPATIENT, inpatient),
            (PRESCRIPTION, len(desk.prescriptions)),
        ):
            first, last = next_serial[code], next_serial[code] + 2 * count + 99
            next_serial[code] = last + 1
            kind: DocumentKind = "Prescription" if code == PRESCRIPTION else "Invoice"
            places.append((desk, code))
            rows.append((desk.institution, code * 100 + year, first, last, kind))
    for (desk, code), segment in zip(places, cast.supervisor.allot_many(rows), strict=True):
        desk.segments[code] = segment
    desks = list(cast.hospitals.values())
    refunds: list[tuple[int, int, int, int, DocumentKind]] = [
        (desk.institution, REFUNDS * 100 + year, 9 * place + 1, 9 * place + 9, "Invoice")
        for place, desk in enumerate(desks)
    ]
    segments = cast.supervisor.allot_many(refunds, endorsed=True)
    for desk, segment in zip(desks, segments, strict=True):
        desk.segments[REFUNDS] = segment


def _keys(names: list[str]) -> dict[str, bytes]:
    return {name: secrets.token_bytes(32) for name in names}


def _fund(
    rpc: Rpc,
    keys: dict[str, bytes],
    shares: Shares,
    insurers: dict[str, Organisation],
    funder: bytes | None,
) -> None:
    bills = sum(len(own) for _, own, _ in shares.values())
    orders = sum(len(own) for _, _, own in shares.values())
    gas = dict.fromkeys(keys, GAS_OF["claim"] * (bills + 10))
    gas |= dict.fromkeys((*PHARMACIES, COURIER), GAS_OF["prescription"] * (orders + 10))
    gas[SUPERVISOR] = 15_000_000 + len(keys) * 1_000_000
    for id_, (_, own_bills, own_orders) in shares.items():
        documents = len(own_bills) + len(own_orders)
        gas[id_] = 20 * GAS_OF["hospital"] + documents * GAS_OF["bill"]
    for id_ in insurers:
        own = sum(
            bill.benefit is not None and bill.benefit.payer.id == id_
            for _, shared, _ in shares.values()
            for bill in shared
        )
        gas[id_] = GAS_OF["claim"] * (own + 10)
    sender = None if funder is None else Sender(rpc, funder)
    fund(rpc, {address_of(keys[name]): units for name, units in gas.items()}, sender)


def dispensing(quantities: Sequence[int], substituted: Sequence[int] = ()) -> Dispensing:
    """What a pharmacy dispenses, with the record that it would keep."""
    kept = DispensingRecord(
        secrets.token_bytes(32), (DispensedItem(1, "B2026", "国药准字H20013"),), "no objection"
    )
    return Dispensing(quantities, kept.items_hash, kept.review_hash, substituted)
