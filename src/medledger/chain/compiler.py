"""The contracts compiled from their sources, by a compiler that is on this machine.

The settings are those of the artifacts in the package, so that equal sources give equal code.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from medledger.chain import abi
from medledger.errors import CompilerUnusable

REMAPPING = "@openzeppelin/contracts=toolchain/node_modules/@openzeppelin/contracts"
MEMORY_OF_ERRORS = 400
"""Characters of a compiler's complaint that are told."""


def compile_sources(folder: Path, compiler: Path | None = None) -> dict[str, Mapping[str, Any]]:
    """Contract to what the compiler makes of it: `object` and `immutableReferences` as it has them.

    `folder` is a checkout after `make setup`: `contracts/` and OpenZeppelin are in it. Without a
    `compiler`, `solc` beside this Python or on the path. Raises `CompilerUnusable`.
    """
    solc = compiler or _found()
    _require_version(solc)
    sources = sorted((folder / "contracts").glob("*.sol"))
    if not sources:
        raise CompilerUnusable(path=solc, problem=f"finds no contracts/*.sol in {folder}")
    output = _run(solc, _request(folder, sources), folder)
    complaints = [e["formattedMessage"] for e in output.get("errors", []) if _is_error(e)]
    if complaints:
        problem = f"does not compile them: {complaints[0].strip()[:MEMORY_OF_ERRORS]}"
        raise CompilerUnusable(path=solc, problem=problem)
    return {
        name: contract["evm"]["deployedBytecode"]
        for source in output["contracts"].values()
        for name, contract in source.items()
    }


def _found() -> Path:
    beside = Path(sys.prefix) / "bin" / "solc"
    path = str(beside) if beside.exists() else shutil.which("solc")
    if path is None:
        raise CompilerUnusable(path="solc", problem="is not on this machine")
    return Path(path)


def _require_version(solc: Path) -> None:
    wanted = abi.artifact("Institutions")["compiler"]["version"]
    told = _output([str(solc), "--version"], "")
    if wanted not in told:
        raise CompilerUnusable(path=solc, problem=f"is not version {wanted}")


def _request(folder: Path, sources: list[Path]) -> dict[str, Any]:
    settings = abi.artifact("Institutions")["compiler"]
    return {
        "language": "Solidity",
        "sources": {
            path.relative_to(folder).as_posix(): {"content": path.read_text("utf-8")}
            for path in sources
        },
        "settings": {
            "evmVersion": settings["evmVersion"],
            "metadata": {"bytecodeHash": "none"},
            "optimizer": {"enabled": True, "runs": settings["optimizerRuns"]},
            "outputSelection": {"*": {"*": ["evm.deployedBytecode"]}},
            "remappings": [REMAPPING],
            "viaIR": settings["viaIR"],
        },
    }


def _run(solc: Path, request: Mapping[str, Any], folder: Path) -> Any:
    command = [str(solc), "--standard-json", "--base-path", str(folder)]
    told = _output(command, json.dumps(request))
    try:
        return json.loads(told)
    except ValueError as error:
        raise CompilerUnusable(path=solc, problem="answers no JSON") from error


def _output(command: list[str], text: str) -> str:
    try:
        done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    except OSError as error:
        raise CompilerUnusable(path=command[0], problem="cannot be run") from error
    return done.stdout


def _is_error(problem: Mapping[str, Any]) -> bool:
    return bool(problem["severity"] == "error")
