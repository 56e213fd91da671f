"""Strict JSON in, canonical JSON out."""

from __future__ import annotations

import json
import subprocess
import sys
import unicodedata
from collections import OrderedDict
from contextlib import suppress
from decimal import Decimal
from enum import IntEnum
from textwrap import dedent
from typing import Any

import pytest
import rfc8785
from hypothesis import example, given
from hypothesis import strategies as st
from tests.core.samples import nfc_text

from medledger.core.canonical import (
    MAX_BYTES,
    MAX_DEPTH,
    MAX_INTEGER,
    MAX_VALUE_BYTES,
    PAIR_END,
    canonical,
    canonical_pairs,
    parse_strict,
)
from medledger.errors import (
    DuplicateKey,
    InputError,
    MalformedJson,
    NotNormalForm,
    UnsealableValue,
)

COMPOSED = "café"
DECOMPOSED = unicodedata.normalize("NFD", COMPOSED)
LONE = "\ud800"

integers = st.integers(min_value=-MAX_INTEGER, max_value=MAX_INTEGER)
keys = st.text(st.characters(max_codepoint=127))
json_values = st.recursive(
    st.none() | st.booleans() | integers | nfc_text,
    lambda inner: st.lists(inner) | st.dictionaries(keys, inner),
    max_leaves=30,
)


def nested(depth: int, opening: str = "[", closing: str = "]") -> str:
    return opening * depth + closing * depth


def nested_list(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth - 1):
        value = [value]
    return value


# canonical


@given(json_values)
@example({'\x00\x08\t\n\x0b\x0c\r\x1f\x7f"\\/': '\x00\x08\t\n\x0b\x0c\r\x1f\x7f\x80"\\/'})
@example({"z": 1, "Z": 2, "": 3, "a": [MAX_INTEGER, -MAX_INTEGER, 0, True, None]})
@example("\u2028\u2029\ufeff\U0001f600\uffff")
def test_canonical__any_value__is_rfc_8785(value: Any) -> None:
    found = canonical(value)

    assert found == rfc8785.dumps(value)


@given(json_values)
@example("\n\u0301")
@example({"remark": "a\t\u030c"})
def test_parse_strict__canonical_bytes__is_the_value_again(value: Any) -> None:
    text = canonical(value)

    found = parse_strict(text)

    assert found == value
    assert canonical(found) == text


@given(st.dictionaries(keys, integers), st.randoms())
def test_canonical__keys_in_another_order__same_bytes(value: dict[str, int], random: Any) -> None:
    names = list(value)
    random.shuffle(names)

    found = canonical({name: value[name] for name in names})

    assert found == canonical(value)


def test_canonical__a_tuple__is_an_array() -> None:
    assert canonical((1, ("a",))) == b'[1,["a"]]'


class Colour(IntEnum):
    RED = 1


class Name(str):
    """Text by another name."""


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (1.0, "a float cannot be sealed"),
        (float("nan"), "a float cannot be sealed"),
        (Decimal("25.00"), "a Decimal cannot be sealed"),
        (b"bytes", "a bytes cannot be sealed"),
        ({1, 2}, "a set cannot be sealed"),
        (OrderedDict(a=1), "a OrderedDict cannot be sealed"),
        (Colour.RED, "a Colour cannot be sealed"),
        (Name("a"), "a Name cannot be sealed"),
        (2**53, "the integer is beyond 2**53 - 1"),
        (-(2**53), "the integer is beyond 2**53 - 1"),
        (10**5000, "the integer is beyond 2**53 - 1"),
        ({"名": 1}, "an object key is not ASCII text"),
        ({1: 1}, "an object key is not ASCII text"),
        ({None: 1}, "an object key is not ASCII text"),
        (LONE, "the text has an unpaired surrogate"),
        ("\udc00\ud800", "the text has an unpaired surrogate"),
        (nested_list(MAX_DEPTH + 1), f"the value is nested deeper than {MAX_DEPTH}"),
    ],
    ids=lambda case: type(case).__name__ if not isinstance(case, str) else "",
)
@pytest.mark.parametrize("wrap", [lambda v: v, lambda v: [v], lambda v: {"a": v}])
def test_canonical__a_value_json_cannot_hold_exactly__unsealable(
    value: Any, reason: str, wrap: Any
) -> None:
    with pytest.raises(UnsealableValue) as caught:
        canonical(wrap(value))

    assert caught.value.reason == reason


