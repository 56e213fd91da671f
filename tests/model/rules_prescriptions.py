"""The rules of Prescriptions: one pharmacy at a time, never above what was prescribed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from copy import copy
from dataclasses import dataclass, field

from tests.model.rules import ZERO_ADDRESS, Change, Refused, Signed, View
from tests.model.rules_documents import DocumentLedger, Proof, lines_of, signed_by_patient
from tests.model.rules_policies import Policies, Policy

from medledger.core.hashing import AcceptAuthorisation, DeliveryConfirmation, PrescriptionHeader
from medledger.core.states import Kind, State

TAKEN = (State.ACCEPTED, State.DISPENSED, State.IN_TRANSIT)
MAX_LINES = 5
NO_LINES = (0, 0, 0, 0, 0)
MINUTE = 60


@dataclass
class Prescription:
    """Times are Unix seconds; `until` is the lease's end, and once delivered the time of that."""

    patient: str = ZERO_ADDRESS
    lines: int = 0
    substitutable: int = 0
    born_on_hold: bool = False
    repeats_left: int = 0
    remaining: tuple[int, ...] = NO_LINES
    parcel: tuple[int, ...] = NO_LINES
    state: State = State.NOT_OPENED
    sequence: int = 0
    until: int = 0
    pharmacy: int = 0
    courier: int = 0
    reviewer: str = ""
    policy: Policy = field(default_factory=Policy)
    cancel_requested: bool = False
    unconfirmed: bool = False
    offer: tuple[int, int, int] = (0, 0, 0)
    """From whom, to whom, and the end of the custody in which it was made."""


