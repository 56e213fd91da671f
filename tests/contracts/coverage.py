"""Which lines and branches of contracts/ the tests of this folder execute.

    make coverage    # runs them with MEDLEDGER_COVERAGE=1, fails below 100 %

Every transaction and every call of the suite is traced on Anvil while it runs, and the executed
program counters are mapped to the sources. So it measures these tests and not a copy of them.

The contracts are compiled without the optimizer and not by way of the intermediate language: both
share code between places of the source, which then count for each other. Gas and size are therefore
not those that ship, and tests of gas are left out. MEDLEDGER_UNOPTIMISED=1 compiles so and traces
nothing: it takes seconds, where the settings that ship take minutes.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import solcx
from ape.contracts import ContractContainer
from ape_foundry import FoundryProvider
from ethpm_types import ContractType
from web3.providers import HTTPProvider

ROOT = Path(__file__).resolve().parents[2]
CONTRACTS = ROOT / "contracts"
HARNESS = Path(__file__).with_name("harness")
ANSWERED = Path(__file__).with_name("coverage.json")
REMAPPINGS = ["@openzeppelin/contracts=toolchain/node_modules/@openzeppelin/contracts"]

# Not all of "evm": its estimates of gas alone would take longer than all the rest.
TRACED = {"": ["ast"], "*": ["abi", "evm.bytecode", "evm.deployedBytecode"]}
PLAIN = {"*": ["abi", "evm.bytecode.object"]}

PUSH1, PUSH32 = 0x60, 0x7F
NOT_TAKEN, TAKEN = 2, 4  # beside 1, executed: bits that the tracer sets

# Of each address, the program counters with what happened there. A frame's address is asked for
# where the depth changes only, which is ten times as fast as at each step.
TRACER = """{
  seen: {}, frame: null, depth: 0,
  step: function (log) {
    if (log.getDepth() != this.depth) {
      this.depth = log.getDepth();
      var key = toHex(log.contract.getAddress());
      this.frame = this.seen[key] || (this.seen[key] = {});
    }
    var what = 1;
    if (log.op.toNumber() == 0x57) what |= String(log.stack.peek(1)) == '0' ? 2 : 4;
    this.frame[log.getPC()] |= what;
  },
  fault: function () {},
  result: function (context) { return {creates: context.type == 'CREATE', seen: this.seen}; }
}"""

Range = tuple[int, int, int]  # start, length, file: solc's


@dataclass
class Code:
    """Bytecode whose program counters are mapped to the sources."""

    bytecode: bytes
    unset: list[range]  # where immutables go
    ranges: dict[int, Range]

    def is_at(self, code: bytes) -> bool:
        """Whether `code` is this bytecode, immutables aside; creation code has arguments behind."""
        return _without(code[: len(self.bytecode)], self.unset) == self.bytecode


@dataclass
class Coverage:
    """Compiles for measuring, collects while the tests run, and reports."""

    is_tracing: bool
    codes: list[Code] = field(default_factory=list)
    executed: dict[Range, int] = field(default_factory=lambda: defaultdict(int))
    sources: dict[int, tuple[str, bytes, dict[str, Any]]] = field(default_factory=dict)
    _pending: list[str] = field(default_factory=list)
    _code_at: dict[str, Code | None] = field(default_factory=dict)

    @cached_property
    def types(self) -> dict[str, ContractType]:
        """Contracts by their names, of one compilation: it numbers the files."""
        paths = [*CONTRACTS.glob("*.sol"), *HARNESS.glob("*.sol")]
        names = {path.relative_to(ROOT).as_posix(): path for path in sorted(paths)}
        output = solcx.compile_standard(
            {
                "language": "Solidity",
                "sources": {name: {"content": path.read_text()} for name, path in names.items()},
                "settings": {
                    "evmVersion": "paris",
                    "optimizer": {"enabled": False},
                    "outputSelection": {"*": TRACED if self.is_tracing else PLAIN},
                    "remappings": REMAPPINGS,
                },
            },
            base_path=ROOT,
            solc_version="0.8.30",
        )
        if self.is_tracing:
            self._map(output)
        found = {}
        for name in names:
            for contract, compiled in output["contracts"].get(name, {}).items():
                found[contract] = ContractType.model_validate(
                    {
                        "contractName": contract,
                        "abi": compiled["abi"],
                        "deploymentBytecode": {
                            "bytecode": "0x" + compiled["evm"]["bytecode"]["object"]
                        },
                    }
                )
        return found

    def _map(self, output: dict[str, Any]) -> None:
        """Keep what leads from program counters to the sources."""
        for name, source in output["sources"].items():
            # Read now: a source may change while the tests run.
            text = (ROOT / name).read_bytes() if name.startswith("contracts/") else b""
            self.sources[source["id"]] = (name, text, source["ast"])
        for contracts in output["contracts"].values():
            for compiled in contracts.values():
                for part in compiled["evm"].values():
                    if code := _code(part):
                        self.codes.append(code)

    def install(self) -> None:
        """Let Anvil take contracts of any size, and if asked to, trace all that goes to it."""
        request, command = HTTPProvider.make_request, FoundryProvider.build_command

        def make_request(provider: HTTPProvider, method: Any, params: Any) -> Any:
            def ask(asked: str, *arguments: Any) -> Any:
                return request(provider, asked, list(arguments))  # type: ignore[arg-type]

            if method in ("evm_revert", "evm_snapshot"):
                self._settle(ask)
                self._code_at.clear()
            answer = request(provider, method, params)
            if method in ("eth_sendTransaction", "eth_sendRawTransaction") and "result" in answer:
                self._pending.append(answer["result"])
            if method in ("eth_call", "eth_estimateGas"):
                call = ask("debug_traceCall", params[0], "latest", {"tracer": TRACER})
                self._add(call, ask, params[0])
            self._settle(ask)
            return answer

        def build_command(provider: FoundryProvider) -> list[str]:
            return [*command(provider), "--disable-code-size-limit"]

        if self.is_tracing:
            HTTPProvider.make_request = make_request  # type: ignore[method-assign]
        FoundryProvider.build_command = build_command  # type: ignore[method-assign]

    def _settle(self, ask: Any) -> None:
        """Trace the transactions that are in a block by now."""
        for transaction in list(self._pending):
            if not (ask("eth_getTransactionReceipt", transaction).get("result")):
                continue
            self._pending.remove(transaction)
            sent = ask("eth_getTransactionByHash", transaction)["result"]
            trace = ask("debug_traceTransaction", transaction, {"tracer": TRACER})
            self._add(trace, ask, sent)

    def _add(self, trace: Any, ask: Any, sent: Any) -> None:
        found = trace["result"]
        for address, counters in found["seen"].items():
            if found["creates"]:
                code = self._known(sent.get("input") or sent["data"])
            else:
                code = self._deployed(address, ask)
            for counter, what in counters.items() if code else ():
                if place := code.ranges.get(int(counter)):
                    self.executed[place] |= what

    def _deployed(self, address: str, ask: Any) -> Code | None:
        if address not in self._code_at:
            self._code_at[address] = self._known(ask("eth_getCode", address, "latest")["result"])
        return self._code_at[address]

    def _known(self, code: str) -> Code | None:
        data = bytes.fromhex(code.removeprefix("0x"))
        return next((known for known in self.codes if known.is_at(data)), None)

    def report(self) -> tuple[str, bool]:
        """What was never executed, and whether all of it is answered in coverage.json."""
        answered = json.loads(ANSWERED.read_text(encoding="utf-8"))
        lines, missed = [], {}
        totals = {"lines": [0, 0], "branches": [0, 0]}
        ranges = [(start, start + length, number) for start, length, number in self.executed]
        for number, (name, text, ast) in sorted(self.sources.items(), key=lambda item: item[1][0]):
            if not text:
                continue
            inside = [(start, end) for start, end, at in ranges if at == number]
            seen: dict[int, bool] = {}
            for start, end in _statements(ast):
                line = text.count(b"\n", 0, start) + 1
                was = any(start <= low and high <= end for low, high in inside)
                seen[line] = seen.get(line, True) and was
            for line, was in seen.items():
                if not was:
                    missed[f"{name}: {_line(text, line)}"] = f"{name}:{line} is never executed"
            totals["lines"][0] += sum(seen.values())
            totals["lines"][1] += len(seen)
            for start, length in _branches(ast):
                line = text.count(b"\n", 0, start) + 1
                what = self.executed.get((start, length, number), 0)
                for bit, side in ((NOT_TAKEN, "0"), (TAKEN, "1")):
                    totals["branches"][1] += 1
                    totals["branches"][0] += bool(what & bit)
                    if not what & bit:
                        source = " ".join(text[start : start + length].decode().split())[:60]
                        missed[f"{name}: {source} -> {side}"] = (
                            f"{name}:{line} never jumps with {side}: {source}"
                        )
        for key, message in missed.items():
            lines.append(
                f"  {message}" + (f" (answered: {answered[key]})" if key in answered else "")
            )
        lines += [
            f"  answered and executed all the same: {key}" for key in answered if key not in missed
        ]
        for what, (hit, total) in totals.items():
            lines.append(f"{what}: {hit} of {total} ({100 * hit / max(total, 1):.1f} %)")
        return "\n".join(lines), missed.keys() == answered.keys()


@dataclass
class Measured:
    """ape's project, with contracts that are compiled for measuring."""

    project: Any
    types: dict[str, ContractType]

    def __getattr__(self, name: str) -> Any:
        if name in self.types:
            return ContractContainer(self.types[name])
        return getattr(self.project, name)


