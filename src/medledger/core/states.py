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


class Hold(IntEnum):
    """What the issuer has said of a document's use since issue."""

    AS_ISSUED = 0
    HELD = 1
    RELEASED = 2


class Standing(IntEnum):
    """What a bill is, apart from holds and claims."""

    REGULAR = 0
    REVERSED = 1
    RED_LETTER = 2


class Status(IntEnum):
    """Where a payer stands with a bill. An expired lock still says `LOCKED`."""

    NONE = 0
    LOCKED = 1
    SETTLED = 2
    RELEASED = 3


class State(IntEnum):
    """Where a prescription is."""

    NOT_OPENED = 0
    AVAILABLE = 1
    ACCEPTED = 2
    DISPENSED = 3
    IN_TRANSIT = 4
    DELIVERED = 5
    CANCELLED = 6
