"""Locks and decisions: {claimable, locked, reimbursed} over all payers."""

from __future__ import annotations

import pytest

from medledger.core.hashing import ZERO_ADDRESS, keccak256
from medledger.core.states import Status

EXPLANATION = keccak256(b"explanation of benefit")
PAYMENT = keccak256(b"bank reference")
REASON = 12
NO_PAYMENT = bytes(11)
NO_CLAIM = (0, 0, 0, 0, Status.NONE, False, False, NO_PAYMENT)
UINT64_MAX = 2**64 - 1
FAR_FUTURE = 4_102_444_800


@pytest.fixture
def settle(claims):
    def act(number, payer, amount):
        return claims.settle(number, (amount, REASON, EXPLANATION, PAYMENT), sender=payer)

    return act


@pytest.fixture
def deny(claims):
    return lambda number, payer: claims.deny(number, REASON, EXPLANATION, sender=payer)


@pytest.fixture
def until_of(claims, ids):
    """The last second of a payer's lock."""
    return lambda number, payer: claims.claimOf(number, ids[payer]).until


# Deploying


@pytest.fixture
def deploy_refused(project, created_address, supervisor, chain, refused):
    """Tries to deploy Claims beside Invoices and an escrow that are made for it."""

    def attempt(error, named, lock_period=100, **expected):
        institutions, ledger_institutions, prescriptions, escrow_institutions, token = named
        claims = created_address(supervisor.address, supervisor.nonce + 2)
        invoices = project.Invoices.deploy(ledger_institutions, claims, sender=supervisor)
        escrow = project.Escrow.deploy(escrow_institutions, token, 156, claims, sender=supervisor)
        deployment = project.Claims.constructor.serialize_transaction(
            institutions, invoices, prescriptions, escrow, lock_period, sender=supervisor
        )
        contracts = {"invoices": invoices, "escrow": escrow, "prescriptions": prescriptions}
        values = {name: contracts.get(value, value) for name, value in expected.items()}
        with refused(error, **values):
            # Not sent: ape asks for the reason of a sent transaction by a call, which has the next
            # nonce, and so an address that the ledger does not name.
            chain.provider.estimate_gas_cost(deployment)

    return attempt


def test_deploy__contracts_that_name_this_one__keeps_what_it_was_given(
    claims, invoices, prescriptions, escrow, institutions, token, lock_period
):
    assert invoices.claims() == escrow.claims() == claims
    assert claims.invoices() == invoices
    assert claims.prescriptions() == prescriptions
    assert claims.escrow() == escrow
    assert claims.institutions() == institutions
    assert claims.lockPeriod() == lock_period
    assert (escrow.token(), escrow.currency()) == (token, 156)


def test_deploy__ledger_or_escrow_of_another_claims_contract__is_refused(
    project,
    created_address,
    institutions,
    invoices,
    prescriptions,
    escrow,
    supervisor,
    lock_period,
    chain,
    refused,
):
    with refused(project.Claims.LedgerMismatch, ledger=invoices):
        project.Claims.deploy(
            institutions, invoices, prescriptions, escrow, lock_period, sender=supervisor
        )
    claims = created_address(supervisor.address, supervisor.nonce + 1)
    own = project.Invoices.deploy(institutions, claims, sender=supervisor)
    deployment = project.Claims.constructor.serialize_transaction(
        institutions, own, prescriptions, escrow, lock_period, sender=supervisor
    )
    with refused(project.Claims.LedgerMismatch, ledger=escrow):
        chain.provider.estimate_gas_cost(deployment)


@pytest.mark.parametrize("place", ["invoices", "prescriptions", "escrow"])
def test_deploy__ledger_of_other_institutions__is_refused(
    project,
    institutions,
    prescriptions,
    token,
    supervisor,
    deploy_refused,
    lease_period,
    place,
):
    others = project.Institutions.deploy(bytes(32), 0, supervisor, sender=supervisor)
    theirs = project.PrescriptionPolicies.deploy(others, ZERO_ADDRESS, sender=supervisor)
    foreign = project.Prescriptions.deploy(others, theirs, lease_period, sender=supervisor)
    named = {
        "invoices": (institutions, others, prescriptions, institutions, token),
        "prescriptions": (institutions, institutions, foreign, institutions, token),
        "escrow": (institutions, institutions, prescriptions, others, token),
    }[place]
    wrong = foreign if place == "prescriptions" else place

    deploy_refused(project.Claims.InstitutionsMismatch, named, other=wrong)


