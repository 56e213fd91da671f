"""Sending transactions: own nonces, receipts, and reverts as named exceptions.

One sender serves one key. It counts nonces itself, so that many transactions can be on their way
at once, and signs before it sends, so that the hash of everything it sent is known. A transaction
that a contract would refuse is found out by simulation and costs nothing.

    sender = Sender(rpc, key)
    receipt = sender.send(ledgers.invoices.issue(segment, first, count, root))
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import rlp  # type: ignore[import-untyped]
from eth_account import Account
from eth_account.signers.local import LocalAccount

from medledger.chain import abi
from medledger.chain.contract import Call
from medledger.chain.rpc import Rpc, chunked
from medledger.core.hashing import keccak256
from medledger.errors import (
    MedledgerError,
    NonceTaken,
    RpcError,
    RpcUnavailable,
    TransactionFailed,
    TransactionReverted,
)

IN_FLIGHT = 64
"""Transactions of one key on their way at once, for nodes that limit them (geth keeps 16 of an
account for sure, and more when there is room; Anvil and Ganache take any number)."""

GAS_MARGIN = 1.25
GAS_ALLOWANCE = 60_000
"""Added to the estimate of the first call of a kind, as limit for the others: they differ by the
length of a path and by which storage slots are new. What is not used is not paid."""

RECEIPT_SECONDS = 120.0
_ALREADY = ("already known", "known transaction", "already imported", "already in")
_NONCE_LOW = ("nonce too low", "nonce is too low", "correct nonce")


@dataclass(frozen=True, slots=True)
class Signed:
    """A signed transaction. Storing it before it is sent makes a crash harmless: the same bytes can
    be sent again."""

    call: Call
    gas: int
    raw: bytes
    hash: bytes


@dataclass(frozen=True, slots=True)
class Receipt:
    """A mined transaction that succeeded. `gas_used` in gas, `logs` as the node gives them."""

    call: Call
    hash: bytes
    block: int
    gas_used: int
    logs: tuple[dict[str, Any], ...]


class Sender:
    """Sends the transactions of one key to one node. Not for use by two threads at once."""

    def __init__(self, rpc: Rpc, key: bytes, *, in_flight: int = IN_FLIGHT) -> None:
        self.rpc = rpc
        self.in_flight = in_flight
        self.batched = False
        """Sends a group in one HTTP body, which is quicker. Only where blocks come at an interval:
        Anvil, with a block for each transaction, can leave the later ones queued for ever."""
        self._account: LocalAccount = Account.from_key(key)
        self.address: str = self._account.address
        self._chain_id: int | None = None
        self._nonce: int | None = None
        self._gas: dict[tuple[str, int], int] = {}
        self.observer: Callable[[Receipt], None] | None = None
        """Sees every receipt, for whoever counts gas."""

    def send(self, call: Call) -> Receipt:
        """Sends one call and waits until it is mined.

        Raises the `Refusal` that the contract answers, before anything is sent where the
        simulation shows it; `TransactionFailed`; `RpcUnavailable`.
        """
        signed = self.sign(call, gas=self.estimate(call), fees=self.fees())
        self.broadcast([signed])
        return self.confirm([signed])[0]

    def send_many(self, calls: Sequence[Call]) -> Iterator[Receipt]:
        """Sends calls that do not depend on each other, many at once; receipts in the order given.

        Raises as `send` does, at the first that fails; those of the same group have been sent then.
        """
        on_their_way: list[Signed] = []
        for group in chunked(calls, max(self.in_flight // 2, 1)):
            # Signing this group and mining the one before take place at the same time.
            fees = self.fees()
            # All limits before the first signature: a refusal must leave no nonce unused.
            limits = [self._limit(call) for call in group]
            signed = [
                self.sign(call, gas=gas, fees=fees) for call, gas in zip(group, limits, strict=True)
            ]
            self.broadcast(signed)
            yield from self.confirm(on_their_way)
            on_their_way = signed
        yield from self.confirm(on_their_way)

    def estimate(self, call: Call) -> int:
        """The gas the call needs now, with a margin; raises the `Refusal` that it would meet."""
        try:
            answer = self.rpc.request("eth_estimateGas", self._request(call))
        except RpcError as error:
            raise self._failure(call, error) from error
        return int(int(answer, 16) * GAS_MARGIN)

    def fees(self) -> dict[str, int]:
        """Fee fields for the next transactions, in wei: EIP-1559, legacy, or all zero."""
        base = self.rpc.block("latest").get("baseFeePerGas")
        if base is None:
            return {"gasPrice": int(self.rpc.request("eth_gasPrice"), 16)}
        try:
            tip = int(self.rpc.request("eth_maxPriorityFeePerGas"), 16)
        except RpcError:
            tip = int(self.rpc.request("eth_gasPrice"), 16) - int(base, 16)
        if int(base, 16) == 0:
            # A network without fees: Anvil still proposes a tip, which no empty account can pay.
            tip = 0
        return {
            "maxFeePerGas": 2 * int(base, 16) + max(tip, 0),
            "maxPriorityFeePerGas": max(tip, 0),
        }

    def sign(self, call: Call, *, gas: int, fees: dict[str, int]) -> Signed:
        """Takes the next nonce and signs; nothing is sent."""
        if self._chain_id is None:
            self._chain_id = self.rpc.chain_id()
        if self._nonce is None:
            self._nonce = int(
                self.rpc.request("eth_getTransactionCount", self.address, "pending"), 16
            )
        fields: dict[str, Any] = {
            "chainId": self._chain_id,
            "nonce": self._nonce,
            "to": call.to or b"",
            "value": call.value,
            "data": call.data,
            "gas": gas,
            **fees,
        }
        if "maxFeePerGas" in fees:
            fields["type"] = 2
        signed = self._account.sign_transaction(fields)
        self._nonce += 1
        return Signed(call, gas, bytes(signed.raw_transaction), bytes(signed.hash))

    def broadcast(self, group: Sequence[Signed]) -> None:
        """Sends signed transactions, the same bytes as often as needed.

        Raises `TransactionFailed` where the node refuses one; its nonce and the following are free
        again then. `NonceTaken` says that it can never be mined.
        """
        with self._fresh_nonces_after_failure():
            raw = [("eth_sendRawTransaction", ["0x" + signed.raw.hex()]) for signed in group]
            if self.batched:
                answers = self.rpc.batch(raw)
                for signed, answer in zip(group, answers, strict=True):
                    if isinstance(answer, RpcError):
                        self._require_known(signed, answer)
                return
            for signed, (method, parameters) in zip(group, raw, strict=True):
                try:
                    self.rpc.request(method, *parameters)
                except RpcError as error:
                    self._require_known(signed, error)

    def confirm(self, group: Sequence[Signed]) -> list[Receipt]:
        """The receipts, once all are mined; raises the `Refusal` of the first that failed."""
        with self._fresh_nonces_after_failure():
            found = self._mined(group)
            return [self._checked(signed, found[signed.hash]) for signed in group]

    def restored(self, call: Call, raw: bytes) -> Signed:
        """A transaction that was signed earlier, from its stored bytes."""
        return Signed(call, gas=0, raw=raw, hash=keccak256(raw))

    def has_used_nonce_of(self, raw: bytes, block: int) -> bool:
        """Whether, in the state of a block, the nonce of a signed transaction is used up."""
        # EIP-2718: a typed transaction begins with its type, and its nonce follows the chain id.
        typed = raw[0] < 0x80
        fields = rlp.decode(raw[1:] if typed else raw)
        nonce = int.from_bytes(fields[1 if typed else 0], "big")
        used = self.rpc.request("eth_getTransactionCount", self.address, hex(block))
        return int(used, 16) > nonce

    def forget(self) -> None:
        """Takes the next nonce from the node again: what was signed last will not be sent."""
        self._nonce = None

    def _require_known(self, signed: Signed, error: RpcError) -> None:
        """Raises unless the node refused a transaction because it has it already."""
        if _is(error, _ALREADY):
            return
        if not _is(error, _NONCE_LOW):
            raise self._failure(signed.call, error, signed.hash) from error
        if self._receipt(signed) is None:
            raise NonceTaken(transaction="0x" + signed.hash.hex()) from error

    def _mined(self, group: Sequence[Signed]) -> dict[bytes, dict[str, Any]]:
        """The raw receipts by hash, once the chain has all of them."""
        found: dict[bytes, dict[str, Any]] = {}
        deadline = time.monotonic() + RECEIPT_SECONDS
        pause = 0.002
        while missing := [signed for signed in group if signed.hash not in found]:
            answers = self.rpc.batch(
                [("eth_getTransactionReceipt", ["0x" + signed.hash.hex()]) for signed in missing]
            )
            for signed, answer in zip(missing, answers, strict=True):
                if isinstance(answer, dict) and answer.get("blockNumber"):
                    found[signed.hash] = answer
            if len(found) == len(group):
                break
            if time.monotonic() > deadline:
                raise TransactionFailed(
                    transaction="0x" + missing[0].hash.hex(),
                    problem=f"is not mined after {RECEIPT_SECONDS:.0f} s",
                )
            time.sleep(pause)
            pause = min(pause * 1.5, 0.25)
        return found

    @contextmanager
    def _fresh_nonces_after_failure(self) -> Iterator[None]:
        """What failed may never be mined: a nonce counted on from there could leave a gap."""
        try:
            yield
        except MedledgerError:
            self.forget()
            raise

    def _receipt(self, signed: Signed) -> dict[str, Any] | None:
        answer = self.rpc.request("eth_getTransactionReceipt", "0x" + signed.hash.hex())
        return answer if isinstance(answer, dict) and answer.get("blockNumber") else None

    def _checked(self, signed: Signed, answer: dict[str, Any]) -> Receipt:
        block = int(answer["blockNumber"], 16)
        used = int(answer["gasUsed"], 16)
        if int(answer["status"], 16) != 1:
            if signed.gas and used >= signed.gas * 63 // 64:
                # The others of its kind needed less: find its own limit, then send it again.
                self._gas.pop(_kind(signed.call), None)
                return self.send(signed.call)
            try:
                self.rpc.request("eth_call", self._request(signed.call), hex(block))
            except RpcError as error:
                if error.data:
                    raise abi.refusal(error.data) from error
                problem = f"it was refused when it was mined; asked why, {error}"
            else:
                problem = "it was refused when mined, and would pass now: something came first"
            raise TransactionReverted(transaction="0x" + signed.hash.hex(), problem=problem)
        receipt = Receipt(signed.call, signed.hash, block, used, tuple(answer["logs"]))
        if self.observer is not None:
            self.observer(receipt)
        return receipt

    def _limit(self, call: Call) -> int:
        kind = _kind(call)
        if kind not in self._gas:
            self._gas[kind] = self.estimate(call) + GAS_ALLOWANCE
        return self._gas[kind]

    def _request(self, call: Call) -> dict[str, str]:
        request = {"from": self.address, "data": "0x" + call.data.hex()}
        if call.value:
            request["value"] = hex(call.value)
        return request | ({"to": call.to} if call.to else {})

    def _failure(
        self, call: Call, error: RpcError, transaction: bytes | None = None
    ) -> MedledgerError:
        if error.data:
            return abi.refusal(error.data)
        if "timeout" in error.text.lower():
            return RpcUnavailable(url=self.rpc.url, problem=error.text)
        return TransactionFailed(
            transaction="0x" + transaction.hex() if transaction else call.name,
            problem=error.text,
        )


def _kind(call: Call) -> tuple[str, int]:
    """Calls of one function and size need about the same gas."""
    return call.name, len(call.data) // 512


def _is(error: RpcError, texts: Sequence[str]) -> bool:
    return any(text in error.text.lower() for text in texts)
