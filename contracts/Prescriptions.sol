// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Multicall} from "@openzeppelin/contracts/utils/Multicall.sol";
import {DocumentLedger} from "./DocumentLedger.sol";
import {PatientActs} from "./PatientActs.sol";
import {IHandedOver} from "./interfaces/IHandedOver.sol";
import {IInstitutions} from "./interfaces/IInstitutions.sol";
import {IPrescriptionPolicies} from "./interfaces/IPrescriptionPolicies.sol";
import {IPrescriptions} from "./interfaces/IPrescriptions.sol";
import {Hashing} from "./libraries/Hashing.sol";
import {Kinds} from "./libraries/Kinds.sol";
import {PrescriptionRecords, Progress, Terms} from "./libraries/PrescriptionRecords.sol";
import {SameInstitutions} from "./libraries/SameInstitutions.sol";

/// @title Prescriptions
/// @dev Guarantees: one pharmacy at a time; never more dispensed than prescribed; nothing outside its
/// policy; no acceptance and no delivery without the patient's signature, which works once. Trusts:
/// `institutions`, `policies`; the hospital to name the right drug class. Does not: know the
/// drugs, or see the parcel.
/// The header's terms are not stored: each acceptance proves them again, and what the pharmacy needs
/// of them afterwards is copied.
contract Prescriptions is IPrescriptions, DocumentLedger, PatientActs, Multicall {
    using PrescriptionRecords for Terms;
    using PrescriptionRecords for Progress;
    using PrescriptionRecords for uint256;
    using PrescriptionRecords for uint80;

    uint8 private constant ALL_LINES = 31;
    uint40 private constant MAX_LEASE_PERIOD = 30 days;

    // Bits of `Terms.flags`.
    uint8 private constant BORN_ON_HOLD = 1;
    uint8 private constant COURIER_ALLOWED = 2;
    uint8 private constant SECOND_APPROVER = 4;
    uint8 private constant CANCEL_REQUESTED = 8;
    uint8 private constant UNCONFIRMED = 16;

    // Sets of states, a bit each.
    uint256 private constant ACCEPTED = 1 << uint8(State.Accepted);
    uint256 private constant DISPENSED = 1 << uint8(State.Dispensed);
    uint256 private constant IN_TRANSIT = 1 << uint8(State.InTransit);
    uint256 private constant TAKEN = ACCEPTED | DISPENSED | IN_TRANSIT;

    /// @dev A parcel offered by one courier to another, while `until` is still its custody's.
    struct Offer {
        uint32 from;
        uint32 to;
        uint40 until; // slot 0
    }

    IPrescriptionPolicies public immutable policies;
    uint40 public immutable leasePeriod;

    mapping(uint64 number => uint256) private _terms; // Terms
    mapping(uint64 number => uint256) private _progress; // Progress
    mapping(uint64 number => Offer) private _offers;

    constructor(IInstitutions institutions_, IPrescriptionPolicies policies_, uint40 leasePeriod_)
        DocumentLedger(institutions_, Kinds.HOSPITAL)
    {
        if (leasePeriod_ == 0 || leasePeriod_ > MAX_LEASE_PERIOD) revert LeasePeriodInvalid(leasePeriod_);
        SameInstitutions.check(institutions_, address(policies_));
        policies = policies_;
        leasePeriod = leasePeriod_;
    }

    /// @inheritdoc IPrescriptions
    function accept(
        Hashing.PrescriptionHeader calldata header,
        Hashing.TreeHead calldata head,
        bytes32[] calldata path,
        uint64 deadline,
        bytes calldata authorisation
    ) external whenNotPaused {
        uint64 number = header.number;
        uint32 pharmacy = institutions.authorise(msg.sender, Kinds.PHARMACY);
        verifyInclusion(Hashing.prescriptionLeaf(header), number, head, path);
        (Terms memory terms, Progress memory progress) = _prepare(header, pharmacy);
        bytes32 act = Hashing.acceptAuthorisation(number, pharmacy, progress.sequence, deadline);
        _requireSigned(number, header.patient, act, deadline, authorisation);

        terms.pharmacy = pharmacy;
        terms.reviewer = 0;
        _terms[number] = terms.pack();
        progress.parcel = 0;
        progress.courier = 0;
        progress.sequence += 1;
        _moveTo(number, progress, State.Accepted);
        emit PrescriptionAccepted(number, pharmacy, progress.sequence, progress.until, msg.sender);
    }

    /// @inheritdoc IPrescriptions
    function returnToPool(uint64 number, uint16 reason) external {
        (uint256 terms, Progress memory progress) = _requirePharmacy(number, ACCEPTED);

        _moveTo(number, progress, State.Available);
        emit PrescriptionReturned(number, terms.pharmacy(), progress.sequence, reason, msg.sender);
        if (terms.flags() & CANCEL_REQUESTED != 0) _cancel(number, terms, progress, reason);
    }

    /// @inheritdoc IPrescriptions
    function review(uint64 number, bytes32 record) external {
        (uint256 terms, Progress memory progress) = _requirePharmacy(number, ACCEPTED | DISPENSED);
        if (record == 0) revert ReviewMissing(number);

        _terms[number] = terms.withReviewer(_tag(msg.sender));
        emit PrescriptionReviewed(number, terms.pharmacy(), progress.sequence, record, msg.sender);
    }

    /// @inheritdoc IPrescriptions
    function dispense(
        uint64 number,
        uint16[] calldata quantities,
        uint8 substituted,
        bytes32 items,
        bytes32 record
    ) external {
        (uint256 terms, Progress memory progress) = _requirePharmacy(number, ACCEPTED | DISPENSED);
        if (block.timestamp > progress.until) revert LeaseIsOver(number, progress.until);
        _requireReviewed(number, terms, record);
        if (items == 0) revert ItemsMissing(number);
        uint80 dispensed = _requireRemaining(number, progress.remaining, quantities);
        if (substituted != 0) _requireSubstitutable(number, terms.lines() & ALL_LINES, substituted, dispensed);

        progress.remaining -= dispensed;
        progress.parcel += dispensed;
        progress.sequence += 1;
        _moveTo(number, progress, State.Dispensed);
        emit PrescriptionDispensed(
            number,
            terms.pharmacy(),
            progress.sequence,
            quantities,
            substituted,
            items,
            record,
            progress.until,
            msg.sender
        );
        _refuseCancel(number, terms, progress.sequence);
    }

    /// @inheritdoc IPrescriptions
    function withdrawDispensing(uint64 number, uint16 reason) external {
        (uint256 terms, Progress memory progress) = _requirePharmacy(number, DISPENSED);
        uint40 last = progress.until - leasePeriod + uint40(terms.withdrawMinutes()) * 1 minutes;
        if (block.timestamp > last) revert WithdrawalTooLate(number, last);

        progress.remaining += progress.parcel;
        progress.parcel = 0;
        progress.sequence += 1;
        _moveTo(number, progress, State.Accepted);
        emit DispensingWithdrawn(
            number, terms.pharmacy(), progress.sequence, reason, progress.until, msg.sender
        );
    }

    /// @inheritdoc IPrescriptions
    function handOver(uint64 number, uint32 courier) external {
        (uint256 terms, Progress memory progress) = _requirePharmacy(number, DISPENSED);
        if (terms.flags() & COURIER_ALLOWED == 0) revert CourierForbidden(number);
        _requireCourier(courier);

        progress.courier = courier;
        _moveTo(number, progress, State.InTransit);
        emit PrescriptionHandedOver(
            number, terms.pharmacy(), courier, progress.sequence, progress.until, msg.sender
        );
    }

    /// @inheritdoc IPrescriptions
    function offer(uint64 number, uint32 courier) external {
        Progress memory progress = _requireCarrier(number);
        _requireCourier(courier);

        _offers[number] = Offer(progress.courier, courier, progress.until);
        emit ParcelOffered(number, progress.courier, courier, progress.sequence, msg.sender);
    }

    /// @inheritdoc IPrescriptions
    function takeOver(uint64 number) external {
        uint32 courier = institutions.authorise(msg.sender, Kinds.COURIER);
        Progress memory progress = _progress[number].toProgress();
        _requireState(number, progress.state, IN_TRANSIT);
        Offer memory made = _offers[number];
        if (made.to != courier || made.from != progress.courier || made.until != progress.until) {
            revert ParcelNotOffered(number, courier);
        }

        delete _offers[number];
        progress.courier = courier;
        _progress[number] = progress.pack();
        emit ParcelTakenOver(number, made.from, courier, progress.sequence, msg.sender);
    }

    /// @inheritdoc IPrescriptions
    function failDelivery(uint64 number, uint16 reason) external {
        Progress memory progress = _requireCarrier(number);

        uint32 courier = progress.courier;
        progress.courier = 0;
        _moveTo(number, progress, State.Dispensed);
        emit DeliveryFailed(number, courier, progress.sequence, reason, progress.until, msg.sender);
    }

    /// @inheritdoc IPrescriptions
    function takeBack(uint64 number) external {
        (uint256 terms, Progress memory progress) = _requirePharmacy(number, IN_TRANSIT);
        uint32 courier = progress.courier;
        if (block.timestamp <= progress.until && institutions.isActiveAs(courier, Kinds.COURIER)) {
            revert CourierHasIt(number, courier, progress.until);
        }

        progress.courier = 0;
        _moveTo(number, progress, State.Dispensed);
        emit ParcelTakenBack(
            number, terms.pharmacy(), courier, progress.sequence, progress.until, msg.sender
        );
    }

    /// @inheritdoc IPrescriptions
    function deliver(uint64 number, uint64 deadline, bytes calldata confirmation) external {
        (uint256 terms, Progress memory progress) = _load(number);
        _requireState(number, progress.state, DISPENSED | IN_TRANSIT);
        bytes32 act =
            Hashing.deliveryConfirmation(number, progress.sequence, progress.parcel.toLines(), deadline);
        _requireSigned(number, terms.patient(), act, deadline, confirmation);

        bool complete = progress.remaining == 0;
        uint32 courier = progress.courier;
        progress.parcel = 0;
        progress.courier = 0;
        progress.sequence += 1;
        // What is owing gets a lease of its own: the pharmacy has just shown that it is alive.
        _moveTo(number, progress, complete ? State.Delivered : State.Accepted);
        emit PrescriptionDelivered(
            number, courier, progress.sequence, complete, complete ? 0 : progress.until, msg.sender
        );
        if (complete) _refuseCancel(number, terms, progress.sequence);
    }

    /// @inheritdoc IPrescriptions
    function cancel(uint32 segment, uint64 number, uint16 reason) external {
        _requireIssuedByCaller(segment, number);
        (uint256 terms, Progress memory progress) = _load(number);
        if (progress.state == State.Delivered && terms.repeatsLeft() != 0) {
            emit RepeatsCancelled(number, progress.sequence, terms.repeatsLeft(), reason, msg.sender);
            _terms[number] = terms.withoutRepeats();
            return;
        }
        if (progress.state == State.Accepted) {
            _requireOver(number, terms.pharmacy(), progress.until);
        } else if (progress.state > State.Accepted) {
            revert StateForbids(number, progress.state);
        }

        _cancel(number, terms, progress, reason);
    }

    /// @inheritdoc IPrescriptions
    function requestCancel(uint32 segment, uint64 number, uint16 reason) external {
        _requireIssuedByCaller(segment, number);
        (uint256 terms, Progress memory progress) = _load(number);
        _requireState(number, progress.state, TAKEN);
        if (terms.flags() & CANCEL_REQUESTED != 0) revert CancelIsRequested(number);

        _terms[number] = terms.withFlag(CANCEL_REQUESTED);
        emit CancelRequested(number, progress.sequence, reason, msg.sender);
    }

    /// @inheritdoc IHandedOver
    function isHandedOver(uint64 number) external view returns (bool) {
        (uint256 terms, Progress memory progress) = _load(number);
        return progress.state == State.Delivered && terms.flags() & UNCONFIRMED == 0;
    }

    /// @inheritdoc IPrescriptions
    function prescriptionOf(uint64 number) public view returns (Prescription memory found) {
        (uint256 terms, Progress memory progress) = _load(number);
        found.state = progress.state;
        found.sequence = progress.sequence;
        found.patient = terms.patient();
        found.lines = terms.lines() >> PrescriptionRecords.MAX_LINES;
        found.substitutable = terms.lines() & ALL_LINES;
        found.bornOnHold = terms.flags() & BORN_ON_HOLD != 0;
        found.remaining = progress.remaining.toLines();
        found.parcel = progress.parcel.toLines();
        found.courier = progress.courier;
        found.repeatsLeft = terms.repeatsLeft();
        found.withdrawMinutes = terms.withdrawMinutes();
        found.courierAllowed = terms.flags() & COURIER_ALLOWED != 0;
        found.secondApprover = terms.flags() & SECOND_APPROVER != 0;
        found.reviewed = terms.reviewer() != 0;
        found.cancelRequested = terms.flags() & CANCEL_REQUESTED != 0;
        found.unconfirmed = terms.flags() & UNCONFIRMED != 0;
        if (_isTaken(progress.state)) found.leaseUntil = progress.until;
        if (progress.state == State.Delivered) found.deliveredAt = progress.until;
        if (found.leaseUntil != 0 || found.deliveredAt != 0) found.pharmacy = terms.pharmacy();
    }

    /// @inheritdoc IPrescriptions
    function prescriptionsOf(uint64[] calldata numbers) external view returns (Prescription[] memory found) {
        found = new Prescription[](numbers.length);
        for (uint256 i = 0; i < numbers.length; ++i) {
            found[i] = prescriptionOf(numbers[i]);
        }
    }

    function _load(uint64 number) private view returns (uint256 terms, Progress memory progress) {
        return (_terms[number], _progress[number].toProgress());
    }

    /// @dev Both records as an acceptance now would find them, within the policy of now: the first one,
    /// the next fill, what was returned, or what another pharmacy let its lease run out on.
    function _prepare(Hashing.PrescriptionHeader calldata header, uint32 pharmacy)
        private
        returns (Terms memory terms, Progress memory progress)
    {
        uint64 number = header.number;
        if (block.timestamp > header.validUntil) revert PrescriptionIsExpired(number, header.validUntil);
        _requireNotHeld(number, header.onHold);
        terms = _terms[number].toTerms();
        progress = _progress[number].toProgress();
        State state = progress.state;
        if (state == State.NotOpened) {
            _open(header, terms, progress);
        } else if (state == State.Delivered && terms.repeatsLeft != 0) {
            uint40 earliest = progress.until + header.interval;
            if (block.timestamp < earliest) revert RepeatTooEarly(number, earliest);
            terms.repeatsLeft -= 1;
            terms.flags &= ~UNCONFIRMED;
            progress.remaining = PrescriptionRecords.packLines(header.quantities);
        } else if (state != State.Available) {
            _requireAbandoned(number, pharmacy, terms, progress);
            if (progress.parcel != 0) terms.flags |= UNCONFIRMED;
        }
        IPrescriptionPolicies.Policy memory policy = policies.requireAllowed(
            number,
            header.drugClass,
            header.authoredAt,
            header.validUntil,
            header.repeats,
            _requireLines(number, header.quantities),
            header.licence
        );
        terms.withdrawMinutes = policy.withdrawMinutes;
        terms.flags &= BORN_ON_HOLD | UNCONFIRMED;
        if (policy.courierAllowed) terms.flags |= COURIER_ALLOWED;
        if (policy.secondApprover) terms.flags |= SECOND_APPROVER;
    }

    /// @dev Another pharmacy has it, and has been silent for too long.
    function _requireAbandoned(uint64 number, uint32 pharmacy, Terms memory terms, Progress memory progress)
        private
        view
    {
        State state = progress.state;
        _requireState(number, state, TAKEN);
        // In transit the pharmacy has a period of its own to take the parcel back.
        uint40 grace = state == State.InTransit ? leasePeriod : 0;
        _requireOver(number, terms.pharmacy, progress.until + grace);
        if (terms.flags & CANCEL_REQUESTED != 0) revert CancelIsRequested(number);
        if (progress.parcel == 0) return;
        // Who has a parcel delivers or withdraws it, and does not disown it.
        if (terms.pharmacy == pharmacy) revert StateForbids(number, state);
        if (progress.remaining == 0) revert NothingRemains(number);
    }

    function _open(
        Hashing.PrescriptionHeader calldata header,
        Terms memory terms,
        Progress memory progress
    ) private {
        uint64 number = header.number;
        if (header.patient == address(0)) revert PatientMissing(number);
        progress.remaining = PrescriptionRecords.packLines(header.quantities);
        terms.patient = header.patient;
        terms.repeatsLeft = header.repeats;
        terms.lines = uint8(header.quantities.length << PrescriptionRecords.MAX_LINES) | (header.substitutable & ALL_LINES);
        if (header.onHold) terms.flags = BORN_ON_HOLD;
        emit PrescriptionOpened(
            number,
            header.patient,
            header.authoredAt,
            header.validUntil,
            header.licence,
            header.drugClass,
            header.quantities,
            header.substitutable,
            header.repeats,
            header.interval,
            header.onHold
        );
    }

    function _requirePharmacy(uint64 number, uint256 states)
        private
        view
        returns (uint256 terms, Progress memory progress)
    {
        uint32 pharmacy = institutions.authorise(msg.sender, Kinds.PHARMACY);
        (terms, progress) = _load(number);
        _requireState(number, progress.state, states);
        if (terms.pharmacy() != pharmacy) revert NotThePharmacy(number, terms.pharmacy());
    }

    /// @dev Until an acceptance proves the header, and with it that the prescription is not on hold.
    function _mayBeBornOnHold(uint64 number) internal view override returns (bool) {
        return _progress[number].toProgress().state == State.NotOpened;
    }

    /// @dev The caller's courier has the parcel.
    function _requireCarrier(uint64 number) private view returns (Progress memory progress) {
        uint32 courier = institutions.authorise(msg.sender, Kinds.COURIER);
        progress = _progress[number].toProgress();
        _requireState(number, progress.state, IN_TRANSIT);
        if (progress.courier != courier) revert NotTheCourier(number, progress.courier);
    }

    function _requireCourier(uint32 courier) private view {
        if (!institutions.isActiveAs(courier, Kinds.COURIER)) revert NotACourier(courier);
    }

    function _requireReviewed(uint64 number, uint256 terms, bytes32 record) private view {
        bool apart = terms.flags() & SECOND_APPROVER != 0;
        if (terms.reviewer() == 0 && (apart || record == 0)) revert ReviewMissing(number);
        if (apart && terms.reviewer() == _tag(msg.sender)) revert SecondApproverMissing(number, msg.sender);
    }

    function _requireState(uint64 number, State state, uint256 states) private pure {
        if ((states >> uint8(state)) & 1 == 0) revert StateForbids(number, state);
    }

    function _isTaken(State state) private pure returns (bool) {
        return (TAKEN >> uint8(state)) & 1 != 0;
    }

    function _requireOver(uint64 number, uint32 pharmacy, uint40 until) private view {
        if (block.timestamp <= until) revert PrescriptionIsTaken(number, pharmacy, until);
    }

    /// @dev Whoever has it now has a lease period; of what nobody has, the time is kept.
    function _moveTo(uint64 number, Progress memory progress, State state) private {
        progress.state = state;
        progress.until = uint40(block.timestamp) + (_isTaken(state) ? leasePeriod : 0);
        _progress[number] = progress.pack();
    }

    function _cancel(uint64 number, uint256 terms, Progress memory progress, uint16 reason) private {
        _terms[number] = terms.withoutFlag(CANCEL_REQUESTED);
        _moveTo(number, progress, State.Cancelled);
        emit PrescriptionCancelled(number, progress.sequence, reason, msg.sender);
    }

    /// @dev A request to cancel is answered: the pharmacy has gone on.
    function _refuseCancel(uint64 number, uint256 terms, uint16 sequence) private {
        if (terms.flags() & CANCEL_REQUESTED == 0) return;
        _terms[number] = terms.withoutFlag(CANCEL_REQUESTED);
        emit CancelRefused(number, terms.pharmacy(), sequence, msg.sender);
    }

    /// @dev Each substituted line may be, and is dispensed.
    function _requireSubstitutable(uint64 number, uint8 allowed, uint8 substituted, uint80 dispensed) private pure {
        for (uint256 line = 0; line < PrescriptionRecords.MAX_LINES; ++line) {
            if (dispensed.lineAt(line) == 0) allowed &= ~uint8(1 << line);
        }
        if (substituted & ~allowed != 0) revert SubstitutionForbidden(number, substituted);
    }

    /// @dev The quantities, packed, where no line has more than remains of it.
    function _requireRemaining(uint64 number, uint80 remaining, uint16[] calldata quantities)
        private
        pure
        returns (uint80 dispensed)
    {
        if (quantities.length > PrescriptionRecords.MAX_LINES) revert LinesInvalid(number);
        dispensed = PrescriptionRecords.packLines(quantities);
        if (dispensed == 0) revert NothingDispensed(number);
        for (uint256 line = 0; line < quantities.length; ++line) {
            uint16 left = remaining.lineAt(line);
            if (quantities[line] > left) revert OverPrescribed(number, line, quantities[line], left);
        }
    }

    /// @dev The largest quantity, where there are one to five, each above zero.
    function _requireLines(uint64 number, uint16[] calldata quantities) private pure returns (uint16 largest) {
        if (quantities.length == 0 || quantities.length > PrescriptionRecords.MAX_LINES) {
            revert LinesInvalid(number);
        }
        for (uint256 line = 0; line < quantities.length; ++line) {
            uint16 quantity = quantities[line];
            if (quantity == 0) revert LinesInvalid(number);
            if (quantity > largest) largest = quantity;
        }
    }

    /// @dev Never 0. Two operators of a pharmacy may share a tag, once in eight million: then one of them
    /// cannot approve for the other.
    function _tag(address operator) private pure returns (uint24) {
        return uint24(uint160(operator)) | 1;
    }
}
