// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Hashing} from "../libraries/Hashing.sol";

/// @title A ledger of sealed, numbered documents
/// @notice A supervisor allots number segments; an institution issues batches that take exactly the
/// next numbers; a proof opens one document. Nothing is stored per document until it is used.
interface IDocumentLedger {
    /// @notice A run of numbers that one institution may issue.
    /// @param institution Who may issue them.
    /// @param first First number.
    /// @param next The number that the next batch must begin with; `last + 1` when exhausted.
    /// @param last Last number that was allotted.
    /// @param endorsed Whether each batch needs a supervisor's signature.
    /// @param withdrawn Whether the numbers from `next` to `last` will never be issued.
    struct Segment {
        uint32 institution;
        uint64 first;
        uint64 next;
        uint64 last;
        bool endorsed;
        bool withdrawn;
    }

    /// @notice What the issuer has said of a document's use since it was issued.
    enum Hold {
        AsIssued,
        Held,
        Released
    }

    /// @notice A supervisor allotted the numbers `first` to `last`.
    event SegmentAllotted(
        uint32 indexed segment,
        uint32 indexed institution,
        uint64 first,
        uint64 last,
        bool endorsed,
        address by
    );
    /// @notice A supervisor withdrew what was left: the numbers `first` to `last` are never issued.
    /// @param reason Reason code of the supervisor's own table.
    event SegmentWithdrawn(uint32 indexed segment, uint64 first, uint64 last, uint16 reason, address by);
    /// @notice The last number of a segment was issued.
    event SegmentUsedUp(uint32 indexed segment, uint64 last);
    /// @notice `count` documents were issued, numbered from `first`, at the time of this block.
    event BatchIssued(
        uint64 indexed first,
        uint32 indexed segment,
        uint32 indexed institution,
        uint32 count,
        bytes32 root,
        address by
    );
    /// @notice The batch that begins with `first` was issued with a supervisor's signature.
    /// @param supervisor Institution of the signer.
    event BatchEndorsed(
        uint64 indexed first, uint32 indexed segment, uint32 indexed supervisor, address signer
    );
    /// @notice The issuer forbade the use of a document.
    event DocumentHeld(uint64 indexed number, address by);
    /// @notice The issuer allowed the use of a document.
    event DocumentReleased(uint64 indexed number, address by);

    /// @notice The code is not 1 to 99,999,999.
    error CodeInvalid(uint32 code);
    /// @notice The serial numbers are not 1 to 9,999,999,999, or run backwards.
    error SerialsInvalid(uint64 first, uint64 last);
    /// @notice Numbers of this code up to `highest` are allotted already; segments only ascend.
    error SegmentOverlaps(uint32 code, uint64 first, uint64 highest);
    /// @notice The institution is not accredited to issue documents of this ledger now.
    error NotAnIssuer(uint32 institution);
    /// @notice No segment has this id.
    error SegmentUnknown(uint32 segment);
    /// @notice The segment belongs to another institution than the caller's.
    error SegmentNotYours(uint32 segment, uint32 institution);
    /// @notice A batch has at least one document.
    error BatchEmpty();
    /// @notice The number, the first of the batch, has been issued.
    error NumberAlreadyIssued(uint64 number);
    /// @notice The batch would leave a gap: it must begin with `next`.
    error NumberSkipped(uint64 number, uint64 next);
    /// @notice The segment has fewer numbers left than the batch takes, perhaps none.
    error SegmentExhausted(uint32 segment, uint64 left, uint32 count);
    /// @notice A supervisor has withdrawn what was left of the segment.
    error SegmentIsWithdrawn(uint32 segment);
    /// @notice Every number of the segment has been issued.
    error NothingToWithdraw(uint32 segment);
    /// @notice Batches of this segment need a supervisor's signature: see `issueEndorsed`.
    error EndorsementMissing(uint32 segment);
    /// @notice The time for using the endorsement of the batch from `first` has passed.
    error EndorsementExpired(uint64 first, uint64 deadline);
    /// @notice The signature is not the signer's over exactly this batch.
    error EndorsementInvalid(uint64 first, address signer);
    /// @notice An institution cannot endorse its own batches.
    error EndorserIsIssuer(uint32 institution);
    /// @notice The number is not of this segment.
    error NumberOutsideSegment(uint64 number, uint32 segment);
    /// @notice The number has not been issued.
    error NumberNotIssued(uint64 number);
    /// @notice The number is not in this batch.
    error NumberOutsideBatch(uint64 number, uint64 first, uint32 count);
    /// @notice The header is not what was issued under this number.
    error ProofInvalid(uint64 number);
    /// @notice The header names no patient.
    error PatientMissing(uint64 number);
    /// @notice The document is on hold.
    error DocumentIsHeld(uint64 number);
    /// @notice The document is not on hold, or has not been opened, so that nobody knows.
    error DocumentNotHeld(uint64 number);

