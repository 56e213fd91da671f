"""The roles that a command acts as, opened from its options.

What talks to a chain or a database is imported here, inside the methods: it takes seconds, and no
help text waits for it.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from medledger.errors import (
    BadKey,
    EndorserFailed,
    IndexEmpty,
    InputError,
    KeyMissing,
    StoreError,
)

if TYPE_CHECKING:
    from medledger.chain.deployment import Ledgers
    from medledger.core.acts import Act
    from medledger.core.authorisation import Signed
    from medledger.core.evidence import Evidence
    from medledger.core.patient_keys import PatientKey
    from medledger.index import EventIndex
    from medledger.roles import (
        Auditor,
        Authority,
        Courier,
        Hospital,
        Patient,
        Payer,
        Pharmacy,
        Supervisor,
    )

PASSWORD_FILE = "MEDLEDGER_KEY_PASSWORD_FILE"
IN_MEMORY = "sqlite://"
"""The store of hospital acts that need none."""


@dataclass(frozen=True, slots=True)
class Session:
    """Which node, deployment, key and store a command was told to use."""

    rpc: str
    deployment: Path | None = None
    key: Path | None = None
    store: str = IN_MEMORY

    def ledgers(self) -> Ledgers:
        """The contracts, compared with their manifest."""
        from medledger.roles import open_ledgers

        return open_ledgers(self.rpc, self.deployment)

    def operator(self) -> bytes:
        """The private key of `--key`; raises `KeyMissing` or `BadKey`."""
        if self.key is None:
            raise KeyMissing()
        from medledger.chain.keys import load_key

        return load_key(self.key, password_of(self.key))

    def auditor(self) -> Auditor:
        from medledger.roles import Auditor

        return Auditor(self.ledgers())

    def authority(self, endorse: str | None = None) -> Authority:
        """The authority; `endorse` is the command line that endorses its batches."""
        operator = self.operator()
        from medledger.roles import Authority

        endorser = None if endorse is None else endorser_of(endorse)
        return Authority(self.ledgers(), operator, self.store, endorser)

    def new_index(self, auditor: Auditor, url: str) -> closing[EventIndex]:
        """The index of the auditor's deployment; made where it does not exist."""
        from medledger.index import EventIndex

        return closing(EventIndex(url, auditor.ledgers.manifest))

    def index(self, auditor: Auditor, url: str) -> closing[EventIndex]:
        """The index of the auditor's deployment.

        Raises `IndexEmpty` where nothing was read yet: that nothing is in it would say nothing.
        """
        from medledger.index import EventIndex

        opened = EventIndex(url, auditor.ledgers.manifest)
        if opened.place().last_hash is None:
            opened.close()
            raise IndexEmpty(store=url)
        return closing(opened)

    def supervisor(self) -> Supervisor:
        operator = self.operator()
        from medledger.roles import Supervisor

        return Supervisor(self.ledgers(), operator)

    def hospital(self, endorse: str | None = None) -> Hospital:
        """The hospital; `endorse` is the command line that endorses its batches."""
        operator = self.operator()
        from medledger.roles import Hospital

        endorser = None if endorse is None else endorser_of(endorse)
        return Hospital(self.ledgers(), operator, self.store, endorser)

    def archive(self) -> Hospital:
        """A hospital that only reads what it issued; raises `StoreError` for a missing file."""
        file = self.store.removeprefix("sqlite:///")
        if file != self.store and not Path(file).exists():
            raise StoreError(store=self.store, problem="does not exist; name it with --store")
        from medledger.roles import Hospital

        return Hospital(self.ledgers(), None, self.store)

    def pharmacy(self) -> Pharmacy:
        operator = self.operator()
        from medledger.roles import Pharmacy

        return Pharmacy(self.ledgers(), operator)

    def courier(self) -> Courier:
        operator = self.operator()
        from medledger.roles import Courier

        return Courier(self.ledgers(), operator)

    def payer(self) -> Payer:
        operator = self.operator()
        from medledger.roles import Payer

        return Payer(self.ledgers(), operator)

    def patient(self, key: Path) -> Patient:
        """The patient whose extended key is in a file."""
        loaded = load_patient_key(key)
        from medledger.roles import Patient

        return Patient(self.ledgers(), loaded)


