"""Verification over HTTP: every step that can fail is named."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest
from tests.gateway.scene import Scene, bill, problem

from medledger.errors import EvidenceError

pytestmark = pytest.mark.anvil

ASSETS = Path(__file__).parent.parent / "vectors" / "evidence"
JSON = {"Content-Type": "application/json"}
STEPS = ["format", "fields", "header", "path", "anchor", "issuer", "status"]


def evidence_of(client: httpx.Client, **changes: object) -> tuple[str, bytes]:
    number: str = client.post("/invoices", json=bill(**changes)).json()["number"]
    return number, client.get(f"/invoices/{number}/evidence").content


def test_verify__evidence_that_holds__says_so(client: httpx.Client, stranger: httpx.Client) -> None:
    number, text = evidence_of(client)

    response = stranger.post("/verifications", content=text, headers=JSON)

    found = response.json()
    assert response.status_code == 200
    assert found["valid"] is True
    assert (found["kind"], found["number"]) == ("Invoice", number)
    assert found["steps"] == STEPS
    assert {kind.step for kind in EvidenceError.__subclasses__()} == set(STEPS)


@pytest.mark.parametrize(
    ("asset", "expected", "step"),
    [
        ("unknown_key", "MalformedEvidence", "format"),
        ("duplicate_key", "MalformedEvidence", "format"),
        ("forged_field", "BodyMismatch", "fields"),
        ("number_disagrees", "HeaderMismatch", "header"),
        ("truncated_path", "PathMismatch", "path"),
        ("good", "AnchorMismatch", "anchor"),
    ],
)
def test_verify__evidence_that_fails__names_the_step(
    stranger: httpx.Client, asset: str, expected: str, step: str
) -> None:
    text = (ASSETS / f"{asset}.json").read_bytes()

    response = stranger.post("/verifications", content=text, headers=JSON)

    assert problem(response) == (422, expected)
    assert response.json()["step"] == step


def test_verify__a_hospital_that_did_not_issue_it__fails_at_the_issuer(
    client: httpx.Client, stranger: httpx.Client
) -> None:
    _, text = evidence_of(client, invoicingParty={"code": "1", "name": "别家医院"})

    response = stranger.post("/verifications", content=text, headers=JSON)

    assert problem(response) == (422, "IssuerMismatch")
    assert response.json()["step"] == "issuer"


def test_verify__on_hold_now__fails_at_the_status_but_held_before(
    client: httpx.Client, stranger: httpx.Client, scene: Scene
) -> None:
    number, text = evidence_of(client)
    issued_at = json.loads(text)["head"]["issuedAt"]
    rpc = scene.ledgers.rpc
    rpc.request("evm_increaseTime", 60)
    client.post(f"/invoices/{number}/hold")

    now = stranger.post("/verifications", content=text, headers=JSON)
    then = stranger.post("/verifications", params={"at": issued_at}, content=text, headers=JSON)

    assert problem(now) == (422, "StatusMismatch")
    assert now.json()["step"] == "status"
    assert then.status_code == 200


def test_verify__no_json__fails_at_the_format(stranger: httpx.Client) -> None:
    response = stranger.post("/verifications", content=b"\x00\xff", headers=JSON)

    assert problem(response) == (422, "MalformedEvidence")
