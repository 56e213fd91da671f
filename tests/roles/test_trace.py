"""The whole life of a document, from the chain alone."""

from __future__ import annotations

from tests.roles.world import DAY, World, bill

from medledger.chain.bindings import BatchIssued, ClaimLocked, InvoiceReversed, ParcelTakenOver
from medledger.core.numbers import document_number


def test_trace__a_bill__every_event_in_order_with_its_time_and_transaction(world: World) -> None:
    receipts = list(world.hospital.issue_many(bill(f"visit-{i}") for i in range(5)))
    number = receipts[3].number
    hashes = [receipts[3].transaction]
    acts = [
        lambda: world.hospital.hold(number),
        lambda: world.hospital.release(number),
        lambda: world.payer.lock(receipts[3].evidence(), world.allow(number, 1000)),
        lambda: world.payer.release(number),
        lambda: world.payer.lock(receipts[3].evidence(), world.allow(number, 900)),
        lambda: world.payer.settle(number, 800),
    ]
    for act in acts:
        world.pass_time(DAY)
        hashes.append(act().hash)

    steps = world.auditor.trace(number)

    assert [step.name for step in steps] == [
        "BatchIssued",
        "DocumentHeld",
        "DocumentReleased",
        "InvoiceOpened",
        "ClaimLocked",
        "ClaimReleased",
        "ClaimLocked",
        "ClaimSettled",
    ]
    # Opening and locking are one transaction.
    assert [step.transaction for step in steps] == [*hashes[:3], hashes[3], *hashes[3:]]
    assert [step.time for step in steps] == sorted(step.time for step in steps)
    assert steps[-1].time - steps[0].time >= len(acts) * DAY
    times = world.rpc.timestamps([step.block for step in steps])
    assert [step.time for step in steps] == [times[step.block] for step in steps]
    issued, locked = steps[0].event, steps[4].event
    assert isinstance(issued, BatchIssued)
    assert (issued.first, issued.count) == (receipts[0].number, 5)
    assert isinstance(locked, ClaimLocked)
    assert (locked.payer, locked.amount, locked.by) == (
        world.ids["payer"],
        1000,
        world.payer.address,
    )


def test_trace__a_bill_and_its_red_letter__both_show_the_reversal(world: World) -> None:
    original = world.issued()
    red = world.issued("reversal", related_invoice=original.number)
    world.hospital.reverse(original.number, red.number, 9)

    for number in (original.number, red.number):
        batch, reversal = world.auditor.trace(number)

        assert isinstance(batch.event, BatchIssued)
        assert batch.event.first == number
        assert isinstance(reversal.event, InvoiceReversed)
        assert (reversal.event.number, reversal.event.red_letter, reversal.event.reason) == (
            original.number,
            red.number,
            9,
        )


def test_trace__a_prescription__every_event_in_order(world: World) -> None:
    number = world.in_transit(20).number
    world.courier.fail_delivery(number)
    world.pharmacy.hand_over(number, world.ids["other_courier"])
    world.other_courier.deliver(world.confirm(number))
    world.pharmacy.return_to_pool(number)
    world.hospital.cancel(number, 1)

    names = [step.name for step in world.auditor.trace(number, "Prescription")]

    assert names == [
        "BatchIssued",
        "PrescriptionOpened",
        "PrescriptionAccepted",
        "PrescriptionDispensed",
        "PrescriptionHandedOver",
        "DeliveryFailed",
        "PrescriptionHandedOver",
        "PrescriptionDelivered",
        "PrescriptionReturned",
        "PrescriptionCancelled",
    ]


def test_trace__a_prescription__says_who_had_it_and_who_acted(world: World) -> None:
    number = world.in_transit(20).number
    world.hospital.request_cancel(number, 3)
    world.courier.offer(number, world.ids["other_courier"])
    world.other_courier.take_over(number)
    world.other_courier.fail_delivery(number, reason=4)
    world.pharmacy.withdraw_dispensing(number, reason=5)
    world.pharmacy.return_to_pool(number, reason=6)

    told = {step.name: step.event for step in world.auditor.trace(number, "Prescription")[1:]}

    senders = {name: event.by for name, event in told.items() if hasattr(event, "by")}
    pharmacy, courier = world.pharmacy.address, world.courier.address
    assert senders == {
        "PrescriptionAccepted": pharmacy,
        "PrescriptionDispensed": pharmacy,
        "PrescriptionHandedOver": pharmacy,
        "CancelRequested": world.hospital.address,
        "ParcelOffered": courier,
        "ParcelTakenOver": world.other_courier.address,
        "DeliveryFailed": world.other_courier.address,
        "DispensingWithdrawn": pharmacy,
        "PrescriptionReturned": pharmacy,
        "PrescriptionCancelled": pharmacy,
    }
    taken_over = told["ParcelTakenOver"]
    assert isinstance(taken_over, ParcelTakenOver)
    assert (taken_over.courier, taken_over.receiver) == (
        world.ids["courier"],
        world.ids["other_courier"],
    )


def test_trace__its_neighbours_and_the_other_ledger__are_not_in_it(world: World) -> None:
    receipts = list(world.hospital.issue_many(bill(f"visit-{i}") for i in range(3)))
    for neighbour in (receipts[0], receipts[2]):
        world.payer.lock(neighbour.evidence(), world.allow(neighbour.number, 1000))
    world.accepted()

    steps = world.auditor.trace(receipts[1].number)

    assert [step.name for step in steps] == ["BatchIssued"]
    assert world.auditor.trace(receipts[1].number, "Prescription") == []


def test_trace__the_first_number_of_a_batch__has_its_batch_once(world: World) -> None:
    receipts = list(world.hospital.issue_many(bill(f"visit-{i}") for i in range(3)))

    for receipt in receipts:
        assert [step.name for step in world.auditor.trace(receipt.number)] == ["BatchIssued"]


def test_trace__a_number_that_nobody_issued__is_empty(world: World) -> None:
    issued = world.issued().number

    for number in (issued - 1, issued + 1, document_number(99999999, 1)):
        assert world.auditor.trace(number) == []
        assert world.auditor.trace(number, "Prescription") == []
