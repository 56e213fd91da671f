"""Histories for an index, told event by event: also such as the contracts would refuse.

chronicle.tell("BatchIssued", at=3600, first=N, segment=1, institution=2, count=10)
"""

from __future__ import annotations

from typing import Any

from eth_abi.abi import encode

from medledger.chain import abi
from medledger.chain.bindings import CLASSES
from medledger.chain.deployment import Deployed, Ledgers, Manifest
from medledger.chain.rpc import Rpc
from medledger.core.hashing import ZERO_ADDRESS, keccak256
from medledger.index import EventIndex
from medledger.index.decoding import layouts
from medledger.index.reader import Failed, Header, Log, Portion

ADDRESSES = {name: f"0x{n:040x}" for n, name in enumerate(abi.CONTRACTS, 1)}
MANIFEST = Manifest(
    chain_id=1,
    genesis_hash="0x" + 64 * "0",
    block=1,
    lock_period=1,
    lease_period=1,
    contracts={name: Deployed(address, "", "") for name, address in ADDRESSES.items()},
)
NOBODY = Rpc("http://127.0.0.1:1")
"""No node: what is told here is on no chain."""
CONTRACTS = {name: CLASSES[name](NOBODY, address) for name, address in ADDRESSES.items()}


def operator(n: int) -> str:
    """An address."""
    return abi._checksummed("address", f"0x{n:040x}")


def terms(amount: int) -> tuple[int, int, int, bool, str]:
    """What a lock is about."""
    return (amount, 2**40, 0, False, ZERO_ADDRESS)


class Chronicle:
    """An index of a chain on which each event is a block of its own."""

    def __init__(self, url: str, manifest: Manifest = MANIFEST) -> None:
        self.index = EventIndex(url, manifest)
        self.ledgers = Ledgers(NOBODY, MANIFEST, CONTRACTS)
        self._addresses = {name: one.address for name, one in manifest.contracts.items()}

    def tell(self, name: str, *, at: int, contract: str = "", **arguments: Any) -> None:
        """Adds an event at a time; arguments that are not named are zero."""
        event = next(found for found in abi.events().values() if found.name == name)
        given = [(kind, arguments.pop(key, None), i) for key, kind, i in event.arguments]
        assert not arguments, f"{name} has no {', '.join(arguments)}"
        plain = [(kind, value) for kind, value, is_indexed in given if not is_indexed]
        words = bytes.fromhex(event.topic[2:])
        for kind, value, is_indexed in given:
            if is_indexed:
                words += encode([kind], [_or_zero(kind, value)])
        data = encode([kind for kind, _ in plain], [_or_zero(*pair) for pair in plain])
        block, hash_ = self._next()
        layout = layouts()[words[:32]]
        log = Log(
            block,
            0,
            hash_,
            keccak256(hash_),
            self._addresses[contract or _emitter(name)].lower(),
            len(words) // 32,
            words + data,
            name,
            layout.keys(words + data),
        )
        self._add(at, [log], [])

    def refuse(self, contract: str, function: str, sender: str, *, at: int) -> None:
        """Adds a transaction that a contract refused."""
        block, hash_ = self._next()
        known = abi.functions(contract)
        call = known[function].selector if function else b"?"
        address = self._addresses[contract].lower()
        self._add(at, [], [Failed(block, 0, keccak256(hash_), address, sender, call)])

    def _next(self) -> tuple[int, bytes]:
        block = self.index.place().next_block
        return block, keccak256(block.to_bytes(8))

    def _add(self, at: int, logs: list[Log], failed: list[Failed]) -> None:
        before = self.index.place()
        block, hash_ = self._next()
        header = Header(block, hash_, before.last_hash or bytes(32), at)
        assert self.index.add(Portion([header], logs, failed), before)


def _emitter(name: str) -> str:
    return next(
        contract
        for contract in abi.CONTRACTS
        for entry in abi.artifact(contract)["abi"]
        if entry["type"] == "event" and entry["name"] == name
    )


def _or_zero(kind: str, value: Any) -> Any:
    if value is not None:
        return value
    if kind.endswith("[]"):
        return []
    if kind == "address":
        return "0x" + 40 * "0"
    if kind == "bool":
        return False
    return bytes(int(kind[5:])) if kind.startswith("bytes") else 0
