"""Errors as people and machines read them: one line or one object, and an exit code.

For people, numbers of documents and times in a message are written as everywhere else on the
command line. `MEDLEDGER_DEBUG=1` adds the traceback.
"""

from __future__ import annotations

import os
import re
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import click

from medledger.cli.output import as_plain, json_line, printable, time_text
from medledger.core.numbers import BILL_NUMBER_SPAN, format_number
from medledger.core.states import Kind
from medledger.errors import EvidenceError, MedledgerError, Refusal, SetupError

UNEXPECTED, USAGE, INTERRUPTED = 1, 2, 130

_NUMBERS = {"number", "next", "first", "redLetter", "latest"}
_TIMES = {
    "at",
    "until",
    "deadline",
    "validFrom",
    "validUntil",
    "leaseUntil",
    "suspendedFrom",
    "revokedFrom",
}


def exit_code_of(act: Callable[[], object], *, as_json: bool) -> int:
    """The exit code of a command line program, after telling what went wrong, if anything did."""
    try:
        done = act()
    except MedledgerError as error:
        _tell(_line_of(error), error_object(error), as_json=as_json)
        return error.exit_code
    except click.ClickException as error:
        hint = _usage_hint(error)
        _tell(_join(_usage_message(error), hint), _usage_object(error, hint), as_json=as_json)
        return USAGE
    except click.Abort:
        if as_json:
            click.echo(json_line(_object("Interrupted", "interrupted", "")))
        return INTERRUPTED
    except OSError as found:
        if found.filename is None:
            return _unexpected(found, as_json=as_json)
        file = SetupError(problem=f"{found.filename}: {found.strerror or type(found).__name__}")
        _tell(_line_of(file), error_object(file), as_json=as_json)
        return file.exit_code
    except Exception as error:  # noqa: BLE001 (the last resort: named, never swallowed)
        return _unexpected(error, as_json=as_json)
    # Click returns the code of its own exits (--help, a failed command's summary).
    return done if isinstance(done, int) else 0


def asks_for_json(arguments: Sequence[str]) -> bool:
    """Whether a command line has `--json`: asked before it is parsed, since that may fail."""
    before = arguments[: arguments.index("--")] if "--" in arguments else arguments
    return "--json" in before


def tell_people(error: MedledgerError, complaint: str = "") -> None:
    """Writes an error's line to standard error, or what is said in its place."""
    line = f"medledger: {complaint}" if complaint else _line_of(error)
    click.echo(printable(line), err=True)


def error_object(error: MedledgerError) -> dict[str, Any]:
    """The error for machines: its name, message and hint, beside the values it names."""
    values = {key: _machine_value(key, value) for key, value in error.values.items()}
    if isinstance(error, EvidenceError):
        values["step"] = error.step
    return {"error": values | _object(error.name, people_message(error), error.hint)["error"]}


def people_message(error: MedledgerError) -> str:
    """The message with numbers, times and states as people write them."""
    values = {key: _people_value(key, value) for key, value in error.values.items()}
    if isinstance(error, Refusal) and isinstance(line := values.get("line"), int):
        # Contracts count lines from 0.
        values["line"] = line + 1
    text = type(error).message.format_map(_Known(values))
    # Some texts come with a number already in them.
    text = re.sub(r"\b\d{18}\b", lambda found: format_number(int(found[0])), text)
    return _without_password(" ".join(text.splitlines()))


def did_you_mean(possibilities: Sequence[str]) -> str:
    """What to add where a word is close to others."""
    return f" (did you mean {' or '.join(possibilities)}?)" if possibilities else ""


class _Known(dict[str, object]):
    def __missing__(self, key: str) -> str:
        return "?"


def _unexpected(error: Exception, *, as_json: bool) -> int:
    # Its message is left out: it may show what no error may show.
    name = type(error).__name__
    message, hint = f"unexpected {name}", "set MEDLEDGER_DEBUG=1 to see where it comes from"
    _tell(_join(message, hint), _object(name, message, hint), as_json=as_json)
    return UNEXPECTED


def _tell(line: str, found: Mapping[str, Any], *, as_json: bool) -> None:
    if os.environ.get("MEDLEDGER_DEBUG") == "1":
        traceback.print_exc()
    if as_json:
        click.echo(json_line(found))
        sys.stdout.flush()
    else:
        click.echo(printable(line), err=True)


def _line_of(error: MedledgerError) -> str:
    return _join(people_message(error), error.hint)


def _join(message: str, hint: str) -> str:
    return f"medledger: {message}; {hint}" if hint else f"medledger: {message}"


def _object(code: str, message: str, hint: str) -> dict[str, dict[str, Any]]:
    return {"error": {"code": code, "message": message, "hint": hint}}


def _usage_message(error: click.ClickException) -> str:
    if isinstance(error, click.NoSuchOption):
        return f"there is no option {error.option_name}{did_you_mean(error.possibilities or ())}"
    message = " ".join(error.format_message().split()).removesuffix(".")
    return message[:1].lower() + message[1:]


def _usage_hint(error: click.ClickException) -> str:
    context = error.ctx if isinstance(error, click.UsageError) else None
    return f"see {context.command_path} --help" if context else ""


def _usage_object(error: click.ClickException, hint: str) -> dict[str, Any]:
    return _object("UsageError", _usage_message(error), hint)


def _without_password(text: str) -> str:
    """Addresses of nodes and databases may have a user and password in them."""
    return re.sub(r"(?<=://)[^/@\s]+@", "", text)


def _people_value(key: str, value: object) -> object:
    if type(value) is int:
        if key in _NUMBERS and value > BILL_NUMBER_SPAN:
            return format_number(value)
        if key in _TIMES:
            return time_text(value)
        if key == "kind":
            return f"{value}: {Kind(value).name}".lower()
    return value


def _machine_value(key: str, value: object) -> object:
    if key in _NUMBERS and type(value) is int and value > BILL_NUMBER_SPAN:
        return format_number(value)
    plain = as_plain(value)
    return _without_password(plain) if isinstance(plain, str) else plain