@pytest.mark.parametrize("period", [0, 366 * 24 * 3600 + 1, 2**40 - 1])
def test_deploy__no_lock_period_or_more_than_a_year__is_refused(
    project, institutions, prescriptions, token, deploy_refused, period
):
    named = (institutions, institutions, prescriptions, institutions, token)

    deploy_refused(project.Claims.LockPeriodInvalid, named, period, lockPeriod=period)


# Locking


def test_lock__first_claim_on_a_bill__takes_the_amount(
    invoices, claims, ids, open_bills, payer, other_payer, lock, lock_period, emits, logged
):
    number, neighbour = open_bills(2, claimable=10_000)
    before = invoices.invoiceOf(number)

    receipt = lock(number, payer, 4_000)

    until = receipt.timestamp + lock_period
    emits(
        receipt,
        logged(
            claims,
            "ClaimLocked",
            number=number,
            payer=ids[payer],
            claimable=10_000,
            until=until,
            sequence=0,
            terms=[4_000, FAR_FUTURE, 0, False, ZERO_ADDRESS],
            by=payer,
        ),
    )
    claim = (ids[payer], 4_000, until, 1, Status.LOCKED, False, False, NO_PAYMENT)
    assert claims.claimOf(number, ids[payer]) == claim
    assert claims.usageOf(number) == (4_000, 0)
    assert claims.recoupDueOf(number, ids[payer]) == 0
    assert claims.claimOf(number, ids[other_payer]) == NO_CLAIM
    assert claims.claimOf(neighbour, ids[payer]) == NO_CLAIM
    assert claims.usageOf(neighbour) == (0, 0)
    assert invoices.invoiceOf(number) == before


def test_lock__whole_claimable_part__leaves_nothing(
    claims, open_bill, payer, other_payer, lock, refused
):
    number = open_bill(claimable=10_000)

    lock(number, payer, 10_000)

    with refused(claims.OverRemainder, number=number, amount=1, remainder=0):
        lock(number, other_payer, 1)


def test_lock__largest_amount_there_is__is_accepted(claims, open_bill, payer, lock, settle):
    number = open_bill(claimable=UINT64_MAX)

    lock(number, payer, UINT64_MAX)
    settle(number, payer, UINT64_MAX)

    assert claims.usageOf(number) == (0, UINT64_MAX)


def test_lock__one_more_than_the_remainder__is_refused(
    claims, open_bill, payer, other_payer, lock, settle, refused
):
    number = open_bill(claimable=10_000)
    with refused(claims.OverRemainder, number=number, amount=10_001, remainder=10_000):
        lock(number, payer, 10_001)
    lock(number, payer, 4_000)
    settle(number, payer, 3_000)

    with refused(claims.OverRemainder, number=number, amount=7_001, remainder=7_000):
        lock(number, other_payer, 7_001)
    lock(number, other_payer, 7_000)
    assert claims.usageOf(number) == (7_000, 3_000)


def test_lock__largest_amount_over_a_small_remainder__is_refused(
    claims, open_bill, payer, lock, refused
):
    number = open_bill(claimable=10_000)

    with refused(claims.OverRemainder, number=number, amount=UINT64_MAX, remainder=10_000):
        lock(number, payer, UINT64_MAX)


def test_lock__bill_with_nothing_claimable__is_refused(claims, open_bill, payer, lock, refused):
    number = open_bill(claimable=0)

    with refused(claims.OverRemainder, number=number, amount=1, remainder=0):
        lock(number, payer, 1)


def test_lock__nothing__is_refused(claims, open_bill, payer, lock, refused):
    number = open_bill()

    with refused(claims.AmountZero, number=number):
        lock(number, payer, 0)


