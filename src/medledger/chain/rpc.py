"""JSON-RPC to one node: the only door to the network.

web3's HTTP provider carries the requests, with its own retries off: it sends
`eth_sendRawTransaction` again by itself after a time-out, and then reports the transaction that
landed as a failure. Only standard `eth_*` methods are used, so that Anvil, geth, Besu, Ganache and
FISCO BCOS all serve; blocks are read raw, so the long `extraData` of PoA chains does not matter.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, TypeVar

import requests
from web3 import HTTPProvider
from web3.types import RPCEndpoint

from medledger.errors import RpcError, RpcUnavailable

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

T = TypeVar("T")
Block = int | str
"""A block number, or `latest`."""


class Rpc:
    """Requests to one node's address. Every method raises `RpcUnavailable` or `RpcError`."""

    def __init__(self, url: str, *, timeout_seconds: float = 30.0) -> None:
        self.url = url
        self._provider = HTTPProvider(
            url,
            request_kwargs={"timeout": timeout_seconds},
            exception_retry_configuration=None,
        )

    def request(self, method: str, *params: Any) -> Any:
        """The result of one request."""
        try:
            answer = self._provider.make_request(RPCEndpoint(method), list(params))
        except _NO_ANSWER as error:
            raise RpcUnavailable(url=self.url, problem=_reason(error)) from error
        return self._result(answer)

    def batch(self, requests_: Sequence[tuple[str, list[Any]]]) -> list[Any | RpcError]:
        """The results in the order asked; a request that failed has its `RpcError` in its place."""
        results: list[Any | RpcError] = []
        for part in chunked(requests_, BATCH):
            body = [(RPCEndpoint(method), params) for method, params in part]
            try:
                answers = self._provider.make_batch_request(body)
            except _NO_ANSWER as error:
                raise RpcUnavailable(url=self.url, problem=_reason(error)) from error
            if not isinstance(answers, list) or len(answers) != len(part):
                raise RpcUnavailable(url=self.url, problem="it does not answer batches")
            for answer in answers:
                try:
                    results.append(self._result(answer))
                except RpcError as error:
                    results.append(error)
        return results

    def chain_id(self) -> int:
        return self._integer(self.request("eth_chainId"))

    def block_number(self) -> int:
        return self._integer(self.request("eth_blockNumber"))

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
        found = self.request("eth_getCode", address, block_tag(block))
        if not isinstance(found, str) or not re.fullmatch("0x(?:[0-9a-fA-F]{2})*", found):
            raise self._not_what_was_asked()
        return bytes.fromhex(found[2:])

    def timestamps(self, blocks: Sequence[int]) -> dict[int, int]:
        """Block number to time, Unix seconds."""
        wanted = sorted(set(blocks))
        answers = self.batch([("eth_getBlockByNumber", [hex(n), False]) for n in wanted])
        times = {}
        for number, answer in zip(wanted, answers, strict=True):
            if not isinstance(answer, dict):
                raise RpcUnavailable(url=self.url, problem=f"it has no block {number}")
            times[number] = self._integer(answer.get("timestamp"))
        return times

    def _integer(self, value: object) -> int:
        if not isinstance(value, str) or not re.fullmatch("0x[0-9a-fA-F]{1,64}", value):
            raise self._not_what_was_asked()
        return int(value, 16)

    def _not_what_was_asked(self) -> RpcUnavailable:
        return RpcUnavailable(url=self.url, problem="its answer is not what was asked for")

    def _result(self, answer: Any) -> Any:
        if not isinstance(answer, dict):
            raise RpcUnavailable(url=self.url, problem="its answer is not JSON-RPC")
        if error := answer.get("error"):
            raise _rpc_error(error)
        if "result" not in answer:
            raise RpcUnavailable(url=self.url, problem="its answer is not JSON-RPC")
        return answer["result"]


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
