"""Every error that medledger raises on purpose.

    MedledgerError
    ├── InputError               what was given cannot be taken            exit 3
    │   ├── MalformedJson, DuplicateKey, NotNormalForm, UnsealableValue
    │   ├── UnknownCurrency, NegativeAmount, NotDecimal
    │   ├── BadNumber, BadPatientKey, BadKey, InvalidDocument, UnknownField
    │   ├── MalformedAuthorisation, AuthorisationMismatch, InvalidArgument
    │   ├── MalformedAct, ActMismatch, MalformedProof
    │   ├── BadResource          a FHIR resource, with file, line and field
    │   ├── FolderIncomplete, NotEnoughData, OutputInUse
    │   ├── AccessNotGranted     what the patient keeps from this reader
    │   └── DuplicateBusinessKey another document has this business key
    ├── Refusal                  a contract refused; one class an ABI error   exit 4
    │   └── NumberAlreadyIssued, OverRemainder, StateForbids, ... (`REFUSALS`)
    ├── EvidenceError            evidence does not hold                    exit 5
    │   └── MalformedEvidence, BodyMismatch, HeaderMismatch, PathMismatch,
    │       AnchorMismatch, IssuerMismatch, StatusMismatch
    ├── ChainError               the chain cannot be used                  exit 6
    │   ├── RpcUnavailable       the only family worth retrying
    │   ├── RpcError             the node refused a request
    │   ├── NodesDisagree, LogsOmitted   a node does not tell the truth
    │   ├── ProofUnavailable     a node tells storage without its proof
    │   └── WrongChain, ContractMissing, TransactionFailed (TransactionReverted,
    │       OutOfGas), ToolMissing, PortUnusable
    ├── SetupError               keys, manifest or store are missing or wrong  exit 7
    │   └── ManifestMissing, ManifestInvalid, NotDeployed, KeyMissing, StoreError, EndorserFailed,
    │       NoSettlementToken, NoSegment, NotIssued, NotFound, IndexBehind,
    │       IndexEmpty, CompilerUnusable
    └── AuditError               chain and records disagree                exit 8
        └── AuditMismatch, FraudWentThrough, IrregularityFound, ProofMismatch,
            StatementMismatch

A message says what was expected, what was found and what to do. It never prints a document,
a salt or a key.
"""

from __future__ import annotations

from typing import ClassVar


class MedledgerError(Exception):
    """The root. Keyword arguments become attributes and fill the class's message."""

    exit_code: ClassVar[int] = 1
    message: ClassVar[str] = "{problem}"
    hint: ClassVar[str] = ""

    def __init__(self, **values: object) -> None:
        self.values = values
        shown = {key: _shown(key, value) for key, value in values.items()}
        super().__init__(self.message.format_map(_Values(shown)))

    def __getattr__(self, name: str) -> object:
        # Reached only for names that are no ordinary attribute.
        values = self.__dict__.get("values", {})
        if name in values:
            return values[name]
        raise AttributeError(name)

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (type(self), self.values))

    @property
    def name(self) -> str:
        """The class name: the same word as the Solidity error and the HTTP problem type."""
        return type(self).__name__


def _shown(key: str, value: object) -> object:
    """Document numbers as printed on a bill; everything else as it is."""
    if key in _NUMBERS and isinstance(value, int) and value >= 10**10:
        return f"{value // 10**10:08d}-{value % 10**10:010d}"
    return value


_NUMBERS = {"number", "redLetter", "next", "first", "latest"}


class _Values(dict[str, object]):
    def __missing__(self, key: str) -> str:
        return "?"


def _rebuild(kind: type[MedledgerError], values: dict[str, object]) -> MedledgerError:
    return kind(**values)


# Input


class InputError(MedledgerError):
    exit_code = 3


class MalformedJson(InputError):
    message = "not strict JSON: {reason}"


