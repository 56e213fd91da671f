"""Each rule finds what it is for, and nothing in an ordinary history."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.index.chronicle import Chronicle, operator, terms

from medledger.index import findings
from medledger.index.findings import DAY, HOUR, check

FIRST = 46060126_0000000001
HOSPITAL, PAYER, PHARMACY, OTHER_PHARMACY = 2, 3, 4, 5
NOON = 20_000 * DAY + 12 * HOUR
DECISION = (5, 1, b"\x01" * 32, b"\x02" * 32)


@pytest.fixture
def chronicle(tmp_path: Path) -> Iterator[Chronicle]:
    """A history that begins with a segment of the hospital's."""
    told = Chronicle(f"sqlite:///{tmp_path / 'index.db'}")
    allot(told)
    yield told
    told.index.close()


def rules(chronicle: Chronicle) -> list[tuple[str, str, list[str]]]:
    """Rule, severity and the names of the evidence of all findings."""
    return [(f.rule, f.severity, [e.name for e in f.evidence]) for f in check(chronicle.index)]


def issue(
    chronicle: Chronicle, at: int, first: int = FIRST, count: int = 10, root: int = 1
) -> None:
    chronicle.tell(
        "BatchIssued",
        at=at,
        contract="Invoices",
        first=first,
        segment=1,
        institution=HOSPITAL,
        count=count,
        root=root.to_bytes(32),
    )


def allot(chronicle: Chronicle) -> None:
    chronicle.tell(
        "SegmentAllotted",
        at=NOON,
        contract="Invoices",
        segment=1,
        institution=HOSPITAL,
        first=FIRST,
        last=FIRST + 99,
    )


def lock(chronicle: Chronicle, at: int, until: int) -> None:
    chronicle.tell("ClaimLocked", at=at, number=FIRST, payer=PAYER, terms=terms(5), until=until)


def settle(chronicle: Chronicle, at: int) -> None:
    chronicle.tell("ClaimSettled", at=at, number=FIRST, payer=PAYER, decision=DECISION)


def test_check__an_ordinary_history__finds_nothing(chronicle: Chronicle) -> None:
    issue(chronicle, NOON)
    issue(chronicle, NOON + DAY, FIRST + 10, root=2)
    lock(chronicle, NOON + DAY, NOON + 2 * DAY)
    settle(chronicle, NOON + DAY)
    accept(chronicle, PHARMACY, NOON + DAY)
    chronicle.tell("PrescriptionReturned", at=NOON + DAY, number=FIRST, pharmacy=PHARMACY)
    accept(chronicle, OTHER_PHARMACY, NOON + DAY)

    assert rules(chronicle) == []


def test_check__a_bill_reversed_after_it_was_reimbursed__high(chronicle: Chronicle) -> None:
    settle(chronicle, NOON)
    chronicle.tell("InvoiceReversed", at=NOON + 1, number=FIRST, redLetter=FIRST + 1)

    assert rules(chronicle) == [
        ("reversed_after_reimbursed", "high", ["ClaimSettled", "InvoiceReversed"])
    ]


def test_check__a_bill_reversed_after_it_was_settled_at_once__high(chronicle: Chronicle) -> None:
    settlement = (terms(5), DECISION)
    chronicle.tell(
        "ClaimLockedAndSettled", at=NOON, number=FIRST, payer=PAYER, settlement=settlement
    )
    chronicle.tell("InvoiceReversed", at=NOON + 1, number=FIRST, redLetter=FIRST + 1)

    assert rules(chronicle) == [
        ("reversed_after_reimbursed", "high", ["ClaimLockedAndSettled", "InvoiceReversed"])
    ]


def take_back(chronicle: Chronicle, left: int) -> None:
    chronicle.tell(
        "InvoicePartlyReversed", at=NOON + 1, number=FIRST, redLetter=FIRST + 1, amount=6, left=left
    )


def test_check__a_bill_reversed_in_part_below_what_was_reimbursed__high(
    chronicle: Chronicle,
) -> None:
    settle(chronicle, NOON)
    take_back(chronicle, left=4)

    (found,) = check(chronicle.index)

    assert (found.rule, found.severity) == ("reversed_after_reimbursed", "high")
    assert [event.name for event in found.evidence] == ["ClaimSettled", "InvoicePartlyReversed"]
    assert "reversed in part after payers paid 1 too much" in found.what


def test_check__a_bill_reversed_in_part_that_leaves_what_was_reimbursed__nothing(
    chronicle: Chronicle,
) -> None:
    settle(chronicle, NOON)
    take_back(chronicle, left=5)

    assert rules(chronicle) == []


def test_check__a_fixed_benefit_and_a_bill_reversed__in_whole_only(chronicle: Chronicle) -> None:
    fixed = (*terms(5)[:3], True, terms(5)[4])
    told = {"number": FIRST, "payer": PAYER, "settlement": (fixed, DECISION)}
    chronicle.tell("ClaimLockedAndSettled", at=NOON, **told)
    take_back(chronicle, left=0)
    in_part = rules(chronicle)
    chronicle.tell("InvoiceReversed", at=NOON + 2, number=FIRST, redLetter=FIRST + 2)

    assert in_part == []
    assert [found[0] for found in rules(chronicle)] == ["reversed_after_reimbursed"]


