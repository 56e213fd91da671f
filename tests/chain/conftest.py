"""What tests of hostile input have in common."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest


@pytest.fixture
def no_collecting() -> Iterator[None]:
    """For text that is nested until recursion ends. Nothing that earlier tests left is finalised at
    that depth: what fails there would count as this test's."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()
