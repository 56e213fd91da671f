"""Where every example begins: the contracts, the people, and some documents of each kind."""

from __future__ import annotations

from collections import Counter
from copy import deepcopy
from random import Random

from tests.model.acts_documents import CODES
from tests.model.headers import header_for
from tests.model.node import Mismatch, Node
from tests.model.promises import Promises
from tests.model.rules import Clock
from tests.model.rules_documents import DocumentLedger
from tests.model.rules_payments import UNLIMITED
from tests.model.rules_policies import Policy
from tests.model.world import (
    CURRENCY,
    DAY,
    FAR_FUTURE,
    LEASE_PERIOD,
    LOCK_PERIOD,
    Act,
    World,
    act,
)

from medledger.chain.bindings import SettlementToken
from medledger.chain.deployment import Ledgers, connect, deploy, deploy_token
from medledger.chain.events import fetch_events
from medledger.chain.replay import Replay
from medledger.chain.rpc import Rpc
from medledger.core.hashing import OperatorConsent, keccak256, name_hash
from medledger.core.states import Kind

START = 1_800_000_000
FOUNDED = START + 60
REGION = 460000
PEOPLE = (
    Kind.SUPERVISOR | Kind.HOSPITAL,
    *(Kind.HOSPITAL,) * 2,
    *(Kind.PHARMACY,) * 2,
    *(Kind.COURIER,) * 2,
    *(Kind.AUTHORITY,) * 2,
    *(Kind.PAYER,) * 7,
)
"""Institutions 2 and on; 1 is the supervisor who deployed."""
DEPOSIT = 20_000
DEPLOYER = keccak256(b"key of the first supervisor")
WALLETS = ((2**80, UNLIMITED), (10**6, 12_000), (9_000, UNLIMITED), (5_000, 3_000))
"""Tokens of those who pay for patients, and how many of them Payments may take."""
POLICIES = {
    1: Policy(30 * DAY, 2, 10, 60, True, False, False),
    2: Policy(30 * DAY, 3, 100, 10, False, True, True),
}


