"""A prescription's way from the hospital to the patient's door, by commands alone."""

from __future__ import annotations

import json
from pathlib import Path

from tests.chain.nodes import insist, pass_time
from tests.cli.running import Ran, Town, run

from medledger.chain.deployment import Manifest, connect
from medledger.chain.rpc import Rpc
from medledger.core.numbers import parse_number

QUANTITY = 60


def dispense(town: Town, folder: Path, number: str, quantity: int, *more: object) -> Ran:
    """The pharmacy reviews and dispenses line 1."""
    options = (
        "--item",
        1,
        "B2026",
        "H20013001",
        "--finding",
        "fit",
        "--kept",
        folder / "kept.json",
    )
    return town.act("pharmacy", "dispense", number, "--quantity", quantity, *options, *more)


def accepted(town: Town, folder: Path, pharmacy: str = "pharmacy") -> str:
    """A prescription that a pharmacy has."""
    number = town.order()
    evidence = town.evidence(number, folder, "prescription")
    signed = town.acceptance(number, pharmacy, folder)
    ran = town.act(pharmacy, "accept", evidence, "--authorisation", signed)
    assert ran.out.startswith(f"{number}: accepted by pharmacy {town.institutions[pharmacy]}\n")
    return number


def test_prescription__in_two_parts_with_a_failed_delivery__arrives(
    town: Town, tmp_path: Path
) -> None:
    number = accepted(town, tmp_path)
    courier = ("--courier", town.institutions["courier"])

    acts = [
        dispense(town, tmp_path, number, 20, "--json"),
        town.act("pharmacy", "hand-over", number, *courier, "--json"),
        town.act("courier", "fail", number, "--reason", 2, "--json"),
        town.act("pharmacy", "hand-over", number, *courier, "--json"),
        town.act("courier", "deliver", "--confirmation", town.confirmation(number, tmp_path)),
        dispense(town, tmp_path, number, QUANTITY - 20),
        town.act("pharmacy", "deliver", "--confirmation", town.confirmation(number, tmp_path)),
    ]

    assert [act.code for act in acts] == 7 * [0], [act.err for act in acts]
    assert acts[0].json["quantities"] == [20]
    assert acts[5].out.startswith(f"{number}: dispensed 40 of line 1\n")
    status = run("status", number, "--kind", "prescription", "--json").json
    assert (status["state"], status["remaining"][0]) == ("delivered", 0)
    steps = run("trace", number, "--kind", "prescription", "--json").json["steps"]
    assert [step["event"] for step in steps] == [
        "BatchIssued",
        "PrescriptionOpened",
        "PrescriptionAccepted",
        "PrescriptionDispensed",
        "PrescriptionHandedOver",
        "DeliveryFailed",
        "PrescriptionHandedOver",
        "PrescriptionDelivered",
        "PrescriptionDispensed",
        "PrescriptionDelivered",
    ]
    again = dispense(town, tmp_path, number, 1)
    assert again.code == 4
    assert again.err == f"medledger: prescription {number} is delivered, which forbids this\n"


def test_return__accepted_prescription__lets_another_pharmacy_take_it(
    town: Town, tmp_path: Path
) -> None:
    number = accepted(town, tmp_path)

    returned = town.act("pharmacy", "return", number, "--reason", 4)
    signed = town.acceptance(number, "other_pharmacy", tmp_path)
    evidence = tmp_path / f"{number}.json"
    taken = town.act("other_pharmacy", "accept", evidence, "--authorisation", signed, "--json")

    assert returned.out.startswith(f"{number}: returned to the pool\n")
    assert taken.json["pharmacy"] == town.institutions["other_pharmacy"]


def test_accept__while_another_pharmacy_has_it__says_until_when(town: Town, tmp_path: Path) -> None:
    number = accepted(town, tmp_path)
    signed = town.acceptance(number, "other_pharmacy", tmp_path)

    ran = town.act(
        "other_pharmacy", "accept", tmp_path / f"{number}.json", "--authorisation", signed
    )

    assert ran.code == 4
    assert ran.err.startswith(
        f"medledger: pharmacy {town.institutions['pharmacy']} has prescription {number} until 20"
    )
    assert ran.err.endswith("its hospital may ask: medledger request-cancel\n")


