"""Who may do what, and how much anybody may send."""

from __future__ import annotations

import socket
from itertools import repeat

import httpx
import pytest
from fastapi.routing import APIRoute
from tests.gateway.scene import TOKEN, Scene, bill, problem, serving

from medledger.bench.memory import own_peak_mb
from medledger.gateway import create_app, incoming

pytestmark = pytest.mark.anvil

JSON = {"Content-Type": "application/json"}
PUBLIC = {
    "GET /",
    "GET /page.css",
    "GET /page.js",
    "GET /healthz",
    "GET /readyz",
    "GET /invoices/{number}",
    "GET /invoices/{number}/trace",
    "GET /prescriptions/{number}",
    "GET /prescriptions/{number}/trace",
    "POST /verifications",
}
GUARDED = {
    "POST /invoices",
    "GET /invoices/{number}/evidence",
    "POST /invoices/{number}/hold",
    "POST /invoices/{number}/release",
    "POST /invoices/{number}/reverse",
    "POST /prescriptions",
    "GET /prescriptions/{number}/evidence",
    "POST /prescriptions/{number}/hold",
    "POST /prescriptions/{number}/release",
    "POST /prescriptions/{number}/cancel",
    "POST /prescriptions/{number}/request-cancel",
}


def test_paths__all_of_them__are_public_or_guarded(stranger: httpx.Client) -> None:
    paths = stranger.get("/openapi.json").json()["paths"]

    described = {
        f"{method.upper()} {path}" for path, methods in paths.items() for method in methods
    }

    assert described == (PUBLIC | GUARDED) - {"GET /", "GET /page.css", "GET /page.js"}


@pytest.mark.parametrize("operation", sorted(GUARDED))
@pytest.mark.parametrize(
    "authorization",
    [None, "Bearer wrong", "Bearer", f"Basic {TOKEN}", f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}"],
    ids=["none", "wrong", "empty", "basic", "longer", "shorter"],
)
def test_guarded_path__without_the_token__is_refused(
    stranger: httpx.Client, operation: str, authorization: str | None
) -> None:
    method, path = operation.split()
    headers = {} if authorization is None else {"Authorization": authorization}

    response = stranger.request(
        method, path.replace("{number}", "46060126-0000000001"), headers=headers
    )

    assert response.status_code == 401
    assert response.headers["www-authenticate"].startswith("Bearer")


def test_issue__not_declared_as_json__is_refused(client: httpx.Client) -> None:
    response = client.post("/invoices", content=b"{}", headers={"Content-Type": "text/plain"})

    assert response.status_code == 415


def test_issue__a_body_over_the_limit__is_refused(client: httpx.Client) -> None:
    response = client.post("/invoices", json=bill(remark="x" * 1_000_000))

    assert problem(response) == (413, "blank")


def test_issue__100_mb_declared__is_refused_at_once(client: httpx.Client) -> None:
    body = b" " * 100_000_000

    response = client.post("/invoices", content=body, headers=JSON)

    assert problem(response) == (413, "blank")


def test_verify__100_mb_in_chunks__is_refused_and_never_held(stranger: httpx.Client) -> None:
    before = own_peak_mb()

    response = stranger.post("/verifications", content=repeat(b" " * 100_000, 1_000), headers=JSON)

    # The server reads on, so that the client comes to read the answer, and drops what it reads.
    assert problem(response) == (413, "blank")
    assert own_peak_mb() - before < 50


def test_verify__a_client_that_stops_sending__is_let_go(
    stranger: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(incoming, "BODY_SECONDS", 0.2)
    head = (
        b"POST /verifications HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        b"Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
    )

    with socket.create_connection(("127.0.0.1", stranger.base_url.port or 0)) as connection:
        connection.settimeout(10)
        connection.sendall(head)
        answer = connection.recv(100)

    assert b"408" in answer.splitlines()[0]


def test_no_token__another_host_name__is_refused(scene: Scene) -> None:
    store = f"sqlite:///{scene.folder / 'no-token.db'}"
    with serving(scene.settings(token=None, store=store)) as client:
        plain = client.get("/healthz")
        rebound = client.get("/healthz", headers={"Host": "hospital.example"})

    assert plain.status_code == 200
    assert rebound.status_code == 400


def test_no_token__a_page_of_another_site__may_not_write(scene: Scene) -> None:
    store = f"sqlite:///{scene.folder / 'no-token.db'}"
    with serving(scene.settings(token=None, store=store)) as client:
        path = "/invoices/46060126-0000000001/hold"
        elsewhere = client.post(path, headers={"Origin": "http://elsewhere.example"})
        own = client.post(path, headers={"Origin": str(client.base_url).rstrip("/")})

    assert elsewhere.status_code == 403
    assert own.status_code != 403


def test_no_key__writing__says_that_there_is_none(scene: Scene) -> None:
    with serving(scene.settings(operator=None)) as client:
        response = client.post("/invoices", json=bill())
        state = client.get("/readyz")

    assert problem(response) == (501, "KeyMissing")
    assert state.status_code == 200


def test_documentation__of_fastapi__loads_no_scripts_of_others(scene: Scene) -> None:
    app = create_app(scene.settings(operator=None))

    paths = {route.path for route in app.routes if isinstance(route, APIRoute)}

    assert paths.isdisjoint({"/docs", "/redoc"})


def test_openapi__request_bodies__are_described(stranger: httpx.Client) -> None:
    document = stranger.get("/openapi.json").json()

    schema = document["paths"]["/invoices"]["post"]["requestBody"]["content"]["application/json"]
    assert schema["schema"] == {"$ref": "#/components/schemas/InvoiceBody"}
    assert "totalMinor" in document["components"]["schemas"]["InvoiceBody"]["properties"]
    assert "InvoiceLineBody" in document["components"]["schemas"]
    assert document["paths"]["/invoices"]["post"]["security"]
