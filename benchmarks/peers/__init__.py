"""medledger beside OpenAttestation and EAS: the same bills, the same machine, the same run."""