class DuplicateKey(InputError):
    message = "the JSON object has the key {key!r} twice"


class NotNormalForm(InputError):
    message = "text is not in Unicode normal form C; normalise it at its source"


class UnsealableValue(InputError):
    message = "the value cannot be sealed: {reason}"


class UnknownCurrency(InputError):
    message = "{currency!r} is not an ISO 4217 currency"


class NegativeAmount(InputError):
    message = "the amount {value} is negative"


class NotDecimal(InputError):
    message = "{value!r} is not a decimal amount in the currency's minor unit"


class BadNumber(InputError):
    message = "{text!r} is not a document number; expected 8 digits, a dash, 10 digits"


class BadPatientKey(InputError):
    message = "the patient key {problem}"


class BadKey(InputError):
    message = "the key file {path} {problem}"


class InvalidDocument(InputError):
    message = "the document's {field} {problem}"


class MalformedAuthorisation(InputError):
    message = "the authorisation {problem}"


class AuthorisationMismatch(InputError):
    message = "the authorisation {problem}"


class MalformedAct(InputError):
    message = "the signed act {problem}"


class ActMismatch(InputError):
    """An endorsement or a consent that is for something else than what is at hand."""

    message = "the signed act {problem}"
    hint = "have exactly this one signed, by the deployment's own contract and chain"


class MalformedProof(InputError):
    message = "the proof file is malformed: {problem}"


class InvalidArgument(InputError):
    message = "a value for {function} does not fit its type; the types are {types}"


class UnknownField(InputError):
    message = "the document has no field {field!r}; it has: {known}"


class BadResource(InputError):
    """A resource or a line of a stream that is refused. `line` counts from 1; `field` is a FHIRPath
    or the path in the line's JSON."""

    message = "{file}:{line}: {field}: {problem}"


class FolderIncomplete(InputError):
    """A folder of bulk FHIR that lacks what its resources refer to."""


class NotEnoughData(InputError):
    message = "the story needs 3 bills and 2 prescriptions, there are {bills} and {prescriptions}"
    hint = "name a folder of bulk FHIR with Claim and MedicationRequest"


class OutputInUse(InputError):
    message = "the folder {path} is not empty, and not one that may be written over"
    hint = "name another one"


class AccessNotGranted(InputError):
    message = "institution {institution} has no leave to read {document} {number} for {purpose}"
    hint = (
        "the patient gives it: a record is granted, a prescription goes to the pharmacy that may "
        "accept it, for TREAT; in an emergency, purpose ETREAT reads without, and is marked"
    )


class DuplicateBusinessKey(InputError):
    message = "business key {key!r} has been used for another document, {number}"


# Refusals by a contract. Names, attributes and order are the ABI's; a test compares them.


class Refusal(MedledgerError):
    """A contract refused. Attributes are the Solidity error's arguments."""

    exit_code = 4


class UnknownRefusal(Refusal):
    message = "the contract refused with data that no known error has: {data}"
    hint = "the deployment may be of another version; compare its manifest"


class NotAnOperator(Refusal):
    message = "{account} acts for no institution"
    hint = "a supervisor or the institution adds it: medledger operator add"


class KindMissing(Refusal):
    message = "institution {institution} is not accredited for this kind of act (bit {kind})"


class InstitutionIsSuspended(Refusal):
    message = "institution {institution} is suspended"
    hint = "a supervisor may reinstate it"


class InstitutionNotSuspended(Refusal):
    message = "institution {institution} is not suspended"


class OutsideAccreditation(Refusal):
    message = "institution {institution} is accredited from {validFrom} to {validUntil} only"


class InstitutionUnknown(Refusal):
    message = "there is no institution {institution}"


class KindsInvalid(Refusal):
    message = "kinds {kinds} are none, or name an unknown kind"


class ValidityInvalid(Refusal):
    message = "an accreditation from {validFrom} to {validUntil} has no future"


