"""Licences: opened, renewed, suspended, revoked, and right about every second of the past."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from ape.utils import ZERO_ADDRESS

from medledger.core.canonical import canonical
from medledger.core.hashing import keccak256
from medledger.core.sealing import body_hash, field_digest
from medledger.core.states import Kind

DAY = 24 * 3600
FAR_FUTURE = 4_102_444_800
FIELDS = {"holderName": "测试医师", "licenceCode": "D460000001", "scope": "内科"}
NAMES = tuple(sorted(FIELDS))
SALTS = {name: keccak256(name.encode()) for name in NAMES}
MAX_INTERRUPTIONS = 15


@pytest.fixture
def now(chain):
    return lambda: chain.blocks.head.timestamp


@pytest.fixture
def is_valid_at(licences):
    """The answer for each of these seconds."""
    return lambda number, *times: [licences.isValidAt(number, time) for time in times]


# Opening


def test_open__licence_with_its_proof__stores_its_validity(
    licences, issue_licences, stranger, emits
):
    batch = issue_licences(3, licence_type=12, valid_from=100, valid_until=FAR_FUTURE)
    number = batch.number(1)

    receipt = licences.open(*batch.proof(1), sender=stranger)

    emits(
        receipt,
        licences.LicenceOpened(number=number, licenceType=12, validFrom=100, validUntil=FAR_FUTURE),
    )
    assert licences.licenceOf(number) == (12, 100, FAR_FUTURE, 0, 0, 0)
    assert licences.licencesOf([batch.number(0), number]) == [
        (0, 0, 0, 0, 0, 0),
        licences.licenceOf(number),
    ]
    assert licences.interruptionsOf(number) == []


def test_open__twice__proves_again_and_changes_nothing(
    licences, issue_licences, licence_segment, authority, stranger, emits
):
    batch = issue_licences()
    licences.open(*batch.proof(), sender=stranger)
    licences.renew(licence_segment.id, batch.number(), FAR_FUTURE + 1, 1, sender=authority)

    receipt = licences.open(*batch.proof(), sender=stranger)

    emits(receipt)
    assert licences.licenceOf(batch.number()).validUntil == FAR_FUTURE + 1


@pytest.mark.parametrize(
    "change",
    [
        {"licence_type": 8},
        {"holder": "0x" + "11" * 20},
        {"valid_from": 0},
        {"valid_until": FAR_FUTURE + 1},
        {"body": bytes(32)},
    ],
    ids=lambda change: next(iter(change)),
)
def test_open__forged_licence__is_refused(licences, issue_licences, stranger, refused, change):
    batch = issue_licences(5)
    forged = replace(batch.headers[2], **change)

    with refused(licences.ProofInvalid, number=forged.number):
        licences.open(forged.as_abi(), batch.head.as_abi(), batch.paths[2], sender=stranger)


def test_open__licence_while_paused__is_refused(
    licences, issue_licences, supervisor, stranger, refused
):
    batch = issue_licences()
    licences.pause(sender=supervisor)

    with refused(licences.EnforcedPause):
        licences.open(*batch.proof(), sender=stranger)


def test_open__licence_without_holder__is_refused(licences, issue_licences, stranger, refused):
    batch = issue_licences(holder=ZERO_ADDRESS)

    with refused(licences.HolderMissing, number=batch.number()):
        licences.open(*batch.proof(), sender=stranger)


@pytest.mark.parametrize(("valid_from", "valid_until"), [(10, 9), (0, 0)])
def test_open__licence_of_no_second__is_refused(
    licences, issue_licences, stranger, refused, valid_from, valid_until
):
    batch = issue_licences(valid_from=valid_from, valid_until=valid_until)

    with refused(
        licences.LicenceValidityInvalid,
        number=batch.number(),
        validFrom=valid_from,
        validUntil=valid_until,
    ):
        licences.open(*batch.proof(), sender=stranger)


def test_issue__by_a_hospital__is_refused(
    licences, institutions, licence_segment, hospital, ids, refused
):
    with refused(institutions.KindMissing, institution=ids[hospital], kind=Kind.AUTHORITY):
        licences.issue(licence_segment.id, licence_segment.first, 1, bytes(32), sender=hospital)


# Valid at a time


def test_is_valid_at__not_opened__is_false(licences, issue_licences, is_valid_at, now):
    batch = issue_licences()

    assert is_valid_at(batch.number(), 0, 1, now(), FAR_FUTURE) == [False] * 4


def test_is_valid_at__opened__is_true_from_the_first_to_the_last_second(open_licence, is_valid_at):
    number = open_licence(valid_from=1_000, valid_until=2_000)

    assert is_valid_at(number, 0, 999, 1_000, 2_000, 2_001, 2**64 - 1) == [
        False,
        False,
        True,
        True,
        False,
        False,
    ]


def test_suspend__then_lift__leaves_a_gap_of_exactly_that_time(
    licences, open_licence, licence_segment, authority, chain, emits, is_valid_at
):
    number = open_licence()
    begin = chain.pending_timestamp + 100
    chain.pending_timestamp = begin
    suspended = licences.suspend(licence_segment.id, number, 3, sender=authority)
    assert is_valid_at(number, begin - 1, begin, FAR_FUTURE) == [True, False, False]
    assert licences.licenceOf(number) == (7, 1, FAR_FUTURE, begin, 0, 0)
    chain.pending_timestamp = begin + 50

    lifted = licences.lift(licence_segment.id, number, 4, sender=authority)

    emits(suspended, licences.LicenceSuspended(number=number, reason=3, by=authority))
    emits(lifted, licences.SuspensionLifted(number=number, reason=4, by=authority))
    assert licences.licenceOf(number) == (7, 1, FAR_FUTURE, 0, 0, 1)
    assert licences.interruptionsOf(number) == [(begin, begin + 49)]
    times = (begin - 1, begin, begin + 49, begin + 50)
    assert is_valid_at(number, *times) == [True, False, False, True]


def test_lift__in_the_second_of_the_suspension__leaves_no_gap(
    licences, open_licence, licence_segment, authority, chain, is_valid_at
):
    number = open_licence()
    # Two transactions in one block.
    chain.provider.auto_mine = False
    try:
        suspend = licences.suspend.as_transaction(
            licence_segment.id, number, 3, sender=authority, gas_limit=200_000
        )
        signed = [authority.sign_transaction(suspend)]
        lift = licences.lift.as_transaction(
            licence_segment.id,
            number,
            4,
            sender=authority,
            gas_limit=200_000,
            nonce=suspend.nonce + 1,
        )
        signed.append(authority.sign_transaction(lift))
        for transaction in signed:
            raw = transaction.serialize_transaction()
            chain.provider.web3.eth.send_raw_transaction(raw)
        chain.mine()
    finally:
        chain.provider.auto_mine = True

    time = chain.blocks.head.timestamp
    assert len(chain.blocks.head.transactions) == 2
    assert licences.licenceOf(number) == (7, 1, FAR_FUTURE, 0, 0, 0)
    assert is_valid_at(number, time - 1, time, time + 1) == [True] * 3


def test_revoke__from_then_on__is_never_valid_again(
    licences, open_licence, licence_segment, authority, chain, emits, is_valid_at
):
    number = open_licence()
    time = chain.pending_timestamp + 100
    chain.pending_timestamp = time

    receipt = licences.revoke(licence_segment.id, number, 9, sender=authority)

    emits(receipt, licences.LicenceRevoked(number=number, reason=9, by=authority))
    assert licences.licenceOf(number) == (7, 1, FAR_FUTURE, 0, time, 0)
    assert is_valid_at(number, time - 1, time, FAR_FUTURE) == [True, False, False]


def test_revoke__then_any_other_act__is_refused(
    licences, open_licence, licence_segment, authority, refused
):
    number = open_licence()
    receipt = licences.revoke(licence_segment.id, number, 9, sender=authority)
    acts = [
        (licences.renew, (FAR_FUTURE, 1)),
        (licences.suspend, (1,)),
        (licences.lift, (1,)),
        (licences.revoke, (1,)),
    ]

    for act, arguments in acts:
        with refused(licences.LicenceIsRevoked, number=number, revokedFrom=receipt.timestamp):
            act(licence_segment.id, number, *arguments, sender=authority)


def test_renew__before_its_end__moves_the_end_without_a_gap(
    licences, open_licence, licence_segment, authority, now, emits, is_valid_at
):
    end = now() + 10 * DAY
    number = open_licence(valid_until=end)

    receipt = licences.renew(licence_segment.id, number, end + DAY, 2, sender=authority)

    emits(
        receipt,
        licences.LicenceRenewed(number=number, validUntil=end + DAY, reason=2, by=authority),
    )
    assert licences.licenceOf(number) == (7, 1, end + DAY, 0, 0, 0)
    assert is_valid_at(number, end, end + 1, end + DAY, end + DAY + 1) == [
        True,
        True,
        True,
        False,
    ]


def test_renew__after_its_end__is_not_valid_in_hindsight(
    licences, open_licence, licence_segment, authority, chain, is_valid_at
):
    end = chain.pending_timestamp + 100
    number = open_licence(valid_until=end)
    renewed = end + 500
    chain.pending_timestamp = renewed

    licences.renew(licence_segment.id, number, FAR_FUTURE, 2, sender=authority)

    assert licences.interruptionsOf(number) == [(end + 1, renewed - 1)]
    assert is_valid_at(number, end, end + 1, renewed - 1, renewed) == [True, False, False, True]


def test_renew__while_suspended__stays_suspended(
    licences, open_licence, licence_segment, authority, chain, is_valid_at
):
    end = chain.pending_timestamp + 100
    number = open_licence(valid_until=end)
    begin = licences.suspend(licence_segment.id, number, 1, sender=authority).timestamp
    renewed, lifted = end + 500, end + 900
    chain.pending_timestamp = renewed
    licences.renew(licence_segment.id, number, FAR_FUTURE, 2, sender=authority)
    assert is_valid_at(number, begin - 1, begin, renewed, FAR_FUTURE) == [True] + [False] * 3
    chain.pending_timestamp = lifted

    licences.lift(licence_segment.id, number, 3, sender=authority)

    assert licences.interruptionsOf(number) == [(end + 1, renewed - 1), (begin, lifted - 1)]
    times = (begin - 1, begin, end, end + 1, renewed, lifted - 1, lifted)
    assert is_valid_at(number, *times) == [True] + [False] * 5 + [True]


def test_renew__shortened_to_this_second__ends_it_and_changes_no_past(
    licences, open_licence, licence_segment, authority, chain, is_valid_at
):
    number = open_licence()
    time = chain.pending_timestamp + 100
    chain.pending_timestamp = time

    licences.renew(licence_segment.id, number, time, 2, sender=authority)

    assert is_valid_at(number, time - 1, time, time + 1) == [True, True, False]


def test_renew__into_the_past__is_refused(
    licences, open_licence, licence_segment, authority, chain, refused
):
    number = open_licence()
    time = chain.pending_timestamp + 100
    chain.pending_timestamp = time

    with refused(licences.LicenceValidityInvalid, number=number, validFrom=1, validUntil=time - 1):
        licences.renew(licence_segment.id, number, time - 1, 2, sender=authority)


def test_renew__to_before_it_begins__is_refused(
    licences, open_licence, licence_segment, authority, refused
):
    number = open_licence(valid_from=FAR_FUTURE - 1)

    with refused(
        licences.LicenceValidityInvalid,
        number=number,
        validFrom=FAR_FUTURE - 1,
        validUntil=FAR_FUTURE - 2,
    ):
        licences.renew(licence_segment.id, number, FAR_FUTURE - 2, 2, sender=authority)


def test_renew__not_opened__is_refused(
    licences, issue_licences, licence_segment, authority, refused
):
    number = issue_licences().number()

    with refused(licences.LicenceNotOpened, number=number):
        licences.renew(licence_segment.id, number, FAR_FUTURE, 2, sender=authority)


def test_suspend__twice__is_refused(licences, open_licence, licence_segment, authority, refused):
    number = open_licence()
    receipt = licences.suspend(licence_segment.id, number, 1, sender=authority)

    with refused(licences.LicenceIsSuspended, number=number, suspendedFrom=receipt.timestamp):
        licences.suspend(licence_segment.id, number, 1, sender=authority)


def test_lift__not_suspended__is_refused(
    licences, open_licence, licence_segment, authority, refused
):
    number = open_licence()

    with refused(licences.LicenceNotSuspended, number=number):
        licences.lift(licence_segment.id, number, 1, sender=authority)


@pytest.mark.parametrize("act", ["suspend", "revoke"])
def test_act__before_opening__counts_after_it(
    licences, issue_licences, licence_segment, authority, stranger, is_valid_at, now, act
):
    batch = issue_licences()
    number = batch.number()
    time = getattr(licences, act)(licence_segment.id, number, 1, sender=authority).timestamp

    licences.open(*batch.proof(), sender=stranger)

    assert is_valid_at(number, time - 1, time, now()) == [True, False, False]


@pytest.mark.parametrize(
    ("act", "arguments"),
    [("renew", (FAR_FUTURE, 1)), ("suspend", (1,)), ("lift", (1,)), ("revoke", (1,))],
)
def test_act__on_another_authoritys_licence__is_refused(
    licences,
    open_licence,
    licence_segment,
    other_licence_segment,
    authority,
    other_authority,
    ids,
    refused,
    act,
    arguments,
):
    number = open_licence()

    with refused(licences.SegmentNotYours, segment=licence_segment.id, institution=ids[authority]):
        getattr(licences, act)(licence_segment.id, number, *arguments, sender=other_authority)
    with refused(licences.NumberOutsideSegment, number=number, segment=other_licence_segment.id):
        getattr(licences, act)(other_licence_segment.id, number, *arguments, sender=other_authority)


def test_lift__after_fifteen_interruptions__is_refused_and_revoking_still_works(
    licences, open_licence, licence_segment, authority, chain, refused, is_valid_at
):
    number = open_licence()
    gaps = []
    for _ in range(MAX_INTERRUPTIONS):
        begin = licences.suspend(licence_segment.id, number, 1, sender=authority).timestamp
        chain.pending_timestamp = begin + 10
        licences.lift(licence_segment.id, number, 1, sender=authority)
        gaps.append((begin, begin + 9))
        chain.pending_timestamp = begin + 20
    assert licences.interruptionsOf(number) == gaps
    for begin, end in gaps:
        times = (begin - 1, begin, end, end + 1)
        assert is_valid_at(number, *times) == [True, False, False, True]
    begin = licences.suspend(licence_segment.id, number, 1, sender=authority).timestamp
    chain.pending_timestamp = begin + 1

    with refused(licences.HistoryFull, number=number):
        licences.lift(licence_segment.id, number, 1, sender=authority)

    licences.revoke(licence_segment.id, number, 1, sender=authority)


def test_renew__late_with_a_full_history__is_refused(
    licences, open_licence, licence_segment, authority, chain, refused
):
    end = chain.pending_timestamp + 1_000
    number = open_licence(valid_until=end)
    for _ in range(MAX_INTERRUPTIONS):
        begin = licences.suspend(licence_segment.id, number, 1, sender=authority).timestamp
        chain.pending_timestamp = begin + 2
        licences.lift(licence_segment.id, number, 1, sender=authority)
    chain.pending_timestamp = end + 10

    with refused(licences.HistoryFull, number=number):
        licences.renew(licence_segment.id, number, FAR_FUTURE, 1, sender=authority)


@pytest.mark.parametrize("seed", range(4))
def test_is_valid_at__any_sequence_of_acts__changes_no_answer_about_the_past(
    licences, open_licence, licence_segment, authority, chain, seed
):
    chance = random.Random(seed)
    start = chain.pending_timestamp
    number = open_licence(valid_from=start + 5, valid_until=start + 30)
    known: dict[int, bool] = {}
    time = chain.blocks.head.timestamp
    for _ in range(14):
        for second in range(start, time + 1):
            answer = licences.isValidAt(number, second)
            # What was said of this second when it had passed holds for ever.
            assert known.setdefault(second, answer) == answer, (seed, second)
        time += chance.randint(2, 12)
        chain.pending_timestamp = time
        # The second of the act itself may turn: nobody has been told of it yet.
        is_suspended = licences.licenceOf(number).suspendedFrom != 0
        act = chance.choice(["renew", "lift" if is_suspended else "suspend"])
        arguments = (max(time, start + 5) + chance.randint(0, 15), 1) if act == "renew" else (1,)
        getattr(licences, act)(licence_segment.id, number, *arguments, sender=authority)

    assert set(known.values()) == {True, False}


# Comparison with what is presented


@pytest.fixture
def presented(issue_licences):
    """A licence with sealed fields, and the arguments that show one of them."""
    digests = [field_digest(SALTS[name], name, FIELDS[name]) for name in NAMES]
    batch = issue_licences(3, body=body_hash(NAMES, digests))

    def arguments(name="holderName", value=None, **changes):
        shown = {
            "names_hash": keccak256(canonical(list(NAMES))),
            "digests": digests,
            "index": NAMES.index(name),
            "salt": SALTS[name],
            "pair": canonical([name, FIELDS[name] if value is None else value]),
            **changes,
        }
        return (*batch.proof(1), *shown.values())

    return arguments


@pytest.mark.parametrize("name", NAMES)
def test_matches__the_sealed_field__is_true(licences, presented, name):
    assert licences.matches(*presented(name))


@pytest.mark.parametrize(
    "change",
    [
        {"value": "测试医生"},
        {"salt": keccak256(b"another salt")},
        {"index": 1},
        {"index": len(NAMES)},
        {"index": 2**256 - 1},
        {"names_hash": keccak256(canonical(["holderName", "licenceCode"]))},
        {"digests": []},
        {"digests": [keccak256(b"digest")] * len(NAMES)},
        {"pair": canonical(["licenceCode", FIELDS["holderName"]])},
        {"pair": b""},
    ],
    ids=str,
)
def test_matches__anything_else__is_false(licences, presented, change):
    assert not licences.matches(*presented(**change))


def test_matches__digests_of_ones_own_making__is_false(licences, presented):
    """A forger can make a list in which the field is right: it is not the body's."""
    forged = field_digest(SALTS["holderName"], "holderName", "forger")
    place = NAMES.index("holderName")
    digests = list(presented()[4])
    digests[place] = forged

    assert not licences.matches(*presented(value="forger", digests=digests))


def test_matches__header_that_was_not_issued__is_refused(licences, presented, stranger, refused):
    header, head, path, *shown = presented()
    forged = (*header[:2], header[2] + 1, *header[3:])

    with refused(licences.ProofInvalid, number=header[0]):
        licences.matches.transact(forged, head, path, *shown, sender=stranger)


def test_matches__asked__leaves_nothing_on_chain(licences, presented, chain):
    before = chain.blocks.head.number

    licences.matches(*presented())

    assert chain.blocks.head.number == before
