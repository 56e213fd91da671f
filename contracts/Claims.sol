// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {PatientActs} from "./PatientActs.sol";
import {IClaims} from "./interfaces/IClaims.sol";
import {IInstitutions} from "./interfaces/IInstitutions.sol";
import {IInvoices} from "./interfaces/IInvoices.sol";
import {Hashing} from "./libraries/Hashing.sol";
import {Kinds} from "./libraries/Kinds.sol";

/// @title Claims on bills
/// @dev Guarantees: locked + reimbursed <= claimable over all payers; one open lock a (bill, payer);
/// one settlement a (bill, payer); no lock without the patient's signature, which works once.
/// Trusts: `institutions`, `invoices`. Does not: move money, or know the order of payers.
contract Claims is IClaims, PatientActs {
    /// @dev What of a bill is in use. `holders` lists the payers with a lock, 32 bits each, so that
    /// expired locks can be told from open ones in one bounded pass and free themselves.
    struct Usage {
        uint64 reimbursed;
        uint192 holders; // slot 0, six payers at most
    }

    IInstitutions public immutable institutions;
    IInvoices public immutable invoices;
    /// @notice How long a lock lasts, seconds.
    uint64 public immutable lockPeriod;

    mapping(uint64 number => Usage) private _usages; // one slot each
    mapping(uint64 number => mapping(uint32 payer => Claim)) private _claims; // one slot each

    constructor(IInstitutions institutions_, IInvoices invoices_, uint64 lockPeriod_) {
        if (address(invoices_.claims()) != address(this)) revert LedgerMismatch(address(invoices_));
        if (lockPeriod_ == 0) revert LockPeriodInvalid();
        institutions = institutions_;
        invoices = invoices_;
        lockPeriod = lockPeriod_;
    }

    /// @inheritdoc IClaims
    function lock(uint64 number, uint64 amount, uint64 deadline, bytes calldata authorisation) external {
        _lock(number, amount, deadline, authorisation);
    }

    /// @inheritdoc IClaims
    function openAndLock(
        Hashing.InvoiceHeader calldata header,
        Hashing.TreeHead calldata head,
        bytes32[] calldata path,
        uint64 amount,
        uint64 deadline,
        bytes calldata authorisation
    ) external {
        invoices.open(header, head, path);
        _lock(header.number, amount, deadline, authorisation);
    }

    /// @inheritdoc IClaims
    function settle(uint64 number, uint64 amount, uint16 reason, bytes32 explanation) external {
        uint32 payer = institutions.authorise(msg.sender, Kinds.PAYER);
        Claim storage claim = _openClaim(number, payer);
        if (amount == 0) revert AmountZero();
        if (amount > claim.amount) revert OverLock(number, amount, claim.amount);

        claim.amount = amount;
        claim.until = uint64(block.timestamp);
        claim.status = Status.Settled;
        (uint192 holders,) = _sweep(number);
        _usages[number] = Usage(_usages[number].reimbursed + amount, holders);
        emit ClaimSettled(number, payer, amount, reason, explanation, msg.sender);
    }

    /// @inheritdoc IClaims
    function release(uint64 number, uint16 reason) external {
        uint32 payer = institutions.authorise(msg.sender, Kinds.PAYER);
        Claim storage claim = _openClaim(number, payer);

        claim.amount = 0;
        claim.until = uint64(block.timestamp);
        claim.status = Status.Released;
        (_usages[number].holders,) = _sweep(number);
        emit ClaimReleased(number, payer, reason, msg.sender);
    }

    /// @inheritdoc IClaims
    function claimOf(uint64 number, uint32 payer) external view returns (Claim memory) {
        return _claims[number][payer];
    }

    /// @inheritdoc IClaims
    function claimsOf(uint64[] calldata numbers, uint32[] calldata payers)
        external
        view
        returns (Claim[] memory found)
    {
        found = new Claim[](numbers.length);
        for (uint256 i = 0; i < numbers.length; ++i) {
            found[i] = _claims[numbers[i]][payers[i]];
        }
    }

    /// @inheritdoc IClaims
    function usageOf(uint64 number) public view returns (uint64 locked, uint64 reimbursed) {
        (, locked) = _sweep(number);
        reimbursed = _usages[number].reimbursed;
    }

    /// @inheritdoc IClaims
    function usagesOf(uint64[] calldata numbers)
        external
        view
        returns (uint64[] memory locked, uint64[] memory reimbursed)
    {
        locked = new uint64[](numbers.length);
        reimbursed = new uint64[](numbers.length);
        for (uint256 i = 0; i < numbers.length; ++i) {
            (locked[i], reimbursed[i]) = usageOf(numbers[i]);
        }
    }

    /// @inheritdoc IClaims
    function remainderOf(uint64 number) external view returns (uint64) {
        (uint64 locked, uint64 reimbursed) = usageOf(number);
        return _remainder(invoices.claimableOf(number), locked + reimbursed);
    }

    /// @inheritdoc IClaims
    function recoupDueOf(uint64 number) external view returns (uint64) {
        return _remainder(_usages[number].reimbursed, invoices.claimableOf(number));
    }

    function _lock(uint64 number, uint64 amount, uint64 deadline, bytes calldata authorisation) private {
        uint32 payer = institutions.authorise(msg.sender, Kinds.PAYER);
        uint32 sequence = _requireNoClaim(number, payer);
        (address patient, uint192 holders) = _requireRemainder(number, amount);
        bytes32 act = Hashing.claimAuthorisation(number, payer, amount, sequence, deadline);
        _requireSigned(number, patient, act, deadline, authorisation);

        uint64 until = uint64(block.timestamp) + lockPeriod;
        _usages[number].holders = (holders << 32) | payer;
        _claims[number][payer] = Claim(amount, until, sequence + 1, Status.Locked);
        emit ClaimLocked(number, payer, amount, until, sequence, msg.sender);
    }

    /// @dev Returns the sequence that the next authorisation must name.
    function _requireNoClaim(uint64 number, uint32 payer) private view returns (uint32) {
        Claim storage claim = _claims[number][payer];
        if (claim.status == Status.Settled) revert ClaimIsSettled(number, payer, claim.amount);
        if (_isOpen(claim)) revert ClaimIsLocked(number, payer, claim.until);
        return claim.sequence;
    }

    /// @dev Returns the patient, and the payers whose lock is open now.
    function _requireRemainder(uint64 number, uint64 amount)
        private
        view
        returns (address patient, uint192 holders)
    {
        if (amount == 0) revert AmountZero();
        uint64 claimable;
        uint64 locked;
        (patient, claimable) = invoices.requireUsable(number);
        (holders, locked) = _sweep(number);
        if (holders >> 160 != 0) revert TooManyLocks(number);
        uint64 remainder = _remainder(claimable, locked + _usages[number].reimbursed);
        if (amount > remainder) revert OverRemainder(number, amount, remainder);
    }

    function _openClaim(uint64 number, uint32 payer) private view returns (Claim storage claim) {
        claim = _claims[number][payer];
        if (claim.status == Status.Settled) revert ClaimIsSettled(number, payer, claim.amount);
        if (!_isOpen(claim)) revert ClaimNotLocked(number, payer);
    }

    /// @dev The payers whose lock is open now, and the sum of these locks. At most six rounds.
    function _sweep(uint64 number) private view returns (uint192 holders, uint64 locked) {
        for (uint192 rest = _usages[number].holders; rest != 0; rest >>= 32) {
            Claim storage claim = _claims[number][uint32(rest)];
            if (_isOpen(claim)) {
                holders = (holders << 32) | uint32(rest);
                locked += claim.amount;
            }
        }
    }

    /// @dev A partial reversal may leave less claimable than was reimbursed.
    function _remainder(uint64 whole, uint64 taken) private pure returns (uint64) {
        return whole > taken ? whole - taken : 0;
    }

    function _isOpen(Claim storage claim) private view returns (bool) {
        return claim.status == Status.Locked && block.timestamp <= claim.until;
    }
}
