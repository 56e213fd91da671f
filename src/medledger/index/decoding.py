"""What stands where in an event's words: compiled once an event, from its ABI.

The words of an event are its topics, then its data. An argument of fixed size is a slice of them,
which is some twenty times as fast as a general decoder.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache, lru_cache
from typing import Any

from medledger.chain import abi
from medledger.chain.abi import WORD, EventAbi
from medledger.core.hashing import checksum_address

Reader = Callable[[bytes], Any]

KEYED: dict[str, tuple[str, ...]] = {
    "number": ("number", "first"),
    "other_number": ("redLetter", "amendment"),
    "institution": ("institution", "payer", "pharmacy", "courier", "receiver"),
    "segment": ("segment",),
}
"""Column of the index to the names of arguments that fill it, the first that an event has."""


class Layout:
    """One event: how to read its columns and its arguments from its words."""

    def __init__(self, event: EventAbi) -> None:
        self.name = event.name
        self._event = event
        self._topics = 1 + sum(is_indexed for _, _, is_indexed in event.arguments)
        self._readers = self._compile()
        named = {name: read for name, read in self._readers if read is not None}
        parties = [name for name in KEYED["institution"] if name in named]
        found = {key: [n for n in names if n in named] for key, names in KEYED.items()}
        found["other_institution"] = parties[1:]
        order = ("number", "other_number", "institution", "other_institution", "segment")
        self._keys = [named[found[key][0]] if found[key] else _nothing for key in order]

    def fits(self, topics: int, words: bytes) -> bool:
        """Whether there are as many topics and words as the event has at least."""
        return topics == self._topics and len(words) >= self._least

    def keys(self, words: bytes) -> tuple[int | None, ...]:
        """Number, other number, institution, other institution and segment; None for none."""
        return tuple(read(words) for read in self._keys)

    def arguments(self, words: bytes) -> dict[str, Any]:
        """The arguments by their Solidity names, addresses in EIP-55 form."""
        if any(read is None for _, read in self._readers):
            split = self._topics * WORD
            topics = ["0x" + words[at : at + WORD].hex() for at in range(0, split, WORD)]
            return self._event.decode(topics, "0x" + words[split:].hex())
        return {name: read(words) for name, read in self._readers if read is not None}

    def _compile(self) -> list[tuple[str, Reader | None]]:
        topic, head = WORD, self._topics * WORD
        base = head
        readers: list[tuple[str, Reader | None]] = []
        for name, kind, is_indexed in self._event.arguments:
            if is_indexed:
                readers.append((name, _reader(kind, topic, base)))
                topic += WORD
            else:
                readers.append((name, _reader(kind, head, base)))
                head += WORD * _size(kind)
        self._least = head
        return readers


@cache
def layouts() -> dict[bytes, Layout]:
    """All events of all contracts by their first topic."""
    return {bytes.fromhex(topic[2:]): Layout(event) for topic, event in abi.events().items()}


def _reader(kind: str, at: int, base: int) -> Reader | None:
    """None for a type that only the general decoder reads."""
    end = at + WORD
    if re.fullmatch(r"uint\d+", kind):
        return lambda words: int.from_bytes(words[at:end])
    if re.fullmatch(r"int\d+", kind):
        return lambda words: int.from_bytes(words[at:end], signed=True)
    if kind == "bool":
        return lambda words: words[end - 1] != 0
    if kind == "address":
        return lambda words: _address(words[at + 12 : end])
    if sized := re.fullmatch(r"bytes(\d+)", kind):
        last = at + int(sized[1])
        return lambda words: words[at:last]
    if re.fullmatch(r"uint\d+\[\]", kind):
        return lambda words: _integers(words, base + int.from_bytes(words[at:end]))
    return None


def _size(kind: str) -> int:
    """Words that a type takes in the head; what grows has one, its offset."""
    if re.search(r"\[\]|string|bytes(?!\d)", kind):
        return 1
    if sized := re.fullmatch(r"(.+)\[(\d+)\]", kind):
        return int(sized[2]) * _size(sized[1])
    # A struct has a word for each member, however they nest.
    return kind.count(",") + 1


def _integers(words: bytes, at: int) -> tuple[int, ...]:
    first = at + WORD
    end = first + WORD * int.from_bytes(words[at:first])
    return tuple(int.from_bytes(words[i : i + WORD]) for i in range(first, end, WORD))


@lru_cache(maxsize=4096)
def _address(raw: bytes) -> str:
    return str(checksum_address(raw))


def _nothing(_: bytes) -> None:
    return None