def test_canonical__a_list_that_holds_itself__unsealable() -> None:
    endless: list[Any] = []
    endless.append(endless)

    with pytest.raises(UnsealableValue) as caught:
        canonical(endless)

    assert caught.value.reason == f"the value is nested deeper than {MAX_DEPTH}"


@pytest.mark.parametrize("value", [DECOMPOSED, [DECOMPOSED], {"a": DECOMPOSED}])
def test_canonical__text_in_normal_form_d__not_normal_form(value: Any) -> None:
    with pytest.raises(NotNormalForm) as caught:
        canonical(value)

    assert caught.value.text_length == 5
    assert DECOMPOSED not in str(caught.value)


def test_canonical__the_greatest_depth__is_taken() -> None:
    assert canonical(nested_list(MAX_DEPTH)) == nested(MAX_DEPTH).encode()


@given(nfc_text, nfc_text)
def test_canonical__a_decomposed_letter_anywhere__not_normal_form(before: str, after: str) -> None:
    text = before + DECOMPOSED + after

    with pytest.raises(NotNormalForm) as caught:
        canonical(text)

    assert caught.value.text_length == len(text)


@pytest.mark.parametrize("control", ["\n", "\t", "\r", "\b", "\f", "\x00", "\x1f"])
@pytest.mark.parametrize("mark", ["\u0301", "\u030c", "\u0307", "\u0338", "\u3099"])
def test_canonical__a_combining_mark_after_an_escaped_character__is_taken(
    control: str, mark: str
) -> None:
    """The last letter of the escape would compose with the mark, and is none of the text's."""
    text = f"药{control}{mark}"

    found = canonical([text, {"a": text}])

    assert found == rfc8785.dumps([text, {"a": text}])


@given(nfc_text, st.sampled_from("\n\t\r\b\f\x00"), nfc_text)
@example("", "\n", "\u0301")
def test_canonical__a_decomposed_letter_beside_an_escaped_character__not_normal_form(
    before: str, control: str, after: str
) -> None:
    text = before + control + DECOMPOSED + control + after

    with pytest.raises(NotNormalForm) as caught:
        canonical({"plain": before, "mixed": [text]})

    assert caught.value.text_length == len(text)


@pytest.mark.parametrize("letter", ["<", "=", ">", "A", "n", "가"])
def test_canonical__a_mark_at_the_start_of_a_string__does_not_join_the_string_before(
    letter: str,
) -> None:
    """Only a quote stands between two strings, and nothing composes with a quote."""
    value = [letter, "\u0338", letter, "\u0301", letter, "\u11a8", {"a": letter, "b": "\u0338"}]

    assert canonical(value) == rfc8785.dumps(value)


def test_canonical__the_greatest_length__is_taken_and_one_more_byte_unsealable() -> None:
    longest = "a" * (MAX_VALUE_BYTES - 2)

    assert len(canonical(longest)) == MAX_VALUE_BYTES
    with pytest.raises(UnsealableValue) as caught:
        canonical(longest + "a")
    assert caught.value.reason == f"the value is longer than {MAX_VALUE_BYTES} bytes"


# canonical_pairs


any_text = st.text(st.characters(exclude_categories=[]))
"""With surrogates, and in no normal form."""
any_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**54), 2**54)
    | st.floats()
    | st.text(st.sampled_from('e\u0301\u0338\n\t\x00<"\\é药\ud800'), max_size=4)
    | any_text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(any_text, inner, max_size=3),
    max_leaves=6,
)


def refusal(make: Any) -> tuple[str, Any] | None:
    """Name and values of the error; None where there is none."""
    try:
        make()
    except InputError as error:
        return error.name, error.values
    return None


@given(st.dictionaries(nfc_text, json_values, max_size=8))
@example({"Remark": "\n\u0301", "Note": "a\t\u030c", "b": "\u0338", "名": 1})
@example({"\n\u0301": 1, "\n": "<", "\u0338": None})
@example({})
def test_canonical_pairs__any_fields__are_the_canonical_bytes_of_each_pair(
    fields: dict[str, Any],
) -> None:
    names, text = canonical_pairs(fields)

    assert names == tuple(sorted(fields))
    assert text == PAIR_END.join(canonical([name, fields[name]]) for name in names)
    assert text.count(PAIR_END) == max(len(names) - 1, 0)


