"""Documents from parsed JSON, and documents as one line of JSON."""

from __future__ import annotations

from dataclasses import fields
from datetime import date
from enum import IntEnum
from typing import Any, cast

from pydantic import BaseModel, ValidationError
from pydantic.alias_generators import to_camel
from pydantic_core import SchemaValidator, core_schema

from medledger.core.canonical import Json, canonical
from medledger.core.documents import (
    Invoice,
    InvoiceLine,
    Licence,
    Party,
    Prescription,
    PrescriptionLine,
    Record,
    SomeDocument,
)
from medledger.core.numbers import DocumentKind, format_number
from medledger.errors import InvalidDocument
from medledger.formats.faults import first_fault
from medledger.formats.json.bodies import (
    InvoiceBody,
    InvoiceLineBody,
    LicenceBody,
    PartyBody,
    PrescriptionBody,
    PrescriptionLineBody,
    RecordBody,
)

_DOCUMENTS: dict[type[BaseModel], type] = {
    PartyBody: Party,
    InvoiceLineBody: InvoiceLine,
    InvoiceBody: Invoice,
    PrescriptionLineBody: PrescriptionLine,
    PrescriptionBody: Prescription,
    LicenceBody: Licence,
    RecordBody: Record,
}

_NUMBERS = {"related_invoice", "amends", "licence"}
"""Members that name another document."""

_MEMBERS: dict[type, list[tuple[str, str, object]]] = {
    kind: [(field.name, to_camel(field.name), field.default) for field in fields(kind)]
    for kind in _DOCUMENTS.values()
}
"""Dataclass to (field, JSON member, default) of each of its fields."""


def document_of(value: object, kind: DocumentKind) -> SomeDocument:
    """The document of strictly parsed JSON.

    Raises `InvalidDocument` with the path of the first field that is wrong, or `BadNumber`.
    """
    try:
        return cast("SomeDocument", _VALIDATORS[kind].validate_python(value))
    except ValidationError as error:
        field, problem = first_fault(error)
        raise InvalidDocument(field=field or "body", problem=problem) from None


def to_line(document: SomeDocument) -> str:
    """The document as canonical JSON, without a line's end; what is as by default is left out.

    Raises what `core.canonical.canonical` raises.
    """
    return canonical(_plain(document)).decode()


def _plain(value: Any) -> Json:
    members = _MEMBERS.get(type(value))
    if members is not None:
        found: dict[str, Json] = {}
        for name, member, default in members:
            inner = getattr(value, name)
            if inner != default:
                found[member] = format_number(inner) if name in _NUMBERS else _plain(inner)
        return found
    if isinstance(value, tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, IntEnum):
        return int(value)
    # Of a datetime too.
    return value.isoformat() if isinstance(value, date) else cast(Json, value)


def _making_documents(schema: Any) -> Any:
    """A model's schema, with the document's dataclass wherever a model is made.

    Making models first and documents of them takes five times as long.
    """
    if isinstance(schema, list):
        return [_making_documents(inner) for inner in schema]
    if not isinstance(schema, dict):
        return schema
    if schema.get("type") != "model":
        return {key: _making_documents(inner) for key, inner in schema.items()}
    made = _DOCUMENTS[schema["cls"]]
    members = schema["schema"]["fields"]
    arguments = [
        core_schema.dataclass_field(
            name,
            _making_documents(member["schema"]),
            validation_alias=member["validation_alias"],
        )
        for name, member in members.items()
    ]
    return core_schema.dataclass_schema(
        made,
        core_schema.dataclass_args_schema(made.__name__, arguments),
        list(members),
        post_init=hasattr(made, "__post_init__"),
        # Of the dataclass alone: it is made of an object. The fields are as strict as the model's.
        strict=False,
        slots=True,
        frozen=True,
        config=schema["config"],
        ref=schema.get("ref"),
    )


_VALIDATORS: dict[DocumentKind, SchemaValidator] = {
    "Invoice": SchemaValidator(_making_documents(InvoiceBody.__pydantic_core_schema__)),
    "Prescription": SchemaValidator(_making_documents(PrescriptionBody.__pydantic_core_schema__)),
    "Licence": SchemaValidator(_making_documents(LicenceBody.__pydantic_core_schema__)),
    "Record": SchemaValidator(_making_documents(RecordBody.__pydantic_core_schema__)),
}
