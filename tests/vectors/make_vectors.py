"""The shared vectors and the bad evidence, made without medledger.

`hashing.json` holds what Python and Solidity must both compute; `evidence/` holds good evidence
and one file for each forgery. Each value comes from another source than the code under test:
EIP-712 from eth-account, the tree from RFC 9162's recursive definition, canonical JSON from
rfc8785, keccak-256 from eth-utils, SHAKE256 from hashlib, BIP-32 from eth-account. Rerun after a
change of format:

    python tests/vectors/make_vectors.py
"""

from __future__ import annotations

import base64
import hashlib
import json
import unicodedata
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import rfc8785
from eth_account import Account
from eth_account.hdaccount.deterministic import HDPath
from eth_account.messages import encode_typed_data
from eth_utils import keccak

HERE = Path(__file__).parent

SEED = bytes(range(16))
"""The seed of BIP-32's first test vector: public, so never a real patient's."""
PATIENT_KEY = (
    "xpub661MyMwAqRbcFtXgS5sYJABqqG9YLmC4Q1Rdap9gSE8NqtwybGhePY2gZ29ESFjqJoCu1Rupje8YtGqsefD265TMg"
    "7usUDFdp6W1EGMcet8"
)
BRANCHES = {"Invoice": 0, "Prescription": 1, "Licence": 2, "Record": 3}

CHAIN_ID = 31337
INVOICES = "0x5FbDB2315678afecb367f032d93F642f64180aa3"
PRESCRIPTIONS = "0xe7f1725E7734CE288F8367e1Bb143E90bb3F0512"
INSTITUTIONS = "0xCf7Ed3AccA5a467e9e704C703E8D87F634fB0Fc9"
PAYMENTS = "0x8A791620dd6260079BF849Dc5567aDC3F2FdC318"
CLAIMS = "0x9fE46736679d2D9a65F0992F2272dE9f3c7fa6e0"
LICENCES = "0xDc64a140Aa3E981100a9becA4E685f962f0cF6C9"
RECORDS = "0x5FC8d32690cc91D4c39d9d3abcBD16989F875707"
LEDGERS = {
    "Invoice": INVOICES,
    "Prescription": PRESCRIPTIONS,
    "Licence": LICENCES,
    "Record": RECORDS,
}
TRANSACTION = keccak(text="transaction")

INVOICE_NUMBER = 460601260000000017
RED_LETTER_NUMBER = 460601260000000018
LINKED_INVOICE_NUMBER = 460601260000000019
PRESCRIPTION_NUMBER = 469901260000000005
LICENCE_NUMBER = 330801260000000003
RECORD_NUMBER = 210201260000000009

HEADER_TYPES = {
    "Invoice": {
        "InvoiceHeader": [
            {"name": "number", "type": "uint64"},
            {"name": "patient", "type": "address"},
            {"name": "claimable", "type": "uint64"},
            {"name": "currency", "type": "uint16"},
            {"name": "onHold", "type": "bool"},
            {"name": "prescription", "type": "uint64"},
            {"name": "prescribed", "type": "uint64"},
            {"name": "body", "type": "bytes32"},
        ]
    },
    "Prescription": {
        "PrescriptionHeader": [
            {"name": "number", "type": "uint64"},
            {"name": "patient", "type": "address"},
            {"name": "authoredAt", "type": "uint40"},
            {"name": "validUntil", "type": "uint40"},
            {"name": "licence", "type": "uint64"},
            {"name": "drugClass", "type": "uint16"},
            {"name": "quantities", "type": "uint16[]"},
            {"name": "substitutable", "type": "uint8"},
            {"name": "repeats", "type": "uint8"},
            {"name": "interval", "type": "uint32"},
            {"name": "onHold", "type": "bool"},
            {"name": "body", "type": "bytes32"},
        ]
    },
}

HEADER_TYPES |= {
    "Licence": {
        "LicenceHeader": [
            {"name": "number", "type": "uint64"},
            {"name": "holder", "type": "address"},
            {"name": "licenceType", "type": "uint16"},
            {"name": "validFrom", "type": "uint40"},
            {"name": "validUntil", "type": "uint40"},
            {"name": "body", "type": "bytes32"},
        ]
    },
    "Record": {
        "RecordHeader": [
            {"name": "number", "type": "uint64"},
            {"name": "patient", "type": "address"},
            {"name": "amends", "type": "uint64"},
            {"name": "recordType", "type": "uint8"},
            {"name": "body", "type": "bytes32"},
        ]
    },
}

MESSAGE_TYPES = {
    "ClaimAuthorisation": [
        {"name": "number", "type": "uint64"},
        {"name": "payer", "type": "uint32"},
        {"name": "amount", "type": "uint64"},
        {"name": "sequence", "type": "uint32"},
        {"name": "deadline", "type": "uint64"},
        {"name": "afterPayer", "type": "uint32"},
        {"name": "fixedBenefit", "type": "bool"},
        {"name": "payee", "type": "address"},
    ],
    "ClaimWithdrawal": [
        {"name": "number", "type": "uint64"},
        {"name": "payer", "type": "uint32"},
        {"name": "reason", "type": "uint16"},
        {"name": "sequence", "type": "uint32"},
        {"name": "deadline", "type": "uint64"},
    ],
    "PayerWaiver": [
        {"name": "number", "type": "uint64"},
        {"name": "payer", "type": "uint32"},
        {"name": "sequence", "type": "uint32"},
        {"name": "deadline", "type": "uint64"},
    ],
    "PaymentConfirmation": [
        {"name": "number", "type": "uint64"},
        {"name": "payer", "type": "uint32"},
        {"name": "payment", "type": "bytes32"},
        {"name": "deadline", "type": "uint64"},
    ],
    "BillPayment": [
        {"name": "number", "type": "uint64"},
        {"name": "amount", "type": "uint64"},
        {"name": "payment", "type": "bytes32"},
        {"name": "deadline", "type": "uint64"},
    ],
    "AcceptAuthorisation": [
        {"name": "number", "type": "uint64"},
        {"name": "pharmacy", "type": "uint32"},
        {"name": "sequence", "type": "uint16"},
        {"name": "deadline", "type": "uint64"},
    ],
    "DeliveryConfirmation": [
        {"name": "number", "type": "uint64"},
        {"name": "sequence", "type": "uint16"},
        {"name": "quantities", "type": "uint16[5]"},
        {"name": "deadline", "type": "uint64"},
    ],
    "AccessGrant": [
        {"name": "number", "type": "uint64"},
        {"name": "institution", "type": "uint32"},
        {"name": "purpose", "type": "uint8"},
        {"name": "sequence", "type": "uint32"},
        {"name": "until", "type": "uint64"},
    ],
    "AccessRevocation": [
        {"name": "number", "type": "uint64"},
        {"name": "institution", "type": "uint32"},
        {"name": "purpose", "type": "uint8"},
        {"name": "sequence", "type": "uint32"},
    ],
}

