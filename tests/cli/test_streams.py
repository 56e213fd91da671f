"""`issue` and `prescribe` from NDJSON: a file, gzip or not, or standard input."""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.cli.running import PROGRAM, Ran, Town, clean_environment, run, run_program

from medledger.cli.issuing import SHOWN_PROBLEMS
from medledger.core.acts import Act
from medledger.core.hashing import BatchEndorsement

ADDRESS = "0x" + "11" * 20


def bill(key: str, **changes: Any) -> str:
    """One line: a bill of County Hospital."""
    found: dict[str, Any] = {
        "businessKey": key,
        "patientKey": ADDRESS,
        "issuedAt": "2026-01-05T09:30:00+08:00",
        "invoicingParty": {"code": "12469023", "name": "County Hospital"},
        "payerParty": {"code": "469*************3X", "name": "测试患者", "type": 1},
        "currency": "CNY",
        "totalMinor": 2500,
        "ownPayMinor": 2500,
        "lines": [{"code": "0101", "name": "西药费", "amountMinor": 2500}],
    }
    return json.dumps(found | changes, ensure_ascii=False)


def order(key: str) -> str:
    """One line: a prescription."""
    found = {
        "businessKey": key,
        "patientKey": ADDRESS,
        "authoredAt": "2026-01-05T09:30:00+08:00",
        "validUntil": 4102444800,
        "prescriber": {"code": "D460000001", "name": "测试医师", "type": 1},
        "patient": {"code": "469*************3X", "name": "测试患者", "type": 1},
        "lines": [{"code": "XA01", "name": "阿莫西林胶囊", "quantity": 24, "unit": "粒"}],
    }
    return json.dumps(found, ensure_ascii=False)


def file_of(folder: Path, lines: Sequence[str], name: str = "bills.ndjson") -> Path:
    path = folder / name
    data = "".join(line + "\n" for line in lines).encode()
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return path


def issue(town: Town, source: object, *options: object) -> Ran:
    return town.act("hospital", "issue", source, *options)


def numbers(path: Path) -> dict[str, str]:
    """Business key to number, of a file of receipts."""
    rows = [json.loads(line) for line in path.open()]
    return {row["business_key"]: row["number"] for row in rows}


def test_issue__a_file_of_lines__issues_bills_that_verify(town: Town, tmp_path: Path) -> None:
    source = file_of(tmp_path, [bill("file-1"), "", bill("file-2")])

    ran = issue(town, source, "--receipts", tmp_path / "receipts", "--workers", 1, "--json")

    assert ran.code == 0
    assert (ran.json["issued"], ran.json["refused"], ran.json["set_aside"]) == (2, 0, 0)
    assert (ran.json["institution"], ran.json["hospital"]) == (town.institutions["hospital"], None)
    issued = numbers(tmp_path / "receipts")
    assert [ran.json["first"], ran.json["last"]] == [issued["file-1"], issued["file-2"]]
    verified = run("verify", town.evidence(issued["file-1"], tmp_path), "--json")
    assert verified.json["files"][0]["name"] == "County Hospital"


def test_issue__the_same_lines_as_gzip_and_on_standard_input__issues_each_once(
    town: Town, tmp_path: Path
) -> None:
    lines = [bill("pipe-1"), bill("pipe-2")]
    named = ("issue", "-", "--key", town.key("hospital"), "--json")
    environment = clean_environment(MEDLEDGER_RPC=town.chain.url)

    piped = run_program(*named, text="\n".join(lines), env=environment)
    # The name does not say that it is gzip.
    zipped = file_of(tmp_path, lines, "bills.gz").rename(tmp_path / "bills")
    again = issue(town, zipped, "--json")

    assert (piped.code, piped.json["issued"]) == (0, 2)
    assert (again.json["issued"], again.json["already_issued"]) == (0, 2)


def test_issue__bad_lines_among_good__are_told_with_file_and_line_and_hold_nothing_up(
    town: Town, tmp_path: Path
) -> None:
    wrong = [bill("bad-1", totalMinor=25.0), "{", bill("bad-2", issuedAt="secret")]
    source = file_of(tmp_path, [bill("good-1"), *wrong, bill("good-2")])

    ran = issue(town, source, "--json")

    assert ran.code == 0
    assert (ran.json["issued"], ran.json["refused"]) == (2, 3)
    assert [(one["line"], one["field"]) for one in ran.json["problems"]] == [
        (2, "totalMinor"),
        (3, "line"),
        (4, "issuedAt"),
    ]
    assert ran.err.startswith("bills.ndjson:2: totalMinor: is not a whole number\n")
    assert "secret" not in ran.out + ran.err


def test_issue__bad_lines_and_strict__exits_with_3(town: Town, tmp_path: Path) -> None:
    ran = issue(town, file_of(tmp_path, [bill("strict-1"), "{"]), "--strict")

    assert ran.code == 3
    assert "issued now     1\n" in ran.out
    assert ran.err.endswith("medledger: one resource was refused\n")


def test_issue__a_stream_that_is_all_wrong__lists_the_first_problems_and_counts_all(
    town: Town, tmp_path: Path
) -> None:
    source = file_of(tmp_path, ["{"] * (SHOWN_PROBLEMS + 1))

    ran = issue(town, source, "--json")

    assert ran.code == 3
    assert ran.json["refused"] == SHOWN_PROBLEMS + 1
    assert len(ran.json["problems"]) == SHOWN_PROBLEMS
    assert ran.err.count("\n") == SHOWN_PROBLEMS + 1


