"""May-circulate holds, red-letter reversal, and what makes a bill usable."""

from __future__ import annotations

import pytest

from medledger.core.states import Hold, Standing, Status

REASON = 3


@pytest.fixture
def hold(invoices, hospital, bill_segment):
    return lambda number: invoices.hold(bill_segment.id, number, sender=hospital)


@pytest.fixture
def release(invoices, hospital, bill_segment):
    return lambda number: invoices.release(bill_segment.id, number, sender=hospital)


@pytest.fixture
def reverse(invoices, hospital, bill_segment):
    def act(number, red_letter, segment=bill_segment, red_segment=bill_segment, sender=hospital):
        return invoices.reverse(
            segment.id, number, red_segment.id, red_letter, REASON, sender=sender
        )

    return act


@pytest.fixture
def not_usable(invoices, refused, stranger):
    """Asserts with which error a bill refuses to be used."""

    def assert_refused(bill, error, /, **arguments):
        with refused(error, **arguments):
            invoices.requireUsable.transact(bill, sender=stranger)

    return assert_refused


# Using a bill


def test_require_usable__opened_bill__returns_patient_and_claimable(invoices, open_bill, patient):
    number = open_bill(claimable=2_500)

    assert invoices.requireUsable(number) == (patient.address("Invoice", number), 2_500)


def test_require_usable__bill_that_is_not_opened__is_refused(invoices, issue_bills, not_usable):
    number = issue_bills(1).number()

    not_usable(number, invoices.InvoiceNotOpened, number=number)


def test_require_usable__while_paused__is_refused(invoices, open_bill, supervisor, not_usable):
    number = open_bill()
    invoices.pause(sender=supervisor)

    not_usable(number, invoices.EnforcedPause)


# Holds


def test_hold__opened_bill__forbids_its_use_only(
    invoices, open_bills, hospital, hold, emits, not_usable
):
    number, neighbour = open_bills(2)
    before = invoices.invoiceOf(number)

    receipt = hold(number)

    emits(receipt, invoices.DocumentHeld(number=number, by=hospital))
    assert invoices.holdOf(number) == Hold.HELD
    assert invoices.invoiceOf(number) == before
    not_usable(number, invoices.DocumentIsHeld, number=number)
    assert invoices.holdOf(neighbour) == Hold.AS_ISSUED
    invoices.requireUsable(neighbour)


def test_release__held_bill__allows_its_use(
    invoices, open_bills, hospital, hold, release, emits, not_usable
):
    number, neighbour = open_bills(2)
    hold(number)
    hold(neighbour)

    receipt = release(number)

    emits(receipt, invoices.DocumentReleased(number=number, by=hospital))
    assert invoices.holdOf(number) == Hold.RELEASED
    invoices.requireUsable(number)
    not_usable(neighbour, invoices.DocumentIsHeld, number=neighbour)


@pytest.mark.parametrize(
    ("born_on_hold", "acts", "usable"),
    [
        (False, "", True),
        (False, "hold", False),
        (False, "hold release", True),
        (False, "hold release hold", False),
        (False, "release", True),
        (False, "release hold", False),
        (True, "", False),
        (True, "release", True),
        (True, "hold", False),
        (True, "hold release", True),
        (True, "release hold", False),
        (True, "release hold release", True),
    ],
)
def test_hold__every_history__says_whether_the_bill_is_usable(
    invoices, open_bill, hold, release, not_usable, born_on_hold, acts, usable
):
    number = open_bill(on_hold=born_on_hold)

    for act in acts.split():
        {"hold": hold, "release": release}[act](number)

    assert invoices.invoiceOf(number).bornOnHold == born_on_hold
    if usable:
        assert invoices.requireUsable(number).claimable == 10_000
    else:
        not_usable(number, invoices.DocumentIsHeld, number=number)


@pytest.mark.parametrize(
    ("born_on_hold", "act", "usable"), [(False, "hold", False), (True, "release", True)]
)
def test_hold__before_the_bill_is_opened__counts_afterwards(
    invoices, issue_bills, stranger, hold, release, not_usable, born_on_hold, act, usable
):
    batch = issue_bills(1, on_hold=born_on_hold)
    {"hold": hold, "release": release}[act](batch.number())

    invoices.open(*batch.proof(), sender=stranger)

    if usable:
        invoices.requireUsable(batch.number())
    else:
        not_usable(batch.number(), invoices.DocumentIsHeld, number=batch.number())


