"""The auditor verifies evidence: each step that can fail, and each time that one can ask about."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from tests.roles.world import DAY, World, bill, decided, key_of

from medledger.chain.keys import address_of
from medledger.core.documents import Party
from medledger.core.evidence import Evidence
from medledger.errors import (
    AnchorMismatch,
    BodyMismatch,
    EvidenceError,
    HeaderMismatch,
    IssuerMismatch,
    PathMismatch,
    StatusMismatch,
)
from medledger.roles import IssueReceipt


@pytest.fixture
def receipt(world: World) -> IssueReceipt:
    """The third bill of a batch of five."""
    return list(world.hospital.issue_many(bill(f"visit-{i}") for i in range(5)))[2]


@pytest.fixture
def evidence(receipt: IssueReceipt) -> Evidence:
    return receipt.evidence()


def reversed_by(world: World, number: int) -> int:
    """Reverses a bill; the number of the red letter."""
    red = world.issued(f"reversal of {number}", related_invoice=number).number
    world.hospital.reverse(number, red, 1)
    return red


# What holds


def test_verify__each_kind_of_document__returns_nothing(world: World) -> None:
    original = world.issued("visit-1")
    red = reversed_by(world, original.number)
    evidences = [
        world.issued("visit-2").evidence(),
        world.issued("visit-3").evidence(["TotalAmount"]),
        world.hospital.evidence(red),
        world.prescribed().evidence(),
        world.prescribed("order-2").evidence([]),
    ]

    for evidence in evidences:
        world.auditor.verify(evidence)
        world.auditor.verify(Evidence.from_json(evidence.to_json()))


def test_verify__what_was_used_meanwhile__still_holds(world: World) -> None:
    claimed = world.locked()
    world.payer.settle(claimed.number, decided(1000))
    delivered = world.in_transit()
    world.courier.deliver(world.confirm(delivered.number))

    world.auditor.verify(claimed.evidence())
    world.auditor.verify(delivered.evidence())


# The steps that fail


FORGERIES: dict[str, tuple[Callable[[Evidence], Evidence], type[EvidenceError], str]] = {
    "a field's value": (
        lambda e: with_field(e, "TotalAmount", value=1),
        BodyMismatch,
        "TotalAmount",
    ),
    "a field's salt": (
        lambda e: with_field(e, "Item", salt=bytes(32)),
        BodyMismatch,
        "Item",
    ),
    "a digest": (
        lambda e: replace(
            e,
            disclosure=replace(e.disclosure, digests=(bytes(32), *e.disclosure.digests[1:])),
        ),
        BodyMismatch,
        "BizCode",
    ),
    "the body": (
        lambda e: replace(e, header=replace(e.header, body=bytes(32))),
        BodyMismatch,
        "body",
    ),
    "the amount in the header": (
        lambda e: replace(e, header=replace(e.header, claimable=1)),
        HeaderMismatch,
        "ownPayAmount",
    ),
    "the currency in the header": (
        lambda e: replace(e, header=replace(e.header, currency=840)),
        HeaderMismatch,
        "CurrencyType",
    ),
    "the hold in the header": (
        lambda e: replace(e, header=replace(e.header, on_hold=True)),
        AnchorMismatch,
        "another batch",
    ),
    "the patient in the header": (
        lambda e: replace(e, header=replace(e.header, patient="0x" + 40 * "1")),
        AnchorMismatch,
        "another batch",
    ),
    "a path too short": (lambda e: replace(e, path=e.path[1:]), PathMismatch, "too short"),
    "a path too long": (lambda e: replace(e, path=(*e.path, bytes(32))), PathMismatch, "too long"),
    "a sibling": (
        lambda e: replace(e, path=(bytes(32), *e.path[1:])),
        AnchorMismatch,
        "another batch",
    ),
    "a batch that ends before": (
        lambda e: replace(e, head=replace(e.head, count=2)),
        PathMismatch,
        "not in the batch",
    ),
    "another time of issue": (
        lambda e: replace(e, head=replace(e.head, issued_at=e.head.issued_at - DAY)),
        AnchorMismatch,
        "another batch",
    ),
    "another segment": (
        lambda e: replace(e, head=replace(e.head, segment=e.head.segment + 1)),
        AnchorMismatch,
        "another batch",
    ),
    "another chain": (
        lambda e: replace(e, anchor=replace(e.anchor, chain_id=1)),
        AnchorMismatch,
        "for chain 1, this is 31337",
    ),
    "another ledger": (
        lambda e: replace(e, anchor=replace(e.anchor, ledger="0x" + 40 * "1")),
        AnchorMismatch,
        "names ledger 0x1111",
    ),
}


def with_field(evidence: Evidence, name: str, **changes: object) -> Evidence:
    opened = {
        **evidence.disclosure.opened,
        name: replace(evidence.disclosure.opened[name], **changes),  # type: ignore[arg-type]
    }
    return replace(evidence, disclosure=replace(evidence.disclosure, opened=opened))


@pytest.mark.parametrize("name", FORGERIES)
def test_verify__one_thing_forged__names_the_step(
    name: str, world: World, evidence: Evidence
) -> None:
    forge, expected, word = FORGERIES[name]

    with pytest.raises(expected, match=word) as error:
        world.auditor.verify(forge(evidence))

    assert error.value.step
    assert "\n" not in str(error.value)


def test_verify__of_the_ledger_of_the_other_kind__anchor_mismatch(
    world: World, evidence: Evidence
) -> None:
    order = world.prescribed().evidence()
    elsewhere = replace(order, anchor=replace(order.anchor, ledger=evidence.anchor.ledger))

    with pytest.raises(AnchorMismatch, match="names ledger"):
        world.auditor.verify(elsewhere)


def test_verify__a_batch_that_never_was_issued__anchor_mismatch(world: World) -> None:
    evidence = world.issued().evidence()
    number = evidence.number + 50_000
    forged = replace(
        evidence,
        header=replace(evidence.header, number=number),
        head=replace(evidence.head, first=number),
        disclosure=replace(evidence.disclosure, opened={}),
    )

    with pytest.raises(AnchorMismatch, match="no batch was issued"):
        world.auditor.verify(forged)


def test_verify__the_chain_has_another_batch_under_the_number__anchor_mismatch(
    world: World,
) -> None:
    before = world.rpc.request("evm_snapshot")
    evidence = world.issued("visit-1").evidence()
    assert world.rpc.request("evm_revert", before)
    other = world.hospital_again(store="another").issue(bill("visit-2"))

    with pytest.raises(AnchorMismatch, match="another batch"):
        world.auditor.verify(evidence)

    assert other.number == evidence.number
    world.auditor.verify(other.evidence())


def test_verify__another_hospitals_name_on_it__issuer_mismatch_where_it_is_opened(
    world: World,
) -> None:
    receipt = world.other_hospital.issue(bill())

    with pytest.raises(IssuerMismatch, match=f"institution {world.ids['other_hospital']}") as error:
        world.auditor.verify(receipt.evidence())

    assert error.value.step == "issuer"
    own = bill("visit-2", invoicing_party=Party("1", "other_hospital"))
    world.auditor.verify(world.other_hospital.issue(own).evidence())


def test_verify__the_issuers_name_kept_closed__is_not_compared(world: World) -> None:
    receipt = world.other_hospital.issue(bill())

    world.auditor.verify(receipt.evidence(["TotalAmount"]))


# Status, and its times


def test_verify__a_reversed_bill__status_mismatch_names_the_red_letter(
    world: World, receipt: IssueReceipt, evidence: Evidence
) -> None:
    red = reversed_by(world, receipt.number)

    with pytest.raises(StatusMismatch, match="was reversed at") as error:
        world.auditor.verify(evidence)

    assert f"{red % 10**10:010d}" in str(error.value)
    assert error.value.step == "status"


def test_verify__before_and_after_the_reversal__each_is_told(
    world: World, receipt: IssueReceipt, evidence: Evidence
) -> None:
    world.pass_time(DAY)
    before = world.now()
    world.pass_time(DAY)
    reversed_by(world, receipt.number)
    reversed_at = world.now()
    world.pass_time(DAY)

    world.auditor.verify(evidence, at=before)
    world.auditor.verify(evidence, at=reversed_at - 1)
    for at in (reversed_at, world.now(), None):
        with pytest.raises(StatusMismatch, match="reversed"):
            world.auditor.verify(evidence, at=at)


def test_verify__before_it_was_issued__status_mismatch(
    world: World, receipt: IssueReceipt, evidence: Evidence
) -> None:
    issued_at = receipt.head.issued_at

    world.auditor.verify(evidence, at=issued_at)
    with pytest.raises(StatusMismatch, match="was issued at"):
        world.auditor.verify(evidence, at=issued_at - 1)


def test_verify__held_and_released__each_time_is_told(
    world: World, receipt: IssueReceipt, evidence: Evidence
) -> None:
    times = []
    for act in (world.hospital.hold, world.hospital.release, world.hospital.hold):
        world.pass_time(DAY)
        act(receipt.number)
        times.append(world.now())
    world.pass_time(DAY)
    held, released, held_again = times

    for at in (held - 1, released, held_again - 1):
        world.auditor.verify(evidence, at=at)
    for at in (held, released - 1, held_again, None):
        with pytest.raises(StatusMismatch, match="on hold"):
            world.auditor.verify(evidence, at=at)


@pytest.mark.parametrize("kind", ["Invoice", "Prescription"])
def test_verify__born_on_hold__holds_from_its_release(kind: str, world: World) -> None:
    receipt = world.issued(on_hold=True) if kind == "Invoice" else world.prescribed(on_hold=True)
    evidence = receipt.evidence()

    with pytest.raises(StatusMismatch, match="on hold"):
        world.auditor.verify(evidence)
    world.pass_time(DAY)
    world.hospital.release(receipt.number, receipt.kind)
    released_at = world.now()

    world.auditor.verify(evidence)
    with pytest.raises(StatusMismatch, match="on hold"):
        world.auditor.verify(evidence, at=released_at - 1)


def test_verify__a_cancelled_prescription__status_mismatch_from_then_on(world: World) -> None:
    receipt = world.prescribed()
    evidence = receipt.evidence()
    world.pass_time(100)
    world.hospital.cancel(receipt.number, 1)
    cancelled_at = world.now()

    with pytest.raises(StatusMismatch, match="was cancelled at"):
        world.auditor.verify(evidence)
    world.auditor.verify(evidence, at=cancelled_at - 1)


def test_verify__another_bill_of_the_batch_is_reversed__this_one_holds(
    world: World, receipt: IssueReceipt, evidence: Evidence
) -> None:
    reversed_by(world, receipt.number + 1)
    world.hospital.hold(receipt.number - 1)

    world.auditor.verify(evidence)


@pytest.mark.parametrize("change", ["suspended", "operator removed", "accreditation over"])
def test_verify__the_hospital_may_issue_no_more__what_it_issued_before_holds(
    change: str, world: World, evidence: Evidence
) -> None:
    if change == "suspended":
        world.supervisor.suspend(world.ids["hospital"], 1)
    elif change == "operator removed":
        world.supervisor.remove_operator(address_of(key_of("hospital")))
    else:
        world.supervisor.renew(world.ids["hospital"], world.now() + 1)
        world.pass_time(DAY)

    world.auditor.verify(evidence)
    world.auditor.verify(evidence, at=world.now())


def test_verify__the_ledger_is_paused__evidence_holds(world: World, evidence: Evidence) -> None:
    world.supervisor.pause("Invoice")

    world.auditor.verify(evidence)


def test_verify__a_year_later__evidence_holds(world: World, evidence: Evidence) -> None:
    world.pass_time(400 * DAY)

    world.auditor.verify(evidence)
