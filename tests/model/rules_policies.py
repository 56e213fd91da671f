"""The rules of PrescriptionPolicies: limits by drug class."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import astuple, dataclass, field
from typing import ClassVar

from tests.model.rules import Change, Clock, Key, Refused, View
from tests.model.rules_institutions import Institutions
from tests.model.rules_licences import Licences

from medledger.core.hashing import PrescriptionHeader
from medledger.core.states import Kind


@dataclass(frozen=True)
class Policy:
    max_validity: int = 0
    max_repeats: int = 0
    max_quantity: int = 0
    withdraw_minutes: int = 0
    courier_allowed: bool = False
    second_approver: bool = False
    licence_demanded: bool = False


UNLIMITED = Policy(2**32 - 1, 255, 65_535, 24 * 60, True)
"""Of class 0, from the start."""


@dataclass
class Policies:
    NAME: ClassVar[str] = "PrescriptionPolicies"

    clock: Clock
    institutions: Institutions
    licences: Licences
    policies: dict[int, Policy] = field(default_factory=lambda: {0: UNLIMITED})

    def setPolicy(self, by: str, drug_class: int, policy: Policy) -> Change:  # noqa: N802
        self.institutions.authorise(by, Kind.SUPERVISOR)
        if policy.max_validity == 0 or policy.max_quantity == 0:
            raise Refused("PolicyInvalid", drugClass=drug_class)
        return lambda: self.policies.update({drug_class: policy})

    def require_allowed(self, header: PrescriptionHeader) -> Policy:
        """The policy that allows these terms now."""
        number, drug_class = header.number, header.drug_class
        policy = self.policies.get(drug_class)
        if policy is None:
            raise Refused("DrugClassUnknown", number=number, drugClass=drug_class)
        if self.clock.now < header.authored_at:
            raise Refused("NotYetAuthored", number=number, authoredAt=header.authored_at)
        if header.valid_until - header.authored_at > policy.max_validity:
            raise Refused(
                "ValidityTooLong",
                number=number,
                authoredAt=header.authored_at,
                validUntil=header.valid_until,
                maxValidity=policy.max_validity,
            )
        if header.repeats > policy.max_repeats:
            most = policy.max_repeats
            raise Refused("TooManyRepeats", number=number, repeats=header.repeats, maxRepeats=most)
        quantity = max(header.quantities)
        if quantity > policy.max_quantity:
            most = policy.max_quantity
            raise Refused("QuantityTooLarge", number=number, quantity=quantity, maxQuantity=most)
        licence = self.licences.licence(header.licence)
        if policy.licence_demanded and not licence.is_valid_at(header.authored_at):
            raise Refused(
                "LicenceNotValid",
                number=number,
                licence=header.licence,
                authoredAt=header.authored_at,
            )
        return policy

    def keys(self) -> Iterator[Key]:
        for drug_class in self.policies:
            yield "policy", drug_class

    def views(self, key: Key) -> Iterator[View]:
        policy = self.policies.get(key[1], Policy())  # type: ignore[call-overload]
        yield View(self.NAME, "policyOf", (key[1],), (astuple(policy),))
