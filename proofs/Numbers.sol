// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Fixture} from "./Fixture.sol";

/// @title No two issues ever take one number
contract Numbers is Fixture {
    struct Allotment {
        bool toOther;
        bool ofOtherCode;
        uint64 first;
        uint64 last;
    }

    struct Issue {
        bool byOther;
        uint32 segment;
        uint64 first;
        uint32 count;
    }

    /// @dev Two allotments of any serials of one code or of two neighbours, then two issues by any hospital
    /// from either segment. To allot later changes nothing: it reads no more than what was allotted before.
    /// The codes are given, because a product of unknowns is beyond the solver.
    function check_numbers(Allotment[2] calldata allotments, Issue[2] calldata issues) external {
        for (uint256 i = 0; i < 2; ++i) {
            Allotment calldata a = allotments[i];
            uint32 code = a.ofOtherCode ? BILL_CODE + 1 : BILL_CODE;
            allotBills(a.toOther ? otherHospitalId : hospitalId, code, a.first, a.last);
        }
        for (uint256 i = 0; i < 2; ++i) {
            Issue calldata b = issues[i];
            vm.assume(b.segment == 1 || b.segment == 2);
            uint32 segment = b.segment == 1 ? 1 : 2;
            issueBills(b.byOther ? OTHER_HOSPITAL : HOSPITAL, segment, b.first, b.count, keccak256("root"));
        }

        (Issue calldata x, Issue calldata y) = (issues[0], issues[1]);
        assert(uint256(x.first) + x.count <= y.first || uint256(y.first) + y.count <= x.first);
    }
}
