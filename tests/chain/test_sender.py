"""Nonces, fees, receipts and refusals, on a real node and with one that loses what it is told."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import rlp
from tests.chain.nodes import (
    Calls,
    Relay,
    each,
    give_ether,
    mining_by_hand,
    plain_anvil,
    refusal,
)
from tests.roles.world import World, key_of

from medledger.chain import sender as sender_module
from medledger.chain.bindings import OperatorAdded
from medledger.chain.contract import Call
from medledger.chain.deployment import created_address
from medledger.chain.events import decode_log
from medledger.chain.keys import address_of
from medledger.chain.local import LocalChain
from medledger.chain.rpc import Rpc
from medledger.chain.sender import Receipt, Sender, Signed
from medledger.core.hashing import keccak256
from medledger.errors import (
    InstitutionIsSuspended,
    NonceTaken,
    NumberAlreadyIssued,
    OperatorKnown,
    RpcError,
    RpcUnavailable,
    TransactionFailed,
    TransactionReverted,
    UnknownRefusal,
)

KEY = keccak256(b"a key that no institution knows")
NOBODY = "0x" + 40 * "1"
NOTHING = Call(NOBODY, b"", "nothing")
"""A call that always succeeds and costs nothing but gas."""

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


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A receipt that has not come at once will not come."""
    monkeypatch.setattr(sender_module, "RECEIPT_SECONDS", 0.5)


def nonce_of(rpc: Rpc, address: str) -> int:
    return int(rpc.request("eth_getTransactionCount", address, "latest"), 16)


def transaction(rpc: Rpc, hash_: bytes) -> dict[str, Any]:
    found = rpc.request("eth_getTransactionByHash", "0x" + hash_.hex())
    assert isinstance(found, dict)
    return found


def operator_call(world: World, role: str) -> Call:
    """Lets a new key act for the hospital."""
    operator = address_of(key_of(role))
    return world.ledgers.institutions.add_operator(world.ids["hospital"], operator)


# Nonces and receipts


def test_send__one_call__is_mined_and_its_receipt_says_where(world: World) -> None:
    sender = world.supervisor.sender
    call = operator_call(world, "second key")

    receipt = sender.send(call)

    assert receipt.call is call
    assert receipt.block == world.rpc.block_number()
    mined = transaction(world.rpc, receipt.hash)
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
    nonces = [int(transaction(rpc, receipt.hash)["nonce"], 16) for receipt in receipts]
    assert nonces == list(range(150))
    assert nonce_of(rpc, sender.address) == 150


def test_send_many__many_calls__many_are_on_their_way_before_a_receipt_is_asked_for(
    rpc: Rpc, anvil: LocalChain
) -> None:
    with Relay(anvil.url) as relay:
        sender = Sender(Rpc(relay.url), KEY, in_flight=20)

        list(sender.send_many([NOTHING] * 30))

        methods = relay.methods()
    first = methods.index("eth_getTransactionReceipt")
    assert methods[:first].count("eth_sendRawTransaction") >= 10
    assert methods.count("eth_sendRawTransaction") == 30
    assert methods.count("eth_estimateGas") == 1
    assert methods.count("eth_getTransactionCount") == methods.count("eth_chainId") == 1


def test_send_many__of_nothing__sends_nothing(rpc: Rpc, sender: Sender) -> None:
    assert list(sender.send_many([])) == []
    assert nonce_of(rpc, sender.address) == 0


def test_send__while_others_wait_in_the_pool__takes_the_next_nonce(rpc: Rpc) -> None:
    with mining_by_hand(rpc) as mine:
        earlier = Sender(rpc, KEY)
        earlier.broadcast([earlier.sign(NOTHING, gas=30_000, fees=earlier.fees())])
        later = Sender(rpc, KEY)
        signed = later.sign(NOTHING, gas=30_000, fees=later.fees())
        later.broadcast([signed])

        mine()

        assert later.confirm([signed])[0].hash == signed.hash
    assert nonce_of(rpc, later.address) == 2


