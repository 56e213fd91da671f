"""The error tree: what its head promises, and that every refusal of a contract has its class."""

from __future__ import annotations

import copy
import json
import pickle
import re
from importlib.resources import files
from string import Formatter
from typing import Any

import pytest

from medledger import errors
from medledger.errors import (
    REFUSALS,
    AuditError,
    ChainError,
    DuplicateKey,
    EvidenceError,
    InputError,
    MedledgerError,
    NumberSkipped,
    PathMismatch,
    Refusal,
    RpcUnavailable,
    SegmentExhausted,
    SetupError,
    UnknownRefusal,
)

FAMILIES: dict[type[MedledgerError], int] = {
    InputError: 3,
    Refusal: 4,
    EvidenceError: 5,
    ChainError: 6,
    SetupError: 7,
    AuditError: 8,
}


def descendants(kind: type[MedledgerError]) -> list[type[MedledgerError]]:
    return [kind, *(found for below in kind.__subclasses__() for found in descendants(below))]


CLASSES = [kind for kind in descendants(MedledgerError) if kind.__module__ == errors.__name__]


def placeholders(kind: type[MedledgerError]) -> list[str]:
    found = [name for _, name, _, _ in Formatter().parse(kind.message) if name is not None]
    assert all(name.isidentifier() for name in found)
    return found


def abi_errors() -> dict[str, list[str]]:
    """Name to argument names of every error in the packaged ABIs."""
    found: dict[str, list[str]] = {}
    for artifact in (files("medledger.chain") / "artifacts").iterdir():
        for entry in json.loads(artifact.read_text("utf-8"))["abi"]:
            if entry["type"] == "error":
                found[entry["name"]] = [argument["name"] for argument in entry["inputs"]]
    return found


ABI_ERRORS = abi_errors()


# The tree


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_exit_code__each_class__is_its_familys(kind: type[MedledgerError]) -> None:
    families = [code for family, code in FAMILIES.items() if issubclass(kind, family)]

    assert [kind.exit_code] == (families or [1])


def test_exit_code__the_families__differ_from_each_other_success_and_usage() -> None:
    codes = set(FAMILIES.values())

    assert len(codes) == len(FAMILIES)
    assert not codes & {0, 1, 2}


def test_docstring__every_class_but_the_refusals__is_in_the_tree_of_the_head() -> None:
    drawn = set(
        re.findall(r"\b[A-Z][a-z]\w+[A-Z]\w+\b|\bNotFound\b|\bNoSegment\b", errors.__doc__ or "")
    )
    expected = {kind.__name__ for kind in CLASSES if not issubclass(kind, Refusal)}

    named = {name for name in drawn if hasattr(errors, name)}

    assert expected - named == set()


def test_docstring__every_name_in_the_tree__is_a_class() -> None:
    tree = (errors.__doc__ or "").split("A message says")[0]

    drawn = re.findall(r"\b(?:[A-Z][a-z]+){2,}\b", tree)

    assert [name for name in drawn if name not in {kind.__name__ for kind in CLASSES}] == []


def test_names__of_all_classes__are_unique() -> None:
    names = [kind.__name__ for kind in CLASSES]

    assert sorted(set(names)) == sorted(names)


# Values


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_error__with_every_value_of_its_message__shows_and_keeps_them(
    kind: type[MedledgerError],
) -> None:
    values = {name: f"<{name}>" for name in placeholders(kind)}

    error = kind(**values)

    assert all(value in str(error) for value in values.values())
    assert error.values == values
    assert {name: getattr(error, name) for name in values} == values
    assert "?" not in str(error)


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("duplicate", [copy.copy, lambda error: pickle.loads(pickle.dumps(error))])
def test_error__copied_or_pickled__is_the_same(kind: type[MedledgerError], duplicate: Any) -> None:
    error = kind(**dict.fromkeys(placeholders(kind), 7))

    found = duplicate(error)

    assert type(found) is kind
    assert (str(found), found.values) == (str(error), error.values)


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_error__without_its_values__still_has_a_message(kind: type[MedledgerError]) -> None:
    message = str(kind())

    assert message.count("?") >= len(set(placeholders(kind)))


def test_error__a_value_with_braces__is_shown_as_it_is() -> None:
    assert str(PathMismatch(problem="{0} {x} {")) == "{0} {x} {"


def test_error__a_value_it_was_not_given__attribute_error() -> None:
    with pytest.raises(AttributeError, match="number"):
        _ = NumberSkipped(next=5).number


def test_error__before_it_is_initialised__attribute_error_and_no_endless_recursion() -> None:
    bare = NumberSkipped.__new__(NumberSkipped)

    with pytest.raises(AttributeError, match="number"):
        _ = bare.number


def test_error__integers__are_kept_as_integers() -> None:
    error = SegmentExhausted(segment=1, left=2, count=3)

    assert (error.segment, error.left, error.count) == (1, 2, 3)
    assert str(error) == "segment 1 has 2 numbers left, the batch takes 3"
    assert error.hint == "ask the supervisor for another segment"


def test_name__of_an_error__is_its_class_name() -> None:
    assert DuplicateKey(key="a").name == "DuplicateKey"


def test_step__of_each_evidence_error__is_named_once() -> None:
    steps = [kind.step for kind in EvidenceError.__subclasses__()]

    assert sorted(steps) == sorted(set(steps))
    assert all(steps)


def test_rpc_unavailable__of_all_errors__alone_says_it_is_worth_a_retry() -> None:
    saying = [kind for kind in CLASSES if "retry" in (kind.__doc__ or "")]

    assert saying == [RpcUnavailable]
    assert issubclass(RpcUnavailable, ChainError)


# Contracts


def test_refusals__against_the_abis__one_class_for_each_error_and_no_more() -> None:
    expected = set(ABI_ERRORS)

    found = set(REFUSALS) - {UnknownRefusal.__name__}

    assert found == expected


@pytest.mark.parametrize("name", sorted(ABI_ERRORS))
def test_refusal__message__uses_only_arguments_of_the_abi(name: str) -> None:
    assert set(placeholders(REFUSALS[name])) <= set(ABI_ERRORS[name])


@pytest.mark.parametrize("name", sorted(ABI_ERRORS))
def test_refusal__with_the_abis_arguments__has_each_as_its_attribute(name: str) -> None:
    values = {argument: place for place, argument in enumerate(ABI_ERRORS[name], 7)}

    error = REFUSALS[name](**values)

    assert {argument: getattr(error, argument) for argument in values} == values
    assert isinstance(error, Refusal)
    assert "?" not in str(error)
