"""An index as files: the same totals, whole or not there at all."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import chain, count
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import duckdb
import pytest
from tests.docs.blocks import ROOT, blocks
from tests.index.chronicle import Chronicle, operator, terms
from tests.index.reading import lives
from tests.roles.world import World

from medledger.cli.export_reference import export_reference
from medledger.core.numbers import format_number
from medledger.errors import OutputInUse, SetupError, StoreError
from medledger.index import EventIndex, questions, sync
from medledger.index import export as exporting
from medledger.index.export import SUMMARY, export
from medledger.index.tables import TABLES, Type

FIRST = 46060126_0000000001
NOON = 1_700_000_000
FORMATS = ("parquet", "csv")


@pytest.fixture
def told(file_index: EventIndex, world: World) -> EventIndex:
    """A bill that is claimed, one that is reversed, and a prescription on its way."""
    lives(world)
    world.locked(300, key="open", own_pay_minor=700, fund_pay_minor=11900)
    sync(file_index, [world.rpc])
    return file_index


@pytest.fixture
def chronicle(tmp_path: Path) -> Iterator[Chronicle]:
    """Seven bills of one batch, and an event of each."""
    told = Chronicle(f"sqlite:///{tmp_path / 'index.db'}")
    told.tell("SegmentAllotted", at=NOON, contract="Invoices", first=FIRST, last=FIRST + 99)
    told.tell("BatchIssued", at=NOON, contract="Invoices", first=FIRST, count=7, by=operator(1))
    for position in reversed(range(7)):
        told.tell("InvoiceOpened", at=NOON + 60, number=FIRST + position, claimable=100 + position)
    yield told
    told.index.close()


def ask(folder: Path, query: str, **tables: str) -> list[tuple[Any, ...]]:
    """A query over an export; `{claims}` stands for the table's files."""
    suffix = json.loads((folder / SUMMARY).read_text("utf-8"))["files"]
    names = {table.name: f"'{folder}/{table.name}/*.{suffix}'" for table in TABLES}
    return duckdb.sql(query.format(**names)).fetchall()


