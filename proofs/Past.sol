// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Fixture} from "./Fixture.sol";

/// @title What the ledger says of a licence in a second that is over stays so
contract Past is Fixture {
    struct Act {
        uint8 act;
        uint40 validUntil;
        uint32 waited;
    }

    /// @dev Two acts of the authority make any past; the third must not change it.
    function check_past(uint40 validFrom, uint40 validUntil, Act[3] calldata acts, uint64 time) external {
        (uint32 segment, uint64 number) = openLicence(validFrom, validUntil);
        _act(segment, number, acts[0]);
        _act(segment, number, acts[1]);
        wait_(acts[2].waited);
        vm.assume(time < block.timestamp);

        bool wasValid = licences.isValidAt(number, time);
        _act(segment, number, Act(acts[2].act, acts[2].validUntil, 0));

        assert(licences.isValidAt(number, time) == wasValid);
    }

    function _act(uint32 segment, uint64 number, Act memory act) private {
        wait_(act.waited);
        vm.prank(AUTHORITY);
        if (act.act == 0) licences.suspend(segment, number, 0);
        else if (act.act == 1) licences.lift(segment, number, 0);
        else if (act.act == 2) licences.renew(segment, number, act.validUntil, 0);
        else licences.revoke(segment, number, 0);
    }
}
