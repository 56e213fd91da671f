"""Whatever stops a hospital, nothing is lost, and nothing is issued twice.

A stop is acted out three ways: a node that loses what it is told, objects built again on the same
store, and a real process that ends in the middle.
"""

from __future__ import annotations

import pickle
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from tests.chain.nodes import Calls, Relay, Reply, each, mining_by_hand, refusal, wait_until_mined
from tests.roles.world import World, bill, key_of

from medledger.chain.contract import Call
from medledger.chain.keys import address_of
from medledger.chain.local import LocalChain
from medledger.chain.rpc import Rpc
from medledger.chain.sender import Sender
from medledger.errors import (
    MedledgerError,
    NonceTaken,
    NumberAlreadyIssued,
    RpcUnavailable,
    StatusMismatch,
)
from medledger.roles import Hospital, IssueReceipt

STOPS = ["before sending", "after sending", "before the receipt"]


def raw(calls: Calls) -> bool:
    return any(call["method"] == "eth_sendRawTransaction" for call in calls)


def receipts(calls: Calls) -> bool:
    return any(call["method"] == "eth_getTransactionReceipt" for call in calls)


@contextmanager
def losing(anvil: LocalChain, stop: str) -> Iterator[Rpc]:
    """A node that goes away at a place in the life of a batch."""
    with Relay(anvil.url) as relay:
        if stop == "before sending":
            relay.before = lambda calls: 503 if raw(calls) else None
        elif stop == "after sending":
            relay.after = lambda calls, answer: 502 if raw(calls) else answer
        else:
            relay.before = lambda calls: 503 if receipts(calls) else None
        yield Rpc(relay.url)


def stopped(world: World, anvil: LocalChain, stop: str, *keys: str) -> None:
    """The hospital has stored a batch of bills, and was stopped then."""
    with losing(anvil, stop) as rpc:
        hospital = world.hospital_again(rpc=rpc)
        with pytest.raises(RpcUnavailable):
            list(hospital.issue_many(bill(key) for key in keys or ("visit-1",)))


def unconfirmed(world: World, hospital: Hospital) -> int:
    return sum(
        len(hospital.store.unconfirmed(ledger.address))
        for ledger in (world.ledgers.invoices, world.ledgers.prescriptions)
    )


def issued_batches(world: World) -> int:
    return world.auditor.audit().state.counts.get("BatchIssued", 0)


# A node that loses things


@pytest.mark.parametrize("stop", STOPS)
def test_resume__stopped_at_each_step__the_batch_is_issued_once_under_its_numbers(
    stop: str, world: World, anvil: LocalChain
) -> None:
    stopped(world, anvil, stop, "a", "b", "c")
    hospital = world.hospital_again()
    assert unconfirmed(world, hospital) == 1

    lost = hospital.resume()

    assert lost == []
    assert unconfirmed(world, hospital) == 0
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

    assert unconfirmed(world, hospital) == 0
    earlier = hospital.issue(bill("a"))
    assert (receipt.number - earlier.number, issued_batches(world)) == (2, 2)


@pytest.mark.parametrize("stop", STOPS)
def test_issue__the_same_objects_after_the_node_came_back__goes_on(
    stop: str, world: World, anvil: LocalChain
) -> None:
    with Relay(anvil.url) as relay:
        hospital = world.hospital_again(rpc=Rpc(relay.url))
        if stop == "before sending":
            relay.before = lambda calls: 503 if raw(calls) else None
        elif stop == "after sending":
            relay.after = lambda calls, answer: 502 if raw(calls) else answer
        else:
            relay.before = lambda calls: 503 if receipts(calls) else None
        with pytest.raises(RpcUnavailable):
            hospital.issue(bill("a"))
        relay.before, relay.after = lambda calls: None, lambda calls, answer: answer

        found = [hospital.issue(bill(key)) for key in ("a", "b", "c")]

    assert [receipt.number - found[0].number for receipt in found] == [0, 1, 2]
    assert issued_batches(world) == 3


