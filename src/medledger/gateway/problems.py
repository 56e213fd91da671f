"""Errors as RFC 9457 problems: one name and one status for every error class.

The `type` is `urn:medledger:error:<class name>`, the same word as the Python class and, for a
refusal, the Solidity error. Plain HTTP problems (no such path, a body too large) have RFC 9457's
`about:blank`.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException

from medledger import errors
from medledger.core.numbers import format_number

MEDIA_TYPE = "application/problem+json"
RETRY_SECONDS = 5
"""What `Retry-After` says where the same request may pass later."""

STATUS: Mapping[type[errors.MedledgerError], HTTPStatus] = {
    errors.InputError: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.MalformedJson: HTTPStatus.BAD_REQUEST,
    errors.DuplicateKey: HTTPStatus.BAD_REQUEST,
    errors.NotNormalForm: HTTPStatus.BAD_REQUEST,
    errors.BadNumber: HTTPStatus.BAD_REQUEST,
    errors.DuplicateBusinessKey: HTTPStatus.CONFLICT,
    # The document's state on chain forbids the act.
    errors.Refusal: HTTPStatus.CONFLICT,
    errors.NumberNotIssued: HTTPStatus.NOT_FOUND,
    errors.UnknownRefusal: HTTPStatus.BAD_GATEWAY,
    # The hospital itself may not act now: whoever runs the gateway can mend it, the caller cannot.
    errors.NotAnOperator: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.NotAnIssuer: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.InstitutionIsSuspended: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.OutsideAccreditation: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.SegmentUnknown: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.SegmentExhausted: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.NoSegment: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.EnforcedPause: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.EvidenceError: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.ChainError: HTTPStatus.BAD_GATEWAY,
    errors.RpcUnavailable: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.WrongChain: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.ContractMissing: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.ToolMissing: HTTPStatus.INTERNAL_SERVER_ERROR,
    errors.SetupError: HTTPStatus.INTERNAL_SERVER_ERROR,
    errors.KeyMissing: HTTPStatus.NOT_IMPLEMENTED,
    errors.StoreError: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.NotFound: HTTPStatus.NOT_FOUND,
    errors.AuditError: HTTPStatus.INTERNAL_SERVER_ERROR,
}
"""Every family, and the classes that differ from theirs; the nearest base class decides."""

_log = logging.getLogger(__name__)


def status_of(kind: type[errors.MedledgerError]) -> HTTPStatus:
    """The status of an error class; raises `KeyError` for a family that has no row."""
    row = next((base for base in kind.__mro__ if base in STATUS), None)
    if row is None:
        raise KeyError(kind)
    return STATUS[row]


def problem_of(error: errors.MedledgerError) -> JSONResponse:
    """The problem that tells of an error.

    What is the caller's to mend is told in full. What is the operator's (5xx of chain, store and
    setup) names the class only: those messages hold addresses, and belong into the log.
    """
    status, name = status_of(type(error)), type(error).__name__
    # A number of 18 digits, as it is printed on a bill.
    detail = re.sub(r"\b\d{18}\b", lambda found: format_number(int(found[0])), str(error))
    if isinstance(error, errors.ChainError | errors.SetupError) and status >= 500:
        _log.error("%s: %s", name, error)
        detail = "the gateway cannot do this now; its log says why"
    members: dict[str, Any] = {
        "type": f"urn:medledger:error:{name}",
        "title": _words(name),
        "status": int(status),
        "detail": detail,
    }
    if error.hint and status < 500:
        members["hint"] = error.hint
    if isinstance(error, errors.EvidenceError):
        members["step"] = error.step
    headers = {}
    if isinstance(error, errors.RpcUnavailable):
        headers["Retry-After"] = str(RETRY_SECONDS)
    return JSONResponse(members, status, headers, MEDIA_TYPE)


def http_problem(
    status: int, detail: str = "", headers: Mapping[str, str] | None = None
) -> JSONResponse:
    """A problem that plain HTTP knows: its status says all."""
    title = HTTPStatus(status).phrase
    members = {"type": "about:blank", "title": title, "status": int(status)}
    if detail and detail != title:
        members["detail"] = detail
    return JSONResponse(members, status, headers, MEDIA_TYPE)


def handle_errors(app: FastAPI) -> None:
    """Makes the app answer every error with a problem."""
    app.add_exception_handler(errors.MedledgerError, _medledger)
    app.add_exception_handler(SQLAlchemyError, _store)
    app.add_exception_handler(RequestValidationError, _parameters)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _unexpected)


def _medledger(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, errors.MedledgerError)
    return problem_of(error)


def _store(_: Request, error: Exception) -> JSONResponse:
    # Only the class is logged: SQLAlchemy's message holds the row, that is the document.
    return problem_of(errors.StoreError(store="", problem=f"fails: {type(error).__name__}"))


def _parameters(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    return http_problem(HTTPStatus.UNPROCESSABLE_ENTITY, f"{where}: {first['msg']}")


def _http(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    return http_problem(error.status_code, error.detail, error.headers)


def _unexpected(_: Request, __: Exception) -> JSONResponse:
    return http_problem(HTTPStatus.INTERNAL_SERVER_ERROR)


def _words(name: str) -> str:
    """`NumberNotIssued` as `Number not issued`."""
    return re.sub(r"(?<=[a-z])([A-Z])", lambda found: " " + found[1].lower(), name)
