"""An index holds every event once, whatever programs, nodes and the chain do meanwhile."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, text
from tests.chain.nodes import Relay, each, insist, refusal
from tests.index.reading import expected, held, lives
from tests.roles.programs import STOPPED, start
from tests.roles.world import World, key_of

from medledger.chain.keys import address_of
from medledger.chain.local import LocalChain
from medledger.chain.rpc import Rpc
from medledger.errors import (
    ContractMissing,
    LogsOmitted,
    NodesDisagree,
    RpcUnavailable,
    StoreError,
    WrongChain,
)
from medledger.index import EventIndex, book, decoding, reader, schema, sync
from medledger.index.decoding import layouts
from medledger.roles import Auditor
from medledger.store import DocumentStore
from medledger.store.database import Database

Change = Callable[[dict[str, Any], list[Any]], list[Any]]


def lying(anvil: LocalChain, change: Change) -> Relay:
    """A node that changes its answers to eth_getLogs."""

    def answer(call: dict[str, Any], found: Any) -> Any:
        if call["method"] == "eth_getLogs" and "result" in found:
            return {**found, "result": change(call, found["result"])}
        return found

    relay = Relay(anvil.url)
    relay.after = lambda calls, body: each(calls, body, answer)
    return relay


def reorganise(world: World, depth: int) -> None:
    world.rpc.request("anvil_reorg", depth, [])


# The whole


def test_sync__all_contracts__holds_every_event_once_in_order(
    index: EventIndex, world: World
) -> None:
    lives(world)

    done = sync(index, [world.rpc])

    assert held(index) == expected(world)
    assert done == type(done)(world.rpc.block_number(), len(held(index)), 0)
    assert index.last_time() == world.now()


def test_sync__again__reads_only_what_is_new(index: EventIndex, world: World) -> None:
    sync(index, [world.rpc])
    world.issued()

    assert sync(index, [world.rpc]).events == 1
    assert sync(index, [world.rpc]).events == 0
    assert held(index) == expected(world)


def test_sync__with_confirmations__leaves_the_newest_blocks(
    file_index: EventIndex, world: World
) -> None:
    lives(world)
    head = world.rpc.block_number()

    assert sync(file_index, [world.rpc], confirmations=4).block == head - 3
    assert held(file_index) == expected(world, head - 3)


def test_events__arguments__are_those_of_the_general_decoder(
    file_index: EventIndex, world: World
) -> None:
    lives(world)
    sync(file_index, [world.rpc])
    contracts = world.ledgers.manifest.contracts.values()
    request = {"address": [c.address for c in contracts], "fromBlock": "0x0"}
    logs = world.rpc.request("eth_getLogs", request)

    found = [event.arguments for event in file_index.events()]

    general = [
        decoding.abi.events()[log["topics"][0]].decode(log["topics"], log["data"]) for log in logs
    ]
    assert found == general


def test_layouts__of_all_events__have_no_argument_that_needs_the_general_decoder() -> None:
    assert all(read is not None for layout in layouts().values() for _, read in layout._readers)


def test_life__of_each_document__is_what_the_chain_alone_says(
    file_index: EventIndex, world: World
) -> None:
    receipts = lives(world)
    sync(file_index, [world.rpc])

    for name, receipt in receipts.items():
        kind, contracts = "Invoice", ("Invoices", "Claims", "Escrow", "Payments")
        if name == "order":
            kind, contracts = "Prescription", ("Prescriptions",)
        steps = world.auditor.trace(receipt.number, kind)
        found = file_index.life(receipt.number, contracts)
        assert [(s.name, s.block, s.time, s.transaction) for s in steps] == [
            (e.name, e.block, e.time, e.transaction) for e in found
        ]


def refuse(world: World) -> bytes:
    """A payer's transaction that Institutions refuses, sent all the same; its hash."""
    call = world.ledgers.institutions.suspend(world.ids["hospital"], 1)
    return insist(world.rpc, address_of(key_of("payer")), call)


