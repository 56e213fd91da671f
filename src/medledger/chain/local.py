"""A local chain: one Anvil process on a free loopback port, ended with its `with` block.

Its gas is free, as on the consortium chains that hospitals use, so any new key can act at once.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from medledger.chain.rpc import Rpc
from medledger.errors import PortUnusable, RpcUnavailable, ToolMissing

START_SECONDS = 30.0
BULK_BLOCK_GAS = 120_000_000
KEPT_STATES = 64


class LocalChain:
    """An Anvil process. `url` is its RPC address.

    By default each transaction makes a block at once, which suits people. Anvil hashes the whole
    state for every block, so for tens of thousands of transactions give `block_seconds`: a block at
    that interval, with room for many.

    Raises `ToolMissing` where Anvil is not installed, `PortUnusable`, or `RpcUnavailable` where it
    does not start.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        chain_id: int = 31337,
        state_file: Path | None = None,
        block_seconds: float | None = None,
        options: tuple[str, ...] = (),
    ) -> None:
        port = port or free_port()
        _require_free(port)
        self.url = f"http://127.0.0.1:{port}"
        command = [find_anvil(), "--silent", "--port", str(port), "--chain-id", str(chain_id)]
        command += ["--gas-price", "0", "--base-fee", "0", "--accounts", "1"]
        if block_seconds is not None:
            command += ["--block-time", str(block_seconds), "--gas-limit", str(BULK_BLOCK_GAS)]
            command += ["--prune-history", str(KEPT_STATES)]
        if state_file is not None:
            command += ["--state", str(state_file), "--state-interval", "5"]
        self.process = subprocess.Popen(
            [*command, *options], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        try:
            self._wait()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Ends the process; harmless a second time."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        if self.process.stderr is not None:
            self.process.stderr.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _wait(self) -> None:
        rpc = Rpc(self.url)
        deadline = time.monotonic() + START_SECONDS
        while self.process.poll() is None and time.monotonic() < deadline:
            try:
                rpc.chain_id()
            except RpcUnavailable:
                time.sleep(0.05)
            else:
                return
        code = self.process.poll()
        problem = "Anvil did not start"
        if code is not None and self.process.stderr is not None:
            said = self.process.stderr.read().strip().splitlines()
            problem = f"Anvil ended with {code}: {said[-1] if said else 'it said nothing'}"
        raise RpcUnavailable(url=self.url, problem=problem)


def find_anvil() -> str:
    """Anvil beside this Python (where `make setup` links it), or on the PATH."""
    beside = Path(sys.prefix) / "bin" / "anvil"
    found = str(beside) if beside.exists() else shutil.which("anvil")
    if found is None:
        raise ToolMissing(tool="anvil")
    return found


def _require_free(port: int) -> None:
    """Anvil would end, and whatever has the port would be taken for it."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except PermissionError as error:
            raise PortUnusable(port=port, problem="is not allowed to you") from error
        except OSError as error:
            raise PortUnusable(port=port, problem="is in use") from error


def free_port() -> int:
    """A loopback port that nothing uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
