"""The disk is full, or the database server is gone, in the middle of a hospital's work."""

from __future__ import annotations

import multiprocessing
import resource
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from itertools import count
from typing import Any

import pytest
from tests.faults.operations import Watch, killing, watching
from tests.faults.scene import Scene, postgres_scene
from tests.faults.story import tell_until_told
from tests.faults.walk import TIMEOUT, Walk, every
from tests.roles.world import Deployment
from tests.store.postgres import Postgres, fresh_database
from tests.store.samples import at_each

from medledger.errors import StoreError

PLENTY = 1_000_000
PAGE = 16 * 1024
FULL = 7
"""Exit code of a process that was told so, and went on."""
LOG_STEP = 15
"""Pages from one limit of the write-ahead log to the next."""
KILL_STEP = 65
"""Operations from one end of the server to the next."""

pytestmark = pytest.mark.timeout(TIMEOUT)

# The disk is full


def test_issue__no_more_pages_for_the_database__goes_on_once_there_are(
    on_sqlite: Scene, walk: Walk
) -> None:
    for at in walk.to(count(1)):
        with on_sqlite.run() as url, walk.told(at, lambda: "pages"):
            limit = Limit(pages_of(url) + at - 1)
            with (
                closing(on_sqlite.hospital(url)) as hospital,
                watching(Watch(on_sqlite.node)),
                at_each("checkout", limit.impose),
            ):
                errors, heard = tell_until_told(hospital, limit.lift)
                assert all("disk is full" in str(error) for error in errors)
            on_sqlite.finish(url, heard)
        if not errors:
            break

    walk.require(2)


class Limit:
    """How many pages a database may have."""

    def __init__(self, pages: int) -> None:
        self._pages = pages

    def impose(self, connection: Any, *_: object) -> None:
        connection.execute(f"PRAGMA max_page_count={self._pages}")

    def lift(self) -> None:
        self._pages = PLENTY


def pages_of(url: str) -> int:
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
        pages: int = connection.execute("PRAGMA page_count").fetchone()[0]
    return pages


def test_issue__files_can_grow_no_further__goes_on_once_they_can(
    on_sqlite: Scene, walk: Walk
) -> None:
    def work(pages: int) -> None:
        with closing(on_sqlite.hospital(url)) as hospital, watching(Watch(on_sqlite.node)):
            resource.setrlimit(resource.RLIMIT_FSIZE, (pages * PAGE, resource.RLIM_INFINITY))
            errors, _ = tell_until_told(hospital, lift_file_limit)
        assert all(isinstance(error, StoreError) for error in errors)
        sys.exit(FULL if errors else 0)

    for at in walk.to(every(LOG_STEP, 10_000)):
        with on_sqlite.run() as url, walk.told(at, lambda: "pages of the log"):
            process = multiprocessing.get_context("fork").Process(target=work, args=(at,))
            process.start()
            process.join()
            assert process.exitcode in (0, FULL)
            on_sqlite.finish(url)
        if process.exitcode == 0:
            break

    walk.require(2)


def lift_file_limit() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


# The server is gone


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    with Postgres() as server:
        yield server


@pytest.fixture
def served(server: Postgres, deployment: Deployment) -> Scene:
    return postgres_scene(deployment, fresh_database(server.url))


def test_issue__the_server_is_killed_at_an_operation__goes_on_once_it_is_back(
    served: Scene, server: Postgres, walk: Walk
) -> None:
    length = len(served.rehearse())

    for at in walk.to(every(KILL_STEP, length)):
        if not goes_on(served, server, walk, at):
            break

    walk.require(length // KILL_STEP // 2)


def goes_on(scene: Scene, server: Postgres, walk: Walk, at: int) -> bool:
    """Whether there was such an operation, and all is well though the server was killed there."""
    met: list[str] = []
    with (
        scene.run() as url,
        walk.told(at, lambda: f"the server was killed at {met}"),
        closing(scene.hospital(url)) as hospital,
    ):
        with watching(Watch(scene.node, killing(server.crash), at, met.append)):
            errors, heard = tell_until_told(hospital, server.start)
        assert all(isinstance(error, StoreError) for error in errors)
        assert len(errors) == len(met)
        scene.verify_rest(hospital)
        scene.finish(url, heard)
    return bool(met)
