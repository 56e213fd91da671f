"""Storage proofs: what a contract holds, shown against the hash of a block and nothing else.

    proof = fetch_proof(ledgers, number, "Invoice", known, block)
    proof.verify(block_hash, manifest)     # raises, or returns nothing; no node is asked
    proof.values()

The block's hash covers its header, the header the root of all accounts, an account its code and the
root of its storage, and that root each slot (`eth_getProof`, EIP-1186). The code is in the proof
too: only of medledger's own is it known which slot means what.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import rlp  # type: ignore[import-untyped]
from eth_utils.exceptions import ValidationError as NodeInvalid
from pydantic import Field, StringConstraints, ValidationError
from rlp.exceptions import RLPException  # type: ignore[import-untyped]
from trie import HexaryTrie
from trie.exceptions import BadTrieProof, InvalidNode

from medledger.chain.deployment import Ledgers, Manifest, is_same_code
from medledger.chain.layout import Cell, Key, Place, cells, places
from medledger.chain.rpc import Rpc
from medledger.core.canonical import parse_strict
from medledger.core.hashing import address_bytes, checksum_address, keccak256, word
from medledger.core.kinds import Hex20, Hex32, WireModel
from medledger.core.numbers import DocumentKind, format_number, parse_number
from medledger.errors import (
    InputError,
    MalformedProof,
    ProofMismatch,
    ProofUnavailable,
    RpcError,
)

FORMAT: Literal["medledger-proof-1"] = "medledger-proof-1"
STATE_ROOT, NUMBER, TIMESTAMP, EXTRA_DATA = 3, 8, 11, 12
"""Places of fields in a header."""

_HEADER = (
    *("parentHash", "sha3Uncles", "miner", "stateRoot", "transactionsRoot", "receiptsRoot"),
    *("logsBloom", "difficulty", "number", "gasLimit", "gasUsed", "timestamp", "extraData"),
    *("mixHash", "nonce", "baseFeePerGas", "withdrawalsRoot", "blobGasUsed", "excessBlobGas"),
    *("parentBeaconBlockRoot", "requestsHash"),
)
"""A header's fields in their order; those from the base fee on are of later forks."""
_WHOLE = ("difficulty", "number", "gasLimit", "gasUsed", "timestamp", "baseFeePerGas")
_BLOB = ("blobGasUsed", "excessBlobGas")
_QBFT_PARTS = 5
_BAD_NODES = (BadTrieProof, InvalidNode, NodeInvalid, RLPException, TypeError, ValueError)


@dataclass(frozen=True, slots=True)
class Account:
    """One contract in a proof: its code, its place among all accounts, and slots with theirs."""

    address: str
    code: bytes
    nodes: tuple[bytes, ...]
    slots: Mapping[int, tuple[bytes, ...]]


@dataclass(frozen=True, slots=True)
class Proven:
    """One value that a contract holds."""

    contract: str
    path: str
    value: Any


