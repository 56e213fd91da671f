"""Every hash that a contract checks too: the Python mirror of `contracts/libraries/Hashing.sol`.

Both are held to `tests/vectors/hashing.json`. Prefix bytes keep the kinds of hash apart:
0x00 leaf, 0x01 node (as RFC 9162, section 2.1), 0x02 tree head, 0x03 field, 0x04 body. Only
the first three are known to contracts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, NamedTuple

from eth_typing import ChecksumAddress, HexAddress, HexStr
from sha3 import keccak_256

LEAF_PREFIX = b"\x00"
NODE_PREFIX = b"\x01"
HEAD_PREFIX = b"\x02"

DOMAIN_NAME = "medledger"
DOMAIN_VERSION = "1"

DOMAIN_TYPE = "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
INVOICE_HEADER_TYPE = (
    "InvoiceHeader(uint64 number,address patient,uint64 claimable,uint16 currency,"
    "bool onHold,uint64 prescription,uint64 prescribed,bytes32 body)"
)
PRESCRIPTION_HEADER_TYPE = (
    "PrescriptionHeader(uint64 number,address patient,uint40 authoredAt,uint40 validUntil,"
    "uint64 licence,uint16 drugClass,uint16[] quantities,uint8 substitutable,uint8 repeats,"
    "uint32 interval,bool onHold,bytes32 body)"
)
LICENCE_HEADER_TYPE = (
    "LicenceHeader(uint64 number,address holder,uint16 licenceType,uint40 validFrom,"
    "uint40 validUntil,bytes32 body)"
)
RECORD_HEADER_TYPE = (
    "RecordHeader(uint64 number,address patient,uint64 amends,uint8 recordType,bytes32 body)"
)
CLAIM_AUTHORISATION_TYPE = (
    "ClaimAuthorisation(uint64 number,uint32 payer,uint64 amount,uint32 sequence,uint64 deadline,"
    "uint32 afterPayer,bool fixedBenefit,address payee)"
)
CLAIM_WITHDRAWAL_TYPE = (
    "ClaimWithdrawal(uint64 number,uint32 payer,uint16 reason,uint32 sequence,uint64 deadline)"
)
PAYER_WAIVER_TYPE = "PayerWaiver(uint64 number,uint32 payer,uint32 sequence,uint64 deadline)"
PAYMENT_CONFIRMATION_TYPE = (
    "PaymentConfirmation(uint64 number,uint32 payer,bytes32 payment,uint64 deadline)"
)
BILL_PAYMENT_TYPE = "BillPayment(uint64 number,uint64 amount,bytes32 payment,uint64 deadline)"
ACCEPT_AUTHORISATION_TYPE = (
    "AcceptAuthorisation(uint64 number,uint32 pharmacy,uint16 sequence,uint64 deadline)"
)
DELIVERY_CONFIRMATION_TYPE = (
    "DeliveryConfirmation(uint64 number,uint16 sequence,uint16[5] quantities,uint64 deadline)"
)
BATCH_ENDORSEMENT_TYPE = (
    "BatchEndorsement(uint32 segment,uint64 first,uint32 count,bytes32 root,uint64 deadline)"
)
OPERATOR_CONSENT_TYPE = "OperatorConsent(uint32 institution,uint64 deadline)"
ACCESS_GRANT_TYPE = (
    "AccessGrant(uint64 number,uint32 institution,uint8 purpose,uint32 sequence,uint64 until)"
)
ACCESS_REVOCATION_TYPE = (
    "AccessRevocation(uint64 number,uint32 institution,uint8 purpose,uint32 sequence)"
)


def keccak256(data: bytes) -> bytes:
    """Keccak-256 as Ethereum uses it (not NIST SHA3-256): 32 bytes."""
    digest: bytes = keccak_256(data).digest()
    return digest


def word(value: int) -> bytes:
    """An unsigned integer as one 32-byte ABI word."""
    return value.to_bytes(32, "big")


def address_bytes(address: str) -> bytes:
    """The 20 bytes of a 0x address."""
    return bytes.fromhex(address[2:])


ZERO_ADDRESS = ChecksumAddress(HexAddress(HexStr("0x" + 40 * "0")))

_ADDRESS_PADDING = bytes(12)
_INVOICE_HEADER_TYPEHASH = keccak256(INVOICE_HEADER_TYPE.encode())
_PRESCRIPTION_HEADER_TYPEHASH = keccak256(PRESCRIPTION_HEADER_TYPE.encode())
_LICENCE_HEADER_TYPEHASH = keccak256(LICENCE_HEADER_TYPE.encode())
_RECORD_HEADER_TYPEHASH = keccak256(RECORD_HEADER_TYPE.encode())
_CLAIM_AUTHORISATION_TYPEHASH = keccak256(CLAIM_AUTHORISATION_TYPE.encode())
_CLAIM_WITHDRAWAL_TYPEHASH = keccak256(CLAIM_WITHDRAWAL_TYPE.encode())
_PAYER_WAIVER_TYPEHASH = keccak256(PAYER_WAIVER_TYPE.encode())
_PAYMENT_CONFIRMATION_TYPEHASH = keccak256(PAYMENT_CONFIRMATION_TYPE.encode())
_BILL_PAYMENT_TYPEHASH = keccak256(BILL_PAYMENT_TYPE.encode())
_ACCEPT_AUTHORISATION_TYPEHASH = keccak256(ACCEPT_AUTHORISATION_TYPE.encode())
_DELIVERY_CONFIRMATION_TYPEHASH = keccak256(DELIVERY_CONFIRMATION_TYPE.encode())
_BATCH_ENDORSEMENT_TYPEHASH = keccak256(BATCH_ENDORSEMENT_TYPE.encode())
_OPERATOR_CONSENT_TYPEHASH = keccak256(OPERATOR_CONSENT_TYPE.encode())
_ACCESS_GRANT_TYPEHASH = keccak256(ACCESS_GRANT_TYPE.encode())
_ACCESS_REVOCATION_TYPEHASH = keccak256(ACCESS_REVOCATION_TYPE.encode())
_DOMAIN_TYPEHASH = keccak256(DOMAIN_TYPE.encode())
_DOMAIN_NAME_HASH = keccak256(DOMAIN_NAME.encode())
_DOMAIN_VERSION_HASH = keccak256(DOMAIN_VERSION.encode())


class InvoiceTerms(NamedTuple):
    """What an invoice header says beside number, patient and body.

    `prescribed` is the claimable part that pays for the prescription of number `prescription`.
    """

    claimable: int
    currency: int
    on_hold: bool
    prescription: int = 0
    prescribed: int = 0

    @property
    def kind(self) -> Literal["Invoice"]:
        return "Invoice"

    def struct_hash(self, number: int, patient: bytes, body: bytes) -> bytes:
        """The EIP-712 hashStruct of the header: 32 bytes. `patient` is 20 bytes."""
        return keccak256(
            _INVOICE_HEADER_TYPEHASH
            + word(number)
            + _ADDRESS_PADDING
            + patient
            + word(self.claimable)
            + word(self.currency)
            + word(self.on_hold)
            + word(self.prescription)
            + word(self.prescribed)
            + body
        )

    def header(self, number: int, patient: ChecksumAddress, body: bytes) -> InvoiceHeader:
        return InvoiceHeader(number, patient, *self, body)


class PrescriptionTerms(NamedTuple):
    """What a prescription header says beside number, patient and body."""

    authored_at: int
    valid_until: int
    licence: int
    drug_class: int
    quantities: tuple[int, ...]
    substitutable: int
    repeats: int
    interval: int
    on_hold: bool

    @property
    def kind(self) -> Literal["Prescription"]:
        return "Prescription"

    def struct_hash(self, number: int, patient: bytes, body: bytes) -> bytes:
        """The EIP-712 hashStruct of the header: 32 bytes. `patient` is 20 bytes."""
        return keccak256(
            _PRESCRIPTION_HEADER_TYPEHASH
            + word(number)
            + _ADDRESS_PADDING
            + patient
            + word(self.authored_at)
            + word(self.valid_until)
            + word(self.licence)
            + word(self.drug_class)
            + keccak256(b"".join(map(word, self.quantities)))
            + word(self.substitutable)
            + word(self.repeats)
            + word(self.interval)
            + word(self.on_hold)
            + body
        )

    def header(self, number: int, patient: ChecksumAddress, body: bytes) -> PrescriptionHeader:
        return PrescriptionHeader(number, patient, *self, body)


class LicenceTerms(NamedTuple):
    """What a licence header says beside number, holder and body."""

    licence_type: int
    valid_from: int
    valid_until: int

    @property
    def kind(self) -> Literal["Licence"]:
        return "Licence"

    def struct_hash(self, number: int, holder: bytes, body: bytes) -> bytes:
        """The EIP-712 hashStruct of the header: 32 bytes. `holder` is 20 bytes."""
        return keccak256(
            _LICENCE_HEADER_TYPEHASH
            + word(number)
            + _ADDRESS_PADDING
            + holder
            + word(self.licence_type)
            + word(self.valid_from)
            + word(self.valid_until)
            + body
        )

    def header(self, number: int, holder: ChecksumAddress, body: bytes) -> LicenceHeader:
        return LicenceHeader(
            number, holder, self.licence_type, self.valid_from, self.valid_until, body
        )


class RecordTerms(NamedTuple):
    """What a record header says beside number, patient and body."""

    amends: int
    record_type: int

    @property
    def kind(self) -> Literal["Record"]:
        return "Record"

    def struct_hash(self, number: int, patient: bytes, body: bytes) -> bytes:
        """The EIP-712 hashStruct of the header: 32 bytes. `patient` is 20 bytes."""
        return keccak256(
            _RECORD_HEADER_TYPEHASH
            + word(number)
            + _ADDRESS_PADDING
            + patient
            + word(self.amends)
            + word(self.record_type)
            + body
        )

    def header(self, number: int, patient: ChecksumAddress, body: bytes) -> RecordHeader:
        return RecordHeader(number, patient, self.amends, self.record_type, body)


Terms = InvoiceTerms | PrescriptionTerms | LicenceTerms | RecordTerms


@dataclass(frozen=True, slots=True)
class InvoiceHeader:
    """What a contract may read of a bill: minor units, and the numeric ISO 4217 currency."""

    kind: ClassVar[Literal["Invoice"]] = "Invoice"

    number: int
    patient: ChecksumAddress
    claimable: int
    currency: int
    on_hold: bool
    prescription: int
    prescribed: int
    body: bytes

    @property
    def terms(self) -> InvoiceTerms:
        return InvoiceTerms(
            self.claimable, self.currency, self.on_hold, self.prescription, self.prescribed
        )

    def struct_hash(self) -> bytes:
        """The EIP-712 hashStruct: 32 bytes."""
        return self.terms.struct_hash(self.number, address_bytes(self.patient), self.body)

    def as_abi(self) -> tuple[int, str, int, int, bool, int, int, bytes]:
        """The tuple that the contract's ABI takes."""
        return (self.number, self.patient, *self.terms, self.body)


