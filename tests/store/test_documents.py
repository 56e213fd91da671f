"""Batches, documents, segments and the outbox: whole batches or nothing, on both databases."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from tests.store.samples import (
    FIRST,
    INTENT,
    LAST,
    LEDGER,
    OTHER_LEDGER,
    OTHER_SIGNER,
    SIGNER,
    add,
    attempt,
    batch,
    content,
    digest,
    document,
    documents,
    explained,
    leaves,
    segment,
    signing,
)

from medledger.core.transactions import Stage
from medledger.errors import DuplicateBusinessKey, NotFound, StoreError
from medledger.store import (
    BatchRow,
    DocumentStore,
    NumbersTaken,
    SetAside,
    StoredDocument,
)

SINCE = 1_800_000_000


def issue(store: DocumentStore, first: int) -> None:
    store.mark_issued(LEDGER, first, issued_at=SINCE, block=77, transaction=digest("mined"))


def aside(key: str, ledger: str = LEDGER, id_: int = 0, draft: bytes | None = b"draft") -> SetAside:
    return SetAside(id_, ledger, "invoice", key, draft, "InvalidDocument", "has no lines", SINCE)


# Segments


def test_save_segment__new__is_stored(store: DocumentStore) -> None:
    given = segment()

    assert store.save_segment(given) == given
    assert store.segment(LEDGER, 1) == given
    assert store.segment(LEDGER, 2) is None
    assert store.segment(OTHER_LEDGER, 1) is None


@pytest.mark.parametrize(("stored", "given", "left"), [(5, 9, 9), (9, 5, 9), (5, 5, 5)])
def test_save_segment__known__keeps_the_higher_next(
    stored: int, given: int, left: int, store: DocumentStore
) -> None:
    store.save_segment(segment(next_=FIRST + stored))

    found = store.save_segment(segment(next_=FIRST + given))

    assert found == store.segment(LEDGER, 1) == segment(next_=FIRST + left)


def test_segments__of_a_ledger__by_id_and_without_the_others(store: DocumentStore) -> None:
    given = [segment(id_=3), segment(id_=1, institution=8), segment(id_=2)]
    for row in [*given, segment(OTHER_LEDGER, id_=5)]:
        store.save_segment(row)

    assert store.segments(LEDGER) == sorted(given, key=lambda row: row.segment)
    assert store.segments("0x" + 40 * "9") == []


def test_reset_segment__nothing_is_waiting__goes_on_there(store: DocumentStore) -> None:
    add(store, FIRST, "a", "b")
    issue(store, FIRST)
    store.save_segment(segment(next_=FIRST + 9))

    assert store.reset_segment(LEDGER, 1, FIRST + 2)

    assert store.segment(LEDGER, 1) == segment(next_=FIRST + 2)


def test_reset_segment__a_batch_is_waiting__changes_nothing(store: DocumentStore) -> None:
    add(store, FIRST, "a", "b")

    assert not store.reset_segment(LEDGER, 1, FIRST)

    assert store.segment(LEDGER, 1) == segment(next_=FIRST + 2)


def test_reset_segment__by_a_node_that_lags__stays_behind_what_is_issued(
    store: DocumentStore,
) -> None:
    add(store, FIRST, "a", "b")
    issue(store, FIRST)

    assert store.reset_segment(LEDGER, 1, FIRST)

    assert store.segment(LEDGER, 1) == segment(next_=FIRST + 2)


def test_reset_segment__unknown__is_not_found(store: DocumentStore) -> None:
    with pytest.raises(NotFound, match="segment 4"):
        store.reset_segment(LEDGER, 4, FIRST)


# A batch is stored


def test_add_batch__in_order__stores_everything(store: DocumentStore) -> None:
    store.save_segment(segment())
    rows = documents(FIRST, "a", "复诊", "c")

    row = store.add_batch(batch(count=3), rows, SIGNER, INTENT, signing())

    transaction = store.journal.transaction(row.transaction_id)
    assert row == BatchRow(
        LEDGER, FIRST, 3, 1, digest("root", FIRST), transaction.id, None, None, None
    )
    assert (transaction.signer, transaction.nonce) == (SIGNER, 0)
    assert (transaction.intent, transaction.stage) == (INTENT, Stage.SIGNED)
    assert transaction.attempts == (attempt(0),)
    assert [store.document(LEDGER, FIRST + index) for index in range(3)] == [
        StoredDocument(given.number, FIRST, *given[1:]) for given in rows
    ]
    assert store.segment(LEDGER, 1) == segment(next_=FIRST + 3)
    assert store.journal.next_nonce(SIGNER) == 1


def test_add_batch__one_after_the_other__takes_the_next_numbers_and_nonces(
    store: DocumentStore,
) -> None:
    rows = [add(store, FIRST, "a", "b"), add(store, FIRST + 2, "c")]
    rows.append(add(store, FIRST + 3, "d", signer=OTHER_SIGNER))

    transactions = [store.journal.transaction(row.transaction_id) for row in rows]

    assert [(found.signer, found.nonce) for found in transactions] == [
        (SIGNER, 0),
        (SIGNER, 1),
        (OTHER_SIGNER, 0),
    ]
    assert store.numbers(LEDGER) == [FIRST + index for index in range(4)]


@pytest.mark.parametrize("first", [FIRST, FIRST + 1, FIRST + 3], ids=["same", "within", "beyond"])
def test_add_batch__numbers_that_are_not_next__says_what_is_and_stores_nothing(
    first: int, store: DocumentStore, url: str
) -> None:
    add(store, FIRST, "a", "b")
    before = content(url)

    with pytest.raises(NumbersTaken) as error:
        add(store, first, "c")

    assert error.value.next == FIRST + 2
    assert content(url) == before


def test_add_batch__of_an_unknown_segment__is_not_found(store: DocumentStore, url: str) -> None:
    with pytest.raises(NotFound, match="segment 1 is not in the store"):
        store.add_batch(batch(), documents(FIRST, "a"), SIGNER, INTENT, signing())

    assert content(url)["signers"] == []


def test_add_batch__a_key_that_is_stored__names_it_and_stores_nothing(
    store: DocumentStore, url: str
) -> None:
    add(store, FIRST, "a", "b")
    before = content(url)

    with pytest.raises(DuplicateBusinessKey) as error:
        add(store, FIRST + 2, "c", "b", "a")

    assert error.value.values == {"key": "b", "number": FIRST + 1}
    assert content(url) == before


def test_add_batch__one_key_twice__names_it_and_stores_nothing(
    store: DocumentStore, url: str
) -> None:
    store.save_segment(segment())
    before = content(url)

    with pytest.raises(DuplicateBusinessKey) as error:
        add(store, FIRST, "a", "b", "b")

    assert error.value.values == {"key": "b", "number": FIRST + 1}
    assert content(url) == before


def test_add_batch__the_same_key_in_another_ledger__is_another_document(
    store: DocumentStore,
) -> None:
    add(store, FIRST, "a")
    add(store, FIRST, "a", ledger=OTHER_LEDGER)

    assert store.document(LEDGER, FIRST) == store.document(OTHER_LEDGER, FIRST)


def test_add_batch__numbers_of_another_segment__says_so_and_stores_nothing(
    store: DocumentStore, url: str
) -> None:
    add(store, FIRST, "a")
    store.save_segment(segment(id_=2))
    before = content(url)

    with pytest.raises(StoreError, match="other documents under these numbers"):
        store.add_batch(batch(id_=2), documents(FIRST, "c"), SIGNER, INTENT, signing("another"))

    assert content(url) == before


@pytest.mark.parametrize(
    "rows",
    [
        documents(FIRST, "a"),
        documents(FIRST, "a", "b", "c"),
        documents(FIRST + 1, "a", "b"),
        [document(FIRST + 1, "b"), document(FIRST, "a")],
        [document(FIRST, "a"), document(FIRST + 2, "b")],
    ],
    ids=["too few", "too many", "later", "out of order", "a gap"],
)
def test_add_batch__documents_that_are_not_its_numbers__stores_nothing(
    rows: list[object], store: DocumentStore, url: str
) -> None:
    store.save_segment(segment())
    before = content(url)

    with pytest.raises(ValueError, match="expected"):
        store.add_batch(batch(count=2), iter(rows), SIGNER, INTENT, signing())  # type: ignore[arg-type]

    assert content(url) == before


def test_add_batch__the_signing_fails__stores_nothing(store: DocumentStore, url: str) -> None:
    store.save_segment(segment())
    before = content(url)

    def refuse(nonce: int) -> object:
        raise RuntimeError("no key")

    with pytest.raises(RuntimeError, match="no key"):
        store.add_batch(batch(), documents(FIRST, "a"), SIGNER, INTENT, refuse)  # type: ignore[arg-type]

    assert content(url) == before


def test_add_batch__more_than_one_statement_takes__all_are_there(store: DocumentStore) -> None:
    keys = [f"visit-{index}" for index in range(1_201)]

    add(store, FIRST, *keys)

    expected = {key: FIRST + index for index, key in enumerate(keys)}
    assert store.numbers_of(LEDGER, iter(keys)) == expected
    read = [row.business_key for row in store.documents_of(LEDGER, FIRST)]
    assert read == keys


# Found again


def test_numbers_of__known_and_unknown_keys__gives_the_known(store: DocumentStore) -> None:
    add(store, FIRST, "a", "b")
    add(store, FIRST, "a", ledger=OTHER_LEDGER)

    assert store.numbers_of(LEDGER, ["b", "c", "a", "b"]) == {"a": FIRST, "b": FIRST + 1}
    assert store.numbers_of(LEDGER, []) == {}


def test_numbers_of__keys_with_quotes_and_wildcards__mean_themselves(store: DocumentStore) -> None:
    add(store, FIRST, "a'; DROP TABLE documents; --", "a%", "复诊", '"', "\\", "{a,b}")

    found = store.numbers_of(LEDGER, ["a%", "a_", "a'; DROP TABLE documents; --", '"', "\\"])

    assert found == {
        "a'; DROP TABLE documents; --": FIRST,
        "a%": FIRST + 1,
        '"': FIRST + 3,
        "\\": FIRST + 4,
    }
    assert store.numbers_of(LEDGER, ["复诊", "{a,b}"]) == {"复诊": FIRST + 2, "{a,b}": FIRST + 5}


def test_numbers_of__the_planner_knows_nothing_yet__looks_each_key_up(
    store: DocumentStore, url: str
) -> None:
    add(store, FIRST, *(f"visit-{index}" for index in range(3_000)))

    with explained(url, "documents") as plans:
        store.numbers_of(LEDGER, [f"visit-{index}" for index in range(500)])

    # By both columns of the index: by the ledger alone, it would read all that was ever issued.
    (plan,) = plans
    assert re.search(KEY_LOOK_UP, plan), plan


KEY_LOOK_UP = r"ledger=\? AND business_key=\?|Index Cond: .*ledger.* AND .*business_key"


def test_add_batch__a_ledger_with_a_quote__means_itself(store: DocumentStore) -> None:
    ledger = "0x'; DROP TABLE outbox; -- ?"

    add(store, FIRST, "a", ledger=ledger)

    assert store.document(ledger, FIRST).business_key == "a"


def test_batch_of__each_of_its_numbers__is_the_batch(store: DocumentStore) -> None:
    stored = [add(store, FIRST, "a", "b", "c"), add(store, FIRST + 3, "d")]
    add(store, FIRST, "other", ledger=OTHER_LEDGER)

    found = [store.batch_of(LEDGER, FIRST + index) for index in range(4)]

    assert found == [stored[0]] * 3 + [stored[1]]


def test_batch_of_transaction__of_a_batch_and_of_another__is_the_batch_or_none(
    store: DocumentStore,
) -> None:
    row = add(store, FIRST, "a")
    other = store.journal.add(SIGNER, INTENT, signing("other"))

    assert store.batch_of_transaction(row.transaction_id) == row
    assert store.batch_of_transaction(other.id) is None


@pytest.mark.parametrize("number", [FIRST - 1, FIRST + 2, 0])
def test_find__a_number_that_is_not_there__is_not_found(number: int, store: DocumentStore) -> None:
    add(store, FIRST, "a", "b")

    for find in (store.document, store.batch_of):
        with pytest.raises(NotFound, match=f"number {number} is not in the store"):
            find(LEDGER, number)
        with pytest.raises(NotFound):
            find(OTHER_LEDGER, FIRST)


@pytest.mark.parametrize(("start", "stop"), [(0, 1), (2, 5), (0, 5), (4, 9), (5, 9), (3, 3)])
def test_leaf_range__of_a_batch__is_its_part(start: int, stop: int, store: DocumentStore) -> None:
    add(store, FIRST, "a", "b", "c", "d", "e")

    found = store.leaf_range(LEDGER, FIRST, start, stop)

    assert found == leaves(FIRST, 5)[32 * start : 32 * stop]
    assert store.nodes(LEDGER, FIRST) == digest("node", FIRST)


def test_leaf_range__of_no_batch__is_not_found(store: DocumentStore) -> None:
    add(store, FIRST, "a", "b")

    for find in (lambda: store.leaf_range(LEDGER, FIRST + 1, 0, 1), lambda: store.nodes(LEDGER, 1)):
        with pytest.raises(NotFound, match="the batch from"):
            find()


def test_documents_of__a_batch__in_order_and_without_its_neighbours(store: DocumentStore) -> None:
    add(store, FIRST, "a", "b")
    add(store, FIRST + 2, "c", "d")
    add(store, FIRST + 4, "e")

    assert [row.business_key for row in store.documents_of(LEDGER, FIRST + 2)] == ["c", "d"]
    assert list(store.documents_of(LEDGER, FIRST + 1)) == []


# On chain, and off it again


def test_mark_issued__a_stored_batch__is_final_with_its_time(store: DocumentStore) -> None:
    row = add(store, FIRST, "a", "b")
    waiting = add(store, FIRST + 2, "c")

    issue(store, FIRST)

    found = store.batch_of(LEDGER, FIRST + 1)
    assert found == replace(row, issued_at=SINCE, block=77, transaction=digest("mined"))
    head = found.head()
    assert (head.first, head.count, head.segment, head.issued_at) == (FIRST, 2, 1, SINCE)
    assert store.unissued() == store.unissued(LEDGER) == [waiting]
    assert store.leaf_range(LEDGER, FIRST, 0, 2) == leaves(FIRST, 2)


def test_mark_signed__its_final_block_went_away__its_batch_alone_is_unissued(
    store: DocumentStore,
) -> None:
    rows = [add(store, FIRST + index, f"{index}") for index in range(2)]
    for row in rows:
        store.journal.mark_mined(row.transaction_id, digest("hash"), 77, digest("block"))
        store.journal.mark_final(row.transaction_id)
        issue(store, row.first)

    store.journal.mark_signed(rows[1].transaction_id)

    assert store.unissued() == [store.batch_of(LEDGER, FIRST + 1)] == [rows[1]]


def test_reassign__a_batch_that_waits__has_the_other_signers_transaction(
    store: DocumentStore,
) -> None:
    row = add(store, FIRST, "a")

    found = store.reassign(LEDGER, FIRST, OTHER_SIGNER, INTENT, signing("other"))

    transaction = store.journal.transaction(found.transaction_id)
    assert found == replace(row, transaction_id=transaction.id) == store.batch_of(LEDGER, FIRST)
    assert (transaction.signer, transaction.nonce) == (OTHER_SIGNER, 0)
    assert store.batch_of_transaction(row.transaction_id) is None


def test_reassign__to_the_same_signer_again__changes_nothing(
    store: DocumentStore, url: str
) -> None:
    add(store, FIRST, "a")
    found = store.reassign(LEDGER, FIRST, OTHER_SIGNER, INTENT, signing("other"))
    before = content(url)

    assert store.reassign(LEDGER, FIRST, OTHER_SIGNER, INTENT, signing("again")) == found
    assert content(url) == before


def test_reassign__issued_or_gone__signs_nothing(store: DocumentStore, url: str) -> None:
    add(store, FIRST, "a")
    issue(store, FIRST)
    before = content(url)

    issued = store.reassign(LEDGER, FIRST, OTHER_SIGNER, INTENT, signing("other"))

    with pytest.raises(NotFound):
        store.reassign(LEDGER, FIRST + 1, OTHER_SIGNER, INTENT, signing("other"))
    assert issued.issued_at == SINCE
    assert content(url) == before


def test_head__of_a_batch_that_is_not_on_chain__there_is_none(store: DocumentStore) -> None:
    row = add(store, FIRST, "a")

    with pytest.raises(ValueError, match="not on chain"):
        row.head()


@pytest.mark.parametrize(("start", "end", "is_in"), [(0, 1, True), (-1, 0, False), (1, 2, False)])
def test_issued_between__times_around_a_batchs__it_is_in_from_the_first_to_before_the_last(
    start: int, end: int, is_in: bool, store: DocumentStore
) -> None:
    add(store, FIRST, "a")
    add(store, FIRST + 1, "waiting")
    issue(store, FIRST)

    found = store.issued_between(LEDGER, SINCE + start, SINCE + end)

    assert [batch.first for batch in found] == ([FIRST] if is_in else [])
    assert store.issued_between(OTHER_LEDGER, SINCE, SINCE + 1) == []


def test_unissued__several_segments_and_ledgers__oldest_first(store: DocumentStore) -> None:
    store.save_segment(segment(id_=2, next_=FIRST + 500))
    later = store.add_batch(
        batch(FIRST + 500, id_=2), documents(FIRST + 500, "z"), SIGNER, INTENT, signing("z")
    )
    rows = [add(store, FIRST, "a"), add(store, FIRST, "a", ledger=OTHER_LEDGER)]

    assert store.unissued() == [later, *rows]
    assert store.unissued(LEDGER) == [later, rows[0]]


# Set aside


def test_set_aside__new_and_known_keys__the_last_word_counts(store: DocumentStore) -> None:
    store.set_aside([aside("a"), aside("b", draft=None), aside("a", OTHER_LEDGER)])
    store.set_aside([replace(aside("a"), reason="UnsealableValue", since=SINCE + 1)])

    first, second, other = store.list_set_aside()

    assert first == replace(aside("a", id_=first.id), reason="UnsealableValue", since=SINCE + 1)
    assert second == aside("b", id_=second.id, draft=None)
    assert other == aside("a", OTHER_LEDGER, other.id)
    assert first.id < second.id < other.id


def test_list_set_aside__each_choice__gives_its_own(store: DocumentStore) -> None:
    store.set_aside([aside(key) for key in "abcd"])
    store.set_aside([aside("a", OTHER_LEDGER)])
    every = store.list_set_aside()

    assert store.list_set_aside(OTHER_LEDGER) == every[4:]
    assert store.list_set_aside(LEDGER, ["d", "b", "x"]) == [every[1], every[3]]
    assert store.list_set_aside(LEDGER, limit=2) == every[:2]
    assert store.list_set_aside(LEDGER, limit=2, after_id=every[1].id) == every[2:4]
    assert store.list_set_aside(LEDGER, []) == []


def test_drop_set_aside__some_keys__tells_how_many_there_were(store: DocumentStore) -> None:
    store.set_aside([aside("a"), aside("b"), aside("a", OTHER_LEDGER)])

    assert store.drop_set_aside(LEDGER, ["a", "x"]) == 1

    assert [(row.ledger, row.business_key) for row in store.list_set_aside()] == [
        (LEDGER, "b"),
        (OTHER_LEDGER, "a"),
    ]


def test_add_batch__keys_that_were_set_aside__are_there_no_more(store: DocumentStore) -> None:
    store.set_aside([aside("a"), aside("b"), aside("a", OTHER_LEDGER)])

    add(store, FIRST, "a", "c")

    assert [(row.ledger, row.business_key) for row in store.list_set_aside()] == [
        (LEDGER, "b"),
        (OTHER_LEDGER, "a"),
    ]


def test_set_aside_batch__one_that_cannot_be_issued__its_documents_wait_and_it_is_gone(
    store: DocumentStore, url: str
) -> None:
    keys = [f"visit-{index}" for index in range(501)]
    row = add(store, FIRST, *keys)
    kept = add(store, FIRST + 501, "kept")

    moved = store.set_aside_batch(
        row,
        kind="invoice",
        to_draft=lambda row: b"draft of " + row.fields,
        reason="SegmentUnknown",
        problem="there is no segment 1",
        since=SINCE,
    )

    rows = store.list_set_aside()
    assert moved == 501
    assert [row.business_key for row in rows] == keys
    assert rows[500] == SetAside(
        rows[500].id,
        LEDGER,
        "invoice",
        "visit-500",
        b'draft of {"key":"visit-500"}',
        "SegmentUnknown",
        "there is no segment 1",
        SINCE,
    )
    assert store.unissued() == [kept]
    assert store.numbers(LEDGER) == [FIRST + 501]
    # Its transaction stays, with all that was ever signed.
    assert len(content(url)["transactions"]) == 2


@pytest.mark.parametrize("state", ["issued", "gone", "sent by another"])
def test_set_aside_batch__not_as_it_was_seen__changes_nothing(
    state: str, store: DocumentStore, url: str
) -> None:
    row = add(store, FIRST, "a")
    if state == "issued":
        issue(store, FIRST)
    elif state == "gone":
        row = replace(row, first=FIRST + 1)
    else:
        store.reassign(LEDGER, FIRST, OTHER_SIGNER, INTENT, signing("other"))
    before = content(url)

    moved = store.set_aside_batch(
        row,
        kind="invoice",
        to_draft=lambda row: b"",
        reason="",
        problem="",
        since=SINCE,
    )

    assert moved == 0
    assert content(url) == before


def test_reset_segment__after_its_batch_was_set_aside__the_numbers_are_given_again(
    store: DocumentStore,
) -> None:
    row = add(store, FIRST, "a", "b")
    store.set_aside_batch(row, kind="", to_draft=lambda row: b"", reason="", problem="", since=0)

    assert store.reset_segment(LEDGER, 1, FIRST)

    add(store, FIRST, "b", "c", "d")
    assert store.numbers_of(LEDGER, "abcd") == {"b": FIRST, "c": FIRST + 1, "d": FIRST + 2}
    assert [row.business_key for row in store.list_set_aside()] == ["a"]


def test_segment__its_last_number__is_the_chains(store: DocumentStore) -> None:
    add(store, FIRST, "a")

    found = store.segment(LEDGER, 1)

    assert found is not None
    assert (found.first, found.last, found.next) == (FIRST, LAST, FIRST + 1)
