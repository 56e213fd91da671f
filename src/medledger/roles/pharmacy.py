"""The pharmacy: accepts prescriptions exclusively, dispenses them, hands parcels over."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from medledger.chain.contract import Call
from medledger.chain.sender import Receipt
from medledger.core.authorisation import Signed
from medledger.core.dispensing import Dispensing
from medledger.core.evidence import Evidence
from medledger.core.hashing import PrescriptionHeader
from medledger.errors import MalformedEvidence
from medledger.roles.carrier import Carrier


class Pharmacy(Carrier):
    """A dispenser. It accepts, reviews, dispenses and hands over."""

    def accept(self, evidence: Evidence, authorisation: Signed) -> Receipt:
        """Takes a prescription exclusively, for the lease period: a new one, the next fill of a
        delivered one, or what remains of one that a silent pharmacy lost.

        Raises `PrescriptionIsTaken`, `PrescriptionIsExpired`, `StateForbids`, `DocumentIsHeld`,
        `RepeatTooEarly`, `NothingRemains`, `CancelIsRequested`, `AuthorisationInvalid`,
        `AuthorisationExpired` or `ProofInvalid` as the contract says, what its policy forbids
        (`DrugClassUnknown`, `NotYetAuthored`, `ValidityTooLong`, `TooManyRepeats`,
        `QuantityTooLarge`, `LicenceNotValid`, `LicencesMissing`), and `AuthorisationMismatch` for
        an authorisation of another act.
        """
        return self._send(self._accepts([(evidence, authorisation)])[0])

    def accept_many(self, rows: Sequence[tuple[Evidence, Signed]]) -> Iterator[Receipt]:
        """Accepts many prescriptions; receipts in the order given."""
        return self.sender.send_many(self._accepts(rows))

    def supply(
        self, evidence: Evidence, authorisation: Signed, dispensing: Dispensing, courier: int
    ) -> Receipt:
        """Accepts, dispenses and hands over in one transaction, where all is in stock.

        Raises what each of the three raises; then nothing of it was done.
        """
        (accept,) = self._accepts([(evidence, authorisation)])
        number = evidence.number
        return self._send(
            self._together(
                accept, self._dispense(number, dispensing), self._hand_over(number, courier)
            )
        )

    def return_to_pool(self, number: int, *, reason: int = 0) -> Receipt:
        """Gives an accepted prescription back; raises `StateForbids`, `NotThePharmacy`.

        Where its hospital has asked to cancel it, this cancels it.
        """
        return self._send(self.ledgers.prescriptions.return_to_pool(number, reason))

    def review(self, number: int, review_hash: bytes) -> Receipt:
        """Records the review by this operator (`core.dispensing.review_hash`).

        Raises `StateForbids`, `NotThePharmacy`, `ReviewMissing`.
        """
        return self._send(self.ledgers.prescriptions.review(number, review_hash))

    def dispense(
        self, number: int, dispensing: Dispensing, *, courier: int | None = None
    ) -> Receipt:
        """Dispenses; the rest stays owing. With a courier, hands over in the same transaction.

        Raises `OverPrescribed`, `NothingDispensed`, `LeaseIsOver`, `NotThePharmacy`,
        `StateForbids`, `ReviewMissing`, `SecondApproverMissing`, `SubstitutionForbidden`,
        `ItemsMissing`, and what `hand_over` raises.
        """
        call = self._dispense(number, dispensing)
        if courier is not None:
            call = self._together(call, self._hand_over(number, courier))
        return self._send(call)

    def dispense_many(self, rows: Sequence[tuple[int, Dispensing]]) -> Iterator[Receipt]:
        """Dispenses many prescriptions; receipts in the order given."""
        return self.sender.send_many([self._dispense(*row) for row in rows])

    def withdraw_dispensing(self, number: int, *, reason: int = 0) -> Receipt:
        """Takes back all that was dispensed since the last delivery, while it is here.

        Raises `WithdrawalTooLate`, `StateForbids`, `NotThePharmacy`.
        """
        return self._send(self.ledgers.prescriptions.withdraw_dispensing(number, reason))

    def hand_over(self, number: int, courier: int) -> Receipt:
        """Hands what was dispensed to a courier (institution id).

        Raises `NotACourier`, `CourierForbidden`, `StateForbids`, `NotThePharmacy`.
        """
        return self._send(self._hand_over(number, courier))

    def hand_over_many(self, rows: Sequence[tuple[int, int]]) -> Iterator[Receipt]:
        """Hands over many parcels: (number, courier) each."""
        return self.sender.send_many([self._hand_over(*row) for row in rows])

    def take_back(self, number: int) -> Receipt:
        """Takes a parcel back from a courier that is suspended or silent; raises `CourierHasIt`."""
        return self._send(self.ledgers.prescriptions.take_back(number))

    def _dispense(self, number: int, dispensing: Dispensing) -> Call:
        return self.ledgers.prescriptions.dispense(
            number,
            dispensing.quantities,
            dispensing.substituted_bits,
            dispensing.items_hash,
            dispensing.review_hash,
        )

    def _hand_over(self, number: int, courier: int) -> Call:
        return self.ledgers.prescriptions.hand_over(number, courier)

    def _together(self, *calls: Call) -> Call:
        return self.ledgers.prescriptions.multicall([call.data for call in calls])

    def _accepts(self, rows: Sequence[tuple[Evidence, Signed]]) -> list[Call]:
        ledger = self.ledgers.prescriptions
        calls = []
        for evidence, signed in rows:
            if not isinstance(evidence.header, PrescriptionHeader):
                raise MalformedEvidence(problem="it is not of a prescription")
            message = self._acceptance_for(signed, evidence.number, self.institution)
            proof = (evidence.header, evidence.head, evidence.path)
            calls.append(ledger.accept(*proof, message.deadline, signed.signature))
        return calls
