"""Acts on Institutions: mostly by a supervisor, and mostly to put things right again."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from tests.model.rules import ZERO_ADDRESS, Key
from tests.model.world import DAY, FAR_FUTURE, Act, World, act, chance, deadline_from

from medledger.core.hashing import OperatorConsent, name_hash
from medledger.core.states import Kind

FOUNDERS = 10
"""Institutions that were there from the start, and are needed."""


def accredit(world: World, random: Random) -> Act:
    kinds = random.choice([*Kind, Kind.HOSPITAL | Kind.PHARMACY, 0, 64, 65])
    region = random.choice([0, 460000, 999_999, 1_000_000])
    valid_from = world.now + random.choice([-10, 0, 1, 60])
    valid_until = world.now + random.choice([-1, 0, 1, 60, DAY, FAR_FUTURE])
    operator = world.anybody(random) if chance(random, 15) else world.new_key()
    if chance(random, 4):
        operator = ZERO_ADDRESS
    by = world.operator_as(random, Kind.SUPERVISOR)
    named = name_hash(f"institution {world.made}")
    made = len(world.institutions.institutions) + 1
    arguments = (int(kinds), region, named, valid_from, valid_until, operator)
    touched = [("institution", made), ("operator", operator)]
    return act(world.institutions, "accredit", by, *arguments, touched=touched)


def renew(world: World, random: Random) -> Act:
    of = _institution(world, random)
    valid_until = world.now + random.choice([-1, 0, 1, 600, DAY, FAR_FUTURE])
    by = world.operator_as(random, Kind.SUPERVISOR)
    touched = [("institution", of)]
    return act(world.institutions, "renew", by, of, valid_until, touched=touched)


def suspend(world: World, random: Random) -> Act:
    of = _institution(world, random)
    by = world.operator_as(random, Kind.SUPERVISOR)
    return act(world.institutions, "suspend", by, of, 7, touched=[("institution", of)])


def reinstate(world: World, random: Random) -> Act:
    records = world.institutions.institutions
    suspended = [id_ for id_, record in records.items() if record.suspended]
    of = _institution(world, random)
    if suspended and not chance(random, 15):
        of = random.choice(suspended)
    by = world.operator_as(random, Kind.SUPERVISOR)
    return act(world.institutions, "reinstate", by, of, touched=[("institution", of)])


def add_operator(world: World, random: Random) -> Act:
    of = _institution(world, random)
    operator = world.anybody(random) if chance(random, 20) else world.new_key()
    deadline = deadline_from(random, world.now)
    consent = world.sign(world.institutions, operator, OperatorConsent(of, deadline))
    given = world.given(random, consent)
    by = world.operator(random, random.choice([of, of, 1]))
    touched = [("institution", of), ("operator", operator)]
    arguments = (of, operator, deadline, given)
    return act(world.institutions, "addOperator", by, *arguments, touched=touched)


def remove_operator(world: World, random: Random) -> Act:
    of = _institution(world, random)
    operator = world.operator(random, of)
    by = operator if chance(random, 40) else world.operator_as(random, Kind.SUPERVISOR)
    record = world.institutions.operators.get(operator)
    touched: list[Key] = [("operator", operator)]
    if record is not None:
        touched.append(("institution", record.institution))
    return act(world.institutions, "removeOperator", by, operator, touched=touched)


def repair(world: World, random: Random) -> Act:
    """What lets an institution of the beginning act again."""
    found = world.institutions
    for id_, record in list(found.institutions.items())[:FOUNDERS]:
        by = random.choice(world.operators_of(1 if id_ != 1 else 2) or [world.anybody(random)])
        touched: list[Key] = [("institution", id_)]
        if record.suspended:
            return act(found, "reinstate", by, id_, touched=touched)
        if record.valid_until < world.now + DAY:
            return act(found, "renew", by, id_, FAR_FUTURE, touched=touched)
        if len(world.operators_of(id_)) < 2:
            operator, deadline = world.new_key(), world.now
            consent = world.sign(found, operator, OperatorConsent(id_, deadline))
            terms = (id_, operator, deadline, consent)
            touched.append(("operator", operator))
            return act(found, "addOperator", by, *terms, touched=touched)
    return reinstate(world, random)


ACTS = (
    *(accredit,) * 3,
    *(renew,) * 3,
    *(suspend,) * 4,
    *(reinstate,) * 3,
    *(repair,) * 12,
    *(add_operator,) * 4,
    *(remove_operator,) * 3,
)


def moments(world: World) -> Iterator[int]:
    """Times at which something of this becomes otherwise."""
    for record in world.institutions.institutions.values():
        yield record.valid_from
        yield record.valid_until


def _institution(world: World, random: Random) -> int:
    """Mostly one that was accredited during the example, so that the others can go on."""
    count = len(world.institutions.institutions)
    newest = range(max(count - 2, 1), count + 1)
    if not chance(random, 40):
        return random.choice(newest)
    return random.randint(1 if chance(random, 50) else 0, count + 1)
