"""The rules of DocumentLedger: segments, numbers, proofs, holds and the pause."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, NamedTuple

from tests.model.rules import Change, Clock, Key, Refused, Signed, View
from tests.model.rules_institutions import Institutions

from medledger.core.hashing import BatchEndorsement, Header, TreeHead
from medledger.core.states import Hold, Kind
from medledger.core.tree import share_paths

SERIALS = 10**10
MAX_CODE = 10**8 - 1


class Root(NamedTuple):
    """The root of a batch tree, and what was put into the tree. Only the root is on chain."""

    root: bytes
    headers: tuple[Header, ...]
    paths: tuple[tuple[bytes, ...], ...]


class Proof(NamedTuple):
    """What is shown of a document."""

    header: Header
    head: TreeHead
    path: tuple[bytes, ...]


class SharedProof(NamedTuple):
    """What is shown of several documents of one batch."""

    headers: tuple[Header, ...]
    head: TreeHead
    path: tuple[bytes, ...]


@dataclass
class Segment:
    institution: int
    first: int
    next: int
    last: int
    endorsed: bool
    withdrawn: bool = False


@dataclass
class Batch:
    head: TreeHead
    made: Root

    def proof(self, index: int) -> Proof:
        return Proof(self.made.headers[index], self.head, self.made.paths[index])

    def shared_proof(self, indexes: Sequence[int]) -> SharedProof | None:
        """The proof of all these; None where one of them is not in the batch."""
        if max(indexes) >= len(self.made.headers):
            return None
        paths = {index: self.made.paths[index] for index in indexes}
        headers = tuple(self.made.headers[index] for index in indexes)
        return SharedProof(headers, self.head, share_paths(paths, self.head.count))


@dataclass
class Ledger:
    """A contract that patients sign for, and the institutions that it asks."""

    NAME: ClassVar[str]

    clock: Clock
    institutions: Institutions
    address: str
    chain_id: int


@dataclass
class DocumentLedger(Ledger, ABC):
    """What the four ledgers share."""

    ISSUER: ClassVar[Kind]

    segments: dict[int, Segment] = field(default_factory=dict)
    highest: dict[int, int] = field(default_factory=dict)
    batches: dict[int, Batch] = field(default_factory=dict)
    holds: dict[int, Hold] = field(default_factory=dict)
    paused: bool = False

    def allot(
        self, by: str, institution: int, code: int, first: int, last: int, endorsed: bool
    ) -> Change:
        self.institutions.authorise(by, Kind.SUPERVISOR)
        if not 1 <= code <= MAX_CODE:
            raise Refused("CodeInvalid", code=code)
        if first == 0 or last < first or last >= SERIALS:
            raise Refused("SerialsInvalid", first=first, last=last)
        highest = self.highest.get(code, 0)
        if first <= highest:
            raise Refused("SegmentOverlaps", code=code, first=first, highest=highest)
        if not self.institutions.is_active_as(institution, self.ISSUER):
            raise Refused("NotAnIssuer", institution=institution)
        base = code * SERIALS
        made = Segment(institution, base + first, base + first, base + last, endorsed)

        def change() -> None:
            self.segments[len(self.segments) + 1] = made
            self.highest[code] = last

        return change

    def withdraw(self, by: str, segment: int, reason: int) -> Change:
        self.institutions.authorise(by, Kind.SUPERVISOR)
        record = self._known(segment)
        if record.withdrawn:
            raise Refused("SegmentIsWithdrawn", segment=segment)
        if record.next > record.last:
            raise Refused("NothingToWithdraw", segment=segment)

        def change() -> None:
            record.withdrawn = True

        return change

    def issue(self, by: str, segment: int, first: int, count: int, made: Root) -> Change:
        record = self._of_caller(by, segment)
        if record.endorsed:
            raise Refused("EndorsementMissing", segment=segment)
        return self._issue(record, segment, first, count, made)

    def issueEndorsed(  # noqa: N802
        self,
        by: str,
        segment: int,
        first: int,
        count: int,
        made: Root,
        deadline: int,
        signer: str,
        endorsement: Signed,
    ) -> Change:
        record = self._of_caller(by, segment)
        if deadline < self.clock.now:
            raise Refused("EndorsementExpired", first=first, deadline=deadline)
        supervisor = self.institutions.authorise(signer, Kind.SUPERVISOR)
        if supervisor == record.institution:
            raise Refused("EndorserIsIssuer", institution=supervisor)
        message = BatchEndorsement(segment, first, count, made.root, deadline)
        if endorsement != Signed(signer, message, self.address, self.chain_id):
            raise Refused("EndorsementInvalid", first=first, signer=signer)
        return self._issue(record, segment, first, count, made)

    def hold(self, by: str, segment: int, number: int) -> Change:
        self.require_issued_by_caller(by, segment, number)
        if self.holds.get(number) == Hold.HELD:
            raise Refused("DocumentIsHeld", number=number)
        return lambda: self.holds.update({number: Hold.HELD})

    def release(self, by: str, segment: int, number: int) -> Change:
        self.require_issued_by_caller(by, segment, number)
        said = self.holds.get(number, Hold.AS_ISSUED)
        born = said == Hold.AS_ISSUED and self.may_be_born_on_hold(number)
        if said != Hold.HELD and not born:
            raise Refused("DocumentNotHeld", number=number)
        return lambda: self.holds.update({number: Hold.RELEASED})

    def pause(self, by: str) -> Change:
        self.institutions.authorise(by, Kind.SUPERVISOR)
        self.require_not_paused()
        return lambda: setattr(self, "paused", True)

    def unpause(self, by: str) -> Change:
        self.institutions.authorise(by, Kind.SUPERVISOR)
        if not self.paused:
            raise Refused("ExpectedPause")
        return lambda: setattr(self, "paused", False)

    # What the ledgers ask.

    def verify(self, number: int, proof: Proof) -> None:
        """Refuses a header that is not what was issued under this number."""
        head = proof.head
        if not head.first <= number < head.first + head.count:
            raise Refused("NumberOutsideBatch", number=number, first=head.first, count=head.count)
        index = number - head.first
        if len(proof.path) != path_length(index, head.count):
            length = len(proof.path)
            raise Refused("PathLengthWrong", index=index, count=head.count, length=length)
        batch = self.batches.get(head.first)
        if batch is None or batch.head != head or batch.proof(index) != proof:
            raise Refused("ProofInvalid", number=number)

    def verify_shared(self, proof: SharedProof) -> None:
        """Refuses headers that are not what was issued under their numbers."""
        head, count = proof.head, proof.head.count
        indexes = [(header.number - head.first) % 2**256 for header in proof.headers]
        for place, index in enumerate(indexes):
            if index >= count or (place and index <= indexes[place - 1]):
                raise Refused("IndexOutOfOrder", index=index, count=count)
        if len(proof.path) != shared_length(indexes, count):
            leaves, length = len(indexes), len(proof.path)
            raise Refused("SharedPathLengthWrong", leaves=leaves, count=count, length=length)
        batch = self.batches.get(head.first)
        if batch is None or batch.shared_proof(indexes) != proof or batch.head != head:
            raise Refused("ProofInvalid", number=proof.headers[0].number)

    def require_not_paused(self) -> None:
        if self.paused:
            raise Refused("EnforcedPause")

    def require_not_held(self, number: int, born_on_hold: bool) -> None:
        said = self.holds.get(number, Hold.AS_ISSUED)
        if said == Hold.HELD or (born_on_hold and said == Hold.AS_ISSUED):
            raise Refused("DocumentIsHeld", number=number)

    def may_be_born_on_hold(self, number: int) -> bool:
        """Whether its header was seen, and says so; where none can, False."""
        return False

    def require_issued_by_caller(self, by: str, segment: int, number: int) -> None:
        record = self._of_caller(by, segment)
        if not record.first <= number <= record.last:
            raise Refused("NumberOutsideSegment", number=number, segment=segment)
        if number >= record.next:
            raise Refused("NumberNotIssued", number=number)

    def issued(self) -> Iterator[tuple[int, Header]]:
        """Every number with what stands in its place; a dishonest header may say another number."""
        for first, batch in self.batches.items():
            yield from enumerate(batch.made.headers, first)

    def batch_of(self, number: int) -> Batch | None:
        """The batch that has the number."""
        return next(
            (
                batch
                for first, batch in self.batches.items()
                if first <= number < first + batch.head.count
            ),
            None,
        )

    def segment_of(self, number: int) -> int:
        """The segment that has the number, 0 for none."""
        return next((id_ for id_, at in self.segments.items() if at.first <= number <= at.last), 0)

    # What can be read.

    def keys(self) -> Iterator[Key]:
        yield (self.NAME,)
        for segment in self.segments:
            yield self.NAME, "segment", segment
        for first, batch in self.batches.items():
            yield self.NAME, "batch", first
            for number in range(first, first + batch.head.count):
                yield self.NAME, "document", number

    def views(self, key: Key) -> Iterator[View]:
        match key[1:]:
            case ():
                yield View(self.NAME, "paused", (), (self.paused,))
                yield View(self.NAME, "segmentCount", (), (len(self.segments),))
            case ("segment", int(segment)):
                yield from self._views_of_segment(segment)
            case ("batch", int(first)):
                batch = self.batches.get(first)
                held = batch.head.hash(batch.made.root) if batch else bytes(32)
                yield View(self.NAME, "headHashOf", (first,), (held,))
            case ("document", int(number)):
                said = self.holds.get(number, Hold.AS_ISSUED)
                yield View(self.NAME, "holdOf", (number,), (int(said),))
                yield from self.views_of_document(number)

    @abstractmethod
    def views_of_document(self, number: int) -> Iterator[View]:
        """What this ledger says of one of its documents."""

    def _views_of_segment(self, segment: int) -> Iterator[View]:
        at = self.segments.get(segment, Segment(0, 0, 0, 0, False))
        entry = (at.institution, at.first, at.next, at.last, at.endorsed, at.withdrawn)
        yield View(self.NAME, "segmentOf", (segment,), (entry,))
        for number in {max(at.first - 1, 0), at.first, max(at.next - 1, 0), at.next}:
            is_issued = at.first <= number < at.next
            yield View(self.NAME, "isIssued", (segment, number), (is_issued,))
        code, serial = divmod(at.last, SERIALS)
        highest = self.highest.get(code, 0)
        assert highest >= serial
        yield View(self.NAME, "highestSerialOf", (code,), (highest,))

    # What several of them do.

    def _known(self, segment: int) -> Segment:
        if segment not in self.segments:
            raise Refused("SegmentUnknown", segment=segment)
        return self.segments[segment]

    def _of_caller(self, by: str, segment: int) -> Segment:
        record = self._known(segment)
        if self.institutions.authorise(by, self.ISSUER) != record.institution:
            raise Refused("SegmentNotYours", segment=segment, institution=record.institution)
        return record

    def _issue(self, record: Segment, segment: int, first: int, count: int, made: Root) -> Change:
        self.require_not_paused()
        if count == 0:
            raise Refused("BatchEmpty")
        if record.withdrawn:
            raise Refused("SegmentIsWithdrawn", segment=segment)
        if first != record.next:
            if not record.first <= first <= record.last:
                raise Refused("NumberOutsideSegment", number=first, segment=segment)
            if first < record.next:
                raise Refused("NumberAlreadyIssued", number=first)
            raise Refused("NumberSkipped", number=first, next=record.next)
        left = record.last + 1 - first
        if count > left:
            raise Refused("SegmentExhausted", segment=segment, left=left, count=count)
        batch = Batch(TreeHead(first, count, segment, self.clock.now), made)

        def change() -> None:
            record.next = first + count
            self.batches[first] = batch

        return change


def path_length(index: int, count: int) -> int:
    """How many siblings a leaf has on its way to the root of an RFC 9162 tree."""
    length = 0
    while count > 1:
        # The last node of an uneven level moves up by itself.
        length += not (index == count - 1 and count % 2)
        index, count = index // 2, (count + 1) // 2
    return length


def shared_length(indexes: Sequence[int], count: int) -> int:
    """How many siblings several leaves need that they do not tell one another."""
    length, known = 0, set(indexes)
    while count > 1:
        siblings = {index ^ 1 for index in known if index ^ 1 < count}
        length += len(siblings - known)
        known, count = {index // 2 for index in known}, (count + 1) // 2
    return length


def signed_by_patient(
    ledger: Ledger, number: int, patient: str, message: object, deadline: int, given: Signed
) -> None:
    """Refuses what is not the patient's signature over exactly this act, in time."""
    if deadline < ledger.clock.now:
        raise Refused("AuthorisationExpired", number=number, deadline=deadline)
    if given != Signed(patient, message, ledger.address, ledger.chain_id):  # type: ignore[arg-type]
        raise Refused("AuthorisationInvalid", number=number, patient=patient)


def lines_of(quantities: Sequence[int]) -> tuple[int, ...]:
    """Quantities of five lines; those that are not there have 0."""
    return (*quantities, *(0,) * (5 - len(quantities)))
