"""The pure core: documents, money, canonical bytes, sealing, the batch tree, evidence.

Nothing here opens a file or a socket, reads a clock or draws randomness: time and
secrets are arguments.
"""
