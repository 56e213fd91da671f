"""`chain` and `deploy`: something to talk to, and the contracts on it."""

from __future__ import annotations

import signal
import threading
from pathlib import Path

import click

from medledger.cli.command import Command, wants_json
from medledger.cli.failures import tell_people
from medledger.cli.options import ADDRESS, LOCAL_RPC, REGION, key_option, rpc_option
from medledger.cli.output import Output, json_line, pairs
from medledger.cli.session import Session
from medledger.errors import ContractMissing, RpcUnavailable, SetupError, WrongChain

DEFAULT_PORT = int(LOCAL_RPC.rpartition(":")[2])


@click.command(
    "chain",
    cls=Command,
    examples=["medledger chain", "medledger chain --port 9545 --state chain.json"],
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=DEFAULT_PORT,
    show_default=True,
    help="Loopback port to serve on; 0 takes a free one.",
)
@click.option(
    "--state",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Keep the chain in this file between runs.",
)
@click.pass_context
def chain(context: click.Context, port: int, state: Path | None) -> None:
    """Start a local chain and run it until Ctrl-C.

    It is Anvil, without gas fees, for trying things out: any key can act on it, and without --state
    it is gone when it ends.
    """
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: ended.set())
    from medledger.chain.local import LocalChain
    from medledger.chain.rpc import Rpc

    if state is not None:
        state.parent.mkdir(parents=True, exist_ok=True)
    with LocalChain(port=port, state_file=state) as local:
        chain_id = Rpc(local.url).chain_id()
        if wants_json(context):
            click.echo(json_line({"rpc": local.url, "chain_id": chain_id, "state": state}))
        else:
            click.echo(f"Chain {chain_id} runs at {local.url} (end it with Ctrl-C)")
            if port != DEFAULT_PORT:
                click.echo(f"Others need: export MEDLEDGER_RPC={local.url}")
        while not ended.wait(0.2):
            if local.process.poll() is not None and not ended.wait(1):
                code = local.process.returncode
                error = RpcUnavailable(url=local.url, problem=f"Anvil ended by itself with {code}")
                # Not raised: standard output has had its one object.
                tell_people(error)
                context.exit(error.exit_code)


@click.command(
    "deploy",
    cls=Command,
    examples=[
        'medledger deploy --key supervisor.key --name "Finance bureau" --region 460000',
    ],
)
@click.option(
    "--name",
    default="Supervisor",
    show_default=True,
    help="Name of the supervisor, which is institution 1; its hash goes on chain.",
)
@click.option(
    "--region",
    type=REGION,
    default=0,
    show_default=True,
    help="The supervisor's area code of six digits; 0 is nationwide.",
)
@click.option(
    "--lock-period",
    type=click.IntRange(min=1),
    metavar="SECONDS",
    help="How long a payer may lock a bill without deciding; by default 30 days.",
)
@click.option(
    "--lease-period",
    type=click.IntRange(min=1),
    metavar="SECONDS",
    help="How long a pharmacy may hold a prescription without dispensing it; by default one day.",
)
@click.option(
    "--confirmations",
    type=click.IntRange(1, 10_000),
    default=1,
    show_default=True,
    help="Blocks, its own counted, that make a transaction final on this network; 1 on QBFT.",
)
@click.option(
    "--token",
    type=ADDRESS,
    help="Settlement token (ERC-20) of the yuan's minor unit; without one, payment is off chain.",
)
@click.option(
    "--new-token", is_flag=True, help="Deploy a settlement token to try with; this key mints it."
)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="FOLDER",
    default=Path("deployments"),
    show_default=True,
    help="Folder for the manifest, <chain id>.json.",
)
@click.option(
    "--again",
    is_flag=True,
    help="Deploy a second set of contracts where the manifest's are alive; they share nothing.",
)
@key_option
@rpc_option
def deploy(
    rpc: str,
    key: Path | None,
    name: str,
    region: int,
    lock_period: int | None,
    lease_period: int | None,
    confirmations: int,
    token: str | None,
    new_token: bool,
    out: Path,
    again: bool,
) -> Output:
    """Deploy the contracts and write their manifest.

    The key becomes the first operator of institution 1, the supervisor. An older manifest in the
    folder is kept beside the new one.
    """
    operator = Session(rpc, key=key).operator()
    from medledger.chain import deployment
    from medledger.chain.keys import address_of
    from medledger.chain.rpc import Rpc

    node = Rpc(rpc)
    if not again:
        _require_undeployed(node.chain_id(), rpc, out)
    if new_token:
        token = deployment.deploy_token(node, operator)
    manifest, receipts = deployment.deploy(
        node,
        operator,
        supervisor_name=name,
        region=region,
        lock_period=lock_period or deployment.LOCK_PERIOD_SECONDS,
        lease_period=lease_period or deployment.LEASE_PERIOD_SECONDS,
        confirmations=confirmations,
        token=token,
    )
    path = manifest.save(out)
    contracts = {name: contract.address for name, contract in manifest.contracts.items()}
    return Output(
        {
            "manifest": path,
            "chain_id": manifest.chain_id,
            "genesis_hash": manifest.genesis_hash,
            "block": manifest.block,
            "contracts": contracts,
            "token": token,
            "supervisor": 1,
            "operator": address_of(operator),
            "gas": sum(receipt.gas_used for receipt in receipts),
        },
        [
            f"Deployed on chain {manifest.chain_id}",
            f"institution 1, the supervisor, acts with this key: {address_of(operator)}",
            *pairs(contracts),
            f"Manifest: {path}",
        ],
    )


def _require_undeployed(chain_id: int, rpc: str, out: Path) -> None:
    """Raises `SetupError` where the manifest's contracts are alive on this very chain."""
    path = out / f"{chain_id}.json"
    if not path.exists():
        return
    from medledger.roles import open_ledgers

    try:
        open_ledgers(rpc, path)
    except (WrongChain, ContractMissing):
        return
    raise SetupError(
        problem=f"{path} names contracts that are alive on this chain; "
        "use them, or deploy others with --again"
    )
