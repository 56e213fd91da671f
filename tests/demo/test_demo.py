"""The main job, end to end: on an Anvil of its own, on a given chain, and on Ganache."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import pytest
from tests.chain.nodes import Relay, ganache, give_ether, plain_anvil
from tests.demo.conftest import CLAIMS, ORDERS

from medledger.chain.keys import address_of
from medledger.chain.local import LocalChain, free_port
from medledger.chain.rpc import Rpc
from medledger.core.evidence import Evidence
from medledger.core.states import Status
from medledger.demo import DemoResult, run_demo
from medledger.demo.comparison import Books, differences
from medledger.errors import (
    AuthorisationInvalid,
    ClaimIsSettled,
    InstitutionIsSuspended,
    KeyMissing,
    NotEnoughData,
    NumberAlreadyIssued,
    OutputInUse,
    OverRemainder,
    PrescriptionIsTaken,
    ProofInvalid,
    RpcUnavailable,
    StateForbids,
)
from medledger.roles import Auditor

MEDLEDGER = [sys.executable, "-m", "medledger.cli"]
KEYS = {
    "bills",
    "prescriptions",
    "claims",
    "paid",
    "dispensed",
    "delivered",
    "reversed",
    "partly_reversed",
    "exchanged_for_paper",
    "licences",
    "amended",
    "reads",
    "frauds_refused",
    "mismatches",
    "rejected",
    "gas",
    "seconds",
}
REASONS = {
    "double_issue": NumberAlreadyIssued,
    "issue_by_suspended_hospital": InstitutionIsSuspended,
    "forged_proof": ProofInvalid,
    "double_claim": ClaimIsSettled,
    "claim_over_remainder": OverRemainder,
    "replayed_authorisation": AuthorisationInvalid,
    "accept_by_second_pharmacy": PrescriptionIsTaken,
    "second_dispense": StateForbids,
}


def assert_whole_story(result: DemoResult) -> None:
    assert result.mismatches == []
    assert {fraud.name: type(fraud.refusal) for fraud in result.frauds} == REASONS
    assert (result.bills, result.prescriptions) == (CLAIMS, ORDERS)
    assert (result.dispensed, result.delivered) == (ORDERS, ORDERS)
    assert result.claims > CLAIMS // 2
    assert result.reversed == CLAIMS // 50
    assert (result.partly_reversed, result.exchanged) == (1, 1)
    assert result.gas["Invoices.issueEndorsed"] < 100_000
    assert (result.licences, result.amended, result.reads) == (1, 1, 2)
    assert result.rejected == []
    assert result.ok


def test_run_demo__on_a_given_chain__tells_the_whole_story(result: DemoResult) -> None:
    assert_whole_story(result)


def test_run_demo__its_evidence_files__verify_with_the_manifest_alone(
    result: DemoResult, chain: LocalChain
) -> None:
    auditor = Auditor.connect(chain.url, deployment=result.deployment)

    kinds = set()
    for path in result.evidence_files:
        evidence = Evidence.from_json(path.read_bytes())
        auditor.verify(evidence)
        kinds.add((evidence.kind, len(evidence.fields) == len(evidence.disclosure.names)))

    assert kinds == {("Invoice", True), ("Invoice", False), ("Prescription", True)}


def test_demo__a_second_run_in_the_same_folder__issues_anew(
    small_folder: Path, tmp_path: Path
) -> None:
    command = [*MEDLEDGER, "demo", "--data", str(small_folder), "--out", "out", "--json"]

    runs = [
        subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        for _ in range(2)
    ]

    for run in runs:
        assert run.returncode == 0, run.stderr
        told = json.loads(run.stdout)
        assert set(told) == KEYS
        assert (told["bills"], told["mismatches"], told["frauds_refused"]) == (CLAIMS, 0, 8)
        assert told["gas"]["Invoices.issue"] < 80_000
        assert run.stderr == ""


def test_demo__damaged_resources__are_named_and_the_rest_goes_on(
    small_folder: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "fhir"
    shutil.copytree(small_folder, folder)
    claims = folder / "Claim.ndjson"
    lines = claims.read_text("utf-8").splitlines(keepends=True)
    lines[3] = lines[3].replace('"USD"', '"XXX-"')
    lines[7] = lines[7].replace("125.0", "-125.0")
    lines[9] = lines[9][: len(lines[9]) // 2] + "\n"
    claims.write_text("".join(lines), "utf-8")

    run = subprocess.run(
        [*MEDLEDGER, "demo", "--data", str(folder), "--out", "out", "--json"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    told = json.loads(run.stdout)
    assert run.returncode == 0, run.stderr
    assert told["bills"] == CLAIMS - 3
    # Each claim, and the explanation of benefit that its bill would have had.
    assert told["rejected"] == 6
    assert "Claim.ndjson:4: " in run.stderr
    assert "Claim.ndjson:8: " in run.stderr
    assert "Claim.ndjson:10: " in run.stderr


def test_run_demo__a_folder_of_somebody_else__is_not_cleared(
    small_folder: Path, tmp_path: Path
) -> None:
    precious = tmp_path / "stores"
    precious.mkdir()

    with pytest.raises(OutputInUse):
        run_demo(small_folder, out=tmp_path)

    assert precious.exists()


def test_run_demo__too_little_data__says_what_there_is(small_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "fhir"
    shutil.copytree(small_folder, folder)
    (folder / "MedicationRequest.ndjson").unlink()

    with pytest.raises(NotEnoughData) as caught:
        run_demo(folder, out=tmp_path / "out")

    assert (caught.value.bills, caught.value.prescriptions) == (CLAIMS, 0)


def test_run_demo__nobody_listens__says_so(small_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(RpcUnavailable, match="nothing listens there"):
        run_demo(small_folder, out=tmp_path / "out", rpc_url=f"http://127.0.0.1:{free_port()}")


def test_differences__books_that_claim_more_than_the_chain_has__are_found(
    result: DemoResult, chain: LocalChain
) -> None:
    state = Auditor.connect(chain.url, deployment=result.deployment).audit().state
    settled = {
        key: claim.amount for key, claim in state.claims.items() if claim.status >= Status.SETTLED
    }
    key = next(iter(settled))
    books = Books(
        settled={**settled, key: settled[key] + 1},
        denied={key for key, claim in state.claims.items() if claim.status == Status.DENIED},
        booked={key for key, claim in state.claims.items() if claim.status == Status.BOOKED},
        reversed=dict(state.reversed_by),
        refunded=dict(state.reversed_parts),
        refunds={
            red: number
            for red, number in state.original_of.items()
            if red not in state.reversed_by.values()
        },
        delivered={
            n for n, entry in state.prescriptions.items() if entry.state.name == "DELIVERED"
        },
    )
    empty_cast = _CastWithoutHospitals(Auditor.connect(chain.url, deployment=result.deployment))

    found = list(differences(empty_cast, books, state))
    none = list(differences(empty_cast, replace(books, settled=settled), state))

    assert none == []
    assert found == [
        f"claim (bill, payer) {key}: roles hold {settled[key] + 1}, the chain {settled[key]}"
    ]


class _CastWithoutHospitals:
    def __init__(self, auditor: Auditor) -> None:
        self.ledgers = auditor.ledgers
        self.hospitals: dict[str, object] = {}


@pytest.mark.parametrize("node", [plain_anvil, ganache], ids=["anvil", "ganache"])
def test_run_demo__where_gas_costs__is_paid_by_the_nodes_own_account(
    small_folder: Path, tmp_path: Path, node: Callable[..., AbstractContextManager[str]]
) -> None:
    with node("--wallet.defaultBalance", "100000") if node is ganache else node() as url:
        price = int(Rpc(url).request("eth_gasPrice"), 16)
        result = run_demo(small_folder, out=tmp_path, rpc_url=url)

    assert price > 0
    assert_whole_story(result)


def test_run_demo__where_gas_costs__is_paid_by_the_key_that_was_named(
    small_folder: Path, tmp_path: Path
) -> None:
    funder = b"\x07" * 32
    with plain_anvil() as url:
        rpc = Rpc(url)
        give_ether(rpc, [address_of(funder)], 5_000 * 10**18)

        result = run_demo(small_folder, out=tmp_path, rpc_url=url, funder=funder)

        left = int(rpc.request("eth_getBalance", address_of(funder), "latest"), 16)
    assert_whole_story(result)
    assert left < 5_000 * 10**18


def test_run_demo__where_gas_costs_and_nobody_can_pay__says_what_to_do(
    small_folder: Path, tmp_path: Path
) -> None:
    with plain_anvil() as url, Relay(url) as relay:
        relay.before = lambda calls: (
            b'{"jsonrpc":"2.0","id":%d,"result":[]}' % calls[0]["id"]
            if calls[0]["method"] == "eth_accounts"
            else None
        )

        with pytest.raises(KeyMissing):
            run_demo(small_folder, out=tmp_path, rpc_url=relay.url)