    /// @notice Allots serial numbers under a code to an institution; returns the segment's id (from 1).
    /// @param institution Who may issue them.
    /// @param code Bill code of 8 digits.
    /// @param first First serial, at least 1, above all that are allotted under this code.
    /// @param last Last serial, at most 9,999,999,999.
    /// @param endorsed Whether each batch needs a supervisor's signature.
    function allot(uint32 institution, uint32 code, uint64 first, uint64 last, bool endorsed)
        external
        returns (uint32 segment);

    /// @notice Withdraws what is left of a segment; its remaining numbers are never issued.
    /// @param reason Reason code of the supervisor's own table.
    /// @dev Warning: what was issued stays, and the numbers are not free for another segment.
    function withdraw(uint32 segment, uint16 reason) external;

    /// @notice Issues a batch. A single document is a batch of one.
    /// @param segment Segment of the caller's institution.
    /// @param first Number of the leaf at index 0; must be the segment's next number.
    /// @param count Number of leaves.
    /// @param root Root of the batch tree.
    /// @dev Warning: does not see the documents. A leaf that is no header can never be opened.
    function issue(uint32 segment, uint64 first, uint32 count, bytes32 root) external;

    /// @notice Issues a batch with a supervisor's signature, which an endorsed segment needs.
    /// @param deadline Last second of the endorsement, Unix time.
    /// @param signer Key or contract wallet of a supervisor that is active now, and not the issuer.
    /// @param endorsement The signer's EIP-712 signature over BatchEndorsement.
    /// @dev Warning: a supervisor that is suspended later has still endorsed what was issued before.
    function issueEndorsed(
        uint32 segment,
        uint64 first,
        uint32 count,
        bytes32 root,
        uint64 deadline,
        address signer,
        bytes calldata endorsement
    ) external;

    /// @notice Forbids the use of an issued document from now on.
    /// @dev Warning: what is locked or accepted already goes on.
    function hold(uint32 segment, uint64 number) external;

    /// @notice Allows the use of a document that was held, or born on hold.
    /// @dev Warning: one that was born on hold must have been opened, for its header says so.
    function release(uint32 segment, uint64 number) external;

    /// @notice Stops issuing and first use of all documents of this ledger.
    /// @dev Warning: what has begun can be finished: a locked claim settled, a parcel delivered.
    function pause() external;

    /// @notice Ends the pause.
    function unpause() external;

    /// @notice The segment's record; all zero where there is none.
    function segmentOf(uint32 segment) external view returns (Segment memory);

    /// @notice How many segments there are; ids are 1 to this.
    function segmentCount() external view returns (uint32);

    /// @notice The highest serial allotted under a code, 0 for none.
    function highestSerialOf(uint32 code) external view returns (uint64);

    /// @notice The hash of root and tree head of the batch that begins with `first`; 0 for none.
    function headHashOf(uint64 first) external view returns (bytes32);

    /// @notice What the issuer has said since issue.
    /// @dev Warning: `AsIssued` may still be on hold, by its header.
    function holdOf(uint64 number) external view returns (Hold);

    /// @notice Whether the number is one that the segment has issued.
    /// @dev Warning: says nothing of holds or reversals, nor that its leaf is a valid header.
    function isIssued(uint32 segment, uint64 number) external view returns (bool);

    /// @notice Reverts unless the leaf was issued under this number.
    /// @param leaf Leaf hash of the header.
    /// @param number The header's number.
    /// @param head Tree head of its batch.
    /// @param path Inclusion path, lowest sibling first.
    function verifyInclusion(
        bytes32 leaf,
        uint64 number,
        Hashing.TreeHead calldata head,
        bytes32[] calldata path
    ) external view;
}
