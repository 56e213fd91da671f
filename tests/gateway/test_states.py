"""States, traces and the hospital's acts, against what really happens on chain."""

from __future__ import annotations

import httpx
import pytest
from tests.gateway.scene import FAR_FUTURE, PATIENT, Scene, bill, prescription, problem, serving
from tests.roles.world import dispensing

from medledger.core.evidence import Evidence
from medledger.core.numbers import parse_number
from medledger.core.states import Kind
from medledger.roles import Courier, Patient, Payer, Pharmacy

pytestmark = pytest.mark.anvil


def issue(client: httpx.Client, **changes: object) -> str:
    number: str = client.post("/invoices", json=bill(**changes)).json()["number"]
    return number


def prescribe(client: httpx.Client) -> str:
    number: str = client.post("/prescriptions", json=prescription()).json()["number"]
    return number


def test_state__a_bill_that_nobody_used__is_not_opened(
    client: httpx.Client, stranger: httpx.Client
) -> None:
    number = issue(client)

    found = stranger.get(f"/invoices/{number}").json()

    del found["block"]
    assert found == {
        "number": number,
        "opened": False,
        "standing": "Regular",
        "reversedBy": None,
        "hold": "AsIssued",
        "bornOnHold": None,
        "currency": None,
        "claimable": None,
        "locked": 0,
        "reimbursed": 0,
        "remainder": None,
    }


def test_state__locked_then_settled__adds_up(client: httpx.Client, scene: Scene) -> None:
    number = issue(client)
    key, institution = scene.accredit("商业保险", Kind.PAYER)
    payer = Payer(scene.ledgers, key)
    evidence = Evidence.from_json(client.get(f"/invoices/{number}/evidence").content)
    authorisation = Patient(scene.ledgers, PATIENT).authorise_claim(
        parse_number(number), institution, 1000, deadline=FAR_FUTURE
    )

    payer.lock(evidence, authorisation)
    locked = client.get(f"/invoices/{number}").json()
    payer.settle(parse_number(number), 900)
    settled = client.get(f"/invoices/{number}").json()

    names = ("opened", "claimable", "locked", "reimbursed", "remainder", "currency", "bornOnHold")
    assert [locked[name] for name in names] == [True, 2500, 1000, 0, 1500, 156, False]
    assert [settled[name] for name in names] == [True, 2500, 0, 900, 1600, 156, False]
    trace = client.get(f"/invoices/{number}/trace").json()
    expected = ["BatchIssued", "InvoiceOpened", "ClaimLocked", "ClaimSettled"]
    assert [step["name"] for step in trace] == expected
    assert trace[2]["details"]["number"] == number
    assert trace[2]["details"]["amount"] == 1000
    assert trace[3]["details"]["explanation"] == "0x" + 64 * "0"
    assert trace[0]["time"] <= trace[3]["time"]


def test_hold_and_release__a_bill__changes_its_state(client: httpx.Client, scene: Scene) -> None:
    number = issue(client)

    held = client.post(f"/invoices/{number}/hold")
    again = client.post(f"/invoices/{number}/hold")
    while_held = client.get(f"/invoices/{number}").json()
    released = client.post(f"/invoices/{number}/release")
    afterwards = client.get(f"/invoices/{number}").json()

    assert (held.status_code, released.status_code) == (200, 200)
    assert held.json()["number"] == number
    assert problem(again) == (409, "DocumentIsHeld")
    assert (while_held["hold"], afterwards["hold"]) == ("Held", "Released")


def test_reverse__by_a_red_letter__marks_both(client: httpx.Client) -> None:
    number = issue(client)
    red_letter = issue(client, relatedInvoice=number)

    response = client.post(
        f"/invoices/{number}/reverse", json={"redLetter": red_letter, "reason": 3}
    )
    again = client.post(f"/invoices/{number}/reverse", json={"redLetter": red_letter, "reason": 3})

    original = client.get(f"/invoices/{number}").json()
    red = client.get(f"/invoices/{red_letter}").json()
    assert response.status_code == 200
    assert problem(again) == (409, "InvoiceIsReversed")
    assert (original["standing"], original["reversedBy"]) == ("Reversed", red_letter)
    assert (red["standing"], red["reversedBy"]) == ("RedLetter", None)
    trace = client.get(f"/invoices/{number}/trace").json()
    assert trace[-1]["details"]["redLetter"] == red_letter


def test_reverse__no_red_letter_named__one_is_issued(client: httpx.Client) -> None:
    number = issue(client)

    response = client.post(f"/invoices/{number}/reverse", json={"reason": 3})

    original = client.get(f"/invoices/{number}").json()
    red = client.get(f"/invoices/{original['reversedBy']}").json()
    assert response.status_code == 200
    assert (original["standing"], red["standing"]) == ("Reversed", "RedLetter")


def test_reverse__reason_out_of_range__is_refused(client: httpx.Client) -> None:
    number = issue(client)

    response = client.post(
        f"/invoices/{number}/reverse", json={"redLetter": number, "reason": 65536}
    )

    assert problem(response) == (422, "InvalidDocument")


