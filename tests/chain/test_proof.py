"""Storage proofs: they hold for what the contracts hold, and for nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import rlp
from tests.chain.nodes import Relay, each, refusal
from tests.roles.world import World, record

from medledger.chain.deployment import connect
from medledger.chain.local import LocalChain
from medledger.chain.proof import EXTRA_DATA, STATE_ROOT, Proof
from medledger.chain.rpc import Rpc
from medledger.core.hashing import keccak256
from medledger.core.numbers import DocumentKind
from medledger.core.states import Hold
from medledger.errors import MalformedProof, NotFound, ProofMismatch, ProofUnavailable
from medledger.roles import Auditor

Change = Callable[[Proof], Proof]


@pytest.fixture
def claimed(world: World) -> int:
    return world.locked().number


def values(proof: Proof) -> dict[tuple[str, str], Any]:
    return {(one.contract, one.path): one.value for one in proof.values()}


def block_hash(world: World) -> bytes:
    return bytes.fromhex(world.rpc.block("latest")["hash"][2:])


def test_prove__a_claimed_bill__its_values_are_what_the_views_say(
    world: World, claimed: int
) -> None:
    proof = world.auditor.prove(claimed)
    found = values(Proof.from_json(proof.to_json()))

    invoices, payer = world.ledgers.invoices, world.ids["payer"]
    segment = invoices.segment_of(world.deployment.bills)
    assert found["Invoices", f"headHashOf[{claimed}]"] == invoices.head_hash_of(claimed)
    assert found["Invoices", f"holdOf[{claimed}]"] == invoices.hold_of(claimed)
    assert found["Invoices", "_paused"] is False
    for name in ("institution", "first", "next", "last", "endorsed", "withdrawn"):
        path = f"_segments[{world.deployment.bills}].{name}"
        assert found["Invoices", path] == getattr(segment, name)
    # One word, as `ClaimWords` packs it.
    claim, word = (
        world.ledgers.claims.claim_of(claimed, payer),
        found["Claims", f"_first[{claimed}]"],
    )
    assert (word & 0xFFFFFFFF, word >> 32 & (2**64 - 1)) == (payer, claim.amount) == (payer, 1000)
    issuer = world.ledgers.institutions.institution_of(world.ids["hospital"])
    path = f"_institutions[{world.ids['hospital']}]"
    assert found["Institutions", f"{path}.nameHash"] == issuer.name_hash
    assert found["Institutions", f"{path}.validUntil"] == issuer.valid_until


@pytest.mark.parametrize("kind", ["Prescription", "Licence", "Record"])
def test_prove__each_kind__every_slot_is_what_the_node_stores(
    kind: DocumentKind, world: World
) -> None:
    make = {
        "Prescription": world.accepted,
        "Licence": world.licensed,
        "Record": world.recorded,
    }
    number = make[kind]().number

    proof = world.auditor.prove(number, kind)

    proof.verify(block_hash(world), world.ledgers.manifest)
    for name, account in proof.accounts.items():
        for slot, held in proof._slots(name, account).items():
            stored = world.rpc.request("eth_getStorageAt", account.address, hex(slot), "latest")
            assert held == int(stored, 16)
    shown = [one for one in proof.values() if str(number) in one.path and one.value]
    assert shown


def test_prove__an_amended_record__its_amendments_are_listed(world: World) -> None:

    number = world.recorded().number
    amendment = world.hospital.amend(record("again", amends=number)).number

    found = values(world.auditor.prove(number, "Record"))

    assert found["Records", f"_amendments[{number}].length"] == 1
    assert found["Records", f"_amendments[{number}][0]"] == amendment
    assert found["Records", f"_originals[{amendment}]"] == number


def test_prove__an_older_block__is_as_of_then(world: World, claimed: int) -> None:
    block = world.rpc.block_number()
    world.hospital.hold(claimed)
    path = ("Invoices", f"holdOf[{claimed}]")

    then, now = (world.auditor.prove(claimed, block=at) for at in (block, None))

    assert (values(then)[path], values(now)[path]) == (Hold.AS_ISSUED, Hold.HELD)
    assert (then.block, then.time) == (block, world.rpc.timestamps([block])[block])


def test_prove__a_number_that_was_not_issued__not_found(world: World) -> None:
    with pytest.raises(NotFound):
        world.auditor.prove(46060126_0000009999)


# Files that do not hold


def _account(proof: Proof, name: str, **changes: Any) -> Proof:
    changed = replace(proof.accounts[name], **changes)
    return replace(proof, accounts={**proof.accounts, name: changed})


def _header(proof: Proof, place: int, value: bytes) -> Proof:
    fields = list(proof.header)
    fields[place] = value
    return replace(proof, header=tuple(fields))


def _other_slots(proof: Proof) -> Proof:
    """The bill's claims under slots of Invoices: proofs that are sound, elsewhere."""
    slots = proof.accounts["Invoices"].slots
    return _account(proof, "Claims", slots=slots)


