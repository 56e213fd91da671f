"""The rules of Invoices: what a bill is, and what is taken back of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from tests.model.rules import ZERO_ADDRESS, Change, Refused, View, nothing
from tests.model.rules_documents import DocumentLedger, Proof, SharedProof

from medledger.core.hashing import InvoiceHeader
from medledger.core.states import Kind, Standing


@dataclass
class Bill:
    patient: str = ZERO_ADDRESS
    claimable: int = 0
    currency: int = 0
    born_on_hold: bool = False
    standing: Standing = Standing.REGULAR
    red_letter: int = 0
    """What reversed it in whole."""
    taken: int = 0
    """What partial red letters took."""
    original: int = 0
    """What it reversed."""

    @property
    def left(self) -> int:
        if self.standing in (Standing.REVERSED, Standing.RED_LETTER):
            return 0
        return self.claimable - self.taken


@dataclass
class Invoices(DocumentLedger):
    NAME = "Invoices"
    ISSUER = Kind.HOSPITAL

    bills: dict[int, Bill] = field(default_factory=dict)
    claimed: Callable[[int], tuple[int, int]] = field(init=False)
    """What payers have locked and reimbursed of a bill, fixed benefits too: says `Claims`."""

    def open(self, by: str, proof: Proof) -> Change:
        header = proof.header
        assert isinstance(header, InvoiceHeader)
        number = header.number
        self.require_not_paused()
        self.verify(number, proof)
        if header.patient == ZERO_ADDRESS:
            raise Refused("PatientMissing", number=number)
        bill = self.bill(number)
        if bill.patient != ZERO_ADDRESS:
            return nothing

        def change() -> None:
            bill.patient = header.patient
            bill.claimable = header.claimable
            bill.currency = header.currency
            bill.born_on_hold = header.on_hold
            self.bills[number] = bill

        return change

    def reverse(
        self, by: str, segment: int, number: int, red_segment: int, red_letter: int, reason: int
    ) -> Change:
        self._require_reversible(by, segment, number, red_segment, red_letter)
        bill, letter = self.bill(number), self.bill(red_letter)

        def change() -> None:
            bill.standing, bill.red_letter = Standing.REVERSED, red_letter
            letter.standing, letter.original = Standing.RED_LETTER, number
            self.bills[number], self.bills[red_letter] = bill, letter

        return change

    def reversePart(  # noqa: N802
        self, by: str, segment: int, number: int, red_segment: int, proof: Proof, reason: int
    ) -> Change:
        header = proof.header
        assert isinstance(header, InvoiceHeader)
        red_letter = header.number
        self._require_reversible(by, segment, number, red_segment, red_letter)
        self.verify(red_letter, proof)
        bill, letter = self.bill(number), self.bill(red_letter)
        if bill.patient == ZERO_ADDRESS:
            raise Refused("InvoiceNotOpened", number=number)
        is_for_it = (header.patient, header.currency) == (bill.patient, bill.currency)
        if not is_for_it or not header.on_hold:
            raise Refused("RedLetterMismatch", number=number, redLetter=red_letter)
        amount = header.claimable
        if not 1 <= amount <= bill.left:
            raise Refused("ReversalAmountInvalid", number=number, amount=amount, left=bill.left)

        def change() -> None:
            bill.standing = Standing.PARTLY_REVERSED
            bill.taken += amount
            letter.standing, letter.original = Standing.RED_LETTER, number
            self.bills[red_letter] = letter

        return change

    def exchangeForPaper(  # noqa: N802
        self, by: str, segment: int, number: int, paper_hash: bytes
    ) -> Change:
        self.require_not_paused()
        self.require_issued_by_caller(by, segment, number)
        if paper_hash == bytes(32):
            raise Refused("PaperHashMissing", number=number)
        bill = self.bill(number)
        self.require_standing(number)
        self.require_not_held(number, bill.born_on_hold)
        self._require_unused(number)

        def change() -> None:
            bill.standing = Standing.ON_PAPER
            self.bills[number] = bill

        return change

    def voidPaper(self, by: str, segment: int, number: int) -> Change:  # noqa: N802
        self.require_issued_by_caller(by, segment, number)
        bill = self.bill(number)
        if bill.standing != Standing.ON_PAPER:
            raise Refused("InvoiceNotOnPaper", number=number)
        before = Standing.PARTLY_REVERSED if bill.taken else Standing.REGULAR
        return lambda: setattr(bill, "standing", before)

    # What others ask.

    def require_usable(self, proof: SharedProof) -> list[int]:
        """What may be claimed of each of these bills now."""
        self.require_not_paused()
        claimable = [self._usable(header) for header in proof.headers]  # type: ignore[arg-type]
        self.verify_shared(proof)
        return claimable

    def require_issuer(self, by: str, segment: int, number: int) -> None:
        """Refuses whoever does not act for the hospital that issued the bill."""
        hospital = self.institutions.authorise(by, Kind.HOSPITAL)
        at = self.segments.get(segment)
        if at is None or not at.first <= number < at.next or at.institution != hospital:
            raise Refused("NotTheIssuer", number=number, institution=hospital)

    def bill(self, number: int) -> Bill:
        """The bill as it stands; one that was never used, where there is none."""
        return self.bills.get(number, Bill())

    def may_be_born_on_hold(self, number: int) -> bool:
        return self.bill(number).born_on_hold

    def require_standing(self, number: int) -> None:
        """Refuses a bill that does not stand, at least in part."""
        bill = self.bill(number)
        if bill.standing == Standing.REVERSED:
            raise Refused("InvoiceIsReversed", number=number, redLetter=bill.red_letter)
        if bill.standing == Standing.RED_LETTER:
            raise Refused("InvoiceIsRedLetter", number=number)
        if bill.standing == Standing.ON_PAPER:
            raise Refused("InvoiceOnPaper", number=number)

    def views_of_document(self, number: int) -> Iterator[View]:
        at = self.bill(number)
        entry = (at.patient, at.claimable, at.currency, at.born_on_hold, int(at.standing))
        yield View(self.NAME, "invoiceOf", (number,), (entry,))
        yield View(self.NAME, "reversedBy", (number,), (at.red_letter,))
        yield View(self.NAME, "originalOf", (number,), (at.original,))
        yield View(self.NAME, "isReversed", (number,), (at.standing == Standing.REVERSED,))
        yield View(self.NAME, "claimableOf", (number,), (at.left,))

    def _usable(self, header: InvoiceHeader) -> int:
        """What may be claimed of a bill, if its header is true."""
        number, claimable = header.number, header.claimable
        if header.patient == ZERO_ADDRESS:
            raise Refused("PatientMissing", number=number)
        if header.prescribed > claimable:
            prescribed = header.prescribed
            raise Refused(
                "OverClaimable", number=number, prescribed=prescribed, claimable=claimable
            )
        self.require_standing(number)
        self.require_not_held(number, header.on_hold)
        return claimable - self.bill(number).taken

    def _require_unused(self, number: int) -> None:
        locked, reimbursed = self.claimed(number)
        if locked or reimbursed:
            raise Refused("InvoiceInUse", number=number, locked=locked, reimbursed=reimbursed)

    def _require_reversible(
        self, by: str, segment: int, number: int, red_segment: int, red_letter: int
    ) -> None:
        self.require_issued_by_caller(by, segment, number)
        self.require_issued_by_caller(by, red_segment, red_letter)
        if number == red_letter:
            raise Refused("RedLetterIsOriginal", number=number)
        self.require_standing(number)
        self.require_standing(red_letter)
        if self.bill(red_letter).standing == Standing.PARTLY_REVERSED:
            raise Refused("InvoiceIsPartlyReversed", number=red_letter)
        locked, reimbursed = self.claimed(number)
        if locked:
            raise Refused("InvoiceInUse", number=number, locked=locked, reimbursed=reimbursed)
        self._require_unused(red_letter)
