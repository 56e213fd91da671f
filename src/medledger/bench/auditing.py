"""How fast an auditor rebuilds the state from a chain: index and replay, with the memory it takes.

The chain is made by the roles themselves, in blocks at an interval. It runs in other processes, and
so does the auditor: what made the chain is not in the auditor's memory.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

from medledger.bench.bills import bills, make_patients, make_pool, prescriptions
from medledger.bench.memory import own_peak_mb
from medledger.bench.stage import Stage, stage
from medledger.chain.deployment import Manifest
from medledger.chain.rpc import chunked
from medledger.core.claims import Decision
from medledger.core.dispensing import DispensedItem, Dispensing, DispensingRecord
from medledger.core.patient_keys import PatientKey
from medledger.core.states import Kind
from medledger.index import EventIndex
from medledger.roles import Auditor, IssueReceipt, Patient, Payer, Pharmacy

BATCH = 1_000
BLOCK_SECONDS = 3
"""Where blocks come in two seconds or less, Anvil keeps 1,500 states whatever it is told: 14 GB
after 150,000 transactions."""
YEAR = 365 * 24 * 3600
KEPT = DispensingRecord(bytes(32), (DispensedItem(1, "B2026", "H20013"),), "no objection")
DECISION = Decision(1, 0, bytes(31) + b"\1", bytes(31) + b"\1")
DISPENSING = Dispensing((24, 10), KEPT.items_hash, KEPT.review_hash)


@dataclass(frozen=True, slots=True)
class AuditFigures:
    """`peak_rss_mb` is the auditor's alone; node and database server are not counted."""

    bills: int
    claims: int
    prescriptions: int
    events: int
    blocks: int
    seconds: float
    sync_seconds: float
    peak_rss_mb: float
    mismatches: int


def measure_audit(bill_count: int, claims: int, orders: int) -> AuditFigures:
    """Makes a chain with so many bills, settled claims and dispensed prescriptions; rebuilds it."""
    with stage(block_seconds=BLOCK_SECONDS) as scene, TemporaryDirectory() as folder:
        _make_claims(scene, bill_count, claims)
        _make_prescriptions(scene, orders)
        url = f"sqlite:///{Path(folder) / 'index.db'}"
        # Spawned: a forked process would count this one's memory as its own.
        with ProcessPoolExecutor(1, get_context("spawn")) as auditor:
            rpc, manifest = scene.ledgers.rpc.urls[0], scene.ledgers.manifest
            told = auditor.submit(_rebuild, rpc, manifest, url).result()
    seconds, sync_seconds, events, blocks, peak, mismatches = told
    return AuditFigures(
        bills=bill_count,
        claims=claims,
        prescriptions=orders,
        events=events,
        blocks=blocks,
        seconds=round(seconds, 3),
        sync_seconds=round(sync_seconds, 3),
        peak_rss_mb=round(peak, 1),
        mismatches=mismatches,
    )


def _rebuild(rpc: str, manifest: Manifest, url: str) -> tuple[float, float, int, int, float, int]:
    auditor = Auditor.connect(rpc, deployment=manifest)
    with closing(EventIndex(url, manifest)) as index:
        started = time.perf_counter()
        done = auditor.sync(index)
        synced = time.perf_counter()
        found = auditor.rebuild(index)
        ended = time.perf_counter()
    blocks = done.block - manifest.block + 1
    mismatches = len(found.mismatches)
    return ended - started, synced - started, found.events, blocks, own_peak_mb(), mismatches


def _make_claims(scene: Stage, count: int, claims: int) -> None:
    """Issues bills; of the first, each is claimed and settled by one payer."""
    patients = make_patients()
    used: list[IssueReceipt] = []
    for receipt in scene.hospital.issue_many(bills(make_pool(patients), count), batch=BATCH):
        if len(used) < claims:
            used.append(receipt)
    key, institution = scene.accredit("商业保险", Kind.PAYER)
    payer = Payer(scene.ledgers, key)
    payer.sender.policy = replace(payer.sender.policy, in_flight=BATCH)
    deadline = payer.now() + YEAR
    for start, part in _numbered(used):
        rows = []
        for position, receipt in enumerate(part, start):
            patient = Patient(scene.ledgers, _of(patients, position))
            allowed = patient.authorise_claim(
                receipt.number, institution, 1, deadline=deadline, sequence=0
            )
            rows.append((receipt.evidence(), allowed))
        list(payer.lock_many(rows))
        list(payer.settle_many([(receipt.number, DECISION) for receipt in part]))


def _make_prescriptions(scene: Stage, count: int) -> None:
    """Issues prescriptions; one pharmacy accepts and dispenses each."""
    patients = make_patients()
    key, institution = scene.accredit("药店", Kind.PHARMACY)
    pharmacy = Pharmacy(scene.ledgers, key)
    pharmacy.sender.policy = replace(pharmacy.sender.policy, in_flight=BATCH)
    deadline = pharmacy.now() + YEAR
    documents = prescriptions(patients, count, valid_until=deadline)
    receipts = list(scene.hospital.issue_many(documents, batch=BATCH))
    for start, part in _numbered(receipts):
        rows = []
        for position, receipt in enumerate(part, start):
            patient = Patient(scene.ledgers, _of(patients, position))
            allowed = patient.authorise_acceptance(
                receipt.number, institution, deadline=deadline, sequence=0
            )
            rows.append((receipt.evidence(), allowed))
        list(pharmacy.accept_many(rows))
        list(pharmacy.dispense_many([(receipt.number, DISPENSING) for receipt in part]))


def _numbered(receipts: Sequence[IssueReceipt]) -> list[tuple[int, list[IssueReceipt]]]:
    return [(n * BATCH, part) for n, part in enumerate(chunked(receipts, BATCH))]


def _of(patients: Sequence[PatientKey], position: int) -> PatientKey:
    return patients[position % len(patients)]
