"""Several programs on one store: no number and no nonce twice, and none left out."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from typing import Any

from tests.store.samples import (
    FIRST,
    INTENT,
    LAST,
    LEDGER,
    SIGNER,
    batch,
    digest,
    documents,
    segment,
    signing,
)

from medledger.errors import DuplicateBusinessKey
from medledger.store import DocumentStore, NumbersTaken

BATCHES = 25
OPERATORS = ("0x" + 40 * "1", "0x" + 40 * "2")


def together(run: Callable[..., None], url: str, *arguments: tuple[Any, ...]) -> None:
    """Runs it in a process for each of the arguments, all at the same time."""
    processes = multiprocessing.get_context("fork")
    barrier = processes.Barrier(len(arguments))
    running = [processes.Process(target=run, args=(url, barrier, *given)) for given in arguments]
    for process in running:
        process.start()
    for process in running:
        process.join()
    assert [process.exitcode for process in running] == [0] * len(arguments)


def issue(
    url: str, barrier: Any, name: str, segment_: int = 1, first: int = FIRST, signer: str = SIGNER
) -> None:
    """Stores batches of 1 to 4 documents, each at the number where the segment is."""
    store = DocumentStore(url)
    barrier.wait()
    for turn in range(BATCHES):
        keys = [f"{name}-{turn}-{index}" for index in range(1 + turn % 4)]
        while True:
            try:
                store.add_batch(
                    batch(first, len(keys), id_=segment_),
                    documents(first, *keys),
                    signer,
                    INTENT,
                    signing(keys),
                )
            except NumbersTaken as taken:
                first = taken.next
            else:
                first += len(keys)
                break
    store.close()


def test_add_batch__by_three_with_one_key_and_one_segment__all_in_a_row(
    store: DocumentStore, url: str
) -> None:
    store.save_segment(segment())

    together(issue, url, ("a",), ("b",), ("c",))

    rows = store.unissued()
    in_order = sorted(rows, key=lambda row: row.first)
    count = 3 * sum(1 + turn % 4 for turn in range(BATCHES))
    assert store.numbers(LEDGER) == list(range(FIRST, FIRST + count))
    assert store.segment(LEDGER, 1) == segment(next_=FIRST + count)
    assert [row.first + row.count for row in in_order[:-1]] == [row.first for row in in_order[1:]]
    nonces = [store.journal.transaction(row.transaction_id).nonce for row in in_order]
    # In the order of the numbers: the contract refuses a batch that comes before another.
    assert nonces == list(range(3 * BATCHES))
    names = {key[0] for row in rows for _, _, key, *_ in store.documents_of(LEDGER, row.first)}
    assert names == {"a", "b", "c"}


def test_add_batch__by_two_with_segments_of_their_own__side_by_side(
    store: DocumentStore, url: str
) -> None:
    starts = (FIRST, FIRST + 5_000)
    for id_, start in enumerate(starts, 1):
        store.save_segment(segment(id_=id_, next_=start))

    together(
        issue,
        url,
        *((f"{id_}", id_, start, OPERATORS[id_ - 1]) for id_, start in enumerate(starts, 1)),
    )

    count = sum(1 + turn % 4 for turn in range(BATCHES))
    expected = [number for start in starts for number in range(start, start + count)]
    assert store.numbers(LEDGER) == expected
    for operator in OPERATORS:
        found = store.journal.unfinished(operator)
        assert [one.nonce for one in found] == list(range(BATCHES))
    assert expected[-1] <= LAST


def issue_same(url: str, barrier: Any, segment_: int, first: int) -> None:
    store = DocumentStore(url)
    barrier.wait()
    for turn in range(BATCHES):
        try:
            store.add_batch(
                batch(first, 1, id_=segment_),
                documents(first, f"same-{turn}"),
                SIGNER,
                INTENT,
                signing((segment_, turn)),
            )
        except DuplicateBusinessKey:
            continue
        first += 1
    store.close()


def test_add_batch__one_business_key_by_two__is_stored_once(store: DocumentStore, url: str) -> None:
    starts = (FIRST, FIRST + 5_000)
    for id_, start in enumerate(starts, 1):
        store.save_segment(segment(id_=id_, next_=start))

    together(issue_same, url, *((id_, start) for id_, start in enumerate(starts, 1)))

    found = store.numbers_of(LEDGER, [f"same-{turn}" for turn in range(BATCHES)])
    assert len(found) == len(set(found.values())) == len(store.numbers(LEDGER)) == BATCHES
    nonces = [one.nonce for one in store.journal.unfinished()]
    assert nonces == list(range(BATCHES))


def bump(url: str, barrier: Any, id_: int, name: str) -> None:
    store = DocumentStore(url)
    barrier.wait()
    for turn in range(BATCHES):
        store.journal.renonce(id_, turn, signing(name))
    store.close()


def test_renonce__by_two_at_once__gives_each_nonce_once(store: DocumentStore, url: str) -> None:
    added = store.journal.add(SIGNER, INTENT, signing())

    together(bump, url, (added.id, "a"), (added.id, "b"))

    found = store.journal.transaction(added.id)
    assert found.nonce <= BATCHES
    assert [one.nonce for one in found.attempts] == list(range(found.nonce + 1))
    assert store.journal.next_nonce(SIGNER) == found.nonce + 1


def fill(url: str, barrier: Any, name: str) -> None:
    store = DocumentStore(url)
    barrier.wait()
    for nonce in range(BATCHES):
        store.journal.fill(SIGNER, nonce, INTENT, signing((name, digest(nonce))))
    store.close()


def test_fill__by_two_at_once__fills_each_gap_once(store: DocumentStore, url: str) -> None:
    together(fill, url, ("a",), ("b",))

    found = store.journal.unfinished(SIGNER)
    assert [one.nonce for one in found] == list(range(BATCHES))
    assert {len(one.attempts) for one in found} == {1}
