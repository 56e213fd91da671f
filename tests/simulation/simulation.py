"""One seed: hospitals that issue while everything around them fails.

    simulation = Simulation(stage, seed, folder)
    simulation.run()                # 200 commands, then everything may come to its end
    problems(simulation)            # the invariants that do not hold: see `invariants`

One random generator decides the commands, another the faults. Time and blocks come when the
simulation says, so one seed does the same each time: `trace` holds what it did.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from importlib import import_module
from itertools import zip_longest
from pathlib import Path
from random import Random
from typing import Any

import pytest
from tests.roles.world import FAR_FUTURE, PATIENT, bad_bill, bill, key_of, order
from tests.simulation.auditing import Following, Immediately
from tests.simulation.faults import HOSPITALS, NONE, Faults, Rates, Stop, watching
from tests.simulation.node import START, Node, Time
from tests.store.postgres import fresh_database, postgres

from medledger import sealers
from medledger.chain.contract import Call
from medledger.chain.deployment import Ledgers, Manifest, connect
from medledger.chain.keys import address_of
from medledger.chain.rpc import Rpc
from medledger.chain.sender import Fees, Policy, Sender
from medledger.chain.sender.signer import Signer
from medledger.core.batch import SealedBatch, seal_batch
from medledger.core.documents import Document, InvoiceLine
from medledger.core.sealing import SECRET_BYTES, Draft, draft_of
from medledger.core.transactions import Intent, Journal
from medledger.errors import MedledgerError, RpcError
from medledger.roles import Auditor, Hospital, IssueReceipt, Patient, Payer, Supervisor
from medledger.roles.issuing import draft_of_stored
from medledger.roles.ledger_of import DocumentKind, ledger_of
from medledger.store import BatchRow, DocumentStore

COMMANDS = 200
BILL_CODE, ORDER_CODE = 46_07_01_26, 46_98_01_26
VALID_UNTIL = START + 1_000 * 24 * 3600
GWEI = 10**9
ROUNDS = 12
NOTHING = Call("0x" + 40 * "1", b"", "nothing")


def operator_key(place: int) -> bytes:
    """The hospital's first key, its second, and those that take their places."""
    return key_of(f"operator {place}")


class Violation(AssertionError):
    """An invariant does not hold. Its text says which."""


@dataclass(frozen=True)
class Stage:
    """A node with the contracts, and the ids of an accredited hospital and a payer."""

    node: Node
    manifest: Manifest
    hospital: int
    payer: int


@dataclass(frozen=True)
class Kept:
    """Evidence that was handed out, and the block that its batch was in."""

    text: str
    block: int


