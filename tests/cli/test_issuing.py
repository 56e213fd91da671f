"""`issue` and `prescribe`: a hospital's own documents, each once, and nothing lost silently."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.running import BILLS, ORDERS, Ran, Town, resources, run
from tests.formats.samples import CLAIM, HOSPITAL, changed, export, write


def issue(town: Town, *options: object, source: Path | None = None) -> Ran:
    keys = ("--patient-keys", town.patient_keys)
    given = {"--patient-keys"} & set(options)
    return town.act("hospital", "issue", source or town.source, *(() if given else keys), *options)


def test_issue__folder_with_a_wrong_claim__issues_the_rest_and_tells(town: Town) -> None:
    ran = town.ran["issue"]

    assert ran.json["issued"] == BILLS
    assert ran.json["already_issued"] == 0
    assert ran.json["other_hospitals"] == 2
    assert (ran.json["first"], ran.json["last"]) == (
        "46060126-0000000001",
        f"46060126-{BILLS:010d}",
    )
    line = BILLS + 1
    assert ran.json["refused"] == 1
    assert ran.json["problems"] == [
        {
            "file": "Claim.ndjson",
            "line": line,
            "field": "Claim.item[0].net.value",
            "problem": "is negative",
        }
    ]
    assert ran.err == f"Claim.ndjson:{line}: Claim.item[0].net.value: is negative\n"
    assert "error" not in ran.json


def test_issue__second_time__issues_nothing_new_and_says_so(town: Town) -> None:
    ran = issue(town)

    assert ran.code == 0
    assert "issued now          0\n" in ran.out
    assert f"issued before       {BILLS}\n" in ran.out
    assert ran.out.endswith("Nothing new: all bills were issued before.\n")


def test_issue__strict__exits_with_3_after_issuing_the_rest(town: Town) -> None:
    ran = issue(town, "--strict")

    assert ran.code == 3
    assert f"issued before       {BILLS}\n" in ran.out
    assert ran.err.endswith("medledger: one resource was refused\n")


def test_issue__strict_as_json__has_result_and_error_in_one_object(town: Town) -> None:
    ran = issue(town, "--strict", "--json")

    assert ran.code == 3
    assert ran.json["already_issued"] == BILLS
    assert ran.error["code"] == "InputError"


def test_issue__nothing_can_be_taken__exits_with_3(town: Town, tmp_path: Path) -> None:
    wrong = changed(CLAIM, {"id": "wrong", "created": "2024"})
    source = write(tmp_path / "export", [one for one in export(wrong) if one.get("id") != "c1"])

    ran = issue(town, source=source)

    assert ran.code == 3
    assert "Claim.ndjson:1: Claim.created: is not a dateTime with a day" in ran.err
    assert ran.err.endswith("medledger: 2 resources were refused\n")


def test_issue__receipts__name_the_number_of_every_business_key(town: Town, tmp_path: Path) -> None:
    ran = issue(town, "--receipts", tmp_path / "receipts.ndjson")

    rows = [json.loads(line) for line in (tmp_path / "receipts.ndjson").open()]
    assert ran.code == 0
    assert len(rows) == BILLS
    assert rows[0]["business_key"] == "Claim/c1"
    assert rows[0]["number"] == "46060126-0000000001"
    assert rows[0]["issued_now"] is False


def test_issue__patient_without_key__is_refused_and_named_by_its_business_key(
    town: Town, tmp_path: Path
) -> None:
    keys = tmp_path / "keys.json"
    keys.write_text("{}")
    source = write(tmp_path / "export", export(changed(CLAIM, {"id": "c99"})))

    ran = issue(town, "--patient-keys", keys, source=source)

    assert ran.code == 3
    assert f"Claim/c99: its patient has no key in {keys}\n" in ran.err
    assert "refused        2\n" in ran.out


def test_issue__private_patient_key__is_refused_without_being_shown(
    town: Town, tmp_path: Path
) -> None:
    secret = town.patient_key.read_text().strip()
    keys = tmp_path / "keys.json"
    keys.write_text(json.dumps({"p1": secret}))

    ran = issue(town, "--patient-keys", keys)

    assert ran.code == 3
    assert "hold a private key (xprv...)" in ran.err
    assert secret not in ran.err


def test_issue__list_of_keys_that_is_none__is_one_line(town: Town, tmp_path: Path) -> None:
    keys = tmp_path / "keys.json"
    keys.write_text('["xpub"]')

    ran = issue(town, "--patient-keys", keys)

    assert ran.code == 3
    assert ran.err == (
        f"medledger: the patient keys {keys} are not one JSON object of patient id to key\n"
    )


def test_issue__hospital_of_another_name__is_refused(town: Town) -> None:
    ran = issue(town, "--hospital", "h2")

    assert ran.code == 3
    assert "'City Hospital' is not the name under which institution 2 was accredited" in ran.err


def test_issue__unknown_hospital__names_the_choices(town: Town) -> None:
    ran = issue(town, "--hospital", "h3")

    assert ran.code == 3
    assert ran.err == (
        "medledger: the folder has no hospital 'h3', but: "
        'h1 ("County Hospital"), h2 ("City Hospital")\n'
    )


def test_issue__no_hospital_of_the_accredited_name__names_what_there_is(
    town: Town, tmp_path: Path
) -> None:
    renamed = changed(HOSPITAL, {"name": "County  Hospital"})

    ran = issue(town, source=write(tmp_path / "export", export(renamed)))

    assert ran.code == 3
    assert 'any hospital of the folder has; there are: h1 ("County  Hospital")' in ran.err


def test_issue__two_hospitals_of_one_name__asks_which(town: Town, tmp_path: Path) -> None:
    twin = changed(HOSPITAL, {"id": "h9"})
    source = write(tmp_path / "export", [*resources(), twin])

    asked, chosen = issue(town, source=source), issue(town, "--hospital", "h1", source=source)

    assert asked.code == 3
    assert 'choose one with --hospital: h1 ("County Hospital"), h9 ("County Hospital")' in asked.err
    assert chosen.code == 0


def test_issue__folder_without_fhir__says_what_it_lacks(town: Town, tmp_path: Path) -> None:
    ran = issue(town, source=tmp_path)

    assert ran.code == 3
    assert ran.err.startswith(f"medledger: {tmp_path} has neither Claim.ndjson nor ")


def test_issue__key_of_nobody__is_refused(town: Town, tmp_path: Path) -> None:
    run("key", "new", tmp_path / "stranger.key")

    ran = run(
        "issue", town.source, "--patient-keys", town.patient_keys,
        "--key", tmp_path / "stranger.key", "--json",
    )  # fmt: skip

    assert ran.code == 4
    assert ran.error["code"] == "NotAnOperator"


def test_issue__without_numbers__says_who_allots_them(town: Town, tmp_path: Path) -> None:
    key = tmp_path / "city.key"
    address = run("key", "new", key).out.strip()
    new = ("--kind", "hospital", "--name", "City Hospital", "--operator", address)
    town.act("supervisor", "accredit", *new)

    ran = run(
        "issue", town.source, "--patient-keys", town.patient_keys, "--key", key,
        "--store", f"sqlite:///{tmp_path}/city.db",
    )  # fmt: skip

    assert ran.code == 7
    assert "no numbers of this kind are allotted to institution" in ran.err
    assert ran.err.endswith("a supervisor allots them: medledger allot\n")


def test_issue__more_than_the_segment_holds__keeps_what_was_issued_and_says_why(
    town: Town, tmp_path: Path
) -> None:
    key, store = tmp_path / "small.key", f"sqlite:///{tmp_path}/small.db"
    address = run("key", "new", key).out.strip()
    new = ("--kind", "hospital", "--name", "County Hospital", "--operator", address, "--json")
    institution = town.act("supervisor", "accredit", *new).json["institution"]
    allotted = ("--code", 46060226, "--first", 5, "--last", 14)
    town.act("supervisor", "allot", "--institution", institution, *allotted)

    ran = run(
        "issue", town.source, "--patient-keys", town.patient_keys, "--key", key, "--store", store,
        "--batch-size", 8, "--json",
    )  # fmt: skip

    assert ran.code == 4
    assert ran.error["code"] == "SegmentExhausted"
    assert ran.json["issued"] == 8
    assert ran.json["last"] == "46060226-0000000012"


def test_prescribe__active_orders__are_issued_and_the_others_counted(town: Town) -> None:
    first = town.ran["prescribe"]
    again = town.act(
        "hospital", "prescribe", town.source, "--patient-keys", town.patient_keys, "--json"
    )

    assert (first.json["issued"], first.json["already_issued"]) == (ORDERS, 0)
    assert (again.json["issued"], again.json["already_issued"]) == (0, ORDERS)
    assert first.json["not_active"] == 1
    assert first.json["first"] == "46080126-0000000001"


def test_enrol__second_time__makes_no_new_key(town: Town) -> None:
    before = town.patient_keys.read_text()

    ran = run("patient", "enrol", town.source, "--out", town.folder / "patients", "--json")

    assert ran.json == {"patients": 2, "made": 0, "patient_keys": str(town.patient_keys)}
    assert town.patient_keys.read_text() == before
