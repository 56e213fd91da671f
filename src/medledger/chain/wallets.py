"""Whether an account signed, a key or a contract wallet (ERC-1271): `SignedActs` off chain."""

from __future__ import annotations

from medledger.chain import abi
from medledger.chain.rpc import Rpc
from medledger.core.patient_keys import is_by_key
from medledger.errors import RpcError

MAGIC = bytes.fromhex("1626ba7e")
"""What a wallet answers for yes; also the selector of the question."""
IS_VALID_SIGNATURE = abi.Function("isValidSignature", MAGIC, ("bytes32", "bytes"), ("bytes4",))


def is_signed_by(rpc: Rpc, signer: str, digest: bytes, signature: bytes) -> bool:
    """Whether an address, in EIP-55 form, signed 32 bytes; a wallet is asked at the latest block.

    Raises `RpcUnavailable`.
    """
    if is_by_key(signer, digest, signature):
        return True
    question = IS_VALID_SIGNATURE.encode((digest, signature))
    try:
        answer = rpc.request("eth_call", {"to": signer, "data": "0x" + question.hex()}, "latest")
    except RpcError:
        # Whatever it is that a wallet does instead, it is no yes.
        return False
    return rpc.octets(answer)[: abi.WORD] == MAGIC.ljust(abi.WORD, b"\0")
