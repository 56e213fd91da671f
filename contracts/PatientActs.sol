// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
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
        bytes32 digest = _hashTypedDataV4(structHash);
        // A key first: to ask whether the patient is a contract takes 2,600 gas, and few are.
        if (signature.length == 65 && _isByKey(patient, digest, signature)) return;
        if (!SignatureChecker.isValidERC1271SignatureNow(patient, digest, signature)) {
            revert AuthorisationInvalid(number, patient);
        }
    }

    /// @param signature 65 bytes: r, s, v.
    function _isByKey(address patient, bytes32 digest, bytes calldata signature) private pure returns (bool) {
        (bytes32 r, bytes32 s) = (bytes32(signature[:32]), bytes32(signature[32:64]));
        (address signer, ECDSA.RecoverError problem,) = ECDSA.tryRecover(digest, uint8(signature[64]), r, s);
        return problem == ECDSA.RecoverError.NoError && signer == patient;
    }
}