@given(any_text, any_values)
@example("a", nested_list(MAX_DEPTH - 1))
@example("a", nested_list(MAX_DEPTH))
@example("a", "a" * (MAX_VALUE_BYTES - 6))
@example("a", "a" * (MAX_VALUE_BYTES - 5))
@example("\ud800", 1)
@example("e\u0301", 1)
@example("\n", "\u0301")
@example("n", "\n\u0301e\u0301")
def test_canonical_pairs__any_name_and_value__the_error_of_canonical_or_none(
    name: str, value: Any
) -> None:
    expected = refusal(lambda: canonical([name, value]))

    found = refusal(lambda: canonical_pairs({"A": "药", name: value, "z": 1}))

    assert found == expected


@pytest.mark.parametrize(
    "value",
    [
        1.0,
        Decimal(1),
        b"",
        {1},
        OrderedDict(a=1),
        Colour.RED,
        Name("a"),
        2**53,
        10**5000,
        LONE,
        {"名": 1},
        {1: 1},
        {None: 1},
        {LONE: 1},
        {Name("a"): 1},
    ],
    ids=lambda value: type(value).__name__,
)
@pytest.mark.parametrize("wrap", [lambda v: v, lambda v: [v], lambda v: {"a": v}])
def test_canonical_pairs__a_value_json_cannot_hold_exactly__the_error_of_canonical(
    value: Any, wrap: Any
) -> None:
    expected = refusal(lambda: canonical(["a", wrap(value)]))

    found = refusal(lambda: canonical_pairs({"a": wrap(value)}))

    assert found is not None
    assert found == expected


# parse_strict


def test_parse_strict__numbers__integers_stay_and_fractions_are_exact() -> None:
    found = parse_strict('{"amount": 12.50, "n": 9007199254740993, "e": 1e2, "minus": -0}')

    assert found == {"amount": Decimal("12.50"), "n": 2**53 + 1, "e": Decimal(100), "minus": 0}
    assert str(found["amount"]) == "12.50"
    assert type(found["n"]) is int


def test_parse_strict__an_integer_of_2_to_the_53__canonical_refuses_it() -> None:
    value = parse_strict("[9007199254740992]")

    with pytest.raises(UnsealableValue) as caught:
        canonical(value)

    assert caught.value.reason == "the integer is beyond 2**53 - 1"


def test_parse_strict__money_as_a_float__canonical_refuses_it() -> None:
    value = parse_strict('{"ownPayAmount": 25.00}')

    with pytest.raises(UnsealableValue) as caught:
        canonical(value)

    assert caught.value.reason == "a Decimal cannot be sealed"


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ('{"a": 1, "a": 1}', "a"),
        ('{"a": 1, "b": 2, "a": 3}', "a"),
        ('[{"x": {"": 1, "": 2}}]', ""),
        ('{"a": 1, "\\u0061": 2}', "a"),
    ],
)
def test_parse_strict__a_key_twice__duplicate_key(text: str, key: str) -> None:
    with pytest.raises(DuplicateKey) as caught:
        parse_strict(text)

    assert caught.value.key == key


tricky_text = st.text(st.sampled_from('\\"u0022,:{}a药'), max_size=5)


@given(
    st.lists(st.tuples(tricky_text, tricky_text | st.floats(0, 9) | integers), max_size=4),
    st.booleans(),
    st.booleans(),
)
def test_parse_strict__an_object_however_it_is_written__its_pairs_or_duplicate_key(
    pairs: list[tuple[str, Any]], ascii_only: bool, is_within: bool
) -> None:
    written = [
        json.dumps(key, ensure_ascii=ascii_only) + ": " + json.dumps(value, ensure_ascii=False)
        for key, value in pairs
    ]
    text = "{" + ",".join(written) + "}"
    text = f'{{"within": [{text}]}}' if is_within else text

    if len(dict(pairs)) < len(pairs):
        with pytest.raises(DuplicateKey):
            parse_strict(text)
        return
    found = parse_strict(text)

    expected = {
        key: Decimal(repr(value)) if isinstance(value, float) else value for key, value in pairs
    }
    found = found["within"][0] if is_within else found
    assert found == expected
    assert [type(found[key]) for key in expected] == [type(value) for value in expected.values()]


def test_parse_strict__one_key_in_two_objects__is_taken() -> None:
    assert parse_strict('[{"a": 1}, {"a": {"a": 2}}]') == [{"a": 1}, {"a": {"a": 2}}]


