"""The pipeline from documents to batches on chain.

    accept ──> number ──> seal ──> store with its signed transaction ──> send ──> confirm
    (draft)            (sealers)     (one database transaction)             (sender)

A batch of an endorsed segment is endorsed between seal and store, so that what is stored is whole.

A stream is cut into chunks of one batch each, which move on in order: while one is sealed, the one
before is stored, and those before that are confirmed. What was stored is never sealed or signed a
second time by accident; what was not stored, nobody has seen.
"""

from __future__ import annotations

import os
import re
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING

from medledger.chain.contract import Call
from medledger.core.batch import KeptDocument, SealedBatch, draft_of_kept, sealed_of
from medledger.core.documents import Document
from medledger.core.numbers import DocumentKind
from medledger.core.sealing import Draft, Sealed, draft_of
from medledger.errors import (
    DuplicateBusinessKey,
    EndorsementMissing,
    InputError,
    InvalidDocument,
    MedledgerError,
    Refusal,
)
from medledger.roles.ledger_of import ledger_of
from medledger.roles.segments import Numbers
from medledger.sealers import Sealers, Ticket
from medledger.store import BatchRow, NewBatch, NewDocument, NumbersTaken, SetAside, StoredDocument

if TYPE_CHECKING:
    from medledger.roles.issuer import Issuer

ISSUE_GAS = 200_000
"""Limit of a batch's transaction, which uses 65,000 whatever the batch holds, 90,000 if endorsed;
the rest is free, or a contract wallet's. A constant, so that batches can be signed while no node
answers."""

BATCHES_A_PASS = 4
"""Batches that are stored between two passes of the sender: a pass costs as much as 100 bills."""

MAX_KEY = 200
"""Characters of a business key."""

_CONTROL = re.compile("[\x00-\x1f\x7f]")

Reject = Callable[[str, MedledgerError], None]
"""Is told the business key of a document that was not issued, and why."""


class Lost(Exception):
    """A batch can never be issued, because of `error`; the documents of `keys` are set aside."""

    def __init__(self, error: MedledgerError, keys: list[str]) -> None:
        super().__init__(str(error))
        self.error = error
        self.keys = keys


@dataclass(frozen=True, slots=True)
class Placed:
    """A document with its number. `is_new`: it was not stored before."""

    business_key: str
    number: int
    batch: BatchRow
    is_new: bool


@dataclass(slots=True, eq=False)
class _Chunk:
    """Documents that came together: all `keys` in order, what is new under a key, and, once they
    are stored, the numbers of these."""

    keys: list[str]
    drafts: dict[str, Draft]
    segment: int = 0
    first: int = 0
    ticket: Ticket | None = None
    row: BatchRow | None = None
    new: dict[str, int] = field(default_factory=dict)


