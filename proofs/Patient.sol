// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

/// @title A patient whose signature cannot be forged
/// @notice Stands for a key: says yes (ERC-1271) to what it was told to sign, and to nothing else.
/// @dev halmos lets ecrecover of any digest be any address, which makes every signature a forgery. A
/// wallet that knows what it signed is the signature as it is meant.
contract Patient {
    bool private _signsEverything = true;
    bytes32 private _signed;

    /// @notice From now on this digest is all that the patient has ever signed.
    function signOnly(bytes32 digest) external {
        _signsEverything = false;
        _signed = digest;
    }

    /// @notice From now on the patient signs whatever is asked.
    function signEverything() external {
        _signsEverything = true;
    }

    function isValidSignature(bytes32 digest, bytes calldata) external view returns (bytes4) {
        return _signsEverything || digest == _signed ? this.isValidSignature.selector : bytes4(0);
    }
}
