"""Acts on Prescriptions and their policies."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from random import Random

from tests.model.acts_documents import segment_argument
from tests.model.rules_policies import UNLIMITED, Policy
from tests.model.rules_prescriptions import TAKEN, Prescription
from tests.model.world import (
    DAY,
    LEASE_PERIOD,
    NO_HASH,
    SOME_HASH,
    Act,
    World,
    act,
    chance,
    deadline_from,
    shown,
)

from medledger.core.hashing import AcceptAuthorisation, DeliveryConfirmation
from medledger.core.states import Kind, State

REASON = 4


def set_policy(world: World, random: Random) -> Act:
    drug_class = random.choice([1, 1, 2, 2, 2, 3, 3, 0])
    policy = Policy(30 * DAY, 2, 10, 60, True, False, False)
    if drug_class == 0 or chance(random, 20):
        policy = UNLIMITED
    if chance(random, 50):
        # One thing of it is otherwise.
        policy = random.choice(
            [
                replace(policy, max_validity=random.choice([20 * DAY, 1, 0])),
                replace(policy, max_repeats=random.choice([0, 1])),
                replace(policy, max_quantity=random.choice([3, 0])),
                replace(policy, withdraw_minutes=random.choice([0, 1, 24 * 60, 65_535])),
                replace(policy, courier_allowed=False),
                replace(policy, second_approver=True),
                replace(policy, licence_demanded=True),
            ]
        )
    by = world.operator_as(random, Kind.SUPERVISOR)
    touched = [("policy", drug_class)]
    return act(world.policies, "setPolicy", by, drug_class, policy, touched=touched)


def accept(world: World, random: Random, number: int) -> Act | None:
    ledger = world.prescriptions
    proof = shown(random, ledger, number)
    if proof is None:
        return None
    number = proof.header.number
    at = ledger.prescription(number)
    pharmacies = world.institutions_of(Kind.PHARMACY)
    pharmacy = random.choice(pharmacies)
    if pharmacy == at.pharmacy and any(at.parcel):
        # Who has a parcel does not disown it: rather another.
        pharmacy = random.choice(pharmacies)
    deadline = deadline_from(random, world.now)
    message = AcceptAuthorisation(number, pharmacy, at.sequence, deadline)
    given = world.given(random, world.sign(ledger, proof.header.patient, message), number)
    world.remember(number, given)
    by = world.operator(random, pharmacy)
    return act(ledger, "accept", by, proof, deadline, given, touched=_touched(number))


def return_to_pool(world: World, random: Random, number: int) -> Act:
    return _act(world, "returnToPool", _holder(world, random, number), number, REASON)


def review(world: World, random: Random, number: int) -> Act:
    record = NO_HASH if chance(random, 8) else SOME_HASH
    return _act(world, "review", _holder(world, random, number), number, record)


def dispense(world: World, random: Random, number: int) -> Act:
    return _dispense(world, random, number, _holder(world, random, number))


def withdraw_dispensing(world: World, random: Random, number: int) -> Act:
    return _act(world, "withdrawDispensing", _holder(world, random, number), number, REASON)


def hand_over(world: World, random: Random, number: int) -> Act:
    by, courier = _holder(world, random, number), _courier(world, random)
    offerer, _, _ = world.prescriptions.prescription(number).offer
    if offerer and chance(random, 60):
        # Who offered it in an earlier custody: the offer must not count in the next one.
        courier = offerer
    return _act(world, "handOver", by, number, courier)


def dispense_and_hand_over(world: World, random: Random, number: int) -> Act:
    """Both in one transaction, or neither."""
    by = _holder(world, random, number)
    parts = (
        _dispense(world, random, number, by),
        _act(world, "handOver", by, number, _courier(world, random)),
    )
    return Act("Prescriptions", "multicall", by, (), tuple(_touched(number)), parts=parts)


def offer(world: World, random: Random, number: int) -> Act:
    by, courier = _carrier(world, random, number), _courier(world, random)
    return _act(world, "offer", by, number, courier)


def take_over(world: World, random: Random, number: int) -> Act:
    _, receiver, _ = world.prescriptions.prescription(number).offer
    if not receiver or chance(random, 10):
        receiver = random.choice(world.institutions_of(Kind.COURIER))
    return _act(world, "takeOver", world.operator(random, receiver), number)


def fail_delivery(world: World, random: Random, number: int) -> Act:
    return _act(world, "failDelivery", _carrier(world, random, number), number, REASON)


def take_back(world: World, random: Random, number: int) -> Act:
    return _act(world, "takeBack", _holder(world, random, number), number)


def deliver(world: World, random: Random, number: int) -> Act:
    ledger = world.prescriptions
    at = ledger.prescription(number)
    deadline = deadline_from(random, world.now)
    message = DeliveryConfirmation(number, at.sequence, at.parcel, deadline)
    given = world.given(random, world.sign(ledger, at.patient, message), number)
    world.remember(number, given)
    by = world.anybody(random)
    return act(ledger, "deliver", by, number, deadline, given, touched=_touched(number))


def cancel(world: World, random: Random, number: int) -> Act:
    return _by_hospital(world, random, "cancel", number)


def request_cancel(world: World, random: Random, number: int) -> Act:
    return _by_hospital(world, random, "requestCancel", number)


TO_TAKE = (accept,) * 12
WITH_PHARMACY = (accept, review, review, return_to_pool, request_cancel, cancel)
LIKELY = {
    State.NOT_OPENED: TO_TAKE,
    State.AVAILABLE: (*TO_TAKE, cancel),
    State.ACCEPTED: (*WITH_PHARMACY, *(dispense,) * 6, *(dispense_and_hand_over,) * 3),
    State.DISPENSED: (
        *WITH_PHARMACY,
        *(dispense,) * 3,
        dispense_and_hand_over,
        *(withdraw_dispensing,) * 3,
        *(hand_over,) * 6,
        *(deliver,) * 4,
    ),
    State.IN_TRANSIT: (
        accept,
        request_cancel,
        *(offer,) * 3,
        *(take_over,) * 4,
        *(fail_delivery,) * 2,
        *(take_back,) * 3,
        *(deliver,) * 6,
    ),
    State.DELIVERED: (*TO_TAKE, cancel, cancel, deliver),
    State.CANCELLED: (accept,),
}
"""What may well be done next."""
EACH = sorted({each for likely in LIKELY.values() for each in likely}, key=lambda f: f.__name__)


def next_step(world: World, random: Random) -> Act | None:
    """Mostly what a prescription in its state waits for, and mostly one that somebody has."""
    ledger = world.prescriptions
    taken = [number for number, at in _all(world) if at.state in TAKEN]
    number = random.choice(_busy(world) or [n for n, _ in ledger.issued()])
    if taken and chance(random, 60):
        number = random.choice(taken[-3:])
    at = ledger.prescription(number)
    likely = LIKELY[at.state]
    if at.state == State.IN_TRANSIT and at.offer[0] == at.courier and at.offer[2] != at.until:
        likely += (take_over,) * 12
    wanted = random.choice(EACH if chance(random, 15) else likely)
    return wanted(world, random, number)


ACTS = (*(next_step,) * 20, set_policy)


def moments(world: World) -> Iterator[int]:
    """When leases, windows and intervals end, and what is prescribed expires."""
    ledger = world.prescriptions
    for number, at in _all(world):
        if at.state in TAKEN:
            yield at.until
            yield at.until + LEASE_PERIOD
        if at.state == State.DISPENSED:
            yield at.until - LEASE_PERIOD + at.policy.withdraw_minutes * 60
        if at.state == State.DELIVERED and at.repeats_left:
            batch = ledger.batch_of(number)
            if batch is not None:
                header = batch.made.headers[number - batch.head.first]
                yield at.until + header.interval  # type: ignore[union-attr]
    for _, header in ledger.issued():
        yield header.authored_at  # type: ignore[union-attr]
        yield header.valid_until  # type: ignore[union-attr]


def _all(world: World) -> Iterator[tuple[int, Prescription]]:
    yield from world.prescriptions.prescriptions.items()


def _touched(number: int) -> list[tuple[str, str, int]]:
    return [("Prescriptions", "document", number)]


def _busy(world: World) -> list[int]:
    """Those that something can still be done with."""
    ledger = world.prescriptions
    return [
        number
        for number, header in ledger.issued()
        if ledger.prescription(number).state != State.CANCELLED and header.valid_until >= world.now  # type: ignore[union-attr]
    ]


def _holder(world: World, random: Random, number: int) -> str:
    """Mostly an operator of the pharmacy that has it."""
    pharmacy = world.prescriptions.prescription(number).pharmacy
    if not pharmacy or chance(random, 4):
        pharmacy = random.choice(world.institutions_of(Kind.PHARMACY))
    return world.operator(random, pharmacy)


def _carrier(world: World, random: Random, number: int) -> str:
    """Mostly an operator of the courier that has the parcel."""
    courier = world.prescriptions.prescription(number).courier
    if not courier or chance(random, 6):
        courier = random.choice(world.institutions_of(Kind.COURIER))
    return world.operator(random, courier)


def _courier(world: World, random: Random) -> int:
    if chance(random, 8):
        return random.randint(0, len(world.institutions.institutions) + 1)
    return random.choice(world.institutions_of(Kind.COURIER))


def _dispense(world: World, random: Random, number: int, by: str) -> Act:
    at = world.prescriptions.prescription(number)
    lines = max(at.lines, 1)
    if chance(random, 50):
        quantities = list(at.remaining[:lines])
    else:
        quantities = [random.choice([0, 1, left, left // 2]) for left in at.remaining[:lines]]
    if chance(random, 10):
        line = random.randrange(lines)
        quantities[line] = min(at.remaining[line] + 1, 65_535)
    if chance(random, 5):
        quantities = random.choice([[], [0], [1] * 6, quantities[:-1]])
    dispensed = sum(1 << line for line, quantity in enumerate(quantities) if quantity)
    substituted = at.substitutable & dispensed & random.choice([0, 0, 1, 3, 31])
    if chance(random, 6):
        substituted = random.choice([at.substitutable, 1, 2, 31, 32])
    items = NO_HASH if chance(random, 5) else SOME_HASH
    record = NO_HASH if chance(random, 25) else SOME_HASH
    arguments = (number, tuple(quantities), substituted, items, record)
    return _act(world, "dispense", by, *arguments)


def _act(world: World, function: str, by: str, number: int, *arguments: object) -> Act:
    return act(world.prescriptions, function, by, number, *arguments, touched=_touched(number))


def _by_hospital(world: World, random: Random, function: str, number: int) -> Act:
    ledger = world.prescriptions
    segment = segment_argument(random, ledger, number)
    by = world.operator(random, ledger.segments[ledger.segment_of(number)].institution)
    touched = _touched(number)
    return act(ledger, function, by, segment, number, REASON, touched=touched)
