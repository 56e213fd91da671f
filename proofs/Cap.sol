// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IClaims} from "contracts/interfaces/IClaims.sol";
import {Hashing} from "contracts/libraries/Hashing.sol";
import {Fixture} from "./Fixture.sol";

/// @title I1: over all payers, locked + reimbursed never exceeds the claimable part, fixed benefits aside
contract Cap is Fixture {
    uint64 private constant CLAIMABLE = 10_000;

    struct Act {
        uint8 act;
        uint64 amount;
        bool fixedBenefit;
        uint32 waited;
    }

    /// @dev An act that reverts leaves the state as it was, so a sequence with refused acts is a shorter one.
    /// The first act that is not refused is a lock; by symmetry it is the first payer's. The patient
    /// signs everything: the cap does not rest on the patient.
    function check_cap(uint64 firstAmount, bool firstFixed, Act[2] calldata acts) external {
        Bill memory bill = issueBill(CLAIMABLE);
        lock(PAYER, bill, _terms(firstAmount, firstFixed));
        _requireCap(bill.header.number);
        for (uint256 i = 0; i < 2; ++i) {
            wait_(acts[i].waited);
            _act(acts[i], bill);
            _requireCap(bill.header.number);
        }
    }

    function _requireCap(uint64 number) private view {
        uint256 used = _usedBy(payerId, number) + _usedBy(otherPayerId, number);
        (uint64 locked, uint64 reimbursed) = claims.usageOf(number);
        assert(used <= CLAIMABLE);
        assert(uint256(locked) + reimbursed == used);
    }

    function _act(Act calldata act, Bill memory bill) private {
        address payer = act.act & 1 == 0 ? PAYER : OTHER_PAYER;
        Hashing.ClaimTerms memory terms = _terms(act.amount, act.fixedBenefit);
        if (act.act < 2) lock(payer, bill, terms);
        else if (act.act < 4) settle(payer, bill.header.number, act.amount);
        else if (act.act < 6) withdraw(payer, bill.header.number);
        else lockAndSettle(payer, bill, terms, act.amount);
    }

    function _terms(uint64 amount, bool fixedBenefit) private pure returns (Hashing.ClaimTerms memory) {
        return Hashing.ClaimTerms(amount, type(uint64).max, 0, fixedBenefit, address(0));
    }

    /// @dev What a payer has locked or settled, from its claim alone: the sum must not miss anybody.
    function _usedBy(uint32 payer, uint64 number) private view returns (uint256) {
        IClaims.Claim memory claim = claims.claimOf(number, payer);
        if (claim.fixedBenefit) return 0;
        if (claim.status == IClaims.Status.Settled) return claim.amount;
        return claim.status == IClaims.Status.Locked && block.timestamp <= claim.until ? claim.amount : 0;
    }
}
