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
    GrantEntry,
    InstitutionEntry,
    InterruptionEntry,
    InvoiceEntry,
    LicenceEntry,
    OperatorEntry,
    PaymentEntry,
    PolicyEntry,
    PrescriptionEntry,
    ReadsEntry,
    RecordEntry,
    SegmentEntry,
)
from medledger.chain.deployment import Ledgers
from medledger.chain.events import Logged
from medledger.chain.rpc import chunked
from medledger.core.claims import ClaimTerms, Decision
from medledger.core.hashing import TreeHead
from medledger.core.states import Hold, PaymentStatus, Standing, State, Status

BULK = 200
"""Documents in one bulk view: some 6,000 words of answer, far below any node's limit of gas."""

ZERO_ADDRESS = "0x" + 40 * "0"
NO_LINES = (0, 0, 0, 0, 0)
K = TypeVar("K")


@dataclass(slots=True)
class LedgerState:
    """One document ledger: segments by id, head hashes by first number, holds by number."""

    segments: dict[int, SegmentEntry] = field(default_factory=dict)
    heads: dict[int, bytes] = field(default_factory=dict)
    batches: dict[int, TreeHead] = field(default_factory=dict)
    endorsements: dict[int, int] = field(default_factory=dict)
    """Supervisor by the first number of its batch."""
    holds: dict[int, Hold] = field(default_factory=dict)
    paused: bool = False

    @property
    def issued(self) -> int:
        """How many numbers have been issued."""
        return sum(head.count for head in self.batches.values())

    def unendorsed(self) -> list[int]:
        """First numbers of batches that should have been endorsed and were not; must be none."""
        return [
            first
            for first, head in self.batches.items()
            if self.segments[head.segment].endorsed and first not in self.endorsements
        ]


