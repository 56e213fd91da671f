"""A small folder of real FHIR, cut from the sample, and the demo run once on Anvil."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from medledger.chain.local import LocalChain
from medledger.demo import DemoResult, run_demo

SAMPLE = Path(__file__).parents[2] / "examples" / "synthea"
CLAIMS, ORDERS = 60, 12


@pytest.fixture(scope="session")
def small_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first 60 claims of the sample with their explanations, and twelve active orders."""
    folder = tmp_path_factory.mktemp("fhir")
    for source in SAMPLE.glob("*.ndjson.gz"):
        (folder / source.name).write_bytes(source.read_bytes())
    claims = _lines("Claim")[:CLAIMS]
    ids = {json.loads(line)["id"] for line in claims}
    explanations = [
        line
        for line in _lines("ExplanationOfBenefit")
        if json.loads(line)["claim"]["reference"].removeprefix("urn:uuid:") in ids
    ]
    active = [
        line for line in _lines("MedicationRequest") if json.loads(line)["status"] == "active"
    ]
    _write(folder, "Claim", claims)
    _write(folder, "ExplanationOfBenefit", explanations)
    _write(folder, "MedicationRequest", active[:ORDERS])
    return folder


@pytest.fixture(scope="session")
def chain() -> Iterator[LocalChain]:
    with LocalChain() as chain:
        yield chain


@pytest.fixture(scope="session")
def result(
    chain: LocalChain, small_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> DemoResult:
    """The demo's whole story on `chain`, which nobody changes after it."""
    return run_demo(small_folder, out=tmp_path_factory.mktemp("demo"), rpc_url=chain.url)


def _lines(kind: str) -> list[str]:
    with gzip.open(SAMPLE / f"{kind}.ndjson.gz", "rt", encoding="utf-8") as file:
        return list(file)


def _write(folder: Path, kind: str, lines: list[str]) -> None:
    (folder / f"{kind}.ndjson.gz").unlink()
    (folder / f"{kind}.ndjson").write_text("".join(lines), "utf-8")
