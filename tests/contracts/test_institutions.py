"""Accreditation, operators, suspension: who may act, and since when."""

from __future__ import annotations

import pytest
from ape.utils import ZERO_ADDRESS

from medledger.core.hashing import name_hash
from medledger.core.states import Kind

NAME = name_hash("a new institution")
UINT64_MAX = 2**64 - 1


@pytest.fixture
def key(new_account):
    """A key that nobody has used."""
    return new_account()


@pytest.fixture
def accredit(institutions, supervisor, key, far_future):
    """Accredits a hospital with a fresh key; keyword arguments replace what is given."""

    def act(sender=supervisor, **changes):
        given = {
            "kinds": Kind.HOSPITAL,
            "region": 469023,
            "nameHash": NAME,
            "validFrom": 1,
            "validUntil": far_future,
            "operator": key,
        }
        return institutions.accredit(*(given | changes).values(), sender=sender)

    return act


# Deploying


def test_deploy__first_supervisor__is_institution_one(project, supervisor, key, emits):
    contract = project.Institutions.deploy(NAME, 460000, key, sender=supervisor)

    receipt = contract.creation_metadata.receipt
    now = receipt.timestamp
    emits(
        receipt,
        contract.InstitutionAccredited(
            institution=1,
            kinds=Kind.SUPERVISOR,
            region=460000,
            nameHash=NAME,
            validFrom=now,
            validUntil=UINT64_MAX,
            by=supervisor,
        ),
        contract.OperatorAdded(operator=key, institution=1, by=supervisor),
    )
    assert contract.institutionCount() == 1
    assert contract.institutionOf(1) == (Kind.SUPERVISOR, False, 460000, now, UINT64_MAX, NAME)
    assert contract.operatorOf(key) == (1, now, 0)
    assert contract.authorise(key, Kind.SUPERVISOR) == 1
    assert contract.operatorOf(supervisor) == (0, 0, 0)


def test_deploy__region_of_seven_digits__is_refused(project, supervisor, refused):
    with refused(project.Institutions.RegionInvalid, region=1_000_000):
        project.Institutions.deploy(NAME, 1_000_000, supervisor, sender=supervisor)


def test_deploy__no_operator__is_refused(project, supervisor, refused):
    with refused(project.Institutions.OperatorInvalid):
        project.Institutions.deploy(NAME, 0, ZERO_ADDRESS, sender=supervisor)


# Accrediting


def test_accredit__by_a_supervisor__stores_the_record_and_its_first_key(
    institutions, supervisor, accredit, key, emits, far_future
):
    before = institutions.institutionCount()
    neighbour = institutions.institutionOf(before)

    receipt = accredit()

    institution = before + 1
    assert receipt.return_value == institution
    emits(
        receipt,
        institutions.InstitutionAccredited(
            institution=institution,
            kinds=Kind.HOSPITAL,
            region=469023,
            nameHash=NAME,
            validFrom=1,
            validUntil=far_future,
            by=supervisor,
        ),
        institutions.OperatorAdded(operator=key, institution=institution, by=supervisor),
    )
    assert institutions.institutionCount() == institution
    assert institutions.institutionOf(institution) == (
        Kind.HOSPITAL,
        False,
        469023,
        1,
        far_future,
        NAME,
    )
    assert institutions.operatorOf(key) == (institution, receipt.timestamp, 0)
    assert institutions.authorise(key, Kind.HOSPITAL) == institution
    assert institutions.isActiveAs(institution, Kind.HOSPITAL)
    assert not institutions.isActiveAs(institution, Kind.PHARMACY)
    assert institutions.institutionOf(before) == neighbour


def test_accredit__all_kinds_at_once__may_act_as_each(institutions, accredit, key):
    institution = accredit(kinds=sum(Kind)).return_value

    for kind in (Kind.HOSPITAL, Kind.PHARMACY, Kind.COURIER, Kind.PAYER, Kind.SUPERVISOR):
        assert institutions.authorise(key, kind) == institution
        assert institutions.isActiveAs(institution, kind)


@pytest.mark.parametrize("unknown", [0, 64, 65, 255])
def test_accredit__no_kind_or_an_unknown_one__is_refused(institutions, accredit, refused, unknown):
    with refused(institutions.KindsInvalid, kinds=unknown):
        accredit(kinds=unknown)


