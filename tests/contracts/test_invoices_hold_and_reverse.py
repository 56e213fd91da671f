"""Holds, red-letter reversal in whole and in part, paper, and what makes a bill usable."""

from __future__ import annotations

import pytest

from medledger.core.states import Hold, Standing, Status

REASON = 3
EXPLANATION, PAYMENT = b"\x01" * 32, b"\x02" * 32


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
def claimable_now(invoices, proof_of):
    """What can be claimed of a bill that may be used."""

    def claimable(number):
        header, head, path = proof_of(number)
        return invoices.requireUsable([header], head, path)[0]

    return claimable


@pytest.fixture
def not_usable(invoices, proof_of, refused, stranger):
    """Asserts with which error a bill refuses to be used."""

    def assert_refused(number, error, /, **arguments):
        header, head, path = proof_of(number)
        with refused(error, **arguments):
            invoices.requireUsable.transact([header], head, path, sender=stranger)

    return assert_refused


# Using a bill


def test_require_usable__bill_that_nobody_opened__needs_its_proof_only(
    invoices, issue_bills, claimable_now
):
    number = issue_bills(3, claimable=2_500).number(1)

    assert claimable_now(number) == 2_500
    assert invoices.invoiceOf(number).claimable == 0


def test_require_usable__header_that_was_not_issued__is_refused(
    invoices, issue_bills, stranger, refused
):
    header, head, path = issue_bills(3).proof(1)

    forged = (*header[:2], 20_000, *header[3:])

    with refused(invoices.ProofInvalid, number=header[0]):
        invoices.requireUsable.transact([forged], head, path, sender=stranger)
    with refused(invoices.IndexOutOfOrder, index=3, count=3):
        past = (header[0] + 2, *header[1:])
        invoices.requireUsable.transact([past], head, path, sender=stranger)


def test_require_usable__header_without_patient_or_with_too_much_prescribed__is_refused(
    invoices, issue_bills, not_usable
):
    nobody = issue_bills(1, holder="0x" + "00" * 20).number()
    more = issue_bills(1, claimable=100, prescription=5, prescribed=101).number()

    not_usable(nobody, invoices.PatientMissing, number=nobody)
    not_usable(more, invoices.OverClaimable, number=more, prescribed=101, claimable=100)


def test_require_usable__while_paused__is_refused(invoices, open_bill, supervisor, not_usable):
    number = open_bill()
    invoices.pause(sender=supervisor)

    not_usable(number, invoices.EnforcedPause)


# Holds


def test_hold__opened_bill__forbids_its_use_only(
    invoices, open_bills, hospital, hold, emits, not_usable, claimable_now
):
    number, neighbour = open_bills(2)
    before = invoices.invoiceOf(number)

    receipt = hold(number)

    emits(receipt, invoices.DocumentHeld(number=number, by=hospital))
    assert invoices.holdOf(number) == Hold.HELD
    assert invoices.invoiceOf(number) == before
    not_usable(number, invoices.DocumentIsHeld, number=number)
    assert invoices.holdOf(neighbour) == Hold.AS_ISSUED
    claimable_now(neighbour)


def test_release__held_bill__allows_its_use(
    invoices, open_bills, hospital, hold, release, emits, not_usable, claimable_now
):
    number, neighbour = open_bills(2)
    hold(number)
    hold(neighbour)

    receipt = release(number)

    emits(receipt, invoices.DocumentReleased(number=number, by=hospital))
    assert invoices.holdOf(number) == Hold.RELEASED
    claimable_now(number)
    not_usable(neighbour, invoices.DocumentIsHeld, number=neighbour)


