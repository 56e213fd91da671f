// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {SignedActs} from "./SignedActs.sol";
import {IPatientActs} from "./interfaces/IPatientActs.sol";

/// @title What a patient signs
/// @dev Guarantees: a signature counts on this chain, for this contract, until its deadline. Trusts
/// `SignedActs`. Does not: stop a replay here; the struct that is signed must hold a sequence that
/// each use raises.
abstract contract PatientActs is IPatientActs, SignedActs {
    /// @param structHash EIP-712 hashStruct of the act.
    function _requireSigned(
        uint64 number,
        address patient,
        bytes32 structHash,
        uint64 deadline,
        bytes calldata signature
    ) internal view {
        if (deadline < block.timestamp) revert AuthorisationExpired(number, deadline);
        if (!_isSignedBy(patient, structHash, signature)) revert AuthorisationInvalid(number, patient);
    }
}
