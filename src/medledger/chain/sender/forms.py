"""Other forms of a transaction with the same nonce: one that pays more, one that does nothing.

Every form is in the journal before it is sent, and whichever is mined decides.
"""

from __future__ import annotations

from medledger.chain.sender.fees import Fees, raised
from medledger.chain.sender.refused import Reason
from medledger.chain.sender.state import LOG, State, attempts_of, is_cancelled
from medledger.chain.sender.view import View
from medledger.core.transactions import Transaction


class Forms(State):
    """Makes the next form of a transaction where the last one does not get through."""

    def _bump_if_late(self, found: Transaction, view: View) -> Transaction:
        """With a higher fee where it has waited long, and is the next, or cannot be mined."""
        watch = self._watch(found)
        if watch.offered_at is None:
            return found
        lowest = self._lowest
        is_lowest = found.id == lowest.id
        waiting_since = max(watch.offered_at, lowest.since) if is_lowest else watch.offered_at
        if self._clock() - waiting_since < self.policy.bump_after_seconds:
            return found
        is_too_low = found.attempts[-1].max_fee < (view.head.base_fee or 0)
        if not is_lowest and not is_too_low:
            return found
        if found.attempts[-1].max_fee == 0 and self._market.present().is_free:
            # There is nothing to raise: the same bytes again, for a node that lost them.
            watch.sent_at = watch.offered_at = None
            return found
        return self._bump(found, Reason.REPLACEMENT)

    def _bump(self, found: Transaction, reason: Reason) -> Transaction:
        """With one attempt more, stored and not sent; as it is where the cap allows no more."""
        market = self._market.present()
        if market.is_free and reason is Reason.UNDERPRICED:
            market = Fees(self._market.gas_price, self._market.gas_price)
        if market.is_free and found.attempts[-1].max_fee == 0:
            return found
        policy = self.policy
        fees = raised(attempts_of(found), market, policy.bump_percent, policy.fee_cap)
        if fees is None:
            asked = "the network, or another transaction with its nonce, pays more"
            return self._noted(found, f"{asked} than its cap of {policy.fee_cap} wei a gas")
        watch = self._watch(found)
        watch.bumped_at = self._clock()
        watch.sent_at = watch.offered_at = None
        attempt = self._attempt_at(found, fees, cancels=is_cancelled(found))
        LOG.info("%s: offering %s wei a gas", found.intent.name, fees.max_fee)
        return self.journal.add_attempt(found.id, attempt)

    def _cancel(self, found: Transaction, problem: str, revert_data: bytes = b"") -> Transaction:
        """With a cancellation as its last attempt: whichever is mined decides."""
        if is_cancelled(found):
            return self._hold(found, problem)
        found = self.journal.mark_signed(found.id, problem, revert_data)
        market, policy = self._market.present(), self.policy
        higher = raised(attempts_of(found), market, policy.bump_percent, policy.fee_cap)
        fees = higher or market.within(policy.fee_cap)
        watch = self._watch(found)
        watch.sent_at = watch.offered_at = None
        attempt = self._attempt_at(found, fees, cancels=True)
        return self.journal.add_attempt(found.id, attempt)