class RegionInvalid(Refusal):
    message = "region {region} has more than six digits"


class OperatorKnown(Refusal):
    message = "{operator} is, or was, an operator already"
    hint = "make a new key: a key acts for one institution, once"


class OperatorInvalid(Refusal):
    message = "the zero address cannot be an operator"


class NotTheInstitution(Refusal):
    message = "{account} is neither a supervisor nor of institution {institution}"


class OwnInstitution(Refusal):
    message = "institution {institution} cannot suspend or renew itself"
    hint = "another supervisor does it"


class ConsentExpired(Refusal):
    message = "the consent of {operator} ended at {deadline}"
    hint = "have the new key sign another: medledger operator consent"


class ConsentInvalid(Refusal):
    message = "the signature is not that of {operator} over acting for institution {institution}"
    hint = "the new key itself consents: medledger operator consent"


class NotTheOperator(Refusal):
    message = "{account} is neither a supervisor nor {operator} itself"
    hint = "a key removes itself; a supervisor removes any"


class LastOperator(Refusal):
    message = "{operator} is the last key of supervisor {institution}"
    hint = "add another key first, or let another supervisor remove it"


class CodeInvalid(Refusal):
    message = "bill code {code} has not 8 digits"


class SerialsInvalid(Refusal):
    message = "serials {first} to {last} are not within 1 to 9,999,999,999, in order"


class SegmentOverlaps(Refusal):
    message = "serials of code {code} are allotted up to {highest}; {first} is not above"


class NotAnIssuer(Refusal):
    message = "institution {institution} is not accredited to issue these documents now"


class SegmentUnknown(Refusal):
    message = "there is no segment {segment}"
    hint = "a supervisor allots one: medledger allot"


class SegmentNotYours(Refusal):
    message = "segment {segment} belongs to institution {institution}"


class BatchEmpty(Refusal):
    message = "a batch has at least one document"


class NumberAlreadyIssued(Refusal):
    message = "number {number} has been issued"


class NumberSkipped(Refusal):
    message = "number {number} would leave a gap; the next number is {next}"


class SegmentExhausted(Refusal):
    message = "segment {segment} has {left} numbers left, the batch takes {count}"
    hint = "ask the supervisor for another segment"


class SegmentIsWithdrawn(Refusal):
    message = "what was left of segment {segment} has been withdrawn"
    hint = "ask the supervisor for another segment"


class NothingToWithdraw(Refusal):
    message = "every number of segment {segment} has been issued"


class EndorsementMissing(Refusal):
    message = "batches of segment {segment} need a supervisor's endorsement"
    hint = "name who endorses: --endorse COMMAND, or Hospital.connect(..., endorse=...)"


class EndorsementExpired(Refusal):
    message = "the endorsement of the batch from {first} ended at {deadline}"
    hint = "issue again: a new endorsement is asked for"


class EndorsementInvalid(Refusal):
    message = "the signature is not that of {signer} over the batch from {first}"
    hint = "ask the supervisor to endorse exactly this batch, with a key that acts for it"


class EndorserIsIssuer(Refusal):
    message = "institution {institution} cannot endorse its own batches"
    hint = "ask another supervisor"


class NumberOutsideSegment(Refusal):
    message = "number {number} is not of segment {segment}"


class NumberNotIssued(Refusal):
    message = "number {number} has not been issued"


class NumberOutsideBatch(Refusal):
    message = "number {number} is not in the batch of {count} from {first}"


class ProofInvalid(Refusal):
    message = "the header is not what was issued under number {number}"


class PathLengthWrong(Refusal):
    message = "a path of {length} is wrong for index {index} of {count}"


class SharedPathLengthWrong(Refusal):
    message = "a shared path of {length} is wrong for {leaves} of {count}"


class IndexOutOfOrder(Refusal):
    message = "index {index} is not above the one before it, or not within {count}"
    hint = "give the bills of one batch in order of number, each once"


