"""The promises themselves, held against nothing but what the contracts logged.

They know neither the rules of the model nor the storage of the contracts: where both should be
wrong in the same way, the promise is still broken here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from medledger.chain.events import Logged

HELD = {
    "PrescriptionAccepted",
    "PrescriptionDispensed",
    "DispensingWithdrawn",
    "PrescriptionHandedOver",
    "DeliveryFailed",
    "ParcelTakenBack",
}
"""After these a pharmacy has the prescription, until `lease_until`."""


@dataclass
class _Claim:
    amount: int
    until: int
    """Of a lock; -1 for what is reimbursed."""


@dataclass
class Promises:
    """What was promised and is broken, in the order of the events: `broken` must stay empty."""

    broken: list[str] = field(default_factory=list)
    deposits: Counter[int] = field(default_factory=Counter)
    """By payer, in the settlement token."""
    tokens: Counter[str] = field(default_factory=Counter)
    """By account, what it got of the settlement token, less what it gave."""
    _issued: dict[str, list[tuple[int, int]]] = field(default_factory=dict)
    _signed: set[tuple[Any, ...]] = field(default_factory=set)
    _paid: set[tuple[int, int]] = field(default_factory=set)
    _leases: dict[int, tuple[int, int]] = field(default_factory=dict)
    """By prescription: which pharmacy has it, and until when."""
    _prescribed: dict[int, tuple[int, ...]] = field(default_factory=dict)
    _dispensed: dict[int, Counter[int]] = field(default_factory=dict)
    """By prescription: quantities of this fill by line, whoever dispensed them."""
    _parcels: dict[int, Counter[int]] = field(default_factory=dict)
    _claims: dict[int, dict[int, _Claim]] = field(default_factory=dict)
    _bills_paid: set[int] = field(default_factory=set)
    _stated: set[int] = field(default_factory=set)
    """Bills with a statement of a payment off chain that is not withdrawn."""

    def apply(self, events: Iterable[Logged], times: dict[int, int]) -> None:
        """Looks at further events; `times` is by block."""
        for logged in events:
            event, name = logged.event, type(logged.event).__name__
            if name == "BatchIssued":
                self._issue(event, logged.address)
            elif name.startswith(("Prescription", "Dispensing", "Delivery", "ParcelTakenBack")):
                self._prescription(event, name, times[logged.block])
            elif name.startswith(("Claim", "Deposit")):
                self._claim(event, name, times[logged.block])
            elif name in ("BillPaid", "PaymentStated", "StatementWithdrawn", "StatementConfirmed"):
                self._payment(event, name)
            elif name in ("AccessGranted", "AccessRevoked"):
                self._sign(event.number, event.institution, event.purpose, event.sequence)  # type: ignore[union-attr]

    def _issue(self, event: Any, ledger: str) -> None:
        """A number is issued once."""
        issued = self._issued.setdefault(ledger, [])
        first, after = event.first, event.first + event.count
        if any(first < end and start < after for start, end in issued):
            self.broken.append(f"numbers from {first} were issued twice")
        issued.append((first, after))

    def _prescription(self, event: Any, name: str, time: int) -> None:
        """One pharmacy at a time, and never more than was prescribed."""
        number = event.number
        if name == "PrescriptionOpened":
            self._prescribed[number] = tuple(event.quantities)
        elif name == "PrescriptionAccepted":
            self._sign(number, event.sequence)
            _, until = self._leases.get(number, (0, -1))
            if time <= until:
                self.broken.append(f"{number} was accepted while another pharmacy had it")
            # A parcel that is lost with its pharmacy still counts for the fill.
            self._parcels[number] = Counter()
            self._dispensed.setdefault(number, Counter())
        elif name == "PrescriptionDispensed":
            given = Counter(dict(enumerate(event.quantities)))
            self._dispensed[number] += given
            self._parcels[number] += given
            allowed = self._prescribed[number]
            if any(count > allowed[line] for line, count in self._dispensed[number].items()):
                self.broken.append(f"more of {number} was dispensed than prescribed")
        elif name == "DispensingWithdrawn":
            self._dispensed[number] -= self._parcels.pop(number)
            self._parcels[number] = Counter()
        elif name == "PrescriptionDelivered":
            self._sign(number, event.sequence)
            self._parcels[number] = Counter()
            if event.complete:
                self._dispensed[number] = Counter()
        self._leases[number] = self._lease(event, name)

    def _lease(self, event: Any, name: str) -> tuple[int, int]:
        pharmacy, until = self._leases.get(event.number, (0, -1))
        if name in HELD or (name == "PrescriptionDelivered" and not event.complete):
            return getattr(event, "pharmacy", pharmacy), event.lease_until
        if name in ("PrescriptionReturned", "PrescriptionDelivered", "PrescriptionCancelled"):
            return 0, -1
        return pharmacy, until

    def _claim(self, event: Any, name: str, time: int) -> None:
        """The cap of a bill, one payment a claim, and no deposit overdrawn."""
        if name == "ClaimLocked":
            self._sign(event.number, event.payer, event.sequence)
            self._take(event, event.terms, _Claim(event.terms.amount, event.until), time)
        elif name == "ClaimLockedAndSettled":
            self._sign(event.number, event.payer, event.sequence)
            claim = _Claim(event.settlement.decision.amount, -1)
            self._take(event, event.settlement.terms, claim, time)
        elif name == "Deposited":
            self.deposits[event.payer] += event.amount
            self.tokens[event.by] -= event.amount
        elif name in ("DepositWithdrawn", "ClaimPaid"):
            self.deposits[event.payer] -= event.amount
            self.tokens[event.to if name == "DepositWithdrawn" else event.payee] += event.amount
            if self.deposits[event.payer] < 0:
                self.broken.append(f"payer {event.payer} spent more than it deposited")
        if name == "ClaimPaid":
            if (event.number, event.payer) in self._paid:
                self.broken.append(f"payer {event.payer} paid {event.number} twice")
            self._paid.add((event.number, event.payer))
        held = self._claims.get(getattr(event, "number", 0), {})
        if event.payer in held:
            self._change(held, event, name)

    def _change(self, held: dict[int, _Claim], event: Any, name: str) -> None:
        if name == "ClaimSettled":
            held[event.payer] = _Claim(event.decision.amount, -1)
        elif name in ("ClaimDenied", "ClaimWithdrawn"):
            del held[event.payer]
        elif name == "ClaimRepaid":
            held[event.payer].amount -= event.amount

    def _take(self, event: Any, terms: Any, claim: _Claim, time: int) -> None:
        held = self._claims.setdefault(event.number, {})
        held.pop(event.payer, None)
        if terms.fixed_benefit:
            # It takes nothing of the bill's remainder.
            return
        held[event.payer] = claim
        used = sum(each.amount for each in held.values() if each.until == -1 or each.until >= time)
        if used > event.claimable:
            self.broken.append(f"payers hold {used} of {event.number}, above {event.claimable}")

    def _payment(self, event: Any, name: str) -> None:
        """A bill is paid once, in one way; in the token, from the payer to the hospital."""
        number = event.number
        if number in self._bills_paid:
            self.broken.append(f"{name} of {number}, which is paid")
        if name == "PaymentStated":
            self._stated.add(number)
        elif name == "BillPaid":
            if number in self._stated:
                self.broken.append(f"{number} was paid against a statement")
            self.tokens[event.by] -= event.amount
            self.tokens[event.payee] += event.amount
            self._bills_paid.add(number)
        elif number not in self._stated:
            self.broken.append(f"{name} of {number}, where nothing is stated")
        else:
            self._stated.remove(number)
            if name == "StatementConfirmed":
                self._bills_paid.add(number)

    def _sign(self, *act: Any) -> None:
        """What a signature was over counts once."""
        if act in self._signed:
            self.broken.append(f"a signature for {act} counted twice")
        self._signed.add(act)
