"""The payer: never more than the patient allowed, never more than is left, each once."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.roles.world import (
    DAY,
    EXPLANATION,
    LOCK_PERIOD,
    PAYMENT,
    World,
    bill,
    decided,
    key_of,
    red_letter,
)

from medledger.chain.keys import address_of
from medledger.core.authorisation import Signed
from medledger.core.evidence import Evidence
from medledger.core.states import Kind, Status
from medledger.errors import (
    AmountZero,
    AuthorisationExpired,
    AuthorisationInvalid,
    AuthorisationMismatch,
    ClaimIsLocked,
    ClaimIsSettled,
    ClaimNotLocked,
    DocumentIsHeld,
    InstitutionIsSuspended,
    InvoiceIsRedLetter,
    InvoiceIsReversed,
    KindMissing,
    MalformedAuthorisation,
    MalformedEvidence,
    NoSettlementToken,
    NotAnOperator,
    OverLock,
    OverRemainder,
    PayerUndecided,
    ProofInvalid,
    SharedPathLengthWrong,
    TooManyLocks,
)
from medledger.roles import IssueReceipt, Payer


@pytest.fixture
def receipt(world: World) -> IssueReceipt:
    """A bill of which 2500 can be claimed."""
    return world.issued()


@pytest.fixture
def evidence(receipt: IssueReceipt) -> Evidence:
    return receipt.evidence()


def claim(world: World, number: int, payer: str = "payer") -> tuple[Status, int]:
    found = world.ledgers.claims.claim_of(number, world.ids[payer])
    return found.status, found.amount


def names(world: World, number: int) -> list[str]:
    return [step.name for step in world.auditor.trace(number)]


# Locking


def test_lock__a_bill_that_nobody_used__holds_the_amount_and_opens_nothing(
    world: World, receipt: IssueReceipt, evidence: Evidence
) -> None:
    done = world.payer.lock(evidence, world.allow(receipt.number, 1000))

    assert done.call.name == "Claims.lock"
    assert claim(world, receipt.number) == (Status.LOCKED, 1000)
    found = world.ledgers.claims.claim_of(receipt.number, world.ids["payer"])
    assert (found.until, found.sequence) == (world.now() + LOCK_PERIOD, 1)
    assert world.ledgers.claims.usage_of(receipt.number) == (1000, 0)
    assert world.payer.remainder(receipt.evidence()) == 1500
    assert int(world.ledgers.invoices.invoice_of(receipt.number).patient, 16) == 0
    assert names(world, receipt.number) == ["BatchIssued", "ClaimLocked"]


def test_lock__evidence_of_chosen_fields__is_enough(world: World, receipt: IssueReceipt) -> None:
    world.payer.lock(receipt.evidence([]), world.allow(receipt.number, 2500))

    assert claim(world, receipt.number) == (Status.LOCKED, 2500)


def test_lock__more_than_is_left__over_remainder(
    world: World, receipt: IssueReceipt, evidence: Evidence
) -> None:
    with pytest.raises(OverRemainder) as alone:
        world.payer.lock(evidence, world.allow(receipt.number, 2501))
    world.payer.lock(evidence, world.allow(receipt.number, 2400))
    with pytest.raises(OverRemainder) as second:
        world.other_payer.lock(evidence, world.allow(receipt.number, 101, "other_payer"))

    number = receipt.number
    assert alone.value.values == {"number": number, "amount": 2501, "remainder": 2500}
    assert second.value.values == {"number": number, "amount": 101, "remainder": 100}
    assert world.ledgers.claims.usage_of(number) == (2400, 0)


def test_lock__of_nothing__amount_zero(
    world: World, receipt: IssueReceipt, evidence: Evidence
) -> None:
    with pytest.raises(AmountZero):
        world.payer.lock(evidence, world.allow(receipt.number, 0))


def test_lock__twice__claim_is_locked_until_its_end(
    world: World, receipt: IssueReceipt, evidence: Evidence
) -> None:
    world.payer.lock(evidence, world.allow(receipt.number, 1000))

    with pytest.raises(ClaimIsLocked) as error:
        world.payer.lock(evidence, world.allow(receipt.number, 1000))

    assert error.value.values["until"] == world.now() + LOCK_PERIOD
    world.pass_time(LOCK_PERIOD + 1)
    world.payer.lock(evidence, world.allow(receipt.number, 2000))
    assert claim(world, receipt.number) == (Status.LOCKED, 2000)


def test_lock__after_settlement__claim_is_settled(
    world: World, receipt: IssueReceipt, evidence: Evidence
) -> None:
    world.payer.lock(evidence, world.allow(receipt.number, 1000))
    world.payer.settle(receipt.number, decided(600))

    with pytest.raises(ClaimIsSettled) as error:
        world.payer.lock(evidence, world.allow(receipt.number, 1000))

    assert error.value.values["amount"] == 600


def test_lock__the_authorisation_again_after_release__is_invalid(
    world: World, receipt: IssueReceipt, evidence: Evidence
) -> None:
    signed = world.allow(receipt.number, 1000)
    world.payer.lock(evidence, signed)
    world.payer.withdraw(receipt.number)

    with pytest.raises(AuthorisationInvalid) as error:
        world.payer.lock(evidence, signed)

    assert error.value.values["number"] == receipt.number
    world.payer.lock(evidence, world.allow(receipt.number, 1000))


def test_lock__after_the_deadline__authorisation_expired(
    world: World, receipt: IssueReceipt, evidence: Evidence
) -> None:
    deadline = world.now() + DAY
    signed = world.allow(receipt.number, 1000, deadline=deadline)
    world.pass_time(DAY + 1)

    with pytest.raises(AuthorisationExpired) as error:
        world.payer.lock(evidence, signed)

    assert error.value.values == {"number": receipt.number, "deadline": deadline}


@pytest.mark.parametrize(
    "forge",
    [
        lambda signed: replace(signed, message=replace(signed.message, amount=2500)),
        lambda signed: replace(signed, message=replace(signed.message, deadline=2**40)),
        lambda signed: replace(signed, signature=bytes(65)),
        lambda signed: replace(signed, signature=signed.signature[:64]),
        lambda signed: replace(signed, signature=b""),
    ],
    ids=["amount", "deadline", "no signature", "short signature", "empty signature"],
)
def test_lock__a_forged_authorisation__is_invalid(
    forge: Any, world: World, receipt: IssueReceipt, evidence: Evidence
) -> None:
    with pytest.raises(AuthorisationInvalid):
        world.payer.lock(evidence, forge(world.allow(receipt.number, 1000)))


def test_lock__signed_by_another_patient__is_invalid(
    world: World, receipt: IssueReceipt, evidence: Evidence
) -> None:
    signed = world.other_patient.authorise_claim(
        receipt.number, world.ids["payer"], 1000, deadline=world.deadline
    )

    with pytest.raises(AuthorisationInvalid):
        world.payer.lock(evidence, signed)


def test_lock__an_authorisation_for_another_payer_or_bill__mismatch(
    world: World, receipt: IssueReceipt, evidence: Evidence
) -> None:
    another = world.issued("visit-2")

    with pytest.raises(AuthorisationMismatch, match=f"allows payer {world.ids['other_payer']}"):
        world.payer.lock(evidence, world.allow(receipt.number, 1000, "other_payer"))
    with pytest.raises(AuthorisationMismatch, match="bill"):
        world.payer.lock(evidence, world.allow(another.number, 1000))


def test_lock__an_authorisation_for_another_chain_or_contract__mismatch(
    world: World, receipt: IssueReceipt, evidence: Evidence
) -> None:
    signed = world.allow(receipt.number, 1000)
    elsewhere = world.ledgers.prescriptions.address

    for forged in (replace(signed, chain_id=1), replace(signed, contract=elsewhere)):
        with pytest.raises(AuthorisationMismatch, match="on chain 31337"):
            world.payer.lock(evidence, forged)


def test_lock__an_authorisation_of_another_kind__is_malformed(
    world: World, receipt: IssueReceipt, evidence: Evidence
) -> None:
    accept = world.patient.authorise_acceptance(receipt.number, 1, deadline=world.deadline)

    with pytest.raises((MalformedAuthorisation, AuthorisationMismatch)):
        world.payer.lock(evidence, accept)
    with pytest.raises(MalformedAuthorisation):
        world.payer.lock(evidence, replace(accept, contract=world.ledgers.claims.address))


def test_lock__evidence_of_a_prescription__is_malformed(world: World) -> None:
    order = world.prescribed()

    with pytest.raises(MalformedEvidence, match="not of a bill"):
        world.payer.lock(order.evidence(), world.allow(order.number, 1000))


@pytest.mark.parametrize(
    ("forge", "expected"),
    [
        (
            lambda e: replace(e, header=replace(e.header, claimable=9_999)),
            ProofInvalid,
        ),
        (lambda e: replace(e, header=replace(e.header, on_hold=True)), DocumentIsHeld),
        (lambda e: replace(e, head=replace(e.head, issued_at=e.head.issued_at - 1)), ProofInvalid),
        (lambda e: replace(e, path=(bytes(32), *e.path[1:])), ProofInvalid),
        (lambda e: replace(e, path=e.path[1:]), SharedPathLengthWrong),
        (lambda e: replace(e, path=(*e.path, bytes(32))), SharedPathLengthWrong),
    ],
    ids=["claimable", "hold", "time", "sibling", "shorter", "longer"],
)
def test_lock__forged_evidence__is_refused_by_the_contract(
    forge: Any, expected: type, world: World
) -> None:
    receipts = list(world.hospital.issue_many(bill(f"visit-{i}") for i in range(5)))
    number = receipts[2].number

    with pytest.raises(expected):
        world.payer.lock(forge(receipts[2].evidence()), world.allow(number, 2000))

    assert claim(world, number) == (Status.NONE, 0)


def test_lock__a_held_bill__is_refused_until_its_release(world: World) -> None:
    born_held = world.issued(on_hold=True)
    held_later = world.issued("visit-2")
    world.hospital.hold(held_later.number)

    for receipt in (born_held, held_later):
        with pytest.raises(DocumentIsHeld):
            world.payer.lock(receipt.evidence(), world.allow(receipt.number, 1000))
        world.hospital.release(receipt.number)
        world.payer.lock(receipt.evidence(), world.allow(receipt.number, 1000))


def test_lock__a_reversed_bill_or_its_red_letter__is_refused(
    world: World, receipt: IssueReceipt, evidence: Evidence
) -> None:
    red = world.hospital.issue(red_letter(receipt.number))
    world.hospital.reverse(receipt.number, red.number, 1)

    with pytest.raises(InvoiceIsReversed) as error:
        world.payer.lock(evidence, world.allow(receipt.number, 1000))
    with pytest.raises(InvoiceIsRedLetter):
        world.payer.lock(red.evidence(), world.allow(red.number, 1000))

    assert error.value.values == {"number": receipt.number, "redLetter": red.number}


def test_lock__by_somebody_who_is_no_payer__is_refused(
    world: World, receipt: IssueReceipt, evidence: Evidence
) -> None:
    hospital = Payer(world.ledgers, key_of("hospital"))
    world.supervisor.suspend(world.ids["payer"], 1)

    with pytest.raises(KindMissing):
        hospital.lock(evidence, world.allow(receipt.number, 1000, "hospital"))
    with pytest.raises(NotAnOperator):
        Payer(world.ledgers, key_of("nobody")).lock(evidence, world.allow(receipt.number, 1000))
    with pytest.raises(InstitutionIsSuspended):
        world.payer.lock(evidence, world.allow(receipt.number, 1000))


def test_lock__a_sixth_payer__too_many_until_one_lets_go(
    world: World, receipt: IssueReceipt, evidence: Evidence
) -> None:
    payers = {}
    for i in range(6):
        key = key_of(f"payer {i}")
        id_ = world.supervisor.accredit(f"payer {i}", Kind.PAYER, address_of(key))
        payers[id_] = Payer(world.ledgers, key)

    def lock(id_: int) -> None:
        signed = world.patient.authorise_claim(receipt.number, id_, 100, deadline=world.deadline)
        payers[id_].lock(evidence, signed)

    *five, sixth = payers
    for id_ in five:
        lock(id_)

    with pytest.raises(TooManyLocks):
        lock(sixth)

    payers[five[3]].withdraw(receipt.number)
    lock(sixth)
    assert world.ledgers.claims.usage_of(receipt.number) == (500, 0)


def test_lock_many__used_and_unused_bills__each_is_locked(world: World) -> None:
    receipts = list(world.hospital.issue_many(bill(f"visit-{i}") for i in range(6)))
    used = receipts[2]
    world.other_payer.lock(used.evidence(), world.allow(used.number, 100, "other_payer"))
    rows: list[tuple[Evidence, Signed]] = [
        (receipt.evidence(), world.allow(receipt.number, 2000)) for receipt in receipts
    ]

    done = list(world.payer.lock_many(rows))

    assert [receipt.call.name for receipt in done] == ["Claims.lock"] * 6
    assert {claim(world, receipt.number) for receipt in receipts} == {(Status.LOCKED, 2000)}


# Settling


def test_settle__less_than_is_locked__frees_the_rest(
    world: World, receipt: IssueReceipt, evidence: Evidence
) -> None:
    world.payer.lock(evidence, world.allow(receipt.number, 2000))

    world.payer.settle(receipt.number, decided(1500, reason=12, explanation=b"\x09" * 32))

    assert claim(world, receipt.number) == (Status.SETTLED, 1500)
    assert world.ledgers.claims.usage_of(receipt.number) == (0, 1500)
    assert world.payer.remainder(receipt.evidence()) == 1000
    event = world.auditor.trace(receipt.number)[-1].event
    assert event.decision == decided(1500, reason=12)  # type: ignore[union-attr]


def test_settle__what_cannot_be__is_refused_by_name(
    world: World, receipt: IssueReceipt, evidence: Evidence
) -> None:
    number = receipt.number
    with pytest.raises(ClaimNotLocked) as unlocked:
        world.payer.settle(number, decided(100))
    world.payer.lock(evidence, world.allow(number, 1000))
    with pytest.raises(OverLock) as over:
        world.payer.settle(number, decided(1001))
    with pytest.raises(AmountZero):
        world.payer.settle(number, decided(0))
    with pytest.raises(ClaimNotLocked):
        world.other_payer.settle(number, decided(100))
    world.payer.settle(number, decided(1000))
    with pytest.raises(ClaimIsSettled):
        world.payer.settle(number, decided(1))

    assert unlocked.value.values == {"number": number, "payer": world.ids["payer"]}
    assert over.value.values == {"number": number, "amount": 1001, "locked": 1000}


def test_settle__at_the_last_second_and_after__works_and_then_not(world: World) -> None:
    first, second = world.locked(key="visit-1"), world.locked(key="visit-2")
    until = world.ledgers.claims.claim_of(first.number, world.ids["payer"]).until
    world.rpc.request("evm_setNextBlockTimestamp", until)

    world.payer.settle(first.number, decided(1000))
    world.pass_time(LOCK_PERIOD)
    with pytest.raises(ClaimNotLocked):
        world.payer.settle(second.number, decided(1000))

    assert world.ledgers.claims.usage_of(second.number) == (0, 0)


def test_settle__twice_over_two_payers__never_above_claimable(
    world: World, receipt: IssueReceipt, evidence: Evidence
) -> None:
    world.payer.lock(evidence, world.allow(receipt.number, 1000))
    world.other_payer.lock(evidence, world.allow(receipt.number, 1500, "other_payer"))

    world.payer.settle(receipt.number, decided(1000))
    world.other_payer.settle(receipt.number, decided(1500))

    assert world.ledgers.claims.usage_of(receipt.number) == (0, 2500)
    assert world.payer.remainder(receipt.evidence()) == 0


def test_settle_many__several__each_is_settled(world: World) -> None:
    receipts = [world.locked(key=f"visit-{i}") for i in range(4)]

    done = list(
        world.payer.settle_many(
            [(r.number, decided(100 + i, reason=i)) for i, r in enumerate(receipts)]
        )
    )

    assert len(done) == 4
    assert [claim(world, r.number)[1] for r in receipts] == [100, 101, 102, 103]


# Releasing


def test_release__a_lock__frees_all_of_it(
    world: World, receipt: IssueReceipt, evidence: Evidence
) -> None:
    world.payer.lock(evidence, world.allow(receipt.number, 2500))

    world.payer.withdraw(receipt.number, reason=3)

    assert claim(world, receipt.number) == (Status.WITHDRAWN, 0)
    assert world.payer.remainder(receipt.evidence()) == 2500
    with pytest.raises(ClaimNotLocked):
        world.payer.withdraw(receipt.number)
    with pytest.raises(ClaimNotLocked):
        world.payer.settle(receipt.number, decided(1))


def test_release__what_is_settled__claim_is_settled(world: World) -> None:
    receipt = world.locked()
    world.payer.settle(receipt.number, decided(1000))

    with pytest.raises(ClaimIsSettled):
        world.payer.withdraw(receipt.number)


def test_act__after_a_suspension_of_the_payer__is_refused_and_the_lock_stays(world: World) -> None:
    receipt = world.locked()
    world.supervisor.suspend(world.ids["payer"], 1)

    with pytest.raises(InstitutionIsSuspended):
        world.payer.settle(receipt.number, decided(1000))
    with pytest.raises(InstitutionIsSuspended):
        world.payer.withdraw(receipt.number)

    assert world.ledgers.claims.usage_of(receipt.number) == (1000, 0)


# At once, and what comes after


def test_lock_and_settle_many__bills_of_two_batches__one_transaction_a_batch(world: World) -> None:
    first = list(world.hospital.issue_many(bill(f"visit-{i}") for i in range(6)))
    second = list(world.hospital.issue_many(bill(f"another-{i}") for i in range(3)))
    used = [second[2], first[5], first[0], second[0], first[3]]
    rows = [
        (receipt.evidence(), world.allow(receipt.number, 2000), decided(1000 + place))
        for place, receipt in enumerate(used)
    ]

    done = list(world.payer.lock_and_settle_many(rows))

    assert [receipt.call.name for receipt in done] == ["Claims.lockAndSettleMany"] * 2
    for place, receipt in enumerate(used):
        assert claim(world, receipt.number) == (Status.SETTLED, 1000 + place)


def test_lock_and_settle__then_recoup_repay_and_book__the_audit_agrees(
    world: World, receipt: IssueReceipt, evidence: Evidence
) -> None:
    number = receipt.number
    world.payer.lock_and_settle(evidence, world.allow(number, 2000), decided(1500))

    world.payer.recoup(number, 400, reason=1, explanation=EXPLANATION)
    assert world.payer.recoup_due(number) == 400
    world.payer.repay(number, 300, PAYMENT)
    world.payer.book(number)
    world.payer.revoke_booking(number)
    world.payer.book(number)
    world.payer.archive(number)
    world.hospital.confirm_payment(number, world.ids["payer"], PAYMENT)

    assert claim(world, number) == (Status.ARCHIVED, 1200)
    assert world.payer.recoup_due(number) == 100
    assert world.auditor.audit().mismatches == []


def test_relay__waiver_and_withdrawal_of_the_patient__open_the_bill_and_count(
    world: World, receipt: IssueReceipt, evidence: Evidence
) -> None:
    number, later = receipt.number, world.ids["other_payer"]
    act = world.patient.authorise_claim(
        number, later, 1000, deadline=world.deadline, after_payer=world.ids["payer"]
    )
    waiver = world.patient.waive_payer(number, world.ids["payer"], deadline=world.deadline)
    with pytest.raises(PayerUndecided):
        world.other_payer.lock_and_settle(evidence, act, decided(1000))

    world.pharmacy.relay(waiver, evidence)
    world.other_payer.lock(evidence, act)
    withdrawal = world.patient.withdraw_claim(number, later, deadline=world.deadline)
    world.pharmacy.relay(withdrawal)

    assert claim(world, number) == (Status.WAIVED, 0)
    assert claim(world, number, "other_payer") == (Status.WITHDRAWN, 0)
    assert world.auditor.audit().mismatches == []


def test_deposit__deployment_without_a_token__no_settlement_token(world: World) -> None:
    with pytest.raises(NoSettlementToken):
        world.payer.deposit(1)
