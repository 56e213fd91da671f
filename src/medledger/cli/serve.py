"""`serve`: the gateway over HTTP."""

from __future__ import annotations

import errno
import ipaddress
import logging
import signal
import socket
from pathlib import Path

import click

from medledger.cli.command import Command, wants_json
from medledger.cli.options import storing
from medledger.cli.output import json_line
from medledger.cli.session import Session
from medledger.errors import PortUnusable, SetupError

TOKEN_CHARACTERS = 16
"""A token has at least so many: it is all that guards the hospital's documents."""

STOP_SECONDS = 30
"""How long a stop waits for requests. What a batch lacks then is finished at the next start."""


@click.command(
    "serve",
    cls=Command,
    examples=[
        "medledger serve --key hospital.key --store sqlite:///hospital.db",
        "medledger serve --key hospital.key --host 0.0.0.0 --token-file gateway.token",
        "medledger serve --port 8081    # verifies only: no key, no documents",
    ],
)
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="Address to listen on; other than loopback only with --token-file.",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8080,
    show_default=True,
    help="Port to listen on; 0 takes a free one.",
)
@click.option(
    "--token-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="File with the bearer token that writing, and reading documents, then needs.",
)
@storing
@click.pass_context
def serve(
    context: click.Context, session: Session, host: str, port: int, token_file: Path | None
) -> None:
    """Serve the gateway for hospital systems, patients and verifiers.

    Hospital systems issue bills and prescriptions and fetch evidence; anybody may ask for a state,
    or verify evidence at the address itself. Without --key it only reads and verifies. Stops on
    Ctrl-C or SIGTERM, after the requests under way.
    """
    token = None if token_file is None else _token(token_file)
    try:
        import uvicorn

        from medledger.gateway import Settings, create_app
    except ModuleNotFoundError as error:
        problem = f"serving needs {error.name}; install it: pip install 'medledger[gateway]'"
        raise SetupError(problem=problem) from error
    with _listen(host, port) as listener:
        if token is None and not _is_loopback(listener):
            raise click.UsageError("--host other than loopback needs --token-file", context)
        operator = None if session.key is None else session.operator()
        app = create_app(Settings(session.ledgers(), operator, session.store, token))
        logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
        config = uvicorn.Config(
            app,
            log_config=None,
            server_header=False,
            timeout_graceful_shutdown=STOP_SECONDS,
        )
        url = _url(listener)
        if wants_json(context):
            click.echo(json_line({"url": url, "issues": operator is not None}))
        else:
            click.echo(f"Serving at {url} (end it with Ctrl-C)")
        for number in (signal.SIGINT, signal.SIGTERM):
            # uvicorn stops on these, then raises them again: a stop that was asked for is no error.
            signal.signal(number, lambda *_: None)
        uvicorn.Server(config).run(sockets=[listener])


def _token(path: Path) -> str:
    try:
        token = path.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SetupError(problem=f"the token file {path} is not readable ASCII text") from error
    if len(token) < TOKEN_CHARACTERS:
        raise SetupError(
            problem=f"the token in {path} has fewer than {TOKEN_CHARACTERS} characters; "
            "make one: openssl rand -hex 32"
        )
    return token


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(address[:2], family=family)
    except PermissionError as error:
        raise PortUnusable(port=port, problem="is not allowed to you") from error
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise PortUnusable(port=port, problem="is in use") from error
        raise SetupError(problem=f"cannot listen on {host}; it is no address of here") from error


def _is_loopback(listener: socket.socket) -> bool:
    return ipaddress.ip_address(listener.getsockname()[0]).is_loopback


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