def test_confirm__a_receipt_that_comes_late__is_waited_for(rpc: Rpc, anvil: LocalChain) -> None:
    asked: list[str] = []

    def mine_at_the_third(calls: Calls) -> None:
        asked.extend(c["method"] for c in calls if c["method"] == "eth_getTransactionReceipt")
        if len(asked) == 3:
            rpc.request("evm_mine")

    with mining_by_hand(rpc), Relay(anvil.url) as relay:
        relay.before = mine_at_the_third

        receipt = Sender(Rpc(relay.url), KEY).send(NOTHING)

    assert receipt.block == rpc.block_number() - 1
    assert len(asked) >= 3


def test_confirm__nothing_is_mined__fails_with_the_hash(
    rpc: Rpc, sender: Sender, impatient: None
) -> None:
    with mining_by_hand(rpc):
        signed = sender.sign(NOTHING, gas=30_000, fees=sender.fees())
        sender.broadcast([signed])

        with pytest.raises(TransactionFailed, match="is not mined after") as error:
            sender.confirm([signed])

    assert signed.hash.hex() in str(error.value)


def test_send__the_pool_dropped_the_one_before__the_next_goes_through(
    rpc: Rpc, sender: Sender, impatient: None
) -> None:
    with mining_by_hand(rpc):
        signed = sender.sign(NOTHING, gas=30_000, fees=sender.fees())
        sender.broadcast([signed])
        rpc.request("anvil_dropTransaction", "0x" + signed.hash.hex())
        with pytest.raises(TransactionFailed, match="is not mined after"):
            sender.confirm([signed])

    sender.send(NOTHING)

    assert nonce_of(rpc, sender.address) == 1


def test_observer__of_a_sender__sees_every_receipt(sender: Sender) -> None:
    seen: list[Receipt] = []
    sender.observer = seen.append

    receipts = [sender.send(NOTHING), *sender.send_many([NOTHING] * 3)]

    assert seen == receipts


# Sending the same bytes again


def test_broadcast__bytes_that_wait_or_are_mined__is_no_error(rpc: Rpc, sender: Sender) -> None:
    with mining_by_hand(rpc) as mine:
        signed = sender.sign(NOTHING, gas=30_000, fees=sender.fees())
        sender.broadcast([signed])

        sender.broadcast([signed])
        mine()
        sender.broadcast([signed])

    assert sender.confirm([signed])[0].hash == signed.hash
    assert nonce_of(rpc, sender.address) == 1


def test_restored__stored_bytes__have_the_same_hash_and_can_be_confirmed(
    rpc: Rpc, sender: Sender
) -> None:
    signed = sender.sign(NOTHING, gas=30_000, fees=sender.fees())

    restored = Sender(rpc, KEY).restored(NOTHING, signed.raw)

    assert (restored.hash, restored.raw) == (signed.hash, signed.raw)
    sender.broadcast([restored])
    assert sender.confirm([restored])[0].hash == signed.hash


# Refusals


def test_send__a_call_that_would_be_refused__is_not_sent(world: World) -> None:
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


def test_confirm__two_operators_with_the_same_numbers__the_second_is_refused_when_mined(
    world: World,
) -> None:
    world.supervisor.add_operator(world.ids["hospital"], address_of(key_of("second key")))
    first, second = (Sender(world.rpc, key_of(role)) for role in ("hospital", "second key"))
    segment = world.deployment.bills
    number = world.ledgers.invoices.segment_of(segment).next
    calls = [world.ledgers.invoices.issue(segment, number, 1, bytes([n]) * 32) for n in (1, 2)]
    senders = (first, second)

    with mining_by_hand(world.rpc) as mine:
        signed = [
            sender.sign(call, gas=sender.estimate(call), fees=sender.fees())
            for sender, call in zip(senders, calls, strict=True)
        ]
        for sender, one in zip(senders, signed, strict=True):
            sender.broadcast([one])
        mine()

    (receipt,) = first.confirm(signed[:1])
    assert receipt.hash == signed[0].hash
    with pytest.raises(NumberAlreadyIssued) as error:
        second.confirm(signed[1:])
    assert error.value.values == {"number": number}


