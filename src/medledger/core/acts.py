"""What institutions sign off chain: a supervisor a batch, a new key that it will act.

    act = Act(OperatorConsent(2, deadline), chain_id, ledgers.institutions.address)
    act.signed(key).to_json()      # what the institution adds the key with

An act travels twice, as a file of one format: to whoever signs it, and back with the signature.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, TypeVar

from medledger.core.authorisation import hex_bytes
from medledger.core.canonical import parse_strict
from medledger.core.hashing import (
    BatchEndorsement,
    InstitutionMessage,
    OperatorConsent,
    checksum_address,
    signing_digest,
)
from medledger.core.patient_keys import address_of_key, signature_of
from medledger.errors import ActMismatch, InputError, MalformedAct

FORMAT = "medledger-act-1"
_KEYS = {"format", "type", "message", "chainId", "contract", "signer", "signature"}
_BITS = {"segment": 32, "count": 32, "institution": 32}
_TYPES: dict[str, type[InstitutionMessage]] = {
    kind.__name__: kind for kind in (BatchEndorsement, OperatorConsent)
}
M = TypeVar("M", BatchEndorsement, OperatorConsent)


@dataclass(frozen=True, slots=True)
class Act:
    """A message for one contract on one chain; `signer` and `signature` are empty until signed."""

    message: InstitutionMessage
    chain_id: int
    contract: str
    signer: str = ""
    signature: bytes = b""

    def signed(self, key: bytes) -> Act:
        """The same act with the signature (r, s, v) of a 32-byte private key."""
        digest = signing_digest(self.message, self.chain_id, self.contract)
        return replace(self, signer=address_of_key(key), signature=signature_of(key, digest))

    def message_as(self, kind: type[M]) -> M:
        """The message; raises `MalformedAct` where it is of another kind."""
        if not isinstance(self.message, kind):
            raise MalformedAct(
                problem=f"is a {type(self.message).__name__}, expected a {kind.__name__}"
            )
        return self.message

    def require_for(self, chain_id: int, contracts: Collection[str]) -> None:
        """Raises `ActMismatch` unless it is for one of these contracts on this chain."""
        if self.chain_id != chain_id or self.contract not in contracts:
            raise ActMismatch(
                problem=f"is for {self.contract} on chain {self.chain_id}, "
                f"not {' or '.join(contracts)} on chain {chain_id}"
            )

    def require_signed(self) -> None:
        """Raises `ActMismatch` for one that still waits for its signature."""
        if not self.signature:
            raise ActMismatch(problem="is not signed")

    def to_json(self) -> str:
        """The file's text; `from_json` reads it back."""
        message = {
            name: "0x" + value.hex() if isinstance(value, bytes) else value
            for name, value in asdict(self.message).items()
        }
        return (
            json.dumps(
                {
                    "format": FORMAT,
                    "type": type(self.message).__name__,
                    "message": message,
                    "chainId": self.chain_id,
                    "contract": self.contract,
                    "signer": self.signer or None,
                    "signature": "0x" + self.signature.hex() if self.signature else None,
                },
                indent=2,
            )
            + "\n"
        )

    @classmethod
    def from_json(cls, text: str | bytes) -> Act:
        """The act of a file's text; raises `MalformedAct`."""
        try:
            found = parse_strict(text)
            if found["format"] != FORMAT:
                raise MalformedAct(problem=f"is not of format {FORMAT}")
            if set(found) != _KEYS:
                raise MalformedAct(problem=f"has not the keys {', '.join(sorted(_KEYS))}")
            if (found["signer"] is None) != (found["signature"] is None):
                raise MalformedAct(problem="has a signer or a signature without the other")
            is_signed = found["signer"] is not None
            return cls(
                _message(_TYPES[found["type"]], found["message"]),
                _whole("chainId", found["chainId"]),
                checksum_address(hex_bytes(found["contract"], 20)),
                checksum_address(hex_bytes(found["signer"], 20)) if is_signed else "",
                hex_bytes(found["signature"]) if is_signed else b"",
            )
        except MalformedAct:
            raise
        except (KeyError, TypeError, AttributeError) as error:
            raise MalformedAct(problem=f"lacks or garbles {error}") from error
        except InputError as error:
            raise MalformedAct(problem=f"cannot be read: {error}") from error


def _message(kind: type[InstitutionMessage], values: Any) -> InstitutionMessage:
    names = [field.name for field in fields(kind)]
    if not isinstance(values, dict) or set(values) != set(names):
        raise MalformedAct(problem=f"has not the members {', '.join(names)}")
    read: dict[str, Any] = {
        name: hex_bytes(value, 32) if name == "root" else _whole(name, value)
        for name, value in values.items()
    }
    return kind(**read)


def _whole(name: str, value: Any) -> int:
    # bool is an int: nothing but a plain integer passes.
    if type(value) is not int or not 0 <= value < 2 ** _BITS.get(name, 64):
        raise MalformedAct(problem=f"has a {name} that is out of range")
    return value
