// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IInstitutions} from "../interfaces/IInstitutions.sol";
import {IKnowsInstitutions} from "../interfaces/IKnowsInstitutions.sol";

/// @title Contracts deployed together ask the same Institutions
library SameInstitutions {
    /// @dev Reverts where `other` asks other institutions than the contract that is being deployed.
    function check(IInstitutions institutions, address other) internal view {
        if (IKnowsInstitutions(other).institutions() != institutions) {
            revert IKnowsInstitutions.InstitutionsMismatch(other);
        }
    }
}
