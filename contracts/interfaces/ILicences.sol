// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

/// @title What a ledger of prescriptions asks of the licences
interface ILicences {
    /// @notice Whether the licence was valid at that second: opened, not before its first or after its
    /// last day, and neither suspended nor revoked then.
    /// @param number Number of the licence.
    /// @param time Unix seconds.
    function isValidAt(uint64 number, uint64 time) external view returns (bool);
}
