"""What a patient signed, as one object that can travel: message, signature, and for which contract.

Whoever holds it may relay it; the contract accepts it once, until its deadline.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from typing import Any, TypeVar

from medledger.core.canonical import parse_strict
from medledger.core.hashing import (
    AcceptAuthorisation,
    ClaimAuthorisation,
    DeliveryConfirmation,
    PatientMessage,
    checksum_address,
)
from medledger.errors import InputError, MalformedAuthorisation

FORMAT = "medledger-authorisation-1"
_TYPES: dict[str, type[PatientMessage]] = {
    kind.__name__: kind for kind in (ClaimAuthorisation, AcceptAuthorisation, DeliveryConfirmation)
}
M = TypeVar("M", ClaimAuthorisation, AcceptAuthorisation, DeliveryConfirmation)


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
                    "message": asdict(self.message),
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
            return cls(
                _message(_TYPES[found["type"]], found["message"]),
                bytes.fromhex(found["signature"].removeprefix("0x")),
                int(found["chainId"]),
                checksum_address(bytes.fromhex(found["contract"].removeprefix("0x"))),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise MalformedAuthorisation(problem=f"lacks or garbles {error}") from error
        except InputError as error:
            raise MalformedAuthorisation(problem=f"cannot be read: {error}") from error


def _message(kind: type[PatientMessage], values: Any) -> PatientMessage:
    names = {field.name for field in fields(kind)}
    if set(values) != names or any(type(value) is not int for value in values.values()):
        raise MalformedAuthorisation(problem=f"has not the whole numbers {sorted(names)}")
    return kind(**values)
