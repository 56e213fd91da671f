"""The journal of transactions in the store's database (`core.transactions.Journal`).

Nonces are given under the lock of the signer's row, together with the signed bytes: two programs
with one key never take the same nonce, and none is lost between them.
"""

from __future__ import annotations

from itertools import groupby
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    TextClause,
    Update,
    insert,
    select,
    update,
)

from medledger.core.transactions import Attempt, Intent, Signing, Stage, Transaction
from medledger.errors import NotFound
from medledger.store.database import Database
from medledger.store.schema import FINAL, UNFINISHED, attempts, batches, signers, transactions


class SqlJournal:
    """Transactions of any number of signers. Raises `StoreError` where the database fails."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def next_nonce(self, signer: str) -> int | None:
        """The nonce that `add` will give; None for a signer that is new here."""
        with self._database.reading() as connection:
            found: int | None = connection.scalar(
                select(signers.c.next_nonce).where(signers.c.address == signer)
            )
            return found

    def raise_nonce(self, signer: str, at_least: int) -> None:
        """The next nonce becomes `at_least`, unless it is higher already."""
        with self._database.writing() as connection:
            self._lock_signer(connection, signer)
            _raise_nonce(connection, signer, at_least)

    def add(self, signer: str, intent: Intent, sign: Signing) -> Transaction:
        """Gives the next nonce (0 for a new signer), signs, and stores both."""
        with self._database.writing() as connection:
            return self.add_within(connection, signer, intent, sign)

    def add_within(
        self, connection: Connection, signer: str, intent: Intent, sign: Signing
    ) -> Transaction:
        """As `add`, in a transaction of the database that does more."""
        nonce = self._lock_signer(connection, signer)
        return _add(connection, signer, nonce, intent, sign)

    def fill(self, signer: str, nonce: int, intent: Intent, sign: Signing) -> Transaction:
        """The transaction with this nonce, whatever its stage; where there is none, signs and
        stores one with it. The next nonce becomes higher than it.
        """
        here = (transactions.c.signer == signer) & (transactions.c.nonce == nonce)
        with self._database.writing() as connection:
            self._lock_signer(connection, signer)
            found = _load(connection, here)
            return found[0] if found else _add(connection, signer, nonce, intent, sign)

    def renonce(self, id_: int, nonce: int, sign: Signing) -> Transaction:
        """Gives a `SIGNED` or `FAILED` transaction the next nonce, with a new attempt: `SIGNED`.

        Unchanged where its nonce is not `nonce` any more. Raises `NotFound`.
        """
        with self._database.writing() as connection:
            found = self._locked(connection, id_)
            if found.stage in (Stage.SIGNED, Stage.FAILED) and found.nonce == nonce:
                given = self._lock_signer(connection, found.signer)
                attempt = sign(given)
                again = _SIGNED | {"nonce": given}
                connection.execute(
                    update(transactions).where(transactions.c.id == id_).values(again)
                )
                _add_attempt(connection, id_, len(found.attempts), attempt)
                _raise_nonce(connection, found.signer, given + 1)
            return self._one(connection, id_)

    def add_attempt(self, id_: int, attempt: Attempt) -> Transaction:
        """Adds a form with the same nonce; unchanged where it is not `SIGNED` any more.

        Unchanged too where it has this form, or another nonce by now. Raises `NotFound`.
        """
        with self._database.writing() as connection:
            found = self._locked(connection, id_)
            is_wanted = found.stage is Stage.SIGNED and found.nonce == attempt.nonce
            if is_wanted and attempt.hash not in found.hashes:
                _add_attempt(connection, id_, len(found.attempts), attempt)
            return self._one(connection, id_)

    def transaction(self, id_: int) -> Transaction:
        """Raises `NotFound`."""
        with self._database.reading() as connection:
            return self._one(connection, id_)

    def unfinished(self, signer: str | None = None, limit: int | None = None) -> list[Transaction]:
        """`SIGNED` and `MINED`, by signer and nonce."""
        wanted = _IDS.where(UNFINISHED, *_signed_by(signer))
        order = (transactions.c.signer, transactions.c.nonce)
        return self._all(transactions.c.id.in_(wanted.order_by(*order).limit(limit)))

    def final_since(self, signer: str | None, block: int) -> list[Transaction]:
        """`FINAL` in this block or above, of one signer or of all; by signer and nonce."""
        return self._all(FINAL, *_signed_by(signer), transactions.c.block >= block)

    def last_final(self, signer: str | None, until: int | None = None) -> Transaction | None:
        """The `FINAL` one with the highest block, or the highest up to `until`, of one signer or
        of all."""
        wanted = _IDS.where(FINAL, *_signed_by(signer))
        if until is not None:
            wanted = wanted.where(transactions.c.block <= until)
        order = (transactions.c.block.desc(), transactions.c.nonce.desc())
        found = self._all(transactions.c.id.in_(wanted.order_by(*order).limit(1)))
        return found[0] if found else None

    def mark_mined(self, id_: int, mined_hash: bytes, block: int, block_hash: bytes) -> Transaction:
        """From `SIGNED`, or `MINED` in another block; `problem` and `revert_data` stay.

        Raises `NotFound`.
        """
        change = _from(id_, Stage.SIGNED, Stage.MINED).values(
            stage=Stage.MINED.value, mined_hash=mined_hash, block=block, block_hash=block_hash
        )
        return self._changed(id_, change)

    def mark_signed(self, id_: int, problem: str = "", revert_data: bytes = b"") -> Transaction:
        """Back from `MINED` or `FINAL` after a reorganisation, or with what holds it up.

        `problem` and `revert_data` replace what was stored. The batch that it issued is unissued in
        the same step: its time would be wrong as soon as it is mined again. Raises `NotFound`.
        """
        change = _from(id_, Stage.SIGNED, Stage.MINED, Stage.FINAL).values(
            _SIGNED | {"problem": problem, "revert_data": revert_data}
        )
        return self._changed(id_, change, _UNISSUE.where(batches.c.transaction_id == id_))

    def mark_final(self, id_: int) -> Transaction:
        """From `MINED`; clears `problem` and `revert_data`. Raises `NotFound`."""
        change = _from(id_, Stage.MINED).values(
            stage=Stage.FINAL.value, problem="", revert_data=b""
        )
        return self._changed(id_, change)

    def mark_failed(self, id_: int, problem: str, revert_data: bytes = b"") -> Transaction:
        """From `SIGNED` or `MINED`. Raises `NotFound`."""
        change = _from(id_, Stage.SIGNED, Stage.MINED).values(
            stage=Stage.FAILED.value, problem=problem, revert_data=revert_data
        )
        return self._changed(id_, change)

    def _lock_signer(self, connection: Connection, signer: str) -> int:
        """The signer's next nonce; its row is locked until the transaction ends."""
        new = self._database.upsert(signers).values(address=signer, next_nonce=0)
        connection.execute(new.on_conflict_do_nothing())
        nonce: int = connection.execute(
            select(signers.c.next_nonce).where(signers.c.address == signer).with_for_update()
        ).scalar_one()
        return nonce

    def _changed(self, id_: int, *changes: Update) -> Transaction:
        # Only what the chain shows: a mark that is lost is made again.
        with self._database.noting() as connection:
            for change in changes:
                connection.execute(change)
            return self._one(connection, id_)

    def _locked(self, connection: Connection, id_: int) -> Transaction:
        connection.execute(
            select(transactions.c.id).where(transactions.c.id == id_).with_for_update()
        )
        return self._one(connection, id_)

    def _one(self, connection: Connection, id_: int) -> Transaction:
        found = _load(connection, transactions.c.id == id_)
        if not found:
            raise NotFound(what=f"transaction {id_}", where=f"the store {self._database.name}")
        return found[0]

    def _all(self, *wanted: ColumnElement[bool] | TextClause) -> list[Transaction]:
        with self._database.reading() as connection:
            return _load(connection, *wanted)


