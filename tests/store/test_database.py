"""The database under the store: opened, migrated, private, durable, and each failure one line."""

from __future__ import annotations

import importlib
import multiprocessing
import stat
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import event, make_url, text
from sqlalchemy.engine import Engine
from tests.store.samples import (
    FIRST,
    INTENT,
    LEDGER,
    SIGNER,
    TABLES,
    add,
    at_each,
    attempt,
    other_program,
    segment,
    signing,
)

from medledger.errors import StoreError
from medledger.store import DocumentStore, migrations, schema

WRITING: dict[str, Callable[[DocumentStore], Any]] = {
    "add_batch": lambda store: add(store, FIRST + 1, "b"),
    "save_segment": lambda store: store.save_segment(segment()),
    "mark_issued": lambda store: store.mark_issued(
        LEDGER, FIRST, issued_at=1, block=1, transaction=b""
    ),
    "drop_set_aside": lambda store: store.drop_set_aside(LEDGER, ["a"]),
    "raise_nonce": lambda store: store.journal.raise_nonce("0x", 1),
    "check": lambda store: store.check(),
}
READING: dict[str, Callable[[DocumentStore], Any]] = {
    "segment": lambda store: store.segment(LEDGER, 1),
    "numbers_of": lambda store: store.numbers_of(LEDGER, ["a"]),
    "unissued": lambda store: store.unissued(LEDGER),
    "batch_of": lambda store: store.batch_of(LEDGER, FIRST),
    "document": lambda store: store.document(LEDGER, FIRST),
    "documents_of": lambda store: list(store.documents_of(LEDGER, FIRST)),
    "leaf_range": lambda store: store.leaf_range(LEDGER, FIRST, 0, 1),
    "journal": lambda store: store.journal.unfinished(),
}


def opened(url: str) -> closing[DocumentStore]:
    return closing(DocumentStore(url))


def execute(url: str, *statements: str) -> None:
    with other_program(url) as engine, engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))


# The schema


def test_open__a_new_database__makes_the_tables_as_the_schema_says(
    store: DocumentStore, url: str
) -> None:
    with other_program(url) as engine, engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})

        assert compare_metadata(context, schema.metadata) == []
        assert context.get_current_revision() == schema.REVISION
    assert set(TABLES) == set(schema.metadata.tables)


def test_revision__of_the_schema__is_the_last_migrations() -> None:
    assert migrations.revisions()[0] == schema.REVISION


@pytest.mark.parametrize(
    ("table", "index", "condition"),
    [
        ("transactions", "transactions_unfinished", schema.UNFINISHED),
        ("transactions", "transactions_final", schema.FINAL),
        ("batches", "batches_unissued", schema.UNISSUED),
    ],
)
def test_index__of_what_waits__has_the_condition_that_queries_have(
    table: str, index: str, condition: object, sqlite_url: str
) -> None:
    with opened(sqlite_url), other_program(sqlite_url) as engine, engine.connect() as connection:
        plan = connection.execute(
            text(f"EXPLAIN QUERY PLAN SELECT * FROM {table} WHERE {condition}")
        ).all()

    assert index in str(plan)


def test_open__at_the_last_revision__does_not_import_alembic(
    store: DocumentStore, url: str
) -> None:
    program = (
        "import sys; from medledger.store import DocumentStore; "
        "DocumentStore(sys.argv[1]).close(); sys.exit('alembic' in sys.modules)"
    )

    ran = subprocess.run([sys.executable, "-c", program, url], check=False)

    assert ran.returncode == 0


def test_open__a_newer_schema__says_to_update(store: DocumentStore, url: str) -> None:
    execute(url, "UPDATE alembic_version SET version_num = '9999'")

    with pytest.raises(StoreError, match=r"has schema 9999.*: update medledger"):
        DocumentStore(url)


def test_open__tables_without_a_revision__says_so_and_leaves_them(url: str) -> None:
    execute(url, "CREATE TABLE documents (number INTEGER)")

    with pytest.raises(StoreError, match=r"tables of an older medledger.*: name a new store"):
        DocumentStore(url)

    with other_program(url) as engine, engine.connect() as connection:
        assert connection.execute(text("SELECT * FROM documents")).all() == []
        assert not engine.dialect.has_table(connection, "signers")


