"""Whether the contracts on a chain are what they should be: code, immutables, creation.

    for found in inspect(ledgers): found.problems

The code is compared with the package's artifacts, or with a build from sources. The transaction
that created a contract must be that code with arguments, which say what the immutables are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from eth_abi.abi import decode, encode

from medledger.chain import abi
from medledger.chain.deployment import Ledgers, Manifest, is_same_code, is_same_runtime
from medledger.chain.rpc import Rpc
from medledger.core.hashing import (
    DOMAIN_NAME,
    DOMAIN_VERSION,
    address_bytes,
    checksum_address,
    domain_separator,
    keccak256,
    word,
)

SMALL = 2**64
"""Immutables below it are shown as numbers: periods, kinds, a chain's id."""


@dataclass(frozen=True, slots=True)
class Immutable:
    """A value that is part of a contract's code. `expected` is None where nothing says it."""

    name: str
    value: bytes
    expected: bytes | None
    meaning: str

    @property
    def is_as_expected(self) -> bool:
        return self.expected in (None, self.value)

    @property
    def shown(self) -> int | str:
        """A number, an address, or 32 bytes in hexadecimal."""
        whole = int.from_bytes(self.value)
        if whole < SMALL:
            return whole
        is_address = whole < 1 << 160
        return checksum_address(self.value[12:]) if is_address else f"0x{self.value.hex()}"


@dataclass(frozen=True, slots=True)
class Inspected:
    """One contract. `arguments` are its constructor's by name; `problems` are to be none."""

    contract: str
    address: str
    transaction: str
    code_size: int
    arguments: Mapping[str, Any]
    immutables: tuple[Immutable, ...]
    problems: tuple[str, ...]


def inspect(
    ledgers: Ledgers, built: Mapping[str, Mapping[str, Any]] | None = None
) -> list[Inspected]:
    """Every contract of the deployment. `built` is what `compile_sources` made, by name."""
    return [
        _inspect(ledgers.rpc, ledgers.manifest, name, built) for name in ledgers.manifest.contracts
    ]


def _inspect(
    rpc: Rpc, manifest: Manifest, name: str, built: Mapping[str, Mapping[str, Any]] | None
) -> Inspected:
    deployed = manifest.contracts[name]
    code = rpc.code(deployed.address)
    problems = []
    if not is_same_code(name, code):
        problems.append("its code is not what this version of medledger deploys")
    if built is not None and not _is_built(built.get(name), code):
        problems.append("its code is not what the sources compile to")
    arguments, problem = _arguments(rpc, name, deployed.transaction, deployed.address)
    if problem:
        problems.append(problem)
    immutables = (
        () if problems and not is_same_code(name, code) else _immutables(manifest, name, code)
    )
    problems += [
        f"{one.name} is {one.shown}, not {one.meaning}"
        for one in immutables
        if not one.is_as_expected
    ]
    return Inspected(
        name,
        deployed.address,
        deployed.transaction,
        len(code),
        arguments,
        immutables,
        tuple(problems),
    )


def _is_built(built: Mapping[str, Any] | None, code: bytes) -> bool:
    if built is None:
        return False
    return is_same_runtime(bytes.fromhex(built["object"]), built["immutableReferences"], code)


def _arguments(rpc: Rpc, name: str, transaction: str, address: str) -> tuple[dict[str, Any], str]:
    """What the constructor was given, and why it is not known, if so."""
    told = rpc.request("eth_getTransactionByHash", transaction)
    receipt = rpc.request("eth_getTransactionReceipt", transaction)
    if not isinstance(told, dict) or not isinstance(receipt, dict):
        return {}, "the transaction that should have created it is not on the chain"
    if str(receipt.get("contractAddress")).lower() != address.lower():
        return {}, "the transaction that should have created it made another contract"
    given = rpc.octets(told.get("input", told.get("data")))
    code = bytes.fromhex(abi.artifact(name)["bytecode"][2:])
    if not given.startswith(code):
        return {}, "the transaction that created it has other code than this version of medledger"
    inputs = _constructor(name)
    types, encoded = [item["type"] for item in inputs], given[len(code) :]
    values = decode(types, encoded)
    if encode(types, values) != encoded:
        return {}, "the transaction that created it has more than its arguments"
    named = [item["name"].rstrip("_") for item in inputs]
    return {
        key: checksum_address(address_bytes(value)) if kind == "address" else value
        for key, kind, value in zip(named, types, values, strict=True)
    }, ""


def _constructor(name: str) -> list[Mapping[str, Any]]:
    found = (
        entry["inputs"] for entry in abi.artifact(name)["abi"] if entry["type"] == "constructor"
    )
    return list(next(found, []))


def _immutables(manifest: Manifest, name: str, code: bytes) -> tuple[Immutable, ...]:
    found = []
    for full_name, places in sorted(abi.artifact(name)["immutableReferences"].items()):
        # The compiler writes the same word at each place.
        words = {code[place["start"] : place["start"] + place["length"]] for place in places}
        expected, meaning = _expected(manifest, name, full_name.partition(".")[2])
        found += [Immutable(full_name, value, expected, meaning) for value in sorted(words)]
    return tuple(found)


def _expected(manifest: Manifest, name: str, variable: str) -> tuple[bytes | None, str]:
    """What the manifest says that an immutable is, and in words."""
    address = manifest.contracts[name].address
    known = {
        "lockPeriod": (word(manifest.lock_period), f"the manifest's {manifest.lock_period}"),
        "leasePeriod": (word(manifest.lease_period), f"the manifest's {manifest.lease_period}"),
        "_cachedThis": (_padded(address), "its own address"),
        "_cachedChainId": (word(manifest.chain_id), f"chain {manifest.chain_id}"),
        "_cachedDomainSeparator": (
            domain_separator(manifest.chain_id, address),
            "the EIP-712 domain of the contract",
        ),
        "_hashedName": (keccak256(DOMAIN_NAME.encode()), f"the hash of {DOMAIN_NAME}"),
        "_hashedVersion": (keccak256(DOMAIN_VERSION.encode()), f"the hash of {DOMAIN_VERSION}"),
    }
    if variable in known:
        return known[variable]
    for other, deployed in manifest.contracts.items():
        # A contract that names another one calls it by the end of its name, as `policies`.
        if other.lower().endswith(variable.lower()):
            return _padded(deployed.address), f"the manifest's {other}"
    return None, "as its code says"


def _padded(address: str) -> bytes:
    return address_bytes(address).rjust(32, b"\0")