ACT_TYPES = {
    "BatchEndorsement": [
        {"name": "segment", "type": "uint32"},
        {"name": "first", "type": "uint64"},
        {"name": "count", "type": "uint32"},
        {"name": "root", "type": "bytes32"},
        {"name": "deadline", "type": "uint64"},
    ],
    "OperatorConsent": [
        {"name": "institution", "type": "uint32"},
        {"name": "deadline", "type": "uint64"},
    ],
}

WIDE = {
    "number",
    "claimable",
    "authoredAt",
    "validFrom",
    "prescription",
    "prescribed",
    "validUntil",
    "licence",
    "amends",
    "until",
    "amount",
    "deadline",
    "first",
    "issuedAt",
    "chainId",
}
"""Integers of more than 32 bits, written as text so that every JSON reader takes them exactly."""

INVOICE_FIELDS: dict[str, Any] = {
    "EInvoiceName": "医疗门诊收费票据",
    "EInvoiceCode": "46060126",
    "EInvoiceNumber": "0000000017",
    "SupervisorAreaCode": "469023",
    "TotalAmount": 12600,
    "IssueDate": "20260105",
    "IssueTime": "09:30:00",
    "InvoicingParty": {"code": "12469023", "name": "澄迈县人民医院", "type": 2},
    "PayerParty": {"code": "469*************3X", "name": "测试患者", "type": 1},
    "BizCode": "visit-2026-000017",
    "CurrencyType": "CNY",
    "Remark": "复诊 café",
    "gender": "女",
    "medicalType": "门诊",
    "medicalDate": "20260105",
    "fundPayAmount": 8100,
    "otherPayAmount": 500,
    "accountPayAmount": 1500,
    "ownPayAmount": 2500,
    "Item": [
        {
            "code": "0101",
            "name": "西药费",
            "amount": 9600,
            "quantity": "1.5",
            "unit": "盒",
        },
        {"code": "0105", "name": "化验费", "amount": 3000, "quantity": "1"},
    ],
}

RED_LETTER_FIELDS: dict[str, Any] = INVOICE_FIELDS | {
    "EInvoiceNumber": "0000000018",
    "BizCode": "reversal-of-visit-2026-000017",
    "relatedInvoiceCode": "46060126",
    "relatedInvoiceNumber": "0000000017",
}

PRESCRIPTION_FIELDS: dict[str, Any] = {
    "hiRxno": "469901260000000005",
    "authoredOn": "2026-01-05T09:30:00+08:00",
    "valiDays": 3,
    "valiEndTime": 1767835800,
    "reptFlag": 1,
    "maxReptCnt": 2,
    "minInrvDays": 30,
    "licence": "330801260000000003",
    "drugClass": 2,
    "prescriber": {"code": "D460000001", "name": "测试医师", "type": 1},
    "patient": {"code": "469*************3X", "name": "测试患者", "type": 1},
    "businessKey": "rx-2026-000005",
    "encounter": "visit-2026-000017",
    "reason": "J06.9",
    "rxDetail": [
        {
            "code": "XA01",
            "name": "阿莫西林胶囊",
            "quantity": 24,
            "unit": "粒",
            "instruction": "tid",
        },
        {
            "code": "XA02",
            "name": "布洛芬缓释胶囊",
            "quantity": 10,
            "unit": "粒",
            "substitutable": True,
        },
        {"code": "XA03", "name": "氯雷他定片", "quantity": 6, "unit": "片"},
    ],
}


LICENCE_FIELDS: dict[str, Any] = {
    "licenceNumber": "330801260000000003",
    "licenceName": "医师执业证书",
    "licenceType": 7,
    "licenceCode": "110330000000001",
    "validFrom": 1735660800,
    "validUntil": 1893427199,
    "issuedOn": "2026-01-05T09:30:00+08:00",
    "issuingAuthority": {"code": "11330800", "name": "衢州市卫生健康委员会", "type": 2},
    "holderName": "测试医师",
    "holderCode": "330*************1X",
    "holderType": 1,
    "businessKey": "licence-2026-000003",
    "scope": "内科专业",
}

RECORD_FIELDS: dict[str, Any] = {
    "recordNumber": "210201260000000009",
    "authoredOn": "2026-01-05T09:30:00+08:00",
    "recordType": 1,
    "hospital": {"code": "12210200", "name": "大连互联网医院", "type": 2},
    "practitioner": {"code": "D460000001", "name": "测试医师", "type": 1},
    "patient": {"code": "469*************3X", "name": "测试患者", "type": 1},
    "businessKey": "consultation-2026-000009",
    "complaint": "咳嗽三天",
    "diagnoses": ["J06.9"],
    "amends": "210201250000000004",
}


def word(value: int) -> bytes:
    return value.to_bytes(32, "big")


def hexed(value: bytes) -> str:
    return "0x" + value.hex()


