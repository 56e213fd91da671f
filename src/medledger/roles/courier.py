"""The courier: carries parcels, passes them on, and says when one could not be delivered."""

from __future__ import annotations

from medledger.chain.sender import Receipt
from medledger.roles.carrier import Carrier


class Courier(Carrier):
    """A delivery service."""

    def fail_delivery(self, number: int, *, reason: int = 0) -> Receipt:
        """Gives a parcel back to its pharmacy; raises `StateForbids`, `NotTheCourier`."""
        return self._send(self.ledgers.prescriptions.fail_delivery(number, reason))

    def offer(self, number: int, courier: int) -> Receipt:
        """Offers a parcel to another courier (institution id), who takes it over or not.

        Raises `StateForbids`, `NotTheCourier`, `NotACourier`.
        """
        return self._send(self.ledgers.prescriptions.offer(number, courier))

    def take_over(self, number: int) -> Receipt:
        """Takes a parcel that was offered to this courier; raises `ParcelNotOffered`."""
        return self._send(self.ledgers.prescriptions.take_over(number))
