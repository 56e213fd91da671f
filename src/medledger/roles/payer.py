"""The payer: locks part of a bill with the patient's authorisation, then settles or denies it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from medledger.chain.bindings import SettlementToken
from medledger.chain.contract import Call
from medledger.chain.sender import Receipt
from medledger.core.authorisation import Signed
from medledger.core.claims import ClaimTerms, Decision, Settlement
from medledger.core.evidence import Evidence
from medledger.core.hashing import ClaimAuthorisation, InvoiceHeader
from medledger.core.numbers import format_number
from medledger.core.tree import share_paths
from medledger.errors import AuthorisationMismatch, MalformedEvidence
from medledger.roles.role import Role

AT_ONCE = 150
"""Claims in one transaction. The contract takes 200, which are more bytes than the 128 KB that
nodes of geth's kind take."""

Claimed = tuple[Evidence, Signed, Decision]
"""What locking and settling one bill takes."""


class Payer(Role):
    """An insurer or another body that reimburses bills. All amounts are in minor units."""

    def lock(self, evidence: Evidence, authorisation: Signed) -> Receipt:
        """Locks the authorised amount of a bill.

        Raises `OverRemainder`, `ClaimIsLocked`, `ClaimIsSettled`, `AuthorisationInvalid`,
        `AuthorisationExpired`, `InvoiceIsReversed`, `DocumentIsHeld`, `PrescriptionNotHandedOver`
        or `ProofInvalid` as the contract says, and `AuthorisationMismatch` for an authorisation of
        another act.
        """
        return self._send(self._lock(evidence, authorisation))

    def lock_many(self, rows: Sequence[tuple[Evidence, Signed]]) -> Iterator[Receipt]:
        """Locks many bills, each once; receipts in the order given."""
        return self.sender.send_many([self._lock(*row) for row in rows])

    def settle(self, number: int, decision: Decision) -> Receipt:
        """Reimburses up to what is locked; the rest becomes free.

        Raises `ClaimNotLocked`, `ClaimIsSettled`, `OverLock`, `PayerUndecided`,
        `ExplanationMissing`, `PaymentMissing` or `DepositTooSmall`.
        """
        return self._send(self.ledgers.claims.settle(number, decision))

    def settle_many(self, rows: Sequence[tuple[int, Decision]]) -> Iterator[Receipt]:
        """Settles many claims: number and decision each."""
        return self.sender.send_many([self.ledgers.claims.settle(*row) for row in rows])

    def lock_and_settle(
        self, evidence: Evidence, authorisation: Signed, decision: Decision
    ) -> Receipt:
        """Locks and settles in one transaction; raises as `lock` and `settle`."""
        return self._send(self._at_once([(evidence, authorisation, decision)]))

    def lock_and_settle_many(self, rows: Sequence[Claimed]) -> Iterator[Receipt]:
        """Locks and settles many bills, up to 150 of one batch in a transaction with one proof.

        A receipt for each transaction, in order of batch. One claim that is refused refuses its
        whole transaction.
        """
        batches = groupby(sorted(rows, key=_place), key=lambda row: row[0].head)
        calls = []
        for _, batch in batches:
            claimed = list(batch)
            parts = range(0, len(claimed), AT_ONCE)
            calls += [self._at_once(claimed[start : start + AT_ONCE]) for start in parts]
        return self.sender.send_many(calls)

    def deny(self, number: int, *, reason: int, explanation: bytes) -> Receipt:
        """Refuses to reimburse, and frees the lock; raises `ClaimNotLocked`."""
        return self._send(self.ledgers.claims.deny(number, reason, explanation))

    def withdraw(self, number: int, *, reason: int = 0) -> Receipt:
        """Gives up a lock before a decision; raises `ClaimNotLocked`."""
        call = self.ledgers.claims.withdraw(number, self.institution, reason, 0, b"")
        return self._send(call)

    def waive(self, number: int) -> Receipt:
        """Lets payers that come later settle without this one; raises `ClaimForbids`."""
        return self._send(self.ledgers.claims.waive(number, self.institution, 0, b""))

    def recoup(self, number: int, amount: int, *, reason: int, explanation: bytes) -> Receipt:
        """Demands part of a reimbursement back; raises `OverReimbursed`."""
        return self._send(self.ledgers.claims.recoup(number, amount, reason, explanation))

    def repay(self, number: int, amount: int, payment: bytes) -> Receipt:
        """Records money that came back, `payment` its reference's hash; raises `OverRecoupDue`."""
        return self._send(self.ledgers.claims.repay(number, amount, payment))

    def book(self, number: int) -> Receipt:
        """Books a reimbursed claim; raises `ClaimForbids`."""
        return self._send(self.ledgers.claims.book(number))

    def revoke_booking(self, number: int, *, reason: int = 0) -> Receipt:
        """Revokes a booking that is not archived; raises `ClaimForbids`."""
        return self._send(self.ledgers.claims.revoke_booking(number, reason))

    def archive(self, number: int) -> Receipt:
        """Makes a booking final; raises `ClaimForbids`."""
        return self._send(self.ledgers.claims.archive(number))

    def deposit(self, amount: int) -> Receipt:
        """Deposits settlement tokens of the operator's, from which settlements are paid."""
        escrow = self.ledgers.escrow
        token = SettlementToken(self.ledgers.rpc, escrow.token())
        self._send(token.approve(escrow.address, amount))
        return self._send(escrow.deposit(amount))

    def withdraw_deposit(self, amount: int, to: str) -> Receipt:
        """Takes tokens out of the deposit; raises `DepositTooSmall`."""
        return self._send(self.ledgers.escrow.withdraw(amount, to))

    def remainder(self, evidence: Evidence) -> int:
        """What can still be locked of a bill.

        Raises, as `lock`, where the bill cannot be used: `InvoiceIsReversed`, `InvoiceOnPaper`,
        `DocumentIsHeld` or `ProofInvalid`.
        """
        header = _invoice_header(evidence)
        proof = ([header], evidence.head, evidence.path)
        (claimable,) = self.ledgers.invoices.require_usable(*proof)
        locked, reimbursed = self.ledgers.claims.usage_of(header.number)
        return max(claimable - locked - reimbursed, 0)

    def recoup_due(self, number: int) -> int:
        """What this payer must get back of a bill."""
        return self.ledgers.claims.recoup_due_of(number, self.institution)

    def _lock(self, evidence: Evidence, signed: Signed) -> Call:
        terms = self._terms(evidence, signed)
        proof = (_invoice_header(evidence), evidence.head, evidence.path)
        return self.ledgers.claims.lock(*proof, terms, signed.signature)

    def _at_once(self, rows: Sequence[Claimed]) -> Call:
        """The transaction for claims on bills of one batch, in order of number."""
        headers = [_invoice_header(evidence) for evidence, _, _ in rows]
        settlements = [
            Settlement(self._terms(evidence, signed), decision)
            for evidence, signed, decision in rows
        ]
        signatures = [signed.signature for _, signed, _ in rows]
        first = rows[0][0]
        claims = self.ledgers.claims
        if len(rows) == 1:
            proof = (headers[0], first.head, first.path)
            return claims.lock_and_settle(*proof, settlements[0], signatures[0])
        paths = {evidence.number - first.head.first: evidence.path for evidence, _, _ in rows}
        shared = share_paths(paths, first.head.count)
        return claims.lock_and_settle_many(headers, first.head, shared, settlements, signatures)

    def _terms(self, evidence: Evidence, signed: Signed) -> ClaimTerms:
        message = signed.message_as(ClaimAuthorisation)
        self._require_for(signed, self.ledgers.claims.address)
        if message.number != evidence.number or message.payer != self.institution:
            raise AuthorisationMismatch(
                problem=f"allows payer {message.payer} and bill "
                f"{format_number(message.number)}, not payer {self.institution} and bill "
                f"{format_number(evidence.number)}"
            )
        return ClaimTerms.of(message)


def _invoice_header(evidence: Evidence) -> InvoiceHeader:
    if not isinstance(evidence.header, InvoiceHeader):
        raise MalformedEvidence(problem="it is not of a bill")
    return evidence.header


def _place(row: Claimed) -> tuple[int, int]:
    return (row[0].head.first, row[0].number)
