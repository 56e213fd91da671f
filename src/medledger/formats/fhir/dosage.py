"""How much a medication request asks for, and how it is to be taken.

A prescription counts whole dispensing units. Where they come from, in order:

1. `dispenseRequest.quantity`, if it is whole: that is what the prescriber asked for.
2. The dosage: dose * frequency / period * expected supply duration, rounded up, in the dose's
   own unit, else "unit". Periods are UCUM units; a month is 30 days and a year 365, as in
   pharmacies' supply rules.
3. One package, for a dosage that says no amount: as needed, without duration, dose or timing, or
   of several instructions, whose order the request leaves open.

A quantity that is not whole and that no dosage explains is refused: to round it would change
what was prescribed.
"""

from __future__ import annotations

import math
from fractions import Fraction

from medledger.core.documents import MAX_INTERVAL_DAYS, MAX_QUANTITY
from medledger.formats.faults import Unfit
from medledger.formats.fhir.resources import Dosage, MedicationRequest, Quantity, Repeat
from medledger.formats.fhir.values import measure

_REQUEST = "MedicationRequest.dispenseRequest"
_DOSAGE = "MedicationRequest.dosageInstruction"

_SECONDS = {
    "s": 1,
    "min": 60,
    "h": 3_600,
    "d": 86_400,
    "wk": 7 * 86_400,
    "mo": 30 * 86_400,
    "a": 365 * 86_400,
}
_WORDS = {
    "s": "second",
    "min": "minute",
    "h": "hour",
    "d": "day",
    "wk": "week",
    "mo": "month",
    "a": "year",
}


def quantity_of(request: MedicationRequest) -> tuple[int, str]:
    """(how many, of what unit) to dispense; raises `Unfit`."""
    asked = None if request.dispenseRequest is None else request.dispenseRequest.quantity
    if asked is not None:
        number = measure(asked.value, f"{_REQUEST}.quantity.value")
        if number == int(number):
            return _in_range(int(number), f"{_REQUEST}.quantity.value"), _unit(asked)
    computed = _computed(request)
    if computed is not None:
        return computed
    if asked is not None:
        raise Unfit(f"{_REQUEST}.quantity.value", "is not whole, and the dosage gives no quantity")
    return 1, "package"


def instruction_of(request: MedicationRequest) -> str:
    """How to take it, in the prescriber's words where there are any, else composed."""
    sentences = [
        _sentence(dosage, f"{_DOSAGE}[{at}]") for at, dosage in enumerate(request.dosageInstruction)
    ]
    return " / ".join(filter(None, sentences))


def interval_days(request: MedicationRequest) -> int:
    """Days from one fill to the next, a part of one counted as one; 0 where nothing is said."""
    asked = request.dispenseRequest
    if asked is None or asked.dispenseInterval is None:
        return 0
    path = f"{_REQUEST}.dispenseInterval.value"
    length = Fraction(measure(asked.dispenseInterval.value, path))
    days = math.ceil(length * _SECONDS[asked.dispenseInterval.code] / _SECONDS["d"])
    if days > MAX_INTERVAL_DAYS:
        raise Unfit(path, f"is more than {MAX_INTERVAL_DAYS} days")
    return days


def _computed(request: MedicationRequest) -> tuple[int, str] | None:
    if request.dispenseRequest is None or len(request.dosageInstruction) != 1:
        return None
    duration = request.dispenseRequest.expectedSupplyDuration
    dosage = request.dosageInstruction[0]
    dose, repeat = _dose(dosage), _repeat(dosage)
    if _is_as_needed(dosage) or duration is None or dose is None or repeat is None:
        return None
    if repeat.frequency is None or repeat.period is None or repeat.periodUnit is None:
        return None
    path = f"{_DOSAGE}[0]"
    each = Fraction(measure(dose.value, f"{path}.doseAndRate[0].doseQuantity.value"))
    period = Fraction(measure(repeat.period, f"{path}.timing.repeat.period"))
    supply = Fraction(measure(duration.value, f"{_REQUEST}.expectedSupplyDuration.value"))
    times = supply * _SECONDS[duration.code] / (period * _SECONDS[repeat.periodUnit])
    whole = math.ceil(each * repeat.frequency * times)
    return _in_range(whole, f"{_REQUEST}.expectedSupplyDuration.value"), _unit(dose)


def _sentence(dosage: Dosage, path: str) -> str:
    notes = [dosage.patientInstruction, *(note.label() for note in dosage.additionalInstruction)]
    return "; ".join(filter(None, [dosage.text or _composed(dosage, path), *notes]))


def _composed(dosage: Dosage, path: str) -> str:
    dose, repeat = _dose(dosage), _repeat(dosage)
    parts = ["as needed"] if _is_as_needed(dosage) else []
    if repeat is not None:
        parts.insert(0, _rhythm(repeat, f"{path}.timing.repeat"))
    if dose is not None:
        number = _plain(dose.value, f"{path}.doseAndRate[0].doseQuantity.value")
        words = [number, dose.unit or dose.code or "", "each time"]
        parts.insert(0, " ".join(filter(None, words)))
    return ", ".join(filter(None, parts))


def _rhythm(repeat: Repeat, path: str) -> str:
    if repeat.frequency is None or repeat.period is None or repeat.periodUnit is None:
        return ""
    times = "once" if repeat.frequency == 1 else f"{repeat.frequency} times"
    period, word = _plain(repeat.period, f"{path}.period"), _WORDS[repeat.periodUnit]
    return f"{times} every {word}" if period == "1" else f"{times} every {period} {word}s"


def _plain(value: object, path: str) -> str:
    return f"{measure(value, path).normalize():f}"


def _dose(dosage: Dosage) -> Quantity | None:
    return dosage.doseAndRate[0].doseQuantity if len(dosage.doseAndRate) == 1 else None


def _repeat(dosage: Dosage) -> Repeat | None:
    return None if dosage.timing is None else dosage.timing.repeat


def _is_as_needed(dosage: Dosage) -> bool:
    return dosage.asNeededBoolean or dosage.asNeededCodeableConcept is not None


def _unit(quantity: Quantity) -> str:
    return quantity.unit or quantity.code or "unit"


def _in_range(quantity: int, path: str) -> int:
    if quantity > MAX_QUANTITY:
        raise Unfit(path, f"gives more than {MAX_QUANTITY} units")
    return quantity
