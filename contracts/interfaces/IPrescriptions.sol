// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Hashing} from "../libraries/Hashing.sol";
import {IDocumentLedger} from "./IDocumentLedger.sol";
import {IPatientActs} from "./IPatientActs.sol";
import {IPrescriptionPolicies} from "./IPrescriptionPolicies.sol";

/// @title Prescriptions
/// @notice One pharmacy at a time accepts a prescription, reviews and dispenses its lines, hands the
/// parcel to a courier, and the patient confirms the delivery.
/// @dev Several acts of one caller may be put into one transaction with `multicall`.
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

    /// @notice A prescription that was accepted once.
    /// @param patient One-time address; zero until first accepted.
    /// @param remaining Dispensing units of this fill left of lines 1 to 5; unused lines are 0.
    /// @param parcel Dispensing units dispensed and not yet confirmed by the patient, by line.
    /// @param pharmacy Who has accepted it, 0 for nobody.
    /// @param courier Who carries the parcel, 0 for nobody.
    /// @param leaseUntil Last second of the pharmacy's lease, or in transit of the courier's, Unix time.
    /// @param deliveredAt When this fill was delivered in full, Unix time; 0 before.
    /// @param sequence Acts of the patient and changes of the parcel so far; the next signature names it.
    /// @param state Warning: stays as it is after `leaseUntil`, when another pharmacy may take over.
    /// @param lines How many lines it has.
    /// @param substitutable Bit i: line i, counted from 0, may be dispensed as an equivalent drug.
    /// @param repeatsLeft Fills allowed after this one.
    /// @param withdrawMinutes How long a dispensing may be withdrawn, minutes.
    /// @param bornOnHold What its header says.
    /// @param courierAllowed Whether a courier may carry it.
    /// @param secondApprover Whether another operator than the dispensing one must have reviewed it.
    /// @param reviewed Whether the present pharmacy reviewed it by an act of its own.
    /// @param cancelRequested Whether the hospital asks the pharmacy to return it.
    /// @param unconfirmed Whether a pharmacy lost this fill with a parcel that the patient never confirmed.
    struct Prescription {
        address patient;
        uint16[5] remaining;
        uint16[5] parcel;
        uint32 pharmacy;
        uint32 courier;
        uint40 leaseUntil;
        uint40 deliveredAt;
        uint16 sequence;
        State state;
        uint8 lines;
        uint8 substitutable;
        uint8 repeatsLeft;
        uint16 withdrawMinutes;
        bool bornOnHold;
        bool courierAllowed;
        bool secondApprover;
        bool reviewed;
        bool cancelRequested;
        bool unconfirmed;
    }

    // Each event carries the sequence after its act, and who sent it.

    /// @notice Its terms were proven for the first time; the header's meanings and units.
    event PrescriptionOpened(
        uint64 indexed number,
        address patient,
        uint40 authoredAt,
        uint40 validUntil,
        uint64 licence,
        uint16 drugClass,
        uint16[] quantities,
        uint8 substitutable,
        uint8 repeats,
        uint32 interval,
        bool bornOnHold
    );
    /// @notice A pharmacy took it, exclusively, until `leaseUntil`, under the policy that the last
    /// `PolicySet` of its drug class says.
    event PrescriptionAccepted(
        uint64 indexed number, uint32 indexed pharmacy, uint16 sequence, uint40 leaseUntil, address by
    );
    /// @notice The pharmacy gave it back to the pool.
    event PrescriptionReturned(
        uint64 indexed number, uint32 indexed pharmacy, uint16 sequence, uint16 reason, address by
    );
    /// @notice A pharmacist reviewed it.
    /// @param record Salted hash of the review.
    event PrescriptionReviewed(
        uint64 indexed number, uint32 indexed pharmacy, uint16 sequence, bytes32 record, address by
    );
    /// @notice The pharmacy dispensed these quantities, by line.
    /// @param substituted Bit i: line i, counted from 0, was dispensed as an equivalent drug.
    /// @param items Salted hash of the list of lots and approval numbers.
    /// @param record Salted hash of the review made with it; 0 where it was reviewed before.
    event PrescriptionDispensed(
        uint64 indexed number,
        uint32 indexed pharmacy,
        uint16 sequence,
        uint16[] quantities,
        uint8 substituted,
        bytes32 items,
        bytes32 record,
        uint40 leaseUntil,
        address by
    );
    /// @notice The pharmacy took back what it had dispensed since the last delivery: the whole parcel.
    event DispensingWithdrawn(
        uint64 indexed number,
        uint32 indexed pharmacy,
        uint16 sequence,
        uint16 reason,
        uint40 leaseUntil,
        address by
    );
    /// @notice The pharmacy handed the parcel to a courier, who has it until `leaseUntil`.
    event PrescriptionHandedOver(
        uint64 indexed number,
        uint32 indexed pharmacy,
        uint32 indexed courier,
        uint16 sequence,
        uint40 leaseUntil,
        address by
    );
    /// @notice The courier offered the parcel to another.
    event ParcelOffered(
        uint64 indexed number, uint32 indexed courier, uint32 indexed receiver, uint16 sequence, address by
    );
    /// @notice The other courier took the parcel.
    event ParcelTakenOver(
        uint64 indexed number, uint32 indexed courier, uint32 indexed receiver, uint16 sequence, address by
    );
    /// @notice The courier could not deliver; the pharmacy has the parcel again.
    event DeliveryFailed(
        uint64 indexed number,
        uint32 indexed courier,
        uint16 sequence,
        uint16 reason,
        uint40 leaseUntil,
        address by
    );
    /// @notice The pharmacy took the parcel back from a silent or suspended courier.
    event ParcelTakenBack(
        uint64 indexed number,
        uint32 indexed pharmacy,
        uint32 indexed courier,
        uint16 sequence,
        uint40 leaseUntil,
        address by
    );
    /// @notice The patient confirmed the delivery of the parcel.
    /// @param complete Whether nothing of this fill is owing.
    /// @param leaseUntil If something is owing, until when the pharmacy may supply it.
    event PrescriptionDelivered(
        uint64 indexed number,
        uint32 indexed courier,
        uint16 sequence,
        bool complete,
        uint40 leaseUntil,
        address by
    );
    /// @notice It was cancelled, by the hospital, or at its request by the pharmacy that returned it.
    event PrescriptionCancelled(uint64 indexed number, uint16 sequence, uint16 reason, address by);
    /// @notice The hospital cancelled the `repeatsLeft` fills after the one that is delivered.
    event RepeatsCancelled(
        uint64 indexed number, uint16 sequence, uint8 repeatsLeft, uint16 reason, address by
    );
    /// @notice The hospital asked the pharmacy that has it to return it.
    event CancelRequested(uint64 indexed number, uint16 sequence, uint16 reason, address by);
    /// @notice The pharmacy went on instead, which ends the request.
    event CancelRefused(uint64 indexed number, uint32 indexed pharmacy, uint16 sequence, address by);

    /// @notice A prescription has one to five lines, each with a quantity.
    error LinesInvalid(uint64 number);
    /// @notice The state does not allow this act.
    error StateForbids(uint64 number, State state);
    /// @notice A pharmacy has it until then.
    error PrescriptionIsTaken(uint64 number, uint32 pharmacy, uint40 leaseUntil);
    /// @notice The prescription can no longer be accepted.
    error PrescriptionIsExpired(uint64 number, uint40 validUntil);
    /// @notice The next fill may be accepted from then on.
    error RepeatTooEarly(uint64 number, uint40 earliest);
    /// @notice All was dispensed: nothing is left for another pharmacy.
    error NothingRemains(uint64 number);
    /// @notice The hospital has asked to cancel it.
    error CancelIsRequested(uint64 number);
    /// @notice Another pharmacy has it.
    error NotThePharmacy(uint64 number, uint32 pharmacy);
    /// @notice Another courier has it.
    error NotTheCourier(uint64 number, uint32 courier);
    /// @notice The pharmacy's lease has run out.
    error LeaseIsOver(uint64 number, uint40 leaseUntil);
    /// @notice No pharmacist has reviewed it, or not by the act that its policy asks for.
    error ReviewMissing(uint64 number);
    /// @notice The operator who reviewed it may not dispense it.
    error SecondApproverMissing(uint64 number, address operator);
    /// @notice A line among these (bits, from 0) may not be substituted, or is not dispensed here.
    error SubstitutionForbidden(uint64 number, uint8 substituted);
    /// @notice Lots and approval numbers are not committed to.
    error ItemsMissing(uint64 number);
    /// @notice More than what is left of this line (counted from 0).
    error OverPrescribed(uint64 number, uint256 line, uint16 quantity, uint16 remaining);
    /// @notice Nothing is dispensed.
    error NothingDispensed(uint64 number);
    /// @notice The dispensing could be withdrawn until then.
    error WithdrawalTooLate(uint64 number, uint40 last);
    /// @notice Its policy allows no courier.
    error CourierForbidden(uint64 number);
    /// @notice The institution is not an active courier.
    error NotACourier(uint32 institution);
    /// @notice The courier who has the parcel has not offered it to this one.
    error ParcelNotOffered(uint64 number, uint32 courier);
    /// @notice An active courier has the parcel until then.
    error CourierHasIt(uint64 number, uint32 courier, uint40 leaseUntil);
    /// @notice The lease period is zero, or longer than 30 days.
    error LeasePeriodInvalid(uint40 leasePeriod);

    /// @notice Takes a prescription for the caller's pharmacy, exclusively, for the lease period: one that
    /// nobody has, the next fill of a delivered one, or what remains of one whose lease has run out.
    /// @dev Each acceptance proves the header, and goes by the policy of now until the next one.
    /// @param header Its terms.
    /// @param head Tree head of its batch.
    /// @param path Inclusion path, lowest sibling first.
    /// @param deadline Last second of the patient's authorisation, Unix time.
    /// @param authorisation Patient's EIP-712 signature over AcceptAuthorisation.
    function accept(
        Hashing.PrescriptionHeader calldata header,
        Hashing.TreeHead calldata head,
        bytes32[] calldata path,
        uint64 deadline,
        bytes calldata authorisation
    ) external;

    /// @notice Gives an accepted prescription back to the pool, with what is still owing; if the hospital
    /// has asked to cancel it, that cancels it.
    /// @param reason Reason code of the pharmacy.
    function returnToPool(uint64 number, uint16 reason) external;

    /// @notice Records the review by the caller, a pharmacist of the pharmacy that has it.
    /// @param record Salted hash of the review; not zero.
    function review(uint64 number, bytes32 record) external;

    /// @notice Dispenses quantities by line, within the lease; the rest stays owing. Answers a request to
    /// cancel with no.
    /// @param quantities Dispensing units of lines 1, 2, ...; trailing lines may be left out.
    /// @param substituted Bit i: line i, counted from 0, is an equivalent drug.
    /// @param items Salted hash of the list of lots and approval numbers; not zero.
    /// @param record Salted hash of the review; 0 where `review` was called, which a policy may demand.
    function dispense(
        uint64 number,
        uint16[] calldata quantities,
        uint8 substituted,
        bytes32 items,
        bytes32 record
    ) external;

    /// @notice Takes back all that was dispensed since the last delivery, while the pharmacy has it, within
    /// the policy's minutes of the last dispensing, or of the parcel's return.
    function withdrawDispensing(uint64 number, uint16 reason) external;

    /// @notice Hands what was dispensed to a courier, for the lease period.
    function handOver(uint64 number, uint32 courier) external;

    /// @notice Offers the parcel of the caller's courier to another one.
    /// @dev Its custody does not last longer by this.
    function offer(uint64 number, uint32 courier) external;

    /// @notice Takes the parcel that was offered to the caller's courier.
    function takeOver(uint64 number) external;

    /// @notice Records a failed delivery by the caller's courier; the pharmacy has the parcel again.
    function failDelivery(uint64 number, uint16 reason) external;

    /// @notice Takes the parcel back from a courier that is suspended, or silent beyond its lease.
    function takeBack(uint64 number) external;

    /// @notice Records that the patient has the parcel, from the courier or at the counter.
    /// @param deadline Last second of the confirmation, Unix time.
    /// @param confirmation Patient's EIP-712 signature over DeliveryConfirmation; anyone may relay it.
    function deliver(uint64 number, uint64 deadline, bytes calldata confirmation) external;

    /// @notice Cancels a prescription that no pharmacy has, or the repeats after a delivered fill.
    /// @param segment Its segment, of the caller's hospital.
    function cancel(uint32 segment, uint64 number, uint16 reason) external;

    /// @notice Asks the pharmacy that has it to return it. Until it answers, no other takes over.
    function requestCancel(uint32 segment, uint64 number, uint16 reason) external;

    /// @notice Whether the patient has confirmed all that was prescribed for this fill.
    /// @dev Warning: false again once the next fill is accepted.
    function isHandedOver(uint64 number) external view returns (bool);

    /// @notice The prescription's record.
    /// @dev Warning: all zero, `NotOpened`, for a prescription never accepted, issued or not.
    function prescriptionOf(uint64 number) external view returns (Prescription memory);

    /// @notice The records of several prescriptions, in the order asked.
    function prescriptionsOf(uint64[] calldata numbers) external view returns (Prescription[] memory);

    /// @notice How long a pharmacy keeps a prescription, and a courier a parcel, without a sign of life:
    /// seconds, at most 30 days.
    function leasePeriod() external view returns (uint40);

    /// @notice The rules by drug class.
    function policies() external view returns (IPrescriptionPolicies);
}