def test_accept__evidence_of_a_bill__is_refused(town: Town, tmp_path: Path) -> None:
    bill, number = town.bill(), town.order()
    evidence = town.evidence(bill, tmp_path)
    signed = town.acceptance(number, "pharmacy", tmp_path)

    ran = town.act("pharmacy", "accept", evidence, "--authorisation", signed, "--json")

    assert ran.code == 5
    assert ran.error["step"] == "format"


def test_dispense__more_than_prescribed__counts_lines_from_one(town: Town, tmp_path: Path) -> None:
    number = accepted(town, tmp_path)

    ran = dispense(town, tmp_path, number, QUANTITY + 1)

    assert ran.err == (
        f"medledger: {QUANTITY + 1} is more than the {QUANTITY} left of line 1 of {number}\n"
    )


def test_cancel__available_prescription__fails_its_evidence(town: Town, tmp_path: Path) -> None:
    number = town.order()
    evidence = town.evidence(number, tmp_path, "prescription")

    cancelled = town.act("hospital", "cancel", number, "--reason", 2)
    verified = run("verify", evidence, "--json")

    assert cancelled.out.startswith(f"{number}: cancelled\n")
    assert verified.code == 5
    assert verified.json["files"][0]["failed_step"] == "status"


def test_authorise__without_out__writes_the_file_to_standard_output(town: Town) -> None:
    ran = run(
        "authorise", "delivery", "46080126-0000000001", "--patient-key", town.patient_key,
        "--hours", 2,
    )  # fmt: skip

    assert ran.code == 0
    assert json.loads(ran.out)["type"] == "DeliveryConfirmation"


def test_authorise__file_that_is_no_patient_key__is_refused_without_being_shown(
    town: Town,
) -> None:
    ran = run("authorise", "delivery", "46080126-0000000001", "--patient-key", town.key("payer"))

    assert ran.code == 3
    assert ran.err == "medledger: the patient key is not an extended private key (xprv...)\n"


def test_prescription__by_its_detours__arrives(town: Town, tmp_path: Path) -> None:
    number = accepted(town, tmp_path)
    courier = town.institutions["courier"]
    finding = ("--finding", "fit", "--kept", tmp_path / "review.json")

    acts = [
        town.act("pharmacy", "review", number, *finding),
        dispense(town, tmp_path, number, QUANTITY),
        town.act("pharmacy", "withdraw-dispensing", number, "--reason", 1),
        town.act("hospital", "request-cancel", number, "--reason", 2),
        dispense(town, tmp_path, number, QUANTITY, "--courier", courier, "--json"),
        town.act("courier", "offer", number, "--courier", courier),
        town.act("courier", "take-over", number),
    ]
    early = town.act("pharmacy", "take-back", number)
    town.act("courier", "deliver", "--confirmation", town.confirmation(number, tmp_path))

    assert [act.code for act in acts] == 7 * [0], [act.err for act in acts]
    assert acts[4].json["courier"] == courier
    assert early.code == 4
    assert early.err.startswith(f"medledger: courier {courier} has the parcel of {number} until 20")
    kept = json.loads((tmp_path / "kept.json").read_text("utf-8"))
    assert kept["items"] == [{"line": 1, "lot": "B2026", "approvalNumber": "H20013001"}]
    status = run("status", number, "--kind", "prescription", "--json").json
    assert (status["state"], status["cancel_requested"]) == ("delivered", False)


def test_policy__set_and_shown__is_the_same(town: Town) -> None:
    rules = ("--days", 3, "--quantity", 30, "--no-courier", "--second-approver", "--licence")

    done = town.act("supervisor", "policy", "set", 7, *rules, "--json")
    shown = run("policy", "show", 7, "--json").json

    assert done.code == 0, done.err
    assert shown == {
        "drug_class": 7,
        "max_validity": 3 * 24 * 3600,
        "max_repeats": 0,
        "max_quantity": 30,
        "withdraw_minutes": 1440,
        "courier_allowed": False,
        "second_approver": True,
        "licence_demanded": True,
    }


# Reads


def read(town: Town, number: str, out: Path, purpose: str, *more: object) -> Ran:
    """The hospital gives a prescription to the pharmacy's reader P1."""
    who = ("--institution", town.institutions["pharmacy"], "--reader", "P1", "--purpose", purpose)
    return town.act("hospital", "prescription", "read", number, *who, "--out", out, *more)