@dataclass(frozen=True, slots=True)
class Proof:
    """What the contracts hold of a document at a block. `header` are the fields as they are hashed.

    `known` are the keys under which was looked: what is held under others, it does not show.
    """

    number: int
    kind: DocumentKind
    header: tuple[bytes, ...]
    known: tuple[Mapping[str, Key], ...]
    accounts: Mapping[str, Account]

    @property
    def block_hash(self) -> bytes:
        """The hash of the header. It proves nothing before it is compared with a block's."""
        hashed: bytes = rlp.encode(list(self.header))
        return keccak256(hashed)

    @property
    def block(self) -> int:
        return int.from_bytes(self.header[NUMBER])

    @property
    def time(self) -> int:
        """The block's time, Unix seconds."""
        return int.from_bytes(self.header[TIMESTAMP])

    def verify(self, block_hash: bytes, manifest: Manifest) -> None:
        """Returns nothing if the block of this hash holds these values; raises `ProofMismatch`."""
        if self.block_hash != block_hash:
            problem = f"its header is of block 0x{self.block_hash.hex()}"
            raise ProofMismatch(problem=f"{problem}, not 0x{block_hash.hex()}")
        for name, account in self.accounts.items():
            deployed = manifest.contracts.get(name)
            if deployed is None or deployed.address != account.address:
                problem = f"{account.address} is not the {name} contract of the deployment"
                raise ProofMismatch(problem=problem)
            if not is_same_code(name, account.code):
                raise ProofMismatch(problem=f"{name} has other code than this version of medledger")
        self.values()

    def values(self) -> list[Proven]:
        """The values, each proven up to the header; raises `ProofMismatch`."""
        found = []
        for name, account in self.accounts.items():
            held = self._slots(name, account)

            def read(slot: int, name: str = name, held: Mapping[int, int] = held) -> int:
                if slot not in held:
                    raise ProofMismatch(problem=f"it lacks slot {slot:#x} of {name}")
                return held[slot]

            for place in places(name, self.known):
                found += [
                    Proven(name, cell.path, cell.value(read(cell.slot)))
                    for cell in cells(place, read)
                ]
        return found

    def _slots(self, name: str, account: Account) -> dict[int, int]:
        """Slot to what it holds, by the account's storage root, by the header's state root."""
        key = keccak256(address_bytes(account.address))
        entry = _proven(self.header[STATE_ROOT], key, account.nodes, f"the account of {name}")
        _nonce, _balance, storage_root, code_hash = _fields_of(entry, 4, f"the account of {name}")
        if keccak256(account.code) != code_hash:
            raise ProofMismatch(problem=f"the code of {name} is not the account's")
        found = {}
        for slot, nodes in account.slots.items():
            what = f"slot {slot:#x} of {name}"
            held = _proven(storage_root, keccak256(word(slot)), nodes, what)
            found[slot] = int.from_bytes(_decoded(held, what)) if held else 0
        return found

    def to_json(self) -> str:
        """The proof file's text; `from_json` reads it back."""
        wire = {
            "format": FORMAT,
            "kind": self.kind,
            "number": format_number(self.number),
            "header": [_hex(field) for field in self.header],
            "known": [{name: str(key) for name, key in keys.items()} for keys in self.known],
            "contracts": {
                name: {
                    "address": account.address.lower(),
                    "code": _hex(account.code),
                    "accountProof": [_hex(node) for node in account.nodes],
                    "storageProof": {
                        _hex(word(slot)): [_hex(node) for node in nodes]
                        for slot, nodes in account.slots.items()
                    },
                }
                for name, account in self.accounts.items()
            },
        }
        return json.dumps(wire, indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes) -> Proof:
        """The proof of a file's text; raises `MalformedProof`."""
        try:
            wire = _Wire.model_validate(parse_strict(text))
            number = parse_number(wire.number)
        except InputError as error:
            raise MalformedProof(problem=str(error)) from error
        except ValidationError as error:
            first = error.errors()[0]
            problem = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
            raise MalformedProof(problem=problem) from error
        known = tuple({n: _key(k) for n, k in keys.items()} for keys in wire.known)
        if known[0].get("number") != number:
            raise MalformedProof(problem="known.0.number: is not the document's")
        return cls(
            number,
            wire.kind,
            tuple(_raw(field) for field in wire.header),
            known,
            {
                name: Account(
                    checksum_address(_raw(one.address)),
                    _raw(one.code),
                    tuple(map(_raw, one.account_proof)),
                    {int(slot, 16): tuple(map(_raw, p)) for slot, p in one.storage_proof.items()},
                )
                for name, one in wire.contracts.items()
            },
        )


def fetch_proof(
    ledgers: Ledgers,
    number: int,
    kind: DocumentKind,
    known: Sequence[Mapping[str, Key]],
    contracts: Sequence[str],
    block: int,
) -> Proof:
    """The proof of what these contracts hold at a block, under keys that belong together.

    Nothing that the node says is taken without its proof. Raises `ProofUnavailable` where it gives
    none, or hashes headers in a way that is not known; `ProofMismatch` where it does not hold.
    """
    rpc = ledgers.rpc
    told = rpc.block(block)
    block_hash = rpc.octets(told.get("hash"))
    accounts = {}
    for name in contracts:
        address = ledgers.contracts[name].address
        wanted = [
            cell for place in places(name, known) for cell in _cells(rpc, address, place, block)
        ]
        slots = sorted({cell.slot for cell in wanted})
        accounts[name] = _account(rpc, address, slots, block)
    proof = Proof(number, kind, _header(rpc, told, block_hash), tuple(known), accounts)
    proof.verify(block_hash, ledgers.manifest)
    return proof


