"""ABI encoding of calls, results, events and errors, from the artifacts inside the package."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import cache
from importlib.resources import files
from typing import Any

from eth_abi.abi import decode, encode
from eth_abi.exceptions import DecodingError, EncodingError, InsufficientDataBytes

from medledger.core import states
from medledger.core.hashing import checksum_address, keccak256
from medledger.errors import REFUSALS, InvalidArgument, Refusal, UnknownRefusal

WORD = 32
"""Bytes of an ABI word: the least that any argument takes."""

CONTRACTS = (
    "Institutions",
    "Licences",
    "PrescriptionPolicies",
    "Prescriptions",
    "Invoices",
    "Escrow",
    "Claims",
    "Records",
    "Payments",
)
"""In the order of deployment."""

OPTIONAL = frozenset({"Licences", "Escrow", "Records", "Payments"})
"""Contracts that a manifest may do without: those of 0.1 have no licences, records or payments of
patients, and a deployment without a settlement token has no Escrow."""

TOKEN = "SettlementToken"
"""The settlement token of local chains. Others of OpenZeppelin's make have its errors too."""


@dataclass(frozen=True, slots=True)
class Function:
    """One function of a contract: 4-byte selector and the types of its arguments and results."""

    name: str
    selector: bytes
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]

    def encode(self, arguments: Sequence[Any]) -> bytes:
        """The calldata; raises `InvalidArgument` for a value outside its type."""
        try:
            return self.selector + encode(self.inputs, [_plain(item) for item in arguments])
        except (EncodingError, OverflowError, TypeError) as error:
            raise InvalidArgument(function=self.name, types=", ".join(self.inputs)) from error

    def decode(self, data: bytes) -> tuple[Any, ...]:
        """The results, addresses in EIP-55 form; raises `DecodingError` where they do not fit."""
        if len(data) < WORD * len(self.outputs):
            raise InsufficientDataBytes(f"{len(data)} bytes for {len(self.outputs)} results")
        values = decode(self.outputs, data)
        return tuple(
            _checksummed(kind, value) for kind, value in zip(self.outputs, values, strict=True)
        )


@dataclass(frozen=True, slots=True)
class EventAbi:
    """One event: names and types of its arguments, in order, and which are indexed."""

    name: str
    topic: str
    arguments: tuple[tuple[str, str, bool], ...]

    def decode(self, topics: Sequence[str], data: str) -> dict[str, Any]:
        """The arguments by their Solidity names."""
        indexed = iter(topics[1:])
        plain = [kind for _, kind, is_indexed in self.arguments if not is_indexed]
        values = iter(decode(plain, bytes.fromhex(data[2:])))
        found = {}
        for name, kind, is_indexed in self.arguments:
            if is_indexed:
                (value,) = decode([kind], bytes.fromhex(next(indexed)[2:]))
            else:
                value = next(values)
            found[name] = _checksummed(kind, value)
        return found


@cache
def artifact(contract: str) -> Mapping[str, Any]:
    """The contract's ABI, creation code and runtime code."""
    path = files("medledger.chain") / "artifacts" / f"{contract}.json"
    loaded = json.loads(path.read_text("utf-8"))
    assert isinstance(loaded, dict)
    return loaded


@cache
def functions(contract: str) -> Mapping[str, Function]:
    """The contract's functions by name; none is overloaded."""
    return {
        entry["name"]: Function(
            entry["name"],
            keccak256(_signature(entry).encode())[:4],
            tuple(_type(item) for item in entry["inputs"]),
            tuple(_type(item) for item in entry["outputs"]),
        )
        for entry in artifact(contract)["abi"]
        if entry["type"] == "function"
    }


@cache
def events() -> Mapping[str, EventAbi]:
    """All events of all contracts by topic (0x...). One name has one signature everywhere."""
    found = {}
    for contract in CONTRACTS:
        for entry in artifact(contract)["abi"]:
            if entry["type"] == "event":
                topic = "0x" + keccak256(_signature(entry).encode()).hex()
                arguments = tuple(
                    (item["name"], _type(item), item["indexed"]) for item in entry["inputs"]
                )
                found[topic] = EventAbi(entry["name"], topic, arguments)
    return found


@cache
def event_topic(name: str) -> str:
    """The topic of an event name."""
    return next(topic for topic, event in events().items() if event.name == name)


@cache
def members(event: str, wanted: tuple[str, ...]) -> tuple[tuple[str, tuple[int, ...]], ...]:
    """Those of the wanted names that an event's arguments have, also within structs.

    Each with where it is: the place of the argument, then of the member, and so on.
    """
    entry = next(
        entry
        for contract in CONTRACTS
        for entry in artifact(contract)["abi"]
        if entry["type"] == "event" and entry["name"] == event
    )
    return tuple((name, path) for name, path in _walk(entry["inputs"]) if name in wanted)


def _walk(
    items: Sequence[Mapping[str, Any]], path: tuple[int, ...] = ()
) -> Iterator[tuple[str, tuple[int, ...]]]:
    for at, item in enumerate(items):
        yield item["name"], (*path, at)
        if item["type"] == "tuple":
            yield from _walk(item["components"], (*path, at))


