"""`audit contracts`: are the contracts what they should be, and who changed who may do what?"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from medledger.cli.audit_state import plain, shown_value
from medledger.cli.command import Command
from medledger.cli.options import IN_FILE, IN_FOLDER, index_option, reading, since_option
from medledger.cli.output import Meter, Output, Table, pairs, time_text
from medledger.cli.session import Session
from medledger.core.states import Kind
from medledger.errors import AuditMismatch

if TYPE_CHECKING:
    from medledger.chain.inspection import Inspected
    from medledger.index.questions import Privileged
    from medledger.roles.auditor import Inspection

SHOWN_MISMATCHES = 20
_ACTORS = ("by", "account")


@click.command(
    "contracts",
    cls=Command,
    examples=[
        "medledger audit contracts",
        "medledger audit contracts --source . --since 2026-11-01 --json",
    ],
)
@click.option(
    "--source", type=IN_FOLDER, help="Checkout whose contracts are compiled and compared."
)
@click.option("--solc", type=IN_FILE, help="Compiler to use; by default solc of this environment.")
@since_option
@index_option
@reading
def contracts(
    session: Session, source: Path | None, solc: Path | None, since: int | None, index: str
) -> Output:
    """Check the contracts themselves, and list every privileged act.

    Their code must be what this version of medledger ships (with --source, what the sources compile
    to as well), the transactions that created them must be this code with its arguments, their
    immutables as the manifest says, and institutions and keys as the events say. Exits with 8 if
    anything is otherwise.
    """
    from medledger.index import questions

    auditor = session.auditor()
    with session.index(auditor, index) as opened, Meter("inspect", counts=False):
        found = auditor.inspect(opened, source=source, compiler=solc)
        acts = list(questions.privileged(opened, since=since or 0))
    failure = None
    if found.mismatches:
        failure = AuditMismatch(count=len(found.mismatches), first=found.mismatches[0])
    return Output(_data(found, acts), _lines(found, acts), failure)


def _data(found: Inspection, acts: list[Privileged]) -> dict[str, Any]:
    return {
        "contracts": [
            {
                "contract": one.contract,
                "address": one.address,
                "transaction": one.transaction,
                "code_bytes": one.code_size,
                "arguments": dict(one.arguments),
                "immutables": {item.name: item.shown for item in one.immutables},
                "problems": list(one.problems),
            }
            for one in found.contracts
        ],
        "supervisors": _supervisors(found),
        "acts": [
            {
                "time": act.time,
                "contract": act.contract,
                "act": act.act,
                "by": act.by,
                "institution": act.institution,
                "said": {name: plain(value, name) for name, value in _said(act.said).items()},
                "transaction": act.transaction,
            }
            for act in acts
        ],
        "mismatches": found.mismatches,
    }


def _lines(found: Inspection, acts: list[Privileged]) -> list[str | Table]:
    shown = found.mismatches[:SHOWN_MISMATCHES]
    if len(found.mismatches) > len(shown):
        shown.append(f"... and {len(found.mismatches) - len(shown)} more; --json lists all")
    immutables = [
        (one.contract, item.name, str(item.shown), item.meaning)
        for one in found.contracts
        for item in one.immutables
        # Those of EIP-712 are the same in each; they are shown where they are wrong.
        if not item.name.startswith("EIP712.") or not item.is_as_expected
    ]
    keys = {
        f"supervisor {one['institution']}": ", ".join(one["keys"]) for one in _supervisors(found)
    }
    told = [
        (
            time_text(act.time),
            f"{act.contract}.{act.act}",
            "" if act.institution is None else str(act.institution),
            ", ".join(f"{name} {shown_value(name, v)}" for name, v in _said(act.said).items()),
            f"0x{act.transaction.hex()}",
        )
        for act in acts
    ]
    return [
        Table(("contract", "address", "code"), [_verdict(one) for one in found.contracts]),
        "",
        Table(("contract", "immutable", "value", "is"), immutables),
        "",
        *pairs({**keys, "mismatches": len(found.mismatches)}),
        *shown,
        "",
        Table(("time", "privileged act", "institution", "details", "transaction"), told),
    ]


def _verdict(one: Inspected) -> tuple[str, ...]:
    return one.contract, one.address, "; ".join(one.problems) or "as it should be"


def _supervisors(found: Inspection) -> list[dict[str, Any]]:
    """The institutions that supervise, with the keys that may act for them."""
    state = found.state
    return [
        {
            "institution": id_,
            "suspended": entry.suspended,
            "keys": [
                key
                for key, operator in state.operators.items()
                if operator.institution == id_ and not operator.until
            ],
        }
        for id_, entry in state.institutions.items()
        if entry.kinds & Kind.SUPERVISOR
    ]


def _said(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """What an act says beside who did it."""
    return {name: value for name, value in arguments.items() if name not in _ACTORS}
