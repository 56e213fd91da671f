// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

/// @title The cheat codes of halmos that the proofs use
interface Vm {
    /// @notice Sets aside every path on which the condition does not hold.
    function assume(bool condition) external pure;

    /// @notice Creation code of a contract, by the path of a file of the shape that Forge writes, seen from this folder.
    function getCode(string calldata path) external view returns (bytes memory);

    /// @notice Makes `sender` the sender of the next call.
    function prank(address sender) external;

    /// @notice Sets the block's time, Unix seconds.
    function warp(uint256 time) external;
}
