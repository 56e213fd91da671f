"""Evidence: what holds is read back the same, and what does not hold says which step fails."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.core.samples import (
    ANCHOR,
    DOCUMENTS,
    INVOICE_NUMBER,
    PRESCRIPTION_NUMBER,
    RED_LETTER_NUMBER,
    SECRET,
    VECTORS,
    digests_of,
    invoice,
    invoices,
    issue,
    numbers,
    prescriptions,
    red_letter,
    sealed_invoice,
    sealed_prescription,
    secrets,
)

from medledger.core.documents import Fields
from medledger.core.evidence import Evidence
from medledger.core.hashing import Header, InvoiceHeader
from medledger.core.numbers import format_number
from medledger.core.sealing import Sealed, body_hash, salts_of, seal
from medledger.errors import (
    AnchorMismatch,
    BodyMismatch,
    EvidenceError,
    HeaderMismatch,
    MalformedEvidence,
    PathMismatch,
)

GOOD = (
    "good.json",
    "good_single.json",
    "good_partial.json",
    "good_red_letter.json",
    "good_linked.json",
    "good_prescription.json",
    "good_licence.json",
    "good_record.json",
)

FORGERIES: list[tuple[str, type[EvidenceError], str]] = [
    # Fields
    ("forged_field.json", BodyMismatch, "field TotalAmount: is not the value that was sealed"),
    ("forged_digest.json", BodyMismatch, "field BizCode: is not the value that was sealed"),
    ("forged_field_and_digest.json", BodyMismatch, "field body: is not the hash of these digests"),
    ("forged_field_digest_and_body.json", AnchorMismatch, "another head"),
    ("wrong_salt.json", BodyMismatch, "field TotalAmount: is not the value that was sealed"),
    ("swapped_fields.json", BodyMismatch, "PayAmount: is not the value that was sealed"),
    ("renamed_field.json", BodyMismatch, "field TotalAmounu: is not the value that was sealed"),
    ("field_not_sealed.json", BodyMismatch, "field Zzz: is not among the sealed names"),
    ("unsorted_names.json", BodyMismatch, "field names: is not one sorted name for each digest"),
    ("duplicate_name.json", BodyMismatch, "field names: is not one sorted name for each digest"),
    ("missing_digest.json", BodyMismatch, "field names: is not one sorted name for each digest"),
    # Header
    ("header_disagrees.json", HeaderMismatch, "header and the field ownPayAmount disagree"),
    ("currency_disagrees.json", HeaderMismatch, "header and the field CurrencyType disagree"),
    ("red_letter_is_claimable.json", HeaderMismatch, "relatedInvoiceNumber disagree"),
    ("prescription_hidden.json", HeaderMismatch, "header and the field hiRxno disagree"),
    ("prescription_disagrees.json", HeaderMismatch, "header and the field hiRxno disagree"),
    ("prescribed_disagrees.json", HeaderMismatch, "the field prescribedAmount disagree"),
    ("prescription_made_up.json", HeaderMismatch, "header and the field hiRxno disagree"),
    ("red_letter_for_a_prescription.json", HeaderMismatch, "relatedInvoiceNumber disagree"),
    ("quantities_disagree.json", HeaderMismatch, "header and the field rxDetail disagree"),
    ("authoredAt_disagrees.json", HeaderMismatch, "header and the field authoredOn disagree"),
    ("licence_disagrees.json", HeaderMismatch, "header and the field licence disagree"),
    ("drugClass_disagrees.json", HeaderMismatch, "header and the field drugClass disagree"),
    ("substitutable_disagrees.json", HeaderMismatch, "header and the field rxDetail disagree"),
    ("repeats_disagrees.json", HeaderMismatch, "header and the field maxReptCnt disagree"),
    ("interval_disagrees.json", HeaderMismatch, "header and the field minInrvDays disagree"),
    ("line_missing.json", HeaderMismatch, "header and the field rxDetail disagree"),
    ("validity_disagrees.json", HeaderMismatch, "header and the field valiEndTime disagree"),
    ("number_disagrees.json", HeaderMismatch, "header and the field EInvoiceNumber disagree"),
    ("licence_number_disagrees.json", HeaderMismatch, "the field licenceNumber disagree"),
    ("licence_type_disagrees.json", HeaderMismatch, "the field licenceType disagree"),
    ("licence_validity_disagrees.json", HeaderMismatch, "the field validUntil disagree"),
    ("record_number_disagrees.json", HeaderMismatch, "the field recordNumber disagree"),
    ("record_type_disagrees.json", HeaderMismatch, "the field recordType disagree"),
    ("amended_record_disagrees.json", HeaderMismatch, "the field amends disagree"),
    ("amends_nothing.json", HeaderMismatch, "the field amends disagree"),
    ("prescription_number_disagrees.json", HeaderMismatch, "header and the field hiRxno disagree"),
    ("forged_header.json", AnchorMismatch, "another head"),
    ("forged_hold.json", AnchorMismatch, "another head"),
    ("forged_patient.json", AnchorMismatch, "another head"),
    ("kind_disagrees.json", MalformedEvidence, "header.authoredAt: Field required"),
    # Judged differently once by two verifiers
    ("currency_unknown.json", MalformedEvidence, "CNX"),
    ("currency_unknown_and_code_missing.json", MalformedEvidence, "CNX"),
    ("currency_in_small_letters.json", MalformedEvidence, "cny"),
    ("currency_is_gold.json", HeaderMismatch, "header and the field CurrencyType disagree"),
    ("partial_red_letter_hides_amount.json", HeaderMismatch, "the field ownPayAmount disagree"),
    ("time_in_another_form.json", HeaderMismatch, "header and the field authoredOn disagree"),
    ("time_with_short_offset.json", HeaderMismatch, "header and the field authoredOn disagree"),
    ("time_by_week.json", HeaderMismatch, "header and the field authoredOn disagree"),
    ("substitutable_is_null.json", HeaderMismatch, "header and the field rxDetail disagree"),
    ("substitutable_beyond_lines.json", HeaderMismatch, "the field rxDetail disagree"),
    # Path
    ("neighbours_path.json", AnchorMismatch, "another head"),
    ("truncated_path.json", PathMismatch, "the path is too short"),
    ("extended_path.json", PathMismatch, "the path is too long"),
    ("extended_path_of_single.json", PathMismatch, "the path is too long"),
    ("swapped_siblings.json", AnchorMismatch, "another head"),
    ("inner_node_as_leaf.json", AnchorMismatch, "another head"),
    ("number_outside_batch.json", PathMismatch, f"number {INVOICE_NUMBER} is not in the batch"),
    # Tree head
    ("wrong_batch.json", PathMismatch, f"number {INVOICE_NUMBER} is not in the batch"),
    ("wrong_count.json", AnchorMismatch, "another head"),
    ("wrong_segment.json", AnchorMismatch, "another head"),
    ("wrong_time.json", AnchorMismatch, "another head"),
    # Format
    ("other_format.json", MalformedEvidence, "format: Input should be 'medledger-evidence-1'"),
    ("unknown_key.json", MalformedEvidence, "verified: Extra inputs are not permitted"),
    ("missing_head.json", MalformedEvidence, "head: Field required"),
    ("short_salt.json", MalformedEvidence, "fields.TotalAmount.salt: "),
    ("huge_integer.json", MalformedEvidence, "the integer is beyond 2**53 - 1"),
    ("decomposed_text.json", MalformedEvidence, "text is not in Unicode normal form C"),
    ("duplicate_key.json", MalformedEvidence, "the JSON object has the key 'claimable' twice"),
    ("float_money.json", MalformedEvidence, "a Decimal cannot be sealed"),
    ("not_a_number.json", MalformedEvidence, "NaN is not JSON"),
    ("infinity.json", MalformedEvidence, "Infinity is not JSON"),
    ("lone_surrogate.json", MalformedEvidence, "an unpaired surrogate"),
    ("byte_order_mark.json", MalformedEvidence, "starts with a byte-order mark"),
]

STEPS = {
    MalformedEvidence: "format",
    BodyMismatch: "fields",
    HeaderMismatch: "header",
    PathMismatch: "path",
    AnchorMismatch: "anchor",
}


def asset(name: str) -> bytes:
    return (VECTORS / "evidence" / name).read_bytes()


def heads(vectors: dict[str, Any]) -> dict[str, str]:
    """What a ledger would hold: the head hash of each good file, by file name."""
    return vectors["evidence"]


def verify_against(head: str, text: str | bytes) -> Evidence:
    """What an auditor does, with a dictionary in place of the chain."""
    evidence = Evidence.from_json(text)
    if "0x" + evidence.verify_offline().hex() != head:
        raise AnchorMismatch(problem="the ledger holds another head")
    return evidence


# Assets


@pytest.mark.parametrize("name", GOOD)
def test_verify_offline__good_evidence__is_the_head_on_the_ledger(
    vectors: dict[str, Any], name: str
) -> None:
    evidence = verify_against(heads(vectors)[name], asset(name))

    assert evidence.to_json().encode() == asset(name)
    assert evidence.number == evidence.header.number
    assert evidence.kind == evidence.header.kind


@pytest.mark.parametrize(
    ("name", "error", "message"), FORGERIES, ids=[name for name, _, _ in FORGERIES]
)
def test_verify_offline__a_forgery__names_the_step_that_fails(
    vectors: dict[str, Any], name: str, error: type[EvidenceError], message: str
) -> None:
    honest = "good_prescription.json" if b'"Prescription"' in asset(name) else "good.json"

    with pytest.raises(EvidenceError) as caught:
        verify_against(heads(vectors)[honest], asset(name))

    assert type(caught.value) is error
    assert message in str(caught.value)
    assert caught.value.step == STEPS[error]


def test_assets__each_file__is_good_or_in_the_table() -> None:
    found = {path.name for path in (VECTORS / "evidence").iterdir()}

    assert found == {*GOOD, *(name for name, _, _ in FORGERIES)}


# Round trip


@given(invoices() | prescriptions(), numbers, secrets, st.integers(1, 40), st.data())
@settings(max_examples=50)
def test_from_json__evidence_of_any_document__is_read_back_and_holds(
    document: Any, number: int, secret: bytes, count: int, data: st.DataObject
) -> None:
    sealed = seal(document, number, secret)
    index = data.draw(st.integers(0, min(count - 1, number % 10**10)))
    only = data.draw(st.none() | st.lists(st.sampled_from(sorted(sealed.fields)), unique=True))
    evidence, head = issue(sealed, index, count, only)

    found = Evidence.from_json(evidence.to_json())

    assert found == evidence
    assert found.verify_offline() == head
    assert sorted(found.fields) == sorted(sealed.fields if only is None else only)


@pytest.mark.parametrize(
    "remark", ["\n\u0301", "a\t\u030c", "\x00\x1f\x7f\u2028", '"\\', "\U0001f600", "\u0301"]
)
def test_from_json__evidence_of_unusual_text__is_read_back_and_holds(remark: str) -> None:
    evidence, head = issue(sealed_invoice(remark=remark))

    found = Evidence.from_json(evidence.to_json().encode())

    assert found.fields["Remark"] == remark
    assert found.verify_offline() == head


@pytest.mark.parametrize("number", list(DOCUMENTS))
def test_from_json__text_and_bytes__are_the_same(number: int) -> None:
    text = issue(seal(DOCUMENTS[number], number, SECRET))[0].to_json()

    assert Evidence.from_json(text) == Evidence.from_json(text.encode())


def test_to_json__partial_evidence__shows_nothing_that_is_closed() -> None:
    sealed = sealed_invoice()

    text = issue(sealed, only=["TotalAmount"])[0].to_json()

    salts = dict(zip(sorted(sealed.fields), salts_of(SECRET, len(sealed.fields)), strict=True))
    assert SECRET.hex() not in text
    assert [name for name, salt in salts.items() if salt.hex() in text] == ["TotalAmount"]
    assert "测试患者" not in text
    assert invoice().patient_key not in text


# Every mutation of a good file


def walk(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Every place in a JSON value, with what stands there."""
    yield at, value
    inner: Any = value.items() if isinstance(value, dict) else ()
    if isinstance(value, list):
        inner = enumerate(value)
    for key, item in inner:
        yield from walk(item, (*at, key))


