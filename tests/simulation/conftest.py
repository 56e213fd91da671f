"""Seeds, each on a node of its own: what one does to a chain, no other sees."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import pytest
from tests.roles.world import FAR_FUTURE, HOSPITAL_NAME, LEASE_PERIOD, LOCK_PERIOD, key_of
from tests.simulation.faults import Faults, watching
from tests.simulation.invariants import problems
from tests.simulation.node import OPTIONS, Node
from tests.simulation.simulation import Simulation, Stage, operator_key

from medledger.chain.deployment import connect, deploy
from medledger.chain.keys import address_of
from medledger.chain.local import LocalChain
from medledger.chain.rpc import Rpc
from medledger.core.states import Kind
from medledger.roles import Supervisor

Run = Callable[..., Simulation]

MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
"""No power fails here, so no disk need be waited for."""


@pytest.fixture
def begin() -> Iterator[Run]:
    """Runs a seed to its end; its node and its store are there until the test ends."""
    with ExitStack() as stack:

        def run(seed: int, **how: object) -> Simulation:
            node = Node(stack.enter_context(LocalChain(options=OPTIONS)).url)
            folder = stack.enter_context(TemporaryDirectory(dir=MEMORY))
            simulation = Simulation(_set(node), seed, Path(folder), **how)
            stack.callback(simulation.close)
            try:
                simulation.run()
                found = problems(simulation)
            except BaseException as error:
                said = [f"{type(error).__name__}: {error}"]
                raise AssertionError(_report(simulation, said)) from error
            assert not found, _report(simulation, found)
            return simulation

        yield run


def _set(node: Node) -> Stage:
    """The contracts, an accredited hospital and a payer."""
    # It mines what is sent, while nothing goes wrong.
    with watching(Faults(Random(0), node, lambda line: None)):
        manifest, _ = deploy(
            node.rpc,
            key_of("supervisor"),
            supervisor_name="财政局",
            lock_period=LOCK_PERIOD,
            lease_period=LEASE_PERIOD,
        )
        supervisor = Supervisor(connect(Rpc(node.url), manifest), key_of("supervisor"))
        operator = address_of(operator_key(1))
        hospital = supervisor.accredit(HOSPITAL_NAME, Kind.HOSPITAL, operator)
        second = Supervisor(supervisor.ledgers, operator_key(2))
        supervisor.add_operator(second.consent(hospital, deadline=FAR_FUTURE))
        payer = supervisor.accredit("payer", Kind.PAYER, address_of(key_of("payer")))
    return Stage(node, manifest, hospital, payer)


def _report(simulation: Simulation, found: list[str]) -> str:
    last = "\n".join(simulation.trace[-40:])
    going = [f"still going: {one}" for one in simulation.still_going()]
    going += [
        f"nonces of {signer}: latest {latest}, pending {pending}, journal {following}"
        for signer, latest, pending, following in simulation.nonces()
    ]
    return "\n".join([f"seed {simulation.seed}: run `{simulation.again}`", last, *going, *found])
