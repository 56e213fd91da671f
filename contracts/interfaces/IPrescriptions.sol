// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Hashing} from "../libraries/Hashing.sol";
import {IDocumentLedger} from "./IDocumentLedger.sol";
import {IPatientActs} from "./IPatientActs.sol";

/// @title Prescriptions
/// @notice One pharmacy at a time accepts a prescription, dispenses its lines, hands the parcel to a
/// courier, and the patient confirms the delivery.
interface IPrescriptions is IDocumentLedger, IPatientActs {
    /// @notice Where a prescription is.
    enum State {
        NotOpened,
        Available,
        Accepted,
        Dispensed,
        InTransit,
        Delivered,
        Cancelled
    }

    /// @notice An opened prescription.
    /// @param patient One-time address; zero until opened.
    /// @param validUntil Last second at which a pharmacy may accept it, Unix time.
    /// @param remaining Dispensing units left of lines 1 to 5; unused lines are 0.
    /// @param pharmacy Who has accepted it, 0 for nobody.
    /// @param courier Who carries the parcel, 0 for nobody.
    /// @param leaseUntil Last second of the pharmacy's lease, Unix time.
    /// @param sequence How many acts of the patient it has seen; the next signature names it.
    /// @param state Warning: stays `Accepted` after `leaseUntil`, when another pharmacy may take over.
    struct Prescription {
        address patient;
        uint40 validUntil;
        uint24[5] remaining;
        uint32 pharmacy;
        uint32 courier;
        uint40 leaseUntil;
        uint16 sequence;
        State state;
    }

    /// @notice The header of a prescription was proven and is now readable on chain.
    event PrescriptionOpened(
        uint64 indexed number, address patient, uint40 validUntil, uint24[] quantities, bool bornOnHold
    );
    /// @notice A pharmacy took it, exclusively, until `leaseUntil`.
    event PrescriptionAccepted(uint64 indexed number, uint32 indexed pharmacy, uint40 leaseUntil, address by);
    /// @notice The pharmacy gave it back to the pool.
    event PrescriptionReturned(uint64 indexed number, uint32 indexed pharmacy, uint16 reason, address by);
    /// @notice The pharmacy dispensed these quantities, by line.
    event PrescriptionDispensed(
        uint64 indexed number, uint32 indexed pharmacy, uint24[] quantities, address by
    );
    /// @notice The pharmacy handed the parcel to a courier.
    event PrescriptionHandedOver(
        uint64 indexed number, uint32 indexed pharmacy, uint32 indexed courier, address by
    );
    /// @notice The patient confirmed the delivery.
    /// @param complete Whether nothing of the prescription is owing.
    /// @param leaseUntil If something is owing, until when the pharmacy may supply it.
    event PrescriptionDelivered(
        uint64 indexed number, uint32 indexed courier, bool complete, uint40 leaseUntil, address by
    );
    /// @notice The courier could not deliver; the pharmacy has the parcel again.
    event DeliveryFailed(uint64 indexed number, uint32 indexed courier, uint16 reason, address by);
    /// @notice The hospital cancelled it.
    event PrescriptionCancelled(uint64 indexed number, uint16 reason, address by);

    /// @notice A prescription has one to five lines, each with a quantity.
    error LinesInvalid(uint64 number);
    /// @notice The state does not allow this act.
    error StateForbids(uint64 number, State state);
    /// @notice A pharmacy has it until the end of its lease.
    error PrescriptionIsTaken(uint64 number, uint32 pharmacy, uint40 leaseUntil);
    /// @notice The prescription can no longer be accepted.
    error PrescriptionIsExpired(uint64 number, uint40 validUntil);
    /// @notice Another pharmacy has it.
    error NotThePharmacy(uint64 number, uint32 pharmacy);
    /// @notice Another courier has it.
    error NotTheCourier(uint64 number, uint32 courier);
    /// @notice The pharmacy's lease has run out.
    error LeaseIsOver(uint64 number, uint40 leaseUntil);
    /// @notice More than what is left of this line (counted from 0).
    error OverPrescribed(uint64 number, uint256 line, uint24 quantity, uint24 remaining);
    /// @notice Nothing is dispensed.
    error NothingDispensed(uint64 number);
    /// @notice The institution is not an active courier.
    error NotACourier(uint32 institution);
    /// @notice The lease period is zero.
    error LeasePeriodInvalid();

    /// @notice Proves a header and stores what dispensing needs of it; a second time only proves.
    /// @dev Anyone may call: the proof is the authority.
    function open(
        Hashing.PrescriptionHeader calldata header,
        Hashing.TreeHead calldata head,
        bytes32[] calldata path
    ) external;

    /// @notice Takes an opened prescription for the caller's pharmacy, exclusively, for the lease period.
    /// @param deadline Last second of the patient's authorisation, Unix time.
    /// @param authorisation Patient's EIP-712 signature over AcceptAuthorisation.
    function accept(uint64 number, uint64 deadline, bytes calldata authorisation) external;

    /// @notice Opens and accepts.
    function openAndAccept(
        Hashing.PrescriptionHeader calldata header,
        Hashing.TreeHead calldata head,
        bytes32[] calldata path,
        uint64 deadline,
        bytes calldata authorisation
    ) external;

    /// @notice Gives an accepted prescription back to the pool, with what is still owing.
    /// @param reason Reason code of the pharmacy.
    function returnToPool(uint64 number, uint16 reason) external;

    /// @notice Dispenses quantities by line, within the lease; the rest stays owing.
    /// @param quantities Dispensing units of lines 1, 2, ...; trailing lines may be left out.
    function dispense(uint64 number, uint24[] calldata quantities) external;

    /// @notice Hands what was dispensed to a courier.
    function handOver(uint64 number, uint32 courier) external;

    /// @notice Records that the patient has the parcel, from the courier or at the counter.
    /// @param deadline Last second of the confirmation, Unix time.
    /// @param confirmation Patient's EIP-712 signature over DeliveryConfirmation; anyone may relay it.
    function deliver(uint64 number, uint64 deadline, bytes calldata confirmation) external;

    /// @notice Records a failed delivery by the caller's courier; the pharmacy has the parcel again.
    function failDelivery(uint64 number, uint16 reason) external;

    /// @notice Cancels a prescription that no pharmacy has.
    /// @param segment Its segment, of the caller's hospital.
    function cancel(uint32 segment, uint64 number, uint16 reason) external;

    /// @notice The prescription's record.
    /// @dev Warning: all zero, `NotOpened`, for a prescription never used, issued or not.
    function prescriptionOf(uint64 number) external view returns (Prescription memory);

    /// @notice The records of several prescriptions, in the order asked.
    function prescriptionsOf(uint64[] calldata numbers) external view returns (Prescription[] memory);
}
