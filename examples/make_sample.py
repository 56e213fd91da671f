"""Cuts the sample in `synthea/` out of a larger FHIR export: ten patients and all they refer to.

    python examples/make_sample.py DATA_DIR

Lines are copied as they are, in their order, and compressed without time or name, so that a
second run gives the same bytes (with the same zlib). Needs nothing but Python.
"""

from __future__ import annotations

import gzip
import json
import re
import sys
from pathlib import Path

# Chosen so that the sample has each kind of bill and prescription that the export has.
PATIENTS = {
    "8853c047-ec02-4edc-a2ab-487086e0cbf1": "Medicare; all four classes of encounter",
    "50d42fb6-9df0-4781-9687-575ea5a31c3f": "four private insurers; stays in hospital",
    "8b1a5ea4-a4a8-41c8-a905-70d1c9b855be": "three private insurers",
    "d1cfe6a3-2c6f-438d-9fe1-0b6d89b96c9e": "most active orders; a charge with two codes",
    "34d3abce-58c3-464d-8da9-7067e24fc768": "Medicaid: public, without a benefit",
    "4d0a8c5e-ac4b-4daa-9a31-f2f47b1f69b5": "uninsured; an encounter that ends before it starts",
    "6a0c9014-b262-42d5-9762-c00a2041c240": "orders whose dosage gives the quantity",
    "be659ac6-374d-4892-970e-00abd93dcd0e": "a daily dosage for a duration",
    "a0377f8c-4614-431a-b67f-45d22444af9b": "stopped orders only",
    "2436846c-9ae4-474c-b43c-c3c7dc46a146": "five visits, no drug",
}

# Resource type to the element that names its patient.
OF_PATIENT = {
    "Claim": "patient",
    "ExplanationOfBenefit": "patient",
    "Encounter": "subject",
    "Coverage": "beneficiary",
    "MedicationRequest": "subject",
}


def main(source: Path, goal: Path) -> None:
    goal.mkdir(exist_ok=True)
    named: set[str] = set(PATIENTS)
    for kind, element in OF_PATIENT.items():
        lines = [line for line in read(source, kind) if patient_of(line, element) in PATIENTS]
        named.update(re.findall(r'"urn:uuid:([^"]+)"', "".join(lines)))
        write(goal, kind, lines)
    for kind in ("Patient", "Organization", "Practitioner"):
        write(goal, kind, [line for line in read(source, kind) if json.loads(line)["id"] in named])


def patient_of(line: str, element: str) -> str:
    reference: str = json.loads(line)[element]["reference"]
    return reference.removeprefix("urn:uuid:")


def read(folder: Path, kind: str) -> list[str]:
    with gzip.open(folder / f"{kind}.ndjson.gz", "rt", encoding="utf-8", newline="\n") as file:
        return list(file)


def write(folder: Path, kind: str, lines: list[str]) -> None:
    path = folder / f"{kind}.ndjson.gz"
    path.write_bytes(gzip.compress("".join(lines).encode(), compresslevel=9, mtime=0))
    print(f"{kind}: {len(lines)} lines, {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python examples/make_sample.py DATA_DIR")
    main(Path(sys.argv[1]), Path(__file__).parent / "synthea")