_SIGNED = {
    "stage": Stage.SIGNED.value,
    "mined_hash": None,
    "block": None,
    "block_hash": None,
    "problem": "",
    "revert_data": b"",
}

_IDS = select(transactions.c.id)

# Made once: to put it together takes longer than the database needs.
_LOADED = (
    select(transactions, *[column.label(f"a_{column.name}") for column in attempts.columns])
    .join(attempts, attempts.c.transaction_id == transactions.c.id)
    .order_by(transactions.c.signer, transactions.c.nonce, attempts.c.position)
)

_UNISSUE = (
    update(batches)
    .where(batches.c.issued_at.is_not(None))
    .values(issued_at=None, block=None, transaction=None)
)


def _add(
    connection: Connection, signer: str, nonce: int, intent: Intent, sign: Signing
) -> Transaction:
    attempt = sign(nonce)
    values = {
        "signer": signer,
        "nonce": nonce,
        "name": intent.name,
        "to": intent.to,
        "data": intent.data,
        "value": str(intent.value),
        "gas": intent.gas,
        **_SIGNED,
    }
    new = insert(transactions).values(values).returning(transactions.c.id)
    id_ = connection.execute(new).scalar_one()
    _add_attempt(connection, id_, 0, attempt)
    _raise_nonce(connection, signer, nonce + 1)
    return Transaction(id_, signer, nonce, intent, (attempt,))


