// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {IEscrow} from "../interfaces/IEscrow.sol";

/// @title Transfers of tokens that move exactly what they were asked to
/// @dev Both sides are measured: a token may take less from one than it gives to the other, or more. Where both
/// are the same account nothing moved, and the transfer is refused. Callers guard against re-entrancy: what a
/// token moves meanwhile is measured, too.
library ExactTransfer {
    using SafeERC20 for IERC20;

    /// @dev Tokens of this contract.
    function send(IERC20 token, address to, uint256 amount) internal {
        uint256 here = token.balanceOf(address(this));
        uint256 there = token.balanceOf(to);
        token.safeTransfer(to, amount);
        _requireMoved(token, amount, address(this), here, to, there);
    }

    /// @dev Tokens of the caller, who allowed it.
    function collect(IERC20 token, address to, uint256 amount) internal {
        uint256 here = token.balanceOf(msg.sender);
        uint256 there = token.balanceOf(to);
        token.safeTransferFrom(msg.sender, to, amount);
        _requireMoved(token, amount, msg.sender, here, to, there);
    }

    function _requireMoved(
        IERC20 token,
        uint256 amount,
        address from,
        uint256 here,
        address to,
        uint256 there
    ) private view {
        _requireExact(amount, token.balanceOf(from), here);
        _requireExact(amount, there, token.balanceOf(to));
    }

    /// @dev A balance that ran backwards counts as nothing moved.
    function _requireExact(uint256 amount, uint256 less, uint256 more) private pure {
        uint256 moved = more > less ? more - less : 0;
        if (moved != amount) revert IEscrow.TransferInexact(amount, moved);
    }
}
