"""Statement files: written and read back, in both forms, and refused with line and column."""

from __future__ import annotations

import io

import pytest

from medledger.core.hashing import InvoiceHeader
from medledger.core.statement import StatementRow
from medledger.errors import BadResource
from medledger.formats.statement import read_statement, write_statement

NUMBER = 46060126_0000000017
HEADER = InvoiceHeader(
    number=NUMBER,
    patient="0x" + 40 * "1",
    claimable=2500,
    currency=156,
    on_hold=False,
    prescription=46080126_0000000003,
    prescribed=300,
    body=bytes(range(32)),
)
ROWS = [
    StatementRow(NUMBER, 12600, 2500, None, HEADER),
    StatementRow(NUMBER + 1, 12600, 0, NUMBER),
]


@pytest.mark.parametrize("as_csv", [True, False])
def test_read_statement__what_was_written__is_the_rows(as_csv: bool) -> None:
    stream = io.StringIO()
    write_statement(ROWS, stream, as_csv=as_csv)

    assert list(read_statement(stream.getvalue().encode(), "day")) == ROWS


def test_read_statement__a_spreadsheets_csv__is_taken() -> None:
    text = "\ufefftotalMinor,number,claimable\r\n5,460601260000000017,3\r\n\r\n"

    assert list(read_statement(text.encode(), "day.csv")) == [StatementRow(NUMBER, 5, 3)]


@pytest.mark.parametrize(
    ("text", "line", "field", "problem"),
    [
        ("", 1, "header", "has no column number"),
        ("a;b\n", 1, "header", "has no column number"),
        ("number,totalMinor,claimable\n1,2\n", 2, "line", "has 2 cells, not 3"),
        ("number,totalMinor,claimable\n1,2,3\n", 2, "number", "is no document number"),
        ('number,totalMinor,claimable\n"1,2,3\n', 2, "line", "unexpected end of data"),
        ("number,total\n46060126-0000000017,2\n", 2, "total", "is no column"),
        ('{"number": "46060126-0000000017"}\n', 1, "claimable", "is no amount"),
        ('{"number": 1}\n', 1, "number", "is no document number"),
        ('{"number": "46060126-0000000017"\n', 1, "line", "not strict JSON"),
        ('{"totalMinor": 1, "totalMinor": 2}\n', 1, "line", "twice"),
        ('{"a": 1}\n[1]\n', 1, "a", "is no column"),
    ],
)
def test_read_statement__a_file_that_is_wrong__named_with_its_line(
    text: str, line: int, field: str, problem: str
) -> None:
    with pytest.raises(BadResource, match=problem) as error:
        list(read_statement(text.encode(), "day"))

    assert (error.value.values["line"], error.value.values["field"]) == (line, field)


def test_read_statement__not_utf_8__refused() -> None:
    with pytest.raises(BadResource, match="is not UTF-8"):
        list(read_statement("number,名\n".encode("gbk"), "day"))
