"""Acts on Payments."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from tests.model.acts_documents import segment_argument
from tests.model.rules import UINT64, ZERO_ADDRESS, Key
from tests.model.rules_payments import NO_HASH
from tests.model.world import (
    SOME_HASH,
    Act,
    World,
    act,
    chance,
    deadline_from,
    document,
    shown,
)

from medledger.core.hashing import BillPayment, InvoiceHeader, keccak256
from medledger.core.states import Kind, PaymentStatus

OTHER_HASH = keccak256(b"a reference at another counter")


def set_account(world: World, random: Random) -> Act:
    ledger = world.payments
    hospital = random.choice(world.institutions_of(Kind.HOSPITAL))
    by = world.operator(random, hospital)
    accounts = _operators(world, hospital)
    if chance(random, 40):
        # A wallet that is paid pays itself, too, which moves nothing.
        accounts = [ZERO_ADDRESS, *ledger.allowances, *list(ledger.allowances)[:1] * 4]
    operator = world.institutions.operators.get(by)
    touched = [(ledger.NAME, "account", operator.institution)] if operator else []
    return act(ledger, "setAccount", by, random.choice(accounts), touched=touched)


def pay(world: World, random: Random) -> Act | None:
    number = _bill(world, random, PaymentStatus.NONE)
    proof = shown(random, world.invoices, number)
    if proof is None:
        return None
    by, payee = _wallet(world, random), _payee(world, random, number)
    if payee in world.payments.allowances and chance(random, 60):
        by = payee
    touched = [*_touched(world, proof.header.number), *_purse(world, by)]
    touched.append(("Escrow", "balance", payee))
    return act(world.payments, "pay", by, proof, payee, touched=touched)


def state(world: World, random: Random) -> Act:
    number = _bill(world, random, PaymentStatus.NONE)
    due = _due(world, number)
    amounts = [due, due, due, due + 1, max(due - 1, 0), 1, 0]
    amount = min(random.choice(amounts), UINT64)
    payment = NO_HASH if chance(random, 8) else random.choice([SOME_HASH, OTHER_HASH])
    return _by_hospital(world, random, "state", number, amount, payment)


def withdraw(world: World, random: Random) -> Act:
    return _by_hospital(world, random, "withdraw", _bill(world, random, PaymentStatus.STATED))


def confirm(world: World, random: Random) -> Act:
    ledger = world.payments
    number = _bill(world, random, PaymentStatus.STATED)
    stated = ledger.payment(number)
    deadline = deadline_from(random, world.now)
    message = BillPayment(number, stated.amount, stated.payment, deadline)
    right = world.sign(ledger, world.invoices.bill(number).patient, message)
    kept: Key = (ledger.NAME, number)
    given = world.given(random, right, kept)
    before = world.signed.get(kept)
    if before and chance(random, 35):
        given = random.choice(before)
        deadline = given.message.deadline  # type: ignore[union-attr]
    elif given is right:
        world.remember(kept, given)
    arguments = (number, deadline, given)
    touched = _touched(world, number)
    return act(ledger, "confirm", world.anybody(random), *arguments, touched=touched)


ACTS = (
    *(pay,) * 8,
    *(state,) * 6,
    *(withdraw,) * 2,
    *(confirm,) * 8,
    set_account,
)


def moments(world: World) -> Iterator[int]:
    """Nothing of this waits for a time."""
    return iter(())


def _bill(world: World, random: Random, status: PaymentStatus) -> int:
    """Mostly an opened bill whose payment is so far; else one further, or that lost its ground."""
    ledger, bills = world.payments, world.invoices
    numbers = [n for n, _ in bills.issued() if ledger.payment(n).status == status]
    opened = [n for n in numbers if bills.bill(n).patient != ZERO_ADDRESS]
    inactive = [n for n in numbers if not _is_active(world, _hospital(world, n))]
    if inactive and chance(random, 30):
        return random.choice(inactive)
    if chance(random, 25):
        changed = [n for n, at in bills.bills.items() if at.standing]
        opened = random.choice([list(ledger.payments), changed, changed, numbers])
    return document(random, bills, opened or numbers)


def _hospital(world: World, number: int) -> int:
    """Who issued the bill."""
    bills = world.invoices
    return bills.segments[bills.segment_of(number)].institution


def _is_active(world: World, hospital: int) -> bool:
    return world.institutions.is_active_as(hospital, Kind.HOSPITAL)


def _due(world: World, number: int) -> int:
    """What is due of a bill, also of one that nobody opened."""
    bills = world.invoices
    if bills.bill(number).patient != ZERO_ADDRESS:
        return bills.bill(number).left
    header = dict(bills.issued())[number]
    assert isinstance(header, InvoiceHeader)
    return header.claimable


def _operators(world: World, institution: int) -> list[str]:
    """All keys that act or acted for it."""
    known = world.institutions.operators
    return [key for key, at in known.items() if at.institution == institution]


def _wallet(world: World, random: Random) -> str:
    """Mostly the one that has enough; else one with little, or somebody who allows nothing."""
    enough, *others = world.payments.allowances
    if chance(random, 70):
        return enough
    return world.anybody(random) if chance(random, 25) else random.choice(others)


def _payee(world: World, random: Random, number: int) -> str:
    """Mostly where the hospital is paid now; else where it was once, or another is, or nowhere."""
    ledger, hospital = world.payments, _hospital(world, number)
    if not chance(random, 15):
        return ledger.account(hospital)
    return random.choice([*_operators(world, hospital), *ledger.accounts.values(), ZERO_ADDRESS])


def _by_hospital(
    world: World, random: Random, function: str, number: int, *arguments: object
) -> Act:
    segment = segment_argument(random, world.invoices, number)
    by, touched = world.operator(random, _hospital(world, number)), _touched(world, number)
    return act(world.payments, function, by, segment, number, *arguments, touched=touched)


def _touched(world: World, number: int) -> list[Key]:
    return [(world.payments.NAME, "payment", number)]


def _purse(world: World, by: str) -> list[Key]:
    return [("Escrow", "balance", by), (world.payments.NAME, "allowance", by)]
