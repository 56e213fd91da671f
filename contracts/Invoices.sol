// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {DocumentLedger} from "./DocumentLedger.sol";
import {IClaims} from "./interfaces/IClaims.sol";
import {IInstitutions} from "./interfaces/IInstitutions.sol";
import {IInvoices} from "./interfaces/IInvoices.sol";
import {Hashing} from "./libraries/Hashing.sol";
import {Kinds} from "./libraries/Kinds.sol";

/// @title Medical e-bills
/// @dev Guarantees: what it says of a bill was sealed under its number; a reversed bill, a red letter
/// and a held bill cannot be used. Trusts: `institutions`; `claims` to tell what is locked. Does not:
/// move money, or compare a red letter's amounts with its original's.
contract Invoices is IInvoices, DocumentLedger {
    IClaims public immutable claims;

    mapping(uint64 number => Invoice) private _invoices; // one slot each
    mapping(uint64 number => uint64 redLetter) public reversedBy;

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
        _requireIssuedByCaller(segment, number);
        _requireIssuedByCaller(redSegment, redLetter);
        if (number == redLetter) revert RedLetterIsOriginal(number);
        _requireRegular(number);
        _requireRegular(redLetter);
        (uint64 locked, uint64 reimbursed) = claims.usageOf(number);
        if (locked != 0) revert InvoiceInUse(number, locked, reimbursed);
        (locked, reimbursed) = claims.usageOf(redLetter);
        if (locked != 0 || reimbursed != 0) revert InvoiceInUse(redLetter, locked, reimbursed);

        _mark(number);
        _mark(redLetter);
        _invoices[number].standing = Standing.Reversed;
        _invoices[redLetter].standing = Standing.RedLetter;
        reversedBy[number] = redLetter;
        emit InvoiceReversed(number, redLetter, reason, msg.sender);
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
    function isReversed(uint64 number) external view returns (bool) {
        return _invoices[number].standing == Standing.Reversed;
    }

    /// @inheritdoc IInvoices
    function requireUsable(
        Hashing.InvoiceHeader[] calldata headers,
        Hashing.TreeHead calldata head,
        bytes32[] calldata path
    ) external view whenNotPaused returns (uint64[] memory claimable) {
        bytes32[] memory leaves = new bytes32[](headers.length);
        uint256[] memory indexes = new uint256[](headers.length);
        claimable = new uint64[](headers.length);
        for (uint256 i = 0; i < headers.length; ++i) {
            leaves[i] = Hashing.invoiceLeaf(headers[i]);
            // A number below the first one gives an index that no batch has.
            unchecked { indexes[i] = uint256(headers[i].number) - head.first; }
            claimable[i] = _requireUsable(headers[i]);
        }
        bytes32 root = Hashing.rootOfSharedPath(leaves, indexes, head.count, path);
        if (headHashOf[head.first] != Hashing.headHash(head, root)) revert ProofInvalid(headers[0].number);
    }

    /// @inheritdoc IInvoices
    function claimableOf(uint64 number) external view returns (uint64) {
        Invoice storage record = _invoices[number];
        return record.standing == Standing.Reversed ? 0 : record.claimable;
    }

    /// @dev What can be claimed of a bill, if its header is true.
    function _requireUsable(Hashing.InvoiceHeader calldata header) private view returns (uint64) {
        uint64 number = header.number;
        if (header.patient == address(0)) revert PatientMissing(number);
        if (header.prescribed > header.claimable) {
            revert OverClaimable(number, header.prescribed, header.claimable);
        }
        if (header.onHold || _isMarked(number)) {
            _requireRegular(number);
            _requireNotHeld(number, header.onHold);
        }
        return header.claimable;
    }

    function _requireRegular(uint64 number) private view {
        Standing standing = _invoices[number].standing;
        if (standing == Standing.Reversed) revert InvoiceIsReversed(number, reversedBy[number]);
        if (standing == Standing.RedLetter) revert InvoiceIsRedLetter(number);
    }
}
