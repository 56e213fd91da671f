"""The patient: signs, and never sends a transaction or holds gas.

Every signature is for one act, one contract, one sequence, until a deadline; anyone may relay it.
"""

from __future__ import annotations

from collections.abc import Sequence

from medledger.chain.deployment import Ledgers
from medledger.core.authorisation import Signed
from medledger.core.hashing import (
    ZERO_ADDRESS,
    AcceptAuthorisation,
    AccessGrant,
    AccessRevocation,
    BillPayment,
    ClaimAuthorisation,
    ClaimWithdrawal,
    DeliveryConfirmation,
    PatientMessage,
    PayerWaiver,
    PaymentConfirmation,
    checksum_address,
)
from medledger.core.numbers import DocumentKind
from medledger.core.patient_keys import PatientKey
from medledger.core.states import PaymentStatus, Purpose
from medledger.errors import PaymentNotStated

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
        after_payer: int = 0,
        fixed_benefit: bool = False,
        payee: str = ZERO_ADDRESS,
    ) -> Signed:
        """Allows one payer (institution id) to lock one amount of one bill until `deadline`.

        `deadline` is in Unix seconds; `sequence` is read from the chain unless given. The payer
        settles only once `after_payer` has decided. A `fixed_benefit` takes nothing of the bill's
        remainder. `payee` is paid in the settlement token.

        Warning: one payee on two bills links them for everybody; `address` gives one for each.
        """
        message = ClaimAuthorisation(
            number,
            payer,
            amount_minor,
            self._claim_sequence(number, payer, sequence),
            deadline,
            after_payer,
            fixed_benefit,
            checksum_address(bytes.fromhex(payee[2:])),
        )
        return self._sign_claim(message)

    def withdraw_claim(
        self,
        number: int,
        payer: int,
        *,
        deadline: int,
        reason: int = 0,
        sequence: int | None = None,
    ) -> Signed:
        """Takes a claim back that is not decided."""
        used = self._claim_sequence(number, payer, sequence)
        return self._sign_claim(ClaimWithdrawal(number, payer, reason, used, deadline))

    def waive_payer(
        self, number: int, payer: int, *, deadline: int, sequence: int | None = None
    ) -> Signed:
        """Lets payers that come after this one settle without its decision."""
        used = self._claim_sequence(number, payer, sequence)
        return self._sign_claim(PayerWaiver(number, payer, used, deadline))

    def confirm_payment(self, number: int, payer: int, payment: bytes, *, deadline: int) -> Signed:
        """Confirms that a payer's payment has arrived; `payment` is its reference's hash."""
        return self._sign_claim(PaymentConfirmation(number, payer, payment, deadline))

    def confirm_bill_payment(
        self,
        number: int,
        *,
        deadline: int,
        amount: int | None = None,
        payment: bytes | None = None,
    ) -> Signed:
        """Confirms that this bill was paid off chain; `payment` is its reference's hash.

        What is not given is what the hospital stated on chain: compare it first. Raises
        `PaymentNotStated` where it is needed and there is none.
        """
        if amount is None or payment is None:
            stated = self.ledgers.payments.payment_of(number)
            if stated.status == PaymentStatus.NONE:
                raise PaymentNotStated(number=number)
            amount = stated.amount if amount is None else amount
            payment = stated.payment if payment is None else payment
        message = BillPayment(number, amount, payment, deadline)
        return self._sign(message, "Invoice", self.ledgers.payments.address)

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

    def _claim_sequence(self, number: int, payer: int, sequence: int | None) -> int:
        if sequence is not None:
            return sequence
        return self.ledgers.claims.claim_of(number, payer).sequence

    def _sign_claim(self, message: PatientMessage) -> Signed:
        return self._sign(message, "Invoice", self.ledgers.claims.address)

    def _sequence(self, number: int, sequence: int | None) -> int:
        if sequence is not None:
            return sequence
        return self.ledgers.prescriptions.prescription_of(number).sequence

    def _sign(self, message: PatientMessage, kind: DocumentKind, contract: str) -> Signed:
        signature = self._key.sign(message, kind, self.ledgers.chain_id, contract)
        return Signed(message, signature, self.ledgers.chain_id, contract)
