"""The demo's whole chain, seen by the twin: the same state, and all evidence holds."""

from __future__ import annotations

import json

from tests.twin.states import printed
from tests.twin.twin import run

from medledger.chain.local import LocalChain
from medledger.demo import DemoResult
from medledger.roles import Auditor


def test_state__of_the_demo__is_what_python_rebuilds(result: DemoResult, chain: LocalChain) -> None:
    auditor = Auditor.connect(chain.url, deployment=result.deployment)

    done = run("state", "--rpc", chain.url, "--manifest", result.deployment)

    assert done.returncode == 0, done.stderr
    audit = auditor.audit()
    assert json.loads(done.stdout) == printed(audit, auditor.ledgers)
    assert {"Deposited", "ClaimPaid"} <= set(audit.state.counts)


def test_verify__evidence_of_the_demo__holds(result: DemoResult, chain: LocalChain) -> None:
    files = [str(path) for path in result.evidence_files]

    done = run("verify", *files, "--rpc", chain.url, "--manifest", result.deployment)

    answers = json.loads(done.stdout)["files"]
    assert [answer["file"] for answer in answers] == files
    assert all(answer["holds"] for answer in answers)
    assert done.returncode == 0