def test_accredit__region_of_six_nines__is_accepted(institutions, accredit):
    institution = accredit(region=999_999).return_value

    assert institutions.institutionOf(institution).region == 999_999


def test_accredit__region_of_seven_digits__is_refused(institutions, accredit, refused):
    with refused(institutions.RegionInvalid, region=1_000_000):
        accredit(region=1_000_000)


def test_accredit__ends_before_it_begins__is_refused(institutions, accredit, refused, far_future):
    with refused(institutions.ValidityInvalid, validFrom=far_future + 1, validUntil=far_future):
        accredit(validFrom=far_future + 1)


def test_accredit__ended_a_second_ago__is_refused(institutions, accredit, refused, chain):
    now = chain.pending_timestamp + 100
    chain.pending_timestamp = now

    with refused(institutions.ValidityInvalid, validFrom=1, validUntil=now - 1):
        accredit(validUntil=now - 1)


def test_accredit__for_this_second_only__is_active_now_and_not_a_second_later(
    institutions, accredit, key, supervisor, refused, chain
):
    now = chain.pending_timestamp + 100
    chain.pending_timestamp = now

    institution = accredit(validFrom=now, validUntil=now).return_value

    assert institutions.isActiveAs(institution, Kind.HOSPITAL)
    assert institutions.authorise(key, Kind.HOSPITAL) == institution
    chain.mine(timestamp=now + 1)
    assert not institutions.isActiveAs(institution, Kind.HOSPITAL)
    with refused(
        institutions.OutsideAccreditation, institution=institution, validFrom=now, validUntil=now
    ):
        institutions.authorise.transact(key, Kind.HOSPITAL, sender=supervisor)


def test_accredit__begins_later__is_inactive_until_that_second(
    institutions, accredit, key, supervisor, refused, chain, far_future
):
    start = chain.pending_timestamp + 1_000

    institution = accredit(validFrom=start).return_value

    chain.pending_timestamp = start - 1
    with refused(
        institutions.OutsideAccreditation,
        institution=institution,
        validFrom=start,
        validUntil=far_future,
    ):
        institutions.authorise.transact(key, Kind.HOSPITAL, sender=supervisor)
    assert not institutions.isActiveAs(institution, Kind.HOSPITAL)
    chain.mine(timestamp=start)
    assert institutions.isActiveAs(institution, Kind.HOSPITAL)
    assert institutions.authorise(key, Kind.HOSPITAL) == institution


def test_accredit__key_of_another_institution__is_refused(
    institutions, accredit, refused, pharmacy
):
    with refused(institutions.OperatorKnown, operator=pharmacy):
        accredit(operator=pharmacy)


def test_accredit__no_operator__is_refused(institutions, accredit, refused):
    with refused(institutions.OperatorInvalid):
        accredit(operator=ZERO_ADDRESS)


# Renewing


def test_renew__by_a_supervisor__moves_the_end_only(
    institutions, ids, hospital, other_hospital, supervisor, emits
):
    before = institutions.institutionOf(ids[hospital])
    neighbour = institutions.institutionOf(ids[other_hospital])

    receipt = institutions.renew(ids[hospital], UINT64_MAX, sender=supervisor)

    emits(
        receipt,
        institutions.InstitutionRenewed(
            institution=ids[hospital], validUntil=UINT64_MAX, by=supervisor
        ),
    )
    after = institutions.institutionOf(ids[hospital])
    assert after.validUntil == UINT64_MAX
    assert after[:4] == before[:4]
    assert after.nameHash == before.nameHash
    assert institutions.institutionOf(ids[other_hospital]) == neighbour


def test_renew__end_brought_forward_to_now__ends_after_this_second(
    institutions, ids, hospital, supervisor, chain
):
    now = chain.pending_timestamp + 100
    chain.pending_timestamp = now

    institutions.renew(ids[hospital], now, sender=supervisor)

    assert institutions.isActiveAs(ids[hospital], Kind.HOSPITAL)
    chain.mine(timestamp=now + 1)
    assert not institutions.isActiveAs(ids[hospital], Kind.HOSPITAL)


