"""Sealing in processes of its own, so that a province's bills use all cores.

Each process is this module, run with the interpreter that runs the caller, and talks over a pipe
of its own. Nothing of the caller is imported again, so a script needs no `__main__` guard, and a
caller may have threads. The order of the results is the order of the work; a process that ends
before its time costs nothing but its speed, because the caller seals its work itself.

    with Sealers(2) as sealers:
        ticket = sealers.submit(drafts, first)
        sealed = sealers.result(ticket)
"""

from __future__ import annotations

import os
import pickle
import queue
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, Pipe
from types import TracebackType
from typing import Self

from medledger.core.batch import SealedBatch, seal_batch
from medledger.core.sealing import SECRET_BYTES, Draft

_DIED = (EOFError, OSError, pickle.UnpicklingError)


@dataclass(slots=True)
class Ticket:
    """Work that was handed out."""

    drafts: Sequence[Draft]
    first: int
    worker: _Worker | None
    sealed: SealedBatch | None = None


@dataclass(slots=True)
class _Worker:
    process: subprocess.Popen[bytes]
    pipe: Connection
    waiting: deque[Ticket] = field(default_factory=deque)


class Sealers:
    """`count` processes that seal batches; with none, the caller's own process does."""

    def __init__(self, count: int) -> None:
        self.count = count
        self._workers = [_start() for _ in range(count)]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def processes(self) -> list[int]:
        """The ids of those that still work."""
        return [worker.process.pid for worker in self._workers]

    def submit(self, drafts: Sequence[Draft], first: int) -> Ticket:
        """Hands work to whoever has least; `first` is the number of the first draft."""
        while self._workers:
            worker = min(self._workers, key=lambda one: len(one.waiting))
            ticket = Ticket(drafts, first, worker)
            try:
                worker.pipe.send_bytes(pickle.dumps((drafts, first), pickle.HIGHEST_PROTOCOL))
            except _DIED:
                self._bury(worker)
                continue
            worker.waiting.append(ticket)
            return ticket
        return Ticket(drafts, first, None)

    def result(self, ticket: Ticket) -> SealedBatch:
        """The sealed batch, once it is done."""
        while ticket.sealed is None and ticket.worker is not None:
            self._receive(ticket.worker)
        if ticket.sealed is None:
            ticket.sealed = _sealed(ticket.drafts, ticket.first)
        return ticket.sealed

    def is_done(self, ticket: Ticket) -> bool:
        """Whether `result` would not wait for another process."""
        while ticket.sealed is None and ticket.worker is not None:
            try:
                ready = ticket.worker.pipe.poll()
            except _DIED:
                ready = True
            if not ready:
                return False
            self._receive(ticket.worker)
        return True

    def close(self) -> None:
        """Ends the processes; harmless a second time. What they had left to do, `result` does."""
        for worker in list(self._workers):
            self._bury(worker)

    def _receive(self, worker: _Worker) -> None:
        try:
            sealed = pickle.loads(worker.pipe.recv_bytes())
        except _DIED:
            self._bury(worker)
            return
        worker.waiting.popleft().sealed = sealed

    def _bury(self, worker: _Worker) -> None:
        """Its work comes back to the caller."""
        self._workers.remove(worker)
        for ticket in worker.waiting:
            ticket.worker = None
        worker.pipe.close()
        worker.process.kill()
        worker.process.wait()


def _start() -> _Worker:
    ours, theirs = Pipe()
    with theirs:
        process = subprocess.Popen(
            # -P: no module of the folder that the caller happens to stand in.
            [sys.executable, "-P", "-m", __name__, str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            # Of its own: an interrupt at the keyboard is for the caller.
            process_group=0,
        )
    return _Worker(process, ours)


def _sealed(drafts: Sequence[Draft], first: int) -> SealedBatch:
    return seal_batch(drafts, first, os.urandom(SECRET_BYTES * len(drafts)))


def _work(pipe: Connection) -> None:
    """Seals what comes until the caller hangs up."""
    given: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
    # Read apart: a caller that still hands out work does not take results, and would wait for ever.
    threading.Thread(target=_read, args=(pipe, given), daemon=True).start()
    with suppress(ConnectionError):
        while (work := given.get()) is not None:
            sealed = _sealed(*pickle.loads(work))
            pipe.send_bytes(pickle.dumps(sealed, pickle.HIGHEST_PROTOCOL))


def _read(pipe: Connection, given: queue.SimpleQueue[bytes | None]) -> None:
    with suppress(EOFError, OSError):
        while True:
            given.put(pipe.recv_bytes())
    given.put(None)


if __name__ == "__main__":
    _work(Connection(int(sys.argv[1])))
