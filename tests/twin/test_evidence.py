"""Python and its twin say the same of every evidence file: the vectors, and good files spoiled."""

from __future__ import annotations

import json
import re
from datetime import datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from iso4217 import Currency
from tests.core.samples import VECTORS
from tests.core.test_evidence import FORGERIES, GOOD, asset
from tests.twin.twin import Twin, python_verdict, run

from medledger.chain import abi
from medledger.core.sealing import body_hash, field_digest
from medledger.errors import AnchorMismatch, MedledgerError

# Of the library for EIP-712: it stands in the ABI, and only an upgradeable contract emits it.
NEVER_EMITTED = {"EIP712DomainChanged"}
GOODS: dict[str, Any] = {name: json.loads(asset(name)) for name in GOOD}
many = settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def assert_same_verdict(twin: Twin, file: bytes) -> None:
    mine = python_verdict(file)
    event(str(mine.get("error", "holds")))
    assert twin.verdict(file) == mine


# Vectors


@pytest.mark.parametrize("name", GOOD)
def test_verify__good_vector__leads_to_the_head_on_the_ledger(
    twin: Twin, vectors: dict[str, Any], name: str
) -> None:
    found = twin.verdict(asset(name))

    assert found["holds"]
    assert found["headHash"] == vectors["evidence"][name]


@pytest.mark.parametrize(("name", "error"), [(name, error) for name, error, _ in FORGERIES])
def test_verify__forged_vector__fails_at_the_step_that_python_names(
    twin: Twin, vectors: dict[str, Any], name: str, error: type[MedledgerError]
) -> None:
    found = twin.verdict(asset(name))

    assert found == python_verdict(asset(name))
    if error is AnchorMismatch:
        assert found["headHash"] not in vectors["evidence"].values()
    else:
        assert found["error"] == error.__name__


def test_vectors__every_hash__is_the_same(vectors: dict[str, Any]) -> None:
    done = run("vectors", VECTORS / "hashing.json")

    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    for title, entries in found.items():
        for mine, entry in zip(entries, vectors[title], strict=True):
            assert mine == {key: wanted(entry, key) for key in mine}
    assert all(found.values())


def test_tables__events_and_currencies__are_those_of_contracts_and_iso() -> None:
    told = json.loads(run("tables").stdout)

    assert told["currencies"] == {currency.code: currency.number for currency in Currency}
    assert set(told["events"]) == set(abi.CONTRACTS)
    for contract, topics in told["events"].items():
        declared = {e["name"] for e in abi.artifact(contract)["abi"] if e["type"] == "event"}
        assert topics == {
            event.name: topic
            for topic, event in abi.events().items()
            if event.name in declared - NEVER_EMITTED
        }


def wanted(entry: dict[str, Any], key: str) -> Any:
    """What a vector says; two of the twin's keys do not stand in it by their names."""
    if key == "body":
        return entry["header"]["body"]
    if key == "roots":
        return [entry["root"]] * len(entry["paths"])
    return entry[key]


# Good files, spoiled


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-2, 3)
    | st.integers(-(2**65), 2**65)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=4)
    | st.sampled_from(["CNY", "USD", "XAU", "0", "2500", "460601260000000017", "0000000017", "é"])
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["quantity", "name", "é", ""]), inner, max_size=2)
    ),
    max_leaves=4,
)
NAMES = st.sampled_from(
    ["relatedInvoiceNumber", "amends", "ownPayAmount", "", "é", "\uffff", "\U0001f600", "e\u0301"]
)


@given(data=st.data())
@many
def test_verify__document_changed_and_sealed_again__is_judged_the_same(
    twin: Twin, data: st.DataObject
) -> None:
    file = json.loads(asset(data.draw(st.sampled_from(GOOD))))

    for _ in range(data.draw(st.integers(1, 3))):
        change = data.draw(st.sampled_from([*CHANGES, change_time, mark_line]))
        change(file, data)
    if data.draw(st.booleans()):
        seal_again(file)

    assert_same_verdict(twin, json.dumps(file, ensure_ascii=data.draw(st.booleans())).encode())


def change_value(file: Any, data: st.DataObject) -> None:
    if file["fields"]:
        field = file["fields"][data.draw(st.sampled_from(sorted(file["fields"])))]
        field["value"] = data.draw(VALUES | st.just(near(field["value"])))


def change_header(file: Any, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(set(file["header"]) - {"body"})))
    file["header"][name] = data.draw(VALUES | st.just(near(file["header"][name])))


def drop_name(file: Any, data: st.DataObject) -> None:
    if file["names"]:
        place = data.draw(st.integers(0, len(file["names"]) - 1))
        file["fields"].pop(file["names"].pop(place), None)
        file["digests"].pop(place)


