"""Seeds: 50 in every run, 500 in `make soak`, one by `make simulate SEED=n`."""

from __future__ import annotations

import os
import time

import pytest
from tests.simulation.conftest import Run


def _seeds() -> list[int]:
    if only := os.environ.get("MEDLEDGER_SEED"):
        return [int(only)]
    count = 500 if os.environ.get("MEDLEDGER_SOAK") else 50
    return list(range(1, count + 1))


@pytest.mark.parametrize("seed", _seeds())
def test_simulation__of_a_seed__keeps_every_invariant(seed: int, begin: Run) -> None:
    say = print if "MEDLEDGER_SEED" in os.environ else lambda line: None
    began = time.process_time()

    simulation = begin(seed, say=say)

    assert simulation.done == simulation.commands
    faults = sum(simulation.faults.counts.values())
    print(f"seed {seed}: {faults} faults, {time.process_time() - began:.1f} s")
