"""A journal in memory, for roles that keep no database.

What it holds ends with the program: a role that must survive a stop gives the store's journal.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import OrderedDict
from dataclasses import replace
from itertools import islice

from medledger.core.transactions import Attempt, Intent, Signing, Stage, Transaction
from medledger.errors import NotFound

KEPT = 4096
"""Finished transactions that are remembered, so that memory stays flat; older ones are forgotten.
Only a reorganisation that reaches back behind them would go unnoticed."""


class MemoryJournal:
    """Implements `core.transactions.Journal`. Not for use by two threads at once."""

    def __init__(self, *, kept: int = KEPT) -> None:
        self._kept = kept
        self._last_id = 0
        self._next: dict[str, int] = {}
        self._transactions: dict[int, Transaction] = {}
        self._ids: dict[tuple[str, int], int] = {}
        self._open: dict[str, list[tuple[int, int]]] = {}
        """Of each signer (nonce, id) of what is `SIGNED` or `MINED`, ascending."""
        self._finished: OrderedDict[int, None] = OrderedDict()
        self._highest: dict[str, int | None] = {}
        """What `last_final` answers; absent where it must be found anew."""

    def next_nonce(self, signer: str) -> int | None:
        return self._next.get(signer)

    def raise_nonce(self, signer: str, at_least: int) -> None:
        self._next[signer] = max(self._next.get(signer, 0), at_least)

    def add(self, signer: str, intent: Intent, sign: Signing) -> Transaction:
        return self._add(signer, self._next.get(signer, 0), intent, sign)

    def fill(self, signer: str, nonce: int, intent: Intent, sign: Signing) -> Transaction:
        if (signer, nonce) in self._ids:
            return self._transactions[self._ids[signer, nonce]]
        return self._add(signer, nonce, intent, sign)

    def renonce(self, id_: int, nonce: int, sign: Signing) -> Transaction:
        found = self.transaction(id_)
        if found.stage not in (Stage.SIGNED, Stage.FAILED) or found.nonce != nonce:
            return found
        given = self._next[found.signer]
        attempt = sign(given)
        del self._ids[found.signer, found.nonce]
        self._close(found)
        return self._keep(
            replace(
                found,
                nonce=given,
                attempts=(*found.attempts, attempt),
                stage=Stage.SIGNED,
                mined_hash=None,
                block=None,
                block_hash=None,
                problem="",
                revert_data=b"",
            )
        )

    def add_attempt(self, id_: int, attempt: Attempt) -> Transaction:
        found = self.transaction(id_)
        if found.stage is not Stage.SIGNED or found.nonce != attempt.nonce:
            return found
        if attempt.hash in found.hashes:
            return found
        return self._put(replace(found, attempts=(*found.attempts, attempt)))

    def transaction(self, id_: int) -> Transaction:
        try:
            return self._transactions[id_]
        except KeyError:
            raise NotFound(what=f"transaction {id_}", where="the journal") from None

    def unfinished(self, signer: str | None = None, limit: int | None = None) -> list[Transaction]:
        signers = sorted(self._open) if signer is None else [signer]
        ids = (id_ for name in signers for _, id_ in self._open.get(name, ()))
        return [self._transactions[id_] for id_ in islice(ids, limit)]

    def final_since(self, signer: str | None, block: int) -> list[Transaction]:
        signers = self._next if signer is None else [signer]
        finals = [one for name in signers for one in self._finals(name) if _block(one) >= block]
        return sorted(finals, key=lambda one: (one.signer, one.nonce))

    def last_final(self, signer: str | None, until: int | None = None) -> Transaction | None:
        signers = self._next if signer is None else [signer]
        if until is not None:
            finals = [one for name in signers for one in self._finals(name) if _block(one) <= until]
            return max(finals, key=_block, default=None)
        lasts = [one for name in signers if (one := self._last_of(name)) is not None]
        return max(lasts, key=_block, default=None)

    def mark_mined(self, id_: int, mined_hash: bytes, block: int, block_hash: bytes) -> Transaction:
        found = self.transaction(id_)
        if found.stage not in (Stage.SIGNED, Stage.MINED):
            return found
        return self._put(
            replace(
                found,
                stage=Stage.MINED,
                mined_hash=mined_hash,
                block=block,
                block_hash=block_hash,
            )
        )

    def mark_signed(self, id_: int, problem: str = "", revert_data: bytes = b"") -> Transaction:
        found = self.transaction(id_)
        if found.stage is Stage.FAILED:
            return found
        back = replace(
            found,
            stage=Stage.SIGNED,
            mined_hash=None,
            block=None,
            block_hash=None,
            problem=problem,
            revert_data=revert_data,
        )
        if found.stage is not Stage.FINAL:
            return self._put(back)
        self._highest.pop(found.signer, None)
        return self._keep(back)

    def mark_final(self, id_: int) -> Transaction:
        found = self.transaction(id_)
        if found.stage is not Stage.MINED:
            return found
        final = self._finish(replace(found, stage=Stage.FINAL, problem="", revert_data=b""))
        highest = self.last_final(final.signer)
        if highest is None or _block(final) > _block(highest):
            self._highest[final.signer] = final.id
        return final

    def mark_failed(self, id_: int, problem: str, revert_data: bytes = b"") -> Transaction:
        found = self.transaction(id_)
        if found.stage not in (Stage.SIGNED, Stage.MINED):
            return found
        failed = replace(found, stage=Stage.FAILED, problem=problem, revert_data=revert_data)
        return self._finish(failed)

    def _add(self, signer: str, nonce: int, intent: Intent, sign: Signing) -> Transaction:
        # Signed first: what cannot be signed takes no nonce.
        attempt = sign(nonce)
        self._last_id += 1
        return self._keep(Transaction(self._last_id, signer, nonce, intent, (attempt,)))

    def _keep(self, found: Transaction) -> Transaction:
        """Stores one that becomes `SIGNED` under its nonce."""
        self._finished.pop(found.id, None)
        self.raise_nonce(found.signer, found.nonce + 1)
        self._ids[found.signer, found.nonce] = found.id
        insort(self._open.setdefault(found.signer, []), (found.nonce, found.id))
        return self._put(found)

    def _put(self, found: Transaction) -> Transaction:
        self._transactions[found.id] = found
        return found

    def _close(self, found: Transaction) -> None:
        opened = self._open.get(found.signer, [])
        at = bisect_left(opened, (found.nonce, found.id))
        if opened[at : at + 1] == [(found.nonce, found.id)]:
            del opened[at]

    def _finish(self, found: Transaction) -> Transaction:
        self._close(found)
        self._finished[found.id] = None
        if len(self._finished) > self._kept:
            oldest, _ = self._finished.popitem(last=False)
            gone = self._transactions.pop(oldest)
            del self._ids[gone.signer, gone.nonce]
            if self._highest.get(gone.signer) == oldest:
                del self._highest[gone.signer]
        return self._put(found)

    def _last_of(self, signer: str) -> Transaction | None:
        if signer not in self._highest:
            finals = self._finals(signer)
            self._highest[signer] = max(finals, key=_block).id if finals else None
        id_ = self._highest[signer]
        return None if id_ is None else self._transactions[id_]

    def _finals(self, signer: str) -> list[Transaction]:
        found = (self._transactions[id_] for id_ in self._finished)
        return [one for one in found if one.signer == signer and one.stage is Stage.FINAL]


def _block(found: Transaction) -> int:
    return found.block or 0
