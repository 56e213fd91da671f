"""One class for each person who uses the ledger."""

from medledger.roles.auditor import Audit, Auditor, Step
from medledger.roles.authority import Authority
from medledger.roles.courier import Courier
from medledger.roles.hospital import Hospital
from medledger.roles.issuer import Issuer, IssueReceipt
from medledger.roles.patient import Patient
from medledger.roles.payer import Payer
from medledger.roles.pharmacy import Pharmacy
from medledger.roles.role import open_ledgers, open_ledgers_of_evidence
from medledger.roles.supervisor import Supervisor

__all__ = [
    "Audit",
    "Auditor",
    "Authority",
    "Courier",
    "Hospital",
    "IssueReceipt",
    "Issuer",
    "Patient",
    "Payer",
    "Pharmacy",
    "Step",
    "Supervisor",
    "open_ledgers",
    "open_ledgers_of_evidence",
]
