// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";

/// @title A settlement token for local chains
/// @dev Guarantees: only its deployer mints. Does not: stand for money. A chain in earnest has a token of
/// its own, with one base unit for one minor unit of the currency.
contract SettlementToken is ERC20 {
    /// @notice Who deployed the token, and alone may mint it.
    address public immutable minter;

    /// @notice The caller may not mint.
    error NotTheMinter(address account);

    constructor() ERC20("medledger settlement token", "MLS") {
        minter = msg.sender;
    }

    /// @notice Makes new tokens.
    function mint(address to, uint256 amount) external {
        if (msg.sender != minter) revert NotTheMinter(msg.sender);
        _mint(to, amount);
    }

    /// @notice Two decimals, as fen and cents have.
    function decimals() public pure override returns (uint8) {
        return 2;
    }
}