def wire(values: dict[str, Any]) -> dict[str, Any]:
    """ABI values as JSON: bytes as hexadecimal, wide integers as decimal text."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, bytes):
            found[name] = hexed(value)
        else:
            found[name] = str(value) if name in WIDE else value
    return found


# Headers and messages: EIP-712 by eth-account


def domain(chain_id: int, contract: str) -> dict[str, Any]:
    return {
        "name": "medledger",
        "version": "1",
        "chainId": chain_id,
        "verifyingContract": contract,
    }


def struct_hash(kind: str, header: dict[str, Any]) -> bytes:
    return encode_typed_data(domain(CHAIN_ID, INVOICES), HEADER_TYPES[kind], header).body


def leaf(kind: str, header: dict[str, Any]) -> bytes:
    return keccak(b"\x00" + struct_hash(kind, header))


def header_vectors() -> list[dict[str, Any]]:
    some = keccak(text="patient")[12:]
    patient, last = Account.from_key(word(1)).address, "0x" + "fF" * 20
    body, ones = keccak(text="body"), b"\xff" * 32
    invoices = {
        "ordinary": (INVOICE_NUMBER, patient, 2500, 156, False, 0, 0, body),
        "born held": (INVOICE_NUMBER, patient, 2500, 156, True, 0, 0, body),
        "red letter": (RED_LETTER_NUMBER, patient, 0, 156, False, 0, 0, body),
        "for a prescription": (
            INVOICE_NUMBER,
            patient,
            2500,
            156,
            False,
            PRESCRIPTION_NUMBER,
            900,
            body,
        ),
        "smallest": (0, "0x" + "00" * 20, 0, 0, False, 0, 0, bytes(32)),
        "largest": (2**64 - 1, last, 2**64 - 1, 2**16 - 1, True, 2**64 - 1, 2**64 - 1, ones),
        "leading zeros": (1, "0x" + "00" * 19 + "01", 1, 1, False, 1, 1, word(1)),
        "last amount JSON takes": (10**18 - 1, hexed(some), 2**53 - 1, 978, False, 0, 0, body),
    }
    order = (PRESCRIPTION_NUMBER, patient, 1767576600, 1767835800, LICENCE_NUMBER, 2)
    prescriptions = {
        "one line": (*order, [24], 0, 0, 0, False, body),
        "five lines": (*order, [1, 2, 3, 4, 5], 0b10011, 0, 0, False, body),
        "five lines, born held": (*order, [5] * 5, 0, 0, 0, True, body),
        "repeats": (*order, [24], 1, 3, 30 * 86400, False, body),
        "smallest": (0, "0x" + "00" * 20, 0, 0, 0, 0, [0], 0, 0, 0, False, bytes(32)),
        "no line": (1, patient, 1, 1, 1, 1, [], 0, 0, 0, False, body),
        "largest": (
            *(2**64 - 1, last, 2**40 - 1, 2**40 - 1, 2**64 - 1, 2**16 - 1),
            *([2**16 - 1] * 5, 2**8 - 1, 2**8 - 1, 2**32 - 1, True, ones),
        ),
        "largest line first": (1, patient, 1, 2, 3, 4, [2**16 - 1, 1], 5, 6, 7, False, body),
        "largest line last": (1, patient, 7, 6, 5, 4, [1, 2**16 - 1], 3, 2, 1, False, body),
    }
    licences = {
        "ordinary": (LICENCE_NUMBER, patient, 7, 1735660800, 1893427199, body),
        "smallest": (0, "0x" + "00" * 20, 0, 0, 0, bytes(32)),
        "largest": (2**64 - 1, last, 2**16 - 1, 2**40 - 1, 2**40 - 1, ones),
    }
    records = {
        "ordinary": (RECORD_NUMBER, patient, 0, 1, body),
        "an amendment": (RECORD_NUMBER, patient, RECORD_NUMBER - 1, 2, body),
        "smallest": (0, "0x" + "00" * 20, 0, 0, bytes(32)),
        "largest": (2**64 - 1, last, 2**64 - 1, 2**8 - 1, ones),
    }
    found = []
    for kind, headers in (
        ("Invoice", invoices),
        ("Prescription", prescriptions),
        ("Licence", licences),
        ("Record", records),
    ):
        names = [member["name"] for member in next(iter(HEADER_TYPES[kind].values()))]
        for title, values in headers.items():
            header = dict(zip(names, values, strict=True))
            found.append(
                {
                    "title": title,
                    "kind": kind,
                    "header": wire(header),
                    "structHash": hexed(struct_hash(kind, header)),
                    "leaf": hexed(leaf(kind, header)),
                }
            )
    return found


def one_time_key(kind: str, number: int) -> bytes:
    path = f"m/{BRANCHES[kind]}/{number >> 31}/{number & 0x7FFFFFFF}"
    return HDPath(path).derive(SEED)


def patient_of(kind: str, number: int) -> str:
    return Account.from_key(one_time_key(kind, number)).address


def message_vectors() -> list[dict[str, Any]]:
    nobody, last = "0x" + "00" * 20, "0x" + "fF" * 20
    payee = Account.from_key(word(2)).address
    until = 1767922200
    invoice = ("Invoice", CHAIN_ID, CLAIMS)
    payment = ("Invoice", CHAIN_ID, PAYMENTS)
    extreme = ("Invoice", 2**64 - 1, last)
    cases: list[tuple[str, tuple[Any, ...], str, int, str]] = [
        (
            "ClaimAuthorisation",
            (INVOICE_NUMBER, 4, 2500, 0, until, 0, False, nobody),
            "Invoice",
            1,
            CLAIMS,
        ),
        (
            "ClaimAuthorisation",
            (INVOICE_NUMBER, 4, 2500, 1, until, 3, True, payee),
            *invoice,
        ),
        (
            "ClaimAuthorisation",
            (10**18 - 1, 2**32 - 1, 2**64 - 1, 2**32 - 1, 2**64 - 1, 2**32 - 1, True, last),
            *extreme,
        ),
        ("ClaimAuthorisation", (10**10, 0, 0, 0, 0, 0, False, nobody), *invoice),
        ("ClaimWithdrawal", (INVOICE_NUMBER, 4, 12, 1, until), *invoice),
        (
            "ClaimWithdrawal",
            (10**18 - 1, 2**32 - 1, 2**16 - 1, 2**32 - 1, 2**64 - 1),
            *extreme,
        ),
        ("PayerWaiver", (INVOICE_NUMBER, 4, 1, until), *invoice),
        ("PayerWaiver", (10**18 - 1, 2**32 - 1, 2**32 - 1, 2**64 - 1), *extreme),
        ("PaymentConfirmation", (INVOICE_NUMBER, 4, keccak(text="reference"), until), *invoice),
        ("PaymentConfirmation", (10**18 - 1, 2**32 - 1, b"\xff" * 32, 2**64 - 1), *extreme),
        ("BillPayment", (INVOICE_NUMBER, 2500, keccak(text="reference"), until), *payment),
        ("BillPayment", (10**18 - 1, 2**64 - 1, b"\xff" * 32, 2**64 - 1), *extreme),
        (
            "AcceptAuthorisation",
            (PRESCRIPTION_NUMBER, 2, 0, 1767835800),
            "Prescription",
            CHAIN_ID,
            PRESCRIPTIONS,
        ),
        (
            "AcceptAuthorisation",
            (10**18 - 1, 2**32 - 1, 2**16 - 1, 2**64 - 1),
            "Prescription",
            CHAIN_ID,
            PRESCRIPTIONS,
        ),
        (
            "DeliveryConfirmation",
            (PRESCRIPTION_NUMBER, 0, [24, 10, 6, 0, 0], 1767922200),
            "Prescription",
            CHAIN_ID,
            PRESCRIPTIONS,
        ),
        (
            "DeliveryConfirmation",
            (10**18 - 1, 2**16 - 1, [2**16 - 1] * 5, 2**64 - 1),
            "Prescription",
            2**64 - 1,
            "0x" + "fF" * 20,
        ),
        ("AccessGrant", (RECORD_NUMBER, 5, 1, 0, 1767922200), "Record", CHAIN_ID, RECORDS),
        (
            "AccessGrant",
            (10**18 - 1, 2**32 - 1, 2**8 - 1, 2**32 - 1, 2**64 - 1),
            "Record",
            2**64 - 1,
            "0x" + "fF" * 20,
        ),
        ("AccessRevocation", (RECORD_NUMBER, 5, 1, 1), "Record", CHAIN_ID, RECORDS),
        (
            "AccessRevocation",
            (10**18 - 1, 2**32 - 1, 2**8 - 1, 2**32 - 1),
            "Record",
            2**64 - 1,
            "0x" + "fF" * 20,
        ),
    ]
    found = []
    for name, values, kind, chain_id, contract in cases:
        members = MESSAGE_TYPES[name]
        message = dict(zip((member["name"] for member in members), values, strict=True))
        typed = encode_typed_data(domain(chain_id, contract), {name: members}, message)
        key = one_time_key(kind, message["number"])
        found.append(
            {
                "type": name,
                "message": wire(message),
                "kind": kind,
                "chainId": str(chain_id),
                "contract": contract,
                "domainSeparator": hexed(typed.header),
                "structHash": hexed(typed.body),
                "digest": hexed(keccak(b"\x19\x01" + typed.header + typed.body)),
                "signer": Account.from_key(key).address,
                "signature": hexed(Account.sign_message(typed, key).signature),
            }
        )
    return found


def act_vectors() -> list[dict[str, Any]]:
    root, last = keccak(text="root"), "0x" + "fF" * 20
    cases: list[tuple[str, tuple[Any, ...], int, str]] = [
        ("BatchEndorsement", (1, INVOICE_NUMBER, 100, root, 1767922200), CHAIN_ID, INVOICES),
        ("BatchEndorsement", (1, PRESCRIPTION_NUMBER, 1, root, 1767922200), 1, PRESCRIPTIONS),
        ("BatchEndorsement", (0, 0, 0, bytes(32), 0), CHAIN_ID, INVOICES),
        (
            "BatchEndorsement",
            (2**32 - 1, 2**64 - 1, 2**32 - 1, b"\xff" * 32, 2**64 - 1),
            2**64 - 1,
            last,
        ),
        ("OperatorConsent", (2, 1767922200), CHAIN_ID, INSTITUTIONS),
        ("OperatorConsent", (0, 0), 1, INSTITUTIONS),
        ("OperatorConsent", (2**32 - 1, 2**64 - 1), 2**64 - 1, last),
    ]
    found = []
    for place, (name, values, chain_id, contract) in enumerate(cases, start=1):
        members = ACT_TYPES[name]
        message = dict(zip((member["name"] for member in members), values, strict=True))
        typed = encode_typed_data(domain(chain_id, contract), {name: members}, message)
        key = word(place)
        found.append(
            {
                "type": name,
                "message": wire(message),
                "chainId": str(chain_id),
                "contract": contract,
                "domainSeparator": hexed(typed.header),
                "structHash": hexed(typed.body),
                "digest": hexed(keccak(b"\x19\x01" + typed.header + typed.body)),
                "key": hexed(key),
                "signer": Account.from_key(key).address,
                "signature": hexed(Account.sign_message(typed, key).signature),
            }
        )
    return found


# The tree: RFC 9162, sections 2.1.1 and 2.1.3.1, over leaf hashes


def largest_power_of_two_below(count: int) -> int:
    power = 1
    while power * 2 < count:
        power *= 2
    return power


def tree_hash(leaves: list[bytes]) -> bytes:
    """MTH of section 2.1.1."""
    if len(leaves) == 1:
        return leaves[0]
    k = largest_power_of_two_below(len(leaves))
    return keccak(b"\x01" + tree_hash(leaves[:k]) + tree_hash(leaves[k:]))


def tree_path(index: int, leaves: list[bytes]) -> list[bytes]:
    """PATH of section 2.1.3.1."""
    if len(leaves) == 1:
        return []
    k = largest_power_of_two_below(len(leaves))
    if index < k:
        return [*tree_path(index, leaves[:k]), tree_hash(leaves[k:])]
    return [*tree_path(index - k, leaves[k:]), tree_hash(leaves[:k])]


def numbered_leaves(count: int) -> list[bytes]:
    return [keccak(word(index)) for index in range(count)]


def tree_vectors() -> list[dict[str, Any]]:
    found = []
    for count in [*range(1, 10), 16, 17, 100]:
        leaves = numbered_leaves(count)
        some = {0, 1, 2, count // 2, count - 2, count - 1}
        indices = range(count) if count < 10 else sorted(some)
        found.append(
            {
                "count": count,
                "root": hexed(tree_hash(leaves)),
                "paths": [
                    {"index": index, "path": [hexed(node) for node in tree_path(index, leaves)]}
                    for index in indices
                ],
            }
        )
    return found


def shared_path(indexes: list[int], leaves: list[bytes]) -> list[bytes]:
    """By recursion over RFC 9162's splits: the largest subtrees without a chosen leaf, each at its
    sibling's level, lowest first, and from left to right in a level."""
    found: list[tuple[int, int, bytes]] = []

    def visit(start: int, part: list[bytes], level: int) -> None:
        if not any(start <= index < start + len(part) for index in indexes):
            found.append((level, start, tree_hash(part)))
        elif len(part) > 1:
            below = (len(part) - 1).bit_length() - 1
            visit(start, part[: 1 << below], below)
            visit(start + (1 << below), part[1 << below :], below)

    visit(0, leaves, 0)
    return [node for _, _, node in sorted(found)]


