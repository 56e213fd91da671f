"""Unit tests: no socket, and no time limit of hypothesis, which a busy machine would break."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import settings
from pytest_socket import disable_socket
from tests.core.samples import VECTORS

settings.register_profile("core", deadline=None)
settings.load_profile("core")


def pytest_runtest_setup() -> None:
    disable_socket()


@pytest.fixture(scope="session")
def vectors() -> dict[str, Any]:
    return json.loads((VECTORS / "hashing.json").read_text("utf-8"))