def test_resume__sent_but_not_mined_yet__waits_for_it(world: World, anvil: LocalChain) -> None:
    with mining_by_hand(world.rpc) as mine:
        stopped(world, anvil, "after sending")
        hospital = world.hospital_again()
        done: list[list[str]] = []
        thread = threading.Thread(target=lambda: done.append(hospital.resume()))
        thread.start()
        mine()
        thread.join()

    assert done == [[]]
    assert issued_batches(world) == 1


def test_resume__bills_and_prescriptions__both(world: World, anvil: LocalChain) -> None:
    order = world.order()
    with losing(anvil, "after sending") as rpc:
        hospital = world.hospital_again(rpc=rpc)
        for issue, document in ((hospital.issue, bill()), (hospital.prescribe, order)):
            # The second finds the first on chain, and is lost by itself.
            with pytest.raises(RpcUnavailable):
                issue(document)
            with pytest.raises(RpcUnavailable):
                hospital.resume()
    hospital = world.hospital_again()

    lost = hospital.resume()

    assert (lost, unconfirmed(world, hospital)) == ([], 0)
    world.auditor.verify(hospital.prescribe(order).evidence())
    assert issued_batches(world) == 2


def test_resume__nothing_was_stopped__does_nothing_and_needs_no_key(world: World) -> None:
    world.issued()
    reader = Hospital(world.ledgers, store=f"sqlite:///{world.folder}/hospital.db")

    assert reader.resume() == []

    reader.close()


def test_resume__the_node_is_still_away__unavailable_and_nothing_changes(
    world: World, anvil: LocalChain
) -> None:
    stopped(world, anvil, "before sending")

    with losing(anvil, "before sending") as rpc, pytest.raises(RpcUnavailable):
        world.hospital_again(rpc=rpc).resume()

    assert world.hospital_again().resume() == []
    assert issued_batches(world) == 1


def test_issue__a_key_of_a_batch_that_was_stopped__is_that_document(
    world: World, anvil: LocalChain
) -> None:
    stopped(world, anvil, "before sending", "a", "b")

    receipt = world.hospital_again().issue(bill("a", remark="submitted again"))

    assert "Remark" not in receipt.evidence().fields
    assert receipt.head.count == 2


# A process that ends


@pytest.mark.parametrize(
    "place", ["Sender.broadcast", "Sender.confirm", "DocumentStore.mark_issued"]
)
def test_resume__the_process_ended_at_each_step__issued_once(
    place: str, world: World, anvil: LocalChain
) -> None:
    bills = [bill("a"), bill("b")]
    url = f"sqlite:///{world.folder}/hospital.db"
    given = (anvil.url, world.ledgers.manifest, key_of("hospital"), url, bills)
    program = f"""
import os, pickle
from medledger.chain.sender import Sender
from medledger.roles import Hospital
from medledger.store import DocumentStore
url, manifest, key, store, bills = pickle.loads(bytes.fromhex({pickle.dumps(given).hex()!r}))
{place} = lambda *_: os._exit(7)
list(Hospital.connect(url, operator=key, store=store, deployment=manifest).issue_many(bills))
"""

    done = subprocess.run([sys.executable, "-c", program], check=False)

    assert done.returncode == 7
    wait_until_mined(world.rpc)
    hospital = world.hospital_again()
    (row,) = hospital.store.unconfirmed(world.ledgers.invoices.address)
    assert row.count == 2
    assert issued_batches(world) == (0 if place == "Sender.broadcast" else 1)
    assert hospital.resume() == []
    found = list(hospital.issue_many(bills))
    assert {receipt.transaction for receipt in found} == {row.transaction}
    assert issued_batches(world) == 1
    world.auditor.verify(found[1].evidence())


# Batches that can never be on chain


def second_hospital(world: World) -> Hospital:
    """The same hospital on another machine: a key and a store of its own."""
    world.supervisor.add_operator(world.ids["hospital"], address_of(key_of("second key")))
    return world.hospital_again(key=key_of("second key"), store="second")


