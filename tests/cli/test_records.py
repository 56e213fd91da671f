"""A record issued, amended, granted, read and anchored, by commands alone."""

from __future__ import annotations

import json
from itertools import count
from pathlib import Path

import pytest
from tests.cli.running import Ran, Town, run
from tests.roles.world import record

from medledger.core.documents import Party
from medledger.formats.json import to_line

CODE = "21020126"
keys = count(1)


@pytest.fixture
def segment(town: Town) -> None:
    """Numbers for the hospital's records, once."""
    if not (town.folder / "records").exists():
        (town.folder / "records").mkdir()
        span = ("--code", CODE, "--first", 1, "--last", 1000, "--kind", "record")
        institution = town.institutions["hospital"]
        assert town.act("supervisor", "allot", "--institution", institution, *span).code == 0


def act(town: Town, *arguments: object) -> Ran:
    ran = town.act("hospital", "record", *arguments)
    assert ran.code == 0, ran.err + ran.out
    return ran


def line(town: Town, key: str, amends: str = "") -> str:
    """A record of the town's patient as one line of JSON."""
    xpub = run("patient", "public", town.patient_key).out.strip()
    hospital = Party("H1", "County Hospital")
    found = json.loads(to_line(record(key, patient_key=xpub, hospital=hospital)))
    return json.dumps(found | ({"amends": amends} if amends else {})) + "\n"


@pytest.fixture
def number(town: Town, segment: None, tmp_path: Path) -> str:
    """An issued, opened record."""
    (tmp_path / "records.ndjson").write_text(line(town, f"consultation-{next(keys)}"), "utf-8")
    found: str = act(town, "issue", tmp_path / "records.ndjson", "--json").json["first"]
    act(town, "open", found)
    return found


def access(town: Town, number: str, tmp_path: Path, what: str = "access") -> Path:
    out = tmp_path / f"{what}.json"
    who = ("--institution", town.institutions["pharmacy"], "--purpose", "treat")
    signing = ("--patient-key", town.patient_key, "--out", out)
    signed = run("authorise", what, number, *who, *signing)
    assert signed.code == 0, signed.err
    return out


def read(town: Town, number: str, out: Path, purpose: str = "treat") -> Ran:
    who = ("--institution", town.institutions["pharmacy"], "--reader", "P1")
    return town.act("hospital", "record", "read", number, *who, "--purpose", purpose, "--out", out)


def test_record__granted__is_read_logged_and_anchored(
    town: Town, number: str, tmp_path: Path
) -> None:
    refused = read(town, number, tmp_path / "none.json")
    act(town, "grant", access(town, number, tmp_path))

    done = read(town, number, tmp_path / "record.json")
    broken = read(town, number, tmp_path / "again.json", "etreat")
    anchored = act(town, "anchor", "--json").json["days"]
    act(town, "revoke", access(town, number, tmp_path, "revocation"))
    listed = act(town, "reads", number, "--json").json["reads"]
    proof = tmp_path / "proof.json"
    act(town, "reads", number, "--prove", 1, "--out", proof)

    assert refused.code == 3
    assert "has no leave to read" in refused.err
    assert (done.code, broken.code) == (0, 0)
    assert run("verify", tmp_path / "record.json").code == 0
    assert [entry["brokeGlass"] for entry in listed] == [False, True]
    assert [day["count"] for day in anchored] == [2]
    assert json.loads(proof.read_text("utf-8"))["format"] == "medledger-read-1"
    assert read(town, number, tmp_path / "late.json").code == 3
    assert "(broke the glass)" in act(town, "reads", number).out
    assert act(town, "anchor").out == "Nothing new was read.\n"
    far = town.act("hospital", "record", "reads", number, "--prove", 9)
    assert far.code == 7


def test_amend__a_record__is_the_newest_version(town: Town, number: str, tmp_path: Path) -> None:
    (tmp_path / "amended.json").write_text(line(town, f"c-{number}", number), "utf-8")
    (tmp_path / "plain.json").write_text(line(town, "c-plain"), "utf-8")

    amended = act(town, "amend", tmp_path / "amended.json", "--json").json
    again = act(town, "amend", tmp_path / "amended.json", "--json").json

    assert amended["amends"] == number
    assert (again["number"], again["issued_now"]) == (amended["number"], False)
    status = run("status", number, "--kind", "record", "--json").json
    assert status["amended_by"] == amended["number"]
    assert run("status", amended["number"], "--kind", "record", "--json").json["opened"]
    steps = run("trace", number, "--kind", "record", "--json").json["steps"]
    assert steps[-1]["amendment"] == amended["number"]
    assert town.act("hospital", "record", "amend", tmp_path / "plain.json").code == 3
