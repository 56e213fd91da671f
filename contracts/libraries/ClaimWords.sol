// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IClaims} from "../interfaces/IClaims.sol";

/// @title A claim as one word of storage
/// @dev Guarantees: `unpack(pack(claim))` is the claim. By hand, because the compiler writes a packed struct
/// member by member, which takes a batch of claims over its price. From the lowest bit: payer 32,
/// amount 64, until 40, sequence 16, status 8, flags 8, payment 88.
library ClaimWords {
    uint256 internal constant FIXED_BENEFIT = 1 << 160;
    uint256 internal constant IS_PAID = 1 << 161;
    uint256 internal constant HAS_OTHERS = 1 << 162;

    function pack(IClaims.Claim memory claim) internal pure returns (uint256 word) {
        word = uint256(claim.payer) | uint256(claim.amount) << 32 | uint256(claim.until) << 96
            | uint256(claim.sequence) << 136 | uint256(claim.status) << 152
            | uint256(uint88(claim.payment)) << 168;
        if (claim.fixedBenefit) word |= FIXED_BENEFIT;
        if (claim.isPaid) word |= IS_PAID;
        if (claim.hasOthers) word |= HAS_OTHERS;
    }

    function unpack(uint256 word) internal pure returns (IClaims.Claim memory claim) {
        claim.payer = uint32(word);
        claim.amount = uint64(word >> 32);
        claim.until = uint40(word >> 96);
        claim.sequence = uint16(word >> 136);
        claim.status = IClaims.Status(uint8(word >> 152));
        claim.fixedBenefit = word & FIXED_BENEFIT != 0;
        claim.isPaid = word & IS_PAID != 0;
        claim.hasOthers = word & HAS_OTHERS != 0;
        claim.payment = bytes11(uint88(word >> 168));
    }
}
