"""A chain on which every kind of event has happened, and documents of every status stand."""

from __future__ import annotations

from dataclasses import replace

from tests.roles.paying import mint
from tests.roles.world import (
    BILL_CODE,
    DAY,
    DRUGS,
    EXPLANATION,
    LEASE_PERIOD,
    LOCK_PERIOD,
    PAYMENT,
    World,
    bill,
    decided,
    dispensing,
    key_of,
    licence,
    record,
)

from medledger.chain.bindings import SettlementToken
from medledger.chain.keys import address_of
from medledger.core.dispensing import NO_REVIEW, review_hash
from medledger.core.documents import Party, PrescriptionLine
from medledger.core.evidence import Evidence
from medledger.core.hashing import keccak256
from medledger.core.numbers import DocumentKind
from medledger.core.states import Kind, Purpose

FREE = 5_000_001
COPY = keccak256(b"a copy and a salt")


def play(world: World, token: SettlementToken) -> None:
    """All acts, but those of an escrow, which this deployment has not."""
    supervise(world)
    bills(world)
    claims(world)
    payments(world, token)
    fills(world)
    custody(world)
    cancellations(world)
    licences(world)
    records(world)


def evidence_of_all(world: World) -> list[Evidence]:
    """Evidence of each document that hospital and authority issued."""
    kinds: tuple[DocumentKind, ...] = ("Invoice", "Prescription", "Record")
    issued = [(world.hospital, kind) for kind in kinds] + [(world.authority, "Licence")]
    return [
        issuer.evidence(number, kind)
        for issuer, kind in issued
        for number in issuer.store.numbers(world.ledgers.documents[kind].address)
    ]


def misplaced(evidence: Evidence) -> list[Evidence]:
    """The same document, said to be elsewhere."""
    anchor, head = evidence.anchor, evidence.head
    return [
        replace(evidence, anchor=replace(anchor, chain_id=anchor.chain_id + 1)),
        replace(evidence, anchor=replace(anchor, ledger="0x" + "11" * 20)),
        replace(evidence, head=replace(head, segment=head.segment + 1)),
        replace(evidence, head=replace(head, issued_at=head.issued_at - 1)),
    ]


def supervise(world: World) -> None:
    """Institutions, keys, policies, segments and pauses."""
    supervisor, operator = world.supervisor, address_of(key_of("another"))
    id_ = supervisor.accredit("another", Kind.HOSPITAL, operator)
    supervisor.renew(id_, world.now() + DAY)
    supervisor.suspend(id_, 1)
    supervisor.reinstate(id_)
    supervisor.remove_operator(operator)
    world.second_key()
    strict = replace(world.ledgers.policies.policy_of(0), second_approver=True)
    supervisor.set_policy(3, replace(strict, courier_allowed=False, withdraw_minutes=7))
    segment = supervisor.allot(world.ids["hospital"], BILL_CODE, FREE, FREE, endorsed=True)
    endorsed = world.hospital_again(endorse=supervisor.endorse, store="endorsed")
    endorsed.issue(bill("endorsed"), segment=segment)
    supervisor.withdraw(supervisor.allot(id_, BILL_CODE, FREE + 1, FREE + 9), reason=1)
    supervisor.pause("Record")
    supervisor.unpause("Record")
    supervisor.pause("Licence")
    supervisor.unpause("Licence")


def bills(world: World) -> None:
    """A bill of each standing and hold."""
    hospital = world.hospital
    names = ("regular", "reversed", "in part", "on paper", "void", "held", "part on paper")
    number = {name: world.issued(name).number for name in names}
    hospital.reverse(number["reversed"], None, 1)
    for name in ("in part", "part on paper"):
        hospital.reverse_part(number[name], 300, 1, business_key=f"refund of {name}")
    hospital.reverse_part(number["in part"], 200, 1, business_key="second refund")
    for name in ("on paper", "void", "part on paper"):
        hospital.exchange_for_paper(number[name], COPY)
    for name in ("void", "part on paper"):
        hospital.void_paper(number[name])
    hospital.hold(number["held"])
    world.issued("born on hold", on_hold=True)
    hospital.release(world.issued("released", on_hold=True).number)
    world.issued("in another name", invoicing_party=Party("1", "Another hospital"))


def claims(world: World) -> None:
    """Claims in each status, of two payers."""
    payer, id_ = world.payer, world.ids["payer"]
    booked = world.issued("booked")
    number = booked.number
    payer.lock_and_settle(booked.evidence(), world.allow(number, 2000), decided(1500))
    payer.recoup(number, 400, reason=1, explanation=EXPLANATION)
    payer.repay(number, 300, PAYMENT)
    payer.book(number)
    payer.revoke_booking(number)
    payer.book(number)
    world.hospital.confirm_payment(number, id_, PAYMENT)
    second = world.allow(number, 500, "other_payer", fixed_benefit=True)
    world.other_payer.lock_and_settle(booked.evidence(), second, decided(400))
    world.other_payer.book(number)
    world.other_payer.archive(number)
    denied = world.locked(700, key="denied").number
    payer.deny(denied, reason=2, explanation=EXPLANATION)
    settled = world.locked(900, key="settled").number
    payer.settle(settled, decided(800))
    shared = world.issued("shared")
    waiver = world.patient.waive_payer(shared.number, id_, deadline=world.deadline)
    payer.relay(waiver, shared.evidence())
    world.other_payer.lock(shared.evidence(), world.allow(shared.number, 1000, "other_payer"))
    world.other_payer.withdraw(shared.number)
    world.locked(600, key="expired")
    world.pass_time(LOCK_PERIOD + 1)
    world.locked(500, key="locked")


