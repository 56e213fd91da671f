// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Fixture} from "./Fixture.sol";

/// @title A patient's signature works once
/// @dev The patient has signed one digest, any. Two acts that both take a signature would both need it.
contract Replay is Fixture {
    struct Lock {
        bool byOther;
        uint64 amount;
        uint64 deadline;
    }

    /// @notice A lock's signature, after a release or after the lock ran out, by the same payer or another.
    function check_lock(bytes32 signed, uint64 claimable, Lock[2] calldata locks, bool released, uint32 waited)
        external
    {
        uint64 number = openBill(claimable);
        patient.signOnly(signed);

        lock(locks[0].byOther ? OTHER_PAYER : PAYER, number, locks[0].amount, locks[0].deadline);
        if (released) release(locks[0].byOther ? OTHER_PAYER : PAYER, number);
        wait_(waited);

        vm.prank(locks[1].byOther ? OTHER_PAYER : PAYER);
        try claims.lock(number, locks[1].amount, locks[1].deadline, "") {
            assert(false);
        } catch {}
    }

    /// @notice An acceptance's code, after a return or after the lease, by the same pharmacy or another.
    function check_accept(
        bytes32 signed,
        bool[2] calldata byOther,
        uint64[2] calldata deadlines,
        bool returned,
        uint32 waited
    ) external {
        uint64 number = openPrescription(2);
        patient.signOnly(signed);

        accept(byOther[0] ? OTHER_PHARMACY : PHARMACY, number, deadlines[0]);
        if (returned) returnToPool(byOther[0] ? OTHER_PHARMACY : PHARMACY, number);
        wait_(waited);

        vm.prank(byOther[1] ? OTHER_PHARMACY : PHARMACY);
        try prescriptions.accept(number, deadlines[1], "") {
            assert(false);
        } catch {}
    }

    /// @notice A confirmation of one parcel, for the next parcel.
    function check_deliver(bytes32 signed, uint64[2] calldata deadlines) external {
        uint64 number = openPrescription(2);
        accept(PHARMACY, number, type(uint64).max);
        patient.signOnly(signed);

        dispense(PHARMACY, number, 1);
        deliver(number, deadlines[0]);
        dispense(PHARMACY, number, 1);

        try prescriptions.deliver(number, deadlines[1], "") {
            assert(false);
        } catch {}
    }
}
