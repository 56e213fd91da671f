"""One process of the twin for all tests, and the vectors."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from tests.core.samples import VECTORS
from tests.twin.twin import Twin


@pytest.fixture(scope="session")
def twin() -> Iterator[Twin]:
    twin = Twin()
    yield twin
    twin.close()


@pytest.fixture(scope="session")
def vectors() -> dict[str, Any]:
    return json.loads((VECTORS / "hashing.json").read_text("utf-8"))