def numbers_of_call(contract: str, call: bytes) -> frozenset[int]:
    """The numbers of the documents that a call names, also within structs, lists and `multicall`.

    None of what is no call of the contract: anybody may send it any bytes.
    """
    found, calls = set(), [call]
    while calls:
        said = calls.pop()
        inputs = _inputs(contract).get(said[:4], ())
        try:
            values = decode([_type(item) for item in inputs], said[4:])
        except DecodingError:
            continue
        for item, value in _members(inputs, values):
            if item["name"] == "number":
                found.add(value)
            elif item["type"] == "bytes[]" and sum(map(len, value)) < len(said):
                # Calls that are together longer overlap: they would double with every level.
                calls += value
    return frozenset(found)


@cache
def _inputs(contract: str) -> Mapping[bytes, Sequence[Mapping[str, Any]]]:
    return {
        functions(contract)[entry["name"]].selector: entry["inputs"]
        for entry in artifact(contract)["abi"]
        if entry["type"] == "function"
    }


def _members(
    items: Sequence[Mapping[str, Any]], values: Sequence[Any]
) -> Iterator[tuple[Mapping[str, Any], Any]]:
    """Each argument that is no struct, and each member of those that are, with its value."""
    for item, value in zip(items, values, strict=True):
        if item["type"] == "tuple":
            yield from _members(item["components"], value)
        elif item["type"] == "tuple[]":
            for one in value:
                yield from _members(item["components"], one)
        else:
            yield item, value


@cache
def _errors() -> Mapping[bytes, tuple[str, tuple[tuple[str, str, type[IntEnum] | None], ...]]]:
    found = {}
    for contract in (*CONTRACTS, TOKEN):
        for entry in artifact(contract)["abi"]:
            if entry["type"] == "error":
                selector = keccak256(_signature(entry).encode())[:4]
                found[selector] = (
                    entry["name"],
                    tuple((item["name"], _type(item), _enum(item)) for item in entry["inputs"]),
                )
    return found


def refusal(data: str) -> Refusal:
    """The named exception of revert data (0x...), with the Solidity error's arguments."""
    raw = bytes.fromhex(data[2:]) if data.startswith("0x") else b""
    name, arguments = _errors().get(raw[:4], ("", ()))
    if name not in REFUSALS or len(raw) < 4 + WORD * len(arguments):
        return UnknownRefusal(data=data[:74] or "no data")
    try:
        values = decode([kind for _, kind, _ in arguments], raw[4:])
    except DecodingError:
        return UnknownRefusal(data=data[:74])
    return REFUSALS[name](
        **{
            key: enum(value) if enum else _checksummed(kind, value)
            for (key, kind, enum), value in zip(arguments, values, strict=True)
        }
    )


def constructor_data(contract: str, arguments: Sequence[Any]) -> bytes:
    """Creation code with encoded constructor arguments."""
    loaded = artifact(contract)
    entry = next(item for item in loaded["abi"] if item["type"] == "constructor")
    kinds = [_type(item) for item in entry["inputs"]]
    return bytes.fromhex(loaded["bytecode"][2:]) + encode(kinds, list(arguments))


def _signature(entry: Mapping[str, Any]) -> str:
    return f"{entry['name']}({','.join(_type(item) for item in entry['inputs'])})"


def _enum(item: Mapping[str, Any]) -> type[IntEnum] | None:
    """The Python enumeration of an argument, so that messages name the state, not its number."""
    name = str(item.get("internalType", "")).rpartition(".")[2]
    found = getattr(states, name, None) if item["internalType"].startswith("enum ") else None
    return found if isinstance(found, type) and issubclass(found, IntEnum) else None


def _type(item: Mapping[str, Any]) -> str:
    """The canonical type, with tuples spelled out."""
    kind = str(item["type"])
    if not kind.startswith("tuple"):
        return kind
    return f"({','.join(_type(part) for part in item['components'])}){kind[len('tuple') :]}"


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(item) for item in value]
    as_abi = getattr(value, "as_abi", None)
    return as_abi() if as_abi is not None else value


def _checksummed(kind: str, value: Any) -> Any:
    """eth-abi gives addresses in lower case; people compare them with EIP-55 ones."""
    if kind == "address":
        return checksum_address(bytes.fromhex(value[2:]))
    if kind.startswith("(") and kind.endswith(")"):
        return tuple(
            _checksummed(part, item) for part, item in zip(_split(kind[1:-1]), value, strict=True)
        )
    if kind.startswith("(") and kind.endswith("[]"):
        return [_checksummed(kind[:-2], item) for item in value]
    return value


@cache
def _split(kinds: str) -> tuple[str, ...]:
    parts, depth, start = [], 0, 0
    for position, char in enumerate(kinds):
        depth += (char == "(") - (char == ")")
        if char == "," and depth == 0:
            parts.append(kinds[start:position])
            start = position + 1
    return (*parts, kinds[start:])
