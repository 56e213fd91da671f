"""The batch tree: every place has one proof, and nothing else has one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.core.samples import hashes, leaves_of
from tests.vectors.make_vectors import tree_hash, tree_path

from medledger.core.hashing import leaf_hash, node_hash
from medledger.core.tree import (
    Tree,
    root_of_path,
    root_of_shared_path,
    share_paths,
    verify_inclusion,
)
from medledger.errors import PathMismatch

SIZES = range(1, 131)
ANOTHER_ROOT = "the path leads to another root"
TOO_SHORT = "the path is too short"
TOO_LONG = "the path is too long"

counts = st.integers(min_value=2, max_value=130)


@st.composite
def places(draw: st.DrawFn) -> tuple[Tree, int]:
    """A tree of two leaves or more, and an index in it."""
    count = draw(counts)
    return Tree(leaves_of(count)), draw(st.integers(0, count - 1))


def refusal(
    leaf: bytes, index: int, count: int, path: tuple[bytes, ...], root: bytes
) -> str | None:
    """Why the proof is refused; None where it holds."""
    try:
        verify_inclusion(leaf, index, count, path, root)
    except PathMismatch as error:
        return error.problem
    return None


def test_tree__every_index_of_every_size__verifies() -> None:
    for count in SIZES:
        leaves = leaves_of(count)
        tree = Tree(leaves)
        for index in range(count):
            verify_inclusion(leaves[index], index, count, tree.path(index), tree.root)


def test_tree__every_size__has_the_root_of_rfc_9162() -> None:
    for count in SIZES:
        leaves = leaves_of(count)

        assert Tree(leaves).root == tree_hash(leaves)


def test_tree__every_index_of_the_smaller_sizes__has_the_path_of_rfc_9162() -> None:
    for count in range(1, 41):
        leaves = leaves_of(count)
        tree = Tree(leaves)
        for index in range(count):
            assert list(tree.path(index)) == tree_path(index, leaves)


def test_verify_inclusion__every_other_index_of_every_size__path_mismatch() -> None:
    for count in range(2, 34):
        tree = Tree(leaves_of(count))
        for index in range(count):
            for claimed in set(range(count)) - {index}:
                leaf, path = tree.leaf(index), tree.path(index)

                assert refusal(leaf, claimed, count, path, tree.root) is not None


def test_verify_inclusion__every_wrong_length_of_every_place__path_mismatch() -> None:
    for count in SIZES:
        tree = Tree(leaves_of(count))
        for index in range(count):
            leaf, path = tree.leaf(index), tree.path(index)

            longer = refusal(leaf, index, count, (*path, leaf), tree.root)
            shorter = [
                refusal(leaf, index, count, path[:length], tree.root) for length in range(len(path))
            ]

            assert longer == TOO_LONG
            assert set(shorter) <= {TOO_SHORT}


@given(places(), hashes)
def test_verify_inclusion__a_forged_leaf__path_mismatch(
    place: tuple[Tree, int], forged: bytes
) -> None:
    tree, index = place

    with pytest.raises(PathMismatch) as caught:
        verify_inclusion(forged, index, len(tree), tree.path(index), tree.root)

    assert caught.value.problem == ANOTHER_ROOT


@given(places())
def test_verify_inclusion__a_neighbours_path__path_mismatch(place: tuple[Tree, int]) -> None:
    tree, index = place
    neighbour = index ^ 1 if index ^ 1 < len(tree) else index - 1

    with pytest.raises(PathMismatch):
        verify_inclusion(tree.leaf(index), index, len(tree), tree.path(neighbour), tree.root)


@given(places())
def test_verify_inclusion__siblings_on_the_wrong_side__path_mismatch(
    place: tuple[Tree, int],
) -> None:
    tree, index = place
    path = tree.path(index)

    with pytest.raises(PathMismatch) as caught:
        verify_inclusion(path[0], index, len(tree), (tree.leaf(index), *path[1:]), tree.root)

    assert caught.value.problem == ANOTHER_ROOT


@given(places(), st.data())
def test_verify_inclusion__two_siblings_swapped__path_mismatch(
    place: tuple[Tree, int], data: st.DataObject
) -> None:
    tree, index = place
    path = list(tree.path(index))
    if len(path) < 2:
        return
    low = data.draw(st.integers(0, len(path) - 2))
    path[low], path[low + 1] = path[low + 1], path[low]

    with pytest.raises(PathMismatch) as caught:
        verify_inclusion(tree.leaf(index), index, len(tree), path, tree.root)

    assert caught.value.problem == ANOTHER_ROOT


@given(places(), hashes, st.data())
def test_verify_inclusion__one_sibling_forged__path_mismatch(
    place: tuple[Tree, int], forged: bytes, data: st.DataObject
) -> None:
    tree, index = place
    path = list(tree.path(index))
    path[data.draw(st.integers(0, len(path) - 1))] = forged

    with pytest.raises(PathMismatch) as caught:
        verify_inclusion(tree.leaf(index), index, len(tree), path, tree.root)

    assert caught.value.problem == ANOTHER_ROOT


@given(places())
def test_verify_inclusion__an_inner_node_as_leaf__path_mismatch(place: tuple[Tree, int]) -> None:
    tree, index = place
    path = tree.path(index)
    leaf = tree.leaf(index)
    parent = root_of_path(leaf, index % 2, 2, path[:1])

    cut = refusal(parent, index, len(tree), path[1:], tree.root)
    whole = refusal(parent, index, len(tree), path, tree.root)

    assert cut in {TOO_SHORT, TOO_LONG, ANOTHER_ROOT}
    assert whole == ANOTHER_ROOT


def test_verify_inclusion__an_inner_node_as_leaf_of_a_smaller_tree__only_the_prefix_stops_it() -> (
    None
):
    """With a false count an inner node does verify: the head binds the count, and no header
    hashes to a node, because a leaf is hashed with another prefix."""
    left, right = leaves_of(2)
    tree = Tree(leaves_of(4))
    inner = node_hash(left, right)

    verify_inclusion(inner, 0, 2, tree.path(0)[1:], tree.root)

    assert leaf_hash(left + right) != inner


@given(places(), st.integers(min_value=1, max_value=200))
def test_verify_inclusion__a_wrong_count__another_root_or_the_same_path_shape(
    place: tuple[Tree, int], claimed: int
) -> None:
    """A count that gives an index the same path shape cannot be told by the path: the tree head
    binds the count, so the head hash differs."""
    tree, index = place
    leaf, path = tree.leaf(index), tree.path(index)
    if claimed == len(tree):
        return

    found = refusal(leaf, index, claimed, path, tree.root)

    if index >= claimed:
        assert found == f"index {index} is not within {claimed} leaves"
    elif len(tree_path(index, leaves_of(claimed))) != len(path):
        assert found in {TOO_SHORT, TOO_LONG}
    else:
        assert found in {None, ANOTHER_ROOT}


@pytest.mark.parametrize("claimed", [1, 2, 3, 4, 9, 16, 17])
def test_verify_inclusion__first_of_five_in_a_tree_of_another_height__path_mismatch(
    claimed: int,
) -> None:
    tree = Tree(leaves_of(5))

    with pytest.raises(PathMismatch) as caught:
        verify_inclusion(tree.leaf(0), 0, claimed, tree.path(0), tree.root)

    assert caught.value.problem == (TOO_LONG if claimed < 5 else TOO_SHORT)


@pytest.mark.parametrize(("index", "count"), [(-1, 5), (5, 5), (6, 5), (0, 0), (2**32, 5), (0, -1)])
def test_root_of_path__an_index_outside_the_tree__path_mismatch(index: int, count: int) -> None:
    with pytest.raises(PathMismatch) as caught:
        root_of_path(leaves_of(1)[0], index, count, ())

    assert caught.value.problem == f"index {index} is not within {count} leaves"


def test_verify_inclusion__a_single_leaf__its_root_is_itself_and_its_path_is_empty() -> None:
    (leaf,) = leaves_of(1)

    tree = Tree([leaf])

    assert tree.root == leaf
    assert tree.path(0) == ()
    verify_inclusion(leaf, 0, 1, (), leaf)


@given(st.lists(hashes, min_size=1, max_size=40), st.data())
def test_tree__two_leaves_exchanged__another_root(leaves: list[bytes], data: st.DataObject) -> None:
    first, second = (data.draw(st.integers(0, len(leaves) - 1)) for _ in range(2))
    exchanged = list(leaves)
    exchanged[first], exchanged[second] = leaves[second], leaves[first]

    same = Tree(exchanged).root == Tree(leaves).root

    assert same == (leaves == exchanged)


@given(st.lists(hashes, min_size=1, max_size=40))
def test_tree__the_last_leaf_twice__another_root(leaves: list[bytes]) -> None:
    """Bitcoin's tree (CVE-2012-2459) gives both the same root."""
    assert Tree([*leaves, leaves[-1]]).root != Tree(leaves).root


