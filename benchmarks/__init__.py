"""Comparisons with others. What medledger itself can do is `medledger bench`."""

# A package, not a bare folder: a dependency installs a stray one of the same name, which would win.
