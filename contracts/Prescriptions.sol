// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {DocumentLedger} from "./DocumentLedger.sol";
import {PatientActs} from "./PatientActs.sol";
import {IHandedOver} from "./interfaces/IHandedOver.sol";
import {IInstitutions} from "./interfaces/IInstitutions.sol";
import {IPrescriptions} from "./interfaces/IPrescriptions.sol";
import {Hashing} from "./libraries/Hashing.sol";
import {Kinds} from "./libraries/Kinds.sol";

/// @title Prescriptions
/// @dev Guarantees: one pharmacy at a time; never more dispensed than prescribed; no acceptance and no
/// delivery without the patient's signature, which works once. Trusts: `institutions`. Does not: know
/// the drugs, or see the parcel.
contract Prescriptions is IPrescriptions, IHandedOver, DocumentLedger, PatientActs {
    uint256 private constant MAX_LINES = 5;
    uint256 private constant LINE_BITS = 24;

    /// @dev What never changes after opening.
    struct Fixed {
        address patient;
        uint40 validUntil;
        bool bornOnHold; // slot 0
    }

    /// @dev What dispensing changes: one slot, so that each step writes once. `remaining` holds line i,
    /// counted from 0, at bit 24 * i.
    struct Progress {
        uint120 remaining;
        uint32 pharmacy;
        uint32 courier;
        uint40 leaseUntil;
        uint16 sequence;
        State state; // slot 0
    }

    /// @notice How long a pharmacy keeps a prescription without dispensing it, seconds.
    uint40 public immutable leasePeriod;

    mapping(uint64 number => Fixed) private _fixed;
    mapping(uint64 number => Progress) private _progress;

    constructor(IInstitutions institutions_, uint40 leasePeriod_) DocumentLedger(institutions_, Kinds.HOSPITAL) {
        if (leasePeriod_ == 0) revert LeasePeriodInvalid();
        leasePeriod = leasePeriod_;
    }

    /// @inheritdoc IPrescriptions
    function open(
        Hashing.PrescriptionHeader calldata header,
        Hashing.TreeHead calldata head,
        bytes32[] calldata path
    ) external {
        _open(header, head, path);
    }

    /// @inheritdoc IPrescriptions
    function accept(uint64 number, uint64 deadline, bytes calldata authorisation) external {
        _accept(number, deadline, authorisation);
    }

    /// @inheritdoc IPrescriptions
    function openAndAccept(
        Hashing.PrescriptionHeader calldata header,
        Hashing.TreeHead calldata head,
        bytes32[] calldata path,
        uint64 deadline,
        bytes calldata authorisation
    ) external {
        _open(header, head, path);
        _accept(header.number, deadline, authorisation);
    }

    /// @inheritdoc IPrescriptions
    function returnToPool(uint64 number, uint16 reason) external {
        uint32 pharmacy = institutions.authorise(msg.sender, Kinds.PHARMACY);
        Progress storage progress = _progress[number];
        if (progress.state != State.Accepted) revert StateForbids(number, progress.state);
        if (progress.pharmacy != pharmacy) revert NotThePharmacy(number, progress.pharmacy);

        progress.state = State.Available;
        progress.pharmacy = 0;
        progress.leaseUntil = 0;
        emit PrescriptionReturned(number, pharmacy, reason, msg.sender);
    }

    /// @inheritdoc IPrescriptions
    function dispense(uint64 number, uint24[] calldata quantities) external {
        uint32 pharmacy = institutions.authorise(msg.sender, Kinds.PHARMACY);
        Progress storage progress = _progress[number];
        State state = progress.state;
        if (state != State.Accepted && state != State.Dispensed) revert StateForbids(number, state);
        if (progress.pharmacy != pharmacy) revert NotThePharmacy(number, progress.pharmacy);
        if (block.timestamp > progress.leaseUntil) revert LeaseIsOver(number, progress.leaseUntil);

        progress.remaining = _subtract(number, progress.remaining, quantities);
        progress.state = State.Dispensed;
        emit PrescriptionDispensed(number, pharmacy, quantities, msg.sender);
    }

    /// @inheritdoc IPrescriptions
    function handOver(uint64 number, uint32 courier) external {
        uint32 pharmacy = institutions.authorise(msg.sender, Kinds.PHARMACY);
        Progress storage progress = _progress[number];
        if (progress.state != State.Dispensed) revert StateForbids(number, progress.state);
        if (progress.pharmacy != pharmacy) revert NotThePharmacy(number, progress.pharmacy);
        if (!institutions.isActiveAs(courier, Kinds.COURIER)) revert NotACourier(courier);

        progress.state = State.InTransit;
        progress.courier = courier;
        emit PrescriptionHandedOver(number, pharmacy, courier, msg.sender);
    }

    /// @inheritdoc IPrescriptions
    function deliver(uint64 number, uint64 deadline, bytes calldata confirmation) external {
        Progress memory progress = _progress[number];
        if (progress.state != State.Dispensed && progress.state != State.InTransit) {
            revert StateForbids(number, progress.state);
        }
        bytes32 act = Hashing.deliveryConfirmation(number, progress.sequence, deadline);
        _requireSigned(number, _fixed[number].patient, act, deadline, confirmation);

        bool complete = progress.remaining == 0;
        uint32 courier = progress.courier;
        progress.state = complete ? State.Delivered : State.Accepted;
        // What is owing gets a lease of its own: the pharmacy has just shown that it is alive.
        progress.leaseUntil = complete ? 0 : _leaseFromNow();
        progress.courier = 0;
        progress.sequence += 1;
        _progress[number] = progress;
        emit PrescriptionDelivered(number, courier, complete, progress.leaseUntil, msg.sender);
    }

    /// @inheritdoc IPrescriptions
    function failDelivery(uint64 number, uint16 reason) external {
        uint32 courier = institutions.authorise(msg.sender, Kinds.COURIER);
        Progress storage progress = _progress[number];
        if (progress.state != State.InTransit) revert StateForbids(number, progress.state);
        if (progress.courier != courier) revert NotTheCourier(number, progress.courier);

        progress.state = State.Dispensed;
        progress.courier = 0;
        emit DeliveryFailed(number, courier, reason, msg.sender);
    }

    /// @inheritdoc IPrescriptions
    function cancel(uint32 segment, uint64 number, uint16 reason) external {
        _requireIssuedByCaller(segment, number);
        Progress storage progress = _progress[number];
        State state = progress.state;
        if (state == State.Accepted && block.timestamp <= progress.leaseUntil) {
            revert PrescriptionIsTaken(number, progress.pharmacy, progress.leaseUntil);
        }
        if (state > State.Accepted) revert StateForbids(number, state);

        progress.state = State.Cancelled;
        progress.pharmacy = 0;
        progress.leaseUntil = 0;
        emit PrescriptionCancelled(number, reason, msg.sender);
    }

    /// @inheritdoc IPrescriptions
    function prescriptionOf(uint64 number) public view returns (Prescription memory found) {
        Fixed storage fixed_ = _fixed[number];
        Progress storage progress = _progress[number];
        found.patient = fixed_.patient;
        found.validUntil = fixed_.validUntil;
        for (uint256 line = 0; line < MAX_LINES; ++line) {
            found.remaining[line] = uint24(progress.remaining >> (LINE_BITS * line));
        }
        found.pharmacy = progress.pharmacy;
        found.courier = progress.courier;
        found.leaseUntil = progress.leaseUntil;
        found.sequence = progress.sequence;
        found.state = progress.state;
    }

    /// @inheritdoc IPrescriptions
    function prescriptionsOf(uint64[] calldata numbers) external view returns (Prescription[] memory found) {
        found = new Prescription[](numbers.length);
        for (uint256 i = 0; i < numbers.length; ++i) {
            found[i] = prescriptionOf(numbers[i]);
        }
    }

    /// @inheritdoc IHandedOver
    function isHandedOver(uint64 number) external view returns (bool) {
        return _progress[number].state == State.Delivered;
    }

    function _open(
        Hashing.PrescriptionHeader calldata header,
        Hashing.TreeHead calldata head,
        bytes32[] calldata path
    ) private whenNotPaused {
        uint64 number = header.number;
        verifyInclusion(Hashing.prescriptionLeaf(header), number, head, path);
        if (header.patient == address(0)) revert PatientMissing(number);
        if (_fixed[number].patient != address(0)) return;

        _fixed[number] = Fixed(header.patient, header.validUntil, header.onHold);
        Progress storage progress = _progress[number];
        progress.remaining = _pack(number, header.quantities);
        if (progress.state == State.NotOpened) progress.state = State.Available;
        emit PrescriptionOpened(number, header.patient, header.validUntil, header.quantities, header.onHold);
    }

    function _accept(uint64 number, uint64 deadline, bytes calldata authorisation) private whenNotPaused {
        uint32 pharmacy = institutions.authorise(msg.sender, Kinds.PHARMACY);
        Fixed storage fixed_ = _fixed[number];
        Progress memory progress = _progress[number];
        if (progress.state == State.Accepted) {
            if (block.timestamp <= progress.leaseUntil) {
                revert PrescriptionIsTaken(number, progress.pharmacy, progress.leaseUntil);
            }
        } else if (progress.state != State.Available) {
            revert StateForbids(number, progress.state);
        }
        if (block.timestamp > fixed_.validUntil) revert PrescriptionIsExpired(number, fixed_.validUntil);
        _requireNotHeld(number, fixed_.bornOnHold);
        bytes32 act = Hashing.acceptAuthorisation(number, pharmacy, progress.sequence, deadline);
        _requireSigned(number, fixed_.patient, act, deadline, authorisation);

        progress.pharmacy = pharmacy;
        progress.leaseUntil = _leaseFromNow();
        progress.sequence += 1;
        progress.state = State.Accepted;
        _progress[number] = progress;
        emit PrescriptionAccepted(number, pharmacy, progress.leaseUntil, msg.sender);
    }

    function _leaseFromNow() private view returns (uint40) {
        return uint40(block.timestamp) + leasePeriod;
    }

    function _pack(uint64 number, uint24[] calldata quantities) private pure returns (uint120 packed) {
        if (quantities.length == 0 || quantities.length > MAX_LINES) revert LinesInvalid(number);
        for (uint256 line = 0; line < quantities.length; ++line) {
            if (quantities[line] == 0) revert LinesInvalid(number);
            packed |= uint120(quantities[line]) << uint120(LINE_BITS * line);
        }
    }

    function _subtract(uint64 number, uint120 remaining, uint24[] calldata quantities)
        private
        pure
        returns (uint120)
    {
        if (quantities.length > MAX_LINES) revert LinesInvalid(number);
        uint256 dispensed = 0;
        for (uint256 line = 0; line < quantities.length; ++line) {
            uint24 quantity = quantities[line];
            uint24 left = uint24(remaining >> (LINE_BITS * line));
            if (quantity > left) revert OverPrescribed(number, line, quantity, left);
            remaining -= uint120(quantity) << uint120(LINE_BITS * line);
            dispensed += quantity;
        }
        if (dispensed == 0) revert NothingDispensed(number);
        return remaining;
    }
}
