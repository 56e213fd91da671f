"""The n-th operation fails, for n = 1, 2, 3, ...: the caller is told by name, and can go on.

A statement or commit fails, or takes place and seems to fail; a request gets no answer, loses it,
or gets another. What escapes is a `MedledgerError`, and the same objects finish the work.
"""

from __future__ import annotations

from contextlib import closing

import pytest
from tests.faults.operations import ON_POSTGRESQL, ON_SQLITE, Fault, Watch, marks_of, watching
from tests.faults.scene import Scene
from tests.faults.story import tell_until_told
from tests.faults.walk import SEED, TIMEOUT, Walk, every

from medledger.errors import RpcUnavailable, StoreError

pytestmark = pytest.mark.timeout(TIMEOUT)

FAULTS = {"sqlite": ON_SQLITE, "postgresql": ON_POSTGRESQL}
STEP = {"sqlite": 41, "postgresql": 53}
"""Operations from one to the next; odd, so that each of the four faults has its turn."""
MARKS_STEP = 4
"""The same among those that leave a mark."""


def test_issue__an_operation_fails__the_same_program_goes_on(scene: Scene, walk: Walk) -> None:
    faults = FAULTS[scene.database]
    operations = scene.rehearse()
    marks = marks_of(operations)[SEED % MARKS_STEP :: MARKS_STEP]
    some = sorted({*marks, *every(STEP[scene.database], len(operations))})

    for at in walk.to(some):
        if not goes_on(scene, walk, faults[(at + SEED) % len(faults)], at):
            break

    walk.require(len(some) // 2)


def goes_on(scene: Scene, walk: Walk, fault: Fault, at: int) -> bool:
    """Whether the fault met an operation, and all is well nevertheless."""
    met: list[str] = []
    with (
        scene.run() as url,
        walk.told(at, lambda: f"{fault.name} at {met}"),
        closing(scene.hospital(url)) as hospital,
    ):
        with watching(Watch(scene.node, fault, at, met.append)):
            errors, heard = tell_until_told(hospital)

        # One fault, one error; and none where the sender asks the node again by itself.
        assert len(errors) <= 1
        assert all(isinstance(error, StoreError | RpcUnavailable) for error in errors)
        scene.verify_rest(hospital)
        scene.finish(url, heard)
    return bool(met)
