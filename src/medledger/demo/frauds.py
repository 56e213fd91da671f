"""Eight frauds that the contracts must refuse, each acted out with real transactions.

Every fraud is tried by somebody who holds real keys and real evidence. It counts as refused only
if the contract answers with exactly the error that names the broken rule.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from medledger.core.evidence import Evidence
from medledger.core.hashing import InvoiceHeader
from medledger.demo.cast import Cast, HospitalDesk, dispensing
from medledger.errors import (
    AuthorisationInvalid,
    ClaimIsSettled,
    InstitutionIsSuspended,
    NumberAlreadyIssued,
    OverRemainder,
    PrescriptionIsTaken,
    ProofInvalid,
    Refusal,
    StateForbids,
)
from medledger.roles import Payer, Pharmacy

HOUR = 3600
SUSPENSION_REASON = 1


@dataclass(frozen=True, slots=True)
class Fraud:
    """What happened to one fraud: the contract's answer, or None where it went through."""

    name: str
    refusal: Refusal | None


@dataclass(frozen=True, slots=True)
class Scene:
    """What the frauds are tried on."""

    desk: HospitalDesk
    segment: int
    settled: Evidence
    """A bill that `payer` has reimbursed."""
    settled_patient: str
    payer: Payer
    other_payer: Payer
    unused: Evidence
    """A bill that nobody has opened."""
    unused_patient: str
    delivered: int
    """A prescription that `pharmacy` has dispensed and the patient has."""
    pharmacy: Pharmacy
    other_pharmacy: Pharmacy
    accepted: int
    """A prescription that `pharmacy` has accepted."""
    accepted_evidence: Evidence
    accepted_patient: str


def try_frauds(cast: Cast, scene: Scene) -> list[Fraud]:
    """Tries all eight, in the order of a bill's and a prescription's life."""
    deadline = cast.supervisor.now() + HOUR
    number = scene.settled.number

    def double_issue() -> None:
        # Straight to the contract: the hospital's own software would take the next number.
        call = cast.ledgers.invoices.issue(scene.segment, number, 1, bytes(32))
        scene.desk.role.sender.send(call)

    def issue_by_suspended_hospital() -> None:
        cast.supervisor.suspend(scene.desk.institution, SUSPENSION_REASON)
        try:
            entry = cast.ledgers.invoices.segment_of(scene.segment)
            call = cast.ledgers.invoices.issue(scene.segment, entry.next, 1, bytes(32))
            scene.desk.role.sender.send(call)
        finally:
            cast.supervisor.reinstate(scene.desk.institution)

    def forged_proof() -> None:
        header = scene.unused.header
        assert isinstance(header, InvoiceHeader)
        forged = replace(scene.unused, header=replace(header, claimable=10 * header.claimable + 1))
        patient = cast.patient(scene.unused_patient)
        act = patient.authorise_claim(forged.number, scene.payer.institution, 1, deadline=deadline)
        scene.payer.lock(forged, act)

    def double_claim() -> None:
        patient = cast.patient(scene.settled_patient)
        act = patient.authorise_claim(number, scene.payer.institution, 1, deadline=deadline)
        scene.payer.lock(scene.settled, act)

    def claim_over_remainder() -> None:
        patient = cast.patient(scene.settled_patient)
        amount = scene.other_payer.remainder(number) + 1
        act = patient.authorise_claim(
            number, scene.other_payer.institution, amount, deadline=deadline
        )
        scene.other_payer.lock(scene.settled, act)

    def replayed_authorisation() -> None:
        patient = cast.patient(scene.unused_patient)
        act = patient.authorise_claim(
            scene.unused.number, scene.payer.institution, 1, deadline=deadline
        )
        scene.payer.lock(scene.unused, act)
        scene.payer.release(scene.unused.number)
        scene.payer.lock(scene.unused, act)

    def accept_by_second_pharmacy() -> None:
        patient = cast.patient(scene.accepted_patient)
        act = patient.authorise_acceptance(
            scene.accepted, scene.other_pharmacy.institution, deadline=deadline
        )
        scene.other_pharmacy.accept(scene.accepted_evidence, act)

    def second_dispense() -> None:
        scene.pharmacy.dispense(scene.delivered, dispensing([1]))

    attempts: list[tuple[Callable[[], None], type[Refusal]]] = [
        (double_issue, NumberAlreadyIssued),
        (issue_by_suspended_hospital, InstitutionIsSuspended),
        (forged_proof, ProofInvalid),
        (double_claim, ClaimIsSettled),
        (claim_over_remainder, OverRemainder),
        (replayed_authorisation, AuthorisationInvalid),
        (accept_by_second_pharmacy, PrescriptionIsTaken),
        (second_dispense, StateForbids),
    ]
    return [_attempt(act, expected) for act, expected in attempts]


def _attempt(act: Callable[[], None], expected: type[Refusal]) -> Fraud:
    try:
        act()
    except Refusal as refusal:
        return Fraud(act.__name__, refusal if isinstance(refusal, expected) else None)
    return Fraud(act.__name__, None)
