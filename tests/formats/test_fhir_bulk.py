"""The files of an export: names, lines, compression, and that no line is lost."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from tests.formats.samples import (
    CLAIM,
    ENCOUNTER,
    EXPLANATION,
    HOSPITAL,
    REQUEST,
    bills,
    changed,
    export,
    key_of,
    prescriptions,
    told,
    write,
)

from medledger.core.canonical import MAX_BYTES
from medledger.core.hashing import keccak256
from medledger.errors import BadResource, InputError
from medledger.formats.fhir import BulkFolder, Organisation


def text_of(number: int) -> str:
    """The line of a claim without explanation, with its number as id."""
    return json.dumps(changed(CLAIM, {"id": f"c{number}"})) + "\n"


def keys(folder: BulkFolder) -> list[str]:
    return [record.invoice.business_key for record in bills(folder)]


@pytest.fixture
def export_path(tmp_path: Path) -> Path:
    """The small export without claims and explanations."""
    write(tmp_path, export())
    (tmp_path / "Claim.ndjson").unlink()
    (tmp_path / "ExplanationOfBenefit.ndjson").unlink()
    return tmp_path


# Names


@pytest.mark.parametrize(
    "name",
    [
        "Claim.ndjson",
        "Claim.000.ndjson",
        "Claim.7.ndjson",
        "Claim-7.ndjson",
        "Claim_7.ndjson",
        "7.Claim.ndjson",
    ],
)
@pytest.mark.parametrize("compressed", [False, True])
def test_bills__a_file_name_that_servers_give__is_read(
    export_path: Path, name: str, compressed: bool
) -> None:
    data = text_of(1).encode()
    path = export_path / (name + ".gz" if compressed else name)
    path.write_bytes(gzip.compress(data) if compressed else data)

    folder = BulkFolder(export_path)

    assert keys(folder) == ["Claim/c1"]


def test_bills__numbered_parts__are_read_in_the_order_of_their_numbers(export_path: Path) -> None:
    for part in (10, 9, 0):
        (export_path / f"Claim.{part}.ndjson").write_text(text_of(part))
    (export_path / "Claim.00a.ndjson").write_text(text_of(99))
    (export_path / "ClaimResponse.ndjson").write_text(text_of(98))

    assert keys(BulkFolder(export_path)) == ["Claim/c0", "Claim/c9", "Claim/c10"]


def test_folder__a_path_that_is_no_folder__is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is not a folder; name one with FHIR NDJSON files"):
        BulkFolder(tmp_path / "absent")


def test_folder__neither_claims_nor_requests__is_named(export_path: Path) -> None:
    (export_path / "MedicationRequest.ndjson").unlink()

    with pytest.raises(InputError, match=r"has neither Claim\.ndjson nor MedicationRequest"):
        BulkFolder(export_path)


def test_bills__no_claim_file__is_no_bill_and_no_refusal(export_path: Path) -> None:
    write(export_path, [EXPLANATION])
    folder = BulkFolder(export_path)

    assert bills(folder) == []
    assert folder.rejected == []


def test_prescriptions__no_request_file__is_no_prescription(tmp_path: Path) -> None:
    write(tmp_path, export())
    (tmp_path / "MedicationRequest.ndjson").unlink()

    assert prescriptions(BulkFolder(tmp_path)) == []


@pytest.mark.parametrize(
    ("missing", "needed_by"),
    [
        ("Patient", "Claim.patient.reference"),
        ("Organization", "Claim.provider.reference"),
        ("Encounter", "Claim.item[0].encounter[0].reference"),
    ],
)
def test_bills__a_file_that_claims_refer_to_is_absent__is_named_once(
    tmp_path: Path, missing: str, needed_by: str
) -> None:
    write(tmp_path, export())
    (tmp_path / f"{missing}.ndjson").unlink()

    with pytest.raises(InputError) as raised:
        bills(BulkFolder(tmp_path))

    assert f"has no {missing}.ndjson or {missing}.ndjson.gz" in str(raised.value)
    assert needed_by in str(raised.value)


def test_prescriptions__no_patient_file__is_named(tmp_path: Path) -> None:
    write(tmp_path, export())
    (tmp_path / "Patient.ndjson").unlink()

    with pytest.raises(InputError, match=r"has no Patient\.ndjson"):
        prescriptions(BulkFolder(tmp_path))


def test_organisations__a_folder__has_them_all_by_id(tmp_path: Path) -> None:
    plain = {key: value for key, value in HOSPITAL.items() if key != "type"}
    folder = BulkFolder(write(tmp_path, export(plain)))

    assert folder.organisations == {
        "i1": Organisation("i1", "Mutual", "ins"),
        "h1": Organisation("h1", "County Hospital", ""),
    }


# Lines


def test_bills__blank_lines__are_skipped_and_counted_as_lines(export_path: Path) -> None:
    (export_path / "Claim.ndjson").write_text("\n" + text_of(1) + " \t\r\n" + "{}\n\n")
    folder = BulkFolder(export_path)

    assert keys(folder) == ["Claim/c1"]
    assert told(folder.rejected) == ["Claim.ndjson:4: Claim.resourceType: is not Claim"]


def test_bills__a_last_line_without_end__counts(export_path: Path) -> None:
    (export_path / "Claim.ndjson").write_text(text_of(1) + text_of(2).rstrip("\n"))

    assert keys(BulkFolder(export_path)) == ["Claim/c1", "Claim/c2"]


def test_bills__lines_that_end_as_on_windows__have_the_hash_of_the_text_alone(
    tmp_path: Path,
) -> None:
    write(tmp_path, export())
    line = json.dumps(EXPLANATION).encode()
    (tmp_path / "ExplanationOfBenefit.ndjson").write_bytes(line + b"\r\n")

    record = bills(BulkFolder(tmp_path))[0]

    assert record.benefit is not None
    assert record.benefit.explanation_hash == keccak256(line)


@pytest.mark.parametrize(
    ("line", "field", "problem"),
    [
        (b"{", "Claim", "is not strict JSON: Expecting property name"),
        (b"[]", "Claim", "is not an object"),
        (b"null", "Claim", "is not an object"),
        (b"{}", "Claim.resourceType", "is not Claim"),
        (b'{"resourceType":"Claim","resourceType":"Claim"}', "Claim", "a key stands twice"),
        (b'{"resourceType":"Claim","id":NaN}', "Claim", "is not strict JSON: NaN"),
        (b'{"resourceType":"Claim","id":"\xff"}', "Claim", "is not strict JSON: not UTF-8"),
        (b"\xef\xbb\xbf{}", "Claim", "starts with a byte-order mark"),
        ('{"a":"e\u0301"}'.encode(), "Claim", "is not in Unicode normal form C"),
        (b'{"a":"\\ud800"}', "Claim", "an unpaired surrogate"),
        (b'{"a":1e99999999999999999999}', "Claim", "a number has too large an exponent"),
        (b'{"a":' + b"9" * 5000 + b"}", "Claim", "a number has too many digits"),
        (b"[" * 100_000, "Claim", "nested deeper than 64"),
        (text_of(2).encode()[:-20], "Claim", "is not strict JSON"),
        (text_of(2).encode().strip() + b"{}", "Claim", "Extra data"),
        (json.dumps(EXPLANATION).encode(), "Claim.resourceType", "is not Claim"),
    ],
)
def test_bills__a_line_that_is_no_claim__is_refused_and_the_rest_goes_on(
    export_path: Path, line: bytes, field: str, problem: str
) -> None:
    lines = [text_of(1).encode(), line + b"\n", text_of(3).encode()]
    (export_path / "Claim.ndjson").write_bytes(b"".join(lines))
    folder = BulkFolder(export_path)

    assert keys(folder) == ["Claim/c1", "Claim/c3"]
    assert [error.values["line"] for error in folder.rejected] == [2]
    assert folder.rejected[0].values["field"] == field
    assert problem in str(folder.rejected[0])


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_bills__a_line_as_long_as_allowed__is_read(export_path: Path, end: bytes) -> None:
    padding = b" " * (MAX_BYTES - len(text_of(1).strip()))
    line = text_of(1).encode().strip() + padding + end
    (export_path / "Claim.ndjson").write_bytes(line + text_of(2).encode())

    assert keys(BulkFolder(export_path)) == ["Claim/c1", "Claim/c2"]


@pytest.mark.parametrize("excess", [1, 2, 3, MAX_BYTES, 3 * MAX_BYTES])
@pytest.mark.parametrize("end", [b"\n", b"\r\n", b""])
def test_bills__a_longer_line__is_refused_as_one_line(
    export_path: Path, excess: int, end: bytes
) -> None:
    padding = b" " * (MAX_BYTES - len(text_of(1).strip()) + excess)
    line = text_of(1).encode().strip() + padding + end
    rest = text_of(2).encode() if end else b""
    (export_path / "Claim.ndjson").write_bytes(line + rest)
    folder = BulkFolder(export_path)

    assert keys(folder) == (["Claim/c2"] if end else [])
    assert told(folder.rejected) == [
        f"Claim.ndjson:1: Claim: is not strict JSON: longer than {MAX_BYTES} bytes"
    ]


# Identity


def test_bills__an_id_that_occurs_again__is_refused_in_whatever_file_it_is(
    export_path: Path,
) -> None:
    (export_path / "Claim.0.ndjson").write_text(text_of(1) + text_of(2) + text_of(1))
    (export_path / "Claim.1.ndjson.gz").write_bytes(gzip.compress(text_of(2).encode()))
    folder = BulkFolder(export_path)

    assert keys(folder) == ["Claim/c1", "Claim/c2"]
    assert told(folder.rejected) == [
        "Claim.0.ndjson:3: Claim.id: has occurred before",
        "Claim.1.ndjson.gz:1: Claim.id: has occurred before",
    ]


def test_bills__a_second_encounter_with_an_id__does_not_replace_the_first(tmp_path: Path) -> None:
    write(tmp_path, export())
    changed_visit = changed(ENCOUNTER, {"class": {"code": "IMP"}})
    with (tmp_path / "Encounter.ndjson").open("a") as file:
        file.write(json.dumps(changed_visit))
    folder = BulkFolder(tmp_path)

    assert not bills(folder)[0].inpatient
    assert told(folder.rejected) == ["Encounter.ndjson:2: Encounter.id: has occurred before"]


def test_folder__the_same_id_in_another_type__is_no_duplicate(tmp_path: Path) -> None:
    write(tmp_path, [one for one in export() if one != REQUEST])
    folder = BulkFolder(write(tmp_path, [changed(REQUEST, {"id": "c1"})]))

    assert len(bills(folder)) == 1
    assert len(prescriptions(folder)) == 1
    assert folder.rejected == []


# Damage


def test_bills__a_truncated_gzip__gives_the_lines_before_and_names_the_file(
    export_path: Path,
) -> None:
    texts = [text_of(number).encode() for number in range(2000)]
    data = gzip.compress(b"".join(texts))
    (export_path / "Claim.ndjson.gz").write_bytes(data[: len(data) // 2])
    folder = BulkFolder(export_path)

    found = keys(folder)

    assert 0 < len(found) < 2000
    assert found == [f"Claim/c{number}" for number in range(len(found))]
    assert told(folder.rejected) == [
        f"Claim.ndjson.gz:{len(found) + 1}: Claim:"
        " the file ends in the middle of its gzip stream; copy it again"
    ]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: text_of(1).encode(),
        lambda data: data[:30] + b"\xff" * 20 + data[50:],
        lambda data: data[:-8] + bytes(8),
    ],
    ids=["not gzip", "damaged inside", "wrong check sum"],
)
def test_bills__a_damaged_gzip__is_named(export_path: Path, spoil: object) -> None:
    assert callable(spoil)
    data = gzip.compress(text_of(1).encode(), mtime=0)
    (export_path / "Claim.ndjson.gz").write_bytes(spoil(data))
    folder = BulkFolder(export_path)

    bills(folder)

    assert [error.values["problem"] for error in folder.rejected] == [
        "the file is not sound gzip; copy it again"
    ]
    assert folder.rejected[0].values["file"] == "Claim.ndjson.gz"


def test_bills__an_empty_gzip__is_no_bill_and_no_refusal(export_path: Path) -> None:
    (export_path / "Claim.ndjson.gz").write_bytes(gzip.compress(b""))
    folder = BulkFolder(export_path)

    assert bills(folder) == []
    assert folder.rejected == []


def test_bills__a_folder_with_the_name_of_a_file__is_named(export_path: Path) -> None:
    (export_path / "Claim.ndjson").mkdir()
    folder = BulkFolder(export_path)

    assert bills(folder) == []
    assert told(folder.rejected) == [
        "Claim.ndjson:1: Claim: the file cannot be read: Is a directory"
    ]


def test_folder__a_refusal__is_heard_when_it_happens(export_path: Path) -> None:
    (export_path / "Claim.ndjson").write_text(text_of(1) + "{}\n" + text_of(2))
    heard: list[BadResource] = []
    folder = BulkFolder(export_path, on_reject=heard.append)

    stream = folder.bills(key_of)
    next(stream)
    before = list(heard)
    next(stream)

    assert before == []
    assert heard == folder.rejected
    assert len(heard) == 1
