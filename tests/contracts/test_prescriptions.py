"""A prescription's life: accept, dispense, hand over, deliver; and all that can go otherwise."""

from __future__ import annotations

from dataclasses import replace

import ape
import pytest
from ape.utils import ZERO_ADDRESS

from medledger.core.states import State

REASON = 5
LARGEST = 2**24 - 1
NO_LINES = (0, 0, 0, 0, 0)


@pytest.fixture
def record(prescriptions):
    return lambda number: prescriptions.prescriptionOf(number)


@ape.fixture(chain_isolation=False, scope="module")
def dispense(prescriptions, pharmacy):
    def act(number, *quantities, by=pharmacy):
        return prescriptions.dispense(number, list(quantities), sender=by)

    return act


@ape.fixture(chain_isolation=False, scope="module")
def hand_over(prescriptions, ids, pharmacy, courier):
    def act(number, to=courier, by=pharmacy):
        return prescriptions.handOver(number, ids[to], sender=by)

    return act


@pytest.fixture
def fail(prescriptions, courier):
    return lambda number, by=courier: prescriptions.failDelivery(number, REASON, sender=by)


@pytest.fixture
def give_back(prescriptions, pharmacy):
    return lambda number, by=pharmacy: prescriptions.returnToPool(number, REASON, sender=by)


@ape.fixture(chain_isolation=False, scope="module")
def cancel(prescriptions, hospital, prescription_segment):
    def act(number, segment=prescription_segment.id, by=hospital):
        return prescriptions.cancel(segment, number, REASON, sender=by)

    return act


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
    stranger,
):
    """Two prescriptions of (24, 10) in each state, by state; made once, for speed."""
    batch = issue_prescriptions(2 * 7)
    found = {}
    for wanted in range(7):
        found[wanted] = [batch.number(2 * wanted), batch.number(2 * wanted + 1)]
        for number in found[wanted]:
            if wanted != State.NOT_OPENED:
                index = number - batch.number()
                prescriptions.open(*batch.proof(index), sender=stranger)
            if wanted == State.CANCELLED:
                cancel(number)
                continue
            if wanted >= State.ACCEPTED:
                accept(number, pharmacy)
            if wanted >= State.DISPENSED:
                dispense(number, 24, 10)
            if wanted >= State.IN_TRANSIT:
                hand_over(number)
            if wanted >= State.DELIVERED:
                deliver(number)
    return found


@pytest.fixture
def bring_to(prepared):
    """The number of a prescription in this state, another one at the second call."""
    left = {wanted: list(numbers) for wanted, numbers in prepared.items()}
    return lambda wanted: left[wanted].pop(0)


# Deploying


def test_deploy__lease_period__is_kept(prescriptions, institutions, lease_period):
    assert prescriptions.leasePeriod() == lease_period
    assert prescriptions.institutions() == institutions


def test_deploy__no_lease_period__is_refused(project, institutions, supervisor, refused):
    with refused(project.Prescriptions.LeasePeriodInvalid):
        project.Prescriptions.deploy(institutions, 0, sender=supervisor)


# Opening


def test_open__prescription_with_its_proof__is_available(
    prescriptions, issue_prescriptions, patient, stranger, emits, record, far_future
):
    batch = issue_prescriptions(3, quantities=(24, 10, 6), on_hold=True)
    number = batch.number(1)
    holder = patient.address("Prescription", number)

    receipt = prescriptions.open(*batch.proof(1), sender=stranger)

    emits(
        receipt,
        prescriptions.PrescriptionOpened(
            number=number,
            patient=holder,
            validUntil=far_future,
            quantities=[24, 10, 6],
            bornOnHold=True,
        ),
    )
    assert record(number) == (
        holder,
        far_future,
        [24, 10, 6, 0, 0],
        0,
        0,
        0,
        0,
        State.AVAILABLE,
    )
    for neighbour in (batch.number(0), batch.number(2)):
        assert record(neighbour) == (ZERO_ADDRESS, 0, list(NO_LINES), 0, 0, 0, 0, State.NOT_OPENED)


def test_open__five_lines_of_the_largest_quantity__keeps_each_apart(
    open_prescription, accept, pharmacy, dispense, record
):
    number = open_prescription(quantities=(LARGEST,) * 5)
    assert record(number).remaining == [LARGEST] * 5
    accept(number, pharmacy)

    dispense(number, LARGEST, 0, 1, LARGEST - 1, 0)

    assert record(number).remaining == [0, LARGEST, LARGEST - 1, 1, LARGEST]


