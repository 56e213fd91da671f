"""Records: amended in one chain, read by leave of the patient, their reads anchored day by day."""

from __future__ import annotations

from dataclasses import replace

import pytest
from ape.utils import ZERO_ADDRESS

from medledger.core.hashing import keccak256
from medledger.core.states import Kind, Purpose

DAY = 24 * 3600
FAR_FUTURE = 4_102_444_800
ROOT = keccak256(b"root of the day's reads")


@pytest.fixture
def today(chain):
    """The day of the next block."""
    return lambda: chain.pending_timestamp // DAY


# Opening


def test_open__record_with_its_proof__stores_what_access_needs(
    records, issue_records, hospital, ids, patient, stranger, emits
):
    batch = issue_records(0, 0, 0, record_type=2)
    number = batch.number(1)
    holder = patient.address("Record", number)

    receipt = records.open(*batch.proof(1), sender=stranger)

    emits(
        receipt,
        records.RecordOpened(
            number=number, institution=ids[hospital], patient=holder, amends=0, recordType=2
        ),
    )
    assert records.recordOf(number) == (holder, ids[hospital], 2)
    assert records.recordsOf([batch.number(0), number]) == [
        (ZERO_ADDRESS, 0, 0),
        records.recordOf(number),
    ]
    assert (records.originalOf(number), records.latestOf(number)) == (number, number)
    assert records.amendmentsOf(number) == []


def test_open__record_twice__proves_again_and_changes_nothing(
    records, issue_records, stranger, emits
):
    batch = issue_records()
    records.open(*batch.proof(), sender=stranger)
    before = records.recordOf(batch.number())

    receipt = records.open(*batch.proof(), sender=stranger)

    emits(receipt)
    assert records.recordOf(batch.number()) == before


@pytest.mark.parametrize(
    "change",
    [
        {"record_type": 2},
        {"patient": "0x" + "11" * 20},
        {"amends": 1},
        {"body": bytes(32)},
    ],
    ids=lambda change: next(iter(change)),
)
def test_open__forged_record__is_refused(records, issue_records, stranger, refused, change):
    batch = issue_records(0, 0, 0)
    forged = replace(batch.headers[1], **change)

    with refused(records.ProofInvalid, number=forged.number):
        records.open(forged.as_abi(), batch.head.as_abi(), batch.paths[1], sender=stranger)


def test_open__record_while_paused__is_refused(
    records, issue_records, supervisor, stranger, refused
):
    batch = issue_records()
    records.pause(sender=supervisor)

    with refused(records.EnforcedPause):
        records.open(*batch.proof(), sender=stranger)


def test_open__record_without_patient__is_refused(records, issue_records, stranger, refused):
    batch = issue_records(holder=ZERO_ADDRESS)

    with refused(records.PatientMissing, number=batch.number()):
        records.open(*batch.proof(), sender=stranger)


# Amendments


def test_open__amendment__is_the_newest_version(
    records, open_record, issue_records, hospital, ids, stranger, emits
):
    original = open_record()
    batch = issue_records(original)
    amendment = batch.number()

    receipt = records.open(*batch.proof(), sender=stranger)

    emits(
        receipt,
        records.RecordOpened(
            number=amendment,
            institution=ids[hospital],
            patient=batch.headers[0].patient,
            amends=original,
            recordType=1,
        ),
        records.RecordAmended(number=original, amendment=amendment, original=original),
    )
    for version in (original, amendment):
        assert records.latestOf(version) == amendment
        assert records.originalOf(version) == original
        assert records.amendmentsOf(version) == [amendment]


def test_open__amendment_of_an_amendment__lengthens_the_chain(
    records, open_record, issue_records, later_record_segment, stranger, emits
):
    original = open_record()
    first = open_record(original)
    # In another segment of the same hospital: a year later.
    batch = issue_records(first, segment=later_record_segment)

    receipt = records.open(*batch.proof(), sender=stranger)

    assert receipt.events[1] == records.RecordAmended(
        number=first, amendment=batch.number(), original=original
    )
    for version in (original, first, batch.number()):
        assert records.latestOf(version) == batch.number()
        assert records.amendmentsOf(version) == [first, batch.number()]


def test_open__amendment_of_an_older_version__is_refused(
    records, open_record, issue_records, stranger, refused
):
    original = open_record()
    first = open_record(original)
    batch = issue_records(original)

    with refused(records.RecordIsAmended, number=original, latest=first):
        records.open(*batch.proof(), sender=stranger)