def test_hold__by_another_key_of_the_hospital__names_that_key(
    invoices, open_bill, hospital_second_key, bill_segment
):
    number = open_bill()

    receipt = invoices.hold(bill_segment.id, number, sender=hospital_second_key)

    assert receipt.events[0].by == hospital_second_key


def test_hold__while_paused__is_accepted(invoices, open_bill, supervisor, hold, release):
    number = open_bill()
    invoices.pause(sender=supervisor)

    hold(number)

    assert invoices.holdOf(number) == Hold.HELD
    release(number)
    assert invoices.holdOf(number) == Hold.RELEASED


def test_hold__bill_that_is_locked__lets_the_claim_go_on(
    invoices, claims, open_bill, payer, ids, lock, hold
):
    number = open_bill()
    lock(number, payer, 4_000)

    hold(number)
    claims.settle(number, 4_000, 1, bytes(32), sender=payer)

    assert claims.claimOf(number, ids[payer]).status == Status.SETTLED


def test_hold__twice__is_refused(invoices, open_bill, hold, refused):
    number = open_bill()
    hold(number)

    with refused(invoices.DocumentIsHeld, number=number):
        hold(number)


def test_release__twice__is_refused(invoices, open_bill, release, refused):
    number = open_bill(on_hold=True)
    release(number)

    with refused(invoices.DocumentNotHeld, number=number):
        release(number)


@pytest.mark.parametrize("act", ["hold", "release"])
def test_hold_or_release__number_that_is_not_issued__is_refused(
    invoices, issue_bills, hospital, bill_segment, refused, act
):
    following = issue_bills(2).number() + 2

    with refused(invoices.NumberNotIssued, number=following):
        getattr(invoices, act)(bill_segment.id, following, sender=hospital)
    assert invoices.holdOf(following) == Hold.AS_ISSUED


@pytest.mark.parametrize("act", ["hold", "release"])
def test_hold_or_release__number_outside_the_segment__is_refused(
    invoices, issue_bills, hospital, bill_segment, other_bill_segment, refused, act
):
    foreign = issue_bills(1, segment=other_bill_segment).number()

    for outside in (foreign, bill_segment.first - 1, bill_segment.last + 1):
        with refused(invoices.NumberOutsideSegment, number=outside, segment=bill_segment.id):
            getattr(invoices, act)(bill_segment.id, outside, sender=hospital)


@pytest.mark.parametrize("act", ["hold", "release"])
def test_hold_or_release__by_another_hospital__is_refused(
    invoices, ids, open_bill, hospital, other_hospital, bill_segment, refused, act
):
    number = open_bill()

    with refused(invoices.SegmentNotYours, segment=bill_segment.id, institution=ids[hospital]):
        getattr(invoices, act)(bill_segment.id, number, sender=other_hospital)


@pytest.mark.parametrize("act", ["hold", "release"])
def test_hold_or_release__unknown_segment__is_refused(invoices, open_bill, hospital, refused, act):
    number = open_bill()

    with refused(invoices.SegmentUnknown, segment=99):
        getattr(invoices, act)(99, number, sender=hospital)


# Reversal


def test_reverse__unused_bill__marks_both_bills(
    invoices, claims, open_bills, hospital, reverse, emits, not_usable
):
    number, red_letter, neighbour = open_bills(3)
    before = invoices.invoicesOf([number, red_letter, neighbour])

    receipt = reverse(number, red_letter)

    emits(
        receipt,
        invoices.InvoiceReversed(number=number, redLetter=red_letter, reason=REASON, by=hospital),
    )
    after = invoices.invoicesOf([number, red_letter, neighbour])
    assert [record.standing for record in after] == [
        Standing.REVERSED,
        Standing.RED_LETTER,
        Standing.REGULAR,
    ]
    assert [record[:4] for record in after] == [record[:4] for record in before]
    assert [invoices.reversedBy(n) for n in (number, red_letter, neighbour)] == [red_letter, 0, 0]
    assert [invoices.isReversed(n) for n in (number, red_letter, neighbour)] == [
        True,
        False,
        False,
    ]
    assert claims.recoupDueOf(number) == 0
    not_usable(number, invoices.InvoiceIsReversed, number=number, redLetter=red_letter)
    not_usable(red_letter, invoices.InvoiceIsRedLetter, number=red_letter)
    invoices.requireUsable(neighbour)


