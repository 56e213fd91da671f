"""A process that ends before its n-th operation, for n = 1, 2, 3, ...: nothing lost, nothing twice.

As SQLite tests itself. The child is ended with `os._exit`; then a new program goes on.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from multiprocessing.connection import Connection

import pytest
from tests.faults.operations import END, ENDED, Watch, marks_of, watching
from tests.faults.scene import Scene
from tests.faults.story import tell
from tests.faults.walk import SEED, TIMEOUT, Walk, every

from medledger.store import DocumentStore

STEP = {"sqlite": 1, "postgresql": 4}
"""Of the operations that leave a mark, every so many."""

pytestmark = pytest.mark.timeout(TIMEOUT)


@dataclass
class End:
    """What is known of a process that ended: before which operation, empty where it was done."""

    met: str
    heard: list[tuple[str, int]]

    def __str__(self) -> str:
        return f"the process ended before {self.met}" if self.met else "the process was done"


def ended_at(node: str, at: int, run: Callable[[Watch, Connection], object]) -> End:
    """The end of a process that runs this, at the operation with this number or when it is done."""
    processes = multiprocessing.get_context("fork")
    ours, theirs = processes.Pipe(duplex=False)
    process = processes.Process(target=run, args=(Watch(node, END, at, theirs.send), theirs))
    process.start()
    process.join()
    said = []
    while ours.poll():
        said.append(ours.recv())
    ours.close()
    theirs.close()
    met = [one for one in said if isinstance(one, str)]
    assert process.exitcode == (ENDED if met else 0), f"it ended by itself, with {process.exitcode}"
    return End("".join(met), [one for one in said if not isinstance(one, str)])


# A hospital's work


def test_issue__the_process_ends_before_an_operation__a_new_one_finishes(
    scene: Scene, walk: Walk
) -> None:
    def work(watch: Watch, pipe: Connection) -> None:
        hospital = scene.hospital(url)
        with watching(watch):
            tell(hospital, pipe.send)

    step = STEP[scene.database]
    some = marks_of(scene.rehearse())[SEED % step :: step]

    for at in walk.to(some):
        with scene.run() as url:
            end = ended_at(scene.node, at, work)
            with walk.told(at, end.__str__):
                scene.finish(url, end.heard)
        if not end.met:
            break

    walk.require(len(some) // 2)


# A new store


def test_open__the_process_ends_before_an_operation__the_next_opens_it(
    empty_database: Callable[[], str], walk: Walk
) -> None:
    def open_(watch: Watch, pipe: Connection) -> None:
        with watching(watch):
            DocumentStore(url)

    for at in walk.to(every(2, 1_000)):
        url = empty_database()
        end = ended_at("", at, open_)
        with walk.told(at, end.__str__), closing(DocumentStore(url)) as store:
            store.check()
        if not end.met:
            break

    walk.require(2)
