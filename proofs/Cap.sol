// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IClaims} from "contracts/interfaces/IClaims.sol";
import {Fixture} from "./Fixture.sol";

/// @title I1: over all payers, locked + reimbursed never exceeds the claimable part
contract Cap is Fixture {
    uint64 private constant CLAIMABLE = 10_000;

    /// @dev An act that reverts leaves the state as it was, so a sequence with refused acts is a shorter one.
    /// The first act that is not refused is a lock; by symmetry it is the first payer's.
    function check_cap(
        uint64 firstAmount,
        uint8[2] calldata acts,
        uint64[2] calldata amounts,
        uint32[2] calldata waits
    ) external {
        uint64 number = openBill(CLAIMABLE);
        lock(PAYER, number, firstAmount, type(uint64).max);
        _requireCap(number, CLAIMABLE);
        for (uint256 i = 0; i < 2; ++i) {
            wait_(waits[i]);
            _act(acts[i], number, amounts[i]);
            _requireCap(number, CLAIMABLE);
        }
    }

    function _requireCap(uint64 number, uint64 claimable) private view {
        uint256 used = _usedBy(payerId, number) + _usedBy(otherPayerId, number);
        (uint64 locked, uint64 reimbursed) = claims.usageOf(number);
        assert(used <= claimable);
        assert(uint256(locked) + reimbursed == used);
    }

    function _act(uint8 act, uint64 number, uint64 amount) private {
        if (act == 0) lock(PAYER, number, amount, type(uint64).max);
        else if (act == 1) lock(OTHER_PAYER, number, amount, type(uint64).max);
        else if (act == 2) settle(PAYER, number, amount);
        else if (act == 3) settle(OTHER_PAYER, number, amount);
        else if (act == 4) release(PAYER, number);
        else release(OTHER_PAYER, number);
    }

    /// @dev What a payer has locked or settled, from its claim alone: the sum must not miss anybody.
    function _usedBy(uint32 payer, uint64 number) private view returns (uint256) {
        IClaims.Claim memory claim = claims.claimOf(number, payer);
        if (claim.status == IClaims.Status.Settled) return claim.amount;
        return claim.status == IClaims.Status.Locked && block.timestamp <= claim.until ? claim.amount : 0;
    }
}
