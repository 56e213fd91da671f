"""Fees: what is offered, when it is raised, and by how much; on nodes that ask for them."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.chain.nodes import Relay, each, plain_anvil, refusal
from tests.chain.senders import (
    NOTHING,
    Time,
    add,
    is_raw,
    key_named,
    mine,
    nonce_of,
    on_chain,
    pooled,
    sender_of,
    stage,
)

from medledger.chain.contract import Call
from medledger.chain.local import LocalChain
from medledger.chain.rpc import Rpc
from medledger.chain.sender import Fees, Sender
from medledger.chain.sender.fees import FRESH_SECONDS, raised
from medledger.chain.sender.signer import Signer
from medledger.chain.sender.state import LOOK_SECONDS
from medledger.core.transactions import Attempt, Stage
from medledger.errors import RpcUnavailable, TransactionFailed

BUMP = 30
ETHER = 10**18
GWEI = 10**9


@pytest.fixture(scope="module")
def dear() -> Iterator[str]:
    """A node with a base fee, which mines when told."""
    with plain_anvil("--no-mining") as url:
        yield url


@pytest.fixture
def rpc(dear: str) -> Iterator[Rpc]:
    rpc = Rpc(dear)
    yield rpc
    rpc.request("anvil_dropAllTransactions")


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    return str(request.node.name)


def rich(rpc: Rpc, name: str, time: Time, **policy: Any) -> Sender:
    """A sender with money."""
    sender = sender_of(rpc, name, time, **policy)
    rpc.request("anvil_setBalance", sender.address, hex(100 * ETHER))
    return sender


def base_fee_of_next(rpc: Rpc, wei: int) -> None:
    rpc.request("anvil_setNextBlockBaseFeePerGas", hex(wei))


def attempts(sender: Sender, id_: int) -> tuple[Attempt, ...]:
    return sender.journal.transaction(id_).attempts


# How much


WEI = st.integers(0, 10**15)


@given(
    st.lists(st.tuples(WEI, st.none() | WEI), min_size=1, max_size=5),
    st.builds(Fees, WEI, st.none() | WEI),
    st.none() | WEI,
)
def test_raised__any_attempts_and_market__replaces_every_one_within_the_cap(
    earlier: list[tuple[int, int | None]], market: Fees, cap: int | None
) -> None:
    made = [Attempt(b"", b"", 0, max_fee, tip) for max_fee, tip in earlier]

    fees = raised(made, market, 12.5, cap)

    least = max(max_fee for max_fee, _ in earlier) * Fraction("1.125")
    if fees is None:
        assert cap is not None
        assert cap < least
        return
    assert fees.max_fee >= least
    assert fees.max_fee >= market.max_fee or fees.max_fee == cap
    assert cap is None or fees.max_fee <= cap
    assert (fees.tip is None) == (market.tip is None)
    if fees.tip is not None:
        tips = [max_fee if tip is None else tip for max_fee, tip in earlier]
        assert fees.tip >= min(max(tips) * Fraction("1.125"), fees.max_fee)
        assert fees.tip <= fees.max_fee


def test_raised__odd_amounts__rounds_up() -> None:
    assert raised([Attempt(b"", b"", 0, 7, 1)], Fees(0, 0), 12.5, None) == Fees(8, 2)


# When


@pytest.mark.anvil
def test_advance__waits_long_for_a_block__pays_more_with_every_form_journalled(
    rpc: Rpc, name: str, time: Time
) -> None:
    sender = rich(rpc, name, time)
    found = add(sender)
    sender.advance()

    time.passes(BUMP - 1)
    sender.advance()
    early = len(attempts(sender, found.id))
    time.passes(1)
    sender.advance()
    first, second = attempts(sender, found.id)
    waiting = pooled(rpc)
    mine(rpc)
    (outcome,) = sender.advance()

    assert early == 1
    assert second.max_fee >= first.max_fee * Fraction("1.125")
    assert second.tip is not None
    assert first.tip is not None
    assert second.tip >= first.tip * Fraction("1.125")
    assert waiting == 1
    assert outcome.receipt is not None
    assert outcome.receipt.hash == second.hash


@pytest.mark.anvil
def test_advance__sent_again_while_it_waits__pays_more_at_the_same_time(
    rpc: Rpc, name: str, time: Time
) -> None:
    sender = rich(rpc, name, time)
    found = add(sender)
    counts = []

    for _ in range(BUMP + 2):
        sender.advance()
        rpc.request("anvil_dropAllTransactions")
        time.passes(LOOK_SECONDS)
        counts.append(len(attempts(sender, found.id)))

    assert counts == [1] * BUMP + [2] * 2


@pytest.mark.anvil
def test_advance__the_older_form_is_mined__is_its_end_too(
    rpc: Rpc, dear: str, name: str, time: Time
) -> None:
    with Relay(dear) as relay:
        sender = rich(Rpc(relay.url), name, time)
        found = add(sender)
        sender.advance()
        relay.before = lambda calls: 503 if is_raw(calls) else None
        time.passes(BUMP)
        with pytest.raises(RpcUnavailable):
            sender.advance()
        relay.before = lambda calls: None

        mine(rpc)
        (outcome,) = sender.advance()

    first, _ = attempts(sender, found.id)
    assert outcome.receipt is not None
    assert outcome.receipt.hash == first.hash
    assert nonce_of(rpc, sender.address) == 1


@pytest.mark.anvil
def test_advance__the_base_fee_rises_beyond_its_offer__is_raised_and_mined(
    rpc: Rpc, name: str, time: Time
) -> None:
    sender = rich(rpc, name, time)
    found = [add(sender) for _ in range(3)]
    sender.advance()
    spike = 3 * found[0].attempts[0].max_fee
    base_fee_of_next(rpc, spike)
    mine(rpc)
    base_fee_of_next(rpc, spike)

    time.passes(BUMP)
    sender.advance()
    mine(rpc)
    outcomes = sender.advance()

    assert [outcome.kind for outcome in outcomes] == ["final"] * 3
    for one in found:
        assert attempts(sender, one.id)[-1].max_fee >= spike


@pytest.mark.anvil
def test_advance__beyond_its_cap__says_so_and_goes_on_once_the_fee_falls(
    rpc: Rpc, name: str, time: Time
) -> None:
    base_fee_of_next(rpc, GWEI)
    mine(rpc)
    sender = rich(rpc, name, time, fee_cap=3 * GWEI)
    found = add(sender)
    sender.advance()
    base_fee_of_next(rpc, 50 * GWEI)
    mine(rpc)
    base_fee_of_next(rpc, 50 * GWEI)

    for _ in range(5):
        time.passes(BUMP)
        sender.advance()
    held = sender.journal.transaction(found.id)
    base_fee_of_next(rpc, GWEI)
    mine(rpc)
    # Anvil drops what a block's base fee shut out.
    time.passes(LOOK_SECONDS)
    ended = sender.advance()
    mine(rpc)
    (outcome,) = ended + sender.advance()

    assert "cap of 3000000000 wei a gas" in held.problem
    assert max(attempt.max_fee for attempt in held.attempts) <= 3 * GWEI
    assert outcome.kind == "final"
    assert sender.journal.transaction(found.id).problem == ""


@pytest.mark.anvil
def test_advance__an_account_without_money__pauses_and_goes_on_once_it_has_some(
    rpc: Rpc, name: str, time: Time
) -> None:
    sender = sender_of(rpc, name, time)
    found = [add(sender) for _ in range(3)]

    sender.advance()
    problems = [sender.journal.transaction(one.id).problem for one in found]
    rpc.request("anvil_setBalance", sender.address, hex(ETHER))
    sender.advance()
    too_early = pooled(rpc)
    time.passes(LOOK_SECONDS)
    sender.advance()
    mine(rpc)

    assert "nsufficient funds" in problems[0]
    assert problems[1:] == ["", ""]
    assert too_early == 0
    assert [outcome.kind for outcome in sender.advance()] == ["final"] * 3
    assert sender.journal.transaction(found[0].id).problem == ""


@pytest.mark.anvil
@pytest.mark.parametrize("call", [NOTHING, Call(NOTHING.to, b"", "transfer", 7)])
def test_send__an_account_without_money__fails_before_a_nonce_is_used(
    call: Call, rpc: Rpc, name: str, time: Time
) -> None:
    sender = sender_of(rpc, name, time)

    for send in (sender.send, lambda one: list(sender.send_many([one]))):
        with pytest.raises(TransactionFailed, match=r"(?i)insufficient funds") as error:
            send(call)

        assert "\n" not in str(error.value)
    assert sender.journal.unfinished() == []


@pytest.mark.anvil
def test_advance__another_waits_with_its_nonce_and_pays_as_much__is_outbid(
    rpc: Rpc, name: str, time: Time
) -> None:
    theirs = rich(rpc, name, time)
    ours = sender_of(rpc, name, time)
    found = add(ours)
    add(theirs, Call(NOTHING.to, b"foreign", "foreign"))
    theirs.advance()

    ours.advance()
    waiting = pooled(rpc)
    mine(rpc)
    (outcome,) = ours.advance()

    assert waiting == 1
    assert len(attempts(ours, found.id)) == 2
    assert outcome.kind == "final"
    assert nonce_of(rpc, ours.address) == 1


@pytest.mark.anvil
def test_advance__refused_again_and_again_as_too_cheap__is_raised_once_in_a_while(
    dear: str, name: str, time: Time
) -> None:
    with Relay(dear) as relay:
        relay.before = lambda calls: (
            [refusal(calls[0], "replacement transaction underpriced")] if is_raw(calls) else None
        )
        sender = rich(Rpc(relay.url), name, time)
        found = add(sender)
        counts = []

        for _ in range(3):
            for _ in range(4):
                sender.advance()
                time.passes(LOOK_SECONDS)
            counts.append(len(attempts(sender, found.id)))
            time.passes(BUMP)

    assert counts == [2, 3, 4]
    assert stage(sender, found) is Stage.SIGNED


# Kinds of networks


@pytest.mark.anvil
def test_advance__a_chain_from_before_eip_1559__a_raised_legacy_price() -> None:
    time = Time()
    with plain_anvil("--hardfork", "berlin", "--chain-id", "4242", "--no-mining") as url:
        rpc = Rpc(url)
        sender = rich(rpc, "legacy", time)
        found = add(sender)
        sender.advance()
        time.passes(BUMP)
        sender.advance()
        mine(rpc)
        (outcome,) = sender.advance()
        assert outcome.receipt is not None
        mined = on_chain(rpc, outcome.receipt.hash)

    first, second = attempts(sender, found.id)
    assert (first.tip, second.tip) == (None, None)
    assert second.max_fee >= first.max_fee * Fraction("1.125")
    assert int(mined["type"], 16) == 0
    assert int(mined["gasPrice"], 16) == second.max_fee
    # EIP-155: v tells the chain id, so that the bytes count on no other chain.
    assert int(mined["v"], 16) - 35 in (2 * 4242, 2 * 4242 + 1)


@pytest.mark.anvil
def test_advance__signed_without_a_node_and_the_chain_is_legacy__is_signed_anew() -> None:
    time = Time()
    with plain_anvil("--hardfork", "berlin", "--no-mining") as url, Relay(url) as relay:
        relay.before = lambda calls: 503
        sender = Sender(
            Rpc(relay.url), key_named("offline"), chain_id=31337, clock=time.clock, sleep=time.sleep
        )
        found = add(sender)
        relay.before = lambda calls: None
        Rpc(url).request("anvil_setBalance", sender.address, hex(ETHER))

        time.passes(FRESH_SECONDS)
        sender.advance()
        mine(Rpc(url))
        (outcome,) = sender.advance()

    assert outcome.kind == "final"
    assert [attempt.tip for attempt in attempts(sender, found.id)] == [0, None]


@pytest.mark.anvil
def test_advance__a_gap_whose_cancellation_pays_too_little__is_filled_at_present_fees(
    rpc: Rpc,
) -> None:
    time, key = Time(), key_named("signed when gas was free")
    sender = Sender(rpc, key, clock=time.clock, sleep=time.sleep)
    rpc.request("anvil_setBalance", sender.address, hex(ETHER))
    failed = sender.journal.add(
        sender.address,
        sender.intent(NOTHING, 30_000),
        lambda nonce: Signer(key).cancellation(nonce, Fees(0, 0), 31337),
    )
    sender.journal.mark_failed(failed.id, "it was never sent")
    found = add(sender)

    for _ in range(4):
        sender.advance()
        mine(rpc)
        time.passes(LOOK_SECONDS)

    assert stage(sender, found) is Stage.FINAL
    assert nonce_of(rpc, sender.address) == 2


@pytest.mark.anvil
def test_fees__a_network_without_fees__nothing(rpc: Rpc) -> None:
    with LocalChain() as free:
        fees = Sender(Rpc(free.url), key_named("any")).fees()

    assert fees == Fees(0, 0)
    assert fees.is_free


@pytest.mark.anvil
def test_fees__a_node_that_proposes_no_tip__takes_it_from_the_gas_price(dear: str) -> None:
    def no_tip(call: dict[str, Any], answer: Any) -> Any:
        if call["method"] == "eth_maxPriorityFeePerGas":
            return refusal(call, "the method does not exist", -32601)
        if call["method"] == "eth_gasPrice":
            return answer | {"result": hex(9)}
        answer["result"]["baseFeePerGas"] = hex(7)
        return answer

    with Relay(dear) as relay:
        relay.after = lambda calls, body: each(calls, body, no_tip)

        fees = Sender(Rpc(relay.url), key_named("any")).fees()

    assert fees == Fees(2 * 7 + 2, 2)


@pytest.mark.anvil
def test_fees__above_the_cap__are_the_cap(rpc: Rpc, time: Time) -> None:
    sender = sender_of(rpc, "any", time, fee_cap=5)

    assert sender.fees() == Fees(5, 5)


@pytest.mark.anvil
def test_signing__the_node_is_away__uses_the_fees_that_were_known_last(
    dear: str, name: str, time: Time
) -> None:
    with Relay(dear) as relay:
        sender = sender_of(Rpc(relay.url), name, time)
        known = sender.fees()
        relay.before = lambda calls: 503
        sender._chain_id = 31337
        time.passes(FRESH_SECONDS)

        attempt = sender.signing(sender.intent(NOTHING, 30_000))(0)

    assert (attempt.max_fee, attempt.tip) == (known.max_fee, known.tip)
    assert known.max_fee > 0
