"""The lines of an NDJSON file or stream, plain or gzip, in bounded memory."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator
from pathlib import Path

from medledger.core.canonical import MAX_BYTES

_BUFFER = 1 << 17
_LINE_LIMIT = MAX_BYTES + len(b"\r\n")
_GZIP = b"\x1f\x8b"


class Broken(Exception):
    """A stream cannot be read to its end. `line` is the one where reading stopped, from 1."""

    def __init__(self, line: int, problem: str) -> None:
        super().__init__(line, problem)
        self.line = line
        self.problem = problem


def read_lines(stream: io.BufferedIOBase) -> Iterator[tuple[int, bytes]]:
    """(number from 1, text without the line's end) of every line that is not blank.

    Raises `Broken` where the stream cannot be read on; the lines before that were whole.
    """
    number = 0
    try:
        while line := _read_line(stream):
            number += 1
            if not line.isspace():
                yield number, line.rstrip(b"\r\n")
    except EOFError:
        problem = "the file ends in the middle of its gzip stream; copy it again"
    except (gzip.BadGzipFile, zlib.error):
        problem = "the file is not sound gzip; copy it again"
    except OSError as error:
        problem = unreadable(error)
    else:
        return
    raise Broken(number + 1, problem)


def unreadable(error: OSError) -> str:
    """The problem with a file that cannot be opened or read."""
    return f"the file cannot be read: {error.strerror or type(error).__name__}"


def opened(path: Path) -> io.BufferedReader:
    """A file to read lines from; raises `OSError`."""
    return io.BufferedReader(io.FileIO(path), _BUFFER)


def gunzipped(stream: io.BufferedIOBase) -> io.BufferedIOBase:
    """What a gzip stream holds; of one that is cut off, all that can be read."""
    return _buffered(gzip.GzipFile(fileobj=stream))


def plain(stream: io.BufferedIOBase) -> io.BufferedIOBase:
    """The stream itself, or what it holds where it begins as gzip does."""
    head = b""
    # A pipe may give one byte at a time.
    while len(head) < len(_GZIP) and (more := stream.read1(len(_GZIP) - len(head))):
        head += more
    whole = _buffered(stream, head)
    return gunzipped(whole) if head == _GZIP else whole


def _buffered(stream: io.BufferedIOBase, head: bytes = b"") -> io.BufferedReader:
    return io.BufferedReader(_Readily(stream, head), _BUFFER)


class _Readily(io.RawIOBase):
    """A stream that gives what there is, before it waits or fails, and first what was read of it.

    A buffer alone asks until it is full: what it has is lost where the stream then fails.
    """

    def __init__(self, stream: io.BufferedIOBase, head: bytes) -> None:
        self._stream = stream
        self._head = head

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        data = self._head or self._stream.read1(len(buffer))
        self._head = b""
        buffer[: len(data)] = data
        return len(data)


def _read_line(stream: io.BufferedIOBase) -> bytes:
    """The next line with its end, empty after the last. One that is too long is cut, but left
    long enough to be refused."""
    line = rest = stream.readline(_LINE_LIMIT)
    while len(rest) == _LINE_LIMIT and not rest.endswith(b"\n"):
        rest = stream.readline(_LINE_LIMIT)
    return line
