"""The rules of Records: chains of amendments, grants to read, and anchored reads."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.model.rules import UINT64, ZERO_ADDRESS, Change, Key, Refused, Signed, View, nothing
from tests.model.rules_documents import DocumentLedger, Proof, signed_by_patient

from medledger.core.hashing import AccessGrant, AccessRevocation, RecordHeader
from medledger.core.states import Kind, Purpose

DAY = 24 * 3600
ALL_KINDS = 63


@dataclass
class Record:
    patient: str
    institution: int
    record_type: int


@dataclass
class Grant:
    until: int = 0
    sequence: int = 0


@dataclass
class Records(DocumentLedger):
    NAME = "Records"
    ISSUER = Kind.HOSPITAL

    records: dict[int, Record] = field(default_factory=dict)
    chains: dict[int, list[int]] = field(default_factory=dict)
    """Original to its amendments, oldest first."""
    originals: dict[int, int] = field(default_factory=dict)
    grants: dict[tuple[int, int, int], Grant] = field(default_factory=dict)
    reads: dict[tuple[int, int], tuple[bytes, int]] = field(default_factory=dict)
    last_day: dict[int, int] = field(default_factory=dict)

    def open(self, by: str, proof: Proof) -> Change:
        header = proof.header
        assert isinstance(header, RecordHeader)
        number = header.number
        self.require_not_paused()
        self.verify(number, proof)
        if header.patient == ZERO_ADDRESS:
            raise Refused("PatientMissing", number=number)
        if number in self.records:
            return nothing
        institution = self.segments[proof.head.segment].institution
        original = self._amendable(header.amends, institution) if header.amends else 0

        def change() -> None:
            self.records[number] = Record(header.patient, institution, header.record_type)
            if original:
                self.originals[number] = original
                self.chains.setdefault(original, []).append(number)

        return change

    def grant(
        self, by: str, number: int, institution: int, purpose: int, until: int, given: Signed
    ) -> Change:
        self.require_not_paused()
        entry = self._grantable(number, institution, purpose)
        self.require_not_held(number, False)
        if not self.institutions.is_active_as(institution, ALL_KINDS):
            raise Refused("NotAReader", institution=institution)
        message = AccessGrant(number, institution, purpose, entry.sequence, until)
        signed_by_patient(self, number, self.records[number].patient, message, until, given)
        after = Grant(until, entry.sequence + 1)
        return lambda: self.grants.update({(number, institution, purpose): after})

    def revoke(self, by: str, number: int, institution: int, purpose: int, given: Signed) -> Change:
        entry = self._grantable(number, institution, purpose)
        message = AccessRevocation(number, institution, purpose, entry.sequence)
        signed_by_patient(self, number, self.records[number].patient, message, UINT64, given)
        after = Grant(0, entry.sequence + 1)
        return lambda: self.grants.update({(number, institution, purpose): after})

    def anchorReads(self, by: str, day: int, count: int, root: bytes) -> Change:  # noqa: N802
        institution = self.institutions.authorise(by, Kind.HOSPITAL)
        last = self.last_day.get(institution, 0)
        today = self.clock.now // DAY
        if day <= last:
            raise Refused("DayIsAnchored", institution=institution, day=day, last=last)
        if day > today:
            raise Refused("DayInFuture", day=day, today=today)
        if count == 0:
            raise Refused("NothingRead", day=day)

        def change() -> None:
            self.last_day[institution] = day
            self.reads[institution, day] = (root, count)

        return change

    def latest(self, number: int) -> int:
        """The newest version of the record."""
        original = self.originals.get(number, number)
        return self.chains.get(original, [original])[-1]

    def keys(self) -> Iterator[Key]:
        yield from super().keys()
        for number, institution, purpose in self.grants:
            yield self.NAME, "grant", number, institution, purpose
        for institution, day in self.reads:
            yield self.NAME, "reads", institution, day

    def views(self, key: Key) -> Iterator[View]:
        match key[1:]:
            case ("grant", int(number), int(institution), int(purpose)):
                asked = (number, institution, purpose)
                entry = self.grants.get(asked, Grant())
                yield View(self.NAME, "grantOf", asked, ((entry.until, entry.sequence),))
                is_granted = entry.until != 0 and self.clock.now <= entry.until
                yield View(self.NAME, "isGranted", asked, (is_granted,))
            case ("reads", int(institution), int(day)):
                entry_ = self.reads.get((institution, day), (bytes(32), 0))
                yield View(self.NAME, "readsOf", (institution, day), (entry_,))
                last = self.last_day.get(institution, 0)
                yield View(self.NAME, "lastAnchoredDayOf", (institution,), (last,))
            case _:
                yield from super().views(key)

    def views_of_document(self, number: int) -> Iterator[View]:
        at = self.records.get(number, Record(ZERO_ADDRESS, 0, 0))
        entry = (at.patient, at.institution, at.record_type)
        yield View(self.NAME, "recordOf", (number,), (entry,))
        original = self.originals.get(number, number)
        yield View(self.NAME, "originalOf", (number,), (original,))
        yield View(self.NAME, "latestOf", (number,), (self.latest(number),))
        chain = tuple(self.chains.get(original, ()))
        yield View(self.NAME, "amendmentsOf", (number,), (chain,))

    def _amendable(self, number: int, institution: int) -> int:
        """The original of a record that this institution may amend."""
        record = self.records.get(number)
        if record is None:
            raise Refused("RecordNotOpened", number=number)
        if record.institution != institution:
            raise Refused("RecordNotYours", number=number, institution=record.institution)
        if self.latest(number) != number:
            raise Refused("RecordIsAmended", number=number, latest=self.latest(number))
        return self.originals.get(number, number)

    def _grantable(self, number: int, institution: int, purpose: int) -> Grant:
        if number not in self.records:
            raise Refused("RecordNotOpened", number=number)
        if not Purpose.TREAT <= purpose <= Purpose.ETREAT:
            raise Refused("PurposeInvalid", purpose=purpose)
        return self.grants.get((number, institution, purpose), Grant())
