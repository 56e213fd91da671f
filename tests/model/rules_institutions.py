"""The rules of Institutions: who may act, and who decides that."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.model.rules import ZERO_ADDRESS, Change, Clock, Key, Refused, Signed, View

from medledger.core.hashing import OperatorConsent
from medledger.core.states import Kind

ALL_KINDS = 63


@dataclass
class Institution:
    kinds: int
    region: int
    name_hash: bytes
    valid_from: int
    valid_until: int
    suspended: bool = False
    operators: int = 0
    history: list[tuple[int, int]] = field(default_factory=list)
    """Since when, and until when it could act as of then; 0 while suspended."""


@dataclass
class Operator:
    institution: int
    since: int
    until: int = 0


class Institutions:
    """The contract of that name. `address` is what consents are signed for."""

    NAME = "Institutions"

    def __init__(self, clock: Clock, address: str, chain_id: int) -> None:
        self.clock = clock
        self.address = address
        self.chain_id = chain_id
        self.institutions: dict[int, Institution] = {}
        self.operators: dict[str, Operator] = {}

    def accredit(
        self,
        by: str,
        kinds: int,
        region: int,
        name_hash: bytes,
        valid_from: int,
        valid_until: int,
        operator: str,
    ) -> Change:
        self.authorise(by, Kind.SUPERVISOR)
        if kinds == 0 or kinds & ~ALL_KINDS:
            raise Refused("KindsInvalid", kinds=kinds)
        if region > 999_999:
            raise Refused("RegionInvalid", region=region)
        self._require_validity(valid_from, valid_until)
        self._require_new(operator)
        made = Institution(kinds, region, name_hash, valid_from, valid_until)
        return lambda: self._accredit(made, operator)

    def renew(self, by: str, institution: int, valid_until: int) -> Change:
        record = self._known_other(by, institution)
        self._require_validity(record.valid_from, valid_until)

        def change() -> None:
            record.valid_until = valid_until
            self._remember(record)

        return change

    def addOperator(  # noqa: N802
        self, by: str, institution: int, operator: str, deadline: int, consent: Signed
    ) -> Change:
        record = self._known(institution)
        caller = self.operators.get(by)
        if caller and caller.institution == institution and caller.until == 0:
            self._require_active(institution)
        elif not self._is_supervisor(by):
            raise Refused("NotTheInstitution", institution=institution, account=by)
        if deadline < self.clock.now:
            raise Refused("ConsentExpired", operator=operator, deadline=deadline)
        message = OperatorConsent(institution, deadline)
        if consent != Signed(operator, message, self.address, self.chain_id):
            raise Refused("ConsentInvalid", institution=institution, operator=operator)
        self._require_new(operator)
        return lambda: self._add(institution, record, operator)

    def removeOperator(self, by: str, operator: str) -> Change:  # noqa: N802
        record = self.operators.get(operator)
        if record is None or record.until:
            raise Refused("NotAnOperator", account=operator)
        if by != operator and not self._is_supervisor(by):
            raise Refused("NotTheOperator", operator=operator, account=by)
        owner = self.institutions[record.institution]
        is_own = self.operators[by].institution == record.institution
        if is_own and owner.operators == 1 and owner.kinds & Kind.SUPERVISOR:
            raise Refused("LastOperator", institution=record.institution, operator=operator)

        def change() -> None:
            record.until = self.clock.now
            owner.operators -= 1

        return change

    def suspend(self, by: str, institution: int, reason: int) -> Change:
        record = self._known_other(by, institution)
        if record.suspended:
            raise Refused("InstitutionIsSuspended", institution=institution)
        return lambda: self._set_suspended(record, True)

    def reinstate(self, by: str, institution: int) -> Change:
        self.authorise(by, Kind.SUPERVISOR)
        record = self._known(institution)
        if not record.suspended:
            raise Refused("InstitutionNotSuspended", institution=institution)
        return lambda: self._set_suspended(record, False)

    # What the ledgers ask.

    def authorise(self, account: str, kind: int) -> int:
        """The institution that the account may act for as this kind now."""
        operator = self.operators.get(account)
        if operator is None or operator.until:
            raise Refused("NotAnOperator", account=account)
        institution = operator.institution
        if not self.institutions[institution].kinds & kind:
            raise Refused("KindMissing", institution=institution, kind=int(kind))
        self._require_active(institution)
        return institution

    def is_active_as(self, institution: int, kind: int) -> bool:
        record = self.institutions.get(institution)
        return (
            record is not None
            and bool(record.kinds & kind)
            and not record.suspended
            and record.valid_from <= self.clock.now <= record.valid_until
        )

    # What can be read.

    def keys(self) -> Iterator[Key]:
        for institution in self.institutions:
            yield "institution", institution
        for account in self.operators:
            yield "operator", account

    def views(self, key: Key) -> Iterator[View]:
        about, of = key
        if about == "institution":
            yield from self._views_of_institution(of)  # type: ignore[arg-type]
        else:
            yield from self._views_of_operator(of)  # type: ignore[arg-type]

    def _views_of_institution(self, of: int) -> Iterator[View]:
        record = self.institutions.get(of, Institution(0, 0, bytes(32), 0, 0))
        entry = (
            record.kinds,
            record.suspended,
            record.region,
            record.valid_from,
            record.valid_until,
            record.operators,
            record.name_hash,
        )
        yield View("Institutions", "institutionOf", (of,), (entry,))
        yield View("Institutions", "institutionCount", (), (len(self.institutions),))
        for kind in Kind:
            active = self.is_active_as(of, kind)
            yield View("Institutions", "isActiveAs", (of, int(kind)), (active,))
        times = {self.clock.now}
        for since, _ in record.history[-2:]:
            times |= {since - 1, since, since + 1}
        for time in sorted(times | {record.valid_from, record.valid_until}):
            was = self._was_active_at(record, time)
            yield View("Institutions", "wasActiveAt", (of, time), (was,))

    def _views_of_operator(self, of: str) -> Iterator[View]:
        record = self.operators.get(of, Operator(0, 0))
        entry = (record.institution, record.since, record.until)
        yield View("Institutions", "operatorOf", (of,), (entry,))
        for end in {record.since, record.until, self.clock.now}:
            for time in {max(end - 1, 0), end, end + 1}:
                was = record.institution != 0 and record.since <= time
                was = was and (record.until == 0 or time <= record.until)
                yield View("Institutions", "wasOperatorAt", (of, time), (was,))

    @staticmethod
    def _was_active_at(record: Institution, time: int) -> bool:
        known = [end for since, end in record.history if since <= time]
        return bool(known) and record.valid_from <= time <= known[-1]

    # What several of them do.

    def found(self, name_hash: bytes, region: int, operator: str) -> None:
        """The constructor: the first supervisor."""
        made = Institution(Kind.SUPERVISOR, region, name_hash, self.clock.now, 2**64 - 1)
        self._accredit(made, operator)

    def _accredit(self, made: Institution, operator: str) -> None:
        institution = len(self.institutions) + 1
        self.institutions[institution] = made
        self._remember(made)
        self._add(institution, made, operator)

    def _add(self, institution: int, record: Institution, operator: str) -> None:
        self.operators[operator] = Operator(institution, self.clock.now)
        record.operators += 1

    def _set_suspended(self, record: Institution, suspended: bool) -> None:
        record.suspended = suspended
        self._remember(record)

    def _remember(self, record: Institution) -> None:
        end = 0 if record.suspended else record.valid_until
        record.history.append((self.clock.now, end))

    def _require_validity(self, valid_from: int, valid_until: int) -> None:
        if valid_until < valid_from or valid_until < self.clock.now:
            raise Refused("ValidityInvalid", validFrom=valid_from, validUntil=valid_until)

    def _require_new(self, operator: str) -> None:
        if operator == ZERO_ADDRESS:
            raise Refused("OperatorInvalid")
        if operator in self.operators:
            raise Refused("OperatorKnown", operator=operator)

    def _known_other(self, by: str, institution: int) -> Institution:
        if self.authorise(by, Kind.SUPERVISOR) == institution:
            raise Refused("OwnInstitution", institution=institution)
        return self._known(institution)

    def _known(self, institution: int) -> Institution:
        if institution not in self.institutions:
            raise Refused("InstitutionUnknown", institution=institution)
        return self.institutions[institution]

    def _require_active(self, institution: int) -> None:
        record = self.institutions[institution]
        if record.suspended:
            raise Refused("InstitutionIsSuspended", institution=institution)
        if not record.valid_from <= self.clock.now <= record.valid_until:
            raise Refused(
                "OutsideAccreditation",
                institution=institution,
                validFrom=record.valid_from,
                validUntil=record.valid_until,
            )

    def _is_supervisor(self, account: str) -> bool:
        operator = self.operators.get(account)
        return (
            operator is not None
            and operator.until == 0
            and self.is_active_as(operator.institution, Kind.SUPERVISOR)
        )
