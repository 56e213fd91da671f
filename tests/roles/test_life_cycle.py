"""The main job on every kind of node: bills and prescriptions from issue to audit.

Anvil and Ganache differ in fees, transaction types, and in how they say that a contract refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from tests.chain.nodes import ganache, give_ether, plain_anvil
from tests.roles.world import (
    KINDS,
    LEASE_PERIOD,
    LOCK_PERIOD,
    Deployment,
    World,
    bill,
    deployment_on,
    key_of,
    red_letter,
)

from medledger.chain.keys import address_of
from medledger.chain.rpc import Rpc
from medledger.core.states import State, Status
from medledger.errors import (
    ClaimNotLocked,
    InvoiceNotOpened,
    NumberAlreadyIssued,
    OverRemainder,
    PrescriptionIsTaken,
    StateForbids,
    StatusMismatch,
)

NODES: dict[str, Callable[[], AbstractContextManager[str]]] = {
    "anvil, base fee": plain_anvil,
    "anvil, legacy fees": lambda: plain_anvil("--hardfork", "berlin"),
    "ganache, base fee": ganache,
    "ganache, legacy, no fees": lambda: ganache(
        "--chain.hardfork", "berlin", "--miner.defaultGasPrice", "0x0"
    ),
}


@pytest.fixture(
    scope="module",
    params=[
        pytest.param("anvil, no fees", marks=pytest.mark.anvil),
        *(pytest.param(name, marks=getattr(pytest.mark, name.split(",")[0])) for name in NODES),
    ],
)
def any_deployment(request: pytest.FixtureRequest) -> Iterator[Deployment]:
    """A deployment on a node; where gas costs something, the node's own account pays it."""
    if request.param in NODES:
        with NODES[request.param]() as url:
            rpc = Rpc(url)
            if request.param != "ganache, legacy, no fees":
                give_ether(rpc, [address_of(key_of(role)) for role in ("supervisor", *KINDS)])
            yield deployment_on(rpc)
    else:
        yield request.getfixturevalue("deployment")


@pytest.fixture
def any_world(any_deployment: Deployment, tmp_path: Path) -> Iterator[World]:
    rpc = Rpc(any_deployment.ledgers.rpc.url)
    snapshot = rpc.request("evm_snapshot")
    world = World(any_deployment, tmp_path)
    yield world
    world.close()
    assert rpc.request("evm_revert", snapshot)


def test_live__bills_from_issue_to_reimbursement__the_audit_agrees(any_world: World) -> None:
    world = any_world
    payer, other = world.ids["payer"], world.ids["other_payer"]

    receipts = list(world.hospital.issue_many((bill(f"visit-{i}") for i in range(70)), batch=20))
    claimed, reversed_, held = receipts[41], receipts[5], receipts[69]
    red = world.hospital.issue(red_letter(reversed_.number))
    world.hospital.reverse(reversed_.number, red.number, 1)
    world.hospital.hold(held.number)
    evidence = claimed.evidence()
    world.auditor.verify(evidence)
    world.payer.lock(evidence, world.allow(claimed.number, 1000))
    world.other_payer.lock(evidence, world.allow(claimed.number, 1500, "other_payer"))
    world.payer.settle(claimed.number, 900, reason=3)
    world.other_payer.release(claimed.number, reason=4)
    rest = [receipt for receipt in receipts[:40] if receipt is not reversed_]
    locks = [(receipt.evidence(), world.allow(receipt.number, 2500)) for receipt in rest]
    locked = list(world.payer.lock_many(locks))
    settled = list(
        world.payer.settle_many([(receipt.number, 2500, 0, bytes(32)) for receipt in rest])
    )
    audit = world.auditor.audit()

    assert len(locked) == len(settled) == 39
    assert audit.mismatches == []
    assert audit.state.bills.issued == 71
    assert audit.state.usage(claimed.number, audit.time) == (0, 900)
    assert world.payer.remainder(claimed.number) == 1600
    claims = audit.state.claims
    assert (claims[claimed.number, payer].status, claims[claimed.number, payer].amount) == (
        Status.SETTLED,
        900,
    )
    assert claims[claimed.number, other].status == Status.RELEASED
    assert audit.state.counts["ClaimSettled"] == 40
    assert [step.name for step in world.auditor.trace(claimed.number)] == [
        "BatchIssued",
        "InvoiceOpened",
        "ClaimLocked",
        "ClaimLocked",
        "ClaimSettled",
        "ClaimReleased",
    ]
    for receipt in (claimed, receipts[0], red):
        world.auditor.verify(receipt.evidence())
    for receipt, word in ((reversed_, "reversed"), (held, "hold")):
        with pytest.raises(StatusMismatch, match=word):
            world.auditor.verify(receipt.evidence())


