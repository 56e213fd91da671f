"""Strict JSON in, canonical JSON out.

What is hashed must mean one thing, so text is refused here that two readers could
read differently: duplicate keys, NaN, lone surrogates, text that is not in Unicode
normal form C, a byte-order mark, and nesting or size without bound.

>>> canonical({"b": 1, "a": "x"})
b'{"a":"x","b":1}'
>>> parse_strict('{"amount": 12.50}')
{'amount': Decimal('12.50')}
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from itertools import accumulate
from typing import Any, NoReturn, TypeAlias

import orjson

from medledger.errors import (
    DuplicateKey,
    MalformedJson,
    NotNormalForm,
    UnsealableValue,
)

Json: TypeAlias = "bool | int | str | Sequence[Json] | Mapping[str, Json] | None"

MAX_DEPTH = 64
MAX_BYTES = 8 * 1024 * 1024
MAX_VALUE_BYTES = 1024 * 1024
"""Of one sealed field: evidence with several of them can still be read back."""
MAX_INTEGER = 2**53 - 1
"""The largest integer that every JSON reader takes exactly (RFC 8259, section 6)."""

PAIR_END = b"\n"
"""Ends each pair but the last; canonical JSON has no such byte."""

_OPTIONS = orjson.OPT_SORT_KEYS | orjson.OPT_STRICT_INTEGER


def canonical(value: Json) -> bytes:
    """The RFC 8785 bytes of a value made of objects, arrays, strings, integers, booleans, null.

    Object keys must be ASCII, for which RFC 8785's order of UTF-16 units is byte order.

    Raises `UnsealableValue` for floats, keys that are not ASCII text, integers beyond
    2**53 - 1 and unpaired surrogates, `NotNormalForm` for text that is not in NFC.
    """
    _check(value, 0)
    text = _dumped(value)
    _check_text(text, len(text), value)
    return text


def canonical_pairs(fields: Mapping[str, Json]) -> tuple[tuple[str, ...], bytes]:
    """The names in order, and a line with the canonical bytes of `[name, value]` for each.

    Lines end where canonical JSON has no line end of its own. The same bytes and errors as
    `canonical` for each pair, in a third of its time: what many values can share is checked once.
    """
    # A name stands in its pair as text, not as an object key.
    parts = [*fields, *fields.values()]
    _check(parts, 0)
    names = tuple(sorted(fields))
    try:
        pairs = [orjson.dumps([name, fields[name]], option=_OPTIONS) for name in names]
    except orjson.JSONEncodeError as error:
        raise UnsealableValue(reason=_why(str(error))) from error
    longest = max(map(len, pairs), default=0)
    # Joined at once: orjson's own objects are large until then, and costly to keep.
    text = PAIR_END.join(pairs)
    _check_text(text, longest, parts)
    return names, text


def _dumped(value: Json) -> bytes:
    try:
        return orjson.dumps(value, option=_OPTIONS)
    except orjson.JSONEncodeError as error:
        raise UnsealableValue(reason=_why(str(error))) from error


def _why(orjson_says: str) -> str:
    # All else that it refuses has been refused before.
    if "range" in orjson_says:
        return "the integer is beyond 2**53 - 1"
    if "key" in orjson_says:
        return "an object key is not ASCII text"
    return "the text has an unpaired surrogate"


def _check_text(text: bytes, longest: int, value: Any) -> None:
    """Length and normal form of the canonical JSON of a value."""
    if longest > MAX_VALUE_BYTES:
        raise UnsealableValue(reason=f"the value is longer than {MAX_VALUE_BYTES} bytes")
    # Of the whole at once: a quote stands between any two strings, and nothing composes with it.
    # Not so with the n of an escaped line end, so what fails is looked at string by string.
    if not text.isascii() and not unicodedata.is_normalized("NFC", text.decode()):
        _check_normal_form(value)


def _check_normal_form(value: Any) -> None:
    if isinstance(value, str):
        if not unicodedata.is_normalized("NFC", value):
            raise NotNormalForm(text_length=len(value))
    elif isinstance(value, dict | list | tuple):
        for inner in value.values() if isinstance(value, dict) else value:
            _check_normal_form(inner)


_LEAVES = frozenset((str, int, bool, type(None)))


def _check(value: Any, depth: int) -> None:
    """What orjson would take and RFC 8785 would not: floats, keys beyond ASCII, depth."""
    kind = type(value)
    if kind is dict or kind is list or kind is tuple:
        if depth >= MAX_DEPTH:
            raise UnsealableValue(reason=f"the value is nested deeper than {MAX_DEPTH}")
        if kind is dict:
            _check_keys(value)
            value = value.values()
        # Mostly it holds nothing that nests: then one call says so.
        if not _LEAVES.issuperset(map(type, value)):
            for inner in value:
                if type(inner) not in _LEAVES:
                    _check(inner, depth + 1)
    elif kind not in _LEAVES:
        raise UnsealableValue(reason=f"a {kind.__name__} cannot be sealed")


def _check_keys(value: Mapping[Any, Any]) -> None:
    try:
        plain = "".join(value).isascii()
    except TypeError:
        plain = False
    if not plain:
        raise UnsealableValue(reason="an object key is not ASCII text")


def parse_strict(text: str | bytes) -> Any:
    """The JSON value of `text`; numbers with a fraction or exponent become `Decimal`.

    Raises `DuplicateKey`, `NotNormalForm`, or `MalformedJson` with the reason.
    """
    if len(text) > MAX_BYTES:
        raise MalformedJson(reason=f"longer than {MAX_BYTES} bytes")
    sound, value = _parse_sound(text)
    return value if sound else _parse_slowly(text)


def _parse_sound(text: str | bytes) -> tuple[bool, Any]:
    """(True, the value) in a third of the time, or (False, None) where something may be wrong."""
    try:
        read = text.encode() if isinstance(text, str) else text
        value = orjson.loads(read)
        written = orjson.dumps(value)
    except (UnicodeEncodeError, orjson.JSONDecodeError, orjson.JSONEncodeError):
        return False, None
    # Of two equal keys one is lost, and its two quotes with it.
    is_sound = (
        _quotes(written) == _quotes(read)
        and (written.isascii() or unicodedata.is_normalized("NFC", written.decode()))
        and _is_plain(value, 0)
    )
    return is_sound, value


def _quotes(text: bytes) -> int:
    """How many quotes begin or end a string in sound JSON.

    Of strings that end in a backslash fewer are counted, never more in what orjson writes than in
    what it read.
    """
    return text.count(b'"') - text.count(rb"\"")


def _is_plain(value: Any, depth: int) -> bool:
    """Whether it holds no fraction, for which orjson has no `Decimal`, and does not nest deeply."""
    kind = type(value)
    if kind is dict:
        value = value.values()
    elif kind is not list:
        return kind in _LEAVES
    if _LEAVES.issuperset(map(type, value)):
        return depth < MAX_DEPTH
    for inner in value:
        if type(inner) not in _LEAVES and not _is_plain(inner, depth + 1):
            return False
    return depth < MAX_DEPTH


def _parse_slowly(text: str | bytes) -> Any:
    """What is wrong, by name; or what only the standard library can read."""
    if isinstance(text, bytes):
        try:
            text = text.decode("utf-8")
        except UnicodeDecodeError as error:
            raise MalformedJson(reason=f"not UTF-8 at byte {error.start}") from error
    if text.startswith("\ufeff"):
        raise MalformedJson(reason="starts with a byte-order mark")
    _check_brackets(text)
    try:
        value = json.loads(
            text,
            object_pairs_hook=_unique_keys,
            parse_float=_decimal,
            parse_constant=_refuse_constant,
        )
    except json.JSONDecodeError as error:
        raise MalformedJson(reason=f"{error.msg} at character {error.pos}") from error
    except RecursionError as error:
        raise MalformedJson(reason="nested too deeply") from error
    except ValueError as error:
        # CPython refuses to convert integers of more than 4,300 digits.
        raise MalformedJson(reason="a number has too many digits") from error
    _check_parsed(value, 0, plain=text.isascii() and "\\u" not in text)
    return value


_STRING = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"?', re.DOTALL)
_STEP = {"[": 1, "{": 1, "]": -1, "}": -1}
_FEW_BRACKETS = 1000


def _check_brackets(text: str) -> None:
    """Raises `MalformedJson` for many brackets that nest too deeply.

    Before `json` calls itself for each: where a library has raised the limit of recursion, as some
    of Ethereum's do, it would overrun the stack and end the process. A few it can bear.
    """
    if text.count("[") + text.count("{") > _FEW_BRACKETS:
        brackets = re.sub(r"[^\[\]{}]+", "", _STRING.sub("", text))
        if max(accumulate(map(_STEP.__getitem__, brackets)), default=0) > MAX_DEPTH:
            raise MalformedJson(reason=f"nested deeper than {MAX_DEPTH}")


def _check_parsed(value: Any, depth: int, *, plain: bool) -> None:
    """Depth, and unless the text is `plain` ASCII without escapes, every string."""
    if isinstance(value, str):
        if not plain and not value.isascii():
            if any("\ud800" <= char <= "\udfff" for char in value):
                raise MalformedJson(reason="an unpaired surrogate")
            if not unicodedata.is_normalized("NFC", value):
                raise NotNormalForm(text_length=len(value))
    elif isinstance(value, dict | list):
        if depth >= MAX_DEPTH:
            raise MalformedJson(reason=f"nested deeper than {MAX_DEPTH}")
        if isinstance(value, dict):
            for key, inner in value.items():
                _check_parsed(key, depth, plain=plain)
                _check_parsed(inner, depth + 1, plain=plain)
        else:
            for inner in value:
                _check_parsed(inner, depth + 1, plain=plain)


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise DuplicateKey(key=key)
            seen.add(key)
    return found


def _decimal(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation as error:
        raise MalformedJson(reason="a number has too large an exponent") from error


def _refuse_constant(name: str) -> NoReturn:
    raise MalformedJson(reason=f"{name} is not JSON")
