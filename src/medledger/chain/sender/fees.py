"""What a transaction offers for gas: EIP-1559 fees, a legacy price, or nothing.

Amounts are in wei a gas.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from medledger.chain.rpc import Rpc
from medledger.core.transactions import Attempt
from medledger.errors import RpcError, RpcUnavailable

FRESH_SECONDS = 5.0
"""How long fees are used without asking again."""


@dataclass(frozen=True, slots=True)
class Fees:
    """`maxFeePerGas` and tip, or, where `tip` is None, a legacy `gasPrice`."""

    max_fee: int
    tip: int | None

    @property
    def is_free(self) -> bool:
        return self.max_fee == 0

    def fields(self) -> dict[str, int]:
        """The fields of a transaction."""
        if self.tip is None:
            return {"gasPrice": self.max_fee}
        return {"maxFeePerGas": self.max_fee, "maxPriorityFeePerGas": self.tip}

    def within(self, cap: int | None) -> Fees:
        """The same, or as much of it as the cap allows."""
        if cap is None or self.max_fee <= cap:
            return self
        return Fees(cap, None if self.tip is None else min(self.tip, cap))


FREE = Fees(0, 0)


def raised(
    attempts: Sequence[Attempt], market: Fees, percent: float, cap: int | None
) -> Fees | None:
    """Fees that replace every one of these attempts, and the market's where it asks for more.

    None where the cap allows no such fees. `percent` is the least raise: nodes want 10.
    """
    least = _more(max(attempt.max_fee for attempt in attempts), percent)
    tip = _more(max(_tip(attempt) for attempt in attempts), percent)
    wanted = max(least, market.max_fee)
    if cap is not None and least > cap:
        return None
    max_fee = wanted if cap is None else min(wanted, cap)
    if market.tip is None:
        return Fees(max_fee, None)
    tip = min(max(tip, market.tip), max_fee)
    return Fees(max_fee, tip)


def _tip(attempt: Attempt) -> int:
    """A legacy price is its own tip."""
    return attempt.max_fee if attempt.tip is None else attempt.tip


def _more(amount: int, percent: float) -> int:
    return math.ceil(amount * (1 + Fraction(percent) / 100))


class Market:
    """What the network asks for now. Remembers it, for when no node answers."""

    def __init__(self, rpc: Rpc, clock: Callable[[], float]) -> None:
        self._rpc = rpc
        self._clock = clock
        self._fees = FREE
        self._asked_at = -math.inf
        self.gas_price = 0
        """`eth_gasPrice` as last told: the least that a node takes where its blocks are free."""

    def fetch(self) -> Fees:
        """Fees of two base fees and the proposed tip; raises `RpcUnavailable`."""
        self._asked_at = self._clock()
        head, tip, price = self._rpc.batch(
            [
                ("eth_getBlockByNumber", ["latest", False]),
                ("eth_maxPriorityFeePerGas", []),
                ("eth_gasPrice", []),
            ]
        )
        if not isinstance(head, dict):
            raise RpcUnavailable(url=self._rpc.url, problem="it has no latest block")
        self.gas_price = 0 if isinstance(price, RpcError) else self._rpc.integer(price)
        self._fees = self._of(head.get("baseFeePerGas"), tip)
        return self._fees

    def present(self) -> Fees:
        """As `fetch`, no older than `FRESH_SECONDS`; the last known where no node answers."""
        if self._clock() - self._asked_at >= FRESH_SECONDS:
            try:
                return self.fetch()
            except RpcUnavailable:
                # Signing must work without a node: a fee that proves too low is raised later.
                return self._fees
        return self._fees

    def _of(self, base_fee: Any, proposed: Any) -> Fees:
        if base_fee is None:
            return Fees(self.gas_price, None)
        base = self._rpc.integer(base_fee)
        if base == 0:
            # A network without fees: Anvil still proposes a tip, which no empty account can pay.
            return FREE
        if isinstance(proposed, RpcError):
            tip = max(self.gas_price - base, 0)
        else:
            tip = self._rpc.integer(proposed)
        return Fees(2 * base + tip, tip)
