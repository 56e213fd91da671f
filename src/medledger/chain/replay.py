"""The whole state rebuilt from events: what the contracts must hold if they kept their rules.

`Replay.apply` takes the events in chain order. Nothing here reads storage, so that `differences`
can compare the rebuilt state with it, contract by contract.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from medledger.chain import bindings as on_chain
from medledger.chain.bindings import (
    ClaimEntry,
    InstitutionEntry,
    InvoiceEntry,
    OperatorEntry,
    PrescriptionEntry,
    SegmentEntry,
)
from medledger.chain.deployment import Ledgers
from medledger.chain.events import Logged
from medledger.chain.rpc import chunked
from medledger.core.claims import ClaimTerms, Decision
from medledger.core.hashing import TreeHead
from medledger.core.states import Hold, Standing, State, Status

BULK = 200
"""Documents in one bulk view: some 6,000 words of answer, far below any node's limit of gas."""

ZERO_ADDRESS = "0x" + 40 * "0"
K = TypeVar("K")


@dataclass(slots=True)
class LedgerState:
    """One document ledger: segments by id, head hashes by first number, holds by number."""

    segments: dict[int, SegmentEntry] = field(default_factory=dict)
    heads: dict[int, bytes] = field(default_factory=dict)
    batches: dict[int, TreeHead] = field(default_factory=dict)
    holds: dict[int, Hold] = field(default_factory=dict)
    paused: bool = False

    @property
    def issued(self) -> int:
        """How many numbers have been issued."""
        return sum(head.count for head in self.batches.values())


