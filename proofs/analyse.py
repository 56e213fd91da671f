"""Run every detector of slither over contracts/, and hold the findings to their answers.

    .venv/proofs/bin/python proofs/analyse.py

`proofs/slither.md` answers each finding in writing, one line each. A finding without an answer is
an error, and so is an answer without a finding. Nothing is excluded but findings that lie in
OpenZeppelin's files alone.
"""

from __future__ import annotations

import inspect
import re
import sys
from pathlib import Path
from typing import Any

from crytic_compile import CryticCompile
from crytic_compile.platform.solc_standard_json import SolcStandardJson
from slither import Slither
from slither.detectors import all_detectors
from slither.detectors.abstract_detector import AbstractDetector

ROOT = Path(__file__).resolve().parent.parent
ANSWERS = ROOT / "proofs" / "slither.md"
ANSWER = re.compile(r"^- `(?P<finding>[^`]+)`: \S", re.MULTILINE)


def main() -> int:
    """Print what is not answered, and return the exit code."""
    found = findings()
    answered = set(ANSWER.findall(ANSWERS.read_text(encoding="utf-8")))
    for finding in sorted(found.keys() - answered):
        print(f"slither: not answered in proofs/slither.md: {finding}\n{found[finding]}")
    for finding in sorted(answered - found.keys()):
        print(f"slither: answered, but no longer found: {finding}")
    print(f"slither: {len(found)} findings, {len(found.keys() - answered)} without an answer")
    return int(found.keys() != answered)


def findings() -> dict[str, str]:
    """What slither says by detector and place; several of one detector in one place are one."""
    slither = compiled()
    for detector in vars(all_detectors).values():
        if inspect.isclass(detector) and issubclass(detector, AbstractDetector):
            slither.register_detector(detector)
    found: dict[str, str] = {}
    for results in slither.run_detectors():
        for result in results:
            if any(in_contracts(element) for element in result["elements"]):
                finding = f"{result['check']} {place(result['elements'][0])}"
                found[finding] = found.get(finding, "") + result["description"]
    return found


def compiled() -> Slither:
    """The contracts with the settings that ship, except that slither wants no optimizer."""
    sources = {
        path.relative_to(ROOT).as_posix(): {"content": path.read_text(encoding="utf-8")}
        for path in sorted((ROOT / "contracts").glob("*.sol"))
    }
    request: dict[str, Any] = {
        "language": "Solidity",
        "sources": sources,
        "settings": {
            "evmVersion": "paris",
            "optimizer": {"enabled": False},
            "outputSelection": {
                "*": {
                    "": ["ast"],
                    "*": ["abi", "devdoc", "userdoc", "evm.bytecode", "evm.deployedBytecode"],
                }
            },
            "remappings": [
                "@openzeppelin/contracts=toolchain/node_modules/@openzeppelin/contracts"
            ],
        },
    }
    compiler = str(ROOT / ".venv" / "bin" / "solc")
    compilation = CryticCompile(
        SolcStandardJson(request),
        solc=compiler,
        solc_working_dir=str(ROOT),
        solc_disable_warnings=True,
    )
    return Slither(compilation, disable_color=True)


def in_contracts(element: dict[str, Any]) -> bool:
    """Whether an element of a finding lies in a file of ours."""
    return element["source_mapping"]["filename_relative"].startswith("contracts/")


def place(element: dict[str, Any]) -> str:
    """Contract and function of an element: its lines move."""
    parent = element.get("type_specific_fields", {}).get("parent")
    if element["type"] == "node" and parent:
        return place(parent)
    if parent and parent["type"] in ("contract", "function"):
        return f"{place(parent)}.{element['name']}"
    return str(element["name"])


if __name__ == "__main__":
    sys.exit(main())