@pytest.mark.parametrize(
    ("born_on_hold", "acts", "usable"),
    [
        (False, "", True),
        (False, "hold", False),
        (False, "hold release", True),
        (False, "hold release hold", False),
        (True, "", False),
        (True, "release", True),
        (True, "hold", False),
        (True, "hold release", True),
        (True, "release hold", False),
        (True, "release hold release", True),
    ],
)
def test_hold__every_history__says_whether_the_bill_is_usable(
    invoices, open_bill, hold, release, not_usable, born_on_hold, acts, usable, claimable_now
):
    number = open_bill(on_hold=born_on_hold)

    for act in acts.split():
        {"hold": hold, "release": release}[act](number)

    assert invoices.invoiceOf(number).bornOnHold == born_on_hold
    if usable:
        assert claimable_now(number) == 10_000
    else:
        not_usable(number, invoices.DocumentIsHeld, number=number)


@pytest.mark.parametrize(
    ("born_on_hold", "acts", "usable"),
    [(False, "hold", False), (True, "hold", False), (True, "hold release", True)],
)
def test_hold__before_the_bill_is_opened__counts_afterwards(
    invoices,
    issue_bills,
    stranger,
    hold,
    release,
    not_usable,
    born_on_hold,
    acts,
    usable,
    claimable_now,
):
    batch = issue_bills(1, on_hold=born_on_hold)
    for act in acts.split():
        {"hold": hold, "release": release}[act](batch.number())

    invoices.open(*batch.proof(), sender=stranger)

    if usable:
        claimable_now(batch.number())
    else:
        not_usable(batch.number(), invoices.DocumentIsHeld, number=batch.number())


def test_release__bill_that_was_born_free_and_never_held__is_refused(
    invoices, open_bill, release, refused
):
    number = open_bill()

    with refused(invoices.DocumentNotHeld, number=number):
        release(number)
    assert invoices.holdOf(number) == Hold.AS_ISSUED


@pytest.mark.parametrize("born_on_hold", [False, True])
def test_release__bill_that_is_not_opened_and_never_held__is_refused(
    invoices, issue_bills, stranger, release, refused, born_on_hold, claimable_now
):
    # Nobody knows yet what its header says.
    batch = issue_bills(1, on_hold=born_on_hold)

    with refused(invoices.DocumentNotHeld, number=batch.number()):
        release(batch.number())
    if born_on_hold:
        invoices.open(*batch.proof(), sender=stranger)
        release(batch.number())
        claimable_now(batch.number())


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
    claims.settle(number, (4_000, 1, EXPLANATION, PAYMENT), sender=payer)

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
    invoices, claims, open_bills, hospital, reverse, emits, not_usable, claimable_now
):
    number, red_letter, neighbour = open_bills(3)
    before = invoices.invoicesOf([number, red_letter, neighbour])

    receipt = reverse(number, red_letter)

    emits(
        receipt,
        invoices.InvoiceReversed(
            number=number, redLetter=red_letter, amount=10_000, reason=REASON, by=hospital
        ),
    )
    after = invoices.invoicesOf([number, red_letter, neighbour])
    assert [record.standing for record in after] == [
        Standing.REVERSED,
        Standing.RED_LETTER,
        Standing.REGULAR,
    ]
    assert [record[:4] for record in after] == [record[:4] for record in before]
    assert [invoices.reversedBy(n) for n in (number, red_letter, neighbour)] == [red_letter, 0, 0]
    assert [invoices.originalOf(n) for n in (number, red_letter, neighbour)] == [0, number, 0]
    assert [invoices.claimableOf(n) for n in (number, red_letter, neighbour)] == [0, 0, 10_000]
    assert [invoices.isReversed(n) for n in (number, red_letter, neighbour)] == [
        True,
        False,
        False,
    ]
    not_usable(number, invoices.InvoiceIsReversed, number=number, redLetter=red_letter)
    not_usable(red_letter, invoices.InvoiceIsRedLetter, number=red_letter)
    claimable_now(neighbour)


