"""What cannot be issued is set aside with its reason, blocks nothing, and is not lost."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from tests.chain.nodes import Calls, Relay
from tests.roles.world import World, bad_bill, bill

from medledger.chain.local import LocalChain
from medledger.chain.rpc import Rpc
from medledger.core.batch import draft_from_bytes
from medledger.core.documents import Invoice
from medledger.errors import (
    BadPatientKey,
    InputError,
    InstitutionIsSuspended,
    MedledgerError,
    NotFound,
)
from medledger.roles import Hospital, IssueReceipt
from medledger.roles.outbox import SetAside


def set_aside(hospital: Hospital) -> list[SetAside]:
    return list(hospital.outbox().documents())


def keys_of(hospital: Hospital) -> list[str]:
    return [document.business_key for document in set_aside(hospital)]


class Rejects(list[tuple[str, str]]):
    """Collects (business key, name of the error)."""

    def __call__(self, key: str, error: MedledgerError) -> None:
        self.append((key, error.name))

    @property
    def keys(self) -> list[str]:
        return [key for key, _ in self]


# Documents that cannot be sealed


def test_issue_many__one_that_cannot_be_sealed__is_set_aside_and_the_others_are_issued(
    world: World,
) -> None:
    rejects = Rejects()
    stream = [bill("a"), bad_bill("x"), bill("b")]

    receipts = list(world.hospital.issue_many(stream, on_reject=rejects))

    assert [receipt.business_key for receipt in receipts] == ["a", "b"]
    assert rejects == [("x", "BadPatientKey")]
    (found,) = set_aside(world.hospital)
    assert (found.kind, found.business_key) == ("Invoice", "x")
    assert (found.reason, found.can_retry) == ("BadPatientKey", False)
    assert "not a key" not in found.problem


def test_issue_many__set_aside_and_given_again__leaves_the_outbox_once_it_is_corrected(
    world: World,
) -> None:
    list(world.hospital.issue_many([bad_bill("x")], on_reject=Rejects()))
    list(world.hospital.issue_many([bad_bill("x")], on_reject=Rejects()))
    assert keys_of(world.hospital) == ["x"]

    receipt = world.hospital_again().issue(bill("x"))

    assert keys_of(world.hospital) == []
    world.auditor.verify(receipt.evidence())


def test_issue_many__an_unsealable_one_under_an_issued_key__is_told_and_not_set_aside(
    world: World,
) -> None:
    world.issued("a")
    rejects = Rejects()

    list(world.hospital.issue_many([bad_bill("a")], on_reject=rejects))

    assert rejects.keys == ["a"]
    assert keys_of(world.hospital) == []


@pytest.mark.parametrize("key", ["k" * 201, "visit\x001", "visit-\ud800", "visit\n1"], ids=ascii)
def test_issue_many__a_business_key_that_no_database_takes__is_set_aside(
    key: str, world: World, store_url: str
) -> None:
    hospital = world.hospital_again(store=store_url)
    rejects = Rejects()

    receipts = list(hospital.issue_many([bill("a"), bill(key), bill("b")], on_reject=rejects))

    assert [receipt.business_key for receipt in receipts] == ["a", "b"]
    assert rejects.keys == [key]
    (found,) = set_aside(hospital)
    assert found.reason in ("InvalidDocument", "UnsealableValue")
    assert not found.can_retry
    with pytest.raises(InputError):
        hospital.issue(bill(key))


def test_issue__one_that_cannot_be_sealed__is_told_and_not_set_aside(world: World) -> None:
    with pytest.raises(BadPatientKey):
        world.hospital.issue(bad_bill("x"))

    assert keys_of(world.hospital) == []


# Batches that the contract refuses


def suspend(world: World) -> Callable[[], object]:
    world.supervisor.suspend(world.ids["hospital"], 1)
    return lambda: world.supervisor.reinstate(world.ids["hospital"])


def pause(world: World) -> Callable[[], object]:
    world.supervisor.pause("Invoice")
    return lambda: world.supervisor.unpause("Invoice")


def take_numbers(world: World) -> Callable[[], object]:
    """Another machine of the same hospital, with a store of its own."""
    other = world.hospital_again(key=world.second_key(), store="second")
    list(other.issue_many(bill(f"theirs-{at}") for at in range(3)))
    return lambda: None


REFUSALS = {
    "InstitutionIsSuspended": suspend,
    "EnforcedPause": pause,
    "NumberAlreadyIssued": take_numbers,
}


@pytest.mark.parametrize("reason", REFUSALS)
def test_retry__a_batch_that_was_refused__is_issued_once_the_cause_is_gone(
    reason: str, world: World
) -> None:
    list(world.hospital.accept_many([bill("a"), bill("b")]))
    end = REFUSALS[reason](world)

    lost = world.hospital.resume()

    assert lost == keys_of(world.hospital) == ["a", "b"]
    assert {(one.reason, one.can_retry) for one in set_aside(world.hospital)} == {(reason, True)}
    assert world.hospital.store.unissued() == world.hospital.outbox().transactions() == []
    end()
    receipts = list(world.hospital_again().retry())
    assert [receipt.business_key for receipt in receipts] == ["a", "b"]
    assert keys_of(world.hospital) == []
    for receipt in receipts:
        world.auditor.verify(receipt.evidence())
    audit = world.auditor.audit()
    assert audit.mismatches == []


def test_resume__one_ledger_refuses__the_other_goes_on(world: World) -> None:
    order = world.order()
    list(world.hospital.accept_many([bill("a")]))
    list(world.hospital.accept_many([order]))
    world.supervisor.pause("Invoice")

    lost = world.hospital.resume()

    assert lost == ["a"]
    world.auditor.verify(world.hospital.prescribe(order).evidence())


def test_issue_many__refused_in_the_middle_of_a_stream__each_is_issued_or_set_aside(
    world: World,
) -> None:
    keys = [f"visit-{at}" for at in range(60)]

    def stream() -> Iterator[Invoice]:
        for key in keys:
            if key == "visit-35":
                suspend(world)
            yield bill(key)

    rejects = Rejects()
    world.hospital.sender.in_flight = 1
    receipts = list(world.hospital.issue_many(stream(), batch=10, workers=0, on_reject=rejects))

    issued = [receipt.business_key for receipt in receipts]
    assert 0 < len(issued) < 60
    assert issued + rejects.keys == keys
    assert {name for _, name in rejects} <= {"InstitutionIsSuspended", "NumberSkipped"}
    assert sorted(keys_of(world.hospital)) == sorted(rejects.keys)
    assert world.auditor.audit().state.bills.issued == len(issued)
    world.supervisor.reinstate(world.ids["hospital"])
    again = list(world.hospital.retry())
    assert sorted(receipt.business_key for receipt in again) == sorted(rejects.keys)
    first = receipts[0].number
    assert sorted(one.number for one in [*receipts, *again]) == list(range(first, first + 60))


def test_issue_many__refused_and_nobody_told__raises_after_what_was_issued(world: World) -> None:
    receipts: list[IssueReceipt] = []

    def stream() -> Iterator[Invoice]:
        for at in range(60):
            if at == 35:
                suspend(world)
            yield bill(f"visit-{at}")

    with pytest.raises(InstitutionIsSuspended):
        receipts.extend(world.hospital.issue_many(stream(), batch=10))

    world.supervisor.reinstate(world.ids["hospital"])
    world.hospital.resume()
    again = [*world.hospital.issue_many(bill(f"visit-{at}") for at in range(60))]
    assert len({receipt.number for receipt in again}) == 60
    assert (keys_of(world.hospital), world.auditor.audit().state.bills.issued) == ([], 60)


def test_issue_many__one_key_twice_and_its_batch_refused__is_told_once(world: World) -> None:
    def stream() -> Iterator[Invoice]:
        yield bill("a")
        suspend(world)
        yield bill("a")

    world.issued("earlier")
    with Relay(world.rpc.url) as relay:
        # Kept from the node until the stream is at its end.
        relay.before = lambda calls: 503 if raw(calls) and not is_suspended(world) else None
        rejects = Rejects()
        hospital = world.hospital_again(rpc=Rpc(relay.url))
        receipts = list(hospital.issue_many(stream(), batch=1, on_reject=rejects))

    assert (receipts, rejects) == ([], [("a", "InstitutionIsSuspended")])


def raw(calls: Calls) -> bool:
    return any(call["method"] == "eth_sendRawTransaction" for call in calls)


def is_suspended(world: World) -> bool:
    return world.ledgers.institutions.institution_of(world.ids["hospital"]).suspended


def test_issue_many__a_key_in_a_batch_of_another_operator_that_was_refused__is_told(
    world: World,
) -> None:
    second = world.hospital_again(key=world.second_key())
    list(world.hospital.accept_many([bill("a")]))
    world.hospital_again("hospital", store="elsewhere").issue(bill("theirs"))
    while world.hospital.outbox().transactions():
        world.hospital.advance()
    rejects = Rejects()

    receipts = list(second.issue_many([bill("a"), bill("b"), bill("a")], on_reject=rejects))

    assert [receipt.business_key for receipt in receipts] == ["b"]
    assert len(rejects) == 1
    assert rejects.keys == keys_of(second) == ["a"]
    assert world.hospital.resume() == []


# Retry and drop


def refused(world: World, *keys: str) -> None:
    """Bills in the outbox; nothing stands in their way any more."""
    list(world.hospital.accept_many(bill(key) for key in keys))
    end = suspend(world)
    world.hospital.resume()
    end()


def test_retry__chosen_keys__the_others_stay(world: World) -> None:
    refused(world, "a", "b", "c")

    receipts = list(world.hospital.retry(["c", "a"]))

    assert sorted(receipt.business_key for receipt in receipts) == ["a", "c"]
    assert keys_of(world.hospital) == ["b"]


def test_retry__both_kinds__each_in_its_ledger(world: World) -> None:
    order = world.order("same")
    list(world.hospital.accept_many([bill("same")]))
    list(world.hospital.accept_many([order]))
    end = suspend(world)
    world.hospital.resume()
    end()
    assert [one.kind for one in set_aside(world.hospital)] == ["Invoice", "Prescription"]

    (only,) = world.hospital.retry(["same"], kind="Prescription")
    (other,) = world.hospital.retry()

    assert (only.kind, other.kind) == ("Prescription", "Invoice")
    for receipt in (only, other):
        world.auditor.verify(receipt.evidence())


def test_retry__while_the_cause_is_still_there__refused_and_kept(world: World) -> None:
    refused(world, "a")
    suspend(world)

    with pytest.raises(InstitutionIsSuspended):
        list(world.hospital.retry())

    assert keys_of(world.hospital) == ["a"]


def test_retry__refused_again_after_it_was_stored__is_tried_once(
    world: World, anvil: LocalChain
) -> None:
    refused(world, "a", "b")
    with Relay(anvil.url) as relay:

        def suspend_at_last(calls: Calls) -> None:
            if raw(calls) and not is_suspended(world):
                suspend(world)

        relay.before = suspend_at_last
        rejects = Rejects()
        hospital = world.hospital_again(rpc=Rpc(relay.url))

        receipts = list(hospital.retry(on_reject=rejects))

    assert (receipts, rejects.keys) == ([], ["a", "b"])
    assert keys_of(world.hospital) == ["a", "b"]


def test_drafts__set_aside_again_while_they_are_read__are_not_read_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("medledger.roles.outbox.PAGE", 1)
    refused(world, "a", "b")
    drafts = next(world.hospital.outbox().drafts(None, "Invoice"))
    first = draft_from_bytes(next(drafts)).business_key
    refused(world, "a")

    rest = [draft_from_bytes(draft).business_key for draft in drafts]

    assert [first, *rest] == ["a", "b"]


def test_retry__what_could_not_be_sealed__is_to_be_given_again(world: World) -> None:
    list(world.hospital.issue_many([bad_bill("x")], on_reject=Rejects()))

    with pytest.raises(NotFound, match="give it again"):
        list(world.hospital.retry(["x"]))

    assert list(world.hospital.retry()) == []
    assert keys_of(world.hospital) == ["x"]


@pytest.mark.parametrize(
    "act",
    [lambda hospital, keys: list(hospital.retry(keys)), Hospital.drop],
    ids=["retry", "drop"],
)
def test_outbox__a_key_that_is_not_there__not_found_and_nothing_changes(
    act: Callable[[Hospital, list[str]], object], world: World
) -> None:
    refused(world, "a")

    with pytest.raises(NotFound, match="'b'"):
        act(world.hospital, ["a", "b"])

    assert keys_of(world.hospital) == ["a"]


def test_drop__chosen_keys__are_forgotten_and_can_be_given_again(world: World) -> None:
    refused(world, "a", "b")
    list(world.hospital.issue_many([bad_bill("x")], on_reject=Rejects()))

    dropped = world.hospital.drop(["a", "x"])

    assert (dropped, keys_of(world.hospital)) == (2, ["b"])
    world.auditor.verify(world.hospital.issue(bill("a", remark="corrected")).evidence())


def test_outbox__more_than_a_page__all_are_listed_and_retried(world: World) -> None:
    keys = [f"visit-{at:04}" for at in range(1203)]
    refused(world, *keys)
    assert keys_of(world.hospital) == keys

    receipts = list(world.hospital.retry())

    assert [receipt.business_key for receipt in receipts] == keys
    assert keys_of(world.hospital) == []


def test_transactions__while_one_waits__it_is_listed(world: World) -> None:
    list(world.hospital.accept_many([bill("a")]))

    (found,) = world.hospital.outbox().transactions()

    assert (found.intent.name, found.signer) == ("Invoices.issue", world.hospital.address)
    world.hospital.resume()
    assert world.hospital.outbox().transactions() == []