def perturbations(value: Any) -> list[Any]:
    """Other values for one leaf: near ones, and ones of other types."""
    if isinstance(value, bool):
        return [not value, int(value), None, str(value).lower(), [value]]
    if isinstance(value, int):
        near = [value + 1, value - 1, -value - 1, value + 2**64, value * 10]
        near = [other for other in near if other != value]
        return [*near, value + 0.5, float(value), str(value), None, True, [value], {}]
    if isinstance(value, str):
        last = value[-1:]
        near = [value[:-1] + ("0" if last != "0" else "1"), value[:-1], value + "0", "a" + value]
        return [*(text for text in near if text != value), "", None, 0, [value], {"a": value}]
    return [None, 0, "", True]


def mutations(good: Any) -> Iterator[tuple[tuple[Any, ...], str, Any]]:
    """(place, what was done, the mutated copy) for every place in the object."""
    for at, value in walk(good):
        if not at:
            continue
        # What is null stands for a number that is not there.
        others = ["00000000-0000000001", 0, ""] if value is None else perturbations(value)
        for other in others:
            yield at, f"{value!r} to {other!r}", changed(good, at, lambda _, other=other: other)
        yield at, "removed", changed(good, at, None)
        if isinstance(value, dict):
            yield at, "key added", changed(good, at, lambda v: {**v, "added": 0})
        if isinstance(value, list) and value:
            yield at, "first twice", changed(good, at, lambda v: [v[0], *v])
            yield at, "last twice", changed(good, at, lambda v: [*v, v[-1]])
            if value != value[::-1]:
                yield at, "reversed", changed(good, at, lambda v: v[::-1])
    yield (), "key added", {**good, "added": 0}


