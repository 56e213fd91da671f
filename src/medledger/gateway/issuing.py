"""The one thread that uses the operator's key.

Role objects and senders are not for two threads at once, so every write goes through here, one
after the other. Documents that wait at the same time go into one batch: where a block takes a
second, a hundred bills a second still find room.

A request that fails or is cut off may be sent again: the business key finds the first receipt.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from threading import Lock
from typing import TypeVar

from medledger.core.documents import Document
from medledger.core.sealing import draft_of
from medledger.errors import (
    MedledgerError,
    SegmentExhausted,
)
from medledger.roles import Hospital, IssueReceipt
from medledger.roles.issuer import BATCH

PATIENCE_SECONDS = 20.0
"""How long a request waits for a chain on which nothing moves. What it has stored is issued later:
the same request again finds it."""

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
        sender = hospital.sender
        sender.policy = replace(sender.policy, patience_seconds=PATIENCE_SECONDS)
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="issuing")
        self._waiting: deque[_Submission] = deque()
        self._lock = Lock()

    def resume(self) -> None:
        """Finishes what a stop has interrupted, in the background."""
        self._thread.submit(self._resume)

    def issue(self, document: Document, segment: int | None = None) -> Future[IssueReceipt]:
        """The receipt, once the document is on chain.

        Raises the `InputError` of a document that cannot be sealed. Fails with
        `DuplicateBusinessKey` where the business key has been used for a document of other
        content, and as `Hospital.issue_many` does.
        """
        # Told at once, and not set aside: whoever asks can correct it.
        draft_of(document)
        submission = _Submission(document, segment)
        with self._lock:
            self._waiting.append(submission)
        self._thread.submit(self._issue_waiting)
        return submission.done

    def act(self, action: Callable[[Hospital], T]) -> Future[T]:
        """What an action of the hospital returns; it runs when its turn comes."""
        return self._thread.submit(action, self.hospital)

    def close(self) -> None:
        """Waits for what is under way; what still waits is given up, and was never accepted."""
        self._thread.shutdown(wait=True, cancel_futures=True)
        for submission in self._waiting:
            submission.done.cancel()

    def _resume(self) -> None:
        try:
            for key in self.hospital.resume():
                _log.error("business key %s was not issued: see the outbox", key)
        except MedledgerError as error:
            _log.error("unfinished batches stay unfinished: %s", error)

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
            outcomes = self._issue(group)
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
        documents = [item.document for item in group]
        outcomes: dict[str, IssueReceipt | MedledgerError] = {}
        issued = self.hospital.issue_many(
            documents, segment=group[0].segment, on_reject=outcomes.__setitem__
        )
        outcomes.update((receipt.business_key, receipt) for receipt in issued)
        return [outcomes[document.business_key] for document in documents]
