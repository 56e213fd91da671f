"""The read log: entries are added to days, days are closed once, and nothing is changed."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

from sqlalchemy import text
from tests.store.samples import other_program

from medledger.store import DocumentStore

LEDGER, OTHER = "0x" + "1" * 40, "0x" + "2" * 40
NUMBER = 210201260000000009


def add(
    store: DocumentStore, day: int, byte: int, ledger: str = LEDGER, kind: str = "Record"
) -> tuple[int, int]:
    """(day, position) of an added entry."""
    row = store.reads.add(ledger, day, kind, NUMBER, b"{}", bytes([byte]) * 32, bytes([byte]) * 32)
    return row.day, row.position


def joined(leaves: Sequence[bytes]) -> bytes:
    return b"".join(leaf[:1] for leaf in leaves)


def test_add__to_a_day__takes_the_next_place(store: DocumentStore) -> None:
    places = [add(store, 5, 1), add(store, 5, 2), add(store, 6, 3), add(store, 5, 4, OTHER)]

    assert places == [(5, 0), (5, 1), (6, 0), (5, 0)]
    assert [row.leaf[0] for row in store.reads.entries(LEDGER, 5)] == [1, 2]
    assert [row.leaf[0] for row in store.reads.entries_of(LEDGER, "Record", NUMBER)] == [1, 2, 3]


def test_add__of_documents_of_two_kinds__is_one_log_and_each_has_its_own_entries(
    store: DocumentStore,
) -> None:
    places = [add(store, 5, 1), add(store, 5, 2, kind="Prescription"), add(store, 5, 3)]

    of_record, of_prescription = (
        [row.leaf[0] for row in store.reads.entries_of(LEDGER, kind, NUMBER)]
        for kind in ("Record", "Prescription")
    )

    assert places == [(5, 0), (5, 1), (5, 2)]
    assert (of_record, of_prescription) == ([1, 3], [2])


def test_open__a_log_of_before_prescriptions__is_of_records_and_keeps_every_byte(url: str) -> None:
    with closing(DocumentStore(url)) as store:
        add(store, 5, 1)
        add(store, 6, 2)
        before = store.reads.entries(LEDGER, 5)
        store.reads.close(LEDGER, 5, joined)
    with other_program(url) as engine, engine.begin() as connection:
        connection.execute(text("ALTER TABLE reads DROP COLUMN kind"))
        connection.execute(text("UPDATE alembic_version SET version_num = '0003'"))

    with closing(DocumentStore(url)) as store:
        found = store.reads.entries_of(LEDGER, "Record", NUMBER)

        assert found[:1] == before == store.reads.entries(LEDGER, 5)
        assert [day.root for day in store.reads.closed(LEDGER)] == [b"\1"]
        assert store.reads.entries_of(LEDGER, "Prescription", NUMBER) == []


def test_close__up_to_a_day__keeps_each_root_for_good(store: DocumentStore) -> None:
    for day, byte in ((5, 1), (5, 2), (7, 3), (9, 4)):
        add(store, day, byte)

    closed = store.reads.close(LEDGER, 8, joined)
    again = store.reads.close(LEDGER, 8, lambda leaves: b"another")

    assert [(day.day, day.count, day.root) for day in closed] == [(5, 2, b"\1\2"), (7, 1, b"\3")]
    assert again == closed == store.reads.closed(LEDGER)
    assert store.reads.closed(OTHER) == []


def test_add__to_a_closed_day_or_before__counts_to_the_next(store: DocumentStore) -> None:
    add(store, 7, 1)
    store.reads.close(LEDGER, 7, joined)

    assert [add(store, 7, 2), add(store, 3, 3)] == [(8, 0), (8, 1)]
    assert len(store.reads.entries(LEDGER, 7)) == 1


def test_add__by_many_at_once__each_has_its_own_place(store: DocumentStore) -> None:
    with ThreadPoolExecutor(4) as workers:
        places = list(workers.map(lambda byte: add(store, 5, byte), range(20)))

    assert sorted(places) == [(5, position) for position in range(20)]
