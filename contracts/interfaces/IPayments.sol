// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {Hashing} from "../libraries/Hashing.sol";
import {IInvoices} from "./IInvoices.sol";

/// @title What patients pay of their bills
/// @notice The patient-borne part of a bill is paid once: in the settlement token, or off chain, where the
/// hospital states it and the patient confirms it.
interface IPayments {
    /// @notice How far the payment of a bill is.
    enum PaymentStatus {
        None,
        Stated,
        Paid
    }

    /// @notice The payment of a bill.
    /// @param payee Who was paid in the settlement token; zero for a payment off chain.
    /// @param amount Minor units.
    /// @param status None, stated by the hospital, or paid.
    /// @param payment Commitment to the reference of a payment off chain; zero for one in the token.
    struct Payment {
        address payee;
        uint64 amount;
        PaymentStatus status;
        bytes32 payment;
    }

    /// @notice A hospital said where it is paid in the settlement token; zero for nowhere.
    event AccountSet(uint32 indexed hospital, address account, address by);
    /// @notice A bill was paid in the settlement token.
    event BillPaid(
        uint64 indexed number, uint32 indexed hospital, address payee, uint64 amount, address by
    );
    /// @notice The hospital stated that it was paid off chain.
    event PaymentStated(uint64 indexed number, uint64 amount, bytes32 payment, address by);
    /// @notice The hospital took its statement back.
    event StatementWithdrawn(uint64 indexed number, address by);
    /// @notice The patient confirmed the statement: the bill is paid.
    event StatementConfirmed(uint64 indexed number, address by);

    /// @notice The bill has been paid.
    error BillIsPaid(uint64 number);
    /// @notice The hospital has stated a payment off chain of this bill.
    error PaymentIsStated(uint64 number);
    /// @notice No payment off chain of this bill is stated and unconfirmed.
    error PaymentNotStated(uint64 number);
    /// @notice The hospital is paid at `account`, or nowhere if that is zero.
    error PayeeDiffers(uint64 number, address payee, address account);
    /// @notice The amount is more than the patient bears of the bill, minor units.
    error OverDue(uint64 number, uint64 amount, uint64 due);

    /// @notice Says where the hospital of the caller is paid in the settlement token; zero for nowhere.
    function setAccount(address account) external;

    /// @notice Pays what the patient bears of a bill, less what was reversed, with tokens of the caller.
    /// @param header Header of the bill; it may be on hold, for bills are held until they are paid.
    /// @param head Tree head of its batch.
    /// @param path Inclusion path, lowest sibling first.
    /// @param payee Account of the hospital, as the caller knows it.
    /// @dev Anyone may pay. Needs an allowance; one token base unit is one minor unit. Warning: what payers paid
    /// to the hospital is not taken off, and who pays several bills from one account links them.
    function pay(
        Hashing.InvoiceHeader calldata header,
        Hashing.TreeHead calldata head,
        bytes32[] calldata path,
        address payee
    ) external;

    /// @notice States that the patient has paid a bill off chain.
    /// @param segment Segment of the bill, which is one of the caller's hospital.
    /// @param number The bill.
    /// @param amount Minor units, not zero.
    /// @param payment Commitment to the payment's reference, never zero.
    function state(uint32 segment, uint64 number, uint64 amount, bytes32 payment) external;

    /// @notice Takes a statement back that the patient has not confirmed.
    function withdraw(uint32 segment, uint64 number) external;

    /// @notice Confirms the statement of an opened bill: it is paid.
    /// @param number The bill.
    /// @param deadline Last second of the signature, Unix time.
    /// @param signature The patient's, over BillPayment with the amount and the reference that are stated.
    function confirm(uint64 number, uint64 deadline, bytes calldata signature) external;

    /// @notice The payment of a bill; all zero where there is none.
    function paymentOf(uint64 number) external view returns (Payment memory);

    /// @notice Where a hospital is paid in the settlement token, zero for nowhere.
    function accountOf(uint32 hospital) external view returns (address);

    /// @notice The ledger of the bills.
    function invoices() external view returns (IInvoices);

    /// @notice The settlement token; zero where this deployment has none.
    function token() external view returns (IERC20);

    /// @notice ISO 4217 numeric code of what the token stands for.
    function currency() external view returns (uint16);
}
