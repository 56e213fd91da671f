"""Nothing of a patient is on chain: no name, number, drug, nor one value under two documents.

All that a node keeps is searched: every transaction's input, every event, all storage and code.
"""

from __future__ import annotations

import gzip
import json
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import pytest
from bip32 import BIP32
from tests.roles.world import (
    DRUGS,
    HOSPITAL_NAME,
    PATIENT,
    PATIENT_ID,
    PATIENT_NAME,
    PRESCRIBER_CODE,
    PRESCRIBER_NAME,
    World,
    bill,
    red_letter,
)

from medledger.chain.bindings import InvoiceOpened, PrescriptionOpened
from medledger.chain.events import decode_log
from medledger.core.canonical import canonical_pairs
from medledger.core.documents import mask_identity
from medledger.core.hashing import keccak256
from medledger.core.sealing import salts_of
from medledger.roles.issuing import sealed_of_stored

KEYS = ("visit-4711", "visit-4712", "visit-4713", "order-4711", "order-4712", "reversal-4713")


def live_through(world: World) -> dict[str, list[int]]:
    """Two bills claimed and one reversed, two prescriptions delivered, all of one patient."""
    receipts = list(world.hospital.issue_many(bill(key) for key in KEYS[:3]))
    for receipt in receipts[:2]:
        world.payer.lock(receipt.evidence(), world.allow(receipt.number, 1000))
        world.payer.settle(receipt.number, 900)
        world.other_payer.lock(receipt.evidence(), world.allow(receipt.number, 1000, "other_payer"))
    red = world.hospital.issue(red_letter(receipts[2].number, KEYS[5]))
    world.hospital.reverse(receipts[2].number, red.number, 1)
    orders = [world.prescribed(key) for key in KEYS[3:5]]
    for order in orders:
        world.pharmacy.accept(order.evidence(), world.admit(order.number))
        world.dispense(order.number, [24, 10])
        world.pharmacy.hand_over(order.number, world.ids["courier"])
        world.courier.deliver(world.confirm(order.number))
    return {
        "Invoice": [receipt.number for receipt in receipts],
        "Prescription": [order.number for order in orders],
    }


