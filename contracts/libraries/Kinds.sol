// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

/// @title What an institution may act as
/// @notice One bit a kind; an institution may have several (a hospital with a pharmacy).
library Kinds {
    uint8 internal constant HOSPITAL = 1;
    uint8 internal constant PHARMACY = 2;
    uint8 internal constant COURIER = 4;
    uint8 internal constant PAYER = 8;
    uint8 internal constant SUPERVISOR = 16;
    uint8 internal constant AUTHORITY = 32;
    uint8 internal constant ALL = HOSPITAL | PHARMACY | COURIER | PAYER | SUPERVISOR | AUTHORITY;
}
