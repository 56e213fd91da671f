"""That nothing is promised without a test: errors, events, and the page of invariants."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from medledger.chain.abi import CONTRACTS

# OpenZeppelin's ShortStrings: for EIP-712 names of more than 31 bytes, which ours are not. Its
# Address: for a contract that calls itself and has no code.
NOT_REACHABLE = {"InvalidShortString", "StringTooLong", "AddressEmptyCode"}
# OpenZeppelin's EIP712 declares it for contracts whose domain can change, which ours cannot.
NEVER_EMITTED = {"EIP712DomainChanged"}

REFERENCE = re.compile(r"`([\w/]+\.py)::(test_\w+)`")


@pytest.fixture(scope="module")
def folder():
    return Path(__file__).parent


@pytest.fixture(scope="module")
def source(folder):
    return "\n".join(path.read_text(encoding="utf-8") for path in sorted(folder.glob("test_*.py")))


@pytest.fixture(scope="module")
def page(folder):
    """The lines of docs/invariants.md."""
    text = (folder.parents[1] / "docs" / "invariants.md").read_text(encoding="utf-8")
    return text.splitlines()


def names_in(path):
    """The names of the test functions of a file."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def test_errors__every_one_that_a_contract_declares__is_provoked_by_a_test(project, source):
    declared = {
        error.name for name in CONTRACTS for error in getattr(project, name).contract_type.errors
    }

    assert {name for name in declared if f".{name}" not in source} == NOT_REACHABLE


def test_events__every_one_that_a_contract_declares__is_expected_by_a_test(project, source):
    declared = {
        event.name for name in CONTRACTS for event in getattr(project, name).contract_type.events
    }

    # By ape's own events, or by `logged` where they have structs.
    expected = {
        name
        for name in declared
        if f".{name}(" in source or re.search(rf'logged\(\s*\w+,\s*"{name}"', source)
    }
    assert declared - expected == NEVER_EMITTED


def test_functions__every_one_that_a_contract_has__is_called_by_a_test(project, source):
    methods = {
        method.name
        for name in CONTRACTS
        for method in (
            *getattr(project, name).contract_type.mutable_methods,
            *getattr(project, name).contract_type.view_methods,
        )
    }

    assert {name for name in methods if not re.search(rf"\.{name}\b", source)} == set()


def test_names__every_test__says_action_situation_and_outcome(folder):
    for path in sorted(folder.glob("test_*.py")):
        for name in names_in(path):
            if name.startswith("test_"):
                assert re.fullmatch(r"test(_[a-z0-9_]+?)__([a-z0-9_]+?)__([a-z0-9_]+)", name), name


def test_invariants_page__every_test_that_it_names__exists(folder, page):
    named = [found for line in page for found in REFERENCE.findall(line)]

    assert len(named) > 50
    for file, name in named:
        assert name in names_in(folder.parent / file), f"{file}::{name}"


def test_invariants_page__every_promise__names_a_test(page):
    rows = [line for line in page if line.startswith("|") and not re.match(r"\|( Promise|-)", line)]

    assert rows
    assert [row for row in rows if not REFERENCE.search(row)] == []
