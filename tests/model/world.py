"""Everything that an act is drawn from: the rules of all ledgers, everybody's keys, the time."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from random import Random
from typing import Any, TypeVar

from tests.model.rules import (
    NO_SIGNATURE,
    NOT_SIGNED,
    Change,
    Clock,
    Key,
    Refused,
    Signed,
    View,
)
from tests.model.rules_bills import Invoices
from tests.model.rules_claims import Claims
from tests.model.rules_documents import Batch, DocumentLedger, Ledger, Proof, Root
from tests.model.rules_escrow import Escrow
from tests.model.rules_institutions import Institutions
from tests.model.rules_licences import Licences
from tests.model.rules_payments import Payments
from tests.model.rules_policies import Policies
from tests.model.rules_prescriptions import Prescriptions
from tests.model.rules_records import Records

from medledger.core.hashing import Header, keccak256, leaf_hash, signing_digest
from medledger.core.patient_keys import address_of_key, signature_of
from medledger.core.tree import Tree

HOUR = 3600
DAY = 24 * HOUR
FAR_FUTURE = 2**40 - 1
LEASE_PERIOD = 8 * HOUR
LOCK_PERIOD = 6 * HOUR
CURRENCY = 156
"""Of the settlement token."""
NO_HASH = bytes(32)
SOME_HASH = keccak256(b"what is said off chain")

T = TypeVar("T")


def chance(random: Random, percent: int) -> bool:
    """True so often; False is the simpler of the two."""
    return random.randrange(100) >= 100 - percent


def deadline_from(random: Random, now: int) -> int:
    """Mostly later, and often enough this very second, or the one before."""
    return now + random.choice([600, 600, 600, 600, 0, 0, -1])


@dataclass(frozen=True)
class Act:
    """A function of a contract, called by an account with these arguments: of a rule of that name.

    Nothing in it belongs to one example, so it can be done again in another.
    """

    contract: str
    function: str
    by: str
    arguments: tuple[Any, ...]
    touched: tuple[Key, ...]
    """What to compare afterwards."""
    parts: tuple[Act, ...] = ()
    """The acts of a `multicall`."""

    @property
    def name(self) -> str:
        return f"{self.contract}.{self.function}"


def act(contract: Any, function: str, by: str, *arguments: Any, touched: Sequence[Key]) -> Act:
    """The act on one of the world's contracts."""
    return Act(contract.NAME, function, by, arguments, tuple(touched))


