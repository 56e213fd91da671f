"""What was, replayed from an index: as the contracts held it then."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.index.chronicle import Chronicle
from tests.index.reading import lives
from tests.roles.test_audit import Storage
from tests.roles.world import BILL_CODE, LOCK_PERIOD, SERIALS, World, bill

from medledger.core.numbers import DocumentKind
from medledger.core.states import Hold, Standing, Status
from medledger.errors import IndexBehind, NotFound
from medledger.index import EventIndex, sync
from medledger.index.history import Held, _parts


@pytest.fixture
def told(file_index: EventIndex, world: World) -> EventIndex:
    """Every kind of document, with something that happened to each, an hour after the other."""
    for act in (
        lambda: lives(world),
        lambda: world.licensed(valid_until=world.now() + LOCK_PERIOD),
        lambda: world.recorded(),
        lambda: world.locked(key="open"),
    ):
        act()
        world.pass_time(3600)
    sync(file_index, [world.rpc])
    return file_index


def documents(told: EventIndex) -> list[tuple[DocumentKind, int]]:
    kinds: dict[str, DocumentKind] = {
        "Invoices": "Invoice",
        "Prescriptions": "Prescription",
        "Licences": "Licence",
        "Records": "Record",
    }
    return [(kinds[e.contract], e.arguments["first"]) for e in told.events(names=["BatchIssued"])]


def claim(held: Held) -> Status | None:
    parts = held.parts.get("claims")
    return parts[0].value.status if parts else None


def test_document_at__each_document_at_each_time__is_what_the_whole_history_makes(
    told: EventIndex, world: World
) -> None:
    times = sorted({event.time for event in told.events()})[-12:]

    for at in times:
        whole = world.auditor.rebuild(told, at=at).state
        for kind, number in documents(told):
            address = world.ledgers.documents[kind].address.lower()
            if number not in whole.ledgers[address].batches:
                continue
            held = world.auditor.document_at(told, number, kind, at)
            assert held.parts == _parts(whole, number, at)
            assert held.unknown == 0


def test_document_at__a_bill_that_was_reversed__was_regular_before(
    told: EventIndex, world: World
) -> None:
    number, red = world.issued("slip").number, world.issued("slip-red").number
    world.pass_time(10)
    world.hospital.reverse(number, red, 1)
    sync(told, [world.rpc])
    (reversal,) = told.events(names=["InvoiceReversed"], number=number)

    before = world.auditor.document_at(told, number, "Invoice", reversal.time - 1)
    after = world.auditor.document_at(told, number, "Invoice", reversal.time)

    assert before.parts == {}
    assert after.parts["invoices"][0].value.standing == Standing.REVERSED
    assert after.parts["reversed_by"][0].value == reversal.arguments["redLetter"]


def test_document_at__a_lock__is_over_once_its_time_is(told: EventIndex, world: World) -> None:
    *_, lock = told.events(names=["ClaimLocked"])
    number, until = lock.arguments["number"], lock.arguments["until"]
    world.pass_time(LOCK_PERIOD + 7200)
    sync(told, [world.rpc])

    within, over = (
        world.auditor.document_at(told, number, "Invoice", at) for at in (until, until + 1)
    )

    assert (within.usage, within.parts["claims"][0].is_expired) == ((1000, 0), False)
    assert (over.usage, over.parts["claims"][0].is_expired) == ((0, 0), True)
    assert claim(over) == Status.LOCKED
    (payer,) = within.parts["claims"][0].keys
    assert payer == world.ids["payer"]


def test_document_at__holds_and_pauses__as_they_were_then(told: EventIndex, world: World) -> None:
    number = world.issued("held").number
    world.pass_time(10)
    world.hospital.hold(number)
    world.supervisor.pause("Invoice")
    held_at = world.now()
    world.pass_time(10)
    world.hospital.release(number)
    world.supervisor.unpause("Invoice")
    sync(told, [world.rpc])

    states = [
        (held.hold, held.is_paused)
        for at in (held_at - 1, held_at, world.now())
        for held in [world.auditor.document_at(told, number, "Invoice", at)]
    ]

    assert states == [(Hold.AS_ISSUED, False), (Hold.HELD, True), (Hold.RELEASED, False)]


def test_document_at__a_licence__is_valid_until_its_end_or_its_suspension(
    told: EventIndex, world: World
) -> None:
    (opened,) = told.events(names=["LicenceOpened"])
    number = opened.arguments["number"]
    world.authority.suspend(number)
    suspended = world.now()
    world.pass_time(10)
    world.authority.lift(number)
    world.pass_time(2 * LOCK_PERIOD)
    sync(told, [world.rpc])

    for at in (opened.time, suspended, suspended + 11, world.now()):
        held = world.auditor.document_at(told, number, "Licence", at)
        assert held.is_valid == world.auditor.is_valid_at(number, at)


def test_document_at__a_batch_that_a_supervisor_endorsed__is_told_for_each_number(
    told: EventIndex, world: World
) -> None:
    free = SERIALS + 1
    segment = world.supervisor.allot(
        world.ids["hospital"], BILL_CODE, free, free + 9, endorsed=True
    )
    hospital = world.hospital_again(endorse=world.supervisor.endorse)
    both = list(hospital.issue_many([bill("first"), bill("second")], segment=segment, batch=2))
    sync(told, [world.rpc])

    for number in (receipt.number for receipt in both):
        held = world.auditor.document_at(told, number, "Invoice")
        assert (held.batch.count, held.endorsed_by) == (2, world.supervisor.institution)
        assert world.auditor.trace(number, index=told) == world.auditor.trace(number)


def test_document_at__before_its_issue_or_after_the_index__named(
    told: EventIndex, world: World
) -> None:
    (issued, *_) = told.events(names=["BatchIssued"])
    number = issued.arguments["first"]

    with pytest.raises(NotFound, match="is not in the chain by then"):
        world.auditor.document_at(told, number, "Invoice", issued.time - 1)
    with pytest.raises(IndexBehind, match="the index ends at"):
        world.auditor.document_at(told, number, "Invoice", told.last_time() + 1)


def test_rebuild__storage_that_no_event_explains__is_told_where_it_is_compared(
    told: EventIndex, world: World
) -> None:
    first = world.issued("unopened").head.first
    sync(told, [world.rpc])
    assert world.auditor.rebuild(told, compares=True).mismatches == []
    storage = Storage(world.rpc, world.ledgers.invoices.address)

    storage.change(storage.of_key(first), 1)

    (mismatch,) = world.auditor.rebuild(told, compares=True).mismatches
    assert mismatch.startswith(f"batch {first}: events say ")
    assert world.auditor.rebuild(told).mismatches == []


def test_rebuild__an_event_of_what_no_event_made__is_told(world: World, tmp_path: Path) -> None:
    chronicle = Chronicle(f"sqlite:///{tmp_path / 'impossible.db'}", world.ledgers.manifest)
    chronicle.tell("InstitutionSuspended", at=1, institution=9)

    (mismatch,) = world.auditor.rebuild(chronicle.index).mismatches

    assert "is InstitutionSuspended of what no event made: 9" in mismatch
    chronicle.index.close()
