"""docs/export.md, written from the tables of an export themselves.

    python -m medledger.cli.export_reference > docs/export.md

A test compares the file with this text, and runs what it shows.
"""

from __future__ import annotations

import click

from medledger.index.export import FORM, PART, ROW_GROUP, SUMMARY
from medledger.index.tables import TABLES, TableForm

INTRODUCTION = f"""\
# The export

Written by `python -m medledger.cli.export_reference > docs/export.md`; a test compares it with the
tables, and runs the two programs below.

```sh
pip install 'medledger[export]'    # for Parquet; CSV needs nothing
medledger audit sync --index sqlite:///index.db
medledger audit export 2026-11 --index sqlite:///index.db
medledger audit export 2026-11-csv --index sqlite:///index.db --format csv
```

The [auditor's index](audit.md) becomes a folder with a folder for each table. Why it is as it is:
[decision 27](decisions/0027-export.md).

## Reading it

With DuckDB, inside a Python program or its own command line:

```python
import duckdb

query = \"\"\"
    SELECT payer, status, count(*) AS claims, sum(reimbursed_minor) AS reimbursed_minor
    FROM '2026-11/claims/*.parquet' GROUP BY ALL ORDER BY ALL
\"\"\"
print(duckdb.sql(query))
```

With Spark, also of a cluster:

```python
from pyspark.sql import SparkSession

spark = SparkSession.builder.getOrCreate()
claims = spark.read.parquet("2026-11/claims")
claims.groupBy("payer", "status").sum("reimbursed_minor").show()
```

Of CSV, `'2026-11-csv/claims/*.csv'` is all that DuckDB needs. Spark wants to hear that a quote in a
quoted cell is doubled: `spark.read.csv("2026-11-csv/claims", header=True, inferSchema=True,
escape='"')`.

## Files

- `DIR/TABLE/part-00000.parquet`, or `.csv`, and so on: {PART:,} rows each, sorted over all parts as
  said below. Parquet has row groups of at least {ROW_GROUP:,} rows, compressed with zstd; their
  smallest and greatest values let a reader skip what it does not ask for.
- A table without rows has one part, with its columns.
- `{SUMMARY}` beside them says of what chain, contracts and blocks all this is, with the hash of the
  last block, and lists every file with its rows, bytes and SHA-256. Its `format` is `{FORM}`:
  another number comes when a column goes or changes its meaning. A new column does not change it.
- DIR appears when all is in it and on the disk. A killed export leaves a folder `.DIR.*.partial`
  beside it, without `{SUMMARY}`; delete it. What is synced meanwhile is not in it.

## Columns

- Names end as their units: `_minor` is whole minor units of the currency (fen, cents), `_at` a time
  in UTC, `_printed` a document number as printed. `seconds_` counts seconds.
- Whole numbers have 64 bits with a sign. Document numbers are bill code and bill number in one:
  460601260000000017 is 46060126-0000000017.
- In CSV, times are `2026-11-27T06:00:00Z`, truths `true` and `false`, the separator a comma, quotes
  doubled (RFC 4180), lines ended by a line feed, all UTF-8.
- An empty cell (null) says that there is nothing to say: not opened, never happened, without end.
  A number that does not fit, which only a forged header has, is empty too; `events` has it whole.
- `institution`, `payer`, `pharmacy`, `courier` and `endorsed_by` are ids of `institutions`; names
  are not on chain.
- In `arguments`, bytes are text (0x...), and so are whole numbers above 2^53 - 1.
- Patients are in no table: what `events` has of them are addresses that serve for one document.

## Tables
"""


def export_reference() -> str:
    """The whole text of docs/export.md."""
    return "\n".join([INTRODUCTION, *(_section(table) for table in TABLES)])


def _section(table: TableForm) -> str:
    order = " and ".join(f"`{name}`" for name in table.order)
    rows = [f"### `{table.name}`", "", f"{table.row} Sorted by {order}.", ""]
    rows += ["| column | type | may be empty | meaning |", "|---|---|---|---|"]
    for column in table.columns:
        empty = "yes" if column.is_optional else ""
        rows.append(f"| `{column.name}` | {column.type.value} | {empty} | {column.meaning} |")
    return "\n".join(rows) + "\n"


if __name__ == "__main__":
    click.echo(export_reference(), nl=False)
