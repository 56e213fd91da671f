"""The application: what each path does.

Reads run side by side in worker threads; writes take turns in the thread of the `IssuingDesk`.
Documents come out of this hospital's store only with the token; what the chain says, and whether
evidence holds, is for everybody.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, FastAPI, Header, Query, Request, Response
from starlette.middleware.trustedhost import TrustedHostMiddleware

from medledger import __version__
from medledger.chain.deployment import Ledgers, connect
from medledger.chain.sender import Receipt
from medledger.core.documents import Document
from medledger.core.evidence import Evidence
from medledger.core.numbers import DocumentKind, format_number, parse_number
from medledger.errors import (
    EvidenceError,
    InvalidDocument,
    KeyMissing,
    NotFound,
    NumberNotIssued,
)
from medledger.formats.json import InvoiceBody, PrescriptionBody
from medledger.gateway import page
from medledger.gateway.bodies import (
    ActBody,
    CancellationBody,
    HealthBody,
    InvoiceStateBody,
    PrescriptionStateBody,
    ReceiptBody,
    ReversalBody,
    StepBody,
    VerificationBody,
)
from medledger.gateway.incoming import limited_body, require_token, strict_body, strict_document
from medledger.gateway.issuing import IssuingDesk
from medledger.gateway.openapi import body_of, with_bodies
from medledger.gateway.problems import handle_errors
from medledger.gateway.states import States
from medledger.roles import Auditor, Hospital
from medledger.roles.ledger_of import ledger_of

LOOPBACK_HOSTS = ("localhost", "127.0.0.1", "[::1]", "::1")
STEPS = [kind.step for kind in EvidenceError.__subclasses__()]
"""What verification goes through, in this order."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What a gateway needs to know. Without a key it verifies and reads, and issues nothing.

    `token` guards writing and this hospital's documents. Without one, only requests to a loopback
    name are answered, so bind to loopback.
    """

    ledgers: Ledgers
    operator: bytes | None = field(default=None, repr=False)
    store: str = "sqlite:///hospital.db"
    token: str | None = field(default=None, repr=False)


def create_app(settings: Settings) -> FastAPI:
    """The ASGI application of one hospital, or, without a key, of a verifier.

    Raises `StoreError`, and `NotAnOperator` where the key acts for no institution.
    """
    desk: IssuingDesk | None = None
    if settings.operator is not None:
        hospital = Hospital(settings.ledgers, settings.operator, settings.store)
        hospital.institution  # noqa: B018 - reads the chain once, now rather than in two threads
        desk = IssuingDesk(hospital)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        if desk is not None:
            desk.resume()
        yield
        if desk is not None:
            await asyncio.to_thread(desk.close)
            desk.hospital.close()

    app = FastAPI(
        title="medledger gateway",
        version=__version__,
        lifespan=lifespan,
        # Their pages load scripts of other hosts; /openapi.json stays.
        docs_url=None,
        redoc_url=None,
    )
    app.state.token = settings.token
    app.state.desk = desk
    app.state.ledgers = settings.ledgers
    app.state.auditor = Auditor(settings.ledgers)
    app.state.states = States(settings.ledgers)
    if settings.token is None:
        # A name of somebody's own that resolves to 127.0.0.1 is no way in.
        app.add_middleware(TrustedHostMiddleware, allowed_hosts=list(LOOPBACK_HOSTS))
    handle_errors(app)
    app.include_router(_public)
    app.include_router(_guarded)
    page.add_to(app)
    with_bodies(app, InvoiceBody, PrescriptionBody, ReversalBody, CancellationBody)
    return app


def _desk(request: Request) -> IssuingDesk:
    desk: IssuingDesk | None = request.app.state.desk
    if desk is None:
        raise KeyMissing()
    return desk


def _auditor(request: Request) -> Auditor:
    auditor: Auditor = request.app.state.auditor
    return auditor


def _states(request: Request) -> States:
    states: States = request.app.state.states
    return states


def _number(number: str) -> int:
    return parse_number(number)


Desk = Annotated[IssuingDesk, Depends(_desk)]
AnAuditor = Annotated[Auditor, Depends(_auditor)]
SomeStates = Annotated[States, Depends(_states)]
Number = Annotated[int, Depends(_number)]
Segment = Annotated[int | None, Query(ge=1, description="By default the first with room.")]
Only = Annotated[str | None, Query(description="Fields to open, with commas; by default all.")]
IdempotencyKey = Annotated[
    str | None, Header(description="Must be the business key, which makes requests idempotent.")
]

_public = APIRouter()
_guarded = APIRouter(dependencies=[Depends(require_token)])


# Documents in


@_guarded.post(
    "/invoices",
    status_code=HTTPStatus.CREATED,
    response_model=ReceiptBody,
    responses={200: {"model": ReceiptBody, "description": "Issued by an earlier request"}},
    openapi_extra=body_of(InvoiceBody),
)
async def issue_invoice(
    desk: Desk,
    document: Annotated[Document, Depends(strict_document("Invoice"))],
    response: Response,
    segment: Segment = None,
    idempotency_key: IdempotencyKey = None,
) -> ReceiptBody:
    """Issues a bill; the same bill again gives its first receipt, with status 200."""
    return await _issue(desk, document, segment, idempotency_key, response)


@_guarded.post(
    "/prescriptions",
    status_code=HTTPStatus.CREATED,
    response_model=ReceiptBody,
    responses={200: {"model": ReceiptBody, "description": "Issued by an earlier request"}},
    openapi_extra=body_of(PrescriptionBody),
)
async def issue_prescription(
    desk: Desk,
    document: Annotated[Document, Depends(strict_document("Prescription"))],
    response: Response,
    segment: Segment = None,
    idempotency_key: IdempotencyKey = None,
) -> ReceiptBody:
    """Issues a prescription; the same again gives its first receipt, with status 200."""
    return await _issue(desk, document, segment, idempotency_key, response)


async def _issue(
    desk: IssuingDesk,
    document: Document,
    segment: int | None,
    idempotency_key: str | None,
    response: Response,
) -> ReceiptBody:
    # A structured string (RFC 9651) has quotes, and most clients leave them out.
    if idempotency_key is not None and idempotency_key.strip('"') != document.business_key:
        raise InvalidDocument(field="businessKey", problem="is not the Idempotency-Key")
    receipt = await asyncio.wrap_future(desk.issue(document, segment))
    if not receipt.is_new:
        response.status_code = HTTPStatus.OK
    return ReceiptBody.of(receipt)


# States and traces: what the chain says


@_public.get("/invoices/{number}", response_model=InvoiceStateBody)
def read_invoice(number: Number, states: SomeStates) -> InvoiceStateBody:
    """The state of any hospital's bill."""
    return states.invoice(number)