@dataclass
class Prescriptions(DocumentLedger):
    NAME = "Prescriptions"
    ISSUER = Kind.HOSPITAL

    policies: Policies = field(kw_only=True)
    lease_period: int = field(kw_only=True)
    prescriptions: dict[int, Prescription] = field(default_factory=dict)

    def accept(self, by: str, proof: Proof, deadline: int, given: Signed) -> Change:
        header = proof.header
        assert isinstance(header, PrescriptionHeader)
        number = header.number
        self.require_not_paused()
        pharmacy = self.institutions.authorise(by, Kind.PHARMACY)
        self.verify(number, proof)
        if self.clock.now > header.valid_until:
            raise Refused("PrescriptionIsExpired", number=number, validUntil=header.valid_until)
        self.require_not_held(number, header.on_hold)
        after = self._next_fill(header, pharmacy)
        sizes = header.quantities
        if not 1 <= len(sizes) <= MAX_LINES or not all(sizes):
            raise Refused("LinesInvalid", number=number)
        after.policy = self.policies.require_allowed(header)
        message = AcceptAuthorisation(number, pharmacy, after.sequence, deadline)
        signed_by_patient(self, number, header.patient, message, deadline, given)

        after.cancel_requested = False
        after.pharmacy, after.courier, after.reviewer = pharmacy, 0, ""
        after.parcel = NO_LINES
        after.sequence += 1
        return self._move(number, after, State.ACCEPTED)

    def returnToPool(self, by: str, number: int, reason: int) -> Change:  # noqa: N802
        after = self._of_pharmacy(by, number, State.ACCEPTED)
        if not after.cancel_requested:
            return self._move(number, after, State.AVAILABLE)
        after.cancel_requested = False
        return self._move(number, after, State.CANCELLED)

    def review(self, by: str, number: int, record: bytes) -> Change:
        after = self._of_pharmacy(by, number, State.ACCEPTED, State.DISPENSED)
        if record == bytes(32):
            raise Refused("ReviewMissing", number=number)
        after.reviewer = by
        return self._set(number, after)

    def dispense(
        self,
        by: str,
        number: int,
        quantities: Sequence[int],
        substituted: int,
        items: bytes,
        record: bytes,
    ) -> Change:
        after = self._of_pharmacy(by, number, State.ACCEPTED, State.DISPENSED)
        if self.clock.now > after.until:
            raise Refused("LeaseIsOver", number=number, leaseUntil=after.until)
        apart = after.policy.second_approver
        if not after.reviewer and (apart or record == bytes(32)):
            raise Refused("ReviewMissing", number=number)
        if apart and after.reviewer == by:
            raise Refused("SecondApproverMissing", number=number, operator=by)
        if items == bytes(32):
            raise Refused("ItemsMissing", number=number)
        if len(quantities) > MAX_LINES:
            raise Refused("LinesInvalid", number=number)
        if not any(quantities):
            raise Refused("NothingDispensed", number=number)
        for line, (quantity, left) in enumerate(zip(quantities, after.remaining, strict=False)):
            if quantity > left:
                raise Refused(
                    "OverPrescribed", number=number, line=line, quantity=quantity, remaining=left
                )
        dispensed = sum(1 << line for line, quantity in enumerate(quantities) if quantity)
        if substituted & ~(after.substitutable & dispensed):
            raise Refused("SubstitutionForbidden", number=number, substituted=substituted)

        taken = lines_of(quantities)
        after.remaining = _by_line(after.remaining, taken, -1)
        after.parcel = _by_line(after.parcel, taken, 1)
        after.sequence += 1
        after.cancel_requested = False
        return self._move(number, after, State.DISPENSED)

    def withdrawDispensing(self, by: str, number: int, reason: int) -> Change:  # noqa: N802
        after = self._of_pharmacy(by, number, State.DISPENSED)
        last = after.until - self.lease_period + after.policy.withdraw_minutes * MINUTE
        if self.clock.now > last:
            raise Refused("WithdrawalTooLate", number=number, last=last)
        after.remaining = _by_line(after.remaining, after.parcel, 1)
        after.parcel = NO_LINES
        after.sequence += 1
        return self._move(number, after, State.ACCEPTED)

    def handOver(self, by: str, number: int, courier: int) -> Change:  # noqa: N802
        after = self._of_pharmacy(by, number, State.DISPENSED)
        if not after.policy.courier_allowed:
            raise Refused("CourierForbidden", number=number)
        self._require_courier(courier)
        after.courier = courier
        return self._move(number, after, State.IN_TRANSIT)

    def offer(self, by: str, number: int, courier: int) -> Change:
        after = self._of_carrier(by, number)
        self._require_courier(courier)
        after.offer = (after.courier, courier, after.until)
        return self._set(number, after)

    def takeOver(self, by: str, number: int) -> Change:  # noqa: N802
        courier = self.institutions.authorise(by, Kind.COURIER)
        after = self._in_state(number, State.IN_TRANSIT)
        if after.offer != (after.courier, courier, after.until):
            raise Refused("ParcelNotOffered", number=number, courier=courier)
        after.courier, after.offer = courier, (0, 0, 0)
        return self._set(number, after)

    def failDelivery(self, by: str, number: int, reason: int) -> Change:  # noqa: N802
        after = self._of_carrier(by, number)
        after.courier = 0
        return self._move(number, after, State.DISPENSED)

    def takeBack(self, by: str, number: int) -> Change:  # noqa: N802
        after = self._of_pharmacy(by, number, State.IN_TRANSIT)
        courier, until = after.courier, after.until
        is_active = self.institutions.is_active_as(courier, Kind.COURIER)
        if self.clock.now <= until and is_active:
            raise Refused("CourierHasIt", number=number, courier=courier, leaseUntil=until)
        after.courier = 0
        return self._move(number, after, State.DISPENSED)

    def deliver(self, by: str, number: int, deadline: int, given: Signed) -> Change:
        after = self._in_state(number, State.DISPENSED, State.IN_TRANSIT)
        message = DeliveryConfirmation(number, after.sequence, after.parcel, deadline)
        signed_by_patient(self, number, after.patient, message, deadline, given)
        after.parcel, after.courier = NO_LINES, 0
        after.sequence += 1
        if any(after.remaining):
            return self._move(number, after, State.ACCEPTED)
        after.cancel_requested = False
        return self._move(number, after, State.DELIVERED)

    def cancel(self, by: str, segment: int, number: int, reason: int) -> Change:
        self.require_issued_by_caller(by, segment, number)
        after = copy(self.prescription(number))
        if after.state == State.DELIVERED and after.repeats_left:
            after.repeats_left = 0
            return self._set(number, after)
        if after.state == State.ACCEPTED:
            self._require_over(number, after, after.until)
        elif after.state > State.ACCEPTED:
            raise Refused("StateForbids", number=number, state=after.state)
        after.cancel_requested = False
        return self._move(number, after, State.CANCELLED)

    def requestCancel(self, by: str, segment: int, number: int, reason: int) -> Change:  # noqa: N802
        self.require_issued_by_caller(by, segment, number)
        after = self._in_state(number, *TAKEN)
        if after.cancel_requested:
            raise Refused("CancelIsRequested", number=number)
        after.cancel_requested = True
        return self._set(number, after)

    def multicall(self, number: int, rules: Sequence[Callable[[], Change]]) -> Change:
        """Several acts on one prescription, all or none."""
        before = self.prescriptions.get(number)
        try:
            for rule in rules:
                rule()()
            after = self.prescription(number)
        finally:
            if before is None:
                self.prescriptions.pop(number, None)
            else:
                self.prescriptions[number] = before
        return self._set(number, after)

    # What others ask.

    def prescription(self, number: int) -> Prescription:
        """The prescription as it stands; one that was never used, where there is none."""
        return self.prescriptions.get(number, Prescription())

    def is_handed_over(self, number: int) -> bool:
        at = self.prescription(number)
        return at.state == State.DELIVERED and not at.unconfirmed

    def may_be_born_on_hold(self, number: int) -> bool:
        # Until an acceptance shows its header, and with it that it is not on hold.
        return self.prescription(number).state == State.NOT_OPENED

    def views_of_document(self, number: int) -> Iterator[View]:
        at = self.prescription(number)
        is_taken, is_delivered = at.state in TAKEN, at.state == State.DELIVERED
        entry = (
            at.patient,
            at.remaining,
            at.parcel,
            at.pharmacy if is_taken or is_delivered else 0,
            at.courier,
            at.until if is_taken else 0,
            at.until if is_delivered else 0,
            at.sequence,
            int(at.state),
            at.lines,
            at.substitutable,
            at.repeats_left,
            at.policy.withdraw_minutes,
            at.born_on_hold,
            at.policy.courier_allowed,
            at.policy.second_approver,
            bool(at.reviewer),
            at.cancel_requested,
            at.unconfirmed,
        )
        yield View(self.NAME, "prescriptionOf", (number,), (entry,))
        yield View(self.NAME, "isHandedOver", (number,), (self.is_handed_over(number),))

    # What several of them do. `after` is a copy of the record, for the change to put in its place.

    def _next_fill(self, header: PrescriptionHeader, pharmacy: int) -> Prescription:
        """The record that this pharmacy may take now: the first, the next, or what is left."""
        number = header.number
        after = copy(self.prescription(number))
        if after.state == State.NOT_OPENED:
            if header.patient == ZERO_ADDRESS:
                raise Refused("PatientMissing", number=number)
            after.patient = header.patient
            after.lines = len(header.quantities)
            after.substitutable = header.substitutable & 2**MAX_LINES - 1
            after.born_on_hold = header.on_hold
            after.repeats_left = header.repeats
            after.remaining = lines_of(header.quantities)
        elif after.state == State.DELIVERED and after.repeats_left:
            earliest = after.until + header.interval
            if self.clock.now < earliest:
                raise Refused("RepeatTooEarly", number=number, earliest=earliest)
            after.repeats_left -= 1
            after.unconfirmed = False
            after.remaining = lines_of(header.quantities)
        elif after.state != State.AVAILABLE:
            self._require_abandoned(number, after, pharmacy)
            after.unconfirmed |= any(after.parcel)
        return after

    def _require_abandoned(self, number: int, at: Prescription, pharmacy: int) -> None:
        if at.state not in TAKEN:
            raise Refused("StateForbids", number=number, state=at.state)
        in_transit = at.state == State.IN_TRANSIT
        self._require_over(number, at, at.until + (self.lease_period if in_transit else 0))
        if at.cancel_requested:
            raise Refused("CancelIsRequested", number=number)
        if any(at.parcel):
            if at.pharmacy == pharmacy:
                raise Refused("StateForbids", number=number, state=at.state)
            if not any(at.remaining):
                raise Refused("NothingRemains", number=number)

    def _require_over(self, number: int, at: Prescription, until: int) -> None:
        if self.clock.now <= until:
            raise Refused(
                "PrescriptionIsTaken", number=number, pharmacy=at.pharmacy, leaseUntil=until
            )

    def _in_state(self, number: int, *states: State) -> Prescription:
        after = copy(self.prescription(number))
        if after.state not in states:
            raise Refused("StateForbids", number=number, state=after.state)
        return after

    def _of_pharmacy(self, by: str, number: int, *states: State) -> Prescription:
        pharmacy = self.institutions.authorise(by, Kind.PHARMACY)
        after = self._in_state(number, *states)
        if after.pharmacy != pharmacy:
            raise Refused("NotThePharmacy", number=number, pharmacy=after.pharmacy)
        return after

    def _of_carrier(self, by: str, number: int) -> Prescription:
        courier = self.institutions.authorise(by, Kind.COURIER)
        after = self._in_state(number, State.IN_TRANSIT)
        if after.courier != courier:
            raise Refused("NotTheCourier", number=number, courier=after.courier)
        return after

    def _require_courier(self, courier: int) -> None:
        if not self.institutions.is_active_as(courier, Kind.COURIER):
            raise Refused("NotACourier", institution=courier)

    def _move(self, number: int, after: Prescription, state: State) -> Change:
        after.state = state
        after.until = self.clock.now + (self.lease_period if state in TAKEN else 0)
        return self._set(number, after)

    def _set(self, number: int, after: Prescription) -> Change:
        return lambda: self.prescriptions.update({number: after})


def _by_line(left: Sequence[int], right: Sequence[int], sign: int) -> tuple[int, ...]:
    return tuple(one + sign * other for one, other in zip(left, right, strict=True))
