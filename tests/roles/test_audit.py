"""The auditor rebuilds all from events, and finds what storage holds otherwise."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from functools import cached_property
from types import SimpleNamespace
from typing import Any

import pytest
from eth_abi.abi import encode
from tests.chain.nodes import Relay, each, pass_time, refusal
from tests.roles.world import (
    BILL_CODE,
    DAY,
    LEASE_PERIOD,
    LOCK_PERIOD,
    SERIALS,
    World,
    bill,
    key_of,
)

from medledger.chain.deployment import connect, deploy
from medledger.chain.keys import address_of
from medledger.chain.local import LocalChain
from medledger.chain.rpc import Rpc
from medledger.core.hashing import keccak256
from medledger.core.states import Kind, Standing, State, Status
from medledger.errors import Refusal
from medledger.roles import Auditor
from medledger.roles import auditor as auditor_module

ACTS = 250


WEIGHTS = {
    "do_lock": 8,
    "do_settle": 4,
    "do_accept": 5,
    "do_dispense": 7,
    "do_hand_over": 5,
    "do_deliver": 4,
    "do_accredit": 1,
    "do_pause": 1,
    "do_suspend": 1,
    "do_wait": 1,
}
"""Such that what needs other acts before it happens often enough; the rest weighs 2."""

# A scenario of whatever people do


class Scenario:
    """People who act at random, often where they may not; `done` counts what was not refused."""

    def __init__(self, world: World, seed: int) -> None:
        self.world = world
        self.random = random.Random(seed)
        self.done: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self.bills: list[int] = []
        self.orders: list[int] = []
        self.reversed: set[int] = set()

    def run(self, acts: int) -> None:
        choices = [getattr(self, name) for name in dir(self) if name.startswith("do_")]
        weights = [WEIGHTS.get(choice.__name__, 2) for choice in choices]
        for n in range(acts):
            (act,) = self.random.choices(choices, weights)
            try:
                act(f"{n}")
            except Refusal as error:
                self.refused[type(error).__name__] += 1
            else:
                self.done[act.__name__] += 1

    def bill(self) -> int:
        recent = self.bills[-5:] or [self.world.issued("first").number]
        return self.random.choice(recent)

    def order(self) -> int:
        return self.random.choice(self.orders[-3:] or [self.first_order])

    @cached_property
    def first_order(self) -> int:
        """Its contents depend on the time: the same key would name another a second later."""
        return self.world.prescribed().number

    def do_issue(self, key: str) -> None:
        held = self.random.random() < 0.2
        stream = (bill(f"{key}-{i}", on_hold=held) for i in range(self.random.randint(1, 6)))
        self.bills += [receipt.number for receipt in self.world.hospital.issue_many(stream)]

    def do_prescribe(self, key: str) -> None:
        days = self.random.randint(1, 60)
        order = self.world.order(key, valid_until=self.world.now() + days * DAY)
        self.orders.append(self.world.hospital.prescribe(order).number)

    def do_hold(self, _: str) -> None:
        self.world.hospital.hold(self.bill())

    def do_release(self, _: str) -> None:
        self.world.hospital.release(self.bill())

    def do_reverse(self, _: str) -> None:
        number = self.bill()
        self.world.hospital.reverse(number, self.bill(), self.random.randint(0, 65535))
        self.reversed.add(number)

    def do_reverse_part(self, key: str) -> None:
        amount = self.random.randint(1, 800)
        self.world.hospital.reverse_part(self.bill(), amount, 1, business_key=f"refund-{key}")

    def do_exchange(self, _: str) -> None:
        self.world.hospital.exchange_for_paper(self.bill(), keccak256(b"a copy and a salt"))

    def do_void_paper(self, _: str) -> None:
        self.world.hospital.void_paper(self.bill())

    def do_lock(self, _: str) -> None:
        name = self.random.choice(["payer", "other_payer"])
        number = self.bill()
        signed = self.world.allow(number, self.random.randint(1, 2000), name)
        getattr(self.world, name).lock(self.world.hospital.evidence(number), signed)

    def do_settle(self, _: str) -> None:
        name = self.random.choice(["payer", "other_payer"])
        getattr(self.world, name).settle(self.bill(), self.random.randint(1, 1500))

    def do_release_claim(self, _: str) -> None:
        self.world.payer.release(self.bill())

    def do_accept(self, _: str) -> None:
        name = self.random.choice(["pharmacy", "other_pharmacy"])
        number = self.order()
        evidence = self.world.hospital.evidence(number, "Prescription")
        getattr(self.world, name).accept(evidence, self.world.admit(number, name))

    def do_dispense(self, _: str) -> None:
        quantities = [self.random.randint(0, 24), self.random.randint(0, 10)]
        self.world.dispense(self.order(), quantities)

    def do_hand_over(self, _: str) -> None:
        self.world.pharmacy.hand_over(self.order(), self.world.ids["courier"])

    def do_deliver(self, _: str) -> None:
        self.world.courier.deliver(self.world.confirm(self.order()))

    def do_fail_delivery(self, _: str) -> None:
        self.world.courier.fail_delivery(self.order())

    def do_return(self, _: str) -> None:
        self.world.pharmacy.return_to_pool(self.order())

    def do_cancel(self, _: str) -> None:
        self.world.hospital.cancel(self.order(), 1)

    def do_suspend(self, _: str) -> None:
        id_ = self.world.ids[self.random.choice(["payer", "pharmacy"])]
        self.world.supervisor.suspend(id_, 1)
        self.world.supervisor.reinstate(id_)

    def do_accredit(self, key: str) -> None:
        operator = address_of(key_of(f"new {key}"))
        id_ = self.world.supervisor.accredit(key, Kind.HOSPITAL, operator)
        self.world.supervisor.renew(id_, self.world.now() + DAY)
        self.world.supervisor.remove_operator(operator)

    def do_pause(self, _: str) -> None:
        kind = self.random.choice(["Invoice", "Prescription"])
        self.world.supervisor.pause(kind)  # type: ignore[arg-type]
        self.world.supervisor.unpause(kind)  # type: ignore[arg-type]

    def do_wait(self, _: str) -> None:
        self.world.pass_time(self.random.choice([60, DAY, LEASE_PERIOD, LOCK_PERIOD // 3]))


@pytest.mark.parametrize("seed", [1, 2])
def test_audit__after_many_acts_at_random__agrees_with_storage_and_with_the_people(
    seed: int, world: World
) -> None:
    scenario = Scenario(world, seed)
    scenario.run(ACTS)

    audit = world.auditor.audit()

    assert audit.mismatches == []
    done, counts, state = scenario.done, audit.state.counts, audit.state
    pairs = {
        "do_hold": "DocumentHeld",
        "do_release": "DocumentReleased",
        "do_reverse": "InvoiceReversed",
        "do_reverse_part": "InvoicePartlyReversed",
        "do_exchange": "InvoiceExchanged",
        "do_void_paper": "PaperVoided",
        "do_settle": "ClaimSettled",
        "do_release_claim": "ClaimReleased",
        "do_accept": "PrescriptionAccepted",
        "do_dispense": "PrescriptionDispensed",
        "do_hand_over": "PrescriptionHandedOver",
        "do_deliver": "PrescriptionDelivered",
        "do_fail_delivery": "DeliveryFailed",
        "do_return": "PrescriptionReturned",
        "do_cancel": "PrescriptionCancelled",
    }
    assert {act: counts.get(name, 0) for act, name in pairs.items()} == {
        act: done[act] for act in pairs
    }
    assert counts["ClaimLocked"] == done["do_lock"]
    assert set(state.reversed_by) == scenario.reversed
    ledger = world.ledgers.invoices.address
    assert state.bills.issued == len(world.hospital.store.numbers(ledger))
    assert len(done) >= 17
    assert len(scenario.refused) >= 8
    assert (audit.block, audit.time) == (world.rpc.block_number(), world.now())
    assert sum(counts.values()) == audit.events


def test_audit__with_nothing_done__holds_what_was_deployed(world: World) -> None:
    audit = world.auditor.audit()

    assert audit.mismatches == []
    assert len(audit.state.institutions) == len(audit.state.operators) == 10
    assert (audit.state.bills.issued, audit.state.orders.issued) == (0, 0)
    assert len(audit.state.bills.segments) == 2


def test_audit__until_an_older_block__is_as_it_was_then(world: World) -> None:
    receipt = world.locked(1000)
    then = world.auditor.audit()
    world.pass_time(DAY)
    world.payer.settle(receipt.number, 600)
    world.issued("visit-2")

    again, later = world.auditor.audit(until=then.block), world.auditor.audit()

    assert (again.block, again.time, again.events) == (then.block, then.time, then.events)
    assert again.mismatches == later.mismatches == []
    assert again.state.claims == then.state.claims != later.state.claims
    assert later.events == then.events + 2


def test_audit__read_in_small_portions__is_the_same(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.locked()
    world.in_transit()
    whole = world.auditor.audit()
    monkeypatch.setattr(auditor_module, "TIME_CHUNK", 3)

    portions = world.auditor.audit()

    assert portions.events == whole.events
    assert portions.state.counts == whole.state.counts
    assert portions.mismatches == []


@pytest.mark.parametrize("limit", ["blocks", "logs"])
def test_audit__a_node_that_limits_its_logs__is_the_same(
    limit: str, world: World, anvil: LocalChain
) -> None:
    world.locked()
    world.in_transit()
    pass_time(world.rpc, 60)

    def answer(call: dict[str, Any], found: Any) -> Any:
        if call["method"] != "eth_getLogs":
            return found
        first, last = (int(call["params"][0][key], 16) for key in ("fromBlock", "toBlock"))
        over = last - first >= 4 if limit == "blocks" else len(found["result"]) > 3
        return refusal(call, "limit exceeded", -32005) if over else found

    with Relay(anvil.url) as relay:
        relay.after = lambda calls, body: each(calls, body, answer)
        limited = Auditor(connect(Rpc(relay.url), world.ledgers.manifest)).audit()

    whole = world.auditor.audit()
    assert (limited.events, limited.mismatches) == (whole.events, [])
    assert limited.state.counts == whole.state.counts
    assert limited.state.claims == whole.state.claims


def test_audit__of_another_deployment_on_the_chain__knows_nothing_of_ours(world: World) -> None:
    world.locked()
    manifest, _ = deploy(world.rpc, key_of("another supervisor"), supervisor_name="another")

    audit = Auditor(connect(world.rpc, manifest)).audit()

    assert audit.mismatches == []
    assert audit.events == 3
    assert audit.state.invoices == {}


# Storage that somebody changed


class Storage:
    """A contract's storage slots, found by what they hold, whatever the layout."""

    def __init__(self, rpc: Rpc, address: str) -> None:
        self.rpc, self.address = rpc, address

    def read(self, slot: int) -> int:
        return int(self.rpc.request("eth_getStorageAt", self.address, hex(slot), "latest"), 16)

    def change(self, slot: int, mask: int) -> None:
        value = self.read(slot) ^ mask
        self.rpc.request("anvil_setStorageAt", self.address, f"0x{slot:064x}", f"0x{value:064x}")

    def of_key(self, *keys: int | str, holding: int | None = None) -> int:
        """The one slot that is not empty for these keys of some mapping, and holds these bits."""
        found = []
        for base in range(12):
            slot = base
            for key in keys:
                kind = "address" if isinstance(key, str) else "uint256"
                slot = int.from_bytes(keccak256(encode([kind, "uint256"], [key, slot])), "big")
            value = self.read(slot)
            if value and (holding is None or holding in (value, value & (2**64 - 1))):
                found.append(slot)
        assert len(found) == 1, found
        return found[0]


