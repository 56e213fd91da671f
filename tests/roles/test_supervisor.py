"""The supervisor: accredits, allots, suspends, pauses; and every way to be refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from tests.roles.world import (
    BILL_CODE,
    DAY,
    FAR_FUTURE,
    HOSPITAL_NAME,
    ORDER_CODE,
    SERIALS,
    World,
    bill,
    key_of,
)

from medledger.chain.keys import address_of
from medledger.core.hashing import OperatorConsent, keccak256, name_hash
from medledger.core.numbers import document_number
from medledger.core.states import Kind
from medledger.errors import (
    ActMismatch,
    CodeInvalid,
    ConsentExpired,
    ConsentInvalid,
    EnforcedPause,
    ExpectedPause,
    InputError,
    InstitutionIsSuspended,
    InstitutionNotSuspended,
    InstitutionUnknown,
    KindMissing,
    KindsInvalid,
    LastOperator,
    NotAnIssuer,
    NotAnOperator,
    NothingToWithdraw,
    NotTheInstitution,
    NotTheOperator,
    OperatorInvalid,
    OperatorKnown,
    OutsideAccreditation,
    OwnInstitution,
    Refusal,
    RegionInvalid,
    SegmentIsWithdrawn,
    SegmentOverlaps,
    SegmentUnknown,
    SerialsInvalid,
    ValidityInvalid,
)
from medledger.roles import Supervisor
from medledger.roles.ledger_of import DocumentKind
from medledger.roles.supervisor import FOREVER

NEW = address_of(key_of("somebody new"))
FREE = SERIALS + 1
"""The first serial of the hospital's codes that nobody has."""


@pytest.fixture
def stranger(world: World) -> Supervisor:
    return Supervisor(world.ledgers, keccak256(b"a key that acts for nobody"))


# Institutions


def test_accredit__a_hospital_with_a_pharmacy__is_on_chain_with_its_first_key(
    world: World,
) -> None:
    before = world.ledgers.institutions.institution_count()
    until = world.now() + DAY

    id_ = world.supervisor.accredit(
        "新医院",
        Kind.HOSPITAL | Kind.PHARMACY,
        NEW,
        region=469023,
        valid_from=5,
        valid_until=until,
    )

    assert id_ == before + 1
    found = world.ledgers.institutions.institution_of(id_)
    assert (found.kinds, found.suspended, found.region) == (3, False, 469023)
    assert (found.valid_from, found.valid_until) == (5, until)
    assert found.name_hash == name_hash("新医院")
    operator = world.ledgers.institutions.operator_of(NEW)
    assert (operator.institution, operator.since, operator.until) == (id_, world.now(), 0)


def test_accredit__without_more__is_nationwide_and_without_end(world: World) -> None:
    id_ = world.supervisor.accredit("新医院", Kind.HOSPITAL, NEW)

    found = world.ledgers.institutions.institution_of(id_)
    assert (found.region, found.valid_from, found.valid_until) == (0, 0, FOREVER)
    assert world.ledgers.institutions.is_active_as(id_, Kind.HOSPITAL)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"operator": address_of(key_of("payer"))}, OperatorKnown),
        ({"operator": "0x" + 40 * "0"}, OperatorInvalid),
        ({"kinds": Kind(0)}, KindsInvalid),
        ({"kinds": 64}, KindsInvalid),
        ({"region": 1_000_000}, RegionInvalid),
        ({"valid_until": 1}, ValidityInvalid),
        ({"valid_from": FOREVER, "valid_until": FOREVER - 1}, ValidityInvalid),
    ],
)
def test_accredit__what_cannot_be__is_refused_by_name(
    changes: dict[str, Any], expected: type[Refusal], world: World
) -> None:
    given: dict[str, Any] = {"name": "新医院", "kinds": Kind.HOSPITAL, "operator": NEW}
    before = world.ledgers.institutions.institution_count()

    with pytest.raises(expected):
        world.supervisor.accredit(**(given | changes))

    assert world.ledgers.institutions.institution_count() == before


def test_accredit__by_others__is_refused(world: World, stranger: Supervisor) -> None:
    hospital = Supervisor(world.ledgers, key_of("hospital"))

    with pytest.raises(KindMissing) as error:
        hospital.accredit("新医院", Kind.HOSPITAL, NEW)
    with pytest.raises(NotAnOperator):
        stranger.accredit("新医院", Kind.HOSPITAL, NEW)

    assert error.value.values == {
        "institution": world.ids["hospital"],
        "kind": Kind.SUPERVISOR,
    }