def test_check__a_claim_that_was_repaid__may_be_reversed(chronicle: Chronicle) -> None:
    settle(chronicle, NOON)
    chronicle.tell("ClaimRepaid", at=NOON, number=FIRST, payer=PAYER, amount=5)
    chronicle.tell("InvoiceReversed", at=NOON + 1, number=FIRST, redLetter=FIRST + 1)

    assert rules(chronicle) == []


def test_check__locks_that_expire_twice__medium(chronicle: Chronicle) -> None:
    lock(chronicle, NOON, NOON + 10)
    lock(chronicle, NOON + 20, NOON + 30)
    issue(chronicle, NOON + 25)
    assert rules(chronicle) == []

    issue(chronicle, NOON + 31, FIRST + 10, root=2)

    assert rules(chronicle) == [("locks_expire", "medium", ["ClaimLocked", "ClaimLocked"])]


@pytest.mark.parametrize("end", ["ClaimDenied", "ClaimWithdrawn", "PayerWaived"])
def test_check__a_lock_given_up_in_time__is_not_expired(chronicle: Chronicle, end: str) -> None:
    for n in range(3):
        lock(chronicle, NOON + 20 * n, NOON + 20 * n + 10)
        chronicle.tell(end, at=NOON + 20 * n + 5, number=FIRST, payer=PAYER)

    assert rules(chronicle) == []


def test_check__the_same_root_twice__high(chronicle: Chronicle) -> None:
    issue(chronicle, NOON)
    issue(chronicle, NOON, FIRST + 10)

    assert rules(chronicle) == [("same_root_twice", "high", ["BatchIssued", "BatchIssued"])]


def test_check__numbers_left_out__high(chronicle: Chronicle) -> None:
    issue(chronicle, NOON)
    issue(chronicle, NOON, FIRST + 11, root=2)

    (found,) = check(chronicle.index)
    assert (found.rule, found.severity) == ("segments_with_gaps", "high")
    assert "46060126-0000000011 to 46060126-0000000011" in found.what


def test_check__a_lease_taken_over__low(chronicle: Chronicle) -> None:
    accept(chronicle, PHARMACY, NOON)
    accept(chronicle, PHARMACY, NOON + DAY)
    assert rules(chronicle) == []

    accept(chronicle, OTHER_PHARMACY, NOON + 2 * DAY)

    accepted = "PrescriptionAccepted"
    assert rules(chronicle) == [("leases_taken_over", "low", [accepted, accepted])]


def test_check__a_parcel_left_behind_by_a_lease_taken_over__medium(chronicle: Chronicle) -> None:
    accept(chronicle, PHARMACY, NOON)
    chronicle.tell("PrescriptionDispensed", at=NOON + 1, number=FIRST, pharmacy=PHARMACY)
    chronicle.tell("PrescriptionHandedOver", at=NOON + 2, number=FIRST, pharmacy=PHARMACY)

    accept(chronicle, OTHER_PHARMACY, NOON + 2 * DAY)

    evidence = ["PrescriptionAccepted", "PrescriptionDispensed", "PrescriptionAccepted"]
    assert rules(chronicle) == [("leases_taken_over", "medium", evidence)]


@pytest.mark.parametrize("how", ["returned", "delivered", "delivered in part"])
def test_check__a_prescription_that_the_pharmacy_gave_up__is_not_taken_over(
    how: str, chronicle: Chronicle
) -> None:
    accept(chronicle, PHARMACY, NOON)
    chronicle.tell("PrescriptionDispensed", at=NOON + 1, number=FIRST, pharmacy=PHARMACY)
    if how != "returned":
        complete = how == "delivered"
        chronicle.tell("PrescriptionDelivered", at=NOON + 2, number=FIRST, complete=complete)
    if how != "delivered":
        chronicle.tell("PrescriptionReturned", at=NOON + 3, number=FIRST, pharmacy=PHARMACY)

    accept(chronicle, OTHER_PHARMACY, NOON + 2 * DAY)

    assert rules(chronicle) == []


def accept(chronicle: Chronicle, pharmacy: int, at: int) -> None:
    chronicle.tell(
        "PrescriptionAccepted", at=at, number=FIRST, pharmacy=pharmacy, leaseUntil=at + HOUR
    )


@pytest.mark.parametrize(("before", "is_near"), [(DAY, True), (DAY + 1, False)])
def test_check__acts_in_the_day_before_a_suspension__medium(
    before: int, is_near: bool, chronicle: Chronicle
) -> None:
    add_operator(chronicle, NOON - 9 * DAY)
    chronicle.tell("DocumentHeld", at=NOON - before, number=FIRST, by=operator(7))
    chronicle.tell("InstitutionSuspended", at=NOON, institution=HOSPITAL, by=operator(1))

    found = ("acting_near_suspension", "medium", ["DocumentHeld", "InstitutionSuspended"])
    assert rules(chronicle) == ([found] if is_near else [])


