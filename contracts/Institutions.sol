// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Arrays} from "@openzeppelin/contracts/utils/Arrays.sol";
import {SignedActs} from "./SignedActs.sol";
import {IInstitutions} from "./interfaces/IInstitutions.sol";
import {Hashing} from "./libraries/Hashing.sol";
import {Kinds} from "./libraries/Kinds.sol";

/// @title Accredited institutions and their operators
/// @dev Guarantees: only supervisors accredit, renew, suspend and reinstate; one key acts for one
/// institution, ever, and only by its own consent or a supervisor's accreditation; no act of a
/// supervisor leaves the ledger without one. Trusts: its supervisors, all of them equally. Does not:
/// check names, or limit a supervisor to its region.
contract Institutions is IInstitutions, SignedActs {
    using Arrays for uint256[];

    mapping(uint32 institution => Institution) private _institutions;
    /// @dev Until when an institution could act, 0 while it is suspended, as of each change: its time at
    /// bit 64, that end below. One slot a change, also in one second, so that estimates of gas hold.
    mapping(uint32 institution => uint256[]) private _history;
    mapping(address account => Operator) private _operators;
    uint32 public institutionCount;

    /// @param nameHash keccak-256 of the name of the first supervisor, which becomes institution 1.
    /// @param region Its area code.
    /// @param operator Its first key.
    constructor(bytes32 nameHash, uint24 region, address operator) {
        _accredit(Kinds.SUPERVISOR, region, nameHash, uint64(block.timestamp), type(uint64).max, operator);
    }

    modifier onlySupervisor() {
        authorise(msg.sender, Kinds.SUPERVISOR);
        _;
    }

    /// @inheritdoc IInstitutions
    function accredit(
        uint8 kinds,
        uint24 region,
        bytes32 nameHash,
        uint64 validFrom,
        uint64 validUntil,
        address operator
    ) external onlySupervisor returns (uint32 institution) {
        return _accredit(kinds, region, nameHash, validFrom, validUntil, operator);
    }

    /// @inheritdoc IInstitutions
    function renew(uint32 institution, uint64 validUntil) external {
        Institution storage record = _knownOther(institution);
        if (validUntil < record.validFrom || validUntil < block.timestamp) {
            revert ValidityInvalid(record.validFrom, validUntil);
        }
        record.validUntil = validUntil;
        _remember(institution, record);
        emit InstitutionRenewed(institution, validUntil, msg.sender);
    }

    /// @inheritdoc IInstitutions
    function addOperator(uint32 institution, address operator, uint64 deadline, bytes calldata consent) external {
        Institution storage record = _known(institution);
        Operator storage caller = _operators[msg.sender];
        if (caller.institution == institution && caller.until == 0) {
            _requireActive(institution, record);
        } else if (!_isSupervisor(msg.sender)) {
            revert NotTheInstitution(institution, msg.sender);
        }
        if (deadline < block.timestamp) revert ConsentExpired(operator, deadline);
        if (!_isSignedBy(operator, Hashing.operatorConsent(institution, deadline), consent)) {
            revert ConsentInvalid(institution, operator);
        }
        _addOperator(institution, operator);
    }

    /// @inheritdoc IInstitutions
    function removeOperator(address operator) external {
        Operator storage record = _operators[operator];
        uint32 institution = record.institution;
        if (institution == 0 || record.until != 0) revert NotAnOperator(operator);
        if (msg.sender != operator && !_isSupervisor(msg.sender)) revert NotTheOperator(operator, msg.sender);
        Institution storage owner = _institutions[institution];
        bool isOwn = _operators[msg.sender].institution == institution;
        if (isOwn && owner.operators == 1 && owner.kinds & Kinds.SUPERVISOR != 0) {
            revert LastOperator(institution, operator);
        }

        record.until = uint64(block.timestamp);
        --owner.operators;
        emit OperatorRemoved(operator, institution, msg.sender);
    }

    /// @inheritdoc IInstitutions
    function suspend(uint32 institution, uint16 reason) external {
        Institution storage record = _knownOther(institution);
        if (record.suspended) revert InstitutionIsSuspended(institution);
        record.suspended = true;
        _remember(institution, record);
        emit InstitutionSuspended(institution, reason, msg.sender);
    }

    /// @inheritdoc IInstitutions
    function reinstate(uint32 institution) external onlySupervisor {
        Institution storage record = _known(institution);
        if (!record.suspended) revert InstitutionNotSuspended(institution);
        record.suspended = false;
        _remember(institution, record);
        emit InstitutionReinstated(institution, msg.sender);
    }

    /// @inheritdoc IInstitutions
    function authorise(address account, uint8 kind) public view returns (uint32 institution) {
        Operator storage operator = _operators[account];
        institution = operator.institution;
        if (institution == 0 || operator.until != 0) revert NotAnOperator(account);
        Institution storage record = _institutions[institution];
        if (record.kinds & kind == 0) revert KindMissing(institution, kind);
        _requireActive(institution, record);
    }

    /// @inheritdoc IInstitutions
    function institutionOf(uint32 institution) external view returns (Institution memory) {
        return _institutions[institution];
    }

    /// @inheritdoc IInstitutions
    function operatorOf(address account) external view returns (Operator memory) {
        return _operators[account];
    }

    /// @inheritdoc IInstitutions
    function wasOperatorAt(address account, uint64 time) external view returns (bool) {
        Operator storage operator = _operators[account];
        bool isAdded = operator.institution != 0 && operator.since <= time;
        return isAdded && (operator.until == 0 || time <= operator.until);
    }

    /// @inheritdoc IInstitutions
    function wasActiveAt(uint32 institution, uint64 time) external view returns (bool) {
        uint256[] storage history = _history[institution];
        uint256 changes = history.upperBound((uint256(time) << 64) | type(uint64).max);
        if (changes == 0) return false;
        return _institutions[institution].validFrom <= time && time <= uint64(history[changes - 1]);
    }

    /// @inheritdoc IInstitutions
    function isActiveAs(uint32 institution, uint8 kind) public view returns (bool) {
        Institution storage record = _institutions[institution];
        return record.kinds & kind != 0 && !record.suspended && _isAccreditedNow(record);
    }

    function _accredit(
        uint8 kinds,
        uint24 region,
        bytes32 nameHash,
        uint64 validFrom,
        uint64 validUntil,
        address operator
    ) private returns (uint32 institution) {
        if (kinds == 0 || kinds & ~Kinds.ALL != 0) revert KindsInvalid(kinds);
        if (region > 999_999) revert RegionInvalid(region);
        if (validUntil < validFrom || validUntil < block.timestamp) revert ValidityInvalid(validFrom, validUntil);
        institution = ++institutionCount;
        Institution storage record = _institutions[institution];
        _institutions[institution] = Institution(kinds, false, region, validFrom, validUntil, 0, nameHash);
        _remember(institution, record);
        emit InstitutionAccredited(institution, kinds, region, nameHash, validFrom, validUntil, msg.sender);
        _addOperator(institution, operator);
    }

    function _addOperator(uint32 institution, address operator) private {
        if (operator == address(0)) revert OperatorInvalid();
        if (_operators[operator].institution != 0) revert OperatorKnown(operator);
        _operators[operator] = Operator(institution, uint64(block.timestamp), 0);
        ++_institutions[institution].operators;
        emit OperatorAdded(operator, institution, msg.sender);
    }

    /// @dev From now on the institution can act until the end of its accreditation, or not at all.
    function _remember(uint32 institution, Institution storage record) private {
        uint64 end = record.suspended ? 0 : record.validUntil;
        _history[institution].push((block.timestamp << 64) | end);
    }

    /// @dev The record of an institution on which the calling supervisor acts; never its own, so that
    /// whoever acts stays able to undo it.
    function _knownOther(uint32 institution) private view returns (Institution storage) {
        if (authorise(msg.sender, Kinds.SUPERVISOR) == institution) revert OwnInstitution(institution);
        return _known(institution);
    }

    function _known(uint32 institution) private view returns (Institution storage record) {
        record = _institutions[institution];
        if (record.kinds == 0) revert InstitutionUnknown(institution);
    }

    function _requireActive(uint32 institution, Institution storage record) private view {
        if (record.suspended) revert InstitutionIsSuspended(institution);
        if (!_isAccreditedNow(record)) {
            revert OutsideAccreditation(institution, record.validFrom, record.validUntil);
        }
    }

    function _isAccreditedNow(Institution storage record) private view returns (bool) {
        return record.validFrom <= block.timestamp && block.timestamp <= record.validUntil;
    }

    function _isSupervisor(address account) private view returns (bool) {
        Operator storage operator = _operators[account];
        return operator.until == 0 && isActiveAs(operator.institution, Kinds.SUPERVISOR);
    }
}
