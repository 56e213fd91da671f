"""What an insurer decided on a claim: ExplanationOfBenefit, reduced to two amounts.

The amounts are sums of adjudications by category (`submitted`, `benefit`) over the whole
explanation, its items and the items that the insurer added; FHIR keeps the three apart, so none
counts twice. Adjudications of an item's details are not added: the item repeats them. Where
`total` states the same category, the two must agree; where only `total` does, it counts.

Only decisions on claims count: an explanation that is cancelled or entered in error, estimates
(`use` other than `claim`) or has not been decided (`outcome`) is refused.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass

from medledger.core.hashing import keccak256
from medledger.formats.faults import Unfit
from medledger.formats.fhir.bulk import Found, Place
from medledger.formats.fhir.resources import (
    Adjudication,
    ExplanationOfBenefit,
    Money,
)
from medledger.formats.fhir.values import amount_minor, target

_ROOT = "ExplanationOfBenefit"


@dataclass(frozen=True, slots=True)
class Explanation:
    """A decision. `hash` is keccak-256 of its line: the bytes as delivered, without the line's
    end, so that anyone who holds the export can compare it."""

    id: str
    place: Place
    hash: bytes
    claim: str
    patient: str
    insurer: str
    currency: str
    submitted_minor: int
    submitted_path: str
    benefit_minor: int


@dataclass(frozen=True, slots=True)
class _Part:
    """An amount and where it stands."""

    money: Money
    path: str


def read_explanation(found: Found[ExplanationOfBenefit]) -> Explanation:
    """The decision in a resource; raises `Unfit`."""
    explanation = found.resource
    submitted = _sum(explanation, "submitted")
    if submitted is None:
        raise Unfit(f"{_ROOT}.total", "has no submitted amount")
    benefit = _sum(explanation, "benefit")
    benefit_minor = 0
    if benefit is not None:
        if benefit.currency != submitted.currency:
            raise Unfit(f"{benefit.path}.currency", "is not that of the submitted amount")
        if benefit.minor > submitted.minor:
            raise Unfit(f"{benefit.path}.value", "is a benefit above the submitted amount")
        benefit_minor = benefit.minor
    return Explanation(
        id=explanation.id,
        place=found.place,
        hash=keccak256(found.text),
        claim=target(explanation.claim, "Claim", f"{_ROOT}.claim"),
        patient=target(explanation.patient, "Patient", f"{_ROOT}.patient"),
        insurer=target(explanation.insurer, "Organization", f"{_ROOT}.insurer"),
        currency=sys.intern(submitted.currency),
        submitted_minor=submitted.minor,
        submitted_path=sys.intern(submitted.path),
        benefit_minor=benefit_minor,
    )


@dataclass(frozen=True, slots=True)
class _Sum:
    """The amount of one category. `path` is where it is stated, or its first part."""

    minor: int
    currency: str
    path: str


def _sum(explanation: ExplanationOfBenefit, category: str) -> _Sum | None:
    """None where the explanation does not state the category."""
    parts = list(_parts(explanation, category))
    totals = [
        _Part(total.amount, f"{_ROOT}.total[{index}].amount")
        for index, total in enumerate(explanation.total)
        if category in total.category.codes()
    ]
    if not parts and not totals:
        return None
    first = (totals or parts)[0]
    for part in parts + totals:
        if part.money.currency != first.money.currency:
            raise Unfit(f"{part.path}.currency", "is not the currency of the other amounts")
    sums = [amount_minor(total.money, total.path) for total in totals]
    if parts:
        sums.append(sum(amount_minor(part.money, part.path) for part in parts))
    if len(set(sums)) > 1:
        raise Unfit(f"{first.path}.value", f"is not the sum of what was adjudicated as {category}")
    return _Sum(sums[0], first.money.currency, first.path)


def _parts(explanation: ExplanationOfBenefit, category: str) -> Iterator[_Part]:
    for path, adjudications in _adjudications(explanation):
        for index, adjudication in enumerate(adjudications):
            if category in adjudication.category.codes():
                part = f"{path}.adjudication[{index}].amount"
                if adjudication.amount is None:
                    raise Unfit(part, "is missing")
                yield _Part(adjudication.amount, part)


def _adjudications(
    explanation: ExplanationOfBenefit,
) -> Iterator[tuple[str, list[Adjudication]]]:
    for index, item in enumerate(explanation.item):
        yield f"{_ROOT}.item[{index}]", item.adjudication
    for index, item in enumerate(explanation.addItem):
        yield f"{_ROOT}.addItem[{index}]", item.adjudication
    yield _ROOT, explanation.adjudication
