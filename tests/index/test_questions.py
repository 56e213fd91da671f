"""What an auditor asks, answered from an index as the contracts would answer."""

from __future__ import annotations

import pytest
from tests.chain.nodes import insist
from tests.index.reading import lives
from tests.roles.world import DAY, LOCK_PERIOD, World, key_of

from medledger.chain.contract import Call
from medledger.chain.keys import address_of
from medledger.core.states import Kind
from medledger.index import EventIndex, questions, sync


@pytest.fixture
def told(file_index: EventIndex, world: World) -> EventIndex:
    lives(world)
    sync(file_index, [world.rpc])
    return file_index


def test_segments__of_a_deployment__are_what_the_ledgers_hold(
    told: EventIndex, world: World
) -> None:
    found = questions.segments(told)

    for segment in found:
        ledger = world.ledgers.document_ledger(segment.contract)
        held = ledger.segment_of(segment.segment)
        assert (segment.institution, segment.first, segment.last) == (
            held.institution,
            held.first,
            held.last,
        )
        assert segment.issued == held.next - held.first
        assert segment.left == held.last + 1 - held.next
        assert (segment.gaps, segment.is_exhausted) == ((), False)
    assert len(found) == 5


def test_segments__one_withdrawn__has_a_gap_and_none_left(told: EventIndex, world: World) -> None:
    bills = world.deployment.bills
    held = world.ledgers.invoices.segment_of(bills)
    world.supervisor.withdraw(bills, 7)
    world.auditor.sync(told)

    (segment,) = (
        one
        for one in questions.segments(told, institution=world.ids["hospital"])
        if (one.contract, one.segment) == ("Invoices", bills)
    )

    assert segment.gaps == ((held.next, held.last),)
    assert (segment.is_withdrawn, segment.left) == (True, 0)


def test_batches__of_a_hospital__each_with_its_root(told: EventIndex, world: World) -> None:
    found = list(questions.batches(told, institution=world.ids["hospital"]))

    assert sum(batch.count for batch in found) == 4
    assert len({batch.root for batch in found}) == len(found)
    assert list(questions.batches(told, institution=world.ids["other_hospital"])) == []
    assert list(questions.batches(told, since=world.now() + 1)) == []


def test_claims__by_payer_and_status__are_where_they_stand(told: EventIndex, world: World) -> None:
    payer = world.ids["payer"]
    (settled,) = questions.claims(told, at=world.now(), payer=payer, status="settled")
    assert settled.amount_minor == 500
    world.locked(key="open")
    sync(told, [world.rpc])

    def statuses(at: int) -> list[str]:
        return [claim.status for claim in questions.claims(told, at=at)]

    assert statuses(world.now()) == ["settled", "locked"]
    assert statuses(world.now() + LOCK_PERIOD + 1) == ["settled", "expired"]
    assert questions.claims(told, at=world.now(), payer=world.ids["other_payer"]) == []


def test_overdue__a_lease_that_is_over__until_it_is_given_back(
    told: EventIndex, world: World
) -> None:
    number = world.accepted(key="kept").number
    sync(told, [world.rpc])
    later = world.now() + 2 * DAY

    def overdue() -> dict[int, tuple[int, int]]:
        return {found.number: (found.pharmacy, found.courier) for found in at(later)}

    def at(time: int) -> list[questions.Lease]:
        return questions.overdue(told, at=time)

    assert at(world.now()) == []
    assert overdue()[number] == (world.ids["pharmacy"], 0)
    (on_the_way,) = overdue().keys() - {number}
    assert overdue()[on_the_way] == (world.ids["pharmacy"], world.ids["courier"])

    world.pharmacy.return_to_pool(number)
    sync(told, [world.rpc])
    assert overdue().keys() == {on_the_way}


