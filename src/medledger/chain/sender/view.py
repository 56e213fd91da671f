"""One look at the chain: head, nonce, blocks and receipts, in as few requests as can be.

What a node says is held against what else it says: a receipt counts only where its block's hash is
that of the block with its number.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from medledger.chain.rpc import Rpc
from medledger.core.transactions import Intent, Transaction
from medledger.errors import RpcError, RpcUnavailable


@dataclass(frozen=True, slots=True)
class Header:
    """A block. `timestamp` in Unix seconds, `base_fee` in wei a gas, None before London."""

    number: int
    hash: bytes
    timestamp: int
    base_fee: int | None


@dataclass(frozen=True, slots=True)
class Mined:
    """A receipt whose block is on the chain."""

    hash: bytes
    header: Header
    succeeded: bool
    gas_used: int
    logs: tuple[dict[str, Any], ...]


@dataclass(frozen=True, slots=True)
class Questions:
    """What to look at besides the head and the nonce."""

    blocks: frozenset[int] = frozenset()
    hashes: tuple[bytes, ...] = ()
    pooled: bytes | None = None
    """A transaction that should be in the pool."""
    simulated: Intent | None = None


class View:
    """The chain as one node shows it in one pass. Raises `RpcUnavailable`."""

    def __init__(self, rpc: Rpc, address: str, questions: Questions) -> None:
        self._rpc = rpc
        self._headers: dict[int, Header | None] = {}
        self._receipts: dict[bytes, dict[str, Any] | None] = {}
        blocks = sorted(questions.blocks)
        # The head first: what is read after it is at least as new.
        asked: list[tuple[str, list[Any]]] = [
            ("eth_getBlockByNumber", ["latest", False]),
            ("eth_getTransactionCount", [address, "latest"]),
            *[_ask_block(number) for number in [0, *blocks]],
            *[_ask_receipt(hash_) for hash_ in questions.hashes],
        ]
        if questions.pooled is not None:
            asked.append(("eth_getTransactionByHash", [_hex(questions.pooled)]))
        if questions.simulated is not None:
            asked.append(("eth_call", [request_of(questions.simulated, address), "latest"]))
        answers = iter(rpc.batch(asked))
        self.head = self._latest(next(answers))
        self.used = self._count(next(answers))
        """Nonces below it are used in the latest block."""
        genesis = self._header(next(answers))
        self.genesis = None if genesis is None else genesis.hash
        for number in blocks:
            self._headers[number] = self._header(next(answers))
        for hash_ in questions.hashes:
            self._receipts[hash_] = _receipt(next(answers))
        self._headers.setdefault(self.head.number, self.head)
        self.is_pooled = questions.pooled is None or isinstance(next(answers), dict)
        self.revert_data = b""
        """What the contract answers to the simulated call where it refuses, as raw data."""
        self.is_refused = False
        if questions.simulated is not None:
            self._simulate(next(answers))

    def fetch(self, hashes: Iterable[bytes]) -> None:
        """Reads receipts, and the headers of the blocks of all receipts read so far."""
        missing = [hash_ for hash_ in hashes if hash_ not in self._receipts]
        answers = self._rpc.batch([_ask_receipt(hash_) for hash_ in missing])
        for hash_, answer in zip(missing, answers, strict=True):
            self._receipts[hash_] = _receipt(answer)
        found = (receipt for receipt in self._receipts.values() if receipt is not None)
        self.fetch_headers({self._rpc.integer(receipt["blockNumber"]) for receipt in found})

    def fetch_headers(self, numbers: Iterable[int]) -> None:
        missing = sorted(set(numbers) - self._headers.keys())
        answers = self._rpc.batch([_ask_block(number) for number in missing])
        for number, answer in zip(missing, answers, strict=True):
            self._headers[number] = self._header(answer)

    def mined(self, hashes: Iterable[bytes]) -> Mined | None:
        """The one of these transactions that is in a block of this chain."""
        for hash_ in hashes:
            receipt = self._receipts.get(hash_)
            if receipt is not None and (found := self._mined(hash_, receipt)) is not None:
                return found
        return None

    def has(self, number: int, hash_: bytes) -> bool | None:
        """Whether this block is on the chain; None where the node has not come that far."""
        header = self._headers.get(number)
        return None if header is None else header.hash == hash_

    def depth(self, number: int) -> int:
        """How many blocks there are from this one on, itself counted."""
        return max(self.head.number - number, 0) + 1

    def contradicts(self, transaction: Transaction) -> bool:
        """Whether the block of a mined transaction is not on this chain."""
        if transaction.block is None or transaction.block_hash is None:
            return False
        return self.has(transaction.block, transaction.block_hash) is False

    def _mined(self, hash_: bytes, receipt: dict[str, Any]) -> Mined | None:
        header = self._headers.get(self._rpc.integer(receipt["blockNumber"]))
        if header is None or header.hash != self._rpc.octets(receipt.get("blockHash")):
            return None
        return Mined(
            hash_,
            header,
            self._rpc.integer(receipt.get("status")) == 1,
            self._rpc.integer(receipt.get("gasUsed")),
            tuple(receipt.get("logs") or ()),
        )

    def _latest(self, answer: Any) -> Header:
        header = self._header(answer)
        if header is None:
            raise RpcUnavailable(url=self._rpc.url, problem="it has no latest block")
        return header

    def _count(self, answer: Any) -> int:
        if isinstance(answer, RpcError):
            raise RpcUnavailable(url=self._rpc.url, problem=answer.text)
        return self._rpc.integer(answer)

    def _header(self, answer: Any) -> Header | None:
        """None where there is no such block, which some nodes say with an error."""
        if not isinstance(answer, dict):
            return None
        base_fee = answer.get("baseFeePerGas")
        return Header(
            self._rpc.integer(answer.get("number")),
            self._rpc.octets(answer.get("hash")),
            self._rpc.integer(answer.get("timestamp")),
            None if base_fee is None else self._rpc.integer(base_fee),
        )

    def _simulate(self, answer: Any) -> None:
        if isinstance(answer, RpcError) and answer.data:
            self.is_refused = True
            self.revert_data = self._rpc.octets(answer.data)


def request_of(intent: Intent, address: str) -> dict[str, str]:
    """The intent as `eth_call` and `eth_estimateGas` take it."""
    request = {"from": address, "data": _hex(intent.data)}
    if intent.value:
        request["value"] = hex(intent.value)
    return request | ({"to": intent.to} if intent.to else {})


def _ask_block(number: int) -> tuple[str, list[Any]]:
    return "eth_getBlockByNumber", [hex(number), False]


def _ask_receipt(hash_: bytes) -> tuple[str, list[Any]]:
    return "eth_getTransactionReceipt", [_hex(hash_)]


def _receipt(answer: Any) -> dict[str, Any] | None:
    """Some nodes show a receipt of what waits in the pool, without a block."""
    return answer if isinstance(answer, dict) and answer.get("blockNumber") else None


def _hex(data: bytes) -> str:
    return "0x" + data.hex()