def overtaken(world: World, anvil: LocalChain, *keys: str) -> int:
    """A batch of ours that is mined after another took its numbers; the first of these."""
    second = second_hospital(world)
    stopped(world, anvil, "before sending", *keys)
    (row,) = world.hospital_again().store.unconfirmed(world.ledgers.invoices.address)
    with mining_by_hand(world.rpc) as mine:
        for sender, bytes_ in ((second.sender, by_hand(second, row.first)), (None, row.raw)):
            sender = sender or Sender(world.rpc, key_of("hospital"))
            sender.broadcast([sender.restored(Call("", b"", "issue"), bytes_)])
        mine()
    return row.first


def by_hand(hospital: Hospital, number: int) -> bytes:
    """A signed transaction that takes one number."""
    segment, _ = next(iter(hospital.segments("Invoice").items()))
    call = hospital.ledgers.invoices.issue(segment, number, 1, b"\x01" * 32)
    sender = hospital.sender
    return sender.sign(call, gas=200_000, fees=sender.fees()).raw


@pytest.mark.parametrize("when", ["before ours is sent", "in the same block"])
def test_resume__the_numbers_went_to_another__gives_the_keys_back(
    when: str, world: World, anvil: LocalChain
) -> None:
    if when == "in the same block":
        theirs = overtaken(world, anvil, "a", "b")
    else:
        stopped(world, anvil, "before sending", "a", "b")
        theirs = second_hospital(world).issue(bill("theirs")).number
    hospital = world.hospital_again()

    lost = hospital.resume()

    assert lost == ["a", "b"]
    assert unconfirmed(world, hospital) == 0
    assert hospital.store.numbers(world.ledgers.invoices.address) == []
    again = list(hospital.issue_many(bill(key) for key in lost))
    assert [receipt.number - theirs for receipt in again] == [1, 2]
    for receipt in again:
        world.auditor.verify(receipt.evidence())


def test_resume__the_nonce_went_to_another_act__gives_the_keys_back(
    world: World, anvil: LocalChain
) -> None:
    stopped(world, anvil, "before sending", "a", "b")
    # The same key in another program.
    Sender(world.rpc, key_of("hospital")).send(Call("0x" + 40 * "1", b"", "nothing"))
    hospital = world.hospital_again()

    lost = hospital.resume()

    assert lost == ["a", "b"]
    assert unconfirmed(world, hospital) == 0
    again = list(hospital.issue_many(bill(key) for key in lost))
    assert again[0].number == world.ledgers.invoices.segment_of(world.deployment.bills).first
    assert issued_batches(world) == 1


def test_issue__two_machines_take_the_same_numbers__one_is_refused_and_can_go_on(
    world: World,
) -> None:
    hospitals = [world.hospital, second_hospital(world)]
    outcomes: dict[int, IssueReceipt | MedledgerError] = {}

    def issue(at: int) -> None:
        try:
            outcomes[at] = hospitals[at].issue(bill(f"visit-{at}"))
        except MedledgerError as error:
            outcomes[at] = error

    with mining_by_hand(world.rpc) as mine:
        threads = [threading.Thread(target=issue, args=(at,)) for at in (0, 1)]
        for thread in threads:
            thread.start()
        while int(world.rpc.request("txpool_status")["pending"], 16) < 2:
            threads[0].join(0.005)
        mine()
        for thread in threads:
            thread.join()

    won, refused = sorted(outcomes, key=lambda at: isinstance(outcomes[at], MedledgerError))
    receipt, error = outcomes[won], outcomes[refused]
    assert isinstance(receipt, IssueReceipt)
    assert isinstance(error, NumberAlreadyIssued)
    assert error.values == {"number": receipt.number}
    assert unconfirmed(world, hospitals[refused]) == 0
    assert hospitals[refused].issue(bill(f"visit-{refused}")).number == receipt.number + 1


