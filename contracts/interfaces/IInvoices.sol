// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Hashing} from "../libraries/Hashing.sol";
import {IClaims} from "./IClaims.sol";
import {IDocumentLedger} from "./IDocumentLedger.sol";

/// @title Medical e-bills
/// @notice Bills are opened by proof, held and released, and reversed by a red-letter bill.
interface IInvoices is IDocumentLedger {
    /// @notice What a bill is, apart from holds and claims.
    enum Standing {
        Regular,
        Reversed,
        RedLetter
    }

    /// @notice An opened bill.
    /// @param patient One-time address; zero until the bill is opened.
    /// @param claimable Patient-borne part in minor units.
    /// @param currency ISO 4217 numeric code.
    /// @param bornOnHold What its header says.
    /// @param standing Regular, reversed, or itself a red-letter bill; known also before opening.
    struct Invoice {
        address patient;
        uint64 claimable;
        uint16 currency;
        bool bornOnHold;
        Standing standing;
    }

    /// @notice The header of a bill was proven and is now readable on chain.
    event InvoiceOpened(
        uint64 indexed number, address patient, uint64 claimable, uint16 currency, bool bornOnHold
    );
    /// @notice The hospital reversed a bill by a red-letter bill.
    /// @param reason Reason code of the hospital interface.
    event InvoiceReversed(uint64 indexed number, uint64 indexed redLetter, uint16 reason, address by);

    /// @notice The bill has not been opened.
    error InvoiceNotOpened(uint64 number);
    /// @notice The bill has been reversed.
    error InvoiceIsReversed(uint64 number, uint64 redLetter);
    /// @notice The bill is a red-letter bill: it reverses another one.
    error InvoiceIsRedLetter(uint64 number);
    /// @notice The bill is in use: payers have locked or reimbursed this much of it (minor units).
    error InvoiceInUse(uint64 number, uint64 locked, uint64 reimbursed);
    /// @notice The header says that more pays for a prescription than can be claimed (minor units).
    error OverClaimable(uint64 number, uint64 prescribed, uint64 claimable);
    /// @notice A bill cannot reverse itself.
    error RedLetterIsOriginal(uint64 number);

    /// @notice Proves a bill's header and stores what later acts need of it; a second time only proves.
    /// @dev Anyone may call: the proof is the authority. A claim does not need it: it brings the proof. A
    /// patient's withdrawal, waiver or confirmation does.
    function open(
        Hashing.InvoiceHeader calldata header,
        Hashing.TreeHead calldata head,
        bytes32[] calldata path
    ) external;

    /// @notice Marks a bill reversed, and another issued bill of the same institution as its red letter.
    /// @param segment Segment of the original.
    /// @param number The original; refused while any payer has it locked.
    /// @param redSegment Segment of the red-letter bill.
    /// @param redLetter The red-letter bill; must be unused.
    /// @param reason Reason code.
    /// @dev Warning: what was reimbursed before stays reimbursed; `Claims.recoupDueOf` tells it.
    function reverse(uint32 segment, uint64 number, uint32 redSegment, uint64 redLetter, uint16 reason) external;

    /// @notice The one Claims contract of this ledger.
    function claims() external view returns (IClaims);

    /// @notice The bill's record.
    /// @dev Warning: all zero for a bill never used, issued or not.
    function invoiceOf(uint64 number) external view returns (Invoice memory);

    /// @notice The records of several bills, in the order asked.
    function invoicesOf(uint64[] calldata numbers) external view returns (Invoice[] memory);

    /// @notice The red-letter bill that reversed this bill, 0 for none.
    function reversedBy(uint64 number) external view returns (uint64 redLetter);

    /// @notice Whether the bill has been reversed.
    function isReversed(uint64 number) external view returns (bool);

    /// @notice What is left to claim of an opened bill, minor units; 0 once it is reversed.
    /// @dev Warning: 0 also for a bill that is not opened. Does not subtract what payers hold.
    function claimableOf(uint64 number) external view returns (uint64);

    /// @notice The claimable part of bills that may be used now; reverts unless all of them may.
    /// @param headers Of one batch, in order of number, at least one.
    /// @param head Tree head of the batch.
    /// @param path Shared path of the headers; for one header its inclusion path.
    /// @dev Used means: issued with this header, neither reversed nor a red letter, not on hold, ledger
    /// not paused. Nothing is stored: who uses a bill proves it. Warning: says nothing of what is
    /// locked or reimbursed.
    function requireUsable(
        Hashing.InvoiceHeader[] calldata headers,
        Hashing.TreeHead calldata head,
        bytes32[] calldata path
    ) external view returns (uint64[] memory claimable);
}