class PatientMissing(Refusal):
    message = "the header of {number} names no patient"


class DocumentIsHeld(Refusal):
    message = "document {number} is on hold"
    hint = "its issuer may release it"


class DocumentNotHeld(Refusal):
    message = "document {number} is not on hold, or has not been opened, so that nobody knows"
    hint = "open it first by its evidence, if it was born on hold"


class EnforcedPause(Refusal):
    message = "the ledger is paused"
    hint = "a supervisor may end the pause"


class ExpectedPause(Refusal):
    message = "the ledger is not paused"


class AuthorisationExpired(Refusal):
    message = "the patient's authorisation for {number} ended at {deadline}"


class AuthorisationInvalid(Refusal):
    message = "the signature for {number} is not the patient's over this act, or has been used"


class InvoiceNotOpened(Refusal):
    message = "bill {number} has not been opened"
    hint = "present its evidence"


class InvoiceIsReversed(Refusal):
    message = "bill {number} was reversed by {redLetter}"


class InvoiceIsRedLetter(Refusal):
    message = "bill {number} is a red-letter bill"


class InvoiceInUse(Refusal):
    message = "bill {number} is in use: {locked} locked, {reimbursed} reimbursed"
    hint = "wait for the payers to settle, deny or withdraw"


class OverClaimable(Refusal):
    message = "bill {number} says that {prescribed} of its {claimable} pay for a prescription"
    hint = "the hospital reverses it and issues a right one"


class InvoiceIsPartlyReversed(Refusal):
    message = "bill {number} has been reversed in part, so it cannot reverse another"
    hint = "issue a red letter of its own"


class RedLetterIsOriginal(Refusal):
    message = "bill {number} cannot reverse itself"


class RedLetterMismatch(Refusal):
    message = "{redLetter} is no partial red letter of bill {number}"
    hint = "it must be born on hold, of the original's patient and currency"


class ReversalAmountInvalid(Refusal):
    message = "{amount} is not from 1 to the {left} left of bill {number} (minor units)"
    hint = "a full reversal takes back what cannot be claimed too"


class InvoiceOnPaper(Refusal):
    message = "bill {number} has been exchanged for paper"
    hint = "void the paper copy first: medledger paper void"


class InvoiceNotOnPaper(Refusal):
    message = "bill {number} is not on paper"


class PaperHashMissing(Refusal):
    message = "the commitment to the paper copy of bill {number} is zero"
    hint = "give the keccak-256 of the copy and a salt"


class LedgerMismatch(Refusal):
    message = "{ledger} was deployed for another Claims contract"
    hint = "deploy all contracts together: medledger deploy"


class InstitutionsMismatch(Refusal):
    message = "{other} asks other institutions than the new contract"
    hint = "deploy all contracts together: medledger deploy"


class LockPeriodInvalid(Refusal):
    message = "a lock period of {lockPeriod} s is none, or longer than 366 days"


class ClaimCountInvalid(Refusal):
    message = "{headers} bills, {settlements} settlements, {signatures} signatures: not 1 to 200"


class AmountZero(Refusal):
    message = "the amount for bill {number} is zero"


class ClaimIsLocked(Refusal):
    message = "payer {payer} has bill {number} locked until {until}"


class ClaimIsSettled(Refusal):
    message = "payer {payer} has reimbursed {amount} of bill {number}"


class ClaimNotLocked(Refusal):
    message = "payer {payer} has no open lock on bill {number}"


class ClaimForbids(Refusal):
    message = "payer {payer}'s claim on bill {number} is {status!s}, which forbids this"


class OverRemainder(Refusal):
    message = "{amount} is more than the {remainder} left of bill {number} (minor units)"


class OverLock(Refusal):
    message = "{amount} is more than the {locked} locked of bill {number} (minor units)"


class OverReimbursed(Refusal):
    message = "{amount} is more than the {reimbursed} reimbursed of bill {number} (minor units)"


