"""Operator keys in files, so that no key stands in an argument, a log or the environment.

A key file holds 64 hexadecimal digits, or an encrypted Ethereum keystore (Web3 Secret Storage,
version 3), whose password comes from the caller.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from eth_account import Account

from medledger.errors import BadKey


def new_key(path: Path, secret: bytes) -> str:
    """Writes a new private key, readable by its owner only; returns its address.

    `secret` is 32 random bytes. Raises `BadKey` where the file exists: keys are never overwritten.
    """
    address: str = Account.from_key(secret).address
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as error:
        raise BadKey(path=path, problem="exists; a key is never overwritten") from error
    except OSError as error:
        raise BadKey(path=path, problem=f"cannot be written: {error.strerror}") from error
    with os.fdopen(descriptor, "w") as file:
        file.write(secret.hex() + "\n")
    return address


def load_key(path: Path, password: Callable[[], str]) -> bytes:
    """The 32-byte key of a file; `password` is asked only for a keystore. Raises `BadKey`."""
    try:
        text = path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise BadKey(path=path, problem="cannot be read") from error
    if match := re.fullmatch("(?:0x)?([0-9a-fA-F]{64})", text):
        key = bytes.fromhex(match[1])
    else:
        keystore = _keystore(text)
        if keystore is None:
            raise BadKey(path=path, problem="is neither 64 hexadecimal digits nor a keystore")
        try:
            key = bytes(Account.decrypt(keystore, password()))
        except (ValueError, TypeError, KeyError, NotImplementedError, AssertionError) as error:
            raise BadKey(path=path, problem="does not open with this password") from error
    try:
        Account.from_key(key)
    except ValueError as error:
        raise BadKey(path=path, problem="is not a secp256k1 private key") from error
    return key


def _keystore(text: str) -> dict[str, Any] | None:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) and {"crypto", "Crypto"} & found.keys() else None


def address_of(key: bytes) -> str:
    """The address of a private key."""
    address: str = Account.from_key(key).address
    return address