def test_renew__after_the_end__makes_it_active_again(
    institutions, ids, hospital, supervisor, chain, far_future
):
    now = chain.pending_timestamp + 100
    chain.pending_timestamp = now
    institutions.renew(ids[hospital], now, sender=supervisor)
    chain.mine(timestamp=now + 1)

    institutions.renew(ids[hospital], far_future, sender=supervisor)

    assert institutions.isActiveAs(ids[hospital], Kind.HOSPITAL)


def test_renew__into_the_past__is_refused(institutions, ids, hospital, supervisor, refused, chain):
    now = chain.pending_timestamp + 100
    chain.pending_timestamp = now

    with refused(institutions.ValidityInvalid, validFrom=1, validUntil=now - 1):
        institutions.renew(ids[hospital], now - 1, sender=supervisor)


def test_renew__before_its_beginning__is_refused(
    institutions, accredit, supervisor, refused, far_future
):
    institution = accredit(validFrom=far_future).return_value

    with refused(institutions.ValidityInvalid, validFrom=far_future, validUntil=far_future - 1):
        institutions.renew(institution, far_future - 1, sender=supervisor)


@pytest.mark.parametrize("unknown", [0, 99])
def test_renew__unknown_institution__is_refused(
    institutions, supervisor, refused, far_future, unknown
):
    with refused(institutions.InstitutionUnknown, institution=unknown):
        institutions.renew(unknown, far_future, sender=supervisor)


# Adding operators


@pytest.mark.parametrize("by", ["supervisor", "hospital"])
def test_add_operator__by_a_supervisor_or_the_institution__may_act_at_once(
    institutions, ids, roles, hospital, key, emits, by
):
    sender = getattr(roles, by)

    receipt = institutions.addOperator(ids[hospital], key, sender=sender)

    emits(
        receipt,
        institutions.OperatorAdded(operator=key, institution=ids[hospital], by=sender),
    )
    assert institutions.operatorOf(key) == (ids[hospital], receipt.timestamp, 0)
    assert institutions.authorise(key, Kind.HOSPITAL) == ids[hospital]
    assert institutions.authorise(hospital, Kind.HOSPITAL) == ids[hospital]


def test_add_operator__by_a_supervisor_to_a_suspended_institution__is_recorded(
    institutions, ids, hospital, supervisor, key
):
    institutions.suspend(ids[hospital], 1, sender=supervisor)

    institutions.addOperator(ids[hospital], key, sender=supervisor)

    assert institutions.operatorOf(key).institution == ids[hospital]


def test_add_operator__by_another_institution__is_refused(
    institutions, ids, hospital, other_hospital, key, refused
):
    with refused(institutions.NotTheInstitution, institution=ids[hospital], account=other_hospital):
        institutions.addOperator(ids[hospital], key, sender=other_hospital)


def test_add_operator__by_a_removed_key_of_the_institution__is_refused(
    institutions, ids, hospital, hospital_second_key, key, refused
):
    institutions.removeOperator(hospital_second_key, sender=hospital)

    with refused(
        institutions.NotTheInstitution, institution=ids[hospital], account=hospital_second_key
    ):
        institutions.addOperator(ids[hospital], key, sender=hospital_second_key)


def test_add_operator__by_its_suspended_institution__is_refused(
    institutions, ids, hospital, supervisor, key, refused
):
    institutions.suspend(ids[hospital], 1, sender=supervisor)

    with refused(institutions.InstitutionIsSuspended, institution=ids[hospital]):
        institutions.addOperator(ids[hospital], key, sender=hospital)


def test_add_operator__by_its_institution_after_the_accreditation__is_refused(
    institutions, ids, hospital, supervisor, key, refused, chain
):
    end = chain.pending_timestamp + 100
    institutions.renew(ids[hospital], end, sender=supervisor)
    chain.pending_timestamp = end + 1

    with refused(
        institutions.OutsideAccreditation,
        institution=ids[hospital],
        validFrom=1,
        validUntil=end,
    ):
        institutions.addOperator(ids[hospital], key, sender=hospital)


