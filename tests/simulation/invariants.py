"""What must hold when a seed has come to its end, as `docs/reliability.md` numbers it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from random import Random
from typing import Any

from tests.roles.world import PATIENT, PATIENT_ID, PATIENT_NAME, key_of
from tests.simulation.simulation import Kept, Simulation

from medledger.chain.bindings import BatchIssued
from medledger.chain.events import fetch_events
from medledger.chain.rpc import Rpc
from medledger.core.evidence import Evidence
from medledger.core.transactions import Transaction
from medledger.errors import MedledgerError, StatusMismatch
from medledger.roles import Auditor
from medledger.roles.role import open_ledgers_of_evidence

VERIFIED = 6
"""Of the evidence that was handed out, and as much that is made at the end."""

FUNCTIONS = {
    "DocumentHeld": ("Invoices.hold", "Prescriptions.hold"),
    "DocumentReleased": ("Invoices.release", "Prescriptions.release"),
    "InvoiceReversed": ("Invoices.reverse",),
    "ClaimLocked": ("Claims.lock", "Claims.openAndLock"),
    "ClaimSettled": ("Claims.settle",),
}
"""The functions that log an event, once each; batches are compared one by one."""


def problems(simulation: Simulation) -> list[str]:
    """Every invariant that does not hold, in words."""
    checks = (effects, ends, nonces, rebuild, evidence, secrets)
    with simulation.listening():
        return [f"{check.__name__}: {found}" for check in checks for found in check(simulation)]


def effects(simulation: Simulation) -> Iterator[str]:
    """1. At most one effect on chain per accepted command."""
    journalled = list(transactions(simulation))
    for kind in simulation.accepted:
        yield from _batches(simulation, kind, journalled)
    mined = _succeeded(simulation, journalled)
    accepted: Counter[str] = Counter()
    for found in journalled:
        count = sum(one.hash in mined for one in found.attempts if not one.is_cancellation)
        if _was_refused(simulation, found):
            accepted[found.intent.name] += count
        elif count > (found.stage == "final" or found.intent.name.endswith(".issue")):
            yield f"{found.intent.name} is {found.stage} and took effect {count} times"
    counts = Auditor(simulation.ledgers).audit().state.counts
    finals = accepted + Counter(one.intent.name for one in journalled if one.stage == "final")
    for event, functions in FUNCTIONS.items():
        expected = sum(finals[name] for name in functions)
        if counts.get(event, 0) != expected:
            yield f"{counts.get(event, 0)} {event} on chain for {expected} transactions"


def _batches(simulation: Simulation, kind: str, journalled: Sequence[Transaction]) -> Iterator[str]:
    rpc, manifest = simulation.ledgers.rpc, simulation.manifest
    logs = fetch_events(rpc, [simulation.ledger(kind)], manifest.block, rpc.block_number())
    store = set(simulation.issued(kind))
    refused = {
        hash_ for found in journalled if _was_refused(simulation, found) for hash_ in found.hashes
    }
    for item in logs:
        if not isinstance(item.event, BatchIssued):
            continue
        batch = (item.event.first, item.event.count, item.event.root)
        if batch not in store and item.transaction not in refused:
            yield f"{kind}: batch {batch[:2]} is on chain only"
        store.discard(batch)
    for first, count, _ in sorted(store):
        yield f"{kind}: batch {(first, count)} is in the store only"


def _was_refused(simulation: Simulation, found: Transaction) -> bool:
    """Refused in a block that was final and went away: that another accepts it is not ruled out."""
    return simulation.was_deep and found.stage == "failed"


def transactions(simulation: Simulation) -> Iterator[Transaction]:
    """All of the hospital's journal, and what is final in those of the others."""
    with simulation.observer._database.reading() as connection:
        rows = connection.exec_driver_sql("SELECT id FROM transactions ORDER BY id")
        ids = list(rows.scalars())
    for id_ in ids:
        yield simulation.observer.journal.transaction(id_)
    for role in (simulation.supervisor, simulation.payer):
        yield from role.sender.journal.final_since(role.address, 0)


def _is_filler(found: Transaction) -> bool:
    return found.intent.name == "gap filler"


def _succeeded(simulation: Simulation, journalled: list[Transaction]) -> set[bytes]:
    hashes = [
        attempt.hash
        for found in journalled
        for attempt in found.attempts
        if not attempt.is_cancellation and not _is_filler(found)
    ]
    asked: list[tuple[str, list[Any]]] = [
        ("eth_getTransactionReceipt", ["0x" + hash_.hex()]) for hash_ in hashes
    ]
    answers = simulation.ledgers.rpc.batch(asked)
    return {
        hash_
        for hash_, answer in zip(hashes, answers, strict=True)
        if isinstance(answer, dict) and answer["status"] == "0x1"
    }