def test_sync__a_transaction_that_a_contract_refused__is_kept_until_the_chain_takes_it_back(
    index: EventIndex, world: World
) -> None:
    world.issued()
    hash_ = refuse(world)
    sync(index, [world.rpc])

    (kept,) = index.refused()
    assert (kept.transaction, kept.name) == (hash_, "Institutions.suspend refused")
    assert (kept.sender, kept.time) == (address_of(key_of("payer")), world.now())

    reorganise(world, 1)
    world.pass_time(60)
    sync(index, [world.rpc])
    assert index.refused() == []


def test_sync__one_of_two_nodes_hides_a_refused_transaction__named(
    file_index: EventIndex, world: World, anvil: LocalChain
) -> None:
    refuse(world)

    def answer(call: dict[str, Any], found: Any) -> Any:
        if call["method"] == "eth_getTransactionReceipt":
            return {**found, "result": {**found["result"], "status": "0x1"}}
        return found

    with Relay(anvil.url) as relay:
        relay.after = lambda calls, body: each(calls, body, answer)
        with pytest.raises(NodesDisagree, match="refused transactions"):
            sync(file_index, [world.rpc, Rpc(relay.url)])

    assert file_index.refused() == []


def test_open__an_index_of_before_refused_attempts__is_read_again_whole(
    index_url: str, world: World
) -> None:
    lives(world)
    refuse(world)
    with closing(EventIndex(index_url, world.ledgers.manifest)) as opened:
        sync(opened, [world.rpc])
    engine = create_engine(index_url.replace("postgresql:", "postgresql+psycopg:"))
    with engine.begin() as connection:
        connection.execute(text("DROP TABLE refused"))
        connection.execute(text("DROP INDEX events_without_number"))
        connection.execute(text("UPDATE alembic_version SET version_num = 'index_0001'"))
    engine.dispose()

    with closing(EventIndex(index_url, world.ledgers.manifest)) as opened:
        sync(opened, [world.rpc])

        assert held(opened) == expected(world)
        assert len(opened.refused()) == 1


# Stops, restarts, upgrades, and others


def test_sync__stopped_at_each_request_and_commit__goes_on_without_loss(
    index_url: str, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    lives(world)
    monkeypatch.setattr(reader, "FIRST_BLOCKS", 8)
    monkeypatch.setattr(reader, "MOST_BLOCKS", 8)
    step = 0
    while True:
        assert step < 200

        def act(step: int = step) -> None:
            _stop_at(step)
            with closing(EventIndex(index_url, world.ledgers.manifest)) as opened:
                sync(opened, [Rpc(world.rpc.urls)])

        code = start(act)()
        assert code in (0, STOPPED)
        if code == 0:
            break
        step += 3

    with closing(EventIndex(index_url, world.ledgers.manifest)) as opened:
        assert held(opened) == expected(world)


def _stop_at(step: int) -> None:
    """Ends this program before its n-th request or look, or in the transaction of a portion."""
    left = step

    def counted(inner: Any) -> Any:
        def act(*given: Any, **named: Any) -> Any:
            nonlocal left
            if left == 0:
                os._exit(STOPPED)
            left -= 1
            return inner(*given, **named)

        return act

    for kind, name in ((Rpc, "request"), (Rpc, "batch"), (book, "_forget"), (Database, "reading")):
        setattr(kind, name, counted(getattr(kind, name)))


def test_sync__two_programs_at_once__each_event_once(index_url: str, world: World) -> None:
    lives(world)

    def act() -> None:
        with closing(EventIndex(index_url, world.ledgers.manifest)) as opened:
            sync(opened, [Rpc(world.rpc.urls)])

    ends = [start(act) for _ in range(3)]
    assert [end() for end in ends] == [0, 0, 0]

    with closing(EventIndex(index_url, world.ledgers.manifest)) as opened:
        assert held(opened) == expected(world)


def test_add__another_program_was_faster__changes_nothing(index: EventIndex, world: World) -> None:
    before = index.place()
    sync(index, [world.rpc])
    after = held(index)
    portion = reader.Reader([world.rpc], list(index.addresses)).read(
        index.first_block, index.first_block
    )

    assert not index.add(portion, before)
    assert not index.roll_back(index.first_block, before)
    assert held(index) == after


def test_open__events_that_an_older_version_did_not_know__get_their_names(
    index_url: str, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    lives(world)
    known = layouts()
    older = {topic: layout for topic, layout in known.items() if not layout.name.startswith("C")}
    for module in (reader, book):
        monkeypatch.setattr(module, "layouts", lambda: older)
    with closing(EventIndex(index_url, world.ledgers.manifest)) as opened:
        sync(opened, [world.rpc])
        assert [e for e in opened.events() if not e.name]
        assert len(held(opened)) == len(expected(world))

    for module in (reader, book):
        monkeypatch.setattr(module, "layouts", lambda: known)
    with closing(EventIndex(index_url, world.ledgers.manifest)) as opened:
        assert held(opened) == expected(world)
        claimed = next(opened.events(names=["ClaimLocked"])).arguments
        by_number = list(opened.events(number=claimed["number"], names=["ClaimLocked"]))
        assert by_number[0].arguments == claimed


def test_open__the_index_of_another_deployment__refused(index_url: str, world: World) -> None:
    EventIndex(index_url, world.ledgers.manifest).close()

    with pytest.raises(StoreError, match="is the index of another deployment"):
        EventIndex(index_url, replace(world.ledgers.manifest, block=0))


def test_open__a_hospitals_store__refused_and_the_other_way(tmp_path: Path, world: World) -> None:
    store, index = (f"sqlite:///{tmp_path / name}" for name in ("store.db", "index.db"))
    DocumentStore(store).close()
    EventIndex(index, world.ledgers.manifest).close()

    with pytest.raises(StoreError, match="has schema 0004"):
        EventIndex(store, world.ledgers.manifest)
    with pytest.raises(StoreError, match="has schema index_0002"):
        DocumentStore(index)


def test_open__a_new_database__makes_the_tables_as_the_schema_says(
    index: EventIndex, index_url: str
) -> None:
    engine = create_engine(index_url.replace("postgresql:", "postgresql+psycopg:"))
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})

        assert compare_metadata(context, schema.metadata) == []
        assert context.get_current_revision() == schema.REVISION
    engine.dispose()


