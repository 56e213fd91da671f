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

import hmac
import re
from dataclasses import dataclass
from functools import lru_cache

from bip32 import BIP32
from coincurve import PrivateKey, PublicKey
from eth_typing import ChecksumAddress

from medledger.core.hashing import PatientMessage, checksum_address, keccak256, signing_digest
from medledger.core.kinds import KINDS
from medledger.core.numbers import DocumentKind
from medledger.errors import BadPatientKey

HALF_ORDER = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0
"""Half of the order of secp256k1: the highest s of a signature that contracts take."""


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

    def address(self, kind: DocumentKind, number: int) -> ChecksumAddress:
        """The one-time address of a document."""
        return _address(PrivateKey(self._secret(kind, number)).public_key)

    def sign(
        self, message: PatientMessage, kind: DocumentKind, chain_id: int, contract: str
    ) -> bytes:
        """The 65-byte EIP-712 signature (r, s, v) by the one-time key of the message's document.

        s is in the lower half of the order, as contracts demand (EIP-2).
        """
        return signature_of(
            self._secret(kind, message.number), signing_digest(message, chain_id, contract)
        )

    def _secret(self, kind: DocumentKind, number: int) -> bytes:
        return bytes(self._node.get_privkey_from_path(_path(kind, number)))


def signature_of(key: bytes, digest: bytes) -> bytes:
    """The 65-byte signature (r, s, v) of a private key over 32 bytes, s in the lower half."""
    signature = PrivateKey(key).sign_recoverable(digest, hasher=None)
    return signature[:64] + bytes([signature[64] + 27])


def is_by_key(address: str, digest: bytes, signature: bytes) -> bool:
    """Whether the key of an address made a 65-byte signature over 32 bytes, as contracts judge it:
    with s in the lower half (EIP-2), and v as 27 or 28."""
    if len(signature) != 65 or signature[64] not in (27, 28):
        return False
    if int.from_bytes(signature[32:64]) > HALF_ORDER:
        return False
    recoverable = signature[:64] + bytes([signature[64] - 27])
    try:
        found = PublicKey.from_signature_and_message(recoverable, digest, hasher=None)
    except Exception:  # noqa: BLE001 (coincurve raises a bare one where no key made it)
        return False
    return _address(found) == address


def address_of_key(key: bytes) -> ChecksumAddress:
    """The address of a private key, in EIP-55 form."""
    return _address(PrivateKey(key).public_key)


def one_time_address(patient_key: str, kind: DocumentKind, number: int) -> ChecksumAddress:
    """The address that stands for the patient in the header of one document, in EIP-55 form.

    `patient_key` is an extended public key, or the address itself (0x and 40 hex digits). Raises
    `BadPatientKey`.
    """
    return checksum_address(one_time_address_bytes(patient_key, kind, number))


def one_time_address_bytes(patient_key: str, kind: DocumentKind, number: int) -> bytes:
    """The 20 bytes of `one_time_address`."""
    high, low = divmod(number, 2**31)
    branch = _branch(patient_key, kind, high)
    if isinstance(branch, bytes):
        return branch
    # BIP-32's CKDpub, on one point that is kept parsed.
    tweak = hmac.digest(branch.chain_code, branch.compressed + low.to_bytes(4, "big"), "sha512")
    try:
        point = branch.point.add(tweak[:32])
    except ValueError as error:
        # Of 2**127 tweaks, one is none: BIP-32 leaves that number out.
        raise BadPatientKey(problem="has no child for this number") from error
    return keccak256(point.format(compressed=False)[1:])[12:]


@lru_cache(maxsize=65536)
def require_patient_key(patient_key: str) -> None:
    """Raises `BadPatientKey` unless documents can be issued to this key."""
    _key(patient_key)


@dataclass(frozen=True, slots=True)
class _Branch:
    """All documents of one patient and kind whose numbers share their upper bits."""

    chain_code: bytes
    compressed: bytes
    point: PublicKey


@lru_cache(maxsize=65536)
def _branch(patient_key: str, kind: DocumentKind, high: int) -> _Branch | bytes:
    """The branch of an extended public key, or the 20 bytes of an address."""
    node = _key(patient_key)
    if isinstance(node, bytes):
        return node
    chain_code, point = node.get_extended_pubkey_from_path([KINDS[kind].branch, high])
    return _Branch(bytes(chain_code), bytes(point), PublicKey(bytes(point)))


def _key(patient_key: str) -> BIP32 | bytes:
    if re.fullmatch("0x[0-9a-fA-F]{40}", patient_key):
        return _address_given(patient_key)
    try:
        return BIP32.from_xpub(patient_key)
    except Exception as error:
        raise BadPatientKey(
            problem="is neither an extended public key (xpub...) nor an address"
        ) from error


def _address_given(text: str) -> bytes:
    raw, digits = bytes.fromhex(text[2:]), text[2:]
    if digits not in (checksum_address(raw)[2:], digits.lower(), digits.upper()):
        raise BadPatientKey(problem="is an address with a wrong EIP-55 checksum")
    if not any(raw):
        raise BadPatientKey(problem="is the zero address")
    return raw


def _path(kind: DocumentKind, number: int) -> list[int]:
    return [KINDS[kind].branch, number >> 31, number & 0x7FFFFFFF]


def _address(point: PublicKey) -> ChecksumAddress:
    return checksum_address(keccak256(point.format(compressed=False)[1:])[12:])
