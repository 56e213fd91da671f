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
    assert contract.institutionOf(1) == (
        Kind.SUPERVISOR,
        False,
        460000,
        now,
        UINT64_MAX,
        1,
        NAME,
    )
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
        1,
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
    assert after[5:] == before[5:]
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
    institutions, add_operator, ids, roles, hospital, key, emits, by
):
    sender = getattr(roles, by)

    receipt = add_operator(ids[hospital], key, sender=sender)

    emits(
        receipt,
        institutions.OperatorAdded(operator=key, institution=ids[hospital], by=sender),
    )
    assert institutions.operatorOf(key) == (ids[hospital], receipt.timestamp, 0)
    assert institutions.authorise(key, Kind.HOSPITAL) == ids[hospital]
    assert institutions.authorise(hospital, Kind.HOSPITAL) == ids[hospital]


def test_add_operator__by_a_supervisor_to_a_suspended_institution__is_recorded(
    institutions, add_operator, ids, hospital, supervisor, key
):
    institutions.suspend(ids[hospital], 1, sender=supervisor)

    add_operator(ids[hospital], key, sender=supervisor)

    assert institutions.operatorOf(key).institution == ids[hospital]


def test_add_operator__by_another_institution__is_refused(
    institutions, add_operator, ids, hospital, other_hospital, key, refused
):
    with refused(institutions.NotTheInstitution, institution=ids[hospital], account=other_hospital):
        add_operator(ids[hospital], key, sender=other_hospital)


def test_add_operator__by_a_removed_key_of_the_institution__is_refused(
    institutions, add_operator, ids, hospital, hospital_second_key, key, refused
):
    institutions.removeOperator(hospital_second_key, sender=hospital_second_key)

    with refused(
        institutions.NotTheInstitution, institution=ids[hospital], account=hospital_second_key
    ):
        add_operator(ids[hospital], key, sender=hospital_second_key)


def test_add_operator__by_its_suspended_institution__is_refused(
    institutions, add_operator, ids, hospital, supervisor, key, refused
):
    institutions.suspend(ids[hospital], 1, sender=supervisor)

    with refused(institutions.InstitutionIsSuspended, institution=ids[hospital]):
        add_operator(ids[hospital], key, sender=hospital)


