// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Hashing} from "../libraries/Hashing.sol";
import {IPatientActs} from "./IPatientActs.sol";

/// @title Claims on bills
/// @notice A payer locks part of a bill with the patient's signature, then settles or denies it. Over
/// all payers, locked + reimbursed never exceeds the claimable part.
interface IClaims is IPatientActs {
    /// @notice Where a payer stands with a bill. From `Denied` on it has decided; from `Settled` on it has
    /// reimbursed.
    enum Status {
        None,
        Locked,
        Withdrawn,
        Denied,
        Waived,
        Settled,
        Booked,
        Archived
    }

    /// @notice One payer's claim on one bill: one storage slot.
    /// @param payer Institution of the payer; 0 where it never had anything to do with the bill.
    /// @param amount Locked, or reimbursed and not repaid, in minor units.
    /// @param until Last second of the lock; the time of the decision afterwards. Unix seconds.
    /// @param sequence How many signatures of the patient this claim has used; the next names it.
    /// @param status Warning: stays `Locked` after `until`; `usageOf` no longer counts it then.
    /// @param fixedBenefit Takes nothing of the bill's remainder.
    /// @param isPaid Paid in the settlement token, or the other side has confirmed the payment.
    /// @param payment First eleven bytes of the payment's reference.
    struct Claim {
        uint32 payer;
        uint64 amount;
        uint40 until;
        uint16 sequence;
        Status status;
        bool fixedBenefit;
        bool isPaid;
        bytes11 payment;
    }

    /// @notice What a payer decides to pay.
    /// @param amount Minor units, at most what is locked.
    /// @param reason Reason code.
    /// @param explanation Hash of the explanation of benefit.
    /// @param payment Hash of the payment's reference; needed where payment is off chain.
    struct Decision {
        uint64 amount;
        uint16 reason;
        bytes32 explanation;
        bytes32 payment;
    }

    /// @notice A claim that is locked and settled at once.
    /// @param terms What the patient signed.
    struct Settlement {
        Hashing.ClaimTerms terms;
        Decision decision;
    }

    /// @notice A payer locked part of a bill.
    /// @param claimable What all payers together may lock and reimburse of the bill, minor units.
    /// @param sequence The one that the signature named; the claim's is one more now.
    event ClaimLocked(
        uint64 indexed number,
        uint32 indexed payer,
        uint64 claimable,
        uint40 until,
        uint16 sequence,
        Hashing.ClaimTerms terms,
        address by
    );
    /// @notice A payer reimbursed what it had locked, or part of it.
    event ClaimSettled(
        uint64 indexed number, uint32 indexed payer, bool isPaid, Decision decision, address by
    );
    /// @notice A payer locked and reimbursed part of a bill at once.
    /// @param claimable What all payers together may lock and reimburse of the bill, minor units.
    /// @param sequence The one that the signature named; the claim's is one more now.
    event ClaimLockedAndSettled(
        uint64 indexed number,
        uint32 indexed payer,
        uint64 claimable,
        uint16 sequence,
        Settlement settlement,
        address by
    );
    /// @notice A payer refused to reimburse a bill; its lock is gone.
    event ClaimDenied(
        uint64 indexed number, uint32 indexed payer, uint16 reason, bytes32 explanation, address by
    );
    /// @notice A lock was given up before a decision, by the payer or by the patient.
    /// @param sequence The claim's, afterwards.
    event ClaimWithdrawn(
        uint64 indexed number, uint32 indexed payer, uint16 reason, uint16 sequence, address by
    );
    /// @notice Payers that come after this one need not wait for it.
    /// @param sequence The claim's, afterwards.
    event PayerWaived(uint64 indexed number, uint32 indexed payer, uint16 sequence, address by);
    /// @notice The other side confirmed a payment off chain.
    event PaymentConfirmed(uint64 indexed number, uint32 indexed payer, bytes32 payment, address by);
    /// @notice A payer demands part of its reimbursement back.
    event ClaimRecouped(
        uint64 indexed number,
        uint32 indexed payer,
        uint64 amount,
        uint16 reason,
        bytes32 explanation,
        address by
    );
    /// @notice A payer got back part of what it had reimbursed.
    event ClaimRepaid(uint64 indexed number, uint32 indexed payer, uint64 amount, bytes32 payment, address by);
    /// @notice A reimbursed claim was booked.
    event ClaimBooked(uint64 indexed number, uint32 indexed payer, address by);
    /// @notice A booking was revoked.
    event BookingRevoked(uint64 indexed number, uint32 indexed payer, uint16 reason, address by);
    /// @notice A booked claim was archived; its booking is final.
    event ClaimArchived(uint64 indexed number, uint32 indexed payer, address by);

