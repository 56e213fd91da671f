"""What every journal does (`core.transactions.Journal`), as tests over a `journal` fixture.

class TestMine(JournalContract):
    @pytest.fixture
    def journal(self) -> Journal: ...
"""

from __future__ import annotations

from dataclasses import replace
from typing import NoReturn

import pytest
from tests.store.samples import INTENT, OTHER_SIGNER, SIGNER, attempt, digest, signing

from medledger.core.transactions import Intent, Journal, Stage, Transaction
from medledger.errors import NotFound

MINED = {"mined_hash": attempt(0).hash, "block": 7, "block_hash": digest("block", 7)}
NOT_MINED = {"mined_hash": None, "block": None, "block_hash": None}


def add(journal: Journal, signer: str = SIGNER, mark: object = "") -> Transaction:
    return journal.add(signer, INTENT, signing(mark))


def mined(journal: Journal, block: int = 7, signer: str = SIGNER) -> Transaction:
    return journal.mark_mined(
        add(journal, signer).id, digest("hash"), block, digest("block", block)
    )


def final(journal: Journal, block: int = 7, signer: str = SIGNER) -> Transaction:
    return journal.mark_final(mined(journal, block, signer).id)


def in_stage(journal: Journal, stage: Stage) -> Transaction:
    if stage is Stage.SIGNED:
        return add(journal)
    if stage is Stage.MINED:
        return mined(journal)
    if stage is Stage.FINAL:
        return final(journal)
    return journal.mark_failed(add(journal).id, "refused", b"\x01")


def refuse(nonce: int) -> NoReturn:
    raise RuntimeError("cannot sign")


