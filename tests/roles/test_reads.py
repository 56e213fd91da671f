"""Prescriptions that others read: by the patient's word, logged, and in the one log of a day."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from tests.chain.test_wallets import only_for
from tests.roles.world import DAY, World, record

from medledger.core.authorisation import Signed
from medledger.core.hashing import checksum_address, keccak256, signing_digest
from medledger.core.reads import ReadProof, read_of_bytes
from medledger.core.states import Purpose
from medledger.errors import (
    AccessNotGranted,
    AnchorMismatch,
    AuthorisationExpired,
    AuthorisationInvalid,
    AuthorisationMismatch,
    MalformedAuthorisation,
    NotFound,
)

Spoil = Callable[[World, Signed], Signed]
NOT_EMERGENCY = [Purpose.TREAT, Purpose.HPAYMT, Purpose.HRESCH]


def assert_nothing_logged(world: World, number: int) -> None:
    assert world.hospital.reads_of(number, "Prescription") == []


# With the patient's word


def test_read_prescription__with_the_authorisation_to_accept__gives_it_and_logs_it(
    world: World, store_url: str
) -> None:
    hospital = world.hospital_again(store=store_url)
    number, reader = hospital.prescribe(world.order()).number, world.ids["pharmacy"]
    allowed = world.admit(number)

    evidence = hospital.read_prescription(number, reader, "P1", Purpose.TREAT, allowed)

    world.auditor.verify(evidence)
    (row,) = hospital.reads_of(number, "Prescription")
    entry = read_of_bytes(row.entry)
    assert (entry.kind, entry.number, entry.institution) == ("Prescription", number, reader)
    assert (entry.reader, entry.purpose, entry.broke_glass) == ("P1", Purpose.TREAT, False)
    assert entry.at == world.now()
    assert hospital.reads_of(number) == []
    world.pharmacy.accept(evidence, allowed)
    assert world.ledgers.prescriptions.prescription_of(number).pharmacy == reader


def test_read_prescription__by_the_hospitals_own__needs_no_authorisation(world: World) -> None:
    number = world.prescribed().number

    world.hospital.read_prescription(number, world.ids["hospital"], "D1", Purpose.HRESCH)

    (row,) = world.hospital.reads_of(number, "Prescription")
    assert not read_of_bytes(row.entry).broke_glass


def test_read_prescription__only_some_fields__opens_no_other(world: World) -> None:
    number, own = world.prescribed().number, world.ids["hospital"]

    evidence = world.hospital.read_prescription(number, own, "D1", Purpose.TREAT, only=["rxDetail"])

    assert set(evidence.fields) == {"rxDetail"}


def test_read_prescription__last_second_of_the_authorisation__is_given_and_the_next_refused(
    world: World,
) -> None:
    number, reader = world.prescribed().number, world.ids["pharmacy"]
    allowed = world.admit(number, deadline=world.now() + 60)
    world.pass_time(60)

    world.hospital.read_prescription(number, reader, "P1", Purpose.TREAT, allowed)
    world.pass_time(1)

    with pytest.raises(AuthorisationExpired):
        world.hospital.read_prescription(number, reader, "P1", Purpose.TREAT, allowed)
    assert len(world.hospital.reads_of(number, "Prescription")) == 1


def test_read_prescription__of_a_patient_with_a_contract_wallet__is_what_the_wallet_says(
    world: World,
) -> None:
    wallet = checksum_address(keccak256(b"the patient's wallet")[:20])
    number = world.prescribed(patient_key=wallet).number
    signed, reader = replace(world.admit(number), signature=b"by the wallet"), world.ids["pharmacy"]
    digest = signing_digest(signed.message, signed.chain_id, signed.contract)
    with pytest.raises(AuthorisationInvalid):
        world.hospital.read_prescription(number, reader, "P1", Purpose.TREAT, signed)

    world.rpc.request("anvil_setCode", wallet, "0x" + only_for(digest).hex())
    evidence = world.hospital.read_prescription(number, reader, "P1", Purpose.TREAT, signed)

    assert evidence.number == number
    later = replace(signed, message=replace(signed.message, deadline=world.deadline + 1))
    with pytest.raises(AuthorisationInvalid):
        world.hospital.read_prescription(number, reader, "P1", Purpose.TREAT, later)


# Without it


@pytest.mark.parametrize("purpose", NOT_EMERGENCY)
def test_read_prescription__without_an_authorisation__is_refused_and_nothing_is_logged(
    world: World, purpose: Purpose
) -> None:
    number = world.prescribed().number

    with pytest.raises(AccessNotGranted, match=f"read prescription .* for {purpose.name}"):
        world.hospital.read_prescription(number, world.ids["pharmacy"], "P1", purpose)
    assert_nothing_logged(world, number)


@pytest.mark.parametrize("purpose", [Purpose.HPAYMT, Purpose.HRESCH])
def test_read_prescription__authorised_to_accept__is_not_for_another_purpose(
    world: World, purpose: Purpose
) -> None:
    number = world.prescribed().number
    allowed = world.admit(number)

    with pytest.raises(AccessNotGranted):
        world.hospital.read_prescription(number, world.ids["pharmacy"], "P1", purpose, allowed)
    assert_nothing_logged(world, number)


def of_another_prescription(world: World, _: Signed) -> Signed:
    return world.admit(world.prescribed("order-2").number)


def of_another_pharmacy(world: World, signed: Signed) -> Signed:
    return world.admit(signed.message.number, "other_pharmacy")


def for_another_contract(world: World, signed: Signed) -> Signed:
    return replace(signed, contract=world.ledgers.claims.address)


def for_another_chain(_: World, signed: Signed) -> Signed:
    return replace(signed, chain_id=1)


def of_another_act(world: World, signed: Signed) -> Signed:
    return world.confirm(signed.message.number, sequence=0, quantities=(1, 0, 0, 0, 0))


def by_another_patient(world: World, signed: Signed) -> Signed:
    number, reader = signed.message.number, world.ids["pharmacy"]
    return world.other_patient.authorise_acceptance(number, reader, deadline=world.deadline)


def with_a_later_deadline(_: World, signed: Signed) -> Signed:
    later = signed.message.deadline + 1
    return replace(signed, message=replace(signed.message, deadline=later))


def of_a_sequence_to_come(world: World, signed: Signed) -> Signed:
    return world.admit(signed.message.number, sequence=1)


@pytest.mark.parametrize("purpose", [Purpose.TREAT, Purpose.ETREAT])
@pytest.mark.parametrize(
    ("spoil", "refusal"),
    [
        (of_another_prescription, AuthorisationMismatch),
        (of_another_pharmacy, AuthorisationMismatch),
        (for_another_contract, AuthorisationMismatch),
        (for_another_chain, AuthorisationMismatch),
        (of_another_act, MalformedAuthorisation),
        (by_another_patient, AuthorisationInvalid),
        (with_a_later_deadline, AuthorisationInvalid),
        (of_a_sequence_to_come, AuthorisationInvalid),
    ],
)
def test_read_prescription__authorisation_of_something_else__is_refused_and_nothing_is_logged(
    world: World, spoil: Spoil, refusal: type[Exception], purpose: Purpose
) -> None:
    number = world.prescribed().number
    wrong = spoil(world, world.admit(number))

    with pytest.raises(refusal):
        world.hospital.read_prescription(number, world.ids["pharmacy"], "P1", purpose, wrong)
    assert_nothing_logged(world, number)


def test_read_prescription__authorisation_used_by_the_acceptance__is_refused(world: World) -> None:
    receipt, reader = world.prescribed(), world.ids["pharmacy"]
    allowed = world.admit(receipt.number)
    world.pharmacy.accept(receipt.evidence(), allowed)

    with pytest.raises(AuthorisationInvalid):
        world.hospital.read_prescription(receipt.number, reader, "P1", Purpose.TREAT, allowed)
    assert_nothing_logged(world, receipt.number)


def test_read_prescription__in_an_emergency__breaks_the_glass_and_is_marked(world: World) -> None:
    number, reader = world.prescribed().number, world.ids["other_hospital"]

    world.hospital.read_prescription(number, reader, "D1", Purpose.ETREAT)

    world.hospital.anchor_reads()
    proof = world.hospital.prove_read(world.hospital.reads_of(number, "Prescription")[0])
    world.auditor.verify_read(proof)
    assert proof.entry.broke_glass


def test_read_prescription__in_an_emergency_with_an_authorisation__breaks_no_glass(
    world: World,
) -> None:
    number, reader = world.prescribed().number, world.ids["pharmacy"]

    world.hospital.read_prescription(number, reader, "P1", Purpose.ETREAT, world.admit(number))

    (row,) = world.hospital.reads_of(number, "Prescription")
    assert not read_of_bytes(row.entry).broke_glass


def test_read_prescription__that_is_not_the_hospitals__is_not_found(world: World) -> None:
    number = world.recorded().number

    with pytest.raises(NotFound):
        world.hospital.read_prescription(number, world.ids["hospital"], "D1", Purpose.TREAT)
    assert_nothing_logged(world, number)


# One log


def test_anchor_reads__of_both_kinds__is_one_root_that_proves_each(world: World) -> None:
    of_record, of_order = world.hospital.record(record()).number, world.prescribed().number
    own = world.ids["hospital"]
    world.hospital.read(of_record, own, "D1", Purpose.TREAT)
    world.hospital.read_prescription(of_order, own, "D2", Purpose.TREAT)

    (day,) = world.hospital.anchor_reads()

    assert (day.day, day.count) == (world.now() // DAY, 2)
    rows = world.hospital.reads_of(of_record) + world.hospital.reads_of(of_order, "Prescription")
    proofs = [ReadProof.from_json(world.hospital.prove_read(row).to_json()) for row in rows]
    for proof in proofs:
        world.auditor.verify_read(proof)
    assert [proof.entry.kind for proof in proofs] == ["Record", "Prescription"]
    disguised = replace(proofs[1], entry=replace(proofs[1].entry, kind="Record"))
    with pytest.raises(AnchorMismatch):
        world.auditor.verify_read(disguised)
