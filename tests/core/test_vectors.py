"""Python is held to `tests/vectors/hashing.json`, as the contracts are; the file to its maker."""

from __future__ import annotations

import ast
from typing import Any

import pytest
from tests.core.samples import DOCUMENTS, VECTORS, leaves_of
from tests.vectors import make_vectors

from medledger.core.hashing import (
    AcceptAuthorisation,
    AccessGrant,
    AccessRevocation,
    BillPayment,
    ClaimAuthorisation,
    ClaimWithdrawal,
    DeliveryConfirmation,
    Header,
    PayerWaiver,
    PaymentConfirmation,
    TreeHead,
    domain_separator,
    leaf_hash,
    signing_digest,
)
from medledger.core.kinds import KINDS
from medledger.core.patient_keys import PatientKey, one_time_address
from medledger.core.sealing import seal
from medledger.core.tree import (
    Tree,
    root_of_path,
    root_of_shared_path,
    share_paths,
    verify_inclusion,
)

MESSAGES = {
    "ClaimAuthorisation": ClaimAuthorisation,
    "ClaimWithdrawal": ClaimWithdrawal,
    "PayerWaiver": PayerWaiver,
    "PaymentConfirmation": PaymentConfirmation,
    "BillPayment": BillPayment,
    "AcceptAuthorisation": AcceptAuthorisation,
    "DeliveryConfirmation": DeliveryConfirmation,
    "AccessGrant": AccessGrant,
    "AccessRevocation": AccessRevocation,
}


def raw(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))


def header_of(kind: str, values: dict[str, Any]) -> Header:
    """The members of a vector's header are in the order of the dataclass."""
    return KINDS[kind].header(*[_plain(name, value) for name, value in values.items()])  # type: ignore[index]


def message_of(vector: dict[str, Any]) -> Any:
    """The members of a vector's message are in the order of the dataclass."""
    members = [_plain(name, value) for name, value in vector["message"].items()]
    return MESSAGES[vector["type"]](*members)


def _plain(name: str, value: Any) -> Any:
    if name in ("patient", "holder", "payee"):
        return value
    if name in ("body", "payment"):
        return raw(value)
    if isinstance(value, list):
        return tuple(value)
    return int(value) if isinstance(value, str) else value


def test_make_vectors__run_again__every_file_is_the_same_byte_for_byte() -> None:
    made = {name: text.encode() for name, text in make_vectors.files().items()}

    found = {
        path.relative_to(VECTORS).as_posix(): path.read_bytes()
        for path in [VECTORS / "hashing.json", *(VECTORS / "evidence").iterdir()]
    }

    assert sorted(found) == sorted(made)
    assert [name for name in made if found[name] != made[name]] == []


def test_make_vectors__its_imports__name_nothing_of_medledger() -> None:
    tree = ast.parse((VECTORS / "make_vectors.py").read_text("utf-8"))

    names = [
        name
        for node in ast.walk(tree)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    ]

    assert "rfc8785" in names
    assert [name for name in names if name.startswith("medledger")] == []


def test_struct_hash__headers_of_both_kinds__are_the_vectors(vectors: dict[str, Any]) -> None:
    for vector in vectors["headers"]:
        header = header_of(vector["kind"], vector["header"])

        struct_hash = header.struct_hash()

        assert struct_hash == raw(vector["structHash"]), vector["title"]
        assert leaf_hash(struct_hash) == raw(vector["leaf"]), vector["title"]


def test_as_abi__headers_of_both_kinds__has_the_values_in_order(vectors: dict[str, Any]) -> None:
    for vector in vectors["headers"]:
        header = header_of(vector["kind"], vector["header"])

        values = header.as_abi()

        assert [list(value) if isinstance(value, tuple) else value for value in values] == [
            raw(value) if name == "body" else int(value) if name in make_vectors.WIDE else value
            for name, value in vector["header"].items()
        ]


def test_tree__each_vector__has_its_root_and_paths(vectors: dict[str, Any]) -> None:
    assert leaves_of(100) == [raw(leaf) for leaf in vectors["leaves"]]
    for vector in vectors["trees"]:
        tree = Tree(leaves_of(vector["count"]))

        assert tree.root == raw(vector["root"])
        assert len(tree) == vector["count"]
        for case in vector["paths"]:
            path = tuple(raw(node) for node in case["path"])
            index = case["index"]
            assert tree.path(index) == path
            assert root_of_path(tree.leaf(index), index, len(tree), path) == tree.root
            verify_inclusion(tree.leaf(index), index, len(tree), path, tree.root)


def test_shared_path__each_vector__has_its_path_and_root(vectors: dict[str, Any]) -> None:
    for vector in vectors["sharedPaths"]:
        tree, indexes = Tree(leaves_of(vector["count"])), vector["indexes"]
        path = tuple(raw(node) for node in vector["path"])

        shared = share_paths({index: tree.path(index) for index in indexes}, len(tree))

        assert shared == path
        leaves = {index: tree.leaf(index) for index in indexes}
        assert root_of_shared_path(leaves, len(tree), path) == raw(vector["root"])


def test_head_hash__each_vector__is_the_vector(vectors: dict[str, Any]) -> None:
    for vector in vectors["heads"]:
        head = TreeHead(
            int(vector["first"]), vector["count"], vector["segment"], int(vector["issuedAt"])
        )

        assert head.hash(raw(vector["root"])) == raw(vector["hash"])
        assert head.as_abi() == (head.first, head.count, head.segment, head.issued_at)


def test_signing_digest__each_message__is_the_vector(vectors: dict[str, Any]) -> None:
    for vector in vectors["messages"]:
        message, chain_id = message_of(vector), int(vector["chainId"])

        digest = signing_digest(message, chain_id, vector["contract"])

        assert domain_separator(chain_id, vector["contract"]) == raw(vector["domainSeparator"])
        assert message.struct_hash() == raw(vector["structHash"])
        assert digest == raw(vector["digest"])


def test_sign__each_message__is_the_vectors_signature(vectors: dict[str, Any]) -> None:
    wallet = PatientKey.from_seed(raw(vectors["seed"]))
    for vector in vectors["messages"]:
        message = message_of(vector)

        signature = wallet.sign(message, vector["kind"], int(vector["chainId"]), vector["contract"])

        assert signature == raw(vector["signature"])
        assert wallet.address(vector["kind"], message.number) == vector["signer"]
        assert one_time_address(wallet.public, vector["kind"], message.number) == vector["signer"]


@pytest.mark.parametrize("place", range(4), ids=["invoice", "red_letter", "linked", "prescription"])
def test_seal__each_document__is_the_vector(vectors: dict[str, Any], place: int) -> None:
    vector = vectors["documents"][place]
    number = int(vector["number"])
    document = DOCUMENTS[number]

    sealed = seal(document, number, raw(vector["secret"]))

    disclosure = sealed.disclose()
    assert sealed.fields == vector["fields"]
    assert disclosure.names == tuple(vector["fields"])
    assert disclosure.digests == tuple(raw(digest) for digest in vector["digests"])
    assert [disclosure.opened[name].salt for name in disclosure.names] == [
        raw(salt) for salt in vector["salts"]
    ]
    assert sealed.header == header_of(vector["kind"], vector["header"])
    assert sealed.header.struct_hash() == raw(vector["structHash"])
    assert sealed.leaf == raw(vector["leaf"])
    check_name = "RandomNumber" if vector["kind"] == "Invoice" else "rxTraceCode"
    assert sealed.fields[check_name] == vector["checkCode"]
