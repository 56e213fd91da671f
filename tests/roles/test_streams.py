"""Long streams: several batches on their way at once, whatever seals them."""

from __future__ import annotations

import resource
from collections.abc import Iterator

import pytest
from tests.chain.nodes import Relay
from tests.roles.programs import start
from tests.roles.world import World, bill

from medledger.chain.local import LocalChain, free_port
from medledger.chain.rpc import Rpc
from medledger.core.documents import Invoice, Prescription
from medledger.errors import RpcUnavailable

WAITING = 10_000
GROWTH_KB = 100_000


def bills(count: int, prefix: str = "visit") -> Iterator[Invoice]:
    return (bill(f"{prefix}-{at}") for at in range(count))


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_issue_many__any_number_of_workers__the_same_numbers_in_the_order_given(
    workers: int, world: World, store_url: str
) -> None:
    first = world.ledgers.invoices.segment_of(world.deployment.bills).next
    hospital = world.hospital_again(store=store_url)

    receipts = list(hospital.issue_many(bills(330), batch=50, workers=workers))

    given = [(receipt.business_key, receipt.number) for receipt in receipts]
    assert given == [(f"visit-{at}", first + at) for at in range(330)]
    assert {receipt.head.count for receipt in receipts} == {50, 30}
    assert hospital.store.unissued() == []
    for receipt in (receipts[0], receipts[149], receipts[-1]):
        world.auditor.verify(receipt.evidence())
    assert world.auditor.audit().mismatches == []


def test_issue_many__a_stream_of_prescriptions__each_in_its_place(world: World) -> None:
    until = world.now() + 1000

    def orders() -> Iterator[Prescription]:
        return (world.order(f"order-{at}", valid_until=until) for at in range(45))

    receipts = list(world.hospital.issue_many(orders(), batch=10, workers=2))

    assert [receipt.number - receipts[0].number for receipt in receipts] == list(range(45))
    world.auditor.verify(receipts[-1].evidence())


def test_issue_many__the_consumer_stops_early__the_next_goes_on_from_there(world: World) -> None:
    receipts = world.hospital.issue_many(bills(100), batch=10, workers=2)
    first = next(receipts)
    receipts.close()

    again = list(world.hospital_again().issue_many(bills(100)))

    assert [receipt.number - first.number for receipt in again] == list(range(100))
    assert world.auditor.audit().state.bills.issued == 100


def test_accept_many__then_issue_many__gives_the_same_numbers(world: World) -> None:
    accepted = list(world.hospital.accept_many(bills(25), batch=10))

    receipts = list(world.hospital.issue_many(bills(30)))

    assert [(one.number, one.is_new) for one in accepted] == [
        (receipts[0].number + at, True) for at in range(25)
    ]
    assert [receipt.number for receipt in receipts[:25]] == [one.number for one in accepted]
    assert [receipt.is_new for receipt in receipts] == [False] * 25 + [True] * 5


def test_accept_many__no_node_has_ever_told_the_segments__unavailable(
    world: World, anvil: LocalChain
) -> None:
    with Relay(anvil.url) as relay:
        hospital = world.hospital_again(rpc=Rpc(relay.url))
        relay.before = lambda calls: 503

        with pytest.raises(RpcUnavailable):
            list(hospital.accept_many(bills(1)))

    assert hospital.store.numbers(world.ledgers.invoices.address) == []


def test_accept_many__started_while_no_node_answers__is_issued_when_it_is_back(
    store_url: str, world: World
) -> None:
    world.hospital_again(store=store_url).issue(bill("before"))
    nowhere = Rpc(f"http://127.0.0.1:{free_port()}")

    offline = world.hospital_again(rpc=nowhere, store=store_url)
    (accepted,) = offline.accept_many([bill("after")])
    assert list(offline.outbox().documents()) == []

    assert world.hospital_again(store=store_url).resume() == []
    (receipt,) = world.hospital_again(store=store_url).issue_many([bill("after")])
    assert (receipt.number, receipt.is_new) == (accepted.number, False)
    world.auditor.verify(receipt.evidence())


def test_accept_many__two_hospitals_on_one_store_and_no_node__is_for_neither(
    store_url: str, world: World
) -> None:
    for role in ("hospital", "other_hospital"):
        world.hospital_again(role, store=store_url).issue(bill(role))
    nowhere = Rpc(f"http://127.0.0.1:{free_port()}")
    offline = world.hospital_again(rpc=nowhere, store=store_url)

    with pytest.raises(RpcUnavailable):
        list(offline.accept_many([bill("after")]))

    assert len(offline.store.numbers(world.ledgers.invoices.address)) == 2


def test_accept_many__no_node_answers_for_long__all_are_issued_once_when_it_is_back(
    store_url: str, world: World, anvil: LocalChain
) -> None:
    first = world.ledgers.invoices.segment_of(world.deployment.bills).next

    def accept_while_the_node_is_away() -> None:
        with Relay(anvil.url) as relay:
            hospital = world.hospital_again(rpc=Rpc(relay.url), store=store_url)
            hospital.issue(bill("before"))
            relay.before = lambda calls: 503
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            numbers = [one.number for one in hospital.accept_many(bills(WAITING), workers=0)]
            grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
            assert numbers == list(range(first + 1, first + 1 + WAITING))
            assert grown < GROWTH_KB

    assert start(accept_while_the_node_is_away)() == 0
    hospital = world.hospital_again(store=store_url)
    assert len(hospital.store.unissued()) == WAITING / 1000

    assert hospital.resume() == []

    audit = world.auditor.audit()
    assert (audit.state.bills.issued, audit.mismatches) == (WAITING + 1, [])
    for number in (first, first + 1, first + 5000, first + WAITING):
        world.auditor.verify(hospital.evidence(number))
