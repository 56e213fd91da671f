"""Deploy the contracts to the chain that ape is connected to.

    ape run deploy                                  # a local Anvil, a test account as supervisor
    ape run deploy --network URL --key FILE         # any chain

The bytecode is the one that the package ships, so that an auditor compares with the same. The
manifest goes to `deployments/<chain id>.json`.
"""

from __future__ import annotations

from pathlib import Path

import click
from ape import accounts, networks
from ape.cli import ConnectedProviderCommand

from medledger.chain.deployment import deploy
from medledger.chain.keys import load_key
from medledger.chain.rpc import Rpc


@click.command(cls=ConnectedProviderCommand)
@click.option("--name", default="Supervisor", show_default=True, help="Name of the supervisor.")
@click.option(
    "--key",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The supervisor's key file; on a local network a test account without it.",
)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("deployments"),
    show_default=True,
    help="Folder of the manifest.",
)
def cli(name: str, key: Path | None, out: Path) -> None:
    """Deploy the contracts and write their manifest."""
    provider = networks.active_provider
    if key is not None:
        secret = load_key(key, lambda: str(click.prompt("Password", hide_input=True)))
    elif provider.network.is_local:
        secret = bytes.fromhex(accounts.test_accounts[0].private_key.removeprefix("0x"))
    else:
        raise click.UsageError("name the supervisor's key file with --key")
    manifest, receipts = deploy(Rpc(provider.uri), secret, supervisor_name=name)
    path = manifest.save(out)
    for contract, receipt in zip(manifest.contracts.items(), receipts, strict=True):
        click.echo(f"{contract[0]:14} {contract[1].address}  {receipt.gas_used:>9,} gas")
    click.echo(f"manifest {path}")