def test_reverse__bills_that_are_not_opened__standing_outlasts_the_opening(
    invoices, issue_bills, stranger, reverse, not_usable
):
    batch = issue_bills(2)
    number, red_letter = batch.number(0), batch.number(1)

    receipt = reverse(number, red_letter)

    assert receipt.events[0].amount == 0  # nobody has told the ledger what it was
    assert invoices.isReversed(number)
    not_usable(number, invoices.InvoiceIsReversed, number=number, redLetter=red_letter)
    for index in range(2):
        invoices.open(*batch.proof(index), sender=stranger)
    assert invoices.claimableOf(number) == 0
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
    claims.settle(number, (3_000, 1, EXPLANATION, PAYMENT), sender=payer)

    with refused(invoices.InvoiceInUse, number=number, locked=1_000, reimbursed=3_000):
        reverse(number, red_letter)
    claims.deny(number, 1, EXPLANATION, sender=other_payer)
    reverse(number, red_letter)
    assert invoices.isReversed(number)


@pytest.mark.parametrize("is_first", [True, False])
def test_reverse__bill_with_a_fixed_benefit_locked__is_refused_until_the_lock_is_gone(
    invoices, claims, ids, open_bills, payer, other_payer, lock, reverse, refused, is_first
):
    number, red_letter = open_bills(2)
    if not is_first:
        lock(number, other_payer, 1_000)
        claims.settle(number, (1_000, 1, EXPLANATION, PAYMENT), sender=other_payer)
    lock(number, payer, 90_000, fixed=True)

    reimbursed = 0 if is_first else 1_000
    with refused(invoices.InvoiceInUse, number=number, locked=90_000, reimbursed=reimbursed):
        reverse(number, red_letter)
    claims.settle(number, (80_000, 1, EXPLANATION, PAYMENT), sender=payer)
    assert claims.takenOf(number) == (0, 80_000 + reimbursed)
    reverse(number, red_letter)
    assert claims.recoupDueOf(number, ids[payer]) == 80_000
    claims.repay(number, 80_000, PAYMENT, sender=payer)
    assert claims.takenOf(number) == (0, reimbursed)
    assert claims.usageOf(number) == (0, reimbursed)


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
        claims.settle(number, (amount, 1, EXPLANATION, PAYMENT), sender=account)
    assert claims.recoupDueOf(number, ids[payer]) == 0
    before = claims.claimOf(number, ids[payer])

    reverse(number, red_letter)

    assert claims.recoupDueOf(number, ids[payer]) == 3_000
    assert claims.recoupDueOf(number, ids[other_payer]) == 1_000
    assert claims.recoupDueOf(red_letter, ids[payer]) == 0
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
    claims.settle(red_letter, (2_000, 1, EXPLANATION, PAYMENT), sender=payer)

    with refused(invoices.InvoiceInUse, number=red_letter, locked=0, reimbursed=2_000):
        reverse(number, red_letter)


def test_reverse__red_letter_whose_lock_was_released__is_accepted(
    invoices, claims, open_bills, payer, lock, reverse
):
    number, red_letter = open_bills(2)
    lock(red_letter, payer, 3_000)
    claims.deny(red_letter, 1, EXPLANATION, sender=payer)

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


# Partial reversal


@pytest.fixture
def reverse_part(invoices, hospital, bill_segment):
    def act(
        number, letters, index=0, segment=bill_segment, red_segment=bill_segment, sender=hospital
    ):
        return invoices.reversePart(
            segment.id, number, red_segment.id, *letters.proof(index), REASON, sender=sender
        )

    return act


def test_reverse_part__opened_bill__reduces_what_can_be_claimed(
    invoices,
    claims,
    open_bills,
    hospital,
    issue_red_letters,
    reverse_part,
    emits,
    not_usable,
    claimable_now,
):
    number, neighbour = open_bills(2)
    letters = issue_red_letters(number, 3_000)
    before = invoices.invoiceOf(number)

    receipt = reverse_part(number, letters)

    red_letter = letters.number()
    emits(
        receipt,
        invoices.InvoicePartlyReversed(
            number=number,
            redLetter=red_letter,
            amount=3_000,
            left=7_000,
            reason=REASON,
            by=hospital,
        ),
    )
    assert invoices.claimableOf(number) == 7_000
    assert claimable_now(number) == 7_000
    assert invoices.invoiceOf(number)[:4] == before[:4]
    assert invoices.invoiceOf(number).standing == Standing.PARTLY_REVERSED
    assert invoices.originalOf(red_letter) == number
    assert invoices.reversedBy(number) == 0
    assert not invoices.isReversed(number)
    assert invoices.invoiceOf(red_letter).standing == Standing.RED_LETTER
    assert invoices.claimableOf(red_letter) == 0
    assert invoices.claimableOf(neighbour) == 10_000


