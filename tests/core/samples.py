"""Documents, batches and evidence that the tests of the core begin with.

`invoice()`, `red_letter()` and `prescription()` are the documents of `tests/vectors/hashing.json`.
"""

from __future__ import annotations

import unicodedata
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from medledger.core.documents import (
    Document,
    Fields,
    Invoice,
    InvoiceLine,
    Licence,
    Party,
    Prescription,
    PrescriptionLine,
    Record,
    RedLetter,
)
from medledger.core.evidence import Anchor, Evidence, evidence_of
from medledger.core.hashing import InvoiceHeader, TreeHead, keccak256, word
from medledger.core.numbers import DocumentNumber, document_number
from medledger.core.patient_keys import PatientKey
from medledger.core.sealing import Sealed, field_digest, salts_of, seal
from medledger.core.states import RecordType
from medledger.core.tree import Tree

VECTORS = Path(__file__).parent.parent / "vectors"

INVOICE_NUMBER = document_number(46060126, 17)
RED_LETTER_NUMBER = document_number(46060126, 18)
PRESCRIPTION_NUMBER = document_number(46990126, 5)
LICENCE_NUMBER = document_number(33080126, 3)
RECORD_NUMBER = document_number(21020126, 9)
SECRET = bytes(range(32, 64))
PATIENT = PatientKey.from_seed(bytes(range(16)))
"""The seed of BIP-32's first test vector."""

DAY_AFTER = datetime(2026, 1, 6, 10, tzinfo=timezone(timedelta(hours=8)))

ANCHOR = Anchor(31337, "0x5FbDB2315678afecb367f032d93F642f64180aa3", keccak256(b"transaction"))


def invoice(**changes: Any) -> Invoice:
    """A bill of 126.00, of which the patient bore 25.00."""
    return replace(
        Invoice(
            business_key="visit-2026-000017",
            patient_key=PATIENT.public,
            issued_at=datetime(2026, 1, 5, 9, 30, tzinfo=timezone(timedelta(hours=8))),
            invoicing_party=Party("12469023", "澄迈县人民医院"),
            payer_party=Party("469*************3X", "测试患者", type=1),
            currency="CNY",
            total_minor=12600,
            own_pay_minor=2500,
            fund_pay_minor=8100,
            other_pay_minor=500,
            account_pay_minor=1500,
            lines=(
                InvoiceLine("0101", "西药费", 9600, unit="盒", quantity="1.5"),
                InvoiceLine("0105", "化验费", 3000),
            ),
            area_code="469023",
            gender="女",
            medical_type="门诊",
            medical_date=date(2026, 1, 5),
            remark="复诊 café",
        ),
        **changes,
    )


def red_letter(**changes: Any) -> Invoice:
    """The bill that reverses `invoice()`."""
    return invoice(
        business_key="reversal-of-visit-2026-000017",
        related_invoice=INVOICE_NUMBER,
        **changes,
    )


def reversal(original: Sealed) -> RedLetter:
    """The red letter made from an issued bill."""
    assert isinstance(original.header, InvoiceHeader)
    return RedLetter(original.header, original.fields, DAY_AFTER)


def prescription(**changes: Any) -> Prescription:
    """Three drugs, born held."""
    return replace(
        Prescription(
            business_key="rx-2026-000005",
            patient_key=PATIENT.public,
            authored_at=datetime(2026, 1, 5, 9, 30, tzinfo=timezone(timedelta(hours=8))),
            valid_until=1767835800,
            prescriber=Party("D460000001", "测试医师", type=1),
            patient=Party("469*************3X", "测试患者", type=1),
            lines=(
                PrescriptionLine("XA01", "阿莫西林胶囊", 24, "粒", instruction="tid"),
                PrescriptionLine("XA02", "布洛芬缓释胶囊", 10, "粒", substitutable=True),
                PrescriptionLine("XA03", "氯雷他定片", 6, "片"),
            ),
            encounter="visit-2026-000017",
            reason="J06.9",
            on_hold=True,
            licence=LICENCE_NUMBER,
            drug_class=2,
            repeats=2,
            interval_days=30,
        ),
        **changes,
    )


def licence(**changes: Any) -> Licence:
    """A practitioner's licence."""
    return replace(
        Licence(
            business_key="licence-2026-000003",
            holder_key=PATIENT.public,
            issued_at=datetime(2026, 1, 5, 9, 30, tzinfo=timezone(timedelta(hours=8))),
            name="医师执业证书",
            licence_type=7,
            code="110330000000001",
            valid_from=1735660800,
            valid_until=1893427199,
            issuing_authority=Party("11330800", "衢州市卫生健康委员会"),
            holder=Party("330*************1X", "测试医师", type=1),
            scope="内科专业",
        ),
        **changes,
    )