def test_add_operator__by_its_institution_after_the_accreditation__is_refused(
    institutions, add_operator, ids, hospital, supervisor, key, refused, chain
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
        add_operator(ids[hospital], key, sender=hospital)


def test_add_operator__by_a_suspended_supervisor__is_refused(
    institutions, add_operator, ids, hospital, supervisor, other_supervisor, key, refused
):
    institutions.suspend(ids[other_supervisor], 1, sender=supervisor)

    with refused(
        institutions.NotTheInstitution, institution=ids[hospital], account=other_supervisor
    ):
        add_operator(ids[hospital], key, sender=other_supervisor)


def test_add_operator__by_a_removed_key_of_a_supervisor__is_refused(
    institutions, add_operator, ids, hospital, supervisor, key, refused, new_account
):
    second = new_account()
    add_operator(ids[supervisor], second, sender=supervisor)
    institutions.removeOperator(second, sender=supervisor)

    with refused(institutions.NotTheInstitution, institution=ids[hospital], account=second):
        add_operator(ids[hospital], key, sender=second)


def test_add_operator__unknown_institution__is_refused(
    institutions, add_operator, supervisor, key, refused
):
    with refused(institutions.InstitutionUnknown, institution=99):
        add_operator(99, key, sender=supervisor)


def test_add_operator__without_the_keys_consent__is_refused(
    institutions, ids, hospital, other_hospital, pharmacy, key, consent, refused, chain, far_future
):
    here, end = ids[hospital], far_future
    forged = {
        "another key": consent(key, here, by=hospital),
        "another institution": consent(key, ids[other_hospital]),
        "another deadline": consent(key, here, end - 1),
        "another chain": consent(key, here, chain_id=chain.chain_id + 1),
        "another contract": consent(key, here, contract=pharmacy.address),
        "nothing": b"",
    }

    for signature in forged.values():
        with refused(institutions.ConsentInvalid, institution=here, operator=key):
            institutions.addOperator(here, key, end, signature, sender=hospital)
    assert institutions.operatorOf(key) == (0, 0, 0)


def test_add_operator__consent_to_another_institution__cannot_be_taken(
    institutions, ids, hospital, other_hospital, add_operator, key, consent, refused, far_future
):
    # Whoever sees a key's consent on its way cannot make it its own.
    signature = consent(key, ids[hospital])

    with refused(institutions.ConsentInvalid, institution=ids[other_hospital], operator=key):
        institutions.addOperator(
            ids[other_hospital], key, far_future, signature, sender=other_hospital
        )
    add_operator(ids[hospital], key, sender=hospital)
    assert institutions.operatorOf(key).institution == ids[hospital]


def test_add_operator__last_second_of_the_consent__is_accepted_and_the_next_refused(
    institutions, ids, hospital, key, consent, refused, chain, new_account
):
    end, late = chain.pending_timestamp + 100, new_account()

    chain.pending_timestamp = end
    institutions.addOperator(
        ids[hospital], key, end, consent(key, ids[hospital], end), sender=hospital
    )
    chain.pending_timestamp = end + 1
    with refused(institutions.ConsentExpired, operator=late, deadline=end):
        institutions.addOperator(
            ids[hospital], late, end, consent(late, ids[hospital], end), sender=hospital
        )


def test_add_operator__contract_wallet__its_answer_counts(
    institutions, compiled, ids, hospital, key, stranger, consent, refused, far_future
):
    wallet = compiled["Wallet"].deploy(key, sender=stranger)
    here = ids[hospital]

    with refused(institutions.ConsentInvalid, institution=here, operator=wallet):
        institutions.addOperator(
            here, wallet, far_future, consent(key, here, by=stranger), sender=hospital
        )
    institutions.addOperator(here, wallet, far_future, consent(key, here), sender=hospital)
    assert institutions.operatorOf(wallet).institution == here


def test_add_operator__zero_address__is_refused(
    institutions, ids, hospital, key, consent, refused, far_future
):
    with refused(institutions.ConsentInvalid, institution=ids[hospital], operator=ZERO_ADDRESS):
        institutions.addOperator(
            ids[hospital], ZERO_ADDRESS, far_future, consent(key, ids[hospital]), sender=hospital
        )


@pytest.mark.parametrize("known", ["hospital", "pharmacy", "supervisor"])
def test_add_operator__key_that_acts_already__is_refused(
    institutions, add_operator, ids, roles, hospital, refused, known
):
    account = getattr(roles, known)

    with refused(institutions.OperatorKnown, operator=account):
        add_operator(ids[hospital], account, sender=hospital)


def test_add_operator__key_that_was_removed__is_refused_for_ever(
    institutions, add_operator, ids, hospital, hospital_second_key, supervisor, refused
):
    institutions.removeOperator(hospital_second_key, sender=hospital_second_key)

    with refused(institutions.OperatorKnown, operator=hospital_second_key):
        add_operator(ids[hospital], hospital_second_key, sender=supervisor)


# Removing operators


@pytest.mark.parametrize("by", ["supervisor", "other_supervisor", "hospital_second_key"])
def test_remove_operator__by_a_supervisor_or_the_key_itself__keeps_the_history(
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
    assert institutions.institutionOf(ids[hospital]).operators == 1
    assert institutions.authorise(hospital, Kind.HOSPITAL) == ids[hospital]
    with refused(institutions.NotAnOperator, account=hospital_second_key):
        institutions.authorise.transact(
            hospital_second_key, Kind.HOSPITAL, sender=hospital_second_key
        )


@pytest.mark.parametrize("by", ["hospital_second_key", "other_hospital", "stranger"])
def test_remove_operator__by_another_key__is_refused(institutions, roles, hospital, refused, by):
    # Above all by one of its own institution, which may be stolen.
    sender = getattr(roles, by)

    with refused(institutions.NotTheOperator, operator=hospital, account=sender):
        institutions.removeOperator(hospital, sender=sender)
    assert institutions.operatorOf(hospital).until == 0


def test_remove_operator__last_key_of_a_hospital__may_remove_itself(
    institutions, ids, other_hospital
):
    receipt = institutions.removeOperator(other_hospital, sender=other_hospital)

    assert institutions.operatorOf(other_hospital).until == receipt.timestamp
    assert institutions.institutionOf(ids[other_hospital]).operators == 0


def test_remove_operator__own_last_key_of_a_supervisor__is_refused(
    institutions, ids, supervisor, add_operator, key, refused
):
    with refused(institutions.LastOperator, institution=ids[supervisor], operator=supervisor):
        institutions.removeOperator(supervisor, sender=supervisor)

    # Rotation: the new key first, then the old one goes, and the new one is the last.
    add_operator(ids[supervisor], key, sender=supervisor)
    institutions.removeOperator(supervisor, sender=supervisor)
    assert institutions.authorise(key, Kind.SUPERVISOR) == ids[supervisor]
    with refused(institutions.LastOperator, institution=ids[supervisor], operator=key):
        institutions.removeOperator(key, sender=key)


def test_remove_operator__own_last_key_of_a_suspended_supervisor__is_refused(
    institutions, ids, supervisor, other_supervisor, refused
):
    institutions.suspend(ids[supervisor], 1, sender=other_supervisor)

    with refused(institutions.LastOperator, institution=ids[supervisor], operator=supervisor):
        institutions.removeOperator(supervisor, sender=supervisor)


def test_remove_operator__last_key_of_another_supervisor__is_accepted(
    institutions, ids, supervisor, other_supervisor
):
    receipt = institutions.removeOperator(other_supervisor, sender=supervisor)

    assert institutions.operatorOf(other_supervisor).until == receipt.timestamp
    assert institutions.authorise(supervisor, Kind.SUPERVISOR) == ids[supervisor]


def test_remove_operator__by_a_suspended_supervisor__is_refused(
    institutions, ids, hospital, supervisor, other_supervisor, refused
):
    institutions.suspend(ids[other_supervisor], 1, sender=supervisor)

    with refused(institutions.NotTheOperator, operator=hospital, account=other_supervisor):
        institutions.removeOperator(hospital, sender=other_supervisor)


def test_remove_operator__itself_while_suspended__is_accepted(
    institutions, ids, hospital, hospital_second_key, supervisor
):
    institutions.suspend(ids[hospital], 1, sender=supervisor)

    receipt = institutions.removeOperator(hospital_second_key, sender=hospital_second_key)

    assert institutions.operatorOf(hospital_second_key).until == receipt.timestamp


def test_remove_operator__unknown_key__is_refused(institutions, stranger, supervisor, refused):
    with refused(institutions.NotAnOperator, account=stranger):
        institutions.removeOperator(stranger, sender=supervisor)


def test_remove_operator__twice__is_refused_and_keeps_the_first_time(
    institutions, hospital_second_key, supervisor, refused
):
    first = institutions.removeOperator(hospital_second_key, sender=supervisor)

    with refused(institutions.NotAnOperator, account=hospital_second_key):
        institutions.removeOperator(hospital_second_key, sender=supervisor)
    assert institutions.operatorOf(hospital_second_key).until == first.timestamp


def test_remove_operator__by_a_removed_key__is_refused(
    institutions, ids, hospital, supervisor, add_operator, key, refused
):
    add_operator(ids[supervisor], key, sender=supervisor)
    institutions.removeOperator(key, sender=key)

    with refused(institutions.NotTheOperator, operator=hospital, account=key):
        institutions.removeOperator(hospital, sender=key)


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


def test_renew__itself__is_refused(
    institutions, ids, supervisor, other_supervisor, refused, chain, far_future
):
    # Not to end at once, which nobody could undo, nor for ever, which others have to say.
    for end in (chain.pending_timestamp + 100, UINT64_MAX):
        with refused(institutions.OwnInstitution, institution=ids[supervisor]):
            institutions.renew(ids[supervisor], end, sender=supervisor)
    institutions.renew(ids[supervisor], far_future, sender=other_supervisor)
    assert institutions.institutionOf(ids[supervisor]).validUntil == far_future


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
        assert institutions.institutionOf(unknown) == (0, False, 0, 0, 0, 0, bytes(32))
        assert not institutions.isActiveAs(unknown, sum(Kind))


# The past


def test_was_operator_at__key_added_and_removed__from_its_first_to_its_last_second(
    institutions, ids, hospital, supervisor, stranger, add_operator, key, chain
):
    since = chain.pending_timestamp + 100
    chain.pending_timestamp = since
    add_operator(ids[hospital], key, sender=hospital)
    chain.pending_timestamp = until = since + 50
    institutions.removeOperator(key, sender=supervisor)

    def was(time):
        return institutions.wasOperatorAt(key, time)

    assert [was(time) for time in (since - 1, since, until, until + 1)] == [
        False,
        True,
        True,
        False,
    ]
    assert institutions.wasOperatorAt(hospital, until + 1)
    assert not institutions.wasOperatorAt(stranger, until)


def test_was_active_at__suspended_reinstated_and_renewed__each_time_as_it_was(
    institutions, accredit, supervisor, chain
):
    start = chain.pending_timestamp + 100
    chain.pending_timestamp = start
    institution = accredit(validFrom=start + 10, validUntil=start + 1_000).return_value
    acts = (
        (start + 100, lambda: institutions.suspend(institution, 1, sender=supervisor)),
        (start + 200, lambda: institutions.reinstate(institution, sender=supervisor)),
        (start + 300, lambda: institutions.renew(institution, start + 400, sender=supervisor)),
        (start + 500, lambda: institutions.renew(institution, start + 600, sender=supervisor)),
    )
    for time, act in acts:
        chain.pending_timestamp = time
        act()

    was = {
        offset: institutions.wasActiveAt(institution, start + offset)
        for offset in (0, 9, 10, 99, 100, 199, 200, 400, 401, 499, 500, 600, 601)
    }

    active = (10, 99, 200, 400, 500, 600)
    assert was == {offset: offset in active for offset in was}


def test_was_active_at__several_changes_in_one_second__the_last_counts(
    institutions, ids, hospital, supervisor, chain
):
    provider, time = chain.provider, chain.pending_timestamp + 100
    provider.auto_mine = False
    try:
        nonce, sent = supervisor.nonce, {"sender": supervisor, "gas": 200_000}
        institutions.suspend(ids[hospital], 1, nonce=nonce, **sent)
        institutions.reinstate(ids[hospital], nonce=nonce + 1, **sent)
        institutions.suspend(ids[hospital], 1, nonce=nonce + 2, **sent)
        chain.mine(timestamp=time)
    finally:
        provider.auto_mine = True

    assert institutions.institutionOf(ids[hospital]).suspended
    assert institutions.wasActiveAt(ids[hospital], time - 1)
    assert not institutions.wasActiveAt(ids[hospital], time)


def test_was_active_at__before_it_was_accredited__was_not_though_its_validity_began_earlier(
    institutions, accredit, chain
):
    start = chain.pending_timestamp + 100
    chain.pending_timestamp = start

    institution = accredit(validFrom=1).return_value

    assert not institutions.wasActiveAt(institution, start - 1)
    assert institutions.wasActiveAt(institution, start)


def test_was_active_at__unknown_institution_or_the_end_of_time__is_answered(
    institutions, ids, supervisor, hospital, far_future
):
    assert not institutions.wasActiveAt(99, far_future)
    assert institutions.wasActiveAt(ids[supervisor], UINT64_MAX)
    assert not institutions.wasActiveAt(ids[hospital], UINT64_MAX)
