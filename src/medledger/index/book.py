"""The index itself: what it holds, and how a portion comes in or goes out again.

A portion and the place that reading has reached change in one transaction, and only if no other
program was faster. It does not wait for the disk: what a power cut takes, the chain tells again,
and the place goes back with it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
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
_NO_KEYS = (None,) * len(KEYS)


@dataclass(frozen=True, slots=True)
class Place:
    """How far an index is: the next block, and the last one's hash (None before the first)."""

    next_block: int
    last_hash: bytes | None


@dataclass(frozen=True, slots=True)
class Found:
    """An event of the index. `name` is empty for one that this version does not know.

    `time` is in Unix seconds, `transaction` 32 bytes, `arguments` by their Solidity names.
    """

    block: int
    log_index: int
    time: int
    transaction: bytes
    contract: str
    name: str
    arguments: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Refused:
    """A transaction that a contract refused. `function` is empty for one that it does not have."""

    block: int
    time: int
    transaction: bytes
    contract: str
    function: str
    sender: str

    @property
    def name(self) -> str:
        """What was tried."""
        return f"{self.contract}.{self.function or 'unknown'} refused"


class EventIndex:
    """A database by URL for one deployment. Raises `StoreError` for one of anything else."""

    def __init__(self, url: str, manifest: Manifest) -> None:
        self._database = Database(url, INDEX)
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

    def events(
        self,
        *,
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
            .where(among, events.c.name == "BatchIssued", events.c.number <= number)
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

    def refused(self) -> list[Refused]:
        """The transactions that the contracts refused, in chain order."""
        query = (
            select(refused, blocks.c.time)
            .join(blocks, blocks.c.number == refused.c.block)
            .order_by(refused.c.block, refused.c.position)
        )
        with self._database.reading() as connection:
            return [_attempt(row) for row in connection.execute(query)]

    def count(self) -> int:
        """How many events there are."""
        with self._database.reading() as connection:
            return connection.scalar(select(func.count()).select_from(events)) or 0

    def last_time(self) -> int:
        """The time of the last block read, Unix seconds; 0 before the first."""
        with self._database.reading() as connection:
            return connection.scalar(select(func.max(blocks.c.time))) or 0

    def _pages(self, wanted: list[ColumnElement[bool]]) -> Iterator[Found]:
        query = (
            select(events, blocks.c.time)
            .join(blocks, blocks.c.number == events.c.block)
            .order_by(events.c.block, events.c.log_index)
            .limit(PAGE)
        )
        after = (-1, -1)
        while True:
            later = tuple_(events.c.block, events.c.log_index) > after
            with self._database.reading() as connection:
                rows = connection.execute(query.where(and_(later, *wanted))).all()
            for row in rows:
                yield _found(row)
            if len(rows) < PAGE:
                return
            after = (rows[-1].block, rows[-1].log_index)

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
    )


def _attempt(row: Any) -> Refused:
    selector = bytes(row.call)[:4]
    known = abi.functions(row.contract).values()
    function = next((found.name for found in known if found.selector == selector), "")
    return Refused(row.block, row.time, bytes(row.transaction), row.contract, function, row.sender)


def _identity(manifest: Manifest) -> bytes:
    parts = [str(manifest.chain_id), manifest.genesis_hash, str(manifest.block)]
    parts += [f"{name}={item.address}" for name, item in sorted(manifest.contracts.items())]
    return keccak256("\n".join(parts).encode())