TAMPERING: dict[str, Callable[[World, Any], str]] = {}


def tampers(act: Callable[[World, Any], str]) -> Callable[[World, Any], str]:
    """Registers a change of storage; it returns how the audit must name what it finds."""
    TAMPERING[act.__name__] = act
    return act


@tampers
def claim_amount(world: World, numbers: Any) -> str:
    payer = world.ids["payer"]
    storage = Storage(world.rpc, world.ledgers.claims.address)
    storage.change(storage.of_key(numbers.claimed, payer), 1)
    return f"claim ({numbers.claimed}, {payer})"


@tampers
def reimbursed_sum(world: World, numbers: Any) -> str:
    storage = Storage(world.rpc, world.ledgers.claims.address)
    storage.change(storage.of_key(numbers.settled), 1)
    return f"usage {numbers.settled}"


@tampers
def bill_claimable(world: World, numbers: Any) -> str:
    storage = Storage(world.rpc, world.ledgers.invoices.address)
    patient = int(world.ledgers.invoices.invoice_of(numbers.claimed).patient, 16)
    slots = [s for s in mapping_slots(numbers.claimed) if storage.read(s) % 2**160 == patient]
    storage.change(slots[0], 1 << 168)  # one bit of the claimable part
    return f"bill {numbers.claimed}"


