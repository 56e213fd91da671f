"""Gas money for new keys, on chains where gas is not free."""

from __future__ import annotations

import time
from collections.abc import Mapping

from medledger.chain.contract import Call
from medledger.chain.rpc import Rpc
from medledger.chain.sender import Sender
from medledger.errors import KeyMissing, TransactionFailed

PLAIN_TRANSFER_GAS = 21_000


def fund(rpc: Rpc, gas: Mapping[str, int], funder: Sender | None) -> int:
    """Gives each address what its gas will cost at twice the present price; returns the sum in wei.

    Without a funder, the first account that the node itself holds the key of pays (Anvil and
    Ganache have such accounts). On a chain without fees nothing is sent. Raises `KeyMissing` where
    nobody can pay.
    """
    sender = funder or Sender(rpc, b"\x01" * 32)
    fees = sender.fees()
    price = 2 * fees.get("maxFeePerGas", fees.get("gasPrice", 0))
    if price == 0:
        return 0
    amounts = {address: units * price for address, units in gas.items()}
    if funder is not None:
        calls = [Call(address, b"", "transfer", wei) for address, wei in amounts.items()]
        for _ in funder.send_many(calls):
            pass
    else:
        _from_node_account(rpc, amounts)
    return sum(amounts.values())


def _from_node_account(rpc: Rpc, amounts: Mapping[str, int]) -> None:
    accounts = rpc.request("eth_accounts")
    if not accounts:
        raise KeyMissing()
    hashes = [
        rpc.request(
            "eth_sendTransaction",
            {
                "from": accounts[0],
                "to": address,
                "value": hex(wei),
                "gas": hex(PLAIN_TRANSFER_GAS),
            },
        )
        for address, wei in amounts.items()
    ]
    for transaction in hashes:
        for _ in range(600):
            if rpc.request("eth_getTransactionReceipt", transaction):
                break
            time.sleep(0.1)
        else:
            raise TransactionFailed(transaction=transaction, problem="is not mined after 60 s")