def deadline_after(ledgers: Ledgers, seconds: int) -> int:
    """A time so many seconds from now, by the later of two clocks.

    A local chain that has been idle is behind this machine: its next block is not.
    """
    block_time = int(ledgers.rpc.block("latest")["timestamp"], 16)
    return max(block_time, int(time.time())) + seconds


def endorser_of(command: str) -> Callable[[Act], Act]:
    """Runs a command line that signs a batch: the request on its standard input, the endorsement on
    its standard output. What it says on standard error is shown. Raises `EndorserFailed`."""

    def endorse(request: Act) -> Act:
        from medledger.core.acts import Act

        try:
            done = subprocess.run(
                shlex.split(command),
                input=request.to_json().encode(),
                stdout=subprocess.PIPE,
                check=False,
            )
        except (OSError, ValueError) as error:
            raise EndorserFailed(command=command, problem=f"cannot be run: {error}") from error
        if done.returncode:
            raise EndorserFailed(command=command, problem=f"ended with {done.returncode}")
        return Act.from_json(done.stdout)

    return endorse


def read_evidence(path: Path) -> Evidence:
    """The evidence of a file, or of standard input for `-`; raises `MalformedEvidence`."""
    from medledger.core.evidence import Evidence

    return Evidence.from_json(read_file(path))


def read_authorisation(path: Path) -> Signed:
    """The patient's signed message of a file; raises `MalformedAuthorisation`."""
    from medledger.core.authorisation import Signed

    return Signed.from_json(read_file(path))


def read_act(path: Path) -> Act:
    """The endorsement or consent of a file, or of standard input; raises `MalformedAct`."""
    from medledger.core.acts import Act

    return Act.from_json(read_file(path))


def read_file(path: Path) -> bytes:
    """The bytes of a file, or of standard input for `-`."""
    return sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes()


def load_patient_key(path: Path) -> PatientKey:
    """The patient's extended private key of a file; raises `BadKey` or `BadPatientKey`."""
    from medledger.core.patient_keys import PatientKey

    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadKey(path=path, problem="cannot be read") from error
    return PatientKey.from_extended_key(text.strip())


def read_patient_keys(path: Path) -> Mapping[str, str]:
    """Patient id to key; raises `InputError`, and never shows a key."""
    from medledger.core.canonical import parse_strict

    try:
        found = parse_strict(read_file(path))
    except InputError as error:
        raise InputError(problem=f"the patient keys {path} cannot be read: {error}") from error
    if not isinstance(found, dict) or not all(isinstance(key, str) for key in found.values()):
        raise InputError(
            problem=f"the patient keys {path} are not one JSON object of patient id to key"
        )
    if any(key.startswith("xprv") for key in found.values()):
        raise InputError(
            problem=f"the patient keys {path} hold a private key (xprv...); a hospital needs the "
            "public one (xpub...), and must never see the other"
        )
    return found


def password_of(key: Path) -> Callable[[], str]:
    """Where the password of an encrypted key comes from: a file that is named, or a person."""

    def password() -> str:
        named = os.environ.get(PASSWORD_FILE)
        if named:
            try:
                return Path(named).read_text("utf-8").rstrip("\r\n")
            except (OSError, UnicodeDecodeError) as error:
                problem = f"is encrypted, and {PASSWORD_FILE}={named} cannot be read"
                raise BadKey(path=key, problem=problem) from error
        if not sys.stdin.isatty():
            problem = f"is encrypted; name a file with its password in {PASSWORD_FILE}"
            raise BadKey(path=key, problem=problem)
        return str(click.prompt(f"Password of {key}", hide_input=True, err=True))

    return password
