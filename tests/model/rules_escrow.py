"""The rules of Escrow and of its token: deposits of payers, and what they are paid out for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from tests.model.rules import ZERO_ADDRESS, Change, Clock, Key, Refused, View, nothing
from tests.model.rules_institutions import Institutions

from medledger.core.states import Kind


@dataclass
class Escrow:
    NAME = "Escrow"

    clock: Clock
    institutions: Institutions
    address: str
    currency: int
    deposits: dict[int, int] = field(default_factory=dict)
    balances: dict[str, int] = field(default_factory=dict)
    """Of the token, by account."""
    approved: set[str] = field(default_factory=set)
    """Who lets the escrow take any amount."""

    def deposit(self, by: str, amount: int) -> Change:
        payer = self.institutions.authorise(by, Kind.PAYER)
        if amount and by not in self.approved:
            raise Refused(
                "ERC20InsufficientAllowance", spender=self.address, allowance=0, needed=amount
            )
        held = self.balances.get(by, 0)
        if amount > held:
            raise Refused("ERC20InsufficientBalance", sender=by, balance=held, needed=amount)

        def change() -> None:
            self.deposits[payer] = self.deposits.get(payer, 0) + amount
            self.transfer(by, self.address, amount)

        return change

    def withdraw(self, by: str, amount: int, to: str) -> Change:
        payer = self.institutions.authorise(by, Kind.PAYER)
        return self._pay_out(payer, amount, to)

    def pay(self, payer: int, payee: str, amount: int) -> Change:
        """What Claims does where the patient signed a payee."""
        return nothing if payee == ZERO_ADDRESS else self._pay_out(payer, amount, payee)

    def transfer(self, by: str, to: str, amount: int) -> None:
        """What the token does."""
        self.balances[by] = self.balances.get(by, 0) - amount
        self.balances[to] = self.balances.get(to, 0) + amount

    def copied(self) -> Escrow:
        """Another with the same deposits."""
        return replace(self, deposits=dict(self.deposits), balances=dict(self.balances))

    def take_over(self, after: Escrow) -> None:
        """Becomes as the other."""
        self.deposits, self.balances = after.deposits, after.balances

    def keys(self) -> Iterator[Key]:
        for payer in self.deposits:
            yield self.NAME, "deposit", payer
        for account in self.balances:
            yield self.NAME, "balance", account

    def views(self, key: Key) -> Iterator[View]:
        match key[1:]:
            case ("deposit", int(payer)):
                yield View(self.NAME, "depositOf", (payer,), (self.deposits.get(payer, 0),))
            case ("balance", str(account)):
                held = self.balances.get(account, 0)
                yield View("SettlementToken", "balanceOf", (account,), (held,))

    def _pay_out(self, payer: int, amount: int, to: str) -> Change:
        deposit = self.deposits.get(payer, 0)
        if amount > deposit:
            raise Refused("DepositTooSmall", payer=payer, amount=amount, deposit=deposit)
        if to == self.address:
            raise Refused("PayeeInvalid", payee=to)

        def change() -> None:
            self.deposits[payer] = deposit - amount
            self.transfer(self.address, to, amount)

        return change