def test_open__amendment_of_a_record_not_opened__is_refused(
    records, issue_records, stranger, refused
):
    batch = issue_records()
    amendment = issue_records(batch.number())

    with refused(records.RecordNotOpened, number=batch.number()):
        records.open(*amendment.proof(), sender=stranger)


def test_open__amendment_of_a_number_never_issued__is_refused(
    records, issue_records, record_segment, stranger, refused
):
    batch = issue_records(record_segment.last)

    with refused(records.RecordNotOpened, number=record_segment.last):
        records.open(*batch.proof(), sender=stranger)


def test_open__amendment_of_itself__is_refused(
    records, issue_records, record_segment, stranger, refused
):
    number = records.segmentOf(record_segment.id).next
    batch = issue_records(number)

    with refused(records.RecordNotOpened, number=number):
        records.open(*batch.proof(), sender=stranger)


def test_open__two_that_amend_each_other__neither_opens(
    records, issue_records, record_segment, stranger, refused
):
    first = records.segmentOf(record_segment.id).next
    batch = issue_records(first + 1, first)

    with refused(records.RecordNotOpened, number=first + 1):
        records.open(*batch.proof(0), sender=stranger)
    with refused(records.RecordNotOpened, number=first):
        records.open(*batch.proof(1), sender=stranger)


def test_open__amendment_by_another_hospital__is_refused(
    records, open_record, issue_records, other_record_segment, hospital, ids, stranger, refused
):
    original = open_record()
    batch = issue_records(original, segment=other_record_segment)

    with refused(records.RecordNotYours, number=original, institution=ids[hospital]):
        records.open(*batch.proof(), sender=stranger)


# Grants


@pytest.mark.parametrize("purpose", Purpose)
def test_grant__signed_by_the_patient__lets_one_institution_read_for_one_purpose(
    records, open_record, grant, pharmacy, other_pharmacy, ids, stranger, emits, purpose
):
    number = open_record()

    receipt = grant(number, pharmacy, purpose)

    emits(
        receipt,
        records.AccessGranted(
            number=number,
            institution=ids[pharmacy],
            purpose=purpose,
            sequence=0,
            until=FAR_FUTURE,
            by=stranger,
        ),
    )
    assert records.grantOf(number, ids[pharmacy], purpose) == (FAR_FUTURE, 1)
    granted = [
        (reader, one)
        for reader in (ids[pharmacy], ids[other_pharmacy])
        for one in Purpose
        if records.isGranted(number, reader, one)
    ]
    assert granted == [(ids[pharmacy], purpose)]


def test_grant__of_a_record__is_not_of_its_amendment(records, open_record, grant, pharmacy, ids):
    original = open_record()
    grant(original, pharmacy)

    amendment = open_record(original)

    assert records.isGranted(original, ids[pharmacy], Purpose.TREAT)
    assert not records.isGranted(amendment, ids[pharmacy], Purpose.TREAT)


def test_is_granted__last_second_of_the_grant__is_true_and_the_next_false(
    records, open_record, grant, pharmacy, ids, chain
):
    number = open_record()
    until = chain.pending_timestamp + 100
    grant(number, pharmacy, until=until)

    chain.mine(timestamp=until)
    assert records.isGranted(number, ids[pharmacy], Purpose.TREAT)
    chain.mine(timestamp=until + 1)
    assert not records.isGranted(number, ids[pharmacy], Purpose.TREAT)


def test_grant__after_its_last_second__is_refused(
    records, open_record, authorise_access, pharmacy, ids, chain, stranger, refused
):
    number = open_record()
    until = chain.pending_timestamp + 100
    signature = authorise_access(number, pharmacy, until=until)
    chain.pending_timestamp = until + 1

    with refused(records.AuthorisationExpired, number=number, deadline=until):
        records.grant(number, ids[pharmacy], Purpose.TREAT, until, signature, sender=stranger)


def test_grant__replayed_after_revocation__is_refused(
    records,
    open_record,
    authorise_access,
    authorise_revocation,
    patient,
    pharmacy,
    ids,
    stranger,
    refused,
):
    number, reader = open_record(), ids[pharmacy]
    signature = authorise_access(number, pharmacy)
    records.grant(number, reader, Purpose.TREAT, FAR_FUTURE, signature, sender=stranger)
    revocation = authorise_revocation(number, pharmacy)
    records.revoke(number, reader, Purpose.TREAT, revocation, sender=stranger)

    holder = patient.address("Record", number)
    with refused(records.AuthorisationInvalid, number=number, patient=holder):
        records.grant(number, reader, Purpose.TREAT, FAR_FUTURE, signature, sender=stranger)
    with refused(records.AuthorisationInvalid, number=number, patient=holder):
        records.revoke(number, reader, Purpose.TREAT, revocation, sender=stranger)
    assert not records.isGranted(number, reader, Purpose.TREAT)


