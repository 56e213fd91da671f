"""Every byte that is signed is what eth-account makes of the same fields."""

from __future__ import annotations

from typing import Any

import pytest
from eth_account import Account
from hypothesis import given
from hypothesis import strategies as st

from medledger.chain.sender import Fees
from medledger.chain.sender.signer import Signer
from medledger.core.hashing import checksum_address, keccak256
from medledger.core.transactions import Intent

KEYS = st.integers(1, 2**250).map(lambda number: number.to_bytes(32, "big"))
ADDRESSES = st.binary(min_size=20, max_size=20).map(checksum_address)
INTENTS = st.builds(
    Intent,
    st.just("") | ADDRESSES,
    st.binary(max_size=300),
    st.just("name"),
    st.integers(21_000, 2**63),
    st.integers(0, 2**128),
)
FEES = st.integers(0, 2**64).flatmap(
    lambda most: st.builds(Fees, st.just(most), st.none() | st.integers(0, most))
)


@given(KEYS, INTENTS, st.integers(0, 2**64 - 2), FEES, st.integers(1, 2**32))
def test_attempt__any_intent_and_fees__the_bytes_of_eth_account(
    key: bytes, intent: Intent, nonce: int, fees: Fees, chain_id: int
) -> None:
    fields: dict[str, Any] = {
        "chainId": chain_id,
        "nonce": nonce,
        "to": intent.to or b"",
        "value": intent.value,
        "data": intent.data,
        "gas": intent.gas,
        **fees.fields(),
    }

    attempt = Signer(key).attempt(intent, nonce, fees, chain_id)

    expected = Account.from_key(key).sign_transaction(fields)
    assert attempt.raw == bytes(expected.raw_transaction)
    assert attempt.hash == bytes(expected.hash) == keccak256(attempt.raw)
    assert (attempt.nonce, attempt.max_fee, attempt.tip) == (nonce, fees.max_fee, fees.tip)
    assert not attempt.is_cancellation
    assert Account.recover_transaction(attempt.raw) == Signer(key).address


@pytest.mark.parametrize("fees", [Fees(7, 2), Fees(5, None)])
def test_cancellation__of_a_nonce__moves_nothing_but_the_nonce(fees: Fees) -> None:
    signer = Signer(keccak256(b"a key"))

    attempt = signer.cancellation(3, fees, 31337)

    nothing = Intent(signer.address, b"", "cancellation", 21_000, 0)
    assert attempt.raw == signer.attempt(nothing, 3, fees, 31337).raw
    assert attempt.is_cancellation