# Reorganisations


@pytest.mark.parametrize("kept", [256, 2], ids=["within what is kept", "deeper"])
@pytest.mark.parametrize("depth", [1, 7])
def test_sync__after_a_reorganisation__holds_the_chain_that_is(
    depth: int, kept: int, index: EventIndex, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(book, "KEPT", kept)
    for n in range(4):
        world.issued(f"visit-{n}")
        world.pass_time(60)
        sync(index, [world.rpc])
    before = held(index)

    reorganise(world, depth)
    world.pass_time(60)
    done = sync(index, [world.rpc])

    assert held(index) == expected(world)
    assert done.rolled_back >= depth
    assert (len(held(index)) < len(before)) == (depth > 1)


def test_sync__everything_since_the_deployment_is_gone_but_few__read_again_from_the_fork(
    file_index: EventIndex, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(book, "KEPT", 1)
    for n in range(3):
        world.issued(f"visit-{n}")
    sync(file_index, [world.rpc])
    with create_engine(file_index._database._engine.url).begin() as connection:
        connection.execute(text("UPDATE blocks SET hash = zeroblob(32)"))

    done = sync(file_index, [world.rpc])

    assert done.rolled_back == done.block - file_index.first_block + 1
    assert held(file_index) == expected(world)


# Nodes that limit, err and lie


@pytest.mark.parametrize(
    "refuses",
    [
        lambda blocks, logs: blocks > 5,
        lambda blocks, logs: blocks > 1,
        lambda blocks, logs: logs > 3,
    ],
    ids=["5 blocks", "1 block", "3 logs"],
)
def test_sync__a_node_that_limits_ranges__the_same_events(
    refuses: Callable[[int, int], bool], file_index: EventIndex, world: World, anvil: LocalChain
) -> None:
    lives(world)

    def answer(call: dict[str, Any], found: Any) -> Any:
        if call["method"] == "eth_getLogs":
            asked = [int(call["params"][0][key], 16) for key in ("fromBlock", "toBlock")]
            if refuses(asked[1] - asked[0] + 1, len(found["result"])):
                return refusal(call, "query returned too much", -32005)
        return found

    with Relay(anvil.url) as relay:
        relay.after = lambda calls, body: each(calls, body, answer)
        sync(file_index, [Rpc(relay.url)])

    assert held(file_index) == expected(world)


def test_sync__a_node_that_answers_no_range__unavailable_with_its_reason(
    file_index: EventIndex, world: World, anvil: LocalChain
) -> None:
    with Relay(anvil.url) as relay:
        relay.after = lambda calls, body: each(
            calls, body, lambda c, f: refusal(c, "no") if c["method"] == "eth_getLogs" else f
        )
        with pytest.raises(RpcUnavailable, match="no"):
            sync(file_index, [Rpc(relay.url)])

    assert held(file_index) == []


@pytest.mark.parametrize(
    "change",
    [lambda _, logs: logs[::-1], lambda _, logs: logs + logs[:3]],
    ids=["reordered", "duplicated"],
)
def test_sync__logs_out_of_order_or_twice__each_once_in_order(
    change: Change, file_index: EventIndex, world: World, anvil: LocalChain
) -> None:
    lives(world)

    with lying(anvil, change) as relay:
        sync(file_index, [Rpc(relay.url)])

    assert held(file_index) == expected(world)


@pytest.mark.parametrize(
    "change",
    [lambda _, logs: logs[1:], lambda _, logs: logs[:-1], lambda _, logs: []],
    ids=["the first", "the last", "all"],
)
def test_sync__one_node_that_leaves_out_logs__named_and_nothing_stored(
    change: Change, file_index: EventIndex, world: World, anvil: LocalChain
) -> None:
    lives(world)

    with lying(anvil, change) as relay, pytest.raises(LogsOmitted) as error:
        sync(file_index, [Rpc(relay.url)])

    assert error.value.url == relay.url
    assert held(file_index) == []


@pytest.mark.parametrize(
    ("wrong", "problem"),
    [
        ({"blockHash": "0x" + 64 * "1"}, "of another block"),
        ({"address": "0x" + 40 * "1"}, "of other contracts"),
        ({"blockNumber": "0xffffff"}, "not of the blocks asked"),
        ({"data": "0x"}, "malformed"),
        ({"topics": ["0x12"]}, "malformed"),
        ({"data": "0x" + 64 * 10 * "0"}, "not in its receipts"),
    ],
)
def test_sync__a_log_that_cannot_be__unavailable_and_nothing_stored(
    wrong: dict[str, Any],
    problem: str,
    file_index: EventIndex,
    world: World,
    anvil: LocalChain,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if "receipts" in problem:
        # A forged log whose topics are true is found where receipts are read.
        monkeypatch.setattr(reader, "_mask", lambda _: 0)

    def change(_: Any, logs: list[Any]) -> list[Any]:
        return [{**logs[0], **wrong}, *logs[1:]]

    with lying(anvil, change) as relay, pytest.raises(RpcUnavailable, match=problem):
        sync(file_index, [Rpc(relay.url)])

    assert held(file_index) == []


def test_sync__two_honest_nodes__the_same_events(
    file_index: EventIndex, world: World, anvil: LocalChain
) -> None:
    lives(world)

    with Relay(anvil.url) as relay:
        sync(file_index, [world.rpc, Rpc(relay.url)])

        assert "eth_getLogs" in relay.methods()
    assert held(file_index) == expected(world)


def test_sync__one_of_three_nodes_changes_an_amount__named_with_another(
    file_index: EventIndex, world: World, anvil: LocalChain
) -> None:
    lives(world)

    def change(_: Any, logs: list[Any]) -> list[Any]:
        *others, last = logs
        return [*others, {**last, "data": last["data"][:-1] + "f"}]

    with lying(anvil, change) as liar, Relay(anvil.url) as honest:
        nodes = [Rpc(liar.url), world.rpc, Rpc(honest.url)]
        with pytest.raises(NodesDisagree, match=r"log 0 of block \d+ is not the same") as error:
            sync(file_index, nodes)

    assert (error.value.url, error.value.other) == (liar.url, world.rpc.url)
    assert held(file_index) == []


def test_sync__one_of_two_nodes_has_another_block__named(
    file_index: EventIndex, world: World, anvil: LocalChain
) -> None:
    sync(file_index, [world.rpc])
    before = held(file_index)
    world.issued()

    def answer(call: dict[str, Any], found: Any) -> Any:
        if call["method"] == "eth_getBlockByNumber" and call["params"][0] != "latest":
            return {**found, "result": {**found["result"], "hash": "0x" + 64 * "2"}}
        return found

    with Relay(anvil.url) as relay:
        relay.after = lambda calls, body: each(calls, body, answer)
        with pytest.raises(NodesDisagree, match="against 0x"):
            sync(file_index, [world.rpc, Rpc(relay.url)])

    assert held(file_index) == before


def test_sync__a_node_with_an_old_head__keeps_what_is_stored(
    file_index: EventIndex, world: World, anvil: LocalChain
) -> None:
    old = world.rpc.block_number()
    lives(world)
    sync(file_index, [world.rpc])

    with Relay(anvil.url) as relay:
        relay.after = lambda calls, body: each(
            calls,
            body,
            lambda c, f: {**f, "result": hex(old)} if c["method"] == "eth_blockNumber" else f,
        )
        done = sync(file_index, [Rpc(relay.url), world.rpc])

    assert (done.events, done.rolled_back) == (0, 0)
    assert held(file_index) == expected(world)


def test_sync__a_reorganisation_between_headers_and_logs__reads_the_range_again(
    file_index: EventIndex, world: World, anvil: LocalChain
) -> None:
    lives(world)
    left = [True]

    def before(calls: list[dict[str, Any]]) -> None:
        if left and any(call["method"] == "eth_getLogs" for call in calls):
            left.clear()
            reorganise(world, 2)

    with Relay(anvil.url) as relay:
        relay.before = before
        sync(file_index, [Rpc(relay.url)])

        assert relay.methods().count("eth_getLogs") > 1
    assert held(file_index) == expected(world)


def test_sync__a_node_that_goes_away_at_each_request__goes_on_once_it_is_back(
    file_index: EventIndex, world: World, anvil: LocalChain, monkeypatch: pytest.MonkeyPatch
) -> None:
    lives(world)
    monkeypatch.setattr(reader, "FIRST_BLOCKS", 8)
    monkeypatch.setattr(reader, "MOST_BLOCKS", 8)
    failures = 0
    with Relay(anvil.url) as relay:
        while True:
            asked = [0]

            def before(
                calls: list[dict[str, Any]], asked: list[int] = asked, until: int = failures
            ) -> int | None:
                asked[0] += 1
                # A node that went away stays away for what is left of this sync.
                return 502 if asked[0] > until else None

            relay.before = before
            try:
                sync(file_index, [Rpc(relay.url)])
            except RpcUnavailable:
                failures += 1
                continue
            break

    assert failures > 3
    assert held(file_index) == expected(world)


def test_sync__a_chain_that_was_reset_under_the_same_id__refused_and_nothing_lost(
    file_index: EventIndex, world: World
) -> None:
    lives(world)
    world.auditor.sync(file_index)
    before = held(file_index)

    with LocalChain() as other:
        ledgers = replace(world.ledgers, rpc=Rpc([world.rpc.urls[0], other.url]))
        with pytest.raises(WrongChain, match="it was reset, or is another"):
            Auditor(ledgers).sync(file_index)

    assert held(file_index) == before


def test_sync__a_chain_with_other_code_under_our_addresses__refused(
    file_index: EventIndex, world: World, anvil: LocalChain
) -> None:
    def answer(call: dict[str, Any], found: Any) -> Any:
        return {**found, "result": "0x00"} if call["method"] == "eth_getCode" else found

    with Relay(anvil.url) as relay:
        relay.after = lambda calls, body: each(calls, body, answer)
        with pytest.raises(ContractMissing):
            Auditor(replace(world.ledgers, rpc=Rpc(relay.url))).sync(file_index)

    assert held(file_index) == []


def test_sync__a_reorganisation_deeper_than_the_confirmations__holds_the_chain_that_is(
    file_index: EventIndex, world: World
) -> None:
    for n in range(4):
        world.issued(f"visit-{n}")
    before = sync(file_index, [world.rpc], confirmations=2)

    reorganise(world, 4)
    world.pass_time(60)
    after = sync(file_index, [world.rpc], confirmations=2)

    assert after.rolled_back == 3
    assert after.block == before.block + 1
    assert held(file_index) == expected(world, after.block)
