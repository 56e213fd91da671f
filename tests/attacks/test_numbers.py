"""A number issued twice: by a supervisor that overlaps segments, or by a hospital.

A supervisor allots serials of a code that are taken, in part, around, or once more after they were
withdrawn; two supervisors allot the same in one block. A hospital issues a number a second time,
skips one, or takes one of another's segment.

The answer: a code's serials are allotted in ascending order only, above the highest so far; a
segment's numbers are issued in ascending order without a gap, by its own hospital, and what was
withdrawn is gone.

Without it two hospitals would have a bill of one number each, and both would be proven: the first
test shows it of a ledger that compares first serials only.
"""

from __future__ import annotations

import pytest
from ape import reverts

from medledger.core.hashing import keccak256
from medledger.core.numbers import document_number

NEW_CODE = 11010126  # of the fixture `allot`
ROOT = keccak256(b"a root")


# Supervisors


def test_allot__naive_ledger_that_compares_first_serials__has_two_documents_of_one_number(
    compiled, hospital, other_hospital, supervisor
):
    naive = compiled["NaiveSegments"].deploy(sender=supervisor)
    naive.allot(hospital, 1, 100, sender=supervisor)
    with reverts("taken"):
        naive.allot(other_hospital, 1, 100, sender=supervisor)
    naive.allot(other_hospital, 50, 60, sender=supervisor)

    for segment, account in enumerate((hospital, other_hospital)):
        naive.issue(segment, 55, keccak256(b"%d" % segment), sender=account)

    assert naive.bodyOf(0, 55) != naive.bodyOf(1, 55)
    assert bytes(32) not in (naive.bodyOf(0, 55), naive.bodyOf(1, 55))


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


def test_withdraw__numbers_of_the_gap__cannot_be_allotted_again(
    invoices, supervisor, allot, refused
):
    segment = allot(1, 10).return_value
    invoices.withdraw(segment, 5, sender=supervisor)

    with refused(invoices.SegmentOverlaps, code=NEW_CODE, first=5, highest=10):
        allot(5, 10)


@pytest.mark.parametrize("order", [(0, 1), (1, 0)], ids=["one first", "other first"])
def test_allot__overlapping_by_two_supervisors_in_the_same_block__the_first_gets_it(
    invoices, ids, roles, allot, in_one_block, order
):
    wanted = [
        (1, 100, roles.hospital, roles.supervisor),
        (50, 60, roles.other_hospital, roles.other_supervisor),
    ]
    first, last, owner, _ = wanted[order[0]]
    count = invoices.segmentCount()

    statuses = in_one_block(
        *(
            lambda each=wanted[place], **fees: allot(*each[:2], to=each[2], sender=each[3], **fees)
            for place in order
        )
    )

    assert statuses == [1, 0]
    assert invoices.segmentCount() == count + 1
    start, end = document_number(NEW_CODE, first), document_number(NEW_CODE, last)
    assert invoices.segmentOf(count + 1) == (ids[owner], start, start, end, False, False)


# Hospitals


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
