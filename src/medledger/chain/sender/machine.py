"""The state machine of every transaction: one pass, from what the journal holds and the node shows.

    SIGNED: send the same bytes until they are mined; pay more where it takes long; use the nonce up
            where the contract would refuse, or no node will take them
    MINED:  FINAL or FAILED once its block is deep enough; SIGNED again where its block went away
    FINAL:  SIGNED again, with an alert, where a deeper reorganisation took its block away

Only the journal decides what is signed, and nothing is sent that is not stored there. What this
program remembers beside it (when something was sent) may be lost: then it is sent once more.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from medledger.chain import abi
from medledger.chain.sender.finality import Finality
from medledger.chain.sender.forms import Forms
from medledger.chain.sender.nonces import Use, count_of, use_of
from medledger.chain.sender.outcome import Outcome, problem_of
from medledger.chain.sender.refused import Reason, reason_of
from medledger.chain.sender.state import (
    FILLER,
    LOG,
    LOOK_SECONDS,
    PASSED_OVER_SECONDS,
    Lowest,
    attempts_of,
    hashes_of,
    is_cancelled,
)
from medledger.chain.sender.view import Questions, View
from medledger.core.transactions import Attempt, Stage, Transaction
from medledger.errors import RpcError, RpcUnavailable, TransactionFailed

DOUBTS = 3
"""Heads at which a nonce must be used, without a receipt of ours, before it counts as used by
somebody else where the node keeps no old state to look it up in."""


class Machine(Finality, Forms):
    """The transactions of one key. Not for use by two threads at once."""

    # One pass

    def advance(self) -> list[Outcome]:
        """What ended in one pass, which looks, sends what is to be sent, and never waits.

        Raises `RpcUnavailable`, after which everything can go on, and `WrongChain`.
        """
        self._begin()
        unfinished = self.journal.unfinished(self.address, self._window())
        # Of all signers: another that sees this too has no more to do, and one that acts no more
        # would never look.
        last = self.journal.last_final(None)
        view = self._look(unfinished, last)
        self._displace_what_is_gone(last, view)
        followed = [self._follow(found, view) for found in unfinished]
        if signed := [found for found in followed if found.stage is Stage.SIGNED]:
            self._drive(signed, view)
        # Kept until here: a node that fails in the middle must not lose an outcome.
        outcomes, self._outcomes = self._outcomes, []
        return outcomes

    def _window(self) -> int:
        """Transactions to look at: no more than these can have been sent and not be final."""
        return self.policy.in_flight * (self.policy.confirmations + 2)

    # Looking

    def _look(self, unfinished: Sequence[Transaction], last: Transaction | None) -> View:
        blocks = {found.block for found in [last, *unfinished] if found is not None}
        signed = [found for found in unfinished if found.stage is Stage.SIGNED]
        view = View(self.rpc, self.address, self._questions(blocks, signed))
        self._require_same_chain(view)
        if self._head is not None and view.head.hash != self._head.hash:
            self.progress += len(signed) < len(unfinished)
        self._head = view.head
        view.fetch(
            hash_ for found in signed if found.nonce < view.used for hash_ in hashes_of(found)
        )
        return view

    def _questions(self, blocks: set[int | None], signed: Sequence[Transaction]) -> Questions:
        numbers = frozenset(number for number in blocks if number is not None)
        if not signed:
            return Questions(numbers)
        lowest = signed[0]
        if self._lowest.id != lowest.id:
            self._lowest = Lowest(lowest.id, self._clock())
        is_new = self._is_new(lowest)
        return Questions(
            numbers,
            hashes_of(lowest),
            lowest.attempts[-1].hash if is_new or self._is_time_to_look() else None,
            lowest.intent if is_new and not is_cancelled(lowest) else None,
        )

    def _is_new(self, found: Transaction) -> bool:
        """Whether it was not sent yet, as far as is known, nor simulated."""
        watch = self._watch(found)
        return watch.sent_at is None and not watch.is_tried

    def _is_time_to_look(self) -> bool:
        return self._clock() >= self._look_at

    def _require_same_chain(self, view: View) -> None:
        """A connection that was cut is opened again without a word: to a new chain, perhaps."""
        if self._genesis is None:
            self._genesis = view.genesis
        if view.genesis not in (None, self._genesis):
            if self.rpc.distrust():
                raise RpcUnavailable(url=self.rpc.url, problem="its genesis block is another now")
            raise self._wrong_chain(
                f"the chain with genesis 0x{(self._genesis or b'').hex()}",
                f"one with genesis 0x{(view.genesis or b'').hex()}: it was reset, or is another",
            )

    # What is to be done

    def _drive(self, signed: Sequence[Transaction], view: View) -> None:
        lowest = signed[0]
        if self._lowest.id == lowest.id:
            lowest = self._mind_the_lowest(lowest, signed, view)
        elif self._is_new(lowest):
            # It became the lowest in this pass, and is looked at in the next.
            return
        waiting = [found for found in [lowest, *signed[1:]] if found.stage is Stage.SIGNED]
        sendable = [found for found in waiting if found.nonce >= view.used]
        flying = sorted(sendable, key=lambda found: found.nonce)[: self.policy.in_flight]
        self._broadcast([self._bump_if_late(found, view) for found in flying])

    def _mind_the_lowest(
        self, lowest: Transaction, signed: Sequence[Transaction], view: View
    ) -> Transaction:
        """The transaction that all others wait for, after what it needs."""
        is_time = self._is_time_to_look()
        if is_time:
            self._look_at = self._clock() + LOOK_SECONDS
        watch = self._watch(lowest)
        if lowest.nonce < view.used:
            return self._who_used_it(lowest, view) if is_time else lowest
        if lowest.nonce > view.used and is_time:
            self._fill_gap(lowest)
        if watch.sent_at is not None and (not view.is_pooled or self._is_freed(lowest)):
            self._send_all_again(signed)
        return self._simulated(lowest, view) if self._is_new(lowest) else lowest

    def _simulated(self, lowest: Transaction, view: View) -> Transaction:
        """Before it is sent for the first time: cancelled where the contract would refuse it.

        A refused transaction can stick in a pool for ever (besu #9598). What waits in the pool, or
        what earlier nonces must come before, is not judged by the latest state.
        """
        watch = self._watch(lowest)
        watch.is_tried = True
        if view.is_pooled:
            watch.sent_at = watch.offered_at = self._clock()
            return lowest
        if view.used != lowest.nonce or not view.is_refused:
            return lowest
        refusal = abi.refusal("0x" + view.revert_data.hex())
        return self._cancel(lowest, problem_of(refusal), view.revert_data)

    def _is_freed(self, lowest: Transaction) -> bool:
        """Whether the pool forgot what it would have kept for ever.

        Anvil never mines a transaction that came in while the one before it was being mined, unless
        one that pays more replaces it. Other nodes do not know the method, and do not need it.
        """
        now = self._clock()
        is_early = now - max(self._lowest.since, self._freed_at) < PASSED_OVER_SECONDS
        if is_early or lowest.attempts[-1].max_fee:
            return False
        self._freed_at = now
        try:
            self.rpc.request("anvil_removePoolTransactions", self.address)
        except RpcError:
            return False
        return True

    def _send_all_again(self, signed: Sequence[Transaction]) -> None:
        """A pool that dropped one has dropped others, most likely: the same bytes do no harm."""
        LOG.info("the pool of %s lost transactions: they are sent again", self.rpc.url)
        for found in signed:
            self._watch(found).sent_at = None

    # Nonces

    def _who_used_it(self, lowest: Transaction, view: View) -> Transaction:
        """Its nonce is used, and none of its hashes has a receipt."""
        use = self._foreign_use(lowest, view)
        if use is None or view.depth(use.block) < self.policy.confirmations:
            return lowest
        LOG.warning(
            "nonce %s of %s was used by another program: use one key in one place",
            lowest.nonce,
            self.address,
        )
        self._doubts.pop(lowest.id, None)
        if is_cancelled(lowest):
            return self._failed(lowest, lowest.problem, lowest.revert_data)
        if lowest.intent.name == FILLER:
            return self._failed(lowest, "its nonce was used by another program", b"")
        self.journal.raise_nonce(self.address, count_of(self.rpc, self.address, "pending"))
        self._watches.pop(lowest.id, None)
        return self.journal.renonce(lowest.id, lowest.nonce, self.signing(lowest.intent))

    def _foreign_use(self, lowest: Transaction, view: View) -> Use | None:
        """The foreign transaction with its nonce; None while that is not sure."""
        try:
            use = use_of(self.rpc, self.address, lowest.nonce, view.head.number)
        except RpcError:
            return self._by_doubts(lowest, view)
        return None if use is None or use.hash in hashes_of(lowest) else use

    def _by_doubts(self, lowest: Transaction, view: View) -> Use | None:
        """For nodes that keep no old state: seen at several heads, so that no replica lags."""
        heads = self._doubts.setdefault(lowest.id, set())
        heads.add(view.head.hash)
        if len(heads) < DOUBTS:
            return None
        return Use(b"", view.head.number - self.policy.confirmations + 1)

    def _fill_gap(self, lowest: Transaction) -> None:
        """Earlier nonces are not used: what has them is sent again, or they are used up."""
        first = count_of(self.rpc, self.address, "pending")
        for nonce in range(first, min(lowest.nonce, first + self.policy.in_flight)):
            intent = self.intent_of_gap()
            found = self.journal.fill(self.address, nonce, intent, self.signing(intent))
            if found.stage is Stage.FAILED:
                self._use_up(found)
            if found.stage is Stage.SIGNED and found.id not in self._watches:
                LOG.warning("nonce %s of %s is not used: filling the gap", nonce, self.address)

    def _use_up(self, failed: Transaction) -> None:
        """The block of a failed one went away: its nonce is used up again, and not by it."""
        kept = [attempt for attempt in attempts_of(failed) if attempt.is_cancellation]
        fees = self._market.present().within(self.policy.fee_cap)
        if not kept or kept[-1].max_fee < fees.max_fee:
            # It has no effect to be journalled; the old one may never be mined at these fees.
            kept = [self._attempt_at(failed, fees, cancels=True)]
        self._sent(kept[-1])

    # Sending

    def _broadcast(self, flying: Sequence[Transaction]) -> None:
        answers: Iterable[Any]
        now = self._clock()
        due = [
            found
            for found in flying
            if self._watch(found).sent_at is None and self._watch(found).retry_at <= now
        ]
        if now < self._paused_until:
            return
        if self.batched:
            raw = [("eth_sendRawTransaction", [_raw(found.attempts[-1])]) for found in due]
            answers = self.rpc.batch(raw)
        else:
            answers = (self._sent(found.attempts[-1]) for found in due)
        for found, answer in zip(due, answers, strict=True):
            if not self._answered(found, answer if isinstance(answer, RpcError) else None):
                # Those after it are sent again, in the order of their nonces.
                return

    def _sent(self, attempt: Attempt) -> RpcError | None:
        """Sends one; returns the node's refusal."""
        try:
            self.rpc.request("eth_sendRawTransaction", _raw(attempt))
        except RpcError as error:
            return error
        return None

    def _answered(self, found: Transaction, error: RpcError | None) -> bool:
        """Whether the next can be sent too, after acting on what the node answered."""
        reason = Reason.KNOWN if error is None else reason_of(error)
        if error is None or reason is Reason.KNOWN:
            self._taken(found)
            return True
        if reason is Reason.CHAIN_ID:
            raise self._wrong_chain(f"chain {self._chain_id}", f"another: {error.text}") from error
        if reason in (Reason.REPLACEMENT, Reason.UNDERPRICED, Reason.IMPOSSIBLE):
            return self._changed(found, reason, error)
        if reason in (Reason.NONCE_LOW, Reason.NONCE_HIGH):
            self._watch(found).retry_at = self._clock() + LOOK_SECONDS
            return True
        if reason is Reason.FUNDS:
            self._paused_until = self._clock() + LOOK_SECONDS
        self._hold(found, error.text or "the node does not say why it refuses it")
        return False

    def _taken(self, found: Transaction) -> None:
        watch = self._watch(found)
        self.progress += not watch.is_counted
        watch.is_counted = True
        watch.sent_at, watch.is_tried = self._clock(), True
        watch.offered_at = watch.offered_at or watch.sent_at
        if found.problem and not is_cancelled(found):
            self.journal.mark_signed(found.id)

    def _changed(self, found: Transaction, reason: Reason, error: RpcError) -> bool:
        """Sends it once more in another form: paying more, or only using its nonce up."""
        watch = self._watch(found)
        count = len(found.attempts)
        if reason is Reason.IMPOSSIBLE:
            hash_ = "0x" + found.attempts[-1].hash.hex()
            failure = TransactionFailed(transaction=hash_, problem=error.text)
            found = self._cancel(found, problem_of(failure))
        elif self._clock() - watch.bumped_at >= self.policy.bump_after_seconds:
            found = self._bump(found, reason)
        if len(found.attempts) == count:
            self._hold(found, found.problem or error.text)
            # What another form of it waits for does not hold up the others.
            return reason is Reason.REPLACEMENT
        again = self._sent(found.attempts[-1])
        if again is None or reason_of(again) is Reason.KNOWN:
            self._taken(found)
            return True
        self._hold(found, again.text)
        return False


def _raw(attempt: Attempt) -> str:
    return "0x" + attempt.raw.hex()
