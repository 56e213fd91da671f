"""NDJSON streams: every line is yielded or refused, and nothing stops the rest."""

from __future__ import annotations

import gzip
import io
import json
import random
import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.formats.json_samples import BILL, ORDER, line_of, texts

from medledger.core.canonical import MAX_BYTES, parse_strict
from medledger.core.documents import Invoice, Prescription
from medledger.errors import BadResource, InputError
from medledger.formats.faults import Unfit
from medledger.formats.json import document_of, read_documents
from medledger.formats.json.stream import read_document

MEGABYTE = 1 << 20


class Trickle(io.RawIOBase):
    """A pipe that gives one byte at a time."""

    def __init__(self, data: bytes) -> None:
        self._data = iter(data)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        byte = next(self._data, None)
        if byte is None:
            return 0
        buffer[0] = byte
        return 1


class Endless(io.RawIOBase):
    """One line of so many megabytes, and then a bill."""

    def __init__(self, megabytes: int) -> None:
        rest = b'"\n' + line_of() + b"\n"
        self._parts = iter([*[b'"' + b"x" * (MEGABYTE - 1)] * megabytes, rest])
        self._part = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._part = self._part or next(self._parts, b"")
        taken = self._part[: len(buffer)]
        self._part = self._part[len(taken) :]
        buffer[: len(taken)] = taken
        return len(taken)


def read(data: bytes | io.BufferedIOBase) -> tuple[list[str], list[str]]:
    """The business keys of the bills of a stream, and what was refused."""
    refused: list[BadResource] = []
    stream = io.BytesIO(data) if isinstance(data, bytes) else data
    found = [bill.business_key for bill in read_documents(stream, "Invoice", refused.append, "b")]
    return found, [str(error) for error in refused]


def lines(count: int) -> Iterator[bytes]:
    """Bills with keys 0 to `count`, which gzip cannot make much shorter."""
    draw = random.Random(1)
    for number in range(count):
        yield line_of(businessKey=str(number), remark=draw.randbytes(200).hex()) + b"\n"


def test_read__a_stream_of_prescriptions__are_those() -> None:
    text = json.dumps(ORDER).encode()

    found = list(read_documents(io.BytesIO(text), "Prescription", pytest.fail))

    assert [type(order) for order in found] == [Prescription]


def test_read__blank_lines_and_no_last_newline__are_no_matter() -> None:
    data = b"\n" + line_of(businessKey="a") + b"\r\n  \n\n" + line_of(businessKey="b")

    assert read(data) == (["a", "b"], [])


def test_read__an_empty_stream__is_no_document() -> None:
    assert read(b"") == ([], [])


BOM = "\ufeff".encode()


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        (BOM + line_of(), "line: is not strict JSON: starts with a byte-order mark"),
        (b'{"a":1,"a":1}', "line: is not strict JSON: a key stands twice"),
        (line_of()[:-1] + b',"remark":"x"}', "line: is not strict JSON: a key stands twice"),
        (line_of(totalMinor=float("nan")), "line: is not strict JSON: NaN is not JSON"),
        (
            line_of().replace(b"visit-1", b"\\ud800"),
            "line: is not strict JSON: an unpaired surrogate",
        ),
        (line_of(remark="cafe\u0301"), "line: is not in Unicode normal form C"),
        (
            line_of().replace(b"visit-1", b"cafe\\u0301"),
            "line: is not in Unicode normal form C",
        ),
        (b'{"a":' * 65 + b"1" + b"}" * 65, "line: is not strict JSON: nested deeper than 64"),
        (b"[" * 100_000, "line: is not strict JSON: nested deeper than 64"),
        (b"\xff", "line: is not strict JSON: not UTF-8 at byte 0"),
        (line_of()[:-1], "line: is not strict JSON: Expecting "),
        (b"[]", "line: is not an object"),
        (b"null", "line: is not an object"),
        (line_of(totalMinor=126.0), "totalMinor: is not a whole number"),
        (line_of(totalMinor=2**53), "totalMinor: is out of range"),
        (line_of(totalMinor=12601), "TotalAmount: is not fundPayAmount + "),
        (line_of(relatedInvoice="17"), "relatedInvoice: is not a document number"),
        (line_of(lines=[{}]), "lines[0].code: is missing"),
    ],
    ids=lambda value: value[:60] if isinstance(value, str) else "",
)
def test_read__a_bad_line__is_refused_by_name_and_the_rest_goes_on(
    line: bytes, complaint: str
) -> None:
    found, refused = read(line + b"\n" + line_of(businessKey="after") + b"\n")

    assert found == ["after"]
    assert len(refused) == 1
    assert refused[0].startswith(f"b:1: {complaint}")


def test_read__a_bad_line__its_values_are_not_told() -> None:
    _, refused = read(line_of(issuedAt="secret", relatedInvoice="secret"))

    assert "secret" not in refused[0]