@pytest.mark.parametrize("name", ["NaN", "Infinity", "-Infinity"])
@pytest.mark.parametrize("form", ["{}", "[{}]", '{{"a": {}}}'])
def test_parse_strict__not_a_number__malformed(name: str, form: str) -> None:
    with pytest.raises(MalformedJson) as caught:
        parse_strict(form.format(name))

    assert caught.value.reason == f"{name} is not JSON"


@pytest.mark.parametrize(
    "text", ['"\\ud800"', '"\\udc00"', '"a\\udc00\\ud800"', '{"\\ud800": 1}', '[["\\uDBFF"]]']
)
def test_parse_strict__an_escaped_lone_surrogate__malformed(text: str) -> None:
    with pytest.raises(MalformedJson) as caught:
        parse_strict(text)

    assert caught.value.reason == "an unpaired surrogate"


@pytest.mark.parametrize("text", [f'"{LONE}"', f'{{"{LONE}": 1}}', f'["a", "{LONE}b"]'])
def test_parse_strict__a_raw_lone_surrogate__malformed(text: str) -> None:
    with pytest.raises(MalformedJson) as caught:
        parse_strict(text)

    assert caught.value.reason == "an unpaired surrogate"


def test_parse_strict__the_bytes_of_a_lone_surrogate__malformed() -> None:
    with pytest.raises(MalformedJson) as caught:
        parse_strict('"\ud800"'.encode("utf-8", "surrogatepass"))

    assert caught.value.reason == "not UTF-8 at byte 1"


def test_parse_strict__an_escaped_surrogate_pair__is_the_character() -> None:
    assert parse_strict('"\\ud83d\\ude00"') == "\U0001f600"


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        nested(100_000),
        '{"a":' * 100_000,
        '{"a":' * 100_000 + "1" + "}" * 100_000,
        '[{"a":' * 50_000,
    ],
    ids=["brackets", "closed brackets", "braces", "closed braces", "both"],
)
def test_parse_strict__a_depth_bomb__malformed(text: str) -> None:
    with pytest.raises(MalformedJson) as caught:
        parse_strict(text)

    assert "deep" in caught.value.reason


def test_parse_strict__a_depth_bomb_where_recursion_is_not_limited__malformed() -> None:
    """py_ecc raises the limit to 100,000, at which `json` alone would end the process."""
    script = """
        import sys
        from medledger.core.canonical import parse_strict
        from medledger.errors import MalformedJson
        sys.setrecursionlimit(1_000_000)
        for bomb in ("[", '{"a":', '[{"a":', '{"[": [', '["\\\\\\"", {"]": '):
            try:
                parse_strict(bomb * 200_000)
            except MalformedJson as error:
                print(error.reason)
    """

    done = subprocess.run(
        [sys.executable, "-c", dedent(script)], capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [f"nested deeper than {MAX_DEPTH}"] * 5


@pytest.mark.parametrize(
    "value",
    [
        [[]] * 2000,
        [{"a": [{}]}] * 2000,
        ["[" * 5000 + '"' + "{" * 5000 + "\\"] * 2 + [[{"]": '\\"'}]],
        {"{" * 2000: {"[": '"['}},
    ],
    ids=["arrays", "objects", "in strings", "in keys"],
)
def test_parse_strict__many_brackets_that_do_not_nest__are_taken(value: Any) -> None:
    assert parse_strict(json.dumps(value)) == value


@pytest.mark.parametrize("end", ["", '"', "[" * 2000])
def test_parse_strict__a_million_escapes_without_an_end__malformed_in_linear_time(end: str) -> None:
    with pytest.raises(MalformedJson):
        parse_strict("[" * 2000 + "]" * 2000 + '"' + '\\"' * 1_000_000 + end)


@pytest.mark.parametrize("inner", ["", "1", '"\\u0041"'])
def test_parse_strict__nested_deeper_than_can_be_sealed__malformed(inner: str) -> None:
    depth = MAX_DEPTH + 1

    with pytest.raises(MalformedJson) as caught:
        parse_strict("[" * depth + inner + "]" * depth)

    assert caught.value.reason == f"nested deeper than {MAX_DEPTH}"


@pytest.mark.parametrize("inner", ["", "1", '"\\u0041"'])
def test_parse_strict__the_greatest_depth_that_can_be_sealed__is_taken(inner: str) -> None:
    text = "[" * MAX_DEPTH + inner + "]" * MAX_DEPTH

    assert canonical(parse_strict(text)) == text.replace("\\u0041", "A").encode()


@pytest.mark.parametrize("kind", [str, bytes])
def test_parse_strict__fifty_megabytes__malformed_before_it_is_read(kind: type) -> None:
    text = '"' + "a" * 50_000_000 + '"'

    with pytest.raises(MalformedJson) as caught:
        parse_strict(text if kind is str else text.encode())

    assert caught.value.reason == f"longer than {MAX_BYTES} bytes"


def test_parse_strict__the_greatest_size__is_taken() -> None:
    text = '"' + "a" * (MAX_BYTES - 2) + '"'

    assert parse_strict(text.encode()) == text[1:-1]


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(DECOMPOSED, ensure_ascii=False),
        json.dumps(DECOMPOSED),
        json.dumps({DECOMPOSED: 1}),
        json.dumps([{"a": DECOMPOSED}]),
        '"e\\u0301"',
        '"\\u0065\u0301"',
    ],
)
def test_parse_strict__text_in_normal_form_d__not_normal_form(text: str) -> None:
    with pytest.raises(NotNormalForm):
        parse_strict(text)


