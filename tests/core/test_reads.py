"""Entries of the read log: what is hashed, and what an entry of before kinds says."""

from __future__ import annotations

from dataclasses import replace

import pytest
from pydantic import ValidationError

from medledger.core.canonical import canonical
from medledger.core.hashing import keccak256
from medledger.core.numbers import document_number
from medledger.core.reads import Read, ReadProof, read_of_bytes
from medledger.core.states import Purpose
from medledger.errors import MalformedEvidence

NUMBER = document_number(46990126, 3)
SALT = bytes(range(32))
ENTRY = Read("Prescription", NUMBER, 4, "P1", Purpose.TREAT, 1_767_580_200)
KEPT = (
    b'{"at":1767580200,"brokeGlass":false,"institution":4,"kind":"Prescription",'
    b'"number":"46990126-0000000003","purpose":"TREAT","reader":"P1"}'
)
OLD = KEPT.replace(b'"kind":"Prescription",', b"")


def proof_of(entry: Read) -> ReadProof:
    """The proof of an entry that is alone on its day."""
    return ReadProof(entry, SALT, 2, 20_457, 0, 1, ())


@pytest.mark.parametrize("kind", ["Prescription", "Record"])
def test_read__of_either_kind__says_it_and_reads_back(kind: str) -> None:
    kept = KEPT.replace(b"Prescription", kind.encode())

    entry = read_of_bytes(kept)

    assert (entry.kind, canonical(entry.json())) == (kind, kept)


def test_leaf__of_an_entry__is_hashed_from_what_is_kept() -> None:
    assert ENTRY.leaf(SALT) == keccak256(b"\0" + keccak256(b"\5" + SALT + KEPT))


def test_leaf__of_another_kind__is_another() -> None:
    assert replace(ENTRY, kind="Record").leaf(SALT) != ENTRY.leaf(SALT)


def test_read_of_bytes__logged_before_entries_said_their_kind__is_of_a_record() -> None:
    entry = read_of_bytes(OLD)

    assert entry == replace(ENTRY, kind="Record", says_kind=False)


def test_from_json__proof_of_an_entry_without_a_kind__leads_to_the_root_it_was_logged_under() -> (
    None
):
    found = ReadProof.from_json(proof_of(read_of_bytes(OLD)).to_json())

    assert found.entry.kind == "Record"
    assert found.root() == keccak256(b"\0" + keccak256(b"\5" + SALT + OLD))


def test_from_json__proof_whose_kind_was_struck_out__leads_elsewhere() -> None:
    text = proof_of(ENTRY).to_json()

    struck = ReadProof.from_json(text.replace('"kind": "Prescription",', ""))

    assert struck.root() != proof_of(ENTRY).root()


@pytest.mark.parametrize("kind", ['"Invoice"', '"record"', "null", "1"])
def test_from_json__a_kind_that_is_none__is_refused(kind: str) -> None:
    text = proof_of(ENTRY).to_json().replace('"Prescription"', kind)

    with pytest.raises(MalformedEvidence, match=r"entry\.kind"):
        ReadProof.from_json(text)


def test_read_of_bytes__a_kind_that_is_none__is_refused() -> None:
    with pytest.raises(ValidationError):
        read_of_bytes(KEPT.replace(b"Prescription", b"Licence"))
