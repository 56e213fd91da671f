"""The journal in memory: what it forgets. What all journals promise is tested with the store."""

from __future__ import annotations

import pytest

from medledger.chain.sender import MemoryJournal
from medledger.core.transactions import Attempt, Intent, Stage, Transaction
from medledger.errors import NotFound

SIGNER = "0x" + 40 * "a"
INTENT = Intent("0x" + 40 * "b", b"", "Invoices.issue", 21_000)


def sign(nonce: int) -> Attempt:
    return Attempt(nonce.to_bytes(32, "big"), b"raw", nonce, 0, 0)


def finished(journal: MemoryJournal, block: int) -> Transaction:
    found = journal.add(SIGNER, INTENT, sign)
    journal.mark_mined(found.id, found.attempts[0].hash, block, bytes(32))
    return journal.mark_final(found.id)


def test_mark_final__more_than_are_kept__the_oldest_are_forgotten_and_nothing_open() -> None:
    journal = MemoryJournal(kept=3)
    waiting = journal.add(SIGNER, INTENT, sign)

    ended = [finished(journal, block) for block in range(1, 6)]

    assert journal.final_since(SIGNER, 0) == ended[2:]
    assert journal.last_final(SIGNER) == ended[-1]
    with pytest.raises(NotFound):
        journal.transaction(ended[0].id)
    assert journal.unfinished() == [waiting]
    assert journal.next_nonce(SIGNER) == 6


def test_last_final__the_highest_is_forgotten__the_highest_of_the_others() -> None:
    journal = MemoryJournal(kept=2)
    finished(journal, 9)

    ended = [finished(journal, block) for block in (4, 3)]

    assert journal.last_final(SIGNER) == ended[0]


def test_last_final__taken_back__the_one_before() -> None:
    journal = MemoryJournal()
    first, second = finished(journal, 1), finished(journal, 2)

    back = journal.mark_signed(second.id)

    assert back.stage is Stage.SIGNED
    assert journal.last_final(SIGNER) == first
    assert journal.unfinished(SIGNER) == [back]


def test_add__signing_fails__no_nonce_is_used() -> None:
    journal = MemoryJournal()

    def refuse(nonce: int) -> Attempt:
        raise ValueError(nonce)

    with pytest.raises(ValueError, match="0"):
        journal.add(SIGNER, INTENT, refuse)

    assert journal.unfinished() == []
    assert journal.add(SIGNER, INTENT, sign).nonce == 0