def changed(good: Any, at: tuple[Any, ...], change: Callable[[Any], Any] | None) -> Any:
    """A copy with the value at a place replaced, or left out where `change` is None."""
    copy = deepcopy(good)
    place = copy
    for key in at[:-1]:
        place = place[key]
    if change is None:
        del place[at[-1]]
    else:
        place[at[-1]] = change(place[at[-1]])
    return copy


def outcome(text: str) -> tuple[Evidence, bytes] | None:
    """Evidence and head hash; None where an `EvidenceError` refused it."""
    try:
        evidence = Evidence.from_json(text)
        return evidence, evidence.verify_offline()
    except EvidenceError:
        return None


def is_allowed(at: tuple[Any, ...], done: str, found: Evidence, good: Evidence) -> bool:
    """The changes that keep the head hash: an opened field closed, and another anchor.

    The anchor says where to look; nothing but the chain can contradict it."""
    if at[0] == "anchor":
        return found.anchor != good.anchor and replace(found, anchor=good.anchor) == good
    if at[0] == "fields" and done == "removed" and len(at) == 2:
        opened = {name: field for name, field in good.disclosure.opened.items() if name != at[1]}
        return found == replace(good, disclosure=replace(good.disclosure, opened=opened))
    return False


@pytest.mark.parametrize("name", GOOD)
def test_verify_offline__every_single_mutation__is_refused_or_leads_to_another_head(
    name: str,
) -> None:
    good = Evidence.from_json(asset(name))
    head = good.verify_offline()
    passed, count = [], 0

    for at, done, mutated in mutations(json.loads(asset(name))):
        count += 1
        found = outcome(json.dumps(mutated, ensure_ascii=False))
        if found and found[1] == head and not is_allowed(at, done, found[0], good):
            passed.append(f"{'.'.join(map(str, at))}: {done}")

    assert passed == []
    assert count > 400


