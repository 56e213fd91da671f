// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Hashing} from "contracts/libraries/Hashing.sol";
import {Vm} from "./Vm.sol";

/// @title An inclusion proof is bound to its position
contract Inclusion {
    Vm private constant vm = Vm(0x7109709ECfa91a80626fF3989D68f67F5b1DD12D);
    uint256 private constant LARGEST = 4;

    /// @notice Whatever root was anchored, two proofs for one position of a tree show the same leaf.
    /// @dev Leaves and paths are the prover's, any, so that an inner node passed off as a leaf is among them.
    /// @custom:halmos --default-array-lengths 0,1,2
    function check_oneLeaf(
        uint256 index,
        uint256 count,
        bytes32 leaf,
        bytes32 otherLeaf,
        bytes32[] calldata path,
        bytes32[] calldata otherPath
    ) external pure {
        vm.assume(count <= LARGEST);

        bytes32 root = Hashing.rootOfPath(leaf, index, count, path);
        bytes32 otherRoot = Hashing.rootOfPath(otherLeaf, index, count, otherPath);

        if (root == otherRoot) assert(leaf == otherLeaf);
    }
}
