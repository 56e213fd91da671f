"""Several programs on one store, as real processes: no number twice, none left out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from tests.chain.nodes import Calls, Relay
from tests.roles.programs import start
from tests.roles.world import BILL_CODE, SERIALS, World, bill, key_of

from medledger.chain.local import LocalChain
from medledger.chain.rpc import Rpc
from medledger.errors import TransactionFailed
from medledger.roles import Hospital
from medledger.roles.issuing import Lost

EACH = 60
BATCH = 10


def program(
    world: World, store: str, key: bytes, keys: list[str], segment: int | None = None
) -> Callable[[], int]:
    """Issues bills of these business keys; it shares nothing with the test but the store."""

    def issue() -> None:
        hospital = world.hospital_again(key=key, store=store, rpc=Rpc(world.rpc.url))
        stream = (bill(key) for key in keys)
        given = [
            one.business_key for one in hospital.issue_many(stream, segment=segment, batch=BATCH)
        ]
        assert given == keys

    return start(issue)


def keys_of(name: str) -> list[str]:
    return [f"{name}-{at}" for at in range(EACH)]


def numbers(hospital: Hospital) -> list[int]:
    return hospital.store.numbers(hospital.ledgers.invoices.address)


def segment_of(world: World, at: int) -> int:
    """A segment of the hospital, the n-th after its first."""
    first = at * SERIALS + 1
    return world.supervisor.allot(world.ids["hospital"], BILL_CODE, first, first + SERIALS - 1)


def test_issue_many__two_operators_with_segments_of_their_own__each_fills_its_own(
    world: World, store_url: str
) -> None:
    keys = {"one": key_of("hospital"), "two": world.second_key()}
    segments = {"one": world.deployment.bills, "two": segment_of(world, 1)}
    world.hospital_again(store=store_url).close()

    ends = [
        program(world, store_url, key, keys_of(name), segments[name]) for name, key in keys.items()
    ]

    assert [end() for end in ends] == [0, 0]
    hospital = world.hospital_again(store=store_url)
    assert hospital.store.unissued() == []
    for name, segment in segments.items():
        entry = world.ledgers.invoices.segment_of(segment)
        assert entry.next == entry.first + EACH
        found = hospital.store.numbers_of(world.ledgers.invoices.address, keys_of(name))
        assert list(map(found.get, keys_of(name))) == list(range(entry.first, entry.next))
    assert world.auditor.audit().mismatches == []


@pytest.mark.parametrize("operators", ["the same", "another"])
def test_issue_many__two_programs_in_one_segment__no_number_twice_and_none_left_out(
    operators: str, world: World, store_url: str
) -> None:
    second = world.second_key() if operators == "another" else key_of("hospital")
    world.hospital_again(store=store_url).close()

    ends = [
        program(world, store_url, key_of("hospital"), keys_of("one")),
        program(world, store_url, second, keys_of("two")),
    ]

    assert [end() for end in ends] == [0, 0]
    hospital = world.hospital_again(store=store_url)
    first = world.ledgers.invoices.segment_of(world.deployment.bills).first
    assert numbers(hospital) == list(range(first, first + 2 * EACH))
    assert hospital.store.unissued() == list(hospital.outbox().documents()) == []
    audit = world.auditor.audit()
    assert (audit.state.bills.issued, audit.mismatches) == (2 * EACH, [])
    for number in numbers(hospital)[::37]:
        world.auditor.verify(hospital.evidence(number))


def test_issue_many__two_programs_with_the_same_bills__each_bill_is_issued_once(
    world: World, store_url: str
) -> None:
    world.hospital_again(store=store_url).close()

    ends = [program(world, store_url, key_of("hospital"), keys_of("same")) for _ in range(2)]

    assert [end() for end in ends] == [0, 0]
    hospital = world.hospital_again(store=store_url)
    assert len(numbers(hospital)) == world.auditor.audit().state.bills.issued == EACH
    assert hospital.store.unissued() == []


# One step of another program at a bad moment


def meanwhile(relay: Relay, method: str, act: Callable[[], object]) -> None:
    """Another program acts once, while this one waits for the answer to a request."""

    def act_once(calls: Calls) -> None:
        if calls[0]["method"] == method and relay.methods().count(method) == 1:
            act()

    relay.before = act_once


def test_issue__another_program_takes_the_planned_numbers__the_next_are_planned(
    world: World, anvil: LocalChain
) -> None:
    other = world.hospital_again()
    with Relay(anvil.url) as relay:
        meanwhile(relay, "eth_estimateGas", lambda: other.issue(bill("theirs")))
        hospital = world.hospital_again(rpc=Rpc(relay.url))

        receipt = hospital.issue(bill("ours"))

    assert receipt.number == other.issue(bill("theirs")).number + 1
    assert world.auditor.audit().state.bills.issued == 2


@pytest.mark.parametrize("remark", [None, "paid in cash"])
def test_issue__another_program_stores_the_same_key_first__it_is_that_bill_or_refused(
    remark: str | None, world: World, anvil: LocalChain
) -> None:
    other = world.hospital_again()
    with Relay(anvil.url) as relay:
        meanwhile(relay, "eth_estimateGas", lambda: other.issue(bill("a", remark=remark)))
        hospital = world.hospital_again(rpc=Rpc(relay.url))
        rejected: list[str] = []

        receipts = list(
            hospital.issue_many(
                [bill("a"), bill("b")], on_reject=lambda key, _: rejected.append(key)
            )
        )

    assert [receipt.business_key for receipt in receipts] == (["b"] if remark else ["a", "b"])
    assert rejected == (["a"] if remark else [])
    assert world.auditor.audit().state.bills.issued == 2


def test_finish__another_program_gave_the_numbers_to_another_batch__leaves_that_alone(
    world: World,
) -> None:
    hospital, other = world.hospital, world.hospital_again()
    list(hospital.accept_many([bill("a")]))
    (row,) = hospital.store.unissued()
    world.supervisor.pause("Invoice")
    assert other.resume() == ["a"]
    world.supervisor.unpause("Invoice")
    (accepted,) = other.accept_many([bill("b")])
    assert accepted.number == row.first

    with pytest.raises(Lost):
        hospital.finish(row)

    assert hospital.resume() == []
    assert [one.business_key for one in hospital.outbox().documents()] == ["a"]
    world.auditor.verify(hospital.evidence(accepted.number))


def test_finish__another_key_has_taken_the_batch_over__is_issued_and_not_set_aside(
    world: World,
) -> None:
    hospital = world.hospital
    list(hospital.accept_many([bill("a")]))
    (row,) = hospital.store.unissued()
    key = world.second_key()
    world.supervisor.remove_operator(hospital.address)
    assert world.hospital_again(key=key).resume() == []

    issued = hospital.finish(row)

    assert issued.transaction is not None
    assert list(hospital.outbox().documents()) == []
    world.auditor.verify(hospital.evidence(row.first))


def test_resume__it_must_follow_another_operators_batch__waits_for_that_one(
    world: World,
) -> None:
    ours, theirs = world.hospital, world.hospital_again(key=world.second_key())
    accepted = []
    for hospital, key in ((ours, "a"), (theirs, "b"), (ours, "c"), (theirs, "d")):
        accepted += hospital.accept_many([bill(key)])
    patient, hasty = ours.sender.policy, replace(ours.sender.policy, patience_seconds=0)
    # The third comes before the second and is refused: only its own key can send it again.
    while ours.store.journal.unfinished(ours.address):
        ours.advance()
    while theirs.outbox().transactions():
        theirs.advance()

    theirs.sender.policy = hasty
    with pytest.raises(TransactionFailed, match="does not go on with it"):
        theirs.resume()

    theirs.sender.policy = patient
    assert ours.resume() == []
    assert theirs.resume() == []
    for one in accepted:
        world.auditor.verify(ours.evidence(one.number))
