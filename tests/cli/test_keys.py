"""Key files: private, never overwritten, never shown."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from eth_account import Account
from tests.cli.running import Town, run, run_program

from medledger.core.patient_keys import one_time_address

SECRET = 32 * b"\x07"
NUMBER = "46060126-0000000017"


@pytest.fixture
def keystore(tmp_path: Path) -> Path:
    path = tmp_path / "keystore.json"
    encrypted = Account.encrypt(SECRET, "a password", kdf="pbkdf2", iterations=1000)
    path.write_text(json.dumps(encrypted))
    return path


def test_key_new__file__is_private_and_its_address_printed(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "hospital.key"

    made, read = run("key", "new", path), run("key", "address", path, "--json")

    assert made.code == 0
    assert path.stat().st_mode & 0o777 == 0o600
    assert read.json == {"file": str(path), "address": made.out.strip()}
    assert path.read_text().strip() not in made.out


def test_key_new__file_that_exists__is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "hospital.key"
    run("key", "new", path)
    before = path.read_text()

    ran = run("key", "new", path)

    assert ran.code == 3
    assert ran.err == f"medledger: the key file {path} exists; a key is never overwritten\n"
    assert path.read_text() == before


def test_key_address__file_that_is_missing__is_one_line(tmp_path: Path) -> None:
    ran = run("key", "address", tmp_path / "none.key")

    assert ran.code == 3
    assert ran.err == f"medledger: the key file {tmp_path}/none.key cannot be read\n"


def test_key_address__file_that_is_no_key__does_not_show_it(tmp_path: Path) -> None:
    path = tmp_path / "wrong.key"
    path.write_text("ab" * 31)

    ran = run("key", "address", path)

    assert ran.code == 3
    assert "is neither 64 hexadecimal digits nor a keystore" in ran.err
    assert "abab" not in ran.err


def test_key_address__keystore_with_a_password_file__is_opened(
    keystore: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    password = keystore.with_name("password")
    password.write_text("a password\n")
    monkeypatch.setenv("MEDLEDGER_KEY_PASSWORD_FILE", str(password))

    ran = run("key", "address", keystore)

    assert ran.out.strip() == Account.from_key(SECRET).address


def test_key_address__keystore_with_a_wrong_password__does_not_show_it(
    keystore: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    password = keystore.with_name("password")
    password.write_text("another one")
    monkeypatch.setenv("MEDLEDGER_KEY_PASSWORD_FILE", str(password))

    ran = run("key", "address", keystore)

    assert ran.code == 3
    assert "does not open with this password" in ran.err
    assert "another one" not in ran.err


def test_key_address__keystore_and_nobody_to_ask__says_how_to_give_the_password(
    keystore: Path,
) -> None:
    ran = run_program("key", "address", keystore)

    assert ran.code == 3
    assert ran.err == (
        f"medledger: the key file {keystore} is encrypted; "
        "name a file with its password in MEDLEDGER_KEY_PASSWORD_FILE\n"
    )


def test_key_address__password_file_that_is_missing__is_named(
    keystore: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEDLEDGER_KEY_PASSWORD_FILE", "none")

    ran = run("key", "address", keystore)

    assert ran.code == 3
    assert "MEDLEDGER_KEY_PASSWORD_FILE=none cannot be read" in ran.err


def test_key__in_the_environment__acts_without_an_option(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = town.bill()
    monkeypatch.setenv("MEDLEDGER_KEY_FILE", str(town.key("hospital")))

    ran = run("hold", number)

    assert ran.code == 0


def test_patient_new__file__is_private_and_its_public_half_printed(tmp_path: Path) -> None:
    path = tmp_path / "patient.key"

    made, read = run("patient", "new", path), run("patient", "public", path)

    assert made.out.startswith("xpub")
    assert made.out == read.out
    assert path.read_text().startswith("xprv")
    assert path.stat().st_mode & 0o777 == 0o600


def test_patient_new__file_that_exists__is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "patient.key"
    run("patient", "new", path)
    before = path.read_text()

    ran = run("patient", "new", path, "--json")

    assert ran.code == 3
    assert ran.error["code"] == "BadKey"
    assert path.read_text() == before


@pytest.mark.parametrize("kind", ["invoice", "prescription"])
def test_patient_address__of_a_number__is_the_one_that_a_hospital_derives(
    tmp_path: Path, kind: str
) -> None:
    path = tmp_path / "patient.key"
    public = run("patient", "new", path).out.strip()

    ran = run("patient", "address", path, "--number", NUMBER, "--kind", kind, "--json")

    expected = one_time_address(public, kind.capitalize(), int(NUMBER.replace("-", "")))
    assert ran.json["address"] == expected
    assert ran.json["number"] == NUMBER


def test_patient_new__folder_that_may_not_be_written__is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    ran = run("patient", "new", tmp_path / "file" / "patient.key")

    assert ran.code in (3, 7)
    assert ran.err.startswith("medledger: ")
    assert ran.err.count("\n") == 1


def test_enrol__folder_of_another_export__keeps_the_patients_listed_before(
    town: Town, tmp_path: Path
) -> None:
    listed = tmp_path / "patient-keys.json"
    listed.write_text('{"somebody": "xpub1"}')

    run("patient", "enrol", town.source, "--out", tmp_path)

    assert set(json.loads(listed.read_text())) == {"p1", "p2", "somebody"}
    assert os.stat(tmp_path / "p1.key").st_mode & 0o777 == 0o600
