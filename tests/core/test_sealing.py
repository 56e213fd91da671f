"""Sealing: one hash commits to every field, and opening one field opens no other."""

from __future__ import annotations

import base64
import hashlib
import pickle
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.core.samples import (
    DOCUMENTS,
    INVOICE_NUMBER,
    PATIENT,
    PRESCRIPTION_NUMBER,
    RED_LETTER_NUMBER,
    SECRET,
    digests_of,
    hashes,
    invoice,
    invoices,
    nfc_text,
    numbers,
    prescription,
    prescriptions,
    reversal,
    sealed_invoice,
    sealed_prescription,
    secrets,
)

from medledger.core.canonical import PAIR_END, canonical
from medledger.core.documents import InvoiceLine, numbered_fields
from medledger.core.hashing import address_bytes, keccak256, leaf_hash
from medledger.core.patient_keys import one_time_address
from medledger.core.sealing import (
    Disclosure,
    OpenedField,
    body_hash,
    check_code,
    draft_of,
    field_digest,
    fields_of,
    opened,
    salts_of,
    seal,
    seal_draft,
)
from medledger.errors import (
    BadPatientKey,
    BodyMismatch,
    InvalidDocument,
    NotNormalForm,
    UnknownCurrency,
    UnknownField,
    UnsealableValue,
)

BODY = sealed_invoice().header.body
NAMES = tuple(sorted(sealed_invoice().fields))
PATIENT_ADDRESS = sealed_invoice().header.patient
NOT_SORTED = "is not one sorted name for each digest"
NOT_THE_VALUE = "is not the value that was sealed"


def opened_whole() -> Disclosure:
    return sealed_invoice().disclose()


def reopened(disclosure: Disclosure, name: str, **changes: Any) -> Disclosure:
    opened = dict(disclosure.opened)
    opened[name] = replace(opened[name], **changes)
    return replace(disclosure, opened=opened)


# Sealing


@given(invoices() | prescriptions(), numbers, secrets)
def test_seal__any_document__verifies_whole_and_in_part(
    document: Any, number: int, secret: bytes
) -> None:
    sealed = seal(document, number, secret)
    some = sorted(sealed.fields)[::3]

    whole, part = sealed.disclose(), sealed.disclose(some)

    whole.verify(sealed.header.body)
    part.verify(sealed.header.body)
    assert {name: field.value for name, field in whole.opened.items()} == sealed.fields
    assert list(part.opened) == some
    assert (part.names, part.digests) == (whole.names, whole.digests)


@pytest.mark.parametrize(
    ("sealed", "number"),
    [(sealed_invoice(), INVOICE_NUMBER), (sealed_prescription(), PRESCRIPTION_NUMBER)],
    ids=["invoice", "prescription"],
)
def test_seal__a_document__header_has_number_one_time_address_and_body(
    sealed: Any, number: int
) -> None:
    digests = digests_of(SECRET, sealed.fields)

    assert sealed.header.number == number
    assert sealed.header.body == body_hash(sorted(sealed.fields), digests)
    assert sealed.disclose().digests == tuple(digests)
    assert sealed.header.patient == one_time_address(
        invoice().patient_key, sealed.header.kind, number
    )
    assert sealed.leaf == leaf_hash(sealed.header.struct_hash())


def test_seal__same_document_number_and_secret__is_the_same() -> None:
    assert sealed_invoice() == sealed_invoice()


@given(secrets, secrets)
def test_seal__another_secret__another_body_and_no_digest_in_common(
    first: bytes, second: bytes
) -> None:
    one, two = (seal(invoice(), INVOICE_NUMBER, secret) for secret in (first, second))

    common = set(one.disclose().digests) & set(two.disclose().digests)

    assert (one.header.body == two.header.body) == (first == second)
    assert len(common) == (len(one.fields) if first == second else 0)


@pytest.mark.parametrize("size", [0, 31, 33, 64])
def test_seal__a_secret_of_another_size__invalid_document(size: int) -> None:
    with pytest.raises(InvalidDocument) as caught:
        seal(invoice(), INVOICE_NUMBER, bytes(size))

    assert caught.value.field == "secret"
    assert caught.value.problem == f"has {size} bytes, not 32"


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"remark": "cafe\u0301"}, NotNormalForm),
        ({"remark": "\ud800"}, UnsealableValue),
        ({"business_key": "e\u0301"}, NotNormalForm),
        ({"currency": "RMB"}, UnknownCurrency),
        ({"patient_key": "nobody"}, BadPatientKey),
        ({"patient_key": "0x" + "00" * 20}, BadPatientKey),
        ({"own_pay_minor": 2500.0}, UnsealableValue),
        ({"lines": (InvoiceLine("1", "a", 12600.0),)}, UnsealableValue),  # type: ignore[arg-type]
    ],
)
def test_draft_of__a_document_that_cannot_be_sealed__named_error(
    changes: dict[str, Any], error: type[Exception]
) -> None:
    for act in (draft_of, lambda document: seal(document, INVOICE_NUMBER, SECRET)):
        with pytest.raises(error):
            act(invoice(**changes))


