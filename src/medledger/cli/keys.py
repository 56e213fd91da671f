"""`key`: operator keys in private files."""

from __future__ import annotations

import secrets
from pathlib import Path

import click

from medledger.cli.command import Command, Family
from medledger.cli.options import OUT_FILE
from medledger.cli.output import Output
from medledger.cli.session import password_of


@click.group("key", cls=Family)
def key() -> None:
    """Make and read operator keys."""


@key.command("new", cls=Command, examples=["medledger key new hospital.key"])
@click.argument("file", type=OUT_FILE)
def new(file: Path) -> Output:
    """Write a new key to FILE and print its address.

    FILE is readable by you only. One that exists is never overwritten: who loses a key needs
    another operator.
    """
    from medledger.chain.keys import new_key

    address = new_key(file, secrets.token_bytes(32))
    return Output({"file": file, "address": address}, [address])


@key.command("address", cls=Command, examples=["medledger key address hospital.key"])
@click.argument("file", type=OUT_FILE)
def address(file: Path) -> Output:
    """Print the address of the key in FILE."""
    from medledger.chain.keys import address_of, load_key

    found = address_of(load_key(file, password_of(file)))
    return Output({"file": file, "address": found}, [found])
