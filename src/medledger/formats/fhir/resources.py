"""The FHIR R4 resources that are read, each cut down to the elements that are used.

Elements that are not named here are ignored, but for two: `modifierExtension` and
`implicitRules` may turn the meaning of a resource around, so FHIR forbids to process what has
them unless they are understood; here none is. Types are strict: "1" is no number, 1 no text.
Amounts stay as they were parsed (`int` or `Decimal`) until their currency is known.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

Text = Annotated[str, StringConstraints(min_length=1)]
Id = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9\-.]{1,64}$")]
Count = Annotated[int, Field(gt=0, le=1_000_000)]


class Element(BaseModel):
    # A refused value may be a name or an identity number: no error may repeat it.
    model_config = ConfigDict(strict=True, extra="ignore", hide_input_in_errors=True)

    modifierExtension: None = None  # noqa: N815  (FHIR's own name)


class Resource(Element):
    id: Id
    implicitRules: None = None  # noqa: N815


ResourceT = TypeVar("ResourceT", bound=Resource)


# Data types


class Reference(Element):
    reference: Text | None = None


class Coding(Element):
    code: Text | None = None
    display: Text | None = None


class CodeableConcept(Element):
    coding: list[Coding] = []
    text: Text | None = None

    def codes(self) -> list[str]:
        """The codes, in order."""
        return [coding.code for coding in self.coding if coding.code is not None]

    def label(self) -> str:
        """What a person may read: a display, the text or a code; empty where there is none."""
        displays = [coding.display for coding in self.coding if coding.display is not None]
        return next(iter(displays), "") or self.text or next(iter(self.codes()), "")


class Money(Element):
    value: Any
    currency: Text


class Quantity(Element):
    value: Any
    unit: Text | None = None
    code: Text | None = None


class Period(Element):
    start: Text | None = None
    end: Text | None = None


class Identifier(Element):
    type: CodeableConcept | None = None
    value: Text | None = None


class HumanName(Element):
    use: Text | None = None
    text: Text | None = None
    family: Text | None = None
    given: list[Text] = []

    def full(self) -> str:
        """The whole name without titles; empty where there is none."""
        return self.text or " ".join([*self.given, *filter(None, [self.family])])


def preferred_name(names: list[HumanName]) -> str:
    """The official name, or the first one; empty where there is none."""
    official = [name for name in names if name.use == "official"]
    return next((name.full() for name in official + names if name.full()), "")


# Who and where


class Patient(Resource):
    identifier: list[Identifier] = []
    name: list[HumanName] = []
    gender: Literal["male", "female", "other", "unknown"] | None = None


class Practitioner(Resource):
    identifier: list[Identifier] = []
    name: list[HumanName] = []


class Organization(Resource):
    name: Text
    type: list[CodeableConcept] = []


class Participant(Element):
    individual: Reference | None = None


class Encounter(Resource):
    status: Literal[
        "planned",
        "arrived",
        "triaged",
        "in-progress",
        "onleave",
        "finished",
        "cancelled",
        "unknown",
    ]
    class_: Coding = Field(alias="class")
    type: list[CodeableConcept] = []
    subject: Reference | None = None
    period: Period | None = None
    serviceProvider: Reference | None = None  # noqa: N815
    participant: list[Participant] = []


class Coverage(Resource):
    status: Literal["active", "cancelled", "draft"]
    type: CodeableConcept | None = None
    beneficiary: Reference


# Bills


class Insurance(Element):
    focal: bool
    coverage: Reference


class ClaimItem(Element):
    productOrService: CodeableConcept  # noqa: N815
    quantity: Quantity | None = None
    net: Money
    encounter: list[Reference] = []


class Claim(Resource):
    status: Literal["active"]
    use: Literal["claim"]
    patient: Reference
    created: Text
    insurer: Reference | None = None
    provider: Reference
    insurance: list[Insurance] = []
    item: list[ClaimItem] = Field(min_length=1)
    total: Money


class Adjudication(Element):
    category: CodeableConcept
    amount: Money | None = None


class ExplanationItem(Element):
    adjudication: list[Adjudication] = []


class ExplanationTotal(Element):
    category: CodeableConcept
    amount: Money


class ExplanationOfBenefit(Resource):
    status: Literal["active"]
    use: Literal["claim"]
    outcome: Literal["complete", "partial"]
    patient: Reference
    insurer: Reference
    claim: Reference
    item: list[ExplanationItem] = []
    addItem: list[ExplanationItem] = []  # noqa: N815
    adjudication: list[Adjudication] = []
    total: list[ExplanationTotal] = []


# Prescriptions


class Repeat(Element):
    frequency: Count | None = None
    period: Any = None
    periodUnit: Literal["s", "min", "h", "d", "wk", "mo", "a"] | None = None  # noqa: N815


class Timing(Element):
    repeat: Repeat | None = None


class DoseAndRate(Element):
    doseQuantity: Quantity | None = None  # noqa: N815


class Dosage(Element):
    text: Text | None = None
    patientInstruction: Text | None = None  # noqa: N815
    additionalInstruction: list[CodeableConcept] = []  # noqa: N815
    timing: Timing | None = None
    asNeededBoolean: bool = False  # noqa: N815
    asNeededCodeableConcept: CodeableConcept | None = None  # noqa: N815
    doseAndRate: list[DoseAndRate] = []  # noqa: N815


class SupplyDuration(Element):
    value: Any
    code: Literal["s", "min", "h", "d", "wk", "mo", "a"]


class DispenseRequest(Element):
    quantity: Quantity | None = None
    expectedSupplyDuration: SupplyDuration | None = None  # noqa: N815
    numberOfRepeatsAllowed: Annotated[int, Field(ge=0, lt=2**8)] = 0  # noqa: N815
    dispenseInterval: SupplyDuration | None = None  # noqa: N815


class Substitution(Element):
    allowedBoolean: bool = False  # noqa: N815


class MedicationRequest(Resource):
    status: Literal[
        "active",
        "on-hold",
        "cancelled",
        "completed",
        "entered-in-error",
        "stopped",
        "draft",
        "unknown",
    ]
    intent: Literal[
        "proposal",
        "plan",
        "order",
        "original-order",
        "reflex-order",
        "filler-order",
        "instance-order",
        "option",
    ]
    doNotPerform: bool = False  # noqa: N815
    medicationCodeableConcept: CodeableConcept  # noqa: N815
    subject: Reference
    encounter: Reference
    authoredOn: Text  # noqa: N815
    requester: Reference | None = None
    reasonCode: list[CodeableConcept] = []  # noqa: N815
    dosageInstruction: list[Dosage] = []  # noqa: N815
    dispenseRequest: DispenseRequest | None = None  # noqa: N815
    substitution: Substitution | None = None