class OverRecoupDue(Refusal):
    message = "{amount} is more than the {due} due back of bill {number} (minor units)"
    hint = "demand it first, or let the hospital reverse the bill"


class PrescriptionNotHandedOver(Refusal):
    message = "part of bill {number} pays for prescription {prescription}, not handed over yet"
    hint = "claim it once the patient has all that was prescribed"


class PayerUndecided(Refusal):
    message = "payer {payer}, which comes first, has not decided on bill {number}"
    hint = "wait for its decision, or let it or the patient waive it"


class ExplanationMissing(Refusal):
    message = "the decision on bill {number} has no explanation"


class PaymentMissing(Refusal):
    message = "the payment for bill {number} has no reference"


class PaymentIsConfirmed(Refusal):
    message = "payer {payer}'s payment for bill {number} is confirmed already"


class PaymentDiffers(Refusal):
    message = "payer {payer} announced another payment for bill {number}"
    hint = "confirm the reference that the settlement names"


class NotThePayer(Refusal):
    message = "the claim on bill {number} is another payer's than institution {institution}'s"


class NotTheIssuer(Refusal):
    message = "institution {institution} did not issue bill {number}"


class BillIsPaid(Refusal):
    message = "bill {number} has been paid"


class PaymentIsStated(Refusal):
    message = "the hospital has stated a payment off chain of bill {number}"
    hint = "the patient confirms it, or the hospital withdraws it"


class PaymentNotStated(Refusal):
    message = "no payment off chain of bill {number} is stated and unconfirmed"
    hint = "the hospital states it first: medledger payment state"


class PayeeDiffers(Refusal):
    message = "the hospital of bill {number} is paid at {account}, not at {payee}"
    hint = "at the zero address it takes no tokens: medledger payment account sets another"


class OverDue(Refusal):
    message = "the payment of bill {number} is {amount}, and {due} are due (minor units)"


class CurrencyNotPaid(Refusal):
    message = "bill {number} is in currency {currency}, which this deployment pays nothing in"
    hint = "pay off chain; for a claim, the patient signs without a payee then"


class TooManyLocks(Refusal):
    message = "bill {number} has as many open locks as it can have"


class PolicyInvalid(Refusal):
    message = "the policy of drug class {drugClass} allows nothing"
    hint = "the longest validity and the largest quantity are at least 1"


class DrugClassUnknown(Refusal):
    message = "drug class {drugClass} of prescription {number} has no policy"
    hint = "a supervisor sets one: medledger policy set"


class NotYetAuthored(Refusal):
    message = "prescription {number} is signed for {authoredAt}, which is to come"
    hint = "accept it from then on"


class ValidityTooLong(Refusal):
    message = (
        "prescription {number}, signed at {authoredAt}, is valid until {validUntil}; its policy "
        "allows {maxValidity} seconds"
    )
    hint = "ask its prescriber for another"


class TooManyRepeats(Refusal):
    message = "prescription {number} allows {repeats} repeats, its policy {maxRepeats}"
    hint = "ask its prescriber for another"


class QuantityTooLarge(Refusal):
    message = "a line of prescription {number} has {quantity} units, its policy has {maxQuantity}"
    hint = "ask its prescriber for another"


class LicencesMissing(Refusal):
    message = "the policy of prescription {number} demands a licence, and no ledger has any"
    hint = "a supervisor changes the policy, or deploys with a ledger of licences"


class LicenceNotValid(Refusal):
    message = "licence {licence} was not valid at {authoredAt}, when {number} was signed"
    hint = "ask its prescriber for another"


class NotClaims(Refusal):
    message = "{account} is not the Claims contract, which alone pays from deposits"


class DepositTooSmall(Refusal):
    message = "{amount} is more than the {deposit} that payer {payer} has deposited"
    hint = "deposit first: medledger deposit"


