"""What the chain says of one document, for anybody's number."""

from __future__ import annotations

from threading import Lock

from medledger.chain import abi
from medledger.chain.bindings import DocumentLedger, SegmentAllotted
from medledger.chain.deployment import Ledgers
from medledger.chain.events import fetch_events
from medledger.core.numbers import DocumentKind, format_number
from medledger.errors import NumberNotIssued
from medledger.gateway.bodies import InvoiceStateBody, PrescriptionStateBody
from medledger.roles.ledger_of import ledger_of

ZERO_ADDRESS = "0x" + 40 * "0"


class States:
    """Reads states. For use by many threads at once."""

    def __init__(self, ledgers: Ledgers) -> None:
        self._ledgers = ledgers
        self._segments = {
            kind: _Segments(ledger, ledgers.manifest.block)
            for kind, ledger in ledgers.documents.items()
        }

    def invoice(self, number: int) -> InvoiceStateBody:
        """The state of a bill; raises `NumberNotIssued`."""
        ledgers, block = self._issued("Invoice", number)
        record = ledgers.invoices.invoice_of(number)
        locked, reimbursed = ledgers.claims.usage_of(number)
        reversed_by = ledgers.invoices.reversed_by(number)
        opened = record.patient != ZERO_ADDRESS
        return InvoiceStateBody(
            number=format_number(number),
            block=block,
            opened=opened,
            standing=record.standing,
            reversed_by=format_number(reversed_by) if reversed_by else None,
            hold=ledgers.invoices.hold_of(number),
            born_on_hold=record.born_on_hold if opened else None,
            currency=record.currency if opened else None,
            claimable=record.claimable if opened else None,
            locked=locked,
            reimbursed=reimbursed,
            remainder=ledgers.claims.remainder_of(number) if opened else None,
        )

    def prescription(self, number: int) -> PrescriptionStateBody:
        """The state of a prescription; raises `NumberNotIssued`."""
        ledgers, block = self._issued("Prescription", number)
        record = ledgers.prescriptions.prescription_of(number)
        opened = record.patient != ZERO_ADDRESS
        return PrescriptionStateBody(
            number=format_number(number),
            block=block,
            opened=opened,
            state=record.state,
            hold=ledgers.prescriptions.hold_of(number),
            remaining=record.remaining if opened else None,
            parcel=record.parcel if opened else None,
            repeats_left=record.repeats_left if opened else None,
            pharmacy=record.pharmacy or None,
            courier=record.courier or None,
            lease_until=record.lease_until or None,
            delivered_at=record.delivered_at or None,
            cancel_requested=record.cancel_requested,
        )

    def _issued(self, kind: DocumentKind, number: int) -> tuple[Ledgers, int]:
        """The contracts as of one block, so that all that is read belongs together."""
        block = self._ledgers.rpc.block_number()
        ledgers = self._ledgers.at(block)
        segment = self._segments[kind].find(number, block)
        if segment is None or not ledger_of(ledgers, kind).is_issued(segment, number):
            raise NumberNotIssued(number=number)
        return ledgers, block


class _Segments:
    """Which segment has a number. Segments are only ever added, so the log is read once."""

    def __init__(self, ledger: DocumentLedger, block: int) -> None:
        self._ledger = ledger
        self._next_block = block
        self._found: list[SegmentAllotted] = []
        self._lock = Lock()

    def find(self, number: int, block: int) -> int | None:
        with self._lock:
            if (segment := self._known(number)) is None and self._next_block <= block:
                topics = [abi.event_topic("SegmentAllotted")]
                rpc, address, first = self._ledger.rpc, self._ledger.address, self._next_block
                for item in fetch_events(rpc, [address], first, block, topics=topics):
                    if isinstance(item.event, SegmentAllotted):
                        self._found.append(item.event)
                self._next_block = block + 1
                segment = self._known(number)
            return segment

    def _known(self, number: int) -> int | None:
        matching = (found for found in self._found if found.first <= number <= found.last)
        return next((found.segment for found in matching), None)