def shared_path_vectors() -> list[dict[str, Any]]:
    cases = [
        (1, [0]),
        (2, [0, 1]),
        (5, [4]),
        (5, [0, 4]),
        (5, [1, 2]),
        (7, [2, 5, 6]),
        (8, [0, 3, 4]),
        (9, [0, 8]),
        (100, [0, 1, 2, 50, 63, 64, 98, 99]),
        (100, list(range(20, 40))),
        (100, list(range(100))),
    ]
    return [
        {
            "count": count,
            "indexes": indexes,
            "path": [hexed(node) for node in shared_path(indexes, numbered_leaves(count))],
            "root": hexed(tree_hash(numbered_leaves(count))),
        }
        for count, indexes in cases
    ]


def head_hash(head: dict[str, int], root: bytes) -> bytes:
    widths = {"first": 8, "count": 4, "segment": 4, "issuedAt": 8}
    packed = b"".join(head[name].to_bytes(width, "big") for name, width in widths.items())
    return keccak(b"\x02" + root + packed)


def head_vectors() -> list[dict[str, Any]]:
    heads = [
        (tree_hash(numbered_leaves(1)), INVOICE_NUMBER, 1, 1, 1767576600),
        (tree_hash(numbered_leaves(100)), INVOICE_NUMBER, 100, 7, 1767576600),
        (bytes(32), 0, 0, 0, 0),
        (b"\xff" * 32, 2**64 - 1, 2**32 - 1, 2**32 - 1, 2**64 - 1),
        (bytes(32), 0, 1, 0, 0),
        (bytes(32), 0, 0, 1, 0),
    ]
    found = []
    for root, *values in heads:
        head = dict(zip(("first", "count", "segment", "issuedAt"), values, strict=True))
        found.append({"root": hexed(root), **wire(head), "hash": hexed(head_hash(head, root))})
    return found


