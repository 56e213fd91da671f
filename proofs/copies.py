"""The table of mutants, and copies of the repository in which one of them is applied."""

from __future__ import annotations

import shutil
import tempfile
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from toolchain.build_artifacts import compile_sources, compiler_settings

ROOT = Path(__file__).resolve().parent.parent
TABLE = ROOT / "proofs" / "mutants.toml"

# What a compilation or a run of the contract tests reads and writes; the rest is linked.
# OpenZeppelin is copied, for the compiler reads nothing outside its folder.
OPENZEPPELIN = "toolchain/node_modules/@openzeppelin"
COPIED = ("contracts", "proofs", "tests", "ape-config.yaml", "pyproject.toml", OPENZEPPELIN)
LINKED = (".venv", "src")


@dataclass(frozen=True)
class Mutant:
    """A rule of the contracts and the change that breaks it."""

    rule: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]
    property: str | None = None
    deployed: tuple[str, ...] | None = None
    model: tuple[str, ...] = ()

    def apply(self, root: Path) -> None:
        """Break the rule in the copy at `root`."""
        path = root / "contracts" / self.file
        text = path.read_text(encoding="utf-8")
        if text.count(self.old) != 1:
            raise SystemExit(
                f"mutants.toml: {text.count(self.old)} places in {self.file} instead of one for: "
                f"{self.rule}\n{self.old}"
            )
        path.write_text(text.replace(self.old, self.new), encoding="utf-8")


def mutants() -> list[Mutant]:
    """All of mutants.toml."""
    table = tomllib.loads(TABLE.read_text(encoding="utf-8"))["mutant"]
    return [
        Mutant(
            **{
                key: tuple(value) if isinstance(value, list) else value
                for key, value in row.items()
            }
        )
        for row in table
    ]


def creation_codes(mutant: Mutant, names: Sequence[str], root: Path) -> dict[str, str]:
    """Creation code of these contracts by name, compiled as they ship from the copy at `root`."""
    files = {f"contracts/{mutant.file}", *(f"contracts/{name}.sol" for name in names)}
    sources = {file: {"content": (root / file).read_text("utf-8")} for file in sorted(files)}
    contracts = compile_sources(sources, compiler_settings())["contracts"]
    return {
        name: "0x" + contracts[f"contracts/{name}.sol"][name]["evm"]["bytecode"]["object"]
        for name in names
    }


@contextmanager
def copy(mutant: Mutant | None = None) -> Iterator[Path]:
    """A copy of what the tools read, with the mutant in it."""
    with tempfile.TemporaryDirectory(prefix="medledger-") as folder:
        root = Path(folder)
        for name in COPIED:
            if (ROOT / name).is_dir():
                shutil.copytree(
                    ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__")
                )
            else:
                shutil.copy(ROOT / name, root / name)
        for name in LINKED:
            (root / name).symlink_to(ROOT / name)
        if mutant is not None:
            mutant.apply(root)
        yield root
