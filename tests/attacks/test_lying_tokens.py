"""A settlement token that lies or calls back; a payment without the mark, twice, or by another.

A token that says that it moved what it did not, that keeps a fee, or that calls the contracts while
they pay, would be paid from deposits of others or be paid twice.

The answer: the mark is made before the token is called, in one transaction; the Escrow takes one
call at a time, from Claims alone; and it measures what was moved.

Without it, a deposit would be credited that never came, and a deposit be drawn twice: the tests
show both of an escrow that pays first and believes the token (`NaiveEscrow`).
"""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from medledger.core.hashing import ZERO_ADDRESS, ClaimAuthorisation, keccak256, name_hash
from medledger.core.states import Kind, Status

FAR_FUTURE = 4_102_444_800
DECISION = (3_000, 12, keccak256(b"explanation of benefit"), bytes(32))


@pytest.fixture
def escrow_of(project, institutions, claims, supervisor, compiled):
    """An escrow of a token that lies, with Claims' place taken by the supervisor."""

    def make(kind):
        token = compiled[kind].deploy(sender=supervisor)
        escrow = project.Escrow.deploy(institutions, token, 156, supervisor, sender=supervisor)
        return token, escrow

    return make


@pytest.fixture
def naive_escrow_of(compiled, supervisor):
    """An escrow that pays first and believes what it is told, with a deposit of each of these."""

    def make(token, *depositors):
        escrow = compiled["NaiveEscrow"].deploy(token, sender=supervisor)
        for account in depositors:
            escrow.deposit(1_000, sender=account)
        return escrow, token

    return make


# Who pays, and how often


def test_settle__deposit_too_small__leaves_no_mark(
    claims, ids, escrow, token, open_bill, payer, stranger, lock, settle, deposit, refused
):
    number = open_bill()
    deposit(payer, 2_999)
    lock(number, payer, 4_000, payee=stranger)

    with refused(escrow.DepositTooSmall, payer=ids[payer], amount=3_000, deposit=2_999):
        settle(number, payer, 3_000)
    assert claims.usageOf(number) == (4_000, 0)
    assert token.balanceOf(stranger) == 0


def test_pay__by_anybody_but_claims__is_refused(escrow, ids, payer, deposit, stranger, refused):
    deposit(payer, 1_000)

    for account in (payer, stranger):
        with refused(escrow.NotClaims, account=account):
            escrow.pay(1, ids[payer], account, 1_000, sender=account)


def test_settle__the_escrow_as_payee__is_refused(
    escrow, open_bill, payer, lock, settle, deposit, refused
):
    number = open_bill()
    deposit(payer, 1_000)
    lock(number, payer, 1_000, payee=escrow)

    with refused(escrow.PayeeInvalid, payee=escrow):
        settle(number, payer, 1_000)


def test_mint__by_anybody_but_the_deployer__is_refused(token, stranger, refused):
    assert token.decimals() == 2
    with refused(token.NotTheMinter, account=stranger):
        token.mint(stranger, 1, sender=stranger)


# Tokens that lie


def test_deposit_and_pay__token_that_answers_nothing__works(
    escrow_of, ids, payer, stranger, supervisor
):
    token, escrow = escrow_of("SilentToken")
    token.mint(payer, 1_000, sender=payer)
    escrow.deposit(1_000, sender=payer)

    escrow.pay(1, ids[payer], stranger, 400, sender=supervisor)

    assert (token.balanceOf(stranger), escrow.depositOf(ids[payer])) == (400, 600)


def test_deposit__token_that_returns_false__is_refused(escrow_of, payer, refused):
    token, escrow = escrow_of("FalseToken")

    with refused(escrow.SafeERC20FailedOperation, token=token):
        escrow.deposit(1_000, sender=payer)


def test_deposit_and_pay__token_that_takes_fees__is_refused(
    escrow_of, naive_escrow_of, ids, payer, stranger, supervisor, refused
):
    token, escrow = escrow_of("FeeToken")
    token.mint(payer, 2_000, sender=payer)
    believing, _ = naive_escrow_of(token, payer)
    assert believing.depositOf(payer) == 1_000, "what was asked for"
    assert token.balanceOf(believing) == 999, "what came"

    with refused(escrow.TransferInexact, amount=1_000, moved=999):
        escrow.deposit(1_000, sender=payer)
    token.setFee(0, sender=payer)
    escrow.deposit(1_000, sender=payer)
    token.setFee(1, sender=payer)
    with refused(escrow.TransferInexact, amount=500, moved=499):
        escrow.pay(1, ids[payer], stranger, 500, sender=supervisor)
    assert escrow.depositOf(ids[payer]) == 1_000


def test_deposit_and_pay__token_that_takes_more_than_it_gives__is_refused(
    escrow_of, ids, payer, stranger, supervisor, refused
):
    token, escrow = escrow_of("SurchargeToken")
    token.mint(payer, 2_000, sender=payer)

    with refused(escrow.TransferInexact, amount=1_000, moved=1_001):
        escrow.deposit(1_000, sender=payer)
    token.setSurcharge(0, sender=payer)
    escrow.deposit(1_000, sender=payer)
    token.setSurcharge(1, sender=payer)
    with refused(escrow.TransferInexact, amount=500, moved=501):
        escrow.pay(1, ids[payer], stranger, 500, sender=supervisor)
    assert escrow.depositOf(ids[payer]) == token.balanceOf(escrow) == 1_000


