"""The store: numbered documents, batches and transactions, durable before anything is sent."""

from medledger.store.documents import (
    BatchRow,
    DocumentStore,
    NewBatch,
    NewDocument,
    NumbersTaken,
    SegmentRow,
    SetAside,
    StoredDocument,
)
from medledger.store.journal import SqlJournal

__all__ = [
    "BatchRow",
    "DocumentStore",
    "NewBatch",
    "NewDocument",
    "NumbersTaken",
    "SegmentRow",
    "SetAside",
    "SqlJournal",
    "StoredDocument",
]
