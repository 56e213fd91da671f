"""What acts cost in gas, from the receipts of real transactions on Anvil."""

from __future__ import annotations

from dataclasses import dataclass
from secrets import token_bytes
from statistics import median

from medledger.bench.bills import bills, make_patients, make_pool, prescriptions
from medledger.bench.stage import Stage, stage
from medledger.core.dispensing import DispensedItem, Dispensing, DispensingRecord
from medledger.core.states import Kind
from medledger.roles import Courier, Patient, Payer, Pharmacy
from medledger.roles.patient import DAY

BATCH = 1_000
RUNS = 5
"""Times that each act is measured; the median counts. Gas differs by zero bytes in the data."""


@dataclass(frozen=True, slots=True)
class GasFigures:
    """Gas of an act; bills and prescriptions that are used come from batches of 1,000."""

    issue_one: int
    issue_1000_per_bill: float
    lock_and_settle: int
    """Two transactions: openAndLock, settle."""
    prescription_life: int
    """Two transactions: accept, dispense and handOver in one; deliver."""
    prescription_steps: int
    """The same in three: accept; dispense and handOver in one; deliver."""


def measure_gas() -> GasFigures:
    """Measures on an Anvil of its own."""
    patients = make_patients(count=RUNS)
    pool = make_pool(patients)
    with stage() as scene:
        alone = [scene.hospital.issue(bill) for bill in bills(pool, RUNS)]
        one = [found.gas_used for found in scene.receipts]
        scene.receipts.clear()
        documents = bills(pool, RUNS * BATCH, first=len(alone))
        for _ in scene.hospital.issue_many(documents, batch=BATCH):
            pass
        batches = [found.gas_used for found in scene.receipts]
        lives, steps = _lives(scene)
        return GasFigures(
            issue_one=_middle(one),
            issue_1000_per_bill=_middle(batches) / BATCH,
            lock_and_settle=_middle(_claims(scene)),
            prescription_life=_middle(lives),
            prescription_steps=_middle(steps),
        )


def _claims(scene: Stage) -> list[int]:
    """One payer locks and settles the whole patient-borne part of one bill, several times."""
    patients = make_patients(count=RUNS)
    pool = make_pool(patients, size=RUNS)
    receipts = list(scene.hospital.issue_many(bills(pool, BATCH, first=10**6), batch=BATCH))
    key, institution = scene.accredit("商业保险", Kind.PAYER)
    payer = Payer(scene.ledgers, key)
    used = []
    for index, (bill, patient) in enumerate(zip(pool, patients, strict=True)):
        # Every bill of the pool is used once; position 0 of the stream is the pool's first.
        receipt = receipts[index]
        amount = bill.own_pay_minor
        authorisation = Patient(scene.ledgers, patient).authorise_claim(
            receipt.number, institution, amount, deadline=payer.now() + DAY
        )
        locked = payer.lock(receipt.evidence(), authorisation)
        settled = payer.settle(receipt.number, amount, reason=1, explanation=b"\x11" * 32)
        used.append(locked.gas_used + settled.gas_used)
    return used


def _lives(scene: Stage) -> tuple[list[int], list[int]]:
    """Prescriptions of two lines from acceptance to delivery, in two transactions and in three."""
    patients = make_patients(count=RUNS)
    pharmacy_key, pharmacy_id = scene.accredit("药店", Kind.PHARMACY)
    courier_key, courier_id = scene.accredit("快递", Kind.COURIER)
    pharmacy, courier = Pharmacy(scene.ledgers, pharmacy_key), Courier(scene.ledgers, courier_key)
    deadline = pharmacy.now() + DAY
    documents = prescriptions(patients, BATCH, valid_until=deadline)
    receipts = list(scene.hospital.issue_many(documents, batch=BATCH))
    lives: list[int] = []
    steps: list[int] = []
    for index, receipt in enumerate(receipts[: 2 * RUNS]):
        evidence, number = receipt.evidence(), receipt.number
        patient = Patient(scene.ledgers, patients[index % RUNS])
        code = patient.authorise_acceptance(number, pharmacy_id, deadline=deadline)
        kept = DispensingRecord(token_bytes(32), (DispensedItem(1, "B2026", "H20013"),), "fit")
        parcel = Dispensing([24, 10], kept.items_hash, kept.review_hash)
        if index < RUNS:
            acts = [pharmacy.supply(evidence, code, parcel, courier_id)]
        else:
            acts = [
                pharmacy.accept(evidence, code),
                pharmacy.dispense(number, parcel, courier=courier_id),
            ]
        acts.append(courier.deliver(patient.confirm_delivery(number, deadline=deadline)))
        (lives if index < RUNS else steps).append(sum(act.gas_used for act in acts))
    return lives, steps


def _middle(values: list[int]) -> int:
    return round(median(values))
