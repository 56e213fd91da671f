"""The hospital: issues bills and prescriptions, holds, reverses and cancels them.

    hospital = Hospital.connect("http://127.0.0.1:8545", operator=key, store="sqlite:///hospital.db")
    receipt = hospital.issue(invoice)
    receipt.evidence().to_json()      # what the patient keeps

A batch goes: number, seal, store with its signed transaction, send, confirm. Only the last two
touch the chain, and `resume` finishes them after a stop, so nothing is issued twice.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from itertools import islice

from medledger.chain import abi
from medledger.chain.bindings import BatchIssued, DocumentLedger, SegmentAllotted, SegmentEntry
from medledger.chain.contract import Call
from medledger.chain.deployment import Ledgers
from medledger.chain.events import fetch_events
from medledger.chain.sender import Receipt
from medledger.core.documents import Document, Invoice, Prescription, RedLetter
from medledger.core.evidence import Anchor, Evidence, evidence_of
from medledger.core.hashing import InvoiceHeader, TreeHead
from medledger.core.numbers import DocumentNumber
from medledger.core.sealing import SECRET_BYTES, seal
from medledger.core.states import Standing
from medledger.core.tree import Tree
from medledger.errors import (
    InputError,
    InvalidDocument,
    InvoiceInUse,
    InvoiceIsRedLetter,
    InvoiceIsReversed,
    MedledgerError,
    NonceTaken,
    NoSegment,
    NotFound,
    NotIssued,
    Refusal,
    RpcUnavailable,
    SegmentExhausted,
    SegmentUnknown,
    TransactionReverted,
)
from medledger.roles.ledger_of import DocumentKind, ledger_of
from medledger.roles.role import Role
from medledger.store import BatchRow, DocumentRow, DocumentStore

BATCH = 1000
"""Documents in one transaction: the gas a document is then under 90, and a path has 10 hashes."""

Reject = Callable[[Document, InputError], None]


@dataclass(frozen=True, slots=True)
class IssueReceipt:
    """A document that is on chain. `head` names its batch; `transaction` is 32 bytes."""

    hospital: Hospital
    kind: DocumentKind
    number: DocumentNumber
    business_key: str
    head: TreeHead
    transaction: bytes
    is_new: bool
    """False where the business key had been issued before."""

    def evidence(self, only: Sequence[str] | None = None) -> Evidence:
        """What proves the document to anybody, opening all its fields or the chosen ones."""
        return self.hospital.evidence(self.number, self.kind, only)


class Hospital(Role):
    """An issuer of bills and prescriptions. `store` is SQLAlchemy's address of its own database."""

    def __init__(
        self, ledgers: Ledgers, operator: bytes | None = None, store: str = "sqlite:///hospital.db"
    ) -> None:
        super().__init__(ledgers, operator)
        self.store = DocumentStore(store)
        self._tree = lru_cache(maxsize=8)(self._build_tree)
        self._segments: dict[str, dict[int, SegmentEntry]] = {}

    def close(self) -> None:
        """Closes the store."""
        self.store.close()

    def issue(self, invoice: Invoice, *, segment: int | None = None) -> IssueReceipt:
        """Issues one bill: a batch of one. See `issue_many`."""
        return self._issue_one(invoice, segment)

    def prescribe(self, prescription: Prescription, *, segment: int | None = None) -> IssueReceipt:
        """Issues one prescription: a batch of one. See `issue_many`."""
        return self._issue_one(prescription, segment)

    def issue_many(
        self,
        documents: Iterable[Document],
        *,
        segment: int | None = None,
        batch: int = BATCH,
        on_reject: Reject | None = None,
    ) -> Iterator[IssueReceipt]:
        """Issues documents of one kind in batches, in the order given; memory stays flat.

        A business key that was issued before gives its first receipt again. A document that cannot
        be sealed is given to `on_reject` with its error, or raises it without one, and blocks none
        of the others. `segment` is by default the first of this hospital with room enough. Raises
        `SegmentUnknown`, `SegmentExhausted` and what the contract refuses.
        """
        self.resume()
        rest = iter(documents)
        while chunk := list(islice(rest, batch)):
            yield from self._issue_batch(chunk, segment, on_reject)

    def resume(self) -> list[str]:
        """Finishes batches that were stored and perhaps sent before a stop.

        Returns the business keys of batches that can never be on chain, because their numbers or
        their nonce were taken by somebody else: submit those documents again.
        """
        lost: list[str] = []
        for contract in (self.ledgers.invoices, self.ledgers.prescriptions):
            for row in self.store.unconfirmed(contract.address):
                call = contract.issue(row.segment, row.first, row.count, row.root)
                try:
                    self.sender.broadcast([self.sender.restored(call, row.raw)])
                    self._confirm(call, row)
                except (Refusal, TransactionReverted):
                    lost += self.store.remove_batch(row.ledger, row.first)
                except NonceTaken:
                    if not self._found_on_chain(contract, row):
                        lost += self.store.remove_batch(row.ledger, row.first)
        return lost

    def hold(self, number: int, kind: DocumentKind = "Invoice") -> Receipt:
        """Forbids the use of a document; raises `DocumentIsHeld`."""
        return self._send(
            ledger_of(self.ledgers, kind).hold(self._segment_of(number, kind), number)
        )

    def release(self, number: int, kind: DocumentKind = "Invoice") -> Receipt:
        """Allows the use of a document that is on hold; raises `DocumentNotHeld`."""
        ledger = ledger_of(self.ledgers, kind)
        return self._send(ledger.release(self._segment_of(number, kind), number))

    def issue_red_letters(
        self, numbers: Sequence[int], *, segment: int | None = None
    ) -> list[IssueReceipt]:
        """Issues a red-letter bill for each of these bills, in one batch or more; reverses nothing.

        Raises `NotFound` where a bill is not in the store.
        """
        ledger = self.ledgers.invoices.address
        now = datetime.fromtimestamp(self.now(), UTC)
        originals = (self.store.document(ledger, number).sealed for number in numbers)
        letters = [
            RedLetter(sealed.header, sealed.fields, now)
            for sealed in originals
            if isinstance(sealed.header, InvoiceHeader)
        ]
        return list(self.issue_many(letters, segment=segment))

    def reverse(self, number: int, red_letter: int | None, reason: int) -> Receipt:
        """Reverses a bill; `reason` is a code, 0 to 65535.

        Without the number of an issued red-letter bill, one is issued first. Raises
        `InvoiceInUse` while a payer has it locked, `InvoiceIsReversed` or `InvoiceIsRedLetter`.
        """
        if red_letter is None:
            # A refusal is told before a number is spent on a red letter.
            self._require_reversible(number)
            (letter,) = self.issue_red_letters([number])
            red_letter = letter.number
        return self._send(self._reverse(number, red_letter, reason))

    def reverse_many(self, rows: Sequence[tuple[int, int, int]]) -> Iterator[Receipt]:
        """Reverses many bills: (number, red letter, reason) each."""
        return self.sender.send_many([self._reverse(*row) for row in rows])

    def cancel(self, number: int, reason: int) -> Receipt:
        """Cancels a prescription that no pharmacy has.

        Raises `PrescriptionIsTaken` or `StateForbids`.
        """
        segment = self._segment_of(number, "Prescription")
        return self._send(self.ledgers.prescriptions.cancel(segment, number, reason))

    def evidence(
        self, number: int, kind: DocumentKind = "Invoice", only: Sequence[str] | None = None
    ) -> Evidence:
        """Evidence of an issued document, from the store; raises `NotFound`, `UnknownField`."""
        ledger = ledger_of(self.ledgers, kind).address
        document = self.store.document(ledger, number)
        row = self.store.batch_of(ledger, number)
        if row.issued_at is None:
            raise NotIssued(number=number)
        tree = self._tree(ledger, row.first, row.root)
        return evidence_of(
            document.sealed,
            row.head(),
            tree.path(number - row.first),
            Anchor(self.ledgers.chain_id, ledger, row.transaction),
            None if only is None else list(only),
        )

    def segments(self, kind: DocumentKind) -> dict[int, SegmentEntry]:
        """The segments allotted to this hospital, by id, as they are on chain now."""
        ledger = ledger_of(self.ledgers, kind)
        topics = [abi.event_topic("SegmentAllotted"), None, f"0x{self.institution:064x}"]
        first, last = self.ledgers.manifest.block, self.ledgers.rpc.block_number()
        logs = fetch_events(self.ledgers.rpc, [ledger.address], first, last, topics=topics)
        ids = [item.event.segment for item in logs if isinstance(item.event, SegmentAllotted)]
        found = {segment: ledger.segment_of(segment) for segment in ids}
        self._segments[kind] = found
        return found

    def _issue_one(self, document: Document, segment: int | None) -> IssueReceipt:
        (receipt,) = self.issue_many([document], segment=segment, batch=1)
        return receipt

    def _issue_batch(
        self, chunk: list[Document], segment: int | None, on_reject: Reject | None
    ) -> Iterator[IssueReceipt]:
        kind = _kind_of(chunk)
        ledger = ledger_of(self.ledgers, kind)
        keys = [document.business_key for document in chunk]
        known = self.store.numbers_of(ledger.address, keys)
        fresh: dict[str, Document] = {}
        for document in chunk:
            if document.business_key not in known:
                # Of two with one key, the first is the one that was submitted.
                fresh.setdefault(document.business_key, document)
        if fresh:
            segment, first = self._room(kind, len(fresh), segment)
            rows = self._seal_all(list(fresh.values()), first, on_reject)
            if rows:
                known |= {row.business_key: row.sealed.header.number for row in rows}
                self._anchor(ledger.issue, ledger.address, segment, first, rows)
        issued = fresh.keys() & known.keys()
        batch: BatchRow | None = None
        for key in keys:
            if key not in known:
                continue
            number = known[key]
            if batch is None or not batch.first <= number < batch.first + batch.count:
                batch = self.store.batch_of(ledger.address, number)
            yield IssueReceipt(
                self,
                kind,
                DocumentNumber(number),
                key,
                batch.head(),
                batch.transaction,
                key in issued,
            )

    def _seal_all(
        self, documents: Sequence[Document], first: int, on_reject: Reject | None
    ) -> list[DocumentRow]:
        rows: list[DocumentRow] = []
        for document in documents:
            number = DocumentNumber(first + len(rows))
            try:
                sealed = seal(document, number, secrets.token_bytes(SECRET_BYTES))
            except InputError as error:
                if on_reject is None:
                    raise
                on_reject(document, error)
            else:
                rows.append(DocumentRow(sealed, document.business_key, first))
        return rows

    def _anchor(
        self,
        issue: Callable[[int, int, int, bytes], Call],
        ledger: str,
        segment: int,
        first: int,
        rows: Sequence[DocumentRow],
    ) -> None:
        """Store with signature, send, confirm: write-ahead signing."""
        root = Tree([row.sealed.leaf for row in rows]).root
        call = issue(segment, first, len(rows), root)
        gas = self.sender.estimate(call)
        signed = self.sender.sign(call, gas=gas, fees=self.sender.fees())
        batch = BatchRow(
            ledger, first, len(rows), segment, root, signed.hash, signed.raw, None, None
        )
        try:
            self.store.add_batch(batch, rows)
        except MedledgerError:
            self.sender.forget()
            raise
        try:
            self.sender.broadcast([signed])
            self._confirm(call, batch)
        except (Refusal, TransactionReverted):
            # Mined and refused: these numbers went to another batch, this one can never be.
            self.store.remove_batch(ledger, first)
            raise

    def _confirm(self, call: Call, row: BatchRow) -> None:
        (receipt,) = self.sender.confirm([self.sender.restored(call, row.raw)])
        issued_at = self.ledgers.rpc.timestamps([receipt.block])[receipt.block]
        self.store.mark_issued(row.ledger, row.first, issued_at, receipt.block)

    def _found_on_chain(self, contract: DocumentLedger, row: BatchRow) -> bool:
        """Whether the batch is on chain after all, although the node shows no receipt for it.

        A replica may lag with receipts. Its contract says whether the numbers are taken, and the
        event whose they are; where it says neither, nothing is decided. Raises `RpcUnavailable`.
        """
        rpc, manifest = self.ledgers.rpc, self.ledgers.manifest
        # Everything at one block: behind one address there may be nodes of different height.
        last = rpc.block_number()
        if not self.sender.has_used_nonce_of(row.raw, last):
            raise RpcUnavailable(
                url=rpc.url, problem="it lags behind the node that knows the nonce"
            )
        if contract.at(last).head_hash_of(row.first) == bytes(32):
            return False
        topics = [abi.event_topic("BatchIssued"), f"0x{row.first:064x}"]
        logs = fetch_events(rpc, [contract.address], manifest.block, last, topics=topics)
        for logged in logs:
            if isinstance(logged.event, BatchIssued):
                if logged.event.root != row.root or logged.transaction != row.transaction:
                    return False
                issued_at = rpc.timestamps([logged.block])[logged.block]
                self.store.mark_issued(row.ledger, row.first, issued_at, logged.block)
                return True
        raise RpcUnavailable(url=rpc.url, problem="it has not caught up with its own chain")

    def _room(self, kind: DocumentKind, count: int, segment: int | None) -> tuple[int, int]:
        """(segment, next number) of a segment with room for `count`."""
        ledger = ledger_of(self.ledgers, kind)
        if segment is None:
            # Those seen before first: finding new ones reads the whole chain's events.
            for id_ in self._segments.get(kind, {}):
                entry = ledger.segment_of(id_)
                if entry.last + 1 - entry.next >= count:
                    return id_, entry.next
            found = self.segments(kind)
        else:
            found = {segment: ledger.segment_of(segment)}
        left = 0
        for id_, entry in found.items():
            left = entry.last + 1 - entry.next
            if entry.institution and left >= count:
                return id_, entry.next
        if not found:
            raise NoSegment(institution=self.institution)
        if segment is not None and not found[segment].institution:
            raise SegmentUnknown(segment=segment)
        raise SegmentExhausted(segment=next(reversed(found)), left=left, count=count)

    def _segment_of(self, number: int, kind: DocumentKind) -> int:
        for known in (self._segments.get(kind, {}), None):
            for id_, entry in (self.segments(kind) if known is None else known).items():
                if entry.first <= number <= entry.last:
                    return id_
        raise NotFound(what=f"number {number}", where="the segments of this hospital")

    def _require_reversible(self, number: int) -> None:
        invoices, claims = self.ledgers.invoices, self.ledgers.claims
        standing = invoices.invoice_of(number).standing
        if standing == Standing.REVERSED:
            raise InvoiceIsReversed(number=number, redLetter=invoices.reversed_by(number))
        if standing == Standing.RED_LETTER:
            raise InvoiceIsRedLetter(number=number)
        locked, reimbursed = claims.usage_of(number)
        if locked:
            raise InvoiceInUse(number=number, locked=locked, reimbursed=reimbursed)

    def _reverse(self, number: int, red_letter: int, reason: int) -> Call:
        return self.ledgers.invoices.reverse(
            self._segment_of(number, "Invoice"),
            number,
            self._segment_of(red_letter, "Invoice"),
            red_letter,
            reason,
        )

    def _build_tree(self, ledger: str, first: int, _root: bytes) -> Tree:
        # The root is part of the cache's key: a lost batch's numbers go to another.
        return Tree(self.store.leaves(ledger, first))


def _kind_of(documents: Sequence[Document]) -> DocumentKind:
    kinds = {document.kind for document in documents}
    if len(kinds) != 1:
        raise InvalidDocument(field="kind", problem="is not the same throughout the stream")
    return "Prescription" if kinds == {"Prescription"} else "Invoice"
