"""medledger: medical bills, prescriptions and reimbursement on an EVM ledger."""

__version__ = "0.1.0"
