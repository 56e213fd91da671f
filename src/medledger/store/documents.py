"""Numbered documents in their batches, the segments of numbers, and what was set aside.

    store = DocumentStore("sqlite:///hospital.db")
    batch = store.add_batch(new_batch, documents, signer, intent, sign)

`add_batch` is the one step in which documents get their numbers for good: numbers, documents,
root, nonce and signed bytes are stored together, before anything is sent, or not at all. Headers,
fields and drafts are bytes here; who calls knows what they mean.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Connection,
    Select,
    Text,
    and_,
    case,
    delete,
    exists,
    func,
    insert,
    literal,
    select,
    true,
    update,
)
from sqlalchemy.exc import IntegrityError

from medledger.core.hashing import TreeHead
from medledger.core.transactions import Intent, Signing
from medledger.errors import DuplicateBusinessKey, NotFound, StoreError
from medledger.store.database import Database, chunks, driver_errors
from medledger.store.journal import SqlJournal
from medledger.store.reads import ReadLog
from medledger.store.schema import (
    UNISSUED,
    batches,
    documents,
    outbox,
    segments,
    transactions,
)

_HASH_BYTES = 32
_DOCUMENTS_READ = 500


class NewDocument(NamedTuple):
    """A sealed document under its number. A plain tuple, since each becomes a row as it is."""

    number: int
    business_key: str
    patient_key: str
    header: bytes
    fields: bytes
    secret: bytes


@dataclass(frozen=True, slots=True)
class NewBatch:
    """A batch to store. `leaves` and `nodes` are hashes of 32 bytes, one after the other.

    `leaves` are all of the tree's leaves in order of number, `nodes` the tree's nodes of level 8,
    each over 256 leaves.
    """

    ledger: str
    first: int
    count: int
    segment: int
    root: bytes
    leaves: bytes
    nodes: bytes


@dataclass(frozen=True, slots=True)
class BatchRow:
    """A batch as stored. The last three are None until its transaction is final.

    `transaction` is the hash that is in `block`; `issued_at` is in Unix seconds.
    """

    ledger: str
    first: int
    count: int
    segment: int
    root: bytes
    transaction_id: int
    transaction: bytes | None
    issued_at: int | None
    block: int | None

    @property
    def numbers(self) -> range:
        return range(self.first, self.first + self.count)

    def head(self) -> TreeHead:
        """The tree head; only of a batch that is on chain."""
        if self.issued_at is None:
            raise ValueError("the batch is not on chain")
        return TreeHead(self.first, self.count, self.segment, self.issued_at)


class StoredDocument(NamedTuple):
    """A document as stored; `first` is its batch's first number."""

    number: int
    first: int
    business_key: str
    patient_key: str
    header: bytes
    fields: bytes
    secret: bytes


@dataclass(frozen=True, slots=True)
class SegmentRow:
    """The numbers `first` to `last`; `next` is the lowest that no stored batch has taken.

    `endorsed`: each batch needs a supervisor's signature. `withdrawn`: no batch may follow.
    """

    ledger: str
    segment: int
    institution: int
    first: int
    last: int
    next: int
    endorsed: bool = False
    withdrawn: bool = False


@dataclass(frozen=True, slots=True)
class SetAside:
    """A document that could not be issued. `id` is the store's, 0 before that.

    `reason` is an error's class name, `problem` its text; `since` is in Unix seconds. `draft` is
    None where not even a document could be made of what came in.
    """

    id: int
    ledger: str
    kind: str
    business_key: str
    draft: bytes | None
    reason: str
    problem: str
    since: int


class NumbersTaken(Exception):
    """Another program took these numbers first; the segment goes on at `next`. Try again there."""

    def __init__(self, next_: int) -> None:
        super().__init__(f"the next number is {next_}")
        self.next = next_


_BATCH = [batches.c[name] for name in BatchRow.__dataclass_fields__]
_DOCUMENT = [documents.c[name] for name in StoredDocument._fields]
_TOLD = ("institution", "first", "last", "endorsed", "withdrawn")
"""What the chain alone says of a segment."""
_SEGMENT = [segments.c[name] for name in SegmentRow.__dataclass_fields__]
_SET_ASIDE = [outbox.c[name] for name in SetAside.__dataclass_fields__]

