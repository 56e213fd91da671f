// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {ILicences} from "./ILicences.sol";

/// @title Prescription policies
/// @notice What may be prescribed and how it is dispensed, by drug class. Limits are rows of this table
/// and not code.
interface IPrescriptionPolicies {
    /// @notice The rules of one drug class.
    /// @param maxValidity Longest time from signing to the last acceptance, seconds; 0 for no such class.
    /// @param maxRepeats Most fills after the first.
    /// @param maxQuantity Most dispensing units of a line.
    /// @param withdrawMinutes How long the pharmacy may withdraw what it dispensed, minutes.
    /// @param courierAllowed Whether a courier may carry it.
    /// @param secondApprover Whether another operator than the dispensing one must have reviewed it.
    /// @param licenceDemanded Whether the prescriber's licence is looked up.
    struct Policy {
        uint32 maxValidity;
        uint8 maxRepeats;
        uint16 maxQuantity;
        uint16 withdrawMinutes;
        bool courierAllowed;
        bool secondApprover;
        bool licenceDemanded;
    }

    /// @notice A supervisor set the rules of a drug class; they count for acceptances from now on.
    event PolicySet(
        uint16 indexed drugClass,
        uint32 maxValidity,
        uint8 maxRepeats,
        uint16 maxQuantity,
        uint16 withdrawMinutes,
        bool courierAllowed,
        bool secondApprover,
        bool licenceDemanded,
        address by
    );

    /// @notice Nothing could be prescribed: the longest validity or the largest quantity is zero.
    error PolicyInvalid(uint16 drugClass);
    /// @notice No policy was set for its drug class.
    error DrugClassUnknown(uint64 number, uint16 drugClass);
    /// @notice It is signed for later.
    error NotYetAuthored(uint64 number, uint40 authoredAt);
    /// @notice It is valid for longer than `maxValidity` seconds.
    error ValidityTooLong(uint64 number, uint40 authoredAt, uint40 validUntil, uint32 maxValidity);
    /// @notice It allows more repeats than its policy.
    error TooManyRepeats(uint64 number, uint8 repeats, uint8 maxRepeats);
    /// @notice A line has more than its policy allows.
    error QuantityTooLarge(uint64 number, uint16 quantity, uint16 maxQuantity);
    /// @notice Its policy demands a licence, and there is no ledger of licences to look it up in.
    error LicencesMissing(uint64 number);
    /// @notice The prescriber's licence was not valid when it was signed.
    error LicenceNotValid(uint64 number, uint64 licence, uint40 authoredAt);

    /// @notice Sets the rules of a drug class, new or known.
    /// @dev Warning: an acceptance keeps the rules that it was made under; a later fill, and another
    /// pharmacy's take-over, go by the new ones.
    function setPolicy(
        uint16 drugClass,
        uint32 maxValidity,
        uint8 maxRepeats,
        uint16 maxQuantity,
        uint16 withdrawMinutes,
        bool courierAllowed,
        bool secondApprover,
        bool licenceDemanded
    ) external;

    /// @notice The rules of a drug class; all zero where there is none.
    function policyOf(uint16 drugClass) external view returns (Policy memory);

    /// @notice The rules of a prescription's drug class; reverts where they forbid it now.
    /// @param quantity Its largest, in dispensing units.
    /// @dev Warning: takes the terms as given; whoever asks has proven them.
    function requireAllowed(
        uint64 number,
        uint16 drugClass,
        uint40 authoredAt,
        uint40 validUntil,
        uint8 repeats,
        uint16 quantity,
        uint64 licence
    ) external view returns (Policy memory policy);

    /// @notice Where licences are looked up; zero for nowhere.
    function licences() external view returns (ILicences);
}
