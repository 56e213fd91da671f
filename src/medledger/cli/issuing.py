"""`issue` and `prescribe`: a hospital's own documents onto the chain.

A second run issues nothing twice; what is refused is told with its file, line and field, counted,
and holds nothing else up. What is refused after it was accepted is set aside: see `outbox`.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

from medledger.cli.command import Command
from medledger.cli.failures import people_message
from medledger.cli.options import IN_FILE, IN_FILE_OR_FOLDER, OUT_FILE, SEGMENT, storing
from medledger.cli.output import Meter, Output, as_plain, json_line, pairs
from medledger.cli.session import Session, read_patient_keys
from medledger.cli.sources import Folder, FolderChoice, Source, Stream
from medledger.core.numbers import format_number
from medledger.errors import BadResource, InputError, MedledgerError

if TYPE_CHECKING:
    from medledger.core.numbers import DocumentKind
    from medledger.roles import Issuer, IssueReceipt

DAY = 24 * 3600
VALID_DAYS = 3
SHOWN_PROBLEMS = 1000
"""That `--json` lists: a stream that is all wrong must not fill the memory."""
MAX_WORKERS = 64


def _options(command: Callable[..., Any]) -> Callable[..., Any]:
    """What `issue` and `prescribe` have in common."""
    for option in reversed(
        [
            click.option(
                "--patient-keys",
                type=IN_FILE,
                metavar="FILE",
                help="For a folder: JSON object of patient id to extended public key (xpub...) or "
                "address.",
            ),
            click.option(
                "--hospital",
                metavar="ID",
                help="For a folder: Organization id of this hospital, where its name alone does "
                "not tell.",
            ),
        ]
    ):
        command = option(command)
    return click.argument("source", type=IN_FILE_OR_FOLDER)(stream_options(command))


def stream_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """How documents of any kind are issued."""
    for option in reversed(
        [
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
                "--workers",
                type=click.IntRange(1, MAX_WORKERS),
                metavar="N",
                help="Processes that seal documents; by default as many as suit this machine.",
            ),
            click.option(
                "--endorse",
                metavar="COMMAND",
                help="Command line that endorses batches of an endorsed segment: request on its "
                "standard input, endorsement on its standard output (medledger endorse -).",
            ),
            click.option(
                "--receipts",
                type=OUT_FILE,
                metavar="FILE",
                help="Write a JSON line with business key and number for every document.",
            ),
            click.option(
                "--strict", is_flag=True, help="Exit with 3 if anything was refused or set aside."
            ),
        ]
    ):
        command = option(command)
    return command


@click.command(
    "issue",
    cls=Command,
    examples=[
        "medledger issue examples/synthea --patient-keys patients/patient-keys.json "
        "--key hospital.key",
        "medledger issue bills.ndjson.gz --key hospital.key --workers 2",
        "medledger issue - --key hospital.key < bills.ndjson",
        "medledger issue bills.ndjson --key hospital.key "
        '--endorse "medledger endorse - --key supervisor.key"',
    ],
)
@_options
@storing
def issue(session: Session, source: Path, **order: Any) -> Output:
    """Issue bills of a FHIR bulk folder or an NDJSON stream, in batches.

    SOURCE is a folder of FHIR NDJSON files (Claim, Patient, Organization, Encounter, ...; .gz too),
    which needs --patient-keys; or a file with one bill a line, gzip or not, in the form that the
    gateway takes; or - for such lines on standard input. Only the bills of the hospital that the
    key acts for are issued, each once: run it again at any time.
    """
    return _issue(session, source, "Invoice", **order)


@click.command(
    "prescribe",
    cls=Command,
    examples=[
        "medledger prescribe examples/synthea --patient-keys patients/patient-keys.json "
        "--key hospital.key",
        "medledger prescribe prescriptions.ndjson --key hospital.key",
    ],
)
@_options
@click.option(
    "--valid-days",
    type=click.IntRange(1, 366),
    help="For a folder: for how many days from now a pharmacy may accept the prescriptions; by "
    f"default {VALID_DAYS}.",
)
@storing
def prescribe(session: Session, source: Path, **order: Any) -> Output:
    """Issue prescriptions of a FHIR bulk folder or an NDJSON stream, in batches.

    SOURCE is a folder of FHIR NDJSON files (MedicationRequest, Patient, Encounter, ...; .gz too),
    which needs --patient-keys; or a file with one prescription a line, gzip or not, in the form
    that the gateway takes; or - for such lines on standard input. Every active order of the
    hospital that the key acts for becomes one prescription, once.
    """
    return _issue(session, source, "Prescription", **order)


@dataclass(slots=True)
class _Tally:
    """What became of the documents, told to people as it happens."""

    meter: Meter
    issued: int = 0
    already_issued: int = 0
    refused: int = 0
    set_aside: int = 0
    problems: list[dict[str, Any]] = field(default_factory=list)
    first: int | None = None
    last: int | None = None

    def add(self, receipt: IssueReceipt) -> None:
        self.meter.advance()
        if not receipt.is_new:
            self.already_issued += 1
            return
        number = receipt.number
        self.issued += 1
        self.first = number if self.first is None else min(self.first, number)
        self.last = number if self.last is None else max(self.last, number)

    def refuse_resource(self, error: BadResource) -> None:
        self.refused += 1
        self._tell(str(error), {key: as_plain(value) for key, value in error.values.items()})

    def refuse_document(self, business_key: str, error: InputError) -> None:
        self.refused += 1
        self._tell_document(business_key, people_message(error))

    def set_document_aside(self, business_key: str, error: MedledgerError) -> None:
        self.set_aside += 1
        self._tell_document(business_key, people_message(error))

    def set_earlier_aside(self, business_key: str) -> None:
        """Of a document that an earlier run left on its way."""
        self.set_aside += 1
        problem = "accepted by an earlier run, and refused now: medledger outbox list says why"
        self._tell_document(business_key, problem)

    def failure(self, *, strict: bool) -> MedledgerError | None:
        """What the command fails with, where nothing worse happened."""
        count = self.refused + self.set_aside
        if not count or not (strict or self.issued + self.already_issued == 0):
            return None
        what = "one resource was" if count == 1 else f"{count} resources were"
        return InputError(problem=f"{what} refused{' or set aside' if self.set_aside else ''}")

    def _tell_document(self, business_key: str, problem: str) -> None:
        self._tell(f"{business_key}: {problem}", {"business_key": business_key, "problem": problem})

    def _tell(self, line: str, problem: dict[str, Any]) -> None:
        self.meter.say(line)
        if len(self.problems) < SHOWN_PROBLEMS:
            self.problems.append(problem)


def _issue(
    session: Session,
    path: Path,
    kind: DocumentKind,
    *,
    patient_keys: Path | None,
    hospital: str | None,
    valid_days: int | None = None,
    segment: int | None,
    batch_size: int,
    workers: int | None,
    endorse: str | None,
    receipts: Path | None,
    strict: bool,
) -> Output:
    choice = _folder_choice(path, patient_keys, hospital, valid_days)
    word = "bills" if kind == "Invoice" else "prescriptions"
    issuer = session.hospital(endorse)

    def source_for(tally: _Tally, stack: ExitStack) -> Source:
        if choice is None:
            return Stream(path, kind, issuer, tally, stack)
        return Folder(path, kind, issuer, tally, choice)

    order = {"segment": segment, "batch": batch_size, "workers": workers}
    return _issue_source(issuer, source_for, word, receipts, order, strict=strict)


def issue_stream(
    issuer: Issuer,
    path: Path,
    kind: DocumentKind,
    *,
    segment: int | None,
    batch_size: int,
    workers: int | None,
    receipts: Path | None,
    strict: bool,
) -> Output:
    """Issues the documents of an NDJSON stream; the issuer is closed."""

    def source_for(tally: _Tally, stack: ExitStack) -> Source:
        return Stream(path, kind, issuer, tally, stack)

    order = {"segment": segment, "batch": batch_size, "workers": workers}
    word = f"{kind.lower()}s"
    return _issue_source(issuer, source_for, word, receipts, order, strict=strict)


def _issue_source(
    issuer: Issuer,
    source_for: Callable[[_Tally, ExitStack], Source],
    word: str,
    receipts: Path | None,
    order: dict[str, int | None],
    *,
    strict: bool,
) -> Output:
    with ExitStack() as stack:
        stack.callback(issuer.close)
        tally = _Tally(stack.enter_context(Meter(f"issue {word}")))
        source = source_for(tally, stack)
        log = stack.enter_context(receipts.open("w", encoding="utf-8")) if receipts else None
        failure = _run(issuer, source, tally, log, **order) or source.broken
        return _summary(tally, word, source, issuer, failure or tally.failure(strict=strict))


def _run(
    issuer: Issuer, source: Source, tally: _Tally, log: TextIO | None, **order: Any
) -> MedledgerError | None:
    """Issues all documents; gives back what stopped it after some of them, and raises it before."""
    try:
        for key in issuer.resume():
            tally.set_earlier_aside(key)
        for receipt in issuer.issue_many(
            source,
            on_reject=tally.set_document_aside,
            compares=source.is_the_same_again,
            **order,
        ):
            tally.add(receipt)
            if log is not None:
                log.write(json_line(receipt_row(receipt)) + "\n")
    except MedledgerError as error:
        if not tally.issued and not tally.problems:
            raise
        # Told with the summary: the batches before it are on chain.
        return error
    return None


def _folder_choice(
    path: Path, patient_keys: Path | None, hospital: str | None, valid_days: int | None
) -> FolderChoice | None:
    """What goes with a folder, None for a stream; raises `UsageError` for what does not fit."""
    if path.is_dir():
        if patient_keys is None:
            raise _usage(
                "a FHIR folder needs --patient-keys FILE; medledger patient enrol makes it"
            )
        return FolderChoice(
            patient_keys,
            read_patient_keys(patient_keys),
            hospital,
            (valid_days or VALID_DAYS) * DAY,
        )
    given = {"--patient-keys": patient_keys, "--hospital": hospital, "--valid-days": valid_days}
    for option, value in given.items():
        if value is not None:
            raise _usage(f"{option} is for a FHIR folder; the lines of a stream say it themselves")
    return None


def _usage(message: str) -> click.UsageError:
    return click.UsageError(message, click.get_current_context())


def _summary(
    tally: _Tally, word: str, source: Source, issuer: Issuer, failure: MedledgerError | None
) -> Output:
    span = None
    if tally.first is not None and tally.last is not None:
        span = (format_number(tally.first), format_number(tally.last))
    data = {
        "institution": issuer.institution,
        "hospital": source.hospital,
        "issued": tally.issued,
        "already_issued": tally.already_issued,
        "refused": tally.refused,
        "set_aside": tally.set_aside,
        "other_hospitals": source.other_hospitals,
        "not_active": source.not_active,
        "first": span and span[0],
        "last": span and span[1],
        "store": issuer.store.name,
        "problems": tally.problems,
    }
    rows: dict[str, object] = {"issued now": tally.issued, "issued before": tally.already_issued}
    rows["refused"] = tally.refused
    if tally.set_aside:
        rows["set aside"] = f"{tally.set_aside} (medledger outbox list)"
    if source.other_hospitals:
        rows["of other hospitals"] = source.other_hospitals
    if source.not_active:
        rows["not active orders"] = source.not_active
    if span:
        rows["numbers"] = f"{span[0]} to {span[1]}"
    rows["store"] = issuer.store.name
    text = [f"{source.name}: {word}", *pairs(rows)]
    if not tally.issued and tally.already_issued:
        text.append(f"Nothing new: all {word} were issued before.")
    return Output(data, text, failure)


def receipt_row(receipt: IssueReceipt) -> dict[str, Any]:
    """What `--json` and `--receipts` say of an issued document."""
    return {
        "business_key": receipt.business_key,
        "number": format_number(receipt.number),
        "transaction": receipt.transaction,
        "issued_now": receipt.is_new,
    }
