"""The batch tree: RFC 9162's Merkle tree with keccak-256.

Any number of leaves; a tree of n leaves splits at the largest power of two below n. An
inclusion path proves one leaf at one index of one size, so a document number, which fixes
the index, can mean one leaf only.

>>> from medledger.core.hashing import leaf_hash
>>> tree = Tree([leaf_hash(bytes([i]) * 32) for i in range(5)])
>>> verify_inclusion(tree.leaf(4), 4, 5, tree.path(4), tree.root)
>>> len(tree.path(0)), len(tree.path(4))
(3, 1)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sha3 import keccak_256

from medledger.core.hashing import NODE_PREFIX, keccak256
from medledger.errors import PathMismatch


class Tree:
    """A tree over given leaf hashes (32 bytes each, at least one, in order of number)."""

    __slots__ = ("_levels",)

    def __init__(self, leaves: Sequence[bytes]) -> None:
        if not leaves:
            raise ValueError("a batch has at least one document")
        self._levels = [list(leaves)]
        while len(level := self._levels[-1]) > 1:
            paired = len(level) - 1
            above = [
                keccak_256(NODE_PREFIX + level[i] + level[i + 1]).digest()
                for i in range(0, paired, 2)
            ]
            if len(level) % 2:
                # RFC 9162's split leaves the right edge unpaired: it moves up unchanged.
                above.append(level[-1])
            self._levels.append(above)

    def __len__(self) -> int:
        return len(self._levels[0])

    @property
    def root(self) -> bytes:
        """RFC 9162's Merkle Tree Hash: 32 bytes."""
        return self._levels[-1][0]

    def leaf(self, index: int) -> bytes:
        return self._levels[0][index]

    def level(self, height: int) -> list[bytes]:
        """The nodes of one level, 0 the leaves; above the root, the root alone."""
        return self._levels[min(height, len(self._levels) - 1)]

    def path(self, index: int) -> tuple[bytes, ...]:
        """The inclusion path of a leaf, lowest sibling first."""
        if not 0 <= index < len(self):
            raise IndexError(index)
        path = []
        for level in self._levels[:-1]:
            sibling = index ^ 1
            if sibling < len(level):
                path.append(level[sibling])
            index //= 2
        return tuple(path)


def root_of_path(leaf: bytes, index: int, count: int, path: Sequence[bytes]) -> bytes:
    """The root that a path leads to (RFC 9162, section 2.1.3.2).

    Raises `PathMismatch` where the path has not the one length that `index` in `count` has.
    """
    if not 0 <= index < count:
        raise PathMismatch(problem=f"index {index} is not within {count} leaves")
    position, last, node = index, count - 1, leaf
    for sibling in path:
        if last == 0:
            raise PathMismatch(problem="the path is too long")
        if position & 1 or position == last:
            node = keccak256(NODE_PREFIX + sibling + node)
            while not position & 1 and position:
                position >>= 1
                last >>= 1
        else:
            node = keccak256(NODE_PREFIX + node + sibling)
        position >>= 1
        last >>= 1
    if last:
        raise PathMismatch(problem="the path is too short")
    return node


def verify_inclusion(
    leaf: bytes, index: int, count: int, path: Sequence[bytes], root: bytes
) -> None:
    """Raises `PathMismatch` unless `leaf` is at `index` of the tree of `count` leaves."""
    if root_of_path(leaf, index, count, path) != root:
        raise PathMismatch(problem="the path leads to another root")


def share_paths(paths: Mapping[int, Sequence[bytes]], count: int) -> tuple[bytes, ...]:
    """The shared path of several leaves, from the path of each by its index.

    It holds what the leaves do not tell one another: from the leaves up, left to right, the sibling
    of each node that has none among the known ones. For one leaf it is its path.
    """
    siblings: dict[tuple[int, int], bytes] = {}
    for index, path in paths.items():
        rest, width, level = iter(path), count, 0
        while width > 1:
            if index ^ 1 < width:
                siblings[level, index ^ 1] = next(rest)
            index, width, level = index // 2, (width + 1) // 2, level + 1
    shared: list[bytes] = []
    known, width, level = sorted(paths), count, 0
    while width > 1:
        here = set(known)
        shared += [
            siblings[level, index ^ 1]
            for index in known
            if index ^ 1 < width and index ^ 1 not in here
        ]
        known, width, level = sorted({index // 2 for index in known}), (width + 1) // 2, level + 1
    return tuple(shared)


def root_of_shared_path(leaves: Mapping[int, bytes], count: int, path: Sequence[bytes]) -> bytes:
    """The root that a shared path leads to from leaves by their index.

    Raises `PathMismatch` where an index is not within `count`, or where the path has not the one
    length that these indexes have.
    """
    if not leaves or not all(0 <= index < count for index in leaves):
        raise PathMismatch(problem=f"not every index is within {count} leaves")
    rest = list(reversed(path))
    known, width = sorted(leaves.items()), count
    while width > 1:
        above: list[tuple[int, bytes]] = []
        place = 0
        while place < len(known):
            index, node = known[place]
            place += 1
            if not index & 1 and place < len(known) and known[place][0] == index + 1:
                node = keccak256(NODE_PREFIX + node + known[place][1])
                place += 1
            elif index ^ 1 < width:
                if not rest:
                    raise PathMismatch(problem="the path is too short")
                sibling = rest.pop()
                pair = sibling + node if index & 1 else node + sibling
                node = keccak256(NODE_PREFIX + pair)
            above.append((index // 2, node))
        known, width = above, (width + 1) // 2
    if rest:
        raise PathMismatch(problem="the path is too long")
    return known[0][1]
