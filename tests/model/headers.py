"""Headers that an issuer puts into a batch: mostly good ones, near what the rules ask of them."""

from __future__ import annotations

from random import Random

from tests.model.rules import UINT64, ZERO_ADDRESS
from tests.model.rules_bills import Invoices
from tests.model.rules_documents import DocumentLedger
from tests.model.rules_licences import Licences
from tests.model.rules_prescriptions import Prescriptions
from tests.model.rules_records import Records
from tests.model.world import CURRENCY, DAY, HOUR, World, chance

from medledger.core.hashing import (
    Header,
    InvoiceHeader,
    LicenceHeader,
    PrescriptionHeader,
    RecordHeader,
    keccak256,
)
from medledger.core.states import Standing


def header_for(
    world: World, random: Random, ledger: DocumentLedger, number: int, odd: int = 7
) -> Header:
    """A header of the ledger's kind. `odd` is how many of a hundred have this or that fault."""
    if chance(random, odd):
        number += 1  # two documents of one number: one of them can never be shown
    patient = world.patient_of(ledger.NAME, number)
    if chance(random, odd):
        patient = ZERO_ADDRESS
    body = keccak256(number.to_bytes(32, "big"))
    match ledger:
        case Invoices():
            return bill_header(world, random, number, patient, body, odd)
        case Prescriptions():
            return prescription_header(world, random, number, patient, body, odd)
        case Licences():
            return licence_header(world, random, number, patient, body, odd)
        case Records():
            amends = _amended(random, ledger, number)
            return RecordHeader(number, patient, amends, random.choice([1, 2]), body)
    raise AssertionError(ledger)


def bill_header(
    world: World, random: Random, number: int, patient: str, body: bytes, odd: int
) -> InvoiceHeader:
    """A bill, or the red letter of a part of one that is opened."""
    ledger = world.invoices
    open_ones = [
        at
        for at in ledger.bills.values()
        if at.patient != ZERO_ADDRESS
        and at.standing in (Standing.REGULAR, Standing.PARTLY_REVERSED)
    ]
    if open_ones and chance(random, 40):
        again = [at for at in open_ones if at.standing == Standing.PARTLY_REVERSED]
        bill = random.choice(again[:2] if again and chance(random, 70) else open_ones[:2])
        part = random.choice([bill.left, bill.left // 2, bill.left // 3, bill.claimable])
        amount = min(max(part + random.choice([0, 0, 0, 0, 1, -part]), 0), UINT64)
        currency = bill.currency if not chance(random, odd) else 392
        on_hold = not chance(random, odd)
        return InvoiceHeader(number, bill.patient, amount, currency, on_hold, 0, 0, body)
    claimable = random.choice([600, 10_000, 10_000, 1, 0 if odd else 10_000, UINT64])
    currency = random.choice([CURRENCY, CURRENCY, CURRENCY, 840])
    prescription, prescribed = 0, 0
    orders = list(world.prescriptions.prescriptions) or [n for n, _ in world.prescriptions.issued()]
    if orders and chance(random, 25):
        prescription, prescribed = random.choice(orders), claimable // 2
        if chance(random, odd):
            prescribed = min(claimable + 1, UINT64)
    on_hold = chance(random, 15)
    linked = (prescription, prescribed)
    return InvoiceHeader(number, patient, claimable, currency, on_hold, *linked, body)


def prescription_header(
    world: World, random: Random, number: int, patient: str, body: bytes, odd: int
) -> PrescriptionHeader:
    drug_class = random.choice([0, 1, 1, 1, 2])
    authored = world.now + random.choice([0, 0, -HOUR, -DAY])
    valid = random.choice([10 * DAY, 20 * DAY])
    quantities = [random.choice([1, 2, 3, 10]) for _ in range(random.choice([1, 2, 2, 3, 5]))]
    if chance(random, 3 * odd):
        authored = world.now + random.choice([1, 60, 600])
        valid = random.choice([30 * DAY, 30 * DAY + 1, HOUR])
    if chance(random, 2 * odd):
        drug_class = 3  # which has no policy at first
    if chance(random, 2 * odd):
        lines: list[list[int]] = [[], [1, 0], [1] * 6, [65_535, 65_535], [11], [100, 101]]
        quantities = random.choice(lines)
    valid_licences = [n for n, at in world.licences.licences.items() if at.is_valid_at(authored)]
    licences = [0, *world.licences.licences] if chance(random, 3 * odd) else valid_licences
    return PrescriptionHeader(
        number=number,
        patient=patient,
        authored_at=authored,
        valid_until=authored + valid,
        licence=random.choice(licences or [0]),
        drug_class=drug_class,
        quantities=tuple(quantities),
        substitutable=random.choice([0, 1, 2, 3, 31, 255]),
        repeats=random.choice([0, 1, 1, 2, 3 if drug_class == 2 else 2]),
        interval=random.choice([0, 60, HOUR]),
        on_hold=chance(random, 2 * odd),
        body=body,
    )


def licence_header(
    world: World, random: Random, number: int, holder: str, body: bytes, odd: int
) -> LicenceHeader:
    valid_from = world.now + random.choice([-2 * DAY, -2 * DAY, 0, HOUR])
    valid_until = world.now + random.choice([30 * DAY, 30 * DAY, DAY, HOUR])
    if chance(random, 3 * odd):
        valid_until = valid_from + random.choice([0, -1, -valid_from])
    return LicenceHeader(number, holder, random.choice([1, 7]), valid_from, valid_until, body)


def _amended(random: Random, ledger: Records, number: int) -> int:
    """Mostly a record of the same issuer, often one that is amended already; else none, or any."""
    own = [each for each in ledger.records if ledger.segment_of(each) == ledger.segment_of(number)]
    if not own or chance(random, 25):
        return 0
    if chance(random, 20):
        return random.choice([number - 1, number, number + 1, *ledger.records])
    chosen = random.choice(own[:2])
    return chosen if chance(random, 40) else ledger.latest(chosen)