def test_reverse_part__several_times__until_nothing_is_left(
    invoices, open_bill, payer, lock, issue_red_letters, reverse_part, refused, claims
):
    number = open_bill()
    letters = issue_red_letters(number, 3_000, 6_999, 2, 1, 1)

    reverse_part(number, letters, 0)
    reverse_part(number, letters, 1)
    with refused(invoices.ReversalAmountInvalid, number=number, amount=2, left=1):
        reverse_part(number, letters, 2)
    reverse_part(number, letters, 3)

    assert invoices.claimableOf(number) == 0
    with refused(invoices.ReversalAmountInvalid, number=number, amount=1, left=0):
        reverse_part(number, letters, 4)
    with refused(claims.OverRemainder, number=number, amount=1, remainder=0):
        lock(number, payer, 1)
    assert [invoices.originalOf(letters.number(i)) for i in range(5)] == [
        number,
        number,
        0,
        number,
        0,
    ]


def test_reverse_part__then_the_whole__takes_what_was_left(
    invoices, open_bill, issue_bills, issue_red_letters, reverse_part, reverse, not_usable, refused
):
    number = open_bill()
    letters = issue_red_letters(number, 3_000, 1_000)
    reverse_part(number, letters)
    red_letter = issue_bills(1).number()

    receipt = reverse(number, red_letter)

    assert receipt.events[0].amount == 7_000
    assert invoices.claimableOf(number) == 0
    assert invoices.reversedBy(number) == red_letter
    assert invoices.originalOf(letters.number()) == number
    not_usable(number, invoices.InvoiceIsReversed, number=number, redLetter=red_letter)
    with refused(invoices.InvoiceIsReversed, number=number, redLetter=red_letter):
        reverse_part(number, letters, 1)


def test_reverse_part__whole_claimable_part_by_one_letter__leaves_nothing(
    invoices, open_bill, issue_red_letters, reverse_part
):
    number = open_bill()

    reverse_part(number, issue_red_letters(number, 10_000))

    assert invoices.claimableOf(number) == 0
    assert not invoices.isReversed(number)


@pytest.mark.parametrize("amount", [0, 10_001, 2**64 - 1])
def test_reverse_part__nothing_or_more_than_the_bill__is_refused(
    invoices, open_bill, issue_red_letters, reverse_part, refused, amount
):
    number = open_bill()

    with refused(invoices.ReversalAmountInvalid, number=number, amount=amount, left=10_000):
        reverse_part(number, issue_red_letters(number, amount))


@pytest.mark.parametrize(
    "changes",
    [{"on_hold": False}, {"currency": 840}, {"patient": "0x" + "77" * 20}],
    ids=lambda changes: next(iter(changes)),
)
def test_reverse_part__letter_that_was_not_made_for_it__is_refused(
    invoices, open_bill, issue_red_letters, reverse_part, refused, changes
):
    number = open_bill()
    letters = issue_red_letters(number, 1_000, **changes)

    with refused(invoices.RedLetterMismatch, number=number, redLetter=letters.number()):
        reverse_part(number, letters)
    assert invoices.claimableOf(number) == 10_000


def test_reverse_part__amount_that_was_not_sealed__is_refused(
    invoices, open_bill, hospital, issue_red_letters, bill_segment, refused
):
    number = open_bill()
    header, head, path = issue_red_letters(number, 1_000).proof()
    forged = (*header[:2], 2_000, *header[3:])

    with refused(invoices.ProofInvalid, number=header[0]):
        invoices.reversePart(
            bill_segment.id, number, bill_segment.id, forged, head, path, REASON, sender=hospital
        )


