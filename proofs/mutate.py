"""Break the contracts one rule at a time, and see the contract tests fail.

    .venv/bin/python proofs/mutate.py [--only WORD] [--budget MINUTES]

Each mutant of `mutants.toml` is applied to a copy, where the tests of its contract run until the first
failure. A mutant that they let live is an error. The tests are seen to pass on the copy without a mutant
before anything else, so that no mutant is killed by a fault of the copy.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

from copies import ROOT, Mutant, copy, mutants

TIMEOUT_SECONDS = 900


def main() -> int:
    """Report each mutant, and return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only", default="", help="mutants whose rule holds this word")
    parser.add_argument("--budget", type=float, default=60, help="minutes (default: %(default)s)")
    arguments = parser.parse_args()

    chosen = [mutant for mutant in mutants() if arguments.only.lower() in mutant.rule.lower()]
    started = time.monotonic()
    files = sorted({file for mutant in chosen for file in mutant.tests})
    if not passes(None, files):
        print("mutants: the tests do not pass on the contracts as they are", file=sys.stderr)
        return 1

    survivors, left = 0, 0
    for mutant in chosen:
        if time.monotonic() - started > arguments.budget * 60:
            left += 1
            continue
        begun = time.monotonic()
        alive = passes(mutant, list(mutant.tests))
        survivors += alive
        word = "SURVIVES" if alive else "killed"
        print(f"{word:8} {time.monotonic() - begun:4.0f} s  {mutant.file}: {mutant.rule}", flush=True)
    total = time.monotonic() - started
    print(f"mutants: {len(chosen)} in {total:.0f} s, {survivors} survive, {left} out of budget")
    return int(survivors + left > 0)


def passes(mutant: Mutant | None, files: list[str]) -> bool:
    """Whether these test files pass on a copy with the mutant."""
    with copy(mutant) as root:
        paths = [str(Path("tests", "contracts", file)) for file in files]
        data = root / "ape"
        data.mkdir()
        run = subprocess.run(
            [ROOT / ".venv" / "bin" / "ape", "test", *paths, "--exitfirst", "--quiet"],
            cwd=root,
            env={**os.environ, "APE_DATA_FOLDER": str(data)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=TIMEOUT_SECONDS,
        )
        # 1: a test failed. Anything else but 0 says that no test ran, which kills nothing.
        if run.returncode not in (0, 1) or " error" in run.stdout.splitlines()[-1]:
            raise SystemExit(f"mutants: the tests did not run\n{run.stdout[-3000:]}")
        return run.returncode == 0


if __name__ == "__main__":
    sys.exit(main())
