"""The twin's command line: what it answers, and the exit code of each way to fail."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.core.samples import VECTORS
from tests.roles.world import World
from tests.twin.twin import run

from medledger.chain.local import LocalChain, free_port

GOOD = str(VECTORS / "evidence" / "good.json")
FORGED = str(VECTORS / "evidence" / "forged_field.json")


def test_verify__offline__tells_how_far_it_went() -> None:
    done = run("verify", GOOD)

    (answer,) = json.loads(done.stdout)["files"]
    assert (answer["file"], answer["number"], answer["kind"]) == (
        GOOD,
        "46060126-0000000017",
        "Invoice",
    )
    assert answer["steps"] == ["format", "fields", "header", "path"]
    assert done.returncode == 0


def test_verify__one_of_two_does_not_hold__names_its_step() -> None:
    done = run("verify", GOOD, FORGED)

    good, forged = json.loads(done.stdout)["files"]
    assert good["holds"]
    assert (forged["holds"], forged["step"], forged["error"]) == (False, "fields", "BodyMismatch")
    assert done.returncode == 5


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("verify",),
        ("state", GOOD),
        ("lines", GOOD),
        ("verify", GOOD, "--rpc", "http://127.0.0.1:1"),
        ("state", "--manifest", GOOD),
        ("verify", GOOD, "--at", "now"),
        ("verify", GOOD, "--strict"),
    ],
)
def test_twin__arguments_that_make_no_sense__exits_with_2(arguments: tuple[str, ...]) -> None:
    done = run(*arguments)

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("twin: ")
    assert "    at " not in done.stderr


def test_verify__a_file_that_is_not_there__exits_with_7(tmp_path: Path) -> None:
    done = run("verify", tmp_path / "none.json")

    assert done.returncode == 7
    assert "none.json" in done.stderr


def test_state__nobody_listens__exits_with_6(world: World, tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{free_port()}"

    done = run("state", "--rpc", url, "--manifest", world.ledgers.manifest.save(tmp_path))

    assert done.returncode == 6
    assert url in done.stderr


SPOILED: list[tuple[str, Callable[[dict], object], int, str]] = [
    ("another chain", lambda m: m.update(chainId=1), 6, "WrongChain"),
    ("another genesis", lambda m: m.update(genesisHash="0x" + "11" * 32), 6, "WrongChain"),
    (
        "other code",
        lambda m: m["contracts"]["Claims"].update(codeHash="0x" + "11" * 32),
        6,
        "ContractMissing",
    ),
    (
        "no code",
        lambda m: m["contracts"]["Claims"].update(address="0x" + "11" * 20),
        6,
        "ContractMissing",
    ),
    ("no address", lambda m: m["contracts"]["Claims"].pop("address"), 7, "address"),
    ("no manifest", lambda m: m.update(format="medledger-evidence-1"), 7, "deployment-1"),
]


@pytest.mark.parametrize(
    ("change", "code", "problem"), [row[1:] for row in SPOILED], ids=[row[0] for row in SPOILED]
)
def test_state__a_manifest_of_something_else__is_refused(
    world: World,
    anvil: LocalChain,
    tmp_path: Path,
    change: Callable[[dict], object],
    code: int,
    problem: str,
) -> None:
    path = world.ledgers.manifest.save(tmp_path)
    manifest = json.loads(path.read_text("utf-8"))
    change(manifest)
    path.write_text(json.dumps(manifest), "utf-8")

    done = run("state", "--rpc", anvil.url, "--manifest", path)

    assert (done.returncode, done.stdout) == (code, "")
    assert problem in done.stderr


def test_state__an_event_that_is_not_known__is_refused(
    world: World, anvil: LocalChain, tmp_path: Path
) -> None:
    # The contract of bills under the name of Claims: its events are none of Claims.
    path = world.ledgers.manifest.save(tmp_path)
    manifest = json.loads(path.read_text("utf-8"))
    manifest["contracts"]["Claims"] = manifest["contracts"].pop("Invoices")
    path.write_text(json.dumps(manifest), "utf-8")
    world.issued()

    done = run("state", "--rpc", anvil.url, "--manifest", path)

    assert done.returncode == 6
    assert "an event that is not known" in done.stderr
