"""The steps from one schema of the index to the next, run as those of the store are."""
