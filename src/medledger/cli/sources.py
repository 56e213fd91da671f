"""Where the documents of `issue` and `prescribe` come from: a FHIR bulk folder or a stream.

A hospital is known by its name: the one under which it was accredited must be the one on its
bills, or nobody could verify them.
"""

from __future__ import annotations

import json
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

from medledger.cli.session import deadline_after
from medledger.errors import BadResource, InputError

if TYPE_CHECKING:
    from io import BufferedIOBase

    from medledger.core.documents import Invoice, SomeDocument
    from medledger.core.numbers import DocumentKind
    from medledger.formats.fhir import BulkFolder, Organisation
    from medledger.roles import Hospital, Issuer

STDIN = Path("-")
CHOICES = 8
"""Hospitals that an error names; a national export has thousands."""


class Refusals(Protocol):
    """Hears what is refused, when it is met."""

    def refuse_resource(self, error: BadResource) -> None: ...

    def refuse_document(self, business_key: str, error: InputError) -> None: ...


class Source(ABC):
    """The documents of one hospital. Its counts are complete when all have been read."""

    name: str
    """Who issues them, for people."""
    hospital: str | None = None
    """The Organization id, where the source has one."""
    other_hospitals = 0
    not_active = 0
    broken: BadResource | None = None
    """Why not all could be read."""
    is_the_same_again = True
    """Whether a second reading gives the same documents."""

    @abstractmethod
    def __iter__(self) -> Iterator[SomeDocument]: ...


class Stream(Source):
    """An NDJSON file, gzip or not, or standard input for `-`. The stack closes the file."""

    def __init__(
        self, path: Path, kind: DocumentKind, issuer: Issuer, refusals: Refusals, stack: ExitStack
    ) -> None:
        from medledger.formats.lines import opened

        self.name = f"institution {issuer.institution}"
        self._file = "stdin" if path == STDIN else path.name
        self._lines = (
            cast("BufferedIOBase", sys.stdin.buffer)
            if path == STDIN
            else stack.enter_context(opened(path))
        )
        self._kind = kind
        self._refusals = refusals
        self._is_own = _own_names(issuer)

    def __iter__(self) -> Iterator[SomeDocument]:
        from medledger.core.documents import Invoice
        from medledger.formats.json import read_documents

        refuse = self._refusals.refuse_resource
        try:
            for document in read_documents(self._lines, self._kind, refuse, self._file):
                if isinstance(document, Invoice) and not self._is_own(document):
                    problem = (
                        f"its invoicing party, {document.invoicing_party.name!r}, has not the name "
                        f"under which {self.name} was accredited, so it would not verify"
                    )
                    self._refusals.refuse_document(
                        document.business_key, InputError(problem=problem)
                    )
                else:
                    yield document
        except BadResource as error:
            self.broken = error


@dataclass(frozen=True, slots=True)
class FolderChoice:
    """What a FHIR bulk folder does not say itself."""

    keys_file: Path
    keys: Mapping[str, str]
    """Of patients, by id."""
    hospital: str | None
    """Organization id, where the name alone does not tell."""
    valid_seconds: int
    """For how long from now a prescription is valid."""


class Folder(Source):
    """Those documents of a FHIR bulk folder that are the issuer's own."""

    def __init__(
        self,
        path: Path,
        kind: DocumentKind,
        issuer: Hospital,
        refusals: Refusals,
        choice: FolderChoice,
    ) -> None:
        from medledger.formats.fhir import BulkFolder

        self._folder = BulkFolder(path, on_reject=refusals.refuse_resource)
        self._kind = kind
        self._ledgers = issuer.ledgers
        self._refusals = refusals
        self._choice = choice
        # How long a prescription is valid is counted from now.
        self.is_the_same_again = kind == "Invoice"
        own = _own_hospital(self._folder, issuer, choice.hospital)
        self.name, self.hospital = own.name, own.id

    def __iter__(self) -> Iterator[SomeDocument]:
        for document, hospital in self._rows():
            if hospital.id != self.hospital:
                self.other_hospitals += 1
            elif not document.patient_key:
                problem = f"its patient has no key in {self._choice.keys_file}"
                self._refusals.refuse_document(document.business_key, InputError(problem=problem))
            else:
                yield document
        self.not_active = self._folder.inactive_requests

    def _rows(self) -> Iterator[tuple[SomeDocument, Organisation]]:
        if self._kind == "Invoice":
            for bill in self._folder.bills(self._key_of):
                yield bill.invoice, bill.hospital
        else:
            until = deadline_after(self._ledgers, self._choice.valid_seconds)
            for order in self._folder.prescriptions(self._key_of, valid_until=until):
                yield order.prescription, order.hospital

    def _key_of(self, patient: str) -> str:
        # A patient without key matters only where the document is this hospital's.
        return self._choice.keys.get(patient, "")


def _own_names(issuer: Issuer) -> Callable[[Invoice], bool]:
    """Tells whether a bill names the institution as it was accredited."""
    from medledger.core.hashing import name_hash

    accredited = issuer.ledgers.institutions.institution_of(issuer.institution).name_hash
    own: set[str] = set()

    def is_own(bill: Invoice) -> bool:
        name = bill.invoicing_party.name
        if name not in own and name_hash(name) == accredited:
            own.add(name)
        return name in own

    return is_own


def _own_hospital(folder: BulkFolder, issuer: Hospital, chosen: str | None) -> Organisation:
    """The hospital of the folder that the key acts for; raises `InputError` naming the choices."""
    from medledger.core.hashing import name_hash

    entry = issuer.ledgers.institutions.institution_of(issuer.institution)
    own = [
        organisation
        for organisation in folder.organisations.values()
        if name_hash(organisation.name) == entry.name_hash
    ]
    if chosen is None:
        if len(own) == 1:
            return own[0]
        if own:
            raise InputError(
                problem=f"{len(own)} hospitals of the folder have the name of institution "
                f"{issuer.institution}; choose one with --hospital: {_choices(own)}"
            )
        raise InputError(
            problem=f"institution {issuer.institution} was accredited under another name than any "
            f"hospital of the folder has; there are: {_choices(_hospitals(folder))}"
        )
    if chosen not in folder.organisations:
        raise InputError(
            problem=f"the folder has no hospital {chosen!r}, but: {_choices(_hospitals(folder))}"
        )
    organisation = folder.organisations[chosen]
    if organisation not in own:
        raise InputError(
            problem=f"{organisation.name!r} is not the name under which institution "
            f"{issuer.institution} was accredited, so its documents would not verify; use the key "
            "of that hospital"
        )
    return organisation


def _hospitals(folder: BulkFolder) -> list[Organisation]:
    return [found for found in folder.organisations.values() if found.kind in ("prov", "")]


def _choices(found: list[Organisation]) -> str:
    named = [f"{one.id} ({json.dumps(one.name, ensure_ascii=False)})" for one in found[:CHOICES]]
    more = len(found) - len(named)
    return ", ".join(named) + (f" and {more} more" if more else "")
