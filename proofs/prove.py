"""Prove the properties of this folder with halmos, and see each of them fail on a broken contract.

    .venv/bin/python -m proofs.prove [--only WORD]

First every `check_...` function must hold on the contracts: on the bytecode of the artifacts that
ship. Then each mutant of `mutants.toml` that names a property is compiled with the same settings,
and halmos must find a counterexample: a property that holds on anything proves nothing. What is
proven within which bounds stands in docs/proofs.md.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

from proofs.copies import ROOT, Mutant, copy, creation_codes, mutants
from toolchain.build_artifacts import ARTIFACTS

PROPERTY = re.compile(r"function (check_\w+)")
HOLDS, COUNTEREXAMPLE, STOPPED = 0, 1, -1
OUTCOMES = {
    HOLDS: "holds",
    COUNTEREXAMPLE: "counterexample",
    2: "solver gave up",
    3: "halmos was stuck",
    4: "never ran to its end",
    5: "exception",
    STOPPED: "reached the loop bound",
}


def main() -> int:
    """Report each property and each mutant, and return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only", default="", help="properties whose name holds this word")
    arguments = parser.parse_args()

    wanted = [name for name in properties() if arguments.only.lower() in name.lower()]
    if not wanted:
        parser.error(f"no property has {arguments.only!r} in its name")
    failures = 0
    shipped = {path.stem: json.loads(path.read_text("utf-8")) for path in ARTIFACTS.glob("*.json")}
    codes = {name: artifact["bytecode"] for name, artifact in shipped.items()}
    hand_over(codes, ROOT)
    for name in wanted:
        failures += not report(name, ROOT, HOLDS, "")
    for mutant in mutants():
        if mutant.property in wanted:
            with copy(mutant) as root:
                hand_over(codes | broken_codes(mutant, root), root)
                failures += not report(
                    mutant.property, root, COUNTEREXAMPLE, f" without: {mutant.rule}"
                )
    if unbroken := set(wanted) - {mutant.property for mutant in mutants()}:
        print(f"prove: no mutant breaks {', '.join(sorted(unbroken))}", file=sys.stderr)
    return int(failures > 0 or bool(unbroken))


def hand_over(codes: dict[str, str], root: Path) -> None:
    """Put the creation code of each contract where proofs/Fixture.sol asks halmos for it."""
    folder = root / ".build" / "proofs" / "code"
    folder.mkdir(parents=True, exist_ok=True)
    for name, code in codes.items():
        (folder / f"{name}.json").write_text(json.dumps({"bytecode": {"object": code}}), "utf-8")


def broken_codes(mutant: Mutant, root: Path) -> dict[str, str]:
    """Creation code of the contracts that a mutant changes and its property deploys, by name."""
    if mutant.deployed == ():
        return {}
    return creation_codes(mutant, mutant.deployed or (Path(mutant.file).stem,), root)


def properties() -> list[str]:
    """`Contract.check_...` of every property."""
    return [
        f"{path.stem}.{name}"
        for path in sorted((ROOT / "proofs").glob("*.sol"))
        for name in PROPERTY.findall(path.read_text(encoding="utf-8"))
    ]


def report(name: str, root: Path, expected: int, situation: str) -> bool:
    """Whether halmos says of the property below `root` what is expected; prints the outcome."""
    begun = time.monotonic()
    outcome, output = halmos(name, root)
    as_expected = outcome == expected
    word = "ok " if as_expected else "BAD"
    taken = time.monotonic() - begun
    print(f"{word} {taken:4.0f} s  {name}: {OUTCOMES.get(outcome, outcome)}{situation}", flush=True)
    if not as_expected:
        print("\n".join(output.splitlines()[-40:]))
    return as_expected


def halmos(name: str, root: Path) -> tuple[int, str]:
    """The exit code that halmos gives this property, and all that it printed."""
    contract, function = name.split(".")
    answer = root / ".build" / "proofs" / f"{name}.json"
    answer.parent.mkdir(parents=True, exist_ok=True)
    answer.unlink(missing_ok=True)
    folders = (ROOT / ".venv" / "proofs" / "bin", ROOT / ".venv" / "bin", os.environ["PATH"])
    run = subprocess.run(
        ["halmos", "--root", "proofs", "--forge-build-out", "../.build/proofs/out",
         "--contract", contract, "--function", function, "--json-output", answer,
         "--loop", "8", "--solver", "yices", "--no-status", "--early-exit",
         "--solver-timeout-branching", "20ms", "--solver-timeout-assertion", "0"],
        cwd=root,
        env={**os.environ, "PATH": os.pathsep.join(map(str, folders)),
             "FOUNDRY_SOLC": str(ROOT / ".venv" / "bin" / "solc")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )  # fmt: skip
    if not answer.is_file():
        raise SystemExit(f"prove: halmos did not run\n{run.stdout[-3000:]}")
    results = json.loads(answer.read_text(encoding="utf-8"))["test_results"]
    ((result,),) = results.values()
    # A proof that left paths beyond the loop bound aside is none.
    outcome = result["exitcode"] or (STOPPED if result["num_bounded_loops"] else HOLDS)
    return outcome, run.stdout


if __name__ == "__main__":
    sys.exit(main())
