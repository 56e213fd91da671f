"""Every method of the generated classes, over HTTP to a node that answers as the ABI says."""

from __future__ import annotations

import dataclasses
import inspect
import re
import subprocess
import sys
from collections.abc import Iterator
from enum import IntEnum
from pathlib import Path
from typing import Any, get_args

import pytest
from eth_abi.abi import encode
from tests.chain.abi_samples import Item, canonical_type, entries, named, samples, snake
from tests.chain.nodes import Calls, Relay, Reply
from tests.chain.test_abi import log_of

from medledger.chain import abi, bindings
from medledger.chain.contract import Call, Contract
from medledger.chain.events import decode_log
from medledger.chain.rpc import Rpc
from medledger.core.claims import ClaimTerms, Decision, Settlement
from medledger.core.hashing import TreeHead
from medledger.core.kinds import KINDS

ROOT = Path(__file__).parents[2]
ADDRESS = "0x5FbDB2315678afecb367f032d93F642f64180aa3"
CORE: dict[str, Any] = {f"{kind}Header": entry.header for kind, entry in KINDS.items()}
CORE |= {kind.__name__: kind for kind in (TreeHead, ClaimTerms, Decision, Settlement)}

FUNCTIONS = [pair for pair in entries("function") if pair[1]["name"] != "eip712Domain"]
READS = [p for p in FUNCTIONS if p[1]["stateMutability"] in ("view", "pure")]
WRITES = [p for p in FUNCTIONS if p not in READS]
EVENTS = [pair for pair in entries("event") if pair[1]["name"] != "EIP712DomainChanged"]


@pytest.fixture(scope="module")
def node() -> Iterator[Relay]:
    """A node that a test tells what to answer."""
    with Relay() as relay:
        yield relay


# Reads and writes


@pytest.mark.parametrize("function", READS, ids=named)
def test_read__each_view__gives_typed_results(function: tuple[str, Item], node: Relay) -> None:
    contract, entry = function
    values = samples(entry["outputs"])
    data = encode([canonical_type(item) for item in entry["outputs"]], values)
    node.before = lambda calls: reply(calls, "0x" + data.hex())
    node.seen.clear()
    arguments = samples(entry["inputs"])

    found = method(contract, entry, node)(*as_python(entry["inputs"], arguments))

    results = found if len(entry["outputs"]) > 1 else [found]
    expected = [typed(i, v) for i, v in zip(entry["outputs"], values, strict=True)] or [None]
    assert [shown(item) for item in results] == [shown(item) for item in expected]
    (call,) = node.seen
    encoded = abi.functions(contract)[entry["name"]].encode(arguments)
    assert call["params"] == [{"to": ADDRESS, "data": "0x" + encoded.hex()}, "latest"]


@pytest.mark.parametrize("function", WRITES, ids=named)
def test_write__each_function__is_a_call_that_was_not_sent(
    function: tuple[str, Item], node: Relay
) -> None:
    contract, entry = function
    arguments = samples(entry["inputs"])
    node.seen.clear()

    call = method(contract, entry, node)(*as_python(entry["inputs"], arguments))

    encoded = abi.functions(contract)[entry["name"]].encode(arguments)
    assert call == Call(ADDRESS, encoded, f"{contract}.{entry['name']}")
    assert node.seen == []


@pytest.mark.parametrize("function", FUNCTIONS, ids=named)
def test_signature__each_method__has_the_abis_arguments_in_order(
    function: tuple[str, Item], node: Relay
) -> None:
    contract, entry = function

    parameters = list(inspect.signature(method(contract, entry, node)).parameters)

    assert parameters == [snake(item["name"]) for item in entry["inputs"]]


@pytest.mark.parametrize("contract", abi.CONTRACTS)
def test_class__of_each_contract__has_no_method_that_the_abi_lacks(contract: str) -> None:
    kind = getattr(bindings, contract)
    public = {name for name, _ in inspect.getmembers(kind) if not name.startswith("_")}

    own = public - {name for name, _ in inspect.getmembers(Contract)}

    functions = {snake(entry["name"]) for owner, entry in FUNCTIONS if owner == contract}
    assert own - {"NAME"} == functions


