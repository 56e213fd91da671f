"""What every step of the machine stands on: key, journal, and what this program remembers."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from dataclasses import dataclass

from medledger.chain.rpc import Rpc
from medledger.chain.sender.fees import FRESH_SECONDS, Fees, Market
from medledger.chain.sender.journal import MemoryJournal
from medledger.chain.sender.nonces import count_of
from medledger.chain.sender.outcome import Outcome, Receipt
from medledger.chain.sender.policy import Policy
from medledger.chain.sender.signer import Signer
from medledger.chain.sender.view import Header, Mined
from medledger.core.transactions import Attempt, Intent, Journal, Signing, Transaction
from medledger.errors import RpcUnavailable, WrongChain

LOOK_SECONDS = 1.0
"""Between two looks at what costs requests: is it still in the pool, who used its nonce, is there a
gap, is there money now."""
PASSED_OVER_SECONDS = 5.0
"""When Anvil is asked to forget the next transaction of all, which it has and does not mine."""
FILLER = "gap filler"

LOG = logging.getLogger("medledger.chain.sender")


@dataclass(slots=True)
class Watch:
    """What this program knows of one transaction beside the journal. Times of its clock."""

    sent_at: float | None = None
    """When a node took its last attempt; None while it is to be sent, first or again."""
    offered_at: float | None = None
    """When a node first took its last attempt: a fee is raised some time after it."""
    is_counted: bool = False
    """Its first sending was progress; sending it again is none."""
    retry_at: float = -math.inf
    bumped_at: float = -math.inf
    is_tried: bool = False
    """Simulated, or sent before: it is not simulated any more."""


@dataclass(frozen=True, slots=True)
class Lowest:
    """The transaction that all others wait for, and since when."""

    id: int
    since: float


class State:
    """One key's journal and signer, and what is known of its transactions beside the journal."""

    def __init__(
        self,
        rpc: Rpc,
        key: bytes,
        *,
        chain_id: int | None = None,
        journal: Journal | None = None,
        policy: Policy = Policy(),  # noqa: B008 (frozen)
        clock: Callable[[], float],
    ) -> None:
        self.rpc = rpc
        self.policy = policy
        self.journal: Journal = MemoryJournal() if journal is None else journal
        self.batched = False
        """Sends many in one HTTP body, which is quicker. Only where blocks come at an interval:
        Anvil, with a block for each transaction, can leave the later ones queued for ever."""
        self.observer: Callable[[Receipt], None] | None = None
        """Sees the receipt of each that this sender finishes, for whoever counts gas."""
        self._signer = Signer(key)
        self.address = self._signer.address
        self._clock = clock
        self._market = Market(rpc, clock)
        self._chain_id = chain_id
        self._genesis: bytes | None = None
        self._is_begun = False
        self._begin_at = -math.inf
        self._watches: dict[int, Watch] = {}
        self._mined: dict[int, Mined] = {}
        self._outcomes: list[Outcome] = []
        self._lowest = Lowest(0, 0.0)
        self._look_at = -math.inf
        self._freed_at = -math.inf
        self._paused_until = -math.inf
        self._doubts: dict[int, set[bytes]] = {}
        self._head: Header | None = None
        self.progress = 0
        """Counts whatever brings a transaction nearer to its end."""

    def intent_of_gap(self) -> Intent:
        """What fills a nonce that nobody uses."""
        return self._signer.nothing(FILLER)

    def signing(self, intent: Intent) -> Signing:
        """Signs the intent with the nonce that it is given, at present fees.

        Needs no node where the chain id is known: then with the fees that were known last.
        """
        self._begin_if_it_answers()
        fees = self._market.present().within(self.policy.fee_cap)
        chain_id = self._known_chain_id()
        return lambda nonce: self._signer.attempt(intent, nonce, fees, chain_id)

    def _begin(self) -> None:
        """Once: the chain's id, and the nonce of a signer that is new to the journal."""
        if self._is_begun:
            return
        found = self.rpc.chain_id()
        if self._chain_id not in (None, found):
            raise self._wrong_chain(f"chain {self._chain_id}", f"chain {found}")
        self._chain_id = found
        if self.journal.next_nonce(self.address) is None:
            used = count_of(self.rpc, self.address, "pending")
            self.journal.raise_nonce(self.address, used)
        self._is_begun = True

    def _begin_if_it_answers(self) -> None:
        now = self._clock()
        if self._is_begun or now < self._begin_at:
            return
        try:
            self._begin()
        except RpcUnavailable:
            # A new signer begins at nonce 0 then; where that is used, the machine finds out.
            self._begin_at = now + FRESH_SECONDS

    def _known_chain_id(self) -> int:
        if self._chain_id is None:
            self._chain_id = self.rpc.chain_id()
        return self._chain_id

    def _attempt_at(self, found: Transaction, fees: Fees, *, cancels: bool) -> Attempt:
        chain_id = self._known_chain_id()
        if cancels:
            return self._signer.cancellation(found.nonce, fees, chain_id)
        return self._signer.attempt(found.intent, found.nonce, fees, chain_id)

    def _back(self, found: Transaction) -> Transaction:
        """To be sent again, as it is."""
        watch = self._watch(found)
        watch.sent_at = watch.offered_at = None
        watch.is_tried = True
        self._mined.pop(found.id, None)
        return self.journal.mark_signed(found.id, found.problem, found.revert_data)

    def _hold(self, found: Transaction, problem: str) -> Transaction:
        """Not sent again at once; with the reason."""
        self._watch(found).retry_at = self._clock() + LOOK_SECONDS
        return self._noted(found, problem)

    def _noted(self, found: Transaction, problem: str) -> Transaction:
        """With the reason why it does not move; that of a cancelled one is its refusal."""
        if is_cancelled(found) or found.problem == problem:
            return found
        LOG.warning("%s is held up: %s", found.intent.name, problem)
        return self.journal.mark_signed(found.id, problem)

    def _watch(self, found: Transaction) -> Watch:
        return self._watches.setdefault(found.id, Watch())

    def _wrong_chain(self, expected: str, found: str) -> WrongChain:
        return WrongChain(expected=expected, url=self.rpc.url, found=found)


def attempts_of(found: Transaction) -> list[Attempt]:
    """Those with its present nonce: earlier ones can never be mined, or have been."""
    return [attempt for attempt in found.attempts if attempt.nonce == found.nonce]


def hashes_of(found: Transaction) -> tuple[bytes, ...]:
    return tuple(attempt.hash for attempt in attempts_of(found))


def attempt_of(found: Transaction, hash_: bytes) -> Attempt:
    return next(attempt for attempt in found.attempts if attempt.hash == hash_)


def is_cancelled(found: Transaction) -> bool:
    return found.attempts[-1].is_cancellation
