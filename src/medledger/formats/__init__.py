"""Documents in and out: medledger's own JSON, and the formats of other systems."""
