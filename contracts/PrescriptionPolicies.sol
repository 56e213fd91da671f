// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IInstitutions} from "./interfaces/IInstitutions.sol";
import {ILicences} from "./interfaces/ILicences.sol";
import {IPrescriptionPolicies} from "./interfaces/IPrescriptionPolicies.sol";
import {Kinds} from "./libraries/Kinds.sol";
import {SameInstitutions} from "./libraries/SameInstitutions.sol";

/// @title Prescription policies
/// @dev Guarantees: only a supervisor changes a row, and each change is an event. Trusts:
/// `institutions`, and its supervisors to know medicine; `licences`. Does not: touch what was accepted already.
contract PrescriptionPolicies is IPrescriptionPolicies {
    IInstitutions public immutable institutions;
    ILicences public immutable licences;

    mapping(uint16 drugClass => Policy) private _policies; // one slot each

    /// @dev Class 0 exists from the start, for drugs that no rule is made for: it limits nothing, lets
    /// couriers carry, and lets a dispensing be withdrawn for a day.
    /// @param licences_ Zero for none: then nothing that demands a licence is allowed.
    constructor(IInstitutions institutions_, ILicences licences_) {
        if (address(licences_) != address(0)) SameInstitutions.check(institutions_, address(licences_));
        institutions = institutions_;
        licences = licences_;
        uint16 day = 1 days / 1 minutes;
        _set(0, Policy(type(uint32).max, type(uint8).max, type(uint16).max, day, true, false, false));
    }

    /// @inheritdoc IPrescriptionPolicies
    function setPolicy(
        uint16 drugClass,
        uint32 maxValidity,
        uint8 maxRepeats,
        uint16 maxQuantity,
        uint16 withdrawMinutes,
        bool courierAllowed,
        bool secondApprover,
        bool licenceDemanded
    ) external {
        institutions.authorise(msg.sender, Kinds.SUPERVISOR);
        _set(
            drugClass,
            Policy(
                maxValidity,
                maxRepeats,
                maxQuantity,
                withdrawMinutes,
                courierAllowed,
                secondApprover,
                licenceDemanded
            )
        );
    }

    /// @inheritdoc IPrescriptionPolicies
    function policyOf(uint16 drugClass) external view returns (Policy memory) {
        return _policies[drugClass];
    }

    /// @inheritdoc IPrescriptionPolicies
    function requireAllowed(
        uint64 number,
        uint16 drugClass,
        uint40 authoredAt,
        uint40 validUntil,
        uint8 repeats,
        uint16 quantity,
        uint64 licence
    ) external view returns (Policy memory policy) {
        policy = _policies[drugClass];
        if (policy.maxValidity == 0) revert DrugClassUnknown(number, drugClass);
        if (block.timestamp < authoredAt) revert NotYetAuthored(number, authoredAt);
        if (validUntil > uint256(authoredAt) + policy.maxValidity) {
            revert ValidityTooLong(number, authoredAt, validUntil, policy.maxValidity);
        }
        if (repeats > policy.maxRepeats) revert TooManyRepeats(number, repeats, policy.maxRepeats);
        if (quantity > policy.maxQuantity) revert QuantityTooLarge(number, quantity, policy.maxQuantity);
        if (!policy.licenceDemanded) return policy;
        if (address(licences) == address(0)) revert LicencesMissing(number);
        if (!licences.isValidAt(licence, authoredAt)) revert LicenceNotValid(number, licence, authoredAt);
    }

    function _set(uint16 drugClass, Policy memory policy) private {
        if (policy.maxValidity == 0 || policy.maxQuantity == 0) revert PolicyInvalid(drugClass);
        _policies[drugClass] = policy;
        emit PolicySet(
            drugClass,
            policy.maxValidity,
            policy.maxRepeats,
            policy.maxQuantity,
            policy.withdrawMinutes,
            policy.courierAllowed,
            policy.secondApprover,
            policy.licenceDemanded,
            msg.sender
        );
    }
}
