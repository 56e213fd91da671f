"""A chain of its own with one hospital on it, for one measurement."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from medledger.bench.bills import HOSPITAL
from medledger.chain.deployment import Ledgers, connect, deploy
from medledger.chain.keys import address_of
from medledger.chain.local import LocalChain
from medledger.chain.rpc import Rpc
from medledger.chain.sender import Receipt
from medledger.core.states import Kind
from medledger.roles import Hospital, Supervisor

BILL_CODE, PRESCRIPTION_CODE = 46060126, 46080126
LAST_SERIAL = 9_999_999_999


@dataclass(slots=True)
class Stage:
    """A deployment with an accredited hospital that has all numbers of two codes."""

    ledgers: Ledgers
    supervisor: Supervisor
    hospital: Hospital
    receipts: list[Receipt] = field(default_factory=list)
    """What the hospital's transactions used, as they come."""

    def accredit(self, name: str, kind: Kind) -> tuple[bytes, int]:
        """A new operator's key, and the id of its institution."""
        key = secrets.token_bytes(32)
        return key, self.supervisor.accredit(name, kind, address_of(key))


@contextmanager
def stage(store: str | None = None, *, block_seconds: float | None = None) -> Iterator[Stage]:
    """A stage on a new Anvil. Without a `store` (SQLAlchemy's address) it has one in a file."""
    with (
        LocalChain(block_seconds=block_seconds) as chain,
        TemporaryDirectory(prefix="medledger-bench-") as folder,
    ):
        rpc = Rpc(chain.url)
        supervisor_key, hospital_key = secrets.token_bytes(32), secrets.token_bytes(32)
        manifest, _ = deploy(rpc, supervisor_key, supervisor_name="财政局")
        ledgers = connect(rpc, manifest)
        supervisor = Supervisor(ledgers, supervisor_key)
        institution = supervisor.accredit(HOSPITAL.name, Kind.HOSPITAL, address_of(hospital_key))
        supervisor.allot(institution, BILL_CODE, 1, LAST_SERIAL)
        supervisor.allot(institution, PRESCRIPTION_CODE, 1, LAST_SERIAL, "Prescription")
        url = store or f"sqlite:///{Path(folder) / 'hospital.db'}"
        hospital = Hospital(ledgers, hospital_key, url)
        try:
            made = Stage(ledgers, supervisor, hospital)
            hospital.sender.observer = made.receipts.append
            yield made
        finally:
            hospital.close()
