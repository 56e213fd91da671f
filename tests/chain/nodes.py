"""Nodes to test against: Ganache, and a relay that stands before a node and misbehaves.

with Relay(anvil.url) as relay:
    relay.after = lambda calls, answer: 502     # forwarded, but the answer is lost
    Rpc(relay.url).chain_id()
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

import requests

from medledger.chain.contract import Call
from medledger.chain.local import find_anvil, free_port
from medledger.chain.rpc import Rpc
from medledger.errors import RpcUnavailable

START_SECONDS = 60.0

Calls = list[dict[str, Any]]
Reply = bytes | int | list[dict[str, Any]]
"""A body, an HTTP status without one, or an answer for each request."""


# Transactions


def insist(rpc: Rpc, sender: str, call: Call) -> bytes:
    """Sends what its contract refuses all the same, from anybody's address; the hash."""
    rpc.request("anvil_impersonateAccount", sender)
    given = {"from": sender, "to": call.to, "data": "0x" + call.data.hex()}
    free = {"gas": hex(200_000), "gasPrice": "0x0"}
    sent = rpc.request("eth_sendTransaction", given | free)
    rpc.request("anvil_stopImpersonatingAccount", sender)
    # The node answers before the block is there.
    while rpc.request("eth_getTransactionReceipt", sent) is None:
        time.sleep(0.01)
    return bytes.fromhex(sent[2:])


# Processes


@contextmanager
def ganache(*options: str) -> Iterator[str]:
    """The address of a Ganache 7 on a free loopback port, with one funded account."""
    port = free_port()
    command = [str(Path(sys.prefix) / "bin" / "ganache"), "--server.port", str(port)]
    command += ["--logging.quiet", "--wallet.totalAccounts", "1", *options]
    with _running(command, port) as url:
        yield url


@contextmanager
def plain_anvil(*options: str) -> Iterator[str]:
    """The address of an Anvil with fees as it has them by default; `LocalChain` has none."""
    port = free_port()
    command = [find_anvil(), "--silent", "--port", str(port), "--accounts", "1", *options]
    with _running(command, port) as url:
        yield url


@contextmanager
def _running(command: list[str], port: int) -> Iterator[str]:
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        url = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                Rpc(url).chain_id()
                break
            except RpcUnavailable:
                assert process.poll() is None, f"{command[0]} ended with {process.returncode}"
                assert time.monotonic() < deadline, f"{command[0]} did not start"
                time.sleep(0.05)
        yield url
    finally:
        process.terminate()
        process.wait()


# What tests ask of a development node


def give_ether(rpc: Rpc, addresses: Sequence[str], wei: int = 10**18) -> None:
    """Ether from the account that Anvil and Ganache hold the key of."""
    (account,) = rpc.request("eth_accounts")
    # Named because Anvil of before London takes no transaction without it.
    price = rpc.request("eth_gasPrice")
    hashes = [
        rpc.request(
            "eth_sendTransaction",
            {"from": account, "to": address, "value": hex(wei), "gasPrice": price},
        )
        for address in addresses
    ]
    for hash_ in hashes:
        # Anvil answers before it mines.
        while rpc.request("eth_getTransactionReceipt", hash_) is None:
            time.sleep(0.005)


def now(rpc: Rpc) -> int:
    """The time of the latest block, Unix seconds."""
    return int(rpc.block("latest")["timestamp"], 16)


def pass_time(rpc: Rpc, seconds: int) -> None:
    """Moves the chain's clock, with a block at the new time."""
    rpc.request("evm_increaseTime", seconds)
    rpc.request("evm_mine")


def wait_until_mined(rpc: Rpc) -> None:
    """Until Anvil's pool is empty: it answers before it mines."""
    while int(rpc.request("txpool_status")["pending"], 16):
        time.sleep(0.005)


@contextmanager
def mining_by_hand(rpc: Rpc) -> Iterator[Callable[[], None]]:
    """Transactions wait (Anvil) until the function given is called."""
    rpc.request("evm_setAutomine", False)
    try:
        yield lambda: rpc.request("evm_mine")
    finally:
        rpc.request("evm_setAutomine", True)
        rpc.request("evm_mine")


# The relay


class Relay:
    """An HTTP server on loopback before a node, or instead of one.

    `before` may answer in the node's place; `after` may change what the node answered. Both see the
    JSON-RPC requests of one HTTP body; `headers` sees what came with it. `seen` holds every request
    in the order of arrival.
    """

    def __init__(self, target: str | None = None) -> None:
        self.before: Callable[[Calls], Reply | None] = lambda calls: None
        self.after: Callable[[Calls, bytes], Reply] = lambda calls, answer: answer
        self.headers: Callable[[Mapping[str, str]], object] = lambda headers: None
        self.seen: Calls = []
        relay = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1  # head and body in one packet; two would wait for each other

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                relay.headers(self.headers)
                status, content = relay._reply(target, body)
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def methods(self) -> list[str]:
        return [call["method"] for call in self.seen]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _reply(self, target: str | None, body: bytes) -> tuple[int, bytes]:
        parsed = json.loads(body)
        calls = parsed if isinstance(parsed, list) else [parsed]
        self.seen += calls
        reply = self.before(calls)
        if reply is None:
            assert target is not None, "a relay without a node must answer itself"
            headers = {"Content-Type": "application/json"}
            answer = requests.post(target, body, headers=headers, timeout=60).content
            reply = self.after(calls, answer)
        if isinstance(reply, list):
            reply = json.dumps(reply if isinstance(parsed, list) else reply[0]).encode()
        return (200, reply) if isinstance(reply, bytes) else (reply, b"")


def each(calls: Calls, answer: bytes, change: Callable[[dict[str, Any], Any], Any]) -> bytes:
    """The node's answer with `change(call, its answer)` in place of each."""
    parsed = json.loads(answer)
    by_id = {item["id"]: item for item in (parsed if isinstance(parsed, list) else [parsed])}
    changed = [change(call, by_id[call["id"]]) for call in calls]
    return json.dumps(changed if isinstance(parsed, list) else changed[0]).encode()


def refusal(call: dict[str, Any], message: str, code: int = -32000) -> dict[str, Any]:
    """A JSON-RPC error as the answer to a request."""
    return {"jsonrpc": "2.0", "id": call["id"], "error": {"code": code, "message": message}}
