"""One patient with many documents of every kind: nothing on chain says that two are one person's.

Every calldata, event and storage slot is cut into the words that a contract wrote, at every byte
where a value can begin. A value that belongs to two documents would join them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

import pytest
from tests.roles.test_privacy import blocks, raw, state_of
from tests.roles.world import PATIENT, PRESCRIBER_NAME, World, decided

from medledger.core.hashing import keccak256
from medledger.core.numbers import DocumentKind
from medledger.core.sealing import salts_of
from medledger.core.states import Purpose
from medledger.roles.issuing import sealed_of_stored
from medledger.roles.ledger_of import ledger_of

MANY = 3
RUN = 12
"""Bytes that two documents share by chance once in 2**96."""

Documents = list[tuple[DocumentKind, int]]


@pytest.fixture
def documents(world: World) -> Documents:
    """`MANY` documents of each kind, each in a batch of its own and used."""
    found: Documents = []
    reader = world.ids["other_hospital"]
    for place in range(MANY):
        receipt = world.issued(f"visit-{place}")
        world.payer.lock(receipt.evidence(), world.allow(receipt.number, 1000))
        own = keccak256(receipt.number.to_bytes(8))
        world.payer.settle(receipt.number, decided(900, explanation=own, payment=own))
        found.append(("Invoice", receipt.number))
        receipt = world.prescribed(f"order-{place}")
        world.pharmacy.accept(receipt.evidence(), world.admit(receipt.number))
        world.dispense(receipt.number, [24, 10])
        world.pharmacy.deliver(world.confirm(receipt.number))
        found.append(("Prescription", receipt.number))
        receipt = world.licensed(f"licence-{place}")
        world.auditor.matches(receipt.evidence(["holderName"]), "holderName", PRESCRIBER_NAME)
        world.authority.suspend(receipt.number, reason=1)
        found.append(("Licence", receipt.number))
        receipt = world.recorded(f"consultation-{place}")
        world.admit_reader(receipt.number)
        world.hospital.read(receipt.number, reader, "D1", Purpose.TREAT)
        world.hospital.revoke_grant(world.patient.revoke(receipt.number, reader, Purpose.TREAT))
        found.append(("Record", receipt.number))
    world.hospital.anchor_reads()
    return found


def own_values(world: World, kind: DocumentKind, number: int) -> dict[str, bytes]:
    """What is this document's alone: its address, and all that opens its seal."""
    issuer = world.authority if kind == "Licence" else world.hospital
    sealed = sealed_of_stored(issuer.store.document(ledger_of(world.ledgers, kind).address, number))
    salts = salts_of(sealed.secret, len(sealed.fields))
    return {
        "address": raw(world.patient.address(kind, number)),
        "body": sealed.header.body,
        "leaf": sealed.leaf,
        "secret": sealed.secret,
        **{f"salt {place}": salt for place, salt in enumerate(salts)},
    }


def contents(world: World) -> Iterator[tuple[str, bytes]]:
    """Everything that a node shows, by place."""
    for transaction, receipt in blocks(world):
        yield f"input of {transaction['hash']}", raw(transaction["input"])
        for log in receipt["logs"]:
            place = f"event {log['logIndex']} of {transaction['hash']}"
            # Without the first topic, which is the event's own name.
            yield place, b"".join(map(raw, [*log["topics"][1:], log["data"]]))


def test_chain__of_one_patients_documents_of_every_kind__no_two_share_anything(
    world: World, documents: Documents
) -> None:
    values = {one: own_values(world, *one) for one in documents}
    addresses = [found["address"] for found in values.values()]
    assert len(set(addresses)) == len(documents) == 4 * MANY

    said = all_said(world, documents)
    assert set(said) == set(documents)

    public = _public(world)
    for position, one in enumerate(documents):
        for other in documents[position + 1 :]:
            shared = {run for run in said[one] & said[other] if not _is_public(run, public)}
            assert shared == set(), (one, other)


def test_search__of_two_documents_of_one_address__finds_it(world: World) -> None:
    """The search itself, on a hospital that gives one address to all."""
    address = world.patient.address("Invoice", 1)
    receipts = [world.issued(f"visit-{place}", patient_key=address) for place in range(2)]
    for receipt in receipts:
        evidence = receipt.evidence()
        opening = (evidence.header, evidence.head, evidence.path)
        world.hospital._send(world.ledgers.invoices.open(*opening))  # type: ignore[arg-type]
    documents: Documents = [("Invoice", receipt.number) for receipt in receipts]

    first, second = all_said(world, documents).values()

    public = _public(world)
    assert raw(address)[:RUN] in {run for run in first & second if not _is_public(run, public)}


def all_said(world: World, documents: Documents) -> dict[tuple[DocumentKind, int], set[bytes]]:
    """What is said of each document: every run of bytes of the inputs and events that have its
    number or its address in them."""
    said: dict[tuple[DocumentKind, int], set[bytes]] = defaultdict(set)
    for _, content in contents(world):
        for kind, number in documents:
            address = raw(world.patient.address(kind, number))
            if address in content or number.to_bytes(8, "big") in content:
                starts = range(len(content) - RUN + 1)
                said[kind, number] |= {content[start : start + RUN] for start in starts}
    return said


def test_chain__of_one_patients_documents_of_every_kind__shows_no_value_of_a_seal(
    world: World, documents: Documents
) -> None:
    kept = dict(contents(world)) | {"state": state_of(world)}
    xpub = PATIENT.public.encode()

    for one in documents:
        for name, value in own_values(world, *one).items():
            if name == "secret" or name.startswith("salt"):
                assert [place for place, content in kept.items() if value in content] == []
    assert not any(xpub in content for content in kept.values())


def test_chain__of_one_patients_documents_of_one_kind__each_address_is_alone(
    world: World, documents: Documents
) -> None:
    values = {one: own_values(world, *one) for one in documents}

    for _, content in contents(world):
        owners = [one for one in documents if values[one]["address"] in content]
        assert len(owners) <= 1


def _public(world: World) -> list[bytes]:
    """What stands for institutions, contracts and the code's own constants."""
    known = [contract.address for contract in world.ledgers.contracts.values()]
    known += [
        role.address
        for role in (
            world.hospital,
            world.authority,
            world.payer,
            world.pharmacy,
            world.supervisor,
        )
    ]
    return [raw(address) for address in known]


def _is_public(run: bytes, public: list[bytes]) -> bool:
    """Whether a run of bytes is padding, a small number in it, or somebody else's address."""
    if any(run in b"\0" * RUN + address + b"\0" * RUN for address in public):
        return True
    # Words are padded with zeros: a run with seven bytes of its own or fewer is a time, an id, an
    # amount, or a number without its last digits, which is the code.
    return len(run.strip(b"\0")) <= 7
