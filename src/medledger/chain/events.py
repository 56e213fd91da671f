"""Reading what the contracts logged, in order, as typed events."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from medledger.chain import abi
from medledger.chain.bindings import EVENTS, LedgerEvent
from medledger.chain.rpc import Rpc
from medledger.errors import RpcError, RpcUnavailable

FIRST_RANGE = 10_000
"""Blocks asked for at once; halved where the node limits the range or the size of its answer."""


@dataclass(frozen=True, slots=True)
class Logged:
    """One event with its place in the chain. `transaction` is 32 bytes."""

    event: LedgerEvent
    address: str
    block: int
    transaction: bytes
    index: int


def fetch_events(
    rpc: Rpc,
    addresses: Iterable[str],
    first: int,
    last: int,
    *,
    topics: list[Any] | None = None,
) -> Iterator[Logged]:
    """The medledger events of these contracts in blocks `first` to `last`, in chain order.

    Raises `RpcUnavailable` where the node answers no range, not even one block.
    """
    wanted = list(addresses)
    span = FIRST_RANGE
    start = first
    while start <= last:
        end = min(start + span - 1, last)
        request: dict[str, Any] = {
            "address": wanted,
            "fromBlock": hex(start),
            "toBlock": hex(end),
        }
        if topics is not None:
            request["topics"] = topics
        try:
            logs = rpc.request("eth_getLogs", request)
        except RpcError as error:
            if span == 1:
                raise RpcUnavailable(url=rpc.url, problem=error.text) from error
            span = max(span // 4, 1)
            continue
        yield from (found for log in logs if (found := decode_log(log)) is not None)
        start = end + 1


def decode_log(log: Mapping[str, Any]) -> Logged | None:
    """The typed event of a raw log, None for one that is not medledger's."""
    found = abi.events().get(log["topics"][0]) if log["topics"] else None
    if found is None or found.name not in EVENTS:
        return None
    arguments = found.decode(log["topics"], log["data"])
    return Logged(
        EVENTS[found.name](arguments),
        log["address"],
        int(log["blockNumber"], 16),
        bytes.fromhex(log["transactionHash"][2:]),
        int(log["logIndex"], 16),
    )
