"""What an index must hold, read from the chain without one."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from tests.roles.world import World, decided

from medledger.chain.events import fetch_events
from medledger.index import EventIndex

Told = list[tuple[int, int, str, bytes, int]]


def held(index: EventIndex) -> Told:
    """Block, log index, name, transaction and number of arguments of each event of an index."""
    return [(e.block, e.log_index, e.name, e.transaction, len(e.arguments)) for e in index.events()]


def expected(world: World, last: int | None = None) -> Told:
    """The same of the chain."""
    addresses = [contract.address for contract in world.ledgers.manifest.contracts.values()]
    until = world.rpc.block_number() if last is None else last
    return [
        (e.block, e.index, type(e.event).__name__, e.transaction, len(fields(e.event)))
        for e in fetch_events(world.rpc, addresses, world.ledgers.manifest.block, until)
    ]


def lives(world: World) -> dict[str, Any]:
    """A bill that was reimbursed and a prescription on its way, with the acts before."""
    claimed = world.locked(key="claimed")
    world.payer.settle(claimed.number, decided(500))
    original, red = world.issued("original"), world.issued("red-letter")
    world.hospital.reverse(original.number, red.number, 1)
    return {"claimed": claimed, "original": original, "red": red, "order": world.in_transit()}