def test_reverse__bills_that_are_not_opened__standing_outlasts_the_opening(
    invoices, issue_bills, stranger, reverse, not_usable
):
    batch = issue_bills(2)
    number, red_letter = batch.number(0), batch.number(1)

    reverse(number, red_letter)

    assert invoices.isReversed(number)
    not_usable(number, invoices.InvoiceNotOpened, number=number)
    for index in range(2):
        invoices.open(*batch.proof(index), sender=stranger)
    assert invoices.invoiceOf(number).standing == Standing.REVERSED
    assert invoices.invoiceOf(red_letter).standing == Standing.RED_LETTER
    not_usable(number, invoices.InvoiceIsReversed, number=number, redLetter=red_letter)
    not_usable(red_letter, invoices.InvoiceIsRedLetter, number=red_letter)


def test_reverse__red_letter_of_another_segment_of_the_hospital__is_accepted(
    invoices, ids, issue_bills, open_bill, hospital, supervisor, reverse, bill_segment
):
    code = bill_segment.code + 1
    receipt = invoices.allot(ids[hospital], code, 1, 10, False, sender=supervisor)
    segment = type(bill_segment)(receipt.return_value, code, hospital)
    number = open_bill()
    red_letter = issue_bills(1, segment=segment).number()

    reverse(number, red_letter, red_segment=segment)

    assert invoices.reversedBy(number) == red_letter


def test_reverse__held_bill_on_a_paused_ledger__is_accepted(
    invoices, open_bills, supervisor, hold, reverse
):
    number, red_letter = open_bills(2)
    hold(number)
    invoices.pause(sender=supervisor)

    reverse(number, red_letter)

    assert invoices.isReversed(number)


def test_reverse__twice__is_refused(invoices, open_bills, reverse, refused):
    number, red_letter, another = open_bills(3)
    reverse(number, red_letter)

    with refused(invoices.InvoiceIsReversed, number=number, redLetter=red_letter):
        reverse(number, another)
    assert invoices.reversedBy(number) == red_letter


def test_reverse__red_letter_bill__is_refused(invoices, open_bills, reverse, refused):
    number, red_letter, another = open_bills(3)
    reverse(number, red_letter)

    with refused(invoices.InvoiceIsRedLetter, number=red_letter):
        reverse(red_letter, another)


def test_reverse__red_letter_of_another_bill__is_refused(invoices, open_bills, reverse, refused):
    number, red_letter, another = open_bills(3)
    reverse(number, red_letter)

    with refused(invoices.InvoiceIsRedLetter, number=red_letter):
        reverse(another, red_letter)
    assert not invoices.isReversed(another)


def test_reverse__by_a_reversed_bill__is_refused(invoices, open_bills, reverse, refused):
    number, red_letter, another = open_bills(3)
    reverse(number, red_letter)

    with refused(invoices.InvoiceIsReversed, number=number, redLetter=red_letter):
        reverse(another, number)


def test_reverse__by_itself__is_refused(invoices, open_bill, reverse, refused):
    number = open_bill()

    with refused(invoices.RedLetterIsOriginal, number=number):
        reverse(number, number)


def test_reverse__locked_bill__is_refused_until_the_lock_is_gone(
    invoices, claims, open_bills, payer, other_payer, lock, reverse, refused
):
    number, red_letter = open_bills(2)
    lock(number, payer, 3_000)
    lock(number, other_payer, 1_000)
    claims.settle(number, 3_000, 1, bytes(32), sender=payer)

    with refused(invoices.InvoiceInUse, number=number, locked=1_000, reimbursed=3_000):
        reverse(number, red_letter)
    claims.release(number, 1, sender=other_payer)
    reverse(number, red_letter)
    assert invoices.isReversed(number)


