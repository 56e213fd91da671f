"""The examples in the docstrings of the core run as they are printed."""

from __future__ import annotations

import doctest
import pkgutil
from importlib import import_module

import pytest
from tests.core.samples import invoice

import medledger.core

MODULES = [found.name for found in pkgutil.iter_modules(medledger.core.__path__)]


@pytest.mark.parametrize("name", MODULES)
def test_doctest__examples_of_each_module__print_what_they_say(name: str) -> None:
    module = import_module(f"medledger.core.{name}")
    known = {"bill": invoice(business_key="visit-1")}

    found = doctest.testmod(module, extraglobs=known)

    assert found.failed == 0
