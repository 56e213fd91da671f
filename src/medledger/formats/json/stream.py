"""Streams of documents: NDJSON, one document a line, plain or gzip.

Every line that is not blank is yielded or refused, never both, never neither. A line is refused
that is not strict JSON (`core.canonical`), not of the form that `bodies` says, or longer than 8 MB,
of which no more is held in memory.
"""

from __future__ import annotations

import io
import unicodedata
from collections.abc import Callable, Iterator

import orjson

from medledger.core.canonical import MAX_BYTES
from medledger.core.documents import Invoice, Prescription
from medledger.core.numbers import parse_number
from medledger.errors import BadNumber, BadResource, InputError, InvalidDocument
from medledger.formats.faults import Unfit, parse
from medledger.formats.json.documents import Kind, document_of
from medledger.formats.lines import Broken, plain, read_lines

WHOLE = "line"
"""What stands in an error for the field where the whole line is wrong."""


def read_documents(
    stream: io.BufferedIOBase,
    kind: Kind,
    on_reject: Callable[[BadResource], None],
    name: str = "stdin",
) -> Iterator[Invoice | Prescription]:
    """The documents of a stream, which errors call `name`.

    A line that is refused is given to `on_reject`, when it is met. Raises `BadResource` where the
    stream cannot be read to its end (a truncated gzip): all lines before that have been given.
    """
    try:
        for number, text in read_lines(plain(stream)):
            try:
                document = read_document(text, kind)
            except Unfit as fault:
                on_reject(
                    BadResource(file=name, line=number, field=fault.field, problem=fault.problem)
                )
            else:
                yield document
    except Broken as broken:
        raise BadResource(
            file=name, line=broken.line, field=WHOLE, problem=broken.problem
        ) from broken


def read_document(text: bytes, kind: Kind) -> Invoice | Prescription:
    """The document of one line; raises `Unfit`."""
    try:
        found = _parse_sound(text)
        if found is not None:
            return document_of(found, kind)
    except InputError:
        # Read again below: what is wrong is named in one way.
        pass
    try:
        return document_of(parse(text, WHOLE), kind)
    except InvalidDocument as error:
        field = error.values["field"]
        raise Unfit(
            WHOLE if field == "body" else str(field), str(error.values["problem"])
        ) from None
    except BadNumber:
        raise Unfit(_garbled_number(text), "is not a document number") from None


def _garbled_number(text: bytes) -> str:
    """Which member does not name a document; `BadNumber` itself does not say."""
    value = orjson.loads(text)
    try:
        parse_number(value.get("relatedInvoice") or "00000001-0000000001")
    except BadNumber:
        return "relatedInvoice"
    return "prescription"


def _parse_sound(text: bytes) -> object | None:
    """What `parse_strict` gives, in a third of its time, or None where it may refuse.

    Two things only are not told: nesting, and numbers that are not whole. Documents have neither.
    """
    if len(text) > MAX_BYTES:
        return None
    try:
        value: object = orjson.loads(text)
        again = orjson.dumps(value)
    except (orjson.JSONDecodeError, orjson.JSONEncodeError):
        return None
    # Of two equal keys one is lost, and its two quotes with it.
    if _quotes(again) != _quotes(text):
        return None
    if not again.isascii() and not unicodedata.is_normalized("NFC", again.decode()):
        return None
    return value


def _quotes(text: bytes) -> int:
    """How many quotes begin or end a string in sound JSON.

    Of strings that end in a backslash fewer are counted, never more in what orjson writes than in
    what it read.
    """
    return text.count(b'"') - text.count(rb"\"")