# Sealed documents: rfc8785 and the three lines of the format


def salts_of(secret: bytes, names: list[str]) -> dict[str, bytes]:
    stream = hashlib.shake_256(secret + b"salts").digest(32 * len(names))
    return {name: stream[32 * place :][:32] for place, name in enumerate(names)}


def field_digest(salt: bytes, name: str, value: Any) -> bytes:
    return keccak(b"\x03" + salt + rfc8785.dumps([name, value]))


def body_hash(names: list[str], digests: list[bytes]) -> bytes:
    return keccak(b"\x04" + keccak(rfc8785.dumps(names)) + b"".join(digests))


CHECK_NAMES = {
    "Invoice": "RandomNumber",
    "Prescription": "rxTraceCode",
    "Licence": "checkCode",
    "Record": "checkCode",
}


def sealed_document(
    kind: str, number: int, fields: dict[str, Any], header: dict[str, Any]
) -> dict[str, Any]:
    """All that sealing computes. `header` holds what comes between patient and body."""
    secret = keccak(text=f"secret of {number}")
    check_code = base64.b32encode(keccak(secret + b"check code"))[:6].decode()
    fields = fields | {CHECK_NAMES[kind]: check_code}
    names = sorted(fields)
    salts = salts_of(secret, names)
    digests = [field_digest(salts[name], name, fields[name]) for name in names]
    whole = {
        "number": number,
        "holder" if kind == "Licence" else "patient": patient_of(kind, number),
        **header,
        "body": body_hash(names, digests),
    }
    return {
        "kind": kind,
        "number": number,
        "secret": secret,
        "check_code": check_code,
        "fields": fields,
        "names": names,
        "salts": salts,
        "digests": digests,
        "header": whole,
    }


def sealed_invoice() -> dict[str, Any]:
    header = {"claimable": 2500, "currency": 156, "onHold": False}
    header |= {"prescription": 0, "prescribed": 0}
    return sealed_document("Invoice", INVOICE_NUMBER, INVOICE_FIELDS, header)


def sealed_red_letter() -> dict[str, Any]:
    header = {"claimable": 0, "currency": 156, "onHold": False}
    header |= {"prescription": 0, "prescribed": 0}
    return sealed_document("Invoice", RED_LETTER_NUMBER, RED_LETTER_FIELDS, header)


