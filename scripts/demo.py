"""Run the whole story on the chain that ape is connected to.

    ape run demo                                    # on ape's own Anvil, with the sample
    ape run demo --data DIR                         # with another folder of bulk FHIR

It is `medledger demo --rpc` with the address that ape has.
"""

from __future__ import annotations

from pathlib import Path

import click
from ape import networks
from ape.cli import ConnectedProviderCommand

from medledger.cli import main

SAMPLE = Path(__file__).parent.parent / "examples" / "synthea"


@click.command(cls=ConnectedProviderCommand)
@click.option(
    "--data",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=SAMPLE,
    show_default="the sample",
    help="Folder of bulk FHIR.",
)
@click.option("--out", default="demo-output", show_default=True, help="Where the results go.")
def cli(data: Path, out: str) -> None:
    """Issue, dispense, claim, audit: the whole story."""
    main(["demo", "--data", str(data), "--out", out, "--rpc", networks.active_provider.uri])
