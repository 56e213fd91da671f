"""Number segments, batches, and the pause of a ledger."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from medledger.core.documents import Invoice, InvoiceLine, Party
from medledger.core.hashing import TreeHead, keccak256
from medledger.core.numbers import document_number
from medledger.core.sealing import seal
from medledger.core.states import Kind
from medledger.core.tree import Tree

ROOT = keccak256(b"a root")
NEW_CODE = 11010126
LARGEST_COUNT = 2**32 - 1


@pytest.fixture
def allot(invoices, ids, hospital, supervisor):
    """Allots serials of a code that nobody has used to the hospital, as the supervisor."""

    def act(first, last, code=NEW_CODE, to=hospital, sender=supervisor):
        return invoices.allot(ids[to], code, first, last, sender=sender)

    return act


# Segments


def test_allot__first_serials_of_a_code__may_be_issued(
    invoices, ids, hospital, supervisor, allot, emits, bill_segment
):
    before = invoices.segmentCount()
    neighbour = invoices.segmentOf(bill_segment.id)

    receipt = allot(1, 100)

    first, last = document_number(NEW_CODE, 1), document_number(NEW_CODE, 100)
    segment = before + 1
    assert receipt.return_value == segment
    emits(
        receipt,
        invoices.SegmentAllotted(
            segment=segment, institution=ids[hospital], first=first, last=last, by=supervisor
        ),
    )
    assert invoices.segmentCount() == segment
    assert invoices.segmentOf(segment) == (ids[hospital], first, first, last)
    assert invoices.highestSerialOf(NEW_CODE) == 100
    assert not invoices.isIssued(segment, first)
    assert invoices.segmentOf(bill_segment.id) == neighbour


def test_allot__number_after_the_highest__is_accepted_for_any_hospital(
    invoices, ids, hospital, other_hospital, allot
):
    first = allot(1, 100).return_value

    second = allot(101, 101, to=other_hospital).return_value

    number = document_number(NEW_CODE, 101)
    assert invoices.segmentOf(second) == (ids[other_hospital], number, number, number)
    assert invoices.segmentOf(first).institution == ids[hospital]
    assert invoices.highestSerialOf(NEW_CODE) == 101


@pytest.mark.parametrize(
    ("first", "last"),
    [(100, 200), (1, 100), (50, 60), (1, 1), (1, 500)],
    ids=["shares its last number", "the same", "inside", "its first number", "around"],
)
def test_allot__serials_that_are_taken__is_refused(invoices, allot, refused, first, last):
    allot(1, 100)

    with refused(invoices.SegmentOverlaps, code=NEW_CODE, first=first, highest=100):
        allot(first, last)


def test_allot__free_serials_below_the_highest__is_refused(invoices, allot, refused):
    allot(500, 600)

    with refused(invoices.SegmentOverlaps, code=NEW_CODE, first=1, highest=600):
        allot(1, 100)


def test_allot__same_serials_of_another_code__is_accepted(invoices, allot):
    allot(1, 100)

    segment = allot(1, 100, code=NEW_CODE + 1).return_value

    assert invoices.segmentOf(segment).first == document_number(NEW_CODE + 1, 1)
    assert invoices.highestSerialOf(NEW_CODE) == 100


def test_allot__largest_code_and_serial__is_accepted(invoices, allot):
    segment = allot(9_999_999_999, 9_999_999_999, code=99_999_999).return_value

    assert invoices.segmentOf(segment).last == 10**18 - 1


@pytest.mark.parametrize("code", [0, 100_000_000, 2**32 - 1])
def test_allot__code_that_has_not_eight_digits__is_refused(invoices, allot, refused, code):
    with refused(invoices.CodeInvalid, code=code):
        allot(1, 100, code=code)


@pytest.mark.parametrize(
    ("first", "last"),
    [(0, 100), (101, 100), (1, 10**10), (10**10, 10**10), (0, 0), (1, 2**64 - 1)],
)
def test_allot__serials_out_of_range_or_order__is_refused(invoices, allot, refused, first, last):
    with refused(invoices.SerialsInvalid, first=first, last=last):
        allot(first, last)


def test_allot__to_a_pharmacy__is_refused(invoices, ids, pharmacy, allot, refused):
    with refused(invoices.NotAnIssuer, institution=ids[pharmacy]):
        allot(1, 100, to=pharmacy)


def test_allot__to_a_suspended_hospital__is_refused(
    invoices, institutions, ids, hospital, supervisor, allot, refused
):
    institutions.suspend(ids[hospital], 1, sender=supervisor)

    with refused(invoices.NotAnIssuer, institution=ids[hospital]):
        allot(1, 100)


def test_allot__to_nobody__is_refused(invoices, supervisor, refused):
    with refused(invoices.NotAnIssuer, institution=99):
        invoices.allot(99, NEW_CODE, 1, 100, sender=supervisor)


def test_allot__by_a_hospital__is_refused(institutions, ids, hospital, allot, refused):
    with refused(institutions.KindMissing, institution=ids[hospital], kind=Kind.SUPERVISOR):
        allot(1, 100, sender=hospital)


def test_segment_of__unknown_segment__is_all_zero(invoices):
    assert invoices.segmentOf(0) == (0, 0, 0, 0)
    assert invoices.segmentOf(99) == (0, 0, 0, 0)
    assert not invoices.isIssued(99, 0)


# Issuing


def test_issue__batch_of_one__takes_the_next_number(
    invoices, ids, hospital, issue_bills, emits, bill_segment, other_bill_segment
):
    neighbour = invoices.segmentOf(other_bill_segment.id)

    batch = issue_bills(1)

    first = bill_segment.first
    assert batch.number() == first
    assert batch.tree.root == batch.tree.leaf(0)
    emits(
        batch.receipt,
        invoices.BatchIssued(
            first=first,
            segment=bill_segment.id,
            institution=ids[hospital],
            count=1,
            root=batch.tree.root,
            by=hospital,
        ),
    )
    assert invoices.segmentOf(bill_segment.id) == (
        ids[hospital],
        first,
        first + 1,
        bill_segment.last,
    )
    assert invoices.headHashOf(first) == batch.head.hash(batch.tree.root)
    assert invoices.headHashOf(first + 1) == bytes(32)
    assert invoices.isIssued(bill_segment.id, first)
    assert not invoices.isIssued(bill_segment.id, first - 1)
    assert not invoices.isIssued(bill_segment.id, first + 1)
    assert not invoices.isIssued(other_bill_segment.id, first)
    assert invoices.invoiceOf(first).patient == "0x" + "0" * 40
    assert invoices.holdOf(first) == 0
    assert invoices.segmentOf(other_bill_segment.id) == neighbour


def test_issue__batch_after_batch__numbers_are_contiguous(invoices, issue_bills, bill_segment):
    first, second, third = issue_bills(3), issue_bills(1), issue_bills(5)

    assert second.number() == first.number() + 3
    assert third.number() == first.number() + 4
    assert invoices.segmentOf(bill_segment.id).next == first.number() + 9
    for batch in (first, second, third):
        assert invoices.headHashOf(batch.number()) == batch.head.hash(batch.tree.root)


def test_issue__by_another_key_of_the_hospital__names_that_key(
    invoices, hospital_second_key, bill_segment
):
    receipt = invoices.issue(
        bill_segment.id, bill_segment.first, 1, ROOT, sender=hospital_second_key
    )

    assert receipt.events[0].by == hospital_second_key


def test_issue__two_segments_of_one_hospital__do_not_wait_for_each_other(
    invoices, allot, hospital, issue_bills, bill_segment
):
    segment = allot(1, 100).return_value
    first = document_number(NEW_CODE, 1)

    invoices.issue(segment, first, 10, ROOT, sender=hospital)

    assert invoices.segmentOf(segment).next == first + 10
    assert invoices.segmentOf(bill_segment.id).next == bill_segment.first
    assert issue_bills(1).number() == bill_segment.first


def test_issue__a_sealed_bill__opens_with_what_was_sealed(
    invoices, hospital, patient, stranger, bill_segment
):
    bill = Invoice(
        business_key="visit-1",
        patient_key=patient.public,
        issued_at=datetime(2026, 1, 5, 9, 30, tzinfo=UTC),
        invoicing_party=Party("12469023", "hospital"),
        payer_party=Party("469*************3X", "patient", type=1),
        currency="CNY",
        total_minor=12_600,
        own_pay_minor=2_500,
        fund_pay_minor=10_100,
        lines=(InvoiceLine("0101", "drugs", 12_600),),
        on_hold=True,
    )
    number = bill_segment.first
    sealed = seal(bill, number, secret=bytes(range(32)))
    tree = Tree([sealed.leaf])

    receipt = invoices.issue(bill_segment.id, number, 1, tree.root, sender=hospital)
    head = TreeHead(number, 1, bill_segment.id, receipt.timestamp)
    invoices.open(sealed.header.as_abi(), head.as_abi(), [], sender=stranger)

    assert invoices.invoiceOf(number) == (
        patient.address("Invoice", number),
        2_500,
        156,
        True,
        0,
    )


@pytest.mark.parametrize("count", [1_000_000, LARGEST_COUNT])
def test_issue__large_batch__costs_no_more_than_a_batch_of_one(
    invoices, hospital, allot, bill_segment, count
):
    one = invoices.issue(bill_segment.id, bill_segment.first, 1, ROOT, sender=hospital)
    segment = allot(1, 9_999_999_999).return_value
    first = document_number(NEW_CODE, 1)

    receipt = invoices.issue(segment, first, count, ROOT, sender=hospital)

    assert receipt.gas_used <= one.gas_used + 200  # calldata: three bytes of `count` are not zero
    assert invoices.segmentOf(segment).next == first + count
    assert invoices.isIssued(segment, first + count - 1)
    assert not invoices.isIssued(segment, first + count)
    head = TreeHead(first, count, segment, receipt.timestamp)
    assert invoices.headHashOf(first) == head.hash(ROOT)


def test_issue__to_the_last_number__exhausts_the_segment(invoices, hospital, allot, refused):
    segment = allot(1, 10).return_value
    first, last = document_number(NEW_CODE, 1), document_number(NEW_CODE, 10)
    invoices.issue(segment, first, 9, ROOT, sender=hospital)

    invoices.issue(segment, last, 1, ROOT, sender=hospital)

    assert invoices.segmentOf(segment).next == last + 1
    assert invoices.isIssued(segment, last)
    assert not invoices.isIssued(segment, last + 1)
    # The next number is none of the segment's, which is what the refusal says.
    with refused(invoices.NumberOutsideSegment, number=last + 1, segment=segment):
        invoices.issue(segment, last + 1, 1, ROOT, sender=hospital)


def test_issue__one_more_than_is_left__is_refused(invoices, hospital, allot, refused):
    segment = allot(1, 10).return_value
    first = document_number(NEW_CODE, 1)
    invoices.issue(segment, first, 7, ROOT, sender=hospital)

    with refused(invoices.SegmentExhausted, segment=segment, left=3, count=4):
        invoices.issue(segment, first + 7, 4, ROOT, sender=hospital)
    assert invoices.segmentOf(segment).next == first + 7


def test_issue__largest_count_in_a_small_segment__is_refused(
    invoices, hospital, refused, bill_segment
):
    with refused(
        invoices.SegmentExhausted, segment=bill_segment.id, left=5_000, count=LARGEST_COUNT
    ):
        invoices.issue(bill_segment.id, bill_segment.first, LARGEST_COUNT, ROOT, sender=hospital)


def test_issue__no_document__is_refused(invoices, hospital, refused, bill_segment):
    with refused(invoices.BatchEmpty):
        invoices.issue(bill_segment.id, bill_segment.first, 0, ROOT, sender=hospital)


def test_issue__the_same_batch_twice__is_refused(
    invoices, hospital, issue_bills, refused, bill_segment
):
    batch = issue_bills(3)

    with refused(invoices.NumberAlreadyIssued, number=batch.number()):
        invoices.issue(bill_segment.id, batch.number(), 3, batch.tree.root, sender=hospital)
    assert invoices.headHashOf(batch.number()) == batch.head.hash(batch.tree.root)


def test_issue__number_in_the_middle_of_a_batch__is_refused(
    invoices, hospital, issue_bills, refused, bill_segment
):
    batch = issue_bills(3)

    with refused(invoices.NumberAlreadyIssued, number=batch.number(2)):
        invoices.issue(bill_segment.id, batch.number(2), 5, ROOT, sender=hospital)
    assert invoices.headHashOf(batch.number(2)) == bytes(32)


def test_issue__leaving_a_gap__is_refused(invoices, hospital, issue_bills, refused, bill_segment):
    following = issue_bills(3).number() + 3

    with refused(invoices.NumberSkipped, number=following + 1, next=following):
        invoices.issue(bill_segment.id, following + 1, 1, ROOT, sender=hospital)


def test_issue__number_below_or_above_the_segment__is_refused(
    invoices, hospital, refused, bill_segment
):
    for outside in (bill_segment.first - 1, bill_segment.last + 1):
        with refused(invoices.NumberOutsideSegment, number=outside, segment=bill_segment.id):
            invoices.issue(bill_segment.id, outside, 1, ROOT, sender=hospital)


def test_issue__unknown_segment__is_refused(invoices, hospital, refused, bill_segment):
    for unknown in (0, 99):
        with refused(invoices.SegmentUnknown, segment=unknown):
            invoices.issue(unknown, bill_segment.first, 1, ROOT, sender=hospital)


def test_issue__segment_of_another_hospital__is_refused(
    invoices, ids, hospital, other_hospital, refused, bill_segment
):
    with refused(invoices.SegmentNotYours, segment=bill_segment.id, institution=ids[hospital]):
        invoices.issue(bill_segment.id, bill_segment.first, 1, ROOT, sender=other_hospital)


def test_issue__prescriptions__are_numbered_apart_from_bills(
    prescriptions, invoices, ids, hospital, issue_prescriptions, emits, prescription_segment
):
    batch = issue_prescriptions(2)

    emits(
        batch.receipt,
        prescriptions.BatchIssued(
            first=prescription_segment.first,
            segment=prescription_segment.id,
            institution=ids[hospital],
            count=2,
            root=batch.tree.root,
            by=hospital,
        ),
    )
    assert prescriptions.isIssued(prescription_segment.id, batch.number(1))
    assert invoices.headHashOf(batch.number()) == bytes(32)


# Pausing


@pytest.mark.parametrize("ledger_name", ["invoices", "prescriptions"])
def test_pause__by_a_supervisor__stops_issuing_until_it_ends(
    request, hospital, supervisor, emits, refused, ledger_name
):
    ledger = request.getfixturevalue(ledger_name)
    first = ledger.segmentOf(1).first

    receipt = ledger.pause(sender=supervisor)

    emits(receipt, ledger.Paused(account=supervisor))
    assert ledger.paused()
    with refused(ledger.EnforcedPause):
        ledger.issue(1, first, 1, ROOT, sender=hospital)
    receipt = ledger.unpause(sender=supervisor)
    emits(receipt, ledger.Unpaused(account=supervisor))
    assert not ledger.paused()
    ledger.issue(1, first, 1, ROOT, sender=hospital)
    assert ledger.isIssued(1, first)


def test_pause__of_bills__leaves_prescriptions_alone(
    invoices, prescriptions, supervisor, issue_prescriptions
):
    invoices.pause(sender=supervisor)

    batch = issue_prescriptions(1)

    assert not prescriptions.paused()
    assert prescriptions.isIssued(batch.segment.id, batch.number())


def test_pause__twice__is_refused(invoices, supervisor, refused):
    invoices.pause(sender=supervisor)

    with refused(invoices.EnforcedPause):
        invoices.pause(sender=supervisor)


def test_unpause__not_paused__is_refused(invoices, supervisor, refused):
    with refused(invoices.ExpectedPause):
        invoices.unpause(sender=supervisor)


def test_pause__of_the_ledger__leaves_allotting_possible(invoices, supervisor, allot):
    invoices.pause(sender=supervisor)

    segment = allot(1, 10).return_value

    assert invoices.segmentOf(segment).first == document_number(NEW_CODE, 1)
