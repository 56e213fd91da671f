"""medledger's own JSON: one document as a request's body, or many as the lines of a stream.

>>> bill = document_of(parse_strict(BILL), "Invoice")
>>> bill.business_key, to_line(bill) == canonical(parse_strict(BILL)).decode()
('visit-1', True)

The members are those of `core.documents` in camel case; `bodies` says what each may hold. The
gateway takes one document, `read_documents` a stream of them, by the same rules.
"""

from medledger.formats.json.bodies import (
    InvoiceBody,
    LicenceBody,
    Minor,
    PrescriptionBody,
    RecordBody,
    StrictBody,
    UnixSeconds,
)
from medledger.formats.json.documents import document_of, to_line
from medledger.formats.json.stream import read_documents

__all__ = [
    "InvoiceBody",
    "LicenceBody",
    "Minor",
    "PrescriptionBody",
    "RecordBody",
    "StrictBody",
    "UnixSeconds",
    "document_of",
    "read_documents",
    "to_line",
]