def test_reverse__last_second_of_a_lock__is_refused(
    invoices, claims, ids, open_bills, payer, lock, reverse, refused, chain
):
    number, red_letter = open_bills(2)
    lock(number, payer, 3_000)
    until = claims.claimOf(number, ids[payer]).until

    chain.pending_timestamp = until
    with refused(invoices.InvoiceInUse, number=number, locked=3_000, reimbursed=0):
        reverse(number, red_letter)
    chain.pending_timestamp = until + 1
    reverse(number, red_letter)
    assert invoices.isReversed(number)


def test_reverse__reimbursed_bill__makes_the_claims_recoupable(
    invoices, claims, ids, open_bills, payer, other_payer, lock, reverse, refused
):
    number, red_letter = open_bills(2)
    for account, amount in ((payer, 3_000), (other_payer, 1_000)):
        lock(number, account, amount)
        claims.settle(number, amount, 1, bytes(32), sender=account)
    assert claims.recoupDueOf(number) == 0
    before = claims.claimOf(number, ids[payer])

    reverse(number, red_letter)

    assert claims.recoupDueOf(number) == 4_000
    assert claims.recoupDueOf(red_letter) == 0
    assert claims.usageOf(number) == (0, 4_000)
    assert claims.claimOf(number, ids[payer]) == before


def test_reverse__red_letter_that_is_locked__is_refused(
    invoices, open_bills, payer, lock, reverse, refused
):
    number, red_letter = open_bills(2)
    lock(red_letter, payer, 3_000)

    with refused(invoices.InvoiceInUse, number=red_letter, locked=3_000, reimbursed=0):
        reverse(number, red_letter)


def test_reverse__red_letter_that_was_reimbursed__is_refused(
    invoices, claims, open_bills, payer, lock, reverse, refused
):
    number, red_letter = open_bills(2)
    lock(red_letter, payer, 3_000)
    claims.settle(red_letter, 2_000, 1, bytes(32), sender=payer)

    with refused(invoices.InvoiceInUse, number=red_letter, locked=0, reimbursed=2_000):
        reverse(number, red_letter)


def test_reverse__red_letter_whose_lock_was_released__is_accepted(
    invoices, claims, open_bills, payer, lock, reverse
):
    number, red_letter = open_bills(2)
    lock(red_letter, payer, 3_000)
    claims.release(red_letter, 1, sender=payer)

    reverse(number, red_letter)

    assert invoices.reversedBy(number) == red_letter


def test_reverse__number_that_is_not_issued__is_refused(invoices, open_bill, reverse, refused):
    number = open_bill()

    with refused(invoices.NumberNotIssued, number=number + 1):
        reverse(number, number + 1)
    with refused(invoices.NumberNotIssued, number=number + 1):
        reverse(number + 1, number)


def test_reverse__number_outside_its_segment__is_refused(
    invoices, issue_bills, open_bill, reverse, refused, bill_segment, other_bill_segment
):
    number = open_bill()
    foreign = issue_bills(1, segment=other_bill_segment).number()

    with refused(invoices.NumberOutsideSegment, number=foreign, segment=bill_segment.id):
        reverse(number, foreign)
    with refused(invoices.NumberOutsideSegment, number=foreign, segment=bill_segment.id):
        reverse(foreign, number)


def test_reverse__bill_or_red_letter_of_another_hospital__is_refused(
    invoices,
    ids,
    issue_bills,
    open_bill,
    hospital,
    other_hospital,
    reverse,
    refused,
    bill_segment,
    other_bill_segment,
):
    number = open_bill()
    foreign = issue_bills(1, segment=other_bill_segment).number()

    with refused(
        invoices.SegmentNotYours,
        segment=other_bill_segment.id,
        institution=ids[other_hospital],
    ):
        reverse(number, foreign, red_segment=other_bill_segment)
    with refused(invoices.SegmentNotYours, segment=bill_segment.id, institution=ids[hospital]):
        reverse(number, foreign, red_segment=other_bill_segment, sender=other_hospital)
    assert not invoices.isReversed(number)


def test_reverse__unknown_segment__is_refused(
    invoices, open_bills, hospital, refused, bill_segment
):
    number, red_letter = open_bills(2)

    for segment, red_segment in ((99, bill_segment.id), (bill_segment.id, 99)):
        with refused(invoices.SegmentUnknown, segment=99):
            invoices.reverse(segment, number, red_segment, red_letter, REASON, sender=hospital)
