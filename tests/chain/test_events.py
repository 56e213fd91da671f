"""Events in chain order, also from nodes that limit how much they answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tests.chain.nodes import Relay, each, pass_time, refusal
from tests.roles.world import World, bill

from medledger.chain import abi
from medledger.chain.bindings import BatchIssued
from medledger.chain.events import FIRST_RANGE, Logged, fetch_events
from medledger.chain.local import LocalChain
from medledger.chain.rpc import Rpc
from medledger.errors import RpcUnavailable

BATCHES = 7


def limited(anvil: LocalChain, refuses: Callable[[int, int], bool]) -> Relay:
    """A node that refuses eth_getLogs by number of blocks and of logs in the answer."""

    def answer(call: dict[str, Any], found: Any) -> Any:
        if call["method"] != "eth_getLogs":
            return found
        first, last = (int(call["params"][0][key], 16) for key in ("fromBlock", "toBlock"))
        if refuses(last - first + 1, len(found["result"])):
            return refusal(call, "query returned more than 3 results", -32005)
        return found

    relay = Relay(anvil.url)
    relay.after = lambda calls, body: each(calls, body, answer)
    return relay


def ranges(relay: Relay) -> list[tuple[int, int]]:
    asked = [call["params"][0] for call in relay.seen if call["method"] == "eth_getLogs"]
    return [(int(item["fromBlock"], 16), int(item["toBlock"], 16)) for item in asked]


@pytest.fixture
def issued(world: World) -> list[Logged]:
    """Events of some batches, with empty blocks between them."""
    for n in range(BATCHES):
        world.issued(f"visit-{n}")
        pass_time(world.rpc, 60)
    return everything(world, world.rpc)


def everything(world: World, rpc: Rpc, **given: Any) -> list[Logged]:
    addresses = [contract.address for contract in world.ledgers.manifest.contracts.values()]
    first = world.ledgers.manifest.block
    return list(fetch_events(rpc, addresses, first, world.rpc.block_number(), **given))


def test_fetch_events__of_all_contracts__in_chain_order_each_once(
    issued: list[Logged],
) -> None:
    places = [(item.block, item.index) for item in issued]

    assert places == sorted(set(places))
    batches = [item.event for item in issued if isinstance(item.event, BatchIssued)]
    assert len(batches) == BATCHES
    assert [batch.first - batches[0].first for batch in batches] == list(range(BATCHES))


@pytest.mark.parametrize(
    "refuses",
    [
        lambda blocks, logs: blocks > 5,
        lambda blocks, logs: blocks > 1,
        lambda blocks, logs: logs > 3,
        lambda blocks, logs: blocks > 9 or logs > 2,
    ],
    ids=["5 blocks", "1 block", "3 logs", "9 blocks or 2 logs"],
)
def test_fetch_events__a_node_that_limits_ranges__the_same_events(
    refuses: Callable[[int, int], bool], issued: list[Logged], world: World, anvil: LocalChain
) -> None:
    with limited(anvil, refuses) as relay:
        found = everything(world, Rpc(relay.url))

        asked = ranges(relay)
    assert found == issued
    first, last = world.ledgers.manifest.block, world.rpc.block_number()
    assert asked[0] == (first, min(last, first + FIRST_RANGE - 1))
    assert asked[-1][1] == last


def test_fetch_events__a_node_that_answers_no_range__unavailable_with_its_reason(
    world: World, anvil: LocalChain
) -> None:
    with (
        limited(anvil, lambda blocks, logs: True) as relay,
        pytest.raises(RpcUnavailable, match="more than 3 results") as error,
    ):
        everything(world, Rpc(relay.url))

    assert "\n" not in str(error.value)


def test_fetch_events__the_node_goes_away_in_between__unavailable_and_not_an_end(
    issued: list[Logged], world: World, anvil: LocalChain
) -> None:
    with limited(anvil, lambda blocks, logs: blocks > 5) as relay:
        relay.before = lambda calls: 503 if len(ranges(relay)) > 8 else None

        with pytest.raises(RpcUnavailable, match="HTTP 503"):
            everything(world, Rpc(relay.url))


def test_fetch_events__more_blocks_than_one_range__asked_in_ranges_without_gap_or_overlap(
    world: World,
) -> None:
    with Relay() as relay:
        relay.before = lambda calls: [{"id": call["id"], "result": []} for call in calls]

        list(fetch_events(Rpc(relay.url), [world.ledgers.invoices.address], 5, 2 * FIRST_RANGE + 5))

        asked = ranges(relay)
    assert asked == [
        (5, FIRST_RANGE + 4),
        (FIRST_RANGE + 5, 2 * FIRST_RANGE + 4),
        (2 * FIRST_RANGE + 5, 2 * FIRST_RANGE + 5),
    ]


def test_fetch_events__with_topics__only_what_has_them(issued: list[Logged], world: World) -> None:
    wanted = [item for item in issued if isinstance(item.event, BatchIssued)]
    number = wanted[3].event.first

    by_name = everything(world, world.rpc, topics=[abi.event_topic("BatchIssued")])
    by_number = everything(world, world.rpc, topics=[None, f"0x{number:064x}"])

    assert by_name == wanted
    assert by_number == [wanted[3]]


def test_fetch_events__an_empty_range__asks_nothing(world: World, anvil: LocalChain) -> None:
    with Relay(anvil.url) as relay:
        found = list(fetch_events(Rpc(relay.url), [world.ledgers.invoices.address], 7, 6))

        assert (found, relay.seen) == ([], [])


def test_fetch_events__events_of_other_contracts__are_left_out(world: World) -> None:
    world.hospital.issue(bill())
    first, last = world.ledgers.manifest.block, world.rpc.block_number()

    found = list(fetch_events(world.rpc, [world.ledgers.claims.address], first, last))

    assert found == []