def test_open__tables_of_another_program__stay_beside_its_own(url: str) -> None:
    execute(url, "CREATE TABLE patients (name TEXT)", "INSERT INTO patients VALUES ('x')")

    DocumentStore(url).close()

    with other_program(url) as engine, engine.connect() as connection:
        assert connection.execute(text("SELECT * FROM patients")).all() == [("x",)]


def test_open__the_migration_fails__leaves_nothing(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = importlib.import_module("alembic.op")
    create_table = first.create_table

    def stop_at_the_outbox(name: str, *columns: Any) -> None:
        if name == "outbox":
            raise KeyboardInterrupt
        create_table(name, *columns)

    monkeypatch.setattr(first, "create_table", stop_at_the_outbox)
    with pytest.raises(KeyboardInterrupt):
        DocumentStore(url)
    monkeypatch.undo()

    store = DocumentStore(url)
    add(store, FIRST, "a")
    assert store.numbers(LEDGER) == [FIRST]
    store.close()


def open_when_told(url: str, barrier: Any) -> None:
    barrier.wait()
    store = DocumentStore(url)
    store.numbers(LEDGER)
    store.close()


def test_open__a_new_database_by_several_at_once__all_succeed(url: str) -> None:
    processes = multiprocessing.get_context("fork")
    barrier = processes.Barrier(5)
    opening = [processes.Process(target=open_when_told, args=(url, barrier)) for _ in range(5)]

    for process in opening:
        process.start()
    for process in opening:
        process.join()

    assert [process.exitcode for process in opening] == [0] * 5


# Durable and private


def test_connection__of_sqlite__is_set_for_many_programs(sqlite_url: str) -> None:
    names = ("journal_mode", "busy_timeout", "page_size")
    found = set()

    def look(connection: Any, *_: object) -> None:
        found.add(tuple(connection.execute(f"PRAGMA {name}").fetchone()[0] for name in names))

    with at_each("checkout", look), opened(sqlite_url) as store:
        add(store, FIRST, "a")
        store.numbers(LEDGER)

    assert found == {("wal", 10_000, 16_384)}


def test_connection__of_postgresql__is_set_for_many_programs(new_postgres_url: str) -> None:
    found = set()

    def look(connection: Any, *_: object) -> None:
        names = ("lock_timeout", "transaction_isolation")
        found.add(tuple(connection.execute(f"SHOW {name}").fetchone()[0] for name in names))
        connection.rollback()

    name = make_url(new_postgres_url).database
    execute(
        new_postgres_url,
        f"ALTER DATABASE {name} SET default_transaction_isolation = 'serializable'",
    )
    with at_each("checkout", look), opened(new_postgres_url) as store:
        add(store, FIRST, "a")
        store.numbers(LEDGER)

    assert found == {("10s", "read committed")}


DURABLE: dict[str, Callable[[DocumentStore], Any]] = {
    "save_segment": lambda store: store.save_segment(segment()),
    "add_batch": lambda store: add(store, FIRST + 1, "b"),
    "set_aside_batch": lambda store: store.set_aside_batch(
        store.batch_of(LEDGER, FIRST),
        kind="",
        to_draft=lambda row: b"",
        reason="",
        problem="",
        since=0,
    ),
    "add": lambda store: store.journal.add(SIGNER, INTENT, signing("x")),
    "fill": lambda store: store.journal.fill(SIGNER, 9, INTENT, signing("x")),
    "renonce": lambda store: store.journal.renonce(1, 0, signing("x")),
    "add_attempt": lambda store: store.journal.add_attempt(1, attempt(0, "x")),
    "raise_nonce": lambda store: store.journal.raise_nonce(SIGNER, 9),
}
NOTED: dict[str, Callable[[DocumentStore], Any]] = {
    "mark_issued": WRITING["mark_issued"],
    "mark_mined": lambda store: store.journal.mark_mined(1, b"", 1, b""),
    "mark_signed": lambda store: store.journal.mark_signed(1, "waits"),
    "mark_final": lambda store: store.journal.mark_final(1),
    "mark_failed": lambda store: store.journal.mark_failed(1, "refused"),
}


@pytest.mark.parametrize("act", DURABLE)
def test_commit__of_what_only_the_store_knows__waits_for_the_disk(
    act: str, store: DocumentStore
) -> None:
    add(store, FIRST, "a")
    # What does not wait must leave no mark on the connection.
    store.journal.mark_signed(1)

    assert waits_of(DURABLE[act], store) == {True}


@pytest.mark.parametrize("act", NOTED)
def test_commit__of_what_the_chain_tells_again__does_not_wait(
    act: str, store: DocumentStore
) -> None:
    add(store, FIRST, "a")

    assert waits_of(NOTED[act], store) == {False}


def waits_of(act: Callable[[DocumentStore], Any], store: DocumentStore) -> set[bool]:
    """Whether each commit of an act waits for the disk."""
    found = set()

    def look(connection: Any) -> None:
        is_sqlite = connection.dialect.name == "sqlite"
        ask = "PRAGMA synchronous" if is_sqlite else "SHOW synchronous_commit"
        # 2 is FULL.
        found.add(connection.exec_driver_sql(ask).scalar() in (2, "on"))

    with at_each("commit", look):
        act(store)
    return found


def test_writing__on_sqlite__holds_the_lock_from_its_beginning(sqlite_url: str) -> None:
    statements = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        statements.append(statement)

    with opened(sqlite_url) as store:
        event.listen(Engine, "before_cursor_execute", note)
        store.save_segment(segment())
        store.numbers(LEDGER)
        event.remove(Engine, "before_cursor_execute", note)

    assert [statement for statement in statements if "BEGIN" in statement] == [
        "BEGIN IMMEDIATE",
        "BEGIN",
    ]


def test_open__a_new_file__is_its_owners_alone(sqlite_url: str, tmp_path: Path) -> None:
    with opened(sqlite_url) as store:
        add(store, FIRST, "a")

        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}

    # Patients' data and all secrets: in the file, and in what SQLite keeps beside it.
    assert set(modes) == {"hospital.db", "hospital.db-wal", "hospital.db-shm"}
    assert set(modes.values()) == {0o600}


