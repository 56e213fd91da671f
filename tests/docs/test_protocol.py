"""What docs/protocol.md quotes is what the code has: strings, limits, keys, selectors, errors."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import fields
from itertools import pairwise
from pathlib import Path

import pytest
from pydantic import BaseModel
from pydantic.alias_generators import to_camel
from tests.docs.blocks import ROOT, blocks

from medledger import errors
from medledger.chain import abi
from medledger.chain.deployment import FORMAT as MANIFEST_FORMAT
from medledger.chain.deployment import LEASE_PERIOD_SECONDS, LOCK_PERIOD_SECONDS, Deployed, Manifest
from medledger.core import (
    authorisation,
    canonical,
    dispensing,
    evidence,
    hashing,
    kinds,
    numbers,
    patient_keys,
    reads,
    sealing,
)
from medledger.core.evidence import Evidence
from medledger.core.hashing import keccak256
from medledger.core.kinds import KINDS
from medledger.core.sealing import check_code
from medledger.core.states import Hold, State
from medledger.errors import EvidenceError, MedledgerError

PROTOCOL = ROOT / "docs" / "protocol.md"
TEXT = PROTOCOL.read_text("utf-8")
VECTORS = ROOT / "tests" / "vectors"
EVIDENCE = VECTORS / "evidence"
TYPES = [value for name, value in vars(hashing).items() if name.endswith("_TYPE")]


def section(number: int) -> str:
    found = re.search(rf"^## {number}\. .*?(?=^## |\Z)", TEXT, re.M | re.S)
    assert found is not None
    return found[0]


def rows(text: str) -> list[list[str]]:
    """The cells of all table rows of a text, heads and rules left out."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    head = {line for line, rule in pairwise(lines) if set(rule) <= set("|- ")}
    return [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in lines
        if line not in head and not set(line) <= set("|- ")
    ]


def keys(text: str) -> set[str]:
    """The first cells of a text's tables, without their backticks."""
    return {row[0].strip("`") for row in rows(text)}


# Hashes


def test_type_strings__quoted__are_all_that_the_code_hashes() -> None:
    quoted = re.findall(r"^\w+\((?:\w+(?:\[\d*\])? \w+,?)+\)$", TEXT, re.M)

    assert sorted(quoted) == sorted(TYPES)


def test_prefixes__table__is_the_codes() -> None:
    table = {row[2].strip("`"): row[0].strip("`") for row in rows(section(1))}
    known = vars(hashing) | vars(sealing) | vars(reads)

    assert table == {
        name: "0x" + value.hex() for name, value in known.items() if name.endswith("_PREFIX")
    }


def test_keccak__of_nothing__begins_as_quoted() -> None:
    assert f"begins with `{keccak256(b'').hex()[:8]}`" in TEXT


def test_shake256__of_nothing__begins_as_quoted() -> None:
    assert f"begins with `{hashlib.shake_256(b'').hexdigest(4)}`" in TEXT


def test_numbers__formula_and_example__are_the_codes() -> None:
    assert f"number = code * {numbers.BILL_NUMBER_SPAN} + serial" in section(2)
    assert f"1 to {numbers.MAX_BILL_CODE:,}" in section(2)
    assert numbers.format_number(numbers.parse_number("46060126-0000000017")) in section(2)


def test_json__limits_and_example__are_the_codes() -> None:
    text = section(3)

    assert f"more than {canonical.MAX_BYTES} bytes" in text
    assert f"nested deeper than {canonical.MAX_DEPTH}" in text
    assert f"nested at most {canonical.MAX_DEPTH} deep" in text
    assert f"at most {canonical.MAX_VALUE_BYTES} bytes" in text
    assert f"from -{canonical.MAX_INTEGER} to {canonical.MAX_INTEGER}" in text
    assert f"is `{canonical.canonical({'b': 1, 'a': 'x'}).decode()}`" in text


def test_sealing__formulas__are_the_vectors() -> None:
    """The lines of section 4, written out."""
    for document in json.loads((VECTORS / "hashing.json").read_text("utf-8"))["documents"]:
        secret, names = bytes.fromhex(document["secret"][2:]), sorted(document["fields"])
        stream = hashlib.shake_256(secret + b"salts").digest(32 * len(names))
        digests = []
        for place, name in enumerate(names):
            salt = stream[32 * place : 32 * place + 32]
            value = canonical.canonical([name, document["fields"][name]])
            digests.append(keccak256(b"\x03" + salt + value))
        body = keccak256(b"\x04" + keccak256(canonical.canonical(names)) + b"".join(digests))

        assert "0x" + body.hex() == document["header"]["body"]
        assert document["checkCode"] == check_code(secret)
    assert 'SHAKE256(secret || "salts", 32 * n)' in section(4)
    assert '"check code"' in section(4)


