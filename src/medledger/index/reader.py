"""Logs and block headers of a range, as nodes tell them, and not believed without a look.

The logs of a range must be of the very blocks that the headers are of, and these must follow each
other. Where a header's bloom filter or a gap between log indexes allows that logs were left out,
the block's receipts decide. Several nodes must say the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import pairwise
from typing import Any, TypeVar

from medledger.chain.rpc import Rpc
from medledger.core.hashing import checksum_address, keccak256
from medledger.errors import LogsOmitted, NodesDisagree, RpcError, RpcUnavailable
from medledger.index.decoding import layouts

LOGS = 10_000
"""Logs that a range should have: enough to be quick, few enough to be held."""
MOST_BLOCKS = 4_096
FIRST_BLOCKS = 64
ATTEMPTS = 3
"""Times that a range is asked for whose blocks change meanwhile."""
PATIENCE = 8
"""Ranges after a refused one before a longer one is tried."""
LARGEST = 2**63 - 1
"""What a database's integer holds."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Header:
    """A block; `time` in Unix seconds."""

    number: int
    hash: bytes
    parent: bytes
    time: int


@dataclass(frozen=True, slots=True)
class Log:
    """A log; `words` are its topics and then its data.

    `name` is empty for an event that this version does not know; `keys` as `Layout.keys` has them.
    """

    block: int
    index: int
    block_hash: bytes
    transaction: bytes
    address: str
    topics: int
    words: bytes
    name: str
    keys: tuple[int | None, ...]


@dataclass(frozen=True, slots=True)
class Failed:
    """A transaction to one of the contracts that was refused, or failed otherwise.

    `position` is its place in the block, `call` the whole of what it asked.
    """

    block: int
    position: int
    transaction: bytes
    address: str
    sender: str
    call: bytes


@dataclass(frozen=True, slots=True)
class Portion:
    """All headers of a range, all logs of the contracts in it, and the transactions to them that
    failed, in chain order."""

    headers: list[Header]
    logs: list[Log]
    failed: list[Failed]

    @property
    def first(self) -> int:
        return self.headers[0].number

    @property
    def last(self) -> int:
        return self.headers[-1].number


