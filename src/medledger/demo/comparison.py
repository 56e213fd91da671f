"""What the roles hold, compared with what an auditor rebuilt from the chain alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from medledger.chain.replay import LedgerState, Replay
from medledger.core.states import Standing, State, Status
from medledger.demo.cast import Cast

K = TypeVar("K")


@dataclass(slots=True)
class Books:
    """What the roles themselves know they have done."""

    settled: dict[tuple[int, int], int] = field(default_factory=dict)
    """(bill, payer) to minor units."""
    denied: set[tuple[int, int]] = field(default_factory=set)
    booked: set[tuple[int, int]] = field(default_factory=set)
    """(bill, payer)."""
    reversed: dict[int, int] = field(default_factory=dict)
    """Bill to red-letter bill."""
    refunded: dict[int, int] = field(default_factory=dict)
    """Bill to the minor units of it that a partial red letter took back."""
    refunds: dict[int, int] = field(default_factory=dict)
    """Partial red letter to its bill."""
    delivered: set[int] = field(default_factory=set)
    """Prescriptions that the patient has in full."""


def differences(cast: Cast, books: Books, state: Replay) -> Iterator[str]:
    """Every disagreement, as a sentence."""
    ledgers = cast.ledgers
    for address, ledger in (
        (ledgers.invoices.address, state.bills),
        (ledgers.prescriptions.address, state.orders),
    ):
        for desk in cast.hospitals.values():
            stored = set(desk.role.store.numbers(address))
            issued = set(_issued_by(ledger, desk.institution))
            for number in sorted(stored ^ issued):
                where = "the store" if number in stored else "the chain"
                yield f"number {number} of institution {desk.institution} is only in {where}"
    settled = {
        key: claim.amount for key, claim in state.claims.items() if claim.status >= Status.SETTLED
    }
    yield from _compare("claim (bill, payer)", books.settled, settled)
    for status, held in ((Status.DENIED, books.denied), (Status.BOOKED, books.booked)):
        found = {key for key, claim in state.claims.items() if claim.status == status}
        for key in sorted(held ^ found):
            yield f"claim (bill, payer) {key}: the roles and the chain disagree that it is {status}"
    yield from _compare("reversal of bill", books.reversed, state.reversed_by)
    yield from _compare("refund of bill", books.refunded, state.reversed_parts)
    originals = {red: number for number, red in books.reversed.items()} | books.refunds
    yield from _compare("original of red letter", originals, state.original_of)
    standing = {
        number: entry.standing
        for number, entry in state.invoices.items()
        if entry.standing != Standing.REGULAR
    }
    expected = dict.fromkeys(books.reversed, Standing.REVERSED)
    expected |= dict.fromkeys(books.refunded, Standing.PARTLY_REVERSED)
    expected |= dict.fromkeys(originals, Standing.RED_LETTER)
    yield from _compare("standing of bill", expected, standing)
    delivered = {
        number for number, entry in state.prescriptions.items() if entry.state == State.DELIVERED
    }
    for number in sorted(books.delivered ^ delivered):
        yield f"prescription {number}: the roles and the chain disagree on its delivery"
    for number in delivered:
        if any(state.prescriptions[number].remaining):
            yield f"prescription {number} is delivered with something owing"


def _issued_by(ledger: LedgerState, institution: int) -> Iterator[int]:
    for head in ledger.batches.values():
        if ledger.segments[head.segment].institution == institution:
            yield from range(head.first, head.first + head.count)


def _compare(what: str, roles: Mapping[K, object], chain: Mapping[K, object]) -> Iterator[str]:
    for key in roles.keys() | chain.keys():
        if roles.get(key) != chain.get(key):
            yield f"{what} {key}: roles hold {roles.get(key)}, the chain {chain.get(key)}"
