"""One example: acts drawn, done on both sides, and compared; and the shortest that still fails."""

from __future__ import annotations

import time as clock
from collections import Counter
from collections.abc import Sequence
from random import Random
from types import ModuleType
from typing import NamedTuple

from tests.model import (
    acts_bills,
    acts_claims,
    acts_documents,
    acts_institutions,
    acts_licences,
    acts_payments,
    acts_prescriptions,
    acts_records,
)
from tests.model.node import Mismatch
from tests.model.shown import shown_act
from tests.model.stage import Stage
from tests.model.world import DAY, HOUR, Act, World, chance

ACTS: dict[str, ModuleType] = {
    "institutions": acts_institutions,
    "documents": acts_documents,
    "bills": acts_bills,
    "claims": acts_claims,
    "prescriptions": acts_prescriptions,
    "licences": acts_licences,
    "records": acts_records,
}
BESIDE = 30
"""After how many of a hundred acts there is one on Payments."""
SHORTENING_SECONDS = 60.0


class Step(NamedTuple):
    """An act at a time, Unix seconds."""

    time: int
    act: Act


class Play:
    """An example from its beginning on. `seen` counts acts by name and by what refused them."""

    def __init__(self, stage: Stage, seen: Counter[tuple[str, str]]) -> None:
        self.stage = stage
        self.seen = seen
        self.world = stage.begin()
        self.steps: list[Step] = []
        self._drawn = 0

    def step(self, about: str, draw: int) -> None:
        """Draws an act on a ledger, and does it; now and then one on Payments in the same second.

        What patients pay changes nothing for the other ledgers, and is drawn apart: so it changes
        no draw of theirs either.
        """
        # The same draw at another place is another act.
        seed = draw << 16 | self._drawn
        random, beside = Random(seed), Random(f"payments {seed}")
        self.world.clock.now = draw_time(self.world, random, ACTS[about])
        found = draw_act(self.world, random, ACTS[about])
        if found is not None:
            self._drawn += 1
            self.do(Step(self.world.now, found))
        paying = draw_act(self.world, beside, acts_payments) if chance(beside, BESIDE) else None
        if paying is not None:
            self.do(Step(self.world.now, paying))

    def do(self, step: Step) -> None:
        """Raises `Mismatch` where the contracts do otherwise than the rules."""
        self.steps.append(step)
        self.world.clock.now = step.time
        refused = self.stage.node.perform(self.world, step.act)
        self.seen[step.act.name, refused.name if refused else ""] += 1

    def end(self) -> None:
        """Compares all that can be read, and what was logged with what is stored."""
        world = self.world
        views = [view for key in world.all_keys() for view in world.views(key)]
        self.stage.node.compare(world, views)
        self.stage.audit()


def failure(played: Play, steps: Sequence[Step]) -> Mismatch | None:
    """What goes wrong where these steps of an example are done again from the beginning."""
    play = Play(played.stage, Counter())
    play.world.keys.update(played.world.keys)
    try:
        for step in steps:
            play.do(step)
        play.end()
    except Mismatch as error:
        return error
    return None


def shortest(played: Play) -> list[Step]:
    """The steps of an example without those that its failure does not need, as far as time allows.

    By acts and not by what they were drawn from: the rules tell of any act what must come of it,
    in whatever state, so an act can be left out and the others stay what they are.
    """
    until = clock.monotonic() + SHORTENING_SECONDS
    kept, size = list(played.steps), max(len(played.steps) // 2, 1)
    while size:
        at = 0
        while at < len(kept) and clock.monotonic() < until:
            without = kept[:at] + kept[at + size :]
            if failure(played, without) is not None:
                kept = without
            else:
                at += size
        size //= 2
    return kept


def told(played: Play) -> str:
    """The shortest way to the failure of an example, for people."""
    steps = shortest(played)
    lines = [f"{step.time}  {shown_act(played.world, step.act)}" for step in steps]
    return "\n".join([*lines, f"{failure(played, steps)}"])


def draw_act(world: World, random: Random, acts: ModuleType) -> Act | None:
    """An act; more often than not one that is allowed, where a few tries find one."""
    found: Act | None = None
    for _ in range(random.choice([4, 1])):
        found = random.choice(acts.ACTS)(world, random) or found
        if found is not None and world.refusal(found) is None:
            break
    return found


def draw_time(world: World, random: Random, acts: ModuleType) -> int:
    """Mostly soon, and now and then at the edge of what these acts wait for."""
    way = random.randrange(100)
    if way < 45:
        return world.now
    if way < 85:
        return world.now + random.choice([1, 2, 30, 60])
    if way < 92:
        return world.now + random.choice([600, HOUR])
    horizon = world.now + (40 * DAY if chance(random, 5) else DAY)
    moments = {moment for moment in acts.moments(world) if world.now < moment < horizon}
    if not moments:
        return world.now
    edge = random.choice(sorted(moments)[:4])
    return max(edge + random.choice([0, 1, -1]), world.now)
