"""Other programs that share a store with the test: real processes, each with its own objects.

ends = start(lambda: list(hospital_again().issue_many(bills)))
assert ends() == 0
"""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial, partialmethod
from typing import Any

from medledger.chain.rpc import Rpc
from medledger.store.database import Database

Change = Callable[[Database], AbstractContextManager[Any]]

STOPPED = 7
"""How a program ends that was stopped."""


def start(act: Callable[[], object]) -> Callable[[], int]:
    """Runs `act` in a process of its own; what is returned waits for it, and says how it ended."""
    program = os.fork()
    if program == 0:
        code = 1
        try:
            act()
            code = 0
        except BaseException:  # noqa: BLE001 - nothing of the test may run in this process
            traceback.print_exc()
        finally:
            os._exit(code)
    return lambda: os.waitstatus_to_exitcode(os.waitpid(program, 0)[1])


def stop_before(step: int) -> None:
    """Lets this program end before it commits or sends something for the n-th time.

    Whatever it does between two of these steps leaves no trace, wherever it ends.
    """
    left = step

    def count() -> None:
        nonlocal left
        if left == 0:
            os._exit(STOPPED)
        left -= 1

    @contextmanager
    def committing(change: Change, database: Database) -> Iterator[Any]:
        with change(database) as connection:
            yield connection
            count()

    def asking(ask: Callable[..., Any], rpc: Rpc, method: str, *parameters: Any) -> Any:
        if method == "eth_sendRawTransaction":
            count()
        return ask(rpc, method, *parameters)

    for name in ("writing", "noting"):
        setattr(Database, name, partialmethod(partial(committing, getattr(Database, name))))
    setattr(Rpc, "request", partialmethod(partial(asking, Rpc.request)))  # noqa: B010
