"""Compile the contracts into the artifacts that the Python package ships.

    .venv/bin/python toolchain/build_artifacts.py           # write src/medledger/chain/artifacts/
    .venv/bin/python toolchain/build_artifacts.py --check   # name what differs, exit 1

There is one artifact for each contract in `contracts/*.sol` that can be deployed. The compiler's
settings are those of `ape-config.yaml`, read from there, with one addition: the bytecode carries no
hash of the metadata, so that a changed comment or path does not change it. Two runs on the same
sources give the same bytes on any machine.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import solcx
import solcx.install
import solcx.wrapper
import yaml
from packaging.version import Version
from solcx.exceptions import SolcError

ROOT = Path(__file__).resolve().parent.parent
CONTRACTS = ROOT / "contracts"
ARTIFACTS = ROOT / "src" / "medledger" / "chain" / "artifacts"

REMAPPINGS = ["@openzeppelin/contracts=toolchain/node_modules/@openzeppelin/contracts"]
OUTPUTS = ["abi", "evm.bytecode", "evm.deployedBytecode", "storageLayout"]
UNSTABLE = ("astId", "contract")
"""Parts of a storage layout that say nothing of the storage, and change with any file."""
TREE_NUMBER = re.compile(r"(t_(?:struct|enum|contract|userDefinedValueType)\([\w.]+\))\d+")


class BuildError(Exception):
    """Sources or settings from which no artifact can be made; the message names the cause."""


def main() -> int:
    """Write the artifacts or compare them, and return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="compare only; exit 1 if any differs")
    arguments = parser.parse_args()

    try:
        fresh = build()
    except BuildError as error:
        print(f"artifacts: {error}", file=sys.stderr)
        return 1

    stale = sorted(different(fresh))
    if arguments.check and stale:
        print(f"artifacts: out of date: {', '.join(stale)}; run make artifacts", file=sys.stderr)
        return 1
    if not arguments.check:
        write(fresh)
    print(f"artifacts: {len(fresh)} contracts, {len(stale)} changed")
    return 0


def build() -> dict[str, str]:
    """The text of each artifact by the name of its contract."""
    settings = compiler_settings()
    sources = {
        path.relative_to(ROOT).as_posix(): {"content": path.read_text(encoding="utf-8")}
        for path in sorted(CONTRACTS.glob("*.sol"))
    }
    output = compile_sources(sources, settings)
    immutables = dict(immutable_names(output["sources"]))
    keys = dict(mapping_keys(output["sources"]))

    artifacts: dict[str, str] = {}
    for source, name in deployable(output["sources"], sources):
        if name in artifacts:
            raise BuildError(f"two contracts are called {name}; rename one")
        compiled = output["contracts"][source][name]
        content = artifact(name, compiled, settings, immutables)
        content["storageLayout"] = storage_layout(compiled["storageLayout"], keys)
        artifacts[name] = render(content)
    return artifacts


def compiler_settings() -> dict[str, Any]:
    """The `solidity` section of ape-config.yaml: both builds use the same settings."""
    settings = yaml.safe_load((ROOT / "ape-config.yaml").read_text(encoding="utf-8"))["solidity"]
    assert isinstance(settings, dict)
    return settings


def compiler_version(settings: dict[str, Any]) -> Version:
    """The version of the compiler with its commit, for whoever verifies the bytecode."""
    executable = solcx.install.get_executable(settings["version"])
    return solcx.wrapper.get_solc_version(executable, with_commit_hash=True)


def compile_sources(sources: dict[str, Any], settings: dict[str, Any]) -> dict[str, Any]:
    """The compiler's standard JSON output; warnings go to standard error."""
    request = {
        "language": "Solidity",
        "sources": sources,
        "settings": {
            "evmVersion": settings["evm_version"],
            "metadata": {"bytecodeHash": "none"},
            "optimizer": {"enabled": settings["optimize"], "runs": settings["optimization_runs"]},
            "outputSelection": {
                "*": {"": ["ast"]},
                **{name: {"*": OUTPUTS, "": ["ast"]} for name in sources},
            },
            "remappings": REMAPPINGS,
            "viaIR": settings["via_ir"],
        },
    }
    try:
        output: dict[str, Any] = solcx.compile_standard(
            request, base_path=ROOT, solc_version=settings["version"]
        )
    except SolcError as error:
        raise BuildError(f"the contracts do not compile\n{error.message}") from error
    for problem in output.get("errors", []):
        print(problem["formattedMessage"], file=sys.stderr)
    return output


