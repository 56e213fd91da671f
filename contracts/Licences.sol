// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {DocumentLedger} from "./DocumentLedger.sol";
import {IInstitutions} from "./interfaces/IInstitutions.sol";
import {ILicences} from "./interfaces/ILicences.sol";
import {Hashing} from "./libraries/Hashing.sol";
import {Kinds} from "./libraries/Kinds.sol";

/// @title Licences of practitioners and institutions
/// @dev Guarantees: what it says of a second in the past does not change by what is done later; a
/// revocation is final. Trusts: `institutions`; the authority of a licence. Does not: know who
/// holds a licence, or what it permits.
contract Licences is ILicences, DocumentLedger {
    /// @dev Bounds what is stored (five slots) and read (six) of one licence. When all are used it can
    /// still be suspended and revoked, but no longer made valid again: it fails to the safe side.
    uint256 private constant MAX_INTERRUPTIONS = 15;

    mapping(uint64 number => Licence) private _licences; // one slot each
    mapping(uint64 number => Interruption[MAX_INTERRUPTIONS]) private _interruptions; // three a slot

    constructor(IInstitutions institutions_) DocumentLedger(institutions_, Kinds.AUTHORITY) {}

    /// @inheritdoc ILicences
    function open(
        Hashing.LicenceHeader calldata header,
        Hashing.TreeHead calldata head,
        bytes32[] calldata path
    ) external whenNotPaused {
        uint64 number = header.number;
        verifyInclusion(Hashing.licenceLeaf(header), number, head, path);
        if (header.holder == address(0)) revert HolderMissing(number);
        if (header.validUntil == 0 || header.validUntil < header.validFrom) {
            revert LicenceValidityInvalid(number, header.validFrom, header.validUntil);
        }
        Licence storage record = _licences[number];
        if (record.validUntil != 0) return;

        record.licenceType = header.licenceType;
        record.validFrom = header.validFrom;
        record.validUntil = header.validUntil;
        emit LicenceOpened(number, header.licenceType, header.validFrom, header.validUntil);
    }

    /// @inheritdoc ILicences
    function renew(uint32 segment, uint64 number, uint40 validUntil, uint16 reason) external {
        Licence storage record = _ofCaller(segment, number);
        uint40 validFrom = record.validFrom;
        uint40 before = record.validUntil;
        if (before == 0) revert LicenceNotOpened(number);
        if (validUntil < block.timestamp || validUntil < validFrom) {
            revert LicenceValidityInvalid(number, validFrom, validUntil);
        }

        // Else the renewal would make it valid in hindsight.
        if (before < block.timestamp) _interrupt(number, record, before + 1);
        record.validUntil = validUntil;
        emit LicenceRenewed(number, validUntil, reason, msg.sender);
    }

    /// @inheritdoc ILicences
    function suspend(uint32 segment, uint64 number, uint16 reason) external {
        Licence storage record = _ofCaller(segment, number);
        if (record.suspendedFrom != 0) revert LicenceIsSuspended(number, record.suspendedFrom);

        record.suspendedFrom = uint40(block.timestamp);
        emit LicenceSuspended(number, reason, msg.sender);
    }

    /// @inheritdoc ILicences
    function lift(uint32 segment, uint64 number, uint16 reason) external {
        Licence storage record = _ofCaller(segment, number);
        if (record.suspendedFrom == 0) revert LicenceNotSuspended(number);

        _interrupt(number, record, record.suspendedFrom);
        record.suspendedFrom = 0;
        emit SuspensionLifted(number, reason, msg.sender);
    }

    /// @inheritdoc ILicences
    function revoke(uint32 segment, uint64 number, uint16 reason) external {
        _ofCaller(segment, number).revokedFrom = uint40(block.timestamp);
        emit LicenceRevoked(number, reason, msg.sender);
    }

    /// @inheritdoc ILicences
    function licenceOf(uint64 number) external view returns (Licence memory) {
        return _licences[number];
    }

    /// @inheritdoc ILicences
    function licencesOf(uint64[] calldata numbers) external view returns (Licence[] memory found) {
        found = new Licence[](numbers.length);
        for (uint256 i = 0; i < numbers.length; ++i) {
            found[i] = _licences[numbers[i]];
        }
    }

    /// @inheritdoc ILicences
    function interruptionsOf(uint64 number) external view returns (Interruption[] memory found) {
        found = new Interruption[](_licences[number].interruptions);
        for (uint256 i = 0; i < found.length; ++i) {
            found[i] = _interruptions[number][i];
        }
    }

    /// @inheritdoc ILicences
    function isValidAt(uint64 number, uint64 time) external view returns (bool) {
        Licence memory record = _licences[number];
        if (record.validUntil == 0 || time < record.validFrom || time > record.validUntil) return false;
        if (record.revokedFrom != 0 && time >= record.revokedFrom) return false;
        if (record.suspendedFrom != 0 && time >= record.suspendedFrom) return false;
        return !_wasInterrupted(number, record.interruptions, time);
    }

    /// @inheritdoc ILicences
    function matches(
        Hashing.LicenceHeader calldata header,
        Hashing.TreeHead calldata head,
        bytes32[] calldata path,
        bytes32 namesHash,
        bytes32[] calldata digests,
        uint256 index,
        bytes32 salt,
        bytes calldata pair
    ) external view returns (bool) {
        verifyInclusion(Hashing.licenceLeaf(header), header.number, head, path);
        return Hashing.body(namesHash, digests) == header.body && index < digests.length
            && Hashing.fieldDigest(salt, pair) == digests[index];
    }

    /// @dev The record of a licence that the caller's authority issued and that is not revoked.
    function _ofCaller(uint32 segment, uint64 number) private view returns (Licence storage record) {
        _requireIssuedByCaller(segment, number);
        record = _licences[number];
        if (record.revokedFrom != 0) revert LicenceIsRevoked(number, record.revokedFrom);
    }

    /// @dev Keeps that the licence was not valid from `since` to the second before this block's.
    function _interrupt(uint64 number, Licence storage record, uint40 since) private {
        if (since >= block.timestamp) return;
        uint8 count = record.interruptions;
        if (count == MAX_INTERRUPTIONS) revert HistoryFull(number);
        _interruptions[number][count] = Interruption(since, uint40(block.timestamp - 1));
        record.interruptions = count + 1;
    }

    /// @dev Their ends ascend, so the newest come first and most questions, of now, end at once.
    function _wasInterrupted(uint64 number, uint256 count, uint64 time) private view returns (bool) {
        Interruption[MAX_INTERRUPTIONS] storage kept = _interruptions[number];
        for (uint256 i = count; i != 0; --i) {
            if (time > kept[i - 1].until) return false;
            if (time >= kept[i - 1].since) return true;
        }
        return false;
    }
}
