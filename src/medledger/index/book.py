"""The index itself: what it holds, and how a portion comes in or goes out again.

A portion and the place that reading has reached change in one transaction, and only if no other
program was faster. It does not wait for the disk: what a power cut takes, the chain tells again,
and the place goes back with it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from copy import copy
from dataclasses import dataclass
from heapq import merge
from itertools import groupby
from typing import Any, Self

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    and_,
    delete,
    exists,
    func,
    insert,
    or_,
    select,
    tuple_,
    update,
)

from medledger.chain import abi
from medledger.chain.deployment import Manifest
from medledger.core.hashing import keccak256
from medledger.errors import StoreError
from medledger.index.decoding import layouts
from medledger.index.reader import Failed, Header, Log, Portion
from medledger.index.schema import INDEX, KEYS, blocks, events, progress, refused
from medledger.store.database import Database

KEPT = 256
"""Recent blocks that are kept without events in them, to see at once where a chain was cut off."""
PAGE = 5_000
MAX_BLOCK = 2**63 - 1
_NO_KEYS = (None,) * len(KEYS)


@dataclass(frozen=True, slots=True)
class Place:
    """How far an index is: the next block, and the last one's hash (None before the first)."""

    next_block: int
    last_hash: bytes | None


@dataclass(frozen=True, slots=True)
class Found:
    """An event of the index. `name` is empty for one that this version does not know.

    `time` is in Unix seconds, `transaction` 32 bytes, `arguments` by their Solidity names, `keys`
    the values of the columns `KEYS`.
    """

    block: int
    log_index: int
    time: int
    transaction: bytes
    contract: str
    name: str
    arguments: dict[str, Any]
    keys: tuple[int | None, ...]


@dataclass(frozen=True, slots=True)
class Refused:
    """A transaction that a contract refused. `function` is empty for one that it does not have;
    `numbers` are those of the documents that it names."""

    block: int
    time: int
    transaction: bytes
    contract: str
    function: str
    sender: str
    numbers: frozenset[int]

    @property
    def name(self) -> str:
        """What was tried."""
        return f"{self.contract}.{self.function or 'unknown'} refused"