def test_state__a_prescription_through_its_life__is_told(
    client: httpx.Client, scene: Scene
) -> None:
    number = prescribe(client)
    pharmacy_key, pharmacy_id = scene.accredit("药店", Kind.PHARMACY)
    courier_key, courier_id = scene.accredit("快递", Kind.COURIER)
    pharmacy, courier = Pharmacy(scene.ledgers, pharmacy_key), Courier(scene.ledgers, courier_key)
    patient, plain = Patient(scene.ledgers, PATIENT), parse_number(number)
    evidence = Evidence.from_json(client.get(f"/prescriptions/{number}/evidence").content)
    states = [client.get(f"/prescriptions/{number}").json()]

    code = patient.authorise_acceptance(plain, pharmacy_id, deadline=FAR_FUTURE)
    pharmacy.accept(evidence, code)
    states.append(client.get(f"/prescriptions/{number}").json())
    pharmacy.dispense(plain, dispensing(20, 10))
    states.append(client.get(f"/prescriptions/{number}").json())
    pharmacy.hand_over(plain, courier_id)
    states.append(client.get(f"/prescriptions/{number}").json())
    courier.deliver(patient.confirm_delivery(plain, deadline=FAR_FUTURE))
    states.append(client.get(f"/prescriptions/{number}").json())

    names = [state["state"] for state in states]
    assert names[:4] == ["NotOpened", "Accepted", "Dispensed", "InTransit"]
    assert states[0]["remaining"] is None
    assert states[1]["remaining"] == [24, 10, 0, 0, 0]
    assert states[1]["pharmacy"] == pharmacy_id
    assert states[1]["leaseUntil"] > 0
    assert states[2]["remaining"] == [4, 0, 0, 0, 0]
    assert states[3]["courier"] == courier_id
    # Four capsules are owing: the pharmacy still has it.
    assert names[4] == "Accepted"


def test_cancel__a_prescription__marks_it(client: httpx.Client) -> None:
    number = prescribe(client)

    response = client.post(f"/prescriptions/{number}/cancel", json={"reason": 1})
    again = client.post(f"/prescriptions/{number}/cancel", json={"reason": 1})

    assert response.status_code == 200
    assert problem(again) == (409, "StateForbids")
    assert client.get(f"/prescriptions/{number}").json()["state"] == "Cancelled"


def test_request_cancel__a_pharmacy_has_it__is_asked_and_returning_cancels(
    client: httpx.Client, scene: Scene
) -> None:
    number = prescribe(client)
    key, pharmacy_id = scene.accredit("药店", Kind.PHARMACY)
    pharmacy, patient = Pharmacy(scene.ledgers, key), Patient(scene.ledgers, PATIENT)
    evidence = Evidence.from_json(client.get(f"/prescriptions/{number}/evidence").content)
    early = client.post(f"/prescriptions/{number}/request-cancel", json={"reason": 1})
    code = patient.authorise_acceptance(evidence.number, pharmacy_id, deadline=FAR_FUTURE)
    pharmacy.accept(evidence, code)

    response = client.post(f"/prescriptions/{number}/request-cancel", json={"reason": 1})

    again = client.post(f"/prescriptions/{number}/request-cancel", json={"reason": 1})
    asked = client.get(f"/prescriptions/{number}").json()
    pharmacy.return_to_pool(evidence.number)
    assert response.status_code == 200
    assert (asked["state"], asked["cancelRequested"]) == ("Accepted", True)
    assert client.get(f"/prescriptions/{number}").json()["state"] == "Cancelled"
    assert problem(early) == (409, "StateForbids")
    assert problem(again) == (409, "CancelIsRequested")


def test_hold__a_prescription__changes_its_state(client: httpx.Client) -> None:
    number = prescribe(client)

    client.post(f"/prescriptions/{number}/hold")
    held = client.get(f"/prescriptions/{number}").json()["hold"]
    client.post(f"/prescriptions/{number}/release")

    assert held == "Held"
    assert client.get(f"/prescriptions/{number}").json()["hold"] == "Released"
    names = [step["name"] for step in client.get(f"/prescriptions/{number}/trace").json()]
    assert names == ["BatchIssued", "DocumentHeld", "DocumentReleased"]


def test_state__a_bill_of_another_hospital__is_told_too(client: httpx.Client, scene: Scene) -> None:
    key, institution = scene.accredit("另一家医院", Kind.HOSPITAL)
    scene.supervisor.allot(institution, 46060926, 1, 10)
    store = f"sqlite:///{scene.folder / 'other.db'}"
    with serving(scene.settings(operator=key, store=store)) as other:
        party = {"code": "2", "name": "另一家医院"}
        number = other.post("/invoices", json=bill(invoicingParty=party)).json()["number"]

    assert client.get(f"/invoices/{number}").json()["standing"] == "Regular"
    assert problem(client.get(f"/invoices/{number}/evidence")) == (404, "NotFound")
    assert problem(client.post(f"/invoices/{number}/hold")) == (404, "NotFound")


@pytest.mark.parametrize("suffix", ["", "/trace"])
@pytest.mark.parametrize("kind", ["invoices", "prescriptions"])
def test_state__a_number_that_was_not_issued__is_not_found(
    stranger: httpx.Client, kind: str, suffix: str
) -> None:
    in_a_segment = stranger.get(f"/{kind}/46060126-0000099999{suffix}")
    in_none = stranger.get(f"/{kind}/99999999-0000000001{suffix}")

    assert problem(in_a_segment) == (404, "NumberNotIssued")
    assert problem(in_none) == (404, "NumberNotIssued")


@pytest.mark.parametrize("number", ["1", "46060126-1", "46060126_0000000001", "x" * 500])
def test_state__no_number__is_refused(stranger: httpx.Client, number: str) -> None:
    assert problem(stranger.get(f"/invoices/{number}")) == (400, "BadNumber")


def test_evidence__of_chosen_fields__opens_no_other(client: httpx.Client) -> None:
    number = issue(client)

    response = client.get(f"/invoices/{number}/evidence", params={"only": "TotalAmount, IssueDate"})

    assert set(response.json()["fields"]) == {"TotalAmount", "IssueDate"}
    assert "测试患者" not in response.text


def test_evidence__of_an_unknown_field__is_refused(client: httpx.Client) -> None:
    number = issue(client)

    response = client.get(f"/invoices/{number}/evidence", params={"only": "Total"})

    assert problem(response) == (422, "UnknownField")