def test_accredit__another_supervisor__may_do_the_same(world: World) -> None:
    world.supervisor.accredit("卫健委", Kind.SUPERVISOR, address_of(key_of("second supervisor")))
    second = Supervisor(world.ledgers, key_of("second supervisor"))

    second.accredit("新医院", Kind.HOSPITAL, NEW)
    second.suspend(world.ids["hospital"], 1)

    assert world.ledgers.institutions.institution_of(world.ids["hospital"]).suspended


def test_accredit__from_a_later_day__may_act_from_then_until_its_end(world: World) -> None:
    start, end = world.now() + DAY, world.now() + 2 * DAY
    id_ = world.supervisor.accredit(
        HOSPITAL_NAME, Kind.HOSPITAL, NEW, valid_from=start, valid_until=end
    )
    hospital = world.hospital_again(key=key_of("somebody new"), store="new")

    with pytest.raises(NotAnIssuer):
        world.supervisor.allot(id_, BILL_CODE, FREE, FREE)
    world.pass_time(DAY)
    segment = world.supervisor.allot(id_, BILL_CODE, FREE, FREE + 10)
    hospital.issue(bill(), segment=segment)
    world.pass_time(DAY + 1)
    with pytest.raises(OutsideAccreditation) as error:
        hospital.issue(bill("visit-2"), segment=segment)

    assert error.value.values == {"institution": id_, "validFrom": start, "validUntil": end}
    world.supervisor.renew(id_, end + 10 * DAY)
    hospital.issue(bill("visit-2"), segment=segment)


def test_renew__an_institution__moves_its_end(world: World) -> None:
    until = world.now() + DAY

    world.supervisor.renew(world.ids["payer"], until)

    found = world.ledgers.institutions.institution_of(world.ids["payer"])
    assert found.valid_until == until


def test_renew__what_cannot_be__is_refused(world: World, stranger: Supervisor) -> None:
    with pytest.raises(ValidityInvalid):
        world.supervisor.renew(world.ids["payer"], world.now() - 1)
    with pytest.raises(InstitutionUnknown, match="no institution 999"):
        world.supervisor.renew(999, FOREVER)
    with pytest.raises(OwnInstitution, match="cannot suspend or renew itself"):
        world.supervisor.renew(1, FOREVER)
    with pytest.raises(NotAnOperator):
        stranger.renew(world.ids["payer"], FOREVER)


# Operators


def test_add_operator__a_second_key__acts_beside_the_first(world: World) -> None:
    world.supervisor.add_operator(world.consent(key_of("somebody new")))

    second = world.hospital_again(key=key_of("somebody new"), store="second")
    receipts = [second.issue(bill("visit-a")), world.hospital.issue(bill("visit-b"))]

    assert second.institution == world.hospital.institution
    assert receipts[1].number == receipts[0].number + 1


def test_add_operator__by_the_institution_itself__is_allowed_for_itself_only(
    world: World,
) -> None:
    hospital = Supervisor(world.ledgers, key_of("hospital"))

    hospital.add_operator(world.consent(key_of("somebody new")))

    assert world.ledgers.institutions.operator_of(NEW).institution == world.ids["hospital"]
    with pytest.raises(NotTheInstitution):
        hospital.add_operator(world.consent(key_of("another"), "payer"))


def test_add_operator__what_cannot_be__is_refused(world: World) -> None:
    with pytest.raises(OperatorKnown):
        world.supervisor.add_operator(world.consent(key_of("hospital"), "payer"))
    consent = world.consent(key_of("somebody new"))
    with pytest.raises(ConsentInvalid):
        world.supervisor.add_operator(replace(consent, message=OperatorConsent(2, FAR_FUTURE - 1)))
    with pytest.raises(InstitutionUnknown):
        world.supervisor.add_operator(replace(consent, message=OperatorConsent(999, FAR_FUTURE)))
    with pytest.raises(ActMismatch, match="is not signed"):
        world.supervisor.add_operator(replace(consent, signer="", signature=b""))
    with pytest.raises(ActMismatch, match="on chain 1,"):
        world.supervisor.add_operator(replace(consent, chain_id=1))
    late = Supervisor(world.ledgers, key_of("somebody new"))
    with pytest.raises(ConsentExpired):
        world.supervisor.add_operator(late.consent(2, deadline=world.now() - 1))


