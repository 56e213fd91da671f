"""`outbox`: what was set aside is listed with its reason, issued again or dropped."""

from __future__ import annotations

import io
import os
import pty
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pytest
from tests.cli.running import PROGRAM, Ran, Town, clean_environment, run, run_program
from tests.cli.test_streams import bill, file_of

from medledger.cli.session import Session
from medledger.formats.json import read_documents

NAME = {"code": "12469023", "name": "Clinic"}
_codes: Iterator[int] = count(46060301)


@dataclass(frozen=True, slots=True)
class Clinic:
    """A hospital with a key and a store of its own, and nothing issued."""

    institution: int
    key: Path
    store: str

    def act(self, *arguments: object) -> Ran:
        return run(*arguments, "--key", self.key, "--store", self.store)

    def outbox(self, *arguments: object) -> Ran:
        return run("outbox", *arguments, "--store", self.store)


@pytest.fixture
def clinic(town: Town, tmp_path: Path) -> Clinic:
    key = tmp_path / "clinic.key"
    address = run("key", "new", key).out.strip()
    new = ("--kind", "hospital", "--name", "Clinic", "--operator", address, "--json")
    institution = town.act("supervisor", "accredit", *new).json["institution"]
    allotted = ("--code", next(_codes), "--first", 1, "--last", 100)
    assert town.act("supervisor", "allot", "--institution", institution, *allotted).code == 0
    return Clinic(institution, key, f"sqlite:///{tmp_path}/clinic.db")


@pytest.fixture
def unsealable(clinic: Clinic, tmp_path: Path) -> Clinic:
    """One bill issued, and two set aside: no contract knows their currency."""
    lines = [
        bill("sound", invoicingParty=NAME),
        *(bill(key, invoicingParty=NAME, currency="XYZ") for key in ("odd-1", "odd-2")),
    ]
    ran = clinic.act("issue", file_of(tmp_path, lines), "--json")
    assert (ran.json["issued"], ran.json["refused"], ran.json["set_aside"]) == (1, 0, 2)
    return clinic


@pytest.fixture
def accepted(clinic: Clinic, town: Town) -> Clinic:
    """Two bills stored and signed; nothing was sent."""
    hospital = Session(town.chain.url, town.manifest, clinic.key, clinic.store).hospital()
    lines = [bill(key, invoicingParty=NAME) for key in ("late-1", "late-2")]
    stream = io.BytesIO("\n".join(lines).encode())
    placed = list(hospital.accept_many(read_documents(stream, "Invoice", pytest.fail)))
    hospital.close()
    assert len(placed) == 2
    return clinic


@pytest.fixture
def refused(accepted: Clinic, town: Town, tmp_path: Path) -> Clinic:
    """The same two, set aside: the institution was suspended when they were sent."""
    with suspended(town, accepted):
        accepted.act("issue", file_of(tmp_path, []))
    assert keys(accepted) == ["late-1", "late-2"]
    return accepted


@contextmanager
def suspended(town: Town, clinic: Clinic) -> Iterator[None]:
    """While the institution may issue nothing."""
    assert town.act("supervisor", "suspend", clinic.institution, "--reason", 1).code == 0
    yield
    assert town.act("supervisor", "reinstate", clinic.institution).code == 0


def keys(clinic: Clinic) -> list[str]:
    """The business keys that are set aside."""
    return [one["business_key"] for one in clinic.outbox("list", "--json").json["documents"]]


def test_issue__documents_that_cannot_be_sealed__are_set_aside_and_told(
    clinic: Clinic, tmp_path: Path
) -> None:
    lines = [bill("odd", invoicingParty=NAME, currency="XYZ"), bill("sound", invoicingParty=NAME)]

    ran = clinic.act("issue", file_of(tmp_path, lines))

    assert ran.code == 0
    assert "issued now     1\n" in ran.out
    assert "set aside      1 (medledger outbox list)\n" in ran.out
    assert ran.err == "odd: 'XYZ' is not an ISO 4217 currency\n"


def test_list__documents_set_aside__have_reason_and_time(unsealable: Clinic) -> None:
    ran = unsealable.outbox("list", "--json")

    first, second = ran.json["documents"]
    assert ran.code == 0
    assert (first["business_key"], second["business_key"]) == ("odd-1", "odd-2")
    assert first["kind"] == "Invoice"
    assert first["reason"] == "UnknownCurrency"
    assert first["problem"] == "'XYZ' is not an ISO 4217 currency"
    assert first["since"] > 1_700_000_000
    assert ran.json["transactions"] == []


def test_list__for_people__is_a_table(unsealable: Clinic) -> None:
    ran = unsealable.outbox("list")

    assert ran.out.startswith("2 documents set aside\n")
    assert ran.out.splitlines()[2].split()[:2] == ["odd-1", "invoice"]
    assert ran.out.endswith("No transaction is on its way.\n")


def test_list__nothing_set_aside__says_so(clinic: Clinic, tmp_path: Path) -> None:
    clinic.act("issue", file_of(tmp_path, [bill("sound", invoicingParty=NAME)]))

    ran = clinic.outbox("list")

    assert ran.out == "No document is set aside.\nNo transaction is on its way.\n"


def test_list__store_that_is_not_there__is_not_made(town: Town, tmp_path: Path) -> None:
    ran = run("outbox", "list", "--store", f"sqlite:///{tmp_path}/none.db")

    assert ran.code == 7
    assert list(tmp_path.iterdir()) == []


