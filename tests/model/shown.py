"""Acts as people read them."""

from __future__ import annotations

from typing import Any

from tests.model.rules import NOT_SIGNED, Signed
from tests.model.rules_documents import Proof, Root
from tests.model.world import Act, World

from medledger.core.numbers import format_number
from medledger.core.states import Kind


def shown_act(world: World, act: Act) -> str:
    """`hospital 3 (1): Invoices.hold(1, 46060126-0000000001)`."""
    parts = act.parts or act.arguments
    inner = ", ".join(shown(world, value) for value in parts)
    return f"{shown_account(world, act.by)}: {act.name}({inner})"


def shown(world: World, value: Any) -> str:
    match value:
        case Act():
            return shown_act(world, value)
        case Proof(header=header, head=head, path=path):
            said = ", ".join(f"{name}={shown(world, item)}" for name, item in _fields(header))
            return f"{type(header).__name__}({said}), {_values(head)}, path of {len(path)}"
        case Root(headers=headers):
            return f"root of [{'; '.join(', '.join(_texts(world, one)) for one in headers)}]"
        case Signed():
            if value is NOT_SIGNED:
                return "no signature"
            where = next(
                (n for n, at in world.addresses.items() if at == value.contract), "nowhere"
            )
            by = shown_account(world, value.signer)
            return f"{_values(value.message)} signed by {by} for {where} on {value.chain_id}"
        case bytes():
            return "0x" + value.hex()[:8]
        case str() if value.startswith("0x"):
            return shown_account(world, value)
        case bool():
            return str(value)
        case int() if value >= 10**10 and value < 10**18:
            return format_number(value)
        case int():
            return str(int(value))
        case _:
            return str(value)


def shown_account(world: World, address: str) -> str:
    """Whose key it is, and the first digits of its address."""
    operator = world.institutions.operators.get(address)
    if operator is None:
        return address[:8]
    kinds = Kind(world.institutions.institutions[operator.institution].kinds)
    names = "+".join(kind.name.lower() for kind in kinds if kind.name)
    return f"{names} {operator.institution} {address[:8]}"


def _fields(value: Any) -> list[tuple[str, Any]]:
    return [(name, getattr(value, name)) for name in value.__slots__]


def _texts(world: World, value: Any) -> list[str]:
    return [shown(world, item) for _, item in _fields(value)]


def _values(value: Any) -> str:
    said = ", ".join(f"{name}={item}" for name, item in _fields(value) if type(item) is not bytes)
    return f"{type(value).__name__}({said})"
