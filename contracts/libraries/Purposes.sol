// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

/// @title What a patient lets an institution read a record for
/// @notice Codes for those of HL7's value set PurposeOfUse that a FHIR Consent names here.
library Purposes {
    uint8 internal constant TREAT = 1;
    uint8 internal constant HPAYMT = 2;
    uint8 internal constant HRESCH = 3;
    uint8 internal constant ETREAT = 4;
}