class TransferInexact(Refusal):
    message = "the settlement token moved {moved}, not {amount}"
    hint = "the token takes fees, or lies; this deployment cannot pay with it"


class PayeeInvalid(Refusal):
    message = "{payee} cannot be paid"


class SafeERC20FailedOperation(Refusal):
    message = "the settlement token {token} refused a transfer"


class ERC20InsufficientBalance(Refusal):
    message = "{sender} has {balance} settlement tokens, not {needed}"


class ERC20InsufficientAllowance(Refusal):
    message = "{spender} may move {allowance} settlement tokens, not {needed}"
    hint = "approve more: deposit does so by itself"


class ERC20InvalidSender(Refusal):
    message = "settlement tokens cannot be moved from {sender}"


class ERC20InvalidReceiver(Refusal):
    message = "settlement tokens cannot be moved to {receiver}"


class ERC20InvalidApprover(Refusal):
    message = "{approver} cannot let another move settlement tokens"


class ERC20InvalidSpender(Refusal):
    message = "{spender} cannot be let move settlement tokens"


class NotTheMinter(Refusal):
    message = "{account} may not mint settlement tokens"
    hint = "whoever deployed the token may"


class ReentrancyGuardReentrantCall(Refusal):
    message = "the settlement token called back while it was called"


class LinesInvalid(Refusal):
    message = "prescription {number} has not one to five lines, each with a quantity"


class StateForbids(Refusal):
    message = "prescription {number} is {state!s}, which forbids this"


class PrescriptionIsTaken(Refusal):
    message = "pharmacy {pharmacy} has prescription {number} until {leaseUntil}"
    hint = "wait, or have it returned; its hospital may ask: medledger request-cancel"


class PrescriptionIsExpired(Refusal):
    message = "prescription {number} was valid until {validUntil}"


class NotThePharmacy(Refusal):
    message = "pharmacy {pharmacy} has prescription {number}, not the caller's"


class NotTheCourier(Refusal):
    message = "courier {courier} carries prescription {number}, not the caller's"


class LeaseIsOver(Refusal):
    message = "the lease of prescription {number} ended at {leaseUntil}"
    hint = "deliver what was dispensed, then accept it again with a new authorisation"


class OverPrescribed(Refusal):
    message = "{quantity} is more than the {remaining} left of line {line} of {number}"


class NothingDispensed(Refusal):
    message = "no quantity of prescription {number} is dispensed"


class RepeatTooEarly(Refusal):
    message = "the next fill of prescription {number} may be accepted from {earliest}"
    hint = "wait until then"


class NothingRemains(Refusal):
    message = "all of prescription {number} was dispensed, and nothing is left to take over"
    hint = "its hospital may prescribe again"


class CancelIsRequested(Refusal):
    message = "the hospital has asked to cancel prescription {number}"
    hint = "the pharmacy that has it returns it, or goes on dispensing"


class ReviewMissing(Refusal):
    message = "prescription {number} was not reviewed, or by no act of its own as its policy asks"
    hint = "a pharmacist reviews it first: medledger review"


class SecondApproverMissing(Refusal):
    message = "operator {operator} reviewed prescription {number} and may not dispense it too"
    hint = "dispense it with another key of the pharmacy"


class SubstitutionForbidden(Refusal):
    message = "prescription {number} does not allow to substitute these lines (bits {substituted})"
    hint = "dispense the drug that was prescribed"


class ItemsMissing(Refusal):
    message = "no lots and approval numbers of prescription {number} are committed to"
    hint = "give the hash of the list; it is not zero"


class WithdrawalTooLate(Refusal):
    message = "what was dispensed of {number} could be withdrawn until {last}"
    hint = "deliver it"


class CourierForbidden(Refusal):
    message = "the policy of prescription {number} allows no courier"
    hint = "the patient fetches it at the counter"