def sealed_linked_invoice() -> dict[str, Any]:
    """A bill of which 9.00 pay for a prescription."""
    fields = INVOICE_FIELDS | {
        "EInvoiceNumber": "0000000019",
        "hiRxno": f"{PRESCRIPTION_NUMBER:018d}",
        "prescribedAmount": 900,
    }
    header = {"claimable": 2500, "currency": 156, "onHold": False}
    header |= {"prescription": PRESCRIPTION_NUMBER, "prescribed": 900}
    return sealed_document("Invoice", LINKED_INVOICE_NUMBER, fields, header)


def sealed_prescription() -> dict[str, Any]:
    header = {
        "authoredAt": 1767576600,
        "validUntil": PRESCRIPTION_FIELDS["valiEndTime"],
        "licence": LICENCE_NUMBER,
        "drugClass": 2,
        "quantities": [24, 10, 6],
        "substitutable": 0b010,
        "repeats": 2,
        "interval": 30 * 86400,
        "onHold": True,
    }
    return sealed_document("Prescription", PRESCRIPTION_NUMBER, PRESCRIPTION_FIELDS, header)


def sealed_licence() -> dict[str, Any]:
    header = {name: LICENCE_FIELDS[name] for name in ("licenceType", "validFrom", "validUntil")}
    return sealed_document("Licence", LICENCE_NUMBER, LICENCE_FIELDS, header)


def sealed_record() -> dict[str, Any]:
    header = {"amends": int(RECORD_FIELDS["amends"]), "recordType": RECORD_FIELDS["recordType"]}
    return sealed_document("Record", RECORD_NUMBER, RECORD_FIELDS, header)


def document_vectors() -> list[dict[str, Any]]:
    return [
        {
            "kind": document["kind"],
            "number": str(document["number"]),
            "secret": hexed(document["secret"]),
            "patientKey": PATIENT_KEY,
            "checkCode": document["check_code"],
            "fields": {name: document["fields"][name] for name in document["names"]},
            "salts": [hexed(document["salts"][name]) for name in document["names"]],
            "digests": [hexed(digest) for digest in document["digests"]],
            "header": wire(document["header"]),
            "structHash": hexed(struct_hash(document["kind"], document["header"])),
            "leaf": hexed(leaf(document["kind"], document["header"])),
        }
        for document in (
            sealed_invoice(),
            sealed_red_letter(),
            sealed_linked_invoice(),
            sealed_prescription(),
            sealed_licence(),
            sealed_record(),
        )
    ]


# Evidence


def issued(
    document: dict[str, Any], index: int, count: int, only: list[str] | None = None
) -> tuple[dict[str, Any], bytes]:
    """The evidence file's object of a document in a batch, and the head hash on the ledger."""
    kind, header = document["kind"], document["header"]
    leaves = numbered_leaves(count)
    leaves[index] = leaf(kind, header)
    head = {
        "first": document["number"] - index,
        "count": count,
        "segment": 7,
        "issuedAt": 1767576600,
    }
    inner = {name: value for name, value in header.items() if name != "number"}
    evidence = {
        "format": "medledger-evidence-1",
        "kind": kind,
        "number": printed(header["number"]),
        "header": {name: header_text(name, value) for name, value in inner.items()},
        "names": list(document["names"]),
        "digests": [hexed(digest) for digest in document["digests"]],
        "fields": {
            name: {"salt": hexed(document["salts"][name]), "value": document["fields"][name]}
            for name in document["names"]
            if only is None or name in only
        },
        "head": head | {"first": printed(head["first"])},
        "path": [hexed(node) for node in tree_path(index, leaves)],
        "anchor": {
            "chainId": CHAIN_ID,
            "ledger": LEDGERS[kind].lower(),
            "transaction": hexed(TRANSACTION),
        },
    }
    return evidence, head_hash(head, tree_hash(leaves))


def header_text(name: str, value: Any) -> Any:
    """A header's value as evidence writes it."""
    if name in ("patient", "holder"):
        return value.lower()
    if name in ("prescription", "licence"):
        return str(value)
    return hexed(value) if name == "body" else value


def printed(number: int) -> str:
    return f"{number // 10**10:08d}-{number % 10**10:010d}"


def text_of(evidence: dict[str, Any]) -> str:
    return json.dumps(evidence, ensure_ascii=False, indent=2) + "\n"


INDEX, COUNT = 2, 6
PARTIAL = ["EInvoiceName", "TotalAmount"]


def good_evidence() -> dict[str, tuple[dict[str, Any], bytes]]:
    return {
        "good.json": issued(sealed_invoice(), INDEX, COUNT),
        "good_single.json": issued(sealed_invoice(), 0, 1),
        "good_partial.json": issued(sealed_invoice(), INDEX, COUNT, PARTIAL),
        "good_linked.json": issued(sealed_linked_invoice(), 1, 3),
        "good_red_letter.json": issued(sealed_red_letter(), 3, 4),
        "good_prescription.json": issued(sealed_prescription(), 4, 5),
        "good_licence.json": issued(sealed_licence(), 0, 3, ["holderName", "validUntil"]),
        "good_record.json": issued(sealed_record(), 1, 2),
    }


def dishonest(document: dict[str, Any], **header: Any) -> dict[str, Any]:
    """Evidence of a batch that an issuer really issued with a header that tells another story."""
    return issued(dishonest_header(document, **header), INDEX, COUNT)[0]


def dishonest_header(document: dict[str, Any], **header: Any) -> dict[str, Any]:
    return document | {"header": document["header"] | header}


