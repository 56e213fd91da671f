"""What a hospital could not issue, and what is on its way.

for document in hospital.outbox().documents():
    print(document.business_key, document.reason, document.problem)
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from medledger.chain.deployment import Ledgers
from medledger.core.numbers import DocumentKind
from medledger.core.transactions import Transaction
from medledger.errors import NotFound
from medledger.roles.ledger_of import ledger_of
from medledger.store import DocumentStore
from medledger.store import SetAside as Row

PAGE = 500


@dataclass(frozen=True, slots=True)
class SetAside:
    """A document that was set aside. `reason` is the error's name, `since` in Unix seconds.

    `can_retry`: it is stored, and only its number or its time was wrong. What could not be read or
    sealed is not stored: its source gives it again, corrected, under the same business key.
    """

    kind: DocumentKind
    business_key: str
    reason: str
    problem: str
    since: int
    can_retry: bool


class Outbox:
    """What waits for somebody's decision, and the transactions that are not final."""

    def __init__(self, store: DocumentStore, ledgers: Ledgers) -> None:
        self._store = store
        self._ledgers = ledgers

    def documents(self) -> Iterator[SetAside]:
        """What was set aside, the oldest first."""
        for kind in self._ledgers.documents:
            for row in self._rows(kind):
                can_retry = row.draft is not None
                yield SetAside(
                    kind, row.business_key, row.reason, row.problem, row.since, can_retry
                )

    def transactions(self) -> list[Transaction]:
        """Those that are signed or mined, and not final yet, by signer and nonce."""
        return self._store.journal.unfinished()

    def drafts(
        self, keys: Collection[str] | None, kind: DocumentKind | None
    ) -> Iterator[Iterator[bytes]]:
        """For each kind, the stored drafts of these business keys, or all; raises `NotFound`."""
        if keys is None:
            for one in self._kinds(kind):
                yield self._all_drafts(one)
            return
        for one, rows in self._named(keys, kind).items():
            for row in rows:
                if row.draft is None:
                    where = f"the outbox: it was set aside unread ({row.reason}); give it again"
                    raise NotFound(what=f"document {row.business_key!r} of {one}", where=where)
            yield (row.draft for row in rows if row.draft is not None)

    def _all_drafts(self, kind: DocumentKind) -> Iterator[bytes]:
        given: set[str] = set()
        for row in self._rows(kind):
            if row.business_key in given:
                # It was set aside again meanwhile, as all that come after it.
                return
            given.add(row.business_key)
            if row.draft is not None:
                yield row.draft

    def drop(self, keys: Collection[str], kind: DocumentKind | None) -> int:
        """Forgets documents; how many. Raises `NotFound`."""
        found = self._named(keys, kind)
        return sum(
            self._store.drop_set_aside(self._address(one), [row.business_key for row in rows])
            for one, rows in found.items()
        )

    def _named(
        self, keys: Collection[str], kind: DocumentKind | None
    ) -> dict[DocumentKind, list[Row]]:
        found = {
            one: self._store.list_set_aside(self._address(one), keys) for one in self._kinds(kind)
        }
        there = {row.business_key for rows in found.values() for row in rows}
        for key in keys:
            if key not in there:
                raise NotFound(what=f"business key {key!r}", where="the outbox")
        return {one: rows for one, rows in found.items() if rows}

    def _rows(self, kind: DocumentKind) -> Iterator[Row]:
        after = 0
        while rows := self._store.list_set_aside(self._address(kind), limit=PAGE, after_id=after):
            yield from rows
            after = rows[-1].id

    def _kinds(self, kind: DocumentKind | None) -> tuple[DocumentKind, ...]:
        return tuple(self._ledgers.documents) if kind is None else (kind,)

    def _address(self, kind: DocumentKind) -> str:
        return ledger_of(self._ledgers, kind).address
