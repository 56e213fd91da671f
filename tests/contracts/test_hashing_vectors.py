"""The Solidity hashes against `tests/vectors/hashing.json`, which is made without medledger.

The Python mirror is held to the same file by the tests of `medledger.core`.
"""

from __future__ import annotations

import pytest
from hexbytes import HexBytes

from medledger.core.canonical import canonical
from medledger.core.hashing import domain_separator, keccak256
from medledger.core.kinds import KINDS


@pytest.fixture
def leaf_for(harness):
    """The leaf that Solidity computes for a header of the vectors."""
    function_of = {
        "Invoice": harness.invoiceLeaf,
        "Prescription": harness.prescriptionLeaf,
        "Licence": harness.licenceLeaf,
        "Record": harness.recordLeaf,
    }

    def leaf(kind, header):
        # The order of the header's members is that of the type string and of the struct.
        return function_of[kind](tuple(abi_value(name, value) for name, value in header.items()))

    return leaf


def abi_value(name, value):
    if name in ("patient", "holder", "body"):
        return HexBytes(value)
    return int(value) if isinstance(value, str) else value


def test_vectors__every_family__is_there(vectors):
    assert len(vectors["headers"]) >= 10
    assert {vector["kind"] for vector in vectors["headers"]} == set(KINDS)
    assert {vector["type"] for vector in vectors["messages"]} == {
        "ClaimAuthorisation",
        "ClaimWithdrawal",
        "PayerWaiver",
        "PaymentConfirmation",
        "BillPayment",
        "AcceptAuthorisation",
        "DeliveryConfirmation",
        "AccessGrant",
        "AccessRevocation",
    }
    assert {1, 2, 3, 5, 8, 100} <= {tree["count"] for tree in vectors["trees"]}


def test_leaf__headers_of_the_vectors__equal(harness, vectors, leaf_for):
    for vector in vectors["headers"]:
        found = leaf_for(vector["kind"], vector["header"])

        assert found == HexBytes(vector["leaf"]), vector["title"]
        assert harness.leaf(HexBytes(vector["structHash"])) == found


def test_leaf__sealed_documents_of_the_vectors__equal(vectors, leaf_for):
    for vector in vectors["documents"]:
        assert leaf_for(vector["kind"], vector["header"]) == HexBytes(vector["leaf"])


def test_body__sealed_documents_of_the_vectors__equal(harness, vectors):
    for vector in vectors["documents"]:
        digests = []
        for (name, value), salt in zip(vector["fields"].items(), vector["salts"], strict=True):
            digests.append(harness.fieldDigest(HexBytes(salt), canonical([name, value])))
        names = keccak256(canonical(list(vector["fields"])))

        assert digests == [HexBytes(digest) for digest in vector["digests"]]
        assert harness.body(names, digests) == HexBytes(vector["header"]["body"])


def test_message__struct_hashes_of_the_vectors__equal(harness, vectors):
    function_of = {
        "ClaimAuthorisation": lambda number, payer, amount, sequence, *terms: (
            harness.claimAuthorisation(number, payer, sequence, (amount, *terms))
        ),
        "ClaimWithdrawal": harness.claimWithdrawal,
        "PayerWaiver": harness.payerWaiver,
        "PaymentConfirmation": harness.paymentConfirmation,
        "BillPayment": harness.billPayment,
        "AcceptAuthorisation": harness.acceptAuthorisation,
        "DeliveryConfirmation": harness.deliveryConfirmation,
        "AccessGrant": harness.accessGrant,
        "AccessRevocation": harness.accessRevocation,
    }

    for vector in vectors["messages"]:
        # The order of the message's fields is that of the type string and of the function.
        fields = [
            value if isinstance(value, list | bool) or str(value).startswith("0x") else int(value)
            for value in vector["message"].values()
        ]
        found = function_of[vector["type"]](*fields)

        assert found == HexBytes(vector["structHash"])
        digest = keccak256(b"\x19\x01" + HexBytes(vector["domainSeparator"]) + found)
        assert digest == HexBytes(vector["digest"])


def test_act__struct_hashes_of_the_vectors__equal(harness, vectors):
    function_of = {
        "BatchEndorsement": harness.batchEndorsement,
        "OperatorConsent": harness.operatorConsent,
    }

    assert {vector["type"] for vector in vectors["acts"]} == set(function_of)
    for vector in vectors["acts"]:
        fields = [
            HexBytes(value) if name == "root" else int(value)
            for name, value in vector["message"].items()
        ]
        found = function_of[vector["type"]](*fields)

        assert found == HexBytes(vector["structHash"])
        digest = keccak256(b"\x19\x01" + HexBytes(vector["domainSeparator"]) + found)
        assert digest == HexBytes(vector["digest"])


def test_head_hash__tree_heads_of_the_vectors__equal(harness, vectors):
    for vector in vectors["heads"]:
        head = (int(vector["first"]), vector["count"], vector["segment"], int(vector["issuedAt"]))

        assert harness.headHash(head, HexBytes(vector["root"])) == HexBytes(vector["hash"])


def test_root_of_path__trees_of_the_vectors__equal(harness, vectors):
    leaves = [HexBytes(leaf) for leaf in vectors["leaves"]]

    for tree in vectors["trees"]:
        for proof in tree["paths"]:
            path = [HexBytes(node) for node in proof["path"]]
            index = proof["index"]

            found = harness.rootOfPath(leaves[index], index, tree["count"], path)

            assert found == HexBytes(tree["root"]), (tree["count"], index)


