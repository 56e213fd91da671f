"""What a payer tells the ledger of a claim: the patient's terms, and its own decision.

Amounts are in minor units. References and explanations go on chain as their keccak-256 only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from medledger.core.hashing import ClaimAuthorisation, checksum_address


@dataclass(frozen=True, slots=True)
class ClaimTerms:
    """What the patient signed, but for number, payer and sequence; `deadline` in Unix seconds."""

    amount: int
    deadline: int
    after_payer: int
    fixed_benefit: bool
    payee: str

    @classmethod
    def of(cls, message: ClaimAuthorisation) -> ClaimTerms:
        """The terms of an authorisation."""
        return cls(
            message.amount,
            message.deadline,
            message.after_payer,
            message.fixed_benefit,
            message.payee,
        )

    @classmethod
    def from_abi(cls, values: Sequence[Any]) -> ClaimTerms:
        amount, deadline, after_payer, fixed_benefit, payee = values
        address = checksum_address(bytes.fromhex(payee[2:]))
        return cls(amount, deadline, after_payer, fixed_benefit, address)

    def as_abi(self) -> tuple[int, int, int, bool, str]:
        """The tuple that the contract's ABI takes."""
        return (self.amount, self.deadline, self.after_payer, self.fixed_benefit, self.payee)


@dataclass(frozen=True, slots=True)
class Decision:
    """What a payer pays, and why.

    `explanation` is the hash of the explanation of benefit, `payment` that of the payment's
    reference; it may be zero only where the settlement token pays.
    """

    amount: int
    reason: int
    explanation: bytes
    payment: bytes = bytes(32)

    @classmethod
    def from_abi(cls, values: Sequence[Any]) -> Decision:
        return cls(*values)

    def as_abi(self) -> tuple[int, int, bytes, bytes]:
        """The tuple that the contract's ABI takes."""
        return (self.amount, self.reason, self.explanation, self.payment)


@dataclass(frozen=True, slots=True)
class Settlement:
    """A claim that is locked and settled at once."""

    terms: ClaimTerms
    decision: Decision

    @classmethod
    def from_abi(cls, values: Sequence[Any]) -> Settlement:
        terms, decision = values
        return cls(ClaimTerms.from_abi(terms), Decision.from_abi(decision))

    def as_abi(self) -> tuple[tuple[int, int, int, bool, str], tuple[int, int, bytes, bytes]]:
        """The tuple that the contract's ABI takes."""
        return (self.terms.as_abi(), self.decision.as_abi())
