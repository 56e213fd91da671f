"""Records: issued, amended, granted, read, and what was read anchored day by day."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.roles.world import World, record

from medledger.chain.bindings import AccessGranted, AccessRevoked, RecordAmended, RecordOpened
from medledger.core.evidence import Evidence
from medledger.core.numbers import DocumentNumber
from medledger.core.reads import DAY, ReadProof
from medledger.core.states import Purpose
from medledger.errors import (
    AccessNotGranted,
    AnchorMismatch,
    AuthorisationMismatch,
    InvalidDocument,
    MalformedEvidence,
    NotFound,
    PathMismatch,
    RecordIsAmended,
    StatusMismatch,
)


def today(world: World) -> int:
    return world.now() // DAY


# Amendments


def test_amend__a_record__takes_its_place(world: World) -> None:
    first = world.hospital.record(record())
    world.auditor.verify(first.evidence())

    second = world.hospital.amend(record("consultation-1/2", amends=first.number))

    assert world.ledgers.records.latest_of(first.number) == second.number
    evidence = Evidence.from_json(second.evidence().to_json())
    world.auditor.verify(evidence)
    assert evidence.fields["amends"] == f"{first.number:018d}"
    with pytest.raises(StatusMismatch, match="amended at"):
        world.auditor.verify(first.evidence())


def test_amend__again_after_a_stop__opens_the_same_amendment(world: World) -> None:
    first = world.hospital.record(record())
    amendment = record("consultation-1/2", amends=first.number)
    world.hospital.record(amendment)  # and the program stopped

    receipt = world.hospital.amend(amendment)
    again = world.hospital.amend(amendment)

    assert (receipt.number, receipt.is_new) == (again.number, False)
    assert list(world.ledgers.records.amendments_of(first.number)) == [receipt.number]


def test_amend__an_older_version__is_refused_before_a_number_is_spent(world: World) -> None:
    first = world.hospital.record(record())
    world.hospital.amend(record("consultation-1/2", amends=first.number))
    before = world.ledgers.records.segment_of(world.deployment.records).next

    with pytest.raises(RecordIsAmended):
        world.hospital.amend(record("consultation-1/3", amends=first.number))
    assert world.ledgers.records.segment_of(world.deployment.records).next == before


def test_amend__nothing__is_refused(world: World) -> None:
    with pytest.raises(InvalidDocument, match="names no record"):
        world.hospital.amend(record())


# Reading


def test_read__with_a_grant__gives_the_record_and_logs_it(world: World) -> None:
    number = world.recorded().number
    world.admit_reader(number)

    evidence = world.hospital.read(number, world.ids["other_hospital"], "D1", Purpose.TREAT)

    world.auditor.verify(evidence)
    (row,) = world.hospital.reads_of(number)
    entry = world.hospital.prove_read(row).entry if world.hospital.anchor_reads() else None
    assert entry is not None
    assert (entry.institution, entry.reader, entry.purpose, entry.broke_glass) == (
        world.ids["other_hospital"],
        "D1",
        Purpose.TREAT,
        False,
    )


def test_read__by_the_hospitals_own__needs_no_grant(world: World) -> None:
    number = world.hospital.record(record()).number

    world.hospital.read(number, world.ids["hospital"], "D1", Purpose.TREAT)

    assert len(world.hospital.reads_of(number)) == 1


@pytest.mark.parametrize("purpose", [Purpose.TREAT, Purpose.HPAYMT, Purpose.HRESCH])
def test_read__without_a_grant__is_refused_and_nothing_is_logged(
    world: World, purpose: Purpose
) -> None:
    number = world.recorded().number
    other = Purpose.HPAYMT if purpose == Purpose.TREAT else Purpose.TREAT
    world.admit_reader(number, purpose=other)

    with pytest.raises(AccessNotGranted):
        world.hospital.read(number, world.ids["other_hospital"], "D1", purpose)
    assert world.hospital.reads_of(number) == []


def test_read__in_an_emergency_without_a_grant__breaks_the_glass_and_is_marked(
    world: World,
) -> None:
    number = world.recorded().number

    world.hospital.read(number, world.ids["other_hospital"], "D1", Purpose.ETREAT)

    world.hospital.anchor_reads()
    proof = world.hospital.prove_read(world.hospital.reads_of(number)[0])
    assert proof.entry.broke_glass
    assert proof.entry.json()["brokeGlass"] is not False


def test_read__after_revocation__is_refused(world: World) -> None:
    number, reader = world.recorded().number, world.ids["other_hospital"]
    world.admit_reader(number)
    world.hospital.revoke_grant(world.patient.revoke(number, reader, Purpose.TREAT))

    with pytest.raises(AccessNotGranted):
        world.hospital.read(number, reader, "D1", Purpose.TREAT)


def test_grant__signed_for_another_contract__is_told_before_anything_is_sent(
    world: World,
) -> None:
    number = world.recorded().number
    signed = world.patient.grant(number, world.ids["payer"], Purpose.HPAYMT, until=world.deadline)

    with pytest.raises(AuthorisationMismatch):
        world.hospital.grant(replace(signed, contract=world.ledgers.claims.address))


# Anchors


def test_anchor_reads__a_day__proves_each_of_its_reads(world: World) -> None:
    number, own = world.hospital.record(record()).number, world.ids["hospital"]
    for reader in ("D1", "D2", "D3"):
        world.hospital.read(number, own, reader, Purpose.TREAT)

    (day,) = world.hospital.anchor_reads()

    assert (day.day, day.count) == (today(world), 3)
    for row in world.hospital.reads_of(number):
        proof = ReadProof.from_json(world.hospital.prove_read(row).to_json())
        world.auditor.verify_read(proof)


def test_anchor_reads__again__anchors_nothing_and_later_reads_count_to_the_next_day(
    world: World,
) -> None:
    number, own = world.hospital.record(record()).number, world.ids["hospital"]
    world.hospital.read(number, own, "D1", Purpose.TREAT)
    (first,) = world.hospital.anchor_reads()
    assert world.hospital.anchor_reads() == []
    world.hospital.read(number, own, "D2", Purpose.TREAT)
    assert world.hospital.anchor_reads() == []
    assert [row.day for row in world.hospital.reads_of(number)] == [first.day, first.day + 1]
    with pytest.raises(NotFound, match="closed days"):
        world.hospital.prove_read(world.hospital.reads_of(number)[1])

    world.pass_time(DAY)
    (second,) = world.hospital.anchor_reads()

    assert second.day == first.day + 1
    world.auditor.verify_read(world.hospital.prove_read(world.hospital.reads_of(number)[1]))


def test_anchor_reads__after_a_stop_before_sending__sends_the_same_root(world: World) -> None:
    number, own = world.hospital.record(record()).number, world.ids["hospital"]
    world.hospital.read(number, own, "D1", Purpose.TREAT)
    ledger = world.ledgers.records.address
    (closed,) = world.hospital.store.reads.close(ledger, today(world), lambda leaves: leaves[0])
    world.hospital.read(number, own, "D2", Purpose.TREAT)  # the program stopped in between

    (day,) = world.hospital_again().anchor_reads()

    assert day == closed
    assert world.ledgers.records.reads_of(own, day.day).root == closed.root


def test_verify_read__anything_else__is_refused(world: World) -> None:
    number, own = world.hospital.record(record()).number, world.ids["hospital"]
    for reader in ("D1", "D2", "D3"):
        world.hospital.read(number, own, reader, Purpose.TREAT)
    world.hospital.anchor_reads()
    proof = world.hospital.prove_read(world.hospital.reads_of(number)[0])

    for forged in (
        replace(proof, entry=replace(proof.entry, reader="D9")),
        replace(proof, entry=replace(proof.entry, broke_glass=True)),
        replace(proof, salt=bytes(32)),
        replace(proof, day=proof.day - 1),
        replace(proof, hospital=world.ids["other_hospital"]),
        replace(proof, index=1),
        replace(proof, count=4),
    ):
        with pytest.raises(AnchorMismatch):
            world.auditor.verify_read(forged)
    with pytest.raises(PathMismatch):
        world.auditor.verify_read(replace(proof, path=proof.path[:1]))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"medledger-read-1"', '"medledger-read-2"'),
        ('"TREAT"', '"treat"'),
        ('"brokeGlass": false', '"brokeGlass": 0'),
        ('"21020126-', '"2102012-'),
        ('"index": 0', '"index": -1'),
        ('"count": 1', '"count": 1, "more": 1'),
    ],
)
def test_from_json__a_proof_of_another_form__is_refused(world: World, old: str, new: str) -> None:
    number = world.hospital.record(record()).number
    world.hospital.read(number, world.ids["hospital"], "D1", Purpose.TREAT)
    world.hospital.anchor_reads()
    text = world.hospital.prove_read(world.hospital.reads_of(number)[0]).to_json()
    assert old in text

    with pytest.raises(MalformedEvidence):
        ReadProof.from_json(text.replace(old, new))


# The whole


def test_trace__of_a_record__is_its_life(world: World) -> None:
    first = world.recorded()
    reader = world.ids["other_hospital"]
    world.admit_reader(first.number)
    world.hospital.revoke_grant(world.patient.revoke(first.number, reader, Purpose.TREAT))
    world.hospital.amend(record("consultation-1/2", amends=first.number))

    steps = world.auditor.trace(first.number, "Record")

    assert [type(step.event) for step in steps[1:]] == [
        RecordOpened,
        AccessGranted,
        AccessRevoked,
        RecordAmended,
    ]


def test_audit__after_every_act_on_records__agrees_with_storage(world: World) -> None:
    first = world.recorded()
    world.admit_reader(first.number)
    second = world.hospital.amend(record("consultation-1/2", amends=first.number))
    world.hospital.amend(record("consultation-1/3", amends=DocumentNumber(second.number)))
    world.admit_reader(second.number, "pharmacy", Purpose.HRESCH)
    reader = world.ids["pharmacy"]
    world.hospital.revoke_grant(world.patient.revoke(second.number, reader, Purpose.HRESCH))
    world.hospital.read(first.number, world.ids["hospital"], "D1", Purpose.TREAT)
    world.hospital.anchor_reads()

    audit = world.auditor.audit()

    assert audit.mismatches == []
    assert len(audit.state.records) == 3
    assert len(audit.state.amendments[first.number]) == 2
    assert len(audit.state.grants) == 2
    assert len(audit.state.reads) == 1