def test_head__packed__has_the_bytes_and_order_of_the_text() -> None:
    found = re.search(r"0x02 \|\| root \|\| (.*)\)", section(7))
    assert found is not None
    widths = {name: int(bits) // 8 for bits, name in re.findall(r"uint(\d+) (\w+)", found[1])}
    values = {"first": 1, "count": 2, "segment": 3, "issuedAt": 4}
    packed = b"".join(values[name].to_bytes(width, "big") for name, width in widths.items())

    assert keccak256(b"\x02" + bytes(32) + packed) == hashing.TreeHead(1, 2, 3, 4).hash(bytes(32))
    assert f"{1 + 32 + len(packed)} bytes" in section(7)


def test_domain__name_and_version__are_the_codes() -> None:
    assert f"name `{hashing.DOMAIN_NAME}` and version `{hashing.DOMAIN_VERSION}`" in section(8)


def test_derivation__branches__are_the_codes() -> None:
    branches = {kind: entry.branch for kind, entry in KINDS.items()}

    assert "kind " + ", ".join(f"{place}: {kind}" for kind, place in branches.items()) in section(8)
    assert patient_keys._path("Invoice", 2**31 + 5) == [0, 1, 5]


# Contracts


def contracts_of(cell: str) -> list[str]:
    return [name.strip() for name in cell.split(",")]


VIEWS = [row for row in rows(section(9)) if row[0].count("`") == 4]
EVENTS = [row for row in rows(section(9)) if row[0].count("`") == 2]


@pytest.mark.parametrize("row", VIEWS, ids=lambda row: row[0])
def test_view__each__has_this_selector_and_result_in_these_contracts(row: list[str]) -> None:
    signature, selector = re.findall(r"`([^`]+)`", row[0])
    quoted = re.match(r"`\(([^)]*)\)`", row[2])

    for contract in abi.CONTRACTS:
        function = abi.functions(contract).get(signature.partition("(")[0])
        assert (function is not None) == (contract in contracts_of(row[1]))
        if function is not None:
            assert "0x" + function.selector.hex() == selector
            assert keccak256(signature.encode())[:4] == function.selector
            if quoted is not None:
                types = ",".join(item.split()[0] for item in quoted[1].split(", "))
                assert function.outputs == (f"({types})",)


@pytest.mark.parametrize("row", EVENTS, ids=lambda row: row[0])
def test_event__each__has_these_arguments_and_this_topic(row: list[str]) -> None:
    (signature,), (topic,) = re.findall(r"`([^`]+)`", row[0]), re.findall(r"`([^`]+)`", row[1])
    found = abi.events()[topic]
    arguments = ",".join(
        f"{kind}{' indexed' if indexed else ''} {name}" for name, kind, indexed in found.arguments
    )

    assert signature == f"{found.name}({arguments})"


def test_contracts__tables__were_read() -> None:
    assert (len(VIEWS), len(EVENTS)) == (21, 14)


def test_states__in_the_text__are_the_codes() -> None:
    assert (Hold.AS_ISSUED, Hold.HELD, Hold.RELEASED) == (0, 1, 2)
    assert f"is {State.CANCELLED.value} when cancelled" in section(9)


# Files


def test_manifest__example__has_the_keys_and_periods_of_the_code() -> None:
    (example,) = [block for block in blocks(PROTOCOL) if block.language == "json"]
    quoted = json.loads(example.text)
    contracts = {name: Deployed("0x...", "0x...", "0x...") for name in abi.CONTRACTS}
    manifest = Manifest(31337, "0x...", 1, LOCK_PERIOD_SECONDS, LEASE_PERIOD_SECONDS, contracts)

    assert quoted == json.loads(manifest.text())
    assert quoted["format"] == MANIFEST_FORMAT


def aliases(model: type[BaseModel]) -> set[str]:
    return {field.alias or name for name, field in model.model_fields.items()}


def test_evidence__tables__have_the_keys_of_the_code() -> None:
    top, _, headers = section(11).partition("| `header` of an")
    described = {row[0]: set(re.findall(r"`(\w+)`", row[1])) for row in rows("| x |\n" + headers)}

    assert keys(top) == aliases(evidence._Wire)
    assert described == {kind: aliases(entry.wire) for kind, entry in KINDS.items()}
    assert evidence.FORMAT in top
    for key, model in (("head", evidence._WireHead), ("anchor", evidence._WireAnchor)):
        (row,) = [row for row in rows(top) if row[0] == f"`{key}`"]
        assert set(re.findall(r"`(\w+)`", row[2])) - {"number"} == aliases(model)


@pytest.mark.parametrize(
    ("key", "limit"), [("names", 256), ("digests", 256), ("path", 32)], ids=lambda item: str(item)
)
def test_evidence__limits_of_lists__are_the_codes(key: str, limit: int) -> None:
    (row,) = [row for row in rows(section(11)) if row[0] == f"`{key}`"]
    (found,) = [item.max_length for item in evidence._Wire.model_fields[key].metadata]

    assert f"at most {limit}" in row[2]
    assert found == limit


def test_authorisation__table__has_the_keys_of_the_code() -> None:
    assert keys(section(13)) == authorisation._KEYS
    assert authorisation.FORMAT in section(13)
    assert all(f"`{kind}`" in section(13) for kind in authorisation._TYPES)
    for kind in authorisation._TYPES.values():
        quoted = next(item for item in TYPES if item.startswith(f"{kind.__name__}("))
        assert re.findall(r" (\w+)", quoted) == [to_camel(field.name) for field in fields(kind)]


def test_vectors__table__has_the_keys_of_the_file() -> None:
    vectors = json.loads((VECTORS / "hashing.json").read_text("utf-8"))
    described = section(14).partition("| error |")[0]

    assert keys(described) == set(vectors) - {"madeBy"}
    for key in ("headers", "trees", "heads", "messages", "acts", "documents"):
        (row,) = [row for row in rows(described) if row[0] == f"`{key}`"]
        quoted = set(re.findall(r"`(\w+)`", row[1]))
        assert quoted - {"count", "path", "index"} <= set(vectors[key][0])


# Verification


def test_steps__table__is_every_evidence_error_in_the_order_of_the_code() -> None:
    table = [(row[0].strip("`"), row[1].strip("`")) for row in rows(section(12))]

    assert table == [(kind.step, kind.__name__) for kind in EvidenceError.__subclasses__()]


def test_header__fields_of_the_table__are_those_that_a_header_is_compared_with() -> None:
    """Each is missed where it was never sealed, and is compared where it is opened."""
    named = {name for row in rows(section(5)) if len(row) == 4 for name in _words(row[2])}

    source = Path(kinds.__file__).read_text("utf-8")
    compared = "".join(re.findall(r"\ndef _\w+_expected\(.*?\n\n\n", source, re.S))
    assert named == set(re.findall(r'"(\w+)"', compared)) - {"-"}


def _words(cell: str) -> list[str]:
    return re.findall(r"`(\w+)`", cell)


FORGERIES = [
    (error.strip("`"), name)
    for error, names in (row for row in rows(section(14).partition("| error |")[2]))
    for name in _words(names)
]


@pytest.mark.parametrize(("error", "name"), FORGERIES, ids=[name for _, name in FORGERIES])
def test_forgery__each_of_the_table__is_refused_with_this_error(error: str, name: str) -> None:
    good = json.loads((VECTORS / "hashing.json").read_text("utf-8"))["evidence"]["good.json"]

    assert _refusal(EVIDENCE / f"{name}.json", good) == error


def test_forgeries__table__has_every_file_that_is_not_good() -> None:
    listed = {name for _, name in FORGERIES}
    good = {name for name in _words(section(14)) if name.startswith("good")}

    assert listed | good == {path.stem for path in EVIDENCE.iterdir()}


def _refusal(path: Path, head: str) -> str:
    """The error's name, with one head hash in place of the ledger."""
    try:
        found = Evidence.from_json(path.read_bytes()).verify_offline()
    except MedledgerError as error:
        return error.name
    return "" if "0x" + found.hex() == head else "AnchorMismatch"


def test_state__table__has_each_event_that_a_contract_emits_once() -> None:
    table = section(18).partition("| event |")[2].partition("An event of a prescription")[0]
    named = [name for row in rows(table) for name in re.findall(r"`([A-Z]\w+)`", row[0])]

    # The one of the library for EIP-712 stands in the ABI and is never emitted.
    emitted = {event.name for event in abi.events().values()} - {"EIP712DomainChanged"}
    assert sorted(named) == sorted(emitted)


def test_errors__named_anywhere__exist() -> None:
    named = re.findall(r"`([A-Z]\w+(?:Mismatch|Missing|Invalid|Expired|Chain|Evidence))`", TEXT)

    assert named
    assert all(hasattr(errors, name) for name in named)


# Policies and dispensings


def test_policies__quoted__are_the_contracts_rows() -> None:
    text = " ".join(section(17).split())
    (view,) = (
        entry
        for entry in abi.artifact("PrescriptionPolicies")["abi"]
        if entry.get("name") == "policyOf"
    )
    members = [f"{one['type']} {one['name']}" for one in view["outputs"][0]["components"]]

    assert f"({', '.join(members)})" in text


def test_dispensings__file_and_hashes__are_as_told() -> None:
    secret = bytes(range(32))
    item = dispensing.DispensedItem(2, "B2026", "H20013", code="A10BA02")
    record = dispensing.DispensingRecord(secret, (item,), "fit")
    written = json.loads(record.to_json())
    told = section(17)

    for key in (*written, *written["items"][0], written["format"]):
        assert f"`{key}`" in told or f'"{key}"' in told

    def body(name: str, value: object, label: bytes) -> bytes:
        salt = hashlib.shake_256(keccak256(secret + label) + b"salts").digest(32)
        digest = keccak256(b"\x03" + salt + canonical.canonical([name, value]))
        return keccak256(b"\x04" + keccak256(canonical.canonical([name])) + digest)

    shown = {"lot": "B2026", "approvalNumber": "H20013", "code": "A10BA02"}
    assert record.items_hash == body("2", shown, b"items")
    assert record.review_hash == body("review", "fit", b"review")
