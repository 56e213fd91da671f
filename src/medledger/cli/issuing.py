"""`issue` and `prescribe`: a hospital's own documents of a FHIR bulk folder, onto the chain.

A hospital is known by its name: the one under which it was accredited must be the one on its
documents, or nobody could verify them. A second run issues nothing twice; what is refused is told
with its file, line and field, counted, and holds nothing else up.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

from medledger.cli.command import Command
from medledger.cli.options import IN_FILE, IN_FOLDER, OUT_FILE, SEGMENT, storing
from medledger.cli.output import Meter, Output, as_plain, json_line, pairs
from medledger.cli.session import Session, deadline_after, read_patient_keys
from medledger.core.numbers import format_number
from medledger.errors import BadResource, InputError, MedledgerError

if TYPE_CHECKING:
    from medledger.core.documents import Document, Invoice, Prescription
    from medledger.formats.fhir import BulkFolder, Organisation
    from medledger.roles import Hospital, IssueReceipt
    from medledger.roles.ledger_of import DocumentKind

DAY = 24 * 3600
CHOICES = 8
"""Hospitals that an error names; a national export has thousands."""

Rows = Iterator[tuple["Invoice | Prescription", "Organisation"]]


def _bulk_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """What `issue` and `prescribe` have in common."""
    for option in reversed(
        [
            click.argument("source", type=IN_FOLDER),
            click.option(
                "--patient-keys",
                type=IN_FILE,
                required=True,
                metavar="FILE",
                help="JSON object of patient id to extended public key (xpub...) or address.",
            ),
            click.option(
                "--hospital",
                metavar="ID",
                help="Organization id of this hospital, where its name alone does not tell.",
            ),
            click.option(
                "--segment",
                type=SEGMENT,
                help="Segment to take numbers from; by default the first with room enough.",
            ),
            click.option(
                "--batch-size",
                type=click.IntRange(1, 100_000),
                default=1000,
                show_default=True,
                help="Documents in one transaction.",
            ),
            click.option(
                "--receipts",
                type=OUT_FILE,
                metavar="FILE",
                help="Write a JSON line with business key and number for every document.",
            ),
            click.option("--strict", is_flag=True, help="Exit with 3 if anything was refused."),
        ]
    ):
        command = option(command)
    return command


@click.command(
    "issue",
    cls=Command,
    examples=[
        "medledger issue examples/synthea --patient-keys patients/patient-keys.json "
        "--key hospital.key"
    ],
)
@_bulk_options
@storing
def issue(session: Session, source: Path, **order: Any) -> Output:
    """Issue the bills of a FHIR bulk folder, in batches.

    SOURCE is a folder of NDJSON files (Claim, Patient, Organization, Encounter, ...; .gz too). Only
    the bills of the hospital that the key acts for are issued, each once: run it again at any time.
    """

    def bills(folder: BulkFolder, key_of: Callable[[str], str], _hospital: Hospital) -> Rows:
        for record in folder.bills(key_of):
            yield record.invoice, record.hospital

    return _issue(session, source, "Invoice", bills, **order)


@click.command(
    "prescribe",
    cls=Command,
    examples=[
        "medledger prescribe examples/synthea --patient-keys patients/patient-keys.json "
        "--key hospital.key"
    ],
)
@_bulk_options
@click.option(
    "--valid-days",
    type=click.IntRange(1, 366),
    default=3,
    show_default=True,
    help="For how many days from now a pharmacy may accept the prescriptions.",
)
@storing
def prescribe(session: Session, source: Path, valid_days: int, **order: Any) -> Output:
    """Issue the prescriptions of a FHIR bulk folder, in batches.

    SOURCE is a folder of NDJSON files (MedicationRequest, Patient, Encounter, ...; .gz too). Every
    active order of the hospital that the key acts for becomes one prescription, once.
    """

    def orders(folder: BulkFolder, key_of: Callable[[str], str], hospital: Hospital) -> Rows:
        until = deadline_after(hospital.ledgers, valid_days * DAY)
        for record in folder.prescriptions(key_of, valid_until=until):
            yield record.prescription, record.hospital

    return _issue(session, source, "Prescription", orders, **order)


@dataclass(slots=True)
class _Count:
    """What became of the resources of a folder."""

    issued: int = 0
    already_issued: int = 0
    other_hospitals: int = 0
    not_active: int = 0
    problems: list[dict[str, Any]] = field(default_factory=list)
    first: int | None = None
    last: int | None = None

    def add(self, number: int, *, fresh: bool) -> None:
        if not fresh:
            self.already_issued += 1
            return
        self.issued += 1
        self.first = number if self.first is None else min(self.first, number)
        self.last = number if self.last is None else max(self.last, number)


def _issue(
    session: Session,
    source: Path,
    kind: DocumentKind,
    read: Callable[[BulkFolder, Callable[[str], str], Hospital], Rows],
    *,
    patient_keys: Path,
    hospital: str | None,
    segment: int | None,
    batch_size: int,
    receipts: Path | None,
    strict: bool,
) -> Output:
    keys = read_patient_keys(patient_keys)
    issuer = session.hospital()
    from medledger.formats.fhir import BulkFolder

    count = _Count()
    failure: MedledgerError | None = None
    word = "bills" if kind == "Invoice" else "prescriptions"
    with ExitStack() as stack:
        stack.callback(issuer.close)
        meter = stack.enter_context(Meter(f"issue {word}"))

        def refuse(text: str, /, **problem: Any) -> None:
            count.problems.append(problem)
            meter.say(text)

        def refuse_resource(error: BadResource) -> None:
            refuse(str(error), **{key: as_plain(value) for key, value in error.values.items()})

        def refuse_document(document: Document, error: InputError) -> None:
            refuse(
                f"{document.business_key}: {error}",
                business_key=document.business_key,
                problem=str(error),
            )

        folder = BulkFolder(source, on_reject=refuse_resource)
        own = _own_hospital(folder, issuer, hospital)

        def own_documents() -> Iterator[Document]:
            # A patient without key matters only where the bill is this hospital's.
            for document, organisation in read(folder, lambda id_: keys.get(id_, ""), issuer):
                if organisation.id != own.id:
                    count.other_hospitals += 1
                elif not document.patient_key:
                    problem = f"its patient has no key in {patient_keys}"
                    refuse_document(document, InputError(problem=problem))
                else:
                    yield document

        log = stack.enter_context(receipts.open("w", encoding="utf-8")) if receipts else None
        try:
            for receipt in issuer.issue_many(
                own_documents(), segment=segment, batch=batch_size, on_reject=refuse_document
            ):
                count.add(receipt.number, fresh=receipt.is_new)
                meter.advance()
                if log is not None:
                    _log(log, receipt, fresh=receipt.is_new)
        except MedledgerError as error:
            if not count.issued and not count.problems:
                raise
            # Told with the summary: the batches before it are on chain.
            failure = error
        count.not_active = folder.inactive_requests
        store = issuer.store.name
    nothing = not count.issued and not count.already_issued
    if failure is None and count.problems and (strict or nothing):
        failure = InputError(problem=_refused(len(count.problems)))
    return _summary(count, word, own, store, failure)


def _summary(
    count: _Count, word: str, own: Organisation, store: str, failure: MedledgerError | None
) -> Output:
    span = None
    if count.first is not None and count.last is not None:
        span = (format_number(count.first), format_number(count.last))
    data = {
        "hospital": own.id,
        "issued": count.issued,
        "already_issued": count.already_issued,
        "refused": len(count.problems),
        "other_hospitals": count.other_hospitals,
        "not_active": count.not_active,
        "first": span and span[0],
        "last": span and span[1],
        "store": store,
        "problems": count.problems,
    }
    rows: dict[str, object] = {"issued now": count.issued, "issued before": count.already_issued}
    rows["refused"] = len(count.problems)
    if count.other_hospitals:
        rows["of other hospitals"] = count.other_hospitals
    if count.not_active:
        rows["not active orders"] = count.not_active
    if span:
        rows["numbers"] = f"{span[0]} to {span[1]}"
    rows["store"] = store
    text = [f"{own.name}: {word}", *pairs(rows)]
    if not count.issued and count.already_issued:
        text.append(f"Nothing new: all {word} were issued before.")
    return Output(data, text, failure)


def _refused(count: int) -> str:
    return "one resource was refused" if count == 1 else f"{count} resources were refused"


def _log(log: TextIO, receipt: IssueReceipt, *, fresh: bool) -> None:
    row = {
        "business_key": receipt.business_key,
        "number": format_number(receipt.number),
        "transaction": receipt.transaction,
        "issued_now": fresh,
    }
    log.write(json_line(row) + "\n")


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
