"""The patient signs and sends nothing; each signature is for one act of one document."""

from __future__ import annotations

from typing import Any

import pytest
from eth_account import Account
from eth_account.messages import encode_typed_data
from tests.chain.nodes import Relay
from tests.roles.world import OTHER_PATIENT, PATIENT, World, bill

from medledger.chain.deployment import connect
from medledger.chain.local import LocalChain
from medledger.chain.rpc import Rpc
from medledger.core.authorisation import Signed
from medledger.core.patient_keys import one_time_address
from medledger.roles import Patient

DOMAIN = [
    {"name": "name", "type": "string"},
    {"name": "version", "type": "string"},
    {"name": "chainId", "type": "uint256"},
    {"name": "verifyingContract", "type": "address"},
]
TYPES = {
    "ClaimAuthorisation": {
        "number": "uint64",
        "payer": "uint32",
        "amount": "uint64",
        "sequence": "uint32",
        "deadline": "uint64",
    },
    "AcceptAuthorisation": {
        "number": "uint64",
        "pharmacy": "uint32",
        "sequence": "uint16",
        "deadline": "uint64",
    },
    "DeliveryConfirmation": {
        "number": "uint64",
        "sequence": "uint16",
        "quantities": "uint16[5]",
        "deadline": "uint64",
    },
}


def signer_of(signed: Signed) -> str:
    """Who signed, by eth-account's own EIP-712."""
    kind = type(signed.message).__name__
    members = [{"name": name, "type": type_} for name, type_ in TYPES[kind].items()]
    typed: dict[str, Any] = {
        "types": {"EIP712Domain": DOMAIN, kind: members},
        "primaryType": kind,
        "domain": {
            "name": "medledger",
            "version": "1",
            "chainId": signed.chain_id,
            "verifyingContract": signed.contract,
        },
        "message": {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in ((name, getattr(signed.message, name)) for name in TYPES[kind])
        },
    }
    found: str = Account.recover_message(
        encode_typed_data(full_message=typed), signature=signed.signature
    )
    return found


def test_authorise_claim__of_a_bill__is_signed_by_its_one_time_key(world: World) -> None:
    number = world.issued().number

    signed = world.patient.authorise_claim(number, 7, 1000, deadline=5)

    assert signer_of(signed) == world.patient.address("Invoice", number)
    assert (signed.chain_id, signed.contract) == (31337, world.ledgers.claims.address)
    message = signed.message
    assert (message.number, message.payer, message.amount) == (number, 7, 1000)  # type: ignore[union-attr]
    assert (message.sequence, message.deadline) == (0, 5)


def test_authorise_acceptance__of_a_prescription__is_signed_by_its_one_time_key(
    world: World,
) -> None:
    number = world.prescribed().number

    signed = world.patient.authorise_acceptance(number, 7, deadline=5)

    assert signer_of(signed) == world.patient.address("Prescription", number)
    assert signed.contract == world.ledgers.prescriptions.address


def test_confirm_delivery__of_a_prescription__names_its_next_sequence(world: World) -> None:
    number = world.in_transit().number

    signed = world.confirm(number)

    assert signer_of(signed) == world.patient.address("Prescription", number)
    assert (signed.message.sequence, signed.message.quantities) == (2, (24, 10, 0, 0, 0))


def test_authorise_claim__a_second_time__names_the_next_sequence_of_that_payer(
    world: World,
) -> None:
    receipt = world.locked()
    world.payer.release(receipt.number)

    ours = world.allow(receipt.number, 1000)
    theirs = world.allow(receipt.number, 1000, "other_payer")

    assert (ours.message.sequence, theirs.message.sequence) == (1, 0)


def test_sign__with_a_sequence__asks_no_node(world: World, anvil: LocalChain) -> None:
    with Relay(anvil.url) as relay:
        ledgers = connect(Rpc(relay.url), world.ledgers.manifest)
        relay.seen.clear()
        patient = Patient(ledgers, PATIENT)

        patient.authorise_claim(1, 2, 3, deadline=4, sequence=5)
        patient.authorise_acceptance(1, 2, deadline=4, sequence=5)
        patient.confirm_delivery(1, deadline=4, sequence=5, quantities=[1, 0, 0, 0, 0])

        assert relay.seen == []


def test_address__of_each_document__is_another_and_the_hospitals(world: World) -> None:
    addresses = {
        (kind, number): world.patient.address(kind, number)
        for kind in ("Invoice", "Prescription")
        for number in (1, 2, 2**31, 2**31 + 1, 460601260000000001)
    }

    assert len(set(addresses.values())) == len(addresses)
    assert addresses == {key: one_time_address(world.patient.public_key, *key) for key in addresses}
    assert world.patient.public_key == PATIENT.public


def test_address__of_two_patients__differ(world: World) -> None:
    other = Patient(world.ledgers, OTHER_PATIENT)

    assert other.address("Invoice", 1) != world.patient.address("Invoice", 1)


@pytest.mark.parametrize(
    "kind", ["ClaimAuthorisation", "AcceptAuthorisation", "DeliveryConfirmation"]
)
def test_signed__through_a_file__is_accepted_by_the_contract(kind: str, world: World) -> None:
    if kind == "ClaimAuthorisation":
        receipt = world.issued()
        signed = Signed.from_json(world.allow(receipt.number, 1000).to_json())
        world.payer.lock(receipt.evidence(), signed)
    elif kind == "AcceptAuthorisation":
        receipt = world.prescribed()
        signed = Signed.from_json(world.admit(receipt.number).to_json())
        world.pharmacy.accept(receipt.evidence(), signed)
    else:
        receipt = world.in_transit()
        signed = Signed.from_json(world.confirm(receipt.number).to_json())
        world.courier.deliver(signed)

    assert type(signed.message).__name__ == kind


def test_issue__with_a_bare_address_for_the_patient__whoever_has_its_key_may_sign(
    world: World,
) -> None:
    """A patient who has a wallet and no extended key."""
    address = OTHER_PATIENT.address("Invoice", 460601260000000001)

    receipt = world.hospital.issue(bill(patient_key=address))

    assert receipt.number == 460601260000000001
    signed = world.other_patient.authorise_claim(
        receipt.number, world.ids["payer"], 1000, deadline=world.deadline
    )
    world.payer.lock(receipt.evidence(), signed)
