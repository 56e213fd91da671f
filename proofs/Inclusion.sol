// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Hashing} from "contracts/libraries/Hashing.sol";
import {Fixture} from "./Fixture.sol";

/// @title A number opens with one leaf only, the one at its position
contract Inclusion is Fixture {
    uint32 private constant LARGEST = 3;
    uint64 private constant FIRST = BILL_CODE * SERIALS + 1;

    /// @notice Whatever root a hospital anchors, two proofs for one number show the same leaf.
    /// @dev Tree heads and paths are the prover's, any; paths of up to two steps, those of three leaves.
    /// @custom:halmos --default-array-lengths 0,1,2
    function check_oneLeaf(
        bytes32 root,
        uint32 count,
        uint64 number,
        bytes32[2] calldata leaves,
        Hashing.TreeHead[2] calldata heads,
        bytes32[] calldata path,
        bytes32[] calldata otherPath
    ) external {
        vm.assume(count <= LARGEST);
        issueBills(HOSPITAL, allotBills(hospitalId, BILL_CODE, 1, LARGEST), FIRST, count, root);

        invoices.verifyInclusion(leaves[0], number, heads[0], path);
        invoices.verifyInclusion(leaves[1], number, heads[1], otherPath);

        assert(leaves[0] == leaves[1]);
    }
}
