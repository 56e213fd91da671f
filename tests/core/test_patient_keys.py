"""One-time patient addresses: BIP-32, and what a patient signs."""

from __future__ import annotations

import json
import pickle
from dataclasses import astuple
from typing import Any

import pytest
from bip32 import BIP32
from coincurve import PublicKey
from eth_account import Account
from eth_account.hdaccount.deterministic import HDPath
from eth_account.messages import encode_typed_data
from eth_utils import keccak
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.core.samples import INVOICE_NUMBER, PATIENT, PRESCRIPTION_NUMBER, VECTORS, numbers
from tests.vectors.make_vectors import BRANCHES, MESSAGE_TYPES, domain

from medledger.core import patient_keys
from medledger.core.hashing import (
    AcceptAuthorisation,
    ClaimAuthorisation,
    DeliveryConfirmation,
    PatientMessage,
    checksum_address,
)
from medledger.core.patient_keys import (
    PatientKey,
    address_of_key,
    is_by_key,
    one_time_address,
    one_time_address_bytes,
    require_patient_key,
    signature_of,
)
from medledger.errors import BadPatientKey

ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
KEY = keccak(b"a key")
CONTRACT = "0x9fE46736679d2D9a65F0992F2272dE9f3c7fa6e0"
BIP32_VECTORS = json.loads((VECTORS / "bip32.json").read_text())["vectors"]
BIP32_CHAINS = [
    pytest.param(bytes.fromhex(vector["seed"]), chain, id=f"{place}: {chain['path']}")
    for place, vector in enumerate(BIP32_VECTORS, 1)
    for chain in vector["chains"]
]

seeds = st.binary(min_size=16, max_size=64)
kinds = st.sampled_from(list(BRANCHES))
messages = st.one_of(
    st.tuples(
        st.just("Invoice"),
        st.builds(
            ClaimAuthorisation,
            numbers,
            st.integers(0, 2**32 - 1),
            st.integers(0, 2**64 - 1),
            st.integers(0, 2**32 - 1),
            st.integers(0, 2**64 - 1),
        ),
    ),
    st.tuples(
        st.just("Prescription"),
        st.builds(
            AcceptAuthorisation,
            numbers,
            st.integers(0, 2**32 - 1),
            st.integers(0, 2**16 - 1),
            st.integers(0, 2**64 - 1),
        ),
    ),
    st.tuples(
        st.just("Prescription"),
        st.builds(
            DeliveryConfirmation,
            numbers,
            st.integers(0, 2**16 - 1),
            st.tuples(*[st.integers(0, 2**16 - 1)] * 5),
            st.integers(0, 2**64 - 1),
        ),
    ),
)


def typed(message: PatientMessage, chain_id: int = 31337, contract: str = CONTRACT) -> Any:
    name = type(message).__name__
    # The order of the message's members is that of the type string and of the class.
    members = [member["name"] for member in MESSAGE_TYPES[name]]
    taken = [list(value) if isinstance(value, tuple) else value for value in astuple(message)]
    values = dict(zip(members, taken, strict=True))
    return encode_typed_data(domain(chain_id, contract), {name: MESSAGE_TYPES[name]}, values)


# BIP-32


@pytest.mark.parametrize(("seed", "chain"), BIP32_CHAINS)
def test_bip32__test_vectors_1_to_3__are_the_librarys_keys(
    seed: bytes, chain: dict[str, str]
) -> None:
    root = BIP32.from_seed(seed)

    assert root.get_xpub_from_path(chain["path"]) == chain["public"]
    assert root.get_xpriv_from_path(chain["path"]) == chain["private"]


@pytest.mark.parametrize(("seed", "chain"), [case for case in BIP32_CHAINS if "/" not in case.id])
def test_from_seed__test_vectors_1_to_3__are_the_patients_keys(
    seed: bytes, chain: dict[str, str]
) -> None:
    key = PatientKey.from_seed(seed)

    assert key.public == chain["public"]
    assert key.extended_key() == chain["private"]


