// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IClaims} from "../interfaces/IClaims.sol";

/// @title A claim as one word of storage
/// @dev Guarantees: `unpack` shows what the other functions wrote. By hand, because the compiler reads and
/// writes a packed struct member by member, which takes a batch of claims over its price. From the
/// lowest bit: payer 32, amount 64, until 40, sequence 16, status 8, flags 8, payment 88.
library ClaimWords {
    uint256 private constant FIXED_BENEFIT = 1 << 160;
    uint256 private constant PAID = 1 << 161;
    uint256 private constant OTHERS = 1 << 162;
    uint256 private constant SEQUENCE = uint256(type(uint16).max) << 136;
    /// @dev Amount, until and status.
    uint256 private constant STANDING = (uint256(type(uint104).max) << 32) | (uint256(type(uint8).max) << 152);

    /// @dev Locked, by one more signature than before. What a former claim was paid by is forgotten.
    function locked(uint256 word, uint32 payer_, uint64 amount_, uint256 until_, bool fixedBenefit_)
        internal
        pure
        returns (uint256 found)
    {
        found = withSequence(word & (OTHERS | SEQUENCE) | payer_);
        found = ended(found, amount_, until_, IClaims.Status.Locked);
        if (fixedBenefit_) found |= FIXED_BENEFIT;
    }

    /// @dev Of another standing from now on.
    function ended(uint256 word, uint64 amount_, uint256 until_, IClaims.Status status_)
        internal
        pure
        returns (uint256)
    {
        return word & ~STANDING | uint256(amount_) << 32 | until_ << 96 | uint256(status_) << 152;
    }

    /// @dev By one more signature of the patient.
    function withSequence(uint256 word) internal pure returns (uint256) {
        return word & ~SEQUENCE | uint256(sequence(word) + 1) << 136;
    }

    function withPayment(uint256 word, bytes32 payment_) internal pure returns (uint256) {
        return word | uint256(payment_) >> 168 << 168;
    }

    function withPaid(uint256 word) internal pure returns (uint256) {
        return word | PAID;
    }

    function withOthers(uint256 word) internal pure returns (uint256) {
        return word | OTHERS;
    }

    function payer(uint256 word) internal pure returns (uint32) {
        return uint32(word);
    }

    function amount(uint256 word) internal pure returns (uint64) {
        return uint64(word >> 32);
    }

    function until(uint256 word) internal pure returns (uint40) {
        return uint40(word >> 96);
    }

    function sequence(uint256 word) internal pure returns (uint16) {
        return uint16(word >> 136);
    }

    function status(uint256 word) internal pure returns (IClaims.Status) {
        return IClaims.Status(uint8(word >> 152));
    }

    function fixedBenefit(uint256 word) internal pure returns (bool) {
        return word & FIXED_BENEFIT != 0;
    }

    function isPaid(uint256 word) internal pure returns (bool) {
        return word & PAID != 0;
    }

    function hasOthers(uint256 word) internal pure returns (bool) {
        return word & OTHERS != 0;
    }

    /// @dev The first eleven bytes of the payment's reference.
    function payment(uint256 word) internal pure returns (bytes11) {
        return bytes11(bytes32(word));
    }

    function unpack(uint256 word) internal pure returns (IClaims.Claim memory) {
        return IClaims.Claim(
            payer(word),
            amount(word),
            until(word),
            sequence(word),
            status(word),
            fixedBenefit(word),
            isPaid(word),
            payment(word)
        );
    }
}
