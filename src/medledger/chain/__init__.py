"""The chain: the one layer that talks to a node, and the only one that imports web3."""