def test_reverse_part__bill_that_is_not_opened__is_refused(
    invoices, issue_bills, open_bill, issue_red_letters, reverse_part, refused
):
    letters = issue_red_letters(open_bill(), 1_000)
    number = issue_bills(1).number()

    with refused(invoices.InvoiceNotOpened, number=number):
        reverse_part(number, letters)


def test_reverse_part__red_letter_that_was_used__is_refused(
    invoices, open_bill, issue_red_letters, reverse_part, reverse, refused
):
    number = open_bill()
    letters = issue_red_letters(number, 1_000)
    reverse_part(number, letters)

    with refused(invoices.InvoiceIsRedLetter, number=letters.number()):
        reverse_part(number, letters)
    with refused(invoices.InvoiceIsRedLetter, number=letters.number()):
        reverse(number, letters.number())
    assert invoices.claimableOf(number) == 9_000


def test_reverse_part__of_a_red_letter_or_by_the_bill_itself__is_refused(
    invoices, open_bill, issue_red_letters, reverse_part, refused, stranger
):
    number = open_bill()
    letters = issue_red_letters(number, 1_000, 1_000)
    reverse_part(number, letters)

    with refused(invoices.InvoiceIsRedLetter, number=letters.number()):
        reverse_part(letters.number(), letters, 1)
    with refused(invoices.RedLetterIsOriginal, number=letters.number(1)):
        reverse_part(letters.number(1), letters, 1)


def test_reverse__by_a_bill_that_was_reversed_in_part__is_refused(
    invoices, open_bills, issue_red_letters, reverse_part, reverse, refused
):
    number, another = open_bills(2)
    reverse_part(number, issue_red_letters(number, 1_000))

    with refused(invoices.InvoiceIsPartlyReversed, number=number):
        reverse(another, number)


def test_reverse_part__locked_bill__is_refused_until_the_lock_is_gone(
    invoices, claims, open_bill, payer, lock, issue_red_letters, reverse_part, refused
):
    number = open_bill()
    letters = issue_red_letters(number, 1_000)
    lock(number, payer, 1)

    with refused(invoices.InvoiceInUse, number=number, locked=1, reimbursed=0):
        reverse_part(number, letters)
    claims.deny(number, 1, EXPLANATION, sender=payer)
    reverse_part(number, letters)
    assert invoices.claimableOf(number) == 9_000


def test_reverse_part__letter_that_was_released_and_locked__is_refused(
    invoices,
    open_bill,
    patient,
    payer,
    lock,
    release,
    stranger,
    issue_red_letters,
    reverse_part,
    refused,
):
    number = open_bill()
    letters = issue_red_letters(number, 1_000, patient=patient.address("Invoice", number + 1))
    invoices.open(*letters.proof(), sender=stranger)
    release(letters.number())
    lock(letters.number(), payer, 1)

    with refused(invoices.InvoiceInUse, number=letters.number(), locked=1, reimbursed=0):
        reverse_part(number, letters)


def test_reverse_part__letter_before_it_is_used__cannot_be_claimed(
    invoices, open_bill, issue_red_letters, stranger, not_usable
):
    letters = issue_red_letters(open_bill(), 1_000)

    invoices.open(*letters.proof(), sender=stranger)

    not_usable(letters.number(), invoices.DocumentIsHeld, number=letters.number())


def test_reverse_part__several_payers_reimbursed__each_is_due_no_more_than_it_paid(
    claims, ids, open_bill, payer, other_payer, lock, issue_red_letters, reverse_part
):
    number = open_bill()
    for account, amount in ((payer, 6_000), (other_payer, 1_000)):
        lock(number, account, amount)
        claims.settle(number, (amount, 1, EXPLANATION, PAYMENT), sender=account)
    dues = lambda: [claims.recoupDueOf(number, ids[each]) for each in (payer, other_payer)]  # noqa: E731

    reverse_part(number, issue_red_letters(number, 5_000), 0)

    # 2,000 too much in all, whoever of them gets it back.
    assert dues() == [2_000, 1_000]
    claims.repay(number, 1_500, PAYMENT, sender=payer)
    assert dues() == [500, 500]


