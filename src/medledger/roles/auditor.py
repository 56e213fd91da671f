"""The auditor: verifies evidence and rebuilds the whole state, from the chain alone.

    auditor = Auditor.connect("http://127.0.0.1:8545")
    auditor.verify(Evidence.from_json(text))     # raises, or returns nothing

It trusts a node and the deployment manifest that it was given, and no hospital's database.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from pathlib import Path

from pydantic.alias_generators import to_camel

from medledger.chain import abi
from medledger.chain import bindings as on_chain
from medledger.chain.compiler import compile_sources
from medledger.chain.deployment import connect
from medledger.chain.events import Logged, fetch_events
from medledger.chain.inspection import Inspected, inspect
from medledger.chain.proof import Proof, fetch_proof
from medledger.chain.replay import Replay
from medledger.chain.rpc import Rpc
from medledger.core.canonical import Json, canonical
from medledger.core.evidence import Evidence
from medledger.core.hashing import Header, LicenceHeader, keccak256, name_hash
from medledger.core.kinds import KINDS
from medledger.core.numbers import BILL_NUMBER_SPAN, DocumentKind, format_number
from medledger.core.reads import ReadProof
from medledger.core.states import Hold
from medledger.errors import (
    AnchorMismatch,
    IssuerMismatch,
    MalformedEvidence,
    NotFound,
    StatusMismatch,
    UnknownField,
)
from medledger.index import EventIndex, Refused, Synced, sync
from medledger.index.export import Exported, Format, export
from medledger.index.figures import Figures, figures
from medledger.index.findings import check
from medledger.index.history import Held, document_at, replay
from medledger.index.questions import LIFE_OF, authority_events, life, refused_attempts
from medledger.roles.ledger_of import ledger_of
from medledger.roles.role import Role

TIME_CHUNK = 5_000


@dataclass(frozen=True, slots=True)
class Audit:
    """A rebuilt state and what disagrees with it. `block` and `time` are the last block's."""

    state: Replay
    block: int
    time: int
    events: int
    mismatches: list[str]


@dataclass(frozen=True, slots=True)
class Inspection:
    """The contracts, the institutions and keys that events made, and what should be otherwise."""

    contracts: list[Inspected]
    state: Replay
    mismatches: list[str]


@dataclass(frozen=True, slots=True)
class Step:
    """One event in a document's life. `time` is in Unix seconds, `transaction` 32 bytes."""

    time: int
    block: int
    transaction: bytes
    event: on_chain.LedgerEvent

    @property
    def name(self) -> str:
        return type(self.event).__name__


