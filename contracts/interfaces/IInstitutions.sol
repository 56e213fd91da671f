// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

/// @title Accredited institutions and their operators
/// @notice Who may act: hospitals, pharmacies, couriers, payers and supervisors, each with the keys
/// (operators) that act for it. Key rotation keeps history: a removed key stays known.
interface IInstitutions {
    /// @notice An accredited institution.
    /// @param kinds Bits of what it may act as; see `HOSPITAL` and its neighbours.
    /// @param suspended Whether a supervisor has suspended it.
    /// @param region Area code of six digits (GB/T 2260), 0 for nationwide.
    /// @param validFrom First second, Unix time, of its accreditation.
    /// @param validUntil Last second, Unix time, of its accreditation.
    /// @param operators How many keys act for it now.
    /// @param nameHash keccak-256 of its name in UTF-8.
    struct Institution {
        uint8 kinds;
        bool suspended;
        uint24 region;
        uint64 validFrom;
        uint64 validUntil;
        uint32 operators;
        bytes32 nameHash;
    }

    /// @notice A key that acts, or acted, for an institution.
    /// @param institution The institution, 0 for an unknown key.
    /// @param since When it was added, Unix seconds.
    /// @param until When it was removed, Unix seconds; 0 while it acts.
    struct Operator {
        uint32 institution;
        uint64 since;
        uint64 until;
    }

    /// @notice A supervisor accredited an institution.
    event InstitutionAccredited(
        uint32 indexed institution,
        uint8 kinds,
        uint24 region,
        bytes32 nameHash,
        uint64 validFrom,
        uint64 validUntil,
        address by
    );
    /// @notice A supervisor moved the end of an accreditation.
    event InstitutionRenewed(uint32 indexed institution, uint64 validUntil, address by);
    /// @notice A supervisor suspended an institution.
    event InstitutionSuspended(uint32 indexed institution, uint16 reason, address by);
    /// @notice A supervisor reinstated an institution.
    event InstitutionReinstated(uint32 indexed institution, address by);
    /// @notice A key may act for an institution from now on.
    event OperatorAdded(address indexed operator, uint32 indexed institution, address by);
    /// @notice A key may no longer act.
    event OperatorRemoved(address indexed operator, uint32 indexed institution, address by);

    /// @notice The caller acts for no institution.
    error NotAnOperator(address account);
    /// @notice The institution is not accredited for this kind of act.
    error KindMissing(uint32 institution, uint8 kind);
    /// @notice The institution is suspended.
    error InstitutionIsSuspended(uint32 institution);
    /// @notice The institution is not suspended.
    error InstitutionNotSuspended(uint32 institution);
    /// @notice The time is outside the accreditation.
    error OutsideAccreditation(uint32 institution, uint64 validFrom, uint64 validUntil);
    /// @notice No institution has this id.
    error InstitutionUnknown(uint32 institution);
    /// @notice The kinds are none, or name an unknown kind.
    error KindsInvalid(uint8 kinds);
    /// @notice The accreditation would end before it begins, or has ended already.
    error ValidityInvalid(uint64 validFrom, uint64 validUntil);
    /// @notice The region has more than six digits.
    error RegionInvalid(uint24 region);
    /// @notice The key is, or was, an operator already. A key acts for one institution, once.
    error OperatorKnown(address operator);
    /// @notice The zero address cannot act.
    error OperatorInvalid();
    /// @notice The time for using the key's consent has passed.
    error ConsentExpired(address operator, uint64 deadline);
    /// @notice The signature is not the key's over acting for this institution.
    error ConsentInvalid(uint32 institution, address operator);
    /// @notice The caller is neither a supervisor nor of this institution.
    error NotTheInstitution(uint32 institution, address account);
    /// @notice The caller is neither a supervisor nor this key itself.
    error NotTheOperator(address operator, address account);
    /// @notice A supervisor cannot remove its own last key: nobody might be left to add one.
    error LastOperator(uint32 institution, address operator);
    /// @notice A supervisor cannot suspend or renew itself: nobody could undo what the last one did.
    error OwnInstitution(uint32 institution);

    /// @notice Accredits an institution with its first operator and returns its id (from 1).
    /// @param kinds Bits of what it may act as.
    /// @param region Area code of six digits, 0 for nationwide.
    /// @param nameHash keccak-256 of its name in UTF-8.
    /// @param validFrom Unix seconds.
    /// @param validUntil Unix seconds.
    /// @param operator Its first key, which the supervisor answers for.
    function accredit(
        uint8 kinds,
        uint24 region,
        bytes32 nameHash,
        uint64 validFrom,
        uint64 validUntil,
        address operator
    ) external returns (uint32 institution);

    /// @notice Moves the end of another's accreditation, forward or back, but not into the past.
    function renew(uint32 institution, uint64 validUntil) external;

    /// @notice Lets a key act for an institution; by a supervisor or by the institution itself.
    /// @param deadline Last second of the key's consent, Unix time.
    /// @param consent The key's own EIP-712 signature over OperatorConsent, so that nobody takes a key
    /// that is another's.
    function addOperator(uint32 institution, address operator, uint64 deadline, bytes calldata consent) external;

    /// @notice Ends a key; by a supervisor or by the key itself, also while suspended.
    /// @dev Warning: what the key did before stays valid.
    function removeOperator(address operator) external;

    /// @notice Suspends an institution: from now on it can do nothing.
    /// @dev Warning: what it issued, locked or dispensed before stays.
    /// @param reason Reason code of the supervisor's own table.
    function suspend(uint32 institution, uint16 reason) external;

    /// @notice Ends a suspension.
    function reinstate(uint32 institution) external;

    /// @notice The institution that `account` acts for, if it may act as `kind` now; reverts otherwise.
    /// @dev Reverts with NotAnOperator, KindMissing, InstitutionIsSuspended or OutsideAccreditation.
    function authorise(address account, uint8 kind) external view returns (uint32 institution);

    /// @notice The record of an institution; all zero where there is none.
    function institutionOf(uint32 institution) external view returns (Institution memory);

    /// @notice The record of a key, also after its removal; all zero where there is none.
    function operatorOf(address account) external view returns (Operator memory);

    /// @notice How many institutions there are; ids are 1 to this.
    function institutionCount() external view returns (uint32);

    /// @notice Whether the key was an operator at a time, Unix seconds; its institution never changes.
    /// @dev Warning: true for the whole second of its addition and of its removal, in which order decides.
    function wasOperatorAt(address account, uint64 time) external view returns (bool);

    /// @notice Whether the institution was accredited and not suspended at a time, Unix seconds.
    /// @dev Warning: of several changes in one second the last counts, though order decided; a time to
    /// come is answered as things stand now.
    function wasActiveAt(uint32 institution, uint64 time) external view returns (bool);

    /// @notice Whether the institution is accredited as `kind` now and not suspended.
    /// @dev Warning: says nothing of any other time.
    function isActiveAs(uint32 institution, uint8 kind) external view returns (bool);
}
