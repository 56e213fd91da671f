"""The payer: locks part of a bill with the patient's authorisation, then settles or releases it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from medledger.chain.contract import Call
from medledger.chain.sender import Receipt
from medledger.core.authorisation import Signed
from medledger.core.evidence import Evidence
from medledger.core.hashing import ClaimAuthorisation, InvoiceHeader
from medledger.core.numbers import format_number
from medledger.errors import AuthorisationMismatch, MalformedEvidence
from medledger.roles.role import Role

ZERO_ADDRESS = "0x" + 40 * "0"


class Payer(Role):
    """An insurer or another body that reimburses bills. All amounts are in minor units."""

    def lock(self, evidence: Evidence, authorisation: Signed) -> Receipt:
        """Locks the authorised amount of a bill, opening it where nobody has yet.

        Raises `OverRemainder`, `ClaimIsLocked`, `ClaimIsSettled`, `AuthorisationInvalid`,
        `AuthorisationExpired`, `InvoiceIsReversed`, `DocumentIsHeld` or `ProofInvalid` as the
        contract says, and `AuthorisationMismatch` for an authorisation of another act.
        """
        return self._send(self._locks([(evidence, authorisation)])[0])

    def lock_many(self, rows: Sequence[tuple[Evidence, Signed]]) -> Iterator[Receipt]:
        """Locks many bills, each once; receipts in the order given."""
        return self.sender.send_many(self._locks(rows))

    def settle(
        self, number: int, amount_minor: int, *, reason: int = 0, explanation: bytes = bytes(32)
    ) -> Receipt:
        """Reimburses up to what is locked; the rest becomes free.

        `reason` is the decision's code, `explanation` the hash of the explanation of benefit.
        Raises `ClaimNotLocked`, `ClaimIsSettled` or `OverLock`.
        """
        return self._send(self.ledgers.claims.settle(number, amount_minor, reason, explanation))

    def settle_many(self, rows: Sequence[tuple[int, int, int, bytes]]) -> Iterator[Receipt]:
        """Settles many claims: (number, amount, reason, explanation) each."""
        return self.sender.send_many([self.ledgers.claims.settle(*row) for row in rows])

    def release(self, number: int, *, reason: int = 0) -> Receipt:
        """Gives up a lock; raises `ClaimNotLocked`."""
        return self._send(self.ledgers.claims.release(number, reason))

    def remainder(self, number: int) -> int:
        """What can still be locked of an opened bill."""
        return self.ledgers.claims.remainder_of(number)

    def _locks(self, rows: Sequence[tuple[Evidence, Signed]]) -> list[Call]:
        claims = self.ledgers.claims
        entries = self.ledgers.invoices.invoices_of([evidence.number for evidence, _ in rows])
        calls = []
        for (evidence, signed), entry in zip(rows, entries, strict=True):
            message = signed.message_as(ClaimAuthorisation)
            self._require_for(signed, claims.address)
            if not isinstance(evidence.header, InvoiceHeader):
                raise MalformedEvidence(problem="it is not of a bill")
            if message.number != evidence.number or message.payer != self.institution:
                raise AuthorisationMismatch(
                    problem=f"allows payer {message.payer} and bill "
                    f"{format_number(message.number)}, not payer {self.institution} and bill "
                    f"{format_number(evidence.number)}"
                )
            act = (message.amount, message.deadline, signed.signature)
            if entry.patient == ZERO_ADDRESS:
                proof = (evidence.header, evidence.head, evidence.path)
                calls.append(claims.open_and_lock(*proof, *act))
            else:
                calls.append(claims.lock(evidence.number, *act))
        return calls
