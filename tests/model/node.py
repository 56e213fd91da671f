"""The other side: the same acts and views on the contracts, through medledger's own chain client.

An act that the rules allow is sent as a signed transaction, in a block of exactly its second. One
that they refuse is asked by `eth_call` as of that second: a transaction would tell the same and no
reason. Either way `Mismatch` says where contracts and rules differ.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple
from typing import Any

from eth_abi.exceptions import DecodingError
from tests.model.rules import Refused, Signed, View
from tests.model.rules_documents import Proof, Root, SharedProof
from tests.model.rules_policies import Policy
from tests.model.world import Act, World

from medledger.chain import abi
from medledger.chain.rpc import Rpc
from medledger.chain.sender import Fees
from medledger.chain.sender.signer import Signer
from medledger.core.claims import Settlement
from medledger.core.transactions import Intent
from medledger.errors import Refusal, RpcError

GAS = 3_000_000
FREE = Fees(max_fee=0, tip=None)


class Mismatch(AssertionError):
    """The contracts do otherwise than the rules say."""


class Node:
    """One node with the contracts. `addresses` is by contract."""

    def __init__(self, rpc: Rpc, addresses: Mapping[str, str], chain_id: int) -> None:
        self.rpc = rpc
        self.addresses = addresses
        self.chain_id = chain_id
        self._signers: dict[str, Signer] = {}
        self._nonces: dict[str, int] = {}
        self._kept: tuple[str, dict[str, int]] = ("", {})

    def keep(self) -> None:
        """Remembers the state of the chain, for `go_back`."""
        self._kept = (self.rpc.request("evm_snapshot"), dict(self._nonces))

    def go_back(self) -> None:
        """Brings back what was kept, as often as wanted."""
        snapshot, nonces = self._kept
        assert self.rpc.request("evm_revert", snapshot)
        self._nonces = dict(nonces)
        self.keep()

    def perform(self, world: World, act: Act) -> Refused | None:
        """Acts, and holds what comes of it against the rules. Returns their refusal, or None."""
        refused = world.refusal(act)
        if refused is not None:
            self._require_refused(world, act, refused)
            self.compare(world, _views(world, act))
            return refused
        world.rule(act)()
        sent = self.send(world, act)
        views = _views(world, act)
        receipt, *answers = self._ask(world, views, ("eth_getTransactionReceipt", [sent]))
        if receipt["status"] != "0x1":
            raise Mismatch(f"{act.name}: the rules allow it; the contract does not")
        _require_same(world, views, answers)
        return None

    def compare(self, world: World, views: Sequence[View]) -> None:
        """Asks the contracts as of now, and compares."""
        _require_same(world, views, self._ask(world, views))

    def _ask(self, world: World, views: Sequence[View], *first: tuple[str, list[Any]]) -> list[Any]:
        """The answers to other requests, and then to these views."""
        calls = [
            (
                "eth_call",
                self._call(world, view.contract, _function_of(view).encode(view.arguments)),
            )
            for view in views
        ]
        return self.rpc.batch([*first, *calls])

    def _require_refused(self, world: World, act: Act, refused: Refused) -> None:
        said = self._refusal(world, act)
        if said is None:
            raise Mismatch(f"{act.name}: the rules refuse, {refused}; the contract does not")
        if (said.name, plain(said.values)) != (refused.name, plain(refused.arguments)):
            raise Mismatch(
                f"{act.name}: the rules refuse with {refused}; "
                f"the contract with {said.name}, {said.values}"
            )

    def send(self, world: World, act: Act) -> str:
        """Sends the act's transaction, and makes the block of this second. Returns its hash."""
        signer = self._signers.setdefault(act.by, Signer(world.keys[act.by]))
        nonce = self._nonces.get(act.by)
        if nonce is None:
            nonce = int(self.rpc.request("eth_getTransactionCount", act.by, "latest"), 16)
        call = Intent(self.addresses[act.contract], calldata(world, act), act.name, GAS)
        raw = signer.attempt(call, nonce, FREE, self.chain_id).raw
        sent: str = self.rpc.request("eth_sendRawTransaction", "0x" + raw.hex())
        self._nonces[act.by] = nonce + 1
        self.rpc.request("evm_mine", hex(world.now))
        return sent

    def _refusal(self, world: World, act: Act) -> Refusal | None:
        call, *how = self._call(world, act.contract, calldata(world, act))
        try:
            self.rpc.request("eth_call", call | {"from": act.by}, *how)
        except RpcError as error:
            return abi.refusal(error.data)
        return None

    def _call(self, world: World, contract: str, data: bytes) -> list[Any]:
        """The parameters of an `eth_call` as of the world's time."""
        request = {"to": self.addresses[contract], "data": "0x" + data.hex(), "gas": hex(GAS)}
        return [request, "latest", {}, {"time": hex(world.now)}]


def _require_same(world: World, views: Sequence[View], answers: Sequence[Any]) -> None:
    for view, answer in zip(views, answers, strict=True):
        found = _answer(_function_of(view), answer)
        if found != plain(view.expected):
            shown = ", ".join(map(str, view.arguments))
            raise Mismatch(
                f"{view.contract}.{view.function}({shown}) at {world.now}: "
                f"the rules say {plain(view.expected)}, the contract {found}"
            )


def _function_of(view: View) -> abi.Function:
    return abi.functions(view.contract)[view.function]


def _views(world: World, act: Act) -> list[View]:
    """What to compare after the act."""
    return [view for key in act.touched for view in world.views(key)]


def calldata(world: World, act: Act) -> bytes:
    """What the act's transaction holds."""
    function = abi.functions(act.contract)[act.function]
    if act.parts:
        return function.encode([[calldata(world, part) for part in act.parts]])
    return function.encode(list(_arguments(world, act.arguments)))


def plain(value: Any) -> Any:
    """The value with lists as tuples, and numbers that have names as numbers."""
    if isinstance(value, list | tuple):
        return tuple(plain(item) for item in value)
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return int(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _answer(function: abi.Function, answer: Any) -> Any:
    """The results of a view, or why there are none."""
    if isinstance(answer, RpcError):
        return str(abi.refusal(answer.data))
    try:
        return plain(function.decode(bytes.fromhex(answer[2:])))
    except DecodingError:
        return f"no answer: {answer}"


def _arguments(world: World, arguments: Sequence[Any]) -> Iterable[Any]:
    """The contract's arguments of a rule's."""
    for value in arguments:
        match value:
            case Proof():
                yield value.header.as_abi()
                yield value.head.as_abi()
                yield list(value.path)
            case SharedProof():
                yield [header.as_abi() for header in value.headers]
                yield value.head.as_abi()
                yield list(value.path)
            case (Settlement(), *_):
                yield [settlement.as_abi() for settlement in value]
            case (Signed(), *_):
                yield [world.signature(signed) for signed in value]
            case Root():
                yield value.root
            case Signed():
                yield world.signature(value)
            case Policy():
                yield from astuple(value)
            case _:
                yield value
