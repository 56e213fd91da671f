"""How a sender behaves on a network."""

from __future__ import annotations

from dataclasses import dataclass

IN_FLIGHT = 16
"""Transactions of one signer on their way at once: what geth and Besu keep of one for sure."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What the network and its operator decide. Times in seconds, fees in wei a gas."""

    confirmations: int = 1
    """Depth at which a block is final, itself counted: 1 on QBFT, n on Clique and Anvil."""
    in_flight: int = IN_FLIGHT
    bump_after_seconds: float = 30
    bump_percent: float = 12.5
    """The least raise of a fee. Anvil takes 5 %, geth and Besu want 10."""
    fee_cap: int | None = None
    """The most that is offered for gas; None for no limit."""
    patience_seconds: float = 120
    """How long `settle` waits without any progress."""
