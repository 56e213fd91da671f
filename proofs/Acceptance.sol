// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Fixture} from "./Fixture.sol";

/// @title Rule 3: no two pharmacies hold one prescription at once
contract Acceptance is Fixture {
    /// @dev Last second of each pharmacy's hold, as its own acts make it; the ledger is not asked.
    uint256 private _holdUntil;
    uint256 private _otherHoldUntil;

    /// @dev Refused acts leave the state as it was, so a sequence with them is a shorter one. The patient
    /// signs whatever is asked: exclusiveness does not rest on the patient. The first act that is not
    /// refused is an acceptance; by symmetry it is the first pharmacy's.
    function check_acceptance(uint24 quantity, uint8[2] calldata acts, uint32[2] calldata waits) external {
        uint64 number = openPrescription(quantity);
        _act(0, number);
        for (uint256 i = 0; i < 2; ++i) {
            wait_(waits[i]);
            _act(acts[i], number);
            assert(block.timestamp > _holdUntil || block.timestamp > _otherHoldUntil);
        }
    }

    function _act(uint8 act, uint64 number) private {
        if (act == 0) {
            accept(PHARMACY, number, type(uint64).max);
            _holdUntil = block.timestamp + LEASE_PERIOD;
        } else if (act == 1) {
            accept(OTHER_PHARMACY, number, type(uint64).max);
            _otherHoldUntil = block.timestamp + LEASE_PERIOD;
        } else if (act == 2) {
            returnToPool(PHARMACY, number);
            _holdUntil = 0;
        } else if (act == 3) {
            returnToPool(OTHER_PHARMACY, number);
            _otherHoldUntil = 0;
        } else if (act == 4) {
            // What has begun is held until the patient confirms it.
            dispense(PHARMACY, number, 1);
            _holdUntil = type(uint256).max;
        } else {
            dispense(OTHER_PHARMACY, number, 1);
            _otherHoldUntil = type(uint256).max;
        }
    }
}
