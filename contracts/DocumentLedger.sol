// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Pausable} from "@openzeppelin/contracts/utils/Pausable.sol";
import {SignedActs} from "./SignedActs.sol";
import {IDocumentLedger} from "./interfaces/IDocumentLedger.sol";
import {IInstitutions} from "./interfaces/IInstitutions.sol";
import {Hashing} from "./libraries/Hashing.sol";
import {Kinds} from "./libraries/Kinds.sol";

/// @title A ledger of sealed, numbered documents
/// @dev Guarantees: a number is issued once, in a segment of one institution, and can be opened with
/// one header only; a batch of an endorsed segment has a supervisor's signature. Trusts:
/// `institutions`, and its supervisors to allot, endorse and pause. Does not: see the documents, or
/// store anything per document before its first use.
abstract contract DocumentLedger is IDocumentLedger, Pausable, SignedActs {
    uint64 private constant SERIALS = 10 ** 10;
    uint32 private constant MAX_CODE = 10 ** 8 - 1;

    IInstitutions public immutable institutions;

    /// @dev What an institution must be accredited as to issue here.
    uint8 private immutable _issuerKind;

    mapping(uint32 segment => Segment) private _segments; // one slot each
    mapping(uint32 code => uint64) public highestSerialOf;
    mapping(uint64 first => bytes32) public headHashOf;
    mapping(uint64 number => Hold) public holdOf;
    uint32 public segmentCount;

    constructor(IInstitutions institutions_, uint8 issuerKind) {
        institutions = institutions_;
        _issuerKind = issuerKind;
    }

    modifier onlySupervisor() {
        institutions.authorise(msg.sender, Kinds.SUPERVISOR);
        _;
    }

    /// @inheritdoc IDocumentLedger
    function allot(uint32 institution, uint32 code, uint64 first, uint64 last, bool endorsed)
        external
        onlySupervisor
        returns (uint32 segment)
    {
        if (code == 0 || code > MAX_CODE) revert CodeInvalid(code);
        if (first == 0 || last < first || last >= SERIALS) revert SerialsInvalid(first, last);
        uint64 highest = highestSerialOf[code];
        if (first <= highest) revert SegmentOverlaps(code, first, highest);
        if (!institutions.isActiveAs(institution, _issuerKind)) revert NotAnIssuer(institution);

        uint64 base = code * SERIALS;
        segment = ++segmentCount;
        highestSerialOf[code] = last;
        _segments[segment] = Segment(institution, base + first, base + first, base + last, endorsed, false);
        emit SegmentAllotted(segment, institution, base + first, base + last, endorsed, msg.sender);
    }

    /// @inheritdoc IDocumentLedger
    function withdraw(uint32 segment, uint16 reason) external onlySupervisor {
        Segment storage record = _segments[segment];
        if (record.institution == 0) revert SegmentUnknown(segment);
        if (record.withdrawn) revert SegmentIsWithdrawn(segment);
        uint64 next = record.next;
        uint64 last = record.last;
        if (next > last) revert NothingToWithdraw(segment);

        record.withdrawn = true;
        emit SegmentWithdrawn(segment, next, last, reason, msg.sender);
    }

    /// @inheritdoc IDocumentLedger
    function issue(uint32 segment, uint64 first, uint32 count, bytes32 root) external {
        Segment memory record = _segmentOfCaller(segment);
        if (record.endorsed) revert EndorsementMissing(segment);
        _issue(record, segment, first, count, root);
    }

    /// @inheritdoc IDocumentLedger
    function issueEndorsed(
        uint32 segment,
        uint64 first,
        uint32 count,
        bytes32 root,
        uint64 deadline,
        address signer,
        bytes calldata endorsement
    ) external {
        Segment memory record = _segmentOfCaller(segment);
        if (deadline < block.timestamp) revert EndorsementExpired(first, deadline);
        uint32 supervisor = institutions.authorise(signer, Kinds.SUPERVISOR);
        if (supervisor == record.institution) revert EndorserIsIssuer(supervisor);
        bytes32 act = Hashing.batchEndorsement(segment, first, count, root, deadline);
        if (!_isSignedBy(signer, act, endorsement)) revert EndorsementInvalid(first, signer);

        _issue(record, segment, first, count, root);
        emit BatchEndorsed(first, segment, supervisor, signer);
    }

    /// @inheritdoc IDocumentLedger
    function hold(uint32 segment, uint64 number) external {
        _requireIssuedByCaller(segment, number);
        if (holdOf[number] == Hold.Held) revert DocumentIsHeld(number);
        holdOf[number] = Hold.Held;
        emit DocumentHeld(number, msg.sender);
    }

    /// @inheritdoc IDocumentLedger
    function release(uint32 segment, uint64 number) external {
        _requireIssuedByCaller(segment, number);
        Hold said = holdOf[number];
        bool isHeld = said == Hold.Held || (said == Hold.AsIssued && _mayBeBornOnHold(number));
        if (!isHeld) revert DocumentNotHeld(number);
        holdOf[number] = Hold.Released;
        emit DocumentReleased(number, msg.sender);
    }

    /// @inheritdoc IDocumentLedger
    function pause() external onlySupervisor {
        _pause();
    }

    /// @inheritdoc IDocumentLedger
    function unpause() external onlySupervisor {
        _unpause();
    }

    /// @inheritdoc IDocumentLedger
    function segmentOf(uint32 segment) external view returns (Segment memory) {
        return _segments[segment];
    }

    /// @inheritdoc IDocumentLedger
    function isIssued(uint32 segment, uint64 number) public view returns (bool) {
        Segment storage record = _segments[segment];
        return record.first <= number && number < record.next;
    }

    /// @inheritdoc IDocumentLedger
    function verifyInclusion(
        bytes32 leaf,
        uint64 number,
        Hashing.TreeHead calldata head,
        bytes32[] calldata path
    ) public view {
        if (number < head.first || number - head.first >= head.count) {
            revert NumberOutsideBatch(number, head.first, head.count);
        }
        bytes32 root = Hashing.rootOfPath(leaf, number - head.first, head.count, path);
        if (headHashOf[head.first] != Hashing.headHash(head, root)) revert ProofInvalid(number);
    }

    /// @dev What the header says where it was opened; false where documents are never born on hold.
    function _mayBeBornOnHold(uint64) internal view virtual returns (bool) {
        return false;
    }

    function _requireIssuedByCaller(uint32 segment, uint64 number) internal view {
        Segment memory record = _segmentOfCaller(segment);
        if (number < record.first || number > record.last) revert NumberOutsideSegment(number, segment);
        if (number >= record.next) revert NumberNotIssued(number);
    }

    /// @dev `bornOnHold` is what the document's header says.
    function _requireNotHeld(uint64 number, bool bornOnHold) internal view {
        Hold said = holdOf[number];
        if (said == Hold.Held || (bornOnHold && said == Hold.AsIssued)) revert DocumentIsHeld(number);
    }

    /// @dev `record` is the segment as it is stored, read once.
    function _issue(Segment memory record, uint32 segment, uint64 first, uint32 count, bytes32 root)
        private
        whenNotPaused
    {
        if (count == 0) revert BatchEmpty();
        if (record.withdrawn) revert SegmentIsWithdrawn(segment);
        uint64 next = record.next;
        uint64 last = record.last;
        if (first != next) {
            if (first < record.first || first > last) revert NumberOutsideSegment(first, segment);
            if (first < next) revert NumberAlreadyIssued(first);
            revert NumberSkipped(first, next);
        }
        uint64 following = next + count;
        if (following > last + 1) revert SegmentExhausted(segment, last + 1 - next, count);

        _segments[segment].next = following;
        headHashOf[first] =
            Hashing.headHash(Hashing.TreeHead(first, count, segment, uint64(block.timestamp)), root);
        emit BatchIssued(first, segment, record.institution, count, root, msg.sender);
        if (following > last) emit SegmentUsedUp(segment, last);
    }

    function _segmentOfCaller(uint32 segment) private view returns (Segment memory record) {
        record = _segments[segment];
        if (record.institution == 0) revert SegmentUnknown(segment);
        if (institutions.authorise(msg.sender, _issuerKind) != record.institution) {
            revert SegmentNotYours(segment, record.institution);
        }
    }
}