def test_add_operator__by_a_suspended_supervisor__is_refused(
    institutions, ids, hospital, supervisor, other_supervisor, key, refused
):
    institutions.suspend(ids[other_supervisor], 1, sender=supervisor)

    with refused(
        institutions.NotTheInstitution, institution=ids[hospital], account=other_supervisor
    ):
        institutions.addOperator(ids[hospital], key, sender=other_supervisor)


def test_add_operator__by_a_removed_key_of_a_supervisor__is_refused(
    institutions, ids, hospital, supervisor, key, refused, new_account
):
    second = new_account()
    institutions.addOperator(ids[supervisor], second, sender=supervisor)
    institutions.removeOperator(second, sender=supervisor)

    with refused(institutions.NotTheInstitution, institution=ids[hospital], account=second):
        institutions.addOperator(ids[hospital], key, sender=second)


def test_add_operator__unknown_institution__is_refused(institutions, supervisor, key, refused):
    with refused(institutions.InstitutionUnknown, institution=99):
        institutions.addOperator(99, key, sender=supervisor)


def test_add_operator__zero_address__is_refused(institutions, ids, hospital, refused):
    with refused(institutions.OperatorInvalid):
        institutions.addOperator(ids[hospital], ZERO_ADDRESS, sender=hospital)


@pytest.mark.parametrize("known", ["hospital", "pharmacy", "supervisor"])
def test_add_operator__key_that_acts_already__is_refused(
    institutions, ids, roles, hospital, refused, known
):
    account = getattr(roles, known)

    with refused(institutions.OperatorKnown, operator=account):
        institutions.addOperator(ids[hospital], account, sender=hospital)


def test_add_operator__key_that_was_removed__is_refused_for_ever(
    institutions, ids, hospital, hospital_second_key, supervisor, refused
):
    institutions.removeOperator(hospital_second_key, sender=hospital)

    with refused(institutions.OperatorKnown, operator=hospital_second_key):
        institutions.addOperator(ids[hospital], hospital_second_key, sender=supervisor)


# Removing operators


@pytest.mark.parametrize("by", ["supervisor", "hospital", "hospital_second_key"])
def test_remove_operator__by_a_supervisor_or_the_institution__keeps_the_history(
    institutions, ids, roles, hospital, hospital_second_key, emits, refused, by
):
    sender = getattr(roles, by)
    since = institutions.operatorOf(hospital_second_key).since

    receipt = institutions.removeOperator(hospital_second_key, sender=sender)

    emits(
        receipt,
        institutions.OperatorRemoved(
            operator=hospital_second_key, institution=ids[hospital], by=sender
        ),
    )
    assert institutions.operatorOf(hospital_second_key) == (
        ids[hospital],
        since,
        receipt.timestamp,
    )
    assert institutions.authorise(hospital, Kind.HOSPITAL) == ids[hospital]
    with refused(institutions.NotAnOperator, account=hospital_second_key):
        institutions.authorise.transact(
            hospital_second_key, Kind.HOSPITAL, sender=hospital_second_key
        )


def test_remove_operator__by_a_suspended_institution__is_accepted(
    institutions, ids, hospital, hospital_second_key, supervisor, emits
):
    institutions.suspend(ids[hospital], 1, sender=supervisor)

    receipt = institutions.removeOperator(hospital_second_key, sender=hospital)

    assert institutions.operatorOf(hospital_second_key).until == receipt.timestamp


def test_remove_operator__unknown_key__is_refused(institutions, stranger, supervisor, refused):
    with refused(institutions.NotAnOperator, account=stranger):
        institutions.removeOperator(stranger, sender=supervisor)


def test_remove_operator__twice__is_refused_and_keeps_the_first_time(
    institutions, hospital, hospital_second_key, refused
):
    first = institutions.removeOperator(hospital_second_key, sender=hospital)

    with refused(institutions.NotAnOperator, account=hospital_second_key):
        institutions.removeOperator(hospital_second_key, sender=hospital)
    assert institutions.operatorOf(hospital_second_key).until == first.timestamp


@pytest.mark.parametrize("by", ["other_hospital", "stranger"])
def test_remove_operator__by_somebody_else__is_refused(
    institutions, ids, roles, hospital, refused, by
):
    sender = getattr(roles, by)

    with refused(institutions.NotTheInstitution, institution=ids[hospital], account=sender):
        institutions.removeOperator(hospital, sender=sender)