@given(st.data())
def test_from_json__one_character_of_the_file_changed__refused_or_another_head_or_same_meaning(
    data: st.DataObject,
) -> None:
    text = asset("good.json").decode()
    good = Evidence.from_json(text)
    place = data.draw(st.integers(0, len(text) - 1))
    mutated = text[:place] + data.draw(st.characters()) + text[place + 1 :]

    found = outcome(mutated)

    if found and found[1] == good.verify_offline():
        same = replace(found[0], anchor=good.anchor)
        assert same == good or set(same.fields) < set(good.fields)


@given(st.text() | st.binary())
def test_from_json__any_input__malformed_evidence(text: str | bytes) -> None:
    with pytest.raises(MalformedEvidence):
        Evidence.from_json(text)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


@given(st.data(), json_values)
def test_from_json__any_value_in_any_place__an_evidence_error_or_another_head(
    data: st.DataObject, value: Any
) -> None:
    good = json.loads(asset("good_prescription.json"))
    head = Evidence.from_json(asset("good_prescription.json")).verify_offline()
    at = data.draw(st.sampled_from([at for at, _ in walk(good) if at and at[0] != "anchor"]))

    found = outcome(json.dumps(changed(good, at, lambda _: value)))

    unchanged = changed(good, at, lambda _: value) == good
    only_closed = at == ("fields",) and value == {}
    assert found is None or found[1] != head or unchanged or only_closed