def test_deposit__token_that_moves_the_other_way__is_refused_as_if_nothing_moved(
    escrow_of, payer, refused
):
    token, escrow = escrow_of("BackwardToken")
    token.mint(escrow, 1_000, sender=payer)

    with refused(escrow.TransferInexact, amount=300, moved=0):
        escrow.deposit(300, sender=payer)


def test_pay__token_that_moves_nothing__is_refused(
    escrow_of, ids, payer, stranger, supervisor, refused
):
    token, escrow = escrow_of("FeeToken")
    token.setFee(0, sender=payer)
    token.mint(payer, 1_000, sender=payer)
    escrow.deposit(1_000, sender=payer)
    token.setFee(300, sender=payer)

    with refused(escrow.TransferInexact, amount=300, moved=0):
        escrow.pay(1, ids[payer], stranger, 300, sender=supervisor)


# Tokens that call back


def test_withdraw__naive_escrow_and_a_token_that_calls_back__pays_out_twice(
    compiled, naive_escrow_of, payer, supervisor
):
    token = compiled["CallingToken"].deploy(sender=supervisor)
    for account in (payer, token):
        token.mint(account, 1_000, sender=payer)
    naive, _ = naive_escrow_of(token, payer)
    token.act(naive, naive.deposit.encode_input(1_000), sender=payer)
    again = naive.withdraw.encode_input(1_000)
    token.callBack(naive, again, sender=payer)

    token.act(naive, again, sender=payer)

    assert token.balanceOf(token) == 2_000, "its own deposit and the payer's"
    assert token.balanceOf(naive) == 0


def test_deposit__token_that_calls_back__is_refused(escrow_of, institutions, payer, refused):
    token, escrow = escrow_of("CallingToken")
    token.mint(payer, 1_000, sender=payer)
    token.callBack(escrow, escrow.pay.encode_input(1, 9, payer, 1), sender=payer)

    with refused(escrow.ReentrancyGuardReentrantCall):
        escrow.deposit(1_000, sender=payer)


@pytest.fixture
def thief(
    institutions, prescriptions, supervisor, deploy_claims, compiled, hospital, ids, issue_bills,
    bill_segment, patient, chain, stranger,
):  # fmt: skip
    """A token that is a payer too, with 3,000 locked of a bill and 6,000 in its deposit."""
    token = compiled["CallingToken"].deploy(sender=supervisor)
    invoices, escrow, claims = deploy_claims(institutions, prescriptions, 100, supervisor, token)
    accredited = institutions.accredit(
        Kind.PAYER, 469023, name_hash("thief"), 1, FAR_FUTURE, token, sender=supervisor
    )
    payer = accredited.return_value
    batch = issue_bills(1)
    number, serial = batch.number(), batch.number() - bill_segment.number(0)
    invoices.allot(ids[hospital], bill_segment.code, serial, serial, False, sender=supervisor)
    issued = invoices.issue(1, number, 1, batch.tree.root, sender=hospital)
    terms = (3_000, FAR_FUTURE, 0, False, stranger.address)
    message = ClaimAuthorisation(number, payer, 3_000, 0, *terms[1:])
    signature = patient.sign(message, "Invoice", chain.chain_id, claims.address)
    proof = (batch.headers[0].as_abi(), (number, 1, 1, issued.timestamp), [])

    token.mint(token, 6_000, sender=supervisor)
    token.act(escrow, escrow.deposit.encode_input(6_000), sender=supervisor)
    token.act(claims, claims.lock.encode_input(*proof, terms, signature), sender=supervisor)
    return SimpleNamespace(token=token, escrow=escrow, claims=claims, payer=payer, number=number)


def test_settle__token_that_settles_again_while_it_pays__is_refused(thief, stranger, refused):
    claims, token, settle = thief.claims, thief.token, thief.claims.settle
    again = settle.encode_input(thief.number, DECISION)
    token.callBack(claims, again, sender=stranger)

    with refused(claims.ClaimIsSettled, number=thief.number, payer=thief.payer, amount=3_000):
        token.act(claims, again, sender=stranger)
    assert claims.claimOf(thief.number, thief.payer).status == Status.LOCKED, "all is undone"
    token.callBack(ZERO_ADDRESS, b"", sender=stranger)
    token.act(claims, again, sender=stranger)
    assert (token.balanceOf(stranger), thief.escrow.depositOf(thief.payer)) == (3_000, 3_000)


def test_settle__token_that_withdraws_its_deposit_while_it_pays__is_refused(
    thief, stranger, refused
):
    escrow, token = thief.escrow, thief.token
    token.callBack(escrow, escrow.withdraw.encode_input(6_000, token), sender=stranger)

    with refused(escrow.ReentrancyGuardReentrantCall):
        token.act(
            thief.claims,
            thief.claims.settle.encode_input(thief.number, DECISION),
            sender=stranger,
        )
    assert escrow.depositOf(thief.payer) == 6_000
