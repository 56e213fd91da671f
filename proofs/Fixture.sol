// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Claims} from "contracts/Claims.sol";
import {Institutions} from "contracts/Institutions.sol";
import {Invoices} from "contracts/Invoices.sol";
import {Prescriptions} from "contracts/Prescriptions.sol";
import {IClaims} from "contracts/interfaces/IClaims.sol";
import {Hashing} from "contracts/libraries/Hashing.sol";
import {Kinds} from "contracts/libraries/Kinds.sol";
import {Patient} from "./Patient.sol";
import {Vm} from "./Vm.sol";

/// @title The ledger deployed, the institutions that the proofs need, documents in batches of one
/// @dev All that depends on a constructor, an accreditation, an allotment or the shape of a header stands here.
abstract contract Fixture {
    Vm internal constant vm = Vm(0x7109709ECfa91a80626fF3989D68f67F5b1DD12D);

    uint64 internal constant START = 1_800_000_000;
    uint64 internal constant LOCK_PERIOD = 30 days;
    uint40 internal constant LEASE_PERIOD = 2 days;
    uint32 internal constant BILL_CODE = 46060126;
    uint32 internal constant PRESCRIPTION_CODE = 46990126;
    uint64 internal constant SERIALS = 10 ** 10;

    address internal constant SUPERVISOR = address(0x51);
    address internal constant HOSPITAL = address(0x52);
    address internal constant PHARMACY = address(0x53);
    address internal constant OTHER_PHARMACY = address(0x54);
    address internal constant PAYER = address(0x55);
    address internal constant OTHER_PAYER = address(0x56);

    Institutions internal institutions;
    Invoices internal invoices;
    Claims internal claims;
    Prescriptions internal prescriptions;
    Patient internal patient;

    uint32 internal hospitalId;
    uint32 internal payerId;
    uint32 internal otherPayerId;

    function setUp() public virtual {
        vm.warp(START);
        institutions = new Institutions(keccak256("supervisor"), 460000, SUPERVISOR);
        // halmos gives contracts ascending addresses, so the one after Invoices is known before it.
        address predicted = address(uint160(address(institutions)) + 2);
        invoices = new Invoices(institutions, IClaims(predicted));
        claims = new Claims(institutions, invoices, LOCK_PERIOD);
        prescriptions = new Prescriptions(institutions, LEASE_PERIOD);
        patient = new Patient();

        hospitalId = _accredit(Kinds.HOSPITAL, HOSPITAL);
        _accredit(Kinds.PHARMACY, PHARMACY);
        _accredit(Kinds.PHARMACY, OTHER_PHARMACY);
        payerId = _accredit(Kinds.PAYER, PAYER);
        otherPayerId = _accredit(Kinds.PAYER, OTHER_PAYER);
    }

    /// @notice The number of an opened bill of the patient, the only one of its batch.
    function openBill(uint64 claimable) internal returns (uint64 number) {
        number = BILL_CODE * SERIALS + 1;
        uint32 segment = allotBills(hospitalId, BILL_CODE, 1, 1);
        Hashing.InvoiceHeader memory header =
            Hashing.InvoiceHeader(number, address(patient), claimable, 156, false, keccak256("body"));
        issueBills(HOSPITAL, segment, number, 1, this.invoiceLeaf(header));
        invoices.open(header, Hashing.TreeHead(number, 1, segment, uint64(block.timestamp)), new bytes32[](0));
    }

    /// @notice The number of an opened prescription of the patient, the only one of its batch.
    function openPrescription(uint24 quantity) internal returns (uint64 number) {
        number = PRESCRIPTION_CODE * SERIALS + 1;
        vm.prank(SUPERVISOR);
        uint32 segment = prescriptions.allot(hospitalId, PRESCRIPTION_CODE, 1, 1);
        uint24[] memory quantities = new uint24[](1);
        quantities[0] = quantity;
        Hashing.PrescriptionHeader memory header = Hashing.PrescriptionHeader(
            number, address(patient), type(uint40).max, quantities, false, keccak256("body")
        );
        bytes32 root = this.prescriptionLeaf(header);
        vm.prank(HOSPITAL);
        prescriptions.issue(segment, number, 1, root);
        prescriptions.open(header, Hashing.TreeHead(number, 1, segment, uint64(block.timestamp)), new bytes32[](0));
    }

    function allotBills(uint32 institution, uint32 code, uint64 first, uint64 last) internal returns (uint32) {
        vm.prank(SUPERVISOR);
        return invoices.allot(institution, code, first, last);
    }

    function issueBills(address hospital, uint32 segment, uint64 first, uint32 count, bytes32 root) internal {
        vm.prank(hospital);
        invoices.issue(segment, first, count, root);
    }

    /// @dev The library takes calldata, so the proof calls itself.
    function invoiceLeaf(Hashing.InvoiceHeader calldata header) external pure returns (bytes32) {
        return Hashing.invoiceLeaf(header);
    }

    /// @dev As above.
    function prescriptionLeaf(Hashing.PrescriptionHeader calldata header) external pure returns (bytes32) {
        return Hashing.prescriptionLeaf(header);
    }

    function lock(address payer, uint64 number, uint64 amount, uint64 deadline) internal {
        vm.prank(payer);
        claims.lock(number, amount, deadline, "");
    }

    function settle(address payer, uint64 number, uint64 amount) internal {
        vm.prank(payer);
        claims.settle(number, amount, 0, bytes32(0));
    }

    function release(address payer, uint64 number) internal {
        vm.prank(payer);
        claims.release(number, 0);
    }

    function accept(address pharmacy, uint64 number, uint64 deadline) internal {
        vm.prank(pharmacy);
        prescriptions.accept(number, deadline, "");
    }

    function returnToPool(address pharmacy, uint64 number) internal {
        vm.prank(pharmacy);
        prescriptions.returnToPool(number, 0);
    }

    function dispense(address pharmacy, uint64 number, uint24 quantity) internal {
        uint24[] memory quantities = new uint24[](1);
        quantities[0] = quantity;
        vm.prank(pharmacy);
        prescriptions.dispense(number, quantities);
    }

    function deliver(uint64 number, uint64 deadline) internal {
        prescriptions.deliver(number, deadline, "");
    }

    /// @notice Lets time pass, years at most.
    function wait_(uint32 time) internal {
        vm.warp(block.timestamp + time);
    }

    function _accredit(uint8 kind, address operator) private returns (uint32) {
        vm.prank(SUPERVISOR);
        return institutions.accredit(kind, 460000, keccak256("name"), START, type(uint64).max, operator);
    }
}
