"""Streams of documents: NDJSON, one document a line, plain or gzip.

Every line that is not blank is yielded or refused, never both, never neither. A line is refused
that is not strict JSON (`core.canonical`), not of the form that `bodies` says, or longer than 8 MB,
of which no more is held in memory.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from typing import cast

from pydantic.alias_generators import to_camel

from medledger.core.documents import SomeDocument
from medledger.core.numbers import DocumentKind
from medledger.errors import BadNumber, BadResource, InvalidDocument
from medledger.formats.faults import Unfit, parse
from medledger.formats.json.documents import NUMBERS, document_of
from medledger.formats.lines import Broken, plain, read_lines

WHOLE = "line"
"""What stands in an error for the field where the whole line is wrong."""


def read_documents(
    stream: io.BufferedIOBase,
    kind: DocumentKind,
    on_reject: Callable[[BadResource], None],
    name: str = "stdin",
) -> Iterator[SomeDocument]:
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


def read_document(text: bytes, kind: DocumentKind) -> SomeDocument:
    """The document of one line; raises `Unfit`."""
    value = parse(text, WHOLE)
    try:
        return document_of(value, kind)
    except InvalidDocument as error:
        field = error.values["field"]
        raise Unfit(
            WHOLE if field == "body" else str(field), str(error.values["problem"])
        ) from None
    except BadNumber as error:
        # Only of an object a member can be no number.
        members = cast("dict[str, object]", value)
        field = next(
            member
            for member in map(to_camel, NUMBERS)
            if str(members.get(member))[:40] == error.values["text"]
        )
        raise Unfit(field, "is not a document number") from None
