"""The store: a hospital's numbered documents and batches, durable before anything is sent."""

from medledger.store.documents import BatchRow, DocumentRow, DocumentStore

__all__ = ["BatchRow", "DocumentRow", "DocumentStore"]
