"""The one thread that uses the operator's key.

Role objects and senders are not for two threads at once, so every write goes through here, one
after the other. Documents that wait at the same time go into one batch: where a block takes a
second, a hundred bills a second still find room.

A request that fails or is cut off may be sent again: the business key finds the first receipt.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Collection
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Lock
from typing import TypeVar

from medledger.core.canonical import canonical
from medledger.core.documents import Document
from medledger.core.numbers import DocumentNumber
from medledger.core.sealing import check_code
from medledger.errors import (
    DuplicateBusinessKey,
    InputError,
    MedledgerError,
    NonceTaken,
    SegmentExhausted,
)
from medledger.roles import Hospital, IssueReceipt
from medledger.roles.hospital import BATCH
from medledger.roles.ledger_of import ledger_of
from medledger.store import DocumentRow

T = TypeVar("T")
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Submission:
    document: Document
    segment: int | None
    done: Future[IssueReceipt] = field(default_factory=Future)


class IssuingDesk:
    """Issues documents and acts on them for one hospital."""

    def __init__(self, hospital: Hospital) -> None:
        self.hospital = hospital
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="issuing")
        self._waiting: deque[_Submission] = deque()
        self._lock = Lock()

    def resume(self) -> None:
        """Finishes what a stop has interrupted, in the background."""
        self._thread.submit(self._resume)

    def issue(self, document: Document, segment: int | None = None) -> Future[IssueReceipt]:
        """The receipt, once the document is on chain.

        Fails with `DuplicateBusinessKey` where the business key has been used for a document of
        other content, and as `Hospital.issue_many` does.
        """
        submission = _Submission(document, segment)
        with self._lock:
            self._waiting.append(submission)
        self._thread.submit(self._issue_waiting)
        return submission.done

    def act(self, action: Callable[[Hospital], T]) -> Future[T]:
        """What an action of the hospital returns; it runs when its turn comes."""
        return self._thread.submit(self._retried, lambda: action(self.hospital))

    def close(self) -> None:
        """Waits for what is under way; what still waits is given up, and was never accepted."""
        self._thread.shutdown(wait=True, cancel_futures=True)
        for submission in self._waiting:
            submission.done.cancel()

    def _resume(self) -> None:
        try:
            self._finish_batches(waiting=())
        except MedledgerError as error:
            _log.error("unfinished batches stay unfinished: %s", error)

    def _finish_batches(self, waiting: Collection[str]) -> None:
        for key in self.hospital.resume():
            if key not in waiting:
                _log.error("business key %s was never issued: submit it again", key)

    @staticmethod
    def _retried(act: Callable[[], T]) -> T:
        try:
            return act()
        except NonceTaken:
            # Somebody else uses the key too. What was signed can never be mined, so it is safe to
            # sign it anew, with the nonce that the node says.
            return act()

    def _issue_waiting(self) -> None:
        """Every submission schedules one call; the first call takes all that wait together."""
        group = [item for item in self._take() if item.done.set_running_or_notify_cancel()]
        if group:
            self._settle(group)

    def _take(self) -> list[_Submission]:
        """Those that fit one batch with the oldest: one kind and segment, no business key twice."""
        group: dict[str, _Submission] = {}
        rest: deque[_Submission] = deque()
        with self._lock:
            while self._waiting:
                item = self._waiting.popleft()
                first = next(iter(group.values()), item)
                fits = (item.document.kind, item.segment) == (first.document.kind, first.segment)
                if fits and len(group) < BATCH and item.document.business_key not in group:
                    group[item.document.business_key] = item
                else:
                    rest.append(item)
            self._waiting = rest
        return list(group.values())

    def _settle(self, group: list[_Submission]) -> None:
        """Gives each submission its receipt or its error."""
        try:
            outcomes = self._retried(lambda: self._issue(group))
        except SegmentExhausted as error:
            if len(group) > 1:
                # The last numbers are for those that came first.
                for item in group:
                    self._settle([item])
                return
            group[0].done.set_exception(error)
        except Exception as error:  # noqa: BLE001 - each waiting request raises it again
            for item in group:
                item.done.set_exception(error)
        else:
            for item, outcome in zip(group, outcomes, strict=True):
                if isinstance(outcome, IssueReceipt):
                    item.done.set_result(outcome)
                else:
                    item.done.set_exception(outcome)

    def _issue(self, group: list[_Submission]) -> list[IssueReceipt | MedledgerError]:
        kind = group[0].document.kind
        ledger = ledger_of(self.hospital.ledgers, kind).address
        documents = {item.document.business_key: item.document for item in group}
        self._finish_batches(waiting=documents)
        rejected: dict[str, InputError] = {}

        def reject(document: Document, error: InputError) -> None:
            rejected[document.business_key] = error

        issued = self.hospital.issue_many(
            documents.values(), segment=group[0].segment, on_reject=reject
        )
        receipts = {receipt.business_key: receipt for receipt in issued}
        outcomes: list[IssueReceipt | MedledgerError] = []
        for key, document in documents.items():
            receipt = receipts.get(key)
            if receipt is None:
                outcomes.append(rejected[key])
            elif receipt.is_new or self._is_stored(document, receipt, ledger):
                outcomes.append(receipt)
            else:
                outcomes.append(DuplicateBusinessKey(key=key, number=receipt.number))
        return outcomes

    def _is_stored(self, document: Document, receipt: IssueReceipt, ledger: str) -> bool:
        return has_content_of(document, self.hospital.store.document(ledger, receipt.number))


def has_content_of(document: Document, row: DocumentRow) -> bool:
    """Whether a document would be sealed to what is stored: every field, and the header."""
    header = row.sealed.header
    number = DocumentNumber(header.number)
    fields = document.fields(number, check_code(row.sealed.secret))
    return canonical(fields) == canonical(row.sealed.fields) and (
        document.header(number, header.body) == header
    )
