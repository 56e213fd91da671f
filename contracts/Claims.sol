// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {ClaimBook} from "./ClaimBook.sol";
import {PatientActs} from "./PatientActs.sol";
import {IClaims} from "./interfaces/IClaims.sol";
import {IEscrow} from "./interfaces/IEscrow.sol";
import {IHandedOver} from "./interfaces/IHandedOver.sol";
import {IInstitutions} from "./interfaces/IInstitutions.sol";
import {IInvoices} from "./interfaces/IInvoices.sol";
import {ClaimWords} from "./libraries/ClaimWords.sol";
import {Hashing} from "./libraries/Hashing.sol";
import {Kinds} from "./libraries/Kinds.sol";
import {SameInstitutions} from "./libraries/SameInstitutions.sol";

/// @title Claims on bills
/// @dev Guarantees: locked + reimbursed <= claimable over all payers, fixed benefits aside; one open lock a
/// (bill, payer); one settlement a (bill, payer), paid at most once; no lock without the patient's
/// signature, which works once. Trusts: `institutions`, `invoices`, `prescriptions`, `escrow`. Does not: see
/// policies, or payments off chain.
contract Claims is ClaimBook, PatientActs {
    using ClaimWords for uint256;

    /// @dev What of the patient's terms only settling needs.
    struct Order {
        address payee;
        uint32 afterPayer; // slot 0
    }

    uint40 private constant MAX_LOCK_PERIOD = 366 days;
    uint256 private constant MAX_CLAIMS = 200;

    IInstitutions public immutable institutions;
    IInvoices public immutable invoices;
    IHandedOver public immutable prescriptions;
    /// @notice Pays settlements; the zero address where this deployment has no settlement token.
    IEscrow public immutable escrow;
    /// @notice How long a lock lasts, seconds.
    uint40 public immutable lockPeriod;

    mapping(uint64 number => mapping(uint32 payer => Order)) private _orders; // one slot each
    mapping(uint64 number => mapping(uint32 payer => uint64)) public recoupedOf;

    constructor(
        IInstitutions institutions_,
        IInvoices invoices_,
        IHandedOver prescriptions_,
        IEscrow escrow_,
        uint40 lockPeriod_
    ) {
        if (address(invoices_.claims()) != address(this)) revert LedgerMismatch(address(invoices_));
        SameInstitutions.check(institutions_, address(invoices_));
        SameInstitutions.check(institutions_, address(prescriptions_));
        if (address(escrow_) != address(0)) {
            if (escrow_.claims() != address(this)) revert LedgerMismatch(address(escrow_));
            SameInstitutions.check(institutions_, address(escrow_));
        }
        if (lockPeriod_ == 0 || lockPeriod_ > MAX_LOCK_PERIOD) revert LockPeriodInvalid(lockPeriod_);
        institutions = institutions_;
        invoices = invoices_;
        prescriptions = prescriptions_;
        escrow = escrow_;
        lockPeriod = lockPeriod_;
    }

    /// @inheritdoc IClaims
    function lock(
        Hashing.InvoiceHeader calldata header,
        Hashing.TreeHead calldata head,
        bytes32[] calldata path,
        Hashing.ClaimTerms calldata terms,
        bytes calldata signature
    ) external {
        uint32 payer = institutions.authorise(msg.sender, Kinds.PAYER);
        uint64 claimable = _requireUsable(header, head, path);
        (uint256 claim, bool isLater) = _locked(payer, header, claimable, terms, signature);

        uint64 number = header.number;
        if (isLater) _addHolder(number, payer);
        _orders[number][payer] = Order(terms.payee, terms.afterPayer);
        _store(number, claim, isLater);
        emit ClaimLocked(number, payer, claimable, claim.until(), claim.sequence() - 1, terms, msg.sender);
    }

    /// @inheritdoc IClaims
    function lockAndSettle(
        Hashing.InvoiceHeader calldata header,
        Hashing.TreeHead calldata head,
        bytes32[] calldata path,
        Settlement calldata settlement,
        bytes calldata signature
    ) external {
        uint32 payer = institutions.authorise(msg.sender, Kinds.PAYER);
        uint64 claimable = _requireUsable(header, head, path);
        _lockAndSettle(payer, header, claimable, settlement, signature);
        _pay(header.number, payer, settlement.terms.payee, settlement.decision.amount);
    }

    /// @inheritdoc IClaims
    function lockAndSettleMany(
        Hashing.InvoiceHeader[] calldata headers,
        Hashing.TreeHead calldata head,
        bytes32[] calldata path,
        Settlement[] calldata settlements,
        bytes[] calldata signatures
    ) external {
        _requireCount(headers.length, settlements.length, signatures.length);
        uint32 payer = institutions.authorise(msg.sender, Kinds.PAYER);
        (head, path); // used as they stand in the calldata
        uint64[] memory claimable = _requireAllUsable();
        bool pays = false;
        for (uint256 i = 0; i < headers.length; ++i) {
            bool isPaid = _lockAndSettle(payer, headers[i], claimable[i], settlements[i], signatures[i]);
            if (isPaid) pays = true;
        }
        // All marks stand before the first token moves.
        for (uint256 i = 0; pays && i < headers.length; ++i) {
            _pay(headers[i].number, payer, settlements[i].terms.payee, settlements[i].decision.amount);
        }
    }

    /// @inheritdoc IClaims
    function settle(uint64 number, Decision calldata decision) external {
        uint32 payer = institutions.authorise(msg.sender, Kinds.PAYER);
        (uint256 claim, bool isLater) = _requireOpen(number, payer);
        Order memory order = _orders[number][payer];

        _settle(number, claim, isLater, order.payee, order.afterPayer, decision);
        emit ClaimSettled(number, payer, order.payee != address(0), decision, msg.sender);
        _pay(number, payer, order.payee, decision.amount);
    }

    /// @inheritdoc IClaims
    function deny(uint64 number, uint16 reason, bytes32 explanation) external {
        uint32 payer = institutions.authorise(msg.sender, Kinds.PAYER);
        (uint256 claim, bool isLater) = _requireOpen(number, payer);
        if (explanation == 0) revert ExplanationMissing(number);

        _store(number, claim.ended(0, block.timestamp, Status.Denied), isLater);
        emit ClaimDenied(number, payer, reason, explanation, msg.sender);
    }

    /// @inheritdoc IClaims
    function withdraw(uint64 number, uint32 payer, uint16 reason, uint64 deadline, bytes calldata signature)
        external
    {
        (uint256 claim, bool isLater) = _requireOpen(number, payer);
        bytes32 act = Hashing.claimWithdrawal(number, payer, reason, claim.sequence(), deadline);
        claim = _requirePayerOrPatient(number, payer, claim, act, deadline, signature);

        _store(number, claim.ended(0, block.timestamp, Status.Withdrawn), isLater);
        emit ClaimWithdrawn(number, payer, reason, claim.sequence(), msg.sender);
    }

    /// @inheritdoc IClaims
    function waive(uint64 number, uint32 payer, uint64 deadline, bytes calldata signature) external {
        (uint256 claim, bool isLater) = _find(number, payer);
        if (_isOpen(claim)) revert ClaimIsLocked(number, payer, claim.until());
        if (claim.status() >= Status.Denied) revert ClaimForbids(number, payer, claim.status());
        bytes32 act = Hashing.payerWaiver(number, payer, claim.sequence(), deadline);
        claim = _requirePayerOrPatient(number, payer, claim, act, deadline, signature);

        // There may have been no claim before.
        claim |= payer;
        _store(number, claim.ended(0, block.timestamp, Status.Waived), isLater);
        emit PayerWaived(number, payer, claim.sequence(), msg.sender);
    }

    /// @inheritdoc IClaims
    function confirmPayment(
        uint64 number,
        uint32 payer,
        bytes32 payment,
        uint32 segment,
        uint64 deadline,
        bytes calldata signature
    ) external {
        (uint256 claim, bool isLater) = _requireReimbursed(number, payer);
        if (claim.isPaid()) revert PaymentIsConfirmed(number, payer);
        if (claim.payment() != bytes11(payment)) revert PaymentDiffers(number, payer, payment);
        if (signature.length == 0) {
            _requireIssuer(segment, number);
        } else {
            bytes32 act = Hashing.paymentConfirmation(number, payer, payment, deadline);
            _requireSigned(number, _patientOf(number), act, deadline, signature);
        }

        _store(number, claim.withPaid(), isLater);
        emit PaymentConfirmed(number, payer, payment, msg.sender);
    }

    /// @inheritdoc IClaims
    function recoup(uint64 number, uint64 amount, uint16 reason, bytes32 explanation) external {
        uint32 payer = institutions.authorise(msg.sender, Kinds.PAYER);
        (uint256 claim,) = _requireReimbursed(number, payer);
        uint64 free = claim.amount() - recoupedOf[number][payer];
        if (amount == 0) revert AmountZero(number);
        if (amount > free) revert OverReimbursed(number, amount, free);
        if (explanation == 0) revert ExplanationMissing(number);

        recoupedOf[number][payer] += amount;
        emit ClaimRecouped(number, payer, amount, reason, explanation, msg.sender);
    }

    /// @inheritdoc IClaims
    function repay(uint64 number, uint64 amount, bytes32 payment) external {
        uint32 payer = institutions.authorise(msg.sender, Kinds.PAYER);
        (uint256 claim, bool isLater) = _requireReimbursed(number, payer);
        uint64 due = recoupDueOf(number, payer);
        if (amount == 0) revert AmountZero(number);
        if (amount > due) revert OverRecoupDue(number, amount, due);
        if (payment == 0) revert PaymentMissing(number);

        uint64 recouped = recoupedOf[number][payer];
        recoupedOf[number][payer] = amount < recouped ? recouped - amount : 0;
        if (isLater) _takeReimbursed(number, amount, claim.fixedBenefit());
        _store(number, claim.ended(claim.amount() - amount, claim.until(), claim.status()), isLater);
        emit ClaimRepaid(number, payer, amount, payment, msg.sender);
    }

    /// @inheritdoc IClaims
    function book(uint64 number) external {
        uint32 payer = _move(number, Status.Settled, Status.Booked);
        emit ClaimBooked(number, payer, msg.sender);
    }

    /// @inheritdoc IClaims
    function revokeBooking(uint64 number, uint16 reason) external {
        uint32 payer = _move(number, Status.Booked, Status.Settled);
        emit BookingRevoked(number, payer, reason, msg.sender);
    }

    /// @inheritdoc IClaims
    function archive(uint64 number) external {
        uint32 payer = _move(number, Status.Booked, Status.Archived);
        emit ClaimArchived(number, payer, msg.sender);
    }

    /// @inheritdoc IClaims
    function recoupDueOf(uint64 number, uint32 payer) public view returns (uint64) {
        (uint256 claim,) = _find(number, payer);
        if (claim.status() < Status.Settled) return 0;
        uint64 recouped = recoupedOf[number][payer];
        uint64 excess = _excess(number, claim);
        return recouped > excess ? recouped : excess;
    }

    function _requireUsable(
        Hashing.InvoiceHeader calldata header,
        Hashing.TreeHead calldata head,
        bytes32[] calldata path
    ) private view returns (uint64) {
        Hashing.InvoiceHeader[] memory headers = new Hashing.InvoiceHeader[](1);
        headers[0] = header;
        return invoices.requireUsable(headers, head, path)[0];
    }

    /// @dev Proves and checks every bill of `lockAndSettleMany` in one call. The first arguments of both functions
    /// are the same, and a function ignores what follows its own, so its calldata is passed on as it
    /// is, and the answer taken as it is: to encode and decode would take 3,000 gas a bill.
    function _requireAllUsable() private view returns (uint64[] memory claimable) {
        address ledger = address(invoices);
        bytes4 selector = IInvoices.requireUsable.selector;
        assembly ("memory-safe") {
            let free := mload(0x40)
            calldatacopy(free, 0, calldatasize())
            mstore(free, or(selector, shr(32, shl(32, mload(free)))))
            let usable := staticcall(gas(), ledger, free, calldatasize(), 0, 0)
            returndatacopy(free, 0, returndatasize())
            if iszero(usable) { revert(free, returndatasize()) }
            // The answer is an offset, then length and items, which is an array's form in memory, too.
            claimable := add(free, 0x20)
            mstore(0x40, add(free, returndatasize()))
        }
    }

    function _requireCount(uint256 headers, uint256 settlements, uint256 signatures) private pure {
        if (headers == 0 || headers > MAX_CLAIMS || headers != settlements || headers != signatures) {
            revert ClaimCountInvalid(headers, settlements, signatures);
        }
    }

    /// @dev The claim as it is once locked, after every check; stores nothing.
    function _locked(
        uint32 payer,
        Hashing.InvoiceHeader calldata header,
        uint64 claimable,
        Hashing.ClaimTerms calldata terms,
        bytes calldata signature
    ) private view returns (uint256 claim, bool isLater) {
        uint64 number = header.number;
        uint64 amount = terms.amount;
        (claim, isLater) = _find(number, payer);
        if (claim.status() >= Status.Settled) revert ClaimIsSettled(number, payer, claim.amount());
        if (_isOpen(claim)) revert ClaimIsLocked(number, payer, claim.until());
        if (amount == 0) revert AmountZero(number);
        if (!terms.fixedBenefit) {
            // Most bills nobody has used before: what says so has just been read.
            bool isUnused = claim == 0 && !isLater;
            _requireRemainder(header, claimable, isUnused ? 0 : _usedOf(number), amount);
        }
        if (terms.payee != address(0)) _requirePaid(number, header.currency);
        bytes32 act = Hashing.claimAuthorisation(number, payer, claim.sequence(), terms);
        _requireSigned(number, header.patient, act, terms.deadline, signature);

        claim = claim.locked(payer, amount, block.timestamp + lockPeriod, terms.fixedBenefit);
    }

    function _lockAndSettle(
        uint32 payer,
        Hashing.InvoiceHeader calldata header,
        uint64 claimable,
        Settlement calldata settlement,
        bytes calldata signature
    ) private returns (bool isPaid) {
        Hashing.ClaimTerms calldata terms = settlement.terms;
        (uint256 claim, bool isLater) = _locked(payer, header, claimable, terms, signature);
        uint64 number = header.number;
        _settle(number, claim, isLater, terms.payee, terms.afterPayer, settlement.decision);
        emit ClaimLockedAndSettled(number, payer, claimable, claim.sequence() - 1, settlement, msg.sender);
        return terms.payee != address(0);
    }

    function _settle(
        uint64 number,
        uint256 claim,
        bool isLater,
        address payee,
        uint32 afterPayer,
        Decision calldata decision
    ) private {
        uint64 amount = decision.amount;
        if (amount == 0) revert AmountZero(number);
        if (amount > claim.amount()) revert OverLock(number, amount, claim.amount());
        if (decision.explanation == 0) revert ExplanationMissing(number);
        if (payee == address(0) && decision.payment == 0) revert PaymentMissing(number);
        if (afterPayer != 0 && claimOf(number, afterPayer).status < Status.Denied) {
            revert PayerUndecided(number, afterPayer);
        }

        if (isLater) _addReimbursed(number, amount, claim.fixedBenefit());
        claim = claim.ended(amount, block.timestamp, Status.Settled).withPayment(decision.payment);
        _store(number, payee == address(0) ? claim : claim.withPaid(), isLater);
    }

    function _pay(uint64 number, uint32 payer, address payee, uint64 amount) private {
        if (payee != address(0)) escrow.pay(number, payer, payee, amount);
    }

    function _move(uint64 number, Status from, Status to) private returns (uint32 payer) {
        payer = institutions.authorise(msg.sender, Kinds.PAYER);
        (uint256 claim, bool isLater) = _find(number, payer);
        if (claim.status() != from) revert ClaimForbids(number, payer, claim.status());
        _store(number, claim.ended(claim.amount(), claim.until(), to), isLater);
    }

    function _usedOf(uint64 number) private view returns (uint64) {
        (uint64 locked, uint64 reimbursed) = usageOf(number);
        return locked + reimbursed;
    }

    function _requireRemainder(
        Hashing.InvoiceHeader calldata header,
        uint64 claimable,
        uint64 used,
        uint64 amount
    ) private view {
        uint64 number = header.number;
        uint64 remainder = claimable > used ? claimable - used : 0;
        if (amount > remainder) revert OverRemainder(number, amount, remainder);
        if (remainder - amount < header.prescribed && !prescriptions.isHandedOver(header.prescription)) {
            revert PrescriptionNotHandedOver(number, header.prescription);
        }
    }

    function _requirePaid(uint64 number, uint16 currency) private view {
        if (address(escrow) == address(0) || escrow.currency() != currency) {
            revert CurrencyNotPaid(number, currency);
        }
    }

    /// @dev The payer's operator needs no signature. The patient's is used up, in the claim returned.
    function _requirePayerOrPatient(
        uint64 number,
        uint32 payer,
        uint256 claim,
        bytes32 act,
        uint64 deadline,
        bytes calldata signature
    ) private view returns (uint256) {
        if (signature.length == 0) {
            uint32 caller = institutions.authorise(msg.sender, Kinds.PAYER);
            if (caller != payer) revert NotThePayer(number, caller);
            return claim;
        }
        _requireSigned(number, _patientOf(number), act, deadline, signature);
        return claim.withSequence();
    }

    function _requireIssuer(uint32 segment, uint64 number) private view {
        uint32 hospital = institutions.authorise(msg.sender, Kinds.HOSPITAL);
        bool issued = invoices.isIssued(segment, number);
        if (!issued || invoices.segmentOf(segment).institution != hospital) revert NotTheIssuer(number, hospital);
    }

    function _requireOpen(uint64 number, uint32 payer) private view returns (uint256 claim, bool isLater) {
        (claim, isLater) = _find(number, payer);
        if (claim.status() >= Status.Settled) revert ClaimIsSettled(number, payer, claim.amount());
        if (!_isOpen(claim)) revert ClaimNotLocked(number, payer);
    }

    function _requireReimbursed(uint64 number, uint32 payer)
        private
        view
        returns (uint256 claim, bool isLater)
    {
        (claim, isLater) = _find(number, payer);
        if (claim.status() < Status.Settled) revert ClaimForbids(number, payer, claim.status());
    }

    function _patientOf(uint64 number) private view returns (address patient) {
        patient = invoices.invoiceOf(number).patient;
        if (patient == address(0)) revert IInvoices.InvoiceNotOpened(number);
    }

    /// @dev What of a reimbursement is beyond what a reversal leaves of the bill.
    function _excess(uint64 number, uint256 claim) private view returns (uint64) {
        if (invoices.isReversed(number)) return claim.amount();
        // Only an opened bill can be reversed in part; a fixed benefit is none of its parts.
        if (claim.fixedBenefit() || invoices.invoiceOf(number).patient == address(0)) return 0;
        (, uint64 reimbursed) = usageOf(number);
        uint64 left = invoices.claimableOf(number);
        uint64 over = reimbursed > left ? reimbursed - left : 0;
        return over < claim.amount() ? over : claim.amount();
    }
}
