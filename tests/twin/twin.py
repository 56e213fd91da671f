"""The twin as a process, and what the Python verifier says of the same file."""

from __future__ import annotations

import base64
import json
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

from medledger.core.evidence import Evidence
from medledger.core.numbers import format_number
from medledger.errors import EvidenceError

ROOT = Path(__file__).parents[2]
NODE = ROOT / ".venv" / "bin" / "node"
COMPILER = ROOT / "twin" / "node_modules" / "typescript" / "bin" / "tsc"


@cache
def main() -> Path:
    """The twin's program, compiled once a run from the sources of now."""
    command = [NODE, COMPILER, "--project", ROOT / "twin"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout
    return ROOT / "twin" / "dist" / "main.js"


class Twin:
    """One process that answers a line for each line."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [NODE, main(), "lines"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    def verdict(self, file: bytes) -> dict[str, Any]:
        """Number, kind and head hash of evidence that holds offline; else step and error."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(base64.b64encode(file) + b"\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        answer.pop("reason", None)
        answer.pop("steps", None)
        return answer

    def close(self) -> None:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.close()
        self._process.stdout.close()
        assert self._process.wait(10) == 0


def python_verdict(file: bytes) -> dict[str, Any]:
    """The same of medledger's own verifier."""
    try:
        evidence = Evidence.from_json(file)
        head = evidence.verify_offline()
    except EvidenceError as error:
        return {"holds": False, "step": error.step, "error": type(error).__name__}
    return {
        "holds": True,
        "number": format_number(evidence.number),
        "kind": evidence.kind,
        "headHash": "0x" + head.hex(),
    }


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """A command of the twin, run to its end."""
    return subprocess.run([NODE, main(), *arguments], capture_output=True, text=True, timeout=60)
