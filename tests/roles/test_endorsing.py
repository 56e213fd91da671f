"""Batches of endorsed segments: signed by a supervisor before they are stored."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.roles.world import BILL_CODE, ORDER_CODE, SERIALS, World, bill, key_of

from medledger.chain.bindings import BatchEndorsed
from medledger.core.acts import Act
from medledger.core.hashing import BatchEndorsement
from medledger.core.states import Kind
from medledger.errors import (
    ActMismatch,
    EndorsementInvalid,
    EndorsementMissing,
    InstitutionIsSuspended,
    KeyMissing,
)
from medledger.roles import Hospital, Supervisor
from medledger.roles.ledger_of import DocumentKind

FREE = SERIALS + 1


@pytest.fixture
def segment(world: World) -> int:
    """An endorsed segment of the hospital."""
    return world.supervisor.allot(world.ids["hospital"], BILL_CODE, FREE, FREE + 99, endorsed=True)


@pytest.fixture
def hospital(world: World) -> Hospital:
    """One whose batches the supervisor endorses."""
    return world.hospital_again(endorse=world.supervisor.endorse)


def asked(world: World, segment: int, /, **changes: object) -> Act:
    """A request for the next three numbers of a segment."""
    first = world.ledgers.invoices.segment_of(segment).next
    message = BatchEndorsement(segment, first, 3, bytes(32), world.now() + 60)
    message = replace(message, **changes)  # type: ignore[arg-type]
    return Act(message, world.ledgers.chain_id, world.ledgers.invoices.address)


def test_issue_many__endorsed__each_batch_names_the_supervisor(
    world: World, hospital: Hospital, segment: int
) -> None:
    stream = (bill(f"visit-{i}") for i in range(5))

    receipts = list(hospital.issue_many(stream, segment=segment, batch=2))

    assert len({receipt.head.first for receipt in receipts}) == 3
    for receipt in receipts:
        world.auditor.verify(receipt.evidence())
    audit = world.auditor.audit()
    assert audit.mismatches == []
    assert audit.state.counts["BatchEndorsed"] == 3
    assert set(audit.state.bills.endorsements.values()) == {world.supervisor.institution}


@pytest.mark.parametrize(("kind", "code"), [("Invoice", BILL_CODE), ("Prescription", ORDER_CODE)])
def test_issue__endorsed__of_either_kind(
    kind: DocumentKind, code: int, world: World, hospital: Hospital
) -> None:
    id_ = world.ids["hospital"]
    segment = world.supervisor.allot(id_, code, FREE, FREE + 9, kind, endorsed=True)

    if kind == "Invoice":
        receipt = hospital.issue(bill(), segment=segment)
    else:
        receipt = hospital.prescribe(world.order(), segment=segment)

    assert receipt.number % 10**10 == FREE
    world.auditor.verify(receipt.evidence())


def test_issue__nobody_endorses__is_told_before_a_number_is_taken(
    world: World, segment: int
) -> None:
    with pytest.raises(EndorsementMissing, match=f"segment {segment} need") as error:
        world.hospital.issue(bill(), segment=segment)

    assert "--endorse" in error.value.hint
    assert list(world.hospital.store.unissued()) == []


def test_issue__nobody_endorses__takes_numbers_of_other_segments_first(
    world: World, segment: int
) -> None:
    receipt = world.hospital.issue(bill())

    assert receipt.head.segment == world.deployment.bills != segment


def test_issue__the_endorser_fails__nothing_is_stored(world: World, segment: int) -> None:
    def fail(_request: Act) -> Act:
        raise ConnectionError("the bureau is closed")

    hospital = world.hospital_again(endorse=fail)

    with pytest.raises(ConnectionError, match="closed"):
        hospital.issue(bill(), segment=segment)
    assert list(hospital.store.unissued()) == []
    opened = world.hospital_again(endorse=world.supervisor.endorse)
    assert opened.issue(bill(), segment=segment).number % 10**10 == FREE


def test_issue__endorsement_of_something_else__is_refused_before_it_is_stored(
    world: World, segment: int
) -> None:
    def of_another_root(request: Act) -> Act:
        message = request.message_as(BatchEndorsement)
        return world.supervisor.endorse(replace(request, message=replace(message, root=bytes(32))))

    def unsigned(request: Act) -> Act:
        return request

    for endorse, problem in ((of_another_root, "asked for"), (unsigned, "not signed")):
        hospital = world.hospital_again(endorse=endorse)
        with pytest.raises(ActMismatch, match=problem):
            hospital.issue(bill(), segment=segment)
        assert list(hospital.store.unissued()) == []


def test_issue__signed_by_a_key_under_the_supervisors_name__is_refused(
    world: World, segment: int
) -> None:
    def forged(request: Act) -> Act:
        return replace(request.signed(key_of("hospital")), signer=world.supervisor.address)

    hospital = world.hospital_again(endorse=forged)

    with pytest.raises(EndorsementInvalid):
        hospital.issue(bill(), segment=segment)


def test_issue__supervisor_suspended_after_it_signed__is_set_aside_and_endorsed_again(
    world: World, segment: int
) -> None:
    other = Supervisor(world.ledgers, key_of("other supervisor"))
    institution = world.supervisor.accredit("other", Kind.SUPERVISOR, other.address)
    hospital = world.hospital_again(endorse=other.endorse)
    (accepted,) = hospital.accept_many([bill()], segment=segment)
    world.supervisor.suspend(institution, 1)

    lost = hospital.resume()

    assert lost == [accepted.business_key]
    (row,) = hospital.outbox().documents()
    assert row.reason == InstitutionIsSuspended.__name__
    again = world.hospital_again(endorse=world.supervisor.endorse)
    (receipt,) = again.retry(segment=segment)
    assert receipt.number == accepted.number


def test_resume__after_a_stop__sends_the_endorsed_batch_that_was_stored(
    world: World, segment: int
) -> None:
    asked_for: list[Act] = []

    def endorse(request: Act) -> Act:
        asked_for.append(request)
        return world.supervisor.endorse(request)

    stopped = world.hospital_again(endorse=endorse)
    (accepted,) = stopped.accept_many([bill()], segment=segment)

    # Nobody endorses now: what was stored is whole.
    receipt = world.hospital_again().issue(bill())

    assert (receipt.number, receipt.is_new) == (accepted.number, False)
    assert len(asked_for) == 1
    world.auditor.verify(receipt.evidence())


def test_issue__by_a_second_key_after_the_first_is_gone__keeps_the_endorsement(
    world: World, segment: int
) -> None:
    second = world.second_key()
    stopped = world.hospital_again(endorse=world.supervisor.endorse)
    (accepted,) = stopped.accept_many([bill()], segment=segment)
    world.supervisor.remove_operator(stopped.address)

    receipt = world.hospital_again(key=second).issue(bill())

    assert receipt.number == accepted.number
    steps = world.auditor.trace(receipt.number)
    assert steps[0].event.by == Supervisor(world.ledgers, second).address  # type: ignore[attr-defined]
    assert world.auditor.audit().mismatches == []


def test_endorse__what_the_segment_cannot_issue__is_not_signed(world: World, segment: int) -> None:
    first = world.ledgers.invoices.segment_of(segment).next
    wrong = (
        {"first": first - 1},
        {"first": first + 98},
        {"segment": 999},
        {"segment": world.deployment.bills},
        {"count": 101},
        {"count": 0},
        {"deadline": world.now() - 1},
    )

    for changes in wrong:
        with pytest.raises(ActMismatch):
            world.supervisor.endorse(asked(world, segment, **changes))
    request = asked(world, segment)
    with pytest.raises(ActMismatch, match="on chain 1,"):
        world.supervisor.endorse(replace(request, chain_id=1))
    with pytest.raises(ActMismatch):
        world.supervisor.endorse(replace(request, contract=world.ledgers.claims.address))
    with pytest.raises(KeyMissing):
        Supervisor(world.ledgers).endorse(request)
    world.supervisor.withdraw(segment, 1)
    with pytest.raises(ActMismatch):
        world.supervisor.endorse(request)


def test_trace__endorsed_batch__the_event_names_segment_supervisor_and_signer(
    world: World, hospital: Hospital, segment: int
) -> None:
    first, second = hospital.issue_many([bill("visit-1"), bill("visit-2")], segment=segment)

    for receipt in (first, second):
        steps = world.auditor.trace(receipt.number)

        assert [step.name for step in steps] == ["BatchIssued", "BatchEndorsed"]
        assert steps[1].event == BatchEndorsed(
            first.number, segment, world.supervisor.institution, world.supervisor.address
        )
