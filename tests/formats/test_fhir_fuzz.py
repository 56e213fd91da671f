"""Any change to any resource: a record or a named refusal, never an exception, nothing lost."""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from tests.formats.samples import (
    CLAIM,
    ENCOUNTER,
    EXPLANATION,
    EXPORT,
    REQUEST,
    VALID_UNTIL,
    Resource,
    bills,
    changed,
    prescriptions,
    write,
)

from medledger.core.numbers import document_number
from medledger.core.sealing import seal
from medledger.formats.fhir import BulkFolder

ADDRESS = "0x" + "11" * 20
NUMBER = document_number(46060126, 1)

Steps = tuple[str | int, ...]

# Values that once broke a reader, beside arbitrary ones.
awkward = st.sampled_from(
    [
        None,
        True,
        0,
        -1,
        0.1,
        -0.0,
        1e300,
        1e-300,
        2**63,
        10**40,
        "",
        " ",
        "125.5",
        "USD",
        "XXX",
        "0000-00-00",
        "9999-12-31T23:59:59.999999999-14:00",
        "urn:uuid:",
        "Patient/",
        "#p1",
        "IMP",
        "PUBLICPOL",
        "benefit",
        "e\u0301",
        "\ud800",
        "\u0000",
        [],
        {},
        [[]],
        {"reference": None},
    ]
)
arbitrary = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=4,
)


def steps_of(value: Any, above: Steps = ()) -> Iterator[Steps]:
    """The places of everything in a JSON value."""
    members = value.items() if isinstance(value, dict) else enumerate(value)
    for step, inner in members:
        yield (*above, step)
        if isinstance(inner, dict | list):
            yield from steps_of(inner, (*above, step))


@st.composite
def bent(draw: st.DrawFn) -> list[Resource]:
    """The small export with one to four values replaced, removed or doubled."""
    resources = deepcopy(list(EXPORT))
    for _ in range(draw(st.integers(1, 4))):
        resource = draw(st.sampled_from(resources))
        places = sorted(steps_of(resource), key=repr)
        if not places:
            continue
        *above, last = draw(st.sampled_from(places))
        if last == "resourceType":
            continue
        place: Any = resource
        for step in above:
            place = place[step]
        match draw(st.sampled_from(["replace", "replace", "remove", "double"])):
            case "remove":
                del place[last]
            case "double" if isinstance(place, list):
                place.append(deepcopy(place[last]))
            case _:
                # A copy: a later change may go into it.
                place[last] = deepcopy(draw(awkward | arbitrary))
    return resources


def read_all(path: Path) -> BulkFolder:
    """The folder after bills and prescriptions were read and checked: nothing is lost."""
    folder = BulkFolder(path)
    read = Counter({"Claim": len(bills(folder)), "MedicationRequest": len(prescriptions(folder))})
    read["MedicationRequest"] += folder.inactive_requests
    read.update(str(error.values["file"]).partition(".")[0] for error in folder.rejected)
    for kind in ("Claim", "MedicationRequest"):
        lines = (path / f"{kind}.ndjson").read_bytes().splitlines()
        assert read[kind] == len(lines)
    return folder


def seal_all(folder: BulkFolder) -> None:
    """Whatever is yielded can be issued."""
    for record in folder.bills(lambda patient: ADDRESS):
        seal(record.invoice, NUMBER, bytes(32))
    for rx in folder.prescriptions(lambda patient: ADDRESS, valid_until=VALID_UNTIL):
        seal(rx.prescription, NUMBER, bytes(32))


@settings(max_examples=400, suppress_health_check=[HealthCheck.too_slow])
@given(bent())
@example([*EXPORT, changed(CLAIM, {"id": "c2"}), changed(REQUEST, {"id": "m2", "status": "draft"})])
@example([*EXPORT, CLAIM, REQUEST, ENCOUNTER, EXPLANATION])
def test_folder__any_values_bent__are_records_or_refusals(resources: list[Resource]) -> None:
    with tempfile.TemporaryDirectory() as name:
        path = Path(name)
        for kind in {resource["resourceType"] for resource in resources}:
            texts = [json.dumps(one) for one in resources if one["resourceType"] == kind]
            (path / f"{kind}.ndjson").write_text("".join(text + "\n" for text in texts))

        folder = read_all(path)

        seal_all(folder)
        for error in folder.rejected:
            kind = str(error.values["file"]).partition(".")[0]
            assert str(error.values["field"]).partition(".")[0] == kind
            assert error.values["problem"]


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(
    kind=st.sampled_from(["Claim", "MedicationRequest"]),
    at=st.integers(0, 10_000),
    length=st.integers(0, 40),
    put=st.binary(max_size=40),
)
def test_folder__any_bytes_changed__are_records_or_refusals(
    kind: str, at: int, length: int, put: bytes
) -> None:
    with tempfile.TemporaryDirectory() as name:
        path = write(Path(name), EXPORT)
        file = path / f"{kind}.ndjson"
        data = file.read_bytes() * 3
        at %= len(data)
        file.write_bytes(data[:at] + put.replace(b"\n", b"") + data[at + length :])

        folder = BulkFolder(path)
        records: list[Any] = [*bills(folder), *prescriptions(folder)]

        refused = [error for error in folder.rejected if error.values["file"] == file.name]
        lines = [line for line in file.read_bytes().split(b"\n") if line.strip()]
        taken = [one for one in records if kind in key_of_record(one)]
        inactive = folder.inactive_requests if kind == "MedicationRequest" else 0
        assert len(taken) + len(refused) + inactive == len(lines)


def key_of_record(record: Any) -> str:
    document = getattr(record, "invoice", None) or record.prescription
    return str(document.business_key)