@dataclass(frozen=True, slots=True)
class PrescriptionHeader:
    """What a contract may read of a prescription. Times are Unix seconds, `interval` seconds.

    Bit i of `substitutable` is for line i, counted from 0.
    """

    kind: ClassVar[Literal["Prescription"]] = "Prescription"

    number: int
    patient: ChecksumAddress
    authored_at: int
    valid_until: int
    licence: int
    drug_class: int
    quantities: tuple[int, ...]
    substitutable: int
    repeats: int
    interval: int
    on_hold: bool
    body: bytes

    @property
    def terms(self) -> PrescriptionTerms:
        return PrescriptionTerms(
            self.authored_at,
            self.valid_until,
            self.licence,
            self.drug_class,
            self.quantities,
            self.substitutable,
            self.repeats,
            self.interval,
            self.on_hold,
        )

    def struct_hash(self) -> bytes:
        """The EIP-712 hashStruct: 32 bytes."""
        return self.terms.struct_hash(self.number, address_bytes(self.patient), self.body)

    def as_abi(self) -> tuple[int | str | tuple[int, ...] | bool | bytes, ...]:
        """The tuple that the contract's ABI takes."""
        return (self.number, self.patient, *self.terms, self.body)


@dataclass(frozen=True, slots=True)
class LicenceHeader:
    """What a contract may read of a licence. Times are Unix seconds, both ends included."""

    kind: ClassVar[Literal["Licence"]] = "Licence"
    on_hold: ClassVar[bool] = False

    number: int
    holder: ChecksumAddress
    licence_type: int
    valid_from: int
    valid_until: int
    body: bytes

    @property
    def terms(self) -> LicenceTerms:
        return LicenceTerms(self.licence_type, self.valid_from, self.valid_until)

    def struct_hash(self) -> bytes:
        """The EIP-712 hashStruct: 32 bytes."""
        return self.terms.struct_hash(self.number, address_bytes(self.holder), self.body)

    def as_abi(self) -> tuple[int, str, int, int, int, bytes]:
        """The tuple that the contract's ABI takes."""
        return (
            self.number,
            self.holder,
            self.licence_type,
            self.valid_from,
            self.valid_until,
            self.body,
        )


