"""Who brings the parcel to the patient: a courier, or the pharmacy at its counter."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from medledger.chain.contract import Call
from medledger.chain.sender import Receipt
from medledger.core.authorisation import Signed
from medledger.core.hashing import DeliveryConfirmation
from medledger.roles.role import Role


class Carrier(Role):
    """Somebody who relays the patient's confirmation."""

    def deliver(self, confirmation: Signed) -> Receipt:
        """Records that the patient has the parcel.

        Raises `StateForbids`, `AuthorisationInvalid` or `AuthorisationExpired`.
        """
        return self._send(self._deliver(confirmation))

    def deliver_many(self, confirmations: Sequence[Signed]) -> Iterator[Receipt]:
        """Records many deliveries; receipts in the order given."""
        return self.sender.send_many([self._deliver(item) for item in confirmations])

    def _deliver(self, signed: Signed) -> Call:
        ledger = self.ledgers.prescriptions
        message = signed.message_as(DeliveryConfirmation)
        self._require_for(signed, ledger.address)
        return ledger.deliver(message.number, message.deadline, signed.signature)
