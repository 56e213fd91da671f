"""The rules of Payments: what a patient pays of a bill, in the token or off chain."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import astuple, dataclass, field, replace

from tests.model.rules import ZERO_ADDRESS, Change, Key, Refused, Signed, View
from tests.model.rules_bills import Invoices
from tests.model.rules_documents import Ledger, Proof, signed_by_patient
from tests.model.rules_escrow import Escrow

from medledger.core.hashing import BillPayment, InvoiceHeader
from medledger.core.states import Kind, PaymentStatus

NO_HASH = bytes(32)
UNLIMITED = 2**256 - 1
"""An allowance that is not used up."""


@dataclass(frozen=True)
class Payment:
    payee: str = ZERO_ADDRESS
    amount: int = 0
    status: PaymentStatus = PaymentStatus.NONE
    payment: bytes = NO_HASH


@dataclass
class Payments(Ledger):
    NAME = "Payments"

    invoices: Invoices = field(kw_only=True)
    escrow: Escrow = field(kw_only=True)
    """It knows who has how many tokens."""
    allowances: dict[str, int] = field(default_factory=dict)
    """What each account lets this contract take of its tokens."""
    accounts: dict[int, str] = field(default_factory=dict)
    """Where hospitals are paid."""
    payments: dict[int, Payment] = field(default_factory=dict)

    def setAccount(self, by: str, account: str) -> Change:  # noqa: N802
        hospital = self.institutions.authorise(by, Kind.HOSPITAL)
        return lambda: self.accounts.update({hospital: account})

    def pay(self, by: str, proof: Proof, payee: str) -> Change:
        header = proof.header
        assert isinstance(header, InvoiceHeader)
        number = header.number
        self.invoices.verify(number, proof)
        self._require_unpaid(number)
        if header.currency != self.escrow.currency:
            raise Refused("CurrencyNotPaid", number=number, currency=header.currency)
        self._require_payee(number, proof.head.segment, payee)
        self.invoices.require_standing(number)
        amount = header.claimable - self.invoices.bill(number).taken
        if amount == 0:
            raise Refused("AmountZero", number=number)
        self._require_tokens(by, amount)
        if payee == by:
            raise Refused("TransferInexact", amount=amount, moved=0)

        def change() -> None:
            self.payments[number] = Payment(payee, amount, PaymentStatus.PAID)
            if self.allowances[by] != UNLIMITED:
                self.allowances[by] -= amount
            self.escrow.transfer(by, payee, amount)

        return change

    def state(self, by: str, segment: int, number: int, amount: int, payment: bytes) -> Change:
        self.invoices.require_issuer(by, segment, number)
        self._require_unpaid(number)
        if amount == 0:
            raise Refused("AmountZero", number=number)
        if payment == NO_HASH:
            raise Refused("PaymentMissing", number=number)
        made = Payment(amount=amount, status=PaymentStatus.STATED, payment=payment)
        return lambda: self.payments.update({number: made})

    def withdraw(self, by: str, segment: int, number: int) -> Change:
        self.invoices.require_issuer(by, segment, number)
        self._stated(number)
        return lambda: self.payments.update({number: Payment()})

    def confirm(self, by: str, number: int, deadline: int, given: Signed) -> Change:
        stated = self._stated(number)
        bill = self.invoices.bill(number)
        if bill.patient == ZERO_ADDRESS:
            raise Refused("InvoiceNotOpened", number=number)
        self.invoices.require_standing(number)
        amount = stated.amount
        if amount > bill.left:
            raise Refused("OverDue", number=number, amount=amount, due=bill.left)
        message = BillPayment(number, amount, stated.payment, deadline)
        signed_by_patient(self, number, bill.patient, message, deadline, given)
        paid = replace(stated, status=PaymentStatus.PAID)
        return lambda: self.payments.update({number: paid})

    # What can be read.

    def payment(self, number: int) -> Payment:
        """The payment of a bill; one that was never made, where there is none."""
        return self.payments.get(number, Payment())

    def account(self, hospital: int) -> str:
        return self.accounts.get(hospital, ZERO_ADDRESS)

    def keys(self) -> Iterator[Key]:
        for number in self.payments:
            yield self.NAME, "payment", number
        for hospital in self.accounts:
            yield self.NAME, "account", hospital
        for owner in self.allowances:
            yield self.NAME, "allowance", owner

    def views(self, key: Key) -> Iterator[View]:
        match key[1:]:
            case ("payment", int(number)):
                entry = astuple(self.payment(number))
                yield View(self.NAME, "paymentOf", (number,), (entry,))
            case ("account", int(hospital)):
                yield View(self.NAME, "accountOf", (hospital,), (self.account(hospital),))
            case ("allowance", str(owner)):
                left = self.allowances.get(owner, 0)
                yield View("SettlementToken", "allowance", (owner, self.address), (left,))

    # What several of them do.

    def _require_unpaid(self, number: int) -> None:
        status = self.payment(number).status
        if status == PaymentStatus.PAID:
            raise Refused("BillIsPaid", number=number)
        if status == PaymentStatus.STATED:
            raise Refused("PaymentIsStated", number=number)

    def _stated(self, number: int) -> Payment:
        """What the hospital states of the bill."""
        payment = self.payment(number)
        if payment.status == PaymentStatus.PAID:
            raise Refused("BillIsPaid", number=number)
        if payment.status == PaymentStatus.NONE:
            raise Refused("PaymentNotStated", number=number)
        return payment

    def _require_payee(self, number: int, segment: int, payee: str) -> None:
        hospital = self.invoices.segments[segment].institution
        if not self.institutions.is_active_as(hospital, Kind.HOSPITAL):
            raise Refused("NotAnIssuer", institution=hospital)
        account = self.account(hospital)
        if ZERO_ADDRESS in (account, payee) or payee != account:
            raise Refused("PayeeDiffers", number=number, payee=payee, account=account)

    def _require_tokens(self, by: str, amount: int) -> None:
        allowed, held = self.allowances.get(by, 0), self.escrow.balances.get(by, 0)
        if amount > allowed:
            raise Refused(
                "ERC20InsufficientAllowance",
                spender=self.address,
                allowance=allowed,
                needed=amount,
            )
        if amount > held:
            raise Refused("ERC20InsufficientBalance", sender=by, balance=held, needed=amount)
