"""Where a hospital's next numbers come from: its segments, as chain and store know them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from medledger.chain import abi
from medledger.chain.bindings import SegmentAllotted, SegmentEntry
from medledger.chain.events import fetch_events
from medledger.core.numbers import DocumentKind
from medledger.errors import (
    NoSegment,
    RpcUnavailable,
    SegmentExhausted,
    SegmentIsWithdrawn,
    SegmentUnknown,
)
from medledger.roles.ledger_of import ledger_of
from medledger.store import SegmentRow

if TYPE_CHECKING:
    from medledger.chain.deployment import Ledgers
    from medledger.roles.issuer import Issuer


def fetch_segments(hospital: Issuer, kind: DocumentKind) -> dict[int, SegmentEntry]:
    """The segments allotted to a hospital, by id, as they are on chain now."""
    ledgers, ledger = hospital.ledgers, ledger_of(hospital.ledgers, kind)
    topics = [abi.event_topic("SegmentAllotted"), None, f"0x{hospital.institution:064x}"]
    first, last = ledgers.manifest.block, ledgers.rpc.block_number()
    logs = fetch_events(ledgers.rpc, [ledger.address], first, last, topics=topics)
    ids = [item.event.segment for item in logs if isinstance(item.event, SegmentAllotted)]
    return {segment: ledger.segment_of(segment) for segment in ids}


def fetch_all_segments(ledgers: Ledgers, kind: DocumentKind) -> dict[int, SegmentEntry]:
    """All segments of a ledger, by id, as they are on chain now."""
    ledger = ledger_of(ledgers, kind)
    ids = range(1, ledger.segment_count() + 1)
    found = ledger.read_many("segmentOf", [[id_] for id_ in ids])
    return {id_: SegmentEntry.from_abi(entry) for id_, entry in zip(ids, found, strict=True)}


class Numbers:
    """Plans the numbers of one stream. Only the store gives them: see `DocumentStore.add_batch`.

    `segment` is the one to take from, or None for the first with room enough that no other signer
    is issuing in: two signers' batches reach a chain in any order, and numbers are taken in one.
    A hospital that nobody endorses takes from endorsed segments last.
    """

    def __init__(self, hospital: Issuer, kind: DocumentKind, segment: int | None) -> None:
        self._hospital = hospital
        self._kind: DocumentKind = kind
        self._ledger = ledger_of(hospital.ledgers, kind)
        self._segment = segment
        self._planned: dict[int, int] = {}
        self._rows: dict[int, SegmentRow] = {}
        self._busy: set[int] | None = None
        """Segments in which another signer had a batch on its way when the stream began."""

    def take(self, count: int) -> tuple[int, int]:
        """(segment, first number) for the next `count` documents.

        Raises `NoSegment`, `SegmentUnknown`, `SegmentExhausted` or `RpcUnavailable`.
        """
        found = self._room(count)
        if found is None:
            # A supervisor may have allotted another since.
            self._read_chain()
            found = self._room(count)
        if found is None:
            raise self._no_room(count)
        segment, first = found
        self._planned[segment] = first + count
        return found

    def is_endorsed(self, segment: int) -> bool:
        """Whether batches of a segment that numbers were taken from need an endorsement."""
        return self._rows[segment].endorsed

    def plan_again(self) -> None:
        """Forgets what was planned: others took numbers, or a batch left its own."""
        self._planned = {}
        self._rows = {
            id_: row
            for id_ in self._rows
            if (row := self._hospital.store.segment(self._ledger.address, id_)) is not None
        }

    def _room(self, count: int) -> tuple[int, int] | None:
        if not self._rows:
            self._read_store()
        for id_ in self._order():
            first = self._planned.get(id_, self._rows[id_].next)
            row = self._rows[id_]
            if not row.withdrawn and row.last + 1 - first >= count:
                return id_, first
        return None

    def _order(self) -> list[int]:
        if len(self._rows) < 2:
            return list(self._rows)
        if self._busy is None:
            signers = self._hospital.store.signers_in(self._ledger.address)
            self._busy = {id_ for id_, found in signers.items() if found - {self._hospital.address}}
        busy = self._busy
        endorses = self._hospital.endorse is not None
        return sorted(
            self._rows,
            key=lambda id_: (self._rows[id_].endorsed and not endorses, id_ in busy, id_),
        )

    def _read_store(self) -> None:
        """The segments that are known, each as the chain has it now, or had it before."""
        known = self._known()
        try:
            if self._segment is None and not self._hospital.has_asked_for_segments(self._kind):
                self._read_chain()
            for id_ in known if self._segment is None else [self._segment]:
                self._save(id_, self._ledger.segment_of(id_))
        except RpcUnavailable:
            if not known:
                raise
            # Numbers can be given without a node: only this store takes them.
            self._rows = known

    def _known(self) -> dict[int, SegmentRow]:
        store, address = self._hospital.store, self._ledger.address
        if self._segment is None:
            rows = store.segments(address)
            try:
                institution = self._hospital.institution
            except RpcUnavailable:
                if len({row.institution for row in rows}) != 1:
                    raise
                # No chain can say whom the key acts for now: for the one hospital of this store.
                institution = rows[0].institution
            rows = [row for row in rows if row.institution == institution]
        else:
            rows = [row for row in [store.segment(address, self._segment)] if row is not None]
        return {row.segment: row for row in rows}

    def _read_chain(self) -> None:
        if self._segment is None:
            for id_, entry in self._hospital.segments(self._kind).items():
                self._save(id_, entry)

    def _save(self, id_: int, entry: SegmentEntry) -> None:
        if not entry.institution:
            return
        store, address = self._hospital.store, self._ledger.address
        said = SegmentRow(
            address,
            id_,
            entry.institution,
            entry.first,
            entry.last,
            entry.next,
            entry.endorsed,
            entry.withdrawn,
        )
        row = store.segment(address, id_)
        # A write waits for the disk, and mostly there is nothing new.
        if row is None or row != replace(said, next=max(row.next, said.next)):
            row = store.save_segment(said)
        if row.next > entry.next and store.reset_segment(address, id_, entry.next):
            # A batch that was set aside left its numbers free.
            row = store.segment(address, id_) or row
        self._rows[id_] = row

    def _no_room(
        self, count: int
    ) -> NoSegment | SegmentUnknown | SegmentIsWithdrawn | SegmentExhausted:
        if not self._rows:
            if self._segment is not None:
                return SegmentUnknown(segment=self._segment)
            return NoSegment(institution=self._hospital.institution)
        id_, row = max(self._rows.items(), key=lambda item: (not item[1].withdrawn, item[0]))
        if row.withdrawn:
            return SegmentIsWithdrawn(segment=id_)
        left = row.last + 1 - self._planned.get(id_, row.next)
        return SegmentExhausted(segment=id_, left=left, count=count)