def test_overdue__each_step__moves_the_end_of_the_lease(told: EventIndex, world: World) -> None:
    number = world.accepted(key="moving").number
    courier, other = world.ids["courier"], world.ids["other_courier"]
    steps = [
        (lambda: world.dispense(number, [20]), 0),
        (lambda: world.pharmacy.hand_over(number, courier), courier),
        (lambda: world.courier.fail_delivery(number), 0),
        (lambda: world.pharmacy.withdraw_dispensing(number), 0),
        (lambda: world.dispense(number, [20]), 0),
        (lambda: world.pharmacy.hand_over(number, courier), courier),
        (lambda: world.courier.offer(number, other), courier),
        (lambda: world.other_courier.take_over(number), other),
        (lambda: world.courier.deliver(world.confirm(number)), 0),
    ]

    for act, carrier in steps:
        world.pass_time(60)
        act()
        world.auditor.sync(told)
        until = world.ledgers.prescriptions.prescription_of(number).lease_until

        assert number not in {lease.number for lease in questions.overdue(told, at=until)}
        (lease,) = (
            found for found in questions.overdue(told, at=until + 1) if found.number == number
        )
        assert (lease.pharmacy, lease.courier) == (world.ids["pharmacy"], carrier)
        assert lease.lease_until == until
    world.dispense(number, [4, 10])
    world.pharmacy.deliver(world.confirm(number))
    world.auditor.sync(told)
    found = {lease.number for lease in questions.overdue(told, at=world.now() + 99 * DAY)}
    assert number not in found


def test_institution_record__of_a_courier__names_what_it_was_handed(
    told: EventIndex, world: World
) -> None:
    record = questions.institution_record(told, world.ids["courier"])

    assert record.acts["PrescriptionHandedOver"] == 1
    assert (record.kinds, record.is_suspended) == (Kind.COURIER, False)
    assert list(record.operators.values()) == [True]


def test_trace__with_an_index__is_what_the_chain_says_and_asks_no_node(
    told: EventIndex, world: World
) -> None:
    number = next(told.events(names=["ClaimLocked"])).arguments["number"]

    assert world.auditor.trace(number, index=told) == world.auditor.trace(number)


def test_rebuild__from_an_index__is_the_state_that_the_chain_rebuilds(
    told: EventIndex, world: World
) -> None:
    rebuilt, audited = world.auditor.rebuild(told), world.auditor.audit()

    for name in ("institutions", "operators", "invoices", "claims", "prescriptions", "bills"):
        assert getattr(rebuilt.state, name) == getattr(audited.state, name)
    assert (rebuilt.block, rebuilt.time, rebuilt.events) == (
        audited.block,
        audited.time,
        audited.events,
    )
    assert rebuilt.mismatches == []


def test_refused_attempts__of_a_prescription__are_those_that_name_it_as_such(
    file_index: EventIndex, world: World
) -> None:
    order, other = world.accepted(), world.prescribed("order-2")
    ledger, thief = world.ledgers.prescriptions, address_of(key_of("other_pharmacy"))
    evidence = order.evidence()
    forged = ledger.accept(evidence.header, evidence.head, evidence.path, 1, bytes(65))
    returned = ledger.return_to_pool(order.number, 0)
    together = ledger.multicall([forged.data, returned.data])
    unknown = Call(ledger.address, b"nothing of ours", "unknown")
    insist(world.rpc, thief, ledger.return_to_pool(other.number, 0))
    insist(world.rpc, thief, world.ledgers.claims.archive(order.number))
    insist(world.rpc, thief, unknown)
    tried = [insist(world.rpc, thief, call) for call in (returned, forged, together)]
    world.auditor.sync(file_index)

    found = world.auditor.refused_attempts(file_index, order.number, "Prescription")

    assert [one.transaction for one in found] == tried
    assert [one.function for one in found] == ["returnToPool", "accept", "multicall"]
    assert {(one.contract, one.sender) for one in found} == {("Prescriptions", thief)}
    assert len(file_index.refused()) == 6
