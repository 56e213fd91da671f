"""Options and arguments that several commands share, each with one meaning everywhere.

A decorator such as `acting` adds the options that say which chain, deployment and key, and hands
them to the command as one `Session`, its first argument.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar, get_args

import click

from medledger.cli.session import Session
from medledger.core.numbers import DocumentKind, DocumentNumber, parse_number

F = TypeVar("F", bound=Callable[..., Any])

LOCAL_RPC = "http://127.0.0.1:8545"
KIND_OF_WORD: dict[str, DocumentKind] = {kind.lower(): kind for kind in get_args(DocumentKind)}


class NumberType(click.ParamType):
    """A document number; raises `BadNumber`."""

    name = "number"

    def convert(
        self,
        value: Any,
        param: click.Parameter | None,  # noqa: ARG002 (click's signature)
        ctx: click.Context | None,  # noqa: ARG002
    ) -> DocumentNumber:
        return parse_number(str(value).strip())


class AddressType(click.ParamType):
    """An address: 0x and 40 hexadecimal digits, with a sound EIP-55 checksum if it has one."""

    name = "address"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if not re.fullmatch("0x[0-9a-fA-F]{40}", value):
            self.fail("expected an address, 0x and 40 hexadecimal digits", param, ctx)
        from medledger.core.hashing import checksum_address

        address: str = checksum_address(bytes.fromhex(value[2:]))
        if value[2:] not in (address[2:], value[2:].lower(), value[2:].upper()):
            self.fail("the address has a wrong checksum; copy it again", param, ctx)
        return address


class TimeType(click.ParamType):
    """A time as Unix seconds, from these or from ISO 8601 (UTC where it names no zone)."""

    name = "time"

    def convert(
        self, value: str | int, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        if isinstance(value, int) or re.fullmatch("[0-9]{1,15}", value):
            return int(value)
        try:
            time = datetime.fromisoformat(value)
        except ValueError:
            self.fail("expected 2026-12-31, 2026-12-31T08:00:00Z or Unix seconds", param, ctx)
        return int((time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp())


class HashType(click.ParamType):
    """A hash of 32 bytes: 0x and 64 hexadecimal digits."""

    name = "hash"

    def convert(
        self, value: str | bytes, param: click.Parameter | None, ctx: click.Context | None
    ) -> bytes:
        if isinstance(value, bytes):
            return value
        if not re.fullmatch("0x[0-9a-fA-F]{64}", value):
            self.fail("expected a hash, 0x and 64 hexadecimal digits", param, ctx)
        return bytes.fromhex(value[2:])


class WholeType(click.ParamType):
    """A whole number within bounds that help need not show."""

    def __init__(self, name: str, low: int, high: int) -> None:
        self.name = name
        self._range = click.IntRange(low, high)

    def convert(
        self, value: str | int, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        return int(self._range.convert(value, param, ctx))


NUMBER, ADDRESS, TIME, HASH = NumberType(), AddressType(), TimeType(), HashType()
INSTITUTION = WholeType("id", 1, 2**32 - 1)
SEGMENT = WholeType("id", 1, 2**32 - 1)
REASON = WholeType("code", 0, 2**16 - 1)
REGION = WholeType("code", 0, 999_999)
BILL_CODE = WholeType("code", 1, 99_999_999)
SERIAL = WholeType("serial", 1, 9_999_999_999)
AMOUNT_MINOR = WholeType("amount", 1, 2**53 - 1)
IN_FILE = click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path)
IN_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
IN_FILE_OR_FOLDER = click.Path(exists=True, allow_dash=True, path_type=Path)
OUT_FILE = click.Path(dir_okay=False, path_type=Path)

number_argument = click.argument("number", type=NUMBER)


def kind_option(meaning: str) -> Callable[[F], F]:
    """`--kind`: which kind of document, by the name that the ledgers give it."""
    return click.option(
        "--kind",
        type=click.Choice(list(KIND_OF_WORD)),
        default="invoice",
        show_default=True,
        callback=lambda _context, _parameter, value: KIND_OF_WORD[value],
        help=meaning,
    )


number_kind_option = kind_option("Which kind of document the number is of.")

rpc_option = click.option(
    "--rpc",
    metavar="URL",
    envvar="MEDLEDGER_RPC",
    default=LOCAL_RPC,
    show_default=True,
    show_envvar=True,
    help="HTTP address of a node's JSON-RPC; of several, separated by commas, the next takes over "
    "where one fails.",
)

deployment_option = click.option(
    "--deployment",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    envvar="MEDLEDGER_DEPLOYMENT",
    show_envvar=True,
    help="Manifest of the contracts; without it deployments/<chain id>.json here.",
)

key_option = click.option(
    "--key",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    envvar="MEDLEDGER_KEY_FILE",
    show_envvar=True,
    help="File with the operator's key, or an encrypted keystore.",
)

store_option = click.option(
    "--store",
    metavar="URL",
    envvar="MEDLEDGER_STORE",
    default="sqlite:///hospital.db",
    show_default=True,
    show_envvar=True,
    help="SQLAlchemy address of the hospital's own database.",
)


index_option = click.option(
    "--index",
    metavar="URL",
    envvar="MEDLEDGER_INDEX",
    default="sqlite:///index.db",
    show_default=True,
    show_envvar=True,
    help="SQLAlchemy address of the auditor's index.",
)


since_option = click.option("--since", type=TIME, help="What happened at this time or later only.")


def reason_option(meaning: str, *, required: bool = False) -> Callable[[F], F]:
    """`--reason`: a code of the caller's own table."""
    return click.option(
        "--reason",
        type=REASON,
        required=required,
        default=None if required else 0,
        show_default=not required,
        help=f"{meaning}, a code from 0 to 65535.",
    )


def reading(command: Callable[..., Any]) -> Callable[..., Any]:
    """Options for reading a chain: `--rpc` and `--deployment`."""
    return rpc_option(deployment_option(_with_session(command, ("rpc", "deployment"))))


def acting(command: Callable[..., Any]) -> Callable[..., Any]:
    """Options for acting on a chain: `--rpc`, `--deployment` and `--key`."""
    inner = _with_session(command, ("rpc", "deployment", "key"))
    return key_option(rpc_option(deployment_option(inner)))


def storing(command: Callable[..., Any]) -> Callable[..., Any]:
    """Options for issuing: those for acting, and `--store`."""
    inner = _with_session(command, ("rpc", "deployment", "key", "store"))
    return key_option(store_option(rpc_option(deployment_option(inner))))


def reading_store(command: Callable[..., Any]) -> Callable[..., Any]:
    """Options for what was issued: those for reading, and `--store`."""
    inner = _with_session(command, ("rpc", "deployment", "store"))
    return store_option(rpc_option(deployment_option(inner)))


def _with_session(command: Callable[..., Any], names: tuple[str, ...]) -> Callable[..., Any]:
    @functools.wraps(command)
    def with_session(**values: Any) -> Any:
        session = Session(**{name: values.pop(name) for name in names})
        return command(session, **values)

    return with_session
