"""The hashes that contracts check too: against eth-account, and kept apart from each other."""

from __future__ import annotations

from dataclasses import astuple, replace
from typing import Any

import pytest
from eth_account.messages import encode_typed_data
from eth_utils import keccak, to_checksum_address
from hypothesis import given
from hypothesis import strategies as st
from tests.core.samples import hashes
from tests.vectors.make_vectors import HEADER_TYPES, MESSAGE_TYPES, domain

from medledger.core import hashing
from medledger.core.hashing import (
    AcceptAuthorisation,
    BillPayment,
    ClaimAuthorisation,
    ClaimWithdrawal,
    DeliveryConfirmation,
    InvoiceHeader,
    PatientMessage,
    PayerWaiver,
    PaymentConfirmation,
    PrescriptionHeader,
    TreeHead,
    address_bytes,
    checksum_address,
    domain_separator,
    keccak256,
    leaf_hash,
    name_hash,
    node_hash,
    signing_digest,
    word,
)


def uint(bits: int) -> st.SearchStrategy[int]:
    return st.integers(min_value=0, max_value=2**bits - 1)


addresses = st.binary(min_size=20, max_size=20).map(to_checksum_address)
invoice_headers = st.builds(
    InvoiceHeader,
    uint(64),
    addresses,
    uint(64),
    uint(16),
    st.booleans(),
    uint(64),
    uint(64),
    hashes,
)
prescription_headers = st.builds(
    PrescriptionHeader,
    uint(64),
    addresses,
    uint(40),
    uint(40),
    uint(64),
    uint(16),
    st.lists(uint(16), max_size=5).map(tuple),
    uint(8),
    uint(8),
    uint(32),
    st.booleans(),
    hashes,
)
messages = st.one_of(
    st.builds(
        ClaimAuthorisation,
        uint(64),
        uint(32),
        uint(64),
        uint(32),
        uint(64),
        uint(32),
        st.booleans(),
        addresses,
    ),
    st.builds(ClaimWithdrawal, uint(64), uint(32), uint(16), uint(32), uint(64)),
    st.builds(PayerWaiver, uint(64), uint(32), uint(32), uint(64)),
    st.builds(PaymentConfirmation, uint(64), uint(32), hashes, uint(64)),
    st.builds(BillPayment, uint(64), uint(64), hashes, uint(64)),
    st.builds(AcceptAuthorisation, uint(64), uint(32), uint(16), uint(64)),
    st.builds(DeliveryConfirmation, uint(64), uint(16), st.tuples(*[uint(16)] * 5), uint(64)),
)
tree_heads = st.builds(TreeHead, uint(64), uint(32), uint(32), uint(64))


def message_values(message: PatientMessage) -> dict[str, Any]:
    # The order of the message's members is that of the type string and of the class.
    members = [member["name"] for member in MESSAGE_TYPES[type(message).__name__]]
    # eth-account takes an array as a list only.
    values = [list(one) if isinstance(one, tuple) else one for one in astuple(message)]
    return dict(zip(members, values, strict=True))


def another(value: Any) -> Any:
    """A value of the same type that differs in one bit."""
    if isinstance(value, tuple):
        return (value[0] ^ 1, *value[1:])
    if isinstance(value, str):
        return to_checksum_address((int(value, 16) ^ 1).to_bytes(20, "big"))
    return bytes([value[0] ^ 1]) + value[1:] if isinstance(value, bytes) else value ^ 1


@given(st.binary())
def test_keccak256__any_bytes__is_the_other_librarys(data: bytes) -> None:
    assert keccak256(data) == keccak(data)


def test_keccak256__nothing__is_ethereums_empty_hash_and_not_sha3s() -> None:
    expected = "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"

    assert keccak256(b"").hex() == expected


@given(invoice_headers | prescription_headers)
def test_struct_hash__any_header__is_eip_712(header: InvoiceHeader | PrescriptionHeader) -> None:
    types = HEADER_TYPES[header.kind]
    names = [member["name"] for member in next(iter(types.values()))]
    values = dict(zip(names, header.as_abi(), strict=True))
    values = {n: list(v) if isinstance(v, tuple) else v for n, v in values.items()}

    found = header.struct_hash()

    assert found == encode_typed_data(domain(1, "0x" + "11" * 20), types, values).body


@given(invoice_headers | prescription_headers)
def test_terms__of_any_header__make_the_same_header_and_hash(
    header: InvoiceHeader | PrescriptionHeader,
) -> None:
    found = header.terms.header(header.number, header.patient, header.body)

    assert found == header
    assert header.terms.kind == header.kind
    patient = address_bytes(header.patient)
    assert header.terms.struct_hash(header.number, patient, header.body) == header.struct_hash()


@given(messages, uint(256), addresses)
def test_signing_digest__any_message_and_domain__is_eip_712(
    message: PatientMessage, chain_id: int, contract: str
) -> None:
    name = type(message).__name__
    typed = encode_typed_data(
        domain(chain_id, contract), {name: MESSAGE_TYPES[name]}, message_values(message)
    )

    found = signing_digest(message, chain_id, contract)

    assert domain_separator(chain_id, contract) == typed.header
    assert message.struct_hash() == typed.body
    assert found == keccak(b"\x19\x01" + typed.header + typed.body)


