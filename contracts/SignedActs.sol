// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";

/// @title What is signed off chain
/// @dev Guarantees: a signature counts on this chain and for this contract only; the EIP-712 domain
/// stands here once, for patients, supervisors and new keys. Trusts OpenZeppelin's checker (keys with
/// low s only, and ERC-1271 wallets). Does not: know deadlines, or stop a replay.
abstract contract SignedActs is EIP712 {
    constructor() EIP712("medledger", "1") {}

    /// @param structHash EIP-712 hashStruct of the act.
    function _isSignedBy(address signer, bytes32 structHash, bytes calldata signature) internal view returns (bool) {
        bytes32 digest = _hashTypedDataV4(structHash);
        // The key first: only where it did not sign is it worth the price to ask whether there is a wallet.
        (address recovered, ECDSA.RecoverError problem,) = ECDSA.tryRecover(digest, signature);
        if (problem == ECDSA.RecoverError.NoError && recovered == signer) return true;
        return SignatureChecker.isValidERC1271SignatureNow(signer, digest, signature);
    }
}