def payments(world: World, token: SettlementToken) -> None:
    """Bills paid in the token and by the words of both sides, and words of the hospital alone."""
    hospital = world.hospital
    hospital.set_account(address_of(key_of("supervisor")))
    mint(token, world.payer.address, 10_000)
    world.payer.pay_bill(world.issued("paid in tokens").evidence())
    paid, stated, withdrawn = (
        world.issued(name) for name in ("paid off chain", "stated", "stated and withdrawn")
    )
    for receipt in (paid, stated, withdrawn):
        hospital.state_payment(receipt.number, 2000, PAYMENT)
    confirmed = world.patient.confirm_bill_payment(paid.number, deadline=world.deadline)
    world.payer.relay(confirmed, paid.evidence())
    hospital.withdraw_statement(withdrawn.number)


def fills(world: World) -> None:
    """Prescriptions that are reviewed, dispensed in parts, withdrawn, delivered and repeated."""
    until = world.now() + 60 * DAY
    lines = tuple(PrescriptionLine(*drug, substitutable=True) for drug in DRUGS)
    repeated = world.accepted(
        key="repeated", valid_until=until, repeats=2, interval_days=30, lines=lines
    )
    number, pharmacy = repeated.number, world.pharmacy
    pharmacy.review(number, review_hash("no objection", bytes(32)))
    pharmacy.dispense(number, dispensing(24, 3, review_hash=NO_REVIEW, substituted=[2]))
    pharmacy.withdraw_dispensing(number)
    world.dispense(number, [24, 4])
    pharmacy.deliver(world.confirm(number))
    world.dispense(number, [0, 6])
    pharmacy.deliver(world.confirm(number))
    world.pass_time(30 * DAY)
    pharmacy.accept(repeated.evidence(), world.admit(number))
    world.dispense(number, [24, 10])
    pharmacy.deliver(world.confirm(number))
    world.hospital.cancel(number, 1)
    world.accepted(key="strict", drug_class=3)


def custody(world: World) -> None:
    """Parcels that go through hands, and a fill that another pharmacy takes over."""
    world.courier.deliver(world.confirm(world.in_transit(key="delivered").number))
    failed = world.in_transit(key="failed").number
    world.courier.fail_delivery(failed)
    passed = world.in_transit(key="passed on").number
    world.courier.offer(passed, world.ids["other_courier"])
    world.other_courier.take_over(passed)
    silent = world.in_transit(key="silent").number
    lost = world.accepted(key="lost")
    world.dispense(lost.number, [20, 0])
    world.pass_time(LEASE_PERIOD + 1)
    world.pharmacy.take_back(silent)
    admitted = world.admit(lost.number, "other_pharmacy")
    world.other_pharmacy.accept(lost.evidence(), admitted)
    returned = world.accepted(key="returned")
    world.pharmacy.return_to_pool(returned.number)


def cancellations(world: World) -> None:
    """Prescriptions that are cancelled, asked back, and held."""
    hospital = world.hospital
    hospital.cancel(world.prescribed("cancelled unopened").number, 1)
    asked = world.accepted(key="asked back").number
    hospital.request_cancel(asked, 2)
    world.pharmacy.return_to_pool(asked)
    refused = world.accepted(key="refused").number
    hospital.request_cancel(refused, 2)
    world.dispense(refused, [1])
    hospital.request_cancel(world.accepted(key="request open").number, 2)
    hospital.hold(world.prescribed("held order").number, "Prescription")


def licences(world: World) -> None:
    """Licences that are renewed in time and late, suspended, lifted and revoked."""
    authority, now = world.authority, world.now()
    late = world.licensed("late", valid_until=now + 100).number
    early = world.licensed("early", valid_until=now + DAY).number
    authority.renew(early, now + 9 * DAY)
    lifted, suspended = world.licensed("lifted").number, world.licensed("suspended").number
    authority.suspend(lifted)
    authority.suspend(suspended)
    world.pass_time(200)
    authority.lift(lifted)
    authority.renew(late, world.now() + DAY)
    authority.revoke(world.licensed("revoked").number)
    authority.revoke(authority.issue(licence("never opened")).number)
    world.licensed("expired", valid_until=world.now() + 10)
    world.pass_time(20)


def records(world: World) -> None:
    """A record with two amendments, grants that last and end, and a day of reads."""
    hospital, reader = world.hospital, world.ids["other_hospital"]
    first = world.recorded("consultation-1").number
    second = hospital.amend(record("consultation-1/2", amends=first)).number
    third = hospital.amend(record("consultation-1/3", amends=second)).number
    world.admit_reader(third)
    world.admit_reader(third, purpose=Purpose.HPAYMT)
    act = world.patient.revoke(third, reader, Purpose.HPAYMT)
    hospital.revoke_grant(act)
    hospital.read(third, reader, "Dr. Li", Purpose.TREAT)
    world.pass_time(DAY)
    hospital.anchor_reads()