def test_tree__leaves_changed_afterwards__tree_stays() -> None:
    leaves = leaves_of(3)
    tree = Tree(leaves)
    root = tree.root

    leaves.clear()

    assert len(tree) == 3
    assert tree.root == root


def test_tree__no_leaf__value_error() -> None:
    with pytest.raises(ValueError, match="a batch has at least one document"):
        Tree([])


@pytest.mark.parametrize("index", [-1, 3, 100])
def test_path__an_index_outside_the_tree__index_error(index: int) -> None:
    with pytest.raises(IndexError):
        Tree(leaves_of(3)).path(index)


# Shared paths


@st.composite
def subsets(draw: st.DrawFn) -> tuple[Tree, dict[int, bytes], tuple[bytes, ...]]:
    """A tree of any size, some of its leaves by index, and their shared path."""
    count = draw(st.integers(1, 130))
    indexes = draw(st.sets(st.integers(0, count - 1), min_size=1))
    tree = Tree(leaves_of(count))
    path = share_paths({index: tree.path(index) for index in indexes}, count)
    return tree, {index: tree.leaf(index) for index in indexes}, path


def shared_refusal(
    leaves: dict[int, bytes], count: int, path: tuple[bytes, ...], root: bytes
) -> bool:
    """Whether the proof is refused, or leads elsewhere."""
    try:
        return root_of_shared_path(leaves, count, path) != root
    except PathMismatch:
        return True


