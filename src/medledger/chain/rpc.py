"""JSON-RPC to one node or several: the only door to the network.

web3's HTTP provider carries the requests over connections that stay open, with its own retries off:
it sends `eth_sendRawTransaction` again by itself after a time-out, and then reports the
transaction that landed as a failure. Only standard `eth_*` methods are used, so that Anvil, geth,
Besu, Ganache and FISCO BCOS all serve; blocks are read raw, so the long `extraData` of PoA chains
does not matter.

    Rpc("http://127.0.0.1:8545")
    Rpc("http://first:8545,http://second:8545")     # the second where the first does not answer
"""

from __future__ import annotations

import logging
import os
import re
import secrets
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import count, islice
from typing import Any, TypeVar

import requests
from web3 import HTTPProvider
from web3.types import RPCEndpoint

from medledger.errors import ChainError, ContractMissing, RpcError, RpcUnavailable, WrongChain

BATCH = 100
"""Requests in one HTTP body. Nodes limit it (geth 1,000, Besu 1,024), and more gains little."""

_NO_ANSWER = (
    requests.RequestException,
    OSError,
    ValueError,
    # web3 sorts the answers of a batch before it looks at them, and json recurses.
    TypeError,
    AttributeError,
    KeyError,
    RecursionError,
)

_LOG = logging.getLogger(__name__)

T = TypeVar("T")
Block = int | str
"""A block number, or `latest`."""