class Simulation:
    """`say` is told each line of the trace as it is made."""

    def __init__(
        self,
        stage: Stage,
        seed: int,
        folder: Path,
        *,
        commands: int = COMMANDS,
        say: Callable[[str], None] = lambda line: None,
    ) -> None:
        self.stage, self.seed, self.node = stage, seed, stage.node
        self.commands = commands
        self.done = 0
        self.trace: list[str] = []
        self.texts: list[str] = []
        """Of exceptions and log records: no secret may stand in them."""
        self._say = say
        self.random = Random(f"commands of seed {seed}")
        self._secrets = Random(f"secrets of seed {seed}")
        self.faults = Faults(Random(f"faults of seed {seed}"), self.node, self.note)
        self.time = Time(self.node, meanwhile=self._meanwhile)
        self._plan(folder)
        with self.listening():
            self._begin()
            self.auditor = Following(seed, folder, self.faults, self._ledgers_with_faults())

    # What the seed decides once

    def _plan(self, folder: Path) -> None:
        random = self.random
        self.url = f"sqlite:///{folder / f'seed-{self.seed}.db'}"
        if self.seed % 5 == 4:
            with postgres() as server:
                self.url = fresh_database(server)
        self.confirmations = random.choice([1, 1, 2, 3])
        self.has_fees = random.random() < 0.4
        self.node.mines_each = random.random() < 0.6
        self.policy = Policy(
            confirmations=self.confirmations,
            in_flight=random.choice([2, 5, 16]),
            bump_after_seconds=3,
            fee_cap=random.choice([None, 60 * GWEI]) if self.has_fees else None,
            patience_seconds=5,
        )
        self.rates = Rates(
            node=random.choice([0.0, 0.02, 0.04, 0.08]),
            database=random.choice([0.0, 0.001, 0.002]),
            stop=random.choice([0.0, 0.0005, 0.002]),
        )

    def _begin(self) -> None:
        self.manifest = replace(self.stage.manifest, confirmations=self.confirmations)
        self.ledgers = connect(Rpc(self.node.url), self.manifest)
        self.floor = self.node.head
        self.keys = [operator_key(place) for place in (1, 2)]
        self.retired: list[bytes] = []
        self.supervisor = Supervisor(self.ledgers, key_of("supervisor"))
        self.supervisor.sender = self._sender(self.ledgers.rpc, key_of("supervisor"))
        self.payer = Payer(self._ledgers_with_faults(), key_of("payer"))
        self.payer.sender = self._sender(self.payer.ledgers.rpc, key_of("payer"))
        self.patient = Patient(self.ledgers, PATIENT)
        self.node.ask_base_fee(GWEI if self.has_fees else 0)
        for key in [key_of("supervisor"), key_of("payer"), *map(operator_key, range(1, 40))]:
            self.node.rpc.request("anvil_setBalance", address_of(key), hex(10**24))
        self.node.mine()
        self.observer = DocumentStore(self.url)
        self._next_serial = {"Invoice": 1, "Prescription": 1}
        self._next_key = 2
        self._next_document = 1
        self.given: dict[str, Document] = {}
        """Every document under the business key that it came with first."""
        self.accepted: dict[DocumentKind, set[str]] = {"Invoice": set(), "Prescription": set()}
        self.numbers: dict[tuple[DocumentKind, str], tuple[int, int]] = {}
        """Number and block that a receipt told."""
        self.evidence: list[Kept] = []
        self.was_deep = False
        self.locked: list[int] = []
        self.hospitals: list[Hospital] = []
        self._others_act = False
        self._open()
        for kind in ("Invoice", "Prescription"):
            for _ in self.keys:
                self._allot(kind, 40)

    def _sender(self, rpc: Rpc, key: bytes, journal: Journal | None = None) -> Sender:
        return Sender(
            rpc,
            key,
            chain_id=self.manifest.chain_id,
            journal=journal,
            policy=self.policy,
            clock=self.time.clock,
            sleep=self.time.sleep,
        )

    # The program of the hospital

    def _open(self) -> None:
        """As after a start: the first key twice, in two programs, and the second once."""
        for hospital in self.hospitals:
            hospital.close()
        ledgers = self._ledgers_with_faults()
        self.hospitals = [
            self._hospital(ledgers, key) for key in (self.keys[0], self.keys[0], self.keys[1])
        ]

    def _ledgers_with_faults(self) -> Ledgers:
        return connect(Rpc(f"{self.node.url}/{HOSPITALS}"), self.manifest)

    def _hospital(self, ledgers: Ledgers, key: bytes) -> Hospital:
        hospital = Hospital(ledgers, key, self.url)
        hospital.sender = self._sender(ledgers.rpc, key, hospital.store.journal)
        return hospital

    def _meanwhile(self) -> None:
        """While one program sleeps, another goes on."""
        if not self._others_act or self.random.random() < 0.5:
            return
        self._others_act = False
        try:
            with suppress(MedledgerError):
                self.random.choice(self.hospitals).advance()
        finally:
            self._others_act = True

    # The run

    def run(self) -> None:
        """All commands, and the end that everything then comes to; raises `Violation`."""
        with self.listening():
            for place in range(self.commands):
                if self.random.random() < 0.2:
                    self._happening()
                self._command(place)
                self._follow()
                self.check_kept()
            self._others_act = False
            self._settle()
        self.note(f"end {self.digest()}")

    def note(self, line: str) -> None:
        self.trace.append(line)
        self._say(line)

    def close(self) -> None:
        for hospital in self.hospitals:
            hospital.close()
        self.auditor.close()
        self.observer.close()

    @property
    def again(self) -> str:
        return f"make simulate SEED={self.seed}"

    def _command(self, place: int) -> None:
        (name,) = self.random.choices(list(COMMAND_WEIGHTS), list(COMMAND_WEIGHTS.values()))
        self.time.slept = 0
        rates = self.rates
        if name in PAID:
            rates = replace(rates, stop=0.0)
        elif name in SUPERVISED:
            rates = NONE
        self._others_act = name not in (*PAID, *SUPERVISED)
        try:
            with self.faults.at(rates):
                outcome = getattr(self, f"_do_{name}")()
        except MedledgerError as error:
            self._told(error)
            outcome = error.name
        except Stop as stop:
            outcome = f"stopped {stop}"
            self._open()
        self.note(f"{place:03d} {name}: {outcome}")
        self.done += 1

    def _follow(self) -> None:
        outcome = self.auditor.perhaps()
        if outcome is not None:
            self.note(f"    the auditor: {outcome}")

    def _told(self, error: MedledgerError) -> None:
        self.texts.append(f"{error} {error.hint}")

    def check_kept(self) -> None:
        """What was accepted is in the store, or set aside; and a number stays."""
        for kind, known in self.accepted.items():
            stored = self.stored(kind)
            aside = self.set_aside(kind)
            missing = known - stored.keys() - aside
            if missing:
                raise Violation(f"accepted, and in neither store nor outbox: {sorted(missing)}")
            both = stored.keys() & aside
            if both:
                raise Violation(f"numbered and set aside at once: {sorted(both)}")
            known |= stored.keys() | aside
            for (of, key), (number, _) in self.numbers.items():
                if of == kind and stored.get(key) != number:
                    raise Violation(f"{key} had number {number}, and now {stored.get(key)}")

    def ledger(self, kind: str) -> str:
        return ledger_of(self.ledgers, kind).address

    def stored(self, kind: str) -> dict[str, int]:
        """Number by business key, of all documents."""
        return dict(self._rows("SELECT business_key, number FROM documents", kind))

    def set_aside(self, kind: str) -> set[str]:
        return {key for (key,) in self._rows("SELECT business_key FROM outbox", kind)}

    def _rows(self, select: str, kind: str) -> list[Any]:
        """By plain SQL: this look is taken after every command."""
        with self.observer._database.reading() as connection:
            found = connection.exec_driver_sql(f"{select} WHERE ledger = '{self.ledger(kind)}'")
            return [tuple(row) for row in found]

    # Commands: hospitals

    def _somebody(self) -> Hospital:
        return self.random.choice(self.hospitals)

    def _documents(self) -> list[Document]:
        is_bill = self.random.random() < 0.8
        count = min(self.random.randint(1, 10) for _ in range(3))
        return [self._document(is_bill) for _ in range(count)]

    def _document(self, is_bill: bool) -> Document:
        chance = self.random.random()
        used = [key for key in self.given if key.startswith("visit" if is_bill else "order")]
        if used and chance < 0.12:
            key = self.random.choice(used)
            return self.given[key] if chance < 0.09 else self._made(key, is_bill, 777)
        key = f"{'visit' if is_bill else 'order'}-{self._next_document}"
        self._next_document += 1
        if is_bill and chance > 0.98:
            return self.given.setdefault(key, bad_bill(key))
        return self.given.setdefault(key, self._made(key, is_bill, self.random.randint(1, 500)))

    def _made(self, key: str, is_bill: bool, amount: int) -> Document:
        if not is_bill:
            return order(key, VALID_UNTIL + amount)
        lines = (InvoiceLine("0101", "西药费", amount),)
        parts = {"total_minor": amount, "own_pay_minor": amount, "fund_pay_minor": 0}
        return bill(key, lines=lines, **parts)

    def _how(self) -> dict[str, Any]:
        return {"batch": self.random.randint(1, 5), "workers": 0}

    def _rejecting(self, rejected: list[str]) -> dict[str, Any]:
        def reject(key: str, error: MedledgerError) -> None:
            self._told(error)
            rejected.append(f"{key}:{error.name}")

        return {"on_reject": reject} if self.random.random() < 0.7 else {}

    def _do_issue(self) -> str:
        rejected: list[str] = []
        documents = self._documents()
        stream = self._somebody().issue_many(documents, **self._how(), **self._rejecting(rejected))
        if self.random.random() < 0.1:
            # Whoever reads the receipts goes away after the first.
            with suppress(StopIteration):
                self._issued(next(stream), documents)
            stream.close()
            return f"{len(documents)} documents, first receipt only"
        receipts = [self._issued(receipt, documents) for receipt in stream]
        return f"{len(documents)} documents, receipts {receipts}, rejected {rejected}"

    def _do_issue_side_by_side(self) -> str:
        """Two programs, turn by turn, on one store: sometimes with one key."""
        streams = []
        given = []
        rejected: list[str] = []
        for hospital in self.random.sample(self.hospitals, 2):
            documents = self._documents()
            given += documents
            how = self._how() | self._rejecting(rejected)
            streams.append(hospital.issue_many(documents, **how))
        receipts = []
        for pair in zip_longest(*streams):
            receipts += [self._issued(one, given) for one in pair if one is not None]
        return f"{len(given)} documents, receipts {receipts}, rejected {rejected}"

    def _issued(self, receipt: IssueReceipt, given: Collection[Document]) -> int:
        """Holds a receipt against what is known of its document."""
        place = (receipt.kind, receipt.business_key)
        known = self.numbers.get(place)
        if known is not None and known[0] != receipt.number:
            raise Violation(f"{place} has number {receipt.number}, and had {known[0]}")
        # The reader's own look, which must not be disturbed.
        with self.faults.at(NONE):
            row = self.observer.document(self.ledger(receipt.kind), receipt.number)
            batch = self.observer.batch_of(self.ledger(receipt.kind), receipt.number)
        candidates = [one for one in given if one.business_key == receipt.business_key]
        if candidates and draft_of_stored(row) not in map(draft_of, candidates):
            raise Violation(f"{place} has other contents than were given")
        if self._is_there(batch):
            self.numbers[place] = (receipt.number, batch.block or 0)
        return int(receipt.number)

    def _is_there(self, row: BatchRow) -> bool:
        """Whether the chain has a batch where the store says; not after a deep reorganisation,
        until somebody looks."""
        if row.transaction is None:
            return False
        found = self.node.wire.ask("eth_getTransactionReceipt", "0x" + row.transaction.hex())
        return found is not None and int(found["blockNumber"], 16) == row.block

    def _do_accept(self) -> str:
        rejected: list[str] = []
        documents = self._documents()
        stream = self._somebody().accept_many(documents, **self._how(), **self._rejecting(rejected))
        kind: DocumentKind = "Prescription" if documents[0].kind == "Prescription" else "Invoice"
        numbers = []
        for accepted in stream:
            self.accepted[kind].add(accepted.business_key)
            numbers.append(int(accepted.number))
        return f"{len(documents)} documents, numbers {numbers}, rejected {rejected}"

    def _do_resume(self) -> str:
        return f"lost {self._somebody().resume()}"

    def _do_retry(self) -> str:
        rejected: list[str] = []
        keys = self._some_set_aside("Invoice") if self.random.random() < 0.5 else None
        receipts = [
            self._issued(receipt, [])
            for receipt in self._somebody().retry(keys, **self._rejecting(rejected))
        ]
        return f"{keys} receipts {receipts}, rejected {rejected}"

    def _do_drop(self) -> str:
        kind = self.random.choice(list(self.accepted))
        keys = self._some_set_aside(kind)
        # Whatever comes of it: the caller gave them up.
        self.accepted[kind] -= set(keys)
        dropped = self._somebody().drop(keys, kind=kind) if keys else 0
        return f"{keys} dropped {dropped}"

    def _do_outbox(self) -> str:
        outbox = self._somebody().outbox()
        documents = [one.business_key for one in outbox.documents()]
        return f"documents {documents}, {len(outbox.transactions())} transactions"

    def _some_set_aside(self, kind: str) -> list[str]:
        with self.faults.at(NONE):
            return [key for key in sorted(self.set_aside(kind)) if self.random.random() < 0.3]

    def _some_number(self, kind: str) -> int:
        with self.faults.at(NONE):
            known = self.observer.numbers(self.ledger(kind))
        return self.random.choice(known) if known else 460701260000000001

    def _do_hold(self) -> str:
        kind = self.random.choice(list(self.accepted))
        number = self._some_number(kind)
        self._somebody().hold(number, kind)
        return f"{number}"

    def _do_release(self) -> str:
        kind = self.random.choice(list(self.accepted))
        number = self._some_number(kind)
        self._somebody().release(number, kind)
        return f"{number}"

    def _do_reverse(self) -> str:
        number = self._some_number("Invoice")
        self._somebody().reverse(number, None, 1)
        return f"{number}"

    def _do_evidence(self) -> str:
        kind = self.random.choice(["Invoice", "Invoice", "Prescription"])
        number = self._some_number(kind)
        hospital = self._somebody()
        evidence = hospital.evidence(number, kind)
        with self.faults.at(NONE):
            row = self.observer.batch_of(self.ledger(kind), number)
        if self._is_there(row):
            self.evidence.append(Kept(evidence.to_json(), row.block or 0))
        Auditor(hospital.ledgers).verify(evidence, at=evidence.head.issued_at)
        return f"{number} verified"

    # Commands: the payer

    def _do_lock(self) -> str:
        number = self._some_number("Invoice")
        evidence = self._somebody().evidence(number)
        with self.faults.at(NONE):
            signed = self.patient.authorise_claim(
                number, self.stage.payer, self.random.randint(1, 120), deadline=VALID_UNTIL
            )
        self.locked.append(number)
        self.payer.lock(evidence, signed)
        return f"{number}"

    def _do_settle(self) -> str:
        number = self.random.choice(self.locked or [0])
        self.payer.settle(number, self.random.randint(0, 100))
        return f"{number}"

    # Commands: the supervisor

    def _allot(self, kind: DocumentKind, count: int) -> int:
        code = BILL_CODE if kind == "Invoice" else ORDER_CODE
        first = self._next_serial[kind]
        self._next_serial[kind] += count
        return self.supervisor.allot(self.stage.hospital, code, first, first + count - 1, kind)

    def _do_allot(self) -> str:
        kind = self.random.choice(["Invoice", "Invoice", "Prescription"])
        return f"segment {self._allot(kind, self.random.randint(20, 120))}"

    def _do_suspend(self) -> str:
        self.supervisor.suspend(self.stage.hospital, 1)
        return "until reinstated"

    def _do_reinstate(self) -> str:
        self.supervisor.reinstate(self.stage.hospital)
        return "again"

    def _do_pause(self) -> str:
        kind = self.random.choice(list(self.accepted))
        self.supervisor.pause(kind)
        return kind

    def _do_unpause(self) -> str:
        for kind in self.accepted:
            with suppress(MedledgerError):
                self.supervisor.unpause(kind)
        return "both"

    def _do_rotate(self) -> str:
        """A new key in place of an old one, whose batches may be on their way."""
        place = self.random.randrange(2)
        self._next_key += 1
        old, new = self.keys[place], operator_key(self._next_key)
        consent = Supervisor(self.supervisor.ledgers, new).consent(
            self.stage.hospital, deadline=FAR_FUTURE
        )
        self.supervisor.add_operator(consent)
        self.keys[place] = new
        self.retired.append(old)
        self._open()
        self.supervisor.remove_operator(address_of(old))
        return f"key {self._next_key} at place {place}"

    # What happens to the chain

    def _happening(self) -> None:
        (name,) = self.random.choices(list(HAPPENING_WEIGHTS), list(HAPPENING_WEIGHTS.values()))
        self.note(f"    {name}: {getattr(self, f'_on_{name}')()}")

    def _on_shallow_reorganisation(self) -> str:
        depth = self.confirmations - 1
        if depth < 1:
            return "blocks are final at once"
        return self._reorganise(self.random.randint(1, depth))

    def _on_deep_reorganisation(self) -> str:
        depth = min(self.confirmations + self.random.randint(0, 6), self.node.head - self.floor)
        return self._reorganise(depth) if depth >= 1 else "nothing above the floor"

    def _reorganise(self, depth: int) -> str:
        head = self.node.head
        if depth >= self.confirmations:
            self._displace(head - depth)
        self.node.reorganise(depth, self.random)
        self._let_others_look()
        return f"{depth} of {head} blocks"

    def _on_backup(self) -> str:
        self.node.back_up()
        return f"at {self.node.head}"

    def _on_restore(self) -> str:
        block = self.node.restore()
        if block is None:
            return "no backup"
        self._displace(block)
        self._let_others_look()
        return f"to {block}"

    def _displace(self, last: int) -> None:
        """Forgets what was told of blocks that are no more, though they were final."""
        self.was_deep = True
        self.evidence = [kept for kept in self.evidence if kept.block <= last]
        self.numbers = {key: found for key, found in self.numbers.items() if found[1] <= last}

    def _let_others_look(self) -> None:
        """The supervisor and the payer hold what they did against the chain, or later."""
        if self.random.random() < 0.7:
            for role in (self.supervisor, self.payer):
                with suppress(MedledgerError):
                    role.sender.advance()

    def _on_stall(self) -> str:
        self.node.stalled = self.random.choice([2, 5, 8, 30])
        return f"{self.node.stalled} ticks"

    def _on_dropped(self) -> str:
        return f"{self.node.drop(self.random)} from the pool"

    def _on_other_mining(self) -> str:
        self.node.mines_each = not self.node.mines_each
        return "each at once" if self.node.mines_each else "with time"

    def _on_spike(self) -> str:
        if not self.has_fees:
            return "gas is free"
        gwei = self.random.choice([1, 5, 20, 100])
        self.node.ask_base_fee(gwei * GWEI)
        return f"{gwei} gwei"

    def _on_time(self) -> str:
        self.time.now += self.random.choice([1, 5, 40])
        self.node.mine(self.random.randint(1, 4))
        return f"block {self.node.head}"

    def _on_foreign_use(self) -> str:
        """Another program uses an operator's key, behind the journal's back."""
        key = self.random.choice(self.keys)
        rpc, address = self.node.rpc, address_of(key)
        tag = self.random.choice(["latest", "pending"])
        nonce = int(rpc.request("eth_getTransactionCount", address, tag), 16)
        fees = Fees(200 * GWEI, 2 * GWEI) if self.has_fees else Fees(0, 0)
        intent = Intent(NOTHING.to, b"", "foreign", 30_000)
        attempt = Signer(key).attempt(intent, nonce, fees, self.manifest.chain_id)
        try:
            rpc.request("eth_sendRawTransaction", "0x" + attempt.raw.hex())
        except RpcError as error:
            return f"nonce {nonce}: {error.text}"
        return f"nonce {nonce}"

    # The end

    def _settle(self) -> None:
        """Without faults, everything comes to its end."""
        self.faults.clear()
        self.node.stalled = 0
        self.node.mines_each = True
        self._open()
        # A chain goes on: what a node that was put back had in higher blocks is known to be gone
        # only when it has other blocks there.
        self.node.mine(max(self._highest_final() - self.node.head, 0))
        for _ in range(ROUNDS):
            self.time.slept = 0
            self.time.now += 60
            self.node.mine(self.confirmations)
            for role in (self.supervisor, self.payer):
                role.sender.advance()
            for hospital in self.hospitals:
                self._resume(hospital)
            if self._is_at_rest():
                break
        else:
            raise Violation("does not come to rest")
        self._act_once_more()
        self.check_kept()

    def _highest_final(self) -> int:
        finals = [journal.last_final(None) for _, journal in self.signers()]
        return max((found.block or 0 for found in finals if found is not None), default=0)

    def _resume(self, hospital: Hospital) -> None:
        try:
            hospital.resume()
        except MedledgerError as error:
            self._told(error)
            self.note(f"    at the end, resume: {error}")

    def _is_at_rest(self) -> bool:
        return not self.still_going()

    def still_going(self) -> list[str]:
        """Batches that are not issued, and what a key that still acts has not finished."""
        retired = {address_of(key) for key in self.retired}
        batches = [f"batch {row.first} of {row.transaction_id}" for row in self.observer.unissued()]
        return batches + [
            f"{found.id} {found.intent.name} of {signer[:6]}, nonce {found.nonce}, {found.stage}: "
            f"{found.problem}"
            for signer, journal in self.signers()
            if signer not in retired
            for found in journal.unfinished(signer)
        ]

    def nonces(self) -> Iterator[tuple[str, int, int, int | None]]:
        """Signer, nonces used in the latest block, and with the pool, and the journal's next."""
        for signer, journal in self.signers():
            latest, pending = (
                int(self.node.wire.ask("eth_getTransactionCount", signer, tag), 16)
                for tag in ("latest", "pending")
            )
            yield signer, latest, pending, journal.next_nonce(signer)

    def _act_once_more(self) -> None:
        """Every key sends once more, retired ones too: what was held up behind it ends with it."""
        self.time.slept = 0
        for key in [*self.retired, *self.keys]:
            sender = self._sender(self.ledgers.rpc, key, self.observer.journal)
            # A look a second, and a gap of any width.
            sender.policy = replace(self.policy, patience_seconds=100)
            sender.send(NOTHING)
            # What lost its nonce to another program comes after it.
            sender.settle(found.id for found in sender.journal.unfinished(sender.address))
        for role in (self.supervisor, self.payer):
            role.sender.send(NOTHING)

    def signers(self) -> list[tuple[str, Journal]]:
        """Every key that acted, with its journal."""
        theirs = [(role.address, role.sender.journal) for role in (self.supervisor, self.payer)]
        ours = [(address_of(key), self.observer.journal) for key in [*self.retired, *self.keys]]
        return theirs + ours

    def issued(self, kind: str) -> Iterator[tuple[int, int, bytes]]:
        """(first, count, root) of every batch that the store calls issued."""
        ledger, after = self.ledger(kind), 0
        for number in self.observer.numbers(ledger):
            if number > after:
                row = self.observer.batch_of(ledger, number)
                after = row.first + row.count - 1
                if row.issued_at is not None:
                    yield row.first, row.count, row.root

    def digest(self) -> str:
        """Of all that the seed came to: store, journals and chain."""
        parts: list[object] = [self.node.rpc.block("latest")["hash"]]
        for kind in self.accepted:
            parts += [sorted(self.stored(kind).items()), list(self.issued(kind))]
            aside = self.observer.list_set_aside(self.ledger(kind))
            parts.append([(row.business_key, row.reason, row.draft) for row in aside])
        for signer, journal in self.signers():
            finals = journal.final_since(signer, 0)
            parts.append([(one.nonce, one.hashes, one.block) for one in finals])
        return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]

    # Around it

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Faults at every door, secrets of the seed's, and every log record kept."""
        handler = _Keeping(self.texts)
        logger = logging.getLogger("medledger")
        level = logger.level
        logger.addHandler(handler)
        logger.setLevel(logging.DEBUG)
        with watching(self.faults), pytest.MonkeyPatch.context() as patch:
            patch.setattr(sealers, "_sealed", self._sealed)
            # The package has a function of the module's name.
            syncing = import_module("medledger.index.sync")
            patch.setattr(syncing, "ThreadPoolExecutor", Immediately)
            try:
                yield
            finally:
                logger.setLevel(level)
                logger.removeHandler(handler)

    def _sealed(self, drafts: Sequence[Draft], first: int) -> SealedBatch:
        return seal_batch(drafts, first, self._secrets.randbytes(SECRET_BYTES * len(drafts)))


