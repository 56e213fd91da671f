"""Red-letter bills that a hospital makes from its own store."""

from __future__ import annotations

import pytest
from tests.roles.world import World

from medledger.core.hashing import InvoiceHeader
from medledger.core.states import Standing
from medledger.errors import (
    InvoiceInUse,
    InvoiceIsRedLetter,
    InvoiceIsReversed,
    NotFound,
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