def test_reverse_part__reimbursed_bill__makes_the_excess_recoupable(
    invoices,
    claims,
    ids,
    open_bill,
    payer,
    other_payer,
    lock,
    issue_red_letters,
    reverse_part,
    refused,
):
    number = open_bill()
    lock(number, payer, 6_000)
    claims.settle(number, (6_000, 1, EXPLANATION, PAYMENT), sender=payer)
    letters = issue_red_letters(number, 3_000, 2_500)

    reverse_part(number, letters, 0)

    assert claims.recoupDueOf(number, ids[payer]) == 0
    with refused(claims.OverRemainder, number=number, amount=1_001, remainder=1_000):
        lock(number, other_payer, 1_001)
    reverse_part(number, letters, 1)
    assert claims.recoupDueOf(number, ids[payer]) == 1_500
    assert claims.recoupDueOf(number, ids[other_payer]) == 0
    with refused(claims.OverRemainder, number=number, amount=1, remainder=0):
        lock(number, other_payer, 1)


def test_reverse_part__bill_or_letter_of_another_hospital__is_refused(
    invoices,
    ids,
    open_bill,
    hospital,
    other_hospital,
    issue_red_letters,
    reverse_part,
    refused,
    bill_segment,
):
    number = open_bill()
    letters = issue_red_letters(number, 1_000)

    with refused(invoices.SegmentNotYours, segment=bill_segment.id, institution=ids[hospital]):
        reverse_part(number, letters, sender=other_hospital)


# Paper

PAPER = b"\x07" * 32


@pytest.fixture
def exchange(invoices, hospital, bill_segment):
    return lambda number, paper=PAPER: invoices.exchangeForPaper(
        bill_segment.id, number, paper, sender=hospital
    )


@pytest.fixture
def void_paper(invoices, hospital, bill_segment):
    return lambda number: invoices.voidPaper(bill_segment.id, number, sender=hospital)


def test_exchange__opened_bill__has_no_use_here_until_the_paper_is_void(
    invoices, open_bills, hospital, exchange, void_paper, emits, not_usable, claimable_now
):
    number, neighbour = open_bills(2)
    before = invoices.invoiceOf(number)

    receipt = exchange(number)

    emits(receipt, invoices.InvoiceExchanged(number=number, paperHash=PAPER, by=hospital))
    assert invoices.invoiceOf(number).standing == Standing.ON_PAPER
    assert invoices.invoiceOf(number)[:4] == before[:4]
    assert invoices.claimableOf(number) == 10_000
    not_usable(number, invoices.InvoiceOnPaper, number=number)
    claimable_now(neighbour)
    receipt = void_paper(number)
    emits(receipt, invoices.PaperVoided(number=number, by=hospital))
    assert invoices.invoiceOf(number) == before
    claimable_now(number)


def test_exchange__bill_that_is_not_opened__outlasts_the_opening(
    invoices, issue_bills, stranger, exchange, void_paper, not_usable, claimable_now
):
    batch = issue_bills(1)
    exchange(batch.number())

    invoices.open(*batch.proof(), sender=stranger)

    not_usable(batch.number(), invoices.InvoiceOnPaper, number=batch.number())
    void_paper(batch.number())
    claimable_now(batch.number())


def test_exchange__bill_reversed_in_part__comes_back_as_it_was(
    invoices, open_bill, issue_red_letters, reverse_part, exchange, void_paper, claimable_now
):
    number = open_bill()
    reverse_part(number, issue_red_letters(number, 1_000))

    exchange(number)
    assert invoices.claimableOf(number) == 9_000
    void_paper(number)

    assert invoices.invoiceOf(number).standing == Standing.PARTLY_REVERSED
    assert claimable_now(number) == 9_000


