"""Gas money for new keys, on chains where gas is not free."""

from __future__ import annotations

import time
from collections.abc import Mapping

from medledger.chain.contract import Call
from medledger.chain.rpc import Rpc
from medledger.chain.sender import Fees, Sender
from medledger.chain.sender.signer import TRANSFER_GAS
from medledger.errors import KeyMissing, TransactionFailed


def fund(rpc: Rpc, gas: Mapping[str, int], funder: Sender | None) -> int:
    """Gives each address what its gas will cost at twice the present price; returns the sum in wei.

    Without a funder, the first account that the node itself holds the key of pays (Anvil and
    Ganache have such accounts). On a chain without fees nothing is sent. Raises `KeyMissing` where
    nobody can pay.
    """
    sender = funder or Sender(rpc, b"\x01" * 32)
    fees = sender.fees()
    if fees.is_free:
        return 0
    price = 2 * fees.max_fee
    amounts = {address: units * price for address, units in gas.items()}
    if funder is not None:
        calls = [Call(address, b"", "transfer", wei) for address, wei in amounts.items()]
        for _ in funder.send_many(calls):
            pass
    else:
        _from_node_account(rpc, amounts, fees)
    return sum(amounts.values())


def _from_node_account(rpc: Rpc, amounts: Mapping[str, int], fees: Fees) -> None:
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
                "gas": hex(TRANSFER_GAS),
                # Named because Anvil of before London takes no transaction without a price.
                **{name: hex(wei_a_gas) for name, wei_a_gas in fees.fields().items()},
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
