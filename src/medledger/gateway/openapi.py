"""Request bodies in /openapi.json: FastAPI does not know those that it does not read itself."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

_REF = "#/components/schemas/{model}"


def body_of(model: type[BaseModel] | None) -> dict[str, Any]:
    """What says that an operation takes a model as JSON, or any object for None."""
    schema = {"type": "object"} if model is None else {"$ref": _REF.format(model=model.__name__)}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


def with_bodies(app: FastAPI, *models: type[BaseModel]) -> None:
    """Adds the models' schemas to the document that the app gives out."""
    plain = app.openapi

    def openapi() -> dict[str, Any]:
        document = plain()
        _, found = models_json_schema(
            [(model, "validation") for model in models], ref_template=_REF
        )
        document.setdefault("components", {}).setdefault("schemas", {}).update(found["$defs"])
        return document

    app.openapi = openapi  # type: ignore[method-assign]
