"""What a patient signed, as one object that can travel: message, signature, and for which contract.

Whoever holds it may relay it; the contract accepts it once, until its deadline.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass, fields
from typing import Any, TypeVar

from pydantic.alias_generators import to_camel

from medledger.core.canonical import parse_strict
from medledger.core.hashing import (
    AcceptAuthorisation,
    AccessGrant,
    AccessRevocation,
    BillPayment,
    ClaimAuthorisation,
    ClaimWithdrawal,
    DeliveryConfirmation,
    PatientMessage,
    PayerWaiver,
    PaymentConfirmation,
    checksum_address,
)
from medledger.errors import InputError, MalformedAuthorisation

FORMAT = "medledger-authorisation-1"
_KEYS = {"format", "type", "message", "signature", "chainId", "contract"}
_BITS = {
    "payer": 32,
    "afterPayer": 32,
    "pharmacy": 32,
    "institution": 32,
    "purpose": 8,
    "reason": 16,
}
"""Bits of the whole numbers that have not 64."""
_LINES = 5
_TYPES: dict[str, type[PatientMessage]] = {
    kind.__name__: kind
    for kind in (
        ClaimAuthorisation,
        ClaimWithdrawal,
        PayerWaiver,
        PaymentConfirmation,
        BillPayment,
        AcceptAuthorisation,
        DeliveryConfirmation,
        AccessGrant,
        AccessRevocation,
    )
}
M = TypeVar("M", bound=PatientMessage)


@dataclass(frozen=True, slots=True)
class Signed:
    """A patient's signed message for one contract on one chain; the signature is r, s, v."""

    message: PatientMessage
    signature: bytes
    chain_id: int
    contract: str

    def message_as(self, kind: type[M]) -> M:
        """The message; raises `MalformedAuthorisation` where it is of another kind."""
        if not isinstance(self.message, kind):
            raise MalformedAuthorisation(
                problem=f"is a {type(self.message).__name__}, expected a {kind.__name__}"
            )
        return self.message

    def to_json(self) -> str:
        """The file's text; `from_json` reads it back."""
        return (
            json.dumps(
                {
                    "format": FORMAT,
                    "type": type(self.message).__name__,
                    "message": {
                        to_camel(name): "0x" + value.hex() if isinstance(value, bytes) else value
                        for name, value in asdict(self.message).items()
                    },
                    "signature": "0x" + self.signature.hex(),
                    "chainId": self.chain_id,
                    "contract": self.contract,
                },
                indent=2,
            )
            + "\n"
        )

    @classmethod
    def from_json(cls, text: str | bytes) -> Signed:
        """The signed message of a file's text; raises `MalformedAuthorisation`."""
        try:
            found = parse_strict(text)
            if found["format"] != FORMAT:
                raise MalformedAuthorisation(problem=f"is not of format {FORMAT}")
            if set(found) != _KEYS:
                raise MalformedAuthorisation(problem=f"has not the keys {', '.join(sorted(_KEYS))}")
            chain_id = found["chainId"]
            if type(chain_id) is not int or chain_id < 0:
                raise MalformedAuthorisation(problem="has a chainId that is no whole number")
            return cls(
                _message(_TYPES[found["type"]], found["message"]),
                hex_bytes(found["signature"]),
                chain_id,
                checksum_address(hex_bytes(found["contract"], 20)),
            )
        except MalformedAuthorisation:
            raise
        except (KeyError, TypeError, AttributeError) as error:
            raise MalformedAuthorisation(problem=f"lacks or garbles {error}") from error
        except InputError as error:
            raise MalformedAuthorisation(problem=f"cannot be read: {error}") from error


def _message(kind: type[PatientMessage], values: Any) -> PatientMessage:
    names = {to_camel(field.name): field.name for field in fields(kind)}
    if not isinstance(values, dict) or set(values) != set(names):
        raise MalformedAuthorisation(problem=f"has not the members {', '.join(names)}")
    return kind(**{names[member]: _value(member, value) for member, value in values.items()})


def _value(name: str, value: Any) -> Any:
    if name == "payee":
        return checksum_address(hex_bytes(value, 20))
    if name == "payment":
        return hex_bytes(value, 32)
    if name == "quantities":
        fits = type(value) is list and len(value) == _LINES and all(_fits(q, 16) for q in value)
    elif name == "fixedBenefit":
        fits = type(value) is bool
    else:
        fits = _fits(value, _BITS.get(name, 64))
    if not fits:
        raise MalformedAuthorisation(problem=f"has a {name} that is out of range")
    return tuple(value) if name == "quantities" else value


def _fits(value: Any, bits: int) -> bool:
    # bool is an int, and eth-account takes "1" for 1: nothing but a plain integer passes.
    return type(value) is int and 0 <= value < 2**bits


def hex_bytes(text: str, length: int | None = None) -> bytes:
    """Bytes of 0x and hexadecimal digits. A contract wallet's signature has any length."""
    if not re.fullmatch("0x(?:[0-9a-fA-F]{2})+", text) or length not in (None, len(text) // 2 - 1):
        raise MalformedAuthorisation(problem="has bytes not in hexadecimal, or not enough")
    return bytes.fromhex(text[2:])