def test_draft_of__a_prescription_without_a_patient_key__bad_patient_key() -> None:
    with pytest.raises(BadPatientKey):
        draft_of(prescription(patient_key="nobody"))


@pytest.mark.parametrize("make", [invoice, prescription])
def test_seal__the_patients_address_in_place_of_a_key__is_used(make: Any) -> None:
    address = PATIENT.address("Invoice", 1)

    sealed = seal(make(patient_key=address.lower()), INVOICE_NUMBER, SECRET)

    assert sealed.header.patient == address


# Drafts


@given(invoices() | prescriptions())
def test_draft_of__any_document__has_its_canonical_pairs_and_terms(document: Any) -> None:
    draft = draft_of(document)

    fields = document.fields()
    assert draft.kind == document.kind
    assert draft.terms == document.terms()
    assert (draft.business_key, draft.patient_key) == (document.business_key, document.patient_key)
    assert draft.names == tuple(sorted(fields))
    assert draft.pairs.split(PAIR_END) == [canonical([name, fields[name]]) for name in draft.names]
    assert fields_of(draft.pairs) == fields


@given(invoices() | prescriptions(), numbers, secrets)
def test_seal_draft__any_draft__is_what_seal_makes(
    document: Any, number: int, secret: bytes
) -> None:
    found = seal_draft(draft_of(document), number, secret)

    sealed = seal(document, number, secret)
    fields = document.fields() | numbered_fields(document.kind, number, check_code(secret))
    names = sorted(fields)
    assert sealed.fields == fields
    assert found.body == sealed.header.body == body_hash(names, digests_of(secret, fields))
    assert found.leaf == sealed.leaf
    assert found.patient == address_bytes(sealed.header.patient)


@given(numbers, numbers, secrets, secrets)
def test_opened__one_draft_under_two_numbers__only_the_numbered_fields_differ(
    first: int, second: int, one: bytes, two: bytes
) -> None:
    draft = draft_of(invoice())
    headers = [draft.terms.header(number, PATIENT_ADDRESS, bytes(32)) for number in (first, second)]

    found = [
        opened(header, draft.pairs, secret).fields
        for header, secret in zip(headers, (one, two), strict=True)
    ]

    differing = {name for name in found[0] if found[0][name] != found[1][name]}
    assert differing <= {"EInvoiceCode", "EInvoiceNumber", "RandomNumber"}
    assert seal_draft(draft, first, one) == seal_draft(draft_of(invoice()), first, one)


def test_seal__a_red_letter_of_an_issued_bill__has_its_own_number_code_and_salts() -> None:
    original = sealed_invoice()
    document = reversal(original)

    red = seal(document, RED_LETTER_NUMBER, bytes(32))

    own = numbered_fields("Invoice", RED_LETTER_NUMBER, check_code(bytes(32)))
    assert red.fields == document.fields() | own
    assert red.header.patient == original.header.patient
    assert red.header.terms == document.terms()
    assert not set(red.disclose().digests) & set(original.disclose().digests)
    red.disclose().verify(red.header.body)


@pytest.mark.parametrize("number", list(DOCUMENTS))
def test_draft__pickled__is_the_same(number: int) -> None:
    draft = draft_of(DOCUMENTS[number])

    copy = pickle.loads(pickle.dumps(draft))

    assert copy == draft
    assert seal_draft(copy, number, SECRET) == seal_draft(draft, number, SECRET)


# Salts


@given(secrets)
def test_salts_of__every_field_of_one_document__all_differ(secret: bytes) -> None:
    salts = salts_of(secret, len(NAMES))

    assert len(set(salts)) == len(salts) == len(NAMES)
    assert {len(salt) for salt in salts} == {32}
    assert secret not in salts


@given(secrets, secrets)
def test_salts_of__two_secrets__none_in_common(first: bytes, second: bytes) -> None:
    common = set(salts_of(first, 32)) & set(salts_of(second, 32))

    assert len(common) == (32 if first == second else 0)