def add_operator(chronicle: Chronicle, at: int) -> None:
    chronicle.tell(
        "OperatorAdded", at=at, operator=operator(7), institution=HOSPITAL, by=operator(1)
    )


def test_check__a_key_older_than_a_year__medium_until_it_is_removed(chronicle: Chronicle) -> None:
    add_operator(chronicle, NOON)
    issue(chronicle, NOON + findings.KEY_AGE)
    assert rules(chronicle) == []

    issue(chronicle, NOON + findings.KEY_AGE + 1, FIRST + 10, root=2)
    assert rules(chronicle) == [("keys_rotated_late", "medium", ["OperatorAdded"])]

    chronicle.tell("OperatorRemoved", at=NOON + 2 * findings.KEY_AGE, operator=operator(7))
    assert rules(chronicle) == []


def hold(chronicle: Chronicle, at: int) -> None:
    chronicle.tell("DocumentHeld", at=at, number=FIRST, by=operator(7))


def test_check__one_act_at_night__low(chronicle: Chronicle) -> None:
    for day in range(findings.KNOWN_DAYS):
        for _ in range(findings.KNOWN_ACTS // findings.KNOWN_DAYS):
            hold(chronicle, NOON + day * DAY)
    assert rules(chronicle) == []

    hold(chronicle, NOON + 15 * HOUR)

    assert rules(chronicle) == [("unusual_hours", "low", ["DocumentHeld"])]


def test_check__a_day_with_far_more_acts__medium(chronicle: Chronicle) -> None:
    for day in range(3):
        hold(chronicle, NOON + day * DAY)
    for _ in range(findings.LEAST_VOLUME):
        hold(chronicle, NOON + 4 * DAY)

    assert rules(chronicle) == [("unusual_volume", "medium", ["DocumentHeld", "DocumentHeld"])]


@pytest.mark.parametrize("is_endorsed", [True, False])
def test_check__a_batch_of_an_endorsed_segment__needs_its_endorsement(
    is_endorsed: bool, chronicle: Chronicle
) -> None:
    segment = {"contract": "Records", "segment": 1, "first": FIRST}
    chronicle.tell(
        "SegmentAllotted",
        at=NOON,
        **segment,
        institution=HOSPITAL,
        last=FIRST + 9,
        endorsed=True,
    )
    chronicle.tell("BatchIssued", at=NOON, **segment, institution=HOSPITAL, count=1, root=b"1" * 32)
    if is_endorsed:
        chronicle.tell("BatchEndorsed", at=NOON, **segment, supervisor=1)

    missing = [("endorsements_missing", "high", ["BatchIssued"])]
    assert rules(chronicle) == ([] if is_endorsed else missing)


def test_check__one_commitment_for_two_bills__medium(chronicle: Chronicle) -> None:
    event, argument = "InvoiceExchanged", "paperHash"
    for number, commitment in ((FIRST, 1), (FIRST, 1), (FIRST + 1, 0), (FIRST + 2, 0)):
        given = {"number": number, argument: commitment.to_bytes(32)}
        chronicle.tell(event, at=NOON, **given)
    assert rules(chronicle) == []

    chronicle.tell(event, at=NOON, **{"number": FIRST + 3, argument: (1).to_bytes(32)})

    assert rules(chronicle) == [("same_commitment_twice", "medium", [event, event])]


@pytest.mark.parametrize(("tries", "severity"), [(2, "low"), (3, "medium")])
def test_check__refused_attempts__low_and_from_three_a_day_medium(
    tries: int, severity: str, chronicle: Chronicle
) -> None:
    add_operator(chronicle, NOON)
    for _ in range(tries):
        chronicle.refuse("Institutions", "suspend", operator(7), at=NOON)
    chronicle.refuse("Claims", "", operator(8), at=NOON)

    assert rules(chronicle) == [
        ("refused_attempts", severity, ["Institutions.suspend refused"] * tries),
        ("refused_attempts", "low", ["Claims.unknown refused"]),
    ]
    whats = [found.what for found in check(chronicle.index)]
    assert f"of institution {HOSPITAL} was refused {tries} times" in whats[0]
    assert "of a stranger was refused 1 times in a day: Claims.?" in whats[1]


def test_broken__what_a_rebuild_found__is_high_whatever_the_time() -> None:
    (found,) = findings.broken(["bill 1: locked 2 + reimbursed 0 > claimable 1"])

    assert (found.rule, found.severity, found.evidence) == ("invariant_broken", "high", ())


def test_check__since_a_time__leaves_out_what_ended_before(chronicle: Chronicle) -> None:
    issue(chronicle, NOON)
    issue(chronicle, NOON + 5, FIRST + 10)

    assert len(check(chronicle.index, since=NOON + 5)) == 1
    assert check(chronicle.index, since=NOON + 6) == []
