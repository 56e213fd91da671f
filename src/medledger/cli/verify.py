"""`verify`: evidence files against the chain, from any folder and with no server of ours.

With a manifest the ledger is known beforehand (pinned). Without one, the evidence itself says which
ledger holds it, and the reader has to judge who stands behind that ledger: it is said plainly.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from medledger.cli.command import Command
from medledger.cli.failures import error_object, people_message
from medledger.cli.options import IN_FILE, TIME, reading
from medledger.cli.output import Output, pairs
from medledger.cli.session import Session, read_evidence
from medledger.core.numbers import format_number
from medledger.errors import (
    AnchorMismatch,
    ContractMissing,
    EvidenceError,
    ManifestMissing,
    MedledgerError,
)

if TYPE_CHECKING:
    from medledger.chain.deployment import Ledgers
    from medledger.core.evidence import Evidence

STEPS = ("format", "fields", "header", "path", "anchor", "issuer", "status")
PASSED = {
    "format": "the file is evidence, well-formed",
    "fields": "every opened field is what was sealed",
    "header": "the header agrees with the opened fields",
    "path": "the document is in its batch, at its number's place",
    "anchor": "the ledger holds this batch",
    "issuer": "the invoicing party, where it is opened, is the institution that issued it",
    "status": "neither reversed, cancelled nor on hold",
}


@dataclass(slots=True)
class _Finding:
    """What is known of one file."""

    file: Path
    data: dict[str, Any] = field(default_factory=dict)
    failure: EvidenceError | None = None

    @property
    def passed(self) -> tuple[str, ...]:
        return STEPS if self.failure is None else STEPS[: STEPS.index(self.failure.step)]


@click.command(
    "verify",
    cls=Command,
    examples=[
        "medledger verify bill.json --rpc http://127.0.0.1:8545",
        "medledger verify *.json --deployment deployments/31337.json --at 2026-12-31",
    ],
)
@click.argument("files", type=IN_FILE, nargs=-1, required=True)
@click.option(
    "--at",
    type=TIME,
    help="Ask whether it was valid at this time, ISO 8601 or Unix seconds; by default now.",
)
@reading
def verify(session: Session, files: tuple[Path, ...], at: int | None) -> Output:
    """Verify evidence files against the chain.

    FILES are evidence files; - reads standard input. Without --deployment and without a manifest in
    deployments/ here, the ledger's address is taken from each file, which is said: ask then whether
    you trust the institution that is named.
    """
    findings = [_verify(session, file, at) for file in files]
    failed = sum(finding.failure is not None for finding in findings)
    text: list[str] = []
    for finding in findings:
        text += _lines(finding)
    if len(findings) > 1:
        text.append(f"{len(findings) - failed} of {len(findings)} files hold")
    data = {
        "verified": len(findings) - failed,
        "failed": failed,
        "files": [_data(finding) for finding in findings],
    }
    first = next((finding for finding in findings if finding.failure is not None), None)
    if first is None or first.failure is None:
        return Output(data, text)
    reason = f"{first.failure.step}: {people_message(first.failure)}"
    return Output(data, text, first.failure, f"{first.file} does not hold: {reason}")


def _verify(session: Session, file: Path, at: int | None) -> _Finding:
    finding = _Finding(file)
    try:
        evidence = read_evidence(file)
        finding.data |= {"number": format_number(evidence.number), "kind": evidence.kind}
        # All that needs no chain comes first, so that the first failing step is the one named.
        evidence.verify_offline()
        ledgers, pinned = _ledgers(session, evidence)
        finding.data |= {"chain_id": ledgers.chain_id, "pinned": pinned}
        from medledger.roles import Auditor
        from medledger.roles.ledger_of import ledger_of

        ledger = ledger_of(ledgers, evidence.kind)
        finding.data |= {"ledger": ledger.address, "issued_at": evidence.head.issued_at}
        Auditor(ledgers).verify(evidence, at=at)
        institution = ledger.segment_of(evidence.head.segment).institution
        name_hash = ledgers.institutions.institution_of(institution).name_hash
        finding.data |= {"institution": institution, "name_hash": name_hash}
        party = evidence.fields.get("InvoicingParty")
        finding.data["name"] = party.get("name") if isinstance(party, dict) else None
    except EvidenceError as error:
        finding.failure = error
    return finding


def _ledgers(session: Session, evidence: Evidence) -> tuple[Ledgers, bool]:
    """The contracts, and whether a manifest names them."""
    try:
        return session.ledgers(), True
    except ManifestMissing:
        if session.deployment is not None:
            raise
    from medledger.roles import open_ledgers_of_evidence

    try:
        return open_ledgers_of_evidence(session.rpc, evidence), False
    except ContractMissing as error:
        raise AnchorMismatch(
            problem=f"the ledger that it names, {error.address}, is no medledger contract"
        ) from error


def _lines(finding: _Finding) -> list[str]:
    data, failure = finding.data, finding.failure
    name = f"{data['number']} ({data['kind'].lower()})" if data else "unreadable"
    lines = [f"{finding.file}: {name}"]
    lines += [
        f"  {line}" for line in pairs({f"ok  {step}": PASSED[step] for step in finding.passed})
    ]
    if failure is not None:
        lines.append(f"  FAILED  {failure.step}: {people_message(failure)}")
    elif data["pinned"]:
        lines.append(f"  Holds. Issued by institution {_issuer(data)}.")
    else:
        lines += [
            f"  Holds on the ledger {data['ledger']}, chain {data['chain_id']}.",
            "  NOT PINNED: the ledger's address was taken from the file itself; a manifest",
            "  (--deployment) or the supervisor can say whether it is the right one.",
            f"  There, institution {_issuer(data)} issued it.",
        ]
    return lines


def _issuer(data: dict[str, Any]) -> str:
    name = f" ({data['name']})" if data["name"] else ""
    return f"{data['institution']}{name}, name hash 0x{data['name_hash'].hex()}"


def _data(finding: _Finding) -> dict[str, Any]:
    failure: MedledgerError | None = finding.failure
    return {
        "file": finding.file,
        "ok": failure is None,
        "pinned": None,
        **finding.data,
        "passed": finding.passed,
        "failed_step": None if finding.failure is None else finding.failure.step,
        **(error_object(failure) if failure is not None else {}),
    }
