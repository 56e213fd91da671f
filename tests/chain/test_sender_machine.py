"""Each thing that can go wrong with a transaction on its way, acted out on a real Anvil.

Blocks come only when a test mines them, and time passes only when it says so.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from tests.chain.nodes import Calls, Relay, Reply, each, refusal
from tests.chain.senders import (
    ECHO,
    NOBODY,
    NOTHING,
    Time,
    add,
    is_raw,
    key_named,
    mine,
    nonce_of,
    on_chain,
    pooled,
    reorganise,
    sender_of,
    stage,
)

from medledger.chain import abi
from medledger.chain.contract import Call
from medledger.chain.local import LocalChain, free_port
from medledger.chain.rpc import Rpc
from medledger.chain.sender import MemoryJournal, Outcome, Policy, Receipt, Sender
from medledger.chain.sender.fees import FREE
from medledger.chain.sender.signer import Signer
from medledger.chain.sender.state import LOOK_SECONDS
from medledger.core.hashing import keccak256
from medledger.core.transactions import Stage, Transaction
from medledger.errors import (
    NumberAlreadyIssued,
    OutOfGas,
    RpcUnavailable,
    TransactionFailed,
    TransactionReverted,
    UnknownRefusal,
    WrongChain,
)

pytestmark = pytest.mark.anvil

REFUSED = keccak256(b"NumberAlreadyIssued(uint64)")[:4] + (5).to_bytes(32, "big")


@pytest.fixture(scope="module")
def chain() -> Iterator[LocalChain]:
    """A node without fees that mines when told."""
    with LocalChain(options=("--no-mining",)) as node:
        yield node


@pytest.fixture
def rpc(chain: LocalChain) -> Iterator[Rpc]:
    rpc = Rpc(chain.url)
    yield rpc
    rpc.request("anvil_dropAllTransactions")


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """A key for each test: no test sees the transactions of another."""
    return str(request.node.name)


@pytest.fixture
def sender(rpc: Rpc, name: str, time: Time) -> Sender:
    return sender_of(rpc, name, time)


@pytest.fixture
def relay(chain: LocalChain) -> Iterator[Relay]:
    with Relay(chain.url) as found:
        yield found


def final_of(outcomes: list[Outcome]) -> Receipt:
    (outcome,) = outcomes
    assert outcome.kind == "final"
    assert outcome.receipt is not None
    return outcome.receipt


def echo(rpc: Rpc) -> Call:
    """A call that a contract refuses with `NumberAlreadyIssued(5)`."""
    address = "0x" + 38 * "0" + "ec"
    rpc.request("anvil_setCode", address, ECHO)
    return Call(address, REFUSED, "Invoices.issue")


def final_in_own_block(rpc: Rpc, sender: Sender) -> Transaction:
    found = add(sender)
    sender.advance()
    mine(rpc)
    final_of(sender.advance())
    return found


# The way to the end


def test_advance__one_transaction__sent_then_final_with_its_block(rpc: Rpc, sender: Sender) -> None:
    found = add(sender)

    first = sender.advance()
    sent = pooled(rpc)
    mine(rpc)
    receipt = final_of(sender.advance())

    assert (first, sent) == ([], 1)
    block = rpc.block(receipt.block)
    assert receipt.hash == found.attempts[0].hash
    assert "0x" + receipt.block_hash.hex() == block["hash"]
    assert receipt.timestamp == int(block["timestamp"], 16)
    assert receipt.call == NOTHING
    assert stage(sender, found) is Stage.FINAL
    assert sender.advance() == []


def test_advance__a_policy_of_three_blocks__final_in_the_third(
    rpc: Rpc, name: str, time: Time
) -> None:
    sender = sender_of(rpc, name, time, confirmations=3)
    found = add(sender)
    sender.advance()

    mine(rpc)
    stages = []
    for _ in range(2):
        assert sender.advance() == []
        stages.append(stage(sender, found))
        mine(rpc)

    assert stages == [Stage.MINED, Stage.MINED]
    assert final_of(sender.advance()).block == rpc.block_number() - 2


def test_advance__more_than_may_be_in_flight__no_more_are_sent_until_some_are_mined(
    rpc: Rpc, name: str, time: Time
) -> None:
    sender = sender_of(rpc, name, time, in_flight=4)
    for _ in range(10):
        add(sender)
    counts = []

    for _ in range(4):
        sender.advance()
        sender.advance()
        counts.append(pooled(rpc))
        mine(rpc)
    sender.advance()

    assert counts == [4, 4, 2, 0]
    assert nonce_of(rpc, sender.address) == 10


def test_advance__nothing_to_do__asks_once_and_ends_nothing(relay: Relay, time: Time) -> None:
    sender = sender_of(Rpc(relay.url), "idle", time)
    sender.advance()
    relay.seen.clear()

    assert sender.advance() == []

    assert relay.methods() == [
        "eth_getBlockByNumber",
        "eth_getTransactionCount",
        "eth_getBlockByNumber",
    ]


def test_advance__a_new_program_on_the_same_journal__goes_on(
    rpc: Rpc, name: str, time: Time
) -> None:
    journal = MemoryJournal()
    found = add(sender_of(rpc, name, time, journal))
    before = sender_of(rpc, name, time, journal)
    before.advance()
    after = sender_of(rpc, name, time, journal)

    after.advance()
    waiting = pooled(rpc)
    mine(rpc)
    receipt = final_of(after.advance())

    assert waiting == 1
    assert receipt.hash == found.attempts[0].hash
    # The first program learns it from the journal, and reads the receipt itself.
    outcome = before.settle([found.id])[found.id]
    assert outcome.receipt == receipt


def test_advance__two_programs_on_one_journal__each_nonce_once(
    rpc: Rpc, name: str, time: Time
) -> None:
    journal = MemoryJournal()
    both = [sender_of(rpc, name, time, journal) for _ in range(2)]
    found = [add(sender) for sender in both * 3]

    for sender in both:
        sender.advance()
    waiting = pooled(rpc)
    mine(rpc)
    for sender in both:
        sender.advance()

    assert [one.nonce for one in found] == list(range(6))
    assert waiting == 6
    assert {stage(both[0], one) for one in found} == {Stage.FINAL}
    assert nonce_of(rpc, both[0].address) == 6


def test_advance__stopped_while_it_waits_for_its_depth__the_next_program_ends_it(
    rpc: Rpc, name: str, time: Time
) -> None:
    journal = MemoryJournal()
    before = sender_of(rpc, name, time, journal, confirmations=2)
    found = add(before)
    before.advance()
    mine(rpc)
    before.advance()
    assert stage(before, found) is Stage.MINED
    mine(rpc)

    receipt = final_of(sender_of(rpc, name, time, journal, confirmations=2).advance())

    assert receipt.hash == found.attempts[0].hash


@pytest.mark.slow
def test_advance__ten_thousand_wait_for_an_hour_without_a_node__all_in_order_afterwards(
    rpc: Rpc, relay: Relay, name: str, time: Time
) -> None:
    relay.before = lambda calls: 503
    sender = Sender(
        Rpc(relay.url),
        key_named(name),
        chain_id=31337,
        policy=Policy(in_flight=1000),
        clock=time.clock,
    )
    sender.batched = True
    for _ in range(10_000):
        add(sender)
    for _ in range(60):
        with pytest.raises(RpcUnavailable):
            sender.advance()
        time.passes(60)
    relay.before = lambda calls: None
    ended: list[int] = []

    while len(ended) < 10_000:
        ended += [outcome.transaction.nonce for outcome in sender.advance()]
        mine(rpc)
        time.passes(1)

    assert ended == list(range(10_000))
    assert nonce_of(rpc, sender.address) == 10_000
    assert relay.methods().count("eth_sendRawTransaction") == 10_000


# Reorganisations


def test_advance__reorganised_shallower_than_the_policy__the_same_bytes_again(
    rpc: Rpc, name: str, time: Time
) -> None:
    sender = sender_of(rpc, name, time, confirmations=3)
    found = add(sender)
    sender.advance()
    mine(rpc, 2)
    sender.advance()

    reorganise(rpc, 2)
    outcomes = sender.advance()
    is_back = stage(sender, found)
    mine(rpc, 3)
    receipt = final_of(sender.advance())

    assert outcomes == []
    assert is_back is Stage.SIGNED
    assert receipt.hash == found.attempts[0].hash
    assert len(sender.journal.transaction(found.id).attempts) == 1
    assert nonce_of(rpc, sender.address) == 1


def test_advance__reorganised_deeper_than_the_policy__displaced_with_an_alert_and_sent_again(
    rpc: Rpc, name: str, time: Time, caplog: pytest.LogCaptureFixture
) -> None:
    sender = sender_of(rpc, name, time)
    kept, *lost = [final_in_own_block(rpc, sender) for _ in range(4)]

    with caplog.at_level(logging.WARNING):
        reorganise(rpc, 3)
        outcomes = sender.advance()
    stages = [stage(sender, one) for one in [kept, *lost]]
    sender.advance()
    mine(rpc)
    again = sender.advance()

    assert [(found.transaction.id, found.kind) for found in outcomes] == [
        (one.id, "displaced") for one in lost
    ]
    assert stages == [Stage.FINAL, *[Stage.SIGNED] * 3]
    assert caplog.text.count("reorganised away") == 3
    assert [found.receipt.hash for found in again if found.receipt is not None] == [
        one.attempts[0].hash for one in lost
    ]
    assert nonce_of(rpc, sender.address) == 4


def test_advance__the_node_was_put_back_and_goes_another_way__all_that_is_gone_is_sent_again(
    rpc: Rpc, name: str, time: Time
) -> None:
    sender = sender_of(rpc, name, time)
    other = sender_of(rpc, f"{name} of another", time, sender.journal)
    before = rpc.request("evm_snapshot")
    first = final_in_own_block(rpc, sender)
    mine(rpc, 8)
    second = final_in_own_block(rpc, sender)

    assert rpc.request("evm_revert", before)
    mine(rpc, 6)
    between = final_in_own_block(rpc, other)
    mine(rpc, 5)
    sender.advance()
    stages = [stage(sender, one) for one in (first, between, second)]
    for _ in range(4):
        mine(rpc)
        sender.advance()

    assert stages == [Stage.SIGNED, Stage.FINAL, Stage.SIGNED]
    assert [stage(sender, one) for one in (first, second)] == [Stage.FINAL, Stage.FINAL]
    assert nonce_of(rpc, sender.address) == 2


def test_advance__the_block_of_a_failed_one_went_away__its_nonce_is_used_up_again(
    rpc: Rpc, sender: Sender, time: Time
) -> None:
    failed = add(sender, echo(rpc), gas=100_000)
    sender.advance()
    mine(rpc)
    sender.advance()
    assert stage(sender, failed) is Stage.FAILED
    reorganise(rpc, 1)
    found = add(sender)

    time.passes(LOOK_SECONDS)
    sender.advance()
    mine(rpc)
    receipt = final_of(sender.advance())

    assert receipt.hash == found.attempts[0].hash
    assert nonce_of(rpc, sender.address) == 2
    assert stage(sender, failed) is Stage.FAILED


# What is lost on the way


@pytest.mark.parametrize("failure", ["502", "hang", "garbage"])
def test_advance__the_answer_is_lost_after_forwarding__is_on_chain_once(
    failure: str, rpc: Rpc, relay: Relay, name: str, time: Time
) -> None:
    over = threading.Event()

    def lose(calls: Calls, answer: bytes) -> Reply:
        if not is_raw(calls):
            return answer
        if failure == "hang":
            over.wait(20)
        return b"<html>" if failure == "garbage" else 502

    relay.after = lose
    sender = sender_of(Rpc(relay.url, timeout_seconds=2 if failure == "hang" else 30), name, time)
    found = add(sender)

    with pytest.raises(RpcUnavailable):
        sender.advance()
    over.set()
    relay.after = lambda calls, answer: answer
    sender.advance()
    mine(rpc)
    receipt = final_of(sender.advance())

    assert receipt.hash == found.attempts[0].hash
    assert nonce_of(rpc, sender.address) == 1


def test_advance__the_node_was_down_before_it_took_any__the_same_bytes_again(
    rpc: Rpc, relay: Relay, name: str, time: Time
) -> None:
    relay.before = lambda calls: 503 if is_raw(calls) else None
    sender = sender_of(Rpc(relay.url), name, time)
    found = add(sender)

    with pytest.raises(RpcUnavailable):
        sender.advance()
    before = pooled(rpc)
    relay.before = lambda calls: None
    sender.advance()
    mine(rpc)

    assert before == 0
    assert final_of(sender.advance()).hash == found.attempts[0].hash


def test_advance__the_node_fails_while_others_are_sent__the_outcome_comes_with_the_next_pass(
    rpc: Rpc, relay: Relay, name: str, time: Time
) -> None:
    sender = sender_of(Rpc(relay.url), name, time, in_flight=1)
    first, _ = add(sender), add(sender)
    sender.advance()
    mine(rpc)
    relay.before = lambda calls: 503 if is_raw(calls) else None
    ended: list[Outcome] = []

    for _ in range(2):
        try:
            ended += sender.advance()
        except RpcUnavailable:
            assert stage(sender, first) is Stage.FINAL
    relay.before = lambda calls: None
    ended += sender.advance()

    assert [outcome.transaction.id for outcome in ended] == [first.id]


def test_advance__the_pool_dropped_it__the_same_bytes_again(
    rpc: Rpc, sender: Sender, time: Time
) -> None:
    found = [add(sender) for _ in range(3)]
    sender.advance()

    rpc.request("anvil_dropAllTransactions")
    time.passes(LOOK_SECONDS)
    sender.advance()
    waiting = pooled(rpc)
    mine(rpc)

    assert waiting == 3
    hashes = [outcome.receipt.hash for outcome in sender.advance() if outcome.receipt]
    assert hashes == [one.attempts[0].hash for one in found]


def test_advance__anvil_keeps_it_in_its_queue_for_ever__is_taken_out_and_sent_again(
    rpc: Rpc, sender: Sender, time: Time
) -> None:
    sender.journal.raise_nonce(sender.address, 1)
    found = add(sender)
    rpc.request("eth_sendRawTransaction", "0x" + found.attempts[0].raw.hex())
    rpc.request("anvil_setNonce", sender.address, "0x1")
    mine(rpc)
    is_kept = pooled(rpc)
    ended: list[Outcome] = []

    for _ in range(8):
        ended += sender.advance()
        mine(rpc)
        time.passes(LOOK_SECONDS)

    assert is_kept == 1
    assert final_of(ended).hash == found.attempts[0].hash


# Nonces


def test_advance__the_key_was_used_by_another_program__a_new_nonce_and_an_alert(
    rpc: Rpc, name: str, time: Time, caplog: pytest.LogCaptureFixture
) -> None:
    ours, theirs = sender_of(rpc, name, time), sender_of(rpc, name, time)
    found = add(ours)
    foreign = add(theirs, Call(NOBODY, b"foreign", "foreign"))
    theirs.advance()
    mine(rpc)

    with caplog.at_level(logging.WARNING):
        ours.advance()
        ours.advance()
    mine(rpc)
    receipt = final_of(ours.advance())

    assert foreign.nonce == found.nonce == 0
    assert "used by another program" in caplog.text
    assert receipt.hash == ours.journal.transaction(found.id).attempts[1].hash
    assert nonce_of(rpc, ours.address) == 2


def test_advance__a_foreign_block_that_may_still_go_away__keeps_its_nonce_until_it_cannot(
    rpc: Rpc, name: str, time: Time
) -> None:
    ours = sender_of(rpc, name, time, confirmations=3)
    theirs = sender_of(rpc, name, time)
    found = add(ours)
    add(theirs, Call(NOBODY, b"foreign", "foreign"))
    theirs.advance()
    nonces = []

    for _ in range(3):
        mine(rpc)
        ours.advance()
        nonces.append(ours.journal.transaction(found.id).nonce)
        time.passes(LOOK_SECONDS)

    assert nonces == [0, 0, 1]


@pytest.mark.parametrize("kind", ["cancelled", "filler"])
def test_advance__foreign_use_of_a_nonce_that_only_was_to_be_used_up__is_as_good(
    kind: str, rpc: Rpc, name: str, time: Time
) -> None:
    ours, theirs = sender_of(rpc, name, time), sender_of(rpc, name, time)
    add(theirs)
    if kind == "filler":
        ours.journal.raise_nonce(ours.address, 1)
    add(ours, echo(rpc) if kind == "cancelled" else NOTHING)
    ours.advance()
    rpc.request("anvil_dropAllTransactions")
    theirs.advance()
    mine(rpc)

    time.passes(LOOK_SECONDS)
    outcomes = ours.advance()
    time.passes(LOOK_SECONDS)
    outcomes += ours.advance()
    mine(rpc)
    outcomes += ours.advance()

    kinds = [(outcome.transaction.nonce, outcome.kind) for outcome in outcomes]
    assert kinds == ([(0, "failed")] if kind == "cancelled" else [(0, "failed"), (1, "final")])
    assert isinstance(
        outcomes[0].error, NumberAlreadyIssued if kind == "cancelled" else TransactionFailed
    )
    assert nonce_of(rpc, ours.address) == len(outcomes)


def test_advance__no_old_state_to_look_in__decides_after_three_heads(
    rpc: Rpc, relay: Relay, name: str, time: Time
) -> None:
    def without_state(calls: Calls) -> Reply | None:
        if calls[0]["method"] == "eth_getTransactionCount" and calls[0]["params"][1] != "pending":
            return [refusal(calls[0], "missing trie node")]
        return None

    ours, theirs = sender_of(Rpc(relay.url), name, time), sender_of(rpc, name, time)
    found = add(ours)
    add(theirs, Call(NOBODY, b"foreign", "foreign"))
    theirs.advance()
    relay.before = without_state
    nonces = []

    for _ in range(4):
        mine(rpc)
        for _ in range(2):
            ours.advance()
            time.passes(LOOK_SECONDS)
        nonces.append(ours.journal.transaction(found.id).nonce)

    assert nonces == [0, 0, 1, 1]


def test_advance__a_replica_that_lags__takes_nothing_for_foreign_and_nothing_back(
    rpc: Rpc, relay: Relay, name: str, time: Time, caplog: pytest.LogCaptureFixture
) -> None:
    sender = sender_of(Rpc(relay.url), name, time)
    mine(rpc)
    old = rpc.block("latest")
    first = add(sender)
    sender.advance()
    mine(rpc)
    sender.advance()
    second = add(sender)
    sender.advance()
    mine(rpc)

    def lagging(call: dict[str, Any], answer: Any) -> Any:
        method, parameters = call["method"], call["params"]
        if method == "eth_getBlockByNumber" and parameters[0] == "latest":
            return answer | {"result": old}
        if method == "eth_getBlockByNumber" and int(parameters[0], 16) > int(old["number"], 16):
            return answer | {"result": None}
        if method == "eth_getTransactionCount":
            return answer | {"result": "0x0"}
        if method in ("eth_getTransactionReceipt", "eth_getTransactionByHash"):
            return answer | {"result": None}
        return answer

    relay.after = lambda calls, body: each(calls, body, lagging)
    with caplog.at_level(logging.WARNING):
        for _ in range(5):
            assert sender.advance() == []
            time.passes(LOOK_SECONDS)

    assert stage(sender, first) is Stage.FINAL
    assert sender.journal.transaction(second.id).nonce == 1
    assert caplog.text == ""
    relay.after = lambda calls, answer: answer
    assert final_of(sender.advance()).hash == second.attempts[0].hash


def test_advance__receipts_that_lag_behind_the_nonce__our_own_is_not_foreign(
    rpc: Rpc, relay: Relay, name: str, time: Time
) -> None:
    def no_receipt(call: dict[str, Any], answer: Any) -> Any:
        is_receipt = call["method"] == "eth_getTransactionReceipt"
        return answer | {"result": None} if is_receipt else answer

    sender = sender_of(Rpc(relay.url), name, time)
    found = add(sender)
    sender.advance()
    mine(rpc)
    relay.after = lambda calls, body: each(calls, body, no_receipt)

    for _ in range(4):
        assert sender.advance() == []
        time.passes(LOOK_SECONDS)
    relay.after = lambda calls, answer: answer

    assert final_of(sender.advance()).hash == found.attempts[0].hash
    assert sender.journal.transaction(found.id).nonce == 0


def test_advance__a_receipt_of_a_block_that_is_not_on_the_chain__does_not_count(
    rpc: Rpc, relay: Relay, name: str, time: Time
) -> None:
    def of_another_block(call: dict[str, Any], answer: Any) -> Any:
        if call["method"] == "eth_getTransactionReceipt" and answer["result"]:
            answer["result"]["blockHash"] = "0x" + 64 * "7"
        return answer

    sender = sender_of(Rpc(relay.url), name, time)
    found = add(sender)
    sender.advance()
    mine(rpc)
    relay.after = lambda calls, body: each(calls, body, of_another_block)

    assert sender.advance() == []
    is_lied_about = stage(sender, found)
    relay.after = lambda calls, answer: answer

    assert is_lied_about is Stage.SIGNED
    assert final_of(sender.advance()).hash == found.attempts[0].hash


def test_advance__nonces_below_that_nobody_uses__the_gap_is_filled(
    rpc: Rpc, sender: Sender, caplog: pytest.LogCaptureFixture
) -> None:
    sender.journal.raise_nonce(sender.address, 3)
    found = add(sender)

    with caplog.at_level(logging.WARNING):
        sender.advance()
        sender.advance()
    mine(rpc)
    outcomes = sender.advance()

    assert found.nonce == 3
    assert "filling the gap" in caplog.text
    assert [outcome.transaction.nonce for outcome in outcomes] == [0, 1, 2, 3]
    assert outcomes[-1].transaction.id == found.id
    assert nonce_of(rpc, sender.address) == 4


def test_advance__another_program_waits_in_the_pool_below__is_no_gap(
    rpc: Rpc, name: str, time: Time
) -> None:
    theirs = sender_of(rpc, name, time)
    add(theirs)
    theirs.advance()
    ours = sender_of(rpc, name, time)

    found = add(ours)
    for _ in range(3):
        ours.advance()
        time.passes(LOOK_SECONDS)
    mine(rpc)

    assert found.nonce == 1
    assert final_of(ours.advance()).hash == found.attempts[0].hash
    assert nonce_of(rpc, ours.address) == 2


# Refused by the contract


def test_advance__the_contract_would_refuse__is_never_sent_and_its_nonce_used_up(
    rpc: Rpc, sender: Sender
) -> None:
    refused = add(sender, echo(rpc))
    good = add(sender)

    sender.advance()
    mine(rpc)
    outcomes = sender.advance()

    assert [(outcome.transaction.id, outcome.kind) for outcome in outcomes] == [
        (refused.id, "failed"),
        (good.id, "final"),
    ]
    assert outcomes[0].error is not None
    assert outcomes[0].error.values == {"number": 5}
    original = "0x" + refused.attempts[0].hash.hex()
    assert rpc.request("eth_getTransactionByHash", original) is None
    stored = sender.journal.transaction(refused.id)
    assert stored.problem == "NumberAlreadyIssued: number 5 has been issued"
    assert stored.revert_data == REFUSED


@pytest.mark.parametrize("stopped", ["before it is mined", "after its end"])
def test_settle__refused_before_a_stop__the_same_named_refusal_after_it(
    stopped: str, rpc: Rpc, name: str, time: Time
) -> None:
    journal = MemoryJournal()
    before = sender_of(rpc, name, time, journal)
    refused = add(before, echo(rpc))
    before.advance()
    if stopped == "after its end":
        mine(rpc)
        before.advance()
    mine(rpc)
    after = sender_of(rpc, name, time, journal)

    outcome = after.settle([refused.id])[refused.id]

    assert isinstance(outcome.error, NumberAlreadyIssued)
    assert outcome.error.values == {"number": 5}


def test_advance__refused_while_it_waits_in_the_pool_after_all__what_is_mined_decides(
    rpc: Rpc, relay: Relay, name: str, time: Time
) -> None:
    def refused(call: dict[str, Any], answer: Any) -> Any:
        if call["method"] == "eth_getTransactionByHash":
            return answer | {"result": None}
        if call["method"] == "eth_call":
            error = {"code": 3, "message": "execution reverted", "data": "0x" + REFUSED.hex()}
            return {"jsonrpc": "2.0", "id": call["id"], "error": error}
        return answer

    journal = MemoryJournal()
    before = sender_of(rpc, name, time, journal)
    found = add(before)
    before.advance()
    relay.after = lambda calls, body: each(calls, body, refused)
    after = sender_of(Rpc(relay.url), name, time, journal)

    after.advance()
    forms = journal.transaction(found.id).attempts
    mine(rpc)
    receipt = final_of(after.advance())

    assert [form.is_cancellation for form in forms] == [False, True]
    assert receipt.hash == found.attempts[0].hash
    assert journal.transaction(found.id).problem == ""


def test_advance__refused_when_mined__fails_with_the_named_refusal(
    rpc: Rpc, sender: Sender
) -> None:
    call = Call("0x" + 38 * "0" + "ed", REFUSED, "Invoices.issue")
    found = add(sender, call, gas=100_000)
    sender.advance()

    rpc.request("anvil_setCode", call.to, ECHO)
    mine(rpc)
    (outcome,) = sender.advance()

    assert isinstance(outcome.error, NumberAlreadyIssued)
    assert outcome.receipt is None
    assert sender.journal.transaction(found.id).revert_data == REFUSED


def test_advance__refused_without_a_reason__an_unknown_refusal_also_after_a_restart(
    rpc: Rpc, name: str, time: Time
) -> None:
    journal = MemoryJournal()
    sender = sender_of(rpc, name, time, journal)
    found = add(sender, Call(echo(rpc).to, b"", "nothing"))

    sender.advance()
    mine(rpc)
    (outcome,) = sender.advance()
    again = sender_of(rpc, name, time, journal).settle([found.id])[found.id]

    assert isinstance(outcome.error, UnknownRefusal)
    assert isinstance(again.error, UnknownRefusal)


def test_advance__refused_when_mined_and_the_node_does_not_say_why__says_so(
    rpc: Rpc, relay: Relay, name: str, time: Time
) -> None:
    def mute(calls: Calls) -> Reply | None:
        if calls[0]["method"] == "eth_call":
            return [refusal(calls[0], "missing trie node")]
        return None

    sender = sender_of(Rpc(relay.url), name, time)
    call = Call("0x" + 38 * "0" + "ee", REFUSED, "Invoices.issue")
    found = add(sender, call, gas=100_000)
    sender.advance()
    rpc.request("anvil_setCode", call.to, ECHO)
    mine(rpc)
    relay.before = mute

    (outcome,) = sender.advance()

    assert isinstance(outcome.error, TransactionReverted)
    assert "missing trie node" in str(outcome.error)
    stored = sender.journal.transaction(found.id).problem
    assert stored.startswith("TransactionReverted: it was refused")


def test_advance__its_limit_is_too_low__out_of_gas(rpc: Rpc, sender: Sender) -> None:
    # An endless loop: JUMPDEST PUSH1 0 JUMP.
    endless = "0x" + 38 * "0" + "1f"
    found = add(sender, Call(endless, b"", "endless"), gas=50_000)
    sender.advance()

    rpc.request("anvil_setCode", endless, "0x5b600056")
    mine(rpc)
    (outcome,) = sender.advance()

    assert isinstance(outcome.error, OutOfGas)
    assert "50000 gas" in str(outcome.error)
    assert sender.journal.transaction(found.id).problem.startswith("OutOfGas: ")


# Refused by every node


def test_advance__more_gas_than_a_block_has__fails_with_the_reason_and_blocks_nothing(
    rpc: Rpc, sender: Sender
) -> None:
    impossible = add(sender, gas=10**12)
    good = add(sender)

    sender.advance()
    mine(rpc)
    outcomes = sender.advance()

    assert [(outcome.transaction.id, outcome.kind) for outcome in outcomes] == [
        (impossible.id, "failed"),
        (good.id, "final"),
    ]
    assert isinstance(outcomes[0].error, TransactionFailed)
    assert sender.journal.transaction(impossible.id).problem.startswith("TransactionFailed: ")


def test_advance__signed_for_another_chain__stops(rpc: Rpc, name: str, sender: Sender) -> None:
    signer = Signer(key_named(name))
    intent = sender.intent(NOTHING, 30_000)
    sender.journal.add(sender.address, intent, lambda nonce: signer.attempt(intent, nonce, FREE, 5))

    with pytest.raises(WrongChain):
        sender.advance()


def test_advance__another_chain_id_than_was_given__stops_before_anything(
    rpc: Rpc, name: str
) -> None:
    sender = Sender(rpc, key_named(name), chain_id=5)

    with pytest.raises(WrongChain, match="expected chain 5"):
        sender.advance()


def test_advance__the_node_refuses_for_now__is_held_with_its_words_and_then_sent(
    rpc: Rpc, relay: Relay, name: str, time: Time
) -> None:
    relay.before = lambda calls: [refusal(calls[0], "txpool is full")] if is_raw(calls) else None
    sender = sender_of(Rpc(relay.url), name, time)
    found = add(sender)

    sender.advance()
    held = sender.journal.transaction(found.id).problem
    relay.before = lambda calls: None
    time.passes(LOOK_SECONDS)
    sender.advance()
    sent = sender.journal.transaction(found.id).problem
    mine(rpc)

    assert (held, sent) == ("txpool is full", "")
    assert final_of(sender.advance()).hash == found.attempts[0].hash


@pytest.mark.parametrize("words", ["nonce too low", "Nonce too high", "request timeout"])
def test_advance__a_node_that_is_wrong_about_the_nonce__no_harm(
    words: str, rpc: Rpc, relay: Relay, name: str, time: Time
) -> None:
    relay.before = lambda calls: [refusal(calls[0], words)] if is_raw(calls) else None
    sender = sender_of(Rpc(relay.url), name, time)
    found = add(sender)

    for _ in range(3):
        sender.advance()
        time.passes(LOOK_SECONDS)
    relay.before = lambda calls: None
    sender.advance()
    mine(rpc)

    assert final_of(sender.advance()).hash == found.attempts[0].hash
    assert nonce_of(rpc, sender.address) == 1


def test_settle__its_owner_gave_it_up__failed_with_the_owners_words(sender: Sender) -> None:
    found = add(sender)
    sender.journal.mark_failed(found.id, "dropped by hand")

    outcome = sender.settle([found.id])[found.id]

    assert isinstance(outcome.error, TransactionFailed)
    assert outcome.error.values["problem"] == "dropped by hand"


# Networks


@pytest.mark.parametrize("fault", ["no latest block", "an error", "a refused nonce"])
def test_advance__a_node_that_shows_no_chain__unavailable(
    fault: str, relay: Relay, sender: Sender, name: str, time: Time
) -> None:
    def broken(call: dict[str, Any], answer: Any) -> Any:
        is_block = call["method"] == "eth_getBlockByNumber"
        if fault == "a refused nonce" and call["params"][-1:] == ["latest"]:
            return refusal(call, "limit exceeded", -32005)
        if is_block and fault == "no latest block":
            return answer | {"result": None}
        return (
            refusal(call, "limit exceeded", -32005) if is_block and fault == "an error" else answer
        )

    sender = sender_of(Rpc(relay.url), name, time)
    add(sender)
    relay.after = lambda calls, body: each(calls, body, broken)

    with pytest.raises(RpcUnavailable):
        sender.advance()


def test_advance__a_network_without_fees_and_a_long_wait__the_same_bytes_and_no_other(
    rpc: Rpc, relay: Relay, name: str, time: Time
) -> None:
    sender = sender_of(Rpc(relay.url), name, time)
    found = add(sender)

    for _ in range(3):
        sender.advance()
        time.passes(sender.policy.bump_after_seconds)

    sent = {call["params"][0] for call in relay.seen if call["method"] == "eth_sendRawTransaction"}
    assert sent == {"0x" + found.attempts[0].raw.hex()}
    assert relay.methods().count("eth_sendRawTransaction") == 3
    assert len(sender.journal.transaction(found.id).attempts) == 1


def test_advance__blocks_of_a_proof_of_authority__are_read(
    rpc: Rpc, relay: Relay, name: str, time: Time
) -> None:
    def sealed(call: dict[str, Any], answer: Any) -> Any:
        if call["method"] == "eth_getBlockByNumber" and answer.get("result"):
            answer["result"]["extraData"] = "0x" + 300 * "ab"
        return answer

    relay.after = lambda calls, body: each(calls, body, sealed)
    sender = sender_of(Rpc(relay.url), name, time)
    add(sender)

    sender.advance()
    mine(rpc)

    assert final_of(sender.advance()).gas_used == 21_000


def test_advance__free_blocks_and_a_node_with_a_minimum_price__pays_it(
    rpc: Rpc, relay: Relay, name: str, time: Time
) -> None:
    def minimum(calls: Calls) -> Reply | None:
        """As Besu with a zero base fee and `min-gas-price=9`."""
        if is_raw(calls) and calls[0]["params"][0] == first:
            return [refusal(calls[0], "Gas price below configured minimum gas price", -32009)]
        return None

    def price(call: dict[str, Any], answer: Any) -> Any:
        return answer | {"result": "0x9"} if call["method"] == "eth_gasPrice" else answer

    relay.before = minimum
    relay.after = lambda calls, body: each(calls, body, price)
    sender = sender_of(Rpc(relay.url), name, time)
    rpc.request("anvil_setBalance", sender.address, hex(10**18))
    found = add(sender)
    first = "0x" + found.attempts[0].raw.hex()

    sender.advance()
    mine(rpc)
    receipt = final_of(sender.advance())

    assert int(on_chain(rpc, receipt.hash)["maxFeePerGas"], 16) == 9


def test_advance__the_node_came_back_with_another_genesis__stops(name: str, time: Time) -> None:
    port = free_port()
    with LocalChain(port=port) as first:
        sender = sender_of(Rpc(first.url), name, time)
        sender.advance()
    add(sender)

    with LocalChain(port=port, options=("--timestamp", "1700000000")) as second:
        with pytest.raises(WrongChain, match="genesis"):
            sender.advance()

        assert nonce_of(Rpc(second.url), sender.address) == 0


# Waiting


def test_settle__mined_while_it_waits__its_outcome(rpc: Rpc, sender: Sender, time: Time) -> None:
    found = add(sender)
    time.while_asleep = lambda: mine(rpc)

    outcome = sender.settle([found.id])[found.id]

    assert outcome.kind == "final"
    assert outcome.transaction.id == found.id


def test_settle__another_ends_meanwhile__its_outcome_comes_with_the_next_pass(
    rpc: Rpc, sender: Sender, time: Time
) -> None:
    other, found = add(sender), add(sender)
    time.while_asleep = lambda: mine(rpc)

    settled = sender.settle([found.id])
    later = sender.advance()

    assert list(settled) == [found.id]
    assert [outcome.transaction.id for outcome in later] == [other.id]
    assert sender.advance() == []


def test_settle__nothing_is_mined__fails_after_its_patience_and_goes_on_later(
    rpc: Rpc, name: str, time: Time
) -> None:
    sender = sender_of(rpc, name, time, patience_seconds=20)
    found = add(sender)
    start = time.now

    with pytest.raises(TransactionFailed, match="is not final after 20 s") as error:
        sender.settle([found.id])

    assert 20 <= time.now - start < 21
    assert found.attempts[0].hash.hex() in str(error.value)
    mine(rpc)
    assert sender.settle([found.id])[found.id].kind == "final"


def test_settle__sent_again_and_again__is_no_progress(rpc: Rpc, name: str, time: Time) -> None:
    sender = sender_of(rpc, name, time, patience_seconds=200)
    found = add(sender)
    start = time.now

    with pytest.raises(TransactionFailed, match="is not final after 200 s"):
        sender.settle([found.id])

    assert time.now - start < 201


def test_settle__blocks_come_while_one_waits_for_its_depth__is_progress(
    rpc: Rpc, name: str, time: Time
) -> None:
    sender = sender_of(rpc, name, time, confirmations=30, patience_seconds=20)
    found = add(sender)
    asleep = 0

    def mine_now_and_then() -> None:
        nonlocal asleep
        asleep += 1
        if asleep % 40 == 0:
            mine(rpc)

    time.while_asleep = mine_now_and_then
    start = time.now

    outcome = sender.settle([found.id])[found.id]

    assert outcome.kind == "final"
    assert time.now - start > 100


def test_settle__the_node_is_away_for_a_minute__waits_for_it(
    rpc: Rpc, relay: Relay, name: str, time: Time
) -> None:
    relay.before = lambda calls: 503
    sender = Sender(
        Rpc(relay.url), key_named(name), chain_id=31337, clock=time.clock, sleep=time.sleep
    )
    found = add(sender)
    start = time.now

    def back_after_a_minute() -> None:
        if time.now - start > 60:
            relay.before = lambda calls: None
            mine(rpc)

    time.while_asleep = back_after_a_minute

    assert sender.settle([found.id])[found.id].kind == "final"


def test_settle__the_node_stays_away__unavailable_after_its_patience(
    relay: Relay, name: str, time: Time
) -> None:
    relay.before = lambda calls: 503
    sender = Sender(
        Rpc(relay.url), key_named(name), chain_id=31337, clock=time.clock, sleep=time.sleep
    )
    found = add(sender)

    with pytest.raises(RpcUnavailable, match="HTTP 503"):
        sender.settle([found.id])

    assert stage(sender, found) is Stage.SIGNED


# Without a node


def test_signing__no_node_and_the_chain_id_given__signs(name: str, time: Time) -> None:
    sender = Sender(
        Rpc(f"http://127.0.0.1:{free_port()}"), key_named(name), chain_id=31337, clock=time.clock
    )

    attempt = sender.signing(sender.intent(NOTHING, 30_000))(7)

    assert (attempt.nonce, attempt.max_fee, attempt.tip) == (7, 0, 0)
    assert attempt.hash == keccak256(attempt.raw)


def test_signing__no_node_and_no_chain_id__says_so(name: str) -> None:
    sender = Sender(Rpc(f"http://127.0.0.1:{free_port()}"), key_named(name))

    with pytest.raises(RpcUnavailable):
        sender.signing(sender.intent(NOTHING, 30_000))


def test_advance__signed_without_a_node_at_a_nonce_that_is_used__finds_its_place(
    rpc: Rpc, relay: Relay, name: str, time: Time
) -> None:
    earlier = sender_of(rpc, name, time)
    add(earlier, Call(NOBODY, b"earlier", "earlier"))
    earlier.advance()
    mine(rpc)
    relay.before = lambda calls: 503
    sender = Sender(
        Rpc(relay.url), key_named(name), chain_id=31337, clock=time.clock, sleep=time.sleep
    )
    found = add(sender)

    relay.before = lambda calls: None
    sender.advance()
    sender.advance()
    mine(rpc)

    assert found.nonce == 0
    assert final_of(sender.advance()).call == NOTHING
    assert nonce_of(rpc, sender.address) == 2


def test_simulated__a_refusal__is_what_the_contract_answers(rpc: Rpc) -> None:
    """The contract of these tests itself."""
    call = echo(rpc)

    answer = rpc.batch([("eth_call", [{"to": call.to, "data": "0x" + call.data.hex()}, "latest"])])

    assert isinstance(abi.refusal(answer[0].data), NumberAlreadyIssued)
