"""Documents in: receipts, idempotency, what is refused, and many at once."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from tests.gateway.scene import (
    HOSPITAL,
    OTHER_BILL_CODE,
    PATIENT,
    Scene,
    bill,
    new_key,
    prescription,
    problem,
)

from medledger.core.evidence import Evidence
from medledger.core.numbers import parse_number
from medledger.core.patient_keys import PatientKey
from medledger.roles import Hospital

pytestmark = pytest.mark.anvil


def issued_by(scene: Scene) -> int:
    """How many bills the hospital has issued in its first segment."""
    entry = scene.ledgers.invoices.segment_of(scene.segment)
    return entry.next - entry.first


# Receipts


def test_issue__a_new_bill__is_on_chain_and_its_evidence_verifies(
    client: httpx.Client, scene: Scene
) -> None:
    body = bill()

    response = client.post("/invoices", json=body)

    receipt = response.json()
    assert response.status_code == 201
    assert receipt["businessKey"] == body["businessKey"]
    assert receipt["segment"] == scene.segment
    evidence = client.get(f"/invoices/{receipt['number']}/evidence")
    assert evidence.headers["cache-control"] == "no-store"
    found = Evidence.from_json(evidence.content)
    scene.auditor.verify(found)
    assert found.fields["InvoicingParty"]["name"] == HOSPITAL
    assert found.fields["TotalAmount"] == 12600
    assert found.header.patient == PATIENT.address("Invoice", parse_number(receipt["number"]))
    assert found.head.issued_at == receipt["issuedAt"]
    assert "0x" + found.anchor.transaction.hex() == receipt["transaction"]


def test_issue__a_prescription__is_on_chain_and_its_evidence_verifies(
    client: httpx.Client, scene: Scene
) -> None:
    body = prescription()

    response = client.post("/prescriptions", json=body)
    again = client.post("/prescriptions", json=body)

    assert (response.status_code, again.status_code) == (201, 200)
    assert again.json() == response.json()
    number = response.json()["number"]
    found = Evidence.from_json(client.get(f"/prescriptions/{number}/evidence").content)
    scene.auditor.verify(found)
    assert [line["quantity"] for line in found.fields["rxDetail"]] == [24, 10]


def test_issue__every_field_given__every_field_is_sealed(client: httpx.Client) -> None:
    optional = {
        "name": "医疗住院收费票据",
        "areaCode": "469023",
        "medicalType": "住院",
        "medicalDate": "2026-01-04",
        "gender": "女",
        "patientNumber": "P-1",
        "insuranceType": "职工",
        "insuranceId": "469***",
        "hospitalizationNumber": "ZY-1",
        "inHospitalDate": "2026-01-01",
        "outHospitalDate": "2026-01-05",
        "payMode": "移动支付",
        "remark": "无",
        "relatedInvoice": "46060125-0000000007",
    }

    number = client.post("/invoices", json=bill(**optional)).json()["number"]

    fields = json.loads(client.get(f"/invoices/{number}/evidence").content)["fields"]
    values = {name: field["value"] for name, field in fields.items()}
    assert values["EInvoiceName"] == "医疗住院收费票据"
    assert values["inHospitalDate"] == "20260101"
    assert values["medicalDate"] == "20260104"
    assert values["relatedInvoiceNumber"] == "0000000007"
    assert values["medicalInsuranceID"] == "469***"


def test_issue__in_a_named_segment__takes_its_number_there(
    client: httpx.Client, scene: Scene
) -> None:
    segment = scene.supervisor.allot(scene.institution, OTHER_BILL_CODE, 1, 1)

    response = client.post("/invoices", params={"segment": segment}, json=bill())

    assert response.status_code == 201
    assert response.json()["number"] == f"{OTHER_BILL_CODE}-0000000001"


def test_issue__more_at_once_than_the_segment_has__the_first_ones_get_the_numbers(
    client: httpx.Client, scene: Scene
) -> None:
    segment = scene.supervisor.allot(scene.institution, 46060326, 1, 2)

    def post(_: int) -> httpx.Response:
        return client.post("/invoices", params={"segment": segment}, json=bill())

    with ThreadPoolExecutor(6) as threads:
        answers = list(threads.map(post, range(6)))

    refused = [problem(answer) for answer in answers if answer.status_code != 201]
    assert refused == [(503, "SegmentExhausted")] * 4


# Idempotency


def test_issue__the_same_body_again__gives_the_first_receipt(
    client: httpx.Client, scene: Scene
) -> None:
    body = bill()
    first = client.post("/invoices", json=body)
    before = issued_by(scene)

    again = client.post("/invoices", json=dict(reversed(body.items())))

    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json() == first.json()
    assert issued_by(scene) == before


@pytest.mark.parametrize(
    "change",
    [
        {"departmentName": "外科"},
        {"onHold": True},
        {"patientKey": PatientKey.from_seed(bytes(16)).public},
        {"ownPayMinor": 2600, "accountPayMinor": 1400},
    ],
    ids=["a field", "the hold", "the patient", "the amounts"],
)
def test_issue__same_key_with_another_body__conflicts(
    client: httpx.Client, scene: Scene, change: dict[str, Any]
) -> None:
    body = bill()
    number = client.post("/invoices", json=body).json()["number"]
    before = issued_by(scene)

    response = client.post("/invoices", json=body | change)

    assert problem(response) == (409, "DuplicateBusinessKey")
    assert number in response.json()["detail"]
    assert issued_by(scene) == before


def test_issue__50_parallel_requests_with_one_key__exactly_one_bill(
    client: httpx.Client, scene: Scene
) -> None:
    body = bill()
    before = issued_by(scene)

    with ThreadPoolExecutor(50) as threads:
        answers = list(threads.map(lambda _: client.post("/invoices", json=body), range(50)))

    assert sorted(answer.status_code for answer in answers) == [200] * 49 + [201]
    assert len({answer.text for answer in answers}) == 1
    assert issued_by(scene) == before + 1


def test_issue__parallel_requests_with_one_key_and_two_bodies__one_bill_and_conflicts(
    client: httpx.Client, scene: Scene
) -> None:
    key = new_key()
    bodies = [bill(key, remark=f"{index % 2}") for index in range(20)]
    before = issued_by(scene)

    with ThreadPoolExecutor(20) as threads:
        answers = list(threads.map(lambda body: client.post("/invoices", json=body), bodies))

    statuses = [answer.status_code for answer in answers]
    assert (statuses.count(201), statuses.count(200), statuses.count(409)) == (1, 9, 10)
    assert issued_by(scene) == before + 1


def test_issue__50_bills_at_once__all_get_numbers_in_few_batches(
    client: httpx.Client, scene: Scene
) -> None:
    bodies = [bill() for _ in range(50)]
    before = issued_by(scene)

    with ThreadPoolExecutor(50) as threads:
        answers = list(threads.map(lambda body: client.post("/invoices", json=body), bodies))

    receipts = [answer.json() for answer in answers]
    assert {answer.status_code for answer in answers} == {201}
    assert len({receipt["number"] for receipt in receipts}) == 50
    assert len({receipt["batchFirst"] for receipt in receipts}) < 50
    assert issued_by(scene) == before + 50


def test_issue__one_bad_bill_among_many__blocks_none(client: httpx.Client) -> None:
    bodies = [bill() for _ in range(10)]
    bodies[4]["currency"] = "ZZZ"
    bodies[7]["patientKey"] = "xpub-of-nobody"

    with ThreadPoolExecutor(10) as threads:
        answers = list(threads.map(lambda body: client.post("/invoices", json=body), bodies))

    assert problem(answers.pop(7)) == (422, "BadPatientKey")
    assert problem(answers.pop(4)) == (422, "UnknownCurrency")
    assert {answer.status_code for answer in answers} == {201}


@pytest.mark.parametrize("quote", ["", '"'])
def test_issue__with_its_business_key_as_idempotency_key__is_issued(
    client: httpx.Client, quote: str
) -> None:
    body = bill()
    headers = {"Idempotency-Key": f"{quote}{body['businessKey']}{quote}"}

    assert client.post("/invoices", json=body, headers=headers).status_code == 201


def test_issue__with_another_idempotency_key__is_refused(client: httpx.Client) -> None:
    response = client.post("/invoices", json=bill(), headers={"Idempotency-Key": "f81d4fae"})

    assert problem(response) == (422, "InvalidDocument")
    assert "Idempotency-Key" in response.json()["detail"]


def test_issue__the_key_was_used_elsewhere_meanwhile__is_issued_all_the_same(
    client: httpx.Client, scene: Scene
) -> None:
    first = client.post("/invoices", json=bill()).json()["number"]
    elsewhere = Hospital(scene.ledgers, scene.hospital_key, f"sqlite:///{scene.folder / 'x.db'}")
    elsewhere.hold(parse_number(first))

    issued = client.post("/invoices", json=bill())
    elsewhere.release(parse_number(first))
    acted = client.post(f"/invoices/{first}/hold")

    assert (issued.status_code, acted.status_code) == (201, 200)


# Bodies that are refused

JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"businessKey":"a","businessKey":"b"}', (400, "DuplicateKey")),
        ('{"totalMinor":NaN}', (400, "MalformedJson")),
        ('{"businessKey":"\\ud800"}', (400, "MalformedJson")),
        ('{"remark":"cafe\u0301"}', (400, "NotNormalForm")),
        ("\ufeff{}", (400, "MalformedJson")),
        ("{", (400, "MalformedJson")),
        ("", (400, "MalformedJson")),
        ("[" * 100_000, (400, "MalformedJson")),
        ("[]", (422, "InvalidDocument")),
        ("{}", (422, "InvalidDocument")),
    ],
    ids=lambda value: str(value)[:20],
)
def test_issue__not_strict_json__is_refused(
    client: httpx.Client, text: str, expected: tuple[int, str]
) -> None:
    response = client.post("/invoices", content=text.encode(), headers=JSON)

    assert problem(response) == expected


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"totalMinor": 126.0}, "totalMinor"),
        ({"totalMinor": "12600"}, "totalMinor"),
        ({"totalMinor": -1}, "totalMinor"),
        ({"totalMinor": 2**53}, "totalMinor"),
        ({"total_minor": 12600}, "total_minor"),
        ({"businessKey": ""}, "businessKey"),
        ({"businessKey": "a\u0000"}, "businessKey"),
        ({"businessKey": "a" * 201}, "businessKey"),
        ({"issuedAt": 1767576600}, "issuedAt"),
        ({"medicalDate": "05.01.2026"}, "medicalDate"),
        ({"onHold": "false"}, "onHold"),
        ({"lines": []}, "Item"),
        ({"ownPayMinor": 2400}, "TotalAmount"),
        ({"payerParty": {"code": "1", "name": "x", "type": 3}}, "payerParty.type"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_issue__a_field_that_is_wrong__is_named(
    client: httpx.Client, change: dict[str, Any], field: str
) -> None:
    response = client.post("/invoices", json=bill() | change)

    assert problem(response) == (422, "InvalidDocument")
    assert f"the document's {field} " in response.json()["detail"]


def test_issue__a_refused_field__its_value_is_not_in_the_answer(client: httpx.Client) -> None:
    response = client.post("/invoices", json=bill(issuedAt="secret-value", remark=7))

    assert "secret-value" not in response.text


def test_issue__related_invoice_is_no_number__is_refused(client: httpx.Client) -> None:
    response = client.post("/invoices", json=bill(relatedInvoice="17"))

    assert problem(response) == (400, "BadNumber")


def test_issue__six_prescription_lines__are_refused(client: httpx.Client) -> None:
    line = {"code": "XA01", "name": "阿莫西林胶囊", "quantity": 1, "unit": "粒"}

    response = client.post("/prescriptions", json=prescription(lines=[line] * 6))

    assert problem(response) == (422, "InvalidDocument")
