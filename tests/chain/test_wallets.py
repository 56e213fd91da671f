"""Who signed: a key, or a contract wallet that is asked, as the contracts judge it."""

from __future__ import annotations

import pytest

from medledger.chain.rpc import Rpc
from medledger.chain.wallets import MAGIC, is_signed_by
from medledger.core.hashing import checksum_address, keccak256
from medledger.core.patient_keys import address_of_key, signature_of

KEY, DIGEST = keccak256(b"key"), keccak256(b"what is signed")
WALLET = checksum_address(keccak256(b"wallet")[:20])
REVERT = bytes.fromhex("60006000fd")


def answering(word: bytes) -> bytes:
    """The code of a contract that answers every call with a word of 32 bytes."""
    return b"\x7f" + word + bytes.fromhex("60005260206000f3")


def only_for(digest: bytes) -> bytes:
    """The code of a wallet that says yes to one digest alone, the first argument of the call."""
    # Load it, compare, and jump over the refusal to byte 0x2d.
    compare = bytes.fromhex("6004357f") + digest + bytes.fromhex("14602d57") + REVERT
    yes = b"\x5b" + answering(MAGIC.ljust(32, b"\0"))
    return compare + yes


def test_is_signed_by__a_key__is_true_of_its_own_signature_alone(rpc: Rpc) -> None:
    signature = signature_of(KEY, DIGEST)

    assert is_signed_by(rpc, address_of_key(KEY), DIGEST, signature)
    assert not is_signed_by(rpc, WALLET, DIGEST, signature)
    assert not is_signed_by(rpc, address_of_key(KEY), keccak256(b"another"), signature)


def test_is_signed_by__a_contract_wallet__is_what_it_answers(rpc: Rpc) -> None:
    rpc.request("anvil_setCode", WALLET, "0x" + only_for(DIGEST).hex())

    assert is_signed_by(rpc, WALLET, DIGEST, b"of any length")
    assert not is_signed_by(rpc, WALLET, keccak256(b"another"), b"of any length")


@pytest.mark.parametrize(
    "code",
    [
        REVERT,
        bytes.fromhex("00"),
        answering(bytes(32)),
        answering((1).to_bytes(32)),
        answering(MAGIC.rjust(32, b"\0")),
        answering(MAGIC + bytes([1]) * 28),
    ],
    ids=["reverts", "says nothing", "zero", "true", "at the wrong end", "with more"],
)
def test_is_signed_by__a_contract_that_answers_anything_else__is_false(
    rpc: Rpc, code: bytes
) -> None:
    rpc.request("anvil_setCode", WALLET, "0x" + code.hex())

    assert not is_signed_by(rpc, WALLET, DIGEST, signature_of(KEY, DIGEST))