@given(secrets, st.integers(0, 256))
def test_salts_of__any_count__are_the_stream_cut_in_blocks(secret: bytes, count: int) -> None:
    found = salts_of(secret, count)

    assert b"".join(found) == hashlib.shake_256(secret + b"salts").digest(32 * count)
    assert len(found) == count


def test_shake_256__nothing__is_fips_202s() -> None:
    expected = "46b9dd2b0ba88d13233b3feb743eeb243fcd52ea62b81b82b50c27646ed5762f"

    assert hashlib.shake_256(b"").hexdigest(32) == expected


@given(hashes, nfc_text, nfc_text)
def test_field_digest__same_value_under_two_names__differ(
    salt: bytes, first: str, second: str
) -> None:
    same = field_digest(salt, first, "value") == field_digest(salt, second, "value")

    assert same == (first == second)


@given(secrets, st.sampled_from(NAMES))
def test_disclose__one_field__shows_no_other_salt_value_or_the_secret(
    secret: bytes, name: str
) -> None:
    sealed = seal(invoice(), INVOICE_NUMBER, secret)

    part = sealed.disclose([name])

    assert list(part.opened) == [name]
    salts = dict(zip(NAMES, salts_of(secret, len(NAMES)), strict=True))
    assert part.opened[name] == OpenedField(salts[name], sealed.fields[name])
    shown = repr(part)
    for other in set(NAMES) - {name}:
        assert repr(salts[other]) not in shown
    assert repr(secret) not in shown


def test_disclose__a_low_entropy_field_left_closed__guessing_its_value_does_not_match() -> None:
    part = sealed_invoice().disclose(["TotalAmount"])
    digest = part.digests[part.names.index("gender")]
    known = part.opened["TotalAmount"].salt

    guesses = [
        field_digest(salt, "gender", value) for salt in (known, bytes(32), b"") for value in "男女"
    ]

    assert digest not in guesses


def test_disclose__nothing__opens_nothing_and_verifies() -> None:
    part = sealed_invoice().disclose([])

    part.verify(BODY)
    assert part.opened == {}


@pytest.mark.parametrize(
    ("only", "field"),
    [(["Zzz"], "Zzz"), (["TotalAmount", "totalamount"], "totalamount"), (["b", "a"], "a")],
)
def test_disclose__an_unknown_field__unknown_field(only: list[str], field: str) -> None:
    with pytest.raises(UnknownField) as caught:
        sealed_invoice().disclose(only)

    assert caught.value.field == field
    assert caught.value.known == ", ".join(NAMES)


# Verifying


@pytest.mark.parametrize("name", NAMES)
def test_verify__one_field_changed__body_mismatch(name: str) -> None:
    changed = reopened(opened_whole(), name, value="something else")

    with pytest.raises(BodyMismatch) as caught:
        changed.verify(BODY)

    assert (caught.value.field, caught.value.problem) == (name, NOT_THE_VALUE)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TotalAmount", 12601),
        ("TotalAmount", "12600"),
        ("ownPayAmount", True),
        ("Item", []),
        ("InvoicingParty", {"code": "12469023", "name": "澄迈县人民医院"}),
        ("InvoicingParty", {"type": 2, "code": "12469023", "name": "澄迈县人民医院", "x": None}),
        ("Remark", ""),
        ("Remark", None),
    ],
)
def test_verify__a_value_like_the_sealed_one__body_mismatch(name: str, value: Any) -> None:
    with pytest.raises(BodyMismatch) as caught:
        reopened(opened_whole(), name, value=value).verify(BODY)

    assert caught.value.field == name


def test_verify__keys_of_a_value_in_another_order__holds() -> None:
    value = {"type": 2, "name": "澄迈县人民医院", "code": "12469023"}

    reopened(opened_whole(), "InvoicingParty", value=value).verify(BODY)


@pytest.mark.parametrize("name", NAMES)
def test_verify__one_salt_changed__body_mismatch(name: str) -> None:
    disclosure = opened_whole()
    salt = disclosure.opened[name].salt
    changed = reopened(disclosure, name, salt=salt[:-1] + bytes([salt[-1] ^ 1]))

    with pytest.raises(BodyMismatch) as caught:
        changed.verify(BODY)

    assert (caught.value.field, caught.value.problem) == (name, NOT_THE_VALUE)


