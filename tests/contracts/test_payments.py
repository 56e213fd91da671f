"""What patients pay of their bills: once, in the token or off chain, to the issuer alone."""

from __future__ import annotations

import pytest

from medledger.core.hashing import ZERO_ADDRESS, keccak256
from medledger.core.states import PaymentStatus

PAYMENT = keccak256(b"bank reference")
OTHER_PAYMENT = keccak256(b"another bank reference")
PAPER = keccak256(b"paper copy")
FAR_FUTURE = 4_102_444_800
REASON = 5
DUE = 10_000


@pytest.fixture(scope="module")
def account(payments, new_account, hospital):
    """Where the hospital is paid."""
    found = new_account()
    payments.setAccount(found, sender=hospital)
    return found


@pytest.fixture(scope="module")
def wallet(payments, token, supervisor, stranger):
    """Somebody's tokens, enough for two bills, which Payments may take."""
    token.mint(stranger, 2 * DUE, sender=supervisor)
    token.approve(payments, 2 * DUE, sender=stranger)
    return stranger


@pytest.fixture
def pay(payments, account, wallet):
    return lambda batch, index=0: payments.pay(*batch.proof(index), account, sender=wallet)


@pytest.fixture
def state(payments, bill_segment, hospital):
    return lambda number, amount=DUE, payment=PAYMENT, segment=bill_segment, by=hospital: (
        payments.state(segment.id, number, amount, payment, sender=by)
    )


@pytest.fixture
def confirm(payments, stranger):
    return lambda number, signature, deadline=FAR_FUTURE: payments.confirm(
        number, deadline, signature, sender=stranger
    )


def status_of(payments, number):
    return payments.paymentOf(number).status


# In the settlement token


def test_pay__bill_of_a_hospital_with_account__reaches_it_with_the_mark(
    payments, token, ids, account, wallet, hospital, issue_bills, pay, emits
):
    batch = issue_bills(3)
    number = batch.number(1)

    receipt = pay(batch, 1)

    paid = payments.BillPaid(
        number=number, hospital=ids[hospital], payee=account, amount=DUE, by=wallet
    )
    assert paid in receipt.events
    assert (token.balanceOf(account), token.balanceOf(wallet)) == (DUE, DUE)
    assert token.balanceOf(payments) == 0
    found = payments.paymentOf(number)
    assert (found.payee, found.amount, found.status) == (account, DUE, PaymentStatus.PAID)
    assert status_of(payments, batch.number(0)) == PaymentStatus.NONE


def test_pay__twice__is_refused(payments, token, wallet, issue_bills, pay, refused):
    batch = issue_bills()
    pay(batch)

    with refused(payments.BillIsPaid, number=batch.number()):
        pay(batch)
    assert token.balanceOf(wallet) == DUE


def test_pay__bill_on_hold__is_paid(payments, invoices, bill_segment, hospital, issue_bills, pay):
    born, held = issue_bills(on_hold=True), issue_bills()
    invoices.hold(bill_segment.id, held.number(), sender=hospital)

    for batch in (born, held):
        pay(batch)
        assert status_of(payments, batch.number()) == PaymentStatus.PAID


def test_pay__ledger_is_paused__what_is_owed_is_paid(
    payments, invoices, supervisor, issue_bills, pay
):
    batch = issue_bills()
    invoices.pause(sender=supervisor)

    pay(batch)

    assert status_of(payments, batch.number()) == PaymentStatus.PAID


def test_pay__bill_reversed_in_part__only_the_rest_is_due(
    payments, invoices, token, account, bill_segment, hospital, stranger, issue_bills,
    issue_red_letters, pay,
):  # fmt: skip
    batch = issue_bills()
    number = batch.number()
    invoices.open(*batch.proof(), sender=stranger)
    red_letter = issue_red_letters(number, 3_000)
    segment = bill_segment.id
    invoices.reversePart(segment, number, segment, *red_letter.proof(), REASON, sender=hospital)

    pay(batch)

    assert token.balanceOf(account) == DUE - 3_000
    assert payments.paymentOf(number).amount == DUE - 3_000


