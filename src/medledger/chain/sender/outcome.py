"""What comes of a transaction: receipts, outcomes, and errors rebuilt from what was stored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from medledger.chain import abi
from medledger.chain.contract import Call
from medledger.core.transactions import Intent, Transaction
from medledger.errors import (
    MedledgerError,
    OutOfGas,
    Refusal,
    TransactionFailed,
    TransactionReverted,
    UnknownRefusal,
)


@dataclass(frozen=True, slots=True)
class Receipt:
    """A transaction that succeeded, in a block as deep as the policy asks.

    `gas_used` in gas, `logs` as the node gives them, `timestamp` of the block in Unix seconds.
    """

    call: Call
    hash: bytes
    block: int
    gas_used: int
    logs: tuple[dict[str, Any], ...]
    block_hash: bytes
    timestamp: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """The end of a transaction, or, where it is `displaced`, that its end was none.

    `displaced`: it was final, and a reorganisation deeper than the policy took it away; it is being
    sent again.
    """

    transaction: Transaction
    receipt: Receipt | None
    error: MedledgerError | None
    kind: Literal["final", "failed", "displaced"]


def call_of(intent: Intent) -> Call:
    """The call that an intent was made of."""
    return Call(intent.to, intent.data, intent.name, intent.value)


def problem_of(error: MedledgerError) -> str:
    """The text under which a journal keeps an error: its name, and its message."""
    text = str(error) if isinstance(error, Refusal) else error.values["problem"]
    return f"{error.name}: {text}"


def error_of(transaction: Transaction) -> MedledgerError:
    """The error of a transaction that failed, also after a restart."""
    if transaction.revert_data:
        return abi.refusal("0x" + transaction.revert_data.hex())
    name, _, problem = transaction.problem.partition(": ")
    hash_ = "0x" + (transaction.mined_hash or transaction.attempts[-1].hash).hex()
    if name == UnknownRefusal.__name__:
        return abi.refusal("0x")
    for kind in (OutOfGas, TransactionReverted, TransactionFailed):
        if name == kind.__name__:
            return kind(transaction=hash_, problem=problem)
    return TransactionFailed(transaction=hash_, problem=transaction.problem)
