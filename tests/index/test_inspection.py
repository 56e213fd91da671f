"""The contracts are what this package ships, or it is told how they are not."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from shutil import copy, copytree
from typing import Any

import pytest
from tests.chain.nodes import Relay, each
from tests.roles.world import World

from medledger.chain import abi
from medledger.chain.compiler import compile_sources
from medledger.chain.deployment import Deployed, Ledgers, connect
from medledger.chain.inspection import Inspected, inspect
from medledger.chain.local import LocalChain
from medledger.chain.rpc import Rpc
from medledger.core.hashing import ZERO_ADDRESS
from medledger.errors import CompilerUnusable
from medledger.index import EventIndex, questions, sync

ROOT = Path(__file__).resolve().parents[2]


def by_name(found: list[Inspected]) -> dict[str, Inspected]:
    return {one.contract: one for one in found}


def problems(ledgers: Ledgers, **built: Any) -> dict[str, tuple[str, ...]]:
    return {one.contract: one.problems for one in inspect(ledgers, **built) if one.problems}


def with_manifest(world: World, **changes: Any) -> Ledgers:
    return replace(world.ledgers, manifest=replace(world.ledgers.manifest, **changes))


def test_inspect__a_deployment__is_as_it_should_be_with_its_arguments(world: World) -> None:
    found = by_name(inspect(world.ledgers))

    assert [one for one in found.values() if one.problems] == []
    manifest = world.ledgers.manifest
    assert found["Claims"].arguments == {
        "institutions": manifest.contracts["Institutions"].address,
        "invoices": manifest.contracts["Invoices"].address,
        "prescriptions": manifest.contracts["Prescriptions"].address,
        "escrow": ZERO_ADDRESS,
        "lockPeriod": manifest.lock_period,
    }
    shown = {item.name: item.shown for item in found["Claims"].immutables}
    assert shown["Claims.lockPeriod"] == manifest.lock_period
    assert shown["Claims.invoices"] == manifest.contracts["Invoices"].address
    assert shown["EIP712._cachedThis"] == manifest.contracts["Claims"].address


def test_inspect__a_manifest_that_says_another_period__named(world: World) -> None:
    period = world.ledgers.manifest.lock_period

    found = problems(with_manifest(world, lock_period=1))

    assert found == {"Claims": (f"Claims.lockPeriod is {period}, not the manifest's 1",)}


def test_inspect__a_manifest_with_another_contract__named_where_it_is_known(world: World) -> None:
    contracts = dict(world.ledgers.manifest.contracts)
    contracts["Claims"] = replace(contracts["Claims"], address=contracts["Records"].address)

    found = problems(with_manifest(world, contracts=contracts))

    assert any("Invoices.claims is" in text for text in found["Invoices"])
    assert "its code is not what this version of medledger deploys" in found["Claims"]
    assert "the transaction that should have created it made another contract" in found["Claims"]


def test_inspect__another_creating_transaction__named(world: World) -> None:
    contracts: dict[str, Deployed] = dict(world.ledgers.manifest.contracts)
    nowhere = "0x" + 64 * "1"
    contracts["Claims"] = replace(contracts["Claims"], transaction=nowhere)

    found = problems(with_manifest(world, contracts=contracts))

    assert found == {"Claims": ("the transaction that should have created it is not on the chain",)}


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda data: data[:-1] + f"{int(data[-1], 16) ^ 1:x}", "its arguments|more than"),
        (lambda data: data + "00", "more than its arguments"),
        (lambda data: "0x00" + data[4:], "has other code"),
    ],
)
def test_inspect__a_creation_with_other_data__named(
    change: Any, problem: str, world: World, anvil: LocalChain
) -> None:
    creation = world.ledgers.manifest.contracts["Licences"].transaction

    def answer(call: dict[str, Any], found: Any) -> Any:
        if call["method"] == "eth_getTransactionByHash" and call["params"] == [creation]:
            return {
                **found,
                "result": {**found["result"], "input": change(found["result"]["input"])},
            }
        return found

    with Relay(anvil.url) as relay:
        relay.after = lambda calls, body: each(calls, body, answer)
        found = by_name(inspect(connect(Rpc(relay.url), world.ledgers.manifest)))["Licences"]

    if problem.startswith("its arguments"):
        # Other arguments are shown as they are: the immutables say what came of them.
        assert found.arguments["institutions"] != world.ledgers.institutions.address
    else:
        assert any(problem in text for text in found.problems)


# A build from source


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Any]:
    """What the compiler makes of Institutions and what it imports; all six would take a minute."""
    folder = tmp_path_factory.mktemp("checkout")
    for name in ("interfaces", "libraries"):
        copytree(ROOT / "contracts" / name, folder / "contracts" / name)
    for name in ("Institutions.sol", "SignedActs.sol"):
        copy(ROOT / "contracts" / name, folder / "contracts")
    library = Path("toolchain/node_modules/@openzeppelin/contracts")
    copytree(ROOT / library, folder / library)
    return compile_sources(folder)


def test_inspect__a_build_from_source__is_what_is_deployed_and_nothing_else_is(
    built: Mapping[str, Any], world: World
) -> None:
    found = problems(world.ledgers, built=built)

    assert set(found) == set(world.ledgers.contracts) - {"Institutions"}
    assert set(found.values()) == {("its code is not what the sources compile to",)}


def test_inspect__sources_with_one_changed_byte__named(
    built: Mapping[str, Any], world: World
) -> None:
    code = bytearray.fromhex(built["Institutions"]["object"])
    code[-60] ^= 1
    other = {**built, "Institutions": {**built["Institutions"], "object": code.hex()}}

    found = problems(world.ledgers, built=other)

    assert found["Institutions"] == ("its code is not what the sources compile to",)


@pytest.mark.parametrize(
    ("compiler", "problem"),
    [("true", "is not version"), ("nowhere", "cannot be run")],
)
def test_compile_sources__no_fitting_compiler__named(compiler: str, problem: str) -> None:
    path = Path("/bin") / compiler

    with pytest.raises(CompilerUnusable, match=problem):
        compile_sources(ROOT, path)


def test_compile_sources__sources_that_do_not_compile__named(tmp_path: Path) -> None:
    with pytest.raises(CompilerUnusable, match=r"finds no contracts/\*.sol"):
        compile_sources(tmp_path)
    (tmp_path / "contracts").mkdir()
    (tmp_path / "contracts" / "Broken.sol").write_text("contract Broken {")

    with pytest.raises(CompilerUnusable, match="does not compile them: "):
        compile_sources(tmp_path, Path(sys.prefix) / "bin" / "solc")


# Who may do what


def test_inspect__institutions_and_keys__are_what_events_say_and_storage_holds(
    world: World, file_index: EventIndex
) -> None:
    world.second_key()
    world.supervisor.suspend(world.ids["payer"], 3)
    world.supervisor.pause("Record")
    sync(file_index, [world.rpc])

    found = world.auditor.inspect(file_index)

    assert found.mismatches == []
    assert found.state.institutions[world.ids["payer"]].suspended
    assert len(found.state.operators) == len(world.ids) + 2


def test_inspect__an_institution_that_no_event_made__is_told(
    world: World, file_index: EventIndex
) -> None:
    sync(file_index, [world.rpc])
    institutions = world.ledgers.institutions
    slot = next(
        entry["slot"]
        for entry in abi.artifact("Institutions")["storageLayout"]["variables"]
        if entry["label"] == "institutionCount"
    )
    count = institutions.institution_count()
    word = f"0x{count + 1:064x}"
    world.rpc.request("anvil_setStorageAt", institutions.address, hex(int(slot)), word)

    assert world.auditor.inspect(file_index).mismatches == [
        f"{count + 1} institutions: events made {count}"
    ]


def test_privileged__what_supervisors_did__is_listed_and_nothing_else(
    world: World, file_index: EventIndex
) -> None:
    world.issued()
    sync(file_index, [world.rpc])
    since = world.now() + 10
    world.pass_time(20)
    world.second_key()
    world.supervisor.suspend(world.ids["payer"], 3)
    world.supervisor.pause("Record")
    world.supervisor.withdraw(world.deployment.other_bills, 7)
    world.issued("another")
    sync(file_index, [world.rpc])

    acts = list(questions.privileged(file_index, since=since))

    assert [(act.contract, act.act, act.institution) for act in acts] == [
        ("Institutions", "OperatorAdded", 1),
        ("Institutions", "InstitutionSuspended", 1),
        ("Records", "Paused", 1),
        ("Invoices", "SegmentWithdrawn", 1),
    ]
    assert all(act.by == world.supervisor.address for act in acts)