class EventIndex:
    """A database by URL for one deployment. Raises `StoreError` for one of anything else."""

    def __init__(self, url: str, manifest: Manifest) -> None:
        self._database = Database(url, INDEX)
        self._until = MAX_BLOCK
        self.first_block = manifest.block
        self.addresses = {
            contract.address.lower(): name for name, contract in manifest.contracts.items()
        }
        try:
            self._begin(_identity(manifest))
            self._name_unknown()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        self._database.close()

    @property
    def name(self) -> str:
        """Its address as messages show it."""
        return self._database.name

    # Keeping

    def place(self) -> Place:
        """How far this index is."""
        with self._database.reading() as connection:
            return _place(connection)

    def add(self, portion: Portion, before: Place) -> bool:
        """Takes a portion in; False, and nothing changed, where `before` is not the place."""
        rows = [self._row(log) for log in portion.logs]
        attempts = [self._refused_row(failed) for failed in portion.failed]
        with_events = {log.block for log in portion.logs} | {f.block for f in portion.failed}
        recent = portion.last - KEPT
        kept = [h for h in portion.headers if h.number > recent or h.number in with_events]
        with self._database.noting() as connection:
            if self._locked_place(connection) != before:
                return False
            connection.execute(insert(blocks), [_block_row(header) for header in kept])
            if rows:
                connection.execute(insert(events), rows)
            if attempts:
                connection.execute(insert(refused), attempts)
            _forget(connection, before.next_block - 1 - KEPT, recent)
            connection.execute(update(progress).values(next_block=portion.last + 1))
        return True

    def roll_back(self, next_block: int, before: Place) -> bool:
        """Drops a block and all after it; False where `before` is not the place."""
        with self._database.noting() as connection:
            if self._locked_place(connection) != before:
                return False
            connection.execute(delete(events).where(events.c.block >= next_block))
            connection.execute(delete(refused).where(refused.c.block >= next_block))
            connection.execute(delete(blocks).where(blocks.c.number >= next_block))
            connection.execute(update(progress).values(next_block=next_block))
        return True

    def kept_blocks(self, until: int) -> list[tuple[int, bytes]]:
        """Number and hash of what is kept up to a block, ascending."""
        query = select(blocks.c.number, blocks.c.hash).where(blocks.c.number <= until)
        with self._database.reading() as connection:
            return [(n, bytes(h)) for n, h in connection.execute(query.order_by(blocks.c.number))]

    def last_kept(self, until: int) -> tuple[int, bytes] | None:
        """The last of them."""
        query = select(blocks.c.number, blocks.c.hash).where(blocks.c.number <= until)
        with self._database.reading() as connection:
            row = connection.execute(query.order_by(blocks.c.number.desc()).limit(1)).first()
        return None if row is None else (row[0], bytes(row[1]))

    # Asking

    def as_of(self, block: int) -> Self:
        """The same index as it was when this block was its last: what is read later is not told."""
        past = copy(self)
        past._until = block
        return past

    def events(
        self,
        *,
        contracts: Iterable[str] = (),
        names: Iterable[str] = (),
        number: int | None = None,
        institution: int | None = None,
        segment: int | None = None,
        since: int | None = None,
        until: int | None = None,
        names_number: bool | None = None,
    ) -> Iterator[Found]:
        """The events that fit all that is asked, in chain order, in pages.

        A number fits where it is named second too, and so does an institution. `since` and `until`
        are times in Unix seconds, both included; `names_number` is whether an event names a number.
        """
        wanted: list[ColumnElement[bool]] = []
        if among := list(contracts):
            wanted.append(events.c.contract.in_(among))
        if listed := list(names):
            wanted.append(events.c.name.in_(listed))
        if number is not None:
            wanted.append(or_(events.c.number == number, events.c.other_number == number))
        if institution is not None:
            second = events.c.other_institution == institution
            wanted.append(or_(events.c.institution == institution, second))
        if segment is not None:
            wanted.append(events.c.segment == segment)
        if since is not None:
            wanted.append(blocks.c.time >= since)
        if until is not None:
            wanted.append(blocks.c.time <= until)
        if names_number is not None:
            column = events.c.number
            wanted.append(column.is_not(None) if names_number else column.is_(None))
        return self._pages(wanted)

    def life(self, number: int, contracts: Iterable[str]) -> list[Found]:
        """The events of these contracts over a document: of the batch that it is in, then all that
        name it."""
        listed = list(contracts)
        among = events.c.contract.in_(listed)
        last = (
            select(func.max(events.c.number))
            .where(among, events.c.name == "BatchIssued")
            .where(events.c.number <= number, events.c.block <= self._until)
            .scalar_subquery()
        )
        is_of_batch = events.c.name.in_(_OF_BATCHES)
        batch = list(self._pages([among, is_of_batch, events.c.number == last]))
        own = self.events(number=number)
        is_in = any(
            number < e.arguments["first"] + e.arguments["count"]
            for e in batch
            if e.name == "BatchIssued"
        )
        return [
            *(batch if is_in else []),
            *(e for e in own if e.contract in listed and e.name not in _OF_RANGES),
        ]

    def by_number(self, contracts: Iterable[str]) -> Iterator[tuple[int, list[Found]]]:
        """The events of these contracts that name a number, grouped by it, ascending; each group in
        chain order. An event that names two is in both groups."""
        among: list[ColumnElement[bool]] = [events.c.contract.in_(list(contracts))]
        streams = [self._sorted_pages(column, among) for column in _NUMBERED]
        merged = merge(*streams, key=lambda found: (found[0], found[1].block, found[1].log_index))
        for number, group in groupby(merged, key=lambda found: found[0]):
            yield number, [event for _, event in group]

    def refused(self) -> list[Refused]:
        """The transactions that the contracts refused, in chain order."""
        query = (
            select(refused, blocks.c.time)
            .join(blocks, blocks.c.number == refused.c.block)
            .where(refused.c.block <= self._until)
            .order_by(refused.c.block, refused.c.position)
        )
        with self._database.reading() as connection:
            return [_attempt(row) for row in connection.execute(query)]

    def count(self) -> int:
        """How many events there are."""
        query = select(func.count()).select_from(events).where(events.c.block <= self._until)
        with self._database.reading() as connection:
            return connection.scalar(query) or 0

    def last_time(self) -> int:
        """The time of the last block read, Unix seconds; 0 before the first."""
        query = select(func.max(blocks.c.time)).where(blocks.c.number <= self._until)
        with self._database.reading() as connection:
            return connection.scalar(query) or 0

    def last_event(self) -> tuple[int, bytes] | None:
        """Number and hash of the last block with an event; None where there is none."""
        query = (
            select(blocks.c.number, blocks.c.hash)
            .where(blocks.c.number <= self._until)
            .where(exists().where(events.c.block == blocks.c.number))
            .order_by(blocks.c.number.desc())
            .limit(1)
        )
        with self._database.reading() as connection:
            row = connection.execute(query).first()
        return None if row is None else (row[0], bytes(row[1]))

    def _pages(self, wanted: list[ColumnElement[bool]]) -> Iterator[Found]:
        for row in self._rows((events.c.block, events.c.log_index), wanted):
            yield _found(row)

    def _sorted_pages(
        self, column: Column[int], wanted: list[ColumnElement[bool]]
    ) -> Iterator[tuple[int, Found]]:
        """Value of a column and event, by both; events without a value are left out."""
        for row in self._rows((column, events.c.block, events.c.log_index), wanted):
            yield getattr(row, column.name), _found(row)

    def _rows(
        self, order: tuple[Column[int], ...], wanted: list[ColumnElement[bool]]
    ) -> Iterator[Any]:
        """Events with their times in an order, a page after the other."""
        query = (
            select(events, blocks.c.time)
            .join(blocks, blocks.c.number == events.c.block)
            .where(events.c.block <= self._until, *wanted)
            .order_by(*order)
            .limit(PAGE)
        )
        after: tuple[int, ...] = (-1,) * len(order)
        while True:
            # The first column once more alone: SQLite looks that up in its index.
            later = and_(order[0] >= after[0], tuple_(*order) > after)
            with self._database.reading() as connection:
                rows = connection.execute(query.where(later)).all()
            yield from rows
            if len(rows) < PAGE:
                return
            after = tuple(getattr(rows[-1], column.name) for column in order)

    # Opening

    def _begin(self, identity: bytes) -> None:
        with self._database.writing() as connection:
            started = self._database.upsert(progress).values(
                id=1, deployment=identity, next_block=self.first_block
            )
            connection.execute(started.on_conflict_do_nothing())
            held = connection.scalar(select(progress.c.deployment))
        if held is None or bytes(held) != identity:
            problem = "is the index of another deployment; name a new one"
            raise StoreError(store=self._database.name, problem=problem)

    def _name_unknown(self) -> None:
        """Names the events that an older version kept without knowing them."""
        query = select(events).where(events.c.name == "")
        with self._database.reading() as connection:
            unknown = [
                row for row in connection.execute(query) if bytes(row.words[:32]) in layouts()
            ]
        if not unknown:
            return
        with self._database.writing() as connection:
            for row in unknown:
                layout = layouts()[bytes(row.words[:32])]
                connection.execute(
                    update(events)
                    .where(events.c.block == row.block, events.c.log_index == row.log_index)
                    .values(
                        name=layout.name,
                        **dict(zip(KEYS, layout.keys(bytes(row.words)), strict=True)),
                    )
                )

    def _locked_place(self, connection: Connection) -> Place:
        connection.execute(select(progress.c.id).with_for_update())
        return _place(connection)

    def _row(self, log: Log) -> dict[str, Any]:
        return {
            "block": log.block,
            "log_index": log.index,
            "transaction": log.transaction,
            "contract": self.addresses[log.address],
            "name": log.name,
            **dict(zip(KEYS, log.keys or _NO_KEYS, strict=True)),
            "topics": log.topics,
            "words": log.words,
        }

    def _refused_row(self, failed: Failed) -> dict[str, Any]:
        return {
            "block": failed.block,
            "position": failed.position,
            "transaction": failed.transaction,
            "contract": self.addresses[failed.address],
            "sender": failed.sender,
            "call": failed.call,
        }