def _cut(proof: Proof) -> Proof:
    slots = dict(proof.accounts["Claims"].slots)
    slots.popitem()
    return _account(proof, "Claims", slots=slots)


def _without_nodes(proof: Proof) -> Proof:
    slots = {slot: nodes[:-1] for slot, nodes in proof.accounts["Claims"].slots.items()}
    return _account(proof, "Claims", slots=slots)


def _bent(proof: Proof) -> Proof:
    """The last node of a slot with another value in it."""
    slots = dict(proof.accounts["Claims"].slots)
    slot, nodes = next((s, n) for s, n in slots.items() if len(n) > 1)
    leaf = rlp.decode(nodes[-1])
    slots[slot] = (*nodes[:-1], rlp.encode([leaf[0], rlp.encode(b"\x01"), *leaf[2:]]))
    return _account(proof, "Claims", slots=slots)


FORGED: dict[str, tuple[Change, str]] = {
    "another block": (lambda proof: _header(proof, 8, b"\x01"), "its header is of block"),
    "another state root": (lambda proof: _header(proof, STATE_ROOT, bytes(32)), "is of block"),
    "another contract": (
        lambda proof: _account(proof, "Claims", address=proof.accounts["Invoices"].address),
        "is not the Claims contract of the deployment",
    ),
    "a contract of its own": (
        lambda proof: replace(proof, accounts={**proof.accounts, "Mine": proof.accounts["Claims"]}),
        "is not the Mine contract",
    ),
    "other code": (
        lambda proof: _account(proof, "Claims", code=proof.accounts["Invoices"].code),
        "has other code",
    ),
    "other immutables": (
        lambda proof: _account(
            proof, "Claims", code=proof.accounts["Claims"].code.replace(b"\x27\x8d", b"\x27\x8e")
        ),
        "the code of Claims is not the account's",
    ),
    "no account": (lambda proof: _account(proof, "Claims", nodes=()), "does not lead from"),
    "nodes that are no nodes": (
        lambda proof: _account(proof, "Claims", nodes=(b"\xc1\x80", b"\xff")),
        "does not lead from",
    ),
    "slots of another contract": (_other_slots, "does not lead from|it lacks slot"),
    "a slot left out": (_cut, "it lacks slot"),
    "paths cut short": (_without_nodes, "does not lead from"),
    "another value": (_bent, "does not lead from"),
}


@pytest.mark.parametrize("forged", FORGED)
def test_verify__a_forged_proof__named(forged: str, world: World, claimed: int) -> None:
    change, problem = FORGED[forged]
    proof = world.auditor.prove(claimed)

    with pytest.raises(ProofMismatch, match=problem):
        change(proof).verify(block_hash(world), world.ledgers.manifest)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("format",), "medledger-proof-2"),
        (("number",), "46060126-0000009999"),
        (("header",), ["0x"]),
        (("header", 0), "0xz"),
        (("known",), []),
        (("contracts", "Claims", "address"), "0x12"),
        (("contracts", "Claims", "more"), 1),
    ],
)
def test_from_json__a_file_that_is_none__malformed(
    place: tuple[str | int, ...], value: Any, world: World, claimed: int
) -> None:
    told = json.loads(world.auditor.prove(claimed).to_json())
    inner = told
    for step in place[:-1]:
        inner = inner[step]
    inner[place[-1]] = value

    with pytest.raises(MalformedProof):
        Proof.from_json(json.dumps(told))


