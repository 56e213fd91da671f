"""A licence's life by commands alone, and its comparison with what is presented."""

from __future__ import annotations

from itertools import count
from pathlib import Path

import pytest
from tests.cli.running import Ran, Town, run
from tests.roles.world import licence

from medledger.core.patient_keys import PatientKey
from medledger.core.sealing import Fields
from medledger.formats.json import to_line

NAME = "测试医师"
CODE = "33080126"
keys = count(1)


@pytest.fixture
def store(town: Town) -> str:
    """The authority's store; it is accredited, with numbers, on first use."""
    if not town.key("authority").exists():
        run("key", "new", town.key("authority"))
        address = run("key", "address", town.key("authority")).out.strip()
        who = ("--name", "衢州市卫生健康委员会", "--operator", address, "--json")
        ran = town.act("supervisor", "accredit", "--kind", "authority", *who)
        span = ("--code", CODE, "--first", 1, "--last", 1000, "--kind", "licence")
        institution = ran.json["institution"]
        assert town.act("supervisor", "allot", "--institution", institution, *span).code == 0
    return f"sqlite:///{town.folder / 'authority.db'}"


@pytest.fixture
def issued(town: Town, store: str, tmp_path: Path) -> tuple[str, Path]:
    """The number of an opened licence, and evidence that shows the holder's name alone."""
    key = f"licence-{next(keys)}"
    (tmp_path / "licences.ndjson").write_text(to_line(licence(key)) + "\n", "utf-8")
    ran = town.act(
        "authority", "licence", "issue", tmp_path / "licences.ndjson", "--store", store, "--json"
    )
    number, out = ran.json["first"], tmp_path / "licence.json"
    shown = ("--kind", "licence", "--only", "holderName", "--store", store, "--out", out)
    assert run("evidence", number, *shown).code == 0
    assert town.act("authority", "licence", "open", out).code == 0
    return number, out


def test_licence__suspended_lifted_and_revoked__is_shown_as_it_stands(
    town: Town, issued: tuple[str, Path]
) -> None:
    number, evidence = issued

    def act(*arguments: object) -> Ran:
        ran = town.act("authority", "licence", *arguments)
        assert ran.code == 0, ran.err
        return ran

    assert run("verify", evidence).code == 0
    act("suspend", number, "--reason", 3)
    assert run("verify", evidence).code == 5
    assert run("licence", "show", number, "--json").json["suspended_from"]
    act("lift", number)
    act("renew", number, "--until", "2090-01-01")
    assert run("licence", "show", number).out.startswith(f"{number} (licence)\n")
    act("revoke", number, "--reason", 9)

    shown = run("licence", "show", number, "--json").json
    status = run("status", number, "--kind", "licence", "--json").json
    steps = run("trace", number, "--kind", "licence", "--json").json["steps"]

    assert (shown["valid"], shown["opened"]) == (False, True)
    assert shown["revoked_from"] == status["revoked_from"]
    assert status["valid"] is False
    assert [step["event"] for step in steps][1:] == [
        "LicenceOpened",
        "LicenceSuspended",
        "SuspensionLifted",
        "LicenceRenewed",
        "LicenceRevoked",
    ]
    again = town.act("authority", "licence", "lift", number)
    assert again.code == 4
    assert "which is final" in again.err


def test_match__what_is_presented__is_compared_with_the_chain(
    town: Town, issued: tuple[str, Path]
) -> None:
    number, evidence = issued

    right = run("licence", "match", evidence, "--field", "holderName", "--value", NAME)
    wrong = run("licence", "match", evidence, "--field", "holderName", "--value", "X", "--json")
    closed = run("licence", "match", evidence, "--field", "holderCode", "--value", "X")
    number_value = ("--value", "1", "--json-value", "--json")
    typed = run("licence", "match", evidence, "--field", "holderName", *number_value)

    assert right.out.startswith(f"{number}: holderName is what is presented\n")
    assert (wrong.code, wrong.json["matches"], wrong.json["valid_now"]) == (0, False, True)
    assert closed.code == 3
    assert typed.json["matches"] is False


def test_licence__of_a_hospitals_key__is_refused(town: Town, issued: tuple[str, Path]) -> None:
    number, _ = issued

    ran = town.act("hospital", "licence", "suspend", number, "--reason", 1)

    assert ran.code == 7
    assert "the segments of this hospital" in ran.err


def test_fields__of_a_licence__show_no_key() -> None:
    found: Fields = licence(holder_key=PatientKey.from_seed(bytes(32)).public).fields()

    assert "xpub" not in str(found)
