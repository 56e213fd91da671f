"""Pharmacy and courier: one at a time, never more than prescribed, signed for once."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.roles.world import DAY, DRUGS, LEASE_PERIOD, World, dispensing, key_of

from medledger.core.dispensing import NO_REVIEW, review_hash
from medledger.core.documents import PrescriptionLine
from medledger.core.states import State
from medledger.errors import (
    AuthorisationExpired,
    AuthorisationInvalid,
    AuthorisationMismatch,
    CancelIsRequested,
    CourierHasIt,
    DocumentIsHeld,
    DrugClassUnknown,
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
    ParcelNotOffered,
    PathLengthWrong,
    PrescriptionIsExpired,
    PrescriptionIsTaken,
    ProofInvalid,
    RepeatTooEarly,
    ReviewMissing,
    SecondApproverMissing,
    StateForbids,
    SubstitutionForbidden,
    TooManyRepeats,
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

    assert done.call.name == "Prescriptions.accept"
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


def test_accept__what_was_returned__is_the_other_pharmacys(world: World) -> None:
    receipt = world.accepted()
    world.pharmacy.return_to_pool(receipt.number)

    world.other_pharmacy.accept(receipt.evidence(), world.admit(receipt.number, "other_pharmacy"))

    assert names(world, receipt.number)[-2:] == ["PrescriptionReturned", "PrescriptionAccepted"]
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
        world.dispense(number, [1])


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


def test_accept_many__new_and_returned__each_is_accepted(world: World) -> None:
    receipts = [world.prescribed(f"order-{i}") for i in range(4)]
    world.pharmacy.accept(receipts[1].evidence(), world.admit(receipts[1].number))
    world.pharmacy.return_to_pool(receipts[1].number)

    done = list(
        world.pharmacy.accept_many([(r.evidence(), world.admit(r.number)) for r in receipts])
    )

    assert len(done) == 4
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

    world.dispense(number, [20])
    world.dispense(number, [4, 9])
    world.dispense(number, [0, 1])

    entry = found(world, number)
    assert (entry.state, tuple(entry.remaining)) == (State.DISPENSED, (0,) * 5)
    with pytest.raises(OverPrescribed) as error:
        world.dispense(number, [0, 1])
    assert error.value.values == {"number": number, "line": 1, "quantity": 1, "remaining": 0}


def test_dispense__what_cannot_be__is_refused_by_name(world: World) -> None:
    number = world.accepted().number

    with pytest.raises(OverPrescribed) as over:
        world.dispense(number, [25])
    with pytest.raises(OverPrescribed):
        world.dispense(number, [1, 1, 1])
    with pytest.raises(LinesInvalid):
        world.dispense(number, [1, 1, 0, 0, 0, 0])
    for nothing in ([], [0], [0, 0]):
        with pytest.raises(NothingDispensed):
            world.dispense(number, nothing)
    with pytest.raises(NotThePharmacy):
        world.other_pharmacy.dispense(number, dispensing(1))

    assert over.value.values == {"number": number, "line": 0, "quantity": 25, "remaining": 24}
    assert tuple(found(world, number).remaining)[:2] == (24, 10)


def test_dispense__before_acceptance_and_after_delivery__state_forbids(world: World) -> None:
    unopened = world.prescribed("order-1").number
    number = world.accepted(key="order-2").number
    with pytest.raises(StateForbids) as error:
        world.dispense(unopened, [1])
    assert error.value.values == {"number": unopened, "state": State.NOT_OPENED}
    world.dispense(number, [24, 10])
    world.pharmacy.deliver(world.confirm(number))

    with pytest.raises(StateForbids) as error:
        world.dispense(number, [1])

    assert error.value.values == {"number": number, "state": State.DELIVERED}


def test_dispense__after_the_lease__lease_is_over(world: World) -> None:
    number = world.accepted().number
    lease_until = found(world, number).lease_until
    world.pass_time(LEASE_PERIOD + 1)

    with pytest.raises(LeaseIsOver) as error:
        world.dispense(number, [1])

    assert error.value.values == {"number": number, "leaseUntil": lease_until}


def test_dispense_many__several__each_is_dispensed(world: World) -> None:
    numbers = [world.accepted(key=f"order-{i}").number for i in range(3)]

    done = list(world.pharmacy.dispense_many([(number, dispensing(24, 10)) for number in numbers]))

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
        world.dispense(number, [1])


def test_hand_over__what_cannot_be__is_refused_by_name(world: World) -> None:
    number = world.accepted().number
    with pytest.raises(StateForbids):
        world.pharmacy.hand_over(number, world.ids["courier"])
    world.dispense(number, [1])
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
    list(world.pharmacy.dispense_many([(number, dispensing(1)) for number in numbers]))

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
        3,
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
    world.dispense(number, [4, 10])
    world.pharmacy.deliver(world.confirm(number))
    assert found(world, number).state == State.DELIVERED


def test_deliver__the_confirmation_again__is_invalid(world: World) -> None:
    number = world.in_transit(20).number
    signed = world.confirm(number)
    world.courier.deliver(signed)
    world.dispense(number, [1])

    with pytest.raises(AuthorisationInvalid):
        world.pharmacy.deliver(signed)


def test_deliver__what_cannot_be__is_refused_by_name(world: World) -> None:
    number = world.accepted().number
    with pytest.raises(StateForbids):
        world.courier.deliver(world.confirm(number))
    world.dispense(number, [24, 10])
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
    list(world.pharmacy.dispense_many([(number, dispensing(24, 10)) for number in numbers]))

    list(world.courier.deliver_many([world.confirm(number) for number in numbers]))

    assert {found(world, number).state for number in numbers} == {State.DELIVERED}


def test_deliver__relayed_by_anybody__counts_since_the_patient_signed(world: World) -> None:
    number = world.in_transit().number

    Courier(world.ledgers, key_of("nobody at all")).deliver(world.confirm(number))

    assert found(world, number).state == State.DELIVERED


# Several acts at once


def test_supply__what_is_in_stock__is_on_its_way_in_one_transaction(world: World) -> None:
    receipt = world.prescribed()
    number = receipt.number

    world.pharmacy.supply(
        receipt.evidence(), world.admit(number), dispensing(24, 10), world.ids["courier"]
    )

    assert names(world, number) == [
        "BatchIssued",
        "PrescriptionOpened",
        "PrescriptionAccepted",
        "PrescriptionDispensed",
        "PrescriptionHandedOver",
    ]
    world.courier.deliver(world.confirm(number))
    assert world.ledgers.prescriptions.is_handed_over(number)


def test_supply__to_nobody__nothing_is_done(world: World) -> None:
    receipt = world.prescribed()

    with pytest.raises(NotACourier):
        world.pharmacy.supply(receipt.evidence(), world.admit(receipt.number), dispensing(1), 999)

    assert found(world, receipt.number).state == State.NOT_OPENED


def test_dispense__with_a_courier__is_in_transit(world: World) -> None:
    number = world.accepted().number

    world.dispense(number, [24], courier=world.ids["courier"])

    assert found(world, number).state == State.IN_TRANSIT


# Reviews, substitutions, withdrawals


def test_review__then_dispense__needs_no_other(world: World) -> None:
    number = world.accepted().number
    unreviewed = dispensing(24, review_hash=NO_REVIEW)
    with pytest.raises(ReviewMissing):
        world.pharmacy.dispense(number, unreviewed)

    world.pharmacy.review(number, review_hash("no objection", bytes(32)))
    world.pharmacy.dispense(number, unreviewed)

    assert found(world, number).reviewed


def test_dispense__a_substitute__where_the_line_allows_it(world: World) -> None:
    first, second = (PrescriptionLine(*drug) for drug in DRUGS)
    number = world.accepted(lines=(first, replace(second, substitutable=True))).number

    with pytest.raises(SubstitutionForbidden):
        world.pharmacy.dispense(number, dispensing(24, 10, substituted=[1]))
    world.pharmacy.dispense(number, dispensing(24, 10, substituted=[2]))

    event = world.auditor.trace(number, "Prescription")[-1].event
    assert event.substituted == 0b10  # type: ignore[union-attr]


def test_withdraw__what_was_dispensed__is_owing_again(world: World) -> None:
    number = world.accepted().number
    world.dispense(number, [24])

    world.pharmacy.withdraw_dispensing(number, reason=3)

    assert tuple(found(world, number).remaining)[:2] == (24, 10)
    with pytest.raises(StateForbids):
        world.pharmacy.withdraw_dispensing(number)


# Policies and repeats


def test_set_policy__stricter__stops_what_is_accepted_later(world: World) -> None:
    policy = replace(world.ledgers.policies.policy_of(0), max_repeats=0, second_approver=True)

    world.supervisor.set_policy(3, policy)

    assert world.ledgers.policies.policy_of(3) == policy
    with pytest.raises(TooManyRepeats):
        world.accepted(key="order-1", drug_class=3, repeats=1)
    number = world.accepted(key="order-2", drug_class=3).number
    world.pharmacy.review(number, bytes(31) + b"1")
    with pytest.raises(SecondApproverMissing):
        world.dispense(number, [24])
    with pytest.raises(DrugClassUnknown):
        world.accepted(key="order-3", drug_class=4)


def test_accept__the_next_fill__after_the_interval(world: World) -> None:
    until = world.now() + 60 * DAY
    receipt = world.in_transit(valid_until=until, repeats=1, interval_days=30)
    number, evidence = receipt.number, receipt.evidence()
    world.courier.deliver(world.confirm(number))

    with pytest.raises(RepeatTooEarly):
        world.pharmacy.accept(evidence, world.admit(number))
    world.pass_time(30 * DAY)
    world.pharmacy.accept(evidence, world.admit(number))

    entry = found(world, number)
    assert (tuple(entry.remaining)[:2], entry.repeats_left) == ((24, 10), 0)


# Requests to cancel


def test_request_cancel__the_pharmacy_returns_it__is_cancelled(world: World) -> None:
    number = world.accepted().number

    world.hospital.request_cancel(number, 7)
    with pytest.raises(CancelIsRequested):
        world.hospital.request_cancel(number, 7)
    world.pharmacy.return_to_pool(number)

    assert found(world, number).state == State.CANCELLED


# Custody


def test_take_over__from_another_courier__once_it_is_offered(world: World) -> None:
    number = world.in_transit().number
    with pytest.raises(ParcelNotOffered):
        world.other_courier.take_over(number)

    world.courier.offer(number, world.ids["other_courier"])
    world.other_courier.take_over(number)

    assert found(world, number).courier == world.ids["other_courier"]


def test_take_back__from_a_silent_courier__after_its_time(world: World) -> None:
    number = world.in_transit().number
    with pytest.raises(CourierHasIt):
        world.pharmacy.take_back(number)

    world.pass_time(LEASE_PERIOD + 1)
    world.pharmacy.take_back(number)

    assert found(world, number).state == State.DISPENSED


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
