"""The manifest, and what `connect` compares before anything else."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.chain.nodes import Relay, each, refusal
from tests.roles.world import (
    HOSPITAL_NAME,
    LEASE_PERIOD,
    LOCK_PERIOD,
    Deployment,
    World,
    bill,
    key_of,
)

from medledger.chain import abi
from medledger.chain.contract import Call
from medledger.chain.deployment import (
    Manifest,
    connect,
    created_address,
    deploy,
    deploy_token,
    is_same_code,
    unpinned,
)
from medledger.chain.keys import address_of
from medledger.chain.local import LocalChain
from medledger.chain.rpc import Rpc
from medledger.chain.sender import Sender
from medledger.core.hashing import ZERO_ADDRESS, keccak256, name_hash
from medledger.core.states import Kind
from medledger.errors import (
    AnchorMismatch,
    ContractMissing,
    LeasePeriodInvalid,
    LedgerMismatch,
    LockPeriodInvalid,
    ManifestInvalid,
    ManifestMissing,
    MedledgerError,
    NoSettlementToken,
    NotDeployed,
    RegionInvalid,
    RpcError,
    RpcUnavailable,
    WrongChain,
)
from medledger.roles import Auditor, Hospital, Supervisor
from medledger.roles.ledger_of import ledger_of

KEY = keccak256(b"a key that deploys")
WITHOUT_TOKEN = [name for name in abi.CONTRACTS if name != "Escrow"]
"""The contracts of a deployment without a settlement token."""


@pytest.fixture
def manifest(deployment: Deployment) -> Manifest:
    return deployment.ledgers.manifest


# Deploying


def test_deploy__on_a_chain__the_manifest_is_what_the_chain_holds(rpc: Rpc) -> None:
    token = deploy_token(rpc, KEY)
    before = rpc.block_number()

    manifest, receipts = deploy(
        rpc,
        KEY,
        supervisor_name="财政局",
        region=460000,
        lock_period=11,
        lease_period=12,
        token=token,
        currency=840,
    )

    assert (manifest.chain_id, manifest.genesis_hash) == (rpc.chain_id(), rpc.genesis_hash())
    assert manifest.block == receipts[0].block == before + 1
    assert list(manifest.contracts) == list(abi.CONTRACTS)
    for (name, contract), receipt in zip(manifest.contracts.items(), receipts, strict=True):
        assert contract.transaction == "0x" + receipt.hash.hex()
        assert contract.code_hash == "0x" + keccak256(rpc.code(contract.address)).hex()
        assert is_same_code(name, rpc.code(contract.address))
    ledgers = connect(rpc, manifest)
    supervisor = ledgers.institutions.institution_of(1)
    assert supervisor.name_hash == name_hash("财政局")
    assert (supervisor.kinds, supervisor.region) == (Kind.SUPERVISOR, 460000)
    assert ledgers.institutions.operator_of(address_of(KEY)).institution == 1
    assert (ledgers.claims.lock_period(), ledgers.prescriptions.lease_period()) == (11, 12)
    assert (ledgers.escrow.token(), ledgers.escrow.currency()) == (token, 840)
    assert ledgers.escrow.claims() == ledgers.claims.address
    assert ledgers.claims.escrow() == ledgers.escrow.address
    assert (ledgers.payments.token(), ledgers.payments.currency()) == (token, 840)
    assert ledgers.payments.invoices() == ledgers.invoices.address


def test_deploy__without_a_settlement_token__there_is_no_escrow(
    deployment: Deployment, manifest: Manifest
) -> None:
    assert "Escrow" not in manifest.contracts
    assert deployment.ledgers.claims.escrow() == ZERO_ADDRESS
    assert deployment.ledgers.payments.token() == ZERO_ADDRESS
    with pytest.raises(NoSettlementToken):
        _ = deployment.ledgers.escrow


def test_deploy__contracts_that_name_each_other__all_do(deployment: Deployment) -> None:
    ledgers = deployment.ledgers

    assert ledgers.invoices.claims() == ledgers.claims.address
    assert ledgers.claims.invoices() == ledgers.invoices.address
    assert {
        ledgers.invoices.institutions(),
        ledgers.claims.institutions(),
        ledgers.prescriptions.institutions(),
        ledgers.payments.institutions(),
    } == {ledgers.institutions.address}


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"lock_period": 0}, LockPeriodInvalid),
        ({"lease_period": 0}, LeasePeriodInvalid),
        ({"region": 1_000_000}, RegionInvalid),
    ],
)
def test_deploy__settings_that_a_constructor_refuses__named(
    settings: dict[str, int], expected: type[MedledgerError], rpc: Rpc
) -> None:
    with pytest.raises(expected):
        deploy(rpc, KEY, supervisor_name="财政局", **settings)


def test_deploy__claims_for_a_ledger_of_another__ledger_mismatch(
    deployment: Deployment, rpc: Rpc
) -> None:
    ledgers = deployment.ledgers
    named = [ledgers.institutions, ledgers.invoices, ledgers.prescriptions]
    arguments = [*(contract.address for contract in named), ZERO_ADDRESS, LOCK_PERIOD]
    call = Call("", abi.constructor_data("Claims", arguments), "Claims.constructor")

    with pytest.raises(LedgerMismatch) as error:
        Sender(rpc, KEY).send(call)

    assert error.value.values == {"ledger": ledgers.invoices.address}


def test_created_address__of_a_nonce__is_where_the_node_puts_it(rpc: Rpc) -> None:
    sender = Sender(rpc, KEY)
    empty = bytes.fromhex("60018060093d393df3" + "00")

    for nonce in range(3):
        receipt = sender.send(Call("", empty, "Empty.constructor"))
        answer = rpc.request("eth_getTransactionReceipt", "0x" + receipt.hash.hex())

        assert answer["contractAddress"] == created_address(sender.address, nonce).lower()


def test_deploy__twice_on_one_chain__neither_knows_the_other(world: World) -> None:
    manifest, _ = deploy(world.rpc, KEY, supervisor_name="another")
    second = connect(world.rpc, manifest)
    supervisor = Supervisor(second, KEY)
    hospital_id = supervisor.accredit(HOSPITAL_NAME, Kind.HOSPITAL, address_of(key_of("hospital")))
    supervisor.allot(hospital_id, 46060126, 1, 100)
    # One store for both: documents are kept by ledger.
    hospital = Hospital(second, key_of("hospital"), f"sqlite:///{world.folder}/hospital.db")

    ours = world.issued()
    theirs = hospital.issue(bill(ours.business_key))

    assert ours.number == theirs.number
    world.auditor.verify(ours.evidence())
    with pytest.raises(AnchorMismatch, match="names ledger"):
        world.auditor.verify(theirs.evidence())
    audits = [world.auditor.audit(), Auditor(second).audit()]
    assert [audit.mismatches for audit in audits] == [[], []]
    assert [audit.state.bills.issued for audit in audits] == [1, 1]
    assert audits[1].state.institutions.keys() == {1, 2}
    hospital.close()


# Connecting


def test_connect__the_chain_of_the_manifest__its_contracts(manifest: Manifest, rpc: Rpc) -> None:
    ledgers = connect(rpc, manifest)

    assert ledgers.chain_id == manifest.chain_id
    fields = {name: name.lower() for name in manifest.contracts} | {
        "PrescriptionPolicies": "policies"
    }
    assert {name: getattr(ledgers, field).address for name, field in fields.items()} == {
        name: contract.address for name, contract in manifest.contracts.items()
    }
    assert ledgers.institutions.institution_count() == 10


def test_connect__another_chain_id__wrong_chain_names_both(manifest: Manifest, rpc: Rpc) -> None:
    with pytest.raises(WrongChain, match=r"expected chain 5, but .* is chain 31337") as error:
        connect(rpc, replace(manifest, chain_id=5))

    assert "\n" not in str(error.value)
    assert error.value.hint


def test_connect__a_new_chain_with_the_same_id__wrong_chain_names_the_genesis(
    manifest: Manifest,
) -> None:
    with LocalChain(options=("--timestamp", "1700000000")) as another:
        rpc = Rpc(another.url)

        with pytest.raises(WrongChain) as error:
            connect(rpc, manifest)

        assert manifest.genesis_hash in str(error.value)
        assert rpc.genesis_hash() in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", WITHOUT_TOKEN)
@pytest.mark.parametrize("fault", ["nothing is there", "other code is there"])
def test_connect__a_contract_is_not_there__names_it(
    name: str, fault: str, manifest: Manifest, rpc: Rpc
) -> None:
    contract = manifest.contracts[name]
    if fault == "nothing is there":
        contract = replace(contract, address="0x" + 40 * "9")
    else:
        rpc.request("anvil_setCode", contract.address, "0x6001600155")

    with pytest.raises(ContractMissing, match=f"no {name} contract at {contract.address}"):
        connect(rpc, replace(manifest, contracts={**manifest.contracts, name: contract}))


def test_connect__a_server_that_is_no_ethereum_node__says_so_in_one_line(
    manifest: Manifest,
) -> None:
    with Relay() as relay:
        relay.before = lambda calls: [refusal(call, "Method not found", -32601) for call in calls]

        with pytest.raises((RpcUnavailable, RpcError)) as error:
            connect(Rpc(relay.url), manifest).institutions.institution_count()

    assert "\n" not in str(error.value)


def test_connect__several_nodes_and_one_is_another_chain__the_right_one(
    manifest: Manifest, rpc: Rpc
) -> None:
    with LocalChain(options=("--timestamp", "1700000000")) as another:
        ledgers = connect(Rpc(f"{another.url},{rpc.url}"), manifest)

        assert ledgers.rpc.url == rpc.url
        assert ledgers.institutions.institution_count() == 10


def test_connect__the_node_comes_back_with_another_genesis__wrong_chain(
    manifest: Manifest, rpc: Rpc
) -> None:
    def reset(call: dict[str, Any], answer: Any) -> Any:
        if call["method"] == "eth_getBlockByNumber" and call["params"][0] == "0x0":
            answer["result"]["hash"] = "0x" + 64 * "9"
        return answer

    with Relay(rpc.url) as relay:
        ledgers = connect(Rpc(relay.url), manifest)
        relay.before = lambda calls: 503
        with pytest.raises(RpcUnavailable):
            ledgers.institutions.institution_count()
        relay.before = lambda calls: None
        relay.after = lambda calls, body: each(calls, body, reset)

        with pytest.raises(WrongChain, match="it was reset, or is another"):
            ledgers.institutions.institution_count()


def test_connect__a_chain_reset_behind_an_idle_connection__the_sender_stops(
    manifest: Manifest, rpc: Rpc
) -> None:
    def reset(call: dict[str, Any], answer: Any) -> Any:
        if call["method"] == "eth_getBlockByNumber" and call["params"][0] == "0x0":
            answer["result"]["hash"] = "0x" + 64 * "9"
        return answer

    with Relay(rpc.url) as relay:
        sender = Sender(connect(Rpc(relay.url), manifest).rpc, KEY)
        sender.advance()
        relay.after = lambda calls, body: each(calls, body, reset)

        with pytest.raises(RpcUnavailable, match="genesis"):
            sender.advance()
        with pytest.raises(WrongChain):
            sender.advance()


def test_at__a_block__every_contract_is_as_of_it(world: World) -> None:
    before = world.rpc.block_number()
    receipt = world.locked(1000)

    then, now = world.ledgers.at(before), world.ledgers.at("latest")

    segment = world.deployment.bills
    assert then.invoices.segment_of(segment).next == now.invoices.segment_of(segment).next - 1
    assert [at.claims.usage_of(receipt.number) for at in (then, now)] == [(0, 0), (1000, 0)]
    assert now.claims.lock_period() == LOCK_PERIOD
    assert now.prescriptions.lease_period() == LEASE_PERIOD


# Contracts that no manifest names


def test_unpinned__a_ledger_of_ours__finds_its_contracts_by_itself(world: World) -> None:
    receipt = world.issued()
    ledger = world.ledgers.invoices.address

    found = unpinned(world.rpc, "Invoices", ledger, receipt.transaction, receipt.head.first)

    for name in ("institutions", "invoices", "claims"):
        assert getattr(found, name).address == getattr(world.ledgers, name).address
    assert found.manifest.block == world.rpc.block_number()


def test_unpinned__prescriptions__has_no_claims(world: World) -> None:
    receipt = world.prescribed()
    ledger = world.ledgers.prescriptions.address

    found = unpinned(world.rpc, "Prescriptions", ledger, receipt.transaction, receipt.number)

    assert found.institutions.address == world.ledgers.institutions.address
    assert int(found.claims.address, 16) == int(found.invoices.address, 16) == 0


@pytest.mark.parametrize("address", ["institutions", "claims", "prescriptions", "nobody"])
def test_unpinned__an_address_that_is_no_such_ledger__anchor_mismatch(
    address: str, world: World
) -> None:
    receipt = world.issued()
    contract = getattr(world.ledgers, address, None)
    found = contract.address if contract else "0x" + 40 * "9"

    with pytest.raises(AnchorMismatch):
        unpinned(world.rpc, "Invoices", found, receipt.transaction, receipt.number)


def test_unpinned__a_ledger_of_other_code_that_logs_the_same__anchor_mismatch(
    world: World,
) -> None:
    receipt = world.issued()
    ledger = world.ledgers.invoices.address
    code = world.rpc.code(ledger)
    world.rpc.request("anvil_setCode", ledger, "0x" + (code[:-1] + b"\x00").hex())

    with pytest.raises(AnchorMismatch, match=ledger):
        unpinned(world.rpc, "Invoices", ledger, receipt.transaction, receipt.number)


@pytest.mark.parametrize("transaction", ["of another batch", "that the chain lacks"])
def test_unpinned__a_transaction_that_did_not_issue_the_batch__anchor_mismatch(
    transaction: str, world: World
) -> None:
    receipt, later = world.issued("visit-1"), world.issued("visit-2")
    given = later.transaction if transaction == "of another batch" else b"\x77" * 32

    with pytest.raises(AnchorMismatch, match="transaction"):
        unpinned(world.rpc, "Invoices", world.ledgers.invoices.address, given, receipt.number)


@pytest.mark.parametrize("name", WITHOUT_TOKEN)
def test_is_same_code__one_byte_outside_the_immutables_changed__is_not(
    name: str, deployment: Deployment, rpc: Rpc
) -> None:
    code = rpc.code(deployment.ledgers.manifest.contracts[name].address)
    blanks = {
        place
        for places in abi.artifact(name)["immutableReferences"].values()
        for found in places
        for place in range(found["start"], found["start"] + found["length"])
    }

    def changed(at: int) -> bytes:
        return code[:at] + bytes([code[at] ^ 1]) + code[at + 1 :]

    assert is_same_code(name, code)
    assert all(
        not is_same_code(name, changed(at)) for at in range(0, len(code), 97) if at not in blanks
    )
    assert all(is_same_code(name, changed(at)) for at in sorted(blanks)[:3])
    assert not is_same_code(name, code + b"\x00")
    assert not is_same_code(name, b"")


# The manifest file


def test_save__then_load__is_the_same(manifest: Manifest, tmp_path: Path) -> None:
    path = manifest.save(tmp_path / "deployments")

    assert path == tmp_path / "deployments" / "31337.json"
    assert Manifest.load(path) == manifest
    assert list(path.parent.iterdir()) == [path]


def test_save__over_an_older_one__keeps_it_readable(manifest: Manifest, tmp_path: Path) -> None:
    older = replace(manifest, block=99)
    oldest = replace(manifest, block=98)
    for each_manifest in (oldest, older, manifest, manifest):
        path = each_manifest.save(tmp_path)

    kept = [Manifest.load(file) for file in tmp_path.iterdir() if file != path]

    assert Manifest.load(path) == manifest
    assert sorted(found.block for found in kept) == [98, 99]
    assert {found.chain_id for found in kept} == {31337}


def test_save__of_two_chains__each_has_its_file(manifest: Manifest, tmp_path: Path) -> None:
    paths = [manifest.save(tmp_path), replace(manifest, chain_id=5).save(tmp_path)]

    assert [path.name for path in paths] == ["31337.json", "5.json"]
    assert [Manifest.load(path).chain_id for path in paths] == [31337, 5]


def test_load__no_such_file__manifest_missing(tmp_path: Path) -> None:
    with pytest.raises(ManifestMissing, match="nowhere") as error:
        Manifest.load(tmp_path / "nowhere.json")

    assert error.value.hint


def contract(found: dict[str, Any], **changes: Any) -> None:
    found["contracts"]["Claims"].update(changes)


GARBLING: dict[str, Callable[[dict[str, Any]], Any]] = {
    "another format": lambda m: m.update(format="medledger-deployment-0"),
    "no format": lambda m: m.pop("format"),
    "no chain id": lambda m: m.pop("chainId"),
    "chain id in words": lambda m: m.update(chainId="anvil"),
    "chain id null": lambda m: m.update(chainId=None),
    "chain id without bound": lambda m: m.update(chainId=float("inf")),
    "chain id not whole": lambda m: m.update(chainId=31337.5),
    "chain id negative": lambda m: m.update(chainId=-1),
    "no genesis": lambda m: m.pop("genesisHash"),
    "genesis null": lambda m: m.update(genesisHash=None),
    "genesis cut short": lambda m: m.update(genesisHash=m["genesisHash"][:-2]),
    "genesis not hexadecimal": lambda m: m.update(genesisHash="0x" + 64 * "g"),
    "no block": lambda m: m.pop("block"),
    "block negative": lambda m: m.update(block=-1),
    "block in words": lambda m: m.update(block="first"),
    "no lock period": lambda m: m.pop("lockPeriod"),
    "lease period null": lambda m: m.update(leasePeriod=None),
    "confirmations zero": lambda m: m.update(confirmations=0),
    "confirmations in words": lambda m: m.update(confirmations="many"),
    "no contracts": lambda m: m.pop("contracts"),
    "contracts a list": lambda m: m.update(contracts=[]),
    "one contract missing": lambda m: m["contracts"].pop("Claims"),
    "a contract null": lambda m: m["contracts"].update(Claims=None),
    "no address": lambda m: m["contracts"]["Claims"].pop("address"),
    "address in words": lambda m: contract(m, address="the claims"),
    "address cut short": lambda m: contract(m, address="0x1234"),
    "address null": lambda m: contract(m, address=None),
    "no code hash": lambda m: m["contracts"]["Claims"].pop("codeHash"),
    "code hash cut short": lambda m: contract(m, codeHash="0x12"),
    "code hash a number": lambda m: contract(m, codeHash=5),
    "no transaction": lambda m: m["contracts"]["Claims"].pop("transaction"),
}


@pytest.mark.parametrize("garble", GARBLING.values(), ids=GARBLING)
def test_load__garbled__manifest_invalid_names_the_file(
    garble: Callable[[dict[str, Any]], Any], manifest: Manifest, tmp_path: Path
) -> None:
    found = json.loads(manifest.text())
    garble(found)
    path = tmp_path / "31337.json"
    path.write_text(json.dumps(found), "utf-8")

    with pytest.raises(ManifestInvalid, match="31337") as error:
        Manifest.load(path)

    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"null", b"5", b"[]", b'"text"', b"{}", b"\xff\xfe", 100_000 * b"["],
    ids=lambda content: content[:10].decode("latin-1"),
)
@pytest.mark.usefixtures("no_collecting")
def test_load__no_manifest_at_all__manifest_invalid(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "31337.json"
    path.write_bytes(content)

    with pytest.raises(ManifestInvalid, match="31337") as error:
        Manifest.load(path)

    assert "\n" not in str(error.value)


def test_load__a_folder__manifest_invalid(tmp_path: Path) -> None:
    with pytest.raises(ManifestInvalid):
        Manifest.load(tmp_path)


def test_load__of_before_licences_and_records__reads_the_rest_and_names_what_it_lacks(
    manifest: Manifest, rpc: Rpc, tmp_path: Path
) -> None:
    said = json.loads(manifest.text())
    for name in ("Licences", "Records"):
        del said["contracts"][name]
    path = tmp_path / "31337.json"
    path.write_text(json.dumps(said), "utf-8")

    ledgers = connect(rpc, Manifest.load(path)).at("latest")

    assert list(ledgers.documents) == ["Invoice", "Prescription"]
    assert ledgers.institutions.institution_count() == 10
    assert Auditor(ledgers).audit().mismatches == []
    for lacking in (lambda: ledgers.licences, lambda: ledger_of(ledgers, "Record")):
        with pytest.raises(NotDeployed, match="it is older than this program"):
            lacking()


def test_load__of_before_confirmations__one(manifest: Manifest, tmp_path: Path) -> None:
    found = json.loads(manifest.text())
    del found["confirmations"]
    path = tmp_path / "31337.json"
    path.write_text(json.dumps(found), "utf-8")

    assert Manifest.load(path).confirmations == 1


def test_deploy__on_a_network_of_two_blocks__the_manifest_says_so() -> None:
    with LocalChain(block_seconds=0.05) as chain:
        manifest, receipts = deploy(Rpc(chain.url), KEY, supervisor_name="财政局", confirmations=2)

        assert Rpc(chain.url).block_number() > receipts[-1].block
    assert json.loads(manifest.text())["confirmations"] == manifest.confirmations == 2


def test_load__addresses_in_lower_case__are_the_same_contracts(
    manifest: Manifest, rpc: Rpc, tmp_path: Path
) -> None:
    found = json.loads(manifest.text())
    for each_contract in found["contracts"].values():
        each_contract["address"] = each_contract["address"].lower()
    path = tmp_path / "31337.json"
    path.write_text(json.dumps(found), "utf-8")

    ledgers = connect(rpc, Manifest.load(path))

    # Roles compare addresses as text: an authorisation or an anchor names the EIP-55 form.
    assert ledgers.claims.address == manifest.contracts["Claims"].address
