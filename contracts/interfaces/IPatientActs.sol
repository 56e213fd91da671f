// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

/// @title What a patient signs
/// @notice Patients never send transactions: they sign EIP-712 messages that others relay. Each has a
/// deadline and a sequence, so that it works once.
interface IPatientActs {
    /// @notice The time for using this signature has passed.
    error AuthorisationExpired(uint64 number, uint64 deadline);
    /// @notice The signature is not the patient's over exactly this act, or has been used.
    error AuthorisationInvalid(uint64 number, address patient);
}