def test_live__prescriptions_from_issue_to_delivery__the_audit_agrees(any_world: World) -> None:
    world = any_world
    number = world.prescribed("order-1").number
    cancelled = world.prescribed("order-2").number

    evidence = world.hospital.evidence(number, "Prescription")
    world.pharmacy.accept(evidence, world.admit(number))
    world.dispense(number, [20])
    world.pharmacy.hand_over(number, world.ids["courier"])
    world.courier.fail_delivery(number, reason=2)
    world.pharmacy.hand_over(number, world.ids["courier"])
    world.courier.deliver(world.confirm(number))
    world.dispense(number, [4, 10])
    world.pharmacy.deliver(world.confirm(number))
    world.hospital.cancel(cancelled, 7)
    audit = world.auditor.audit()

    assert audit.mismatches == []
    found = audit.state.prescriptions
    assert (found[number].state, found[number].remaining) == (State.DELIVERED, (0,) * 5)
    assert found[cancelled].state == State.CANCELLED
    assert [step.name for step in world.auditor.trace(number, "Prescription")] == [
        "BatchIssued",
        "PrescriptionOpened",
        "PrescriptionAccepted",
        "PrescriptionDispensed",
        "PrescriptionHandedOver",
        "DeliveryFailed",
        "PrescriptionHandedOver",
        "PrescriptionDelivered",
        "PrescriptionDispensed",
        "PrescriptionDelivered",
    ]


def test_live__time_passes__locks_and_leases_end_and_the_audit_agrees(any_world: World) -> None:
    world = any_world
    claimed = world.locked(2500)
    order = world.accepted(valid_until=world.now() + 2 * LOCK_PERIOD)

    world.pass_time(LOCK_PERIOD + LEASE_PERIOD + 1)
    lapsed = world.auditor.audit()
    evidence = claimed.evidence()
    world.other_payer.lock(evidence, world.allow(claimed.number, 2500, "other_payer"))
    world.other_pharmacy.accept(order.evidence(), world.admit(order.number, "other_pharmacy"))
    taken_over = world.auditor.audit()

    assert lapsed.mismatches == taken_over.mismatches == []
    assert lapsed.state.usage(claimed.number, lapsed.time) == (0, 0)
    assert taken_over.state.usage(claimed.number, taken_over.time) == (2500, 0)
    assert taken_over.state.prescriptions[order.number].pharmacy == world.ids["other_pharmacy"]


def test_refuse__before_sending_and_when_mined__is_named_with_its_arguments(
    any_world: World,
) -> None:
    world = any_world
    receipt = world.locked(2400)
    number = receipt.number
    order = world.accepted()
    evidence = receipt.evidence()
    too_much = world.allow(number, 101, "other_payer")
    invoices, sender = world.ledgers.invoices, world.hospital.sender

    with pytest.raises(OverRemainder) as over:
        world.other_payer.lock(evidence, too_much)
    with pytest.raises(PrescriptionIsTaken) as taken:
        world.other_pharmacy.accept(order.evidence(), world.admit(order.number, "other_pharmacy"))
    with pytest.raises(StateForbids) as forbids:
        world.pharmacy.hand_over(order.number, world.ids["courier"])
    with pytest.raises(ClaimNotLocked) as view:
        world.other_payer.settle(number, 1)
    # Put into the journal, a call is sent without a simulation of its own first.
    again = invoices.issue(world.deployment.bills, number, 1, bytes(32))
    intent = sender.intent(again, 300_000)
    signed = sender.journal.add(sender.address, intent, sender.signing(intent))
    mined = sender.settle([signed.id])[signed.id]

    assert over.value.values == {"number": number, "amount": 101, "remainder": 100}
    assert taken.value.values["pharmacy"] == world.ids["pharmacy"]
    assert forbids.value.values == {"number": order.number, "state": State.ACCEPTED}
    assert view.value.values == {"number": number, "payer": world.ids["other_payer"]}
    assert isinstance(mined.error, NumberAlreadyIssued)
    assert mined.error.values == {"number": number}


def test_refuse__by_a_view__is_named(any_world: World) -> None:
    number = any_world.issued(on_hold=True).number

    with pytest.raises(InvoiceNotOpened) as error:
        any_world.ledgers.invoices.require_usable(number)

    assert error.value.values == {"number": number}
