"""The twin of a signature: other bytes, valid for the same digest by the same key.

Of each ECDSA signature (r, s) there is a second, (r, n - s), and once there was a short form of 64
bytes. Anybody can compute them from the first.

The answer: only low s and 65 bytes pass, and a use is counted by the bill's sequence, never by the
signature's bytes.

Without it, a contract that remembers which signatures were used would take each twice: the first
test shows it.
"""

from __future__ import annotations

from ape import reverts
from eth_abi import encode
from eth_account import Account
from tests.attacks.forging import CURVE_ORDER, high_s_twin

from medledger.core.hashing import keccak256


def test_lock__naive_contract_that_remembers_signatures__takes_the_twin_too(
    compiled, payer, stranger
):
    key = Account.from_key(keccak256(b"a patient's key"))
    digest = keccak256(encode(["uint64", "uint64"], [7, 1_000]))
    signature = bytes(key.unsafe_sign_hash(digest).signature)
    naive = compiled["NaiveClaims"].deploy(sender=stranger)
    naive.lockOnce(7, 1_000, key.address, signature, sender=payer)

    with reverts("used"):
        naive.lockOnce(7, 1_000, key.address, signature, sender=payer)
    naive.lockOnce(7, 1_000, key.address, high_s_twin(signature), sender=payer)

    assert naive.lockedOf(7) == 2_000


def test_lock__high_s_twin_of_a_valid_signature__is_refused(
    claims, open_bill, payer, sign_claim, lock_with, not_authorised
):
    number = open_bill()
    signature = sign_claim(number, payer, 1_000)
    twin = high_s_twin(signature)
    assert int.from_bytes(twin[32:64], "big") > CURVE_ORDER // 2

    not_authorised(number, lambda: lock_with(number, payer, twin))
    lock_with(number, payer, signature)
    assert claims.usageOf(number) == (1_000, 0)


def test_lock__damaged_signature__is_refused(
    open_bill, payer, sign_claim, lock_with, not_authorised
):
    number = open_bill()
    good = sign_claim(number, payer, 1_000)
    flipped = bytes([good[0] ^ 1]) + good[1:]
    other_v = good[:64] + bytes([27 + 28 - good[64]])
    # EIP-2098's short form was once accepted by the checker, and gave each signature a twin.
    short = good[:32] + bytes([good[32] | (good[64] - 27) << 7]) + good[33:64]

    for damaged in (b"", bytes(65), good[:64], good + b"\0", flipped, other_v, short):
        not_authorised(number, lambda damaged=damaged: lock_with(number, payer, damaged))
