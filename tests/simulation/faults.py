"""What goes wrong, and when, by one seed: at HTTP requests, SQL statements and commits.

Faults meet the real client, the real database and a real node: a request is cut off before or after
the node has it, a statement fails, a commit fails before or after it took place, and the program
ends at any of these.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from random import Random
from typing import Any

import pytest
import requests
from sqlalchemy import Connection, Engine, event
from sqlalchemy.exc import OperationalError
from tests.simulation.node import Node, answer

AT_NODE = {
    "connection refused": 3,
    "no answer": 2,
    "answer lost": 4,
    "HTTP 502 after forwarding": 4,
    "HTTP 503": 2,
    "garbage": 2,
    "cut in the middle": 2,
    "refused by the node": 2,
    "head lags": 3,
    "no receipts": 2,
}
"""Each with its weight."""
AT_DATABASE = {"fails": 3, "is locked": 2}
AT_COMMIT = {"fails": 1, "took place and fails": 2}

HOSPITALS = "hospitals"
"""The last part of the address at which faults happen; the bare address is a line without any."""


class Stop(BaseException):
    """The program ended here; no `except Exception` outlives it."""


@dataclass(frozen=True)
class Rates:
    """Of one operation to the next."""

    node: float = 0.0
    database: float = 0.0
    stop: float = 0.0


NONE = Rates()


class Faults:
    """Decides at each operation. `rates` are those of now."""

    def __init__(self, random: Random, node: Node, say: Callable[[str], None]) -> None:
        self.rates = NONE
        self.counts: dict[str, int] = {}
        self._random = random
        self._node = node
        self._say = say
        self._lag = 0
        self._lagging = 0
        self._without_receipts = 0

    @contextmanager
    def at(self, rates: Rates) -> Iterator[None]:
        before, self.rates = self.rates, rates
        try:
            yield
        finally:
            self.rates = before

    @contextmanager
    def of_another(self, random: Random, rates: Rates) -> Iterator[None]:
        """Another program's, by its own generator; what it meets does not stay."""
        before = self._random, self._lag, self._lagging, self._without_receipts
        self._random = random
        self.clear()
        try:
            with self.at(rates):
                yield
        finally:
            self._random, self._lag, self._lagging, self._without_receipts = before

    def clear(self) -> None:
        self._lagging = self._without_receipts = 0

    # The node

    def request(self, send: Callable[..., requests.Response], *given: Any, **how: Any) -> Any:
        """In place of `requests.Session.request`."""
        _, _, url = given
        if not url.startswith(self._node.url):
            return send(*given, **how)
        body: bytes = how["data"]
        if url.endswith(HOSPITALS) and self.rates != NONE:
            return self._meets(body)
        return self._forwarded(body)

    def _forwarded(self, body: bytes) -> requests.Response:
        found = answer(200, self._node.wire.post(body))
        self._node.has_received(body)
        return found

    def _meets(self, body: bytes) -> requests.Response:
        self._stop_perhaps("before a request")
        fault = self._one_of(AT_NODE, self.rates.node)
        match fault:
            case "connection refused":
                raise requests.ConnectionError()
            case "no answer":
                raise requests.ReadTimeout()
            case "HTTP 503":
                return answer(503, b"")
            case "refused by the node":
                return self._refused(body)
            case "head lags":
                self._lagging, self._lag = self._random.randint(3, 25), self._random.randint(1, 4)
            case "no receipts":
                self._without_receipts = self._random.randint(3, 20)
        found = self._changed(body)
        self._stop_perhaps("after a request")
        match fault:
            case "answer lost":
                raise requests.ReadTimeout()
            case "HTTP 502 after forwarding":
                return answer(502, b"")
            case "garbage":
                return answer(200, b"<html>" + found.content)
            case "cut in the middle":
                return answer(200, found.content[: len(found.content) // 2])
        return found

    def _refused(self, body: bytes) -> requests.Response:
        error = {"code": -32005, "message": "limit exceeded"}
        parsed = json.loads(body)
        calls = parsed if isinstance(parsed, list) else [parsed]
        answers = [{"jsonrpc": "2.0", "id": call["id"], "error": error} for call in calls]
        return answer(200, json.dumps(answers if isinstance(parsed, list) else answers[0]).encode())

    def _changed(self, body: bytes) -> requests.Response:
        """The answer of a node that is behind, or that has no receipts yet."""
        if not self._lagging and not self._without_receipts:
            return self._forwarded(body)
        parsed = json.loads(body)
        calls = parsed if isinstance(parsed, list) else [parsed]
        limit = None
        if self._lagging:
            self._lagging -= 1
            limit = max(self._node.head - self._lag, 0)
            for call in calls:
                _as_of(call, limit)
            body = json.dumps(parsed).encode()
        has_receipts = not self._without_receipts
        self._without_receipts = max(self._without_receipts - 1, 0)
        found = self._forwarded(body)
        answers = json.loads(found.content)
        by_id = {one["id"]: one for one in (answers if isinstance(answers, list) else [answers])}
        for call in calls:
            _hide(call, by_id[call["id"]], limit, has_receipts)
        found._content = json.dumps(answers).encode()
        return found

    # The database

    def statement(self, _connection: object, _cursor: object, _text: str, *_: object) -> None:
        if self.rates == NONE:
            return
        self._stop_perhaps("at a statement")
        fault = self._one_of(AT_DATABASE, self.rates.database)
        if fault == "fails":
            raise _broken("disk I/O error")
        if fault == "is locked":
            raise _broken("database is locked")

    def commit(self, connection: Connection) -> None:
        if self.rates == NONE:
            return
        self._stop_perhaps("at a commit")
        fault = self._one_of(AT_COMMIT, self.rates.database)
        if fault == "fails":
            raise _broken("disk I/O error")
        if fault == "took place and fails":
            connection.connection.commit()
            raise _broken("disk I/O error")

    # Chance

    def _one_of(self, kinds: dict[str, int], rate: float) -> str | None:
        if self._random.random() >= rate:
            return None
        (kind,) = self._random.choices(list(kinds), list(kinds.values()))
        self._count(kind)
        return kind

    def _stop_perhaps(self, place: str) -> None:
        if self._random.random() < self.rates.stop:
            self._count(f"stop {place}")
            raise Stop(place)

    def _count(self, what: str) -> None:
        self.counts[what] = self.counts.get(what, 0) + 1
        self._say(f"      fault: {what}")


@contextmanager
def watching(faults: Faults) -> Iterator[None]:
    """All engines and all HTTP sessions of this process meet the faults meanwhile."""
    send = requests.Session.request
    event.listen(Engine, "before_cursor_execute", faults.statement)
    event.listen(Engine, "commit", faults.commit)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            requests.Session, "request", lambda *given, **how: faults.request(send, *given, **how)
        )
        try:
            yield
        finally:
            event.remove(Engine, "commit", faults.commit)
            event.remove(Engine, "before_cursor_execute", faults.statement)


def _broken(text: str) -> OperationalError:
    return OperationalError(None, None, sqlite3.OperationalError(text))


_STATE_AT = {"eth_getTransactionCount": 1, "eth_call": 1, "eth_getBalance": 1, "eth_getCode": 1}


def _as_of(call: dict[str, Any], limit: int) -> None:
    """Asks for the state that a replica would show which has come as far as `limit`."""
    params = call["params"]
    place = _STATE_AT.get(call["method"])
    if place is not None and params[place] == "latest":
        params[place] = hex(limit)
    if call["method"] == "eth_getBlockByNumber" and params[0] == "latest":
        params[0] = hex(limit)


def _hide(
    call: dict[str, Any], answer: dict[str, Any], limit: int | None, has_receipts: bool
) -> None:
    """Takes back what the node does not have yet."""
    method, result = call["method"], answer.get("result")
    if method == "eth_getTransactionReceipt" and result is not None:
        is_beyond = limit is not None and int(result["blockNumber"], 16) > limit
        if is_beyond or not has_receipts:
            answer["result"] = None
    if limit is None or result is None:
        return
    if method == "eth_getLogs":
        answer["result"] = [log for log in result if int(log["blockNumber"], 16) <= limit]
    if method == "eth_blockNumber":
        answer["result"] = hex(limit)
    if method == "eth_getBlockByNumber" and int(result["number"], 16) > limit:
        answer["result"] = None
    if method == "eth_getTransactionByHash" and int(result.get("blockNumber") or "0x0", 16) > limit:
        answer["result"] = None
