"""The pharmacy: accepts prescriptions exclusively, dispenses them, hands parcels over."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from medledger.chain.contract import Call
from medledger.chain.sender import Receipt
from medledger.core.authorisation import Signed
from medledger.core.evidence import Evidence
from medledger.core.hashing import AcceptAuthorisation, PrescriptionHeader
from medledger.core.numbers import format_number
from medledger.core.states import State
from medledger.errors import AuthorisationMismatch, MalformedEvidence
from medledger.roles.carrier import Carrier


class Pharmacy(Carrier):
    """A dispenser. Quantities are whole dispensing units, by line."""

    def accept(self, evidence: Evidence, authorisation: Signed) -> Receipt:
        """Takes a prescription exclusively, for the lease period, opening it where nobody has yet.

        Raises `PrescriptionIsTaken`, `PrescriptionIsExpired`, `StateForbids`, `DocumentIsHeld`,
        `AuthorisationInvalid`, `AuthorisationExpired` or `ProofInvalid` as the contract says, and
        `AuthorisationMismatch` for an authorisation of another act.
        """
        return self._send(self._accepts([(evidence, authorisation)])[0])

    def accept_many(self, rows: Sequence[tuple[Evidence, Signed]]) -> Iterator[Receipt]:
        """Accepts many prescriptions; receipts in the order given."""
        return self.sender.send_many(self._accepts(rows))

    def return_to_pool(self, number: int, *, reason: int = 0) -> Receipt:
        """Gives an accepted prescription back; raises `StateForbids`, `NotThePharmacy`."""
        return self._send(self.ledgers.prescriptions.return_to_pool(number, reason))

    def dispense(self, number: int, quantities: Sequence[int]) -> Receipt:
        """Dispenses quantities by line; the rest stays owing.

        Raises `OverPrescribed`, `NothingDispensed`, `LeaseIsOver`, `NotThePharmacy`,
        `StateForbids`.
        """
        return self._send(self.ledgers.prescriptions.dispense(number, quantities))

    def dispense_many(self, rows: Sequence[tuple[int, Sequence[int]]]) -> Iterator[Receipt]:
        """Dispenses many prescriptions: (number, quantities) each."""
        return self.sender.send_many([self.ledgers.prescriptions.dispense(*row) for row in rows])

    def hand_over(self, number: int, courier: int) -> Receipt:
        """Hands what was dispensed to a courier (institution id); raises `NotACourier`."""
        return self._send(self.ledgers.prescriptions.hand_over(number, courier))

    def hand_over_many(self, rows: Sequence[tuple[int, int]]) -> Iterator[Receipt]:
        """Hands over many parcels: (number, courier) each."""
        return self.sender.send_many([self.ledgers.prescriptions.hand_over(*row) for row in rows])

    def _accepts(self, rows: Sequence[tuple[Evidence, Signed]]) -> list[Call]:
        ledger = self.ledgers.prescriptions
        entries = ledger.prescriptions_of([evidence.number for evidence, _ in rows])
        calls = []
        for (evidence, signed), entry in zip(rows, entries, strict=True):
            message = signed.message_as(AcceptAuthorisation)
            self._require_for(signed, ledger.address)
            if not isinstance(evidence.header, PrescriptionHeader):
                raise MalformedEvidence(problem="it is not of a prescription")
            if message.number != evidence.number or message.pharmacy != self.institution:
                raise AuthorisationMismatch(
                    problem=f"allows pharmacy {message.pharmacy} and prescription "
                    f"{format_number(message.number)}, not pharmacy {self.institution} and "
                    f"prescription {format_number(evidence.number)}"
                )
            act = (message.deadline, signed.signature)
            if entry.state == State.NOT_OPENED:
                proof = (evidence.header, evidence.head, evidence.path)
                calls.append(ledger.open_and_accept(*proof, *act))
            else:
                calls.append(ledger.accept(evidence.number, *act))
        return calls
