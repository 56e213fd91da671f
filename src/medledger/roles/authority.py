"""The authority: issues licences, renews, suspends and revokes them.

authority = Authority.connect(url, operator=key, store="sqlite:///authority.db")
receipt = authority.issue(licence)
authority.open(receipt.evidence())     # from now on anybody can ask whether it is valid
"""

from __future__ import annotations

from medledger.chain.sender import Receipt
from medledger.core.documents import Licence
from medledger.core.evidence import Evidence
from medledger.core.hashing import LicenceHeader
from medledger.errors import MalformedEvidence
from medledger.roles.issuer import Issuer, IssueReceipt


class Authority(Issuer):
    """An issuer of licences. `reason` is a code, 0 to 65535; times are Unix seconds."""

    def issue(self, licence: Licence, *, segment: int | None = None) -> IssueReceipt:
        """Issues one licence: a batch of one. See `issue_many`."""
        return self._issue_one(licence, segment)

    def open(self, evidence: Evidence) -> Receipt:
        """Opens a licence, so that contracts can ask whether it is valid."""
        if not isinstance(evidence.header, LicenceHeader):
            raise MalformedEvidence(problem="it is not of a licence")
        return self._send(self.ledgers.licences.open(evidence.header, evidence.head, evidence.path))

    def renew(self, number: int, valid_until: int, *, reason: int = 0) -> Receipt:
        """Moves the end of an opened licence; what lies between its old end and now stays invalid.

        Raises `LicenceValidityInvalid`, `LicenceNotOpened`, `LicenceIsRevoked` or `HistoryFull`.
        """
        segment = self._segment_of(number, "Licence")
        return self._send(self.ledgers.licences.renew(segment, number, valid_until, reason))

    def suspend(self, number: int, *, reason: int = 0) -> Receipt:
        """Suspends a licence from now on; raises `LicenceIsSuspended`, `LicenceIsRevoked`."""
        segment = self._segment_of(number, "Licence")
        return self._send(self.ledgers.licences.suspend(segment, number, reason))

    def lift(self, number: int, *, reason: int = 0) -> Receipt:
        """Lifts a suspension; raises `LicenceNotSuspended`, `LicenceIsRevoked`, `HistoryFull`."""
        segment = self._segment_of(number, "Licence")
        return self._send(self.ledgers.licences.lift(segment, number, reason))

    def revoke(self, number: int, *, reason: int = 0) -> Receipt:
        """Revokes a licence from now on, for good; raises `LicenceIsRevoked`."""
        segment = self._segment_of(number, "Licence")
        return self._send(self.ledgers.licences.revoke(segment, number, reason))