def add_name(file: Any, data: st.DataObject) -> None:
    name = data.draw(NAMES)
    if name not in file["names"]:
        file["names"] = sorted([*file["names"], name])
        file["digests"].insert(file["names"].index(name), "0x" + "11" * 32)
        if data.draw(st.booleans()):
            file["fields"][name] = {"salt": "0x" + "22" * 32, "value": data.draw(VALUES)}


TIMES = st.datetimes(timezones=st.none() | st.timezones()).map(datetime.isoformat) | st.builds(
    "2026-01-05{}09:30:00{}{}".format,
    st.sampled_from("T tx"),
    st.sampled_from(["", ".5", ",5", ".123456", ".1234567", "."]),
    st.sampled_from(["", "Z", "z", "+00:00", "+08:00", "-08:00", "+08", "+0800", "+24:00"]),
)


def change_time(file: Any, data: st.DataObject) -> None:
    """Another time, or the same one in another form."""
    if "authoredOn" in file["fields"]:
        file["fields"]["authoredOn"]["value"] = data.draw(TIMES)
        file["header"]["authoredAt"] = 1767576600 + data.draw(st.sampled_from([0, 8, 16])) * 3600


def mark_line(file: Any, data: st.DataObject) -> None:
    lines = file["fields"].get("rxDetail", {}).get("value")
    if isinstance(lines, list) and lines and isinstance(lines[0], dict):
        lines[0]["substitutable"] = data.draw(SCALARS)
        file["header"]["substitutable"] = data.draw(st.sampled_from([0b010, 0b011, 0b10000010]))


CHANGES = [change_value, change_header, drop_name, add_name]


def near(value: Any) -> Any:
    """Another value that a loose comparison takes for the same."""
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        return value + "\n"
    return [*value, *value] if isinstance(value, list) else []


def seal_again(file: Any) -> None:
    """Let digests and body be those of the values, where these have a canonical form."""
    try:
        for place, name in enumerate(file["names"]):
            if name in file["fields"]:
                salt = bytes.fromhex(file["fields"][name]["salt"][2:])
                digest = field_digest(salt, name, file["fields"][name]["value"])
                file["digests"][place] = "0x" + digest.hex()
        digests = [bytes.fromhex(digest[2:]) for digest in file["digests"]]
        file["header"]["body"] = "0x" + body_hash(file["names"], digests).hex()
    except MedledgerError:
        pass


TOKENS = (
    st.sampled_from([b'"', b"\\", b",", b"}", b"]", b"{", b"[", b" ", b"\t", b"\r", b"//"])
    | st.sampled_from([b"\x0b", b"\xc2\xa0", b"\xef\xbb\xbf", b"\xed\xa0\x80", b"\xe2\x80\xa8"])
    | st.sampled_from([b"\\ud800", b"\\u0000", b"\\x", b"\\ude00\\ud83d", b"\\u00e9"])
    | st.sampled_from([b"0", b"1", b"-", b".", b"e5", b".0", b"NaN", b"null", b"true"])
    | st.binary(max_size=2)
)


@given(data=st.data())
@many
def test_verify__bytes_changed__is_judged_the_same(twin: Twin, data: st.DataObject) -> None:
    good = GOODS[data.draw(st.sampled_from(GOOD))]
    indent = data.draw(st.sampled_from([None, 2]))
    file = json.dumps(good, ensure_ascii=data.draw(st.booleans()), indent=indent).encode()

    start = data.draw(st.integers(0, len(file)))
    end = start + data.draw(st.sampled_from([0, 0, 1, 1, 2, 9, len(file)]))

    assert_same_verdict(twin, file[:start] + data.draw(TOKENS) + file[end:])


NUMERALS = st.sampled_from(
    ["-0", "00", "01", "1e0", "1E2", "0.0", "1.", "-", "+1", ".5", "1e", "0x1", "1" * 19, "1" * 25]
    + ["1" * 5000, "-1", "Infinity", "-Infinity", "True", '"1"', '"\\ud83d\\ude00"', "[" * 9999]
    + ["[" * depth + "1" + "]" * depth for depth in (57, 58, 59, 60, 61, 62, 63, 64)]
)


@given(data=st.data())
@many
def test_verify__number_written_otherwise__is_judged_the_same(
    twin: Twin, data: st.DataObject
) -> None:
    text = json.dumps(GOODS[data.draw(st.sampled_from(GOOD))], ensure_ascii=False)
    places = [found.span() for found in re.finditer(r"(?<=[:\[ ])\d+(?=[,}\]])", text)]

    start, end = data.draw(st.sampled_from(places))
    changed = data.draw(NUMERALS | st.sampled_from([".0", "e0", "0"]).map(text[start:end].__add__))

    assert_same_verdict(twin, (text[:start] + changed + text[end:]).encode())
