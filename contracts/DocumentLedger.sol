// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Pausable} from "@openzeppelin/contracts/utils/Pausable.sol";
import {IDocumentLedger} from "./interfaces/IDocumentLedger.sol";
import {IInstitutions} from "./interfaces/IInstitutions.sol";
import {Hashing} from "./libraries/Hashing.sol";
import {Kinds} from "./libraries/Kinds.sol";

/// @title A ledger of sealed, numbered documents
/// @dev Guarantees: a number is issued once, in a segment of one institution, and can be opened with
/// one header only. Trusts: `institutions`, and its supervisors to allot and pause. Does not: see the
/// documents, or store anything per document before its first use.
abstract contract DocumentLedger is IDocumentLedger, Pausable {
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
    mapping(uint64 group => uint256) private _marks; // a bit for each of 256 numbers

    constructor(IInstitutions institutions_, uint8 issuerKind) {
        institutions = institutions_;
        _issuerKind = issuerKind;
    }

    modifier onlySupervisor() {
        institutions.authorise(msg.sender, Kinds.SUPERVISOR);
        _;
    }

    /// @inheritdoc IDocumentLedger
    function allot(uint32 institution, uint32 code, uint64 first, uint64 last)
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
        _segments[segment] = Segment(institution, base + first, base + first, base + last);
        emit SegmentAllotted(segment, institution, base + first, base + last, msg.sender);
    }

    /// @inheritdoc IDocumentLedger
    function issue(uint32 segment, uint64 first, uint32 count, bytes32 root) external whenNotPaused {
        Segment storage record = _segmentOfCaller(segment);
        if (count == 0) revert BatchEmpty();
        if (first < record.first || first > record.last) revert NumberOutsideSegment(first, segment);
        uint64 next = record.next;
        if (first < next) revert NumberAlreadyIssued(first);
        if (first > next) revert NumberSkipped(first, next);
        uint64 left = record.last + 1 - next;
        if (count > left) revert SegmentExhausted(segment, left, count);

        record.next = next + count;
        headHashOf[first] =
            Hashing.headHash(Hashing.TreeHead(first, count, segment, uint64(block.timestamp)), root);
        emit BatchIssued(first, segment, record.institution, count, root, msg.sender);
    }

    /// @inheritdoc IDocumentLedger
    function hold(uint32 segment, uint64 number) external {
        _requireIssuedByCaller(segment, number);
        if (holdOf[number] == Hold.Held) revert DocumentIsHeld(number);
        _mark(number);
        holdOf[number] = Hold.Held;
        emit DocumentHeld(number, msg.sender);
    }

    /// @inheritdoc IDocumentLedger
    function release(uint32 segment, uint64 number) external {
        _requireIssuedByCaller(segment, number);
        if (holdOf[number] == Hold.Released) revert DocumentNotHeld(number);
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

    function _requireIssuedByCaller(uint32 segment, uint64 number) internal view {
        Segment storage record = _segmentOfCaller(segment);
        if (number < record.first || number > record.last) revert NumberOutsideSegment(number, segment);
        if (number >= record.next) revert NumberNotIssued(number);
    }

    /// @dev Notes that something may stand against a document's use. Whatever forbids the use of a document
    /// must call it: see `_isMarked`.
    function _mark(uint64 number) internal {
        _marks[number >> 8] |= 1 << (number & 0xff);
    }

    /// @dev Whether any record of the document need be read. One read answers for 256 neighbours, so that the
    /// use of many documents of a batch, against which nothing stands, reads hardly anything of them.
    function _isMarked(uint64 number) internal view returns (bool) {
        return _marks[number >> 8] & (1 << (number & 0xff)) != 0;
    }

    /// @dev `bornOnHold` is what the document's header says.
    function _requireNotHeld(uint64 number, bool bornOnHold) internal view {
        Hold said = holdOf[number];
        if (said == Hold.Held || (bornOnHold && said == Hold.AsIssued)) revert DocumentIsHeld(number);
    }

    function _segmentOfCaller(uint32 segment) private view returns (Segment storage record) {
        record = _segments[segment];
        if (record.institution == 0) revert SegmentUnknown(segment);
        if (institutions.authorise(msg.sender, _issuerKind) != record.institution) {
            revert SegmentNotYours(segment, record.institution);
        }
    }
}
