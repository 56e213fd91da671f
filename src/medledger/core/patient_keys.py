"""One-time patient addresses (BIP-32).

A hospital derives the address of each document from the patient's extended *public* key; the
patient's phone derives the matching private key. Who lacks that extended key cannot tell that
two addresses belong to one person. Derivation is m / kind / number div 2**31 / number mod 2**31,
none of it hardened, so that the public key suffices.

>>> wallet = PatientKey.from_seed(bytes(32))
>>> one_time_address(wallet.public, "Invoice", 7) == wallet.address("Invoice", 7)
True
"""

from __future__ import annotations

import re
from functools import lru_cache

from bip32 import BIP32
from coincurve import PrivateKey, PublicKey
from eth_typing import ChecksumAddress

from medledger.core.hashing import PatientMessage, checksum_address, keccak256, signing_digest
from medledger.errors import BadPatientKey

_BRANCHES = {"Invoice": 0, "Prescription": 1}


class PatientKey:
    """A patient's extended private key, as their phone holds it. It is never printed."""

    __slots__ = ("_node", "public")

    def __init__(self, node: BIP32) -> None:
        self._node = node
        self.public: str = node.get_xpub()
        """The extended public key (`xpub...`), which the patient gives to a hospital."""

    @classmethod
    def from_seed(cls, seed: bytes) -> PatientKey:
        """The key of a BIP-32 seed (16 to 64 secret bytes); raises `BadPatientKey`."""
        if not 16 <= len(seed) <= 64:
            raise BadPatientKey(problem=f"seed has {len(seed)} bytes, not 16 to 64")
        return cls(BIP32.from_seed(seed))

    @classmethod
    def from_extended_key(cls, text: str) -> PatientKey:
        """The key of an `xprv...` text; raises `BadPatientKey`."""
        try:
            return cls(BIP32.from_xpriv(text))
        except Exception as error:
            raise BadPatientKey(problem="is not an extended private key (xprv...)") from error

    def extended_key(self) -> str:
        """The `xprv...` text. It is a secret: write it to a private file only."""
        return str(self._node.get_xpriv())

    def address(self, kind: str, number: int) -> ChecksumAddress:
        """The one-time address of a document."""
        return _address(PrivateKey(self._secret(kind, number)).public_key)

    def sign(self, message: PatientMessage, kind: str, chain_id: int, contract: str) -> bytes:
        """The 65-byte EIP-712 signature (r, s, v) by the one-time key of the message's document.

        s is in the lower half of the order, as contracts demand (EIP-2).
        """
        digest = signing_digest(message, chain_id, contract)
        key = PrivateKey(self._secret(kind, message.number))
        signature = key.sign_recoverable(digest, hasher=None)
        return signature[:64] + bytes([signature[64] + 27])

    def _secret(self, kind: str, number: int) -> bytes:
        return bytes(self._node.get_privkey_from_path(_path(kind, number)))


def one_time_address(patient_key: str, kind: str, number: int) -> ChecksumAddress:
    """The address that stands for the patient in the header of one document.

    `patient_key` is an extended public key, or the address itself (0x and 40 hex digits), which
    is returned in EIP-55 form. Raises `BadPatientKey`.
    """
    if re.fullmatch("0x[0-9a-fA-F]{40}", patient_key):
        address = checksum_address(bytes.fromhex(patient_key[2:]))
        digits = patient_key[2:]
        if digits not in (address[2:], digits.lower(), digits.upper()):
            raise BadPatientKey(problem="is an address with a wrong EIP-55 checksum")
        if not int(patient_key, 16):
            raise BadPatientKey(problem="is the zero address")
        return address
    path = _path(kind, number)
    chaincode, point = _branch(patient_key, *path[:-1])
    leaf = BIP32(chaincode, pubkey=point, depth=2, index=path[-2], fingerprint=bytes(4))
    return _address(PublicKey(leaf.get_pubkey_from_path([path[-1]])))


@lru_cache(maxsize=65536)
def _branch(patient_key: str, kind: int, high: int) -> tuple[bytes, bytes]:
    """(chain code, public key): shared by all documents of one patient, kind and number range."""
    try:
        node = BIP32.from_xpub(patient_key)
    except Exception as error:
        raise BadPatientKey(
            problem="is neither an extended public key (xpub...) nor an address"
        ) from error
    chaincode, point = node.get_extended_pubkey_from_path([kind, high])
    return bytes(chaincode), bytes(point)


def _path(kind: str, number: int) -> list[int]:
    return [_BRANCHES[kind], number >> 31, number & 0x7FFFFFFF]


def _address(point: PublicKey) -> ChecksumAddress:
    return checksum_address(keccak256(point.format(compressed=False)[1:])[12:])
