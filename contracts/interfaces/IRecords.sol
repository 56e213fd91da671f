// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Hashing} from "../libraries/Hashing.sol";
import {IDocumentLedger} from "./IDocumentLedger.sol";
import {IPatientActs} from "./IPatientActs.sol";

/// @title Records of consultations and treatments
/// @notice Hospitals issue and amend records, patients grant and revoke access to them, and each
/// hospital anchors once a day what was read.
interface IRecords is IDocumentLedger, IPatientActs {
    /// @notice An opened record.
    /// @param patient One-time address; zero until opened.
    /// @param institution Who issued it.
    /// @param recordType Code of what it records.
    struct Record {
        address patient;
        uint32 institution;
        uint8 recordType;
    }

    /// @notice A patient's leave to read one record, for one institution and purpose.
    /// @param until Last second, Unix time; 0 for none, or revoked.
    /// @param sequence How many acts it has seen; the next signature names it.
    struct Grant {
        uint64 until;
        uint32 sequence;
    }

    /// @notice What a hospital anchored of one day.
    /// @param root Root of the tree (as of a batch) over the entries of its read log.
    /// @param count How many entries.
    struct Reads {
        bytes32 root;
        uint64 count;
    }

    /// @notice The header of a record was proven and is now readable on chain.
    event RecordOpened(
        uint64 indexed number, uint32 indexed institution, address patient, uint64 amends, uint8 recordType
    );
    /// @notice The record `number` has a newer version, `amendment`.
    /// @param original The record that the chain of amendments began with.
    event RecordAmended(uint64 indexed number, uint64 indexed amendment, uint64 original);
    /// @notice The patient lets an institution read a record for a purpose.
    event AccessGranted(
        uint64 indexed number,
        uint32 indexed institution,
        uint8 purpose,
        uint32 sequence,
        uint64 until,
        address by
    );
    /// @notice The patient took it back.
    event AccessRevoked(
        uint64 indexed number, uint32 indexed institution, uint8 purpose, uint32 sequence, address by
    );
    /// @notice A hospital anchored the reads of a day, counted from 1 January 1970, UTC.
    event ReadsAnchored(
        uint32 indexed institution, uint32 indexed day, uint64 count, bytes32 root, address by
    );

    /// @notice The record has not been opened.
    error RecordNotOpened(uint64 number);
    /// @notice An amendment must amend the newest version.
    error RecordIsAmended(uint64 number, uint64 latest);
    /// @notice The record is another institution's.
    error RecordNotYours(uint64 number, uint32 institution);
    /// @notice The purpose is not one of the four.
    error PurposeInvalid(uint8 purpose);
    /// @notice The institution is not active.
    error NotAReader(uint32 institution);
    /// @notice Days are anchored once each, in ascending order.
    error DayIsAnchored(uint32 institution, uint32 day, uint32 last);
    /// @notice The day has not begun.
    error DayInFuture(uint32 day, uint32 today);
    /// @notice Nothing was read.
    error NothingRead(uint32 day);

    /// @notice Proves a record's header and stores what access needs of it; a second time only proves.
    /// An amendment is opened after the record that it amends, which must be the newest version.
    /// @dev Anyone may call: the proof is the authority.
    function open(
        Hashing.RecordHeader calldata header,
        Hashing.TreeHead calldata head,
        bytes32[] calldata path
    ) external;

    /// @notice Lets an institution read an opened record for a purpose, this version alone.
    /// @param institution Who may read.
    /// @param purpose Code of `Purposes`.
    /// @param until Last second of the grant, and of its signature, Unix time.
    /// @param authorisation Patient's EIP-712 signature over AccessGrant; anyone may relay it.
    function grant(
        uint64 number,
        uint32 institution,
        uint8 purpose,
        uint64 until,
        bytes calldata authorisation
    ) external;

    /// @notice Ends a grant, or keeps a signed one that nobody has relayed from ever counting.
    /// @param authorisation Patient's EIP-712 signature over AccessRevocation; anyone may relay it.
    function revoke(uint64 number, uint32 institution, uint8 purpose, bytes calldata authorisation) external;

    /// @notice Anchors what was read at the caller's hospital on a day.
    /// @param day Days since 1 January 1970, UTC; above the last anchored, not in the future.
    /// @param count Number of entries, at least one.
    /// @param root Root of the tree over them.
    /// @dev Warning: does not see the entries, nor what was left out.
    function anchorReads(uint32 day, uint64 count, bytes32 root) external;

    /// @notice The record's entry.
    /// @dev Warning: all zero for a record never used, issued or not.
    function recordOf(uint64 number) external view returns (Record memory);

    /// @notice The entries of several records, in the order asked.
    function recordsOf(uint64[] calldata numbers) external view returns (Record[] memory);

    /// @notice The record that this one's chain of amendments began with; itself where it amends none.
    function originalOf(uint64 number) external view returns (uint64);

    /// @notice All amendments in the chain of this record, oldest first.
    function amendmentsOf(uint64 number) external view returns (uint64[] memory);

    /// @notice The newest version of this record; itself where it was never amended.
    /// @dev Warning: knows of opened amendments only.
    function latestOf(uint64 number) external view returns (uint64);

    /// @notice The grant's entry.
    /// @dev Warning: stays after `until`.
    function grantOf(uint64 number, uint32 institution, uint8 purpose) external view returns (Grant memory);

    /// @notice Whether the patient lets this institution read this record for this purpose now.
    /// @dev Warning: says nothing of the institution's accreditation.
    function isGranted(uint64 number, uint32 institution, uint8 purpose) external view returns (bool);

    /// @notice What a hospital anchored of a day; all zero for nothing.
    function readsOf(uint32 institution, uint32 day) external view returns (Reads memory);

    /// @notice The last day that a hospital anchored, 0 for none.
    function lastAnchoredDayOf(uint32 institution) external view returns (uint32);
}
