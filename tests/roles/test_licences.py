"""Licences from issue to revocation, and the comparison with what somebody presents."""

from __future__ import annotations

import pytest
from tests.roles.world import AUTHORITY_NAME, PRESCRIBER_NAME, World, licence

from medledger.chain.bindings import LicenceOpened, LicenceRevoked, LicenceSuspended
from medledger.core.documents import Party
from medledger.core.evidence import Evidence
from medledger.errors import (
    InvalidDocument,
    IssuerMismatch,
    KindMissing,
    LicenceIsRevoked,
    MalformedEvidence,
    ProofInvalid,
    StatusMismatch,
    UnknownField,
)


def test_issue_many__licences__go_through_the_same_pipeline(world: World) -> None:
    receipts = list(world.authority.issue_many(licence(f"licence-{i}") for i in range(3)))
    again = list(world.authority.issue_many([licence("licence-1")]))

    assert [receipt.kind for receipt in receipts] == ["Licence"] * 3
    assert again[0].number == receipts[1].number
    assert not again[0].is_new
    for receipt in receipts:
        evidence = Evidence.from_json(receipt.evidence().to_json())
        assert evidence.kind == "Licence"
        world.auditor.verify(evidence)


def test_issue__by_a_hospital__is_refused(world: World) -> None:
    hospital = world.hospital

    with pytest.raises(KindMissing):
        hospital._send(hospital.ledgers.licences.issue(world.deployment.licences, 1, 1, bytes(32)))


def test_verify__a_licence_of_another_name__is_an_issuer_mismatch(world: World) -> None:
    receipt = world.authority.issue(licence(issuing_authority=Party("1", "somebody else")))

    with pytest.raises(IssuerMismatch, match="issuingAuthority"):
        world.auditor.verify(receipt.evidence())
    assert AUTHORITY_NAME != "somebody else"


def test_verify__a_suspended_licence__fails_only_while_it_is_suspended(world: World) -> None:
    receipt = world.licensed()
    evidence, number = receipt.evidence(), receipt.number
    world.pass_time(100)
    world.authority.suspend(number, reason=3)
    begin = world.now()
    world.pass_time(100)
    with pytest.raises(StatusMismatch, match="suspended since"):
        world.auditor.verify(evidence)

    world.authority.lift(number)

    world.auditor.verify(evidence)
    world.auditor.verify(evidence, at=begin - 1)
    with pytest.raises(StatusMismatch, match="suspended since"):
        world.auditor.verify(evidence, at=begin)
    assert world.auditor.is_valid_at(number)
    assert world.auditor.is_valid_at(number, begin - 1)
    assert not world.auditor.is_valid_at(number, begin)


def test_verify__a_revoked_licence__was_valid_before(world: World) -> None:
    receipt = world.licensed()
    issued_at = world.now()
    world.pass_time(100)
    world.authority.revoke(receipt.number, reason=9)

    with pytest.raises(StatusMismatch, match="revoked at"):
        world.auditor.verify(receipt.evidence())
    world.auditor.verify(receipt.evidence(), at=issued_at)
    with pytest.raises(LicenceIsRevoked):
        world.authority.lift(receipt.number)


def test_verify__a_licence_renewed_late__was_not_valid_in_between(world: World) -> None:
    end = world.now() + 1_000
    receipt = world.licensed(valid_until=end)
    world.pass_time(2_000)
    with pytest.raises(StatusMismatch, match="it is valid from"):
        world.auditor.verify(receipt.evidence())

    world.authority.renew(receipt.number, world.now() + 10_000)

    world.auditor.verify(receipt.evidence())
    with pytest.raises(StatusMismatch, match="it is valid from"):
        world.auditor.verify(receipt.evidence(), at=end + 1)
    assert not world.auditor.is_valid_at(receipt.number, end + 1)


def test_matches__what_the_holder_presents__is_compared_field_by_field(world: World) -> None:
    receipt = world.licensed()
    shown = receipt.evidence(["holderName"])

    assert world.auditor.matches(shown, "holderName", PRESCRIBER_NAME)
    assert not world.auditor.matches(shown, "holderName", "测试医生")
    with pytest.raises(UnknownField):
        world.auditor.matches(shown, "licenceCode", "D460000001")


def test_matches__evidence_of_another_ledger__is_refused(world: World) -> None:
    with pytest.raises(MalformedEvidence, match="not of a licence"):
        world.auditor.matches(world.issued().evidence(), "BizCode", "visit-1")
    with pytest.raises(MalformedEvidence, match="not of a licence"):
        world.authority.open(world.issued().evidence())


def test_matches__a_header_changed_by_its_holder__is_refused(world: World) -> None:
    from dataclasses import replace

    shown = world.licensed().evidence(["holderName"])
    forged = replace(shown, header=replace(shown.header, licence_type=8))

    with pytest.raises(ProofInvalid):
        world.auditor.matches(forged, "holderName", PRESCRIBER_NAME)


def test_trace__of_a_licence__is_its_life(world: World) -> None:
    number = world.licensed().number
    world.authority.suspend(number)
    world.authority.revoke(number)

    steps = world.auditor.trace(number, "Licence")

    assert [type(step.event) for step in steps[1:]] == [
        LicenceOpened,
        LicenceSuspended,
        LicenceRevoked,
    ]


def test_audit__after_every_act_on_licences__agrees_with_storage(world: World) -> None:
    end = world.now() + 1_000
    number = world.licensed(valid_until=end).number
    world.authority.suspend(number)
    world.pass_time(500)
    world.authority.lift(number)
    world.pass_time(2_000)
    world.authority.renew(number, world.now() + 1_000)
    world.authority.revoke(number)

    audit = world.auditor.audit()

    assert audit.mismatches == []
    assert audit.state.licences[number].interruptions == 2
    assert len(audit.state.interruptions[number]) == 2


@pytest.mark.parametrize(
    "change",
    [
        {"business_key": ""},
        {"licence_type": 2**16},
        {"licence_type": -1},
        {"valid_until": 0, "valid_from": 0},
        {"valid_from": 10, "valid_until": 9},
        {"valid_until": 2**40},
    ],
    ids=str,
)
def test_licence__with_a_value_that_no_header_holds__is_refused(change: dict[str, int]) -> None:
    with pytest.raises(InvalidDocument):
        licence(**change)  # type: ignore[arg-type]
