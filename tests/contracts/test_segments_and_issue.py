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
NEW_CODE = 11010126  # of the fixture `allot`
LARGEST_COUNT = 2**32 - 1


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
            segment=segment,
            institution=ids[hospital],
            first=first,
            last=last,
            endorsed=False,
            by=supervisor,
        ),
    )
    assert invoices.segmentCount() == segment
    assert invoices.segmentOf(segment) == (ids[hospital], first, first, last, False, False)
    assert invoices.highestSerialOf(NEW_CODE) == 100
    assert not invoices.isIssued(segment, first)
    assert invoices.segmentOf(bill_segment.id) == neighbour


def test_allot__number_after_the_highest__is_accepted_for_any_hospital(
    invoices, ids, hospital, other_hospital, allot
):
    first = allot(1, 100).return_value

    second = allot(101, 101, to=other_hospital).return_value

    number = document_number(NEW_CODE, 101)
    assert invoices.segmentOf(second) == (
        ids[other_hospital],
        number,
        number,
        number,
        False,
        False,
    )
    assert invoices.segmentOf(first).institution == ids[hospital]
    assert invoices.highestSerialOf(NEW_CODE) == 101


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
        invoices.allot(99, NEW_CODE, 1, 100, False, sender=supervisor)


def test_allot__by_a_hospital__is_refused(institutions, ids, hospital, allot, refused):
    with refused(institutions.KindMissing, institution=ids[hospital], kind=Kind.SUPERVISOR):
        allot(1, 100, sender=hospital)


def test_segment_of__unknown_segment__is_all_zero(invoices):
    assert invoices.segmentOf(0) == (0, 0, 0, 0, False, False)
    assert invoices.segmentOf(99) == (0, 0, 0, 0, False, False)
    assert not invoices.isIssued(99, 0)


# Withdrawing


def test_withdraw__part_of_a_segment_issued__tells_the_gap_and_ends_it(
    invoices, ids, hospital, supervisor, allot, emits, refused
):
    segment = allot(1, 10).return_value
    first, last = document_number(NEW_CODE, 1), document_number(NEW_CODE, 10)
    invoices.issue(segment, first, 4, ROOT, sender=hospital)

    receipt = invoices.withdraw(segment, 5, sender=supervisor)

    emits(
        receipt,
        invoices.SegmentWithdrawn(
            segment=segment, first=first + 4, last=last, reason=5, by=supervisor
        ),
    )
    assert invoices.segmentOf(segment) == (ids[hospital], first, first + 4, last, False, True)
    assert invoices.isIssued(segment, first + 3)
    assert not invoices.isIssued(segment, first + 4)
    with refused(invoices.SegmentIsWithdrawn, segment=segment):
        invoices.issue(segment, first + 4, 1, ROOT, sender=hospital)
    # What was issued before stays the hospital's.
    invoices.hold(segment, first, sender=hospital)


def test_withdraw__one_segment_of_two__leaves_the_other(
    invoices, hospital, supervisor, allot, bill_segment
):
    segment = allot(1, 10).return_value

    invoices.withdraw(segment, 5, sender=supervisor)

    invoices.issue(bill_segment.id, bill_segment.first, 1, ROOT, sender=hospital)


def test_withdraw__twice__is_refused(invoices, supervisor, allot, refused):
    segment = allot(1, 10).return_value
    invoices.withdraw(segment, 5, sender=supervisor)

    with refused(invoices.SegmentIsWithdrawn, segment=segment):
        invoices.withdraw(segment, 5, sender=supervisor)


def test_withdraw__every_number_issued__is_refused(invoices, hospital, supervisor, allot, refused):
    segment = allot(1, 10).return_value
    invoices.issue(segment, document_number(NEW_CODE, 1), 10, ROOT, sender=hospital)

    with refused(invoices.NothingToWithdraw, segment=segment):
        invoices.withdraw(segment, 5, sender=supervisor)


def test_withdraw__unknown_segment__is_refused(invoices, supervisor, refused):
    with refused(invoices.SegmentUnknown, segment=99):
        invoices.withdraw(99, 5, sender=supervisor)


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
        False,
        False,
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