class JournalContract:
    # Nonces

    def test_next_nonce__of_a_new_signer__is_unknown(self, journal: Journal) -> None:
        assert journal.next_nonce(SIGNER) is None

    def test_add__first_and_further__gives_nonces_from_0_per_signer(self, journal: Journal) -> None:
        added = [add(journal, signer) for signer in (SIGNER, SIGNER, OTHER_SIGNER)]

        assert [found.nonce for found in added] == [0, 1, 0]
        assert journal.next_nonce(SIGNER) == 2
        assert journal.next_nonce(OTHER_SIGNER) == 1

    @pytest.mark.parametrize(("at_least", "left"), [(0, 2), (2, 2), (9, 9)])
    def test_raise_nonce__of_a_known_signer__is_never_lowered(
        self, at_least: int, left: int, journal: Journal
    ) -> None:
        add(journal)
        add(journal)

        journal.raise_nonce(SIGNER, at_least)

        assert journal.next_nonce(SIGNER) == left
        assert add(journal).nonce == left

    def test_raise_nonce__of_a_new_signer__is_its_first(self, journal: Journal) -> None:
        journal.raise_nonce(SIGNER, 5)

        assert add(journal).nonce == 5
        assert journal.next_nonce(OTHER_SIGNER) is None

    # What is added

    def test_add__a_transaction__is_found_with_all_it_had(self, journal: Journal) -> None:
        intent = Intent(to="", data=b"\x00\xff", name="Deploy", gas=2**40, value=2**200)
        fees = {"max_fee": 2**200, "tip": 2**100}

        added = journal.add(SIGNER, intent, lambda nonce: attempt(nonce, **fees))

        assert added == Transaction(added.id, SIGNER, 0, intent, (attempt(0, **fees),))
        assert journal.transaction(added.id) == added

    def test_add__a_legacy_transaction__has_no_tip(self, journal: Journal) -> None:
        added = journal.add(SIGNER, INTENT, lambda nonce: attempt(nonce, max_fee=0, tip=None))

        (found,) = journal.transaction(added.id).attempts
        assert (found.max_fee, found.tip, found.is_cancellation) == (0, None, False)

    def test_add__the_signing_fails__takes_no_nonce(self, journal: Journal) -> None:
        add(journal)

        with pytest.raises(RuntimeError, match="cannot sign"):
            journal.add(SIGNER, INTENT, refuse)

        assert journal.next_nonce(SIGNER) == 1
        assert len(journal.unfinished()) == 1

    def test_transaction__unknown__is_not_found(self, journal: Journal) -> None:
        add(journal)

        with pytest.raises(NotFound, match="transaction 999"):
            journal.transaction(999)

    # Gaps

    def test_fill__a_gap__is_a_transaction_with_its_nonce(self, journal: Journal) -> None:
        journal.raise_nonce(SIGNER, 5)
        above = add(journal)

        filled = journal.fill(SIGNER, 3, INTENT, signing("gap"))

        assert (filled.nonce, filled.attempts) == (3, (attempt(3, "gap"),))
        assert journal.next_nonce(SIGNER) == 6
        assert journal.unfinished(SIGNER) == [filled, above]

    def test_fill__above_the_next_nonce__raises_it(self, journal: Journal) -> None:
        filled = journal.fill(SIGNER, 4, INTENT, signing())

        assert filled.nonce == 4
        assert add(journal).nonce == 5

    @pytest.mark.parametrize("stage", Stage)
    def test_fill__a_nonce_that_is_given__is_what_has_it(
        self, stage: Stage, journal: Journal
    ) -> None:
        found = in_stage(journal, stage)

        filled = journal.fill(SIGNER, found.nonce, INTENT, refuse)

        assert filled == found
        assert journal.next_nonce(SIGNER) == 1

    # More forms

    def test_add_attempt__of_a_signed_one__comes_after_the_others(self, journal: Journal) -> None:
        added = add(journal)
        bumped, cancelled = attempt(0, "bump", max_fee=8), attempt(0, "x", is_cancellation=True)

        journal.add_attempt(added.id, bumped)
        found = journal.add_attempt(added.id, cancelled)

        assert found == replace(added, attempts=(attempt(0), bumped, cancelled))
        assert journal.transaction(added.id) == found

    def test_add_attempt__the_same_again__changes_nothing(self, journal: Journal) -> None:
        added = add(journal)

        assert journal.add_attempt(added.id, attempt(0)) == added

    def test_add_attempt__of_a_nonce_that_it_has_no_more__changes_nothing(
        self, journal: Journal
    ) -> None:
        added = add(journal)
        moved = journal.renonce(added.id, 0, signing())

        assert journal.add_attempt(added.id, attempt(0, "bump")) == moved

    @pytest.mark.parametrize("stage", [Stage.MINED, Stage.FINAL, Stage.FAILED])
    def test_add_attempt__no_longer_signed__changes_nothing(
        self, stage: Stage, journal: Journal
    ) -> None:
        found = in_stage(journal, stage)

        assert journal.add_attempt(found.id, attempt(found.nonce, "bump")) == found

    # Another nonce

    @pytest.mark.parametrize("stage", [Stage.SIGNED, Stage.FAILED])
    def test_renonce__one_that_can_never_be_mined__has_the_next_nonce(
        self, stage: Stage, journal: Journal
    ) -> None:
        found = in_stage(journal, stage)
        add(journal)

        moved = journal.renonce(found.id, found.nonce, signing("again"))

        forms = (*found.attempts, attempt(2, "again"))
        assert moved == Transaction(found.id, SIGNER, 2, INTENT, forms)
        assert journal.transaction(found.id) == moved
        assert journal.next_nonce(SIGNER) == 3
        assert journal.unfinished(SIGNER)[-1] == moved

    def test_renonce__by_two_at_once__happens_once(self, journal: Journal) -> None:
        found = add(journal)

        first, second = (journal.renonce(found.id, 0, signing(mark)) for mark in "ab")

        assert first == second == journal.transaction(found.id)
        assert first.nonce == 1
        assert journal.next_nonce(SIGNER) == 2

    @pytest.mark.parametrize("stage", [Stage.MINED, Stage.FINAL])
    def test_renonce__on_chain__changes_nothing(self, stage: Stage, journal: Journal) -> None:
        found = in_stage(journal, stage)

        assert journal.renonce(found.id, found.nonce, refuse) == found
        assert journal.next_nonce(SIGNER) == 1

    def test_renonce__its_old_nonce__may_be_filled(self, journal: Journal) -> None:
        found = add(journal)
        journal.renonce(found.id, 0, signing())

        filled = journal.fill(SIGNER, 0, INTENT, signing("gap"))

        assert filled.id != found.id
        assert [one.nonce for one in journal.unfinished(SIGNER)] == [0, 1]

    # Stages

    def test_mark_mined__a_signed_one__says_where(self, journal: Journal) -> None:
        found = journal.mark_signed(add(journal).id, "waits", b"\x08\xc3")

        marked = journal.mark_mined(found.id, *MINED.values())  # type: ignore[arg-type]

        assert marked == replace(found, stage=Stage.MINED, **MINED)  # type: ignore[arg-type]
        assert (marked.problem, marked.revert_data) == ("waits", b"\x08\xc3")
        assert journal.transaction(found.id) == marked

    def test_mark_mined__in_another_block__says_where_now(self, journal: Journal) -> None:
        found = mined(journal, 7)

        marked = journal.mark_mined(found.id, digest("other"), 8, digest("block", 8))

        assert (marked.block, marked.block_hash) == (8, digest("block", 8))
        assert (marked.mined_hash, marked.stage) == (digest("other"), Stage.MINED)

    @pytest.mark.parametrize("stage", [Stage.FINAL, Stage.FAILED])
    def test_mark_mined__at_its_end__changes_nothing(self, stage: Stage, journal: Journal) -> None:
        found = in_stage(journal, stage)

        assert journal.mark_mined(found.id, digest("x"), 9, digest("y")) == found

    @pytest.mark.parametrize("stage", [Stage.SIGNED, Stage.MINED, Stage.FINAL])
    def test_mark_signed__not_failed__is_on_its_way_again(
        self, stage: Stage, journal: Journal
    ) -> None:
        found = in_stage(journal, stage)

        marked = journal.mark_signed(found.id, "reorganised away", b"\x01")

        expected = replace(found, stage=Stage.SIGNED, **NOT_MINED)  # type: ignore[arg-type]
        assert marked == replace(expected, problem="reorganised away", revert_data=b"\x01")
        assert journal.transaction(found.id) == marked
        assert journal.unfinished(SIGNER) == [marked]
        assert journal.last_final(SIGNER) is None

    def test_mark_signed__without_a_problem__clears_it(self, journal: Journal) -> None:
        found = journal.mark_signed(add(journal).id, "waits", b"\x01")

        marked = journal.mark_signed(found.id)

        assert (marked.problem, marked.revert_data) == ("", b"")

    def test_mark_signed__failed__changes_nothing(self, journal: Journal) -> None:
        found = in_stage(journal, Stage.FAILED)

        assert journal.mark_signed(found.id, "again") == found

    def test_mark_final__mined__is_done(self, journal: Journal) -> None:
        waiting = journal.mark_signed(add(journal).id, "waits", b"\x01")
        found = journal.mark_mined(waiting.id, *MINED.values())  # type: ignore[arg-type]

        marked = journal.mark_final(found.id)

        assert marked == replace(found, stage=Stage.FINAL, problem="", revert_data=b"")
        assert journal.transaction(found.id) == marked
        assert journal.unfinished() == []

    @pytest.mark.parametrize("stage", [Stage.SIGNED, Stage.FAILED, Stage.FINAL])
    def test_mark_final__not_mined__changes_nothing(self, stage: Stage, journal: Journal) -> None:
        found = in_stage(journal, stage)

        assert journal.mark_final(found.id) == found

    @pytest.mark.parametrize("stage", [Stage.SIGNED, Stage.MINED])
    def test_mark_failed__unfinished__says_why(self, stage: Stage, journal: Journal) -> None:
        found = in_stage(journal, stage)

        marked = journal.mark_failed(found.id, "refused: 复诊", b"\x00\x01")

        assert marked == replace(
            found, stage=Stage.FAILED, problem="refused: 复诊", revert_data=b"\x00\x01"
        )
        assert journal.transaction(found.id) == marked
        assert journal.unfinished() == []

    @pytest.mark.parametrize("stage", [Stage.FINAL, Stage.FAILED])
    def test_mark_failed__at_its_end__changes_nothing(self, stage: Stage, journal: Journal) -> None:
        found = in_stage(journal, stage)

        assert journal.mark_failed(found.id, "another problem") == found

    def test_mark__unknown__is_not_found(self, journal: Journal) -> None:
        for act in (
            lambda: journal.mark_final(5),
            lambda: journal.mark_failed(5, ""),
            lambda: journal.mark_signed(5),
            lambda: journal.mark_mined(5, b"", 1, b""),
            lambda: journal.add_attempt(5, attempt(0)),
            lambda: journal.renonce(5, 0, signing()),
        ):
            with pytest.raises(NotFound, match="transaction 5"):
                act()

    # Lists

    def test_unfinished__of_several__by_signer_and_nonce(self, journal: Journal) -> None:
        of_other = [add(journal, OTHER_SIGNER) for _ in range(2)]
        of_signer = [add(journal) for _ in range(12)]
        journal.mark_failed(of_signer[0].id, "refused")
        on_chain = journal.mark_mined(of_signer[1].id, digest("x"), 1, digest("y"))
        expected = [on_chain, *of_signer[2:]]

        assert journal.unfinished() == [*expected, *of_other]
        assert journal.unfinished(SIGNER) == expected
        assert journal.unfinished(SIGNER, 3) == expected[:3]
        assert journal.unfinished(limit=12) == [*expected, of_other[0]]
        assert journal.unfinished("0xnobody") == []

    def test_unfinished__with_several_forms__counts_transactions(self, journal: Journal) -> None:
        first, second, _ = (add(journal) for _ in range(3))
        for mark in range(3):
            first = journal.add_attempt(first.id, attempt(0, mark))

        assert journal.unfinished(SIGNER, 2) == [first, second]

    def test_final_since__a_block__gives_it_and_above_by_nonce(self, journal: Journal) -> None:
        found = [final(journal, block) for block in (9, 5, 7)]
        mined(journal, 9)

        assert journal.final_since(SIGNER, 7) == [found[0], found[2]]
        assert journal.final_since(SIGNER, 10) == []
        assert journal.final_since(OTHER_SIGNER, 0) == []

    def test_final_since__of_all_signers__by_signer_and_nonce(self, journal: Journal) -> None:
        of_other = [final(journal, block, signer=OTHER_SIGNER) for block in (8, 3)]
        found = [final(journal, block) for block in (9, 5, 7)]

        assert journal.final_since(None, 7) == sorted(
            [found[0], found[2], of_other[0]], key=lambda one: (one.signer, one.nonce)
        )
        assert journal.final_since(None, 10) == []

    def test_last_final__of_all_signers__is_in_the_highest_block(self, journal: Journal) -> None:
        assert journal.last_final(None) is None
        final(journal, 5)
        highest = final(journal, 9, signer=OTHER_SIGNER)
        lower = final(journal, 7)

        assert journal.last_final(None) == highest
        journal.mark_signed(highest.id)
        assert journal.last_final(None) == lower

    def test_last_final__up_to_a_block__is_no_higher(self, journal: Journal) -> None:
        found = [final(journal, block) for block in (5, 9, 7)]

        assert journal.last_final(SIGNER, 9) == found[1]
        assert journal.last_final(None, 8) == found[2]
        assert journal.last_final(None, 4) is None

    def test_last_final__of_several__is_in_the_highest_block(self, journal: Journal) -> None:
        assert journal.last_final(SIGNER) is None
        found = [final(journal, block) for block in (5, 9, 7)]
        mined(journal, 11)

        assert journal.last_final(SIGNER) == found[1]
        assert journal.last_final(OTHER_SIGNER) is None
