// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Fixture} from "./Fixture.sol";

/// @title No two issues ever take one number
contract Numbers is Fixture {
    struct Serials {
        uint64 first;
        uint64 last;
    }

    struct Issue {
        bool ofSecond;
        uint64 first;
        uint32 count;
    }

    /// @dev Two allotments of any serials, of one code or of two neighbours, then two issues from either
    /// segment. To allot later changes nothing: it reads no more than what was allotted before. The codes
    /// are given, because a product of unknowns is beyond the solver.
    function check_numbers(Serials[2] calldata serials, bool otherCode, Issue[2] calldata issues) external {
        uint32 segment = allotBills(hospitalId, BILL_CODE, serials[0].first, serials[0].last);
        uint32 code = otherCode ? BILL_CODE + 1 : BILL_CODE;
        uint32 second = allotBills(hospitalId, code, serials[1].first, serials[1].last);

        (Issue calldata x, Issue calldata y) = (issues[0], issues[1]);
        issueBills(HOSPITAL, x.ofSecond ? second : segment, x.first, x.count, keccak256("root"));
        issueBills(HOSPITAL, y.ofSecond ? second : segment, y.first, y.count, keccak256("root"));

        assert(uint256(x.first) + x.count <= y.first || uint256(y.first) + y.count <= x.first);
    }
}