@dataclass(frozen=True, slots=True)
class RecordHeader:
    """What a contract may read of a record. `amends` is the number it takes the place of, or 0."""

    kind: ClassVar[Literal["Record"]] = "Record"
    on_hold: ClassVar[bool] = False

    number: int
    patient: ChecksumAddress
    amends: int
    record_type: int
    body: bytes

    @property
    def terms(self) -> RecordTerms:
        return RecordTerms(self.amends, self.record_type)

    def struct_hash(self) -> bytes:
        """The EIP-712 hashStruct: 32 bytes."""
        return self.terms.struct_hash(self.number, address_bytes(self.patient), self.body)

    def as_abi(self) -> tuple[int, str, int, int, bytes]:
        """The tuple that the contract's ABI takes."""
        return (self.number, self.patient, self.amends, self.record_type, self.body)


Header = InvoiceHeader | PrescriptionHeader | LicenceHeader | RecordHeader


@dataclass(frozen=True, slots=True)
class TreeHead:
    """What the ledger binds to the first number of a batch, beside the root (RFC 9162's tree head).

    `first` is the number at index 0, `issued_at` the block's time in Unix seconds.
    """

    first: int
    count: int
    segment: int
    issued_at: int

    def hash(self, root: bytes) -> bytes:
        """The 32 bytes that the ledger stores for this batch."""
        return keccak256(
            HEAD_PREFIX
            + root
            + self.first.to_bytes(8, "big")
            + self.count.to_bytes(4, "big")
            + self.segment.to_bytes(4, "big")
            + self.issued_at.to_bytes(8, "big")
        )

    def as_abi(self) -> tuple[int, int, int, int]:
        """The tuple that the contract's ABI takes."""
        return (self.first, self.count, self.segment, self.issued_at)


