"""What the chain shows: mined, deep enough to be final, refused, or taken back."""

from __future__ import annotations

from medledger.chain import abi
from medledger.chain.sender.outcome import Outcome, Receipt, call_of, error_of, problem_of
from medledger.chain.sender.state import FILLER, LOG, State, attempt_of, hashes_of
from medledger.chain.sender.view import Mined, View, request_of
from medledger.core.transactions import Stage, Transaction
from medledger.errors import OutOfGas, RpcError, TransactionReverted


class Finality(State):
    """Follows transactions through the chain's blocks."""

    def _follow(self, found: Transaction, view: View) -> Transaction:
        """The transaction as the chain shows it now."""
        if found.stage is Stage.MINED and view.contradicts(found):
            LOG.info("%s: block %s was reorganised away", found.intent.name, found.block)
            found = self._back(found)
        if found.stage is Stage.SIGNED and (mined := view.mined(hashes_of(found))) is not None:
            self._mined[found.id] = mined
            self.progress += 1
            header = mined.header
            found = self.journal.mark_mined(found.id, mined.hash, header.number, header.hash)
        if found.stage is Stage.MINED:
            return self._finish_if_deep(found, view)
        return found

    def _finish_if_deep(self, found: Transaction, view: View) -> Transaction:
        assert found.block is not None
        assert found.block_hash is not None
        is_there = view.has(found.block, found.block_hash)
        if not is_there or view.depth(found.block) < self.policy.confirmations:
            return found
        mined = self._mined.get(found.id)
        if mined is None or mined.header.hash != found.block_hash:
            view.fetch(hashes_of(found))
            mined = view.mined(hashes_of(found))
        return found if mined is None else self._finish(found, mined)

    def _finish(self, found: Transaction, mined: Mined) -> Transaction:
        if attempt_of(found, mined.hash).is_cancellation:
            if found.intent.name != FILLER:
                return self._failed(found, found.problem, found.revert_data)
        elif not mined.succeeded:
            return self._failed(found, *self._why(found, mined))
        found = self.journal.mark_final(found.id)
        receipt = self._receipt(found, mined)
        if self.observer is not None:
            self.observer(receipt)
        self._end(Outcome(found, receipt, None, "final"))
        return found

    def _receipt(self, found: Transaction, mined: Mined) -> Receipt:
        header = mined.header
        return Receipt(
            call_of(found.intent),
            mined.hash,
            header.number,
            mined.gas_used,
            mined.logs,
            header.hash,
            header.timestamp,
        )

    def _failed(self, found: Transaction, problem: str, revert_data: bytes) -> Transaction:
        found = self.journal.mark_failed(found.id, problem, revert_data)
        self._end(Outcome(found, None, error_of(found), "failed"))
        return found

    def _end(self, outcome: Outcome) -> None:
        self._watches.pop(outcome.transaction.id, None)
        self._mined.pop(outcome.transaction.id, None)
        self._doubts.pop(outcome.transaction.id, None)
        self._outcomes.append(outcome)
        self.progress += 1

    def _why(self, found: Transaction, mined: Mined) -> tuple[str, bytes]:
        """Problem and revert data of a transaction that was mined and refused."""
        hash_ = "0x" + mined.hash.hex()
        if mined.gas_used >= found.intent.gas * 63 // 64:
            problem = f"its limit of {found.intent.gas} gas was too low"
            return problem_of(OutOfGas(transaction=hash_, problem=problem)), b""
        request = request_of(found.intent, self.address)
        try:
            self.rpc.request("eth_call", request, hex(mined.header.number))
        except RpcError as error:
            if error.data:
                return problem_of(abi.refusal(error.data)), self.rpc.octets(error.data)
            problem = f"it was refused when it was mined; asked why, {error}"
        else:
            problem = "it was refused when mined, and would pass now: something came first"
        return problem_of(TransactionReverted(transaction=hash_, problem=problem)), b""

    def _displace_what_is_gone(self, last: Transaction | None, view: View) -> None:
        """Takes back what was final in blocks that are no more. `last` has the highest of them.

        Below the head, all are there or those from some block on are gone: that is looked at in
        each pass, before one more becomes final.
        """
        if last is not None and (last.block or 0) > view.head.number:
            # A replica that lags, or a node that was put back and goes another way now.
            last = self.journal.last_final(None, view.head.number)
            view.fetch_headers([] if last is None else [last.block or 0])
        if last is not None and view.contradicts(last):
            self._displace(last.block or 0, view)

    def _displace(self, last: int, view: View) -> None:
        span = 1
        while True:
            finals = [
                found
                for found in self.journal.final_since(None, max(last - span, 0))
                if found.block is not None and found.block <= last
            ]
            view.fetch_headers(found.block for found in finals if found.block is not None)
            lost = [found for found in finals if view.contradicts(found)]
            if len(lost) < len(finals) or span > last:
                break
            span *= 4
        for found in lost:
            LOG.warning(
                "%s was final in block %s, which was reorganised away: it is sent again",
                found.intent.name,
                found.block,
            )
            self._outcomes.append(Outcome(self._back(found), None, None, "displaced"))