@pytest.mark.parametrize("text", ['"café"', '"caf\\u00e9"', '"\u0301"', '"\\u0301"', '"药"'])
def test_parse_strict__text_in_normal_form_c__is_taken(text: str) -> None:
    assert parse_strict(text) == json.loads(text)


@pytest.mark.parametrize("escape", ["n\u0301", "t\u030c", "r\u0301", "b\u0307", "f\u0307"])
def test_parse_strict__a_combining_mark_after_an_escape__is_taken(escape: str) -> None:
    """`\\n` and U+0301 are in normal form C, though an n and U+0301 are not."""
    text = f'"\\{escape}"'

    assert parse_strict(text) == json.loads(text)


@pytest.mark.parametrize("text", ["\ufeff{}", "\ufeff{}".encode(), "\ufeff", b"\xef\xbb\xbf[1]"])
def test_parse_strict__a_byte_order_mark__malformed(text: str | bytes) -> None:
    with pytest.raises(MalformedJson) as caught:
        parse_strict(text)

    assert caught.value.reason == "starts with a byte-order mark"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "gb18030"])
def test_parse_strict__another_encoding__malformed(encoding: str) -> None:
    with pytest.raises(MalformedJson) as caught:
        parse_strict('{"name": "患者"}'.encode(encoding))

    assert "not UTF-8 at byte" in caught.value.reason


@pytest.mark.parametrize("digits", [5_000, 1_000_000])
@pytest.mark.parametrize("form", ["{}", "-{}", '{{"a": {}}}'])
def test_parse_strict__a_huge_integer__malformed(digits: int, form: str) -> None:
    with pytest.raises(MalformedJson) as caught:
        parse_strict(form.format("1" * digits))

    assert caught.value.reason == "a number has too many digits"


@pytest.mark.parametrize(
    "text", ["1e9999999999999999999", "-1e9999999999999999999", "[1.5e-9999999999999999999]"]
)
def test_parse_strict__an_exponent_without_bound__malformed(text: str) -> None:
    with pytest.raises(MalformedJson):
        parse_strict(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "{",
        "{'a': 1}",
        '{"a": 1,}',
        "[1,]",
        "// comment\n1",
        "01",
        "+1",
        ".5",
        "1.",
        "0x10",
        '"a\nb"',
        '"\x00"',
        '"\\x41"',
        '"\\u00"',
        "1 2",
        "nul",
        "True",
        b"\xff",
        b"\x00",
    ],
)
def test_parse_strict__text_that_is_not_json__malformed(text: str | bytes) -> None:
    with pytest.raises(MalformedJson):
        parse_strict(text)


@given(st.text() | st.binary())
def test_parse_strict__any_input__a_value_or_an_input_error(text: str | bytes) -> None:
    with suppress(InputError):
        parse_strict(text)


@given(json_values, st.data())
def test_parse_strict__valid_json_with_one_character_changed__a_value_or_an_input_error(
    value: Any, data: st.DataObject
) -> None:
    text = canonical(value).decode()
    place = data.draw(st.integers(0, len(text) - 1))
    changed = text[:place] + data.draw(st.characters()) + text[place + 1 :]

    try:
        found = parse_strict(changed)
    except InputError:
        return

    assert json.loads(changed, parse_float=Decimal) == found
