// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";
import {IPatientActs} from "./interfaces/IPatientActs.sol";

/// @title What a patient signs
/// @dev Guarantees: a signature counts on this chain, for this contract, until its deadline. Trusts
/// OpenZeppelin's checker (keys with low s only, and ERC-1271 wallets). Does not: stop a replay here;
/// the struct that is signed must hold a sequence that each use raises.
abstract contract PatientActs is IPatientActs, EIP712 {
    constructor() EIP712("medledger", "1") {}

    /// @param structHash EIP-712 hashStruct of the act.
    function _requireSigned(
        uint64 number,
        address patient,
        bytes32 structHash,
        uint64 deadline,
        bytes calldata signature
    ) internal view {
        if (deadline < block.timestamp) revert AuthorisationExpired(number, deadline);
        if (!SignatureChecker.isValidSignatureNow(patient, _hashTypedDataV4(structHash), signature)) {
            revert AuthorisationInvalid(number, patient);
        }
    }
}
