// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Hashing} from "contracts/libraries/Hashing.sol";
import {Fixture} from "./Fixture.sol";

/// @title A patient's signature works once
/// @dev The patient has signed one digest, any. Two acts that both take a signature would both need it.
contract Replay is Fixture {
    struct Lock {
        bool byOther;
        bool fixedBenefit;
        uint64 amount;
        uint64 deadline;
    }

    /// @notice A lock's signature, after a withdrawal or after the lock ran out, by the same payer or
    /// another, for a lock or a settlement in one.
    function check_lock(
        bytes32 signed,
        uint64 claimable,
        Lock[2] calldata locks,
        bool withdrawn,
        bool settles,
        uint32 waited
    ) external {
        Bill memory bill = issueBill(claimable);
        patient.signOnly(signed);

        lock(_payer(locks[0]), bill, _terms(locks[0]));
        if (withdrawn) withdraw(_payer(locks[0]), bill.header.number);
        wait_(waited);

        try this.claim(locks[1], settles, bill) {
            assert(false);
        } catch {}
    }

    /// @dev External, so that it can be tried.
    function claim(Lock calldata act, bool settles, Bill calldata bill) external {
        if (settles) lockAndSettle(_payer(act), bill, _terms(act), act.amount);
        else lock(_payer(act), bill, _terms(act));
    }

    function _payer(Lock calldata act) private pure returns (address) {
        return act.byOther ? OTHER_PAYER : PAYER;
    }

    function _terms(Lock calldata act) private pure returns (Hashing.ClaimTerms memory) {
        return Hashing.ClaimTerms(act.amount, act.deadline, 0, act.fixedBenefit, address(0));
    }

    /// @notice An acceptance's code, after a return, after the lease or for the next fill, by the same
    /// pharmacy or another.
    function check_accept(
        bytes32 signed,
        bool[2] calldata byOther,
        uint64[2] calldata deadlines,
        uint8 between,
        uint32 waited
    ) external {
        Prescription memory issued = issuePrescription(1);
        patient.signOnly(signed);

        address pharmacy = byOther[0] ? OTHER_PHARMACY : PHARMACY;
        accept(pharmacy, issued, deadlines[0]);
        if (between == 1) {
            returnToPool(pharmacy, issued.header.number);
        } else if (between == 2) {
            dispense(pharmacy, issued.header.number, 1);
            patient.signEverything();
            deliver(issued.header.number, type(uint64).max);
            patient.signOnly(signed);
        }
        wait_(waited);

        vm.prank(byOther[1] ? OTHER_PHARMACY : PHARMACY);
        try prescriptions.accept(issued.header, issued.head, new bytes32[](0), deadlines[1], "") {
            assert(false);
        } catch {}
    }

    /// @notice A confirmation of one parcel, for the next parcel.
    function check_deliver(bytes32 signed, uint64[2] calldata deadlines) external {
        Prescription memory issued = issuePrescription(2);
        uint64 number = issued.header.number;
        accept(PHARMACY, issued, type(uint64).max);
        patient.signOnly(signed);

        dispense(PHARMACY, number, 1);
        deliver(number, deadlines[0]);
        dispense(PHARMACY, number, 1);

        try prescriptions.deliver(number, deadlines[1], "") {
            assert(false);
        } catch {}
    }

    struct Grant {
        bool toPharmacy;
        uint8 purpose;
        uint64 until;
    }

    /// @notice A grant of access, after it was taken back or ran out, to the same reader or another.
    function check_grant(bytes32 signed, Grant[2] calldata grants, bool revoked, uint32 waited) external {
        uint64 number = openRecord();
        patient.signOnly(signed);

        uint32 reader = grants[0].toPharmacy ? pharmacyId : payerId;
        records.grant(number, reader, grants[0].purpose, grants[0].until, "");
        if (revoked) {
            patient.signEverything();
            records.revoke(number, reader, grants[0].purpose, "");
            patient.signOnly(signed);
        }
        wait_(waited);

        uint32 again = grants[1].toPharmacy ? pharmacyId : payerId;
        try records.grant(number, again, grants[1].purpose, grants[1].until, "") {
            assert(false);
        } catch {}
    }
}
