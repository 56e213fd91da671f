"""Which ledger holds which kind of document."""

from __future__ import annotations

from typing import Literal

from medledger.chain.bindings import DocumentLedger
from medledger.chain.deployment import Ledgers

DocumentKind = Literal["Invoice", "Prescription"]


def ledger_of(ledgers: Ledgers, kind: str) -> DocumentLedger:
    """The ledger of a document kind."""
    return ledgers.prescriptions if kind == "Prescription" else ledgers.invoices


def kind_of_ledger(ledgers: Ledgers, address: str) -> DocumentKind:
    """The document kind of a ledger's address."""
    return "Prescription" if address == ledgers.prescriptions.address else "Invoice"
