// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

/// @title Deposits of payers in the settlement token
/// @notice A payer deposits; a settlement pays the payee from the deposit, in the same transaction.
interface IEscrow {
    /// @notice A payer deposited tokens.
    event Deposited(uint32 indexed payer, uint256 amount, address by);
    /// @notice A payer took tokens back.
    event DepositWithdrawn(uint32 indexed payer, address to, uint256 amount, address by);
    /// @notice A settlement was paid.
    event ClaimPaid(uint64 indexed number, uint32 indexed payer, address payee, uint64 amount);

    /// @notice The caller is not the Claims contract.
    error NotClaims(address account);
    /// @notice The payer has not deposited as much.
    error DepositTooSmall(uint32 payer, uint256 amount, uint256 deposit);
    /// @notice The token did not move exactly this amount: it takes fees, or lies.
    error TransferInexact(uint256 amount, uint256 moved);
    /// @notice The escrow itself cannot be paid.
    error PayeeInvalid(address payee);

    /// @notice Moves tokens of the caller, a payer's operator, into its institution's deposit.
    /// @param amount Token base units; one is one minor unit of the currency.
    /// @dev Needs an allowance.
    function deposit(uint256 amount) external;

    /// @notice Takes tokens back out of the deposit of the caller's institution.
    function withdraw(uint256 amount, address to) external;

    /// @notice Pays a settlement from the payer's deposit; by the Claims contract alone.
    function pay(uint64 number, uint32 payer, address payee, uint64 amount) external;

    /// @notice A payer's deposit, token base units.
    function depositOf(uint32 payer) external view returns (uint256);

    /// @notice The one Claims contract that pays from here.
    function claims() external view returns (address);

    /// @notice ISO 4217 numeric code of what the token stands for.
    function currency() external view returns (uint16);

    /// @notice The settlement token.
    function token() external view returns (IERC20);
}
