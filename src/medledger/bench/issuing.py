"""How fast bills are issued: from a document in memory to evidence that verifies."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

from medledger.bench.bills import bills, make_pool
from medledger.bench.stage import BILL_CODE, stage
from medledger.core.documents import Invoice
from medledger.core.evidence import Evidence
from medledger.core.numbers import document_number
from medledger.core.sealing import SECRET_BYTES, seal
from medledger.roles import Auditor

SAMPLES = 10
"""Bills whose evidence is read back and verified before the clock stops."""
SEAL_RUNS, SEAL_BILLS = 3, 2_000


@dataclass(frozen=True, slots=True)
class IssueFigures:
    """`peak_rss_mb` is this process's (Anvil is not counted), `gas_per_bill` the mean."""

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
    advance: Callable[[int], None] = lambda _: None,
) -> IssueFigures:
    """Issues `count` bills on an Anvil of its own.

    The clock runs from the first bill until the last batch is confirmed and the evidence of some
    bills, read back from the store, has been verified against the chain. Bills are drawn before.
    """
    pool = make_pool()
    with stage(store) as scene:
        wanted = {count * step // SAMPLES for step in range(SAMPLES)} | {count - 1}
        samples = []
        started = time.perf_counter()
        receipts = scene.hospital.issue_many(bills(pool, count), batch=batch_size)
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
            bills_per_second=round(count / seconds, 1),
            seal_per_second=round(measure_seal(pool, min(count, SEAL_BILLS)), 1),
            peak_rss_mb=round(peak_rss_mb(), 1),
            gas_per_bill=round(sum(found.gas_used for found in issues) / count, 2),
            batches=len(issues),
            store=scene.hospital.store.name.partition(":")[0],
        )


def measure_seal(pool: list[Invoice], count: int) -> float:
    """Bills sealed in a second, leaf included, in one process: the median of some runs."""
    secret = bytes(SECRET_BYTES)
    documents = [
        (bill, document_number(BILL_CODE, serial))
        for serial, bill in enumerate(bills(pool, count), 1)
    ]
    rates = []
    for _ in range(SEAL_RUNS):
        started = time.perf_counter()
        for bill, number in documents:
            _ = seal(bill, number, secret).leaf
        rates.append(count / (time.perf_counter() - started))
    return median(rates)


def peak_rss_mb() -> float:
    """The most memory that this process has had resident, in MB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Linux counts in KiB, macOS in bytes.
    return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6
