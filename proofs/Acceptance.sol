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
    function check_acceptance(uint16 quantity, uint8[2] calldata acts, uint32[2] calldata waits) external {
        Prescription memory issued = issuePrescription(quantity);
        _act(0, issued);
        for (uint256 i = 0; i < 2; ++i) {
            wait_(waits[i]);
            _act(acts[i], issued);
            assert(block.timestamp > _holdUntil || block.timestamp > _otherHoldUntil);
        }
    }

    /// @dev Who accepts, dispenses or withdraws shows that it is alive, and holds for another lease.
    function _act(uint8 act, Prescription memory issued) private {
        uint64 number = issued.header.number;
        bool byOther = act & 1 == 1;
        address pharmacy = byOther ? OTHER_PHARMACY : PHARMACY;
        uint256 holdUntil = block.timestamp + LEASE_PERIOD;
        if (act < 2) {
            accept(pharmacy, issued, type(uint64).max);
        } else if (act < 4) {
            returnToPool(pharmacy, number);
            holdUntil = 0;
        } else if (act < 6) {
            dispense(pharmacy, number, 1);
        } else {
            withdrawDispensing(pharmacy, number);
        }
        if (byOther) _otherHoldUntil = holdUntil;
        else _holdUntil = holdUntil;
    }
}