def test_issue__to_the_last_number__exhausts_the_segment(
    invoices, ids, hospital, allot, emits, refused
):
    segment = allot(1, 10).return_value
    first, last = document_number(NEW_CODE, 1), document_number(NEW_CODE, 10)
    invoices.issue(segment, first, 9, ROOT, sender=hospital)

    receipt = invoices.issue(segment, last, 1, ROOT, sender=hospital)

    emits(
        receipt,
        invoices.BatchIssued(
            first=last, segment=segment, institution=ids[hospital], count=1, root=ROOT, by=hospital
        ),
        invoices.SegmentUsedUp(segment=segment, last=last),
    )
    assert invoices.segmentOf(segment).next == last + 1
    assert invoices.isIssued(segment, last)
    assert not invoices.isIssued(segment, last + 1)
    with refused(invoices.SegmentExhausted, segment=segment, left=0, count=1):
        invoices.issue(segment, last + 1, 1, ROOT, sender=hospital)
    with refused(invoices.NumberAlreadyIssued, number=last):
        invoices.issue(segment, last, 1, ROOT, sender=hospital)
    with refused(invoices.NumberOutsideSegment, number=last + 2, segment=segment):
        invoices.issue(segment, last + 2, 1, ROOT, sender=hospital)


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


# Endorsed segments


@pytest.fixture
def endorsed(allot):
    """A segment whose batches need a supervisor's signature, and its first number."""
    return allot(1, 100, endorsed=True).return_value, document_number(NEW_CODE, 1)


@pytest.fixture
def issue_endorsed(invoices, hospital, supervisor, endorsement, endorsed, far_future):
    """Issues a batch of the endorsed segment; what is signed may differ from what is sent."""

    def act(
        first=None,
        count=3,
        root=ROOT,
        deadline=far_future,
        signer=supervisor,
        by=None,
        signed=None,
    ):
        segment, start = endorsed
        sent = {
            "segment": segment,
            "first": start if first is None else first,
            "count": count,
            "root": root,
            "deadline": deadline,
        }
        signature = endorsement(invoices, by or signer, **(sent | (signed or {})))
        return invoices.issueEndorsed(*sent.values(), signer, signature, sender=hospital)

    return act


def test_issue_endorsed__by_an_active_supervisor__names_both_signatures(
    invoices, ids, hospital, supervisor, issue_endorsed, endorsed, emits
):
    segment, first = endorsed

    receipt = issue_endorsed()

    emits(
        receipt,
        invoices.BatchIssued(
            first=first, segment=segment, institution=ids[hospital], count=3, root=ROOT, by=hospital
        ),
        invoices.BatchEndorsed(
            first=first, segment=segment, supervisor=ids[supervisor], signer=supervisor
        ),
    )
    assert invoices.segmentOf(segment) == (
        ids[hospital],
        first,
        first + 3,
        document_number(NEW_CODE, 100),
        True,
        False,
    )
    head = TreeHead(first, 3, segment, receipt.timestamp)
    assert invoices.headHashOf(first) == head.hash(ROOT)


def test_issue_endorsed__prescriptions__are_endorsed_for_their_own_ledger(
    prescriptions, invoices, ids, hospital, supervisor, endorsement, refused, far_future
):
    # One domain serves supervisors and patients there, and it is not the bills'.
    segment = prescriptions.allot(
        ids[hospital], NEW_CODE, 1, 9, True, sender=supervisor
    ).return_value
    batch = (segment, document_number(NEW_CODE, 1), 2, ROOT, far_future)

    with refused(prescriptions.EndorsementInvalid, first=batch[1], signer=supervisor):
        prescriptions.issueEndorsed(
            *batch, supervisor, endorsement(invoices, supervisor, *batch), sender=hospital
        )
    prescriptions.issueEndorsed(
        *batch, supervisor, endorsement(prescriptions, supervisor, *batch), sender=hospital
    )
    assert prescriptions.isIssued(segment, batch[1] + 1)


def test_issue__endorsed_segment_without_endorsement__is_refused(
    invoices, hospital, endorsed, refused
):
    segment, first = endorsed

    with refused(invoices.EndorsementMissing, segment=segment):
        invoices.issue(segment, first, 1, ROOT, sender=hospital)
    assert not invoices.isIssued(segment, first)


@pytest.mark.parametrize(
    "signed",
    [
        {"segment": 1},
        {"first": 1},
        {"count": 4},
        {"root": keccak256(b"another root")},
        {"deadline": 4_102_444_799},
        {"chain_id": 1},
        {"contract": "0x" + "77" * 20},
    ],
    ids=lambda signed: next(iter(signed)),
)
def test_issue_endorsed__signed_for_something_else__is_refused(
    invoices, supervisor, issue_endorsed, endorsed, refused, signed
):
    with refused(invoices.EndorsementInvalid, first=endorsed[1], signer=supervisor):
        issue_endorsed(signed=signed)


def test_issue_endorsed__signed_by_another_key__is_refused(
    invoices, hospital, supervisor, issue_endorsed, endorsed, refused
):
    with refused(invoices.EndorsementInvalid, first=endorsed[1], signer=supervisor):
        issue_endorsed(by=hospital)


