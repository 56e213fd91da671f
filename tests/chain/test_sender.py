"""What roles call: one call or many, receipts and named refusals, on real nodes."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest
from tests.chain.nodes import (
    Calls,
    Relay,
    Reply,
    each,
    ganache,
    give_ether,
    mining_by_hand,
    plain_anvil,
    refusal,
)
from tests.chain.senders import NOBODY, NOTHING, is_raw, key_named, nonce_of, on_chain
from tests.roles.world import World, key_of

from medledger.chain.bindings import OperatorAdded
from medledger.chain.contract import Call
from medledger.chain.deployment import created_address
from medledger.chain.events import decode_log
from medledger.chain.keys import address_of
from medledger.chain.local import LocalChain
from medledger.chain.rpc import Rpc
from medledger.chain.sender import Receipt, Sender
from medledger.core.hashing import OperatorConsent
from medledger.errors import (
    InstitutionIsSuspended,
    NumberAlreadyIssued,
    OperatorKnown,
    RpcUnavailable,
    TransactionFailed,
    TransactionReverted,
    UnknownRefusal,
)

KEY = key_named("a key that no institution knows")

# Writes as many storage slots as the first word of its data says: the gas is the data's choice.
WRITER = bytes.fromhex(
    "601580600b6000396000f3"  # returns the 21 bytes that follow
    "600035"  # how many are left
    "5b801560135780805560019003600356"  # until none: store it in the slot of its name, one less
    "5b00"
)


@pytest.fixture
def sender(rpc: Rpc) -> Sender:
    return Sender(rpc, KEY)


def operator_call(world: World, role: str) -> Call:
    """Lets a new key act for the hospital."""
    consent = world.consent(key_of(role))
    message = consent.message_as(OperatorConsent)
    return world.ledgers.institutions.add_operator(
        message.institution, consent.signer, message.deadline, consent.signature
    )


# Receipts


def test_send__one_call__is_mined_and_its_receipt_says_where(world: World) -> None:
    sender = world.supervisor.sender
    call = operator_call(world, "second key")

    receipt = sender.send(call)

    assert receipt.call == call
    assert receipt.block == world.rpc.block_number()
    block = world.rpc.block(receipt.block)
    assert receipt.timestamp == int(block["timestamp"], 16)
    assert "0x" + receipt.block_hash.hex() == block["hash"]
    mined = on_chain(world.rpc, receipt.hash)
    assert int(mined["blockNumber"], 16) == receipt.block
    assert 21_000 < receipt.gas_used < int(mined["gas"], 16)
    (event,) = [decode_log(log) for log in receipt.logs]
    assert event is not None
    assert isinstance(event.event, OperatorAdded)
    assert event.event.operator == address_of(key_of("second key"))


def test_send__value__arrives(rpc: Rpc) -> None:
    give_ether(rpc, [address_of(KEY)], wei=10**18)

    Sender(rpc, KEY).send(Call(NOBODY, b"", "transfer", value=12345))

    assert int(rpc.request("eth_getBalance", NOBODY, "latest"), 16) == 12345


def test_send__a_call_without_address__deploys(rpc: Rpc, sender: Sender) -> None:
    receipt = sender.send(Call("", WRITER, "Writer.constructor"))

    assert receipt.logs == ()
    assert rpc.code(created_address(sender.address, 0)) == WRITER[11:]


def test_send_many__a_hundred_and_fifty__receipts_in_order_and_nonces_without_gap(
    rpc: Rpc, sender: Sender
) -> None:
    calls = [Call(NOBODY, i.to_bytes(2, "big"), "nothing") for i in range(150)]

    receipts = list(sender.send_many(calls))

    assert [receipt.call for receipt in receipts] == calls
    nonces = [int(on_chain(rpc, receipt.hash)["nonce"], 16) for receipt in receipts]
    assert nonces == list(range(150))
    assert nonce_of(rpc, sender.address) == 150


def test_send_many__many_calls__a_group_is_on_its_way_before_a_receipt_is_waited_for(
    rpc: Rpc, anvil: LocalChain
) -> None:
    with Relay(anvil.url) as relay:
        sender = Sender(Rpc(relay.url), KEY)
        sender.in_flight = 20

        list(sender.send_many([NOTHING] * 30))

        methods = relay.methods()
    sent = [at for at, method in enumerate(methods) if method == "eth_sendRawTransaction"]
    assert len(sent) == 30
    assert "eth_getTransactionReceipt" not in methods[sent[0] : sent[9]]
    assert methods.count("eth_estimateGas") == 1
    assert methods.count("eth_chainId") == 1


@pytest.mark.anvil
def test_send_many__batched_where_blocks_come_at_an_interval__all_in_order() -> None:
    with LocalChain(block_seconds=0.05) as chain, Relay(chain.url) as relay:
        sender = Sender(Rpc(relay.url), KEY)
        sender.batched, sender.in_flight = True, 200
        sizes: list[int] = []
        relay.before = lambda calls: sizes.append(len(calls)) if is_raw(calls) else None
        calls = [Call(NOBODY, i.to_bytes(2, "big"), "nothing") for i in range(300)]

        receipts = list(sender.send_many(calls))

    assert [receipt.call for receipt in receipts] == calls
    assert sizes == [100, 100, 100]


def test_send_many__of_nothing__sends_nothing(rpc: Rpc, sender: Sender) -> None:
    assert list(sender.send_many([])) == []
    assert nonce_of(rpc, sender.address) == 0


def test_send_many__the_consumer_stops_early__the_next_send_follows_without_a_gap(
    rpc: Rpc, sender: Sender
) -> None:
    next(sender.send_many([NOTHING] * 30))

    receipt = sender.send(Call(NOBODY, b"the next", "nothing"))

    mined = on_chain(rpc, receipt.hash)
    assert nonce_of(rpc, sender.address) == int(mined["nonce"], 16) + 1


def test_send__a_block_that_comes_late__is_waited_for(rpc: Rpc, anvil: LocalChain) -> None:
    asked: list[str] = []

    def mine_at_the_third(calls: Calls) -> None:
        asked.extend(c["method"] for c in calls if c["method"] == "eth_getTransactionReceipt")
        if len(asked) == 3:
            rpc.request("evm_mine")

    with mining_by_hand(rpc), Relay(anvil.url) as relay:
        relay.before = mine_at_the_third

        receipt = Sender(Rpc(relay.url), KEY).send(NOTHING)

    assert receipt.gas_used == 21_000
    assert len(asked) >= 3


def test_observer__of_a_sender__sees_every_receipt(sender: Sender) -> None:
    seen: list[Receipt] = []
    sender.observer = seen.append

    receipts = [sender.send(NOTHING), *sender.send_many([NOTHING] * 3)]

    assert seen == receipts


# Refusals


def test_send__the_contract_refuses__named_and_no_nonce_is_used(world: World) -> None:
    sender = world.supervisor.sender
    sender.send(operator_call(world, "second key"))
    before = nonce_of(world.rpc, sender.address)

    with pytest.raises(OperatorKnown) as error:
        sender.send(operator_call(world, "second key"))

    assert error.value.values == {"operator": address_of(key_of("second key"))}
    assert nonce_of(world.rpc, sender.address) == before
    sender.send(operator_call(world, "third key"))
    assert nonce_of(world.rpc, sender.address) == before + 1


def test_send__a_revert_without_reason__is_an_unknown_refusal(rpc: Rpc, sender: Sender) -> None:
    with pytest.raises((UnknownRefusal, TransactionFailed)) as error:
        # PUSH1 0 DUP1 REVERT as constructor.
        sender.send(Call("", bytes.fromhex("600080fd"), "Reverter.constructor"))

    assert "\n" not in str(error.value)
    assert nonce_of(rpc, sender.address) == 0


def test_advance__two_operators_with_the_same_numbers__the_second_is_refused_when_mined(
    world: World,
) -> None:
    world.second_key()
    senders = [Sender(world.rpc, key_of(role)) for role in ("hospital", "second key")]
    segment = world.deployment.bills
    number = world.ledgers.invoices.segment_of(segment).next
    calls = [world.ledgers.invoices.issue(segment, number, 1, bytes([n]) * 32) for n in (1, 2)]

    with mining_by_hand(world.rpc) as mine:
        for sender, call in zip(senders, calls, strict=True):
            intent = sender.intent(call, 200_000)
            sender.journal.add(sender.address, intent, sender.signing(intent))
            sender.advance()
        mine()
        outcomes = [sender.advance()[0] for sender in senders]

    assert [outcome.kind for outcome in outcomes] == ["final", "failed"]
    assert isinstance(outcomes[1].error, NumberAlreadyIssued)
    assert outcomes[1].error.values == {"number": number}


def test_advance__refused_by_what_lasted_one_transaction__fails_and_says_so(world: World) -> None:
    segment = world.deployment.bills
    number = world.ledgers.invoices.segment_of(segment).next
    issue = world.ledgers.invoices.issue(segment, number, 1, bytes(32))
    institutions, id_ = world.ledgers.institutions, world.ids["hospital"]
    supervisor = Sender(world.rpc, key_of("supervisor"))
    hospital = Sender(world.rpc, key_of("hospital"))
    acts = [
        (supervisor, institutions.suspend(id_, 1)),
        (hospital, issue),
        (supervisor, institutions.reinstate(id_)),
    ]

    with mining_by_hand(world.rpc) as mine:
        for sender, call in acts:
            intent = sender.intent(call, 200_000)
            sender.journal.add(sender.address, intent, sender.signing(intent))
            sender.advance()
        mine()
        (outcome,) = hospital.advance()

    assert isinstance(outcome.error, TransactionReverted)
    assert outcome.transaction.attempts[0].hash.hex() in str(outcome.error)


def test_send_many__the_first_would_be_refused__nothing_is_sent(world: World) -> None:
    world.supervisor.suspend(world.ids["hospital"], 1)
    sender = Sender(world.rpc, key_of("hospital"))
    issue = world.ledgers.invoices.issue(world.deployment.bills, 1, 1, bytes(32))

    with pytest.raises(InstitutionIsSuspended):
        list(sender.send_many([issue, NOTHING]))

    assert nonce_of(world.rpc, sender.address) == 0
    sender.send(NOTHING)


def test_send_many__a_later_kind_would_be_refused__the_sender_goes_on_afterwards(
    world: World,
) -> None:
    world.supervisor.suspend(world.ids["hospital"], 1)
    sender = Sender(world.rpc, key_of("hospital"))
    issue = world.ledgers.invoices.issue(world.deployment.bills, 1, 1, bytes(32))

    with pytest.raises(InstitutionIsSuspended):
        list(sender.send_many([NOTHING, issue]))

    # The nonce of the call before it must not be lost: nothing after a gap is ever mined.
    sender.send(NOTHING)


def test_send_many__one_refused_when_mined__the_others_of_its_group_are_mined(
    world: World,
) -> None:
    sender = world.supervisor.sender
    before = nonce_of(world.rpc, sender.address)
    calls = [operator_call(world, role) for role in ("key 1", "key 2", "key 2", "key 3")]

    with pytest.raises(OperatorKnown):
        list(sender.send_many(calls))

    assert nonce_of(world.rpc, sender.address) == before + 4
    known = world.ledgers.institutions.operator_of(address_of(key_of("key 3")))
    assert known.institution == world.ids["hospital"]
    sender.send(operator_call(world, "key 4"))


# Gas


def test_send_many__one_needs_far_more_gas_than_the_first__is_sent_again_with_its_own_limit(
    rpc: Rpc, sender: Sender
) -> None:
    sender.send(Call("", WRITER, "Writer.constructor"))
    writer = created_address(sender.address, 0)
    calls = [Call(writer, slots.to_bytes(32, "big"), "Writer.write") for slots in (1, 12, 2)]

    receipts = list(sender.send_many(calls))

    assert [receipt.call for receipt in receipts] == calls
    last_slot = rpc.request("eth_getStorageAt", writer, hex(12), "latest")
    assert int(last_slot, 16) == 12
    # The deployment, three calls, and one of them again.
    assert nonce_of(rpc, sender.address) == 5


def test_estimate__a_call__has_a_margin(rpc: Rpc, sender: Sender) -> None:
    assert 21_000 * 1.2 < sender.estimate(NOTHING) < 21_000 * 1.3


# Networks


def test_send__a_network_without_fees__an_empty_account_can(rpc: Rpc, sender: Sender) -> None:
    assert int(rpc.request("eth_getBalance", sender.address, "latest"), 16) == 0

    receipt = sender.send(NOTHING)

    assert int(on_chain(rpc, receipt.hash)["type"], 16) == 2


@pytest.mark.anvil
@pytest.mark.parametrize("hardfork", ["london", "berlin"])
def test_send__a_network_with_fees__pays_them(hardfork: str) -> None:
    with plain_anvil("--hardfork", hardfork) as url:
        rpc = Rpc(url)
        give_ether(rpc, [address_of(KEY)])
        sender = Sender(rpc, KEY)

        fees = sender.fees()
        receipt = sender.send(NOTHING)

        spent = 10**18 - int(rpc.request("eth_getBalance", sender.address, "latest"), 16)
        mined = on_chain(rpc, receipt.hash)
    assert (fees.tip is None) == (hardfork == "berlin")
    assert int(mined["type"], 16) == (0 if hardfork == "berlin" else 2)
    assert 0 < spent <= receipt.gas_used * fees.max_fee


@pytest.mark.ganache
def test_send__ganache__one_many_refused_and_used_elsewhere() -> None:
    with ganache() as url:
        rpc = Rpc(url)
        give_ether(rpc, [address_of(KEY)])
        sender, elsewhere = Sender(rpc, KEY), Sender(rpc, KEY)

        first = sender.send(NOTHING)
        elsewhere.send(Call(NOBODY, b"elsewhere", "nothing"))
        second = sender.send(Call(NOBODY, b"second", "nothing"))
        many = list(sender.send_many([NOTHING] * 20))
        with pytest.raises(UnknownRefusal):
            sender.send(Call("", bytes.fromhex("600080fd"), "Reverter.constructor"))

        assert nonce_of(rpc, sender.address) == 23
    assert first.block < second.block < many[0].block


# Answers that are lost


@pytest.mark.parametrize("failure", ["502", "hang", "garbage", "503 before it takes any"])
def test_send__the_answer_is_lost_once__is_mined_once(
    failure: str, rpc: Rpc, anvil: LocalChain
) -> None:
    over, lost = threading.Event(), threading.Event()

    def lose(calls: Calls, answer: bytes) -> Reply:
        if not is_raw(calls) or lost.is_set():
            return answer
        lost.set()
        if failure == "hang":
            over.wait(20)
        return b"<html>" if failure == "garbage" else 502

    def lose_before(calls: Calls) -> int | None:
        if not is_raw(calls) or lost.is_set():
            return None
        lost.set()
        return 503

    with Relay(anvil.url) as relay:
        if failure.startswith("503"):
            relay.before = lose_before
        else:
            relay.after = lose
        sender = Sender(Rpc(relay.url, timeout_seconds=2 if failure == "hang" else 30), KEY)

        receipt = sender.send(NOTHING)
        over.set()

    assert lost.is_set()
    assert receipt.gas_used == 21_000
    assert nonce_of(rpc, sender.address) == 1


def test_send__the_node_says_it_timed_out__is_worth_a_retry(rpc: Rpc, anvil: LocalChain) -> None:
    def late(call: dict[str, Any], answer: Any) -> Any:
        return refusal(call, "request timeout") if call["method"] == "eth_estimateGas" else answer

    with Relay(anvil.url) as relay:
        relay.after = lambda calls, body: each(calls, body, late)

        with pytest.raises(RpcUnavailable, match="request timeout"):
            Sender(Rpc(relay.url), KEY).send(NOTHING)


def test_send__the_key_was_used_elsewhere__goes_through_with_a_new_nonce(rpc: Rpc) -> None:
    ours, theirs = Sender(rpc, KEY), Sender(rpc, KEY)
    ours.send(NOTHING)
    theirs.send(Call(NOBODY, b"another", "nothing"))

    receipt = ours.send(NOTHING)

    assert int(on_chain(rpc, receipt.hash)["nonce"], 16) == 2
    assert nonce_of(rpc, ours.address) == 3


# How nodes word that they have it


@pytest.mark.parametrize(
    "words",
    [
        "already known",
        "Known transaction",
        "transaction already imported",
        "transaction already in pool",
        "AlreadyInTxPool",
    ],
)
def test_send__the_nodes_word_for_known_already__is_no_error(
    words: str, rpc: Rpc, anvil: LocalChain
) -> None:
    """As a node that took the transaction, and says that it had it."""

    def known(calls: Calls, answer: bytes) -> Reply:
        return json.dumps(refusal(calls[0], words)).encode() if is_raw(calls) else answer

    with Relay(anvil.url) as relay:
        relay.after = known

        receipt = Sender(Rpc(relay.url), KEY).send(NOTHING)

    assert receipt.gas_used == 21_000