class Pipeline:
    """One stream of documents of one kind.

    `waits`: a document comes out when its batch is final, else as soon as it is durable.
    `compares`: what comes under a used business key must be what was stored under it.
    """

    def __init__(
        self,
        hospital: Issuer,
        *,
        segment: int | None = None,
        batch: int,
        workers: int | None = None,
        on_reject: Reject | None = None,
        compares: bool = True,
        waits: bool = True,
    ) -> None:
        self._hospital = hospital
        self._store = hospital.store
        self._segment = segment
        self._batch = batch
        self._workers = processes() if workers is None else workers
        self._on_reject = on_reject
        self._compares = compares
        self._waits = waits
        self._sealers = Sealers(0)
        self._kind: DocumentKind | None = None
        self._chunks: deque[_Chunk] = deque()
        self._unstored: dict[str, Draft] = {}
        self._probed: set[int] = set()
        self._since_pass = 0

    def run(self, documents: Iterable[Document | Draft]) -> Iterator[Placed]:
        """Every document that has its number for good, in the order given."""
        rest = iter(documents)
        try:
            while given := list(islice(rest, self._batch)):
                try:
                    self._enter(given)
                except MedledgerError:
                    # Whoever gave what came before waits for it.
                    yield from self._leave(until=0)
                    raise
                yield from self._leave(until=self._depth)
            yield from self._leave(until=0)
        finally:
            self._sealers.close()

    @property
    def kind(self) -> DocumentKind:
        """What the stream holds; known with its first document."""
        assert self._kind is not None
        return self._kind

    # Accept

    def _enter(self, given: Sequence[Document | Draft]) -> None:
        self._require_one_kind(given)
        if self._chunks and len(given) == self._batch and not self._sealers.processes:
            # The second full batch: it is worth while to start processes.
            self._sealers = Sealers(self._workers)
        drafts = [draft for draft in map(self._draft, given) if draft is not None]
        chunk = _Chunk([], {})
        try:
            self._sort_out(chunk, drafts)
            self._plan(chunk)
        except MedledgerError:
            self._forget(chunk)
            raise
        self._chunks.append(chunk)

    def _require_one_kind(self, given: Sequence[Document | Draft]) -> None:
        kinds = {one.kind for one in given}
        if len(kinds | ({self._kind} if self._kind else set())) != 1:
            raise InvalidDocument(field="kind", problem="is not the same throughout the stream")
        if self._kind is None:
            (self._kind,) = kinds
            self._ledger = ledger_of(self._hospital.ledgers, self._kind)
            self._numbers = Numbers(self._hospital, self._kind, self._segment)

    def _draft(self, document: Document | Draft) -> Draft | None:
        if isinstance(document, Draft):
            return document
        try:
            _require_key(document.business_key)
            return draft_of(document)
        except InputError as error:
            if self._on_reject is None:
                raise
            self._set_aside(document, error)
            self._reject(document.business_key, error)
            return None

    def _set_aside(self, document: Document, error: InputError) -> None:
        # As far as a database takes it: the key may be what is wrong.
        key = _CONTROL.sub("?", document.business_key).encode(errors="replace").decode()[:MAX_KEY]
        if not self._store.numbers_of(self._ledger.address, [key]):
            row = SetAside(
                0,
                self._ledger.address,
                document.kind,
                key,
                None,
                error.name,
                str(error),
                int(time.time()),
            )
            self._store.set_aside([row])

    def _sort_out(self, chunk: _Chunk, drafts: Sequence[Draft]) -> None:
        """Which drafts are new; any other must be what its key stands for already."""
        keys = [draft.business_key for draft in drafts]
        stored = self._store.numbers_of(self._ledger.address, keys)
        for key, draft in zip(keys, drafts, strict=True):
            if key not in stored and key not in self._unstored:
                chunk.drafts[key] = self._unstored[key] = draft
            elif not self._is_same(draft, stored.get(key)):
                continue
            chunk.keys.append(key)

    def _is_same(self, draft: Draft, number: int | None) -> bool:
        """Whether a draft is what its key stands for, under a number or in this stream."""
        if not self._compares:
            return True
        key = draft.business_key
        if number is None:
            found = self._unstored[key]
        else:
            found = draft_of_stored(self._store.document(self._ledger.address, number))
        if draft != found:
            self._reject(key, DuplicateBusinessKey(key=key, number=number or "in this stream"))
        return draft == found

    def _reject(self, key: str, error: MedledgerError) -> None:
        if self._on_reject is None:
            raise error
        self._on_reject(key, error)

    # Number and seal

    def _plan(self, chunk: _Chunk) -> None:
        if chunk.drafts:
            chunk.segment, chunk.first = self._numbers.take(len(chunk.drafts))
            if self._numbers.is_endorsed(chunk.segment) and self._hospital.endorse is None:
                raise EndorsementMissing(segment=chunk.segment)
            chunk.ticket = self._sealers.submit(list(chunk.drafts.values()), chunk.first)

    def _plan_again(self) -> None:
        """New numbers for all that is not stored: another program was quicker, or one was lost."""
        self._numbers.plan_again()
        for chunk in self._chunks:
            if chunk.ticket is not None:
                stored = self._store.numbers_of(self._ledger.address, chunk.drafts)
                for key, number in stored.items():
                    del self._unstored[key]
                    if not self._is_same(chunk.drafts.pop(key), number):
                        chunk.keys = [one for one in chunk.keys if one != key]
                chunk.ticket = None
                self._plan(chunk)

    def _forget(self, chunk: _Chunk) -> None:
        for key in chunk.drafts:
            del self._unstored[key]

    # Store

    def _store_sealed(self, chunk: _Chunk) -> None:
        """The one step in which documents get their numbers for good; or they are planned again."""
        assert chunk.ticket is not None
        sealed = self._sealers.result(chunk.ticket)
        try:
            chunk.row = self._add_batch(chunk, sealed)
        except (NumbersTaken, DuplicateBusinessKey):
            self._plan_again()
            return
        self._forget(chunk)
        # Only keys and numbers are wanted from now on.
        chunk.new = {key: number for number, key in enumerate(chunk.drafts, chunk.first)}
        chunk.drafts, chunk.ticket = {}, None

    def _add_batch(self, chunk: _Chunk, sealed: SealedBatch) -> BatchRow:
        hospital, count = self._hospital, len(chunk.drafts)
        call = self._call(chunk, sealed.root)
        if self._waits and chunk.segment not in self._probed:
            if chunk.segment not in self._store.signers_in(self._ledger.address):
                self._probe(call, chunk)
            self._probed.add(chunk.segment)
        new = NewBatch(
            self._ledger.address,
            chunk.first,
            count,
            chunk.segment,
            sealed.root,
            sealed.leaves,
            sealed.nodes,
        )
        intent = hospital.sender.intent(call, ISSUE_GAS)
        return self._store.add_batch(
            new, _rows(chunk, sealed), hospital.address, intent, hospital.sender.signing(intent)
        )

    def _call(self, chunk: _Chunk, root: bytes) -> Call:
        """The batch's transaction, with its endorsement: asked for before anything is stored."""
        batch = (chunk.segment, chunk.first, len(chunk.drafts), root)
        if not self._numbers.is_endorsed(chunk.segment):
            return self._ledger.issue(*batch)
        deadline, signer, signature = self._hospital.endorsement_of(self._ledger.address, *batch)
        return self._ledger.issue_endorsed(*batch, deadline, signer, signature)

    def _probe(self, call: Call, chunk: _Chunk) -> None:
        """Tells a refusal before anything is stored: a segment's first batch is like its others."""
        try:
            self._hospital.sender.estimate(call)
        except Refusal:
            row = self._store.segment(self._ledger.address, chunk.segment)
            # Another program on this store took the numbers: others are planned then.
            if row is None or row.next == chunk.first:
                raise

    # Confirm

    @property
    def _depth(self) -> int:
        """Chunks on their way at once: so many that neither sealers nor chain wait for work."""
        return self._sealers.count * 2 + self._hospital.sender.policy.in_flight

    def _leave(self, until: int) -> Iterator[Placed]:
        """The documents of chunks that are done; waits while there are more than `until`."""
        while self._chunks:
            self._store_all_sealed()
            is_done = self._is_done(self._chunks[0])
            if is_done:
                yield from self._placed(self._chunks.popleft())
            elif len(self._chunks) > until or self._sealing > 2 * max(self._sealers.count, 1):
                self._wait()
            else:
                return

    @property
    def _sealing(self) -> int:
        return sum(chunk.ticket is not None for chunk in self._chunks)

    def _store_all_sealed(self) -> None:
        for chunk in self._chunks:
            if chunk.ticket is not None:
                if not self._sealers.is_done(chunk.ticket):
                    return
                self._store_sealed(chunk)
                self._since_pass += 1
                if self._waits and self._since_pass >= BATCHES_A_PASS:
                    self._since_pass = 0
                    self._hospital.advance()

    def _is_done(self, chunk: _Chunk) -> bool:
        if chunk.ticket is not None:
            return False
        if chunk.row is None or not self._waits:
            return True
        try:
            row = self._hospital.outcome_of(chunk.row)
        except Lost as lost:
            self._lose(chunk, lost.error)
            return True
        chunk.row = row or chunk.row
        return row is not None

    def _lose(self, chunk: _Chunk, error: MedledgerError) -> None:
        """The batch was set aside: its documents are the outbox's."""
        for key in chunk.new:
            self._reject(key, error)
        chunk.keys = [key for key in chunk.keys if key not in chunk.new]
        chunk.row, chunk.new = None, {}
        self._plan_again()

    def _wait(self) -> None:
        """For the oldest chunk that is being sealed, or else for the oldest batch."""
        sealing = next((chunk for chunk in self._chunks if chunk.ticket is not None), None)
        if sealing is not None and sealing.ticket is not None:
            self._sealers.result(sealing.ticket)
        elif (row := self._chunks[0].row) is not None:
            self._chunks[0].row = self._hospital.wait_for(row)

    def _placed(self, chunk: _Chunk) -> Iterator[Placed]:
        before = [key for key in chunk.keys if key not in chunk.new]
        numbers = self._store.numbers_of(self._ledger.address, before) | chunk.new
        batch = chunk.row
        for key in chunk.keys:
            # Without a number where it was set aside with an earlier chunk, which has been told.
            if (number := numbers.get(key)) is None:
                continue
            if batch is None or number not in batch.numbers:
                batch = self._store.batch_of(self._ledger.address, number)
            try:
                batch = self._finished(batch)
            except Lost as lost:
                for one in [one for one in numbers if numbers[one] in batch.numbers]:
                    del numbers[one]
                    self._reject(one, lost.error)
                continue
            yield Placed(key, number, batch, chunk.new.pop(key, None) is not None)

    def _finished(self, batch: BatchRow) -> BatchRow:
        if self._waits and batch.issued_at is None:
            # Stored by another program, or without waiting for it.
            return self._hospital.finish(batch)
        return batch


def _require_key(key: str) -> None:
    """Databases index it, and people read it."""
    if len(key) > MAX_KEY:
        raise InvalidDocument(field="business key", problem=f"has more than {MAX_KEY} characters")
    if _CONTROL.search(key):
        raise InvalidDocument(field="business key", problem="has a control character")


def processes() -> int:
    """Processes that seal where nothing else is said: one for each core but the caller's own."""
    cores = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    return max(cores - 1, 1)


def sealed_of_stored(row: StoredDocument) -> Sealed:
    """A stored document as evidence is made of it."""
    return sealed_of(row.number, KeptDocument(row.header, row.fields, row.secret))


def draft_of_stored(row: StoredDocument) -> Draft:
    """The draft that a stored document was made of."""
    kept = KeptDocument(row.header, row.fields, row.secret)
    return draft_of_kept(row.business_key, row.patient_key, kept)


def _rows(chunk: _Chunk, sealed: SealedBatch) -> Iterator[NewDocument]:
    drafts = list(chunk.drafts.values())
    for number, (draft, kept) in enumerate(
        zip(drafts, sealed.kept(drafts), strict=True), chunk.first
    ):
        yield NewDocument(number, draft.business_key, draft.patient_key, *kept)