def forged_evidence() -> dict[str, str]:
    """File name to text: each the good evidence with one thing done to it."""
    good = issued(sealed_invoice(), INDEX, COUNT)[0]
    partial = issued(sealed_invoice(), INDEX, COUNT, PARTIAL)[0]
    prescription = sealed_prescription()
    found: dict[str, str] = {}

    def forge(name: str, change: Callable[[dict[str, Any]], object], base: Any = good) -> None:
        evidence = deepcopy(base)
        change(evidence)
        found[f"{name}.json"] = text_of(evidence)

    # Fields
    forge("forged_field", lambda e: e["fields"]["TotalAmount"].update(value=9999999))
    forge("forged_digest", lambda e: e["digests"].reverse())
    forge("forged_field_and_digest", forge_field_and_digest)
    forge("forged_field_digest_and_body", forge_field_digest_and_body)
    forge("wrong_salt", lambda e: e["fields"]["TotalAmount"].update(salt="0x" + "11" * 32))
    forge("swapped_fields", swap_fields)
    forge("renamed_field", rename_field)
    forge("field_not_sealed", lambda e: e["fields"].update(Zzz=e["fields"]["TotalAmount"]))
    forge("unsorted_names", lambda e: e["names"].reverse())
    forge("duplicate_name", lambda e: e["names"].__setitem__(1, e["names"][0]))
    forge("missing_digest", lambda e: e["digests"].pop())
    # Header
    found["header_disagrees.json"] = text_of(dishonest(sealed_invoice(), claimable=12600))
    found["currency_disagrees.json"] = text_of(dishonest(sealed_invoice(), currency=840))
    found["red_letter_is_claimable.json"] = text_of(dishonest(sealed_red_letter(), claimable=2500))
    found["prescription_hidden.json"] = text_of(
        dishonest(sealed_linked_invoice(), prescription=0, prescribed=0)
    )
    found["prescription_disagrees.json"] = text_of(
        dishonest(sealed_linked_invoice(), prescription=PRESCRIPTION_NUMBER + 1)
    )
    found["prescribed_disagrees.json"] = text_of(dishonest(sealed_linked_invoice(), prescribed=1))
    found["prescription_made_up.json"] = text_of(
        dishonest(sealed_invoice(), prescription=PRESCRIPTION_NUMBER, prescribed=900)
    )
    found["red_letter_for_a_prescription.json"] = text_of(
        dishonest(sealed_red_letter(), prescription=PRESCRIPTION_NUMBER)
    )
    found["quantities_disagree.json"] = text_of(dishonest(prescription, quantities=[24, 10, 60]))
    found["line_missing.json"] = text_of(dishonest(prescription, quantities=[24, 10]))
    for name, value in {
        "authoredAt": 1767576601,
        "licence": 0,
        "drugClass": 0,
        "substitutable": 0b011,
        "repeats": 3,
        "interval": 1,
    }.items():
        found[f"{name}_disagrees.json"] = text_of(dishonest(prescription, **{name: value}))
    found["validity_disagrees.json"] = text_of(dishonest(prescription, validUntil=2**40 - 1))
    found["number_disagrees.json"] = text_of(another_number(sealed_invoice()))
    found["prescription_number_disagrees.json"] = text_of(another_number(prescription))
    licence, record = sealed_licence(), sealed_record()
    found["licence_type_disagrees.json"] = text_of(dishonest(licence, licenceType=8))
    found["licence_validity_disagrees.json"] = text_of(dishonest(licence, validUntil=2**40 - 1))
    found["licence_number_disagrees.json"] = text_of(another_number(licence))
    found["record_type_disagrees.json"] = text_of(dishonest(record, recordType=2))
    found["amended_record_disagrees.json"] = text_of(dishonest(record, amends=RECORD_NUMBER - 1))
    found["amends_nothing.json"] = text_of(dishonest(record, amends=0))
    found["record_number_disagrees.json"] = text_of(another_number(record))
    forge("forged_header", lambda e: e["header"].update(claimable=12600), partial)
    forge("forged_hold", lambda e: e["header"].update(onHold=True))
    forge("forged_patient", lambda e: e["header"].update(patient="0x" + "11" * 20))
    forge("kind_disagrees", lambda e: e.update(kind="Prescription"))
    # Path
    forge("neighbours_path", lambda e: e.update(path=path_at(INDEX + 1)))
    forge("truncated_path", lambda e: e["path"].pop())
    forge("extended_path", lambda e: e["path"].append(hexed(keccak(text="more"))))
    forge("swapped_siblings", lambda e: e["path"].reverse())
    forge("inner_node_as_leaf", climb_one_level)
    forge("number_outside_batch", lambda e: e["head"].update(first=printed(INVOICE_NUMBER + 1)))
    forge("extended_path_of_single", lambda e: e["path"].append(hexed(bytes(32))), single())
    # Tree head
    forge("wrong_batch", another_batch)
    forge("wrong_count", lambda e: e["head"].update(count=COUNT + 1))
    forge("wrong_segment", lambda e: e["head"].update(segment=8))
    forge("wrong_time", lambda e: e["head"].update(issuedAt=1767576601))
    # Format
    forge("other_format", lambda e: e.update(format="medledger-evidence-2"))
    forge("unknown_key", lambda e: e.update(verified=True))
    forge("missing_head", lambda e: e.pop("head"))
    forge("short_salt", lambda e: e["fields"]["TotalAmount"].update(salt="0x11"))
    forge("huge_integer", lambda e: e["fields"]["TotalAmount"].update(value=2**53))
    forge("decomposed_text", decompose_remark)
    text = text_of(good)
    twice = '"claimable": 2500,\n    "claimable": 12600,'
    found["duplicate_key.json"] = replaced(text, '"claimable": 2500,', twice)
    found["float_money.json"] = replaced(text, '"value": 2500\n', '"value": 25.00\n')
    found["not_a_number.json"] = replaced(text, '"value": 2500\n', '"value": NaN\n')
    found["infinity.json"] = replaced(text, '"value": 2500\n', '"value": Infinity\n')
    found["lone_surrogate.json"] = replaced(text, "复诊 café", "\\ud800")
    found["byte_order_mark.json"] = "\ufeff" + text
    return found