@tampers
def red_letter_of(world: World, numbers: Any) -> str:
    storage = Storage(world.rpc, world.ledgers.invoices.address)
    storage.change(storage.of_key(numbers.reversed, holding=numbers.red), 1)
    return f"reversal {numbers.reversed}"


@tampers
def batch_head(world: World, numbers: Any) -> str:
    storage = Storage(world.rpc, world.ledgers.invoices.address)
    head = int.from_bytes(world.ledgers.invoices.head_hash_of(numbers.claimed), "big")
    storage.change(storage.of_key(numbers.claimed, holding=head), 1)
    return f"batch {numbers.claimed}"


@tampers
def hold_taken_away(world: World, numbers: Any) -> str:
    storage = Storage(world.rpc, world.ledgers.invoices.address)
    storage.change(storage.of_key(numbers.held, holding=1), 1)
    return f"hold {numbers.held}"


@tampers
def segment_next(world: World, numbers: Any) -> str:
    storage = Storage(world.rpc, world.ledgers.invoices.address)
    segment = world.deployment.bills
    storage.change(storage.of_key(segment), 1 << 96)
    return f"segment {segment}"


@tampers
def pause_switched_on(world: World, numbers: Any) -> str:
    world.supervisor.pause("Invoice")
    world.supervisor.unpause("Invoice")
    storage = Storage(world.rpc, world.ledgers.invoices.address)
    storage.change(0, 1)
    assert world.ledgers.invoices.paused()
    return "paused Invoices"


