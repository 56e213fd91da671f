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
from medledger.core.authorisation import Signed
from medledger.core.documents import (
    Invoice,
    InvoiceLine,
    PartialRedLetter,
    Prescription,
    Record,
    RedLetter,
)
from medledger.core.hashing import AccessGrant, AccessRevocation, InvoiceHeader, RecordHeader
from medledger.core.statement import StatementRow, statement_row
from medledger.core.states import Standing
from medledger.errors import (
    DuplicateBusinessKey,
    InvalidDocument,
    InvoiceInUse,
    InvoiceIsRedLetter,
    InvoiceIsReversed,
    InvoiceOnPaper,
    RecordIsAmended,
    ReversalAmountInvalid,
)
from medledger.roles.issuer import IssueReceipt
from medledger.roles.issuing import sealed_of_stored
from medledger.roles.log_keeper import LogKeeper


class Hospital(LogKeeper):
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

    def reverse_part(
        self,
        number: int,
        amount_minor: int,
        reason: int,
        *,
        business_key: str,
        lines: Sequence[InvoiceLine] = (),
        segment: int | None = None,
    ) -> Receipt:
        """Takes back part of what the patient bore, by a red-letter bill issued for it.

        `business_key` is the hospital's own number of the refund: given again, it takes back
        nothing more (`InvoiceIsRedLetter`), or finishes what stopped. The bill is opened first
        where nobody has. Raises `ReversalAmountInvalid`, `InvoiceInUse` while a payer has it
        locked, `InvoiceIsReversed`, `InvoiceIsRedLetter`, `InvoiceOnPaper`; `DuplicateBusinessKey`
        for a refund of another amount; `NotFound` where the bill is not in the store.
        """
        self._require_reversible(number)
        invoices = self.ledgers.invoices
        self._open(number)
        left = invoices.claimable_of(number)
        found = self.store.numbers_of(invoices.address, [business_key])
        if not found and not 0 < amount_minor <= left:
            # A refusal is told before a number is spent on a red letter.
            raise ReversalAmountInvalid(number=number, amount=amount_minor, left=left)
        sealed = sealed_of_stored(self.store.document(invoices.address, number))
        assert isinstance(sealed.header, InvoiceHeader)
        letter = PartialRedLetter(
            business_key,
            sealed.header,
            sealed.fields,
            datetime.fromtimestamp(self.now(), UTC),
            amount_minor,
            tuple(lines),
        )
        # One that was issued before has another date.
        (receipt,) = self.issue_many([letter], segment=segment, batch=1, compares=False)
        evidence = receipt.evidence()
        assert isinstance(evidence.header, InvoiceHeader)
        if evidence.header.claimable != amount_minor:
            raise DuplicateBusinessKey(key=business_key, number=receipt.number)
        return self._send(
            invoices.reverse_part(
                self._segment_of(number, "Invoice"),
                number,
                self._segment_of(receipt.number, "Invoice"),
                evidence.header,
                evidence.head,
                evidence.path,
                reason,
            )
        )

    def exchange_for_paper(self, number: int, paper_hash: bytes) -> Receipt:
        """Hands a bill out on paper: it has no use on the ledger until `void_paper`.

        `paper_hash` is a commitment of 32 bytes to the copy: hash it with a salt. Raises
        `InvoiceInUse` where it is locked or reimbursed, `DocumentIsHeld`, `InvoiceOnPaper`.
        """
        segment = self._segment_of(number, "Invoice")
        return self._send(self.ledgers.invoices.exchange_for_paper(segment, number, paper_hash))

    def void_paper(self, number: int) -> Receipt:
        """Ends the exchange, once the paper copy is back; raises `InvoiceNotOnPaper`."""
        segment = self._segment_of(number, "Invoice")
        return self._send(self.ledgers.invoices.void_paper(segment, number))

    def reverse_many(self, rows: Sequence[tuple[int, int, int]]) -> Iterator[Receipt]:
        """Reverses many bills: (number, red letter, reason) each."""
        return self.sender.send_many([self._reverse(*row) for row in rows])

    def statement(self, start: int, end: int) -> Iterator[StatementRow]:
        """What the store says that was issued from one time until before another, by number.

        Times are those of the batches' blocks, Unix seconds. What is not final yet is not in it.
        """
        ledger = self.ledgers.invoices.address
        for batch in self.store.issued_between(ledger, start, end):
            for stored in self.store.documents_of(ledger, batch.first):
                sealed = sealed_of_stored(stored)
                assert isinstance(sealed.header, InvoiceHeader)
                yield statement_row(sealed.header, sealed.fields)

    def cancel(self, number: int, reason: int) -> Receipt:
        """Cancels a prescription that no pharmacy has, or the repeats after a delivered fill.

        Raises `PrescriptionIsTaken` or `StateForbids`.
        """
        segment = self._segment_of(number, "Prescription")
        return self._send(self.ledgers.prescriptions.cancel(segment, number, reason))

    def request_cancel(self, number: int, reason: int) -> Receipt:
        """Asks the pharmacy that has a prescription to return it, which then cancels it.

        Raises `StateForbids` or `CancelIsRequested`.
        """
        segment = self._segment_of(number, "Prescription")
        return self._send(self.ledgers.prescriptions.request_cancel(segment, number, reason))

    # Records

    def record(self, record: Record, *, segment: int | None = None) -> IssueReceipt:
        """Issues one record: a batch of one. See `issue_many`, and `amend`."""
        return self._issue_one(record, segment)

    def open_record(self, number: int) -> Receipt:
        """Opens a record of this hospital, so that its patient can grant access to it."""
        evidence = self.evidence(number, "Record", [])
        assert isinstance(evidence.header, RecordHeader)
        return self._send(self.ledgers.records.open(evidence.header, evidence.head, evidence.path))

    def amend(self, record: Record, *, segment: int | None = None) -> IssueReceipt:
        """Issues a record that names the one it takes the place of, and opens both.

        A refusal is told before a number is spent. Raises `RecordIsAmended`, `NotFound`.
        """
        amended = record.amends
        if amended is None:
            raise InvalidDocument(field="amends", problem="names no record")
        stored = self.store.numbers_of(self.ledgers.records.address, [record.business_key])
        if not stored and (latest := self.ledgers.records.latest_of(amended)) != amended:
            raise RecordIsAmended(number=amended, latest=latest)
        if not int(self.ledgers.records.record_of(amended).patient, 16):
            self.open_record(amended)
        receipt = self.record(record, segment=segment)
        if not int(self.ledgers.records.record_of(receipt.number).patient, 16):
            self.open_record(receipt.number)
        return receipt

    def grant(self, signed: Signed) -> Receipt:
        """Relays a patient's grant of access to an opened record.

        Raises `AuthorisationInvalid`, `AuthorisationExpired`, `RecordNotOpened`, `NotAReader`.
        """
        message = signed.message_as(AccessGrant)
        records = self.ledgers.records
        self._require_for(signed, records.address)
        reader = (message.number, message.institution, message.purpose)
        return self._send(records.grant(*reader, message.until, signed.signature))

    def revoke_grant(self, signed: Signed) -> Receipt:
        """Relays a patient's revocation; raises `AuthorisationInvalid`, `RecordNotOpened`."""
        message = signed.message_as(AccessRevocation)
        records = self.ledgers.records
        self._require_for(signed, records.address)
        reader = (message.number, message.institution, message.purpose)
        return self._send(records.revoke(*reader, signed.signature))

    # Payments

    def confirm_payment(self, number: int, payer: int, payment: bytes) -> Receipt:
        """Confirms that a payer paid a bill of this hospital; `payment` is the reference's hash.

        Raises `PaymentDiffers`, `PaymentIsConfirmed` or `NotTheIssuer`.
        """
        segment = self._segment_of(number, "Invoice")
        call = self.ledgers.claims.confirm_payment(number, payer, payment, segment, 0, b"")
        return self._send(call)

    def set_account(self, account: str) -> Receipt:
        """Says where this hospital is paid in the settlement token; the zero address: nowhere."""
        return self._send(self.ledgers.payments.set_account(account))

    def state_payment(self, number: int, amount: int, payment: bytes) -> Receipt:
        """States that a patient paid a bill off chain; it counts once the patient confirms it.

        `payment` is the reference's hash. Raises `BillIsPaid`, `PaymentIsStated`, `NotTheIssuer`.
        """
        segment = self._segment_of(number, "Invoice")
        return self._send(self.ledgers.payments.state(segment, number, amount, payment))

    def withdraw_statement(self, number: int) -> Receipt:
        """Takes a statement back; raises `PaymentNotStated`, or `BillIsPaid` once confirmed."""
        segment = self._segment_of(number, "Invoice")
        return self._send(self.ledgers.payments.withdraw(segment, number))

    def _require_reversible(self, number: int) -> None:
        invoices, claims = self.ledgers.invoices, self.ledgers.claims
        standing = invoices.invoice_of(number).standing
        if standing == Standing.REVERSED:
            raise InvoiceIsReversed(number=number, redLetter=invoices.reversed_by(number))
        if standing == Standing.RED_LETTER:
            raise InvoiceIsRedLetter(number=number)
        if standing == Standing.ON_PAPER:
            raise InvoiceOnPaper(number=number)
        locked, reimbursed = claims.taken_of(number)
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