def disputed_evidence() -> dict[str, str]:
    """Forgeries of which two verifiers once said different things: issued as they were sealed."""
    invoice, prescription = sealed_invoice(), sealed_prescription()
    lines = [line | {"substitutable": None} for line in PRESCRIPTION_FIELDS["rxDetail"]]
    disputed = {
        "currency_unknown": resealed(invoice, CurrencyType="CNX"),
        "currency_unknown_and_code_missing": resealed(
            invoice, without="EInvoiceCode", CurrencyType="CNX"
        ),
        "currency_is_gold": resealed(invoice, CurrencyType="XAU"),
        "currency_in_small_letters": resealed(invoice, CurrencyType="cny"),
        "partial_red_letter_hides_amount": dishonest_header(
            resealed(sealed_red_letter(), without="ownPayAmount"), claimable=2500, onHold=True
        ),
        "time_in_another_form": resealed(prescription, authoredOn="2026-01-05 09:30:00+08:00"),
        "time_with_short_offset": resealed(prescription, authoredOn="2026-01-05T09:30:00+08"),
        "time_by_week": resealed(prescription, authoredOn="2026-W02-1T09:30:00+08:00"),
        "substitutable_is_null": dishonest_header(
            resealed(prescription, rxDetail=lines), substitutable=0
        ),
        "substitutable_beyond_lines": dishonest_header(prescription, substitutable=0b10000010),
    }
    return {
        f"{name}.json": text_of(issued(document, INDEX, COUNT)[0])
        for name, document in disputed.items()
    }


def resealed(document: dict[str, Any], without: str = "", **fields: Any) -> dict[str, Any]:
    """The document as it is with other fields, under the same header but for its body."""
    kept = {name: value for name, value in document["fields"].items() if name != without}
    members = {
        name: value
        for name, value in document["header"].items()
        if name not in ("number", "patient", "body")
    }
    return sealed_document(document["kind"], document["number"], kept | fields, members)


def replaced(text: str, old: str, new: str) -> str:
    if text.count(old) != 1:
        raise ValueError(f"{old!r} occurs {text.count(old)} times, not once")
    return text.replace(old, new)


def single() -> dict[str, Any]:
    return issued(sealed_invoice(), 0, 1)[0]


def forge_field_and_digest(evidence: dict[str, Any]) -> None:
    field = evidence["fields"]["TotalAmount"]
    field["value"] = 9999999
    digest = field_digest(bytes.fromhex(field["salt"][2:]), "TotalAmount", 9999999)
    evidence["digests"][evidence["names"].index("TotalAmount")] = hexed(digest)


def forge_field_digest_and_body(evidence: dict[str, Any]) -> None:
    forge_field_and_digest(evidence)
    digests = [bytes.fromhex(digest[2:]) for digest in evidence["digests"]]
    evidence["header"]["body"] = hexed(body_hash(evidence["names"], digests))


def swap_fields(evidence: dict[str, Any]) -> None:
    fields = evidence["fields"]
    own, fund = fields["ownPayAmount"], fields["fundPayAmount"]
    fields["ownPayAmount"], fields["fundPayAmount"] = fund, own


def rename_field(evidence: dict[str, Any]) -> None:
    place = evidence["names"].index("TotalAmount")
    evidence["names"][place] = "TotalAmounu"
    evidence["fields"]["TotalAmounu"] = evidence["fields"].pop("TotalAmount")


def another_number(document: dict[str, Any]) -> dict[str, Any]:
    """An issuer that issues a document under another number than the one printed on it."""
    number = document["number"] + 1
    header = document["header"] | {"number": number}
    return issued(document | {"number": number, "header": header}, INDEX, COUNT)[0]


def path_at(index: int) -> list[str]:
    document = sealed_invoice()
    leaves = numbered_leaves(COUNT)
    leaves[INDEX] = leaf("Invoice", document["header"])
    return [hexed(node) for node in tree_path(index, leaves)]


def climb_one_level(evidence: dict[str, Any]) -> None:
    """The document put in its parent's place, in a tree of half the leaves."""
    evidence["path"].pop(0)
    evidence["head"].update(first=printed(INVOICE_NUMBER - INDEX // 2), count=COUNT // 2)


def another_batch(evidence: dict[str, Any]) -> None:
    """Path and head of the next batch, which does not hold this number."""
    first = INVOICE_NUMBER - INDEX + COUNT
    evidence["head"]["first"] = printed(first)
    leaves = [keccak(word(first + index)) for index in range(COUNT)]
    evidence["path"] = [hexed(node) for node in tree_path(INDEX, leaves)]


def decompose_remark(evidence: dict[str, Any]) -> None:
    remark = evidence["fields"]["Remark"]
    remark["value"] = unicodedata.normalize("NFD", remark["value"])


# Files


def files() -> dict[str, str]:
    """Path below this folder to text, of every file made here."""
    good = good_evidence()
    vectors = {
        "madeBy": "make_vectors.py, without medledger; integers of more than 32 bits are text",
        "seed": hexed(SEED),
        "headers": header_vectors(),
        "leaves": [hexed(leaf) for leaf in numbered_leaves(100)],
        "trees": tree_vectors(),
        "sharedPaths": shared_path_vectors(),
        "heads": head_vectors(),
        "messages": message_vectors(),
        "acts": act_vectors(),
        "documents": document_vectors(),
        "evidence": {name: hexed(head) for name, (_, head) in good.items()},
    }
    found = {"hashing.json": text_of(vectors)}
    found |= {f"evidence/{name}": text_of(evidence) for name, (evidence, _) in good.items()}
    forged = forged_evidence() | disputed_evidence()
    return found | {f"evidence/{name}": text for name, text in forged.items()}


def main() -> None:
    (HERE / "evidence").mkdir(exist_ok=True)
    for name, text in files().items():
        (HERE / name).write_text(text, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