_SET_ASIDE_GIVEN = [name for name in SetAside.__dataclass_fields__ if name != "id"]
_SET_ASIDE_CHANGES = [name for name in _SET_ASIDE_GIVEN if name not in ("ledger", "business_key")]

_NEW_COLUMNS = "ledger, first, " + ", ".join(NewDocument._fields)
_NEW_TYPES = ["varchar", "int8", "int8", "text", "text", "bytea", "bytea", "bytea"]


class DocumentStore:
    """The documents of one or more hospitals. `url` is SQLAlchemy's (`sqlite:///hospital.db`).

    It holds patients' data and the secrets that open every seal: protect it as such. All methods
    raise `StoreError` where the database fails; several programs may use one store at once.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._database = Database(url)
        self.journal = SqlJournal(self._database)
        self.reads = ReadLog(self._database)

    @property
    def name(self) -> str:
        """The address without a password."""
        return self._database.name

    def close(self) -> None:
        self._database.close()

    def check(self) -> None:
        """Raises `StoreError` unless it takes writes; changes nothing."""
        with self._database.writing() as connection:
            connection.execute(delete(segments).where(segments.c.segment < 0))

    # Segments

    def segment(self, ledger: str, segment: int) -> SegmentRow | None:
        """A segment as this store knows it."""
        with self._database.reading() as connection:
            row = connection.execute(
                select(*_SEGMENT).where(_is_segment(ledger, segment))
            ).one_or_none()
        return None if row is None else SegmentRow(*row)

    def segments(self, ledger: str) -> list[SegmentRow]:
        """The known segments of all institutions that issue from this store, by id."""
        with self._database.reading() as connection:
            rows = connection.execute(
                select(*_SEGMENT).where(segments.c.ledger == ledger).order_by(segments.c.segment)
            )
            return [SegmentRow(*row) for row in rows]

    def save_segment(self, row: SegmentRow) -> SegmentRow:
        """Stores what the chain says, but never lowers `next`; what is stored then."""
        new = self._database.upsert(segments).values(asdict(row))
        changes = {name: new.excluded[name] for name in _TOLD}
        next_ = case(
            (segments.c.next < new.excluded.next, new.excluded.next), else_=segments.c.next
        )
        with self._database.writing() as connection:
            connection.execute(
                new.on_conflict_do_update(
                    index_elements=["ledger", "segment"], set_={**changes, "next": next_}
                )
            )
            stored = connection.execute(
                select(*_SEGMENT).where(_is_segment(row.ledger, row.segment))
            ).one()
        return SegmentRow(*stored)

    def reset_segment(self, ledger: str, segment: int, next_: int) -> bool:
        """Goes on at `next_`, after a batch that was set aside left its numbers free.

        Never below the numbers of an issued batch. False, and nothing is changed, while a batch of
        the segment is not issued: its numbers are taken.
        """
        with self._database.writing() as connection:
            self._lock_segment(connection, ledger, segment)
            waiting = connection.scalar(
                select(func.count())
                .select_from(batches)
                .where(UNISSUED, batches.c.ledger == ledger, batches.c.segment == segment)
            )
            if waiting:
                return False
            connection.execute(
                update(segments)
                .where(_is_segment(ledger, segment))
                .values(next=max(next_, self._end_of_issued(connection, ledger, segment)))
            )
            return True

    # Batches

    def add_batch(
        self,
        batch: NewBatch,
        new: Iterable[NewDocument],
        signer: str,
        intent: Intent,
        sign: Signing,
    ) -> BatchRow:
        """Stores a batch, its documents and its signed transaction, all of it or nothing.

        The segment goes on after the batch, the signer's next nonce is taken, and what was set
        aside under one of the business keys is forgotten. `new` is in order of number, from
        `batch.first` on without a gap.

        Raises `NumbersTaken` where another program was first, `DuplicateBusinessKey`, `NotFound`
        for an unknown segment. After a `StoreError` only a look tells whether it was stored: the
        database may have been lost during the commit.
        """
        seen: list[str] = []
        try:
            with self._database.writing() as connection:
                self._take_numbers(connection, batch)
                transaction = self.journal.add_within(connection, signer, intent, sign)
                row = _insert_batch(connection, batch, transaction.id)
                self._insert_documents(connection, batch, _checked(batch, new, seen))
                _forget_set_aside(connection, batch)
        except StoreError as error:
            if isinstance(error.__cause__, IntegrityError):
                raise self._conflict(batch, seen) from error
            raise
        return row

    def batch_of(self, ledger: str, number: int) -> BatchRow:
        """The batch that has a number; raises `NotFound`."""
        with self._database.reading() as connection:
            row = connection.execute(
                select(*_BATCH)
                .where(batches.c.ledger == ledger, batches.c.first <= number)
                .order_by(batches.c.first.desc())
                .limit(1)
            ).one_or_none()
        batch = None if row is None else BatchRow(*row)
        if batch is None or number >= batch.first + batch.count:
            raise self._not_found(f"number {number}")
        return batch

    def batch_of_transaction(self, transaction_id: int) -> BatchRow | None:
        """The batch that a transaction of the journal issues."""
        with self._database.reading() as connection:
            row = connection.execute(
                select(*_BATCH).where(batches.c.transaction_id == transaction_id)
            ).one_or_none()
        return None if row is None else BatchRow(*row)

    def unissued(self, ledger: str | None = None) -> list[BatchRow]:
        """Batches that were stored, sent perhaps, and are not known to be final; oldest first."""
        wanted = select(*_BATCH).where(UNISSUED).order_by(batches.c.transaction_id)
        if ledger is not None:
            wanted = wanted.where(batches.c.ledger == ledger)
        with self._database.reading() as connection:
            return [BatchRow(*row) for row in connection.execute(wanted)]

    def issued_between(self, ledger: str, start: int, end: int) -> list[BatchRow]:
        """Batches that were issued from one time until before another, Unix seconds, by number."""
        wanted = (
            select(*_BATCH)
            .where(batches.c.ledger == ledger)
            .where(batches.c.issued_at >= start, batches.c.issued_at < end)
            .order_by(batches.c.first)
        )
        with self._database.reading() as connection:
            return [BatchRow(*row) for row in connection.execute(wanted)]

    def signers_in(self, ledger: str) -> dict[int, set[str]]:
        """Who has a batch on its way in which segment."""
        wanted = (
            select(batches.c.segment, transactions.c.signer)
            .join(transactions, transactions.c.id == batches.c.transaction_id)
            .where(batches.c.ledger == ledger, UNISSUED)
            .distinct()
        )
        found: dict[int, set[str]] = {}
        with self._database.reading() as connection:
            for segment, signer in connection.execute(wanted):
                found.setdefault(segment, set()).add(signer)
        return found

    def mark_issued(
        self, ledger: str, first: int, *, issued_at: int, block: int, transaction: bytes
    ) -> None:
        """Records that the chain has the batch for good; `issued_at` is the block's time."""
        self._update_batch(ledger, first, issued_at=issued_at, block=block, transaction=transaction)

    def reassign(
        self, ledger: str, first: int, signer: str, intent: Intent, sign: Signing
    ) -> BatchRow:
        """Gives a batch that is not issued a transaction of another signer; raises `NotFound`.

        Unchanged where it is issued, or has one of this signer already.
        """
        here = _is_batch(ledger, first)
        with self._database.writing() as connection:
            id_ = connection.scalar(
                select(batches.c.transaction_id).where(here, UNISSUED).with_for_update()
            )
            signed_by = select(transactions.c.signer).where(transactions.c.id == id_)
            if id_ is not None and connection.scalar(signed_by) != signer:
                transaction = self.journal.add_within(connection, signer, intent, sign)
                connection.execute(
                    update(batches).where(here).values(transaction_id=transaction.id)
                )
        return self.batch_of(ledger, first)

    def leaf_range(self, ledger: str, first: int, start: int, stop: int) -> bytes:
        """The leaves from index `start` to before `stop`, 32 bytes each; raises `NotFound`.

        Fewer where the batch ends before `stop`.
        """
        wanted = func.substr(
            batches.c.leaves, start * _HASH_BYTES + 1, (stop - start) * _HASH_BYTES
        )
        return self._of_batch(ledger, first, wanted)

    def nodes(self, ledger: str, first: int) -> bytes:
        """The tree's nodes of level 8, 32 bytes each; raises `NotFound`."""
        return self._of_batch(ledger, first, batches.c.nodes)

    # Documents

    def numbers_of(self, ledger: str, business_keys: Iterable[str]) -> dict[str, int]:
        """Business key to number, of those that are stored."""
        found: dict[str, int] = {}
        with self._database.reading() as connection:
            for keys in chunks(business_keys):
                rows = connection.execute(self._numbers_under(ledger, keys))
                found.update((key, number) for key, number in rows)
        return found

    def numbers(self, ledger: str) -> list[int]:
        """All stored numbers of one ledger, ascending."""
        with self._database.reading() as connection:
            return list(
                connection.scalars(
                    select(documents.c.number)
                    .where(documents.c.ledger == ledger)
                    .order_by(documents.c.number)
                )
            )

    def document(self, ledger: str, number: int) -> StoredDocument:
        """A stored document; raises `NotFound`."""
        with self._database.reading() as connection:
            row = connection.execute(
                select(*_DOCUMENT).where(documents.c.ledger == ledger, documents.c.number == number)
            ).one_or_none()
        if row is None:
            raise self._not_found(f"number {number}")
        return StoredDocument(*row)

    def documents_of(self, ledger: str, first: int) -> Iterator[StoredDocument]:
        """The documents of a batch in order of number, read a few hundred at a time."""
        with self._database.reading() as connection:
            count = connection.scalar(select(batches.c.count).where(_is_batch(ledger, first)))
        for start in range(first, first + (count or 0), _DOCUMENTS_READ):
            with self._database.reading() as connection:
                found = _documents(connection, ledger, first, start)
            yield from found

    # What was set aside

    def set_aside(self, rows: Iterable[SetAside]) -> None:
        """Keeps documents that could not be issued, in place of what their keys had before."""
        with self._database.writing() as connection:
            for chunk in chunks(rows):
                self._insert_set_aside(connection, chunk)

    def set_aside_batch(
        self,
        batch: BatchRow,
        *,
        kind: str,
        to_draft: Callable[[StoredDocument], bytes],
        reason: str,
        problem: str,
        since: int,
    ) -> int:
        """Takes a batch that can never be issued apart: each document becomes one set aside.

        How many; 0 where another program did it first, or gave the batch another transaction, or
        where it is issued. The segment's `next` stays: see `reset_segment`.
        """
        ledger, first = batch.ledger, batch.first
        # Its numbers may be those of another batch by now, which is on its way.
        here = and_(_is_batch(ledger, first), batches.c.transaction_id == batch.transaction_id)
        with self._database.writing() as connection:
            count = connection.scalar(
                select(batches.c.count).where(here, UNISSUED).with_for_update()
            )
            for start in range(first, first + (count or 0), _DOCUMENTS_READ):
                self._insert_set_aside(
                    connection,
                    [
                        SetAside(
                            0, ledger, kind, row.business_key, to_draft(row), reason, problem, since
                        )
                        for row in _documents(connection, ledger, first, start)
                    ],
                )
            if count:
                connection.execute(delete(documents).where(_in_batch(ledger, first, count)))
                connection.execute(delete(batches).where(here))
        return count or 0

    def list_set_aside(
        self,
        ledger: str | None = None,
        keys: Iterable[str] | None = None,
        limit: int | None = None,
        after_id: int = 0,
    ) -> list[SetAside]:
        """What was set aside, by id, from behind `after_id` on; `keys` are business keys."""
        wanted = select(*_SET_ASIDE).where(outbox.c.id > after_id).order_by(outbox.c.id)
        if ledger is not None:
            wanted = wanted.where(outbox.c.ledger == ledger)
        if keys is not None:
            wanted = wanted.where(self._database.among(outbox.c.business_key, keys))
        with self._database.reading() as connection:
            return [SetAside(*row) for row in connection.execute(wanted.limit(limit))]

    def drop_set_aside(self, ledger: str, keys: Iterable[str]) -> int:
        """Forgets what was set aside under these business keys; how many there were."""
        wanted = self._database.among(outbox.c.business_key, keys)
        with self._database.writing() as connection:
            dropped = connection.execute(delete(outbox).where(outbox.c.ledger == ledger, wanted))
            return dropped.rowcount

    # Parts of these

    def _numbers_under(self, ledger: str, keys: list[str]) -> Select[str, int]:
        """The business keys among `keys` that are stored, and their numbers."""
        if self._database.is_sqlite:
            return select(documents.c.business_key, documents.c.number).where(
                documents.c.ledger == ledger, self._database.among(documents.c.business_key, keys)
            )
        # One look-up for each key, whatever the planner knows of the table: before its first
        # ANALYZE it takes the ledger for the rarer condition, and reads all documents each time.
        given = func.unnest(literal(keys, ARRAY(Text))).table_valued("key").render_derived()
        stored = (
            select(documents.c.number)
            .where(documents.c.ledger == ledger, documents.c.business_key == given.c.key)
            .limit(1)
            .lateral()
        )
        return select(given.c.key, stored.c.number).join_from(given, stored, true())

    def _lock_segment(self, connection: Connection, ledger: str, segment: int) -> int:
        """The segment's next number; its row is locked until the transaction ends."""
        next_: int | None = connection.scalar(
            select(segments.c.next).where(_is_segment(ledger, segment)).with_for_update()
        )
        if next_ is None:
            raise self._not_found(f"segment {segment}")
        return next_

    def _end_of_issued(self, connection: Connection, ledger: str, segment: int) -> int:
        """The number behind a segment's last batch: a node that lags must not lower it."""
        last = (
            select(batches.c.first + batches.c.count)
            .where(batches.c.ledger == ledger, batches.c.segment == segment)
            .order_by(batches.c.first.desc())
            .limit(1)
        )
        return connection.scalar(last) or 0

    def _take_numbers(self, connection: Connection, batch: NewBatch) -> None:
        next_ = self._lock_segment(connection, batch.ledger, batch.segment)
        if next_ != batch.first:
            raise NumbersTaken(next_)
        connection.execute(
            update(segments)
            .where(_is_segment(batch.ledger, batch.segment))
            .values(next=batch.first + batch.count)
        )

    def _insert_documents(
        self, connection: Connection, batch: NewBatch, new: Iterable[NewDocument]
    ) -> None:
        # By the driver itself: this is the only statement that runs for each document.
        insert_all = _insert_sqlite if self._database.is_sqlite else _copy_postgresql
        with driver_errors(connection), closing(connection.connection.cursor()) as cursor:
            insert_all(cursor, batch, new)

    def _conflict(self, batch: NewBatch, seen: list[str]) -> DuplicateBusinessKey | StoreError:
        """Why a unique index refused the batch. `seen` are its keys as far as they were read."""
        known = self.numbers_of(batch.ledger, seen)
        for number, key in enumerate(seen, batch.first):
            if key in known:
                return DuplicateBusinessKey(key=key, number=known[key])
            known[key] = number
        problem = "holds other documents under these numbers: do two segments overlap?"
        return StoreError(store=self.name, problem=problem)

    def _update_batch(self, ledger: str, first: int, **values: Any) -> None:
        with self._database.noting() as connection:
            connection.execute(update(batches).where(_is_batch(ledger, first)).values(values))

    def _of_batch(self, ledger: str, first: int, wanted: ColumnElement[bytes]) -> bytes:
        with self._database.reading() as connection:
            found: bytes | None = connection.scalar(select(wanted).where(_is_batch(ledger, first)))
        if found is None:
            raise self._not_found(f"the batch from {first} on")
        return found

    def _insert_set_aside(self, connection: Connection, rows: list[SetAside]) -> None:
        new = self._database.upsert(outbox)
        changes = {name: new.excluded[name] for name in _SET_ASIDE_CHANGES}
        connection.execute(
            new.on_conflict_do_update(index_elements=["ledger", "business_key"], set_=changes),
            [{name: getattr(row, name) for name in _SET_ASIDE_GIVEN} for row in rows],
        )

    def _not_found(self, what: str) -> NotFound:
        return NotFound(what=what, where=f"the store {self.name}")


