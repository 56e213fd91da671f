"""Bringing an index up to the chain, from wherever it is, whatever the chain did meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from medledger.chain.rpc import Rpc
from medledger.errors import RpcUnavailable
from medledger.index.book import EventIndex, Place
from medledger.index.reader import Reader

ATTEMPTS = 5
"""Times that a chain may change under a sync before anything of it could be kept."""


@dataclass(frozen=True, slots=True)
class Synced:
    """What a sync did: the last block it holds, events taken in, and blocks read again."""

    block: int
    events: int
    rolled_back: int


def sync(
    index: EventIndex,
    nodes: Sequence[Rpc],
    *,
    confirmations: int = 1,
    advance: Callable[[int], None] = lambda _: None,
) -> Synced:
    """Reads all blocks that are `confirmations` deep, their own counted.

    Every node is asked for every range. What was stored of blocks that the chain no longer has is
    dropped first. Raises `RpcUnavailable`, `LogsOmitted`, `NodesDisagree` or `StoreError`; what was
    stored before stays, and the next sync goes on there.
    """
    reader = Reader(nodes, list(index.addresses))
    taken = rolled_back = 0
    stuck = 0
    while stuck < ATTEMPTS:
        until = reader.head() - (confirmations - 1)
        rolled_back += _drop_what_is_gone(index, reader, until)
        place = index.place()
        if place.next_block > until:
            return Synced(place.next_block - 1, taken, rolled_back)
        before = taken
        taken += _take(index, reader, place, until, advance)
        after = index.place()
        if after.next_block > until:
            return Synced(after.next_block - 1, taken, rolled_back)
        stuck = 0 if taken > before or after != place else stuck + 1
    problem = "its chain changes faster than it can be read"
    raise RpcUnavailable(url=nodes[0].url, problem=problem)


def _take(
    index: EventIndex,
    reader: Reader,
    place: Place,
    until: int,
    advance: Callable[[int], None],
) -> int:
    """Takes portions in until the end, a fork, or another program's portion; returns events.

    The next portion is read while the last one is written.
    """
    taken = 0
    with ThreadPoolExecutor(1) as ahead:
        coming = ahead.submit(reader.read, place.next_block, until)
        while True:
            portion = coming.result()
            if place.last_hash not in (None, portion.headers[0].parent):
                return taken
            if portion.last < until:
                coming = ahead.submit(reader.read, portion.last + 1, until)
            if not index.add(portion, place):
                return taken
            taken += len(portion.logs)
            advance(len(portion.logs))
            if portion.last >= until:
                return taken
            place = Place(portion.last + 1, portion.headers[-1].hash)


def _drop_what_is_gone(index: EventIndex, reader: Reader, until: int) -> int:
    """Rolls back to the last kept block that the chain still has; returns how many blocks."""
    place = index.place()
    newest = index.last_kept(until)
    if newest is None or reader.hash_of(newest[0]) == newest[1]:
        return 0
    kept = index.kept_blocks(until)
    low, high = 0, len(kept) - 1
    # kept[high] is gone; what is before a block that the chain has, it has too.
    while low < high:
        middle = (low + high) // 2
        number, hash_ = kept[middle]
        if reader.hash_of(number) == hash_:
            low = middle + 1
        else:
            high = middle
    next_block = kept[low - 1][0] + 1 if low else index.first_block
    return place.next_block - next_block if index.roll_back(next_block, place) else 0
