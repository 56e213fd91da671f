"""The rules of Claims: what payers lock, decide, reimburse and get back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from tests.model.rules import NO_SIGNATURE, ZERO_ADDRESS, Change, Key, Refused, Signed, View
from tests.model.rules_bills import Invoices
from tests.model.rules_documents import Ledger, Proof, SharedProof, signed_by_patient
from tests.model.rules_escrow import Escrow

from medledger.core.claims import ClaimTerms, Decision, Settlement
from medledger.core.hashing import (
    ClaimAuthorisation,
    ClaimWithdrawal,
    InvoiceHeader,
    PayerWaiver,
    PaymentConfirmation,
)
from medledger.core.states import Kind, Standing, Status

LATER_LOCKS = 4
"""Most open locks of a bill beside that of its first payer."""
MAX_CLAIMS = 200
NO_HASH = bytes(32)


@dataclass(frozen=True)
class Claim:
    payer: int = 0
    amount: int = 0
    until: int = 0
    sequence: int = 0
    status: Status = Status.NONE
    fixed_benefit: bool = False
    is_paid: bool = False
    payment: bytes = bytes(11)
    payee: str = ZERO_ADDRESS
    after_payer: int = 0
    recouped: int = 0

    def is_open(self, now: int) -> bool:
        return self.status == Status.LOCKED and now <= self.until


@dataclass
class Claims(Ledger):
    NAME = "Claims"

    invoices: Invoices = field(kw_only=True)
    is_handed_over: Callable[[int], bool] = field(kw_only=True)
    escrow: Escrow = field(kw_only=True)
    lock_period: int = field(kw_only=True)
    claims: dict[int, dict[int, Claim]] = field(default_factory=dict)
    """By bill and payer; the bill's first payer is the first."""

    def lock(self, by: str, proof: Proof, terms: ClaimTerms, given: Signed) -> Change:
        payer = self.institutions.authorise(by, Kind.PAYER)
        header = proof.header
        assert isinstance(header, InvoiceHeader)
        (claimable,) = self.invoices.require_usable(SharedProof((header,), proof.head, proof.path))
        after = self._locked(payer, header, claimable, terms, given)
        first, *later = self._of(header.number) or [after]
        others = sum(claim.is_open(self.clock.now) for claim in later)
        if payer != first.payer and others >= LATER_LOCKS:
            raise Refused("TooManyLocks", number=header.number)
        after = replace(after, payee=terms.payee, after_payer=terms.after_payer)
        return lambda: self._set(header.number, after)

    def lockAndSettle(  # noqa: N802
        self, by: str, proof: Proof, settlement: Settlement, given: Signed
    ) -> Change:
        payer = self.institutions.authorise(by, Kind.PAYER)
        header = proof.header
        assert isinstance(header, InvoiceHeader)
        (claimable,) = self.invoices.require_usable(SharedProof((header,), proof.head, proof.path))
        after = self._lock_and_settle(payer, header, claimable, settlement, given)
        payee, amount = settlement.terms.payee, settlement.decision.amount
        pay = self.escrow.pay(payer, payee, amount)

        def change() -> None:
            self._set(header.number, after)
            pay()

        return change

    def lockAndSettleMany(  # noqa: N802
        self,
        by: str,
        proof: SharedProof,
        settlements: tuple[Settlement, ...],
        given: tuple[Signed, ...],
    ) -> Change:
        counts = (len(proof.headers), len(settlements), len(given))
        if not 1 <= counts[0] <= MAX_CLAIMS or len(set(counts)) != 1:
            headers, settled, signed = counts
            raise Refused(
                "ClaimCountInvalid", headers=headers, settlements=settled, signatures=signed
            )
        payer = self.institutions.authorise(by, Kind.PAYER)
        claimable = self.invoices.require_usable(proof)
        made = []
        for header, left, settlement, signature in zip(
            proof.headers, claimable, settlements, given, strict=True
        ):
            assert isinstance(header, InvoiceHeader)
            made.append(self._lock_and_settle(payer, header, left, settlement, signature))
        # Each payment finds less in the deposit.
        paid = self.escrow.copied()
        for settlement in settlements:
            paid.pay(payer, settlement.terms.payee, settlement.decision.amount)()

        def change() -> None:
            for header, after in zip(proof.headers, made, strict=True):
                self._set(header.number, after)
            self.escrow.take_over(paid)

        return change

    def settle(self, by: str, number: int, decision: Decision) -> Change:
        payer = self.institutions.authorise(by, Kind.PAYER)
        claim = self._open(number, payer)
        after = self._settled(number, claim, decision)
        pay = self.escrow.pay(payer, claim.payee, decision.amount)

        def change() -> None:
            self._set(number, after)
            pay()

        return change

    def deny(self, by: str, number: int, reason: int, explanation: bytes) -> Change:
        payer = self.institutions.authorise(by, Kind.PAYER)
        claim = self._open(number, payer)
        if explanation == NO_HASH:
            raise Refused("ExplanationMissing", number=number)
        return self._end(number, claim, Status.DENIED)

    def withdraw(
        self, by: str, number: int, payer: int, reason: int, deadline: int, given: Signed
    ) -> Change:
        claim = self._open(number, payer)
        message = ClaimWithdrawal(number, payer, reason, claim.sequence, deadline)
        claim = self._by_payer_or_patient(by, number, claim, message, deadline, given, payer)
        return self._end(number, claim, Status.WITHDRAWN)

    def waive(self, by: str, number: int, payer: int, deadline: int, given: Signed) -> Change:
        claim = self.claim(number, payer)
        if claim.is_open(self.clock.now):
            raise Refused("ClaimIsLocked", number=number, payer=payer, until=claim.until)
        if claim.status >= Status.DENIED:
            raise Refused("ClaimForbids", number=number, payer=payer, status=claim.status)
        message = PayerWaiver(number, payer, claim.sequence, deadline)
        claim = self._by_payer_or_patient(by, number, claim, message, deadline, given, payer)
        return self._end(number, replace(claim, payer=payer), Status.WAIVED)

    def confirmPayment(  # noqa: N802
        self,
        by: str,
        number: int,
        payer: int,
        payment: bytes,
        segment: int,
        deadline: int,
        given: Signed,
    ) -> Change:
        claim = self._reimbursed(number, payer)
        if claim.is_paid:
            raise Refused("PaymentIsConfirmed", number=number, payer=payer)
        if claim.payment != payment[:11]:
            raise Refused("PaymentDiffers", number=number, payer=payer, payment=payment)
        if given is NO_SIGNATURE:
            self.invoices.require_issuer(by, segment, number)
        else:
            message = PaymentConfirmation(number, payer, payment, deadline)
            signed_by_patient(self, number, self._patient(number), message, deadline, given)
        return lambda: self._set(number, replace(claim, is_paid=True))

    def recoup(self, by: str, number: int, amount: int, reason: int, explanation: bytes) -> Change:
        payer = self.institutions.authorise(by, Kind.PAYER)
        claim = self._reimbursed(number, payer)
        free = claim.amount - claim.recouped
        if amount == 0:
            raise Refused("AmountZero", number=number)
        if amount > free:
            raise Refused("OverReimbursed", number=number, amount=amount, reimbursed=free)
        if explanation == NO_HASH:
            raise Refused("ExplanationMissing", number=number)
        return lambda: self._set(number, replace(claim, recouped=claim.recouped + amount))

    def repay(self, by: str, number: int, amount: int, payment: bytes) -> Change:
        payer = self.institutions.authorise(by, Kind.PAYER)
        claim = self._reimbursed(number, payer)
        due = self.recoup_due(number, payer)
        if amount == 0:
            raise Refused("AmountZero", number=number)
        if amount > due:
            raise Refused("OverRecoupDue", number=number, amount=amount, due=due)
        if payment == NO_HASH:
            raise Refused("PaymentMissing", number=number)
        left, recouped = claim.amount - amount, max(claim.recouped - amount, 0)
        return lambda: self._set(number, replace(claim, amount=left, recouped=recouped))

    def book(self, by: str, number: int) -> Change:
        return self._move(by, number, Status.SETTLED, Status.BOOKED)

    def revokeBooking(self, by: str, number: int, reason: int) -> Change:  # noqa: N802
        return self._move(by, number, Status.BOOKED, Status.SETTLED)

    def archive(self, by: str, number: int) -> Change:
        return self._move(by, number, Status.BOOKED, Status.ARCHIVED)

    # What others ask, and what can be read.

    def claim(self, number: int, payer: int) -> Claim:
        """One payer's claim on one bill; one that was never made, where there is none."""
        return self.claims.get(number, {}).get(payer, Claim())

    def usage(self, number: int) -> tuple[int, int]:
        """What is locked and reimbursed of a bill's claimable part."""
        return self._sums([at for at in self._of(number) if not at.fixed_benefit])

    def taken(self, number: int) -> tuple[int, int]:
        """The same with fixed benefits, which are beside it."""
        return self._sums(self._of(number))

    def recoup_due(self, number: int, payer: int) -> int:
        """What the payer must get back: what it demands, or what a reversal left no ground for."""
        claim = self.claim(number, payer)
        if claim.status < Status.SETTLED:
            return 0
        return max(claim.recouped, self._excess(number, claim))

    def keys(self) -> Iterator[Key]:
        for number, by_payer in self.claims.items():
            for payer in by_payer:
                yield self.NAME, number, payer

    def views(self, key: Key) -> Iterator[View]:
        _, number, payer = key
        assert isinstance(number, int)
        assert isinstance(payer, int)
        at = self.claim(number, payer)
        entry = (at.payer, at.amount, at.until, at.sequence, int(at.status))
        asked = (number, payer)
        paid = (at.fixed_benefit, at.is_paid, at.payment)
        yield View(self.NAME, "claimOf", asked, ((*entry, *paid),))
        yield View(self.NAME, "recoupDueOf", asked, (self.recoup_due(number, payer),))
        yield View(self.NAME, "recoupedOf", asked, (at.recouped,))
        yield View(self.NAME, "usageOf", (number,), self.usage(number))
        yield View(self.NAME, "takenOf", (number,), self.taken(number))

    # What several of them do.

    def _of(self, number: int) -> list[Claim]:
        return list(self.claims.get(number, {}).values())

    def _sums(self, claims: list[Claim]) -> tuple[int, int]:
        locked = sum(at.amount for at in claims if at.is_open(self.clock.now))
        return locked, sum(at.amount for at in claims if at.status >= Status.SETTLED)

    def _locked(
        self, payer: int, header: InvoiceHeader, claimable: int, terms: ClaimTerms, given: Signed
    ) -> Claim:
        """The claim as the lock leaves it."""
        number, before = header.number, self.claim(header.number, payer)
        if before.status >= Status.SETTLED:
            raise Refused("ClaimIsSettled", number=number, payer=payer, amount=before.amount)
        if before.is_open(self.clock.now):
            raise Refused("ClaimIsLocked", number=number, payer=payer, until=before.until)
        if terms.amount == 0:
            raise Refused("AmountZero", number=number)
        if not terms.fixed_benefit:
            self._require_remainder(header, claimable, terms.amount)
        if terms.payee != ZERO_ADDRESS and header.currency != self.escrow.currency:
            raise Refused("CurrencyNotPaid", number=number, currency=header.currency)
        message = ClaimAuthorisation(
            number,
            payer,
            terms.amount,
            before.sequence,
            terms.deadline,
            terms.after_payer,
            terms.fixed_benefit,
            terms.payee,  # type: ignore[arg-type]
        )
        signed_by_patient(self, number, header.patient, message, terms.deadline, given)
        return Claim(
            payer=payer,
            amount=terms.amount,
            until=self.clock.now + self.lock_period,
            sequence=before.sequence + 1,
            status=Status.LOCKED,
            fixed_benefit=terms.fixed_benefit,
            payee=before.payee,
            after_payer=before.after_payer,
        )

    def _require_remainder(self, header: InvoiceHeader, claimable: int, amount: int) -> None:
        number = header.number
        remainder = max(claimable - sum(self.usage(number)), 0)
        if amount > remainder:
            raise Refused("OverRemainder", number=number, amount=amount, remainder=remainder)
        for_drugs = remainder - amount < header.prescribed
        if for_drugs and not self.is_handed_over(header.prescription):
            raise Refused(
                "PrescriptionNotHandedOver", number=number, prescription=header.prescription
            )

    def _lock_and_settle(
        self,
        payer: int,
        header: InvoiceHeader,
        claimable: int,
        settlement: Settlement,
        given: Signed,
    ) -> Claim:
        terms = settlement.terms
        claim = self._locked(payer, header, claimable, terms, given)
        claim = replace(claim, payee=terms.payee, after_payer=terms.after_payer)
        return self._settled(header.number, claim, settlement.decision)

    def _settled(self, number: int, claim: Claim, decision: Decision) -> Claim:
        """The claim as the settlement leaves it."""
        amount = decision.amount
        if amount == 0:
            raise Refused("AmountZero", number=number)
        if amount > claim.amount:
            raise Refused("OverLock", number=number, amount=amount, locked=claim.amount)
        if decision.explanation == NO_HASH:
            raise Refused("ExplanationMissing", number=number)
        is_paid = claim.payee != ZERO_ADDRESS
        if not is_paid and decision.payment == NO_HASH:
            raise Refused("PaymentMissing", number=number)
        before = claim.after_payer
        if before and self.claim(number, before).status < Status.DENIED:
            raise Refused("PayerUndecided", number=number, payer=before)
        return replace(
            claim,
            amount=amount,
            until=self.clock.now,
            status=Status.SETTLED,
            is_paid=is_paid,
            payment=decision.payment[:11],
        )

    def _end(self, number: int, claim: Claim, status: Status) -> Change:
        after = replace(claim, amount=0, until=self.clock.now, status=status)
        return lambda: self._set(number, after)

    def _move(self, by: str, number: int, before: Status, after: Status) -> Change:
        payer = self.institutions.authorise(by, Kind.PAYER)
        claim = self.claim(number, payer)
        if claim.status != before:
            raise Refused("ClaimForbids", number=number, payer=payer, status=claim.status)
        return lambda: self._set(number, replace(claim, status=after))

    def _by_payer_or_patient(
        self,
        by: str,
        number: int,
        claim: Claim,
        message: object,
        deadline: int,
        given: Signed,
        payer: int,
    ) -> Claim:
        """The claim, with the patient's signature used up where there is one."""
        if given is NO_SIGNATURE:
            caller = self.institutions.authorise(by, Kind.PAYER)
            if caller != payer:
                raise Refused("NotThePayer", number=number, institution=caller)
            return claim
        signed_by_patient(self, number, self._patient(number), message, deadline, given)
        return replace(claim, sequence=claim.sequence + 1)

    def _patient(self, number: int) -> str:
        patient = self.invoices.bill(number).patient
        if patient == ZERO_ADDRESS:
            raise Refused("InvoiceNotOpened", number=number)
        return patient

    def _open(self, number: int, payer: int) -> Claim:
        claim = self.claim(number, payer)
        if claim.status >= Status.SETTLED:
            raise Refused("ClaimIsSettled", number=number, payer=payer, amount=claim.amount)
        if not claim.is_open(self.clock.now):
            raise Refused("ClaimNotLocked", number=number, payer=payer)
        return claim

    def _reimbursed(self, number: int, payer: int) -> Claim:
        claim = self.claim(number, payer)
        if claim.status < Status.SETTLED:
            raise Refused("ClaimForbids", number=number, payer=payer, status=claim.status)
        return claim

    def _excess(self, number: int, claim: Claim) -> int:
        bill = self.invoices.bill(number)
        if bill.standing == Standing.REVERSED:
            return claim.amount
        if claim.fixed_benefit or bill.patient == ZERO_ADDRESS:
            return 0
        _, reimbursed = self.usage(number)
        return min(max(reimbursed - bill.left, 0), claim.amount)

    def _set(self, number: int, claim: Claim) -> None:
        self.claims.setdefault(number, {})[claim.payer] = claim
