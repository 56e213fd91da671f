"""The checks of the simulation can fail: each finds what it is there for."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import create_engine
from tests.roles.world import PATIENT_NAME, key_of
from tests.simulation.conftest import Run
from tests.simulation.invariants import problems
from tests.simulation.simulation import Kept, Simulation, Violation

from medledger.chain.keys import address_of
from medledger.core.hashing import keccak256, word

CALM = 26
"""A seed without faults at the node, on SQLite."""
COMMANDS = 40


def in_store(*statements: str) -> Callable[[Simulation], None]:
    def spoil(simulation: Simulation) -> None:
        engine = create_engine(simulation.url)
        with engine.begin() as connection:
            for statement in statements:
                connection.exec_driver_sql(statement)
        engine.dispose()

    return spoil


def nonce_that_nobody_uses(simulation: Simulation) -> None:
    journal = simulation.observer.journal
    operator = address_of(simulation.keys[0])
    journal.raise_nonce(operator, (journal.next_nonce(operator) or 0) + 1)


def suspension_without_event(simulation: Simulation) -> None:
    """The first slot of the hospital's record: kinds take one byte, the suspension the next.

    The records are the third variable, after two of the base that knows the EIP-712 domain.
    """
    address, wire = simulation.ledgers.institutions.address, simulation.node.wire
    slot = "0x" + keccak256(word(simulation.stage.hospital) + word(2)).hex()
    record = int(wire.ask("eth_getStorageAt", address, slot, "latest"), 16)
    wire.ask("anvil_setStorageAt", address, slot, f"0x{record ^ 0x100:064x}")


def event_lost_from_the_index(simulation: Simulation) -> None:
    assert not list(simulation.auditor.problems(simulation.ledgers.rpc))
    engine = create_engine(simulation.auditor.url)
    with engine.begin() as connection:
        lost = "DELETE FROM events WHERE block = (SELECT min(block) FROM events)"
        connection.exec_driver_sql(lost)
    engine.dispose()


def evidence_of_another_bill(simulation: Simulation) -> None:
    first, *_ = next(simulation.issued("Invoice"))
    text = simulation.hospitals[0].evidence(first).to_json()
    simulation.evidence = [Kept(text.replace("西药费", "挂号费"), 0)]


SPOILT: dict[str, tuple[str, Callable[[Simulation], None]]] = {
    "a root that is not on chain": (
        "effects",
        in_store("UPDATE batches SET root = zeroblob(32) WHERE issued_at IS NOT NULL"),
    ),
    "an act that took no effect": (
        "effects",
        in_store("UPDATE transactions SET stage = 'failed', problem = 'refused'"),
    ),
    "a batch that never ends": (
        "ends",
        in_store('UPDATE batches SET issued_at = NULL, block = NULL, "transaction" = NULL'),
    ),
    "a failure without a reason": (
        "ends",
        in_store("UPDATE transactions SET stage = 'failed', problem = '', revert_data = ''"),
    ),
    "a nonce that nobody uses": ("nonces", nonce_that_nobody_uses),
    "a suspension without its event": ("rebuild", suspension_without_event),
    "an event that the index lost": ("rebuild", event_lost_from_the_index),
    "evidence of another bill": ("evidence", evidence_of_another_bill),
    "a name in a log": ("secrets", lambda simulation: simulation.texts.append(PATIENT_NAME)),
    "a key in an error": (
        "secrets",
        lambda simulation: simulation.texts.append(key_of("payer").hex()),
    ),
}


@pytest.mark.parametrize("what", SPOILT)
def test_problems__something_is_spoilt__is_found(what: str, begin: Run) -> None:
    check, spoil = SPOILT[what]
    simulation = begin(CALM, commands=COMMANDS)

    spoil(simulation)

    assert any(found.startswith(f"{check}: ") for found in problems(simulation))


def test_check__an_accepted_document_is_gone__is_found(begin: Run) -> None:
    simulation = begin(CALM, commands=COMMANDS)

    in_store("DELETE FROM documents WHERE number = (SELECT max(number) FROM documents)")(simulation)

    with pytest.raises(Violation, match="in neither store nor outbox"):
        simulation.check_kept()


def test_check__a_document_has_another_number__is_found(begin: Run) -> None:
    simulation = begin(CALM, commands=COMMANDS)
    assert simulation.numbers

    in_store("UPDATE documents SET number = -number")(simulation)

    with pytest.raises(Violation, match="had number"):
        simulation.check_kept()
