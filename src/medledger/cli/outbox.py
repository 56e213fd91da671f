"""`outbox`: documents that were set aside, and transactions that are on their way."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from medledger.cli.command import Command, Family
from medledger.cli.failures import people_message
from medledger.cli.issuing import receipt_row
from medledger.cli.options import KIND_OF_WORD, SEGMENT, reading_store, storing
from medledger.cli.output import Meter, Output, Table, as_plain, time_text
from medledger.cli.session import Session
from medledger.core.transactions import Stage
from medledger.errors import MedledgerError

if TYPE_CHECKING:
    from medledger.core.numbers import DocumentKind
    from medledger.core.transactions import Transaction
    from medledger.roles.outbox import SetAside

STUCK = "stuck"
"""The state of a transaction that something holds up."""

one_kind_option = click.option(
    "--kind",
    type=click.Choice(list(KIND_OF_WORD)),
    callback=lambda _context, _parameter, value: value and KIND_OF_WORD[value],
    help="Only documents of this kind; by default of both.",
)


@click.group("outbox", cls=Family)
def outbox() -> None:
    """See and settle what was set aside or is on its way.

    A document that cannot be sealed, or whose transaction can never succeed, is set aside with its
    reason and holds nothing up. It stays until it is issued or dropped.
    """


@outbox.command(
    "list", cls=Command, examples=["medledger outbox list", "medledger outbox list --json"]
)
@reading_store
def list_(session: Session) -> Output:
    """List documents set aside and unfinished transactions.

    A transaction is signed, mined (in a block that may still be reorganised away) or stuck, and
    finishes by itself while its hospital issues.
    """
    hospital = session.archive()
    try:
        found = hospital.outbox()
        documents = list(found.documents())
        transactions = list(found.transactions())
    finally:
        hospital.close()
    data = {
        "documents": [_document_data(one) for one in documents],
        "transactions": [_transaction_data(one) for one in transactions],
    }
    return Output(data, [*_document_lines(documents), *_transaction_lines(transactions)])


@outbox.command(
    "retry",
    cls=Command,
    examples=[
        "medledger outbox retry MZ2026010500017 --key hospital.key",
        "medledger outbox retry --all --key hospital.key",
    ],
)
@click.argument("keys", metavar="[KEY]...", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="All that can be issued again.")
@one_kind_option
@click.option(
    "--segment",
    type=SEGMENT,
    help="Segment to take numbers from; by default the first with room enough.",
)
@storing
def retry(
    session: Session,
    keys: tuple[str, ...],
    everything: bool,
    kind: DocumentKind | None,
    segment: int | None,
) -> Output:
    """Issue documents that were set aside.

    KEY is a business key. What is refused again stays set aside, and its error ends the command.
    What could not even be sealed is not kept: issue it again, corrected, under the same key.
    """
    if bool(keys) == everything:
        raise click.UsageError("name business keys, or --all", click.get_current_context())
    issued: list[dict[str, Any]] = []
    refused: dict[str, MedledgerError] = {}
    failure: MedledgerError | None = None
    hospital = session.hospital()
    try:
        with Meter("issue again", len(keys) or None) as meter:
            for receipt in hospital.retry(
                keys or None, kind=kind, segment=segment, on_reject=refused.__setitem__
            ):
                issued.append(receipt_row(receipt))
                meter.advance()
    except MedledgerError as error:
        if not issued:
            raise
        # Told with what is on chain already.
        failure = error
    finally:
        hospital.close()
    return _retried(issued, refused, failure or next(iter(refused.values()), None))


@outbox.command(
    "drop",
    cls=Command,
    examples=["medledger outbox drop MZ2026010500017", "medledger outbox drop MZ17 MZ18 --yes"],
)
@click.argument("keys", metavar="KEY...", nargs=-1, required=True)
@one_kind_option
@click.option("--yes", is_flag=True, help="Do not ask.")
@reading_store
def drop(session: Session, keys: tuple[str, ...], kind: DocumentKind | None, yes: bool) -> Output:
    """Forget documents that were set aside.

    KEY is a business key. No number was used for them; they may be submitted again.
    """
    if not yes:
        _confirm(len(keys))
    hospital = session.archive()
    try:
        count = hospital.drop(keys, kind=kind)
    finally:
        hospital.close()
    return Output({"dropped": count}, [f"{_documents(count)} dropped"])


def _retried(
    issued: list[dict[str, Any]],
    refused: Mapping[str, MedledgerError],
    failure: MedledgerError | None,
) -> Output:
    problems = {key: people_message(error) for key, error in refused.items()}
    data = {
        "issued": issued,
        "problems": [{"business_key": key, "problem": text} for key, text in problems.items()],
    }
    text = [f"{row['business_key']}: issued as {row['number']}" for row in issued]
    text += [f"{key}: still set aside: {problem}" for key, problem in problems.items()]
    return Output(data, text or ["Nothing could be issued again."], failure)


def _confirm(count: int) -> None:
    """Raises `UsageError` where nobody can answer, `Abort` where the answer is no."""
    if not sys.stdin.isatty():
        raise click.UsageError("nobody can be asked; add --yes", click.get_current_context())
    click.confirm(f"Forget {_documents(count)}?", abort=True, err=True)


def _documents(count: int) -> str:
    return "1 document" if count == 1 else f"{count} documents"


def _document_data(one: SetAside) -> dict[str, Any]:
    return {
        "business_key": one.business_key,
        "kind": one.kind,
        "reason": one.reason,
        "problem": one.problem,
        "since": one.since,
        "can_retry": one.can_retry,
    }


def _transaction_data(one: Transaction) -> dict[str, Any]:
    return {
        "id": one.id,
        "function": one.intent.name,
        "signer": one.signer,
        "nonce": one.nonce,
        "state": _state(one),
        "transaction": one.hashes[-1],
        "block": one.block,
        "problem": one.problem,
    }


def _state(one: Transaction) -> str:
    return STUCK if one.stage is Stage.SIGNED and one.problem else one.stage.value


def _document_lines(found: list[SetAside]) -> list[str | Table]:
    if not found:
        return ["No document is set aside."]
    columns = ("business key", "kind", "since", "retry", "reason", "problem")
    rows = [
        (
            one.business_key,
            one.kind.lower(),
            time_text(one.since),
            "yes" if one.can_retry else "no",
            str(as_plain(one.reason)),
            one.problem,
        )
        for one in found
    ]
    return [f"{_documents(len(found))} set aside", Table(columns, rows)]


def _transaction_lines(found: list[Transaction]) -> list[str | Table]:
    if not found:
        return ["No transaction is on its way."]
    columns = ("function", "signer", "nonce", "state", "transaction", "problem")
    rows = [
        (
            one.intent.name,
            one.signer,
            str(one.nonce),
            _state(one),
            f"0x{one.hashes[-1].hex()}",
            one.problem,
        )
        for one in found
    ]
    what = "1 transaction" if len(found) == 1 else f"{len(found)} transactions"
    return [f"{what} on the way", Table(columns, rows)]
