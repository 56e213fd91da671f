"""Who lets others read what it issued, and keeps the log of it: one log, for every kind.

    evidence = hospital.read_prescription(number, 4, "P1", Purpose.TREAT, authorisation)
    hospital.anchor_reads()      # once a day

`evidence` and the gateway log nothing: they serve the hospital's own systems and the patient.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace

from medledger.chain.wallets import is_signed_by
from medledger.core.authorisation import Signed
from medledger.core.canonical import canonical
from medledger.core.evidence import Evidence
from medledger.core.hashing import PrescriptionHeader, signing_digest
from medledger.core.numbers import DocumentKind
from medledger.core.reads import DAY, Read, ReadKind, ReadProof, read_of_bytes
from medledger.core.states import Purpose
from medledger.core.tree import Tree
from medledger.errors import (
    AccessNotGranted,
    AuthorisationExpired,
    AuthorisationInvalid,
    NotFound,
)
from medledger.roles.issuer import Issuer
from medledger.store import ReadDay, ReadRow

SALT_BYTES = 32


class LogKeeper(Issuer):
    """An issuer whose documents others read, logged before they are given."""

    def read(
        self,
        number: int,
        institution: int,
        reader: str,
        purpose: Purpose,
        only: Sequence[str] | None = None,
    ) -> Evidence:
        """A record for a reader, logged before it is given.

        This hospital's own readers need no grant. Others need one for this purpose; with
        `Purpose.ETREAT` they break the glass without, and the entry says so. Raises
        `AccessNotGranted`, `NotFound`.
        """
        evidence = self.evidence(number, "Record", only)
        allowed = institution == self.institution or self.ledgers.records.is_granted(
            number, institution, purpose
        )
        self._log("Record", number, institution, reader, purpose, allowed=allowed)
        return evidence

    def read_prescription(
        self,
        number: int,
        institution: int,
        reader: str,
        purpose: Purpose,
        authorisation: Signed | None = None,
        only: Sequence[str] | None = None,
    ) -> Evidence:
        """A prescription for a reader, logged before it is given.

        This hospital's own readers need no authorisation. A pharmacy needs the one that it accepts
        with, not yet used, which is for treatment alone; with `Purpose.ETREAT` others break the
        glass without, and the entry says so. Raises `AccessNotGranted`, `NotFound`; of an
        authorisation `AuthorisationInvalid`, `AuthorisationExpired`, `AuthorisationMismatch`, or
        `MalformedAuthorisation` for another act.
        """
        evidence = self.evidence(number, "Prescription", only)
        if authorisation is not None:
            self._require_accepts(authorisation, evidence, institution)
        allowed = institution == self.institution or (
            authorisation is not None and purpose in (Purpose.TREAT, Purpose.ETREAT)
        )
        self._log("Prescription", number, institution, reader, purpose, allowed=allowed)
        return evidence

    def reads_of(self, number: int, kind: DocumentKind = "Record") -> list[ReadRow]:
        """The log's entries of one document, in order; it has none of bills and licences."""
        return self.store.reads.entries_of(self.ledgers.records.address, kind, number)

    def anchor_reads(self) -> list[ReadDay]:
        """Closes the days up to today and anchors each on chain; those that are new there.

        Safe to call again after a stop. A read after that counts to tomorrow. An institution keeps
        one log: of two, the second's reads of a day cannot be anchored.
        """
        records = self.ledgers.records
        days = self.store.reads.close(
            records.address, self.now() // DAY, lambda leaves: Tree(leaves).root
        )
        last = records.last_anchored_day_of(self.institution)
        new = [day for day in days if day.day > last]
        for day in new:
            self._send(records.anchor_reads(day.day, day.count, day.root))
        return new

    def prove_read(self, row: ReadRow) -> ReadProof:
        """What shows that a read is in the log; raises `NotFound` before its day is closed."""
        days = {day.day: day for day in self.store.reads.closed(row.ledger)}
        if row.day not in days:
            raise NotFound(what=f"day {row.day}", where="the closed days of the read log")
        leaves = [one.leaf for one in self.store.reads.entries(row.ledger, row.day)]
        return ReadProof(
            read_of_bytes(row.entry),
            row.salt,
            self.institution,
            row.day,
            row.position,
            len(leaves),
            Tree(leaves).path(row.position),
        )

    def _log(
        self,
        kind: ReadKind,
        number: int,
        institution: int,
        reader: str,
        purpose: Purpose,
        *,
        allowed: bool,
    ) -> None:
        """Adds an entry; raises `AccessNotGranted` without leave, but in an emergency."""
        if not allowed and purpose != Purpose.ETREAT:
            raise AccessNotGranted(
                document=kind.lower(), number=number, institution=institution, purpose=purpose.name
            )
        at = self.now()
        entry = Read(kind, number, institution, reader, purpose, at, broke_glass=not allowed)
        salt = os.urandom(SALT_BYTES)
        kept = canonical(entry.json())
        ledger = self.ledgers.records.address
        self.store.reads.add(ledger, at // DAY, kind, number, kept, salt, entry.leaf(salt))

    def _require_accepts(self, signed: Signed, evidence: Evidence, pharmacy: int) -> None:
        """Raises unless the patient of this prescription lets this pharmacy accept it now, by what
        the contract goes by: its sequence as it is now, and the patient that was sealed."""
        message = self._acceptance_for(signed, evidence.number, pharmacy)
        if message.deadline < self.now():
            raise AuthorisationExpired(number=message.number, deadline=message.deadline)
        sequence = self.ledgers.prescriptions.prescription_of(message.number).sequence
        digest = signing_digest(
            replace(message, sequence=sequence), signed.chain_id, signed.contract
        )
        assert isinstance(evidence.header, PrescriptionHeader)
        patient = evidence.header.patient
        if not is_signed_by(self.ledgers.rpc, patient, digest, signed.signature):
            raise AuthorisationInvalid(number=message.number, patient=patient)
