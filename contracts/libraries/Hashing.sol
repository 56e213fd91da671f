// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

/// @title Every hash of the ledger
/// @notice Mirrors `src/medledger/core/hashing.py` and `tree.py`; both are held to
/// `tests/vectors/hashing.json`.
/// @dev Guarantees: a leaf, a node and a tree head can never be taken for one another (prefix
/// bytes), and a path has exactly one length for an index in a tree size. Trusts keccak-256.
/// Does not check who calls: it has no state.
library Hashing {
    /// @notice What a contract may read of a bill.
    /// @param number Bill code * 10^10 + bill number.
    /// @param patient One-time address of the patient, for this bill only.
    /// @param claimable Patient-borne part in minor units.
    /// @param currency ISO 4217 numeric code.
    /// @param onHold Born held: unusable until the hospital releases it.
    /// @param prescription Number of the prescription that the bill charges for, 0 for none.
    /// @param prescribed Claimable part, in minor units, that pays for that prescription.
    /// @param body Commitment to the sealed fields.
    struct InvoiceHeader {
        uint64 number;
        address patient;
        uint64 claimable;
        uint16 currency;
        bool onHold;
        uint64 prescription;
        uint64 prescribed;
        bytes32 body;
    }

    /// @notice What a contract may read of a prescription.
    /// @param number Prescription code * 10^10 + prescription number.
    /// @param patient One-time address of the patient, for this prescription only.
    /// @param authoredAt When it was signed, Unix time.
    /// @param validUntil Last second, Unix time, at which a pharmacy may accept it, repeats included.
    /// @param licence Number of the prescriber's licence, 0 for none.
    /// @param drugClass Row of the policy table that it goes by.
    /// @param quantities Prescribed dispensing units of each line and fill, one to five lines.
    /// @param substitutable Bit i: line i, counted from 0, may be dispensed as an equivalent drug.
    /// @param repeats Fills allowed after the first.
    /// @param interval Least time from the delivery of a fill to the acceptance of the next, seconds.
    /// @param onHold Born held: unusable until the hospital releases it.
    /// @param body Commitment to the sealed fields.
    struct PrescriptionHeader {
        uint64 number;
        address patient;
        uint40 authoredAt;
        uint40 validUntil;
        uint64 licence;
        uint16 drugClass;
        uint16[] quantities;
        uint8 substitutable;
        uint8 repeats;
        uint32 interval;
        bool onHold;
        bytes32 body;
    }

    /// @notice What a contract may read of a licence.
    /// @param number Licence code * 10^10 + licence number.
    /// @param holder One-time address of the holder, for this licence only.
    /// @param licenceType Code of what it permits.
    /// @param validFrom First second of its validity, Unix time.
    /// @param validUntil Last second of its validity, Unix time, before any renewal.
    /// @param body Commitment to the sealed fields.
    struct LicenceHeader {
        uint64 number;
        address holder;
        uint16 licenceType;
        uint40 validFrom;
        uint40 validUntil;
        bytes32 body;
    }

    /// @notice What a contract may read of a consultation or treatment record.
    /// @param number Record code * 10^10 + record number.
    /// @param patient One-time address of the patient, for this record only.
    /// @param amends The number of the record that it takes the place of, 0 for none.
    /// @param recordType Code of what it records.
    /// @param body Commitment to the sealed fields.
    struct RecordHeader {
        uint64 number;
        address patient;
        uint64 amends;
        uint8 recordType;
        bytes32 body;
    }

    /// @notice What the ledger binds to the first number of a batch, beside the root.
    /// @param first Number of the leaf at index 0.
    /// @param count Number of leaves.
    /// @param segment Segment that the numbers come from.
    /// @param issuedAt Time of the block of issue, Unix seconds.
    struct TreeHead {
        uint64 first;
        uint32 count;
        uint32 segment;
        uint64 issuedAt;
    }

    /// @notice The terms on which a patient allows a payer to claim.
    /// @param amount Minor units.
    /// @param deadline Last second, Unix time, at which the payer may lock.
    /// @param afterPayer Payer that must have decided before this one settles; 0 for none.
    /// @param fixedBenefit The policy pays a sum of its own, and takes nothing of the bill's remainder.
    /// @param payee Who is paid in the settlement token; 0 where payment is off chain.
    struct ClaimTerms {
        uint64 amount;
        uint64 deadline;
        uint32 afterPayer;
        bool fixedBenefit;
        address payee;
    }

    /// @notice The path has not the length that this index in this tree size has.
    error PathLengthWrong(uint256 index, uint256 count, uint256 length);
    /// @notice The path has not the length that these leaves share in this tree size.
    error SharedPathLengthWrong(uint256 leaves, uint256 count, uint256 length);
    /// @notice The index is not above the one before it, or not within the tree size.
    error IndexOutOfOrder(uint256 index, uint256 count);

    bytes32 internal constant INVOICE_HEADER_TYPEHASH = keccak256(
        "InvoiceHeader(uint64 number,address patient,uint64 claimable,uint16 currency,bool onHold,uint64 prescription,uint64 prescribed,bytes32 body)"
    );
    bytes32 internal constant PRESCRIPTION_HEADER_TYPEHASH = keccak256(
        "PrescriptionHeader(uint64 number,address patient,uint40 authoredAt,uint40 validUntil,uint64 licence,uint16 drugClass,uint16[] quantities,uint8 substitutable,uint8 repeats,uint32 interval,bool onHold,bytes32 body)"
    );
    bytes32 internal constant LICENCE_HEADER_TYPEHASH = keccak256(
        "LicenceHeader(uint64 number,address holder,uint16 licenceType,uint40 validFrom,uint40 validUntil,bytes32 body)"
    );
    bytes32 internal constant RECORD_HEADER_TYPEHASH =
        keccak256("RecordHeader(uint64 number,address patient,uint64 amends,uint8 recordType,bytes32 body)");
    bytes32 internal constant CLAIM_AUTHORISATION_TYPEHASH = keccak256(
        "ClaimAuthorisation(uint64 number,uint32 payer,uint64 amount,uint32 sequence,uint64 deadline,uint32 afterPayer,bool fixedBenefit,address payee)"
    );
    bytes32 internal constant CLAIM_WITHDRAWAL_TYPEHASH = keccak256(
        "ClaimWithdrawal(uint64 number,uint32 payer,uint16 reason,uint32 sequence,uint64 deadline)"
    );
    bytes32 internal constant PAYER_WAIVER_TYPEHASH =
        keccak256("PayerWaiver(uint64 number,uint32 payer,uint32 sequence,uint64 deadline)");
    bytes32 internal constant PAYMENT_CONFIRMATION_TYPEHASH =
        keccak256("PaymentConfirmation(uint64 number,uint32 payer,bytes32 payment,uint64 deadline)");
    bytes32 internal constant BILL_PAYMENT_TYPEHASH =
        keccak256("BillPayment(uint64 number,uint64 amount,bytes32 payment,uint64 deadline)");
    bytes32 internal constant ACCEPT_AUTHORISATION_TYPEHASH = keccak256(
        "AcceptAuthorisation(uint64 number,uint32 pharmacy,uint16 sequence,uint64 deadline)"
    );
    bytes32 internal constant DELIVERY_CONFIRMATION_TYPEHASH =
        keccak256("DeliveryConfirmation(uint64 number,uint16 sequence,uint16[5] quantities,uint64 deadline)");
    bytes32 internal constant BATCH_ENDORSEMENT_TYPEHASH = keccak256(
        "BatchEndorsement(uint32 segment,uint64 first,uint32 count,bytes32 root,uint64 deadline)"
    );
    bytes32 internal constant OPERATOR_CONSENT_TYPEHASH =
        keccak256("OperatorConsent(uint32 institution,uint64 deadline)");
    bytes32 internal constant ACCESS_GRANT_TYPEHASH = keccak256(
        "AccessGrant(uint64 number,uint32 institution,uint8 purpose,uint32 sequence,uint64 until)"
    );
    bytes32 internal constant ACCESS_REVOCATION_TYPEHASH =
        keccak256("AccessRevocation(uint64 number,uint32 institution,uint8 purpose,uint32 sequence)");

    function invoiceLeaf(InvoiceHeader calldata header) internal pure returns (bytes32) {
        bytes32 structHash;
        bytes32 typeHash = INVOICE_HEADER_TYPEHASH;
        // All eight members are of fixed size, so calldata holds their encoding: copied, not made anew.
        assembly ("memory-safe") {
            let free := mload(0x40)
            mstore(free, typeHash)
            calldatacopy(add(free, 0x20), header, 0x100)
            structHash := keccak256(free, 0x120)
        }
        return leaf(structHash);
    }

    /// @dev The words of the calldata are EIP-712's encoding, but for the seventh: the hash of the array
    /// stands where its offset does. A word with dirty bits hashes to no leaf that was issued.
    function prescriptionLeaf(PrescriptionHeader calldata header) internal pure returns (bytes32) {
        // encodePacked pads array elements to 32 bytes, which is EIP-712's encoding of an array.
        bytes32 quantities = keccak256(abi.encodePacked(header.quantities));
        bytes32 typehash = PRESCRIPTION_HEADER_TYPEHASH;
        bytes32 structHash;
        assembly ("memory-safe") {
            let free := mload(0x40)
            mstore(free, typehash)
            calldatacopy(add(free, 32), header, 384)
            mstore(add(free, 224), quantities)
            structHash := keccak256(free, 416)
        }
        return leaf(structHash);
    }

    function licenceLeaf(LicenceHeader calldata header) internal pure returns (bytes32) {
        return leaf(
            keccak256(
                abi.encode(
                    LICENCE_HEADER_TYPEHASH,
                    header.number,
                    header.holder,
                    header.licenceType,
                    header.validFrom,
                    header.validUntil,
                    header.body
                )
            )
        );
    }

    function recordLeaf(RecordHeader calldata header) internal pure returns (bytes32) {
        return leaf(
            keccak256(
                abi.encode(
                    RECORD_HEADER_TYPEHASH,
                    header.number,
                    header.patient,
                    header.amends,
                    header.recordType,
                    header.body
                )
            )
        );
    }

    function claimAuthorisation(uint64 number, uint32 payer, uint32 sequence, ClaimTerms calldata terms)
        internal
        pure
        returns (bytes32 found)
    {
        bytes32 typeHash = CLAIM_AUTHORISATION_TYPEHASH;
        (uint256 bill, uint256 institution, uint256 used) = (number, payer, sequence);
        // The terms are of fixed size, so calldata holds their encoding: the amount stands before the
        // sequence, the other four members after it.
        assembly ("memory-safe") {
            let free := mload(0x40)
            mstore(free, typeHash)
            mstore(add(free, 0x20), bill)
            mstore(add(free, 0x40), institution)
            calldatacopy(add(free, 0x60), terms, 0x20)
            mstore(add(free, 0x80), used)
            calldatacopy(add(free, 0xa0), add(terms, 0x20), 0x80)
            found := keccak256(free, 0x120)
        }
    }

    function claimWithdrawal(uint64 number, uint32 payer, uint16 reason, uint32 sequence, uint64 deadline)
        internal
        pure
        returns (bytes32)
    {
        return keccak256(abi.encode(CLAIM_WITHDRAWAL_TYPEHASH, number, payer, reason, sequence, deadline));
    }

    function payerWaiver(uint64 number, uint32 payer, uint32 sequence, uint64 deadline)
        internal
        pure
        returns (bytes32)
    {
        return keccak256(abi.encode(PAYER_WAIVER_TYPEHASH, number, payer, sequence, deadline));
    }

    function paymentConfirmation(uint64 number, uint32 payer, bytes32 payment, uint64 deadline)
        internal
        pure
        returns (bytes32)
    {
        return keccak256(abi.encode(PAYMENT_CONFIRMATION_TYPEHASH, number, payer, payment, deadline));
    }

    function billPayment(uint64 number, uint64 amount, bytes32 payment, uint64 deadline)
        internal
        pure
        returns (bytes32)
    {
        return keccak256(abi.encode(BILL_PAYMENT_TYPEHASH, number, amount, payment, deadline));
    }

    function acceptAuthorisation(uint64 number, uint32 pharmacy, uint16 sequence, uint64 deadline)
        internal
        pure
        returns (bytes32)
    {
        return keccak256(abi.encode(ACCEPT_AUTHORISATION_TYPEHASH, number, pharmacy, sequence, deadline));
    }

    function deliveryConfirmation(uint64 number, uint16 sequence, uint16[5] memory quantities, uint64 deadline)
        internal
        pure
        returns (bytes32)
    {
        bytes32 lines;
        // The words of an array in memory are EIP-712's encoding of it.
        assembly ("memory-safe") {
            lines := keccak256(quantities, 160)
        }
        return keccak256(abi.encode(DELIVERY_CONFIRMATION_TYPEHASH, number, sequence, lines, deadline));
    }

    function batchEndorsement(uint32 segment, uint64 first, uint32 count, bytes32 root, uint64 deadline)
        internal
        pure
        returns (bytes32)
    {
        return keccak256(abi.encode(BATCH_ENDORSEMENT_TYPEHASH, segment, first, count, root, deadline));
    }

    function operatorConsent(uint32 institution, uint64 deadline) internal pure returns (bytes32) {
        return keccak256(abi.encode(OPERATOR_CONSENT_TYPEHASH, institution, deadline));
    }

    function accessGrant(uint64 number, uint32 institution, uint8 purpose, uint32 sequence, uint64 until)
        internal
        pure
        returns (bytes32)
    {
        return keccak256(abi.encode(ACCESS_GRANT_TYPEHASH, number, institution, purpose, sequence, until));
    }

    function accessRevocation(uint64 number, uint32 institution, uint8 purpose, uint32 sequence)
        internal
        pure
        returns (bytes32)
    {
        return keccak256(abi.encode(ACCESS_REVOCATION_TYPEHASH, number, institution, purpose, sequence));
    }

    /// @param pair Canonical JSON of `[name, value]`.
    function fieldDigest(bytes32 salt, bytes calldata pair) internal pure returns (bytes32) {
        return keccak256(abi.encodePacked(bytes1(0x03), salt, pair));
    }

    /// @param namesHash keccak-256 of the canonical JSON of all names.
    /// @param digests Digests of all fields, in order of name.
    function body(bytes32 namesHash, bytes32[] calldata digests) internal pure returns (bytes32) {
        return keccak256(abi.encodePacked(bytes1(0x04), namesHash, digests));
    }

    function leaf(bytes32 structHash) internal pure returns (bytes32) {
        return keccak256(abi.encodePacked(bytes1(0x00), structHash));
    }

    function node(bytes32 left, bytes32 right) internal pure returns (bytes32 parent) {
        // Assembly, for a path has one for each level: half the gas of abi.encodePacked.
        assembly ("memory-safe") {
            let free := mload(0x40)
            mstore8(free, 0x01)
            mstore(add(free, 1), left)
            mstore(add(free, 33), right)
            parent := keccak256(free, 65)
        }
    }

    function headHash(TreeHead memory head, bytes32 root) internal pure returns (bytes32) {
        return keccak256(
            abi.encodePacked(bytes1(0x02), root, head.first, head.count, head.segment, head.issuedAt)
        );
    }

    /// @dev RFC 9162, section 2.1.3.2: the root that `path` leads to from `leaf_` at `index` of
    /// `count`. `position` and `last` are the RFC's fn and sn.
    function rootOfPath(bytes32 leaf_, uint256 index, uint256 count, bytes32[] calldata path)
        internal
        pure
        returns (bytes32 root)
    {
        if (index >= count) revert PathLengthWrong(index, count, path.length);
        uint256 position = index;
        uint256 last = count - 1;
        root = leaf_;
        for (uint256 i = 0; i < path.length; ++i) {
            if (last == 0) revert PathLengthWrong(index, count, path.length);
            if (position & 1 == 1 || position == last) {
                root = node(path[i], root);
                while (position & 1 == 0 && position != 0) {
                    position >>= 1;
                    last >>= 1;
                }
            } else {
                root = node(root, path[i]);
            }
            position >>= 1;
            last >>= 1;
        }
        if (last != 0) revert PathLengthWrong(index, count, path.length);
    }

    /// @dev The root that `path` leads to from several leaves at ascending indexes of `count`. From
    /// the leaves up, left to right, each node whose sibling is not known takes the next hash of the
    /// path, so indexes and count alone say how many it holds, and each has one place. For one leaf it is the
    /// path of `rootOfPath`. Overwrites `nodes` and `indexes`: nothing else needs them afterwards.
    function rootOfSharedPath(
        bytes32[] memory nodes,
        uint256[] memory indexes,
        uint256 count,
        bytes32[] calldata path
    ) internal pure returns (bytes32) {
        _requireAscending(indexes, count);
        uint256 leaves = indexes.length;
        uint256 known = leaves;
        uint256 used = 0;
        for (uint256 width = count; width > 1; width = (width + 1) >> 1) {
            uint256 above = 0;
            for (uint256 i = 0; i < known; ++above) {
                uint256 index = indexes[i];
                bytes32 found = nodes[i++];
                if (index & 1 == 0 && i < known && indexes[i] == index + 1) {
                    found = node(found, nodes[i++]);
                } else if (index & 1 == 1 || index + 1 < width) {
                    if (used == path.length) revert SharedPathLengthWrong(leaves, count, path.length);
                    bytes32 sibling = path[used++];
                    found = index & 1 == 1 ? node(sibling, found) : node(found, sibling);
                } // else it is the right edge, unpaired, and moves up unchanged.
                nodes[above] = found;
                indexes[above] = index >> 1;
            }
            known = above;
        }
        if (used != path.length) revert SharedPathLengthWrong(leaves, count, path.length);
        return nodes[0];
    }

    function _requireAscending(uint256[] memory indexes, uint256 count) private pure {
        for (uint256 i = 0; i < indexes.length; ++i) {
            bool ascends = i == 0 || indexes[i] > indexes[i - 1];
            if (!ascends || indexes[i] >= count) revert IndexOutOfOrder(indexes[i], count);
        }
    }
}