def test_pay_state_and_confirm__bill_without_standing__is_refused(
    payments, invoices, bill_segment, hospital, stranger, issue_bills, pay, state, confirm,
    sign_bill_payment, refused,
):  # fmt: skip
    batch = issue_bills(3)
    reversed_, red_letter, on_paper = (header.number for header in batch.headers)
    segment = bill_segment.id
    for index, header in enumerate(batch.headers):
        invoices.open(*batch.proof(index), sender=stranger)
        state(header.number)
    invoices.reverse(segment, reversed_, segment, red_letter, REASON, sender=hospital)
    invoices.exchangeForPaper(segment, on_paper, PAPER, sender=hospital)
    refusals = [
        (payments.InvoiceIsReversed, {"number": reversed_, "redLetter": red_letter}),
        (payments.InvoiceIsRedLetter, {"number": red_letter}),
        (payments.InvoiceOnPaper, {"number": on_paper}),
    ]

    for index, (error, arguments) in enumerate(refusals):
        number = arguments["number"]
        with refused(error, **arguments):
            confirm(number, sign_bill_payment(number, DUE, PAYMENT))
        payments.withdraw(segment, number, sender=hospital)
        with refused(error, **arguments):
            pay(batch, index)


def test_pay__bill_of_which_nothing_is_due__is_refused(payments, issue_bills, pay, refused):
    batch = issue_bills(claimable=0)

    with refused(payments.AmountZero, number=batch.number()):
        pay(batch)


def test_pay__header_that_was_not_issued__is_refused(
    payments, invoices, account, wallet, issue_bills, refused
):
    batch = issue_bills(2)
    _, head, path = batch.proof(0)
    forged = batch.headers[0].__class__(
        batch.number(0), *batch.headers[1].as_abi()[1:2], 1, 156, False, 0, 0, bytes(32)
    )

    with refused(invoices.ProofInvalid, number=batch.number(0)):
        payments.pay(forged.as_abi(), head, path, account, sender=wallet)


def test_pay__payee_that_is_not_the_hospitals__is_refused(
    payments, account, wallet, hospital, issue_bills, refused
):
    batch = issue_bills()
    number = batch.number()

    with refused(payments.PayeeDiffers, number=number, payee=wallet, account=account):
        payments.pay(*batch.proof(), wallet, sender=wallet)
    payments.setAccount(ZERO_ADDRESS, sender=hospital)
    for payee in (account, ZERO_ADDRESS):
        with refused(payments.PayeeDiffers, number=number, payee=payee, account=ZERO_ADDRESS):
            payments.pay(*batch.proof(), payee, sender=wallet)


def test_pay__account_of_another_hospital__is_refused(
    payments, account, wallet, other_hospital, other_bill_segment, issue_bills, refused
):
    batch = issue_bills(segment=other_bill_segment)

    with refused(payments.PayeeDiffers, number=batch.number(), payee=account, account=ZERO_ADDRESS):
        payments.pay(*batch.proof(), account, sender=wallet)
    payments.setAccount(other_hospital, sender=other_hospital)
    payments.pay(*batch.proof(), other_hospital, sender=wallet)
    assert payments.paymentOf(batch.number()).payee == other_hospital


def test_pay__suspended_hospital__is_refused(
    payments, institutions, ids, supervisor, hospital, issue_bills, pay, refused
):
    batch = issue_bills()
    institutions.suspend(ids[hospital], REASON, sender=supervisor)

    with refused(payments.NotAnIssuer, institution=ids[hospital]):
        pay(batch)


def test_pay__another_currency__is_refused(payments, issue_bills, pay, refused):
    batch = issue_bills(currency=840)

    with refused(payments.CurrencyNotPaid, number=batch.number(), currency=840):
        pay(batch)


def test_pay__without_settlement_token_in_the_deployment__is_refused(
    project, invoices, account, wallet, supervisor, issue_bills, refused
):
    payments = project.Payments.deploy(invoices, ZERO_ADDRESS, 156, sender=supervisor)
    batch = issue_bills()

    with refused(payments.CurrencyNotPaid, number=batch.number(), currency=156):
        payments.pay(*batch.proof(), account, sender=wallet)


def test_pay__too_few_tokens__marks_nothing(
    payments, token, wallet, supervisor, issue_bills, pay, refused
):
    batch = issue_bills(claimable=2 * DUE + 1)
    token.approve(payments, 2 * DUE + 1, sender=wallet)

    with refused(
        token.ERC20InsufficientBalance, sender=wallet, balance=2 * DUE, needed=2 * DUE + 1
    ):
        pay(batch)
    assert status_of(payments, batch.number()) == PaymentStatus.NONE


