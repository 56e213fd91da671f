"""The states that contracts hold, by the names and numbers that Solidity gives them."""

from __future__ import annotations

from enum import IntEnum, IntFlag


class Kind(IntFlag):
    """What an institution may act as."""

    HOSPITAL = 1
    PHARMACY = 2
    COURIER = 4
    PAYER = 8
    SUPERVISOR = 16
    AUTHORITY = 32


class _Named(IntEnum):
    """An enumeration that reads as words: `in transit`, not 4."""

    def __str__(self) -> str:
        return self.name.lower().replace("_", " ")


class Hold(_Named):
    """What the issuer has said of a document's use since issue."""

    AS_ISSUED = 0
    HELD = 1
    RELEASED = 2


class Standing(_Named):
    """What a bill is, apart from holds and claims."""

    REGULAR = 0
    REVERSED = 1
    RED_LETTER = 2
    PARTLY_REVERSED = 3
    ON_PAPER = 4


class PaymentStatus(_Named):
    """How far the patient's payment of a bill is."""

    NONE = 0
    STATED = 1
    PAID = 2


class Status(_Named):
    """Where a payer stands with a bill: from `DENIED` on it has decided, from `SETTLED` on it has
    reimbursed. An expired lock still says `LOCKED`."""

    NONE = 0
    LOCKED = 1
    WITHDRAWN = 2
    DENIED = 3
    WAIVED = 4
    SETTLED = 5
    BOOKED = 6
    ARCHIVED = 7


class State(_Named):
    """Where a prescription is."""

    NOT_OPENED = 0
    AVAILABLE = 1
    ACCEPTED = 2
    DISPENSED = 3
    IN_TRANSIT = 4
    DELIVERED = 5
    CANCELLED = 6


class RecordType(_Named):
    """What a record records."""

    CONSULTATION = 1
    TREATMENT = 2


class Purpose(_Named):
    """What a patient lets a record be read for: codes of HL7's PurposeOfUse."""

    TREAT = 1
    """Treatment."""
    HPAYMT = 2
    """Payment."""
    HRESCH = 3
    """Research."""
    ETREAT = 4
    """Emergency treatment, which may break the glass: read without a grant, and marked."""
