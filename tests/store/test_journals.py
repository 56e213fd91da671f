"""The journals do the same: in memory, on SQLite, on PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

pytest.register_assert_rewrite("tests.store.journal_contract")

from tests.store.journal_contract import JournalContract, add, final  # noqa: E402
from tests.store.samples import SIGNER  # noqa: E402

from medledger.chain.sender import MemoryJournal  # noqa: E402
from medledger.core.transactions import Journal  # noqa: E402
from medledger.store import DocumentStore  # noqa: E402


class TestMemoryJournal(JournalContract):
    @pytest.fixture
    def journal(self) -> Journal:
        return MemoryJournal()


class TestSqlJournal(JournalContract):
    @pytest.fixture
    def journal(self, store: DocumentStore) -> Journal:
        return store.journal


@pytest.fixture
def reopened(store: DocumentStore, url: str) -> Iterator[DocumentStore]:
    add(store.journal)
    final(store.journal)
    store.close()
    again = DocumentStore(url)
    yield again
    again.close()


def test_journal__of_a_store_opened_again__goes_on(reopened: DocumentStore) -> None:
    journal = reopened.journal

    assert journal.next_nonce(SIGNER) == 2
    assert [found.nonce for found in journal.unfinished()] == [0]
    assert add(journal, mark="new").nonce == 2
