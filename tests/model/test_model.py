"""All contracts against their rules, with all roles at once."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from typing import ClassVar

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test
from tests.model.node import Mismatch
from tests.model.play import Play, told
from tests.model.stage import START, Stage

from medledger.chain import abi
from medledger.chain.local import LocalChain
from medledger.chain.rpc import Rpc

IS_SOAK = os.environ.get("MEDLEDGER_SOAK") == "1"
ONE = os.environ.get("MEDLEDGER_SEED")
SEEDS = [int(ONE)] if ONE else list(range(1, 401 if IS_SOAK else 41))
STEPS = 120
TIMEOUT = 7200 if IS_SOAK else 600
DRAWS = st.integers(0, 2**24 - 1)
SETTINGS = settings(
    # The simplest, in which nothing happens, and one at random. Further ones would vary that.
    max_examples=2,
    stateful_step_count=STEPS,
    deadline=None,
    database=None,
    # What fails is made shorter by its acts: see `shortest`.
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
LEDGERS = ("Invoices", "Prescriptions", "Licences", "Records")
BY_CLAIMS = {"Escrow.pay"}
"""What nobody calls but another contract."""
OFTEN = """
AmountZero AuthorisationExpired AuthorisationInvalid BillIsPaid CancelIsRequested
ClaimForbids ClaimIsLocked ClaimIsSettled ClaimNotLocked CodeInvalid CourierHasIt
CurrencyNotPaid DayInFuture DayIsAnchored DepositTooSmall DocumentIsHeld DocumentNotHeld
DrugClassUnknown ERC20InsufficientAllowance ERC20InsufficientBalance EndorsementExpired
EndorsementMissing EndorserIsIssuer EnforcedPause HolderMissing InstitutionIsSuspended
InstitutionNotSuspended InstitutionUnknown InvoiceIsRedLetter InvoiceIsReversed
InvoiceNotOnPaper InvoiceNotOpened InvoiceOnPaper KindMissing LeaseIsOver
LicenceIsRevoked LicenceNotSuspended LicenceValidityInvalid NotACourier NotAnOperator
NotTheIssuer NotThePharmacy NothingDispensed NumberOutsideBatch NumberOutsideSegment
OutsideAccreditation OverDue OverRecoupDue OverRemainder ParcelNotOffered
PathLengthWrong PatientMissing PayeeDiffers PayerUndecided PaymentIsConfirmed
PaymentIsStated PaymentMissing PaymentNotStated PrescriptionIsTaken ProofInvalid
PurposeInvalid RecordIsAmended RedLetterIsOriginal ReviewMissing SegmentExhausted
SegmentIsWithdrawn SegmentNotYours SegmentUnknown SerialsInvalid SharedPathLengthWrong
StateForbids ValidityInvalid WithdrawalTooLate
""".split()  # noqa: SIM905 (as many lines as errors otherwise)
"""Refusals that the examples meet, each several times."""


class Machine(RuleBasedStateMachine):
    """hypothesis decides which ledger is next, and leaves some out of an example."""

    stage: ClassVar[Stage]
    seen: ClassVar[Counter[tuple[str, str]]]
    failed: ClassVar[Play]

    def __init__(self) -> None:
        super().__init__()
        self.play = Play(self.stage, self.seen)
        self.agrees = True

    @rule(draw=DRAWS)
    def institutions(self, draw: int) -> None:
        self.step("institutions", draw)

    @rule(draw=DRAWS)
    def documents(self, draw: int) -> None:
        self.step("documents", draw)

    @rule(draw=DRAWS)
    def bills(self, draw: int) -> None:
        self.step("bills", draw)

    @rule(draw=DRAWS)
    def claims(self, draw: int) -> None:
        self.step("claims", draw)

    @rule(draw=DRAWS)
    def payments(self, draw: int) -> None:
        self.step("claims", draw)

    @rule(draw=DRAWS)
    def prescriptions(self, draw: int) -> None:
        self.step("prescriptions", draw)

    @rule(draw=DRAWS)
    def parcels(self, draw: int) -> None:
        self.step("prescriptions", draw)

    @rule(draw=DRAWS)
    def deliveries(self, draw: int) -> None:
        self.step("prescriptions", draw)

    @rule(draw=DRAWS)
    def licences(self, draw: int) -> None:
        self.step("licences", draw)

    @rule(draw=DRAWS)
    def records(self, draw: int) -> None:
        self.step("records", draw)

    def step(self, about: str, draw: int) -> None:
        if draw == 0:
            # hypothesis begins with the simplest example, which is nothing else.
            return
        self.agrees = False
        self.play.step(about, draw)
        self.agrees = True

    def teardown(self) -> None:
        if self.agrees and self.play.steps:
            self.agrees = False
            self.play.end()
            self.agrees = True
        if not self.agrees:
            type(self).failed = self.play


class Examples:
    """All examples, run once for all tests. `seen` counts acts by name and by what refused them."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self._seen: Counter[tuple[str, str]] = Counter()
        self._problem = ""

    @property
    def seen(self) -> Counter[tuple[str, str]]:
        """Raises `AssertionError` where contracts and rules differ, with the shortest way there."""
        if not self._seen and not self._problem:
            self._run()
        assert not self._problem, self._problem
        return self._seen

    def _run(self) -> None:
        self._problem = "the examples did not come to their end"
        for number in SEEDS:
            ours = {"stage": self.stage, "seen": self._seen}
            machine = seed(number)(type("Example", (Machine,), ours))
            try:
                run_state_machine_as_test(machine, settings=SETTINGS)
            except Mismatch as error:
                self._problem = (
                    f"seed {number}, step {len(machine.failed.steps)}, "
                    f"after {self._seen.total()} steps: {error}\n"
                    f"The shortest way there:\n{told(machine.failed)}"
                )
                return
        self._problem = ""
        for (name, refused), count in sorted(self._seen.items()):
            print(f"{count:6} {name} {refused or 'done'}")


