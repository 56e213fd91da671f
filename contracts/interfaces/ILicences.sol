// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Hashing} from "../libraries/Hashing.sol";
import {IDocumentLedger} from "./IDocumentLedger.sol";

/// @title Licences of practitioners and institutions
/// @notice An authority issues, renews, suspends and revokes licences; anybody asks whether one was
/// valid at a time, and whether what somebody presents is what was licensed.
interface ILicences is IDocumentLedger {
    /// @notice A licence as it stands.
    /// @param licenceType Code of what it permits.
    /// @param validFrom First second of its validity, Unix time.
    /// @param validUntil Last second, Unix time, as last renewed; zero until opened.
    /// @param suspendedFrom First second of the suspension that lasts, Unix time; 0 for none.
    /// @param revokedFrom First second of its revocation, Unix time; 0 for none.
    /// @param interruptions How many interruptions of its validity have ended.
    struct Licence {
        uint16 licenceType;
        uint40 validFrom;
        uint40 validUntil;
        uint40 suspendedFrom;
        uint40 revokedFrom;
        uint8 interruptions;
    }

    /// @notice Seconds in which a licence was not valid though it was before and after: a suspension
    /// that was lifted, or the time between its end and a late renewal.
    /// @param since First second, Unix time.
    /// @param until Last second, Unix time.
    struct Interruption {
        uint40 since;
        uint40 until;
    }

    /// @notice The header of a licence was proven and is now readable on chain.
    event LicenceOpened(uint64 indexed number, uint16 licenceType, uint40 validFrom, uint40 validUntil);
    /// @notice The authority moved the end of a licence, at the time of this block.
    event LicenceRenewed(uint64 indexed number, uint40 validUntil, uint16 reason, address by);
    /// @notice The authority suspended a licence from this block's time on.
    event LicenceSuspended(uint64 indexed number, uint16 reason, address by);
    /// @notice The authority lifted a suspension: valid again from this block's time on.
    event SuspensionLifted(uint64 indexed number, uint16 reason, address by);
    /// @notice The authority revoked a licence from this block's time on, for good.
    event LicenceRevoked(uint64 indexed number, uint16 reason, address by);

    /// @notice The header names no holder.
    error HolderMissing(uint64 number);
    /// @notice The licence has not been opened.
    error LicenceNotOpened(uint64 number);
    /// @notice The validity is empty, or a renewal ends in the past.
    error LicenceValidityInvalid(uint64 number, uint40 validFrom, uint40 validUntil);
    /// @notice The licence is suspended already.
    error LicenceIsSuspended(uint64 number, uint40 suspendedFrom);
    /// @notice The licence is not suspended.
    error LicenceNotSuspended(uint64 number);
    /// @notice The licence has been revoked, which is final.
    error LicenceIsRevoked(uint64 number, uint40 revokedFrom);
    /// @notice No further interruption can be kept: issue a new licence.
    error HistoryFull(uint64 number);

    /// @notice Proves a licence's header and stores its validity; a second time only proves.
    /// @dev Anyone may call: the proof is the authority.
    function open(
        Hashing.LicenceHeader calldata header,
        Hashing.TreeHead calldata head,
        bytes32[] calldata path
    ) external;

    /// @notice Moves the end of an opened licence. What lies between its old end and a later renewal
    /// stays not valid.
    /// @param segment Its segment, of the caller's authority.
    /// @param validUntil New last second, not in the past, Unix time.
    /// @param reason Reason code.
    function renew(uint32 segment, uint64 number, uint40 validUntil, uint16 reason) external;

    /// @notice Suspends a licence from now on, opened or not.
    function suspend(uint32 segment, uint64 number, uint16 reason) external;

    /// @notice Lifts a suspension: the licence is valid again from now on.
    function lift(uint32 segment, uint64 number, uint16 reason) external;

    /// @notice Revokes a licence from now on, opened or not, for good.
    function revoke(uint32 segment, uint64 number, uint16 reason) external;

    /// @notice The licence's record.
    /// @dev Warning: all zero for a licence never used, issued or not.
    function licenceOf(uint64 number) external view returns (Licence memory);

    /// @notice The records of several licences, in the order asked.
    function licencesOf(uint64[] calldata numbers) external view returns (Licence[] memory);

    /// @notice The interruptions that have ended, at most 15, in the order in which they ended.
    function interruptionsOf(uint64 number) external view returns (Interruption[] memory);

    /// @notice Whether the licence is opened, and valid at that second: not before `validFrom`, not
    /// after `validUntil`, not suspended or revoked then.
    /// @param time Unix seconds. Warning: of the future it says what holds if nothing changes.
    /// @dev Warning: holds do not count; an authority that wants a licence unused suspends it.
    function isValidAt(uint64 number, uint64 time) external view returns (bool);

    /// @notice Whether the licence on this ledger has exactly this field. A view, so that what is
    /// presented stays off chain. Reverts only where the header is not the ledger's.
    /// @param namesHash keccak-256 of the canonical JSON of all field names.
    /// @param digests Digests of all fields, in order of name.
    /// @param index The place of the field among them.
    /// @param salt The field's salt.
    /// @param pair Canonical JSON of `[name, value]`.
    /// @dev Warning: the node that is asked sees the field. Says nothing of validity.
    function matches(
        Hashing.LicenceHeader calldata header,
        Hashing.TreeHead calldata head,
        bytes32[] calldata path,
        bytes32 namesHash,
        bytes32[] calldata digests,
        uint256 index,
        bytes32 salt,
        bytes calldata pair
    ) external view returns (bool);
}
