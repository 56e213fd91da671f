"""A deployment whose Payments take a settlement token, though the world's has none."""

from __future__ import annotations

from dataclasses import replace

from tests.roles.world import key_of

from medledger.chain import abi
from medledger.chain.bindings import SettlementToken
from medledger.chain.contract import Call
from medledger.chain.deployment import (
    CURRENCY,
    Deployed,
    Ledgers,
    connect,
    created_address,
    deploy_token,
)
from medledger.chain.keys import address_of
from medledger.chain.sender import Sender
from medledger.core.hashing import keccak256


def taking_tokens(ledgers: Ledgers, currency: int = CURRENCY) -> tuple[Ledgers, SettlementToken]:
    """The same contracts, but Payments, and the token; the supervisor's key mints it."""
    rpc, key = ledgers.rpc, key_of("supervisor")
    token = deploy_token(rpc, key)
    nonce = int(rpc.request("eth_getTransactionCount", address_of(key), "pending"), 16)
    data = abi.constructor_data("Payments", (ledgers.invoices.address, token, currency))
    receipt = Sender(rpc, key).send(Call("", data, "Payments.constructor"))
    address = created_address(address_of(key), nonce)
    code_hash = "0x" + keccak256(rpc.code(address)).hex()
    payments = Deployed(address, "0x" + receipt.hash.hex(), code_hash)
    contracts = {**ledgers.manifest.contracts, "Payments": payments}
    manifest = replace(ledgers.manifest, contracts=contracts)
    return connect(rpc, manifest), SettlementToken(rpc, token)


def mint(token: SettlementToken, account: str, amount: int) -> None:
    """Gives an account tokens."""
    Sender(token.rpc, key_of("supervisor")).send(token.mint(account, amount))
