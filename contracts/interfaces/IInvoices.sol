// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Hashing} from "../libraries/Hashing.sol";
import {IClaims} from "./IClaims.sol";
import {IDocumentLedger} from "./IDocumentLedger.sol";

/// @title Medical e-bills
/// @notice Bills are opened by proof, held and released, exchanged for paper, and reversed, in whole
/// or in part, by red-letter bills.
interface IInvoices is IDocumentLedger {
    /// @notice What a bill is, apart from holds and claims.
    enum Standing {
        Regular,
        Reversed,
        RedLetter,
        PartlyReversed,
        OnPaper
    }

    /// @notice An opened bill.
    /// @param patient One-time address; zero until the bill is opened.
    /// @param claimable Patient-borne part in minor units, as issued; `claimableOf` tells what is left.
    /// @param currency ISO 4217 numeric code.
    /// @param bornOnHold What its header says.
    /// @param standing Regular, reversed in whole or in part, on paper, or itself a red-letter bill;
    /// known also before opening. A bill on paper may have been reversed in part before.
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
    /// @notice The hospital reversed a bill, or what was left of it, by a red-letter bill.
    /// @param amount What could still be claimed of it, minor units; 0 for a bill that was never opened.
    /// @param reason Reason code of the hospital interface.
    event InvoiceReversed(
        uint64 indexed number, uint64 indexed redLetter, uint64 amount, uint16 reason, address by
    );
    /// @notice The hospital took back part of a bill by a red-letter bill.
    /// @param amount What the red letter takes of the claimable part, minor units.
    /// @param left What payers may still claim of the bill in all, minor units.
    /// @param reason Reason code of the hospital interface.
    event InvoicePartlyReversed(
        uint64 indexed number, uint64 indexed redLetter, uint64 amount, uint64 left, uint16 reason, address by
    );
    /// @notice The hospital handed out the bill on paper; until that is void it has no use here.
    /// @param paperHash Commitment to the paper copy.
    event InvoiceExchanged(uint64 indexed number, bytes32 paperHash, address by);
    /// @notice The paper copy is void; the bill may be used here again.
    event PaperVoided(uint64 indexed number, address by);

    /// @notice The bill has not been opened.
    error InvoiceNotOpened(uint64 number);
    /// @notice The bill has been reversed.
    error InvoiceIsReversed(uint64 number, uint64 redLetter);
    /// @notice The bill is a red-letter bill: it reverses another one.
    error InvoiceIsRedLetter(uint64 number);
    /// @notice The bill is in use: payers have locked or reimbursed this much on it, fixed benefits too (minor
    /// units).
    error InvoiceInUse(uint64 number, uint256 locked, uint256 reimbursed);
    /// @notice The bill has been reversed in part, so it cannot reverse another one.
    error InvoiceIsPartlyReversed(uint64 number);
    /// @notice The header says that more pays for a prescription than can be claimed (minor units).
    error OverClaimable(uint64 number, uint64 prescribed, uint64 claimable);
    /// @notice A bill cannot reverse itself.
    error RedLetterIsOriginal(uint64 number);
    /// @notice The red letter is of another patient or currency, or was not born on hold.
    error RedLetterMismatch(uint64 number, uint64 redLetter);
    /// @notice The amount is zero, or more than what can still be claimed of the bill (minor units).
    error ReversalAmountInvalid(uint64 number, uint64 amount, uint64 left);
    /// @notice The bill has been exchanged for paper.
    error InvoiceOnPaper(uint64 number);
    /// @notice The bill has not been exchanged for paper, or its paper is void.
    error InvoiceNotOnPaper(uint64 number);
    /// @notice The commitment to the paper copy is zero.
    error PaperHashMissing(uint64 number);

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

    /// @notice Takes back part of an opened bill; several times, until nothing can be claimed of it.
    /// @param segment Segment of the original.
    /// @param number The original; refused while any payer has it locked.
    /// @param redSegment Segment of the red-letter bill.
    /// @param redHeader Header of the red letter: born on hold, so that it is never of use by itself, of
    /// the original's patient and currency; `claimable` is the amount that it takes back, minor units.
    /// @param redHead Tree head of its batch.
    /// @param redPath Inclusion path, lowest sibling first.
    /// @param reason Reason code.
    /// @dev Warning: what was reimbursed beyond the rest stays so; `Claims.recoupDueOf` tells it.
    function reversePart(
        uint32 segment,
        uint64 number,
        uint32 redSegment,
        Hashing.InvoiceHeader calldata redHeader,
        Hashing.TreeHead calldata redHead,
        bytes32[] calldata redPath,
        uint16 reason
    ) external;

    /// @notice Makes the bill a paper one: it cannot be used here until the paper is void.
    /// @param paperHash Commitment to the paper copy, never zero.
    /// @dev Warning: `paperHash` must be salted, or it tells what it hashes. A bill that was born on
    /// hold is refused only once it is opened.
    function exchangeForPaper(uint32 segment, uint64 number, bytes32 paperHash) external;

    /// @notice Ends the exchange: the paper copy is back, and void.
    function voidPaper(uint32 segment, uint64 number) external;

    /// @notice The one Claims contract of this ledger.
    function claims() external view returns (IClaims);

    /// @notice The bill's record.
    /// @dev Warning: all zero for a bill never used, issued or not.
    function invoiceOf(uint64 number) external view returns (Invoice memory);

    /// @notice The records of several bills, in the order asked.
    function invoicesOf(uint64[] calldata numbers) external view returns (Invoice[] memory);

    /// @notice The red-letter bill that reversed this bill in whole, 0 for none.
    function reversedBy(uint64 number) external view returns (uint64 redLetter);

    /// @notice The bill that this red letter reversed, in whole or in part, 0 for no red letter.
    function originalOf(uint64 redLetter) external view returns (uint64 number);

    /// @notice Whether the bill has been reversed in whole.
    function isReversed(uint64 number) external view returns (bool);

    /// @notice What payers may claim of an opened bill in all, less what was reversed, minor units.
    /// @dev Warning: says nothing of what is locked or reimbursed, nor that the bill may be used; 0 for a
    /// bill that was never opened.
    function claimableOf(uint64 number) external view returns (uint64);

    /// @notice What payers may claim in all of bills that may be used now; reverts unless all of them may.
    /// @param headers Of one batch, in order of number, at least one.
    /// @param head Tree head of the batch.
    /// @param path Shared path of the headers; for one header its inclusion path.
    /// @return claimable Of each bill, less what was reversed, minor units.
    /// @dev Used means: issued with this header, neither reversed in whole nor a red letter, not on paper,
    /// not on hold, ledger not paused. Nothing is stored: who uses a bill proves it. Warning: says nothing
    /// of what is locked or reimbursed.
    function requireUsable(
        Hashing.InvoiceHeader[] calldata headers,
        Hashing.TreeHead calldata head,
        bytes32[] calldata path
    ) external view returns (uint64[] memory claimable);
}
