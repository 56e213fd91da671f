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
from medledger.store.reads import ReadDay, ReadLog, ReadRow

__all__ = [
    "BatchRow",
    "DocumentStore",
    "NewBatch",
    "NewDocument",
    "NumbersTaken",
    "ReadDay",
    "ReadLog",
    "ReadRow",
    "SegmentRow",
    "SetAside",
    "SqlJournal",
    "StoredDocument",
]
