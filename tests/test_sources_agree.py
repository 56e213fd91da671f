"""What stands twice, in Solidity and in Python, is the same; read from the sources themselves."""

from __future__ import annotations

import re
from enum import IntEnum
from pathlib import Path
from typing import get_args

import pytest

from medledger.core import hashing, states
from medledger.core.documents import MAX_PRESCRIPTION_LINES, MAX_QUANTITY
from medledger.core.kinds import KINDS
from medledger.core.numbers import BILL_NUMBER_SPAN, MAX_BILL_CODE, DocumentKind

CONTRACTS = Path(__file__).parents[1] / "contracts"
OWN = [path for path in CONTRACTS.rglob("*.sol") if ".cache" not in path.parts]
SOURCES = {path.stem: path.read_text("utf-8") for path in OWN}
ENUMS = {
    name: re.findall(r"\w+", body)
    for source in SOURCES.values()
    for name, body in re.findall(r"\benum (\w+) \{([^}]*)\}", source)
}


@pytest.mark.parametrize(
    "enum", [states.Hold, states.PaymentStatus, states.Standing, states.State, states.Status]
)
def test_enum__of_each_state__has_soliditys_names_in_its_order(enum: type[IntEnum]) -> None:
    names = [re.sub(r"(?<=[a-z])([A-Z])", r"_\1", name).upper() for name in ENUMS[enum.__name__]]

    assert [(item.name, item.value) for item in enum] == [
        (name, value) for value, name in enumerate(names)
    ]


def test_enums__of_all_contracts__are_the_five_that_python_has() -> None:
    assert set(ENUMS) == {"Hold", "PaymentStatus", "Standing", "State", "Status"}


def test_kinds__each_bit__is_the_contracts() -> None:
    bits = dict(re.findall(r"uint8 internal constant (\w+) = (\d+);", SOURCES["Kinds"]))
    total = re.search(r"constant ALL = (.*);", SOURCES["Kinds"])

    assert {kind.name: kind.value for kind in states.Kind} == {k: int(v) for k, v in bits.items()}
    assert total is not None
    assert set(total[1].split(" | ")) == set(bits)


def test_purposes__each_code__is_the_contracts() -> None:
    codes = dict(re.findall(r"uint8 internal constant (\w+) = (\d+);", SOURCES["Purposes"]))

    assert {one.name: one.value for one in states.Purpose} == {
        name: int(code) for name, code in codes.items()
    }


def test_kinds_of_document__each__has_one_entry_with_a_branch_of_its_own() -> None:
    assert set(KINDS) == set(get_args(DocumentKind))
    assert [entry.branch for entry in KINDS.values()] == list(range(len(KINDS)))


@pytest.mark.parametrize(
    "name",
    [
        "INVOICE_HEADER",
        "PRESCRIPTION_HEADER",
        "CLAIM_AUTHORISATION",
        "CLAIM_WITHDRAWAL",
        "PAYER_WAIVER",
        "PAYMENT_CONFIRMATION",
        "BILL_PAYMENT",
        "ACCEPT_AUTHORISATION",
        "DELIVERY_CONFIRMATION",
        "BATCH_ENDORSEMENT",
        "OPERATOR_CONSENT",
        "LICENCE_HEADER",
        "RECORD_HEADER",
        "ACCESS_GRANT",
        "ACCESS_REVOCATION",
    ],
)
def test_type_string__of_each_struct__is_the_one_that_solidity_hashes(name: str) -> None:
    found = re.search(rf'{name}_TYPEHASH =\s*keccak256\(\s*"([^"]+)"\s*\);', SOURCES["Hashing"])

    assert found is not None
    assert getattr(hashing, f"{name}_TYPE") == found[1]


def test_type_string__of_each_header__has_the_structs_members() -> None:
    for kind in KINDS:
        struct = f"{kind}Header"
        body = re.search(rf"struct {struct} \{{([^}}]*)\}}", SOURCES["Hashing"])
        assert body is not None
        members = ",".join(re.findall(r"(\S+ \w+);", body[1]))

        assert getattr(hashing, f"{kind.upper()}_HEADER_TYPE") == f"{struct}({members})"


def test_type_hashes__of_all_solidity__are_known_to_python() -> None:
    names = re.findall(r"(\w+)_TYPEHASH\s*=", SOURCES["Hashing"])

    assert len(names) == 15
    assert all(hasattr(hashing, f"{name}_TYPE") for name in names)


def test_prefixes__of_leaf_node_and_head__are_soliditys() -> None:
    def prefix(function: str) -> int:
        found = re.search(
            rf"function {function}\(.*?(?:bytes1\(|mstore8\(free, )(0x\d\d)\)",
            SOURCES["Hashing"],
            re.S,
        )
        assert found is not None
        return int(found[1], 16)

    assert [prefix("leaf"), prefix("node"), prefix("headHash")] == [
        hashing.LEAF_PREFIX[0],
        hashing.NODE_PREFIX[0],
        hashing.HEAD_PREFIX[0],
    ]


def test_domain__name_and_version__are_soliditys() -> None:
    found = re.search(r'EIP712\("(\w+)", "(\w+)"\)', SOURCES["SignedActs"])

    assert found is not None
    assert found.groups() == (hashing.DOMAIN_NAME, hashing.DOMAIN_VERSION)


def test_numbers__span_and_highest_code__are_soliditys() -> None:
    ledger = SOURCES["DocumentLedger"]

    assert "SERIALS = 10 ** 10;" in ledger
    assert BILL_NUMBER_SPAN == 10**10
    assert "MAX_CODE = 10 ** 8 - 1;" in ledger
    assert MAX_BILL_CODE == 10**8 - 1


def test_prescription__lines_and_quantities__fit_what_solidity_packs() -> None:
    source = SOURCES["PrescriptionRecords"]

    assert f"MAX_LINES = {MAX_PRESCRIPTION_LINES};" in source
    assert "LINE_BITS = 16;" in source
    assert MAX_QUANTITY == 2**16 - 1
