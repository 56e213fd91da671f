"""The example in the package's own documentation holds."""

from __future__ import annotations

import doctest
import json

from tests.formats.json_samples import BILL

from medledger.core.canonical import canonical, parse_strict
from medledger.formats import json as package


def test_example__of_the_package__is_true() -> None:
    names = {"BILL": json.dumps(BILL), "canonical": canonical, "parse_strict": parse_strict}

    found = doctest.testmod(package, extraglobs=names)

    assert found.attempted > 0
    assert found.failed == 0
