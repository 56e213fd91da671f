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
        // The key first: only where it did not sign is it worth the price to ask whether there is a wallet.
        (address signer, ECDSA.RecoverError problem,) = ECDSA.tryRecover(digest, signature);
        if (problem == ECDSA.RecoverError.NoError && signer == patient) return;
        if (!SignatureChecker.isValidERC1271SignatureNow(patient, digest, signature)) {
            revert AuthorisationInvalid(number, patient);
        }
    }
}
