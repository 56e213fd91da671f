"""The hospital: every document once, rejects aside, and evidence that holds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

import pytest
from tests.roles.world import (
    BILL_CODE,
    CHINA,
    DAY,
    OTHER_BILL_CODE,
    SERIALS,
    World,
    bad_bill,
    bill,
    key_of,
    red_letter,
)

from medledger.chain.keys import address_of
from medledger.core.documents import Document, Invoice
from medledger.core.evidence import Evidence
from medledger.core.numbers import document_number
from medledger.core.states import Hold, Kind, Standing, State
from medledger.errors import (
    BadPatientKey,
    DocumentIsHeld,
    DocumentNotHeld,
    DuplicateBusinessKey,
    InputError,
    InstitutionIsSuspended,
    InvalidDocument,
    InvoiceInUse,
    InvoiceIsRedLetter,
    InvoiceIsReversed,
    KeyMissing,
    KindMissing,
    MedledgerError,
    NoSegment,
    NotAnOperator,
    NotFound,
    NumberNotIssued,
    PrescriptionIsTaken,
    RedLetterIsOriginal,
    SegmentExhausted,
    SegmentNotYours,
    SegmentUnknown,
    StateForbids,
    UnknownField,
)
from medledger.roles import Hospital, IssueReceipt
from medledger.roles.issuing import sealed_of_stored

FREE = SERIALS + 1


def bills(count: int, prefix: str = "visit") -> Iterator[Invoice]:
    return (bill(f"{prefix}-{i}") for i in range(count))


# Issuing


def test_issue__a_bill__is_on_chain_in_the_store_and_in_the_receipt(world: World) -> None:
    before = world.hospital.segments("Invoice")[world.deployment.bills]

    receipt = world.hospital.issue(bill("visit-1"))

    assert (receipt.number, receipt.kind, receipt.business_key) == (
        before.next,
        "Invoice",
        "visit-1",
    )
    head = receipt.head
    assert (head.first, head.count, head.segment) == (before.next, 1, world.deployment.bills)
    assert head.issued_at == world.now()
    after = world.ledgers.invoices.segment_of(world.deployment.bills)
    assert after == replace(before, next=before.next + 1)
    stored = world.hospital.store.document(world.ledgers.invoices.address, receipt.number)
    assert world.ledgers.invoices.head_hash_of(receipt.number) == head.hash(
        sealed_of_stored(stored).leaf
    )
    row = world.hospital.store.batch_of(world.ledgers.invoices.address, receipt.number)
    assert (row.block, row.issued_at) == (world.rpc.block_number(), head.issued_at)
    assert row.transaction == receipt.transaction
    (step,) = world.auditor.trace(receipt.number)
    assert (step.name, step.transaction) == ("BatchIssued", receipt.transaction)


def test_prescribe__a_prescription__is_in_the_ledger_of_prescriptions(world: World) -> None:
    receipt = world.hospital.prescribe(world.order())

    assert receipt.kind == "Prescription"
    assert world.ledgers.prescriptions.is_issued(world.deployment.orders, receipt.number)
    assert not world.ledgers.invoices.is_issued(world.deployment.bills, receipt.number)
    world.auditor.verify(receipt.evidence())


def test_issue_many__several_batches__numbers_follow_the_order_given(world: World) -> None:
    receipts = list(world.hospital.issue_many(bills(23), batch=10))

    first = receipts[0].number
    assert [receipt.number for receipt in receipts] == list(range(first, first + 23))
    assert [receipt.business_key for receipt in receipts] == [f"visit-{i}" for i in range(23)]
    assert [receipt.head.count for receipt in receipts] == [10] * 20 + [3] * 3
    assert len({receipt.transaction for receipt in receipts}) == 3
    assert world.auditor.audit().state.bills.issued == 23


def test_issue_many__of_nothing__issues_nothing(world: World) -> None:
    assert list(world.hospital.issue_many([])) == []
    assert world.auditor.audit().state.bills.issued == 0


@pytest.mark.parametrize("workers", [0, 2])
def test_issue_many__a_long_stream__is_read_as_far_as_work_is_on_its_way(
    workers: int, world: World
) -> None:
    read: list[str] = []

    def stream() -> Iterator[Document]:
        for document in bills(300):
            read.append(document.business_key)
            yield document

    world.hospital.sender.in_flight = 3
    receipts = world.hospital.issue_many(stream(), batch=10, workers=workers)
    ahead = [len(read) - taken for taken, _ in enumerate(receipts)]

    assert len(ahead) == 300
    assert max(ahead) <= 10 * (3 + 2 * workers + 2)


def test_issue_many__bills_and_prescriptions_in_one_stream__is_refused(world: World) -> None:
    with pytest.raises(InvalidDocument, match="kind"):
        list(world.hospital.issue_many([bill(), world.order()]))

    assert world.auditor.audit().state.bills.issued == 0


# Each business key once


def test_issue__the_same_bill_again__gives_the_first_receipt(world: World) -> None:
    first = world.hospital.issue(bill("visit-1"))
    other = world.hospital.issue(bill("visit-2"))

    again = world.hospital.issue(bill("visit-1"))

    assert (first.is_new, other.is_new, again.is_new) == (True, True, False)
    assert replace(again, is_new=True) == first
    assert world.hospital.issue(bill("visit-2")).number == other.number
    assert world.auditor.audit().state.bills.issued == 2


def test_issue__the_same_bill_after_a_restart__gives_the_first_receipt(world: World) -> None:
    first = world.hospital.issue(bill("visit-1"))

    again = world.hospital_again().issue(bill("visit-1"))

    assert not again.is_new
    assert replace(again, issuer=first.issuer, is_new=True) == first
    assert again.evidence() == first.evidence()


def test_issue__the_same_key_for_another_bill__is_refused_and_names_the_first(
    world: World,
) -> None:
    first = world.hospital.issue(bill("visit-1"))

    with pytest.raises(DuplicateBusinessKey) as error:
        world.hospital_again().issue(bill("visit-1", remark="paid in cash"))

    assert error.value.values == {"key": "visit-1", "number": first.number}
    assert "cash" not in str(error.value)
    assert world.hospital.issue(bill("visit-1")).number == first.number
    assert world.auditor.audit().state.bills.issued == 1


@pytest.mark.parametrize("batch", [1, 2, 100])
def test_issue_many__one_key_for_two_bills_in_a_stream__the_second_is_rejected(
    batch: int, world: World
) -> None:
    rejected: list[tuple[str, MedledgerError]] = []
    stream = [bill("a", remark="first"), bill("b"), bill("a", remark="second"), bill("c")]

    receipts = list(
        world.hospital.issue_many(
            stream, batch=batch, on_reject=lambda *reject: rejected.append(reject)
        )
    )

    assert [receipt.business_key for receipt in receipts] == ["a", "b", "c"]
    assert receipts[0].evidence().fields["Remark"] == "first"
    assert [(key, type(error)) for key, error in rejected] == [("a", DuplicateBusinessKey)]
    # The key has its document; that another came under it is not for the outbox.
    assert list(world.hospital.outbox().documents()) == []


@pytest.mark.parametrize("batch", [1, 2, 100])
def test_issue_many__one_key_for_two_bills_and_nobody_told__raises(
    batch: int, world: World
) -> None:
    stream = [bill("a", remark="first"), bill("b"), bill("a", remark="second"), bill("c")]
    receipts: list[IssueReceipt] = []

    with pytest.raises(DuplicateBusinessKey):
        receipts.extend(world.hospital.issue_many(stream, batch=batch))

    # What came in batches before is issued all the same, and told.
    issued = {1: ["a", "b"], 2: ["a", "b"], 100: []}[batch]
    assert [receipt.business_key for receipt in receipts] == issued
    assert world.auditor.audit().state.bills.issued == len(issued)
    rest = list(world.hospital.issue_many([bill("b"), bill("c")]))
    assert [receipt.business_key for receipt in rest] == ["b", "c"]


@pytest.mark.parametrize("batch", [1, 2, 100])
def test_issue_many__contents_not_compared__one_key_is_issued_once_as_it_came_first(
    batch: int, world: World
) -> None:
    stream = [bill("a", remark="first"), bill("b"), bill("a", remark="second"), bill("c")]

    receipts = list(world.hospital.issue_many(stream, batch=batch, compares=False))

    assert [receipt.business_key for receipt in receipts] == ["a", "b", "a", "c"]
    assert receipts[0].number == receipts[2].number
    assert len({receipt.number for receipt in receipts}) == 3
    assert world.auditor.audit().state.bills.issued == 3
    assert receipts[2].evidence().fields["Remark"] == "first"


def test_issue_many__known_and_new_in_one_batch__only_the_new_take_numbers(world: World) -> None:
    first = list(world.hospital.issue_many(bills(3)))

    mixed = list(world.hospital.issue_many(bills(6)))

    assert [replace(receipt, is_new=True) for receipt in mixed[:3]] == first
    assert [receipt.is_new for receipt in mixed] == [False] * 3 + [True] * 3
    assert [receipt.number for receipt in mixed] == [first[0].number + i for i in range(6)]
    assert mixed[3].head.count == 3


def test_issue_many__a_whole_stream_again__sends_nothing(world: World) -> None:
    first = list(world.hospital.issue_many(bills(25), batch=10))
    before = world.rpc.block_number()

    again = list(world.hospital_again().issue_many(bills(25), batch=7))

    assert [(r.number, r.head, r.transaction) for r in again] == [
        (r.number, r.head, r.transaction) for r in first
    ]
    assert world.rpc.block_number() == before


def test_issue__a_bill_and_a_prescription_of_one_key__are_two_documents(world: World) -> None:
    bill_receipt = world.hospital.issue(bill("same"))
    order_receipt = world.hospital.prescribe(world.order("same"))

    world.auditor.verify(bill_receipt.evidence())
    world.auditor.verify(order_receipt.evidence())


# Documents that cannot be sealed


def test_issue__a_bill_that_cannot_be_sealed__raises_and_takes_no_number(world: World) -> None:
    with pytest.raises(BadPatientKey):
        world.hospital.issue(bad_bill())

    assert world.auditor.audit().state.bills.issued == 0
    assert world.hospital.store.numbers(world.ledgers.invoices.address) == []


def test_issue_many__rejects_among_good_ones__are_told_and_block_none(world: World) -> None:
    rejected: list[tuple[str, MedledgerError]] = []
    stream = [bad_bill("x"), bill("a"), bad_bill("y"), bill("b"), bill("c"), bad_bill("z")]

    receipts = list(
        world.hospital.issue_many(
            stream, batch=4, on_reject=lambda *reject: rejected.append(reject)
        )
    )

    assert [receipt.business_key for receipt in receipts] == ["a", "b", "c"]
    assert [receipt.number - receipts[0].number for receipt in receipts] == [0, 1, 2]
    assert [key for key, _ in rejected] == ["x", "y", "z"]
    assert {type(error) for _, error in rejected} == {BadPatientKey}
    for receipt in receipts:
        world.auditor.verify(receipt.evidence())


def test_issue_many__nothing_but_rejects__sends_nothing(world: World) -> None:
    rejected: list[str] = []
    before = world.rpc.block_number()

    receipts = list(
        world.hospital.issue_many(
            [bad_bill("x"), bad_bill("y")], on_reject=lambda key, _: rejected.append(key)
        )
    )

    assert (receipts, rejected, world.rpc.block_number()) == ([], ["x", "y"], before)


def test_issue_many__a_reject_corrected__is_issued_under_its_key(world: World) -> None:
    list(world.hospital.issue_many([bad_bill("visit-1")], on_reject=lambda *_: None))

    receipt = world.hospital.issue(bill("visit-1"))

    assert receipt.business_key == "visit-1"


@pytest.mark.parametrize(
    "changes",
    [{"currency": "XXY"}, {"remark": "cafe\u0301"}, {"remark": "\ud800"}],
    ids=["currency", "normal form", "surrogate"],
)
def test_issue__each_kind_of_unsealable_bill__is_an_input_error(
    changes: dict[str, str], world: World
) -> None:
    with pytest.raises(InputError) as error:
        world.hospital.issue(bill(**changes))

    assert "cafe" not in str(error.value)


# Segments


def test_issue__without_any_segment__says_so_and_what_to_do(world: World) -> None:
    with pytest.raises(NoSegment) as error:
        world.other_hospital.prescribe(world.order())

    assert error.value.values == {"institution": world.ids["other_hospital"]}
    assert error.value.hint


def test_issue__a_segment_that_nobody_has__segment_unknown(world: World) -> None:
    with pytest.raises(SegmentUnknown, match="999"):
        world.hospital.issue(bill(), segment=999)


def test_issue__a_segment_of_another__is_refused(world: World) -> None:
    with pytest.raises(SegmentNotYours) as error:
        world.hospital.issue(bill(), segment=world.deployment.other_bills)

    assert error.value.values == {
        "segment": world.deployment.other_bills,
        "institution": world.ids["other_hospital"],
    }


def test_issue__one_segment_of_several_by_name__takes_its_numbers(world: World) -> None:
    segment = world.supervisor.allot(world.ids["hospital"], BILL_CODE, FREE + 7, FREE + 9)

    receipts = [
        world.hospital.issue(bill("a"), segment=segment),
        world.hospital.issue(bill("b")),
        world.hospital.issue(bill("c"), segment=segment),
    ]

    assert [receipt.number for receipt in receipts] == [
        document_number(BILL_CODE, FREE + 7),
        document_number(BILL_CODE, 1),
        document_number(BILL_CODE, FREE + 8),
    ]


def small_segments(world: World, *sizes: int) -> Hospital:
    """A hospital whose only segments have these sizes."""
    operator = address_of(key_of("small hospital"))
    id_ = world.supervisor.accredit("small", Kind.HOSPITAL, operator)
    first = 1
    for size in sizes:
        world.supervisor.allot(id_, 46060326, first, first + size - 1)
        first += size + 10
    return world.hospital_again(key=key_of("small hospital"), store="small")


def test_issue_many__a_segment_runs_out__goes_on_in_the_next(world: World) -> None:
    hospital = small_segments(world, 4, 4)

    receipts = list(hospital.issue_many(bills(8), batch=2))

    serials = [receipt.number % 10**10 for receipt in receipts]
    assert serials == [1, 2, 3, 4, 15, 16, 17, 18]
    assert world.auditor.audit().mismatches == []


def test_issue_many__the_last_segment_runs_out__exhausted_and_what_was_issued_stays(
    world: World,
) -> None:
    hospital = small_segments(world, 4, 2)
    first = [receipt.number for receipt in hospital.issue_many(bills(4), batch=2)]
    more = hospital.issue_many(bills(6, "more"), batch=2)
    issued = [next(more).number, next(more).number]

    with pytest.raises(SegmentExhausted) as error:
        next(more)

    assert (error.value.values["left"], error.value.values["count"]) == (0, 2)
    assert world.auditor.audit().state.bills.issued == 6
    again = [*hospital.issue_many(bills(4)), *hospital.issue_many(bills(2, "more"))]
    assert [receipt.number for receipt in again] == first + issued


def test_issue_many__a_batch_larger_than_any_segment__exhausted_and_nothing_is_stored(
    world: World,
) -> None:
    hospital = small_segments(world, 3, 2)

    with pytest.raises(SegmentExhausted) as error:
        list(hospital.issue_many(bills(4)))

    assert error.value.values["count"] == 4
    assert hospital.store.numbers(world.ledgers.invoices.address) == []


def test_segments__of_two_hospitals__each_has_its_own(world: World) -> None:
    ours = world.hospital.segments("Invoice")
    theirs = world.other_hospital.segments("Invoice")

    assert list(ours) == [world.deployment.bills]
    assert list(theirs) == [world.deployment.other_bills]
    assert theirs[world.deployment.other_bills].first == document_number(OTHER_BILL_CODE, 1)
    assert world.other_hospital.segments("Prescription") == {}


# Who may not issue


def test_issue__without_a_key__key_missing(world: World) -> None:
    hospital = Hospital(world.ledgers, store=f"sqlite:///{world.folder}/reader.db")

    with pytest.raises(KeyMissing):
        hospital.issue(bill())

    hospital.close()


def test_issue__by_a_stranger__not_an_operator(world: World) -> None:
    with pytest.raises(NotAnOperator):
        world.hospital_again(key=key_of("nobody"), store="nobody").issue(bill())


def test_issue__by_a_payer__is_refused(world: World) -> None:
    payer = world.hospital_again(key=key_of("payer"), store="payer")

    with pytest.raises(KindMissing):
        payer.issue(bill(), segment=world.deployment.bills)


def test_issue__suspended_between_two__the_second_is_refused_and_stored_nowhere(
    world: World,
) -> None:
    world.issued("visit-1")
    world.supervisor.suspend(world.ids["hospital"], 1)

    with pytest.raises(InstitutionIsSuspended):
        world.issued("visit-2")

    assert world.hospital.store.unissued() == []
    assert list(world.hospital.outbox().documents()) == []
    world.supervisor.reinstate(world.ids["hospital"])
    assert world.issued("visit-2").number == world.issued("visit-1").number + 1


# Evidence


@pytest.mark.parametrize("count", [1, 2, 3, 7, 1000])
def test_evidence__of_every_document_of_a_batch__holds_on_chain(count: int, world: World) -> None:
    receipts = list(world.hospital.issue_many(bills(count), batch=count))

    (held,) = {receipt.head.hash(root_of(world, receipt.head.first)) for receipt in receipts}

    assert held == world.ledgers.invoices.head_hash_of(receipts[0].head.first)
    assert len({receipt.head for receipt in receipts}) == 1
    for receipt in receipts:
        # What the auditor compares; the chain is asked below, for some, since all have one head.
        assert receipt.evidence().verify_offline() == held
    for receipt in {receipts[0], receipts[-1], receipts[count // 2]}:
        world.auditor.verify(receipt.evidence())


def root_of(world: World, first: int) -> bytes:
    return world.hospital.store.batch_of(world.ledgers.invoices.address, first).root


def test_evidence__of_chosen_fields__opens_these_only(world: World) -> None:
    receipt = world.issued()

    evidence = receipt.evidence(["TotalAmount", "ownPayAmount"])

    assert evidence.fields == {"TotalAmount": 12600, "ownPayAmount": 2500}
    text = evidence.to_json()
    for private in ("测试患者", "46902319800101123X", "西药费", "visit-1"):
        assert private not in text
    world.auditor.verify(Evidence.from_json(text))
    assert Evidence.from_json(text) == evidence


def test_evidence__of_no_field__proves_that_there_is_a_bill(world: World) -> None:
    evidence = world.issued().evidence([])

    assert evidence.fields == {}
    world.auditor.verify(evidence)


def test_evidence__of_all_fields__is_the_whole_bill(world: World) -> None:
    evidence = world.issued().evidence()

    assert set(evidence.fields) == set(evidence.disclosure.names)
    assert evidence.fields["PayerParty"]["name"] == "测试患者"


def test_evidence__of_a_field_that_is_not_there__unknown_field(world: World) -> None:
    receipt = world.issued()

    with pytest.raises(UnknownField, match="Diagnosis"):
        receipt.evidence(["TotalAmount", "Diagnosis"])


def test_evidence__of_a_number_that_is_not_ours__not_found(world: World) -> None:
    theirs = world.other_hospital.issue(bill())

    for number in (theirs.number, 1, world.issued().number + 1):
        with pytest.raises(NotFound, match=str(number)):
            world.hospital.evidence(number)


def test_evidence__after_a_restart__is_the_same(world: World) -> None:
    receipts = list(world.hospital.issue_many(bills(5)))

    again = world.hospital_again()

    assert again.evidence(receipts[3].number) == receipts[3].evidence()


# Hold and release


@pytest.mark.parametrize("kind", ["Invoice", "Prescription"])
def test_hold__then_release__is_on_chain(kind: str, world: World) -> None:
    receipt = world.issued() if kind == "Invoice" else world.prescribed()
    ledger = world.ledgers.invoices if kind == "Invoice" else world.ledgers.prescriptions

    world.hospital.hold(receipt.number, receipt.kind)
    held = ledger.hold_of(receipt.number)
    world.hospital.release(receipt.number, receipt.kind)

    assert (held, ledger.hold_of(receipt.number)) == (Hold.HELD, Hold.RELEASED)
    with pytest.raises(DocumentNotHeld):
        world.hospital.release(receipt.number, receipt.kind)
    world.hospital.hold(receipt.number, receipt.kind)
    with pytest.raises(DocumentIsHeld):
        world.hospital.hold(receipt.number, receipt.kind)


def test_hold__a_number_that_is_not_issued_or_not_ours__is_refused(world: World) -> None:
    theirs = world.other_hospital.issue(bill()).number

    with pytest.raises(NumberNotIssued):
        world.hospital.hold(document_number(BILL_CODE, SERIALS))
    with pytest.raises(NotFound, match="the segments of this hospital"):
        world.hospital.hold(theirs)


def test_hold__a_bill_of_a_new_segment__is_found_without_a_restart(world: World) -> None:
    world.hospital.hold(world.issued("visit-1").number)
    segment = world.supervisor.allot(world.ids["hospital"], BILL_CODE, FREE, FREE + 9)
    number = world.hospital.issue(bill("visit-2"), segment=segment).number

    world.hospital.hold(number)

    assert world.ledgers.invoices.hold_of(number) == Hold.HELD


# Reversal


def test_reverse__a_bill__it_and_its_red_letter_say_so(world: World) -> None:
    original = world.issued()
    red = world.hospital.issue(red_letter(original.number))

    world.hospital.reverse(original.number, red.number, 7)

    invoices = world.ledgers.invoices
    assert invoices.is_reversed(original.number)
    assert invoices.reversed_by(original.number) == red.number
    assert invoices.invoice_of(original.number).standing == Standing.REVERSED
    assert invoices.invoice_of(red.number).standing == Standing.RED_LETTER
    with pytest.raises(InvoiceIsReversed) as error:
        world.hospital.reverse(original.number, world.issued("another").number, 7)
    assert error.value.values == {"number": original.number, "redLetter": red.number}
    with pytest.raises(InvoiceIsRedLetter):
        world.hospital.reverse(red.number, world.issued("another").number, 7)
    with pytest.raises(RedLetterIsOriginal):
        world.hospital.reverse(world.issued("own").number, world.issued("own").number, 7)


def test_reverse__while_a_payer_has_it__invoice_in_use_until_it_lets_go(world: World) -> None:
    original = world.locked(1000)
    red = world.hospital.issue(red_letter(original.number))

    with pytest.raises(InvoiceInUse) as error:
        world.hospital.reverse(original.number, red.number, 7)

    assert error.value.values == {"number": original.number, "locked": 1000, "reimbursed": 0}
    world.payer.settle(original.number, 800)
    world.hospital.reverse(original.number, red.number, 7)
    assert world.ledgers.claims.recoup_due_of(original.number) == 800


def test_reverse__by_a_red_letter_in_use__invoice_in_use(world: World) -> None:
    used = world.locked(1000)
    original = world.issued("visit-2")

    with pytest.raises(InvoiceInUse) as error:
        world.hospital.reverse(original.number, used.number, 7)

    assert error.value.values["number"] == used.number


def test_reverse_many__several__each_is_reversed(world: World) -> None:
    receipts = list(world.hospital.issue_many(bills(4)))
    reds = list(
        world.hospital.issue_many(
            red_letter(receipt.number, f"red-{i}") for i, receipt in enumerate(receipts)
        )
    )
    rows = [(receipt.number, red.number, 1) for receipt, red in zip(receipts, reds, strict=True)]

    done = list(world.hospital.reverse_many(rows))

    assert len(done) == 4
    assert all(world.ledgers.invoices.is_reversed(number) for number, _, _ in rows)


def test_reverse__a_bill_of_another_hospital__not_found(world: World) -> None:
    theirs = world.other_hospital.issue(bill()).number

    with pytest.raises(NotFound):
        world.hospital.reverse(theirs, world.issued().number, 1)
    with pytest.raises(NotFound):
        world.hospital.reverse(world.issued().number, theirs, 1)


# Cancelling a prescription


def test_cancel__opened_or_not__is_cancelled_once(world: World) -> None:
    unopened = world.prescribed("order-1")
    returned = world.accepted(key="order-2")
    world.pharmacy.return_to_pool(returned.number)

    for receipt in (unopened, returned):
        world.hospital.cancel(receipt.number, 3)

        found = world.ledgers.prescriptions.prescription_of(receipt.number)
        assert found.state == State.CANCELLED
        with pytest.raises(StateForbids):
            world.hospital.cancel(receipt.number, 3)
        with pytest.raises(StateForbids):
            world.pharmacy.accept(receipt.evidence(), world.admit(receipt.number))


def test_cancel__while_a_pharmacy_has_it__taken_until_its_lease_is_over(world: World) -> None:
    receipt = world.accepted()

    with pytest.raises(PrescriptionIsTaken) as error:
        world.hospital.cancel(receipt.number, 3)

    assert error.value.values["pharmacy"] == world.ids["pharmacy"]
    world.pass_time(DAY + 1)
    world.hospital.cancel(receipt.number, 3)


def test_cancel__what_is_dispensed__is_refused(world: World) -> None:
    receipt = world.accepted()
    world.dispense(receipt.number, [1])

    with pytest.raises(StateForbids) as error:
        world.hospital.cancel(receipt.number, 3)

    assert error.value.values == {"number": receipt.number, "state": State.DISPENSED}


def test_cancel__of_a_number_that_is_not_ours__not_found(world: World) -> None:
    with pytest.raises(NotFound):
        world.other_hospital.cancel(world.prescribed().number, 3)


def test_bill__at_any_hour_and_place__keeps_its_date(world: World) -> None:
    issued_at = datetime(2026, 12, 31, 23, 59, 59, tzinfo=CHINA)

    fields = world.issued(issued_at=issued_at).evidence().fields

    assert (fields["IssueDate"], fields["IssueTime"]) == ("20261231", "23:59:59")
