"""Deployment: the contracts of one chain, and the manifest that names them.

The manifest `deployments/<chain id>.json` is what an auditor pins: chain id, genesis hash, and each
contract's address and code hash. `connect` compares all of it with the node before anything else,
and again after each failure of a node, so a reset chain with the same id, or a node of another
chain, is refused.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import rlp  # type: ignore[import-untyped]
from eth_utils.address import to_canonical_address

from medledger.chain import abi
from medledger.chain.bindings import (
    CLASSES,
    Claims,
    DocumentLedger,
    Escrow,
    Institutions,
    Invoices,
    Licences,
    Payments,
    PrescriptionPolicies,
    Prescriptions,
    Records,
)
from medledger.chain.contract import Call, Contract
from medledger.chain.rpc import Block, Rpc
from medledger.chain.sender import Policy, Receipt, Sender
from medledger.core.hashing import checksum_address, keccak256, name_hash
from medledger.core.kinds import KINDS
from medledger.core.numbers import DocumentKind
from medledger.errors import (
    AnchorMismatch,
    ContractMissing,
    ManifestInvalid,
    ManifestMissing,
    NoSettlementToken,
    NotDeployed,
    WrongChain,
)

C = TypeVar("C", bound=Contract)

FORMAT = "medledger-deployment-1"
ZERO_ADDRESS = "0x" + 40 * "0"
DAY = 24 * 3600
LOCK_PERIOD_SECONDS = 30 * DAY
"""How long a payer may hold part of a bill without deciding."""
LEASE_PERIOD_SECONDS = 1 * DAY
"""How long a pharmacy may hold a prescription without dispensing it."""
CURRENCY = 156
"""Of a settlement token, unless said otherwise: the yuan."""


@dataclass(frozen=True, slots=True)
class Deployed:
    """One contract: address, creating transaction, and keccak-256 of its runtime code."""

    address: str
    transaction: str
    code_hash: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What one deployment is. `block` is the first block that can hold its events.

    `confirmations` is the network's: how many blocks, its own counted, make a transaction final.
    """

    chain_id: int
    genesis_hash: str
    block: int
    lock_period: int
    lease_period: int
    contracts: Mapping[str, Deployed]
    confirmations: int = 1

    def save(self, folder: Path) -> Path:
        """Writes `<folder>/<chain id>.json`; an older manifest there stays readable beside it."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{self.chain_id}.json"
        if path.exists():
            previous = path.read_text("utf-8")
            kept = folder / f"{self.chain_id}-{keccak256(previous.encode()).hex()[:8]}.json"
            if previous != self.text():
                kept.write_text(previous, "utf-8")
        path.write_text(self.text(), "utf-8")
        return path

    def text(self) -> str:
        return (
            json.dumps(
                {
                    "format": FORMAT,
                    "chainId": self.chain_id,
                    "genesisHash": self.genesis_hash,
                    "block": self.block,
                    "lockPeriod": self.lock_period,
                    "leasePeriod": self.lease_period,
                    "confirmations": self.confirmations,
                    "contracts": {
                        name: {
                            "address": contract.address,
                            "transaction": contract.transaction,
                            "codeHash": contract.code_hash,
                        }
                        for name, contract in self.contracts.items()
                    },
                },
                indent=2,
            )
            + "\n"
        )

    @classmethod
    def load(cls, path: Path) -> Manifest:
        """The manifest of a file; raises `ManifestMissing` or `ManifestInvalid`."""
        try:
            found = json.loads(path.read_text("utf-8"))
        except FileNotFoundError as error:
            raise ManifestMissing(path=path) from error
        except (OSError, ValueError, RecursionError) as error:
            raise ManifestInvalid(path=path, problem="is not readable JSON") from error
        return cls._parse(found, path)

    @classmethod
    def _parse(cls, found: Any, path: Path) -> Manifest:
        try:
            if found["format"] != FORMAT:
                raise ManifestInvalid(path=path, problem=f"is not of format {FORMAT}")
            return cls(
                chain_id=_whole(found["chainId"]),
                genesis_hash=_hexadecimal(found["genesisHash"], 32),
                block=_whole(found["block"]),
                lock_period=_whole(found["lockPeriod"]),
                lease_period=_whole(found["leasePeriod"]),
                contracts={
                    name: Deployed(
                        _address(found["contracts"][name]["address"]),
                        _hexadecimal(found["contracts"][name]["transaction"], 32),
                        _hexadecimal(found["contracts"][name]["codeHash"], 32),
                    )
                    for name in abi.CONTRACTS
                    if name not in abi.OPTIONAL or name in found["contracts"]
                },
                confirmations=_depth(found.get("confirmations", 1)),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ManifestInvalid(path=path, problem=f"lacks or garbles {error}") from error


def _whole(value: object) -> int:
    if type(value) is not int or value < 0:
        raise ValueError("a whole number")
    return value


def _depth(value: object) -> int:
    found = _whole(value)
    if found == 0:
        raise ValueError("at least one confirmation")
    return found


def _hexadecimal(value: object, length: int) -> str:
    if not isinstance(value, str) or not re.fullmatch(f"0x[0-9a-fA-F]{{{2 * length}}}", value):
        raise ValueError(f"{length} bytes in hexadecimal")
    return value.lower()


def _address(value: object) -> str:
    # Roles compare addresses as text: one spelling.
    return checksum_address(bytes.fromhex(_hexadecimal(value, 20)[2:]))


@dataclass(frozen=True, slots=True)
class Ledgers:
    """The contracts of one deployment on one node, by name; those that it has."""

    rpc: Rpc
    manifest: Manifest
    contracts: Mapping[str, Contract]

    @property
    def institutions(self) -> Institutions:
        return self._contract(Institutions)

    @property
    def invoices(self) -> Invoices:
        return self._contract(Invoices)

    @property
    def claims(self) -> Claims:
        return self._contract(Claims)

    @property
    def escrow(self) -> Escrow:
        """Raises `NoSettlementToken` where the deployment has none."""
        if Escrow.NAME not in self.contracts:
            raise NoSettlementToken()
        return self._contract(Escrow)

    @property
    def policies(self) -> PrescriptionPolicies:
        return self._contract(PrescriptionPolicies)

    @property
    def prescriptions(self) -> Prescriptions:
        return self._contract(Prescriptions)

    @property
    def licences(self) -> Licences:
        """Raises `NotDeployed` on a deployment of before there were licences."""
        return self._contract(Licences)

    @property
    def records(self) -> Records:
        """Raises `NotDeployed` on a deployment of before there were records."""
        return self._contract(Records)

    @property
    def payments(self) -> Payments:
        """Raises `NotDeployed` on a deployment of before patients' payments were recorded."""
        return self._contract(Payments)

    @property
    def chain_id(self) -> int:
        return self.manifest.chain_id

    @property
    def documents(self) -> Mapping[DocumentKind, DocumentLedger]:
        """The document ledgers that there are, by kind."""
        return {
            kind: self.document_ledger(entry.ledger)
            for kind, entry in KINDS.items()
            if entry.ledger in self.contracts
        }

    def document_ledger(self, name: str) -> DocumentLedger:
        """The document ledger of a contract's name; raises `NotDeployed`."""
        found = self._contract(CLASSES[name])
        assert isinstance(found, DocumentLedger)
        return found

    def at(self, block: Block) -> Ledgers:
        """The same contracts as of a block."""
        contracts = {name: contract.at(block) for name, contract in self.contracts.items()}
        return Ledgers(self.rpc, self.manifest, contracts)

    def _contract(self, kind: type[C]) -> C:
        found = self.contracts.get(kind.NAME)
        if found is None:
            raise NotDeployed(contract=kind.NAME)
        assert isinstance(found, kind)
        return found


