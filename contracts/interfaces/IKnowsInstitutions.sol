// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IInstitutions} from "./IInstitutions.sol";

/// @title A contract that asks Institutions who may act
interface IKnowsInstitutions {
    /// @notice The other contract asks other institutions than this one.
    error InstitutionsMismatch(address other);

    /// @notice Where it asks.
    function institutions() external view returns (IInstitutions);
}
