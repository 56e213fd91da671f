"""Running `medledger` as people and scripts do, and a town in which everybody has a key."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.formats.samples import (
    CLAIM,
    ENCOUNTER,
    HOSPITAL,
    PATIENT,
    REQUEST,
    Resource,
    changed,
    export,
    usd,
    write,
)

from medledger.chain.local import LocalChain
from medledger.cli import main

PROGRAM = Path(sys.prefix) / "bin" / "medledger"
BILLS, ORDERS = 100, 20
OWN_PAY = 12550
PEOPLE = ("supervisor", "hospital", "pharmacy", "other_pharmacy", "courier", "payer", "other_payer")
SHOWN = "TotalAmount,ownPayAmount,InvoicingParty"


@dataclass(frozen=True, slots=True)
class Ran:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output, which must be one JSON object on one line and nothing else."""
        assert self.out.count("\n") == 1
        found = json.loads(self.out)
        assert isinstance(found, dict)
        return found

    @property
    def error(self) -> Any:
        return self.json["error"]


def run(*arguments: object) -> Ran:
    """Runs a command in this process."""
    out, err = io.StringIO(), io.StringIO()
    code: Any = 0
    with redirect_stdout(out), redirect_stderr(err):
        try:
            main([str(argument) for argument in arguments])
        except SystemExit as end:
            code = end.code
    return Ran(int(code or 0), out.getvalue(), err.getvalue())


