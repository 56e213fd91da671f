"""The demo's order of events.

    result = run_demo(Path("examples/synthea"), out=Path("demo-output"))

Issue every bill in batches, prescribe every active order, accept, dispense, hand over, deliver,
lock and settle with two payers in order, reverse some bills, one of them in part and endorsed, put
one on paper and back, try eight frauds; then a fresh auditor rebuilds everything from the chain and
compares.
"""

from __future__ import annotations

import secrets
import shutil
import statistics
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from medledger.chain.local import LocalChain
from medledger.chain.rpc import Rpc
from medledger.chain.sender import IN_FLIGHT, Receipt
from medledger.core.authorisation import Signed
from medledger.core.documents import Document
from medledger.core.evidence import Evidence
from medledger.core.hashing import PrescriptionHeader, keccak256
from medledger.core.numbers import DocumentKind
from medledger.demo.cast import (
    COMPLEMENTARY,
    INPATIENT,
    OUTPATIENT,
    PRESCRIPTION,
    REFUNDS,
    Cast,
    HospitalDesk,
    Wallets,
    dispensing,
    gather,
)
from medledger.demo.charts import tell_charts
from medledger.demo.comparison import Books, differences
from medledger.demo.frauds import Fraud, Scene, try_frauds
from medledger.errors import BadResource, NotEnoughData, OutputInUse
from medledger.formats.fhir import BillRecord, BulkFolder, PrescriptionRecord
from medledger.roles import Auditor, IssueReceipt, Payer

DAY = 24 * 3600
VALID_DAYS = 3
"""NHSA: a prescription is valid for at most three days by default."""
REVERSE_EVERY = 50
"""One bill in fifty is reversed, about the share of write-offs."""
PARTIAL_EVERY = 5
"""One prescription in five is dispensed in two parts, where its quantity allows."""
EVIDENCE_FILES = 20
BULK_FROM = 500
"""Bills from which blocks at an interval are quicker than one for each transaction."""
BLOCK_SECONDS = 0.2
OWN_CHAIN_IN_FLIGHT = 800
MARK = ".medledger-demo"
REASON_WRITE_OFF, REASON_APPROVED = 1, 1
REASON_WRONG_LOT, REASON_NOBODY_HOME = 1, 2
SHOWN_TO_PAYER = ("EInvoiceCode", "EInvoiceNumber", "InvoicingParty", "TotalAmount", "ownPayAmount")


class Progress(Protocol):
    """What a caller may show while the demo runs."""

    def __call__(self, step: str, done: int, total: int, /) -> None: ...


@dataclass(slots=True)
class DemoResult:
    """What was done, and what the auditor found. `gas` is the median of each operation."""

    bills: int = 0
    prescriptions: int = 0
    claims: int = 0
    dispensed: int = 0
    delivered: int = 0
    reversed: int = 0
    partly_reversed: int = 0
    exchanged: int = 0
    licences: int = 0
    amended: int = 0
    reads: int = 0
    gas_per_bill: float = 0.0
    frauds: list[Fraud] = field(default_factory=list)
    mismatches: list[str] = field(default_factory=list)
    rejected: list[BadResource] = field(default_factory=list)
    gas: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    events: int = 0
    evidence_files: list[Path] = field(default_factory=list)
    deployment: Path = Path()
    rpc_url: str = ""

    @property
    def frauds_refused(self) -> int:
        return sum(fraud.refusal is not None for fraud in self.frauds)

    @property
    def ok(self) -> bool:
        """Whether nothing disagrees and every fraud was refused."""
        return not self.mismatches and self.frauds_refused == len(self.frauds) > 0


@dataclass(frozen=True, slots=True)
class Issued:
    """A bill of the data with its number."""

    desk: HospitalDesk
    record: BillRecord
    number: int

    @property
    def patient_key(self) -> str:
        return self.record.invoice.patient_key

    def evidence(self) -> Evidence:
        """What the patient shows to a payer: a few fields, the rest stays sealed."""
        return self.desk.role.evidence(self.number, "Invoice", SHOWN_TO_PAYER)