def test_lock__twice_by_one_payer__is_refused(
    claims, open_bill, payer, lock, until_of, refused, ids
):
    number = open_bill()
    lock(number, payer, 4_000)

    with refused(
        claims.ClaimIsLocked, number=number, payer=ids[payer], until=until_of(number, payer)
    ):
        lock(number, payer, 1_000, sequence=1)


def test_lock__after_settling__is_refused(claims, open_bill, payer, lock, settle, refused, ids):
    number = open_bill()
    lock(number, payer, 4_000)
    settle(number, payer, 3_000)

    with refused(claims.ClaimIsSettled, number=number, payer=ids[payer], amount=3_000):
        lock(number, payer, 1_000, sequence=1)


def test_lock__held_bill__is_refused(
    invoices, open_bill, hospital, payer, lock, refused, bill_segment
):
    number = open_bill(on_hold=True)

    with refused(invoices.DocumentIsHeld, number=number):
        lock(number, payer, 1_000)
    invoices.release(bill_segment.id, number, sender=hospital)
    lock(number, payer, 1_000)


def test_lock__reversed_bill_or_red_letter__is_refused(
    claims, invoices, open_bills, hospital, payer, lock, refused, bill_segment
):
    number, red_letter = open_bills(2)
    segment = bill_segment.id
    invoices.reverse(segment, number, segment, red_letter, 1, sender=hospital)

    with refused(invoices.InvoiceIsReversed, number=number, redLetter=red_letter):
        lock(number, payer, 1_000)
    with refused(invoices.InvoiceIsRedLetter, number=red_letter):
        lock(red_letter, payer, 1_000)


def test_lock__while_paused__is_refused(invoices, open_bill, supervisor, payer, lock, refused):
    number = open_bill()
    invoices.pause(sender=supervisor)

    with refused(invoices.EnforcedPause):
        lock(number, payer, 1_000)


# Proving the bill


def test_lock__bill_that_nobody_opened__needs_no_opening(
    invoices, claims, issue_bills, payer, lock
):
    number = issue_bills(3).number(1)

    receipt = lock(number, payer, 2_500)

    assert [event.event_name for event in receipt.events] == ["ClaimLocked"]
    assert int(invoices.invoiceOf(number).patient, 16) == 0
    assert claims.usageOf(number) == (2_500, 0)


def test_lock__forged_header__is_refused(
    invoices, claims, issue_bills, payer, authorise_claim, refused
):
    batch = issue_bills(2, claimable=100)
    header, head, path = batch.proof()
    forged = (*header[:2], 10_000, *header[3:])
    signed = authorise_claim(batch.number(), payer, 2_500)

    with refused(invoices.ProofInvalid, number=batch.number()):
        claims.lock(forged, head, path, *signed, sender=payer)


def test_lock__header_without_patient__is_refused(invoices, issue_bills, payer, lock, refused):
    number = issue_bills(1, holder=ZERO_ADDRESS).number()

    with refused(invoices.PatientMissing, number=number):
        lock(number, payer, 1_000)


def test_lock__header_that_prescribes_more_than_is_claimable__is_refused(
    invoices, issue_bills, payer, lock, refused
):
    number = issue_bills(1, claimable=100, prescription=5, prescribed=101).number()

    with refused(invoices.OverClaimable, number=number, prescribed=101, claimable=100):
        lock(number, payer, 1)


# Settling


def test_settle__part_of_the_lock__frees_the_rest(
    claims, ids, open_bills, payer, other_payer, lock, settle, emits, logged
):
    number, neighbour = open_bills(2, claimable=10_000)
    lock(number, payer, 6_000)
    lock(number, other_payer, 1_000)
    lock(neighbour, payer, 500)
    others = claims.claimOf(number, ids[other_payer])

    receipt = settle(number, payer, 4_000)

    emits(
        receipt,
        logged(
            claims,
            "ClaimSettled",
            number=number,
            payer=ids[payer],
            isPaid=False,
            decision=[4_000, REASON, EXPLANATION, PAYMENT],
            by=payer,
        ),
    )
    at = receipt.timestamp
    claim = (ids[payer], 4_000, at, 1, Status.SETTLED, False, False, PAYMENT[:11])
    assert claims.claimOf(number, ids[payer]) == claim
    assert claims.usageOf(number) == (1_000, 4_000)
    assert claims.claimOf(number, ids[other_payer]) == others
    assert claims.usageOf(neighbour) == (500, 0)