def test_root_of_shared_path__each_vector__equals(harness, vectors):
    leaves = [HexBytes(leaf) for leaf in vectors["leaves"]]

    for vector in vectors["sharedPaths"]:
        chosen = [leaves[index] for index in vector["indexes"]]
        path = [HexBytes(node) for node in vector["path"]]

        found = harness.rootOfSharedPath(chosen, vector["indexes"], vector["count"], path)

        assert found == HexBytes(vector["root"]), (vector["count"], vector["indexes"])


@pytest.fixture
def shared(vectors):
    """Leaves 2, 5 and 6 of seven, their indexes and their shared path of three hashes."""
    (vector,) = (v for v in vectors["sharedPaths"] if v["indexes"] == [2, 5, 6])
    leaves = [HexBytes(vectors["leaves"][index]) for index in vector["indexes"]]
    return leaves, vector["indexes"], [HexBytes(node) for node in vector["path"]]


def test_root_of_shared_path__forged_leaf_or_hash_or_order_of_hashes__is_another_root(
    harness, vectors, shared
):
    leaves, indexes, path = shared
    root = harness.rootOfSharedPath(leaves, indexes, 7, path)
    other = HexBytes(vectors["leaves"][50])
    assert len(path) == 3

    assert harness.rootOfSharedPath([other, *leaves[1:]], indexes, 7, path) != root
    assert harness.rootOfSharedPath(leaves[::-1], indexes, 7, path) != root
    for place in range(3):
        forged = [*path[:place], other, *path[place + 1 :]]
        assert harness.rootOfSharedPath(leaves, indexes, 7, forged) != root
    assert harness.rootOfSharedPath(leaves, indexes, 7, path[::-1]) != root


def test_root_of_shared_path__every_wrong_length__is_refused(harness, shared, stranger, refused):
    leaves, indexes, path = shared

    for length in (0, 1, 2, 4, 5):
        wrong = (path + [leaves[0]] * 2)[:length]
        with refused(harness.SharedPathLengthWrong, leaves=3, count=7, length=length):
            harness.rootOfSharedPath.transact(leaves, indexes, 7, wrong, sender=stranger)


@pytest.mark.parametrize(
    ("indexes", "wrong"),
    [
        ([5, 2, 6], 2),
        ([2, 2, 6], 2),
        ([2, 6, 6], 6),
        ([2, 5, 7], 7),
        ([2**256 - 1, 5, 6], 2**256 - 1),
    ],
)
def test_root_of_shared_path__reordered_duplicate_or_surplus_index__is_refused(
    harness, shared, stranger, refused, indexes, wrong
):
    leaves, _, path = shared

    with refused(harness.IndexOutOfOrder, index=wrong, count=7):
        harness.rootOfSharedPath.transact(leaves, indexes, 7, path, sender=stranger)


def test_node__two_leaves_of_the_vectors__equal(harness, vectors):
    left, right = (HexBytes(leaf) for leaf in vectors["leaves"][:2])
    (pair,) = (tree for tree in vectors["trees"] if tree["count"] == 2)

    assert harness.node(left, right) == HexBytes(pair["root"])
    assert harness.node(right, left) != harness.node(left, right)


def test_root_of_path__every_wrong_length__is_refused(harness, vectors, stranger, refused):
    leaves = [HexBytes(leaf) for leaf in vectors["leaves"]]
    (five,) = (tree for tree in vectors["trees"] if tree["count"] == 5)

    for proof in (five["paths"][0], five["paths"][4]):
        index, path = proof["index"], [HexBytes(node) for node in proof["path"]]
        for length in set(range(6)) - {len(path)}:
            wrong = (path + [leaves[9]] * 6)[:length]
            with refused(harness.PathLengthWrong, index=index, count=5, length=length):
                harness.rootOfPath.transact(leaves[index], index, 5, wrong, sender=stranger)


@pytest.mark.parametrize(("index", "count"), [(0, 0), (5, 5), (6, 5), (2**256 - 1, 2**32)])
def test_root_of_path__index_outside_the_tree__is_refused(
    harness, vectors, stranger, refused, index, count
):
    leaf = HexBytes(vectors["leaves"][0])

    with refused(harness.PathLengthWrong, index=index, count=count, length=0):
        harness.rootOfPath.transact(leaf, index, count, [], sender=stranger)


@pytest.mark.parametrize(
    "contract_name", ["claims", "prescriptions", "invoices", "institutions", "records"]
)
def test_domain__of_the_contracts_that_people_sign_for__is_the_python_one(
    request, chain, contract_name
):
    contract = request.getfixturevalue(contract_name)

    domain = contract.eip712Domain()

    assert (domain.name, domain.version, domain.chainId, domain.verifyingContract) == (
        "medledger",
        "1",
        chain.chain_id,
        contract.address,
    )
    # 0x0f: name, version, chain id and contract take part, a salt does not.
    assert (domain.fields, domain.salt, domain.extensions) == (b"\x0f", bytes(32), [])
    assert len(domain_separator(domain.chainId, domain.verifyingContract)) == 32
