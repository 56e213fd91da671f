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

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, NamedTuple

from pydantic import ValidationError

from medledger.errors import BadResource, FolderIncomplete
from medledger.formats.faults import Unfit, first_fault, parse
from medledger.formats.fhir.resources import ResourceT
from medledger.formats.lines import Broken, gunzipped, opened, read_lines, unreadable

_FILE_NAME = re.compile(
    r"(?:(\d{1,9})\.)?([A-Z][A-Za-z]+)(?:[.\-_](\d{1,9}))?\.ndjson(?:\.gz)?", flags=re.ASCII
)


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
        try:
            with opened(path) as file:
                yield from read_lines(gunzipped(file) if path.suffix == ".gz" else file)
        except Broken as broken:
            self.refuse(Place(path.name, broken.line), Unfit(resource_type, broken.problem))
        except OSError as error:
            self.refuse(Place(path.name, 1), Unfit(resource_type, unreadable(error)))


def read_resource(model: type[ResourceT], text: bytes) -> ResourceT:
    """The resource of one line; raises `Unfit`."""
    resource_type = model.__name__
    value = parse(text, resource_type)
    if not isinstance(value, dict):
        raise Unfit(resource_type, "is not an object")
    if value.get("resourceType") != resource_type:
        raise Unfit(f"{resource_type}.resourceType", f"is not {resource_type}")
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise Unfit(*first_fault(error, resource_type)) from None


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
