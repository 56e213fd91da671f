"""An auditor whose index follows the seed's chain, through faults and ends of its own.

It draws from random generators of its own, so that a seed does the same with and without it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from random import Random
from types import TracebackType
from typing import Any

from sqlalchemy import select
from tests.simulation.faults import Faults, Rates, Stop
from tests.store.postgres import fresh_database, postgres

from medledger.chain.deployment import Ledgers, connect
from medledger.chain.rpc import Rpc
from medledger.errors import MedledgerError
from medledger.index import EventIndex
from medledger.index.schema import blocks, events, progress, refused
from medledger.roles import Auditor

OFTEN = 0.12
"""Syncs a command."""

Row = tuple[Any, ...]


class Immediately:
    """In place of the thread that reads ahead: one seed must do the same each time."""

    def __init__(self, _threads: int) -> None: ...

    def __enter__(self) -> Immediately:
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None: ...

    def submit(self, act: Callable[..., Any], *given: Any) -> Future[Any]:
        done: Future[Any] = Future()
        try:
            done.set_result(act(*given))
        except BaseException as error:  # noqa: BLE001 - as a thread's, it is told by `result`
            done.set_exception(error)
        return done


class Following:
    """The index of one seed. `ledgers` are on the line on which faults happen."""

    def __init__(self, seed: int, folder: Path, faults: Faults, ledgers: Ledgers) -> None:
        self._random = Random(f"auditor of seed {seed}")
        self._faults, self._ledgers, self._folder = faults, ledgers, folder
        self._manifest = ledgers.manifest
        self._rates = Rates(
            node=self._random.choice([0.0, 0.01, 0.05]),
            database=self._random.choice([0.0, 0.01]),
            stop=self._random.choice([0.0, 0.005]),
        )
        self.url = self._new_database("index")
        self._index = EventIndex(self.url, self._manifest)

    def close(self) -> None:
        self._index.close()

    def perhaps(self) -> str | None:
        """Syncs now and then; what came of it, None where it did nothing."""
        if self._random.random() >= OFTEN:
            return None
        try:
            with self._faults.of_another(self._random, self._rates):
                done = Auditor(self._ledgers).sync(self._index)
        except MedledgerError as error:
            return error.name
        except Stop as stop:
            self._index.close()
            self._index = EventIndex(self.url, self._manifest)
            return f"stopped {stop}"
        return f"to block {done.block}, {done.events} events, {done.rolled_back} blocks again"

    def problems(self, rpc: Rpc) -> Iterator[str]:
        """Where the index is not, byte for byte, what a new one of the same chain is."""
        auditor = Auditor(connect(rpc, self._manifest))
        auditor.sync(self._index)
        anew = EventIndex(self._new_database("anew"), self._manifest)
        try:
            auditor.sync(anew)
            for table in (progress, blocks, events, refused):
                kept, found = (_rows(index, table) for index in (self._index, anew))
                if kept != found:
                    differing = sorted(set(kept) ^ set(found), key=repr)[:3]
                    yield f"{table.name} of the index and of a new one differ in {differing}"
        finally:
            anew.close()

    def _new_database(self, name: str) -> str:
        if self._random.random() < 0.2:
            with postgres() as server:
                return fresh_database(server)
        return f"sqlite:///{self._folder / name}.db"


def _rows(index: EventIndex, table: Any) -> list[Row]:
    keys = list(table.primary_key)
    with index._database.reading() as connection:
        found = connection.execute(select(table).order_by(*keys))
        return [tuple(bytes(v) if isinstance(v, memoryview) else v for v in row) for row in found]