def _raise_nonce(connection: Connection, signer: str, at_least: int) -> None:
    """For a signer whose row is locked."""
    connection.execute(
        update(signers)
        .where(signers.c.address == signer, signers.c.next_nonce < at_least)
        .values(next_nonce=at_least)
    )


def _from(id_: int, *stages: Stage) -> Update:
    """An update of one transaction, which does nothing where it is in no stage of these."""
    return update(transactions).where(
        transactions.c.id == id_, transactions.c.stage.in_([stage.value for stage in stages])
    )


def _signed_by(signer: str | None) -> list[ColumnElement[bool]]:
    return [] if signer is None else [transactions.c.signer == signer]


def _load(connection: Connection, *wanted: ColumnElement[bool] | TextClause) -> list[Transaction]:
    """Transactions with their attempts, in one statement, by signer and nonce."""
    rows = connection.execute(_LOADED.where(*wanted))
    return [_transaction(list(group)) for _, group in groupby(rows, lambda row: row.id)]


def _transaction(rows: list[Row[Any]]) -> Transaction:
    row = rows[0]
    return Transaction(
        id=row.id,
        signer=row.signer,
        nonce=row.nonce,
        intent=Intent(row.to, bytes(row.data), row.name, row.gas, int(row.value)),
        attempts=tuple(map(_attempt, rows)),
        stage=Stage(row.stage),
        mined_hash=row.mined_hash,
        block=row.block,
        block_hash=row.block_hash,
        problem=row.problem,
        revert_data=row.revert_data,
    )


def _attempt(row: Row[Any]) -> Attempt:
    return Attempt(
        hash=row.a_hash,
        raw=row.a_raw,
        nonce=row.a_nonce,
        max_fee=int(row.a_max_fee),
        tip=None if row.a_tip is None else int(row.a_tip),
        is_cancellation=row.a_is_cancellation,
    )


def _add_attempt(
    connection: Connection, transaction_id: int, position: int, attempt: Attempt
) -> None:
    values = {
        "transaction_id": transaction_id,
        "position": position,
        "hash": attempt.hash,
        "raw": attempt.raw,
        "nonce": attempt.nonce,
        "max_fee": str(attempt.max_fee),
        "tip": None if attempt.tip is None else str(attempt.tip),
        "is_cancellation": attempt.is_cancellation,
    }
    connection.execute(insert(attempts).values(values))