def ends(simulation: Simulation) -> Iterator[str]:
    """2. Every accepted command ended confirmed, failed with a reason, or is in the outbox."""
    for row in simulation.observer.unissued():
        yield f"batch {row.first} is not issued"
    for found in simulation.observer.journal.unfinished():
        yield f"{found.intent.name} of {found.signer} is {found.stage}: {found.problem}"
    for found in transactions(simulation):
        if found.stage == "failed" and not found.problem and not found.revert_data:
            yield f"{found.intent.name} failed without a reason"
    for row in simulation.observer.list_set_aside():
        if not row.reason or not row.problem:
            yield f"{row.business_key} is set aside without a reason"


def nonces(simulation: Simulation) -> Iterator[str]:
    """3. Per signer, latest = pending = the journal's next nonce."""
    for signer, latest, pending, following in simulation.nonces():
        if not latest == pending == following:
            yield f"{signer}: latest {latest}, pending {pending}, journal {following}"


def rebuild(simulation: Simulation) -> Iterator[str]:
    """4. What the events rebuild is what the contracts hold, and the index what a new one is."""
    yield from Auditor(simulation.ledgers).audit().mismatches
    yield from simulation.auditor.problems(Rpc(simulation.node.url))


def evidence(simulation: Simulation) -> Iterator[str]:
    """5. Every evidence file verifies, with only the file and a node."""
    random = Random(simulation.seed)
    handed_out = simulation.evidence
    for kept in random.sample(handed_out, min(VERIFIED, len(handed_out))):
        yield from _verified(simulation, kept, "handed out")
    issued = [
        (kind, first + random.randrange(count))
        for kind in simulation.accepted
        for first, count, _ in simulation.issued(kind)
    ]
    for kind, number in random.sample(issued, min(VERIFIED, len(issued))):
        made = simulation.hospitals[0].evidence(number, kind)
        yield from _verified(simulation, Kept(made.to_json(), 0), "made at the end")


def _verified(simulation: Simulation, kept: Kept, what: str) -> Iterator[str]:
    found = Evidence.from_json(kept.text)
    try:
        ledgers = open_ledgers_of_evidence(simulation.node.url, found)
        Auditor(ledgers).verify(found, at=found.head.issued_at)
    except StatusMismatch:
        # Held or reversed in the very block that issued it, after a reorganisation.
        return
    except MedledgerError as error:
        yield f"{what} for {found.number}: {error.name}: {error}"


def secrets(simulation: Simulation) -> Iterator[str]:
    """6. No key and no patient data in logs, errors, or on chain."""
    texts = "\n".join(simulation.texts)
    public = _on_chain(simulation)
    for name, secret in _secrets(simulation):
        if secret in public:
            yield f"{name} is on chain"
        said = {secret.hex(), repr(secret), secret.decode("utf-8", "ignore")}
        if any(one and one in texts for one in said):
            yield f"{name} is in a log or an error"


def _secrets(simulation: Simulation) -> Iterator[tuple[str, bytes]]:
    yield "the patient's key", PATIENT.public.encode()
    yield "the patient's name", PATIENT_NAME.encode()
    yield "the patient's id", PATIENT_ID.encode()
    for key in (*simulation.keys, *simulation.retired, key_of("payer"), key_of("supervisor")):
        yield "a private key", key
    for kind in simulation.accepted:
        ledger = simulation.ledger(kind)
        for number in simulation.observer.numbers(ledger):
            yield f"the secret of {number}", simulation.observer.document(ledger, number).secret


def _on_chain(simulation: Simulation) -> bytes:
    """The input and the logs of every transaction since the seed began."""
    rpc = simulation.ledgers.rpc
    numbers = range(simulation.floor, rpc.block_number() + 1)
    blocks = rpc.batch([("eth_getBlockByNumber", [hex(number), True]) for number in numbers])
    inputs = [found["input"] for block in blocks for found in block["transactions"]]
    wanted = {"fromBlock": hex(simulation.floor), "toBlock": "latest"}
    logs = rpc.request("eth_getLogs", wanted)
    return b"".join(bytes.fromhex(text[2:]) for text in [*inputs, *(log["data"] for log in logs)])