@pytest.mark.parametrize(
    "quantities",
    [(), (1, 1, 1, 1, 1, 1), (0,), (24, 0), (0, 24), (1, 1, 1, 1, 0)],
    ids=str,
)
def test_open__no_line_or_six_or_one_without_quantity__is_refused(
    prescriptions, issue_prescriptions, stranger, refused, record, quantities
):
    batch = issue_prescriptions(1, quantities=quantities)

    with refused(prescriptions.LinesInvalid, number=batch.number()):
        prescriptions.open(*batch.proof(), sender=stranger)
    assert record(batch.number()).state == State.NOT_OPENED


def test_open__header_without_patient__is_refused(
    prescriptions, issue_prescriptions, stranger, refused
):
    batch = issue_prescriptions(1, holder=ZERO_ADDRESS)

    with refused(prescriptions.PatientMissing, number=batch.number()):
        prescriptions.open(*batch.proof(), sender=stranger)


def test_open__while_paused__is_refused(
    prescriptions, issue_prescriptions, supervisor, stranger, refused
):
    batch = issue_prescriptions(1)
    prescriptions.pause(sender=supervisor)

    with refused(prescriptions.EnforcedPause):
        prescriptions.open(*batch.proof(), sender=stranger)


def test_open__again_while_dispensing__changes_nothing(
    prescriptions,
    issue_prescriptions,
    pharmacy,
    stranger,
    authorise_accept,
    dispense,
    emits,
    refused,
    record,
    far_future,
):
    batch = issue_prescriptions(2)
    number = batch.number()
    signature = authorise_accept(number, pharmacy)
    prescriptions.openAndAccept(*batch.proof(), far_future, signature, sender=pharmacy)
    dispense(number, 20)
    before = record(number)

    receipt = prescriptions.open(*batch.proof(), sender=stranger)

    emits(receipt)
    assert record(number) == before
    header, head, _ = batch.proof()
    with refused(prescriptions.ProofInvalid, number=number):
        prescriptions.open(header, head, batch.paths[1], sender=stranger)


# Accepting


def test_accept__available__is_taken_for_the_lease(
    prescriptions, ids, open_prescription, pharmacy, accept, emits, record, lease_period
):
    number, neighbour = open_prescription(), open_prescription()
    before, other = record(number), record(neighbour)

    receipt = accept(number, pharmacy)

    lease_until = receipt.timestamp + lease_period
    emits(
        receipt,
        prescriptions.PrescriptionAccepted(
            number=number, pharmacy=ids[pharmacy], leaseUntil=lease_until, by=pharmacy
        ),
    )
    assert record(number) == (
        before.patient,
        before.validUntil,
        before.remaining,
        ids[pharmacy],
        0,
        lease_until,
        1,
        State.ACCEPTED,
    )
    assert record(neighbour) == other


def test_open_and_accept__not_opened__does_both(
    prescriptions,
    ids,
    issue_prescriptions,
    pharmacy,
    authorise_accept,
    emits,
    record,
    far_future,
    lease_period,
):
    batch = issue_prescriptions(2)
    header = batch.headers[1]
    signature = authorise_accept(header.number, pharmacy)

    receipt = prescriptions.openAndAccept(*batch.proof(1), far_future, signature, sender=pharmacy)

    emits(
        receipt,
        prescriptions.PrescriptionOpened(
            number=header.number,
            patient=header.patient,
            validUntil=far_future,
            quantities=[24, 10],
            bornOnHold=False,
        ),
        prescriptions.PrescriptionAccepted(
            number=header.number,
            pharmacy=ids[pharmacy],
            leaseUntil=receipt.timestamp + lease_period,
            by=pharmacy,
        ),
    )
    assert record(header.number).state == State.ACCEPTED
    assert record(batch.number(0)).state == State.NOT_OPENED


def test_open_and_accept__opened_already__accepts(
    prescriptions, issue_prescriptions, pharmacy, stranger, authorise_accept, record, far_future
):
    batch = issue_prescriptions(1)
    prescriptions.open(*batch.proof(), sender=stranger)
    signature = authorise_accept(batch.number(), pharmacy)

    receipt = prescriptions.openAndAccept(*batch.proof(), far_future, signature, sender=pharmacy)

    assert [event.event_name for event in receipt.events] == ["PrescriptionAccepted"]
    assert record(batch.number()).state == State.ACCEPTED


