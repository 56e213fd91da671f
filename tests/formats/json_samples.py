"""Bills and prescriptions as JSON, and the many ways to write them down."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

from hypothesis import strategies as st
from tests.core.samples import invoices, nfc_text, prescriptions

from medledger.core.documents import Invoice, Prescription

BILL: dict[str, Any] = {
    "businessKey": "visit-1",
    "patientKey": "0x" + "11" * 20,
    "issuedAt": "2026-01-05T09:30:00+08:00",
    "invoicingParty": {"code": "12469023", "name": "澄迈县人民医院"},
    "payerParty": {"code": "469*************3X", "name": "测试患者", "type": 1},
    "currency": "CNY",
    "totalMinor": 12600,
    "fundPayMinor": 10100,
    "ownPayMinor": 2500,
    "medicalDate": "2026-01-05",
    "relatedInvoice": "46060126-0000000017",
    "remark": 'said "café"\\',
    "lines": [
        {"code": "0101", "name": "西药费", "amountMinor": 9600, "unit": "盒", "quantity": "1.5"},
        {"code": "0105", "name": "化验费", "amountMinor": 3000},
    ],
}

ORDER: dict[str, Any] = {
    "businessKey": "rx-1",
    "patientKey": "0x" + "11" * 20,
    "authoredAt": "2026-01-05T09:30:00+08:00",
    "validUntil": 1767835800,
    "prescriber": {"code": "D460000001", "name": "测试医师", "type": 1},
    "patient": {"code": "469*************3X", "name": "测试患者", "type": 1},
    "lines": [{"code": "XA01", "name": "阿莫西林胶囊", "quantity": 24, "unit": "粒"}],
}


def line_of(**changes: Any) -> bytes:
    """`BILL` as one line."""
    return json.dumps(BILL | changes, ensure_ascii=False).encode()


# Strategies

business_keys = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1)
zones = st.none() | st.integers(-23 * 60, 23 * 60).map(
    lambda minutes: timezone(timedelta(minutes=minutes))
)
moments = st.datetimes(timezones=zones) | st.just(datetime(2026, 1, 5, tzinfo=UTC))


@st.composite
def bills(draw: st.DrawFn) -> Invoice:
    """Bills with something in every field."""
    return replace(
        draw(invoices()),
        business_key=draw(business_keys),
        issued_at=draw(moments),
        medical_date=draw(st.none() | st.dates()),
        in_hospital_date=draw(st.just(date.min)),
        insurance_type=draw(nfc_text),
    )


@st.composite
def orders(draw: st.DrawFn) -> Prescription:
    """Prescriptions."""
    return replace(
        draw(prescriptions()),
        business_key=draw(business_keys),
        authored_at=draw(moments),
        valid_until=2**40 - 1,
    )


@st.composite
def texts(draw: st.DrawFn, value: Any = None) -> str:
    """`BILL` in any spelling: blanks, escapes, order, and now and then what may not be."""
    found = BILL if value is None else value
    if isinstance(found, dict):
        members = list(found.items())
        if draw(st.integers(0, 9)) == 0:
            members.append(draw(st.sampled_from(members)))
        if draw(st.integers(0, 29)) == 0:
            members.append(("unknown", draw(st.sampled_from([1, [], "x"]))))
        parts = [
            f"{draw(_strings(key))}{draw(_blanks)}:{draw(_blanks)}{draw(texts(inner))}"
            for key, inner in draw(st.permutations(members))
        ]
        return "{" + f"{draw(_blanks)},".join(parts) + draw(_blanks) + "}"
    if isinstance(found, list):
        return "[" + ",".join(draw(texts(inner)) for inner in found) + "]"
    if isinstance(found, int):
        odd = [f"{found}.0", f"{found}e0", f"{found}0e-1", f'"{found}"', "-0", "true", "NaN"]
        return draw(_mostly(str(found), [*odd, str(2**53), str(2**64), str(10**400)]))
    odd = [found + "e\u0301", found + "\ud800", found + "\0", found * 300, ""]
    return draw(_strings(draw(_mostly(found, odd))))


@st.composite
def _mostly(draw: st.DrawFn, usual: str, odd: list[str]) -> str:
    return draw(st.sampled_from(odd)) if draw(st.integers(0, 39)) == 0 else usual


@st.composite
def _strings(draw: st.DrawFn, text: str) -> str:
    """A string with escapes where they must be, or everywhere, or for one letter."""
    how = draw(st.integers(0, 3))
    if how == 0:
        return json.dumps(text)
    plain = json.dumps(text, ensure_ascii=False)
    if how == 1 and text and text[0].isalnum():
        return f'"\\u{ord(text[0]):04x}{plain[2:]}'
    return plain


_blanks = st.sampled_from(["", "", "", " ", "\t", "\r"])
