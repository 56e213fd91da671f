"""Locks that are taken to keep others out: five payers, or locks of a cent, renewed or left behind.

A bill has room for five open locks. Payers who lock and do nothing would keep every other payer,
and the hospital's red letter, away from it.

The answer: a lock ends by itself after the lock period, with nobody's help; each lock, and each
renewal, needs a signature of the patient's own, who can also take one back at once.

Without it a lock would last until its payer gives it up. That the locks do keep others out until
then is what each test shows first.
"""

from __future__ import annotations

import pytest

from medledger.core.states import Status

REASON = 12
FAR_FUTURE = 4_102_444_800


def test_lock__five_payers__the_sixth_is_refused_until_one_leaves(
    claims, open_bill, payers, lock, settle, deny, refused
):
    number = open_bill(claimable=10_000)
    for account in payers[:5]:
        lock(number, account, 100)
    assert claims.usageOf(number) == (500, 0)

    with refused(claims.TooManyLocks, number=number):
        lock(number, payers[5], 100)
    settle(number, payers[2], 100)
    lock(number, payers[5], 100)
    assert claims.usageOf(number) == (500, 100)
    deny(number, payers[0])
    lock(number, payers[0], 50, sequence=1)
    assert claims.usageOf(number) == (450, 100)


def test_lock__five_locks_expired__sixth_payer_finds_all_free(
    claims, open_bill, payers, lock, until_of, refused, chain
):
    number = open_bill(claimable=800)
    for account in payers[:5]:
        lock(number, account, 100)
    second_until, last_until = until_of(number, payers[1]), until_of(number, payers[4])

    chain.pending_timestamp = second_until
    with refused(claims.TooManyLocks, number=number):
        lock(number, payers[5], 100)
    chain.pending_timestamp = last_until + 1
    lock(number, payers[5], 800)

    assert claims.usageOf(number) == (800, 0)


def test_lock__locks_that_end_one_after_another__free_one_after_another(
    claims, open_bill, payers, lock, until_of, chain
):
    number = open_bill(claimable=600)
    start = chain.pending_timestamp + 100
    for place, account in enumerate(payers[:5]):
        chain.pending_timestamp = start + 10 * place
        lock(number, account, 2**place)
    ends = [until_of(number, account) for account in payers[:5]]

    for place, end in enumerate(ends):
        chain.mine(timestamp=end)
        assert claims.usageOf(number) == (sum(2**later for later in range(place, 5)), 0)
        chain.mine(timestamp=end + 1)
        assert claims.usageOf(number) == (sum(2**later for later in range(place + 1, 5)), 0)


def test_lock__five_locks_of_a_cent__the_patient_takes_one_back(
    claims, ids, open_bill, payers, stranger, lock, sign_withdrawal, refused
):
    number = open_bill(claimable=10_000)
    for account in payers[:5]:
        lock(number, account, 1)
    with refused(claims.TooManyLocks, number=number):
        lock(number, payers[5], 9_995)

    taken_back = sign_withdrawal(number, payers[2], REASON)
    claims.withdraw(number, ids[payers[2]], REASON, FAR_FUTURE, taken_back, sender=stranger)
    lock(number, payers[5], 9_995)

    assert claims.claimOf(number, ids[payers[2]]).status == Status.WITHDRAWN
    assert claims.usageOf(number) == (9_999, 0)


@pytest.mark.parametrize("place", [0, 4], ids=["first lock", "fifth lock"])
def test_lock__without_the_patients_signature__takes_no_place(
    claims, open_bill, payers, lock, sign_claim, lock_with, not_authorised, stranger_patient, place
):
    number = open_bill()
    for account in payers[:place]:
        lock(number, account, 1)
    forged = sign_claim(number, payers[place], 1_000, key=stranger_patient)

    not_authorised(number, lambda: lock_with(number, payers[place], forged))
    lock(number, payers[5], 1)

    assert claims.usageOf(number) == (place + 1, 0)


def test_lock__renewed_by_a_payer_that_lets_it_expire__needs_the_patient_anew(
    claims, open_bill, payer, other_payer, sign_claim, lock_with, lock, until_of, chain,
    not_authorised,
):  # fmt: skip
    number = open_bill(claimable=1_000)
    signature = sign_claim(number, payer, 1_000)
    lock_with(number, payer, signature)
    chain.mine(timestamp=until_of(number, payer) + 1)

    not_authorised(number, lambda: lock_with(number, payer, signature))
    lock(number, other_payer, 1_000)

    assert claims.usageOf(number) == (1_000, 0)
