"""The rules of Licences: valid at a time, whatever is done later."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.model.rules import ZERO_ADDRESS, Change, Refused, View, nothing
from tests.model.rules_documents import DocumentLedger, Proof

from medledger.core.hashing import LicenceHeader
from medledger.core.states import Kind

MAX_INTERRUPTIONS = 15


@dataclass
class Licence:
    licence_type: int = 0
    valid_from: int = 0
    valid_until: int = 0
    suspended_from: int = 0
    revoked_from: int = 0
    interruptions: list[tuple[int, int]] = field(default_factory=list)
    """First and last second of each time without validity that has ended."""

    def is_valid_at(self, time: int) -> bool:
        return (
            self.valid_until != 0
            and self.valid_from <= time <= self.valid_until
            and not 0 < self.revoked_from <= time
            and not 0 < self.suspended_from <= time
            and not any(since <= time <= until for since, until in self.interruptions)
        )


@dataclass
class Licences(DocumentLedger):
    NAME = "Licences"
    ISSUER = Kind.AUTHORITY

    licences: dict[int, Licence] = field(default_factory=dict)

    def open(self, by: str, proof: Proof) -> Change:
        header = proof.header
        assert isinstance(header, LicenceHeader)
        number = header.number
        self.require_not_paused()
        self.verify(number, proof)
        if header.holder == ZERO_ADDRESS:
            raise Refused("HolderMissing", number=number)
        if header.valid_until == 0 or header.valid_until < header.valid_from:
            raise _validity_invalid(number, header.valid_from, header.valid_until)
        record = self.licence(number)
        if record.valid_until:
            return nothing

        def change() -> None:
            record.licence_type = header.licence_type
            record.valid_from = header.valid_from
            record.valid_until = header.valid_until
            self.licences[number] = record

        return change

    def renew(self, by: str, segment: int, number: int, valid_until: int, reason: int) -> Change:
        record = self._licence_of_caller(by, segment, number)
        if record.valid_until == 0:
            raise Refused("LicenceNotOpened", number=number)
        if valid_until < self.clock.now or valid_until < record.valid_from:
            raise _validity_invalid(number, record.valid_from, valid_until)
        gap = self._gap(number, record, record.valid_until + 1)

        def change() -> None:
            record.interruptions += gap
            record.valid_until = valid_until

        return change

    def suspend(self, by: str, segment: int, number: int, reason: int) -> Change:
        record = self._licence_of_caller(by, segment, number)
        if record.suspended_from:
            since = record.suspended_from
            raise Refused("LicenceIsSuspended", number=number, suspendedFrom=since)

        def change() -> None:
            record.suspended_from = self.clock.now
            self.licences[number] = record

        return change

    def lift(self, by: str, segment: int, number: int, reason: int) -> Change:
        record = self._licence_of_caller(by, segment, number)
        if not record.suspended_from:
            raise Refused("LicenceNotSuspended", number=number)
        gap = self._gap(number, record, record.suspended_from)

        def change() -> None:
            record.interruptions += gap
            record.suspended_from = 0

        return change

    def revoke(self, by: str, segment: int, number: int, reason: int) -> Change:
        record = self._licence_of_caller(by, segment, number)

        def change() -> None:
            record.revoked_from = self.clock.now
            self.licences[number] = record

        return change

    def licence(self, number: int) -> Licence:
        """The licence as it stands; one that was never used, where there is none."""
        return self.licences.get(number, Licence())

    def views_of_document(self, number: int) -> Iterator[View]:
        at = self.licence(number)
        count = len(at.interruptions)
        ends = (at.valid_from, at.valid_until, at.suspended_from, at.revoked_from)
        yield View(self.NAME, "licenceOf", (number,), ((at.licence_type, *ends, count),))
        yield View(self.NAME, "interruptionsOf", (number,), (at.interruptions,))
        edges = {*ends, self.clock.now, *(end for gap in at.interruptions[-3:] for end in gap)}
        for time in sorted({max(edge + step, 0) for edge in edges for step in (-1, 0, 1)}):
            yield View(self.NAME, "isValidAt", (number, time), (at.is_valid_at(time),))

    def _licence_of_caller(self, by: str, segment: int, number: int) -> Licence:
        self.require_issued_by_caller(by, segment, number)
        record = self.licence(number)
        if record.revoked_from:
            since = record.revoked_from
            raise Refused("LicenceIsRevoked", number=number, revokedFrom=since)
        return record

    def _gap(self, number: int, record: Licence, since: int) -> list[tuple[int, int]]:
        """The time without validity that ends now, where it lasted a second or more."""
        if since >= self.clock.now:
            return []
        if len(record.interruptions) == MAX_INTERRUPTIONS:
            raise Refused("HistoryFull", number=number)
        return [(since, self.clock.now - 1)]


def _validity_invalid(number: int, valid_from: int, valid_until: int) -> Refused:
    return Refused(
        "LicenceValidityInvalid", number=number, validFrom=valid_from, validUntil=valid_until
    )
