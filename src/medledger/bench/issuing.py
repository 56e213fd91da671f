"""How fast bills are issued: from a document in memory to evidence that verifies."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

from medledger.bench.bills import bills, make_pool
from medledger.bench.memory import PeakMemory
from medledger.bench.stage import BILL_CODE, stage
from medledger.core.batch import seal_batch
from medledger.core.documents import Invoice
from medledger.core.evidence import Evidence
from medledger.core.numbers import document_number
from medledger.core.sealing import SECRET_BYTES, draft_of
from medledger.roles import Auditor

SAMPLES = 10
"""Bills whose evidence is read back and verified before the clock stops."""
SEAL_RUNS, SEAL_BILLS = 3, 2_000
FIRST = document_number(BILL_CODE, 1)


@dataclass(frozen=True, slots=True)
class IssueFigures:
    """`peak_rss_mb` is that of this process and of those that seal, together; node and database
    server are not counted. `gas_per_bill` is the mean."""

    seconds: float
    bills_per_second: float
    seal_per_second: float
    peak_rss_mb: float
    gas_per_bill: float
    batches: int
    store: str


def measure_issue(
    count: int,
    *,
    batch_size: int = 1_000,
    store: str | None = None,
    workers: int | None = None,
    advance: Callable[[int], None] = lambda _: None,
) -> IssueFigures:
    """Issues `count` bills on an Anvil of its own.

    The clock runs from the first bill until the last batch is confirmed and the evidence of some
    bills, read back from the store, has been verified against the chain. Bills are drawn before.
    """
    pool = make_pool()
    with stage(store) as scene, PeakMemory() as memory:
        wanted = {count * step // SAMPLES for step in range(SAMPLES)} | {count - 1}
        samples = []
        started = time.perf_counter()
        receipts = scene.hospital.issue_many(bills(pool, count), batch=batch_size, workers=workers)
        for position, receipt in enumerate(receipts):
            if position in wanted:
                samples.append(receipt)
            if position % batch_size == 0:
                advance(min(batch_size, count - position))
        auditor = Auditor(scene.ledgers)
        for receipt in samples:
            auditor.verify(Evidence.from_json(receipt.evidence().to_json()))
        seconds = time.perf_counter() - started

        issues = [found for found in scene.receipts if found.call.name == "Invoices.issue"]
        return IssueFigures(
            seconds=round(seconds, 3),
            bills_per_second=round(count / seconds, 1),
            seal_per_second=round(measure_seal(pool, min(count, SEAL_BILLS)), 1),
            peak_rss_mb=round(memory.peak_mb, 1),
            gas_per_bill=round(sum(found.gas_used for found in issues) / count, 2),
            batches=len(issues),
            store=scene.hospital.store.name.partition(":")[0],
        )


def measure_seal(pool: list[Invoice], count: int) -> float:
    """Bills sealed in a second, with their tree, in one process: the median of some runs."""
    documents = list(bills(pool, count))
    secrets = bytes(SECRET_BYTES * count)
    rates = []
    for _ in range(SEAL_RUNS):
        started = time.perf_counter()
        seal_batch([draft_of(bill) for bill in documents], FIRST, secrets)
        rates.append(count / (time.perf_counter() - started))
    return median(rates)