def test_open_and_accept__forged_header__is_refused(
    prescriptions, issue_prescriptions, pharmacy, authorise_accept, refused, far_future
):
    batch = issue_prescriptions(1)
    forged = replace(batch.headers[0], quantities=(240, 10))
    signature = authorise_accept(batch.number(), pharmacy)

    with refused(prescriptions.ProofInvalid, number=batch.number()):
        prescriptions.openAndAccept(
            forged.as_abi(), batch.head.as_abi(), [], far_future, signature, sender=pharmacy
        )


@pytest.mark.parametrize("by", ["pharmacy", "other_pharmacy"])
def test_accept__taken__is_refused_to_everybody(
    prescriptions, ids, roles, open_prescription, pharmacy, accept, record, refused, by
):
    number = open_prescription()
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


def test_accept__last_second_of_anothers_lease__is_refused_and_the_next_takes_over(
    prescriptions,
    ids,
    open_prescription,
    pharmacy,
    other_pharmacy,
    accept,
    dispense,
    give_back,
    record,
    refused,
    chain,
    lease_period,
):
    number = open_prescription()
    accept(number, pharmacy)
    lease_until = record(number).leaseUntil

    chain.pending_timestamp = lease_until
    with refused(
        prescriptions.PrescriptionIsTaken,
        number=number,
        pharmacy=ids[pharmacy],
        leaseUntil=lease_until,
    ):
        accept(number, other_pharmacy, sequence=1)
    chain.pending_timestamp = lease_until + 1
    accept(number, other_pharmacy, sequence=1)

    taken = record(number)
    assert (taken.pharmacy, taken.sequence, taken.state) == (
        ids[other_pharmacy],
        2,
        State.ACCEPTED,
    )
    assert taken.leaseUntil == lease_until + 1 + lease_period
    for late in (lambda: dispense(number, 24), lambda: give_back(number)):
        with refused(prescriptions.NotThePharmacy, number=number, pharmacy=ids[other_pharmacy]):
            late()
    dispense(number, 24, 10, by=other_pharmacy)


def test_accept__own_lease_over__is_renewed_with_a_new_signature(
    ids, open_prescription, pharmacy, accept, record, chain
):
    number = open_prescription()
    accept(number, pharmacy)

    chain.pending_timestamp = record(number).leaseUntil + 1
    accept(number, pharmacy, sequence=1)

    assert (record(number).pharmacy, record(number).sequence) == (ids[pharmacy], 2)


def test_accept__last_second_of_validity__is_accepted(
    open_prescription, pharmacy, accept, record, chain
):
    end = chain.pending_timestamp + 1_000
    number = open_prescription(valid_until=end)

    chain.pending_timestamp = end
    accept(number, pharmacy)

    assert record(number).state == State.ACCEPTED


def test_accept__a_second_after_validity__is_refused(
    prescriptions, open_prescription, pharmacy, accept, record, refused, chain
):
    end = chain.pending_timestamp + 1_000
    number = open_prescription(valid_until=end)
    chain.pending_timestamp = end + 1

    with refused(prescriptions.PrescriptionIsExpired, number=number, validUntil=end):
        accept(number, pharmacy)
    assert record(number).state == State.AVAILABLE


def test_accept__take_over_after_validity__is_refused(
    prescriptions, open_prescription, pharmacy, other_pharmacy, accept, record, refused, chain
):
    end = chain.pending_timestamp + 1_000
    number = open_prescription(valid_until=end)
    accept(number, pharmacy)
    chain.pending_timestamp = record(number).leaseUntil + 1

    with refused(prescriptions.PrescriptionIsExpired, number=number, validUntil=end):
        accept(number, other_pharmacy, sequence=1)


def test_accept__held_prescription__is_refused_until_released(
    prescriptions,
    open_prescription,
    hospital,
    pharmacy,
    accept,
    record,
    refused,
    prescription_segment,
):
    number = open_prescription(on_hold=True)
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
    prescriptions, open_prescription, supervisor, pharmacy, accept, refused
):
    number = open_prescription()
    prescriptions.pause(sender=supervisor)

    with refused(prescriptions.EnforcedPause):
        accept(number, pharmacy)


def test_accept__deadline_is_this_second__is_accepted(
    open_prescription, pharmacy, accept, record, chain
):
    number = open_prescription()
    now = chain.pending_timestamp + 100

    chain.pending_timestamp = now
    accept(number, pharmacy, deadline=now)

    assert record(number).state == State.ACCEPTED