def test_exchange__locked_or_reimbursed_bill__is_refused(
    invoices, claims, open_bill, payer, lock, exchange, refused
):
    number = open_bill()
    lock(number, payer, 3_000)

    with refused(invoices.InvoiceInUse, number=number, locked=3_000, reimbursed=0):
        exchange(number)
    claims.settle(number, (2_000, 1, EXPLANATION, PAYMENT), sender=payer)
    with refused(invoices.InvoiceInUse, number=number, locked=0, reimbursed=2_000):
        exchange(number)


@pytest.mark.parametrize("is_first", [True, False])
def test_exchange__bill_with_a_fixed_benefit__is_refused(
    invoices, claims, open_bill, payer, other_payer, lock, exchange, refused, is_first
):
    number = open_bill()
    if not is_first:
        lock(number, other_payer, 1_000)
        claims.deny(number, 1, EXPLANATION, sender=other_payer)
    lock(number, payer, 90_000, fixed=True)

    with refused(invoices.InvoiceInUse, number=number, locked=90_000, reimbursed=0):
        exchange(number)
    claims.settle(number, (80_000, 1, EXPLANATION, PAYMENT), sender=payer)
    with refused(invoices.InvoiceInUse, number=number, locked=0, reimbursed=80_000):
        exchange(number)
    assert claims.usageOf(number) == (0, 0)


def test_exchange__bill_on_paper__can_neither_be_locked_nor_reversed_nor_exchanged_again(
    invoices, open_bills, payer, lock, exchange, reverse, reverse_part, issue_red_letters, refused
):
    number, red_letter = open_bills(2)
    letters = issue_red_letters(number, 1_000)
    exchange(number)

    for act in (
        lambda: lock(number, payer, 1),
        lambda: reverse(number, red_letter),
        lambda: reverse(red_letter, number),
        lambda: reverse_part(number, letters),
        lambda: exchange(number),
    ):
        with refused(invoices.InvoiceOnPaper, number=number):
            act()


def test_exchange__reversed_bill_or_red_letter__is_refused(
    invoices, open_bills, reverse, exchange, refused
):
    number, red_letter = open_bills(2)
    reverse(number, red_letter)

    with refused(invoices.InvoiceIsReversed, number=number, redLetter=red_letter):
        exchange(number)
    with refused(invoices.InvoiceIsRedLetter, number=red_letter):
        exchange(red_letter)


@pytest.mark.parametrize("born_on_hold", [False, True])
def test_exchange__held_bill__is_refused(
    invoices, open_bill, hold, exchange, refused, born_on_hold
):
    number = open_bill(on_hold=born_on_hold)
    if not born_on_hold:
        hold(number)

    with refused(invoices.DocumentIsHeld, number=number):
        exchange(number)


def test_exchange__without_a_commitment__is_refused(invoices, open_bill, exchange, refused):
    number = open_bill()

    with refused(invoices.PaperHashMissing, number=number):
        exchange(number, bytes(32))


def test_exchange__while_paused__is_refused_and_voiding_is_not(
    invoices, open_bills, supervisor, exchange, void_paper, refused
):
    number, another = open_bills(2)
    exchange(number)
    invoices.pause(sender=supervisor)

    with refused(invoices.EnforcedPause):
        exchange(another)
    void_paper(number)
    assert invoices.invoiceOf(number).standing == Standing.REGULAR


def test_void_paper__bill_that_is_not_on_paper__is_refused(
    invoices, open_bill, exchange, void_paper, refused
):
    number = open_bill()

    with refused(invoices.InvoiceNotOnPaper, number=number):
        void_paper(number)
    exchange(number)
    void_paper(number)
    with refused(invoices.InvoiceNotOnPaper, number=number):
        void_paper(number)


@pytest.mark.parametrize("act", ["exchangeForPaper", "voidPaper"])
def test_paper__by_another_hospital__is_refused(
    invoices, ids, open_bill, hospital, other_hospital, bill_segment, refused, act
):
    number = open_bill()
    paper = [PAPER] if act == "exchangeForPaper" else []

    with refused(invoices.SegmentNotYours, segment=bill_segment.id, institution=ids[hospital]):
        getattr(invoices, act)(bill_segment.id, number, *paper, sender=other_hospital)
