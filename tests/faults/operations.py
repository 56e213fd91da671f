"""Every place where a program touches its database or its node, counted, and what goes wrong there.

    with watching(Watch(node, END, at=17)):
        story(hospital)         # the process ends before its 17th operation

There are no fail points in the product: the operations are SQL statements, commits and HTTP
requests, seen from outside. What others see changes only with an operation, so the end before one
is the end after the one before it. Rows that a driver inserts by itself count with their statement.
"""

from __future__ import annotations

import os
import signal
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import psycopg
import pytest
import requests
from sqlalchemy import Connection, Engine, event
from sqlalchemy.exc import OperationalError

ENDED = 7
"""Exit code of a process that a fault has ended."""

COMMIT = "COMMIT"
SHOWN = 70
"""Characters of an operation in messages."""

Send = Callable[[], requests.Response]


class Fault(NamedTuple):
    """What happens at an operation: before a statement, around a commit, around a request."""

    name: str
    at_statement: Callable[[Connection], object]
    at_commit: Callable[[Connection], object]
    at_request: Callable[[Send], requests.Response]


class Watch:
    """Counts the operations of this process. `fault` meets the one with number `at`, from 1 on.

    The node's blocks come with every second request, so that what was sent is seen waiting, and
    mined, and final, in the same order each time. `meets` is told the operation first.
    """

    def __init__(
        self,
        node: str,
        fault: Fault | None = None,
        at: int = 0,
        meets: Callable[[str], object] = lambda what: None,
    ) -> None:
        self._block = {"url": node, "json": {"jsonrpc": "2.0", "id": 1, "method": "evm_mine"}}
        self._fault = fault
        self._at = at
        self._meets = meets
        self._requests = 0
        self.seen: list[str] = []

    def statement(self, connection: Connection, _cursor: object, text: str, *_: object) -> None:
        if fault := self._fault_at(" ".join(text.split())):
            fault.at_statement(connection)

    def commit(self, connection: Connection) -> None:
        if fault := self._fault_at(COMMIT):
            fault.at_commit(connection)

    def request(self, send: Callable[..., requests.Response], *given: Any, **how: Any) -> Any:
        session, request = given
        fault = self._fault_at(request.body.decode())
        self._requests += 1
        if self._requests % 2 == 0:
            send(session, requests.Request("POST", **self._block).prepare(), timeout=30)
        if fault:
            return fault.at_request(lambda: send(*given, **how))
        return send(*given, **how)

    def _fault_at(self, what: str) -> Fault | None:
        self.seen.append(what[:SHOWN])
        if len(self.seen) != self._at:
            return None
        self._meets(what[:SHOWN])
        return self._fault


def marks_of(operations: Iterable[str]) -> list[int]:
    """The numbers of those that others can see: until the next of them, only blocks are new."""
    return [
        at
        for at, what in enumerate(operations, 1)
        if what == COMMIT or "eth_sendRawTransaction" in what
    ]


@contextmanager
def watching(watch: Watch) -> Iterator[Watch]:
    """All engines and all HTTP sessions of this process are watched meanwhile."""
    send = requests.Session.send
    watched = lambda *given, **how: watch.request(send, *given, **how)  # noqa: E731
    event.listen(Engine, "before_cursor_execute", watch.statement)
    event.listen(Engine, "commit", watch.commit)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(requests.Session, "send", watched)
        try:
            yield watch
        finally:
            event.remove(Engine, "commit", watch.commit)
            event.remove(Engine, "before_cursor_execute", watch.statement)


# The process


def _end(_: object) -> Any:
    os._exit(ENDED)


END = Fault("the process ends", _end, _end, _end)


def _be_killed(_: object) -> Any:
    os.kill(os.getpid(), signal.SIGKILL)


KILLED = Fault("the process is killed", _be_killed, _be_killed, _be_killed)


# SQLite


def _failing(text: str) -> Callable[[Connection], object]:
    def fail(_: Connection) -> object:
        raise OperationalError(None, None, sqlite3.OperationalError(text))

    return fail


def _failing_after_commit(connection: Connection) -> None:
    connection.connection.commit()
    _failing("disk I/O error")(connection)


# PostgreSQL


def _cut(connection: Connection) -> None:
    """The server ends this connection; whatever is asked next fails."""
    given = connection.connection.dbapi_connection
    assert isinstance(given, psycopg.Connection)
    with psycopg.connect(given.info.dsn, autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(%s, 5000)", [given.info.backend_pid])


def _commit(connection: Connection) -> None:
    connection.connection.commit()
    # In a transaction again, so that the commit to come needs the server.
    connection.connection.cursor().execute("SELECT 1")


def _cut_after_commit(connection: Connection) -> None:
    _commit(connection)
    _cut(connection)


def killing(crash: Callable[[], object]) -> Fault:
    """The server ends: before a statement, after a commit it has not reported, or meanwhile."""

    def at_commit(connection: Connection) -> None:
        _commit(connection)
        crash()

    def at_request(send: Send) -> requests.Response:
        crash()
        return send()

    return Fault("the server is killed", lambda _: crash(), at_commit, at_request)


# The node


def _no_answer(_: Send) -> requests.Response:
    raise requests.ConnectTimeout()


def _lost_answer(send: Send) -> requests.Response:
    send()
    raise requests.ReadTimeout()


def _bad_gateway(send: Send) -> requests.Response:
    answer = send()
    answer.status_code = 502
    return answer


def _garbage(send: Send) -> requests.Response:
    answer = send()
    answer._content = b"<html>" + answer.content[: len(answer.content) // 2]
    return answer


LOCKED, BROKEN = _failing("database is locked"), _failing("disk I/O error")

ON_SQLITE = (
    Fault("locked, or no answer", LOCKED, LOCKED, _no_answer),
    Fault("disk error, or answer lost", BROKEN, BROKEN, _lost_answer),
    Fault("committed and failed, or HTTP 502", LOCKED, _failing_after_commit, _bad_gateway),
    Fault("disk error, or garbage", BROKEN, BROKEN, _garbage),
)
ON_POSTGRESQL = (
    Fault("connection cut, or no answer", _cut, _cut, _no_answer),
    Fault("connection cut, or answer lost", _cut, _cut, _lost_answer),
    Fault("committed and cut, or HTTP 502", _cut, _cut_after_commit, _bad_gateway),
    Fault("connection cut, or garbage", _cut, _cut, _garbage),
)
