"""`audit proof` and `audit verify-proof`: what storage holds, shown by a block's hash alone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from medledger.cli.audit_state import plain, shown_value
from medledger.cli.command import Command
from medledger.cli.options import (
    HASH,
    IN_FILE,
    OUT_FILE,
    number_argument,
    number_kind_option,
    reading,
)
from medledger.cli.output import Output, Table, file_output, time_text
from medledger.cli.session import Session, read_file
from medledger.core.numbers import DocumentNumber, format_number

if TYPE_CHECKING:
    from medledger.chain.proof import Proof
    from medledger.core.numbers import DocumentKind


@click.command(
    "proof",
    cls=Command,
    examples=[
        "medledger audit proof 46060126-0000000017 --out proof.json",
        "medledger audit proof 46080126-0000000003 --kind prescription --block 1200",
    ],
)
@number_argument
@number_kind_option
@click.option(
    "--block",
    type=click.IntRange(min=0),
    metavar="BLOCK",
    help="As of this block; by default of the latest.",
)
@click.option("--out", type=OUT_FILE, help="File to write; by default standard output.")
@reading
def proof(
    session: Session,
    number: DocumentNumber,
    kind: DocumentKind,
    block: int | None,
    out: Path | None,
) -> Output:
    """Prove what the contracts hold of a document.

    The file has the slots of storage with their proofs (eth_getProof) up to the header of a block,
    and is verified before it is written. Whoever knows the block's hash needs nobody to verify it:
    medledger audit verify-proof.
    """
    found = session.auditor().prove(number, kind, block=block)
    hash_ = f"0x{found.block_hash.hex()}"
    sentence = f"{format_number(number)}: proven by block {found.block}, {hash_}"
    return file_output(
        found.to_json(), out, sentence, block=found.block, block_hash=found.block_hash
    )


@click.command(
    "verify-proof",
    cls=Command,
    examples=["medledger audit verify-proof proof.json --block-hash 0x... --deployment chain.json"],
)
@click.argument("file", type=IN_FILE)
@click.option(
    "--block-hash",
    type=HASH,
    required=True,
    help="Hash of the block, from somebody whom you trust.",
)
@click.option(
    "--deployment",
    type=IN_FILE,
    required=True,
    envvar="MEDLEDGER_DEPLOYMENT",
    show_envvar=True,
    help="Manifest of the contracts.",
)
def verify_proof(file: Path, block_hash: bytes, deployment: Path) -> Output:
    """Verify a proof of what the contracts hold, and show it.

    No node is asked. The header must hash to the block's hash, and lead to each contract's code and
    storage.
    """
    from medledger.chain.deployment import Manifest
    from medledger.chain.proof import Proof

    found = Proof.from_json(read_file(file))
    found.verify(block_hash, Manifest.load(deployment))
    return Output(_data(found), _lines(found))


def _data(found: Proof) -> dict[str, Any]:
    return {
        "number": format_number(found.number),
        "kind": found.kind,
        "block": found.block,
        "block_hash": found.block_hash,
        "time": found.time,
        "values": [
            {
                "contract": one.contract,
                "variable": one.path,
                "value": plain(one.value, _name(one.path)),
            }
            for one in found.values()
        ],
    }


def _lines(found: Proof) -> list[str | Table]:
    title = f"{format_number(found.number)} ({found.kind.lower()})"
    rows = [
        (one.contract, one.path, shown_value(_name(one.path), one.value))
        for one in found.values()
        if one.value
    ]
    return [
        f"{title}: holds in block {found.block} at {time_text(found.time)}",
        Table(("contract", "variable", "value"), rows),
    ]


def _name(path: str) -> str:
    """The last name in a variable's path."""
    return path.rpartition(".")[2]
