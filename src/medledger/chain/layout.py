"""Where a contract keeps what: storage slots by the names of variables and keys, and their values.

    for place in places("Invoices", [{"number": number}]): ...
    cells(place, read)        # (path, slot, decode) of each value in it

All of it is the compiler's own storage layout, which the artifacts hold: no slot is named here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from medledger.chain import abi
from medledger.core import states
from medledger.core.hashing import address_bytes, checksum_address, keccak256, word

Key = int | str
Read = Callable[[int], int]
"""Slot to what it holds."""
LENGTH = "length"
"""The type of a growing array's length, which the compiler does not list."""


@dataclass(frozen=True, slots=True)
class Place:
    """A variable, or one entry of a mapping: where it begins and of which type it is."""

    contract: str
    path: str
    slot: int
    offset: int
    type: str


@dataclass(frozen=True, slots=True)
class Cell:
    """One value that is no struct and no array."""

    path: str
    slot: int
    offset: int
    type: str
    contract: str

    def value(self, held: int) -> Any:
        """The value in what its slot holds; enumerations by their names."""
        kind = _types(self.contract)[self.type]
        size = int(kind["numberOfBytes"])
        raw = held >> 8 * self.offset & 256**size - 1
        name = kind["label"]
        if name == "bool":
            return bool(raw)
        if name == "address" or name.startswith("contract "):
            return checksum_address(raw.to_bytes(20))
        if re.fullmatch(r"bytes\d+", name):
            return raw.to_bytes(size)
        if name.startswith("enum "):
            named = getattr(states, name.rpartition(".")[2], None)
            return raw if named is None else named(raw)
        return raw - 256**size if name.startswith("int") and raw >> 8 * size - 1 else raw


def places(contract: str, known: Sequence[Mapping[str, Key]]) -> list[Place]:
    """Every variable of a contract, and of its mappings each entry whose keys are all known.

    `known` are sets of names of keys with values that belong together. Texts are left out: they
    are of no document.
    """
    found: dict[Place, None] = {}
    for variable in _layout(contract)["variables"]:
        names, base = variable["keys"], int(variable["slot"])
        if not names:
            place = Place(contract, variable["label"], base, variable["offset"], variable["type"])
            if _types(contract)[variable["type"]]["encoding"] == "inplace":
                found[place] = None
            continue
        for keys in known:
            if all(name in keys for name in names):
                found[_entry(contract, variable, [keys[name] for name in names])] = None
    return list(found)


def cells(place: Place, read: Read) -> Iterator[Cell]:
    """The values at a place, and the lengths of its arrays; `read` is asked for these alone."""
    kind = _types(place.contract)[place.type]
    if members := kind.get("members"):
        for member in members:
            path = f"{place.path}.{member['label']}"
            slot = place.slot + int(member["slot"])
            inner = Place(place.contract, path, slot, member["offset"], member["type"])
            yield from cells(inner, read)
    elif kind["encoding"] == "dynamic_array":
        yield Cell(f"{place.path}.length", place.slot, 0, LENGTH, place.contract)
        first = int.from_bytes(keccak256(word(place.slot)))
        yield from _items(place, kind["base"], first, read(place.slot), read)
    elif "base" in kind:
        count = re.fullmatch(r".*\[(\d+)\]", kind["label"])
        assert count is not None
        yield from _items(place, kind["base"], place.slot, int(count[1]), read)
    else:
        yield Cell(place.path, place.slot, place.offset, place.type, place.contract)


def _items(place: Place, base: str, first: int, count: int, read: Read) -> Iterator[Cell]:
    """The items of an array: several to a slot where they are small, none across two."""
    size = int(_types(place.contract)[base]["numberOfBytes"])
    in_slot = max(32 // size, 1)
    slots = -(-size // 32)
    for at in range(count):
        slot = first + (at // in_slot) * slots
        path = f"{place.path}[{at}]"
        yield from cells(Place(place.contract, path, slot, at % in_slot * size, base), read)


def _entry(contract: str, variable: Mapping[str, Any], keys: Sequence[Key]) -> Place:
    slot, kind = int(variable["slot"]), variable["type"]
    for key in keys:
        raw = address_bytes(key).rjust(32, b"\0") if isinstance(key, str) else word(key)
        slot = int.from_bytes(keccak256(raw + word(slot)))
        kind = _types(contract)[kind]["value"]
    path = variable["label"] + "".join(f"[{key}]" for key in keys)
    return Place(contract, path, slot, 0, kind)


@cache
def _types(contract: str) -> Mapping[str, Any]:
    length = {"label": "uint256", "numberOfBytes": "32", "encoding": "inplace"}
    return {**_layout(contract)["types"], LENGTH: length}


def _layout(contract: str) -> Mapping[str, Any]:
    layout: Mapping[str, Any] = abi.artifact(contract)["storageLayout"]
    return layout
