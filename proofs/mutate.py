"""Break the contracts one rule at a time, and see the contract tests fail.

    .venv/bin/python -m proofs.mutate [--only WORD] [--budget MINUTES] [--model]
    .venv/bin/python -m proofs.mutate --machine Claims --budget 60 --tests test_claims.py ...

Each mutant of `mutants.toml` is applied to a copy, where the tests of its contract run until the
first failure. A mutant that they let live is an error. The tests are seen to pass on the copy
without a mutant before anything else, so that no mutant is killed by a fault of the copy.

Where `mutants.toml` says so, the model of the rules (tests/model/) must find the mutant, too: the
contracts of `model` are compiled with it, and put in place of those that ship. `--model` runs
nothing else.

With `--machine`, slither-mutate makes the mutants of one contract by itself and prints those that
live. Which of them matter is for a reader to say, so it never fails.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import time

from proofs.copies import ROOT, Mutant, copy, creation_codes, mutants
from toolchain.build_artifacts import ARTIFACTS

TIMEOUT_SECONDS = 900
"""For the tests of one file, or the model."""
STARTS = 2
"""Of ape for one mutant: on a busy machine it fails to start Anvil now and then."""
MODEL = "tests/model/test_model.py"

# All but RR and MWA: a revert in the place of each statement asks no more of the tests than to
# reach it, which coverage tells, and a loop in the place of an "if" mostly never ends.
MUTATORS = "CR,AOR,ASOR,BOR,FHR,LIR,LOR,MIA,MVIE,MVIV,ROR,SBR,UOR"

# With which slither-mutate compiles, to see whether a mutant is Solidity at all: as fast as can be.
FORGE = """
[profile.default]
src = "contracts"
test = "none"
out = ".build/forge/out"
cache_path = ".build/forge/cache"
libs = []
skip = ["*/.cache/*"]
remappings = ["@openzeppelin/contracts/=toolchain/node_modules/@openzeppelin/contracts/"]
auto_detect_remappings = false
offline = true
evm_version = "paris"
optimizer = false
"""


def main() -> int:
    """Report each mutant, and return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only", default="", help="mutants whose rule holds this word")
    parser.add_argument("--budget", type=float, default=60, help="minutes (default: %(default)s)")
    parser.add_argument("--model", action="store_true", help="only the model of the rules")
    parser.add_argument("--machine", metavar="CONTRACT", help="let slither-mutate break it")
    parser.add_argument(
        "--tests", nargs="+", default=[], metavar="FILE", help="with --machine: what is to notice"
    )
    arguments = parser.parse_args()
    if arguments.machine:
        if not arguments.tests:
            parser.error("--machine needs --tests")
        return machine(arguments.machine, arguments.tests, arguments.budget)

    chosen = [
        mutant
        for mutant in mutants()
        if arguments.only.lower() in mutant.rule.lower() and (mutant.model or not arguments.model)
    ]
    if not chosen:
        parser.error(f"no rule has {arguments.only!r} in it")
    if not are_sound(chosen, arguments.model):
        print("mutants: the tests do not pass on the contracts as they are", file=sys.stderr)
        return 1

    started, survivors, left = time.monotonic(), 0, 0
    for mutant in chosen:
        if time.monotonic() - started > arguments.budget * 60:
            left += 1
        else:
            survivors += survives(mutant, arguments.model)
    total = time.monotonic() - started
    print(f"mutants: {len(chosen)} in {total:.0f} s, {survivors} survive, {left} out of budget")
    return int(survivors + left > 0)


def are_sound(chosen: list[Mutant], only_model: bool) -> bool:
    """Whether what is to kill these mutants passes where there is none."""
    files = sorted({file for mutant in chosen for file in mutant.tests})
    if not only_model and not passes(None, files):
        return False
    return model_fails(None) is None if any(mutant.model for mutant in chosen) else True


def survives(mutant: Mutant, only_model: bool) -> int:
    """How many of those that should kill it do not; prints each."""
    alive = 0
    if not only_model:
        begun = time.monotonic()
        alive += report(mutant, "tests", begun, not passes(mutant, list(mutant.tests)))
    if mutant.model:
        begun = time.monotonic()
        place = model_fails(mutant)
        alive += report(mutant, place or "model", begun, place is not None)
    return alive