def test_settle__the_whole_lock__reimburses_it(claims, open_bill, payer, lock, settle):
    number = open_bill(claimable=10_000)
    lock(number, payer, 6_000)

    settle(number, payer, 6_000)

    assert claims.usageOf(number) == (0, 6_000)


def test_settle__two_payers__both_count(claims, open_bill, payer, other_payer, lock, settle):
    number = open_bill(claimable=10_000)
    lock(number, payer, 6_000)
    lock(number, other_payer, 4_000)

    settle(number, other_payer, 4_000)
    settle(number, payer, 6_000)

    assert claims.usageOf(number) == (0, 10_000)


def test_settle__more_than_was_locked__is_refused(claims, open_bill, payer, lock, settle, refused):
    number = open_bill()
    lock(number, payer, 4_000)

    with refused(claims.OverLock, number=number, amount=4_001, locked=4_000):
        settle(number, payer, 4_001)
    assert claims.usageOf(number) == (4_000, 0)


def test_settle__nothing__is_refused(claims, open_bill, payer, lock, settle, refused):
    number = open_bill()
    lock(number, payer, 4_000)

    with refused(claims.AmountZero, number=number):
        settle(number, payer, 0)


@pytest.mark.parametrize("missing", ["ExplanationMissing", "PaymentMissing"])
def test_settle__without_explanation_or_reference__is_refused(
    claims, open_bill, payer, lock, refused, missing
):
    number = open_bill()
    lock(number, payer, 4_000)
    explanation = bytes(32) if missing == "ExplanationMissing" else EXPLANATION
    payment = bytes(32) if missing == "PaymentMissing" else PAYMENT

    with refused(getattr(claims, missing), number=number):
        claims.settle(number, (4_000, REASON, explanation, payment), sender=payer)


def test_settle__without_a_lock__is_refused(
    claims, ids, open_bill, payer, other_payer, lock, settle, refused
):
    number = open_bill()
    lock(number, payer, 4_000)

    with refused(claims.ClaimNotLocked, number=number, payer=ids[other_payer]):
        settle(number, other_payer, 4_000)


def test_settle__twice__is_refused(claims, ids, open_bill, payer, lock, settle, refused):
    number = open_bill()
    lock(number, payer, 4_000)
    settle(number, payer, 1_000)

    with refused(claims.ClaimIsSettled, number=number, payer=ids[payer], amount=1_000):
        settle(number, payer, 1_000)
    assert claims.usageOf(number) == (0, 1_000)


def test_settle__after_denying__is_refused(
    claims, ids, open_bill, payer, lock, settle, deny, refused
):
    number = open_bill()
    lock(number, payer, 4_000)
    deny(number, payer)

    with refused(claims.ClaimNotLocked, number=number, payer=ids[payer]):
        settle(number, payer, 1_000)


def test_settle__on_a_paused_ledger__is_accepted(
    invoices, claims, open_bill, payer, supervisor, lock, settle
):
    number = open_bill()
    lock(number, payer, 4_000)
    invoices.pause(sender=supervisor)

    settle(number, payer, 4_000)

    assert claims.usageOf(number) == (0, 4_000)


def test_settle__beside_an_expired_lock__sweeps_it(
    claims, open_bill, payer, other_payer, lock, settle, until_of, chain
):
    number = open_bill(claimable=10_000)
    lock(number, other_payer, 5_000)
    chain.pending_timestamp = until_of(number, other_payer)
    lock(number, payer, 5_000)
    chain.pending_timestamp = until_of(number, other_payer) + 1

    settle(number, payer, 5_000)

    assert claims.usageOf(number) == (0, 5_000)


# Denying


