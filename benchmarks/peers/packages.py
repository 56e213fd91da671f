"""The peers' npm packages, installed in this folder only, at the versions of its lock file."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from pathlib import Path

import click

from medledger.errors import ToolMissing

FOLDER = Path(__file__).parent
_MODULES = FOLDER / "node_modules"
_STAMP = _MODULES / ".installed"


def install() -> None:
    """Installs the packages unless those of this lock file are there. No script of theirs runs."""
    wanted = hashlib.sha256((FOLDER / "package-lock.json").read_bytes()).hexdigest()
    if _STAMP.exists() and _STAMP.read_text() == wanted:
        return
    click.echo("peers: installing their npm packages", err=True)
    command = [tool("npm"), "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    if subprocess.run(command, cwd=FOLDER, stdout=subprocess.DEVNULL).returncode != 0:
        raise click.ClickException(
            "npm could not install benchmarks/peers/package-lock.json; check that this machine "
            "reaches an npm registry (npm config get registry)"
        )
    _STAMP.write_text(wanted)


def tool(name: str) -> str:
    """Where `make setup` put a tool, or the machine's own. Raises `ToolMissing`."""
    found = shutil.which(name)
    if found is None:
        raise ToolMissing(tool=name)
    return found
