"""What every generated contract class stands on.

Reads ask the node; writes are `Call`s for a sender.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from medledger.chain import abi
from medledger.chain.rpc import Block, Rpc, block_tag
from medledger.errors import ContractMissing, RpcError


@dataclass(frozen=True, slots=True)
class Call:
    """A write that has not been sent. `to` is empty for a deployment, `value` is in wei."""

    to: str
    data: bytes
    name: str
    """Contract and function, as `Invoices.issue`."""
    value: int = 0


class Contract:
    """One deployed contract. Reads see the block given by `at`, `latest` by default."""

    NAME: ClassVar[str]

    def __init__(self, rpc: Rpc, address: str, block: Block = "latest") -> None:
        self.rpc = rpc
        self.address = address
        self._block = block

    def at(self, block: Block) -> Self:
        """The same contract as of a block."""
        return type(self)(self.rpc, self.address, block)

    def _call(self, function: str, *arguments: Any) -> Call:
        encoded = abi.functions(self.NAME)[function].encode(arguments)
        return Call(self.address, encoded, f"{self.NAME}.{function}")

    def _read(self, function: str, *arguments: Any) -> tuple[Any, ...]:
        """The decoded results; raises the named `Refusal` where the contract reverts."""
        found = abi.functions(self.NAME)[function]
        request = {"to": self.address, "data": "0x" + found.encode(arguments).hex()}
        try:
            answer = self.rpc.request("eth_call", request, block_tag(self._block))
        except RpcError as error:
            if error.data or "revert" in error.text:
                raise abi.refusal(error.data) from error
            raise
        return self._decode(found, answer)

    def read_many(self, function: str, rows: Sequence[Sequence[Any]]) -> list[Any]:
        """The single result of one view for many arguments, in few requests."""
        found = abi.functions(self.NAME)[function]
        tag = block_tag(self._block)
        answers = self.rpc.batch(
            [
                (
                    "eth_call",
                    [{"to": self.address, "data": "0x" + found.encode(row).hex()}, tag],
                )
                for row in rows
            ]
        )
        results = []
        for answer in answers:
            if isinstance(answer, RpcError):
                raise abi.refusal(answer.data) from answer
            results.append(self._decode(found, answer)[0])
        return results

    def _decode(self, function: abi.Function, answer: str) -> tuple[Any, ...]:
        if answer == "0x" and function.outputs:
            raise ContractMissing(contract=self.NAME, address=self.address, url=self.rpc.url)
        return function.decode(bytes.fromhex(answer[2:]))
