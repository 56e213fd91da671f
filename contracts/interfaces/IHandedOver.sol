// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

/// @title What a bill asks of a prescription
interface IHandedOver {
    /// @notice Whether all that was prescribed is with the patient.
    function isHandedOver(uint64 number) external view returns (bool);
}
