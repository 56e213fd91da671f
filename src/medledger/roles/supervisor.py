"""The supervisor: accredits institutions, allots numbers, endorses batches, suspends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from medledger.chain.bindings import InstitutionAccredited, PolicyEntry, SegmentAllotted
from medledger.chain.events import decode_log
from medledger.chain.sender import Receipt
from medledger.core.acts import Act
from medledger.core.hashing import BatchEndorsement, OperatorConsent, name_hash
from medledger.core.numbers import DocumentKind, format_number
from medledger.core.states import Kind
from medledger.errors import ActMismatch, KeyMissing
from medledger.roles.ledger_of import ledger_of
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
        """Moves the end of another's accreditation (Unix seconds); raises `OwnInstitution`."""
        return self._send(self.ledgers.institutions.renew(institution, valid_until))

    def add_operator(self, consent: Act) -> Receipt:
        """Lets another key act for the institution that it consented to: see `Role.consent`.

        Raises `ConsentInvalid`, `ConsentExpired`, `OperatorKnown` or `NotTheInstitution`; or
        `ActMismatch` for a consent that is not signed, or for another deployment.
        """
        message = consent.message_as(OperatorConsent)
        institutions = self.ledgers.institutions
        consent.require_for(self.ledgers.chain_id, [institutions.address])
        consent.require_signed()
        return self._send(
            institutions.add_operator(
                message.institution, consent.signer, message.deadline, consent.signature
            )
        )

    def remove_operator(self, operator: str) -> Receipt:
        """Ends a key; what it did stays valid. Without a supervisor a key ends itself only."""
        return self._send(self.ledgers.institutions.remove_operator(operator))

    def suspend(self, institution: int, reason: int) -> Receipt:
        """Stops an institution; `reason` is a code, 0 to 65535."""
        return self._send(self.ledgers.institutions.suspend(institution, reason))

    def reinstate(self, institution: int) -> Receipt:
        """Ends a suspension."""
        return self._send(self.ledgers.institutions.reinstate(institution))

    def allot(
        self,
        institution: int,
        code: int,
        first: int,
        last: int,
        kind: DocumentKind = "Invoice",
        *,
        endorsed: bool = False,
    ) -> int:
        """The id of the segment: serials `first` to `last` under a code, allotted to a hospital.

        With `endorsed` each of its batches needs a supervisor's signature: see `endorse`. Raises
        `SegmentOverlaps`, `NotAnIssuer`, `CodeInvalid` or `SerialsInvalid`.
        """
        row = (institution, code, first, last, kind)
        (segment,) = self.allot_many([row], endorsed=endorsed)
        return segment

    def allot_many(
        self, rows: Sequence[tuple[int, int, int, int, DocumentKind]], *, endorsed: bool = False
    ) -> list[int]:
        """The ids of many segments: (institution, code, first, last, kind) each, in this order."""
        calls = [
            ledger_of(self.ledgers, kind).allot(institution, code, first, last, endorsed)
            for institution, code, first, last, kind in rows
        ]
        return [_event(receipt, SegmentAllotted).segment for receipt in self._send_all(calls)]

    def withdraw(self, segment: int, reason: int, kind: DocumentKind = "Invoice") -> Receipt:
        """Withdraws what is left of a segment, for good; `reason` is a code, 0 to 65535.

        Raises `SegmentUnknown`, `SegmentIsWithdrawn` or `NothingToWithdraw`.
        """
        return self._send(ledger_of(self.ledgers, kind).withdraw(segment, reason))

    def endorse(self, request: Act) -> Act:
        """Signs a batch that a hospital is about to issue: what `Hospital` takes as `endorse`.

        The supervisor sees numbers and a root, not the documents. Raises `ActMismatch` for another
        deployment, a deadline that has passed, or numbers that the segment cannot issue now.
        """
        message = request.message_as(BatchEndorsement)
        ledgers = {one.address: one for one in (self.ledgers.invoices, self.ledgers.prescriptions)}
        request.require_for(self.ledgers.chain_id, ledgers)
        found = ledgers[request.contract].segment_of(message.segment)
        last = message.first + message.count - 1
        if found.withdrawn or not found.next <= message.first <= last <= found.last:
            span = f"{format_number(message.first)} to {format_number(last)}"
            problem = f"is for {span}, which segment {message.segment} cannot issue"
            raise ActMismatch(problem=problem)
        if message.deadline < self.now():
            raise ActMismatch(problem=f"has a deadline, {message.deadline}, that has passed")
        if self._operator is None:
            raise KeyMissing()
        return request.signed(self._operator)

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
