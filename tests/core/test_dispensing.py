"""What a pharmacy commits to: one secret opens it, and nothing else says it."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from medledger.core.dispensing import NO_REVIEW, DispensedItem, Dispensing, DispensingRecord
from medledger.errors import InvalidDocument

ITEM = DispensedItem(1, "B2026", "H20013001")
RECORD = DispensingRecord(bytes(range(32)), (ITEM,), "no objection")


def test_hashes__another_secret_lot_or_finding__are_others() -> None:
    others = [
        replace(RECORD, secret=bytes(32)),
        replace(RECORD, items=(replace(ITEM, lot="B2027"),)),
        replace(RECORD, items=(replace(ITEM, line=2),)),
    ]

    assert len({record.items_hash for record in [RECORD, *others]}) == 4
    assert replace(RECORD, review="stop").review_hash != RECORD.review_hash
    assert RECORD.items_hash != RECORD.review_hash


def test_review_hash__without_a_finding__is_none() -> None:
    assert replace(RECORD, review="").review_hash == NO_REVIEW


@pytest.mark.parametrize("items", [(), (ITEM, ITEM)], ids=["none", "a line twice"])
def test_record__no_item_or_a_line_twice__invalid_document(
    items: tuple[DispensedItem, ...],
) -> None:
    with pytest.raises(InvalidDocument):
        replace(RECORD, items=items)


def test_to_json__what_is_kept__has_all_that_opens_it() -> None:
    kept = json.loads(RECORD.to_json())

    assert kept["secret"] == "0x" + RECORD.secret.hex()
    assert kept["items"] == [{"line": 1, "lot": "B2026", "approvalNumber": "H20013001"}]


def test_substituted_bits__of_lines__are_counted_from_zero() -> None:
    assert Dispensing([1, 1, 1], bytes(32), substituted=[1, 3, 3]).substituted_bits == 0b101