@tampers
def suspension_lifted(world: World, numbers: Any) -> str:
    id_ = world.ids["other_hospital"]
    storage = Storage(world.rpc, world.ledgers.institutions.address)
    (slot,) = [s for s in mapping_slots(id_) if storage.read(s) >> 8 & 1]
    storage.change(slot, 1 << 8)
    assert not world.ledgers.institutions.institution_of(id_).suspended
    return f"institution {id_}"


@tampers
def operator_moved(world: World, numbers: Any) -> str:
    operator = address_of(key_of("courier"))
    storage = Storage(world.rpc, world.ledgers.institutions.address)
    storage.change(storage.of_key(operator), 1)
    return f"operator {operator}"


@tampers
def prescription_remaining(world: World, numbers: Any) -> str:
    storage = Storage(world.rpc, world.ledgers.prescriptions.address)
    remaining = 24 + (10 << 16)
    (slot,) = [s for s in mapping_slots(numbers.ordered) if storage.read(s) % 2**80 == remaining]
    storage.change(slot, 1)  # one unit of the first line
    return f"prescription {numbers.ordered}"


def mapping_slots(key: int) -> list[int]:
    """Where a key could be, of the mappings in the first slots."""
    return [
        int.from_bytes(keccak256(encode(["uint256", "uint256"], [key, base])), "big")
        for base in range(12)
    ]


@pytest.fixture
def numbers(world: World) -> Any:
    """One document for each kind of record."""
    claimed, settled = world.locked(key="claimed"), world.locked(key="settled")
    world.payer.settle(settled.number, 600)
    held, original = world.issued("held"), world.issued("original")
    world.hospital.hold(held.number)
    red = world.issued("red", related_invoice=original.number)
    world.hospital.reverse(original.number, red.number, 1)
    ordered = world.accepted()
    world.supervisor.suspend(world.ids["other_hospital"], 1)
    assert world.auditor.audit().mismatches == []
    return SimpleNamespace(
        claimed=claimed.number,
        settled=settled.number,
        held=held.number,
        reversed=original.number,
        red=red.number,
        ordered=ordered.number,
    )


@pytest.mark.parametrize("name", TAMPERING)
def test_audit__one_slot_of_storage_changed__is_found_and_named(
    name: str, world: World, numbers: Any
) -> None:
    expected = TAMPERING[name](world, numbers)
    world.rpc.request("evm_mine")

    audit = world.auditor.audit()

    named = [line for line in audit.mismatches if line.startswith(f"{expected}:")]
    assert len(named) == 1, audit.mismatches
    assert "events say" in named[0]
    assert "storage holds" in named[0]


def test_audit__more_reimbursed_than_claimable_by_storage__is_found(
    world: World, numbers: Any
) -> None:
    # As if the cap had been lifted: the payer's record grows beyond the bill.
    payer = world.ids["payer"]
    storage = Storage(world.rpc, world.ledgers.claims.address)
    storage.change(storage.of_key(numbers.settled, payer), 1 << 40)
    world.rpc.request("evm_mine")

    audit = world.auditor.audit()

    assert any(line.startswith(f"claim ({numbers.settled}, {payer})") for line in audit.mismatches)


def test_audit__states_by_name__are_what_happened(world: World, numbers: Any) -> None:
    state = world.auditor.audit().state

    assert state.claims[numbers.claimed, world.ids["payer"]].status == Status.LOCKED
    assert state.claims[numbers.settled, world.ids["payer"]].status == Status.SETTLED
    assert state.invoices[numbers.reversed].standing == Standing.REVERSED
    assert state.invoices[numbers.red].standing == Standing.RED_LETTER
    assert state.prescriptions[numbers.ordered].state == State.ACCEPTED
    assert state.institutions[world.ids["other_hospital"]].suspended
    assert set(state.bills.batches) == set(state.bills.heads)
    assert state.bills.segments[world.deployment.bills].first == BILL_CODE * 10**10 + 1
    assert state.bills.segments[world.deployment.bills].last == BILL_CODE * 10**10 + SERIALS
