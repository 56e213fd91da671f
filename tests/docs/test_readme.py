"""Every command and snippet of the README runs as it is printed, and prints what it says.

The README is read as a reader does: each tour is one terminal, in a copy of the repository as it
is after `make setup`. One thing differs. Port 8545 may be taken here, so the chain gets a free
one, and `MEDLEDGER_RPC` and the printed addresses name it: what `medledger chain --port` tells its
user to do.

An output block is compared with what the blocks of its tour print: each of its lines comes, in
order. What another run may well print otherwise is not compared: long numbers, addresses, times.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pytest
from tests.docs.blocks import ROOT, Block, blocks

from medledger.chain.local import free_port
from medledger.chain.rpc import Rpc
from medledger.errors import RpcUnavailable

README = ROOT / "README.md"
BLOCKS = blocks(README)
WITH_CHAIN = "run: with a chain"
OUTPUT = "output"
TREE = "tree"
MAKE = "run: make"
MINUTES = 60
START_SECONDS = 60

TOURS = {
    "deploys": "You deploy contracts",
    "hospital": "You run a hospital's backend",
    "audits": "You audit",
}
SEEN = "See it"
COPIED = ("ape-config.yaml", "contracts", "examples", "pyproject.toml", "scripts", "src", "tests")


def section(title: str) -> list[Block]:
    return [block for block in BLOCKS if block.section == title]


# A reader's terminal


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """The repository as a fresh clone is after `make setup`; what setup made is not copied."""
    for name in COPIED:
        source, target = ROOT / name, tmp_path / name
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns(".cache", "__pycache__"))
        else:
            shutil.copy(source, target)
    (tmp_path / "toolchain").mkdir()
    (tmp_path / "toolchain" / "node_modules").symlink_to(ROOT / "toolchain" / "node_modules")
    (tmp_path / ".venv").symlink_to(sys.prefix)
    return tmp_path


@contextmanager
def chain(folder: Path, port: int) -> Iterator[None]:
    """`medledger chain` in a second terminal."""
    command = [str(folder / ".venv" / "bin" / "medledger"), "chain", "--port", str(port)]
    with subprocess.Popen(
        command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as process:
        try:
            deadline = time.monotonic() + START_SECONDS
            while not _answers(port):
                assert process.poll() is None, process.stderr and process.stderr.read()
                assert time.monotonic() < deadline, "the chain did not start"
                time.sleep(0.1)
            yield
        finally:
            process.terminate()


def _answers(port: int) -> bool:
    try:
        Rpc(f"http://127.0.0.1:{port}").chain_id()
    except RpcUnavailable:
        return False
    return True


def run(shell: str, folder: Path, port: int) -> str:
    """What a shell script prints; it must end with exit code 0 at every line."""
    url = f"http://127.0.0.1:{port}"
    own = {name: value for name, value in os.environ.items() if not name.startswith("MEDLEDGER_")}
    own.pop("VIRTUAL_ENV", None)
    # The machine's own programs, so that only activation finds those of the environment.
    own["PATH"] = os.pathsep.join(
        place for place in os.get_exec_path() if not Path(place).is_relative_to(sys.prefix)
    )
    # Two apes on one data folder disturb each other.
    own |= {"MEDLEDGER_RPC": url, "APE_DATA_FOLDER": str(folder / "ape"), "COLUMNS": "200"}
    found = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", shell.replace("http://127.0.0.1:8545", url)],
        cwd=folder,
        env=own,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )
    assert found.returncode == 0, f"exit code {found.returncode}\n{found.stdout}\n{found.stderr}"
    return found.stdout


# What a tour prints


def comparable(line: str) -> str:
    """The line without what differs from run to run, and without its alignment."""
    line = re.sub(r"\b0x[0-9a-fA-F.]+", "<hash>", line)
    line = re.sub(r"\b\d{4}-\d\d-\d\dT[\d:]+Z", "<time>", line)
    line = re.sub(r"\b\d{8}-?\d{10}\b", "<number>", line)
    line = re.sub(r"\b\d+ s\.", "<seconds>", line)
    line = re.sub(r"\b\d[\d,]{3,}(\.\d+)?\b", "<many>", line)
    return " ".join(line.split())


def assert_printed(printed: str, expected: str) -> None:
    lines = iter([comparable(line) for line in printed.splitlines()])
    for line in filter(None, map(comparable, expected.splitlines())):
        assert line in lines, f"{line!r} is not printed (any more, or here):\n{printed}"


@pytest.mark.slow
@pytest.mark.timeout(20 * MINUTES)
@pytest.mark.parametrize("title", TOURS.values(), ids=TOURS)
def test_tour__as_printed__runs_and_prints_what_it_says(title: str, clone: Path) -> None:
    tour, port = section(title), free_port()
    script = ""
    for block in tour:
        if block.language == "sh":
            script += block.text
        elif block.language == "python":
            place = clone / block.mark.removeprefix("run: ")
            place.parent.mkdir(exist_ok=True)
            place.write_text(block.text, "utf-8")

    needs_chain = any(block.mark == WITH_CHAIN for block in tour)
    with chain(clone, port) if needs_chain else nullcontext():
        printed = run(script, clone, port)

    for block in tour:
        if block.mark == OUTPUT:
            assert_printed(printed, block.text)
    if title == TOURS["audits"]:
        # The same program as `make demo`, on this chain instead of its own.
        (output,) = [block for block in section(SEEN) if block.mark == OUTPUT]
        assert_printed(printed, output.text)


def test_make__dry_run__is_the_command_that_a_tour_runs() -> None:
    (block,) = [block for block in section(SEEN) if block.mark == MAKE]
    recipe = subprocess.run(
        [*shlex.split(block.text), "--dry-run", "--no-print-directory"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    command = recipe.stdout.splitlines()[-1].removeprefix(".venv/bin/")

    assert command == "medledger demo --data examples/synthea"
    assert any(command in block.text for block in section(TOURS["audits"]))


def test_readme__second_terminal__is_the_command_that_the_tests_start() -> None:
    assert "`.venv/bin/medledger chain`" in README.read_text("utf-8")


@pytest.mark.parametrize("block", BLOCKS, ids=[f"line {block.line}" for block in BLOCKS])
def test_block__each__is_run_or_compared(block: Block) -> None:
    runs = block.section in TOURS.values() and block.language in ("sh", "python")

    assert runs or block.mark in (OUTPUT, TREE, MAKE)


def test_tree__each_line__is_there_and_each_folder_of_the_package_is_a_line() -> None:
    (tree,) = [block for block in BLOCKS if block.mark == TREE]
    paths, parent = [], Path()
    for line in tree.text.splitlines():
        name = line.split()[0]
        parent = parent if line.startswith(" ") else Path(name)
        paths.append(parent / name if line.startswith(" ") else Path(name))

    assert all((ROOT / path).exists() for path in paths)
    package = ROOT / "src" / "medledger"
    folders = {found.parent.relative_to(ROOT) for found in package.glob("*/__init__.py")}
    assert folders <= set(paths)


def test_readme__whole__is_short() -> None:
    assert len(README.read_text("utf-8").splitlines()) < 250