def report(mutant: Mutant, by: str, begun: float, is_killed: bool) -> int:
    """Print what became of a mutant; 1 where it lives."""
    word = "killed" if is_killed else "SURVIVES"
    taken = time.monotonic() - begun
    print(f"{word:8} {taken:4.0f} s  {mutant.file}: {mutant.rule} ({by})", flush=True)
    return int(not is_killed)


def path_of(file: str) -> str:
    """Where a test file of the contracts is, from the root."""
    folder = "attacks" if (ROOT / "tests" / "attacks" / file).is_file() else "contracts"
    return f"tests/{folder}/{file}"


def passes(mutant: Mutant | None, files: list[str]) -> bool:
    """Whether these test files pass on a copy with the mutant."""
    with copy(mutant) as root:
        data = root / "ape"
        data.mkdir()
        command = [ROOT / ".venv" / "bin" / "ape", "test", *map(path_of, files)]
        for _ in range(STARTS):
            run = subprocess.run(
                [*command, "--exitfirst", "--quiet", "--timeout=0"],
                cwd=root,
                env={**os.environ, "APE_DATA_FOLDER": str(data), "MEDLEDGER_UNOPTIMISED": "1"},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=TIMEOUT_SECONDS * len(files),
            )
            # 1: a test failed. Anything else but 0 says that no test ran, which kills nothing.
            if run.returncode in (0, 1) and " error" not in run.stdout.splitlines()[-1]:
                return run.returncode == 0
        raise SystemExit(f"mutants: ape ended with {run.returncode}\n{run.stdout[-3000:]}")


def model_fails(mutant: Mutant | None) -> str | None:
    """At which seed and step the model finds the mutant; None where it does not."""
    with copy(mutant) as root:
        (root / "src").unlink()
        shutil.copytree(ROOT / "src", root / "src")
        if mutant is not None:
            for name, code in creation_codes(mutant, mutant.model, root).items():
                path = root / ARTIFACTS.relative_to(ROOT) / f"{name}.json"
                artifact = json.loads(path.read_text("utf-8"))
                path.write_text(json.dumps(artifact | {"bytecode": code}), "utf-8")
        run = subprocess.run(
            [ROOT / ".venv" / "bin" / "pytest", MODEL, "--exitfirst", "--quiet"],
            cwd=root,
            env={**os.environ, "PYTHONPATH": str(root / "src")},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=TIMEOUT_SECONDS,
        )
        if run.returncode == 0:
            return None
        place = re.search(r"AssertionError: (seed \d+, step \d+, after \d+ steps)", run.stdout)
        if run.returncode != 1 or place is None:
            raise SystemExit(f"mutants: pytest ended with {run.returncode}\n{run.stdout[-3000:]}")
        return f"model: {place[1]}"


def machine(contract: str, tests: list[str], budget: float) -> int:
    """Run slither-mutate on a copy for `budget` minutes; it prints what it does."""
    proofs = ROOT / ".venv" / "proofs" / "bin"
    with copy() as root:
        (root / "foundry.toml").write_text(FORGE, encoding="utf-8")
        (root / "ape").mkdir()
        ape = ROOT / ".venv" / "bin" / "ape"
        command = [
            proofs / "slither-mutate", f"contracts/{contract}.sol", "--verbose",
            "--compile-force-framework", "foundry", "--timeout", str(TIMEOUT_SECONDS),
            "--mutators-to-run", MUTATORS,
            "--test-cmd", f"{ape} test {' '.join(map(path_of, tests))} --exitfirst --quiet",
        ]  # fmt: skip
        environment = {
            **os.environ,
            "APE_DATA_FOLDER": str(root / "ape"),
            "MEDLEDGER_UNOPTIMISED": "1",
            "FOUNDRY_SOLC": str(ROOT / ".venv" / "bin" / "solc"),
            "PATH": os.pathsep.join([str(proofs), str(ROOT / ".venv" / "bin"), os.environ["PATH"]]),
        }
        try:
            subprocess.run(command, cwd=root, env=environment, timeout=budget * 60)
        except subprocess.TimeoutExpired:
            print(f"mutants: {budget:.0f} minutes are over")
    return 0


if __name__ == "__main__":
    sys.exit(main())