# Malformed


@pytest.mark.parametrize(
    ("at", "value", "message"),
    [
        (("number",), "46060126-17", "is not a document number"),
        (("number",), 460601260000000017, "number: Input should be a valid string"),
        (("head", "first"), "x", "is not a document number"),
        (("head", "count"), 2**32, "head.count: "),
        (("head", "segment"), -1, "head.segment: "),
        (("head", "issuedAt"), "1767576600", "head.issuedAt: "),
        (("head", "issuedAt"), 2**64, "head.issuedAt: "),
        (("path",), ["0x" + "11" * 32] * 33, "path: "),
        (("path",), ["0x" + "11" * 31], "path.0: "),
        (("names",), ["a"] * 257, "names: "),
        (("names", 0), 1, "names.0: "),
        (("digests",), ["0x" + "11" * 32] * 257, "digests: "),
        (("digests", 0), "11" * 32, "digests.0: "),
        (("anchor", "chainId"), -1, "anchor.chainId: "),
        (("anchor", "chainId"), 2**64, "anchor.chainId: "),
        (("anchor", "ledger"), "0x" + "11" * 32, "anchor.ledger: "),
        (("anchor", "transaction"), "0x", "anchor.transaction: "),
        (("fields", "TotalAmount", "salt"), None, "fields.TotalAmount.salt: "),
        (("fields", "TotalAmount"), 1, "fields.TotalAmount: "),
        (("format",), None, "format: "),
        (("kind",), "Report", "kind: "),
    ],
)
def test_from_json__one_value_malformed__names_the_field(
    at: tuple[Any, ...], value: Any, message: str
) -> None:
    text = json.dumps(changed(json.loads(asset("good.json")), at, lambda _: value))

    with pytest.raises(MalformedEvidence) as caught:
        Evidence.from_json(text)

    assert message in str(caught.value)


@pytest.mark.parametrize("name", ["good.json", "good_prescription.json"])
@pytest.mark.parametrize("field", ["patient", "onHold", "body"])
def test_from_json__a_header_value_malformed__names_only_that_field(name: str, field: str) -> None:
    text = json.dumps(changed(json.loads(asset(name)), ("header", field), lambda _: 7))

    with pytest.raises(MalformedEvidence) as caught:
        Evidence.from_json(text)

    assert f"header.{field}: " in caught.value.problem


@pytest.mark.parametrize("value", [2**16, -1, True, "156", None])
def test_from_json__a_currency_out_of_range__malformed(value: Any) -> None:
    text = json.dumps(
        changed(json.loads(asset("good.json")), ("header", "currency"), lambda _: value)
    )

    with pytest.raises(MalformedEvidence):
        Evidence.from_json(text)


@pytest.mark.parametrize("value", [[], [1] * 6, [2**16], [-1], [True], ["1"], None, 1])
def test_from_json__quantities_out_of_range__malformed(value: Any) -> None:
    good = json.loads(asset("good_prescription.json"))
    text = json.dumps(changed(good, ("header", "quantities"), lambda _: value))

    with pytest.raises(MalformedEvidence):
        Evidence.from_json(text)