class ParcelNotOffered(Refusal):
    message = "the parcel of {number} was not offered to courier {courier}"
    hint = "the courier who has it offers it: medledger offer"


class CourierHasIt(Refusal):
    message = "courier {courier} has the parcel of {number} until {leaseUntil}"
    hint = "wait until then, or have it returned: medledger fail"


class NotACourier(Refusal):
    message = "institution {institution} is not an active courier"


class LeasePeriodInvalid(Refusal):
    message = "a lease period of {leasePeriod} seconds is zero, or longer than 30 days"


class HolderMissing(Refusal):
    message = "the header of licence {number} names no holder"


class LicenceNotOpened(Refusal):
    message = "licence {number} has not been opened"
    hint = "open it with its evidence first: medledger licence open"


class LicenceValidityInvalid(Refusal):
    message = "licence {number} cannot be valid from {validFrom} to {validUntil}"
    hint = "a validity ends after it begins, and a renewal not in the past"


class LicenceIsSuspended(Refusal):
    message = "licence {number} is suspended since {suspendedFrom}"


class LicenceNotSuspended(Refusal):
    message = "licence {number} is not suspended"


class LicenceIsRevoked(Refusal):
    message = "licence {number} is revoked since {revokedFrom}, which is final"
    hint = "issue a new licence"


class HistoryFull(Refusal):
    message = "licence {number} has had as many interruptions as can be kept"
    hint = "issue a new licence in its place"


class RecordNotOpened(Refusal):
    message = "record {number} has not been opened"
    hint = "its hospital opens it, with its evidence: medledger record open"


class RecordIsAmended(Refusal):
    message = "record {number} has been amended; its newest version is {latest}"
    hint = "amend that one"


class RecordNotYours(Refusal):
    message = "record {number} is of institution {institution}, and only that one amends it"


class PurposeInvalid(Refusal):
    message = "purpose {purpose} is none of the four codes"


class NotAReader(Refusal):
    message = "institution {institution} is not active"


class DayIsAnchored(Refusal):
    message = (
        "institution {institution} has anchored its reads up to day {last}; {day} is not after"
    )


class DayInFuture(Refusal):
    message = "day {day} has not begun: today is {today}"


class NothingRead(Refusal):
    message = "nothing was read on day {day}"


class InvalidShortString(Refusal):
    message = "an EIP-712 domain string is damaged"


class AddressEmptyCode(Refusal):
    message = "there is no contract at {target}"


class FailedCall(Refusal):
    message = "one of several acts in one transaction failed without a reason"


class StringTooLong(Refusal):
    message = "an EIP-712 domain string is too long"


REFUSALS: dict[str, type[Refusal]] = {kind.__name__: kind for kind in Refusal.__subclasses__()}
"""Solidity error name to class."""


# Evidence


class EvidenceError(MedledgerError):
    """Evidence does not hold. `step` names the check that failed."""

    exit_code = 5
    step: ClassVar[str] = ""


class MalformedEvidence(EvidenceError):
    step = "format"
    message = "the evidence file is malformed: {problem}"


class BodyMismatch(EvidenceError):
    step = "fields"
    message = "field {field}: {problem}"


class HeaderMismatch(EvidenceError):
    step = "header"
    message = "the header and the field {field} disagree, or the field was never sealed"


class PathMismatch(EvidenceError):
    step = "path"
    message = "{problem}"


class AnchorMismatch(EvidenceError):
    step = "anchor"
    message = "{problem}"


class IssuerMismatch(EvidenceError):
    step = "issuer"
    message = "{problem}"


class StatusMismatch(EvidenceError):
    step = "status"
    message = "{problem}"


# Chain


class ChainError(MedledgerError):
    exit_code = 6


class RpcUnavailable(ChainError):
    """The node did not answer, or not sensibly. The only error worth a retry."""

    message = "no answer from {url}: {problem}"
    hint = "check the address, or start a local chain: medledger chain"


