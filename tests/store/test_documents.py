"""The hospital's store: whole batches or nothing, durable, and every failure one line."""

from __future__ import annotations

import pickle
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event
from tests.roles.world import bill, order

from medledger.core.documents import Document
from medledger.core.hashing import keccak256
from medledger.core.numbers import DocumentNumber
from medledger.core.sealing import Sealed, seal
from medledger.errors import DuplicateBusinessKey, MedledgerError, NotFound, StoreError
from medledger.store import BatchRow, DocumentRow, DocumentStore

LEDGER, OTHER_LEDGER = "0x" + 40 * "a", "0x" + 40 * "b"
FIRST = 460601260000000001


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'hospital.db'}"


@pytest.fixture
def store(url: str) -> Iterator[DocumentStore]:
    store = DocumentStore(url)
    yield store
    store.close()


def sealed(document: Document, number: int) -> Sealed:
    return seal(document, DocumentNumber(number), keccak256(number.to_bytes(8, "big")))


def rows(first: int, *keys: str) -> list[DocumentRow]:
    return [DocumentRow(sealed(bill(key), first + i), key, first) for i, key in enumerate(keys)]


def batch(first: int = FIRST, count: int = 1, ledger: str = LEDGER, **changes: Any) -> BatchRow:
    given = BatchRow(
        ledger, first, count, 1, bytes(32), keccak256(b"hash"), b"signed bytes", None, None
    )
    return replace(given, **changes)


def add(store: DocumentStore, first: int, *keys: str, ledger: str = LEDGER) -> None:
    store.add_batch(batch(first, len(keys), ledger), rows(first, *keys))


def content(url: str) -> tuple[list[Any], list[Any]]:
    """All rows, as another program reads them."""
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
        return tuple(  # type: ignore[return-value]
            connection.execute(f"SELECT * FROM {table} ORDER BY 1, 2").fetchall()
            for table in ("batches", "documents")
        )


# What is stored comes back


@pytest.mark.parametrize(
    "document",
    [
        bill("visit", remark="复诊 café", on_hold=True),
        bill("reversal", related_invoice=DocumentNumber(FIRST)),
        order("order", 1_800_000_000, on_hold=True, reason="J06.9"),
    ],
    ids=["bill", "red letter", "prescription"],
)
def test_document__of_each_kind__is_what_was_stored(
    document: Document, store: DocumentStore
) -> None:
    row = DocumentRow(sealed(document, FIRST), document.business_key, FIRST)
    store.add_batch(batch(), [row])

    found = store.document(LEDGER, FIRST)

    assert found == row
    assert found.sealed.leaf == row.sealed.leaf
    assert found.sealed.header.struct_hash() == row.sealed.header.struct_hash()


def test_batch_of__each_of_its_numbers__is_the_batch(store: DocumentStore) -> None:
    add(store, FIRST, "a", "b", "c")
    add(store, FIRST + 3, "d")

    found = [store.batch_of(LEDGER, FIRST + i) for i in range(4)]

    assert found == [batch(FIRST, 3)] * 3 + [batch(FIRST + 3, 1)]


def test_leaves__of_a_batch__in_order_of_number_whatever_the_order_stored(
    store: DocumentStore,
) -> None:
    given = rows(FIRST, "a", "b", "c", "d")
    store.add_batch(batch(count=4), [given[i] for i in (2, 0, 3, 1)])

    assert store.leaves(LEDGER, FIRST) == [row.sealed.leaf for row in given]
    assert store.leaves(LEDGER, FIRST + 1) == []


def test_numbers__of_a_ledger__ascending_and_without_the_others(store: DocumentStore) -> None:
    add(store, FIRST + 5, "c", "d")
    add(store, FIRST, "a", "b")
    add(store, FIRST, "a", "b", ledger=OTHER_LEDGER)

    assert store.numbers(LEDGER) == [FIRST, FIRST + 1, FIRST + 5, FIRST + 6]
    assert store.numbers(OTHER_LEDGER) == [FIRST, FIRST + 1]


def test_numbers_of__known_and_unknown_keys__gives_the_known(store: DocumentStore) -> None:
    add(store, FIRST, "a", "b")
    add(store, FIRST + 9, "a", ledger=OTHER_LEDGER)

    assert store.numbers_of(LEDGER, ["b", "c", "a", "b"]) == {"a": FIRST, "b": FIRST + 1}
    assert store.numbers_of(LEDGER, []) == {}