@pytest.mark.parametrize(("seed", "chain"), BIP32_CHAINS)
def test_from_extended_key__test_vectors_1_to_3__have_their_public_keys(
    seed: bytes, chain: dict[str, str]
) -> None:
    key = PatientKey.from_extended_key(chain["private"])

    assert key.public == chain["public"]
    assert key.extended_key() == chain["private"]


PUBLIC_CHILDREN = [
    (0, 1, 2, 1),
    (0, 3, 4, 2),
    (0, 4, 5, 10**9),
    (1, 0, 1, 0),
    (1, 2, 3, 1),
    (1, 4, 5, 2),
]


@pytest.mark.parametrize(("vector", "parent", "child", "step"), PUBLIC_CHILDREN)
def test_bip32__public_child_in_the_test_vectors__derives_from_the_public_parent(
    vector: int, parent: int, child: int, step: int
) -> None:
    chains = BIP32_VECTORS[vector]["chains"]
    node = BIP32.from_xpub(chains[parent]["public"])

    assert node.get_xpub_from_path([step]) == chains[child]["public"]


@pytest.mark.parametrize(("vector", "parent", "child", "step"), PUBLIC_CHILDREN)
def test_one_time_address_bytes__last_step_in_the_test_vectors__is_the_public_childs_address(
    monkeypatch: pytest.MonkeyPatch, vector: int, parent: int, child: int, step: int
) -> None:
    """BIP-32's vectors have no three steps without hardening, so only the last is ours here."""
    chains = BIP32_VECTORS[vector]["chains"]
    node, expected = (BIP32.from_xpub(chains[place]["public"]) for place in (parent, child))
    branch = patient_keys._Branch(node.chaincode, node.pubkey, PublicKey(node.pubkey))
    monkeypatch.setattr(patient_keys, "_branch", lambda *_: branch)

    found = one_time_address_bytes(chains[parent]["public"], "Invoice", step)

    assert found == keccak(PublicKey(expected.pubkey).format(compressed=False)[1:])[12:]


# Addresses


@given(seeds, kinds, numbers)
def test_one_time_address__from_the_public_key__is_the_private_keys(
    seed: bytes, kind: str, number: int
) -> None:
    wallet = PatientKey.from_seed(seed)

    found = one_time_address(wallet.public, kind, number)

    path = f"m/{BRANCHES[kind]}/{number >> 31}/{number & 0x7FFFFFFF}"
    assert found == wallet.address(kind, number)
    assert found == Account.from_key(HDPath(path).derive(seed)).address


@given(seeds, kinds, numbers)
def test_one_time_address_bytes__any_number__is_the_librarys_public_derivation(
    seed: bytes, kind: str, number: int
) -> None:
    public = PatientKey.from_seed(seed).public
    steps = [BRANCHES[kind], number >> 31, number & 0x7FFFFFFF]

    found = one_time_address_bytes(public, kind, number)

    point = PublicKey(BIP32.from_xpub(public).get_pubkey_from_path(steps))
    assert found == keccak(point.format(compressed=False)[1:])[12:]
    assert one_time_address(public, kind, number) == checksum_address(found)


@pytest.mark.parametrize("number", [0, 1, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 10**18 - 1])
def test_one_time_address__where_a_step_begins_or_ends__is_the_private_keys(number: int) -> None:
    for kind in BRANCHES:
        found = one_time_address(PATIENT.public, kind, number)

        assert found == PATIENT.address(kind, number)


@pytest.mark.parametrize("tweak", [2**256 - 1, ORDER])
def test_one_time_address__a_number_without_a_child__bad_patient_key(
    monkeypatch: pytest.MonkeyPatch, tweak: int
) -> None:
    """One in 2**127, so that no real key shows it: BIP-32 says that the number is left out."""
    digest = tweak.to_bytes(32, "big") + bytes(32)
    one_time_address(PATIENT.public, "Invoice", INVOICE_NUMBER)
    monkeypatch.setattr(patient_keys.hmac, "digest", lambda *_: digest)

    with pytest.raises(BadPatientKey) as caught:
        one_time_address(PATIENT.public, "Invoice", INVOICE_NUMBER)

    assert caught.value.problem == "has no child for this number"