@_public.get("/prescriptions/{number}", response_model=PrescriptionStateBody)
def read_prescription(number: Number, states: SomeStates) -> PrescriptionStateBody:
    """The state of any hospital's prescription."""
    return states.prescription(number)


@_public.get("/invoices/{number}/trace", response_model=list[StepBody])
def trace_invoice(number: Number, auditor: AnAuditor) -> list[StepBody]:
    """Everything that happened to a bill, oldest first."""
    return _trace(auditor, number, "Invoice")


@_public.get("/prescriptions/{number}/trace", response_model=list[StepBody])
def trace_prescription(number: Number, auditor: AnAuditor) -> list[StepBody]:
    """Everything that happened to a prescription, oldest first."""
    return _trace(auditor, number, "Prescription")


def _trace(auditor: Auditor, number: int, kind: DocumentKind) -> list[StepBody]:
    if not (steps := auditor.trace(number, kind)):
        raise NumberNotIssued(number=number)
    return [StepBody.of(step) for step in steps]


# Evidence


@_guarded.get("/invoices/{number}/evidence")
def read_invoice_evidence(desk: Desk, number: Number, only: Only = None) -> Response:
    """The evidence file of a bill of this hospital, opening all fields or the chosen ones."""
    return _evidence(desk, number, "Invoice", only)


@_guarded.get("/prescriptions/{number}/evidence")
def read_prescription_evidence(desk: Desk, number: Number, only: Only = None) -> Response:
    """The evidence file of a prescription of this hospital."""
    return _evidence(desk, number, "Prescription", only)


def _evidence(desk: IssuingDesk, number: int, kind: DocumentKind, only: str | None) -> Response:
    hospital = desk.hospital
    try:
        batch = hospital.store.batch_of(ledger_of(hospital.ledgers, kind).address, number)
    except NotFound:
        # The error's own words name the store.
        raise NotFound(what=format_number(number), where="this hospital's store") from None
    if batch.issued_at is None:
        # Stored, perhaps sent: its hospital cannot yet say that the chain has it.
        raise NumberNotIssued(number=number)
    names = None if only is None else [name.strip() for name in only.split(",")]
    text = hospital.evidence(number, kind, names).to_json()
    headers = {"Cache-Control": "no-store"}
    return Response(text, headers=headers, media_type="application/json")


