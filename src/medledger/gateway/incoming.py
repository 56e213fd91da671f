"""What is checked before a request is used: who sends it, how long it is, strict JSON."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Callable, Coroutine
from http import HTTPStatus
from typing import Annotated, Any, TypeVar

from fastapi import Depends, HTTPException, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel, ValidationError

from medledger.core.canonical import parse_strict
from medledger.core.documents import SomeDocument
from medledger.core.numbers import DocumentKind
from medledger.errors import InvalidDocument
from medledger.formats.faults import first_fault
from medledger.formats.json import document_of

MAX_BODY_BYTES = 1_000_000
"""A bill of 1,000 lines takes about a fifth of it."""
BODY_SECONDS = 30.0
"""A client that sends more slowly holds a connection, and gets 408."""

M = TypeVar("M", bound=BaseModel)

_bearer = HTTPBearer(auto_error=False, description="The token of the gateway's --token-file.")


def require_token(
    request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
) -> None:
    """Passes who has the token; where there is none, whoever reaches this machine's own address.

    A browser is such a somebody, on behalf of any page that it shows: requests that come from
    another site are refused.
    """
    token: str | None = request.app.state.token
    if token is None:
        origin = request.headers.get("origin")
        if origin is not None and origin.partition("//")[2] != request.headers.get("host"):
            raise HTTPException(HTTPStatus.FORBIDDEN, "another site's page may not write here")
        return
    given = credentials.credentials if credentials else ""
    if not hmac.compare_digest(given.encode(), token.encode()):
        raise HTTPException(
            HTTPStatus.UNAUTHORIZED,
            "the token is missing or wrong",
            {"WWW-Authenticate": 'Bearer realm="medledger"'},
        )


async def limited_body(request: Request) -> bytes:
    """The body's bytes; 413, 415 or 408 where it is too long, not JSON, or too slow."""
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        raise HTTPException(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "expected application/json")
    length = request.headers.get("content-length", "")
    if length.isdigit() and int(length) > MAX_BODY_BYTES:
        raise _too_large()
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for part in request.stream():
                body += part
                if len(body) > MAX_BODY_BYTES:
                    raise _too_large()
    except TimeoutError as error:
        raise HTTPException(HTTPStatus.REQUEST_TIMEOUT) from error
    return bytes(body)


def strict_body(model: type[M]) -> Callable[[Request], Coroutine[Any, Any, M]]:
    """A dependency that reads one model from a strict JSON body.

    It raises what `parse_strict` raises, and `InvalidDocument` naming the first field that is
    wrong. FastAPI's own reading would take the last of two equal keys.
    """

    async def read(request: Request) -> M:
        try:
            return model.model_validate(await _strict_json(request))
        except ValidationError as error:
            field, problem = first_fault(error)
            raise InvalidDocument(field=field or "body", problem=problem) from None

    return read


def strict_document(
    kind: DocumentKind,
) -> Callable[[Request], Coroutine[Any, Any, SomeDocument]]:
    """A dependency that reads a bill or prescription, as `strict_body` reads a model."""

    async def read(request: Request) -> SomeDocument:
        return document_of(await _strict_json(request), kind)

    return read


async def _strict_json(request: Request) -> object:
    found: object = parse_strict(await limited_body(request))
    return found


def _too_large() -> HTTPException:
    return HTTPException(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"a body has at most {MAX_BODY_BYTES} bytes"
    )