def test_resume__refused_when_mined_and_the_node_forgot_that_block__gives_the_keys_back(
    world: World, anvil: LocalChain
) -> None:
    overtaken(world, anvil, "a", "b")

    def forgetful(call: dict[str, Any], answer: Any) -> Any:
        # What geth says of a state older than 128 blocks.
        is_old = call["method"] == "eth_call" and call["params"][1] != "latest"
        return refusal(call, "missing trie node") if is_old else answer

    with Relay(anvil.url) as relay:
        relay.after = lambda calls, body: each(calls, body, forgetful)
        hospital = world.hospital_again(rpc=Rpc(relay.url))

        # Mined and failed: whatever the reason, it can never be on chain.
        assert hospital.resume() == ["a", "b"]


@pytest.mark.parametrize("behind", ["with receipts", "by a block"])
def test_resume__a_replica_that_lags__never_forgets_what_is_on_chain(
    behind: str, world: World, anvil: LocalChain
) -> None:
    stopped(world, anvil, "after sending", "a", "b")
    wait_until_mined(world.rpc)
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
        return answers

    with Relay(anvil.url) as relay:
        relay.before = lagging
        hospital = world.hospital_again(rpc=Rpc(relay.url))
        try:
            lost = hospital.resume()
        except MedledgerError:
            lost = []

    # The nonce is used, and no receipt is shown; but the batch is on chain.
    assert lost == []
    hospital = world.hospital_again()
    hospital.resume()
    assert [receipt.head.count for receipt in hospital.issue_many([bill("a"), bill("b")])] == [2, 2]
    assert issued_batches(world) == 1


# Evidence and acts while something is unfinished


def test_evidence__of_a_batch_that_is_not_on_chain__is_refused_by_name(
    world: World, anvil: LocalChain
) -> None:
    stopped(world, anvil, "before sending")
    hospital = world.hospital_again()
    (number,) = hospital.store.numbers(world.ledgers.invoices.address)

    with pytest.raises(MedledgerError):
        hospital.evidence(number)


def test_evidence__asked_before_and_after_the_numbers_went_to_other_bills__holds(
    world: World, anvil: LocalChain
) -> None:
    stopped(world, anvil, "before sending", "a", "b", "c")
    Sender(world.rpc, key_of("hospital")).send(Call("0x" + 40 * "1", b"", "nothing"))
    hospital = world.hospital_again()
    number = hospital.store.numbers(world.ledgers.invoices.address)[1]
    with pytest.raises((MedledgerError, ValueError)):
        hospital.evidence(number)
    assert hospital.resume() == ["a", "b", "c"]

    again = list(hospital.issue_many(bill(key) for key in ("c", "a", "b")))

    assert again[1].number == number
    for receipt in again:
        world.auditor.verify(receipt.evidence())


def test_hold__after_an_issue_that_was_not_sent__is_not_stuck_behind_it(
    world: World, anvil: LocalChain, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("medledger.chain.sender.RECEIPT_SECONDS", 0.5)
    earlier = world.issued("earlier")
    with Relay(anvil.url) as relay:
        hospital = world.hospital_again(rpc=Rpc(relay.url))
        relay.before = lambda calls: 503 if raw(calls) else None
        with pytest.raises(RpcUnavailable):
            hospital.issue(bill("a"))
        relay.before = lambda calls: None

        hospital.hold(earlier.number)

        with pytest.raises(StatusMismatch, match="on hold"):
            world.auditor.verify(earlier.evidence())
        # However the two were ordered, the bill is issued once, or its key was given back.
        assert hospital.resume() in ([], ["a"])
        assert hospital.issue(bill("a")).number == earlier.number + 1
    assert issued_batches(world) == 2


def test_issue__the_key_was_used_elsewhere__nonce_taken_then_on_with_the_same_numbers(
    world: World,
) -> None:
    first = world.issued("visit-1")
    Sender(world.rpc, key_of("hospital")).send(Call("0x" + 40 * "1", b"", "nothing"))

    try:
        second = world.issued("visit-2")
    except NonceTaken:
        second = world.issued("visit-2")

    assert second.number == first.number + 1
    assert issued_batches(world) == 2
