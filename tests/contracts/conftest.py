"""How the folders that ape tests find its plugin, and the fixtures that they share.

Without ape these hooks alone are loaded: `tests/contracts/fixtures.py` imports all of ape.
"""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser, pluginmanager: pytest.PytestPluginManager) -> None:
    # "pytest tests/contracts" loads this file before it reads the command line, early enough for
    # ape's plugin. A run of all of tests/ comes here too late, and wants no node of ape's.
    if not pluginmanager.has_plugin("terminalreporter"):
        pluginmanager.import_plugin("ape_test", consider_entry_points=True)


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    # After ape's own fixtures, so that `project` here takes the place of ape's.
    if config.pluginmanager.has_plugin("ape-test"):
        config.pluginmanager.import_plugin("tests.contracts.fixtures")


def pytest_ignore_collect(config: pytest.Config) -> bool | None:
    return None if config.pluginmanager.has_plugin("ape-test") else True


def pytest_report_collectionfinish(config: pytest.Config) -> str | None:
    if config.pluginmanager.has_plugin("ape-test"):
        return None
    return "not collected: tests/contracts and tests/attacks, which need ape; run them by name"