def test_issue__a_truncated_gzip__issues_the_lines_before_and_exits_with_3(
    town: Town, tmp_path: Path
) -> None:
    whole = file_of(tmp_path, [bill(f"cut-{number}") for number in range(3)], "bills.gz")
    whole.write_bytes(whole.read_bytes()[:-8])

    ran = issue(town, whole, "--json")

    assert ran.code == 3
    assert ran.json["issued"] == 3
    assert ran.error["code"] == "BadResource"
    assert ran.error["message"] == (
        "bills.gz:4: line: the file ends in the middle of its gzip stream; copy it again"
    )


def test_issue__bill_of_another_hospital__is_refused(town: Town, tmp_path: Path) -> None:
    theirs = bill("theirs-1", invoicingParty={"code": "1", "name": "City Hospital"})

    ran = issue(town, file_of(tmp_path, [theirs, bill("ours-1")]), "--json")

    assert (ran.json["issued"], ran.json["refused"]) == (1, 1)
    assert ran.json["problems"][0]["business_key"] == "theirs-1"
    assert "'City Hospital', has not the name under which institution 2 was" in ran.err


def test_issue__an_empty_stream__is_no_failure(town: Town, tmp_path: Path) -> None:
    ran = issue(town, file_of(tmp_path, []))

    assert ran.code == 0
    assert "issued now     0\n" in ran.out


def test_prescribe__a_file_of_lines__issues_prescriptions(town: Town, tmp_path: Path) -> None:
    source = file_of(tmp_path, [order("rx-1"), order("rx-2")])

    ran = town.act("hospital", "prescribe", source, "--json")

    assert (ran.code, ran.json["issued"]) == (0, 2)
    assert ran.json["first"].startswith("46080126-")


def test_prescribe__a_file_of_bills__refuses_every_line(town: Town, tmp_path: Path) -> None:
    ran = town.act("hospital", "prescribe", file_of(tmp_path, [bill("no-order")]), "--json")

    assert ran.code == 3
    assert ran.json["problems"][0]["field"] == "authoredAt"


@pytest.mark.parametrize(
    ("command", "option", "value"),
    [
        ("issue", "--patient-keys", "patients/patient-keys.json"),
        ("issue", "--hospital", "h1"),
        ("prescribe", "--valid-days", "3"),
    ],
)
def test_issue__option_of_a_folder_for_a_stream__is_refused(
    town: Town, tmp_path: Path, command: str, option: str, value: str
) -> None:
    ran = town.act("hospital", command, file_of(tmp_path, []), option, value)

    assert ran.code == 2
    assert ran.err == (
        f"medledger: {option} is for a FHIR folder; the lines of a stream say it themselves; "
        f"see medledger {command} --help\n"
    )


def test_issue__folder_without_patient_keys__says_what_makes_them(town: Town) -> None:
    ran = issue(town, town.source)

    assert ran.code == 2
    assert ran.err == (
        "medledger: a FHIR folder needs --patient-keys FILE; medledger patient enrol makes it; "
        "see medledger issue --help\n"
    )


def test_issue__no_worker__is_refused(town: Town, tmp_path: Path) -> None:
    ran = issue(town, file_of(tmp_path, []), "--workers", 0)

    assert ran.code == 2
    assert "--workers" in ran.err


def test_issue__file_that_is_not_there__is_refused(town: Town, tmp_path: Path) -> None:
    ran = issue(town, tmp_path / "none.ndjson")

    assert ran.code == 2
    assert "none.ndjson" in ran.err


def test_issue__endorsed_segment__runs_the_command_that_endorses(
    town: Town, tmp_path: Path
) -> None:
    allotted = town.act(
        "supervisor", "allot", "--institution", town.institutions["hospital"], "--endorsed",
        "--code", "46060826", "--first", 1, "--last", 9, "--json",
    )  # fmt: skip
    segment = ("--segment", allotted.json["segment"])
    source = file_of(tmp_path, [bill("endorsed-1")])
    command = f"{PROGRAM} endorse - --key {town.key('supervisor')}"

    nobody = issue(town, source, *segment, "--json")
    failing = issue(town, source, *segment, "--endorse", "false", "--json")
    missing = issue(town, source, *segment, "--endorse", "/no/such/program", "--json")
    ran = issue(town, source, *segment, "--endorse", command, "--json")

    assert nobody.error["code"] == "EndorsementMissing"
    assert (failing.error["code"], missing.error["code"]) == ("EndorserFailed", "EndorserFailed")
    assert ran.json["issued"] == 1, ran.err
    trace = run("trace", ran.json["first"], "--json").json
    assert [step["event"] for step in trace["steps"]] == ["BatchIssued", "BatchEndorsed"]


def test_endorse__a_request_for_another_chain__is_refused(town: Town, tmp_path: Path) -> None:
    message = BatchEndorsement(1, 1, 1, bytes(32), 2**40)
    request = tmp_path / "request.json"
    request.write_text(Act(message, 1, "0x" + 40 * "0").to_json())

    ran = town.act("supervisor", "endorse", request, "--json")

    assert (ran.code, ran.error["code"]) == (3, "ActMismatch")
