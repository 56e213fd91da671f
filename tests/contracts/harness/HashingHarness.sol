// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Hashing} from "contracts/libraries/Hashing.sol";

/// @title The hashing library, callable from a test
/// @notice One function for each of the library's; nothing is computed here.
contract HashingHarness {
    function invoiceLeaf(Hashing.InvoiceHeader calldata header) external pure returns (bytes32) {
        return Hashing.invoiceLeaf(header);
    }

    function prescriptionLeaf(Hashing.PrescriptionHeader calldata header) external pure returns (bytes32) {
        return Hashing.prescriptionLeaf(header);
    }

    function licenceLeaf(Hashing.LicenceHeader calldata header) external pure returns (bytes32) {
        return Hashing.licenceLeaf(header);
    }

    function recordLeaf(Hashing.RecordHeader calldata header) external pure returns (bytes32) {
        return Hashing.recordLeaf(header);
    }

    function claimAuthorisation(
        uint64 number,
        uint32 payer,
        uint32 sequence,
        Hashing.ClaimTerms calldata terms
    ) external pure returns (bytes32) {
        return Hashing.claimAuthorisation(number, payer, sequence, terms);
    }

    function claimWithdrawal(uint64 number, uint32 payer, uint16 reason, uint32 sequence, uint64 deadline)
        external
        pure
        returns (bytes32)
    {
        return Hashing.claimWithdrawal(number, payer, reason, sequence, deadline);
    }

    function payerWaiver(uint64 number, uint32 payer, uint32 sequence, uint64 deadline)
        external
        pure
        returns (bytes32)
    {
        return Hashing.payerWaiver(number, payer, sequence, deadline);
    }

    function paymentConfirmation(uint64 number, uint32 payer, bytes32 payment, uint64 deadline)
        external
        pure
        returns (bytes32)
    {
        return Hashing.paymentConfirmation(number, payer, payment, deadline);
    }

    function billPayment(uint64 number, uint64 amount, bytes32 payment, uint64 deadline)
        external
        pure
        returns (bytes32)
    {
        return Hashing.billPayment(number, amount, payment, deadline);
    }

    function acceptAuthorisation(uint64 number, uint32 pharmacy, uint16 sequence, uint64 deadline)
        external
        pure
        returns (bytes32)
    {
        return Hashing.acceptAuthorisation(number, pharmacy, sequence, deadline);
    }

    function deliveryConfirmation(uint64 number, uint16 sequence, uint16[5] calldata quantities, uint64 deadline)
        external
        pure
        returns (bytes32)
    {
        return Hashing.deliveryConfirmation(number, sequence, quantities, deadline);
    }

    function batchEndorsement(uint32 segment, uint64 first, uint32 count, bytes32 root, uint64 deadline)
        external
        pure
        returns (bytes32)
    {
        return Hashing.batchEndorsement(segment, first, count, root, deadline);
    }

    function operatorConsent(uint32 institution, uint64 deadline) external pure returns (bytes32) {
        return Hashing.operatorConsent(institution, deadline);
    }

    function accessGrant(uint64 number, uint32 institution, uint8 purpose, uint32 sequence, uint64 until)
        external
        pure
        returns (bytes32)
    {
        return Hashing.accessGrant(number, institution, purpose, sequence, until);
    }

    function accessRevocation(uint64 number, uint32 institution, uint8 purpose, uint32 sequence)
        external
        pure
        returns (bytes32)
    {
        return Hashing.accessRevocation(number, institution, purpose, sequence);
    }

    function fieldDigest(bytes32 salt, bytes calldata pair) external pure returns (bytes32) {
        return Hashing.fieldDigest(salt, pair);
    }

    function body(bytes32 namesHash, bytes32[] calldata digests) external pure returns (bytes32) {
        return Hashing.body(namesHash, digests);
    }

    function leaf(bytes32 structHash) external pure returns (bytes32) {
        return Hashing.leaf(structHash);
    }

    function node(bytes32 left, bytes32 right) external pure returns (bytes32) {
        return Hashing.node(left, right);
    }

    function headHash(Hashing.TreeHead calldata head, bytes32 root) external pure returns (bytes32) {
        return Hashing.headHash(head, root);
    }

    function rootOfPath(bytes32 leaf_, uint256 index, uint256 count, bytes32[] calldata path)
        external
        pure
        returns (bytes32)
    {
        return Hashing.rootOfPath(leaf_, index, count, path);
    }

    function rootOfSharedPath(
        bytes32[] memory leaves,
        uint256[] memory indexes,
        uint256 count,
        bytes32[] calldata path
    ) external pure returns (bytes32) {
        return Hashing.rootOfSharedPath(leaves, indexes, count, path);
    }
}
