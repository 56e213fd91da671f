// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {ILicences} from "contracts/interfaces/ILicences.sol";

/// @title Licences as a test enters them
contract LicenceBook is ILicences {
    struct Licence {
        uint64 validFrom;
        uint64 validUntil;
        uint64 suspendedFrom;
    }

    mapping(uint64 number => Licence) private _licences;

    /// @param suspendedFrom First second at which it does not count; 0 for none.
    function enter(uint64 number, uint64 validFrom, uint64 validUntil, uint64 suspendedFrom) external {
        _licences[number] = Licence(validFrom, validUntil, suspendedFrom);
    }

    /// @inheritdoc ILicences
    function isValidAt(uint64 number, uint64 time) external view returns (bool) {
        Licence memory found = _licences[number];
        bool suspended = found.suspendedFrom != 0 && found.suspendedFrom <= time;
        return found.validUntil != 0 && found.validFrom <= time && time <= found.validUntil && !suspended;
    }
}
