// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

/// @title Contract wallets (ERC-1271) that stand for a patient, honest and not
/// @notice `answer` is what the wallet says of any signature that it does not refuse.
contract Wallet {
    bytes4 private constant MAGIC = 0x1626ba7e;

    address private immutable _owner;

    constructor(address owner) {
        _owner = owner;
    }

    /// @notice The magic value for a signature (r, s, v) by the owner, else zero.
    function isValidSignature(bytes32 digest, bytes calldata signature) external view returns (bytes4) {
        (bytes32 r, bytes32 s) = abi.decode(signature[:64], (bytes32, bytes32));
        return ecrecover(digest, uint8(signature[64]), r, s) == _owner ? MAGIC : bytes4(0);
    }
}

/// @notice Answers with bytes that are not exactly the magic value.
contract LyingWallet {
    bytes private _answer;

    constructor(bytes memory answer) {
        _answer = answer;
    }

    fallback(bytes calldata) external returns (bytes memory) {
        return _answer;
    }
}

/// @notice Refuses every question.
contract RevertingWallet {
    fallback() external {
        revert("no");
    }
}