def _is_segment(ledger: str, segment: int) -> ColumnElement[bool]:
    return and_(segments.c.ledger == ledger, segments.c.segment == segment)


def _is_batch(ledger: str, first: int) -> ColumnElement[bool]:
    return and_(batches.c.ledger == ledger, batches.c.first == first)


def _in_batch(ledger: str, first: int, count: int) -> ColumnElement[bool]:
    """Documents by their numbers, since only these are indexed."""
    return and_(
        documents.c.ledger == ledger,
        documents.c.number >= first,
        documents.c.number < first + count,
    )


def _checked(batch: NewBatch, new: Iterable[NewDocument], seen: list[str]) -> Iterator[NewDocument]:
    """The documents as they are; their business keys go to `seen`.

    Raises `ValueError` unless their numbers are the batch's: a gap could never be closed.
    """
    number = batch.first
    for document in new:
        if document.number != number:
            raise ValueError(f"expected number {number}, found {document.number}")
        number += 1
        seen.append(document.business_key)
        yield document
    if len(seen) != batch.count:
        raise ValueError(f"expected {batch.count} documents, found {len(seen)}")


def _insert_batch(connection: Connection, batch: NewBatch, transaction_id: int) -> BatchRow:
    connection.execute(insert(batches).values(transaction_id=transaction_id, **asdict(batch)))
    return BatchRow(
        ledger=batch.ledger,
        first=batch.first,
        count=batch.count,
        segment=batch.segment,
        root=batch.root,
        transaction_id=transaction_id,
        transaction=None,
        issued_at=None,
        block=None,
    )


