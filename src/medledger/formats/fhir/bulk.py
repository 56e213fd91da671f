"""The NDJSON files of a bulk export, line by line, in bounded memory.

A file's name says what it holds: `Claim.ndjson`, `Claim.ndjson.gz`, and the numbered parts that
servers write, `Claim.000.ndjson` or `1.Claim.ndjson`. Other files are not opened.

Every line that is not blank is yielded or refused, never both, never neither:

- one resource a line, strict JSON (`core.canonical`), of the type that the file is named after;
- an id once for each type, over all its files: a second one is refused, whatever it says;
- a file that cannot be read to its end (a truncated gzip) is refused at the line where reading
  stopped, and the lines before it count.
"""

from __future__ import annotations

import gzip
import io
import re
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Generic, NamedTuple, cast

from pydantic import ValidationError

from medledger.core.canonical import MAX_BYTES, parse_strict
from medledger.errors import (
    BadResource,
    DuplicateKey,
    FolderIncomplete,
    MalformedJson,
    NotNormalForm,
)
from medledger.formats.fhir.resources import ResourceT
from medledger.formats.fhir.values import Unfit

_FILE_NAME = re.compile(
    r"(?:(\d{1,9})\.)?([A-Z][A-Za-z]+)(?:[.\-_](\d{1,9}))?\.ndjson(?:\.gz)?", flags=re.ASCII
)
_LINE_LIMIT = MAX_BYTES + len(b"\r\n")
_BUFFER = 1 << 17

_PROBLEMS = {
    "missing": "is missing",
    "string_type": "is not text",
    "string_too_short": "is empty",
    "string_pattern_mismatch": "is not an id",
    "bool_type": "is neither true nor false",
    "int_type": "is not a whole number",
    "greater_than": "is not above 0",
    "less_than_equal": "is out of range",
    "list_type": "is not a list",
    "too_short": "is empty",
    "model_type": "is not an object",
    "none_required": "may not be ignored, and is not understood",
}


class Place(NamedTuple):
    """Where a resource stands. `line` counts from 1, blank lines too."""

    file: str
    line: int


@dataclass(frozen=True, slots=True)
class Found(Generic[ResourceT]):
    """A resource, where it stands, and the bytes of its line without the line's end."""

    place: Place
    text: bytes
    resource: ResourceT


class BulkReader:
    """The files of one folder, by resource type, and what was refused in them.

    Raises `FolderIncomplete` for a folder that is none.
    """

    def __init__(self, path: Path, on_reject: Callable[[BadResource], None] | None) -> None:
        self.rejected: list[BadResource] = []
        self._path = path
        self._on_reject = on_reject
        self._refused: set[Place] = set()
        self._files = _files_by_type(path)

    def has(self, resource_type: str) -> bool:
        """Whether there is a file for this type."""
        return resource_type in self._files

    def require(self, resource_type: str, needed_by: str) -> None:
        """Raises `FolderIncomplete` where there is no file for this type."""
        if not self.has(resource_type):
            raise FolderIncomplete(
                problem=f"{self._path} has no {resource_type}.ndjson or {resource_type}.ndjson.gz,"
                f" to which {needed_by} refers; export {resource_type} too"
            )

    def refuse(self, place: Place, fault: Unfit) -> None:
        """Sets one resource aside: once, however often its file is read."""
        if place in self._refused:
            return
        self._refused.add(place)
        error = BadResource(
            file=place.file, line=place.line, field=fault.field, problem=fault.problem
        )
        self.rejected.append(error)
        if self._on_reject is not None:
            self._on_reject(error)

    def resources(self, model: type[ResourceT]) -> Iterator[Found[ResourceT]]:
        """The resources of a type that are well-formed; the others are refused."""
        resource_type = model.__name__
        seen: set[str] = set()
        for path in self._files.get(resource_type, ()):
            for number, text in self._lines(path, resource_type):
                place = Place(path.name, number)
                try:
                    resource = read_resource(model, text)
                    if resource.id in seen:
                        raise Unfit(f"{resource_type}.id", "has occurred before")
                except Unfit as fault:
                    self.refuse(place, fault)
                    continue
                seen.add(resource.id)
                yield Found(place, text, resource)

    def _lines(self, path: Path, resource_type: str) -> Iterator[tuple[int, bytes]]:
        number = 0
        try:
            with _open(path) as file:
                while line := _read_line(file):
                    number += 1
                    if not line.isspace():
                        yield number, line.rstrip(b"\r\n")
        except EOFError:
            problem = "the file ends in the middle of its gzip stream; copy it again"
        except (gzip.BadGzipFile, zlib.error):
            problem = "the file is not sound gzip; copy it again"
        except OSError as error:
            problem = f"the file cannot be read: {error.strerror or type(error).__name__}"
        else:
            return
        self.refuse(Place(path.name, number + 1), Unfit(resource_type, problem))


def read_resource(model: type[ResourceT], text: bytes) -> ResourceT:
    """The resource of one line; raises `Unfit`."""
    resource_type = model.__name__
    value = _parse(text, resource_type)
    if not isinstance(value, dict):
        raise Unfit(resource_type, "is not an object")
    if value.get("resourceType") != resource_type:
        raise Unfit(f"{resource_type}.resourceType", f"is not {resource_type}")
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise _unfit(resource_type, error) from None


def _parse(text: bytes, resource_type: str) -> object:
    try:
        return cast(object, parse_strict(text))
    except MalformedJson as error:
        raise Unfit(resource_type, f"is not strict JSON: {error.reason}") from None
    except DuplicateKey:
        raise Unfit(resource_type, "is not strict JSON: a key stands twice") from None
    except NotNormalForm:
        raise Unfit(resource_type, "is not in Unicode normal form C") from None


def _unfit(resource_type: str, error: ValidationError) -> Unfit:
    """The first fault. Pydantic's own messages are not used: some repeat the value."""
    first = error.errors(include_url=False, include_input=False)[0]
    steps = [f"[{step}]" if isinstance(step, int) else f".{step}" for step in first["loc"]]
    problem = _PROBLEMS.get(first["type"], "is malformed")
    if first["type"] == "literal_error":
        problem = f"is not {first['ctx']['expected']}"
    return Unfit(resource_type + "".join(steps), problem)


def _files_by_type(path: Path) -> dict[str, list[Path]]:
    if not path.is_dir():
        raise FolderIncomplete(problem=f"{path} is not a folder; name one with FHIR NDJSON files")
    found: dict[str, list[tuple[int, str, Path]]] = {}
    for file in path.iterdir():
        match = _FILE_NAME.fullmatch(file.name)
        if match is not None:
            part = int(match[1] or match[3] or 0)
            found.setdefault(match[2], []).append((part, file.name, file))
    return {kind: [file for _, _, file in sorted(files)] for kind, files in found.items()}


def _open(path: Path) -> BinaryIO:
    if path.suffix == ".gz":
        return cast(BinaryIO, io.BufferedReader(gzip.GzipFile(path), _BUFFER))
    return path.open("rb", buffering=_BUFFER)


def _read_line(file: BinaryIO) -> bytes:
    """The next line with its end, empty after the last. One that is too long is cut, but left
    long enough to be refused."""
    line = rest = file.readline(_LINE_LIMIT)
    while len(rest) == _LINE_LIMIT and not rest.endswith(b"\n"):
        rest = file.readline(_LINE_LIMIT)
    return line
