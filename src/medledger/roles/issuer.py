"""An issuer: numbers, seals and issues documents of one kind after another.

Documents go through `roles.issuing`: number, seal, store with the signed transaction, send,
confirm. Only the last two touch the chain, and `resume` finishes them after a stop, so nothing is
issued twice. What cannot be issued is set aside, with its reason, in the `outbox`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from medledger.chain import abi
from medledger.chain.bindings import BatchIssued, DocumentLedger, SegmentEntry
from medledger.chain.deployment import Ledgers
from medledger.chain.events import Logged, fetch_events
from medledger.chain.sender import Outcome, Policy, Receipt, Sender, error_of
from medledger.core.acts import Act
from medledger.core.batch import block_range, draft_from_bytes, draft_to_bytes, path_of
from medledger.core.documents import Document
from medledger.core.evidence import Anchor, Evidence, evidence_of
from medledger.core.hashing import BatchEndorsement, InvoiceHeader, TreeHead
from medledger.core.numbers import DocumentKind, DocumentNumber
from medledger.core.sealing import Draft
from medledger.core.states import Hold
from medledger.core.transactions import Stage, Transaction
from medledger.errors import (
    ActMismatch,
    KeyMissing,
    MedledgerError,
    NotFound,
    NotIssued,
    NumberSkipped,
    RpcUnavailable,
    TransactionFailed,
)
from medledger.roles.issuing import (
    Lost,
    Pipeline,
    Placed,
    Reject,
    draft_of_stored,
    sealed_of_stored,
)
from medledger.roles.ledger_of import kind_of_ledger, ledger_of
from medledger.roles.outbox import Outbox
from medledger.roles.role import Role
from medledger.roles.segments import fetch_segments
from medledger.store import BatchRow, DocumentStore, StoredDocument

BATCH = 1000
"""Documents in one transaction: the gas a document is then under 90, and a path has 10 hashes."""


@dataclass(frozen=True, slots=True)
class IssueReceipt:
    """A document that is on chain. `head` names its batch; `transaction` is 32 bytes."""

    issuer: Issuer
    kind: DocumentKind
    number: DocumentNumber
    business_key: str
    head: TreeHead
    transaction: bytes
    is_new: bool
    """False where the business key had been issued before."""

    def evidence(self, only: Sequence[str] | None = None) -> Evidence:
        """What proves the document to anybody, opening all its fields or the chosen ones."""
        return self.issuer.evidence(self.number, self.kind, only)


@dataclass(frozen=True, slots=True)
class Accepted:
    """A document that is durable, under its number for good, in a batch that is signed."""

    number: DocumentNumber
    business_key: str
    is_new: bool


Endorser = Callable[[Act], Act]
"""Takes a `BatchEndorsement` to sign and gives it back signed, as `Supervisor.endorse` does."""

ENDORSED_SECONDS = 7 * 24 * 3600
"""How long an endorsement counts: a batch that is stored meanwhile outlasts an outage."""


class Issuer(Role):
    """Whoever issues documents. `store` is SQLAlchemy's address of its own database."""

    def __init__(
        self,
        ledgers: Ledgers,
        operator: bytes | None = None,
        store: str = "sqlite:///hospital.db",
        endorse: Endorser | None = None,
    ) -> None:
        super().__init__(ledgers, operator)
        self.endorse = endorse
        """Who signs the batches of endorsed segments, None for nobody."""
        self.store = DocumentStore(store)
        self._segments: dict[str, dict[int, SegmentEntry]] = {}
        self._ended: dict[int, Outcome] = {}
        """Ends of batches that were seen before they were asked for: no need to ask again."""

    @cached_property
    def sender(self) -> Sender:
        """The sender of this role's key, with the store as its journal; raises `KeyMissing`."""
        if self._operator is None:
            raise KeyMissing()
        return Sender(
            self.ledgers.rpc,
            self._operator,
            chain_id=self.ledgers.chain_id,
            journal=self.store.journal,
            policy=Policy(confirmations=self.ledgers.manifest.confirmations),
        )

    def close(self) -> None:
        """Closes the store."""
        self.store.close()

    def issue_many(
        self,
        documents: Iterable[Document],
        *,
        segment: int | None = None,
        batch: int = BATCH,
        workers: int | None = None,
        on_reject: Reject | None = None,
        compares: bool = True,
    ) -> Iterator[IssueReceipt]:
        """Issues documents of one kind in batches, in the order given; memory stays flat.

        A business key that was issued before gives its first receipt again; with other contents
        under it, unless `compares` is false, that is a `DuplicateBusinessKey`. `on_reject` is told
        what cannot be issued, by business key and error, and none of the others waits for it; it is
        set aside (`outbox`). Without `on_reject` the error is raised. `segment` is by default the
        first of this hospital with room enough. `workers` processes seal where the stream is longer
        than one batch, by default one for each core but one. Raises `NoSegment`, `SegmentUnknown`,
        `SegmentExhausted`, `RpcUnavailable` and what the contract refuses.
        """
        self.resume()
        yield from self._issue_all(
            documents,
            segment=segment,
            batch=batch,
            workers=workers,
            on_reject=on_reject,
            compares=compares,
        )

    def accept_many(
        self,
        documents: Iterable[Document],
        *,
        segment: int | None = None,
        batch: int = BATCH,
        workers: int | None = None,
        on_reject: Reject | None = None,
        compares: bool = True,
    ) -> Iterator[Accepted]:
        """Stores documents, numbered, sealed and signed, without waiting for a chain.

        `resume`, or the next `issue_many`, sends them. A node must have told the hospital's
        segments once; then this goes on while none answers. Otherwise as `issue_many`.
        """
        pipeline = Pipeline(
            self,
            segment=segment,
            batch=batch,
            workers=workers,
            on_reject=on_reject,
            compares=compares,
            waits=False,
        )
        for placed in pipeline.run(documents):
            yield Accepted(DocumentNumber(placed.number), placed.business_key, placed.is_new)

    def resume(self) -> list[str]:
        """Finishes batches that were stored and perhaps sent before a stop, also those of a key
        that was taken from its operator since; those of other operators are left to them.

        Returns the business keys of those that can never be on chain, whose documents are set
        aside now: see `outbox`. Raises `RpcUnavailable`, or `TransactionFailed` for one that waits
        for something.
        """
        lost: list[str] = []
        # Whether what was final still is.
        self.advance()
        for row in self.store.unissued():
            if self._is_left_to_another(row):
                continue
            try:
                self.finish(row)
            except Lost as error:
                lost += error.keys
        return lost

    def outbox(self) -> Outbox:
        """What was set aside, and which transactions are on their way."""
        return Outbox(self.store, self.ledgers)

    def retry(
        self,
        keys: Collection[str] | None = None,
        *,
        kind: DocumentKind | None = None,
        segment: int | None = None,
        on_reject: Reject | None = None,
    ) -> Iterator[IssueReceipt]:
        """Issues documents that were set aside: those of the business keys, or all that can be.

        Raises `NotFound` for a key that is not there, or that was set aside before it could be
        read: give that document again, corrected.
        """
        self.resume()
        for drafts in self.outbox().drafts(keys, kind):
            yield from self._issue_all(
                map(draft_from_bytes, drafts),
                segment=segment,
                batch=BATCH,
                on_reject=on_reject,
            )

    def drop(self, keys: Collection[str], *, kind: DocumentKind | None = None) -> int:
        """Forgets documents that were set aside; how many. Raises `NotFound` for an unknown key."""
        return self.outbox().drop(keys, kind)

    def hold(self, number: int, kind: DocumentKind = "Invoice") -> Receipt:
        """Forbids the use of a document; raises `DocumentIsHeld`."""
        return self._send(
            ledger_of(self.ledgers, kind).hold(self._segment_of(number, kind), number)
        )

    def release(self, number: int, kind: DocumentKind = "Invoice") -> Receipt:
        """Allows the use of a document that is on hold; raises `DocumentNotHeld`.

        A bill that was born on hold and that nobody has opened is opened first, from the store:
        only its header says that it is on hold.
        """
        ledger = ledger_of(self.ledgers, kind)
        segment = self._segment_of(number, kind)
        is_bill = kind == "Invoice" and ledger.hold_of(number) == Hold.AS_ISSUED
        if is_bill and self._was_born_on_hold(number):
            self._open(number)
        return self._send(ledger.release(segment, number))

    def evidence(
        self, number: int, kind: DocumentKind = "Invoice", only: Sequence[str] | None = None
    ) -> Evidence:
        """Evidence of an issued document, from the store; raises `NotFound`, `UnknownField`."""
        ledger = ledger_of(self.ledgers, kind).address
        document = self.store.document(ledger, number)
        row = self.store.batch_of(ledger, number)
        if row.transaction is None:
            raise NotIssued(number=number)
        index = number - row.first
        block = self.store.leaf_range(ledger, row.first, *block_range(index, row.count))
        return evidence_of(
            sealed_of_stored(document),
            row.head(),
            path_of(index, row.count, block, self.store.nodes(ledger, row.first)),
            Anchor(self.ledgers.chain_id, ledger, row.transaction),
            None if only is None else list(only),
        )

    def segments(self, kind: DocumentKind) -> dict[int, SegmentEntry]:
        """The segments allotted to this hospital, by id, as they are on chain now."""
        found = fetch_segments(self, kind)
        self._segments[kind] = found
        return found

    # What the pipeline asks

    def has_asked_for_segments(self, kind: DocumentKind) -> bool:
        """Whether the store knows all segments of a kind that were allotted when this began."""
        return kind in self._segments

    def endorsement_of(
        self, ledger: str, segment: int, first: int, count: int, root: bytes
    ) -> tuple[int, str, bytes]:
        """Deadline, signer and signature for a batch.

        Raises what `endorse` raises, or `ActMismatch` where it signed something else.
        """
        assert self.endorse is not None
        deadline = self._clock() + ENDORSED_SECONDS
        message = BatchEndorsement(segment, first, count, root, deadline)
        request = Act(message, self.ledgers.chain_id, ledger)
        answer = self.endorse(request)
        answer.require_signed()
        if replace(answer, signer="", signature=b"") != request:
            raise ActMismatch(problem="is not the endorsement that was asked for")
        return deadline, answer.signer, answer.signature

    def _clock(self) -> int:
        """The later of the two clocks; this machine's while no node answers."""
        try:
            return max(self.now(), int(time.time()))
        except RpcUnavailable:
            return int(time.time())

    def advance(self) -> None:
        """One pass of the sender; a node that does not answer now is asked again later."""
        try:
            outcomes = self.sender.advance()
        except RpcUnavailable:
            return
        for outcome in outcomes:
            if outcome.transaction.intent.name.endswith((".issue", ".issueEndorsed")):
                self._ended[outcome.transaction.id] = outcome

    def wait_for(self, row: BatchRow) -> BatchRow:
        """Until the transaction of a batch has ended; raises as `Sender.settle`.

        The batch as it is stored then: another signer's may have become this one's.
        """
        row = self._as_stored(row) or row
        if self._is_left_to_another(row):
            self.sender.wait_until(lambda: self._has_ended(row), lambda: self._left_behind(row))
            return row
        found = self.store.journal.transaction(row.transaction_id)
        if found.stage in (Stage.SIGNED, Stage.MINED) and found.signer != self.address:
            row = self._taken_over(row, found)
        self._ended.update(self.sender.settle([row.transaction_id]))
        return row

    def _has_ended(self, row: BatchRow) -> bool:
        """Whether another operator's batch needs nothing more from that operator."""
        if (now := self._as_stored(row)) is None:
            return True
        found = self.store.journal.transaction(now.transaction_id)
        if found.stage is Stage.FAILED:
            # What came too early, its operator sends again.
            return not isinstance(error_of(found), NumberSkipped)
        return found.stage is Stage.FINAL

    def _left_behind(self, row: BatchRow) -> TransactionFailed:
        found = self.store.journal.transaction(row.transaction_id)
        return TransactionFailed(
            transaction="0x" + found.attempts[-1].hash.hex(),
            problem=f"its operator {found.signer} does not go on with it: let that one resume, or "
            "take its key away",
        )

    def outcome_of(self, row: BatchRow) -> BatchRow | None:
        """The batch once it is issued, None while it is on its way.

        Raises `Lost` where it can never be; its documents are set aside then.
        """
        found = self.store.journal.transaction(row.transaction_id)
        if found.stage not in (Stage.FINAL, Stage.FAILED):
            return None
        outcome = self._ended.pop(found.id, None)
        # Its block may have gone away since it was seen, and it may be in another one.
        if outcome is None or outcome.transaction.block_hash != found.block_hash:
            outcome = self.sender.settle([found.id])[found.id]
        if outcome.receipt is None:
            return self._refused(row, outcome.error or NotIssued(number=row.first))
        receipt = outcome.receipt
        return self._issued(row, receipt.timestamp, receipt.block, receipt.hash)

    def finish(self, row: BatchRow) -> BatchRow:
        """The batch once it is issued; raises `Lost`, and as `wait_for`."""
        while (issued := self.outcome_of(row)) is None:
            row = self.wait_for(row)
        return issued

    # The ends of a batch

    def _issued(self, row: BatchRow, issued_at: int, block: int, transaction: bytes) -> BatchRow:
        self.store.mark_issued(
            row.ledger, row.first, issued_at=issued_at, block=block, transaction=transaction
        )
        return self.store.batch_of(row.ledger, row.first)

    def _refused(self, row: BatchRow, error: MedledgerError) -> BatchRow | None:
        """What to do with a batch whose transaction failed."""
        if (issued := self._found_on_chain(row)) is not None:
            return issued
        if isinstance(error, NumberSkipped):
            # It came before one that it must follow.
            if self._is_left_to_another(row):
                return None
            if self._is_next(row):
                self._send_again(row)
                return None
        return self._set_aside(row, error)

    def _send_again(self, row: BatchRow) -> None:
        found = self.store.journal.transaction(row.transaction_id)
        signing = self.sender.signing(found.intent)
        if found.signer == self.address:
            self.store.journal.renonce(found.id, found.nonce, signing)
        else:
            self.store.reassign(row.ledger, row.first, self.address, found.intent, signing)

    def _set_aside(self, row: BatchRow, error: MedledgerError) -> BatchRow | None:
        """Raises `Lost`, unless another program has the batch in its hands: as it is then."""
        next_ = self._ledger_of(row).segment_of(row.segment).next
        keys = [one.business_key for one in self.store.documents_of(row.ledger, row.first)]
        moved = self.store.set_aside_batch(
            row,
            kind=kind_of_ledger(self.ledgers, row.ledger),
            to_draft=_kept_draft,
            reason=error.name,
            problem=str(error),
            since=int(time.time()),
        )
        if moved:
            self.store.reset_segment(row.ledger, row.segment, next_)
            raise Lost(error, keys)
        if (found := self._as_stored(row)) is None:
            raise Lost(error, [])
        return None if found.issued_at is None else found

    def _as_stored(self, row: BatchRow) -> BatchRow | None:
        """The batch as it is by now, perhaps in another's hands; None where it was set aside."""
        try:
            found = self.store.batch_of(row.ledger, row.first)
        except NotFound:
            return None
        # Its numbers may be another batch's.
        return found if found.root == row.root else None

    def _is_left_to_another(self, row: BatchRow) -> bool:
        signer = self.store.journal.transaction(row.transaction_id).signer
        return signer != self.address and not self._is_retired(signer)

    def _is_retired(self, signer: str) -> bool:
        """Whether a signer acts no more, so that somebody else finishes what it left."""
        if signer == self.address:
            return False
        return self.ledgers.institutions.operator_of(signer).until != 0

    def _is_next(self, row: BatchRow) -> bool:
        """Whether the chain has all batches before this one, once they have ended."""
        for one in self.store.unissued(row.ledger):
            if one.segment == row.segment and one.first < row.first:
                try:
                    self.finish(one)
                except Lost:
                    return False
        return self._ledger_of(row).segment_of(row.segment).next == row.first

    def _ledger_of(self, row: BatchRow) -> DocumentLedger:
        return ledger_of(self.ledgers, kind_of_ledger(self.ledgers, row.ledger))

    def _found_on_chain(self, row: BatchRow) -> BatchRow | None:
        """The batch as issued where it is on chain after all, by another attempt."""
        if (logged := self._event_of(row)) is None:
            return None
        issued_at = self.ledgers.rpc.timestamps([logged.block])[logged.block]
        return self._issued(row, issued_at, logged.block, logged.transaction)

    def _event_of(self, row: BatchRow) -> Logged | None:
        """What the ledger said when it took the batch; None where it has not.

        Its contract says whether the numbers are taken, and the event whose they are. Raises
        `RpcUnavailable` where the node says neither.
        """
        rpc, manifest = self.ledgers.rpc, self.ledgers.manifest
        # Everything at one block: behind one address there may be nodes of different height.
        last = rpc.block_number()
        if self._ledger_of(row).at(last).head_hash_of(row.first) == bytes(32):
            return None
        topics = [abi.event_topic("BatchIssued"), f"0x{row.first:064x}"]
        for logged in fetch_events(rpc, [row.ledger], manifest.block, last, topics=topics):
            if isinstance(logged.event, BatchIssued):
                return logged if logged.event.root == row.root else None
        raise RpcUnavailable(url=rpc.url, problem="it has not caught up with its own chain")

    def _taken_over(self, row: BatchRow, found: Transaction) -> BatchRow:
        """A batch that a retired key left behind: this one's now, unless it is on chain."""
        if (logged := self._event_of(row)) is not None:
            self._note_end(found, logged)
            return row
        signing = self.sender.signing(found.intent)
        problem = f"its signer acts no more; {self.address} issues its batch"
        self.store.journal.mark_failed(found.id, problem)
        return self.store.reassign(row.ledger, row.first, self.address, found.intent, signing)

    def _note_end(self, found: Transaction, logged: Logged) -> None:
        """Notes what its own sender would have: nobody else looks after a retired key's."""
        rpc, journal = self.ledgers.rpc, self.store.journal
        block_hash = rpc.octets(rpc.block(logged.block).get("hash"))
        journal.mark_mined(found.id, logged.transaction, logged.block, block_hash)
        if rpc.block_number() - logged.block + 1 < self.sender.policy.confirmations:
            raise TransactionFailed(
                transaction="0x" + logged.transaction.hex(),
                problem=f"its block {logged.block} is not final yet: resume later",
            )
        journal.mark_final(found.id)

    def _open(self, number: int) -> None:
        """Proves the header of a bill on chain, unless somebody has."""
        invoices = self.ledgers.invoices
        if int(invoices.invoice_of(number).patient, 16):
            return
        found = self.evidence(number, "Invoice", [])
        assert isinstance(found.header, InvoiceHeader)
        self._send(invoices.open(found.header, found.head, found.path))

    def _was_born_on_hold(self, number: int) -> bool:
        """What the stored header of a bill says; false where another store has it."""
        try:
            document = self.store.document(self.ledgers.invoices.address, number)
        except NotFound:
            return False
        header = sealed_of_stored(document).header
        return isinstance(header, InvoiceHeader) and header.on_hold

    def _issue_one(self, document: Document, segment: int | None) -> IssueReceipt:
        (receipt,) = self.issue_many([document], segment=segment, batch=1)
        return receipt

    def _issue_all(
        self,
        documents: Iterable[Document | Draft],
        **how: Any,
    ) -> Iterator[IssueReceipt]:
        pipeline = Pipeline(self, **how)
        for placed in pipeline.run(documents):
            yield self._receipt(placed, pipeline.kind)

    def _receipt(self, placed: Placed, kind: DocumentKind) -> IssueReceipt:
        assert placed.batch.transaction is not None
        return IssueReceipt(
            self,
            kind,
            DocumentNumber(placed.number),
            placed.business_key,
            placed.batch.head(),
            placed.batch.transaction,
            placed.is_new,
        )

    def _segment_of(self, number: int, kind: DocumentKind) -> int:
        for known in (self._segments.get(kind, {}), None):
            for id_, entry in (self.segments(kind) if known is None else known).items():
                if entry.first <= number <= entry.last:
                    return id_
        raise NotFound(what=f"number {number}", where="the segments of this hospital")


def _kept_draft(document: StoredDocument) -> bytes:
    return draft_to_bytes(draft_of_stored(document))