def test_read__a_refusal__is_heard_when_the_line_is_met() -> None:
    heard: list[BadResource] = []
    data = line_of() + b"\n\n{}\n" + line_of()
    stream = read_documents(io.BytesIO(data), "Invoice", heard.append)

    next(stream)
    before = len(heard)
    next(stream)

    assert before == 0
    assert [(error.file, error.line) for error in heard] == [("stdin", 3)]


def test_read__a_line_of_500_mb__is_refused_and_never_held() -> None:
    stream = io.BufferedReader(Endless(500))
    tracemalloc.start()

    found, refused = read(stream)

    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found == ["visit-1"]
    assert refused == [f"b:1: line: is not strict JSON: longer than {MAX_BYTES} bytes"]
    assert peak < 40 * MEGABYTE


# gzip


@pytest.mark.parametrize("compressed", [False, True])
def test_read__a_pipe_that_gives_single_bytes__is_read_whole(compressed: bool) -> None:
    data = b"".join(lines(3))

    stream = io.BufferedReader(Trickle(gzip.compress(data) if compressed else data))

    assert read(stream) == (["0", "1", "2"], [])


def test_read__two_gzip_streams_in_a_row__are_both_read() -> None:
    one, two = lines(2)

    assert read(gzip.compress(one) + gzip.compress(two)) == (["0", "1"], [])


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        (
            lambda data: data[: len(data) // 2],
            "the file ends in the middle of its gzip stream; copy it again",
        ),
        (lambda data: data[:-8], "the file ends in the middle of its gzip stream; copy it again"),
        (lambda data: data[:-8] + bytes(8), "the file is not sound gzip; copy it again"),
        (lambda data: data[:2] + b"\xff" * 20, "the file is not sound gzip; copy it again"),
        (lambda data: data + b"garbage", "the file is not sound gzip; copy it again"),
    ],
    ids=["truncated", "without its check sum", "wrong check sum", "damaged", "garbage after"],
)
def test_read__a_gzip_that_is_not_whole__gives_the_lines_before_and_is_named(
    spoil: Any, problem: str
) -> None:
    data = spoil(gzip.compress(b"".join(lines(2000))))
    bills = read_documents(io.BytesIO(data), "Invoice", pytest.fail, "bills.gz")
    found: list[str] = []

    with pytest.raises(BadResource) as raised:
        found.extend(bill.business_key for bill in bills)

    assert found == [str(number) for number in range(len(found))]
    assert str(raised.value) == f"bills.gz:{len(found) + 1}: line: {problem}"


def test_read__a_gzip_without_its_end__gives_all_lines() -> None:
    data = gzip.compress(b"".join(lines(3)))[:-8]
    bills = read_documents(io.BytesIO(data), "Invoice", pytest.fail)

    found = [next(bills).business_key for _ in range(3)]

    assert found == ["0", "1", "2"]
    with pytest.raises(BadResource, match="stdin:4: line: the file ends in the middle"):
        next(bills)


# The quick way is the strict way


def strictly(text: bytes) -> Invoice | Prescription | None:
    """What the strict reader makes of a line; None where it is refused."""
    try:
        return document_of(parse_strict(text), "Invoice")
    except InputError:
        return None


def quickly(text: bytes) -> Invoice | Prescription | None:
    try:
        return read_document(text, "Invoice")
    except Unfit:
        return None


@given(texts())
@example(line_of(remark="").decode().replace('"remark"', '"remark":"","remark"'))
@example(line_of(remark="").decode().replace('"remark"', '"remark" : "\\\\","remark"'))
@example(
    line_of(name="")
    .decode()
    .replace('"name": ""', r'"onHold":false,"onHold":true,"name":"\u0022\u0022"')
)
@example(line_of(name="").decode().replace('"name": ""', r'"name":"\u005c\u0022\\\""'))
@example(line_of().decode().replace('"type": 1', '"type": 1.0'))
@example(line_of().decode().replace('"type": 1', '"type": 1e0'))
@example(line_of().decode().replace('"type": 1', '"type": true'))
@example(line_of().decode().replace("12600", "12600.0"))
@example(line_of().decode().replace("12600", "1.26e4"))
def test_read__a_bill_in_any_spelling__is_what_the_strict_reader_makes_of_it(text: str) -> None:
    line = text.encode("utf-8", "surrogatepass")

    assert quickly(line) == strictly(line)


@given(st.data())
def test_read__a_bill_with_damage__is_what_the_strict_reader_makes_of_it(
    data: st.DataObject,
) -> None:
    line = bytearray(line_of())
    at = data.draw(st.integers(0, len(line)))
    length = data.draw(st.integers(0, 3))
    line[at : at + length] = data.draw(
        st.binary(max_size=4) | st.sampled_from([b'"', b"\\", b'\\"', b"}", b"1", b".5", b" "])
    )

    assert quickly(bytes(line)) == strictly(bytes(line))


def test_read__a_bill_spelled_with_escapes__is_taken() -> None:
    line = json.dumps(BILL, ensure_ascii=True, indent=None).encode()

    assert quickly(line) == strictly(line) == document_of(BILL, "Invoice")
