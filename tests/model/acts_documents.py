"""Acts that every ledger of documents has: numbers, batches, holds and the pause."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from tests.model.headers import header_for
from tests.model.rules_documents import DocumentLedger
from tests.model.world import Act, World, act, chance, deadline_from, document

from medledger.core.hashing import BatchEndorsement
from medledger.core.states import Hold, Kind

CODES = {"Invoices": 46060126, "Prescriptions": 46080126, "Licences": 46090126, "Records": 46070126}
NEVER_ALLOTTED = 7
"""A number without a code."""


def allot(world: World, random: Random) -> Act:
    ledger = _ledger(world, random)
    code = random.choice([CODES[ledger.NAME], CODES[ledger.NAME], 1, 99_999_999, 0, 10**8])
    highest = ledger.highest.get(code, 0)
    first = highest + random.choice([1, 1, 1, 1, 2, 0, -highest])
    last = first + random.choice([0, 3, 3, 9, 9, 9, -1])
    if chance(random, 5):
        last = random.choice([10**10 - 1, 10**10])
    owners = world.institutions_of(ledger.ISSUER)
    institution = random.choice(owners) if not chance(random, 12) else random.randint(0, 30)
    arguments = (institution, code, first, max(last, 0), chance(random, 30))
    by = world.operator_as(random, Kind.SUPERVISOR)
    touched = [(ledger.NAME,), (ledger.NAME, "segment", len(ledger.segments) + 1)]
    if first <= 0:
        touched = touched[:1]
    return act(ledger, "allot", by, *arguments, touched=touched)


def withdraw(world: World, random: Random) -> Act:
    ledger = _ledger(world, random)
    # Those from the start are needed.
    count = len(ledger.segments)
    segment = count if not chance(random, 25) else random.randint(1, count + 1)
    by = world.operator_as(random, Kind.SUPERVISOR)
    touched = [(ledger.NAME, "segment", segment)] if segment <= count else []
    return act(ledger, "withdraw", by, segment, 3, touched=touched)


def issue(world: World, random: Random) -> Act:
    ledger = _ledger(world, random)
    segment, first, count = _numbers(random, ledger)
    headers = [header_for(world, random, ledger, first + index) for index in range(count)]
    made = world.tree(headers)
    at = ledger.segments.get(segment)
    by = world.operator(random, at.institution if at else 3)
    touched = [(ledger.NAME, "batch", first)]
    if at:
        touched.append((ledger.NAME, "segment", segment))
    if at is None or not at.endorsed or chance(random, 15):
        arguments = (segment, first, count, made)
        return act(ledger, "issue", by, *arguments, touched=touched)
    deadline = deadline_from(random, world.now)
    signer = world.operator_as(random, Kind.SUPERVISOR)
    message = BatchEndorsement(segment, first, count, made.root, deadline)
    given = world.given(random, world.sign(ledger, signer, message), segment)
    world.remember(segment, given)
    endorsed = (segment, first, count, made, deadline, signer, given)
    return act(ledger, "issueEndorsed", by, *endorsed, touched=touched)


def hold(world: World, random: Random) -> Act:
    ledger = _ledger(world, random)
    return _by_issuer(world, random, ledger, "hold", document(random, ledger))


def release(world: World, random: Random) -> Act:
    ledger = _ledger(world, random)
    held = [number for number, said in ledger.holds.items() if said == Hold.HELD]
    born = [n for n, header in ledger.issued() if header.on_hold and n not in ledger.holds]
    return _by_issuer(world, random, ledger, "release", document(random, ledger, held + born))


def pause(world: World, random: Random) -> Act:
    # Rather end a pause than begin one: most acts wait for that.
    paused = [ledger for ledger in world.ledgers if ledger.paused]
    ledger = random.choice(paused) if paused else _ledger(world, random)
    function = "unpause" if ledger.paused != chance(random, 20) else "pause"
    by = world.operator_as(random, Kind.SUPERVISOR)
    return act(ledger, function, by, touched=[(ledger.NAME,)])


ACTS = (
    *(allot,) * 3,
    *(withdraw,) * 1,
    *(issue,) * 12,
    *(hold,) * 2,
    *(release,) * 4,
    *(pause,) * 2,
)


def moments(world: World) -> Iterator[int]:
    """Nothing of this waits for a time."""
    return iter(())


def _ledger(world: World, random: Random) -> DocumentLedger:
    return random.choice(world.ledgers)


def _numbers(random: Random, ledger: DocumentLedger) -> tuple[int, int, int]:
    """Segment, first number and count: mostly the next ones."""
    open_ones = [id_ for id_, at in ledger.segments.items() if at.next <= at.last]
    segment = random.choice(open_ones)
    if chance(random, 12):
        segment = random.randint(0, len(ledger.segments) + 1)
    at = ledger.segments.get(segment)
    if at is None:
        return segment, NEVER_ALLOTTED, 1
    first = at.next
    if chance(random, 12):
        first = random.choice([at.next - 1, at.next + 1, at.first, at.first - 1, at.last + 1])
    left = at.last + 1 - at.next
    count = random.choice([1, 2, 3])
    if left <= 6 and chance(random, 50):
        count = random.choice([left, left + 1])
    if chance(random, 4):
        count = 0
    return segment, first, count


def _by_issuer(
    world: World, random: Random, ledger: DocumentLedger, function: str, number: int
) -> Act:
    segment = ledger.segment_of(number)
    by = world.operator(random, ledger.segments[segment].institution)
    if chance(random, 8):
        segment = random.randint(0, len(ledger.segments) + 1)
    if chance(random, 5):
        number = random.choice([at.next for at in ledger.segments.values()])
    touched = [(ledger.NAME, "document", number)]
    return act(ledger, function, by, segment, number, touched=touched)


def segment_argument(random: Random, ledger: DocumentLedger, number: int) -> int:
    """Mostly the segment of the number."""
    if chance(random, 5):
        return random.randint(0, len(ledger.segments) + 1)
    return ledger.segment_of(number)