class RpcError(ChainError):
    """The node refused a request. `data` is the revert data (0x...), empty without."""

    message = "the node answers: {text}"
    code: int
    text: str
    data: str


class WrongChain(ChainError):
    message = "expected {expected}, but {url} is {found}"
    hint = "name the deployment of this chain with --deployment"


class ContractMissing(ChainError):
    message = "no {contract} contract at {address} on {url}"
    hint = "deploy first: medledger deploy"


class NodesDisagree(ChainError):
    message = "{url} and {other} disagree over blocks {first} to {last}: {problem}"
    hint = "ask a third node; nothing of these blocks was stored"


class LogsOmitted(ChainError):
    message = "{url} left out {count} logs of block {block} that its receipts have"
    hint = "use another node; nothing of this block was stored"


class ProofUnavailable(ChainError):
    message = "{url} gives no proof of what is stored: {problem}"
    hint = "ask a node with eth_getProof that keeps the state of this block"


class TransactionFailed(ChainError):
    message = "transaction {transaction} failed: {problem}"


class TransactionReverted(TransactionFailed):
    """Mined and refused, for a reason that the node cannot tell any more."""


class OutOfGas(TransactionReverted):
    """Mined, and ended by its own limit."""


class ToolMissing(ChainError):
    message = "{tool} is not installed"
    hint = "run make setup, or name a running chain with --rpc"


class PortUnusable(ChainError):
    message = "port {port} {problem}"
    hint = "name another with --port"


# Setup


class SetupError(MedledgerError):
    exit_code = 7


class ManifestMissing(SetupError):
    message = "no deployment manifest at {path}"
    hint = "deploy first (medledger deploy), or name one with --deployment"


class NotDeployed(SetupError):
    message = "the deployment has no {contract} contract: it is older than this program"
    hint = "deploy again, and name the new manifest with --deployment"


class ManifestInvalid(SetupError):
    message = "the deployment manifest {path} {problem}"


class KeyMissing(SetupError):
    message = "no key was given for this act"
    hint = "make one with medledger key new FILE, then name it with --key FILE"


class StoreError(SetupError):
    message = "the store {store} {problem}"


class EndorserFailed(SetupError):
    message = "the endorser {command!r} {problem}"
    hint = "it takes a request on standard input and prints the endorsement: medledger endorse -"


class NoSettlementToken(SetupError):
    message = "this deployment has no settlement token"
    hint = "pay off chain, or deploy with --token"


class NoSegment(SetupError):
    message = "no numbers of this kind are allotted to institution {institution}"
    hint = "a supervisor allots them: medledger allot"


class NotIssued(SetupError):
    message = "number {number} is stored, and not on chain yet"
    hint = "issue again, or wait: what was begun is finished first"


class NotFound(SetupError):
    message = "{what} is not in {where}"


class IndexEmpty(SetupError):
    message = "the index {store} holds no block"
    hint = "read the chain first: medledger audit sync"


class CompilerUnusable(SetupError):
    message = "the compiler {path} {problem}"
    hint = "name the Solidity compiler with --solc, and a checkout after make setup with --source"


class IndexBehind(SetupError):
    message = "the index ends at {until}, before {at}"
    hint = "read on: medledger audit sync"


# Audit


class AuditError(MedledgerError):
    exit_code = 8


class FraudWentThrough(AuditError):
    message = "the contracts did not refuse, or not for the right reason: {frauds}"


class AuditMismatch(AuditError):
    message = "{count} of the records disagree with the chain; the first: {first}"


class ProofMismatch(AuditError):
    """A storage proof that does not hold."""

    message = "the proof does not hold: {problem}"


class StatementMismatch(AuditError):
    message = "{count} differences between statement and chain on {day}; the first: {first}"


class IrregularityFound(AuditError):
    message = "{count} findings, the gravest: {first}"
    hint = "look at each; what is explained stays found, so go on with --since"
