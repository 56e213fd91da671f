"""What breaks while a store writes: afterwards a batch is there whole, or not at all."""

from __future__ import annotations

import multiprocessing
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, event, text
from tests.store.postgres import Postgres, fresh_database
from tests.store.samples import (
    FIRST,
    INTENT,
    LEDGER,
    SIGNER,
    TABLES,
    add,
    at_each,
    batch,
    content,
    documents,
    ending_early,
    on_checkout,
    segment,
    signing,
)

from medledger.errors import StoreError
from medledger.store import DocumentStore

KEYS = [f"visit-{index}" for index in range(1_000)]


def add_many(
    store: DocumentStore, first: int = FIRST, act: Callable[[], Any] = lambda: None
) -> None:
    """A batch of all keys; something happens when half of it has been handed over."""
    rows = ending_early(documents(first, *KEYS), len(KEYS) // 2, act)
    store.add_batch(batch(first, len(KEYS)), rows, SIGNER, INTENT, signing())


def is_untouched(store: DocumentStore) -> bool:
    """Whether neither a number nor a nonce is taken."""
    return (
        store.segment(LEDGER, 1) == segment()
        and store.numbers(LEDGER) == []
        and store.unissued() == []
        and store.journal.unfinished() == []
        and store.journal.next_nonce(SIGNER) is None
    )


def is_whole(store: DocumentStore) -> bool:
    """Whether the batch of all keys is there, with its transaction."""
    (row,) = store.unissued()
    return (
        store.segment(LEDGER, 1) == segment(next_=FIRST + len(KEYS))
        and [found.business_key for found in store.documents_of(LEDGER, FIRST)] == KEYS
        and [found.id for found in store.journal.unfinished()] == [row.transaction_id]
        and store.journal.next_nonce(SIGNER) == 1
    )


# The process stops


def add_and_end(url: str, at: str) -> None:
    def end(*_: object) -> None:
        os._exit(7)

    store = DocumentStore(url)
    if at == "before the commit":
        event.listen(Engine, "commit", end)
    add_many(store, act=end if at == "in the middle" else lambda: None)
    end()


@pytest.mark.parametrize("at", ["in the middle", "before the commit", "after the commit"])
def test_add_batch__the_process_is_gone__all_or_nothing_is_there(
    at: str, store: DocumentStore, url: str
) -> None:
    store.save_segment(segment())
    store.close()
    process = multiprocessing.get_context("fork").Process(target=add_and_end, args=(url, at))

    process.start()
    process.join()

    assert process.exitcode == 7
    assert is_whole(store) if at == "after the commit" else is_untouched(store)


# The disk is full


def test_add_batch__the_disk_is_full__stores_nothing_and_says_so(sqlite_url: str) -> None:
    with closing(DocumentStore(sqlite_url)) as store:
        store.save_segment(segment())
        with (
            on_checkout("PRAGMA max_page_count=30"),
            pytest.raises(StoreError, match="cannot be used: database or disk is full"),
        ):
            add_many(store)

        assert is_untouched(store)
        with on_checkout("PRAGMA max_page_count=100000"):
            add_many(store)
        assert is_whole(store)


# Another program writes, and does not end


@pytest.fixture
def locked(store: DocumentStore, url: str) -> Iterator[DocumentStore]:
    """A store that waits for nobody, while another program holds a lock on all that it writes."""
    add(store, FIRST, "a")
    store.close()
    is_sqlite = url.startswith("sqlite")
    engine = create_engine(
        url.replace("postgresql:", "postgresql+psycopg:"), isolation_level="AUTOCOMMIT"
    )
    impatient = "PRAGMA busy_timeout=0" if is_sqlite else "SET lock_timeout = '10ms'"
    with engine.connect() as other:
        other.execute(text("BEGIN IMMEDIATE" if is_sqlite else "BEGIN"))
        if not is_sqlite:
            other.execute(text(f"LOCK TABLE {', '.join(TABLES)} IN EXCLUSIVE MODE"))
        with on_checkout(impatient):
            yield store
        other.execute(text("ROLLBACK"))
    engine.dispose()


WRITING: dict[str, Callable[[DocumentStore], Any]] = {
    "add_batch": lambda store: add(store, FIRST + 1, "a key that stays private"),
    "mark_issued": lambda store: store.mark_issued(
        LEDGER, FIRST, issued_at=1, block=1, transaction=b""
    ),
    "save_segment": lambda store: store.save_segment(segment()),
    "set_aside_batch": lambda store: store.set_aside_batch(
        store.batch_of(LEDGER, FIRST),
        kind="",
        to_draft=lambda row: b"",
        reason="",
        problem="",
        since=0,
    ),
    "add": lambda store: store.journal.add(SIGNER, INTENT, signing("x")),
    "mark_failed": lambda store: store.journal.mark_failed(1, "refused"),
}


@pytest.mark.parametrize("write", WRITING.values(), ids=WRITING)
def test_write__a_store_that_is_locked__says_so_and_changes_nothing(
    write: Callable[[DocumentStore], Any], locked: DocumentStore, url: str
) -> None:
    before = content(url)

    with pytest.raises(StoreError, match=r"database is locked|lock timeout") as error:
        write(locked)

    assert content(url) == before
    assert "\n" not in str(error.value)
    assert "private" not in str(error.value)


READING: dict[str, Callable[[DocumentStore], Any]] = {
    "numbers_of": lambda store: store.numbers_of(LEDGER, ["a"]),
    "unissued": lambda store: store.unissued(LEDGER),
    "document": lambda store: store.document(LEDGER, FIRST),
    "unfinished": lambda store: store.journal.unfinished(),
}


@pytest.mark.parametrize("read", READING.values(), ids=READING)
def test_read__a_store_that_is_locked__goes_on(
    read: Callable[[DocumentStore], Any], locked: DocumentStore
) -> None:
    assert read(locked)


# The server is killed


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    with Postgres() as server:
        yield server


@pytest.fixture
def served(server: Postgres) -> Iterator[DocumentStore]:
    with closing(DocumentStore(fresh_database(server.url))) as store:
        store.save_segment(segment())
        yield store


def test_add_batch__the_server_is_killed_in_the_middle__nothing_is_there(
    served: DocumentStore, server: Postgres
) -> None:
    with pytest.raises(StoreError, match="cannot be used") as error:
        add_many(served, act=server.crash)

    server.start()
    assert "\n" not in str(error.value)
    assert is_untouched(served)
    add_many(served)
    assert is_whole(served)


@pytest.mark.parametrize("at", ["before the commit", "after the commit"])
def test_add_batch__the_server_is_killed_at_the_commit__all_or_nothing_is_there(
    at: str, served: DocumentStore, server: Postgres
) -> None:
    def crash(connection: Any) -> None:
        if at == "after the commit":
            # Committed, and the server is gone before the program knows.
            connection.connection.commit()
            connection.exec_driver_sql("SELECT 1")
        server.crash()

    with at_each("commit", crash), pytest.raises(StoreError, match="cannot be used"):
        add_many(served)

    server.start()
    assert is_whole(served) if at == "after the commit" else is_untouched(served)


def test_use__the_server_is_down__says_so_until_it_is_back(
    served: DocumentStore, server: Postgres
) -> None:
    add_many(served)
    server.crash()

    for use in (served.check, served.unissued, served.journal.unfinished):
        with pytest.raises(StoreError, match="cannot be used") as error:
            use()
        assert "\n" not in str(error.value)

    server.start()
    assert is_whole(served)


def test_open__the_server_is_down__says_so(server: Postgres) -> None:
    url = fresh_database(server.url)
    server.crash()

    with pytest.raises(StoreError, match="cannot be opened") as error:
        DocumentStore(url)

    server.start()
    assert "\n" not in str(error.value)
    DocumentStore(url).close()


# The file is damaged


def test_use__a_damaged_file__says_so(sqlite_url: str) -> None:
    with closing(DocumentStore(sqlite_url)) as store:
        store.save_segment(segment())
        add_many(store)
    path = sqlite_url.removeprefix("sqlite:///")
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")
    with open(path, "r+b") as file:
        file.seek(20 * 16_384)
        file.write(b"\xff" * 100 * 16_384)

    with (
        closing(DocumentStore(sqlite_url)) as store,
        pytest.raises(StoreError, match=r"cannot be used: .*malformed"),
    ):
        list(store.documents_of(LEDGER, FIRST))
