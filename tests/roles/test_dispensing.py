"""Pharmacy and courier: one at a time, never more than prescribed, signed for once."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.roles.world import DAY, LEASE_PERIOD, World, key_of

from medledger.core.states import State
from medledger.errors import (
    AuthorisationExpired,
    AuthorisationInvalid,
    AuthorisationMismatch,
    DocumentIsHeld,
    InstitutionIsSuspended,
    KindMissing,
    LeaseIsOver,
    LinesInvalid,
    MalformedAuthorisation,
    MalformedEvidence,
    NotACourier,
    NothingDispensed,
    NotTheCourier,
    NotThePharmacy,
    OverPrescribed,
    PathLengthWrong,
    PrescriptionIsExpired,
    PrescriptionIsTaken,
    ProofInvalid,
    StateForbids,
)
from medledger.roles import Courier, Pharmacy


def found(world: World, number: int) -> Any:
    return world.ledgers.prescriptions.prescription_of(number)


def names(world: World, number: int) -> list[str]:
    return [step.name for step in world.auditor.trace(number, "Prescription")]


# Accepting


def test_accept__a_prescription_that_nobody_used__opens_and_takes_it(world: World) -> None:
    receipt = world.prescribed()
    number = receipt.number

    done = world.pharmacy.accept(receipt.evidence(), world.admit(number))

    assert done.call.name == "Prescriptions.openAndAccept"
    entry = found(world, number)
    assert (entry.state, entry.pharmacy, entry.sequence) == (
        State.ACCEPTED,
        world.ids["pharmacy"],
        1,
    )
    assert entry.lease_until == world.now() + LEASE_PERIOD
    assert tuple(entry.remaining) == (24, 10, 0, 0, 0)
    assert entry.patient == world.patient.address("Prescription", number)
    assert names(world, number) == ["BatchIssued", "PrescriptionOpened", "PrescriptionAccepted"]


def test_accept__what_was_opened_before__does_not_prove_it_again(world: World) -> None:
    receipt = world.accepted()
    world.pharmacy.return_to_pool(receipt.number)

    done = world.other_pharmacy.accept(
        receipt.evidence(), world.admit(receipt.number, "other_pharmacy")
    )

    assert done.call.name == "Prescriptions.accept"
    assert found(world, receipt.number).pharmacy == world.ids["other_pharmacy"]


def test_accept__by_a_second_pharmacy__taken_until_the_lease_is_over(world: World) -> None:
    receipt = world.accepted()
    evidence, number = receipt.evidence(), receipt.number

    with pytest.raises(PrescriptionIsTaken) as error:
        world.other_pharmacy.accept(evidence, world.admit(number, "other_pharmacy"))

    assert error.value.values == {
        "number": number,
        "pharmacy": world.ids["pharmacy"],
        "leaseUntil": world.now() + LEASE_PERIOD,
    }
    world.pass_time(LEASE_PERIOD + 1)
    world.other_pharmacy.accept(evidence, world.admit(number, "other_pharmacy"))
    with pytest.raises(NotThePharmacy):
        world.pharmacy.dispense(number, [1])


def test_accept__after_its_validity__prescription_is_expired(world: World) -> None:
    receipt = world.prescribed()
    valid_until = world.now() + 3 * DAY
    world.pass_time(3 * DAY + 1)

    with pytest.raises(PrescriptionIsExpired) as error:
        world.pharmacy.accept(receipt.evidence(), world.admit(receipt.number))

    assert abs(error.value.values["validUntil"] - valid_until) <= 1  # type: ignore[operator]


def test_accept__at_its_last_second__is_accepted(world: World) -> None:
    receipt = world.prescribed(valid_until=(until := world.now() + DAY))
    signed, evidence = world.admit(receipt.number), receipt.evidence()
    world.rpc.request("evm_setNextBlockTimestamp", until)

    world.pharmacy.accept(evidence, signed)

    assert found(world, receipt.number).state == State.ACCEPTED


def test_accept__a_held_prescription__is_refused_until_its_release(world: World) -> None:
    receipt = world.prescribed(on_hold=True)

    with pytest.raises(DocumentIsHeld):
        world.pharmacy.accept(receipt.evidence(), world.admit(receipt.number))

    world.hospital.release(receipt.number, "Prescription")
    world.pharmacy.accept(receipt.evidence(), world.admit(receipt.number))


def test_accept__the_authorisation_again_after_return__is_invalid(world: World) -> None:
    receipt = world.prescribed()
    signed = world.admit(receipt.number)
    world.pharmacy.accept(receipt.evidence(), signed)
    world.pharmacy.return_to_pool(receipt.number)

    with pytest.raises(AuthorisationInvalid):
        world.pharmacy.accept(receipt.evidence(), signed)


def test_accept__after_the_deadline__authorisation_expired(world: World) -> None:
    receipt = world.prescribed()
    signed = world.admit(receipt.number, deadline=world.now() + 100)
    world.pass_time(101)

    with pytest.raises(AuthorisationExpired):
        world.pharmacy.accept(receipt.evidence(), signed)


def test_accept__signed_by_another_patient__is_invalid(world: World) -> None:
    receipt = world.prescribed()
    signed = world.other_patient.authorise_acceptance(
        receipt.number, world.ids["pharmacy"], deadline=world.deadline
    )

    with pytest.raises(AuthorisationInvalid):
        world.pharmacy.accept(receipt.evidence(), signed)


def test_accept__an_authorisation_of_something_else__is_refused_before_sending(
    world: World,
) -> None:
    receipt, another = world.prescribed("order-1"), world.prescribed("order-2")
    evidence, signed = receipt.evidence(), world.admit(receipt.number)

    with pytest.raises(AuthorisationMismatch, match="allows pharmacy"):
        world.pharmacy.accept(evidence, world.admit(receipt.number, "other_pharmacy"))
    with pytest.raises(AuthorisationMismatch, match="allows pharmacy"):
        world.pharmacy.accept(evidence, world.admit(another.number))
    with pytest.raises(AuthorisationMismatch, match="on chain 1"):
        world.pharmacy.accept(evidence, replace(signed, chain_id=1))
    with pytest.raises(MalformedAuthorisation):
        world.pharmacy.accept(evidence, world.confirm(receipt.number))
    with pytest.raises(MalformedEvidence, match="not of a prescription"):
        world.pharmacy.accept(world.issued().evidence(), signed)


@pytest.mark.parametrize(
    ("forge", "expected"),
    [
        (lambda e: replace(e, header=replace(e.header, quantities=(99, 10))), ProofInvalid),
        (lambda e: replace(e, header=replace(e.header, valid_until=2**39)), ProofInvalid),
        (lambda e: replace(e, path=(bytes(32),)), PathLengthWrong),
    ],
    ids=["quantities", "validity", "path"],
)
def test_accept__forged_evidence__is_refused_by_the_contract(
    forge: Any, expected: type, world: World
) -> None:
    receipt = world.prescribed()

    with pytest.raises(expected):
        world.pharmacy.accept(forge(receipt.evidence()), world.admit(receipt.number))


def test_accept__by_somebody_who_is_no_pharmacy__is_refused(world: World) -> None:
    receipt = world.prescribed()
    courier = Pharmacy(world.ledgers, key_of("courier"))
    world.supervisor.suspend(world.ids["pharmacy"], 1)

    with pytest.raises(KindMissing):
        courier.accept(receipt.evidence(), world.admit(receipt.number, "courier"))
    with pytest.raises(InstitutionIsSuspended):
        world.pharmacy.accept(receipt.evidence(), world.admit(receipt.number))


def test_accept_many__opened_and_unopened__each_is_accepted(world: World) -> None:
    receipts = [world.prescribed(f"order-{i}") for i in range(4)]
    world.pharmacy.accept(receipts[1].evidence(), world.admit(receipts[1].number))
    world.pharmacy.return_to_pool(receipts[1].number)

    done = list(
        world.pharmacy.accept_many([(r.evidence(), world.admit(r.number)) for r in receipts])
    )

    assert [receipt.call.name for receipt in done].count("Prescriptions.accept") == 1
    assert {found(world, r.number).state for r in receipts} == {State.ACCEPTED}


# Returning


def test_return_to_pool__an_accepted_one__is_free_again(world: World) -> None:
    number = world.accepted().number

    world.pharmacy.return_to_pool(number, reason=4)

    entry = found(world, number)
    assert (entry.state, entry.pharmacy, entry.lease_until) == (State.AVAILABLE, 0, 0)
    with pytest.raises(StateForbids):
        world.pharmacy.return_to_pool(number)


def test_return_to_pool__by_another_pharmacy__is_refused(world: World) -> None:
    number = world.accepted().number

    with pytest.raises(NotThePharmacy) as error:
        world.other_pharmacy.return_to_pool(number)

    assert error.value.values == {"number": number, "pharmacy": world.ids["pharmacy"]}


# Dispensing


def test_dispense__in_parts__counts_down_to_nothing(world: World) -> None:
    number = world.accepted().number

    world.pharmacy.dispense(number, [20])
    world.pharmacy.dispense(number, [4, 9])
    world.pharmacy.dispense(number, [0, 1])

    entry = found(world, number)
    assert (entry.state, tuple(entry.remaining)) == (State.DISPENSED, (0,) * 5)
    with pytest.raises(OverPrescribed) as error:
        world.pharmacy.dispense(number, [0, 1])
    assert error.value.values == {"number": number, "line": 1, "quantity": 1, "remaining": 0}


def test_dispense__what_cannot_be__is_refused_by_name(world: World) -> None:
    number = world.accepted().number

    with pytest.raises(OverPrescribed) as over:
        world.pharmacy.dispense(number, [25])
    with pytest.raises(OverPrescribed):
        world.pharmacy.dispense(number, [1, 1, 1])
    with pytest.raises(LinesInvalid):
        world.pharmacy.dispense(number, [1, 1, 0, 0, 0, 0])
    for nothing in ([], [0], [0, 0]):
        with pytest.raises(NothingDispensed):
            world.pharmacy.dispense(number, nothing)
    with pytest.raises(NotThePharmacy):
        world.other_pharmacy.dispense(number, [1])

    assert over.value.values == {"number": number, "line": 0, "quantity": 25, "remaining": 24}
    assert tuple(found(world, number).remaining)[:2] == (24, 10)


def test_dispense__before_acceptance_and_after_delivery__state_forbids(world: World) -> None:
    unopened = world.prescribed("order-1").number
    number = world.accepted(key="order-2").number
    with pytest.raises(StateForbids) as error:
        world.pharmacy.dispense(unopened, [1])
    assert error.value.values == {"number": unopened, "state": State.NOT_OPENED}
    world.pharmacy.dispense(number, [24, 10])
    world.pharmacy.deliver(world.confirm(number))

    with pytest.raises(StateForbids) as error:
        world.pharmacy.dispense(number, [1])

    assert error.value.values == {"number": number, "state": State.DELIVERED}


def test_dispense__after_the_lease__lease_is_over(world: World) -> None:
    number = world.accepted().number
    lease_until = found(world, number).lease_until
    world.pass_time(LEASE_PERIOD + 1)

    with pytest.raises(LeaseIsOver) as error:
        world.pharmacy.dispense(number, [1])

    assert error.value.values == {"number": number, "leaseUntil": lease_until}


def test_dispense_many__several__each_is_dispensed(world: World) -> None:
    numbers = [world.accepted(key=f"order-{i}").number for i in range(3)]

    done = list(world.pharmacy.dispense_many([(number, [24, 10]) for number in numbers]))

    assert len(done) == 3
    assert {found(world, number).state for number in numbers} == {State.DISPENSED}


# Handing over


def test_hand_over__to_a_courier__is_in_transit(world: World) -> None:
    number = world.in_transit().number

    entry = found(world, number)
    assert (entry.state, entry.courier) == (State.IN_TRANSIT, world.ids["courier"])
    with pytest.raises(StateForbids):
        world.pharmacy.hand_over(number, world.ids["courier"])
    with pytest.raises(StateForbids):
        world.pharmacy.dispense(number, [1])


def test_hand_over__what_cannot_be__is_refused_by_name(world: World) -> None:
    number = world.accepted().number
    with pytest.raises(StateForbids):
        world.pharmacy.hand_over(number, world.ids["courier"])
    world.pharmacy.dispense(number, [1])
    with pytest.raises(NotACourier) as error:
        world.pharmacy.hand_over(number, world.ids["payer"])
    with pytest.raises(NotACourier):
        world.pharmacy.hand_over(number, 999)
    with pytest.raises(NotThePharmacy):
        world.other_pharmacy.hand_over(number, world.ids["courier"])
    world.supervisor.suspend(world.ids["courier"], 1)
    with pytest.raises(NotACourier):
        world.pharmacy.hand_over(number, world.ids["courier"])

    assert error.value.values == {"institution": world.ids["payer"]}


def test_hand_over_many__several__each_is_in_transit(world: World) -> None:
    numbers = [world.accepted(key=f"order-{i}").number for i in range(3)]
    list(world.pharmacy.dispense_many([(number, [1]) for number in numbers]))

    list(world.pharmacy.hand_over_many([(number, world.ids["courier"]) for number in numbers]))

    assert {found(world, number).state for number in numbers} == {State.IN_TRANSIT}


# Delivering


def test_deliver__all_of_it__is_done(world: World) -> None:
    number = world.in_transit().number

    world.courier.deliver(world.confirm(number))

    entry = found(world, number)
    assert (entry.state, entry.courier, entry.lease_until, entry.sequence) == (
        State.DELIVERED,
        0,
        0,
        2,
    )
    event = world.auditor.trace(number, "Prescription")[-1].event
    assert (event.complete, event.courier) == (True, world.ids["courier"])  # type: ignore[union-attr]


def test_deliver__a_part__goes_back_to_the_pharmacy_with_a_lease_of_its_own(world: World) -> None:
    number = world.in_transit(20).number
    world.pass_time(LEASE_PERIOD + 1)

    world.courier.deliver(world.confirm(number))

    entry = found(world, number)
    assert (entry.state, entry.pharmacy) == (State.ACCEPTED, world.ids["pharmacy"])
    assert entry.lease_until == world.now() + LEASE_PERIOD
    world.pharmacy.dispense(number, [4, 10])
    world.pharmacy.deliver(world.confirm(number))
    assert found(world, number).state == State.DELIVERED


def test_deliver__the_confirmation_again__is_invalid(world: World) -> None:
    number = world.in_transit(20).number
    signed = world.confirm(number)
    world.courier.deliver(signed)
    world.pharmacy.dispense(number, [1])

    with pytest.raises(AuthorisationInvalid):
        world.pharmacy.deliver(signed)


def test_deliver__what_cannot_be__is_refused_by_name(world: World) -> None:
    number = world.accepted().number
    with pytest.raises(StateForbids):
        world.courier.deliver(world.confirm(number))
    world.pharmacy.dispense(number, [24, 10])
    late = world.confirm(number, deadline=world.now() + 10)
    theirs = world.other_patient.confirm_delivery(number, deadline=world.deadline)
    world.pass_time(11)

    with pytest.raises(AuthorisationExpired):
        world.courier.deliver(late)
    with pytest.raises(AuthorisationInvalid):
        world.courier.deliver(theirs)
    with pytest.raises(AuthorisationMismatch):
        world.courier.deliver(replace(world.confirm(number), contract=world.ledgers.claims.address))
    with pytest.raises(MalformedAuthorisation):
        world.courier.deliver(world.admit(number))


def test_deliver_many__several__each_is_delivered(world: World) -> None:
    numbers = [world.accepted(key=f"order-{i}").number for i in range(3)]
    list(world.pharmacy.dispense_many([(number, [24, 10]) for number in numbers]))

    list(world.courier.deliver_many([world.confirm(number) for number in numbers]))

    assert {found(world, number).state for number in numbers} == {State.DELIVERED}


def test_deliver__relayed_by_anybody__counts_since_the_patient_signed(world: World) -> None:
    number = world.in_transit().number

    Courier(world.ledgers, key_of("nobody at all")).deliver(world.confirm(number))

    assert found(world, number).state == State.DELIVERED


# Failing to deliver


def test_fail_delivery__by_the_courier__the_pharmacy_has_it_again(world: World) -> None:
    number = world.in_transit().number

    world.courier.fail_delivery(number, reason=9)

    entry = found(world, number)
    assert (entry.state, entry.courier) == (State.DISPENSED, 0)
    event = world.auditor.trace(number, "Prescription")[-1].event
    assert event.reason == 9  # type: ignore[union-attr]
    world.pharmacy.hand_over(number, world.ids["other_courier"])
    with pytest.raises(NotTheCourier) as error:
        world.courier.fail_delivery(number)
    assert error.value.values == {"number": number, "courier": world.ids["other_courier"]}


def test_fail_delivery__what_is_not_in_transit__state_forbids(world: World) -> None:
    number = world.accepted().number

    with pytest.raises(StateForbids):
        world.courier.fail_delivery(number)
    with pytest.raises(KindMissing):
        Courier(world.ledgers, key_of("pharmacy")).fail_delivery(number)
