"""What rules a prescription beside its life: policies, review, repeats, custody, requests."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from ape.utils import ZERO_ADDRESS

from medledger.core.hashing import keccak256
from medledger.core.states import State

DAY = 24 * 3600
REASON = 5
AUTHORED_AT = 1_700_000_000
FAR_FUTURE = 4_102_444_800
NO_LINES = [0, 0, 0, 0, 0]
ITEMS, REVIEW = keccak256(b"items"), keccak256(b"review")
CONTROLLED = 7
ORDINARY = {
    "maxValidity": 2**32 - 1,
    "maxRepeats": 2**8 - 1,
    "maxQuantity": 2**16 - 1,
    "withdrawMinutes": 24 * 60,
    "courierAllowed": True,
    "secondApprover": False,
    "licenceDemanded": False,
}


def changed(before, **changes):
    return SimpleNamespace(**{**vars(before), **changes})


@pytest.fixture
def set_policy(policies, supervisor):
    """A row like the ordinary one, with these differences."""

    def act(drug_class=CONTROLLED, by=supervisor, **rules):
        return policies.setPolicy(drug_class, *(ORDINARY | rules).values(), sender=by)

    return act


@pytest.fixture
def accepted(issue_prescription, accept, pharmacy):
    """The number of a prescription of (24, 10) that the pharmacy has."""

    def make(**terms):
        number = issue_prescription(**terms)
        accept(number, pharmacy)
        return number

    return make


@pytest.fixture
def dispensed(accepted, dispense):
    def make(*quantities, **terms):
        number = accepted(**terms)
        dispense(number, *(quantities or (24, 10)))
        return number

    return make


@pytest.fixture
def in_transit(dispensed, hand_over):
    def make(*quantities, **terms):
        number = dispensed(*quantities, **terms)
        hand_over(number)
        return number

    return make


@pytest.fixture
def request_cancel(prescriptions, hospital, prescription_segment):
    def act(number, segment=prescription_segment.id, by=hospital):
        return prescriptions.requestCancel(segment, number, REASON, sender=by)

    return act


@pytest.fixture
def withdraw(prescriptions, pharmacy):
    return lambda number, by=pharmacy: prescriptions.withdrawDispensing(number, REASON, sender=by)


# Policies


def test_policies__from_the_start__class_0_limits_nothing(policies, institutions, licences):
    assert dict(policies.policyOf(0).items()) == ORDINARY
    assert policies.policyOf(1).maxValidity == 0
    assert (policies.institutions(), policies.licences()) == (institutions, licences)


def test_policies__licences_of_other_institutions__are_refused(
    project, licences, supervisor, refused
):
    others = project.Institutions.deploy(bytes(32), 0, supervisor, sender=supervisor)

    with refused(project.PrescriptionPolicies.InstitutionsMismatch, other=licences):
        project.PrescriptionPolicies.deploy(others, licences, sender=supervisor)


def test_set_policy__by_a_supervisor__is_the_row(policies, supervisor, set_policy, emits):
    rules = ORDINARY | {"maxValidity": 3 * DAY, "maxRepeats": 0, "courierAllowed": False}

    receipt = set_policy(**rules)

    emits(receipt, policies.PolicySet(drugClass=CONTROLLED, **rules, by=supervisor))
    assert dict(policies.policyOf(CONTROLLED).items()) == rules
    assert dict(policies.policyOf(0).items()) == ORDINARY


@pytest.mark.parametrize("rule", ["maxValidity", "maxQuantity"])
def test_set_policy__that_allows_nothing__is_refused(policies, set_policy, refused, rule):
    with refused(policies.PolicyInvalid, drugClass=CONTROLLED):
        set_policy(**{rule: 0})


def test_set_policy__by_a_hospital__is_refused(institutions, ids, set_policy, hospital, refused):
    with refused(institutions.KindMissing, institution=ids[hospital], kind=16):
        set_policy(by=hospital)


def test_accept__unknown_drug_class__is_refused(
    policies, issue_prescription, pharmacy, accept, refused
):
    number = issue_prescription(drug_class=99)

    with refused(policies.DrugClassUnknown, number=number, drugClass=99):
        accept(number, pharmacy)


def test_accept__validity_of_the_policy__is_the_longest(
    policies, set_policy, issue_prescription, pharmacy, accept, record, refused, chain
):
    set_policy(maxValidity=3 * DAY)
    now = chain.pending_timestamp
    longest = {"drug_class": CONTROLLED, "authored_at": now, "valid_until": now + 3 * DAY}
    longer = longest | {"valid_until": now + 3 * DAY + 1}
    number, too_long = issue_prescription(**longest), issue_prescription(**longer)

    with refused(
        policies.ValidityTooLong,
        number=too_long,
        authoredAt=now,
        validUntil=now + 3 * DAY + 1,
        maxValidity=3 * DAY,
    ):
        accept(too_long, pharmacy)
    accept(number, pharmacy)

    assert record(number).state == State.ACCEPTED


def test_accept__before_it_is_authored__is_refused(
    policies, issue_prescription, pharmacy, accept, record, refused, chain
):
    authored_at = chain.pending_timestamp + 1_000
    number = issue_prescription(authored_at=authored_at)
    chain.pending_timestamp = authored_at - 1

    with refused(policies.NotYetAuthored, number=number, authoredAt=authored_at):
        accept(number, pharmacy)
    chain.pending_timestamp = authored_at
    accept(number, pharmacy)

    assert record(number).state == State.ACCEPTED


def test_accept__more_repeats_than_the_policy__is_refused(
    policies, set_policy, issue_prescription, pharmacy, accept, record, refused
):
    set_policy(maxRepeats=1)
    number, too_often = (
        issue_prescription(drug_class=CONTROLLED, repeats=repeats) for repeats in (1, 2)
    )

    with refused(policies.TooManyRepeats, number=too_often, repeats=2, maxRepeats=1):
        accept(too_often, pharmacy)
    accept(number, pharmacy)

    assert record(number).repeatsLeft == 1


@pytest.mark.parametrize("place", [0, 1, 2])
def test_accept__a_line_above_the_policy__is_refused(
    policies, set_policy, issue_prescription, pharmacy, accept, record, refused, place
):
    set_policy(maxQuantity=30)
    quantities = ([quantity if line == place else 24 for line in range(3)] for quantity in (30, 31))
    number, too_much = (
        issue_prescription(drug_class=CONTROLLED, quantities=tuple(each)) for each in quantities
    )

    with refused(policies.QuantityTooLarge, number=too_much, quantity=31, maxQuantity=30):
        accept(too_much, pharmacy)
    accept(number, pharmacy)

    assert record(number).state == State.ACCEPTED


def test_set_policy__after_an_acceptance__does_not_touch_it(
    set_policy, issue_prescription, accepted, accept, dispense, hand_over, record
):
    set_policy()
    number = accepted(drug_class=CONTROLLED, repeats=3)
    before = record(number)

    set_policy(
        maxValidity=1,
        maxRepeats=0,
        maxQuantity=1,
        withdrawMinutes=0,
        courierAllowed=False,
        secondApprover=True,
        licenceDemanded=True,
    )

    assert record(number) == before
    dispense(number, 24, 10)
    hand_over(number)
    assert record(number).state == State.IN_TRANSIT


def test_set_policy__before_the_next_acceptance__counts(
    set_policy, accepted, give_back, pharmacy, accept, record
):
    set_policy()
    number = accepted(drug_class=CONTROLLED)
    give_back(number)
    before = record(number)
    assert (before.courierAllowed, before.withdrawMinutes) == (True, 24 * 60)

    set_policy(courierAllowed=False, secondApprover=True, withdrawMinutes=9)
    accept(number, pharmacy, sequence=1)

    after = record(number)
    assert (after.courierAllowed, after.secondApprover, after.withdrawMinutes) == (False, True, 9)


# The prescriber's licence


def test_accept__licence_valid_at_the_second_of_signing__is_accepted(
    open_licence, set_policy, accepted, record
):
    set_policy(licenceDemanded=True)
    licence = open_licence(valid_from=AUTHORED_AT, valid_until=AUTHORED_AT)

    number = accepted(drug_class=CONTROLLED, licence=licence)

    assert record(number).state == State.ACCEPTED


def test_accept__licence_suspended_after_signing__is_accepted(
    licences, licence_segment, open_licence, authority, set_policy, accepted, record
):
    set_policy(licenceDemanded=True)
    licence = open_licence()
    licences.suspend(licence_segment.id, licence, 1, sender=authority)

    number = accepted(drug_class=CONTROLLED, licence=licence)

    assert record(number).state == State.ACCEPTED


@pytest.mark.parametrize(
    ("valid_from", "valid_until"),
    [(AUTHORED_AT + 1, FAR_FUTURE), (1, AUTHORED_AT - 1)],
    ids=["not yet", "not any more"],
)
def test_accept__licence_not_valid_when_signed__is_refused(
    policies,
    set_policy,
    open_licence,
    issue_prescription,
    pharmacy,
    accept,
    refused,
    valid_from,
    valid_until,
):
    set_policy(licenceDemanded=True)
    licence = open_licence(valid_from=valid_from, valid_until=valid_until)
    number = issue_prescription(drug_class=CONTROLLED, licence=licence)

    with refused(policies.LicenceNotValid, number=number, licence=licence, authoredAt=AUTHORED_AT):
        accept(number, pharmacy)


def test_accept__licence_suspended_when_signed__is_refused(
    chain,
    licences,
    licence_segment,
    authority,
    policies,
    set_policy,
    open_licence,
    issue_prescription,
    pharmacy,
    accept,
    refused,
):
    set_policy(licenceDemanded=True)
    licence = open_licence()
    licences.suspend(licence_segment.id, licence, 1, sender=authority)
    signed_at = chain.blocks.head.timestamp
    number = issue_prescription(drug_class=CONTROLLED, licence=licence, authored_at=signed_at)

    with refused(policies.LicenceNotValid, number=number, licence=licence, authoredAt=signed_at):
        accept(number, pharmacy)


def test_accept__licence_that_nobody_opened__is_refused(
    policies, set_policy, issue_licences, issue_prescription, pharmacy, accept, refused
):
    set_policy(licenceDemanded=True)
    licence = issue_licences(1).number()
    number = issue_prescription(drug_class=CONTROLLED, licence=licence)

    with refused(policies.LicenceNotValid, number=number, licence=licence, authoredAt=AUTHORED_AT):
        accept(number, pharmacy)


def test_require_allowed__licence_demanded_and_nowhere_to_look__is_refused(
    project, institutions, supervisor, stranger, refused
):
    alone = project.PrescriptionPolicies.deploy(institutions, ZERO_ADDRESS, sender=supervisor)
    rules = ORDINARY | {"licenceDemanded": True}
    alone.setPolicy(CONTROLLED, *rules.values(), sender=supervisor)
    terms = (AUTHORED_AT, AUTHORED_AT, 0, 1, 55)

    with refused(alone.LicencesMissing, number=1):
        alone.requireAllowed.transact(1, CONTROLLED, *terms, sender=stranger)
    assert alone.requireAllowed(1, 0, *terms).courierAllowed


# Review


def test_review__by_the_pharmacy__is_recorded(
    prescriptions, ids, accepted, pharmacy, emits, record
):
    number = accepted()
    before = record(number)

    receipt = prescriptions.review(number, REVIEW, sender=pharmacy)

    emits(
        receipt,
        prescriptions.PrescriptionReviewed(
            number=number, pharmacy=ids[pharmacy], sequence=1, record=REVIEW, by=pharmacy
        ),
    )
    assert record(number) == changed(before, reviewed=True)


def test_review__without_a_record__is_refused(prescriptions, accepted, pharmacy, refused):
    number = accepted()

    with refused(prescriptions.ReviewMissing, number=number):
        prescriptions.review(number, bytes(32), sender=pharmacy)


def test_review__by_another_pharmacy_or_in_another_state__is_refused(
    prescriptions, ids, accepted, in_transit, pharmacy, other_pharmacy, refused
):
    number, gone = accepted(), in_transit()

    with refused(prescriptions.NotThePharmacy, number=number, pharmacy=ids[pharmacy]):
        prescriptions.review(number, REVIEW, sender=other_pharmacy)
    with refused(prescriptions.StateForbids, number=gone, state=State.IN_TRANSIT):
        prescriptions.review(gone, REVIEW, sender=pharmacy)


def test_dispense__not_reviewed__is_refused(prescriptions, accepted, pharmacy, dispense, refused):
    number = accepted()

    with refused(prescriptions.ReviewMissing, number=number):
        dispense(number, 24, record=bytes(32))
    prescriptions.review(number, REVIEW, sender=pharmacy)
    dispense(number, 24, record=bytes(32))


def test_dispense__reviewed_by_the_pharmacy_before__is_not_reviewed(
    prescriptions,
    accepted,
    pharmacy,
    other_pharmacy,
    give_back,
    accept,
    dispense,
    record,
    refused,
):
    number = accepted()
    prescriptions.review(number, REVIEW, sender=pharmacy)
    give_back(number)
    accept(number, other_pharmacy, sequence=1)

    assert not record(number).reviewed
    with refused(prescriptions.ReviewMissing, number=number):
        dispense(number, 24, by=other_pharmacy, record=bytes(32))


@pytest.fixture
def second_key(add_operator, ids, pharmacy, new_account):
    """Another operator of the pharmacy."""
    account = new_account()
    add_operator(ids[pharmacy], account, sender=pharmacy)
    return account


def test_dispense__second_approver_by_policy__is_another_operator(
    prescriptions, set_policy, accepted, pharmacy, second_key, dispense, record, refused
):
    set_policy(secondApprover=True)
    number = accepted(drug_class=CONTROLLED)

    with refused(prescriptions.ReviewMissing, number=number):
        dispense(number, 24)
    prescriptions.review(number, REVIEW, sender=pharmacy)
    with refused(prescriptions.SecondApproverMissing, number=number, operator=pharmacy):
        dispense(number, 24)
    dispense(number, 24, by=second_key)

    assert record(number).state == State.DISPENSED


# Substitution, lots and approval numbers


def test_dispense__substitution_that_is_allowed__is_recorded(
    prescriptions, accepted, dispense, record
):
    number = accepted(substitutable=0b10)

    receipt = dispense(number, 24, 10, substituted=0b10)

    (event,) = receipt.events
    assert (event.substituted, event.items) == (0b10, ITEMS)


@pytest.mark.parametrize("substituted", [0b01, 0b11, 0b100, 0b100000, 0b11111111])
def test_dispense__substitution_that_is_not_allowed__is_refused(
    prescriptions, accepted, dispense, refused, substituted
):
    number = accepted(substitutable=0b11100010)

    with refused(prescriptions.SubstitutionForbidden, number=number, substituted=substituted):
        dispense(number, 24, 10, substituted=substituted)


def test_dispense__substitution_of_a_line_that_is_not_dispensed__is_refused(
    prescriptions, accepted, dispense, refused
):
    number = accepted(substitutable=0b11)

    with refused(prescriptions.SubstitutionForbidden, number=number, substituted=0b11):
        dispense(number, 24, substituted=0b11)
    with refused(prescriptions.SubstitutionForbidden, number=number, substituted=0b1):
        dispense(number, 0, 10, substituted=0b1)


def test_dispense__lots_not_committed_to__is_refused(prescriptions, accepted, dispense, refused):
    number = accepted()

    with refused(prescriptions.ItemsMissing, number=number):
        dispense(number, 24, items=bytes(32))


# Repeats


@pytest.fixture
def filled(dispensed, deliver):
    """A prescription of three fills, five days apart, of which the first is delivered."""

    def make(**terms):
        number = dispensed(**({"repeats": 2, "interval": 5 * DAY} | terms))
        deliver(number)
        return number

    return make


def test_accept__next_fill__begins_anew_with_one_repeat_less(
    prescriptions, ids, filled, other_pharmacy, accept, emits, record, chain, lease_period
):
    number = filled()
    before = record(number)
    assert prescriptions.isHandedOver(number)
    now = before.deliveredAt + 5 * DAY
    chain.pending_timestamp = now

    receipt = accept(number, other_pharmacy, sequence=3)

    emits(
        receipt,
        prescriptions.PrescriptionAccepted(
            number=number,
            pharmacy=ids[other_pharmacy],
            sequence=4,
            leaseUntil=now + lease_period,
            by=other_pharmacy,
        ),
    )
    assert record(number) == changed(
        before,
        remaining=[24, 10, 0, 0, 0],
        pharmacy=ids[other_pharmacy],
        leaseUntil=now + lease_period,
        deliveredAt=0,
        sequence=4,
        state=State.ACCEPTED,
        repeatsLeft=1,
    )
    assert not prescriptions.isHandedOver(number)


def test_deliver__confirmation_of_the_fill_before__is_refused(
    prescriptions,
    dispensed,
    dispense,
    confirm_delivery,
    pharmacy,
    stranger,
    accept,
    record,
    refused,
):
    number = dispensed(repeats=1)
    confirmation = confirm_delivery(number)
    prescriptions.deliver(number, FAR_FUTURE, confirmation, sender=stranger)
    with refused(prescriptions.StateForbids, number=number, state=State.DELIVERED):
        prescriptions.deliver(number, FAR_FUTURE, confirmation, sender=stranger)
    accept(number, pharmacy, sequence=3)
    dispense(number, 24, 10)
    patient = record(number).patient

    with refused(prescriptions.AuthorisationInvalid, number=number, patient=patient):
        prescriptions.deliver(number, FAR_FUTURE, confirmation, sender=stranger)


def test_accept__next_fill_before_the_interval__is_refused(
    prescriptions, filled, pharmacy, accept, record, refused, chain
):
    number = filled()
    earliest = record(number).deliveredAt + 5 * DAY
    chain.pending_timestamp = earliest - 1

    with refused(prescriptions.RepeatTooEarly, number=number, earliest=earliest):
        accept(number, pharmacy, sequence=3)


def test_accept__more_fills_than_prescribed__is_refused(
    prescriptions, filled, pharmacy, accept, dispense, deliver, record, refused
):
    number = filled(repeats=1, interval=0)
    accept(number, pharmacy, sequence=3)
    dispense(number, 24, 10)
    deliver(number, sequence=5)

    assert record(number).repeatsLeft == 0
    with refused(prescriptions.StateForbids, number=number, state=State.DELIVERED):
        accept(number, pharmacy, sequence=6)


def test_accept__next_fill_after_validity__is_refused(
    prescriptions, filled, pharmacy, accept, refused, chain
):
    end = chain.pending_timestamp + 5 * DAY
    number = filled(valid_until=end)
    chain.pending_timestamp = end + DAY

    with refused(prescriptions.PrescriptionIsExpired, number=number, validUntil=end):
        accept(number, pharmacy, sequence=3)


def test_accept__next_fill_of_a_partly_delivered_one__is_refused(
    prescriptions, ids, dispensed, deliver, pharmacy, other_pharmacy, accept, record, refused
):
    number = dispensed(24, repeats=2)
    deliver(number)

    with refused(
        prescriptions.PrescriptionIsTaken,
        number=number,
        pharmacy=ids[pharmacy],
        leaseUntil=record(number).leaseUntil,
    ):
        accept(number, other_pharmacy, sequence=3)
    assert record(number).repeatsLeft == 2


def test_cancel__repeats_of_a_delivered_fill__leaves_it_delivered(
    prescriptions, hospital, filled, pharmacy, accept, cancel, emits, record, refused
):
    number = filled()
    before = record(number)

    receipt = cancel(number)

    emits(
        receipt,
        prescriptions.RepeatsCancelled(
            number=number, sequence=3, repeatsLeft=2, reason=REASON, by=hospital
        ),
    )
    assert record(number) == changed(before, repeatsLeft=0)
    assert prescriptions.isHandedOver(number)
    for late in (
        lambda: cancel(number),
        lambda: accept(number, pharmacy, sequence=3),
    ):
        with refused(prescriptions.StateForbids, number=number, state=State.DELIVERED):
            late()


# Requests to cancel


@pytest.mark.parametrize("where", ["accepted", "dispensed", "in_transit"])
def test_request_cancel__a_pharmacy_has_it__is_a_request(
    prescriptions, request, hospital, request_cancel, emits, record, refused, where
):
    number = request.getfixturevalue(where)()
    before = record(number)

    receipt = request_cancel(number)

    emits(
        receipt,
        prescriptions.CancelRequested(
            number=number, sequence=before.sequence, reason=REASON, by=hospital
        ),
    )
    assert record(number) == changed(before, cancelRequested=True)
    with refused(prescriptions.CancelIsRequested, number=number):
        request_cancel(number)


def test_request_cancel__nobody_has_it__is_refused(
    prescriptions, issue_prescription, accepted, give_back, filled, request_cancel, refused
):
    fresh, returned, delivered = issue_prescription(), accepted(), filled()
    give_back(returned)

    for number, state in (
        (fresh, State.NOT_OPENED),
        (returned, State.AVAILABLE),
        (delivered, State.DELIVERED),
    ):
        with refused(prescriptions.StateForbids, number=number, state=state):
            request_cancel(number)


def test_request_cancel__by_another_hospital__is_refused(
    prescriptions, ids, accepted, hospital, other_hospital, request_cancel, refused, record
):
    number = accepted()

    with refused(prescriptions.SegmentNotYours, segment=1, institution=ids[hospital]):
        request_cancel(number, by=other_hospital)
    assert not record(number).cancelRequested


def test_return__cancel_requested__cancels(
    prescriptions, ids, accepted, pharmacy, request_cancel, give_back, emits, record
):
    number = accepted()
    before = record(number)
    request_cancel(number)

    receipt = give_back(number)

    emits(
        receipt,
        prescriptions.PrescriptionReturned(
            number=number, pharmacy=ids[pharmacy], sequence=1, reason=REASON, by=pharmacy
        ),
        prescriptions.PrescriptionCancelled(number=number, sequence=1, reason=REASON, by=pharmacy),
    )
    assert record(number) == changed(before, pharmacy=0, leaseUntil=0, state=State.CANCELLED)


def test_return__cancel_requested_in_a_repeat__ends_the_fills_after_it_too(
    prescriptions, filled, pharmacy, accept, request_cancel, give_back, cancel, record, refused
):
    number = filled(interval=0)
    accept(number, pharmacy, sequence=3)
    request_cancel(number)

    give_back(number)

    assert (record(number).state, record(number).repeatsLeft) == (State.CANCELLED, 1)
    for late in (lambda: accept(number, pharmacy, sequence=4), lambda: cancel(number)):
        with refused(prescriptions.StateForbids, number=number, state=State.CANCELLED):
            late()


def test_cancel__requested_and_the_pharmacy_stays_silent__is_cancelled_without_it(
    prescriptions, accepted, hospital, request_cancel, cancel, record, chain
):
    number = accepted()
    request_cancel(number)
    chain.pending_timestamp = record(number).leaseUntil + 1

    receipt = cancel(number)

    assert receipt.events == [
        prescriptions.PrescriptionCancelled(number=number, sequence=1, reason=REASON, by=hospital)
    ]
    assert (record(number).state, record(number).cancelRequested) == (State.CANCELLED, False)


def test_dispense__cancel_requested__refuses_the_request(
    prescriptions, ids, accepted, pharmacy, request_cancel, dispense, give_back, record
):
    number = accepted()
    request_cancel(number)

    receipt = dispense(number, 24)

    assert receipt.events[1:] == [
        prescriptions.CancelRefused(number=number, pharmacy=ids[pharmacy], sequence=2, by=pharmacy)
    ]
    assert (record(number).cancelRequested, record(number).state) == (False, State.DISPENSED)


def test_deliver__cancel_requested_on_the_way__refuses_the_request(
    prescriptions, ids, in_transit, pharmacy, stranger, request_cancel, deliver, record
):
    number = in_transit()
    request_cancel(number)

    receipt = deliver(number)

    assert receipt.events[1:] == [
        prescriptions.CancelRefused(number=number, pharmacy=ids[pharmacy], sequence=3, by=stranger)
    ]
    assert (record(number).cancelRequested, record(number).state) == (False, State.DELIVERED)


def test_deliver__cancel_requested_with_a_part_owing__leaves_it_to_the_pharmacy(
    in_transit, request_cancel, deliver, give_back, record
):
    number = in_transit(24)
    request_cancel(number)

    deliver(number)

    assert (record(number).cancelRequested, record(number).state) == (True, State.ACCEPTED)
    give_back(number)
    assert (record(number).cancelRequested, record(number).state) == (False, State.CANCELLED)


def test_accept__cancel_requested__stops_a_take_over(
    prescriptions, accepted, other_pharmacy, request_cancel, accept, cancel, record, refused, chain
):
    number = accepted()
    request_cancel(number)
    chain.pending_timestamp = record(number).leaseUntil + 1

    with refused(prescriptions.CancelIsRequested, number=number):
        accept(number, other_pharmacy, sequence=1)
    cancel(number)

    assert (record(number).cancelRequested, record(number).state) == (False, State.CANCELLED)


# Withdrawing


def test_withdraw__within_the_window__gives_the_whole_parcel_back(
    prescriptions, ids, dispensed, pharmacy, dispense, withdraw, emits, record, lease_period
):
    number = dispensed(20)
    dispense(number, 2, 5)
    before = record(number)

    receipt = withdraw(number)

    lease_until = receipt.timestamp + lease_period
    emits(
        receipt,
        prescriptions.DispensingWithdrawn(
            number=number,
            pharmacy=ids[pharmacy],
            sequence=4,
            reason=REASON,
            leaseUntil=lease_until,
            by=pharmacy,
        ),
    )
    assert record(number) == changed(
        before,
        remaining=[24, 10, 0, 0, 0],
        parcel=NO_LINES,
        leaseUntil=lease_until,
        sequence=4,
        state=State.ACCEPTED,
    )


def test_withdraw__then__another_pharmacy_may_have_it_all(
    dispensed, other_pharmacy, withdraw, give_back, accept, dispense, record
):
    number = dispensed()
    withdraw(number)
    give_back(number)
    accept(number, other_pharmacy, sequence=3)

    dispense(number, 24, 10, by=other_pharmacy)

    assert record(number).state == State.DISPENSED


def test_withdraw__largest_quantities_of_two_dispensings__carries_nothing_between_lines(
    accepted, dispense, withdraw, record
):
    largest = 2**16 - 1
    number = accepted(quantities=(largest,) * 5)
    before = record(number)
    dispense(number, largest, 1, largest - 1, 0, largest)
    dispense(number, 0, largest - 1, 1, largest, 0)
    assert (record(number).remaining, record(number).parcel) == (NO_LINES, [largest] * 5)

    withdraw(number)

    assert (record(number).remaining, record(number).parcel) == ([largest] * 5, NO_LINES)
    assert changed(record(number), sequence=1, leaseUntil=before.leaseUntil) == before


def test_withdraw__a_second_after_the_window__is_refused(
    prescriptions, set_policy, dispensed, withdraw, record, refused, chain, lease_period
):
    set_policy(withdrawMinutes=10)
    number, other = (dispensed(drug_class=CONTROLLED) for _ in range(2))
    last = record(number).leaseUntil - lease_period + 600
    chain.pending_timestamp = last + 1

    with refused(prescriptions.WithdrawalTooLate, number=number, last=last):
        withdraw(number)
    assert record(number).state == State.DISPENSED
    assert record(other).state == State.DISPENSED


def test_withdraw__last_second_of_the_window__is_accepted(
    set_policy, dispensed, withdraw, record, chain, lease_period
):
    set_policy(withdrawMinutes=10)
    number = dispensed(drug_class=CONTROLLED)

    chain.pending_timestamp = record(number).leaseUntil - lease_period + 600
    withdraw(number)

    assert record(number).state == State.ACCEPTED


def test_withdraw__window_of_no_minutes__is_that_second_only(
    prescriptions, set_policy, dispensed, withdraw, record, refused, chain, lease_period
):
    set_policy(withdrawMinutes=0)
    number = dispensed(drug_class=CONTROLLED)
    at = record(number).leaseUntil - lease_period
    chain.pending_timestamp = at + 1

    with refused(prescriptions.WithdrawalTooLate, number=number, last=at):
        withdraw(number)


def test_withdraw__of_another_or_on_the_way__is_refused(
    prescriptions, ids, dispensed, in_transit, pharmacy, other_pharmacy, withdraw, refused
):
    number, gone = dispensed(), in_transit()

    with refused(prescriptions.NotThePharmacy, number=number, pharmacy=ids[pharmacy]):
        withdraw(number, by=other_pharmacy)
    with refused(prescriptions.StateForbids, number=gone, state=State.IN_TRANSIT):
        withdraw(gone)


def test_deliver__confirmation_of_a_withdrawn_parcel__is_refused(
    prescriptions, dispensed, stranger, withdraw, dispense, confirm_delivery, refused, far_future
):
    number = dispensed()
    confirmation = confirm_delivery(number)
    withdraw(number)
    dispense(number, 24, 10)
    patient = prescriptions.prescriptionOf(number).patient

    with refused(prescriptions.AuthorisationInvalid, number=number, patient=patient):
        prescriptions.deliver(number, far_future, confirmation, sender=stranger)


# Custody


def test_hand_over__courier_not_allowed__is_refused(
    prescriptions, set_policy, dispensed, hand_over, deliver, record, refused
):
    set_policy(courierAllowed=False)
    number = dispensed(drug_class=CONTROLLED)

    with refused(prescriptions.CourierForbidden, number=number):
        hand_over(number)
    deliver(number)
    assert record(number).state == State.DELIVERED


@pytest.fixture
def offer(prescriptions, ids, courier, other_courier):
    def act(number, to=other_courier, by=courier):
        return prescriptions.offer(number, ids[to], sender=by)

    return act


def test_take_over__offered__is_in_the_other_couriers_custody(
    prescriptions, ids, in_transit, courier, other_courier, offer, deliver, emits, record
):
    number = in_transit()
    before = record(number)

    offered = offer(number)
    assert record(number) == before
    taken = prescriptions.takeOver(number, sender=other_courier)

    passed = {"number": number, "courier": ids[courier], "receiver": ids[other_courier]}
    emits(offered, prescriptions.ParcelOffered(**passed, sequence=2, by=courier))
    emits(taken, prescriptions.ParcelTakenOver(**passed, sequence=2, by=other_courier))
    assert record(number) == changed(before, courier=ids[other_courier])
    deliver(number)
    assert record(number).state == State.DELIVERED


def test_take_over__not_offered_or_to_another__is_refused(
    prescriptions, ids, in_transit, courier, other_courier, offer, refused
):
    alone, promised = in_transit(), in_transit()
    offer(promised, to=courier)

    for number in (alone, promised):
        with refused(prescriptions.ParcelNotOffered, number=number, courier=ids[other_courier]):
            prescriptions.takeOver(number, sender=other_courier)


def test_take_over__second_time__is_refused(
    prescriptions, ids, in_transit, courier, other_courier, offer, refused
):
    number = in_transit()
    offer(number)
    prescriptions.takeOver(number, sender=other_courier)
    prescriptions.offer(number, ids[courier], sender=other_courier)
    prescriptions.takeOver(number, sender=courier)

    with refused(prescriptions.ParcelNotOffered, number=number, courier=ids[other_courier]):
        prescriptions.takeOver(number, sender=other_courier)


def test_take_over__offer_of_an_earlier_custody__is_refused(
    prescriptions, ids, in_transit, courier, other_courier, offer, hand_over, refused, chain
):
    number = in_transit()
    offer(number)
    prescriptions.failDelivery(number, REASON, sender=courier)
    with refused(prescriptions.StateForbids, number=number, state=State.DISPENSED):
        prescriptions.takeOver(number, sender=other_courier)
    chain.pending_timestamp += 60
    hand_over(number)

    with refused(prescriptions.ParcelNotOffered, number=number, courier=ids[other_courier]):
        prescriptions.takeOver(number, sender=other_courier)


def test_offer__by_another_courier_or_to_nobody__is_refused(
    prescriptions, ids, in_transit, courier, other_courier, hospital, offer, refused
):
    number = in_transit()

    with refused(prescriptions.NotTheCourier, number=number, courier=ids[courier]):
        offer(number, by=other_courier)
    with refused(prescriptions.NotACourier, institution=ids[hospital]):
        offer(number, to=hospital)


def test_take_back__courier_silent_after_its_time__is_at_the_pharmacy(
    prescriptions, ids, in_transit, pharmacy, courier, emits, record, refused, chain, lease_period
):
    number = in_transit()
    before = record(number)
    chain.pending_timestamp = before.leaseUntil
    with refused(
        prescriptions.CourierHasIt,
        number=number,
        courier=ids[courier],
        leaseUntil=before.leaseUntil,
    ):
        prescriptions.takeBack(number, sender=pharmacy)
    chain.pending_timestamp = before.leaseUntil + 1

    receipt = prescriptions.takeBack(number, sender=pharmacy)

    lease_until = before.leaseUntil + 1 + lease_period
    emits(
        receipt,
        prescriptions.ParcelTakenBack(
            number=number,
            pharmacy=ids[pharmacy],
            courier=ids[courier],
            sequence=2,
            leaseUntil=lease_until,
            by=pharmacy,
        ),
    )
    assert record(number) == changed(
        before, courier=0, leaseUntil=lease_until, state=State.DISPENSED
    )


def test_take_back__courier_suspended__is_at_once(
    prescriptions, institutions, ids, in_transit, pharmacy, courier, supervisor, record
):
    number = in_transit()
    institutions.suspend(ids[courier], 1, sender=supervisor)

    prescriptions.takeBack(number, sender=pharmacy)

    assert record(number).state == State.DISPENSED


def test_take_back__by_another_pharmacy_or_not_on_the_way__is_refused(
    prescriptions, ids, dispensed, in_transit, pharmacy, other_pharmacy, refused
):
    here, gone = dispensed(), in_transit()

    with refused(prescriptions.NotThePharmacy, number=gone, pharmacy=ids[pharmacy]):
        prescriptions.takeBack(gone, sender=other_pharmacy)
    with refused(prescriptions.StateForbids, number=here, state=State.DISPENSED):
        prescriptions.takeBack(here, sender=pharmacy)


# What is over is over


def test_act__another_took_over__the_first_pharmacy_and_its_courier_have_nothing(
    prescriptions,
    ids,
    in_transit,
    pharmacy,
    other_pharmacy,
    courier,
    accept,
    dispense,
    hand_over,
    give_back,
    withdraw,
    confirm_delivery,
    stranger,
    record,
    refused,
    chain,
    lease_period,
):
    number = in_transit(20)
    confirmation = confirm_delivery(number)
    chain.pending_timestamp = record(number).leaseUntil + lease_period + 1
    accept(number, other_pharmacy, sequence=2)
    taken = record(number)

    for act in (lambda: dispense(number, 1), lambda: give_back(number)):
        with refused(prescriptions.NotThePharmacy, number=number, pharmacy=ids[other_pharmacy]):
            act()
    for act in (
        lambda: withdraw(number),
        lambda: hand_over(number),
        lambda: prescriptions.takeBack(number, sender=pharmacy),
        lambda: prescriptions.failDelivery(number, REASON, sender=courier),
        lambda: prescriptions.offer(number, ids[courier], sender=courier),
        lambda: prescriptions.deliver(number, FAR_FUTURE, confirmation, sender=stranger),
    ):
        with refused(prescriptions.StateForbids, number=number, state=State.ACCEPTED):
            act()
    assert record(number) == taken
    dispense(number, 4, 10, by=other_pharmacy)
    for act in (lambda: withdraw(number), lambda: hand_over(number)):
        with refused(prescriptions.NotThePharmacy, number=number, pharmacy=ids[other_pharmacy]):
            act()


def test_dispense__validity_ends_within_the_lease__goes_on_at_this_pharmacy_only(
    prescriptions, accepted, other_pharmacy, dispense, deliver, give_back, accept, refused, chain
):
    end = chain.pending_timestamp + DAY
    number = accepted(valid_until=end)
    chain.pending_timestamp = end + 1

    dispense(number, 20)
    deliver(number)
    dispense(number, 4)
    deliver(number, sequence=4)
    give_back(number)

    with refused(prescriptions.PrescriptionIsExpired, number=number, validUntil=end):
        accept(number, other_pharmacy, sequence=5)


def test_release__accepted_without_a_hold__is_refused(
    prescriptions, accepted, hospital, prescription_segment, refused
):
    number = accepted()

    with refused(prescriptions.DocumentNotHeld, number=number):
        prescriptions.release(prescription_segment.id, number, sender=hospital)


# Several acts in one transaction


def test_multicall__accept_dispense_hand_over__is_one_transaction(
    prescriptions,
    proofs,
    ids,
    issue_prescription,
    pharmacy,
    courier,
    authorise_accept,
    deliver,
    far_future,
    record,
):
    number = issue_prescription()
    code = authorise_accept(number, pharmacy)
    acts = [
        prescriptions.accept.encode_input(*proofs[number], far_future, code),
        prescriptions.dispense.encode_input(number, [24, 10], 0, ITEMS, REVIEW),
        prescriptions.handOver.encode_input(number, ids[courier]),
    ]

    receipt = prescriptions.multicall(acts, sender=pharmacy)

    assert [event.event_name for event in receipt.events] == [
        "PrescriptionOpened",
        "PrescriptionAccepted",
        "PrescriptionDispensed",
        "PrescriptionHandedOver",
    ]
    deliver(number)
    assert record(number).state == State.DELIVERED


def test_multicall__one_act_refused__undoes_all(
    prescriptions, ids, accepted, hospital, pharmacy, record, refused
):
    number = accepted()
    before = record(number)
    acts = [
        prescriptions.dispense.encode_input(number, [24, 10], 0, ITEMS, REVIEW),
        prescriptions.handOver.encode_input(number, ids[hospital]),
    ]

    with refused(prescriptions.NotACourier, institution=ids[hospital]):
        prescriptions.multicall(acts, sender=pharmacy)
    assert record(number) == before


def test_multicall__by_a_stranger__gives_no_authority(
    prescriptions, institutions, accepted, stranger, refused
):
    number = accepted()
    act = prescriptions.returnToPool.encode_input(number, REASON)

    with refused(institutions.NotAnOperator, account=stranger):
        prescriptions.multicall([act], sender=stranger)


def test_multicall__no_act_of_this_ledger__is_refused(prescriptions, pharmacy, refused):
    with refused(prescriptions.FailedCall):
        prescriptions.multicall([b"\x01\x02\x03\x04"], sender=pharmacy)
