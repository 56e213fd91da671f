// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IPrescriptions} from "../interfaces/IPrescriptions.sol";

/// @dev What an acceptance fixes.
/// @param patient One-time address.
/// @param pharmacy Who accepted it last; counts while the state says that somebody has it.
/// @param reviewer The end of an address, enough to tell it from another; 0 for nobody.
/// @param withdrawMinutes How long a dispensing may be withdrawn, minutes.
/// @param repeatsLeft Fills allowed after this one.
/// @param lines The substitutable ones in the lower five bits, above them how many there are.
/// @param flags Bits of `Prescriptions`.
struct Terms {
    address patient;
    uint32 pharmacy;
    uint24 reviewer;
    uint16 withdrawMinutes;
    uint8 repeatsLeft;
    uint8 lines;
    uint8 flags;
}

/// @dev What each step changes.
/// @param remaining Quantities left of this fill.
/// @param parcel Quantities dispensed and not yet delivered.
/// @param courier Who carries the parcel, 0 for nobody.
/// @param until End of the lease of who has it; once delivered, when that was. Unix time.
/// @param sequence Acts of the patient and changes of the parcel so far.
/// @param state Where it is.
struct Progress {
    uint80 remaining;
    uint80 parcel;
    uint32 courier;
    uint40 until;
    uint16 sequence;
    IPrescriptions.State state;
}

/// @title How a prescription is stored: two words
/// @dev Packed by hand: the compiler would read and write a struct in storage member by member.
/// Quantities are packed too: line i, counted from 0, is at bit 16 * i.
library PrescriptionRecords {
    uint256 internal constant MAX_LINES = 5;
    uint256 private constant LINE_BITS = 16;
    uint256 private constant FLAGS_AT = 248;

    function pack(Terms memory terms) internal pure returns (uint256 word) {
        word = uint160(terms.patient);
        word |= uint256(terms.pharmacy) << 160;
        word |= uint256(terms.reviewer) << 192;
        word |= uint256(terms.withdrawMinutes) << 216;
        word |= uint256(terms.repeatsLeft) << 232;
        word |= uint256(terms.lines) << 240;
        word |= uint256(terms.flags) << FLAGS_AT;
    }

    function pack(Progress memory progress) internal pure returns (uint256 word) {
        word = progress.remaining;
        word |= uint256(progress.parcel) << 80;
        word |= uint256(progress.courier) << 160;
        word |= uint256(progress.until) << 192;
        word |= uint256(progress.sequence) << 232;
        word |= uint256(uint8(progress.state)) << 248;
    }

    function toTerms(uint256 word) internal pure returns (Terms memory terms) {
        terms.patient = address(uint160(word));
        terms.pharmacy = uint32(word >> 160);
        terms.reviewer = uint24(word >> 192);
        terms.withdrawMinutes = uint16(word >> 216);
        terms.repeatsLeft = uint8(word >> 232);
        terms.lines = uint8(word >> 240);
        terms.flags = uint8(word >> FLAGS_AT);
    }

    function toProgress(uint256 word) internal pure returns (Progress memory progress) {
        progress.remaining = uint80(word);
        progress.parcel = uint80(word >> 80);
        progress.courier = uint32(word >> 160);
        progress.until = uint40(word >> 192);
        progress.sequence = uint16(word >> 232);
        progress.state = IPrescriptions.State(uint8(word >> 248));
    }

    // Members of packed terms, for acts that change none of them: to unpack all takes more gas.

    function patient(uint256 terms) internal pure returns (address) {
        return address(uint160(terms));
    }

    function pharmacy(uint256 terms) internal pure returns (uint32) {
        return uint32(terms >> 160);
    }

    function reviewer(uint256 terms) internal pure returns (uint24) {
        return uint24(terms >> 192);
    }

    function withdrawMinutes(uint256 terms) internal pure returns (uint16) {
        return uint16(terms >> 216);
    }

    function repeatsLeft(uint256 terms) internal pure returns (uint8) {
        return uint8(terms >> 232);
    }

    function lines(uint256 terms) internal pure returns (uint8) {
        return uint8(terms >> 240);
    }

    function flags(uint256 terms) internal pure returns (uint8) {
        return uint8(terms >> FLAGS_AT);
    }

    function withReviewer(uint256 terms, uint24 reviewer_) internal pure returns (uint256) {
        return terms & ~(uint256(type(uint24).max) << 192) | uint256(reviewer_) << 192;
    }

    function withoutRepeats(uint256 terms) internal pure returns (uint256) {
        return terms & ~(uint256(type(uint8).max) << 232);
    }

    function withFlag(uint256 terms, uint8 flag) internal pure returns (uint256) {
        return terms | uint256(flag) << FLAGS_AT;
    }

    function withoutFlag(uint256 terms, uint8 flag) internal pure returns (uint256) {
        return terms & ~(uint256(flag) << FLAGS_AT);
    }

    /// @dev At most five; who calls has counted them.
    function packLines(uint16[] calldata quantities) internal pure returns (uint80 packed) {
        for (uint256 line = 0; line < quantities.length; ++line) {
            packed |= uint80(quantities[line]) << uint80(LINE_BITS * line);
        }
    }

    function toLines(uint80 packed) internal pure returns (uint16[5] memory quantities) {
        quantities[0] = uint16(packed);
        quantities[1] = uint16(packed >> 16);
        quantities[2] = uint16(packed >> 32);
        quantities[3] = uint16(packed >> 48);
        quantities[4] = uint16(packed >> 64);
    }

    function lineAt(uint80 packed, uint256 line) internal pure returns (uint16) {
        return uint16(packed >> (LINE_BITS * line));
    }
}