def test_accept__deadline_was_a_second_ago__is_refused(
    prescriptions, open_prescription, pharmacy, accept, refused, chain
):
    number = open_prescription()
    now = chain.pending_timestamp + 100
    chain.pending_timestamp = now

    with refused(prescriptions.AuthorisationExpired, number=number, deadline=now - 1):
        accept(number, pharmacy, deadline=now - 1)


@pytest.mark.parametrize(
    "where", ["NOT_OPENED", "DISPENSED", "IN_TRANSIT", "DELIVERED", "CANCELLED"]
)
def test_accept__in_another_state__is_refused(
    prescriptions, bring_to, other_pharmacy, accept, record, refused, where
):
    found = State[where]
    number = bring_to(found)
    before = record(number)

    with refused(prescriptions.StateForbids, number=number, state=found):
        accept(number, other_pharmacy, sequence=before.sequence)
    assert record(number) == before


# Returning to the pool


def test_return__accepted__is_available_to_another_pharmacy(
    prescriptions, ids, bring_to, pharmacy, other_pharmacy, accept, give_back, emits, record
):
    number = bring_to(State.ACCEPTED)

    receipt = give_back(number)

    emits(
        receipt,
        prescriptions.PrescriptionReturned(
            number=number, pharmacy=ids[pharmacy], reason=REASON, by=pharmacy
        ),
    )
    returned = record(number)
    assert returned[2:] == ([24, 10, 0, 0, 0], 0, 0, 0, 1, State.AVAILABLE)
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
    prescriptions, ids, bring_to, pharmacy, dispense, emits, record
):
    number, neighbour = bring_to(State.ACCEPTED), bring_to(State.ACCEPTED)
    before, other = record(number), record(neighbour)

    receipt = dispense(number, 24, 10)

    emits(
        receipt,
        prescriptions.PrescriptionDispensed(
            number=number, pharmacy=ids[pharmacy], quantities=[24, 10], by=pharmacy
        ),
    )
    after = record(number)
    assert after.remaining == list(NO_LINES)
    assert after.state == State.DISPENSED
    assert (after.pharmacy, after.leaseUntil, after.sequence, after.courier) == (
        ids[pharmacy],
        before.leaseUntil,
        1,
        0,
    )
    assert record(neighbour) == other


def test_dispense__in_parts__adds_up_within_the_lease(bring_to, dispense, record):
    number = bring_to(State.ACCEPTED)

    dispense(number, 4)
    assert record(number).remaining == [20, 10, 0, 0, 0]
    dispense(number, 0, 10)
    assert record(number).remaining == [20, 0, 0, 0, 0]
    dispense(number, 20, 0, 0, 0, 0)

    assert record(number).remaining == list(NO_LINES)
    assert record(number).state == State.DISPENSED


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
    assert record(number).remaining == [24, 10, 0, 0, 0]
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
    prescriptions, ids, bring_to, pharmacy, courier, hand_over, emits, record
):
    number, neighbour = bring_to(State.DISPENSED), bring_to(State.DISPENSED)
    before, other = record(number), record(neighbour)

    receipt = hand_over(number)

    emits(
        receipt,
        prescriptions.PrescriptionHandedOver(
            number=number, pharmacy=ids[pharmacy], courier=ids[courier], by=pharmacy
        ),
    )
    after = record(number)
    assert (after.courier, after.state) == (ids[courier], State.IN_TRANSIT)
    assert after[:4] == before[:4]
    assert (after.leaseUntil, after.sequence) == (before.leaseUntil, before.sequence)
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

    receipt = deliver(number)

    emits(
        receipt,
        prescriptions.PrescriptionDelivered(
            number=number, courier=ids[courier], complete=True, leaseUntil=0, by=stranger
        ),
    )
    assert record(number) == (
        before.patient,
        before.validUntil,
        list(NO_LINES),
        before.pharmacy,
        0,
        0,
        2,
        State.DELIVERED,
    )
    assert record(neighbour) == other


