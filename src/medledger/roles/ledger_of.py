"""Which ledger holds which kind of document."""

from __future__ import annotations

from medledger.chain.bindings import DocumentLedger
from medledger.chain.deployment import Ledgers
from medledger.core.kinds import KINDS
from medledger.core.numbers import DocumentKind


def ledger_of(ledgers: Ledgers, kind: DocumentKind) -> DocumentLedger:
    """The ledger of a document kind; raises `NotDeployed`."""
    return ledgers.document_ledger(KINDS[kind].ledger)


def kind_of_ledger(ledgers: Ledgers, address: str) -> DocumentKind:
    """The document kind of a ledger's address."""
    return next(kind for kind, ledger in ledgers.documents.items() if ledger.address == address)
