"""What a forger can do without a node, and the rules of proof that would let it pass."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

from medledger.core.hashing import leaf_hash, node_hash
from medledger.core.patient_keys import PatientKey

CURVE_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141


def high_s_twin(signature: bytes) -> bytes:
    """The other signature (r, n - s, v') by the same key over the same digest."""
    r, s, v = signature[:32], int.from_bytes(signature[32:64], "big"), signature[64]
    return r + (CURVE_ORDER - s).to_bytes(32, "big") + bytes([27 + 28 - v])


def sign_as(patient: PatientKey, message: Any, number: int, chain_id: int, contract: str) -> bytes:
    """A signature over `message` by the one-time key of another document's number."""
    numbered: Any = SimpleNamespace(number=number, struct_hash=message.struct_hash)
    return patient.sign(numbered, "Invoice", chain_id, contract)


def leaf_of(header: Any) -> bytes:
    return leaf_hash(header.struct_hash())


def naive_root(leaf: bytes, index: int, path: Sequence[bytes]) -> bytes:
    """The root by position, of a path as long as it comes: nothing says where the leaves are."""
    for sibling in path:
        leaf = node_hash(sibling, leaf) if index & 1 else node_hash(leaf, sibling)
        index >>= 1
    return leaf


def sorted_root(leaf: bytes, path: Sequence[bytes]) -> bytes:
    """The root by sorted pairs, as many libraries compute it: no position is part of the proof."""
    for sibling in path:
        leaf = node_hash(min(leaf, sibling), max(leaf, sibling))
    return leaf
