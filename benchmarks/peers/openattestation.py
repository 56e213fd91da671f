"""OpenAttestation in Node: `openattestation.cjs` measures, this starts it and reads its figures."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

import click

from benchmarks.peers.packages import FOLDER, tool


@dataclass(frozen=True, slots=True)
class OpenAttestationFigures:
    """Bills a second of one process, or of several together."""

    wrap: float
    verify: float
    verify_json: float


def measure_openattestation(bills: Path, *, batch: int, processes: int) -> OpenAttestationFigures:
    """Seals and verifies the same file in each of `processes` at the same time; rates add up."""
    command = [tool("node"), "openattestation.cjs", str(bills.resolve()), str(batch)]
    started = [
        subprocess.Popen(command, cwd=FOLDER, stdout=subprocess.PIPE, text=True)
        for _ in range(processes)
    ]
    try:
        found = [_figures(process) for process in started]
    finally:
        for process in started:
            process.kill()
    return OpenAttestationFigures(
        wrap=sum(figures.wrap for figures in found),
        verify=sum(figures.verify for figures in found),
        verify_json=sum(figures.verify_json for figures in found),
    )


def _figures(process: subprocess.Popen[str]) -> OpenAttestationFigures:
    printed, _ = process.communicate()
    if process.returncode != 0:
        raise click.ClickException(f"openattestation.cjs ended with {process.returncode}")
    return OpenAttestationFigures(**json.loads(printed))