@given(subsets())
def test_root_of_shared_path__any_leaves_of_any_size__is_the_root(
    subset: tuple[Tree, dict[int, bytes], tuple[bytes, ...]],
) -> None:
    tree, leaves, path = subset

    assert root_of_shared_path(leaves, len(tree), path) == tree.root


@given(places())
def test_share_paths__of_one_leaf__is_its_path(place: tuple[Tree, int]) -> None:
    tree, index = place

    assert share_paths({index: tree.path(index)}, len(tree)) == tree.path(index)


@given(subsets(), hashes, st.data())
def test_root_of_shared_path__forged_moved_dropped_or_surplus__does_not_hold(
    subset: tuple[Tree, dict[int, bytes], tuple[bytes, ...]], forged: bytes, data: st.DataObject
) -> None:
    tree, leaves, path = subset
    count, root = len(tree), tree.root
    chosen = data.draw(st.sampled_from(sorted(leaves)))
    free = sorted(set(range(count + 1)) - set(leaves))

    assert shared_refusal(leaves | {chosen: forged}, count, path, root)
    assert shared_refusal(leaves, count, (*path, forged), root)
    moved = {free[-1] if index == chosen else index: leaf for index, leaf in leaves.items()}
    assert shared_refusal(moved, count, path, root)
    if path:
        place = data.draw(st.integers(0, len(path) - 1))
        assert shared_refusal(leaves, count, path[:place] + path[place + 1 :], root)
        assert shared_refusal(leaves, count, (*path[:place], forged, *path[place + 1 :]), root)
    if len(path) > 1:
        assert shared_refusal(leaves, count, path[::-1], root)


def test_root_of_shared_path__no_leaf_or_one_outside__path_mismatch() -> None:
    for leaves in ({}, {5: leaves_of(6)[5]}, {-1: leaves_of(6)[5]}):
        with pytest.raises(PathMismatch, match="not every index is within 5 leaves"):
            root_of_shared_path(leaves, 5, ())
