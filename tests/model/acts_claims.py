"""Acts on Claims and Escrow."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random

from tests.model.acts_documents import segment_argument
from tests.model.rules import NO_SIGNATURE, UINT64, ZERO_ADDRESS, Key, Signed
from tests.model.rules_documents import Proof, SharedProof
from tests.model.world import (
    NO_HASH,
    SOME_HASH,
    Act,
    World,
    act,
    chance,
    deadline_from,
    document,
    shown,
)

from medledger.core.claims import ClaimTerms, Decision, Settlement
from medledger.core.hashing import (
    ClaimAuthorisation,
    ClaimWithdrawal,
    InvoiceHeader,
    PayerWaiver,
    PaymentConfirmation,
    keccak256,
)
from medledger.core.states import Kind, Standing, Status

REASON = 9
STANDING = (Standing.REGULAR, Standing.PARTLY_REVERSED)
OTHER_HASH = keccak256(b"another reference")


def lock(world: World, random: Random, number: int, payer: int) -> Act | None:
    proof = _shown(world, random, number)
    if proof is None:
        return None
    terms, given = _authorised(world, random, proof, payer)
    by = world.operator(random, payer)
    touched = _touched(world, proof.header.number, payer)
    return act(world.claims, "lock", by, proof, terms, given, touched=touched)


def lock_and_settle(world: World, random: Random, number: int, payer: int) -> Act | None:
    proof = _shown(world, random, number)
    if proof is None:
        return None
    terms, given = _authorised(world, random, proof, payer)
    settlement = Settlement(terms, _decision(random, terms.amount, terms.payee))
    by = world.operator(random, payer)
    touched = [*_touched(world, proof.header.number, payer), ("Escrow", "balance", terms.payee)]
    arguments = (proof, settlement, given)
    return act(world.claims, "lockAndSettle", by, *arguments, touched=touched)


def lock_and_settle_many(world: World, random: Random, number: int, payer: int) -> Act | None:
    ledger = world.invoices
    batch = ledger.batch_of(number)
    assert batch is not None
    size = len(batch.made.headers)
    indexes = sorted(random.sample(range(size), random.randint(1, size)))
    if chance(random, 6):
        indexes.append(indexes[0])
    shared = batch.shared_proof(sorted(set(indexes)))
    assert shared is not None
    headers = [batch.made.headers[index] for index in indexes]
    path = shared.path if not chance(random, 6) else (*shared.path[:-1], SOME_HASH)
    if chance(random, 4):
        path = path[:-1]
    proof = SharedProof(tuple(headers), batch.head, path)
    settlements, given = [], []
    touched: list[Key] = []
    for header in headers:
        assert isinstance(header, InvoiceHeader)
        terms, signed = _authorised(world, random, Proof(header, batch.head, ()), payer)
        settlements.append(Settlement(terms, _decision(random, terms.amount, terms.payee)))
        given.append(signed)
        touched += _touched(world, header.number, payer)
        touched.append(("Escrow", "balance", terms.payee))
    if chance(random, 4):
        settlements, given = random.choice([(settlements[1:], given), (settlements, given[1:])])
    if not settlements or not given:
        return None
    by = world.operator(random, payer)
    arguments = (proof, tuple(settlements), tuple(given))
    return act(world.claims, "lockAndSettleMany", by, *arguments, touched=touched)


def settle(world: World, random: Random, number: int, payer: int) -> Act:
    claim = world.claims.claim(number, payer)
    decision = _decision(random, claim.amount, claim.payee)
    touched = [*_touched(world, number, payer), ("Escrow", "balance", claim.payee)]
    return act(
        world.claims, "settle", world.operator(random, payer), number, decision, touched=touched
    )


def deny(world: World, random: Random, number: int, payer: int) -> Act:
    explanation = NO_HASH if chance(random, 8) else SOME_HASH
    return _by_payer(world, random, "deny", number, payer, REASON, explanation)


def withdraw(world: World, random: Random, number: int, payer: int) -> Act:
    claim = world.claims.claim(number, payer)
    deadline = deadline_from(random, world.now)
    message = ClaimWithdrawal(number, payer, REASON, claim.sequence, deadline)
    by, given = _payer_or_patient(world, random, number, payer, message)
    arguments = (number, payer, REASON, deadline, given)
    touched = _touched(world, number, payer)
    return act(world.claims, "withdraw", by, *arguments, touched=touched)


def waive(world: World, random: Random, number: int, payer: int) -> Act:
    claim = world.claims.claim(number, payer)
    deadline = deadline_from(random, world.now)
    message = PayerWaiver(number, payer, claim.sequence, deadline)
    by, given = _payer_or_patient(world, random, number, payer, message)
    arguments = (number, payer, deadline, given)
    return act(world.claims, "waive", by, *arguments, touched=_touched(world, number, payer))


def confirm_payment(world: World, random: Random, number: int, payer: int) -> Act:
    ledger = world.invoices
    claim = world.claims.claim(number, payer)
    payment = SOME_HASH if claim.payment == SOME_HASH[:11] else OTHER_HASH
    if chance(random, 10):
        payment = random.choice([SOME_HASH, OTHER_HASH, NO_HASH, SOME_HASH[:11] + bytes(21)])
    deadline = deadline_from(random, world.now)
    segment = segment_argument(random, ledger, number)
    if chance(random, 50):
        hospital = ledger.segments[ledger.segment_of(number)].institution
        by, given = world.operator(random, hospital), NO_SIGNATURE
    else:
        message = PaymentConfirmation(number, payer, payment, deadline)
        by, given = world.anybody(random), _signed(world, random, number, message)
    arguments = (number, payer, payment, segment, deadline, given)
    touched = _touched(world, number, payer)
    return act(world.claims, "confirmPayment", by, *arguments, touched=touched)


def recoup(world: World, random: Random, number: int, payer: int) -> Act:
    claim = world.claims.claim(number, payer)
    amount = _amount(random, claim.amount - claim.recouped)
    explanation = NO_HASH if chance(random, 6) else SOME_HASH
    return _by_payer(world, random, "recoup", number, payer, amount, REASON, explanation)


def repay(world: World, random: Random, number: int, payer: int) -> Act:
    amount = _amount(random, world.claims.recoup_due(number, payer))
    payment = NO_HASH if chance(random, 6) else SOME_HASH
    return _by_payer(world, random, "repay", number, payer, amount, payment)


def book(world: World, random: Random, number: int, payer: int) -> Act:
    return _by_payer(world, random, "book", number, payer)


def revoke_booking(world: World, random: Random, number: int, payer: int) -> Act:
    return _by_payer(world, random, "revokeBooking", number, payer, REASON)


def archive(world: World, random: Random, number: int, payer: int) -> Act:
    return _by_payer(world, random, "archive", number, payer)


def deposit(world: World, random: Random) -> Act:
    payer = random.choice(world.institutions_of(Kind.PAYER))
    by = world.operator(random, payer)
    held = world.escrow.balances.get(by, 0)
    amount = random.choice([held, held // 2, min(held, 100), 0, held + 1])
    return act(world.escrow, "deposit", by, amount, touched=_account(world, by, by))


def withdraw_deposit(world: World, random: Random) -> Act:
    payer = random.choice(world.institutions_of(Kind.PAYER))
    by = world.operator(random, payer)
    amount = _amount(random, world.escrow.deposits.get(payer, 0))
    to = world.escrow.address if chance(random, 8) else world.anybody(random)
    touched = _account(world, by, to)
    return act(world.escrow, "withdraw", by, amount, to, touched=touched)


Step = Callable[[World, Random, int, int], Act | None]
TO_LOCK: tuple[Step, ...] = (*(lock,) * 8, *(lock_and_settle,) * 2, lock_and_settle_many)
LIKELY: dict[Status, tuple[Step, ...]] = {
    Status.NONE: (*TO_LOCK, waive),
    Status.LOCKED: (*(settle,) * 5, deny, withdraw, withdraw, *TO_LOCK[7:], waive),
    Status.WITHDRAWN: (*TO_LOCK, waive),
    Status.DENIED: (*TO_LOCK, waive),
    Status.WAIVED: (*TO_LOCK, waive),
    Status.SETTLED: (*(recoup,) * 2, *(repay,) * 3, *(confirm_payment,) * 3, book, book, lock),
    Status.BOOKED: (archive, revoke_booking, revoke_booking, recoup, repay, confirm_payment),
    Status.ARCHIVED: (archive, recoup, repay, confirm_payment),
}
"""What may well be done next."""
EACH = sorted({each for likely in LIKELY.values() for each in likely}, key=lambda f: f.__name__)


def next_step(world: World, random: Random) -> Act | None:
    """Mostly what a claim waits for; most claims are on few bills."""
    ledger = world.invoices
    standing = [n for n, _ in ledger.issued() if ledger.bill(n).standing in STANDING]
    number = document(random, ledger, standing)
    payers, by_bill = world.institutions_of(Kind.PAYER), world.claims.claims
    payer = random.choice(payers)
    if by_bill and chance(random, 50):
        # One bill comes to have many claims at once.
        number = max(by_bill, key=lambda bill: len(by_bill[bill]))
        payer = random.choice([each for each in payers if each not in by_bill[number]] or payers)
    live = [
        (bill, claim.payer)
        for bill, claims in by_bill.items()
        for claim in claims.values()
        if claim.is_open(world.now) or claim.status in (Status.SETTLED, Status.BOOKED)
    ]
    if live and chance(random, 45):
        number, payer = random.choice(live)
    likely = LIKELY[world.claims.claim(number, payer).status]
    wanted = random.choice(EACH if chance(random, 10) else likely)
    return wanted(world, random, number, payer)


ACTS = (*(next_step,) * 18, deposit, withdraw_deposit)


def moments(world: World) -> Iterator[int]:
    """The ends of locks."""
    for claims in world.claims.claims.values():
        for claim in claims.values():
            if claim.status == Status.LOCKED:
                yield claim.until


def _shown(world: World, random: Random, number: int) -> Proof | None:
    return shown(random, world.invoices, number)


def _authorised(
    world: World, random: Random, proof: Proof, payer: int
) -> tuple[ClaimTerms, Signed]:
    """Terms near what is left of the bill, and mostly the patient's signature over them."""
    header = proof.header
    assert isinstance(header, InvoiceHeader)
    number = header.number
    bill = world.invoices.bill(number)
    remainder = max(header.claimable - bill.taken - sum(world.claims.usage(number)), 0)
    # Often little, so that a bill comes to have many claims at once.
    amount = _amount(random, remainder if chance(random, 25) else remainder // 8)
    payee = random.choice([ZERO_ADDRESS, ZERO_ADDRESS, header.patient])
    if chance(random, 4):
        payee = world.escrow.address
    if payee != ZERO_ADDRESS:
        amount = min(amount, world.escrow.deposits.get(payer, 0) + 1)
    before = 0
    if chance(random, 30):
        before = random.choice(world.institutions_of(Kind.PAYER)[:3])
    terms = ClaimTerms(amount, deadline_from(random, world.now), before, chance(random, 20), payee)
    message = ClaimAuthorisation(
        number,
        payer,
        terms.amount,
        world.claims.claim(number, payer).sequence,
        terms.deadline,
        terms.after_payer,
        terms.fixed_benefit,
        terms.payee,  # type: ignore[arg-type]
    )
    given = world.given(random, world.sign(world.claims, header.patient, message), number)
    world.remember(number, given)
    return terms, given


def _decision(random: Random, locked: int, payee: str) -> Decision:
    amount = locked if chance(random, 50) else _amount(random, locked)
    explanation = NO_HASH if chance(random, 5) else SOME_HASH
    payment = random.choice([SOME_HASH, OTHER_HASH])
    if payee != ZERO_ADDRESS or chance(random, 8):
        payment = random.choice([NO_HASH, payment])
    return Decision(amount, REASON, explanation, payment)


def _amount(random: Random, limit: int) -> int:
    """At most the limit, and often at its edge."""
    some = random.randint(1, limit) if limit > 0 else 1
    return min(random.choice([limit, limit, limit + 1, 0, 1, some, some, some, some]), UINT64)


def _payer_or_patient(
    world: World,
    random: Random,
    number: int,
    payer: int,
    message: ClaimWithdrawal | PayerWaiver,
) -> tuple[str, Signed]:
    if chance(random, 50):
        return world.operator(random, payer), NO_SIGNATURE
    return world.anybody(random), _signed(world, random, number, message)


def _signed(
    world: World,
    random: Random,
    number: int,
    message: ClaimWithdrawal | PayerWaiver | PaymentConfirmation,
) -> Signed:
    patient = world.invoices.bill(number).patient
    given = world.given(random, world.sign(world.claims, patient, message), number)
    world.remember(number, given)
    return given


def _by_payer(
    world: World, random: Random, function: str, number: int, payer: int, *arguments: object
) -> Act:
    by, touched = world.operator(random, payer), _touched(world, number, payer)
    return act(world.claims, function, by, number, *arguments, touched=touched)


def _touched(world: World, number: int, payer: int) -> list[Key]:
    """The claim, the deposit it is paid from, and where others stand with the bill."""
    others = [other for other in world.claims.claims.get(number, {}) if other != payer]
    claims: list[Key] = [("Claims", number, each) for each in [payer, *others[:2]]]
    return [*claims, ("Escrow", "deposit", payer)]


def _account(world: World, by: str, to: str) -> list[Key]:
    operator = world.institutions.operators.get(by)
    deposit_: list[Key] = [("Escrow", "deposit", operator.institution)] if operator else []
    return [*deposit_, ("Escrow", "balance", by), ("Escrow", "balance", to)]