@pytest.fixture
def payments_in(project, invoices, supervisor, hospital, wallet, account, compiled):
    """Payments in a token that lies, and the wallet with enough of it for a bill."""

    def make(kind):
        token = compiled[kind].deploy(sender=supervisor)
        payments = project.Payments.deploy(invoices, token, 156, sender=supervisor)
        payments.setAccount(account, sender=hospital)
        if kind != "FalseToken":
            token.mint(wallet, DUE, sender=supervisor)
        return token, payments

    return make


def test_pay__token_that_answers_nothing__works(payments_in, account, wallet, issue_bills):
    token, payments = payments_in("SilentToken")
    payments.pay(*issue_bills().proof(), account, sender=wallet)

    assert (token.balanceOf(wallet), token.balanceOf(account)) == (0, DUE)


def test_pay__token_that_returns_false_or_takes_fees__is_refused(
    payments_in, account, wallet, issue_bills, refused
):
    batch = issue_bills()
    token, payments = payments_in("FalseToken")
    with refused(payments.SafeERC20FailedOperation, token=token):
        payments.pay(*batch.proof(), account, sender=wallet)

    token, payments = payments_in("FeeToken")
    with refused(payments.TransferInexact, amount=DUE, moved=DUE - 1):
        payments.pay(*batch.proof(), account, sender=wallet)
    assert status_of(payments, batch.number()) == PaymentStatus.NONE


def test_pay__to_the_wallet_itself__moves_nothing_and_is_refused(
    payments, wallet, hospital, issue_bills, refused
):
    payments.setAccount(wallet, sender=hospital)

    with refused(payments.TransferInexact, amount=DUE, moved=0):
        payments.pay(*issue_bills().proof(), wallet, sender=wallet)


@pytest.mark.parametrize("again", [True, False], ids=["the same bill", "another bill"])
def test_pay__token_that_calls_back__is_refused(
    payments_in, account, wallet, issue_bills, refused, again
):
    batch = issue_bills(2)
    token, payments = payments_in("CallingToken")
    inner = payments.pay.encode_input(*batch.proof(0 if again else 1), account)
    token.callBack(payments, inner, sender=wallet)

    with refused(payments.ReentrancyGuardReentrantCall):
        payments.pay(*batch.proof(), account, sender=wallet)


def test_pay__token_that_confirms_a_statement_meanwhile__finds_the_mark(
    payments_in, invoices, account, wallet, issue_bills, sign_bill_payment, refused
):
    batch = issue_bills()
    invoices.open(*batch.proof(), sender=wallet)
    token, payments = payments_in("CallingToken")
    signature = sign_bill_payment(batch.number(), DUE, PAYMENT, contract=payments.address)
    inner = payments.confirm.encode_input(batch.number(), FAR_FUTURE, signature)
    token.callBack(payments, inner, sender=wallet)

    with refused(payments.BillIsPaid, number=batch.number()):
        payments.pay(*batch.proof(), account, sender=wallet)


# Off chain


def test_confirm__what_the_hospital_stated__is_paid_once(
    payments, open_bill, hospital, stranger, state, confirm, sign_bill_payment, emits, refused
):
    number = open_bill()
    stated = state(number, 4_000)
    assert status_of(payments, number) == PaymentStatus.STATED
    signature = sign_bill_payment(number, 4_000, PAYMENT)

    confirmed = confirm(number, signature)

    emits(
        stated,
        payments.PaymentStated(number=number, amount=4_000, payment=PAYMENT, by=hospital),
    )
    emits(confirmed, payments.StatementConfirmed(number=number, by=stranger))
    found = payments.paymentOf(number)
    assert (found.payee, found.amount) == (ZERO_ADDRESS, 4_000)
    assert (found.status, found.payment) == (PaymentStatus.PAID, PAYMENT)
    with refused(payments.BillIsPaid, number=number):
        confirm(number, signature)


def test_confirm__without_a_statement__is_refused(
    payments, open_bill, confirm, sign_bill_payment, refused
):
    number = open_bill()

    with refused(payments.PaymentNotStated, number=number):
        confirm(number, sign_bill_payment(number, DUE, PAYMENT))