@pytest.mark.parametrize("text", ["", "null", "[]", '"evidence"', "1", "{}", "NaN"])
def test_from_json__not_an_evidence_object__malformed(text: str) -> None:
    with pytest.raises(MalformedEvidence):
        Evidence.from_json(text)


@pytest.mark.parametrize("number", ["1e9999999999999999999", "[" * 100_000, "1" * 5000])
def test_from_json__a_number_or_depth_bomb_as_a_value__malformed(number: str) -> None:
    text = asset("good.json").decode().replace('"value": 12600', f'"value": {number}')

    with pytest.raises(MalformedEvidence):
        Evidence.from_json(text)


def test_from_json__fifty_megabytes__malformed() -> None:
    with pytest.raises(MalformedEvidence) as caught:
        Evidence.from_json(b" " * 50_000_000 + asset("good.json"))

    assert "longer than" in str(caught.value)


def test_verify_offline__a_value_nested_deeper_than_can_be_sealed__malformed() -> None:
    good = json.loads(asset("good.json"))
    deep: Any = []
    for _ in range(100):
        deep = [deep]
    text = json.dumps(changed(good, ("fields", "Remark", "value"), lambda _: deep))

    with pytest.raises(MalformedEvidence):
        Evidence.from_json(text).verify_offline()


@pytest.mark.parametrize(
    ("at", "change"),
    [
        (("header", "body"), lambda v: v[:4] + " " + v[4:]),
        (("path", 0), lambda v: "0x\n" + v[2:]),
        (("number",), lambda v: f" {v}\n"),
        (("header",), lambda v: {"on_hold" if k == "onHold" else k: v[k] for k in v}),
        (("head",), lambda v: {"issued_at" if k == "issuedAt" else k: v[k] for k in v}),
    ],
    ids=["space in a hash", "line break in a hash", "space around number", "on_hold", "issued_at"],
)
def test_from_json__another_spelling_of_the_same__malformed(
    at: tuple[Any, ...], change: Any
) -> None:
    text = json.dumps(changed(json.loads(asset("good.json")), at, change))

    with pytest.raises(MalformedEvidence):
        Evidence.from_json(text)


def test_malformed_evidence__of_a_bad_salt__shows_no_value_even_in_its_cause() -> None:
    good = json.loads(asset("good.json"))
    salt = good["fields"]["PayerParty"]["salt"]
    text = json.dumps(changed(good, ("fields", "PayerParty", "salt"), lambda v: v + "zz"))

    with pytest.raises(MalformedEvidence) as caught:
        Evidence.from_json(text)

    shown = f"{caught.value}{caught.value.__cause__}"
    assert salt[2:12] not in shown
    assert "测试患者" not in shown


# An issuer that tells its ledger another story than its document


def dishonest(honest: Sealed, **header: Any) -> Evidence:
    """Evidence of a batch really issued with a header that disagrees with its own fields."""
    return issue(replace(honest, header=replace(honest.header, **header)))[0]


@pytest.mark.parametrize("claimable", [2501, 2499, 0, 12600, 2**64 - 1])
def test_verify_offline__own_pay_amount_is_not_the_claimable__header_mismatch(
    claimable: int,
) -> None:
    evidence = dishonest(sealed_invoice(), claimable=claimable)

    with pytest.raises(HeaderMismatch) as caught:
        evidence.verify_offline()

    assert caught.value.field == "ownPayAmount"


@pytest.mark.parametrize("currency", [0, 157, 840, 2**16 - 1])
def test_verify_offline__another_currency__header_mismatch(currency: int) -> None:
    evidence = dishonest(sealed_invoice(), currency=currency)

    with pytest.raises(HeaderMismatch) as caught:
        evidence.verify_offline()

    assert caught.value.field == "CurrencyType"


@pytest.mark.parametrize(
    ("honest", "number", "field"),
    [
        (sealed_invoice(), INVOICE_NUMBER + 1, "EInvoiceNumber"),
        (sealed_invoice(), INVOICE_NUMBER + 10**10, "EInvoiceCode"),
        (sealed_prescription(), PRESCRIPTION_NUMBER + 1, "hiRxno"),
    ],
)
def test_verify_offline__another_number__header_mismatch(
    honest: Sealed, number: int, field: str
) -> None:
    evidence = dishonest(honest, number=number)

    with pytest.raises(HeaderMismatch) as caught:
        evidence.verify_offline()

    assert caught.value.field == field


