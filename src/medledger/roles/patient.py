"""The patient: signs, and never sends a transaction or holds gas.

Every signature is for one act, one contract, one sequence, until a deadline; anyone may relay it.
"""

from __future__ import annotations

from collections.abc import Sequence

from medledger.chain.deployment import Ledgers
from medledger.core.authorisation import Signed
from medledger.core.hashing import (
    AcceptAuthorisation,
    AccessGrant,
    AccessRevocation,
    ClaimAuthorisation,
    DeliveryConfirmation,
    PatientMessage,
)
from medledger.core.numbers import DocumentKind
from medledger.core.patient_keys import PatientKey
from medledger.core.states import Purpose

DAY = 24 * 3600


class Patient:
    """A person with an extended key, from which each document's one-time key derives."""

    def __init__(self, ledgers: Ledgers, key: PatientKey) -> None:
        self.ledgers = ledgers
        self._key = key

    @property
    def public_key(self) -> str:
        """The extended public key that hospitals derive one-time addresses from."""
        return self._key.public

    def address(self, kind: DocumentKind, number: int) -> str:
        """The one-time address of a document."""
        return self._key.address(kind, number)

    def authorise_claim(
        self,
        number: int,
        payer: int,
        amount_minor: int,
        *,
        deadline: int,
        sequence: int | None = None,
    ) -> Signed:
        """Allows one payer (institution id) to lock one amount of one bill until `deadline`.

        `deadline` is in Unix seconds; `sequence` is read from the chain unless given.
        """
        if sequence is None:
            sequence = self.ledgers.claims.claim_of(number, payer).sequence
        message = ClaimAuthorisation(number, payer, amount_minor, sequence, deadline)
        return self._sign(message, "Invoice", self.ledgers.claims.address)

    def authorise_acceptance(
        self, number: int, pharmacy: int, *, deadline: int, sequence: int | None = None
    ) -> Signed:
        """Allows one pharmacy (institution id) to accept one prescription until `deadline`."""
        message = AcceptAuthorisation(number, pharmacy, self._sequence(number, sequence), deadline)
        return self._sign(message, "Prescription", self.ledgers.prescriptions.address)

    def confirm_delivery(
        self,
        number: int,
        *,
        deadline: int,
        sequence: int | None = None,
        quantities: Sequence[int] | None = None,
    ) -> Signed:
        """Confirms that the parcel has arrived, with these quantities of lines 1 to 5.

        What is not given is read from the chain: compare the parcel with its record there first.
        """
        if sequence is None or quantities is None:
            found = self.ledgers.prescriptions.prescription_of(number)
            sequence = found.sequence if sequence is None else sequence
            quantities = found.parcel if quantities is None else quantities
        message = DeliveryConfirmation(number, sequence, tuple(quantities), deadline)
        return self._sign(message, "Prescription", self.ledgers.prescriptions.address)

    def grant(
        self,
        number: int,
        institution: int,
        purpose: Purpose,
        *,
        until: int,
        sequence: int | None = None,
    ) -> Signed:
        """Lets one institution read one record for one purpose until `until`, Unix seconds."""
        if sequence is None:
            sequence = self.ledgers.records.grant_of(number, institution, purpose).sequence
        message = AccessGrant(number, institution, int(purpose), sequence, until)
        return self._sign(message, "Record", self.ledgers.records.address)

    def revoke(
        self, number: int, institution: int, purpose: Purpose, *, sequence: int | None = None
    ) -> Signed:
        """Takes a grant back, relayed or not."""
        if sequence is None:
            sequence = self.ledgers.records.grant_of(number, institution, purpose).sequence
        message = AccessRevocation(number, institution, int(purpose), sequence)
        return self._sign(message, "Record", self.ledgers.records.address)

    def _sequence(self, number: int, sequence: int | None) -> int:
        if sequence is not None:
            return sequence
        return self.ledgers.prescriptions.prescription_of(number).sequence

    def _sign(self, message: PatientMessage, kind: DocumentKind, contract: str) -> Signed:
        signature = self._key.sign(message, kind, self.ledgers.chain_id, contract)
        return Signed(message, signature, self.ledgers.chain_id, contract)