def test_confirm__refused_by_what_lasted_one_transaction__fails_and_says_so(world: World) -> None:
    supervisor, hospital = world.supervisor.sender, world.hospital.sender
    segment = world.deployment.bills
    number = world.ledgers.invoices.segment_of(segment).next
    issue = world.ledgers.invoices.issue(segment, number, 1, bytes(32))
    institutions, id_ = world.ledgers.institutions, world.ids["hospital"]
    acts = [
        (supervisor, institutions.suspend(id_, 1)),
        (hospital, issue),
        (supervisor, institutions.reinstate(id_)),
    ]

    with mining_by_hand(world.rpc) as mine:
        signed = [sender.sign(call, gas=200_000, fees=sender.fees()) for sender, call in acts]
        for (sender, _), one in zip(acts, signed, strict=True):
            sender.broadcast([one])
        mine()

    with pytest.raises(TransactionReverted) as error:
        hospital.confirm([signed[1]])
    assert signed[1].hash.hex() in str(error.value)


def test_send_many__the_first_would_be_refused__nothing_is_sent(world: World) -> None:
    world.supervisor.suspend(world.ids["hospital"], 1)
    sender = world.hospital.sender
    issue = world.ledgers.invoices.issue(world.deployment.bills, 1, 1, bytes(32))

    with pytest.raises(InstitutionIsSuspended):
        list(sender.send_many([issue, NOTHING]))

    assert nonce_of(world.rpc, sender.address) == 0
    sender.send(NOTHING)


def test_send_many__a_later_kind_would_be_refused__the_sender_goes_on_afterwards(
    world: World, impatient: None
) -> None:
    world.supervisor.suspend(world.ids["hospital"], 1)
    sender = world.hospital.sender
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


# Fees


def test_fees__a_network_without_fees__all_zero(rpc: Rpc, sender: Sender) -> None:
    assert sender.fees() == {"maxFeePerGas": 0, "maxPriorityFeePerGas": 0}


def test_send__a_network_without_fees__an_empty_account_can(rpc: Rpc, sender: Sender) -> None:
    assert int(rpc.request("eth_getBalance", sender.address, "latest"), 16) == 0

    receipt = sender.send(NOTHING)

    assert int(transaction(rpc, receipt.hash)["type"], 16) == 2


@pytest.fixture(scope="module")
def dear() -> Iterator[Rpc]:
    """A node with a base fee."""
    with plain_anvil() as url:
        yield Rpc(url)


@pytest.mark.anvil
def test_send__a_network_with_a_base_fee__pays_it(dear: Rpc) -> None:
    key = keccak256(b"a key with money")
    give_ether(dear, [address_of(key)])
    sender = Sender(dear, key)

    fees = sender.fees()
    receipt = sender.send(NOTHING)

    base = int(dear.block(receipt.block)["baseFeePerGas"], 16)
    assert 0 < base <= fees["maxFeePerGas"] - fees["maxPriorityFeePerGas"]
    mined = transaction(dear, receipt.hash)
    assert int(mined["type"], 16) == 2
    spent = 10**18 - int(dear.request("eth_getBalance", sender.address, "latest"), 16)
    assert receipt.gas_used * base <= spent <= receipt.gas_used * fees["maxFeePerGas"]


