"""What a hospital does in each run of a walk."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from tests.roles.world import bill

from medledger.errors import DocumentIsHeld, InvoiceIsReversed, MedledgerError
from medledger.roles import Hospital

LONG = "注" * 3_000
"""So that the store needs new pages."""
ACCEPTED = [bill(f"accepted-{index}", remark=LONG) for index in range(2)]
ISSUED = [bill(f"issued-{index}", remark=LONG) for index in range(3)]
KEYS = [document.business_key for document in (*ACCEPTED, *ISSUED)]
BATCH = 2
TRIES = 5


def tell(
    hospital: Hospital, heard: Callable[[tuple[str, int]], object] = lambda told: None
) -> None:
    """The whole story; told again, only what is missing from it.

    `heard` gets the business key and the number of each document as soon as the caller has it.
    """
    for accepted in hospital.accept_many(ACCEPTED, batch=BATCH, workers=0):
        heard((accepted.business_key, accepted.number))
    receipts = []
    for receipt in hospital.issue_many(ISSUED, batch=BATCH, workers=0):
        heard((receipt.business_key, receipt.number))
        receipts.append(receipt)
    with suppress(DocumentIsHeld):
        hospital.hold(receipts[0].number)
    with suppress(InvoiceIsReversed):
        hospital.reverse(receipts[1].number, None, reason=1)
    hospital.sender.settle([one.id for one in hospital.outbox().transactions()])


def tell_until_told(
    hospital: Hospital, repair: Callable[[], object] = lambda: None
) -> tuple[list[MedledgerError], list[tuple[str, int]]]:
    """Tells it again after each error, with something done first; the errors, and what was heard.

    Nothing but a `MedledgerError` may escape from a hospital.
    """
    errors: list[MedledgerError] = []
    heard: list[tuple[str, int]] = []
    while len(errors) < TRIES:
        try:
            tell(hospital, heard.append)
        except MedledgerError as error:
            errors.append(error)
            repair()
        else:
            return errors, heard
    raise errors[-1]
