"""`BulkFolder`: what the rest of medledger sees of a FHIR bulk export."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from os import PathLike
from pathlib import Path

from medledger.errors import BadResource, FolderIncomplete
from medledger.formats.fhir.bills import BillReader, BillRecord
from medledger.formats.fhir.bulk import BulkReader
from medledger.formats.fhir.prescriptions import PrescriptionReader, PrescriptionRecord
from medledger.formats.fhir.tables import Organisation, PatientKeyOf, Tables


class BulkFolder:
    """A folder of FHIR R4 NDJSON files (see `bulk` for their names).

    Bills and prescriptions stream; what they refer to is held in memory. A resource that cannot
    be taken goes to `rejected` and to `on_reject`, when it is met; the rest goes on. A second
    pass refuses the same resources, and counts none twice.

    Raises `FolderIncomplete` for a folder that is none, or has neither claims nor medication
    requests; reading raises it where they refer to a type (Patient, Organization, Encounter)
    of which the folder has no file.
    """

    def __init__(
        self,
        path: str | PathLike[str],
        *,
        on_reject: Callable[[BadResource], None] | None = None,
    ) -> None:
        self._reader = BulkReader(Path(path), on_reject)
        self._tables = Tables(self._reader)
        self.inactive_requests = 0
        """Of the last `prescriptions()`: well-formed requests that are no active orders."""
        if not self._reader.has("Claim") and not self._reader.has("MedicationRequest"):
            raise FolderIncomplete(
                problem=f"{path} has neither Claim.ndjson nor MedicationRequest.ndjson (or .gz);"
                " name the folder of a FHIR bulk export"
            )

    @property
    def rejected(self) -> list[BadResource]:
        """Every resource refused so far, in the order of refusal."""
        return self._reader.rejected

    @property
    def organisations(self) -> Mapping[str, Organisation]:
        """All hospitals and insurers of the folder, by id."""
        return self._tables.organisations

    def bills(self, patient_key_of: PatientKeyOf) -> Iterator[BillRecord]:
        """The claims as bills, in the order of the files; none where there is no Claim file.

        An `InputError` of `patient_key_of` refuses the claim; anything else it raises goes
        through.
        """
        yield from BillReader(self._reader, self._tables, patient_key_of)

    def prescriptions(
        self, patient_key_of: PatientKeyOf, *, valid_until: int
    ) -> Iterator[PrescriptionRecord]:
        """The active orders as prescriptions, valid until the Unix second `valid_until`."""
        self.inactive_requests = 0
        for record in PrescriptionReader(self._reader, self._tables, patient_key_of, valid_until):
            if record is None:
                self.inactive_requests += 1
            else:
                yield record
