"""Whatever stops a hospital, nothing is lost, and nothing is issued twice.

A stop is acted out three ways: a node that loses what it is told, objects built again on the same
store, and a real process that ends in the middle.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from typing import Any

import pytest
from tests.chain.nodes import Calls, Relay, Reply, each, mining_by_hand, refusal, wait_until_mined
from tests.chain.senders import NOTHING, add, mine, reorganise
from tests.roles.programs import STOPPED, start, stop_before
from tests.roles.world import World, bill, key_of

from medledger.chain.keys import address_of
from medledger.chain.local import LocalChain
from medledger.chain.rpc import Rpc
from medledger.chain.sender import Sender
from medledger.core.transactions import Stage
from medledger.errors import (
    KeyMissing,
    MedledgerError,
    NotIssued,
    NumberAlreadyIssued,
    NumberSkipped,
    RpcError,
    RpcUnavailable,
    StatusMismatch,
    TransactionFailed,
)
from medledger.roles import Hospital, IssueReceipt
from medledger.roles.issuing import Lost

STOPS = ["before sending", "after sending", "before the receipt"]


def raw(calls: Calls) -> bool:
    return any(call["method"] == "eth_sendRawTransaction" for call in calls)


def receipts(calls: Calls) -> bool:
    return any(call["method"] == "eth_getTransactionReceipt" for call in calls)


def lose(relay: Relay, stop: str) -> None:
    """The node goes away at a place in the life of a batch."""
    if stop == "before sending":
        relay.before = lambda calls: 503 if raw(calls) else None
    elif stop == "after sending":
        relay.after = lambda calls, answer: 502 if raw(calls) else answer
    else:
        relay.before = lambda calls: 503 if receipts(calls) else None


@contextmanager
def losing(anvil: LocalChain, stop: str) -> Iterator[Rpc]:
    with Relay(anvil.url) as relay:
        lose(relay, stop)
        yield Rpc(relay.url)


def stopped(world: World, anvil: LocalChain, stop: str, *keys: str, **how: Any) -> None:
    """The hospital has stored a batch of bills, and was stopped then."""
    with losing(anvil, stop) as rpc:
        hospital = world.hospital_again(rpc=rpc, patience_seconds=0, **how)
        with pytest.raises(RpcUnavailable):
            list(hospital.issue_many(bill(key) for key in keys or ("visit-1",)))
    wait_until_mined(world.rpc)


def issued_batches(world: World) -> int:
    return world.auditor.audit().state.counts.get("BatchIssued", 0)


def kept(hospital: Hospital) -> list[str]:
    """The business keys of what was set aside."""
    return [document.business_key for document in hospital.outbox().documents()]


# A node that loses things


@pytest.mark.parametrize("stop", STOPS)
def test_resume__stopped_at_each_step__the_batch_is_issued_once_under_its_numbers(
    stop: str, world: World, anvil: LocalChain
) -> None:
    stopped(world, anvil, stop, "a", "b", "c")
    hospital = world.hospital_again()
    assert len(hospital.store.unissued()) == 1

    lost = hospital.resume()

    assert lost == []
    assert hospital.store.unissued() == []
    found = list(hospital.issue_many(bill(key) for key in ("a", "b", "c")))
    assert [receipt.number - found[0].number for receipt in found] == [0, 1, 2]
    assert issued_batches(world) == 1
    for receipt in found:
        world.auditor.verify(receipt.evidence())


@pytest.mark.parametrize("stop", STOPS)
def test_issue__after_a_stop__finishes_the_batch_before_the_next(
    stop: str, world: World, anvil: LocalChain
) -> None:
    stopped(world, anvil, stop, "a", "b")
    hospital = world.hospital_again()

    receipt = hospital.issue(bill("c"))

    assert hospital.store.unissued() == []
    earlier = hospital.issue(bill("a"))
    assert (receipt.number - earlier.number, issued_batches(world)) == (2, 2)


@pytest.mark.parametrize("stop", STOPS)
def test_issue__the_same_objects_after_the_node_came_back__goes_on(
    stop: str, world: World, anvil: LocalChain
) -> None:
    with Relay(anvil.url) as relay:
        hospital = world.hospital_again(rpc=Rpc(relay.url))
        patient, hasty = hospital.sender.policy, replace(hospital.sender.policy, patience_seconds=0)
        lose(relay, stop)
        hospital.sender.policy = hasty
        with pytest.raises(RpcUnavailable):
            hospital.issue(bill("a"))
        relay.before, relay.after = lambda calls: None, lambda calls, answer: answer
        hospital.sender.policy = patient

        found = [hospital.issue(bill(key)) for key in ("a", "b", "c")]

    assert [receipt.number - found[0].number for receipt in found] == [0, 1, 2]
    assert issued_batches(world) == 3


def test_resume__sent_but_not_mined_yet__waits_for_it(world: World, anvil: LocalChain) -> None:
    list(world.hospital.accept_many([bill()]))
    with mining_by_hand(world.rpc) as mine_now:
        world.hospital.advance()
        hospital = world.hospital_again()
        done: list[list[str]] = []
        thread = threading.Thread(target=lambda: done.append(hospital.resume()))
        thread.start()
        mine_now()
        thread.join()

    assert done == [[]]
    assert issued_batches(world) == 1


def test_resume__bills_and_prescriptions__both(world: World) -> None:
    order = world.order()
    list(world.hospital.accept_many([bill()]))
    list(world.hospital.accept_many([order]))
    hospital = world.hospital_again()

    lost = hospital.resume()

    assert (lost, hospital.store.unissued()) == ([], [])
    world.auditor.verify(hospital.prescribe(order).evidence())
    assert issued_batches(world) == 2


def test_resume__without_a_key__key_missing(world: World) -> None:
    reader = Hospital(world.ledgers, store=f"sqlite:///{world.folder}/hospital.db")

    with pytest.raises(KeyMissing):
        reader.resume()

    reader.close()


def test_resume__the_node_is_still_away__unavailable_and_nothing_changes(
    world: World, anvil: LocalChain
) -> None:
    stopped(world, anvil, "before sending")

    with losing(anvil, "before sending") as rpc, pytest.raises(RpcUnavailable):
        world.hospital_again(rpc=rpc, patience_seconds=0).resume()

    assert world.hospital_again().resume() == []
    assert issued_batches(world) == 1


def test_issue__a_key_of_a_batch_that_was_stopped__is_that_document(
    world: World, anvil: LocalChain
) -> None:
    stopped(world, anvil, "before sending", "a", "b")

    receipt = world.hospital_again().issue(bill("a"))

    assert not receipt.is_new
    assert receipt.head.count == 2


# A process that ends


def test_resume__the_process_ended_before_each_step__issued_once_under_its_numbers(
    store_url: str, world: World
) -> None:
    first = world.ledgers.invoices.segment_of(world.deployment.bills).next

    for step in count():
        bills = [bill(f"{step}-a"), bill(f"{step}-b")]

        def issue(step: int = step, bills: list[Any] = bills) -> None:
            hospital = world.hospital_again(store=store_url)
            stop_before(step)
            list(hospital.issue_many(bills, batch=1))

        end = start(issue)()
        wait_until_mined(world.rpc)
        hospital = world.hospital_again(store=store_url)

        assert hospital.resume() == []
        again = list(hospital.issue_many(bills))
        hospital.close()

        assert [receipt.number for receipt in again] == [first + 2 * step, first + 2 * step + 1]
        assert end in (0, STOPPED)
        if end == 0:
            break

    assert step >= 8
    audit = world.auditor.audit()
    assert (audit.state.bills.issued, audit.mismatches) == (2 * (step + 1), [])
    for receipt in again:
        world.auditor.verify(receipt.evidence())


# Batches that can never be on chain


def overtaken(world: World, *keys: str) -> int:
    """A batch of ours that is mined after another took its numbers; the first of these."""
    second = world.hospital_again(key=world.second_key(), store="second")
    placed = list(world.hospital.accept_many(bill(key) for key in keys))
    list(second.accept_many([bill("theirs")]))
    with mining_by_hand(world.rpc) as mine_now:
        for hospital in (second, world.hospital):
            (found,) = hospital.outbox().transactions()
            world.rpc.request("eth_sendRawTransaction", "0x" + found.attempts[0].raw.hex())
        mine_now()
    second.resume()
    return placed[0].number


@pytest.mark.parametrize("when", ["before ours is sent", "in the same block"])
def test_resume__the_numbers_went_to_another__gives_the_keys_back(when: str, world: World) -> None:
    if when == "in the same block":
        theirs = overtaken(world, "a", "b")
    else:
        list(world.hospital.accept_many([bill("a"), bill("b")]))
        second = world.hospital_again(key=world.second_key(), store="second")
        theirs = second.issue(bill("theirs")).number
    hospital = world.hospital_again()

    lost = hospital.resume()

    assert lost == kept(hospital) == ["a", "b"]
    assert hospital.store.unissued() == []
    assert hospital.store.numbers(world.ledgers.invoices.address) == []
    again = list(hospital.issue_many(bill(key) for key in ("b", "a")))
    assert [receipt.number - theirs for receipt in again] == [1, 2]
    assert kept(hospital) == []
    for receipt in again:
        world.auditor.verify(receipt.evidence())


def test_resume__the_nonce_went_to_another_act__a_new_nonce_and_the_same_numbers(
    world: World,
) -> None:
    placed = list(world.hospital.accept_many([bill("a"), bill("b")]))
    # The same key in another program.
    Sender(world.rpc, key_of("hospital")).send(NOTHING)
    hospital = world.hospital_again()

    lost = hospital.resume()

    assert lost == []
    again = list(hospital.issue_many([bill("a"), bill("b")]))
    assert [receipt.number for receipt in again] == [one.number for one in placed]
    assert issued_batches(world) == 1
    world.auditor.verify(again[0].evidence())


def test_resume__the_first_of_several_lost_its_nonce__all_in_order_afterwards(
    world: World,
) -> None:
    keys = [f"visit-{at}" for at in range(5)]
    placed = list(world.hospital.accept_many((bill(key) for key in keys), batch=1))
    other = Sender(world.rpc, key_of("hospital"))
    # The nonces of the first and the second: the later batches come before them then.
    other.send(NOTHING)
    other.send(NOTHING)
    hospital = world.hospital_again()

    lost = hospital.resume()

    assert lost == []
    again = list(hospital.issue_many(bill(key) for key in keys))
    assert [receipt.number for receipt in again] == [one.number for one in placed]
    assert issued_batches(world) == 5
    for receipt in again:
        world.auditor.verify(receipt.evidence())


def test_issue__two_machines_take_the_same_numbers__one_is_refused_and_can_go_on(
    world: World,
) -> None:
    second = world.hospital_again(key=world.second_key(), store="second")
    hospitals = [world.hospital, second]
    outcomes: dict[int, IssueReceipt | MedledgerError] = {}

    def issue(at: int) -> None:
        try:
            outcomes[at] = hospitals[at].issue(bill(f"visit-{at}"))
        except MedledgerError as error:
            outcomes[at] = error

    with mining_by_hand(world.rpc) as mine_now:
        threads = [threading.Thread(target=issue, args=(at,)) for at in (0, 1)]
        for thread in threads:
            thread.start()
        while int(world.rpc.request("txpool_status")["pending"], 16) < 2:
            threads[0].join(0.005)
        mine_now()
        for thread in threads:
            thread.join()

    won, refused = sorted(outcomes, key=lambda at: isinstance(outcomes[at], MedledgerError))
    receipt, error = outcomes[won], outcomes[refused]
    assert isinstance(receipt, IssueReceipt)
    assert isinstance(error, NumberAlreadyIssued)
    assert error.values == {"number": receipt.number}
    assert hospitals[refused].store.unissued() == []
    assert hospitals[refused].issue(bill(f"visit-{refused}")).number == receipt.number + 1


def test_resume__refused_when_mined_and_the_node_forgot_that_block__gives_the_keys_back(
    world: World, anvil: LocalChain
) -> None:
    overtaken(world, "a", "b")

    def forgetful(call: dict[str, Any], answer: Any) -> Any:
        # What geth says of a state older than 128 blocks.
        is_old = call["method"] == "eth_call" and call["params"][1] != "latest"
        is_ours = is_old and call["params"][0].get("from")
        return refusal(call, "missing trie node") if is_ours else answer

    with Relay(anvil.url) as relay:
        relay.after = lambda calls, body: each(calls, body, forgetful)
        hospital = world.hospital_again(rpc=Rpc(relay.url))

        # Mined and failed: whatever the reason, it can never be on chain.
        assert hospital.resume() == ["a", "b"]

    (first, _) = hospital.outbox().documents()
    assert (first.reason, first.can_retry) == ("TransactionReverted", True)


@pytest.mark.parametrize("behind", ["with receipts", "by a block"])
def test_resume__a_replica_that_lags__never_forgets_what_is_on_chain(
    behind: str, world: World, anvil: LocalChain
) -> None:
    stopped(world, anvil, "after sending", "a", "b")
    before = hex(world.rpc.block_number() - 1)

    def lagging(calls: Calls) -> Reply | None:
        """Transactions go to a node that is up to date, questions to one that is not."""
        if raw(calls):
            return None
        answers = []
        for call in calls:
            params = call["params"]
            if behind == "by a block":
                params = [before if item == "latest" else item for item in params]
            (answer,) = world.rpc.batch([(call["method"], params)])
            if call["method"] == "eth_getTransactionReceipt":
                answer = None
            if call["method"] == "eth_blockNumber" and behind == "by a block":
                answer = before
            answers.append({"jsonrpc": "2.0", "id": call["id"], "result": answer})
            if isinstance(answer, RpcError):
                answers[-1] = refusal(call, answer.text)
        return answers

    with Relay(anvil.url) as relay:
        relay.before = lagging
        hospital = world.hospital_again(rpc=Rpc(relay.url), patience_seconds=0)
        with pytest.raises(MedledgerError, match="not final"):
            hospital.resume()

    # The nonce is used, and no receipt is shown; but the batch is on chain.
    hospital = world.hospital_again()
    assert hospital.resume() == []
    assert [receipt.head.count for receipt in hospital.issue_many([bill("a"), bill("b")])] == [2, 2]
    assert issued_batches(world) == 1


def test_finish__the_batch_before_it_can_never_be__both_are_set_aside(world: World) -> None:
    list(world.hospital.accept_many([bill("a"), bill("b")]))
    list(world.hospital.accept_many([bill("c")]))
    world.hospital_again(key=world.second_key(), store="second").issue(bill("theirs"))
    _, last = world.hospital.store.unissued()

    with pytest.raises(Lost) as lost:
        world.hospital.finish(last)

    assert isinstance(lost.value.error, NumberSkipped)
    assert kept(world.hospital) == ["a", "b", "c"]
    receipts = list(world.hospital.retry())
    assert [receipt.number - receipts[0].number for receipt in receipts] == [0, 1, 2]


def test_resume__a_node_that_shows_no_events_yet__nothing_is_decided(
    world: World, anvil: LocalChain
) -> None:
    overtaken(world, "a")

    def silent(call: dict[str, Any], answer: Any) -> Any:
        return answer | {"result": []} if call["method"] == "eth_getLogs" else answer

    with Relay(anvil.url) as relay:
        relay.after = lambda calls, body: each(calls, body, silent)
        with pytest.raises(RpcUnavailable, match="caught up"):
            world.hospital_again(rpc=Rpc(relay.url)).resume()

    assert kept(world.hospital) == []
    assert world.hospital.resume() == ["a"]


# Another key goes on


@pytest.mark.parametrize("stop", STOPS)
def test_resume__the_key_was_rotated_with_a_batch_on_its_way__the_new_one_issues_it(
    stop: str, world: World, anvil: LocalChain
) -> None:
    stopped(world, anvil, stop, "a", "b")
    (row,) = world.hospital_again().store.unissued()
    key = world.second_key()
    world.supervisor.remove_operator(address_of(key_of("hospital")))
    hospital = world.hospital_again(key=key)

    lost = hospital.resume()

    assert lost == []
    assert (hospital.store.unissued(), hospital.outbox().transactions()) == ([], [])
    again = list(hospital.issue_many([bill("a"), bill("b")]))
    assert [receipt.number for receipt in again] == [row.first, row.first + 1]
    assert issued_batches(world) == 1
    for receipt in again:
        world.auditor.verify(receipt.evidence())
    assert hospital.issue(bill("c")).number == row.first + 2


def test_resume__reorganised_away_and_its_key_is_gone__the_other_key_sees_it_and_issues_it(
    world: World,
) -> None:
    key = world.second_key()
    receipt = world.issued("a")
    reorganise(world.rpc, 1)
    world.supervisor.remove_operator(address_of(key_of("hospital")))
    hospital = world.hospital_again(key=key)

    lost = hospital.resume()

    assert (lost, hospital.store.unissued(), issued_batches(world)) == ([], [], 1)
    (again,) = hospital.issue_many([bill("a")])
    assert (again.number, again.is_new) == (receipt.number, False)
    world.auditor.verify(again.evidence())


def test_resume__rotated_with_several_in_flight__all_in_order(world: World) -> None:
    keys = [f"visit-{at}" for at in range(4)]
    placed = list(world.hospital.accept_many((bill(key) for key in keys), batch=1))
    key = world.second_key()
    removal = world.ledgers.institutions.remove_operator(address_of(key_of("hospital")))
    with mining_by_hand(world.rpc) as mine_now:
        # All are in the pool, behind the removal of their signer.
        add(world.supervisor.sender, removal, gas=200_000)
        world.supervisor.sender.advance()
        world.hospital.advance()
        mine_now()
    hospital = world.hospital_again(key=key)

    lost = hospital.resume()

    assert lost == []
    again = list(hospital.issue_many(bill(key) for key in keys))
    assert [receipt.number for receipt in again] == [one.number for one in placed]
    world.auditor.verify(again[3].evidence())


def test_resume__rotated_while_its_batch_waits_for_another__the_new_one_sends_it_again(
    world: World,
) -> None:
    ours, theirs = world.hospital, world.hospital_again(key=world.second_key())
    accepted = []
    for hospital, key in ((ours, "a"), (theirs, "b"), (ours, "c")):
        accepted += hospital.accept_many([bill(key)])
    # The third comes before the second, and is refused.
    while ours.store.journal.unfinished(ours.address):
        ours.advance()
    world.supervisor.remove_operator(ours.address)

    assert theirs.resume() == []

    assert theirs.store.unissued() == []
    for one in accepted:
        world.auditor.verify(theirs.evidence(one.number))


def test_resume__rotated_and_its_block_is_not_deep_enough__waits_until_it_is(
    world: World, anvil: LocalChain
) -> None:
    stopped(world, anvil, "after sending", "a")
    key = world.second_key()
    world.supervisor.remove_operator(address_of(key_of("hospital")))
    hospital = world.hospital_again(key=key, confirmations=10)

    with pytest.raises(TransactionFailed, match="not final yet"):
        hospital.resume()

    mine(world.rpc, 10)
    assert hospital.resume() == []
    world.auditor.verify(hospital.issue(bill("a")).evidence())


def test_resume__another_operators_batch_on_the_store__is_left_to_it(
    world: World, anvil: LocalChain
) -> None:
    list(world.hospital.accept_many([bill("a")]))
    second = world.hospital_again(key=world.second_key(), patience_seconds=0)

    lost = second.resume()

    assert lost == []
    assert len(second.store.unissued()) == 1
    assert world.hospital_again().resume() == []


# Blocks that go away


@pytest.mark.parametrize("seen", ["at the next issue", "while the next is confirmed", "by another"])
def test_issue__its_final_block_was_reorganised_away__issued_again_with_its_new_time(
    seen: str, world: World, anvil: LocalChain
) -> None:
    receipt = world.issued("a")

    def go_away() -> None:
        reorganise(world.rpc, 1)
        world.rpc.request("evm_increaseTime", 60)

    def go_away_once(calls: Calls) -> None:
        if raw(calls) and relay.methods().count("eth_sendRawTransaction") == 1:
            go_away()

    with Relay(anvil.url) as relay:
        if seen == "while the next is confirmed":
            relay.before = go_away_once
            hospital = world.hospital_again(rpc=Rpc(relay.url))
        else:
            go_away()
            hospital = world.hospital if seen == "at the next issue" else world.hospital_again()
        hospital.issue(bill("b"))

        hospital.resume()
        again = hospital.issue(bill("a"))

    assert (again.number, again.is_new) == (receipt.number, False)
    assert again.head.issued_at > receipt.head.issued_at
    assert issued_batches(world) == 2
    for key in ("a", "b"):
        world.auditor.verify(hospital.issue(bill(key)).evidence())


def test_evidence__while_its_block_is_gone__not_issued(world: World, anvil: LocalChain) -> None:
    receipt = world.issued("a")
    with mining_by_hand(world.rpc):
        reorganise(world.rpc, 1)
        world.hospital.advance()

        with pytest.raises(NotIssued):
            receipt.evidence()

    assert world.hospital.resume() == []
    world.auditor.verify(receipt.evidence())


def test_issue__a_policy_of_three_blocks__is_final_in_the_third(
    world: World, anvil: LocalChain
) -> None:
    hospital = world.hospital_again(confirmations=3)
    list(hospital.accept_many([bill("a")]))
    hospital.advance()
    wait_until_mined(world.rpc)
    hospital.advance()
    (unissued,) = hospital.store.unissued()
    reorganise(world.rpc, 1)
    hospital.advance()
    wait_until_mined(world.rpc)
    mine(world.rpc, 2)

    assert hospital.resume() == []

    row = hospital.store.batch_of(unissued.ledger, unissued.first)
    assert row.block == world.rpc.block_number() - 2
    world.auditor.verify(hospital.evidence(row.first))


# Evidence and acts while something is unfinished


def test_evidence__of_a_batch_that_is_not_on_chain__is_refused_by_name(
    world: World, anvil: LocalChain
) -> None:
    (accepted,) = world.hospital.accept_many([bill()])

    with pytest.raises(NotIssued):
        world.hospital_again().evidence(accepted.number)


def test_hold__after_an_issue_that_was_not_sent__is_not_stuck_behind_it(world: World) -> None:
    earlier = world.issued("earlier")
    (accepted,) = world.hospital.accept_many([bill("a")])

    world.hospital.hold(earlier.number)

    with pytest.raises(StatusMismatch, match="on hold"):
        world.auditor.verify(earlier.evidence())
    assert world.hospital.resume() == []
    assert world.hospital.issue(bill("a")).number == accepted.number == earlier.number + 1
    assert issued_batches(world) == 2


def test_issue__the_key_was_used_elsewhere__goes_on_with_the_next_number(world: World) -> None:
    first = world.issued("visit-1")
    Sender(world.rpc, key_of("hospital")).send(NOTHING)

    second = world.issued("visit-2")

    assert second.number == first.number + 1
    assert issued_batches(world) == 2
    stages = {world.hospital.store.journal.transaction(id_).stage for id_ in (1, 2)}
    assert stages == {Stage.FINAL}
