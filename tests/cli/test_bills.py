"""From the hospital to the payers and the auditor, by commands alone."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

from tests.cli.running import OWN_PAY, SHOWN, Town, run, run_program

from medledger.core.hashing import keccak256


def lock(town: Town, payer: str, number: str, amount: int, folder: Path) -> object:
    evidence = town.evidence(number, folder)
    authorisation = town.claim(number, payer, amount, folder)
    return town.act(payer, "lock", evidence, "--authorisation", authorisation, "--json")


def test_bill__two_payers_one_after_the_other__is_traced_and_audited(
    town: Town, tmp_path: Path
) -> None:
    number = town.bill()
    evidence = tmp_path / "bill.json"
    assert run("evidence", number, "--only", SHOWN, "--out", evidence).code == 0
    assert run("verify", evidence).code == 0
    first = town.claim(number, "payer", 10000, tmp_path)

    locked = town.act("payer", "lock", evidence, "--authorisation", first, "--json")
    why = ("--reason", 1, "--explanation", evidence, "--payment", "20260105-1")
    settled = town.act("payer", "settle", number, "--amount-minor", 9000, *why, "--json")
    second = town.claim(number, "other_payer", OWN_PAY - 9000, tmp_path)
    rest = town.act("other_payer", "lock", evidence, "--authorisation", second)

    payer, other = town.institutions["payer"], town.institutions["other_payer"]
    assert locked.code == 0
    assert (locked.json["number"], locked.json["payer"]) == (number, payer)
    assert locked.json["amount_minor"] == 10000
    assert re.fullmatch("0x[0-9a-f]{64}", locked.json["transaction"])
    assert settled.json["amount_minor"] == 9000
    assert re.match(
        rf"{number}: 3550 locked by payer {other} until 20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ "
        r"\(minor units\)\ntransaction 0x",
        rest.out,
    )
    status = run("status", number, "--json").json
    assert (status["locked_minor"], status["reimbursed_minor"]) == (3550, 9000)
    assert [(claim["payer"], claim["status"]) for claim in status["claims"]] == [
        (payer, "settled"),
        (other, "locked"),
    ]
    steps = run("trace", number, "--json").json["steps"]
    assert [step["event"] for step in steps] == [
        "BatchIssued",
        "ClaimLocked",
        "ClaimSettled",
        "ClaimLocked",
    ]
    assert steps[2]["number"] == number
    audit = run("audit", "--json")
    assert audit.code == 0
    assert audit.json["mismatches"] == []


def test_lock__over_the_remainder__is_refused_with_the_contracts_words(
    town: Town, tmp_path: Path
) -> None:
    number = town.bill()
    evidence = town.evidence(number, tmp_path)
    signed = town.claim(number, "payer", OWN_PAY + 1, tmp_path)

    ran = town.act("payer", "lock", evidence, "--authorisation", signed)

    assert ran.code == 4
    assert ran.out == ""
    assert ran.err == (
        f"medledger: {OWN_PAY + 1} is more than the {OWN_PAY} left of bill {number} (minor units)\n"
    )


def test_lock__authorisation_of_another_payer__is_refused_before_anything_is_sent(
    town: Town, tmp_path: Path
) -> None:
    number = town.bill()
    evidence = town.evidence(number, tmp_path)
    signed = town.claim(number, "payer", 100, tmp_path)

    ran = town.act("other_payer", "lock", evidence, "--authorisation", signed, "--json")

    assert ran.code == 3
    assert ran.error["code"] == "AuthorisationMismatch"


def test_evidence__piped_into_verify_and_lock__is_taken(town: Town, tmp_path: Path) -> None:
    number = town.bill()
    signed = town.claim(number, "payer", 100, tmp_path)

    text = run("evidence", number).out
    verified = run_program("verify", "-", "--json", text=text, env=dict(os.environ))
    lock = ("lock", "-", "--authorisation", signed, "--key", town.key("payer"))
    locked = run_program(*lock, text=text, env=dict(os.environ))

    assert verified.json["verified"] == 1
    assert locked.code == 0
    assert locked.out.startswith(f"{number}: 100 locked by payer ")


def test_withdraw_claim__open_lock__frees_the_amount(town: Town, tmp_path: Path) -> None:
    number = town.bill()
    lock(town, "payer", number, OWN_PAY, tmp_path)

    released = town.act("payer", "withdraw-claim", number, "--reason", 3)
    again = town.act("payer", "withdraw-claim", number, "--json")

    assert released.out.startswith(f"{number}: no longer locked by payer ")
    assert again.code == 4
    assert again.error["code"] == "ClaimNotLocked"
    status = run("status", number, "--json").json
    assert status["locked_minor"] == 0


def test_settle__more_than_locked__is_refused(town: Town, tmp_path: Path) -> None:
    number = town.bill()
    lock(town, "payer", number, 500, tmp_path)

    explanation = tmp_path / "explanation.json"
    explanation.write_bytes(b"")

    why = ("--explanation", explanation, "--payment", "20260105-1")
    ran = town.act("payer", "settle", number, "--amount-minor", 501, *why, "--json")

    assert ran.code == 4
    assert ran.error["code"] == "OverLock"
    assert ran.error["number"] == number


def test_settle__explanation__puts_the_hash_of_the_file_on_chain(
    town: Town, tmp_path: Path
) -> None:
    number = town.bill()
    lock(town, "payer", number, 500, tmp_path)
    explanation = tmp_path / "explanation.json"
    explanation.write_bytes(b"")

    why = ("--explanation", explanation, "--payment", "20260105-1")
    ran = town.act("payer", "settle", number, "--amount-minor", 500, *why, "--json")

    # keccak-256 of nothing
    assert ran.json["explanation"] == (
        "0xc5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"
    )


def test_hold_and_release__a_bill__is_shown_by_status_and_verify(
    town: Town, tmp_path: Path
) -> None:
    number = town.bill()
    evidence = town.evidence(number, tmp_path)

    held = town.act("hospital", "hold", number)
    again = town.act("hospital", "hold", number)
    status, verified = run("status", number, "--json"), run("verify", evidence, "--json")
    released = town.act("hospital", "release", number)

    assert held.out.startswith(f"{number}: on hold\n")
    assert again.err == (f"medledger: document {number} is on hold; its issuer may release it\n")
    assert status.json["hold"] == "held"
    assert verified.json["files"][0]["failed_step"] == "status"
    assert released.code == 0
    assert run("verify", evidence).code == 0


def test_reverse__by_another_issued_bill__ends_its_validity_from_then_on(
    town: Town, tmp_path: Path
) -> None:
    number, red_letter = town.bill(), town.bill()
    evidence = town.evidence(number, tmp_path)
    issued_at = json.loads(evidence.read_text())["head"]["issuedAt"]

    ran = town.act(
        "hospital", "reverse", number, "--red-letter", red_letter, "--reason", 1, "--json"
    )

    assert ran.code == 0
    assert ran.json["red_letter"] == red_letter
    assert run("verify", evidence).code == 5
    assert run("verify", evidence, "--at", issued_at).code == 0
    status = run("status", number, "--json").json
    assert (status["standing"], status["reversed_by"]) == ("reversed", red_letter)
    assert run("status", red_letter, "--json").json["standing"] == "red_letter"


def test_reverse__bill_in_use__is_refused(town: Town, tmp_path: Path) -> None:
    number, red_letter = town.bill(), town.bill()
    lock(town, "payer", number, 100, tmp_path)

    ran = town.act(
        "hospital", "reverse", number, "--red-letter", red_letter, "--reason", 1, "--json"
    )

    assert ran.code == 4
    assert ran.error["code"] == "InvoiceInUse"
    assert ran.error["hint"] == "wait for the payers to settle, deny or withdraw"


def test_reverse__part_of_a_bill__leaves_the_rest(town: Town) -> None:
    number = town.bill()
    part = ("reverse", number, "--amount-minor", 100, "--reason", 1)

    ran = town.act("hospital", *part, "--refund", "refund-cli", "--json")
    again = town.act("hospital", *part, "--refund", "refund-cli", "--json")
    incomplete = town.act("hospital", *part)

    assert ran.code == 0, ran.err
    status = run("status", number, "--json").json
    assert status["standing"] == "partly_reversed"
    assert status["claimable_minor"] == ran.json["left_minor"]
    assert status["issued_claimable_minor"] == ran.json["left_minor"] + 100
    assert again.error["code"] == "InvoiceIsRedLetter"
    assert incomplete.code == 2
    assert "--amount-minor and --refund" in incomplete.err
    trace = run("trace", number, "--json").json
    assert [step["event"] for step in trace["steps"]][-1] == "InvoicePartlyReversed"


def test_paper__exchanged_and_void__is_of_no_use_meanwhile(town: Town, tmp_path: Path) -> None:
    number = town.bill()
    evidence = town.evidence(number, tmp_path)
    copy = tmp_path / "copy.pdf"
    copy.write_bytes(b"a printed bill")

    exchanged = town.act("hospital", "paper", "exchange", number, copy, "--json")
    refused = run("verify", evidence)
    voided = town.act("hospital", "paper", "void", number)

    salt = bytes.fromhex(exchanged.json["salt"][2:])
    paper_hash = keccak256(salt + copy.read_bytes())
    assert exchanged.json["paper_hash"] == "0x" + paper_hash.hex()
    assert refused.code == 5
    assert "exchanged for paper" in refused.out + refused.err
    assert voided.out.startswith(f"{number}: not on paper any more\n")
    assert run("verify", evidence).code == 0


def test_status__number_of_the_other_kind__says_how_to_ask(town: Town) -> None:
    ran = run("status", "46080126-0000000001")

    assert ran.code == 7
    assert ran.err == (
        "medledger: invoice 46080126-0000000001 is not in the ledger "
        "(for the prescription of that number: --kind prescription)\n"
    )


def test_status__bill_that_nobody_opened__shows_nothing_claimable(town: Town) -> None:
    number = town.bill()

    ran = run("status", number)

    assert ran.code == 0
    assert "opened                    no\n" in ran.out
    assert "claimable" not in ran.out


def test_trace__for_people__is_a_table_of_one_line_a_step(town: Town) -> None:
    number = town.bill()

    ran = run("trace", number)

    assert ran.out.splitlines()[0] == f"{number} (invoice)"
    assert ran.out.splitlines()[1].split() == ["time", "event", "details", "transaction"]
    assert len(ran.out.splitlines()) == 3


def test_evidence__chosen_fields__leaves_the_others_sealed(town: Town) -> None:
    ran = run("evidence", town.bill(), "--only", "TotalAmount, ownPayAmount", "--json")

    assert ran.code == 0
    assert set(ran.json["fields"]) == {"TotalAmount", "ownPayAmount"}


def test_evidence__chosen_fields__shows_no_other_value_and_verifies(
    town: Town, tmp_path: Path
) -> None:
    number = town.bill()
    out = tmp_path / "bill.json"
    whole = json.loads(run("evidence", number).out)["fields"]

    run("evidence", number, "--only", "TotalAmount,IssueDate", "--out", out)

    text = out.read_text()
    assert "County Hospital" in json.dumps(whole)
    assert "County Hospital" not in text
    for name in ("BizCode", "PayerParty", "RandomNumber"):
        assert json.dumps(whole[name]) not in text
    assert run("verify", out).code == 0


def test_evidence__only_no_field__is_refused(town: Town) -> None:
    ran = run("evidence", town.bill(), "--only", " , ")

    assert ran.code == 2
    assert "--only" in ran.err
    assert "names no field" in ran.err


def test_evidence__out__is_private_and_says_what_is_opened(town: Town, tmp_path: Path) -> None:
    number, out = town.bill(), tmp_path / "deep" / "bill.json"

    ran = run("evidence", number, "--only", "TotalAmount", "--out", out)

    assert ran.out == f"{number}: evidence in {out}, opened: TotalAmount\n"
    assert out.stat().st_mode & 0o777 == 0o600


def test_evidence__unknown_field__names_those_that_there_are(town: Town) -> None:
    ran = run("evidence", town.bill(), "--only", "Total")

    assert ran.code == 3
    assert ran.err.startswith("medledger: the document has no field 'Total'; it has: BizCode, ")


def test_evidence__store_that_is_not_there__is_not_made(town: Town, tmp_path: Path) -> None:
    ran = run("evidence", town.bill(), "--store", f"sqlite:///{tmp_path}/none.db")

    assert ran.code == 7
    assert ran.err.endswith("none.db does not exist; name it with --store\n")
    assert list(tmp_path.iterdir()) == []


def test_evidence__number_that_is_not_in_the_store__is_one_line(town: Town) -> None:
    ran = run("evidence", "46060126-0000000999")

    assert ran.code == 7
    assert ran.err.startswith("medledger: number 46060126-0000000999 is not in the store ")