class Replay:
    """The state of all contracts after the events applied so far."""

    def __init__(self, ledgers: Ledgers) -> None:
        self.institutions: dict[int, InstitutionEntry] = {}
        self.operators: dict[str, OperatorEntry] = {}
        self.invoices: dict[int, InvoiceEntry] = {}
        self.reversed_by: dict[int, int] = {}
        self.original_of: dict[int, int] = {}
        self.reversed_parts: dict[int, int] = {}
        """What partial red letters took of a bill, minor units."""
        self.claims: dict[tuple[int, int], ClaimEntry] = {}
        self.policies: dict[int, PolicyEntry] = {}
        self.claimable: dict[int, int] = {}
        """What payers could lock and reimburse of a bill, when one did last."""
        self.recouped: dict[tuple[int, int], int] = {}
        self.deposits: dict[int, int] = {}
        self.accounts: dict[int, str] = {}
        """Where a hospital is paid in the settlement token."""
        self.payments: dict[int, PaymentEntry] = {}
        self.prescriptions: dict[int, PrescriptionEntry] = {}
        self.opened: dict[int, on_chain.PrescriptionOpened] = {}
        self.ledgers: dict[str, LedgerState] = {
            ledger.address.lower(): LedgerState() for ledger in ledgers.documents.values()
        }
        self.bills = self.ledgers[ledgers.invoices.address.lower()]
        self.orders = self.ledgers[ledgers.prescriptions.address.lower()]
        self.licences: dict[int, LicenceEntry] = {}
        self.interruptions: dict[int, list[InterruptionEntry]] = {}
        self.records: dict[int, RecordEntry] = {}
        self.amendments: dict[int, list[int]] = {}
        """Original to its amendments, oldest first."""
        self.grants: dict[tuple[int, int, int], GrantEntry] = {}
        """By record, institution and purpose."""
        self.reads: dict[tuple[int, int], ReadsEntry] = {}
        """By institution and day."""
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
        """What breaks a rule of the contracts; there must be none.

        Bills on which payers hold more than the claimable part, and batches without endorsement.
        """
        missing = [
            f"batch from {first}: not endorsed"
            for state in self.ledgers.values()
            for first in state.unendorsed()
        ]
        return missing + [
            f"bill {number}: locked {locked} + reimbursed {reimbursed} > claimable "
            f"{self.claimable.get(number, 0)}"
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
        for ledger in ledgers.documents.values():
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
        compare(
            "original",
            self.original_of,
            ledgers.invoices.read_many("originalOf", [[n] for n in self.original_of]),
        )
        compare(
            "left",
            {number: self._left_of(number) for number in self.reversed_parts},
            ledgers.invoices.read_many("claimableOf", [[n] for n in self.reversed_parts]),
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
        if "Escrow" in ledgers.contracts:
            rows = [[payer] for payer in self.deposits]
            compare("deposit", self.deposits, ledgers.escrow.read_many("depositOf", rows))
        if "Payments" in ledgers.contracts:
            paid = ledgers.payments
            compare("account", self.accounts, [paid.account_of(id_) for id_ in self.accounts])
            compare("payment", self.payments, [paid.payment_of(n) for n in self.payments])
        usages = self.usages(time)
        sums: list[tuple[int, int]] = []
        for numbers in chunked(list(usages), BULK):
            sums += zip(*ledgers.claims.usages_of(numbers), strict=True)
        compare("usage", usages, sums)
        compare(
            "policy", self.policies, [ledgers.policies.policy_of(drug) for drug in self.policies]
        )
        compare(
            "prescription",
            self.prescriptions,
            _bulk(ledgers.prescriptions.prescriptions_of, list(self.prescriptions)),
        )
        if "Licence" in ledgers.documents:
            view = ledgers.licences
            compare("licence", self.licences, _bulk(view.licences_of, list(self.licences)))
            kept = [view.interruptions_of(number) for number in self.interruptions]
            compare("interruptions of licence", self.interruptions, kept)
        if "Record" in ledgers.documents:
            chart = ledgers.records
            compare("record", self.records, _bulk(chart.records_of, list(self.records)))
            chains = [list(chart.amendments_of(number)) for number in self.amendments]
            compare("amendments of record", self.amendments, chains)
            compare("grant", self.grants, [chart.grant_of(*key) for key in self.grants])
            compare("reads", self.reads, [chart.reads_of(*key) for key in self.reads])
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
            0,
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
        self._count_operators(event.institution, 1)

    def _OperatorRemoved(self, event: on_chain.OperatorRemoved, time: int, _at: str) -> None:  # noqa: N802
        _update(self.operators, event.operator, until=time)
        self._count_operators(event.institution, -1)

    def _SegmentAllotted(self, event: on_chain.SegmentAllotted, _time: int, at: str) -> None:  # noqa: N802
        self.ledgers[at].segments[event.segment] = SegmentEntry(
            event.institution, event.first, event.first, event.last, event.endorsed, False
        )

    def _SegmentWithdrawn(self, event: on_chain.SegmentWithdrawn, _time: int, at: str) -> None:  # noqa: N802
        _update(self.ledgers[at].segments, event.segment, withdrawn=True)

    def _SegmentUsedUp(self, event: on_chain.SegmentUsedUp, _time: int, at: str) -> None:  # noqa: N802
        _update(self.ledgers[at].segments, event.segment, next=event.last + 1)

    def _BatchIssued(self, event: on_chain.BatchIssued, time: int, at: str) -> None:  # noqa: N802
        state = self.ledgers[at]
        head = TreeHead(event.first, event.count, event.segment, time)
        state.batches[event.first] = head
        state.heads[event.first] = head.hash(event.root)
        _update(state.segments, event.segment, next=event.first + event.count)

    def _BatchEndorsed(self, event: on_chain.BatchEndorsed, _time: int, at: str) -> None:  # noqa: N802
        self.ledgers[at].endorsements[event.first] = event.supervisor

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
        self._stand(event.number, Standing.REVERSED)
        self._stand(event.red_letter, Standing.RED_LETTER)
        self.reversed_by[event.number] = event.red_letter
        self.original_of[event.red_letter] = event.number

    def _InvoicePartlyReversed(  # noqa: N802
        self, event: on_chain.InvoicePartlyReversed, _time: int, _at: str
    ) -> None:
        self._stand(event.number, Standing.PARTLY_REVERSED)
        self._stand(event.red_letter, Standing.RED_LETTER)
        taken = self.reversed_parts.get(event.number, 0) + event.amount
        self.reversed_parts[event.number] = taken
        self.original_of[event.red_letter] = event.number

    def _InvoiceExchanged(self, event: on_chain.InvoiceExchanged, _time: int, _at: str) -> None:  # noqa: N802
        self._stand(event.number, Standing.ON_PAPER)

    def _PaperVoided(self, event: on_chain.PaperVoided, _time: int, _at: str) -> None:  # noqa: N802
        partly = event.number in self.reversed_parts
        self._stand(event.number, Standing.PARTLY_REVERSED if partly else Standing.REGULAR)

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
        if not terms.fixed_benefit:
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

    def _AccountSet(self, event: on_chain.AccountSet, _time: int, _at: str) -> None:  # noqa: N802
        self.accounts[event.hospital] = event.account

    def _BillPaid(self, event: on_chain.BillPaid, _time: int, _at: str) -> None:  # noqa: N802
        self.payments[event.number] = PaymentEntry(
            event.payee, event.amount, PaymentStatus.PAID, bytes(32)
        )

    def _PaymentStated(self, event: on_chain.PaymentStated, _time: int, _at: str) -> None:  # noqa: N802
        self.payments[event.number] = PaymentEntry(
            ZERO_ADDRESS, event.amount, PaymentStatus.STATED, event.payment
        )

    def _StatementWithdrawn(  # noqa: N802
        self, event: on_chain.StatementWithdrawn, _time: int, _at: str
    ) -> None:
        self.payments[event.number] = _NO_PAYMENT

    def _StatementConfirmed(  # noqa: N802
        self, event: on_chain.StatementConfirmed, _time: int, _at: str
    ) -> None:
        _update(self.payments, event.number, status=PaymentStatus.PAID)

    def _PolicySet(self, event: on_chain.PolicySet, _time: int, _at: str) -> None:  # noqa: N802
        self.policies[event.drug_class] = PolicyEntry(
            event.max_validity,
            event.max_repeats,
            event.max_quantity,
            event.withdraw_minutes,
            event.courier_allowed,
            event.second_approver,
            event.licence_demanded,
        )

    def _PrescriptionOpened(  # noqa: N802
        self, event: on_chain.PrescriptionOpened, _time: int, _at: str
    ) -> None:
        self.opened[event.number] = event
        self.prescriptions[event.number] = replace(
            _UNOPENED_PRESCRIPTION,
            patient=event.patient,
            remaining=_by_line(event.quantities),
            lines=len(event.quantities),
            substitutable=event.substitutable & 2 ** len(NO_LINES) - 1,
            repeats_left=event.repeats,
            born_on_hold=event.born_on_hold,
        )

    def _PrescriptionAccepted(  # noqa: N802
        self, event: on_chain.PrescriptionAccepted, _time: int, _at: str
    ) -> None:
        before = self.prescriptions[event.number]
        next_fill = before.state == State.DELIVERED
        opened = self.opened[event.number]
        policy = self.policies[opened.drug_class]
        _update(
            self.prescriptions,
            event.number,
            remaining=_by_line(opened.quantities) if next_fill else before.remaining,
            parcel=NO_LINES,
            pharmacy=event.pharmacy,
            courier=0,
            lease_until=event.lease_until,
            delivered_at=0,
            sequence=event.sequence,
            state=State.ACCEPTED,
            repeats_left=before.repeats_left - next_fill,
            withdraw_minutes=policy.withdraw_minutes,
            courier_allowed=policy.courier_allowed,
            second_approver=policy.second_approver,
            reviewed=False,
            unconfirmed=not next_fill and (before.unconfirmed or any(before.parcel)),
        )

    def _PrescriptionReturned(  # noqa: N802
        self, event: on_chain.PrescriptionReturned, _time: int, _at: str
    ) -> None:
        _update(self.prescriptions, event.number, pharmacy=0, lease_until=0, state=State.AVAILABLE)

    def _PrescriptionReviewed(  # noqa: N802
        self, event: on_chain.PrescriptionReviewed, _time: int, _at: str
    ) -> None:
        _update(self.prescriptions, event.number, reviewed=True)

    def _PrescriptionDispensed(  # noqa: N802
        self, event: on_chain.PrescriptionDispensed, _time: int, _at: str
    ) -> None:
        left = list(self.prescriptions[event.number].remaining)
        parcel = list(self.prescriptions[event.number].parcel)
        for line, quantity in enumerate(event.quantities):
            left[line] -= quantity
            parcel[line] += quantity
        self._move(event, State.DISPENSED, remaining=tuple(left), parcel=tuple(parcel))

    def _DispensingWithdrawn(  # noqa: N802
        self, event: on_chain.DispensingWithdrawn, _time: int, _at: str
    ) -> None:
        before = self.prescriptions[event.number]
        left = tuple(map(sum, zip(before.remaining, before.parcel, strict=True)))
        self._move(event, State.ACCEPTED, remaining=left, parcel=NO_LINES)

    def _PrescriptionHandedOver(  # noqa: N802
        self, event: on_chain.PrescriptionHandedOver, _time: int, _at: str
    ) -> None:
        self._move(event, State.IN_TRANSIT, courier=event.courier)

    def _ParcelOffered(self, _event: on_chain.ParcelOffered, _time: int, _at: str) -> None:  # noqa: N802
        """Changes nothing that a view shows; the parcel stays with who offers it."""

    def _ParcelTakenOver(self, event: on_chain.ParcelTakenOver, _time: int, _at: str) -> None:  # noqa: N802
        _update(self.prescriptions, event.number, courier=event.receiver)

    def _DeliveryFailed(self, event: on_chain.DeliveryFailed, _time: int, _at: str) -> None:  # noqa: N802
        self._move(event, State.DISPENSED, courier=0)

    def _ParcelTakenBack(self, event: on_chain.ParcelTakenBack, _time: int, _at: str) -> None:  # noqa: N802
        self._move(event, State.DISPENSED, courier=0)

    def _PrescriptionDelivered(  # noqa: N802
        self, event: on_chain.PrescriptionDelivered, time: int, _at: str
    ) -> None:
        state = State.DELIVERED if event.complete else State.ACCEPTED
        delivered_at = time if event.complete else 0
        self._move(event, state, courier=0, parcel=NO_LINES, delivered_at=delivered_at)

    def _PrescriptionCancelled(  # noqa: N802
        self, event: on_chain.PrescriptionCancelled, _time: int, _at: str
    ) -> None:
        before = self.prescriptions.get(event.number, _UNOPENED_PRESCRIPTION)
        self.prescriptions[event.number] = replace(
            before, pharmacy=0, lease_until=0, cancel_requested=False, state=State.CANCELLED
        )

    def _RepeatsCancelled(self, event: on_chain.RepeatsCancelled, _time: int, _at: str) -> None:  # noqa: N802
        _update(self.prescriptions, event.number, repeats_left=0)

    def _CancelRequested(self, event: on_chain.CancelRequested, _time: int, _at: str) -> None:  # noqa: N802
        _update(self.prescriptions, event.number, cancel_requested=True)

    def _CancelRefused(self, event: on_chain.CancelRefused, _time: int, _at: str) -> None:  # noqa: N802
        _update(self.prescriptions, event.number, cancel_requested=False)

    def _move(self, event: _Moving, state: State, **changes: Any) -> None:
        _update(
            self.prescriptions,
            event.number,
            state=state,
            sequence=event.sequence,
            lease_until=event.lease_until,
            **changes,
        )

    def _LicenceOpened(self, event: on_chain.LicenceOpened, _time: int, _at: str) -> None:  # noqa: N802
        self._licence(
            event.number,
            licence_type=event.licence_type,
            valid_from=event.valid_from,
            valid_until=event.valid_until,
        )

    def _LicenceRenewed(self, event: on_chain.LicenceRenewed, time: int, _at: str) -> None:  # noqa: N802
        end = self.licences[event.number].valid_until
        if end < time:
            self._interrupt(event.number, end + 1, time)
        self._licence(event.number, valid_until=event.valid_until)

    def _LicenceSuspended(self, event: on_chain.LicenceSuspended, time: int, _at: str) -> None:  # noqa: N802
        self._licence(event.number, suspended_from=time)

    def _SuspensionLifted(self, event: on_chain.SuspensionLifted, time: int, _at: str) -> None:  # noqa: N802
        self._interrupt(event.number, self.licences[event.number].suspended_from, time)
        self._licence(event.number, suspended_from=0)

    def _LicenceRevoked(self, event: on_chain.LicenceRevoked, time: int, _at: str) -> None:  # noqa: N802
        self._licence(event.number, revoked_from=time)

    def _licence(self, number: int, **changes: int) -> None:
        before = self.licences.get(number, LicenceEntry(0, 0, 0, 0, 0, 0))
        self.licences[number] = replace(before, **changes)

    def _interrupt(self, number: int, since: int, time: int) -> None:
        if since < time:
            kept = self.interruptions.setdefault(number, [])
            kept.append(InterruptionEntry(since, time - 1))
            self._licence(number, interruptions=len(kept))

    def _RecordOpened(self, event: on_chain.RecordOpened, _time: int, _at: str) -> None:  # noqa: N802
        self.records[event.number] = RecordEntry(
            event.patient, event.institution, event.record_type
        )

    def _RecordAmended(self, event: on_chain.RecordAmended, _time: int, _at: str) -> None:  # noqa: N802
        self.amendments.setdefault(event.original, []).append(event.amendment)

    def _AccessGranted(self, event: on_chain.AccessGranted, _time: int, _at: str) -> None:  # noqa: N802
        key = (event.number, event.institution, event.purpose)
        self.grants[key] = GrantEntry(event.until, event.sequence + 1)

    def _AccessRevoked(self, event: on_chain.AccessRevoked, _time: int, _at: str) -> None:  # noqa: N802
        key = (event.number, event.institution, event.purpose)
        self.grants[key] = GrantEntry(0, event.sequence + 1)

    def _ReadsAnchored(self, event: on_chain.ReadsAnchored, _time: int, _at: str) -> None:  # noqa: N802
        self.reads[event.institution, event.day] = ReadsEntry(event.root, event.count)

    # What several of them do.

    def _count_operators(self, institution: int, change: int) -> None:
        operators = self.institutions[institution].operators + change
        _update(self.institutions, institution, operators=operators)

    def _stand(self, number: int, standing: Standing) -> None:
        before = self.invoices.get(number, _UNOPENED_INVOICE)
        self.invoices[number] = replace(before, standing=standing)

    def _left_of(self, number: int) -> int:
        """What can be claimed in all of a bill that was reversed in part."""
        bill = self.invoices[number]
        if bill.standing == Standing.REVERSED:
            return 0
        return bill.claimable - self.reversed_parts[number]


_Moving = (
    on_chain.PrescriptionDispensed
    | on_chain.DispensingWithdrawn
    | on_chain.PrescriptionHandedOver
    | on_chain.DeliveryFailed
    | on_chain.ParcelTakenBack
    | on_chain.PrescriptionDelivered
)
_NO_PAYMENT = PaymentEntry(ZERO_ADDRESS, 0, PaymentStatus.NONE, bytes(32))
_NO_CLAIM = ClaimEntry(0, 0, 0, 0, Status.NONE, False, False, bytes(11))
_UNOPENED_INVOICE = InvoiceEntry(ZERO_ADDRESS, 0, 0, False, Standing.REGULAR)
_UNOPENED_PRESCRIPTION = PrescriptionEntry(
    patient=ZERO_ADDRESS,
    remaining=NO_LINES,
    parcel=NO_LINES,
    pharmacy=0,
    courier=0,
    lease_until=0,
    delivered_at=0,
    sequence=0,
    state=State.NOT_OPENED,
    lines=0,
    substitutable=0,
    repeats_left=0,
    withdraw_minutes=0,
    born_on_hold=False,
    courier_allowed=False,
    second_approver=False,
    reviewed=False,
    cancel_requested=False,
    unconfirmed=False,
)


def _by_line(quantities: Sequence[int]) -> tuple[int, ...]:
    return (*quantities, *NO_LINES[len(quantities) :])


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
