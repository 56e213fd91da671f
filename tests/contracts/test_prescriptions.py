"""A prescription's life: accept, dispense, hand over, deliver; and all that can go otherwise."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest
from ape.utils import ZERO_ADDRESS

from medledger.core.hashing import keccak256
from medledger.core.states import State

DAY = 24 * 3600
REASON = 5
LARGEST = 2**16 - 1
NO_LINES = [0, 0, 0, 0, 0]
WHOLE = [24, 10, 0, 0, 0]
ITEMS, REVIEW = keccak256(b"items"), keccak256(b"review")


def changed(before, **changes):
    return SimpleNamespace(**{**vars(before), **changes})


@pytest.fixture
def fail(prescriptions, courier):
    return lambda number, by=courier: prescriptions.failDelivery(number, REASON, sender=by)


@pytest.fixture(scope="module")
def prepared(
    prescriptions,
    issue_prescriptions,
    accept,
    dispense,
    hand_over,
    deliver,
    cancel,
    pharmacy,
):
    """Two prescriptions of (24, 10) in each state, by state; made once, for speed."""
    batch = issue_prescriptions(2 * 7)
    found = {}
    for wanted in range(7):
        found[wanted] = [batch.number(2 * wanted), batch.number(2 * wanted + 1)]
        for number in found[wanted]:
            if wanted == State.CANCELLED:
                cancel(number)
                continue
            if wanted != State.NOT_OPENED:
                accept(number, pharmacy)
            if wanted == State.AVAILABLE:
                prescriptions.returnToPool(number, REASON, sender=pharmacy)
            if wanted >= State.DISPENSED:
                dispense(number, 24, 10)
            if wanted >= State.IN_TRANSIT:
                hand_over(number)
            if wanted >= State.DELIVERED:
                deliver(number)
    return found


@pytest.fixture
def bring_to(prepared):
    """The number of a prescription in this state, another one at the second call.

    The first signature of the patient is used in every state but `NOT_OPENED` and `CANCELLED`.
    """
    left = {wanted: list(numbers) for wanted, numbers in prepared.items()}
    return lambda wanted: left[wanted].pop(0)


# Deploying


def test_deploy__what_it_is_given__is_kept(prescriptions, institutions, policies, lease_period):
    assert prescriptions.leasePeriod() == lease_period
    assert prescriptions.institutions() == institutions
    assert prescriptions.policies() == policies


def test_deploy__policies_of_other_institutions__are_refused(
    project, institutions, policies, lease_period, supervisor, refused
):
    others = project.Institutions.deploy(bytes(32), 0, supervisor, sender=supervisor)

    with refused(project.Prescriptions.InstitutionsMismatch, other=policies):
        project.Prescriptions.deploy(others, policies, lease_period, sender=supervisor)


@pytest.mark.parametrize("period", [0, 30 * DAY + 1, 2**40 - 1])
def test_deploy__lease_period_of_nothing_or_too_long__is_refused(
    project, institutions, policies, supervisor, refused, period
):
    with refused(project.Prescriptions.LeasePeriodInvalid, leasePeriod=period):
        project.Prescriptions.deploy(institutions, policies, period, sender=supervisor)


def test_deploy__longest_lease_period__is_kept(project, institutions, policies, supervisor):
    ledger = project.Prescriptions.deploy(institutions, policies, 30 * DAY, sender=supervisor)

    assert ledger.leasePeriod() == 30 * DAY


# Accepting


def test_accept__never_accepted__is_taken_for_the_lease(
    prescriptions,
    ids,
    issue_prescriptions,
    patient,
    pharmacy,
    accept,
    emits,
    record,
    far_future,
    lease_period,
):
    batch = issue_prescriptions(
        3, quantities=(24, 10, 6), substitutable=0b101, licence=7, repeats=2, interval=5 * DAY
    )
    number = batch.number(1)
    holder = patient.address("Prescription", number)

    receipt = accept(number, pharmacy)

    lease_until = receipt.timestamp + lease_period
    emits(
        receipt,
        prescriptions.PrescriptionOpened(
            number=number,
            patient=holder,
            authoredAt=1_700_000_000,
            validUntil=far_future,
            licence=7,
            drugClass=0,
            quantities=[24, 10, 6],
            substitutable=0b101,
            repeats=2,
            interval=5 * DAY,
            bornOnHold=False,
        ),
        prescriptions.PrescriptionAccepted(
            number=number, pharmacy=ids[pharmacy], sequence=1, leaseUntil=lease_until, by=pharmacy
        ),
    )
    assert record(number) == SimpleNamespace(
        patient=holder,
        remaining=[24, 10, 6, 0, 0],
        parcel=NO_LINES,
        pharmacy=ids[pharmacy],
        courier=0,
        leaseUntil=lease_until,
        deliveredAt=0,
        sequence=1,
        state=State.ACCEPTED,
        lines=3,
        substitutable=0b101,
        repeatsLeft=2,
        withdrawMinutes=24 * 60,
        bornOnHold=False,
        courierAllowed=True,
        secondApprover=False,
        reviewed=False,
        cancelRequested=False,
        unconfirmed=False,
    )
    for neighbour in (batch.number(0), batch.number(2)):
        unused = record(neighbour)
        assert (unused.patient, unused.state) == (ZERO_ADDRESS, State.NOT_OPENED)
        assert (unused.remaining, unused.sequence) == (NO_LINES, 0)


def test_accept__returned__is_not_opened_again(
    prescriptions, ids, bring_to, other_pharmacy, accept, emits, record, lease_period
):
    number = bring_to(State.AVAILABLE)
    before = record(number)

    receipt = accept(number, other_pharmacy, sequence=1)

    lease_until = receipt.timestamp + lease_period
    emits(
        receipt,
        prescriptions.PrescriptionAccepted(
            number=number,
            pharmacy=ids[other_pharmacy],
            sequence=2,
            leaseUntil=lease_until,
            by=other_pharmacy,
        ),
    )
    assert record(number) == changed(
        before,
        pharmacy=ids[other_pharmacy],
        leaseUntil=lease_until,
        sequence=2,
        state=State.ACCEPTED,
    )


def test_accept__five_lines_of_the_largest_quantity__keeps_each_apart(
    issue_prescription, accept, pharmacy, dispense, record
):
    number = issue_prescription(quantities=(LARGEST,) * 5, substitutable=0b11111)
    accept(number, pharmacy)
    assert record(number).remaining == [LARGEST] * 5

    dispense(number, LARGEST, 0, 1, LARGEST - 1, 0, substituted=0b01101)

    after = record(number)
    assert after.remaining == [0, LARGEST, LARGEST - 1, 1, LARGEST]
    assert after.parcel == [LARGEST, 0, 1, LARGEST - 1, 0]
    assert (after.courier, after.lines, after.substitutable) == (0, 5, 0b11111)


@pytest.mark.parametrize(
    "quantities",
    [(), (1, 1, 1, 1, 1, 1), (0,), (24, 0), (0, 24), (1, 1, 1, 1, 0)],
    ids=str,
)
def test_accept__no_line_or_six_or_one_without_quantity__is_refused(
    prescriptions, issue_prescription, pharmacy, accept, refused, record, quantities
):
    number = issue_prescription(quantities=quantities)

    with refused(prescriptions.LinesInvalid, number=number):
        accept(number, pharmacy)
    assert record(number).state == State.NOT_OPENED


def test_accept__header_without_patient__is_refused(
    prescriptions, issue_prescription, pharmacy, accept, refused
):
    number = issue_prescription(holder=ZERO_ADDRESS)

    with refused(prescriptions.PatientMissing, number=number):
        accept(number, pharmacy)


def test_accept__forged_header__is_refused(
    prescriptions, issue_prescriptions, pharmacy, authorise_accept, refused, far_future
):
    batch = issue_prescriptions(1)
    forged = replace(batch.headers[0], quantities=(240, 10))
    signature = authorise_accept(batch.number(), pharmacy)

    with refused(prescriptions.ProofInvalid, number=batch.number()):
        prescriptions.accept(
            forged.as_abi(), batch.head.as_abi(), [], far_future, signature, sender=pharmacy
        )


def test_accept__path_of_another__is_refused(
    prescriptions, issue_prescriptions, pharmacy, authorise_accept, refused, far_future
):
    batch = issue_prescriptions(2)
    header, head, _ = batch.proof()
    signature = authorise_accept(batch.number(), pharmacy)

    with refused(prescriptions.ProofInvalid, number=batch.number()):
        prescriptions.accept(header, head, batch.paths[1], far_future, signature, sender=pharmacy)


@pytest.mark.parametrize("by", ["pharmacy", "other_pharmacy"])
def test_accept__taken__is_refused_to_everybody(
    prescriptions, ids, roles, issue_prescription, pharmacy, accept, record, refused, by
):
    number = issue_prescription()
    accept(number, pharmacy)
    before = record(number)

    with refused(
        prescriptions.PrescriptionIsTaken,
        number=number,
        pharmacy=ids[pharmacy],
        leaseUntil=before.leaseUntil,
    ):
        accept(number, getattr(roles, by), sequence=1)
    assert record(number) == before


def test_accept__own_lease_over__is_renewed_with_a_new_signature(
    ids, issue_prescription, pharmacy, accept, record, chain
):
    number = issue_prescription()
    accept(number, pharmacy)

    chain.pending_timestamp = record(number).leaseUntil + 1
    accept(number, pharmacy, sequence=1)

    assert (record(number).pharmacy, record(number).sequence) == (ids[pharmacy], 2)


def test_accept__take_over_after_validity__is_refused(
    prescriptions, issue_prescription, pharmacy, other_pharmacy, accept, record, refused, chain
):
    end = chain.pending_timestamp + 1_000
    number = issue_prescription(valid_until=end)
    accept(number, pharmacy)
    chain.pending_timestamp = record(number).leaseUntil + 1

    with refused(prescriptions.PrescriptionIsExpired, number=number, validUntil=end):
        accept(number, other_pharmacy, sequence=1)


def test_accept__held_prescription__is_refused_until_released(
    prescriptions,
    issue_prescription,
    hospital,
    pharmacy,
    accept,
    record,
    refused,
    prescription_segment,
):
    number = issue_prescription(on_hold=True)
    segment = prescription_segment.id

    with refused(prescriptions.DocumentIsHeld, number=number):
        accept(number, pharmacy)
    prescriptions.release(segment, number, sender=hospital)
    prescriptions.hold(segment, number, sender=hospital)
    with refused(prescriptions.DocumentIsHeld, number=number):
        accept(number, pharmacy)
    prescriptions.release(segment, number, sender=hospital)
    accept(number, pharmacy)
    assert record(number).state == State.ACCEPTED


def test_hold__accepted_prescription__lets_the_pharmacy_go_on(
    prescriptions, hospital, dispense, bring_to, record, prescription_segment
):
    number = bring_to(State.ACCEPTED)

    prescriptions.hold(prescription_segment.id, number, sender=hospital)
    dispense(number, 24, 10)

    assert record(number).state == State.DISPENSED


def test_accept__while_paused__is_refused(
    prescriptions, issue_prescription, supervisor, pharmacy, accept, refused
):
    number = issue_prescription()
    prescriptions.pause(sender=supervisor)

    with refused(prescriptions.EnforcedPause):
        accept(number, pharmacy)


@pytest.mark.parametrize("where", ["DELIVERED", "CANCELLED"])
def test_accept__in_a_state_without_return__is_refused(
    prescriptions, bring_to, other_pharmacy, accept, record, refused, where
):
    found = State[where]
    number = bring_to(found)
    before = record(number)

    with refused(prescriptions.StateForbids, number=number, state=found):
        accept(number, other_pharmacy, sequence=before.sequence)
    assert record(number) == before


@pytest.mark.parametrize(
    ("where", "periods"), [("ACCEPTED", 1), ("DISPENSED", 1), ("IN_TRANSIT", 2)]
)
def test_accept__until_the_silence_is_long_enough__is_refused(
    prescriptions,
    ids,
    bring_to,
    pharmacy,
    other_pharmacy,
    accept,
    record,
    refused,
    chain,
    lease_period,
    where,
    periods,
):
    number = bring_to(State[where])
    before = record(number)
    end = before.leaseUntil + (periods - 1) * lease_period
    chain.pending_timestamp = end

    with refused(
        prescriptions.PrescriptionIsTaken, number=number, pharmacy=ids[pharmacy], leaseUntil=end
    ):
        accept(number, other_pharmacy, sequence=before.sequence)
    assert record(number) == before


@pytest.mark.parametrize(("where", "periods"), [("DISPENSED", 1), ("IN_TRANSIT", 2)])
def test_accept__silent_with_a_parcel__takes_over_only_what_remains(
    prescriptions,
    ids,
    issue_prescription,
    pharmacy,
    other_pharmacy,
    accept,
    dispense,
    hand_over,
    deliver,
    record,
    refused,
    chain,
    lease_period,
    where,
    periods,
):
    number = issue_prescription()
    accept(number, pharmacy)
    dispense(number, 20)
    if where == "IN_TRANSIT":
        hand_over(number)
    before = record(number)
    now = before.leaseUntil + (periods - 1) * lease_period + 1
    chain.pending_timestamp = now

    accept(number, other_pharmacy, sequence=2)

    assert record(number) == changed(
        before,
        parcel=NO_LINES,
        pharmacy=ids[other_pharmacy],
        courier=0,
        leaseUntil=now + lease_period,
        sequence=3,
        state=State.ACCEPTED,
        unconfirmed=True,
    )
    with refused(prescriptions.OverPrescribed, number=number, line=0, quantity=5, remaining=4):
        dispense(number, 5, by=other_pharmacy)
    dispense(number, 4, 10, by=other_pharmacy)
    deliver(number, sequence=4)
    assert record(number).state == State.DELIVERED
    assert not prescriptions.isHandedOver(number)


def test_accept__silent_with_everything_dispensed__is_refused(
    prescriptions, bring_to, other_pharmacy, accept, record, refused, chain
):
    number = bring_to(State.DISPENSED)
    chain.pending_timestamp = record(number).leaseUntil + 1

    with refused(prescriptions.NothingRemains, number=number):
        accept(number, other_pharmacy, sequence=2)


def test_accept__own_parcel_after_the_lease__is_not_disowned(
    prescriptions, issue_prescription, pharmacy, accept, dispense, deliver, record, refused, chain
):
    number = issue_prescription()
    accept(number, pharmacy)
    dispense(number, 20)
    chain.pending_timestamp = record(number).leaseUntil + 1

    with refused(prescriptions.StateForbids, number=number, state=State.DISPENSED):
        accept(number, pharmacy, sequence=2)
    deliver(number)
    assert record(number).state == State.ACCEPTED


# Returning to the pool


def test_return__accepted__is_available_to_another_pharmacy(
    prescriptions, ids, bring_to, pharmacy, other_pharmacy, accept, give_back, emits, record
):
    number = bring_to(State.ACCEPTED)
    before = record(number)

    receipt = give_back(number)

    emits(
        receipt,
        prescriptions.PrescriptionReturned(
            number=number, pharmacy=ids[pharmacy], sequence=1, reason=REASON, by=pharmacy
        ),
    )
    assert record(number) == changed(before, pharmacy=0, leaseUntil=0, state=State.AVAILABLE)
    accept(number, other_pharmacy, sequence=1)
    assert record(number).pharmacy == ids[other_pharmacy]


def test_return__after_the_lease__is_accepted(bring_to, give_back, record, chain):
    number = bring_to(State.ACCEPTED)

    chain.pending_timestamp = record(number).leaseUntil + 1
    give_back(number)

    assert record(number).state == State.AVAILABLE


def test_return__by_another_pharmacy__is_refused(
    prescriptions, ids, bring_to, pharmacy, other_pharmacy, give_back, refused
):
    number = bring_to(State.ACCEPTED)

    with refused(prescriptions.NotThePharmacy, number=number, pharmacy=ids[pharmacy]):
        give_back(number, by=other_pharmacy)


@pytest.mark.parametrize(
    "where", ["NOT_OPENED", "AVAILABLE", "DISPENSED", "IN_TRANSIT", "DELIVERED", "CANCELLED"]
)
def test_return__in_another_state__is_refused(prescriptions, bring_to, give_back, refused, where):
    number = bring_to(State[where])

    with refused(prescriptions.StateForbids, number=number, state=State[where]):
        give_back(number)


# Dispensing


def test_dispense__everything__leaves_nothing_owing(
    prescriptions, ids, bring_to, pharmacy, dispense, emits, record, lease_period
):
    number, neighbour = bring_to(State.ACCEPTED), bring_to(State.ACCEPTED)
    before, other = record(number), record(neighbour)

    receipt = dispense(number, 24, 10)

    emits(
        receipt,
        prescriptions.PrescriptionDispensed(
            number=number,
            pharmacy=ids[pharmacy],
            sequence=2,
            quantities=[24, 10],
            substituted=0,
            items=ITEMS,
            record=REVIEW,
            leaseUntil=receipt.timestamp + lease_period,
            by=pharmacy,
        ),
    )
    assert record(number) == changed(
        before,
        remaining=NO_LINES,
        parcel=WHOLE,
        leaseUntil=receipt.timestamp + lease_period,
        sequence=2,
        state=State.DISPENSED,
    )
    assert record(neighbour) == other


def test_dispense__in_parts__adds_up_within_the_lease(bring_to, dispense, record):
    number = bring_to(State.ACCEPTED)

    dispense(number, 4)
    assert record(number).remaining == [20, 10, 0, 0, 0]
    dispense(number, 0, 10)
    assert record(number).remaining == [20, 0, 0, 0, 0]
    dispense(number, 20, 0, 0, 0, 0)

    assert record(number).remaining == NO_LINES
    assert record(number).parcel == WHOLE
    assert (record(number).sequence, record(number).state) == (4, State.DISPENSED)


@pytest.mark.parametrize(
    ("quantities", "line", "quantity", "remaining"),
    [
        ((25,), 0, 25, 24),
        ((24, 11), 1, 11, 10),
        ((0, 0, 1), 2, 1, 0),
        ((0, 0, 0, 0, 1), 4, 1, 0),
        ((LARGEST,), 0, LARGEST, 24),
    ],
    ids=str,
)
def test_dispense__more_than_prescribed__is_refused(
    prescriptions, bring_to, dispense, record, refused, quantities, line, quantity, remaining
):
    number = bring_to(State.ACCEPTED)

    with refused(
        prescriptions.OverPrescribed,
        number=number,
        line=line,
        quantity=quantity,
        remaining=remaining,
    ):
        dispense(number, *quantities)
    assert record(number).remaining == WHOLE
    assert record(number).state == State.ACCEPTED


def test_dispense__again_after_everything__is_refused(prescriptions, bring_to, dispense, refused):
    number = bring_to(State.DISPENSED)

    with refused(prescriptions.OverPrescribed, number=number, line=0, quantity=1, remaining=0):
        dispense(number, 1)


@pytest.mark.parametrize("quantities", [(), (0,), (0, 0, 0, 0, 0)], ids=str)
def test_dispense__nothing__is_refused(prescriptions, bring_to, dispense, refused, quantities):
    number = bring_to(State.ACCEPTED)

    with refused(prescriptions.NothingDispensed, number=number):
        dispense(number, *quantities)


def test_dispense__six_lines__is_refused(prescriptions, bring_to, dispense, refused):
    number = bring_to(State.ACCEPTED)

    with refused(prescriptions.LinesInvalid, number=number):
        dispense(number, 1, 0, 0, 0, 0, 0)


def test_dispense__by_another_pharmacy__is_refused(
    prescriptions, ids, bring_to, pharmacy, other_pharmacy, dispense, refused
):
    for where in (State.ACCEPTED, State.DISPENSED):
        number = bring_to(where)
        with refused(prescriptions.NotThePharmacy, number=number, pharmacy=ids[pharmacy]):
            dispense(number, 1, by=other_pharmacy)


def test_dispense__last_second_of_the_lease__is_accepted_and_the_next_refused(
    prescriptions, bring_to, dispense, record, refused, chain
):
    number = bring_to(State.ACCEPTED)
    lease_until = record(number).leaseUntil

    chain.pending_timestamp = lease_until
    dispense(number, 1)
    lease_until = record(number).leaseUntil
    chain.pending_timestamp = lease_until + 1
    with refused(prescriptions.LeaseIsOver, number=number, leaseUntil=lease_until):
        dispense(number, 1)

    assert record(number).remaining == [23, 10, 0, 0, 0]


@pytest.mark.parametrize(
    "where", ["NOT_OPENED", "AVAILABLE", "IN_TRANSIT", "DELIVERED", "CANCELLED"]
)
def test_dispense__in_another_state__is_refused(prescriptions, bring_to, dispense, refused, where):
    number = bring_to(State[where])

    with refused(prescriptions.StateForbids, number=number, state=State[where]):
        dispense(number, 1)


def test_dispense__on_a_paused_ledger__is_accepted(
    prescriptions, bring_to, supervisor, dispense, hand_over, deliver, record
):
    number = bring_to(State.ACCEPTED)
    prescriptions.pause(sender=supervisor)

    dispense(number, 24, 10)
    hand_over(number)
    deliver(number)

    assert record(number).state == State.DELIVERED


# Handing over


def test_hand_over__dispensed__is_in_the_couriers_custody(
    prescriptions, ids, bring_to, pharmacy, courier, hand_over, emits, record, lease_period
):
    number, neighbour = bring_to(State.DISPENSED), bring_to(State.DISPENSED)
    before, other = record(number), record(neighbour)

    receipt = hand_over(number)

    custody_until = receipt.timestamp + lease_period
    emits(
        receipt,
        prescriptions.PrescriptionHandedOver(
            number=number,
            pharmacy=ids[pharmacy],
            courier=ids[courier],
            sequence=2,
            leaseUntil=custody_until,
            by=pharmacy,
        ),
    )
    assert record(number) == changed(
        before, courier=ids[courier], leaseUntil=custody_until, state=State.IN_TRANSIT
    )
    assert record(neighbour) == other


def test_hand_over__after_the_lease__is_accepted(bring_to, hand_over, record, chain):
    number = bring_to(State.DISPENSED)

    chain.pending_timestamp = record(number).leaseUntil + 1
    hand_over(number)

    assert record(number).state == State.IN_TRANSIT


def test_hand_over__by_another_pharmacy__is_refused(
    prescriptions, ids, bring_to, pharmacy, other_pharmacy, hand_over, refused
):
    number = bring_to(State.DISPENSED)

    with refused(prescriptions.NotThePharmacy, number=number, pharmacy=ids[pharmacy]):
        hand_over(number, by=other_pharmacy)


def test_hand_over__to_somebody_who_is_no_courier__is_refused(
    prescriptions,
    institutions,
    ids,
    bring_to,
    pharmacy,
    hospital,
    courier,
    supervisor,
    refused,
    record,
):
    number = bring_to(State.DISPENSED)
    institutions.suspend(ids[courier], 1, sender=supervisor)

    for nobody in (ids[hospital], ids[courier], 0, 99):
        with refused(prescriptions.NotACourier, institution=nobody):
            prescriptions.handOver(number, nobody, sender=pharmacy)
    assert record(number).state == State.DISPENSED


@pytest.mark.parametrize(
    "where", ["NOT_OPENED", "AVAILABLE", "ACCEPTED", "IN_TRANSIT", "DELIVERED", "CANCELLED"]
)
def test_hand_over__in_another_state__is_refused(
    prescriptions, bring_to, hand_over, refused, where
):
    number = bring_to(State[where])

    with refused(prescriptions.StateForbids, number=number, state=State[where]):
        hand_over(number)


# Delivering


def test_deliver__everything_by_courier__is_the_end(
    prescriptions, ids, bring_to, courier, stranger, deliver, emits, record
):
    number, neighbour = bring_to(State.IN_TRANSIT), bring_to(State.IN_TRANSIT)
    before, other = record(number), record(neighbour)
    assert not prescriptions.isHandedOver(number)

    receipt = deliver(number)

    emits(
        receipt,
        prescriptions.PrescriptionDelivered(
            number=number,
            courier=ids[courier],
            sequence=3,
            complete=True,
            leaseUntil=0,
            by=stranger,
        ),
    )
    assert record(number) == changed(
        before,
        parcel=NO_LINES,
        courier=0,
        leaseUntil=0,
        deliveredAt=receipt.timestamp,
        sequence=3,
        state=State.DELIVERED,
    )
    assert prescriptions.isHandedOver(number)
    assert record(neighbour) == other


def test_deliver__at_the_counter__names_no_courier(
    prescriptions, bring_to, deliver, stranger, emits, record
):
    number = bring_to(State.DISPENSED)

    receipt = deliver(number)

    emits(
        receipt,
        prescriptions.PrescriptionDelivered(
            number=number, courier=0, sequence=3, complete=True, leaseUntil=0, by=stranger
        ),
    )
    assert record(number).state == State.DELIVERED


def test_deliver__part_of_it__leaves_the_rest_owing_with_a_new_lease(
    prescriptions,
    ids,
    bring_to,
    pharmacy,
    courier,
    stranger,
    dispense,
    hand_over,
    deliver,
    emits,
    record,
    chain,
    lease_period,
):
    number = bring_to(State.ACCEPTED)
    dispense(number, 4)
    hand_over(number)
    before = record(number)
    now = record(number).leaseUntil + 1_000
    chain.pending_timestamp = now

    receipt = deliver(number)

    emits(
        receipt,
        prescriptions.PrescriptionDelivered(
            number=number,
            courier=ids[courier],
            sequence=3,
            complete=False,
            leaseUntil=now + lease_period,
            by=stranger,
        ),
    )
    assert record(number) == changed(
        before,
        parcel=NO_LINES,
        courier=0,
        leaseUntil=now + lease_period,
        sequence=3,
        state=State.ACCEPTED,
    )
    assert not prescriptions.isHandedOver(number)


def test_deliver__several_parcels__add_up_to_what_was_prescribed(
    prescriptions, bring_to, dispense, hand_over, deliver, record, refused
):
    number = bring_to(State.ACCEPTED)

    dispense(number, 4)
    hand_over(number)
    deliver(number, sequence=2)
    dispense(number, 20, 5)
    deliver(number, sequence=4)
    with refused(prescriptions.OverPrescribed, number=number, line=1, quantity=6, remaining=5):
        dispense(number, 0, 6)
    dispense(number, 0, 5)
    hand_over(number)
    deliver(number, sequence=6)

    assert record(number).remaining == NO_LINES
    assert (record(number).sequence, record(number).state) == (7, State.DELIVERED)


def test_deliver__then_return__another_pharmacy_dispenses_the_rest(
    prescriptions,
    ids,
    bring_to,
    other_pharmacy,
    dispense,
    deliver,
    give_back,
    accept,
    record,
    refused,
):
    number = bring_to(State.ACCEPTED)
    dispense(number, 24)
    deliver(number, sequence=2)
    give_back(number)

    accept(number, other_pharmacy, sequence=3)
    with refused(prescriptions.OverPrescribed, number=number, line=0, quantity=1, remaining=0):
        dispense(number, 1, by=other_pharmacy)
    dispense(number, 0, 10, by=other_pharmacy)
    deliver(number, sequence=5)

    assert record(number).state == State.DELIVERED
    assert record(number).pharmacy == ids[other_pharmacy]


def test_deliver__deadline_is_this_second__is_accepted(bring_to, deliver, record, chain):
    number = bring_to(State.IN_TRANSIT)
    now = chain.pending_timestamp + 100

    chain.pending_timestamp = now
    deliver(number, deadline=now)

    assert record(number).state == State.DELIVERED


def test_deliver__deadline_was_a_second_ago__is_refused(
    prescriptions, bring_to, deliver, record, refused, chain
):
    number = bring_to(State.IN_TRANSIT)
    now = chain.pending_timestamp + 100
    chain.pending_timestamp = now

    with refused(prescriptions.AuthorisationExpired, number=number, deadline=now - 1):
        deliver(number, deadline=now - 1)
    assert record(number).state == State.IN_TRANSIT


def test_deliver__courier_suspended_on_the_way__the_patients_word_counts(
    institutions, ids, bring_to, courier, supervisor, deliver, record
):
    number = bring_to(State.IN_TRANSIT)
    institutions.suspend(ids[courier], 1, sender=supervisor)

    deliver(number)

    assert record(number).state == State.DELIVERED


@pytest.mark.parametrize("where", ["NOT_OPENED", "AVAILABLE", "ACCEPTED", "DELIVERED", "CANCELLED"])
def test_deliver__in_another_state__is_refused(
    prescriptions, bring_to, deliver, record, refused, where
):
    number = bring_to(State[where])

    with refused(prescriptions.StateForbids, number=number, state=State[where]):
        deliver(number, sequence=record(number).sequence)


# Failed deliveries


def test_fail__in_transit__gives_the_parcel_back_to_the_pharmacy(
    prescriptions,
    ids,
    bring_to,
    courier,
    other_courier,
    fail,
    hand_over,
    deliver,
    emits,
    record,
    lease_period,
):
    number = bring_to(State.IN_TRANSIT)
    before = record(number)

    receipt = fail(number)

    lease_until = receipt.timestamp + lease_period
    emits(
        receipt,
        prescriptions.DeliveryFailed(
            number=number,
            courier=ids[courier],
            sequence=2,
            reason=REASON,
            leaseUntil=lease_until,
            by=courier,
        ),
    )
    assert record(number) == changed(
        before, courier=0, leaseUntil=lease_until, state=State.DISPENSED
    )
    hand_over(number, to=other_courier)
    deliver(number)
    assert record(number).state == State.DELIVERED


def test_fail__by_another_courier__is_refused(
    prescriptions, ids, bring_to, courier, other_courier, fail, refused
):
    number = bring_to(State.IN_TRANSIT)

    with refused(prescriptions.NotTheCourier, number=number, courier=ids[courier]):
        fail(number, by=other_courier)


@pytest.mark.parametrize(
    "where", ["NOT_OPENED", "AVAILABLE", "ACCEPTED", "DISPENSED", "DELIVERED", "CANCELLED"]
)
def test_fail__in_another_state__is_refused(prescriptions, bring_to, fail, refused, where):
    number = bring_to(State[where])

    with refused(prescriptions.StateForbids, number=number, state=State[where]):
        fail(number)


# Cancelling


@pytest.mark.parametrize("where", ["NOT_OPENED", "AVAILABLE"])
def test_cancel__nobody_has_it__is_cancelled(
    prescriptions, bring_to, hospital, cancel, emits, record, where
):
    number, neighbour = bring_to(State[where]), bring_to(State.AVAILABLE)
    before, other = record(number), record(neighbour)

    receipt = cancel(number)

    emits(
        receipt,
        prescriptions.PrescriptionCancelled(
            number=number, sequence=before.sequence, reason=REASON, by=hospital
        ),
    )
    assert record(number) == changed(before, state=State.CANCELLED)
    assert record(neighbour) == other


def test_cancel__never_accepted__stays_cancelled(
    prescriptions, issue_prescription, pharmacy, cancel, accept, record, refused
):
    number = issue_prescription()

    cancel(number)

    with refused(prescriptions.StateForbids, number=number, state=State.CANCELLED):
        accept(number, pharmacy)
    assert record(number).state == State.CANCELLED


def test_cancel__after_accept__is_refused(
    prescriptions, ids, issue_prescription, pharmacy, cancel, accept, record, refused
):
    number = issue_prescription()

    accept(number, pharmacy)

    with refused(
        prescriptions.PrescriptionIsTaken,
        number=number,
        pharmacy=ids[pharmacy],
        leaseUntil=record(number).leaseUntil,
    ):
        cancel(number)
    assert record(number).state == State.ACCEPTED


def test_cancel__last_second_of_a_lease__is_refused_and_the_next_accepted(
    prescriptions, ids, bring_to, pharmacy, cancel, dispense, record, refused, chain
):
    number = bring_to(State.ACCEPTED)
    lease_until = record(number).leaseUntil

    chain.pending_timestamp = lease_until
    with refused(
        prescriptions.PrescriptionIsTaken,
        number=number,
        pharmacy=ids[pharmacy],
        leaseUntil=lease_until,
    ):
        cancel(number)
    chain.pending_timestamp = lease_until + 1
    cancel(number)

    after = record(number)
    assert (after.pharmacy, after.leaseUntil, after.state) == (0, 0, State.CANCELLED)
    with refused(prescriptions.StateForbids, number=number, state=State.CANCELLED):
        dispense(number, 1)


def test_cancel__returned_with_a_part_delivered__cancels_what_is_owing(
    bring_to, dispense, deliver, give_back, cancel, record
):
    number = bring_to(State.ACCEPTED)
    dispense(number, 24)
    deliver(number)
    give_back(number)

    cancel(number)

    assert record(number).state == State.CANCELLED
    assert record(number).remaining == [0, 10, 0, 0, 0]


@pytest.mark.parametrize("where", ["DISPENSED", "IN_TRANSIT", "DELIVERED", "CANCELLED"])
def test_cancel__in_another_state__is_refused(prescriptions, bring_to, cancel, refused, where):
    number = bring_to(State[where])

    with refused(prescriptions.StateForbids, number=number, state=State[where]):
        cancel(number)


def test_cancel__of_another_hospital_or_segment__is_refused(
    prescriptions,
    ids,
    issue_prescription,
    hospital,
    other_hospital,
    cancel,
    refused,
    record,
    prescription_segment,
    other_prescription_segment,
):
    number = issue_prescription()
    segment, other = prescription_segment.id, other_prescription_segment.id

    with refused(prescriptions.SegmentNotYours, segment=segment, institution=ids[hospital]):
        cancel(number, by=other_hospital)
    with refused(prescriptions.NumberOutsideSegment, number=number, segment=other):
        cancel(number, segment=other, by=other_hospital)
    with refused(prescriptions.NumberNotIssued, number=number + 1):
        cancel(number + 1)
    with refused(prescriptions.SegmentUnknown, segment=99):
        cancel(number, segment=99)
    assert record(number).state == State.NOT_OPENED


# Reading several at once


def test_prescriptions_of__several__answers_in_the_order_asked(prescriptions, bring_to, record):
    first, second = bring_to(State.AVAILABLE), bring_to(State.IN_TRANSIT)

    found = prescriptions.prescriptionsOf([second, 5, first])

    assert [dict(item.items()) for item in found] == [
        vars(record(number)) for number in (second, 5, first)
    ]
    assert prescriptions.prescriptionsOf([]) == []
