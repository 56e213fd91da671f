"""When the chain or the store is gone: what is said, and that nothing is issued twice."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.gateway.scene import bill, problem, serving, set_scene

from medledger.chain.local import LocalChain

pytestmark = pytest.mark.anvil


def test_ready__all_is_well__says_so(stranger: httpx.Client) -> None:
    assert stranger.get("/readyz").json() == {"status": "ok"}
    assert stranger.get("/healthz").json() == {"status": "ok"}


def test_chain_down__every_answer__is_a_problem_and_the_process_lives(tmp_path: Path) -> None:
    with LocalChain() as chain:
        scene = set_scene(chain, tmp_path)
        with serving(scene.settings()) as client:
            body = bill()
            number = client.post("/invoices", json=body).json()["number"]
            text = client.get(f"/invoices/{number}/evidence").content
            chain.stop()

            ready, alive = client.get("/readyz"), client.get("/healthz")
            again, fresh = (
                client.post("/invoices", json=body),
                client.post("/invoices", json=bill()),
            )
            state = client.get(f"/invoices/{number}")
            verified = client.post(
                "/verifications", content=text, headers={"Content-Type": "application/json"}
            )
            kept = client.get(f"/invoices/{number}/evidence")

    assert alive.status_code == 200
    for answer in (ready, fresh, state, verified):
        assert problem(answer) == (503, "RpcUnavailable")
        assert answer.headers["retry-after"] == "5"
        assert chain.url not in answer.text
    # What was issued can be told from the store.
    assert again.status_code == 200
    assert kept.content == text


def test_chain_reset__ready__is_not(tmp_path: Path) -> None:
    with LocalChain() as chain:
        port = int(chain.url.rpartition(":")[2])
        scene = set_scene(chain, tmp_path)
        with serving(scene.settings()) as client:
            chain.stop()
            with LocalChain(port=port, options=("--timestamp", "1")):
                response = client.get("/readyz")

    assert problem(response) == (503, "WrongChain")


def test_stop_between_storing_and_sending__the_same_bill_later__is_issued_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("medledger.gateway.issuing.PATIENCE_SECONDS", 3)
    state_file = tmp_path / "chain.json"
    body = bill()
    with LocalChain(state_file=state_file) as chain:
        port = int(chain.url.rpartition(":")[2])
        scene = set_scene(chain, tmp_path)
        rpc = scene.ledgers.rpc
        request = rpc.request

        def die_and_send(method: str, *parameters: Any) -> Any:
            if method == "eth_sendRawTransaction":
                chain.stop()
            return request(method, *parameters)

        with serving(scene.settings()) as client:
            # The batch is stored with its signature when the node dies, and not yet sent.
            with monkeypatch.context() as patch:
                patch.setattr(rpc, "request", die_and_send)
                cut_off = client.post("/invoices", json=body)
            pending = client.get("/invoices/46060126-0000000001/evidence")
            with LocalChain(port=port, state_file=state_file):
                later = client.post("/invoices", json=body)
                evidence = client.get("/invoices/46060126-0000000001/evidence")
                entry = scene.ledgers.invoices.segment_of(scene.segment)

    assert problem(cut_off) == (503, "RpcUnavailable")
    assert problem(pending) == (404, "NumberNotIssued")
    assert later.json()["number"] == "46060126-0000000001"
    assert evidence.status_code == 200
    assert entry.next - entry.first == 1


def test_store_broken__ready_and_issue__are_problems_without_the_document(
    tmp_path: Path,
) -> None:
    with LocalChain() as chain:
        scene = set_scene(chain, tmp_path)
        with serving(scene.settings()) as client:
            with sqlite3.connect(tmp_path / "hospital.db") as database:
                database.execute("ALTER TABLE segments RENAME TO gone")
            ready = client.get("/readyz")
            issued = client.post("/invoices", json=bill())

    assert problem(ready) == (503, "StoreError")
    assert problem(issued) == (503, "StoreError")
    assert "测试患者" not in issued.text