class Reader:
    """Ranges of blocks from one node or several, each as long as they answer."""

    def __init__(self, nodes: Sequence[Rpc], addresses: Sequence[str]) -> None:
        self._nodes = list(nodes)
        self._addresses = [address.lower() for address in addresses]
        self._masks = [_mask(address) for address in self._addresses]
        self._blocks = FIRST_BLOCKS
        self._wait = 0

    def head(self) -> int:
        """The last block that every node has."""
        return min(self._of_all(lambda node: node.block_number()))

    def hash_of(self, number: int) -> bytes:
        """The hash of a block; raises `NodesDisagree`."""
        found = self._of_all(lambda node: node.octets(node.block(number).get("hash")))
        self._require_one(found, number, number, lambda a, b: f"0x{a.hex()} against 0x{b.hex()}")
        return found[0]

    def read(self, first: int, until: int) -> Portion:
        """The range from `first` on, to `until` at most.

        Raises `RpcUnavailable`, `LogsOmitted` or `NodesDisagree`.
        """
        while True:
            last = min(first + self._blocks - 1, until)
            try:
                found = self._of_all(partial(self._read, first=first, last=last))
            except RpcError as error:
                if last == first:
                    url = self._nodes[0].url
                    raise RpcUnavailable(url=url, problem=error.text) from error
                self._blocks, self._wait = max((last - first + 1) // 4, 1), PATIENCE
                continue
            self._require_one(found, first, last, _difference)
            self._adapt(len(found[0].logs))
            return found[0]

    def _is_refused(self, node: Rpc, receipt: Any) -> bool:
        if not isinstance(receipt, dict):
            raise RpcUnavailable(
                url=node.url, problem="it does not tell the receipts of its blocks"
            )
        if str(receipt.get("to")).lower() not in self._addresses:
            return False
        # Where a node tells no status, nothing can be said.
        return receipt.get("status") is not None and not node.integer(receipt["status"])

    def _adapt(self, logs: int) -> None:
        if logs > LOGS:
            self._blocks = max(self._blocks * LOGS // logs, 1)
        elif self._wait:
            self._wait -= 1
        elif logs < LOGS // 2:
            self._blocks = min(self._blocks * 2, MOST_BLOCKS)

    def _of_all(self, question: Callable[[Rpc], T]) -> list[T]:
        if len(self._nodes) == 1:
            return [question(self._nodes[0])]
        with ThreadPoolExecutor(len(self._nodes)) as pool:
            return list(pool.map(question, self._nodes))

    def _require_one(
        self, found: list[T], first: int, last: int, difference: Callable[[T, T], str]
    ) -> None:
        """Raises `NodesDisagree` for a node that says other than most."""
        common = max(found, key=found.count)
        for node, said in zip(self._nodes, found, strict=True):
            if said != common:
                other = self._nodes[found.index(common)]
                raise NodesDisagree(
                    url=node.url,
                    other=other.url,
                    first=first,
                    last=last,
                    problem=difference(said, common),
                )

    def _read(self, node: Rpc, first: int, last: int) -> Portion:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return self._read_once(node, first, last)
            except RpcUnavailable:
                if attempt == ATTEMPTS:
                    raise
        raise AssertionError("unreachable")

    def _read_once(self, node: Rpc, first: int, last: int) -> Portion:
        raw = self._raw_headers(node, first, last)
        headers = [_header(node, item, n) for n, item in enumerate(raw, first)]
        for before, after in pairwise(headers):
            if after.parent != before.hash:
                problem = f"its block {after.number} does not follow its block {before.number}"
                raise RpcUnavailable(url=node.url, problem=problem)
        request = {"address": self._addresses, "fromBlock": hex(first), "toBlock": hex(last)}
        logs = self._logs(node, node.request("eth_getLogs", request))
        by_block: dict[int, list[Log]] = {}
        for log in logs:
            if not first <= log.block <= last:
                raise RpcUnavailable(url=node.url, problem="its logs are not of the blocks asked")
            if log.block_hash != headers[log.block - first].hash:
                problem = f"its logs are of another block {log.block} than its header"
                raise RpcUnavailable(url=node.url, problem=problem)
            by_block.setdefault(log.block, []).append(log)
        for header, item in zip(headers, raw, strict=True):
            self._require_whole(node, item, by_block.get(header.number, []))
        return Portion(headers, logs, self._failed(node, raw, logs))

    def _failed(self, node: Rpc, headers: list[Any], logs: list[Log]) -> list[Failed]:
        """The transactions to the contracts that failed.

        Every act that succeeds logs something. So only transactions without logs of ours are asked
        for, and where the contracts have the chain to themselves there is none but these.
        """
        acted = {log.transaction for log in logs}
        silent = [
            hash_
            for header in headers
            for hash_ in _transactions(node, header)
            if node.octets(hash_) not in acted
        ]
        receipts = node.batch([("eth_getTransactionReceipt", [hash_]) for hash_ in silent])
        ours = [
            hash_
            for hash_, receipt in zip(silent, receipts, strict=True)
            if self._is_refused(node, receipt)
        ]
        found = node.batch([("eth_getTransactionByHash", [hash_]) for hash_ in ours])
        return sorted(
            (_failure(node, item) for item in found), key=lambda one: (one.block, one.position)
        )

    def _raw_headers(self, node: Rpc, first: int, last: int) -> list[Any]:
        wanted = [("eth_getBlockByNumber", [hex(n), False]) for n in range(first, last + 1)]
        return node.batch(wanted)

    def _logs(self, node: Rpc, answer: Any) -> list[Log]:
        """The logs of an answer, each once and in chain order."""
        if not isinstance(answer, list):
            raise RpcUnavailable(url=node.url, problem="its answer is not a list of logs")
        found: dict[tuple[int, int], Log] = {}
        for item in answer:
            log = _log(node, item)
            if log.address not in self._addresses:
                raise RpcUnavailable(url=node.url, problem="its logs are of other contracts")
            if found.setdefault((log.block, log.index), log) != log:
                problem = f"it has two logs {log.index} in block {log.block}"
                raise RpcUnavailable(url=node.url, problem=problem)
        return [found[place] for place in sorted(found)]

    def _require_whole(self, node: Rpc, header: Any, logs: list[Log]) -> None:
        """Raises `LogsOmitted` where the receipts of a block have more than these logs."""
        bloom = int(header.get("logsBloom") or "0x0", 16)
        if not logs and not any(mask & bloom == mask for mask in self._masks):
            return
        if logs and [log.index for log in logs] == list(range(len(logs))):
            ours = 0
            for log in logs:
                ours |= _mask(log.address)
                for at in range(0, 32 * log.topics, 32):
                    ours |= _mask(log.words[at : at + 32])
            if ours == bloom:
                return
        number = int(header["number"], 16)
        held = self._logs_of_receipts(node, header, number)
        if set(logs) - set(held):
            problem = f"its logs of block {number} are not in its receipts"
            raise RpcUnavailable(url=node.url, problem=problem)
        if missing := set(held) - set(logs):
            raise LogsOmitted(url=node.url, count=len(missing), block=number)

    def _logs_of_receipts(self, node: Rpc, header: Any, number: int) -> list[Log]:
        hashes = _transactions(node, header)
        logs = []
        for receipt in node.batch([("eth_getTransactionReceipt", [item]) for item in hashes]):
            if not isinstance(receipt, dict) or not isinstance(receipt.get("logs"), list):
                problem = f"it does not tell the receipts of block {number}"
                raise RpcUnavailable(url=node.url, problem=problem)
            logs += [_log(node, item) for item in receipt["logs"]]
        return [log for log in logs if log.address in self._addresses]


def _header(node: Rpc, item: Any, number: int) -> Header:
    if isinstance(item, RpcError):
        raise item
    if not isinstance(item, dict):
        raise RpcUnavailable(url=node.url, problem=f"it has no block {number}")
    if node.integer(item.get("number")) != number:
        raise RpcUnavailable(url=node.url, problem=f"it gives another block for {number}")
    return Header(
        number,
        node.octets(item.get("hash")),
        node.octets(item.get("parentHash")),
        node.integer(item.get("timestamp")),
    )


def _transactions(node: Rpc, header: Any) -> list[Any]:
    """The hashes of a block's transactions."""
    hashes = header.get("transactions")
    if not isinstance(hashes, list):
        number = node.integer(header.get("number"))
        raise RpcUnavailable(url=node.url, problem=f"its block {number} has no transactions")
    return hashes


def _failure(node: Rpc, item: Any) -> Failed:
    if not isinstance(item, dict):
        raise RpcUnavailable(
            url=node.url, problem="it does not tell the transactions of its blocks"
        )
    return Failed(
        node.integer(item.get("blockNumber")),
        node.integer(item.get("transactionIndex")),
        node.octets(item.get("hash")),
        str(item.get("to")).lower(),
        checksum_address(node.octets(item.get("from"))),
        node.octets(item.get("input", item.get("data"))),
    )


def _log(node: Rpc, item: Any) -> Log:
    try:
        topics = item["topics"]
        words = "".join(topic[2:] for topic in topics) + item["data"][2:]
        raw = bytes.fromhex(words)
        if any(len(topic) != 66 for topic in topics):
            raise ValueError("a topic has 32 bytes")
        layout = layouts().get(raw[:32]) if topics else None
        keys: tuple[int | None, ...] = ()
        if layout is not None:
            if not layout.fits(len(topics), raw):
                raise ValueError("it is not the event that its first topic says")
            keys = layout.keys(raw)
            if any(key is not None and key > LARGEST for key in keys):
                raise ValueError("a number is beyond any contract's")
        return Log(
            int(item["blockNumber"], 16),
            int(item["logIndex"], 16),
            bytes.fromhex(item["blockHash"][2:]),
            bytes.fromhex(item["transactionHash"][2:]),
            item["address"].lower(),
            len(topics),
            raw,
            "" if layout is None else layout.name,
            keys,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise RpcUnavailable(url=node.url, problem="its logs are malformed") from error


@lru_cache(maxsize=65_536)
def _mask(value: str | bytes) -> int:
    """The bits that an address or a topic has in a bloom filter (Yellow Paper, 4.3.1)."""
    raw = bytes.fromhex(value[2:]) if isinstance(value, str) else value
    digest = keccak256(raw)
    mask = 0
    for at in (0, 2, 4):
        mask |= 1 << (int.from_bytes(digest[at : at + 2]) & 2047)
    return mask


def _difference(said: Portion, common: Portion) -> str:
    for one, other in zip(said.headers, common.headers, strict=True):
        if one != other:
            return f"block {one.number} is 0x{one.hash.hex()} against 0x{other.hash.hex()}"
    if len(said.logs) != len(common.logs):
        return f"{len(said.logs)} logs against {len(common.logs)}"
    for log, held in zip(said.logs, common.logs, strict=True):
        if log != held:
            return f"log {log.index} of block {log.block} is not the same"
    return f"{len(said.failed)} refused transactions against {len(common.failed)}, or others"
