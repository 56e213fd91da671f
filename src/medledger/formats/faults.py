"""Why a resource or a line cannot be taken, in the same few words whatever the format."""

from __future__ import annotations

from pydantic import ValidationError

from medledger.core.canonical import parse_strict
from medledger.errors import DuplicateKey, MalformedJson, NotNormalForm

_PROBLEMS = {
    "missing": "is missing",
    "string_type": "is not text",
    "iso_text": "is not ISO 8601 text",
    "datetime_from_date_parsing": "is not an ISO 8601 time",
    "datetime_parsing": "is not an ISO 8601 time",
    "date_from_datetime_parsing": "is not an ISO 8601 day",
    "date_parsing": "is not an ISO 8601 day",
    "string_too_short": "is empty",
    "string_too_long": "is too long",
    "string_pattern_mismatch": "is not an id",
    "bool_type": "is neither true nor false",
    "int_type": "is not a whole number",
    "greater_than": "is not above 0",
    "greater_than_equal": "is out of range",
    "less_than": "is out of range",
    "less_than_equal": "is out of range",
    "list_type": "is not a list",
    "tuple_type": "is not a list",
    "too_short": "is empty",
    "too_long": "has too many entries",
    "model_type": "is not an object",
    "dataclass_type": "is not an object",
    "extra_forbidden": "is not known",
    "unexpected_keyword_argument": "is not known",
    "none_required": "may not be ignored, and is not understood",
}


class Unfit(Exception):
    """A resource or line cannot be taken: `field` is a path with JSON's element names."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(field, problem)
        self.field = field
        self.problem = problem


def parse(text: bytes, name: str) -> object:
    """The strict JSON of a text that is called `name`; raises `Unfit`."""
    try:
        found: object = parse_strict(text)
    except MalformedJson as error:
        raise Unfit(name, f"is not strict JSON: {error.reason}") from None
    except DuplicateKey:
        raise Unfit(name, "is not strict JSON: a key stands twice") from None
    except NotNormalForm:
        raise Unfit(name, "is not in Unicode normal form C") from None
    return found


def first_fault(error: ValidationError, root: str = "") -> tuple[str, str]:
    """(path from `root`, problem) of what is wrong first; the path is empty for the whole.

    Pydantic's own messages are not used: some repeat the value.
    """
    first = error.errors(include_url=False, include_input=False)[0]
    steps = [f"[{step}]" if isinstance(step, int) else f".{step}" for step in first["loc"]]
    problem = _PROBLEMS.get(first["type"], "is malformed")
    if first["type"] == "literal_error":
        problem = f"is not {first['ctx']['expected']}"
    return (root + "".join(steps)).removeprefix("."), problem