def test_numbers_of__more_keys_than_one_statement_takes__all(store: DocumentStore) -> None:
    keys = [f"visit-{i}" for i in range(1201)]
    template = rows(FIRST, "a")[0]
    given = [
        DocumentRow(
            replace(template.sealed, header=replace(template.sealed.header, number=FIRST + i)),
            key,
            FIRST,
        )
        for i, key in enumerate(keys)
    ]
    store.add_batch(batch(count=1201), given)

    found = store.numbers_of(LEDGER, keys)

    assert found == {key: FIRST + i for i, key in enumerate(keys)}


def test_numbers_of__keys_with_quotes_and_wildcards__mean_themselves(store: DocumentStore) -> None:
    add(store, FIRST, "a'; DROP TABLE documents; --", "a%", "复诊")

    assert store.numbers_of(LEDGER, ["a%", "a_"]) == {"a%": FIRST + 1}
    assert store.numbers_of(LEDGER, ["a'; DROP TABLE documents; --"])
    assert store.numbers_of(LEDGER, ["复诊"]) == {"复诊": FIRST + 2}


@pytest.mark.parametrize("number", [FIRST - 1, FIRST + 1, 0])
def test_find__a_number_that_is_not_there__not_found_names_it(
    number: int, store: DocumentStore
) -> None:
    add(store, FIRST, "a")

    for find in (store.document, store.batch_of):
        with pytest.raises(NotFound, match=f"number {number} is not in the store"):
            find(LEDGER, number)
        with pytest.raises(NotFound):
            find(OTHER_LEDGER, FIRST)


# The life of a batch


def test_mark_issued__a_stored_batch__is_confirmed_with_its_time(store: DocumentStore) -> None:
    add(store, FIRST, "a", "b")
    add(store, FIRST + 2, "c")

    store.mark_issued(LEDGER, FIRST, 1_800_000_000, 77)

    row = store.batch_of(LEDGER, FIRST + 1)
    assert (row.issued_at, row.block) == (1_800_000_000, 77)
    head = row.head()
    assert (head.first, head.count, head.segment, head.issued_at) == (FIRST, 2, 1, 1_800_000_000)
    assert [item.first for item in store.unconfirmed(LEDGER)] == [FIRST + 2]


def test_head__of_a_batch_that_is_not_on_chain__there_is_none(store: DocumentStore) -> None:
    add(store, FIRST, "a")

    with pytest.raises(ValueError, match="not on chain"):
        store.batch_of(LEDGER, FIRST).head()


def test_unconfirmed__several__oldest_first_with_their_signed_bytes(store: DocumentStore) -> None:
    add(store, FIRST + 4, "c")
    add(store, FIRST, "a", "b")
    add(store, FIRST, "a", ledger=OTHER_LEDGER)

    found = store.unconfirmed(LEDGER)

    assert found == [batch(FIRST, 2), batch(FIRST + 4, 1)]
    assert {row.raw for row in found} == {b"signed bytes"}


def test_remove_batch__stored__gives_its_keys_in_order_and_frees_them(
    store: DocumentStore,
) -> None:
    add(store, FIRST, "b", "a", "c")
    add(store, FIRST + 3, "d")

    removed = store.remove_batch(LEDGER, FIRST)

    assert removed == ["b", "a", "c"]
    assert store.numbers(LEDGER) == [FIRST + 3]
    assert [row.first for row in store.unconfirmed(LEDGER)] == [FIRST + 3]
    add(store, FIRST, "a", "b", "e")
    assert store.remove_batch(LEDGER, FIRST) == ["a", "b", "e"]


def test_remove_batch__of_none__gives_nothing(store: DocumentStore) -> None:
    add(store, FIRST, "a")

    assert store.remove_batch(LEDGER, FIRST + 1) == []
    assert store.remove_batch(OTHER_LEDGER, FIRST) == []
    assert store.numbers(LEDGER) == [FIRST]


# Whole batches or nothing


def test_add_batch__a_key_that_another_has__names_it_and_stores_nothing(
    store: DocumentStore, url: str
) -> None:
    add(store, FIRST, "a", "b")
    before = content(url)

    with pytest.raises(DuplicateBusinessKey) as error:
        add(store, FIRST + 2, "c", "b", "d")

    assert error.value.values == {"key": "b", "number": FIRST + 1}
    assert content(url) == before


def test_add_batch__one_key_twice__stores_nothing(store: DocumentStore, url: str) -> None:
    with pytest.raises(MedledgerError):
        add(store, FIRST, "a", "b", "a")

    assert content(url) == ([], [])


