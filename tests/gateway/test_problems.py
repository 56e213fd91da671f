"""One status for every error, and nothing in an answer that belongs into the log."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from medledger import errors
from medledger.gateway.problems import STATUS, problem_of, status_of


def every(kind: type[errors.MedledgerError]) -> Iterator[type[errors.MedledgerError]]:
    for below in kind.__subclasses__():
        yield below
        yield from every(below)


@pytest.mark.parametrize("kind", sorted(every(errors.MedledgerError), key=lambda k: k.__name__))
def test_status__of_every_error_class__is_in_the_table(
    kind: type[errors.MedledgerError],
) -> None:
    status = status_of(kind)

    assert 400 <= status < 600


def test_status__of_every_family__has_a_row_of_its_own() -> None:
    assert set(errors.MedledgerError.__subclasses__()) <= set(STATUS)


def test_status__of_a_family_that_is_new__is_missing() -> None:
    with pytest.raises(KeyError):
        status_of(errors.MedledgerError)


def test_problem__of_a_refusal__has_name_detail_and_hint() -> None:
    error = errors.DocumentIsHeld(number=460601260000000017)

    found = json.loads(bytes(problem_of(error).body))

    assert found == {
        "type": "urn:medledger:error:DocumentIsHeld",
        "title": "Document is held",
        "status": 409,
        "detail": "document 46060126-0000000017 is on hold",
        "hint": "its issuer may release it",
    }


@pytest.mark.parametrize(
    "error",
    [
        errors.RpcUnavailable(url="http://user:password@node", problem="silent"),
        errors.StoreError(store="postgresql://secret-host", problem="is gone"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_problem__of_what_the_operator_must_mend__hides_addresses(
    error: errors.MedledgerError,
) -> None:
    text = bytes(problem_of(error).body).decode()

    assert "secret" not in text
    assert "password" not in text


def test_problem__of_a_silent_node__says_when_to_try_again() -> None:
    response = problem_of(errors.RpcUnavailable(url="", problem=""))

    assert response.status_code == 503
    assert response.headers["retry-after"] == "5"


def test_status__in_the_documentation__is_the_table() -> None:
    text = (Path(__file__).parents[2] / "docs" / "gateway.md").read_text("utf-8")

    documented = {
        (name, int(status))
        for status, names in re.findall(r"^\| (\d{3}) \| (`.*`) \|$", text, re.MULTILINE)
        for name in re.findall(r"`(\w+)`", names)
    }

    assert documented == {(kind.__name__, int(status)) for kind, status in STATUS.items()}
