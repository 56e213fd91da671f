// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

/// @title What a bill asks of a prescription
interface IHandedOver {
    /// @notice Whether the patient has confirmed all that was prescribed for this fill.
    /// @dev Warning: false again once the next fill is accepted.
    function isHandedOver(uint64 number) external view returns (bool);
}
