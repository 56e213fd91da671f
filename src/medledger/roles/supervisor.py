"""The supervisor: accredits institutions, allots numbers, suspends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from medledger.chain.bindings import InstitutionAccredited, PolicyEntry, SegmentAllotted
from medledger.chain.events import decode_log
from medledger.chain.sender import Receipt
from medledger.core.hashing import name_hash
from medledger.core.states import Kind
from medledger.roles.ledger_of import DocumentKind, ledger_of
from medledger.roles.role import Role

FOREVER = 2**63 - 1
E = TypeVar("E")


@dataclass(frozen=True, slots=True)
class Accreditation:
    """What `Supervisor.accredit` takes, for accrediting many at once."""

    name: str
    kinds: Kind
    operator: str
    region: int = 0
    valid_from: int = 0
    valid_until: int = FOREVER


class Supervisor(Role):
    """A finance bureau or health authority."""

    def accredit(
        self,
        name: str,
        kinds: Kind,
        operator: str,
        *,
        region: int = 0,
        valid_from: int = 0,
        valid_until: int = FOREVER,
    ) -> int:
        """The id of the institution, now accredited with its first operator (an address).

        `region` is an area code of six digits, 0 for nationwide; times are Unix seconds. Raises
        `OperatorKnown`, `KindsInvalid`, `RegionInvalid`, `ValidityInvalid`, or `KindMissing` where
        the caller is no supervisor.
        """
        row = Accreditation(name, kinds, operator, region, valid_from, valid_until)
        (institution,) = self.accredit_many([row])
        return institution

    def set_policy(self, drug_class: int, policy: PolicyEntry) -> Receipt:
        """Sets the rules of a drug class, for all acceptances from now on.

        Raises `PolicyInvalid`, or `KindMissing` where the caller is no supervisor.
        """
        return self._send(
            self.ledgers.policies.set_policy(
                drug_class,
                policy.max_validity,
                policy.max_repeats,
                policy.max_quantity,
                policy.withdraw_minutes,
                policy.courier_allowed,
                policy.second_approver,
                policy.licence_demanded,
            )
        )

    def accredit_many(self, rows: Sequence[Accreditation]) -> list[int]:
        """The ids of many institutions, in the order given."""
        calls = [
            self.ledgers.institutions.accredit(
                int(row.kinds),
                row.region,
                name_hash(row.name),
                row.valid_from,
                row.valid_until,
                row.operator,
            )
            for row in rows
        ]
        receipts = self._send_all(calls)
        return [_event(receipt, InstitutionAccredited).institution for receipt in receipts]

    def renew(self, institution: int, valid_until: int) -> Receipt:
        """Moves the end of an accreditation (Unix seconds)."""
        return self._send(self.ledgers.institutions.renew(institution, valid_until))

    def add_operator(self, institution: int, operator: str) -> Receipt:
        """Lets another key (an address) act for an institution."""
        return self._send(self.ledgers.institutions.add_operator(institution, operator))

    def remove_operator(self, operator: str) -> Receipt:
        """Ends a key; what it did stays valid."""
        return self._send(self.ledgers.institutions.remove_operator(operator))

    def suspend(self, institution: int, reason: int) -> Receipt:
        """Stops an institution; `reason` is a code, 0 to 65535."""
        return self._send(self.ledgers.institutions.suspend(institution, reason))

    def reinstate(self, institution: int) -> Receipt:
        """Ends a suspension."""
        return self._send(self.ledgers.institutions.reinstate(institution))

    def allot(
        self, institution: int, code: int, first: int, last: int, kind: DocumentKind = "Invoice"
    ) -> int:
        """The id of the segment: serials `first` to `last` under a code, allotted to a hospital.

        Raises `SegmentOverlaps`, `NotAnIssuer`, `CodeInvalid` or `SerialsInvalid`.
        """
        (segment,) = self.allot_many([(institution, code, first, last, kind)])
        return segment

    def allot_many(self, rows: Sequence[tuple[int, int, int, int, DocumentKind]]) -> list[int]:
        """The ids of many segments: (institution, code, first, last, kind) each, in this order."""
        calls = [ledger_of(self.ledgers, kind).allot(*row) for *row, kind in rows]
        return [_event(receipt, SegmentAllotted).segment for receipt in self._send_all(calls)]

    def pause(self, kind: DocumentKind) -> Receipt:
        """Stops issuing and first use in one ledger; what has begun can be finished."""
        return self._send(ledger_of(self.ledgers, kind).pause())

    def unpause(self, kind: DocumentKind) -> Receipt:
        """Ends the pause."""
        return self._send(ledger_of(self.ledgers, kind).unpause())


def _event(receipt: Receipt, kind: type[E]) -> E:
    """The one event of a kind in a receipt."""
    found = (decode_log(log) for log in receipt.logs)
    return next(item.event for item in found if item and isinstance(item.event, kind))
