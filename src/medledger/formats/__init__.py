"""Documents in and out: the formats of other systems, one package each."""
