// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IClaims} from "contracts/interfaces/IClaims.sol";
import {IEscrow} from "contracts/interfaces/IEscrow.sol";
import {IInstitutions} from "contracts/interfaces/IInstitutions.sol";
import {IInvoices} from "contracts/interfaces/IInvoices.sol";
import {IPrescriptions} from "contracts/interfaces/IPrescriptions.sol";
import {IRecords} from "contracts/interfaces/IRecords.sol";
import {Hashing} from "contracts/libraries/Hashing.sol";
import {Kinds} from "contracts/libraries/Kinds.sol";
import {Patient} from "./Patient.sol";
import {Vm} from "./Vm.sol";

/// @title The ledger deployed, the institutions that the proofs need, documents in batches of one
/// @dev All that depends on a constructor, an accreditation, an allotment or the shape of a header stands here.
abstract contract Fixture {
    Vm internal constant vm = Vm(0x7109709ECfa91a80626fF3989D68f67F5b1DD12D);

    uint64 internal constant START = 1_800_000_000;
    uint40 internal constant LOCK_PERIOD = 30 days;
    uint40 internal constant LEASE_PERIOD = 2 days;
    uint16 internal constant CURRENCY = 156;
    uint32 internal constant BILL_CODE = 46060126;
    uint32 internal constant PRESCRIPTION_CODE = 46990126;
    uint32 internal constant RECORD_CODE = 21020126;
    uint64 internal constant SERIALS = 10 ** 10;

    address internal constant SUPERVISOR = address(0x51);
    address internal constant HOSPITAL = address(0x52);
    address internal constant PHARMACY = address(0x53);
    address internal constant OTHER_PHARMACY = address(0x54);
    address internal constant PAYER = address(0x55);
    address internal constant OTHER_PAYER = address(0x56);
    address internal constant PAYEE = address(0x58);

    IInstitutions internal institutions;
    IInvoices internal invoices;
    IClaims internal claims;
    IEscrow internal escrow;
    IPrescriptions internal prescriptions;
    IRecords internal records;
    Patient internal patient;

    uint32 internal hospitalId;
    uint32 internal pharmacyId;
    uint32 internal payerId;
    uint32 internal otherPayerId;

    /// @dev A bill in a batch of one, so its path is empty.
    struct Bill {
        Hashing.InvoiceHeader header;
        Hashing.TreeHead head;
    }

    /// @dev As above.
    struct Prescription {
        Hashing.PrescriptionHeader header;
        Hashing.TreeHead head;
    }

    function setUp() public virtual {
        vm.warp(START);
        institutions =
            IInstitutions(_deploy("Institutions", abi.encode(keccak256("supervisor"), uint24(460000), SUPERVISOR)));
        address licences = _deploy("Licences", abi.encode(institutions));
        address policies = _deploy("PrescriptionPolicies", abi.encode(institutions, licences));
        prescriptions = IPrescriptions(_deploy("Prescriptions", abi.encode(institutions, policies, LEASE_PERIOD)));
        records = IRecords(_deploy("Records", abi.encode(institutions)));
        address token = _deploy("SettlementToken", "");
        // halmos gives contracts ascending addresses, so that of Claims is known before the two that name it.
        address predicted = address(uint160(token) + 3);
        invoices = IInvoices(_deploy("Invoices", abi.encode(institutions, predicted)));
        escrow = IEscrow(_deploy("Escrow", abi.encode(institutions, token, CURRENCY, predicted)));
        claims =
            IClaims(_deploy("Claims", abi.encode(institutions, invoices, prescriptions, escrow, LOCK_PERIOD)));
        _deploy("Payments", abi.encode(invoices, token, CURRENCY));
        patient = new Patient();

        hospitalId = _accredit(Kinds.HOSPITAL, HOSPITAL);
        pharmacyId = _accredit(Kinds.PHARMACY, PHARMACY);
        _accredit(Kinds.PHARMACY, OTHER_PHARMACY);
        payerId = _accredit(Kinds.PAYER, PAYER);
        otherPayerId = _accredit(Kinds.PAYER, OTHER_PAYER);
    }

    /// @notice A bill of the patient that charges for no prescription.
    function issueBill(uint64 claimable) internal returns (Bill memory bill) {
        uint64 number = BILL_CODE * SERIALS + 1;
        uint32 segment = allotBills(hospitalId, BILL_CODE, 1, 1);
        bill.header = Hashing.InvoiceHeader(
            number, address(patient), claimable, CURRENCY, false, 0, 0, keccak256("body")
        );
        issueBills(HOSPITAL, segment, number, 1, this.invoiceLeaf(bill.header));
        bill.head = Hashing.TreeHead(number, 1, segment, uint64(block.timestamp));
    }

    /// @notice A prescription of the patient for two fills of one line, of the class without limits.
    function issuePrescription(uint16 quantity) internal returns (Prescription memory issued) {
        uint64 number = PRESCRIPTION_CODE * SERIALS + 1;
        vm.prank(SUPERVISOR);
        uint32 segment = prescriptions.allot(hospitalId, PRESCRIPTION_CODE, 1, 1, false);
        Hashing.PrescriptionHeader memory header = issued.header;
        header.number = number;
        header.patient = address(patient);
        header.validUntil = type(uint32).max;
        header.quantities = new uint16[](1);
        header.quantities[0] = quantity;
        header.repeats = 1;
        header.body = keccak256("body");
        bytes32 root = this.prescriptionLeaf(header);
        vm.prank(HOSPITAL);
        prescriptions.issue(segment, number, 1, root);
        issued.head = Hashing.TreeHead(number, 1, segment, uint64(block.timestamp));
    }

    /// @notice The number of an opened record of the patient, the only one of its batch.
    function openRecord() internal returns (uint64 number) {
        number = RECORD_CODE * SERIALS + 1;
        vm.prank(SUPERVISOR);
        uint32 segment = records.allot(hospitalId, RECORD_CODE, 1, 1, false);
        Hashing.RecordHeader memory header =
            Hashing.RecordHeader(number, address(patient), 0, 1, keccak256("body"));
        bytes32 root = this.recordLeaf(header);
        vm.prank(HOSPITAL);
        records.issue(segment, number, 1, root);
        records.open(header, Hashing.TreeHead(number, 1, segment, uint64(block.timestamp)), new bytes32[](0));
    }

    function allotBills(uint32 institution, uint32 code, uint64 first, uint64 last) internal returns (uint32) {
        vm.prank(SUPERVISOR);
        return invoices.allot(institution, code, first, last, false);
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

    /// @dev As above.
    function recordLeaf(Hashing.RecordHeader calldata header) external pure returns (bytes32) {
        return Hashing.recordLeaf(header);
    }

    /// @notice Puts tokens of the other payers' into the escrow, too, so that there is something to take.
    function deposit(uint256 amount) internal {
        _deposit(PAYER, amount);
        _deposit(OTHER_PAYER, amount);
    }

    function lock(address payer, Bill memory bill, Hashing.ClaimTerms memory terms) internal {
        vm.prank(payer);
        claims.lock(bill.header, bill.head, new bytes32[](0), terms, "");
    }

    function lockAndSettle(address payer, Bill memory bill, Hashing.ClaimTerms memory terms, uint64 amount)
        internal
    {
        vm.prank(payer);
        claims.lockAndSettle(
            bill.header, bill.head, new bytes32[](0), IClaims.Settlement(terms, _decision(amount)), ""
        );
    }

    function settle(address payer, uint64 number, uint64 amount) internal {
        vm.prank(payer);
        claims.settle(number, _decision(amount));
    }

    function withdraw(address payer, uint64 number) internal {
        uint32 id = payer == PAYER ? payerId : otherPayerId;
        vm.prank(payer);
        claims.withdraw(number, id, 0, 0, "");
    }

    function accept(address pharmacy, Prescription memory issued, uint64 deadline) internal {
        vm.prank(pharmacy);
        prescriptions.accept(issued.header, issued.head, new bytes32[](0), deadline, "");
    }

    function returnToPool(address pharmacy, uint64 number) internal {
        vm.prank(pharmacy);
        prescriptions.returnToPool(number, 0);
    }

    function dispense(address pharmacy, uint64 number, uint16 quantity) internal {
        uint16[] memory quantities = new uint16[](1);
        quantities[0] = quantity;
        vm.prank(pharmacy);
        prescriptions.dispense(number, quantities, 0, keccak256("items"), keccak256("review"));
    }

    function withdrawDispensing(address pharmacy, uint64 number) internal {
        vm.prank(pharmacy);
        prescriptions.withdrawDispensing(number, 0);
    }

    function deliver(uint64 number, uint64 deadline) internal {
        prescriptions.deliver(number, deadline, "");
    }

    /// @notice Lets time pass, years at most.
    function wait_(uint32 time) internal {
        vm.warp(block.timestamp + time);
    }

    /// @dev Paid off chain, where the patient named no payee.
    function _decision(uint64 amount) private pure returns (IClaims.Decision memory) {
        return IClaims.Decision(amount, 0, keccak256("explanation"), keccak256("payment"));
    }

    function _deposit(address payer, uint256 amount) private {
        IToken token = IToken(address(escrow.token()));
        token.mint(payer, amount);
        vm.prank(payer);
        token.approve(address(escrow), amount);
        vm.prank(payer);
        escrow.deposit(amount);
    }

    function _accredit(uint8 kind, address operator) private returns (uint32) {
        vm.prank(SUPERVISOR);
        return institutions.accredit(kind, 460000, keccak256("name"), START, type(uint64).max, operator);
    }

    /// @dev The code that ships, or a mutant's: prove.py puts it there. To compile the contracts into every proof
    /// would take minutes a proof, and would prove another compilation.
    function _deploy(string memory name, bytes memory arguments) private returns (address made) {
        bytes memory creation = vm.getCode(string.concat("../.build/proofs/code/", name, ".json"));
        bytes memory code = bytes.concat(creation, arguments);
        assembly ("memory-safe") {
            made := create(0, add(code, 32), mload(code))
        }
        assert(made != address(0));
    }
}

/// @dev What the proofs need of the settlement token.
interface IToken {
    function mint(address to, uint256 amount) external;
    function approve(address spender, uint256 amount) external returns (bool);
    function balanceOf(address account) external view returns (uint256);
}
