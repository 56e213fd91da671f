"""How fast evidence is verified offline: fields, header and path, with no chain."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from statistics import median

from medledger.bench.bills import bills, make_pool
from medledger.bench.stage import BILL_CODE
from medledger.core.documents import Invoice
from medledger.core.evidence import Anchor, Evidence, evidence_of
from medledger.core.hashing import TreeHead
from medledger.core.numbers import DocumentNumber, document_number
from medledger.core.sealing import SECRET_BYTES, seal
from medledger.core.tree import Tree
from medledger.errors import PathMismatch

BATCH = 1_000


@dataclass(frozen=True, slots=True)
class VerifyFigures:
    """Medians over batches: of evidence objects, and of evidence files (JSON text)."""

    verify_per_second: float
    verify_json_per_second: float


def measure_verify(count: int) -> VerifyFigures:
    """Verifies the evidence of `count` bills, all fields opened, from batches of 1,000."""
    pool = make_pool()
    objects, texts = [], []
    for first in range(0, count, BATCH):
        evidence, expected = _batch(pool, first, min(BATCH, count - first))
        files = [item.to_json() for item in evidence]

        started = time.perf_counter()
        for item in evidence:
            _verify(item, expected)
        objects.append(len(evidence) / (time.perf_counter() - started))

        started = time.perf_counter()
        for text in files:
            _verify(Evidence.from_json(text), expected)
        texts.append(len(files) / (time.perf_counter() - started))
    return VerifyFigures(round(median(objects), 1), round(median(texts), 1))


def _verify(evidence: Evidence, expected: bytes) -> None:
    if evidence.verify_offline() != expected:
        raise PathMismatch(problem="the path leads to another root")


def _batch(pool: list[Invoice], first: int, wanted: int) -> tuple[list[Evidence], bytes]:
    """The evidence of the first `wanted` bills of a full batch, and its head hash."""
    draw = random.Random(first)
    number = document_number(BILL_CODE, first + 1)
    sealed = [
        seal(bill, DocumentNumber(number + index), draw.randbytes(SECRET_BYTES))
        for index, bill in enumerate(bills(pool, BATCH, first=first))
    ]
    tree = Tree([item.leaf for item in sealed])
    head = TreeHead(number, BATCH, segment=1, issued_at=1_767_576_600)
    anchor = Anchor(31337, "0x" + 40 * "1", bytes(32))
    evidence = [
        evidence_of(item, head, tree.path(index), anchor)
        for index, item in enumerate(sealed[:wanted])
    ]
    return evidence, head.hash(tree.root)
