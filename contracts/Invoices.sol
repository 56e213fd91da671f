// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {DocumentLedger} from "./DocumentLedger.sol";
import {IClaims} from "./interfaces/IClaims.sol";
import {IInstitutions} from "./interfaces/IInstitutions.sol";
import {IInvoices} from "./interfaces/IInvoices.sol";
import {Hashing} from "./libraries/Hashing.sol";
import {Kinds} from "./libraries/Kinds.sol";

/// @title Medical e-bills
/// @dev Guarantees: what it says of a bill was sealed under its number; a reversed bill, a red letter,
/// a held bill and one on paper cannot be used; what a partial red letter takes back was sealed in it.
/// Trusts: `institutions`; `claims` to tell what is locked. Does not: move money, or see the amounts
/// of a full red letter.
contract Invoices is IInvoices, DocumentLedger {
    /// @dev What reversal says of a bill. An original has the first two, a red letter the third.
    struct Reversal {
        uint64 redLetter;
        uint64 amount;
        uint64 original; // slot 0
    }

    IClaims public immutable claims;

    mapping(uint64 number => Invoice) private _invoices; // one slot each
    mapping(uint64 number => Reversal) private _reversals; // one slot each, since the first reversal

    /// @param claims_ The Claims contract of this ledger; it is deployed afterwards at this address and
    /// refuses any other ledger, so neither needs a setter.
    constructor(IInstitutions institutions_, IClaims claims_) DocumentLedger(institutions_, Kinds.HOSPITAL) {
        claims = claims_;
    }

    /// @inheritdoc IInvoices
    function open(
        Hashing.InvoiceHeader calldata header,
        Hashing.TreeHead calldata head,
        bytes32[] calldata path
    ) external whenNotPaused {
        uint64 number = header.number;
        verifyInclusion(Hashing.invoiceLeaf(header), number, head, path);
        Invoice storage record = _invoices[number];
        if (header.patient == address(0)) revert PatientMissing(number);
        if (record.patient != address(0)) return;

        _invoices[number] =
            Invoice(header.patient, header.claimable, header.currency, header.onHold, record.standing);
        emit InvoiceOpened(number, header.patient, header.claimable, header.currency, header.onHold);
    }

    /// @inheritdoc IInvoices
    function reverse(uint32 segment, uint64 number, uint32 redSegment, uint64 redLetter, uint16 reason) external {
        _requireReversible(segment, number, redSegment, redLetter);
        uint64 amount = claimableOf(number);

        _invoices[number].standing = Standing.Reversed;
        _invoices[redLetter].standing = Standing.RedLetter;
        _reversals[number].redLetter = redLetter;
        _reversals[redLetter].original = number;
        emit InvoiceReversed(number, redLetter, amount, reason, msg.sender);
    }

    /// @inheritdoc IInvoices
    function reversePart(
        uint32 segment,
        uint64 number,
        uint32 redSegment,
        Hashing.InvoiceHeader calldata redHeader,
        Hashing.TreeHead calldata redHead,
        bytes32[] calldata redPath,
        uint16 reason
    ) external {
        uint64 redLetter = redHeader.number;
        _requireReversible(segment, number, redSegment, redLetter);
        verifyInclusion(Hashing.invoiceLeaf(redHeader), redLetter, redHead, redPath);
        Invoice storage record = _invoices[number];
        if (record.patient == address(0)) revert InvoiceNotOpened(number);
        bool isForIt = redHeader.patient == record.patient && redHeader.currency == record.currency;
        if (!isForIt || !redHeader.onHold) revert RedLetterMismatch(number, redLetter);
        uint64 amount = redHeader.claimable;
        uint64 left = claimableOf(number);
        if (amount == 0 || amount > left) revert ReversalAmountInvalid(number, amount, left);

        record.standing = Standing.PartlyReversed;
        _invoices[redLetter].standing = Standing.RedLetter;
        _reversals[number].amount += amount;
        _reversals[redLetter].original = number;
        emit InvoicePartlyReversed(number, redLetter, amount, left - amount, reason, msg.sender);
    }

    /// @inheritdoc IInvoices
    function exchangeForPaper(uint32 segment, uint64 number, bytes32 paperHash) external whenNotPaused {
        _requireIssuedByCaller(segment, number);
        if (paperHash == 0) revert PaperHashMissing(number);
        Invoice storage record = _invoices[number];
        _requireStanding(number, record.standing);
        _requireNotHeld(number, record.bornOnHold);
        (uint64 locked, uint64 reimbursed) = claims.usageOf(number);
        if (locked != 0 || reimbursed != 0) revert InvoiceInUse(number, locked, reimbursed);

        record.standing = Standing.OnPaper;
        emit InvoiceExchanged(number, paperHash, msg.sender);
    }

    /// @inheritdoc IInvoices
    function voidPaper(uint32 segment, uint64 number) external {
        _requireIssuedByCaller(segment, number);
        Invoice storage record = _invoices[number];
        if (record.standing != Standing.OnPaper) revert InvoiceNotOnPaper(number);

        record.standing = _reversals[number].amount == 0 ? Standing.Regular : Standing.PartlyReversed;
        emit PaperVoided(number, msg.sender);
    }

    /// @inheritdoc IInvoices
    function invoiceOf(uint64 number) external view returns (Invoice memory) {
        return _invoices[number];
    }

    /// @inheritdoc IInvoices
    function invoicesOf(uint64[] calldata numbers) external view returns (Invoice[] memory found) {
        found = new Invoice[](numbers.length);
        for (uint256 i = 0; i < numbers.length; ++i) {
            found[i] = _invoices[numbers[i]];
        }
    }

    /// @inheritdoc IInvoices
    function reversedBy(uint64 number) public view returns (uint64 redLetter) {
        return _reversals[number].redLetter;
    }

    /// @inheritdoc IInvoices
    function originalOf(uint64 redLetter) external view returns (uint64 number) {
        return _reversals[redLetter].original;
    }

    /// @inheritdoc IInvoices
    function isReversed(uint64 number) external view returns (bool) {
        return _invoices[number].standing == Standing.Reversed;
    }

    /// @inheritdoc IInvoices
    function claimableOf(uint64 number) public view returns (uint64) {
        Invoice storage record = _invoices[number];
        Standing standing = record.standing;
        if (standing == Standing.Regular) return record.claimable;
        if (standing == Standing.Reversed || standing == Standing.RedLetter) return 0;
        return record.claimable - _reversals[number].amount;
    }

    /// @inheritdoc IInvoices
    function requireUsable(uint64 number)
        external
        view
        whenNotPaused
        returns (address patient, uint64 claimable)
    {
        Invoice storage record = _invoices[number];
        Standing standing = record.standing;
        patient = record.patient;
        claimable = record.claimable;
        if (patient == address(0)) revert InvoiceNotOpened(number);
        if (standing != Standing.Regular) {
            _requireStanding(number, standing);
            claimable -= _reversals[number].amount;
        }
        _requireNotHeld(number, record.bornOnHold);
    }

    function _mayBeBornOnHold(uint64 number) internal view override returns (bool) {
        return _invoices[number].bornOnHold;
    }

    function _requireReversible(uint32 segment, uint64 number, uint32 redSegment, uint64 redLetter) private view {
        _requireIssuedByCaller(segment, number);
        _requireIssuedByCaller(redSegment, redLetter);
        if (number == redLetter) revert RedLetterIsOriginal(number);
        _requireStanding(number, _invoices[number].standing);
        Standing standing = _invoices[redLetter].standing;
        _requireStanding(redLetter, standing);
        if (standing == Standing.PartlyReversed) revert InvoiceIsPartlyReversed(redLetter);
        (uint64 locked, uint64 reimbursed) = claims.usageOf(number);
        if (locked != 0) revert InvoiceInUse(number, locked, reimbursed);
        (locked, reimbursed) = claims.usageOf(redLetter);
        if (locked != 0 || reimbursed != 0) revert InvoiceInUse(redLetter, locked, reimbursed);
    }

    /// @dev Reverts unless the bill stands, at least in part.
    function _requireStanding(uint64 number, Standing standing) private view {
        if (standing == Standing.Reversed) revert InvoiceIsReversed(number, reversedBy(number));
        if (standing == Standing.RedLetter) revert InvoiceIsRedLetter(number);
        if (standing == Standing.OnPaper) revert InvoiceOnPaper(number);
    }
}
