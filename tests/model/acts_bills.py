"""Acts on Invoices."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from tests.model.acts_documents import segment_argument
from tests.model.rules import ZERO_ADDRESS
from tests.model.world import NO_HASH, SOME_HASH, Act, World, act, chance, document, shown

from medledger.core.hashing import InvoiceHeader
from medledger.core.states import Standing

STANDING = (Standing.REGULAR, Standing.PARTLY_REVERSED)


def open_bill(world: World, random: Random) -> Act | None:
    ledger = world.invoices
    number = document(random, ledger, _unopened(world))
    proof = shown(random, ledger, number)
    if proof is None:
        return None
    touched = [("Invoices", "document", proof.header.number)]
    return act(ledger, "open", world.anybody(random), proof, touched=touched)


def reverse(world: World, random: Random) -> Act:
    ledger = world.invoices
    number = document(random, ledger, [n for n, at in ledger.bills.items() if at.standing == 0])
    letter = document(random, ledger, _unopened(world)[-6:])
    if chance(random, 5):
        letter = number
    by, segment, red_segment = _both(world, random, number, letter)
    touched = [("Invoices", "document", number), ("Invoices", "document", letter)]
    arguments = (segment, number, red_segment, letter, 5)
    return act(ledger, "reverse", by, *arguments, touched=touched)


def reverse_part(world: World, random: Random) -> Act | None:
    ledger = world.invoices
    pairs = _letters(world)
    again = [
        (number, letter)
        for number, letter in pairs
        if ledger.bill(number).standing == Standing.PARTLY_REVERSED
    ]
    if again and chance(random, 70):
        # Letters of the same patient add up, and one may be more than what the first ones left.
        pairs = again
    number, letter = random.choice(pairs) if pairs else (document(random, ledger),) * 2
    if chance(random, 10):
        letter = document(random, ledger)
    proof = shown(random, ledger, letter)
    if proof is None:
        return None
    letter = proof.header.number
    if not _is_issued(world, letter):
        return None
    by, segment, red_segment = _both(world, random, number, letter)
    touched = [("Invoices", "document", number), ("Invoices", "document", letter)]
    arguments = (segment, number, red_segment, proof, 5)
    return act(ledger, "reversePart", by, *arguments, touched=touched)


def exchange_for_paper(world: World, random: Random) -> Act:
    ledger = world.invoices
    number = document(random, ledger)
    by, segment, _ = _both(world, random, number, number)
    hash_ = NO_HASH if chance(random, 8) else SOME_HASH
    touched = [("Invoices", "document", number)]
    return act(ledger, "exchangeForPaper", by, segment, number, hash_, touched=touched)


def void_paper(world: World, random: Random) -> Act:
    ledger = world.invoices
    papers = [n for n, at in ledger.bills.items() if at.standing == Standing.ON_PAPER]
    number = document(random, ledger, papers)
    by, segment, _ = _both(world, random, number, number)
    touched = [("Invoices", "document", number)]
    return act(ledger, "voidPaper", by, segment, number, touched=touched)


ACTS = (
    *(open_bill,) * 5,
    *(reverse,) * 2,
    *(reverse_part,) * 5,
    *(exchange_for_paper,) * 3,
    *(void_paper,) * 3,
)


def moments(world: World) -> Iterator[int]:
    """Nothing of this waits for a time."""
    return iter(())


def _unopened(world: World) -> list[int]:
    ledger = world.invoices
    return [n for n, _ in ledger.issued() if ledger.bill(n).patient == ZERO_ADDRESS]


def _is_issued(world: World, number: int) -> bool:
    return world.invoices.batch_of(number) is not None


def _letters(world: World) -> list[tuple[int, int]]:
    """Bills, each with a document that would do as its partial red letter."""
    ledger = world.invoices
    letters = [
        (letter, header.patient)
        for letter, header in ledger.issued()
        if isinstance(header, InvoiceHeader)
        and header.on_hold
        and ledger.bill(letter).standing == Standing.REGULAR
    ]
    return [
        (number, letter)
        for number, bill in ledger.bills.items()
        for letter, patient in letters
        if patient == bill.patient and number != letter
    ]


def _both(world: World, random: Random, number: int, letter: int) -> tuple[str, int, int]:
    """Who mostly issued the bill, and the segments of bill and letter."""
    ledger = world.invoices
    issuer = ledger.segments[ledger.segment_of(number)].institution
    by = world.operator(random, issuer)
    return (
        by,
        segment_argument(random, ledger, number),
        segment_argument(random, ledger, letter),
    )
