"""The hospital: issues bills, prescriptions and records; reverses, cancels and amends them.

hospital = Hospital.connect("http://127.0.0.1:8545", operator=key, store="sqlite:///hospital.db")
receipt = hospital.issue(invoice)
receipt.evidence().to_json()      # what the patient keeps
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from medledger.chain.contract import Call
from medledger.chain.sender import Receipt
from medledger.core.documents import Invoice, Prescription, RedLetter
from medledger.core.hashing import InvoiceHeader
from medledger.core.states import Standing
from medledger.errors import InvoiceInUse, InvoiceIsRedLetter, InvoiceIsReversed
from medledger.roles.issuer import Issuer, IssueReceipt
from medledger.roles.issuing import sealed_of_stored


class Hospital(Issuer):
    """An issuer of bills, prescriptions and records."""

    def issue(self, invoice: Invoice, *, segment: int | None = None) -> IssueReceipt:
        """Issues one bill: a batch of one. See `issue_many`."""
        return self._issue_one(invoice, segment)

    def prescribe(self, prescription: Prescription, *, segment: int | None = None) -> IssueReceipt:
        """Issues one prescription: a batch of one. See `issue_many`."""
        return self._issue_one(prescription, segment)

    def issue_red_letters(
        self, numbers: Sequence[int], *, segment: int | None = None
    ) -> list[IssueReceipt]:
        """Issues a red-letter bill for each of these bills, in one batch or more; reverses nothing.

        Raises `NotFound` where a bill is not in the store.
        """
        ledger = self.ledgers.invoices.address
        now = datetime.fromtimestamp(self.now(), UTC)
        originals = [sealed_of_stored(self.store.document(ledger, number)) for number in numbers]
        letters = [
            RedLetter(sealed.header, sealed.fields, now)
            for sealed in originals
            if isinstance(sealed.header, InvoiceHeader)
        ]
        # A letter that was issued before has another date.
        return list(self.issue_many(letters, segment=segment, compares=False))

    def reverse(self, number: int, red_letter: int | None, reason: int) -> Receipt:
        """Reverses a bill; `reason` is a code, 0 to 65535.

        Without the number of an issued red-letter bill, one is issued first. Raises
        `InvoiceInUse` while a payer has it locked, `InvoiceIsReversed` or `InvoiceIsRedLetter`.
        """
        if red_letter is None:
            # A refusal is told before a number is spent on a red letter.
            self._require_reversible(number)
            (letter,) = self.issue_red_letters([number])
            red_letter = letter.number
        return self._send(self._reverse(number, red_letter, reason))

    def reverse_many(self, rows: Sequence[tuple[int, int, int]]) -> Iterator[Receipt]:
        """Reverses many bills: (number, red letter, reason) each."""
        return self.sender.send_many([self._reverse(*row) for row in rows])

    def cancel(self, number: int, reason: int) -> Receipt:
        """Cancels a prescription that no pharmacy has.

        Raises `PrescriptionIsTaken` or `StateForbids`.
        """
        segment = self._segment_of(number, "Prescription")
        return self._send(self.ledgers.prescriptions.cancel(segment, number, reason))

    def _require_reversible(self, number: int) -> None:
        invoices, claims = self.ledgers.invoices, self.ledgers.claims
        standing = invoices.invoice_of(number).standing
        if standing == Standing.REVERSED:
            raise InvoiceIsReversed(number=number, redLetter=invoices.reversed_by(number))
        if standing == Standing.RED_LETTER:
            raise InvoiceIsRedLetter(number=number)
        locked, reimbursed = claims.usage_of(number)
        if locked:
            raise InvoiceInUse(number=number, locked=locked, reimbursed=reimbursed)

    def _reverse(self, number: int, red_letter: int, reason: int) -> Call:
        return self.ledgers.invoices.reverse(
            self._segment_of(number, "Invoice"),
            number,
            self._segment_of(red_letter, "Invoice"),
            red_letter,
            reason,
        )
