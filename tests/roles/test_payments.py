"""What patients pay of their bills: in the token from any wallet, or off chain by both sides."""

from __future__ import annotations

import pytest
from tests.roles.paying import mint, taking_tokens
from tests.roles.world import PAYMENT, World, key_of

from medledger.chain.bindings import SettlementToken
from medledger.chain.keys import address_of
from medledger.core.hashing import ZERO_ADDRESS, keccak256
from medledger.core.states import PaymentStatus
from medledger.errors import (
    AuthorisationInvalid,
    AuthorisationMismatch,
    BillIsPaid,
    ERC20InsufficientBalance,
    MalformedEvidence,
    NoSettlementToken,
    NotTheIssuer,
    PayeeDiffers,
    PaymentIsStated,
    PaymentNotStated,
)
from medledger.roles.role import Role

ACCOUNT = address_of(keccak256(b"the hospital's account"))
WALLET = key_of("courier")
"""A key that has money for gas; what its institution is does not matter."""


@pytest.fixture
def token(world: World) -> SettlementToken:
    """The settlement token of a world whose hospital is paid in it."""
    world.ledgers, token = taking_tokens(world.ledgers)
    world.hospital.set_account(ACCOUNT)
    return token


@pytest.fixture
def wallet(world: World, token: SettlementToken) -> Role:
    """Somebody who is no institution's business here, with enough for one bill."""
    found = Role(world.ledgers, WALLET)
    mint(token, found.address, 10_000)
    return found


def test_pay_bill__from_any_wallet__reaches_the_hospital_and_the_audit_agrees(
    world: World, token: SettlementToken, wallet: Role
) -> None:
    issued = world.issued(on_hold=True)
    due = issued.evidence().header.claimable

    wallet.pay_bill(issued.evidence())

    paid = world.ledgers.payments.payment_of(issued.number)
    assert (paid.payee, paid.amount, paid.status) == (ACCOUNT, due, PaymentStatus.PAID)
    assert (token.balance_of(ACCOUNT), token.balance_of(wallet.address)) == (due, 10_000 - due)
    assert token.allowance(wallet.address, world.ledgers.payments.address) == 0
    with pytest.raises(BillIsPaid):
        wallet.pay_bill(issued.evidence())
    audit = world.auditor.audit()
    assert audit.mismatches == []
    assert audit.state.payments == {issued.number: paid}
    names = [type(item.event).__name__ for item in world.auditor.trace(issued.number, "Invoice")]
    assert names == ["BatchIssued", "BillPaid"]


def test_pay_bill__reversed_in_part__pays_the_rest(
    world: World, token: SettlementToken, wallet: Role
) -> None:
    issued = world.issued()
    world.hospital.reverse_part(issued.number, 300, 1, business_key="refund")

    wallet.pay_bill(issued.evidence(), ACCOUNT)

    assert token.balance_of(ACCOUNT) == issued.evidence().header.claimable - 300


def test_pay_bill__wrong_payee_or_too_few_tokens__is_refused(
    world: World, token: SettlementToken, wallet: Role
) -> None:
    evidence = world.issued().evidence()

    with pytest.raises(PayeeDiffers):
        wallet.pay_bill(evidence, wallet.address)
    with pytest.raises(ERC20InsufficientBalance):
        Role(world.ledgers, key_of("pharmacy")).pay_bill(evidence)
    with pytest.raises(MalformedEvidence):
        wallet.pay_bill(world.prescribed().evidence())
    assert token.balance_of(ACCOUNT) == 0


def test_pay_bill__deployment_without_a_token__no_settlement_token(world: World) -> None:
    with pytest.raises(NoSettlementToken):
        world.payer.pay_bill(world.issued().evidence())


def test_confirm_bill_payment__of_what_the_hospital_stated__is_paid(world: World) -> None:
    issued = world.issued()
    number = issued.number
    with pytest.raises(PaymentNotStated):
        world.patient.confirm_bill_payment(number, deadline=world.deadline)
    world.hospital.state_payment(number, 2000, PAYMENT)
    with pytest.raises(PaymentIsStated):
        world.hospital.state_payment(number, 1000, PAYMENT)

    signed = world.patient.confirm_bill_payment(number, deadline=world.deadline)
    world.pharmacy.relay(signed, issued.evidence())

    paid = world.ledgers.payments.payment_of(number)
    assert (paid.payee, paid.amount, paid.status) == (ZERO_ADDRESS, 2000, PaymentStatus.PAID)
    with pytest.raises(BillIsPaid):
        world.hospital.withdraw_statement(number)
    audit = world.auditor.audit()
    assert audit.mismatches == []
    assert audit.state.payments[number] == paid


def test_relay__payment_that_differs_or_is_for_another_contract__is_refused(world: World) -> None:
    issued = world.issued()
    number = issued.number
    world.hospital.state_payment(number, 2000, PAYMENT)
    less = world.patient.confirm_bill_payment(number, amount=1999, deadline=world.deadline)
    with pytest.raises(AuthorisationInvalid):
        world.payer.relay(less, issued.evidence())

    signed = world.patient.confirm_bill_payment(number, deadline=world.deadline)
    world.ledgers, _ = taking_tokens(world.ledgers)
    with pytest.raises(AuthorisationMismatch):
        Role(world.ledgers, WALLET).relay(signed)


def test_state_payment__withdrawn_or_by_another_hospital__counts_for_nothing(
    world: World,
) -> None:
    issued = world.issued()
    world.hospital.state_payment(issued.number, 2000, PAYMENT)
    signed = world.patient.confirm_bill_payment(issued.number, deadline=world.deadline)

    world.hospital.withdraw_statement(issued.number)

    with pytest.raises(PaymentNotStated):
        world.payer.relay(signed, issued.evidence())
    payments, segment = world.ledgers.payments, world.deployment.bills
    with pytest.raises(NotTheIssuer):
        world.other_hospital.sender.send(payments.state(segment, issued.number, 1, PAYMENT))
    assert world.auditor.audit().mismatches == []