def test_from_json__no_json__malformed() -> None:
    with pytest.raises(MalformedProof):
        Proof.from_json("{")


# Nodes


def asked(world: World, relay: Relay) -> Auditor:
    return Auditor(connect(Rpc(relay.url), world.ledgers.manifest))


def test_prove__a_node_without_eth_get_proof__unavailable(
    world: World, claimed: int, anvil: LocalChain
) -> None:
    def answer(call: dict[str, Any], found: Any) -> Any:
        if call["method"] == "eth_getProof":
            return refusal(call, "the method eth_getProof does not exist", -32601)
        return found

    with Relay(anvil.url) as relay:
        relay.after = lambda calls, body: each(calls, body, answer)
        with pytest.raises(ProofUnavailable, match="does not exist"):
            asked(world, relay).prove(claimed)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda told: {**told, "storageProof": told["storageProof"][1:]}, ProofUnavailable),
        (lambda told: {**told, "accountProof": None}, ProofUnavailable),
        (lambda told: {**told, "accountProof": told["accountProof"][:-1]}, ProofMismatch),
        (
            lambda told: {
                **told,
                "storageProof": [{**item, "proof": []} for item in told["storageProof"]],
            },
            ProofMismatch,
        ),
    ],
    ids=["a slot too few", "no list", "an account cut short", "no proofs"],
)
def test_prove__a_node_whose_proof_does_not_hold__is_not_believed(
    change: Callable[[Any], Any],
    error: type[Exception],
    world: World,
    claimed: int,
    anvil: LocalChain,
) -> None:
    def answer(call: dict[str, Any], found: Any) -> Any:
        return {**found, "result": change(found["result"])} if _asks_proof(call) else found

    with Relay(anvil.url) as relay:
        relay.after = lambda calls, body: each(calls, body, answer)
        with pytest.raises(error):
            asked(world, relay).prove(claimed)


def _asks_proof(call: dict[str, Any]) -> bool:
    return bool(call["method"] == "eth_getProof")


def _qbft(round_: bytes, seals: list[bytes]) -> bytes:
    """A header's extra data as Besu's QBFT writes it: vanity, validators, vote, round, seals."""
    encoded: bytes = rlp.encode([bytes(32), [bytes(20)], [], round_, seals])
    return encoded


@pytest.mark.parametrize("is_qbft", [True, False])
def test_prove__a_chain_that_hashes_headers_without_seals__is_known_as_qbft_only(
    is_qbft: bool, world: World, claimed: int, anvil: LocalChain
) -> None:
    """No Besu runs here: the header is of Anvil, with the extra data and hash that Besu gives."""
    plain = world.auditor.prove(claimed)
    fields = list(plain.header)
    fields[EXTRA_DATA] = _qbft(b"", [])
    hash_ = "0x" + keccak256(rlp.encode(fields)).hex()
    sealed = _qbft(b"\x01", [bytes(65)]) if is_qbft else b"sealed in another way"

    def answer(call: dict[str, Any], found: Any) -> Any:
        if call["method"] == "eth_getBlockByNumber" and call["params"][0] == hex(plain.block):
            header = {**found["result"], "hash": hash_, "extraData": "0x" + sealed.hex()}
            return {**found, "result": header}
        return found

    with Relay(anvil.url) as relay:
        auditor = asked(world, relay)
        relay.after = lambda calls, body: each(calls, body, answer)
        if is_qbft:
            assert auditor.prove(claimed).block_hash.hex() == hash_[2:]
        else:
            with pytest.raises(ProofUnavailable, match="neither as Ethereum nor as QBFT"):
                auditor.prove(claimed)