def record(**changes: Any) -> Record:
    """A consultation, amended."""
    return replace(
        Record(
            business_key="consultation-2026-000009",
            patient_key=PATIENT.public,
            authored_at=datetime(2026, 1, 5, 9, 30, tzinfo=timezone(timedelta(hours=8))),
            record_type=RecordType.CONSULTATION,
            hospital=Party("12210200", "大连互联网医院"),
            practitioner=Party("D460000001", "测试医师", type=1),
            patient=Party("469*************3X", "测试患者", type=1),
            complaint="咳嗽三天",
            diagnoses=("J06.9",),
            amends=document_number(21020125, 4),
        ),
        **changes,
    )


DOCUMENTS: dict[DocumentNumber, Document] = {
    INVOICE_NUMBER: invoice(),
    RED_LETTER_NUMBER: red_letter(),
    PRESCRIPTION_NUMBER: prescription(),
    LICENCE_NUMBER: licence(),
    RECORD_NUMBER: record(),
}


def leaves_of(count: int) -> list[bytes]:
    """The leaves of the vectors: keccak of the index as one word."""
    return [keccak256(word(index)) for index in range(count)]


def issue(
    sealed: Sealed, index: int = 2, count: int = 6, only: list[str] | None = None
) -> tuple[Evidence, bytes]:
    """Evidence of a document in a batch, and the head hash that the ledger holds."""
    leaves = leaves_of(count)
    leaves[index] = sealed.leaf
    tree = Tree(leaves)
    head = TreeHead(sealed.header.number - index, count, segment=7, issued_at=1767576600)
    evidence = evidence_of(sealed, head, tree.path(index), ANCHOR, only)
    return evidence, head.hash(tree.root)


def sealed_invoice(**changes: Any) -> Sealed:
    return seal(invoice(**changes), INVOICE_NUMBER, SECRET)


def sealed_prescription(**changes: Any) -> Sealed:
    return seal(prescription(**changes), PRESCRIPTION_NUMBER, SECRET)


def digests_of(secret: bytes, fields: Fields) -> list[bytes]:
    """The digests of fields, in order of name, one by one."""
    names = sorted(fields)
    salts = salts_of(secret, len(names))
    return [field_digest(salt, name, fields[name]) for salt, name in zip(salts, names, strict=True)]


# Strategies


def nfc(text: str) -> str:
    return unicodedata.normalize("NFC", text)


nfc_text = st.text().map(nfc)
"""Any text without surrogates, in normal form C."""

numbers = st.builds(
    document_number,
    st.integers(min_value=1, max_value=10**8 - 1),
    st.integers(min_value=0, max_value=10**10 - 1),
)
secrets = st.binary(min_size=32, max_size=32)
hashes = st.binary(min_size=32, max_size=32)
amounts = st.integers(min_value=0, max_value=2**40)


@st.composite
def invoices(draw: st.DrawFn) -> Invoice:
    """Bills whose amounts add up, with any text in them."""
    parts = draw(st.tuples(amounts, amounts, amounts, amounts))
    total = sum(parts)
    first = draw(st.integers(min_value=0, max_value=total))
    return invoice(
        business_key=draw(nfc_text.filter(bool)),
        own_pay_minor=parts[0],
        fund_pay_minor=parts[1],
        other_pay_minor=parts[2],
        account_pay_minor=parts[3],
        total_minor=total,
        lines=(
            InvoiceLine("1", draw(nfc_text), first, remark=draw(nfc_text)),
            InvoiceLine("2", draw(nfc_text), total - first, unit=draw(nfc_text)),
        ),
        currency=draw(st.sampled_from(["CNY", "EUR", "JPY", "KWD"])),
        remark=draw(nfc_text),
        department_name=draw(nfc_text),
        on_hold=draw(st.booleans()),
        related_invoice=draw(st.none() | numbers),
    )


@st.composite
def prescriptions(draw: st.DrawFn) -> Prescription:
    """Prescriptions of one to five lines, with any text in them."""
    quantities = draw(st.lists(st.integers(1, 2**16 - 1), min_size=1, max_size=5))
    authored_at = draw(st.integers(0, 4_000_000_000))
    return prescription(
        business_key=draw(nfc_text.filter(bool)),
        authored_at=datetime.fromtimestamp(authored_at, UTC),
        valid_until=draw(st.integers(authored_at, 2**40 - 1)),
        lines=tuple(
            PrescriptionLine(
                str(line),
                draw(nfc_text),
                quantity,
                draw(nfc_text),
                substitutable=draw(st.booleans()),
            )
            for line, quantity in enumerate(quantities)
        ),
        reason=draw(nfc_text),
        on_hold=draw(st.booleans()),
        licence=draw(st.none() | numbers),
        drug_class=draw(st.integers(0, 2**16 - 1)),
        repeats=draw(st.integers(0, 2**8 - 1)),
        interval_days=draw(st.integers(0, 365)),
    )
