"""Who used a nonce: the conclusive look, for when none of our own hashes has a receipt.

That a node calls a nonce too low says nothing about whose transaction it was: a replica that lags
with receipts says the same of our own.
"""

from __future__ import annotations

from dataclasses import dataclass

from medledger.chain.rpc import Rpc


@dataclass(frozen=True, slots=True)
class Use:
    """The transaction that used a nonce, and its block."""

    hash: bytes
    block: int


def count_of(rpc: Rpc, address: str, block: str) -> int:
    """How many nonces are used as of a block (`pending` counts what waits in the pool)."""
    return rpc.integer(rpc.request("eth_getTransactionCount", address, block))


def use_of(rpc: Rpc, address: str, nonce: int, head: int) -> Use | None:
    """The use of a nonce in a block up to `head`; None where the node shows none.

    Raises `RpcError` where the node has dropped the state of the blocks to look at.
    """
    if count_of(rpc, address, hex(head)) <= nonce:
        return None
    block = _first_block_beyond(rpc, address, nonce, head)
    found = rpc.request("eth_getBlockByNumber", hex(block), True)
    transactions = found.get("transactions", ()) if isinstance(found, dict) else ()
    for transaction in transactions:
        is_ours = str(transaction.get("from", "")).lower() == address.lower()
        if is_ours and rpc.integer(transaction.get("nonce")) == nonce:
            return Use(rpc.octets(transaction.get("hash")), block)
    return None


def _first_block_beyond(rpc: Rpc, address: str, nonce: int, head: int) -> int:
    """The first block in whose state the nonce is used, looked for backwards from the head."""
    used, step = head, 1
    unused = head - step
    while unused >= 0 and count_of(rpc, address, hex(unused)) > nonce:
        used, step = unused, step * 2
        unused = used - step
    unused = max(unused, -1)
    while used - unused > 1:
        middle = (used + unused) // 2
        if count_of(rpc, address, hex(middle)) > nonce:
            used = middle
        else:
            unused = middle
    return used