def spawn(*arguments: object, **settings: Any) -> subprocess.Popen[str]:
    """Starts the installed program."""
    settings.setdefault("env", clean_environment())
    # A runner in the background ignores SIGINT, and what it starts would inherit that.
    settings.setdefault("preexec_fn", lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
    return subprocess.Popen(
        [str(PROGRAM), *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **settings,
    )


def run_program(*arguments: object, text: str = "", **settings: Any) -> Ran:
    """Runs the installed program to its end, with a text as its standard input."""
    with spawn(*arguments, **settings) as process:
        out, err = process.communicate(text, timeout=60)
    return Ran(process.returncode, out, err)


def clean_environment(**more: str) -> dict[str, str]:
    """The environment without settings of a person who runs the tests."""
    kept = {key: value for key, value in os.environ.items() if "MEDLEDGER" not in key}
    return kept | more


@contextmanager
def inside(folder: Path) -> Iterator[None]:
    """Runs in a folder."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


@dataclass(slots=True)
class Town:
    """Everybody on one chain, set up by the commands themselves, in one folder."""

    folder: Path
    chain: LocalChain
    institutions: dict[str, int] = field(default_factory=dict)
    ran: dict[str, Ran] = field(default_factory=dict)
    """What the commands that set it up said, by their names."""
    _bills: Iterator[int] = field(default_factory=lambda: iter(range(1, BILLS + 1)))
    _orders: Iterator[int] = field(default_factory=lambda: iter(range(1, ORDERS + 1)))

    @property
    def source(self) -> Path:
        return self.folder / "export"

    @property
    def patient_keys(self) -> Path:
        return self.folder / "patients" / "patient-keys.json"

    @property
    def patient_key(self) -> Path:
        return self.folder / "patients" / "p1.key"

    @property
    def manifest(self) -> Path:
        return self.folder / "deployments" / "31337.json"

    def key(self, who: str) -> Path:
        return self.folder / f"{who}.key"

    def bill(self) -> str:
        """The number of an issued bill that no other test uses."""
        return f"46060126-{next(self._bills):010d}"

    def order(self) -> str:
        """The number of an issued prescription that no other test uses."""
        return f"46080126-{next(self._orders):010d}"

    def act(self, who: str, *arguments: object) -> Ran:
        """Runs a command with somebody's key."""
        return run(*arguments, "--key", self.key(who))

    def evidence(self, number: str, folder: Path, kind: str = "invoice") -> Path:
        """The evidence file of a document."""
        out = folder / f"{number}.json"
        assert run("evidence", number, "--kind", kind, "--out", out).code == 0
        return out

    def claim(self, number: str, payer: str, amount: int, folder: Path) -> Path:
        """The patient's authorisation for a payer."""
        out = folder / f"{number}-{payer}-{amount}.json"
        who = ("--payer", self.institutions[payer], "--patient-key", self.patient_key)
        signed = run("authorise", "claim", number, *who, "--amount-minor", amount, "--out", out)
        assert signed.code == 0, signed.err
        return out

    def acceptance(self, number: str, pharmacy: str, folder: Path) -> Path:
        """The patient's authorisation for a pharmacy."""
        out = folder / f"{number}-{pharmacy}.json"
        who = ("--pharmacy", self.institutions[pharmacy], "--patient-key", self.patient_key)
        signed = run("authorise", "acceptance", number, *who, "--out", out)
        assert signed.code == 0, signed.err
        return out

    def confirmation(self, number: str, folder: Path) -> Path:
        """The patient's confirmation of a delivery."""
        out = folder / f"{number}-confirmed.json"
        signed = run(
            "authorise", "delivery", number, "--patient-key", self.patient_key, "--out", out
        )
        assert signed.code == 0, signed.err
        return out


def resources() -> list[Resource]:
    """Bills and orders of one patient at County Hospital, two claims of another hospital, one
    that is wrong, and one order that is over."""
    other = changed(HOSPITAL, {"id": "h2", "name": "City Hospital"})
    stranger = changed(PATIENT, {"id": "p2"})
    visit = changed(ENCOUNTER, {"id": "e2", "subject.reference": "Patient/p2"})
    plain = changed(CLAIM, {"insurance": []})
    claims = [changed(plain, {"id": f"c{at}"}) for at in range(2, BILLS + 1)]
    wrong = changed(plain, {"id": "negative", "item[0].net": usd(-80)})
    theirs = changed(
        plain,
        {
            "provider.reference": "Organization/h2",
            "patient.reference": "Patient/p2",
            "item[0].encounter[0].reference": "Encounter/e2",
        },
    )
    orders = [changed(REQUEST, {"id": f"m{at}"}) for at in range(2, ORDERS + 1)]
    return [
        *export(),
        other,
        stranger,
        visit,
        *claims,
        wrong,
        changed(theirs, {"id": "t1"}),
        changed(theirs, {"id": "t2"}),
        *orders,
        changed(REQUEST, {"id": "over", "status": "completed"}),
    ]


def build(folder: Path, chain: LocalChain) -> Town:
    """Sets the town up as a new user would, one command after the other."""
    town = Town(folder, chain)
    write(town.source, resources())
    for who in PEOPLE:
        assert run("key", "new", town.key(who)).code == 0

    def done(name: str, ran: Ran) -> Ran:
        assert ran.code == 0, ran.err + ran.out
        town.ran[name] = ran
        return ran

    done("deploy", town.act("supervisor", "deploy", "--name", "Finance bureau", "--json"))
    for who in PEOPLE[1:]:
        name = "County Hospital" if who == "hospital" else who
        address = run("key", "address", town.key(who)).out.strip()
        kind = who.removeprefix("other_")
        accredited = town.act(
            "supervisor",
            "accredit",
            "--kind",
            kind,
            "--name",
            name,
            "--operator",
            address,
            "--json",
        )
        town.institutions[who] = done("accredit", accredited).json["institution"]
    hospital = ("--institution", town.institutions["hospital"], "--first", 1, "--last", 1000)
    done("allot", town.act("supervisor", "allot", *hospital, "--code", "46060126"))
    orders = ("--code", "46080126", "--kind", "prescription")
    done("allot orders", town.act("supervisor", "allot", *hospital, *orders))
    done("enrol", run("patient", "enrol", town.source, "--out", town.folder / "patients"))
    source = (town.source, "--patient-keys", town.patient_keys, "--json")
    done("issue", town.act("hospital", "issue", *source, "--batch-size", 10))
    done("prescribe", town.act("hospital", "prescribe", *source))
    return town