    /// @notice The other contract was deployed for another Claims contract.
    error LedgerMismatch(address ledger);
    /// @notice The lock period is zero, or longer than 366 days (seconds).
    error LockPeriodInvalid(uint40 lockPeriod);
    /// @notice One transaction takes 1 to 200 claims, each with settlement and signature.
    error ClaimCountInvalid(uint256 headers, uint256 settlements, uint256 signatures);
    /// @notice The amount is zero.
    error AmountZero(uint64 number);
    /// @notice This payer has an open lock on this bill.
    error ClaimIsLocked(uint64 number, uint32 payer, uint40 until);
    /// @notice This payer has reimbursed this bill.
    error ClaimIsSettled(uint64 number, uint32 payer, uint64 amount);
    /// @notice This payer has no open lock on this bill.
    error ClaimNotLocked(uint64 number, uint32 payer);
    /// @notice The claim's status forbids this.
    error ClaimForbids(uint64 number, uint32 payer, Status status);
    /// @notice The amount is more than what is left of the bill (minor units).
    error OverRemainder(uint64 number, uint64 amount, uint64 remainder);
    /// @notice The amount is more than what was locked (minor units).
    error OverLock(uint64 number, uint64 amount, uint64 locked);
    /// @notice The amount is more than what this payer reimbursed and has not demanded back (minor units).
    error OverReimbursed(uint64 number, uint64 amount, uint64 reimbursed);
    /// @notice The amount is more than what this payer must get back (minor units).
    error OverRecoupDue(uint64 number, uint64 amount, uint64 due);
    /// @notice The amount touches the part that pays for a prescription, which is not handed over.
    error PrescriptionNotHandedOver(uint64 number, uint64 prescription);
    /// @notice The payer that comes first has neither decided nor been waived.
    error PayerUndecided(uint64 number, uint32 payer);
    /// @notice A decision needs the hash of its explanation.
    error ExplanationMissing(uint64 number);
    /// @notice A payment off chain needs a reference.
    error PaymentMissing(uint64 number);
    /// @notice The payment is confirmed already.
    error PaymentIsConfirmed(uint64 number, uint32 payer);
    /// @notice The payer announced another payment than this.
    error PaymentDiffers(uint64 number, uint32 payer, bytes32 payment);
    /// @notice The caller's institution is not the payer whose claim this is.
    error NotThePayer(uint64 number, uint32 institution);
    /// @notice The hospital that confirms did not issue the bill.
    error NotTheIssuer(uint64 number, uint32 institution);
    /// @notice This deployment pays nothing in the bill's currency.
    error CurrencyNotPaid(uint64 number, uint16 currency);
    /// @notice The bill has as many open locks as it can have.
    error TooManyLocks(uint64 number);

    /// @notice Locks part of a bill for the caller's institution.
    /// @param header The bill's header; its proof is `head` and `path`, as `Invoices.requireUsable` takes.
    /// @param terms What the patient signed.
    /// @param signature Patient's EIP-712 signature over ClaimAuthorisation.
    function lock(
        Hashing.InvoiceHeader calldata header,
        Hashing.TreeHead calldata head,
        bytes32[] calldata path,
        Hashing.ClaimTerms calldata terms,
        bytes calldata signature
    ) external;

    /// @notice Locks and settles in one transaction.
    function lockAndSettle(
        Hashing.InvoiceHeader calldata header,
        Hashing.TreeHead calldata head,
        bytes32[] calldata path,
        Settlement calldata settlement,
        bytes calldata signature
    ) external;

    /// @notice Locks and settles up to 200 bills of one batch, all or none.
    /// @param headers In order of number.
    /// @param path Shared path of all headers.
    /// @param settlements In the order of the headers.
    /// @param signatures Patients' over ClaimAuthorisation, in the order of the headers.
    function lockAndSettleMany(
        Hashing.InvoiceHeader[] calldata headers,
        Hashing.TreeHead calldata head,
        bytes32[] calldata path,
        Settlement[] calldata settlements,
        bytes[] calldata signatures
    ) external;

