"""What the groups `record` and `prescription` have in common: `read`, and the log of reads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from medledger.cli.command import Command
from medledger.cli.options import INSTITUTION, OUT_FILE, number_argument, storing
from medledger.cli.output import Output, Table, file_output, time_text
from medledger.cli.session import Session
from medledger.core.numbers import DocumentNumber, format_number
from medledger.core.states import Purpose
from medledger.errors import NotFound

if TYPE_CHECKING:
    from medledger.core.evidence import Evidence
    from medledger.core.reads import Read, ReadKind
    from medledger.store import ReadRow

PURPOSES = [purpose.name.lower() for purpose in Purpose]


def reader_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Who reads, what for, and where the evidence goes."""
    for option in reversed(
        [
            click.option(
                "--institution", type=INSTITUTION, required=True, help="Whose reader it is."
            ),
            click.option(
                "--reader", required=True, help="Who reads: a code of that institution's."
            ),
            click.option(
                "--purpose",
                type=click.Choice(PURPOSES),
                required=True,
                callback=lambda _context, _parameter, value: Purpose[value.upper()],
                help="What for (HL7 PurposeOfUse). Only etreat reads without the patient's leave, "
                "and is marked.",
            ),
            click.option(
                "--out",
                type=OUT_FILE,
                metavar="FILE",
                help="Write to a private file, not to standard output.",
            ),
        ]
    ):
        command = option(command)
    return command


def read_output(
    evidence: Evidence, out: Path | None, institution: int, reader: str, purpose: Purpose
) -> Output:
    """The evidence that a reader was given."""
    number = format_number(evidence.number)
    return file_output(
        evidence.to_json(),
        out,
        f"{number}: read by {reader} of institution {institution}, in {out}",
        number=number,
        institution=institution,
        purpose=purpose,
    )


def reads_command(kind: ReadKind, number: str) -> click.Command:
    """The command `reads` for one kind of document; `number` is one for its examples."""
    word = kind.lower()
    example = f"medledger {word} reads {number}"

    @click.command(
        "reads",
        cls=Command,
        help=f"List who read a {word}, from the hospital's log, or prove one of them.",
        examples=[
            f"{example} --key hospital.key",
            f"{example} --prove 1 --out read.json --key hospital.key",
        ],
    )
    @number_argument
    @click.option(
        "--prove",
        type=click.IntRange(min=1),
        metavar="N",
        help="Write the proof of the N-th read of this list.",
    )
    @click.option(
        "--out", type=OUT_FILE, metavar="FILE", help="With --prove: write to a private file."
    )
    @storing
    def reads(
        session: Session, number: DocumentNumber, prove: int | None, out: Path | None
    ) -> Output:
        hospital = session.hospital()
        try:
            rows = hospital.reads_of(number, kind)
            if prove is None:
                return _listed(number, word, rows)
            if prove > len(rows):
                raise NotFound(what=f"read {prove}", where=f"the {len(rows)} reads of this {word}")
            proof = hospital.prove_read(rows[prove - 1])
        finally:
            hospital.close()
        sentence = f"{format_number(number)}: proof of read {prove} in {out}"
        return file_output(proof.to_json(), out, sentence, day=proof.day, count=proof.count)

    return reads


def told_reads(rows: Sequence[ReadRow]) -> list[tuple[Read, dict[str, Any]]]:
    """Each read of the log, and what machines read of it."""
    from medledger.core.reads import read_of_bytes

    entries = [(read_of_bytes(row.entry), row.day) for row in rows]
    return [(entry, entry.json() | {"day": day}) for entry, day in entries]


def purpose_text(entry: Read) -> str:
    """What a document was read for, as people read it."""
    return entry.purpose.name.lower() + (" (broke the glass)" if entry.broke_glass else "")


def day_text(day: int) -> str:
    """A day of the log, by its number since 1 January 1970, as people write it."""
    return time_text(day * 24 * 3600)[:10]


def _listed(number: DocumentNumber, word: str, rows: Sequence[ReadRow]) -> Output:
    reads = told_reads(rows)
    data = {"number": format_number(number), "reads": [said for _, said in reads]}
    table = [
        (
            time_text(entry.at),
            str(entry.institution),
            entry.reader,
            purpose_text(entry),
            day_text(said["day"]),
        )
        for entry, said in reads
    ]
    title = f"{data['number']} ({word}): {len(rows)} reads"
    heads = ("time", "institution", "reader", "purpose", "counted to")
    return Output(data, [title, Table(heads, table)] if table else [title])