@pytest.mark.anvil
def test_send__more_calls_than_blocks_at_this_fee__a_rising_base_fee_is_paid(dear: Rpc) -> None:
    key = keccak256(b"a key with money for a rise")
    give_ether(dear, [address_of(key)])
    sender = Sender(dear, key)
    fees = sender.fees()
    dear.request("anvil_setNextBlockBaseFeePerGas", hex(fees["maxFeePerGas"] * 9 // 10))

    with mining_by_hand(dear) as mine:
        signed = sender.sign(NOTHING, gas=30_000, fees=fees)
        sender.broadcast([signed])
        mine()

    assert sender.confirm([signed])[0].gas_used == 21_000


@pytest.mark.anvil
def test_send__an_empty_account__fails_for_funds_and_goes_on_once_it_has_some(dear: Rpc) -> None:
    sender = Sender(dear, keccak256(b"a key without money"))

    with pytest.raises(TransactionFailed, match=r"(?i)insufficient funds") as error:
        sender.send(NOTHING)

    assert "\n" not in str(error.value)
    give_ether(dear, [sender.address])
    assert sender.send(NOTHING).gas_used == 21_000
    assert nonce_of(dear, sender.address) == 1


@pytest.mark.anvil
def test_send__a_chain_from_before_eip_1559__legacy_with_the_chains_id() -> None:
    with plain_anvil("--hardfork", "berlin", "--chain-id", "4242") as url:
        rpc = Rpc(url)
        sender = Sender(rpc, KEY)
        give_ether(rpc, [sender.address])

        fees = sender.fees()
        receipt = sender.send(NOTHING)

        mined = transaction(rpc, receipt.hash)
    assert set(fees) == {"gasPrice"}
    assert fees["gasPrice"] > 0
    assert int(mined["type"], 16) == 0
    assert int(mined["gasPrice"], 16) == fees["gasPrice"]
    # EIP-155: v tells the chain id, so that the bytes count on no other chain.
    assert int(mined["v"], 16) - 35 in (2 * 4242, 2 * 4242 + 1)


def test_fees__a_node_that_proposes_no_tip__takes_it_from_the_gas_price(
    rpc: Rpc, anvil: LocalChain
) -> None:
    def no_tip(call: dict[str, Any], answer: Any) -> Any:
        if call["method"] == "eth_maxPriorityFeePerGas":
            return refusal(call, "the method does not exist", -32601)
        if call["method"] == "eth_gasPrice":
            return answer | {"result": hex(9)}
        if call["method"] == "eth_getBlockByNumber":
            answer["result"]["baseFeePerGas"] = hex(7)
        return answer

    with Relay(anvil.url) as relay:
        relay.after = lambda calls, body: each(calls, body, no_tip)

        fees = Sender(Rpc(relay.url), KEY).fees()

    assert fees == {"maxFeePerGas": 2 * 7 + 2, "maxPriorityFeePerGas": 2}


# Answers that are lost


def raw_transactions(calls: Calls) -> bool:
    return any(call["method"] == "eth_sendRawTransaction" for call in calls)


def test_send__the_answer_is_lost_after_forwarding__is_not_sent_again(
    rpc: Rpc, anvil: LocalChain
) -> None:
    with Relay(anvil.url) as relay:
        relay.after = lambda calls, answer: 502 if raw_transactions(calls) else answer
        sender = Sender(Rpc(relay.url), KEY)

        with pytest.raises(RpcUnavailable):
            sender.send(NOTHING)

        assert relay.methods().count("eth_sendRawTransaction") == 1
        relay.after = lambda calls, answer: answer
        sender.send(Call(NOBODY, b"the next", "nothing"))
    assert nonce_of(rpc, sender.address) == 2


def test_send__the_node_was_down_once__the_next_goes_through(
    rpc: Rpc, anvil: LocalChain, impatient: None
) -> None:
    with Relay(anvil.url) as relay:
        sender = Sender(Rpc(relay.url), KEY)
        relay.before = lambda calls: 503 if raw_transactions(calls) else None
        with pytest.raises(RpcUnavailable):
            sender.send(NOTHING)
        relay.before = lambda calls: None

        sender.send(NOTHING)

    assert nonce_of(rpc, sender.address) == 1


def test_send__the_node_says_it_timed_out__is_worth_a_retry(rpc: Rpc, anvil: LocalChain) -> None:
    def late(call: dict[str, Any], answer: Any) -> Any:
        return refusal(call, "request timeout") if call["method"] == "eth_estimateGas" else answer

    with Relay(anvil.url) as relay:
        relay.after = lambda calls, body: each(calls, body, late)

        with pytest.raises(RpcUnavailable, match="request timeout"):
            Sender(Rpc(relay.url), KEY).send(NOTHING)


def test_confirm__the_node_is_down_for_a_moment__can_be_asked_again(
    rpc: Rpc, anvil: LocalChain
) -> None:
    with Relay(anvil.url) as relay:
        sender = Sender(Rpc(relay.url), KEY)
        signed = sender.sign(NOTHING, gas=30_000, fees=sender.fees())
        sender.broadcast([signed])
        relay.before = lambda calls: 503
        with pytest.raises(RpcUnavailable):
            sender.confirm([signed])
        relay.before = lambda calls: None

        (receipt,) = sender.confirm([signed])

    assert receipt.hash == signed.hash


# Somebody else uses the key


def test_send__the_key_was_used_elsewhere__nonce_taken_and_then_on(rpc: Rpc) -> None:
    ours, theirs = Sender(rpc, KEY), Sender(rpc, KEY)
    ours.send(NOTHING)
    theirs.send(Call(NOBODY, b"another", "nothing"))

    with pytest.raises(NonceTaken) as error:
        ours.send(NOTHING)

    assert "0x" in str(error.value)
    ours.send(NOTHING)
    assert nonce_of(rpc, ours.address) == 3


def test_broadcast__bytes_whose_nonce_went_to_another__nonce_taken(rpc: Rpc) -> None:
    ours, theirs = Sender(rpc, KEY), Sender(rpc, KEY)
    signed = ours.sign(NOTHING, gas=30_000, fees=ours.fees())
    theirs.send(Call(NOBODY, b"another", "nothing"))

    with pytest.raises(NonceTaken, match=signed.hash.hex()):
        ours.broadcast([signed])


# How nodes word what they say

WORDS = {
    "geth": ("already known", "nonce too low: next nonce 5, tx nonce 4"),
    "besu": ("Known transaction", "Nonce too low"),
    "anvil": ("transaction already imported", "nonce too low"),
    "ganache": (
        "transaction already in pool",
        "the tx doesn't have the correct nonce. account has nonce of: 1 tx has nonce of: 0",
    ),
}


@pytest.mark.parametrize("node", WORDS)
def test_broadcast__the_nodes_word_for_known_already__is_no_error(
    node: str, rpc: Rpc, anvil: LocalChain
) -> None:
    with answering(anvil, WORDS[node][0]) as relay:
        sender = Sender(Rpc(relay.url), KEY)

        sender.broadcast([signed_by(sender)])


@pytest.mark.parametrize("node", WORDS)
def test_broadcast__the_nodes_word_for_a_low_nonce__nonce_taken(
    node: str, rpc: Rpc, anvil: LocalChain
) -> None:
    with answering(anvil, WORDS[node][1]) as relay:
        sender = Sender(Rpc(relay.url), KEY)

        with pytest.raises(NonceTaken) as error:
            sender.broadcast([signed_by(sender)])

    assert isinstance(error.value.__cause__, RpcError)


@pytest.mark.parametrize(
    "words",
    ["txpool is full", "replacement transaction underpriced", "gas limit reached", ""],
)
def test_broadcast__the_node_refuses_for_another_reason__fails_with_its_words(
    words: str, rpc: Rpc, anvil: LocalChain
) -> None:
    with answering(anvil, words) as relay:
        sender = Sender(Rpc(relay.url), KEY)
        signed = signed_by(sender)

        with pytest.raises(TransactionFailed) as error:
            sender.broadcast([signed])

    assert type(error.value) is TransactionFailed
    assert error.value.values == {"transaction": "0x" + signed.hash.hex(), "problem": words}


# What is signed


@pytest.mark.parametrize("fees", [{"gasPrice": 5}, {"maxFeePerGas": 7, "maxPriorityFeePerGas": 2}])
def test_sign__any_fees__the_bytes_hold_exactly_the_call(
    fees: dict[str, int], rpc: Rpc, sender: Sender
) -> None:
    signed = sender.sign(Call(NOBODY, b"data", "call", value=3), gas=30_000, fees=fees)

    is_legacy = "gasPrice" in fees
    fields = rlp.decode(signed.raw if is_legacy else signed.raw[1:])
    expected: list[int | bytes] = (
        [0, 5, 30_000, bytes.fromhex(NOBODY[2:]), 3, b"data"]
        if is_legacy
        else [31337, 0, 2, 7, 30_000, bytes.fromhex(NOBODY[2:]), 3, b"data", []]
    )
    assert [
        int.from_bytes(found, "big") if isinstance(wanted, int) else found
        for found, wanted in zip(fields, expected, strict=False)
    ] == expected
    assert signed.hash == keccak256(signed.raw)


def signed_by(sender: Sender) -> Signed:
    return sender.sign(NOTHING, gas=30_000, fees=sender.fees())


def answering(anvil: LocalChain, words: str) -> Relay:
    """A node that refuses every transaction with these words."""
    relay = Relay(anvil.url)
    relay.before = lambda calls: (
        json.dumps(refusal(calls[0], words)).encode() if raw_transactions(calls) else None
    )
    return relay
