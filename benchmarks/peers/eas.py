"""The Ethereum Attestation Service on a chain, from the bytecode that its npm package ships.

    with LocalChain() as chain:
        figures = Eas(Rpc(chain.url)).attest(bills)

An attestation holds the 32-byte hash of one bill, under the schema `bytes32 bill`. A timestamp is
the time of a hash and says nothing else, neither whose it is nor whether it was revoked.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from eth_abi.abi import decode, encode
from eth_account import Account

from benchmarks.peers.packages import FOLDER
from medledger.chain.rpc import Rpc, chunked
from medledger.core.hashing import keccak256
from medledger.errors import AuditMismatch, TransactionFailed

ARTIFACTS = (
    FOLDER / "node_modules/@ethereum-attestation-service/eas-contracts" / "artifacts/contracts"
)
SCHEMA = "bytes32 bill"
GAS_LIMIT = 29_900_000
"""Of each transaction: one fills a block of 30,000,000, Anvil's default and long Ethereum's."""
ATTESTATIONS, TIMESTAMPS = 200, 1_200
"""In one transaction, as many as that gas is enough for."""
RECEIPT_SECONDS = 60.0
SAMPLES = 10
"""Bills that are read back before the clock stops, as many as `medledger bench issue` does."""

_NOBODY, _NOTHING = "0x" + 40 * "0", bytes(32)
_REQUESTS = "(bytes32,(address,uint64,bool,bytes32,bytes,uint256)[])[]"
_ATTESTATION = "(bytes32,bytes32,uint64,uint64,uint64,bytes32,address,address,bool,bytes)"


@dataclass(frozen=True, slots=True)
class EasFigures:
    """From the bills' JSON in memory until the last block is there and some are read back."""

    bills_per_second: float
    gas_per_bill: float


class Eas:
    """A new deployment with one schema, and an account of its own that attests.

    The chain must be without fees. Encoding and signing a batch take place while the one before
    is mined; nothing is stored outside the chain.
    """

    def __init__(self, rpc: Rpc) -> None:
        self._rpc = rpc
        self._account = Account.from_key(secrets.token_bytes(32))
        self._chain_id = rpc.chain_id()
        self._nonce = 0
        registry = self._deploy("SchemaRegistry", b"")
        self._address = self._deploy("EAS", encode(["address"], [registry]))
        kinds = ["string", "address", "bool"]
        register = _call("register", kinds, [SCHEMA, _NOBODY, True])
        receipt = self._receipt(self._send(self._sign(registry, register)))
        self._schema = bytes.fromhex(receipt["logs"][0]["topics"][1][2:])

    def attest(self, bills: Sequence[bytes]) -> EasFigures:
        """One attestation for each bill."""
        return self._measure(bills, ATTESTATIONS, self._attestations, self._require_attested)

    def timestamp(self, bills: Sequence[bytes]) -> EasFigures:
        """One timestamp for each bill."""
        return self._measure(bills, TIMESTAMPS, _timestamps, self._require_timestamped)

    def _measure(
        self,
        bills: Sequence[bytes],
        batch: int,
        encoded: Callable[[Sequence[bytes]], bytes],
        require_there: Callable[[bytes, dict[str, Any]], None],
    ) -> EasFigures:
        started = time.perf_counter()
        hashes: list[bytes] = []
        receipts: list[dict[str, Any]] = []
        sent = ""
        for group in chunked(bills, batch):
            hashed = [keccak256(bill) for bill in group]
            signed = self._sign(self._address, encoded(hashed))
            hashes += hashed
            if sent:
                receipts.append(self._receipt(sent))
            sent = self._send(signed)
        receipts.append(self._receipt(sent))
        logs = [log for receipt in receipts for log in receipt["logs"]]
        for index in {len(bills) * step // SAMPLES for step in range(SAMPLES)}:
            require_there(hashes[index], logs[index])
        seconds = time.perf_counter() - started
        gas = sum(int(receipt["gasUsed"], 16) for receipt in receipts)
        return EasFigures(len(bills) / seconds, gas / len(bills))

    def _attestations(self, hashes: Sequence[bytes]) -> bytes:
        requests = [(_NOBODY, 0, True, _NOTHING, hash_, 0) for hash_ in hashes]
        return _call("multiAttest", [_REQUESTS], [[(self._schema, requests)]])

    def _require_attested(self, hash_: bytes, log: dict[str, Any]) -> None:
        uid = bytes.fromhex(log["data"][2:])
        answer = self._read(_call("getAttestation", ["bytes32"], [uid]))
        (attestation,) = decode([_ATTESTATION], answer)
        _require(attestation[-1] == hash_, "attestation")

    def _require_timestamped(self, hash_: bytes, _: dict[str, Any]) -> None:
        answer = self._read(_call("getTimestamp", ["bytes32"], [hash_]))
        _require(int.from_bytes(answer, "big") > 0, "timestamp")

    def _deploy(self, contract: str, arguments: bytes) -> str:
        artifact = json.loads((ARTIFACTS / f"{contract}.sol" / f"{contract}.json").read_text())
        code = bytes.fromhex(artifact["bytecode"][2:])
        receipt = self._receipt(self._send(self._sign("0x", code + arguments)))
        return str(receipt["contractAddress"])

    def _sign(self, to: str, data: bytes) -> str:
        signed = self._account.sign_transaction(
            {
                "type": 2,
                "chainId": self._chain_id,
                "nonce": self._nonce,
                "to": bytes.fromhex(to[2:]),
                "value": 0,
                "data": data,
                "gas": GAS_LIMIT,
                "maxFeePerGas": 0,
                "maxPriorityFeePerGas": 0,
            }
        )
        self._nonce += 1
        return "0x" + bytes(signed.raw_transaction).hex()

    def _send(self, raw: str) -> str:
        return str(self._rpc.request("eth_sendRawTransaction", raw))

    def _receipt(self, transaction: str) -> dict[str, Any]:
        """The receipt, once mined; raises `TransactionFailed` where EAS refused."""
        deadline = time.monotonic() + RECEIPT_SECONDS
        while (found := self._rpc.request("eth_getTransactionReceipt", transaction)) is None:
            if time.monotonic() > deadline:
                raise TransactionFailed(transaction=transaction, problem="is not mined in time")
            time.sleep(0.001)
        if int(found["status"], 16) != 1:
            raise TransactionFailed(transaction=transaction, problem="EAS refused it")
        return dict(found)

    def _read(self, data: bytes) -> bytes:
        request = {"to": self._address, "data": "0x" + data.hex()}
        return bytes.fromhex(self._rpc.request("eth_call", request, "latest")[2:])


def _timestamps(hashes: Sequence[bytes]) -> bytes:
    return _call("multiTimestamp", ["bytes32[]"], [hashes])


def _call(function: str, kinds: Sequence[str], arguments: Sequence[Any]) -> bytes:
    """The calldata."""
    selector = keccak256(f"{function}({','.join(kinds)})".encode())[:4]
    return selector + encode(kinds, arguments)


def _require(holds: bool, what: str) -> None:
    if not holds:
        raise AuditMismatch(count=1, first=f"a bill's {what} in EAS")