def deployable(outputs: dict[str, Any], sources: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """File and name of every contract of the sources that is not abstract."""
    for source in sorted(sources):
        for node in outputs[source]["ast"]["nodes"]:
            if node["nodeType"] != "ContractDefinition" or node["contractKind"] != "contract":
                continue
            if not node["abstract"]:
                yield source, node["name"]


def immutable_names(outputs: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Number in the syntax tree and `Contract.variable` name of every immutable.

    The compiler tells immutables apart by that number, which any change in any file can shift.
    """
    for output in outputs.values():
        for contract in output["ast"]["nodes"]:
            for node in contract.get("nodes", []):
                if node.get("mutability") == "immutable":
                    yield str(node["id"]), f"{contract['name']}.{node['name']}"


def mapping_keys(outputs: dict[str, Any]) -> Iterator[tuple[int, list[str]]]:
    """Number in the syntax tree and the names of its keys, outermost first, of every mapping."""
    for output in outputs.values():
        for contract in output["ast"]["nodes"]:
            for node in contract.get("nodes", []):
                kind = node.get("typeName") or {}
                keys = []
                while kind.get("nodeType") == "Mapping":
                    keys.append(kind["keyName"])
                    kind = kind["valueType"]
                if keys:
                    yield node["id"], keys


def storage_layout(compiled: dict[str, Any], keys: dict[int, list[str]]) -> dict[str, Any]:
    """Where each state variable is, with the names of a mapping's keys, and what its type is.

    The compiler's names of types hold numbers of the syntax tree, which are left out here.
    """

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {plain(key): plain(item) for key, item in value.items() if key not in UNSTABLE}
        if isinstance(value, list):
            return [plain(item) for item in value]
        return TREE_NUMBER.sub(r"\1", value) if isinstance(value, str) else value

    types = compiled["types"] or {}
    if len({plain(name) for name in types}) != len(types):
        raise BuildError("two types of one contract have the same name; rename one")
    variables = [
        plain(variable) | {"keys": keys.get(variable["astId"], [])}
        for variable in compiled["storage"]
    ]
    return {"types": plain(types), "variables": variables}


def artifact(
    name: str, compiled: dict[str, Any], settings: dict[str, Any], immutables: dict[str, str]
) -> dict[str, Any]:
    """What the package ships of one contract.

    The ABI is the compiler's: it holds the errors and events of the base contracts, and those of
    every library function that the contract reaches.
    """
    creation, runtime = compiled["evm"]["bytecode"], compiled["evm"]["deployedBytecode"]
    if creation["linkReferences"]:
        files = ", ".join(sorted(creation["linkReferences"]))
        raise BuildError(f"{name} calls libraries that need a deployment, see {files}")
    return {
        "abi": compiled["abi"],
        "bytecode": f"0x{creation['object']}",
        "compiler": {
            "evmVersion": settings["evm_version"],
            "optimizerRuns": settings["optimization_runs"],
            "version": str(compiler_version(settings)),
            "viaIR": settings["via_ir"],
        },
        "contractName": name,
        "deployedBytecode": f"0x{runtime['object']}",
        "immutableReferences": {
            immutables[number]: places for number, places in runtime["immutableReferences"].items()
        },
    }


def render(content: dict[str, Any]) -> str:
    """The content as text that depends on nothing but the content."""
    return json.dumps(content, indent=2, sort_keys=True, ensure_ascii=True) + "\n"


def different(fresh: dict[str, str]) -> set[str]:
    """Names of the artifacts that are missing, differ, or belong to no contract any more."""
    found = {path.stem: path.read_text(encoding="utf-8") for path in ARTIFACTS.glob("*.json")}
    return {name for name in fresh.keys() | found.keys() if fresh.get(name) != found.get(name)}


def write(fresh: dict[str, str]) -> None:
    """Bring the folder to the state of `fresh`, touching only what differs."""
    ARTIFACTS.mkdir(parents=True, exist_ok=True)
    for name in different(fresh):
        path = ARTIFACTS / f"{name}.json"
        if name in fresh:
            path.write_text(fresh[name], encoding="utf-8")
        else:
            path.unlink()


if __name__ == "__main__":
    sys.exit(main())