def _insert_sqlite(cursor: Any, batch: NewBatch, new: Iterable[NewDocument]) -> None:
    # Constants stand in the statement, so that each document is bound without being copied.
    ledger = batch.ledger.replace("'", "''")
    values = f"'{ledger}', {batch.first:d}" + ", ?" * len(NewDocument._fields)
    cursor.executemany(f"INSERT INTO documents ({_NEW_COLUMNS}) VALUES ({values})", new)


def _copy_postgresql(cursor: Any, batch: NewBatch, new: Iterable[NewDocument]) -> None:
    # Binary: as text, each byte would be written in hexadecimal.
    with cursor.copy(f"COPY documents ({_NEW_COLUMNS}) FROM STDIN (FORMAT BINARY)") as copy:
        copy.set_types(_NEW_TYPES)
        for document in new:
            copy.write_row((batch.ledger, batch.first, *document))


def _forget_set_aside(connection: Connection, batch: NewBatch) -> None:
    stored = select(documents.c.business_key).where(
        _in_batch(batch.ledger, batch.first, batch.count)
    )
    here = outbox.c.ledger == batch.ledger
    # Mostly nothing is set aside: then the batch need not be read again.
    if connection.scalar(select(exists().where(here))):
        connection.execute(delete(outbox).where(here, outbox.c.business_key.in_(stored)))


def _documents(connection: Connection, ledger: str, first: int, start: int) -> list[StoredDocument]:
    """The documents of a batch from a number on, a few hundred at most."""
    rows = connection.execute(
        select(*_DOCUMENT)
        .where(_in_batch(ledger, start, _DOCUMENTS_READ), documents.c.first == first)
        .order_by(documents.c.number)
    )
    return [StoredDocument(*row) for row in rows]
