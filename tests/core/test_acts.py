"""Acts of institutions as files: what is written is read back, and nothing else is."""

from __future__ import annotations

import json
from typing import Any

import pytest

from medledger.core.acts import Act
from medledger.core.hashing import BatchEndorsement, OperatorConsent, signing_digest
from medledger.core.patient_keys import address_of_key
from medledger.errors import ActMismatch, MalformedAct

CONTRACT = "0x5FbDB2315678afecb367f032d93F642f64180aa3"
KEY = bytes(31) + b"\x07"
ENDORSEMENT = Act(BatchEndorsement(1, 460601260000000017, 2, b"\x09" * 32, 99), 31337, CONTRACT)
CONSENT = Act(OperatorConsent(2, 99), 31337, CONTRACT)


def raw(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))


def test_signed__each_act__is_the_vectors_signature(vectors: dict[str, Any]) -> None:
    kinds = {"BatchEndorsement": BatchEndorsement, "OperatorConsent": OperatorConsent}
    for vector in vectors["acts"]:
        values = {
            name: raw(value) if name == "root" else int(value)
            for name, value in vector["message"].items()
        }
        act = Act(kinds[vector["type"]](**values), int(vector["chainId"]), vector["contract"])

        signed = act.signed(raw(vector["key"]))

        assert act.message.struct_hash() == raw(vector["structHash"])
        assert signing_digest(act.message, act.chain_id, act.contract) == raw(vector["digest"])
        assert (signed.signer, signed.signature) == (vector["signer"], raw(vector["signature"]))


@pytest.mark.parametrize("act", [ENDORSEMENT, CONSENT], ids=["endorsement", "consent"])
def test_from_json__what_was_written__is_the_same(act: Act) -> None:
    for written in (act, act.signed(KEY)):
        assert Act.from_json(written.to_json()) == written
    assert act.signed(KEY).signer == address_of_key(KEY)


@pytest.mark.parametrize(
    "changes",
    [
        {"format": "medledger-act-2"},
        {"type": "ClaimAuthorisation"},
        {"chainId": "31337"},
        {"chainId": -1},
        {"contract": CONTRACT[:-2]},
        {"signer": CONTRACT},
        {"signature": "0x00"},
        {"signer": CONTRACT, "signature": "0x"},
        {"signer": 7, "signature": "0x00"},
        {"message": {}},
        {"message": None},
        {"message": {"institution": True, "deadline": 99}},
        {"message": {"institution": 2**32, "deadline": 99}},
        {"message": {"institution": 2, "deadline": 2**64}},
        {"message": {"institution": 2, "deadline": 99, "more": 1}},
        {"more": 1},
    ],
    ids=str,
)
def test_from_json__anything_else__is_malformed(changes: dict[str, Any]) -> None:
    file = json.loads(CONSENT.to_json()) | changes

    with pytest.raises(MalformedAct):
        Act.from_json(json.dumps(file))


@pytest.mark.parametrize("text", ["", "[]", "1", '{"format": "medledger-act-1"}'])
def test_from_json__no_act_at_all__is_malformed(text: str) -> None:
    with pytest.raises(MalformedAct):
        Act.from_json(text)


def test_from_json__short_root__is_malformed() -> None:
    file = json.loads(ENDORSEMENT.to_json())
    file["message"]["root"] = "0x09"

    with pytest.raises(MalformedAct):
        Act.from_json(json.dumps(file))


def test_message_as__another_kind__is_malformed() -> None:
    assert CONSENT.message_as(OperatorConsent) == CONSENT.message
    with pytest.raises(MalformedAct, match="is a OperatorConsent, expected a BatchEndorsement"):
        CONSENT.message_as(BatchEndorsement)


def test_require__not_signed_or_for_another_contract__is_a_mismatch() -> None:
    CONSENT.require_for(31337, [CONTRACT])
    CONSENT.signed(KEY).require_signed()
    with pytest.raises(ActMismatch, match="not signed"):
        CONSENT.require_signed()
    with pytest.raises(ActMismatch, match=r"on chain 1$"):
        CONSENT.require_for(1, [CONTRACT])
    with pytest.raises(ActMismatch, match="is for 0x5FbDB"):
        CONSENT.require_for(31337, [])