@pytest.mark.parametrize(
    "quantities", [(24, 10, 7), (10, 24, 6), (24, 10), (24, 10, 6, 1), (0, 0, 0), (40,)]
)
def test_verify_offline__other_quantities__header_mismatch(quantities: tuple[int, ...]) -> None:
    evidence = dishonest(sealed_prescription(), quantities=quantities)

    with pytest.raises(HeaderMismatch) as caught:
        evidence.verify_offline()

    assert caught.value.field == "rxDetail"


@pytest.mark.parametrize("valid_until", [0, 1767835799, 1767835801, 2**40 - 1])
def test_verify_offline__another_validity__header_mismatch(valid_until: int) -> None:
    evidence = dishonest(sealed_prescription(), valid_until=valid_until)

    with pytest.raises(HeaderMismatch) as caught:
        evidence.verify_offline()

    assert caught.value.field == "valiEndTime"


def test_verify_offline__a_red_letter_bill_with_a_claimable__header_mismatch() -> None:
    evidence = dishonest(seal(red_letter(), RED_LETTER_NUMBER, SECRET), claimable=2500)

    with pytest.raises(HeaderMismatch) as caught:
        evidence.verify_offline()

    assert caught.value.field == "relatedInvoiceNumber"


@pytest.mark.parametrize("only", [["ownPayAmount"], ["ownPayAmount", "relatedInvoiceCode"]])
def test_verify_offline__a_red_letter_bill_that_shows_its_amount_alone__holds(
    only: list[str],
) -> None:
    evidence, head = issue(seal(red_letter(), RED_LETTER_NUMBER, SECRET), only=only)

    assert evidence.verify_offline() == head


def test_verify_offline__a_disagreeing_field_left_closed__holds_and_says_nothing_of_it() -> None:
    """What is closed cannot be compared; whoever relies on it asks for it opened."""
    honest = sealed_invoice()
    false = replace(honest, header=replace(honest.header, claimable=12600))
    evidence, head = issue(false, only=["TotalAmount"])

    assert evidence.verify_offline() == head
    assert "ownPayAmount" not in evidence.fields


def sealed_by_hand(header: Header, fields: Fields) -> Sealed:
    """Any fields under any header, as an issuer with its own software could seal them."""
    body = body_hash(sorted(fields), digests_of(SECRET, fields))
    return Sealed(replace(header, body=body), fields, SECRET)


@pytest.mark.parametrize(
    ("honest", "name"),
    [
        (sealed_invoice(), "ownPayAmount"),
        (sealed_invoice(), "CurrencyType"),
        (sealed_invoice(), "EInvoiceCode"),
        (sealed_invoice(), "EInvoiceNumber"),
        (sealed_prescription(), "rxDetail"),
        (sealed_prescription(), "valiEndTime"),
        (sealed_prescription(), "hiRxno"),
    ],
)
def test_verify_offline__a_document_sealed_without_the_field__header_mismatch(
    honest: Sealed, name: str
) -> None:
    """Leaving out what the header is compared with must not be a way round the comparison."""
    fields = {key: value for key, value in honest.fields.items() if key != name}
    evidence, _ = issue(sealed_by_hand(honest.header, fields))

    with pytest.raises(HeaderMismatch) as caught:
        evidence.verify_offline()

    assert caught.value.field == name


def test_verify_offline__a_prescriptions_fields_under_a_bills_header__header_mismatch() -> None:
    header = sealed_invoice().header
    evidence, _ = issue(sealed_by_hand(header, sealed_prescription().fields))

    with pytest.raises(HeaderMismatch):
        evidence.verify_offline()


