"""The log of what others read of a hospital's documents: rows are added, and none is ever changed.

    log = store.reads
    log.add(ledger, day, kind, number, entry, salt, leaf)
    for day in log.closed(ledger): ...          # each has its root; the chain gets it

`ledger` is the contract that anchors the log, whatever the kind of what was read.

A day is closed before its root is sent, and takes no entry from then on: what comes later counts
to the next day. So the root that was sent is the one that the log has, whatever stops the program.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Select, func, insert, select

from medledger.store.database import Database
from medledger.store.schema import read_days, reads


@dataclass(frozen=True, slots=True)
class ReadRow:
    """One entry. `entry` is its canonical JSON; `salt` and `leaf` are 32 bytes."""

    ledger: str
    day: int
    position: int
    number: int
    entry: bytes
    salt: bytes
    leaf: bytes
    kind: str


@dataclass(frozen=True, slots=True)
class ReadDay:
    """A day that is closed, with the root over its `count` entries."""

    ledger: str
    day: int
    count: int
    root: bytes


class ReadLog:
    """The tables `reads` and `read_days` of a store."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(
        self, ledger: str, day: int, kind: str, number: int, entry: bytes, salt: bytes, leaf: bytes
    ) -> ReadRow:
        """Adds an entry to a day, or to the first after it that is not closed."""
        with self._database.writing() as connection:
            self._take_turns(connection)
            last = connection.scalar(_last_closed(ledger))
            day = day if last is None else max(day, last + 1)
            place = select(func.count()).select_from(reads)
            where = (reads.c.ledger == ledger, reads.c.day == day)
            position = connection.scalar(place.where(*where)) or 0
            row = ReadRow(ledger, day, position, number, entry, salt, leaf, kind)
            connection.execute(
                insert(reads).values({name: getattr(row, name) for name in ReadRow.__slots__})
            )
        return row

    def close(
        self, ledger: str, until: int, root_of: Callable[[Sequence[bytes]], bytes]
    ) -> list[ReadDay]:
        """Closes every day up to `until` that has entries; all that are closed now, ascending.

        `root_of` makes a root of leaves.
        """
        with self._database.writing() as connection:
            self._take_turns(connection)
            last = connection.scalar(_last_closed(ledger))
            days = select(reads.c.day).distinct().order_by(reads.c.day)
            found = days.where(reads.c.ledger == ledger, reads.c.day <= until)
            for day in list(connection.scalars(found)):
                if last is None or day > last:
                    leaves = [row.leaf for row in _rows(connection, ledger, day)]
                    connection.execute(
                        insert(read_days).values(
                            ledger=ledger, day=day, count=len(leaves), root=root_of(leaves)
                        )
                    )
        return self.closed(ledger)

    def closed(self, ledger: str) -> list[ReadDay]:
        """The days that are closed, ascending."""
        query = select(read_days).where(read_days.c.ledger == ledger).order_by(read_days.c.day)
        with self._database.reading() as connection:
            return [ReadDay(*row) for row in connection.execute(query)]

    def entries(self, ledger: str, day: int) -> list[ReadRow]:
        """The entries of a day, in order."""
        with self._database.reading() as connection:
            return list(_rows(connection, ledger, day))

    def entries_of(self, ledger: str, kind: str, number: int) -> list[ReadRow]:
        """The entries of a document, in order."""
        query = (
            select(reads)
            .where(reads.c.ledger == ledger, reads.c.kind == kind, reads.c.number == number)
            .order_by(reads.c.day, reads.c.position)
        )
        with self._database.reading() as connection:
            return [ReadRow(*row) for row in connection.execute(query)]

    def _take_turns(self, connection: Connection) -> None:
        # SQLite's writers take turns by themselves.
        if not self._database.is_sqlite:
            connection.execute(select(func.pg_advisory_xact_lock(_LOCK)))


# Any number will do; nothing else in the database should take it.
_LOCK = 0x72656164


def _last_closed(ledger: str) -> Select[Any]:
    return select(func.max(read_days.c.day)).where(read_days.c.ledger == ledger)


def _rows(connection: Connection, ledger: str, day: int) -> Iterator[ReadRow]:
    query = (
        select(reads).where(reads.c.ledger == ledger, reads.c.day == day).order_by(reads.c.position)
    )
    for row in connection.execute(query):
        yield ReadRow(*row)
