"""What the attacks share: the deployment of tests/contracts, forged acts, and blocks of several."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hexbytes import HexBytes
from tests.contracts.conftest import pytest_addoption, pytest_configure, pytest_ignore_collect

from medledger.core.hashing import ZERO_ADDRESS, keccak256

__all__ = ["pytest_addoption", "pytest_configure", "pytest_ignore_collect"]

DECIDED = (12, keccak256(b"explanation of benefit"), keccak256(b"bank reference"))
GWEI = 10**9


@pytest.fixture
def sign_claim(authorise_claim: Any) -> Callable[..., bytes]:
    """The patient's signature alone."""
    return lambda *arguments, **terms: authorise_claim(*arguments, **terms)[1]


@pytest.fixture
def lock_with(claims: Any, far_future: int, proof_of: Any) -> Callable[..., Any]:
    """A payer locks 1,000 with whatever signature it has."""

    def act(
        number: int,
        payer: Any,
        signature: bytes,
        amount: int = 1_000,
        deadline: int = far_future,
        **fees: int,
    ) -> Any:
        terms = (amount, deadline, 0, False, ZERO_ADDRESS)
        return claims.lock(*proof_of(number), terms, signature, sender=payer, **fees)

    return act


@pytest.fixture
def not_authorised(invoices: Any, claims: Any, refused: Any) -> Callable[..., None]:
    """Asserts that a signature is refused for this bill, and that nothing gets locked."""

    def assert_refused(number: int, act: Callable[[], Any]) -> None:
        patient, before = invoices.invoiceOf(number).patient, claims.usageOf(number)
        with refused(claims.AuthorisationInvalid, number=number, patient=patient):
            act()
        assert claims.usageOf(number) == before

    return assert_refused


@pytest.fixture
def settle(claims: Any) -> Callable[..., Any]:
    def act(number: int, payer: Any, amount: int, **fees: int) -> Any:
        return claims.settle(number, (amount, *DECIDED), sender=payer, **fees)

    return act


@pytest.fixture
def deny(claims: Any) -> Callable[..., Any]:
    return lambda number, payer: claims.deny(number, *DECIDED[:2], sender=payer)


@pytest.fixture
def until_of(claims: Any, ids: Any) -> Callable[..., int]:
    """The last second of a payer's lock."""
    return lambda number, payer: claims.claimOf(number, ids[payer]).until


@pytest.fixture
def in_one_block(chain: Any) -> Callable[..., list[int]]:
    """Mines one block of these acts, in this order, and returns the status of each: 1 or 0.

    They are sent last first, as somebody sends who has seen the others wait and pays more to go
    ahead of them. Each act takes the fees that it is to pay.
    """
    provider = chain.provider

    def mine(*acts: Callable[..., Any], timestamp: int | None = None) -> list[int]:
        provider.auto_mine = False
        try:
            sent = [
                act(gas=900_000, max_priority_fee=rank * GWEI, max_fee=(rank + 1) * GWEI)
                for rank, act in enumerate(reversed(acts), start=1)
            ]
            chain.mine(timestamp=timestamp)
        finally:
            provider.auto_mine = True

        get = provider.web3.eth.get_transaction_receipt
        receipts = [get(HexBytes(each.txn_hash)) for each in reversed(sent)]
        assert len({receipt.blockNumber for receipt in receipts}) == 1
        assert [receipt.transactionIndex for receipt in receipts] == list(range(len(acts)))
        return [receipt.status for receipt in receipts]

    return mine