@dataclass(frozen=True, slots=True)
class ClaimAuthorisation:
    """The patient allows one payer to lock one amount (minor units) of one bill.

    `sequence` counts the patient's acts on this payer's claim, so that none is replayed.
    `after_payer` must have decided before this one settles (0: nobody). A `fixed_benefit` takes
    nothing of the bill's remainder. `payee` is paid in the settlement token (zero: off chain).
    """

    number: int
    payer: int
    amount: int
    sequence: int
    deadline: int
    after_payer: int = 0
    fixed_benefit: bool = False
    payee: ChecksumAddress = ZERO_ADDRESS

    def struct_hash(self) -> bytes:
        return keccak256(
            _CLAIM_AUTHORISATION_TYPEHASH
            + word(self.number)
            + word(self.payer)
            + word(self.amount)
            + word(self.sequence)
            + word(self.deadline)
            + word(self.after_payer)
            + word(self.fixed_benefit)
            + _ADDRESS_PADDING
            + address_bytes(self.payee)
        )


@dataclass(frozen=True, slots=True)
class ClaimWithdrawal:
    """The patient takes a claim back before it is decided."""

    number: int
    payer: int
    reason: int
    sequence: int
    deadline: int

    def struct_hash(self) -> bytes:
        return keccak256(
            _CLAIM_WITHDRAWAL_TYPEHASH
            + word(self.number)
            + word(self.payer)
            + word(self.reason)
            + word(self.sequence)
            + word(self.deadline)
        )


@dataclass(frozen=True, slots=True)
class PayerWaiver:
    """Payers that come after this one need not wait for its decision."""

    number: int
    payer: int
    sequence: int
    deadline: int

    def struct_hash(self) -> bytes:
        return keccak256(
            _PAYER_WAIVER_TYPEHASH
            + word(self.number)
            + word(self.payer)
            + word(self.sequence)
            + word(self.deadline)
        )


@dataclass(frozen=True, slots=True)
class PaymentConfirmation:
    """The patient has received a payer's payment; `payment` is the hash of its reference."""

    number: int
    payer: int
    payment: bytes
    deadline: int

    def struct_hash(self) -> bytes:
        return keccak256(
            _PAYMENT_CONFIRMATION_TYPEHASH
            + word(self.number)
            + word(self.payer)
            + self.payment
            + word(self.deadline)
        )


@dataclass(frozen=True, slots=True)
class BillPayment:
    """The patient has paid a bill off chain; `payment` is the hash of the payment's reference."""

    number: int
    amount: int
    payment: bytes
    deadline: int

    def struct_hash(self) -> bytes:
        return keccak256(
            _BILL_PAYMENT_TYPEHASH
            + word(self.number)
            + word(self.amount)
            + self.payment
            + word(self.deadline)
        )