def run_demo(
    data: Path,
    *,
    out: Path,
    rpc_url: str | None = None,
    funder: bytes | None = None,
    progress: Progress | None = None,
) -> DemoResult:
    """Runs the story on a folder of bulk FHIR, on an Anvil of its own or on the chain at `rpc_url`.

    Stores, evidence files and the deployment manifest go to `out`, which an earlier run may have
    filled. `funder` pays for gas where it is not free. Raises `NotEnoughData` for a folder without
    bills or prescriptions enough to tell the story, `OutputInUse`, and what the roles raise.
    """
    started = time.monotonic()
    _clear(out)
    demo = _Demo(BulkFolder(data), out, funder, progress or _silent)
    with _chain(rpc_url, len(demo.bills)) as url:
        at_interval = rpc_url is None and len(demo.bills) >= BULK_FROM
        demo.result.rpc_url = url
        result = demo.run(Rpc(url), OWN_CHAIN_IN_FLIGHT if at_interval else IN_FLIGHT)
    result.seconds = round(time.monotonic() - started, 1)
    return result


class _Demo:
    def __init__(
        self, folder: BulkFolder, out: Path, funder: bytes | None, progress: Progress
    ) -> None:
        self.out = out
        self.funder = funder
        self.progress = progress
        self.folder = folder
        self.wallets = Wallets()
        self.bills = list(self._counted("read bills", folder.bills(self.wallets.public_key_of)))
        self.result = DemoResult(rejected=folder.rejected)
        self.books = Books()
        self.gas: dict[str, list[int]] = {}
        self.rpc: Rpc
        self.cast: Cast

    def run(self, rpc: Rpc, in_flight: int) -> DemoResult:
        self.rpc = rpc
        bills, wallets = self.bills, self.wallets
        valid_until = int(rpc.block("latest")["timestamp"], 16) + VALID_DAYS * DAY
        orders = [
            _with_a_repeat(record)
            for record in self.folder.prescriptions(wallets.public_key_of, valid_until=valid_until)
        ]
        if len(bills) < 3 or len(orders) < 2:
            raise NotEnoughData(bills=len(bills), prescriptions=len(orders))
        self.progress("deploy and accredit", 0, 1)
        self.cast, manifest = gather(
            rpc,
            bills,
            orders,
            wallets,
            folder=self.out,
            funder=self.funder,
            observer=self._observe,
            in_flight=in_flight,
        )
        try:
            self.result.deployment = manifest.save(self.out / "deployments")
            issued = self._issue(len(bills))
            accepted, delivered = self._dispense(self._prescribe(len(orders)))
            to_reverse = issued[REVERSE_EVERY - 1 :: REVERSE_EVERY] or issued[-1:]
            reversed_numbers = {bill.number for bill in to_reverse}
            kept = [bill for bill in issued if bill.number not in reversed_numbers]
            unused = next(bill for bill in reversed(kept) if bill.record.invoice.own_pay_minor)
            kept.remove(unused)
            self._claim(kept)
            self._reverse(to_reverse)
            self._refund(kept)
            self._exchange(unused)
            self._try_frauds(kept, unused, accepted, delivered)
            self._finish(*accepted)
            self._tell_charts()
            self._audit()
            self._write_evidence(kept, delivered)
        finally:
            self.cast.close()
        self.result.gas = {
            name: round(statistics.median(used)) for name, used in sorted(self.gas.items())
        }
        return self.result

    def _observe(self, receipt: Receipt) -> None:
        self.gas.setdefault(receipt.call.name, []).append(receipt.gas_used)

    def _counted(self, step: str, items: Iterable[BillRecord]) -> Iterator[BillRecord]:
        for done, item in enumerate(items, 1):
            if done % 500 == 0:
                self.progress(step, done, 0)
            yield item

    def _issue(self, total: int) -> list[Issued]:
        """Every bill, in batches of its hospital and kind."""
        issued: list[Issued] = []
        for desk in self.cast.hospitals.values():
            for code in (OUTPATIENT, INPATIENT):
                records = [b for b in desk.bills if b.inpatient == (code == INPATIENT)]
                documents = (record.invoice for record in records)
                receipts = desk.role.issue_many(documents, segment=desk.segments[code])
                for record, receipt in zip(records, receipts, strict=True):
                    issued.append(Issued(desk, record, receipt.number))
                    self.progress("issue bills", len(issued), total)
        self.result.bills = len(issued)
        self.result.gas_per_bill = sum(self.gas["Invoices.issue"]) / len(issued)
        return issued

    def _prescribe(self, total: int) -> list[tuple[HospitalDesk, IssueReceipt, str, int]]:
        """Every order: (hospital, receipt, patient key, quantity)."""
        found: list[tuple[HospitalDesk, IssueReceipt, str, int]] = []
        for desk in self.cast.hospitals.values():
            documents: list[Document] = [record.prescription for record in desk.prescriptions]
            segment = desk.segments[PRESCRIPTION]
            receipts = desk.role.issue_many(documents, segment=segment)
            for record, receipt in zip(desk.prescriptions, receipts, strict=True):
                order = record.prescription
                found.append((desk, receipt, order.patient_key, order.lines[0].quantity))
                self.progress("prescribe", len(found), total)
        self.result.prescriptions = len(found)
        return found

    def _dispense(
        self, orders: list[tuple[HospitalDesk, IssueReceipt, str, int]]
    ) -> tuple[tuple[HospitalDesk, Evidence, str], list[IssueReceipt]]:
        """All of the way from acceptance to delivery, by two pharmacies in turn.

        Returns the one prescription that stays accepted, for the frauds, and those delivered.
        """
        held = orders.pop()
        courier = self.cast.courier.institution
        done = 0
        for turn, pharmacy in enumerate(self.cast.pharmacies):
            own = orders[turn::2]
            deadline = pharmacy.now() + DAY
            accepts: list[tuple[Evidence, Signed]] = []
            for desk, receipt, key, _ in [*own, held] if turn == 0 else own:
                evidence = desk.role.evidence(receipt.number, "Prescription")
                act = self.cast.patient(key).authorise_acceptance(
                    receipt.number, pharmacy.institution, deadline=deadline, sequence=0
                )
                accepts.append((evidence, act))
            _drain(pharmacy.accept_many(accepts))
            parts = {
                receipt.number: quantity // 2
                for position, (_, receipt, _, quantity) in enumerate(own)
                if position % PARTIAL_EVERY == 0 and quantity > 1
            }
            _drain(
                pharmacy.dispense_many(
                    [
                        (r.number, dispensing([parts.get(r.number, quantity)]))
                        for _, r, _, quantity in own
                    ]
                )
            )
            _drain(pharmacy.hand_over_many([(r.number, courier) for _, r, _, _ in own]))
            confirmations = [
                self._confirmation(key, r.number, deadline, 2, parts.get(r.number, quantity))
                for _, r, key, quantity in own
            ]
            for _ in self.cast.courier.deliver_many(confirmations):
                done += 1
                self.progress("dispense and deliver", done, len(orders))
            # What is owing is fetched at the counter.
            owing = [(r, key, quantity) for _, r, key, quantity in own if r.number in parts]
            _drain(
                pharmacy.dispense_many(
                    [
                        (r.number, dispensing([quantity - parts[r.number]]))
                        for r, _, quantity in owing
                    ]
                )
            )
            _drain(
                pharmacy.deliver_many(
                    [
                        self._confirmation(key, r.number, deadline, 4, quantity - parts[r.number])
                        for r, key, quantity in owing
                    ]
                )
            )
            self.books.delivered.update(receipt.number for _, receipt, _, _ in own)
        desk, receipt, key, _ = held
        evidence = desk.role.evidence(receipt.number, "Prescription")
        return (desk, evidence, key), [receipt for _, receipt, _, _ in orders]

    def _confirmation(
        self, key: str, number: int, deadline: int, sequence: int, quantity: int
    ) -> Signed:
        return self.cast.patient(key).confirm_delivery(
            number, deadline=deadline, sequence=sequence, quantities=(quantity, 0, 0, 0, 0)
        )

    def _claim(self, bills: list[Issued]) -> None:
        """First the insurer that the data names, then the complementary payer for half the rest."""
        first: dict[str, list[tuple[Issued, int, bytes]]] = {}
        rest: list[tuple[Issued, int, bytes]] = []
        for bill in bills:
            left = bill.record.invoice.own_pay_minor
            if benefit := bill.record.benefit:
                share = (bill, benefit.amount_minor, benefit.explanation_hash)
                first.setdefault(benefit.payer.id, []).append(share)
                left -= benefit.amount_minor
            if left > 1:
                rest.append((bill, left // 2, bytes(32)))
        total = sum(map(len, first.values())) + len(rest)
        for payer_id, shares in [*first.items(), (COMPLEMENTARY, rest)]:
            payer = self.cast.payers[payer_id]
            deadline = payer.now() + DAY
            for start in range(0, len(shares), 500):
                self._settle(payer, shares[start : start + 500], deadline)
                self.progress("lock and settle claims", self.result.claims, total)

    def _settle(self, payer: Payer, shares: list[tuple[Issued, int, bytes]], deadline: int) -> None:
        locks: list[tuple[Evidence, Signed]] = []
        for bill, amount, _ in shares:
            act = self.cast.patient(bill.patient_key).authorise_claim(
                bill.number, payer.institution, amount, deadline=deadline, sequence=0
            )
            locks.append((bill.evidence(), act))
        _drain(payer.lock_many(locks))
        decisions = [
            (bill.number, amount, REASON_APPROVED, explanation)
            for bill, amount, explanation in shares
        ]
        _drain(payer.settle_many(decisions))
        for bill, amount, _ in shares:
            self.books.settled[bill.number, payer.institution] = amount
        self.result.claims += len(shares)

    def _reverse(self, bills: list[Issued]) -> None:
        """A red-letter bill each, in a batch of its hospital; then the reversals."""
        for desk in self.cast.hospitals.values():
            for code in (OUTPATIENT, INPATIENT):
                own = [
                    bill
                    for bill in bills
                    if bill.desk is desk and bill.record.inpatient == (code == INPATIENT)
                ]
                red_letters = desk.role.issue_red_letters(
                    [bill.number for bill in own], segment=desk.segments[code]
                )
                rows = [
                    (bill.number, red.number, REASON_WRITE_OFF)
                    for bill, red in zip(own, red_letters, strict=True)
                ]
                _drain(desk.role.reverse_many(rows))
                self.books.reversed.update((number, red) for number, red, _ in rows)
                self.progress("reverse bills", len(self.books.reversed), len(bills))
        self.result.reversed = len(self.books.reversed)

    def _refund(self, kept: list[Issued]) -> None:
        """Part of a bill, by a red letter of its hospital's endorsed segment."""
        bill = next(one for one in kept if one.record.invoice.own_pay_minor)
        desk = bill.desk
        first = desk.role.segments("Invoice")[desk.segments[REFUNDS]].first
        desk.role.reverse_part(
            bill.number,
            1,
            REASON_WRITE_OFF,
            business_key="refund-1",
            segment=desk.segments[REFUNDS],
        )
        self.books.refunded[bill.number] = 1
        self.books.refunds[first] = bill.number
        self.result.partly_reversed = 1

    def _exchange(self, unused: Issued) -> None:
        """A bill on paper, which comes back."""
        unused.desk.role.exchange_for_paper(unused.number, keccak256(secrets.token_bytes(32)))
        unused.desk.role.void_paper(unused.number)
        self.result.exchanged = 1

    def _try_frauds(
        self,
        kept: list[Issued],
        unused: Issued,
        accepted: tuple[HospitalDesk, Evidence, str],
        delivered: list[IssueReceipt],
    ) -> None:
        self.progress("try frauds", 0, 8)
        complementary = self.cast.payers[COMPLEMENTARY].institution
        settled = next(b for b in kept if (b.number, complementary) in self.books.settled)
        others = [p for id_, p in self.cast.payers.items() if id_ != COMPLEMENTARY]
        never = [p for p in others if (settled.number, p.institution) not in self.books.settled]
        code = INPATIENT if settled.record.inpatient else OUTPATIENT
        first, second = self.cast.pharmacies
        _, evidence, patient_key = accepted
        scene = Scene(
            desk=settled.desk,
            segment=settled.desk.segments[code],
            settled=settled.evidence(),
            settled_patient=settled.patient_key,
            payer=self.cast.payers[COMPLEMENTARY],
            other_payer=never[0],
            unused=unused.evidence(),
            unused_patient=unused.patient_key,
            delivered=delivered[0].number,
            pharmacy=first,
            other_pharmacy=second,
            accepted=evidence.number,
            accepted_evidence=evidence,
            accepted_patient=patient_key,
        )
        self.result.frauds = try_frauds(self.cast, scene)
        self.progress("try frauds", 8, 8)

    def _finish(self, desk: HospitalDesk, evidence: Evidence, key: str) -> None:
        """The prescription that the frauds were tried on goes to its patient after all.

        By every detour: a dispensing withdrawn, a request to cancel that comes too late, an
        equivalent drug, a delivery that fails; and then the repeat, in one transaction.
        """
        assert isinstance(evidence.header, PrescriptionHeader)
        number, quantities = evidence.number, evidence.header.quantities
        pharmacy, courier = self.cast.pharmacies[0], self.cast.courier
        patient, deadline = self.cast.patient(key), pharmacy.now() + DAY
        pharmacy.dispense(number, dispensing(quantities))
        pharmacy.withdraw_dispensing(number, reason=REASON_WRONG_LOT)
        desk.role.request_cancel(number, REASON_WRITE_OFF)
        pharmacy.dispense(number, dispensing(quantities, substituted=[1]))
        pharmacy.hand_over(number, courier.institution)
        courier.fail_delivery(number, reason=REASON_NOBODY_HOME)
        pharmacy.hand_over(number, courier.institution)
        courier.deliver(patient.confirm_delivery(number, deadline=deadline))
        code = patient.authorise_acceptance(number, pharmacy.institution, deadline=deadline)
        pharmacy.supply(evidence, code, dispensing(quantities), courier.institution)
        courier.deliver(patient.confirm_delivery(number, deadline=deadline))
        self.books.delivered.add(number)
        self.result.dispensed = self.result.delivered = len(self.books.delivered)

    def _tell_charts(self) -> None:
        self.progress("license, record and read", 0, 1)
        auditor = Auditor.connect(self.result.rpc_url, deployment=self.result.deployment)
        told = tell_charts(self.cast, auditor)
        self.result.licences, self.result.amended = told.licences, told.amended
        self.result.reads = told.reads
        self.result.mismatches += told.wrong
        self.progress("license, record and read", 1, 1)

    def _audit(self) -> None:
        """A connection of its own, the manifest's file, and nothing of the hospital's."""
        self.progress("audit", 0, 1)
        auditor = Auditor.connect(self.result.rpc_url, deployment=self.result.deployment)
        audit = auditor.audit()
        self.result.events = audit.events
        self.result.mismatches += audit.mismatches + list(
            differences(self.cast, self.books, audit.state)
        )
        self.progress("audit", 1, 1)

    def _write_evidence(self, kept: list[Issued], delivered: list[IssueReceipt]) -> None:
        """Some files as patients keep them, each verified by the auditor as it was written."""
        folder = self.out / "evidence"
        folder.mkdir(parents=True, exist_ok=True)
        auditor = Auditor.connect(self.result.rpc_url, deployment=self.result.deployment)
        orders: list[tuple[DocumentKind, int, Evidence]] = [
            ("Prescription", receipt.number, receipt.evidence())
            for receipt in delivered[: EVIDENCE_FILES // 4]
        ]
        bills: list[tuple[DocumentKind, int, Evidence]] = []
        for position, bill in enumerate(kept[:EVIDENCE_FILES]):
            # Every other file opens a few fields only, as one shows them to a payer.
            whole = bill.desk.role.evidence(bill.number)
            bills.append(("Invoice", bill.number, whole if position % 2 else bill.evidence()))
        for kind, number, evidence in bills + orders:
            path = folder / f"{kind.lower()}-{number:018d}.json"
            path.write_text(evidence.to_json(), "utf-8")
            auditor.verify(Evidence.from_json(path.read_bytes()))
            self.result.evidence_files.append(path)


def _with_a_repeat(record: PrescriptionRecord) -> PrescriptionRecord:
    """The order with a repeat at least, to be had at once, and equivalent drugs allowed."""
    order = record.prescription
    lines = tuple(replace(line, substitutable=True) for line in order.lines)
    return replace(
        record,
        prescription=replace(order, lines=lines, repeats=max(1, order.repeats), interval_days=0),
    )


def _silent(_step: str, _done: int, _total: int) -> None:
    pass


def _drain(receipts: Iterator[Receipt]) -> None:
    for _ in receipts:
        pass


def _clear(out: Path) -> None:
    if out.exists() and any(out.iterdir()) and not (out / MARK).exists():
        raise OutputInUse(path=out)
    for name in ("stores", "evidence", "deployments"):
        shutil.rmtree(out / name, ignore_errors=True)
    (out / "stores").mkdir(parents=True)
    (out / MARK).write_text("Made by medledger demo; the next run clears this folder.\n", "utf-8")


@contextmanager
def _chain(rpc_url: str | None, bills: int) -> Iterator[str]:
    if rpc_url is not None:
        yield rpc_url
        return
    with LocalChain(block_seconds=BLOCK_SECONDS if bills >= BULK_FROM else None) as chain:
        yield chain.url