@pytest.mark.parametrize(
    "change",
    [
        {"reader": "other_pharmacy"},
        {"purpose": Purpose.HRESCH},
        {"sequence": 1},
        {"until": FAR_FUTURE - 1},
        {"chain_id": 1},
        {"contract": "prescriptions"},
        {"key": "stranger_patient"},
        {"number": 1},
    ],
    ids=lambda change: next(iter(change)),
)
def test_grant__signed_for_something_else__is_refused(
    request,
    records,
    open_record,
    authorise_access,
    patient,
    pharmacy,
    ids,
    stranger,
    refused,
    change,
):
    number = open_record()
    given = {"number": number, "reader": pharmacy, **change}
    for name in {"reader", "contract", "key"} & change.keys():
        given[name] = request.getfixturevalue(change[name])
    if "contract" in change:
        given["contract"] = given["contract"].address
    signature = authorise_access(**given)

    with refused(
        records.AuthorisationInvalid, number=number, patient=patient.address("Record", number)
    ):
        records.grant(number, ids[pharmacy], Purpose.TREAT, FAR_FUTURE, signature, sender=stranger)


def test_grant__of_a_record_not_opened__is_refused(
    records, issue_records, authorise_access, pharmacy, ids, stranger, refused
):
    number = issue_records().number()
    signature = authorise_access(number, pharmacy)

    with refused(records.RecordNotOpened, number=number):
        records.grant(number, ids[pharmacy], Purpose.TREAT, FAR_FUTURE, signature, sender=stranger)


@pytest.mark.parametrize("purpose", [0, 5, 255])
def test_grant__for_no_purpose__is_refused(
    records,
    open_record,
    authorise_access,
    authorise_revocation,
    pharmacy,
    ids,
    stranger,
    refused,
    purpose,
):
    number, reader = open_record(), ids[pharmacy]

    with refused(records.PurposeInvalid, purpose=purpose):
        signature = authorise_access(number, pharmacy, purpose)
        records.grant(number, reader, purpose, FAR_FUTURE, signature, sender=stranger)
    with refused(records.PurposeInvalid, purpose=purpose):
        signature = authorise_revocation(number, pharmacy, purpose, 0)
        records.revoke(number, reader, purpose, signature, sender=stranger)


def test_grant__to_an_institution_that_is_not_active__is_refused(
    records, institutions, open_record, grant, pharmacy, ids, supervisor, refused
):
    number = open_record()
    institutions.suspend(ids[pharmacy], 1, sender=supervisor)

    with refused(records.NotAReader, institution=ids[pharmacy]):
        grant(number, pharmacy)


def test_release__record_that_was_never_held__is_refused(
    records, issue_records, record_segment, hospital, refused
):
    number = issue_records().number()

    # No record is born on hold, so there is nothing to release.
    with refused(records.DocumentNotHeld, number=number):
        records.release(record_segment.id, number, sender=hospital)


def test_grant__of_a_held_record__is_refused(
    records, open_record, grant, record_segment, hospital, pharmacy, refused
):
    number = open_record()
    records.hold(record_segment.id, number, sender=hospital)

    with refused(records.DocumentIsHeld, number=number):
        grant(number, pharmacy)


def test_grant__while_paused__is_refused_and_revoking_works(
    records, open_record, grant, authorise_revocation, pharmacy, ids, supervisor, stranger, refused
):
    number = open_record()
    grant(number, pharmacy)
    records.pause(sender=supervisor)

    with refused(records.EnforcedPause):
        grant(number, pharmacy, sequence=1)
    revocation = authorise_revocation(number, pharmacy)
    records.revoke(number, ids[pharmacy], Purpose.TREAT, revocation, sender=stranger)


def test_grant__again__takes_the_place_of_the_one_before(
    records, open_record, grant, pharmacy, ids, chain
):
    number = open_record()
    grant(number, pharmacy)
    until = chain.pending_timestamp + DAY

    grant(number, pharmacy, sequence=1, until=until)

    assert records.grantOf(number, ids[pharmacy], Purpose.TREAT) == (until, 2)