class Stage:
    """The chain and the rules at the beginning, and a way back to there."""

    def __init__(self, rpc: Rpc) -> None:
        token = deploy_token(rpc, DEPLOYER)
        rpc.request("evm_setNextBlockTimestamp", FOUNDED)
        manifest, _ = deploy(
            rpc,
            DEPLOYER,
            supervisor_name="bureau",
            region=REGION,
            lock_period=LOCK_PERIOD,
            lease_period=LEASE_PERIOD,
            token=token,
            currency=CURRENCY,
        )
        # From now on there is a block when an act is sent, and of its second.
        rpc.request("evm_setAutomine", False)
        self.ledgers: Ledgers = connect(rpc, manifest)
        addresses = {name: contract.address for name, contract in manifest.contracts.items()}
        addresses["SettlementToken"] = token
        self.node = Node(rpc, addresses, manifest.chain_id)
        self.tokens = SettlementToken(rpc, token)
        self.escrow = addresses["Escrow"]
        self._minted: Counter[str] = Counter()
        self.world = World(addresses, manifest.chain_id, Clock(FOUNDED))
        bureau = self.world.keep(DEPLOYER)
        self.world.institutions.found(name_hash("bureau"), REGION, bureau)
        self.world.clock.now = START + DAY
        self._furnish(bureau, Random(START))
        self.node.keep()
        self._replay, self._promises = Replay(self.ledgers), Promises()
        self._block = manifest.block - 1
        self._replay, self._promises, self._block = self._replayed()

    def begin(self) -> World:
        """The world of a new example; the chain is where it was."""
        self.node.go_back()
        return deepcopy(self.world)

    def audit(self) -> None:
        """Raises `Mismatch` unless the events lead to what is stored, and keep every promise."""
        replay, promises, last = self._replayed()
        time = self.node.rpc.timestamps([last])[last]
        problems = replay.differences(self.ledgers.at(last), time) + replay.breaches(time)
        problems += promises.broken
        deposits, held = promises.deposits.total(), self.tokens.balance_of(self.escrow)
        if deposits != held:
            problems.append(f"payers deposited {deposits}, and {held} tokens are there")
        owed = {owner: self._minted[owner] + moved for owner, moved in promises.tokens.items()}
        balances = self.tokens.read_many("balanceOf", [[owner] for owner in owed])
        for (owner, tokens), there in zip(owed.items(), balances, strict=True):
            if tokens != there:
                problems.append(f"{owner} should have {tokens} tokens, and has {there}")
        if problems:
            raise Mismatch("the audit says: " + "; ".join(problems))

    def _replayed(self) -> tuple[Replay, Promises, int]:
        """What the events up to the last block lead to."""
        rpc = self.node.rpc
        replay, promises, last = (
            deepcopy(self._replay),
            deepcopy(self._promises),
            rpc.block_number(),
        )
        addresses = [contract.address for contract in self.ledgers.manifest.contracts.values()]
        events = list(fetch_events(rpc, addresses, self._block + 1, last))
        times = rpc.timestamps([event.block for event in events])
        for event in events:
            replay.apply(event, times[event.block])
        promises.apply(events, times)
        return replay, promises, last

    def _furnish(self, bureau: str, random: Random) -> None:
        world = self.world
        for place, kind in enumerate(PEOPLE, 2):
            named, operator = name_hash(f"institution {place}"), world.new_key()
            terms = (int(kind), REGION, named, 0, FAR_FUTURE, operator)
            self._do(act(world.institutions, "accredit", bureau, *terms, touched=[]))
        for institution in world.institutions.institutions:
            operator = world.new_key()
            message = OperatorConsent(institution, FAR_FUTURE)
            consent = world.sign(world.institutions, operator, message)
            joining = (institution, operator, FAR_FUTURE, consent)
            self._do(act(world.institutions, "addOperator", bureau, *joining, touched=[]))
        for drug_class, policy in POLICIES.items():
            self._do(act(world.policies, "setPolicy", bureau, drug_class, policy, touched=[]))
        world.keep(keccak256(b"key of a stranger"))
        # Licences first, for prescriptions name them, and bills name prescriptions.
        for ledger in (world.licences, world.prescriptions, world.invoices, world.records):
            self._allot(ledger, bureau)
            for segment, count, odd in [(1, 4, 0), (1, 3, 0), (1, 1, 0), (2, 4, 15)]:
                self._issue(ledger, segment, count, odd, random)
        for payer in world.institutions_of(Kind.PAYER):
            operator, escrow = world.operators_of(payer)[0], world.escrow
            self._endow(operator, 2 * DEPOSIT, escrow.address, UNLIMITED, bureau)
            escrow.approved.add(operator)
            self._do(act(escrow, "deposit", operator, DEPOSIT, touched=[]))
        couriers = [
            key for id_ in world.institutions_of(Kind.COURIER) for key in world.operators_of(id_)
        ]
        for wallet, (tokens, allowed) in zip(couriers, WALLETS, strict=True):
            self._endow(wallet, tokens, world.payments.address, allowed, bureau)
            world.payments.allowances[wallet] = allowed
        for hospital in world.institutions_of(Kind.HOSPITAL)[:2]:
            operator = world.operators_of(hospital)[0]
            self._do(act(world.payments, "setAccount", operator, operator, touched=[]))

    def _endow(self, owner: str, tokens: int, spender: str, allowed: int, bureau: str) -> None:
        """Gives somebody tokens, and lets a contract take some."""
        for by, function, arguments in [
            (bureau, "mint", (owner, tokens)),
            (owner, "approve", (spender, allowed)),
        ]:
            self.node.send(self.world, Act("SettlementToken", function, by, arguments, ()))
        self.world.escrow.balances[owner] = tokens
        self._minted[owner] = tokens

    def _allot(self, ledger: DocumentLedger, bureau: str) -> None:
        """To the first issuer a long and a short segment and an endorsed one, and to the other."""
        one, other = self.world.institutions_of(ledger.ISSUER)[:2]
        first = 1
        for owner, length, endorsed in [
            (one, 40, False),
            (other, 40, False),
            (one, 5, False),
            (one, 20, True),
        ]:
            last = first + length - 1
            terms = (owner, CODES[ledger.NAME], first, last, endorsed)
            self._do(act(ledger, "allot", bureau, *terms, touched=[]))
            first = last + 1

    def _issue(
        self, ledger: DocumentLedger, segment: int, count: int, odd: int, random: Random
    ) -> None:
        world, at = self.world, ledger.segments[segment]
        headers = [header_for(world, random, ledger, at.next + i, odd) for i in range(count)]
        by = world.operators_of(at.institution)[0]
        batch = (segment, at.next, count, world.tree(headers))
        self._do(act(ledger, "issue", by, *batch, touched=[]))
        amends = ledger is world.records and bool(world.records.records)
        if odd or amends or ledger is world.prescriptions:
            return
        # The last of each batch is left as it was issued.
        for proof in [ledger.batches[batch[1]].proof(index) for index in range(count - 1)]:
            self._do(act(ledger, "open", by, proof, touched=[]))

    def _do(self, found: Act) -> None:
        refused = self.node.perform(self.world, found)
        assert refused is None, refused