def test_prescription_read__authorised__is_logged_accepted_anchored_and_proven(
    town: Town, tmp_path: Path
) -> None:
    number, out = town.order(), tmp_path / "prescription.json"
    signed = town.acceptance(number, "pharmacy", tmp_path)
    authorised = ("--authorisation", signed)

    refused = read(town, number, tmp_path / "none.json", "treat")
    given = read(town, number, out, "treat", *authorised)
    accepted = town.act("pharmacy", "accept", out, *authorised)
    again = read(town, number, tmp_path / "again.json", "treat", *authorised)
    broken = read(town, number, tmp_path / "emergency.json", "etreat")
    anchored = town.act("hospital", "record", "anchor", "--json")
    listed = town.act("hospital", "prescription", "reads", number, "--json").json["reads"]
    proof = tmp_path / "proof.json"
    proven = town.act("hospital", "prescription", "reads", number, "--prove", 1, "--out", proof)

    assert (refused.code, again.code) == (3, 4)
    assert "has no leave to read prescription" in refused.err
    assert "has been used" in again.err
    assert given.out == (
        f"{number}: read by P1 of institution {town.institutions['pharmacy']}, in {out}\n"
    )
    assert [ran.code for ran in (accepted, broken, anchored, proven)] == 4 * [0]
    assert not (tmp_path / "none.json").exists()
    assert run("verify", out).code == 0
    assert [(one["kind"], one["number"], one["brokeGlass"]) for one in listed] == [
        ("Prescription", number, False),
        ("Prescription", number, True),
    ]
    assert json.loads(proof.read_text("utf-8"))["entry"]["kind"] == "Prescription"
    assert "(prescription): 2 reads" in town.act("hospital", "prescription", "reads", number).out
    far = town.act("hospital", "prescription", "reads", number, "--prove", 3)
    assert far.code == 7
    assert "the 2 reads of this prescription" in far.err


def test_trace__of_a_prescription_with_index_and_store__is_the_whole_log(
    town: Town, tmp_path: Path
) -> None:
    """Rule 17: who fetched, accepted and returned it, and what was refused."""
    number, out = town.order(), tmp_path / "prescription.json"
    index = f"sqlite:///{tmp_path / 'index.db'}"
    store = f"sqlite:///{town.folder / 'hospital.db'}"
    authorised = ("--authorisation", town.acceptance(number, "pharmacy", tmp_path))
    thief = run("key", "address", town.key("other_pharmacy")).out.strip()
    rpc = Rpc(town.chain.url)
    ledger = connect(rpc, Manifest.load(town.manifest)).prescriptions
    assert read(town, number, out, "treat", *authorised).code == 0
    pass_time(rpc, 5)
    assert town.act("pharmacy", "accept", out, *authorised).code == 0
    tried = insist(rpc, thief, ledger.return_to_pool(parse_number(number), 0))
    assert town.act("pharmacy", "return", number).code == 0
    assert run("audit", "sync", "--index", index).code == 0
    which = (number, "--kind", "prescription", "--index", index, "--store", store)

    people, machines = run("trace", *which).out, run("trace", *which, "--json").json

    assert [step["event"] for step in machines["steps"]][1:] == [
        "PrescriptionOpened",
        "PrescriptionAccepted",
        "PrescriptionReturned",
    ]
    (attempt,) = machines["refused"]
    assert (attempt["contract"], attempt["function"]) == ("Prescriptions", "returnToPool")
    assert (attempt["by"], attempt["transaction"]) == (thief, f"0x{tried.hex()}")
    assert [(one["reader"], one["purpose"]) for one in machines["reads"]] == [("P1", "TREAT")]
    pharmacy = town.institutions["pharmacy"]
    assert f"institution {pharmacy}, P1, treat" in people
    told = ("BatchIssued", "  read ", "Accepted ", "returnToPool refused", "Returned ")
    order = [people.index(what) for what in told]
    assert order == sorted(order)
    plain = run("trace", number, "--kind", "prescription", "--json").json
    assert plain.keys() == {"number", "kind", "steps"}


def test_trace__of_a_store_that_is_not_there__says_so(town: Town) -> None:
    which = (town.order(), "--kind", "prescription", "--store", "sqlite:///nowhere.db")

    ran = run("trace", *which)

    assert ran.code != 0
    assert "does not exist; name it with --store" in ran.err
    assert not (town.folder / "nowhere.db").exists()
