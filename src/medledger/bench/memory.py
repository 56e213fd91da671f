"""How much memory a run takes: this process and those that seal for it, at one moment.

    with PeakMemory() as memory:
        ...
    memory.peak_mb

Looked at while it runs: what Linux keeps of an ended child counts its parent's memory too, which
it had for a moment between fork and exec.
"""

from __future__ import annotations

import os
import resource
import sys
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

from medledger import sealers

LOOK_SECONDS = 0.05


class PeakMemory:
    """The highest sum of resident memory, in MB, node and database server left out.

    Where the system has no `/proc`, it is this process's alone.
    """

    def __init__(self) -> None:
        self._most = 0
        self._ended = threading.Event()
        self._watch = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Self:
        self._watch.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._watch.join()

    @property
    def peak_mb(self) -> float:
        return max(self._most / 1e6, own_peak_mb())

    def _look(self) -> None:
        while not self._ended.wait(LOOK_SECONDS):
            self._most = max(self._most, _resident(os.getpid()) + sum(map(_resident, _sealing())))


def own_peak_mb() -> float:
    """The most memory that this process alone has had resident, in MB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Linux counts in KiB, macOS in bytes.
    return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6


def _sealing() -> list[int]:
    """The ids of this process's children that seal."""
    tasks = Path("/proc/self/task").glob("*/children")
    children = [int(child) for task in tasks for child in task.read_text().split()]
    return [child for child in children if sealers.__name__ in _command(child)]


def _command(process: int) -> str:
    try:
        return Path(f"/proc/{process}/cmdline").read_text()
    except OSError:
        # It has ended since.
        return ""


def _resident(process: int) -> int:
    try:
        return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * resource.getpagesize()
    except OSError:
        return 0