@dataclass(frozen=True, slots=True)
class AcceptAuthorisation:
    """The patient's code: one pharmacy may accept one prescription."""

    number: int
    pharmacy: int
    sequence: int
    deadline: int

    def struct_hash(self) -> bytes:
        return keccak256(
            _ACCEPT_AUTHORISATION_TYPEHASH
            + word(self.number)
            + word(self.pharmacy)
            + word(self.sequence)
            + word(self.deadline)
        )


@dataclass(frozen=True, slots=True)
class DeliveryConfirmation:
    """The patient has received these quantities, of lines 1 to 5."""

    number: int
    sequence: int
    quantities: tuple[int, ...]
    deadline: int

    def struct_hash(self) -> bytes:
        return keccak256(
            _DELIVERY_CONFIRMATION_TYPEHASH
            + word(self.number)
            + word(self.sequence)
            + keccak256(b"".join(map(word, self.quantities)))
            + word(self.deadline)
        )


@dataclass(frozen=True, slots=True)
class AccessGrant:
    """The patient lets one institution read one record for one purpose until `until`.

    `sequence` counts their acts on this record, institution and purpose, so that none is replayed.
    """

    number: int
    institution: int
    purpose: int
    sequence: int
    until: int

    def struct_hash(self) -> bytes:
        return keccak256(
            _ACCESS_GRANT_TYPEHASH
            + word(self.number)
            + word(self.institution)
            + word(self.purpose)
            + word(self.sequence)
            + word(self.until)
        )


@dataclass(frozen=True, slots=True)
class AccessRevocation:
    """The patient takes a grant back, or one of this sequence that nobody has relayed."""

    number: int
    institution: int
    purpose: int
    sequence: int

    def struct_hash(self) -> bytes:
        return keccak256(
            _ACCESS_REVOCATION_TYPEHASH
            + word(self.number)
            + word(self.institution)
            + word(self.purpose)
            + word(self.sequence)
        )


PatientMessage = (
    ClaimAuthorisation
    | ClaimWithdrawal
    | PayerWaiver
    | PaymentConfirmation
    | BillPayment
    | AcceptAuthorisation
    | DeliveryConfirmation
    | AccessGrant
    | AccessRevocation
)


@dataclass(frozen=True, slots=True)
class BatchEndorsement:
    """A supervisor lets one batch be issued, to its root. Its first number makes it count once."""

    segment: int
    first: int
    count: int
    root: bytes
    deadline: int

    def struct_hash(self) -> bytes:
        return keccak256(
            _BATCH_ENDORSEMENT_TYPEHASH
            + word(self.segment)
            + word(self.first)
            + word(self.count)
            + self.root
            + word(self.deadline)
        )


@dataclass(frozen=True, slots=True)
class OperatorConsent:
    """A new key agrees to act for one institution. It counts once: a key is added once, ever."""

    institution: int
    deadline: int

    def struct_hash(self) -> bytes:
        return keccak256(_OPERATOR_CONSENT_TYPEHASH + word(self.institution) + word(self.deadline))


InstitutionMessage = BatchEndorsement | OperatorConsent


def domain_separator(chain_id: int, contract: str) -> bytes:
    """The EIP-712 domain separator of one medledger contract on one chain: 32 bytes."""
    return keccak256(
        _DOMAIN_TYPEHASH
        + _DOMAIN_NAME_HASH
        + _DOMAIN_VERSION_HASH
        + word(chain_id)
        + bytes(12)
        + address_bytes(contract)
    )


def signing_digest(
    message: PatientMessage | InstitutionMessage, chain_id: int, contract: str
) -> bytes:
    """The 32 bytes that a key signs (EIP-712)."""
    return keccak256(b"\x19\x01" + domain_separator(chain_id, contract) + message.struct_hash())


def leaf_hash(struct_hash: bytes) -> bytes:
    """The tree leaf of a header."""
    return keccak256(LEAF_PREFIX + struct_hash)


def node_hash(left: bytes, right: bytes) -> bytes:
    """The parent of two tree nodes."""
    return keccak256(NODE_PREFIX + left + right)


def name_hash(name: str) -> bytes:
    """What `Institutions` holds of an institution's name."""
    return keccak256(name.encode())


def checksum_address(raw: bytes) -> ChecksumAddress:
    """The EIP-55 text of 20 bytes."""
    digits = raw.hex()
    nibbles = keccak256(digits.encode()).hex()
    # A digit of the hash of 8 or more makes the letter in its place a capital.
    spelt = [
        digit.upper() if nibble > "7" else digit
        for digit, nibble in zip(digits, nibbles, strict=False)
    ]
    return ChecksumAddress(HexAddress(HexStr("0x" + "".join(spelt))))
