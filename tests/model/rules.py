"""What every ledger's rules stand on.

A rule is a method named after the contract's function. It raises `Refused` where the contract
refuses, or returns what carries the act out, and has changed nothing until that is called. So a
rule can be asked what it would say. Order counts: the first thing that is wrong is the one named.

Nothing here, nor in any `rules_*.py`, knows a chain, an ABI, a hash of a header or a signature:
documents and signed messages are compared as values.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, NamedTuple

from medledger.core.hashing import InstitutionMessage, PatientMessage

ZERO_ADDRESS = "0x" + 40 * "0"
UINT64 = 2**64 - 1

Change = Callable[[], None]
Key = tuple[Hashable, ...]
"""What an act touches: `("bill", 7)`."""


class Refused(Exception):
    """The contract's error, with its arguments by their Solidity names."""

    def __init__(self, name: str, **arguments: Any) -> None:
        super().__init__(name)
        self.name = name
        self.arguments = arguments

    def __str__(self) -> str:
        return f"{self.name}({', '.join(f'{k}={v}' for k, v in self.arguments.items())})"


class View(NamedTuple):
    """What a contract must answer to a view function."""

    contract: str
    function: str
    arguments: tuple[Any, ...]
    expected: tuple[Any, ...]


@dataclass(frozen=True)
class Signed:
    """A message as somebody signed it: for which contract, on which chain."""

    signer: str
    message: PatientMessage | InstitutionMessage
    contract: str
    chain_id: int


NOT_SIGNED = Signed(ZERO_ADDRESS, None, "", 0)  # type: ignore[arg-type]
"""Bytes that are nobody's signature."""
NO_SIGNATURE = Signed("", None, "", 0)  # type: ignore[arg-type]
"""No bytes at all: the caller's own word."""


@dataclass
class Clock:
    """The time of the block that an act would be in, Unix seconds."""

    now: int


def nothing() -> None:
    """The change of an act that is allowed and leaves everything as it is."""
