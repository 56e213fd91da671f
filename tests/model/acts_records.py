"""Acts on Records."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from tests.model.rules import Key, Signed
from tests.model.rules_records import Grant
from tests.model.world import DAY, NO_HASH, SOME_HASH, Act, World, act, chance, document, shown

from medledger.core.hashing import AccessGrant, AccessRevocation, RecordHeader
from medledger.core.states import Kind


def open_record(world: World, random: Random) -> Act | None:
    ledger = world.records
    unopened = [n for n, _ in ledger.issued() if n not in ledger.records]
    proof = shown(random, ledger, document(random, ledger, unopened))
    if proof is None:
        return None
    header = proof.header
    assert isinstance(header, RecordHeader)
    touched: list[Key] = [("Records", "document", header.number)]
    if header.amends:
        touched.append(("Records", "document", header.amends))
    return act(ledger, "open", world.anybody(random), proof, touched=touched)


def grant(world: World, random: Random) -> Act:
    number, institution, purpose, sequence = _asked(world, random, [])
    until = world.now + random.choice([DAY, DAY, 60, 60, 1, 0, -1])
    message = AccessGrant(number, institution, purpose, sequence, until)
    given = _signed(world, random, number, message)
    arguments = (number, institution, purpose, until, given)
    touched = [("Records", "grant", number, institution, purpose)]
    return act(world.records, "grant", world.anybody(random), *arguments, touched=touched)


def revoke(world: World, random: Random) -> Act:
    granted = [key for key, entry in world.records.grants.items() if entry.until]
    number, institution, purpose, sequence = _asked(world, random, granted)
    message = AccessRevocation(number, institution, purpose, sequence)
    given = _signed(world, random, number, message)
    arguments = (number, institution, purpose, given)
    touched = [("Records", "grant", number, institution, purpose)]
    return act(world.records, "revoke", world.anybody(random), *arguments, touched=touched)


def anchor_reads(world: World, random: Random) -> Act:
    hospital = random.choice(world.institutions_of(Kind.HOSPITAL))
    last = world.records.last_day.get(hospital, 0)
    today = world.now // DAY
    day = random.choice([today, today, today + 1, today - 1, last, last + 1])
    by = world.operator(random, hospital)
    count = 0 if chance(random, 6) else 3
    caller = world.institutions.operators.get(by)
    touched = [("Records", "reads", caller.institution, day)] if caller else []
    root = NO_HASH if chance(random, 5) else SOME_HASH
    return act(world.records, "anchorReads", by, day, count, root, touched=touched)


ACTS = (
    *(open_record,) * 5,
    *(grant,) * 7,
    *(revoke,) * 4,
    *(anchor_reads,) * 3,
)


def moments(world: World) -> Iterator[int]:
    """The ends of grants, and the next day."""
    for entry in world.records.grants.values():
        yield entry.until
    yield (world.now // DAY + 1) * DAY


def _asked(
    world: World, random: Random, granted: list[tuple[int, int, int]]
) -> tuple[int, int, int, int]:
    """Record, institution and purpose, and the sequence that a signature must name."""
    ledger = world.records
    number = document(random, ledger, list(ledger.records))
    institution = random.choice(world.institutions_of(Kind.HOSPITAL | Kind.PHARMACY)[:3])
    if chance(random, 5):
        institution = random.randint(0, len(world.institutions.institutions) + 1)
    purpose = random.choice([1, 1, 1, 2, 4, 4]) if not chance(random, 6) else random.choice([0, 5])
    asked = (number, institution, purpose)
    if granted and not chance(random, 15):
        asked = random.choice(granted)
    return *asked, ledger.grants.get(asked, Grant()).sequence


def _signed(
    world: World, random: Random, number: int, message: AccessGrant | AccessRevocation
) -> Signed:
    ledger = world.records
    record = ledger.records.get(number)
    patient = record.patient if record else world.patient_of("Records", number)
    given = world.given(random, world.sign(ledger, patient, message), number)
    world.remember(number, given)
    return given