def test_remove_operator__a_key__can_do_no_more_and_never_again(world: World) -> None:
    receipt = world.issued()
    removed = address_of(key_of("hospital"))

    world.supervisor.remove_operator(removed)

    assert world.ledgers.institutions.operator_of(removed).until == world.now()
    with pytest.raises(NotAnOperator):
        world.hospital.issue(bill("visit-2"))
    with pytest.raises(OperatorKnown):
        world.supervisor.add_operator(world.consent(key_of("hospital")))
    world.auditor.verify(receipt.evidence())


def test_remove_operator__what_cannot_be__is_refused(world: World) -> None:
    with pytest.raises(NotAnOperator):
        world.supervisor.remove_operator(NEW)
    with pytest.raises(NotTheOperator):
        Supervisor(world.ledgers, key_of("hospital")).remove_operator(address_of(key_of("payer")))
    with pytest.raises(LastOperator):
        world.supervisor.remove_operator(world.supervisor.address)


# Suspension


def test_suspend__a_hospital__can_issue_no_more_until_it_is_reinstated(world: World) -> None:
    id_ = world.ids["hospital"]

    world.supervisor.suspend(id_, 65535)

    assert world.ledgers.institutions.institution_of(id_).suspended
    with pytest.raises(InstitutionIsSuspended) as error:
        world.issued()
    assert error.value.values == {"institution": id_}
    world.supervisor.reinstate(id_)
    assert world.issued().number


def test_suspend__what_cannot_be__is_refused(world: World, stranger: Supervisor) -> None:
    with pytest.raises(OwnInstitution):
        world.supervisor.suspend(world.supervisor.institution, 1)
    with pytest.raises(InstitutionUnknown):
        world.supervisor.suspend(999, 1)
    with pytest.raises(InstitutionNotSuspended):
        world.supervisor.reinstate(world.ids["hospital"])
    world.supervisor.suspend(world.ids["hospital"], 1)
    with pytest.raises(InstitutionIsSuspended):
        world.supervisor.suspend(world.ids["hospital"], 1)
    with pytest.raises(NotAnOperator):
        stranger.suspend(world.ids["payer"], 1)
    with pytest.raises(NotAnOperator):
        stranger.reinstate(world.ids["hospital"])


# Number segments


@pytest.mark.parametrize(("kind", "code"), [("Invoice", BILL_CODE), ("Prescription", ORDER_CODE)])
def test_allot__serials_of_a_code__are_the_institutions(
    kind: DocumentKind, code: int, world: World
) -> None:
    segment = world.supervisor.allot(world.ids["hospital"], code, FREE, FREE + 9, kind)

    found = world.hospital.segments(kind)[segment]
    assert found.institution == world.ids["hospital"]
    assert found.first == found.next == document_number(code, FREE)
    assert found.last == document_number(code, FREE + 9)


@pytest.mark.parametrize(
    ("code", "first", "last", "expected"),
    [
        (BILL_CODE, 1, 5, SegmentOverlaps),
        (BILL_CODE, SERIALS, SERIALS + 5, SegmentOverlaps),
        (0, 1, 5, CodeInvalid),
        (10**8, 1, 5, CodeInvalid),
        (BILL_CODE, 0, 5, SerialsInvalid),
        (BILL_CODE, FREE + 5, FREE + 4, SerialsInvalid),
        (BILL_CODE, FREE, 10**10, SerialsInvalid),
    ],
)
def test_allot__what_cannot_be__is_refused_by_name(
    code: int, first: int, last: int, expected: type[Refusal], world: World
) -> None:
    with pytest.raises(expected):
        world.supervisor.allot(world.ids["hospital"], code, first, last)