def test_one_time_address__from_a_key_below_the_root__is_the_private_keys() -> None:
    chain = BIP32_VECTORS[0]["chains"][2]
    wallet = PatientKey.from_extended_key(chain["private"])

    found = one_time_address(chain["public"], "Invoice", INVOICE_NUMBER)

    assert found == wallet.address("Invoice", INVOICE_NUMBER)


def test_one_time_address__many_documents_of_one_patient__all_differ() -> None:
    around = [INVOICE_NUMBER + step for step in range(100)]
    borders = [2**31 - 1, 2**31, 2**31 + 1, 2**32, 10**18 - 1, 0, 1]
    documents = [(kind, number) for kind in BRANCHES for number in around + borders]

    found = {one_time_address(PATIENT.public, kind, number) for kind, number in documents}

    assert len(found) == len(documents) == 107 * len(BRANCHES)


@given(numbers, numbers)
def test_one_time_address__two_documents__same_address_only_for_the_same_number(
    first: int, second: int
) -> None:
    found = [one_time_address(PATIENT.public, "Invoice", number) for number in (first, second)]

    assert (found[0] == found[1]) == (first == second)


def test_one_time_address__two_patients__differ() -> None:
    stranger = PatientKey.from_seed(bytes(16))

    found = one_time_address(stranger.public, "Invoice", INVOICE_NUMBER)

    assert found != one_time_address(PATIENT.public, "Invoice", INVOICE_NUMBER)


@pytest.mark.parametrize("kind", list(BRANCHES))
@pytest.mark.parametrize("number", [0, INVOICE_NUMBER, 10**18 - 1])
def test_one_time_address__an_address__is_the_same_for_every_document(
    kind: str, number: int
) -> None:
    assert one_time_address(CONTRACT, kind, number) == CONTRACT
    assert one_time_address_bytes(CONTRACT, kind, number) == bytes.fromhex(CONTRACT[2:])


def test_one_time_address__an_address_of_digits_only__is_taken() -> None:
    assert one_time_address("0x" + "12" * 20, "Invoice", INVOICE_NUMBER) == "0x" + "12" * 20


@pytest.mark.parametrize("place", [index for index, char in enumerate(CONTRACT) if char.isalpha()])
def test_one_time_address__an_address_with_one_letter_in_the_other_case__bad_patient_key(
    place: int,
) -> None:
    mistyped = CONTRACT[:place] + CONTRACT[place].swapcase() + CONTRACT[place + 1 :]

    with pytest.raises(BadPatientKey) as caught:
        one_time_address(mistyped, "Invoice", INVOICE_NUMBER)

    assert place == 1 or caught.value.problem == "is an address with a wrong EIP-55 checksum"


def test_one_time_address__the_zero_address__bad_patient_key() -> None:
    with pytest.raises(BadPatientKey) as caught:
        one_time_address("0x" + "00" * 20, "Invoice", INVOICE_NUMBER)

    assert caught.value.problem == "is the zero address"


@pytest.mark.parametrize("form", [str.lower, lambda text: "0x" + text[2:].upper(), str])
def test_one_time_address__an_address__is_returned_in_eip_55_form(form: Any) -> None:
    found = one_time_address(form(CONTRACT), "Invoice", INVOICE_NUMBER)

    assert found == CONTRACT


@pytest.mark.parametrize(
    "text",
    [
        "",
        "xpub",
        PATIENT.public[:-1],
        PATIENT.public + "1",
        PATIENT.public[:-1] + "9",
        PATIENT.public.replace("xpub", "Xpub"),
        " " + PATIENT.public,
        PATIENT.public[:20] + "0OIl" + PATIENT.public[24:],
        "患者",
        "0x",
        "0x" + "11" * 19,
        "0x" + "11" * 21,
        "0x" + "gg" * 20,
        "11" * 20,
        CONTRACT + "\n",
        PATIENT.extended_key(),
    ],
)
def test_one_time_address__neither_public_key_nor_address__bad_patient_key(text: str) -> None:
    for act in (
        lambda: one_time_address(text, "Invoice", INVOICE_NUMBER),
        lambda: require_patient_key(text),
    ):
        with pytest.raises(BadPatientKey) as caught:
            act()

        assert caught.value.problem == "is neither an extended public key (xpub...) nor an address"