class Rpc:
    """Requests to a node, and to the next one where it does not answer.

    `nodes` is an address, several divided by commas, or a sequence of them. Every method raises
    `RpcUnavailable` where no node answers, `RpcError`, and, once an identity is required,
    `WrongChain` or `ContractMissing` where no node has it.
    """

    def __init__(self, nodes: str | Sequence[str], *, timeout_seconds: float = 30.0) -> None:
        # A comma may stand in a password: one that divides has an address after it.
        split = re.split(r",\s*(?=\w+://)", nodes) if isinstance(nodes, str) else nodes
        self.urls = tuple(split)
        """The addresses as given. Not for messages: a password may stand in them."""
        self._timeout_seconds = timeout_seconds
        self._nodes = [_Node(url, timeout_seconds) for url in self.urls]
        self._at = 0
        self._identity: Callable[[Rpc], None] | None = None

    @property
    def url(self) -> str:
        """The address of the node in use, without user and password."""
        return self._nodes[self._at].name

    def require_identity(self, check: Callable[[Rpc], None]) -> None:
        """Holds the node in use, and from now on every node before its first use and after each
        failure, against `check`, which raises `WrongChain` or `ContractMissing`.

        Raises what `check` raises where no node passes; nothing is required then. Where none
        answers, it is required of the first that does.
        """
        before, self._identity = self._identity, check
        for node in self._nodes:
            node.is_known = False
        try:
            self._ask(lambda node: node.name)
        except RpcUnavailable as error:
            _LOG.warning("not compared yet: %s", error)
        except ChainError:
            self._identity = before
            raise

    def distrust(self) -> bool:
        """Has the node in use compared again before its next use; False where nothing is known to
        compare it with."""
        self._nodes[self._at].is_known = False
        return self._identity is not None

    def request(self, method: str, *params: Any) -> Any:
        """The result of one request."""
        return self._ask(lambda node: node.request(method, params))

    def batch(self, requests_: Sequence[tuple[str, list[Any]]]) -> list[Any | RpcError]:
        """The results in the order asked; a request that failed has its `RpcError` in its place."""
        results: list[Any | RpcError] = []
        for part in chunked(requests_, BATCH):
            results += self._ask(partial(_Node.batch, part=part))
        return results

    def chain_id(self) -> int:
        return self.integer(self.request("eth_chainId"))

    def block_number(self) -> int:
        return self.integer(self.request("eth_blockNumber"))

    def block(self, block: Block) -> dict[str, Any]:
        """The block's header fields, as the node gives them; raises `RpcUnavailable` for none."""
        found = self.request("eth_getBlockByNumber", block_tag(block), False)
        if not isinstance(found, dict):
            raise RpcUnavailable(url=self.url, problem=f"it has no block {block}")
        return found

    def genesis_hash(self) -> str:
        found = self.block(0).get("hash")
        if not isinstance(found, str):
            raise self._not_what_was_asked()
        return found

    def code(self, address: str, block: Block = "latest") -> bytes:
        return self.octets(self.request("eth_getCode", address, block_tag(block)))

    def timestamps(self, blocks: Sequence[int]) -> dict[int, int]:
        """Block number to time, Unix seconds."""
        wanted = sorted(set(blocks))
        answers = self.batch([("eth_getBlockByNumber", [hex(n), False]) for n in wanted])
        times = {}
        for number, answer in zip(wanted, answers, strict=True):
            if not isinstance(answer, dict):
                raise RpcUnavailable(url=self.url, problem=f"it has no block {number}")
            times[number] = self.integer(answer.get("timestamp"))
        return times

    def integer(self, value: object) -> int:
        """The number in an answer; raises `RpcUnavailable` for anything else."""
        if not isinstance(value, str) or not re.fullmatch("0x[0-9a-fA-F]{1,64}", value):
            raise self._not_what_was_asked()
        return int(value, 16)

    def octets(self, value: object) -> bytes:
        """The bytes in an answer; raises `RpcUnavailable` for anything else."""
        if not isinstance(value, str) or not re.fullmatch("0x(?:[0-9a-fA-F]{2})*", value):
            raise self._not_what_was_asked()
        return bytes.fromhex(value[2:])

    def _ask(self, question: Callable[[_Node], T]) -> T:
        """What the first node says that answers and is the right one."""
        failures: list[ChainError] = []
        for _ in self._nodes:
            node = self._nodes[self._at]
            try:
                self._require_known(node)
                return question(node)
            except (RpcUnavailable, WrongChain, ContractMissing) as error:
                node.is_known = False
                failures.append(error)
                self._at = (self._at + 1) % len(self._nodes)
                if len(self._nodes) > 1:
                    _LOG.warning("going on with %s: %s", self.url, error)
        # While one of them may come back, trying again can help.
        raise next((error for error in failures if isinstance(error, RpcUnavailable)), failures[0])

    def _require_known(self, node: _Node) -> None:
        if node.is_known or self._identity is None:
            return
        alone = Rpc([node.url], timeout_seconds=self._timeout_seconds)
        try:
            self._identity(alone)
        except RpcError as error:
            raise RpcUnavailable(url=node.name, problem=error.text) from error
        node.is_known = True

    def _not_what_was_asked(self) -> RpcUnavailable:
        return RpcUnavailable(url=self.url, problem="its answer is not what was asked for")


