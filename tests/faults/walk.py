"""Which operations a walk goes to, and what a failure says so that it can be gone to again.

MEDLEDGER_SOAK=1 goes to every operation. MEDLEDGER_FAULT=17 goes to the 17th alone. MEDLEDGER_SEED
decides where a walk that leaves operations out begins, and which fault comes first.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import count

IS_SOAK = os.environ.get("MEDLEDGER_SOAK") == "1"
ONLY = int(os.environ.get("MEDLEDGER_FAULT", "0"))
SEED = int(os.environ.get("MEDLEDGER_SEED") or secrets.randbelow(10_000))
TIMEOUT = 3600 if IS_SOAK else 300
"""Seconds of one walk."""


class Walk:
    """The walk of one test. `name` is the test's, as pytest takes it."""

    def __init__(self, name: str) -> None:
        self._name = name
        self.passed = 0
        """How many operations it went to."""

    def to(self, some: Iterable[int]) -> Iterator[int]:
        """The numbers of the operations to go to: `some`, unless the environment says otherwise."""
        for at in [ONLY] if ONLY else count(1) if IS_SOAK else some:
            self.passed += 1
            yield at

    def require(self, least: int) -> None:
        """That the walk went to so many: a walk to nowhere shows nothing.

        Half of those that there should be will do: what waits for a clock is asked a few times more
        or less.
        """
        assert ONLY or self.passed >= least

    @contextmanager
    def told(self, at: int, happened: Callable[[], str]) -> Iterator[None]:
        """A failure says which operation it was, and how to go there again."""
        try:
            yield
        except Exception as error:
            again = f"MEDLEDGER_FAULT={at} MEDLEDGER_SEED={SEED} .venv/bin/pytest '{self._name}'"
            error.add_note(f"at {at}: {happened()}; run it again: {again}")
            raise


def every(step: int, length: int) -> range:
    """Each `step`-th of so many operations, and the end behind the last."""
    return range(1 + SEED % step, length + step, step)
