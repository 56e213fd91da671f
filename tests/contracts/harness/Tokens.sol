// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

/// @title Settlement tokens that lie
/// @notice Each keeps balances and ignores allowances; what it answers, and what it moves, differs.
abstract contract Balances {
    mapping(address account => uint256) public balanceOf;

    function mint(address to, uint256 amount) external {
        balanceOf[to] += amount;
    }

    function _move(address from, address to, uint256 amount, uint256 fee) internal {
        balanceOf[from] -= amount;
        balanceOf[to] += amount - fee;
    }
}

/// @notice Answers nothing, as some old tokens do.
contract SilentToken is Balances {
    function transfer(address to, uint256 amount) external {
        _move(msg.sender, to, amount, 0);
    }

    function transferFrom(address from, address to, uint256 amount) external {
        _move(from, to, amount, 0);
    }
}

/// @notice Answers false and moves nothing.
contract FalseToken is Balances {
    function transferFrom(address, address, uint256) external pure returns (bool) {
        return false;
    }
}

/// @notice Keeps a fee of what it moves.
contract FeeToken is Balances {
    uint256 public fee = 1;

    function setFee(uint256 fee_) external {
        fee = fee_;
    }

    function transfer(address to, uint256 amount) external returns (bool) {
        _move(msg.sender, to, amount, fee);
        return true;
    }

    function transferFrom(address from, address to, uint256 amount) external returns (bool) {
        _move(from, to, amount, fee);
        return true;
    }
}

/// @notice Takes one more of whom it moves tokens from than it gives to the other.
contract SurchargeToken is Balances {
    uint256 public surcharge = 1;

    function setSurcharge(uint256 surcharge_) external {
        surcharge = surcharge_;
    }

    function transfer(address to, uint256 amount) external returns (bool) {
        _move(msg.sender, to, amount + surcharge, surcharge);
        return true;
    }

    function transferFrom(address from, address to, uint256 amount) external returns (bool) {
        _move(from, to, amount + surcharge, surcharge);
        return true;
    }
}

/// @notice Moves tokens the other way.
contract BackwardToken is Balances {
    function transferFrom(address from, address to, uint256 amount) external returns (bool) {
        _move(to, from, amount, 0);
        return true;
    }
}

/// @notice Calls back what it is told to, each time that it moves something, and gives the refusal on.
/// @dev It may be a key of an institution: `act` sends what it does as one.
contract CallingToken is Balances {
    address private _target;
    bytes private _data;

    function callBack(address target, bytes calldata data) external {
        (_target, _data) = (target, data);
    }

    function act(address target, bytes calldata data) external {
        _call(target, data);
    }

    function transfer(address to, uint256 amount) external returns (bool) {
        return _moveAndCall(msg.sender, to, amount);
    }

    function transferFrom(address from, address to, uint256 amount) external returns (bool) {
        return _moveAndCall(from, to, amount);
    }

    function _moveAndCall(address from, address to, uint256 amount) private returns (bool) {
        _move(from, to, amount, 0);
        (address target, bytes memory data) = (_target, _data);
        // Once: the token does not call itself for ever.
        delete _target;
        if (target != address(0)) _call(target, data);
        return true;
    }

    function _call(address target, bytes memory data) private {
        (bool done, bytes memory answer) = target.call(data);
        if (!done) {
            assembly ("memory-safe") {
                revert(add(answer, 32), mload(answer))
            }
        }
    }
}
