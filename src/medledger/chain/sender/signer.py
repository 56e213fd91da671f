"""The one place that has a key: it makes attempts of intents.

Encodes EIP-155 and EIP-1559 transactions itself: eth-account takes three times as long, and takes
more than a transaction of ours may be. A test holds every byte to eth-account's.
"""

from __future__ import annotations

import rlp  # type: ignore[import-untyped]
from coincurve import PrivateKey
from eth_account import Account
from eth_utils.address import to_canonical_address

from medledger.chain.sender.fees import Fees
from medledger.core.hashing import keccak256
from medledger.core.transactions import Attempt, Intent

TRANSFER_GAS = 21_000
DYNAMIC_FEE = b"\x02"
"""The type byte of EIP-1559."""


class Signer:
    """Signs for one key."""

    def __init__(self, key: bytes) -> None:
        self.address: str = Account.from_key(key).address
        self._key = PrivateKey(key)

    def attempt(self, intent: Intent, nonce: int, fees: Fees, chain_id: int) -> Attempt:
        """The intent with this nonce and these fees."""
        raw = self._raw(intent, nonce, fees, chain_id)
        return Attempt(keccak256(raw), raw, nonce, fees.max_fee, fees.tip)

    def cancellation(self, nonce: int, fees: Fees, chain_id: int) -> Attempt:
        """An empty transaction to the signer itself, which only uses the nonce up."""
        raw = self._raw(self.nothing("cancellation"), nonce, fees, chain_id)
        return Attempt(keccak256(raw), raw, nonce, fees.max_fee, fees.tip, is_cancellation=True)

    def nothing(self, name: str) -> Intent:
        """An intent without effect."""
        return Intent(self.address, b"", name, TRANSFER_GAS)

    def _raw(self, intent: Intent, nonce: int, fees: Fees, chain_id: int) -> bytes:
        to = to_canonical_address(intent.to) if intent.to else b""
        if fees.tip is None:
            fields = [nonce, fees.max_fee, intent.gas, to, intent.value, intent.data]
            parity, r, s = self._signature(rlp.encode([*fields, chain_id, 0, 0]))
            legacy: bytes = rlp.encode([*fields, 35 + 2 * chain_id + parity, r, s])
            return legacy
        head = [chain_id, nonce, fees.tip, fees.max_fee, intent.gas]
        fields = [*head, to, intent.value, intent.data, []]
        signature = self._signature(DYNAMIC_FEE + rlp.encode(fields))
        typed: bytes = DYNAMIC_FEE + rlp.encode([*fields, *signature])
        return typed

    def _signature(self, message: bytes) -> tuple[int, int, int]:
        """(parity, r, s) over the message's hash."""
        made = self._key.sign_recoverable(keccak256(message), hasher=None)
        return made[64], int.from_bytes(made[:32], "big"), int.from_bytes(made[32:64], "big")