class Auditor(Role):
    """Anybody with an RPC address and a deployment manifest. No key is needed."""

    def verify(self, evidence: Evidence, *, at: int | None = None) -> None:
        """Returns nothing if the evidence holds; raises the `EvidenceError` of the step that fails.

        Steps: format, fields, header, path, anchor, issuer, status. Status means: issued by `at`,
        and then neither reversed in whole, cancelled, amended, on paper nor on hold, and a licence
        valid; `at` is in Unix seconds, by default the latest block's time. A suspension of the
        issuer after issue does not matter: the ledger let it issue.
        """
        expected = evidence.verify_offline()
        self._verify_anchor(evidence, expected)
        self._verify_issuer(evidence)
        self._verify_status(evidence, self.now() if at is None else at)

    def matches(self, evidence: Evidence, name: str, value: Json) -> bool:
        """Whether a licence on chain has exactly this field with exactly this value.

        The evidence must open the field: it has the salt. The ledger's view compares, so nothing
        of this gets on chain; the node that is asked sees the value. Says nothing of validity: see
        `is_valid_at`. Raises `UnknownField` where the evidence does not open it, `ProofInvalid`
        where the ledger did not issue it, and `MalformedEvidence` where it is not of a licence.
        """
        header, disclosure = evidence.header, evidence.disclosure
        if not isinstance(header, LicenceHeader):
            raise MalformedEvidence(problem="it is not of a licence")
        if name not in disclosure.opened or name not in disclosure.names:
            raise UnknownField(field=name, known=", ".join(sorted(disclosure.opened)))
        return self.ledgers.licences.matches(
            header,
            evidence.head,
            evidence.path,
            keccak256(canonical(list(disclosure.names))),
            disclosure.digests,
            disclosure.names.index(name),
            disclosure.opened[name].salt,
            canonical([name, value]),
        )

    def is_valid_at(self, number: int, at: int | None = None) -> bool:
        """Whether an opened licence is valid at a second, by default the latest block's: neither
        outside its validity nor suspended or revoked then."""
        return self.ledgers.licences.is_valid_at(number, self.now() if at is None else at)

    def verify_read(self, proof: ReadProof) -> None:
        """Returns nothing if a read is among those that its hospital anchored of its day.

        Raises `PathMismatch`, or `AnchorMismatch` where the chain has another root, or none.
        """
        held = self.ledgers.records.reads_of(proof.hospital, proof.day)
        if (held.root, held.count) != (proof.root(), proof.count):
            raise AnchorMismatch(
                problem=f"institution {proof.hospital} has not anchored this for day {proof.day}"
            )

    def trace(
        self, number: int, kind: DocumentKind = "Invoice", *, index: EventIndex | None = None
    ) -> list[Step]:
        """The whole life of a document on chain, oldest first: its batch and every event since.

        With an `index`, as that has it, and no node is asked.
        """
        if index is not None:
            return [
                Step(e.time, e.block, e.transaction, on_chain.EVENTS[e.name](e.arguments))
                for e in life(index, number, kind)
            ]
        found = list(self._events_of(number, kind))
        times = self.ledgers.rpc.timestamps([item.block for item in found])
        return [Step(times[i.block], i.block, i.transaction, i.event) for i in found]

    def refused_attempts(
        self, index: EventIndex, number: int, kind: DocumentKind = "Invoice"
    ) -> list[Refused]:
        """What was tried with a document and refused all the same, oldest first, by an index."""
        return refused_attempts(index, number, kind)

    def audit(self, *, until: int | None = None) -> Audit:
        """Rebuilds the state from events up to a block, and compares it with storage there.

        `until` is a block number, the latest by default; an older one needs a node that keeps the
        state of old blocks.
        """
        last = self.ledgers.rpc.block_number() if until is None else until
        state = Replay(self.ledgers)
        count = 0
        for part in self._timed_events(last):
            for logged, time in part:
                state.apply(logged, time)
            count += len(part)
        time = self.ledgers.rpc.timestamps([last])[last]
        differences = state.differences(self.ledgers.at(last), time)
        return Audit(state, last, time, count, state.breaches(time) + differences)

    def sync(
        self,
        index: EventIndex,
        *,
        confirmations: int | None = None,
        advance: Callable[[int], None] = lambda _: None,
    ) -> Synced:
        """Brings an index up to the chain; every node that was named is asked for every range.

        `confirmations` is the manifest's by default. Raises `NodesDisagree`, `LogsOmitted`,
        `RpcUnavailable`, `WrongChain`, `ContractMissing` or `StoreError`.
        """
        manifest = self.ledgers.manifest
        nodes = [Rpc([url]) for url in self.ledgers.rpc.urls]
        for node in nodes:
            connect(node, manifest)
        depth = manifest.confirmations if confirmations is None else confirmations
        return sync(index, nodes, confirmations=depth, advance=advance)

    def export(
        self,
        index: EventIndex,
        folder: Path,
        format: Format = "parquet",  # noqa: A002
        *,
        advance: Callable[[int], None] = lambda _: None,
    ) -> Exported:
        """Writes the index as tables for analysts into a new folder, in flat memory.

        Parquet needs `medledger[export]`. Raises `OutputInUse`, `SetupError` or `StoreError`.
        """
        return export(index, self.ledgers, folder, format, advance=advance)

    def figures(self, index: EventIndex) -> Figures:
        """What an index says in a few numbers, in flat memory."""
        return figures(index, self.ledgers)

    def report(self, index: EventIndex, *, most_findings: int = 50) -> str:
        """The figures and findings of an index as one HTML file, of each rule so many findings."""
        from medledger.index.report import render

        past = index.as_of(index.place().next_block - 1)
        return render(figures(past, self.ledgers), check(past), most_findings=most_findings)

    def rebuild(self, index: EventIndex, *, at: int | None = None, compares: bool = False) -> Audit:
        """The state that the events of an index make, and the rules that it breaks.

        With `at`, Unix seconds, as it was then. With `compares` also what storage holds otherwise,
        at the last block read: an older one than the latest needs a node that keeps old states.
        """
        state, count, problems = replay(self.ledgers, index.events(until=at))
        time = index.last_time() if at is None else at
        block = index.place().next_block - 1
        if compares:
            problems += state.differences(self.ledgers.at(block), time)
        return Audit(state, block, time, count, problems + state.breaches(time))

    def document_at(
        self, index: EventIndex, number: int, kind: DocumentKind, at: int | None = None
    ) -> Held:
        """What the contracts held of a document at a time, by the events of an index.

        `at` is by default the last block read. Raises `IndexBehind` or `NotFound`.
        """
        return document_at(
            index, self.ledgers, number, kind, index.last_time() if at is None else at
        )

    def inspect(
        self, index: EventIndex, *, source: Path | None = None, compiler: Path | None = None
    ) -> Inspection:
        """Whether the contracts are medledger's own, and institutions, keys, pauses and policies as
        the events of an index say.

        With `source`, a checkout, its sources are compiled and compared too. Raises
        `CompilerUnusable`.
        """
        built = None if source is None else compile_sources(source, compiler)
        contracts = inspect(self.ledgers, built)
        state, _, problems = replay(self.ledgers, index.events(names=authority_events()))
        ledgers = self.ledgers.at(index.place().next_block - 1)
        problems += state.differences(ledgers, index.last_time())
        count = ledgers.institutions.institution_count()
        if count != len(state.institutions):
            problems.append(f"{count} institutions: events made {len(state.institutions)}")
        found = [f"{one.contract}: {problem}" for one in contracts for problem in one.problems]
        return Inspection(contracts, state, found + problems)

    def prove(
        self, number: int, kind: DocumentKind = "Invoice", *, block: int | None = None
    ) -> Proof:
        """What the contracts hold of a document at a block, with its storage proofs.

        `block` is the latest by default. Raises `ProofUnavailable`, `NotFound`.
        """
        steps = self.trace(number, kind)
        if not steps:
            raise NotFound(what=f"{kind.lower()} {format_number(number)}", where="the ledger")
        at = self.ledgers.rpc.block_number() if block is None else block
        among = (*LIFE_OF[kind], "Institutions")
        contracts = [name for name in among if name in self.ledgers.contracts]
        return fetch_proof(self.ledgers, number, kind, _keys(number, steps), contracts, at)

    def _verify_anchor(self, evidence: Evidence, expected: bytes) -> None:
        ledger = ledger_of(self.ledgers, evidence.kind)
        anchor = evidence.anchor
        if anchor.chain_id != self.ledgers.chain_id:
            raise AnchorMismatch(
                problem=f"it is for chain {anchor.chain_id}, this is {self.ledgers.chain_id}"
            )
        if anchor.ledger != ledger.address:
            raise AnchorMismatch(
                problem=f"it names ledger {anchor.ledger}, the deployment has {ledger.address}"
            )
        held = ledger.head_hash_of(evidence.head.first)
        if held == bytes(32):
            first = format_number(evidence.head.first)
            raise AnchorMismatch(problem=f"no batch was issued from number {first}")
        if held != expected:
            raise AnchorMismatch(problem="the ledger holds another batch under these numbers")

    def _verify_issuer(self, evidence: Evidence) -> None:
        segment = ledger_of(self.ledgers, evidence.kind).segment_of(evidence.head.segment)
        field = KINDS[evidence.kind].issuer
        party = evidence.fields.get(field)
        if not isinstance(party, dict) or not isinstance(party.get("name"), str):
            return
        issuer = self.ledgers.institutions.institution_of(segment.institution)
        if name_hash(party["name"]) != issuer.name_hash:
            raise IssuerMismatch(
                problem=f"{field} is not the name of institution {segment.institution}, "
                "which issued it"
            )

    def _verify_status(self, evidence: Evidence, at: int) -> None:
        if evidence.head.issued_at > at:
            issued_at = _utc(evidence.head.issued_at)
            raise StatusMismatch(problem=f"it was issued at {issued_at}, after {_utc(at)}")
        hold, paper_since = Hold.AS_ISSUED, 0
        suspended: int | None = None
        validity = _validity(evidence.header)
        for step in self.trace(evidence.number, evidence.kind):
            if step.time > at:
                break
            match step.event:
                case on_chain.DocumentHeld():
                    hold = Hold.HELD
                case on_chain.DocumentReleased():
                    hold = Hold.RELEASED
                case on_chain.InvoiceReversed(number=number) if number == evidence.number:
                    raise StatusMismatch(
                        problem=f"it was reversed at {_utc(step.time)} by "
                        f"{format_number(step.event.red_letter)}"
                    )
                case on_chain.InvoicePartlyReversed(red_letter=letter) if letter == evidence.number:
                    # It was born on hold until it had an original.
                    hold = Hold.RELEASED
                case on_chain.InvoiceExchanged():
                    paper_since = step.time
                case on_chain.PaperVoided():
                    paper_since = 0
                case on_chain.PrescriptionCancelled():
                    raise StatusMismatch(problem=f"it was cancelled at {_utc(step.time)}")
                case on_chain.LicenceRevoked():
                    raise StatusMismatch(problem=f"it was revoked at {_utc(step.time)}")
                case on_chain.LicenceSuspended():
                    suspended = step.time
                case on_chain.SuspensionLifted():
                    suspended = None
                case on_chain.LicenceRenewed():
                    validity = (validity[0], step.event.valid_until)
                case on_chain.RecordAmended():
                    raise StatusMismatch(
                        problem=f"it was amended at {_utc(step.time)} by "
                        f"{format_number(step.event.amendment)}"
                    )
                case _:
                    pass
        if paper_since:
            raise StatusMismatch(problem=f"it was exchanged for paper at {_utc(paper_since)}")
        if suspended is not None:
            raise StatusMismatch(problem=f"it is suspended since {_utc(suspended)}")
        if not validity[0] <= at <= validity[1]:
            raise StatusMismatch(
                problem=f"it is valid from {_utc(validity[0])} to {_utc(validity[1])}, "
                f"not at {_utc(at)}"
            )
        if _is_held(evidence.header, hold):
            raise StatusMismatch(problem=f"it is on hold at {_utc(at)}")

    def _events_of(self, number: int, kind: DocumentKind) -> Iterator[Logged]:
        """The events that name the number, after the one of its batch, in chain order."""
        ledger = ledger_of(self.ledgers, kind)
        manifest, rpc = self.ledgers.manifest, self.ledgers.rpc
        last = rpc.block_number()
        topic = f"0x{number:064x}"
        addresses = [ledger.address]
        if kind == "Invoice":
            addresses.append(self.ledgers.claims.address)
            addresses += [
                contract.address
                for name, contract in self.ledgers.contracts.items()
                if name in ("Escrow", "Payments")
            ]
        issued = [abi.event_topic(name) for name in ("BatchIssued", "BatchEndorsed")]
        first = None
        for item in fetch_events(rpc, [ledger.address], manifest.block, last, topics=[issued]):
            match item.event:
                case on_chain.BatchIssued() as batch if number in range(
                    batch.first, batch.first + batch.count
                ):
                    first = batch.first
                    yield item
                case on_chain.BatchEndorsed() as batch if batch.first == first:
                    yield item
                case _:
                    pass
        own = list(fetch_events(rpc, addresses, manifest.block, last, topics=[None, topic]))
        if kind == "Invoice":
            # A red letter's own life begins with the reversal that names it second.
            names = [abi.event_topic(n) for n in ("InvoiceReversed", "InvoicePartlyReversed")]
            own += fetch_events(
                rpc, [ledger.address], manifest.block, last, topics=[names, None, topic]
            )
        for item in sorted(own, key=lambda found: (found.block, found.index)):
            if not isinstance(item.event, on_chain.BatchIssued | on_chain.BatchEndorsed):
                yield item

    def _timed_events(self, last: int) -> Iterator[list[tuple[Logged, int]]]:
        """All events with their times, in portions that keep memory flat."""
        ledgers = self.ledgers
        addresses = [contract.address for contract in ledgers.manifest.contracts.values()]
        portion: list[Logged] = []
        for logged in fetch_events(ledgers.rpc, addresses, ledgers.manifest.block, last):
            portion.append(logged)
            if len(portion) == TIME_CHUNK:
                yield self._with_times(portion)
                portion = []
        yield self._with_times(portion)

    def _with_times(self, portion: list[Logged]) -> list[tuple[Logged, int]]:
        times = self.ledgers.rpc.timestamps([logged.block for logged in portion])
        return [(logged, times[logged.block]) for logged in portion]


def _keys(number: int, steps: list[Step]) -> list[dict[str, int | str]]:
    """The names of mappings' keys, with the values that a document and each event name together."""
    document: dict[str, int | str] = {
        "number": number,
        "original": number,
        "amendment": number,
        "code": number // BILL_NUMBER_SPAN,
    }
    found = [document]
    for step in steps:
        said = {to_camel(f.name): getattr(step.event, f.name) for f in fields(step.event)}
        named = {name: v for name, v in said.items() if type(v) in (int, str)}
        if "by" in named:
            named["account"] = named.pop("by")
        found.append(document | named)
    return found


def _utc(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%SZ}"


def _validity(header: Header) -> tuple[int, int]:
    """The first and last second of a licence, by its header; without end for anything else."""
    if isinstance(header, LicenceHeader):
        return header.valid_from, header.valid_until
    return 0, 2**64


def _is_held(header: Header, hold: Hold) -> bool:
    return hold == Hold.HELD or (header.on_hold and hold == Hold.AS_ISSUED)
