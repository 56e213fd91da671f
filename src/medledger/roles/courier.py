"""The courier: carries parcels, and says when one could not be delivered."""

from __future__ import annotations

from medledger.chain.sender import Receipt
from medledger.roles.carrier import Carrier


class Courier(Carrier):
    """A delivery service."""

    def fail_delivery(self, number: int, *, reason: int = 0) -> Receipt:
        """Gives a parcel back to its pharmacy; raises `StateForbids`, `NotTheCourier`."""
        return self._send(self.ledgers.prescriptions.fail_delivery(number, reason))
