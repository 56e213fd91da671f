"""Measure medledger and its peers on the same bills, in turns, and print the ratios.

    .venv/bin/python -m benchmarks.peers.run --count 2000 --runs 3

Run it from the root of the repository, after `make setup`. See README.md beside this file for what
is compared and what is not.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from benchmarks.peers.bills import bill_lines
from benchmarks.peers.eas import Eas, EasFigures
from benchmarks.peers.openattestation import measure_openattestation
from benchmarks.peers.packages import install
from benchmarks.peers.report import rows, table
from medledger.chain.local import LocalChain
from medledger.chain.rpc import Rpc
from medledger.errors import MedledgerError

MEDLEDGER = Path(sys.prefix) / "bin" / "medledger"
COUNT = click.IntRange(min=1)


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured. `bills` is a file with one bill a line; ours issues `issued` of them,
    over and over, since it starts processes of its own while the clock runs."""

    bills: Path
    count: int
    issued: int
    batch: int
    cores: int


@click.command()
@click.option("--count", type=COUNT, default=2_000, show_default=True, help="Bills in each run.")
@click.option("--issued", type=COUNT, default=100_000, show_default=True, help="Bills we issue.")
@click.option("--runs", type=COUNT, default=3, show_default=True, help="Of each; medians count.")
@click.option("--batch", type=COUNT, default=1_000, show_default=True, help="Bills in one tree.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, every run in it.")
def main(count: int, issued: int, runs: int, batch: int, as_json: bool) -> None:
    """Print bills a second and gas of medledger and its peers, and the ratios."""
    load = round(os.getloadavg()[0], 2)
    try:
        install()
        samples = measure(count, issued, runs, batch)
    except MedledgerError as error:
        raise click.ClickException(str(error)) from error
    found = rows(samples)
    about = {
        "count": count,
        "issued": issued,
        "runs": runs,
        "batch": batch,
        "cores": os.cpu_count(),
        "load": load,
    }
    if as_json:
        compared = {"rows": [asdict(row) for row in found], "samples": samples}
        click.echo(json.dumps(about | compared))
    else:
        click.echo(", ".join(f"{name} {value}" for name, value in about.items()))
        click.echo(table(found))


def measure(count: int, issued: int, runs: int, batch: int) -> dict[str, list[float]]:
    """Every run's figures by name, ours and theirs in turns, so that noise meets both."""
    samples: dict[str, list[float]] = defaultdict(list)
    with TemporaryDirectory(prefix="medledger-peers-") as folder:
        file = Path(folder) / "bills.ndjson"
        file.write_bytes(b"".join(line + b"\n" for line in bill_lines(count)))
        plan = Plan(file, count, issued, batch, os.cpu_count() or 1)
        for turn in range(1, runs + 1):
            click.echo(f"peers: run {turn} of {runs}", err=True)
            for name, figure in one_turn(plan):
                samples[name].append(figure)
    return samples


def one_turn(plan: Plan) -> Iterator[tuple[str, float]]:
    """Each figure of each party once."""
    issued = ours("issue", "--count", str(plan.issued), "--batch-size", str(plan.batch))
    yield "ours_issue", issued["bills_per_second"]
    yield "ours_seal", issued["seal_per_second"]
    yield "ours_gas", issued["gas_per_bill"]

    alone = measure_openattestation(plan.bills, batch=plan.batch, processes=1)
    yield "oa_wrap", alone.wrap
    yield "oa_verify", alone.verify
    yield "oa_verify_json", alone.verify_json

    verified = ours("verify", "--count", str(plan.count))
    yield "ours_verify", verified["verify_per_second"]
    yield "ours_verify_json", verified["verify_json_per_second"]

    together = measure_openattestation(plan.bills, batch=plan.batch, processes=plan.cores)
    yield "oa_wrap_all", together.wrap

    for name, figures in eas_figures(plan):
        yield f"eas_{name}", figures.bills_per_second
        yield f"eas_{name}_gas", figures.gas_per_bill


def ours(*arguments: str) -> dict[str, float]:
    """What `medledger bench` prints, in a process of its own."""
    command = [str(MEDLEDGER), "bench", *arguments, "--json"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        raise click.ClickException(f"{' '.join(command)} ended with {done.returncode}")
    figures: dict[str, float] = json.loads(done.stdout)
    return figures


def eas_figures(plan: Plan) -> Iterator[tuple[str, EasFigures]]:
    """Attestations and timestamps, each on a new chain."""
    bills = plan.bills.read_bytes().splitlines()
    with LocalChain() as chain:
        yield "attest", Eas(Rpc(chain.url)).attest(bills)
    with LocalChain() as chain:
        yield "timestamp", Eas(Rpc(chain.url)).timestamp(bills)


if __name__ == "__main__":
    main()
