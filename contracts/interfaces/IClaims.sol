// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Hashing} from "../libraries/Hashing.sol";
import {IPatientActs} from "./IPatientActs.sol";

/// @title Claims on bills
/// @notice A payer locks part of a bill with the patient's signature, then settles or releases it. Over
/// all payers, locked + reimbursed never exceeds the claimable part.
interface IClaims is IPatientActs {
    /// @notice Where a payer stands with a bill.
    enum Status {
        None,
        Locked,
        Settled,
        Released
    }

    /// @notice One payer's claim on one bill.
    /// @param amount Locked, or reimbursed, in minor units.
    /// @param until Last second of the lock; the time of settlement or release afterwards. Unix seconds.
    /// @param sequence How many locks this payer has had on this bill; the next authorisation names it.
    /// @param status Warning: stays `Locked` after `until`; `usageOf` no longer counts it then.
    struct Claim {
        uint64 amount;
        uint64 until;
        uint32 sequence;
        Status status;
    }

    /// @notice A payer locked part of a bill.
    event ClaimLocked(
        uint64 indexed number,
        uint32 indexed payer,
        uint64 amount,
        uint64 until,
        uint32 sequence,
        address by
    );
    /// @notice A payer reimbursed a bill.
    /// @param reason Reason code of the decision.
    /// @param explanation Hash of the explanation of benefit.
    event ClaimSettled(
        uint64 indexed number,
        uint32 indexed payer,
        uint64 amount,
        uint16 reason,
        bytes32 explanation,
        address by
    );
    /// @notice A payer gave up its lock.
    event ClaimReleased(uint64 indexed number, uint32 indexed payer, uint16 reason, address by);

    /// @notice The invoice ledger was deployed for another Claims contract.
    error LedgerMismatch(address invoices);
    /// @notice The lock period is zero.
    error LockPeriodInvalid();
    /// @notice The amount is zero.
    error AmountZero();
    /// @notice This payer has an open lock on this bill.
    error ClaimIsLocked(uint64 number, uint32 payer, uint64 until);
    /// @notice This payer has reimbursed this bill.
    error ClaimIsSettled(uint64 number, uint32 payer, uint64 amount);
    /// @notice This payer has no open lock on this bill.
    error ClaimNotLocked(uint64 number, uint32 payer);
    /// @notice The amount is more than what is left of the bill (minor units).
    error OverRemainder(uint64 number, uint64 amount, uint64 remainder);
    /// @notice The amount is more than what was locked (minor units).
    error OverLock(uint64 number, uint64 amount, uint64 locked);
    /// @notice The bill has as many open locks as it can have.
    error TooManyLocks(uint64 number);

    /// @notice Locks part of an opened bill for the caller's institution.
    /// @param number The bill.
    /// @param amount Minor units, exactly as authorised.
    /// @param deadline Last second of the patient's authorisation, Unix time.
    /// @param authorisation Patient's EIP-712 signature over ClaimAuthorisation.
    function lock(uint64 number, uint64 amount, uint64 deadline, bytes calldata authorisation) external;

    /// @notice Opens the bill and locks part of it.
    function openAndLock(
        Hashing.InvoiceHeader calldata header,
        Hashing.TreeHead calldata head,
        bytes32[] calldata path,
        uint64 amount,
        uint64 deadline,
        bytes calldata authorisation
    ) external;

    /// @notice Reimburses up to what the caller's institution has locked; the rest becomes free.
    /// @param amount Minor units.
    /// @param reason Reason code of the decision.
    /// @param explanation Hash of the explanation of benefit.
    /// @dev Warning: records the decision; the money moves off chain.
    function settle(uint64 number, uint64 amount, uint16 reason, bytes32 explanation) external;

    /// @notice Gives up the lock of the caller's institution.
    function release(uint64 number, uint16 reason) external;

    /// @notice One payer's claim on one bill; all zero where there was none.
    function claimOf(uint64 number, uint32 payer) external view returns (Claim memory);

    /// @notice The claims of `payers[i]` on `numbers[i]`, in the order asked.
    function claimsOf(uint64[] calldata numbers, uint32[] calldata payers) external view returns (Claim[] memory);

    /// @notice What is locked now (expired locks do not count) and what is reimbursed, minor units.
    function usageOf(uint64 number) external view returns (uint64 locked, uint64 reimbursed);

    /// @notice The same for several bills, in the order asked.
    function usagesOf(uint64[] calldata numbers)
        external
        view
        returns (uint64[] memory locked, uint64[] memory reimbursed);

    /// @notice What can still be locked of an opened bill, minor units.
    /// @dev Warning: does not say that the bill may be used; see `Invoices.requireUsable`.
    function remainderOf(uint64 number) external view returns (uint64);

    /// @notice What payers can demand back, minor units: what was reimbursed beyond what reversal left.
    function recoupDueOf(uint64 number) external view returns (uint64);
}