_NUMBERED = (events.c.number, events.c.other_number)
_OF_BATCHES = ("BatchIssued", "BatchEndorsed")
_OF_RANGES = (*_OF_BATCHES, "SegmentAllotted", "SegmentWithdrawn")
"""Events whose number is the first of many."""


def _place(connection: Connection) -> Place:
    next_block = connection.scalar(select(progress.c.next_block))
    assert next_block is not None
    last = connection.scalar(select(blocks.c.hash).where(blocks.c.number == next_block - 1))
    return Place(next_block, None if last is None else bytes(last))


def _forget(connection: Connection, after: int, until: int) -> None:
    """Drops blocks without events that are recent no more."""
    is_used = exists().where(events.c.block == blocks.c.number)
    is_tried = exists().where(refused.c.block == blocks.c.number)
    old = blocks.c.number.between(after, until)
    connection.execute(delete(blocks).where(old, ~is_used, ~is_tried))


def _block_row(header: Header) -> dict[str, Any]:
    return {
        "number": header.number,
        "hash": header.hash,
        "parent": header.parent,
        "time": header.time,
    }


def _found(row: Any) -> Found:
    words = bytes(row.words)
    arguments = layouts()[words[:32]].arguments(words) if row.name else {}
    return Found(
        row.block,
        row.log_index,
        row.time,
        bytes(row.transaction),
        row.contract,
        row.name,
        arguments,
        (row.number, row.other_number, row.institution, row.other_institution, row.segment),
    )


def _attempt(row: Any) -> Refused:
    call = bytes(row.call)
    known = abi.functions(row.contract).values()
    function = next((found.name for found in known if found.selector == call[:4]), "")
    numbers = abi.numbers_of_call(row.contract, call)
    hash_ = bytes(row.transaction)
    return Refused(row.block, row.time, hash_, row.contract, function, row.sender, numbers)


def _identity(manifest: Manifest) -> bytes:
    parts = [str(manifest.chain_id), manifest.genesis_hash, str(manifest.block)]
    parts += [f"{name}={item.address}" for name, item in sorted(manifest.contracts.items())]
    return keccak256("\n".join(parts).encode())