@dataclass
class World:
    """The rules of one deployment and the people around it.

    `addresses` is by contract. Keys never leave: see `sign`.
    """

    addresses: Mapping[str, str]
    chain_id: int
    clock: Clock
    keys: dict[str, bytes] = field(default_factory=dict)
    """Private keys by address."""
    signed: dict[Hashable, list[Signed]] = field(default_factory=dict)
    """What was signed before, by document, or by its payment: to be replayed."""
    made: int = 0
    """How many keys were made."""

    def __post_init__(self) -> None:
        clock, chain_id, at = self.clock, self.chain_id, self.addresses
        self.institutions = Institutions(clock, at["Institutions"], chain_id)
        shared = (clock, self.institutions)
        self.invoices = Invoices(*shared, at["Invoices"], chain_id)
        self.escrow = Escrow(*shared, at["Escrow"], CURRENCY)
        self.licences = Licences(*shared, at["Licences"], chain_id)
        self.records = Records(*shared, at["Records"], chain_id)
        self.policies = Policies(*shared, self.licences)
        self.prescriptions = Prescriptions(
            *shared,
            at["Prescriptions"],
            chain_id,
            policies=self.policies,
            lease_period=LEASE_PERIOD,
        )
        self.claims = Claims(
            *shared,
            at["Claims"],
            chain_id,
            invoices=self.invoices,
            is_handed_over=self.prescriptions.is_handed_over,
            escrow=self.escrow,
            lock_period=LOCK_PERIOD,
        )
        self.invoices.claimed = self.claims.taken
        self.payments = Payments(
            *shared, at["Payments"], chain_id, invoices=self.invoices, escrow=self.escrow
        )

    @property
    def now(self) -> int:
        return self.clock.now

    @property
    def ledgers(self) -> tuple[DocumentLedger, ...]:
        return (self.invoices, self.prescriptions, self.licences, self.records)

    @property
    def parts(self) -> tuple[Any, ...]:
        """Everything that has views."""
        others = (self.claims, self.escrow, self.payments)
        return (self.institutions, self.policies, *self.ledgers, *others)

    def part(self, contract: str) -> Any:
        """The rules of a contract."""
        return next(part for part in self.parts if contract == part.NAME)

    def rule(self, found: Act) -> Change:
        """What the act changes; raises `Refused`."""
        if found.parts:
            rules = [partial(self.rule, each) for each in found.parts]
            return self.prescriptions.multicall(found.parts[0].arguments[0], rules)
        rule: Callable[..., Change] = getattr(self.part(found.contract), found.function)
        return rule(found.by, *found.arguments)

    def refusal(self, found: Act) -> Refused | None:
        """What the rules say against an act; None where it is allowed."""
        try:
            self.rule(found)
        except Refused as refused:
            return refused
        return None

    def all_keys(self) -> Iterator[Key]:
        """Everything that can be read."""
        for part in self.parts:
            yield from part.keys()

    def views(self, key: Key) -> Iterator[View]:
        """What the contracts must answer about what the key names."""
        about = {
            "institution": self.institutions.NAME,
            "operator": self.institutions.NAME,
            "policy": self.policies.NAME,
        }.get(str(key[0]), str(key[0]))
        yield from self.part(about).views(key)

    # People

    def new_key(self) -> str:
        """The address of a key that nobody has used."""
        self.made += 1
        return self.keep(keccak256(f"key {self.made}".encode()))

    def keep(self, key: bytes) -> str:
        address = address_of_key(key)
        self.keys[address] = key
        return address

    def patient_of(self, kind: str, number: int) -> str:
        """The one-time address of a document."""
        return self.keep(keccak256(f"patient of {kind} {number}".encode()))

    def operators_of(self, institution: int) -> list[str]:
        """The keys that may act for it."""
        return [
            account
            for account, operator in self.institutions.operators.items()
            if operator.institution == institution and not operator.until
        ]

    def institutions_of(self, kind: int) -> list[int]:
        return [
            id_ for id_, record in self.institutions.institutions.items() if record.kinds & kind
        ]

    def operator(self, random: Random, institution: int) -> str:
        """Mostly one that acts for the institution; else one that nearly does."""
        own = self.operators_of(institution)
        if own and not chance(random, 12):
            return random.choice(own)
        known = self.institutions.operators
        former = [account for account, at in known.items() if at.institution == institution]
        removed = [account for account, at in known.items() if at.until]
        nearly = random.choice([former, removed, list(known), list(self.keys)])
        return random.choice(nearly or list(self.keys))

    def operator_as(self, random: Random, kind: int) -> str:
        """Mostly one that acts for an institution of this kind."""
        return self.operator(random, random.choice(self.institutions_of(kind)))

    def anybody(self, random: Random) -> str:
        return random.choice(list(self.keys))

    # Documents

    def tree(self, headers: Sequence[Header]) -> Root:
        """What an issuer makes of headers."""
        if not headers:
            return Root(SOME_HASH, (), ())
        tree = Tree([leaf_hash(header.struct_hash()) for header in headers])
        paths = tuple(tree.path(index) for index in range(len(headers)))
        return Root(tree.root, tuple(headers), paths)

    # Signatures

    def sign(self, ledger: Ledger | Institutions, signer: str, message: Any) -> Signed:
        return Signed(signer, message, ledger.address, self.chain_id)

    def given(self, random: Random, right: Signed, about: Hashable = 0) -> Signed:
        """Mostly what is right; else something close to it, or what was signed before."""
        before = self.signed.get(about, [])
        if chance(random, 88):
            return right
        signers = [right.signer, *list(self.keys)[:12]]
        ways: list[Callable[[], Signed]] = [
            lambda: NOT_SIGNED,
            lambda: replace(right, signer=random.choice(signers)),
            lambda: replace(right, contract=random.choice(list(self.addresses.values()))),
            lambda: replace(right, chain_id=self.chain_id + 1),
            lambda: replace(right, message=changed(random, right.message)),
            lambda: replace(right, message=changed(random, right.message)),
        ]
        if before:
            ways += [lambda: random.choice(before)] * 3
        return random.choice(ways)()

    def remember(self, about: Hashable, signed: Signed) -> None:
        """Keeps a signature that was shown to the chain."""
        self.signed.setdefault(about, []).append(signed)

    def signature(self, signed: Signed) -> bytes:
        """The bytes of it."""
        if signed is NO_SIGNATURE:
            return b""
        if signed is NOT_SIGNED or signed.signer not in self.keys:
            return bytes(64) + b"\x1b"
        digest = signing_digest(signed.message, signed.chain_id, signed.contract)
        return signature_of(self.keys[signed.signer], digest)


def changed(random: Random, message: Any) -> Any:
    """The message with one of its numbers one up or down."""
    names = [name for name in message.__slots__ if type(getattr(message, name)) in (int, tuple)]
    name = random.choice(names)
    value = getattr(message, name)
    if isinstance(value, tuple):
        return replace(message, **{name: (value[0] + 1, *value[1:])})
    return replace(message, **{name: value - 1 if value and chance(random, 50) else value + 1})


def shown(random: Random, ledger: DocumentLedger, number: int) -> Proof | None:
    """Mostly the proof of the number; else one that is forged. None where nothing is issued."""
    batch = ledger.batch_of(number)
    if batch is None:
        return None
    right = batch.proof(number - batch.head.first)
    return right if chance(random, 92) else _forged(random, ledger, batch, right)


def _forged(random: Random, ledger: DocumentLedger, batch: Batch, right: Proof) -> Proof:
    header, head, path = right
    other = random.choice(list(ledger.batches.values()))
    neighbour = random.choice(batch.made.headers)
    ways: list[Callable[[], Proof]] = [
        lambda: Proof(replace(header, body=SOME_HASH), head, path),
        lambda: Proof(neighbour, head, path),
        lambda: Proof(header, head, random.choice(batch.made.paths)),
        lambda: Proof(header, head, (*path, SOME_HASH)),
        lambda: Proof(header, head, path[:-1]),
        lambda: Proof(header, replace(head, issued_at=head.issued_at + 1), path),
        lambda: Proof(header, replace(head, count=head.count + 1), path),
        lambda: Proof(header, replace(head, segment=head.segment + 1), path),
        lambda: Proof(header, other.head, path),
        lambda: Proof(replace(header, number=head.first + head.count), head, path),
    ]
    return random.choice(ways)()


def document(random: Random, ledger: DocumentLedger, numbers: Sequence[int] = ()) -> int:
    """Mostly one of these numbers, and of them mostly the first few, so that documents get old."""
    any_of_all = [number for number, _ in ledger.issued()]
    wanted = list(numbers) if numbers and not chance(random, 12) else any_of_all
    busy = wanted[:3] if chance(random, 60) else wanted
    return random.choice(busy)