def test_deliver__at_the_counter__names_no_courier(
    prescriptions, bring_to, deliver, stranger, emits, record
):
    number = bring_to(State.DISPENSED)

    receipt = deliver(number)

    emits(
        receipt,
        prescriptions.PrescriptionDelivered(
            number=number, courier=0, complete=True, leaseUntil=0, by=stranger
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
    now = record(number).leaseUntil + 1_000
    chain.pending_timestamp = now

    receipt = deliver(number)

    emits(
        receipt,
        prescriptions.PrescriptionDelivered(
            number=number,
            courier=ids[courier],
            complete=False,
            leaseUntil=now + lease_period,
            by=stranger,
        ),
    )
    owing = record(number)
    assert owing[2:] == (
        [20, 10, 0, 0, 0],
        ids[pharmacy],
        0,
        now + lease_period,
        2,
        State.ACCEPTED,
    )


def test_deliver__several_parcels__add_up_to_what_was_prescribed(
    prescriptions, bring_to, dispense, hand_over, deliver, record, refused
):
    number = bring_to(State.ACCEPTED)

    dispense(number, 4)
    hand_over(number)
    deliver(number, sequence=1)
    dispense(number, 20, 5)
    deliver(number, sequence=2)
    with refused(prescriptions.OverPrescribed, number=number, line=1, quantity=6, remaining=5):
        dispense(number, 0, 6)
    dispense(number, 0, 5)
    hand_over(number)
    deliver(number, sequence=3)

    assert record(number).remaining == list(NO_LINES)
    assert (record(number).sequence, record(number).state) == (4, State.DELIVERED)


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
    deliver(number, sequence=1)
    give_back(number)

    accept(number, other_pharmacy, sequence=2)
    with refused(prescriptions.OverPrescribed, number=number, line=0, quantity=1, remaining=0):
        dispense(number, 1, by=other_pharmacy)
    dispense(number, 0, 10, by=other_pharmacy)
    deliver(number, sequence=3)

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
    prescriptions, ids, bring_to, courier, other_courier, fail, hand_over, deliver, emits, record
):
    number = bring_to(State.IN_TRANSIT)
    before = record(number)

    receipt = fail(number)

    emits(
        receipt,
        prescriptions.DeliveryFailed(
            number=number, courier=ids[courier], reason=REASON, by=courier
        ),
    )
    after = record(number)
    assert (after.courier, after.state) == (0, State.DISPENSED)
    assert after[:4] == before[:4]
    assert (after.leaseUntil, after.sequence) == (before.leaseUntil, before.sequence)
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
        prescriptions.PrescriptionCancelled(number=number, reason=REASON, by=hospital),
    )
    after = record(number)
    assert after[:7] == before[:7]
    assert after.state == State.CANCELLED
    assert record(neighbour) == other


def test_cancel__before_opening__opens_as_cancelled(
    prescriptions, issue_prescriptions, pharmacy, stranger, cancel, accept, record, refused
):
    batch = issue_prescriptions(1)
    cancel(batch.number())

    prescriptions.open(*batch.proof(), sender=stranger)

    assert record(batch.number()).state == State.CANCELLED
    assert record(batch.number()).remaining == [24, 10, 0, 0, 0]
    with refused(prescriptions.StateForbids, number=batch.number(), state=State.CANCELLED):
        accept(batch.number(), pharmacy)


def test_cancel__before_accept__stops_the_acceptance(
    prescriptions, open_prescription, pharmacy, cancel, accept, refused
):
    number = open_prescription()

    cancel(number)

    with refused(prescriptions.StateForbids, number=number, state=State.CANCELLED):
        accept(number, pharmacy)


def test_cancel__after_accept__is_refused(
    prescriptions, ids, open_prescription, pharmacy, cancel, accept, record, refused
):
    number = open_prescription()

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
    open_prescription,
    hospital,
    other_hospital,
    cancel,
    refused,
    record,
    prescription_segment,
    other_prescription_segment,
):
    number = open_prescription()
    segment, other = prescription_segment.id, other_prescription_segment.id

    with refused(prescriptions.SegmentNotYours, segment=segment, institution=ids[hospital]):
        cancel(number, by=other_hospital)
    with refused(prescriptions.NumberOutsideSegment, number=number, segment=other):
        cancel(number, segment=other, by=other_hospital)
    with refused(prescriptions.NumberNotIssued, number=number + 1):
        cancel(number + 1)
    with refused(prescriptions.SegmentUnknown, segment=99):
        cancel(number, segment=99)
    assert record(number).state == State.AVAILABLE


# Reading several at once


def test_prescriptions_of__several__answers_in_the_order_asked(prescriptions, bring_to, record):
    first, second = bring_to(State.AVAILABLE), bring_to(State.IN_TRANSIT)

    found = prescriptions.prescriptionsOf([second, 5, first])

    assert found == [record(second), record(5), record(first)]
    assert prescriptions.prescriptionsOf([]) == []