def test_open__a_store_in_memory__works(tmp_path: Path) -> None:
    with opened("sqlite://") as store:
        add(store, FIRST, "a")

        assert store.numbers(LEDGER) == [FIRST]


# A store that cannot be used


def test_open__no_such_folder__says_so(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"nowhere/hospital.db cannot be made: No such file"):
        DocumentStore(f"sqlite:///{tmp_path}/nowhere/hospital.db")


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
    "address",
    ["", "hospital.db", "nonsense://x", "sqlite+nonsense:///x", "sqlite", "mysql://x/y"],
)
def test_open__no_database_address__says_what_is_one(address: str) -> None:
    with pytest.raises(StoreError, match=r"is not a database address: expected sqlite:///FILE"):
        DocumentStore(address)


@pytest.mark.parametrize(
    "address",
    [
        "nonsense://hospital:geheim@db/x",
        "postgresql+nonsense://hospital:geheim@db/x",
        "postgresql://hospital:geheim@/x?host=/nowhere",
    ],
)
def test_open__an_address_with_a_password__is_not_shown(address: str) -> None:
    with pytest.raises(StoreError) as error:
        DocumentStore(address)

    assert "geheim" not in str(error.value)
    assert "\n" not in str(error.value)


def test_open__without_the_driver__says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)

    with pytest.raises(StoreError, match=r"pip install 'medledger\[postgresql\]'"):
        DocumentStore("postgresql://hospital@/x?host=/nowhere")


@pytest.mark.parametrize("write", WRITING.values(), ids=WRITING)
def test_write__a_store_that_is_read_only__says_so_in_one_line(
    write: Callable[[DocumentStore], Any], sqlite_url: str
) -> None:
    with opened(sqlite_url) as store:
        add(store, FIRST, "a")
    path = sqlite_url.removeprefix("sqlite:///")

    # By the address, since file modes do not hold back root.
    with opened(f"sqlite:///file:{path}?mode=ro&uri=true") as store:
        with pytest.raises(StoreError, match="readonly") as error:
            write(store)

        assert "\n" not in str(error.value)
        assert store.numbers(LEDGER) == [FIRST]


@pytest.mark.parametrize("use", [*WRITING.values(), *READING.values()], ids=[*WRITING, *READING])
def test_use__its_tables_are_gone__says_so_in_one_line(
    use: Callable[[DocumentStore], Any], store: DocumentStore, url: str
) -> None:
    add(store, FIRST, "a")
    execute(url, *(f"DROP TABLE {table}" for table in reversed(TABLES)))

    with pytest.raises(StoreError, match=r"no such table|does not exist") as error:
        use(store)

    assert "\n" not in str(error.value)