class _Node:
    """Requests to one node's address."""

    def __init__(self, url: str, timeout_seconds: float) -> None:
        self.url = url
        self.name = re.sub("//.*@", "//", url)
        """The address as messages show it: without user and password."""
        self.is_known = False
        """Whether its identity was found right, and it has answered since."""
        self._timeout_seconds = timeout_seconds
        self._connect()

    def request(self, method: str, params: Sequence[Any]) -> Any:
        connection = self._connection()
        try:
            answer = connection.make_request(RPCEndpoint(method), list(params))
        except _NO_ANSWER as error:
            raise RpcUnavailable(url=self.name, problem=_reason(error)) from error
        return self._result(answer, connection.asked()[-1])

    def batch(self, part: Sequence[tuple[str, list[Any]]]) -> list[Any | RpcError]:
        connection = self._connection()
        body = [(RPCEndpoint(method), params) for method, params in part]
        try:
            answers = connection.make_batch_request(body)
        except _NO_ANSWER as error:
            raise RpcUnavailable(url=self.name, problem=_reason(error)) from error
        if not isinstance(answers, list) or len(answers) != len(part):
            raise RpcUnavailable(url=self.name, problem="it does not answer batches")
        asked = connection.asked()[-len(part) :]
        return [
            self._result_or_error(answer, id_) for answer, id_ in zip(answers, asked, strict=True)
        ]

    def _connect(self) -> None:
        self._process = os.getpid()
        self._provider = _Connection(self.url, self._timeout_seconds)

    def _connection(self) -> _Connection:
        # A process that was forked would take its parent's answers, and the parent its.
        if self._process != os.getpid():
            self._connect()
        return self._provider

    def _result_or_error(self, answer: Any, asked: int) -> Any | RpcError:
        try:
            return self._result(answer, asked)
        except RpcError as error:
            return error

    def _result(self, answer: Any, asked: int) -> Any:
        if not isinstance(answer, dict):
            raise RpcUnavailable(url=self.name, problem="its answer is not JSON-RPC")
        # Before the id: a request that was not even read is refused under none.
        if error := answer.get("error"):
            raise _rpc_error(error)
        if "result" not in answer:
            raise RpcUnavailable(url=self.name, problem="its answer is not JSON-RPC")
        if answer.get("id") != asked:
            # Whatever comes next on this connection may be the answer to this one.
            self._connect()
            raise RpcUnavailable(url=self.name, problem="it answers another request")
        return answer["result"]


class _Connection(HTTPProvider):
    """web3's provider, which does not compare the ids of answers: `asked` tells what these were."""

    def __init__(self, url: str, timeout_seconds: float) -> None:
        super().__init__(
            url,
            request_kwargs={"timeout": timeout_seconds},
            exception_retry_configuration=None,
        )
        # Not from 0: another connection's ids must not be this one's.
        self.request_counter = self._ids = _Ids(secrets.randbits(32))

    def asked(self) -> list[int]:
        """The last ids under which this thread asked, in order."""
        return list(self._ids.taken())


class _Ids(count):  # type: ignore[type-arg]  # Python 3.11 takes no argument here
    """Ids in ascending order, which keeps the last ones that each thread took."""

    def __init__(self, _: int) -> None:
        self._here = threading.local()

    def __next__(self) -> int:
        id_: int = super().__next__()
        self.taken().append(id_)
        return id_

    def taken(self) -> deque[int]:
        if not hasattr(self._here, "taken"):
            self._here.taken = deque(maxlen=BATCH)
        taken: deque[int] = self._here.taken
        return taken


def block_tag(block: Block) -> str:
    return hex(block) if isinstance(block, int) else block


def chunked(items: Sequence[T], size: int) -> Iterator[list[T]]:
    """The items in lists of at most `size`."""
    rest = iter(items)
    while part := list(islice(rest, size)):
        yield part


def _reason(error: BaseException) -> str:
    if isinstance(error, requests.Timeout):
        return "it took too long"
    if isinstance(error, requests.ConnectionError):
        return "nothing listens there"
    if isinstance(error, requests.HTTPError) and error.response is not None:
        return f"HTTP {error.response.status_code}"
    wrong = requests.exceptions
    if isinstance(error, wrong.InvalidURL | wrong.MissingSchema | wrong.InvalidSchema):
        return "not an HTTP address"
    return "its answer is not JSON"


def _rpc_error(error: Any) -> RpcError:
    """Revert data has its place in `data` (Anvil, geth) or in `data.result` (Ganache)."""
    if not isinstance(error, dict):
        return RpcError(code=0, text=str(error), data="")
    code, data = error.get("code"), error.get("data", "")
    if isinstance(data, dict):
        data = data.get("result") or data.get("data") or ""
    text = data if isinstance(data, str) and data.startswith("0x") else ""
    return RpcError(
        code=code if isinstance(code, int) else 0, text=str(error.get("message", "")), data=text
    )