class Replay:
    """The state of all contracts after the events applied so far."""

    def __init__(self, ledgers: Ledgers) -> None:
        self.institutions: dict[int, InstitutionEntry] = {}
        self.operators: dict[str, OperatorEntry] = {}
        self.invoices: dict[int, InvoiceEntry] = {}
        self.reversed_by: dict[int, int] = {}
        self.claims: dict[tuple[int, int], ClaimEntry] = {}
        self.claimable: dict[int, int] = {}
        self.recouped: dict[tuple[int, int], int] = {}
        self.deposits: dict[int, int] = {}
        self.prescriptions: dict[int, PrescriptionEntry] = {}
        self.ledgers: dict[str, LedgerState] = {
            ledgers.invoices.address.lower(): LedgerState(),
            ledgers.prescriptions.address.lower(): LedgerState(),
        }
        self.bills = self.ledgers[ledgers.invoices.address.lower()]
        self.orders = self.ledgers[ledgers.prescriptions.address.lower()]
        self.counts: dict[str, int] = {}

    def apply(self, logged: Logged, time: int) -> None:
        """Applies one event; `time` is its block's, Unix seconds."""
        event = logged.event
        name = type(event).__name__
        self.counts[name] = self.counts.get(name, 0) + 1
        getattr(self, f"_{name}")(event, time, logged.address.lower())

    def usage(self, number: int, time: int) -> tuple[int, int]:
        """(locked, reimbursed) of a bill at a time, in minor units: an expired lock is none."""
        own = [claim for (bill, _), claim in self.claims.items() if bill == number]
        return _usage(own, time)

    def usages(self, time: int) -> dict[int, tuple[int, int]]:
        """The same for every bill that was ever claimed."""
        by_bill: dict[int, list[ClaimEntry]] = {}
        for (number, _), claim in self.claims.items():
            by_bill.setdefault(number, []).append(claim)
        return {number: _usage(claims, time) for number, claims in by_bill.items()}

    def breaches(self, time: int) -> list[str]:
        """Bills on which payers hold more than the claimable part; there must be none."""
        return [
            f"bill {number}: locked {locked} + reimbursed {reimbursed} > claimable "
            f"{self.claimable[number]}"
            for number, (locked, reimbursed) in self.usages(time).items()
            if locked + reimbursed > self.claimable.get(number, 0)
        ]

    def differences(self, ledgers: Ledgers, time: int) -> list[str]:
        """What storage holds otherwise than the events say; `ledgers` is as of the last block."""
        found: list[str] = []

        def compare(what: str, expected: dict[Any, Any], actual: Sequence[Any]) -> None:
            for (key, value), held in zip(expected.items(), actual, strict=True):
                if value != held:
                    found.append(f"{what} {key}: events say {value}, storage holds {held}")

        institutions = ledgers.institutions
        compare(
            "institution",
            self.institutions,
            [institutions.institution_of(id_) for id_ in self.institutions],
        )
        compare("operator", self.operators, [institutions.operator_of(a) for a in self.operators])
        for ledger in (ledgers.invoices, ledgers.prescriptions):
            state = self.ledgers[ledger.address.lower()]
            compare("segment", state.segments, [ledger.segment_of(id_) for id_ in state.segments])
            compare(
                "batch", state.heads, ledger.read_many("headHashOf", [[n] for n in state.heads])
            )
            compare("hold", state.holds, ledger.read_many("holdOf", [[n] for n in state.holds]))
            compare("paused", {ledger.NAME: state.paused}, [ledger.paused()])
        compare("bill", self.invoices, _bulk(ledgers.invoices.invoices_of, list(self.invoices)))
        compare(
            "reversal",
            self.reversed_by,
            ledgers.invoices.read_many("reversedBy", [[n] for n in self.reversed_by]),
        )
        keys = list(self.claims)
        held: list[ClaimEntry] = []
        for part in chunked(keys, BULK):
            held += ledgers.claims.claims_of([n for n, _ in part], [p for _, p in part])
        compare("claim", self.claims, held)
        compare(
            "recouped",
            self.recouped,
            ledgers.claims.read_many("recoupedOf", [list(key) for key in self.recouped]),
        )
        if ledgers.escrow is not None:
            rows = [[payer] for payer in self.deposits]
            compare("deposit", self.deposits, ledgers.escrow.read_many("depositOf", rows))
        usages = self.usages(time)
        sums: list[tuple[int, int]] = []
        for numbers in chunked(list(usages), BULK):
            sums += zip(*ledgers.claims.usages_of(numbers), strict=True)
        compare("usage", usages, sums)
        compare(
            "prescription",
            self.prescriptions,
            _bulk(ledgers.prescriptions.prescriptions_of, list(self.prescriptions)),
        )
        return found

    # One method an event, named after it.

    def _InstitutionAccredited(  # noqa: N802
        self, event: on_chain.InstitutionAccredited, _time: int, _at: str
    ) -> None:
        self.institutions[event.institution] = InstitutionEntry(
            event.kinds,
            False,
            event.region,
            event.valid_from,
            event.valid_until,
            event.name_hash,
        )

    def _InstitutionRenewed(self, event: on_chain.InstitutionRenewed, _time: int, _at: str) -> None:  # noqa: N802
        _update(self.institutions, event.institution, valid_until=event.valid_until)

    def _InstitutionSuspended(  # noqa: N802
        self, event: on_chain.InstitutionSuspended, _time: int, _at: str
    ) -> None:
        _update(self.institutions, event.institution, suspended=True)

    def _InstitutionReinstated(  # noqa: N802
        self, event: on_chain.InstitutionReinstated, _time: int, _at: str
    ) -> None:
        _update(self.institutions, event.institution, suspended=False)

    def _OperatorAdded(self, event: on_chain.OperatorAdded, time: int, _at: str) -> None:  # noqa: N802
        self.operators[event.operator] = OperatorEntry(event.institution, time, 0)

    def _OperatorRemoved(self, event: on_chain.OperatorRemoved, time: int, _at: str) -> None:  # noqa: N802
        _update(self.operators, event.operator, until=time)

    def _SegmentAllotted(self, event: on_chain.SegmentAllotted, _time: int, at: str) -> None:  # noqa: N802
        self.ledgers[at].segments[event.segment] = SegmentEntry(
            event.institution, event.first, event.first, event.last
        )

    def _BatchIssued(self, event: on_chain.BatchIssued, time: int, at: str) -> None:  # noqa: N802
        state = self.ledgers[at]
        head = TreeHead(event.first, event.count, event.segment, time)
        state.batches[event.first] = head
        state.heads[event.first] = head.hash(event.root)
        _update(state.segments, event.segment, next=event.first + event.count)

    def _DocumentHeld(self, event: on_chain.DocumentHeld, _time: int, at: str) -> None:  # noqa: N802
        self.ledgers[at].holds[event.number] = Hold.HELD

    def _DocumentReleased(self, event: on_chain.DocumentReleased, _time: int, at: str) -> None:  # noqa: N802
        self.ledgers[at].holds[event.number] = Hold.RELEASED

    def _Paused(self, _event: on_chain.Paused, _time: int, at: str) -> None:  # noqa: N802
        self.ledgers[at].paused = True

    def _Unpaused(self, _event: on_chain.Unpaused, _time: int, at: str) -> None:  # noqa: N802
        self.ledgers[at].paused = False

    def _InvoiceOpened(self, event: on_chain.InvoiceOpened, _time: int, _at: str) -> None:  # noqa: N802
        before = self.invoices.get(event.number, _UNOPENED_INVOICE)
        self.invoices[event.number] = InvoiceEntry(
            event.patient, event.claimable, event.currency, event.born_on_hold, before.standing
        )

    def _InvoiceReversed(self, event: on_chain.InvoiceReversed, _time: int, _at: str) -> None:  # noqa: N802
        for number, standing in (
            (event.number, Standing.REVERSED),
            (event.red_letter, Standing.RED_LETTER),
        ):
            before = self.invoices.get(number, _UNOPENED_INVOICE)
            self.invoices[number] = replace(before, standing=standing)
        self.reversed_by[event.number] = event.red_letter

    def _ClaimLocked(self, event: on_chain.ClaimLocked, _time: int, _at: str) -> None:  # noqa: N802
        self._lock(event.number, event.payer, event.claimable, event.sequence, event.terms)
        _update(self.claims, (event.number, event.payer), until=event.until)

    def _ClaimSettled(self, event: on_chain.ClaimSettled, time: int, _at: str) -> None:  # noqa: N802
        self._settle((event.number, event.payer), event.decision, event.is_paid, time)

    def _ClaimLockedAndSettled(  # noqa: N802
        self, event: on_chain.ClaimLockedAndSettled, time: int, _at: str
    ) -> None:
        terms, decision = event.settlement.terms, event.settlement.decision
        self._lock(event.number, event.payer, event.claimable, event.sequence, terms)
        self._settle((event.number, event.payer), decision, terms.payee != ZERO_ADDRESS, time)

    def _lock(
        self, number: int, payer: int, claimable: int, sequence: int, terms: ClaimTerms
    ) -> None:
        self.claimable[number] = claimable
        self.claims[number, payer] = replace(
            _NO_CLAIM,
            payer=payer,
            amount=terms.amount,
            sequence=sequence + 1,
            status=Status.LOCKED,
            fixed_benefit=terms.fixed_benefit,
        )

    def _settle(self, key: tuple[int, int], decision: Decision, is_paid: bool, time: int) -> None:
        _update(
            self.claims,
            key,
            amount=decision.amount,
            until=time,
            status=Status.SETTLED,
            is_paid=is_paid,
            payment=decision.payment[: len(_NO_CLAIM.payment)],
        )

    def _ClaimDenied(self, event: on_chain.ClaimDenied, time: int, _at: str) -> None:  # noqa: N802
        key = (event.number, event.payer)
        _update(self.claims, key, amount=0, until=time, status=Status.DENIED)

    def _ClaimWithdrawn(self, event: on_chain.ClaimWithdrawn, time: int, _at: str) -> None:  # noqa: N802
        key, sequence = (event.number, event.payer), event.sequence
        _update(self.claims, key, amount=0, until=time, sequence=sequence, status=Status.WITHDRAWN)

    def _PayerWaived(self, event: on_chain.PayerWaived, time: int, _at: str) -> None:  # noqa: N802
        before = self.claims.get((event.number, event.payer), _NO_CLAIM)
        self.claims[event.number, event.payer] = replace(
            before,
            payer=event.payer,
            amount=0,
            until=time,
            sequence=event.sequence,
            status=Status.WAIVED,
        )

    def _PaymentConfirmed(  # noqa: N802
        self, event: on_chain.PaymentConfirmed, _time: int, _at: str
    ) -> None:
        _update(self.claims, (event.number, event.payer), is_paid=True)

    def _ClaimRecouped(self, event: on_chain.ClaimRecouped, _time: int, _at: str) -> None:  # noqa: N802
        key = (event.number, event.payer)
        self.recouped[key] = self.recouped.get(key, 0) + event.amount

    def _ClaimRepaid(self, event: on_chain.ClaimRepaid, _time: int, _at: str) -> None:  # noqa: N802
        key = (event.number, event.payer)
        _update(self.claims, key, amount=self.claims[key].amount - event.amount)
        self.recouped[key] = max(self.recouped.get(key, 0) - event.amount, 0)

    def _ClaimBooked(self, event: on_chain.ClaimBooked, _time: int, _at: str) -> None:  # noqa: N802
        _update(self.claims, (event.number, event.payer), status=Status.BOOKED)

    def _BookingRevoked(self, event: on_chain.BookingRevoked, _time: int, _at: str) -> None:  # noqa: N802
        _update(self.claims, (event.number, event.payer), status=Status.SETTLED)

    def _ClaimArchived(self, event: on_chain.ClaimArchived, _time: int, _at: str) -> None:  # noqa: N802
        _update(self.claims, (event.number, event.payer), status=Status.ARCHIVED)

    def _Deposited(self, event: on_chain.Deposited, _time: int, _at: str) -> None:  # noqa: N802
        self.deposits[event.payer] = self.deposits.get(event.payer, 0) + event.amount

    def _DepositWithdrawn(  # noqa: N802
        self, event: on_chain.DepositWithdrawn, _time: int, _at: str
    ) -> None:
        self.deposits[event.payer] -= event.amount

    def _ClaimPaid(self, event: on_chain.ClaimPaid, _time: int, _at: str) -> None:  # noqa: N802
        self.deposits[event.payer] -= event.amount

    def _PrescriptionOpened(  # noqa: N802
        self, event: on_chain.PrescriptionOpened, _time: int, _at: str
    ) -> None:
        before = self.prescriptions.get(event.number, _UNOPENED_PRESCRIPTION)
        opened = before.state if before.state != State.NOT_OPENED else State.AVAILABLE
        quantities = tuple(event.quantities)
        self.prescriptions[event.number] = replace(
            before,
            patient=event.patient,
            valid_until=event.valid_until,
            remaining=quantities + (0,) * (5 - len(quantities)),
            state=opened,
        )

    def _PrescriptionAccepted(  # noqa: N802
        self, event: on_chain.PrescriptionAccepted, _time: int, _at: str
    ) -> None:
        _update(
            self.prescriptions,
            event.number,
            pharmacy=event.pharmacy,
            lease_until=event.lease_until,
            sequence=self.prescriptions[event.number].sequence + 1,
            state=State.ACCEPTED,
        )

    def _PrescriptionReturned(  # noqa: N802
        self, event: on_chain.PrescriptionReturned, _time: int, _at: str
    ) -> None:
        _update(self.prescriptions, event.number, pharmacy=0, lease_until=0, state=State.AVAILABLE)

    def _PrescriptionDispensed(  # noqa: N802
        self, event: on_chain.PrescriptionDispensed, _time: int, _at: str
    ) -> None:
        left = list(self.prescriptions[event.number].remaining)
        for line, quantity in enumerate(event.quantities):
            left[line] -= quantity
        _update(self.prescriptions, event.number, remaining=tuple(left), state=State.DISPENSED)

    def _PrescriptionHandedOver(  # noqa: N802
        self, event: on_chain.PrescriptionHandedOver, _time: int, _at: str
    ) -> None:
        _update(self.prescriptions, event.number, courier=event.courier, state=State.IN_TRANSIT)

    def _PrescriptionDelivered(  # noqa: N802
        self, event: on_chain.PrescriptionDelivered, _time: int, _at: str
    ) -> None:
        _update(
            self.prescriptions,
            event.number,
            courier=0,
            lease_until=event.lease_until,
            sequence=self.prescriptions[event.number].sequence + 1,
            state=State.DELIVERED if event.complete else State.ACCEPTED,
        )

    def _DeliveryFailed(self, event: on_chain.DeliveryFailed, _time: int, _at: str) -> None:  # noqa: N802
        _update(self.prescriptions, event.number, courier=0, state=State.DISPENSED)

    def _PrescriptionCancelled(  # noqa: N802
        self, event: on_chain.PrescriptionCancelled, _time: int, _at: str
    ) -> None:
        before = self.prescriptions.get(event.number, _UNOPENED_PRESCRIPTION)
        self.prescriptions[event.number] = replace(
            before, pharmacy=0, lease_until=0, state=State.CANCELLED
        )


_NO_CLAIM = ClaimEntry(0, 0, 0, 0, Status.NONE, False, False, bytes(11))
_UNOPENED_INVOICE = InvoiceEntry(ZERO_ADDRESS, 0, 0, False, Standing.REGULAR)
_UNOPENED_PRESCRIPTION = PrescriptionEntry(
    ZERO_ADDRESS, 0, (0, 0, 0, 0, 0), 0, 0, 0, 0, State.NOT_OPENED
)


def _update(records: dict[K, Any], key: K, **changes: Any) -> None:
    records[key] = replace(records[key], **changes)


def _usage(claims: Iterable[ClaimEntry], time: int) -> tuple[int, int]:
    locked = reimbursed = 0
    for claim in claims:
        if claim.fixed_benefit:
            continue
        if claim.status >= Status.SETTLED:
            reimbursed += claim.amount
        elif claim.status == Status.LOCKED and claim.until >= time:
            locked += claim.amount
    return locked, reimbursed


def _bulk(view: Any, numbers: list[int]) -> list[Any]:
    found: list[Any] = []
    for part in chunked(numbers, BULK):
        found += view(part)
    return found