    /// @notice Reimburses up to what the caller's institution has locked; the rest becomes free. Pays the
    /// signed payee, where there is one, from the payer's deposit.
    /// @dev Warning: where the patient signed no payee, the money moves off chain.
    function settle(uint64 number, Decision calldata decision) external;

    /// @notice Refuses to reimburse; frees the lock of the caller's institution.
    /// @param reason Reason code.
    /// @param explanation Hash of the explanation of benefit.
    function deny(uint64 number, uint16 reason, bytes32 explanation) external;

    /// @notice Gives up a lock before a decision.
    /// @param deadline Last second of the patient's signature, Unix time.
    /// @param signature Patient's over ClaimWithdrawal, of an opened bill; empty where the payer calls.
    function withdraw(uint64 number, uint32 payer, uint16 reason, uint64 deadline, bytes calldata signature)
        external;

    /// @notice Lets payers that come after this one settle without its decision.
    /// @param deadline Last second of the patient's signature, Unix time.
    /// @param signature Patient's over PayerWaiver, of an opened bill; empty where the payer calls.
    /// @dev Warning: ends with the next lock of this payer.
    function waive(uint64 number, uint32 payer, uint64 deadline, bytes calldata signature) external;

    /// @notice Confirms a payment off chain as received.
    /// @param payment The reference that the payer announced.
    /// @param segment Segment of the bill; counts only where the issuing hospital calls.
    /// @param deadline Last second of the patient's signature, Unix time.
    /// @param signature Patient's over PaymentConfirmation, of an opened bill; empty where the hospital calls.
    function confirmPayment(
        uint64 number,
        uint32 payer,
        bytes32 payment,
        uint32 segment,
        uint64 deadline,
        bytes calldata signature
    ) external;

    /// @notice Demands part of a reimbursement back: the payer's own correction.
    /// @param amount Minor units.
    /// @param reason Reason code.
    /// @param explanation Hash of what explains it.
    /// @dev Warning: the amount counts as reimbursed until it is repaid.
    function recoup(uint64 number, uint64 amount, uint16 reason, bytes32 explanation) external;

    /// @notice Records that the caller's institution got money back; up to `recoupDueOf`.
    /// @param payment Hash of the payment's reference.
    function repay(uint64 number, uint64 amount, bytes32 payment) external;

    /// @notice Books a reimbursed claim of the caller's institution.
    function book(uint64 number) external;

    /// @notice Revokes the booking, as long as it is not archived.
    function revokeBooking(uint64 number, uint16 reason) external;

    /// @notice Archives a booked claim.
    function archive(uint64 number) external;

    /// @notice One payer's claim on one bill; all zero where there was none.
    function claimOf(uint64 number, uint32 payer) external view returns (Claim memory);

    /// @notice The claims of `payers[i]` on `numbers[i]`, in the order asked.
    function claimsOf(uint64[] calldata numbers, uint32[] calldata payers) external view returns (Claim[] memory);

    /// @notice What is locked now (expired locks do not count) and what is reimbursed, minor units.
    /// @dev Warning: fixed benefits count in neither.
    function usageOf(uint64 number) external view returns (uint64 locked, uint64 reimbursed);

    /// @notice The same for several bills, in the order asked.
    function usagesOf(uint64[] calldata numbers)
        external
        view
        returns (uint64[] memory locked, uint64[] memory reimbursed);

    /// @notice What is locked now and what is reimbursed in all, fixed benefits included, minor units.
    /// @dev Warning: may be more than what is claimable. For whoever asks if the bill is in use at all.
    function takenOf(uint64 number) external view returns (uint256 locked, uint256 reimbursed);

    /// @notice What a payer must get back, minor units: what it demands, or what it has reimbursed beyond
    /// what a reversal leaves of the bill, whichever is more.
    /// @dev Warning: payers of one bill share what a partial reversal makes due; each repayment lessens it.
    function recoupDueOf(uint64 number, uint32 payer) external view returns (uint64);

    /// @notice What a payer has demanded back by `recoup` and not got yet, minor units.
    function recoupedOf(uint64 number, uint32 payer) external view returns (uint64);
}
