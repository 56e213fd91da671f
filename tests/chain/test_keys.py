"""Key files: private, never overwritten, and refused in one line that shows nothing of them."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import NoReturn

import pytest
from eth_account import Account

from medledger.chain.keys import address_of, load_key, new_key
from medledger.core.hashing import keccak256
from medledger.errors import BadKey

KEY = keccak256(b"a key for a file")
PASSWORD = "长密码 with spaces"


def never_asked() -> NoReturn:
    raise AssertionError("the password was asked for")


@pytest.fixture(scope="module")
def keystore() -> dict[str, object]:
    """The key as an encrypted keystore; few rounds, since strength is not the question here."""
    found: dict[str, object] = Account.encrypt(KEY, PASSWORD, kdf="pbkdf2", iterations=10)
    return found


# Making


def test_new_key__in_a_new_folder__only_its_owner_may_read_it(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "hospital.key"

    address = new_key(path, KEY)

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert address == address_of(KEY)
    assert load_key(path, never_asked) == KEY


def test_new_key__whatever_the_umask__only_its_owner_may_read_it(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        new_key(tmp_path / "key", KEY)
    finally:
        os.umask(before)

    assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == 0o600


@pytest.mark.parametrize("there", ["a key", "an empty file", "a link to nowhere"])
def test_new_key__where_something_is__never_overwrites_it(there: str, tmp_path: Path) -> None:
    path = tmp_path / "key"
    if there == "a link to nowhere":
        path.symlink_to(tmp_path / "elsewhere")
    else:
        path.write_text("11" * 32 if there == "a key" else "")

    with pytest.raises(BadKey, match="never overwritten"):
        new_key(path, KEY)

    assert not (tmp_path / "elsewhere").exists()
    assert there == "a link to nowhere" or path.read_text() in ("", "11" * 32)


def test_new_key__where_no_folder_can_be__says_why(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(BadKey) as error:
        new_key(tmp_path / "file" / "key", KEY)

    assert "\n" not in str(error.value)


# Loading


@pytest.mark.parametrize("text", ["{}", "0x{}", "  {}\n\n", "0x{}\r\n"])
def test_load_key__64_digits__is_the_key(text: str, tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text(text.format(KEY.hex()))

    assert load_key(path, never_asked) == KEY


def test_load_key__64_capital_digits__is_the_key(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text(KEY.hex().upper())

    assert load_key(path, never_asked) == KEY


def test_load_key__a_keystore__asks_for_its_password_once(
    keystore: dict[str, object], tmp_path: Path
) -> None:
    path = tmp_path / "key.json"
    path.write_text(json.dumps(keystore))
    asked: list[str] = []

    def password() -> str:
        asked.append(PASSWORD)
        return PASSWORD

    assert keystore["version"] == 3
    assert load_key(path, password) == KEY
    assert asked == [PASSWORD]


def test_load_key__a_keystore_by_scrypt__is_the_key(tmp_path: Path) -> None:
    path = tmp_path / "key.json"
    path.write_text(json.dumps(Account.encrypt(KEY, PASSWORD, kdf="scrypt", iterations=2)))

    assert load_key(path, lambda: PASSWORD) == KEY


@pytest.mark.parametrize("wrong", ["", PASSWORD + " ", PASSWORD.upper()])
def test_load_key__the_wrong_password__bad_key_without_it(
    wrong: str, keystore: dict[str, object], tmp_path: Path
) -> None:
    path = tmp_path / "key.json"
    path.write_text(json.dumps(keystore))

    with pytest.raises(BadKey, match="this password") as error:
        load_key(path, lambda: wrong)

    assert PASSWORD not in str(error.value)
    assert not wrong or wrong not in str(error.value)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"hello",
        b"\xff\xfe\x00",
        KEY.hex()[:-1].encode(),
        KEY.hex().encode() + b"0",
        b"g" * 64,
        b"null",
        b"5",
        b'"text"',
        b"[]",
        b"{}",
        b"{",
        b'{"version":1}',
        b'{"version":2,"crypto":{}}',
        b'{"version":3}',
        b'{"version":"3","crypto":{}}',
        b'{"version":3,"crypto":null}',
        b'{"version":3,"crypto":{"kdf":"none"}}',
        b'{"version":4,"crypto":{}}',
        100_000 * b"[",
        bytes(32).hex().encode(),
        b"f" * 64,
    ],
    ids=lambda content: content[:24].decode("latin-1"),
)
@pytest.mark.usefixtures("no_collecting")
def test_load_key__garbage__bad_key_in_one_line_without_the_content(
    content: bytes, tmp_path: Path
) -> None:
    path = tmp_path / "the.key"
    path.write_bytes(content)

    with pytest.raises(BadKey, match=r"the key file .*the[.]key") as error:
        load_key(path, lambda: PASSWORD)

    assert "\n" not in str(error.value)
    assert len(content) < 32 or content.decode("latin-1")[:32] not in str(error.value)


@pytest.mark.parametrize(
    "damage",
    [
        ('"ciphertext": "', '"ciphertext": "zz'),
        ('"salt": "', '"salt": "00'),
        ('"dklen": 32', '"dklen": 0'),
        ('"c": 10', '"c": -1'),
        ('"c": 10', '"c": "ten"'),
        ('"prf": "hmac-sha256"', '"prf": "md5"'),
        ('"mac": "', '"mac": "00'),
    ],
    ids=lambda damage: damage[1],
)
def test_load_key__a_damaged_keystore__bad_key(
    damage: tuple[str, str], keystore: dict[str, object], tmp_path: Path
) -> None:
    text = json.dumps(keystore)
    assert damage[0] in text
    path = tmp_path / "key.json"
    path.write_text(text.replace(*damage))

    with pytest.raises(BadKey) as error:
        load_key(path, lambda: PASSWORD)

    assert "\n" not in str(error.value)


def test_load_key__no_file__bad_key(tmp_path: Path) -> None:
    with pytest.raises(BadKey, match="cannot be read"):
        load_key(tmp_path / "nowhere", never_asked)


def test_load_key__a_folder__bad_key(tmp_path: Path) -> None:
    with pytest.raises(BadKey, match="cannot be read"):
        load_key(tmp_path, never_asked)


def test_address_of__a_known_key__is_its_address() -> None:
    # The first account of the mnemonic that Anvil, Hardhat and Ganache document.
    key = "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"

    assert address_of(bytes.fromhex(key)) == "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"