def test_add_batch__the_same_key_in_another_ledger__is_another_document(
    store: DocumentStore,
) -> None:
    add(store, FIRST, "a")
    add(store, FIRST, "a", ledger=OTHER_LEDGER)

    assert store.document(LEDGER, FIRST) == store.document(OTHER_LEDGER, FIRST)


@pytest.mark.parametrize("first", [FIRST, FIRST + 1], ids=["same first", "a number within"])
def test_add_batch__numbers_that_another_has__says_so_and_stores_nothing(
    first: int, store: DocumentStore, url: str
) -> None:
    add(store, FIRST, "a", "b")
    before = content(url)

    with pytest.raises(MedledgerError) as error:
        add(store, first, "c")

    assert content(url) == before
    # No business key is to blame here: two programs have taken the same numbers.
    assert "''" not in str(error.value)


def test_add_batch__by_two_at_once__both_are_stored(store: DocumentStore, url: str) -> None:
    stores = [store, DocumentStore(url)]
    threads = [
        threading.Thread(
            target=lambda at=at: [
                add(stores[at], FIRST + 2 * n + at, f"{at}-{n}") for n in range(10)
            ]
        )
        for at in (0, 1)
    ]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert store.numbers(LEDGER) == list(range(FIRST, FIRST + 20))
    stores[1].close()


# Durable


def test_open__a_sqlite_store__its_connections_wait_for_the_disk(
    store: DocumentStore,
) -> None:
    found: list[tuple[Any, ...]] = []

    def look(connection: Any, *_: object) -> None:
        cursor = connection.cursor()
        pragmas = ("journal_mode", "synchronous", "busy_timeout")
        found.append(tuple(cursor.execute(f"PRAGMA {name}").fetchone()[0] for name in pragmas))

    event.listen(Engine, "checkout", look)
    try:
        add(store, FIRST, "a")
        store.numbers(LEDGER)
    finally:
        event.remove(Engine, "checkout", look)

    # synchronous: 2 is FULL.
    assert set(found) == {("wal", 2, 10_000)}


def add_in_a_process_that_ends(url: str, at: str) -> int:
    """Stores the batch of "a" and "b" in another process, which ends there; its exit code."""
    given = pickle.dumps((url, batch(count=2), rows(FIRST, "a", "b"))).hex()
    program = f"""
import os, pickle
from sqlalchemy import Engine, event
from medledger.store import DocumentStore
url, batch, rows = pickle.loads(bytes.fromhex({given!r}))
store = DocumentStore(url)
if {at!r} == "before the commit":
    event.listen(Engine, "commit", lambda _: os._exit(7))
store.add_batch(batch, rows)
os._exit(8)
"""
    return subprocess.run([sys.executable, "-c", program], check=False).returncode


def test_add_batch__then_the_process_is_gone__the_batch_is_there(url: str) -> None:
    code = add_in_a_process_that_ends(url, "after the commit")

    assert code == 8
    store = DocumentStore(url)
    assert store.unconfirmed(LEDGER) == [batch(count=2)]
    assert store.document(LEDGER, FIRST + 1) == rows(FIRST, "a", "b")[1]
    store.close()


def test_add_batch__the_process_is_gone_before_the_commit__nothing_is_there(url: str) -> None:
    code = add_in_a_process_that_ends(url, "before the commit")

    assert code == 7
    assert content(url) == ([], [])
    store = DocumentStore(url)
    add(store, FIRST, "a")
    store.close()


def test_close__a_store_in_use__the_next_one_finds_all(store: DocumentStore, url: str) -> None:
    add(store, FIRST, "a")

    store.close()

    again = DocumentStore(url)
    assert again.numbers(LEDGER) == [FIRST]
    again.close()


def test_open__a_new_file__is_its_owners_alone(store: DocumentStore, tmp_path: Path) -> None:
    add(store, FIRST, "a")

    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}

    # Patients' data and all salts: in the file, and in what SQLite keeps beside it.
    assert "hospital.db" in modes
    assert set(modes.values()) == {0o600}


# A store that cannot be used


def test_open__no_such_folder__says_so(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"cannot be (opened|made)") as error:
        DocumentStore(f"sqlite:///{tmp_path}/nowhere/hospital.db")

    assert "nowhere/hospital.db" in str(error.value)
    assert "\n" not in str(error.value)


