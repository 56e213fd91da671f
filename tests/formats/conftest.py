"""Tests of the formats read files and open no socket."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings
from pytest_socket import disable_socket
from tests.formats.samples import ROOT

settings.register_profile("formats", deadline=None)
settings.load_profile("formats")


def pytest_runtest_setup() -> None:
    disable_socket()


@pytest.fixture(scope="session")
def sample() -> Path:
    """The export that is shipped in `examples/`."""
    return ROOT / "examples" / "synthea"
