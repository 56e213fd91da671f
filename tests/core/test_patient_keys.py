"""One-time patient addresses: BIP-32, and what a patient signs."""

from __future__ import annotations

import json
import pickle
from typing import Any

import pytest
from bip32 import BIP32
from eth_account import Account
from eth_account.hdaccount.deterministic import HDPath
from eth_account.messages import encode_typed_data
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.core.samples import INVOICE_NUMBER, PATIENT, PRESCRIPTION_NUMBER, VECTORS, numbers
from tests.vectors.make_vectors import BRANCHES, MESSAGE_TYPES, domain

from medledger.core.hashing import (
    AcceptAuthorisation,
    ClaimAuthorisation,
    DeliveryConfirmation,
    PatientMessage,
)
from medledger.core.patient_keys import PatientKey, one_time_address
from medledger.errors import BadPatientKey

ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
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
            DeliveryConfirmation, numbers, st.integers(0, 2**16 - 1), st.integers(0, 2**64 - 1)
        ),
    ),
)


def typed(message: PatientMessage, chain_id: int = 31337, contract: str = CONTRACT) -> Any:
    name = type(message).__name__
    values = {field: getattr(message, field) for field in message.__dataclass_fields__}
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


@pytest.mark.parametrize(
    ("vector", "parent", "child", "step"),
    [(0, 1, 2, 1), (0, 3, 4, 2), (0, 4, 5, 10**9), (1, 0, 1, 0)],
)
def test_bip32__public_child_in_the_test_vectors__derives_from_the_public_parent(
    vector: int, parent: int, child: int, step: int
) -> None:
    chains = BIP32_VECTORS[vector]["chains"]
    node = BIP32.from_xpub(chains[parent]["public"])

    assert node.get_xpub_from_path([step]) == chains[child]["public"]


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

    assert len(found) == len(documents) == 214


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
    with pytest.raises(BadPatientKey) as caught:
        one_time_address(text, "Invoice", INVOICE_NUMBER)

    assert caught.value.problem == "is neither an extended public key (xpub...) nor an address"


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
        typed(ClaimAuthorisation(INVOICE_NUMBER, 4, 2500, 0, 1767922200), chain_id=1),
        typed(
            ClaimAuthorisation(INVOICE_NUMBER, 4, 2500, 0, 1767922200), contract="0x" + "11" * 20
        ),
    ],
    ids=["amount", "payer", "sequence", "deadline", "number", "chain", "contract"],
)
def test_sign__used_for_something_else__recovers_to_a_stranger(other: Any) -> None:
    message = ClaimAuthorisation(INVOICE_NUMBER, 4, 2500, 0, 1767922200)
    signature = PATIENT.sign(message, "Invoice", 31337, CONTRACT)
    patient = PATIENT.address("Invoice", INVOICE_NUMBER)

    signer = Account.recover_message(other, signature=signature)

    assert Account.recover_message(typed(message), signature=signature) == patient
    assert signer != patient


def test_sign__same_number_of_another_kind__is_another_key() -> None:
    message = DeliveryConfirmation(PRESCRIPTION_NUMBER, 0, 1767922200)

    signatures = {PATIENT.sign(message, kind, 31337, CONTRACT) for kind in BRANCHES}

    assert len(signatures) == 2