@given(messages, st.data())
def test_signing_digest__one_value_changed__another_digest(
    message: PatientMessage, data: st.DataObject
) -> None:
    contract = "0x" + "11" * 20
    digest = signing_digest(message, 1, contract)
    name = data.draw(st.sampled_from(sorted(message.__dataclass_fields__)))

    changed = replace(message, **{name: another(getattr(message, name))})

    assert signing_digest(changed, 1, contract) != digest
    assert signing_digest(message, 2, contract) != digest
    assert signing_digest(message, 1, "0x" + "11" * 19 + "12") != digest


def test_signing_digest__messages_with_the_same_values__another_digest_for_each_type() -> None:
    contract = "0x" + "11" * 20
    same = [AcceptAuthorisation(1, 2, 3, 4), DeliveryConfirmation(1, 2, (3, 0, 0, 0, 0), 4)]
    same.append(ClaimAuthorisation(1, 2, 3, 4, 5))

    digests = {signing_digest(message, 1, contract) for message in same}

    assert len(digests) == 3


@given(tree_heads, hashes, st.data())
def test_head_hash__one_value_changed__another_hash(
    head: TreeHead, root: bytes, data: st.DataObject
) -> None:
    name = data.draw(st.sampled_from(["first", "count", "segment", "issued_at"]))

    changed = replace(head, **{name: getattr(head, name) ^ 1})

    assert changed.hash(root) != head.hash(root)
    assert head.hash(keccak256(root)) != head.hash(root)


@given(tree_heads, hashes)
def test_head_hash__any_head__is_57_packed_bytes(head: TreeHead, root: bytes) -> None:
    packed = b"\x02" + root
    for value, size in zip(head.as_abi(), (8, 4, 4, 8), strict=True):
        packed += value.to_bytes(size, "big")

    assert len(packed) == 57
    assert head.hash(root) == keccak(packed)


@given(hashes, hashes)
def test_leaf_and_node__same_bytes__are_kept_apart_by_their_prefix(
    left: bytes, right: bytes
) -> None:
    assert leaf_hash(left) == keccak(b"\x00" + left)
    assert node_hash(left, right) == keccak(b"\x01" + left + right)
    assert leaf_hash(left + right) != node_hash(left, right)
    assert (node_hash(left, right) == node_hash(right, left)) == (left == right)


def test_prefixes__of_the_five_kinds_of_hash__all_differ() -> None:
    from medledger.core.sealing import BODY_PREFIX, FIELD_PREFIX

    prefixes = {
        hashing.LEAF_PREFIX,
        hashing.NODE_PREFIX,
        hashing.HEAD_PREFIX,
        FIELD_PREFIX,
        BODY_PREFIX,
    }

    assert prefixes == {b"\x00", b"\x01", b"\x02", b"\x03", b"\x04"}


@pytest.mark.parametrize("value", [-1, 2**256])
def test_word__a_value_without_a_word__overflow(value: int) -> None:
    with pytest.raises(OverflowError):
        word(value)


@given(st.text())
def test_name_hash__any_name__is_keccak_of_its_utf_8(name: str) -> None:
    assert name_hash(name) == keccak(text=name)


EIP_55 = [
    # All capitals, all small, and the normal ones of the EIP's test cases.
    "0x52908400098527886E0F7030069857D2E4169EE7",
    "0x8617E340B3D01FA5F11F306F4090FD50E238070D",
    "0xde709f2102306220921060314715629080e2fb77",
    "0x27b1fdb04752bbc536007a920d24acb045561c26",
    "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
    "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
    "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB",
    "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb",
]


@pytest.mark.parametrize("text", EIP_55)
def test_checksum_address__test_cases_of_eip_55__are_its_text(text: str) -> None:
    assert checksum_address(address_bytes(text)) == text


@given(st.binary(min_size=20, max_size=20))
def test_checksum_address__any_address__is_the_other_librarys_text(raw: bytes) -> None:
    assert checksum_address(raw) == to_checksum_address(raw)


@pytest.mark.parametrize(
    ("constant", "name"),
    [
        ("INVOICE_HEADER_TYPE", "InvoiceHeader"),
        ("PRESCRIPTION_HEADER_TYPE", "PrescriptionHeader"),
        ("CLAIM_AUTHORISATION_TYPE", "ClaimAuthorisation"),
        ("ACCEPT_AUTHORISATION_TYPE", "AcceptAuthorisation"),
        ("DELIVERY_CONFIRMATION_TYPE", "DeliveryConfirmation"),
    ],
)
def test_type_strings__each__is_what_the_vectors_were_made_with(constant: str, name: str) -> None:
    types = {key: value for kinds in HEADER_TYPES.values() for key, value in kinds.items()}
    members = (types | MESSAGE_TYPES)[name]

    text = ",".join(f"{member['type']} {member['name']}" for member in members)

    assert getattr(hashing, constant) == f"{name}({text})"