@pytest.mark.parametrize(
    ("honest", "changes", "header", "field"),
    [
        (sealed_invoice(), {"ownPayAmount": True}, {"claimable": 1}, "ownPayAmount"),
        (sealed_invoice(), {"ownPayAmount": "2500"}, {}, "ownPayAmount"),
        (sealed_invoice(), {"EInvoiceNumber": 17}, {}, "EInvoiceNumber"),
        (sealed_invoice(), {"EInvoiceNumber": "17"}, {}, "EInvoiceNumber"),
        (sealed_prescription(), {"rxDetail": None}, {}, "rxDetail"),
        (sealed_prescription(), {"rxDetail": [24, 10, 6]}, {}, "rxDetail"),
        (sealed_prescription(), {"rxDetail": [{}, {}, {}]}, {}, "rxDetail"),
        (sealed_prescription(), {"rxDetail": {"quantity": 24}}, {}, "rxDetail"),
        (
            sealed_prescription(),
            {"rxDetail": [{"quantity": True}]},
            {"quantities": (1,)},
            "rxDetail",
        ),
        (
            sealed_prescription(),
            {"rxDetail": [{"quantity": 1, "substitutable": 1}]},
            {"quantities": (1,), "substitutable": 1},
            "rxDetail",
        ),
        (sealed_prescription(), {"valiEndTime": "1767835800"}, {}, "valiEndTime"),
        (sealed_prescription(), {"authoredOn": 1767576600}, {}, "authoredOn"),
        (sealed_prescription(), {"authoredOn": "yesterday"}, {}, "authoredOn"),
        (sealed_prescription(), {"minInrvDays": "30"}, {}, "minInrvDays"),
        (sealed_prescription(), {"licence": 5}, {}, "licence"),
        (sealed_prescription(), {"maxReptCnt": True}, {"repeats": 1}, "maxReptCnt"),
    ],
)
def test_verify_offline__a_field_of_another_type__header_mismatch(
    honest: Sealed, changes: Fields, header: dict[str, Any], field: str
) -> None:
    sealed = sealed_by_hand(replace(honest.header, **header), {**honest.fields, **changes})
    evidence, _ = issue(sealed)

    with pytest.raises(HeaderMismatch) as caught:
        evidence.verify_offline()

    assert caught.value.field == field


@pytest.mark.parametrize("currency", ["RMB", "cny", 156, None, [], {"a": 1}])
def test_verify_offline__a_currency_that_does_not_exist__an_evidence_error(currency: Any) -> None:
    honest = sealed_invoice()
    evidence, _ = issue(sealed_by_hand(honest.header, {**honest.fields, "CurrencyType": currency}))

    with pytest.raises((MalformedEvidence, HeaderMismatch)):
        evidence.verify_offline()


# Places


def test_verify_offline__every_place_of_a_batch__is_the_same_head() -> None:
    for index in range(7):
        evidence, head = issue(sealed_invoice(), index, 7)

        assert evidence.verify_offline() == head


@pytest.mark.parametrize("first", [INVOICE_NUMBER + 1, INVOICE_NUMBER - 6, INVOICE_NUMBER - 10**9])
def test_verify_offline__a_number_outside_the_batch__path_mismatch(first: int) -> None:
    evidence, _ = issue(sealed_invoice())
    moved = replace(evidence, head=replace(evidence.head, first=first))

    with pytest.raises(PathMismatch) as caught:
        moved.verify_offline()

    assert caught.value.problem == f"number {INVOICE_NUMBER} is not in the batch"


def test_verify_offline__an_empty_batch__path_mismatch() -> None:
    evidence, _ = issue(sealed_invoice(), 0, 1)
    empty = replace(evidence, head=replace(evidence.head, count=0))

    with pytest.raises(PathMismatch):
        empty.verify_offline()


def test_evidence__an_invoice__reads_as_it_is() -> None:
    evidence, _ = issue(sealed_invoice(), only=["TotalAmount", "gender"])

    assert evidence.kind == "Invoice"
    assert evidence.number == INVOICE_NUMBER
    assert evidence.fields == {"TotalAmount": 12600, "gender": "女"}
    assert evidence.anchor == ANCHOR
    assert isinstance(evidence.header, InvoiceHeader)
    assert f'"number": "{format_number(INVOICE_NUMBER)}"' in evidence.to_json()