def test_open__a_folder__says_so(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot be opened") as error:
        DocumentStore(f"sqlite:///{tmp_path}")

    assert "\n" not in str(error.value)


def test_open__a_file_that_is_no_database__says_so_and_leaves_it(tmp_path: Path) -> None:
    path = tmp_path / "letter.txt"
    path.write_text("a letter, and no database at all " * 50)

    with pytest.raises(StoreError, match="cannot be opened") as error:
        DocumentStore(f"sqlite:///{path}")

    assert "\n" not in str(error.value)
    assert path.read_text().startswith("a letter")


@pytest.mark.parametrize(
    "address", ["", "hospital.db", "nonsense://x", "sqlite+nonsense:///x", "sqlite", "http://x/y"]
)
def test_open__no_database_address__says_so(address: str) -> None:
    with pytest.raises(StoreError, match="is not a database address") as error:
        DocumentStore(address)

    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "address",
    ["nonsense://hospital:geheim@db/x", "postgresql+nonsense://hospital:geheim@db/x"],
)
def test_open__an_address_with_a_password__is_not_shown(address: str) -> None:
    with pytest.raises(StoreError) as error:
        DocumentStore(address)

    assert "geheim" not in str(error.value)


WRITING: dict[str, Callable[[DocumentStore], Any]] = {
    "add_batch": lambda store: add(store, FIRST + 1, "b"),
    "mark_issued": lambda store: store.mark_issued(LEDGER, FIRST, 1, 1),
    "remove_batch": lambda store: store.remove_batch(LEDGER, FIRST),
}
READING: dict[str, Callable[[DocumentStore], Any]] = {
    "numbers_of": lambda store: store.numbers_of(LEDGER, ["a"]),
    "unconfirmed": lambda store: store.unconfirmed(LEDGER),
    "batch_of": lambda store: store.batch_of(LEDGER, FIRST),
    "document": lambda store: store.document(LEDGER, FIRST),
    "leaves": lambda store: store.leaves(LEDGER, FIRST),
    "numbers": lambda store: store.numbers(LEDGER),
}


@pytest.mark.parametrize("write", WRITING.values(), ids=WRITING)
def test_write__a_store_that_is_read_only__says_so_in_one_line(
    write: Callable[[DocumentStore], Any], store: DocumentStore, url: str
) -> None:
    add(store, FIRST, "a")
    store.close()
    path = url.removeprefix("sqlite:///")
    # By the address, since file modes do not hold back root.
    read_only = DocumentStore(f"sqlite:///file:{path}?mode=ro&uri=true")

    with pytest.raises(StoreError, match="readonly") as error:
        write(read_only)

    assert "\n" not in str(error.value)
    assert read_only.numbers(LEDGER) == [FIRST]
    read_only.close()


@pytest.fixture
def locked(store: DocumentStore, url: str) -> Iterator[DocumentStore]:
    """A store with a batch, while another program writes and does not end."""
    add(store, FIRST, "a")

    def impatient(connection: Any, *_: object) -> None:
        connection.execute("PRAGMA busy_timeout=50")

    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as other:
        other.execute("BEGIN IMMEDIATE")
        event.listen(Engine, "checkout", impatient)
        yield store
        event.remove(Engine, "checkout", impatient)


@pytest.mark.parametrize("write", WRITING.values(), ids=WRITING)
def test_write__a_store_that_is_locked__says_so_in_one_line(
    write: Callable[[DocumentStore], Any], locked: DocumentStore
) -> None:
    with pytest.raises(StoreError, match="locked") as error:
        write(locked)

    assert "\n" not in str(error.value)


@pytest.mark.parametrize("read", READING.values(), ids=READING)
def test_read__a_store_that_is_locked__goes_on(
    read: Callable[[DocumentStore], Any], locked: DocumentStore
) -> None:
    assert read(locked)


@pytest.mark.parametrize("use", [*WRITING.values(), *READING.values()], ids=[*WRITING, *READING])
def test_use__its_tables_are_gone__says_so_in_one_line(
    use: Callable[[DocumentStore], Any], store: DocumentStore, url: str
) -> None:
    add(store, FIRST, "a")
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as other:
        other.executescript("DROP TABLE documents; DROP TABLE batches;")

    with pytest.raises(StoreError, match="no such table") as error:
        use(store)

    assert "\n" not in str(error.value)


def test_store_error__of_any_kind__shows_no_document(
    locked: DocumentStore,
) -> None:
    with pytest.raises(StoreError) as error:
        add(locked, FIRST + 1, "a key that stays private")

    assert "private" not in str(error.value)
    assert len(str(error.value)) < 300
