"""The same files, read by DuckDB in this process and by Spark: the same answers, and the index's.

`make spark` installs Spark and the Java that it runs on; so does `make test`.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import duckdb
import pytest
from tests.docs.blocks import ROOT, blocks
from tests.index.reading import lives
from tests.roles.world import World

from medledger.index import EventIndex, questions, sync
from medledger.index.tables import TABLES

SPARK = Path(sys.prefix) / "spark" / "bin" / "python"
ANSWERS = Path(__file__).with_name("spark_answers.py")

QUERIES = {
    "events": "SELECT contract, event, count(*) FROM events GROUP BY contract, event ORDER BY 1, 2",
    "issued": "SELECT ledger, institution, CAST(sum(count) AS BIGINT) FROM batches"
    " GROUP BY ledger, institution ORDER BY 1, 2",
    "claims": "SELECT payer, status, count(*), CAST(sum(locked_minor) AS BIGINT),"
    " CAST(sum(reimbursed_minor) AS BIGINT) FROM claims GROUP BY payer, status ORDER BY 1, 2",
    "invoices": "SELECT number, number_printed, standing, is_on_hold, reversed_by"
    " FROM invoices ORDER BY 1",
    "prescriptions": "SELECT number, state, pharmacy, courier FROM prescriptions ORDER BY 1",
    "segments": "SELECT ledger, segment, first, last, issued FROM segments ORDER BY 1, 2",
    "keys": "SELECT i.institution, i.kinds, count(*) FROM institutions i JOIN operators o"
    " ON i.institution = o.institution GROUP BY i.institution, i.kinds ORDER BY 1",
    "times": "SELECT number, date_format(issued_at, 'HH:mm:ss') FROM invoices ORDER BY 1",
    "arguments": "SELECT block, log_index, arguments FROM events ORDER BY 1, 2",
}
"""In words that both understand; `times` is said otherwise to DuckDB."""
DUCKDB_WORDS = {"date_format(issued_at, 'HH:mm:ss')": "strftime(issued_at, '%H:%M:%S')"}


def of_duckdb(folder: Path, files: str, query: str) -> list[list[Any]]:
    for spark_word, duckdb_word in DUCKDB_WORDS.items():
        query = query.replace(spark_word, duckdb_word)
    with duckdb.connect() as database:
        database.execute("SET TimeZone = 'UTC'")
        for table in TABLES:
            place = f"{folder}/{table.name}/*.{files}"
            database.execute(f"CREATE VIEW {table.name} AS FROM '{place}'")
        return [list(row) for row in database.execute(query).fetchall()]


def of_spark(exports: dict[str, Path], folder: Path) -> dict[str, Any]:
    (program,) = (b.text for b in blocks(ROOT / "docs" / "export.md") if "pyspark" in b.text[:20])
    place = folder / "asked.json"
    asked = {
        "exports": {files: str(folder) for files, folder in exports.items()},
        "tables": [table.name for table in TABLES],
        "queries": QUERIES,
        "program": program,
    }
    place.write_text(json.dumps(asked), "utf-8")
    ran = subprocess.run(
        [str(SPARK), str(ANSWERS), str(place)],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout)
    assert isinstance(found, dict)
    return found


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.skipif(not SPARK.exists(), reason="Spark is not installed: make spark")
def test_export__read_by_duckdb_and_spark__gives_the_totals_of_the_index(
    file_index: EventIndex, world: World, tmp_path: Path
) -> None:
    lives(world)
    world.locked(300, key="open")
    sync(file_index, [world.rpc])
    exports = {
        "parquet": world.auditor.export(file_index, tmp_path / "2026-11", "parquet").folder,
        "csv": world.auditor.export(file_index, tmp_path / "csv", "csv").folder,
    }

    answers = of_spark(exports, tmp_path)

    assert "sum(reimbursed_minor)" in answers["program"]

    for files, folder in exports.items():
        by_spark = answers[files]
        for name, query in QUERIES.items():
            assert by_spark[name] == of_duckdb(folder, files, query), (files, name)
        events = Counter((event.contract, event.name) for event in file_index.events())
        assert by_spark["events"] == [[*key, events[key]] for key in sorted(events)]
        standing = questions.claims(file_index, at=file_index.last_time())
        locked = sum(one.amount_minor for one in standing if one.status == "locked")
        reimbursed = sum(one.amount_minor for one in standing if one.status == "settled")
        assert sum(row[3] for row in by_spark["claims"]) == locked == 300
        assert sum(row[4] for row in by_spark["claims"]) == reimbursed == 500
        issued = sum(batch.count for batch in questions.batches(file_index))
        assert sum(row[2] for row in by_spark["issued"]) == issued
        said = [json.loads(row[2]) for row in by_spark["arguments"]]
        assert [set(one) for one in said] == [set(e.arguments) for e in file_index.events()]