@_public.post("/verifications", response_model=VerificationBody, openapi_extra=body_of(None))
async def verify(
    auditor: AnAuditor,
    text: Annotated[bytes, Depends(limited_body)],
    at: Annotated[int | None, Query(ge=0, description="Valid when? Unix seconds.")] = None,
) -> VerificationBody:
    """Whether evidence holds, at a time or now; a problem names the step that fails.

    The evidence is neither kept nor logged.
    """
    return await asyncio.to_thread(_verify, auditor, text, at)


def _verify(auditor: Auditor, text: bytes, at: int | None) -> VerificationBody:
    evidence = Evidence.from_json(text)
    auditor.verify(evidence, at=at)
    return VerificationBody(
        kind=evidence.kind,
        number=format_number(evidence.number),
        issued_at=evidence.head.issued_at,
        steps=STEPS,
    )


# Acts of the hospital


@_guarded.post("/invoices/{number}/hold", response_model=ActBody)
async def hold_invoice(desk: Desk, number: Number) -> ActBody:
    """Forbids the use of a bill until it is released."""
    return await _act(desk, number, lambda hospital: hospital.hold(number))


@_guarded.post("/invoices/{number}/release", response_model=ActBody)
async def release_invoice(desk: Desk, number: Number) -> ActBody:
    """Allows the use of a bill that is on hold."""
    return await _act(desk, number, lambda hospital: hospital.release(number))


@_guarded.post(
    "/invoices/{number}/reverse", response_model=ActBody, openapi_extra=body_of(ReversalBody)
)
async def reverse_invoice(
    desk: Desk, number: Number, body: Annotated[ReversalBody, Depends(strict_body(ReversalBody))]
) -> ActBody:
    """Reverses a bill; its red-letter bill is issued first, where none is named."""
    red_letter = None if body.red_letter is None else parse_number(body.red_letter)
    return await _act(desk, number, lambda role: role.reverse(number, red_letter, body.reason))


@_guarded.post("/prescriptions/{number}/hold", response_model=ActBody)
async def hold_prescription(desk: Desk, number: Number) -> ActBody:
    """Forbids the use of a prescription until it is released."""
    return await _act(desk, number, lambda hospital: hospital.hold(number, "Prescription"))


@_guarded.post("/prescriptions/{number}/release", response_model=ActBody)
async def release_prescription(desk: Desk, number: Number) -> ActBody:
    """Allows the use of a prescription that is on hold."""
    return await _act(desk, number, lambda hospital: hospital.release(number, "Prescription"))


@_guarded.post(
    "/prescriptions/{number}/cancel",
    response_model=ActBody,
    openapi_extra=body_of(CancellationBody),
)
async def cancel_prescription(
    desk: Desk,
    number: Number,
    body: Annotated[CancellationBody, Depends(strict_body(CancellationBody))],
) -> ActBody:
    """Cancels a prescription that no pharmacy has, or the repeats of a delivered one."""
    return await _act(desk, number, lambda hospital: hospital.cancel(number, body.reason))


@_guarded.post(
    "/prescriptions/{number}/request-cancel",
    response_model=ActBody,
    openapi_extra=body_of(CancellationBody),
)
async def request_cancel_of_prescription(
    desk: Desk,
    number: Number,
    body: Annotated[CancellationBody, Depends(strict_body(CancellationBody))],
) -> ActBody:
    """Asks the pharmacy that has a prescription to return it, which cancels it."""
    return await _act(desk, number, lambda hospital: hospital.request_cancel(number, body.reason))


async def _act(desk: IssuingDesk, number: int, action: Callable[[Hospital], Receipt]) -> ActBody:
    return ActBody.of(number, await asyncio.wrap_future(desk.act(action)))


# Health


@_public.get("/healthz", response_model=HealthBody)
async def healthz() -> HealthBody:
    """The process answers."""
    return HealthBody()


@_public.get("/readyz", response_model=HealthBody)
def readyz(request: Request) -> HealthBody:
    """The chain answers and is the right one, and the store takes writes; else 503."""
    ledgers: Ledgers = request.app.state.ledgers
    connect(ledgers.rpc, ledgers.manifest).rpc.block_number()
    desk: IssuingDesk | None = request.app.state.desk
    if desk is not None:
        desk.hospital.store.check()
    return HealthBody()
