"""Transactions on their way, as values, and the journal that keeps them.

Write-ahead signing: a journal gives the nonce and stores the signed bytes in one durable step,
before anything is sent. So the hash of everything that may have reached a chain is known, whatever
stopped the program, and the same bytes can be sent again.

    SIGNED ──> MINED ──> FINAL
      ^  <────────┘ reorganised away
      └──────────────────┘ deeper than the policy: an alert
    SIGNED ──> FAILED    refused by the contract, or cancelled
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class Stage(StrEnum):
    """How far a transaction is."""

    SIGNED = "signed"
    """Stored with its bytes; sent perhaps, in a pool perhaps."""
    MINED = "mined"
    """In a block that may still be reorganised away."""
    FINAL = "final"
    """Succeeded, in a block as deep as the network's policy asks."""
    FAILED = "failed"
    """Can have no effect any more: refused in a final block, or its nonce was used up instead."""


@dataclass(frozen=True, slots=True)
class Intent:
    """What a transaction is to do. `to` is 0x text, empty to create a contract; `value` in wei."""

    to: str
    data: bytes
    name: str
    """The contract's function, for people: `Invoices.issue`."""
    gas: int
    value: int = 0


@dataclass(frozen=True, slots=True)
class Attempt:
    """One signed form of a transaction. Fees are in wei a gas."""

    hash: bytes
    raw: bytes
    nonce: int
    max_fee: int
    """`maxFeePerGas` (EIP-1559), or `gasPrice` where `tip` is None."""
    tip: int | None
    is_cancellation: bool = False
    """An empty transaction to the signer itself, which only uses the nonce up."""


Signing = Callable[[int], Attempt]
"""Signs with the nonce given."""


@dataclass(frozen=True, slots=True)
class Transaction:
    """One transaction of one signer with every form that was ever signed, oldest first."""

    id: int
    signer: str
    nonce: int
    intent: Intent
    attempts: tuple[Attempt, ...]
    stage: Stage = Stage.SIGNED
    mined_hash: bytes | None = None
    """Which attempt is in the block."""
    block: int | None = None
    block_hash: bytes | None = None
    problem: str = ""
    """Why it failed, or, while `SIGNED`, what holds it up."""
    revert_data: bytes = b""
    """What the contract answered, where it refused."""

    @property
    def hashes(self) -> tuple[bytes, ...]:
        return tuple(attempt.hash for attempt in self.attempts)


class Journal(Protocol):
    """Keeps transactions of any number of signers. Each method is one durable step.

    Several programs may share a journal: a change that another one made first is kept, and what
    is returned says how things stand.
    """

    def next_nonce(self, signer: str) -> int | None:
        """The nonce that `add` will give; None for a signer that is new here."""

    def raise_nonce(self, signer: str, at_least: int) -> None:
        """The next nonce becomes `at_least`, unless it is higher already."""

    def add(self, signer: str, intent: Intent, sign: Signing) -> Transaction:
        """Gives the next nonce (0 for a new signer), signs, and stores both."""

    def fill(self, signer: str, nonce: int, intent: Intent, sign: Signing) -> Transaction:
        """The transaction with this nonce, whatever its stage; where there is none, signs and
        stores one with it. The next nonce becomes higher than it.
        """

    def renonce(self, id_: int, nonce: int, sign: Signing) -> Transaction:
        """Gives a `SIGNED` or `FAILED` transaction the next nonce, with a new attempt: `SIGNED`.

        Only for one none of whose attempts can be mined any more. `nonce` is the one that the
        caller found used up: unchanged where another program has given a new one already.
        `problem` and `revert_data` are cleared; earlier attempts stay, with the nonces they had.
        """

    def add_attempt(self, id_: int, attempt: Attempt) -> Transaction:
        """Adds a form with the same nonce; unchanged where it is not `SIGNED` any more."""

    def transaction(self, id_: int) -> Transaction:
        """Raises `NotFound`."""

    def unfinished(self, signer: str | None = None, limit: int | None = None) -> list[Transaction]:
        """`SIGNED` and `MINED`, by signer and nonce."""

    def final_since(self, signer: str | None, block: int) -> list[Transaction]:
        """`FINAL` in this block or above, of one signer or of all; by signer and nonce."""

    def last_final(self, signer: str | None, until: int | None = None) -> Transaction | None:
        """The `FINAL` one with the highest block, or the highest up to `until`, of one signer or
        of all."""

    def mark_mined(self, id_: int, mined_hash: bytes, block: int, block_hash: bytes) -> Transaction:
        """From `SIGNED`, or `MINED` in another block; `problem` and `revert_data` stay."""

    def mark_signed(self, id_: int, problem: str = "", revert_data: bytes = b"") -> Transaction:
        """Back from `MINED` or `FINAL` after a reorganisation, or with what holds it up.

        `problem` and `revert_data` replace what was stored.
        """

    def mark_final(self, id_: int) -> Transaction:
        """From `MINED`; clears `problem` and `revert_data`."""

    def mark_failed(self, id_: int, problem: str, revert_data: bytes = b"") -> Transaction:
        """From `SIGNED` or `MINED`."""
