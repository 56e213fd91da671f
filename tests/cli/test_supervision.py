"""What a supervisor does, and what the others get to see of it."""

from __future__ import annotations

from pathlib import Path

from tests.cli.running import Town, run


def new_institution(town: Town, folder: Path, kind: str = "pharmacy") -> tuple[int, Path]:
    key = folder / f"{kind}.key"
    address = run("key", "new", key).out.strip()
    options = ("--kind", kind, "--name", kind, "--operator", address, "--json")
    return int(town.act("supervisor", "accredit", *options).json["institution"]), key


def test_accredit__several_kinds__prints_the_id(town: Town, tmp_path: Path) -> None:
    address = run("key", "new", tmp_path / "both.key").out.strip()

    ran = town.act(
        "supervisor", "accredit", "--kind", "pharmacy", "--kind", "courier", "--name", "Both",
        "--operator", address, "--region", "460000", "--valid-until", "2100-01-01",
    )  # fmt: skip

    assert ran.code == 0
    assert ran.out.endswith(f"is accredited as courier, pharmacy\noperator {address}\n")


def test_accredit__key_that_acts_already__says_what_to_do(town: Town) -> None:
    address = run("key", "address", town.key("payer")).out.strip()

    ran = town.act(
        "supervisor", "accredit", "--kind", "payer", "--name", "x", "--operator", address
    )

    assert ran.code == 4
    assert ran.err == (
        f"medledger: {address} is, or was, an operator already; "
        "make a new key: a key acts for one institution, once\n"
    )


def test_accredit__by_a_payer__names_the_kind_that_is_missing(town: Town) -> None:
    address = "0x" + 39 * "0" + "1"

    ran = town.act("payer", "accredit", "--kind", "payer", "--name", "x", "--operator", address)

    assert ran.code == 4
    assert "is not accredited for this kind of act (bit 16: supervisor)" in ran.err


def test_operator__added_and_removed__acts_and_then_does_not(town: Town, tmp_path: Path) -> None:
    institution, key = new_institution(town, tmp_path)
    second, consent = tmp_path / "second.key", tmp_path / "consent.json"
    address = run("key", "new", second).out.strip()

    signed = run(
        "operator", "consent", "--institution", institution, "--key", second, "--out", consent
    )
    added = run("operator", "add", consent, "--key", key)
    others = run("operator", "remove", address, "--key", key, "--json")
    removed = run("operator", "remove", address, "--key", second, "--json")

    assert signed.out.startswith(f"{address} consents to act for institution {institution} until ")
    assert others.error["code"] == "NotTheOperator"
    assert added.out.startswith(f"{address} acts for institution {institution}\n")
    assert removed.code == 0
    assert removed.json["operator"] == address


def test_suspend_and_reinstate__an_institution__stop_and_let_it_act(
    town: Town, tmp_path: Path
) -> None:
    institution, key = new_institution(town, tmp_path)
    evidence = town.evidence(town.order(), tmp_path, "prescription")
    town.institutions["new"] = institution
    number = evidence.stem
    signed = town.acceptance(number, "new", tmp_path)
    accept = ("accept", evidence, "--authorisation", signed, "--key", key)

    suspended = town.act("supervisor", "suspend", institution, "--reason", 7)
    refused = run(*accept, "--json")
    reinstated = town.act("supervisor", "reinstate", institution)
    accepted = run(*accept)

    assert suspended.out.startswith(f"institution {institution} is suspended\n")
    assert refused.error["code"] == "InstitutionIsSuspended"
    assert reinstated.out.startswith(f"institution {institution} is not suspended any more\n")
    assert accepted.code == 0


def test_renew__to_the_past__is_refused_and_to_the_future_done(town: Town, tmp_path: Path) -> None:
    institution, _ = new_institution(town, tmp_path)

    past = town.act("supervisor", "renew", institution, "--valid-until", "2001-01-01", "--json")
    future = town.act("supervisor", "renew", institution, "--valid-until", "2100-12-31T00:00:00Z")

    assert past.code == 4
    assert future.out.startswith(
        f"institution {institution} is accredited until 2100-12-31T00:00:00Z\n"
    )


def test_pause__one_ledger__stops_first_use_until_unpaused(town: Town, tmp_path: Path) -> None:
    number = town.bill()
    evidence = town.evidence(number, tmp_path)
    signed = town.claim(number, "payer", 100, tmp_path)

    paused = town.act("supervisor", "pause", "--kind", "invoice")
    refused = town.act("payer", "lock", evidence, "--authorisation", signed, "--json")
    unpaused = town.act("supervisor", "unpause")

    assert paused.out.startswith("the ledger of invoices is paused\n")
    assert refused.error["code"] == "EnforcedPause"
    assert unpaused.code == 0


def test_allot__serials_that_overlap__are_refused(town: Town) -> None:
    ran = town.act(
        "supervisor", "allot", "--institution", town.institutions["hospital"],
        "--code", "46060126", "--first", 1000, "--last", 2000, "--json",
    )  # fmt: skip

    assert ran.code == 4
    assert ran.error["code"] == "SegmentOverlaps"
    assert ran.error["highest"] == 1000


def test_allot__for_people__says_which_numbers(town: Town) -> None:
    assert town.ran["allot"].out == (
        "segment 1, 46060126-0000000001 to 46060126-0000001000, is institution 2's\n"
    )


def test_withdraw__a_segment__shows_the_gap_in_segments(town: Town) -> None:
    allotted = town.act(
        "supervisor", "allot", "--institution", town.institutions["hospital"],
        "--code", "46060926", "--first", 1, "--last", 9, "--json",
    )  # fmt: skip
    id_ = allotted.json["segment"]

    withdrawn = town.act("supervisor", "withdraw", id_, "--reason", 2)
    again = town.act("supervisor", "withdraw", id_, "--reason", 2, "--json")
    shown = run("segments")
    rows = {row["segment"]: row for row in run("segments", "--json").json["segments"]}

    gap = ["46060926-0000000001", "46060926-0000000009"]
    assert withdrawn.out.startswith(f"segment {id_}: {' to '.join(gap)} are never issued\n")
    assert again.error["code"] == "SegmentIsWithdrawn"
    assert " to ".join(gap) in shown.out
    assert rows[id_] == {
        "segment": id_,
        "institution": int(town.institutions["hospital"]),
        "first": gap[0],
        "last": gap[1],
        "issued": 0,
        "left": 0,
        "used_up": False,
        "endorsed": False,
        "never_issued": gap,
    }
    assert rows[1]["never_issued"] is None
