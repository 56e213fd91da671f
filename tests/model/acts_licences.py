"""Acts on Licences."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from tests.model.acts_documents import segment_argument
from tests.model.world import DAY, FAR_FUTURE, HOUR, Act, World, act, chance, document, shown

REASON = 6


def open_licence(world: World, random: Random) -> Act | None:
    ledger = world.licences
    unopened = [n for n, _ in ledger.issued() if not ledger.licence(n).valid_until]
    proof = shown(random, ledger, document(random, ledger, unopened))
    if proof is None:
        return None
    touched = [("Licences", "document", proof.header.number)]
    return act(ledger, "open", world.anybody(random), proof, touched=touched)


def renew(world: World, random: Random) -> Act:
    ledger = world.licences
    number = document(random, ledger, [n for n, at in ledger.licences.items() if at.valid_until])
    at = ledger.licence(number)
    later = [world.now, world.now - 1, world.now + 1, world.now + HOUR, world.now + DAY]
    until = random.choice([*later, at.valid_from, max(at.valid_from - 1, 0), FAR_FUTURE])
    return _by_authority(world, random, "renew", number, until)


def suspend(world: World, random: Random) -> Act:
    ledger = world.licences
    valid = [n for n, at in ledger.licences.items() if not at.suspended_from]
    return _by_authority(world, random, "suspend", document(random, ledger, valid))


def lift(world: World, random: Random) -> Act:
    ledger = world.licences
    suspended = [n for n, at in ledger.licences.items() if at.suspended_from]
    return _by_authority(world, random, "lift", document(random, ledger, suspended))


def revoke(world: World, random: Random) -> Act:
    # Seldom one of the busy ones: a revoked licence has seen its last act.
    numbers = [number for number, _ in world.licences.issued()]
    number = random.choice(numbers) if chance(random, 25) else random.choice(numbers[-3:])
    return _by_authority(world, random, "revoke", number)


ACTS = (
    *(open_licence,) * 3,
    *(renew,) * 5,
    *(suspend,) * 6,
    *(lift,) * 8,
    *(revoke,) * 1,
)


def moments(world: World) -> Iterator[int]:
    """The beginnings and ends of licences."""
    for at in world.licences.licences.values():
        yield at.valid_from
        yield at.valid_until


def _by_authority(world: World, random: Random, function: str, number: int, *arguments: int) -> Act:
    ledger = world.licences
    segment = segment_argument(random, ledger, number)
    by = world.operator(random, ledger.segments[ledger.segment_of(number)].institution)
    touched = [("Licences", "document", number)]
    return act(ledger, function, by, segment, number, *arguments, REASON, touched=touched)