@pytest.mark.parametrize(
    "signed",
    [
        {"amount": DUE - 1},
        {"payment": OTHER_PAYMENT},
        {"deadline": FAR_FUTURE - 1},
        {"contract": ZERO_ADDRESS},
        {"key": None},
        {"number": 1},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_confirm__signature_over_something_else__is_refused(
    payments, patient, stranger_patient, open_bill, state, confirm, sign_bill_payment, refused,
    signed,
):  # fmt: skip
    number = open_bill()
    state(number)
    if "key" in signed:
        signed = {"key": stranger_patient}
    said = {"number": number, "amount": DUE, "payment": PAYMENT} | signed

    with refused(
        payments.AuthorisationInvalid, number=number, patient=patient.address("Invoice", number)
    ):
        confirm(number, sign_bill_payment(**said))


def test_confirm__after_the_deadline__is_refused(
    payments, chain, open_bill, state, confirm, sign_bill_payment, refused
):
    number = open_bill()
    state(number)
    deadline = chain.pending_timestamp - 1

    with refused(payments.AuthorisationExpired, number=number, deadline=deadline):
        confirm(number, sign_bill_payment(number, DUE, PAYMENT, deadline), deadline)


def test_confirm__bill_that_nobody_opened__is_refused(
    payments, issue_bills, state, confirm, sign_bill_payment, refused
):
    number = issue_bills().number()
    state(number)

    with refused(payments.InvoiceNotOpened, number=number):
        confirm(number, sign_bill_payment(number, DUE, PAYMENT))


def test_confirm__more_than_is_due__is_refused(
    payments, open_bill, state, confirm, sign_bill_payment, refused
):
    number = open_bill()
    state(number, DUE + 1)

    with refused(payments.OverDue, number=number, amount=DUE + 1, due=DUE):
        confirm(number, sign_bill_payment(number, DUE + 1, PAYMENT))


def test_withdraw__statement_that_is_not_confirmed__is_as_if_never_made(
    payments, open_bill, bill_segment, hospital, state, confirm, sign_bill_payment, emits, refused
):
    number = open_bill()
    state(number)

    receipt = payments.withdraw(bill_segment.id, number, sender=hospital)

    emits(receipt, payments.StatementWithdrawn(number=number, by=hospital))
    assert status_of(payments, number) == PaymentStatus.NONE
    with refused(payments.PaymentNotStated, number=number):
        confirm(number, sign_bill_payment(number, DUE, PAYMENT))
    with refused(payments.PaymentNotStated, number=number):
        payments.withdraw(bill_segment.id, number, sender=hospital)
    state(number, payment=OTHER_PAYMENT)
    confirm(number, sign_bill_payment(number, DUE, OTHER_PAYMENT))
    with refused(payments.BillIsPaid, number=number):
        payments.withdraw(bill_segment.id, number, sender=hospital)


def test_state__by_another_hospital_or_of_no_bill__is_refused(
    payments, ids, open_bill, bill_segment, other_bill_segment, hospital, other_hospital, state,
    invoices, refused,
):  # fmt: skip
    number = open_bill()

    for segment in (bill_segment, other_bill_segment):
        with refused(payments.NotTheIssuer, number=number, institution=ids[other_hospital]):
            state(number, segment=segment, by=other_hospital)
        with refused(payments.NotTheIssuer, number=number, institution=ids[other_hospital]):
            payments.withdraw(segment.id, number, sender=other_hospital)
    unissued = invoices.segmentOf(bill_segment.id).next
    with refused(payments.NotTheIssuer, number=unissued, institution=ids[hospital]):
        state(unissued)


def test_state__without_amount_or_reference_or_twice__is_refused(
    payments, open_bill, state, refused
):
    number = open_bill()

    with refused(payments.AmountZero, number=number):
        state(number, 0)
    with refused(payments.PaymentMissing, number=number):
        state(number, payment=bytes(32))
    state(number)
    with refused(payments.PaymentIsStated, number=number):
        state(number, 1, OTHER_PAYMENT)


# Never both ways


def test_pay_and_state__in_either_order__is_paid_one_way_only(
    payments, invoices, bill_segment, hospital, stranger, issue_bills, pay, state, confirm,
    sign_bill_payment, refused,
):  # fmt: skip
    batch = issue_bills(2)
    first, second = (header.number for header in batch.headers)
    invoices.open(*batch.proof(1), sender=stranger)

    pay(batch)
    with refused(payments.BillIsPaid, number=first):
        state(first)
    state(second)
    with refused(payments.PaymentIsStated, number=second):
        pay(batch, 1)
    confirm(second, sign_bill_payment(second, DUE, PAYMENT))
    with refused(payments.BillIsPaid, number=second):
        pay(batch, 1)


def test_set_account__of_the_callers_hospital__is_told(payments, ids, hospital, stranger, emits):
    receipt = payments.setAccount(stranger, sender=hospital)

    emits(receipt, payments.AccountSet(hospital=ids[hospital], account=stranger, by=hospital))
    assert payments.accountOf(ids[hospital]) == stranger