def test_at__a_block__reads_see_that_block(node: Relay) -> None:
    node.before = lambda calls: reply(calls, "0x" + bytes(32).hex())
    node.seen.clear()

    bindings.Invoices(Rpc(node.url), ADDRESS).at(255).reversed_by(7)

    assert node.seen[0]["params"][1] == "0xff"


# Events


@pytest.mark.parametrize("event", EVENTS, ids=named)
def test_decode_log__each_event__is_its_class_with_its_values(event: tuple[str, Item]) -> None:
    _, entry = event
    values = dict(zip([i["name"] for i in entry["inputs"]], samples(entry["inputs"]), strict=True))
    topics, data = log_of(entry, values)
    place = {"blockNumber": "0x10", "transactionHash": "0x" + 64 * "a", "logIndex": "0x3"}

    found = decode_log({"address": ADDRESS, "topics": topics, "data": data, **place})

    assert found is not None
    assert type(found.event) is getattr(bindings, entry["name"])
    assert (found.address, found.block, found.index) == (ADDRESS, 16, 3)
    assert found.transaction == bytes.fromhex(64 * "a")
    fields = {
        field.name: getattr(found.event, field.name) for field in dataclasses.fields(found.event)
    }
    assert {name: shown(value) for name, value in fields.items()} == {
        snake(name): shown(value) for name, value in values.items()
    }


@pytest.mark.parametrize("topics", [[], ["0x" + 64 * "0"]], ids=["none", "unknown"])
def test_decode_log__of_no_event_of_ours__is_none(topics: list[str]) -> None:
    assert decode_log({"address": ADDRESS, "topics": topics, "data": "0x"}) is None


def test_events__the_table_and_the_type__hold_each_event_of_the_abis() -> None:
    names = {entry["name"] for _, entry in EVENTS}

    assert set(bindings.EVENTS) == names
    assert {kind.__name__ for kind in get_args(bindings.LedgerEvent)} == names


# What is generated


def test_build_bindings__check__the_classes_are_those_of_the_artifacts() -> None:
    done = run_tool("build_bindings.py")

    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.slow
def test_build_artifacts__check__the_artifacts_are_those_of_the_contracts() -> None:
    done = run_tool("build_artifacts.py")

    assert (done.returncode, done.stderr) == (0, "")


def run_tool(name: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "toolchain" / name), "--check"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def method(contract: str, entry: Item, node: Relay) -> Any:
    return getattr(getattr(bindings, contract)(Rpc(node.url), ADDRESS), snake(entry["name"]))


def reply(calls: Calls, result: str) -> Reply:
    return [{"jsonrpc": "2.0", "id": call["id"], "result": result} for call in calls]


def as_python(items: list[Item], values: list[Any]) -> list[Any]:
    """Arguments as people give them: the core's header classes for structs."""
    return [
        _struct(item, value) if item["type"] == "tuple" else value
        for item, value in zip(items, values, strict=True)
    ]


def _struct(item: Item, value: Any) -> Any:
    return CORE[struct_name(item)](*as_python(item["components"], list(value)))


def typed(item: Item, value: Any) -> Any:
    """What a view should return: the class of a struct or enum, by the names of the ABI."""
    if item["type"].startswith("tuple"):
        if item["type"].endswith("[]"):
            one = {**item, "type": "tuple", "internalType": item["internalType"].removesuffix("[]")}
            return [typed(one, part) for part in value]
        kind = getattr(bindings, struct_name(item) + "Entry")
        names = [snake(part["name"]) for part in item["components"]]
        parts = [typed(part, v) for part, v in zip(item["components"], value, strict=True)]
        return kind(**dict(zip(names, parts, strict=True)))
    if item.get("internalType", "").startswith("enum "):
        enum = getattr(bindings, struct_name(item))
        assert issubclass(enum, IntEnum)
        return enum(value)
    return value


def struct_name(item: Item) -> str:
    return re.split(r"[ .]", item["internalType"])[-1]


def shown(value: Any) -> str:
    """The value with its types; lists, tuples and structs alike."""
    if hasattr(value, "as_abi"):
        value = value.as_abi()
    return re.sub(r"[()\[\]]", "|", repr(value))
