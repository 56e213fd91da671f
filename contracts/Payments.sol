// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {ReentrancyGuard} from "@openzeppelin/contracts/utils/ReentrancyGuard.sol";
import {PatientActs} from "./PatientActs.sol";
import {IClaims} from "./interfaces/IClaims.sol";
import {IDocumentLedger} from "./interfaces/IDocumentLedger.sol";
import {IInstitutions} from "./interfaces/IInstitutions.sol";
import {IInvoices} from "./interfaces/IInvoices.sol";
import {IKnowsInstitutions} from "./interfaces/IKnowsInstitutions.sol";
import {IPayments} from "./interfaces/IPayments.sol";
import {ExactTransfer} from "./libraries/ExactTransfer.sol";
import {Hashing} from "./libraries/Hashing.sol";
import {Kinds} from "./libraries/Kinds.sol";

/// @title What patients pay of their bills
/// @dev Guarantees: a bill is paid once, in one of two ways, and not once it is reversed; a payment in the token
/// is all that is due, and reaches the account of the issuer in the transaction that marks the bill; one
/// off chain has the words of both sides. Trusts: `invoices`, and whose institutions it knows. Does not
/// trust the token: what it moved is measured. Holds no tokens, pays nothing back.
contract Payments is IPayments, PatientActs, ReentrancyGuard {
    using ExactTransfer for IERC20;

    IInvoices public immutable invoices;
    IInstitutions public immutable institutions;
    IERC20 public immutable token;
    uint16 public immutable currency;

    mapping(uint32 hospital => address) public accountOf;
    mapping(uint64 number => Payment) private _payments; // two slots each, the second one off chain only

    constructor(IInvoices invoices_, IERC20 token_, uint16 currency_) {
        invoices = invoices_;
        institutions = IKnowsInstitutions(address(invoices_)).institutions();
        token = token_;
        currency = currency_;
    }

    /// @inheritdoc IPayments
    function setAccount(address account) external {
        uint32 hospital = institutions.authorise(msg.sender, Kinds.HOSPITAL);
        accountOf[hospital] = account;
        emit AccountSet(hospital, account, msg.sender);
    }

    /// @inheritdoc IPayments
    function pay(
        Hashing.InvoiceHeader calldata header,
        Hashing.TreeHead calldata head,
        bytes32[] calldata path,
        address payee
    ) external nonReentrant {
        uint64 number = header.number;
        invoices.verifyInclusion(Hashing.invoiceLeaf(header), number, head, path);
        _requireUnpaid(number);
        if (address(token) == address(0) || header.currency != currency) {
            revert IClaims.CurrencyNotPaid(number, header.currency);
        }
        uint32 hospital = _requirePayee(number, head.segment, payee);
        uint64 amount = _requireStanding(number, header.claimable);
        if (amount == 0) revert IClaims.AmountZero(number);

        _payments[number] = Payment(payee, amount, PaymentStatus.Paid, 0);
        emit BillPaid(number, hospital, payee, amount, msg.sender);
        token.collect(payee, amount);
    }

    /// @inheritdoc IPayments
    function state(uint32 segment, uint64 number, uint64 amount, bytes32 payment) external {
        _requireIssuer(segment, number);
        _requireUnpaid(number);
        if (amount == 0) revert IClaims.AmountZero(number);
        if (payment == 0) revert IClaims.PaymentMissing(number);

        _payments[number] = Payment(address(0), amount, PaymentStatus.Stated, payment);
        emit PaymentStated(number, amount, payment, msg.sender);
    }

    /// @inheritdoc IPayments
    function withdraw(uint32 segment, uint64 number) external {
        _requireIssuer(segment, number);
        _requireStated(number);

        delete _payments[number];
        emit StatementWithdrawn(number, msg.sender);
    }

    /// @inheritdoc IPayments
    function confirm(uint64 number, uint64 deadline, bytes calldata signature) external {
        _requireStated(number);
        Payment storage record = _payments[number];
        uint64 amount = record.amount;
        IInvoices.Invoice memory invoice = invoices.invoiceOf(number);
        if (invoice.patient == address(0)) revert IInvoices.InvoiceNotOpened(number);
        uint64 due = _requireStanding(number, invoice.claimable);
        if (amount > due) revert OverDue(number, amount, due);
        bytes32 act = Hashing.billPayment(number, amount, record.payment, deadline);
        _requireSigned(number, invoice.patient, act, deadline, signature);

        record.status = PaymentStatus.Paid;
        emit StatementConfirmed(number, msg.sender);
    }

    /// @inheritdoc IPayments
    function paymentOf(uint64 number) external view returns (Payment memory) {
        return _payments[number];
    }

    function _requireUnpaid(uint64 number) private view {
        PaymentStatus status = _payments[number].status;
        if (status == PaymentStatus.Paid) revert BillIsPaid(number);
        if (status == PaymentStatus.Stated) revert PaymentIsStated(number);
    }

    function _requireStated(uint64 number) private view {
        PaymentStatus status = _payments[number].status;
        if (status == PaymentStatus.Paid) revert BillIsPaid(number);
        if (status == PaymentStatus.None) revert PaymentNotStated(number);
    }

    function _requirePayee(uint64 number, uint32 segment, address payee) private view returns (uint32 hospital) {
        hospital = invoices.segmentOf(segment).institution;
        if (!institutions.isActiveAs(hospital, Kinds.HOSPITAL)) revert IDocumentLedger.NotAnIssuer(hospital);
        address account = accountOf[hospital];
        if (account == address(0) || payee != account) revert PayeeDiffers(number, payee, account);
    }

    function _requireIssuer(uint32 segment, uint64 number) private view {
        uint32 hospital = institutions.authorise(msg.sender, Kinds.HOSPITAL);
        bool issued = invoices.isIssued(segment, number);
        if (!issued || invoices.segmentOf(segment).institution != hospital) {
            revert IClaims.NotTheIssuer(number, hospital);
        }
    }

    /// @dev What is due of a bill: `claimable`, as its header says, less what was reversed.
    function _requireStanding(uint64 number, uint64 claimable) private view returns (uint64 due) {
        IInvoices.Standing standing = invoices.invoiceOf(number).standing;
        if (standing == IInvoices.Standing.Regular) return claimable;
        if (standing == IInvoices.Standing.PartlyReversed) return invoices.claimableOf(number);
        if (standing == IInvoices.Standing.RedLetter) revert IInvoices.InvoiceIsRedLetter(number);
        if (standing == IInvoices.Standing.OnPaper) revert IInvoices.InvoiceOnPaper(number);
        revert IInvoices.InvoiceIsReversed(number, invoices.reversedBy(number));
    }
}
