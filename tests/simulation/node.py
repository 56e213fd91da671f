"""A node and a time that stand still until the simulation moves them.

Blocks come when the seed says, two seconds of the chain apart, so that one seed makes the same
blocks with the same hashes each time.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from http.client import HTTPConnection
from random import Random
from typing import Any
from urllib.parse import urlsplit

import requests

from medledger.chain.rpc import Rpc
from medledger.core.hashing import keccak256
from medledger.errors import RpcError

START = 1_767_600_000
"""The node's first second: 2026-01-05."""
BLOCK_SECONDS = 2
SLEPT_SECONDS = 0.5
"""The least that a sleep takes: nothing is won by more looks between two blocks."""
ENDLESS = 3_000

OPTIONS = ("--no-mining", "--timestamp", str(START))


class Wire:
    """One connection that stays open: a tenth of what an HTTP library takes for a request."""

    def __init__(self, url: str) -> None:
        address = urlsplit(url)
        self._connection = HTTPConnection(address.hostname or "", address.port)

    def post(self, body: bytes) -> bytes:
        headers = {"Content-Type": "application/json"}
        self._connection.request("POST", "/", body, headers)
        return self._connection.getresponse().read()

    def ask(self, method: str, *params: object) -> Any:
        call = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        return json.loads(self.post(json.dumps(call).encode()))["result"]


class Node:
    """Anvil, mining by hand. `mines_each`: a block for each transaction, as soon as it is sent."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.wire = Wire(url)
        self.rpc = Rpc(url)
        self.mines_each = True
        self.stalled = 0
        """Ticks without a block still to come."""
        self._sent: dict[str, str] = {}
        self._backup: tuple[str, int] | None = None
        self.rpc.request("anvil_setBlockTimestampInterval", BLOCK_SECONDS)

    # Blocks

    def mine(self, count: int = 1) -> None:
        for _ in range(count):
            self.wire.ask("evm_mine")

    def tick(self) -> None:
        """Time for a block, unless none come now."""
        if self.stalled:
            self.stalled -= 1
        else:
            self.mine()

    def has_received(self, body: bytes) -> None:
        """Mines what was sent, where the node does that."""
        parsed = json.loads(body)
        calls = parsed if isinstance(parsed, list) else [parsed]
        sent = [call for call in calls if call["method"] == "eth_sendRawTransaction"]
        for call in sent:
            raw = call["params"][0]
            self._sent["0x" + keccak256(bytes.fromhex(raw[2:])).hex()] = raw
        if sent and self.mines_each and not self.stalled:
            self.mine()

    @property
    def head(self) -> int:
        return int(self.wire.ask("eth_blockNumber"), 16)

    # What happens to chains

    def snapshot(self) -> str:
        found: str = self.rpc.request("evm_snapshot")
        return found

    def back_up(self) -> None:
        self._backup = (self.snapshot(), self.head)

    def restore(self) -> int | None:
        """Starts again from the backup; the last block that is left, None without a backup."""
        if self._backup is None:
            return None
        (snapshot, block), self._backup = self._backup, None
        assert self.rpc.request("evm_revert", snapshot)
        return block

    def reorganise(self, depth: int, random: Random) -> None:
        """Other blocks in place of the last ones; some of their transactions wait again."""
        head = self.head
        if self._backup is not None and self._backup[1] > head - depth:
            self._backup = None
        gone = [hash_ for number in range(head - depth + 1, head + 1) for hash_ in self._in(number)]
        self.rpc.request("anvil_reorg", depth, [])
        random.shuffle(gone)
        for hash_ in gone:
            if hash_ in self._sent and random.random() < 0.5:
                self.send(self._sent[hash_])

    def send(self, raw: str) -> None:
        """A transaction from elsewhere; the node may refuse it."""
        try:
            self.rpc.request("eth_sendRawTransaction", raw)
        except RpcError:
            return

    def drop(self, random: Random) -> int:
        """Drops what waits in the pool, all or some; how many."""
        content = self.rpc.request("txpool_content")
        waiting = sorted(
            found["hash"]
            for part in ("pending", "queued")
            for by_nonce in content[part].values()
            for found in by_nonce.values()
        )
        dropped = [hash_ for hash_ in waiting if random.random() < 0.7]
        for hash_ in dropped:
            self.rpc.request("anvil_dropTransaction", hash_)
        return len(dropped)

    def ask_base_fee(self, wei: int) -> None:
        self.rpc.request("anvil_setNextBlockBaseFeePerGas", hex(wei))

    def _in(self, number: int) -> list[str]:
        hashes: list[str] = self.rpc.block(number)["transactions"]
        return hashes


@dataclass
class Time:
    """A clock that jumps. Somebody sleeps: a block may come, and others may act."""

    node: Node
    now: float = 1000.0
    slept: int = 0
    meanwhile: Callable[[], None] = field(default=lambda: None)

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept += 1
        assert self.slept < ENDLESS, "it waits for ever"
        self.now += max(seconds, SLEPT_SECONDS)
        self.node.tick()
        self.meanwhile()


def answer(status: int, body: bytes) -> requests.Response:
    """An HTTP answer that no server gave."""
    made = requests.Response()
    made.status_code, made._content = status, body
    return made
