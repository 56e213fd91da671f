"""Two programs with one store and one key, each killed again and again at any operation."""

from __future__ import annotations

import multiprocessing
import signal
from contextlib import closing
from multiprocessing.connection import wait
from random import Random
from typing import Any

import pytest
from tests.faults.operations import KILLED, Watch, watching
from tests.faults.scene import Scene
from tests.faults.story import tell
from tests.faults.walk import IS_SOAK, SEED, TIMEOUT, Walk

ROUNDS = 30 if IS_SOAK else 2
KILLS = 4
"""In a round, of each program; then it may finish."""

pytestmark = pytest.mark.timeout(TIMEOUT)


def test_issue__two_programs_that_are_killed_again_and_again__everything_once(
    scene: Scene, walk: Walk
) -> None:
    length = len(scene.rehearse())

    for round_ in walk.to(range(1, ROUNDS + 1)):
        random = Random(f"{SEED} {round_}")
        ends = [[random.randrange(1, length) for _ in range(KILLS)] for _ in range(2)]
        with scene.run() as url, walk.told(round_, lambda: f"killed at {ends}"):  # noqa: B023
            run_together(scene, url, ends)
            scene.finish(url)
        if round_ == ROUNDS:
            break

    walk.require(ROUNDS)


def run_together(scene: Scene, url: str, ends: list[list[int]]) -> None:
    """Runs a program for each list, which is killed at each of these operations, and started again.

    After the last it goes on to its end.
    """

    def work(at: int) -> None:
        with closing(scene.hospital(url)) as hospital, watching(Watch(scene.node, KILLED, at)):
            tell(hospital)

    processes = multiprocessing.get_context("fork")
    waiting = [[*given, 0] for given in ends]
    running: dict[int, Any] = {}
    while running or any(waiting):
        for left in waiting:
            if left and id(left) not in running:
                running[id(left)] = processes.Process(target=work, args=(left.pop(0),))
                running[id(left)].start()
        wait([process.sentinel for process in running.values()])
        for name, process in list(running.items()):
            if not process.is_alive():
                process.join()
                # It came to its end where the other had done the rest.
                assert process.exitcode in (0, -signal.SIGKILL)
                del running[name]
