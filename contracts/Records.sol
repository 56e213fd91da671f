// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {DocumentLedger} from "./DocumentLedger.sol";
import {PatientActs} from "./PatientActs.sol";
import {IInstitutions} from "./interfaces/IInstitutions.sol";
import {IRecords} from "./interfaces/IRecords.sol";
import {Hashing} from "./libraries/Hashing.sol";
import {Kinds} from "./libraries/Kinds.sol";
import {Purposes} from "./libraries/Purposes.sol";

/// @title Records of consultations and treatments
/// @dev Guarantees: one chain of amendments a record, of one institution, without loops; no grant
/// without the patient's signature, which works once; one root of reads a hospital and day. Trusts:
/// `institutions`; a hospital to log what is read. Does not: see a record, or keep anybody from it.
contract Records is IRecords, DocumentLedger, PatientActs {
    mapping(uint64 number => Record) private _records; // one slot each
    mapping(uint64 amendment => uint64 original) private _originals;
    mapping(uint64 original => uint64[] amendments) private _amendments; // four a slot
    mapping(uint64 number => mapping(uint32 institution => mapping(uint8 purpose => Grant))) private _grants;
    mapping(uint32 institution => mapping(uint32 day => Reads)) private _reads;
    mapping(uint32 institution => uint32 day) public lastAnchoredDayOf;

    constructor(IInstitutions institutions_) DocumentLedger(institutions_, Kinds.HOSPITAL) {}

    /// @inheritdoc IRecords
    function open(
        Hashing.RecordHeader calldata header,
        Hashing.TreeHead calldata head,
        bytes32[] calldata path
    ) external whenNotPaused {
        uint64 number = header.number;
        verifyInclusion(Hashing.recordLeaf(header), number, head, path);
        if (header.patient == address(0)) revert PatientMissing(number);
        if (_records[number].patient != address(0)) return;
        uint32 institution = this.segmentOf(head.segment).institution;
        uint64 original = header.amends == 0 ? 0 : _requireAmendable(header.amends, institution);

        _records[number] = Record(header.patient, institution, header.recordType);
        emit RecordOpened(number, institution, header.patient, header.amends, header.recordType);
        if (original == 0) return;
        _originals[number] = original;
        _amendments[original].push(number);
        emit RecordAmended(header.amends, number, original);
    }

    /// @inheritdoc IRecords
    function grant(
        uint64 number,
        uint32 institution,
        uint8 purpose,
        uint64 until,
        bytes calldata authorisation
    ) external whenNotPaused {
        Grant storage entry = _requireGrantable(number, institution, purpose);
        _requireNotHeld(number, false);
        if (!institutions.isActiveAs(institution, Kinds.ALL)) revert NotAReader(institution);
        uint32 sequence = entry.sequence;
        bytes32 act = Hashing.accessGrant(number, institution, purpose, sequence, until);
        _requireSigned(number, _records[number].patient, act, until, authorisation);

        _grants[number][institution][purpose] = Grant(until, sequence + 1);
        emit AccessGranted(number, institution, purpose, sequence, until, msg.sender);
    }

    /// @inheritdoc IRecords
    function revoke(uint64 number, uint32 institution, uint8 purpose, bytes calldata authorisation) external {
        Grant storage entry = _requireGrantable(number, institution, purpose);
        uint32 sequence = entry.sequence;
        bytes32 act = Hashing.accessRevocation(number, institution, purpose, sequence);
        // Without a deadline: nobody gains by taking access away late.
        _requireSigned(number, _records[number].patient, act, type(uint64).max, authorisation);

        _grants[number][institution][purpose] = Grant(0, sequence + 1);
        emit AccessRevoked(number, institution, purpose, sequence, msg.sender);
    }

    /// @inheritdoc IRecords
    function anchorReads(uint32 day, uint64 count, bytes32 root) external {
        uint32 institution = institutions.authorise(msg.sender, Kinds.HOSPITAL);
        uint32 today = uint32(block.timestamp / 1 days);
        uint32 last = lastAnchoredDayOf[institution];
        if (day <= last) revert DayIsAnchored(institution, day, last);
        if (day > today) revert DayInFuture(day, today);
        if (count == 0) revert NothingRead(day);

        lastAnchoredDayOf[institution] = day;
        _reads[institution][day] = Reads(root, count);
        emit ReadsAnchored(institution, day, count, root, msg.sender);
    }

    /// @inheritdoc IRecords
    function recordOf(uint64 number) external view returns (Record memory) {
        return _records[number];
    }

    /// @inheritdoc IRecords
    function recordsOf(uint64[] calldata numbers) external view returns (Record[] memory found) {
        found = new Record[](numbers.length);
        for (uint256 i = 0; i < numbers.length; ++i) {
            found[i] = _records[numbers[i]];
        }
    }

    /// @inheritdoc IRecords
    function originalOf(uint64 number) public view returns (uint64) {
        uint64 original = _originals[number];
        return original == 0 ? number : original;
    }

    /// @inheritdoc IRecords
    function amendmentsOf(uint64 number) external view returns (uint64[] memory) {
        return _amendments[originalOf(number)];
    }

    /// @inheritdoc IRecords
    function latestOf(uint64 number) external view returns (uint64) {
        return _latest(originalOf(number));
    }

    /// @inheritdoc IRecords
    function grantOf(uint64 number, uint32 institution, uint8 purpose) external view returns (Grant memory) {
        return _grants[number][institution][purpose];
    }

    /// @inheritdoc IRecords
    function isGranted(uint64 number, uint32 institution, uint8 purpose) external view returns (bool) {
        uint64 until = _grants[number][institution][purpose].until;
        return until != 0 && block.timestamp <= until;
    }

    /// @inheritdoc IRecords
    function readsOf(uint32 institution, uint32 day) external view returns (Reads memory) {
        return _reads[institution][day];
    }

    /// @dev Returns the original of a record that this institution may amend now. That it is opened
    /// already is what makes a loop impossible: each record is opened once.
    function _requireAmendable(uint64 number, uint32 institution) private view returns (uint64 original) {
        Record storage record = _records[number];
        if (record.patient == address(0)) revert RecordNotOpened(number);
        if (record.institution != institution) revert RecordNotYours(number, record.institution);
        original = originalOf(number);
        uint64 latest = _latest(original);
        if (latest != number) revert RecordIsAmended(number, latest);
    }

    function _requireGrantable(uint64 number, uint32 institution, uint8 purpose)
        private
        view
        returns (Grant storage)
    {
        if (_records[number].patient == address(0)) revert RecordNotOpened(number);
        if (purpose < Purposes.TREAT || purpose > Purposes.ETREAT) revert PurposeInvalid(purpose);
        return _grants[number][institution][purpose];
    }

    function _latest(uint64 original) private view returns (uint64) {
        uint64[] storage chain = _amendments[original];
        return chain.length == 0 ? original : chain[chain.length - 1];
    }
}
