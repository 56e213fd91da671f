"""Patients pay their bills, by commands alone."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.cli.running import OWN_PAY, Town, run
from tests.roles.paying import mint, taking_tokens

from medledger.chain.bindings import SettlementToken
from medledger.chain.deployment import Manifest, connect
from medledger.chain.rpc import Rpc
from medledger.core.hashing import ZERO_ADDRESS

REFERENCE = "20260105-7731-0042"


def test_payment__stated_and_confirmed__is_paid_once(town: Town, tmp_path: Path) -> None:
    number, out = town.bill(), tmp_path / "paid.json"
    terms = ("--amount-minor", OWN_PAY, "--payment", REFERENCE)

    stated = town.act("hospital", "payment", "state", number, *terms, "--json")
    signed = run(
        *("authorise", "bill-payment", number, *terms),
        *("--patient-key", town.patient_key, "--out", out),
    )
    evidence = town.evidence(number, tmp_path)
    relayed = town.act("courier", "relay", out, "--evidence", evidence, "--json")
    again = town.act("hospital", "payment", "state", number, *terms, "--json")

    assert (stated.code, stated.json["amount_minor"]) == (0, OWN_PAY)
    assert signed.code == 0
    assert (relayed.code, relayed.json["type"]) == (0, "BillPayment")
    assert (again.code, again.json["error"]["code"]) == (4, "BillIsPaid")
    events = [step["event"] for step in run("trace", number, "--json").json["steps"]]
    assert events[1:] == ["PaymentStated", "InvoiceOpened", "StatementConfirmed"]


def test_payment__withdrawn__cannot_be_confirmed(town: Town, tmp_path: Path) -> None:
    number, out = town.bill(), tmp_path / "paid.json"
    terms = ("--amount-minor", 1, "--payment", REFERENCE)
    assert town.act("hospital", "payment", "state", number, *terms).code == 0
    key = ("--patient-key", town.patient_key, "--out", out)
    assert run("authorise", "bill-payment", number, *terms, *key).code == 0

    withdrawn = town.act("hospital", "payment", "withdraw", number)
    evidence = town.evidence(number, tmp_path)
    relayed = town.act("courier", "relay", out, "--evidence", evidence)

    assert (withdrawn.code, withdrawn.out.splitlines()[0]) == (0, f"{number}: statement withdrawn")
    assert relayed.code == 4
    assert "medledger payment state" in relayed.err


def test_pay__deployment_without_a_token__says_what_to_do(town: Town, tmp_path: Path) -> None:
    refused = town.act("payer", "pay", town.evidence(town.bill(), tmp_path), "--json")

    assert (refused.code, refused.json["error"]["code"]) == (7, "NoSettlementToken")


@pytest.fixture
def paying(town: Town, tmp_path: Path) -> tuple[SettlementToken, Path]:
    """A token of dollars, and the manifest of a deployment that takes it."""
    ledgers, token = taking_tokens(connect(Rpc(town.chain.url), Manifest.load(town.manifest)), 840)
    return token, ledgers.manifest.save(tmp_path / "taking tokens")


def test_pay__in_the_token__reaches_the_account(
    town: Town, tmp_path: Path, paying: tuple[SettlementToken, Path]
) -> None:
    token, manifest = paying
    number, here = town.bill(), ("--deployment", manifest)
    account = "0x" + "5a" * 20
    mint(token, run("key", "address", town.key("payer")).out.strip(), OWN_PAY)
    evidence = town.evidence(number, tmp_path)

    told = town.act("hospital", "payment", "account", account, *here, "--json")
    other = town.act("payer", "pay", evidence, "--payee", ZERO_ADDRESS, *here)
    paid = town.act("payer", "pay", evidence, *here, "--json")
    twice = town.act("payer", "pay", evidence, *here)

    assert (told.code, told.json["institution"]) == (0, town.institutions["hospital"])
    assert told.json["account"].lower() == account
    assert (other.code, twice.code) == (4, 4)
    assert f"paid at {told.json['account']}, not at {ZERO_ADDRESS}" in other.err
    assert "has been paid" in twice.err
    assert (paid.code, paid.json["number"], paid.json["amount_minor"]) == (0, number, OWN_PAY)
    assert token.balance_of(account) == OWN_PAY
