"""One seed, the same faults, the same result."""

from __future__ import annotations

import pytest
from tests.simulation.conftest import Run


@pytest.mark.parametrize("seed", [4, 7, 13])
def test_simulation__the_same_seed_twice__does_the_same(seed: int, begin: Run) -> None:
    first = begin(seed, commands=80)
    begin(seed + 1, commands=10)
    second = begin(seed, commands=80)

    assert second.trace == first.trace