@pytest.fixture(scope="module")
def examples() -> Iterator[Examples]:
    with LocalChain(options=("--timestamp", str(START - 1))) as chain:
        yield Examples(Stage(Rpc(chain.url)))


@pytest.mark.anvil
@pytest.mark.slow
@pytest.mark.timeout(TIMEOUT)
def test_ledgers__any_sequence_of_acts__do_as_the_rules_say(examples: Examples) -> None:
    assert examples.seen.total() > len(SEEDS) * STEPS * 0.9


@pytest.mark.anvil
@pytest.mark.slow
@pytest.mark.timeout(TIMEOUT)
@pytest.mark.skipif(ONE is not None, reason="one example does not do everything")
def test_examples__all_together__do_every_act_and_meet_the_usual_refusals(
    examples: Examples,
) -> None:
    writing = {contract: _writing(contract) for contract in abi.CONTRACTS}
    shared = set.intersection(*(writing[ledger] for ledger in LEDGERS))
    seen = examples.seen
    done = {name for name, refused in seen if not refused}
    missing = {f"{contract}.{name}" for contract, names in writing.items() for name in names} - done

    # What all ledgers of documents have must be done on one of them.
    assert {name for name in missing if name.partition(".")[2] not in shared} == BY_CLAIMS
    assert shared <= {name.partition(".")[2] for name in done}
    assert set(OFTEN) - {refused for _, refused in seen} == set()
    # Both sides of the edge: between a quarter and a half of the acts are refused.
    allowed = sum(count for (_, refused), count in seen.items() if not refused)
    assert 0.5 < allowed / seen.total() < 0.75


def _writing(contract: str) -> set[str]:
    """The functions of a contract that change something."""
    return {
        entry["name"]
        for entry in abi.artifact(contract)["abi"]
        if entry["type"] == "function" and entry["stateMutability"] not in ("view", "pure")
    }
