"""What tests of the sender share: a time that passes only when told, keys, calls and journals."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from medledger.chain.contract import Call
from medledger.chain.rpc import Rpc
from medledger.chain.sender import Policy, Sender
from medledger.core.hashing import keccak256
from medledger.core.transactions import Journal, Stage, Transaction

NOBODY = "0x" + 40 * "1"
NOTHING = Call(NOBODY, b"", "nothing")
"""A call that always succeeds and costs nothing but gas."""
ECHO = "0x366000600037366000fd"
"""Runtime code that reverts with its calldata: a contract that refuses with any error."""


class Time:
    """A clock that stands still until somebody sleeps or lets it pass."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.while_asleep: Callable[[], object] = lambda: None

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.while_asleep()

    def passes(self, seconds: float) -> None:
        self.now += seconds


def key_named(name: str) -> bytes:
    return keccak256(name.encode())


def sender_of(
    rpc: Rpc, name: str, time: Time, journal: Journal | None = None, **policy: Any
) -> Sender:
    """A sender whose time is the test's."""
    return Sender(
        rpc,
        key_named(name),
        journal=journal,
        policy=Policy(**policy),
        clock=time.clock,
        sleep=time.sleep,
    )


def add(sender: Sender, call: Call = NOTHING, gas: int = 30_000) -> Transaction:
    """Signed and stored, not sent."""
    intent = sender.intent(call, gas)
    return sender.journal.add(sender.address, intent, sender.signing(intent))


def stage(sender: Sender, transaction: Transaction) -> Stage:
    return sender.journal.transaction(transaction.id).stage


def nonce_of(rpc: Rpc, address: str) -> int:
    return int(rpc.request("eth_getTransactionCount", address, "latest"), 16)


def on_chain(rpc: Rpc, hash_: bytes) -> dict[str, Any]:
    """The transaction as the node has it, mined or in its pool."""
    found = rpc.request("eth_getTransactionByHash", "0x" + hash_.hex())
    assert isinstance(found, dict)
    return found


def pooled(rpc: Rpc) -> int:
    """Transactions that wait in Anvil's pool."""
    status = rpc.request("txpool_status")
    return int(status["pending"], 16) + int(status["queued"], 16)


def mine(rpc: Rpc, blocks: int = 1) -> None:
    for _ in range(blocks):
        rpc.request("evm_mine")


def reorganise(rpc: Rpc, depth: int) -> None:
    """The last blocks go away for as many empty ones; Anvil puts nothing back into its pool."""
    rpc.request("anvil_reorg", depth, [])


def is_raw(calls: list[dict[str, Any]]) -> bool:
    return any(call["method"] == "eth_sendRawTransaction" for call in calls)
