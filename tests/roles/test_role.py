"""How a role finds its contracts, and what it says without a key or an institution."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tests.chain.nodes import Relay
from tests.roles.world import World, key_of

from medledger.chain.keys import address_of
from medledger.chain.local import LocalChain, free_port
from medledger.core.hashing import keccak256
from medledger.errors import (
    AnchorMismatch,
    EvidenceError,
    KeyMissing,
    ManifestInvalid,
    ManifestMissing,
    NotAnOperator,
    RpcUnavailable,
    WrongChain,
)
from medledger.roles import (
    Auditor,
    Courier,
    Hospital,
    Payer,
    Pharmacy,
    Supervisor,
    open_ledgers,
    open_ledgers_of_evidence,
)

STRANGER = keccak256(b"a key that acts for nobody")


# Finding the contracts


def test_connect__with_a_manifest_or_its_file__has_its_contracts(
    world: World, anvil: LocalChain, tmp_path: Path
) -> None:
    manifest = world.ledgers.manifest
    path = manifest.save(tmp_path)

    for given in (manifest, path):
        found = Payer.connect(anvil.url, operator=key_of("payer"), deployment=given)

        assert found.ledgers.claims.address == world.ledgers.claims.address
        assert found.institution == world.ids["payer"]
        assert found.address == address_of(key_of("payer"))


def test_connect__without_a_manifest__takes_the_chains_own_from_deployments(
    world: World, anvil: LocalChain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.ledgers.manifest.save(tmp_path / "deployments")
    monkeypatch.chdir(tmp_path)

    found = Hospital.connect(
        anvil.url, operator=key_of("hospital"), store=f"sqlite:///{tmp_path}/own.db"
    )

    assert found.institution == world.ids["hospital"]
    assert (tmp_path / "own.db").exists()
    found.close()


def test_connect__no_manifest_anywhere__manifest_missing(
    world: World, anvil: LocalChain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    with pytest.raises(ManifestMissing, match="31337"):
        Auditor.connect(anvil.url)
    with pytest.raises(ManifestMissing, match="elsewhere"):
        Auditor.connect(anvil.url, deployment=tmp_path / "elsewhere.json")


def test_connect__a_garbled_manifest__manifest_invalid(anvil: LocalChain, tmp_path: Path) -> None:
    (tmp_path / "m.json").write_text("{}")

    with pytest.raises(ManifestInvalid):
        open_ledgers(anvil.url, tmp_path / "m.json")


def test_connect__another_chain__wrong_chain(world: World, anvil: LocalChain) -> None:
    with pytest.raises(WrongChain):
        Auditor.connect(anvil.url, deployment=replace(world.ledgers.manifest, chain_id=5))


def test_connect__no_node__what_needs_one_is_unavailable(world: World) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    auditor = Auditor.connect(url, deployment=world.ledgers.manifest)

    with pytest.raises(RpcUnavailable):
        auditor.audit()


def test_connect__another_chain_answers_later__wrong_chain(world: World, anvil: LocalChain) -> None:
    with Relay(anvil.url) as relay:
        relay.before = lambda calls: 503
        another = replace(world.ledgers.manifest, chain_id=5)
        auditor = Auditor.connect(relay.url, deployment=another)
        relay.before = lambda calls: None

        with pytest.raises(WrongChain):
            auditor.audit()


# Somebody who has only evidence


@pytest.mark.parametrize("kind", ["Invoice", "Prescription"])
def test_open_ledgers_of_evidence__of_each_kind__verifies_and_traces(
    kind: str, world: World, anvil: LocalChain
) -> None:
    receipt = world.locked() if kind == "Invoice" else world.accepted()
    evidence = receipt.evidence()

    auditor = Auditor(open_ledgers_of_evidence(anvil.url, evidence))

    auditor.verify(evidence)
    assert auditor.trace(receipt.number, kind) == world.auditor.trace(receipt.number, kind)


def test_open_ledgers_of_evidence__another_chain__anchor_mismatch(
    world: World, anvil: LocalChain
) -> None:
    evidence = world.issued().evidence()
    forged = replace(evidence, anchor=replace(evidence.anchor, chain_id=1))

    with pytest.raises(AnchorMismatch, match="it is for chain 1"):
        open_ledgers_of_evidence(anvil.url, forged)


def test_open_ledgers_of_evidence__a_contract_of_other_code__anchor_mismatch(
    world: World, anvil: LocalChain
) -> None:
    evidence = world.issued().evidence()
    anchor = replace(evidence.anchor, ledger=world.ledgers.claims.address)

    with pytest.raises(AnchorMismatch):
        open_ledgers_of_evidence(anvil.url, replace(evidence, anchor=anchor))


@pytest.mark.parametrize("act", ["reversed", "held"])
def test_open_ledgers_of_evidence__a_transaction_from_after_the_act__does_not_hide_it(
    act: str, world: World, anvil: LocalChain
) -> None:
    receipt = world.issued()
    evidence = receipt.evidence()
    if act == "reversed":
        red = world.issued("reversal", related_invoice=receipt.number)
        world.hospital.reverse(receipt.number, red.number, 1)
    else:
        world.hospital.hold(receipt.number)
    later = world.issued("visit-later").transaction
    forged = replace(evidence, anchor=replace(evidence.anchor, transaction=later))

    # The file is in the hands of whom the reversal hurts: the transaction is theirs to choose.
    with pytest.raises(EvidenceError):
        Auditor(open_ledgers_of_evidence(anvil.url, forged)).verify(forged)


# Keys


def test_act__without_a_key__key_missing(world: World) -> None:
    with pytest.raises(KeyMissing) as error:
        Supervisor(world.ledgers).suspend(2, 1)

    assert error.value.hint
    with pytest.raises(KeyMissing):
        _ = Supervisor(world.ledgers).address


@pytest.mark.parametrize("role", [Payer, Pharmacy, Courier, Supervisor])
def test_institution__of_a_stranger__not_an_operator(role: type, world: World) -> None:
    with pytest.raises(NotAnOperator) as error:
        _ = role(world.ledgers, STRANGER).institution

    assert error.value.values == {"account": address_of(STRANGER)}


def test_institution__of_a_removed_operator__not_an_operator(world: World) -> None:
    world.supervisor.remove_operator(address_of(key_of("payer")))

    with pytest.raises(NotAnOperator):
        _ = world.payer.institution


def test_now__of_a_role__is_the_chains_time_and_not_this_machines(world: World) -> None:
    before = world.auditor.now()

    world.pass_time(1_000_000)

    assert world.auditor.now() - before >= 1_000_000


def test_read__a_role_without_a_key__asks_only_and_sends_nothing(
    world: World, anvil: LocalChain
) -> None:
    receipt = world.locked()
    evidence = receipt.evidence()
    with Relay(anvil.url) as relay:
        auditor = Auditor.connect(relay.url, deployment=world.ledgers.manifest)

        auditor.verify(evidence)
        auditor.trace(receipt.number)
        auditor.audit()

        assert set(relay.methods()) == {
            "eth_chainId",
            "eth_getBlockByNumber",
            "eth_getCode",
            "eth_call",
            "eth_getLogs",
            "eth_blockNumber",
        }
