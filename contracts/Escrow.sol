// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {ReentrancyGuard} from "@openzeppelin/contracts/utils/ReentrancyGuard.sol";
import {IEscrow} from "./interfaces/IEscrow.sol";
import {IInstitutions} from "./interfaces/IInstitutions.sol";
import {ExactTransfer} from "./libraries/ExactTransfer.sol";
import {Kinds} from "./libraries/Kinds.sol";

/// @title Deposits of payers in the settlement token
/// @dev Guarantees: a deposit leaves only by its payer, or by a settlement of it; the deposits add up to no more
/// than the tokens here. Trusts: `claims` to pay each settlement once; `institutions`. Does not trust the
/// token: what it moved is measured.
contract Escrow is IEscrow, ReentrancyGuard {
    using ExactTransfer for IERC20;

    IInstitutions public immutable institutions;
    IERC20 public immutable token;
    uint16 public immutable currency;
    address public immutable claims;

    mapping(uint32 payer => uint256) public depositOf;

    /// @param claims_ The Claims contract, deployed afterwards at this address; it refuses any other escrow.
    constructor(IInstitutions institutions_, IERC20 token_, uint16 currency_, address claims_) {
        institutions = institutions_;
        token = token_;
        currency = currency_;
        claims = claims_;
    }

    /// @inheritdoc IEscrow
    function deposit(uint256 amount) external nonReentrant {
        uint32 payer = institutions.authorise(msg.sender, Kinds.PAYER);

        depositOf[payer] += amount;
        emit Deposited(payer, amount, msg.sender);
        token.collect(address(this), amount);
    }

    /// @inheritdoc IEscrow
    function withdraw(uint256 amount, address to) external nonReentrant {
        uint32 payer = institutions.authorise(msg.sender, Kinds.PAYER);
        _take(payer, amount);

        emit DepositWithdrawn(payer, to, amount, msg.sender);
        _transfer(to, amount);
    }

    /// @inheritdoc IEscrow
    function pay(uint64 number, uint32 payer, address payee, uint64 amount) external nonReentrant {
        if (msg.sender != claims) revert NotClaims(msg.sender);
        _take(payer, amount);

        emit ClaimPaid(number, payer, payee, amount);
        _transfer(payee, amount);
    }

    function _take(uint32 payer, uint256 amount) private {
        uint256 held = depositOf[payer];
        if (amount > held) revert DepositTooSmall(payer, amount, held);
        depositOf[payer] = held - amount;
    }

    function _transfer(address to, uint256 amount) private {
        if (to == address(this)) revert PayeeInvalid(to);
        token.send(to, amount);
    }
}
