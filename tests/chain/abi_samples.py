"""Values of any ABI type, and web3's own contract objects to compare with."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from web3 import Web3
from web3.contract import Contract

from medledger.chain import abi
from medledger.core.hashing import checksum_address, keccak256

Item = Mapping[str, Any]


def entries(kind: str) -> Iterator[tuple[str, Item]]:
    """(contract, ABI entry) of every function, event or error of every contract."""
    for contract in abi.CONTRACTS:
        for entry in abi.artifact(contract)["abi"]:
            if entry["type"] == kind:
                yield contract, entry


def named(pair: tuple[str, Item]) -> str:
    """A test's id."""
    contract, entry = pair
    return f"{contract}.{entry['name']}"


def contract_of_web3(contract: str) -> Contract:
    return Web3().eth.contract(abi=abi.artifact(contract)["abi"])


def canonical_type(item: Item) -> str:
    """`(uint64,bool)[]` of a tuple's item, as eth-abi wants it."""
    if not item["type"].startswith("tuple"):
        return item["type"]
    inner = ",".join(canonical_type(part) for part in item["components"])
    return f"({inner}){item['type'].removeprefix('tuple')}"


def sample(item: Item, seed: str = "") -> Any:
    """A value of an ABI item's type: never zero, and another for each argument's name."""
    kind, seed = item["type"], f"{seed}.{item['name']}"
    if found := re.fullmatch(r"(.*)\[(\d*)\]", kind):
        one = {**item, "type": found[1]}
        return [sample(one, f"{seed}.{i}") for i in range(int(found[2] or 3))]
    if kind == "tuple":
        return tuple(sample(part, seed) for part in item["components"])
    noise = keccak256(seed.encode())
    if item.get("internalType", "").startswith("enum "):
        return 1
    if found := re.fullmatch(r"uint(\d+)", kind):
        return int.from_bytes(noise, "big") % 2 ** int(found[1]) or 1
    if found := re.fullmatch(r"bytes(\d+)", kind):
        return noise[: int(found[1])]
    simple: dict[str, Any] = {
        "bytes": noise + noise,
        "bool": True,
        "string": "电子票据",
        "address": checksum_address(noise[:20]),
    }
    return simple[kind]


def samples(items: list[Item]) -> list[Any]:
    return [sample(item) for item in items]


def snake(name: str) -> str:
    """The Python name of a Solidity one."""
    return re.sub(r"(?<=[a-z0-9])([A-Z])", lambda match: "_" + match[1].lower(), name).lower()