def test_list__a_batch_that_nobody_sent__shows_its_transaction(
    accepted: Clinic, town: Town
) -> None:
    shown, table = accepted.outbox("list", "--json").json, accepted.outbox("list").out

    (found,) = shown["transactions"]
    address = run("key", "address", accepted.key).out.strip()
    assert (found["function"], found["nonce"], found["state"]) == ("Invoices.issue", 0, "signed")
    assert found["signer"] == address
    assert shown["documents"] == []
    assert "1 transaction on the way\n" in table
    assert found["transaction"] in table


def test_issue__after_an_earlier_run_that_is_refused_now__tells_what_it_left(
    accepted: Clinic, town: Town, tmp_path: Path
) -> None:
    with suspended(town, accepted):
        ran = accepted.act("issue", file_of(tmp_path, []), "--json")

    assert (ran.code, ran.json["set_aside"]) == (3, 2)
    assert ran.err.startswith("late-1: accepted by an earlier run, and refused now: medledger")
    assert keys(accepted) == ["late-1", "late-2"]


def test_retry__refused_again__stays_and_exits_with_its_error(refused: Clinic, town: Town) -> None:
    with suspended(town, refused):
        ran = refused.act("outbox", "retry", "late-1", "--json")

    assert (ran.code, ran.error["code"]) == (4, "InstitutionIsSuspended")
    assert keys(refused) == ["late-1", "late-2"]


def test_retry__one_key__issues_that_alone(refused: Clinic) -> None:
    ran = refused.act("outbox", "retry", "late-2", "--json")

    assert ran.code == 0
    assert [one["business_key"] for one in ran.json["issued"]] == ["late-2"]
    assert ran.json["issued"][0]["number"].endswith("-0000000001")
    assert keys(refused) == ["late-1"]


def test_retry__all__issues_everything(refused: Clinic) -> None:
    ran, again = refused.act("outbox", "retry", "--all"), refused.act("outbox", "retry", "--all")

    assert ran.out.startswith("late-1: issued as 4606")
    assert ran.out.count("issued as") == 2
    assert keys(refused) == []
    assert again.out == "Nothing could be issued again.\n"


def test_retry__what_could_not_be_sealed__says_to_give_it_again(unsealable: Clinic) -> None:
    ran = unsealable.act("outbox", "retry", "odd-1", "--json")

    assert ran.code == 7
    assert ran.error["code"] == "NotFound"
    assert "give it again" in ran.error["message"]
    assert keys(unsealable) == ["odd-1", "odd-2"]


def test_issue__corrected_under_the_same_key__leaves_the_outbox(
    unsealable: Clinic, tmp_path: Path
) -> None:
    ran = unsealable.act("issue", file_of(tmp_path, [bill("odd-1", invoicingParty=NAME)]), "--json")

    assert ran.json["issued"] == 1
    assert keys(unsealable) == ["odd-2"]


@pytest.mark.parametrize("arguments", [[], ["odd-1", "--all"]])
def test_retry__neither_keys_nor_all_or_both__is_refused(
    unsealable: Clinic, arguments: list[str]
) -> None:
    ran = unsealable.act("outbox", "retry", *arguments)

    assert ran.code == 2
    assert ran.err == (
        "medledger: name business keys, or --all; see medledger outbox retry --help\n"
    )


def test_retry__key_that_is_not_there__is_not_found(unsealable: Clinic) -> None:
    ran = unsealable.act("outbox", "retry", "sound", "--json")

    assert ran.code == 7
    assert ran.error["code"] == "NotFound"


def test_drop__keys__forgets_those_alone(unsealable: Clinic) -> None:
    ran = unsealable.outbox("drop", "odd-1", "--yes", "--json")

    assert ran.json == {"dropped": 1}
    assert keys(unsealable) == ["odd-2"]


def test_drop__key_that_is_not_there__is_not_found_and_drops_none(unsealable: Clinic) -> None:
    ran = unsealable.outbox("drop", "odd-1", "none", "--yes", "--json")

    assert ran.code == 7
    assert ran.error["code"] == "NotFound"
    assert keys(unsealable) == ["odd-1", "odd-2"]


def test_drop__of_the_other_kind__is_not_found(unsealable: Clinic) -> None:
    ran = unsealable.outbox("drop", "odd-1", "--kind", "prescription", "--yes")

    assert ran.code == 7
    assert keys(unsealable) == ["odd-1", "odd-2"]


def test_drop__nobody_to_ask__drops_nothing(unsealable: Clinic, town: Town) -> None:
    ran = run_program(
        "outbox", "drop", "odd-1", "--store", unsealable.store, "--rpc", town.chain.url
    )

    assert ran.code == 2
    assert "nobody can be asked; add --yes" in ran.err
    assert keys(unsealable) == ["odd-1", "odd-2"]


@pytest.mark.parametrize(("answer", "left"), [("n\n", ["odd-1", "odd-2"]), ("y\n", ["odd-2"])])
def test_drop__a_person_who_is_asked__decides(
    unsealable: Clinic, town: Town, answer: str, left: list[str]
) -> None:
    found = on_a_terminal(
        answer, "outbox", "drop", "odd-1", "--store", unsealable.store, "--rpc", town.chain.url
    )

    assert "Forget 1 document? [y/N]" in found
    assert keys(unsealable) == left


def on_a_terminal(answer: str, *arguments: object) -> str:
    """What the program writes on a terminal where somebody answers."""
    child, terminal = pty.fork()
    if child == 0:
        os.execve(PROGRAM, [str(PROGRAM), *map(str, arguments)], clean_environment())
    os.write(terminal, answer.encode())
    found = b""
    # Linux says that a terminal's other end is closed by an error.
    with suppress(OSError):
        while part := os.read(terminal, 4096):
            found += part
    os.waitpid(child, 0)
    os.close(terminal)
    return found.decode()