def connect(rpc: Rpc, manifest: Manifest) -> Ledgers:
    """The contracts, after comparing chain id, genesis hash and every code hash.

    From then on every node of `rpc` is compared before its first use and after each failure; the
    first that answers, where none does now. Raises `WrongChain` or `ContractMissing`.
    """
    rpc.require_identity(lambda node: _require_deployed(node, manifest))
    return _ledgers(rpc, manifest)


def _require_deployed(rpc: Rpc, manifest: Manifest) -> None:
    """Raises `WrongChain` or `ContractMissing` where a node does not have this deployment."""
    chain_id = rpc.chain_id()
    if chain_id != manifest.chain_id:
        raise WrongChain(
            expected=f"chain {manifest.chain_id}", url=rpc.url, found=f"chain {chain_id}"
        )
    genesis = rpc.genesis_hash()
    if genesis != manifest.genesis_hash:
        raise WrongChain(
            expected=f"chain {chain_id} with genesis {manifest.genesis_hash}",
            url=rpc.url,
            found=f"one with genesis {genesis}: it was reset, or is another",
        )
    for name, contract in manifest.contracts.items():
        if "0x" + keccak256(rpc.code(contract.address)).hex() != contract.code_hash:
            raise ContractMissing(contract=name, address=contract.address, url=rpc.url)


def _ledgers(rpc: Rpc, manifest: Manifest) -> Ledgers:
    contracts = {
        name: CLASSES[name](rpc, contract.address) for name, contract in manifest.contracts.items()
    }
    return Ledgers(rpc, manifest, contracts)


