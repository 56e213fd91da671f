"""Red-letter bills that a hospital makes from its own store, and bills on paper."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.roles.world import World, bill

from medledger.core.documents import InvoiceLine
from medledger.core.hashing import InvoiceHeader, keccak256
from medledger.core.states import Standing
from medledger.errors import (
    DocumentNotHeld,
    DuplicateBusinessKey,
    HeaderMismatch,
    InvalidDocument,
    InvoiceInUse,
    InvoiceIsRedLetter,
    InvoiceIsReversed,
    InvoiceNotOnPaper,
    InvoiceOnPaper,
    NotFound,
    ReversalAmountInvalid,
    StatusMismatch,
)


def test_reverse__without_a_red_letter__issues_one_that_names_the_original(world: World) -> None:
    original = world.issued()

    world.hospital.reverse(original.number, None, 7)

    red = world.ledgers.invoices.reversed_by(original.number)
    evidence = world.hospital.evidence(red)
    world.auditor.verify(evidence)
    assert evidence.fields["relatedInvoiceNumber"] == f"{original.number % 10**10:010d}"
    assert evidence.fields["TotalAmount"] == original.evidence().fields["TotalAmount"]
    assert evidence.fields["RandomNumber"] != original.evidence().fields["RandomNumber"]
    assert isinstance(evidence.header, InvoiceHeader)
    assert evidence.header.claimable == 0
    assert evidence.header.patient == world.patient.address("Invoice", original.number)
    assert world.ledgers.invoices.invoice_of(red).standing == Standing.RED_LETTER
    with pytest.raises(StatusMismatch, match=r"it was reversed at 20..-.*Z by 46060126-"):
        world.auditor.verify(original.evidence())


def test_reverse__a_locked_bill_without_a_red_letter__spends_no_number(world: World) -> None:
    locked = world.locked(1000)
    before = world.ledgers.invoices.segment_of(world.deployment.bills).next

    with pytest.raises(InvoiceInUse) as caught:
        world.hospital.reverse(locked.number, None, 7)

    assert (caught.value.number, caught.value.locked) == (locked.number, 1000)
    assert world.ledgers.invoices.segment_of(world.deployment.bills).next == before


def test_reverse__twice_or_a_red_letter__spends_no_number(world: World) -> None:
    original = world.issued()
    world.hospital.reverse(original.number, None, 7)
    red = world.ledgers.invoices.reversed_by(original.number)
    before = world.ledgers.invoices.segment_of(world.deployment.bills).next

    with pytest.raises(InvoiceIsReversed):
        world.hospital.reverse(original.number, None, 7)
    with pytest.raises(InvoiceIsRedLetter):
        world.hospital.reverse(red, None, 7)

    assert world.ledgers.invoices.segment_of(world.deployment.bills).next == before


def test_reverse__a_bill_that_is_not_in_the_store__not_found(world: World) -> None:
    original = world.issued()
    elsewhere = world.hospital_again(store="another")

    with pytest.raises(NotFound):
        elsewhere.reverse(original.number, None, 7)


def test_issue_red_letters__twice_for_one_bill__is_one_bill(world: World) -> None:
    original = world.issued()

    (first,) = world.hospital.issue_red_letters([original.number])
    (second,) = world.hospital.issue_red_letters([original.number])

    assert (first.number, first.is_new, second.is_new) == (second.number, True, False)


# Partial reversal


def test_reverse_part__an_unopened_bill__is_opened_and_reduced(world: World) -> None:
    original = world.issued()
    claimable = original.evidence().fields["ownPayAmount"]
    lines = [InvoiceLine("0101", "drugs", 700)]

    world.hospital.reverse_part(original.number, 700, 7, business_key="refund-1", lines=lines)

    invoices = world.ledgers.invoices
    assert invoices.claimable_of(original.number) == claimable - 700
    assert invoices.invoice_of(original.number).standing == Standing.PARTLY_REVERSED
    red = original.number + 1
    assert invoices.original_of(red) == original.number
    evidence = world.hospital.evidence(red)
    world.auditor.verify(evidence)
    world.auditor.verify(original.evidence())
    assert isinstance(evidence.header, InvoiceHeader)
    assert (evidence.header.claimable, evidence.header.on_hold) == (700, True)
    assert evidence.fields["ownPayAmount"] == evidence.fields["TotalAmount"] == 700
    assert evidence.fields["relatedInvoiceNumber"] == f"{original.number % 10**10:010d}"
    assert [step.name for step in world.auditor.trace(red)] == [
        "BatchIssued",
        "InvoicePartlyReversed",
    ]
    audit = world.auditor.audit()
    assert audit.mismatches == []
    assert audit.state.reversed_parts == {original.number: 700}


def test_reverse_part__several_times__until_nothing_is_left(world: World) -> None:
    original = world.issued()
    claimable = world.hospital.evidence(original.number).fields["ownPayAmount"]

    for key, amount in (("refund-1", 700), ("refund-2", claimable - 700)):
        world.hospital.reverse_part(original.number, amount, 7, business_key=key)

    assert world.ledgers.invoices.claimable_of(original.number) == 0
    before = world.ledgers.invoices.segment_of(world.deployment.bills).next
    with pytest.raises(ReversalAmountInvalid, match="from 1 to the 0 left"):
        world.hospital.reverse_part(original.number, 1, 7, business_key="refund-3")
    assert world.ledgers.invoices.segment_of(world.deployment.bills).next == before
    world.hospital.reverse(original.number, None, 7)
    assert world.ledgers.invoices.is_reversed(original.number)
    assert world.auditor.audit().mismatches == []


def test_reverse_part__the_same_refund_again__takes_back_nothing_more(world: World) -> None:
    original = world.issued()
    world.hospital.reverse_part(original.number, 700, 7, business_key="refund-1")
    left = world.ledgers.invoices.claimable_of(original.number)

    with pytest.raises(InvoiceIsRedLetter):
        world.hospital.reverse_part(original.number, 700, 7, business_key="refund-1")
    with pytest.raises(DuplicateBusinessKey):
        world.hospital.reverse_part(original.number, 800, 7, business_key="refund-1")

    assert world.ledgers.invoices.claimable_of(original.number) == left


def test_reverse_part__after_a_stop_before_the_reversal__finishes_with_the_same_letter(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = world.issued()
    stopped = world.hospital_again()
    monkeypatch.setattr(stopped.ledgers.invoices, "reverse_part", _stop)
    with pytest.raises(KeyboardInterrupt):
        stopped.reverse_part(original.number, 700, 7, business_key="refund-1")
    monkeypatch.undo()

    world.hospital_again().reverse_part(original.number, 700, 7, business_key="refund-1")

    assert world.ledgers.invoices.original_of(original.number + 1) == original.number
    next_ = world.ledgers.invoices.segment_of(world.deployment.bills).next
    assert next_ == original.number + 2


def _stop(*_arguments: object) -> None:
    raise KeyboardInterrupt


def test_reverse_part__a_locked_bill__spends_no_number(world: World) -> None:
    locked = world.locked(1000)
    before = world.ledgers.invoices.segment_of(world.deployment.bills).next

    with pytest.raises(InvoiceInUse):
        world.hospital.reverse_part(locked.number, 1, 7, business_key="refund-1")

    assert world.ledgers.invoices.segment_of(world.deployment.bills).next == before


def test_reverse_part__lines_of_another_sum_or_no_key__are_refused(world: World) -> None:
    original = world.issued()
    lines = [InvoiceLine("0101", "drugs", 699)]

    with pytest.raises(InvalidDocument, match="Item adds up"):
        world.hospital.reverse_part(original.number, 700, 7, business_key="refund-1", lines=lines)
    with pytest.raises(InvalidDocument, match="BizCode is empty"):
        world.hospital.reverse_part(original.number, 700, 7, business_key="")


def test_verify__a_partial_red_letter_that_is_not_used__is_on_hold(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = world.issued()
    monkeypatch.setattr(world.ledgers.invoices, "reverse_part", _stop)
    with pytest.raises(KeyboardInterrupt):
        world.hospital.reverse_part(original.number, 700, 7, business_key="refund-1")

    with pytest.raises(StatusMismatch, match="on hold"):
        world.auditor.verify(world.hospital.evidence(original.number + 1))


@pytest.mark.parametrize(
    ("forged", "field"),
    [({"on_hold": False}, "relatedInvoiceNumber"), ({"claimable": 800}, "ownPayAmount")],
)
def test_verify_offline__a_partial_red_letter_with_a_header_of_its_own__is_refused(
    forged: dict[str, object], field: str, world: World
) -> None:
    original = world.issued()
    world.hospital.reverse_part(original.number, 700, 7, business_key="refund-1")
    evidence = world.hospital.evidence(original.number + 1)
    header = replace(evidence.header, **forged)  # type: ignore[arg-type]

    with pytest.raises(HeaderMismatch, match=field):
        replace(evidence, header=header).verify_offline()


# Holds


def test_release__born_on_hold_and_not_opened__is_opened_first(world: World) -> None:
    receipt = world.hospital.issue(bill("visit-1", on_hold=True))

    world.hospital.release(receipt.number)

    assert world.ledgers.invoices.invoice_of(receipt.number).born_on_hold
    world.auditor.verify(receipt.evidence())


def test_release__never_held__is_refused_without_opening_it(world: World) -> None:
    receipt = world.issued()

    for hospital in (world.hospital, world.hospital_again(store="another")):
        with pytest.raises(DocumentNotHeld):
            hospital.release(receipt.number)

    assert not int(world.ledgers.invoices.invoice_of(receipt.number).patient, 16)


# Paper


def test_exchange_for_paper__a_bill__has_no_use_until_the_paper_is_void(world: World) -> None:
    receipt = world.issued()
    evidence = receipt.evidence()

    world.hospital.exchange_for_paper(receipt.number, keccak256(b"copy and salt"))

    exchanged_at = world.now()
    with pytest.raises(StatusMismatch, match="exchanged for paper"):
        world.auditor.verify(evidence)
    with pytest.raises(InvoiceOnPaper):
        world.payer.lock(evidence, world.allow(receipt.number, 1000))
    with pytest.raises(InvoiceOnPaper):
        world.hospital.reverse(receipt.number, None, 7)
    world.pass_time(60)
    world.hospital.void_paper(receipt.number)
    world.auditor.verify(evidence)
    with pytest.raises(StatusMismatch, match="exchanged for paper"):
        world.auditor.verify(evidence, at=exchanged_at)
    world.payer.lock(evidence, world.allow(receipt.number, 1000))
    with pytest.raises(InvoiceInUse):
        world.hospital.exchange_for_paper(receipt.number, keccak256(b"copy and salt"))
    with pytest.raises(InvoiceNotOnPaper):
        world.hospital.void_paper(receipt.number)
    assert world.auditor.audit().mismatches == []