def blocks(world: World) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Every transaction of the chain with its receipt."""
    for number in range(world.rpc.block_number() + 1):
        block = world.rpc.request("eth_getBlockByNumber", hex(number), True)
        for transaction in block["transactions"]:
            receipt = world.rpc.request("eth_getTransactionReceipt", transaction["hash"])
            yield transaction, receipt


def raw(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))


@pytest.fixture
def numbers(world: World) -> dict[str, list[int]]:
    return live_through(world)


def secrets_of(world: World, numbers: dict[str, list[int]]) -> dict[str, bytes]:
    """What must not be on chain, by what it is."""
    texts = {
        "patient's name": PATIENT_NAME,
        "patient's number": PATIENT_ID,
        "patient's number, masked": mask_identity(PATIENT_ID),
        "prescriber's name": PRESCRIBER_NAME,
        "prescriber's code": PRESCRIBER_CODE,
        "hospital's name": HOSPITAL_NAME,
        "charge": "西药费",
        "unit of a drug": "粒",
        **{f"drug {code}": code for code, *_ in DRUGS},
        **{f"drug's name of {code}": name for code, name, *_ in DRUGS},
        **{f"business key {key}": key for key in KEYS},
        "extended key": PATIENT.public,
    }
    found = {name: text.encode() for name, text in texts.items()}
    # A hash of something that can be guessed says it to whoever guesses.
    found |= {
        f"hash of the {name}": keccak256(text.encode())
        for name, text in texts.items()
        if name != "hospital's name"  # an institution's: Institutions holds it on purpose
    }
    node = BIP32.from_xpub(PATIENT.public)
    found |= {"public point": node.pubkey[1:], "chain code": node.chaincode}
    for branch in (0, 1):
        chaincode, point = node.get_extended_pubkey_from_path([branch])
        found |= {f"public point {branch}": point[1:], f"chain code {branch}": chaincode}
    for kind, ledger in (
        ("Invoice", world.ledgers.invoices.address),
        ("Prescription", world.ledgers.prescriptions.address),
    ):
        for number in numbers[kind]:
            sealed = sealed_of_stored(world.hospital.store.document(ledger, number))
            found[f"secret of {number}"] = sealed.secret
            names, _ = canonical_pairs(sealed.fields)
            for name, salt in zip(names, salts_of(sealed.secret, len(names)), strict=True):
                found[f"salt of {name} of {number}"] = salt
    return found


def test_chain__after_bills_and_prescriptions__holds_nothing_of_the_patient(
    world: World, numbers: dict[str, list[int]]
) -> None:
    secrets = secrets_of(world, numbers)
    kept: dict[str, bytes] = {}
    for transaction, receipt in blocks(world):
        kept[f"input of {transaction['hash']}"] = raw(transaction["input"])
        for log in receipt["logs"]:
            place = f"event {log['logIndex']} of {transaction['hash']}"
            kept[place] = b"".join(map(raw, [*log["topics"], log["data"]]))
    # Anvil's own copy of all accounts, code and storage.
    kept["state"] = state_of(world)

    found = [
        f"{name} in {place}"
        for place, content in kept.items()
        for name, secret in secrets.items()
        if secret in content
    ]

    assert found == []
    assert len(kept) > 60
    assert len(secrets) > 100


def state_of(world: World) -> bytes:
    """Every byte string of every account, code and storage slot."""
    dumped = gzip.decompress(raw(world.rpc.request("anvil_dumpState")))
    parts: list[bytes] = []

    def walk(value: Any) -> None:
        if isinstance(value, dict):
            for key, item in value.items():
                walk(key)
                walk(item)
        elif isinstance(value, list):
            for item in value:
                walk(item)
        elif isinstance(value, str) and value.startswith("0x"):
            digits = value[2:]
            parts.append(bytes.fromhex(digits.zfill(len(digits) + len(digits) % 2)))

    walk(json.loads(dumped)["accounts"])
    assert len(parts) > 100
    return b"|".join(parts)


def test_search__for_what_is_on_chain__finds_it(
    world: World, numbers: dict[str, list[int]]
) -> None:
    """The search itself: what a contract holds on purpose is found in all three places."""
    patient = raw(world.patient.address("Invoice", numbers["Invoice"][0]))
    institution = keccak256(HOSPITAL_NAME.encode())

    inputs = b"".join(raw(transaction["input"]) for transaction, _ in blocks(world))
    events = b"".join(raw(log["data"]) for _, receipt in blocks(world) for log in receipt["logs"])

    assert patient in inputs
    assert patient in events
    assert patient in state_of(world)
    assert institution in inputs
    assert institution in state_of(world)


def test_chain__of_one_patients_documents__no_two_share_an_address_or_a_topic(
    world: World, numbers: dict[str, list[int]]
) -> None:
    addresses: list[str] = []
    words: dict[bytes, set[int]] = defaultdict(set)
    for _, receipt in blocks(world):
        for log in receipt["logs"]:
            found = decode_log(log)
            number = getattr(found.event, "number", None) if found else None
            if number is None:
                continue
            if isinstance(found.event, InvoiceOpened | PrescriptionOpened):  # type: ignore[union-attr]
                addresses.append(found.event.patient)  # type: ignore[union-attr]
            content = b"".join(map(raw, [*log["topics"][1:], log["data"]]))
            for start in range(0, len(content), 32):
                words[content[start : start + 32]].add(number)

    assert len(addresses) == len(set(addresses)) == 4
    # A word of 20 bytes or more that two documents share would join them.
    operators = {
        int(role.address, 16)
        for role in (
            world.hospital,
            world.payer,
            world.other_payer,
            world.pharmacy,
            world.courier,
            world.supervisor,
        )
    }
    shared = {
        word.hex()
        for word, owners in words.items()
        if len(owners) > 1
        and int.from_bytes(word, "big") >> 96
        and int.from_bytes(word, "big") not in operators
    }
    assert shared == set()


def test_chain__of_one_patients_documents__no_two_share_a_value_in_calldata(
    world: World, numbers: dict[str, list[int]]
) -> None:
    """Headers, paths and signatures: words of one document's calls are in no other's."""
    mine = {
        number: raw(world.patient.address(kind, number))
        for kind in numbers
        for number in numbers[kind]
    }
    inputs = [raw(transaction["input"]) for transaction, _ in blocks(world)]

    holders = {
        number: [content for content in inputs if address in content]
        for number, address in mine.items()
    }

    for number, contents in holders.items():
        others = [address for other, address in mine.items() if other != number]
        assert not [address for content in contents for address in others if address in content]
    assert sum(map(bool, holders.values())) == 4


def test_chain__who_sends__is_never_the_patient(
    world: World, numbers: dict[str, list[int]]
) -> None:
    mine = {
        world.patient.address(kind, number).lower() for kind in numbers for number in numbers[kind]
    }

    senders = {transaction["from"] for transaction, _ in blocks(world)}

    assert not mine & senders
    for address in mine:
        assert int(world.rpc.request("eth_getTransactionCount", address, "latest"), 16) == 0


def test_chain__of_a_bill_that_nobody_used__not_even_its_one_time_address(world: World) -> None:
    number = world.issued().number

    inputs = b"".join(raw(transaction["input"]) for transaction, _ in blocks(world))

    assert raw(world.patient.address("Invoice", number)) not in inputs
    assert raw(world.patient.address("Invoice", number)) not in state_of(world)
