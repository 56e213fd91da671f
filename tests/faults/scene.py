"""A node and a database, as new for each run, and what must be true when a run is over."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace

from sqlalchemy import text
from tests.faults.operations import Watch, watching
from tests.faults.story import KEYS, tell
from tests.roles.world import Deployment, key_of
from tests.store.samples import TABLES, other_program

from medledger.chain.deployment import connect
from medledger.chain.keys import address_of
from medledger.chain.rpc import Rpc
from medledger.roles import Auditor, Hospital
from medledger.store import DocumentStore

CONFIRMATIONS = 2
"""So that what is mined is seen before it is final."""


class Scene:
    """A node with the contracts on it, and a database; every run begins with both as new."""

    def __init__(self, deployment: Deployment, database: str, fresh: Callable[[], str]) -> None:
        self.database = database
        self.segment = deployment.bills
        self._fresh = fresh
        self._rpc = deployment.ledgers.rpc
        self._manifest = replace(deployment.ledgers.manifest, confirmations=CONFIRMATIONS)
        self.node = self._rpc.url

    @contextmanager
    def run(self) -> Iterator[str]:
        """The address of an empty store."""
        snapshot = self._rpc.request("evm_snapshot")
        try:
            yield self._fresh()
        finally:
            # The pool is no part of a snapshot.
            self._rpc.request("anvil_dropAllTransactions")
            assert self._rpc.request("evm_revert", snapshot)

    def hospital(self, url: str) -> Hospital:
        """As a new program has it: nothing in memory."""
        ledgers = connect(Rpc(self.node), self._manifest)
        return Hospital(ledgers, key_of("hospital"), url)

    def rehearse(self) -> list[str]:
        """The operations of a story that nothing disturbs."""
        with self.run() as url, closing(self.hospital(url)) as hospital:
            with watching(Watch(self.node)) as watch:
                tell(hospital)
            self.verify(hospital)
        return watch.seen

    def finish(self, url: str, heard: Iterable[tuple[str, int]] = ()) -> None:
        """A new program tells what is missing, and everything is as it should be then.

        What an earlier one gave its caller, a business key with its number, still holds.
        """
        with closing(self.hospital(url)) as hospital:
            with watching(Watch(self.node)):
                hospital.resume()
                tell(hospital)
            self.verify(hospital)
            given = hospital.store.numbers_of(hospital.ledgers.invoices.address, KEYS)
            assert all(given[key] == number for key, number in heard)

    def verify(self, hospital: Hospital) -> None:
        """The invariants 1 to 5."""
        self.verify_rest(hospital)
        self._verify_chain(hospital)
        self._verify_evidence(hospital)

    def verify_rest(self, hospital: Hospital) -> None:
        """What is quick to see: nothing is missing, and nothing is on its way."""
        self._verify_numbers(hospital)
        self._verify_signer(hospital)

    def _verify_numbers(self, hospital: Hospital) -> None:
        ledger = hospital.ledgers.invoices
        allotted = ledger.segment_of(self.segment)
        numbers = hospital.store.numbers(ledger.address)
        stored = hospital.store.segment(ledger.address, self.segment)
        # One for each business key, and the red letter.
        assert numbers == list(range(allotted.first, allotted.first + len(KEYS) + 1))
        assert hospital.store.numbers_of(ledger.address, KEYS).keys() == set(KEYS)
        assert stored is not None
        assert stored.next == allotted.next == numbers[-1] + 1
        assert hospital.store.unissued() == []
        assert list(hospital.outbox().documents()) == []

    def _verify_signer(self, hospital: Hospital) -> None:
        address = address_of(key_of("hospital"))
        used = {
            self._rpc.integer(self._rpc.request("eth_getTransactionCount", address, block))
            for block in ("latest", "pending")
        }
        assert used == {hospital.store.journal.next_nonce(address)}
        assert hospital.outbox().transactions() == []

    def _verify_chain(self, hospital: Hospital) -> None:
        audit = Auditor(hospital.ledgers).audit()
        assert audit.mismatches == []
        assert audit.state.bills.issued == len(KEYS) + 1
        assert audit.state.counts["DocumentHeld"] == 1
        assert audit.state.counts["InvoiceReversed"] == 1

    def _verify_evidence(self, hospital: Hospital) -> None:
        ledger = hospital.ledgers.invoices
        *numbers, red_letter = hospital.store.numbers(ledger.address)
        for number in numbers:
            # In full only once: a trace of each would cost more than all the rest.
            evidence = hospital.evidence(number)
            assert evidence.verify_offline() == ledger.head_hash_of(evidence.head.first)
        Auditor(hospital.ledgers).verify(hospital.evidence(red_letter))


def postgres_scene(deployment: Deployment, url: str) -> Scene:
    """With the store in an empty database of a server."""
    DocumentStore(url).close()

    def fresh() -> str:
        with other_program(url) as engine, engine.begin() as connection:
            connection.execute(text(f"TRUNCATE {', '.join(TABLES)} RESTART IDENTITY"))
        return url

    return Scene(deployment, "postgresql", fresh)