def test_withdraw__a_segment__is_left_out_by_its_hospital(world: World) -> None:
    last = world.supervisor.allot(world.ids["hospital"], BILL_CODE, FREE, FREE + 9)
    first = world.issued().number

    world.supervisor.withdraw(world.deployment.bills, 3)

    found = world.hospital.segments("Invoice")[world.deployment.bills]
    assert (found.withdrawn, found.next, found.last) == (
        True,
        first + 1,
        document_number(BILL_CODE, SERIALS),
    )
    again = world.hospital_again()
    assert again.issue(bill("visit-2")).number == document_number(BILL_CODE, FREE)
    with pytest.raises(SegmentIsWithdrawn, match=f"segment {world.deployment.bills} "):
        again.issue(bill("visit-3"), segment=world.deployment.bills)
    world.supervisor.withdraw(last, 3)
    with pytest.raises(SegmentIsWithdrawn):
        world.hospital_again().issue(bill("visit-4"))
    assert world.auditor.audit().mismatches == []


def test_withdraw__what_cannot_be__is_refused(world: World) -> None:
    segment = world.supervisor.allot(world.ids["hospital"], BILL_CODE, FREE, FREE)
    world.hospital.issue(bill(), segment=segment)

    with pytest.raises(NothingToWithdraw):
        world.supervisor.withdraw(segment, 1)
    with pytest.raises(SegmentUnknown):
        world.supervisor.withdraw(999, 1)
    with pytest.raises(KindMissing):
        Supervisor(world.ledgers, key_of("hospital")).withdraw(world.deployment.bills, 1)


@pytest.mark.parametrize("role", ["pharmacy", "payer"])
def test_allot__to_no_hospital__not_an_issuer(role: str, world: World) -> None:
    with pytest.raises(NotAnIssuer, match=f"institution {world.ids[role]} "):
        world.supervisor.allot(world.ids[role], BILL_CODE, FREE, FREE)


def test_allot__by_others__is_refused(world: World, stranger: Supervisor) -> None:
    hospital = Supervisor(world.ledgers, key_of("hospital"))

    with pytest.raises(KindMissing):
        hospital.allot(world.ids["hospital"], BILL_CODE, FREE, FREE)
    with pytest.raises(NotAnOperator):
        stranger.allot(world.ids["hospital"], BILL_CODE, FREE, FREE)


# Pause


def test_pause__bills__stops_these_only_until_its_end(world: World) -> None:
    world.supervisor.pause("Invoice")

    assert world.ledgers.invoices.paused()
    with pytest.raises(EnforcedPause):
        world.issued()
    assert world.prescribed().number
    world.supervisor.unpause("Invoice")
    assert world.issued().number


def test_pause__prescriptions__stops_first_use_and_lets_what_has_begun_end(world: World) -> None:
    begun, waiting = world.accepted(key="order-1"), world.prescribed("order-2")

    world.supervisor.pause("Prescription")

    with pytest.raises(EnforcedPause):
        world.pharmacy.accept(waiting.evidence(), world.admit(waiting.number))
    world.dispense(begun.number, [24, 10])
    world.pharmacy.deliver(world.confirm(begun.number))


def test_pause__what_cannot_be__is_refused(world: World, stranger: Supervisor) -> None:
    with pytest.raises(ExpectedPause):
        world.supervisor.unpause("Invoice")
    world.supervisor.pause("Invoice")
    with pytest.raises(EnforcedPause):
        world.supervisor.pause("Invoice")
    with pytest.raises(NotAnOperator):
        stranger.pause("Prescription")
    with pytest.raises(NotAnOperator):
        stranger.unpause("Invoice")


# Values that no contract can be told


@pytest.mark.parametrize(
    "act",
    [
        lambda world: world.supervisor.suspend(world.ids["hospital"], 65536),
        lambda world: world.supervisor.suspend(-1, 1),
        lambda world: world.supervisor.accredit("n", Kind.HOSPITAL, "0x1234"),
        lambda world: world.supervisor.accredit("n", Kind.HOSPITAL, NEW, valid_until=2**64),
        lambda world: world.payer.settle(1, -1),
        lambda world: world.payer.settle(2**64, 1),
        lambda world: world.payer.settle(1, 1, explanation=b"\x00" * 33),
        lambda world: world.dispense(1, [2**24]),
        lambda world: world.auditor.ledgers.claims.usage_of(-1),
    ],
    ids=[
        "reason",
        "institution",
        "address",
        "time",
        "amount",
        "number",
        "explanation",
        "quantity",
        "number of a view",
    ],
)
def test_act__a_value_outside_its_type__is_an_input_error_and_not_the_encoders(
    act: Callable[[World], Any], world: World
) -> None:
    with pytest.raises(InputError) as error:
        act(world)

    assert "\n" not in str(error.value)