def test_revoke__granted__ends_it_at_once(
    records, open_record, grant, authorise_revocation, pharmacy, ids, stranger, emits
):
    number = open_record()
    grant(number, pharmacy)

    receipt = records.revoke(
        number,
        ids[pharmacy],
        Purpose.TREAT,
        authorise_revocation(number, pharmacy),
        sender=stranger,
    )

    emits(
        receipt,
        records.AccessRevoked(
            number=number, institution=ids[pharmacy], purpose=1, sequence=1, by=stranger
        ),
    )
    assert not records.isGranted(number, ids[pharmacy], Purpose.TREAT)
    assert records.grantOf(number, ids[pharmacy], Purpose.TREAT) == (0, 2)


def test_revoke__before_the_grant_is_relayed__keeps_it_from_ever_counting(
    records, open_record, grant, authorise_revocation, patient, pharmacy, ids, stranger, refused
):
    number = open_record()
    revocation = authorise_revocation(number, pharmacy, sequence=0)
    records.revoke(number, ids[pharmacy], Purpose.TREAT, revocation, sender=stranger)

    with refused(
        records.AuthorisationInvalid, number=number, patient=patient.address("Record", number)
    ):
        grant(number, pharmacy)


def test_revoke__not_by_the_patient__is_refused(
    records,
    open_record,
    grant,
    authorise_revocation,
    patient,
    stranger_patient,
    pharmacy,
    ids,
    stranger,
    refused,
):
    number = open_record()
    grant(number, pharmacy)
    forged = authorise_revocation(number, pharmacy, key=stranger_patient)

    with refused(
        records.AuthorisationInvalid, number=number, patient=patient.address("Record", number)
    ):
        records.revoke(number, ids[pharmacy], Purpose.TREAT, forged, sender=stranger)
    assert records.isGranted(number, ids[pharmacy], Purpose.TREAT)


# Reads


def test_anchor_reads__once_a_day__keeps_root_and_count(
    records, hospital, other_hospital, ids, today, emits
):
    day = today()
    records.anchorReads(day - 1, 3, ROOT, sender=hospital)

    receipt = records.anchorReads(day, 7, ROOT[::-1], sender=hospital)

    emits(
        receipt,
        records.ReadsAnchored(
            institution=ids[hospital], day=day, count=7, root=ROOT[::-1], by=hospital
        ),
    )
    assert records.readsOf(ids[hospital], day - 1) == (ROOT, 3)
    assert records.readsOf(ids[hospital], day) == (ROOT[::-1], 7)
    assert records.lastAnchoredDayOf(ids[hospital]) == day
    assert records.readsOf(ids[other_hospital], day) == (bytes(32), 0)
    assert records.lastAnchoredDayOf(ids[other_hospital]) == 0


def test_anchor_reads__by_two_hospitals__each_has_its_own(
    records, hospital, other_hospital, ids, today
):
    day = today()

    records.anchorReads(day, 1, ROOT, sender=hospital)
    records.anchorReads(day, 2, ROOT, sender=other_hospital)

    assert [records.readsOf(ids[one], day).count for one in (hospital, other_hospital)] == [1, 2]


@pytest.mark.parametrize("back", [0, 1])
def test_anchor_reads__same_or_earlier_day__is_refused(
    records, hospital, ids, today, refused, back
):
    day = today()
    records.anchorReads(day, 1, ROOT, sender=hospital)

    with refused(records.DayIsAnchored, institution=ids[hospital], day=day - back, last=day):
        records.anchorReads(day - back, 2, ROOT, sender=hospital)


def test_anchor_reads__of_tomorrow__is_refused(records, hospital, chain, today, refused):
    chain.pending_timestamp = (today() + 1) * DAY - 1
    day = today()

    with refused(records.DayInFuture, day=day + 1, today=day):
        records.anchorReads(day + 1, 1, ROOT, sender=hospital)
    chain.pending_timestamp = (day + 1) * DAY
    records.anchorReads(day + 1, 1, ROOT, sender=hospital)


def test_anchor_reads__of_nothing__is_refused(records, hospital, today, refused):
    with refused(records.NothingRead, day=today()):
        records.anchorReads(today(), 0, bytes(32), sender=hospital)


def test_anchor_reads__by_somebody_who_is_no_hospital__is_refused(
    records, institutions, pharmacy, ids, today, refused
):
    with refused(institutions.KindMissing, institution=ids[pharmacy], kind=Kind.HOSPITAL):
        records.anchorReads(today(), 1, ROOT, sender=pharmacy)