@pytest.mark.parametrize("place", range(len(NAMES)))
def test_verify__one_closed_digest_changed__body_mismatch(place: int) -> None:
    part = sealed_invoice().disclose([])
    digests = list(part.digests)
    digests[place] = bytes(32)

    with pytest.raises(BodyMismatch) as caught:
        replace(part, digests=tuple(digests)).verify(BODY)

    assert caught.value.field == "body"
    assert caught.value.problem == "is not the hash of these digests"


@pytest.mark.parametrize("place", range(len(NAMES)))
def test_verify__one_closed_name_changed__body_mismatch(place: int) -> None:
    part = sealed_invoice().disclose([])
    names = list(part.names)
    names[place] += "0"

    with pytest.raises(BodyMismatch):
        replace(part, names=tuple(names)).verify(BODY)


def test_verify__a_field_opened_under_another_name__body_mismatch() -> None:
    disclosure = opened_whole()
    opened = {"TotalAmount": disclosure.opened["ownPayAmount"]}

    with pytest.raises(BodyMismatch) as caught:
        replace(disclosure, opened=opened).verify(BODY)

    assert caught.value.field == "TotalAmount"


def test_verify__an_opened_field_that_was_not_sealed__body_mismatch() -> None:
    disclosure = opened_whole()
    opened = {**disclosure.opened, "Zzz": OpenedField(bytes(32), "more")}

    with pytest.raises(BodyMismatch) as caught:
        replace(disclosure, opened=opened).verify(BODY)

    assert (caught.value.field, caught.value.problem) == ("Zzz", "is not among the sealed names")


@pytest.mark.parametrize(
    "change",
    [
        lambda names, digests: (names[::-1], digests[::-1]),
        lambda names, digests: (names[::-1], digests),
        lambda names, digests: (names[1:2] + names[:1] + names[2:], digests),
        lambda names, digests: (names[:1] + names[:1] + names[2:], digests),
        lambda names, digests: (names[:1] + names, digests[:1] + digests),
        lambda names, digests: (names[:-1], digests),
        lambda names, digests: (names, digests[:-1]),
        lambda names, digests: (names, ()),
        lambda names, digests: ((), digests),
    ],
    ids=[
        "both reversed",
        "names reversed",
        "two names swapped",
        "one name twice",
        "one name and digest twice",
        "a name missing",
        "a digest missing",
        "no digests",
        "no names",
    ],
)
def test_verify__names_unsorted_twice_or_too_few__body_mismatch(change: Any) -> None:
    part = sealed_invoice().disclose([])
    names, digests = change(part.names, part.digests)

    with pytest.raises(BodyMismatch) as caught:
        replace(part, names=names, digests=digests).verify(body_hash(names, digests))

    assert (caught.value.field, caught.value.problem) == ("names", NOT_SORTED)


def test_verify__digests_in_another_order__body_mismatch() -> None:
    part = sealed_invoice().disclose([])

    with pytest.raises(BodyMismatch) as caught:
        replace(part, digests=part.digests[::-1]).verify(BODY)

    assert caught.value.field == "body"


def test_verify__a_field_left_out__body_mismatch() -> None:
    part = sealed_invoice().disclose([])

    with pytest.raises(BodyMismatch) as caught:
        replace(part, names=part.names[:-1], digests=part.digests[:-1]).verify(BODY)

    assert caught.value.field == "body"


def test_verify__another_documents_body__body_mismatch() -> None:
    other = sealed_invoice(remark="another")

    with pytest.raises(BodyMismatch) as caught:
        opened_whole().verify(other.header.body)

    assert caught.value.field == "body"


@given(st.lists(nfc_text, unique=True, max_size=8), st.data())
def test_body_hash__a_name_moved_into_its_neighbour__another_body(
    names: list[str], data: st.DataObject
) -> None:
    digests = [field_digest(bytes(32), name, None) for name in names]
    changed = [name + data.draw(nfc_text) for name in names]

    same = body_hash(changed, digests) == body_hash(names, digests)

    assert same == (changed == names)


# Check code


@given(secrets)
def test_check_code__any_secret__six_letters_or_digits_2_to_7(secret: bytes) -> None:
    code = check_code(secret)

    assert code == base64.b32encode(keccak256(secret + b"check code"))[:6].decode()
    assert len(code) == 6
    assert set(code) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567")
    assert seal(invoice(), INVOICE_NUMBER, secret).fields["RandomNumber"] == code
    assert seal(prescription(), PRESCRIPTION_NUMBER, secret).fields["rxTraceCode"] == code