@pytest.mark.parametrize("text", [PATIENT.public, CONTRACT, CONTRACT.lower()])
def test_require_patient_key__a_key_or_address__is_accepted(text: str) -> None:
    require_patient_key(text)


@pytest.mark.parametrize(
    "text",
    ["", "xprv", PATIENT.public, PATIENT.extended_key()[:-1], PATIENT.extended_key()[:-1] + "9"],
)
def test_from_extended_key__not_a_private_key__bad_patient_key(text: str) -> None:
    with pytest.raises(BadPatientKey) as caught:
        PatientKey.from_extended_key(text)

    assert caught.value.problem == "is not an extended private key (xprv...)"


@pytest.mark.parametrize("size", [0, 1, 15, 65])
def test_from_seed__not_16_to_64_bytes__bad_patient_key(size: int) -> None:
    with pytest.raises(BadPatientKey):
        PatientKey.from_seed(bytes(size))


# Secrets


def test_patient_key__printed__shows_no_key() -> None:
    secret = PATIENT.extended_key()

    shown = repr(PATIENT) + str(PATIENT) + f"{PATIENT}"

    assert secret not in shown
    assert PATIENT.public not in shown


def test_bad_patient_key__of_a_mistyped_private_key__shows_no_part_of_it() -> None:
    mistyped = PATIENT.extended_key()[:-1] + "9"

    with pytest.raises(BadPatientKey) as caught:
        PatientKey.from_extended_key(mistyped)

    shown = f"{caught.value}{caught.value.__cause__}{caught.value.values}"
    assert mistyped[4:12] not in shown


def test_bad_patient_key__of_a_private_key_given_as_public__shows_no_part_of_it() -> None:
    with pytest.raises(BadPatientKey) as caught:
        one_time_address(PATIENT.extended_key(), "Invoice", INVOICE_NUMBER)

    shown = f"{caught.value}{caught.value.__cause__}{caught.value.values}"
    assert PATIENT.extended_key()[4:12] not in shown


def test_bad_patient_key__pickled__is_the_same_error() -> None:
    with pytest.raises(BadPatientKey) as caught:
        one_time_address("xpub", "Invoice", INVOICE_NUMBER)

    copy = pickle.loads(pickle.dumps(caught.value))

    assert (type(copy), str(copy)) == (BadPatientKey, str(caught.value))


# Signatures


@given(seeds, messages, st.integers(0, 2**64 - 1))
@settings(max_examples=50)
def test_sign__any_message__recovers_to_the_one_time_address_with_a_low_s(
    seed: bytes, case: tuple[str, PatientMessage], chain_id: int
) -> None:
    kind, message = case
    wallet = PatientKey.from_seed(seed)

    signature = wallet.sign(message, kind, chain_id, CONTRACT)

    signer = Account.recover_message(typed(message, chain_id), signature=signature)
    assert signer == one_time_address(wallet.public, kind, message.number)
    assert len(signature) == 65
    assert 0 < int.from_bytes(signature[32:64], "big") <= ORDER // 2
    assert signature[64] in {27, 28}


@given(seeds, messages)
@settings(max_examples=25)
def test_sign__any_message__is_eth_accounts_signature(
    seed: bytes, case: tuple[str, PatientMessage]
) -> None:
    kind, message = case
    path = f"m/{BRANCHES[kind]}/{message.number >> 31}/{message.number & 0x7FFFFFFF}"
    expected = Account.sign_message(typed(message), HDPath(path).derive(seed)).signature

    found = PatientKey.from_seed(seed).sign(message, kind, 31337, CONTRACT)

    assert found == bytes(expected)