def everything(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*"))


@pytest.mark.parametrize("format_", FORMATS)
def test_export__of_a_history__has_the_totals_of_the_index(
    format_: Any, told: EventIndex, world: World, tmp_path: Path
) -> None:
    done = world.auditor.export(told, tmp_path / "out", format_)

    out = done.folder
    assert done.block == told.place().next_block - 1
    assert ask(out, "SELECT count(*) FROM {events}") == [(told.count(),)]
    issued = "SELECT sum(count)::BIGINT FROM {batches} WHERE ledger = 'Invoices'"
    assert ask(out, issued) == [(world.auditor.rebuild(told).state.bills.issued,)]
    claims = "SELECT number, payer, locked_minor + reimbursed_minor FROM {claims} ORDER BY ALL"
    assert ask(out, claims) == sorted(
        (one.number, one.payer, one.amount_minor)
        for one in questions.claims(told, at=told.last_time())
    )
    segments = 'SELECT ledger, segment, issued, "left" FROM {segments}'
    assert ask(out, segments) == sorted(
        (one.contract, one.segment, one.issued, one.left) for one in questions.segments(told)
    )
    assert ask(out, "SELECT count(*) FROM {institutions}") == [(len(world.ids) + 1,)]
    assert ask(out, "SELECT count(*) FROM {operators} WHERE removed_at IS NULL") == [
        (len(world.ids) + 1,)
    ]


def test_export__of_a_history__tells_bills_and_prescriptions_as_the_ledgers_do(
    told: EventIndex, world: World, tmp_path: Path
) -> None:
    out = world.auditor.export(told, tmp_path / "out").folder

    found = ask(
        out,
        "SELECT number, number_printed, standing, claimable_minor, locked_minor, reimbursed_minor,"
        " reversed_by, original, institution, currency FROM {invoices}",
    )
    rebuilt = world.auditor.rebuild(told).state
    for number, printed, standing, claimable, locked, reimbursed, *others in found:
        held = world.ledgers.invoices.invoice_of(number)
        assert printed == format_number(number)
        assert standing == str(held.standing)
        assert claimable == (held.claimable or rebuilt.claimable.get(number))
        assert (locked, reimbursed) == world.ledgers.claims.usage_of(number)
        assert (others[0] or 0) == world.ledgers.invoices.reversed_by(number)
        assert (others[1] or 0) == world.ledgers.invoices.original_of(number)
        assert others[2] == world.ids["hospital"]
        assert others[3] == ("CNY" if held.currency else None)
    assert len(found) == 4
    ((number, state, courier, lines, owing),) = ask(
        out, "SELECT number, state, courier, lines, lines_open FROM {prescriptions}"
    )
    entry = world.ledgers.prescriptions.prescription_of(number)
    assert (state, courier) == (str(entry.state), world.ids["courier"])
    assert (lines, owing) == (2, sum(map(bool, entry.remaining)))


def test_export__arguments_and_times__are_those_of_the_events(
    told: EventIndex, world: World, tmp_path: Path
) -> None:
    out = world.auditor.export(told, tmp_path / "out").folder

    settled = ask(
        out,
        "SELECT arguments, epoch(happened_at)::BIGINT, number, institution, transaction"
        " FROM {events} WHERE event = 'ClaimSettled'",
    )
    (event,) = told.events(names=["ClaimSettled"])
    assert [row[1:] for row in settled] == [
        (event.time, event.keys[0], world.ids["payer"], f"0x{event.transaction.hex()}")
    ]
    said = json.loads(settled[0][0])
    assert said.keys() == event.arguments.keys()
    assert (int(said["number"]), said["payer"]) == (event.keys[0], world.ids["payer"])
    ((took, until),) = ask(
        out,
        "SELECT seconds_to_settle, epoch(settled_at - issued_at) FROM {claims}"
        " WHERE status = 'settled'",
    )
    assert took == until >= 0


@pytest.mark.parametrize("format_", FORMATS)
def test_export__each_table__has_the_columns_that_are_documented(
    format_: Any, chronicle: Chronicle, tmp_path: Path
) -> None:
    out = export(chronicle.index, chronicle.ledgers, tmp_path / "out", format_).folder

    types = {
        "BIGINT": Type.INTEGER,
        "VARCHAR": Type.TEXT,
        "TIMESTAMP WITH TIME ZONE": Type.TIME,
        "BOOLEAN": Type.TRUTH,
    }
    for table in TABLES:
        described = ask(out, f"DESCRIBE SELECT * FROM {{{table.name}}}")
        assert [row[0] for row in described] == [column.name for column in table.columns]
        if format_ == "parquet":
            assert [types[row[1]] for row in described] == [c.type for c in table.columns]


def test_export__more_rows_than_a_part__are_in_several_sorted_over_all(
    chronicle: Chronicle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "PART", 3)

    out = export(chronicle.index, chronicle.ledgers, tmp_path / "out", "parquet").folder

    parts = [f"part-0000{n}.parquet" for n in range(3)]
    assert everything(out / "invoices") == parts
    numbers = [
        duckdb.sql(f"SELECT list(number) FROM '{out}/invoices/{part}'").fetchall()[0][0]
        for part in parts
    ]
    assert list(chain.from_iterable(numbers)) == [FIRST + n for n in range(7)]
    listed = json.loads((out / SUMMARY).read_text("utf-8"))["tables"]["invoices"]
    assert [file["rows"] for file in listed["files"]] == [3, 3, 1]
    for file in listed["files"]:
        content = (out / file["name"]).read_bytes()
        assert (file["bytes"], file["sha256"]) == (
            len(content),
            hashlib.sha256(content).hexdigest(),
        )


def test_export__killed_at_any_row__leaves_nothing_that_looks_complete(
    chronicle: Chronicle, tmp_path: Path
) -> None:
    for row in (1, 9, 17):
        dying = get_context("fork").Process(target=_export_and_die, args=(tmp_path, row))
        dying.start()
        dying.join()

        assert dying.exitcode == -signal.SIGKILL
        assert not (tmp_path / "out").exists()
        assert not list(tmp_path.rglob(SUMMARY))

    done = export(chronicle.index, chronicle.ledgers, tmp_path / "out", "csv")

    assert done.rows["invoices"] == 7


def _export_and_die(folder: Path, row: int) -> None:
    """Exports in a process that ends at once when it comes to a row."""
    seen = count(1)
    exporting.STEP = 1
    told = Chronicle(f"sqlite:///{folder / 'index.db'}")
    export(
        told.index,
        told.ledgers,
        folder / "out",
        "csv",
        advance=lambda _: next(seen) == row and os.kill(os.getpid(), signal.SIGKILL),
    )


def _failing(_: Chronicle) -> None:
    raise KeyboardInterrupt


def _rolled_back(chronicle: Chronicle) -> None:
    place = chronicle.index.place()
    assert chronicle.index.roll_back(place.next_block - 1, place)


@pytest.mark.parametrize(
    ("act", "outcome"), [(_failing, KeyboardInterrupt), (_rolled_back, StoreError)]
)
def test_export__stopped_or_rolled_back__leaves_nothing(
    act: Callable[[Chronicle], None],
    outcome: type[BaseException],
    chronicle: Chronicle,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(exporting, "STEP", 15)
    before = everything(tmp_path)

    with pytest.raises(outcome):
        export(
            chronicle.index,
            chronicle.ledgers,
            tmp_path / "out",
            "csv",
            advance=lambda _: act(chronicle),
        )

    assert everything(tmp_path) == before


def test_export__of_an_index_that_grows__ends_where_it_began(
    chronicle: Chronicle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "STEP", 1)
    events, last = chronicle.index.count(), chronicle.index.place().next_block - 1

    done = export(
        chronicle.index,
        chronicle.ledgers,
        tmp_path / "out",
        "csv",
        advance=lambda _: chronicle.tell("DocumentHeld", at=NOON + 99, contract="Invoices"),
    )

    assert (done.block, done.rows["events"]) == (last, events)
    assert chronicle.index.count() > events


def test_export__into_a_folder__must_be_new_or_empty(chronicle: Chronicle, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    export(chronicle.index, chronicle.ledgers, out, "csv")
    before = everything(out)

    for taken in (out, out / SUMMARY):
        with pytest.raises(OutputInUse):
            export(chronicle.index, chronicle.ledgers, taken, "csv")

    assert everything(out) == before


def test_export__an_amount_beyond_64_bits_with_a_sign__is_empty_and_whole_in_events(
    chronicle: Chronicle, tmp_path: Path
) -> None:
    most = 2**64 - 1
    chronicle.tell("InvoiceOpened", at=NOON, number=FIRST + 9, claimable=most, currency=156)

    out = export(chronicle.index, chronicle.ledgers, tmp_path / "out", "parquet").folder

    assert ask(
        out, f"SELECT claimable_minor, currency FROM {{invoices}} WHERE number = {FIRST + 9}"
    ) == [(None, "CNY")]
    assert ask(
        out, f"SELECT arguments->>'claimable' FROM {{events}} WHERE number = {FIRST + 9}"
    ) == [(str(most),)]


def test_export__a_claim_paid_at_once_from_a_deposit__is_settled_and_paid(
    chronicle: Chronicle, tmp_path: Path
) -> None:
    of = {"number": FIRST, "payer": 21}
    payee = operator(9)
    settlement = ((5, 2**40, 0, False, payee), (4, 7, bytes(32), bytes(32)))
    chronicle.tell("ClaimLockedAndSettled", at=NOON + 90, settlement=settlement, **of)
    chronicle.tell("ClaimPaid", at=NOON + 90, payee=payee, amount=4, **of)

    out = export(chronicle.index, chronicle.ledgers, tmp_path / "out", "parquet").folder

    assert ask(
        out,
        "SELECT number, payer, status, reimbursed_minor, is_paid, reason, seconds_to_settle"
        " FROM {claims}",
    ) == [(FIRST, 21, "settled", 4, True, 7, 90)]


def test_export__without_its_package__says_what_to_install(
    chronicle: Chronicle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "duckdb", None)

    with pytest.raises(SetupError, match=r"medledger\[export\]"):
        export(chronicle.index, chronicle.ledgers, tmp_path / "out", "parquet")

    assert export(chronicle.index, chronicle.ledgers, tmp_path / "out", "csv").rows["events"] == 9


def test_document__of_the_export__is_what_the_tables_say() -> None:
    assert (ROOT / "docs" / "export.md").read_text("utf-8") == export_reference()


def test_document__its_query__runs_on_an_export(chronicle: Chronicle, tmp_path: Path) -> None:
    (shown,) = (b.text for b in blocks(ROOT / "docs" / "export.md") if "duckdb" in b.text[:20])
    chronicle.tell("ClaimLocked", at=NOON, number=FIRST, payer=21, terms=terms(5), until=NOON + 999)
    export(chronicle.index, chronicle.ledgers, tmp_path / "2026-11", "parquet")

    ran = subprocess.run(
        [sys.executable, "-c", shown], cwd=tmp_path, capture_output=True, text=True, check=True
    )

    assert "locked" in ran.stdout