class _Keeping(logging.Handler):
    def __init__(self, texts: list[str]) -> None:
        super().__init__()
        self._texts = texts

    def emit(self, record: logging.LogRecord) -> None:
        self._texts.append(self.format(record))


COMMAND_WEIGHTS = {
    "issue": 14,
    "issue_side_by_side": 2,
    "accept": 11,
    "resume": 5,
    "outbox": 5,
    "retry": 4,
    "drop": 4,
    "hold": 7,
    "release": 6,
    "reverse": 3,
    "evidence": 12,
    "lock": 7,
    "settle": 6,
    "allot": 3,
    "suspend": 1,
    "reinstate": 4,
    "pause": 1,
    "unpause": 3,
    "rotate": 2,
}
PAID = ("lock", "settle")
"""What the payer does, whose program never stops: it keeps no journal."""
SUPERVISED = ("allot", "suspend", "reinstate", "pause", "unpause", "rotate")
"""What the supervisor does on a line without faults."""
HAPPENING_WEIGHTS = {
    "shallow_reorganisation": 4,
    "deep_reorganisation": 2,
    "backup": 1,
    "restore": 1,
    "stall": 3,
    "dropped": 3,
    "other_mining": 2,
    "spike": 3,
    "time": 4,
    "foreign_use": 3,
}
