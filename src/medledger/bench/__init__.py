"""Benchmarks: what issuing and verifying cost in time, memory and gas, on a chain of their own."""

from medledger.bench.auditing import AuditFigures, measure_audit
from medledger.bench.gas import GasFigures, measure_gas
from medledger.bench.issuing import IssueFigures, measure_issue
from medledger.bench.verifying import VerifyFigures, measure_verify

__all__ = [
    "AuditFigures",
    "GasFigures",
    "IssueFigures",
    "VerifyFigures",
    "measure_audit",
    "measure_gas",
    "measure_issue",
    "measure_verify",
]
