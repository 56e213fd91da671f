// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IClaims} from "./interfaces/IClaims.sol";
import {ClaimWords} from "./libraries/ClaimWords.sol";

/// @title What payers have locked and reimbursed
/// @dev Guarantees: what it tells of a bill counts each payer's claim once, and no expired lock. Does not: judge
/// an act; `Claims` does, before it writes here.
abstract contract ClaimBook is IClaims {
    using ClaimWords for uint256;

    /// @dev What payers after the first one hold of a bill. `holders` lists those with a lock, 32 bits each,
    /// so that expired locks can be told from open ones in one bounded pass.
    struct Others {
        uint64 reimbursed;
        uint64 benefits; // fixed benefits, reimbursed
        uint128 holders; // slot 0, four payers at most
    }

    /// @dev Most bills have one payer, ever: its claim is all that such a bill takes, one slot.
    mapping(uint64 number => uint256 claim) private _first;
    mapping(uint64 number => Others) private _others; // one slot each
    mapping(uint64 number => mapping(uint32 payer => uint256 claim)) private _later;

    /// @inheritdoc IClaims
    function claimOf(uint64 number, uint32 payer) public view returns (Claim memory) {
        (uint256 claim,) = _find(number, payer);
        return claim.unpack();
    }

    /// @inheritdoc IClaims
    function claimsOf(uint64[] calldata numbers, uint32[] calldata payers)
        external
        view
        returns (Claim[] memory found)
    {
        found = new Claim[](numbers.length);
        for (uint256 i = 0; i < numbers.length; ++i) {
            found[i] = claimOf(numbers[i], payers[i]);
        }
    }

    /// @inheritdoc IClaims
    function usageOf(uint64 number) public view returns (uint64 locked, uint64 reimbursed) {
        uint256 first = _first[number];
        if (first == 0) return (0, 0);
        if (!first.fixedBenefit()) {
            if (first.status() >= Status.Settled) reimbursed = first.amount();
            else if (_isOpen(first)) locked = first.amount();
        }
        if (first.hasOthers()) {
            (, uint64 byOthers,) = _sweep(number);
            locked += byOthers;
            reimbursed += _others[number].reimbursed;
        }
    }

    /// @inheritdoc IClaims
    function usagesOf(uint64[] calldata numbers)
        external
        view
        returns (uint64[] memory locked, uint64[] memory reimbursed)
    {
        locked = new uint64[](numbers.length);
        reimbursed = new uint64[](numbers.length);
        for (uint256 i = 0; i < numbers.length; ++i) {
            (locked[i], reimbursed[i]) = usageOf(numbers[i]);
        }
    }

    /// @inheritdoc IClaims
    function takenOf(uint64 number) external view returns (uint256 locked, uint256 reimbursed) {
        uint256 first = _first[number];
        if (first.status() >= Status.Settled) reimbursed = first.amount();
        else if (_isOpen(first)) locked = first.amount();
        if (first.hasOthers()) {
            (, uint256 byOthers, uint256 benefits) = _sweep(number);
            locked += byOthers + benefits;
            reimbursed += uint256(_others[number].reimbursed) + _others[number].benefits;
        }
    }

    function _store(uint64 number, uint256 claim, bool isLater) internal {
        if (isLater) _later[number][claim.payer()] = claim;
        else _first[number] = claim;
    }

    function _addHolder(uint64 number, uint32 payer) internal {
        (uint128 holders,,) = _sweep(number);
        if (holders >> 96 != 0) revert TooManyLocks(number);
        _others[number].holders = (holders << 32) | payer;
        _first[number] = _first[number].withOthers();
    }

    function _addReimbursed(uint64 number, uint64 amount, bool isBenefit) internal {
        if (isBenefit) _others[number].benefits += amount;
        else _others[number].reimbursed += amount;
        _first[number] = _first[number].withOthers();
    }

    function _takeReimbursed(uint64 number, uint64 amount, bool isBenefit) internal {
        if (isBenefit) _others[number].benefits -= amount;
        else _others[number].reimbursed -= amount;
    }

    /// @dev The first payer of a bill, whatever it did with it, keeps the first place.
    function _find(uint64 number, uint32 payer) internal view returns (uint256 claim, bool isLater) {
        claim = _first[number];
        isLater = claim != 0 && claim.payer() != payer;
        if (isLater) claim = _later[number][payer];
    }

    function _isOpen(uint256 claim) internal view returns (bool) {
        return claim.status() == Status.Locked && block.timestamp <= claim.until();
    }

    /// @dev The payers after the first whose lock is open now, and the sums of these locks: what counts
    /// against the bill, and fixed benefits. Four rounds at most.
    function _sweep(uint64 number) private view returns (uint128 holders, uint64 locked, uint256 benefits) {
        for (uint128 rest = _others[number].holders; rest != 0; rest >>= 32) {
            uint256 claim = _later[number][uint32(rest)];
            if (!_isOpen(claim)) continue;
            holders = (holders << 32) | uint32(rest);
            if (claim.fixedBenefit()) benefits += claim.amount();
            else locked += claim.amount();
        }
    }
}