def test_issue_endorsed__signer_is_no_supervisor__is_refused(
    institutions, ids, hospital, pharmacy, stranger, issue_endorsed, refused
):
    for account in (hospital, pharmacy):
        with refused(institutions.KindMissing, institution=ids[account], kind=Kind.SUPERVISOR):
            issue_endorsed(signer=account)
    with refused(institutions.NotAnOperator, account=stranger):
        issue_endorsed(signer=stranger)


def test_issue_endorsed__supervisor_suspended_or_removed_since_it_signed__is_refused(
    institutions, ids, supervisor, other_supervisor, issue_endorsed, refused
):
    institutions.suspend(ids[other_supervisor], 1, sender=supervisor)

    with refused(institutions.InstitutionIsSuspended, institution=ids[other_supervisor]):
        issue_endorsed(signer=other_supervisor)
    institutions.reinstate(ids[other_supervisor], sender=supervisor)
    institutions.removeOperator(other_supervisor, sender=supervisor)
    with refused(institutions.NotAnOperator, account=other_supervisor):
        issue_endorsed(signer=other_supervisor)


def test_issue_endorsed__last_second_of_the_endorsement__is_accepted_and_the_next_refused(
    invoices, issue_endorsed, endorsed, refused, chain
):
    first, end = endorsed[1], chain.pending_timestamp + 100

    chain.pending_timestamp = end
    issue_endorsed(deadline=end)
    chain.pending_timestamp = end + 1
    with refused(invoices.EndorsementExpired, first=first + 3, deadline=end):
        issue_endorsed(first=first + 3, deadline=end)


def test_issue_endorsed__the_same_endorsement_twice__is_refused(
    invoices, issue_endorsed, endorsed, refused
):
    issue_endorsed()

    with refused(invoices.NumberAlreadyIssued, number=endorsed[1]):
        issue_endorsed()


def test_issue_endorsed__by_a_hospital_that_is_its_own_supervisor__is_refused(
    invoices, institutions, supervisor, new_account, add_operator, endorsement, refused, far_future
):
    both, second = new_account(), new_account()
    institution = institutions.accredit(
        Kind.HOSPITAL | Kind.SUPERVISOR, 0, ROOT, 1, far_future, both, sender=supervisor
    ).return_value
    add_operator(institution, second, sender=both)
    segment = invoices.allot(institution, NEW_CODE, 1, 9, True, sender=supervisor).return_value
    batch = (segment, document_number(NEW_CODE, 1), 2, ROOT, far_future)

    with refused(invoices.EndorserIsIssuer, institution=institution):
        invoices.issueEndorsed(*batch, second, endorsement(invoices, second, *batch), sender=both)


def test_issue_endorsed__supervisor_is_a_contract_wallet__its_answer_counts(
    invoices,
    institutions,
    compiled,
    ids,
    hospital,
    supervisor,
    stranger,
    new_account,
    consent,
    issue_endorsed,
    endorsed,
    refused,
    far_future,
):
    owner = new_account()
    wallet = compiled["Wallet"].deploy(owner, sender=stranger)
    here = ids[supervisor]
    institutions.addOperator(here, wallet, far_future, consent(owner, here), sender=supervisor)

    with refused(invoices.EndorsementInvalid, first=endorsed[1], signer=wallet):
        issue_endorsed(signer=wallet, by=stranger)
    issue_endorsed(signer=wallet, by=owner)
    assert invoices.isIssued(endorsed[0], endorsed[1])


def test_issue_endorsed__segment_that_asks_for_none__is_endorsed_all_the_same(
    invoices, hospital, supervisor, bill_segment, endorsement, far_future
):
    batch = (bill_segment.id, bill_segment.first, 1, ROOT, far_future)

    receipt = invoices.issueEndorsed(
        *batch, supervisor, endorsement(invoices, supervisor, *batch), sender=hospital
    )

    assert receipt.events[1].signer == supervisor


def test_issue_endorsed__segment_of_another_hospital__is_refused(
    invoices, ids, hospital, other_hospital, supervisor, endorsed, endorsement, refused, far_future
):
    batch = (*endorsed, 1, ROOT, far_future)

    with refused(invoices.SegmentNotYours, segment=endorsed[0], institution=ids[hospital]):
        invoices.issueEndorsed(
            *batch,
            supervisor,
            endorsement(invoices, supervisor, *batch),
            sender=other_hospital,
        )


def test_issue_endorsed__while_paused__is_refused(invoices, supervisor, issue_endorsed, refused):
    invoices.pause(sender=supervisor)

    with refused(invoices.EnforcedPause):
        issue_endorsed()


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