def _cells(rpc: Rpc, address: str, place: Place, block: int) -> list[Cell]:
    def read(slot: int) -> int:
        return rpc.integer(rpc.request("eth_getStorageAt", address, hex(slot), hex(block)))

    return list(cells(place, read))


def _account(rpc: Rpc, address: str, slots: Sequence[int], block: int) -> Account:
    keys = [_hex(word(slot)) for slot in slots]
    try:
        told = rpc.request("eth_getProof", address, keys, hex(block))
    except RpcError as error:
        raise ProofUnavailable(url=rpc.url, problem=error.text) from error
    try:
        return Account(
            address,
            rpc.code(address, block),
            tuple(rpc.octets(node) for node in told["accountProof"]),
            {
                slot: tuple(rpc.octets(node) for node in item["proof"])
                for slot, item in zip(slots, told["storageProof"], strict=True)
            },
        )
    except (KeyError, TypeError, ValueError) as error:
        problem = "its answer is not as EIP-1186 has it"
        raise ProofUnavailable(url=rpc.url, problem=problem) from error


def _header(rpc: Rpc, told: Mapping[str, Any], block_hash: bytes) -> tuple[bytes, ...]:
    """The fields that hash to the block's hash: all of them, or as Besu's QBFT does it, without
    the round and the validators' seals, which are made after the hash."""
    fields = [_field(rpc, name, told[name]) for name in _HEADER if told.get(name) is not None]
    for candidate in (fields, _without_seals(fields)):
        if keccak256(rlp.encode(candidate)) == block_hash:
            return tuple(candidate)
    problem = (
        "its header does not hash to its block's hash, neither as Ethereum nor as QBFT does it"
    )
    raise ProofUnavailable(url=rpc.url, problem=problem)


def _field(rpc: Rpc, name: str, value: object) -> bytes:
    if name in _WHOLE or name in _BLOB:
        whole = rpc.integer(value)
        return whole.to_bytes((whole.bit_length() + 7) // 8)
    return rpc.octets(value)


def _without_seals(fields: list[bytes]) -> list[bytes]:
    try:
        parts = rlp.decode(fields[EXTRA_DATA])
    except RLPException:
        return fields
    if not isinstance(parts, list) or len(parts) != _QBFT_PARTS:
        return fields
    changed = list(fields)
    changed[EXTRA_DATA] = rlp.encode([*parts[:3], b"", []])
    return changed


def _proven(root: bytes, key: bytes, nodes: Sequence[bytes], what: str) -> bytes:
    """What a trie of this root has under a key, empty for nothing; raises `ProofMismatch`."""
    try:
        found: bytes = HexaryTrie.get_from_proof(root, key, [rlp.decode(node) for node in nodes])
    except _BAD_NODES as error:
        problem = f"the proof of {what} does not lead from its root"
        raise ProofMismatch(problem=problem) from error
    return found


def _fields_of(encoded: bytes, count: int, what: str) -> list[bytes]:
    found = _decoded(encoded, what)
    if not isinstance(found, list) or len(found) != count:
        raise ProofMismatch(problem=f"{what} is not there")
    return found


def _decoded(encoded: bytes, what: str) -> Any:
    try:
        return rlp.decode(encoded)
    except RLPException as error:
        raise ProofMismatch(problem=f"{what} is not what a trie holds") from error


def _hex(raw: bytes) -> str:
    return "0x" + raw.hex()


def _raw(text: str) -> bytes:
    return bytes.fromhex(text[2:])


def _key(text: str) -> Key:
    return checksum_address(_raw(text)) if text.startswith("0x") else int(text)


_Hex = Annotated[str, StringConstraints(pattern="^0x([0-9a-f]{2})*$", strict=True)]
_Name = Annotated[str, StringConstraints(pattern="^(0x[0-9a-fA-F]{40}|[0-9]{1,78})$", strict=True)]


class _WireContract(WireModel):
    address: Hex20
    code: _Hex
    account_proof: Annotated[list[_Hex], Field(max_length=64)]
    storage_proof: dict[Hex32, Annotated[list[_Hex], Field(max_length=64)]]


class _Wire(WireModel):
    format: Literal["medledger-proof-1"]
    kind: DocumentKind
    number: str
    header: Annotated[list[_Hex], Field(min_length=15, max_length=21)]
    known: Annotated[list[dict[str, _Name]], Field(min_length=1)]
    contracts: dict[str, _WireContract]