def _code(part: dict[str, Any]) -> Code | None:
    """The code with its places, or nothing for an interface."""
    if not part["object"]:
        return None
    bytecode = bytes.fromhex(part["object"])
    unset = [
        range(place["start"], place["start"] + place["length"])
        for places in part.get("immutableReferences", {}).values()
        for place in places
    ]
    places = _decompress(part["sourceMap"])
    ranges: dict[int, Range] = {}
    counter = 0
    for place in places:
        if counter >= len(bytecode):
            break
        ranges[counter] = place
        op = bytecode[counter]
        counter += op - PUSH1 + 2 if PUSH1 <= op <= PUSH32 else 1
    return Code(bytecode, unset, ranges)


def _decompress(source_map: str) -> Iterator[Range]:
    """The range of each instruction; an empty field repeats the one before."""
    current = ["0", "0", "-1"]
    for entry in source_map.split(";"):
        for index, value in enumerate(entry.split(":")[:3]):
            if value:
                current[index] = value
        yield int(current[0]), int(current[1]), int(current[2])


def _without(code: bytes, unset: list[range]) -> bytes:
    plain = bytearray(code)
    for places in unset:
        for place in places:
            if place < len(plain):
                plain[place] = 0
    return bytes(plain)


def _nodes(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        if "nodeType" in node:
            yield node
        for value in node.values():
            yield from _nodes(value)
    elif isinstance(node, list):
        for value in node:
            yield from _nodes(value)


def _statements(ast: dict[str, Any]) -> Iterator[tuple[int, int]]:
    """Start and end of each statement that is code: a block and `_;` are not."""
    for body in _bodies(ast):
        for node in _nodes(body):
            kind = node["nodeType"]
            if kind == "Return" or (kind.endswith("Statement") and kind != "PlaceholderStatement"):
                start, length, _ = map(int, node["src"].split(":"))
                yield start, start + length


def _branches(ast: dict[str, Any]) -> Iterator[tuple[int, int]]:
    """Range of each node whose code has one conditional jump of its own."""
    for body in _bodies(ast):
        for node in _nodes(body):
            if node["nodeType"] in (
                "IfStatement",
                "ForStatement",
                "WhileStatement",
                "Conditional",
            ) or (node["nodeType"] == "BinaryOperation" and node["operator"] in ("&&", "||")):
                start, length, _ = map(int, node["src"].split(":"))
                yield start, length


def _bodies(ast: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for node in _nodes(ast):
        if node["nodeType"] in ("FunctionDefinition", "ModifierDefinition") and node.get("body"):
            yield node["body"]


def _line(text: bytes, line: int) -> str:
    return text.splitlines()[line - 1].decode().strip()
