// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IClaims} from "contracts/interfaces/IClaims.sol";
import {Hashing} from "contracts/libraries/Hashing.sol";
import {Fixture, IToken} from "./Fixture.sol";

/// @title I9: no payment without the mark, no mark of a payment without the tokens, and both once
contract Payment is Fixture {
    uint64 private constant CLAIMABLE = 10_000;

    struct Act {
        uint8 act;
        uint64 amount;
        uint64 decided;
        bool onChain;
    }

    /// @dev Three acts of a payer whose deposit is any. The first that is not refused locks.
    function check_payment(uint64 deposited, Act[3] calldata acts) external {
        Bill memory bill = issueBill(CLAIMABLE);
        deposit(deposited);
        for (uint256 i = 0; i < 3; ++i) {
            _act(acts[i], bill);
            _requirePaid(bill.header.number, deposited);
        }
    }

    function _act(Act calldata act, Bill memory bill) private {
        Hashing.ClaimTerms memory terms =
            Hashing.ClaimTerms(act.amount, type(uint64).max, 0, false, act.onChain ? PAYEE : address(0));
        if (act.act == 0) lock(PAYER, bill, terms);
        else if (act.act == 1) settle(PAYER, bill.header.number, act.decided);
        else if (act.act == 2) lockAndSettle(PAYER, bill, terms, act.decided);
        else withdraw(PAYER, bill.header.number);
    }

    function _requirePaid(uint64 number, uint64 deposited) private view {
        IClaims.Claim memory claim = claims.claimOf(number, payerId);
        bool isSettled = claim.status == IClaims.Status.Settled;
        uint256 paid = isSettled && claim.isPaid ? claim.amount : 0;
        assert(isSettled || !claim.isPaid);
        assert(IToken(address(escrow.token())).balanceOf(PAYEE) == paid);
        assert(escrow.depositOf(payerId) == deposited - paid);
        assert(escrow.depositOf(otherPayerId) == deposited);
    }
}
