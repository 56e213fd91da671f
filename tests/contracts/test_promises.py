"""That nothing is promised without a test: errors, events, invariants and attacks."""

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
FILE_OR_TEST = re.compile(r"`([\w/]+\.py)(?:::(test_\w+))?`")


@pytest.fixture(scope="module")
def folder():
    return Path(__file__).parent


@pytest.fixture(scope="module")
def attacks(folder):
    """The files of tests/attacks that act attacks out."""
    return sorted((folder.parent / "attacks").glob("test_*.py"))


@pytest.fixture(scope="module")
def files(folder, attacks):
    """All files of tests that ape runs."""
    return [*sorted(folder.glob("test_*.py")), *attacks]


@pytest.fixture(scope="module")
def source(files):
    return "\n".join(path.read_text(encoding="utf-8") for path in files)


@pytest.fixture(scope="module")
def rows_of_attacks(folder):
    """The rows of *Attacks considered* in SECURITY.md."""
    text = (folder.parents[1] / "SECURITY.md").read_text(encoding="utf-8")
    table = text.partition("## Attacks considered")[2].partition("\n## ")[0]
    return re.findall(r"^\| (?!attack \|).+$", table, re.M)


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


def test_names__every_test__says_action_situation_and_outcome(files):
    for path in files:
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


# Attacks


def test_security_page__every_attack__names_tests_that_exist(folder, rows_of_attacks):
    assert len(rows_of_attacks) > 30
    for row in rows_of_attacks:
        named = FILE_OR_TEST.findall(row.rpartition(" | ")[2])
        assert named, row
        for file, name in named:
            tests = {test for test in names_in(folder.parent / file) if test.startswith("test_")}
            assert tests, file
            assert not name or name in tests, f"{file}::{name}"


def test_security_page__every_file_of_attacks__has_a_row(attacks, rows_of_attacks):
    table = "\n".join(rows_of_attacks)

    assert len(attacks) > 5
    assert [path.name for path in attacks if f"`attacks/{path.name}" not in table] == []


def test_attacks__every_file__says_the_attack_the_answer_and_what_would_happen(attacks):
    for path in attacks:
        told = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        assert re.search(r"^The answer: ", told, re.M), path.name
        assert re.search(r"^Without ", told, re.M), path.name