def test_deny__open_lock__frees_the_amount(
    claims, ids, open_bill, payer, other_payer, lock, deny, emits
):
    number = open_bill(claimable=10_000)
    lock(number, payer, 6_000)
    lock(number, other_payer, 1_000)

    receipt = deny(number, payer)

    emits(
        receipt,
        claims.ClaimDenied(
            number=number, payer=ids[payer], reason=REASON, explanation=EXPLANATION, by=payer
        ),
    )
    claim = (ids[payer], 0, receipt.timestamp, 1, Status.DENIED, False, False, NO_PAYMENT)
    assert claims.claimOf(number, ids[payer]) == claim
    assert claims.usageOf(number) == (1_000, 0)


def test_deny__without_an_explanation__is_refused(claims, open_bill, payer, lock, refused):
    number = open_bill()
    lock(number, payer, 6_000)

    with refused(claims.ExplanationMissing, number=number):
        claims.deny(number, REASON, bytes(32), sender=payer)


def test_deny__then_lock_again__takes_the_next_sequence(claims, ids, open_bill, payer, lock, deny):
    number = open_bill()
    lock(number, payer, 6_000)
    deny(number, payer)

    receipt = lock(number, payer, 2_000, sequence=1)

    assert receipt.events[0].sequence == 1
    assert claims.claimOf(number, ids[payer]).sequence == 2
    assert claims.usageOf(number) == (2_000, 0)


def test_deny__without_a_lock__is_refused(
    claims, ids, open_bill, payer, other_payer, lock, deny, refused
):
    number = open_bill()
    lock(number, payer, 6_000)

    with refused(claims.ClaimNotLocked, number=number, payer=ids[other_payer]):
        deny(number, other_payer)


def test_deny__twice__is_refused(claims, ids, open_bill, payer, lock, deny, refused):
    number = open_bill()
    lock(number, payer, 6_000)
    deny(number, payer)

    with refused(claims.ClaimNotLocked, number=number, payer=ids[payer]):
        deny(number, payer)


def test_deny__after_settling__is_refused(
    claims, ids, open_bill, payer, lock, settle, deny, refused
):
    number = open_bill()
    lock(number, payer, 6_000)
    settle(number, payer, 5_000)

    with refused(claims.ClaimIsSettled, number=number, payer=ids[payer], amount=5_000):
        deny(number, payer)
    assert claims.usageOf(number) == (0, 5_000)


def test_deny__last_second_of_the_lock_and_the_next__accepted_then_refused(
    claims, ids, open_bills, payer, lock, deny, until_of, chain, refused
):
    number, another = open_bills(2)
    lock(number, payer, 6_000)
    until = until_of(number, payer)
    chain.pending_timestamp = until
    lock(another, payer, 1_000)
    chain.mine(timestamp=until_of(another, payer) - 1)

    chain.pending_timestamp = until_of(another, payer)
    deny(another, payer)

    assert claims.usageOf(another) == (0, 0)
    with refused(claims.ClaimNotLocked, number=number, payer=ids[payer]):
        deny(number, payer)


def test_deny__on_a_paused_ledger__is_accepted(
    invoices, claims, open_bill, payer, supervisor, lock, deny
):
    number = open_bill()
    lock(number, payer, 4_000)
    invoices.pause(sender=supervisor)

    deny(number, payer)

    assert claims.usageOf(number) == (0, 0)


# Reading several at once


def test_claims_of_and_usages_of__several__answer_in_the_order_asked(
    claims, ids, open_bills, payer, other_payer, lock, settle
):
    first, second = open_bills(2)
    lock(first, payer, 1_000)
    lock(second, other_payer, 2_000)
    settle(second, other_payer, 1_500)

    found = claims.claimsOf(
        [second, first, first], [ids[other_payer], ids[payer], ids[other_payer]]
    )

    assert found == [
        claims.claimOf(second, ids[other_payer]),
        claims.claimOf(first, ids[payer]),
        NO_CLAIM,
    ]
    assert claims.usagesOf([second, first, 5]) == ([0, 1_000, 0], [1_500, 0, 0])
    assert claims.claimsOf([], []) == []
    assert claims.usagesOf([]) == ([], [])