def deploy(
    rpc: Rpc,
    key: bytes,
    *,
    supervisor_name: str,
    region: int = 0,
    lock_period: int = LOCK_PERIOD_SECONDS,
    lease_period: int = LEASE_PERIOD_SECONDS,
    confirmations: int = 1,
    token: str | None = None,
    currency: int = CURRENCY,
) -> tuple[Manifest, list[Receipt]]:
    """Deploys the contracts; the key becomes the first operator of institution 1, the supervisor.

    Invoices, Escrow and Claims name one another and have no setter: the others are given the
    address that Claims will have, and Claims refuses one that names another. `confirmations` is
    the depth at which a block of this network is final: 1 where blocks are never taken back (QBFT).
    `token` is the address of the settlement token, one base unit of which stands for one minor
    unit of `currency` (numeric ISO 4217); without one there is no Escrow, and all payment is off
    chain.
    """
    sender = Sender(rpc, key, policy=Policy(confirmations=confirmations))
    receipts: list[Receipt] = []
    contracts: dict[str, Deployed] = {}

    def create(name: str, *arguments: Any) -> str:
        call = Call("", abi.constructor_data(name, arguments), f"{name}.constructor")
        receipt = sender.send(call)
        address = created_address(sender.address, nonce + len(receipts))
        code = rpc.code(address)
        if not code:
            raise ContractMissing(contract=name, address=address, url=rpc.url)
        receipts.append(receipt)
        contracts[name] = Deployed(address, "0x" + receipt.hash.hex(), "0x" + keccak256(code).hex())
        return address

    nonce = int(rpc.request("eth_getTransactionCount", sender.address, "pending"), 16)
    institutions = create("Institutions", name_hash(supervisor_name), region, sender.address)
    claims = created_address(sender.address, nonce + (5 if token is None else 6))
    licences = create("Licences", institutions)
    policies = create("PrescriptionPolicies", institutions, licences)
    prescriptions = create("Prescriptions", institutions, policies, lease_period)
    invoices = create("Invoices", institutions, claims)
    escrow = ZERO_ADDRESS
    if token is not None:
        escrow = create("Escrow", institutions, token, currency, claims)
    create("Claims", institutions, invoices, prescriptions, escrow, lock_period)
    create("Records", institutions)
    create("Payments", invoices, ZERO_ADDRESS if token is None else token, currency)
    manifest = Manifest(
        chain_id=rpc.chain_id(),
        genesis_hash=rpc.genesis_hash(),
        block=receipts[0].block,
        lock_period=lock_period,
        lease_period=lease_period,
        contracts=contracts,
        confirmations=confirmations,
    )
    return manifest, receipts


def deploy_token(rpc: Rpc, key: bytes) -> str:
    """Deploys a SettlementToken, for a local chain, and returns its address; the key may mint."""
    sender = Sender(rpc, key)
    nonce = int(rpc.request("eth_getTransactionCount", sender.address, "pending"), 16)
    data = abi.constructor_data(abi.TOKEN, [])
    sender.send(Call("", data, f"{abi.TOKEN}.constructor"))
    return created_address(sender.address, nonce)


def unpinned(rpc: Rpc, name: str, ledger: str, transaction: bytes, first: int) -> Ledgers:
    """The contracts around a document ledger that nobody has vouched for.

    Its code must be medledger's own, immutables aside; whose institutions it knows, the caller must
    judge. `transaction` must have issued the batch that begins with `first`: events are looked for
    from its block on, and a later one would hide what happened in between. The contracts that the
    ledger does not name have the zero address. Raises `AnchorMismatch`.
    """
    receipt = rpc.request("eth_getTransactionReceipt", "0x" + transaction.hex())
    if not isinstance(receipt, dict):
        raise AnchorMismatch(problem=f"the chain has no transaction 0x{transaction.hex()}")
    if not is_same_code(name, rpc.code(ledger)):
        raise AnchorMismatch(problem=f"{ledger}, which it names, is not our {name} contract")
    if not any(
        log["address"].lower() == ledger.lower()
        and log["topics"][:2] == [abi.event_topic("BatchIssued"), f"0x{first:064x}"]
        for log in receipt["logs"]
    ):
        raise AnchorMismatch(problem="the transaction that it names did not issue its batch")
    found = {name: ZERO_ADDRESS for name in abi.CONTRACTS if name not in abi.OPTIONAL}
    found[name] = ledger
    if name == "Invoices":
        found["Claims"] = Invoices(rpc, ledger).claims()
    own = CLASSES[name](rpc, ledger)
    assert isinstance(own, DocumentLedger)
    found["Institutions"] = own.institutions()
    manifest = Manifest(
        chain_id=rpc.chain_id(),
        genesis_hash=rpc.genesis_hash(),
        block=int(receipt["blockNumber"], 16),
        lock_period=0,
        lease_period=0,
        contracts={key: Deployed(address, "", "") for key, address in found.items()},
    )
    return _ledgers(rpc, manifest)


def is_same_code(name: str, code: bytes) -> bool:
    """Whether runtime code is what this package would deploy, whatever its immutables are."""
    loaded = abi.artifact(name)
    ours = bytes.fromhex(loaded["deployedBytecode"][2:])
    return is_same_runtime(ours, loaded["immutableReferences"], code)


def is_same_runtime(ours: bytes, immutables: Mapping[str, Any], code: bytes) -> bool:
    """Whether runtime code equals a compiler's, whatever stands in the places of its immutables."""
    if len(ours) != len(code):
        return False
    blank_ours, blank_theirs = bytearray(ours), bytearray(code)
    for places in immutables.values():
        for place in places:
            blank = slice(place["start"], place["start"] + place["length"])
            blank_ours[blank] = blank_theirs[blank] = bytes(place["length"])
    return blank_ours == blank_theirs


def created_address(sender: str, nonce: int) -> str:
    """The address that a sender's transaction with this nonce creates."""
    encoded: bytes = rlp.encode([to_canonical_address(sender), nonce])
    return checksum_address(keccak256(encoded)[12:])