def test_remove_operator__by_a_removed_key_of_the_institution__is_refused(
    institutions, ids, hospital, hospital_second_key, refused
):
    institutions.removeOperator(hospital_second_key, sender=hospital)

    with refused(
        institutions.NotTheInstitution, institution=ids[hospital], account=hospital_second_key
    ):
        institutions.removeOperator(hospital, sender=hospital_second_key)


# Suspending and reinstating


def test_suspend__by_a_supervisor__ends_every_kind_of_act(
    institutions, ids, hospital, other_hospital, supervisor, emits, refused
):
    receipt = institutions.suspend(ids[hospital], 7, sender=supervisor)

    emits(
        receipt,
        institutions.InstitutionSuspended(institution=ids[hospital], reason=7, by=supervisor),
    )
    assert institutions.institutionOf(ids[hospital]).suspended
    assert not institutions.isActiveAs(ids[hospital], Kind.HOSPITAL)
    assert institutions.isActiveAs(ids[other_hospital], Kind.HOSPITAL)
    with refused(institutions.InstitutionIsSuspended, institution=ids[hospital]):
        institutions.authorise.transact(hospital, Kind.HOSPITAL, sender=hospital)


def test_suspend__another_supervisor__is_accepted(institutions, ids, supervisor, other_supervisor):
    institutions.suspend(ids[other_supervisor], 1, sender=supervisor)

    assert not institutions.isActiveAs(ids[other_supervisor], Kind.SUPERVISOR)
    assert institutions.isActiveAs(ids[supervisor], Kind.SUPERVISOR)


def test_suspend__itself__is_refused(institutions, ids, supervisor, refused):
    with refused(institutions.OwnInstitution, institution=ids[supervisor]):
        institutions.suspend(ids[supervisor], 1, sender=supervisor)


def test_suspend__twice__is_refused(institutions, ids, hospital, supervisor, refused):
    institutions.suspend(ids[hospital], 1, sender=supervisor)

    with refused(institutions.InstitutionIsSuspended, institution=ids[hospital]):
        institutions.suspend(ids[hospital], 2, sender=supervisor)


def test_suspend__unknown_institution__is_refused(institutions, supervisor, refused):
    with refused(institutions.InstitutionUnknown, institution=99):
        institutions.suspend(99, 1, sender=supervisor)


def test_reinstate__suspended_institution__may_act_again(
    institutions, ids, hospital, supervisor, emits
):
    before = institutions.institutionOf(ids[hospital])
    institutions.suspend(ids[hospital], 1, sender=supervisor)

    receipt = institutions.reinstate(ids[hospital], sender=supervisor)

    emits(
        receipt,
        institutions.InstitutionReinstated(institution=ids[hospital], by=supervisor),
    )
    assert institutions.institutionOf(ids[hospital]) == before
    assert institutions.authorise(hospital, Kind.HOSPITAL) == ids[hospital]


def test_reinstate__not_suspended__is_refused(institutions, ids, hospital, supervisor, refused):
    with refused(institutions.InstitutionNotSuspended, institution=ids[hospital]):
        institutions.reinstate(ids[hospital], sender=supervisor)


def test_reinstate__unknown_institution__is_refused(institutions, supervisor, refused):
    with refused(institutions.InstitutionUnknown, institution=99):
        institutions.reinstate(99, sender=supervisor)


# Reading


def test_authorise__unknown_key__is_refused(institutions, stranger, refused):
    with refused(institutions.NotAnOperator, account=stranger):
        institutions.authorise.transact(stranger, Kind.HOSPITAL, sender=stranger)


def test_authorise__kind_that_it_lacks__is_refused(institutions, ids, hospital, refused):
    with refused(institutions.KindMissing, institution=ids[hospital], kind=Kind.PAYER):
        institutions.authorise.transact(hospital, Kind.PAYER, sender=hospital)


def test_institution_of__unknown_id__is_all_zero(institutions):
    for unknown in (0, 99):
        assert institutions.institutionOf(unknown) == (0, False, 0, 0, 0, bytes(32))
        assert not institutions.isActiveAs(unknown, sum(Kind))