@pytest.mark.parametrize(
    "other",
    [
        typed(ClaimAuthorisation(INVOICE_NUMBER, 4, 2501, 0, 1767922200)),
        typed(ClaimAuthorisation(INVOICE_NUMBER, 5, 2500, 0, 1767922200)),
        typed(ClaimAuthorisation(INVOICE_NUMBER, 4, 2500, 1, 1767922200)),
        typed(ClaimAuthorisation(INVOICE_NUMBER, 4, 2500, 0, 1767922201)),
        typed(ClaimAuthorisation(INVOICE_NUMBER + 1, 4, 2500, 0, 1767922200)),
        typed(ClaimAuthorisation(INVOICE_NUMBER, 4, 2500, 0, 1767922200, 3)),
        typed(ClaimAuthorisation(INVOICE_NUMBER, 4, 2500, 0, 1767922200, 0, True)),
        typed(ClaimAuthorisation(INVOICE_NUMBER, 4, 2500, 0, 1767922200, 0, False, CONTRACT)),
        typed(ClaimAuthorisation(INVOICE_NUMBER, 4, 2500, 0, 1767922200), chain_id=1),
        typed(
            ClaimAuthorisation(INVOICE_NUMBER, 4, 2500, 0, 1767922200), contract="0x" + "11" * 20
        ),
    ],
    ids=[
        "amount",
        "payer",
        "sequence",
        "deadline",
        "number",
        "after",
        "fixed",
        "payee",
        "chain",
        "contract",
    ],
)
def test_sign__used_for_something_else__recovers_to_a_stranger(other: Any) -> None:
    message = ClaimAuthorisation(INVOICE_NUMBER, 4, 2500, 0, 1767922200)
    signature = PATIENT.sign(message, "Invoice", 31337, CONTRACT)
    patient = PATIENT.address("Invoice", INVOICE_NUMBER)

    signer = Account.recover_message(other, signature=signature)

    assert Account.recover_message(typed(message), signature=signature) == patient
    assert signer != patient


def test_sign__same_number_of_another_kind__is_another_key() -> None:
    message = DeliveryConfirmation(PRESCRIPTION_NUMBER, 0, (24, 10, 6, 0, 0), 1767922200)

    signatures = {PATIENT.sign(message, kind, 31337, CONTRACT) for kind in BRANCHES}

    assert len(signatures) == len(BRANCHES)


# Whose signature it is


@given(st.binary(min_size=32, max_size=32), st.binary(min_size=32, max_size=32))
def test_is_by_key__any_signature_of_ours__is_of_its_key_and_digest_alone(
    digest: bytes, other: bytes
) -> None:
    signature = signature_of(KEY, digest)

    assert is_by_key(address_of_key(KEY), digest, signature)
    assert is_by_key(address_of_key(KEY), other, signature) == (other == digest)
    assert not is_by_key(CONTRACT, digest, signature)


def test_is_by_key__spoiled_or_twin__is_false() -> None:
    digest = keccak(b"what is signed")
    signature = signature_of(KEY, digest)
    r, s, v = signature[:32], int.from_bytes(signature[32:64]), signature[64]
    twin = r + (ORDER - s).to_bytes(32) + bytes([55 - v])

    # The twin is by the same key, for whoever does not look at s.
    recoverable = twin[:64] + bytes([twin[64] - 27])
    found = PublicKey.from_signature_and_message(recoverable, digest, hasher=None)
    assert found == PublicKey.from_secret(KEY)
    for bad in (
        twin,
        signature[:64] + bytes([55 - v]),
        signature[:64] + bytes([v - 27]),
        signature[:64],
        signature + b"\0",
        b"",
        bytes(65),
        bytes(64) + b"\x1b",
        b"\xff" * 32 + signature[32:],
    ):
        assert not is_by_key(address_of_key(KEY), digest, bad)


@pytest.mark.parametrize(("s", "expected"), [(ORDER // 2, True), (ORDER // 2 + 1, False)])
def test_is_by_key__s_at_the_middle_of_the_order__is_the_last_that_counts(
    s: int, expected: bool
) -> None:
    digest = keccak(b"what is signed")
    signature = signature_of(KEY, digest)[:32] + s.to_bytes(32) + b"\x1b"
    recoverable = signature[:64] + b"\0"
    found = PublicKey.from_signature_and_message(recoverable, digest, hasher=None)
    address = checksum_address(keccak(found.format(compressed=False)[1:])[12:])

    assert is_by_key(address, digest, signature) == expected
