"""The twin rebuilds the state that Python rebuilds, and judges every document's status alike."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.roles.paying import taking_tokens
from tests.roles.world import World
from tests.twin.scene import evidence_of_all, misplaced, play
from tests.twin.states import printed
from tests.twin.twin import run

from medledger.chain import abi
from medledger.core.evidence import Evidence
from medledger.errors import EvidenceError
from medledger.roles import Auditor


def rebuilt(world: World, manifest: Path) -> Any:
    done = run("state", "--rpc", world.rpc.url, "--manifest", manifest)
    assert done.returncode == 0, done.stderr
    assert done.stdout == canonical_line(json.loads(done.stdout))
    return json.loads(done.stdout)


def canonical_line(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True) + "\n"


def step_of(auditor: Auditor, evidence: Evidence, at: int | None) -> str:
    try:
        auditor.verify(evidence, at=at)
    except EvidenceError as error:
        return error.step
    return "holds"


def test_state__after_every_kind_of_event__is_what_python_rebuilds(
    world: World, tmp_path: Path
) -> None:
    world.ledgers, token = taking_tokens(world.ledgers)
    manifest = world.ledgers.manifest.save(tmp_path)
    start = world.now()
    play(world, token)

    audit = world.auditor.audit()

    assert audit.mismatches == []
    assert rebuilt(world, manifest) == printed(audit, world.ledgers)
    missing = {event.name for event in abi.events().values()} - set(audit.state.counts)
    assert missing == {"Deposited", "DepositWithdrawn", "ClaimPaid", "EIP712DomainChanged"}
    assert_same_steps(world, manifest, tmp_path, start)


def assert_same_steps(world: World, manifest: Path, folder: Path, start: int) -> None:
    """Every document's evidence, at the end and at times before."""
    files = {}
    documents = evidence_of_all(world)
    for place, evidence in enumerate([*documents, *misplaced(documents[0])]):
        path = folder / f"{place}.json"
        path.write_text(evidence.to_json(), "utf-8")
        files[str(path)] = evidence
    now = world.now()
    steps = set()
    for at in (None, start, (start + now) // 2, now + 10_000):
        time = [] if at is None else ["--at", str(at)]
        done = run("verify", *files, "--rpc", world.rpc.url, "--manifest", manifest, *time)
        assert done.returncode == 5, done.stderr
        found = {
            answer["file"]: answer.get("step", "holds")
            for answer in json.loads(done.stdout)["files"]
        }
        assert found == {
            file: step_of(world.auditor, evidence, at) for file, evidence in files.items()
        }
        steps.update(found.values())
    assert steps == {"holds", "anchor", "issuer", "status"}
