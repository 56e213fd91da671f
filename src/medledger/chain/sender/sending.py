"""What roles call: send one call or many, and get receipts or named errors."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

from medledger.chain import abi
from medledger.chain.contract import Call
from medledger.chain.rpc import Rpc, chunked
from medledger.chain.sender.fees import Fees
from medledger.chain.sender.machine import Machine
from medledger.chain.sender.outcome import Outcome, Receipt, call_of, error_of
from medledger.chain.sender.policy import Policy
from medledger.chain.sender.view import Questions, View, request_of
from medledger.core.transactions import Intent, Journal, Stage, Transaction
from medledger.errors import MedledgerError, OutOfGas, RpcError, RpcUnavailable, TransactionFailed

GAS_MARGIN = 1.25
GAS_ALLOWANCE = 60_000
"""Added to the estimate of the first call of a kind, as limit for the others: they differ by the
length of a path and by which storage slots are new. What is not used is not paid."""

FIRST_PAUSE, LONGEST_PAUSE = 0.002, 0.25


class Sender(Machine):
    """Sends the transactions of one key. Not for use by two threads at once.

    sender = Sender(rpc, key)
    receipt = sender.send(ledgers.invoices.issue(segment, first, count, root))
    """

    def __init__(
        self,
        rpc: Rpc,
        key: bytes,
        *,
        chain_id: int | None = None,
        journal: Journal | None = None,
        policy: Policy = Policy(),  # noqa: B008 (frozen)
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        super().__init__(rpc, key, chain_id=chain_id, journal=journal, policy=policy, clock=clock)
        self._sleep = sleep
        self._gas: dict[tuple[str, int], int] = {}
        self._awaited: dict[int, Outcome | None] = {}
        """What `settle` waits for, with the outcome as soon as there is one."""

    @property
    def in_flight(self) -> int:
        """Transactions on their way at once."""
        return self.policy.in_flight

    @in_flight.setter
    def in_flight(self, count: int) -> None:
        self.policy = replace(self.policy, in_flight=count)

    def send(self, call: Call) -> Receipt:
        """Sends one call and waits until it is final.

        Raises the `Refusal` that the contract answers, before a nonce is used where the simulation
        shows it; `TransactionFailed`; `RpcUnavailable`. After the last two it may still be mined:
        the sender goes on with it as soon as it is used again.
        """
        gas = self.estimate(call)
        self._require_funds(gas, [call])
        sent = self._add(call, gas)
        self._watch(sent).is_tried = True
        return _receipt(self.settle([sent.id])[sent.id])

    def send_many(self, calls: Sequence[Call]) -> Iterator[Receipt]:
        """Sends calls that do not depend on each other, many at once; receipts in the order given.

        Raises as `send` does, at the first that fails; those of the same group have been sent then.
        """
        on_their_way: list[int] = []
        for group in chunked(calls, max(self.policy.in_flight // 2, 1)):
            # Signing this group and mining the one before take place at the same time. All limits
            # before the first signature: a refusal must leave no nonce unused.
            limits = [self._limit(call) for call in group]
            self._require_funds(sum(limits), group)
            ids = [self._add(call, gas).id for call, gas in zip(group, limits, strict=True)]
            self._awaited.update(dict.fromkeys(ids))
            self._try_to_advance()
            yield from self._receipts(on_their_way)
            on_their_way = ids
        yield from self._receipts(on_their_way)

    def settle(self, ids: Iterable[int]) -> dict[int, Outcome]:
        """The outcomes of these transactions, once each is final or failed.

        A node that does not answer is asked again. Raises `RpcUnavailable` or `TransactionFailed`
        after `patience_seconds` without progress; the journal goes on from there.
        """
        wanted = list(ids)
        # An outcome is kept only for what somebody waits for.
        self._awaited = dict.fromkeys(wanted) | self._awaited
        try:
            self.wait_until(
                lambda: self._missing(wanted) is None,
                lambda: self._stuck(next(id_ for id_ in wanted if self._awaited[id_] is None)),
            )
            return {id_: found for id_ in wanted if (found := self._awaited[id_]) is not None}
        finally:
            for id_ in wanted:
                self._awaited.pop(id_, None)

    def advance(self) -> list[Outcome]:
        outcomes = super().advance()
        for outcome in outcomes:
            if outcome.transaction.id in self._awaited and outcome.kind != "displaced":
                self._awaited[outcome.transaction.id] = outcome
        return outcomes

    def estimate(self, call: Call) -> int:
        """The gas the call needs now, with a margin; raises the `Refusal` that it would meet."""
        request = request_of(self.intent(call, 0), self.address)
        try:
            answer = self.rpc.request("eth_estimateGas", request)
        except RpcError as error:
            raise self._failure(call, error) from error
        return int(self.rpc.integer(answer) * GAS_MARGIN)

    def fees(self) -> Fees:
        """What the next transactions offer, asked anew: EIP-1559, legacy, or nothing."""
        return self._market.fetch().within(self.policy.fee_cap)

    def intent(self, call: Call, gas: int) -> Intent:
        """The call as a journal keeps it. For an owner that stores it together with rows of its
        own: `signing(intent)` is what its journal needs besides."""
        return Intent(call.to, call.data, call.name, gas, call.value)

    def _add(self, call: Call, gas: int) -> Transaction:
        intent = self.intent(call, gas)
        return self.journal.add(self.address, intent, self.signing(intent))

    def _receipts(self, ids: Sequence[int]) -> Iterator[Receipt]:
        outcomes = self.settle(ids)
        for id_ in ids:
            outcome = outcomes[id_]
            if isinstance(outcome.error, OutOfGas):
                # The others of its kind needed less: find its own limit, then send it again.
                call = call_of(outcome.transaction.intent)
                self._gas.pop(_kind(call), None)
                yield self.send(call)
            else:
                yield _receipt(outcome)

    def _missing(self, ids: Sequence[int]) -> int | None:
        """The first that has not ended, neither here nor by another program on the journal."""
        for id_ in ids:
            self._awaited[id_] = self._awaited.get(id_) or self._ended(id_)
            if self._awaited[id_] is None:
                return id_
        return None

    def wait_until(self, is_so: Callable[[], bool], stuck: Callable[[], TransactionFailed]) -> None:
        """Goes on with what this key has on its way until something is so, as others can make it.

        Raises `RpcUnavailable` or `stuck()` after `patience_seconds` without progress.
        """
        pause, progress = FIRST_PAUSE, self.progress
        deadline = self._clock() + self.policy.patience_seconds
        while not is_so():
            error = self._try_to_advance()
            if self.progress == progress:
                if self._clock() >= deadline and not is_so():
                    raise error or stuck()
                self._sleep(pause)
                pause = min(pause * 1.5, LONGEST_PAUSE)
            else:
                pause, progress = FIRST_PAUSE, self.progress
                deadline = self._clock() + self.policy.patience_seconds

    def _try_to_advance(self) -> RpcUnavailable | None:
        """One pass; returns why it came to nothing, where trying again can help."""
        try:
            outcomes = self.advance()
        except RpcUnavailable as error:
            return error
        # What nobody waits for here is for the next who calls `advance`.
        self._outcomes += [
            outcome
            for outcome in outcomes
            if outcome.kind == "displaced" or outcome.transaction.id not in self._awaited
        ]
        return None

    def _ended(self, id_: int) -> Outcome | None:
        """The outcome of one that ended earlier, or by another program on the same journal."""
        found = self.journal.transaction(id_)
        if found.stage is Stage.FAILED:
            return Outcome(found, None, error_of(found), "failed")
        if found.stage is not Stage.FINAL or found.mined_hash is None:
            return None
        view = View(self.rpc, self.address, Questions())
        view.fetch([found.mined_hash])
        mined = view.mined([found.mined_hash])
        return None if mined is None else Outcome(found, self._receipt(found, mined), None, "final")

    def _stuck(self, id_: int) -> TransactionFailed:
        found = self.journal.transaction(id_)
        waited = f"is not final after {self.policy.patience_seconds:.0f} s"
        return TransactionFailed(
            transaction="0x" + found.attempts[-1].hash.hex(),
            problem=f"{waited}: {found.problem}" if found.problem else waited,
        )

    def _require_funds(self, gas: int, calls: Sequence[Call]) -> None:
        """Raises `TransactionFailed` where the account cannot pay: better than to wait for money
        with a nonce in hand."""
        price = self.fees().max_fee
        if price == 0:
            return
        needed = gas * price + sum(call.value for call in calls)
        answer = self.rpc.request("eth_getBalance", self.address, "latest")
        if (balance := self.rpc.integer(answer)) < needed:
            raise TransactionFailed(
                transaction=calls[0].name,
                problem=f"insufficient funds: {self.address} has {balance} wei, it takes {needed}",
            )

    def _limit(self, call: Call) -> int:
        kind = _kind(call)
        if kind not in self._gas:
            self._gas[kind] = self.estimate(call) + GAS_ALLOWANCE
        return self._gas[kind]

    def _failure(self, call: Call, error: RpcError) -> MedledgerError:
        if error.data:
            return abi.refusal(error.data)
        if "timeout" in error.text.lower():
            return RpcUnavailable(url=self.rpc.url, problem=error.text)
        return TransactionFailed(transaction=call.name, problem=error.text)


def _receipt(outcome: Outcome) -> Receipt:
    if outcome.error is not None:
        raise outcome.error
    assert outcome.receipt is not None
    return outcome.receipt


def _kind(call: Call) -> tuple[str, int]:
    """Calls of one function and size need about the same gas."""
    return call.name, len(call.data) // 512
